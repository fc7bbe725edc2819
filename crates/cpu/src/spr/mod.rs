//! Special purpose registers: what `mtspr` and `mfspr` do (Power ISA Book III 5.4.4, "Move To/From System Register").
//! Which there are says the [`table`].

pub(crate) mod facility;
mod stored;
mod table;

pub use stored::{HMEER, HMER, StoredSpr, stored_spr};
pub use table::Sprs;
pub(crate) use table::{Kept, Place, Privilege, Row, name, number, row};

use crate::bits::{lpcr, mmcr0};
use crate::interpreter::Core;
use crate::observe::Observation;
use crate::pmu;
use crate::{Exit, Model, Vcpu};
use timebase_isa::{Ops, Trap};
use timebase_state::Instant;

const ALL: u64 = u64::MAX;
/// Number of the time base: firmware and kernels wait by reading it in a loop; every state may, and nothing takes it
/// away.
pub const TIME_BASE: u64 = 268;
/// The run latch.
const CTRL: u64 = 152;
/// The same, to read.
const READ_CTRL: u64 = 136;
/// PSSCR as privileged state names it, and what it finds there: ESL, EC, TR, MTL, RL.
const PRIVILEGED_PSSCR: u64 = 823;
const PRIVILEGED_PSSCR_BITS: u64 = 0x30_03ff;

impl Core<'_, '_, '_> {
    /// An access to a number that does not exist, or not for this privilege (III 5.4.4).
    fn no_such_spr(&self, number: u64, write: bool) -> Result<(), Trap> {
        if self.cpu.problem() {
            return Err(if number & 16 != 0 { Trap::Privileged } else { Trap::Illegal });
        }
        match number {
            0 => Err(Trap::Illegal),
            4..=6 if !write => Err(Trap::Illegal),
            _ if self.cpu.spr.lpcr & lpcr::EVIRT != 0
                && self.cpu.has_hypervisor
                && !self.cpu.hypervisor() =>
            {
                Err(Trap::Illegal)
            }
            _ => Ok(()),
        }
    }

    /// The register of this number and its implemented bits; None if the access does nothing.
    fn usable(&self, number: u64, write: bool) -> Result<Option<(&'static Row, u64)>, Trap> {
        let found = row(number).and_then(|row| Some((row, row.bits(self.cpu.model)?)));
        let found = found.filter(|(row, _)| (if write { row.write } else { row.read }).has(self.cpu));
        match found {
            None => self.no_such_spr(number, write)?,
            Some((row, _)) => row.facility.map_or(Ok(()), |facility| self.cpu.available(facility))?,
        }
        Ok(found)
    }

    /// Attempts of this run before this one.
    fn attempts(&self) -> u64 {
        self.count - self.run.world.count
    }

    /// Which bits of a register this state may read, or write.
    fn accessible(&self, number: u64, write: bool) -> Result<u64, Trap> {
        match number {
            736..=738 | 768..=782 if self.cpu.problem() => self.performance_access(number, write),
            PRIVILEGED_PSSCR => Ok(PRIVILEGED_PSSCR_BITS),
            _ => Ok(ALL),
        }
    }

    /// The same for problem state and a register of the performance monitor (III 9.4.4, MMCR0[PMCC]).
    fn performance_access(&self, number: u64, write: bool) -> Result<u64, Trap> {
        const MMCR0_BITS: u64 = mmcr0::FC | mmcr0::PMAE | mmcr0::PMAO;
        /// FCnP0 of all counters.
        const MMCR2_BITS: u64 = 0x4020_1008_0402_0000;
        let unavailable = Err(Trap::Facility(facility::PERFORMANCE_MONITOR));
        let controls = matches!(number, 769 | 770 | 779);
        let allowed = match ((self.cpu.spr.mmcr0 & mmcr0::PMCC) >> 18, number) {
            (0, _) if write => return Err(Trap::Illegal),
            // ISA 3.1 lets PMCCEXT take reading away, too.
            (0, _) => self.cpu.model == Model::Power9 || self.cpu.spr.mmcr0 & mmcr0::PMCCEXT == 0,
            (1, _) => false,
            (2, _) => controls || matches!(number, 771..=776),
            (_, _) => controls || matches!(number, 771..=774),
        };
        match number {
            _ if !allowed => unavailable,
            769 => Ok(MMCR2_BITS),
            779 => Ok(MMCR0_BITS),
            _ => Ok(ALL),
        }
    }

    /// `mfspr`, `mftb`.
    pub(crate) fn mfspr(&mut self, i: &Ops) -> Result<(), Trap> {
        let number = i.imm;
        if number == TIME_BASE {
            self.cpu.regs.gpr[i.t as usize] = self.cpu.tb(self.now());
            return Ok(());
        }
        let Some((row, _)) = self.usable(number, false)? else { return Ok(()) };
        let access = self.accessible(number, false)?;
        if pmu::counter_number(number).is_some() {
            self.count_kinds();
        }
        let (cpu, attempts) = (&*self.cpu, self.attempts());
        let value = match row.place {
            Place::Kept(Kept::Reserved) => return Ok(()),
            Place::Kept(kept) => cpu.kept(kept, self.now()),
            Place::Stored(_) if number == INSTRUCTION_COUNTER => cpu.instructions_within(attempts),
            Place::Stored(stored) => match pmu::counter_number(number) {
                Some(n) => cpu.counter_within(n, attempts, self.now()),
                None => (stored.value)(&cpu.spr) | if number == READ_CTRL { cpu.thread_state() } else { 0 },
            },
        };
        self.cpu.regs.gpr[i.t as usize] = value & access;
        Ok(())
    }

    /// `mtspr`.
    pub(crate) fn mtspr(&mut self, i: &Ops) -> Result<(), Trap> {
        let number = i.imm;
        let value = self.cpu.regs.gpr[i.t as usize];
        let Some((row, bits)) = self.usable(number, true)? else { return Ok(()) };
        let access = self.accessible(number, true)?;
        match row.place {
            Place::Kept(kept) => self.keep(kept, value & bits),
            Place::Stored(stored) => {
                let old = (stored.value)(&self.cpu.spr);
                let value = self.permitted(number, (old & !access | value & access) & bits);
                self.store_spr(number, stored.get, value);
            }
        }
        Ok(())
    }

    /// Writes what [`Sprs`] has of an SPR, with all that follows.
    fn store_spr(&mut self, number: u64, get: fn(&mut Sprs) -> &mut u64, value: u64) {
        let now = self.now();
        let frozen = self.cpu.spr.mmcr0 & mmcr0::FC != 0;
        let counts = pmu::is_affected_by(number) && !(frozen && number == CTRL);
        if counts {
            // The instruction itself counts as it would have counted before; it is of no kind.
            self.count_kinds();
            self.cpu.count_run(self.attempts() + 1);
            self.cpu.hold_counters(now);
        }
        // Firmware clears HMER around each access to XSCOM; a bit of it matters if HMEER has it.
        let idle = number == HMER && self.cpu.spr.hmer & self.cpu.spr.hmeer == 0;
        *get(&mut self.cpu.spr) = value;
        match number {
            13 | 29 | 48 | 61 | 180 | 181 | 188 | 189 | 313 | 318 | 319 | 464 => self.cpu.context_changed(),
            _ => {}
        }
        if counts {
            self.cpu.let_count(now);
        }
        // HFSCR, LPCR, CIABR, HMER, HMEER, PCR, and HID0, which the threads of a core share.
        if matches!(number, 187 | 190 | 318 | HMER | 337 | 338 | 1008) && !idle || counts {
            self.run.exit(Exit::Look);
        }
    }

    /// What a write may change of the authority masks: UAMOR limits problem state, AMOR privileged state.
    fn permitted(&mut self, number: u64, value: u64) -> u64 {
        let cpu = &*self.cpu;
        let limit = |old: u64, mask: u64| old & !mask | value & mask;
        let amor = if cpu.has_hypervisor { cpu.spr.amor } else { ALL };
        match number {
            // HMER: a write can only clear bits.
            336 => cpu.spr.hmer & value,
            317 => timer_management(cpu.spr.tfmr, value),
            13 if cpu.problem() => limit(cpu.spr.amr, cpu.spr.uamor & amor),
            13 | 29 if !cpu.hypervisor() => limit(cpu.spr.amr, amor),
            61 if !cpu.hypervisor() => limit(cpu.spr.iamr, amor),
            157 if !cpu.hypervisor() => limit(cpu.spr.uamor, amor),
            _ => value,
        }
    }

    /// Writes `value`, cut to the implemented bits, to a register that is more than storage.
    fn keep(&mut self, kept: Kept, value: u64) {
        let now = self.now();
        let cpu = &mut *self.cpu;
        let shift = |upper: bool| if upper { 32 } else { 0 };
        let zero = Instant::from_ticks(now.ticks().wrapping_sub(value));
        match kept {
            Kept::Xer => cpu.regs.set_xer(value),
            Kept::Lr => cpu.regs.lr = value,
            Kept::Ctr => cpu.regs.ctr = value,
            Kept::Vrsave => cpu.regs.vrsave = value,
            Kept::Cfar => cpu.regs.cfar = value,
            Kept::Tar => cpu.regs.tar = value,
            Kept::Dec => {
                cpu.set_dec(value, now);
                self.run.world.observe(self.count, || Observation::Decrementer(value));
                self.run.exit(Exit::Look);
            }
            Kept::Hdec => {
                cpu.set_hdec(value, now);
                self.run.world.observe(self.count, || Observation::HypervisorDecrementer(value));
                self.run.exit(Exit::Look);
            }
            Kept::Dpdes => {
                cpu.doorbell = value & 1 != 0;
                self.run.exit(Exit::Look);
            }
            Kept::BescrSet { upper } => self.set_bescr(|bescr| bescr | value << shift(upper)),
            Kept::BescrReset { upper } => self.set_bescr(|bescr| bescr & !(value << shift(upper))),
            Kept::Purr => cpu.purr_zero = zero,
            Kept::Spurr => cpu.spurr_zero = zero,
            Kept::Vtb => cpu.vtb_zero = zero,
            Kept::TbLower => cpu.set_tb(cpu.tb(now) & !0xffff_ffff | value, now),
            Kept::TbUpper => cpu.set_tb(cpu.tb(now) & 0xffff_ffff | value << 32, now),
            Kept::TbUpper40 => cpu.set_tb(cpu.tb(now) & 0xff_ffff | value, now),
            Kept::TexasrUpper => cpu.spr.texasr = cpu.spr.texasr & 0xffff_ffff | value << 32,
            Kept::PprUpper => cpu.spr.ppr = value << 32,
            // Nobody may write TB whole.
            Kept::Tb | Kept::Reserved => {}
        }
    }

    fn set_bescr(&mut self, change: impl FnOnce(u64) -> u64) {
        let bits = row(BESCR).and_then(|row| row.bits(self.cpu.model)).unwrap_or_default();
        self.cpu.spr.bescr = change(self.cpu.spr.bescr) & bits;
        self.run.exit(Exit::Look);
    }
}

const INSTRUCTION_COUNTER: u64 = 848;
const BESCR: u64 = 806;

impl Vcpu {
    /// CTRL[TS], in its place: RUN of the threads 0 to 7 of the core, which problem state does not see (Power ISA 3.0B Book
    /// III, "Control Register").
    fn thread_state(&self) -> u64 {
        if self.problem() {
            return 0;
        }
        let own = 0x80 >> (self.spr.tir & 7);
        let others = self.run_latches as u64 & !own;
        (others | if self.spr.ctrl & 1 != 0 { own } else { 0 }) << 8
    }

    /// What a register that is more than storage reads at `now`.
    pub(crate) fn kept(&self, kept: Kept, now: Instant) -> u64 {
        match kept {
            Kept::Xer => self.regs.xer(),
            Kept::Lr => self.regs.lr,
            Kept::Ctr => self.regs.ctr,
            Kept::Vrsave => self.regs.vrsave,
            Kept::Cfar => self.regs.cfar,
            Kept::Tar => self.regs.tar,
            Kept::Dec => self.dec(now),
            Kept::Hdec => self.hdec(now),
            Kept::Tb => self.tb(now),
            Kept::Vtb => self.vtb(now),
            Kept::Purr => self.purr(now),
            Kept::Spurr => self.spurr(now),
            Kept::Dpdes => self.doorbell as u64,
            Kept::TbUpper => self.tb(now) >> 32,
            Kept::TbLower => self.tb(now) & 0xffff_ffff,
            Kept::TbUpper40 => self.tb(now) & !0xff_ffff,
            Kept::TexasrUpper => self.spr.texasr >> 32,
            Kept::PprUpper => self.spr.ppr >> 32,
            Kept::BescrSet { upper } | Kept::BescrReset { upper } => {
                self.spr.bescr >> if upper { 32 } else { 0 }
            }
            Kept::Reserved => 0,
        }
    }
}

/// What TFMR reads after `value` was written (POWER9 user's manual, "Timer facilities management register"). All TBs of
/// a machine run from one time, so what software asks for is done at once and leaves TB as it is.
fn timer_management(old: u64, value: u64) -> u64 {
    const LOAD_MODE: u64 = 1 << (63 - 16);
    const MOVE: u64 = 1 << (63 - 18);
    const CLEAR_ERRORS: u64 = 1 << (63 - 24);
    const VALID: u64 = 1 << (63 - 41);
    const STATE: u64 = 0xf << (63 - 31);
    const NOT_SET: u64 = 2 << (63 - 31);
    const RUNNING: u64 = 8 << (63 - 31);
    let derived = STATE | VALID;
    let now = if value & MOVE != 0 {
        RUNNING | VALID
    } else if value & LOAD_MODE != 0 {
        NOT_SET
    } else {
        old & derived
    };
    value & !(derived | LOAD_MODE | MOVE | CLEAR_ERRORS) | now
}
