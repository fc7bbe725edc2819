//! How much of a result the table of computations (`different.rs`) leaves open. The table says of an instruction with its
//! operands that its result is undefined, or that the peer makes a mistake; here is which bits of which register that
//! concerns. Everything else is compared.

use crate::compare::Difference;
use crate::different::{different, undefined_lanes};
use crate::known::{Step, bits_of};
use crate::reader::Machine;

const CR0: u128 = 0xe << 28;
const CR1: u128 = 0xf << 24;
const CR6: u128 = 0xf << 4;
const UPPER_WORD: u128 = 0xffff_ffff << 32;
const FX: u128 = 1 << 31;
const FEX: u128 = 1 << 30;
const VX: u128 = 1 << 29;
const UX: u128 = 1 << 27;
const ZX: u128 = 1 << 26;
const XX: u128 = 1 << 25;
const VXSNAN: u128 = 1 << 24;
const VXCVI: u128 = 1 << 8;
const FR_FI: u128 = 3 << 17;
const NI: u128 = 1 << 2;
const FPRF: u128 = 0x1f << 12;
/// SO, OV and OV32.
const OVERFLOW: u128 = 0xc008_0000;
const SO_OF_CR0: u128 = 1 << 28;

/// The bits of a field that may differ after a computation.
pub fn computed(step: &Step, difference: &Difference) -> u128 {
    let (before, after) = (Machine::of(step.before), Machine::of(step.ours));
    let ignore = different(step.name, &step.ops, &before, &after);
    let mut bits = bits_of(difference, "fpscr", ignore.fpscr as u128, true);
    bits |= bits_of(difference, "cr", CR6, ignore.cr6);
    if ignore.skip {
        bits |= of_result(step, &before, difference);
    }
    let Some(n) = difference.register("vs") else { return bits };
    if n == step.ops.t as u64 {
        bits |= if ignore.second_doubleword { u64::MAX as u128 } else { 0 };
        bits |= if ignore.upper_word { u128::MAX << 96 } else { 0 };
    }
    let whole = ignore.target == Some(n as u8) || ignore.exchanged == Some(n as u8 & 62);
    bits | if whole { u128::MAX } else { 0 }
}

/// The difference is in the register that the instruction writes.
fn in_target(step: &Step, difference: &Difference) -> bool {
    let n = difference.register("vs").or(difference.register("r"));
    let pairs = step.name.ends_with('q') && step.decimal();
    let accumulator = |n: u64| step.name.contains("ger") && n / 4 == step.ops.t as u64 & 7;
    n.is_some_and(|n| n == step.ops.t as u64 || pairs && n == step.ops.t as u64 + 1 || accumulator(n))
}

fn of_result(step: &Step, before: &Machine, difference: &Difference) -> u128 {
    if is_invalid(step) {
        return u128::MAX;
    }
    if in_target(step, difference) {
        return target_bits(step, before);
    }
    let (cr, fpscr, xer) = of_status(step);
    match difference.field.as_str() {
        "cr" => cr,
        "fpscr" => fpscr,
        "xer" => xer,
        _ => 0,
    }
}

/// Reserved forms, which the peer takes for no instruction.
fn is_invalid(step: &Step) -> bool {
    ["addex", "lxvkq", "lfdp", "lfdpx", "stfdp", "stfdpx"].contains(&step.name)
}

/// Bits of CR, FPSCR and XER that tell of a result that is not compared.
fn of_status(step: &Step) -> (u128, u128, u128) {
    let record = step.word & 1 != 0;
    let cr1 = if record { CR1 } else { 0 };
    let name = step.name;
    match name.trim_end_matches('q') {
        "divde" | "divdeu" => (if record { CR0 | SO_OF_CR0 } else { 0 }, 0, OVERFLOW),
        "divd" | "divdu" => (if record { CR0 } else { 0 }, 0, 0),
        "divw" | "divwu" | "divwe" | "divweu" | "mulhw" | "mulhwu" => (if record { CR0 } else { 0 }, 0, 0),
        "drsp" | "drdp" => (cr1, FX | VX | VXSNAN | FPRF | FR_FI, 0),
        "drrnd" => (cr1, FEX | FPRF | FR_FI, 0),
        "denbcd" => (cr1, FX | FEX | VX | VXCVI | FPRF | FR_FI, 0),
        "dscli" | "dscri" | "ddedpd" | "diex" => (0, 0, 0),
        // It leaves NI alone.
        "mtfsb1" => (cr1, FX | NI, 0),
        "xsmaxjdp" | "xsminjdp" => (0, FX | FEX | VX | VXSNAN, 0),
        "xststdcsp" => (0xf << (28 - 4 * (step.word >> 23 & 7)), 0, 0),
        _ if name.starts_with("bcd") => (CR6, 0, 0),
        _ if name.contains("rsqrte") => (cr1, FX | ZX | XX | FR_FI | FPRF, 0),
        "fre" | "fres" => (cr1, FX | UX | XX | FR_FI | FPRF, 0),
        _ if name.contains("nm") => (cr1, FPRF | FR_FI, 0),
        "xsrqpi" | "xsrqpxp" => (0, FX | XX | FPRF | FR_FI, 0),
        _ => (0, 0, 0),
    }
}

/// Bits of the register that is written.
fn target_bits(step: &Step, before: &Machine) -> u128 {
    let gpr = |n: u8| step.before.gpr(n);
    match step.name {
        // Of the code, which is where it is on both sides.
        "addpcis" | "paddi" => 0,
        "lvebx" => beside(step, 1),
        "lvehx" => beside(step, 2),
        "lvewx" => beside(step, 4),
        "mulhw" | "mulhwu" => UPPER_WORD,
        "divw" | "divwu" | "modsw" | "moduw" => {
            let (a, b) = (gpr(step.ops.a) as u32, gpr(step.ops.b) as i32);
            if b == 0 || a == 1 << 31 && b == -1 { u128::MAX } else { UPPER_WORD }
        }
        name => undefined_lanes(name, &step.ops, before).unwrap_or(u128::MAX),
    }
}

/// All bits but those of the element of so many bytes that is loaded.
fn beside(step: &Step, bytes: u64) -> u128 {
    let base = if step.ops.a & 31 == 0 { 0 } else { step.before.gpr(step.ops.a) };
    let first = base.wrapping_add(step.before.gpr(step.ops.b)) & 15 & !(bytes - 1);
    let first = if step.before.little() { first } else { 16 - bytes - first };
    !(((1 << (8 * bytes)) - 1) << (8 * first))
}
