//! XIVE of POWER9 and POWER10, the interrupt controller as bare-metal software sees it: event states, event queues and
//! thread contexts, with the tables in memory that firmware gives it.
//!
//! Sources: the specification of the external interrupt virtualization engine (XIVE), both generations; register numbers
//! and table layouts are those that skiboot programs. One block per chip. Caches are not modelled: tables are read where
//! they are, so scrubs are done at once, and a cache watch is a window on the entry in memory. Chips find each other's
//! tables by the number of the block, so nothing is forwarded. An event for a group goes to the member that works at the
//! least favoured priority.
//!
//! Left out: migration and forwarding to other machines' blocks, block groups, pressure relief, pages of 4 KiB; of errors
//! no more is known than that there was one.

pub(crate) mod bits;
mod context;
mod present;
mod queue;
mod registers;
mod registers_10;
mod tables;
mod targets;
mod thread;

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use bits::{Management, field, with_field};
use present::Event;
pub use queue::Generation;
use tables::{Kind, Tables};
use targets::{Backlog, Level};
use thread::Thread;
use timebase_memory::{Memory, Writer};
use timebase_state::State;

/// log2 of a page of event states, of thread contexts, of registers.
const PAGE_SHIFT: u32 = 16;
/// Entries of the table that tells what each part of the event window is.
const SETS: usize = 64;

/// A window of real addresses: base and length, 0 where there is none.
type Window = (u64, u64);

/// The controller of one chip.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
struct Chip {
    /// Registers that keep what is written.
    kept: BTreeMap<u32, u64>,
    /// Registers, event states (and queues in the first generation), targets, queues, crowds.
    windows: [Window; 5],
    tables: Tables,
    /// What each part of the event window is.
    sets: [[u64; 16]; SETS / 16],
    /// Data of the cache watches of queues and of targets: four of each, in the first generation one.
    queue_watch: [[u64; 4]; 4],
    target_watch: [[u64; 8]; 4],
}

/// The controllers of all chips and the contexts of all threads.
#[derive(State, Clone, Debug, PartialEq, Eq)]
pub struct XiveNative {
    chips: Box<[Chip]>,
    threads: Box<[Thread]>,
    /// The thread that is first asked to take an event of a group.
    turn: u32,
    /// Where thread contexts are; the same for all chips.
    contexts: Window,
    #[wiring("from the configuration")]
    pirs: Box<[u32]>,
    #[wiring("from the configuration")]
    generation: Generation,
}

/// What a place in the event window is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Source { block: u32, index: u32 },
    Queue { block: u32, index: u32 },
}

impl XiveNative {
    /// As after power-on; `pirs`: PIR of each thread in order.
    pub fn cold(generation: Generation, chips: u32, pirs: Vec<u32>) -> XiveNative {
        XiveNative {
            chips: (0..chips).map(|chip| Chip::cold(generation, chip)).collect(),
            threads: pirs.iter().map(|_| Thread::cold()).collect(),
            turn: 0,
            contexts: (0, 0),
            pirs: pirs.into(),
            generation,
        }
    }

    /// The lines to a thread: to the hypervisor, to the operating system.
    pub fn lines(&self, cpu: u32) -> (bool, bool) {
        self.threads.get(cpu as usize).map_or((false, false), Thread::lines)
    }

    /// A load. None: the address is not the controller's.
    pub fn load(&mut self, cpu: u32, address: u64, bytes: u8, memory: &mut Memory) -> Option<u64> {
        if let Some(offset) = inside(self.contexts, address) {
            self.threads.get(cpu as usize)?;
            let page = (offset >> PAGE_SHIFT) as u8 & 3;
            return Some(self.load_context(cpu as usize, page, offset, bytes, memory));
        }
        let (chip, window, offset) = self.find(address)?;
        match window {
            0 if self.register_at(offset).is_some() && bytes == 8 => {
                Some(self.read_register(chip, self.register_at(offset)?, memory))
            }
            0 if self.indirect(chip, offset).is_some() => {
                let (thread, page) = self.indirect(chip, offset)?;
                Some(self.load_context(thread, page, offset, bytes, memory))
            }
            2 | 4 if bytes == 2 => self.backlog(chip, window, offset, 1, memory),
            1 | 3 => Some(self.load_event(chip, window, offset, memory)),
            _ => Some(u64::MAX >> (64 - 8 * bytes as u32)),
        }
    }

    /// A store. None: the address is not the controller's.
    pub fn store(
        &mut self,
        cpu: u32,
        address: u64,
        bytes: u8,
        value: u64,
        memory: &mut Memory,
    ) -> Option<()> {
        if let Some(offset) = inside(self.contexts, address) {
            self.threads.get(cpu as usize)?;
            let page = (offset >> PAGE_SHIFT) as u8 & 3;
            self.store_context(cpu as usize, page, (offset, bytes), value, memory);
            return Some(());
        }
        let (chip, window, offset) = self.find(address)?;
        match window {
            0 if self.register_at(offset).is_some() && bytes == 8 => {
                self.write_register(chip, self.register_at(offset)?, value, (cpu, memory));
            }
            0 if self.indirect(chip, offset).is_some() => {
                let (thread, page) = self.indirect(chip, offset)?;
                self.store_context(thread, page, (offset, bytes), value, memory);
            }
            0 if offset >> PAGE_SHIFT == self.notify_page() && bytes == 8 => self.receive(value, memory),
            // Synchronisation is done as soon as it is asked for.
            0 => {
                if let Some(what) = self.injected(offset) {
                    self.tell_done(cpu, chip, what, memory);
                }
            }
            1 | 3 => self.store_event(chip, window, offset, memory),
            2 | 4 if bytes == 1 => {
                let _ = self.backlog(chip, window, offset, value as u32, memory);
            }
            _ => {}
        }
        Some(())
    }

    /// The chip and the window that an address is in.
    fn find(&self, address: u64) -> Option<(usize, usize, u64)> {
        self.chips.iter().enumerate().find_map(|(n, chip)| {
            let mut windows = chip.windows.iter().enumerate();
            windows.find_map(|(window, &range)| Some((n, window, inside(range, address)?)))
        })
    }

    /// The register at an offset of the window of registers.
    fn register_at(&self, offset: u64) -> Option<u32> {
        let page = offset >> PAGE_SHIFT;
        match self.generation {
            Generation::First => (page == 0).then_some(offset as u32 & 0xfff),
            Generation::Second => (page < 4).then_some((page as u32) << 12 | offset as u32 & 0xfff),
        }
    }

    /// The thread whose context a chip's registers give access to, and the page of it.
    fn indirect(&self, chip: usize, offset: u64) -> Option<(usize, u8)> {
        if self.generation == Generation::Second {
            // A page for each thread of the chip, in the upper half.
            let pir = (chip as u64) << 8 | (offset >> PAGE_SHIFT).checked_sub(256)?;
            return Some((self.pirs.iter().position(|&of| of as u64 == pir)?, 1));
        }
        if offset >> PAGE_SHIFT < 4 {
            return None;
        }
        let register = self.chips[chip].kept(registers::INDIRECT_THREAD);
        if register >> 63 == 0 {
            return None;
        }
        let pir = (chip as u32) << 8 | field(register, 48, 7) as u32;
        let thread = self.pirs.iter().position(|&of| of == pir)?;
        // The four pages after the fourth show what the hypervisor's page does.
        Some((thread, if offset >> PAGE_SHIFT < 8 { 1 } else { 2 }))
    }

    /// What is at an offset of the event window, and the offset in its pair of pages.
    fn place(&self, chip: usize, window: usize, offset: u64) -> Option<(Place, u64)> {
        if self.generation == Generation::Second {
            let index = (offset >> (PAGE_SHIFT + 1)) as u32;
            let block = chip as u32;
            let place =
                if window == 1 { Place::Source { block, index } } else { Place::Queue { block, index } };
            return Some((place, offset & ((2 << PAGE_SHIFT) - 1)));
        }
        let bytes = self.chips[chip].windows[1].1 / SETS as u64;
        let set = self.chips[chip].set((offset / bytes.max(1)) as usize);
        let block = field(set, 48, 4) as u32;
        let within = field(set, 32, 8) * bytes + offset % bytes.max(1);
        let index = (within >> (PAGE_SHIFT + 1)) as u32;
        let rest = within & ((2 << PAGE_SHIFT) - 1);
        match set >> 62 {
            1 => Some((Place::Source { block, index }, rest)),
            2 => Some((Place::Queue { block, index }, rest)),
            _ => None,
        }
    }

    fn load_event(&mut self, chip: usize, window: usize, offset: u64, memory: &mut Memory) -> u64 {
        let Some((place, rest)) = self.place(chip, window, offset) else { return u64::MAX };
        match place {
            // The trigger page has nothing to load.
            Place::Source { .. } if rest >> PAGE_SHIFT == 0 => u64::MAX,
            Place::Source { block, index } => {
                self.manage_source(block, index, bits::on_load(rest & 0xfff), memory)
            }
            Place::Queue { block, index } => {
                let escalation = rest >> PAGE_SHIFT != 0;
                self.manage_queue(block, index, escalation, bits::on_load(rest & 0xfff), memory)
            }
        }
    }

    fn store_event(&mut self, chip: usize, window: usize, offset: u64, memory: &mut Memory) {
        let Some((place, rest)) = self.place(chip, window, offset) else { return };
        match place {
            Place::Source { block, index } => {
                let what =
                    if rest >> PAGE_SHIFT == 0 { Management::Trigger } else { bits::on_store(rest & 0xfff) };
                self.manage_source(block, index, what, memory);
            }
            Place::Queue { block, index } => {
                let escalation = rest >> PAGE_SHIFT != 0;
                self.manage_queue(block, index, escalation, bits::on_store(rest & 0xfff), memory);
            }
        }
    }

    fn entry(&self, kind: Kind, block: u32, index: u32, memory: &Memory) -> Option<u64> {
        self.chips.get(block as usize)?.tables.entry(self.generation, kind, block, index, memory)
    }

    /// Carries out an operation on the event state of a source. Returns the state before it, or for an end of interrupt
    /// whether an event goes on; all ones where there is no such source.
    fn manage_source(&mut self, block: u32, index: u32, what: Management, memory: &mut Memory) -> u64 {
        let Some((answer, goes_on)) = self.operate(block, index, what, memory) else { return u64::MAX };
        if goes_on {
            self.route(block, index, memory);
        }
        answer
    }

    /// The operation itself: what a load answers, and whether an event goes on.
    fn operate(
        &mut self,
        block: u32,
        index: u32,
        what: Management,
        memory: &mut Memory,
    ) -> Option<(u64, bool)> {
        // Four states to a byte, the first one leftmost.
        let at = self.entry(Kind::State, block, index / 4 * 4, memory)?;
        let mut byte = [0];
        memory.read(at, &mut byte).ok()?;
        let shift = 6 - 2 * (index % 4);
        let (old, new, answer, goes_on) = carry_out(byte[0] >> shift & 3, what);
        if new != old {
            let _ = memory.store(at, &[byte[0] & !(3 << shift) | new << shift], Writer::Other);
        }
        Some((answer, goes_on))
    }

    /// The same on an event state of a queue: that of its notifications, or of its escalations.
    fn manage_queue(
        &mut self,
        block: u32,
        index: u32,
        escalation: bool,
        what: Management,
        memory: &mut Memory,
    ) -> u64 {
        let Some(at) = self.entry(Kind::Descriptor, block, index, memory) else { return u64::MAX };
        let Ok(word) = memory.read_u32(at + 4) else { return u64::MAX };
        if what == Management::Trigger {
            return u64::MAX;
        }
        let shift = if escalation { 28 } else { 30 };
        let (old, new, answer, _) = carry_out((word >> shift) as u8 & 3, what);
        if new != old {
            let _ = memory.store_u32(at + 4, with_field(word, shift, 2, new as u32), Writer::Other);
        }
        answer
    }

    /// An event of a source goes on to its queue.
    pub fn route(&mut self, block: u32, index: u32, memory: &mut Memory) {
        if let Some(event) = self.assignment(block, index, memory) {
            self.notify(event, memory);
        }
    }

    /// Where the events of a source go, and what is put into the queue there.
    fn assignment(&mut self, block: u32, index: u32, memory: &Memory) -> Option<Event> {
        const VALID: u64 = 1 << 63;
        const MASKED: u64 = 1 << 31;
        let at = self.entry(Kind::Assignment, block, index, memory);
        let assignment = at.and_then(|at| memory.read_u64(at).ok()).unwrap_or(0);
        if assignment & VALID == 0 {
            self.note_error(block);
        }
        let is = assignment & (VALID | MASKED) == VALID;
        let (block, index) = (field(assignment, 56, 4) as u32, field(assignment, 32, 24) as u32);
        is.then(|| Event { block, index, data: field(assignment, 0, 31) as u32, again: false })
    }

    /// Triggers a source. Where its event goes, if it does.
    fn trigger_source(&mut self, block: u32, index: u32, memory: &mut Memory) -> Option<Event> {
        let (_, goes_on) = self.operate(block, index, Management::Trigger, memory)?;
        if goes_on { self.assignment(block, index, memory) } else { None }
    }

    /// A trigger that another unit, or software in its place, stores to the notify page: the source's number, and whether
    /// its event state was seen to already.
    fn receive(&mut self, value: u64, memory: &mut Memory) {
        const FOR_QUEUE: u64 = 1 << 63;
        const STATE_SEEN: u64 = 1 << 62;
        let (block, index) = (field(value, 28, 4) as u32, field(value, 0, 28) as u32);
        if value & STATE_SEEN != 0 && value & FOR_QUEUE == 0 {
            self.route(block, index, memory);
        } else if value & FOR_QUEUE == 0 {
            self.manage_source(block, index, Management::Trigger, memory);
        }
    }

    /// The page of a chip's registers that triggers are stored to.
    fn notify_page(&self) -> u64 {
        if self.generation == Generation::First { 1 } else { 4 }
    }

    /// An access to the backlog of a target or of a group, in the second generation: how much there was.
    fn backlog(
        &mut self,
        chip: usize,
        window: usize,
        offset: u64,
        delta: u32,
        memory: &mut Memory,
    ) -> Option<u64> {
        let page = (offset >> PAGE_SHIFT) as u32;
        let (what, priority) = Backlog::at(offset, delta);
        let block = chip as u32;
        let answer = match (window, page & 1) {
            _ if self.generation == Generation::First => None,
            (2, 0) => {
                let target = self.target(block, page / 2, memory);
                target.map(|at| self.target_backlog(at, what, priority, memory) as u64)
            }
            _ => {
                let (level, index) = if window == 2 { (Level(1), page / 2) } else { (Level(0x10), page) };
                let group = self.group(level, block, index, memory);
                group.map(|at| Self::group_backlog(at, what, priority, memory) as u64)
            }
        };
        Some(answer.unwrap_or(u64::MAX))
    }

    /// A register of the chip that a thread is on.
    fn configuration(&self, thread: usize, register: u32) -> u64 {
        self.chips.get((self.pirs[thread] >> 8) as usize).map_or(0, |chip| chip.kept(register))
    }

    /// An event led to a table entry of a block that there is not.
    fn note_error(&mut self, block: u32) {
        if let Some(chip) = self.chips.get_mut(block as usize) {
            *chip.kept.entry(registers::FIR).or_default() |= registers::INFORMATION;
        }
    }
}

impl Chip {
    fn cold(generation: Generation, chip: u32) -> Chip {
        let kept = match generation {
            Generation::First => BTreeMap::new(),
            Generation::Second => registers_10::cold(chip).into_iter().collect(),
        };
        Chip { kept, ..Chip::default() }
    }

    /// A register that keeps what is written.
    fn kept(&self, register: u32) -> u64 {
        self.kept.get(&register).copied().unwrap_or(0)
    }

    /// What part `n` of the event window is: type (2 bits), block, number among those of its type.
    fn set(&self, n: usize) -> u64 {
        self.sets.get(n / 16).map_or(0, |sixteen| sixteen[n % 16])
    }
}

/// The offset of an address in a window.
fn inside((base, bytes): Window, address: u64) -> Option<u64> {
    let offset = address.wrapping_sub(base);
    (offset < bytes).then_some(offset)
}

/// State before and after an operation, what a load answers, and whether an event goes on.
fn carry_out(old: u8, what: Management) -> (u8, u8, u64, bool) {
    match what {
        Management::EndOfInterrupt => {
            let (new, goes_on) = bits::end_of_interrupt(old);
            (old, new, goes_on as u64, goes_on)
        }
        Management::Trigger => {
            let (new, goes_on) = bits::trigger(old);
            (old, new, u64::MAX, goes_on)
        }
        Management::Get => (old, old, old as u64, false),
        Management::Set(new) => (old, new, old as u64, false),
        Management::Nothing => (old, old, u64::MAX, false),
    }
}

#[cfg(test)]
mod tests;
