//! Encodings: what to match, and how each form's operands are read (Power ISA Book I 1.6, "Instruction Formats").
//!
//! Constructors are named after the forms: `xo(31, 266)` is an XO-form with that primary and extended opcode.
//! A suffix `0` says that the form reads `RA|0`: the operand is 32, the register that is always 0, when RA is 0.
//! Forms whose first operand in the syntax is RA (logical, shifts) give RA as `t` and RS as `a`, so that `t` is
//! the target wherever a GPR is written.
//!
//! Reserved bits are not compared: POWER9 and POWER10 ignore them.

use crate::Ops;

/// What follows an instruction in execution order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// The next one, and nothing changed that code after it depends on.
    Next,
    /// It may branch.
    Branch,
    /// The context may have changed (MSR, translation, timers, pending interrupts): look around first.
    Context,
}

/// An encoding and how its operands are read.
#[derive(Clone, Copy)]
pub struct Encoding {
    /// Bits that are compared. A prefixed instruction has its prefix in the upper 32 bits.
    pub mask: u64,
    /// Their values.
    pub bits: u64,
    /// Reads the operands.
    pub operands: fn(u64) -> Ops,
    /// What follows.
    pub flow: Flow,
    /// First ISA level that has it: 300 (which includes all earlier ones) or 310.
    pub since: u16,
    /// Last ISA level that has it.
    pub until: u16,
}

impl Encoding {
    /// An encoding that matches `bits` under `mask`.
    pub const fn new(mask: u64, bits: u64, operands: fn(u64) -> Ops) -> Encoding {
        Encoding { mask, bits: bits & mask, operands, flow: Flow::Next, since: 300, until: 999 }
    }
    /// The same, with a further field compared: `value` at bit `shift` (from the least significant), `width` bits.
    pub const fn field(self, shift: u32, width: u32, value: u64) -> Encoding {
        let mask = ((1 << width) - 1) << shift;
        Encoding { mask: self.mask | mask, bits: self.bits & !mask | value << shift & mask, ..self }
    }
    /// The same, with bit 31 fixed: an instruction that always records. Without it there is none.
    pub const fn recording(self) -> Encoding {
        self.field(0, 1, 1)
    }
    /// The same, with other operands.
    pub const fn operands(self, operands: fn(u64) -> Ops) -> Encoding {
        Encoding { operands, ..self }
    }
    /// It may branch.
    pub const fn branch(self) -> Encoding {
        Encoding { flow: Flow::Branch, ..self }
    }
    /// It may change the context.
    pub const fn context(self) -> Encoding {
        Encoding { flow: Flow::Context, ..self }
    }
    /// New in ISA 3.1.
    pub const fn v31(self) -> Encoding {
        Encoding { since: 310, ..self }
    }
    /// Removed by ISA 3.1.
    pub const fn until30(self) -> Encoding {
        Encoding { until: 300, ..self }
    }
    /// It has a prefix word.
    pub const fn prefixed(&self) -> bool {
        self.mask >> 32 != 0
    }
}

/// Primary opcode field.
pub const PO: u64 = 63 << 26;

/// `bits` bits of `word` from `shift` up.
#[inline]
pub const fn f(word: u64, shift: u32, bits: u32) -> u8 {
    (word >> shift & ((1 << bits) - 1)) as u8
}
/// The operand for `RA|0`.
#[inline]
pub const fn zero_if_0(register: u8) -> u8 {
    if register == 0 { 32 } else { register }
}
/// SI, D: the low 16 bits, sign-extended.
#[inline]
pub const fn si(word: u64) -> u64 {
    word as u16 as i16 as i64 as u64
}
/// MASK(mb, me) of Book I 3.3.14: ones from bit mb to bit me (bit 0 most significant), wrapping.
pub const fn mask64(mb: u32, me: u32) -> u64 {
    let (from, to) = (u64::MAX >> mb, u64::MAX << (63 - me));
    if mb <= me { from & to } else { from | to }
}

/// t, a, b from the three usual places; Rc.
pub const fn tab(w: u64) -> Ops {
    Ops {
        op: 0,
        t: f(w, 21, 5),
        a: f(w, 16, 5),
        b: f(w, 11, 5),
        c: f(w, 6, 5),
        rc: w & 1 != 0,
        oe: false,
        imm: 0,
    }
}
/// The same with `RA|0`.
pub const fn tab0(w: u64) -> Ops {
    Ops { a: zero_if_0(f(w, 16, 5)), ..tab(w) }
}
/// Target RA, source RS.
pub const fn sab(w: u64) -> Ops {
    Ops { t: f(w, 16, 5), a: f(w, 21, 5), ..tab(w) }
}

const fn form(mask: u64, bits: u64, operands: fn(u64) -> Ops) -> Encoding {
    Encoding::new(mask, bits, operands)
}

/// D-form: RT, RA, SI.
pub const fn d(po: u64) -> Encoding {
    form(PO, po << 26, |w| Ops { rc: false, imm: si(w), ..tab(w) })
}
/// D-form: RT, RA|0, SI.
pub const fn d0(po: u64) -> Encoding {
    form(PO, po << 26, |w| Ops { rc: false, imm: si(w), ..tab0(w) })
}
/// D-form: RT, RA|0, SI << 16.
pub const fn d0_shifted(po: u64) -> Encoding {
    form(PO, po << 26, |w| Ops { rc: false, imm: si(w) << 16, ..tab0(w) })
}
/// D-form logical: RA, RS, UI.
pub const fn d_logical(po: u64) -> Encoding {
    form(PO, po << 26, |w| Ops { rc: false, imm: w & 0xffff, ..sab(w) })
}
/// D-form logical: RA, RS, UI << 16.
pub const fn d_logical_shifted(po: u64) -> Encoding {
    form(PO, po << 26, |w| Ops { rc: false, imm: (w & 0xffff) << 16, ..sab(w) })
}
/// DS-form: RT, RA|0, DS.
pub const fn ds0(po: u64, xo: u64) -> Encoding {
    form(PO | 3, po << 26 | xo, |w| Ops { rc: false, imm: si(w & !3), ..tab0(w) })
}
/// DS-form: RT, RA, DS.
pub const fn ds(po: u64, xo: u64) -> Encoding {
    form(PO | 3, po << 26 | xo, |w| Ops { rc: false, imm: si(w & !3), ..tab(w) })
}
/// DQ-form: RT, RA|0, DQ; the low 4 bits hold the extended opcode and are compared by the caller if it has one.
pub const fn dq0(po: u64) -> Encoding {
    form(PO, po << 26, |w| Ops { rc: false, imm: si(w & !15), ..tab0(w) })
}
const X: u64 = PO | 0x7fe;
/// X-form logical: RA, RS, RB, Rc.
pub const fn x_logical(po: u64, xo: u64) -> Encoding {
    form(X, po << 26 | xo << 1, sab)
}
/// X-form: RT, RA|0, RB.
pub const fn x0(po: u64, xo: u64) -> Encoding {
    form(X, po << 26 | xo << 1, tab0)
}
/// X-form: RT, RA, RB, Rc.
pub const fn x(po: u64, xo: u64) -> Encoding {
    form(X, po << 26 | xo << 1, tab)
}
/// XO-form: RT, RA, RB, OE, Rc.
pub const fn xo(po: u64, xo: u64) -> Encoding {
    form(PO | 0x3fe, po << 26 | xo << 1, |w| Ops { oe: w >> 10 & 1 != 0, ..tab(w) })
}
/// XO-form whose OE bit is part of the extended opcode (`modsw` ...).
pub const fn xo_no_oe(po: u64, xo: u64) -> Encoding {
    form(PO | 0x7fe, po << 26 | xo << 1, tab)
}
/// XO-form whose OE bit is reserved (`mulhd` ...).
pub const fn xo_reserved_oe(po: u64, xo: u64) -> Encoding {
    form(PO | 0x3fe, po << 26 | xo << 1, tab)
}
/// XS-form: RA, RS, a 6-bit shift in `b`.
pub const fn xs(po: u64, xo: u64) -> Encoding {
    form(PO | 0x7fc, po << 26 | xo << 2, |w| Ops { b: f(w, 11, 5) | f(w, 1, 1) << 5, ..sab(w) })
}
/// M-form: RA, RS, RB or SH in `b`, mask in `imm`.
pub const fn m(po: u64) -> Encoding {
    form(PO, po << 26, |w| Ops {
        imm: mask64((w >> 6 & 31) as u32 + 32, (w >> 1 & 31) as u32 + 32),
        ..sab(w)
    })
}
const fn md_shift(w: u64) -> u8 {
    f(w, 11, 5) | f(w, 1, 1) << 5
}
const fn md_mask(w: u64) -> u32 {
    (f(w, 6, 5) | f(w, 5, 1) << 5) as u32
}
/// Which mask an MD- or MDS-form makes of its six bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RotateMask {
    /// MASK(mb, 63)
    Left,
    /// MASK(0, me)
    Right,
    /// MASK(mb, 63-sh)
    Shifted,
}
/// MD-form: RA, RS, SH in `b`, mask in `imm`.
pub const fn md(xo: u64, mask: RotateMask) -> Encoding {
    form(
        PO | 0x1c,
        30 << 26 | xo << 2,
        match mask {
            RotateMask::Left => |w| Ops { b: md_shift(w), imm: mask64(md_mask(w), 63), ..sab(w) },
            RotateMask::Right => |w| Ops { b: md_shift(w), imm: mask64(0, md_mask(w)), ..sab(w) },
            RotateMask::Shifted => {
                |w| Ops { b: md_shift(w), imm: mask64(md_mask(w), 63 - md_shift(w) as u32), ..sab(w) }
            }
        },
    )
}
/// MDS-form: RA, RS, RB, mask in `imm`.
pub const fn mds(xo: u64, mask: RotateMask) -> Encoding {
    form(
        PO | 0x1e,
        30 << 26 | xo << 1,
        match mask {
            RotateMask::Right => |w| Ops { imm: mask64(0, md_mask(w)), ..sab(w) },
            _ => |w| Ops { imm: mask64(md_mask(w), 63), ..sab(w) },
        },
    )
}
/// I-form: LI in `imm`, AA in `oe`, LK in `rc`.
pub const fn i(po: u64) -> Encoding {
    form(PO, po << 26, |w| Ops {
        op: 0,
        t: 0,
        a: 0,
        b: 0,
        c: 0,
        rc: w & 1 != 0,
        oe: w & 2 != 0,
        imm: (((w & 0x3ff_fffc) as i64) << 38 >> 38) as u64,
    })
    .branch()
}
/// B-form: BO in `t`, BI in `a`, BD in `imm`, AA in `oe`, LK in `rc`.
pub const fn b(po: u64) -> Encoding {
    form(PO, po << 26, |w| Ops { oe: w & 2 != 0, imm: si(w & 0xfffc), ..tab(w) }).branch()
}
/// XL-form branch: BO in `t`, BI in `a`, BH in `b`, LK in `rc`.
pub const fn xl_branch(xo: u64) -> Encoding {
    form(X, 19 << 26 | xo << 1, tab).branch()
}
/// XL-form on CR bits: BT, BA, BB.
pub const fn xl(xo: u64) -> Encoding {
    form(X, 19 << 26 | xo << 1, tab)
}
/// X-form compare: BF in `t`, L compared.
pub const fn x_compare(xo: u64, l: u64) -> Encoding {
    form(X | 1 << 21, 31 << 26 | xo << 1 | l << 21, |w| Ops { t: f(w, 23, 3), rc: false, ..tab(w) })
}
/// D-form compare with SI: BF in `t`, L compared.
pub const fn d_compare(l: u64) -> Encoding {
    form(PO | 1 << 21, 11 << 26 | l << 21, |w| Ops { t: f(w, 23, 3), rc: false, imm: si(w), ..tab(w) })
}
/// D-form compare with UI: BF in `t`, L compared.
pub const fn d_compare_logical(l: u64) -> Encoding {
    form(PO | 1 << 21, 10 << 26 | l << 21, |w| Ops { t: f(w, 23, 3), rc: false, imm: w & 0xffff, ..tab(w) })
}
/// A-form of five opcode bits: RT, RA, RB, RC (`c`), Rc.
pub const fn a(po: u64, xo: u64) -> Encoding {
    form(PO | 0x3e, po << 26 | xo << 1, tab)
}
/// XFX-form with an SPR number in `imm`.
pub const fn xfx_spr(xo: u64) -> Encoding {
    form(X, 31 << 26 | xo << 1, |w| Ops { imm: w >> 16 & 31 | w >> 6 & 0x3e0, rc: false, ..tab(w) })
}
/// VA-form on GPRs: RT, RA, RB, RC.
pub const fn va_gpr(xo: u64) -> Encoding {
    form(PO | 0x3f, 4 << 26 | xo, tab)
}
/// DX-form: RT, D in `imm` (shifted left by 16).
pub const fn dx(xo: u64) -> Encoding {
    form(PO | 0x3e, 19 << 26 | xo << 1, |w| {
        let d = (w & 0xffc0) | (w >> 16 & 31) << 1 | w & 1;
        Ops { imm: si(d) << 16, rc: false, ..tab(w) }
    })
}

const PREFIX: u64 = 1 << 58;
/// The displacement of an MLS/8LS prefixed instruction: 34 bits, sign-extended.
pub const fn d34(w: u64) -> u64 {
    let d = (w >> 32 & 0x3_ffff) << 16 | w & 0xffff;
    ((d << 30) as i64 >> 30) as u64
}
/// MLS:D-form (prefix type 2): RT, RA|0, 34-bit displacement; R in `oe` (relative to CIA).
pub const fn mls_d(po: u64) -> Encoding {
    form(63 << 58 | 3 << 56 | 1 << 55 | PO, PREFIX | 2 << 56 | po << 26, |w| Ops {
        rc: false,
        oe: w >> 52 & 1 != 0,
        imm: d34(w),
        ..tab0(w)
    })
    .v31()
}
/// 8LS:D-form (prefix type 0): RT, RA|0, 34-bit displacement; R in `oe`.
pub const fn eight_ls_d(po: u64) -> Encoding {
    form(63 << 58 | 3 << 56 | 1 << 55 | PO, PREFIX | po << 26, |w| Ops {
        rc: false,
        oe: w >> 52 & 1 != 0,
        imm: d34(w),
        ..tab0(w)
    })
    .v31()
}
