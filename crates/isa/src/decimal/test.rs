//! Comparison and tests, into a CR field and FPCC (Power ISA Book I 5.6.2 and 5.6.3).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::*;
use crate::Encoding;
use crate::encoding::*;
use crate::float::scalar::ordered_flags;
use crate::instruction::instructions;
use timebase_softfloat::decimal as soft;

fn compare<S: Size>(r: &mut Regs, i: &Ops, ordered: bool) -> Result {
    let (order, mut flags) = soft::compare(&S::get(r, i.a), &S::get(r, i.b));
    if ordered {
        flags = ordered_flags(order, flags, r.invalid_enabled());
    }
    r.set_fpcc(i.t, order as u64);
    r.raise(flags.0 as u64);
    r.fp_done()
}
fn unordered<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    compare::<S>(r, i, false)
}
fn ordered<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    compare::<S>(r, i, true)
}

/// 0b0000 or 0b0010 with the sign in front: does one of `classes`, chosen by `imm`, hold?
fn outcome(r: &mut Regs, i: &Ops, negative: bool, classes: [bool; 6]) -> Result {
    let chosen = (0..6).any(|n| i.imm >> (5 - n) & 1 != 0 && classes[n]);
    r.set_fpcc(i.t, (negative as u64) << 3 | (chosen as u64) << 1);
    Ok(())
}

fn data_class<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    let a = S::get(r, i.a);
    let (zero, subnormal) = (a.is_zero(), is_subnormal(&a, &S::FORMAT));
    let finite = a.kind == Kind::Finite;
    let classes = [
        zero,
        finite && subnormal,
        finite && !zero && !subnormal,
        a.kind == Kind::Infinity,
        a.kind == Kind::Quiet,
        a.kind == Kind::Signaling,
    ];
    outcome(r, i, a.negative, classes)
}

fn data_group<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    let a = S::get(r, i.a);
    let format = S::FORMAT;
    let finite = a.kind == Kind::Finite;
    let extreme = a.exponent == format.min_exponent() || a.exponent == format.max_exponent();
    let zero = a.is_zero();
    let subnormal = finite && is_subnormal(&a, &format);
    let normal = finite && !zero && !subnormal;
    let full = significant_digits(&a) == format.digits;
    let classes = [
        zero && !extreme,
        zero && extreme,
        subnormal || normal && extreme,
        normal && !extreme && !full,
        normal && !extreme && full,
        !finite,
    ];
    outcome(r, i, a.negative, classes)
}

fn exponents<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    let (a, b) = (S::get(r, i.a), S::get(r, i.b));
    let field = match (a.kind, b.kind) {
        (Kind::Finite, Kind::Finite) => match a.exponent.cmp(&b.exponent) {
            core::cmp::Ordering::Less => 8,
            core::cmp::Ordering::Greater => 4,
            core::cmp::Ordering::Equal => 2,
        },
        (Kind::Infinity, Kind::Infinity) => 2,
        _ if a.is_nan() && b.is_nan() => 2,
        _ => 1,
    };
    r.set_fpcc(i.t, field);
    Ok(())
}

fn significance<S: Size>(r: &mut Regs, i: &Ops, wanted: u32) -> Result {
    let b = S::get(r, i.b);
    let field = match (b.kind, significant_digits(&b)) {
        (Kind::Finite, _) if wanted == 0 => 4,
        (Kind::Finite, 0) => 4,
        (Kind::Finite, has) if wanted < has => 8,
        (Kind::Finite, has) if wanted > has => 4,
        (Kind::Finite, _) => 2,
        _ => 1,
    };
    r.set_fpcc(i.t, field);
    Ok(())
}
fn significance_register<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    let wanted = Long::bits(r, i.a) & 63;
    significance::<S>(r, i, wanted as u32)
}
fn significance_immediate<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    significance::<S>(r, i, i.imm as u32)
}

const fn x_bf(po: u64, xo: u64) -> Encoding {
    x(po, xo).operands(|w| Ops { t: f(w, 23, 3), imm: w >> 16 & 63, rc: false, ..tab(w) })
}
const fn z22_bf(po: u64, xo: u64) -> Encoding {
    Encoding::new(PO | 0x3fe, po << 26 | xo << 1, |w| Ops {
        t: f(w, 23, 3),
        imm: w >> 10 & 63,
        rc: false,
        ..tab(w)
    })
}

instructions! {
    "I 5.6.2";
    dcmpu = x_bf(59, 642), "dcmpu BF,FRA,FRB", |s, i| { dfp!(s, i, unordered::<Long>); }
    dcmpuq = x_bf(63, 642), "dcmpuq BF,FRAp,FRBp", |s, i| { dfp!(s, i, unordered::<Extended>); }
    dcmpo = x_bf(59, 130), "dcmpo BF,FRA,FRB", |s, i| { dfp!(s, i, ordered::<Long>); }
    dcmpoq = x_bf(63, 130), "dcmpoq BF,FRAp,FRBp", |s, i| { dfp!(s, i, ordered::<Extended>); }
    "I 5.6.3";
    dtstdc = z22_bf(59, 194), "dtstdc BF,FRA,DCM", |s, i| { dfp!(s, i, data_class::<Long>); }
    dtstdcq = z22_bf(63, 194), "dtstdcq BF,FRAp,DCM", |s, i| { dfp!(s, i, data_class::<Extended>); }
    dtstdg = z22_bf(59, 226), "dtstdg BF,FRA,DGM", |s, i| { dfp!(s, i, data_group::<Long>); }
    dtstdgq = z22_bf(63, 226), "dtstdgq BF,FRAp,DGM", |s, i| { dfp!(s, i, data_group::<Extended>); }
    dtstex = x_bf(59, 162), "dtstex BF,FRA,FRB", |s, i| { dfp!(s, i, exponents::<Long>); }
    dtstexq = x_bf(63, 162), "dtstexq BF,FRAp,FRBp", |s, i| { dfp!(s, i, exponents::<Extended>); }
    dtstsf = x_bf(59, 674), "dtstsf BF,FRA,FRB", |s, i| { dfp!(s, i, significance_register::<Long>); }
    dtstsfq = x_bf(63, 674), "dtstsfq BF,FRA,FRBp", |s, i| { dfp!(s, i, significance_register::<Extended>); }
    dtstsfi = x_bf(59, 675), "dtstsfi BF,UIM,FRB", |s, i| { dfp!(s, i, significance_immediate::<Long>); }
    dtstsfiq = x_bf(63, 675), "dtstsfiq BF,UIM,FRBp", |s, i| { dfp!(s, i, significance_immediate::<Extended>); }
}
