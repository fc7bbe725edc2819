//! The interpreter: pre-decoded blocks of threaded code, made from the instruction definitions.

mod address_sets;
mod blocks;
mod bridges;
mod calls;
mod core;
mod fast;
mod jumps;
mod thread;
mod tlb;
mod walks;

pub(crate) use self::core::{Core, Run};
pub use blocks::{Decoded, Op, Source};
pub use calls::CALLS;
pub(crate) use fast::Fast;

use crate::bits::{ciabr, msr, srr1};
use crate::compatibility::Ages;
use crate::compiled::{Compiler, Eagerness, Leave};
use crate::interrupt::Vector;
use crate::kinds::{self, Kinds};
use crate::mmu::{Access, PAGE};
use crate::{Engine, Exit, Halts, Model, Outcome, Vcpu, World};
use ::core::ptr;
use alloc::{boxed::Box, collections::BTreeMap, format, string::String, vec, vec::Vec};
use blocks::{Block, Blocks, Cuts, Mode};
use bridges::Bridges;
use jumps::Jumps;
use thread::Tables;
use timebase_isa::{Decoder, Flow, Trap};
use timebase_memory::Memory;
use tlb::{Real, Tlb, Wanted};

/// The interpreter. Everything in it is a cache but the counts for reports.
pub struct Interpreter {
    decoder: Decoder,
    tables: Tables,
    tlb: Tlb,
    blocks: Blocks,
    jumps: Jumps,
    bridges: Bridges,
    exceptions: [u64; Vector::COUNT],
    /// Words of no instruction, or of one that is not there.
    illegal: u64,
    /// Instructions that the full reader executed, by number.
    slow: Vec<u64>,
    runs: u64,
    halts: Halts,
    cuts: Cuts,
    /// Which instructions PCR takes away.
    ages: Ages,
    /// What the performance monitor tells apart.
    kinds: Kinds,
    /// The vCPU that runs is looked at after each instruction.
    single: bool,
    /// Turns hot blocks into host code.
    compiler: Option<Box<dyn Compiler>>,
    eagerness: Eagerness,
    /// A jump of compiled code that is to lead to the code that is found next.
    link: Option<Link>,
    /// Compiled code was interrupted to see where it is.
    sample: bool,
    /// Blocks that are interpreted next, to see where branches lead.
    looks: u32,
    /// Why compiled code came back, by [`Leave::number`].
    leaves: [u64; Leave::NAMES.len()],
}

// SAFETY: the pointers in `jumps` point into `blocks`; they move together.
unsafe impl Send for Interpreter {}

/// A place of compiled code that can be made to lead to what is looked for now.
enum Link {
    /// A jump within its page.
    Jump(usize),
    /// A way into another page.
    Bridge(usize),
}

/// What asks for a trace interrupt when an instruction begins: MSR, and whether CIABR names it.
struct Asked {
    msr: u64,
    breaks: bool,
}

impl Interpreter {
    /// An interpreter for CPUs of this model.
    pub fn new(model: Model) -> Interpreter {
        let decoder = Decoder::new(model.level());
        Interpreter {
            slow: vec![0; decoder.entries().len()],
            ages: Ages::gather(&decoder),
            kinds: Kinds::gather(&decoder),
            decoder,
            tables: Tables::new(),
            tlb: Tlb::new(),
            blocks: Blocks::new(),
            jumps: Jumps::new(ptr::null()),
            bridges: Bridges::default(),
            exceptions: [0; Vector::COUNT],
            illegal: 0,
            runs: 0,
            halts: Halts::default(),
            cuts: Cuts::default(),
            single: false,
            compiler: None,
            eagerness: Eagerness::default(),
            link: None,
            sample: false,
            looks: 0,
            leaves: [0; Leave::NAMES.len()],
        }
    }

    /// The same, with a compiler for what is hot.
    pub fn with_compiler(model: Model, compiler: Box<dyn Compiler>) -> Interpreter {
        let eagerness = compiler.eagerness();
        let jumps = Jumps::new(compiler.base());
        Interpreter { compiler: Some(compiler), eagerness, jumps, ..Interpreter::new(model) }
    }

    /// Compiles earlier, or later, than by default.
    pub fn set_eagerness(&mut self, eagerness: Eagerness) {
        self.eagerness = eagerness;
    }

    /// The block at NIA, or the interrupt that its fetch raises.
    #[inline]
    fn block(&mut self, cpu: &mut Vcpu, memory: &mut Memory) -> Result<*const Block, Trap> {
        let context = self.tlb.fetch_context(cpu);
        if self.tlb.has_moved() {
            self.forget_moved();
        }
        let mode = Mode::of(cpu, self.single);
        let address = cpu.regs.nia;
        let salt = mode.salt(self.tlb.serial(context));
        cpu.fast.frame.salt = salt;
        if let Some(block) = self.jumps.find(address, salt) {
            return Ok(block);
        }
        self.find_block(cpu, memory, context, mode)
    }

    #[cold]
    #[inline(never)]
    fn find_block(
        &mut self,
        cpu: &mut Vcpu,
        memory: &mut Memory,
        context: u32,
        mode: Mode,
    ) -> Result<*const Block, Trap> {
        let address = cpu.regs.nia;
        let Real(real) =
            self.tlb.lookup_or_fill(cpu, memory, &Wanted::new(context, address, Access::Fetch))?;
        if !self.blocks.admit(real, address) {
            self.tlb.code_has_gone(real);
            self.forget_moved();
        }
        let block = self
            .blocks
            .get(&self.decoder, &self.tables, memory, real, mode, &self.cuts)
            .ok_or(Trap::MachineCheck { ea: address, fetch: true })?;
        // Watching the code withdraws pointers to its page.
        self.settle(memory);
        let salt = mode.salt(self.tlb.serial(context));
        cpu.fast.frame.salt = salt;
        let entry = self.compiler.as_ref().map_or(ptr::null(), |compiler| compiler.outside());
        self.jumps.insert(address, salt, block, entry);
        Ok(block)
    }

    /// Forgets jumps to pages that may be elsewhere now.
    #[cold]
    fn forget_moved(&mut self) {
        match self.tlb.take_moved() {
            Some(pages) => {
                for page in pages {
                    self.jumps.forget_page(page);
                    if let Some(compiler) = &mut self.compiler {
                        self.bridges.forget_page(page, |site| compiler.unbridge(site));
                    }
                }
            }
            None => {
                self.jumps.clear();
                self.forget_compiled();
            }
        }
    }

    /// Applies all that memory dropped.
    fn settle(&mut self, memory: &mut Memory) {
        self.tlb.apply(memory);
        if !self.tlb.code_dropped.is_empty() {
            for line in ::core::mem::take(&mut self.tlb.code_dropped) {
                self.blocks.drop_line(memory, line);
                self.tlb.code_has_gone(line);
            }
            self.tlb.apply(memory);
        }
    }

    /// Delivers what the attempt after `count` others raised.
    fn deliver(&mut self, cpu: &mut Vcpu, world: &mut World, count: u64, trap: Trap, prefixed: bool) {
        self.illegal += (trap == Trap::Illegal) as u64;
        if trap == Trap::Illegal && cpu.has_hypervisor {
            cpu.spr.heir = Self::image(cpu, world.memory, prefixed);
        }
        let vector = cpu.deliver(trap, prefixed);
        self.exceptions[vector as usize] += 1;
        world.observe(count, || cpu.interrupted_by(vector));
    }

    /// The instruction at CIA as HEIR shows it: one word, or prefix and suffix (III 7.5.18).
    fn image(cpu: &Vcpu, memory: &Memory, prefixed: bool) -> u64 {
        let cia = cpu.regs.cia;
        // It was fetched a moment ago.
        let Ok(found) = cpu.translate(memory, cia, Access::Fetch) else { return 0 };
        let word = |address: u64| {
            let word = memory.read_u32(address).unwrap_or_default();
            u64::from(if cpu.little_endian() { word.swap_bytes() } else { word })
        };
        let real = found.page | cia & (PAGE - 1);
        if prefixed { word(real) << 32 | word(real + 4) } else { word(real) }
    }

    /// Runs at most `left` instructions of a block; all of them if there is room, one by one otherwise. `stepping`: what
    /// [`Vcpu::traces`] says.
    fn run_block(
        &mut self,
        cpu: &mut Vcpu,
        world: &mut World,
        block: &Block,
        (done, left): (u64, u64),
        stepping: bool,
    ) -> (u64, Option<Exit>) {
        let start = block.ops.as_ptr();
        cpu.fast.block_address = cpu.regs.nia;
        let mut run = Run {
            block_count: world.count + done,
            world,
            tlb: &mut self.tlb,
            full: self.tables.full.as_ptr(),
            block: start,
            trap: None,
            exit: None,
            end_count: 0,
            accessed: None,
            slow: &mut self.slow,
            kinds: &self.kinds,
        };
        let breaks = cpu.spr.ciabr & ciabr::STATE != 0 && cpu.breaks();
        let asked = Asked { msr: cpu.regs.msr, breaks };
        let executed = if block.count as u64 <= left && !stepping {
            // SAFETY: `start` is the first instruction of a block that ends with a terminator.
            unsafe { ((*start).thread)(cpu, start, &mut run).offset_from(start) as u64 }
        } else {
            match stepping {
                true => Self::step_alone(&self.decoder, &self.ages, cpu, &mut run, block),
                false => Self::step_block(cpu, &mut run, block, left),
            }
        };
        let (trap, exit, accessed) = (run.trap, run.exit, run.accessed);
        if cpu.counts_kinds() {
            let completed = executed as usize - usize::from(trap.is_some());
            cpu.count_kinds(&self.kinds, &block.ops[..completed], done);
        }
        let last = world.count + done + executed.saturating_sub(1);
        if let Some((trap, prefixed)) = trap {
            self.deliver(cpu, world, last, trap, prefixed);
        } else if stepping {
            self.trace(cpu, world, last, block, asked, accessed);
        }
        (executed, exit)
    }

    /// The first instruction of a block, by the full reader, if PCR does not take it away; if it is a branch that is taken
    /// it is counted, and recorded.
    fn step_alone(decoder: &Decoder, ages: &Ages, cpu: &mut Vcpu, run: &mut Run, block: &Block) -> u64 {
        /// No instruction is there: CFAR keeps it unless the branch is taken.
        const NOWHERE: u64 = u64::MAX;
        let op = &block.ops[0];
        if ages.lacks(cpu, op.ops.op) {
            cpu.regs.cia = cpu.regs.nia;
            run.trap = Some((Trap::Illegal, op.prefixed()));
            return 1;
        }
        if decoder.entries().get(op.ops.op as usize).is_none() || decoder.flow(&op.ops) != Flow::Branch {
            return Self::step_block(cpu, run, block, 1);
        }
        let records = cpu.records_branches();
        let before = ::core::mem::replace(&mut cpu.regs.cfar, NOWHERE);
        let executed = Self::step_block(cpu, run, block, 1);
        if cpu.regs.cfar == NOWHERE {
            cpu.regs.cfar = before;
            return executed;
        }
        cpu.count_kind(kinds::TAKEN);
        if records {
            let name = decoder.entries()[op.ops.op as usize].name;
            cpu.record_branch(name, &op.ops, cpu.regs.cia, cpu.regs.nia);
        }
        executed
    }

    /// The first `left` instructions of a block, by the full reader.
    fn step_block(cpu: &mut Vcpu, run: &mut Run, block: &Block, left: u64) -> u64 {
        let mut executed = 0;
        for op in &block.ops[..(block.count as usize).min(left as usize)] {
            executed += 1;
            match run.step_any(cpu, op) {
                Ok(true) => {}
                Ok(false) => break,
                Err(trap) => {
                    run.trap = Some((trap, op.prefixed()));
                    break;
                }
            }
        }
        executed
    }

    /// The trace interrupt after a completed instruction that began with this MSR (III 7.5.15): single step, or a branch. Of
    /// its storage access SRR1[35:36] and SDAR tell.
    fn trace(
        &mut self,
        cpu: &mut Vcpu,
        world: &mut World,
        count: u64,
        block: &Block,
        Asked { msr, breaks }: Asked,
        accessed: Option<(u64, Access)>,
    ) {
        let op = &block.ops[0];
        let flow = self.decoder.flow(&op.ops);
        let name = self.decoder.entries()[op.ops.op as usize].name;
        let untraced = matches!(name, "rfid" | "hrfid" | "rfscv" | "sc" | "scv" | "stop");
        let branch = flow == timebase_isa::Flow::Branch;
        let by_msr = msr & msr::SE != 0 || branch && msr & msr::BE != 0;
        if !untraced && (by_msr || breaks) {
            let resume = cpu.regs.nia;
            cpu.spr.siar = cpu.regs.cia;
            let prefixed = if op.length == 8 { srr1::PREFIXED } else { 0 };
            let access = accessed.map_or(0, |(ea, access)| {
                cpu.spr.sdar = ea;
                if access == Access::Store { srr1::TRACE_STORE } else { srr1::TRACE_LOAD }
            });
            let by = if breaks { srr1::TRACE_CIABR } else { 0 };
            let cause = srr1::TRACE | prefixed | access | by;
            cpu.enter(Vector::Trace, resume, cause);
            self.exceptions[Vector::Trace as usize] += 1;
            world.observe(count, || cpu.interrupted_by(Vector::Trace));
        }
    }

    /// The instruction that CIABR names begins a block.
    fn cut_at_breakpoint(&mut self, cpu: &Vcpu, memory: &mut Memory) {
        let cuts = self.cuts.with(&[cpu.spr.ciabr & !ciabr::STATE]);
        if cpu.spr.ciabr & ciabr::STATE != 0 && cuts != self.cuts {
            self.set_cuts(cuts, memory);
        }
    }

    fn set_cuts(&mut self, cuts: Cuts, memory: &mut Memory) {
        self.cuts = cuts;
        self.blocks.flush(memory);
        self.blocks.free_dropped();
        self.forget_compiled();
        // Jumps lead to blocks that have gone.
        self.tlb.renew_all();
    }
}

impl Engine for Interpreter {
    fn name(&self) -> &'static str {
        self.compiler.as_ref().map_or("interpreter", |compiler| compiler.name())
    }

    fn run(&mut self, cpu: &mut Vcpu, world: &mut World, budget: u64) -> Outcome {
        self.runs += 1;
        self.cut_at_breakpoint(cpu, world.memory);
        self.blocks.free_dropped();
        self.settle(world.memory);
        // Another vCPU may have made its contexts resident where this one's were.
        cpu.context_changed();
        let mut executed = 0;
        let outcome = |executed, exit| Outcome { executed, exit };
        let watched = self.halts.register.filter(|&(of, _)| of == cpu.index).map(|(_, register)| register);
        self.single = watched.is_some();
        let before = watched.map(|register| cpu.stored(register));
        (cpu.fast.frame.jumps, cpu.fast.frame.code) = self.jumps.for_frame();
        let mut interpret = false;
        self.link = None;
        loop {
            let block = match self.block(cpu, world.memory) {
                Ok(block) => block,
                Err(trap) => {
                    self.link = None;
                    cpu.regs.cia = cpu.regs.nia;
                    self.deliver(cpu, world, world.count + executed, trap, false);
                    executed += 1;
                    if executed == budget {
                        return outcome(executed, Exit::Budget);
                    }
                    continue;
                }
            };
            // SAFETY: the block was just found.
            let block = unsafe { &*block };
            if block.stops && world.passed != Some(world.count + executed) && self.halts.at_breakpoint(cpu) {
                return outcome(executed, Exit::Breakpoint);
            }
            let stepping = cpu.traces();
            let aside = interpret || stepping || cpu.counts_kinds();
            let entry = if aside { ptr::null() } else { self.entry(cpu, world.memory, block) };
            let left = budget - executed;
            let (count, exit) = if entry.is_null() {
                interpret = false;
                self.link = None;
                self.run_block(cpu, world, block, (executed, left), stepping)
            } else {
                let (count, exit, leave) = self.run_compiled(cpu, world, entry, executed, left);
                interpret = matches!(leave, Leave::Interpret | Leave::Budget);
                (count, exit)
            };
            executed += count;
            if !self.tlb.code_dropped.is_empty() || world.memory.has_dropped() {
                self.settle(world.memory);
            }
            if let Some(exit) = exit {
                return outcome(executed, exit);
            }
            if executed == budget {
                return outcome(executed, Exit::Budget);
            }
            let changed = watched.is_some_and(|register| before != Some(cpu.stored(register)));
            if cpu.interruptible() || world.memory.has_sightings() || changed {
                return outcome(executed, Exit::Look);
            }
        }
    }

    fn set_halts(&mut self, halts: Halts, memory: &mut Memory) {
        let cuts = self.cuts.with(&halts.breakpoints);
        self.halts = halts;
        if cuts != self.cuts {
            self.set_cuts(cuts, memory);
        }
        self.settle(memory);
        self.tlb.flush(memory);
    }

    fn withdraw_writes(&mut self) {
        self.tlb.withdraw_writes();
    }

    fn forget_translations(&mut self, memory: &mut Memory) {
        memory.take_dropped();
        self.tlb.flush(memory);
        self.tlb.forget_contexts();
    }

    fn flush(&mut self, memory: &mut Memory) {
        memory.take_dropped();
        self.tlb.flush(memory);
        self.tlb.forget_contexts();
        self.blocks.flush(memory);
        self.blocks.free_dropped();
        self.forget_compiled();
        memory.take_dropped();
    }

    fn exceptions(&self) -> BTreeMap<String, u64> {
        Vector::ALL
            .iter()
            .filter(|&&vector| self.exceptions[vector as usize] != 0)
            .map(|&vector| (String::from(vector.name()), self.exceptions[vector as usize]))
            .collect()
    }

    fn counters(&self) -> BTreeMap<String, u64> {
        let own = [
            ("blocks_decoded", self.blocks.decoded),
            ("illegal_instructions", self.illegal),
            ("slow_instructions", self.slow.iter().sum()),
            ("tlb_fills", self.tlb.fills),
            ("tlb_flushes", self.tlb.flushes),
            ("runs", self.runs),
        ];
        let mut counters: BTreeMap<String, u64> =
            own.into_iter().map(|(name, count)| (String::from(name), count)).collect();
        // Which they are, the most frequent ones.
        let mut slow: Vec<(u64, &str)> =
            self.slow.iter().copied().zip(self.decoder.entries().iter().map(|entry| entry.name)).collect();
        slow.sort_by_key(|&(count, _)| ::core::cmp::Reverse(count));
        let frequent = slow.into_iter().take(16).filter(|&(count, _)| count != 0);
        counters.extend(frequent.map(|(count, name)| (format!("slow_{name}"), count)));
        if let Some(compiler) = &self.compiler {
            counters.extend(compiler.counters());
            let leaves = Leave::NAMES.into_iter().zip(self.leaves);
            counters.extend(leaves.map(|(name, count)| (String::from(name), count)));
        }
        counters
    }
}
