//! Random cases: words of an instruction with operands that make sense, and states with many special numbers.

use crate::different::{Ignore, different};
use crate::random::Random;
use crate::reader::{Executor, Machine, Stop};
use crate::words::{is_storage, operand_bits, operands};
use timebase_isa::decode::Entry;
use timebase_softfloat::decimal::Format;

/// Effective address of the memory.
pub const MEMORY: u64 = 0x2000_0000 + 1136;
/// Bytes of memory.
pub const MEMORY_BYTES: usize = 128;
const FEX: u64 = 1 << 30;
/// Cases of an instruction that are tried.
const CASES: usize = 150;

/// An instruction word, the state before and after it, and what of the latter is not to be compared.
pub struct Case {
    pub word: u64,
    pub before: Machine,
    pub after: Machine,
    pub ignore: Ignore,
}

/// The instructions that are tried: computational ones of the newest level.
pub fn tried(entry: &Entry) -> bool {
    let family = ["I 3", "I 4", "I 5", "I 6", "I 7"].iter().any(|section| entry.section.starts_with(section));
    family && entry.encoding.until >= 310
}

/// Cases of an instruction, always the same ones; those that raise an interrupt are left out.
pub fn cases(executor: &Executor, entry: &Entry) -> Vec<Case> {
    more_cases(executor, entry, 0, true)
}

/// The cases of round `round` in either byte order.
pub fn more_cases(executor: &Executor, entry: &Entry, round: u64, little: bool) -> Vec<Case> {
    let seed = 88_172_645_463_325_252 ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut random =
        Random(entry.name.bytes().fold(seed, |h, b| h.wrapping_mul(31) ^ b as u64) | (round != 0) as u64);
    let mut cases = Vec::new();
    for _ in 0..CASES {
        let word = random_word(entry, &mut random);
        let before = random_state(entry, &mut random, little);
        let mut after = before.clone();
        match executor.execute(&mut after, word) {
            Ok(()) => {}
            Err(Stop::System(_) | Stop::Trap(_)) => continue,
            Err(stop) => panic!("{} {word:x}: {stop:?}", entry.name),
        }
        let ops = executor.decoder.decode(word);
        let mut ignore = different(entry.name, &ops, &before, &after);
        // An enabled exception would end the peer.
        ignore.skip |= after.regs.fpscr & FEX != 0;
        if !ignore.skip && executor.decoder.entries()[ops.op as usize].name == entry.name {
            cases.push(Case { word, before, after, ignore });
        }
    }
    cases
}

/// A random word of the instruction.
pub fn random_word_of(entry: &Entry, seed: u64) -> u64 {
    random_word(entry, &mut Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1))
}

/// A random word: GPR operands are r3 to r10; addresses are r3 plus r4 or a small displacement.
fn random_word(entry: &Entry, random: &mut Random) -> u64 {
    let bits = operand_bits(entry);
    let mut word = entry.encoding.bits | random.next() & bits;
    let has = |name: &str| operands(entry).any(|operand| operand == name);
    let storage = is_storage(entry);
    if has("AT") && entry.name.contains("ger") {
        // XA and XB are VSR 32 to 63: an accumulator as a source of its own product is an invalid form.
        word |= 6;
    }
    let mut set = |shift: u32, value: u64| word = word & !(31 << shift) | value << shift;
    for (names, shift) in [(["RT", "RS"], 21), (["RA", "RA"], 16), (["RB", "RB"], 11), (["RC", "RC"], 6)] {
        if names.iter().any(|name| has(name)) {
            let n = 3 + random.below(8);
            set(
                shift,
                match (storage, shift) {
                    (true, 16) => 3,
                    (true, 11) => 4,
                    (true, _) => 5 + n % 4,
                    _ => n,
                },
            );
        }
    }
    if storage && entry.syntax.contains('(') {
        if entry.encoding.prefixed() {
            word &= !(0x1f_ffff << 32 | 0xffff);
            word |= random.below(40);
        } else {
            word &= !0xffff
                | entry.encoding.mask
                | 8 * ((has("XT") || has("XS")) as u64 & (word >> 26 == 61) as u64);
            word |= random.below(3) << 4 & !entry.encoding.mask;
        }
    }
    word
}

/// Registers for decimal floating point: long ones, pairs, packed decimals, integers for FRA.
fn decimal_floats(entry: &Entry, vsr: &mut [[u64; 2]; 64], random: &mut Random) {
    let pairs = entry.syntax.contains("FRBp") || entry.syntax.contains("FRAp");
    for n in (0..32).step_by(2) {
        let mut datum = random.decimal_float(&Format::EXTENDED);
        if !pairs {
            datum = random.decimal_float(&Format::LONG) << 64 | random.decimal_float(&Format::LONG);
        }
        match entry.name {
            "dctdp" => {
                datum = random.decimal_float(&Format::SHORT) << 64 | random.decimal_float(&Format::SHORT)
            }
            _ if entry.name.starts_with("denbcd") => datum = random.decimal(),
            _ if entry.name.starts_with("dcffix") => datum = random.vector(),
            _ => {}
        }
        vsr[n][0] = (datum >> 64) as u64;
        vsr[n + 1][0] = datum as u64;
    }
    let numbers = ["diex", "drrnd", "dtstsf"].iter().any(|name| entry.name.starts_with(name));
    for n in (0..32).filter(|n| numbers && n % 4 == 3) {
        vsr[n][0] = random.below(900).wrapping_sub(5);
    }
}

fn random_state(entry: &Entry, random: &mut Random, little: bool) -> Machine {
    let mut machine = Machine::with_order(MEMORY, MEMORY_BYTES, little);
    let regs = &mut machine.regs;
    let decimal = entry.name.starts_with("bcd") || entry.name.starts_with("vmul10");
    for n in 0..64 {
        let value = if decimal && random.below(8) != 0 { random.decimal() } else { random.vector() };
        regs.set_vsr128(n, value);
    }
    if entry.section.starts_with("I 5") {
        decimal_floats(entry, &mut regs.vsr, random);
    }
    for n in 3..11 {
        regs.gpr[n] = random.next() >> random.below(64);
        if random.below(3) == 0 {
            regs.gpr[n] = random.below(40);
        }
    }
    if entry.name == "cbcdtd" {
        regs.gpr[3..11].iter_mut().for_each(|gpr| *gpr = random.decimal() as u64 >> 8);
    }
    if is_storage(entry) {
        regs.gpr[3] = MEMORY + 16 + random.below(16);
        regs.gpr[4] = if entry.name.contains("xvl") { random.below(20) << 56 } else { random.below(40) };
    }
    // No exception is enabled: the peer would deliver a signal.
    regs.fpscr = random.next() & 0x7_0000_0000 | random.next() & 3 | random.next() & 0x1f000;
    regs.vscr = random.below(4) / 3 << 16;
    for field in &mut regs.cr {
        *field = random.below(16);
    }
    regs.set_xer(random.next() & 0xe00c_0000);
    for byte in &mut machine.memory {
        *byte = random.next() as u8;
    }
    machine
}
