//! Move to/from special purpose and condition registers, as problem state sees them (Power ISA Book I 3.3.17).
//! SPRs other than LR, CTR, XER and VRSAVE are operations of the whole CPU ([`SystemOp`]).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use crate::encoding::*;
use crate::instruction::instructions;
use crate::regs::XER_REST;
use crate::semantics::Semantics;
use crate::{Ops, Reg, SystemOp};

/// XER (Book I 3.2.2) from its bits, and what else of it is kept.
#[inline(always)]
fn xer<S: Semantics>(s: &S) -> S::V {
    let bits = [(Reg::SO, 31), (Reg::OV, 30), (Reg::CA, 29), (Reg::OV32, 19), (Reg::CA32, 18)];
    bits.into_iter().fold(s.get(Reg::XER_REST), |xer, (bit, shift)| xer | s.get(bit) << shift)
}

#[inline(always)]
fn set_xer<S: Semantics>(s: &mut S, value: S::V) {
    for (bit, shift) in [(Reg::SO, 31), (Reg::OV, 30), (Reg::CA, 29), (Reg::OV32, 19), (Reg::CA32, 18)] {
        s.set(bit, (value >> shift) & 1);
    }
    s.set(Reg::XER_REST, value & XER_REST);
}

/// Where field `n` of CR is in the packed register.
const fn shift_of(n: u8) -> u64 {
    28 - 4 * n as u64
}

/// The fields of CR that FXM (bit 7: field 0) names, each in its place.
#[inline(always)]
fn cr_fields<S: Semantics>(s: &S, fxm: u8) -> S::V {
    (0..8)
        .filter(|n| fxm >> (7 - n) & 1 != 0)
        .fold(s.imm(0), |packed, n| packed | s.get(Reg::cr(n)) << shift_of(n))
}

#[inline(always)]
fn set_cr_fields<S: Semantics>(s: &mut S, fxm: u8, value: S::V) {
    for n in (0..8).filter(|n| fxm >> (7 - n) & 1 != 0) {
        s.set(Reg::cr(n), (value >> shift_of(n)) & 15);
    }
}

const fn fields(w: u64) -> Ops {
    Ops { rc: false, imm: w >> 12 & 0xff, ..tab(w) }
}

instructions! { "I 3.3.17";
    mtspr = xfx_spr(467).context(), "mtspr SPR,RS", |s, i| { s.system(SystemOp::Mtspr, i)?; }
    mtlr = xfx_spr(467).field(11, 10, 8 << 5), "mtlr RS", |s, i| { let v = s.gpr(i.t); s.set(Reg::LR, v); }
    mtctr = xfx_spr(467).field(11, 10, 9 << 5), "mtctr RS", |s, i| { let v = s.gpr(i.t); s.set(Reg::CTR, v); }
    mtxer = xfx_spr(467).field(11, 10, 1 << 5), "mtxer RS", |s, i| { let v = s.gpr(i.t); set_xer(s, v); }
    mtvrsave = xfx_spr(467).field(11, 10, 8), "mtvrsave RS", |s, i| {
        // VRSAVE is SPR 256: the halves of the field are swapped.
        let v = s.gpr(i.t) & 0xffff_ffff;
        s.set(Reg::VRSAVE, v);
    }
    mfspr = xfx_spr(339), "mfspr RT,SPR", |s, i| { s.system(SystemOp::Mfspr, i)?; }
    mflr = xfx_spr(339).field(11, 10, 8 << 5), "mflr RT", |s, i| { let v = s.get(Reg::LR); s.set_gpr(i.t, v); }
    mfctr = xfx_spr(339).field(11, 10, 9 << 5), "mfctr RT", |s, i| { let v = s.get(Reg::CTR); s.set_gpr(i.t, v); }
    mfxer = xfx_spr(339).field(11, 10, 1 << 5), "mfxer RT", |s, i| { let v = xer(s); s.set_gpr(i.t, v); }
    mfvrsave = xfx_spr(339).field(11, 10, 8), "mfvrsave RT", |s, i| { let v = s.get(Reg::VRSAVE); s.set_gpr(i.t, v); }
    mftb = xfx_spr(371), "mftb RT,TBR", |s, i| { s.system(SystemOp::Mfspr, i)?; }
    mtcrf = x(31, 144).operands(fields), "mtcrf FXM,RS", |s, i| { let v = s.gpr(i.t); set_cr_fields(s, i.imm as u8, v); }
    mfcr = x(31, 19).field(20, 1, 0), "mfcr RT", |s, i| { let v = cr_fields(s, 0xff); s.set_gpr(i.t, v); }
    mfocrf = x(31, 19).field(20, 1, 1).operands(fields), "mfocrf RT,FXM", |s, i| {
        // Of one field the others are 0; of none or several POWER9 gives the whole CR.
        let fxm = i.imm as u8;
        let v = cr_fields(s, if fxm.is_power_of_two() { fxm } else { 0xff });
        s.set_gpr(i.t, v);
    }
    mcrxrx = x(31, 576).operands(|w| Ops { t: f(w, 23, 3), rc: false, ..tab(w) }), "mcrxrx BF", |s, i| {
        let v = s.get(Reg::OV) << 3 | s.get(Reg::OV32) << 2 | s.get(Reg::CA) << 1 | s.get(Reg::CA32);
        s.set(Reg::cr(i.t), v);
    }
}
