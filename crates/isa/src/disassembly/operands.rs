//! Operands by their names in the syntax: where they stand in the word, and how they are shown.

use super::Word;
use crate::decode::Entry;
use alloc::format;
use alloc::string::{String, ToString};

/// Sign-extends the lowest `bits` bits.
fn signed(value: u64, bits: u32) -> i64 {
    ((value << (64 - bits)) as i64) >> (64 - bits)
}

/// A bit of the condition register: `eq`, `4*cr7+lt`.
pub(super) fn condition_bit(bit: u64) -> String {
    let name = ["lt", "gt", "eq", "so"][bit as usize & 3];
    if bit < 4 { name.into() } else { format!("4*cr{}+{name}", bit >> 2) }
}

/// The VSX register of a field of five bits, with its sixth bit.
fn vsr(word: Word, shift: u32, upper: u32) -> String {
    format!("vs{}", word.field(shift, 5) | word.field(upper, 1) << 5)
}

/// Where the sixth bit of XT and XS is (Book I 1.6.1): it depends on the form.
fn upper_t(entry: &Entry, word: Word) -> u32 {
    if entry.encoding.prefixed() {
        match word.field(26, 6) {
            // 8RR:D
            32 => 16,
            // 8RR:XX4
            33 | 34 => 0,
            // 8LS:D: plxv, pstxv have a primary opcode of five bits.
            _ => 26,
        }
    } else if word.field(26, 6) == 61 {
        3
    } else {
        0
    }
}

/// The displacement of a load or store.
fn displacement(entry: &Entry, word: Word, low: u64) -> String {
    if entry.encoding.prefixed() {
        return signed(word.field(32, 18) << 16 | word.field(0, 16), 34).to_string();
    }
    signed(word.field(0, 16) & !low, 16).to_string()
}

/// RA: in forms where 0 is no register, it is shown as 0.
fn base(entry: &Entry, word: Word) -> String {
    let with = |ra: u64| (entry.encoding.operands)(word.bits & !(31 << 16) | ra << 16);
    let (zero, one) = (with(0), with(1));
    let zero_or_register = (zero.a == 32 && one.a == 1) || (zero.t == 32 && one.t == 1);
    let shown = zero_or_register || matches!(entry.name, "lwat" | "ldat" | "stwat" | "stdat" | "paste_");
    if shown && word.a() == 0 { "0".into() } else { format!("r{}", word.a()) }
}

/// The target of a branch; the tool shows 32 bits of an absolute one.
fn target(word: Word, displacement: i64) -> String {
    if word.field(1, 1) != 0 {
        format!("{:#x}", displacement as u32)
    } else {
        format!("{:#x}", word.address.wrapping_add(displacement as u64))
    }
}

/// The operand `name` of a word; None where it is left out because it has its usual value.
pub(super) fn show(entry: &Entry, name: &str, word: Word) -> Option<String> {
    let number = |shift, width| Some(word.field(shift, width).to_string());
    let register = |kind: &str, n: u64| Some(format!("{kind}{n}"));
    // Shown only if it is not 0.
    let optional = |shift, width| Some(word.field(shift, width)).filter(|n| *n != 0).map(|n| n.to_string());
    let xd = !entry.encoding.prefixed() && word.field(26, 6) == 30;
    match name {
        "RTp" | "RSp" if entry.encoding.prefixed() => register("r", word.t() & !1),
        "RT" | "RS" | "RTp" | "RSp" => register("r", word.t()),
        "RA" => Some(base(entry, word)),
        "RB" => register("r", word.b()),
        "RC" => register("r", word.field(6, 5)),
        "FRT" | "FRS" => register("f", word.t()),
        "FRTp" | "FRSp" => register("f", word.t() & !1),
        "FRA" => register("f", word.a()),
        "FRB" => register("f", word.b()),
        "FRAp" => register("f", word.a() & !1),
        "FRBp" => register("f", word.b() & !1),
        "FRC" => register("f", word.field(6, 5)),
        "VRT" | "VRS" => register("v", word.t()),
        "VRA" => register("v", word.a()),
        "VRB" => register("v", word.b()),
        "VRC" => register("v", word.field(6, 5)),
        "XT" | "XS" => Some(vsr(word, 21, upper_t(entry, word))),
        "XTp" | "XSp" => register("vs", word.field(22, 4) << 1 | word.field(21, 1) << 5),
        "XA" => Some(vsr(word, 16, 2)),
        "XAp" => Some(vsr(word, 16, 2)),
        "AT" | "AS" => register("a", word.field(23, 3)),
        "XMSK" => number(36, 4),
        "YMSK" if entry.name.contains("f64") => number(34, 2),
        "YMSK" => number(32, 4),
        "PMSK" if entry.name.contains("ger8") => number(40, 8),
        "PMSK" if entry.name.contains("ger4") => number(44, 4),
        "PMSK" => number(46, 2),
        "XB" => Some(vsr(word, 11, 1)),
        "XC" => Some(vsr(word, 6, 3)),
        "BT" if entry.name.starts_with("mtfsb") => number(21, 5),
        "BT" => Some(condition_bit(word.t())),
        "BA" => Some(condition_bit(word.a())),
        "BB" => Some(condition_bit(word.b())),
        "BC" => Some(condition_bit(word.field(6, 5))),
        "BI" => Some(condition_bit(word.a())),
        "BO" => number(21, 5),
        "BH" => optional(11, 2),
        "BF" if entry.name == "mtfsfi" => number(23, 3),
        "BF" => {
            let left_out = entry.name.starts_with("cmp")
                && !entry.name.starts_with("cmprb")
                && !entry.name.starts_with("cmpeqb");
            register("cr", word.field(23, 3)).filter(|_| !(left_out && word.field(23, 3) == 0))
        }
        "BFA" => register("cr", word.field(18, 3)),
        "D" if entry.name == "addpcis" => {
            let d = word.field(6, 10) << 6 | word.field(16, 5) << 1 | word.field(0, 1);
            Some(signed(d, 16).to_string())
        }
        "D" => Some(displacement(entry, word, 0)),
        "DW" => Some(((word.field(0, 1) << 8 | word.field(21, 5) << 3) as i64 - 512).to_string()),
        "DS" => Some(displacement(entry, word, 3)),
        "DQ" => Some(displacement(entry, word, 15)),
        "SI" if entry.name.starts_with("tabort") => Some(signed(word.b(), 5).to_string()),
        "SI" => Some(displacement(entry, word, 0)),
        "UI" => number(0, 16),
        "LI" => Some(target(word, signed(word.field(0, 26) & !3, 26))),
        "BD" => Some(target(word, signed(word.field(0, 16) & !3, 16))),
        "SH" if xd || entry.name == "sradi" || entry.name == "extswsli" => {
            Some((word.field(11, 5) | word.field(1, 1) << 5).to_string())
        }
        "SH" if entry.name.starts_with("dsc") => number(10, 6),
        "TE" => Some(signed(word.a(), 5).to_string()),
        "SP" => number(19, 2),
        "S" if entry.name.starts_with("denbcd") => number(20, 1),
        "DCM" | "DGM" => number(10, 6),
        "UIM" if entry.name.starts_with("dtstsfi") => number(16, 6),
        "SH" if entry.name.starts_with("vs") => number(6, 3),
        "SH" => number(11, 5),
        "MB" | "ME" if xd => Some((word.field(6, 5) | word.field(5, 1) << 5).to_string()),
        "MB" => number(6, 5),
        "ME" => number(1, 5),
        "SPR" | "TBR" => Some((word.field(16, 5) | word.field(11, 5) << 5).to_string()),
        "R" if entry.name.starts_with("xsrqp") || entry.name.starts_with("drint") => number(16, 1),
        // R of a prefixed instruction is seen from the rest.
        "R" if entry.encoding.prefixed() => None,
        _ => small(entry, name, word),
    }
}

/// Small numbers: each has its place, and some are left out where they are 0.
fn small(entry: &Entry, name: &str, word: Word) -> Option<String> {
    let number = |shift, width| Some(word.field(shift, width).to_string());
    let optional = |shift, width| Some(word.field(shift, width)).filter(|n| *n != 0).map(|n| n.to_string());
    match (name, entry.name) {
        ("TO", _) => number(21, 5),
        ("EH", _) => optional(0, 1),
        ("CY", _) => number(9, 2),
        ("NB", _) if word.b() == 0 => Some("32".into()),
        ("NB" | "FC", _) => number(11, 5),
        ("TH", _) => number(21, 5),
        ("CT", _) => optional(21, 5),
        ("STRM", _) => number(21, 2),
        ("LEV", "sc") => optional(5, 7),
        ("LEV", _) => number(5, 7),
        ("FXM", _) => number(12, 8),
        ("FLM", _) => number(17, 8),
        ("L" | "W", "mtfsf") if word.bits & (1 << 25 | 1 << 16) == 0 => None,
        ("W", _) => optional(16, 1),
        ("U", _) => number(12, 4),
        ("DRM", _) => number(11, 3),
        ("RM", _) => number(11, 2),
        ("RMC", _) => number(9, 2),
        ("L", "darn") => number(16, 2),
        ("L", "paste_") if word.field(21, 1) == 1 => None,
        ("L", "cmprb" | "paste_") => number(21, 1),
        ("L", "mtfsf") => number(25, 1),
        ("L", "dcbf") => number(21, 3),
        ("L", "sync") => number(21, 3),
        ("L", _) => optional(16, 1),
        ("SC", _) => number(16, 2),
        ("PS" | "SHB" | "ST" | "SIX" | "UIM" | "SIM" | "MP" | "N" | "DM" | "SHW" | "DCMX", _) => {
            vector(entry, name, word)
        }
        ("IMM", "xxeval") => number(32, 8),
        ("IMM", _) => number(11, 5).map(|_| word.field(16, 5).to_string()),
        ("IMM8", _) => number(11, 8),
        ("IMM32", _) => Some((word.field(32, 16) << 16 | word.field(0, 16)).to_string()),
        ("IX", _) => number(17, 1),
        ("bm", _) => {
            let mask = word.field(6, 10) << 6 | word.field(16, 5) << 1 | word.field(0, 1);
            Some(signed(mask, 16).to_string())
        }
        ("BHRBE", _) => number(11, 10),
        // Of these, trailing zeros are left out.
        ("RIC" | "PRS" | "R", _) if word.field(16, 4) == 0 => None,
        ("PRS" | "R", _) if word.field(16, 2) == 0 => None,
        ("R", _) if word.field(16, 1) == 0 => None,
        ("RIC", _) => number(18, 2),
        ("PRS", _) => number(17, 1),
        ("R", _) => number(16, 1),
        ("IH", _) => optional(21, 3),
        ("WC", _) => number(21, 2),
        ("PL", _) => number(16, 2),
        ("A", "tbegin_") => optional(21, 1),
        ("A", _) => number(25, 1),
        ("S", _) => Some(word.field(11, 1)).filter(|s| *s == 0).map(|s| s.to_string()),
        ("T", _) => number(25, 1),
        _ => None,
    }
}

fn vector(entry: &Entry, name: &str, word: Word) -> Option<String> {
    let number = |shift, width| Some(word.field(shift, width).to_string());
    match (name, entry.name) {
        ("PS", _) => number(9, 1),
        ("SHB", _) => number(6, 4),
        ("ST", _) => number(15, 1),
        ("SIX", _) => number(11, 4),
        ("MP", _) => number(16, 1),
        ("N", _) => number(16, 3),
        ("DM" | "SHW", _) => number(8, 2),
        ("SIM", _) => Some(signed(word.field(16, 5), 5).to_string()),
        ("DCMX", name) if name.starts_with("xvtstdc") => {
            Some((word.field(6, 1) << 6 | word.field(2, 1) << 5 | word.field(16, 5)).to_string())
        }
        ("DCMX", _) => number(16, 7),
        ("UIM", "xxspltw") => number(16, 2),
        ("UIM", "lxvkq") => number(11, 5),
        ("UIM", "xxpermx") => number(32, 3),
        ("UIM", name) if name.starts_with("xx") => number(16, 4),
        ("UIM", "vspltb") => number(16, 4),
        ("UIM", "vsplth") => number(16, 3),
        ("UIM", "vspltw") => number(16, 2),
        ("UIM", name) if name.starts_with("vextract") || name.starts_with("vinsert") => number(16, 4),
        ("UIM", _) => number(16, 5),
        _ => None,
    }
}
