//! Branch instructions and system call vectored (Power ISA Book I 2.4 and 2.6).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use crate::encoding::*;
use crate::instruction::instructions;
use crate::semantics::{Facility, Semantics, Value};
use crate::{Ops, Reg, SystemOp};

/// Decrements CTR if BO says so; then: is BO/BI satisfied?
#[inline(always)]
fn condition<S: Semantics>(s: &mut S, i: &Ops) -> S::C {
    let bo = i.t;
    if bo & 4 == 0 {
        let ctr = s.get(Reg::CTR) - 1;
        s.set(Reg::CTR, ctr);
    }
    let mode64 = s.mode64();
    let ctr_ok = |s: &S| {
        let ctr = s.get(Reg::CTR);
        let zero = if mode64 { ctr } else { ctr.zext32() }.eq(s.imm(0));
        if bo & 2 != 0 { zero } else { !zero }
    };
    let cr_ok = |s: &S| {
        let bit = s.cr_bit(i.a);
        if bo & 8 != 0 { bit } else { !bit }
    };
    match (bo & 4 == 0, bo & 16 == 0) {
        (true, true) => ctr_ok(s) & cr_ok(s),
        (true, false) => ctr_ok(s),
        (false, true) => cr_ok(s),
        (false, false) => s.always(),
    }
}

#[inline(always)]
fn link<S: Semantics>(s: &mut S, i: &Ops) {
    if i.rc {
        let next = s.cia() + 4;
        s.set(Reg::LR, next);
    }
}

#[inline(always)]
fn relative<S: Semantics>(s: &S, i: &Ops) -> S::V {
    if i.oe { s.imm(i.imm) } else { s.cia() + i.imm }
}

instructions! {
    "I 2.4";
    b = i(18), "b[l][a] LI", |s, i| {
        let (always, to) = (s.always(), relative(s, i));
        link(s, i);
        s.branch(always, to);
    }
    bc = b(16), "bc[l][a] BO,BI,BD", |s, i| {
        let (taken, to) = (condition(s, i), relative(s, i));
        link(s, i);
        s.branch(taken, to);
    }
    bclr = xl_branch(16), "bclr[l] BO,BI,BH", |s, i| {
        let to = s.get(Reg::LR) & !3;
        let taken = condition(s, i);
        link(s, i);
        s.branch(taken, to);
    }
    bcctr = xl_branch(528), "bcctr[l] BO,BI,BH", |s, i| {
        // BO bit 2 = 0 (decrement CTR) is an invalid form; POWER9 decrements and branches to the old value.
        let to = s.get(Reg::CTR) & !3;
        let taken = condition(s, i);
        link(s, i);
        s.branch(taken, to);
    }
    bctar = xl_branch(560), "bctar[l] BO,BI,BH", |s, i| {
        s.require(Facility::Tar)?;
        let to = s.get(Reg::TAR) & !3;
        let taken = condition(s, i);
        link(s, i);
        s.branch(taken, to);
    }
    "I 2.6";
    sc = Encoding::new(PO | 2, 17 << 26 | 2, |w| Ops { t: f(w, 5, 7), rc: false, ..tab(w) }).context(),
        "sc LEV", |s, i| { s.system(SystemOp::Sc, i)?; }
    scv = Encoding::new(PO | 3, 17 << 26 | 1, |w| Ops { t: f(w, 5, 7), rc: false, ..tab(w) }).context(),
        "scv LEV", |s, i| { s.system(SystemOp::Scv, i)?; }
}
