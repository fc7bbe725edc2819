//! The vectors of the definitions on every engine: what the definition does to random operands on a reader of the
//! tests' own (which the peer has confirmed, crates/isa/tests/instructions) is what the interpreter's full reading, its
//! fast reading and compiled code do.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod book;
#[expect(dead_code, reason = "tests of crates/isa need more")]
#[path = "../../../isa/tests/instructions/cases.rs"]
mod cases;
mod coverage;
#[expect(dead_code, reason = "what is not to be compared with the peer")]
#[path = "../../../isa/tests/instructions/different.rs"]
mod different;
mod host_float;
#[path = "../../../isa/tests/instructions/random.rs"]
mod random;
#[expect(dead_code, reason = "tests of crates/isa need more")]
#[path = "../../../isa/tests/instructions/reader.rs"]
mod reader;
mod recorded;
#[path = "../../../isa/tests/instructions/words.rs"]
mod words;

use cases::{MEMORY, MEMORY_BYTES, more_cases, tried};
use reader::{Executor, Machine};
use timebase_cpu::{Clock, Engine, Interpreter, Model, NoDevices, Vcpu, World};
use timebase_isa::decode::Entry;
use timebase_memory::{Memory, Writer};
use timebase_state::Instant;

/// Where the instruction is.
const CODE: u64 = 0x1_0000;
/// `b .`, which ends the block.
const HERE: u32 = 0x4800_0000;
/// As often as code must run until it is compiled, and a few times more.
const UNTIL_HOT: usize = 40;
const SF: u64 = 1 << 63;

/// A CPU with an engine and the memory of the cases.
struct Bench {
    cpu: Vcpu,
    memory: Memory,
    engine: Interpreter,
}

impl Bench {
    fn new(engine: Interpreter) -> Bench {
        let cpu = Vcpu::cold(0, Model::Power10, false, 0, Instant::default());
        Bench { cpu, memory: Memory::new((MEMORY + 0x2000) & !0xfff, 1), engine }
    }

    /// Puts the instruction where it is executed.
    fn load(&mut self, word: u64, little: bool) {
        let words = match word >> 32 {
            0 => vec![word as u32, HERE],
            prefix => vec![prefix as u32, word as u32, HERE],
        };
        for (n, word) in words.into_iter().enumerate() {
            let word = if little { word.swap_bytes() } else { word };
            self.memory.store_u32(CODE + 4 * n as u64, word, Writer::Other).expect("RAM");
        }
    }

    /// Runs so many instructions from the state `before`, and compares with `after`.
    fn run(&mut self, before: &Machine, after: &Machine, budget: u64) -> Result<(), String> {
        self.cpu.regs = before.regs.clone();
        self.cpu.regs.nia = CODE;
        self.memory.store(before.base, &before.memory, Writer::Other).expect("RAM");
        let mut world = World {
            observed: None,
            memory: &mut self.memory,
            bus: &mut NoDevices,
            clock: Clock::cold(2, 1, 0, Instant::default()),
            count: 0,
            passed: None,
        };
        let outcome = self.engine.run(&mut self.cpu, &mut world, budget);
        if outcome.executed != budget {
            return Err(format!("executed {} of {budget}: {:?}", outcome.executed, outcome.exit));
        }
        let mut memory = [0; MEMORY_BYTES];
        self.memory.read(after.base, &mut memory).expect("RAM");
        let (mut got, mut expected) = (self.cpu.regs.clone(), after.regs.clone());
        // Where it is, and the last branch, which the block ends with.
        (got.cia, got.nia, got.cfar) = (0, 0, 0);
        (expected.cia, expected.nia, expected.cfar) = (0, 0, 0);
        if got == expected && memory[..] == after.memory[..] {
            return Ok(());
        }
        let (got, expected) = (format!("{got:#x?}"), format!("{expected:#x?}"));
        let lines = got.lines().zip(expected.lines()).filter(|(a, b)| a != b);
        Err(lines.map(|(a, b)| format!("{a} instead of {b}")).collect::<Vec<_>>().join("\n"))
    }
}

/// The engines.
struct Engines {
    interpreter: Bench,
    compiler: Bench,
}

impl Engines {
    fn new() -> Engines {
        let compiler = timebase_jit::compiler(|| 0).expect("this host has a compiler");
        Engines {
            interpreter: Bench::new(Interpreter::new(Model::Power10)),
            compiler: Bench::new(Interpreter::with_compiler(Model::Power10, compiler)),
        }
    }

    /// Runs a case on all of them.
    fn check(&mut self, entry: &Entry, word: u64, before: &Machine, after: &Machine, little: bool) {
        let told = |engine: &str, result: Result<(), String>| {
            if let Err(why) = result {
                panic!("{} {word:x} on the {engine}:\n{why}", entry.name);
            }
        };
        self.interpreter.load(word, little);
        told("full reader", self.interpreter.run(before, after, 1));
        if before.regs.msr & SF == 0 {
            return;
        }
        self.compiler.load(word, little);
        told("fast reader", self.compiler.run(before, after, 2));
        let compiled = self.compiled();
        for _ in 1..UNTIL_HOT - 1 {
            let _ = self.compiler.run(before, after, 2);
        }
        told("compiler", self.compiler.run(before, after, 2));
        assert!(self.compiled() > compiled, "{} {word:x} was not compiled", entry.name);
    }

    fn compiled(&self) -> u64 {
        self.compiler.engine.counters()["compiled_superblocks"]
    }
}

/// One of `every` cases of each definition, in rounds, in both byte orders; those that access no memory in 32-bit mode,
/// too. Returns how many.
fn all(rounds: std::ops::Range<u64>, every: usize) -> usize {
    let executor = Executor::new(310);
    let mut engines = Engines::new();
    let mut count = 0;
    for entry in executor.decoder.entries().iter().filter(|entry| tried(entry)) {
        for (round, little) in rounds.clone().flat_map(|round| [(round, true), (round, false)]) {
            for case in more_cases(&executor, entry, round, little).iter().step_by(every) {
                let mut before = case.before.clone();
                before.regs.cia = CODE;
                for mode in [SF, 0] {
                    before.regs.msr = before.regs.msr & !SF | mode;
                    let mut after = before.clone();
                    executor.execute(&mut after, case.word).expect("it did");
                    let storage = after.memory != before.memory || entry.syntax.contains("RA");
                    if mode == 0 && storage {
                        continue;
                    }
                    engines.check(entry, case.word, &before, &after, little);
                    count += 1;
                }
            }
        }
    }
    count
}

#[test]
fn vectors_end_the_same_on_every_engine() {
    let count = all(0..1, 25);
    assert!(count > 10_000, "only {count}");
}

#[test]
#[ignore = "takes minutes"]
fn all_vectors_end_the_same_on_every_engine() {
    println!("{} vectors", all(0..2, 1));
}

#[test]
fn host_floating_point_is_bit_equal_to_the_definitions() {
    assert!(host_float::all(1500, 4) >= 24);
}

#[test]
#[ignore = "takes minutes"]
fn host_floating_point_is_bit_equal_at_length() {
    host_float::all(50_000, 16);
}

#[test]
fn the_history_of_branches_is_the_same_on_both_engines() {
    for quanta in QUANTA {
        recorded::compare(recorded::BRANCHES, quanta);
    }
}

/// The counters were on for a part of the run, and counted what was executed then.
#[test]
fn kinds_of_instructions_are_counted_alike_on_both_engines() {
    for quanta in QUANTA {
        let [loads, stores, branches] = recorded::compare(recorded::KINDS, quanta);
        assert!(loads == stores && loads > 100 && branches > 2 * loads, "{loads} {stores} {branches}");
        let [loads, taken, _] = recorded::compare(recorded::TAKEN, quanta);
        assert!(loads > 100 && taken > loads && taken < branches, "{loads} {taken} {branches}");
    }
}

const QUANTA: [&[u64]; 4] = [&[u64::MAX], &[1], &[3, 97], &[7, 1009, 2]];

/// Every definition has vectors: those that the peer has confirmed, or those of the books.
#[test]
fn vectors_of_the_books_end_the_same_on_every_engine() {
    let books = book::all();
    let digests = include_str!("../../../isa/tests/instructions/digests.txt");
    let confirmed: Vec<&str> = digests.lines().filter_map(|line| line.split(' ').next()).collect();
    let decoder = timebase_isa::Decoder::new(310);
    let names = decoder.entries().iter().map(|entry| entry.name);
    let without: Vec<&str> =
        names.filter(|name| !confirmed.contains(name) && !books.iter().any(|book| book == name)).collect();
    assert!(without.is_empty(), "without vectors: {without:?}");
}

const COMPILED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/compiled.txt");

/// If it is not, `cargo test -p timebase-jit --test vectors -- --ignored write_the_list` writes it anew.
#[test]
fn the_list_of_what_is_compiled_is_true() {
    let (listed, list) = (std::fs::read_to_string(COMPILED).expect("the list"), coverage::list());
    let changed: Vec<&str> =
        list.lines().filter(|line| !listed.lines().any(|other| other == *line)).collect();
    assert!(listed == list, "not as listed (write_the_list writes it anew): {changed:?}");
}

#[test]
#[ignore = "writes the list"]
fn write_the_list() {
    std::fs::write(COMPILED, coverage::list()).expect("the list can be written");
}
