//! FPSCR and the instructions that move it (Power ISA Book I 4.2.2 and 4.6.10).
//!
//! VX is the OR of the invalid operation bits and FEX of the enabled exceptions: neither is written, both follow.
//! An enabled exception raises the program interrupt if MSR[FE0] or MSR[FE1] is 1 (always precisely), also when an
//! instruction of this file makes it so. NI (non-IEEE mode) is kept as written and changes no result: the book lets
//! a CPU have no such mode.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use crate::encoding::*;
use crate::fpscr;
use crate::instruction::instructions;
use crate::semantics::Facility;
use crate::{Encoding, Ops, Regs, Trap};
use timebase_softfloat::{Env, Flags, Format, Precision, Rounding};

/// MSR[FE0] and MSR[FE1].
const FE: u64 = 1 << 11 | 1 << 8;

impl Regs {
    /// FPSCR := value, with VX and FEX made to follow.
    pub(crate) fn set_fpscr(&mut self, value: u64) {
        let value = value & fpscr::ALL & !(fpscr::VX | fpscr::FEX);
        let vx = if value & fpscr::VX_ALL != 0 { fpscr::VX } else { 0 };
        // The enables VE OE UE ZE XE stand in the same order as VX OX UX ZX XX.
        let enabled = (value | vx) >> 25 & value >> 3 & 31;
        self.fpscr = value | vx | if enabled != 0 { fpscr::FEX } else { 0 };
    }

    /// Raises the exceptions `which`: they become 1, and FX if one was 0.
    pub(crate) fn raise(&mut self, which: u64) {
        let fx = if which & !self.fpscr & fpscr::EXCEPTIONS != 0 { fpscr::FX } else { 0 };
        self.set_fpscr(self.fpscr | which | fx);
    }

    /// The end of an instruction that may have raised floating-point exceptions.
    #[inline]
    pub(crate) fn fp_done(&self) -> Result<(), Trap> {
        if self.fpscr & fpscr::FEX != 0 && self.msr & FE != 0 { Err(Trap::FpEnabled) } else { Ok(()) }
    }

    /// CR1 := FX FEX VX OX.
    #[inline]
    pub(crate) fn set_cr1(&mut self) {
        self.cr[1] = self.fpscr >> 28 & 15;
    }

    /// What floating-point operations depend on.
    #[inline]
    pub(crate) fn fp_env(&self) -> Env {
        Env {
            rounding: Rounding::from_rn(self.fpscr & fpscr::RN),
            overflow_enabled: self.fpscr & fpscr::OE != 0,
            underflow_enabled: self.fpscr & fpscr::UE != 0,
        }
    }

    /// FPSCR[VE].
    pub(crate) fn invalid_enabled(&self) -> bool {
        self.fpscr & fpscr::VE != 0
    }

    /// Records what a scalar operation raised. False: the target is not to be written, because an invalid
    /// operation or a division by zero is enabled.
    pub(crate) fn scalar_flags(&mut self, flags: Flags) -> bool {
        let suppressed = flags.any(Flags::INVALID) && self.fpscr & fpscr::VE != 0
            || flags.any(Flags::ZX) && self.fpscr & fpscr::ZE != 0;
        let raised = if suppressed { flags.0 as u64 & !(fpscr::FR | fpscr::FI) } else { flags.0 as u64 };
        self.fpscr &= !(fpscr::FR | fpscr::FI);
        self.raise(raised);
        !suppressed
    }

    /// Records what a vector operation raised in any element: FR and FI stay as they are. False: the target is
    /// not to be written, because one of the exceptions is enabled.
    pub(crate) fn vector_flags(&mut self, flags: Flags) -> bool {
        self.raise(flags.0 as u64 & !(fpscr::FR | fpscr::FI));
        let invalid = if flags.any(Flags::INVALID) { fpscr::VX } else { 0 };
        (flags.0 as u64 | invalid) >> 25 & self.fpscr >> 3 & 31 == 0
    }

    /// FPRF := the class of a result that was rounded to P.
    #[inline]
    pub(crate) fn set_fprf<F: Format, P: Precision>(&mut self, result: F::Bits) {
        let (negative, class) = timebase_softfloat::class::<F, P>(result);
        self.fpscr = self.fpscr & !fpscr::FPRF | class.fprf(negative) << 12;
    }

    /// FPRF := `class`, its five bits.
    pub(crate) fn set_class(&mut self, class: u64) {
        self.fpscr = self.fpscr & !fpscr::FPRF | class << 12;
    }

    /// FPCC and CR field `bf` := the outcome of a comparison or test.
    pub(crate) fn set_fpcc(&mut self, bf: u8, outcome: u64) {
        self.fpscr = self.fpscr & !fpscr::FPCC | outcome << 12;
        self.cr[bf as usize & 7] = outcome;
    }

    /// FPR `n` := value.
    #[inline]
    pub(crate) fn set_fpr(&mut self, n: u8, value: u64) {
        self.vsr[n as usize & 63] = [value, 0];
    }
}

fn recorded(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    if i.rc {
        regs.set_cr1();
    }
    regs.fp_done()
}

/// FPSCR := value under mask.
fn write(regs: &mut Regs, i: &Ops, value: u64, mask: u64) -> Result<(), Trap> {
    regs.set_fpscr(regs.fpscr & !mask | value & mask);
    recorded(regs, i)
}

/// Fields of FPSCR: FLM in `imm`, L in `oe`, W in `c`.
fn move_to_fields(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    let value = regs.vsr[i.b as usize & 63][0];
    if i.oe {
        return write(regs, i, value, u64::MAX);
    }
    let mask = (0..8).filter(|n| i.imm >> n & 1 != 0).fold(0u64, |mask, n| mask | 15 << (4 * n));
    write(regs, i, value, if i.c != 0 { mask << 32 } else { mask })
}

/// Field BF := U.
fn move_to_field_immediate(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    let shift = 4 * (7 - i.t as u32) + if i.c != 0 { 32 } else { 0 };
    write(regs, i, i.imm << shift, 15 << shift)
}

fn clear_bit(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    write(regs, i, 0, 1 << (31 - i.t))
}

fn set_bit(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    regs.raise(1 << (31 - i.t));
    recorded(regs, i)
}

/// `mcrfs`: CR field BF := FPSCR field BFA, whose exception bits become 0.
fn move_to_cr(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    let shift = 4 * (7 - i.a as u32);
    regs.cr[i.t as usize] = regs.fpscr >> shift & 15;
    regs.set_fpscr(regs.fpscr & !(15 << shift & (fpscr::EXCEPTIONS | fpscr::FX)));
    Ok(())
}

fn move_from(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    regs.set_fpr(i.t, regs.fpscr);
    if i.rc {
        regs.set_cr1();
    }
    Ok(())
}

/// Control bits, in the places that the newer `mffs` forms return.
const CONTROL: u64 = fpscr::DRN | 0xff;

/// FRT := the control bits, which then change under `mask` to `value`.
fn exchange(regs: &mut Regs, i: &Ops, value: u64, mask: u64) -> Result<(), Trap> {
    let old = regs.fpscr;
    regs.set_fpr(i.t, old & CONTROL);
    regs.set_fpscr(old & !mask | value & mask);
    Ok(())
}

fn move_from_and_clear_enables(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    let old = regs.fpscr;
    regs.set_fpr(i.t, old);
    regs.set_fpscr(old & !0xf8);
    Ok(())
}
fn exchange_decimal_rounding(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    exchange(regs, i, regs.vsr[i.b as usize & 63][0], fpscr::DRN)
}
fn exchange_decimal_rounding_immediate(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    exchange(regs, i, (i.b as u64 & 7) << 32, fpscr::DRN)
}
fn exchange_rounding(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    exchange(regs, i, regs.vsr[i.b as usize & 63][0], fpscr::RN)
}
fn exchange_rounding_immediate(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    exchange(regs, i, i.b as u64, fpscr::RN)
}
fn move_from_light(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    regs.set_fpr(i.t, regs.fpscr & (CONTROL | fpscr::FR | fpscr::FI | fpscr::FPRF));
    Ok(())
}

const fn mffs_sub(sub: u64) -> Encoding {
    x(63, 583).field(16, 5, sub)
}

macro_rules! fp {
    ($s:ident, $i:ident, $f:ident) => {{
        $s.require(Facility::Fp)?;
        $s.compute($f, $i)?
    }};
}

instructions! { "I 4.6.10";
    mffs = mffs_sub(0), "mffs[.] FRT", |s, i| { fp!(s, i, move_from); }
    mffsce = mffs_sub(1), "mffsce FRT", |s, i| { fp!(s, i, move_from_and_clear_enables); }
    mffscdrn = mffs_sub(20), "mffscdrn FRT,FRB", |s, i| { fp!(s, i, exchange_decimal_rounding); }
    mffscdrni = mffs_sub(21), "mffscdrni FRT,DRM", |s, i| { fp!(s, i, exchange_decimal_rounding_immediate); }
    mffscrn = mffs_sub(22), "mffscrn FRT,FRB", |s, i| { fp!(s, i, exchange_rounding); }
    mffscrni = mffs_sub(23), "mffscrni FRT,RM", |s, i| { fp!(s, i, exchange_rounding_immediate); }
    mffsl = mffs_sub(24), "mffsl FRT", |s, i| { fp!(s, i, move_from_light); }
    mcrfs = x(63, 64).operands(|w| Ops { t: f(w, 23, 3), a: f(w, 18, 3), rc: false, ..tab(w) }), "mcrfs BF,BFA", |s, i| { fp!(s, i, move_to_cr); }
    mtfsfi = x(63, 134).operands(|w| Ops { t: f(w, 23, 3), c: f(w, 16, 1), imm: w >> 12 & 15, ..tab(w) }), "mtfsfi[.] BF,U,W", |s, i| { fp!(s, i, move_to_field_immediate); }
    mtfsf = x(63, 711).operands(|w| Ops { oe: w >> 25 & 1 != 0, c: f(w, 16, 1), imm: w >> 17 & 255, ..tab(w) }), "mtfsf[.] FLM,FRB,L,W", |s, i| { fp!(s, i, move_to_fields); }
    mtfsb0 = x(63, 70), "mtfsb0[.] BT", |s, i| { fp!(s, i, clear_bit); }
    mtfsb1 = x(63, 38), "mtfsb1[.] BT", |s, i| { fp!(s, i, set_bit); }
}
