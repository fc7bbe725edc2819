//! How the compiler does each instruction, as `cargo xtask isa` tells it (compiled.txt).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use timebase_cpu::NoDevices;
use timebase_cpu::compiled::{Compiler, Entry, Leave, Source};
use timebase_cpu::{Clock, Engine, Interpreter, Model, Vcpu, World};
use timebase_isa::Decoder;
use timebase_jit::ir::{Ir, Op};
use timebase_jit::lift::{Bodies, End, lift};
use timebase_memory::{Memory, Writer};
use timebase_state::Instant;

/// A compiler that only looks at what lifting makes of the code, and compiles nothing.
struct Look {
    bodies: Bodies,
    found: Arc<Mutex<Option<&'static str>>>,
}

impl Compiler for Look {
    fn name(&self) -> &'static str {
        "look"
    }
    fn compile(&mut self, source: &mut Source, _: bool) -> Option<Entry> {
        let start = source.start();
        let ir = Ir::with(Vec::new());
        let block = lift(&ir, &self.bodies, source, false);
        let how = match block.segments[0].end {
            End::Step { offset, .. } if offset == start => "stepped",
            _ if ir.into_nodes().iter().any(|node| matches!(node.op, Op::Float(_))) => "host-float",
            _ if !block.calls.is_empty() => "called",
            _ => "lifted",
        };
        *self.found.lock().expect("nobody panicked") = Some(how);
        None
    }
    fn base(&self) -> Entry {
        std::ptr::null()
    }
    fn outside(&self) -> Entry {
        std::ptr::null()
    }
    fn link(&mut self, _: usize, _: Entry) {}
    fn bridge(&mut self, _: usize, _: Entry, _: u32) {}
    fn unbridge(&mut self, _: usize) {}
    fn replace(&mut self, _: Entry, _: Entry) {}
    unsafe fn enter(&mut self, _: Entry, _: &mut Vcpu, _: u64) -> (Leave, u64) {
        unreachable!("nothing is compiled")
    }
    fn full(&self) -> bool {
        false
    }
    fn flush(&mut self) {}
    fn counters(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }
}

const CODE: u64 = 0x1_0000;
const HERE: u32 = 0x4800_0000;

/// What the compiler makes of a word.
fn look(engine: &mut Interpreter, model: Model, memory: &mut Memory, word: u64) {
    let words = match word >> 32 {
        0 => vec![word as u32, HERE],
        prefix => vec![prefix as u32, word as u32, HERE],
    };
    for (n, word) in words.into_iter().enumerate() {
        memory.store_u32(CODE + 4 * n as u64, word, Writer::Other).expect("RAM");
    }
    let mut cpu = Vcpu::cold(0, model, false, 0, Instant::default());
    for _ in 0..crate::UNTIL_HOT {
        cpu.regs.nia = CODE;
        cpu.regs.msr = 1 << 63;
        let mut world = World {
            observed: None,
            memory: &mut *memory,
            bus: &mut NoDevices,
            clock: Clock::cold(2, 1, 0, Instant::default()),
            count: 0,
            passed: None,
        };
        engine.run(&mut cpu, &mut world, 1);
    }
}

/// A line for each instruction: its name, and how it is done, in all ways that its operands lead to.
pub fn list() -> String {
    let mut lines: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for model in [Model::Power9, Model::Power10] {
        let decoder = Decoder::new(model.level());
        let found = Arc::new(Mutex::new(None));
        let compiler = Look { bodies: Bodies::gather(true), found: found.clone() };
        let mut engine = Interpreter::with_compiler(model, Box::new(compiler));
        let mut memory = Memory::new(1 << 20, 1);
        let mut random = 1;
        for entry in decoder.entries() {
            if model.level() < entry.encoding.since || model.level() > entry.encoding.until {
                continue;
            }
            let open = !entry.encoding.mask & if entry.encoding.prefixed() { u64::MAX } else { 0xffff_ffff };
            for _ in 0..12 {
                let word = entry.encoding.bits | timebase_state::random::draw(&mut random) & open;
                if decoder.entries()[decoder.decode(word).op as usize].name != entry.name {
                    continue;
                }
                look(&mut engine, model, &mut memory, word);
                let how = found.lock().expect("nobody panicked").take();
                lines.entry(entry.name).or_default().insert(how.expect("it was hot"));
            }
        }
    }
    let line = |(name, ways): (&str, BTreeSet<&str>)| {
        format!("{name} {}\n", ways.into_iter().collect::<Vec<_>>().join(" "))
    };
    lines.into_iter().map(line).collect()
}
