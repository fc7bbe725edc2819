//! VSX vector conversions (Power ISA Book I 7.6.2.9). Where a doubleword becomes a word, the word is in both halves;
//! where words become doublewords, words 0 and 2 do; halves are in the odd halfwords.
#![expect(non_camel_case_types, reason = "instructions are types named by their mnemonics")]

use super::encoding::*;
use super::vector::each_element;
use crate::instruction::instructions;
use crate::semantics::Facility;
use crate::{Ops, Regs, Trap};
use timebase_softfloat::{self as soft, BFloat16, Double, Format, Half, Outcome, Rounding, Single};

type Result = core::result::Result<(), Trap>;

/// Source element `n` (of target elements `width` wide), `source` bits wide: the first that fits in its place, or
/// for halves the last.
fn source(r: &Regs, i: &Ops, width: u32, source: u32, n: u32) -> u128 {
    let place = r.vsr128(i.b) >> (128 - width * (n + 1));
    let place = if source < width && source > 16 { place >> (width - source) } else { place };
    place & u128::MAX >> (128 - source)
}

/// The element in each of the places of `width` bits: a narrower one twice, a half in the low part only.
fn place(value: u128, element: u32, width: u32) -> u128 {
    if element == 32 && width == 64 { value << 32 | value } else { value }
}

/// Elements are as wide as the wider one of source and target.
fn places(from: u32, to: u32) -> u32 {
    from.max(to)
}

fn between<F: Format, T: Format>(r: &mut Regs, i: &Ops) -> Result {
    let width = places(F::WIDTH, T::WIDTH);
    each_element(r, i, width, |r, n, env| {
        let outcome = soft::convert::<F, T, T>(F::narrow(source(r, i, width, F::WIDTH, n)), env);
        Outcome { value: place(T::widen(outcome.value), T::WIDTH, width), flags: outcome.flags }
    });
    r.fp_done()
}

#[inline(always)]
fn to_int<F: Format>(r: &mut Regs, i: &Ops, bits: u32, signed: bool) -> Result {
    let width = places(F::WIDTH, bits);
    each_element(r, i, width, |r, n, _| {
        let value = F::narrow(source(r, i, width, F::WIDTH, n));
        let outcome = soft::to_int::<F>(value, bits, signed, Rounding::TowardZero);
        Outcome { value: place(outcome.value, bits, width), flags: outcome.flags }
    });
    r.fp_done()
}

#[inline(always)]
fn from_int<T: Format>(r: &mut Regs, i: &Ops, bits: u32, signed: bool) -> Result {
    let width = places(bits, T::WIDTH);
    each_element(r, i, width, |r, n, env| {
        let value = source(r, i, width, bits, n);
        let negative = signed && value >> (bits - 1) != 0;
        let magnitude = if negative { (1 << bits) - value } else { value };
        let outcome = soft::from_int::<T, T>(negative, magnitude, env);
        Outcome { value: place(T::widen(outcome.value), T::WIDTH, width), flags: outcome.flags }
    });
    r.fp_done()
}

/// The upper half of a single from the odd halfwords; bits are only moved.
fn from_bfloat16(r: &mut Regs, i: &Ops) -> Result {
    let low_halves = 0xffff_0000_ffff_0000_ffff_0000_ffff_u128;
    r.set_vsr128(i.t, (r.vsr128(i.b) & low_halves) << 16);
    Ok(())
}

macro_rules! vsx {
    ($s:ident, $i:ident, $f:expr) => {{
        $s.require(Facility::Vsx)?;
        $s.compute($f, $i)?
    }};
}

instructions! { "I 7.6.2.9";
    xvcvdpsp = xx2(393), "xvcvdpsp XT,XB", |s, i| { vsx!(s, i, between::<Double, Single>); }
    xvcvspdp = xx2(457), "xvcvspdp XT,XB", |s, i| { vsx!(s, i, between::<Single, Double>); }
    xvcvhpsp = xx2_sub(475, 24), "xvcvhpsp XT,XB", |s, i| { vsx!(s, i, between::<Half, Single>); }
    xvcvsphp = xx2_sub(475, 25), "xvcvsphp XT,XB", |s, i| { vsx!(s, i, between::<Single, Half>); }
    xvcvspbf16 = xx2_sub(475, 17).v31(), "xvcvspbf16 XT,XB", |s, i| { vsx!(s, i, between::<Single, BFloat16>); }
    xvcvbf16spn = xx2_sub(475, 16).v31(), "xvcvbf16spn XT,XB", |s, i| { vsx!(s, i, from_bfloat16); }
    xvcvdpsxds = xx2(472), "xvcvdpsxds XT,XB", |s, i| { vsx!(s, i, |r, i| to_int::<Double>(r, i, 64, true)); }
    xvcvdpuxds = xx2(456), "xvcvdpuxds XT,XB", |s, i| { vsx!(s, i, |r, i| to_int::<Double>(r, i, 64, false)); }
    xvcvdpsxws = xx2(216), "xvcvdpsxws XT,XB", |s, i| { vsx!(s, i, |r, i| to_int::<Double>(r, i, 32, true)); }
    xvcvdpuxws = xx2(200), "xvcvdpuxws XT,XB", |s, i| { vsx!(s, i, |r, i| to_int::<Double>(r, i, 32, false)); }
    xvcvspsxds = xx2(408), "xvcvspsxds XT,XB", |s, i| { vsx!(s, i, |r, i| to_int::<Single>(r, i, 64, true)); }
    xvcvspuxds = xx2(392), "xvcvspuxds XT,XB", |s, i| { vsx!(s, i, |r, i| to_int::<Single>(r, i, 64, false)); }
    xvcvspsxws = xx2(152), "xvcvspsxws XT,XB", |s, i| { vsx!(s, i, |r, i| to_int::<Single>(r, i, 32, true)); }
    xvcvspuxws = xx2(136), "xvcvspuxws XT,XB", |s, i| { vsx!(s, i, |r, i| to_int::<Single>(r, i, 32, false)); }
    xvcvsxddp = xx2(504), "xvcvsxddp XT,XB", |s, i| { vsx!(s, i, |r, i| from_int::<Double>(r, i, 64, true)); }
    xvcvuxddp = xx2(488), "xvcvuxddp XT,XB", |s, i| { vsx!(s, i, |r, i| from_int::<Double>(r, i, 64, false)); }
    xvcvsxdsp = xx2(440), "xvcvsxdsp XT,XB", |s, i| { vsx!(s, i, |r, i| from_int::<Single>(r, i, 64, true)); }
    xvcvuxdsp = xx2(424), "xvcvuxdsp XT,XB", |s, i| { vsx!(s, i, |r, i| from_int::<Single>(r, i, 64, false)); }
    xvcvsxwdp = xx2(248), "xvcvsxwdp XT,XB", |s, i| { vsx!(s, i, |r, i| from_int::<Double>(r, i, 32, true)); }
    xvcvuxwdp = xx2(232), "xvcvuxwdp XT,XB", |s, i| { vsx!(s, i, |r, i| from_int::<Double>(r, i, 32, false)); }
    xvcvsxwsp = xx2(184), "xvcvsxwsp XT,XB", |s, i| { vsx!(s, i, |r, i| from_int::<Single>(r, i, 32, true)); }
    xvcvuxwsp = xx2(168), "xvcvuxwsp XT,XB", |s, i| { vsx!(s, i, |r, i| from_int::<Single>(r, i, 32, false)); }
}
