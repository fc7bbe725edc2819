//! Fixed-point arithmetic (Power ISA Book I 3.3.9), 32- and 64-bit, with CA/CA32, OV/OV32 and SO.
//!
//! Where a quotient is undefined (division by 0, overflow) the result is 0, as POWER9 gives.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use crate::encoding::*;
use crate::instruction::instructions;
use crate::semantics::{Binary, Condition, Semantics, Value};
use crate::{Ops, Reg, SystemOp};

/// Carries of a + b (+ carry) = sum, out of bit 0 in 64-bit mode or bit 32 in 32-bit mode, and always CA32.
#[inline(always)]
fn set_carry<S: Semantics>(s: &mut S, a: S::V, b: S::V, sum: S::V, carry: S::C) {
    // The carry into bit 32 shows as the difference between the sum's bit 31 (value 2^32) and that of a ^ b.
    let carry32 = !(((a ^ b ^ sum) >> 32) & 1).eq(s.imm(0));
    let ca = if s.mode64() { carry } else { carry32 };
    s.set(Reg::CA, ca.bit());
    s.set(Reg::CA32, carry32.bit());
}

/// Overflows of a + b = sum.
#[inline(always)]
fn add_overflow<S: Semantics>(s: &mut S, a: S::V, b: S::V, sum: S::V) {
    let changed = (a ^ sum) & (b ^ sum);
    let (ov, ov32) = (changed.lts(s.imm(0)), changed.sext(32).lts(s.imm(0)));
    s.set_overflow(ov, ov32);
}

/// RT := a + b.
#[inline(always)]
fn add_plain<S: Semantics>(s: &mut S, i: &Ops, a: S::V, b: S::V, sum: S::V) {
    if i.oe {
        add_overflow(s, a, b, sum);
    }
    s.result(i, sum);
}

/// RT := a + b, with CA.
#[inline(always)]
fn add_carrying<S: Semantics>(s: &mut S, i: &Ops, a: S::V, b: S::V) {
    let sum = a + b;
    set_carry(s, a, b, sum, sum.ltu(a));
    add_plain(s, i, a, b, sum);
}

/// RT := ~a + b + 1, with CA.
#[inline(always)]
fn subtract_carrying<S: Semantics>(s: &mut S, i: &Ops, a: S::V, b: S::V) {
    let difference = b - a;
    set_carry(s, !a, b, difference, !b.ltu(a));
    add_plain(s, i, !a, b, difference);
}

/// RT := a + b + CA.
#[inline(always)]
fn add_extended<S: Semantics>(s: &mut S, i: &Ops, a: S::V, b: S::V) {
    let partial = a + b;
    let sum = partial + s.get(Reg::CA);
    set_carry(s, a, b, sum, partial.ltu(a) | sum.ltu(partial));
    add_plain(s, i, a, b, sum);
}

/// RT := quotient unless it is undefined.
#[inline(always)]
fn quotient<S: Semantics>(s: &mut S, i: &Ops, undefined: S::C, quotient: S::V) {
    let value = undefined.select(s.imm(0), quotient);
    if i.oe {
        s.set_overflow(undefined, undefined);
    }
    s.result(i, value);
}

/// Divisors that have no signed quotient: 0, and -1 for the most negative dividend of `bits` bits.
#[inline(always)]
fn no_signed_quotient<S: Semantics>(s: &S, a: S::V, b: S::V, lowest: u64) -> S::C {
    b.eq(s.imm(0)) | (a.eq(s.imm(lowest)) & b.eq(s.imm(u64::MAX)))
}

const I32_MIN: u64 = i32::MIN as i64 as u64;

fn divide_extended_signed(regs: &mut crate::Regs, i: &Ops) -> Result<(), crate::Trap> {
    let dividend = (regs.gpr[i.a as usize] as i64 as i128) << 64;
    let divisor = regs.gpr[i.b as usize] as i64 as i128;
    let quotient = dividend.checked_div(divisor).and_then(|q| i64::try_from(q).ok());
    divide_extended_result(regs, i, quotient.map(|q| q as u64));
    Ok(())
}

fn divide_extended_unsigned(regs: &mut crate::Regs, i: &Ops) -> Result<(), crate::Trap> {
    let dividend = (regs.gpr[i.a as usize] as u128) << 64;
    let quotient = dividend.checked_div(regs.gpr[i.b as usize] as u128).and_then(|q| u64::try_from(q).ok());
    divide_extended_result(regs, i, quotient);
    Ok(())
}

fn divide_extended_result(regs: &mut crate::Regs, i: &Ops, quotient: Option<u64>) {
    let value = quotient.unwrap_or(0);
    regs.gpr[i.t as usize] = value;
    if i.oe {
        let overflow = quotient.is_none() as u64;
        regs.ov = overflow;
        regs.ov32 = overflow;
        regs.so |= overflow;
    }
    if i.rc {
        let value = if regs.msr >> 63 != 0 { value as i64 } else { value as i32 as i64 };
        regs.cr[0] = regs.so
            | if value < 0 {
                8
            } else if value > 0 {
                4
            } else {
                2
            };
    }
}

/// `addg6s`: 6 in each nibble out of which no carry came when RA and RB are added.
fn add_generate_sixes(regs: &mut crate::Regs, i: &Ops) -> Result<(), crate::Trap> {
    let (a, b) = (regs.gpr[i.a as usize] as u128, regs.gpr[i.b as usize] as u128);
    // Bit n of this is the carry into bit n.
    let carries = (a + b) ^ a ^ b;
    let mut sixes = 0;
    for nibble in 0..16 {
        if carries >> (4 * nibble + 4) & 1 == 0 {
            sixes |= 6 << (4 * nibble);
        }
    }
    regs.gpr[i.t as usize] = sixes;
    Ok(())
}

instructions! { "I 3.3.9";
    addi = d0(14), "addi RT,RA,SI", |s, i| { let v = s.ea_d(i); s.set_gpr(i.t, v); }
    addis = d0_shifted(15), "addis RT,RA,SI", |s, i| { let v = s.ea_d(i); s.set_gpr(i.t, v); }
    addpcis = dx(2), "addpcis RT,D", |s, i| { let v = s.cia() + 4 + i.imm; s.set_gpr(i.t, v); }
    add = xo(31, 266), "add[o][.] RT,RA,RB", |s, i| {
        let (a, b) = (s.gpr(i.a), s.gpr(i.b));
        add_plain(s, i, a, b, a + b);
    }
    subf = xo(31, 40), "subf[o][.] RT,RA,RB", |s, i| {
        let (a, b) = (s.gpr(i.a), s.gpr(i.b));
        add_plain(s, i, !a, b, b - a);
    }
    addic = d(12), "addic RT,RA,SI", |s, i| { add_carrying(s, i, s.gpr(i.a), s.imm(i.imm)); }
    addic_ = d(13).operands(|w| Ops { rc: true, imm: si(w), ..tab(w) }), "addic. RT,RA,SI", |s, i| {
        add_carrying(s, i, s.gpr(i.a), s.imm(i.imm));
    }
    subfic = d(8), "subfic RT,RA,SI", |s, i| { subtract_carrying(s, i, s.gpr(i.a), s.imm(i.imm)); }
    addc = xo(31, 10), "addc[o][.] RT,RA,RB", |s, i| { add_carrying(s, i, s.gpr(i.a), s.gpr(i.b)); }
    subfc = xo(31, 8), "subfc[o][.] RT,RA,RB", |s, i| { subtract_carrying(s, i, s.gpr(i.a), s.gpr(i.b)); }
    adde = xo(31, 138), "adde[o][.] RT,RA,RB", |s, i| { add_extended(s, i, s.gpr(i.a), s.gpr(i.b)); }
    subfe = xo(31, 136), "subfe[o][.] RT,RA,RB", |s, i| { add_extended(s, i, !s.gpr(i.a), s.gpr(i.b)); }
    addme = xo(31, 234), "addme[o][.] RT,RA", |s, i| { add_extended(s, i, s.gpr(i.a), s.imm(u64::MAX)); }
    subfme = xo(31, 232), "subfme[o][.] RT,RA", |s, i| { add_extended(s, i, !s.gpr(i.a), s.imm(u64::MAX)); }
    addze = xo(31, 202), "addze[o][.] RT,RA", |s, i| { add_extended(s, i, s.gpr(i.a), s.imm(0)); }
    subfze = xo(31, 200), "subfze[o][.] RT,RA", |s, i| { add_extended(s, i, !s.gpr(i.a), s.imm(0)); }
    addex = form_addex(), "addex RT,RA,RB,CY", |s, i| {
        // CY=0: OV is the carry in and out. CY 1 to 3 are reserved and do the same.
        let (a, b) = (s.gpr(i.a), s.gpr(i.b));
        let partial = a + b;
        let sum = partial + s.get(Reg::OV);
        let carry32 = !(((a ^ b ^ sum) >> 32) & 1).eq(s.imm(0));
        let carry = partial.ltu(a) | sum.ltu(partial);
        let ov = if s.mode64() { carry } else { carry32 };
        s.set(Reg::OV, ov.bit());
        s.set(Reg::OV32, carry32.bit());
        s.set_gpr(i.t, sum);
    }
    neg = xo(31, 104), "neg[o][.] RT,RA", |s, i| {
        let a = s.gpr(i.a);
        if i.oe {
            let (ov, ov32) = (a.eq(s.imm(1 << 63)), a.zext32().eq(s.imm(1 << 31)));
            s.set_overflow(ov, ov32);
        }
        let r = s.imm(0) - a;
        s.result(i, r);
    }
    mulli = d(7), "mulli RT,RA,SI", |s, i| { let v = s.gpr(i.a) * i.imm; s.set_gpr(i.t, v); }
    mullw = xo(31, 235), "mullw[o][.] RT,RA,RB", |s, i| {
        let product = s.gpr(i.a).sext(32) * s.gpr(i.b).sext(32);
        if i.oe {
            let overflow = !product.eq(product.sext(32));
            s.set_overflow(overflow, overflow);
        }
        s.result(i, product);
    }
    mulhw = xo_reserved_oe(31, 75), "mulhw[.] RT,RA,RB", |s, i| {
        // The upper word of RT is undefined; POWER9 repeats the result there.
        let high = (s.gpr(i.a).sext(32) * s.gpr(i.b).sext(32)) >> 32;
        s.result(i, high | high << 32);
    }
    mulhwu = xo_reserved_oe(31, 11), "mulhwu[.] RT,RA,RB", |s, i| {
        let high = (s.gpr(i.a).zext32() * s.gpr(i.b).zext32()) >> 32;
        s.result(i, high | high << 32);
    }
    divw = xo(31, 491), "divw[o][.] RT,RA,RB", |s, i| {
        let (a, b) = (s.gpr(i.a).sext(32), s.gpr(i.b).sext(32));
        let undefined = no_signed_quotient(s, a, b, I32_MIN);
        quotient(s, i, undefined, a.binary(Binary::DivS32, b));
    }
    divwu = xo(31, 459), "divwu[o][.] RT,RA,RB", |s, i| {
        let (a, b) = (s.gpr(i.a), s.gpr(i.b).zext32());
        quotient(s, i, b.eq(s.imm(0)), a.binary(Binary::DivU32, b));
    }
    divwe = xo(31, 427), "divwe[o][.] RT,RA,RB", |s, i| {
        let (a, b) = (s.gpr(i.a) << 32, s.gpr(i.b).sext(32));
        let q = a.binary(Binary::DivS, b);
        let undefined = no_signed_quotient(s, a, b, 1 << 63) | !q.eq(q.sext(32));
        quotient(s, i, undefined, q.zext32());
    }
    divweu = xo(31, 395), "divweu[o][.] RT,RA,RB", |s, i| {
        let (a, b) = (s.gpr(i.a) << 32, s.gpr(i.b).zext32());
        let q = a.binary(Binary::DivU, b);
        let undefined = b.eq(s.imm(0)) | !q.eq(q.zext32());
        quotient(s, i, undefined, q);
    }
    modsw = xo_no_oe(31, 779), "modsw RT,RA,RB", |s, i| {
        let (a, b) = (s.gpr(i.a).sext(32), s.gpr(i.b).sext(32));
        let r = a - a.binary(Binary::DivS, b) * b;
        let v = no_signed_quotient(s, a, b, I32_MIN).select(s.imm(0), r);
        s.set_gpr(i.t, v);
    }
    moduw = xo_no_oe(31, 267), "moduw RT,RA,RB", |s, i| {
        let (a, b) = (s.gpr(i.a).zext32(), s.gpr(i.b).zext32());
        let r = a - a.binary(Binary::DivU, b) * b;
        let v = b.eq(s.imm(0)).select(s.imm(0), r);
        s.set_gpr(i.t, v);
    }
    mulld = xo(31, 233), "mulld[o][.] RT,RA,RB", |s, i| {
        let (a, b) = (s.gpr(i.a), s.gpr(i.b));
        let product = a * b;
        if i.oe {
            let overflow = !a.binary(Binary::MulHs, b).eq(product.sar(s.imm(63)));
            s.set_overflow(overflow, overflow);
        }
        s.result(i, product);
    }
    mulhd = xo_reserved_oe(31, 73), "mulhd[.] RT,RA,RB", |s, i| {
        let v = s.gpr(i.a).binary(Binary::MulHs, s.gpr(i.b));
        s.result(i, v);
    }
    mulhdu = xo_reserved_oe(31, 9), "mulhdu[.] RT,RA,RB", |s, i| {
        let v = s.gpr(i.a).binary(Binary::MulHu, s.gpr(i.b));
        s.result(i, v);
    }
    maddhd = va_gpr(48), "maddhd RT,RA,RB,RC", |s, i| {
        let (a, b, c) = (s.gpr(i.a), s.gpr(i.b), s.gpr(i.c));
        let carry = (a * b + c).ltu(c).bit();
        let v = a.binary(Binary::MulHs, b) + c.sar(s.imm(63)) + carry;
        s.set_gpr(i.t, v);
    }
    maddhdu = va_gpr(49), "maddhdu RT,RA,RB,RC", |s, i| {
        let (a, b, c) = (s.gpr(i.a), s.gpr(i.b), s.gpr(i.c));
        let carry = (a * b + c).ltu(c).bit();
        let v = a.binary(Binary::MulHu, b) + carry;
        s.set_gpr(i.t, v);
    }
    maddld = va_gpr(51), "maddld RT,RA,RB,RC", |s, i| {
        let v = s.gpr(i.a) * s.gpr(i.b) + s.gpr(i.c);
        s.set_gpr(i.t, v);
    }
    divd = xo(31, 489), "divd[o][.] RT,RA,RB", |s, i| {
        let (a, b) = (s.gpr(i.a), s.gpr(i.b));
        let undefined = no_signed_quotient(s, a, b, 1 << 63);
        quotient(s, i, undefined, a.binary(Binary::DivS, b));
    }
    divdu = xo(31, 457), "divdu[o][.] RT,RA,RB", |s, i| {
        let (a, b) = (s.gpr(i.a), s.gpr(i.b));
        quotient(s, i, b.eq(s.imm(0)), a.binary(Binary::DivU, b));
    }
    divde = xo(31, 425), "divde[o][.] RT,RA,RB", |s, i| { s.compute(divide_extended_signed, i)?; }
    divdeu = xo(31, 393), "divdeu[o][.] RT,RA,RB", |s, i| { s.compute(divide_extended_unsigned, i)?; }
    modsd = xo_no_oe(31, 777), "modsd RT,RA,RB", |s, i| {
        let (a, b) = (s.gpr(i.a), s.gpr(i.b));
        let r = a - a.binary(Binary::DivS, b) * b;
        let v = no_signed_quotient(s, a, b, 1 << 63).select(s.imm(0), r);
        s.set_gpr(i.t, v);
    }
    modud = xo_no_oe(31, 265), "modud RT,RA,RB", |s, i| {
        let (a, b) = (s.gpr(i.a), s.gpr(i.b));
        let r = a - a.binary(Binary::DivU, b) * b;
        let v = b.eq(s.imm(0)).select(s.imm(0), r);
        s.set_gpr(i.t, v);
    }
    addg6s = xo_reserved_oe(31, 74), "addg6s RT,RA,RB", |s, i| { s.compute(add_generate_sixes, i)?; }
    darn = x(31, 755).operands(|w| Ops { b: f(w, 16, 2), rc: false, ..tab(w) }), "darn RT,L", |s, i| {
        s.system(SystemOp::Darn, i)?;
    }
}

const fn form_addex() -> Encoding {
    // Z23-form: CY stands in two bits, the extended opcode in eight.
    Encoding::new(PO | 0x1fe, 31 << 26 | 170 << 1, |w| Ops { c: f(w, 9, 2), rc: false, ..tab(w) })
}
