//! Encodings against a published table of Power ISA 3.1B (src/published.txt, which names its source), in both
//! directions, and the version that each definition says it is of.

use std::collections::{BTreeMap, BTreeSet};
use timebase_isa::Decoder;
use timebase_isa::decode::Entry;
use timebase_isa::version::PUBLISHED;
use timebase_state::random::draw;

/// A mnemonic of the table.
struct Row {
    name: &'static str,
    mask: u64,
    bits: u64,
    reserved: u64,
    version: &'static str,
}

fn rows() -> Vec<Row> {
    let lines = PUBLISHED.lines().filter(|line| !line.starts_with('#'));
    let row = |line: &'static str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let number = |n: usize| u64::from_str_radix(fields[n], 16).expect("hexadecimal");
        Row { name: fields[0], mask: number(1), bits: number(2), reserved: number(3), version: fields[4] }
    };
    lines.map(row).collect()
}

/// The mnemonics of a definition: of `add[o][.] RT,RA,RB` four.
fn mnemonics(entry: &Entry) -> BTreeSet<String> {
    let name = entry.syntax.split(' ').next().unwrap_or_default();
    let mut forms = vec![String::new()];
    for (n, part) in name.split(['[', ']']).enumerate() {
        let longer: Vec<String> = forms.iter().map(|form| format!("{form}{part}")).collect();
        forms = if n % 2 == 1 { [forms, longer].concat() } else { longer };
    }
    forms.into_iter().collect()
}

/// What the table calls a form of another instruction, or two of ours by one name.
fn also(name: &str) -> &'static [&'static str] {
    match name {
        "cmp" => &["cmpw", "cmpd"],
        "cmpi" => &["cmpwi", "cmpdi"],
        "cmpl" => &["cmplw", "cmpld"],
        "cmpli" => &["cmplwi", "cmpldi"],
        "li" => &["addi"],
        "lis" => &["addis"],
        "nop" => &["ori"],
        "mtspr" => &["mtlr", "mtctr", "mtxer", "mtvrsave"],
        "mfspr" => &["mflr", "mfctr", "mfxer", "mfvrsave"],
        "mtocrf" => &["mtcrf"],
        _ => &[],
    }
}

fn has(entry: &Entry, name: &str) -> bool {
    mnemonics(entry).contains(name) || also(name).contains(&entry.name)
}

/// Words of a mnemonic: operands at random, reserved bits 0 or at random.
fn words(row: &Row, random: &mut u64) -> Vec<u64> {
    let width = if row.mask >> 32 != 0 { u64::MAX } else { 0xffff_ffff };
    let open = !row.mask & width;
    let mut words = vec![row.bits, row.bits | open & !row.reserved];
    words.extend((0..40).map(|n| {
        let open = if n % 2 == 0 { open } else { open & !row.reserved };
        row.bits | draw(random) & open
    }));
    words
}

/// A word that the table itself gives to a more special mnemonic.
fn is_special(rows: &[Row], row: &Row, word: u64) -> bool {
    rows.iter()
        .any(|other| other.mask.count_ones() > row.mask.count_ones() && word & other.mask == other.bits)
}

#[test]
fn words_of_the_table_decode_to_its_mnemonics() {
    let (decoder, rows, mut random) = (Decoder::new(310), rows(), 1);
    let mut wrong = BTreeMap::new();
    for row in &rows {
        for word in words(row, &mut random) {
            let entry = &decoder.entries()[decoder.decode(word).op as usize];
            if !has(entry, row.name) && !is_special(&rows, row, word) {
                wrong.insert(row.name, format!("{} {word:x} decodes to {}", row.name, entry.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.into_values().collect::<Vec<_>>().join("\n"));
}

/// Not in ISA 3.1B: transactions, which it removed; streams, which are hints of earlier versions; support processor
/// attention; reserved no-ops; words of no instruction.
const UNPUBLISHED: [&str; 17] = [
    "tbegin_",
    "tend_",
    "tabort_",
    "tabortwc_",
    "tabortwci_",
    "tabortdc_",
    "tabortdci_",
    "tsr_",
    "tcheck",
    "treclaim_",
    "trechkpt_",
    "dss",
    "dst",
    "dstst",
    "attn",
    "rnop",
    "illegal",
];

#[test]
fn words_of_the_definitions_are_in_the_table_by_their_mnemonics() {
    let (rows, mut random) = (rows(), 1);
    let mut wrong = BTreeMap::new();
    let decoder = Decoder::new(310);
    for (number, entry) in decoder.entries().iter().enumerate() {
        let unpublished = UNPUBLISHED.contains(&entry.name);
        let open = !entry.encoding.mask & if entry.encoding.prefixed() { u64::MAX } else { 0xffff_ffff };
        for n in 0..40 {
            let word = entry.encoding.bits | if n == 0 { 0 } else { draw(&mut random) & open };
            if decoder.decode(word).op as usize != number {
                continue;
            }
            let listed = rows.iter().any(|row| word & row.mask == row.bits && has(entry, row.name));
            if listed == unpublished {
                wrong.insert(entry.name, format!("{} {word:x}: listed: {listed}", entry.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.into_values().collect::<Vec<_>>().join("\n"));
}

#[test]
fn definitions_are_of_the_version_that_the_table_says() {
    let (decoder, rows) = (Decoder::new(310), rows());
    for row in rows {
        let entry = &decoder.entries()[decoder.decode(row.bits).op as usize];
        let new = row.version.starts_with("v3.1");
        assert_eq!(entry.encoding.since == 310, new && entry.name != "rnop", "{}", row.name);
    }
}
