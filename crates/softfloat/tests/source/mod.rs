//! Random operands, many of them special: exponents and fractions biased toward the edges.

/// A source of them (xorshift).
pub struct Source(u64);

impl Source {
    pub fn new(seed: u64) -> Source {
        Source(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    /// A number of `fraction` fraction bits and `exponent` exponent bits.
    pub fn number(&mut self, fraction: u32, exponent: u32) -> u128 {
        let (choice, raw) = (self.bits(), (self.bits() as u128) << 64 | self.bits() as u128);
        let field_all = (1u128 << exponent) - 1;
        let bias = field_all >> 1;
        let field = match choice & 7 {
            0 => 0,
            1 => field_all,
            2 => 1 + (raw >> 120) % 3,
            3 => field_all - 1 - (raw >> 120) % 3,
            4 | 5 => bias - 4 + (raw >> 120) % 9,
            _ => raw >> 64 & field_all,
        };
        let part = raw & ((1 << fraction) - 1);
        let part = match choice >> 3 & 7 {
            0 => 0,
            1 => 1,
            2 => (1 << fraction) - 1,
            3 => 1 << (fraction - 1),
            4 => part >> (choice >> 16 & 63).min(fraction as u64),
            5 => part & ((1u128 << fraction) - 1) << (choice >> 16 & 63).min(fraction as u64 - 1),
            _ => part,
        };
        ((choice >> 6 & 1) as u128) << (fraction + exponent) | field << fraction | part
    }
    pub fn double(&mut self) -> u64 {
        self.number(52, 11) as u64
    }
}
