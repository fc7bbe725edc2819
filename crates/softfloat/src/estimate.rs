//! Reciprocal and reciprocal square root estimates (Power ISA Book I 4.6.6.1, 7.6.1.3).
//!
//! The ISA asks for a relative error of at most 1/256 (`fre`), 1/32 (`frsqrte`) or 1/16384 (the VSX forms), and
//! leaves the value open; there is none for quads. These estimates are as good as the format allows: the reciprocal is
//! correctly rounded, the
//! reciprocal square root is off by at most one unit in the last place. Inexactness is not reported, as the ISA says.

use crate::format::{Kind, exact, infinity, invalid, propagate, unpack, zero};
use crate::round::finish;
use crate::significand::{quotient, root};
use crate::{Env, Flags, Format, Outcome, Precision};

const ONE: u128 = 1 << 127;

fn without_inexact<B>(outcome: Outcome<B>) -> Outcome<B> {
    let hidden = Flags::XX.0 | Flags::FI.0 | Flags::FR.0;
    Outcome { flags: Flags(outcome.flags.0 & !hidden), ..outcome }
}

/// 1 / a, rounded to P.
pub fn reciprocal<F: Format, P: Precision>(a: F::Bits, env: &Env) -> Outcome<F::Bits> {
    let a = unpack::<F>(a);
    match a.kind {
        Kind::Quiet | Kind::Signaling => propagate::<F>(&[a]),
        Kind::Infinity => exact(zero::<F>(a.sign)),
        Kind::Zero => exact(infinity::<F>(a.sign)).with(Flags::ZX),
        Kind::Finite => {
            let (significand, below_one) = quotient::<true>(ONE, a.significand);
            without_inexact(finish::<F, P>(a.sign, -a.exponent - below_one as i32, significand, env))
        }
    }
}

/// 1 / sqrt(a), rounded to P.
pub fn reciprocal_sqrt<F: Format, P: Precision>(a: F::Bits, env: &Env) -> Outcome<F::Bits> {
    let a = unpack::<F>(a);
    match a.kind {
        Kind::Quiet | Kind::Signaling => propagate::<F>(&[a]),
        Kind::Zero => exact(infinity::<F>(a.sign)).with(Flags::ZX),
        _ if a.sign => invalid::<F>(Flags::VXSQRT),
        Kind::Infinity => exact(zero::<F>(false)),
        Kind::Finite => {
            // 64 bits of the root are more than an estimate needs.
            let root = root::<true>(a.significand, a.exponent & 1 != 0) >> 64 << 64;
            let (significand, below_one) = quotient::<true>(ONE, root);
            without_inexact(finish::<F, P>(false, -(a.exponent >> 1) - below_one as i32, significand, env))
        }
    }
}
