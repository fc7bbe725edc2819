//! Rounding, overflow and underflow, encoding (Power ISA Book I 4.3.6, 4.4.3, 4.4.4 and 4.4.5).

use crate::format::{assemble, infinity, zero};
use crate::significand::Significand;
use crate::{Env, Flags, Format, Outcome, Precision, Rounding};

/// A multiple of `1 << unit_bit`, and which way it was reached.
pub(crate) struct Rounded {
    pub kept: u128,
    /// Adding one unit carried out of 128 bits: `kept` is to be read as 2^128.
    pub carry: bool,
    pub inexact: bool,
    pub up: bool,
}

/// Rounds to a multiple of `1 << unit_bit` (at most 127).
#[inline(always)]
pub(crate) fn round_at(significand: u128, unit_bit: u32, sign: bool, rounding: Rounding) -> Rounded {
    let unit = 1u128 << unit_bit;
    let rest = significand & (unit - 1);
    let truncated = significand ^ rest;
    let half = unit >> 1;
    let odd = truncated & unit != 0;
    let inexact = rest != 0;
    let up = match rounding {
        Rounding::NearestEven => rest > half || inexact && rest == half && odd,
        Rounding::NearestAway => inexact && rest >= half,
        Rounding::TowardZero => false,
        Rounding::Up => inexact && !sign,
        Rounding::Down => inexact && sign,
        Rounding::Odd => inexact && !odd,
    };
    let (kept, carry) = truncated.overflowing_add(if up { unit } else { 0 });
    Rounded { kept, carry, inexact, up }
}

/// The finite value significand * 2^(exponent - 127), bit 127 set and the last bit sticky, rounded to P and encoded
/// as F.
#[inline]
pub(crate) fn finish<F: Format, P: Precision>(
    sign: bool,
    mut exponent: i32,
    mut significand: u128,
    env: &Env,
) -> Outcome<F::Bits> {
    let mut flags = Flags::NONE;
    let tiny = exponent < P::EMIN;
    if tiny {
        if env.underflow_enabled {
            flags = Flags::UX;
            exponent += P::ADJUST;
        } else {
            significand = significand.shr_sticky((P::EMIN - exponent) as u32);
            exponent = P::EMIN;
        }
    }
    let rounded = round_at(significand, 128 - P::PRECISION, sign, env.rounding);
    if rounded.inexact {
        flags =
            flags.with(Flags::XX).with(Flags::FI).with(Flags::UX.when(tiny)).with(Flags::FR.when(rounded.up));
    }
    let mut kept = rounded.kept;
    if rounded.carry {
        kept = 1 << 127;
        exponent += 1;
    }
    if exponent > P::EMAX {
        if !env.overflow_enabled {
            return overflow::<F, P>(sign, env.rounding);
        }
        flags = flags.with(Flags::OX);
        exponent -= P::ADJUST;
    }
    Outcome { value: encode::<F>(sign, exponent, kept), flags }
}

/// A value that F can hold, encoded. An exponent beyond those of F (enabled exceptions of conversions only) wraps.
#[inline(always)]
pub(crate) fn encode<F: Format>(sign: bool, mut exponent: i32, mut significand: u128) -> F::Bits {
    if significand >> 127 == 0 {
        if significand == 0 {
            return zero::<F>(sign);
        }
        let zeros = significand.leading_zeros();
        significand <<= zeros;
        exponent -= zeros as i32;
    }
    if exponent < F::EMIN {
        let fraction = significand.shr_sticky((F::EMIN - exponent) as u32) >> (127 - F::FRACTION);
        return assemble::<F>(sign, 0, fraction);
    }
    let fraction = significand << 1 >> (128 - F::FRACTION);
    assemble::<F>(sign, (exponent + F::EMAX) & (2 * F::EMAX + 1), fraction)
}

/// Overflow without its exception enabled.
#[cold]
fn overflow<F: Format, P: Precision>(sign: bool, rounding: Rounding) -> Outcome<F::Bits> {
    let to_infinity = match rounding {
        Rounding::NearestEven | Rounding::NearestAway => true,
        Rounding::TowardZero | Rounding::Odd => false,
        Rounding::Up => !sign,
        Rounding::Down => sign,
    };
    let flags = Flags::OX.with(Flags::XX).with(Flags::FI).with(Flags::FR.when(to_infinity));
    let value = if to_infinity {
        infinity::<F>(sign)
    } else {
        encode::<F>(sign, P::EMAX, u128::MAX << (128 - P::PRECISION))
    };
    Outcome { value, flags }
}
