//! VSX scalar arithmetic on doubles and singles in double format (Power ISA Book I 7.6.1). The operations are those
//! of the FPRs ([`crate::float::scalar`]); here are their VSX names, and what only VSX has.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::encoding::*;
use crate::float::scalar::*;
use crate::float::single::{double_to_single, single_to_double};
use crate::instruction::instructions;
use crate::semantics::Facility;
use crate::{Ops, Regs, Trap};
use timebase_softfloat::{self as soft, Class, Double, Flags, Half, Order, Single};

type Result = core::result::Result<(), Trap>;

const SIGN: u64 = 1 << 63;

fn operands(r: &Regs, i: &Ops) -> (u64, u64) {
    (r.vsr[i.a as usize & 63][0], r.vsr[i.b as usize & 63][0])
}

/// Delivers a value that is one of the operands or a mask: FR, FI and FPRF stay.
fn choose(r: &mut Regs, i: &Ops, flags: Flags, value: [u64; 2]) -> Result {
    r.raise(flags.0 as u64);
    if !(flags.any(Flags::INVALID) && r.invalid_enabled()) {
        r.vsr[i.t as usize & 63] = value;
    }
    r.fp_done()
}

/// The greater (or lesser) of two numbers: -0 is less than +0, a number goes before a quiet NaN.
pub(super) fn extreme<F: soft::Format>(a: F::Bits, b: F::Bits, maximum: bool) -> soft::Outcome<F::Bits> {
    let (order, flags) = soft::compare::<F>(a, b);
    let quieted = |x| soft::convert::<F, F, F>(x, &soft::Env::DEFAULT).value;
    let negative = |x| soft::class::<F, F>(x).0;
    let value = match order {
        Order::Less => {
            if maximum {
                b
            } else {
                a
            }
        }
        Order::Greater => {
            if maximum {
                a
            } else {
                b
            }
        }
        Order::Equal => {
            if negative(a) == maximum {
                b
            } else {
                a
            }
        }
        Order::Unordered if soft::is_signaling::<F>(a) => quieted(a),
        Order::Unordered if soft::is_nan::<F>(a) && soft::is_nan::<F>(b) => a,
        Order::Unordered if soft::is_signaling::<F>(b) => quieted(b),
        Order::Unordered => {
            if soft::is_nan::<F>(a) {
                b
            } else {
                a
            }
        }
    };
    soft::Outcome { value, flags }
}

fn maximum(r: &mut Regs, i: &Ops) -> Result {
    let (a, b) = operands(r, i);
    let outcome = extreme::<Double>(a, b, true);
    choose(r, i, outcome.flags, [outcome.value, 0])
}
fn minimum(r: &mut Regs, i: &Ops) -> Result {
    let (a, b) = operands(r, i);
    let outcome = extreme::<Double>(a, b, false);
    choose(r, i, outcome.flags, [outcome.value, 0])
}

/// `a > b ? a : b` (or `<`) as C has it: b if they are equal or one is a NaN.
fn extreme_c(r: &mut Regs, i: &Ops, wanted: Order) -> Result {
    let (a, b) = operands(r, i);
    let (order, flags) = soft::compare::<Double>(a, b);
    choose(r, i, flags, [if order == wanted { a } else { b }, 0])
}
fn maximum_c(r: &mut Regs, i: &Ops) -> Result {
    extreme_c(r, i, Order::Greater)
}
fn minimum_c(r: &mut Regs, i: &Ops) -> Result {
    extreme_c(r, i, Order::Less)
}

/// As Java has it: a NaN goes before numbers and stays as it is, -0 is less than +0.
fn extreme_j(r: &mut Regs, i: &Ops, maximum: bool) -> Result {
    let (a, b) = operands(r, i);
    let outcome = extreme::<Double>(a, b, maximum);
    let value = match (soft::is_nan::<Double>(a), soft::is_nan::<Double>(b)) {
        (true, _) => a,
        (false, true) => b,
        _ => outcome.value,
    };
    choose(r, i, outcome.flags, [value, 0])
}
fn maximum_j(r: &mut Regs, i: &Ops) -> Result {
    extreme_j(r, i, true)
}
fn minimum_j(r: &mut Regs, i: &Ops) -> Result {
    extreme_j(r, i, false)
}

/// Doubleword 0 := all ones if the relation holds, else zeros.
fn compare_mask(r: &mut Regs, i: &Ops, ordered: bool, holds: fn(Order) -> bool) -> Result {
    let (a, b) = operands(r, i);
    let (order, mut flags) = soft::compare::<Double>(a, b);
    if ordered {
        flags = ordered_flags(order, flags, r.invalid_enabled());
    }
    let mask = if holds(order) { u64::MAX } else { 0 };
    choose(r, i, flags, [mask, 0])
}
fn compare_equal(r: &mut Regs, i: &Ops) -> Result {
    compare_mask(r, i, false, |order| order == Order::Equal)
}
fn compare_greater(r: &mut Regs, i: &Ops) -> Result {
    compare_mask(r, i, true, |order| order == Order::Greater)
}
fn compare_greater_equal(r: &mut Regs, i: &Ops) -> Result {
    compare_mask(r, i, true, |order| matches!(order, Order::Greater | Order::Equal))
}

/// Compares the exponent fields.
fn compare_exponents(r: &mut Regs, i: &Ops) -> Result {
    let (a, b) = operands(r, i);
    let order = if soft::is_nan::<Double>(a) || soft::is_nan::<Double>(b) {
        Order::Unordered
    } else {
        match (a << 1 >> 53).cmp(&(b << 1 >> 53)) {
            core::cmp::Ordering::Less => Order::Less,
            core::cmp::Ordering::Equal => Order::Equal,
            core::cmp::Ordering::Greater => Order::Greater,
        }
    };
    r.set_fpcc(i.t, order as u64);
    Ok(())
}

fn test_class(r: &mut Regs, i: &Ops) -> Result {
    let (_, b) = operands(r, i);
    let (negative, class) = soft::class::<Double, Double>(b);
    r.set_fpcc(i.t, (negative as u64) << 3 | (in_classes(negative, class, i.imm) as u64) << 1);
    Ok(())
}

/// The same for a single in double format; the last bit tells a double that is no single.
fn test_class_single(r: &mut Regs, i: &Ops) -> Result {
    let (_, b) = operands(r, i);
    let (negative, class) = soft::class::<Double, Double>(b);
    let exponent = b << 1 >> 53;
    let class = if class == Class::Normal && exponent < 0x381 { Class::Denormal } else { class };
    let single = soft::convert::<Double, Double, Single>(b, &soft::Env::DEFAULT);
    // A NaN is compared with its signaling bit as it was.
    let same = if soft::is_nan::<Double>(b) { b & 0x1fff_ffff == 0 } else { single.value == b };
    let matches = in_classes(negative, class, i.imm);
    r.set_fpcc(i.t, (negative as u64) << 3 | (matches as u64) << 1 | !same as u64);
    Ok(())
}

/// Double to single format in words 0 and 1.
fn to_single_format(r: &mut Regs, i: &Ops) -> Result {
    let (_, b) = operands(r, i);
    let outcome = soft::convert::<Double, Single, Single>(b, &r.fp_env());
    if r.scalar_flags(outcome.flags) {
        let word = outcome.value as u64;
        r.set_fpr(i.t, word << 32 | word);
        r.set_fprf::<Single, Single>(outcome.value);
    }
    r.fp_done()
}

/// Single format in word 0 to double.
fn from_single_format(r: &mut Regs, i: &Ops) -> Result {
    let (_, b) = operands(r, i);
    let outcome = soft::convert::<Single, Double, Double>((b >> 32) as u32, &r.fp_env());
    if r.scalar_flags(outcome.flags) {
        r.set_fpr(i.t, outcome.value);
        r.set_fprf::<Double, Double>(outcome.value);
    }
    r.fp_done()
}

/// Double to half format in halfword 3.
fn to_half(r: &mut Regs, i: &Ops) -> Result {
    let (_, b) = operands(r, i);
    let outcome = soft::convert::<Double, Half, Half>(b, &r.fp_env());
    if r.scalar_flags(outcome.flags) {
        r.set_fpr(i.t, outcome.value as u64);
        r.set_fprf::<Half, Half>(outcome.value);
    }
    r.fp_done()
}

/// Half format in halfword 3 to double.
fn from_half(r: &mut Regs, i: &Ops) -> Result {
    let (_, b) = operands(r, i);
    let outcome = soft::convert::<Half, Double, Double>(b as u16, &r.fp_env());
    if r.scalar_flags(outcome.flags) {
        r.set_fpr(i.t, outcome.value);
        r.set_fprf::<Double, Double>(outcome.value);
    }
    r.fp_done()
}

/// The significand with the leading bit of a normal number.
fn significand(r: &mut Regs, i: &Ops) -> Result {
    let (_, b) = operands(r, i);
    let exponent = b << 1 >> 53;
    let leading = if exponent != 0 && exponent != 0x7ff { 1 << 52 } else { 0 };
    r.gpr[i.t as usize & 31] = leading | b & 0xf_ffff_ffff_ffff;
    Ok(())
}

macro_rules! vsx {
    ($s:ident, $i:ident, $f:expr) => {{
        $s.require(Facility::Vsx)?;
        $s.compute($f, $i)?
    }};
}

macro_rules! moved {
    ($s:ident, $i:ident, |$b:ident| $e:expr) => {{
        $s.require(Facility::Vsx)?;
        let ($b, zero) = ($s.vsr($i.b).0, $s.imm(0));
        let value = $e;
        $s.set_vsr($i.t, value, zero);
    }};
}

instructions! {
    "I 7.6.1.2";
    xsabsdp = xx2(345), "xsabsdp XT,XB", |s, i| { moved!(s, i, |b| b & !SIGN) }
    xsnabsdp = xx2(361), "xsnabsdp XT,XB", |s, i| { moved!(s, i, |b| b | SIGN) }
    xsnegdp = xx2(377), "xsnegdp XT,XB", |s, i| { moved!(s, i, |b| b ^ SIGN) }
    xscpsgndp = xx3(176), "xscpsgndp XT,XA,XB", |s, i| {
        let a = s.vsr(i.a).0;
        moved!(s, i, |b| (b & !SIGN) | (a & SIGN))
    }
    "I 7.6.1.3";
    xsadddp = xx3(32), "xsadddp XT,XA,XB", |s, i| { vsx!(s, i, add::<Double>); }
    xsaddsp = xx3(0), "xsaddsp XT,XA,XB", |s, i| { vsx!(s, i, add::<Single>); }
    xssubdp = xx3(40), "xssubdp XT,XA,XB", |s, i| { vsx!(s, i, sub::<Double>); }
    xssubsp = xx3(8), "xssubsp XT,XA,XB", |s, i| { vsx!(s, i, sub::<Single>); }
    xsmuldp = xx3(48), "xsmuldp XT,XA,XB", |s, i| { vsx!(s, i, mul::<Double>); }
    xsmulsp = xx3(16), "xsmulsp XT,XA,XB", |s, i| { vsx!(s, i, mul::<Single>); }
    xsdivdp = xx3(56), "xsdivdp XT,XA,XB", |s, i| { vsx!(s, i, div::<Double>); }
    xsdivsp = xx3(24), "xsdivsp XT,XA,XB", |s, i| { vsx!(s, i, div::<Single>); }
    xssqrtdp = xx2(75), "xssqrtdp XT,XB", |s, i| { vsx!(s, i, sqrt::<Double>); }
    xssqrtsp = xx2(11), "xssqrtsp XT,XB", |s, i| { vsx!(s, i, sqrt::<Single>); }
    xsredp = xx2(90), "xsredp XT,XB", |s, i| { vsx!(s, i, reciprocal::<Double>); }
    xsresp = xx2(26), "xsresp XT,XB", |s, i| { vsx!(s, i, reciprocal::<Single>); }
    xsrsqrtedp = xx2(74), "xsrsqrtedp XT,XB", |s, i| { vsx!(s, i, reciprocal_sqrt::<Double>); }
    xsrsqrtesp = xx2(10), "xsrsqrtesp XT,XB", |s, i| { vsx!(s, i, reciprocal_sqrt::<Single>); }
    xstdivdp = xx3_bf(61), "xstdivdp BF,XA,XB", |s, i| { vsx!(s, i, test_for_divide); }
    xstsqrtdp = xx2_bf(106), "xstsqrtdp BF,XB", |s, i| { vsx!(s, i, test_for_sqrt); }
    xsmaddadp = xx3_add(33), "xsmaddadp XT,XA,XB", |s, i| { vsx!(s, i, madd::<Double>); }
    xsmaddmdp = xx3_multiply(41), "xsmaddmdp XT,XA,XB", |s, i| { vsx!(s, i, madd::<Double>); }
    xsmaddasp = xx3_add(1), "xsmaddasp XT,XA,XB", |s, i| { vsx!(s, i, madd::<Single>); }
    xsmaddmsp = xx3_multiply(9), "xsmaddmsp XT,XA,XB", |s, i| { vsx!(s, i, madd::<Single>); }
    xsmsubadp = xx3_add(49), "xsmsubadp XT,XA,XB", |s, i| { vsx!(s, i, msub::<Double>); }
    xsmsubmdp = xx3_multiply(57), "xsmsubmdp XT,XA,XB", |s, i| { vsx!(s, i, msub::<Double>); }
    xsmsubasp = xx3_add(17), "xsmsubasp XT,XA,XB", |s, i| { vsx!(s, i, msub::<Single>); }
    xsmsubmsp = xx3_multiply(25), "xsmsubmsp XT,XA,XB", |s, i| { vsx!(s, i, msub::<Single>); }
    xsnmaddadp = xx3_add(161), "xsnmaddadp XT,XA,XB", |s, i| { vsx!(s, i, nmadd::<Double>); }
    xsnmaddmdp = xx3_multiply(169), "xsnmaddmdp XT,XA,XB", |s, i| { vsx!(s, i, nmadd::<Double>); }
    xsnmaddasp = xx3_add(129), "xsnmaddasp XT,XA,XB", |s, i| { vsx!(s, i, nmadd::<Single>); }
    xsnmaddmsp = xx3_multiply(137), "xsnmaddmsp XT,XA,XB", |s, i| { vsx!(s, i, nmadd::<Single>); }
    xsnmsubadp = xx3_add(177), "xsnmsubadp XT,XA,XB", |s, i| { vsx!(s, i, nmsub::<Double>); }
    xsnmsubmdp = xx3_multiply(185), "xsnmsubmdp XT,XA,XB", |s, i| { vsx!(s, i, nmsub::<Double>); }
    xsnmsubasp = xx3_add(145), "xsnmsubasp XT,XA,XB", |s, i| { vsx!(s, i, nmsub::<Single>); }
    xsnmsubmsp = xx3_multiply(153), "xsnmsubmsp XT,XA,XB", |s, i| { vsx!(s, i, nmsub::<Single>); }
    "I 7.6.1.5";
    xsmaxdp = xx3(160), "xsmaxdp XT,XA,XB", |s, i| { vsx!(s, i, maximum); }
    xsmindp = xx3(168), "xsmindp XT,XA,XB", |s, i| { vsx!(s, i, minimum); }
    xsmaxcdp = xx3(128), "xsmaxcdp XT,XA,XB", |s, i| { vsx!(s, i, maximum_c); }
    xsmincdp = xx3(136), "xsmincdp XT,XA,XB", |s, i| { vsx!(s, i, minimum_c); }
    xsmaxjdp = xx3(144), "xsmaxjdp XT,XA,XB", |s, i| { vsx!(s, i, maximum_j); }
    xsminjdp = xx3(152), "xsminjdp XT,XA,XB", |s, i| { vsx!(s, i, minimum_j); }
    xscmpudp = xx3_bf(35), "xscmpudp BF,XA,XB", |s, i| { vsx!(s, i, compare_unordered); }
    xscmpodp = xx3_bf(43), "xscmpodp BF,XA,XB", |s, i| { vsx!(s, i, compare_ordered); }
    xscmpeqdp = xx3(3), "xscmpeqdp XT,XA,XB", |s, i| { vsx!(s, i, compare_equal); }
    xscmpgtdp = xx3(11), "xscmpgtdp XT,XA,XB", |s, i| { vsx!(s, i, compare_greater); }
    xscmpgedp = xx3(19), "xscmpgedp XT,XA,XB", |s, i| { vsx!(s, i, compare_greater_equal); }
    xscmpexpdp = xx3_bf(59), "xscmpexpdp BF,XA,XB", |s, i| { vsx!(s, i, compare_exponents); }
    xststdcdp = xx2_bf(362), "xststdcdp BF,XB,DCMX", |s, i| { vsx!(s, i, test_class); }
    xststdcsp = xx2_bf(298), "xststdcsp BF,XB,DCMX", |s, i| { vsx!(s, i, test_class_single); }
    "I 7.6.1.6";
    xscvdpsp = xx2(265), "xscvdpsp XT,XB", |s, i| { vsx!(s, i, to_single_format); }
    xscvspdp = xx2(329), "xscvspdp XT,XB", |s, i| { vsx!(s, i, from_single_format); }
    xscvdpspn = xx2(267), "xscvdpspn XT,XB", |s, i| {
        moved!(s, i, |b| { let word = double_to_single(s, b); word << 32 | word })
    }
    xscvspdpn = xx2(331), "xscvspdpn XT,XB", |s, i| { moved!(s, i, |b| single_to_double(s, b >> 32)) }
    xscvdphp = xx2_sub(347, 17), "xscvdphp XT,XB", |s, i| { vsx!(s, i, to_half); }
    xscvhpdp = xx2_sub(347, 16), "xscvhpdp XT,XB", |s, i| { vsx!(s, i, from_half); }
    xsrsp = xx2(281), "xsrsp XT,XB", |s, i| { vsx!(s, i, round_to_single); }
    xscvdpsxds = xx2(344), "xscvdpsxds XT,XB", |s, i| { vsx!(s, i, to_i64_truncated); }
    xscvdpuxds = xx2(328), "xscvdpuxds XT,XB", |s, i| { vsx!(s, i, to_u64_truncated); }
    xscvdpsxws = xx2(88), "xscvdpsxws XT,XB", |s, i| { vsx!(s, i, to_signed_word); }
    xscvdpuxws = xx2(72), "xscvdpuxws XT,XB", |s, i| { vsx!(s, i, to_unsigned_word); }
    xscvsxddp = xx2(376), "xscvsxddp XT,XB", |s, i| { vsx!(s, i, from_i64::<Double>); }
    xscvuxddp = xx2(360), "xscvuxddp XT,XB", |s, i| { vsx!(s, i, from_u64::<Double>); }
    xscvsxdsp = xx2(312), "xscvsxdsp XT,XB", |s, i| { vsx!(s, i, from_i64::<Single>); }
    xscvuxdsp = xx2(296), "xscvuxdsp XT,XB", |s, i| { vsx!(s, i, from_u64::<Single>); }
    "I 7.6.1.7";
    xsrdpi = xx2(73), "xsrdpi XT,XB", |s, i| { vsx!(s, i, integral_nearest); }
    xsrdpic = xx2(107), "xsrdpic XT,XB", |s, i| { vsx!(s, i, integral_current); }
    xsrdpim = xx2(121), "xsrdpim XT,XB", |s, i| { vsx!(s, i, integral_down); }
    xsrdpip = xx2(105), "xsrdpip XT,XB", |s, i| { vsx!(s, i, integral_up); }
    xsrdpiz = xx2(89), "xsrdpiz XT,XB", |s, i| { vsx!(s, i, integral_truncated); }
    "I 7.6.1.8";
    xsxexpdp = xx2_gpr_sub(347, 0), "xsxexpdp RT,XB", |s, i| {
        s.require(Facility::Vsx)?;
        let v = (s.vsr(i.b).0 >> 52) & 0x7ff;
        s.set_gpr(i.t, v);
    }
    xsxsigdp = xx2_gpr_sub(347, 1), "xsxsigdp RT,XB", |s, i| { vsx!(s, i, significand); }
    xsiexpdp = xx1_insert(918), "xsiexpdp XT,RA,RB", |s, i| {
        s.require(Facility::Vsx)?;
        let v = (s.gpr(i.a) & 0x800f_ffff_ffff_ffff) | (s.gpr(i.b) & 0x7ff) << 52;
        let zero = s.imm(0);
        s.set_vsr(i.t, v, zero);
    }
}
