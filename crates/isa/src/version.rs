//! Which version of the Power ISA brought an instruction (the books' "Power ISA instruction set sorted by version"):
//! what the processor compatibility register takes away from problem state is told by it.

use crate::decode::Entry;
use alloc::collections::BTreeMap;

/// Mnemonics, encodings and versions, a line each; the first lines say what and from where.
pub const PUBLISHED: &str = include_str!("published.txt");

/// The versions of all mnemonics.
pub struct Versions(BTreeMap<&'static str, u16>);

/// `v2.07` is 207, `v3.1B` 310; what is older than version 2.00 is 100.
fn number(version: &str) -> u16 {
    let Some((major, minor)) = version.strip_prefix('v').and_then(|version| version.split_once('.')) else {
        return 100;
    };
    let digits = minor.trim_end_matches(char::is_alphabetic);
    let minor: u16 = digits.parse().unwrap_or(0);
    major.parse().unwrap_or(1) * 100 + if digits.len() == 1 { minor * 10 } else { minor }
}

impl Versions {
    /// Reads the table.
    pub fn gather() -> Versions {
        let lines = PUBLISHED.lines().filter(|line| !line.starts_with('#'));
        let row = |line: &'static str| Some((line.split(' ').next()?, number(line.rsplit(' ').next()?)));
        Versions(lines.filter_map(row).collect())
    }

    /// The version of a definition: 310, 300, 207, 206, 205 ... Of what is in no version that is still in force
    /// (transactions, which 2.07 brought) the one that brought it.
    pub fn of(&self, entry: &Entry) -> u16 {
        let name = entry.syntax.split([' ', '[']).next().unwrap_or_default();
        let listed = match name {
            "cmpw" | "cmpd" => "cmp",
            "cmpwi" | "cmpdi" => "cmpi",
            "cmplw" | "cmpld" => "cmpl",
            "cmplwi" | "cmpldi" => "cmpli",
            _ if name.starts_with('t') && entry.section.starts_with("II 5") => return 207,
            _ => name,
        };
        self.0.get(listed).copied().unwrap_or(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decoder;

    #[test]
    fn versions_are_those_of_the_books() {
        let (versions, decoder) = (Versions::gather(), Decoder::new(310));
        let of = |name: &str| {
            versions.of(decoder.entries().iter().find(|entry| entry.name == name).expect("a definition"))
        };
        for (name, version) in [
            ("add", 100),
            ("cmpwi", 100),
            ("fre", 202),
            ("popcntb", 202),
            ("dadd", 205),
            ("xvadddp", 206),
            ("bctar", 207),
            ("tbegin_", 207),
            ("darn", 300),
            ("addex", 300),
            ("brd", 310),
            ("hashst", 310),
            ("xvf32ger", 310),
        ] {
            assert_eq!(of(name), version, "{name}");
        }
    }
}
