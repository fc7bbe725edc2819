//! Random numbers of every kind, many of them special. The differential tester (crates/differential) has it too.

use timebase_softfloat::decimal::{Format, Kind, Number};

/// A generator of numbers (xorshift64*); never 0.
pub struct Random(pub u64);
impl Random {
    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
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
    pub fn decimal(&mut self) -> u128 {
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
    pub fn decimal_float(&mut self, format: &Format) -> u128 {
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
    /// A vector of numbers of some kind.
    pub fn vector(&mut self) -> u128 {
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
