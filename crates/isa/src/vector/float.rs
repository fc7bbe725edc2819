//! Vector floating point of VMX (Power ISA Book I 6.10): singles, rounded to nearest, no exceptions and no FPSCR.
//!
//! With VSCR[NJ] denormalized operands and results are zeros of the same sign. Estimates, whose values the ISA
//! leaves open, are as exact as a single allows (reciprocals) or nearly so (powers and logarithms of 2).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::lanes::{lane, make, va, vc, vx};
use crate::instruction::instructions;
use crate::semantics::Facility;
use crate::{Ops, Regs, Trap};
use timebase_softfloat::{self as soft, Class, Env, Order, Rounding, Single};

type Outcome = Result<(), Trap>;
type S1 = Single;

const E: Env = Env::DEFAULT;
const SIGN: u32 = 1 << 31;
const NAN: u32 = 0x7fc0_0000;
const INFINITY: u32 = 0x7f80_0000;
/// VSCR[NJ].
const NON_JAVA: u64 = 1 << 16;

/// A denormalized number as a zero if NJ.
fn flush(r: &Regs, x: u32) -> u32 {
    if r.vscr & NON_JAVA != 0 && x & INFINITY == 0 { x & SIGN } else { x }
}

fn operand(r: &Regs, register: u8, n: u32) -> u32 {
    flush(r, lane(r.vsr128(register), 32, n) as u32)
}

#[inline(always)]
fn unary(r: &mut Regs, i: &Ops, f: impl Fn(u32) -> u32) -> Outcome {
    let result = make(32, |n| flush(r, f(operand(r, i.b, n))) as u64);
    r.set_vsr128(i.t, result);
    Ok(())
}

#[inline(always)]
fn binary(r: &mut Regs, i: &Ops, f: impl Fn(u32, u32) -> u32) -> Outcome {
    let result = make(32, |n| flush(r, f(operand(r, i.a, n), operand(r, i.b, n))) as u64);
    r.set_vsr128(i.t, result);
    Ok(())
}

fn negated(x: u32) -> u32 {
    if soft::is_nan::<S1>(x) { x } else { x ^ SIGN }
}

fn add(r: &mut Regs, i: &Ops) -> Outcome {
    binary(r, i, |a, b| soft::add::<S1, S1>(a, b, &E).value)
}
fn subtract(r: &mut Regs, i: &Ops) -> Outcome {
    binary(r, i, |a, b| soft::sub::<S1, S1>(a, b, &E).value)
}

/// A * C + B; or its negative with B negated.
fn multiply_add(r: &mut Regs, i: &Ops, negative: bool) -> Outcome {
    let result = make(32, |n| {
        let (a, b, c) = (operand(r, i.a, n), operand(r, i.b, n), operand(r, i.c, n));
        let b = if negative { negated(b) } else { b };
        let value = soft::fma::<S1, S1>(a, c, b, &E).value;
        flush(r, if negative { negated(value) } else { value }) as u64
    });
    r.set_vsr128(i.t, result);
    Ok(())
}

/// The greater (or lesser) one: -0 is less than +0; a NaN is the result.
fn extreme(r: &mut Regs, i: &Ops, maximum: bool) -> Outcome {
    binary(r, i, |a, b| match soft::compare::<S1>(a, b).0 {
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
            if (a & SIGN != 0) == maximum {
                b
            } else {
                a
            }
        }
        Order::Unordered => soft::add::<S1, S1>(a, b, &E).value,
    })
}

fn integral(r: &mut Regs, i: &Ops, rounding: Rounding) -> Outcome {
    unary(r, i, |b| soft::round_to_integral::<S1>(b, rounding).value)
}

/// Masks of lanes for which the relation holds; CR6 when Rc.
fn compare(r: &mut Regs, i: &Ops, holds: fn(Order) -> bool) -> Outcome {
    let result = make(32, |n| {
        let order = soft::compare::<S1>(operand(r, i.a, n), operand(r, i.b, n)).0;
        if holds(order) { u32::MAX as u64 } else { 0 }
    });
    r.set_vsr128(i.t, result);
    if i.rc {
        r.cr[6] = (result == u128::MAX) as u64 * 8 | (result == 0) as u64 * 2;
    }
    Ok(())
}

/// Bit 0: not A <= B; bit 1: not A >= -B. CR6 tells that all are within bounds.
fn compare_bounds(r: &mut Regs, i: &Ops) -> Outcome {
    let result = make(32, |n| {
        let (a, b) = (operand(r, i.a, n), operand(r, i.b, n));
        let above = matches!(soft::compare::<S1>(a, b).0, Order::Greater | Order::Unordered);
        let below = matches!(soft::compare::<S1>(a, negated(b)).0, Order::Less | Order::Unordered);
        (above as u64) << 31 | (below as u64) << 30
    });
    r.set_vsr128(i.t, result);
    if i.rc {
        r.cr[6] = (result == 0) as u64 * 2;
    }
    Ok(())
}

/// 2^n as a single, for -32 < n < 32.
fn power_of_2(n: i32) -> u32 {
    ((127 + n) as u32) << 23
}

/// B * 2^UIM, truncated to a word and saturated; a NaN gives 0.
fn to_int(r: &mut Regs, i: &Ops, signed: bool) -> Outcome {
    let mut saturated = false;
    let mut result = 0u128;
    for n in 0..4 {
        let b = operand(r, i.b, n);
        let mut word = 0;
        if !soft::is_nan::<S1>(b) {
            // A double holds the scaled number exactly.
            let double = soft::convert::<S1, soft::Double, soft::Double>(b, &E).value;
            let scale = (1023 + i.imm) << 52;
            let scaled = soft::mul::<soft::Double, soft::Double>(double, scale, &E).value;
            let outcome = soft::to_int::<soft::Double>(scaled, 32, signed, Rounding::TowardZero);
            saturated |= outcome.flags.any(soft::Flags::VXCVI);
            word = outcome.value;
        }
        result = result << 32 | word;
    }
    r.set_vsr128(i.t, result);
    r.vscr |= saturated as u64;
    Ok(())
}

/// Words of B / 2^UIM.
fn from_int(r: &mut Regs, i: &Ops, signed: bool) -> Outcome {
    let result = make(32, |n| {
        let word = lane(r.vsr128(i.b), 32, n) as u32;
        let negative = signed && word >> 31 != 0;
        let magnitude = if negative { word.wrapping_neg() } else { word };
        let whole = soft::from_int::<S1, S1>(negative, magnitude as u128, &E).value;
        soft::mul::<S1, S1>(whole, power_of_2(-(i.imm as i32)), &E).value as u64
    });
    r.set_vsr128(i.t, result);
    Ok(())
}

/// 2^(2^-n) for n = 1 to 32 as fractions of 2^63, by repeated square roots.
const ROOTS_OF_2: [u64; 32] = {
    let mut table = [0; 32];
    let (mut n, mut value) = (0, 1u128 << 64);
    while n < 32 {
        value = (value << 63).isqrt();
        table[n] = value as u64;
        n += 1;
    }
    table
};

/// 2 to the power of x: the product of the roots of 2 that the fraction of x names.
fn power(x: u32) -> u32 {
    match soft::class::<S1, S1>(x) {
        (_, Class::Quiet | Class::Signaling) => return x | 0x40_0000,
        (true, Class::Infinity) => return 0,
        (false, Class::Infinity) => return INFINITY,
        _ => {}
    }
    // x in units of 2^-32, small enough to be exact where the result is finite and not 0.
    let scaled = soft::convert::<S1, soft::Double, soft::Double>(x, &E).value;
    let scaled = soft::mul::<soft::Double, soft::Double>(scaled, (1023 + 32) << 52, &E).value;
    let fixed = soft::to_int::<soft::Double>(scaled, 64, true, Rounding::Down).value as i64;
    let (whole, fraction) = (fixed >> 32, fixed as u32);
    let mut significand = 1u64 << 63;
    for (n, root) in ROOTS_OF_2.iter().enumerate() {
        if fraction >> (31 - n) & 1 != 0 {
            significand = ((significand as u128 * *root as u128) >> 63) as u64;
        }
    }
    let whole = whole.clamp(-400, 400) as i32;
    let value = soft::from_int::<soft::Double, soft::Double>(false, significand as u128, &E).value;
    let scale = ((1023 - 63 + whole) as u64) << 52;
    let value = soft::mul::<soft::Double, soft::Double>(value, scale, &E).value;
    soft::convert::<soft::Double, S1, S1>(value, &E).value
}

/// The logarithm of x to base 2, bit by bit: squaring the significand doubles its logarithm.
fn logarithm(x: u32) -> u32 {
    match soft::class::<S1, S1>(x) {
        (_, Class::Quiet | Class::Signaling) => return x | 0x40_0000,
        (_, Class::Zero) => return INFINITY | SIGN,
        (true, _) => return NAN,
        (false, Class::Infinity) => return INFINITY,
        _ => {}
    }
    let double = soft::convert::<S1, soft::Double, soft::Double>(x, &E).value;
    let exponent = (double >> 52) as i64 - 1023;
    let mut significand = (double & 0xf_ffff_ffff_ffff | 1 << 52) << 11;
    let mut fraction = 0;
    for _ in 0..32 {
        let square = significand as u128 * significand as u128;
        let two_or_more = square >> 127 != 0;
        fraction = fraction << 1 | two_or_more as i64;
        significand = (square >> if two_or_more { 64 } else { 63 }) as u64;
    }
    let fixed = (exponent << 32) + fraction;
    let value = soft::from_int::<S1, S1>(fixed < 0, fixed.unsigned_abs() as u128, &E).value;
    // Exact: units of 2^-32.
    soft::mul::<S1, S1>(soft::mul::<S1, S1>(value, power_of_2(-16), &E).value, power_of_2(-16), &E).value
}

macro_rules! vector {
    ($s:ident, $i:ident, $f:expr) => {{
        $s.require(Facility::Vector)?;
        $s.compute($f, $i)?
    }};
}

instructions! {
    "I 6.10.1";
    vaddfp = vx(10), "vaddfp VRT,VRA,VRB", |s, i| { vector!(s, i, add); }
    vsubfp = vx(74), "vsubfp VRT,VRA,VRB", |s, i| { vector!(s, i, subtract); }
    vmaddfp = va(46), "vmaddfp VRT,VRA,VRC,VRB", |s, i| { vector!(s, i, |r, i| multiply_add(r, i, false)); }
    vnmsubfp = va(47), "vnmsubfp VRT,VRA,VRC,VRB", |s, i| { vector!(s, i, |r, i| multiply_add(r, i, true)); }
    "I 6.10.2";
    vmaxfp = vx(1034), "vmaxfp VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| extreme(r, i, true)); }
    vminfp = vx(1098), "vminfp VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| extreme(r, i, false)); }
    "I 6.10.3";
    vctsxs = vx(970), "vctsxs VRT,VRB,UIM", |s, i| { vector!(s, i, |r, i| to_int(r, i, true)); }
    vctuxs = vx(906), "vctuxs VRT,VRB,UIM", |s, i| { vector!(s, i, |r, i| to_int(r, i, false)); }
    vcfsx = vx(842), "vcfsx VRT,VRB,UIM", |s, i| { vector!(s, i, |r, i| from_int(r, i, true)); }
    vcfux = vx(778), "vcfux VRT,VRB,UIM", |s, i| { vector!(s, i, |r, i| from_int(r, i, false)); }
    vrfim = vx(714), "vrfim VRT,VRB", |s, i| { vector!(s, i, |r, i| integral(r, i, Rounding::Down)); }
    vrfin = vx(522), "vrfin VRT,VRB", |s, i| { vector!(s, i, |r, i| integral(r, i, Rounding::NearestEven)); }
    vrfip = vx(650), "vrfip VRT,VRB", |s, i| { vector!(s, i, |r, i| integral(r, i, Rounding::Up)); }
    vrfiz = vx(586), "vrfiz VRT,VRB", |s, i| { vector!(s, i, |r, i| integral(r, i, Rounding::TowardZero)); }
    "I 6.10.4";
    vcmpbfp = vc(966), "vcmpbfp[.] VRT,VRA,VRB", |s, i| { vector!(s, i, compare_bounds); }
    vcmpeqfp = vc(198), "vcmpeqfp[.] VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| compare(r, i, |o| o == Order::Equal)); }
    vcmpgefp = vc(454), "vcmpgefp[.] VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| compare(r, i, |o| matches!(o, Order::Greater | Order::Equal))); }
    vcmpgtfp = vc(710), "vcmpgtfp[.] VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| compare(r, i, |o| o == Order::Greater)); }
    "I 6.10.5";
    vexptefp = vx(394), "vexptefp VRT,VRB", |s, i| { vector!(s, i, |r, i| unary(r, i, power)); }
    vlogefp = vx(458), "vlogefp VRT,VRB", |s, i| { vector!(s, i, |r, i| unary(r, i, logarithm)); }
    vrefp = vx(266), "vrefp VRT,VRB", |s, i| { vector!(s, i, |r, i| unary(r, i, |b| soft::reciprocal::<S1, S1>(b, &E).value)); }
    vrsqrtefp = vx(330), "vrsqrtefp VRT,VRB", |s, i| { vector!(s, i, |r, i| unary(r, i, |b| soft::reciprocal_sqrt::<S1, S1>(b, &E).value)); }
}
