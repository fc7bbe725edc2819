//! Scalar operations on doubles, as FPRs and VSRs share them (Power ISA Book I 4.6.6 to 4.6.8 and 7.6.1).
//!
//! Operands are `a`, `b`, `c`, the target is `t`, all numbers of VSRs; P is the precision to which the result is
//! rounded. A multiply-add is a * c + b.

use crate::{Ops, Regs, Trap};
use timebase_softfloat::{self as soft, Class, Double, Flags, Order, Outcome, Precision, Rounding, Single};

type Result = core::result::Result<(), Trap>;

const SIGN: u64 = 1 << 63;

#[inline(always)]
fn double(r: &Regs, n: u8) -> u64 {
    r.vsr[n as usize & 63][0]
}

/// Delivers a result with its exceptions and its class.
#[inline]
fn deliver<P: Precision>(r: &mut Regs, i: &Ops, outcome: Outcome<u64>) -> Result {
    if r.scalar_flags(outcome.flags) {
        r.set_fpr(i.t, outcome.value);
        r.set_fprf::<Double, P>(outcome.value);
    }
    end(r, i)
}

/// Delivers a result that is no double: FPRF, undefined, stays.
fn deliver_bits(r: &mut Regs, i: &Ops, outcome: Outcome<u64>) -> Result {
    if r.scalar_flags(outcome.flags) {
        r.set_fpr(i.t, outcome.value);
    }
    end(r, i)
}

#[inline]
fn end(r: &mut Regs, i: &Ops) -> Result {
    if i.rc {
        r.set_cr1();
    }
    r.fp_done()
}

pub(crate) fn add<P: Precision>(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::add::<Double, P>(double(r, i.a), double(r, i.b), &r.fp_env());
    deliver::<P>(r, i, outcome)
}
pub(crate) fn sub<P: Precision>(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::sub::<Double, P>(double(r, i.a), double(r, i.b), &r.fp_env());
    deliver::<P>(r, i, outcome)
}
pub(crate) fn mul<P: Precision>(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::mul::<Double, P>(double(r, i.a), double(r, i.b), &r.fp_env());
    deliver::<P>(r, i, outcome)
}
pub(crate) fn div<P: Precision>(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::div::<Double, P>(double(r, i.a), double(r, i.b), &r.fp_env());
    deliver::<P>(r, i, outcome)
}
pub(crate) fn sqrt<P: Precision>(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::sqrt::<Double, P>(double(r, i.b), &r.fp_env());
    deliver::<P>(r, i, outcome)
}
pub(crate) fn reciprocal<P: Precision>(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::reciprocal::<Double, P>(double(r, i.b), &r.fp_env());
    deliver::<P>(r, i, outcome)
}
pub(crate) fn reciprocal_sqrt<P: Precision>(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::reciprocal_sqrt::<Double, P>(double(r, i.b), &r.fp_env());
    deliver::<P>(r, i, outcome)
}

/// The number with the other sign; a NaN stays as it is.
fn negated(value: u64) -> u64 {
    if soft::is_nan::<Double>(value) { value } else { value ^ SIGN }
}

/// a * c + b, or - b; negated after rounding.
fn fused<P: Precision>(r: &mut Regs, i: &Ops, subtract: bool, negate: bool) -> Result {
    let b = double(r, i.b);
    let b = if subtract { negated(b) } else { b };
    let mut outcome = soft::fma::<Double, P>(double(r, i.a), double(r, i.c), b, &r.fp_env());
    if negate {
        outcome.value = negated(outcome.value);
    }
    deliver::<P>(r, i, outcome)
}
pub(crate) fn madd<P: Precision>(r: &mut Regs, i: &Ops) -> Result {
    fused::<P>(r, i, false, false)
}
pub(crate) fn msub<P: Precision>(r: &mut Regs, i: &Ops) -> Result {
    fused::<P>(r, i, true, false)
}
pub(crate) fn nmadd<P: Precision>(r: &mut Regs, i: &Ops) -> Result {
    fused::<P>(r, i, false, true)
}
pub(crate) fn nmsub<P: Precision>(r: &mut Regs, i: &Ops) -> Result {
    fused::<P>(r, i, true, true)
}

/// Rounds to single. A NaN loses the part of its payload that a single has no room for.
pub(crate) fn round_to_single(r: &mut Regs, i: &Ops) -> Result {
    let mut outcome = soft::convert::<Double, Double, Single>(double(r, i.b), &r.fp_env());
    if soft::is_nan::<Double>(outcome.value) {
        outcome.value &= !0x1fff_ffff;
    }
    deliver::<Single>(r, i, outcome)
}

/// The integer nearest in the mode given, or the current one; 32-bit results are sign- or zero-extended.
fn to_int(r: &mut Regs, i: &Ops, bits: u32, signed: bool, rounding: Option<Rounding>) -> Result {
    let rounding = rounding.unwrap_or(r.fp_env().rounding);
    let outcome = soft::to_int::<Double>(double(r, i.b), bits, signed, rounding);
    let value = outcome.value as u64;
    let value = if bits == 32 && signed { value as i32 as u64 } else { value };
    deliver_bits(r, i, Outcome { value, flags: outcome.flags })
}
pub(crate) fn to_i64(r: &mut Regs, i: &Ops) -> Result {
    to_int(r, i, 64, true, None)
}
pub(crate) fn to_i64_truncated(r: &mut Regs, i: &Ops) -> Result {
    to_int(r, i, 64, true, Some(Rounding::TowardZero))
}
pub(crate) fn to_u64(r: &mut Regs, i: &Ops) -> Result {
    to_int(r, i, 64, false, None)
}
pub(crate) fn to_u64_truncated(r: &mut Regs, i: &Ops) -> Result {
    to_int(r, i, 64, false, Some(Rounding::TowardZero))
}
pub(crate) fn to_i32(r: &mut Regs, i: &Ops) -> Result {
    to_int(r, i, 32, true, None)
}
pub(crate) fn to_i32_truncated(r: &mut Regs, i: &Ops) -> Result {
    to_int(r, i, 32, true, Some(Rounding::TowardZero))
}
pub(crate) fn to_u32(r: &mut Regs, i: &Ops) -> Result {
    to_int(r, i, 32, false, None)
}
pub(crate) fn to_u32_truncated(r: &mut Regs, i: &Ops) -> Result {
    to_int(r, i, 32, false, Some(Rounding::TowardZero))
}

/// The same for VSRs, where a 32-bit result is in both words.
fn to_word(r: &mut Regs, i: &Ops, signed: bool) -> Result {
    let outcome = soft::to_int::<Double>(double(r, i.b), 32, signed, Rounding::TowardZero);
    let word = outcome.value as u64;
    deliver_bits(r, i, Outcome { value: word << 32 | word, flags: outcome.flags })
}
pub(crate) fn to_signed_word(r: &mut Regs, i: &Ops) -> Result {
    to_word(r, i, true)
}
pub(crate) fn to_unsigned_word(r: &mut Regs, i: &Ops) -> Result {
    to_word(r, i, false)
}

pub(crate) fn from_i64<P: Precision>(r: &mut Regs, i: &Ops) -> Result {
    let value = double(r, i.b) as i64;
    let outcome = soft::from_int::<Double, P>(value < 0, value.unsigned_abs() as u128, &r.fp_env());
    deliver::<P>(r, i, outcome)
}
pub(crate) fn from_u64<P: Precision>(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::from_int::<Double, P>(false, double(r, i.b) as u128, &r.fp_env());
    deliver::<P>(r, i, outcome)
}

/// Rounds to an integer in the mode given: inexactness is not reported.
fn integral(r: &mut Regs, i: &Ops, rounding: Rounding) -> Result {
    let outcome = soft::round_to_integral::<Double>(double(r, i.b), rounding);
    let flags = Flags(outcome.flags.0 & Flags::VXSNAN.0);
    deliver::<Double>(r, i, Outcome { flags, ..outcome })
}
pub(crate) fn integral_nearest(r: &mut Regs, i: &Ops) -> Result {
    integral(r, i, Rounding::NearestAway)
}
pub(crate) fn integral_truncated(r: &mut Regs, i: &Ops) -> Result {
    integral(r, i, Rounding::TowardZero)
}
pub(crate) fn integral_up(r: &mut Regs, i: &Ops) -> Result {
    integral(r, i, Rounding::Up)
}
pub(crate) fn integral_down(r: &mut Regs, i: &Ops) -> Result {
    integral(r, i, Rounding::Down)
}
/// In the current mode, inexactness reported.
pub(crate) fn integral_current(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::round_to_integral::<Double>(double(r, i.b), r.fp_env().rounding);
    deliver::<Double>(r, i, outcome)
}

/// What an ordered comparison raises for NaNs: VXSNAN, and VXVC unless VXSNAN is enabled.
pub(crate) fn ordered_flags(order: Order, flags: Flags, invalid_enabled: bool) -> Flags {
    let vc = order == Order::Unordered && !(flags.any(Flags::VXSNAN) && invalid_enabled);
    Flags(flags.0 | if vc { Flags::VXVC.0 } else { 0 })
}

fn compare(r: &mut Regs, i: &Ops, ordered: bool) -> Result {
    let (order, mut flags) = soft::compare::<Double>(double(r, i.a), double(r, i.b));
    if ordered {
        flags = ordered_flags(order, flags, r.invalid_enabled());
    }
    r.set_fpcc(i.t, order as u64);
    r.raise(flags.0 as u64);
    r.fp_done()
}
pub(crate) fn compare_unordered(r: &mut Regs, i: &Ops) -> Result {
    compare(r, i, false)
}
pub(crate) fn compare_ordered(r: &mut Regs, i: &Ops) -> Result {
    compare(r, i, true)
}

/// Limits of the tests for software division and square root, per format.
pub(crate) struct TestLimits {
    pub fraction: u32,
    pub bias: i32,
    /// Exponents at or below this one are too small for a dividend or radicand.
    pub least: i32,
}
pub(crate) const DOUBLE_LIMITS: TestLimits = TestLimits { fraction: 52, bias: 1023, least: -970 };
pub(crate) const SINGLE_LIMITS: TestLimits = TestLimits { fraction: 23, bias: 127, least: -103 };

/// Unbiased exponent field; infinite or NaN; zero; denormalized or zero; infinite.
fn look(bits: u64, limits: &TestLimits) -> (i32, bool, bool, bool, bool) {
    let field = (bits >> limits.fraction) as i32 & (2 * limits.bias + 1);
    let fraction = bits & ((1 << limits.fraction) - 1);
    let special = field == 2 * limits.bias + 1;
    (field - limits.bias, special, field == 0 && fraction == 0, field == 0, special && fraction == 0)
}

/// `ftdiv` and its kin: (the quotient must be computed with care: FG, FE) of a / b.
pub(crate) fn test_divide(a: u64, b: u64, limits: &TestLimits) -> (bool, bool) {
    let (ea, special_a, zero_a, _, infinite_a) = look(a, limits);
    let (eb, special_b, zero_b, small_b, infinite_b) = look(b, limits);
    let out_of_range =
        !zero_a && (ea - eb >= limits.bias || ea - eb <= 2 - limits.bias || ea <= limits.least);
    let fe =
        special_a || special_b || zero_b || eb <= 1 - limits.bias || eb >= limits.bias - 2 || out_of_range;
    (infinite_a || infinite_b || small_b, fe)
}

/// `ftsqrt` and its kin: FG, FE for the square root of b, which is negative or not.
pub(crate) fn test_sqrt(b: u64, negative: bool, limits: &TestLimits) -> (bool, bool) {
    let (eb, special, zero, small, infinite) = look(b, limits);
    (infinite || small, special || zero || negative || eb <= limits.least)
}

/// The CR field that the tests give: FL (the estimates are good to 14 bits) is always 1.
pub(crate) fn test_field((fg, fe): (bool, bool)) -> u64 {
    8 | (fg as u64) << 2 | (fe as u64) << 1
}

pub(crate) fn test_for_divide(r: &mut Regs, i: &Ops) -> Result {
    let flags = test_divide(double(r, i.a), double(r, i.b), &DOUBLE_LIMITS);
    r.cr[i.t as usize & 7] = test_field(flags);
    Ok(())
}
pub(crate) fn test_for_sqrt(r: &mut Regs, i: &Ops) -> Result {
    let b = double(r, i.b);
    r.cr[i.t as usize & 7] = test_field(test_sqrt(b, b >> 63 != 0, &DOUBLE_LIMITS));
    Ok(())
}

/// It belongs to one of the classes of DCMX: NaN, +infinity, -infinity, +0, -0, +denormal, -denormal.
pub(crate) fn in_classes(negative: bool, class: Class, dcmx: u64) -> bool {
    let bit = match class {
        Class::Quiet | Class::Signaling => 64,
        Class::Infinity => 32 >> negative as u32,
        Class::Zero => 8 >> negative as u32,
        Class::Denormal => 2 >> negative as u32,
        Class::Normal => 0,
    };
    dcmx & bit != 0
}
