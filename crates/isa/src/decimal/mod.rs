//! Decimal floating point (Power ISA Book I chapter 5): formats long, in an FPR, and extended, in an even-odd pair.
//! An odd number of a pair is an invalid form; the pair that contains it is taken.

mod arithmetic;
mod convert;
mod test;

use crate::{Ops, Regs, Trap};
use timebase_softfloat::decimal::{Env, Format, Kind, Number, Outcome, Rounding, significant_digits};

type Result = core::result::Result<(), Trap>;

/// Shows the instructions of this facility to `visitor`.
pub fn each(visitor: &mut impl crate::Visitor) {
    arithmetic::each(visitor);
    convert::each(visitor);
    test::each(visitor);
}

/// A format and where its data are.
pub(crate) trait Size {
    const FORMAT: Format;
    /// Digits of BCD that fill the registers.
    const BCD_DIGITS: u32;
    fn bits(r: &Regs, n: u8) -> u128;
    fn set_bits(r: &mut Regs, n: u8, datum: u128);
    fn get(r: &Regs, n: u8) -> Number {
        Self::FORMAT.decode(Self::bits(r, n))
    }
    fn set(r: &mut Regs, n: u8, number: Number) {
        Self::set_bits(r, n, Self::FORMAT.encode(number));
    }
}

/// 64 bits in an FPR.
pub(crate) enum Long {}
/// 128 bits in a pair of FPRs.
pub(crate) enum Extended {}

impl Size for Long {
    const FORMAT: Format = Format::LONG;
    const BCD_DIGITS: u32 = 16;
    fn bits(r: &Regs, n: u8) -> u128 {
        r.vsr[n as usize & 31][0] as u128
    }
    fn set_bits(r: &mut Regs, n: u8, datum: u128) {
        r.set_fpr(n & 31, datum as u64);
    }
}

impl Size for Extended {
    const FORMAT: Format = Format::EXTENDED;
    const BCD_DIGITS: u32 = 32;
    fn bits(r: &Regs, n: u8) -> u128 {
        Long::bits(r, n & 30) << 64 | Long::bits(r, n & 30 | 1)
    }
    fn set_bits(r: &mut Regs, n: u8, datum: u128) {
        r.set_fpr(n & 30, (datum >> 64) as u64);
        r.set_fpr(n & 30 | 1, datum as u64);
    }
}

fn env(r: &Regs) -> Env {
    let fp = r.fp_env();
    Env {
        rounding: Rounding::from_drn(r.fpscr >> 32),
        overflow_enabled: fp.overflow_enabled,
        underflow_enabled: fp.underflow_enabled,
    }
}

/// The mode of RMC (Book I 5.5.2), primary encoding, or secondary if R.
fn rounding(r: &Regs, secondary: bool, rmc: u8) -> Rounding {
    match (secondary, rmc) {
        (false, 0) => Rounding::NearestEven,
        (false, 1) => Rounding::TowardZero,
        (false, 2) => Rounding::NearestAway,
        (false, _) => env(r).rounding,
        (true, 0) => Rounding::Up,
        (true, 1) => Rounding::Down,
        (true, 2) => Rounding::AwayFromZero,
        (true, _) => Rounding::NearestTowardZero,
    }
}

/// The number is not zero and below the least normal one.
fn is_subnormal(number: &Number, format: &Format) -> bool {
    let first = number.exponent + significant_digits(number) as i32 - 1;
    !number.is_zero() && first < format.min_exponent() + format.digits as i32 - 1
}

/// FPRF of a result (Book I 5.5.9).
fn fprf(number: &Number, format: &Format) -> u64 {
    let signed = |negative: u64, positive: u64| if number.negative { negative } else { positive };
    match number.kind {
        Kind::Quiet => 0x11,
        Kind::Signaling => 0x01,
        Kind::Infinity => signed(0x09, 0x05),
        Kind::Finite if number.is_zero() => signed(0x12, 0x02),
        Kind::Finite if is_subnormal(number, format) => signed(0x18, 0x14),
        Kind::Finite => signed(0x08, 0x04),
    }
}

/// Delivers a result with its exceptions and its class, in `format` at `S`'s place.
fn deliver<S: Size>(r: &mut Regs, i: &Ops, outcome: Outcome) -> Result {
    if r.scalar_flags(outcome.flags) {
        S::set(r, i.t, outcome.number);
        r.set_class(fprf(&outcome.number, &S::FORMAT));
    }
    end(r, i)
}

/// The end of an instruction: CR1 when Rc, and an enabled exception.
fn end(r: &mut Regs, i: &Ops) -> Result {
    if i.rc {
        r.set_cr1();
    }
    r.fp_done()
}

/// The end of an instruction that leaves FPSCR as it is.
fn end_quietly(r: &mut Regs, i: &Ops) -> Result {
    if i.rc {
        r.set_cr1();
    }
    Ok(())
}

macro_rules! dfp {
    ($s:ident, $i:ident, $f:expr) => {{
        $s.require(crate::semantics::Facility::Fp)?;
        $s.compute($f, $i)?
    }};
}
use dfp;

/// The same for one that also has a vector register.
macro_rules! dfp_and_vector {
    ($s:ident, $i:ident, $f:expr) => {{
        $s.require(crate::semantics::Facility::Fp)?;
        $s.require(crate::semantics::Facility::Vector)?;
        $s.compute($f, $i)?
    }};
}
use dfp_and_vector;
