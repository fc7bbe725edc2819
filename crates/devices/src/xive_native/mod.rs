//! XIVE of POWER9 and POWER10, the interrupt controller as bare-metal software sees it: event states, event queues and
//! thread contexts, with the tables in memory that firmware gives it.
//!
//! Sources: the specification of the external interrupt virtualization engine (XIVE), both generations; register numbers
//! and table layouts are those that skiboot programs. One block per chip. Caches are not modelled: tables are read where
//! they are, so scrubs are done at once, and a cache watch is a window on the entry in memory.
//!
//! Left out: targets that are saved and restored by the controller (POWER10 offers it, this one does not say it has it),
//! groups and crowds, migration and forwarding to other machines' blocks, block groups, pressure relief, error registers.

pub(crate) mod bits;
mod queue;
mod registers;
mod registers_10;
mod tables;
mod thread;

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use bits::{Management, field, with_field};
pub use queue::Generation;
use queue::{Escalation, Notified, Queue};
use tables::{Kind, Tables};
use thread::{Target, Thread};
use timebase_memory::{Memory, Writer};
use timebase_state::State;

/// log2 of a page of event states, of thread contexts, of registers.
const PAGE_SHIFT: u32 = 16;
/// Entries of the table that tells what each part of the event window is.
const SETS: usize = 64;
/// How far escalation goes.
const ESCALATIONS: u32 = 8;

/// A window of real addresses: base and length, 0 where there is none.
type Window = (u64, u64);

/// The controller of one chip.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
struct Chip {
    /// Registers that keep what is written.
    kept: BTreeMap<u32, u64>,
    /// Registers, event states (and queues in the first generation), targets, queues.
    windows: [Window; 4],
    tables: Tables,
    /// What each part of the event window is.
    sets: [[u64; 16]; SETS / 16],
    /// Data of the cache watch of queues and of targets.
    queue_watch: [u64; 4],
    target_watch: [u64; 8],
}

/// The controllers of all chips and the contexts of all threads.
#[derive(State, Clone, Debug, PartialEq, Eq)]
pub struct XiveNative {
    chips: Box<[Chip]>,
    threads: Box<[Thread]>,
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
            chips: (0..chips).map(|_| Chip::default()).collect(),
            threads: pirs.iter().map(|_| Thread::cold()).collect(),
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
            let thread = self.threads.get_mut(cpu as usize)?;
            return Some(thread.load((offset >> PAGE_SHIFT) as u8 & 3, offset & 0xfff, bytes));
        }
        let (chip, window, offset) = self.find(address)?;
        match window {
            0 if self.register_at(offset).is_some() && bytes == 8 => {
                Some(self.read_register(chip, self.register_at(offset)?, memory))
            }
            0 if self.indirect(chip, offset).is_some() => {
                let (thread, page) = self.indirect(chip, offset)?;
                Some(self.threads[thread].load(page, offset & 0xfff, bytes))
            }
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
            let thread = self.threads.get_mut(cpu as usize)?;
            thread.store((offset >> PAGE_SHIFT) as u8 & 3, offset & 0xfff, bytes, value);
            return Some(());
        }
        let (chip, window, offset) = self.find(address)?;
        match window {
            0 if self.register_at(offset).is_some() && bytes == 8 => {
                self.write_register(chip, self.register_at(offset)?, value, memory);
            }
            0 if self.indirect(chip, offset).is_some() => {
                let (thread, page) = self.indirect(chip, offset)?;
                self.threads[thread].store(page, offset & 0xfff, bytes, value);
            }
            1 | 3 => self.store_event(chip, window, offset, memory),
            // Triggers of other units, and synchronisation, which is done as soon as it is asked for.
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
        let register = self.chips[chip].kept.get(&registers::INDIRECT_THREAD).copied().unwrap_or(0);
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
        if let Some((block, index, data)) = self.assignment(block, index, memory) {
            self.notify(block, index, data, memory);
        }
    }

    /// Where the events of a source go: block and index of a queue, and what is put into it.
    fn assignment(&self, block: u32, index: u32, memory: &Memory) -> Option<(u32, u32, u32)> {
        const VALID: u64 = 1 << 63;
        const MASKED: u64 = 1 << 31;
        let assignment = memory.read_u64(self.entry(Kind::Assignment, block, index, memory)?).ok()?;
        let is = assignment & (VALID | MASKED) == VALID;
        let (block, index) = (field(assignment, 56, 4) as u32, field(assignment, 32, 24) as u32);
        is.then(|| (block, index, field(assignment, 0, 31) as u32))
    }

    /// Triggers a source. Where its event goes, if it does.
    fn trigger_source(&mut self, block: u32, index: u32, memory: &mut Memory) -> Option<(u32, u32, u32)> {
        let (_, goes_on) = self.operate(block, index, Management::Trigger, memory)?;
        if goes_on { self.assignment(block, index, memory) } else { None }
    }

    /// An event arrives at a queue: it is queued, presented, and escalated if that does not help.
    fn notify(&mut self, block: u32, index: u32, data: u32, memory: &mut Memory) {
        let (mut block, mut index, mut data) = (block, index, data);
        for _ in 0..ESCALATIONS {
            let Some(at) = self.entry(Kind::Descriptor, block, index, memory) else { return };
            let Some(mut queue) = Queue::read(self.generation, at, memory) else { return };
            let goes_on = queue.enqueue(data, memory) && !self.present(queue.notified(), memory);
            let escalation = if goes_on { queue.escalate() } else { None };
            queue.write(memory);
            match escalation {
                None => return,
                Some(Escalation::Queue { block: b, index: i, data: d }) => (block, index, data) = (b, i, d),
                Some(Escalation::Source { block: b, index: i }) => {
                    // The event goes through the state and the assignment of that source.
                    match self.trigger_source(b, i, memory) {
                        Some(next) => (block, index, data) = next,
                        None => return,
                    }
                }
            }
        }
    }

    /// Presents an event to the thread that its target runs on. False: it runs nowhere.
    fn present(&mut self, notified: Notified, memory: &mut Memory) -> bool {
        let Notified { block, index, server, priority, backlog } = notified;
        let (shift, mask) = match self.generation {
            Generation::First => (19, 0xff_ffff),
            Generation::Second => (24, 0x0fff_ffff),
        };
        let target = Target { cam: block << shift | index, mask, server };
        for (thread, &pir) in self.threads.iter_mut().zip(&self.pirs) {
            let chip = pir >> 8;
            let bits = match self.generation {
                Generation::First => 7,
                Generation::Second => {
                    let kept = self.chips.get(chip as usize).map(|ic| &ic.kept);
                    let chosen = kept.and_then(|kept| kept.get(&registers_10::CONFIGURATION));
                    7 + field(chosen.copied().unwrap_or(0), 48, 2) as u32
                }
            };
            let own = chip << shift | 1 << bits | pir & 0xff & ((1 << bits) - 1);
            if thread.present(target, own, priority) {
                return true;
            }
        }
        let word = if self.generation == Generation::First { 16 } else { 8 };
        if server.is_none()
            && backlog
            && let Some(at) = self.entry(Kind::Target, block, index, memory)
            && let Ok(before) = memory.read_u32(at + word)
        {
            let pending = 0x80 >> (priority & 7) | (before >> 16 & 0xff);
            let _ = memory.store_u32(at + word, with_field(before, 16, 8, pending), Writer::Other);
        }
        false
    }
}

impl Chip {
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
