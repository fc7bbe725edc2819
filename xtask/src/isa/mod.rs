//! What is defined of the instruction set, against the list of what the books have.

use crate::Outcome;
use std::collections::{BTreeMap, BTreeSet};
use timebase_isa::decode::{Decoder, Entry};

/// Every mnemonic of Power ISA 3.0B and 3.1 in its basic forms (`add`, `add.`, `addo` ...; no extended mnemonics), with
/// the version that has it. Names and versions from the tables of an assembler, not from the definitions.
const BOOKS: &str = include_str!("books.txt");
/// Instructions whose results were compared with an independent emulator.
const COMPARED: &str = include_str!("../../../crates/isa/tests/instructions/digests.txt");

/// The mnemonics of `add[o][.] RT,RA,RB`.
fn mnemonics(syntax: &str) -> Vec<String> {
    let name = syntax.split(' ').next().unwrap_or_default();
    let mut forms = vec![String::new()];
    for (n, part) in name.split(['[', ']']).enumerate() {
        let longer: Vec<String> = forms.iter().map(|form| format!("{form}{part}")).collect();
        // Every second part stood in brackets.
        forms = if n % 2 == 1 { [forms, longer].concat() } else { longer };
    }
    forms
}

fn level(entry: &Entry) -> &'static str {
    match (entry.encoding.since, entry.encoding.until) {
        (310, _) => "3.1",
        (_, 300) => "3.0",
        _ => "both",
    }
}

/// What of the books is not defined or defined for another version, one line each.
fn gaps(entries: &[Entry]) -> Vec<String> {
    let mut defined: BTreeMap<String, &str> = BTreeMap::new();
    for entry in entries {
        defined.extend(mnemonics(entry.syntax).into_iter().map(|name| (name, level(entry))));
    }
    let listed = BOOKS.lines().filter_map(|line| line.split_once(' '));
    listed
        .filter_map(|(name, version)| match defined.get(name) {
            None => Some(format!("{name} ({version}) is not defined")),
            Some(level) if *level != version => Some(format!("{name} is of {version}, defined as {level}")),
            Some(_) => None,
        })
        .collect()
}

/// Lists all definitions by section, counts them, and fails if the books have more.
pub fn list() -> Outcome {
    let decoder = Decoder::new(310);
    let compared: BTreeSet<&str> = COMPARED.lines().filter_map(|line| line.split(' ').next()).collect();
    let mut sections: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for entry in decoder.entries() {
        let version = match level(entry) {
            "both" => String::new(),
            version => format!(" ({version})"),
        };
        let proof = if compared.contains(entry.name) { "" } else { "   not compared" };
        sections.entry(entry.section).or_default().push(format!("{}{version}{proof}", entry.syntax));
    }
    for (section, entries) in &sections {
        println!("{section}: {} instructions", entries.len());
        for entry in entries {
            println!("    {entry}");
        }
    }
    let gaps = gaps(decoder.entries());
    gaps.iter().for_each(|gap| println!("{gap}"));
    println!(
        "{} instructions are defined, {} of them compared with the peer; of {} mnemonics in the books {} are missing",
        decoder.entries().len(),
        compared.len(),
        BOOKS.lines().count(),
        gaps.len()
    );
    if gaps.is_empty() { Ok(()) } else { Err(format!("{} mnemonics of the books are missing", gaps.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_books_is_missing() {
        assert_eq!(gaps(Decoder::new(310).entries()), Vec::<String>::new());
    }

    #[test]
    fn a_missing_definition_shows() {
        let decoder = Decoder::new(310);
        let others: Vec<Entry> = decoder.entries().iter().copied().filter(|e| e.name != "add").collect();
        // Of add, add., addo, addo., nothing else has the name.
        let names: Vec<String> =
            gaps(&others).iter().map(|gap| gap.split(' ').next().unwrap_or("").into()).collect();
        assert_eq!(names, ["add", "add.", "addo", "addo."]);
    }

    #[test]
    fn optional_letters() {
        assert_eq!(mnemonics("add[o][.] RT,RA,RB"), ["add", "addo", "add.", "addo."]);
        assert_eq!(mnemonics("rfid"), ["rfid"]);
    }
}
