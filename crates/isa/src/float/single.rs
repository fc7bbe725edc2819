//! Singles in storage and in registers: DOUBLE and SINGLE of Power ISA Book I 4.6.2 and 4.6.3. They are moves of
//! bits: nothing is rounded, no exception is raised, and a signaling NaN stays one.

use crate::semantics::{Condition, Semantics, Unary, Value};

/// DOUBLE: the double format of the single in the low word.
#[inline(always)]
pub(crate) fn single_to_double<S: Semantics>(s: &S, single: S::V) -> S::V {
    let sign = (single >> 31) << 63;
    let (exponent, fraction) = ((single >> 23) & 255, single & 0x7f_ffff);
    // Infinities and NaNs have the largest exponent in either format: 255 + 896 + 896 = 2047.
    let rebias = exponent.eq(s.imm(255)).select(s.imm(2 * 896), s.imm(896));
    let normal = ((exponent + rebias) << 52) + (fraction << 29);
    // A denormalized single is normalized: n leading zeros make 2^(63-n-149), and the leading bit adds 1 to the
    // exponent field.
    let n = fraction.unary(Unary::Clz);
    let small = ((s.imm(936) - n) << 52) + (fraction << (n - 11));
    let small = fraction.eq(s.imm(0)).select(s.imm(0), small);
    sign | exponent.eq(s.imm(0)).select(small, normal)
}

/// SINGLE: the single format of a double. One that is too small for a denormalized single, for which the ISA leaves
/// the result undefined, gives a zero; one that is too large loses the high bits of its exponent, as the ISA says.
#[inline(always)]
pub(crate) fn double_to_single<S: Semantics>(s: &S, double: S::V) -> S::V {
    let exponent = (double >> 52) & 2047;
    let normal = ((double >> 32) & 0xc000_0000) | ((double >> 29) & 0x3fff_ffff);
    let significand = (double & 0xf_ffff_ffff_ffff) | (1 << 52);
    let shift = s.imm(29 + 897) - exponent;
    let shift = shift.ltu(s.imm(63)).select(shift, s.imm(63));
    let small = ((double >> 32) & 0x8000_0000) | (significand >> shift);
    s.imm(896).ltu(exponent).select(normal, small)
}
