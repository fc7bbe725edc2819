//! Where the peer may differ: results that the ISA leaves undefined, and faults of the peer (version 7.2).

use crate::reader::Machine;
use timebase_isa::Ops;

/// What is not compared.
#[derive(Clone, Copy, Default)]
pub struct Ignore {
    /// Bits of FPSCR.
    pub fpscr: u64,
    /// Doubleword 1 of VSRs.
    pub second_doubleword: bool,
    /// Word 0 of VSRs.
    pub upper_word: bool,
    /// The VSR that is the target, if there is one: results of what is no decimal.
    pub target: Option<u8>,
    /// The pair of VSRs that the peer has exchanged.
    pub exchanged: Option<u8>,
    /// CR field 6.
    pub cr6: bool,
    /// Nothing is compared.
    pub skip: bool,
}

const FX: u64 = 1 << 31;
const OX: u64 = 1 << 28;
const UX: u64 = 1 << 27;
const ZX: u64 = 1 << 26;
const XX: u64 = 1 << 25;
const FR: u64 = 1 << 18;
const FI: u64 = 1 << 17;
const C: u64 = 1 << 16;
const FPRF: u64 = 31 << 12;

fn double_is_nan(bits: u64) -> bool {
    bits << 1 > 0x7ff << 53
}

/// The lanes of a vector that have no quotient, all their bits 1: the divisor is 0 or the quotient does not fit. None if
/// the instruction is no division.
pub fn undefined_lanes(name: &str, i: &Ops, before: &Machine) -> Option<u128> {
    let (bits, signed, extended) = match name {
        "vdivuw" | "vmoduw" => (32, false, false),
        "vdivsw" | "vmodsw" => (32, true, false),
        "vdivud" | "vmodud" => (64, false, false),
        "vdivsd" | "vmodsd" => (64, true, false),
        "vdivuq" | "vmoduq" => (128, false, false),
        "vdivsq" | "vmodsq" => (128, true, false),
        "vdivesw" => (32, true, true),
        "vdiveuw" => (32, false, true),
        "vdivesd" => (64, true, true),
        "vdiveud" => (64, false, true),
        "vdivesq" => (128, true, true),
        "vdiveuq" => (128, false, true),
        _ => return None,
    };
    let (a, b) = (before.regs.vsr128(i.a), before.regs.vsr128(i.b));
    let undefined = |n: u32| {
        let lane = |v: u128| v << (bits * n) >> (128 - bits);
        let (a, b) = (lane(a), lane(b));
        let value = |v: u128| (v << (128 - bits)) as i128 >> (128 - bits);
        let lowest = 1u128 << (bits - 1);
        if signed && extended {
            // |a| * 2^bits / |b| < 2^(bits - 1), on the safe side.
            value(a).unsigned_abs() >= value(b).unsigned_abs() / 2
        } else if extended {
            a >= b
        } else {
            b == 0 || signed && a == lowest && value(b) == -1
        }
    };
    let lanes = (0..128 / bits).filter(|&n| undefined(n));
    Some(lanes.map(|n| u128::MAX << (128 - bits) >> (bits * n)).sum())
}

fn undefined(name: &str, i: &Ops, before: &Machine, after: &Machine) -> bool {
    let gpr = |n: u8| before.regs.gpr[n as usize & 31];
    let uim = i.imm & 15;
    if let Some(lanes) = undefined_lanes(name, i, before) {
        return lanes != 0;
    }
    match name {
        // Elements beside the loaded one.
        "lvebx" | "lvehx" | "lvewx" => true,
        // Digits above 9.
        "cbcdtd" => (0..16).any(|n| gpr(i.a) >> (4 * n) & 15 > 9),
        // Relative to the address of the instruction.
        "addpcis" => true,
        "paddi" => i.oe,
        // CY other than 0 is reserved.
        "addex" => i.c != 0,
        // Quotients.
        "divw" | "divwu" | "modsw" | "moduw" | "divwe" | "divweu" => {
            let (a, b) = (gpr(i.a), gpr(i.b));
            b as u32 == 0 || a as u32 == 1 << 31 && b as i32 == -1 || name.starts_with("divwe") || i.rc
        }
        "divd" | "divdu" | "modsd" | "modud" => {
            let (a, b) = (gpr(i.a), gpr(i.b));
            b == 0 || a == 1 << 63 && b as i64 == -1
        }
        "divde" | "divdeu" => after.regs.gpr[i.t as usize] == 0 || i.oe,
        // The upper word, and with it CR0.
        "mulhw" | "mulhwu" => true,
        // Invalid forms.
        "lfdp" | "lfdpx" | "stfdp" | "stfdpx" => i.t & 1 != 0,
        "mfocrf" => !(i.imm as u8).is_power_of_two(),
        // Elements that are not wholly in the register.
        "vextractuh" | "vinserth" => uim > 14,
        "vextractuw" | "vinsertw" | "xxextractuw" | "xxinsertw" => uim > 12,
        "vextractd" | "vinsertd" => uim > 8,
        "vextuhlx" | "vextuhrx" => gpr(i.a) & 15 > 14,
        "vextuwlx" | "vextuwrx" => gpr(i.a) & 15 > 12,
        "vinshlx" | "vinshrx" | "vinshvlx" | "vinshvrx" => gpr(i.a) & 15 > 14,
        "vinswlx" | "vinswrx" | "vinswvlx" | "vinswvrx" => gpr(i.a) & 15 > 12,
        "vinsdlx" | "vinsdrx" => gpr(i.a) & 15 > 8,
        "vinsw" => uim > 12,
        "vinsd" => uim > 8,
        "vextduhvlx" | "vextduhvrx" => gpr(i.c) & 31 > 30,
        "vextduwvlx" | "vextduwvrx" => gpr(i.c) & 31 > 28,
        "vextddvlx" | "vextddvrx" => gpr(i.c) & 31 > 24,
        // N of 0 and 1, and R || RMC of 1 and 2, are reserved.
        "vgnb" => i.imm & 7 < 2,
        "xsrqpi" | "xsrqpxp" => !i.oe && matches!(i.c, 1 | 2),
        "lxvkq" => after.regs.vsr[i.t as usize][0] == 0,
        // Estimates.
        "vexptefp" | "vlogefp" | "vrsqrtefp" | "frsqrte" | "frsqrtes" => true,
        _ if name.contains("rsqrtes") || name.contains("rsqrted") => true,
        // Elements of a compressed vector after the last one.
        _ if name.starts_with("xxgenpcv") => i.imm & 1 != 0,
        _ => false,
    }
}

/// Faults of the peer in decimal floating point (Book I chapter 5). It keeps numbers in another form, which has no
/// digits for infinities (5.6.6: all digits of an infinity are in its trailing significand) nor for NaNs with more
/// digits than the result, and which keeps redundant declets of NaNs.
fn decimal_faults(name: &str, i: &Ops, before: &Machine, after: &Machine) -> bool {
    let class = |n: u8| before.regs.vsr[n as usize & 31][0] >> 58 & 31;
    let invalid_conversion = after.regs.fpscr & 1 << 8 != 0;
    let source = if name.starts_with("dsc") { i.a } else { i.b };
    match name.trim_end_matches('q') {
        "dscli" | "dscri" | "ddedpd" => class(source) == 30,
        "diex" => {
            let greatest = if name == "diex" { 767 } else { 12287 };
            class(source) >= 30 || before.regs.vsr[i.a as usize & 31][0] > greatest
        }
        "drsp" => class(source) == 31,
        "drdp" => class(source) == 31,
        // Leaves target and FPRF as they are, though invalid operations are not enabled (5.5.10.1).
        "denbcd" => invalid_conversion,
        // Takes the number of the bit VE for its mask, and so finds an exception enabled.
        "drrnd" => after.regs.fpscr & 1 << 29 != 0,
        _ => false,
    }
}

fn faults_of_the_peer(name: &str, i: &Ops, before: &Machine, after: &Machine) -> bool {
    let rounding = before.regs.fpscr & 3;
    let single =
        name.ends_with('s') && name.starts_with('f') || name.starts_with("xs") && name.ends_with("sp");
    let nan = double_is_nan(after.regs.vsr[i.t as usize & 63][0]);
    // Negates before it rounds.
    let outer = name.contains("f32ger") || name.contains("f64ger");
    let negated = name.contains("nmadd") || name.contains("nmsub") || outer && name.contains("gern");
    negated && rounding >= 2
        // Cuts off NaNs of doubles where the ISA propagates the operand.
        || single && nan
        // Does not round to odd.
        || name == "xsnmsubqp" && i.rc
        // Takes RN for another enumeration.
        || matches!(name, "xsrqpi" | "xsrqpxp") && !i.oe && i.c == 3 && rounding != 0
        // Finds every double that is too small for a normal single in every class.
        || name == "xststdcsp" && matches!(before.regs.vsr[i.b as usize & 63][0] << 1 >> 53, 1..0x381)
        // Rounds the payload of a NaN too.
        || name == "xsrqpxp" && before.regs.vsr128(i.b) << 1 > 0x7fff << 113
        // Takes the reciprocal of 0 for 1/2.
        || matches!(name, "fre" | "fres") && before.regs.vsr[i.b as usize & 63][0] << 1 == 0
        // Looks at the operand after writing the result over it.
        || matches!(name, "bcdctsq_" | "bcdcpsgn_" | "bcdsetsgn_") && i.t == i.b
        // Overlooks bad digits where the number is too large.
        || name == "bcdctn_" && after.regs.cr[6] == 1
        // Makes 0 - 0 negative, and finds it both negative and zero.
        || matches!(name, "bcdadd_" | "bcdsub_") && after.regs.cr[6] == 2 && before.regs.vsr128(i.a) >> 4 == 0
        // Does not look at B, which may signal, if A is a NaN.
        || matches!(name, "xsmaxjdp" | "xsminjdp") && double_is_nan(before.regs.vsr[i.a as usize & 63][0])
        // Takes the last digit of an unsigned number for a sign.
        || name == "bcdus_" && after.regs.cr[6] & 4 != 0
        // Takes operands with bad digits for equal ones.
        || matches!(name, "bcdadd_" | "bcdsub_") && after.regs.cr[6] == 1
        // Does not insert.
        || name == "vrldmi"
        // Takes an invalid operation of one element for that of the others.
        || name.starts_with("xvcv") && after.regs.fpscr & 1 << 29 != 0
}

/// What of this case is not compared.
pub fn different(name: &str, i: &Ops, before: &Machine, after: &Machine) -> Ignore {
    // The peer does not keep FR.
    let mut fpscr = FR;
    let mut skip = undefined(name, i, before, after) || faults_of_the_peer(name, i, before, after);
    skip |= decimal_faults(name, i, before, after);
    match name {
        // FPRF is undefined.
        _ if name.starts_with("fcti") || name.starts_with("xscvdp") && name.ends_with('s') => fpscr |= FPRF,
        _ if name.starts_with("xscvqp") && name.ends_with('z') => fpscr |= FPRF,
        // The peer forgets FPRF.
        "fcfids" | "fcfidu" | "fcfidus" => fpscr |= FPRF,
        // The peer writes C.
        "fcmpo" | "xscmpodp" | "xscmpoqp" => fpscr |= C,
        // The peer forgets FX.
        "mtfsb1" => skip = true,
        // Inexactness of estimates is undefined.
        "fre" | "fres" if i.rc => skip = true,
        "fre" | "fres" => fpscr |= FX | UX | XX | FI,
        // And the peer forgets ZX.
        _ if name.starts_with("xsre") || name.starts_with("xvre") => fpscr |= FX | OX | UX | ZX | XX | FI,
        _ => {}
    }
    // A denormalized single is a normal number to the peer.
    if matches!(after.regs.fpscr >> 12 & 31, 0x14 | 0x18) {
        fpscr |= FPRF;
    }
    // The peer raises overflow or underflow, where elements of one vector may raise both.
    if name.contains("xv") && after.regs.fpscr & (OX | UX) == OX | UX {
        fpscr |= UX;
    }
    let (cr6, target) = (after.regs.cr[6], after.regs.vsr128(i.t));
    // It tells of the result, where these instructions tell of the operand (6.17.4).
    let nothing_left = match name {
        "bcds_" | "bcdsr_" | "bcdtrunc_" => target >> 4 == 0,
        "bcdus_" | "bcdutrunc_" => target == 0,
        _ => false,
    };
    Ignore {
        fpscr,
        // Undefined before ISA 3.1.
        second_doubleword: name.starts_with("lxs")
            || name.starts_with("mtvsrd") && name != "mtvsrdd"
            || name.starts_with("mtvsrw") && name != "mtvsrws",
        upper_word: name.starts_with("fctiw"),
        target: (name.starts_with("bcd") && (cr6 == 1 || name == "bcdcfsq_" && cr6 & 1 != 0)).then_some(i.t),
        // Puts the result in the second register of the pair (5.6.5: the result, concatenated with 64 zeros).
        exchanged: (name == "drdpq").then_some(i.t & 30),
        cr6: nothing_left && cr6 & 12 != 0,
        skip,
    }
}
