//! Quadword and extended integer arithmetic of ISA 3.1 (Book I 6.9): comparison, shift and rotate, multiplication,
//! division. Quotients that are undefined are 0.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::lanes::{lane, make, signed, va, vc, vx, vx_a};
use crate::encoding::f;
use crate::instruction::instructions;
use crate::semantics::Facility;
use crate::{Encoding, Ops, Regs, Trap};
use core::cmp::Ordering;

type Outcome = Result<(), Trap>;

fn compare(r: &mut Regs, i: &Ops, holds: impl Fn(u128, u128) -> bool) -> Outcome {
    let all = holds(r.vsr128(i.a), r.vsr128(i.b));
    r.set_vsr128(i.t, if all { u128::MAX } else { 0 });
    if i.rc {
        r.cr[6] = if all { 8 } else { 2 };
    }
    Ok(())
}

/// CR field BF := LT GT EQ.
fn order(r: &mut Regs, i: &Ops, order: fn(u128, u128) -> Ordering) -> Outcome {
    r.cr[i.t as usize & 7] = match order(r.vsr128(i.a), r.vsr128(i.b)) {
        Ordering::Less => 8,
        Ordering::Greater => 4,
        Ordering::Equal => 2,
    };
    Ok(())
}

/// VRT := f(VRA, count), the count being the low seven bits of doubleword 0 of VRB.
fn shift(r: &mut Regs, i: &Ops, f: fn(u128, u32) -> u128) -> Outcome {
    let count = (r.vsr128(i.b) >> 64) as u32 & 127;
    r.set_vsr128(i.t, f(r.vsr128(i.a), count));
    Ok(())
}

/// Ones from bit `first` to bit `last`, wrapping.
fn mask(first: u32, last: u32) -> u128 {
    let (from, to) = (u128::MAX >> first, u128::MAX << (127 - last));
    if first <= last { from & to } else { from | to }
}

/// `vrlqnm` (and), `vrlqmi` (insert): rotate, then mask; the fields are in doubleword 0 of VRB.
fn rotate_mask(r: &mut Regs, i: &Ops, insert: bool) -> Outcome {
    let control = (r.vsr128(i.b) >> 64) as u32;
    let field = |shift: u32| control >> shift & 127;
    let mask = mask(field(16), field(8));
    let rotated = r.vsr128(i.a).rotate_left(field(0)) & mask;
    let kept = if insert { r.vsr128(i.t) & !mask } else { 0 };
    r.set_vsr128(i.t, rotated | kept);
    Ok(())
}

/// The product of one doubleword (0 even, 1 odd) of each.
fn multiply(r: &mut Regs, i: &Ops, n: u32, is_signed: bool) -> Outcome {
    let (a, b) = (lane(r.vsr128(i.a), 64, n), lane(r.vsr128(i.b), 64, n));
    let product =
        if is_signed { (a as i64 as i128 * b as i64 as i128) as u128 } else { a as u128 * b as u128 };
    r.set_vsr128(i.t, product);
    Ok(())
}

/// Quotients of lanes extended by zeros on the right.
fn divide_extended(r: &mut Regs, i: &Ops, bits: u32, is_signed: bool) -> Outcome {
    let (a, b) = (r.vsr128(i.a), r.vsr128(i.b));
    let quotient = |n| {
        let (a, b) = (lane(a, bits, n), lane(b, bits, n));
        if is_signed {
            let wide = (signed(a, bits) as i128) << bits;
            let limit = 1i128 << (bits - 1);
            let fits = |q: &i128| (-limit..limit).contains(q);
            wide.checked_div(signed(b, bits) as i128).filter(fits).unwrap_or(0) as u64
        } else {
            let fits = |q: &u128| q >> bits == 0;
            ((a as u128) << bits).checked_div(b as u128).filter(fits).unwrap_or(0) as u64
        }
    };
    r.set_vsr128(i.t, make(bits, quotient));
    Ok(())
}

fn divide(r: &mut Regs, i: &Ops, is_signed: bool, remainder: bool) -> Outcome {
    let (a, b) = (r.vsr128(i.a), r.vsr128(i.b));
    let (x, y) = (a as i128, b as i128);
    let result = match (is_signed, remainder) {
        (false, false) => a.checked_div(b),
        (false, true) => a.checked_rem(b),
        (true, false) => x.checked_div(y).map(|q| q as u128),
        (true, true) => x.checked_rem(y).map(|q| q as u128),
    };
    r.set_vsr128(i.t, result.unwrap_or(0));
    Ok(())
}

/// (a || 128 zeros) / b if it fits 128 bits, bit by bit.
fn long_quotient(a: u128, b: u128) -> Option<u128> {
    if a >= b {
        return None;
    }
    let (mut rest, mut quotient) = (a, 0);
    for _ in 0..128 {
        let carry = rest >> 127 != 0;
        rest <<= 1;
        quotient <<= 1;
        if carry || rest >= b {
            rest = rest.wrapping_sub(b);
            quotient |= 1;
        }
    }
    Some(quotient)
}

fn divide_extended_quadword(r: &mut Regs, i: &Ops, is_signed: bool) -> Outcome {
    let (a, b) = (r.vsr128(i.a), r.vsr128(i.b));
    let result = if is_signed {
        let (x, y) = (a as i128, b as i128);
        let negative = (x < 0) != (y < 0);
        let limit = 1u128 << 127;
        let fits = |q: &u128| *q < limit || negative && *q == limit;
        let magnitude = long_quotient(x.unsigned_abs(), y.unsigned_abs()).filter(fits);
        magnitude.map(|q| if negative { q.wrapping_neg() } else { q })
    } else {
        long_quotient(a, b)
    };
    r.set_vsr128(i.t, result.unwrap_or(0));
    Ok(())
}

/// Shift of VRA || VRB by SH bits, 0 to 7.
fn shift_double_left(r: &mut Regs, i: &Ops) -> Outcome {
    let (a, b, n) = (r.vsr128(i.a), r.vsr128(i.b), i.c as u32 & 7);
    r.set_vsr128(i.t, a << n | b.checked_shr(128 - n).unwrap_or(0));
    Ok(())
}
fn shift_double_right(r: &mut Regs, i: &Ops) -> Outcome {
    let (a, b, n) = (r.vsr128(i.a), r.vsr128(i.b), i.c as u32 & 7);
    r.set_vsr128(i.t, b >> n | a.checked_shl(128 - n).unwrap_or(0));
    Ok(())
}

fn extend_doubleword(r: &mut Regs, i: &Ops) -> Outcome {
    let value = r.vsr128(i.b) as u64 as i64 as i128;
    r.set_vsr128(i.t, value as u128);
    Ok(())
}

/// VX-form into a CR field: BF, VRA, VRB.
const fn vx_bf(xo: u64) -> Encoding {
    vx(xo).operands(|w| Ops { t: f(w, 23, 3), ..super::lanes::vector_operands(w) })
}

macro_rules! vector {
    ($s:ident, $i:ident, $f:expr) => {{
        $s.require(Facility::Vector)?;
        $s.compute($f, $i)?
    }};
}

instructions! {
    "I 6.9.3";
    vcmpequq = vc(455).v31(), "vcmpequq[.] VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| compare(r, i, |a, b| a == b)); }
    vcmpgtsq = vc(903).v31(), "vcmpgtsq[.] VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| compare(r, i, |a, b| a as i128 > b as i128)); }
    vcmpgtuq = vc(647).v31(), "vcmpgtuq[.] VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| compare(r, i, |a, b| a > b)); }
    vcmpsq = vx_bf(321).v31(), "vcmpsq BF,VRA,VRB", |s, i| { vector!(s, i, |r, i| order(r, i, |a, b| (a as i128).cmp(&(b as i128)))); }
    vcmpuq = vx_bf(257).v31(), "vcmpuq BF,VRA,VRB", |s, i| { vector!(s, i, |r, i| order(r, i, |a, b| a.cmp(&b))); }
    "I 6.9.5";
    vrlq = vx(5).v31(), "vrlq VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| shift(r, i, u128::rotate_left)); }
    vslq = vx(261).v31(), "vslq VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| shift(r, i, |a, n| a << n)); }
    vsrq = vx(517).v31(), "vsrq VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| shift(r, i, |a, n| a >> n)); }
    vsraq = vx(773).v31(), "vsraq VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| shift(r, i, |a, n| (a as i128 >> n) as u128)); }
    vrlqnm = vx(325).v31(), "vrlqnm VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| rotate_mask(r, i, false)); }
    vrlqmi = vx(69).v31(), "vrlqmi VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| rotate_mask(r, i, true)); }
    "I 6.8.5";
    vsldbi = va(22).field(9, 2, 0).v31(), "vsldbi VRT,VRA,VRB,SH", |s, i| { vector!(s, i, shift_double_left); }
    vsrdbi = va(22).field(9, 2, 1).v31(), "vsrdbi VRT,VRA,VRB,SH", |s, i| { vector!(s, i, shift_double_right); }
    "I 6.9.1";
    vextsd2q = vx_a(27, 1538).v31(), "vextsd2q VRT,VRB", |s, i| { vector!(s, i, extend_doubleword); }
    vmulesd = vx(968).v31(), "vmulesd VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| multiply(r, i, 0, true)); }
    vmulosd = vx(456).v31(), "vmulosd VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| multiply(r, i, 1, true)); }
    vmuleud = vx(712).v31(), "vmuleud VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| multiply(r, i, 0, false)); }
    vmuloud = vx(200).v31(), "vmuloud VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| multiply(r, i, 1, false)); }
    vdivesw = vx(907).v31(), "vdivesw VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| divide_extended(r, i, 32, true)); }
    vdiveuw = vx(651).v31(), "vdiveuw VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| divide_extended(r, i, 32, false)); }
    vdivesd = vx(971).v31(), "vdivesd VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| divide_extended(r, i, 64, true)); }
    vdiveud = vx(715).v31(), "vdiveud VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| divide_extended(r, i, 64, false)); }
    vdivesq = vx(779).v31(), "vdivesq VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| divide_extended_quadword(r, i, true)); }
    vdiveuq = vx(523).v31(), "vdiveuq VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| divide_extended_quadword(r, i, false)); }
    vdivsq = vx(267).v31(), "vdivsq VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| divide(r, i, true, false)); }
    vdivuq = vx(11).v31(), "vdivuq VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| divide(r, i, false, false)); }
    vmodsq = vx(1803).v31(), "vmodsq VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| divide(r, i, true, true)); }
    vmoduq = vx(1547).v31(), "vmoduq VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| divide(r, i, false, true)); }
}
