//! The registers that instruction bodies name: user-level state plus MSR (Power ISA Book I chapters 2-7).
//!
//! One `#[repr(C)]` struct of 64-bit words, so that a [`Reg`] is a word index, for the interpreter and for
//! compiled code alike. CR is kept as eight fields and XER as its bits, because instructions write them one by
//! one; the packed registers exist only while `mfcr`, `mfxer` and the like look at them.

use timebase_state::State;

/// User-level registers and MSR.
#[repr(C)]
#[derive(State, Clone, Debug, PartialEq, Eq)]
pub struct Regs {
    /// General purpose registers.
    pub gpr: [u64; 32],
    /// What `RA|0` reads when RA is 0.
    #[cache("the constant 0")]
    zero: u64,
    /// Link register.
    pub lr: u64,
    /// Count register.
    pub ctr: u64,
    /// XER[CA], 0 or 1, as the following four.
    pub ca: u64,
    /// XER[CA32].
    pub ca32: u64,
    /// XER[OV].
    pub ov: u64,
    /// XER[OV32].
    pub ov32: u64,
    /// XER[SO].
    pub so: u64,
    /// CR fields 0 to 7, each four bits: LT GT EQ SO/FU.
    pub cr: [u64; 8],
    /// Vector-scalar registers, each as doublewords 0 (most significant) and 1. FPR n is doubleword 0 of VSR n,
    /// VR n is VSR 32+n.
    pub vsr: [[u64; 2]; 64],
    /// Floating-point status and control register, 64 bits.
    pub fpscr: u64,
    /// Vector status and control register, 32 bits.
    pub vscr: u64,
    /// VRSAVE, 32 bits.
    pub vrsave: u64,
    /// The other bits of XER: 35:56 kept as written, 57:63 the string length.
    pub xer_rest: u64,
    /// Target address register.
    pub tar: u64,
    /// Machine state register.
    pub msr: u64,
    /// Address of the current instruction, while one executes.
    #[cache("set by whoever executes an instruction; between two there is none")]
    pub cia: u64,
    /// Address of the next instruction.
    pub nia: u64,
    /// Come-from address register: address of the last branch that was taken.
    pub cfar: u64,
    /// The ISA level, 300 or 310: what POWER9 and POWER10 do differently.
    #[wiring("from the configuration")]
    pub level: u64,
}

/// Bits of XER that POWER9 implements beside the flags: 48:55 (as `lscbx` had them) and the string length.
pub const XER_REST: u64 = 0xff7f;

/// Number of 64-bit words a [`Reg`] can name.
pub const WORDS: usize = 181;

/// A register that instruction bodies name: the index of a 64-bit word of [`Regs`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reg(pub u8);

impl Reg {
    /// The word that is always 0.
    pub const ZERO: Reg = Reg(32);
    /// Link register.
    pub const LR: Reg = Reg(33);
    /// Count register.
    pub const CTR: Reg = Reg(34);
    /// XER[CA].
    pub const CA: Reg = Reg(35);
    /// XER[CA32].
    pub const CA32: Reg = Reg(36);
    /// XER[OV].
    pub const OV: Reg = Reg(37);
    /// XER[OV32].
    pub const OV32: Reg = Reg(38);
    /// XER[SO].
    pub const SO: Reg = Reg(39);
    /// FPSCR.
    pub const FPSCR: Reg = Reg(176);
    /// VSCR.
    pub const VSCR: Reg = Reg(177);
    /// VRSAVE.
    pub const VRSAVE: Reg = Reg(178);
    /// The other bits of XER.
    pub const XER_REST: Reg = Reg(179);
    /// TAR.
    pub const TAR: Reg = Reg(180);

    /// GPR `n`, or the constant 0 for `n` = 32.
    pub const fn gpr(n: u8) -> Reg {
        Reg(n)
    }
    /// CR field `n`.
    pub const fn cr(n: u8) -> Reg {
        Reg(40 + n)
    }
    /// Doubleword `half` (0: most significant) of VSR `n`.
    pub const fn vsr(n: u8, half: u8) -> Reg {
        Reg(48 + 2 * n + half)
    }
    /// FPR `n`.
    pub const fn fpr(n: u8) -> Reg {
        Reg::vsr(n, 0)
    }
}

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(Regs, zero) == 8 * Reg::ZERO.0 as usize);
    assert!(offset_of!(Regs, lr) == 8 * Reg::LR.0 as usize);
    assert!(offset_of!(Regs, so) == 8 * Reg::SO.0 as usize);
    assert!(offset_of!(Regs, cr) == 8 * Reg::cr(0).0 as usize);
    assert!(offset_of!(Regs, vsr) == 8 * Reg::vsr(0, 0).0 as usize);
    assert!(offset_of!(Regs, fpscr) == 8 * Reg::FPSCR.0 as usize);
    assert!(offset_of!(Regs, msr) == 8 * WORDS);
};

impl Regs {
    /// Power-on values for a CPU of ISA level `level` (300 or 310).
    pub const fn cold(level: u64) -> Regs {
        Regs {
            gpr: [0; 32],
            zero: 0,
            lr: 0,
            ctr: 0,
            ca: 0,
            ca32: 0,
            ov: 0,
            ov32: 0,
            so: 0,
            cr: [0; 8],
            vsr: [[0; 2]; 64],
            fpscr: 0,
            vscr: 0,
            vrsave: 0,
            xer_rest: 0,
            tar: 0,
            msr: 0,
            cia: 0,
            nia: 0,
            cfar: 0,
            level,
        }
    }

    /// The word that `reg` names.
    #[inline(always)]
    pub fn word(&self, reg: Reg) -> u64 {
        debug_assert!((reg.0 as usize) < WORDS);
        // SAFETY: Regs is repr(C) and begins with WORDS words of u64 (asserted above); a Reg is made by its
        // constructors from register numbers that decoding limits to 5 or 6 bits.
        unsafe { *(self as *const Regs as *const u64).add(reg.0 as usize) }
    }

    /// Changes the word that `reg` names.
    #[inline(always)]
    pub fn set_word(&mut self, reg: Reg, value: u64) {
        debug_assert!((reg.0 as usize) < WORDS && reg != Reg::ZERO);
        // SAFETY: as for `word`.
        unsafe { *(self as *mut Regs as *mut u64).add(reg.0 as usize) = value }
    }

    /// The condition register as 32 bits, field 0 most significant.
    pub fn cr_packed(&self) -> u64 {
        self.cr.iter().fold(0, |packed, field| packed << 4 | field)
    }

    /// Writes the CR fields whose bit in `fields` (bit 7: field 0) is set from the packed `value`.
    pub fn set_cr_packed(&mut self, fields: u8, value: u64) {
        for n in 0..8 {
            if fields >> (7 - n) & 1 != 0 {
                self.cr[n] = value >> (28 - 4 * n) & 15;
            }
        }
    }

    /// XER as a 64-bit value (Book I 3.2.2).
    pub fn xer(&self) -> u64 {
        self.xer_rest | self.so << 31 | self.ov << 30 | self.ca << 29 | self.ov32 << 19 | self.ca32 << 18
    }

    /// Writes XER. Bits 0:31 are reserved and read as 0.
    pub fn set_xer(&mut self, value: u64) {
        self.so = value >> 31 & 1;
        self.ov = value >> 30 & 1;
        self.ca = value >> 29 & 1;
        self.ov32 = value >> 19 & 1;
        self.ca32 = value >> 18 & 1;
        self.xer_rest = value & XER_REST;
    }

    /// VSR `n` as a 128-bit number.
    pub fn vsr128(&self, n: u8) -> u128 {
        let [high, low] = self.vsr[n as usize & 63];
        (high as u128) << 64 | low as u128
    }

    /// Writes VSR `n` from a 128-bit number.
    pub fn set_vsr128(&mut self, n: u8, value: u128) {
        self.vsr[n as usize & 63] = [(value >> 64) as u64, value as u64];
    }
}
