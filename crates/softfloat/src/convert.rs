//! Conversions among formats and integers, and rounding to integers (Power ISA Book I 4.6.7).

use crate::format::{Kind, Number, exact, infinity, propagate, quiet, unpack, zero};
use crate::round::{encode, finish, round_at};
use crate::{Env, Flags, Format, Outcome, Precision, Rounding};

/// The number as format T, rounded to P. A NaN is quieted and keeps the leading bits of its payload.
pub fn convert<F: Format, T: Format, P: Precision>(a: F::Bits, env: &Env) -> Outcome<T::Bits> {
    let a = unpack::<F>(a);
    match a.kind {
        Kind::Quiet | Kind::Signaling => Outcome { value: quiet::<T>(a), flags: a.snan_flag() },
        Kind::Infinity => exact(infinity::<T>(a.sign)),
        Kind::Zero => exact(zero::<T>(a.sign)),
        Kind::Finite => finish::<T, P>(a.sign, a.exponent, a.significand, env),
    }
}

/// The number `magnitude` (negated if `negative`), rounded to P.
pub fn from_int<F: Format, P: Precision>(negative: bool, magnitude: u128, env: &Env) -> Outcome<F::Bits> {
    if magnitude == 0 {
        return exact(zero::<F>(false));
    }
    let zeros = magnitude.leading_zeros();
    finish::<F, P>(negative, 127 - zeros as i32, magnitude << zeros, env)
}

/// A finite number with |a| < 2^127 as an integer magnitude; inexact; rounded up.
fn integer(a: Number, rounding: Rounding) -> (u128, bool, bool) {
    if a.exponent < -1 {
        // Less than a quarter: like any number between 0 and a half.
        let rounded = round_at(1 << 124, 126, a.sign, rounding);
        return (rounded.kept >> 126, true, rounded.up);
    }
    if a.exponent >= 126 {
        return (a.significand >> (127 - a.exponent), false, false);
    }
    // One bit to the right, so that there is room for the carry; the bit that this may lose is sticky.
    let significand = a.significand >> 1 | a.significand & 1;
    let rounded = round_at(significand, (126 - a.exponent) as u32, a.sign, rounding);
    (rounded.kept >> (126 - a.exponent), rounded.inexact, rounded.up)
}

/// The number as an integer of `bits` bits, signed or not, in the low bits of the result. NaNs and numbers out of
/// range give the nearest integer that there is (NaNs the smallest one) and VXCVI.
pub fn to_int<F: Format>(a: F::Bits, bits: u32, signed: bool, rounding: Rounding) -> Outcome<u128> {
    let a = unpack::<F>(a);
    let all = u128::MAX >> (128 - bits);
    let (least, greatest) = if signed { (1 << (bits - 1), all >> 1) } else { (0, all) };
    let out_of_range = |value: u128| Outcome { value, flags: Flags::VXCVI };
    match a.kind {
        Kind::Quiet | Kind::Signaling => out_of_range(least).with(a.snan_flag()),
        Kind::Zero => exact(0),
        Kind::Infinity => out_of_range(if a.sign { least } else { greatest }),
        Kind::Finite => {
            let limit = if a.sign { least } else { greatest };
            if a.exponent > 127 {
                return out_of_range(limit);
            }
            let (magnitude, inexact, up) =
                if a.exponent == 127 { (a.significand, false, false) } else { integer(a, rounding) };
            if magnitude > limit {
                return out_of_range(limit);
            }
            let value = if a.sign { magnitude.wrapping_neg() & all } else { magnitude };
            let flags = Flags::XX.with(Flags::FI).with(Flags::FR.when(up)).when(inexact);
            Outcome { value, flags }
        }
    }
}

/// The number rounded to an integer in the same format. XX and FI tell that it was none; which instructions raise
/// them is their affair.
pub fn round_to_integral<F: Format>(a: F::Bits, rounding: Rounding) -> Outcome<F::Bits> {
    let number = unpack::<F>(a);
    match number.kind {
        Kind::Quiet | Kind::Signaling => propagate::<F>(&[number]),
        Kind::Infinity | Kind::Zero => exact(a),
        Kind::Finite if number.exponent >= F::FRACTION as i32 => exact(a),
        Kind::Finite => {
            let (magnitude, inexact, up) = integer(number, rounding);
            let zeros = magnitude.leading_zeros();
            let value = if magnitude == 0 {
                zero::<F>(number.sign)
            } else {
                encode::<F>(number.sign, 127 - zeros as i32, magnitude << zeros)
            };
            Outcome { value, flags: Flags::XX.with(Flags::FI).with(Flags::FR.when(up)).when(inexact) }
        }
    }
}
