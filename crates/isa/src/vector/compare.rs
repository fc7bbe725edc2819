//! Vector integer compare (Power ISA Book I 6.9.3), with CR6 of the Rc forms.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::lanes::{lane, make, not_zero, signed, vc, vector};
use crate::instruction::instructions;
use crate::semantics::Facility;
use crate::{Condition, Done, Ops, Reg, Regs, Semantics, Trap, Value};

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

fn greater_unsigned(regs: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    compare(regs, i, bits, |a, b| a > b)
}
fn greater_signed(regs: &mut Regs, i: &Ops, bits: u32) -> Outcome {
    compare(regs, i, bits, |a, b| signed(a, bits) > signed(b, bits))
}
/// Lanes of ones where `differs` of the doublewords of A and B is not 0 (where it is 0 if `inverted`); CR6 as above.
#[inline(always)]
fn differ<S: Semantics>(s: &mut S, i: &Ops, inverted: bool, differs: impl Fn(S::V, S::V) -> S::V) -> Done<S> {
    s.require(Facility::Vector)?;
    let ((a0, a1), (b0, b1)) = (s.vsr(i.a), s.vsr(i.b));
    let (high, low) = (differs(a0, b0), differs(a1, b1));
    let (high, low) = if inverted { (!high, !low) } else { (high, low) };
    s.set_vsr(i.t, high, low);
    if i.rc {
        let (all, none) = ((high & low).eq(s.imm(u64::MAX)), (high | low).eq(s.imm(0)));
        s.set(Reg::cr(6), all.bit() << 3u64 | none.bit() << 1u64);
    }
    Ok(())
}

#[inline(always)]
fn equal<S: Semantics>(s: &mut S, i: &Ops, bits: u32) -> Done<S> {
    differ(s, i, true, |a, b| not_zero(a ^ b, bits))
}
#[inline(always)]
fn not_equal<S: Semantics>(s: &mut S, i: &Ops, bits: u32) -> Done<S> {
    differ(s, i, false, |a, b| not_zero(a ^ b, bits))
}
#[inline(always)]
fn not_equal_or_zero<S: Semantics>(s: &mut S, i: &Ops, bits: u32) -> Done<S> {
    differ(s, i, false, |a, b| not_zero(a ^ b, bits) | !(not_zero(a, bits) & not_zero(b, bits)))
}

instructions! { "I 6.9.3";
    vcmpequb = vc(6), "vcmpequb[.] VRT,VRA,VRB", |s, i| { equal(s, i, 8)?; }
    vcmpequh = vc(70), "vcmpequh[.] VRT,VRA,VRB", |s, i| { equal(s, i, 16)?; }
    vcmpequw = vc(134), "vcmpequw[.] VRT,VRA,VRB", |s, i| { equal(s, i, 32)?; }
    vcmpequd = vc(199), "vcmpequd[.] VRT,VRA,VRB", |s, i| { equal(s, i, 64)?; }
    vcmpgtub = vc(518), "vcmpgtub[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| greater_unsigned(r, i, 8))?; }
    vcmpgtuh = vc(582), "vcmpgtuh[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| greater_unsigned(r, i, 16))?; }
    vcmpgtuw = vc(646), "vcmpgtuw[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| greater_unsigned(r, i, 32))?; }
    vcmpgtud = vc(711), "vcmpgtud[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| greater_unsigned(r, i, 64))?; }
    vcmpgtsb = vc(774), "vcmpgtsb[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| greater_signed(r, i, 8))?; }
    vcmpgtsh = vc(838), "vcmpgtsh[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| greater_signed(r, i, 16))?; }
    vcmpgtsw = vc(902), "vcmpgtsw[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| greater_signed(r, i, 32))?; }
    vcmpgtsd = vc(967), "vcmpgtsd[.] VRT,VRA,VRB", |s, i| { vector(s, i, |r, i| greater_signed(r, i, 64))?; }
    vcmpneb = vc(7), "vcmpneb[.] VRT,VRA,VRB", |s, i| { not_equal(s, i, 8)?; }
    vcmpneh = vc(71), "vcmpneh[.] VRT,VRA,VRB", |s, i| { not_equal(s, i, 16)?; }
    vcmpnew = vc(135), "vcmpnew[.] VRT,VRA,VRB", |s, i| { not_equal(s, i, 32)?; }
    vcmpnezb = vc(263), "vcmpnezb[.] VRT,VRA,VRB", |s, i| { not_equal_or_zero(s, i, 8)?; }
    vcmpnezh = vc(327), "vcmpnezh[.] VRT,VRA,VRB", |s, i| { not_equal_or_zero(s, i, 16)?; }
    vcmpnezw = vc(391), "vcmpnezw[.] VRT,VRA,VRB", |s, i| { not_equal_or_zero(s, i, 32)?; }
}
