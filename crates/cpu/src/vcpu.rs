//! One virtual CPU: all of its architected state.

use crate::history::History;
use crate::interrupt::Pending;
use crate::mmu::{Partition, Slb};
use crate::pmu::Pmu;
use crate::spr::Sprs;
use crate::{bits::msr, interpreter::Fast};
use timebase_isa::Regs;
use timebase_state::{Instant, State};

/// A CPU model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Model {
    /// POWER9 DD2.2, ISA 3.0B.
    Power9,
    /// POWER10 DD2.0 with cores of four threads, ISA 3.1.
    Power10,
}

impl Model {
    /// The model of this command-line name.
    pub fn named(name: &str) -> Option<Model> {
        match name {
            "power9" => Some(Model::Power9),
            "power10" => Some(Model::Power10),
            _ => None,
        }
    }
    /// ISA level: 300 or 310.
    pub const fn level(self) -> u16 {
        match self {
            Model::Power9 => 300,
            Model::Power10 => 310,
        }
    }
    /// Processor version register.
    pub const fn pvr(self) -> u32 {
        match self {
            Model::Power9 => 0x004e_1202,
            Model::Power10 => 0x0080_1200,
        }
    }
}

/// A virtual CPU.
#[derive(State)]
pub struct Vcpu {
    /// User-level registers and MSR.
    pub regs: Regs,
    /// Special purpose registers that are plain storage.
    pub spr: Sprs,
    /// Segment lookaside buffer (hash).
    pub slb: Slb,
    /// The partition this vCPU is in, where no hypervisor code runs under it.
    pub partition: Partition,
    /// When TB read 0; a whole tick.
    pub tb_zero: Instant,
    /// When DEC reads 0; a whole tick.
    pub dec_zero: Instant,
    /// When HDEC reads 0; a whole tick.
    pub hdec_zero: Instant,
    /// HDEC went negative and the interrupt has not been taken.
    pub hdec_latched: bool,
    /// HDEC is to go negative: it was written with a value that is not.
    pub hdec_armed: bool,
    /// When VTB read 0; a whole tick.
    pub vtb_zero: Instant,
    /// When PURR read 0; a whole tick.
    pub purr_zero: Instant,
    /// When SPURR read 0; a whole tick.
    pub spurr_zero: Instant,
    /// The external interrupt line.
    pub external: bool,
    /// The line of hypervisor virtualization interrupts.
    pub virtualization: bool,
    /// A system reset interrupt is requested.
    pub system_reset: bool,
    /// Doorbells latched: directed privileged (msgsndp), hypervisor (msgsnd).
    pub doorbell: bool,
    /// Hypervisor doorbell latched.
    pub hypervisor_doorbell: bool,
    /// What can interrupt now, enabled or not: from the fields above and the time.
    #[cache("made by `look` before each run")]
    pub(crate) pending: Pending,
    /// The performance monitor, as far as it is no register.
    pub(crate) pmu: Pmu,
    /// The history of branches.
    pub(crate) history: History,
    /// Random numbers drawn by `darn`.
    pub random: u64,
    /// CTRL[RUN] of the threads of the core, thread 0 in the most significant bit; its own is in CTRL.
    #[cache("gathered by the machine before each run")]
    pub run_latches: u8,
    /// A paste buffer holds a copied block.
    pub copy_pending: bool,
    /// Its index.
    #[wiring("from the configuration")]
    pub index: u32,
    /// Its model.
    #[wiring("from the configuration")]
    pub model: Model,
    /// Hypervisor state exists (powernv); without it the partition is given by the machine.
    #[wiring("from the configuration")]
    pub has_hypervisor: bool,
    #[cache("translations of the current context")]
    pub(crate) fast: Fast,
}

impl Vcpu {
    /// Power-on state at `now` of vCPU `index`.
    pub fn cold(index: u32, model: Model, has_hypervisor: bool, seed: u64, now: Instant) -> Vcpu {
        let mut regs = Regs::cold(model.level() as u64);
        regs.msr = msr::SF | msr::ME | if has_hypervisor { msr::HV } else { 0 };
        let never = Instant::from_ticks(now.ticks() + 0x7fff_ffff);
        Vcpu {
            regs,
            spr: Sprs::cold(index, model),
            slb: Slb::cold(),
            partition: Partition::cold(),
            tb_zero: now,
            dec_zero: never,
            hdec_zero: never,
            hdec_latched: false,
            hdec_armed: true,
            vtb_zero: now,
            purr_zero: now,
            spurr_zero: now,
            external: false,
            virtualization: false,
            system_reset: false,
            doorbell: false,
            hypervisor_doorbell: false,
            pending: Pending::default(),
            pmu: Pmu::default(),
            history: History::default(),
            random: seed ^ (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            run_latches: 0,
            copy_pending: false,
            index,
            model,
            has_hypervisor,
            fast: Fast::default(),
        }
    }

    /// The context that cached translations belong to may have changed; they are looked up again.
    #[inline(always)]
    pub fn context_changed(&mut self) {
        self.fast.forget();
    }

    /// Problem state.
    #[inline(always)]
    pub fn problem(&self) -> bool {
        self.regs.msr & msr::PR != 0
    }

    /// Hypervisor state (and not problem state).
    #[inline(always)]
    pub fn hypervisor(&self) -> bool {
        self.regs.msr & (msr::HV | msr::PR) == msr::HV
    }

    /// Little-endian mode.
    #[inline(always)]
    pub fn little_endian(&self) -> bool {
        self.regs.msr & msr::LE != 0
    }

    /// MSR bits that the model has.
    pub(crate) fn implemented_msr(&self) -> u64 {
        msr::ALL | if self.model == Model::Power9 { msr::TM } else { 0 }
    }

    /// Writes MSR as it is, with all consequences for translation.
    pub fn set_msr(&mut self, value: u64) {
        const CONTEXT: u64 = msr::SF | msr::HV | msr::PR | msr::IR | msr::DR | msr::LE;
        if (self.regs.msr ^ value) & CONTEXT != 0 {
            self.fast.leave();
        }
        self.state_changes(self.regs.msr, value);
        self.regs.msr = value;
    }

    /// The next random number of `darn`.
    pub fn draw(&mut self) -> u64 {
        timebase_state::random::draw(&mut self.random)
    }
}
