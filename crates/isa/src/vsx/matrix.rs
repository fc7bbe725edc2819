//! Matrix-multiply assist (Power ISA Book I 7.6.2.12 and 7.6.2.13, "VSX Vector GER"): outer products into
//! accumulators.
//!
//! An accumulator is the four VSRs that are associated with it: the ISA leaves their contents undefined while the
//! accumulator is in use, and to be the same register is the one choice with no hidden state. Priming and
//! depriming then move nothing. Accumulators are written also if an exception is enabled.
//!
//! Masks of the prefixed forms are in `imm`: XMSK << 12 | YMSK << 8 | PMSK, each with its first bit for row,
//! column or product 0.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use crate::encoding::*;
use crate::instruction::instructions;
use crate::semantics::Facility;
use crate::{Ops, Regs, Trap};
use core::cell::Cell;
use timebase_softfloat::{self as soft, BFloat16, Double, Env, Flags, Format, Half, Outcome, Single};

type Result = core::result::Result<(), Trap>;

/// The products are added to nothing; or to the accumulator, with signs of product and accumulator as in the
/// mnemonic.
const NEW: u8 = 0;
const PP: u8 = 1;
const NP: u8 = 2;
const PN: u8 = 3;
const NN: u8 = 4;

/// Element `n` (0: most significant) of `width` bits.
fn element(value: u128, width: u32, n: u32) -> u64 {
    (value >> (128 - width * (n + 1)) & ((1 << width) - 1)) as u64
}

fn signed(value: u64, width: u32) -> i64 {
    ((value << (64 - width)) as i64) >> (64 - width)
}

/// Whether row, column or product `n` of `count` is not masked out.
fn chosen(mask: u64, n: u32, count: u32) -> bool {
    mask >> (count - 1 - n) & 1 != 0
}

/// ACC row i, column j := f(i, j, old) where row and column are chosen, else 0. `columns` of a row fill it.
fn outer(r: &mut Regs, i: &Ops, columns: u32, mut f: impl FnMut(&mut Regs, u32, u32, u128) -> u128) {
    let (xmask, ymask) = (i.imm >> 12 & 15, i.imm >> 8 & 15);
    let width = 128 / columns;
    for row in 0..4 {
        let register = 4 * (i.t & 7) + row as u8;
        let old = r.vsr128(register);
        let mut new = 0u128;
        for column in 0..columns {
            let value = if chosen(xmask, row, 4) && chosen(ymask, column, columns) {
                f(r, row, column, element(old, width, column).into())
            } else {
                0
            };
            new = new << width | value;
        }
        r.set_vsr128(register, new);
    }
}

/// Sum of the chosen ones of 32 / WIDTH products of integers. Bytes of XB are unsigned.
fn integers<const WIDTH: u32, const ADD: bool, const SATURATE: bool>(r: &mut Regs, i: &Ops) -> Result {
    let (a, b) = (r.vsr128(i.a), r.vsr128(i.b));
    let rank = 32 / WIDTH;
    outer(r, i, 4, |r, row, column, old| {
        let product = |k: u32| {
            let (x, y) = (element(a, WIDTH, row * rank + k), element(b, WIDTH, column * rank + k));
            let y = if WIDTH == 8 { y as i64 } else { signed(y, WIDTH) };
            signed(x, WIDTH) * y
        };
        let sum: i64 = (0..rank).filter(|&k| chosen(i.imm & 255, k, rank)).map(product).sum();
        let sum = if ADD { sum + old as u32 as i32 as i64 } else { sum };
        let fits = i32::try_from(sum).is_ok();
        if SATURATE && !fits {
            r.vscr |= 1;
            return sum.clamp(i32::MIN.into(), i32::MAX.into()) as u32 as u128;
        }
        sum as u32 as u128
    });
    Ok(())
}

fn negated<F: Format>(value: F::Bits) -> F::Bits {
    if soft::is_nan::<F>(value) { value } else { F::narrow(F::widen(value) ^ 1 << (F::WIDTH - 1)) }
}

fn negated_if<F: Format>(value: F::Bits, negate: bool) -> F::Bits {
    if negate { negated::<F>(value) } else { value }
}

/// a * b, or a * b with the accumulator: -(a * b - c) for NP.
fn multiply_add<F: Format, const MODE: u8>(a: F::Bits, b: F::Bits, old: u128, env: &Env) -> Outcome<u128> {
    let widened = |o: Outcome<F::Bits>, negate: bool| Outcome {
        value: F::widen(negated_if::<F>(o.value, negate)),
        flags: o.flags,
    };
    if MODE == NEW {
        return widened(soft::mul::<F, F>(a, b, env), false);
    }
    let addend = negated_if::<F>(F::narrow(old), MODE == NP || MODE == PN);
    widened(soft::fma::<F, F>(a, b, addend, env), MODE == NP || MODE == NN)
}

/// Singles: four rows and columns.
fn singles<const MODE: u8>(r: &mut Regs, i: &Ops) -> Result {
    let (a, b, env) = (r.vsr128(i.a), r.vsr128(i.b), r.fp_env());
    let mut flags = 0;
    outer(r, i, 4, |_, row, column, old| {
        let (x, y) = (element(a, 32, row), element(b, 32, column));
        let o = multiply_add::<Single, MODE>(Single::narrow(x.into()), Single::narrow(y.into()), old, &env);
        flags |= o.flags.0;
        o.value
    });
    r.vector_flags(Flags(flags));
    r.fp_done()
}

/// Doubles: four rows from a pair of VSRs, two columns.
fn doubles<const MODE: u8>(r: &mut Regs, i: &Ops) -> Result {
    let (a, b, env) = ([r.vsr128(i.a & 62), r.vsr128(i.a | 1)], r.vsr128(i.b), r.fp_env());
    let mut flags = 0;
    // The two bits of YMSK are the first two.
    let columns = Ops { imm: i.imm & !0xf00 | (i.imm & 0xc00) >> 2, ..*i };
    outer(r, &columns, 2, |_, row, column, old| {
        let (x, y) = (element_of_pair(a, row), (b >> (64 * (1 - column))) as u64);
        let o = multiply_add::<Double, MODE>(Double::narrow(x.into()), Double::narrow(y.into()), old, &env);
        flags |= o.flags.0;
        o.value
    });
    r.vector_flags(Flags(flags));
    r.fp_done()
}

fn element_of_pair(pair: [u128; 2], row: u32) -> u64 {
    (pair[row as usize / 2] >> (64 * (1 - row % 2))) as u64
}

/// Halves (or bfloat16s) F: the two products are summed and rounded to single once, then the accumulator is added.
fn halves<F: Format, const MODE: u8>(r: &mut Regs, i: &Ops) -> Result {
    let (a, b, env) = (r.vsr128(i.a), r.vsr128(i.b), r.fp_env());
    let flags = Cell::new(0);
    outer(r, i, 4, |_, row, column, old| {
        let note = |raised: Flags| flags.set(flags.get() | raised.0);
        // What is masked out is 0 times 0.
        let factor = |source: u128, k: u32, n: u32| {
            let bits = if chosen(i.imm & 255, k, 2) { element(source, 16, n) } else { 0 };
            let o = soft::convert::<F, Double, Double>(F::narrow(bits.into()), &env);
            note(o.flags);
            o.value
        };
        // The first product is exact in a double; the sum is rounded to single.
        let (x, y) = (factor(a, 0, 2 * row), factor(b, 0, 2 * column));
        let first = soft::mul::<Double, Double>(x, y, &env);
        note(first.flags);
        let (x, y) = (factor(a, 1, 2 * row + 1), factor(b, 1, 2 * column + 1));
        let sum = soft::fma::<Double, Single>(x, y, first.value, &env);
        note(sum.flags);
        let rounded = soft::convert::<Double, Single, Single>(sum.value, &env);
        note(rounded.flags);
        if MODE == NEW {
            return Single::widen(rounded.value);
        }
        let product = negated_if::<Single>(rounded.value, MODE == NP || MODE == NN);
        let addend = negated_if::<Single>(Single::narrow(old), MODE == PN || MODE == NN);
        let o = soft::add::<Single, Single>(product, addend, &env);
        note(o.flags);
        Single::widen(o.value)
    });
    r.vector_flags(Flags(flags.get()));
    r.fp_done()
}

fn set_zero(r: &mut Regs, i: &Ops) -> Result {
    (0..4).for_each(|row| r.set_vsr128(4 * (i.t & 7) + row, 0));
    Ok(())
}

const fn xx3_sources(w: u64) -> Ops {
    Ops {
        t: f(w, 23, 3),
        a: f(w, 16, 5) | f(w, 2, 1) << 5,
        b: f(w, 11, 5) | f(w, 1, 1) << 5,
        rc: false,
        ..tab(w)
    }
}
/// XX3-form: AT, XA, XB.
const fn ger(xo: u64) -> crate::Encoding {
    crate::Encoding::new(PO | 0x7f8, 59 << 26 | xo << 3, |w| Ops { imm: 0xffff, ..xx3_sources(w) }).v31()
}
/// MMIRR:XX3-form: AT, XA, XB, and `masks` from the prefix.
const fn pm_ger(xo: u64, masks: fn(u64) -> Ops) -> crate::Encoding {
    let prefix = 1 << 58 | 3 << 56 | 9 << 52;
    crate::Encoding::new(63 << 58 | 3 << 56 | 15 << 52 | PO | 0x7f8, prefix | 59 << 26 | xo << 3, masks).v31()
}
/// XMSK and YMSK.
const fn masks(w: u64) -> u64 {
    (w >> 36 & 15) << 12 | (w >> 32 & 15) << 8
}
const fn no_products(w: u64) -> Ops {
    Ops { imm: masks(w), ..xx3_sources(w) }
}
const fn two_products(w: u64) -> Ops {
    Ops { imm: masks(w) | w >> 46 & 3, ..xx3_sources(w) }
}
const fn four_products(w: u64) -> Ops {
    Ops { imm: masks(w) | w >> 44 & 15, ..xx3_sources(w) }
}
const fn eight_products(w: u64) -> Ops {
    Ops { imm: masks(w) | w >> 40 & 255, ..xx3_sources(w) }
}
/// X-form: AS, the operation in the place of RA.
const fn accumulator(operation: u64) -> crate::Encoding {
    x(31, 177).field(16, 5, operation).operands(|w| Ops { t: f(w, 23, 3), rc: false, ..tab(w) }).v31()
}

macro_rules! mma {
    ($s:ident, $i:ident, $f:expr) => {{
        $s.require(Facility::Vsx)?;
        $s.compute($f, $i)?
    }};
}

instructions! {
    "I 7.6.2.12";
    xxmfacc = accumulator(0), "xxmfacc AS", |s, i| { let _ = i; s.require(Facility::Vsx)?; }
    xxmtacc = accumulator(1), "xxmtacc AT", |s, i| { let _ = i; s.require(Facility::Vsx)?; }
    xxsetaccz = accumulator(3), "xxsetaccz AT", |s, i| { mma!(s, i, set_zero); }
    "I 7.6.2.13";
    xvi4ger8 = ger(35), "xvi4ger8 AT,XA,XB", |s, i| { mma!(s, i, integers::<4, false, false>); }
    pmxvi4ger8 = pm_ger(35, eight_products), "pmxvi4ger8 AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, integers::<4, false, false>); }
    xvi4ger8pp = ger(34), "xvi4ger8pp AT,XA,XB", |s, i| { mma!(s, i, integers::<4, true, false>); }
    pmxvi4ger8pp = pm_ger(34, eight_products), "pmxvi4ger8pp AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, integers::<4, true, false>); }
    xvi8ger4 = ger(3), "xvi8ger4 AT,XA,XB", |s, i| { mma!(s, i, integers::<8, false, false>); }
    pmxvi8ger4 = pm_ger(3, four_products), "pmxvi8ger4 AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, integers::<8, false, false>); }
    xvi8ger4pp = ger(2), "xvi8ger4pp AT,XA,XB", |s, i| { mma!(s, i, integers::<8, true, false>); }
    pmxvi8ger4pp = pm_ger(2, four_products), "pmxvi8ger4pp AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, integers::<8, true, false>); }
    xvi8ger4spp = ger(99), "xvi8ger4spp AT,XA,XB", |s, i| { mma!(s, i, integers::<8, true, true>); }
    pmxvi8ger4spp = pm_ger(99, four_products), "pmxvi8ger4spp AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, integers::<8, true, true>); }
    xvi16ger2 = ger(75), "xvi16ger2 AT,XA,XB", |s, i| { mma!(s, i, integers::<16, false, false>); }
    pmxvi16ger2 = pm_ger(75, two_products), "pmxvi16ger2 AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, integers::<16, false, false>); }
    xvi16ger2pp = ger(107), "xvi16ger2pp AT,XA,XB", |s, i| { mma!(s, i, integers::<16, true, false>); }
    pmxvi16ger2pp = pm_ger(107, two_products), "pmxvi16ger2pp AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, integers::<16, true, false>); }
    xvi16ger2s = ger(43), "xvi16ger2s AT,XA,XB", |s, i| { mma!(s, i, integers::<16, false, true>); }
    pmxvi16ger2s = pm_ger(43, two_products), "pmxvi16ger2s AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, integers::<16, false, true>); }
    xvi16ger2spp = ger(42), "xvi16ger2spp AT,XA,XB", |s, i| { mma!(s, i, integers::<16, true, true>); }
    pmxvi16ger2spp = pm_ger(42, two_products), "pmxvi16ger2spp AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, integers::<16, true, true>); }
    xvf16ger2 = ger(19), "xvf16ger2 AT,XA,XB", |s, i| { mma!(s, i, halves::<Half, NEW>); }
    pmxvf16ger2 = pm_ger(19, two_products), "pmxvf16ger2 AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, halves::<Half, NEW>); }
    xvf16ger2pp = ger(18), "xvf16ger2pp AT,XA,XB", |s, i| { mma!(s, i, halves::<Half, PP>); }
    pmxvf16ger2pp = pm_ger(18, two_products), "pmxvf16ger2pp AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, halves::<Half, PP>); }
    xvf16ger2np = ger(82), "xvf16ger2np AT,XA,XB", |s, i| { mma!(s, i, halves::<Half, NP>); }
    pmxvf16ger2np = pm_ger(82, two_products), "pmxvf16ger2np AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, halves::<Half, NP>); }
    xvf16ger2pn = ger(146), "xvf16ger2pn AT,XA,XB", |s, i| { mma!(s, i, halves::<Half, PN>); }
    pmxvf16ger2pn = pm_ger(146, two_products), "pmxvf16ger2pn AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, halves::<Half, PN>); }
    xvf16ger2nn = ger(210), "xvf16ger2nn AT,XA,XB", |s, i| { mma!(s, i, halves::<Half, NN>); }
    pmxvf16ger2nn = pm_ger(210, two_products), "pmxvf16ger2nn AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, halves::<Half, NN>); }
    xvbf16ger2 = ger(51), "xvbf16ger2 AT,XA,XB", |s, i| { mma!(s, i, halves::<BFloat16, NEW>); }
    pmxvbf16ger2 = pm_ger(51, two_products), "pmxvbf16ger2 AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, halves::<BFloat16, NEW>); }
    xvbf16ger2pp = ger(50), "xvbf16ger2pp AT,XA,XB", |s, i| { mma!(s, i, halves::<BFloat16, PP>); }
    pmxvbf16ger2pp = pm_ger(50, two_products), "pmxvbf16ger2pp AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, halves::<BFloat16, PP>); }
    xvbf16ger2np = ger(114), "xvbf16ger2np AT,XA,XB", |s, i| { mma!(s, i, halves::<BFloat16, NP>); }
    pmxvbf16ger2np = pm_ger(114, two_products), "pmxvbf16ger2np AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, halves::<BFloat16, NP>); }
    xvbf16ger2pn = ger(178), "xvbf16ger2pn AT,XA,XB", |s, i| { mma!(s, i, halves::<BFloat16, PN>); }
    pmxvbf16ger2pn = pm_ger(178, two_products), "pmxvbf16ger2pn AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, halves::<BFloat16, PN>); }
    xvbf16ger2nn = ger(242), "xvbf16ger2nn AT,XA,XB", |s, i| { mma!(s, i, halves::<BFloat16, NN>); }
    pmxvbf16ger2nn = pm_ger(242, two_products), "pmxvbf16ger2nn AT,XA,XB,XMSK,YMSK,PMSK", |s, i| { mma!(s, i, halves::<BFloat16, NN>); }
    xvf32ger = ger(27), "xvf32ger AT,XA,XB", |s, i| { mma!(s, i, singles::<NEW>); }
    pmxvf32ger = pm_ger(27, no_products), "pmxvf32ger AT,XA,XB,XMSK,YMSK", |s, i| { mma!(s, i, singles::<NEW>); }
    xvf32gerpp = ger(26), "xvf32gerpp AT,XA,XB", |s, i| { mma!(s, i, singles::<PP>); }
    pmxvf32gerpp = pm_ger(26, no_products), "pmxvf32gerpp AT,XA,XB,XMSK,YMSK", |s, i| { mma!(s, i, singles::<PP>); }
    xvf32gernp = ger(90), "xvf32gernp AT,XA,XB", |s, i| { mma!(s, i, singles::<NP>); }
    pmxvf32gernp = pm_ger(90, no_products), "pmxvf32gernp AT,XA,XB,XMSK,YMSK", |s, i| { mma!(s, i, singles::<NP>); }
    xvf32gerpn = ger(154), "xvf32gerpn AT,XA,XB", |s, i| { mma!(s, i, singles::<PN>); }
    pmxvf32gerpn = pm_ger(154, no_products), "pmxvf32gerpn AT,XA,XB,XMSK,YMSK", |s, i| { mma!(s, i, singles::<PN>); }
    xvf32gernn = ger(218), "xvf32gernn AT,XA,XB", |s, i| { mma!(s, i, singles::<NN>); }
    pmxvf32gernn = pm_ger(218, no_products), "pmxvf32gernn AT,XA,XB,XMSK,YMSK", |s, i| { mma!(s, i, singles::<NN>); }
    xvf64ger = ger(59), "xvf64ger AT,XAp,XB", |s, i| { mma!(s, i, doubles::<NEW>); }
    pmxvf64ger = pm_ger(59, no_products), "pmxvf64ger AT,XAp,XB,XMSK,YMSK", |s, i| { mma!(s, i, doubles::<NEW>); }
    xvf64gerpp = ger(58), "xvf64gerpp AT,XAp,XB", |s, i| { mma!(s, i, doubles::<PP>); }
    pmxvf64gerpp = pm_ger(58, no_products), "pmxvf64gerpp AT,XAp,XB,XMSK,YMSK", |s, i| { mma!(s, i, doubles::<PP>); }
    xvf64gernp = ger(122), "xvf64gernp AT,XAp,XB", |s, i| { mma!(s, i, doubles::<NP>); }
    pmxvf64gernp = pm_ger(122, no_products), "pmxvf64gernp AT,XAp,XB,XMSK,YMSK", |s, i| { mma!(s, i, doubles::<NP>); }
    xvf64gerpn = ger(186), "xvf64gerpn AT,XAp,XB", |s, i| { mma!(s, i, doubles::<PN>); }
    pmxvf64gerpn = pm_ger(186, no_products), "pmxvf64gerpn AT,XAp,XB,XMSK,YMSK", |s, i| { mma!(s, i, doubles::<PN>); }
    xvf64gernn = ger(250), "xvf64gernn AT,XAp,XB", |s, i| { mma!(s, i, doubles::<NN>); }
    pmxvf64gernn = pm_ger(250, no_products), "pmxvf64gernn AT,XAp,XB,XMSK,YMSK", |s, i| { mma!(s, i, doubles::<NN>); }
}
