//! Significands as fixed-point numbers: 128 bits, and 256 bits for exact products of quads.

/// An unsigned fixed-point number whose leading bit is the most significant one when it is normalized.
pub(crate) trait Significand: Copy + Ord {
    const ZERO: Self;
    /// Top-aligned from 128 bits.
    fn from_top(top: u128) -> Self;
    /// The top 128 bits; the last one also says whether anything below is not 0.
    fn to_top(self) -> u128;
    fn leading_zeros(self) -> u32;
    fn shl(self, count: u32) -> Self;
    /// Shifted right; the last bit also says whether anything that was shifted out is not 0.
    fn shr_sticky(self, count: u32) -> Self;
    fn wrapping_add(self, other: Self) -> Self;
    fn wrapping_sub(self, other: Self) -> Self;
}

impl Significand for u128 {
    const ZERO: u128 = 0;
    #[inline(always)]
    fn from_top(top: u128) -> u128 {
        top
    }
    #[inline(always)]
    fn to_top(self) -> u128 {
        self
    }
    #[inline(always)]
    fn leading_zeros(self) -> u32 {
        u128::leading_zeros(self)
    }
    #[inline(always)]
    fn shl(self, count: u32) -> u128 {
        self << count
    }
    #[inline(always)]
    fn shr_sticky(self, count: u32) -> u128 {
        if count == 0 {
            self
        } else if count < 128 {
            self >> count | (self << (128 - count) != 0) as u128
        } else {
            (self != 0) as u128
        }
    }
    #[inline(always)]
    fn wrapping_add(self, other: u128) -> u128 {
        u128::wrapping_add(self, other)
    }
    #[inline(always)]
    fn wrapping_sub(self, other: u128) -> u128 {
        u128::wrapping_sub(self, other)
    }
}

/// 256 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct U256 {
    // The order of the fields makes the derived comparison numerical.
    pub high: u128,
    pub low: u128,
}

impl U256 {
    /// The product.
    pub fn product(a: u128, b: u128) -> U256 {
        let mask = u64::MAX as u128;
        let (a1, a0, b1, b0) = (a >> 64, a & mask, b >> 64, b & mask);
        let (low, middle1, middle2, high) = (a0 * b0, a1 * b0, a0 * b1, a1 * b1);
        let middle = (low >> 64) + (middle1 & mask) + (middle2 & mask);
        U256 {
            high: high + (middle1 >> 64) + (middle2 >> 64) + (middle >> 64),
            low: middle << 64 | low & mask,
        }
    }
}

impl Significand for U256 {
    const ZERO: U256 = U256 { high: 0, low: 0 };
    fn from_top(top: u128) -> U256 {
        U256 { high: top, low: 0 }
    }
    fn to_top(self) -> u128 {
        self.high | (self.low != 0) as u128
    }
    fn leading_zeros(self) -> u32 {
        if self.high != 0 { self.high.leading_zeros() } else { 128 + self.low.leading_zeros() }
    }
    fn shl(self, count: u32) -> U256 {
        match count {
            0 => self,
            1..128 => U256 { high: self.high << count | self.low >> (128 - count), low: self.low << count },
            128..256 => U256 { high: self.low << (count - 128), low: 0 },
            _ => U256::ZERO,
        }
    }
    fn shr_sticky(self, count: u32) -> U256 {
        match count {
            0 => self,
            1..128 => U256 {
                high: self.high >> count,
                low: self.high << (128 - count)
                    | self.low >> count
                    | (self.low << (128 - count) != 0) as u128,
            },
            128 => U256 { high: 0, low: self.high | (self.low != 0) as u128 },
            129..256 => {
                let lost = self.low != 0 || self.high << (256 - count) != 0;
                U256 { high: 0, low: self.high >> (count - 128) | lost as u128 }
            }
            _ => U256 { high: 0, low: (self != U256::ZERO) as u128 },
        }
    }
    fn wrapping_add(self, other: U256) -> U256 {
        let (low, carry) = self.low.overflowing_add(other.low);
        U256 { high: self.high.wrapping_add(other.high).wrapping_add(carry as u128), low }
    }
    fn wrapping_sub(self, other: U256) -> U256 {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        U256 { high: self.high.wrapping_sub(other.high).wrapping_sub(borrow as u128), low }
    }
}

/// a / b of normalized significands: the quotient with its leading bit at 127 and a sticky last bit, and whether it
/// is less than 1 (then it stands one bit to the left of its true place). `SMALL`: operands have 64 bits, and so
/// much of the quotient is enough.
pub(crate) fn quotient<const SMALL: bool>(a: u128, b: u128) -> (u128, bool) {
    let below_one = a < b;
    if SMALL {
        let dividend = (a >> 64) << (63 + below_one as u32);
        let divisor = b >> 64;
        let (q, r) = (dividend / divisor, dividend % divisor);
        return (q << 64 | (r != 0) as u128, below_one);
    }
    // Bit by bit: quads have 15 zero bits at the end, so a shift right loses nothing.
    const STEPS: u32 = 118;
    let (mut rest, divisor) = (if below_one { a } else { a >> 1 }, b >> 1);
    let mut q = 0;
    for _ in 0..STEPS {
        q <<= 1;
        if rest >= divisor {
            rest -= divisor;
            q |= 1;
        }
        rest <<= 1;
    }
    (q << (128 - STEPS) | (rest != 0) as u128, below_one)
}

/// The square root of a normalized significand in [1, 2), or of its double, in [2, 4), with its leading bit at 127
/// and a sticky last bit. `SMALL`: the operand has 64 bits, and so much of the root is enough.
pub(crate) fn root<const SMALL: bool>(significand: u128, doubled: bool) -> u128 {
    if SMALL {
        let radicand = if doubled { significand } else { significand >> 1 };
        let root = radicand.isqrt();
        return root << 64 | (root * root != radicand) as u128;
    }
    // Digit by digit, two bits of the radicand for one of the root.
    const STEPS: u32 = 118;
    let mut feed = if doubled { significand } else { significand >> 1 };
    let (mut rest, mut root) = (0u128, 0u128);
    for _ in 0..STEPS {
        rest = rest << 2 | feed >> 126;
        feed <<= 2;
        let trial = root << 2 | 1;
        root <<= 1;
        if rest >= trial {
            rest -= trial;
            root |= 1;
        }
    }
    root << (128 - STEPS) | (rest != 0) as u128
}
