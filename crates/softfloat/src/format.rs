//! Formats and precisions, and numbers taken apart.

use crate::{Flags, Outcome};

/// How many bits a result keeps and which exponents it may have.
pub trait Precision {
    /// Significand bits, the leading one included.
    const PRECISION: u32;
    /// Largest exponent of a normal number; the smallest is 1 - EMAX.
    const EMAX: i32;
    /// Smallest exponent of a normal number.
    const EMIN: i32 = 1 - Self::EMAX;
    /// What the exponent of an enabled overflow or underflow is adjusted by.
    const ADJUST: i32 = (Self::EMAX + 1) / 2 * 3;
}

/// An interchange format.
pub trait Format: Precision {
    /// The encoded number.
    type Bits: Copy + PartialEq + core::fmt::Debug;
    /// Width of the encoding.
    const WIDTH: u32;
    /// Fraction bits.
    const FRACTION: u32 = Self::PRECISION - 1;
    /// The encoding, zero-extended.
    fn widen(bits: Self::Bits) -> u128;
    /// The low bits.
    fn narrow(bits: u128) -> Self::Bits;
}

macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident: $bits:ty, precision $precision:literal, emax $emax:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name {}
        impl Precision for $name {
            const PRECISION: u32 = $precision;
            const EMAX: i32 = $emax;
        }
        impl Format for $name {
            type Bits = $bits;
            const WIDTH: u32 = <$bits>::BITS;
            #[inline(always)]
            fn widen(bits: $bits) -> u128 {
                bits as u128
            }
            #[inline(always)]
            fn narrow(bits: u128) -> $bits {
                bits as $bits
            }
        }
    )*};
}

formats! {
    /// binary16.
    Half: u16, precision 11, emax 15;
    /// bfloat16: the upper half of a single.
    BFloat16: u16, precision 8, emax 127;
    /// binary32.
    Single: u32, precision 24, emax 127;
    /// binary64.
    Double: u64, precision 53, emax 1023;
    /// binary128.
    Quad: u128, precision 113, emax 16383;
}

/// The precision of the x87 double-extended format, to which `xsrqpxp` rounds quads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extended {}
impl Precision for Extended {
    const PRECISION: u32 = 64;
    const EMAX: i32 = Quad::EMAX;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Zero,
    Finite,
    Infinity,
    Quiet,
    Signaling,
}

/// A number taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number {
    pub sign: bool,
    pub kind: Kind,
    /// Of a finite number: its value is significand * 2^(exponent - 127).
    pub exponent: i32,
    /// Of a finite number: bit 127 is set. Of a NaN: the fraction, its first bit in bit 126.
    pub significand: u128,
}

impl Number {
    pub fn is_nan(&self) -> bool {
        matches!(self.kind, Kind::Quiet | Kind::Signaling)
    }
    pub fn snan_flag(&self) -> Flags {
        Flags::VXSNAN.when(self.kind == Kind::Signaling)
    }
    /// The same with the other sign, unless it is a NaN.
    pub fn negated(self) -> Number {
        Number { sign: self.sign ^ !self.is_nan(), ..self }
    }
}

/// Takes `bits` apart.
#[inline]
pub(crate) fn unpack<F: Format>(bits: F::Bits) -> Number {
    let bits = F::widen(bits);
    let sign = bits >> (F::WIDTH - 1) != 0;
    let fraction = bits & ((1 << F::FRACTION) - 1);
    let field = (bits >> F::FRACTION) as i32 & (2 * F::EMAX + 1);
    // The leading bit of a normal number at 127.
    let aligned = fraction << (127 - F::FRACTION);
    if field == 2 * F::EMAX + 1 {
        let kind = match aligned {
            0 => Kind::Infinity,
            f if f >> 126 != 0 => Kind::Quiet,
            _ => Kind::Signaling,
        };
        Number { sign, kind, exponent: 0, significand: aligned }
    } else if field != 0 {
        Number { sign, kind: Kind::Finite, exponent: field - F::EMAX, significand: aligned | 1 << 127 }
    } else if fraction != 0 {
        let zeros = aligned.leading_zeros();
        Number { sign, kind: Kind::Finite, exponent: F::EMIN - zeros as i32, significand: aligned << zeros }
    } else {
        Number { sign, kind: Kind::Zero, exponent: 0, significand: 0 }
    }
}

/// Sign, exponent field and fraction put together.
#[inline(always)]
pub(crate) fn assemble<F: Format>(sign: bool, field: i32, fraction: u128) -> F::Bits {
    F::narrow((sign as u128) << (F::WIDTH - 1) | (field as u128) << F::FRACTION | fraction)
}

pub(crate) fn zero<F: Format>(sign: bool) -> F::Bits {
    assemble::<F>(sign, 0, 0)
}

pub(crate) fn infinity<F: Format>(sign: bool) -> F::Bits {
    assemble::<F>(sign, 2 * F::EMAX + 1, 0)
}

/// The NaN with the payload of `nan`, quiet.
pub(crate) fn quiet<F: Format>(nan: Number) -> F::Bits {
    let fraction = (nan.significand | 1 << 126) >> (127 - F::FRACTION);
    assemble::<F>(nan.sign, 2 * F::EMAX + 1, fraction)
}

/// The NaN that an invalid operation makes.
#[cold]
pub(crate) fn invalid<F: Format>(why: Flags) -> Outcome<F::Bits> {
    let fraction = 1 << (F::FRACTION - 1);
    Outcome { value: assemble::<F>(false, 2 * F::EMAX + 1, fraction), flags: why }
}

/// An exact result.
pub(crate) fn exact<B>(value: B) -> Outcome<B> {
    Outcome { value, flags: Flags::NONE }
}

/// The NaN among the operands that becomes the result: the first one. VXSNAN if any one is signaling.
#[cold]
pub(crate) fn propagate<F: Format>(operands: &[Number]) -> Outcome<F::Bits> {
    let flags = operands.iter().fold(Flags::NONE, |flags, x| flags.with(x.snan_flag()));
    match operands.iter().find(|x| x.is_nan()) {
        Some(nan) => Outcome { value: quiet::<F>(*nan), flags },
        None => invalid::<F>(flags),
    }
}
