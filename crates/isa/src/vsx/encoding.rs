//! Forms of the vector-scalar extension (Power ISA Book I 1.6): XX1 to XX4, DQ, the X-forms on VRs, and the prefixed
//! ones. Operands are VSR numbers 0 to 63.

use crate::encoding::*;
use crate::{Encoding, Ops};

const fn xt(w: u64) -> u8 {
    f(w, 21, 5) | f(w, 0, 1) << 5
}
const fn xa(w: u64) -> u8 {
    f(w, 16, 5) | f(w, 2, 1) << 5
}
const fn xb(w: u64) -> u8 {
    f(w, 11, 5) | f(w, 1, 1) << 5
}
const fn xc(w: u64) -> u8 {
    f(w, 6, 5) | f(w, 3, 1) << 5
}
const fn xtab(w: u64) -> Ops {
    Ops { op: 0, t: xt(w), a: xa(w), b: xb(w), c: 0, rc: false, oe: false, imm: w >> 16 & 31 }
}

/// XX1-form load or store: XT, RA|0, RB.
pub const fn xx1_0(xo: u64) -> Encoding {
    Encoding::new(PO | 0x7fe, 31 << 26 | xo << 1, |w| Ops { t: xt(w), rc: false, ..tab0(w) })
}
/// XX1-form between a VSR (`t`) and GPRs (`a`, `b`).
pub const fn xx1_gpr(po: u64, xo: u64) -> Encoding {
    Encoding::new(PO | 0x7fe, po << 26 | xo << 1, |w| Ops { t: xt(w), rc: false, ..tab(w) })
}
/// X-form: XT, an immediate of 8 bits at bit 11 in `imm`; opcode in bits 19 and 20.
pub const fn x_imm8(xo: u64, sub: u64) -> Encoding {
    Encoding::new(PO | 0x7fe, 60 << 26 | xo << 1, |w| Ops { t: xt(w), imm: w >> 11 & 255, ..xtab(0) })
        .field(19, 2, sub)
}
/// X-form: XT, UIM of 5 bits at bit 11 in `imm`; opcode in the place of A.
pub const fn x_imm5(xo: u64, sub: u64) -> Encoding {
    Encoding::new(PO | 0x7fe, 60 << 26 | xo << 1, |w| Ops { t: xt(w), imm: w >> 11 & 31, ..xtab(0) })
        .field(16, 5, sub)
}
/// X-form: XT, VRB, IMM of 5 bits at bit 16 in `imm`.
pub const fn x_vrb_imm(xo: u64) -> Encoding {
    Encoding::new(PO | 0x7fe, 60 << 26 | xo << 1, |w| Ops { b: f(w, 11, 5) + 32, ..xtab(w) })
}
/// XX2-form: XT, XB; the A field in `imm`.
pub const fn xx2(xo: u64) -> Encoding {
    Encoding::new(PO | 0x7fc, 60 << 26 | xo << 2, xtab)
}
/// XX2-form with an opcode in the place of A.
pub const fn xx2_sub(xo: u64, sub: u64) -> Encoding {
    xx2(xo).field(16, 5, sub)
}
/// XX2-form that writes a GPR: RT, XB; opcode in the place of A.
pub const fn xx2_gpr_sub(xo: u64, sub: u64) -> Encoding {
    xx2_sub(xo, sub).operands(|w| Ops { t: f(w, 21, 5), ..xtab(w) })
}
/// XX2-form into a CR field: BF, XB; DCMX (7 bits at bit 16) in `imm`.
pub const fn xx2_bf(xo: u64) -> Encoding {
    xx2(xo).operands(|w| Ops { t: f(w, 23, 3), imm: w >> 16 & 127, ..xtab(w) })
}
/// XX2-form with DCMX in three pieces (`dc`, `dm`, `dx`): XT, XB; DCMX in `imm`. `xo` has seven bits, of which the
/// lower three are bits 3 to 5 of the word.
pub const fn xx2_dcmx(xo: u64) -> Encoding {
    let bits = 60 << 26 | (xo >> 3) << 7 | (xo & 7) << 3;
    Encoding::new(PO | 0x780 | 0x38, bits, |w| Ops {
        imm: w >> 16 & 31 | (w >> 2 & 1) << 5 | (w >> 6 & 1) << 6,
        ..xtab(w)
    })
}
/// XX3-form: XT, XA, XB.
pub const fn xx3(xo: u64) -> Encoding {
    Encoding::new(PO | 0x7f8, 60 << 26 | xo << 3, xtab)
}
/// XX3-form comparison: XT, XA, XB; Rc.
pub const fn xx3_rc(xo: u64) -> Encoding {
    Encoding::new(PO | 0x3f8, 60 << 26 | xo << 3, |w| Ops { rc: w >> 10 & 1 != 0, ..xtab(w) })
}
/// XX3-form with two immediate bits (DM, SHW) in `imm`: XT, XA, XB. `xo` has five bits.
pub const fn xx3_dm(xo: u64) -> Encoding {
    Encoding::new(PO | 0x4f8, 60 << 26 | xo << 3, |w| Ops { imm: w >> 8 & 3, ..xtab(w) })
}
/// XX3-form into a CR field: BF, XA, XB.
pub const fn xx3_bf(xo: u64) -> Encoding {
    xx3(xo).operands(|w| Ops { t: f(w, 23, 3), ..xtab(w) })
}
/// XX4-form: XT, XA, XB, XC.
pub const fn xx4(xo: u64) -> Encoding {
    Encoding::new(PO | 0x30, 60 << 26 | xo << 4, |w| Ops { c: xc(w), ..xtab(w) })
}
/// DQ-form: XT (TX in bit 3), RA|0, DQ.
pub const fn dq_xt(xo: u64) -> Encoding {
    Encoding::new(PO | 7, 61 << 26 | xo, |w| Ops {
        t: f(w, 21, 5) | f(w, 3, 1) << 5,
        rc: false,
        imm: si(w & !15),
        ..tab0(w)
    })
}
const fn pair(w: u64) -> u8 {
    f(w, 22, 4) << 1 | f(w, 21, 1) << 5
}
/// DQ-form on a pair of VSRs: XTp, RA|0, DQ.
pub const fn dq_pair(xo: u64) -> Encoding {
    Encoding::new(PO | 15, 6 << 26 | xo, |w| Ops { t: pair(w), rc: false, imm: si(w & !15), ..tab0(w) }).v31()
}
/// X-form on a pair of VSRs: XTp, RA|0, RB.
pub const fn x_pair(xo: u64) -> Encoding {
    Encoding::new(PO | 0x7fe, 31 << 26 | xo << 1, |w| Ops { t: pair(w), rc: false, ..tab0(w) }).v31()
}
/// DS-form: VRT, RA|0, DS.
pub const fn ds_vr(po: u64, xo: u64) -> Encoding {
    ds0(po, xo).operands(|w| Ops { t: f(w, 21, 5) + 32, rc: false, imm: si(w & !3), ..tab0(w) })
}
const fn quad(w: u64) -> Ops {
    // RO or EX, the last bit, in `rc`.
    Ops { t: f(w, 21, 5) + 32, a: f(w, 16, 5) + 32, b: f(w, 11, 5) + 32, imm: w >> 16 & 31, ..tab(w) }
}
/// X-form on VRs (quad precision): VRT, VRA, VRB; the last bit in `rc`.
pub const fn x_quad(xo: u64) -> Encoding {
    Encoding::new(PO | 0x7fe, 63 << 26 | xo << 1, quad)
}
/// The same with an opcode in the place of VRA.
pub const fn x_quad_sub(xo: u64, sub: u64) -> Encoding {
    x_quad(xo).field(16, 5, sub)
}
/// X-form into a CR field: BF, VRA, VRB.
pub const fn x_quad_bf(xo: u64) -> Encoding {
    x_quad(xo).operands(|w| Ops { t: f(w, 23, 3), imm: w >> 16 & 127, ..quad(w) })
}
/// Z23-form: R in `oe`, VRT, VRB, RMC in `c`, the last bit in `rc`.
pub const fn z23(xo: u64) -> Encoding {
    Encoding::new(PO | 0x1fe, 63 << 26 | xo << 1, |w| Ops { c: f(w, 9, 2), oe: w >> 16 & 1 != 0, ..quad(w) })
}

const PREFIX: u64 = 1 << 58;
const PREFIX_FIELDS: u64 = 63 << 58 | 3 << 56 | 1 << 55;
/// 8LS:D-form on a VR: VRT, RA|0, 34-bit displacement; R in `oe`.
pub const fn eight_ls_vr(po: u64) -> Encoding {
    eight_ls_d(po).operands(|w| Ops {
        t: f(w, 21, 5) + 32,
        rc: false,
        oe: w >> 52 & 1 != 0,
        imm: d34(w),
        ..tab0(w)
    })
}
/// 8LS:D-form on a VSR (TX is the last opcode bit): XT, RA|0, 34-bit displacement; R in `oe`.
pub const fn eight_ls_xt(po: u64) -> Encoding {
    Encoding::new(PREFIX_FIELDS | 31 << 27, PREFIX | po << 27, |w| Ops {
        t: f(w, 21, 5) | f(w, 26, 1) << 5,
        rc: false,
        oe: w >> 52 & 1 != 0,
        imm: d34(w),
        ..tab0(w)
    })
    .v31()
}
/// 8LS:D-form on a pair of VSRs: XTp, RA|0, 34-bit displacement; R in `oe`.
pub const fn eight_ls_pair(po: u64) -> Encoding {
    eight_ls_d(po).operands(|w| Ops { t: pair(w), rc: false, oe: w >> 52 & 1 != 0, imm: d34(w), ..tab0(w) })
}
/// 8RR:D-form: XT, IMM32 in `imm`, IX in `c`; `sub` in bits 11 to 13 (14 for `xxspltidp` and `xxspltiw`).
const fn eight_rr_d(mask: u64, sub: u64) -> Encoding {
    let bits = PREFIX | 1 << 56 | 32 << 26 | sub << 17;
    Encoding::new(63 << 58 | 3 << 56 | 15 << 52 | PO | mask << 17, bits, |w| Ops {
        t: f(w, 21, 5) | f(w, 16, 1) << 5,
        c: f(w, 17, 1),
        imm: (w >> 32 & 0xffff) << 16 | w & 0xffff,
        ..xtab(0)
    })
    .v31()
}
/// 8RR:D-form: XT, IMM32 in `imm`; opcode `sub` of four bits.
pub const fn splat_immediate(sub: u64) -> Encoding {
    eight_rr_d(15, sub)
}
/// 8RR:D-form: XT, IX in `c`, IMM32 in `imm`; opcode `sub` of three bits.
pub const fn splat_immediate_half(sub: u64) -> Encoding {
    eight_rr_d(14, sub << 1)
}
/// 8RR:XX4-form: XT, XA, XB, XC; the low 8 bits of the prefix in `imm`.
pub const fn eight_rr_xx4(po: u64, xo: u64) -> Encoding {
    let bits = PREFIX | 1 << 56 | po << 26 | xo << 4;
    Encoding::new(63 << 58 | 3 << 56 | 15 << 52 | PO | 0x30, bits, |w| Ops {
        c: xc(w),
        imm: w >> 32 & 255,
        ..xtab(w)
    })
    .v31()
}
/// XX3-form of a multiply-add whose target is the addend: XA * XB + XT.
pub const fn xx3_add(xo: u64) -> Encoding {
    xx3(xo).operands(|w| Ops { b: xt(w), c: xb(w), ..xtab(w) })
}
/// XX3-form of a multiply-add whose target is a factor: XA * XT + XB.
pub const fn xx3_multiply(xo: u64) -> Encoding {
    xx3(xo).operands(|w| Ops { c: xt(w), ..xtab(w) })
}
/// XX1-form that writes a VSR from GPRs, primary opcode 60: XT, RA, RB.
pub const fn xx1_insert(xo: u64) -> Encoding {
    xx1_gpr(60, xo)
}
