//! An event queue: a ring of words in guest memory. Bit 0 of a word is the generation, which changes with each turn,
//! so that the guest sees how far the ring was written.

use timebase_memory::{Memory, Writer};
use timebase_state::State;

/// A queue.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Queue {
    /// The guest has configured it.
    pub valid: bool,
    /// Real address of the ring.
    pub address: u64,
    /// log2 of its bytes; 0: events are not written.
    pub shift: u8,
    /// Each event makes the priority pending, whatever the notification PQ says.
    pub always_notify: bool,
    /// The generation bit of the next word.
    pub generation: bool,
    /// Index of the next word.
    pub offset: u32,
    /// PQ of notification.
    notification: u8,
}

const P: u8 = 2;
const OFF: u8 = 1;

impl Queue {
    /// Not configured, notification off.
    pub fn cold() -> Queue {
        Queue { notification: OFF, ..Queue::default() }
    }

    /// A ring that begins.
    pub fn new(address: u64, shift: u8, always_notify: bool) -> Queue {
        Queue { valid: true, address, shift, always_notify, generation: true, offset: 0, notification: 0 }
    }

    /// Takes an event. True: the priority becomes pending.
    pub fn push(&mut self, event: u32, memory: &mut Memory) -> bool {
        if !self.valid {
            return false;
        }
        if self.shift != 0 {
            let word = (self.generation as u32) << 31 | event & 0x7fff_ffff;
            // The range was checked when the ring was configured, and memory does not shrink.
            let _ = memory.store_u32(self.address + 4 * self.offset as u64, word, Writer::Other);
            self.offset = (self.offset + 1) & ((1 << (self.shift - 2)) - 1);
            self.generation ^= self.offset == 0;
        }
        self.always_notify || self.notify()
    }

    /// Notification coalesces as a source does.
    fn notify(&mut self) -> bool {
        let first = self.notification == 0;
        if self.notification != OFF {
            self.notification = if first { P } else { 3 };
        }
        first
    }

    /// A load from the notification page: 0x000 ends, 0x800 reads PQ, 0xc00 up set it.
    pub fn load(&mut self, offset: u64) -> u64 {
        let old = self.notification;
        match offset & 0xf00 {
            0x000..=0x700 => {
                self.notification = match old {
                    3 => P,
                    OFF => OFF,
                    _ => 0,
                };
                (old == 3) as u64
            }
            0x800..=0xb00 => old as u64,
            set => {
                self.notification = (set >> 8 & 3) as u8;
                old as u64
            }
        }
    }
}
