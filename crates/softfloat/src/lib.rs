//! IEEE 754 binary floating point as the Power ISA defines it (Power ISA 3.1 Book I 4.3, 4.4 and 7.3), in integer
//! arithmetic: results depend on nothing but the operands and [`Env`].
//!
//! Formats are half, bfloat16, single, double and quad. Each operation is exact first and rounded once, to a
//! [`Precision`] that may be narrower than the [`Format`] of the result: `add::<Double, Single>` is `fadds`, which
//! adds doubles and rounds to single in a register that holds a double.
//!
//! What is Power's and not every IEEE implementation's:
//! - tininess is detected before rounding;
//! - with an overflow or underflow exception enabled, the result is the rounded one with its exponent adjusted;
//! - of several NaN operands the first one is propagated (A, then B, then C), quieted, payload kept; the NaN that
//!   an invalid operation makes is positive;
//! - invalid operations are told apart ([`Flags`]).
//!
//! What an enabled invalid operation or zero divide exception does (the target is not written) is left to the
//! caller. Decimal formats are in [`decimal`].
#![no_std]

mod arithmetic;
mod compare;
mod convert;
pub mod decimal;
mod estimate;
mod format;
mod round;
mod significand;

pub use arithmetic::{add, div, fma, mul, sqrt, sub};
pub use compare::{Class, Order, class, compare, is_nan, is_signaling, less_magnitude};
pub use convert::{convert, from_int, round_to_integral, to_int};
pub use estimate::{reciprocal, reciprocal_sqrt};
pub use format::{BFloat16, Double, Extended, Format, Half, Precision, Quad, Single};

/// How a result that is not exact is rounded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rounding {
    /// To the nearest, ties to even: RN 0.
    NearestEven,
    /// Toward zero: RN 1.
    TowardZero,
    /// Toward positive infinity: RN 2.
    Up,
    /// Toward negative infinity: RN 3.
    Down,
    /// To the nearest, ties away from zero.
    NearestAway,
    /// To the neighbour whose last bit is 1, for results that will be rounded again.
    Odd,
}

impl Rounding {
    /// The mode that FPSCR[RN] selects (its low 2 bits are looked at).
    pub const fn from_rn(rn: u64) -> Rounding {
        match rn & 3 {
            0 => Rounding::NearestEven,
            1 => Rounding::TowardZero,
            2 => Rounding::Up,
            _ => Rounding::Down,
        }
    }
}

/// What of the FPSCR an operation depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Env {
    /// The rounding mode.
    pub rounding: Rounding,
    /// FPSCR[OE]: overflow delivers an exponent-adjusted result.
    pub overflow_enabled: bool,
    /// FPSCR[UE]: underflow delivers an exponent-adjusted result.
    pub underflow_enabled: bool,
}

impl Env {
    /// Nearest-even, nothing enabled.
    pub const DEFAULT: Env =
        Env { rounding: Rounding::NearestEven, overflow_enabled: false, underflow_enabled: false };

    /// The same with another rounding mode.
    pub const fn rounding(self, rounding: Rounding) -> Env {
        Env { rounding, ..self }
    }
}

/// Exceptions and rounding information, as bits in their FPSCR positions (bit 63 is 1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(pub u32);

impl Flags {
    /// Nothing.
    pub const NONE: Flags = Flags(0);
    /// Overflow.
    pub const OX: Flags = Flags(1 << 28);
    /// Underflow.
    pub const UX: Flags = Flags(1 << 27);
    /// Division by zero.
    pub const ZX: Flags = Flags(1 << 26);
    /// Inexact.
    pub const XX: Flags = Flags(1 << 25);
    /// A signaling NaN operand.
    pub const VXSNAN: Flags = Flags(1 << 24);
    /// Infinity - infinity.
    pub const VXISI: Flags = Flags(1 << 23);
    /// Infinity / infinity.
    pub const VXIDI: Flags = Flags(1 << 22);
    /// Zero / zero.
    pub const VXZDZ: Flags = Flags(1 << 21);
    /// Infinity * zero.
    pub const VXIMZ: Flags = Flags(1 << 20);
    /// Ordered comparison of a NaN.
    pub const VXVC: Flags = Flags(1 << 19);
    /// The result is greater in magnitude than the exact one.
    pub const FR: Flags = Flags(1 << 18);
    /// The result is not exact.
    pub const FI: Flags = Flags(1 << 17);
    /// Square root of a negative number.
    pub const VXSQRT: Flags = Flags(1 << 9);
    /// Conversion of what the integer cannot hold.
    pub const VXCVI: Flags = Flags(1 << 8);
    /// All invalid operations.
    pub const INVALID: Flags = Flags(0x01f8_0300);

    /// One of `which` is set.
    pub const fn any(self, which: Flags) -> bool {
        self.0 & which.0 != 0
    }
    /// Both.
    #[must_use]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
    /// `self` if `condition`.
    #[must_use]
    pub const fn when(self, condition: bool) -> Flags {
        if condition { self } else { Flags::NONE }
    }
}

/// A result and what happened on the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome<T> {
    /// The result that is delivered if the exceptions in `flags` are not enabled (for overflow and underflow: as
    /// [`Env`] says).
    pub value: T,
    /// What happened.
    pub flags: Flags,
}

impl<T> Outcome<T> {
    /// The same with further flags.
    pub(crate) fn with(self, flags: Flags) -> Outcome<T> {
        Outcome { flags: self.flags.with(flags), ..self }
    }
}
