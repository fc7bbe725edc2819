//! VSX permutes of bytes and elements (Power ISA Book I 7.6.3 and the 8RR forms of ISA 3.1).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::encoding::*;
use crate::instruction::instructions;
use crate::semantics::Facility;
use crate::vector::lanes::{lane, make, with_lane};
use crate::{Ops, Regs, Trap};

type Result = core::result::Result<(), Trap>;

/// Byte `n` (0 to 31) of a || b.
fn byte_of_pair(a: u128, b: u128, n: u64) -> u64 {
    lane(if n < 16 { a } else { b }, 8, n as u32 & 15)
}

/// XT := the bytes of XA || XT that XB names, counted from the left or the right.
fn permute(r: &mut Regs, i: &Ops, from_right: bool) -> Result {
    let (a, t, control) = (r.vsr128(i.a), r.vsr128(i.t), r.vsr128(i.b));
    let flip = if from_right { 31 } else { 0 };
    r.set_vsr128(i.t, make(8, |n| byte_of_pair(a, t, lane(control, 8, n) & 31 ^ flip)));
    Ok(())
}

/// XT := the bytes of XA || XB that XC names, 0 where the upper bits of its byte are not UIM.
fn permute_extended(r: &mut Regs, i: &Ops) -> Result {
    let (a, b, control) = (r.vsr128(i.a), r.vsr128(i.b), r.vsr128(i.c));
    let pick = |n| {
        let byte = lane(control, 8, n);
        if byte >> 5 == i.imm & 7 { byte_of_pair(a, b, byte & 31) } else { 0 }
    };
    r.set_vsr128(i.t, make(8, pick));
    Ok(())
}

/// XT := any function of three bits, whose table is IMM: the case (1, 1, 1) is its lowest bit.
fn evaluate(r: &mut Regs, i: &Ops) -> Result {
    let (a, b, c) = (r.vsr128(i.a), r.vsr128(i.b), r.vsr128(i.c));
    let either = |value: u128, one: bool| if one { value } else { !value };
    let value = (0..8).filter(|case| i.imm >> (7 - case) & 1 != 0).fold(0, |value, case| {
        value | either(a, case & 4 != 0) & either(b, case & 2 != 0) & either(c, case & 1 != 0)
    });
    r.set_vsr128(i.t, value);
    Ok(())
}

/// XT := the element of XB where the sign of the one of XC is set, else the one of XA.
fn blend(r: &mut Regs, i: &Ops, bits: u32) -> Result {
    let (a, b, c) = (r.vsr128(i.a), r.vsr128(i.b), r.vsr128(i.c));
    let pick = |n| lane(if lane(c, bits, n) >> (bits - 1) != 0 { b } else { a }, bits, n);
    r.set_vsr128(i.t, make(bits, pick));
    Ok(())
}

/// The word at byte UIM of XB into word 1; an index past 12, undefined, wraps.
fn extract_word(r: &mut Regs, i: &Ops) -> Result {
    let word = r.vsr128(i.b).rotate_left(8 * (i.imm as u32 & 15)) >> 96;
    r.set_fpr(i.t, word as u64);
    Ok(())
}

/// Word 1 of XB to byte UIM of XT; what would go past the end is dropped.
fn insert_word(r: &mut Regs, i: &Ops) -> Result {
    let word = r.vsr128(i.b) >> 64 & 0xffff_ffff;
    let mut t = r.vsr128(i.t);
    for k in 0..4 {
        let at = (i.imm as u32 & 15) + k;
        if at < 16 {
            t = with_lane(t, 8, at, (word >> (24 - 8 * k)) as u64 & 255);
        }
    }
    r.set_vsr128(i.t, t);
    Ok(())
}

/// CR field BF: the last bits of all bytes are 1, or all are 0.
fn test_last_bits(r: &mut Regs, i: &Ops) -> Result {
    let ones = u128::MAX / 255;
    let bits = r.vsr128(i.b) & ones;
    r.cr[i.t as usize & 7] = ((bits == ones) as u64) << 3 | ((bits == 0) as u64) << 1;
    Ok(())
}

/// `xxgenpcvbm` and so on: the control vector for a permute that expands or compresses elements under the mask of
/// VRB's signs. IMM: 0 expand, 1 compress, for `vperm`; 2 and 3 the same counted from the right, for `vpermr`.
/// Elements of a compressed vector beyond the last one, undefined, are 0.
fn generate_control(r: &mut Regs, i: &Ops, bits: u32) -> Result {
    let mask = r.vsr128(i.b);
    let (count, bytes) = (128 / bits, bits / 8);
    let (compress, from_right) = (i.imm & 1 != 0, i.imm & 2 != 0);
    let place = |n: u32| if from_right { count - 1 - n } else { n };
    // The byte numbers of element `n` of the source.
    let numbers = |n: u32| {
        (0..bytes).fold(0, |value, k| {
            let byte = n * bytes + if from_right { bytes - 1 - k } else { k };
            value << 8 | byte as u64
        })
    };
    let (mut next, mut value) = (0, 0u128);
    for n in 0..count {
        if lane(mask, bits, place(n)) >> (bits - 1) != 0 {
            let (at, number) = if compress { (next, n) } else { (n, next) };
            value = with_lane(value, bits, place(at), numbers(number));
            next += 1;
        } else if !compress {
            value = with_lane(value, bits, place(n), numbers(n + count));
        }
    }
    r.set_vsr128(i.t, value);
    Ok(())
}

macro_rules! vsx {
    ($s:ident, $i:ident, $f:expr) => {{
        $s.require(Facility::Vsx)?;
        $s.compute($f, $i)?
    }};
}

instructions! {
    "I 7.6.3";
    xxperm = xx3(26), "xxperm XT,XA,XB", |s, i| { vsx!(s, i, |r, i| permute(r, i, false)); }
    xxpermr = xx3(58), "xxpermr XT,XA,XB", |s, i| { vsx!(s, i, |r, i| permute(r, i, true)); }
    xxextractuw = xx2(165), "xxextractuw XT,XB,UIM", |s, i| { vsx!(s, i, extract_word); }
    xxinsertw = xx2(181), "xxinsertw XT,XB,UIM", |s, i| { vsx!(s, i, insert_word); }
    xvtlsbb = xx2_bf(475).field(16, 5, 2).v31(), "xvtlsbb BF,XB", |s, i| { vsx!(s, i, test_last_bits); }
    xxgenpcvbm = x_vrb_imm(916).v31(), "xxgenpcvbm XT,VRB,IMM", |s, i| { vsx!(s, i, |r, i| generate_control(r, i, 8)); }
    xxgenpcvhm = x_vrb_imm(917).v31(), "xxgenpcvhm XT,VRB,IMM", |s, i| { vsx!(s, i, |r, i| generate_control(r, i, 16)); }
    xxgenpcvwm = x_vrb_imm(948).v31(), "xxgenpcvwm XT,VRB,IMM", |s, i| { vsx!(s, i, |r, i| generate_control(r, i, 32)); }
    xxgenpcvdm = x_vrb_imm(949).v31(), "xxgenpcvdm XT,VRB,IMM", |s, i| { vsx!(s, i, |r, i| generate_control(r, i, 64)); }
    xxblendvb = eight_rr_xx4(33, 0), "xxblendvb XT,XA,XB,XC", |s, i| { vsx!(s, i, |r, i| blend(r, i, 8)); }
    xxblendvh = eight_rr_xx4(33, 1), "xxblendvh XT,XA,XB,XC", |s, i| { vsx!(s, i, |r, i| blend(r, i, 16)); }
    xxblendvw = eight_rr_xx4(33, 2), "xxblendvw XT,XA,XB,XC", |s, i| { vsx!(s, i, |r, i| blend(r, i, 32)); }
    xxblendvd = eight_rr_xx4(33, 3), "xxblendvd XT,XA,XB,XC", |s, i| { vsx!(s, i, |r, i| blend(r, i, 64)); }
    xxpermx = eight_rr_xx4(34, 0), "xxpermx XT,XA,XB,XC,UIM", |s, i| { vsx!(s, i, permute_extended); }
    xxeval = eight_rr_xx4(34, 1), "xxeval XT,XA,XB,XC,IMM", |s, i| { vsx!(s, i, evaluate); }
}
