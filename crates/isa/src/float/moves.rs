//! Floating-point moves and select (Power ISA Book I 4.6.5 and 4.6.9): they move bits and touch no FPSCR bit.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use crate::encoding::*;
use crate::instruction::instructions;
use crate::semantics::{Condition, Facility, Semantics, Value};
use crate::{Done, Ops, Reg};

const SIGN: u64 = 1 << 63;

/// FRT := value; CR1 when Rc.
#[inline(always)]
fn result<S: Semantics>(s: &mut S, i: &Ops, value: S::V) {
    let zero = s.imm(0);
    s.set_vsr(i.t, value, zero);
    if i.rc {
        let cr1 = (s.get(Reg::FPSCR) >> 28) & 15;
        s.set(Reg::cr(1), cr1);
    }
}

#[inline(always)]
fn moved<S: Semantics>(s: &mut S, i: &Ops, f: impl Fn(S::V) -> S::V) -> Done<S> {
    s.require(Facility::Fp)?;
    let value = f(s.get(Reg::fpr(i.b)));
    result(s, i, value);
    Ok(())
}

instructions! {
    "I 4.6.5";
    fmr = x(63, 72), "fmr[.] FRT,FRB", |s, i| { moved(s, i, |b| b)?; }
    fneg = x(63, 40), "fneg[.] FRT,FRB", |s, i| { moved(s, i, |b| b ^ SIGN)?; }
    fabs = x(63, 264), "fabs[.] FRT,FRB", |s, i| { moved(s, i, |b| b & !SIGN)?; }
    fnabs = x(63, 136), "fnabs[.] FRT,FRB", |s, i| { moved(s, i, |b| b | SIGN)?; }
    fcpsgn = x(63, 8), "fcpsgn[.] FRT,FRA,FRB", |s, i| {
        let a = s.get(Reg::fpr(i.a));
        moved(s, i, |b| (b & !SIGN) | (a & SIGN))?;
    }
    fmrgew = x(63, 966), "fmrgew FRT,FRA,FRB", |s, i| {
        s.require(Facility::Fp)?;
        let v = (s.get(Reg::fpr(i.a)) & 0xffff_ffff_0000_0000) | s.get(Reg::fpr(i.b)) >> 32;
        result(s, &Ops { rc: false, ..*i }, v);
    }
    fmrgow = x(63, 838), "fmrgow FRT,FRA,FRB", |s, i| {
        s.require(Facility::Fp)?;
        let v = s.get(Reg::fpr(i.a)) << 32 | s.get(Reg::fpr(i.b)).zext32();
        result(s, &Ops { rc: false, ..*i }, v);
    }
    "I 4.6.9";
    fsel = a(63, 23), "fsel[.] FRT,FRA,FRC,FRB", |s, i| {
        s.require(Facility::Fp)?;
        let a = s.get(Reg::fpr(i.a));
        // Greater than or equal to 0, -0 included; a NaN is not.
        let number = !s.imm(0x7ff << 52).ltu(a & !SIGN);
        let at_least_zero = a.eq(s.imm(SIGN)) | (!a.lts(s.imm(0)) & number);
        let v = at_least_zero.select(s.get(Reg::fpr(i.c)), s.get(Reg::fpr(i.b)));
        result(s, i, v);
    }
}
