//! Fixed-point rotate and shift (Power ISA Book I 3.3.14).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use crate::encoding::*;
use crate::instruction::instructions;
use crate::semantics::{Condition, Semantics, Value};
use crate::{Ops, Reg};

/// Algebraic shift right by `count` of a sign-extended value that lost the bits `lost`.
#[inline(always)]
fn shift_right_algebraic<S: Semantics>(s: &mut S, i: &Ops, value: S::V, count: S::V, lost: S::V) {
    let carry = (value.lts(s.imm(0)) & !lost.eq(s.imm(0))).bit();
    s.set(Reg::CA, carry);
    s.set(Reg::CA32, carry);
    s.result(i, value.sar(count));
}

const fn x_shift_immediate() -> Encoding {
    x_logical(31, 824)
}

instructions! { "I 3.3.14";
    rlwinm = m(21), "rlwinm[.] RA,RS,SH,MB,ME", |s, i| {
        let v = s.gpr(i.a).rotl32_twice(s.imm(i.b as u64)) & i.imm;
        s.result(i, v);
    }
    rlwnm = m(23), "rlwnm[.] RA,RS,RB,MB,ME", |s, i| {
        let v = s.gpr(i.a).rotl32_twice(s.gpr(i.b)) & i.imm;
        s.result(i, v);
    }
    rlwimi = m(20), "rlwimi[.] RA,RS,SH,MB,ME", |s, i| {
        let v = (s.gpr(i.a).rotl32_twice(s.imm(i.b as u64)) & i.imm) | (s.gpr(i.t) & !i.imm);
        s.result(i, v);
    }
    rldicl = md(0, RotateMask::Left), "rldicl[.] RA,RS,SH,MB", |s, i| {
        let v = s.gpr(i.a).rotl(s.imm(i.b as u64)) & i.imm;
        s.result(i, v);
    }
    rldicr = md(1, RotateMask::Right), "rldicr[.] RA,RS,SH,ME", |s, i| {
        let v = s.gpr(i.a).rotl(s.imm(i.b as u64)) & i.imm;
        s.result(i, v);
    }
    rldic = md(2, RotateMask::Shifted), "rldic[.] RA,RS,SH,MB", |s, i| {
        let v = s.gpr(i.a).rotl(s.imm(i.b as u64)) & i.imm;
        s.result(i, v);
    }
    rldimi = md(3, RotateMask::Shifted), "rldimi[.] RA,RS,SH,MB", |s, i| {
        let v = (s.gpr(i.a).rotl(s.imm(i.b as u64)) & i.imm) | (s.gpr(i.t) & !i.imm);
        s.result(i, v);
    }
    rldcl = mds(8, RotateMask::Left), "rldcl[.] RA,RS,RB,MB", |s, i| {
        let v = s.gpr(i.a).rotl(s.gpr(i.b)) & i.imm;
        s.result(i, v);
    }
    rldcr = mds(9, RotateMask::Right), "rldcr[.] RA,RS,RB,ME", |s, i| {
        let v = s.gpr(i.a).rotl(s.gpr(i.b)) & i.imm;
        s.result(i, v);
    }
    slw = x_logical(31, 24), "slw[.] RA,RS,RB", |s, i| {
        let n = s.gpr(i.b);
        let v = (n & 32).eq(s.imm(0)).select((s.gpr(i.a) << (n & 31)).zext32(), s.imm(0));
        s.result(i, v);
    }
    srw = x_logical(31, 536), "srw[.] RA,RS,RB", |s, i| {
        let n = s.gpr(i.b);
        let v = (n & 32).eq(s.imm(0)).select(s.gpr(i.a).zext32() >> (n & 31), s.imm(0));
        s.result(i, v);
    }
    sld = x_logical(31, 27), "sld[.] RA,RS,RB", |s, i| {
        let n = s.gpr(i.b);
        let v = (n & 64).eq(s.imm(0)).select(s.gpr(i.a) << (n & 63), s.imm(0));
        s.result(i, v);
    }
    srd = x_logical(31, 539), "srd[.] RA,RS,RB", |s, i| {
        let n = s.gpr(i.b);
        let v = (n & 64).eq(s.imm(0)).select(s.gpr(i.a) >> (n & 63), s.imm(0));
        s.result(i, v);
    }
    srawi = x_shift_immediate(), "srawi[.] RA,RS,SH", |s, i| {
        let v = s.gpr(i.a).sext(32);
        let lost = v & ((1u64 << i.b) - 1);
        let count = s.imm(i.b as u64);
        shift_right_algebraic(s, i, v, count, lost);
    }
    sraw = x_logical(31, 792), "sraw[.] RA,RS,RB", |s, i| {
        let v = s.gpr(i.a).sext(32);
        // A sign-extended word shifted by 32 to 63 gives its sign, and every bit of the word is lost.
        let n = s.gpr(i.b) & 63;
        let lost = v.zext32() & !(s.imm(u64::MAX) << n);
        shift_right_algebraic(s, i, v, n, lost);
    }
    sradi = xs(31, 413), "sradi[.] RA,RS,SH", |s, i| {
        let v = s.gpr(i.a);
        let lost = v & ((1u64 << i.b) - 1);
        let count = s.imm(i.b as u64);
        shift_right_algebraic(s, i, v, count, lost);
    }
    srad = x_logical(31, 794), "srad[.] RA,RS,RB", |s, i| {
        let (v, n) = (s.gpr(i.a), s.gpr(i.b));
        let far = !(n & 64).eq(s.imm(0));
        let lost = v & far.select(s.imm(u64::MAX), !(s.imm(u64::MAX) << (n & 63)));
        let count = far.select(s.imm(63), n & 63);
        shift_right_algebraic(s, i, v, count, lost);
    }
    extswsli = xs(31, 445), "extswsli[.] RA,RS,SH", |s, i| {
        let v = s.gpr(i.a).sext(32) << i.b as u64;
        s.result(i, v);
    }
}
