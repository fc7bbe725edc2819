//! Addition, subtraction, multiplication, division, square root and fused multiply-add (Power ISA Book I 4.6.6).

use crate::format::{Kind, Number, exact, infinity, invalid, propagate, unpack, zero};
use crate::round::finish;
use crate::significand::{Significand, U256, quotient, root};
use crate::{Env, Flags, Format, Outcome, Precision, Rounding};

/// A finite value: sign, exponent, normalized significand.
type Finite<S> = (bool, i32, S);

/// The exact sum (its last bit sticky), or None if it is 0. Operands have at least two zero bits at the end.
#[inline(always)]
fn sum<S: Significand>(a: Finite<S>, b: Finite<S>) -> Option<Finite<S>> {
    let (large, small) = if (a.1, a.2) >= (b.1, b.2) { (a, b) } else { (b, a) };
    let distance = (large.1 - small.1) as u32;
    // One bit to the right, so that the sum has room.
    let (x, y) = (large.2.shr_sticky(1), small.2.shr_sticky(distance.saturating_add(1)));
    let total = if a.0 == b.0 { x.wrapping_add(y) } else { x.wrapping_sub(y) };
    if total == S::ZERO {
        return None;
    }
    let zeros = total.leading_zeros();
    Some((large.0, large.1 + 1 - zeros as i32, total.shl(zeros)))
}

/// The sign of a zero that is the sum of opposite numbers.
fn cancelled_sign(env: &Env) -> bool {
    env.rounding == Rounding::Down
}

#[inline(always)]
fn add_numbers<F: Format, P: Precision>(a: Number, b: Number, env: &Env) -> Outcome<F::Bits> {
    match (a.kind, b.kind) {
        (Kind::Finite, Kind::Finite) => {
            let result = sum((a.sign, a.exponent, a.significand), (b.sign, b.exponent, b.significand));
            match result {
                Some((sign, exponent, significand)) => finish::<F, P>(sign, exponent, significand, env),
                None => exact(zero::<F>(cancelled_sign(env))),
            }
        }
        (Kind::Quiet | Kind::Signaling, _) | (_, Kind::Quiet | Kind::Signaling) => propagate::<F>(&[a, b]),
        (Kind::Infinity, Kind::Infinity) if a.sign != b.sign => invalid::<F>(Flags::VXISI),
        (Kind::Infinity, _) => exact(infinity::<F>(a.sign)),
        (_, Kind::Infinity) => exact(infinity::<F>(b.sign)),
        (Kind::Zero, Kind::Zero) => {
            exact(zero::<F>(if a.sign == b.sign { a.sign } else { cancelled_sign(env) }))
        }
        (Kind::Zero, Kind::Finite) => finish::<F, P>(b.sign, b.exponent, b.significand, env),
        (Kind::Finite, Kind::Zero) => finish::<F, P>(a.sign, a.exponent, a.significand, env),
    }
}

/// a + b, rounded to P.
pub fn add<F: Format, P: Precision>(a: F::Bits, b: F::Bits, env: &Env) -> Outcome<F::Bits> {
    add_numbers::<F, P>(unpack::<F>(a), unpack::<F>(b), env)
}

/// a - b, rounded to P.
pub fn sub<F: Format, P: Precision>(a: F::Bits, b: F::Bits, env: &Env) -> Outcome<F::Bits> {
    add_numbers::<F, P>(unpack::<F>(a), unpack::<F>(b).negated(), env)
}

/// The exact product of finite numbers, normalized.
#[inline(always)]
fn product_small(a: Number, b: Number) -> Finite<u128> {
    let product = (a.significand >> 64) * (b.significand >> 64);
    let zeros = product.leading_zeros();
    (a.sign ^ b.sign, a.exponent + b.exponent + 1 - zeros as i32, product << zeros)
}

/// The exact product of finite quads, normalized.
fn product_large(a: Number, b: Number) -> Finite<U256> {
    let product = U256::product(a.significand, b.significand);
    let zeros = product.leading_zeros();
    (a.sign ^ b.sign, a.exponent + b.exponent + 1 - zeros as i32, product.shl(zeros))
}

/// The significands of F fit 64 bits.
const fn small<F: Format>() -> bool {
    F::PRECISION <= 64
}

/// a * b, rounded to P.
pub fn mul<F: Format, P: Precision>(a: F::Bits, b: F::Bits, env: &Env) -> Outcome<F::Bits> {
    let (a, b) = (unpack::<F>(a), unpack::<F>(b));
    let sign = a.sign ^ b.sign;
    match (a.kind, b.kind) {
        (Kind::Finite, Kind::Finite) => {
            let (sign, exponent, significand) = if small::<F>() {
                product_small(a, b)
            } else {
                let (sign, exponent, product) = product_large(a, b);
                (sign, exponent, product.to_top())
            };
            finish::<F, P>(sign, exponent, significand, env)
        }
        (Kind::Quiet | Kind::Signaling, _) | (_, Kind::Quiet | Kind::Signaling) => propagate::<F>(&[a, b]),
        (Kind::Infinity, Kind::Zero) | (Kind::Zero, Kind::Infinity) => invalid::<F>(Flags::VXIMZ),
        (Kind::Infinity, _) | (_, Kind::Infinity) => exact(infinity::<F>(sign)),
        (Kind::Zero, _) | (_, Kind::Zero) => exact(zero::<F>(sign)),
    }
}

/// a / b, rounded to P.
pub fn div<F: Format, P: Precision>(a: F::Bits, b: F::Bits, env: &Env) -> Outcome<F::Bits> {
    let (a, b) = (unpack::<F>(a), unpack::<F>(b));
    let sign = a.sign ^ b.sign;
    match (a.kind, b.kind) {
        (Kind::Finite, Kind::Finite) => {
            let (significand, below_one) = if small::<F>() {
                quotient::<true>(a.significand, b.significand)
            } else {
                quotient::<false>(a.significand, b.significand)
            };
            finish::<F, P>(sign, a.exponent - b.exponent - below_one as i32, significand, env)
        }
        (Kind::Quiet | Kind::Signaling, _) | (_, Kind::Quiet | Kind::Signaling) => propagate::<F>(&[a, b]),
        (Kind::Infinity, Kind::Infinity) => invalid::<F>(Flags::VXIDI),
        (Kind::Zero, Kind::Zero) => invalid::<F>(Flags::VXZDZ),
        (Kind::Infinity, _) => exact(infinity::<F>(sign)),
        (Kind::Finite, Kind::Zero) => exact(infinity::<F>(sign)).with(Flags::ZX),
        (Kind::Zero, _) | (_, Kind::Infinity) => exact(zero::<F>(sign)),
    }
}

/// The square root of a, rounded to P.
pub fn sqrt<F: Format, P: Precision>(a: F::Bits, env: &Env) -> Outcome<F::Bits> {
    let a = unpack::<F>(a);
    match a.kind {
        Kind::Quiet | Kind::Signaling => propagate::<F>(&[a]),
        Kind::Zero => exact(zero::<F>(a.sign)),
        _ if a.sign => invalid::<F>(Flags::VXSQRT),
        Kind::Infinity => exact(infinity::<F>(false)),
        Kind::Finite => {
            let doubled = a.exponent & 1 != 0;
            let significand = if small::<F>() {
                root::<true>(a.significand, doubled)
            } else {
                root::<false>(a.significand, doubled)
            };
            finish::<F, P>(false, a.exponent >> 1, significand, env)
        }
    }
}

/// a * c + b, rounded once to P. Of several NaNs a goes before b, b before c.
pub fn fma<F: Format, P: Precision>(a: F::Bits, c: F::Bits, b: F::Bits, env: &Env) -> Outcome<F::Bits> {
    let (a, b, c) = (unpack::<F>(a), unpack::<F>(b), unpack::<F>(c));
    let sign = a.sign ^ c.sign;
    match (a.kind, c.kind, b.kind) {
        (Kind::Finite, Kind::Finite, Kind::Finite) => {
            let result = if small::<F>() {
                sum(product_small(a, c), (b.sign, b.exponent, b.significand))
            } else {
                sum(product_large(a, c), (b.sign, b.exponent, U256::from_top(b.significand)))
                    .map(|(sign, exponent, significand)| (sign, exponent, significand.to_top()))
            };
            match result {
                Some((sign, exponent, significand)) => finish::<F, P>(sign, exponent, significand, env),
                None => exact(zero::<F>(cancelled_sign(env))),
            }
        }
        (Kind::Finite, Kind::Finite, Kind::Zero) => {
            let (sign, exponent, significand) = if small::<F>() {
                product_small(a, c)
            } else {
                let (sign, exponent, product) = product_large(a, c);
                (sign, exponent, product.to_top())
            };
            finish::<F, P>(sign, exponent, significand, env)
        }
        (Kind::Infinity, Kind::Zero, _) | (Kind::Zero, Kind::Infinity, _) => {
            // Invalid even if b is a NaN, which then is the result.
            let result = if b.is_nan() { propagate::<F>(&[b]) } else { invalid::<F>(Flags::NONE) };
            result.with(Flags::VXIMZ)
        }
        _ if a.is_nan() || b.is_nan() || c.is_nan() => propagate::<F>(&[a, b, c]),
        (Kind::Infinity, _, _) | (_, Kind::Infinity, _) => {
            if b.kind == Kind::Infinity && b.sign != sign {
                invalid::<F>(Flags::VXISI)
            } else {
                exact(infinity::<F>(sign))
            }
        }
        // The product is an exact zero from here on, or b is infinite.
        _ => add_numbers::<F, P>(Number { sign, kind: Kind::Zero, ..a }, b, env),
    }
}
