//! Blocks that the peer once confirmed, with digests of their results, in a file: so that a machine without the peer can
//! repeat them. A line has the model, the number of the block's beginning (`Generator::beginning`), its words, each
//! with its place, and the digest of the result.

use crate::generate::Generator;
use crate::layout::{RECORD, Record, SC, WORDS};
use std::fmt::Write;
use timebase_cpu::Model;

/// Seed of the generators.
pub const SEED: u64 = 2026;

/// A block of the file.
pub struct Confirmed {
    /// What it is to start from.
    pub record: Record,
    /// FNV-1a of its result.
    pub digest: u64,
}

/// FNV-1a of a result.
pub fn digest(result: &Record) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ *byte as u64).wrapping_mul(0x100_0000_01b3);
    result.0[..RECORD].iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The line of a block.
pub fn line(model: Model, number: usize, record: &Record, result: &Record) -> String {
    let little = record.little();
    let mut line = format!("{} {number}", name(model));
    for n in (0..WORDS).filter(|&n| record.word(n, little) != SC) {
        // Writing to a string cannot fail.
        _ = write!(line, " {n:x}:{:x}", record.word(n, little));
    }
    _ = writeln!(line, " {:016x}", digest(result));
    line
}

fn name(model: Model) -> &'static str {
    match model {
        Model::Power9 => "power9",
        Model::Power10 => "power10",
    }
}

/// The blocks of a model in the file.
pub fn read(file: &str, model: Model) -> Result<Vec<Confirmed>, String> {
    let mut generator = Generator::new(model, SEED, 0);
    let mut blocks = Vec::new();
    for line in file.lines().filter(|line| line.split(' ').next() == Some(name(model))) {
        blocks.push(parse(line, &mut generator, blocks.len()).ok_or_else(|| format!("corpus: `{line}`"))?);
    }
    Ok(blocks)
}

fn parse(line: &str, generator: &mut Generator, place: usize) -> Option<Confirmed> {
    let mut fields: Vec<&str> = line.split(' ').skip(1).collect();
    let digest = u64::from_str_radix(fields.pop()?, 16).ok()?;
    let number = fields.first()?.parse().ok()?;
    let mut record = generator.beginning(number, place);
    let little = record.little();
    for field in &fields[1..] {
        let (at, word) = field.split_once(':')?;
        record.set_word(usize::from_str_radix(at, 16).ok()?, u32::from_str_radix(word, 16).ok()?, little);
    }
    Some(Confirmed { record, digest })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line says all that a block is.
    #[test]
    fn a_line_makes_the_block_again() {
        let mut generator = Generator::new(Model::Power10, SEED, 0);
        let records: Vec<Record> = (0..40).map(|n| generator.block(n).record).collect();
        let lines: String =
            records.iter().enumerate().map(|(n, record)| line(Model::Power10, n, record, record)).collect();
        let again = read(&lines, Model::Power10).expect("its own lines");
        for (n, (record, again)) in records.iter().zip(again).enumerate() {
            let place = record.0.iter().zip(&again.record.0).position(|(a, b)| a != b);
            assert_eq!(place, None, "block {n}");
        }
    }
}
