//! Decimal integers in vectors (Power ISA Book I 6.15 and 6.9.1.6, "vmul10*"): packed (31 digits and a sign in four
//! bits each), national (UTF-16) and zoned.
//!
//! CR6 tells the sign of the exact result, and in its last bit an operand that is no decimal or an overflow. The
//! result for an operand that is no decimal, undefined, is 0.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::lanes::{lane, vector_operands, vx};
use crate::encoding::PO;
use crate::instruction::instructions;
use crate::semantics::Facility;
use crate::{Encoding, Ops, Regs, Trap};

type Outcome = Result<(), Trap>;

/// Digits of a packed decimal.
const DIGITS: u32 = 31;
/// 10^31: the first magnitude that has none.
const LIMIT: u128 = 10u128.pow(DIGITS);

/// A decimal: its magnitude and sign. Zero may be negative.
#[derive(Clone, Copy)]
struct Decimal {
    negative: bool,
    magnitude: u128,
}

/// The number that `count` digits of four bits stand for; None if one of them is no digit.
fn from_digits(digits: u128, count: u32) -> Option<u128> {
    (0..count).rev().try_fold(0u128, |value, n| {
        let digit = digits >> (4 * n) & 15;
        (digit < 10).then(|| value * 10 + digit)
    })
}

/// The last `count` digits of a number, four bits each.
fn to_digits(mut value: u128, count: u32) -> u128 {
    let mut digits = 0;
    for n in 0..count {
        digits |= value % 10 << (4 * n);
        value /= 10;
    }
    digits
}

/// The number without its last digits beyond `count`: 10^32 fits 128 bits, further powers do not matter.
fn low_digits(value: u128, count: u32) -> u128 {
    if count > 38 { value } else { value % 10u128.pow(count) }
}

fn is_negative_sign(code: u128) -> bool {
    matches!(code, 0xb | 0xd)
}

/// A packed decimal; None if it is none.
fn unpack(packed: u128) -> Option<Decimal> {
    let sign = packed & 15;
    let magnitude = from_digits(packed >> 4, DIGITS)?;
    (sign >= 10).then_some(Decimal { negative: is_negative_sign(sign), magnitude })
}

/// Packed, with the preferred sign that PS selects for what is not negative.
fn pack(decimal: Decimal, ps: bool) -> u128 {
    let plus = if ps { 0xf } else { 0xc };
    to_digits(decimal.magnitude, DIGITS) << 4 | if decimal.negative { 0xd } else { plus }
}

/// CR6 of an exact result.
fn sign_of(decimal: Decimal) -> u64 {
    match decimal {
        Decimal { magnitude: 0, .. } => 2,
        Decimal { negative: true, .. } => 8,
        _ => 4,
    }
}

/// Delivers a result and CR6; None: an operand is no decimal.
fn deliver(r: &mut Regs, i: &Ops, result: Option<(u128, u64)>) -> Outcome {
    let (value, cr6) = result.unwrap_or((0, 1));
    r.set_vsr128(i.t, value);
    r.cr[6] = cr6;
    Ok(())
}

/// The last 31 digits of an exact result, with CR6.
fn delivered(exact: Decimal, ps: bool) -> (u128, u64) {
    let overflow = exact.magnitude >= LIMIT;
    let exact = Decimal { negative: exact.negative && exact.magnitude != 0, ..exact };
    (pack(exact, ps), sign_of(exact) | overflow as u64)
}

fn add(r: &mut Regs, i: &Ops, subtract: bool) -> Outcome {
    let sum = || {
        let (a, b) = (unpack(r.vsr128(i.a))?, unpack(r.vsr128(i.b))?);
        let value = |d: Decimal| if d.negative { -(d.magnitude as i128) } else { d.magnitude as i128 };
        let sum = if subtract { value(a) - value(b) } else { value(a) + value(b) };
        Some(delivered(Decimal { negative: sum < 0, magnitude: sum.unsigned_abs() }, i.oe))
    };
    let result = sum();
    deliver(r, i, result)
}

/// `bcdcfn.`: seven digits and a sign in halfwords.
fn from_national(r: &mut Regs, i: &Ops) -> Outcome {
    let b = r.vsr128(i.b);
    let decimal = || {
        let magnitude = (0..7).try_fold(0u128, |value, n| {
            let unit = lane(b, 16, n);
            (0x30..0x3a).contains(&unit).then(|| value * 10 + (unit - 0x30) as u128)
        })?;
        let negative = match lane(b, 16, 7) {
            0x2b => false,
            0x2d => true,
            _ => return None,
        };
        let decimal = Decimal { negative, magnitude };
        Some((pack(decimal, i.oe), sign_of(decimal)))
    };
    deliver(r, i, decimal())
}

/// `bcdctn.`
fn to_national(r: &mut Regs, i: &Ops) -> Outcome {
    let national = |decimal: Decimal| {
        let digits = to_digits(decimal.magnitude, 7);
        let units = (0..7).rev().fold(0u128, |value, n| value << 16 | 0x30 | digits >> (4 * n) & 15);
        let sign = if decimal.negative { 0x2d } else { 0x2b };
        let overflow = decimal.magnitude >= 10u128.pow(7);
        (units << 16 | sign, sign_of(decimal) | overflow as u64)
    };
    deliver(r, i, unpack(r.vsr128(i.b)).map(national))
}

/// `bcdcfz.`: sixteen digits in bytes, the sign in the zone of the last one. PS: EBCDIC instead of ASCII.
fn from_zoned(r: &mut Regs, i: &Ops) -> Outcome {
    let b = r.vsr128(i.b);
    let (zone, sign) = (if i.oe { 0xf } else { 3 }, b >> 4 & 15);
    let decimal = || {
        let magnitude = (0..16).try_fold(0u128, |value, n| {
            let byte = lane(b, 8, n);
            let valid = byte & 15 < 10 && (n == 15 || byte >> 4 == zone);
            valid.then(|| value * 10 + (byte & 15) as u128)
        })?;
        if i.oe && sign < 10 {
            return None;
        }
        let negative = if i.oe { is_negative_sign(sign) } else { sign & 4 != 0 };
        let decimal = Decimal { negative, magnitude };
        Some((pack(decimal, false), sign_of(decimal)))
    };
    deliver(r, i, decimal())
}

/// `bcdctz.`
fn to_zoned(r: &mut Regs, i: &Ops) -> Outcome {
    let zoned = |decimal: Decimal| {
        let digits = to_digits(decimal.magnitude, 16);
        let (zone, plus, minus) = if i.oe { (0xf0, 0xc0, 0xd0) } else { (0x30, 0x30, 0x70) };
        let bytes = (0..16u32).rev().fold(0u128, |value, n| {
            let zone = if n != 0 {
                zone
            } else if decimal.negative {
                minus
            } else {
                plus
            };
            value << 8 | zone | digits >> (4 * n) & 15
        });
        let overflow = decimal.magnitude >= 10u128.pow(16);
        (bytes, sign_of(decimal) | overflow as u64)
    };
    deliver(r, i, unpack(r.vsr128(i.b)).map(zoned))
}

/// `bcdcfsq.`
fn from_integer(r: &mut Regs, i: &Ops) -> Outcome {
    let value = r.vsr128(i.b) as i128;
    deliver(r, i, Some(delivered(Decimal { negative: value < 0, magnitude: value.unsigned_abs() }, i.oe)))
}

/// `bcdctsq.`
fn to_integer(r: &mut Regs, i: &Ops) -> Outcome {
    let integer =
        |d: Decimal| (if d.negative { d.magnitude.wrapping_neg() } else { d.magnitude }, sign_of(d));
    deliver(r, i, unpack(r.vsr128(i.b)).map(integer))
}

/// `bcdcpsgn.`: VRA with the sign code of VRB.
fn copy_sign(r: &mut Regs, i: &Ops) -> Outcome {
    let (a, b) = (r.vsr128(i.a), r.vsr128(i.b));
    let result = unpack(a).zip(unpack(b)).map(|(magnitude, sign)| {
        let decimal = Decimal { negative: sign.negative, ..magnitude };
        (a & !15 | b & 15, sign_of(decimal))
    });
    deliver(r, i, result)
}

/// `bcdsetsgn.`: with the preferred sign code.
fn set_sign(r: &mut Regs, i: &Ops) -> Outcome {
    let b = r.vsr128(i.b);
    let result = unpack(b).map(|decimal| (pack(decimal, i.oe), sign_of(decimal)));
    deliver(r, i, result)
}

/// The count of a shift: byte 7 of VRA, positive to the left.
fn shift_count(r: &Regs, i: &Ops) -> i32 {
    lane(r.vsr128(i.a), 8, 7) as i8 as i32
}

/// A number of `digits` digits multiplied by a power of ten, and whether digits were lost on the left.
fn shift_left(value: u128, count: u32, digits: u32) -> (u128, bool) {
    if count >= digits {
        return (0, value != 0);
    }
    let kept = low_digits(value, digits - count);
    (kept * 10u128.pow(count), kept != value)
}

/// A number divided by a power of ten, and the first digit lost.
fn shift_right(value: u128, count: u32) -> (u128, u128) {
    match count {
        0 => (value, 0),
        1..=38 => (value / 10u128.pow(count), value / 10u128.pow(count - 1) % 10),
        _ => (0, 0),
    }
}

/// `bcds.`, and `bcdsr.`, which rounds what it shifts to the right. CR6 tells of the operand here and below, though nothing
/// may be left of it; a count beyond all digits is one of all digits, so the first digit still rounds.
fn shift(r: &mut Regs, i: &Ops, round: bool) -> Outcome {
    let count = shift_count(r, i);
    let shifted = |decimal: Decimal| {
        let (magnitude, overflow) = if count >= 0 {
            shift_left(decimal.magnitude, count as u32, DIGITS)
        } else {
            let (quotient, lost) = shift_right(decimal.magnitude, count.unsigned_abs().min(DIGITS));
            (quotient + (round && lost >= 5) as u128, false)
        };
        (pack(Decimal { magnitude, ..decimal }, i.oe), sign_of(decimal) | overflow as u64)
    };
    deliver(r, i, unpack(r.vsr128(i.b)).map(shifted))
}

/// `bcdus.`: 32 digits without sign.
fn shift_unsigned(r: &mut Regs, i: &Ops) -> Outcome {
    let count = shift_count(r, i);
    let shifted = |value: u128| {
        let (shifted, overflow) = if count >= 0 {
            shift_left(value, count as u32, 32)
        } else {
            (shift_right(value, count.unsigned_abs()).0, false)
        };
        (to_digits(shifted, 32), if value == 0 { 2 } else { 4 } | overflow as u64)
    };
    deliver(r, i, from_digits(r.vsr128(i.b), 32).map(shifted))
}

/// The length in halfword 3 of VRA.
fn length(r: &Regs, i: &Ops) -> u32 {
    lane(r.vsr128(i.a), 16, 3) as u32
}

/// `bcdtrunc.`: the last digits only.
fn truncate(r: &mut Regs, i: &Ops) -> Outcome {
    let length = length(r, i);
    let truncated = |decimal: Decimal| {
        let magnitude =
            if length < DIGITS { low_digits(decimal.magnitude, length) } else { decimal.magnitude };
        let overflow = magnitude != decimal.magnitude;
        (pack(Decimal { magnitude, ..decimal }, i.oe), sign_of(decimal) | overflow as u64)
    };
    deliver(r, i, unpack(r.vsr128(i.b)).map(truncated))
}

/// `bcdutrunc.`
fn truncate_unsigned(r: &mut Regs, i: &Ops) -> Outcome {
    let length = length(r, i);
    let truncated = |value: u128| {
        let kept = if length < 32 { low_digits(value, length) } else { value };
        (to_digits(kept, 32), if value == 0 { 2 } else { 4 } | (kept != value) as u64)
    };
    deliver(r, i, from_digits(r.vsr128(i.b), 32).map(truncated))
}

/// VRA * 10 + digit: the result or what it carries out.
fn multiply_by_10(r: &mut Regs, i: &Ops, extended: bool, carry: bool) -> Outcome {
    let (a, digit) = (r.vsr128(i.a), if extended { r.vsr128(i.b) & 15 } else { 0 });
    let low = (a & u64::MAX as u128) * 10 + digit;
    let high = (a >> 64) * 10 + (low >> 64);
    r.set_vsr128(i.t, if carry { high >> 64 } else { high << 64 | low & u64::MAX as u128 });
    Ok(())
}

/// Decimal VX-form: VRT, VRA, VRB; PS in `oe`. `xo` has nine bits; bit 21 of the word is 1.
const fn bcd(xo: u64) -> Encoding {
    Encoding::new(PO | 0x5ff, 4 << 26 | 0x400 | xo, |w| Ops { oe: w >> 9 & 1 != 0, ..vector_operands(w) })
}
/// The same with an opcode in the place of VRA.
const fn bcd_convert(sub: u64) -> Encoding {
    bcd(385).field(16, 5, sub)
}

macro_rules! vector {
    ($s:ident, $i:ident, $f:expr) => {{
        $s.require(Facility::Vector)?;
        $s.compute($f, $i)?
    }};
}

instructions! {
    "I 6.15.1";
    bcdadd_ = bcd(1), "bcdadd. VRT,VRA,VRB,PS", |s, i| { vector!(s, i, |r, i| add(r, i, false)); }
    bcdsub_ = bcd(65), "bcdsub. VRT,VRA,VRB,PS", |s, i| { vector!(s, i, |r, i| add(r, i, true)); }
    "I 6.15.2";
    bcdcfn_ = bcd_convert(7), "bcdcfn. VRT,VRB,PS", |s, i| { vector!(s, i, from_national); }
    bcdctn_ = bcd_convert(5), "bcdctn. VRT,VRB", |s, i| { vector!(s, i, to_national); }
    bcdcfz_ = bcd_convert(6), "bcdcfz. VRT,VRB,PS", |s, i| { vector!(s, i, from_zoned); }
    bcdctz_ = bcd_convert(4), "bcdctz. VRT,VRB,PS", |s, i| { vector!(s, i, to_zoned); }
    bcdcfsq_ = bcd_convert(2), "bcdcfsq. VRT,VRB,PS", |s, i| { vector!(s, i, from_integer); }
    bcdctsq_ = bcd_convert(0), "bcdctsq. VRT,VRB", |s, i| { vector!(s, i, to_integer); }
    "I 6.15.3";
    bcdcpsgn_ = vx(833), "bcdcpsgn. VRT,VRA,VRB", |s, i| { vector!(s, i, copy_sign); }
    bcdsetsgn_ = bcd_convert(31), "bcdsetsgn. VRT,VRB,PS", |s, i| { vector!(s, i, set_sign); }
    "I 6.15.4";
    bcds_ = bcd(193), "bcds. VRT,VRA,VRB,PS", |s, i| { vector!(s, i, |r, i| shift(r, i, false)); }
    bcdsr_ = bcd(449), "bcdsr. VRT,VRA,VRB,PS", |s, i| { vector!(s, i, |r, i| shift(r, i, true)); }
    bcdus_ = bcd(129), "bcdus. VRT,VRA,VRB", |s, i| { vector!(s, i, shift_unsigned); }
    "I 6.15.5";
    bcdtrunc_ = bcd(257), "bcdtrunc. VRT,VRA,VRB,PS", |s, i| { vector!(s, i, truncate); }
    bcdutrunc_ = bcd(321), "bcdutrunc. VRT,VRA,VRB", |s, i| { vector!(s, i, truncate_unsigned); }
    "I 6.9.1.6";
    vmul10uq = vx(513), "vmul10uq VRT,VRA", |s, i| { vector!(s, i, |r, i| multiply_by_10(r, i, false, false)); }
    vmul10cuq = vx(1), "vmul10cuq VRT,VRA", |s, i| { vector!(s, i, |r, i| multiply_by_10(r, i, false, true)); }
    vmul10euq = vx(577), "vmul10euq VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| multiply_by_10(r, i, true, false)); }
    vmul10ecuq = vx(65), "vmul10ecuq VRT,VRA,VRB", |s, i| { vector!(s, i, |r, i| multiply_by_10(r, i, true, true)); }
}
