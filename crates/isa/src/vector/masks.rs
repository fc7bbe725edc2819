//! Masks, strings and elements of ISA 3.1 (Book I 6.8.6 to 6.8.9, 6.9.6, 6.12): moves between masks and GPRs,
//! insertion and extraction by index, bit gathering.
//!
//! An index past the last element, undefined, inserts nothing and extracts 0.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::lanes::{lane, va, vc, vector_operands, vx, vx_a, with_lane};
use crate::encoding::{PO, f};
use crate::fixed::logical::{centrifuge_bits, deposit, extract, zeros_under_mask};
use crate::instruction::instructions;
use crate::semantics::Facility;
use crate::{Encoding, Ops, Regs, Trap};

type Outcome = Result<(), Trap>;

/// VRT := a mask whose elements of `bits` bits are all ones where the bit of `source` is 1.
fn expand_bits(r: &mut Regs, i: &Ops, bits: u32, source: u64) -> Outcome {
    let count = 128 / bits;
    let mask = (0..count).fold(0u128, |mask, n| {
        let ones = if source >> (count - 1 - n) & 1 != 0 { u128::MAX >> (128 - bits) } else { 0 };
        mask.checked_shl(bits).unwrap_or(0) | ones
    });
    r.set_vsr128(i.t, mask);
    Ok(())
}

/// `mtvsrbm` and so on: from the low bits of RB.
fn move_to_mask(r: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    let source = r.gpr[i.b as usize & 31];
    expand_bits(r, i, bits, source)
}

/// The first bits of the elements of VRB.
fn signs(value: u128, bits: u32) -> u64 {
    (0..128 / bits).fold(0, |signs, n| signs << 1 | (value >> (127 - bits * n)) as u64 & 1)
}

/// `vexpandbm` and so on.
fn expand_mask(r: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    let source = signs(r.vsr128(i.b), bits);
    expand_bits(r, i, bits, source)
}

/// `vextractbm` and so on: into RT.
fn extract_mask(r: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    r.gpr[i.t as usize & 31] = signs(r.vsr128(i.b), bits);
    Ok(())
}

/// `vcntmbb` and so on: how many elements have the first bit MP; the count of bytes is in bits 0 to 7 of RT, that
/// of wider elements one bit further to the right for each doubling.
fn count_mask(r: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    let set = signs(r.vsr128(i.b), bits).count_ones();
    let count = if i.imm & 1 != 0 { set } else { 128 / bits - set };
    r.gpr[i.t as usize & 31] = (count as u64) << (56 + bits.trailing_zeros() - 3);
    Ok(())
}

/// `vgnb`: every Nth bit, from the left, into the leftmost bits of RT.
fn gather_every(r: &mut Regs, i: &Ops) -> Outcome {
    let b = r.vsr128(i.b);
    let step = i.imm as u32 & 7;
    // N below 2 is reserved.
    let bits = (0..128).step_by(step.max(2) as usize);
    let gathered =
        bits.enumerate().fold(0, |value, (k, n)| value | ((b >> (127 - n)) as u64 & 1) << (63 - k));
    r.gpr[i.t as usize & 31] = gathered;
    Ok(())
}

/// Keeps the first (or last) RB bytes of VRA.
fn clear_bytes(r: &mut Regs, i: &Ops, keep_right: bool) -> Outcome {
    let kept = r.gpr[i.b as usize & 31].min(16) as u32;
    let cleared = 128 - 8 * kept;
    let mask = if keep_right {
        u128::MAX.checked_shr(cleared).unwrap_or(0)
    } else {
        u128::MAX.checked_shl(cleared).unwrap_or(0)
    };
    r.set_vsr128(i.t, r.vsr128(i.a) & mask);
    Ok(())
}

/// `vstribl` and so on: the elements up to the first 0, from the left or right; zeros after. CR6: there was one.
fn isolate_string(r: &mut Regs, i: &Ops, bits: u32, from_right: bool) -> Outcome {
    let (b, count) = (r.vsr128(i.b), 128 / bits);
    let place = |n| if from_right { count - 1 - n } else { n };
    let length = (0..count).find(|&n| lane(b, bits, place(n)) == 0);
    let value = (0..length.unwrap_or(count))
        .fold(0, |value, n| with_lane(value, bits, place(n), lane(b, bits, place(n))));
    r.set_vsr128(i.t, value);
    if i.rc {
        r.cr[6] = length.is_some() as u64 * 2;
    }
    Ok(())
}

/// Puts the low bytes of `element` at byte `index` of VRT, counted from the left or right.
fn insert_at(r: &mut Regs, i: &Ops, bytes: u32, index: u64, from_right: bool, element: u64) -> Outcome {
    let last = 16 - bytes as u64;
    if index > last {
        return Ok(());
    }
    let below = 8 * if from_right { index } else { last - index } as u32;
    let mask = (u64::MAX >> (64 - 8 * bytes)) as u128;
    let t = r.vsr128(i.t);
    r.set_vsr128(i.t, t & !(mask << below) | (element as u128 & mask) << below);
    Ok(())
}

/// `vinsblx` and so on: the element in RB, the index in RA.
fn insert_gpr(r: &mut Regs, i: &Ops, bytes: u32, from_right: bool) -> Outcome {
    let (index, element) = (r.gpr[i.a as usize & 31] & 15, r.gpr[i.b as usize & 31]);
    insert_at(r, i, bytes, index, from_right, element)
}
/// `vinsbvlx` and so on: the element at the end of doubleword 0 of VRB, the index in RA.
fn insert_vector(r: &mut Regs, i: &Ops, bytes: u32, from_right: bool) -> Outcome {
    let (index, element) = (r.gpr[i.a as usize & 31] & 15, (r.vsr128(i.b) >> 64) as u64);
    insert_at(r, i, bytes, index, from_right, element)
}
/// `vinsw`, `vinsd`: the element in RB, the index UIM.
fn insert_immediate(r: &mut Regs, i: &Ops, bytes: u32) -> Outcome {
    let element = r.gpr[i.b as usize & 31];
    insert_at(r, i, bytes, i.imm & 15, false, element)
}

/// `vextdubvlx` and so on: the element at byte RC of VRA || VRB, counted from the left or right, into doubleword 0.
fn extract_double(r: &mut Regs, i: &Ops, bytes: u32, from_right: bool) -> Outcome {
    let (a, b) = (r.vsr128(i.a), r.vsr128(i.b));
    let (index, last) = (r.gpr[i.c as usize & 31] as u32 & 31, 32 - bytes);
    let byte = |n: u32| lane(if n < 16 { a } else { b }, 8, n & 15);
    let first = if from_right { last.checked_sub(index) } else { Some(index).filter(|&n| n <= last) };
    let value = first.map_or(0, |first| (first..first + bytes).fold(0, |value, n| value << 8 | byte(n)));
    r.set_vsr128(i.t, (value as u128) << 64);
    Ok(())
}

fn each_doubleword(r: &mut Regs, i: &Ops, f: impl Fn(u64, u64) -> u64) -> Outcome {
    r.each_lane2(i, 64, f);
    Ok(())
}

/// VX-form: VRT, RB; opcode in the place of VRA.
const fn vx_from_rb(a: u64) -> Encoding {
    vx_a(a, 1602).operands(|w| Ops { b: f(w, 11, 5), ..vector_operands(w) }).v31()
}
/// VX-form: RT, VRB; opcode in the place of VRA.
const fn vx_to_rt(a: u64) -> Encoding {
    vx_a(a, 1602).operands(|w| Ops { t: f(w, 21, 5), ..vector_operands(w) }).v31()
}
/// VX-form: RT, VRB, MP; opcode of four bits before MP.
const fn vx_count(a: u64) -> Encoding {
    vx(1602).field(17, 4, a).operands(|w| Ops { t: f(w, 21, 5), ..vector_operands(w) }).v31()
}
/// VX-form: VRT, VRA (or UIM), RB.
const fn vx_rb(xo: u64) -> Encoding {
    vx(xo).operands(|w| Ops { b: f(w, 11, 5), ..vector_operands(w) }).v31()
}
/// VX-form: VRT, RA, RB.
const fn vx_gprs(xo: u64) -> Encoding {
    vx(xo).operands(|w| Ops { a: f(w, 16, 5), b: f(w, 11, 5), ..vector_operands(w) }).v31()
}
/// VX-form: VRT, RA, VRB.
const fn vx_ra(xo: u64) -> Encoding {
    vx(xo).operands(|w| Ops { a: f(w, 16, 5), ..vector_operands(w) }).v31()
}
/// VA-form: VRT, VRA, VRB, RC.
const fn va_rc(xo: u64) -> Encoding {
    va(xo).operands(|w| Ops { c: f(w, 6, 5), ..vector_operands(w) }).v31()
}
/// DX-form: VRT, a mask of 16 bits in `imm`.
const fn dx_mask() -> Encoding {
    Encoding::new(PO | 0x3e, 4 << 26 | 10 << 1, |w| Ops {
        imm: w & 0xffc0 | (w >> 16 & 31) << 1 | w & 1,
        ..vector_operands(w)
    })
    .v31()
}

macro_rules! vector {
    ($s:ident, $i:ident, $f:expr) => {{
        $s.require(Facility::Vector)?;
        $s.compute($f, $i)?
    }};
}

instructions! {
    "I 6.16.1";
    mtvsrbm = vx_from_rb(16), "mtvsrbm VRT,RB", |s, i| { vector!(s, i, |r, i| move_to_mask(r, i, 8)); }
    mtvsrhm = vx_from_rb(17), "mtvsrhm VRT,RB", |s, i| { vector!(s, i, |r, i| move_to_mask(r, i, 16)); }
    mtvsrwm = vx_from_rb(18), "mtvsrwm VRT,RB", |s, i| { vector!(s, i, |r, i| move_to_mask(r, i, 32)); }
    mtvsrdm = vx_from_rb(19), "mtvsrdm VRT,RB", |s, i| { vector!(s, i, |r, i| move_to_mask(r, i, 64)); }
    mtvsrqm = vx_from_rb(20), "mtvsrqm VRT,RB", |s, i| { vector!(s, i, |r, i| move_to_mask(r, i, 128)); }
    mtvsrbmi = dx_mask(), "mtvsrbmi VRT,bm", |s, i| { vector!(s, i, |r, i| expand_bits(r, i, 8, i.imm)); }
    vexpandbm = vx_a(0, 1602).v31(), "vexpandbm VRT,VRB", |s, i| { vector!(s, i, |r, i| expand_mask(r, i, 8)); }
    vexpandhm = vx_a(1, 1602).v31(), "vexpandhm VRT,VRB", |s, i| { vector!(s, i, |r, i| expand_mask(r, i, 16)); }
    vexpandwm = vx_a(2, 1602).v31(), "vexpandwm VRT,VRB", |s, i| { vector!(s, i, |r, i| expand_mask(r, i, 32)); }
    vexpanddm = vx_a(3, 1602).v31(), "vexpanddm VRT,VRB", |s, i| { vector!(s, i, |r, i| expand_mask(r, i, 64)); }
    vexpandqm = vx_a(4, 1602).v31(), "vexpandqm VRT,VRB", |s, i| { vector!(s, i, |r, i| expand_mask(r, i, 128)); }
    vextractbm = vx_to_rt(8), "vextractbm RT,VRB", |s, i| { vector!(s, i, |r, i| extract_mask(r, i, 8)); }
    vextracthm = vx_to_rt(9), "vextracthm RT,VRB", |s, i| { vector!(s, i, |r, i| extract_mask(r, i, 16)); }
    vextractwm = vx_to_rt(10), "vextractwm RT,VRB", |s, i| { vector!(s, i, |r, i| extract_mask(r, i, 32)); }
    vextractdm = vx_to_rt(11), "vextractdm RT,VRB", |s, i| { vector!(s, i, |r, i| extract_mask(r, i, 64)); }
    vextractqm = vx_to_rt(12), "vextractqm RT,VRB", |s, i| { vector!(s, i, |r, i| extract_mask(r, i, 128)); }
    vcntmbb = vx_count(12), "vcntmbb RT,VRB,MP", |s, i| { vector!(s, i, |r, i| count_mask(r, i, 8)); }
    vcntmbh = vx_count(13), "vcntmbh RT,VRB,MP", |s, i| { vector!(s, i, |r, i| count_mask(r, i, 16)); }
    vcntmbw = vx_count(14), "vcntmbw RT,VRB,MP", |s, i| { vector!(s, i, |r, i| count_mask(r, i, 32)); }
    vcntmbd = vx_count(15), "vcntmbd RT,VRB,MP", |s, i| { vector!(s, i, |r, i| count_mask(r, i, 64)); }
    "I 6.12";
    vgnb = vx(1228).operands(|w| Ops { t: f(w, 21, 5), ..vector_operands(w) }).v31(), "vgnb RT,VRB,N", |s, i| { vector!(s, i, gather_every); }
    vcfuged = vx(1357).v31(), "vcfuged VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| each_doubleword(r, i, centrifuge_bits)); }
    vpextd = vx(1421).v31(), "vpextd VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| each_doubleword(r, i, extract)); }
    vpdepd = vx(1485).v31(), "vpdepd VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| each_doubleword(r, i, deposit)); }
    vclzdm = vx(1924).v31(), "vclzdm VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| each_doubleword(r, i, |a, b| zeros_under_mask(a, b, true))); }
    vctzdm = vx(1988).v31(), "vctzdm VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| each_doubleword(r, i, |a, b| zeros_under_mask(a, b, false))); }
    "I 6.8.6";
    vclrlb = vx_rb(397), "vclrlb VRT,VRA,RB", |s, i| { vector!(s, i, |r, i| clear_bytes(r, i, true)); }
    vclrrb = vx_rb(461), "vclrrb VRT,VRA,RB", |s, i| { vector!(s, i, |r, i| clear_bytes(r, i, false)); }
    vstribl = vc(13).field(16, 5, 0).v31(), "vstribl[.] VRT,VRB", |s, i| { vector!(s, i, |r, i| isolate_string(r, i, 8, false)); }
    vstribr = vc(13).field(16, 5, 1).v31(), "vstribr[.] VRT,VRB", |s, i| { vector!(s, i, |r, i| isolate_string(r, i, 8, true)); }
    vstrihl = vc(13).field(16, 5, 2).v31(), "vstrihl[.] VRT,VRB", |s, i| { vector!(s, i, |r, i| isolate_string(r, i, 16, false)); }
    vstrihr = vc(13).field(16, 5, 3).v31(), "vstrihr[.] VRT,VRB", |s, i| { vector!(s, i, |r, i| isolate_string(r, i, 16, true)); }
    "I 6.8.9";
    vinsblx = vx_gprs(527), "vinsblx VRT,RA,RB", |s, i| { vector!(s, i, |r, i| insert_gpr(r, i, 1, false)); }
    vinshlx = vx_gprs(591), "vinshlx VRT,RA,RB", |s, i| { vector!(s, i, |r, i| insert_gpr(r, i, 2, false)); }
    vinswlx = vx_gprs(655), "vinswlx VRT,RA,RB", |s, i| { vector!(s, i, |r, i| insert_gpr(r, i, 4, false)); }
    vinsdlx = vx_gprs(719), "vinsdlx VRT,RA,RB", |s, i| { vector!(s, i, |r, i| insert_gpr(r, i, 8, false)); }
    vinsbrx = vx_gprs(783), "vinsbrx VRT,RA,RB", |s, i| { vector!(s, i, |r, i| insert_gpr(r, i, 1, true)); }
    vinshrx = vx_gprs(847), "vinshrx VRT,RA,RB", |s, i| { vector!(s, i, |r, i| insert_gpr(r, i, 2, true)); }
    vinswrx = vx_gprs(911), "vinswrx VRT,RA,RB", |s, i| { vector!(s, i, |r, i| insert_gpr(r, i, 4, true)); }
    vinsdrx = vx_gprs(975), "vinsdrx VRT,RA,RB", |s, i| { vector!(s, i, |r, i| insert_gpr(r, i, 8, true)); }
    vinsbvlx = vx_ra(15), "vinsbvlx VRT,RA,VRB", |s, i| { vector!(s, i, |r, i| insert_vector(r, i, 1, false)); }
    vinshvlx = vx_ra(79), "vinshvlx VRT,RA,VRB", |s, i| { vector!(s, i, |r, i| insert_vector(r, i, 2, false)); }
    vinswvlx = vx_ra(143), "vinswvlx VRT,RA,VRB", |s, i| { vector!(s, i, |r, i| insert_vector(r, i, 4, false)); }
    vinsbvrx = vx_ra(271), "vinsbvrx VRT,RA,VRB", |s, i| { vector!(s, i, |r, i| insert_vector(r, i, 1, true)); }
    vinshvrx = vx_ra(335), "vinshvrx VRT,RA,VRB", |s, i| { vector!(s, i, |r, i| insert_vector(r, i, 2, true)); }
    vinswvrx = vx_ra(399), "vinswvrx VRT,RA,VRB", |s, i| { vector!(s, i, |r, i| insert_vector(r, i, 4, true)); }
    vinsw = vx_rb(207), "vinsw VRT,RB,UIM", |s, i| { vector!(s, i, |r, i| insert_immediate(r, i, 4)); }
    vinsd = vx_rb(463), "vinsd VRT,RB,UIM", |s, i| { vector!(s, i, |r, i| insert_immediate(r, i, 8)); }
    vextdubvlx = va_rc(24), "vextdubvlx VRT,VRA,VRB,RC", |s, i| { vector!(s, i, |r, i| extract_double(r, i, 1, false)); }
    vextdubvrx = va_rc(25), "vextdubvrx VRT,VRA,VRB,RC", |s, i| { vector!(s, i, |r, i| extract_double(r, i, 1, true)); }
    vextduhvlx = va_rc(26), "vextduhvlx VRT,VRA,VRB,RC", |s, i| { vector!(s, i, |r, i| extract_double(r, i, 2, false)); }
    vextduhvrx = va_rc(27), "vextduhvrx VRT,VRA,VRB,RC", |s, i| { vector!(s, i, |r, i| extract_double(r, i, 2, true)); }
    vextduwvlx = va_rc(28), "vextduwvlx VRT,VRA,VRB,RC", |s, i| { vector!(s, i, |r, i| extract_double(r, i, 4, false)); }
    vextduwvrx = va_rc(29), "vextduwvrx VRT,VRA,VRB,RC", |s, i| { vector!(s, i, |r, i| extract_double(r, i, 4, true)); }
    vextddvlx = va_rc(30), "vextddvlx VRT,VRA,VRB,RC", |s, i| { vector!(s, i, |r, i| extract_double(r, i, 8, false)); }
    vextddvrx = va_rc(31), "vextddvrx VRT,VRA,VRB,RC", |s, i| { vector!(s, i, |r, i| extract_double(r, i, 8, true)); }
}
