//! Special purpose registers: number, privilege and implemented bits of each (Power ISA Book III 5.4.4, "Move
//! To/From System Register"), and what `mtspr` and `mfspr` do with those that are more than storage.

use crate::bits::{lpcr, mmcr0, msr};
use crate::interpreter::Core;
use crate::observe::Observation;
use crate::pmu;
use crate::{Exit, Model, Vcpu};
use timebase_isa::{Ops, Trap};
use timebase_state::State;

/// Who may use an SPR number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Privilege {
    /// Problem state.
    U,
    /// Privileged.
    S,
    /// Hypervisor.
    H,
    /// Nobody.
    N,
}
use Privilege::{H, N, S, U};

/// One number of a register that is plain storage.
pub(crate) struct Row {
    pub read: Privilege,
    pub write: Privilege,
    /// Implemented bits; the others read as 0.
    pub mask: u64,
    pub get: fn(&mut Sprs) -> &mut u64,
    pub value: fn(&Sprs) -> u64,
    /// First ISA level.
    pub since: u16,
}

macro_rules! sprs {
    ($(
        $(#[$doc:meta])*
        $field:ident $mask:literal since $since:literal : $($number:literal $read:ident $write:ident),+;
    )*) => {
        /// Registers that are plain storage.
        #[derive(State, Clone, Default, Debug, PartialEq, Eq)]
        pub struct Sprs { $($(#[$doc])* pub $field: u64,)* }

        /// The row of an SPR number.
        pub(crate) fn row(number: u64) -> Option<Row> {
            match number {
                $($($number => Some(Row {
                    read: $read, write: $write, mask: $mask, get: |s| &mut s.$field, value: |s| s.$field,
                    since: $since,
                }),)+)*
                _ => None,
            }
        }

        /// Every row's name with its numbers.
        const NAMES: &[(&str, &[u16])] = &[$((stringify!($field), &[$($number),+])),*];
    };
}

/// The number of the SPR of this name: that by which the most privileged state may write it.
pub(crate) fn number(name: &str) -> Option<u16> {
    NAMES.iter().find(|row| row.0 == name).and_then(|row| row.1.last().copied())
}

/// The name of an SPR number.
pub(crate) fn name(number: u16) -> Option<&'static str> {
    NAMES.iter().find(|row| row.1.contains(&number)).map(|row| row.0)
}

const ALL: u64 = u64::MAX;

sprs! {
    /// Data stream control.
    dscr 0x1ff_ffff since 300: 3 U U, 17 S S;
    /// Data storage interrupt status.
    dsisr 0xffff_ffff since 300: 18 S S;
    /// Data address.
    dar 0xffff_ffff_ffff_ffff since 300: 19 S S;
    /// Save/restore 0.
    srr0 0xffff_ffff_ffff_ffff since 300: 26 S S;
    /// Save/restore 1.
    srr1 0xffff_ffff_ffff_ffff since 300: 27 S S;
    /// Authority mask.
    amr 0xffff_ffff_ffff_ffff since 300: 13 U U, 29 S S;
    /// Process id.
    pidr 0xffff_ffff since 300: 48 S S;
    /// Instruction authority mask.
    iamr 0xffff_ffff_ffff_ffff since 300: 61 S S;
    /// Transaction failure handler address.
    tfhar 0xffff_ffff_ffff_fffc since 300: 128 U U;
    /// Transaction failure instruction address.
    tfiar 0xffff_ffff_ffff_ffff since 300: 129 U U;
    /// Transaction exception and summary.
    texasr 0xffff_ffff_ffff_ffff since 300: 130 U U;
    /// Control: the run latch.
    ctrl 1 since 300: 136 U N, 152 N S;
    /// Facility status and control.
    fscr 0xff00_0000_0000_3fff since 300: 153 S S;
    /// User authority mask override.
    uamor 0xffff_ffff_ffff_ffff since 300: 157 S S;
    /// Problem state priority boost.
    pspb 0xffff_ffff since 300: 159 S S;
    /// Directed privileged doorbell exception state is in the vCPU; this is DAWR0.
    dawr0 0xffff_ffff_ffff_fff8 since 300: 180 H H;
    /// Data address watchpoint 1.
    dawr1 0xffff_ffff_ffff_fff8 since 310: 181 H H;
    /// Relative priority.
    rpr 0xffff_ffff_ffff_ffff since 300: 186 H H;
    /// Completed instruction address breakpoint.
    ciabr 0xffff_ffff_ffff_ffff since 300: 187 H H;
    /// Data address watchpoint extension 0.
    dawrx0 0xffff_ffff since 300: 188 H H;
    /// Data address watchpoint extension 1.
    dawrx1 0xffff_ffff since 310: 189 H H;
    /// Hypervisor facility status and control.
    hfscr 0xffff_ffff_ffff_ffff since 300: 190 H H;
    /// Software use 0.
    sprg0 0xffff_ffff_ffff_ffff since 300: 272 S S;
    /// Software use 1.
    sprg1 0xffff_ffff_ffff_ffff since 300: 273 S S;
    /// Software use 2.
    sprg2 0xffff_ffff_ffff_ffff since 300: 274 S S;
    /// Software use 3, readable by problem state as 259.
    sprg3 0xffff_ffff_ffff_ffff since 300: 259 U N, 275 S S;
    /// Hypervisor software use 0.
    hsprg0 0xffff_ffff_ffff_ffff since 300: 304 H H;
    /// Hypervisor software use 1.
    hsprg1 0xffff_ffff_ffff_ffff since 300: 305 H H;
    /// Hypervisor DSISR.
    hdsisr 0xffff_ffff since 300: 306 H H;
    /// Hypervisor DAR.
    hdar 0xffff_ffff_ffff_ffff since 300: 307 H H;
    /// Hypervisor real mode offset.
    hrmor 0x000f_ffff_fff0_0000 since 300: 313 H H;
    /// Hypervisor save/restore 0.
    hsrr0 0xffff_ffff_ffff_ffff since 300: 314 H H;
    /// Hypervisor save/restore 1.
    hsrr1 0xffff_ffff_ffff_ffff since 300: 315 H H;
    /// Logical partitioning control.
    lpcr 0xffff_ffff_ffff_ffff since 300: 318 H H;
    /// Logical partition id.
    lpidr 0xfff since 300: 319 H H;
    /// Hypervisor maintenance exception.
    hmer 0xffff_ffff_ffff_ffff since 300: 336 H H;
    /// Hypervisor maintenance exception enable.
    hmeer 0xffff_ffff_ffff_ffff since 300: 337 H H;
    /// Processor compatibility.
    pcr 0xffff_ffff_ffff_ffff since 300: 338 H H;
    /// Hypervisor emulation instruction.
    heir 0xffff_ffff_ffff_ffff since 300: 339 H H;
    /// Authority mask override.
    amor 0xffff_ffff_ffff_ffff since 300: 349 H H;
    /// DEXCR.
    dexcr 0xffff_ffff_ffff_ffff since 310: 812 U N, 828 S S;
    /// HDEXCR.
    hdexcr 0xffff_ffff_ffff_ffff since 310: 471 U N, 455 H H;
    /// Hash key.
    hashkeyr 0xffff_ffff_ffff_ffff since 310: 468 H H;
    /// Privileged hash key.
    hashpkeyr 0xffff_ffff_ffff_ffff since 310: 469 H H;
    /// Partition table control.
    ptcr 0x0fff_ffff_ffff_f01f since 300: 464 H H;
    /// Sampled instruction event, 2 and 3 on POWER10.
    sier 0xffff_ffff_ffff_ffff since 300: 768 U N, 784 S S;
    /// SIER2.
    sier2 0xffff_ffff_ffff_ffff since 310: 736 U N, 752 S S;
    /// SIER3.
    sier3 0xffff_ffff_ffff_ffff since 310: 737 U N, 753 S S;
    /// Monitor mode control 3.
    mmcr3 0xffff_ffff_ffff_ffff since 310: 738 U N, 754 S S;
    /// Monitor mode control 2.
    mmcr2 0xffff_ffff_ffff_ffff since 300: 769 U U, 785 S S;
    /// Monitor mode control A.
    mmcra 0xffff_ffff_ffff_ffff since 300: 770 U U, 786 S S;
    /// Performance monitor counter 1.
    pmc1 0xffff_ffff since 300: 771 U U, 787 S S;
    /// Performance monitor counter 2.
    pmc2 0xffff_ffff since 300: 772 U U, 788 S S;
    /// Performance monitor counter 3.
    pmc3 0xffff_ffff since 300: 773 U U, 789 S S;
    /// Performance monitor counter 4.
    pmc4 0xffff_ffff since 300: 774 U U, 790 S S;
    /// Performance monitor counter 5.
    pmc5 0xffff_ffff since 300: 775 U U, 791 S S;
    /// Performance monitor counter 6.
    pmc6 0xffff_ffff since 300: 776 U U, 792 S S;
    /// Monitor mode control 0.
    mmcr0 0xffff_ffff since 300: 779 U U, 795 S S;
    /// Sampled instruction address.
    siar 0xffff_ffff_ffff_ffff since 300: 780 U N, 796 S S;
    /// Sampled data address.
    sdar 0xffff_ffff_ffff_ffff since 300: 781 U N, 797 S S;
    /// Monitor mode control 1.
    mmcr1 0xffff_ffff_ffff_ffff since 300: 782 U N, 798 S S;
    /// Event-based branch handler.
    ebbhr 0xffff_ffff_ffff_fffc since 300: 804 U U;
    /// Event-based branch return.
    ebbrr 0xffff_ffff_ffff_fffc since 300: 805 U U;
    /// Branch event status and control.
    bescr 0xffff_ffff_ffff_ffff since 300: 806 U U;
    /// Access segment descriptor.
    asdr 0xffff_ffff_ffff_ffff since 300: 816 H H;
    /// Processor stop status and control.
    psscr 0xffff_ffff_ffff_ffff since 300: 823 S S, 855 H H;
    /// Instruction counter.
    ic 0xffff_ffff_ffff_ffff since 300: 848 S H;
    /// LD base address.
    ldbar 0xffff_ffff_ffff_ffff since 300: 850 H H;
    /// Monitor mode control C.
    mmcrc 0xffff_ffff since 300: 851 H H;
    /// Power management idle control.
    pmicr 0xffff_ffff_ffff_ffff since 300: 852 H H;
    /// Power management status.
    pmsr 0xffff_ffff_ffff_ffff since 300: 853 H N;
    /// Power management memory activity.
    pmmar 0xffff_ffff_ffff_ffff since 300: 854 H H;
    /// L2 quality of service.
    l2qosr 0xffff_ffff_ffff_ffff since 300: 861 N H;
    /// Workload optimisation.
    wort 0xffff_ffff_ffff_ffff since 300: 895 S S;
    /// Trigger 0.
    trig0 0xffff_ffff_ffff_ffff since 300: 880 N S;
    /// Trigger 1.
    trig1 0xffff_ffff_ffff_ffff since 300: 881 N S;
    /// Trigger 2.
    trig2 0xffff_ffff_ffff_ffff since 300: 882 N S;
    /// Program priority; 898 is its upper half.
    ppr 0x001c_0000_0000_0000 since 300: 896 U U;
    /// Thread switch control.
    tscr 0xffff_ffff since 300: 921 H H;
    /// Thread switch timeout.
    ttr 0xffff_ffff_ffff_ffff since 300: 922 H H;
    /// Hardware implementation dependent 0.
    hid0 0xffff_ffff_ffff_ffff since 300: 1008 H H;
    /// Hardware implementation dependent 1.
    hid1 0xffff_ffff_ffff_ffff since 300: 1009 H H;
    /// Hardware implementation dependent 4.
    hid4 0xffff_ffff_ffff_ffff since 300: 1012 H H;
    /// Hardware implementation dependent 5.
    hid5 0xffff_ffff_ffff_ffff since 300: 1014 H H;
    /// Timer facilities management.
    tfmr 0xffff_ffff_ffff_ffff since 300: 317 H H;
    /// Processor id.
    pir 0xffff since 300: 1023 S N;
    /// Thread id.
    tir 0xff since 300: 446 S N;
    /// Processor version.
    pvr 0xffff_ffff since 300: 287 S N;
    /// Scratch of the service processor, indirect.
    sprc 0xffff_ffff_ffff_ffff since 300: 276 H H;
    /// Data of the same.
    sprd 0xffff_ffff_ffff_ffff since 300: 277 H H;
    /// Hypervisor real-mode caching inhibited.
    rmmr 0xffff_ffff_ffff_ffff since 300: 1010 H H;
    /// IMC: access control.
    usprg 0xffff_ffff_ffff_ffff since 300: 282 H H;
}

impl Sprs {
    /// Power-on values.
    pub fn cold(index: u32, model: Model) -> Sprs {
        Sprs {
            pvr: model.pvr() as u64,
            pir: index as u64,
            ctrl: 1,
            // What a hypervisor gives a guest: every facility.
            hfscr: 0x3fff,
            ppr: 4 << 50,
            mmcr0: 0x8000_0000,
            ..Sprs::default()
        }
    }
}

/// FSCR bit numbers (from the least significant), which are also the causes in FSCR[IC].
pub(crate) mod facility {
    pub const TM: u8 = 5;
    pub const SCV: u8 = 12;
    pub const PREFIX: u8 = 13;
    pub const DSCR: u8 = 2;
    pub const PERFORMANCE_MONITOR: u8 = 3;
    pub const EBB: u8 = 7;
    pub const TAR: u8 = 8;
}

/// The facility that problem state needs for an SPR.
fn needs(number: u64) -> Option<u8> {
    match number {
        3 => Some(facility::DSCR),
        800..=806 => Some(facility::EBB),
        815 => Some(facility::TAR),
        _ => None,
    }
}

/// The run latch.
const CTRL: u64 = 152;

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

    fn allowed(&self, privilege: Privilege) -> bool {
        match privilege {
            U => true,
            S => !self.cpu.problem(),
            H => self.cpu.hypervisor(),
            N => false,
        }
    }

    /// The register of this number, if the model has it. ISA 3.1 has no transactional memory.
    fn row(&self, number: u64) -> Option<Row> {
        let level = self.cpu.model.level();
        row(number).filter(|row| row.since <= level && !(level >= 310 && matches!(number, 128..=130)))
    }

    /// Attempts of this run before this one.
    fn attempts(&self) -> u64 {
        self.count - self.run.world.count
    }

    /// Which bits of a register of the performance monitor problem state may read, or write (III 9.4.4, MMCR0[PMCC]).
    fn performance_access(&self, number: u64, write: bool) -> Result<u64, Trap> {
        const MMCR0_BITS: u64 = mmcr0::FC | mmcr0::PMAE | mmcr0::PMAO;
        /// FCnP0 of all counters.
        const MMCR2_BITS: u64 = 0x4020_1008_0402_0000;
        if !self.cpu.problem() || !matches!(number, 736..=738 | 768..=782) {
            return Ok(ALL);
        }
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

    fn check_facility(&self, number: u64) -> Result<(), Trap> {
        if matches!(number, 128..=131) {
            return self.cpu.transactions_available();
        }
        match needs(number) {
            Some(bit) if self.cpu.problem() && self.cpu.spr.fscr >> bit & 1 == 0 => Err(Trap::Facility(bit)),
            _ => Ok(()),
        }
    }

    /// The privilege for reading and writing of a number that is more than storage.
    fn special(&self, number: u64) -> Option<(Privilege, Privilege)> {
        Some(match number {
            22 => (S, S),
            28 => (S, S),
            131 if self.cpu.model.level() < 310 => (U, U),
            268 | 269 => (U, N),
            284 | 285 => (N, H),
            286 => (N, H),
            308 | 309 => (S, H),
            310 => (H, H),
            176 => (S, H),
            800..=803 | 815 => (U, U),
            849 => (S, H),
            898 => (U, U),
            _ => return None,
        })
    }

    /// `mfspr`, `mftb`.
    pub(crate) fn mfspr(&mut self, i: &Ops) -> Result<(), Trap> {
        let number = i.imm;
        let now = self.now();
        if let Some((read, _)) = self.special(number) {
            if !self.allowed(read) {
                return self.no_such_spr(number, false);
            }
            self.check_facility(number)?;
            let cpu = &mut *self.cpu;
            cpu.regs.gpr[i.t as usize] = match number {
                22 => cpu.dec(now),
                28 => cpu.regs.cfar,
                131 => cpu.spr.texasr >> 32,
                268 => cpu.tb(now),
                269 => cpu.tb(now) >> 32,
                308 | 309 => cpu.purr(now),
                310 => cpu.hdec(now),
                176 => cpu.doorbell as u64,
                801 | 803 => cpu.spr.bescr >> 32,
                800 | 802 => cpu.spr.bescr,
                815 => cpu.regs.tar,
                849 => cpu.vtb(now),
                _ => cpu.spr.ppr >> 32,
            };
            return Ok(());
        }
        match self.row(number) {
            Some(row) if self.allowed(row.read) => {
                self.check_facility(number)?;
                let access = self.performance_access(number, false)?;
                let value = match pmu::counter_number(number) {
                    Some(n) => self.cpu.counter_within(n, self.attempts(), now),
                    None => (row.value)(&self.cpu.spr),
                };
                self.cpu.regs.gpr[i.t as usize] = value & access;
                Ok(())
            }
            _ => self.no_such_spr(number, false),
        }
    }

    /// `mtspr`.
    pub(crate) fn mtspr(&mut self, i: &Ops) -> Result<(), Trap> {
        let number = i.imm;
        let value = self.cpu.regs.gpr[i.t as usize];
        let now = self.now();
        if let Some((_, write)) = self.special(number) {
            if !self.allowed(write) {
                return self.no_such_spr(number, true);
            }
            self.check_facility(number)?;
            let cpu = &mut *self.cpu;
            match number {
                22 => {
                    cpu.set_dec(value, now);
                    self.run.world.observe(self.count, || Observation::Decrementer(value));
                    self.run.exit(Exit::Look);
                }
                28 => cpu.regs.cfar = value,
                131 => cpu.spr.texasr = cpu.spr.texasr & 0xffff_ffff | value << 32,
                284 => cpu.set_tb(cpu.tb(now) & !0xffff_ffff | value & 0xffff_ffff, now),
                285 => cpu.set_tb(cpu.tb(now) & 0xffff_ffff | value << 32, now),
                286 => cpu.set_tb(cpu.tb(now) & 0xff_ffff | value & !0xff_ffff, now),
                308 | 309 => {
                    cpu.purr_zero = timebase_state::Instant::from_ticks(now.ticks().wrapping_sub(value))
                }
                310 => {
                    cpu.set_hdec(value, now);
                    self.run.world.observe(self.count, || Observation::HypervisorDecrementer(value));
                    self.run.exit(Exit::Look);
                }
                176 => {
                    cpu.doorbell = value & 1 != 0;
                    self.run.exit(Exit::Look);
                }
                800..=803 => {
                    cpu.spr.bescr = match number {
                        800 => cpu.spr.bescr | value,
                        801 => cpu.spr.bescr | value << 32,
                        802 => cpu.spr.bescr & !value,
                        _ => cpu.spr.bescr & !(value << 32),
                    };
                    self.run.exit(Exit::Look);
                }
                815 => cpu.regs.tar = value,
                849 => cpu.vtb_zero = timebase_state::Instant::from_ticks(now.ticks().wrapping_sub(value)),
                _ => cpu.spr.ppr = value << 32 & 0x001c_0000_0000_0000,
            }
            return Ok(());
        }
        match self.row(number) {
            Some(row) if self.allowed(row.write) => {
                self.check_facility(number)?;
                let access = self.performance_access(number, true)?;
                let old = (row.value)(&self.cpu.spr);
                let value = self.permitted(number, (old & !access | value & access) & row.mask);
                let frozen = self.cpu.spr.mmcr0 & mmcr0::FC != 0;
                let counts = pmu::is_affected_by(number) && !(frozen && number == CTRL);
                if counts {
                    // The instruction itself counts as it would have counted before.
                    self.cpu.count_run(self.attempts() + 1);
                    self.cpu.hold_counters(now);
                }
                *(row.get)(&mut self.cpu.spr) = value;
                match number {
                    13 | 29 | 48 | 61 | 180 | 181 | 188 | 189 | 313 | 318 | 319 | 464 => {
                        self.cpu.context_changed()
                    }
                    _ => {}
                }
                if counts {
                    self.cpu.let_count(now);
                }
                // LPCR, CIABR, HMER, HMEER, and HID0, which the threads of a core share.
                if number == 318 || number == 1008 || matches!(number, 187 | 336 | 337) || counts {
                    self.run.exit(Exit::Look);
                }
                Ok(())
            }
            _ => self.no_such_spr(number, true),
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

impl Vcpu {
    /// MSR bits that the model has.
    pub(crate) fn implemented_msr(&self) -> u64 {
        msr::ALL | if self.model == Model::Power9 { msr::TM } else { 0 }
    }

    /// MSR[TM] makes transactional memory available, in every state.
    pub(crate) fn transactions_available(&self) -> Result<(), Trap> {
        if self.regs.msr & msr::TM != 0 { Ok(()) } else { Err(Trap::Facility(facility::TM)) }
    }

    /// FSCR makes the facility available to problem state; other states need no leave.
    pub(crate) fn facility(&self, bit: u8) -> bool {
        self.spr.fscr >> bit & 1 != 0 || self.regs.msr & msr::PR == 0
    }
}
