//! Quad precision (Power ISA Book I 7.6.1, the instructions on VRs). RO (the `o` forms) and EX are in `rc`.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::encoding::*;
use crate::float::scalar::{in_classes, ordered_flags};
use crate::instruction::instructions;
use crate::semantics::Facility;
use crate::{Ops, Regs, Trap};
use timebase_softfloat::{
    self as soft, Double, Env, Extended, Flags, Order, Outcome, Precision, Quad, Rounding,
};

type Result = core::result::Result<(), Trap>;

const SIGN: u128 = 1 << 127;
const FRACTION: u128 = (1 << 112) - 1;

/// The environment of an instruction with RO: round to odd.
fn env(r: &Regs, i: &Ops) -> Env {
    let env = r.fp_env();
    if i.rc { env.rounding(Rounding::Odd) } else { env }
}

fn deliver<P: Precision>(r: &mut Regs, i: &Ops, outcome: Outcome<u128>) -> Result {
    if r.scalar_flags(outcome.flags) {
        r.set_vsr128(i.t, outcome.value);
        r.set_fprf::<Quad, P>(outcome.value);
    }
    r.fp_done()
}

fn add(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::add::<Quad, Quad>(r.vsr128(i.a), r.vsr128(i.b), &env(r, i));
    deliver::<Quad>(r, i, outcome)
}
fn sub(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::sub::<Quad, Quad>(r.vsr128(i.a), r.vsr128(i.b), &env(r, i));
    deliver::<Quad>(r, i, outcome)
}
fn mul(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::mul::<Quad, Quad>(r.vsr128(i.a), r.vsr128(i.b), &env(r, i));
    deliver::<Quad>(r, i, outcome)
}
fn div(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::div::<Quad, Quad>(r.vsr128(i.a), r.vsr128(i.b), &env(r, i));
    deliver::<Quad>(r, i, outcome)
}
fn sqrt(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::sqrt::<Quad, Quad>(r.vsr128(i.b), &env(r, i));
    deliver::<Quad>(r, i, outcome)
}

fn negated(value: u128) -> u128 {
    if soft::is_nan::<Quad>(value) { value } else { value ^ SIGN }
}

/// VRA * VRB + VRT, or - VRT; negated after rounding.
fn fused(r: &mut Regs, i: &Ops, subtract: bool, negate: bool) -> Result {
    let addend = r.vsr128(i.t);
    let addend = if subtract { negated(addend) } else { addend };
    let mut outcome = soft::fma::<Quad, Quad>(r.vsr128(i.a), r.vsr128(i.b), addend, &env(r, i));
    if negate {
        outcome.value = negated(outcome.value);
    }
    deliver::<Quad>(r, i, outcome)
}

fn from_double(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::convert::<Double, Quad, Quad>(r.vsr[i.b as usize & 63][0], &r.fp_env());
    deliver::<Quad>(r, i, outcome)
}
fn to_double(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::convert::<Quad, Double, Double>(r.vsr128(i.b), &env(r, i));
    if r.scalar_flags(outcome.flags) {
        r.set_fpr(i.t, outcome.value);
        r.set_fprf::<Double, Double>(outcome.value);
    }
    r.fp_done()
}

/// An integer in doubleword 0, sign- or zero-extended; of 128 bits in the whole register.
fn to_int(r: &mut Regs, i: &Ops, bits: u32, signed: bool) -> Result {
    let outcome = soft::to_int::<Quad>(r.vsr128(i.b), bits, signed, Rounding::TowardZero);
    if r.scalar_flags(outcome.flags) {
        let value = outcome.value;
        let value = if bits == 32 && signed { value as i32 as u64 as u128 } else { value };
        r.set_vsr128(i.t, if bits == 128 { value } else { value << 64 });
    }
    r.fp_done()
}
fn from_int(r: &mut Regs, i: &Ops, bits: u32, signed: bool) -> Result {
    let value = r.vsr128(i.b);
    let (low, shift) = (value >> (128 - bits), 128 - bits);
    let negative = signed && value >> 127 != 0;
    let magnitude = if negative { (value as i128 >> shift).unsigned_abs() } else { low };
    let outcome = soft::from_int::<Quad, Quad>(negative, magnitude, &r.fp_env());
    deliver::<Quad>(r, i, outcome)
}

/// The mode that R || RMC selects; None: the encoding is reserved, and taken as the current mode.
fn selected(r: &Regs, i: &Ops) -> Rounding {
    match (i.oe, i.c) {
        (false, 0) => Rounding::NearestAway,
        (false, _) => r.fp_env().rounding,
        (true, c) => Rounding::from_rn(c as u64),
    }
}

/// Rounds to an integer; inexactness is reported if EX.
fn integral(r: &mut Regs, i: &Ops) -> Result {
    let outcome = soft::round_to_integral::<Quad>(r.vsr128(i.b), selected(r, i));
    let flags = if i.rc { outcome.flags } else { Flags(outcome.flags.0 & Flags::VXSNAN.0) };
    deliver::<Quad>(r, i, Outcome { flags, ..outcome })
}

fn to_extended(r: &mut Regs, i: &Ops) -> Result {
    let env = r.fp_env().rounding(selected(r, i));
    let outcome = soft::convert::<Quad, Quad, Extended>(r.vsr128(i.b), &env);
    deliver::<Quad>(r, i, outcome)
}

fn compare(r: &mut Regs, i: &Ops, ordered: bool) -> Result {
    let (order, mut flags) = soft::compare::<Quad>(r.vsr128(i.a), r.vsr128(i.b));
    if ordered {
        flags = ordered_flags(order, flags, r.invalid_enabled());
    }
    r.set_fpcc(i.t, order as u64);
    r.raise(flags.0 as u64);
    r.fp_done()
}

fn compare_exponents(r: &mut Regs, i: &Ops) -> Result {
    let (a, b) = (r.vsr128(i.a), r.vsr128(i.b));
    let order = if soft::is_nan::<Quad>(a) || soft::is_nan::<Quad>(b) {
        Order::Unordered
    } else {
        match (a << 1 >> 113).cmp(&(b << 1 >> 113)) {
            core::cmp::Ordering::Less => Order::Less,
            core::cmp::Ordering::Equal => Order::Equal,
            core::cmp::Ordering::Greater => Order::Greater,
        }
    };
    r.set_fpcc(i.t, order as u64);
    Ok(())
}

fn test_class(r: &mut Regs, i: &Ops) -> Result {
    let (negative, class) = soft::class::<Quad, Quad>(r.vsr128(i.b));
    r.set_fpcc(i.t, (negative as u64) << 3 | (in_classes(negative, class, i.imm) as u64) << 1);
    Ok(())
}

/// Delivers a value that is one of the operands or a mask: FR, FI and FPRF stay.
fn choose(r: &mut Regs, i: &Ops, flags: Flags, value: u128) -> Result {
    r.raise(flags.0 as u64);
    if !(flags.any(Flags::INVALID) && r.invalid_enabled()) {
        r.set_vsr128(i.t, value);
    }
    r.fp_done()
}

fn compare_mask(r: &mut Regs, i: &Ops, ordered: bool, holds: fn(Order) -> bool) -> Result {
    let (order, mut flags) = soft::compare::<Quad>(r.vsr128(i.a), r.vsr128(i.b));
    if ordered {
        flags = ordered_flags(order, flags, r.invalid_enabled());
    }
    choose(r, i, flags, if holds(order) { u128::MAX } else { 0 })
}

/// `a > b ? a : b` (or `<`) as C has it.
fn extreme_c(r: &mut Regs, i: &Ops, wanted: Order) -> Result {
    let (a, b) = (r.vsr128(i.a), r.vsr128(i.b));
    let (order, flags) = soft::compare::<Quad>(a, b);
    choose(r, i, flags, if order == wanted { a } else { b })
}

fn significand(r: &mut Regs, i: &Ops) -> Result {
    let b = r.vsr128(i.b);
    let field = b << 1 >> 113;
    let normal = field != 0 && field != 0x7fff;
    r.set_vsr128(i.t, (normal as u128) << 112 | b & FRACTION);
    Ok(())
}

macro_rules! quad {
    ($s:ident, $i:ident, $f:expr) => {{
        $s.require(Facility::Vsx)?;
        $s.compute($f, $i)?
    }};
}

macro_rules! signs {
    ($s:ident, $i:ident, |$high:ident| $e:expr) => {{
        $s.require(Facility::Vsx)?;
        let ($high, low) = $s.vsr($i.b);
        let high = $e;
        $s.set_vsr($i.t, high, low);
    }};
}

const HIGH_SIGN: u64 = 1 << 63;

instructions! {
    "I 7.6.1.2";
    xsabsqp = x_quad_sub(804, 0), "xsabsqp VRT,VRB", |s, i| { signs!(s, i, |high| high & !HIGH_SIGN) }
    xsnabsqp = x_quad_sub(804, 8), "xsnabsqp VRT,VRB", |s, i| { signs!(s, i, |high| high | HIGH_SIGN) }
    xsnegqp = x_quad_sub(804, 16), "xsnegqp VRT,VRB", |s, i| { signs!(s, i, |high| high ^ HIGH_SIGN) }
    xscpsgnqp = x_quad(100), "xscpsgnqp VRT,VRA,VRB", |s, i| {
        let a = s.vsr(i.a).0;
        signs!(s, i, |high| (high & !HIGH_SIGN) | (a & HIGH_SIGN))
    }
    "I 7.6.1.3";
    xsaddqp = x_quad(4), "xsaddqp[o] VRT,VRA,VRB", |s, i| { quad!(s, i, add); }
    xssubqp = x_quad(516), "xssubqp[o] VRT,VRA,VRB", |s, i| { quad!(s, i, sub); }
    xsmulqp = x_quad(36), "xsmulqp[o] VRT,VRA,VRB", |s, i| { quad!(s, i, mul); }
    xsdivqp = x_quad(548), "xsdivqp[o] VRT,VRA,VRB", |s, i| { quad!(s, i, div); }
    xssqrtqp = x_quad_sub(804, 27), "xssqrtqp[o] VRT,VRB", |s, i| { quad!(s, i, sqrt); }
    xsmaddqp = x_quad(388), "xsmaddqp[o] VRT,VRA,VRB", |s, i| { quad!(s, i, |r, i| fused(r, i, false, false)); }
    xsmsubqp = x_quad(420), "xsmsubqp[o] VRT,VRA,VRB", |s, i| { quad!(s, i, |r, i| fused(r, i, true, false)); }
    xsnmaddqp = x_quad(452), "xsnmaddqp[o] VRT,VRA,VRB", |s, i| { quad!(s, i, |r, i| fused(r, i, false, true)); }
    xsnmsubqp = x_quad(484), "xsnmsubqp[o] VRT,VRA,VRB", |s, i| { quad!(s, i, |r, i| fused(r, i, true, true)); }
    "I 7.6.1.5";
    xscmpoqp = x_quad_bf(132), "xscmpoqp BF,VRA,VRB", |s, i| { quad!(s, i, |r, i| compare(r, i, true)); }
    xscmpuqp = x_quad_bf(644), "xscmpuqp BF,VRA,VRB", |s, i| { quad!(s, i, |r, i| compare(r, i, false)); }
    xscmpexpqp = x_quad_bf(164), "xscmpexpqp BF,VRA,VRB", |s, i| { quad!(s, i, compare_exponents); }
    xststdcqp = x_quad_bf(708), "xststdcqp BF,VRB,DCMX", |s, i| { quad!(s, i, test_class); }
    xscmpeqqp = x_quad(68).v31(), "xscmpeqqp VRT,VRA,VRB", |s, i| {
        quad!(s, i, |r, i| compare_mask(r, i, false, |order| order == Order::Equal));
    }
    xscmpgtqp = x_quad(228).v31(), "xscmpgtqp VRT,VRA,VRB", |s, i| {
        quad!(s, i, |r, i| compare_mask(r, i, true, |order| order == Order::Greater));
    }
    xscmpgeqp = x_quad(196).v31(), "xscmpgeqp VRT,VRA,VRB", |s, i| {
        quad!(s, i, |r, i| compare_mask(r, i, true, |order| matches!(order, Order::Greater | Order::Equal)));
    }
    xsmaxcqp = x_quad(676).v31(), "xsmaxcqp VRT,VRA,VRB", |s, i| { quad!(s, i, |r, i| extreme_c(r, i, Order::Greater)); }
    xsmincqp = x_quad(740).v31(), "xsmincqp VRT,VRA,VRB", |s, i| { quad!(s, i, |r, i| extreme_c(r, i, Order::Less)); }
    "I 7.6.1.6";
    xscvdpqp = x_quad_sub(836, 22), "xscvdpqp VRT,VRB", |s, i| { quad!(s, i, from_double); }
    xscvqpdp = x_quad_sub(836, 20), "xscvqpdp[o] VRT,VRB", |s, i| { quad!(s, i, to_double); }
    xscvqpsdz = x_quad_sub(836, 25), "xscvqpsdz VRT,VRB", |s, i| { quad!(s, i, |r, i| to_int(r, i, 64, true)); }
    xscvqpudz = x_quad_sub(836, 17), "xscvqpudz VRT,VRB", |s, i| { quad!(s, i, |r, i| to_int(r, i, 64, false)); }
    xscvqpswz = x_quad_sub(836, 9), "xscvqpswz VRT,VRB", |s, i| { quad!(s, i, |r, i| to_int(r, i, 32, true)); }
    xscvqpuwz = x_quad_sub(836, 1), "xscvqpuwz VRT,VRB", |s, i| { quad!(s, i, |r, i| to_int(r, i, 32, false)); }
    xscvqpsqz = x_quad_sub(836, 8).v31(), "xscvqpsqz VRT,VRB", |s, i| { quad!(s, i, |r, i| to_int(r, i, 128, true)); }
    xscvqpuqz = x_quad_sub(836, 0).v31(), "xscvqpuqz VRT,VRB", |s, i| { quad!(s, i, |r, i| to_int(r, i, 128, false)); }
    xscvsdqp = x_quad_sub(836, 10), "xscvsdqp VRT,VRB", |s, i| { quad!(s, i, |r, i| from_int(r, i, 64, true)); }
    xscvudqp = x_quad_sub(836, 2), "xscvudqp VRT,VRB", |s, i| { quad!(s, i, |r, i| from_int(r, i, 64, false)); }
    xscvsqqp = x_quad_sub(836, 11).v31(), "xscvsqqp VRT,VRB", |s, i| { quad!(s, i, |r, i| from_int(r, i, 128, true)); }
    xscvuqqp = x_quad_sub(836, 3).v31(), "xscvuqqp VRT,VRB", |s, i| { quad!(s, i, |r, i| from_int(r, i, 128, false)); }
    "I 7.6.1.7";
    xsrqpi = z23(5), "xsrqpi[x] R,VRT,VRB,RMC", |s, i| { quad!(s, i, integral); }
    xsrqpxp = z23(37), "xsrqpxp R,VRT,VRB,RMC", |s, i| { quad!(s, i, to_extended); }
    "I 7.6.1.8";
    xsxexpqp = x_quad_sub(804, 2), "xsxexpqp VRT,VRB", |s, i| {
        s.require(Facility::Vsx)?;
        let (v, zero) = ((s.vsr(i.b).0 >> 48) & 0x7fff, s.imm(0));
        s.set_vsr(i.t, v, zero);
    }
    xsxsigqp = x_quad_sub(804, 18), "xsxsigqp VRT,VRB", |s, i| { quad!(s, i, significand); }
    xsiexpqp = x_quad(868), "xsiexpqp VRT,VRA,VRB", |s, i| {
        s.require(Facility::Vsx)?;
        let ((high, low), exponent) = (s.vsr(i.a), s.vsr(i.b).0);
        s.set_vsr(i.t, (high & 0x8000_ffff_ffff_ffff) | (exponent & 0x7fff) << 48, low);
    }
}
