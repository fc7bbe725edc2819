//! The values of readers that execute: numbers.

use crate::{Binary, Condition, Relation, Unary, Value};
use core::ops::{Add, BitAnd, BitOr, BitXor, Mul, Not, Shl, Shr, Sub};

/// A guest value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct N(pub u64);

macro_rules! operators {
    ($($trait:ident $method:ident |$a:ident, $b:ident| $e:expr;)*) => {$(
        impl $trait for N {
            type Output = N;
            #[inline(always)]
            fn $method(self, other: N) -> N {
                let ($a, $b) = (self.0, other.0);
                N($e)
            }
        }
        impl $trait<u64> for N {
            type Output = N;
            #[inline(always)]
            fn $method(self, other: u64) -> N {
                $trait::$method(self, N(other))
            }
        }
    )*};
}

operators! {
    Add add |a, b| a.wrapping_add(b);
    Sub sub |a, b| a.wrapping_sub(b);
    Mul mul |a, b| a.wrapping_mul(b);
    BitAnd bitand |a, b| a & b;
    BitOr bitor |a, b| a | b;
    BitXor bitxor |a, b| a ^ b;
    Shl shl |a, b| a << (b & 63);
    Shr shr |a, b| a >> (b & 63);
}

impl Not for N {
    type Output = N;
    #[inline(always)]
    fn not(self) -> N {
        N(!self.0)
    }
}

impl Value for N {
    type Condition = bool;

    #[inline(always)]
    fn unary(self, op: Unary) -> N {
        let a = self.0;
        N(match op {
            Unary::Sext8 => a as i8 as i64 as u64,
            Unary::Sext16 => a as i16 as i64 as u64,
            Unary::Sext32 => a as i32 as i64 as u64,
            Unary::Clz => a.leading_zeros() as u64,
            Unary::Clz32 => (a as u32).leading_zeros() as u64,
            Unary::Ctz => a.trailing_zeros() as u64,
            Unary::Ctz32 => (a as u32).trailing_zeros() as u64,
            Unary::Popcnt => a.count_ones() as u64,
            Unary::Bswap16 => (a as u16).swap_bytes() as u64,
            Unary::Bswap32 => (a as u32).swap_bytes() as u64,
            Unary::Bswap64 => a.swap_bytes(),
        })
    }

    #[inline(always)]
    fn binary(self, op: Binary, other: N) -> N {
        let (a, b) = (self.0, other.0);
        N(match op {
            Binary::Sar => (a as i64 >> (b & 63)) as u64,
            Binary::Rotl => a.rotate_left(b as u32 & 63),
            Binary::Rotl32 => (a as u32).rotate_left(b as u32 & 31) as u64,
            Binary::MulHu => ((a as u128 * b as u128) >> 64) as u64,
            Binary::MulHs => ((a as i64 as i128 * b as i64 as i128) >> 64) as u64,
            Binary::DivU => a.checked_div(b).unwrap_or(0),
            Binary::DivS => {
                if b == 0 {
                    0
                } else {
                    (a as i64).wrapping_div(b as i64) as u64
                }
            }
            Binary::DivU32 => (a as u32).checked_div(b as u32).unwrap_or(0) as u64,
            Binary::DivS32 => {
                if b as u32 == 0 {
                    0
                } else {
                    (a as i32).wrapping_div(b as i32) as u32 as u64
                }
            }
        })
    }

    #[inline(always)]
    fn test(self, relation: Relation, other: N) -> bool {
        match relation {
            Relation::Eq => self.0 == other.0,
            Relation::LtU => self.0 < other.0,
            Relation::LtS => (self.0 as i64) < other.0 as i64,
        }
    }

    #[inline(always)]
    fn order(self, signed: bool, other: N) -> N {
        let (less, greater) = if signed {
            ((self.0 as i64) < other.0 as i64, self.0 as i64 > other.0 as i64)
        } else {
            (self.0 < other.0, self.0 > other.0)
        };
        N(if less {
            8
        } else if greater {
            4
        } else {
            2
        })
    }
}

impl Condition for bool {
    type Value = N;
    #[inline(always)]
    fn bit(self) -> N {
        N(self as u64)
    }
    #[inline(always)]
    fn select(self, yes: N, no: N) -> N {
        if self { yes } else { no }
    }
}
