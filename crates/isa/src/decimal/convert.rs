//! Conversions between decimal formats, to and from integers and BCD, and exponents taken out and put in (Power ISA
//! Book I 5.6.5 and 5.6.6).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::*;
use crate::Encoding;
use crate::encoding::*;
use crate::instruction::instructions;
use timebase_softfloat::Flags;
use timebase_softfloat::decimal as soft;

/// Short, in the low word of FRB, to long: always exact, and a signaling NaN stays one.
fn short_to_long(r: &mut Regs, i: &Ops) -> Result {
    let number = Format::SHORT.decode(Long::bits(r, i.b) & 0xffff_ffff);
    deliver::<Long>(r, i, Outcome::exact(without_infinite_digits(number)))
}

/// Infinities have no digits in a converted result.
fn without_infinite_digits(number: Number) -> Number {
    if number.kind == Kind::Infinity { Number::infinity(number.negative) } else { number }
}

/// Payload of a NaN that keeps its last digits in a format with fewer.
fn narrowed(number: Number, format: &Format) -> Number {
    let payload = number.coefficient % 10u128.pow(format.digits - 1);
    Number { coefficient: payload, ..number }
}

fn long_to_extended(r: &mut Regs, i: &Ops) -> Result {
    let number = without_infinite_digits(Long::get(r, i.b));
    let outcome = match number.kind {
        Kind::Signaling => Outcome { number: number.quieted(), flags: Flags::VXSNAN },
        _ => Outcome::exact(number),
    };
    deliver::<Extended>(r, i, outcome)
}

/// Long to short, in the low word of FRT.
fn long_to_short(r: &mut Regs, i: &Ops) -> Result {
    let number = Long::get(r, i.b);
    let outcome = match number.kind {
        Kind::Finite => soft::round(number, &Format::SHORT, &env(r)),
        _ => Outcome::exact(narrowed(without_infinite_digits(number), &Format::SHORT)),
    };
    if r.scalar_flags(outcome.flags) {
        r.set_fpr(i.t, Format::SHORT.encode(outcome.number) as u64);
        r.set_class(fprf(&outcome.number, &Format::SHORT));
    }
    end(r, i)
}

/// Extended to long, in the first register of the pair; the second becomes 0.
fn extended_to_long(r: &mut Regs, i: &Ops) -> Result {
    let number = Extended::get(r, i.b);
    let outcome = match number.kind {
        Kind::Finite => soft::round(number, &Format::LONG, &env(r)),
        Kind::Signaling => {
            Outcome { number: narrowed(number.quieted(), &Format::LONG), flags: Flags::VXSNAN }
        }
        _ => Outcome::exact(narrowed(without_infinite_digits(number), &Format::LONG)),
    };
    if r.scalar_flags(outcome.flags) {
        r.set_fpr(i.t & 30, Format::LONG.encode(outcome.number) as u64);
        r.set_fpr(i.t & 30 | 1, 0);
        r.set_class(fprf(&outcome.number, &Format::LONG));
    }
    end(r, i)
}

fn from_integer<S: Size>(r: &mut Regs, i: &Ops, value: i128) -> Result {
    let number = Number::finite(value < 0, value.unsigned_abs(), 0);
    let outcome = soft::round(number, &S::FORMAT, &env(r));
    deliver::<S>(r, i, outcome)
}
fn from_doubleword<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    let value = Long::bits(r, i.b) as u64 as i64;
    from_integer::<S>(r, i, value.into())
}
fn from_quadword(r: &mut Regs, i: &Ops) -> Result {
    let value = r.vsr128(i.b) as i128;
    from_integer::<Extended>(r, i, value)
}

/// A number rounded to an integer of `bits` bits, saturated.
fn to_integer(number: Number, bits: u32, mode: Rounding) -> (i128, Flags) {
    let (least, greatest) = (i128::MIN >> (128 - bits), i128::MAX >> (128 - bits));
    let saturated = (if number.negative { least } else { greatest }, Flags::VXCVI);
    match number.kind {
        Kind::Signaling => return (least, Flags(Flags::VXSNAN.0 | Flags::VXCVI.0)),
        Kind::Quiet => return (least, Flags::VXCVI),
        Kind::Infinity => return saturated,
        Kind::Finite => {}
    }
    let (magnitude, flags) = if number.coefficient == 0 {
        (Some(0), Flags::NONE)
    } else if number.exponent >= 0 {
        let scale = 10u128.checked_pow(number.exponent as u32);
        (scale.and_then(|scale| scale.checked_mul(number.coefficient)), Flags::NONE)
    } else {
        let outcome = soft::quantize(number, 0, &Format::EXTENDED, mode);
        outcome.map_or((None, Flags::NONE), |o| (Some(o.number.coefficient), o.flags))
    };
    let limit = greatest as u128 + number.negative as u128;
    match magnitude {
        Some(magnitude) if magnitude <= limit => {
            let value = magnitude as i128;
            (if number.negative { value.wrapping_neg() } else { value }, flags)
        }
        _ => saturated,
    }
}
fn to_doubleword<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    let (value, flags) = to_integer(S::get(r, i.b), 64, env(r).rounding);
    if r.scalar_flags(flags) {
        r.set_fpr(i.t, value as u64);
    }
    end(r, i)
}
fn to_quadword(r: &mut Regs, i: &Ops) -> Result {
    let (value, flags) = to_integer(Extended::get(r, i.b), 128, env(r).rounding);
    if r.scalar_flags(flags) {
        r.set_vsr128(i.t, value as u128);
    }
    end(r, i)
}

/// `number` as `digits` BCD digits.
fn to_bcd(mut number: u128, digits: u32) -> u128 {
    let mut bcd = 0;
    for n in 0..digits {
        bcd |= number % 10 << (4 * n);
        number /= 10;
    }
    bcd
}

/// SP in `imm`: unsigned, or with a sign nibble that is C or F for plus.
fn to_packed<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    let b = S::get(r, i.b);
    let bcd = match i.imm {
        0 | 1 => to_bcd(b.coefficient, S::BCD_DIGITS),
        sp => {
            let sign = match (b.negative, sp) {
                (true, _) => 0xd,
                (_, 2) => 0xc,
                _ => 0xf,
            };
            to_bcd(b.coefficient, S::BCD_DIGITS - 1) << 4 | sign
        }
    };
    S::set_bits(r, i.t, bcd);
    end_quietly(r, i)
}

/// A number from BCD digits; None if one is no digit.
fn from_bcd(bcd: u128) -> Option<u128> {
    (0..32).rev().try_fold(0, |number: u128, n| match bcd >> (4 * n) & 15 {
        digit @ 0..=9 => Some(number * 10 + digit),
        _ => None,
    })
}

/// S in `imm`: the last nibble is a sign.
fn from_packed<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    let datum = S::bits(r, i.b);
    let (digits, sign) = if i.imm != 0 { (datum >> 4, (datum & 15) as u8) } else { (datum, 0xc) };
    let outcome = match (from_bcd(digits), sign) {
        (Some(number), 10..) => Outcome::exact(Number::finite(matches!(sign, 0xb | 0xd), number, 0)),
        _ => Outcome::invalid(Flags::VXCVI),
    };
    deliver::<S>(r, i, outcome)
}

/// The biased exponent of FRB, or what kind of special datum it is.
fn exponent<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    let b = S::get(r, i.b);
    let value: i64 = match b.kind {
        Kind::Finite => (b.exponent + S::FORMAT.bias).into(),
        Kind::Infinity => -1,
        Kind::Quiet => -2,
        Kind::Signaling => -3,
    };
    r.set_fpr(i.t, value as u64);
    end_quietly(r, i)
}

/// FRB with the exponent or kind that the integer in FRA says.
fn insert_exponent<S: Size>(r: &mut Regs, i: &Ops) -> Result {
    let (wanted, b) = (Long::bits(r, i.a) as u64 as i64, S::get(r, i.b));
    let kind = match wanted {
        -1 => Kind::Infinity,
        -3 => Kind::Signaling,
        _ if (0..=S::FORMAT.max_biased() as i64).contains(&wanted) => Kind::Finite,
        _ => Kind::Quiet,
    };
    let exponent = if kind == Kind::Finite { wanted as i32 - S::FORMAT.bias } else { 0 };
    S::set(r, i.t, Number { kind, exponent, ..b });
    end_quietly(r, i)
}

const fn x_sp(po: u64) -> Encoding {
    x(po, 322).operands(|w| Ops { imm: w >> 19 & 3, ..tab(w) })
}
const fn x_s(po: u64) -> Encoding {
    x(po, 834).operands(|w| Ops { imm: w >> 20 & 1, ..tab(w) })
}

instructions! {
    "I 5.6.5";
    dctdp = x(59, 258), "dctdp[.] FRT,FRB", |s, i| { dfp!(s, i, short_to_long); }
    dctqpq = x(63, 258), "dctqpq[.] FRTp,FRB", |s, i| { dfp!(s, i, long_to_extended); }
    drsp = x(59, 770), "drsp[.] FRT,FRB", |s, i| { dfp!(s, i, long_to_short); }
    drdpq = x(63, 770), "drdpq[.] FRTp,FRBp", |s, i| { dfp!(s, i, extended_to_long); }
    dcffix = x(59, 802), "dcffix[.] FRT,FRB", |s, i| { dfp!(s, i, from_doubleword::<Long>); }
    dcffixq = x(63, 802), "dcffixq[.] FRTp,FRB", |s, i| { dfp!(s, i, from_doubleword::<Extended>); }
    dcffixqq = x(63, 994).field(16, 5, 0).operands(|w| Ops { b: f(w, 11, 5) + 32, rc: false, ..tab(w) }).v31(),
        "dcffixqq FRTp,VRB", |s, i| { dfp_and_vector!(s, i, from_quadword); }
    dctfix = x(59, 290), "dctfix[.] FRT,FRB", |s, i| { dfp!(s, i, to_doubleword::<Long>); }
    dctfixq = x(63, 290), "dctfixq[.] FRT,FRBp", |s, i| { dfp!(s, i, to_doubleword::<Extended>); }
    dctfixqq = x(63, 994).field(16, 5, 1).operands(|w| Ops { t: f(w, 21, 5) + 32, rc: false, ..tab(w) }).v31(),
        "dctfixqq VRT,FRBp", |s, i| { dfp_and_vector!(s, i, to_quadword); }
    "I 5.6.6";
    ddedpd = x_sp(59), "ddedpd[.] SP,FRT,FRB", |s, i| { dfp!(s, i, to_packed::<Long>); }
    ddedpdq = x_sp(63), "ddedpdq[.] SP,FRTp,FRBp", |s, i| { dfp!(s, i, to_packed::<Extended>); }
    denbcd = x_s(59), "denbcd[.] S,FRT,FRB", |s, i| { dfp!(s, i, from_packed::<Long>); }
    denbcdq = x_s(63), "denbcdq[.] S,FRTp,FRBp", |s, i| { dfp!(s, i, from_packed::<Extended>); }
    dxex = x(59, 354), "dxex[.] FRT,FRB", |s, i| { dfp!(s, i, exponent::<Long>); }
    dxexq = x(63, 354), "dxexq[.] FRT,FRBp", |s, i| { dfp!(s, i, exponent::<Extended>); }
    diex = x(59, 866), "diex[.] FRT,FRA,FRB", |s, i| { dfp!(s, i, insert_exponent::<Long>); }
    diexq = x(63, 866), "diexq[.] FRTp,FRA,FRBp", |s, i| { dfp!(s, i, insert_exponent::<Extended>); }
}
