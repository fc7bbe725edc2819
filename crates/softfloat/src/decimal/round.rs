//! Rounding, overflow and underflow (Book I 5.5.1, 5.5.2, 5.5.10).

use super::wide::{Lost, Wide};
use super::{Format, Kind, Number, power};
use crate::Flags;

/// How a result that is not exact is rounded: FPSCR[DRN].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rounding {
    /// To the nearest, ties to even: DRN 0.
    NearestEven,
    /// Toward zero: DRN 1.
    TowardZero,
    /// Toward positive infinity: DRN 2.
    Up,
    /// Toward negative infinity: DRN 3.
    Down,
    /// To the nearest, ties away from zero: DRN 4.
    NearestAway,
    /// To the nearest, ties toward zero: DRN 5.
    NearestTowardZero,
    /// Away from zero: DRN 6.
    AwayFromZero,
    /// Prepare for shorter precision: truncate, and step away from a last digit 0 or 5. DRN 7.
    ForShorter,
}

impl Rounding {
    /// The mode that FPSCR[DRN] selects (its low 3 bits are looked at).
    pub const fn from_drn(drn: u64) -> Rounding {
        match drn & 7 {
            0 => Rounding::NearestEven,
            1 => Rounding::TowardZero,
            2 => Rounding::Up,
            3 => Rounding::Down,
            4 => Rounding::NearestAway,
            5 => Rounding::NearestTowardZero,
            6 => Rounding::AwayFromZero,
            _ => Rounding::ForShorter,
        }
    }

    fn increments(self, negative: bool, last_digit: u32, lost: Lost) -> bool {
        if lost == Lost::Nothing {
            return false;
        }
        match self {
            Rounding::NearestEven => lost > Lost::Half || lost == Lost::Half && last_digit % 2 == 1,
            Rounding::TowardZero => false,
            Rounding::Up => !negative,
            Rounding::Down => negative,
            Rounding::NearestAway => lost >= Lost::Half,
            Rounding::NearestTowardZero => lost > Lost::Half,
            Rounding::AwayFromZero => true,
            Rounding::ForShorter => last_digit.is_multiple_of(5),
        }
    }

    /// An overflow gives the greatest number, not an infinity.
    fn stops_at_greatest(self, negative: bool) -> bool {
        match self {
            Rounding::TowardZero | Rounding::ForShorter => true,
            Rounding::Up => negative,
            Rounding::Down => !negative,
            _ => false,
        }
    }
}

/// What of the FPSCR an operation depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Env {
    /// The rounding mode.
    pub rounding: Rounding,
    /// FPSCR[OE].
    pub overflow_enabled: bool,
    /// FPSCR[UE].
    pub underflow_enabled: bool,
}

/// A result and what it raised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The result; meaningless where an enabled invalid operation or zero divide suppresses it.
    pub number: Number,
    /// Exceptions, FR and FI.
    pub flags: Flags,
}

impl Outcome {
    /// A result without any exception.
    pub const fn exact(number: Number) -> Outcome {
        Outcome { number, flags: Flags::NONE }
    }
    /// The default NaN of an invalid operation.
    pub const fn invalid(flags: Flags) -> Outcome {
        Outcome { number: Number::DEFAULT_NAN, flags }
    }
}

/// An exact result before rounding: `coefficient`, and something below it if `sticky`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exact {
    pub(super) negative: bool,
    pub(super) coefficient: Wide,
    pub(super) sticky: bool,
    pub(super) exponent: i32,
}

fn digits(coefficient: u128) -> u32 {
    coefficient.checked_ilog10().map_or(0, |log| log + 1)
}

/// Number of significant digits of a finite number, 0 for zero.
pub fn significant_digits(number: &Number) -> u32 {
    digits(number.coefficient)
}

/// Coefficient without `drop` digits, rounded; with FR and FI.
fn cut(exact: &Exact, drop: u32, rounding: Rounding) -> (u128, Flags) {
    let (wide, lost) = exact.coefficient.rounded_down(drop, exact.sticky);
    let coefficient = wide.to_u128();
    let up = rounding.increments(exact.negative, (coefficient % 10) as u32, lost);
    let mut flags = Flags::NONE;
    if lost != Lost::Nothing {
        flags = Flags(Flags::XX.0 | Flags::FI.0 | if up { Flags::FR.0 } else { 0 });
    }
    (coefficient + up as u128, flags)
}

/// Rounds an exact result to `format`; an exact one takes the exponent nearest to `ideal`.
pub(super) fn finish(exact: Exact, ideal: i32, format: &Format, env: &Env) -> Outcome {
    let Exact { negative, coefficient: wide, sticky, mut exponent } = exact;
    if wide.is_zero() && !sticky {
        let exponent = ideal.clamp(format.min_exponent(), format.max_exponent());
        return Outcome::exact(Number::finite(negative, 0, exponent));
    }
    // Exponent of the first digit, before rounding.
    let first = exponent + wide.digits() as i32 - 1;
    let tiny = first < format.min_exponent() + format.digits as i32 - 1;
    let wraps_up = tiny && env.underflow_enabled;
    if wraps_up {
        exponent += format.wrap;
    }
    let excess = wide.digits() as i32 - format.digits as i32;
    let below = format.min_exponent() - exponent;
    let drop = excess.max(below).max(0) as u32;
    let (mut coefficient, mut flags) = cut(&exact, drop, env.rounding);
    exponent += drop as i32;
    if coefficient == power(format.digits) {
        coefficient /= 10;
        exponent += 1;
    }
    if tiny && (wraps_up || flags.any(Flags::XX)) {
        flags = Flags(flags.0 | Flags::UX.0);
    }
    let ideal = if wraps_up { ideal + format.wrap } else { ideal };
    if !flags.any(Flags::XX) {
        (coefficient, exponent) = toward(coefficient, exponent, ideal, format);
    }
    if exponent > format.max_exponent() {
        // Zeros at the end bring a large exponent down.
        let room = (format.digits - digits(coefficient)) as i32;
        let by = (exponent - format.max_exponent()).min(room);
        coefficient *= power(by as u32);
        exponent -= by;
    }
    if exponent > format.max_exponent() {
        return overflow(Number::finite(negative, coefficient, exponent), flags, format, env);
    }
    Outcome { number: Number::finite(negative, coefficient, exponent), flags }
}

/// Moves the exponent of an exact coefficient toward `ideal` as far as zeros and room go.
fn toward(mut coefficient: u128, mut exponent: i32, ideal: i32, format: &Format) -> (u128, i32) {
    while exponent < ideal && coefficient.is_multiple_of(10) {
        coefficient /= 10;
        exponent += 1;
    }
    while exponent > ideal && exponent > format.min_exponent() && digits(coefficient) < format.digits {
        coefficient *= 10;
        exponent -= 1;
    }
    (coefficient, exponent)
}

fn overflow(number: Number, flags: Flags, format: &Format, env: &Env) -> Outcome {
    if env.overflow_enabled {
        let number = Number { exponent: number.exponent - format.wrap, ..number };
        return Outcome { number, flags: Flags(flags.0 | Flags::OX.0) };
    }
    let greatest = env.rounding.stops_at_greatest(number.negative);
    let result = match greatest {
        true => Number::finite(number.negative, power(format.digits) - 1, format.max_exponent()),
        false => Number::infinity(number.negative),
    };
    let raised = Flags::OX.0 | Flags::XX.0 | Flags::FI.0;
    let fr = if greatest { 0 } else { Flags::FR.0 };
    Outcome { number: result, flags: Flags(flags.0 & !Flags::FR.0 | raised | fr) }
}

/// Rounds a finite number to `format`, keeping its exponent where it can.
pub fn round(number: Number, format: &Format, env: &Env) -> Outcome {
    let Number { negative, coefficient, exponent, .. } = number;
    finish(
        Exact { negative, coefficient: Wide::new(coefficient), sticky: false, exponent },
        exponent,
        format,
        env,
    )
}

/// A finite number with the exponent `exponent`; None if that takes more digits than `format` has.
pub fn quantize(number: Number, exponent: i32, format: &Format, rounding: Rounding) -> Option<Outcome> {
    let Number { negative, coefficient, .. } = number;
    debug_assert!(number.kind == Kind::Finite);
    let up = number.exponent - exponent;
    if up >= 0 || coefficient == 0 {
        let room = (format.digits - digits(coefficient)) as i32;
        if coefficient != 0 && up > room {
            return None;
        }
        let coefficient = if coefficient == 0 { 0 } else { coefficient * power(up as u32) };
        return Some(Outcome::exact(Number::finite(negative, coefficient, exponent)));
    }
    let wide = Wide::new(coefficient);
    let exact = Exact { negative, coefficient: wide, sticky: false, exponent: number.exponent };
    let (coefficient, flags) = cut(&exact, up.unsigned_abs(), rounding);
    Some(Outcome { number: Number::finite(negative, coefficient, exponent), flags })
}
