//! The compiler of hot code.
//!
//! It reads the same definitions as the interpreter ([`lift`]), into a small intermediate representation ([`ir`]),
//! finds out how long values are needed ([`live`]), and emits host code in one pass ([`x86`]). What it cannot do it
//! leaves to the interpreter, instruction by instruction, on its exact count.
//!
//! Only x86-64 Linux hosts have it; elsewhere [`compiler`] gives None and the interpreter runs alone.

pub mod ir;
pub mod lift;
pub mod live;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod x86;

use timebase_cpu::compiled::Compiler;

/// Tells nanoseconds, for reports: only the host crate knows a clock.
pub type Stopwatch = fn() -> u64;

/// A compiler for this host; None if there is none, or the host allows no code to be made.
pub fn compiler(stopwatch: Stopwatch) -> Option<Box<dyn Compiler>> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if let Some(jit) = jit::Jit::new(stopwatch) {
        return Some(Box::new(jit));
    }
    let _ = stopwatch;
    None
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod jit {
    use crate::Stopwatch;
    use crate::ir::{Ir, Node};
    use crate::lift::{Bodies, lift};
    use crate::live::Lives;
    use crate::x86::{Native, Scratch, emit};
    use std::collections::BTreeMap;
    use timebase_cpu::Vcpu;
    use timebase_cpu::compiled::{Compiler, Entry, Leave, Source};

    /// The compiler for this host.
    pub struct Jit {
        stopwatch: Stopwatch,
        bodies: Bodies,
        native: Native,
        /// Memory for the next superblock's.
        nodes: Vec<Node>,
        lives: Lives,
        scratch: Scratch,
        superblocks: u64,
        trees: u64,
        instructions: u64,
        bytes: u64,
        flushes: u64,
        links: u64,
        bridges: u64,
        nanoseconds: u64,
    }

    impl Jit {
        pub fn new(stopwatch: Stopwatch) -> Option<Jit> {
            // What the emitted code takes for granted.
            let host = std::is_x86_feature_detected!("lzcnt")
                && std::is_x86_feature_detected!("bmi1")
                && std::is_x86_feature_detected!("bmi2")
                && std::is_x86_feature_detected!("popcnt");
            if !host {
                return None;
            }
            let host_float = std::is_x86_feature_detected!("fma") && std::is_x86_feature_detected!("avx");
            Some(Jit {
                stopwatch,
                bodies: Bodies::gather(host_float),
                native: Native::new()?,
                nodes: Vec::new(),
                lives: Lives::default(),
                scratch: Scratch::default(),
                superblocks: 0,
                trees: 0,
                instructions: 0,
                bytes: 0,
                flushes: 0,
                links: 0,
                bridges: 0,
                nanoseconds: 0,
            })
        }
    }

    impl Compiler for Jit {
        fn name(&self) -> &'static str {
            "jit"
        }

        fn compile(&mut self, source: &mut Source, hot: bool) -> Option<Entry> {
            let begin = (self.stopwatch)();
            let ir = Ir::with(std::mem::take(&mut self.nodes));
            let block = lift(&ir, &self.bodies, source, hot);
            self.nodes = ir.into_nodes();
            let lives = self.lives.find(&self.nodes, &block);
            let (shared, next) = (&self.native.shared, self.native.next());
            let code = emit(&self.nodes, lives, &block, shared, next, &mut self.scratch)?;
            let entry = self.native.add(&code);
            self.superblocks += 1;
            self.trees += u64::from(hot);
            self.instructions += u64::from(block.instructions());
            self.bytes += (code.straight.len() + code.aside.len()) as u64;
            self.nanoseconds += (self.stopwatch)().saturating_sub(begin);
            entry
        }

        fn base(&self) -> Entry {
            self.native.base()
        }

        fn outside(&self) -> Entry {
            self.native.shared.outside as Entry
        }

        fn link(&mut self, site: usize, to: Entry) {
            self.links += 1;
            self.native.link(site, to);
        }

        fn bridge(&mut self, site: usize, to: Entry, salt: u32) {
            self.bridges += 1;
            self.native.bridge(site, to, salt);
        }

        fn unbridge(&mut self, site: usize) {
            self.native.unbridge(site);
        }

        fn replace(&mut self, old: Entry, new: Entry) {
            self.native.replace(old, new);
        }

        unsafe fn enter(&mut self, entry: Entry, cpu: &mut Vcpu, budget: u64) -> (Leave, u64) {
            // SAFETY: promised by the caller.
            unsafe { self.native.enter(entry, cpu, budget) }
        }

        fn full(&self) -> bool {
            self.native.full()
        }

        fn flush(&mut self) {
            self.flushes += 1;
            self.native.clear();
        }

        fn counters(&self) -> BTreeMap<String, u64> {
            [
                ("compiled_superblocks", self.superblocks),
                ("compiled_trees", self.trees),
                ("compiled_instructions", self.instructions),
                ("compiled_bytes", self.bytes),
                ("compiled_flushes", self.flushes),
                ("compiled_links", self.links),
                ("compiled_bridges", self.bridges),
                ("compile_nanoseconds", self.nanoseconds),
            ]
            .into_iter()
            .map(|(name, count)| (name.to_string(), count))
            .collect()
        }
    }
}
