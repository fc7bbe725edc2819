//! A comparison: blocks are made, run here and by the peer, and what differs is shrunk to single instructions.

use crate::bench::Bench;
use crate::compare::{Difference, between};
use crate::generate::{Block, Generator, word_of};
use crate::here::{self, Engine};
use crate::known::{Step, unexplained};
use crate::layout::{Record, SC, WORDS, at, code_of, moved};
use crate::peer;
use std::collections::BTreeMap;
use timebase_cpu::Model;

/// What was compared and found.
#[derive(Default)]
pub struct Report {
    /// Instructions executed in blocks, by family.
    pub families: BTreeMap<&'static str, u64>,
    /// Blocks.
    pub blocks: u64,
    /// Blocks that differed.
    pub differed: u64,
    /// Single instructions repeated on their own.
    pub repeated: u64,
    /// What nothing explains: by what it is, with how often and one example.
    pub unexplained: BTreeMap<String, (u64, String)>,
}

impl Report {
    fn add(&mut self, what: String, example: impl FnOnce() -> String) {
        let entry = self.unexplained.entry(what).or_insert_with(|| (0, example()));
        entry.0 += 1;
    }
}

/// Blocks whose beginnings are compared at once.
const SEQUENCES: usize = 200;

/// The part of the books that an instruction is from.
pub fn family(section: &str, name: &str) -> &'static str {
    match section {
        _ if name.starts_with("tr") && section.starts_with("II 5") => "transactions",
        s if s.starts_with("I 2") => "branch and condition register",
        s if s.starts_with("I 3") => "fixed point",
        s if s.starts_with("I 4") => "floating point",
        s if s.starts_with("I 5") => "decimal floating point",
        s if s.starts_with("I 6") => "vector",
        s if s.starts_with("I 7.2") => "matrix",
        s if s.starts_with("I") && !s.starts_with("II") => "vector-scalar",
        s if s.starts_with("II") && !s.starts_with("III") => "storage control",
        _ => "privileged and system",
    }
}

/// One instruction of a block that differed: the state before it, which ends after it.
struct Single {
    record: Record,
    op: u16,
    word: u64,
    block: usize,
    /// It can be repeated alone.
    alone: bool,
}

/// The instructions of a block one by one.
fn singles(
    bench: &mut Bench,
    generator_decoder: &timebase_isa::Decoder,
    block: &Record,
    number: usize,
) -> Vec<Single> {
    let mut found = Vec::new();
    bench.code = code_of(number);
    bench.load(block);
    while let Some(n) = bench.next() {
        let little = bench.cpu.little_endian();
        let word = word_of(generator_decoder, bench.word_at(n, little));
        let mut record = bench.record(block);
        let words = if word >> 32 != 0 { vec![(word >> 32) as u32, word as u32] } else { vec![word as u32] };
        for k in 0..WORDS {
            record.set_word(k, SC, little);
        }
        for (k, part) in words.iter().enumerate() {
            record.set_word(n + k, *part, little);
        }
        let op = generator_decoder.decode(word).op;
        // The guest itself needs HSRR0 and HSRR1 to begin a block.
        let hrfid = generator_decoder.entries()[op as usize].name == "hrfid";
        found.push(Single { record, op, word, block: number, alone: !hrfid });
        bench.step();
        // What ends a block would not do so in the other byte order.
        let same = bench.next().is_none() || bench.cpu.little_endian() == little;
        found.last_mut().expect("it was pushed").alone &= same;
        if found.len() > 200 {
            break;
        }
    }
    found
}

/// Compares `count` blocks of a generator, and adds what is found.
fn compare(
    generator: &mut Generator,
    count: usize,
    engines: &[Engine],
    report: &mut Report,
) -> Result<(), String> {
    let blocks: Vec<Block> = (0..count).map(|n| generator.block(n)).collect();
    for op in blocks.iter().flat_map(|block| &block.executed) {
        let entry = &generator.decoder.entries()[*op as usize];
        *report.families.entry(family(entry.section, entry.name)).or_default() += 1;
    }
    report.blocks += count as u64;
    let records: Vec<Record> = blocks.into_iter().map(|block| block.record).collect();
    let model = generator.model;
    let (mut ours, peers) = std::thread::scope(|scope| {
        let peers = scope.spawn(|| peer::run(model, &records));
        let ours: Vec<_> = engines.iter().map(|engine| here::run(model, *engine, &records)).collect();
        (ours, peers.join().expect("the peer's thread"))
    });
    let peers = peers?;
    let first = ours.remove(0)?;
    for other in ours {
        between_engines(&first, &other?, report);
    }
    let differing: Vec<usize> =
        (0..count).filter(|&n| !between(first[n].as_ref(), peers[n].as_ref()).is_empty()).collect();
    report.differed += differing.len() as u64;
    let mut all: Vec<Single> = Vec::new();
    for &n in &differing {
        let steps = singles(&mut generator.bench, &generator.decoder, &records[n], n);
        all.extend(steps.into_iter().filter(|single| single.alone));
    }
    let mut explained = vec![false; count];
    for part in all.chunks(crate::layout::MOST) {
        judge(generator, part, &mut explained, report)?;
    }
    let rest: Vec<(usize, &Record)> =
        differing.into_iter().filter(|&n| !explained[n]).map(|n| (n, &records[n])).collect();
    for part in rest.chunks(SEQUENCES) {
        sequences(generator, part, report)?;
    }
    Ok(())
}

fn between_engines(first: &[Option<Record>], other: &[Option<Record>], report: &mut Report) {
    for (n, (a, b)) in first.iter().zip(other).enumerate() {
        let found = between(a.as_ref(), b.as_ref());
        if let Some(one) = found.first() {
            report.add(format!("the engines differ in {}", one.field), || {
                format!("block {n}: {}", listed(&found))
            });
        }
    }
}

fn listed(found: &[Difference]) -> String {
    found.iter().map(|difference| format!("\n    {difference}")).collect()
}

/// Runs single instructions on both sides. Those that differ explain their blocks; what explains them, or nothing.
fn judge(
    generator: &Generator,
    singles: &[Single],
    explained: &mut [bool],
    report: &mut Report,
) -> Result<(), String> {
    let model = generator.model;
    let records: Vec<Record> =
        singles.iter().enumerate().map(|(n, single)| moved(&single.record, single.block, n)).collect();
    let ours = here::run(model, Engine::Interpreter, &records)?;
    let peers = peer::run(model, &records)?;
    report.repeated += singles.len() as u64;
    for (n, single) in singles.iter().enumerate() {
        let entry = &generator.decoder.entries()[single.op as usize];
        let found = between(ours[n].as_ref(), peers[n].as_ref());
        if found.is_empty() {
            continue;
        }
        explained[single.block] = true;
        let (Some(ours), Some(peer)) = (&ours[n], &peers[n]) else {
            if peers[n].is_some() || !crate::known::hangs(&records[n]) {
                report.add(format!("{model:?} {} end", entry.name), || {
                    format!("{}{}", described(generator, &records[n], single.word), listed(&found))
                });
            }
            continue;
        };
        let ops = generator.decoder.decode(single.word);
        let step = Step {
            name: entry.name,
            section: entry.section,
            word: single.word,
            ops,
            invalid: crate::special::invalid(entry, &ops, single.word),
            before: &records[n],
            ours,
            peer,
        };
        let rest = unexplained(&step, &found);
        if let Some(one) = rest.first() {
            let field = one.field.trim_end_matches(|c: char| c.is_ascii_digit());
            report.add(format!("{model:?} {} {field}", entry.name), || {
                format!("{}{}", described(generator, &records[n], single.word), listed(&rest))
            });
        }
    }
    Ok(())
}

/// An instruction with its inputs.
fn described(generator: &Generator, before: &Record, word: u64) -> String {
    let address = before.get(at::NIA);
    let text = timebase_isa::disassemble(&generator.decoder, word, address);
    let effects =
        timebase_isa::effects::Reader::new(generator.model.level()).effects(&generator.decoder.decode(word));
    let mut lines = format!("{word:08x} at {address:x}: {text}\n    before: msr {:x}", before.get(at::MSR));
    let bench = {
        let mut regs = timebase_isa::Regs::cold(generator.model.level() as u64);
        for n in 0..32 {
            regs.gpr[n] = before.get(crate::layout::GPR + 8 * n);
        }
        for n in 0..64 {
            regs.vsr[n as usize] = [(before.vsr(n) >> 64) as u64, before.vsr(n) as u64];
        }
        regs.set_cr_packed(255, before.get(at::CR));
        regs.set_xer(before.get(at::XER));
        (regs.lr, regs.ctr, regs.fpscr) = (before.get(at::LR), before.get(at::CTR), before.get(at::FPSCR));
        regs.vscr = before.get(crate::layout::VSCR);
        regs
    };
    for reg in effects.reads.iter() {
        lines += &format!(", {} {:x}", register(reg), bench.word(reg));
    }
    lines
}

fn register(reg: timebase_isa::Reg) -> String {
    match reg.0 {
        n @ ..=31 => format!("r{n}"),
        32 => "0".into(),
        33 => "lr".into(),
        34 => "ctr".into(),
        35..=39 => ["ca", "ca32", "ov", "ov32", "so"][reg.0 as usize - 35].into(),
        n @ 40..48 => format!("cr{}", n - 40),
        n @ 48..176 => format!("vs{}{}", (n - 48) / 2, ["", ".low"][n as usize % 2]),
        176 => "fpscr".into(),
        177 => "vscr".into(),
        n => format!("word {n}"),
    }
}

/// Blocks that differ though none of their instructions does alone: of each the shortest beginning that differs.
fn sequences(
    generator: &mut Generator,
    blocks: &[(usize, &Record)],
    report: &mut Report,
) -> Result<(), String> {
    let mut prefixes = Vec::new();
    let mut all = Vec::new();
    for &(number, block) in blocks {
        let steps = singles(&mut generator.bench, &generator.decoder, block, number);
        let first = prefixes.len();
        for end in 1..=steps.len() {
            let mut prefix = block.clone();
            if let Some(next) = steps.get(end) {
                let n = (next.record.get(at::NIA) - code_of(number)) as usize / 4;
                prefix.set_word(n.min(WORDS - 1), SC, next.record.little());
            }
            prefixes.push(moved(&prefix, number, prefixes.len()));
        }
        all.push((number, block, steps, first));
    }
    let ours = here::run(generator.model, Engine::Interpreter, &prefixes)?;
    let peers = peer::run(generator.model, &prefixes)?;
    for (number, block, steps, first) in all {
        let of = |end: usize| {
            let n = first + end;
            between(ours[n].as_ref(), peers[n].as_ref())
        };
        let end = (0..steps.len()).find(|&end| !of(end).is_empty());
        let end = end.unwrap_or(steps.len().saturating_sub(1));
        let found = if steps.is_empty() { Vec::new() } else { of(end) };
        let name =
            steps.get(end).map_or("nothing", |step| generator.decoder.entries()[step.op as usize].name);
        if crate::known::remembers(name, &found) || crate::known::elsewhere(name, &found) {
            continue;
        }
        let field = found.first().map_or("nothing", |difference| &difference.field);
        let list: String = steps
            .iter()
            .take(end + 1)
            .map(|step| {
                let address = step.record.get(at::NIA);
                let text = timebase_isa::disassemble(&generator.decoder, step.word, address);
                format!("\n    {address:x}: {:08x} {text}", step.word)
            })
            .collect();
        report.add(format!("{:?} a sequence that ends in {name} {field}", generator.model), || {
            format!("block {number}, msr {:x}:{list}{}", block.get(at::MSR), listed(&found))
        });
    }
    Ok(())
}

/// The corpus: `blocks` blocks of each model, compared. Fails if something is not explained.
pub fn corpus(blocks: usize) -> Result<String, String> {
    let mut lines = String::new();
    for model in [Model::Power9, Model::Power10] {
        let mut report = Report::default();
        compare(
            &mut Generator::new(model, crate::corpus::SEED),
            blocks,
            &[Engine::Interpreter],
            &mut report,
        )?;
        if let Some((what, (_, example))) = report.unexplained.first_key_value() {
            return Err(format!("{what}: {example}"));
        }
        let mut generator = Generator::new(model, crate::corpus::SEED);
        let records: Vec<Record> = (0..blocks).map(|n| generator.block(n).record).collect();
        for (n, result) in here::run(model, Engine::Interpreter, &records)?.iter().enumerate() {
            let result = result.as_ref().ok_or_else(|| format!("block {n} does not end"))?;
            lines += &crate::corpus::line(model, n, &records[n], result);
        }
    }
    Ok(lines)
}

/// Compares `blocks` blocks of each model from `seed` on.
pub fn run(
    models: &[Model],
    blocks: usize,
    seed: u64,
    engines: &[Engine],
    report: &mut Report,
) -> Result<(), String> {
    const BATCH: usize = 16_384;
    for &model in models {
        let mut generator = Generator::new(model, seed);
        let mut left = blocks;
        while left > 0 {
            let count = left.min(BATCH);
            compare(&mut generator, count, engines, report)?;
            left -= count;
        }
    }
    Ok(())
}
