//! A second assembler and disassembler, LLVM's: the committed sample (`disassembly.txt`, which has every definition) in
//! both directions. LLVM 14 has no decimal floating point and few instructions of privileged state; what it does not know
//! is counted. `cargo nextest run -p timebase-isa --run-ignored only llvm` with Debian's package `llvm`.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use timebase_isa::{Decoder, disassemble};

const SAMPLE: &str = include_str!("disassembly.txt");

/// An instruction between those of the sample, which does not occur there; as bytes, and its encoding as it is printed.
const SENTINEL: [&str; 3] = ["ori 1, 2, 0x7777", "0x60,0x41,0x77,0x77", "[0x60,0x41,0x77,0x77]"];

/// What `llvm-mc` makes of each line: text and word, or nothing where it knows no such instruction.
fn llvm_mc(lines: &[String], disassemble: bool) -> Vec<Option<(String, u64)>> {
    let mut child = Command::new("llvm-mc")
        .args(["-triple=powerpc64", "-mcpu=pwr10", "-show-encoding"])
        .args(disassemble.then_some("--disassemble"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the package llvm");
    let mut stdin = child.stdin.take().expect("piped");
    let sentinel = SENTINEL[disassemble as usize];
    let text: String = lines.iter().map(|line| format!("{line}\n{sentinel}\n")).collect();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("output");
    writer.join().expect("the writer").expect("all lines");
    let (mut made, mut between) = (Vec::new(), Vec::new());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((text, bytes)) = line.split_once("# encoding: ") else { continue };
        if bytes == SENTINEL[2] {
            made.push(if between.len() == 1 { between.pop() } else { None });
            between.clear();
            continue;
        }
        let byte = |byte: &str| u64::from_str_radix(byte.trim_start_matches("0x"), 16).ok();
        let mut bytes = bytes.trim_matches(['[', ']']).split(',').map(byte);
        let word = bytes.try_fold(0, |word, byte| Some(word << 8 | byte?));
        between.extend(word.map(|word| (text.trim().to_string(), word)));
    }
    assert_eq!(made.len(), lines.len());
    made
}

/// Our text as LLVM reads it: registers are numbers.
fn source(text: &str) -> String {
    let (mnemonic, operands) = text.split_once(' ').unwrap_or((text, ""));
    let register = |operand: &str| {
        let operand = operand.trim();
        let number = ["vs", "cr", "r", "f", "v", "a"].iter().find_map(|kind| operand.strip_prefix(kind));
        number.filter(|number| number.parse::<u8>().is_ok()).unwrap_or(operand).to_string()
    };
    let operand = |operand: &str| match operand.trim_end_matches(')').split_once('(') {
        Some((offset, base)) => format!("{offset}({})", register(base)),
        None => register(operand),
    };
    format!("{mnemonic} {}", operands.split(',').map(operand).collect::<Vec<_>>().join(", "))
}

/// Lines of the sample: word and text.
fn sample() -> Vec<(u64, String)> {
    let line = |line: &str| {
        let mut fields = line.splitn(4, ' ');
        let word = u64::from_str_radix(fields.nth(2)?, 16).ok()?;
        Some((word, fields.next()?.split(" # ").next()?.to_string()))
    };
    // Targets of branches are addresses.
    SAMPLE.lines().filter_map(line).filter(|(_, text)| !text.contains("0x")).collect()
}

#[test]
#[ignore = "needs llvm-mc"]
fn llvm_assembles_our_text_to_the_word() {
    let sample = sample();
    let texts: Vec<String> = sample.iter().map(|(_, text)| source(text)).collect();
    let made = llvm_mc(&texts, false);
    let decoder = Decoder::new(310);
    let mut wrong = Vec::new();
    let mut confirmed = BTreeSet::new();
    for ((word, text), made) in sample.iter().zip(made) {
        let Some((theirs, encoding)) = made else { continue };
        // Reserved bits have no text: the word without them has the same one.
        if encoding == *word || disassemble(&decoder, encoding, 0) == *text {
            confirmed.insert(text.split(' ').next().unwrap_or_default());
        } else {
            wrong.push(format!("{word:x} {text}: {encoding:x} {theirs}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), sample.len(), wrong.join("\n"));
    println!("{} mnemonics confirmed", confirmed.len());
    assert!(confirmed.len() > 900, "{}", confirmed.len());
}

#[test]
#[ignore = "needs llvm-mc"]
fn llvm_disassembles_the_word() {
    let sample = sample();
    let bytes = |word: u64| {
        let bytes = word.to_be_bytes();
        let bytes = if word >> 32 != 0 { &bytes[..] } else { &bytes[4..] };
        bytes.iter().map(|byte| format!("{byte:#04x}")).collect::<Vec<_>>().join(",")
    };
    let words: Vec<String> = sample.iter().map(|(word, _)| bytes(*word)).collect();
    let made = llvm_mc(&words, true);
    let theirs: Vec<Option<&str>> =
        made.iter().map(|made| made.as_ref().map(|(text, _)| text.as_str())).collect();
    // What it prints is assembled to the word; and mostly it prints our mnemonic.
    let (mut same, mut known) = (0, 0);
    for ((_, text), theirs) in sample.iter().zip(&theirs) {
        let Some(theirs) = theirs else { continue };
        let mnemonic = |text: &str| text.split([' ', '\t']).next().unwrap_or_default().to_string();
        known += 1;
        same += (mnemonic(text) == mnemonic(theirs)) as usize;
    }
    println!("{known} of {} words known, {same} with our mnemonic", sample.len());
    assert!(known * 100 > sample.len() * 85 && same * 100 > known * 85, "{known} {same}");
}
