//! What the books say becomes of an instruction before it does anything, and what it may end in: written from Power ISA 3.0B
//! and 3.1, by mnemonic, not from the definitions.

use timebase_cpu::bits::{lpcr, mmcr0, msr, srr1};
use timebase_cpu::{Model, Sprs, Vector};
use timebase_isa::{Regs, fpscr};

/// The CPU before an instruction, as far as it decides what becomes of it.
pub struct State {
    pub regs: Regs,
    pub spr: Sprs,
    pub model: Model,
    pub has_hypervisor: bool,
}

impl State {
    pub fn problem(&self) -> bool {
        self.regs.msr & msr::PR != 0
    }
}

/// An interrupt: its vector, the bits 33:36 and 42:47 that it sets in SRR1 (HSRR1), and the facility that FSCR[IC] names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interrupt {
    pub vector: Vector,
    pub cause: u64,
    pub facility: Option<u64>,
}

const fn by(vector: Vector, cause: u64) -> Interrupt {
    Interrupt { vector, cause, facility: None }
}
const PRIVILEGED: Interrupt = by(Vector::Program, srr1::PROGRAM_PRIVILEGED);

const fn unavailable(facility: u64) -> Interrupt {
    Interrupt { facility: Some(facility), ..by(Vector::FacilityUnavailable, 0) }
}

/// An instruction word, decoded.
#[derive(Clone, Copy)]
pub struct Instruction<'a> {
    pub name: &'a str,
    /// With a prefix in the upper half if it has one.
    pub word: u64,
    pub prefixed: bool,
}

impl Instruction<'_> {
    fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.name)
    }
    fn begins(&self, beginnings: &[&str]) -> bool {
        beginnings.iter().any(|beginning| self.name.starts_with(beginning))
    }
    /// Bit `n` of the word, the suffix if it is prefixed, as the books count.
    fn bit(&self, n: u32) -> bool {
        self.word >> (31 - n) & 1 != 0
    }
    fn primary(&self) -> u64 {
        self.word >> 26 & 63
    }
}

/// Book III's instructions that problem state may not execute.
const OF_PRIVILEGED_STATE: &[&str] = &[
    "mtmsr",
    "mtmsrd",
    "mfmsr",
    "rfid",
    "rfscv",
    "stop",
    "slbie",
    "slbieg",
    "slbia",
    "slbiag",
    "slbmte",
    "slbmfev",
    "slbmfee",
    "slbfee_",
    "slbsync",
    "msgsndp",
    "msgclrp",
    "hashstp",
    "hashchkp",
    "treclaim_",
    "trechkpt_",
];
/// Those that need hypervisor state.
const OF_HYPERVISOR_STATE: &[&str] = &[
    "hrfid", "msgsnd", "msgclr", "msgsync", "lbzcix", "lhzcix", "lwzcix", "ldcix", "stbcix", "sthcix",
    "stwcix", "stdcix",
];
/// Those of an ultravisor: privileged, and illegal where there is none.
const OF_ULTRAVISOR: &[&str] = &["urfid", "msgsndu", "msgclru"];
const TRANSACTIONAL: &[&str] = &[
    "tbegin_",
    "tend_",
    "tabort_",
    "tabortwc_",
    "tabortwci_",
    "tabortdc_",
    "tabortdci_",
    "tsr_",
    "tcheck",
    "treclaim_",
    "trechkpt_",
];

fn illegal(cpu: &State) -> Interrupt {
    match cpu.has_hypervisor {
        true => by(Vector::HypervisorEmulationAssistance, 0),
        false => by(Vector::Program, srr1::PROGRAM_ILLEGAL),
    }
}

/// The interrupt that keeps `cpu` from executing the instruction in its state, whatever its operands.
pub fn stops(cpu: &State, i: &Instruction) -> Option<Interrupt> {
    let problem = cpu.problem();
    let hypervisor = cpu.has_hypervisor && cpu.regs.msr & (msr::HV | msr::PR) == msr::HV;
    let lends = |bit: u64| !problem || cpu.spr.fscr >> bit & 1 != 0;
    let has = |bit| cpu.spr.lpcr & bit != 0;
    let needs_hypervisor = i.is(OF_HYPERVISOR_STATE)
        || i.is(&["tlbie", "tlbsync"]) && !has(lpcr::GTSE)
        // PRS = 0: what is partition-scoped.
        || i.is(&["tlbie", "tlbiel"]) && has(lpcr::HR) && !i.bit(14);
    let interrupt = match i {
        _ if i.prefixed && !lends(13) => unavailable(13),
        _ if i.is(&["illegal", "attn"]) => illegal(cpu),
        // A pair of registers that begins at an odd one: an invalid form (Book I 3.3.4).
        _ if i.is(&["lq", "stq", "plq", "pstq", "lqarx", "stqcx_"]) && i.bit(10) => illegal(cpu),
        _ if i.is(OF_ULTRAVISOR) => {
            if problem {
                PRIVILEGED
            } else {
                illegal(cpu)
            }
        }
        _ if i.is(OF_PRIVILEGED_STATE) && problem => PRIVILEGED,
        _ if i.is(&["tlbie", "tlbiel", "tlbsync"]) && problem => PRIVILEGED,
        _ if needs_hypervisor && !hypervisor => PRIVILEGED,
        _ if i.is(TRANSACTIONAL) && cpu.regs.msr & msr::TM == 0 => unavailable(5),
        _ if i.is(&["mfbhrbe", "clrbhrb"]) && problem && cpu.spr.mmcr0 & mmcr0::BHRBA == 0 => unavailable(4),
        _ if i.is(&["rfebb"]) && !lends(7) => unavailable(7),
        _ if i.is(&["bctar"]) && !lends(8) => unavailable(8),
        _ if i.is(&["scv"]) && !lends(12) => unavailable(12),
        _ => {
            return missing_registers(i)
                .into_iter()
                .flatten()
                .find_map(|(bit, vector)| (cpu.regs.msr & bit == 0).then_some(prefixed(i, by(vector, 0))));
        }
    };
    Some(prefixed(i, interrupt))
}

/// SRR1[34] tells of a prefix.
fn prefixed(i: &Instruction, interrupt: Interrupt) -> Interrupt {
    Interrupt { cause: interrupt.cause | if i.prefixed { srr1::PREFIXED } else { 0 }, ..interrupt }
}

type Need = (u64, Vector);
const FP: Need = (msr::FP, Vector::FloatingPointUnavailable);
const VECTOR: Need = (msr::VEC, Vector::VectorUnavailable);
const VSX: Need = (msr::VSX, Vector::VsxUnavailable);

/// The bits of MSR that the instruction needs, in the order in which they are asked.
fn missing_registers(i: &Instruction) -> [Option<Need>; 2] {
    // An instruction that was Vector's if its register is one of the upper half, which the vector registers are.
    let upper_half = |bit, lower| Some(if i.bit(bit) { VECTOR } else { lower });
    let need = match i.primary() {
        _ if i.is(&["dcffixqq", "dctfixqq"]) => return [Some(FP), Some(VECTOR)],
        _ if i.prefixed => match i {
            _ if i.is(&["plfs", "plfd", "pstfs", "pstfd"]) => Some(FP),
            _ if i.is(&["plxsd", "plxssp", "pstxsd", "pstxssp"]) => Some(VECTOR),
            _ if i.is(&["plxv", "pstxv"]) => upper_half(5, VSX),
            _ if i.begins(&["plxvp", "pstxvp", "xx", "pmxv"]) => Some(VSX),
            _ => None,
        },
        4 if i.is(&["maddhd", "maddhdu", "maddld"]) => None,
        4 => Some(VECTOR),
        48..=55 => Some(FP),
        57 | 61 if i.is(&["lfdp", "stfdp"]) => Some(FP),
        57 | 61 if i.is(&["lxsd", "lxssp", "stxsd", "stxssp"]) => Some(VECTOR),
        61 => upper_half(28, VSX),
        6 => Some(VSX),
        59 | 63 if i.begins(&["x"]) => Some(VSX),
        59 | 63 => Some(FP),
        60 if i.is(&["xxspltib"]) => upper_half(31, VSX),
        60 => Some(VSX),
        31 if i.is(&["mfvsrd", "mfvsrwz", "mtvsrd", "mtvsrwa", "mtvsrwz"]) => upper_half(31, FP),
        31 if i.is(&[
            "mfvsrld", "mtvsrws", "mtvsrdd", "lxvx", "stxvx", "lxvwsx", "lxvl", "lxvll", "stxvl", "stxvll",
        ]) || i.is(&[
            "lxvb16x", "lxvh8x", "stxvb16x", "stxvh8x", "lxsibzx", "lxsihzx", "stxsibx", "stxsihx",
        ]) =>
        {
            upper_half(31, VSX)
        }
        31 if i.begins(&["lf", "stf"]) => Some(FP),
        31 if i.begins(&["lv", "stv"]) => Some(VECTOR),
        31 if i.begins(&["lx", "stx", "xx"]) => Some(VSX),
        _ => None,
    };
    [need, None]
}

/// What follows from the operands of an instruction that nothing stops.
pub enum Follows {
    /// It completes, or this interrupt comes of it.
    Surely(Option<Interrupt>),
    /// It completes, or its storage is not there or not aligned.
    Access,
    /// It completes, or the number of its register is refused (tests/cpu/registers.rs says which).
    Register,
}

/// What follows in `before`, where FPSCR is `status` afterwards.
pub fn follows(before: &State, i: &Instruction, status: u64) -> Follows {
    use Follows::*;
    let trap = prefixed(i, by(Vector::Program, srr1::PROGRAM_TRAP));
    let field = |from: u32, bits: u32| i.word >> (32 - from - bits) & ((1 << bits) - 1);
    let gpr = |n: u64| before.regs.gpr[n as usize];
    let (a, b, immediate) = (gpr(field(11, 5)), gpr(field(16, 5)), i.word as i16 as i64);
    match i.name {
        "tw" => Surely(traps(field(6, 5), a as i32 as i64, b as i32 as i64, u32::MAX as u64).then_some(trap)),
        "twi" => Surely(traps(field(6, 5), a as i32 as i64, immediate, u32::MAX as u64).then_some(trap)),
        "td" => Surely(traps(field(6, 5), a as i64, b as i64, u64::MAX).then_some(trap)),
        "tdi" => Surely(traps(field(6, 5), a as i64, immediate, u64::MAX).then_some(trap)),
        // A call of the hypervisor's, where there is none, is the machine's.
        "sc" if field(20, 7) == 1 && !before.has_hypervisor => Surely(None),
        "sc" if before.model == Model::Power9 => Surely(Some(by(Vector::SystemCall, 0))),
        "sc" => Surely(Some(by(Vector::SystemCall, (field(20, 7) & 3) << 20))),
        "scv" => Surely(Some(by(Vector::SystemCallVectored, 0))),
        "mtspr" | "mfspr" | "mftb" => Register,
        _ if accesses_storage(i) => Access,
        _ if status & fpscr::FEX != 0 && before.regs.msr & (msr::FE0 | msr::FE1) != 0 => {
            Surely(Some(prefixed(i, by(Vector::Program, srr1::PROGRAM_FP))))
        }
        _ => Surely(None),
    }
}

/// Book I 3.3.11: which of less, greater, equal, less and greater unsigned TO asks for.
fn traps(to: u64, a: i64, b: i64, width: u64) -> bool {
    let (ua, ub) = (a as u64 & width, b as u64 & width);
    let asked = |bit: u64| to & bit != 0;
    asked(16) && a < b
        || asked(8) && a > b
        || asked(4) && a == b
        || asked(2) && ua < ub
        || asked(1) && ua > ub
}

/// It loads, stores, or translates as if it did.
pub fn accesses_storage(i: &Instruction) -> bool {
    const OTHERS: &[&str] =
        &["icbi", "dcbf", "dcbst", "dcbz", "copy", "paste_", "hashst", "hashchk", "hashstp", "hashchkp"];
    // lvsl and lvsr only compute, lxvkq loads a constant.
    i.is(OTHERS) || i.begins(&["l", "st", "pl", "pst"]) && !i.is(&["lvsl", "lvsr", "lxvkq", "stop"])
}

/// An atomic update whose function code is none (Book II 4.5): a data storage interrupt.
pub fn has_no_function(i: &Instruction) -> bool {
    let function = i.word >> 11 & 31;
    match i.name {
        "lwat" | "ldat" => !matches!(function, 0..=8 | 16 | 24 | 25 | 28),
        "stwat" | "stdat" => !matches!(function, 0..=7 | 24),
        _ => false,
    }
}

/// The interrupt of trace that follows a completed instruction.
pub fn traces(before: &State, i: &Instruction) -> bool {
    let branch = i.is(&["b", "bc", "bclr", "bcctr", "bctar"]);
    let never = i.is(&["rfid", "hrfid", "rfscv", "sc", "scv", "stop"]);
    !never && (before.regs.msr & msr::SE != 0 || branch && before.regs.msr & msr::BE != 0)
}

/// Instructions that complete without leaving a trace, whatever their operands: hints, ordering, what caches of
/// translations would do, which have nothing to forget here; traps that do not; hashes, which DEXCR has off.
pub const WITHOUT_EFFECT: &[&str] = &[
    "rnop", "pnop", "tw", "twi", "td", "tdi", "dcbt", "dcbtst", "dst", "dstst", "dss", "icbt", "isync",
    "sync", "eieio", "dcbf", "dcbst", "icbi", "slbsync", "msgsync", "tlbsync", "tlbie", "tlbiel", "slbieg",
    "slbiag", "xxmfacc", "xxmtacc", "hashst", "hashchk", "hashstp", "hashchkp",
    // The history of branches is empty.
    "clrbhrb",
];

/// Instructions that never complete here: there is no support processor and no ultravisor, MSR[TM] is off, and calls
/// are interrupts.
pub fn never_completes(name: &str, has_hypervisor: bool) -> bool {
    let of = |names: &[&str]| names.contains(&name);
    of(&["illegal", "attn", "scv"])
        || of(OF_ULTRAVISOR)
        || of(TRANSACTIONAL)
        || if has_hypervisor { name == "sc" } else { of(OF_HYPERVISOR_STATE) }
}
