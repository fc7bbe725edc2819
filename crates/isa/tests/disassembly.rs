//! The disassembler against the GNU binutils (`powerpc64le-linux-gnu-objdump -M power10`): the text of
//! every definition with random operands, and the word that the assembler makes of the text. A committed sample
//! (`disassembly.txt`, made by the ignored test `write_the_sample`) is compared, too.

use std::collections::BTreeMap;
use std::process::Command;
use timebase_isa::decode::Entry;
use timebase_isa::{Decoder, disassemble};

struct Random(u64);
impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

const FIELDS: [u64; 17] = [
    0,
    31 << 21,
    31 << 16,
    31 << 11,
    31 << 6,
    0x3ffff << 32,
    0xffff,
    3,
    1 << 10,
    3 << 21,
    7 << 23,
    3 << 16,
    1 << 20,
    1 << 25,
    1 << 52,
    1 << 21 | 1,
    1,
];

/// Operands of an instruction: few fields set, or some registers equal, or all random.
fn words(entry: &Entry, random: &mut Random, count: usize) -> Vec<u64> {
    let width = if entry.encoding.prefixed() { u64::MAX } else { u32::MAX as u64 };
    let open = !entry.encoding.mask & width;
    let mut words = Vec::new();
    for n in 0..count {
        let pick = |random: &mut Random| FIELDS[(random.next() >> 33) as usize % FIELDS.len()];
        let mut fields = 0;
        for _ in 0..1 + n % 4 {
            fields |= pick(random);
        }
        let mut operands = random.next() & fields;
        match n % 8 {
            // The second register operand equals the third; and the first.
            5 => operands = operands & !(31 << 11) | operands >> 5 & 31 << 11,
            6 => {
                operands = operands & !(31 << 11) | operands >> 5 & 31 << 11;
                operands = operands & !(31 << 21) | (operands & 31 << 16) << 5;
            }
            7 => operands = random.next(),
            _ => {}
        }
        words.push(entry.encoding.bits | operands & open);
    }
    words
}

/// The tool calls the matrix-multiply assist by names of a later facility: `dmxvf64ger`; ISA 3.1 does not.
fn isa_name(text: &str) -> String {
    let (mnemonic, operands) = text.split_at(text.find(' ').unwrap_or(text.len()));
    let name = match (mnemonic.strip_prefix("dm"), mnemonic.strip_prefix("pmdm")) {
        (Some("setaccz"), _) => "xxsetaccz".to_string(),
        (Some(rest), _) if rest.starts_with('x') => rest.to_string(),
        (_, Some(rest)) => format!("pm{rest}"),
        _ => return text.to_string(),
    };
    format!("{name:<7} {}", operands.trim_start())
}

/// What the tool prints for each word, with the address where it saw it.
fn objdump(words: &[u64], cpu: &str) -> Option<Vec<(u64, String)>> {
    let path = std::env::temp_dir().join(format!("timebase-disassembly-{}-{cpu}", std::process::id()));
    let mut bytes = Vec::new();
    let mut starts = BTreeMap::new();
    for (n, word) in words.iter().enumerate() {
        if word >> 32 != 0 && bytes.len() % 64 == 60 {
            bytes.extend(0x6000_0000u32.to_le_bytes());
        }
        starts.insert(bytes.len() as u64, n);
        if word >> 32 != 0 {
            bytes.extend(((word >> 32) as u32).to_le_bytes());
        }
        bytes.extend((*word as u32).to_le_bytes());
    }
    std::fs::write(&path, &bytes).expect("temporary file");
    let output = Command::new("powerpc64le-linux-gnu-objdump")
        .args(["-D", "-z", "-b", "binary", "-m", "powerpc:common64", "-EL", "--no-show-raw-insn", "-M", cpu])
        .arg(&path)
        .output();
    std::fs::remove_file(&path).expect("temporary file");
    let output = output.ok()?;
    let mut lines = vec![(0, String::new()); words.len()];
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((address, text)) = line.split_once(":\t") else { continue };
        let Ok(address) = u64::from_str_radix(address.trim(), 16) else { continue };
        if let Some(&n) = starts.get(&address) {
            lines[n] = (address, isa_name(text.trim_end()));
        }
    }
    Some(lines)
}

/// Words of a decoder's definitions that decode to their own.
fn samples(decoder: &Decoder, level: u16, seed: u64, count: usize) -> Vec<(&Entry, u64)> {
    let mut random = Random(seed);
    let mut cases = Vec::new();
    for entry in decoder.entries() {
        let here = entry.encoding.since <= level && level <= entry.encoding.until;
        if !here || entry.name == "illegal" {
            continue;
        }
        for word in words(entry, &mut random, count) {
            if decoder.entries()[decoder.decode(word).op as usize].name == entry.name {
                cases.push((entry, word));
            }
        }
    }
    cases
}

/// Registers that are in no Power ISA, which the tool still names.
fn foreign(text: &str) -> bool {
    ["batu", "batl", "rtcu", "rtcl", "sdr1", "asr ", "ear "].iter().any(|name| text.contains(name))
}

fn compare(level: u16, cpu: &str, seed: u64, count: usize) -> Option<Vec<String>> {
    let decoder = Decoder::new(level);
    let cases = samples(&decoder, level, seed, count);
    let theirs = objdump(&cases.iter().map(|(_, word)| *word).collect::<Vec<_>>(), cpu)?;
    let mut confirmed: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut sample = Vec::new();
    for ((entry, word), (address, expected)) in cases.iter().zip(&theirs) {
        if expected.starts_with(".long") || foreign(expected) {
            continue;
        }
        let text = disassemble(&decoder, *word, *address);
        if text != *expected {
            wrong.push(format!("{} {word:x}: expected {expected:?}, printed {text:?}", entry.name));
            continue;
        }
        let seen = confirmed.entry(entry.name).or_default();
        *seen += 1;
        if *seen <= 2 {
            sample.push(format!("{level} {address:x} {word:x} {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    // These the tool does not know for this CPU.
    let unknown = ["rnop", "paste_", "lfdp", "lfdpx", "stfdp", "stfdpx", "mftb", "attn"];
    let missing: Vec<_> = decoder
        .entries()
        .iter()
        .filter(|e| e.encoding.since <= level && level <= e.encoding.until && e.name != "illegal")
        .filter(|e| !confirmed.contains_key(e.name) && !unknown.contains(&e.name))
        .map(|e| e.name)
        .collect();
    assert!(missing.is_empty(), "never confirmed at {level}: {missing:?}");
    Some(sample)
}

const SAMPLE: &str = include_str!("disassembly.txt");

#[test]
fn the_sample_is_printed_as_recorded() {
    let decoders = BTreeMap::from([("300", Decoder::new(300)), ("310", Decoder::new(310))]);
    let mut lines = 0;
    for line in SAMPLE.lines() {
        let mut fields = line.splitn(4, ' ');
        let mut next = || fields.next().expect("four fields");
        let (decoder, address, word, expected) = (&decoders[next()], next(), next(), next());
        let number = |text| u64::from_str_radix(text, 16).expect("hexadecimal");
        assert_eq!(disassemble(decoder, number(word), number(address)), expected, "{line}");
        lines += 1;
    }
    assert!(lines > 1500, "only {lines} lines");
}

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

#[test]
fn binutils_print_the_same() {
    compare(310, "power10", SEED, 160).expect(TOOLS);
}

const TOOLS: &str = "the package binutils-powerpc64le-linux-gnu";

/// The text as the assembler reads it: targets of branches, which are addresses, become distances.
fn source(entry: &Entry, address: u64, text: &str) -> String {
    let absolute =
        text.split(' ').next().is_some_and(|name| name.trim_end_matches(['+', '-']).ends_with('a'));
    let branch = matches!(entry.name, "b" | "bc");
    let text = text.split(" # ").next().unwrap_or_default();
    match text.rsplit_once([' ', ',']) {
        Some((rest, target)) if branch => {
            let separator = &text[rest.len()..rest.len() + 1];
            let target =
                u64::from_str_radix(target.trim_start_matches("0x"), 16).unwrap_or_else(|_| panic!("{text}"));
            if absolute {
                return format!("{rest}{separator}{}", target as i64);
            }
            format!("{rest}{separator}.+({})", target.wrapping_sub(address) as i64)
        }
        _ => text.to_string(),
    }
}

/// The words that the assembler makes of the texts; None of those whose form it knows to be invalid (odd registers of
/// pairs, operands that must differ).
fn assemble(texts: &[String], cpu: &str) -> Vec<Option<u64>> {
    let path = std::env::temp_dir().join(format!("timebase-assembly-{}-{cpu}", std::process::id()));
    let (object, binary) = (path.with_extension("o"), path.with_extension("bin"));
    let mut invalid = Vec::new();
    loop {
        // Each in 64 bytes of its own, on two lines.
        let line = |(n, text): (usize, &String)| {
            format!(".balign 64\n{}\n", if invalid.contains(&n) { ".long 0" } else { text })
        };
        let lines: String = texts.iter().enumerate().map(line).collect();
        std::fs::write(&path, lines + ".balign 64\n").expect("temporary file");
        let output = Command::new("powerpc64le-linux-gnu-as")
            .args([&format!("-m{cpu}"), "-mbig", "-mregnames", "-o"])
            .args([&object, &path])
            .output()
            .expect(TOOLS);
        if output.status.success() {
            break;
        }
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(invalid.is_empty(), "{errors}");
        for error in errors.lines().filter(|line| line.contains(" Error: ")) {
            let invalid_form =
                ["invalid counter", "not a multiple of 2", "must be different", "in load range"]
                    .iter()
                    .any(|form| error.contains(form));
            assert!(invalid_form, "{error}");
            let line: usize = error.split(':').nth(1).and_then(|line| line.parse().ok()).expect("a line");
            invalid.push(line / 2 - 1);
        }
    }
    let copied = Command::new("powerpc64le-linux-gnu-objcopy")
        .args(["-O", "binary", "-j", ".text"])
        .args([&object, &binary])
        .status();
    assert!(copied.expect(TOOLS).success());
    let bytes = std::fs::read(&binary).expect("binary");
    for file in [path, object, binary] {
        let _ = std::fs::remove_file(file);
    }
    let word = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().expect("4 bytes")) as u64;
    let pair = |chunk: &[u8]| match word(&chunk[..4]) {
        prefix if prefix >> 26 == 1 => prefix << 32 | word(&chunk[4..8]),
        word => word,
    };
    bytes.chunks(64).map(pair).enumerate().map(|(n, word)| (!invalid.contains(&n)).then_some(word)).collect()
}

#[test]
fn assembling_the_text_gives_the_word() {
    for (level, cpu) in [(310, "power10"), (300, "power9")] {
        let decoder = Decoder::new(level);
        let cases = samples(&decoder, level, SEED, 24);
        let theirs = objdump(&cases.iter().map(|(_, word)| *word).collect::<Vec<_>>(), cpu).expect(TOOLS);
        // What the tool takes for an instruction, with no reserved bit set.
        let known: Vec<_> = cases
            .iter()
            .zip(&theirs)
            .filter(|((entry, _), (_, text))| {
                // Reserved no-ops have no mnemonic.
                entry.name != "rnop" && !text.starts_with(".long") && !foreign(text)
            })
            .map(|(case, (address, _))| (case, *address))
            .collect();
        let texts: Vec<String> = known
            .iter()
            .map(|((entry, word), address)| source(entry, *address, &disassemble(&decoder, *word, *address)))
            .collect();
        let words = assemble(&texts, cpu);
        let refused = words.iter().filter(|word| word.is_none()).count();
        assert!(refused * 100 < words.len() && words.len() > 10_000, "{refused} of {}", words.len());
        let (mut wrong, mut exact) = (BTreeMap::new(), BTreeMap::new());
        for ((((entry, word), address), text), assembled) in known.iter().zip(&texts).zip(words) {
            let Some(assembled) = assembled else { continue };
            // Reserved bits that the tool does not mind have no text: the word without them has the same one.
            let same = source(entry, *address, &disassemble(&decoder, assembled, *address)) == *text;
            *exact.entry(entry.name).or_insert(0) += (*word == assembled) as u32;
            // The assembler prefers mtocrf for one field, the disassembler isellt only without the reserved bit.
            if !same && !matches!(entry.name, "mtcrf" | "isel") {
                wrong
                    .entry(entry.name)
                    .or_insert(format!("{} {word:x}: {text} is {assembled:x}", entry.name));
            }
        }
        let never: Vec<_> = exact.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
        assert_eq!(never, [""; 0], "never the same word");
        assert!(exact.values().sum::<u32>() as usize * 100 > known.len() * 97);
        assert!(wrong.is_empty(), "{cpu}\n{}", wrong.into_values().collect::<Vec<_>>().join("\n"));
    }
}

#[test]
#[ignore = "writes the committed sample"]
fn write_the_sample() {
    let sample = compare(310, "power10", SEED, 160).expect("binutils are installed");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/disassembly.txt");
    std::fs::write(path, sample.join("\n") + "\n").expect("the sample can be written");
}
