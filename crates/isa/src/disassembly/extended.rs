//! Extended mnemonics (Power ISA Book I appendix C, Book II appendix A, Book III appendix B).

use super::{Word, letters, list, spr};
use crate::decode::Entry;
use alloc::format;
use alloc::string::{String, ToString};

/// A mnemonic and its operands.
type Text = (String, String);

/// The shorter form of a word, if it has one.
pub(super) fn extended(entry: &Entry, word: Word) -> Option<Text> {
    let dot = if word.bits & 1 != 0 { "." } else { "" };
    let show = |mnemonic: &str, syntax: &str| Some((mnemonic.to_string(), list(entry, syntax, word)));
    let dotted = |mnemonic: &str, syntax: &str| Some((format!("{mnemonic}{dot}"), list(entry, syntax, word)));
    match entry.name {
        "addi" if word.a() == 0 => show("li", "RT,SI"),
        "addis" if word.a() == 0 => show("lis", "RT,SI"),
        "paddi" if word.field(52, 1) == 1 => show("pla", "RT,SI"),
        "paddi" if word.a() == 0 && word.field(52, 1) == 0 => show("pli", "RT,SI"),
        "addpcis" if list(entry, "D", word) == "0" => show("lnia", "RT"),
        "ori" if word.bits as u32 == 0x6000_0000 => show("nop", ""),
        "xori" if word.bits as u32 == 0x6800_0000 => show("xnop", ""),
        "or" if word.bits as u32 == 0x7f7b_db78 => show("yield", ""),
        "or" if word.bits as u32 == 0x7fbd_eb78 => show("mdoio", ""),
        "or" if word.bits as u32 == 0x7fde_f378 => show("mdoom", ""),
        "or" if word.bits as u32 == 0x7f5a_d378 => show("miso", ""),
        "ori" if word.bits as u32 == 0x63ff_0000 => show("exser", ""),
        "or" if word.t() == word.b() => dotted("mr", "RA,RS"),
        "nor" if word.t() == word.b() => dotted("not", "RA,RS"),
        "vor" if word.a() == word.b() => show("vmr", "VRT,VRA"),
        "vnor" if word.a() == word.b() => show("vnot", "VRT,VRA"),
        "xvcpsgndp" | "xvcpsgnsp" if list(entry, "XA", word) == list(entry, "XB", word) => {
            show(if entry.name == "xvcpsgndp" { "xvmovdp" } else { "xvmovsp" }, "XT,XB")
        }
        "creqv" if word.t() == word.a() && word.a() == word.b() => show("crset", "BT"),
        "crxor" if word.t() == word.a() && word.a() == word.b() => show("crclr", "BT"),
        "cror" if word.a() == word.b() => show("crmove", "BT,BA"),
        "crnor" if word.a() == word.b() => show("crnot", "BT,BA"),
        "mtcrf" if word.field(12, 8) == 0xff => show("mtcr", "RS"),
        "mtcrf" if word.field(20, 1) != 0 => show("mtocrf", "FXM,RS"),
        "isel" if word.field(6, 5) < 3 && word.bits & 1 == 0 => {
            show(["isellt", "iselgt", "iseleq"][word.field(6, 5) as usize], "RT,RA,RB")
        }
        "bc" | "bclr" | "bcctr" | "bctar" => branch(entry, word),
        "tw" if word.bits as u32 == 0x7fe0_0008 => show("trap", ""),
        "tw" | "td" | "twi" | "tdi" => {
            let immediate = if entry.name.ends_with('i') { "i" } else { "" };
            let mnemonic = format!("{}{}{immediate}", &entry.name[..2], condition(word.t())?);
            show(&mnemonic, if immediate.is_empty() { "RA,RB" } else { "RA,SI" })
        }
        "mfspr" | "mtspr" => {
            let number = word.field(16, 5) | word.field(11, 5) << 5;
            show(&format!("{}{}", &entry.name[..2], spr::name(number, entry.name == "mtspr")?), "RT")
        }
        "mfvsrd" | "mfvsrwz" | "mtvsrd" | "mtvsrwa" | "mtvsrwz" => move_general(entry, word),
        "xxlor" | "xxlnor" | "xxpermdi" => doublewords(entry, word),
        "tlbiel" if word.field(16, 4) == 0 && word.t() == 0 => show("tlbiel", "RB"),
        "rlwinm" | "rlwnm" | "rldicl" | "rldicr" | "rldcl" => rotate(entry, word, dot),
        "dcbz" if word.field(21, 1) == 1 => show("dcbzl", "RA,RB"),
        "slbmfev" | "slbmfee" if word.field(16, 1) == 1 => show(entry.name, "RT,RB,L"),
        // Not with reserved bits set.
        "wait" if word.bits & 0x009c_f801 != 0 && word.field(16, 2) == 0 => {
            show("wait", if word.field(21, 2) == 0 { "" } else { "WC" })
        }
        "sync" | "wait" => barrier(entry, word),
        "tend_" => show(if word.field(25, 1) != 0 { "tendall." } else { "tend." }, ""),
        "tsr_" => show(if word.field(21, 1) != 0 { "tresume." } else { "tsuspend." }, ""),
        "dcbf" | "dcbt" | "dcbtst" | "dst" | "dstst" | "dss" => cache(entry, word),
        _ => None,
    }
}

/// The condition of a trap (Book I C.6).
fn condition(to: u64) -> Option<&'static str> {
    Some(match to {
        1 => "lgt",
        2 => "llt",
        4 => "eq",
        5 => "lge",
        6 => "lle",
        8 => "gt",
        12 => "ge",
        16 => "lt",
        20 => "le",
        24 => "ne",
        31 => "u",
        _ => return None,
    })
}

/// Moves between a general and a floating-point or vector register (Book I 7.6.1).
fn move_general(entry: &Entry, word: Word) -> Option<Text> {
    let (kind, letter) = if word.bits & 1 == 0 { ("fpr", "f") } else { ("vr", "v") };
    let (general, other) = (list(entry, "RA", word), format!("{letter}{}", word.t()));
    let (direction, rest) = (&entry.name[..2], &entry.name[5..]);
    let operands =
        if direction == "mf" { format!("{general},{other}") } else { format!("{other},{general}") };
    Some((format!("{direction}{kind}{rest}"), operands))
}

/// VSX moves of doublewords (Book I 7.6.1).
fn doublewords(entry: &Entry, word: Word) -> Option<Text> {
    let show = |mnemonic: &str, syntax: &str| Some((mnemonic.to_string(), list(entry, syntax, word)));
    let same = list(entry, "XA", word) == list(entry, "XB", word);
    match (entry.name, same, word.field(8, 2)) {
        ("xxlor", true, _) => show("xxmr", "XT,XA"),
        ("xxlnor", true, _) => show("xxlnot", "XT,XA"),
        ("xxpermdi", true, 0) => Some(("xxspltd".into(), format!("{},0", list(entry, "XT,XA", word)))),
        ("xxpermdi", true, 3) => Some(("xxspltd".into(), format!("{},1", list(entry, "XT,XA", word)))),
        ("xxpermdi", true, 2) => show("xxswapd", "XT,XA"),
        ("xxpermdi", _, 0) => show("xxmrghd", "XT,XA,XB"),
        ("xxpermdi", _, 3) => show("xxmrgld", "XT,XA,XB"),
        _ => None,
    }
}

/// Conditional branches (Book I C.3).
fn branch(entry: &Entry, word: Word) -> Option<Text> {
    let (bo, bi) = (word.t(), word.a());
    let unit = match entry.name {
        "bc" => "",
        "bclr" => "lr",
        "bcctr" => "ctr",
        _ => "tar",
    };
    let (link, absolute) = (word.bits & 1 != 0, entry.name == "bc" && word.bits & 2 != 0);
    let tail = format!("{unit}{}{}", if link { "l" } else { "" }, if absolute { "a" } else { "" });
    let target = if unit.is_empty() { "BD" } else { "BH" };
    let hint = |at: u64| ["", "", "-", "+"][at as usize & 3];
    let counts = entry.name != "bcctr";
    match bo {
        0..4 | 8..12 if counts => {
            let zero = if bo & 2 != 0 { "bdz" } else { "bdnz" };
            let sense = if bo & 8 != 0 { "t" } else { "f" };
            Some((format!("{zero}{sense}{tail}"), list(entry, &format!("BI,{target}"), word)))
        }
        4..8 | 12..16 => {
            let names = if bo & 8 != 0 { ["lt", "gt", "eq", "so"] } else { ["ge", "le", "ne", "ns"] };
            let rest = list(entry, target, word);
            let field = bi >> 2;
            let named = field != 0 || (!unit.is_empty() && !rest.is_empty());
            let operands = match (named, rest.is_empty()) {
                (true, true) => format!("cr{field}"),
                (true, false) => format!("cr{field},{rest}"),
                (false, _) => rest,
            };
            Some((format!("b{}{tail}{}", names[bi as usize & 3], hint(bo)), operands))
        }
        20 if bi == 0 && !unit.is_empty() => Some((format!("b{tail}"), list(entry, target, word))),
        16..20 | 24..28 if counts && bi == 0 => {
            let zero = if bo & 2 != 0 { "bdz" } else { "bdnz" };
            let hint = if bo < 20 { "" } else { hint(2 | bo & 1) };
            Some((format!("{zero}{tail}{hint}"), list(entry, target, word)))
        }
        24..28 => {
            let (mnemonic, syntax) = entry.syntax.split_once(' ')?;
            let mnemonic = letters(mnemonic, word, &entry.encoding);
            Some((format!("{mnemonic}{}", hint(2 | bo & 1)), list(entry, syntax, word)))
        }
        _ => None,
    }
}

/// Rotates and shifts (Book I C.7).
fn rotate(entry: &Entry, word: Word, dot: &str) -> Option<Text> {
    let number = |name: &str| list(entry, name, word).parse::<u64>().unwrap_or(0);
    let of = |mnemonic: &str, n: u64| {
        Some((format!("{mnemonic}{dot}"), format!("{},{n}", list(entry, "RA,RS", word))))
    };
    let by_register = |mnemonic: &str| Some((format!("{mnemonic}{dot}"), list(entry, "RA,RS,RB", word)));
    match entry.name {
        "rlwinm" => match (number("SH"), number("MB"), number("ME")) {
            (sh, 0, 31) => of("rotlwi", sh),
            (0, mb, 31) => of("clrlwi", mb),
            (0, 0, me) => of("clrrwi", 31 - me),
            (sh, 0, me) if me == 31 - sh => of("slwi", sh),
            (sh, mb, 31) if sh == 32 - mb => of("srwi", mb),
            _ => None,
        },
        "rldicl" => match (number("SH"), number("MB")) {
            (sh, 0) => of("rotldi", sh),
            (0, mb) => of("clrldi", mb),
            (sh, mb) if sh == 64 - mb => of("srdi", mb),
            _ => None,
        },
        "rldicr" => match (number("SH"), number("ME")) {
            (0, me) => of("clrrdi", 63 - me),
            (sh, me) if me == 63 - sh => of("sldi", sh),
            _ => None,
        },
        "rlwnm" if number("MB") == 0 && number("ME") == 31 => by_register("rotlw"),
        "rldcl" if number("MB") == 0 => by_register("rotld"),
        _ => None,
    }
}

/// Memory barriers and waits (Book II A.4, A.6).
fn barrier(entry: &Entry, word: Word) -> Option<Text> {
    let (l, sc) = (word.field(21, 3), word.field(16, 2));
    let name = match (entry.name, l, sc) {
        ("sync", 0, 0) => "hwsync",
        ("sync", 1, 0) => "lwsync",
        ("sync", 2, 0) => "ptesync",
        ("sync", 4, 0) => "phwsync",
        ("sync", 5, 0) => "plwsync",
        ("sync", 1, 1) => "stncisync",
        ("sync", 0, 2) => "stcisync",
        ("sync", 0, 3) => "stsync",
        ("wait", 0, 0) => "wait",
        ("wait", 1, 0) => "waitrsv",
        ("wait", 2, 0) => "pause_short",
        _ => return None,
    };
    Some((name.into(), String::new()))
}

/// Cache hints (Book II A.2).
fn cache(entry: &Entry, word: Word) -> Option<Text> {
    let th = word.t();
    let (mnemonic, number) = match (entry.name, th) {
        ("dss", _) if word.field(25, 1) != 0 => return Some(("dssall".into(), String::new())),
        ("dss", _) => return Some(("dss".into(), word.field(21, 2).to_string())),
        ("dst" | "dstst", _) => {
            let transient = if word.field(25, 1) != 0 { "t" } else { "" };
            let operands = format!("r{},r{},{}", word.a(), word.b(), word.field(21, 2));
            return Some((format!("{}{transient}", entry.name), operands));
        }
        ("dcbf", _) => {
            (["dcbf", "dcbfl", "", "dcbflp", "dcbfps", "", "dcbstps", ""][word.field(21, 3) as usize], None)
        }
        ("dcbt", 0) => ("dcbtct", None),
        ("dcbt", 1..8) => ("dcbtct", Some(th)),
        ("dcbt", 8) => ("dcbtds", None),
        ("dcbt", 9..16) => ("dcbtds", Some(th)),
        ("dcbt", 16) => ("dcbtt", None),
        ("dcbt", 17) => ("dcbna", None),
        ("dcbtst", 0) => ("dcbtstct", None),
        ("dcbtst", 1..8) => ("dcbtstct", Some(th)),
        ("dcbtst", 8) => ("dcbtstds", None),
        ("dcbtst", 9..16) => ("dcbtstds", Some(th)),
        ("dcbtst", 16) => ("dcbtstt", None),
        _ => return None,
    };
    let operands = list(entry, "RA,RB", word);
    let operands = number.map_or(operands.clone(), |number| format!("{operands},{number}"));
    (!mnemonic.is_empty()).then(|| (mnemonic.to_string(), operands))
}
