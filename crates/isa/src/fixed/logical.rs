//! Fixed-point logical instructions (Power ISA Book I 3.3.13).
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use crate::encoding::*;
use crate::instruction::instructions;
use crate::semantics::{Semantics, Unary, Value};
use crate::{Ops, Regs, Trap};
use timebase_softfloat::decimal::{bcd_to_declet, declet_to_bcd};

/// One bit of RA for each byte of RS, taken from RB (`bpermd`).
fn bit_permute(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    let (selectors, source) = (regs.gpr[i.a as usize], regs.gpr[i.b as usize]);
    let mut result = 0;
    for n in 0..8 {
        let index = selectors >> (8 * n) & 0xff;
        if index < 64 {
            result |= (source >> (63 - index) & 1) << n;
        }
    }
    regs.gpr[i.t as usize] = result;
    Ok(())
}

/// `cdtbcd`: two declets of each word to six BCD digits.
fn declets_to_bcd(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    let source = regs.gpr[i.a as usize];
    regs.gpr[i.t as usize] = [0, 10, 32, 42]
        .iter()
        .zip([0, 12, 32, 44])
        .fold(0, |all, (from, to)| all | (declet_to_bcd((source >> from) as u16 & 0x3ff) as u64) << to);
    Ok(())
}

/// `cbcdtd`: six BCD digits of each word to two declets.
fn bcd_to_declets(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    let source = regs.gpr[i.a as usize];
    regs.gpr[i.t as usize] = [0, 12, 32, 44]
        .iter()
        .zip([0, 10, 32, 42])
        .fold(0, |all, (from, to)| all | (bcd_to_declet((source >> from) as u16 & 0xfff) as u64) << to);
    Ok(())
}

fn parallel_deposit(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    let (source, mask) = (regs.gpr[i.a as usize], regs.gpr[i.b as usize]);
    regs.gpr[i.t as usize] = deposit(source, mask);
    Ok(())
}

fn parallel_extract(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    let (source, mask) = (regs.gpr[i.a as usize], regs.gpr[i.b as usize]);
    regs.gpr[i.t as usize] = extract(source, mask);
    Ok(())
}

/// The low bits of `source`, in order, at the places where `mask` is 1.
pub(crate) fn deposit(source: u64, mut mask: u64) -> u64 {
    let (mut result, mut n) = (0, 0);
    while mask != 0 {
        result |= (source >> n & 1) * (mask & mask.wrapping_neg());
        mask &= mask - 1;
        n += 1;
    }
    result
}

/// The bits of `source` at the places where `mask` is 1, gathered at the low end.
pub(crate) fn extract(source: u64, mut mask: u64) -> u64 {
    let (mut result, mut n) = (0, 0);
    while mask != 0 {
        result |= (source >> mask.trailing_zeros() & 1) << n;
        mask &= mask - 1;
        n += 1;
    }
    result
}

/// Bits of `source` under mask 1 to the right, those under mask 0 to the left, each in order.
pub(crate) fn centrifuge_bits(source: u64, mask: u64) -> u64 {
    let ones = mask.count_ones();
    let left = if ones == 64 { 0 } else { extract(source, !mask) << ones };
    left | extract(source, mask)
}

fn centrifuge(regs: &mut Regs, i: &Ops) -> Result<(), Trap> {
    regs.gpr[i.t as usize] = centrifuge_bits(regs.gpr[i.a as usize], regs.gpr[i.b as usize]);
    Ok(())
}

fn count_zeros_under_mask(regs: &mut Regs, i: &Ops, from_left: bool) {
    let (source, mask) = (regs.gpr[i.a as usize], regs.gpr[i.b as usize]);
    regs.gpr[i.t as usize] = zeros_under_mask(source, mask, from_left);
}

/// Zeros of `source` under the mask, counted from the left or right up to the first 1.
pub(crate) fn zeros_under_mask(source: u64, mask: u64, from_left: bool) -> u64 {
    let gathered = extract(source, mask);
    let width = mask.count_ones();
    let zeros = if from_left {
        gathered.leading_zeros() - (64 - width)
    } else {
        gathered.trailing_zeros().min(width)
    };
    zeros as u64
}

/// Ones counted in each lane of `bits` bits, by the usual tree of sums.
#[inline(always)]
fn popcount_lanes<S: Semantics>(v: S::V, bits: u32) -> S::V {
    let v = v - ((v >> 1) & 0x5555_5555_5555_5555);
    let v = (v & 0x3333_3333_3333_3333) + ((v >> 2) & 0x3333_3333_3333_3333);
    let v = (v + (v >> 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    if bits == 8 {
        return v;
    }
    let v = v + (v >> 8);
    (v + (v >> 16)) & 0x0000_003f_0000_003f
}

const fn d_record(po: u64) -> Encoding {
    d_logical(po).operands(|w| Ops { rc: true, imm: w & 0xffff, ..sab(w) })
}

instructions! { "I 3.3.13";
    ori = d_logical(24), "ori RA,RS,UI", |s, i| { let v = s.gpr(i.a) | i.imm; s.set_gpr(i.t, v); }
    oris = d_logical_shifted(25), "oris RA,RS,UI", |s, i| { let v = s.gpr(i.a) | i.imm; s.set_gpr(i.t, v); }
    xori = d_logical(26), "xori RA,RS,UI", |s, i| { let v = s.gpr(i.a) ^ i.imm; s.set_gpr(i.t, v); }
    xoris = d_logical_shifted(27), "xoris RA,RS,UI", |s, i| { let v = s.gpr(i.a) ^ i.imm; s.set_gpr(i.t, v); }
    andi_ = d_record(28), "andi. RA,RS,UI", |s, i| { let v = s.gpr(i.a) & i.imm; s.result(i, v); }
    andis_ = d_record(29).operands(|w| Ops { rc: true, imm: (w & 0xffff) << 16, ..sab(w) }),
        "andis. RA,RS,UI", |s, i| { let v = s.gpr(i.a) & i.imm; s.result(i, v); }
    and = x_logical(31, 28), "and[.] RA,RS,RB", |s, i| { let v = s.gpr(i.a) & s.gpr(i.b); s.result(i, v); }
    or = x_logical(31, 444), "or[.] RA,RS,RB", |s, i| { let v = s.gpr(i.a) | s.gpr(i.b); s.result(i, v); }
    xor = x_logical(31, 316), "xor[.] RA,RS,RB", |s, i| { let v = s.gpr(i.a) ^ s.gpr(i.b); s.result(i, v); }
    nand = x_logical(31, 476), "nand[.] RA,RS,RB", |s, i| { let v = !(s.gpr(i.a) & s.gpr(i.b)); s.result(i, v); }
    nor = x_logical(31, 124), "nor[.] RA,RS,RB", |s, i| { let v = !(s.gpr(i.a) | s.gpr(i.b)); s.result(i, v); }
    eqv = x_logical(31, 284), "eqv[.] RA,RS,RB", |s, i| { let v = !(s.gpr(i.a) ^ s.gpr(i.b)); s.result(i, v); }
    andc = x_logical(31, 60), "andc[.] RA,RS,RB", |s, i| { let v = s.gpr(i.a) & !s.gpr(i.b); s.result(i, v); }
    orc = x_logical(31, 412), "orc[.] RA,RS,RB", |s, i| { let v = s.gpr(i.a) | !s.gpr(i.b); s.result(i, v); }
    extsb = x_logical(31, 954), "extsb[.] RA,RS", |s, i| { let v = s.gpr(i.a).sext(8); s.result(i, v); }
    extsh = x_logical(31, 922), "extsh[.] RA,RS", |s, i| { let v = s.gpr(i.a).sext(16); s.result(i, v); }
    extsw = x_logical(31, 986), "extsw[.] RA,RS", |s, i| { let v = s.gpr(i.a).sext(32); s.result(i, v); }
    cntlzw = x_logical(31, 26), "cntlzw[.] RA,RS", |s, i| { let v = s.gpr(i.a).unary(Unary::Clz32); s.result(i, v); }
    cnttzw = x_logical(31, 538), "cnttzw[.] RA,RS", |s, i| { let v = s.gpr(i.a).unary(Unary::Ctz32); s.result(i, v); }
    cntlzd = x_logical(31, 58), "cntlzd[.] RA,RS", |s, i| { let v = s.gpr(i.a).unary(Unary::Clz); s.result(i, v); }
    cnttzd = x_logical(31, 570), "cnttzd[.] RA,RS", |s, i| { let v = s.gpr(i.a).unary(Unary::Ctz); s.result(i, v); }
    popcntb = x_logical(31, 122), "popcntb RA,RS", |s, i| { let v = popcount_lanes::<S>(s.gpr(i.a), 8); s.set_gpr(i.t, v); }
    popcntw = x_logical(31, 378), "popcntw RA,RS", |s, i| { let v = popcount_lanes::<S>(s.gpr(i.a), 32); s.set_gpr(i.t, v); }
    popcntd = x_logical(31, 506), "popcntd RA,RS", |s, i| { let v = s.gpr(i.a).unary(Unary::Popcnt); s.set_gpr(i.t, v); }
    prtyw = x_logical(31, 154), "prtyw RA,RS", |s, i| {
        let v = s.gpr(i.a) & 0x0101_0101_0101_0101;
        let v = v ^ (v >> 16);
        let v = (v ^ (v >> 8)) & 0x0000_0001_0000_0001;
        s.set_gpr(i.t, v);
    }
    prtyd = x_logical(31, 186), "prtyd RA,RS", |s, i| {
        let v = (s.gpr(i.a) & 0x0101_0101_0101_0101).unary(Unary::Popcnt) & 1;
        s.set_gpr(i.t, v);
    }
    cmpb = x_logical(31, 508), "cmpb RA,RS,RB", |s, i| {
        // 0xff in each byte that is equal: a byte of the difference is 0 where its low seven bits do not carry
        // into bit 7 when 0x7f is added, and bit 7 is 0 as well.
        let difference = s.gpr(i.a) ^ s.gpr(i.b);
        let low = 0x7f7f_7f7f_7f7f_7f7fu64;
        let nonzero = (((difference & low) + low) | difference) & !low;
        let equal = (nonzero >> 7) ^ 0x0101_0101_0101_0101;
        s.set_gpr(i.t, equal * 0xff);
    }
    cdtbcd = x_logical(31, 282), "cdtbcd RA,RS", |s, i| { s.compute(declets_to_bcd, i)?; }
    cbcdtd = x_logical(31, 314), "cbcdtd RA,RS", |s, i| { s.compute(bcd_to_declets, i)?; }
    bpermd = x_logical(31, 252), "bpermd RA,RS,RB", |s, i| { s.compute(bit_permute, i)?; }
    brh = x_logical(31, 219).v31(), "brh RA,RS", |s, i| {
        let v = s.gpr(i.a);
        let r = ((v & 0x00ff_00ff_00ff_00ff) << 8) | ((v >> 8) & 0x00ff_00ff_00ff_00ff);
        s.set_gpr(i.t, r);
    }
    brw = x_logical(31, 155).v31(), "brw RA,RS", |s, i| {
        let v = s.gpr(i.a).unary(Unary::Bswap64);
        s.set_gpr(i.t, (v << 32) | (v >> 32));
    }
    brd = x_logical(31, 187).v31(), "brd RA,RS", |s, i| { let v = s.gpr(i.a).unary(Unary::Bswap64); s.set_gpr(i.t, v); }
    pdepd = x_logical(31, 156).v31(), "pdepd RA,RS,RB", |s, i| { s.compute(parallel_deposit, i)?; }
    pextd = x_logical(31, 188).v31(), "pextd RA,RS,RB", |s, i| { s.compute(parallel_extract, i)?; }
    cfuged = x_logical(31, 220).v31(), "cfuged RA,RS,RB", |s, i| { s.compute(centrifuge, i)?; }
    cntlzdm = x_logical(31, 59).v31(), "cntlzdm RA,RS,RB", |s, i| {
        s.compute(|r, i| { count_zeros_under_mask(r, i, true); Ok(()) }, i)?;
    }
    cnttzdm = x_logical(31, 571).v31(), "cnttzdm RA,RS,RB", |s, i| {
        s.compute(|r, i| { count_zeros_under_mask(r, i, false); Ok(()) }, i)?;
    }
}
