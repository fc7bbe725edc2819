//! VSX vector arithmetic on doubles and singles (Power ISA Book I 7.6.2): element by element. Exceptions are those
//! of all elements together; if one of them is enabled nothing is written.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::encoding::*;
use super::scalar::extreme;
use crate::float::scalar::*;
use crate::instruction::instructions;
use crate::semantics::Facility;
use crate::{Ops, Regs, Trap};
use timebase_softfloat::{self as soft, Double, Env, Flags, Format, Order, Outcome, Rounding, Single};

type Result = core::result::Result<(), Trap>;

/// Element `n` of VSR `register`, of format F.
fn element<F: Format>(r: &Regs, register: u8, n: u32) -> F::Bits {
    F::narrow(r.vsr128(register) >> (128 - F::WIDTH * (n + 1)))
}

/// XT := f(n) for each element n of `width` bits, unless an exception is enabled. True: it was written.
pub(super) fn each_element(
    r: &mut Regs,
    i: &Ops,
    width: u32,
    f: impl Fn(&Regs, u32, &Env) -> Outcome<u128>,
) -> bool {
    let env = r.fp_env();
    let (mut value, mut flags) = (0u128, 0);
    for n in 0..128 / width {
        let outcome = f(r, n, &env);
        value = value << width | outcome.value;
        flags |= outcome.flags.0;
    }
    let written = r.vector_flags(Flags(flags));
    if written {
        r.set_vsr128(i.t, value);
    }
    written
}

fn widened<F: Format>(outcome: Outcome<F::Bits>) -> Outcome<u128> {
    Outcome { value: F::widen(outcome.value), flags: outcome.flags }
}

type Unary<F> = fn(<F as Format>::Bits, &Env) -> Outcome<<F as Format>::Bits>;
type Binary<F> = fn(<F as Format>::Bits, <F as Format>::Bits, &Env) -> Outcome<<F as Format>::Bits>;

#[inline(always)]
fn unary<F: Format>(r: &mut Regs, i: &Ops, f: Unary<F>) -> Result {
    each_element(r, i, F::WIDTH, |r, n, env| widened::<F>(f(element::<F>(r, i.b, n), env)));
    r.fp_done()
}

#[inline(always)]
fn binary<F: Format>(r: &mut Regs, i: &Ops, f: Binary<F>) -> Result {
    each_element(r, i, F::WIDTH, |r, n, env| {
        widened::<F>(f(element::<F>(r, i.a, n), element::<F>(r, i.b, n), env))
    });
    r.fp_done()
}

/// The number with the other sign; a NaN stays as it is.
fn negated<F: Format>(value: F::Bits) -> F::Bits {
    if soft::is_nan::<F>(value) { value } else { F::narrow(F::widen(value) ^ 1 << (F::WIDTH - 1)) }
}

/// a * c + b, or - b; negated after rounding.
#[inline(always)]
fn fused<F: Format>(r: &mut Regs, i: &Ops, subtract: bool, negate: bool) -> Result {
    each_element(r, i, F::WIDTH, |r, n, env| {
        let b = element::<F>(r, i.b, n);
        let b = if subtract { negated::<F>(b) } else { b };
        let outcome = soft::fma::<F, F>(element::<F>(r, i.a, n), element::<F>(r, i.c, n), b, env);
        let value = if negate { negated::<F>(outcome.value) } else { outcome.value };
        widened::<F>(Outcome { value, ..outcome })
    });
    r.fp_done()
}

/// Rounds to integers: inexactness is reported only by the instruction that uses the current mode (None).
#[inline(always)]
fn integral<F: Format>(r: &mut Regs, i: &Ops, rounding: Option<Rounding>) -> Result {
    each_element(r, i, F::WIDTH, |r, n, env| {
        let outcome = soft::round_to_integral::<F>(element::<F>(r, i.b, n), rounding.unwrap_or(env.rounding));
        let reported = if rounding.is_some() { Flags::VXSNAN.0 } else { u32::MAX };
        widened::<F>(Outcome { flags: Flags(outcome.flags.0 & reported), ..outcome })
    });
    r.fp_done()
}

/// Masks of elements for which the relation holds; CR6 when Rc.
#[inline(always)]
fn compare<F: Format>(r: &mut Regs, i: &Ops, ordered: bool, holds: fn(Order) -> bool) -> Result {
    let invalid_enabled = r.invalid_enabled();
    let all = u128::MAX >> (128 - F::WIDTH);
    let written = each_element(r, i, F::WIDTH, |r, n, _| {
        let (order, flags) = soft::compare::<F>(element::<F>(r, i.a, n), element::<F>(r, i.b, n));
        let flags = if ordered { ordered_flags(order, flags, invalid_enabled) } else { flags };
        Outcome { value: if holds(order) { all } else { 0 }, flags }
    });
    if written && i.rc {
        r.cr[6] = match r.vsr128(i.t) {
            u128::MAX => 8,
            0 => 2,
            _ => 0,
        };
    }
    r.fp_done()
}

/// The tests for software division or square root: CR field BF from all elements.
fn test<F: Format>(r: &mut Regs, i: &Ops, limits: &TestLimits, divide: bool) -> Result {
    let mut flags = (false, false);
    for n in 0..128 / F::WIDTH {
        let b = F::widen(element::<F>(r, i.b, n)) as u64;
        let one = if divide {
            test_divide(F::widen(element::<F>(r, i.a, n)) as u64, b, limits)
        } else {
            test_sqrt(b, b >> (F::WIDTH - 1) != 0, limits)
        };
        flags = (flags.0 | one.0, flags.1 | one.1);
    }
    r.cr[i.t as usize & 7] = test_field(flags);
    Ok(())
}

/// Masks of elements that belong to the classes of DCMX.
fn test_class<F: Format>(r: &mut Regs, i: &Ops) -> Result {
    let all = u128::MAX >> (128 - F::WIDTH);
    let value = (0..128 / F::WIDTH).fold(0u128, |value, n| {
        let (negative, class) = soft::class::<F, F>(element::<F>(r, i.b, n));
        value << F::WIDTH | if in_classes(negative, class, i.imm) { all } else { 0 }
    });
    r.set_vsr128(i.t, value);
    Ok(())
}

/// XT := f of each pair of elements, as bits.
#[inline(always)]
fn bits<F: Format>(r: &mut Regs, i: &Ops, f: impl Fn(u128, u128) -> u128) -> Result {
    let value = (0..128 / F::WIDTH).fold(0u128, |value, n| {
        value << F::WIDTH | f(F::widen(element::<F>(r, i.a, n)), F::widen(element::<F>(r, i.b, n)))
    });
    r.set_vsr128(i.t, value);
    Ok(())
}

const fn sign<F: Format>() -> u128 {
    1 << (F::WIDTH - 1)
}
const fn fraction<F: Format>() -> u128 {
    (1 << F::FRACTION) - 1
}

fn absolute<F: Format>(r: &mut Regs, i: &Ops) -> Result {
    bits::<F>(r, i, |_, b| b & !sign::<F>())
}
fn negative_absolute<F: Format>(r: &mut Regs, i: &Ops) -> Result {
    bits::<F>(r, i, |_, b| b | sign::<F>())
}
fn negate<F: Format>(r: &mut Regs, i: &Ops) -> Result {
    bits::<F>(r, i, |_, b| b ^ sign::<F>())
}
fn copy_sign<F: Format>(r: &mut Regs, i: &Ops) -> Result {
    bits::<F>(r, i, |a, b| a & sign::<F>() | b & !sign::<F>())
}
fn extract_exponent<F: Format>(r: &mut Regs, i: &Ops) -> Result {
    bits::<F>(r, i, |_, b| (b & !sign::<F>()) >> F::FRACTION)
}
/// The significand with the leading bit of a normal number.
fn extract_significand<F: Format>(r: &mut Regs, i: &Ops) -> Result {
    bits::<F>(r, i, |_, b| {
        let field = (b & !sign::<F>()) >> F::FRACTION;
        let normal = field != 0 && field != (2 * F::EMAX + 1) as u128;
        (normal as u128) << F::FRACTION | b & fraction::<F>()
    })
}
fn insert_exponent<F: Format>(r: &mut Regs, i: &Ops) -> Result {
    bits::<F>(r, i, |a, b| {
        a & (sign::<F>() | fraction::<F>()) | (b & (2 * F::EMAX + 1) as u128) << F::FRACTION
    })
}

macro_rules! vsx {
    ($s:ident, $i:ident, $f:expr) => {{
        $s.require(Facility::Vsx)?;
        $s.compute($f, $i)?
    }};
}
/// An instruction of one operation on each element: unary!, binary! and so on.
macro_rules! lanes {
    ($s:ident, $i:ident, $shape:ident::<$f:ty>($($argument:expr),*)) => {
        vsx!($s, $i, |r, i| $shape::<$f>(r, i, $($argument),*))
    };
}

type D = Double;
type S1 = Single;

instructions! {
    "I 7.6.2.6";
    xvabsdp = xx2(473), "xvabsdp XT,XB", |s, i| { vsx!(s, i, absolute::<D>); }
    xvabssp = xx2(409), "xvabssp XT,XB", |s, i| { vsx!(s, i, absolute::<S1>); }
    xvnabsdp = xx2(489), "xvnabsdp XT,XB", |s, i| { vsx!(s, i, negative_absolute::<D>); }
    xvnabssp = xx2(425), "xvnabssp XT,XB", |s, i| { vsx!(s, i, negative_absolute::<S1>); }
    xvnegdp = xx2(505), "xvnegdp XT,XB", |s, i| { vsx!(s, i, negate::<D>); }
    xvnegsp = xx2(441), "xvnegsp XT,XB", |s, i| { vsx!(s, i, negate::<S1>); }
    xvcpsgndp = xx3(240), "xvcpsgndp XT,XA,XB", |s, i| { vsx!(s, i, copy_sign::<D>); }
    xvcpsgnsp = xx3(208), "xvcpsgnsp XT,XA,XB", |s, i| { vsx!(s, i, copy_sign::<S1>); }
    "I 7.6.2.7";
    xvadddp = xx3(96), "xvadddp XT,XA,XB", |s, i| { lanes!(s, i, binary::<D>(soft::add::<D, D>)); }
    xvaddsp = xx3(64), "xvaddsp XT,XA,XB", |s, i| { lanes!(s, i, binary::<S1>(soft::add::<S1, S1>)); }
    xvsubdp = xx3(104), "xvsubdp XT,XA,XB", |s, i| { lanes!(s, i, binary::<D>(soft::sub::<D, D>)); }
    xvsubsp = xx3(72), "xvsubsp XT,XA,XB", |s, i| { lanes!(s, i, binary::<S1>(soft::sub::<S1, S1>)); }
    xvmuldp = xx3(112), "xvmuldp XT,XA,XB", |s, i| { lanes!(s, i, binary::<D>(soft::mul::<D, D>)); }
    xvmulsp = xx3(80), "xvmulsp XT,XA,XB", |s, i| { lanes!(s, i, binary::<S1>(soft::mul::<S1, S1>)); }
    xvdivdp = xx3(120), "xvdivdp XT,XA,XB", |s, i| { lanes!(s, i, binary::<D>(soft::div::<D, D>)); }
    xvdivsp = xx3(88), "xvdivsp XT,XA,XB", |s, i| { lanes!(s, i, binary::<S1>(soft::div::<S1, S1>)); }
    xvsqrtdp = xx2(203), "xvsqrtdp XT,XB", |s, i| { lanes!(s, i, unary::<D>(soft::sqrt::<D, D>)); }
    xvsqrtsp = xx2(139), "xvsqrtsp XT,XB", |s, i| { lanes!(s, i, unary::<S1>(soft::sqrt::<S1, S1>)); }
    xvredp = xx2(218), "xvredp XT,XB", |s, i| { lanes!(s, i, unary::<D>(soft::reciprocal::<D, D>)); }
    xvresp = xx2(154), "xvresp XT,XB", |s, i| { lanes!(s, i, unary::<S1>(soft::reciprocal::<S1, S1>)); }
    xvrsqrtedp = xx2(202), "xvrsqrtedp XT,XB", |s, i| { lanes!(s, i, unary::<D>(soft::reciprocal_sqrt::<D, D>)); }
    xvrsqrtesp = xx2(138), "xvrsqrtesp XT,XB", |s, i| { lanes!(s, i, unary::<S1>(soft::reciprocal_sqrt::<S1, S1>)); }
    xvtdivdp = xx3_bf(125), "xvtdivdp BF,XA,XB", |s, i| { lanes!(s, i, test::<D>(&DOUBLE_LIMITS, true)); }
    xvtdivsp = xx3_bf(93), "xvtdivsp BF,XA,XB", |s, i| { lanes!(s, i, test::<S1>(&SINGLE_LIMITS, true)); }
    xvtsqrtdp = xx2_bf(234), "xvtsqrtdp BF,XB", |s, i| { lanes!(s, i, test::<D>(&DOUBLE_LIMITS, false)); }
    xvtsqrtsp = xx2_bf(170), "xvtsqrtsp BF,XB", |s, i| { lanes!(s, i, test::<S1>(&SINGLE_LIMITS, false)); }
    xvmaddadp = xx3_add(97), "xvmaddadp XT,XA,XB", |s, i| { lanes!(s, i, fused::<D>(false, false)); }
    xvmaddmdp = xx3_multiply(105), "xvmaddmdp XT,XA,XB", |s, i| { lanes!(s, i, fused::<D>(false, false)); }
    xvmaddasp = xx3_add(65), "xvmaddasp XT,XA,XB", |s, i| { lanes!(s, i, fused::<S1>(false, false)); }
    xvmaddmsp = xx3_multiply(73), "xvmaddmsp XT,XA,XB", |s, i| { lanes!(s, i, fused::<S1>(false, false)); }
    xvmsubadp = xx3_add(113), "xvmsubadp XT,XA,XB", |s, i| { lanes!(s, i, fused::<D>(true, false)); }
    xvmsubmdp = xx3_multiply(121), "xvmsubmdp XT,XA,XB", |s, i| { lanes!(s, i, fused::<D>(true, false)); }
    xvmsubasp = xx3_add(81), "xvmsubasp XT,XA,XB", |s, i| { lanes!(s, i, fused::<S1>(true, false)); }
    xvmsubmsp = xx3_multiply(89), "xvmsubmsp XT,XA,XB", |s, i| { lanes!(s, i, fused::<S1>(true, false)); }
    xvnmaddadp = xx3_add(225), "xvnmaddadp XT,XA,XB", |s, i| { lanes!(s, i, fused::<D>(false, true)); }
    xvnmaddmdp = xx3_multiply(233), "xvnmaddmdp XT,XA,XB", |s, i| { lanes!(s, i, fused::<D>(false, true)); }
    xvnmaddasp = xx3_add(193), "xvnmaddasp XT,XA,XB", |s, i| { lanes!(s, i, fused::<S1>(false, true)); }
    xvnmaddmsp = xx3_multiply(201), "xvnmaddmsp XT,XA,XB", |s, i| { lanes!(s, i, fused::<S1>(false, true)); }
    xvnmsubadp = xx3_add(241), "xvnmsubadp XT,XA,XB", |s, i| { lanes!(s, i, fused::<D>(true, true)); }
    xvnmsubmdp = xx3_multiply(249), "xvnmsubmdp XT,XA,XB", |s, i| { lanes!(s, i, fused::<D>(true, true)); }
    xvnmsubasp = xx3_add(209), "xvnmsubasp XT,XA,XB", |s, i| { lanes!(s, i, fused::<S1>(true, true)); }
    xvnmsubmsp = xx3_multiply(217), "xvnmsubmsp XT,XA,XB", |s, i| { lanes!(s, i, fused::<S1>(true, true)); }
    "I 7.6.2.8";
    xvmaxdp = xx3(224), "xvmaxdp XT,XA,XB", |s, i| { lanes!(s, i, binary::<D>(|a, b, _| extreme::<D>(a, b, true))); }
    xvmaxsp = xx3(192), "xvmaxsp XT,XA,XB", |s, i| { lanes!(s, i, binary::<S1>(|a, b, _| extreme::<S1>(a, b, true))); }
    xvmindp = xx3(232), "xvmindp XT,XA,XB", |s, i| { lanes!(s, i, binary::<D>(|a, b, _| extreme::<D>(a, b, false))); }
    xvminsp = xx3(200), "xvminsp XT,XA,XB", |s, i| { lanes!(s, i, binary::<S1>(|a, b, _| extreme::<S1>(a, b, false))); }
    xvcmpeqdp = xx3_rc(99), "xvcmpeqdp[.] XT,XA,XB", |s, i| { lanes!(s, i, compare::<D>(false, |o| o == Order::Equal)); }
    xvcmpeqsp = xx3_rc(67), "xvcmpeqsp[.] XT,XA,XB", |s, i| { lanes!(s, i, compare::<S1>(false, |o| o == Order::Equal)); }
    xvcmpgtdp = xx3_rc(107), "xvcmpgtdp[.] XT,XA,XB", |s, i| { lanes!(s, i, compare::<D>(true, |o| o == Order::Greater)); }
    xvcmpgtsp = xx3_rc(75), "xvcmpgtsp[.] XT,XA,XB", |s, i| { lanes!(s, i, compare::<S1>(true, |o| o == Order::Greater)); }
    xvcmpgedp = xx3_rc(115), "xvcmpgedp[.] XT,XA,XB", |s, i| { lanes!(s, i, compare::<D>(true, |o| matches!(o, Order::Greater | Order::Equal))); }
    xvcmpgesp = xx3_rc(83), "xvcmpgesp[.] XT,XA,XB", |s, i| { lanes!(s, i, compare::<S1>(true, |o| matches!(o, Order::Greater | Order::Equal))); }
    xvtstdcdp = xx2_dcmx(125), "xvtstdcdp XT,XB,DCMX", |s, i| { vsx!(s, i, test_class::<D>); }
    xvtstdcsp = xx2_dcmx(109), "xvtstdcsp XT,XB,DCMX", |s, i| { vsx!(s, i, test_class::<S1>); }
    "I 7.6.2.10";
    xvrdpi = xx2(201), "xvrdpi XT,XB", |s, i| { lanes!(s, i, integral::<D>(Some(Rounding::NearestAway))); }
    xvrdpic = xx2(235), "xvrdpic XT,XB", |s, i| { lanes!(s, i, integral::<D>(None)); }
    xvrdpim = xx2(249), "xvrdpim XT,XB", |s, i| { lanes!(s, i, integral::<D>(Some(Rounding::Down))); }
    xvrdpip = xx2(233), "xvrdpip XT,XB", |s, i| { lanes!(s, i, integral::<D>(Some(Rounding::Up))); }
    xvrdpiz = xx2(217), "xvrdpiz XT,XB", |s, i| { lanes!(s, i, integral::<D>(Some(Rounding::TowardZero))); }
    xvrspi = xx2(137), "xvrspi XT,XB", |s, i| { lanes!(s, i, integral::<S1>(Some(Rounding::NearestAway))); }
    xvrspic = xx2(171), "xvrspic XT,XB", |s, i| { lanes!(s, i, integral::<S1>(None)); }
    xvrspim = xx2(185), "xvrspim XT,XB", |s, i| { lanes!(s, i, integral::<S1>(Some(Rounding::Down))); }
    xvrspip = xx2(169), "xvrspip XT,XB", |s, i| { lanes!(s, i, integral::<S1>(Some(Rounding::Up))); }
    xvrspiz = xx2(153), "xvrspiz XT,XB", |s, i| { lanes!(s, i, integral::<S1>(Some(Rounding::TowardZero))); }
    "I 7.6.2.11";
    xvxexpdp = xx2_sub(475, 0), "xvxexpdp XT,XB", |s, i| { vsx!(s, i, extract_exponent::<D>); }
    xvxexpsp = xx2_sub(475, 8), "xvxexpsp XT,XB", |s, i| { vsx!(s, i, extract_exponent::<S1>); }
    xvxsigdp = xx2_sub(475, 1), "xvxsigdp XT,XB", |s, i| { vsx!(s, i, extract_significand::<D>); }
    xvxsigsp = xx2_sub(475, 9), "xvxsigsp XT,XB", |s, i| { vsx!(s, i, extract_significand::<S1>); }
    xviexpdp = xx3(248), "xviexpdp XT,XA,XB", |s, i| { vsx!(s, i, insert_exponent::<D>); }
    xviexpsp = xx3(216), "xviexpsp XT,XA,XB", |s, i| { vsx!(s, i, insert_exponent::<S1>); }
}
