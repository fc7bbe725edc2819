//! What of an instruction's encoding holds operands. The differential tester (crates/differential) has it too.

use timebase_isa::decode::Entry;

/// The operand names of the syntax.
pub fn operands(entry: &Entry) -> impl Iterator<Item = &'static str> {
    let operands = entry.syntax.split_once(' ').map_or("", |(_, operands)| operands);
    operands.split([',', '(', ')']).filter(|name| !name.is_empty())
}

/// The bits of an encoding that hold operands: those that the decoder looks at and that the syntax has a name for.
/// Reserved bits stay 0, because the peer minds them.
pub fn operand_bits(entry: &Entry) -> u64 {
    let field = |shift: u32, bits: u32| ((1u64 << bits) - 1) << shift;
    let named = operands(entry).fold(0, |all, name| {
        all | match name {
            "BF" => field(23, 3),
            "BFA" => field(18, 3),
            "TO" => field(21, 5),
            "CY" => field(9, 2),
            "FXM" => field(12, 8),
            "L" if entry.name == "mtfsf" => field(25, 1),
            "XT" | "XS" if entry.encoding.prefixed() => {
                field(21, 5) | field(26, 1) | field(0, 1) | field(16, 1)
            }
            "XT" | "XS" if entry.encoding.bits >> 26 == 61 => field(21, 5) | field(3, 1),
            "XT" | "XS" => field(21, 5) | field(0, 1),
            "XA" => field(16, 5) | field(2, 1),
            "XB" => field(11, 5) | field(1, 1),
            "XC" => field(6, 5) | field(3, 1),
            "DCMX" => field(16, 7) | field(2, 1) | field(6, 1),
            "DM" | "SHW" => field(8, 2),
            "IMM8" => field(11, 8),
            "RMC" => field(9, 2),
            // Accumulators 0 to 3: the sources below are others.
            "AT" | "AS" => field(23, 2),
            "XAp" => field(17, 4),
            "XMSK" => field(36, 4),
            "YMSK" if entry.name.contains("f64") => field(34, 2),
            "YMSK" => field(32, 4),
            "PMSK" if entry.name.contains("ger8") => field(40, 8),
            "PMSK" if entry.name.contains("ger4") => field(44, 4),
            "PMSK" => field(46, 2),
            "TE" => field(16, 5),
            "SP" => field(19, 2),
            "S" => field(20, 1),
            "DCM" | "DGM" => field(10, 6),
            "SH" if entry.section.starts_with("I 5") => field(10, 6),
            "UIM" if entry.section.starts_with("I 5") => field(16, 6),
            // Pairs are even.
            "FRTp" if entry.section.starts_with("I 5") => field(22, 4),
            "FRAp" => field(17, 4),
            "FRBp" => field(12, 4),
            "MP" | "W" => field(16, 1),
            "N" => field(16, 3),
            "IX" => field(17, 1),
            "U" => field(12, 4),
            "FLM" => field(17, 8),
            "DRM" => field(11, 3),
            "RM" => field(11, 2),
            "PS" => field(9, 1),
            "SHB" => field(6, 4),
            "R" => field(52, 1) | field(16, 1),
            "ST" | "SIX" | "NB" => field(11, 5),
            "UIM" if entry.name == "lxvkq" => field(11, 5),
            "UIM" if entry.encoding.prefixed() => field(32, 3),
            "UIM" => match entry.name {
                "vsplth" | "vspltw" | "xxspltw" | "vspltb" => field(16, entry.name.len() as u32 % 4 + 1),
                "vcfsx" | "vcfux" | "vctsxs" | "vctuxs" => field(16, 5),
                _ => field(16, 4),
            },
            "SIM" => field(16, 5),
            "IMM" if entry.encoding.prefixed() => field(32, 8),
            "IMM" => field(16, 2),
            n if n.ends_with('T')
                || n.ends_with('S') && n != "DS"
                || n.ends_with("Tp")
                || n.ends_with("Sp") =>
            {
                field(21, 5)
            }
            n if n.len() > 1 && n.ends_with('A') => field(16, 5),
            n if n.len() > 1 && n.ends_with('B') && n != "MB" => field(11, 5),
            n if n.len() > 1 && n.ends_with('C') => field(6, 5),
            _ => u64::MAX,
        }
    });
    let decode = |bits: u64| (entry.encoding.operands)(entry.encoding.bits | bits);
    let flags = |bits: u64| (decode(bits).rc, decode(bits).oe);
    let suffixes = if entry.syntax.contains("[") { [1, 1 << 10] } else { [0, 0] };
    let suffixes = suffixes.into_iter().filter(|&bit| flags(bit) != flags(0)).sum::<u64>();
    let open = (0..64)
        .map(|n| 1u64 << n)
        .filter(|bit| entry.encoding.mask & bit == 0 && (named | suffixes) & bit != 0);
    open.filter(|&bit| decode(bit) != decode(0) || decode(bit | 0x001f_0000) != decode(0x001f_0000 & !bit))
        .fold(0, |all, bit| all | bit)
}

/// It loads or stores: RA is an address.
pub fn is_storage(entry: &Entry) -> bool {
    let name = entry.name.trim_start_matches('p');
    (name.starts_with('l') || name.starts_with("st"))
        && entry.syntax.contains("RA")
        && !name.starts_with("lvs")
}
