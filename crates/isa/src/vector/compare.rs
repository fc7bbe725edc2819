//! Vector integer compare (Power ISA Book I 6.9.3), with CR6 of the Rc forms.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::lanes::{lane, make, signed, vc, vector};
use crate::instruction::instructions;
use crate::{Ops, Regs, Trap};

type Outcome = Result<(), Trap>;

/// A lane of ones where `holds`; CR6 tells whether all or none did.
fn compare(regs: &mut Regs, i: &Ops, bits: u32, holds: impl Fn(u64, u64) -> bool) -> Outcome {
    let (a, b) = (regs.vsr128(i.a), regs.vsr128(i.b));
    let result = make(bits, |n| if holds(lane(a, bits, n), lane(b, bits, n)) { u64::MAX } else { 0 });
    regs.set_vsr128(i.t, result);
    if i.rc {
        regs.cr[6] = (result == u128::MAX) as u64 * 8 | (result == 0) as u64 * 2;
    }
    Ok(())
}

fn equal(regs: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    compare(regs, i, bits, |a, b| a == b)
}
fn greater_unsigned(regs: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    compare(regs, i, bits, |a, b| a > b)
}
fn greater_signed(regs: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    compare(regs, i, bits, |a, b| signed(a, bits) > signed(b, bits))
}
fn not_equal(regs: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    compare(regs, i, bits, |a, b| a != b)
}
fn not_equal_or_zero(regs: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    compare(regs, i, bits, |a, b| a != b || a == 0 || b == 0)
}

instructions! { "I 6.9.3";
    vcmpequb = vc(6), "vcmpequb[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| equal(r, i, 8))?; }
    vcmpequh = vc(70), "vcmpequh[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| equal(r, i, 16))?; }
    vcmpequw = vc(134), "vcmpequw[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| equal(r, i, 32))?; }
    vcmpequd = vc(199), "vcmpequd[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| equal(r, i, 64))?; }
    vcmpgtub = vc(518), "vcmpgtub[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| greater_unsigned(r, i, 8))?; }
    vcmpgtuh = vc(582), "vcmpgtuh[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| greater_unsigned(r, i, 16))?; }
    vcmpgtuw = vc(646), "vcmpgtuw[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| greater_unsigned(r, i, 32))?; }
    vcmpgtud = vc(711), "vcmpgtud[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| greater_unsigned(r, i, 64))?; }
    vcmpgtsb = vc(774), "vcmpgtsb[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| greater_signed(r, i, 8))?; }
    vcmpgtsh = vc(838), "vcmpgtsh[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| greater_signed(r, i, 16))?; }
    vcmpgtsw = vc(902), "vcmpgtsw[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| greater_signed(r, i, 32))?; }
    vcmpgtsd = vc(967), "vcmpgtsd[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| greater_signed(r, i, 64))?; }
    vcmpneb = vc(7), "vcmpneb[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| not_equal(r, i, 8))?; }
    vcmpneh = vc(71), "vcmpneh[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| not_equal(r, i, 16))?; }
    vcmpnew = vc(135), "vcmpnew[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| not_equal(r, i, 32))?; }
    vcmpnezb = vc(263), "vcmpnezb[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| not_equal_or_zero(r, i, 8))?; }
    vcmpnezh = vc(327), "vcmpnezh[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| not_equal_or_zero(r, i, 16))?; }
    vcmpnezw = vc(391), "vcmpnezw[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| not_equal_or_zero(r, i, 32))?; }
}
