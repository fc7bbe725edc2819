//! `timebase disasm`: instruction words as text.

use crate::args;
use crate::commands::{Answer, print};
use crate::complaint::{Complaint, Status};
use object::{Object, ObjectSection, SectionKind};
use timebase_isa::Decoder;
use timebase_isa::disassembly::is_prefix;
use timebase_replay::divergence::Step;

/// The decoder of a CPU by its name.
pub fn decoder_of(cpu: &str) -> Decoder {
    Decoder::new(if cpu == "power9" { 300 } else { 310 })
}

/// Disassembles words, or a file.
pub fn disasm(arguments: args::Disasm) -> Answer {
    let args::Disasm { words, file, address, big_endian, cpu } = arguments;
    let decoder = decoder_of(&cpu);
    let mut text = String::new();
    if let Some(file) = file {
        let content = std::fs::read(&file).map_err(|error| {
            Status::Environment.because(format!("cannot read {}: {error}", file.display()))
        })?;
        for (start, bytes, big) in code_of(&content, address.unwrap_or(0), big_endian) {
            let (words, rest) = bytes.as_chunks();
            let word =
                |bytes: &[u8; 4]| if big { u32::from_be_bytes(*bytes) } else { u32::from_le_bytes(*bytes) };
            list(&decoder, &words.iter().map(word).collect::<Vec<u32>>(), start, &mut text);
            if !rest.is_empty() {
                text.push_str(&format!("{} more bytes: not a whole word\n", rest.len()));
            }
        }
        return print(&text);
    }
    let words = words.iter().map(|word| parse(word)).collect::<Result<Vec<Vec<u32>>, Complaint>>()?;
    list(&decoder, &words.concat(), address.unwrap_or(0), &mut text);
    print(&text)
}

/// One word, or two of a prefixed instruction.
fn parse(text: &str) -> Result<Vec<u32>, Complaint> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let words = match digits.len() {
        1..=8 => u32::from_str_radix(digits, 16).ok().map(|word| vec![word]),
        16 => u64::from_str_radix(digits, 16).ok().map(|both| vec![(both >> 32) as u32, both as u32]),
        _ => None,
    };
    words.ok_or_else(|| {
        Status::Usage.because(format!(
            "{text} is no instruction word: give up to 8 hexadecimal digits, or 16 of a prefixed instruction"
        ))
    })
}

/// The code in a file, with its address and byte order: executable sections of an ELF file, or all of any other.
fn code_of(content: &[u8], address: u64, big_endian: bool) -> Vec<(u64, &[u8], bool)> {
    let Ok(elf) = object::File::parse(content) else { return vec![(address, content, big_endian)] };
    let code = elf.sections().filter(|section| section.kind() == SectionKind::Text);
    code.filter_map(|section| Some((section.address(), section.data().ok()?, !elf.is_little_endian())))
        .collect()
}

/// The instruction of a step.
pub fn instruction(decoder: &Decoder, step: &Step) -> String {
    match (step.word, step.next_word) {
        (Some(word), Some(next)) if is_prefix(word) => {
            timebase_isa::disassemble(decoder, u64::from(word) << 32 | u64::from(next), step.address)
        }
        (Some(word), _) => timebase_isa::disassemble(decoder, word.into(), step.address),
        (None, _) => "(not readable)".into(),
    }
}

fn list(decoder: &Decoder, words: &[u32], start: u64, text: &mut String) {
    let mut n = 0;
    while let Some(&word) = words.get(n) {
        let address = start.wrapping_add(4 * n as u64);
        let second = words.get(n + 1).filter(|_| is_prefix(word));
        let (bits, shown) = match second {
            Some(&second) => (u64::from(word) << 32 | u64::from(second), format!("{word:08x} {second:08x}")),
            None => (word.into(), format!("{word:08x}         ")),
        };
        let instruction = timebase_isa::disassemble(decoder, bits, address);
        text.push_str(&format!("{address:16x}:  {shown}  {instruction}\n"));
        n += if second.is_some() { 2 } else { 1 };
    }
}
