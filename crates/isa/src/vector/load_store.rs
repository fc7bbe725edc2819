//! Vector load, store, and VSCR moves (Power ISA Book I 6.7, 6.17).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::lanes::{splat, vx, x_vector};
use crate::instruction::instructions;
use crate::semantics::{Condition, Facility, Mem, Semantics, Value};
use crate::{Done, Ops, Regs, Trap};

/// An element load: the lane that the address names gets its element; the other lanes, undefined by the book, get
/// the rest of the quadword, as on POWER9. So it is a quadword load, whatever the size.
#[inline(always)]
fn whole_quadword<S: Semantics>(s: &mut S, i: &Ops, mem: Mem) -> Done<S> {
    s.require(Facility::Vector)?;
    let ea = s.ea_x(i);
    // DAR is the element's.
    s.probe(ea & !(mem.size as u64 - 1), mem.size as u32, false)?;
    let ea = ea & !15u64;
    let (high, low) = s.load16(ea)?;
    s.set_vsr(i.t, high, low);
    Ok(())
}

/// Stores the lane that the address names. Lanes are numbered as memory is: from the left in big-endian mode, from
/// the right in little-endian mode, so that the lane at offset n of the aligned quadword goes to offset n.
#[inline(always)]
fn store_element<S: Semantics>(s: &mut S, i: &Ops, mem: Mem) -> Done<S> {
    s.require(Facility::Vector)?;
    let bytes = mem.size as u64;
    let ea = s.ea_x(i) & !(bytes - 1);
    let offset = ea & (16 - bytes);
    // Bits to shift right to bring the lane down: in big-endian mode the lane at offset 0 is the leftmost.
    let from_left = s.imm(16 - bytes) - offset;
    let shift = if s.little_endian() { offset } else { from_left } << 3u64;
    let (high, low) = s.vsr(i.t);
    let far = !(shift & 64).eq(s.imm(0));
    let value = far.select(high, low) >> (shift & 63);
    s.store(ea, value, mem)
}

/// The control vector for `vperm` that shifts by the low four bits of the address.
#[inline(always)]
fn shift_control<S: Semantics>(s: &mut S, i: &Ops, right: bool) -> Done<S> {
    s.require(Facility::Vector)?;
    let shift = s.ea_x(i) & 15;
    let first = if right { s.imm(16) - shift } else { shift };
    // No octet of the sums is larger than 31.
    let each = first * splat(1, 8);
    s.set_vsr(i.t, each + 0x0001_0203_0405_0607, each + 0x0809_0a0b_0c0d_0e0f);
    Ok(())
}

fn move_from_vscr(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    let value = regs.vscr as u128;
    regs.set_vsr128(i.t, value);
    Ok(())
}

/// VSCR has NJ and SAT.
fn move_to_vscr(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    regs.vscr = regs.vsr128(i.b) as u64 & 0x1_0001;
    Ok(())
}

instructions! {
    "I 6.7.2";
    lvx = x_vector(103), "lvx VRT,RA,RB", |s, i| {
        s.require(Facility::Vector)?;
        let ea = s.ea_x(i) & !15u64;
        let (high, low) = s.load16(ea)?;
        s.set_vsr(i.t, high, low);
    }
    lvxl = x_vector(359), "lvxl VRT,RA,RB", |s, i| {
        s.require(Facility::Vector)?;
        let ea = s.ea_x(i) & !15u64;
        let (high, low) = s.load16(ea)?;
        s.set_vsr(i.t, high, low);
    }
    lvebx = x_vector(7), "lvebx VRT,RA,RB", |s, i| { whole_quadword(s, i, Mem::B)?; }
    lvehx = x_vector(39), "lvehx VRT,RA,RB", |s, i| { whole_quadword(s, i, Mem::H)?; }
    lvewx = x_vector(71), "lvewx VRT,RA,RB", |s, i| { whole_quadword(s, i, Mem::W)?; }
    "I 6.7.3";
    stvx = x_vector(231), "stvx VRS,RA,RB", |s, i| {
        s.require(Facility::Vector)?;
        let ea = s.ea_x(i) & !15u64;
        let (high, low) = s.vsr(i.t);
        s.store16(ea, high, low)?;
    }
    stvxl = x_vector(487), "stvxl VRS,RA,RB", |s, i| {
        s.require(Facility::Vector)?;
        let ea = s.ea_x(i) & !15u64;
        let (high, low) = s.vsr(i.t);
        s.store16(ea, high, low)?;
    }
    stvebx = x_vector(135), "stvebx VRS,RA,RB", |s, i| { store_element(s, i, Mem::B)?; }
    stvehx = x_vector(167), "stvehx VRS,RA,RB", |s, i| { store_element(s, i, Mem::H)?; }
    stvewx = x_vector(199), "stvewx VRS,RA,RB", |s, i| { store_element(s, i, Mem::W)?; }
    "I 6.7.4";
    lvsl_ = x_vector(6), "lvsl VRT,RA,RB", |s, i| { shift_control(s, i, false)?; }
    lvsr_ = x_vector(38), "lvsr VRT,RA,RB", |s, i| { shift_control(s, i, true)?; }
    "I 6.17";
    mfvscr = vx(1540), "mfvscr VRT", |s, i| { s.require(Facility::Vector)?; s.compute(move_from_vscr, i)?; }
    mtvscr = vx(1604), "mtvscr VRB", |s, i| { s.require(Facility::Vector)?; s.compute(move_to_vscr, i)?; }
}
