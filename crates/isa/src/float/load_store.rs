//! Floating-point loads and stores (Power ISA Book I 4.6.2 to 4.6.4).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::single::{double_to_single, single_to_double};
use crate::encoding::*;
use crate::fixed::prefixed_ea;
use crate::instruction::instructions;
use crate::semantics::{Facility, Mem, Semantics};
use crate::{Done, Ops, Reg};

#[inline(always)]
fn set_fpr<S: Semantics>(s: &mut S, n: u8, value: S::V) {
    let zero = s.imm(0);
    s.set_vsr(n, value, zero);
}

#[inline(always)]
fn load<S: Semantics>(s: &mut S, i: &Ops, ea: S::V, mem: Mem) -> Done<S> {
    s.require(Facility::Fp)?;
    let value = s.load(ea, mem)?;
    set_fpr(s, i.t, value);
    Ok(())
}

#[inline(always)]
fn load_single<S: Semantics>(s: &mut S, i: &Ops, ea: S::V) -> Done<S> {
    s.require(Facility::Fp)?;
    let single = s.load(ea, Mem::W)?;
    let value = single_to_double(s, single);
    set_fpr(s, i.t, value);
    Ok(())
}

#[inline(always)]
fn store<S: Semantics>(s: &mut S, i: &Ops, ea: S::V, mem: Mem) -> Done<S> {
    s.require(Facility::Fp)?;
    let value = s.get(Reg::fpr(i.t));
    s.store(ea, value, mem)
}

#[inline(always)]
fn store_single<S: Semantics>(s: &mut S, i: &Ops, ea: S::V) -> Done<S> {
    s.require(Facility::Fp)?;
    let single = double_to_single(s, s.get(Reg::fpr(i.t)));
    s.store(ea, single, Mem::W)
}

/// RA := the address, after an access that did not fail.
#[inline(always)]
fn update<S: Semantics>(s: &mut S, i: &Ops, ea: S::V, accessed: Done<S>) -> Done<S> {
    accessed?;
    s.set_gpr(i.a, ea);
    Ok(())
}

/// The even register of a pair has the doubleword that is more significant in the thread's byte order.
#[inline(always)]
fn load_pair<S: Semantics>(s: &mut S, i: &Ops, ea: S::V) -> Done<S> {
    s.require(Facility::Fp)?;
    let (even, odd) = s.load16(ea)?;
    set_fpr(s, i.t & 30, even);
    set_fpr(s, i.t | 1, odd);
    Ok(())
}

#[inline(always)]
fn store_pair<S: Semantics>(s: &mut S, i: &Ops, ea: S::V) -> Done<S> {
    s.require(Facility::Fp)?;
    let (even, odd) = (s.get(Reg::fpr(i.t & 30)), s.get(Reg::fpr(i.t | 1)));
    s.store16(ea, even, odd)
}

const W: Mem = Mem::W;
const D: Mem = Mem::D;

instructions! {
    "I 4.6.2";
    lfs = d0(48), "lfs FRT,D(RA)", |s, i| { load_single(s, i, s.ea_d(i))?; }
    lfsx = x0(31, 535), "lfsx FRT,RA,RB", |s, i| { load_single(s, i, s.ea_x(i))?; }
    lfsu = d(49), "lfsu FRT,D(RA)", |s, i| { let ea = s.ea_d(i); let done = load_single(s, i, ea); update(s, i, ea, done)?; }
    lfsux = x(31, 567), "lfsux FRT,RA,RB", |s, i| { let ea = s.ea_x(i); let done = load_single(s, i, ea); update(s, i, ea, done)?; }
    lfd = d0(50), "lfd FRT,D(RA)", |s, i| { load(s, i, s.ea_d(i), D)?; }
    lfdx = x0(31, 599), "lfdx FRT,RA,RB", |s, i| { load(s, i, s.ea_x(i), D)?; }
    lfdu = d(51), "lfdu FRT,D(RA)", |s, i| { let ea = s.ea_d(i); let done = load(s, i, ea, D); update(s, i, ea, done)?; }
    lfdux = x(31, 631), "lfdux FRT,RA,RB", |s, i| { let ea = s.ea_x(i); let done = load(s, i, ea, D); update(s, i, ea, done)?; }
    lfiwax = x0(31, 855), "lfiwax FRT,RA,RB", |s, i| { load(s, i, s.ea_x(i), W.signed())?; }
    lfiwzx = x0(31, 887), "lfiwzx FRT,RA,RB", |s, i| { load(s, i, s.ea_x(i), W)?; }
    plfs = mls_d(48), "plfs FRT,D(RA),R", |s, i| { load_single(s, i, prefixed_ea(s, i))?; }
    plfd = mls_d(50), "plfd FRT,D(RA),R", |s, i| { load(s, i, prefixed_ea(s, i), D)?; }
    "I 4.6.3";
    stfs = d0(52), "stfs FRS,D(RA)", |s, i| { store_single(s, i, s.ea_d(i))?; }
    stfsx = x0(31, 663), "stfsx FRS,RA,RB", |s, i| { store_single(s, i, s.ea_x(i))?; }
    stfsu = d(53), "stfsu FRS,D(RA)", |s, i| { let ea = s.ea_d(i); let done = store_single(s, i, ea); update(s, i, ea, done)?; }
    stfsux = x(31, 695), "stfsux FRS,RA,RB", |s, i| { let ea = s.ea_x(i); let done = store_single(s, i, ea); update(s, i, ea, done)?; }
    stfd = d0(54), "stfd FRS,D(RA)", |s, i| { store(s, i, s.ea_d(i), D)?; }
    stfdx = x0(31, 727), "stfdx FRS,RA,RB", |s, i| { store(s, i, s.ea_x(i), D)?; }
    stfdu = d(55), "stfdu FRS,D(RA)", |s, i| { let ea = s.ea_d(i); let done = store(s, i, ea, D); update(s, i, ea, done)?; }
    stfdux = x(31, 759), "stfdux FRS,RA,RB", |s, i| { let ea = s.ea_x(i); let done = store(s, i, ea, D); update(s, i, ea, done)?; }
    stfiwx = x0(31, 983), "stfiwx FRS,RA,RB", |s, i| { store(s, i, s.ea_x(i), W)?; }
    pstfs = mls_d(52), "pstfs FRS,D(RA),R", |s, i| { store_single(s, i, prefixed_ea(s, i))?; }
    pstfd = mls_d(54), "pstfd FRS,D(RA),R", |s, i| { store(s, i, prefixed_ea(s, i), D)?; }
    "I 4.6.4";
    lfdp = ds0(57, 0), "lfdp FRTp,DS(RA)", |s, i| { load_pair(s, i, s.ea_d(i))?; }
    lfdpx = x0(31, 791), "lfdpx FRTp,RA,RB", |s, i| { load_pair(s, i, s.ea_x(i))?; }
    stfdp = ds0(61, 0), "stfdp FRSp,DS(RA)", |s, i| { store_pair(s, i, s.ea_d(i))?; }
    stfdpx = x0(31, 919), "stfdpx FRSp,RA,RB", |s, i| { store_pair(s, i, s.ea_x(i))?; }
}
