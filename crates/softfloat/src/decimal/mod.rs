//! IEEE 754 decimal floating point as the Power ISA defines it (Power ISA 3.1 Book I chapter 5): formats short, long
//! and extended of 7, 16 and 34 digits, densely packed.
//!
//! An operation is exact first and rounded once. The exact result is a [`wide::Wide`] of 85 digits and a sticky
//! bit for what lies below; the ideal exponent of IEEE 754 is kept where the result is exact. Tininess is detected
//! before rounding, and an enabled overflow or underflow delivers the exponent-adjusted result, as Power has it.

mod arithmetic;
mod dpd;
mod format;
mod round;
mod wide;

pub use arithmetic::{add, compare, div, mul, sub};
pub use dpd::{bcd_to_declet, declet_to_bcd};
pub use format::{Format, Kind, Number};
pub use round::{Env, Outcome, Rounding, quantize, round, significant_digits};

/// 10 to the power `n`, which is at most 38.
pub(crate) const fn power(n: u32) -> u128 {
    10u128.pow(n)
}
