//! Moves between VSRs and GPRs, logical operations, and permutes of whole doublewords and words (Power ISA Book I
//! 7.6.3 "VSX Vector Permute", "VSX Logical", 7.6.2.5 "Move"; encodings from the instruction tables of its
//! appendices).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::encoding::*;
use super::load_store::require_by_register;
use crate::instruction::instructions;
use crate::semantics::{Facility, Semantics, Unary, Value};
use crate::{Done, Ops};

/// Moves of a doubleword count as floating-point for VSR 0 to 31.
#[inline(always)]
fn require_fp<S: Semantics>(s: &mut S, n: u8) -> Done<S> {
    s.require(if n < 32 { Facility::Fp } else { Facility::Vector })
}

#[inline(always)]
fn to_vsr<S: Semantics>(s: &mut S, i: &Ops, value: S::V) {
    let zero = s.imm(0);
    s.set_vsr(i.t, value, zero);
}

/// XT := f(XA, XB), doubleword by doubleword.
#[inline(always)]
pub(crate) fn logical<S: Semantics>(
    s: &mut S,
    i: &Ops,
    facility: Facility,
    f: impl Fn(S::V, S::V) -> S::V,
) -> Done<S> {
    s.require(facility)?;
    let ((a0, a1), (b0, b1)) = (s.vsr(i.a), s.vsr(i.b));
    s.set_vsr(i.t, f(a0, b0), f(a1, b1));
    Ok(())
}

/// Word `n` of the concatenation of two doublewords pairs.
#[inline(always)]
fn word<V: Value>(doublewords: [V; 4], n: usize) -> V {
    let v = doublewords[n / 2];
    if n.is_multiple_of(2) { v >> 32 } else { v.zext32() }
}

/// XT := four words of XA and XB, numbered 0 to 7.
#[inline(always)]
fn words<S: Semantics>(s: &mut S, i: &Ops, n: [usize; 4]) -> Done<S> {
    s.require(Facility::Vsx)?;
    let ((a0, a1), (b0, b1)) = (s.vsr(i.a), s.vsr(i.b));
    let [w0, w1, w2, w3] = n.map(|n| word([a0, a1, b0, b1], n));
    s.set_vsr(i.t, w0 << 32 | w1, w2 << 32 | w3);
    Ok(())
}

/// XT := f of each doubleword of XB.
#[inline(always)]
fn each_doubleword<S: Semantics>(s: &mut S, i: &Ops, f: impl Fn(S::V) -> S::V) -> Done<S> {
    s.require(Facility::Vsx)?;
    let (high, low) = s.vsr(i.b);
    s.set_vsr(i.t, f(high), f(low));
    Ok(())
}

const VSX: Facility = Facility::Vsx;

instructions! {
    "I 7.6.2.5";
    mfvsrd = xx1_gpr(31, 51), "mfvsrd RA,XS", |s, i| { require_fp(s, i.t)?; let (v, _) = s.vsr(i.t); s.set_gpr(i.a, v); }
    mfvsrwz = xx1_gpr(31, 115), "mfvsrwz RA,XS", |s, i| { require_fp(s, i.t)?; let (v, _) = s.vsr(i.t); s.set_gpr(i.a, v.zext32()); }
    mfvsrld = xx1_gpr(31, 307), "mfvsrld RA,XS", |s, i| { require_by_register(s, i.t)?; let (_, v) = s.vsr(i.t); s.set_gpr(i.a, v); }
    mtvsrd = xx1_gpr(31, 179), "mtvsrd XT,RA", |s, i| { require_fp(s, i.t)?; let v = s.gpr(i.a); to_vsr(s, i, v); }
    mtvsrwa = xx1_gpr(31, 211), "mtvsrwa XT,RA", |s, i| { require_fp(s, i.t)?; let v = s.gpr(i.a).sext(32); to_vsr(s, i, v); }
    mtvsrwz = xx1_gpr(31, 243), "mtvsrwz XT,RA", |s, i| { require_fp(s, i.t)?; let v = s.gpr(i.a).zext32(); to_vsr(s, i, v); }
    mtvsrws = xx1_gpr(31, 403), "mtvsrws XT,RA", |s, i| {
        require_by_register(s, i.t)?;
        let v = s.gpr(i.a).zext32();
        let v = v << 32 | v;
        s.set_vsr(i.t, v, v);
    }
    mtvsrdd = xx1_0(435), "mtvsrdd XT,RA,RB", |s, i| {
        require_by_register(s, i.t)?;
        let (high, low) = (s.gpr(i.a), s.gpr(i.b));
        s.set_vsr(i.t, high, low);
    }
    "I 7.6.3";
    xxland = xx3(130), "xxland XT,XA,XB", |s, i| { logical(s, i, VSX, |a, b| a & b)?; }
    xxlandc = xx3(138), "xxlandc XT,XA,XB", |s, i| { logical(s, i, VSX, |a, b| a & !b)?; }
    xxlor = xx3(146), "xxlor XT,XA,XB", |s, i| { logical(s, i, VSX, |a, b| a | b)?; }
    xxlorc = xx3(170), "xxlorc XT,XA,XB", |s, i| { logical(s, i, VSX, |a, b| a | !b)?; }
    xxlxor = xx3(154), "xxlxor XT,XA,XB", |s, i| { logical(s, i, VSX, |a, b| a ^ b)?; }
    xxlnor = xx3(162), "xxlnor XT,XA,XB", |s, i| { logical(s, i, VSX, |a, b| !(a | b))?; }
    xxlnand = xx3(178), "xxlnand XT,XA,XB", |s, i| { logical(s, i, VSX, |a, b| !(a & b))?; }
    xxleqv = xx3(186), "xxleqv XT,XA,XB", |s, i| { logical(s, i, VSX, |a, b| !(a ^ b))?; }
    xxsel = xx4(3), "xxsel XT,XA,XB,XC", |s, i| {
        let (c0, c1) = s.vsr(i.c);
        s.require(VSX)?;
        let ((a0, a1), (b0, b1)) = (s.vsr(i.a), s.vsr(i.b));
        s.set_vsr(i.t, (a0 & !c0) | (b0 & c0), (a1 & !c1) | (b1 & c1));
    }
    xxpermdi = xx3_dm(10), "xxpermdi XT,XA,XB,DM", |s, i| {
        s.require(VSX)?;
        let (a, b) = (s.vsr(i.a), s.vsr(i.b));
        s.set_vsr(i.t, if i.imm & 2 == 0 { a.0 } else { a.1 }, if i.imm & 1 == 0 { b.0 } else { b.1 });
    }
    xxsldwi = xx3_dm(2), "xxsldwi XT,XA,XB,SHW", |s, i| { let n = i.imm as usize; words(s, i, [n, n + 1, n + 2, n + 3])?; }
    xxmrghw = xx3(18), "xxmrghw XT,XA,XB", |s, i| { words(s, i, [0, 4, 1, 5])?; }
    xxmrglw = xx3(50), "xxmrglw XT,XA,XB", |s, i| { words(s, i, [2, 6, 3, 7])?; }
    xxspltw = xx2(164), "xxspltw XT,XB,UIM", |s, i| {
        s.require(VSX)?;
        let (b0, b1) = s.vsr(i.b);
        let v = word([b0, b1, b0, b1], i.imm as usize & 3);
        let v = v << 32 | v;
        s.set_vsr(i.t, v, v);
    }
    xxspltib = x_imm8(360, 0), "xxspltib XT,IMM8", |s, i| {
        require_by_register(s, i.t)?;
        let v = s.imm(i.imm * 0x0101_0101_0101_0101);
        s.set_vsr(i.t, v, v);
    }
    xxbrd = xx2_sub(475, 23), "xxbrd XT,XB", |s, i| { each_doubleword(s, i, |v| v.unary(Unary::Bswap64))?; }
    xxbrw = xx2_sub(475, 15), "xxbrw XT,XB", |s, i| {
        each_doubleword(s, i, |v| { let v = v.unary(Unary::Bswap64); v << 32 | v >> 32 })?;
    }
    xxbrh = xx2_sub(475, 7), "xxbrh XT,XB", |s, i| {
        each_doubleword(s, i, |v| (v & 0x00ff_00ff_00ff_00ff) << 8 | (v >> 8) & 0x00ff_00ff_00ff_00ff)?;
    }
    xxbrq = xx2_sub(475, 31), "xxbrq XT,XB", |s, i| {
        s.require(VSX)?;
        let (high, low) = s.vsr(i.b);
        s.set_vsr(i.t, low.unary(Unary::Bswap64), high.unary(Unary::Bswap64));
    }
    xxspltiw = splat_immediate(3), "xxspltiw XT,IMM32", |s, i| {
        s.require(VSX)?;
        let v = s.imm(i.imm << 32 | i.imm);
        s.set_vsr(i.t, v, v);
    }
    xxspltidp = splat_immediate(2), "xxspltidp XT,IMM32", |s, i| {
        s.require(VSX)?;
        let single = s.imm(i.imm);
        let v = crate::float::single::single_to_double(s, single);
        s.set_vsr(i.t, v, v);
    }
    xxsplti32dx = splat_immediate_half(0), "xxsplti32dx XT,IX,IMM32", |s, i| {
        s.require(VSX)?;
        let (high, low) = s.vsr(i.t);
        let put = |v: S::V| if i.c == 0 { v.zext32() | i.imm << 32 } else { (v & 0xffff_ffff_0000_0000) | i.imm };
        s.set_vsr(i.t, put(high), put(low));
    }
    lxvkq = x_imm5(360, 31).v31(), "lxvkq XT,UIM", |s, i| {
        s.require(VSX)?;
        // The values that ISA 3.1 lists: 1.0 to 7.0, infinity, quiet NaN; -0.0; -1.0 to -7.0, -infinity.
        const TOP: [u16; 32] = [
            0, 0x3fff, 0x4000, 0x4000, 0x4001, 0x4001, 0x4001, 0x4001, 0x7fff, 0x7fff, 0, 0, 0, 0, 0, 0,
            0x8000, 0xbfff, 0xc000, 0xc000, 0xc001, 0xc001, 0xc001, 0xc001, 0xffff, 0, 0, 0, 0, 0, 0, 0,
        ];
        const NEXT: [u16; 32] = [
            0, 0, 0, 0x8000, 0, 0x4000, 0x8000, 0xc000, 0, 0x8000, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0x8000, 0, 0x4000, 0x8000, 0xc000, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        let n = i.imm as usize & 31;
        let (high, zero) = (s.imm((TOP[n] as u64) << 48 | (NEXT[n] as u64) << 32), s.imm(0));
        s.set_vsr(i.t, high, zero);
    }
}
