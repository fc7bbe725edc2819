//! Running compiled code, and what it calls back.

use super::blocks::{Block, Code, Mode, Op, Source};
use super::core::Run;
use super::tlb::{Real, Wanted};
use super::{Interpreter, Link};
use crate::bits::msr;
use crate::compiled::{Calls, Entry, Leave, Translated};
use crate::mmu::{Access, PAGE};
use crate::{Exit, Vcpu, World};
use ::core::ffi::c_void;
use ::core::{mem, ptr};
use timebase_isa::Ops;
use timebase_isa::semantics::Compute;
use timebase_memory::{Memory, Reservation};

/// The functions that compiled code calls.
pub const CALLS: Calls =
    Calls { fill_load, fill_store, fill_clear, step, reserve, conditional, time_base, compute };

impl Interpreter {
    /// The compiled code of a block at NIA, which is compiled now if it has become hot; null if there is none.
    #[inline]
    pub(super) fn entry(&mut self, cpu: &mut Vcpu, memory: &mut Memory, block: &Block) -> Entry {
        if self.looks != 0 {
            self.looks -= 1;
            block.passes.set(block.passes.get().saturating_add(1));
            return ptr::null();
        }
        let entry = block.entry.get();
        if entry.is_null() {
            let heat = block.heat.get();
            if heat >= self.eagerness.found || self.compiler.is_none() || !block.is_plain() {
                return entry;
            }
            block.heat.set(heat + 1);
            if heat + 1 < self.eagerness.found {
                return entry;
            }
            return self.compile(cpu, memory, block, false);
        }
        if self.sample {
            self.sample = false;
            let samples = block.samples.get().saturating_add(1);
            block.samples.set(samples);
            if samples == self.eagerness.samples {
                return self.compile(cpu, memory, block, true);
            }
            self.looks = self.eagerness.looks;
        }
        self.lead_to(cpu, block, entry);
        entry
    }

    /// Makes jumps to NIA lead to the code of the block there.
    #[inline]
    fn lead_to(&mut self, cpu: &Vcpu, block: &Block, entry: Entry) {
        let Some(compiler) = &mut self.compiler else { return };
        if block.stops {
            // A debugger is asked first.
            return;
        }
        match self.link.take() {
            Some(Link::Jump(site)) => compiler.link(site, entry),
            Some(Link::Bridge(site)) => {
                let salt = cpu.fast.frame.salt;
                compiler.bridge(site, entry, salt);
                if !self.bridges.note(cpu.regs.nia, site) {
                    self.bridges.forget_all(|site| compiler.unbridge(site));
                }
            }
            None => {}
        }
        self.jumps.lead(cpu.regs.nia, block, entry);
    }

    #[cold]
    #[inline(never)]
    fn compile(&mut self, cpu: &mut Vcpu, memory: &mut Memory, block: &Block, hot: bool) -> Entry {
        if self.compiler.as_ref().is_some_and(|compiler| compiler.full()) {
            self.forget_compiled();
            block.heat.set(self.eagerness.found);
        }
        let (Some(compiler), Some(code)) = (&mut self.compiler, Code::of(memory, block.real())) else {
            return ptr::null();
        };
        let page = self.blocks.of_page(block.real());
        let home = page.and_then(|page| page.settle(cpu.regs.nia));
        let mut source = Source { decoder: &self.decoder, code, cuts: &self.cuts, block, home, page };
        let old = block.entry.get();
        let entry = compiler.compile(&mut source, hot).unwrap_or(old);
        let lines = source.code.lines;
        memory.watch_code(block.real() & !(PAGE - 1), lines);
        if !old.is_null() && old != entry {
            compiler.replace(old, entry);
        }
        block.entry.set(entry);
        block.tree.set(hot && entry != old);
        // Watching the code withdraws pointers to its page.
        let changes = self.tlb.fetch_changes;
        self.settle(memory);
        if entry.is_null() || self.tlb.fetch_changes != changes {
            return ptr::null();
        }
        self.lead_to(cpu, block, entry);
        entry
    }

    /// Forgets compiled code, not what it was compiled from.
    pub(super) fn forget_compiled(&mut self) {
        let Some(compiler) = &mut self.compiler else { return };
        compiler.flush();
        self.blocks.forget_compiled();
        self.link = None;
        self.jumps.clear();
        self.bridges.clear();
    }

    /// Runs compiled code at NIA for at most `left` instructions.
    pub(super) fn run_compiled(
        &mut self,
        cpu: &mut Vcpu,
        world: &mut World,
        entry: Entry,
        done: u64,
        left: u64,
    ) -> (u64, Option<Exit>, Leave) {
        let Some(compiler) = &mut self.compiler else { return (0, None, Leave::Interpret) };
        let begin = world.count + done;
        let (all, left) = (left, left.min(self.eagerness.sample));
        let mut run = Run {
            block_count: begin,
            world,
            tlb: &mut self.tlb,
            full: self.tables.full.as_ptr(),
            block: ptr::null(),
            trap: None,
            exit: None,
            end_count: begin + left,
            accessed: None,
            slow: &mut self.slow,
            kinds: &self.kinds,
        };
        cpu.fast.frame.run = (&raw mut run).cast();
        cpu.fast.frame.forget_recent();
        // SAFETY: the caller found the block at NIA to have this code; dropped code has no block.
        let (leave, rest) = unsafe { compiler.enter(entry, cpu, left) };
        cpu.fast.frame.run = ptr::null_mut();
        self.leaves[leave.number()] += 1;
        self.link = match leave {
            Leave::Link(site) => Some(Link::Jump(site)),
            Leave::Bridge(site) => Some(Link::Bridge(site)),
            _ => None,
        };
        let executed = left - rest;
        let (trap, exit) = (run.trap, run.exit);
        if let Some((trap, prefixed)) = trap {
            self.deliver(cpu, world, begin + executed - 1, trap, prefixed);
        }
        if leave == Leave::Budget && left < all {
            self.sample = true;
            // What takes more than that at once is interpreted now and then.
            if executed != 0 {
                return (executed, exit, Leave::Look);
            }
        }
        (executed, exit, leave)
    }
}

impl Mode {
    /// That of `cpu` now.
    pub(super) fn of(cpu: &Vcpu, single: bool) -> Mode {
        Mode { little_endian: cpu.little_endian(), bits64: cpu.regs.msr & msr::SF != 0, single }
    }

    /// What a jump must hold to be valid in this mode, in the context of this number.
    pub(super) fn salt(self, serial: u32) -> u32 {
        serial << 3 | (self.little_endian as u32) << 2 | (self.bits64 as u32) << 1 | self.single as u32
    }
}

/// The run that the vCPU is part of.
///
/// # Safety
/// Compiled code is running on `cpu`.
unsafe fn running<'a>(cpu: *mut Vcpu) -> (&'a mut Vcpu, &'a mut Run<'a, 'a>) {
    // SAFETY: `run_compiled` put the pointer there, and compiled code holds no reference.
    unsafe { (&mut *cpu, &mut *(*cpu).fast.frame.run.cast()) }
}

unsafe fn fill(cpu: *mut Vcpu, ea: u64, again: u64, access: Access, clear: bool) -> u64 {
    // SAFETY: promised by the caller.
    let (cpu, run) = unsafe { running(cpu) };
    let context = run.tlb.data_context(cpu);
    let (changes, drops) = (run.tlb.fetch_changes, run.tlb.drops);
    let wanted = Wanted { context, ea, access, clear };
    let filled = run.tlb.lookup_or_fill(cpu, run.world.memory, &wanted);
    if run.tlb.fetch_changes != changes {
        cpu.fast.frame.salt = 0;
    }
    if run.tlb.drops != drops {
        cpu.fast.frame.forget_recent();
    }
    if filled.is_err() || !run.tlb.code_dropped.is_empty() || again != 0 && run.tlb.drops != drops {
        return 0;
    }
    wanted.is_direct(&run.tlb.entry(context, ea)) as u64
}

unsafe extern "C" fn fill_load(cpu: *mut Vcpu, ea: u64, again: u64) -> u64 {
    // SAFETY: promised by the caller.
    unsafe { fill(cpu, ea, again, Access::Load, false) }
}

unsafe extern "C" fn fill_store(cpu: *mut Vcpu, ea: u64, again: u64) -> u64 {
    // SAFETY: promised by the caller.
    unsafe { fill(cpu, ea, again, Access::Store, false) }
}

unsafe extern "C" fn fill_clear(cpu: *mut Vcpu, ea: u64, again: u64) -> u64 {
    // SAFETY: promised by the caller.
    unsafe { fill(cpu, ea, again, Access::Store, true) }
}

unsafe extern "C" fn step(cpu: *mut Vcpu, op: *const Op, address: u64, left: u64) -> u64 {
    // SAFETY: promised by the caller; `op` is kept by the block.
    let (cpu, run, op) = unsafe {
        let (cpu, run) = running(cpu);
        (cpu, run, &*op)
    };
    let salt = cpu.fast.frame.salt;
    let of = |cpu: &Vcpu, run: &Run| (cpu.regs.msr, cpu.fast.fetch_context, run.tlb.fetch_changes);
    let before = of(cpu, run);
    cpu.fast.frame.forget_recent();
    cpu.fast.block_address = address;
    run.block = op;
    run.block_count = run.end_count - left - 1;
    match run.step_any(cpu, op) {
        Ok(true) => {}
        Ok(false) => return 1,
        Err(trap) => {
            run.trap = Some((trap, op.prefixed()));
            return 1;
        }
    }
    let stop = cpu.interruptible() || cpu.regs.msr & msr::TE != 0 || run.world.memory.has_sightings();
    if of(cpu, run) == before {
        return stop as u64;
    }
    // A context that was forgotten may be the same again.
    let same = run.tlb.fetch_changes == before.2 && run.salt(cpu) == salt;
    if same {
        cpu.fast.frame.salt = if run.tlb.has_moved() { 0 } else { salt };
    }
    (stop || !same) as u64
}

/// The translation of an access that compiled code has just made or may make: it has found it, but another one may stand in
/// its place in the table by now. Gives the entry and the real address. Nothing that is known becomes untrue: the page
/// has been accessed in the same way.
fn found(cpu: &mut Vcpu, run: &mut Run, ea: u64, access: Access) -> Option<(Translated, u64)> {
    let context = run.tlb.data_context(cpu);
    let drops = run.tlb.drops;
    let Real(real) = run.tlb.lookup_or_fill(cpu, run.world.memory, &Wanted::new(context, ea, access)).ok()?;
    debug_assert_eq!(run.tlb.drops, drops);
    Some((run.tlb.entry(context, ea), real))
}

unsafe extern "C" fn reserve(cpu: *mut Vcpu, ea: u64, bytes: u64) {
    // SAFETY: promised by the caller.
    let (cpu, run) = unsafe { running(cpu) };
    let reservation = found(cpu, run, ea, Access::Load)
        .map_or(Reservation::NONE, |(_, real)| Reservation::new(real, bytes as u8));
    run.world.memory.set_reservation(cpu.index, reservation);
}

unsafe extern "C" fn conditional(cpu: *mut Vcpu, ea: u64, bytes: u64, value: u64) -> u64 {
    // SAFETY: promised by the caller.
    let (cpu, run) = unsafe { running(cpu) };
    let found = found(cpu, run, ea, Access::Store);
    let memory = &mut *run.world.memory;
    let mut held = false;
    if let Some((entry, real)) = found
        && entry.write == Translated::tag(ea)
        && memory.reservation(cpu.index).matches(real, bytes as u8)
    {
        held = true;
        let host: *mut u8 = ptr::with_exposed_provenance_mut(entry.addend.wrapping_add(ea as usize));
        // SAFETY: the entry is of this page and of stores, so its pointer is valid; the access is aligned.
        unsafe { ptr::copy_nonoverlapping(value.to_le_bytes().as_ptr(), host, bytes.min(8) as usize) };
    }
    memory.set_reservation(cpu.index, Reservation::NONE);
    held as u64
}

unsafe extern "C" fn time_base(cpu: *mut Vcpu, left: u64) -> u64 {
    // SAFETY: promised by the caller.
    let (cpu, run) = unsafe { running(cpu) };
    cpu.tb(run.world.clock.at(run.end_count - left - 1))
}

unsafe extern "C" fn compute(
    cpu: *mut Vcpu,
    operands: *const Ops,
    function: *const c_void,
    address: u64,
) -> u64 {
    // SAFETY: promised by the caller; `function` is the `Compute` that the definition named, `operands` are kept.
    let (cpu, run, function, operands) = unsafe {
        let (cpu, run) = running(cpu);
        (cpu, run, mem::transmute::<*const c_void, Compute>(function), &*operands)
    };
    match function(&mut cpu.regs, operands) {
        Ok(()) => 0,
        Err(trap) => {
            cpu.regs.cia = address;
            cpu.regs.nia = address.wrapping_add(4);
            run.trap = Some((trap, false));
            1
        }
    }
}

impl Run<'_, '_> {
    /// What a jump to the code that `cpu` executes must hold to be valid now.
    fn salt(&mut self, cpu: &mut Vcpu) -> u32 {
        let context = self.tlb.fetch_context(cpu);
        Mode::of(cpu, false).salt(self.tlb.serial(context))
    }
}
