//! XIVE of POWER9, the interrupt controller as bare-metal software sees it: event states, event queues and thread
//! contexts, with the tables in memory that firmware gives it.
//!
//! Sources: "POWER9 External Interrupt Virtualization Engine" (XIVE) specification; register numbers and table layouts
//! are those that skiboot programs. One block per chip. Caches are not modelled: tables are read where they are, so
//! scrubs are done at once, and a cache watch is a window on the entry in memory.
//!
//! Left out: migration and forwarding to other machines' blocks, block groups, pressure relief, error registers.

pub(crate) mod bits;
mod registers;
mod tables;
mod thread;

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use bits::{Management, field, with_field};
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
    /// Registers, event states and queues, targets.
    windows: [Window; 3],
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
}

/// What a place in the event window is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Source { block: u32, index: u32 },
    Queue { block: u32, index: u32 },
}

impl XiveNative {
    /// As after power-on; `pirs`: PIR of each thread in order.
    pub fn cold(chips: u32, pirs: Vec<u32>) -> XiveNative {
        XiveNative {
            chips: (0..chips).map(|_| Chip::default()).collect(),
            threads: pirs.iter().map(|_| Thread::cold()).collect(),
            contexts: (0, 0),
            pirs: pirs.into(),
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
            0 if offset >> PAGE_SHIFT == 0 && bytes == 8 => {
                Some(self.read_register(chip, offset as u32 & 0xfff, memory))
            }
            0 if offset >> PAGE_SHIFT >= 4 => {
                let (thread, page) = self.indirect(chip, offset)?;
                Some(self.threads[thread].load(page, offset & 0xfff, bytes))
            }
            1 => Some(self.load_event(chip, offset, memory)),
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
            0 if offset >> PAGE_SHIFT == 0 && bytes == 8 => {
                self.write_register(chip, offset as u32 & 0xfff, value, memory);
            }
            0 if offset >> PAGE_SHIFT >= 4 => {
                let (thread, page) = self.indirect(chip, offset)?;
                self.threads[thread].store(page, offset & 0xfff, bytes, value);
            }
            1 => self.store_event(chip, offset, memory),
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

    /// The thread whose context a chip's registers give access to, and the page of it.
    fn indirect(&self, chip: usize, offset: u64) -> Option<(usize, u8)> {
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
    fn place(&self, chip: usize, offset: u64) -> Option<(Place, u64)> {
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

    fn load_event(&mut self, chip: usize, offset: u64, memory: &mut Memory) -> u64 {
        let Some((place, rest)) = self.place(chip, offset) else { return u64::MAX };
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

    fn store_event(&mut self, chip: usize, offset: u64, memory: &mut Memory) {
        let Some((place, rest)) = self.place(chip, offset) else { return };
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
        self.chips.get(block as usize)?.tables.entry(kind, block, index, memory)
    }

    /// Carries out an operation on the event state of a source. Returns the state before it, or for an end of interrupt
    /// whether an event goes on; all ones where there is no such source.
    fn manage_source(&mut self, block: u32, index: u32, what: Management, memory: &mut Memory) -> u64 {
        let Some(at) = self.entry(Kind::State, block, index / 4 * 4, memory) else { return u64::MAX };
        let mut byte = [0];
        if memory.read(at, &mut byte).is_err() {
            return u64::MAX;
        }
        let shift = 6 - 2 * (index % 4);
        let (old, new, answer, goes_on) = carry_out(byte[0] >> shift & 3, what);
        if new != old {
            let _ = memory.store(at, &[byte[0] & !(3 << shift) | new << shift], Writer::Other);
        }
        if goes_on {
            self.route(block, index, memory);
        }
        answer
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
        const VALID: u64 = 1 << 63;
        const MASKED: u64 = 1 << 31;
        let Some(at) = self.entry(Kind::Assignment, block, index, memory) else { return };
        let Ok(assignment) = memory.read_u64(at) else { return };
        if assignment & (VALID | MASKED) != VALID {
            return;
        }
        let (block, index) = (field(assignment, 56, 4) as u32, field(assignment, 32, 24) as u32);
        self.notify(block, index, field(assignment, 0, 31) as u32, memory);
    }

    /// An event arrives at a queue: it is queued, presented, and escalated if that does not help.
    fn notify(&mut self, block: u32, index: u32, data: u32, memory: &mut Memory) {
        let (mut block, mut index, mut data) = (block, index, data);
        for _ in 0..ESCALATIONS {
            let Some(at) = self.entry(Kind::Descriptor, block, index, memory) else { return };
            let Some(mut queue) = read_words(memory, at) else { return };
            let before = queue;
            let goes_on = self.enqueue(&mut queue, data, memory);
            let escalates = goes_on && !self.present(&queue, memory) && escalates(&mut queue);
            if queue[1] != before[1] {
                let _ = memory.store_u32(at + 4, queue[1], Writer::Other);
            }
            if !escalates {
                return;
            }
            (block, index) = (queue[4] >> 24 & 0xf, queue[4] & 0xff_ffff);
            data = queue[5] & 0x7fff_ffff;
        }
    }

    /// Puts `data` into the queue. True: its target is to be told.
    fn enqueue(&mut self, queue: &mut [u32; 8], data: u32, memory: &mut Memory) -> bool {
        const VALID: u32 = 1 << 31;
        const ENQUEUE: u32 = 1 << 30;
        const ALWAYS_NOTIFY: u32 = 1 << 29;
        const GENERATION: u32 = 1 << 22;
        const OFFSET: u32 = GENERATION - 1;
        if queue[0] & VALID == 0 {
            return false;
        }
        if queue[0] & ENQUEUE != 0 {
            let base = ((queue[2] & 0x0fff_ffff) as u64) << 32 | queue[3] as u64;
            let entries = 1u32 << ((queue[0] >> 16 & 0xf) + 10).min(22);
            let at = queue[1] & OFFSET & (entries - 1);
            let entry = (queue[1] & GENERATION) << 9 | data;
            let _ = memory.store_u32(base + 4 * at as u64, entry, Writer::Other);
            let next = (at + 1) & (entries - 1);
            queue[1] = queue[1] & !OFFSET | next;
            if next == 0 {
                queue[1] ^= GENERATION;
            }
        }
        if queue[0] & ALWAYS_NOTIFY != 0 {
            return true;
        }
        let (pq, goes_on) = bits::trigger((queue[1] >> 30) as u8);
        queue[1] = with_field(queue[1], 30, 2, pq as u32);
        goes_on
    }

    /// Presents an event of a queue to the thread that its target runs on. False: it runs nowhere, or it cannot.
    fn present(&mut self, queue: &[u32; 8], memory: &mut Memory) -> bool {
        const USER_LEVEL: u32 = 1 << 23;
        const BACKLOG: u32 = 1 << 28;
        let (block, index) = (queue[6] >> 19 & 0xf, queue[6] & 0x7_ffff);
        let user = queue[6] & USER_LEVEL != 0;
        let target = Target { cam: block << 19 | index, server: user.then_some(queue[7] & 0x7fff_ffff) };
        let priority = (queue[7] >> 16) as u8;
        for (thread, &pir) in self.threads.iter_mut().zip(&self.pirs) {
            let own = (pir >> 8) << 19 | 0x80 | pir & 0x7f;
            if thread.present(target, own, priority) {
                return true;
            }
        }
        if !user
            && queue[0] & BACKLOG != 0
            && let Some(at) = self.entry(Kind::Target, block, index, memory)
            && let Ok(word) = memory.read_u32(at + 16)
        {
            let pending = 0x80 >> (priority & 7) | (word >> 16 & 0xff);
            let _ = memory.store_u32(at + 16, with_field(word, 16, 8, pending), Writer::Other);
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

/// A queue whose event found nobody escalates it, unless it is coalesced.
fn escalates(queue: &mut [u32; 8]) -> bool {
    const ESCALATE: u32 = 1 << 26;
    const ALWAYS_ESCALATE: u32 = 1 << 25;
    if queue[0] & ESCALATE == 0 {
        return false;
    }
    if queue[0] & ALWAYS_ESCALATE != 0 {
        return true;
    }
    let (pq, goes_on) = bits::trigger((queue[1] >> 28) as u8 & 3);
    queue[1] = with_field(queue[1], 28, 2, pq as u32);
    goes_on
}

fn read_words(memory: &Memory, at: u64) -> Option<[u32; 8]> {
    let mut words = [0; 8];
    for (n, word) in words.iter_mut().enumerate() {
        *word = memory.read_u32(at + 4 * n as u64).ok()?;
    }
    Some(words)
}

#[cfg(test)]
mod tests;
