//! What is defined of the instruction set, against the list of what the books have.

use crate::Outcome;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use timebase_isa::decode::{Decoder, Entry};

/// Every mnemonic of Power ISA 3.0B and 3.1 in its basic forms (`add`, `add.`, `addo` ...; no extended mnemonics), with
/// the version that has it. Names and versions from the tables of an assembler, not from the definitions.
const BOOKS: &str = include_str!("books.txt");
/// Vectors whose results an independent emulator confirmed, by instruction: name, how many, digest.
const CONFIRMED: &str = include_str!("../../../crates/isa/tests/instructions/digests.txt");
/// Vectors written from the books.
const WRITTEN: &str = include_str!("../../../crates/isa/tests/instructions/book.txt");
/// How the compiler does each instruction; a test of crates/jit holds it true.
const COMPILED: &str = include_str!("../../../crates/jit/tests/vectors/compiled.txt");

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

/// The lines of a list by their first word.
fn by_name(list: &'static str) -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut lines: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, rest) in list.lines().filter_map(|line| line.split_once(' ')).filter(|(name, _)| *name != "#")
    {
        lines.entry(name).or_default().push(rest);
    }
    lines
}

/// What is known of an instruction beside its definition.
struct Known {
    confirmed: BTreeMap<&'static str, Vec<&'static str>>,
    written: BTreeMap<&'static str, Vec<&'static str>>,
    compiled: BTreeMap<&'static str, Vec<&'static str>>,
}

impl Known {
    fn gather() -> Known {
        Known { confirmed: by_name(CONFIRMED), written: by_name(WRITTEN), compiled: by_name(COMPILED) }
    }

    /// How many vectors it has, and from where.
    fn vectors(&self, name: &str) -> Option<String> {
        let confirmed = self.confirmed.get(name).and_then(|lines| lines[0].split(' ').next());
        let written = self.written.get(name).map(|lines| format!("{} of the books", lines.len()));
        confirmed.map(|count| format!("{count} confirmed by the peer")).or(written)
    }

    /// How the compiler does it.
    fn compiled(&self, name: &str) -> Option<&str> {
        self.compiled.get(name).map(|lines| lines[0])
    }
}

/// The list: all definitions by section, what is missing, and counts.
fn table(entries: &[Entry], known: &Known, gaps: &[String]) -> String {
    let mut sections: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        sections.entry(entry.section).or_default().push(entry);
    }
    let mut text = String::new();
    for (section, entries) in &sections {
        text += &format!("{section}: {} instructions\n", entries.len());
        for entry in entries {
            let version = level(entry);
            let vectors = known.vectors(entry.name).unwrap_or_else(|| "no vectors".into());
            let compiled = known.compiled(entry.name).unwrap_or("not known to the compiler");
            text += &format!("    {:<36} {version:<5} {vectors:<24} {compiled}\n", entry.syntax);
        }
    }
    gaps.iter().for_each(|gap| text += &format!("{gap}\n"));
    let count = |condition: &dyn Fn(&Entry) -> bool| entries.iter().filter(|entry| condition(entry)).count();
    let compiled =
        |way: &str| count(&|entry| known.compiled(entry.name).is_some_and(|how| how.contains(way)));
    text + &format!(
        "{} instructions are defined; {} have vectors, {} of them confirmed by the peer, all of which every engine runs\n\
         compiled: {} lifted to host code, {} by the host's floating point where it is exact, {} called as a function of \
         registers, {} called as an operation of the whole CPU\n\
         of {} mnemonics in the books {} are missing\n",
        entries.len(),
        count(&|entry| known.vectors(entry.name).is_some()),
        count(&|entry| known.confirmed.contains_key(entry.name)),
        compiled("lifted"),
        compiled("host-float"),
        compiled("called"),
        compiled("stepped"),
        BOOKS.lines().count(),
        gaps.len()
    )
}

/// Lists all definitions by section, counts them, and fails if the books have more.
pub fn list() -> Outcome {
    let decoder = Decoder::new(310);
    let gaps = gaps(decoder.entries());
    let text = table(decoder.entries(), &Known::gather(), &gaps);
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        result => result.map_err(|error| format!("standard output: {error}"))?,
    }
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
    fn every_instruction_has_vectors_and_a_way_to_be_compiled() {
        let (decoder, known) = (Decoder::new(310), Known::gather());
        let text = table(decoder.entries(), &known, &[]);
        assert!(!text.contains("no vectors") && !text.contains("not known"), "{text}");
        let unknown =
            Known { confirmed: BTreeMap::new(), written: BTreeMap::new(), compiled: BTreeMap::new() };
        let text = table(decoder.entries(), &unknown, &[]);
        assert_eq!(text.matches("no vectors").count(), decoder.entries().len());
    }

    #[test]
    fn optional_letters() {
        assert_eq!(mnemonics("add[o][.] RT,RA,RB"), ["add", "addo", "add.", "addo."]);
        assert_eq!(mnemonics("rfid"), ["rfid"]);
    }
}
