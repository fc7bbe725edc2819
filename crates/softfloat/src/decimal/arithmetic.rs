//! Addition, multiplication, division and comparison (Book I 5.6.1 and 5.6.2).

use super::round::{Exact, finish};
use super::wide::Wide;
use super::{Env, Format, Kind, Number, Outcome, Rounding};
use crate::{Flags, Order};

/// The result if an operand is a NaN: a signaling one first, then the first one, quieted.
fn nan(a: &Number, b: &Number) -> Option<Outcome> {
    let signaling = [a, b].into_iter().find(|n| n.kind == Kind::Signaling);
    let flags = if signaling.is_some() { Flags::VXSNAN } else { Flags::NONE };
    let chosen = signaling.or_else(|| [a, b].into_iter().find(|n| n.is_nan()))?;
    Some(Outcome { number: chosen.quieted(), flags })
}

/// a + b.
pub fn add(a: Number, b: Number, format: &Format, env: &Env) -> Outcome {
    if let Some(outcome) = nan(&a, &b) {
        return outcome;
    }
    match (a.kind, b.kind) {
        (Kind::Infinity, Kind::Infinity) if a.negative != b.negative => {
            return Outcome::invalid(Flags::VXISI);
        }
        (Kind::Infinity, _) => return Outcome::exact(Number::infinity(a.negative)),
        (_, Kind::Infinity) => return Outcome::exact(Number::infinity(b.negative)),
        _ => {}
    }
    let ideal = a.exponent.min(b.exponent);
    finish(sum(a, b, env.rounding), ideal, format, env)
}

/// a - b.
pub fn sub(a: Number, b: Number, format: &Format, env: &Env) -> Outcome {
    // The sign of a NaN stays.
    let negated = if b.is_nan() { b } else { Number { negative: !b.negative, ..b } };
    add(a, negated, format, env)
}

/// Digits that the operand of greater exponent may be shifted to the left: with 34 of its own, 74 of 85.
const REACH: i32 = 40;

fn sum(a: Number, b: Number, rounding: Rounding) -> Exact {
    let (high, low) = if a.exponent >= b.exponent { (a, b) } else { (b, a) };
    if high.coefficient == 0 {
        // Zero has no digits to align with; the sum is the other one.
        return signed_sum(
            Wide::ZERO,
            high.negative,
            Wide::new(low.coefficient),
            low,
            low.exponent,
            rounding,
        );
    }
    let distance = high.exponent - low.exponent;
    let shift = distance.min(REACH);
    let left = Wide::new(high.coefficient).shifted_left(shift as u32);
    let (right, sticky) = Wide::new(low.coefficient).shifted_right((distance - shift) as u32);
    let exponent = high.exponent - shift;
    if !sticky {
        return signed_sum(left, high.negative, right, low, exponent, rounding);
    }
    // The low operand is far below: left is greater. What was cut from it is less than one.
    let coefficient = match high.negative == low.negative {
        true => left.plus(right),
        false => left.minus(right.plus(Wide::new(1))),
    };
    Exact { negative: high.negative, coefficient, sticky, exponent }
}

fn signed_sum(left: Wide, negative: bool, right: Wide, low: Number, exponent: i32, mode: Rounding) -> Exact {
    let exact = |negative, coefficient| Exact { negative, coefficient, sticky: false, exponent };
    if negative == low.negative {
        return exact(negative, left.plus(right));
    }
    match left.cmp(&right) {
        core::cmp::Ordering::Greater => exact(negative, left.minus(right)),
        core::cmp::Ordering::Less => exact(low.negative, right.minus(left)),
        // A zero from a difference is positive, but for rounding down.
        core::cmp::Ordering::Equal => exact(mode == Rounding::Down, Wide::ZERO),
    }
}

/// a * b.
pub fn mul(a: Number, b: Number, format: &Format, env: &Env) -> Outcome {
    if let Some(outcome) = nan(&a, &b) {
        return outcome;
    }
    let negative = a.negative != b.negative;
    if a.kind == Kind::Infinity || b.kind == Kind::Infinity {
        if a.is_zero() || b.is_zero() {
            return Outcome::invalid(Flags::VXIMZ);
        }
        return Outcome::exact(Number::infinity(negative));
    }
    let exponent = a.exponent + b.exponent;
    let coefficient = Wide::product(a.coefficient, b.coefficient);
    finish(Exact { negative, coefficient, sticky: false, exponent }, exponent, format, env)
}

/// a / b.
pub fn div(a: Number, b: Number, format: &Format, env: &Env) -> Outcome {
    if let Some(outcome) = nan(&a, &b) {
        return outcome;
    }
    let negative = a.negative != b.negative;
    match (a.kind, b.kind) {
        (Kind::Infinity, Kind::Infinity) => return Outcome::invalid(Flags::VXIDI),
        (Kind::Infinity, _) => return Outcome::exact(Number::infinity(negative)),
        (_, Kind::Infinity) => {
            return Outcome::exact(Number::finite(negative, 0, format.min_exponent()));
        }
        _ => {}
    }
    match (a.is_zero(), b.is_zero()) {
        (true, true) => return Outcome::invalid(Flags::VXZDZ),
        (false, true) => {
            return Outcome { number: Number::infinity(negative), flags: Flags::ZX };
        }
        _ => {}
    }
    let ideal = a.exponent - b.exponent;
    // Digit by digit; a remainder is below 10^34, so ten of them fit. One digit more than the format has, and
    // sticky, is enough to round.
    let (mut quotient, mut rest) = (a.coefficient / b.coefficient, a.coefficient % b.coefficient);
    let mut exponent = ideal;
    while rest != 0 && quotient < super::power(format.digits + 1) {
        rest *= 10;
        quotient = quotient * 10 + rest / b.coefficient;
        rest %= b.coefficient;
        exponent -= 1;
    }
    let coefficient = Wide::new(quotient);
    finish(Exact { negative, coefficient, sticky: rest != 0, exponent }, ideal, format, env)
}

/// a ? b.
pub fn compare(a: &Number, b: &Number) -> (Order, Flags) {
    let signaling = a.kind == Kind::Signaling || b.kind == Kind::Signaling;
    if a.is_nan() || b.is_nan() {
        return (Order::Unordered, if signaling { Flags::VXSNAN } else { Flags::NONE });
    }
    let rank = |n: &Number| -> i32 {
        let size = match (n.kind, n.is_zero()) {
            (Kind::Infinity, _) => 2,
            (_, zero) => !zero as i32,
        };
        if n.negative { -size } else { size }
    };
    let order = match rank(a).cmp(&rank(b)) {
        core::cmp::Ordering::Equal if rank(a).abs() == 1 => {
            let magnitude = magnitude(a, b);
            if a.negative { magnitude.reverse() } else { magnitude }
        }
        unequal => unequal,
    };
    let order = match order {
        core::cmp::Ordering::Less => Order::Less,
        core::cmp::Ordering::Equal => Order::Equal,
        core::cmp::Ordering::Greater => Order::Greater,
    };
    (order, Flags::NONE)
}

/// |a| ? |b| of finite numbers that are not zero.
fn magnitude(a: &Number, b: &Number) -> core::cmp::Ordering {
    let distance = a.exponent - b.exponent;
    if distance.abs() > REACH {
        return distance.cmp(&0);
    }
    let left = Wide::new(a.coefficient).shifted_left(distance.max(0) as u32);
    let right = Wide::new(b.coefficient).shifted_left((-distance).max(0) as u32);
    left.cmp(&right)
}
