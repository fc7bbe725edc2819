//! Vector integer arithmetic, shifts, counts and sums (Power ISA Book I 6.9, 6.11 to 6.13).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::lanes::{self, lane, make, signed, va, vector, vx, vx_a, with_lane};
use crate::encoding::{f, tab};
use crate::instruction::instructions;
use crate::semantics::Facility;
use crate::{Condition, Done, Encoding, Ops, Regs, Semantics, Trap, Unary, Value};

type Outcome = Result<(), Trap>;

/// VRT := f(doubleword of VRA, doubleword of VRB), for both.
#[inline(always)]
fn each_doubleword<S: Semantics>(s: &mut S, i: &Ops, f: impl Fn(S::V, S::V) -> S::V) -> Done<S> {
    s.require(Facility::Vector)?;
    let ((a0, a1), (b0, b1)) = (s.vsr(i.a), s.vsr(i.b));
    s.set_vsr(i.t, f(a0, b0), f(a1, b1));
    Ok(())
}
/// Sums of lanes: those without their top bits, which carry nowhere, and the top bits by themselves.
#[inline(always)]
fn add<S: Semantics>(s: &mut S, i: &Ops, bits: u32) -> Done<S> {
    let tops = lanes::splat(1 << (bits - 1), bits);
    each_doubleword(s, i, |a, b| ((a & !tops) + (b & !tops)) ^ ((a ^ b) & tops))
}
/// Differences of lanes: a top bit that is set before is not borrowed from.
#[inline(always)]
fn subtract<S: Semantics>(s: &mut S, i: &Ops, bits: u32) -> Done<S> {
    let tops = lanes::splat(1 << (bits - 1), bits);
    each_doubleword(s, i, |a, b| ((a | tops) - (b & !tops)) ^ (!(a ^ b) & tops))
}
fn range(bits: u32, is_signed: bool) -> (i128, i128) {
    if is_signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}
fn add_saturating(r: &mut Regs, i: &Ops, bits: u32, is_signed: bool) -> Outcome {
    r.each_lane_saturating(i, bits, range(bits, is_signed), is_signed, |a, b| a + b);
    Ok(())
}
fn subtract_saturating(r: &mut Regs, i: &Ops, bits: u32, is_signed: bool) -> Outcome {
    r.each_lane_saturating(i, bits, range(bits, is_signed), is_signed, |a, b| a - b);
    Ok(())
}
fn multiply(r: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    r.each_lane2(i, bits, u64::wrapping_mul);
    Ok(())
}

/// Extends a lane as `is_signed` says.
fn wide(value: u64, bits: u32, is_signed: bool) -> i128 {
    if is_signed { signed(value, bits) as i128 } else { value as i128 }
}

/// Products of the even (first 0) or odd (1) lanes, twice as wide.
fn multiply_alternate(r: &mut Regs, i: &Ops, bits: u32, first: u32, is_signed: bool) -> Outcome {
    let (a, b) = (r.vsr128(i.a), r.vsr128(i.b));
    let mut result = 0u128;
    for n in 0..64 / bits {
        let (x, y) = (lane(a, bits, 2 * n + first), lane(b, bits, 2 * n + first));
        let product = wide(x, bits, is_signed).wrapping_mul(wide(y, bits, is_signed)) as u128;
        let shift = 128 - 2 * bits * (n + 1);
        result |= (product & (u128::MAX >> (128 - 2 * bits))) << shift;
    }
    r.set_vsr128(i.t, result);
    Ok(())
}

/// High halves of products.
fn multiply_high(r: &mut Regs, i: &Ops, bits: u32, is_signed: bool) -> Outcome {
    r.each_lane2(i, bits, |a, b| {
        let product = wide(a, bits, is_signed).wrapping_mul(wide(b, bits, is_signed));
        if bits == 64 && !is_signed {
            ((a as u128 * b as u128) >> 64) as u64
        } else {
            (product >> bits) as u64
        }
    });
    Ok(())
}

/// Quotients (or remainders); 0 where they are undefined.
fn divide(r: &mut Regs, i: &Ops, bits: u32, is_signed: bool, remainder: bool) -> Outcome {
    r.each_lane2(i, bits, |a, b| {
        let (a, b) = (wide(a, bits, is_signed), wide(b, bits, is_signed));
        if b == 0 || is_signed && b == -1 && a == range(bits, true).0 {
            return 0;
        }
        (if remainder { a % b } else { a / b }) as u64
    });
    Ok(())
}

/// Multiply-sum: products of lanes of `bits` bits summed with C into lanes of twice (or four times) the width.
fn multiply_sum(r: &mut Regs, i: &Ops, bits: u32, (sign_a, sign_b): (bool, bool), saturate: bool) -> Outcome {
    let (a, b, c) = (r.vsr128(i.a), r.vsr128(i.b), r.vsr128(i.c));
    let per = 32 / bits;
    let mut result = 0;
    let mut saturated = false;
    for n in 0..4 {
        let mut sum = wide(lane(c, 32, n), 32, sign_a);
        for k in 0..per {
            let m = per * n + k;
            sum += wide(lane(a, bits, m), bits, sign_a) * wide(lane(b, bits, m), bits, sign_b);
        }
        let (low, high) = range(32, sign_a);
        let fitted = if saturate { sum.clamp(low, high) } else { sum };
        saturated |= fitted != sum;
        result = with_lane(result, 32, n, fitted as u64);
    }
    r.set_vsr128(i.t, result);
    r.vscr |= saturated as u64;
    Ok(())
}

/// `vmsumudm`: two 64-bit products and C modulo 2^128; `vmsumcud`: the carry out of that.
fn multiply_sum_doublewords(r: &mut Regs, i: &Ops, carry: bool) -> Outcome {
    let (a, b, c) = (r.vsr128(i.a), r.vsr128(i.b), r.vsr128(i.c));
    let product = |n| lane(a, 64, n) as u128 * lane(b, 64, n) as u128;
    let (first, over1) = product(0).overflowing_add(product(1));
    let (sum, over2) = first.overflowing_add(c);
    r.set_vsr128(i.t, if carry { over1 as u128 + over2 as u128 } else { sum });
    Ok(())
}

/// `vmladduhm`: low halves of products plus C.
fn multiply_low_add(r: &mut Regs, i: &Ops) -> Outcome {
    let (a, b, c) = (r.vsr128(i.a), r.vsr128(i.b), r.vsr128(i.c));
    let of = |n| lane(a, 16, n).wrapping_mul(lane(b, 16, n)).wrapping_add(lane(c, 16, n));
    r.set_vsr128(i.t, make(16, of));
    Ok(())
}

/// `vmhaddshs`, `vmhraddshs`: high halves of products (rounded) plus C, saturated.
fn multiply_high_add(r: &mut Regs, i: &Ops, rounding: i64) -> Outcome {
    let (a, b, c) = (r.vsr128(i.a), r.vsr128(i.b), r.vsr128(i.c));
    let mut saturated = false;
    let mut result = 0;
    for n in 0..8 {
        let product = signed(lane(a, 16, n), 16) * signed(lane(b, 16, n), 16) + rounding;
        let sum = (product >> 15) + signed(lane(c, 16, n), 16);
        let fitted = sum.clamp(-0x8000, 0x7fff);
        saturated |= fitted != sum;
        result = with_lane(result, 16, n, fitted as u64);
    }
    r.set_vsr128(i.t, result);
    r.vscr |= saturated as u64;
    Ok(())
}

/// Sums across lanes of `bits` bits into each word, with the words of B, saturated.
fn sum_across(r: &mut Regs, i: &Ops, bits: u32, is_signed: bool) -> Outcome {
    let (a, b) = (r.vsr128(i.a), r.vsr128(i.b));
    let (low, high) = range(32, is_signed);
    let mut saturated = false;
    let mut result = 0;
    for n in 0..4 {
        let per = 32 / bits;
        let lanes = (0..per).map(|k| wide(lane(a, bits, per * n + k), bits, is_signed));
        let sum = lanes.sum::<i128>() + wide(lane(b, 32, n), 32, is_signed);
        let fitted = sum.clamp(low, high);
        saturated |= fitted != sum;
        result = with_lane(result, 32, n, fitted as u64);
    }
    r.set_vsr128(i.t, result);
    r.vscr |= saturated as u64;
    Ok(())
}

/// `vsumsws` (all four words, into word 3), `vsum2sws` (two and two, into words 1 and 3).
fn sum_words(r: &mut Regs, i: &Ops, per: u32) -> Outcome {
    let (a, b) = (r.vsr128(i.a), r.vsr128(i.b));
    let mut saturated = false;
    let mut result = 0;
    for group in 0..4 / per {
        let last = per * group + per - 1;
        let words = (0..per).map(|k| signed(lane(a, 32, per * group + k), 32));
        let sum = words.sum::<i64>() + signed(lane(b, 32, last), 32);
        let fitted = sum.clamp(i32::MIN as i64, i32::MAX as i64);
        saturated |= fitted != sum;
        result = with_lane(result, 32, last, fitted as u64);
    }
    r.set_vsr128(i.t, result);
    r.vscr |= saturated as u64;
    Ok(())
}

fn average(r: &mut Regs, i: &Ops, bits: u32, is_signed: bool) -> Outcome {
    r.each_lane2(i, bits, |a, b| ((wide(a, bits, is_signed) + wide(b, bits, is_signed) + 1) >> 1) as u64);
    Ok(())
}
fn absolute_difference(r: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    r.each_lane2(i, bits, u64::abs_diff);
    Ok(())
}
fn maximum(r: &mut Regs, i: &Ops, bits: u32, is_signed: bool) -> Outcome {
    r.each_lane2(i, bits, |a, b| if wide(a, bits, is_signed) > wide(b, bits, is_signed) { a } else { b });
    Ok(())
}
fn minimum(r: &mut Regs, i: &Ops, bits: u32, is_signed: bool) -> Outcome {
    r.each_lane2(i, bits, |a, b| if wide(a, bits, is_signed) < wide(b, bits, is_signed) { a } else { b });
    Ok(())
}
fn rotate_left(r: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    r.each_lane2(i, bits, |a, b| {
        let n = b as u32 % bits;
        if n == 0 { a } else { a << n | a >> (bits - n) }
    });
    Ok(())
}
fn shift_left(r: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    r.each_lane2(i, bits, |a, b| a << (b as u32 % bits));
    Ok(())
}
fn shift_right(r: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    r.each_lane2(i, bits, |a, b| a >> (b as u32 % bits));
    Ok(())
}
fn shift_right_algebraic(r: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    r.each_lane2(i, bits, |a, b| (signed(a, bits) >> (b as u32 % bits)) as u64);
    Ok(())
}

/// `vrlwmi`, `vrldmi` (insert) and `vrlwnm`, `vrldnm` (and): rotate, then mask; all fields in B's lanes.
fn rotate_mask(r: &mut Regs, i: &Ops, bits: u32, insert: bool) -> Outcome {
    let (a, b, t) = (r.vsr128(i.a), r.vsr128(i.b), r.vsr128(i.t));
    let field = bits - 1;
    let of = |n| {
        let (value, control) = (lane(a, bits, n), lane(b, bits, n));
        let part = |shift: u32| (control >> shift) as u32 & field;
        let (mb, me, count) = (part(16), part(8), part(0));
        let rotated = if count == 0 { value } else { value << count | value >> (bits - count) };
        let mask = crate::encoding::mask64(mb + 64 - bits, me + 64 - bits);
        if insert { rotated & mask | lane(t, bits, n) & !mask } else { rotated & mask }
    };
    r.set_vsr128(i.t, make(bits, of));
    Ok(())
}

fn leading_zeros(r: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    r.each_lane(i, bits, |b| (b.leading_zeros() - (64 - bits)) as u64);
    Ok(())
}
fn trailing_zeros(r: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    r.each_lane(i, bits, |b| b.trailing_zeros().min(bits) as u64);
    Ok(())
}
fn popcount(r: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    r.each_lane(i, bits, |b| b.count_ones() as u64);
    Ok(())
}
fn negate(r: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    r.each_lane(i, bits, u64::wrapping_neg);
    Ok(())
}
fn extend(r: &mut Regs, i: &Ops, bits: u32, from: u32) -> Outcome {
    r.each_lane(i, bits, |b| signed(b & (u64::MAX >> (64 - from)), from) as u64);
    Ok(())
}

/// `vprtybw` and so on: parity of the low bits of the octets of each lane.
fn parity(r: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    let b = r.vsr128(i.b) & 0x0101_0101_0101_0101_0101_0101_0101_0101;
    if bits == 128 {
        r.set_vsr128(i.t, (b.count_ones() & 1) as u128);
    } else {
        r.set_vsr128(i.t, make(bits, |n| (lane(b, bits, n).count_ones() & 1) as u64));
    }
    Ok(())
}

/// `vclzlsbb`, `vctzlsbb`: octets from the left or right whose low bit is 0, into RT.
#[inline(always)]
fn count_low_bits<S: Semantics>(s: &mut S, i: &Ops, from_right: bool) -> Done<S> {
    s.require(Facility::Vector)?;
    let (high, low) = s.vsr(i.b);
    let (first, second) = if from_right { (low, high) } else { (high, low) };
    let zeros = if from_right { Unary::Ctz } else { Unary::Clz };
    // 8 where there is none.
    let octets = |half: S::V| (half & lanes::splat(1, 8)).unary(zeros) >> 3u64;
    let (near, far) = (octets(first), octets(second));
    let count = (near & 8).eq(s.imm(0)).select(near, far + 8);
    s.set_gpr(i.t, count);
    Ok(())
}

/// Carries out of words, and 128-bit sums.
fn add_carries(r: &mut Regs, i: &Ops) -> Outcome {
    r.each_lane2(i, 32, |a, b| (a + b) >> 32);
    Ok(())
}
fn subtract_carries(r: &mut Regs, i: &Ops) -> Outcome {
    r.each_lane2(i, 32, |a, b| (a >= b) as u64);
    Ok(())
}

/// A + B + carry: (sum, carry out).
fn sum128(a: u128, b: u128, carry: bool) -> (u128, bool) {
    let (partial, over1) = a.overflowing_add(b);
    let (sum, over2) = partial.overflowing_add(carry as u128);
    (sum, over1 | over2)
}

/// `vadduqm` and its kin: `subtract`: ~B; `extended`: the carry is C's last bit; `carry_out`: the result is the carry.
fn add_quadword(r: &mut Regs, i: &Ops, subtract: bool, extended: bool, carry_out: bool) -> Outcome {
    let (a, b) = (r.vsr128(i.a), r.vsr128(i.b));
    let carry = if extended { r.vsr128(i.c) & 1 != 0 } else { subtract };
    let (sum, carry) = sum128(a, if subtract { !b } else { b }, carry);
    r.set_vsr128(i.t, if carry_out { carry as u128 } else { sum });
    Ok(())
}

/// Carry-less product, four bits at a time.
fn carryless_product(x: u64, y: u64) -> u128 {
    let mut multiples = [0u128; 16];
    for n in 1..16 {
        multiples[n] = multiples[n / 2] << 1 ^ if n % 2 != 0 { x as u128 } else { 0 };
    }
    (0..16).fold(0, |product, n| product ^ multiples[(y >> (4 * n) & 15) as usize] << (4 * n))
}

/// Carry-less products of lanes, summed by exclusive or in pairs.
fn polynomial(r: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    let (a, b) = (r.vsr128(i.a), r.vsr128(i.b));
    let mut result = 0u128;
    for n in 0..128 / bits {
        let product = carryless_product(lane(a, bits, n), lane(b, bits, n));
        let shift = 128 - 2 * bits * (n / 2 + 1);
        result ^= product << shift;
    }
    r.set_vsr128(i.t, result);
    Ok(())
}

/// `vbpermq`: one bit of A for each octet of B; `vbpermd` the same per doubleword.
fn bit_permute_quadword(r: &mut Regs, i: &Ops) -> Outcome {
    let (a, b) = (r.vsr128(i.a), r.vsr128(i.b));
    let bit = |n: u32| {
        let index = lane(b, 8, n) as u32;
        if index < 128 { (a >> (127 - index)) as u64 & 1 } else { 0 }
    };
    let bits = (0..16).fold(0, |bits, n| bits << 1 | bit(n));
    r.set_vsr128(i.t, (bits as u128) << 64);
    Ok(())
}
fn bit_permute_doubleword(r: &mut Regs, i: &Ops) -> Outcome {
    let (a, b) = (r.vsr128(i.a), r.vsr128(i.b));
    let of = |half: u32| {
        (0..8).fold(0, |bits, n| {
            let index = lane(b, 8, 8 * half + n) as u32;
            let bit = if index < 64 { lane(a, 64, half) >> (63 - index) & 1 } else { 0 };
            bits << 1 | bit
        })
    };
    r.set_vsr128(i.t, make(64, of));
    Ok(())
}

/// `vgbbd`: the 8 by 8 bit matrix of each doubleword, transposed.
fn gather_bits(r: &mut Regs, i: &Ops) -> Outcome {
    r.each_lane(i, 64, |b| {
        let bit = |row: u32, column: u32| b >> (63 - 8 * row - column) & 1;
        (0..64).fold(0, |bits, n| bits << 1 | bit(n % 8, n / 8))
    });
    Ok(())
}

/// VX-form with RT and VRB, A part of the opcode.
const fn vx_rt(a: u64, xo: u64) -> Encoding {
    vx_a(a, xo).operands(|w| Ops { t: f(w, 21, 5), b: 32 + f(w, 11, 5), rc: false, ..tab(w) })
}

instructions! {
    "I 6.9.1";
    vaddubm = vx(0), "vaddubm VRT,VRA,VRB", |s, i| { add(s, i, 8)?; }
    vsububm = vx(1024), "vsububm VRT,VRA,VRB", |s, i| { subtract(s, i, 8)?; }
    vadduhm = vx(64), "vadduhm VRT,VRA,VRB", |s, i| { add(s, i, 16)?; }
    vsubuhm = vx(1088), "vsubuhm VRT,VRA,VRB", |s, i| { subtract(s, i, 16)?; }
    vadduwm = vx(128), "vadduwm VRT,VRA,VRB", |s, i| { add(s, i, 32)?; }
    vsubuwm = vx(1152), "vsubuwm VRT,VRA,VRB", |s, i| { subtract(s, i, 32)?; }
    vaddudm = vx(192), "vaddudm VRT,VRA,VRB", |s, i| { add(s, i, 64)?; }
    vsubudm = vx(1216), "vsubudm VRT,VRA,VRB", |s, i| { subtract(s, i, 64)?; }
    vaddubs = vx(512), "vaddubs VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| add_saturating(r, i, 8, false))?; }
    vsububs = vx(1536), "vsububs VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| subtract_saturating(r, i, 8, false))?; }
    vadduhs = vx(576), "vadduhs VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| add_saturating(r, i, 16, false))?; }
    vsubuhs = vx(1600), "vsubuhs VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| subtract_saturating(r, i, 16, false))?; }
    vadduws = vx(640), "vadduws VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| add_saturating(r, i, 32, false))?; }
    vsubuws = vx(1664), "vsubuws VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| subtract_saturating(r, i, 32, false))?; }
    vaddsbs = vx(768), "vaddsbs VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| add_saturating(r, i, 8, true))?; }
    vsubsbs = vx(1792), "vsubsbs VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| subtract_saturating(r, i, 8, true))?; }
    vaddshs = vx(832), "vaddshs VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| add_saturating(r, i, 16, true))?; }
    vsubshs = vx(1856), "vsubshs VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| subtract_saturating(r, i, 16, true))?; }
    vaddsws = vx(896), "vaddsws VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| add_saturating(r, i, 32, true))?; }
    vsubsws = vx(1920), "vsubsws VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| subtract_saturating(r, i, 32, true))?; }
    vaddcuw = vx(384), "vaddcuw VRT,VRA,VRB", |s, i| { vector(s, i, add_carries)?; }
    vsubcuw = vx(1408), "vsubcuw VRT,VRA,VRB", |s, i| { vector(s, i, subtract_carries)?; }
    vadduqm = vx(256), "vadduqm VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| add_quadword(r, i, false, false, false))?; }
    vaddcuq = vx(320), "vaddcuq VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| add_quadword(r, i, false, false, true))?; }
    vsubuqm = vx(1280), "vsubuqm VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| add_quadword(r, i, true, false, false))?; }
    vsubcuq = vx(1344), "vsubcuq VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| add_quadword(r, i, true, false, true))?; }
    vaddeuqm = va(60), "vaddeuqm VRT,VRA,VRB,VRC", |s, i| { vector(s, i, |r, i| add_quadword(r, i, false, true, false))?; }
    vaddecuq = va(61), "vaddecuq VRT,VRA,VRB,VRC", |s, i| { vector(s, i, |r, i| add_quadword(r, i, false, true, true))?; }
    vsubeuqm = va(62), "vsubeuqm VRT,VRA,VRB,VRC", |s, i| { vector(s, i, |r, i| add_quadword(r, i, true, true, false))?; }
    vsubecuq = va(63), "vsubecuq VRT,VRA,VRB,VRC", |s, i| { vector(s, i, |r, i| add_quadword(r, i, true, true, true))?; }
    vmuluwm = vx(137), "vmuluwm VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply(r, i, 32))?; }
    vmulld = vx(457).v31(), "vmulld VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply(r, i, 64))?; }
    vmuleub = vx(520), "vmuleub VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply_alternate(r, i, 8, 0, false))?; }
    vmuloub = vx(8), "vmuloub VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply_alternate(r, i, 8, 1, false))?; }
    vmuleuh = vx(584), "vmuleuh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply_alternate(r, i, 16, 0, false))?; }
    vmulouh = vx(72), "vmulouh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply_alternate(r, i, 16, 1, false))?; }
    vmuleuw = vx(648), "vmuleuw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply_alternate(r, i, 32, 0, false))?; }
    vmulouw = vx(136), "vmulouw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply_alternate(r, i, 32, 1, false))?; }
    vmulesb = vx(776), "vmulesb VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply_alternate(r, i, 8, 0, true))?; }
    vmulosb = vx(264), "vmulosb VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply_alternate(r, i, 8, 1, true))?; }
    vmulesh = vx(840), "vmulesh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply_alternate(r, i, 16, 0, true))?; }
    vmulosh = vx(328), "vmulosh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply_alternate(r, i, 16, 1, true))?; }
    vmulesw = vx(904), "vmulesw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply_alternate(r, i, 32, 0, true))?; }
    vmulosw = vx(392), "vmulosw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply_alternate(r, i, 32, 1, true))?; }
    vmulhuw = vx(649).v31(), "vmulhuw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply_high(r, i, 32, false))?; }
    vmulhud = vx(713).v31(), "vmulhud VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply_high(r, i, 64, false))?; }
    vmulhsw = vx(905).v31(), "vmulhsw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply_high(r, i, 32, true))?; }
    vmulhsd = vx(969).v31(), "vmulhsd VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| multiply_high(r, i, 64, true))?; }
    vdivuw = vx(139).v31(), "vdivuw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| divide(r, i, 32, false, false))?; }
    vdivud = vx(203).v31(), "vdivud VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| divide(r, i, 64, false, false))?; }
    vdivsw = vx(395).v31(), "vdivsw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| divide(r, i, 32, true, false))?; }
    vdivsd = vx(459).v31(), "vdivsd VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| divide(r, i, 64, true, false))?; }
    vmoduw = vx(1675).v31(), "vmoduw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| divide(r, i, 32, false, true))?; }
    vmodud = vx(1739).v31(), "vmodud VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| divide(r, i, 64, false, true))?; }
    vmodsw = vx(1931).v31(), "vmodsw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| divide(r, i, 32, true, true))?; }
    vmodsd = vx(1995).v31(), "vmodsd VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| divide(r, i, 64, true, true))?; }
    "I 6.9.1.3";
    vmsumubm = va(36), "vmsumubm VRT,VRA,VRB,VRC", |s, i| { vector(s, i, |r, i| multiply_sum(r, i, 8, (false, false), false))?; }
    vmsummbm = va(37), "vmsummbm VRT,VRA,VRB,VRC", |s, i| { vector(s, i, |r, i| multiply_sum(r, i, 8, (true, false), false))?; }
    vmsumuhm = va(38), "vmsumuhm VRT,VRA,VRB,VRC", |s, i| { vector(s, i, |r, i| multiply_sum(r, i, 16, (false, false), false))?; }
    vmsumuhs = va(39), "vmsumuhs VRT,VRA,VRB,VRC", |s, i| { vector(s, i, |r, i| multiply_sum(r, i, 16, (false, false), true))?; }
    vmsumshm = va(40), "vmsumshm VRT,VRA,VRB,VRC", |s, i| { vector(s, i, |r, i| multiply_sum(r, i, 16, (true, true), false))?; }
    vmsumshs = va(41), "vmsumshs VRT,VRA,VRB,VRC", |s, i| { vector(s, i, |r, i| multiply_sum(r, i, 16, (true, true), true))?; }
    vmsumudm = va(35), "vmsumudm VRT,VRA,VRB,VRC", |s, i| { vector(s, i, |r, i| multiply_sum_doublewords(r, i, false))?; }
    vmsumcud = va(23).v31(), "vmsumcud VRT,VRA,VRB,VRC", |s, i| { vector(s, i, |r, i| multiply_sum_doublewords(r, i, true))?; }
    vmladduhm = va(34), "vmladduhm VRT,VRA,VRB,VRC", |s, i| { vector(s, i, multiply_low_add)?; }
    vmhaddshs = va(32), "vmhaddshs VRT,VRA,VRB,VRC", |s, i| { vector(s, i, |r, i| multiply_high_add(r, i, 0))?; }
    vmhraddshs = va(33), "vmhraddshs VRT,VRA,VRB,VRC", |s, i| { vector(s, i, |r, i| multiply_high_add(r, i, 0x4000))?; }
    vsum4ubs = vx(1544), "vsum4ubs VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| sum_across(r, i, 8, false))?; }
    vsum4sbs = vx(1800), "vsum4sbs VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| sum_across(r, i, 8, true))?; }
    vsum4shs = vx(1608), "vsum4shs VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| sum_across(r, i, 16, true))?; }
    vsum2sws = vx(1672), "vsum2sws VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| sum_words(r, i, 2))?; }
    vsumsws = vx(1928), "vsumsws VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| sum_words(r, i, 4))?; }
    "I 6.9.2";
    vavgub = vx(1026), "vavgub VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| average(r, i, 8, false))?; }
    vavguh = vx(1090), "vavguh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| average(r, i, 16, false))?; }
    vavguw = vx(1154), "vavguw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| average(r, i, 32, false))?; }
    vavgsb = vx(1282), "vavgsb VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| average(r, i, 8, true))?; }
    vavgsh = vx(1346), "vavgsh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| average(r, i, 16, true))?; }
    vavgsw = vx(1410), "vavgsw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| average(r, i, 32, true))?; }
    vabsdub = vx(1027), "vabsdub VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| absolute_difference(r, i, 8))?; }
    vabsduh = vx(1091), "vabsduh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| absolute_difference(r, i, 16))?; }
    vabsduw = vx(1155), "vabsduw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| absolute_difference(r, i, 32))?; }
    vmaxub = vx(2), "vmaxub VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| maximum(r, i, 8, false))?; }
    vminub = vx(514), "vminub VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| minimum(r, i, 8, false))?; }
    vmaxuh = vx(66), "vmaxuh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| maximum(r, i, 16, false))?; }
    vminuh = vx(578), "vminuh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| minimum(r, i, 16, false))?; }
    vmaxuw = vx(130), "vmaxuw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| maximum(r, i, 32, false))?; }
    vminuw = vx(642), "vminuw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| minimum(r, i, 32, false))?; }
    vmaxud = vx(194), "vmaxud VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| maximum(r, i, 64, false))?; }
    vminud = vx(706), "vminud VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| minimum(r, i, 64, false))?; }
    vmaxsb = vx(258), "vmaxsb VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| maximum(r, i, 8, true))?; }
    vminsb = vx(770), "vminsb VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| minimum(r, i, 8, true))?; }
    vmaxsh = vx(322), "vmaxsh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| maximum(r, i, 16, true))?; }
    vminsh = vx(834), "vminsh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| minimum(r, i, 16, true))?; }
    vmaxsw = vx(386), "vmaxsw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| maximum(r, i, 32, true))?; }
    vminsw = vx(898), "vminsw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| minimum(r, i, 32, true))?; }
    vmaxsd = vx(450), "vmaxsd VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| maximum(r, i, 64, true))?; }
    vminsd = vx(962), "vminsd VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| minimum(r, i, 64, true))?; }
    "I 6.9.5";
    vrlb = vx(4), "vrlb VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| rotate_left(r, i, 8))?; }
    vrlh = vx(68), "vrlh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| rotate_left(r, i, 16))?; }
    vrlw = vx(132), "vrlw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| rotate_left(r, i, 32))?; }
    vrld = vx(196), "vrld VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| rotate_left(r, i, 64))?; }
    vslb = vx(260), "vslb VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| shift_left(r, i, 8))?; }
    vslh = vx(324), "vslh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| shift_left(r, i, 16))?; }
    vslw = vx(388), "vslw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| shift_left(r, i, 32))?; }
    vsld = vx(1476), "vsld VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| shift_left(r, i, 64))?; }
    vsrb = vx(516), "vsrb VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| shift_right(r, i, 8))?; }
    vsrh = vx(580), "vsrh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| shift_right(r, i, 16))?; }
    vsrw = vx(644), "vsrw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| shift_right(r, i, 32))?; }
    vsrd = vx(1732), "vsrd VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| shift_right(r, i, 64))?; }
    vsrab = vx(772), "vsrab VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| shift_right_algebraic(r, i, 8))?; }
    vsrah = vx(836), "vsrah VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| shift_right_algebraic(r, i, 16))?; }
    vsraw = vx(900), "vsraw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| shift_right_algebraic(r, i, 32))?; }
    vsrad = vx(964), "vsrad VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| shift_right_algebraic(r, i, 64))?; }
    vrlwmi = vx(133), "vrlwmi VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| rotate_mask(r, i, 32, true))?; }
    vrlwnm = vx(389), "vrlwnm VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| rotate_mask(r, i, 32, false))?; }
    vrldmi = vx(197), "vrldmi VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| rotate_mask(r, i, 64, true))?; }
    vrldnm = vx(453), "vrldnm VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| rotate_mask(r, i, 64, false))?; }
    "I 6.11";
    vclzb = vx(1794), "vclzb VRT,VRB", |s, i| { vector(s, i, |r, i| leading_zeros(r, i, 8))?; }
    vpopcntb = vx(1795), "vpopcntb VRT,VRB", |s, i| { vector(s, i, |r, i| popcount(r, i, 8))?; }
    vclzh = vx(1858), "vclzh VRT,VRB", |s, i| { vector(s, i, |r, i| leading_zeros(r, i, 16))?; }
    vpopcnth = vx(1859), "vpopcnth VRT,VRB", |s, i| { vector(s, i, |r, i| popcount(r, i, 16))?; }
    vclzw = vx(1922), "vclzw VRT,VRB", |s, i| { vector(s, i, |r, i| leading_zeros(r, i, 32))?; }
    vpopcntw = vx(1923), "vpopcntw VRT,VRB", |s, i| { vector(s, i, |r, i| popcount(r, i, 32))?; }
    vclzd = vx(1986), "vclzd VRT,VRB", |s, i| { vector(s, i, |r, i| leading_zeros(r, i, 64))?; }
    vpopcntd = vx(1987), "vpopcntd VRT,VRB", |s, i| { vector(s, i, |r, i| popcount(r, i, 64))?; }
    vctzb = vx_a(28, 1538), "vctzb VRT,VRB", |s, i| { vector(s, i, |r, i| trailing_zeros(r, i, 8))?; }
    vctzh = vx_a(29, 1538), "vctzh VRT,VRB", |s, i| { vector(s, i, |r, i| trailing_zeros(r, i, 16))?; }
    vctzw = vx_a(30, 1538), "vctzw VRT,VRB", |s, i| { vector(s, i, |r, i| trailing_zeros(r, i, 32))?; }
    vctzd = vx_a(31, 1538), "vctzd VRT,VRB", |s, i| { vector(s, i, |r, i| trailing_zeros(r, i, 64))?; }
    vnegw = vx_a(6, 1538), "vnegw VRT,VRB", |s, i| { vector(s, i, |r, i| negate(r, i, 32))?; }
    vnegd = vx_a(7, 1538), "vnegd VRT,VRB", |s, i| { vector(s, i, |r, i| negate(r, i, 64))?; }
    vprtybw = vx_a(8, 1538), "vprtybw VRT,VRB", |s, i| { vector(s, i, |r, i| parity(r, i, 32))?; }
    vprtybd = vx_a(9, 1538), "vprtybd VRT,VRB", |s, i| { vector(s, i, |r, i| parity(r, i, 64))?; }
    vprtybq = vx_a(10, 1538), "vprtybq VRT,VRB", |s, i| { vector(s, i, |r, i| parity(r, i, 128))?; }
    vextsb2w = vx_a(16, 1538), "vextsb2w VRT,VRB", |s, i| { vector(s, i, |r, i| extend(r, i, 32, 8))?; }
    vextsh2w = vx_a(17, 1538), "vextsh2w VRT,VRB", |s, i| { vector(s, i, |r, i| extend(r, i, 32, 16))?; }
    vextsb2d = vx_a(24, 1538), "vextsb2d VRT,VRB", |s, i| { vector(s, i, |r, i| extend(r, i, 64, 8))?; }
    vextsh2d = vx_a(25, 1538), "vextsh2d VRT,VRB", |s, i| { vector(s, i, |r, i| extend(r, i, 64, 16))?; }
    vextsw2d = vx_a(26, 1538), "vextsw2d VRT,VRB", |s, i| { vector(s, i, |r, i| extend(r, i, 64, 32))?; }
    vclzlsbb = vx_rt(0, 1538), "vclzlsbb RT,VRB", |s, i| { count_low_bits(s, i, false)?; }
    vctzlsbb = vx_rt(1, 1538), "vctzlsbb RT,VRB", |s, i| { count_low_bits(s, i, true)?; }
    "I 6.12";
    vbpermq = vx(1356), "vbpermq VRT,VRA,VRB", |s, i| { vector(s, i, bit_permute_quadword)?; }
    vbpermd = vx(1484), "vbpermd VRT,VRA,VRB", |s, i| { vector(s, i, bit_permute_doubleword)?; }
    vgbbd = vx(1292), "vgbbd VRT,VRB", |s, i| { vector(s, i, gather_bits)?; }
    vpmsumb = vx(1032), "vpmsumb VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| polynomial(r, i, 8))?; }
    vpmsumh = vx(1096), "vpmsumh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| polynomial(r, i, 16))?; }
    vpmsumw = vx(1160), "vpmsumw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| polynomial(r, i, 32))?; }
    vpmsumd = vx(1224), "vpmsumd VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| polynomial(r, i, 64))?; }
}
