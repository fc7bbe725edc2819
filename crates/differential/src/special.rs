//! What is not drawn like all other instructions: registers with numbers of their own, branches, and what must not occur
//! because it is about time, about other CPUs, or an invalid form.

use crate::generate::{CODE_ADDRESS, FIRST_OF_KIND, MSR_LIKE, SECOND_OF_KIND};
use crate::layout::kind;
use crate::random::Random;
use crate::words::{is_storage, operands};
use timebase_cpu::Vcpu;
use timebase_cpu::bits::{mmcr0, msr};
use timebase_isa::decode::Entry;
use timebase_isa::{Decoder, Ops, Regs};

/// Definitions that are not drawn at random; some of them are made by [`word`].
pub fn left_out(entry: &Entry) -> bool {
    let made = [
        "mtspr", "mfspr", "mftb", "b", "bc", "bclr", "bcctr", "bctar", "illegal", "mtmsr", "mtmsrd", "sc",
        "scv",
    ];
    let time = ["wait", "stop", "darn", "attn", "rfebb", "copy", "paste_", "cpabort", "mfbhrbe", "clrbhrb"];
    let others = ["msgsnd", "msgclr", "msgsndp", "msgclrp", "msgsync", "rfid", "hrfid", "rfscv"];
    made.contains(&entry.name)
        || time.contains(&entry.name)
        || others.contains(&entry.name)
        || entry.name.starts_with("tlb")
        || entry.name.starts_with("slb")
        || entry.section.starts_with("II 5")
}

/// SPRs that a block may name: their numbers, and whether any state may write them.
const SPRS: [u64; 33] = [
    1, 3, 8, 9, 17, 18, 19, 26, 27, 152, 153, 157, 256, 259, 272, 273, 274, 275, 304, 305, 306, 307, 314,
    315, 339, 815, 816, 896, 190, 28, 13, 29, 61,
];
/// SPRs that may be read.
const READ: [u64; 8] = [136, 287, 446, 1023, 259, 13, 29, 61];
/// The process, which the peer forgets translations for if it is written.
pub const PIDR: u64 = 48;
/// MMCR0 and its name in problem state.
const MMCR0: [u64; 2] = [795, 779];
/// Bits of MMCR0 that change nothing at once, or the alert itself: the peer looks for alerts when it counts.
pub const QUIET_MMCR0: u64 = mmcr0::FCS
    | mmcr0::FCP
    | mmcr0::FCM1
    | mmcr0::FCM0
    | mmcr0::FCPC
    | mmcr0::CC56RUN
    | mmcr0::FC56
    | mmcr0::FCWAIT
    | mmcr0::PMAO
    | mmcr0::PMCC
    | mmcr0::PMC1CE
    | mmcr0::PMCJCE;
/// Implemented bits of MMCR2.
pub const MMCR2: u64 = 0x1fc << 55 | 0x1fc << 46 | 0x1fc << 37 | 0x1fc << 28 | 0x1fc << 19 | 0x1fc << 10;
/// SPRs that may be named in problem state, where they are privileged.
const PRIVILEGED: [u64; 14] = [22, 30, 48, 144, 176, 180, 187, 188, 310, 313, 318, 319, 464, 855];
/// Numbers of no register.
const NONE: [u64; 10] = [2, 7, 10, 33, 100, 300, 505, 700, 1000, 1022];

/// The SPR that a word of this name writes.
pub fn spr_of(word: u64, name: &str) -> Option<u64> {
    (name == "mtspr").then_some(word >> 16 & 31 | (word >> 11 & 31) << 5)
}

fn move_word(register: u64, number: u64, write: bool) -> u64 {
    let field = (number & 31) << 5 | number >> 5;
    31 << 26 | register << 21 | field << 11 | if write { 467 } else { 339 } << 1
}

/// `mtspr` of a GPR to a number.
pub fn mtspr(register: u64, number: u64) -> u64 {
    move_word(register, number, true)
}

/// An instruction about the SLB and what is held of translations.
pub fn segment_word(random: &mut Random) -> u64 {
    let (first, second) = (FIRST_OF_KIND, SECOND_OF_KIND);
    let target = random.below(15);
    let index = 24 + random.below(4);
    let read = |extended: u64, source: u64| 31 << 26 | target << 21 | source << 11 | extended << 1;
    match random.below(12) {
        0..=3 => 31 << 26 | second << 21 | first << 11 | 402 << 1,
        4 | 5 => 31 << 26 | first << 11 | 434 << 1,
        6 => 31 << 26 | random.below(8) << 21 | 498 << 1,
        7 => read(851, index),
        8 => read(915, index),
        9 => read(979, first) | 1,
        10 => read(979, 16 + random.below(8)) | 1,
        // tlbie and tlbiel of hashed pages: RIC, PRS and R are 0.
        _ => {
            31 << 26 | index << 21 | (16 + random.below(8)) << 11 | [306, 274][random.below(2) as usize] << 1
        }
    }
}

/// A move to or from a register of the performance monitor.
pub fn counter_word(random: &mut Random) -> u64 {
    let write = random.below(2) == 0;
    let problem = [736, 737, 738, 768, 769, 770, 771, 772, 773, 774, 775, 776, 779, 780, 781, 782];
    let number = problem[random.below(16) as usize] + if random.below(3) == 0 { 0 } else { 16 };
    let control = MMCR0.contains(&number) && write;
    let register = if control && random.below(4) != 0 { FIRST_OF_KIND } else { random.below(15) };
    move_word(register, number, write)
}

/// An instruction about doorbells.
pub fn doorbell_word(random: &mut Random) -> u64 {
    let send = |extended: u64| 31 << 26 | FIRST_OF_KIND << 11 | extended << 1;
    match random.below(10) {
        0 | 1 => send(206),
        2 => send(238),
        3 | 4 => send(142),
        5 => send(174),
        6 => 31 << 26 | 886 << 1,
        7 => 19 << 26 | 370 << 1,
        // An MSR with EE.
        8 => 31 << 26 | MSR_LIKE << 21 | 178 << 1,
        _ => 19 << 26 | [18, 274][random.below(2) as usize] << 1,
    }
}

/// It changes MSR, or rests.
pub fn changes_msr(entry: &Entry) -> bool {
    ["mtmsr", "mtmsrd", "rfid", "hrfid", "rfscv", "stop"].contains(&entry.name)
}

fn spr_word(random: &mut Random, problem: bool) -> u64 {
    let write = random.below(2) != 0;
    let list: &[u64] = match random.below(12) {
        0 if problem => &PRIVILEGED,
        1 => &NONE,
        2 if !write => &READ,
        _ => &SPRS,
    };
    let number = list[random.below(list.len() as u64) as usize];
    let register = match (write, random.below(3)) {
        (true, 0) => CODE_ADDRESS,
        (true, 1) => random.below(32),
        _ => random.below(16),
    };
    move_word(register, number, write)
}

fn branch_word(random: &mut Random) -> u64 {
    let forward = 1 + random.below(9);
    let link = (random.below(3) == 0) as u64;
    let distance =
        if random.below(12) == 0 { (random.below(6).wrapping_neg() & 0x3fff) << 2 } else { forward << 2 };
    let bo = [4, 12, 16, 18, 0, 2, 8, 10, 20, 6, 14, 25, 27][random.below(13) as usize];
    let conditional = bo << 21 | random.below(32) << 16 | link;
    match random.below(8) {
        0 => 18 << 26 | forward << 2 | link,
        1..=4 => 16 << 26 | conditional | distance,
        5 => 19 << 26 | conditional | 16 << 1 | random.below(4) << 11,
        6 => 19 << 26 | (conditional | 4 << 21) | 528 << 1,
        _ => 19 << 26 | conditional | 560 << 1,
    }
}

/// It is only for states in which it is privileged, or for blocks of a kind: elsewhere it is about time, or the guest needs
/// what it changes.
pub fn left_alone(entry: &Entry, word: u64, cpu: &Vcpu, kind: u64) -> bool {
    let (problem, hypervisor) = (cpu.problem(), cpu.regs.msr & msr::HV != 0);
    let number = word >> 16 & 31 | (word >> 11 & 31) << 5;
    let value = cpu.regs.gpr[(word >> 21 & 31) as usize];
    let doorbells = kind & kind::DOORBELLS != 0;
    match entry.name {
        // A write of what is there already.
        "mtspr" if number == PIDR && value == cpu.spr.pidr => false,
        // Frozen, and no other alert than that of the value itself.
        "mtspr" if MMCR0.contains(&number) => {
            kind & kind::COUNTERS == 0 || value & !QUIET_MMCR0 & !mmcr0::PMCCEXT != mmcr0::FC
        }
        "mtspr" | "mfspr" => !problem && PRIVILEGED.contains(&number),
        // Elsewhere it has what blocks before left, but for a peer that was started anew.
        "slbmfee" | "slbmfev" | "slbfee_" => !problem && kind & kind::SEGMENTS == 0,
        // Something must be pending; in a guest it is the peer's to say what stops.
        "stop" => !problem && !(doorbells && hypervisor && (cpu.doorbell || cpu.hypervisor_doorbell)),
        "msgsndp" => !problem && !doorbells,
        "msgsnd" => !problem && hypervisor && !doorbells,
        _ => false,
    }
}

/// An instruction about translation, messages or power: its primary and extended opcode, and operands.
const CONTROL: [(u64, u64, u64); 21] = [
    (31, 306, 0x03ff_f800),
    (31, 274, 0x03ff_f800),
    (31, 566, 0),
    (31, 338, 0),
    (31, 434, 0xf800),
    (31, 466, 0x03e0_f800),
    (31, 498, 0x00e0_0000),
    (31, 402, 0x03e0_f800),
    (31, 851, 0x03e0_f800),
    (31, 915, 0x03e0_f800),
    (31, 979, 0x03e0_f800),
    (31, 206, 0xf800),
    (31, 238, 0xf800),
    (31, 142, 0xf800),
    (31, 174, 0xf800),
    (31, 886, 0),
    (31, 838, 0),
    (19, 370, 0),
    (19, 146, 0x800),
    (31, 302, 0x03ff_f800),
    (31, 430, 0),
];

fn control_word(random: &mut Random) -> u64 {
    let (primary, extended, operands) = CONTROL[random.below(CONTROL.len() as u64) as usize];
    primary << 26 | random.next() & operands | extended << 1 | (extended == 979) as u64
}

/// A word that no definition has.
fn illegal_word(random: &mut Random, decoder: &Decoder) -> u64 {
    loop {
        let primary = [0, 1, 2, 4, 5, 6, 9, 17, 19, 22, 30, 31, 56, 57, 58, 59, 60, 61, 62, 63]
            [random.below(20) as usize];
        let mut word = primary << 26 | random.next() & 0x3ff_ffff;
        if decoder.is_prefix(word as u32) {
            word = word << 32 | random.next() & 0xffff_ffff;
        }
        let ops = decoder.decode(word);
        if decoder.entries()[ops.op as usize].name == "illegal" {
            return word;
        }
    }
}

/// An instruction that is not drawn like the others.
pub fn word(random: &mut Random, decoder: &Decoder, problem: bool) -> u64 {
    match random.below(34) {
        32 | 33 => control_word(random),
        0..=12 => spr_word(random, problem),
        13..=24 => branch_word(random),
        25 => illegal_word(random, decoder),
        26 => 0x4400_0002 | random.below(2) << 5,
        27 => 0x4400_0001 | random.below(128) << 5,
        28 | 29 => {
            let register = if random.below(4) == 0 { random.below(32) } else { MSR_LIKE };
            let function = [146, 178][random.below(2) as usize];
            31 << 26 | register << 21 | random.below(2) << 16 | function << 1
        }
        // rfid, hrfid, rfscv.
        _ => 19 << 26 | [18, 274, 82][random.below(3) as usize] << 1,
    }
}

/// The instruction has an address of storage in RA (and RB or a displacement).
pub fn addresses_storage(entry: &Entry) -> bool {
    let others = [
        "dcbz", "dcbst", "dcbf", "icbi", "icbt", "dcbt", "dcbtst", "hashst", "hashchk", "hashstp", "hashchkp",
    ];
    is_storage(entry) || others.contains(&entry.name)
}

/// It may store.
pub fn stores(entry: &Entry) -> bool {
    let name = entry.name;
    let atomic = ["lwat", "ldat", "dcbz"].contains(&name);
    atomic || name.starts_with("st") || name.starts_with("pst") || name.starts_with("hashst")
}

/// Its effective address.
pub fn address(entry: &Entry, ops: &Ops, word: u64, regs: &Regs) -> u64 {
    let base = if ops.a & 31 == 0 { 0 } else { regs.gpr[ops.a as usize & 31] };
    if word >> 52 & 1 != 0 && entry.encoding.prefixed() {
        return regs.nia.wrapping_add(ops.imm);
    }
    if entry.syntax.contains('(') {
        base.wrapping_add(ops.imm)
    } else if operands(entry).any(|name| name == "RB")
        && !entry.name.contains("xvl")
        && !entry.name.contains("xvrl")
    {
        base.wrapping_add(regs.gpr[ops.b as usize & 31])
    } else {
        base
    }
}

/// Bytes that it may touch, at most.
pub fn extent(entry: &Entry) -> u64 {
    match entry.name {
        "dcbz" => 128,
        "lmw" | "stmw" => 124,
        "lswx" | "stswx" => 127,
        _ => 40,
    }
}

/// Invalid forms, whose results the CPU may choose (Book I 1.8.2, 3.3.2 "update forms").
pub fn invalid(entry: &Entry, ops: &Ops, word: u64) -> bool {
    let (rt, ra) = ((word >> 21 & 31) as u8, (word >> 16 & 31) as u8);
    let name = entry.name;
    let update =
        is_storage(entry) && (name.ends_with('u') || name.ends_with("ux")) && !name.starts_with("lxv");
    if update && (ra == 0 || ra == rt && name.starts_with('l') && !name.starts_with("lf")) {
        return true;
    }
    match name {
        "lq" => rt & 1 != 0 || ra == rt,
        "plq" => rt & 1 != 0 || ra == rt,
        "stq" | "pstq" => rt & 1 != 0,
        "lqarx" => rt & 1 != 0 || ra == rt || ops.b == rt,
        "stqcx_" => rt & 1 != 0,
        "lmw" => ra >= rt,
        "lswi" => {
            let count = if ops.b == 0 { 32 } else { ops.b };
            let last = rt + count.div_ceil(4) - 1;
            (rt..=last).contains(&ra) || last >= 32 && ra <= last - 32
        }
        // The count is in XER: RA and RB might be written.
        "lswx" => rt > 9,
        "hashst" | "hashchk" | "hashstp" | "hashchkp" => ra == 0,
        _ => entry.encoding.prefixed() && word >> 52 & 1 != 0 && ra != 0,
    }
}
