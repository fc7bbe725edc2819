//! What is not drawn like all other instructions: registers with numbers of their own, branches, and what must not occur
//! because it is about time, about other CPUs, or an invalid form.

use crate::generate::{CODE_ADDRESS, MSR_LIKE};
use crate::random::Random;
use crate::words::{is_storage, operands};
use timebase_cpu::Vcpu;
use timebase_cpu::bits::msr;
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
const SPRS: [u64; 30] = [
    1, 3, 8, 9, 17, 18, 19, 26, 27, 152, 153, 157, 256, 259, 272, 273, 274, 275, 304, 305, 306, 307, 314,
    315, 339, 815, 816, 896, 190, 28,
];
/// SPRs that may be read.
const READ: [u64; 8] = [136, 287, 446, 1023, 259, 13, 29, 61];
/// SPRs that may be named in problem state, where they are privileged.
const PRIVILEGED: [u64; 14] = [22, 30, 48, 144, 176, 180, 187, 188, 310, 313, 318, 319, 464, 855];
/// Numbers of no register.
const NONE: [u64; 10] = [2, 7, 10, 33, 100, 300, 505, 700, 1000, 1022];

fn spr_word(random: &mut Random, problem: bool) -> u64 {
    let write = random.below(2) != 0;
    let list: &[u64] = match random.below(12) {
        0 if problem => &PRIVILEGED,
        1 => &NONE,
        2 if !write => &READ,
        _ => &SPRS,
    };
    let number = list[random.below(list.len() as u64) as usize];
    let field = (number & 31) << 5 | number >> 5;
    let register = match (write, random.below(3)) {
        (true, 0) => CODE_ADDRESS,
        (true, 1) => random.below(32),
        _ => random.below(16),
    };
    31 << 26 | register << 21 | field << 11 | if write { 467 } else { 339 } << 1
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

/// It is only for states in which it is privileged: elsewhere it is about time, or the guest needs what it changes.
pub fn left_alone(entry: &Entry, word: u64, cpu: &Vcpu) -> bool {
    let (problem, hypervisor) = (cpu.problem(), cpu.regs.msr & msr::HV != 0);
    let number = word >> 16 & 31 | (word >> 11 & 31) << 5;
    match entry.name {
        "mtspr" | "mfspr" => !problem && PRIVILEGED.contains(&number),
        "stop" | "msgsndp" => !problem,
        "msgsnd" => !problem && hypervisor,
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
