//! Every special purpose register of POWER9 and POWER10 (Power ISA 3.0B and 3.1, Book III, "SPR encodings"; POWER9 and
//! POWER10 user's manuals for those the books leave to the implementation): number, name, who may read and write it,
//! implemented bits, the facility it belongs to, where its content is. Everything else that the project knows of an SPR
//! number comes from here; names as an assembler prints them are in the `isa` crate.
//!
//! Left out: registers of an ultravisor (496, 497, 505 to 507, 511), which no machine here has.

use super::facility;
use crate::bits::lpcr;
use crate::{Model, Vcpu};
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

impl Privilege {
    /// The state that `cpu` is in has it.
    pub fn has(self, cpu: &Vcpu) -> bool {
        match self {
            U => true,
            S => !cpu.problem(),
            H => cpu.hypervisor(),
            N => false,
        }
    }
}

/// Where the content of a register is.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// In [`Sprs`].
    Stored(Stored),
    /// Elsewhere.
    Kept(Kept),
}

/// A field of [`Sprs`].
#[derive(Clone, Copy)]
pub(crate) struct Stored {
    pub get: fn(&mut Sprs) -> &mut u64,
    pub value: fn(&Sprs) -> u64,
}

/// Registers that are more than storage, and views of parts of others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    Xer,
    Lr,
    Ctr,
    Vrsave,
    Cfar,
    Tar,
    Dec,
    Hdec,
    Tb,
    Vtb,
    Purr,
    Spurr,
    Dpdes,
    /// Upper word of TB.
    TbUpper,
    /// Lower word of TB.
    TbLower,
    /// Upper 40 bits of TB.
    TbUpper40,
    /// Upper word of TEXASR.
    TexasrUpper,
    /// Upper word of PPR.
    PprUpper,
    /// BESCR: ones set bits; of its upper word if so.
    BescrSet {
        upper: bool,
    },
    /// BESCR: ones clear bits.
    BescrReset {
        upper: bool,
    },
    /// Numbers that are reserved for hints: no operation (Book I 1.3.3).
    Reserved,
}

impl Kept {
    /// A view of a part of another register, or nothing at all.
    pub fn is_part(self) -> bool {
        use Kept::*;
        matches!(
            self,
            TbUpper
                | TbLower
                | TbUpper40
                | TexasrUpper
                | PprUpper
                | BescrSet { .. }
                | BescrReset { .. }
                | Reserved
        )
    }
}

/// One SPR number.
pub(crate) struct Row {
    pub number: u16,
    pub name: &'static str,
    pub read: Privilege,
    pub write: Privilege,
    /// Implemented bits on POWER9 and POWER10, if they have the register. The others read as 0.
    bits: [Option<u64>; 2],
    /// The bit of HFSCR and FSCR that says whether it may be used.
    pub facility: Option<u8>,
    pub place: Place,
}

impl Row {
    /// The implemented bits, if the model has the register.
    pub const fn bits(&self, model: Model) -> Option<u64> {
        self.bits[model as usize]
    }

    /// It is a register of its own.
    pub fn is_whole(&self) -> bool {
        !matches!(self.place, Place::Kept(kept) if kept.is_part())
    }
}

/// These bits on both CPUs.
const fn both(bits: u64) -> [Option<u64>; 2] {
    [Some(bits), Some(bits)]
}

/// Only POWER9 has it.
const fn power9(bits: u64) -> [Option<u64>; 2] {
    [Some(bits), None]
}

/// Only POWER10 has it.
const fn power10(bits: u64) -> [Option<u64>; 2] {
    [None, Some(bits)]
}

/// Different bits on POWER9 and POWER10.
const fn each(power9: u64, power10: u64) -> [Option<u64>; 2] {
    [Some(power9), Some(power10)]
}

macro_rules! facility_of {
    () => {
        None
    };
    ($facility:ident) => {
        Some(facility::$facility)
    };
}

macro_rules! sprs {
    (
        stored { $(
            $(#[$doc:meta])*
            $field:ident $bits:expr, $($number:literal $read:ident $write:ident $([$facility:ident])?),+;
        )* }
        kept { $(
            $name:ident $kept:expr, $kept_bits:expr,
            $kept_number:literal $kept_read:ident $kept_write:ident $([$kept_facility:ident])?;
        )* }
    ) => {
        /// Registers that are plain storage.
        #[derive(State, Clone, Default, Debug, PartialEq, Eq)]
        pub struct Sprs { $($(#[$doc])* pub $field: u64,)* }

        /// All of them.
        pub(crate) static ROWS: &[Row] = &[
            $($(Row {
                number: $number, name: stringify!($field), read: $read, write: $write, bits: $bits,
                facility: facility_of!($($facility)?),
                place: Place::Stored(Stored { get: |s| &mut s.$field, value: |s| s.$field }),
            },)+)*
            $(Row {
                number: $kept_number, name: stringify!($name), read: $kept_read, write: $kept_write,
                bits: $kept_bits, facility: facility_of!($($kept_facility)?), place: Place::Kept($kept),
            },)*
        ];
    };
}

const ALL: u64 = u64::MAX;
const WORD: u64 = 0xffff_ffff;

/// LPCR: VPM, ISL, KBV and DPFD beside those that have a name.
const LPCR: u64 = 7 << 60
    | 7 << 52
    | lpcr::PECE_VIRTUALIZATION
    | lpcr::ILE
    | lpcr::AIL
    | lpcr::UPRT
    | lpcr::EVIRT
    | lpcr::HR
    | lpcr::ONL
    | lpcr::LD
    | lpcr::PECE
    | lpcr::MER
    | lpcr::GTSE
    | lpcr::TC
    | lpcr::HEIC
    | lpcr::LPES
    | lpcr::HVICE
    | lpcr::HDICE;
/// MMCR2: seven bits of the nine of each counter.
const MMCR2: u64 = 0x1fc << 55 | 0x1fc << 46 | 0x1fc << 37 | 0x1fc << 28 | 0x1fc << 19 | 0x1fc << 10;
/// BESCR: GE, EE, PME, TS on POWER9, EEO, PMEO.
const BESCR: [Option<u64>; 2] = each(0x8000_0003_c000_0003, 0x8000_0003_0000_0003);
const IC: u64 = 0xff << 56;

sprs! {
    stored {
        /// Data stream control.
        dscr both(0x1ff_ffff), 3 U U [DSCR], 17 S S [DSCR];
        /// Data storage interrupt status.
        dsisr both(WORD), 18 S S;
        /// Data address.
        dar both(ALL), 19 S S;
        /// Save/restore 0.
        srr0 both(ALL), 26 S S;
        /// Save/restore 1.
        srr1 both(ALL), 27 S S;
        /// Authority mask.
        amr both(ALL), 13 U U, 29 S S;
        /// Process id, of which 20 bits are implemented.
        pidr both(0xf_ffff), 48 S S;
        /// Instruction authority mask: the second bit of each key.
        iamr both(0x5555_5555_5555_5555), 61 S S;
        /// Transaction failure handler address.
        tfhar power9(!3), 128 U U [TM];
        /// Transaction failure instruction address.
        tfiar power9(ALL), 129 U U [TM];
        /// Transaction exception and summary.
        texasr power9(ALL), 130 U U [TM];
        /// Control: the run latch.
        ctrl both(1), 136 U N, 152 N S;
        /// Thread id, for notifications of accelerators.
        tidr power9(0xffff), 144 S S;
        /// Facility status and control: IC, SCV, TAR, EBB, DSCR; PREFIX.
        fscr each(IC | 0x1184, IC | 0x3184), 153 S S;
        /// User authority mask override.
        uamor both(ALL), 157 S S;
        /// Problem state priority boost.
        pspb both(WORD), 159 S S;
        /// Data address watchpoint 0.
        dawr0 both(!7), 180 H H;
        /// Data address watchpoint 1.
        dawr1 power10(!7), 181 H H;
        /// Relative priority.
        rpr both(ALL), 186 H H;
        /// Completed instruction address breakpoint.
        ciabr both(ALL), 187 H H;
        /// Data address watchpoint extension 0: MRD, HRAMMC, DW, DR, WT, WTI, PRIVM.
        dawrx0 both(0xfcff), 188 H H;
        /// Data address watchpoint extension 1.
        dawrx1 power10(0xfcff), 189 H H;
        /// Hypervisor facility status and control: IC, MSGP, TAR, EBB, TM, BHRB, PM, DSCR, VECVSX, FP; PREFIX.
        hfscr each(IC | 0x5bf, IC | 0x259f), 190 H H;
        /// Software use 0.
        sprg0 both(ALL), 272 S S;
        /// Software use 1.
        sprg1 both(ALL), 273 S S;
        /// Software use 2.
        sprg2 both(ALL), 274 S S;
        /// Software use 3.
        sprg3 both(ALL), 259 U N, 275 S S;
        /// Chip information.
        cir both(WORD), 283 S N;
        /// Hypervisor software use 0.
        hsprg0 both(ALL), 304 H H;
        /// Hypervisor software use 1.
        hsprg1 both(ALL), 305 H H;
        /// Hypervisor DSISR.
        hdsisr both(WORD), 306 H H;
        /// Hypervisor DAR.
        hdar both(ALL), 307 H H;
        /// Hypervisor real mode offset.
        hrmor both(0x000f_ffff_fff0_0000), 313 H H;
        /// Hypervisor save/restore 0.
        hsrr0 both(ALL), 314 H H;
        /// Hypervisor save/restore 1.
        hsrr1 both(ALL), 315 H H;
        /// Logical partitioning control.
        lpcr each(LPCR, LPCR | lpcr::HAIL), 318 H H;
        /// Logical partition id, of which 12 bits are implemented.
        lpidr both(0xfff), 319 H H;
        /// Hypervisor maintenance exception.
        hmer both(ALL), 336 H H;
        /// Hypervisor maintenance exception enable.
        hmeer both(ALL), 337 H H;
        /// Processor compatibility: the levels 2.05 to 2.07; 3.0 and MMA.
        pcr each(0xe, 1 << 60 | 0x1e), 338 H H;
        /// Hypervisor emulated instruction, with its prefix on POWER10.
        heir each(WORD, ALL), 339 H H;
        /// Authority mask override.
        amor both(ALL), 349 H H;
        /// Dynamic execution control.
        dexcr power10(ALL), 812 U N, 828 S S;
        /// Hypervisor dynamic execution control.
        hdexcr power10(ALL), 455 U N, 471 H H;
        /// Hash key.
        hashkeyr power10(ALL), 468 S S;
        /// Privileged hash key.
        hashpkeyr power10(ALL), 469 H H;
        /// Partition table control: PATB, PATS.
        ptcr both(0x0fff_ffff_ffff_f01f), 464 H H;
        /// Sampled instruction event.
        sier both(ALL), 768 U N [PERFORMANCE_MONITOR], 784 S S [PERFORMANCE_MONITOR];
        /// Sampled instruction event 2.
        sier2 power10(ALL), 736 U N [PERFORMANCE_MONITOR], 752 S S [PERFORMANCE_MONITOR];
        /// Sampled instruction event 3.
        sier3 power10(ALL), 737 U N [PERFORMANCE_MONITOR], 753 S S [PERFORMANCE_MONITOR];
        /// Monitor mode control 3.
        mmcr3 power10(ALL), 738 U N [PERFORMANCE_MONITOR], 754 S S [PERFORMANCE_MONITOR];
        /// Monitor mode control 2.
        mmcr2 both(MMCR2), 769 U U [PERFORMANCE_MONITOR], 785 S S [PERFORMANCE_MONITOR];
        /// Monitor mode control A.
        mmcra both(ALL), 770 U U [PERFORMANCE_MONITOR], 786 S S [PERFORMANCE_MONITOR];
        /// Performance monitor counter 1.
        pmc1 both(WORD), 771 U U [PERFORMANCE_MONITOR], 787 S S [PERFORMANCE_MONITOR];
        /// Performance monitor counter 2.
        pmc2 both(WORD), 772 U U [PERFORMANCE_MONITOR], 788 S S [PERFORMANCE_MONITOR];
        /// Performance monitor counter 3.
        pmc3 both(WORD), 773 U U [PERFORMANCE_MONITOR], 789 S S [PERFORMANCE_MONITOR];
        /// Performance monitor counter 4.
        pmc4 both(WORD), 774 U U [PERFORMANCE_MONITOR], 790 S S [PERFORMANCE_MONITOR];
        /// Performance monitor counter 5.
        pmc5 both(WORD), 775 U U [PERFORMANCE_MONITOR], 791 S S [PERFORMANCE_MONITOR];
        /// Performance monitor counter 6.
        pmc6 both(WORD), 776 U U [PERFORMANCE_MONITOR], 792 S S [PERFORMANCE_MONITOR];
        /// Monitor mode control 0; PMCCEXT.
        mmcr0 each(0xfffc_f9bf, 0xfffc_fbbf), 779 U U [PERFORMANCE_MONITOR], 795 S S [PERFORMANCE_MONITOR];
        /// Sampled instruction address.
        siar both(ALL), 780 U N [PERFORMANCE_MONITOR], 796 S S [PERFORMANCE_MONITOR];
        /// Sampled data address.
        sdar both(ALL), 781 U N [PERFORMANCE_MONITOR], 797 S S [PERFORMANCE_MONITOR];
        /// Monitor mode control 1.
        mmcr1 both(ALL), 782 U N [PERFORMANCE_MONITOR], 798 S S [PERFORMANCE_MONITOR];
        /// Event-based branch handler.
        ebbhr both(!3), 804 U U [EBB];
        /// Event-based branch return.
        ebbrr both(!3), 805 U U [EBB];
        /// Branch event status and control.
        bescr BESCR, 806 U U [EBB];
        /// Access segment descriptor.
        asdr both(ALL), 816 H H;
        /// Processor stop status and control: SD, ESL, EC, PSLL, TR, MTL, RL. As 823 it lacks those that only a hypervisor
        /// may see, which the operations take care of.
        psscr both(0x7f_03ff), 823 S S, 855 H H;
        /// Instruction counter.
        ic both(ALL), 848 S H;
        /// LD base address.
        ldbar both(ALL), 850 H H;
        /// Monitor mode control C.
        mmcrc both(WORD), 851 H H;
        /// Power management idle control.
        pmicr both(ALL), 852 H H;
        /// Power management status.
        pmsr both(ALL), 853 H N;
        /// Power management memory activity.
        pmmar both(ALL), 854 H H;
        /// L2 quality of service.
        l2qosr both(ALL), 861 N H;
        /// Trigger 0.
        trig0 both(ALL), 880 N S;
        /// Trigger 1.
        trig1 both(ALL), 881 N S;
        /// Trigger 2.
        trig2 both(ALL), 882 N S;
        /// Power management control.
        pmcr both(ALL), 884 H H;
        /// Region-weighting mode.
        rwmr both(ALL), 885 H H;
        /// Workload optimisation.
        wort both(ALL), 895 S S;
        /// Program priority.
        ppr both(7 << 50), 896 U U;
        /// Thread switch control.
        tscr both(WORD), 921 H H;
        /// Thread switch timeout.
        ttr both(ALL), 922 H H;
        /// Hardware implementation dependent 0.
        hid0 both(ALL), 1008 H H;
        /// Hardware implementation dependent 1.
        hid1 both(ALL), 1009 H H;
        /// Hardware implementation dependent 4.
        hid4 both(ALL), 1012 H H;
        /// Hardware implementation dependent 5.
        hid5 both(ALL), 1014 H H;
        /// Timer facilities management.
        tfmr both(ALL), 317 H H;
        /// Processor id.
        pir both(WORD), 1023 S N;
        /// Thread id.
        tir both(0xff), 446 S N [MSGP];
        /// Processor version.
        pvr both(WORD), 287 S N;
        /// Which register of the core SPRD names.
        sprc both(ALL), 276 H H;
        /// Data of a register of the core.
        sprd both(ALL), 277 H H;
    }
    kept {
        xer Kept::Xer, both(WORD), 1 U U;
        lr Kept::Lr, both(ALL), 8 U U;
        ctr Kept::Ctr, both(ALL), 9 U U;
        vrsave Kept::Vrsave, both(WORD), 256 U U;
        dec Kept::Dec, both(ALL), 22 S S;
        cfar Kept::Cfar, both(ALL), 28 S S;
        texasru Kept::TexasrUpper, power9(WORD), 131 U U [TM];
        dpdes Kept::Dpdes, both(0xff), 176 S H [MSGP];
        tb Kept::Tb, both(ALL), 268 U N;
        tbu Kept::TbUpper, both(WORD), 269 U N;
        tbl Kept::TbLower, both(WORD), 284 N H;
        tbu Kept::TbUpper, both(WORD), 285 N H;
        tbu40 Kept::TbUpper40, both(!0xff_ffff), 286 N H;
        spurr Kept::Spurr, both(ALL), 308 S H;
        purr Kept::Purr, both(ALL), 309 S H;
        hdec Kept::Hdec, both(ALL), 310 H H;
        bescrs Kept::BescrSet { upper: false }, BESCR, 800 U U [EBB];
        bescrsu Kept::BescrSet { upper: true }, both(WORD), 801 U U [EBB];
        bescrr Kept::BescrReset { upper: false }, BESCR, 802 U U [EBB];
        bescrru Kept::BescrReset { upper: true }, both(WORD), 803 U U [EBB];
        reserved Kept::Reserved, both(0), 808 U U;
        reserved Kept::Reserved, both(0), 809 U U;
        reserved Kept::Reserved, both(0), 810 U U;
        reserved Kept::Reserved, both(0), 811 U U;
        tar Kept::Tar, both(ALL), 815 U U [TAR];
        vtb Kept::Vtb, both(ALL), 849 S H;
        ppr32 Kept::PprUpper, both(7 << 18), 898 U U;
    }
}

/// SPR numbers.
const NUMBERS: usize = 1024;
const NO_ROW: u8 = u8::MAX;

/// The place in [`ROWS`] of every number.
static INDEX: [u8; NUMBERS] = {
    let mut index = [NO_ROW; NUMBERS];
    let mut n = 0;
    while n < ROWS.len() {
        let number = ROWS[n].number as usize;
        assert!(index[number] == NO_ROW, "two rows for one number");
        index[number] = n as u8;
        n += 1;
    }
    assert!(ROWS.len() < NO_ROW as usize, "numbers of rows have 8 bits");
    index
};

/// The row of an SPR number.
pub(crate) fn row(number: u64) -> Option<&'static Row> {
    ROWS.get(*INDEX.get(usize::try_from(number).ok()?)? as usize)
}

/// The number of the SPR of this name: that by which the most privileged state may write it.
pub(crate) fn number(name: &str) -> Option<u16> {
    ROWS.iter().rev().find(|row| row.name == name && row.is_whole()).map(|row| row.number)
}

/// The name of an SPR number.
pub(crate) fn name(number: u16) -> Option<&'static str> {
    row(number.into()).map(|row| row.name)
}

impl Sprs {
    /// Power-on values.
    pub fn cold(index: u32, model: Model) -> Sprs {
        Sprs {
            pvr: model.pvr() as u64,
            pir: index as u64,
            ctrl: 1,
            // What a hypervisor gives a guest: every facility.
            hfscr: facility::all(model),
            ppr: 4 << 50,
            mmcr0: 0x8000_0000,
            ..Sprs::default()
        }
    }
}
