//! Fixed-point load and store (Power ISA Book I 3.3.2 to 3.3.7): plain, update, indexed, byte-reversed, multiple,
//! string and quadword. The atomic ones are in [`crate::storage`].
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use crate::encoding::*;
use crate::instruction::instructions;
use crate::semantics::{Mem, Semantics};
use crate::{Done, Ops, SystemOp};

#[inline(always)]
fn load<S: Semantics>(s: &mut S, i: &Ops, ea: S::V, mem: Mem) -> Done<S> {
    let value = s.load(ea, mem)?;
    s.set_gpr(i.t, value);
    Ok(())
}

/// With RA = RT the form is invalid; POWER9 loads and then RA, which is RT, gets the address.
#[inline(always)]
fn load_update<S: Semantics>(s: &mut S, i: &Ops, ea: S::V, mem: Mem) -> Done<S> {
    load(s, i, ea, mem)?;
    s.set_gpr(i.a, ea);
    Ok(())
}

#[inline(always)]
fn store<S: Semantics>(s: &mut S, i: &Ops, ea: S::V, mem: Mem) -> Done<S> {
    let value = s.gpr(i.t);
    s.store(ea, value, mem)
}

#[inline(always)]
fn store_update<S: Semantics>(s: &mut S, i: &Ops, ea: S::V, mem: Mem) -> Done<S> {
    store(s, i, ea, mem)?;
    s.set_gpr(i.a, ea);
    Ok(())
}

const B: Mem = Mem::B;
const H: Mem = Mem::H;
const W: Mem = Mem::W;
const D: Mem = Mem::D;

instructions! {
    "I 3.3.2";
    lbz = d0(34), "lbz RT,D(RA)", |s, i| { load(s, i, s.ea_d(i), B)?; }
    lbzx = x0(31, 87), "lbzx RT,RA,RB", |s, i| { load(s, i, s.ea_x(i), B)?; }
    lbzu = d(35), "lbzu RT,D(RA)", |s, i| { load_update(s, i, s.ea_d(i), B)?; }
    lbzux = x(31, 119), "lbzux RT,RA,RB", |s, i| { load_update(s, i, s.ea_x(i), B)?; }
    lhz = d0(40), "lhz RT,D(RA)", |s, i| { load(s, i, s.ea_d(i), H)?; }
    lhzx = x0(31, 279), "lhzx RT,RA,RB", |s, i| { load(s, i, s.ea_x(i), H)?; }
    lhzu = d(41), "lhzu RT,D(RA)", |s, i| { load_update(s, i, s.ea_d(i), H)?; }
    lhzux = x(31, 311), "lhzux RT,RA,RB", |s, i| { load_update(s, i, s.ea_x(i), H)?; }
    lha = d0(42), "lha RT,D(RA)", |s, i| { load(s, i, s.ea_d(i), H.signed())?; }
    lhax = x0(31, 343), "lhax RT,RA,RB", |s, i| { load(s, i, s.ea_x(i), H.signed())?; }
    lhau = d(43), "lhau RT,D(RA)", |s, i| { load_update(s, i, s.ea_d(i), H.signed())?; }
    lhaux = x(31, 375), "lhaux RT,RA,RB", |s, i| { load_update(s, i, s.ea_x(i), H.signed())?; }
    lwz = d0(32), "lwz RT,D(RA)", |s, i| { load(s, i, s.ea_d(i), W)?; }
    lwzx = x0(31, 23), "lwzx RT,RA,RB", |s, i| { load(s, i, s.ea_x(i), W)?; }
    lwzu = d(33), "lwzu RT,D(RA)", |s, i| { load_update(s, i, s.ea_d(i), W)?; }
    lwzux = x(31, 55), "lwzux RT,RA,RB", |s, i| { load_update(s, i, s.ea_x(i), W)?; }
    lwa = ds0(58, 2), "lwa RT,DS(RA)", |s, i| { load(s, i, s.ea_d(i), W.signed())?; }
    lwax = x0(31, 341), "lwax RT,RA,RB", |s, i| { load(s, i, s.ea_x(i), W.signed())?; }
    lwaux = x(31, 373), "lwaux RT,RA,RB", |s, i| { load_update(s, i, s.ea_x(i), W.signed())?; }
    ld = ds0(58, 0), "ld RT,DS(RA)", |s, i| { load(s, i, s.ea_d(i), D)?; }
    ldx = x0(31, 21), "ldx RT,RA,RB", |s, i| { load(s, i, s.ea_x(i), D)?; }
    ldu = ds(58, 1), "ldu RT,DS(RA)", |s, i| { load_update(s, i, s.ea_d(i), D)?; }
    ldux = x(31, 53), "ldux RT,RA,RB", |s, i| { load_update(s, i, s.ea_x(i), D)?; }
    "I 3.3.3";
    stb = d0(38), "stb RS,D(RA)", |s, i| { store(s, i, s.ea_d(i), B)?; }
    stbx = x0(31, 215), "stbx RS,RA,RB", |s, i| { store(s, i, s.ea_x(i), B)?; }
    stbu = d(39), "stbu RS,D(RA)", |s, i| { store_update(s, i, s.ea_d(i), B)?; }
    stbux = x(31, 247), "stbux RS,RA,RB", |s, i| { store_update(s, i, s.ea_x(i), B)?; }
    sth = d0(44), "sth RS,D(RA)", |s, i| { store(s, i, s.ea_d(i), H)?; }
    sthx = x0(31, 407), "sthx RS,RA,RB", |s, i| { store(s, i, s.ea_x(i), H)?; }
    sthu = d(45), "sthu RS,D(RA)", |s, i| { store_update(s, i, s.ea_d(i), H)?; }
    sthux = x(31, 439), "sthux RS,RA,RB", |s, i| { store_update(s, i, s.ea_x(i), H)?; }
    stw = d0(36), "stw RS,D(RA)", |s, i| { store(s, i, s.ea_d(i), W)?; }
    stwx = x0(31, 151), "stwx RS,RA,RB", |s, i| { store(s, i, s.ea_x(i), W)?; }
    stwu = d(37), "stwu RS,D(RA)", |s, i| { store_update(s, i, s.ea_d(i), W)?; }
    stwux = x(31, 183), "stwux RS,RA,RB", |s, i| { store_update(s, i, s.ea_x(i), W)?; }
    std = ds0(62, 0), "std RS,DS(RA)", |s, i| { store(s, i, s.ea_d(i), D)?; }
    stdx = x0(31, 149), "stdx RS,RA,RB", |s, i| { store(s, i, s.ea_x(i), D)?; }
    stdu = ds(62, 1), "stdu RS,DS(RA)", |s, i| { store_update(s, i, s.ea_d(i), D)?; }
    stdux = x(31, 181), "stdux RS,RA,RB", |s, i| { store_update(s, i, s.ea_x(i), D)?; }
    "I 3.3.4";
    lq = dq0(56), "lq RTp,DQ(RA)", |s, i| { s.system(SystemOp::Lq, i)?; }
    stq = ds0(62, 2), "stq RSp,DS(RA)", |s, i| { s.system(SystemOp::Stq, i)?; }
    "I 3.3.5";
    lhbrx = x0(31, 790), "lhbrx RT,RA,RB", |s, i| { load(s, i, s.ea_x(i), H.reversed())?; }
    lwbrx = x0(31, 534), "lwbrx RT,RA,RB", |s, i| { load(s, i, s.ea_x(i), W.reversed())?; }
    ldbrx = x0(31, 532), "ldbrx RT,RA,RB", |s, i| { load(s, i, s.ea_x(i), D.reversed())?; }
    sthbrx = x0(31, 918), "sthbrx RS,RA,RB", |s, i| { store(s, i, s.ea_x(i), H.reversed())?; }
    stwbrx = x0(31, 662), "stwbrx RS,RA,RB", |s, i| { store(s, i, s.ea_x(i), W.reversed())?; }
    stdbrx = x0(31, 660), "stdbrx RS,RA,RB", |s, i| { store(s, i, s.ea_x(i), D.reversed())?; }
    "I 3.3.6";
    lmw = d0(46), "lmw RT,D(RA)", |s, i| {
        s.system(SystemOp::MultipleCheck, i)?;
        let ea = s.ea_d(i);
        s.probe(ea, 4 * (32 - i.t as u32), false)?;
        // RA in the range to be loaded is an invalid form; POWER9 loads it.
        for n in i.t..32 {
            let v = s.load(ea + 4 * (n - i.t) as u64, W)?;
            s.set_gpr(n, v);
        }
    }
    stmw = d0(47), "stmw RS,D(RA)", |s, i| {
        s.system(SystemOp::MultipleCheck, i)?;
        let ea = s.ea_d(i);
        s.probe(ea, 4 * (32 - i.t as u32), true)?;
        for n in i.t..32 {
            s.store(ea + 4 * (n - i.t) as u64, s.gpr(n), W)?;
        }
    }
    "I 3.3.7";
    lswi = x0(31, 597), "lswi RT,RA,NB", |s, i| { s.system(SystemOp::LoadString, &Ops { imm: if i.b == 0 { 32 } else { i.b as u64 }, b: 32, ..*i })?; }
    lswx = x0(31, 533), "lswx RT,RA,RB", |s, i| { s.system(SystemOp::LoadString, &Ops { imm: u64::MAX, ..*i })?; }
    stswi = x0(31, 725), "stswi RS,RA,NB", |s, i| { s.system(SystemOp::StoreString, &Ops { imm: if i.b == 0 { 32 } else { i.b as u64 }, b: 32, ..*i })?; }
    stswx = x0(31, 661), "stswx RS,RA,RB", |s, i| { s.system(SystemOp::StoreString, &Ops { imm: u64::MAX, ..*i })?; }
}

/// Effective address of a prefixed load or store: relative to the instruction when R is 1.
#[inline(always)]
pub(crate) fn prefixed_ea<S: Semantics>(s: &S, i: &Ops) -> S::V {
    if i.oe { s.cia() + i.imm } else { s.ea_d(i) }
}
