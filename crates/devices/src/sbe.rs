//! The mailbox of a chip's self-boot engine: how the host sends it messages, and a timer (POWER9 "SBE Chip-Op
//! Specification", mailbox interface; numbers are those of PSU registers relative to 0xd0050).
//!
//! Registers 0 to 3 hold a message of the host, 4 to 7 the engine's answer. A doorbell each way says what waits. The
//! engine answers within the instruction that rings. Known are the timer and the place where firmware stashes addresses
//! for a memory-preserving boot; what else is asked is answered as unknown.

use timebase_state::time::TICKS_PER_SECOND;
use timebase_state::{Instant, State, Ticks};

/// Registers.
pub const NUMBERS: u32 = 0x16;

/// Doorbell of the engine: a message waits.
const MESSAGE: u64 = 1 << 63;
/// Doorbell of the host: a response waits, the message was read, the timer has expired.
const RESPONSE: u64 = 1 << 63;
const READ: u64 = 1 << 62;
const EXPIRED: u64 = 1 << (63 - 14);

/// Flags of a message: a response is wanted; a sign that it was read is wanted.
const WANTS_RESPONSE: u64 = 0x100;
const WANTS_READ: u64 = 0x200;

const CONTROL_TIMER: u64 = 0xd401;
const STASH: u64 = 0xd707;
/// Primary status of a response: the command is not known.
const UNKNOWN: u64 = 1;

/// The engine of one chip, as the host sees it.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
pub struct Sbe {
    mailbox: [u64; 8],
    to_engine: u64,
    to_host: u64,
    /// When the timer expires.
    timer: Option<Instant>,
}

impl Sbe {
    /// Loads a register.
    pub fn read(&self, number: u32) -> Option<u64> {
        match number {
            0..8 => Some(self.mailbox[number as usize]),
            0x10..0x13 => Some(self.to_engine),
            0x13..0x16 => Some(self.to_host),
            _ => None,
        }
    }

    /// Stores a register at `now`.
    pub fn write(&mut self, number: u32, value: u64, now: Instant) -> Option<()> {
        match number {
            0..8 => self.mailbox[number as usize] = value,
            0x10 => self.to_engine = value,
            0x11 => self.to_engine &= value,
            0x12 => self.to_engine |= value,
            0x13 => self.to_host = value,
            0x14 => self.to_host &= value,
            0x15 => self.to_host |= value,
            _ => return None,
        }
        if self.to_engine & MESSAGE != 0 {
            self.to_engine &= !MESSAGE;
            self.receive(now);
        }
        Some(())
    }

    fn receive(&mut self, now: Instant) {
        let [head, argument, ..] = self.mailbox;
        let (flags, command) = (head >> 32, head & 0xffff);
        if flags & WANTS_READ != 0 {
            self.to_host |= READ;
        }
        let status = match command {
            CONTROL_TIMER if flags & 1 != 0 => {
                let ticks = (argument & 0xffff_ffff) * (TICKS_PER_SECOND / 1_000_000);
                self.timer = Some(now + Ticks(ticks));
                0
            }
            CONTROL_TIMER => {
                self.timer = None;
                0
            }
            STASH => 0,
            _ => UNKNOWN,
        };
        if flags & WANTS_RESPONSE != 0 {
            self.mailbox[4..].copy_from_slice(&[status << 48 | head & 0xffff_ffff, 0, 0, 0]);
            self.to_host |= RESPONSE;
        }
    }

    /// When the timer expires.
    pub fn deadline(&self) -> Option<Instant> {
        self.timer
    }

    /// Lets the timer expire if it is time.
    pub fn look(&mut self, now: Instant) {
        if self.timer.is_some_and(|timer| timer <= now) {
            self.timer = None;
            self.to_host |= EXPIRED;
        }
    }

    /// Its interrupt line.
    pub fn line(&self) -> bool {
        self.to_host != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(sbe: &mut Sbe, head: u64, argument: u64) {
        sbe.write(0, head, Instant::default()).unwrap();
        sbe.write(1, argument, Instant::default()).unwrap();
        sbe.write(0x12, MESSAGE, Instant::default()).unwrap();
    }

    #[test]
    fn the_timer_expires_when_it_was_told_to() {
        let mut sbe = Sbe::default();
        send(&mut sbe, 0x201 << 32 | 7 << 16 | CONTROL_TIMER, 500);
        assert_eq!((sbe.read(0x13), sbe.read(0x10)), (Some(READ), Some(0)));
        sbe.write(0x14, !READ, Instant::default()).unwrap();
        assert!(!sbe.line());
        assert_eq!(sbe.deadline(), Some(Instant::from_ticks(256_000)));
        sbe.look(Instant::from_ticks(255_999));
        assert!(!sbe.line());
        sbe.look(Instant::from_ticks(256_000));
        assert_eq!((sbe.read(0x13), sbe.deadline()), (Some(EXPIRED), None));
        send(&mut sbe, 0x201 << 32 | CONTROL_TIMER, u64::MAX);
        send(&mut sbe, 0x202 << 32 | CONTROL_TIMER, 0);
        assert_eq!(sbe.deadline(), None);
    }

    #[test]
    fn responses_have_the_number_of_the_message() {
        let mut sbe = Sbe::default();
        send(&mut sbe, 0x300 << 32 | 9 << 16 | STASH, 3);
        assert_eq!((sbe.read(4), sbe.read(0x13)), (Some(9 << 16 | STASH), Some(READ | RESPONSE)));
        send(&mut sbe, 0x100 << 32 | 10 << 16 | 0xd1ff, 3);
        assert_eq!(sbe.read(4), Some(1 << 48 | 10 << 16 | 0xd1ff));
        assert_eq!((sbe.read(8), sbe.write(NUMBERS, 0, Instant::default())), (None, None));
    }
}
