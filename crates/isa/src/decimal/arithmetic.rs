//! Arithmetic, quantum adjustment, rounding to an integer and shifts (Power ISA Book I 5.6.1, 5.6.4 and 5.6.6).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::*;
use crate::Encoding;
use crate::encoding::*;
use crate::instruction::instructions;
use timebase_softfloat::Flags;
use timebase_softfloat::decimal as soft;

type Operation = fn(Number, Number, &Format, &Env) -> Outcome;

fn two<S: Size>(r: &mut Regs, i: &Ops, operation: Operation) -> Result {
    let outcome = operation(S::get(r, i.a), S::get(r, i.b), &S::FORMAT, &env(r));
    deliver::<S>(r, i, outcome)
}
fn add<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    two::<S>(r, i, soft::add)
}
fn sub<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    two::<S>(r, i, soft::sub)
}
fn mul<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    two::<S>(r, i, soft::mul)
}
fn div<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    two::<S>(r, i, soft::div)
}

/// The result of an operation with a NaN among its operands.
fn propagated(operands: &[Number]) -> Option<Outcome> {
    let signaling = operands.iter().find(|n| n.kind == Kind::Signaling);
    let flags = if signaling.is_some() { Flags::VXSNAN } else { Flags::NONE };
    let chosen = signaling.or_else(|| operands.iter().find(|n| n.is_nan()))?;
    Some(Outcome { number: chosen.quieted(), flags })
}

/// FRB with the exponent `exponent`.
fn quantized(number: Number, exponent: i32, format: &Format, mode: Rounding) -> Outcome {
    soft::quantize(number, exponent, format, mode).unwrap_or(Outcome::invalid(Flags::VXCVI))
}

fn quantize<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    let (a, b) = (S::get(r, i.a), S::get(r, i.b));
    let outcome = propagated(&[a, b]).unwrap_or_else(|| match (a.kind, b.kind) {
        (Kind::Infinity, Kind::Infinity) => Outcome::exact(Number::infinity(b.negative)),
        (Kind::Infinity, _) | (_, Kind::Infinity) => Outcome::invalid(Flags::VXCVI),
        _ => quantized(b, a.exponent, &S::FORMAT, rounding(r, false, i.c)),
    });
    deliver::<S>(r, i, outcome)
}

/// TE, signed, in `imm`.
fn quantize_immediate<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    let b = S::get(r, i.b);
    let outcome = propagated(&[b]).unwrap_or_else(|| match b.kind {
        Kind::Infinity => Outcome::invalid(Flags::VXCVI),
        _ => quantized(b, i.imm as i32, &S::FORMAT, rounding(r, false, i.c)),
    });
    deliver::<S>(r, i, outcome)
}

/// To the number of digits that the last six bits of FRA say.
fn reround<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    let (wanted, b) = ((Long::bits(r, i.a) & 63) as u32, S::get(r, i.b));
    let has = significant_digits(&b);
    let outcome = propagated(&[b]).unwrap_or_else(|| match b.kind {
        Kind::Infinity => Outcome::exact(Number::infinity(b.negative)),
        _ if wanted == 0 || has <= wanted => Outcome::exact(b),
        _ => shorter(b, (has - wanted) as i32, wanted, &S::FORMAT, rounding(r, false, i.c)),
    });
    deliver::<S>(r, i, outcome)
}

/// `b` without its last `drop` digits; a carry into one digit more than `wanted` moves the exponent.
fn shorter(b: Number, drop: i32, wanted: u32, format: &Format, mode: Rounding) -> Outcome {
    let mut outcome = quantized(b, b.exponent + drop, format, mode);
    if significant_digits(&outcome.number) > wanted {
        outcome.number.coefficient /= 10;
        outcome.number.exponent += 1;
    }
    if outcome.number.exponent > format.max_exponent() {
        return Outcome::invalid(Flags::VXCVI);
    }
    outcome
}

fn integral<S: Size>(r: &Regs, i: &Ops) -> Outcome {
    let b = S::get(r, i.b);
    propagated(&[b]).unwrap_or_else(|| match b.kind {
        Kind::Infinity => Outcome::exact(Number::infinity(b.negative)),
        _ if b.exponent >= 0 => Outcome::exact(b),
        _ => quantized(b, 0, &S::FORMAT, rounding(r, i.oe, i.c)),
    })
}
fn integral_inexact<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    let outcome = integral::<S>(r, i);
    deliver::<S>(r, i, outcome)
}
fn integral_silent<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    let outcome = integral::<S>(r, i);
    let flags = Flags(outcome.flags.0 & Flags::VXSNAN.0);
    deliver::<S>(r, i, Outcome { flags, ..outcome })
}

/// The coefficient of FRA moved by `imm` digits; of a special datum, its trailing ones.
fn shift<S: Size>(r: &mut Regs, i: &Ops, left: bool) -> Result {
    let a = S::get(r, i.a);
    let (digits, count) = (S::FORMAT.digits, i.imm as u32);
    let ten = |n: u32| 10u128.pow(n);
    let coefficient = match left {
        _ if count >= digits => 0,
        true => a.coefficient % ten(digits - count) * ten(count),
        false => a.coefficient / ten(count),
    };
    S::set(r, i.t, Number { coefficient, ..a });
    end_quietly(r, i)
}
fn shift_left<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    shift::<S>(r, i, true)
}
fn shift_right<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    shift::<S>(r, i, false)
}

/// Z23-form: RMC in `c`, R in `oe`, TE in `imm`.
const fn z23(po: u64, xo: u64) -> Encoding {
    Encoding::new(PO | 0x1fe, po << 26 | xo << 1, |w| Ops {
        c: f(w, 9, 2),
        oe: w >> 16 & 1 != 0,
        imm: ((f(w, 16, 5) as i64) << 59 >> 59) as u64,
        ..tab(w)
    })
}
/// Z22-form: FRT, FRA, SH in `imm`.
const fn z22_shift(po: u64, xo: u64) -> Encoding {
    Encoding::new(PO | 0x3fe, po << 26 | xo << 1, |w| Ops { imm: w >> 10 & 63, ..tab(w) })
}

instructions! {
    "I 5.6.1";
    dadd = x(59, 2), "dadd[.] FRT,FRA,FRB", |s, i| { dfp!(s, i, add::<Long>); }
    daddq = x(63, 2), "daddq[.] FRTp,FRAp,FRBp", |s, i| { dfp!(s, i, add::<Extended>); }
    dsub = x(59, 514), "dsub[.] FRT,FRA,FRB", |s, i| { dfp!(s, i, sub::<Long>); }
    dsubq = x(63, 514), "dsubq[.] FRTp,FRAp,FRBp", |s, i| { dfp!(s, i, sub::<Extended>); }
    dmul = x(59, 34), "dmul[.] FRT,FRA,FRB", |s, i| { dfp!(s, i, mul::<Long>); }
    dmulq = x(63, 34), "dmulq[.] FRTp,FRAp,FRBp", |s, i| { dfp!(s, i, mul::<Extended>); }
    ddiv = x(59, 546), "ddiv[.] FRT,FRA,FRB", |s, i| { dfp!(s, i, div::<Long>); }
    ddivq = x(63, 546), "ddivq[.] FRTp,FRAp,FRBp", |s, i| { dfp!(s, i, div::<Extended>); }
    "I 5.6.4";
    dquai = z23(59, 67), "dquai[.] TE,FRT,FRB,RMC", |s, i| { dfp!(s, i, quantize_immediate::<Long>); }
    dquaiq = z23(63, 67), "dquaiq[.] TE,FRTp,FRBp,RMC", |s, i| { dfp!(s, i, quantize_immediate::<Extended>); }
    dqua = z23(59, 3), "dqua[.] FRT,FRA,FRB,RMC", |s, i| { dfp!(s, i, quantize::<Long>); }
    dquaq = z23(63, 3), "dquaq[.] FRTp,FRAp,FRBp,RMC", |s, i| { dfp!(s, i, quantize::<Extended>); }
    drrnd = z23(59, 35), "drrnd[.] FRT,FRA,FRB,RMC", |s, i| { dfp!(s, i, reround::<Long>); }
    drrndq = z23(63, 35), "drrndq[.] FRTp,FRA,FRBp,RMC", |s, i| { dfp!(s, i, reround::<Extended>); }
    drintx = z23(59, 99), "drintx[.] R,FRT,FRB,RMC", |s, i| { dfp!(s, i, integral_inexact::<Long>); }
    drintxq = z23(63, 99), "drintxq[.] R,FRTp,FRBp,RMC", |s, i| { dfp!(s, i, integral_inexact::<Extended>); }
    drintn = z23(59, 227), "drintn[.] R,FRT,FRB,RMC", |s, i| { dfp!(s, i, integral_silent::<Long>); }
    drintnq = z23(63, 227), "drintnq[.] R,FRTp,FRBp,RMC", |s, i| { dfp!(s, i, integral_silent::<Extended>); }
    "I 5.6.6";
    dscli = z22_shift(59, 66), "dscli[.] FRT,FRA,SH", |s, i| { dfp!(s, i, shift_left::<Long>); }
    dscliq = z22_shift(63, 66), "dscliq[.] FRTp,FRAp,SH", |s, i| { dfp!(s, i, shift_left::<Extended>); }
    dscri = z22_shift(59, 98), "dscri[.] FRT,FRA,SH", |s, i| { dfp!(s, i, shift_right::<Long>); }
    dscriq = z22_shift(63, 98), "dscriq[.] FRTp,FRAp,SH", |s, i| { dfp!(s, i, shift_right::<Extended>); }
}
