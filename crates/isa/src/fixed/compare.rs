//! Fixed-point compare, trap and select (Power ISA Book I 3.3.10 to 3.3.12).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use crate::encoding::*;
use crate::instruction::instructions;
use crate::semantics::{Condition, Semantics, Value};
use crate::{Ops, Reg, Trap};

/// Traps if TO (in `t`) says so of a ? b. Sign-extended words compare unsigned as the words themselves do.
#[inline(always)]
fn trap<S: Semantics>(s: &mut S, i: &Ops, a: S::V, b: S::V) -> crate::Done<S> {
    if i.t == 31 {
        let always = s.always();
        return s.trap_if(always, Trap::TrapInstruction);
    }
    let mut condition = !s.always();
    if i.t & 16 != 0 {
        condition = condition | a.lts(b);
    }
    if i.t & 8 != 0 {
        condition = condition | b.lts(a);
    }
    if i.t & 4 != 0 {
        condition = condition | a.eq(b);
    }
    if i.t & 2 != 0 {
        condition = condition | a.ltu(b);
    }
    if i.t & 1 != 0 {
        condition = condition | b.ltu(a);
    }
    s.trap_if(condition, Trap::TrapInstruction)
}

/// `cmprb`: is the low byte of RA within one (L=0) or two ranges given by the bytes of RB?
#[inline(always)]
fn in_range<S: Semantics>(byte: S::V, ranges: S::V, shift: u64) -> S::C {
    let (high, low) = ((ranges >> (shift + 8)) & 0xff, (ranges >> shift) & 0xff);
    !byte.ltu(low) & !high.ltu(byte)
}

instructions! {
    "I 3.3.10";
    cmpwi = d_compare(0), "cmpwi BF,RA,SI", |s, i| { s.compare(i.t, true, s.gpr(i.a).sext(32), s.imm(i.imm)); }
    cmpdi = d_compare(1), "cmpdi BF,RA,SI", |s, i| { s.compare(i.t, true, s.gpr(i.a), s.imm(i.imm)); }
    cmpw = x_compare(0, 0), "cmpw BF,RA,RB", |s, i| {
        s.compare(i.t, true, s.gpr(i.a).sext(32), s.gpr(i.b).sext(32));
    }
    cmpd = x_compare(0, 1), "cmpd BF,RA,RB", |s, i| { s.compare(i.t, true, s.gpr(i.a), s.gpr(i.b)); }
    cmplwi = d_compare_logical(0), "cmplwi BF,RA,UI", |s, i| {
        s.compare(i.t, false, s.gpr(i.a).zext32(), s.imm(i.imm));
    }
    cmpldi = d_compare_logical(1), "cmpldi BF,RA,UI", |s, i| { s.compare(i.t, false, s.gpr(i.a), s.imm(i.imm)); }
    cmplw = x_compare(32, 0), "cmplw BF,RA,RB", |s, i| {
        s.compare(i.t, false, s.gpr(i.a).zext32(), s.gpr(i.b).zext32());
    }
    cmpld = x_compare(32, 1), "cmpld BF,RA,RB", |s, i| { s.compare(i.t, false, s.gpr(i.a), s.gpr(i.b)); }
    cmprb = x(31, 192).operands(|w| Ops { t: f(w, 23, 3), c: f(w, 21, 1), rc: false, ..tab(w) }),
        "cmprb BF,L,RA,RB", |s, i| {
        let (byte, ranges) = (s.gpr(i.a) & 0xff, s.gpr(i.b));
        let mut inside = in_range::<S>(byte, ranges, 0);
        if i.c != 0 {
            inside = inside | in_range::<S>(byte, ranges, 16);
        }
        s.set(Reg::cr(i.t), inside.bit() << 2);
    }
    cmpeqb = x(31, 224).operands(|w| Ops { t: f(w, 23, 3), rc: false, ..tab(w) }), "cmpeqb BF,RA,RB", |s, i| {
        // A byte is 0 where RB equals RA's byte; the classic zero-byte test finds it.
        let difference = s.gpr(i.b) ^ ((s.gpr(i.a) & 0xff) * 0x0101_0101_0101_0101);
        let zero_byte = (difference - 0x0101_0101_0101_0101) & !difference & 0x8080_8080_8080_8080;
        let found = !zero_byte.eq(s.imm(0));
        s.set(Reg::cr(i.t), found.bit() << 2);
    }
    "I 3.3.11";
    twi = d(3), "twi TO,RA,SI", |s, i| { let (a, b) = (s.gpr(i.a).sext(32), s.imm(i.imm)); trap(s, i, a, b)?; }
    tw = x(31, 4), "tw TO,RA,RB", |s, i| {
        let (a, b) = (s.gpr(i.a).sext(32), s.gpr(i.b).sext(32));
        trap(s, i, a, b)?;
    }
    tdi = d(2), "tdi TO,RA,SI", |s, i| { let (a, b) = (s.gpr(i.a), s.imm(i.imm)); trap(s, i, a, b)?; }
    td = x(31, 68), "td TO,RA,RB", |s, i| { let (a, b) = (s.gpr(i.a), s.gpr(i.b)); trap(s, i, a, b)?; }
    "I 3.3.12";
    isel = a(31, 15).operands(tab0), "isel RT,RA,RB,BC", |s, i| {
        let v = s.cr_bit(i.c).select(s.gpr(i.a), s.gpr(i.b));
        s.set_gpr(i.t, v);
    }
    setb = x(31, 128).operands(|w| Ops { a: f(w, 18, 3), rc: false, ..tab(w) }), "setb RT,BFA", |s, i| {
        let (lt, gt) = (s.cr_bit(4 * i.a), s.cr_bit(4 * i.a + 1));
        let v = lt.select(s.imm(u64::MAX), gt.bit());
        s.set_gpr(i.t, v);
    }
    setbc = x(31, 384).v31(), "setbc RT,BI", |s, i| { let v = s.cr_bit(i.a).bit(); s.set_gpr(i.t, v); }
    setbcr = x(31, 416).v31(), "setbcr RT,BI", |s, i| { let v = (!s.cr_bit(i.a)).bit(); s.set_gpr(i.t, v); }
    setnbc = x(31, 448).v31(), "setnbc RT,BI", |s, i| { let v = s.imm(0) - s.cr_bit(i.a).bit(); s.set_gpr(i.t, v); }
    setnbcr = x(31, 480).v31(), "setnbcr RT,BI", |s, i| {
        let v = s.imm(0) - (!s.cr_bit(i.a)).bit();
        s.set_gpr(i.t, v);
    }
}
