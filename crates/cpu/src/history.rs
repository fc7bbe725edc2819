//! The branch history rolling buffer (Power ISA 3.0B Book II chapter 7 and Book III 9.5; filtering: MMCRA[IFM]).
//!
//! While it records, branches are executed one at a time; while it does not, nothing looks. What the books leave open:
//! every branch is predicted, so P is 0; there are 32 entries, as POWER9 and POWER10 have them; POWER10's filter 2
//! takes all branches to a register's address.

use crate::bits::{mmcr0, mmcra, msr};
use crate::{Model, Vcpu};
use timebase_isa::Ops;
use timebase_state::State;

/// How many entries there are.
pub const ENTRIES: usize = 32;
/// T of an entry: it is the target of the branch in the next one.
const TARGET: u64 = 2;

/// The buffer: the latest entry first, 0 where there is none.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    entries: [u64; ENTRIES],
}

impl History {
    fn enter(&mut self, entry: u64) {
        self.entries.copy_within(..ENTRIES - 1, 1);
        self.entries[0] = entry;
    }

    /// `mfbhrbe`.
    pub fn entry(&self, number: u64) -> u64 {
        self.entries.get(number as usize).copied().unwrap_or(0)
    }

    /// `clrbhrb`.
    pub fn clear(&mut self) {
        self.entries = [0; ENTRIES];
    }
}

/// How a branch says where it leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// I-form: always, in the instruction.
    Immediate,
    /// B-form: in the instruction.
    Conditional,
    /// XL-form: in a register.
    Register,
}

fn form(name: &str) -> Option<Form> {
    match name {
        "b" => Some(Form::Immediate),
        "bc" => Some(Form::Conditional),
        "bclr" | "bcctr" | "bctar" => Some(Form::Register),
        _ => None,
    }
}

impl Vcpu {
    /// Whether branches are recorded depends on the state, so a change of state ends the run.
    pub(crate) fn history_depends_on_state(&self) -> bool {
        let control = self.spr.mmcr0;
        control & mmcr0::PMAE != 0
            && (self.model == Model::Power10 || control & (mmcr0::FCP | mmcr0::FCPC) != 0)
    }

    /// Branches are recorded in this state: MMCR0[PMAE], unless FCP freezes; on POWER10 in problem state alone, and
    /// if MMCRA[BHRBRD] does not forbid it.
    #[inline]
    pub(crate) fn records_branches(&self) -> bool {
        self.spr.mmcr0 & mmcr0::PMAE != 0 && self.may_record()
    }

    fn may_record(&self) -> bool {
        let control = self.spr.mmcr0;
        let problem = self.problem();
        let hypervisor = self.has_hypervisor && self.regs.msr & msr::HV != 0;
        let frozen = match (control & mmcr0::FCPC != 0, control & mmcr0::FCP != 0) {
            (true, fcp) => problem && hypervisor == fcp,
            (false, fcp) => problem && fcp,
        };
        let by_model = match self.model {
            Model::Power9 => true,
            Model::Power10 => problem && self.spr.mmcra & mmcra::BHRBRD == 0,
        };
        by_model && !frozen
    }

    /// Records the branch at `from`, which was taken, to `to`: the address of the instruction, and of an XL-form its
    /// target after that, each if the filter lets it.
    pub(crate) fn record_branch(&mut self, name: &str, i: &Ops, from: u64, to: u64) {
        let Some(form) = form(name) else { return };
        let always = form == Form::Immediate || i.t & 0b10100 == 0b10100;
        let filter = self.spr.mmcra >> mmcra::IFM_SHIFT & 3;
        // (the instruction, the target)
        let (instruction, target) = match (filter, self.model) {
            (0, _) => (true, true),
            // Calls.
            (1, _) => (i.rc, i.rc),
            (2, Model::Power10) => (form == Form::Register, true),
            (_, Model::Power10) => (!always, !always),
            // What is certain needs no record: of XL-forms only where they led.
            (2, Model::Power9) => (!always, true),
            // Nor does what BO predicts: BO0 or the "a" bit.
            (_, Model::Power9) => {
                let predicted = i.t & 0b10000 != 0 || i.t & 0b00110 == 0b00110;
                (!always && !predicted, true)
            }
        };
        if instruction {
            self.history.enter(from & !3);
        }
        if target && form == Form::Register {
            self.history.enter(to & !3 | TARGET);
        }
    }
}
