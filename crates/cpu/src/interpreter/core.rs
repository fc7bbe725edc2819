//! The full reading of instruction bodies: any mode, any address, with all effects.

use super::blocks::Op;
use super::fast::order;
use super::thread::{CROSSING_PREFIX, Full};
use super::tlb::{Real, Tlb, Wanted};
use crate::bits::{dsisr, msr};
use crate::compiled::Translated;
use crate::kinds::Kinds;
use crate::mmu::{Access, PAGE};
use crate::observe::Observation;
use crate::spr::facility;
use crate::{Exit, Vcpu, World};
use ::core::ptr;
use timebase_isa::semantics::{Compute, Facility};
use timebase_isa::{Mem, N, Ops, Reg, Semantics, SystemOp, Trap};
use timebase_memory::{Space, Writer};
use timebase_state::Instant;

/// What a run of one vCPU carries along.
pub(crate) struct Run<'a, 'w> {
    pub world: &'a mut World<'w>,
    pub tlb: &'a mut Tlb,
    pub full: *const Full,
    /// First instruction of the block that runs.
    pub block: *const Op,
    /// Instruction attempts before that block.
    pub block_count: u64,
    /// The interrupt that the last instruction raised, and whether that has a prefix.
    pub trap: Option<(Trap, bool)>,
    /// The run is to end after this instruction.
    pub exit: Option<Exit>,
    /// Instruction attempts when the budget of the compiled code that runs is used up.
    pub end_count: u64,
    /// The storage that the last instruction accessed, by the full reader: where it begins, and how; if it also stores, as
    /// a store.
    pub accessed: Option<(u64, Access)>,
    /// Instructions that the full reader executed, by number, for the report.
    pub slow: &'a mut [u64],
    /// What the performance monitor tells apart.
    pub kinds: &'a Kinds,
}

impl Run<'_, '_> {
    /// Ends the run after this instruction. The first reason counts, but a mere look gives way to any other.
    pub fn exit(&mut self, exit: Exit) {
        if matches!(self.exit, None | Some(Exit::Look)) {
            self.exit = Some(exit);
        }
    }

    /// Executes one instruction, whatever it is.
    pub fn step_any(&mut self, cpu: &mut Vcpu, op: &Op) -> Result<bool, Trap> {
        if op.ops.op == CROSSING_PREFIX {
            cpu.regs.cia = cpu.fast.block_address.wrapping_add(op.offset as u64);
            return Err(Trap::Alignment { ea: cpu.regs.cia });
        }
        self.step(cpu, op)
    }

    /// Executes one instruction. Ok(true): the next one in the block follows.
    pub fn step(&mut self, cpu: &mut Vcpu, op: &Op) -> Result<bool, Trap> {
        self.slow[op.ops.op as usize] += 1;
        cpu.regs.cia = cpu.fast.block_address.wrapping_add(op.offset as u64);
        let next = cpu.regs.cia.wrapping_add(op.length as u64);
        let next = if cpu.regs.msr & msr::SF != 0 { next } else { next & 0xffff_ffff };
        cpu.regs.nia = next;
        if op.length == 8 {
            cpu.available(facility::PREFIX)?;
        }
        // SAFETY: `op` is in the block that runs, and `full` has a function for every decoded instruction number.
        let (count, full) = unsafe {
            let index = (op as *const Op).offset_from(self.block) as u64;
            (self.block_count + index, *self.full.add(op.ops.op as usize))
        };
        let changes = self.tlb.fetch_changes;
        full(&mut Core { cpu, run: self, count }, &op.ops)?;
        self.tlb.apply(self.world.memory);
        // The translation of this page may have gone: where a block ends must make no difference.
        let valid = self.tlb.code_dropped.is_empty() && self.tlb.fetch_changes == changes;
        Ok(cpu.regs.nia == next && self.exit.is_none() && valid)
    }
}

/// The reader: one instruction of one vCPU.
pub(crate) struct Core<'a, 'b, 'w> {
    pub cpu: &'a mut Vcpu,
    pub run: &'a mut Run<'b, 'w>,
    /// Instruction attempts before this one.
    pub count: u64,
}

impl Core<'_, '_, '_> {
    /// The counters of kinds of instructions are brought up to date.
    pub fn count_kinds(&mut self) {
        if !self.cpu.counts_kinds() {
            return;
        }
        debug_assert!(!self.run.block.is_null());
        let within = (self.count - self.run.block_count) as usize;
        // SAFETY: while kinds are counted nothing is compiled, so `block` is the block that runs, which this instruction is
        // in, after so many others.
        let ops = unsafe { ::core::slice::from_raw_parts(self.run.block, within) };
        self.cpu.count_kinds(self.run.kinds, ops, self.run.block_count - self.run.world.count);
    }

    /// Virtual time of this instruction.
    pub fn now(&self) -> Instant {
        self.run.world.clock.at(self.count)
    }

    /// The effective address in the current mode.
    #[inline]
    fn effective(&self, ea: u64) -> u64 {
        if self.mode64() { ea } else { ea & 0xffff_ffff }
    }

    /// Notes an access for the trace interrupt, whether its translation is known or not.
    #[inline]
    fn note(&mut self, ea: u64, access: Access) {
        let first = self.run.accessed.map_or(ea, |(first, _)| first);
        if self.run.accessed.is_none() || access == Access::Store {
            self.run.accessed = Some((first, access));
        }
    }

    /// Translates a data access, with all its effects.
    pub fn real(&mut self, ea: u64, access: Access) -> Result<u64, Trap> {
        self.translated(ea, access, false)
    }

    /// The same for a store of zeros.
    pub fn real_to_clear(&mut self, ea: u64) -> Result<u64, Trap> {
        self.translated(ea, Access::Store, true)
    }

    fn translated(&mut self, ea: u64, access: Access, clear: bool) -> Result<u64, Trap> {
        self.note(ea, access);
        let context = self.run.tlb.data_context(self.cpu);
        let wanted = Wanted { context, ea, access, clear };
        let Real(real) = self.run.tlb.lookup_or_fill(self.cpu, self.run.world.memory, &wanted)?;
        Ok(real)
    }

    /// Both real addresses of an access of up to a page, split where it crosses into the next page:
    /// ((address, bytes), (address, bytes)).
    fn pieces(&mut self, ea: u64, bytes: usize, access: Access) -> Result<[(u64, usize); 2], Trap> {
        let first = ((PAGE - ea % PAGE) as usize).min(bytes);
        let start = self.real(ea, access)?;
        if first == bytes {
            self.check_watchpoints(ea, bytes, access)?;
            return Ok([(start, bytes), (0, 0)]);
        }
        let next = self.real(self.effective(ea.wrapping_add(first as u64)), access)?;
        self.check_watchpoints(ea, bytes, access)?;
        Ok([(start, first), (next, bytes - first)])
    }

    /// A data storage interrupt where a data address watchpoint matches.
    #[inline]
    pub fn check_watchpoints(&self, ea: u64, bytes: usize, access: Access) -> Result<(), Trap> {
        if !self.cpu.is_watched(ea, bytes, access) {
            return Ok(());
        }
        let store = if access == Access::Store { dsisr::STORE } else { 0 };
        Err(Trap::DataStorage { ea, dsisr: dsisr::DAWR | store })
    }

    /// Where the bytes of an access are on the host, if all are in a page that is known and that nobody watches.
    #[inline]
    fn direct(&mut self, ea: u64, bytes: usize, access: Access) -> Option<*mut u8> {
        let context = self.run.tlb.data_context(self.cpu);
        let entry = self.run.tlb.entry(context, ea);
        let tag = if access == Access::Store { entry.write } else { entry.read };
        let last = Translated::tag(ea.wrapping_add(bytes as u64 - 1));
        (last == tag).then(|| {
            self.note(ea, access);
            ptr::with_exposed_provenance_mut(entry.addend.wrapping_add(ea as usize))
        })
    }

    /// Reads up to 16 bytes in address order.
    pub fn read_bytes(&mut self, ea: u64, out: &mut [u8]) -> Result<(), Trap> {
        let ea = self.effective(ea);
        if let Some(host) = self.direct(ea, out.len(), Access::Load) {
            // SAFETY: an entry whose tag is that of the last byte translates all bytes, for neighbouring pages never
            // share one; its pointer is valid as long as it is there.
            unsafe { ptr::copy_nonoverlapping(host, out.as_mut_ptr(), out.len()) };
            return Ok(());
        }
        let [(real, first), (next, rest)] = self.pieces(ea, out.len(), Access::Load)?;
        let memory = &*self.run.world.memory;
        if memory.read(real, &mut out[..first]).is_err() {
            return self.read_device(ea, real, out);
        }
        if rest != 0 && memory.read(next, &mut out[first..]).is_err() {
            return Err(Trap::Alignment { ea });
        }
        self.tell(ea, [(real, first), (next, rest)], false);
        Ok(())
    }

    /// Writes up to 16 bytes in address order, all or none.
    pub fn write_bytes(&mut self, ea: u64, bytes: &[u8]) -> Result<(), Trap> {
        let ea = self.effective(ea);
        if let Some(host) = self.direct(ea, bytes.len(), Access::Store) {
            // SAFETY: as for reading; there is a pointer for writing only while nobody watches the page.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), host, bytes.len()) };
            return Ok(());
        }
        let [(real, first), (next, rest)] = self.pieces(ea, bytes.len(), Access::Store)?;
        let writer = Writer::Cpu(self.cpu.index);
        let memory = &mut *self.run.world.memory;
        if !memory.contains(real, first as u64) {
            return self.write_device(ea, real, bytes);
        }
        if rest != 0 && !memory.contains(next, rest as u64) {
            return Err(Trap::Alignment { ea });
        }
        let _ = memory.store(real, &bytes[..first], writer);
        if rest != 0 {
            let _ = memory.store(next, &bytes[first..], writer);
        }
        self.tell(ea, [(real, first), (next, rest)], true);
        Ok(())
    }

    /// Tells a debugger of an access that has been made, and ends the run after this instruction if it watches.
    #[inline]
    pub fn tell(&mut self, ea: u64, pieces: [(u64, usize); 2], store: bool) {
        if self.run.world.memory.has_watchpoints() {
            self.tell_debugger(ea, pieces, store);
        }
    }

    #[cold]
    fn tell_debugger(&mut self, ea: u64, pieces: [(u64, usize); 2], store: bool) {
        let (cpu, memory) = (self.cpu.index, &mut *self.run.world.memory);
        let bytes = pieces[0].1 + pieces[1].1;
        memory.tell_access(Space::Effective, cpu, ea, bytes as u64, store);
        if !store {
            for (real, bytes) in pieces.into_iter().filter(|piece| piece.1 != 0) {
                memory.tell_access(Space::Real, cpu, real, bytes as u64, false);
            }
        }
        if memory.has_sightings() {
            self.run.exit(Exit::Look);
        }
    }

    /// Device accesses are aligned and of at most 8 bytes.
    fn device_size(ea: u64, real: u64, bytes: usize) -> Result<u8, Trap> {
        if bytes > 8 || !bytes.is_power_of_two() || !real.is_multiple_of(bytes as u64) {
            return Err(Trap::Alignment { ea });
        }
        Ok(bytes as u8)
    }

    /// Sees to what a device access left: where nobody but this vCPU can tell of it, the run goes on.
    fn settle_device(&mut self) {
        let Some(bits) = self.run.world.bus.settled() else { return self.run.exit(Exit::Look) };
        self.cpu.spr.hmer |= bits;
        if self.cpu.spr.hmer & self.cpu.spr.hmeer != 0 {
            self.run.exit(Exit::Look);
        }
    }

    #[cold]
    fn read_device(&mut self, ea: u64, real: u64, out: &mut [u8]) -> Result<(), Trap> {
        let size = Self::device_size(ea, real, out.len())?;
        let now = self.now();
        let world = &mut *self.run.world;
        let answer = world.bus.load(self.cpu.index, real, size, now, world.memory);
        self.settle_device();
        let value = answer.map_err(|_| Trap::MachineCheck { ea, fetch: false })?;
        let world = &mut *self.run.world;
        let (address, bytes) = (real, size);
        world.observe(self.count, || Observation::Device { store: false, address, bytes, value });
        out.copy_from_slice(&value.to_be_bytes()[8 - size as usize..]);
        self.tell(ea, [(real, out.len()), (0, 0)], false);
        Ok(())
    }

    #[cold]
    fn write_device(&mut self, ea: u64, real: u64, bytes: &[u8]) -> Result<(), Trap> {
        let size = Self::device_size(ea, real, bytes.len())?;
        let now = self.now();
        let value = bytes.iter().fold(0, |value, &byte| value << 8 | byte as u64);
        let world = &mut *self.run.world;
        let answer = world.bus.store(self.cpu.index, real, size, value, now, world.memory);
        self.settle_device();
        answer.map_err(|_| Trap::MachineCheck { ea, fetch: false })?;
        let world = &mut *self.run.world;
        let (address, size) = (real, size);
        world.observe(self.count, || Observation::Device { store: true, address, bytes: size, value });
        if world.memory.has_watchpoints() {
            world.memory.tell_access(Space::Real, self.cpu.index, real, bytes.len() as u64, true);
        }
        self.tell(ea, [(real, bytes.len()), (0, 0)], true);
        Ok(())
    }

    /// The bytes are to be swapped to make the number that `mem` means.
    fn swap(&self, mem: Mem) -> bool {
        mem.reversed == self.cpu.little_endian()
    }
}

impl Semantics for Core<'_, '_, '_> {
    type V = N;
    type C = bool;
    type Stop = Trap;

    #[inline(always)]
    fn imm(&self, value: u64) -> N {
        N(value)
    }
    #[inline(always)]
    fn get(&self, reg: Reg) -> N {
        N(self.cpu.regs.word(reg))
    }
    #[inline(always)]
    fn set(&mut self, reg: Reg, value: N) {
        self.cpu.regs.set_word(reg, value.0)
    }
    fn load(&mut self, ea: N, mem: Mem) -> Result<N, Trap> {
        let mut bytes = [0; 8];
        self.read_bytes(ea.0, &mut bytes[..mem.size as usize])?;
        Ok(N(order(u64::from_le_bytes(bytes), mem, self.swap(mem))))
    }
    fn store(&mut self, ea: N, value: N, mem: Mem) -> Result<(), Trap> {
        let value = order(value.0, Mem { signed: false, ..mem }, self.swap(mem));
        self.write_bytes(ea.0, &value.to_le_bytes()[..mem.size as usize])
    }
    fn load16(&mut self, ea: N) -> Result<(N, N), Trap> {
        let mut bytes = [0; 16];
        self.read_bytes(ea.0, &mut bytes)?;
        let value =
            if self.cpu.little_endian() { u128::from_le_bytes(bytes) } else { u128::from_be_bytes(bytes) };
        Ok((N((value >> 64) as u64), N(value as u64)))
    }
    fn store16(&mut self, ea: N, high: N, low: N) -> Result<(), Trap> {
        let value = (high.0 as u128) << 64 | low.0 as u128;
        let bytes = if self.cpu.little_endian() { value.to_le_bytes() } else { value.to_be_bytes() };
        self.write_bytes(ea.0, &bytes)
    }
    fn load_bytes(&mut self, ea: N, count: N) -> Result<(N, N), Trap> {
        let mut bytes = [0; 16];
        if count.0 != 0 {
            self.read_bytes(ea.0, &mut bytes[..count.0.min(16) as usize])?;
        }
        let value = u128::from_be_bytes(bytes);
        Ok((N((value >> 64) as u64), N(value as u64)))
    }
    fn store_bytes(&mut self, ea: N, count: N, first: N, second: N) -> Result<(), Trap> {
        let value = (first.0 as u128) << 64 | second.0 as u128;
        if count.0 == 0 {
            return Ok(());
        }
        self.write_bytes(ea.0, &value.to_be_bytes()[..count.0.min(16) as usize])
    }
    fn probe(&mut self, ea: N, bytes: u32, write: bool) -> Result<(), Trap> {
        let ea = self.effective(ea.0);
        self.pieces(ea, bytes as usize, if write { Access::Store } else { Access::Load })?;
        Ok(())
    }
    fn require(&mut self, facility: Facility) -> Result<(), Trap> {
        let (bit, trap) = match facility {
            Facility::Fp => (msr::FP, Trap::FpUnavailable),
            Facility::Vector => (msr::VEC, Trap::VectorUnavailable),
            Facility::Vsx => (msr::VSX, Trap::VsxUnavailable),
            Facility::Prefix | Facility::Tar => {
                let bit = if facility == Facility::Tar { facility::TAR } else { facility::PREFIX };
                return self.cpu.available(bit);
            }
        };
        self.cpu.lent(if facility == Facility::Fp { facility::FP } else { facility::VECTOR })?;
        if self.cpu.regs.msr & bit != 0 { Ok(()) } else { Err(trap) }
    }
    #[inline(always)]
    fn cia(&self) -> N {
        N(self.cpu.regs.cia)
    }
    fn branch(&mut self, taken: bool, target: N) {
        if taken {
            self.cpu.regs.cfar = self.cpu.regs.cia;
            self.cpu.regs.nia = self.effective(target.0);
        }
    }
    fn compute(&mut self, function: Compute, i: &Ops) -> Result<(), Trap> {
        function(&mut self.cpu.regs, i)
    }
    fn system(&mut self, op: SystemOp, i: &Ops) -> Result<(), Trap> {
        crate::system::execute(self, op, i)
    }
    #[inline(always)]
    fn mode64(&self) -> bool {
        self.cpu.regs.msr & msr::SF != 0
    }
    #[inline(always)]
    fn little_endian(&self) -> bool {
        self.cpu.regs.msr & msr::LE != 0
    }
    #[inline(always)]
    fn trap_if(&mut self, condition: bool, trap: Trap) -> Result<(), Trap> {
        if condition { Err(trap) } else { Ok(()) }
    }
}
