//! Bits of FPSCR (Power ISA Book I 4.2.2). The exceptions and what is said of the result stand where the results of the
//! arithmetic have them.

use timebase_softfloat::Flags;

const fn of(flags: Flags) -> u64 {
    flags.0 as u64
}

/// Exception summary.
pub const FX: u64 = 1 << 31;
/// Enabled exception summary.
pub const FEX: u64 = 1 << 30;
/// Invalid operation exception summary.
pub const VX: u64 = 1 << 29;
/// Overflow.
pub const OX: u64 = of(Flags::OX);
/// Underflow.
pub const UX: u64 = of(Flags::UX);
/// Division by zero.
pub const ZX: u64 = of(Flags::ZX);
/// Inexact.
pub const XX: u64 = of(Flags::XX);
/// Invalid operation: a signalling NaN.
pub const VXSNAN: u64 = of(Flags::VXSNAN);
/// Invalid operation: infinity - infinity.
pub const VXISI: u64 = of(Flags::VXISI);
/// Invalid operation: infinity / infinity.
pub const VXIDI: u64 = of(Flags::VXIDI);
/// Invalid operation: 0 / 0.
pub const VXZDZ: u64 = of(Flags::VXZDZ);
/// Invalid operation: infinity * 0.
pub const VXIMZ: u64 = of(Flags::VXIMZ);
/// Invalid operation: comparison.
pub const VXVC: u64 = of(Flags::VXVC);
/// Invalid operation: software's request.
pub const VXSOFT: u64 = 1 << 10;
/// Invalid operation: square root.
pub const VXSQRT: u64 = of(Flags::VXSQRT);
/// Invalid operation: conversion to an integer.
pub const VXCVI: u64 = of(Flags::VXCVI);
/// All invalid operations.
pub const VX_ALL: u64 = of(Flags::INVALID) | VXSOFT;
/// Everything that sets FX when it becomes 1.
pub const EXCEPTIONS: u64 = OX | UX | ZX | XX | VX_ALL;
/// Fraction rounded.
pub const FR: u64 = of(Flags::FR);
/// Fraction inexact.
pub const FI: u64 = of(Flags::FI);
/// Result flags: class and condition.
pub const FPRF: u64 = 31 << 12;
/// The condition of them.
pub const FPCC: u64 = 15 << 12;
/// Invalid operation enabled.
pub const VE: u64 = 1 << 7;
/// Overflow enabled.
pub const OE: u64 = 1 << 6;
/// Underflow enabled.
pub const UE: u64 = 1 << 5;
/// Division by zero enabled.
pub const ZE: u64 = 1 << 4;
/// Inexact enabled.
pub const XE: u64 = 1 << 3;
/// Non-IEEE mode.
pub const NI: u64 = 1 << 2;
/// Rounding mode.
pub const RN: u64 = 3;
/// Decimal rounding mode.
pub const DRN: u64 = 7 << 32;
/// All that exist; bit 52 (0x800) is reserved.
pub const ALL: u64 = DRN | 0xffff_f7ff;
