//! Encodings against the disassembler of the GNU binutils (`powerpc64le-linux-gnu-objdump`): for random operands it
//! gives the name of the definition, or nothing where reserved bits are set.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use timebase_isa::Decoder;
use timebase_isa::decode::Entry;

/// Names that the disassembler gives instead, because it knows a more special form or another spelling.
fn other_names(name: &str) -> &'static [&'static str] {
    match name {
        "cmpw" | "cmpd" => &["cmp"],
        "cmpwi" | "cmpdi" => &["cmpi"],
        "cmplw" | "cmpld" => &["cmpl"],
        "cmplwi" | "cmpldi" => &["cmpli"],
        "mtlr" | "mtctr" | "mtxer" | "mtvrsave" => &["mtspr"],
        "mflr" | "mfctr" | "mfxer" | "mfvrsave" => &["mfspr"],
        "dss" => &["dssall"],
        "xxsetaccz" => &["dmsetaccz"],
        "dst" => &["dstt"],
        "dstst" => &["dststt"],
        "lvsl_" => &["lvsl"],
        "lvsr_" => &["lvsr"],
        "mtcrf" => &["mtocrf"],
        "wait" => &["waitrsv", "waitimpl", "pause_short"],
        _ => &[],
    }
}

struct Random(u64);
impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// Words of an instruction: no operand bit set, single fields set, all random.
fn words(entry: &Entry, random: &mut Random) -> Vec<u64> {
    let width = if entry.encoding.prefixed() { u64::MAX } else { u32::MAX as u64 };
    let open = !entry.encoding.mask & width;
    let fields = [0u64, 31 << 21, 31 << 16, 31 << 11, 31 << 6, 0x0f << 32, 0xffff, 3];
    let plain = fields.iter().map(|field| entry.encoding.bits | random.next() & open & field);
    let mut words: Vec<u64> = plain.collect();
    for _ in 0..60 {
        let field = fields[(random.next() >> 33) as usize % 8] | fields[(random.next() >> 33) as usize % 8];
        words.push(entry.encoding.bits | random.next() & open & field);
    }
    words
}

/// What the disassembler prints of the words, with `options`; None for what it does not know.
fn disassemble(words: &[u64], options: &str) -> Vec<(u64, Option<String>)> {
    static FILES: AtomicU32 = AtomicU32::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("timebase-encodings-{}-{number}", std::process::id()));
    let mut bytes = Vec::new();
    let mut starts = BTreeMap::new();
    for (n, word) in words.iter().enumerate() {
        if word >> 32 != 0 && bytes.len() % 64 == 60 {
            // A prefixed instruction does not cross a 64-byte boundary.
            bytes.extend(0x6000_0000u32.to_le_bytes());
        }
        starts.insert(bytes.len(), n);
        if word >> 32 != 0 {
            bytes.extend(((word >> 32) as u32).to_le_bytes());
        }
        bytes.extend((*word as u32).to_le_bytes());
    }
    std::fs::write(&path, &bytes).expect("temporary file");
    let output = Command::new("powerpc64le-linux-gnu-objdump")
        .args(["-D", "-b", "binary", "-m", "powerpc:common64", "-EL", "-M", options, "--no-show-raw-insn"])
        .arg(&path)
        .output()
        .expect("powerpc64le-linux-gnu-objdump (package binutils-powerpc64le-linux-gnu)");
    std::fs::remove_file(&path).expect("temporary file");
    let mut texts = vec![(0, None); words.len()];
    for (&address, &n) in &starts {
        texts[n].0 = address as u64;
    }
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((address, text)) = line.split_once(":\t") else { continue };
        let Ok(address) = usize::from_str_radix(address.trim(), 16) else { continue };
        if let (Some(&n), false) = (starts.get(&address), text.starts_with('.')) {
            texts[n].1 = Some(text.trim().to_string());
        }
    }
    texts
}

/// The part of a mnemonic that the definition's name has: without record dot, overflow `o` and the like.
fn matches(entry: &Entry, mnemonic: &str) -> bool {
    let name = entry.name.strip_suffix('_').map_or(entry.name.to_string(), |base| format!("{base}."));
    // The tool's names of the matrix-multiply assist are those of a later facility.
    let renamed = mnemonic.strip_prefix("pmdm").map(|rest| format!("pm{rest}"));
    let mnemonic = renamed.as_deref().unwrap_or(mnemonic);
    let mnemonic = mnemonic.strip_prefix("dm").filter(|rest| rest.starts_with('x')).unwrap_or(mnemonic);
    let suffix_of = |base: &str| {
        mnemonic.strip_prefix(base).is_some_and(|suffix| {
            matches!(
                suffix,
                "" | "."
                    | "o"
                    | "o."
                    | "x"
                    | "+"
                    | "-"
                    | "a"
                    | "l"
                    | "la"
                    | "l+"
                    | "l-"
                    | "a+"
                    | "a-"
                    | "la+"
                    | "la-"
            )
        })
    };
    suffix_of(&name) || other_names(entry.name).iter().any(|other| suffix_of(other))
}

#[test]
fn the_disassembler_agrees() {
    let decoder = Decoder::new(310);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut cases = Vec::new();
    for entry in
        decoder.entries().iter().filter(|entry| entry.encoding.until >= 310 && entry.name != "illegal")
    {
        for word in words(entry, &mut random) {
            if decoder.entries()[decoder.decode(word).op as usize].name == entry.name {
                cases.push((entry, word));
            }
        }
    }
    let texts = disassemble(&cases.iter().map(|(_, word)| *word).collect::<Vec<_>>(), "power10,raw");
    let names = texts.iter().map(|(_, text)| text.as_ref()?.split_whitespace().next());
    let mut confirmed = BTreeMap::new();
    let mut wrong = Vec::new();
    for ((entry, word), name) in cases.iter().zip(names) {
        let known = confirmed.entry(entry.name).or_insert(false);
        match name {
            Some(mnemonic) if matches(entry, mnemonic) => *known = true,
            Some(mnemonic) => wrong.push(format!("{} {word:x}: {mnemonic}", entry.name)),
            None => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Not known for a POWER10 (pairs, mftb), or only with a field of one value (copy, mfocrf).
    const UNKNOWN: [&str; 8] = ["rnop", "copy", "lfdp", "lfdpx", "mfocrf", "mftb", "stfdp", "stfdpx"];
    let unconfirmed: Vec<_> =
        confirmed.iter().filter(|(name, known)| !**known && !UNKNOWN.contains(name)).collect();
    assert!(unconfirmed.is_empty(), "{unconfirmed:?}");
}

/// What we show in another way on purpose: SPRs that only one of both names, and the matrix-multiply assist, which
/// the tool calls by names of a later facility.
fn is_shown_otherwise(name: &str, word: u64, ours: &str, theirs: &str) -> bool {
    let by_number = |text: &str| text.starts_with("mfspr ") || text.starts_with("mtspr ");
    match name {
        "mfspr" | "mtspr" => by_number(ours) != by_number(theirs),
        // To the tool they are what they become in ISA 3.1.
        "rnop" => theirs.starts_with("hash"),
        _ if theirs.starts_with("dm") => word >> 26 == 59 || name.starts_with("xx"),
        _ if theirs.starts_with("pmdm") => name.starts_with("pmxv"),
        _ => false,
    }
}

#[test]
fn the_text_is_that_of_the_binutils() {
    for (level, options) in [(310, "power10"), (300, "power9")] {
        let decoder = Decoder::new(level);
        let mut random = Random(0x1234_5678_9abc_def1);
        let mut cases = Vec::new();
        for entry in decoder.entries().iter().filter(|entry| entry.name != "illegal") {
            for _ in 0..4 {
                for word in words(entry, &mut random) {
                    if decoder.entries()[decoder.decode(word).op as usize].name == entry.name {
                        cases.push((entry, word));
                    }
                }
            }
        }
        let texts = disassemble(&cases.iter().map(|(_, word)| *word).collect::<Vec<_>>(), options);
        let mut wrong = BTreeMap::new();
        let mut right = 0;
        for ((entry, word), (address, text)) in cases.iter().zip(&texts) {
            let Some(text) = text else { continue };
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let ours = timebase_isa::disassemble(&decoder, *word, *address);
            let ours = ours.split_whitespace().collect::<Vec<_>>().join(" ");
            if ours == text {
                right += 1;
            } else if !is_shown_otherwise(entry.name, *word, &ours, &text) {
                wrong.entry(entry.name).or_insert_with(Vec::new).push(format!("{word:x}: {ours} | {text}"));
            }
        }
        let wrong: Vec<String> = wrong
            .iter()
            .map(|(name, texts)| {
                format!("{name} {}: {}", texts.len(), texts[..texts.len().min(3)].join("; "))
            })
            .collect();
        assert!(wrong.is_empty(), "{options}: {right} right\n{}", wrong.join("\n"));
        assert!(right > 10_000, "{right}");
    }
}
