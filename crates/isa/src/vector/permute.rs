//! Vector permute, merge, splat, pack, unpack, shift by octet, extract, insert, and logical operations (Power ISA
//! Book I 6.8, 6.9.4).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::lanes::{self, lane, make, signed, va, vector, vx, with_lane};
use crate::encoding::{f, tab};
use crate::instruction::instructions;
use crate::semantics::Facility;
use crate::{Condition, Done, Encoding, Ops, Regs, Semantics, Trap, Value};

type Outcome = Result<(), Trap>;

/// Bytes of A || B that the bytes of C name, after `flip` has been exclusive-ored to them.
#[inline(always)]
fn permute_by(regs: &mut Regs, i: &Ops, flip: u8) -> Outcome {
    let mut pair = [0; 32];
    pair[..16].copy_from_slice(&regs.vsr128(i.a).to_be_bytes());
    pair[16..].copy_from_slice(&regs.vsr128(i.b).to_be_bytes());
    let picked = regs.vsr128(i.c).to_be_bytes().map(|n| pair[((n ^ flip) & 31) as usize]);
    regs.set_vsr128(i.t, u128::from_be_bytes(picked));
    Ok(())
}

fn permute(regs: &mut Regs, i: &Ops) -> Outcome {
    permute_by(regs, i, 0)
}

fn permute_right(regs: &mut Regs, i: &Ops) -> Outcome {
    permute_by(regs, i, 31)
}

fn permute_xor(regs: &mut Regs, i: &Ops) -> Outcome {
    let (a, b, c) = (regs.vsr128(i.a), regs.vsr128(i.b), regs.vsr128(i.c));
    let pick = |n| {
        let control = lane(c, 8, n);
        lane(a, 8, (control >> 4) as u32) ^ lane(b, 8, (control & 15) as u32)
    };
    regs.set_vsr128(i.t, make(8, pick));
    Ok(())
}

/// Shift left double by octets: SHB in the C field.
#[inline(always)]
fn shift_double<S: Semantics>(s: &mut S, i: &Ops) -> Done<S> {
    s.require(Facility::Vector)?;
    let octets = (i.c - 32) as usize & 15;
    let ((a0, a1), (b0, b1)) = (s.vsr(i.a), s.vsr(i.b));
    let words = [a0, a1, b0, b1];
    let bits = 8 * (octets as u64 & 7);
    let at = |n: usize| {
        if bits == 0 { words[n] } else { words[n] << bits | words[n + 1] >> (64 - bits) }
    };
    let first = octets / 8;
    let (high, low) = (at(first), at(first + 1));
    s.set_vsr(i.t, high, low);
    Ok(())
}

/// Lanes of the left (or right) halves of A and B, alternating.
fn merge(regs: &mut Regs, i: &Ops, bits: u32, low: bool) -> Outcome {
    let (a, b) = (regs.vsr128(i.a), regs.vsr128(i.b));
    let first = if low { 64 / bits } else { 0 };
    let pick = |n: u32| lane(if n.is_multiple_of(2) { a } else { b }, bits, first + n / 2);
    regs.set_vsr128(i.t, make(bits, pick));
    Ok(())
}

/// Even (or odd) words of A and B, alternating.
fn merge_words(regs: &mut Regs, i: &Ops, odd: u32) -> Outcome {
    let (a, b) = (regs.vsr128(i.a), regs.vsr128(i.b));
    regs.set_vsr128(i.t, make(32, |n| lane(if n % 2 == 0 { a } else { b }, 32, n / 2 * 2 + odd)));
    Ok(())
}

#[inline(always)]
fn splat<S: Semantics>(s: &mut S, i: &Ops, bits: u32) -> Done<S> {
    s.require(Facility::Vector)?;
    let b = s.vsr(i.b);
    let (n, each) = (i.imm as u32 & (128 / bits - 1), 64 / bits);
    let doubleword = if n < each { b.0 } else { b.1 };
    let lane = doubleword >> (64 - bits * (n % each + 1)) as u64 & (u64::MAX >> (64 - bits));
    let value = lane * lanes::splat(1, bits);
    s.set_vsr(i.t, value, value);
    Ok(())
}

#[inline(always)]
fn splat_immediate<S: Semantics>(s: &mut S, i: &Ops, bits: u32) -> Done<S> {
    s.require(Facility::Vector)?;
    let value = s.imm(lanes::splat(signed(i.imm, 5) as u64, bits));
    s.set_vsr(i.t, value, value);
    Ok(())
}

/// Packs lanes of `bits` bits of A || B into half their width: modulo, or saturated.
fn pack(regs: &mut Regs, i: &Ops, bits: u32, from_signed: bool, range: Option<(i128, i128)>) -> Outcome {
    let (a, b) = (regs.vsr128(i.a), regs.vsr128(i.b));
    let half = 128 / bits;
    let mut saturated = false;
    let mut result = 0;
    for n in 0..2 * half {
        let value = if n < half { lane(a, bits, n) } else { lane(b, bits, n - half) };
        let wide = if from_signed { signed(value, bits) as i128 } else { value as i128 };
        let fitted = range.map_or(wide, |(low, high)| wide.clamp(low, high));
        saturated |= fitted != wide;
        result = with_lane(result, bits / 2, n, fitted as u64);
    }
    regs.set_vsr128(i.t, result);
    regs.vscr |= saturated as u64;
    Ok(())
}

const fn unsigned_range(bits: u32) -> Option<(i128, i128)> {
    Some((0, (1 << bits) - 1))
}

const fn signed_range(bits: u32) -> Option<(i128, i128)> {
    Some((-(1 << (bits - 1)), (1 << (bits - 1)) - 1))
}

fn pack_pixel(regs: &mut Regs, i: &Ops) -> Outcome {
    let (a, b) = (regs.vsr128(i.a), regs.vsr128(i.b));
    let pixel = |n: u32| {
        let w = if n < 4 { lane(a, 32, n) } else { lane(b, 32, n - 4) };
        (w >> 9 & 0x8000) | (w >> 9 & 0x7c00) | (w >> 6 & 0x3e0) | (w >> 3 & 0x1f)
    };
    regs.set_vsr128(i.t, make(16, pixel));
    Ok(())
}

/// Widens the lanes of the left (or right) half of B.
fn unpack(regs: &mut Regs, i: &Ops, bits: u32, low: bool) -> Outcome {
    let b = regs.vsr128(i.b);
    let first = if low { 64 / bits } else { 0 };
    regs.set_vsr128(i.t, make(2 * bits, |n| signed(lane(b, bits, first + n), bits) as u64));
    Ok(())
}

fn unpack_pixel(regs: &mut Regs, i: &Ops, low: bool) -> Outcome {
    let b = regs.vsr128(i.b);
    let first = if low { 4 } else { 0 };
    let widen = |n| {
        let p = lane(b, 16, first + n);
        (if p >> 15 != 0 { 0xff00_0000 } else { 0 }) | (p >> 10 & 31) << 16 | (p >> 5 & 31) << 8 | p & 31
    };
    regs.set_vsr128(i.t, make(32, widen));
    Ok(())
}

/// Whole-register shifts: by the low three bits, or by octets from bits 121:124 of B.
fn shift_left(regs: &mut Regs, i: &Ops) -> Outcome {
    let (a, b) = (regs.vsr128(i.a), regs.vsr128(i.b));
    regs.set_vsr128(i.t, a << (b & 7));
    Ok(())
}
fn shift_right(regs: &mut Regs, i: &Ops) -> Outcome {
    let (a, b) = (regs.vsr128(i.a), regs.vsr128(i.b));
    regs.set_vsr128(i.t, a >> (b & 7));
    Ok(())
}
fn shift_left_octets(regs: &mut Regs, i: &Ops) -> Outcome {
    let (a, b) = (regs.vsr128(i.a), regs.vsr128(i.b));
    regs.set_vsr128(i.t, a << (b & 0x78));
    Ok(())
}
fn shift_right_octets(regs: &mut Regs, i: &Ops) -> Outcome {
    let (a, b) = (regs.vsr128(i.a), regs.vsr128(i.b));
    regs.set_vsr128(i.t, a >> (b & 0x78));
    Ok(())
}

/// `vslv`, `vsrv`: each octet of A, with its neighbour's bits shifted in, by the octet of B.
fn shift_left_variable(regs: &mut Regs, i: &Ops) -> Outcome {
    let (a, b) = (regs.vsr128(i.a), regs.vsr128(i.b));
    let byte = |n: u32| {
        let next = if n == 15 { 0 } else { lane(a, 8, n + 1) };
        (lane(a, 8, n) << 8 | next) << (lane(b, 8, n) & 7) >> 8
    };
    regs.set_vsr128(i.t, make(8, byte));
    Ok(())
}
fn shift_right_variable(regs: &mut Regs, i: &Ops) -> Outcome {
    let (a, b) = (regs.vsr128(i.a), regs.vsr128(i.b));
    let byte = |n: u32| {
        let before = if n == 0 { 0 } else { lane(a, 8, n - 1) };
        (before << 8 | lane(a, 8, n)) >> (lane(b, 8, n) & 7)
    };
    regs.set_vsr128(i.t, make(8, byte));
    Ok(())
}

/// `vextractub` and so on: `bytes` octets from offset UIM of B, right-aligned in doubleword 0.
fn extract(regs: &mut Regs, i: &Ops, bytes: u32) -> Outcome {
    let b = regs.vsr128(i.b);
    let start = i.imm as u32 & 15;
    // Octets beyond the end are undefined; here they are those that a shift brings in.
    let value = b << (8 * start) >> (128 - 8 * bytes);
    regs.set_vsr128(i.t, value << 64);
    Ok(())
}

/// `vinsertb` and so on: the element that ends doubleword 0 of B goes to offset UIM of T.
fn insert(regs: &mut Regs, i: &Ops, bytes: u32) -> Outcome {
    let (b, mut t) = (regs.vsr128(i.b), regs.vsr128(i.t));
    let element = b >> 64;
    for k in 0..bytes {
        let at = (i.imm as u32 & 15) + k;
        if at < 16 {
            t = with_lane(t, 8, at, (element >> (8 * (bytes - 1 - k))) as u64 & 0xff);
        }
    }
    regs.set_vsr128(i.t, t);
    Ok(())
}

/// `vextublx` and so on: RT := `bytes` octets of B from the octet that RA names, counted from left or right.
fn extract_indexed(regs: &mut Regs, i: &Ops, bytes: u32, right: bool) -> Outcome {
    let b = regs.vsr128(i.b);
    let index = regs.gpr[i.a as usize] as u32 & 15;
    let mask = (1u128 << (8 * bytes)) - 1;
    let value = if right {
        b >> (8 * index)
    } else {
        let shift = 128 - 8 * bytes as i32 - 8 * index as i32;
        if shift >= 0 { b >> shift } else { b << -shift }
    };
    regs.gpr[i.t as usize] = (value & mask) as u64;
    Ok(())
}

/// `vextublx`, `vextubrx`.
#[inline(always)]
fn extract_byte<S: Semantics>(s: &mut S, i: &Ops, right: bool) -> Done<S> {
    s.require(Facility::Vector)?;
    let index = s.gpr(i.a) & 15;
    let shift = if right { index } else { index ^ 15 } << 3u64;
    let (high, low) = s.vsr(i.b);
    let doubleword = (shift & 64).eq(s.imm(0)).select(low, high);
    s.set_gpr(i.t, doubleword >> (shift & 63) & 0xff);
    Ok(())
}

/// VX-form with RT, RA and VRB.
const fn vx_gpr(xo: u64) -> Encoding {
    vx(xo).operands(|w| Ops { t: f(w, 21, 5), a: f(w, 16, 5), b: 32 + f(w, 11, 5), rc: false, ..tab(w) })
}

macro_rules! logical {
    ($s:ident, $i:ident, |$a:ident, $b:ident| $e:expr) => {{
        $s.require(Facility::Vector)?;
        let ((ah, al), (bh, bl)) = ($s.vsr($i.a), $s.vsr($i.b));
        let one = |$a: S::V, $b: S::V| $e;
        let (high, low) = (one(ah, bh), one(al, bl));
        $s.set_vsr($i.t, high, low);
    }};
}

instructions! {
    "I 6.8.1";
    vpkpx = vx(782), "vpkpx VRT,VRA,VRB", |s, i| { vector(s, i, pack_pixel)?; }
    vpkshss = vx(398), "vpkshss VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| pack(r, i, 16, true, signed_range(8)))?; }
    vpkshus = vx(270), "vpkshus VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| pack(r, i, 16, true, unsigned_range(8)))?; }
    vpkswss = vx(462), "vpkswss VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| pack(r, i, 32, true, signed_range(16)))?; }
    vpkswus = vx(334), "vpkswus VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| pack(r, i, 32, true, unsigned_range(16)))?; }
    vpksdss = vx(1486), "vpksdss VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| pack(r, i, 64, true, signed_range(32)))?; }
    vpksdus = vx(1358), "vpksdus VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| pack(r, i, 64, true, unsigned_range(32)))?; }
    vpkuhum = vx(14), "vpkuhum VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| pack(r, i, 16, false, None))?; }
    vpkuhus = vx(142), "vpkuhus VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| pack(r, i, 16, false, unsigned_range(8)))?; }
    vpkuwum = vx(78), "vpkuwum VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| pack(r, i, 32, false, None))?; }
    vpkuwus = vx(206), "vpkuwus VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| pack(r, i, 32, false, unsigned_range(16)))?; }
    vpkudum = vx(1102), "vpkudum VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| pack(r, i, 64, false, None))?; }
    vpkudus = vx(1230), "vpkudus VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| pack(r, i, 64, false, unsigned_range(32)))?; }
    vupkhsb = vx(526), "vupkhsb VRT,VRB", |s, i| { vector(s, i, |r, i| unpack(r, i, 8, false))?; }
    vupkhsh = vx(590), "vupkhsh VRT,VRB", |s, i| { vector(s, i, |r, i| unpack(r, i, 16, false))?; }
    vupkhsw = vx(1614), "vupkhsw VRT,VRB", |s, i| { vector(s, i, |r, i| unpack(r, i, 32, false))?; }
    vupklsb = vx(654), "vupklsb VRT,VRB", |s, i| { vector(s, i, |r, i| unpack(r, i, 8, true))?; }
    vupklsh = vx(718), "vupklsh VRT,VRB", |s, i| { vector(s, i, |r, i| unpack(r, i, 16, true))?; }
    vupklsw = vx(1742), "vupklsw VRT,VRB", |s, i| { vector(s, i, |r, i| unpack(r, i, 32, true))?; }
    vupkhpx = vx(846), "vupkhpx VRT,VRB", |s, i| { vector(s, i, |r, i| unpack_pixel(r, i, false))?; }
    vupklpx = vx(974), "vupklpx VRT,VRB", |s, i| { vector(s, i, |r, i| unpack_pixel(r, i, true))?; }
    "I 6.8.2";
    vmrghb = vx(12), "vmrghb VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| merge(r, i, 8, false))?; }
    vmrghh = vx(76), "vmrghh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| merge(r, i, 16, false))?; }
    vmrghw = vx(140), "vmrghw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| merge(r, i, 32, false))?; }
    vmrglb = vx(268), "vmrglb VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| merge(r, i, 8, true))?; }
    vmrglh = vx(332), "vmrglh VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| merge(r, i, 16, true))?; }
    vmrglw = vx(396), "vmrglw VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| merge(r, i, 32, true))?; }
    vmrgew = vx(1932), "vmrgew VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| merge_words(r, i, 0))?; }
    vmrgow = vx(1676), "vmrgow VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| merge_words(r, i, 1))?; }
    "I 6.8.3";
    vspltb = vx(524), "vspltb VRT,VRB,UIM", |s, i| { splat(s, i, 8)?; }
    vsplth = vx(588), "vsplth VRT,VRB,UIM", |s, i| { splat(s, i, 16)?; }
    vspltw = vx(652), "vspltw VRT,VRB,UIM", |s, i| { splat(s, i, 32)?; }
    vspltisb = vx(780), "vspltisb VRT,SIM", |s, i| { splat_immediate(s, i, 8)?; }
    vspltish = vx(844), "vspltish VRT,SIM", |s, i| { splat_immediate(s, i, 16)?; }
    vspltisw = vx(908), "vspltisw VRT,SIM", |s, i| { splat_immediate(s, i, 32)?; }
    "I 6.8.4";
    vperm = va(43), "vperm VRT,VRA,VRB,VRC", |s, i| { vector(s, i, permute)?; }
    vpermr = va(59), "vpermr VRT,VRA,VRB,VRC", |s, i| { vector(s, i, permute_right)?; }
    vpermxor = va(45), "vpermxor VRT,VRA,VRB,VRC", |s, i| { vector(s, i, permute_xor)?; }
    vsel = va(42), "vsel VRT,VRA,VRB,VRC", |s, i| {
        s.require(Facility::Vector)?;
        let ((a0, a1), (b0, b1), (c0, c1)) = (s.vsr(i.a), s.vsr(i.b), s.vsr(i.c));
        s.set_vsr(i.t, (a0 & !c0) | (b0 & c0), (a1 & !c1) | (b1 & c1));
    }
    vsldoi = va(44), "vsldoi VRT,VRA,VRB,SHB", |s, i| { shift_double(s, i)?; }
    vsl = vx(452), "vsl VRT,VRA,VRB", |s, i| { vector(s, i, shift_left)?; }
    vsr = vx(708), "vsr VRT,VRA,VRB", |s, i| { vector(s, i, shift_right)?; }
    vslo = vx(1036), "vslo VRT,VRA,VRB", |s, i| { vector(s, i, shift_left_octets)?; }
    vsro = vx(1100), "vsro VRT,VRA,VRB", |s, i| { vector(s, i, shift_right_octets)?; }
    vslv = vx(1860), "vslv VRT,VRA,VRB", |s, i| { vector(s, i, shift_left_variable)?; }
    vsrv = vx(1796), "vsrv VRT,VRA,VRB", |s, i| { vector(s, i, shift_right_variable)?; }
    "I 6.8.8";
    vextractub = vx(525), "vextractub VRT,VRB,UIM", |s, i| { vector(s, i, |r, i| extract(r, i, 1))?; }
    vextractuh = vx(589), "vextractuh VRT,VRB,UIM", |s, i| { vector(s, i, |r, i| extract(r, i, 2))?; }
    vextractuw = vx(653), "vextractuw VRT,VRB,UIM", |s, i| { vector(s, i, |r, i| extract(r, i, 4))?; }
    vextractd = vx(717), "vextractd VRT,VRB,UIM", |s, i| { vector(s, i, |r, i| extract(r, i, 8))?; }
    vinsertb = vx(781), "vinsertb VRT,VRB,UIM", |s, i| { vector(s, i, |r, i| insert(r, i, 1))?; }
    vinserth = vx(845), "vinserth VRT,VRB,UIM", |s, i| { vector(s, i, |r, i| insert(r, i, 2))?; }
    vinsertw = vx(909), "vinsertw VRT,VRB,UIM", |s, i| { vector(s, i, |r, i| insert(r, i, 4))?; }
    vinsertd = vx(973), "vinsertd VRT,VRB,UIM", |s, i| { vector(s, i, |r, i| insert(r, i, 8))?; }
    vextublx = vx_gpr(1549), "vextublx RT,RA,VRB", |s, i| { extract_byte(s, i, false)?; }
    vextuhlx = vx_gpr(1613), "vextuhlx RT,RA,VRB", |s, i| { vector(s, i, |r, i| extract_indexed(r, i, 2, false))?; }
    vextuwlx = vx_gpr(1677), "vextuwlx RT,RA,VRB", |s, i| { vector(s, i, |r, i| extract_indexed(r, i, 4, false))?; }
    vextubrx = vx_gpr(1805), "vextubrx RT,RA,VRB", |s, i| { extract_byte(s, i, true)?; }
    vextuhrx = vx_gpr(1869), "vextuhrx RT,RA,VRB", |s, i| { vector(s, i, |r, i| extract_indexed(r, i, 2, true))?; }
    vextuwrx = vx_gpr(1933), "vextuwrx RT,RA,VRB", |s, i| { vector(s, i, |r, i| extract_indexed(r, i, 4, true))?; }
    "I 6.10";
    vand = vx(1028), "vand VRT,VRA,VRB", |s, i| { logical!(s, i, |a, b| a & b) }
    vandc = vx(1092), "vandc VRT,VRA,VRB", |s, i| { logical!(s, i, |a, b| a & !b) }
    vor = vx(1156), "vor VRT,VRA,VRB", |s, i| { logical!(s, i, |a, b| a | b) }
    vxor = vx(1220), "vxor VRT,VRA,VRB", |s, i| { logical!(s, i, |a, b| a ^ b) }
    vnor = vx(1284), "vnor VRT,VRA,VRB", |s, i| { logical!(s, i, |a, b| !(a | b)) }
    vorc = vx(1348), "vorc VRT,VRA,VRB", |s, i| { logical!(s, i, |a, b| a | !b) }
    vnand = vx(1412), "vnand VRT,VRA,VRB", |s, i| { logical!(s, i, |a, b| !(a & b)) }
    veqv = vx(1668), "veqv VRT,VRA,VRB", |s, i| { logical!(s, i, |a, b| !(a ^ b)) }
}
