//! A comparison: blocks are made, run here and by the peer, and what differs is shrunk to single instructions.

use crate::bench::Bench;
use crate::compare::{Difference, between};
use crate::generate::{Generator, word_of};
use crate::here::{self, Engine};
use crate::known::{COMPUTED, Step, hangs, of_sequence, sequence_hangs, undefined, unexplained};
use crate::layout::{CODE, MOST, PLACES, Record, SC, WORDS, at, code_of, moved};
use crate::peer;
use std::collections::BTreeMap;
use timebase_cpu::Model;
use timebase_cpu::bits::msr;
use timebase_isa::Decoder;
use timebase_isa::decode::Entry;

/// What was compared and found.
#[derive(Default)]
pub struct Report {
    /// Executions of instructions that were compared, by model and definition: in a block with the same result, or alone.
    pub executed: BTreeMap<&'static str, u64>,
    /// The same, by family.
    pub families: BTreeMap<&'static str, u64>,
    /// The same, in big-endian and in little-endian mode.
    pub orders: [u64; 2],
    /// The same, by the state that the block begins in: privilege and translation.
    pub states: BTreeMap<&'static str, u64>,
    /// Blocks.
    pub blocks: u64,
    /// Runs of a block from a state.
    pub runs: u64,
    /// Runs that differed.
    pub differed: u64,
    /// Of them, runs that did not differ when they were repeated.
    pub again: u64,
    /// Single instructions repeated on their own.
    pub repeated: u64,
    /// Reasons for differences of single instructions, with how often.
    pub known: BTreeMap<&'static str, u64>,
    /// What nothing explains: by what it is, with how often and one example.
    pub unexplained: BTreeMap<String, (u64, String)>,
}

impl Report {
    fn add(&mut self, what: String, example: impl FnOnce() -> String) {
        let entry = self.unexplained.entry(what).or_insert_with_key(|what| {
            let example = example();
            // A long run tells at once.
            eprintln!("{what}: {example}");
            (0, example)
        });
        entry.0 += 1;
    }

    /// Executions that were compared.
    pub fn total(&self) -> u64 {
        self.orders.iter().sum()
    }

    /// Counts an execution that was compared.
    fn count(&mut self, entry: &Entry, before: &Record) {
        *self.executed.entry(entry.name).or_default() += 1;
        *self.families.entry(family(entry.section, entry.name)).or_default() += 1;
        *self.states.entry(state(before.get(at::MSR))).or_default() += 1;
        self.orders[before.little() as usize] += 1;
    }
}

/// The privilege state of an MSR.
fn state(value: u64) -> &'static str {
    let translated = value & msr::DR != 0;
    match (value & msr::PR != 0, value & msr::HV != 0) {
        (true, true) => "a process of the host",
        (true, false) => "a process of a guest",
        (false, false) if translated => "a guest's supervisor, translated",
        (false, false) => "a guest's supervisor, real mode",
        (false, true) if translated => "hypervisor, translated",
        (false, true) => "hypervisor, real mode",
    }
}

/// Blocks that are compared at once, and how many states each is run from, beside its first one.
const BLOCKS: usize = 384;
const STATES: usize = 63;
/// Executions of one block in all of its states, on average.
const AVERAGE: u64 = 480;
/// Runs whose beginnings are compared at once.
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

/// One instruction of a run that differed: the state before it, which ends after it.
struct Single {
    record: Record,
    op: u16,
    word: u64,
    /// The number of the run.
    run: usize,
    /// It can be repeated alone.
    alone: bool,
}

/// The instructions of a run one by one.
fn singles(bench: &mut Bench, decoder: &Decoder, block: &Record, run: usize) -> Vec<Single> {
    let mut found = Vec::new();
    bench.code = code_of(block.place());
    bench.load(block);
    while let Some(n) = bench.next() {
        let little = bench.cpu.little_endian();
        let word = word_of(decoder, bench.word_at(n, little));
        let mut record = bench.record(block);
        let words = if word >> 32 != 0 { vec![(word >> 32) as u32, word as u32] } else { vec![word as u32] };
        for k in 0..WORDS {
            record.set_word(k, SC, little);
        }
        for (k, part) in words.iter().enumerate() {
            record.set_word(n + k, *part, little);
        }
        let op = decoder.decode(word).op;
        // The guest itself needs HSRR0 and HSRR1 to begin a block.
        let hrfid = decoder.entries()[op as usize].name == "hrfid";
        found.push(Single { record, op, word, run, alone: !hrfid && bench.loads() });
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

/// Compares `count` blocks of a generator, each in its first state and `states` other ones, and adds what is found.
fn compare(
    generator: &mut Generator,
    count: usize,
    states: usize,
    engines: &[Engine],
    report: &mut Report,
) -> Result<(), String> {
    let mut executed = Vec::new();
    let mut records = Vec::new();
    for place in 0..count {
        for block in generator.blocks(place, states) {
            executed.push(block.executed);
            records.push(block.record);
        }
    }
    report.blocks += count as u64;
    report.runs += records.len() as u64;
    let model = generator.model;
    let (mut ours, peers) = std::thread::scope(|scope| {
        let peers = scope.spawn(|| peer::run(model, &records));
        let ours: Vec<_> = engines.iter().map(|engine| here::run(model, *engine, &records)).collect();
        (ours, peers.join().expect("the peer's thread"))
    });
    let peers = peers?;
    let first = ours.remove(0)?;
    for other in ours {
        between_engines(generator, &records, &first, &other?, report);
    }
    let mut differing = Vec::new();
    for n in 0..records.len() {
        if !between(first[n].as_ref(), peers[n].as_ref()).is_empty() {
            differing.push(n);
            continue;
        }
        for op in &executed[n] {
            report.count(&generator.decoder.entries()[*op as usize], &records[n]);
        }
    }
    report.differed += differing.len() as u64;
    let mut explained = vec![false; records.len()];
    let mut all = Singles::default();
    for &n in &differing {
        let steps = singles(&mut generator.bench, &generator.decoder, &records[n], n);
        for single in steps.into_iter().filter(|single| single.alone) {
            if all.full() {
                judge(generator, std::mem::take(&mut all), &mut explained, report)?;
            }
            all.add(single);
        }
    }
    judge(generator, all, &mut explained, report)?;
    let mut rest: Vec<usize> = differing.into_iter().filter(|&n| !explained[n]).collect();
    again(generator, &records, &mut rest, report)?;
    let rest: Vec<&Record> = rest.into_iter().map(|n| &records[n]).collect();
    for part in rest.chunks(SEQUENCES) {
        sequences(generator, part, report)?;
    }
    Ok(())
}

/// Runs that differ though none of their instructions does, repeated: where the peer goes on after a fault that is known,
/// it may write over what comes later. Those that agree now are taken away.
fn again(
    generator: &Generator,
    records: &[Record],
    runs: &mut Vec<usize>,
    report: &mut Report,
) -> Result<(), String> {
    let repeated: Vec<Record> = runs.iter().map(|&n| records[n].clone()).collect();
    let ours = here::run(generator.model, Engine::Interpreter, &repeated)?;
    let peers = peer::run(generator.model, &repeated)?;
    let mut results = ours.iter().zip(&peers);
    runs.retain(|_| results.next().is_none_or(|(a, b)| !between(a.as_ref(), b.as_ref()).is_empty()));
    report.again += (repeated.len() - runs.len()) as u64;
    Ok(())
}

/// Single instructions to be repeated. Those that are the same instruction of the same block share their code.
#[derive(Default)]
struct Singles {
    all: Vec<Single>,
    records: Vec<Record>,
    places: BTreeMap<(Vec<u8>, usize), usize>,
}

impl Singles {
    fn full(&self) -> bool {
        self.all.len() == MOST || self.places.len() == PLACES
    }
    fn add(&mut self, single: Single) {
        let record = &single.record;
        let next = self.places.len();
        let place = *self.places.entry((record.0[CODE..].to_vec(), record.place())).or_insert(next);
        self.records.push(moved(record, place));
        self.all.push(single);
    }
}

fn between_engines(
    generator: &mut Generator,
    records: &[Record],
    first: &[Option<Record>],
    other: &[Option<Record>],
    report: &mut Report,
) {
    for (n, (a, b)) in first.iter().zip(other).enumerate() {
        let found = between(a.as_ref(), b.as_ref());
        if let Some(one) = found.first() {
            let steps = singles(&mut generator.bench, &generator.decoder, &records[n], n);
            report.add(format!("{:?} the engines differ in {}", generator.model, one.field), || {
                format!(
                    "msr {:x}:{}{}",
                    records[n].get(at::MSR),
                    code(&generator.decoder, &steps),
                    listed(&found)
                )
            });
        }
    }
}

/// Instructions with their addresses.
fn code(decoder: &Decoder, steps: &[Single]) -> String {
    let line = |step: &Single| {
        let address = step.record.get(at::NIA);
        let text = timebase_isa::disassemble(decoder, step.word, address);
        format!("\n    {address:x}: {:08x} {text}", step.word)
    };
    steps.iter().map(line).collect()
}

fn listed(found: &[Difference]) -> String {
    found.iter().map(|difference| format!("\n    {difference}")).collect()
}

/// Runs single instructions on both sides. Those that differ explain their runs; what explains them, or nothing.
fn judge(
    generator: &Generator,
    singles: Singles,
    explained: &mut [bool],
    report: &mut Report,
) -> Result<(), String> {
    let model = generator.model;
    let records = &singles.records;
    let ours = here::run(model, Engine::Interpreter, records)?;
    let peers = peer::run(model, records)?;
    report.repeated += records.len() as u64;
    for (n, single) in singles.all.iter().enumerate() {
        let entry = &generator.decoder.entries()[single.op as usize];
        report.count(entry, &records[n]);
        let found = between(ours[n].as_ref(), peers[n].as_ref());
        if found.is_empty() {
            continue;
        }
        explained[single.run] = true;
        let (Some(ours), Some(peer)) = (&ours[n], &peers[n]) else {
            let hangs = ours[n].as_ref().and_then(|ours| hangs(entry.name, &records[n], ours));
            match hangs {
                Some(why) => *report.known.entry(why).or_default() += 1,
                None => report.add(format!("{model:?} {} end", entry.name), || {
                    format!("{}{}", described(generator, &records[n], single.word), listed(&found))
                }),
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
        let (rest, reasons) = unexplained(&step, &found);
        for why in reasons {
            *report.known.entry(why).or_default() += 1;
        }
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
    let mut regs = timebase_isa::Regs::cold(generator.model.level() as u64);
    before.put_registers(&mut regs);
    for reg in effects.reads.iter() {
        lines += &format!(", {} {:x}", register(reg), regs.word(reg));
    }
    // Some say of no register that they read it.
    let ops = generator.decoder.decode(word);
    for n in [ops.t, ops.a, ops.b, ops.c] {
        lines += &format!(", r{} {:x}, vs{} {:x}", n & 31, before.gpr(n), n & 63, before.vsr(n));
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

/// Runs that differ though none of their instructions does alone: of each the shortest beginning that differs.
fn sequences(generator: &mut Generator, runs: &[&Record], report: &mut Report) -> Result<(), String> {
    let mut prefixes = Vec::new();
    let mut all = Vec::new();
    for &block in runs {
        let steps = singles(&mut generator.bench, &generator.decoder, block, 0);
        let first = prefixes.len();
        for end in 1..=steps.len() {
            let mut prefix = block.clone();
            if let Some(next) = steps.get(end) {
                let n = (next.record.get(at::NIA) - code_of(block.place())) as usize / 4;
                prefix.set_word(n.min(WORDS - 1), SC, next.record.little());
            }
            prefixes.push(moved(&prefix, prefixes.len()));
        }
        // One that a pending interrupt ends at once.
        if steps.is_empty() {
            prefixes.push(moved(block, prefixes.len()));
        }
        all.push((block, steps, first));
    }
    let ours = here::run(generator.model, Engine::Interpreter, &prefixes)?;
    let peers = peer::run(generator.model, &prefixes)?;
    for (block, steps, first) in all {
        let of = |end: usize| {
            let n = first + end;
            between(ours[n].as_ref(), peers[n].as_ref())
        };
        let end = (0..steps.len()).find(|&end| !of(end).is_empty());
        let end = end.unwrap_or(steps.len().saturating_sub(1));
        let found = of(end);
        let name =
            steps.get(end).map_or("nothing", |step| generator.decoder.entries()[step.op as usize].name);
        let n = first + end;
        let known = ours.get(n).zip(peers.get(n)).and_then(|results| match results {
            (Some(ours), Some(peer)) => of_sequence(name, ours, peer, &found),
            (_, None) => sequence_hangs(name, block),
            _ => None,
        });
        // Where code stands is among the operands: of what is undefined of them, places differ.
        let skipped = || {
            steps.windows(2).take(end + 1).any(|pair| {
                let name = generator.decoder.entries()[pair[0].op as usize].name;
                let (ops, before) = (generator.decoder.decode(pair[0].word), &pair[0].record);
                let near = |n: u8| before.gpr(n).wrapping_sub(code_of(block.place())) < 4 * WORDS as u64;
                [ops.a, ops.b, ops.c].into_iter().any(near) && undefined(name, &ops, before, &pair[1].record)
            })
        };
        if let Some(why) = known.or_else(|| skipped().then_some(COMPUTED)) {
            *report.known.entry(why).or_default() += 1;
            continue;
        }
        let field = found.first().map_or("nothing", |difference| &difference.field);
        let list = code(&generator.decoder, &steps[..steps.len().min(end + 1)]);
        report.add(format!("{:?} a sequence that ends in {name} {field}", generator.model), || {
            format!("msr {:x}:{list}{}", block.get(at::MSR), listed(&found))
        });
    }
    Ok(())
}

/// The corpus: `blocks` blocks of each model, compared. Fails if something is not explained.
pub fn corpus(blocks: usize) -> Result<String, String> {
    let mut lines = String::new();
    for model in [Model::Power9, Model::Power10] {
        let mut report = Report::default();
        let engines = [Engine::Interpreter];
        compare(&mut Generator::new(model, crate::corpus::SEED, 0), blocks, 0, &engines, &mut report)?;
        if let Some((what, (_, example))) = report.unexplained.first_key_value() {
            return Err(format!("{what}: {example}"));
        }
        let mut generator = Generator::new(model, crate::corpus::SEED, 0);
        let records: Vec<Record> = (0..blocks).map(|n| generator.block(n).record).collect();
        for (n, result) in here::run(model, Engine::Interpreter, &records)?.iter().enumerate() {
            let result = result.as_ref().ok_or_else(|| format!("block {n} does not end"))?;
            lines += &crate::corpus::line(model, n, &records[n], result);
        }
    }
    Ok(lines)
}

/// Compares at least `executions` executions of instructions of a model, in the blocks of a seed from one of them on.
pub fn run(
    model: Model,
    executions: u64,
    [seed, first]: [u64; 2],
    engines: &[Engine],
    report: &mut Report,
) -> Result<(), String> {
    let mut generator = Generator::new(model, seed, first);
    let end = report.total() + executions;
    while report.total() < end {
        let blocks = ((end - report.total()) / AVERAGE).clamp(16, BLOCKS as u64) as usize;
        compare(&mut generator, blocks, STATES, engines, report)?;
        eprintln!(
            "{model:?}: {} executions, {} kinds of unexplained mismatches before block {}",
            report.total(),
            report.unexplained.len(),
            generator.made
        );
    }
    Ok(())
}
