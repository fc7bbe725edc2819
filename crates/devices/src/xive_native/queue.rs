//! A queue's descriptor (XIVE specification, "Event Notification Descriptor"), in the layouts of POWER9 and POWER10.

use super::bits::{self, with_field};
use super::present::Event;
use super::targets::Level;
use timebase_memory::{Memory, Writer};

/// Which layouts of tables and which registers there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Generation {
    /// POWER9.
    First,
    /// POWER10.
    Second,
}

/// Bits of the first word, and where the rest is.
struct Layout {
    enqueue: u32,
    always_notify: u32,
    backlog: u32,
    /// Events of a group whose members are all busy escalate, too.
    precluded: u32,
    escalate: u32,
    always_escalate: u32,
    /// Nobody is notified: events escalate at once.
    silent: u32,
}

const VALID: u32 = 1 << 31;
const FIRST: Layout = Layout {
    enqueue: 1 << 30,
    always_notify: 1 << 29,
    backlog: 1 << 28,
    precluded: 1 << 27,
    escalate: 1 << 26,
    always_escalate: 1 << 25,
    silent: 1 << 24,
};
const SECOND: Layout = Layout {
    enqueue: 1 << 26,
    always_notify: 1 << 25,
    backlog: 1 << 23,
    precluded: 1 << 22,
    escalate: 1 << 20,
    always_escalate: 1 << 21,
    silent: 1 << 24,
};
/// POWER10: escalation goes to a queue, not to a source.
const TO_QUEUE: u32 = 1 << 18;

/// POWER10: the queue has cache lines, not pages.
const LINES: u32 = 1 << 4;
/// The second word: the generation of entries, that it changed since software looked (POWER10), and the next entry's
/// number.
pub(super) const FLIPPED: u32 = 1 << 23;
const GENERATION: u32 = 1 << 22;
const OFFSET: u32 = GENERATION - 1;

/// Where an escalation goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Escalation {
    Queue(Event),
    Source { block: u32, index: u32 },
}

/// Whom the queue notifies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Notified {
    pub block: u32,
    pub index: u32,
    /// The logical server, if it is a user-level target.
    pub server: Option<u32>,
    pub priority: u8,
    /// The group, if the target names one.
    pub level: Option<Level>,
    /// What cannot be presented is noted with the target.
    pub backlog: bool,
    /// What a group's members are too busy for escalates, too.
    pub precluded: bool,
}

/// A descriptor as it was read.
pub(super) struct Queue {
    words: [u32; 8],
    at: u64,
    generation: Generation,
}

impl Queue {
    /// The descriptor at a real address.
    pub fn read(generation: Generation, at: u64, memory: &Memory) -> Option<Queue> {
        let mut words = [0; 8];
        for (n, word) in words.iter_mut().enumerate() {
            *word = memory.read_u32(at + 4 * n as u64).ok()?;
        }
        Some(Queue { words, at, generation })
    }

    fn layout(&self) -> &'static Layout {
        match self.generation {
            Generation::First => &FIRST,
            Generation::Second => &SECOND,
        }
    }

    fn has(&self, bit: u32) -> bool {
        self.words[0] & bit != 0
    }

    /// Writes back what events change: the second word.
    pub fn write(&self, memory: &mut Memory) {
        let _ = memory.store_u32(self.at + 4, self.words[1], Writer::Other);
    }

    /// Where the entries are, and how many.
    fn entries(&self) -> (u64, u32) {
        let words = &self.words;
        let (base, size) = match self.generation {
            Generation::First => {
                (((words[2] & 0x0fff_ffff) as u64) << 32 | words[3] as u64, words[0] >> 16 & 0xf)
            }
            Generation::Second => {
                (((words[2] & 0xff_ffff) as u64) << 32 | (words[3] & !0x7f) as u64, words[3] & 0xf)
            }
        };
        // At least a page of 4 KiB, or a line of 128 bytes; the number of an entry has 22 bits.
        let lines = self.generation == Generation::Second && words[3] & LINES != 0;
        (base, 1 << (size + if lines { 5 } else { 10 }).min(22))
    }

    /// Whether there is a queue at all, and it makes sense: crowds are of groups.
    pub fn is_valid(&self) -> bool {
        self.has(VALID) && self.bits().is_some()
    }

    /// Puts `data` into the queue, if it keeps events.
    pub fn enqueue(&mut self, data: u32, memory: &mut Memory) {
        if self.has(self.layout().enqueue) {
            let (base, entries) = self.entries();
            let number = self.words[1] & OFFSET & (entries - 1);
            let entry = (self.words[1] & GENERATION) << 9 | data;
            let _ = memory.store_u32(base + 4 * number as u64, entry, Writer::Other);
            let next = (number + 1) & (entries - 1);
            self.words[1] = self.words[1] & !OFFSET | next;
            if next == 0 {
                self.words[1] ^= GENERATION;
                if self.generation == Generation::Second {
                    self.words[1] |= FLIPPED;
                }
            }
        }
    }

    /// Whether nobody is notified and events escalate at once.
    pub fn is_silent(&self) -> bool {
        self.has(self.layout().silent)
    }

    /// Whether the target is to be told of an event, unless it is coalesced.
    pub fn notifies(&mut self) -> bool {
        let notified = self.notified();
        let masked = notified.server.is_none() && notified.priority == 0xff;
        !masked && (self.has(self.layout().always_notify) || self.trigger(30))
    }

    /// Triggers the event state that stands at `shift` in the second word.
    fn trigger(&mut self, shift: u32) -> bool {
        let (pq, goes_on) = bits::trigger((self.words[1] >> shift) as u8 & 3);
        self.words[1] = with_field(self.words[1], shift, 2, pq as u32);
        goes_on
    }

    /// The target is a user's; it is a group's number, and that of a crowd. None: of a crowd but not of a group.
    fn bits(&self) -> Option<(bool, bool, bool)> {
        let (word, next) = (self.words[6], self.words[7]);
        let (user, group, crowd) = match self.generation {
            Generation::First => (1 << 23, next & 1 << 31, next & 1 << 30),
            Generation::Second => (1 << 31, word & 1 << 30, word & 1 << 29),
        };
        match (word & user != 0, group != 0, crowd != 0) {
            (true, _, _) => Some((true, false, false)),
            (_, false, true) => None,
            bits => Some(bits),
        }
    }

    /// Whom it notifies.
    pub fn notified(&self) -> Notified {
        let (word, next) = (self.words[6], self.words[7]);
        let (user, group, crowd) = self.bits().unwrap_or_default();
        let (block, index, server) = match self.generation {
            Generation::First => (word >> 19 & 0xf, word & 0x7_ffff, next & 0x7fff_ffff),
            Generation::Second => (word >> 24 & 0xf, word & 0xff_ffff, next & 0x0fff_ffff),
        };
        Notified {
            block,
            index,
            server: user.then_some(server),
            priority: (next >> 16) as u8,
            level: if group { Level::named(crowd, block, index) } else { None },
            backlog: self.has(self.layout().backlog),
            precluded: self.has(self.layout().precluded),
        }
    }

    /// Where an event goes that found nobody, unless it is coalesced.
    pub fn escalate(&mut self) -> Option<Escalation> {
        let layout = self.layout();
        if !self.has(layout.escalate) || !self.has(layout.always_escalate) && !self.trigger(28) {
            return None;
        }
        let word = self.words[4];
        if self.generation == Generation::Second && !self.has(TO_QUEUE) {
            return Some(Escalation::Source { block: word >> 28, index: word & 0x0fff_ffff });
        }
        let data = self.words[5] & 0x7fff_ffff;
        Some(Escalation::Queue(Event {
            block: word >> 24 & 0xf,
            index: word & 0xff_ffff,
            data,
            again: false,
        }))
    }
}
