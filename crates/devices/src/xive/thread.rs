//! The interrupt context of a thread: the OS ring of the thread interrupt management area.
//!
//! All that is kept is what the guest accepts (CPPR) and which priorities are pending (IPB). The most favoured
//! pending priority (PIPR) and the exception bit of NSR follow from them.

use timebase_state::State;

/// Exception of the OS ring, in NSR.
const NSR_EO: u8 = 0x80;
/// The lowest CPPR: everything is accepted.
const ALL: u8 = 0xff;

/// Offsets in the OS ring, which stands at 0x10.
const NSR: u64 = 0x10;
const CPPR: u64 = 0x11;
const IPB: u64 = 0x12;
const LSMFB: u64 = 0x13;
const ACKNOWLEDGE_COUNT: u64 = 0x14;
const PIPR: u64 = 0x17;
/// A 2-byte load here acknowledges: gives NSR and the new CPPR.
const ACKNOWLEDGE: u64 = 0x810;
/// A byte stored here makes a priority pending.
const SET_PENDING: u64 = 0x812;

/// What an access of `bytes` bytes at `offset` of the OS page does.
pub(super) fn operation(offset: u64, bytes: u8, store: bool) -> &'static str {
    match (offset, bytes, store) {
        (ACKNOWLEDGE, 2, false) => "tima-acknowledge",
        (CPPR, 1, true) => "tima-set-cppr",
        (SET_PENDING, 1, true) => "tima-set-pending",
        (.., false) => "tima-load",
        (.., true) => "tima-store",
    }
}

/// A thread's context.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Thread {
    /// Priorities below this number are accepted.
    cppr: u8,
    /// Pending priorities, priority 0 in the most significant bit.
    ipb: u8,
}

impl Thread {
    /// Nothing pending, nothing accepted.
    pub fn cold() -> Thread {
        Thread::default()
    }

    fn pipr(&self) -> u8 {
        if self.ipb == 0 { ALL } else { self.ipb.leading_zeros() as u8 }
    }

    /// The external interrupt line.
    pub fn signals(&self) -> bool {
        self.pipr() < self.cppr
    }

    pub fn make_pending(&mut self, priority: u8) {
        self.ipb |= 0x80u8.checked_shr(priority as u32).unwrap_or(0);
    }

    /// Takes the most favoured pending priority, if it is accepted.
    fn acknowledge(&mut self) -> u16 {
        let nsr = if self.signals() { NSR_EO } else { 0 };
        if self.signals() {
            self.cppr = self.pipr();
            self.ipb &= !(0x80 >> self.cppr);
        }
        u16::from_be_bytes([nsr, self.cppr])
    }

    fn byte(&self, offset: u64) -> u8 {
        match offset {
            NSR if self.signals() => NSR_EO,
            CPPR => self.cppr,
            IPB => self.ipb,
            LSMFB | ACKNOWLEDGE_COUNT => 0xff,
            PIPR => self.pipr(),
            _ => 0,
        }
    }

    /// A load from the OS page.
    pub fn load(&mut self, offset: u64, bytes: u8) -> u64 {
        match offset {
            ACKNOWLEDGE if bytes == 2 => self.acknowledge() as u64,
            0..0x40 => (0..bytes as u64).fold(0, |value, n| value << 8 | self.byte(offset + n) as u64),
            _ => u64::MAX,
        }
    }

    /// A store to the OS page.
    pub fn store(&mut self, offset: u64, bytes: u8, value: u64) {
        match (offset, bytes) {
            (CPPR, 1) => self.cppr = if value as u8 >= super::PRIORITIES { ALL } else { value as u8 },
            (SET_PENDING, 1) => self.make_pending(value as u8),
            _ => {}
        }
    }
}
