//! Move to/from special purpose and condition registers, as problem state sees them (Power ISA Book I 3.3.17).
//! SPRs other than LR, CTR, XER and VRSAVE are operations of the whole CPU ([`SystemOp`]).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use crate::encoding::*;
use crate::instruction::instructions;
use crate::{Ops, Reg, Regs, SystemOp, Trap};

fn move_to_xer(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    let value = regs.gpr[i.t as usize];
    regs.set_xer(value);
    Ok(())
}

fn move_from_xer(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    regs.gpr[i.t as usize] = regs.xer();
    Ok(())
}

fn move_to_fields(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    let value = regs.gpr[i.t as usize];
    regs.set_cr_packed(i.imm as u8, value);
    Ok(())
}

fn move_from_cr(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    regs.gpr[i.t as usize] = regs.cr_packed();
    Ok(())
}

/// `mfocrf` of one field puts the others as zero; of none or several, as POWER9, the whole CR.
fn move_from_one_field(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    let fields = i.imm as u8;
    regs.gpr[i.t as usize] = if fields.is_power_of_two() {
        let n = 7 - fields.trailing_zeros();
        regs.cr[n as usize] << (28 - 4 * n)
    } else {
        regs.cr_packed()
    };
    Ok(())
}

const fn fields(w: u64) -> Ops {
    Ops { rc: false, imm: w >> 12 & 0xff, ..tab(w) }
}

instructions! { "I 3.3.17";
    mtspr = xfx_spr(467).context(), "mtspr SPR,RS", |s, i| { s.system(SystemOp::Mtspr, i)?; }
    mtlr = xfx_spr(467).field(11, 10, 8 << 5), "mtlr RS", |s, i| { let v = s.gpr(i.t); s.set(Reg::LR, v); }
    mtctr = xfx_spr(467).field(11, 10, 9 << 5), "mtctr RS", |s, i| { let v = s.gpr(i.t); s.set(Reg::CTR, v); }
    mtxer = xfx_spr(467).field(11, 10, 1 << 5), "mtxer RS", |s, i| { s.compute(move_to_xer, i)?; }
    mtvrsave = xfx_spr(467).field(11, 10, 8), "mtvrsave RS", |s, i| {
        // VRSAVE is SPR 256: the halves of the field are swapped.
        let v = s.gpr(i.t) & 0xffff_ffff;
        s.set(Reg::VRSAVE, v);
    }
    mfspr = xfx_spr(339), "mfspr RT,SPR", |s, i| { s.system(SystemOp::Mfspr, i)?; }
    mflr = xfx_spr(339).field(11, 10, 8 << 5), "mflr RT", |s, i| { let v = s.get(Reg::LR); s.set_gpr(i.t, v); }
    mfctr = xfx_spr(339).field(11, 10, 9 << 5), "mfctr RT", |s, i| { let v = s.get(Reg::CTR); s.set_gpr(i.t, v); }
    mfxer = xfx_spr(339).field(11, 10, 1 << 5), "mfxer RT", |s, i| { s.compute(move_from_xer, i)?; }
    mfvrsave = xfx_spr(339).field(11, 10, 8), "mfvrsave RT", |s, i| { let v = s.get(Reg::VRSAVE); s.set_gpr(i.t, v); }
    mftb = xfx_spr(371), "mftb RT,TBR", |s, i| { s.system(SystemOp::Mfspr, i)?; }
    mtcrf = x(31, 144).operands(fields), "mtcrf FXM,RS", |s, i| { s.compute(move_to_fields, i)?; }
    mfcr = x(31, 19).field(20, 1, 0), "mfcr RT", |s, i| { s.compute(move_from_cr, i)?; }
    mfocrf = x(31, 19).field(20, 1, 1).operands(fields), "mfocrf RT,FXM", |s, i| { s.compute(move_from_one_field, i)?; }
    mcrxrx = x(31, 576).operands(|w| Ops { t: f(w, 23, 3), rc: false, ..tab(w) }), "mcrxrx BF", |s, i| {
        let v = s.get(Reg::OV) << 3 | s.get(Reg::OV32) << 2 | s.get(Reg::CA) << 1 | s.get(Reg::CA32);
        s.set(Reg::cr(i.t), v);
    }
}
