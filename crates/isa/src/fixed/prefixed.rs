//! Prefixed fixed-point instructions of ISA 3.1 (Book I 3.3.2, 3.3.3, 3.3.9).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::load_store::prefixed_ea;
use crate::encoding::*;
use crate::instruction::instructions;
use crate::semantics::{Mem, Semantics};
use crate::{Done, Ops, SystemOp};

#[inline(always)]
fn load<S: Semantics>(s: &mut S, i: &Ops, mem: Mem) -> Done<S> {
    let value = s.load(prefixed_ea(s, i), mem)?;
    s.set_gpr(i.t, value);
    Ok(())
}

#[inline(always)]
fn store<S: Semantics>(s: &mut S, i: &Ops, mem: Mem) -> Done<S> {
    let value = s.gpr(i.t);
    s.store(prefixed_ea(s, i), value, mem)
}

const fn prefixed_nop() -> Encoding {
    // Prefix type 3, subtype 0; the suffix may be any word but a branch, rfebb, context-synchronizing or
    // undefined one, which boundedly misbehave: they are ignored.
    Encoding::new(63 << 58 | 3 << 56 | 0xf << 52 | 0x1_ffff << 33, 1 << 58 | 3 << 56, |_| {
        Ops::default_const()
    })
    .v31()
}

impl Ops {
    const fn default_const() -> Ops {
        Ops { op: 0, t: 0, a: 0, b: 0, c: 0, rc: false, oe: false, imm: 0 }
    }
}

instructions! {
    "I 3.3.2";
    plbz = mls_d(34), "plbz RT,D(RA),R", |s, i| { load(s, i, Mem::B)?; }
    plhz = mls_d(40), "plhz RT,D(RA),R", |s, i| { load(s, i, Mem::H)?; }
    plha = mls_d(42), "plha RT,D(RA),R", |s, i| { load(s, i, Mem::H.signed())?; }
    plwz = mls_d(32), "plwz RT,D(RA),R", |s, i| { load(s, i, Mem::W)?; }
    plwa = eight_ls_d(41), "plwa RT,D(RA),R", |s, i| { load(s, i, Mem::W.signed())?; }
    pld = eight_ls_d(57), "pld RT,D(RA),R", |s, i| { load(s, i, Mem::D)?; }
    plq = eight_ls_d(56), "plq RTp,D(RA),R", |s, i| { s.system(SystemOp::Plq, i)?; }
    "I 3.3.3";
    pstb = mls_d(38), "pstb RS,D(RA),R", |s, i| { store(s, i, Mem::B)?; }
    psth = mls_d(44), "psth RS,D(RA),R", |s, i| { store(s, i, Mem::H)?; }
    pstw = mls_d(36), "pstw RS,D(RA),R", |s, i| { store(s, i, Mem::W)?; }
    pstd = eight_ls_d(61), "pstd RS,D(RA),R", |s, i| { store(s, i, Mem::D)?; }
    pstq = eight_ls_d(60), "pstq RSp,D(RA),R", |s, i| { s.system(SystemOp::Pstq, i)?; }
    "I 3.3.9";
    paddi = mls_d(14), "paddi RT,RA,SI,R", |s, i| { let v = prefixed_ea(s, i); s.set_gpr(i.t, v); }
    "I 3.9";
    pnop = prefixed_nop(), "pnop", |s, i| { let _ = (s, i); }
}
