//! Random cases: words of an instruction with operands that make sense, and states with many special numbers.

use crate::different::{Ignore, different};
use crate::reader::{Executor, Machine, Stop};
use timebase_isa::decode::Entry;
use timebase_softfloat::decimal::{Format, Kind, Number};

/// Effective address of the memory.
pub const MEMORY: u64 = 0x2000_0000 + 1136;
/// Bytes of memory.
pub const MEMORY_BYTES: usize = 128;
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
        let ignore = different(entry.name, &ops, &before, &after);
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

struct Random(u64);
impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 20) % n
    }
    /// A number of a format with many special ones.
    fn float(&mut self, fraction: u32, exponent: u32) -> u128 {
        let raw = (self.next() as u128) << 64 | self.next() as u128;
        let all = (1u128 << exponent) - 1;
        let field = match self.below(10) {
            0 => 0,
            1 => all,
            2 => all - 1,
            3 => 1,
            4..=7 => (all >> 1) - 3 + self.below(70) as u128 % (all >> 1),
            _ => raw >> 64 & all,
        };
        let part = raw & ((1 << fraction) - 1);
        let part = match self.below(6) {
            0 => 0,
            1 => 1 << (fraction - 1),
            2 => part >> (fraction / 2) << (fraction / 2),
            _ => part,
        };
        (self.below(2) as u128) << (fraction + exponent) | (field & all) << fraction | part
    }
    /// A packed, national or zoned decimal.
    fn decimal(&mut self) -> u128 {
        let kept = 128 - self.below(33) as u32 * 4;
        let digits = (0..32).fold(0u128, |v, _| v << 4 | self.below(10) as u128);
        let digits = digits.checked_shr(128 - kept).unwrap_or(0);
        let spread = |width: u32, zone: u128| {
            (0..128 / width).fold(0, |v, n| v | (digits >> (4 * n) & 15 | zone) << (width * n))
        };
        match self.below(6) {
            0..=2 => digits << 4 | 10 + self.below(6) as u128,
            3 => spread(16, 0x30) & !0xffff | [0x2b, 0x2d][self.below(2) as usize],
            4 => spread(8, 0x30) & !0xf0 | (self.below(16) as u128) << 4,
            _ => spread(8, 0xf0) & !0xf0 | (self.below(16) as u128) << 4,
        }
    }
    /// A decimal number in `bits` (64 or 128) bits: few digits or many, exponents near each other or extreme.
    fn decimal_float(&mut self, format: &Format) -> u128 {
        let raw = (self.next() as u128) << 64 | self.next() as u128;
        let limit = 10u128.pow(format.digits - self.below(format.digits as u64) as u32);
        let coefficient = match self.below(8) {
            0 => 0,
            1 => limit - 1,
            2 => limit / 2,
            3 => raw % limit / 10_000 * 10_000,
            _ => raw % limit,
        };
        let exponent = match self.below(8) {
            0 => format.min_exponent() + self.below(20) as i32,
            1 => format.max_exponent() - self.below(20) as i32,
            2 => self.below(format.max_biased() as u64 + 1) as i32 + format.min_exponent(),
            _ => self.below(60) as i32 - 40,
        };
        let kind = match self.below(24) {
            0 => Kind::Infinity,
            1 => Kind::Quiet,
            2 => Kind::Signaling,
            _ => Kind::Finite,
        };
        let negative = self.below(2) != 0;
        let datum = format.encode(Number { negative, kind, coefficient, exponent });
        // Redundant encodings and what has no number.
        if self.below(12) == 0 { datum ^ 1 << self.below(format.width() as u64) } else { datum }
    }
    fn vector(&mut self) -> u128 {
        let repeat = |width: u32, r: &mut Random, f: fn(&mut Random) -> u128| {
            (0..128 / width).fold(0u128, |v, _| v << (width - 1) << 1 | f(r))
        };
        match self.below(10) {
            0 | 1 => repeat(64, self, |r| r.float(52, 11)),
            2 | 3 => repeat(32, self, |r| r.float(23, 8)),
            4 => repeat(16, self, |r| r.float(10, 5)),
            5 => self.float(112, 15),
            6 => repeat(8, self, |r| r.below(35) as u128),
            7 => repeat(64, self, |r| (r.next() as i64 >> r.below(64)) as u64 as u128),
            8 => repeat(8, self, |r| [0u128, 255, 128, 127, 1][r.below(5) as usize]),
            _ => (self.next() as u128) << 64 | self.next() as u128,
        }
    }
}

/// The operand names of the syntax.
fn operands(entry: &Entry) -> impl Iterator<Item = &'static str> {
    let operands = entry.syntax.split_once(' ').map_or("", |(_, operands)| operands);
    operands.split([',', '(', ')']).filter(|name| !name.is_empty())
}

/// The bits of an encoding that hold operands: those that the decoder looks at and that the syntax has a name for.
/// Reserved bits stay 0, because the peer minds them.
fn operand_bits(entry: &Entry) -> u64 {
    let field = |shift: u32, bits: u32| ((1u64 << bits) - 1) << shift;
    let named = operands(entry).fold(0, |all, name| {
        all | match name {
            "BF" => field(23, 3),
            "BFA" => field(18, 3),
            "TO" => field(21, 5),
            "CY" => field(9, 2),
            "FXM" => field(12, 8),
            "L" if entry.name == "mtfsf" => field(25, 1),
            "XT" | "XS" if entry.encoding.prefixed() => {
                field(21, 5) | field(26, 1) | field(0, 1) | field(16, 1)
            }
            "XT" | "XS" if entry.encoding.bits >> 26 == 61 => field(21, 5) | field(3, 1),
            "XT" | "XS" => field(21, 5) | field(0, 1),
            "XA" => field(16, 5) | field(2, 1),
            "XB" => field(11, 5) | field(1, 1),
            "XC" => field(6, 5) | field(3, 1),
            "DCMX" => field(16, 7) | field(2, 1) | field(6, 1),
            "DM" | "SHW" => field(8, 2),
            "IMM8" => field(11, 8),
            "RMC" => field(9, 2),
            // Accumulators 0 to 3: the sources below are others.
            "AT" | "AS" => field(23, 2),
            "XAp" => field(17, 4),
            "XMSK" => field(36, 4),
            "YMSK" if entry.name.contains("f64") => field(34, 2),
            "YMSK" => field(32, 4),
            "PMSK" if entry.name.contains("ger8") => field(40, 8),
            "PMSK" if entry.name.contains("ger4") => field(44, 4),
            "PMSK" => field(46, 2),
            "TE" => field(16, 5),
            "SP" => field(19, 2),
            "S" => field(20, 1),
            "DCM" | "DGM" => field(10, 6),
            "SH" if entry.section.starts_with("I 5") => field(10, 6),
            "UIM" if entry.section.starts_with("I 5") => field(16, 6),
            // Pairs are even.
            "FRTp" if entry.section.starts_with("I 5") => field(22, 4),
            "FRAp" => field(17, 4),
            "FRBp" => field(12, 4),
            "MP" | "W" => field(16, 1),
            "N" => field(16, 3),
            "IX" => field(17, 1),
            "U" => field(12, 4),
            "FLM" => field(17, 8),
            "DRM" => field(11, 3),
            "RM" => field(11, 2),
            "PS" => field(9, 1),
            "SHB" => field(6, 4),
            "R" => field(52, 1) | field(16, 1),
            "ST" | "SIX" | "NB" => field(11, 5),
            "UIM" if entry.name == "lxvkq" => field(11, 5),
            "UIM" if entry.encoding.prefixed() => field(32, 3),
            "UIM" => match entry.name {
                "vsplth" | "vspltw" | "xxspltw" | "vspltb" => field(16, entry.name.len() as u32 % 4 + 1),
                "vcfsx" | "vcfux" | "vctsxs" | "vctuxs" => field(16, 5),
                _ => field(16, 4),
            },
            "SIM" => field(16, 5),
            "IMM" if entry.encoding.prefixed() => field(32, 8),
            "IMM" => field(16, 2),
            n if n.ends_with('T')
                || n.ends_with('S') && n != "DS"
                || n.ends_with("Tp")
                || n.ends_with("Sp") =>
            {
                field(21, 5)
            }
            n if n.len() > 1 && n.ends_with('A') => field(16, 5),
            n if n.len() > 1 && n.ends_with('B') && n != "MB" => field(11, 5),
            n if n.len() > 1 && n.ends_with('C') => field(6, 5),
            _ => u64::MAX,
        }
    });
    let decode = |bits: u64| (entry.encoding.operands)(entry.encoding.bits | bits);
    let flags = |bits: u64| (decode(bits).rc, decode(bits).oe);
    let suffixes = if entry.syntax.contains("[") { [1, 1 << 10] } else { [0, 0] };
    let suffixes = suffixes.into_iter().filter(|&bit| flags(bit) != flags(0)).sum::<u64>();
    let open = (0..64)
        .map(|n| 1u64 << n)
        .filter(|bit| entry.encoding.mask & bit == 0 && (named | suffixes) & bit != 0);
    open.filter(|&bit| decode(bit) != decode(0) || decode(bit | 0x001f_0000) != decode(0x001f_0000 & !bit))
        .fold(0, |all, bit| all | bit)
}

fn is_storage(entry: &Entry) -> bool {
    let name = entry.name.trim_start_matches('p');
    (name.starts_with('l') || name.starts_with("st"))
        && entry.syntax.contains("RA")
        && !name.starts_with("lvs")
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
