//! Vectors written from the books (crates/isa/tests/instructions/book.txt) on every engine.

use std::collections::BTreeMap;
use timebase_cpu::NoDevices;
use timebase_cpu::bits::msr;
use timebase_cpu::{Clock, Engine, Interpreter, Model, Vcpu, World};
use timebase_memory::{Memory, Reservation, Writer};
use timebase_state::Instant;

const BOOK: &str = include_str!("../../../isa/tests/instructions/book.txt");
/// Where the instructions are, in pages full of `b .`.
const CODE: u64 = 0x1_0000;
const HERE: u32 = 0x4800_0000;
/// Storage that is looked at: two doublewords that are known, and others.
const DATA: u64 = 0x2_0000;
const DATA_BYTES: usize = 512;
const KNOWN: [u64; 2] = [0x0011_2233_4455_6677, 0x8899_aabb_ccdd_eeff];
/// MSR: 64 bits, big-endian, all facilities.
const MSR: u64 = msr::SF | msr::VEC | msr::VSX | msr::FP | msr::ME;
/// FSCR: SCV, TAR, EBB, DSCR.
const FSCR: u64 = 0x1184;

/// What of a machine is compared, by name.
type View = BTreeMap<String, u64>;

/// A register that a vector names.
fn register<'a>(cpu: &'a mut Vcpu, name: &str) -> &'a mut u64 {
    let numbered = |prefix: &str| name.strip_prefix(prefix).and_then(|n| n.parse::<usize>().ok());
    // A half of a VR.
    let half = |suffix: &str| name.strip_suffix(suffix)?.strip_prefix('v')?.parse::<usize>().ok();
    if let Some((n, half)) = half("h").map(|n| (n, 0)).or(half("l").map(|n| (n, 1))) {
        return &mut cpu.regs.vsr[32 + n][half];
    }
    let spr = &mut cpu.spr;
    match name {
        "lr" => &mut cpu.regs.lr,
        "ctr" => &mut cpu.regs.ctr,
        "tar" => &mut cpu.regs.tar,
        "nia" => &mut cpu.regs.nia,
        "msr" => &mut cpu.regs.msr,
        "so" => &mut cpu.regs.so,
        "srr0" => &mut spr.srr0,
        "srr1" => &mut spr.srr1,
        "hsrr0" => &mut spr.hsrr0,
        "hsrr1" => &mut spr.hsrr1,
        "heir" => &mut spr.heir,
        "dar" => &mut spr.dar,
        "dsisr" => &mut spr.dsisr,
        "fscr" => &mut spr.fscr,
        "bescr" => &mut spr.bescr,
        "lpcr" => &mut spr.lpcr,
        "ebbrr" => &mut spr.ebbrr,
        "dexcr" => &mut spr.dexcr,
        "hashpkeyr" => &mut spr.hashpkeyr,
        _ => match (numbered("cr"), numbered("r")) {
            (Some(n), _) => &mut cpu.regs.cr[n],
            (_, Some(n)) => &mut cpu.regs.gpr[n],
            _ => panic!("no register {name}"),
        },
    }
}

const NAMED: [&str; 17] = [
    "lr", "ctr", "tar", "nia", "msr", "so", "srr0", "srr1", "hsrr0", "hsrr1", "heir", "dar", "dsisr", "fscr",
    "bescr", "ebbrr", "dexcr",
];

fn view(cpu: &mut Vcpu, memory: &Memory) -> View {
    let names = (0..32).map(|n| format!("r{n}")).chain((0..8).map(|n| format!("cr{n}")));
    let halves = (0..32).flat_map(|n| [format!("v{n}h"), format!("v{n}l")]);
    let names: Vec<String> = names.chain(halves).chain(NAMED.map(String::from)).collect();
    let mut view: View = names.into_iter().map(|name| (name.clone(), *register(cpu, &name))).collect();
    for at in (DATA..DATA + DATA_BYTES as u64).step_by(8) {
        view.insert(format!("d{at:x}"), memory.read_u64(at).expect("RAM"));
    }
    view
}

fn number(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap_or_else(|_| panic!("{text} is no number"))
}

struct Vector<'a> {
    line: &'a str,
    words: Vec<u32>,
    given: &'a str,
    then: &'a str,
}

impl Vector<'_> {
    fn parse(line: &str) -> Vector<'_> {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let words = fields[1].split(' ').map(|word| number(word) as u32).collect();
        Vector { line, words, given: fields[3], then: fields[4] }
    }

    fn has(&self, word: &str) -> bool {
        self.given.split(' ').any(|token| token == word)
    }

    fn model(&self) -> Model {
        if self.has("power9") { Model::Power9 } else { Model::Power10 }
    }

    fn cpu(&self) -> Vcpu {
        let hypervisor = self.has("hv");
        let mut cpu = Vcpu::cold(0, self.model(), hypervisor, 0, Instant::default());
        cpu.regs.msr = MSR | if hypervisor { msr::HV } else { 0 };
        if self.has("problem") {
            cpu.regs.msr |= msr::PR;
        }
        if self.has("32bit") {
            cpu.regs.msr &= !msr::SF;
        }
        cpu.regs.nia = CODE;
        cpu.spr.fscr = FSCR;
        for (name, value) in self.given.split(' ').filter_map(|token| token.split_once('=')) {
            *register(&mut cpu, name) = number(value);
        }
        cpu
    }

    /// What the vector says comes of `before`.
    fn expected(&self, before: &View, got: &View) -> View {
        let mut view = before.clone();
        view.insert("nia".into(), CODE + 4 * self.words.len() as u64);
        for (name, value) in self.then.split(' ').filter_map(|token| token.split_once('=')) {
            match name {
                "interrupt" => {
                    let (vector, cause) = value.split_once('/').expect("vector/cause");
                    let vector = number(vector);
                    let (old, h) = (before["msr"], if vector == 0xe40 { "h" } else { "" });
                    let at = CODE + 4 * (self.words.len() as u64 - 1);
                    view.insert(format!("{h}srr0"), at);
                    view.insert(format!("{h}srr1"), old | number(cause));
                    view.insert("msr".into(), msr::SF | msr::ME | old & msr::HV);
                    view.insert("nia".into(), vector);
                }
                "zero" => {
                    for at in (number(value)..number(value) + 128).step_by(8) {
                        view.insert(format!("d{at:x}"), 0);
                    }
                }
                _ if value == "any" => {
                    view.insert(name.into(), got[name]);
                }
                _ => {
                    view.insert(name.into(), number(value));
                }
            }
        }
        view
    }

    /// Runs from a CPU that was just turned on; the state before and after.
    fn run(&self, engine: &mut Interpreter, memory: &mut Memory, whole: bool) -> (View, View) {
        let mut cpu = self.cpu();
        for at in (0..DATA_BYTES as u64).step_by(8) {
            let value = KNOWN.get(at as usize / 8).copied().unwrap_or(0x5a5a_5a5a_0000_0000 | at);
            memory.store_u64(DATA + at, value, Writer::Other).expect("RAM");
        }
        memory.set_reservation(0, Reservation::NONE);
        let before = view(&mut cpu, memory);
        // With `b .` after it, or alone.
        let mut left = self.words.len() as u64 + whole as u64;
        while left != 0 {
            let mut world = World {
                observed: None,
                memory: &mut *memory,
                bus: &mut NoDevices,
                clock: Clock::cold(2, 1, 0, Instant::default()),
                count: 0,
                passed: None,
            };
            left -= engine.run(&mut cpu, &mut world, if whole { left } else { 1 }).executed;
        }
        let after = view(&mut cpu, memory);
        (before, after)
    }

    fn check(&self, engine: &str, (before, after): (View, View)) {
        let expected = self.expected(&before, &after);
        let differences: Vec<String> = after
            .iter()
            .filter(|(name, value)| expected[*name] != **value)
            .map(|(name, value)| format!("{name} {value:x} instead of {:x}", expected[name]))
            .collect();
        assert!(differences.is_empty(), "{}\non the {engine}: {}", self.line, differences.join(", "));
    }
}

/// Memory full of `b .`, with the words.
fn load(memory: &mut Memory, words: &[u32]) {
    for (n, &word) in words.iter().chain(&[HERE; 8]).enumerate() {
        memory.store_u32(CODE + 4 * n as u64, word, Writer::Other).expect("RAM");
    }
}

/// All vectors; returns the names.
pub fn all() -> Vec<String> {
    let mut memory = Memory::new(1 << 20, 1);
    for at in (0..DATA).step_by(4) {
        memory.store_u32(at, HERE, Writer::Other).expect("RAM");
    }
    let models = [Model::Power9, Model::Power10];
    let compiler = || timebase_jit::compiler(|| 0).expect("this host has a compiler");
    let mut plain = models.map(Interpreter::new);
    let mut compiled = models.map(|model| Interpreter::with_compiler(model, compiler()));
    let mut names = Vec::new();
    for line in BOOK.lines().filter(|line| !line.starts_with('#')) {
        let vector = Vector::parse(line);
        let engine = (vector.model() == Model::Power10) as usize;
        load(&mut memory, &vector.words);
        vector.check("full reader", vector.run(&mut plain[engine], &mut memory, false));
        plain[engine].flush(&mut memory);
        for round in 0..crate::UNTIL_HOT {
            let name = if round == 0 { "fast reader" } else { "compiler" };
            vector.check(name, vector.run(&mut compiled[engine], &mut memory, true));
        }
        compiled[engine].flush(&mut memory);
        names.push(line.split(' ').next().unwrap_or_default().to_string());
    }
    names
}
