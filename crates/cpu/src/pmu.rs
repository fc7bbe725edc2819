//! The performance monitor (Power ISA 3.0B Book III chapter 9) and event-based branches (Book II chapter 6).
//!
//! Counted exactly: instructions completed, cycles, which are [`CYCLES_PER_TICK`] to a tick of virtual time whatever
//! executes, and completed instructions of some [`kinds`]; [`Vcpu::selected`] has the events. For the first two nothing is
//! counted per instruction: counters of instructions grow when a run of the vCPU ends, those of cycles are an instant at
//! which they read 0, and what may change whether they count ends the run. While kinds are counted the interpreter
//! executes, and looks what was in each block that it ran. An attempt adds at most one to a counter, so a run that makes
//! no more attempts than a counter lacks does not go beyond the instruction that makes it negative: an alert is at its exact
//! place.
//!
//! SIAR is the instruction that comes next when the alert occurs. All other events count 0: they are of caches, predictors
//! and pipelines, which are not there. Left out: SDAR, whose content SIER says not to be valid; random sampling,
//! thresholding.

use crate::bits::{bescr, mmcr0, msr};
use crate::interpreter::Op;
use crate::interrupt::Pending;
use crate::kinds::{self, Kinds};
use crate::spr::facility;
use crate::{Model, Sprs, Vcpu};
use timebase_state::{Instant, State};

/// Cycles of a tick of the time base: the processor clock of 1.024 GHz.
pub const CYCLES_PER_TICK: u64 = 1 << CYCLE_SHIFT;
const CYCLE_SHIFT: u32 = 1;

/// A counter is negative from this value on; they have 32 bits.
const NEGATIVE: u64 = 1 << 31;
const COUNTERS: usize = 6;
/// Those whose event MMCR1 selects, PMC1 to PMC4.
const SELECTING: usize = 4;

/// SIER: the state and the validity of what was sampled.
mod sier {
    pub const PROBLEM: u64 = 0x200_0000;
    pub const HYPERVISOR: u64 = 0x100_0000;
    pub const SIAR_VALID: u64 = 0x40_0000;
}

/// What a counter counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Event {
    Instructions,
    Cycles,
    /// Instructions of one of [`kinds`].
    Kind(u8),
}

/// What is known of the counters beside the registers.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pmu {
    /// When a counter that counts cycles reads 0; None for the others. PMC1 is the first one.
    cycles_from: [Option<Instant>; COUNTERS],
    /// When the bit of TB that MMCR0[TBSEL] selects becomes 1.
    time_event: Option<Instant>,
    /// A bit for each counter of instructions.
    #[cache("made from the registers before each run")]
    instructions: u8,
    /// The kind of instructions that each counter counts; 0: none.
    #[cache("made from the registers before each run")]
    kinds: [u8; SELECTING],
    /// All of them.
    #[cache("made from the registers before each run")]
    any_kind: u8,
    /// What counts, what is recorded or which instructions there are depends on MSR.
    #[cache("made from the registers before each run")]
    by_state: bool,
    /// Attempts of this run that the counters know of.
    #[cache("0 between runs")]
    accounted: u64,
    /// Attempts of this run whose kinds are counted.
    #[cache("0 between runs")]
    sorted: u64,
    /// Attempts since then that completed no instruction.
    #[cache("0 between runs")]
    incomplete: u64,
}

/// The register of counter `n`, from 0.
fn counter(spr: &mut Sprs, n: usize) -> &mut u64 {
    match n {
        0 => &mut spr.pmc1,
        1 => &mut spr.pmc2,
        2 => &mut spr.pmc3,
        3 => &mut spr.pmc4,
        4 => &mut spr.pmc5,
        _ => &mut spr.pmc6,
    }
}

/// The same to look at.
fn stored(spr: &Sprs, n: usize) -> u64 {
    [spr.pmc1, spr.pmc2, spr.pmc3, spr.pmc4, spr.pmc5, spr.pmc6][n]
}

/// The number from 0 of the counter that an SPR number names.
pub(crate) fn counter_number(spr: u64) -> Option<usize> {
    match spr {
        771..=776 => Some(spr as usize - 771),
        787..=792 => Some(spr as usize - 787),
        _ => None,
    }
}

/// A write to this SPR may change what counts or what is pending: PMCs, MMCRs, CTRL, BESCR, IC.
pub(crate) fn is_affected_by(spr: u64) -> bool {
    matches!(spr, 152 | 848 | 738 | 754 | 769..=776 | 779 | 782 | 785..=792 | 795 | 798 | 800..=803 | 806)
}

impl Vcpu {
    /// What counter `n` counts now.
    fn counts(&self, n: usize) -> Option<Event> {
        let (spr, state) = (&self.spr, self.regs.msr);
        let control = spr.mmcr0;
        let has = |bit| control & bit != 0;
        let problem = state & msr::PR != 0;
        let hypervisor = self.has_hypervisor && state & msr::HV != 0;
        let marked = state & msr::PMM != 0;
        let running = spr.ctrl & 1 != 0;
        let in_problem = if has(mmcr0::FCPC) {
            problem && hypervisor == has(mmcr0::FCP)
        } else {
            has(mmcr0::FCP) && problem
        };
        let frozen = has(mmcr0::FC)
            || has(mmcr0::FCS) && !problem && !hypervisor
            || has(mmcr0::FCHV) && !problem && hypervisor
            || in_problem
            || has(if marked { mmcr0::FCM1 } else { mmcr0::FCM0 })
            || has(mmcr0::FCWAIT) && !running && n < SELECTING
            || has(mmcr0::FC14) && n < SELECTING
            || has(mmcr0::FC56) && n >= SELECTING
            || has(mmcr0::TRIGGER) && n >= 1;
        // MMCR2 has nine bits for each counter: S, P0, P1, M1, M0, WAIT, H.
        let own = |bit: usize| spr.mmcr2 >> (63 - 9 * n - bit) & 1 != 0;
        let frozen = frozen
            || own(0) && !problem && !hypervisor
            || own(1) && problem && !hypervisor
            || own(2) && problem && hypervisor
            || own(if marked { 3 } else { 4 })
            || own(5) && !running
            || own(6) && !problem && hypervisor;
        if frozen {
            return None;
        }
        let by_latch = running || has(mmcr0::CC56RUN);
        match n {
            4 => by_latch.then_some(Event::Instructions),
            5 => by_latch.then_some(Event::Cycles),
            _ => self.selected(n),
        }
    }

    /// The event that MMCR1 selects for counter `n` of PMC1 to PMC4: its unit, how it is combined with the next one, and its
    /// number, as they stand in the codes of POWER9's and POWER10's lists of events, and in Linux's.
    fn selected(&self, n: usize) -> Option<Event> {
        let control = self.spr.mmcr1;
        let field = |shift: usize, bits: u64| control >> shift & bits;
        let code = field(60 - 4 * n, 15) << 12 | field(38 - 2 * n, 3) << 10 | field(24 - 8 * n, 0xff);
        let running = self.spr.ctrl & 1 != 0;
        match (n + 1, code) {
            // PM_INST_CMPL; what is dispatched completes.
            (_, 0x0002) | (1, 0x00fe) | (2 | 3, 0x00f2) => Some(Event::Instructions),
            // PM_RUN_INST_CMPL.
            (4, 0x00fa) => running.then_some(Event::Instructions),
            // PM_CYC.
            (_, 0x001e) | (1, 0x00f0) => Some(Event::Cycles),
            // PM_RUN_CYC.
            (2, 0x00f4) => running.then_some(Event::Cycles),
            // PM_BR_CMPL, PM_BR_FIN.
            (4, 0xd05e) | (1, 0x0068) => Some(Event::Kind(kinds::BRANCH)),
            (1, 0x0012) if self.model == Model::Power9 => Some(Event::Kind(kinds::BRANCH)),
            (2, 0xf04a) if self.model == Model::Power10 => Some(Event::Kind(kinds::BRANCH)),
            // PM_BR_TAKEN_CMPL.
            (2, 0x00fa) => Some(Event::Kind(kinds::TAKEN)),
            // PM_LD_REF_L1, PM_LD_CMPL.
            (1, 0x00fc) | (4, 0x003e) => Some(Event::Kind(kinds::LOAD)),
            // PM_ST_CMPL, PM_ST_FIN.
            (2, 0x00f0 | 0x0016) => Some(Event::Kind(kinds::STORE)),
            // PM_FLOP_CMPL.
            (1, 0x00f4) => Some(Event::Kind(kinds::FLOAT)),
            _ => None,
        }
    }

    /// What counter `n`, from 0, reads at `now`, all instructions of this run being accounted for.
    pub(crate) fn counter_at(&self, n: usize, now: Instant) -> u64 {
        match self.pmu.cycles_from[n] {
            Some(zero) => (now.0.wrapping_sub(zero.0) >> (64 - CYCLE_SHIFT)) as u64 & 0xffff_ffff,
            None => stored(&self.spr, n),
        }
    }

    /// The same after `attempts` of this run.
    pub(crate) fn counter_within(&self, n: usize, attempts: u64, now: Instant) -> u64 {
        let more = if self.pmu.instructions >> n & 1 != 0 { self.completed(attempts) } else { 0 };
        self.counter_at(n, now).wrapping_add(more) & 0xffff_ffff
    }

    /// What IC reads after `attempts` of this run.
    pub(crate) fn instructions_within(&self, attempts: u64) -> u64 {
        self.spr.ic.wrapping_add(self.completed(attempts))
    }

    /// Instructions that completed up to `attempts` of this run and are not counted yet.
    fn completed(&self, attempts: u64) -> u64 {
        attempts.saturating_sub(self.pmu.accounted + self.pmu.incomplete)
    }

    /// This run has made `attempts`: those that completed are counted, their kinds have been.
    pub fn count_run(&mut self, attempts: u64) {
        let completed = self.completed(attempts);
        (self.pmu.accounted, self.pmu.sorted, self.pmu.incomplete) = (attempts, attempts, 0);
        self.spr.ic = self.spr.ic.wrapping_add(completed);
        if self.pmu.instructions != 0 {
            for n in 0..COUNTERS {
                if self.pmu.instructions >> n & 1 != 0 {
                    let value = counter(&mut self.spr, n);
                    *value = value.wrapping_add(completed) & 0xffff_ffff;
                }
            }
        }
    }

    /// Kinds of instructions are counted.
    #[inline(always)]
    pub(crate) fn counts_kinds(&self) -> bool {
        self.pmu.any_kind != 0
    }

    /// It matters which branches are taken.
    #[inline(always)]
    pub(crate) fn counts_taken(&self) -> bool {
        self.pmu.any_kind & kinds::TAKEN != 0
    }

    /// Counts the kinds of `ops`, which completed after `before` attempts of this run, but for those that are counted.
    pub(crate) fn count_kinds(&mut self, kinds: &Kinds, ops: &[Op], before: u64) {
        let counted = self.pmu.sorted.saturating_sub(before) as usize;
        for op in ops.iter().skip(counted) {
            let kind = kinds.of(op.number());
            if kind & self.pmu.any_kind != 0 {
                self.count_kind(kind);
            }
        }
        self.pmu.sorted = self.pmu.sorted.max(before + ops.len() as u64);
    }

    /// One instruction of these kinds completed.
    pub(crate) fn count_kind(&mut self, kind: u8) {
        for n in 0..SELECTING {
            if self.pmu.kinds[n] & kind != 0 {
                let value = counter(&mut self.spr, n);
                *value = value.wrapping_add(1) & 0xffff_ffff;
            }
        }
    }

    /// An attempt completed no instruction.
    #[inline]
    pub(crate) fn not_completed(&mut self) {
        self.pmu.incomplete += 1;
    }

    /// All counters stand in their registers: these are about to be written.
    pub(crate) fn hold_counters(&mut self, now: Instant) {
        for n in 0..COUNTERS {
            if self.pmu.cycles_from[n].is_some() {
                *counter(&mut self.spr, n) = self.counter_at(n, now);
                self.pmu.cycles_from[n] = None;
            }
        }
        self.pmu.time_event = None;
    }

    /// Lets those counters count that the registers let count from `now` on.
    pub(crate) fn let_count(&mut self, now: Instant) {
        let idle = self.spr.mmcr0 & mmcr0::FC != 0;
        let counting =
            self.pmu.instructions != 0 || self.counts_kinds() || self.pmu.cycles_from != [None; COUNTERS];
        let by_state = self.history_depends_on_state() || self.spr.pcr != 0 || self.keeps_registers();
        if idle && !counting {
            self.pmu.by_state = by_state;
            self.pmu.time_event = None;
            return;
        }
        (self.pmu.instructions, self.pmu.any_kind) = (0, 0);
        for n in 0..COUNTERS {
            let event = self.counts(n);
            if n < SELECTING {
                self.pmu.kinds[n] = if let Some(Event::Kind(kind)) = event { kind } else { 0 };
                self.pmu.any_kind |= self.pmu.kinds[n];
            }
            self.pmu.instructions |= ((event == Some(Event::Instructions)) as u8) << n;
            match (self.pmu.cycles_from[n], event == Some(Event::Cycles)) {
                (Some(_), false) => {
                    *counter(&mut self.spr, n) = self.counter_at(n, now);
                    self.pmu.cycles_from[n] = None;
                }
                (None, true) => {
                    let value = stored(&self.spr, n) as u128;
                    self.pmu.cycles_from[n] = Some(Instant(now.0.wrapping_sub(value << (64 - CYCLE_SHIFT))));
                }
                _ => {}
            }
        }
        let freezes = self.spr.mmcr0 & mmcr0::BY_STATE != 0 || self.spr.mmcr2 != 0;
        self.pmu.by_state = by_state || !idle && freezes;
        if idle || self.spr.mmcr0 & mmcr0::TBEE == 0 || !self.alerts() {
            self.pmu.time_event = None;
        } else if self.pmu.time_event.is_none() {
            self.pmu.time_event = Some(self.next_time_event(now));
        }
    }

    /// When the selected bit of TB becomes 1 next.
    fn next_time_event(&self, now: Instant) -> Instant {
        let bit = [0, 8, 12, 16][(self.spr.mmcr0 >> 23 & 3) as usize];
        let half = 1u64 << bit;
        let ticks = half.wrapping_sub(self.tb(now)) & (2 * half - 1);
        let ticks = if ticks == 0 { 2 * half } else { ticks };
        Instant::from_ticks(now.ticks().wrapping_add(ticks))
    }

    /// An enabled condition or event has a consequence.
    fn alerts(&self) -> bool {
        self.spr.mmcr0 & (mmcr0::PMAE | mmcr0::FCECE | mmcr0::TRIGGER) != 0
    }

    /// Counter `n` is to alert when it becomes negative.
    fn is_enabled(&self, n: usize) -> bool {
        self.alerts() && self.spr.mmcr0 & if n == 0 { mmcr0::PMC1CE } else { mmcr0::PMCJCE } != 0
    }

    /// Something follows when counter `n` becomes negative: an alert, or that those begin to count that wait for PMC1.
    fn is_awaited(&self, n: usize) -> bool {
        self.is_enabled(n) || n == 0 && self.spr.mmcr0 & mmcr0::TRIGGER != 0
    }

    /// A change of MSR from `old` to `new` may let other counters count: the run ends.
    #[inline(always)]
    pub(crate) fn state_changes(&mut self, old: u64, new: u64) {
        if self.pmu.by_state && (old ^ new) & (msr::PR | msr::HV | msr::PMM) != 0 {
            self.pending.look();
        }
    }

    /// A run begins at `now`. Returns how many attempts it may make at most before a counter has to be looked at.
    pub fn begin_counting(&mut self, now: Instant) -> u64 {
        self.let_count(now);
        (self.pmu.accounted, self.pmu.sorted, self.pmu.incomplete) = (0, 0, 0);
        if self.pmu.instructions == 0 && !self.counts_kinds() || !self.alerts() {
            return u64::MAX;
        }
        let counts = |n: usize| {
            self.pmu.instructions >> n & 1 != 0 || self.pmu.kinds.get(n).is_some_and(|&kind| kind != 0)
        };
        let counting = (0..COUNTERS).filter(|&n| counts(n) && self.is_awaited(n));
        let values = counting.map(|n| stored(&self.spr, n)).filter(|&value| value < NEGATIVE);
        values.map(|value| NEGATIVE - value).min().unwrap_or(u64::MAX)
    }

    /// When a counter of cycles becomes negative and alerts, or TB does.
    pub(crate) fn counter_deadline(&self) -> Option<Instant> {
        if !self.alerts() {
            return None;
        }
        let negative = |n: usize| {
            let zero = self.pmu.cycles_from[n].filter(|_| self.is_awaited(n))?;
            // One that is negative would have alerted.
            Some(Instant(zero.0.wrapping_add((NEGATIVE as u128) << (64 - CYCLE_SHIFT))))
        };
        (0..COUNTERS).filter_map(negative).chain(self.pmu.time_event).min()
    }

    /// Looks for enabled conditions and events at `now`, and carries out what they do.
    pub(crate) fn look_at_counters(&mut self, now: Instant) {
        self.let_count(now);
        if self.alerts() {
            let by_time = self.pmu.time_event.is_some_and(|event| event <= now);
            let negative = |n| self.counter_at(n, now) & NEGATIVE != 0;
            if by_time || (0..COUNTERS).any(|n| self.is_enabled(n) && negative(n)) {
                self.alert(now);
            } else if self.spr.mmcr0 & mmcr0::TRIGGER != 0 && negative(0) {
                self.spr.mmcr0 &= !mmcr0::TRIGGER;
                self.let_count(now);
            }
        }
        // The exception of an event-based branch.
        let spr = &mut self.spr;
        if spr.mmcr0 & mmcr0::EBE != 0 && spr.mmcr0 & mmcr0::PMAO != 0 && spr.bescr & bescr::PME != 0 {
            spr.bescr = spr.bescr & !bescr::PME | bescr::PMEO;
        }
    }

    fn alert(&mut self, now: Instant) {
        let spr = &mut self.spr;
        if spr.mmcr0 & (mmcr0::FCECE | mmcr0::TRIGGER) == mmcr0::FCECE {
            spr.mmcr0 |= mmcr0::FC;
        }
        spr.mmcr0 &= !mmcr0::TRIGGER;
        if spr.mmcr0 & mmcr0::PMAE != 0 {
            spr.mmcr0 = spr.mmcr0 & !mmcr0::PMAE | mmcr0::PMAO;
            spr.siar = self.regs.nia;
            let by = |bit, flag| if self.regs.msr & bit != 0 { flag } else { 0 };
            spr.sier = sier::SIAR_VALID | by(msr::PR, sier::PROBLEM) | by(msr::HV, sier::HYPERVISOR);
        }
        self.pmu.time_event = None;
        self.let_count(now);
    }

    /// The performance monitor exception exists.
    pub(crate) fn performance_exception(&self) -> bool {
        self.spr.mmcr0 & (mmcr0::PMAO | mmcr0::EBE) == mmcr0::PMAO
    }

    /// An event-based branch is to be taken as soon as problem state runs.
    pub(crate) fn event_pending(&self) -> bool {
        self.spr.bescr & bescr::GE != 0 && self.spr.bescr & (bescr::PMEO | bescr::EEO) != 0
    }

    /// The facility of event-based branches is there.
    pub(crate) fn events_available(&self) -> bool {
        self.available(facility::EBB).is_ok()
    }

    /// Takes an event-based branch at the boundary before NIA.
    pub(crate) fn branch_by_event(&mut self) {
        self.spr.bescr &= !bescr::GE;
        self.spr.ebbrr = self.regs.nia;
        let handler = self.spr.ebbhr & !3;
        self.regs.nia = if self.regs.msr & msr::SF != 0 { handler } else { handler & 0xffff_ffff };
    }
}

impl Pending {
    /// The run ends after this instruction.
    fn look(&mut self) {
        self.0 |= Pending::LOOK;
    }
}
