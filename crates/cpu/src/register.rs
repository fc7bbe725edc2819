//! The registers of a vCPU by name and number, as debuggers name them: read and written without any effect that an
//! instruction would have.

use crate::Vcpu;
use crate::pmu;
use crate::spr::{self, Kept, Place, Privilege};
use core::fmt;
use timebase_state::Instant;

/// A register that a debugger names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Register {
    /// General purpose register, 64 bits.
    Gpr(u8),
    /// Floating-point register, 64 bits.
    Fpr(u8),
    /// Vector register, 128 bits.
    Vr(u8),
    /// Vector-scalar register, 128 bits.
    Vsr(u8),
    /// Condition register, 32 bits.
    Cr,
    /// Link register.
    Lr,
    /// Count register.
    Ctr,
    /// Fixed-point exception register.
    Xer,
    /// Machine state register.
    Msr,
    /// Address of the next instruction; gdb's pc.
    Nia,
    /// Floating-point status and control register.
    Fpscr,
    /// Vector status and control register, 32 bits.
    Vscr,
    /// VRSAVE, 32 bits.
    Vrsave,
    /// Any other special purpose register by its number.
    Spr(u16),
}

impl Register {
    /// The register of this name: `r3`, `f1`, `v2`, `vs34`, `cr`, `lr`, `ctr`, `xer`, `msr`, `pc` (or `nip`, `nia`),
    /// `fpscr`, `vscr`, `vrsave`, or an SPR by the ISA's name.
    pub fn named(name: &str) -> Option<Register> {
        let numbered = |prefix: &str, count: u8| {
            let n: u8 = name.strip_prefix(prefix)?.parse().ok()?;
            (n < count).then_some(n)
        };
        if let Some(n) = numbered("r", 32).or_else(|| numbered("gpr", 32)) {
            return Some(Register::Gpr(n));
        }
        if let Some(n) = numbered("vs", 64).or_else(|| numbered("vsr", 64)) {
            return Some(Register::Vsr(n));
        }
        if let Some(n) = numbered("f", 32).or_else(|| numbered("fpr", 32)) {
            return Some(Register::Fpr(n));
        }
        if let Some(n) = numbered("v", 32).or_else(|| numbered("vr", 32)) {
            return Some(Register::Vr(n));
        }
        Some(match name {
            "cr" => Register::Cr,
            "lr" => Register::Lr,
            "ctr" => Register::Ctr,
            "xer" => Register::Xer,
            "msr" => Register::Msr,
            "pc" | "nip" | "nia" => Register::Nia,
            "fpscr" => Register::Fpscr,
            "vscr" => Register::Vscr,
            "vrsave" => Register::Vrsave,
            _ => Register::Spr(spr::number(name)?),
        })
    }

    /// Its width in bits.
    pub fn bits(self) -> u32 {
        match self {
            Register::Vr(_) | Register::Vsr(_) => 128,
            Register::Cr | Register::Vscr | Register::Vrsave => 32,
            _ => 64,
        }
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Register::Gpr(n) => write!(f, "r{n}"),
            Register::Fpr(n) => write!(f, "f{n}"),
            Register::Vr(n) => write!(f, "v{n}"),
            Register::Vsr(n) => write!(f, "vs{n}"),
            Register::Cr => f.write_str("cr"),
            Register::Lr => f.write_str("lr"),
            Register::Ctr => f.write_str("ctr"),
            Register::Xer => f.write_str("xer"),
            Register::Msr => f.write_str("msr"),
            Register::Nia => f.write_str("pc"),
            Register::Fpscr => f.write_str("fpscr"),
            Register::Vscr => f.write_str("vscr"),
            Register::Vrsave => f.write_str("vrsave"),
            Register::Spr(number) => match spr::name(*number) {
                Some(name) => f.write_str(name),
                None => write!(f, "spr{number}"),
            },
        }
    }
}

impl Vcpu {
    /// The value of a register at `now`; None if this CPU has no such SPR.
    pub fn register(&self, register: Register, now: Instant) -> Option<u128> {
        let Register::Spr(number) = register else { return self.stored(register) };
        if let Some(n) = pmu::counter_number(number.into()) {
            return Some(self.counter_at(n, now).into());
        }
        match self.spr_place(number)?.0 {
            Place::Kept(kept) => Some(self.kept(kept, now).into()),
            Place::Stored(_) => self.stored(register),
        }
    }

    /// Where an SPR's content is, if this CPU has a register of its own by that number, and its implemented bits.
    fn spr_place(&self, number: u16) -> Option<(Place, u64)> {
        let row = spr::row(number.into())?;
        Some((row.place, row.bits(self.model)?)).filter(|_| row.is_whole())
    }

    /// What is stored of a register: its value, or for a register that follows time the tick at which it reads 0. It
    /// changes only when the register is written.
    pub fn stored(&self, register: Register) -> Option<u128> {
        let regs = &self.regs;
        let word = match register {
            Register::Gpr(n) => regs.gpr[n as usize & 31],
            Register::Fpr(n) => regs.vsr[n as usize & 31][0],
            Register::Vr(n) => return Some(regs.vsr128(32 + (n & 31))),
            Register::Vsr(n) => return Some(regs.vsr128(n)),
            Register::Cr => regs.cr_packed(),
            Register::Lr => regs.lr,
            Register::Ctr => regs.ctr,
            Register::Xer => regs.xer(),
            Register::Msr => regs.msr,
            Register::Nia => regs.nia,
            Register::Fpscr => regs.fpscr,
            Register::Vscr => regs.vscr,
            Register::Vrsave => regs.vrsave,
            Register::Spr(number) => match self.spr_place(number)?.0 {
                Place::Stored(stored) => (stored.value)(&self.spr),
                Place::Kept(Kept::Dec) => self.dec_zero.ticks(),
                Place::Kept(Kept::Hdec) => self.hdec_zero.ticks(),
                Place::Kept(Kept::Tb) => self.tb_zero.ticks(),
                Place::Kept(Kept::Vtb) => self.vtb_zero.ticks(),
                Place::Kept(Kept::Purr) => self.purr_zero.ticks(),
                Place::Kept(Kept::Spurr) => self.spurr_zero.ticks(),
                // The others do not follow time.
                Place::Kept(kept) => self.kept(kept, Instant::default()),
            },
        };
        Some(word as u128)
    }

    /// Writes a register at `now`, as a debugger does: with no privilege, and no effect but the value. False if it
    /// cannot be written.
    pub fn set_register(&mut self, register: Register, value: u128, now: Instant) -> bool {
        let word = value as u64;
        let regs = &mut self.regs;
        match register {
            Register::Gpr(n) => regs.gpr[n as usize & 31] = word,
            Register::Fpr(n) => regs.vsr[n as usize & 31][0] = word,
            Register::Vr(n) => regs.set_vsr128(32 + (n & 31), value),
            Register::Vsr(n) => regs.set_vsr128(n, value),
            Register::Cr => regs.set_cr_packed(0xff, word),
            Register::Lr => regs.lr = word,
            Register::Ctr => regs.ctr = word,
            Register::Xer => regs.set_xer(word),
            Register::Msr => self.set_msr(word),
            Register::Nia => regs.nia = word & !3,
            Register::Fpscr => regs.fpscr = word,
            Register::Vscr => regs.vscr = word & 0x1_0001,
            Register::Vrsave => regs.vrsave = word & 0xffff_ffff,
            Register::Spr(number) => return self.set_spr(number, word, now),
        }
        true
    }

    fn set_spr(&mut self, number: u16, word: u64, now: Instant) -> bool {
        let Some((place, bits)) = self.spr_place(number) else { return false };
        match place {
            Place::Kept(Kept::Dec) => self.set_dec(word, now),
            Place::Kept(Kept::Hdec) => self.set_hdec(word, now),
            Place::Kept(Kept::Tb) => self.set_tb(word, now),
            Place::Kept(Kept::Cfar) => self.regs.cfar = word,
            Place::Kept(Kept::Tar) => self.regs.tar = word,
            Place::Kept(_) => return false,
            Place::Stored(stored) => {
                if spr::row(number.into()).is_none_or(|row| row.write == Privilege::N) {
                    return false;
                }
                self.hold_counters(now);
                *(stored.get)(&mut self.spr) = word & bits;
                self.context_changed();
            }
        }
        true
    }
}
