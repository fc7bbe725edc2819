//! VSX loads and stores (Power ISA Book I 7.6.2): scalars, whole vectors, vectors by element, vectors of a length in
//! a register, pairs, and the prefixed ones of ISA 3.1.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::encoding::*;
use crate::encoding::PO;
use crate::fixed::prefixed_ea;
use crate::float::single::{double_to_single, single_to_double};
use crate::instruction::instructions;
use crate::semantics::{Condition, Facility, Mem, Semantics, Unary, Value};
use crate::{Done, Encoding, Ops};

/// The newer instructions need VSX for VSR 0 to 31 and the vector facility for the others.
#[inline(always)]
const fn by_register(n: u8) -> Facility {
    if n < 32 { Facility::Vsx } else { Facility::Vector }
}

#[inline(always)]
pub(super) fn require_by_register<S: Semantics>(s: &mut S, n: u8) -> Done<S> {
    s.require(by_register(n))
}

#[inline(always)]
fn load<S: Semantics>(s: &mut S, i: &Ops, ea: S::V) -> Done<S> {
    require_by_register(s, i.t)?;
    let (high, low) = s.load16(ea)?;
    s.set_vsr(i.t, high, low);
    Ok(())
}

#[inline(always)]
fn store<S: Semantics>(s: &mut S, i: &Ops, ea: S::V) -> Done<S> {
    require_by_register(s, i.t)?;
    let (high, low) = s.vsr(i.t);
    s.store16(ea, high, low)
}

/// Loads doubleword 0; the other becomes 0.
#[inline(always)]
fn load_scalar<S: Semantics>(s: &mut S, i: &Ops, facility: Facility, ea: S::V, mem: Mem) -> Done<S> {
    s.require(facility)?;
    let value = s.load(ea, mem)?;
    let zero = s.imm(0);
    s.set_vsr(i.t, value, zero);
    Ok(())
}

#[inline(always)]
fn store_scalar<S: Semantics>(s: &mut S, i: &Ops, facility: Facility, ea: S::V, mem: Mem) -> Done<S> {
    s.require(facility)?;
    let (value, _) = s.vsr(i.t);
    s.store(ea, value, mem)
}

/// Loads a single into doubleword 0 as a double.
#[inline(always)]
fn load_single<S: Semantics>(s: &mut S, i: &Ops, facility: Facility, ea: S::V) -> Done<S> {
    s.require(facility)?;
    let single = s.load(ea, Mem::W)?;
    let (value, zero) = (single_to_double(s, single), s.imm(0));
    s.set_vsr(i.t, value, zero);
    Ok(())
}

#[inline(always)]
fn store_single<S: Semantics>(s: &mut S, i: &Ops, facility: Facility, ea: S::V) -> Done<S> {
    s.require(facility)?;
    let (value, _) = s.vsr(i.t);
    let single = double_to_single(s, value);
    s.store(ea, single, Mem::W)
}

/// Words of a doubleword exchanged.
#[inline(always)]
fn words_exchanged<V: Value>(v: V) -> V {
    v << 32 | v >> 32
}

/// Halfwords of each word exchanged.
#[inline(always)]
fn halves_exchanged<V: Value>(v: V) -> V {
    (v & 0x0000_ffff_0000_ffff) << 16 | (v >> 16) & 0x0000_ffff_0000_ffff
}

/// A doubleword read in the thread's byte order, as elements of `size` bytes that are each in that order, the first
/// one most significant; and the same backwards.
#[inline(always)]
fn elements<S: Semantics>(s: &S, doubleword: S::V, size: u8) -> S::V {
    if !s.little_endian() {
        return doubleword;
    }
    match size {
        8 => doubleword,
        4 => words_exchanged(doubleword),
        2 => halves_exchanged(words_exchanged(doubleword)),
        _ => doubleword.unary(Unary::Bswap64),
    }
}

/// Loads a vector whose elements stand in storage in their order, each in the thread's byte order.
#[inline(always)]
fn load_elements<S: Semantics>(s: &mut S, i: &Ops, size: u8) -> Done<S> {
    if size < 4 {
        require_by_register(s, i.t)?
    } else {
        s.require(Facility::Vsx)?
    }
    let ea = s.ea_x(i);
    s.probe(ea, 16, false)?;
    let (first, second) = (s.load(ea, Mem::D)?, s.load(ea + 8, Mem::D)?);
    let (high, low) = (elements(s, first, size), elements(s, second, size));
    s.set_vsr(i.t, high, low);
    Ok(())
}

#[inline(always)]
fn store_elements<S: Semantics>(s: &mut S, i: &Ops, size: u8) -> Done<S> {
    if size < 4 {
        require_by_register(s, i.t)?
    } else {
        s.require(Facility::Vsx)?
    }
    let ea = s.ea_x(i);
    s.probe(ea, 16, true)?;
    let (high, low) = s.vsr(i.t);
    let (first, second) = (elements(s, high, size), elements(s, low, size));
    s.store(ea, first, Mem::D)?;
    s.store(ea + 8, second, Mem::D)
}

/// Loads the rightmost element, the rest becomes 0.
#[inline(always)]
fn load_rightmost<S: Semantics>(s: &mut S, i: &Ops, mem: Mem) -> Done<S> {
    s.require(Facility::Vsx)?;
    let value = s.load(s.ea_x(i), mem)?;
    let zero = s.imm(0);
    s.set_vsr(i.t, zero, value);
    Ok(())
}

#[inline(always)]
fn store_rightmost<S: Semantics>(s: &mut S, i: &Ops, mem: Mem) -> Done<S> {
    s.require(Facility::Vsx)?;
    let (_, value) = s.vsr(i.t);
    s.store(s.ea_x(i), value, mem)
}

/// The length in bits 0 to 7 of RB, at most 16.
#[inline(always)]
fn length<S: Semantics>(s: &S, i: &Ops) -> S::V {
    let length = s.gpr(i.b) >> 56;
    length.ltu(s.imm(16)).select(length, s.imm(16))
}

/// `lxvl`: as many bytes as RB says, right-justified in little-endian mode; `left`: always left-justified.
#[inline(always)]
fn load_length<S: Semantics>(s: &mut S, i: &Ops, left: bool) -> Done<S> {
    require_by_register(s, i.t)?;
    let (ea, count) = (s.gpr(i.a), length(s, i));
    let (first, second) = s.load_bytes(ea, count)?;
    if s.little_endian() && !left {
        s.set_vsr(i.t, second.unary(Unary::Bswap64), first.unary(Unary::Bswap64));
    } else {
        s.set_vsr(i.t, first, second);
    }
    Ok(())
}

#[inline(always)]
fn store_length<S: Semantics>(s: &mut S, i: &Ops, left: bool) -> Done<S> {
    require_by_register(s, i.t)?;
    let (ea, count) = (s.gpr(i.a), length(s, i));
    let (high, low) = s.vsr(i.t);
    if s.little_endian() && !left {
        s.store_bytes(ea, count, low.unary(Unary::Bswap64), high.unary(Unary::Bswap64))
    } else {
        s.store_bytes(ea, count, high, low)
    }
}

/// A pair of VSRs is 32 bytes in the thread's byte order.
#[inline(always)]
fn load_pair<S: Semantics>(s: &mut S, i: &Ops, ea: S::V) -> Done<S> {
    s.require(Facility::Vsx)?;
    s.probe(ea, 32, false)?;
    let (first, second) = (s.load16(ea)?, s.load16(ea + 16)?);
    let (even, odd) = if s.little_endian() { (second, first) } else { (first, second) };
    s.set_vsr(i.t, even.0, even.1);
    s.set_vsr(i.t + 1, odd.0, odd.1);
    Ok(())
}

#[inline(always)]
fn store_pair<S: Semantics>(s: &mut S, i: &Ops, ea: S::V) -> Done<S> {
    s.require(Facility::Vsx)?;
    s.probe(ea, 32, true)?;
    let (even, odd) = (s.vsr(i.t), s.vsr(i.t + 1));
    let (first, second) = if s.little_endian() { (odd, even) } else { (even, odd) };
    s.store16(ea, first.0, first.1)?;
    s.store16(ea + 16, second.0, second.1)
}

const VSX: Facility = Facility::Vsx;
const VEC: Facility = Facility::Vector;

instructions! {
    "I 7.6.2.1";
    lxsd = ds_vr(57, 2), "lxsd VRT,DS(RA)", |s, i| { load_scalar(s, i, VEC, s.ea_d(i), Mem::D)?; }
    lxsdx = xx1_0(588), "lxsdx XT,RA,RB", |s, i| { load_scalar(s, i, VSX, s.ea_x(i), Mem::D)?; }
    lxsibzx = xx1_0(781), "lxsibzx XT,RA,RB", |s, i| { load_scalar(s, i, by_register(i.t), s.ea_x(i), Mem::B)?; }
    lxsihzx = xx1_0(813), "lxsihzx XT,RA,RB", |s, i| { load_scalar(s, i, by_register(i.t), s.ea_x(i), Mem::H)?; }
    lxsiwax = xx1_0(76), "lxsiwax XT,RA,RB", |s, i| { load_scalar(s, i, VSX, s.ea_x(i), Mem::W.signed())?; }
    lxsiwzx = xx1_0(12), "lxsiwzx XT,RA,RB", |s, i| { load_scalar(s, i, VSX, s.ea_x(i), Mem::W)?; }
    lxssp = ds_vr(57, 3), "lxssp VRT,DS(RA)", |s, i| { load_single(s, i, VEC, s.ea_d(i))?; }
    lxsspx = xx1_0(524), "lxsspx XT,RA,RB", |s, i| { load_single(s, i, VSX, s.ea_x(i))?; }
    plxsd = eight_ls_vr(42), "plxsd VRT,D(RA),R", |s, i| { load_scalar(s, i, VEC, prefixed_ea(s, i), Mem::D)?; }
    plxssp = eight_ls_vr(43), "plxssp VRT,D(RA),R", |s, i| { load_single(s, i, VEC, prefixed_ea(s, i))?; }
    "I 7.6.2.2";
    stxsd = ds_vr(61, 2), "stxsd VRS,DS(RA)", |s, i| { store_scalar(s, i, VEC, s.ea_d(i), Mem::D)?; }
    stxsdx = xx1_0(716), "stxsdx XS,RA,RB", |s, i| { store_scalar(s, i, VSX, s.ea_x(i), Mem::D)?; }
    stxsibx = xx1_0(909), "stxsibx XS,RA,RB", |s, i| { store_scalar(s, i, by_register(i.t), s.ea_x(i), Mem::B)?; }
    stxsihx = xx1_0(941), "stxsihx XS,RA,RB", |s, i| { store_scalar(s, i, by_register(i.t), s.ea_x(i), Mem::H)?; }
    stxsiwx = xx1_0(140), "stxsiwx XS,RA,RB", |s, i| { store_scalar(s, i, VSX, s.ea_x(i), Mem::W)?; }
    stxssp = ds_vr(61, 3), "stxssp VRS,DS(RA)", |s, i| { store_single(s, i, VEC, s.ea_d(i))?; }
    stxsspx = xx1_0(652), "stxsspx XS,RA,RB", |s, i| { store_single(s, i, VSX, s.ea_x(i))?; }
    pstxsd = eight_ls_vr(46), "pstxsd VRS,D(RA),R", |s, i| { store_scalar(s, i, VEC, prefixed_ea(s, i), Mem::D)?; }
    pstxssp = eight_ls_vr(47), "pstxssp VRS,D(RA),R", |s, i| { store_single(s, i, VEC, prefixed_ea(s, i))?; }
    "I 7.6.2.3";
    lxv = dq_xt(1), "lxv XT,DQ(RA)", |s, i| { load(s, i, s.ea_d(i))?; }
    // Bit 25 is reserved.
    lxvx = Encoding::new(PO | 0x7be, 31 << 26 | 268 << 1, xx1_0(268).operands), "lxvx XT,RA,RB", |s, i| { load(s, i, s.ea_x(i))?; }
    plxv = eight_ls_xt(25), "plxv XT,D(RA),R", |s, i| { load(s, i, prefixed_ea(s, i))?; }
    lxvd2x = xx1_0(844), "lxvd2x XT,RA,RB", |s, i| { load_elements(s, i, 8)?; }
    lxvw4x = xx1_0(780), "lxvw4x XT,RA,RB", |s, i| { load_elements(s, i, 4)?; }
    lxvh8x = xx1_0(812), "lxvh8x XT,RA,RB", |s, i| { load_elements(s, i, 2)?; }
    lxvb16x = xx1_0(876), "lxvb16x XT,RA,RB", |s, i| { load_elements(s, i, 1)?; }
    lxvdsx = xx1_0(332), "lxvdsx XT,RA,RB", |s, i| {
        s.require(VSX)?;
        let v = s.load(s.ea_x(i), Mem::D)?;
        s.set_vsr(i.t, v, v);
    }
    lxvwsx = xx1_0(364), "lxvwsx XT,RA,RB", |s, i| {
        require_by_register(s, i.t)?;
        let v = s.load(s.ea_x(i), Mem::W)?;
        let v = v << 32 | v;
        s.set_vsr(i.t, v, v);
    }
    lxvl = xx1_0(269), "lxvl XT,RA,RB", |s, i| { load_length(s, i, false)?; }
    lxvll = xx1_0(301), "lxvll XT,RA,RB", |s, i| { load_length(s, i, true)?; }
    lxvrbx = xx1_0(13).v31(), "lxvrbx XT,RA,RB", |s, i| { load_rightmost(s, i, Mem::B)?; }
    lxvrhx = xx1_0(45).v31(), "lxvrhx XT,RA,RB", |s, i| { load_rightmost(s, i, Mem::H)?; }
    lxvrwx = xx1_0(77).v31(), "lxvrwx XT,RA,RB", |s, i| { load_rightmost(s, i, Mem::W)?; }
    lxvrdx = xx1_0(109).v31(), "lxvrdx XT,RA,RB", |s, i| { load_rightmost(s, i, Mem::D)?; }
    lxvp = dq_pair(0), "lxvp XTp,DQ(RA)", |s, i| { load_pair(s, i, s.ea_d(i))?; }
    lxvpx = x_pair(333), "lxvpx XTp,RA,RB", |s, i| { load_pair(s, i, s.ea_x(i))?; }
    plxvp = eight_ls_pair(58), "plxvp XTp,D(RA),R", |s, i| { load_pair(s, i, prefixed_ea(s, i))?; }
    "I 7.6.2.4";
    stxv = dq_xt(5), "stxv XS,DQ(RA)", |s, i| { store(s, i, s.ea_d(i))?; }
    stxvx = xx1_0(396), "stxvx XS,RA,RB", |s, i| { store(s, i, s.ea_x(i))?; }
    pstxv = eight_ls_xt(27), "pstxv XS,D(RA),R", |s, i| { store(s, i, prefixed_ea(s, i))?; }
    stxvd2x = xx1_0(972), "stxvd2x XS,RA,RB", |s, i| { store_elements(s, i, 8)?; }
    stxvw4x = xx1_0(908), "stxvw4x XS,RA,RB", |s, i| { store_elements(s, i, 4)?; }
    stxvh8x = xx1_0(940), "stxvh8x XS,RA,RB", |s, i| { store_elements(s, i, 2)?; }
    stxvb16x = xx1_0(1004), "stxvb16x XS,RA,RB", |s, i| { store_elements(s, i, 1)?; }
    stxvl = xx1_0(397), "stxvl XS,RA,RB", |s, i| { store_length(s, i, false)?; }
    stxvll = xx1_0(429), "stxvll XS,RA,RB", |s, i| { store_length(s, i, true)?; }
    stxvrbx = xx1_0(141).v31(), "stxvrbx XS,RA,RB", |s, i| { store_rightmost(s, i, Mem::B)?; }
    stxvrhx = xx1_0(173).v31(), "stxvrhx XS,RA,RB", |s, i| { store_rightmost(s, i, Mem::H)?; }
    stxvrwx = xx1_0(205).v31(), "stxvrwx XS,RA,RB", |s, i| { store_rightmost(s, i, Mem::W)?; }
    stxvrdx = xx1_0(237).v31(), "stxvrdx XS,RA,RB", |s, i| { store_rightmost(s, i, Mem::D)?; }
    stxvp = dq_pair(1), "stxvp XSp,DQ(RA)", |s, i| { store_pair(s, i, s.ea_d(i))?; }
    stxvpx = x_pair(461), "stxvpx XSp,RA,RB", |s, i| { store_pair(s, i, s.ea_x(i))?; }
    pstxvp = eight_ls_pair(62), "pstxvp XSp,D(RA),R", |s, i| { store_pair(s, i, prefixed_ea(s, i))?; }
}
