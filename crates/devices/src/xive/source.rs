//! An interrupt source: its event state buffer (PQ) and its event assignment.
//!
//! P: an event is on its way to the guest or being handled. Q: another came meanwhile. PQ = 01 means off. A level
//! source never sets Q by its line; its line stands for it.

use timebase_state::State;

const P: u8 = 2;
const Q: u8 = 1;
const OFF: u8 = Q;

/// Where a source's events go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Target {
    /// Index of the queue.
    pub queue: u32,
    /// What is written into it, 31 bits.
    pub event: u32,
}

/// A source.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    level: bool,
    /// The line of a level source.
    asserted: bool,
    pq: u8,
    /// No queue is assigned: events are dropped, PQ goes on.
    masked: bool,
    queue: u32,
    event: u32,
}

impl Source {
    pub fn cold(level: bool, number: u32) -> Source {
        Source { level, pq: OFF, masked: true, event: number, ..Source::default() }
    }

    /// As at power-on; the line stays where its device holds it.
    pub fn reset(&mut self, number: u32) {
        *self = Source { asserted: self.asserted, ..Source::cold(self.level, number) };
    }

    pub fn is_level(&self) -> bool {
        self.level
    }

    /// Where its events go; None if it is masked.
    pub fn target(&self) -> Option<Target> {
        (!self.masked).then_some(Target { queue: self.queue, event: self.event })
    }

    /// Queue and event, masked or not.
    pub fn assignment(&self) -> Target {
        Target { queue: self.queue, event: self.event }
    }

    pub fn assign(&mut self, target: Target, masked: bool) {
        (self.queue, self.event, self.masked) = (target.queue, target.event & 0x7fff_ffff, masked);
    }

    /// Its line moves, or a message arrives. True: an event goes out.
    pub fn set(&mut self, value: bool) -> bool {
        if self.level {
            self.asserted = value;
            self.send_level()
        } else {
            value && self.trigger()
        }
    }

    /// A level source whose line is up sends as soon as nothing is under way. True: an event goes out.
    fn send_level(&mut self) -> bool {
        let sends = self.level && self.asserted && self.pq == 0;
        if sends {
            self.pq = P;
        }
        sends
    }

    /// A trigger arrives. True: an event goes out.
    pub fn trigger(&mut self) -> bool {
        match self.pq {
            0 => {
                self.pq = P;
                true
            }
            OFF => false,
            _ => {
                self.pq = P | Q;
                false
            }
        }
    }

    /// The end of an interrupt. True: an event goes out.
    fn end(&mut self) -> bool {
        let again = self.pq == P | Q;
        self.pq = match self.pq {
            OFF => OFF,
            P => 0,
            0 => 0,
            _ => P,
        };
        again || self.send_level()
    }

    /// A load from the management page: the value, and whether an event goes out.
    pub fn load(&mut self, offset: u64) -> (u64, bool) {
        match offset & 0xf00 {
            0x000..=0x700 => {
                let event = self.end();
                (event as u64, event)
            }
            0x800..=0xb00 => (self.pq as u64, false),
            set => {
                let old = self.pq;
                (old as u64, self.set_pq(set))
            }
        }
    }

    /// A store to the management page: whether an event goes out.
    pub fn store(&mut self, offset: u64) -> bool {
        match offset & 0xf00 {
            0x000..=0x300 => self.trigger(),
            set @ 0xc00.. => self.set_pq(set),
            _ => false,
        }
    }

    /// PQ becomes what the offset says (0xc00: 00 up to 0xf00: 11). A level source whose line is up may send then.
    fn set_pq(&mut self, offset: u64) -> bool {
        self.pq = (offset >> 8 & 3) as u8;
        self.send_level()
    }
}
