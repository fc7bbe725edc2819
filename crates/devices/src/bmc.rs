//! A baseboard management controller behind the IPMI block transfer interface (IPMI specification 2.0, section 11 for
//! the interface, 20 to 35 for the commands). It answers at once, within the instruction that sends the request.
//!
//! Behind it is the flash of the host's firmware, by an OEM command ([`Flash`]).
//!
//! Left out: sensors beyond taking what is written to them, the inventory, watchdog expiry, messages of its own accord.

use crate::{Flash, Rtc};
use alloc::{collections::VecDeque, vec, vec::Vec};
use timebase_state::{Instant, State};

/// First port of the interface, and its serial interrupt.
pub const PORT: u32 = 0xe4;
/// Serial interrupt of the interface.
pub const IRQ: u32 = 10;
/// Bytes that the interface buffers, each way.
const BUFFER: usize = 64;
/// Entries that the system event log keeps.
const LOG: usize = 64;

/// Control register: whose turn it is (sections 11.6.1).
const CLEAR_WRITE: u8 = 1;
const TO_BMC: u8 = 4;
const TO_HOST: u8 = 8;
const HOST_BUSY: u8 = 0x40;
/// Interrupt mask register.
const ENABLE: u8 = 1;
const INTERRUPT: u8 = 2;

/// What the host asked of the chassis.
#[derive(State, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Power {
    /// Nothing.
    #[default]
    Stay,
    /// Off.
    Off,
    /// Reset, or off and on again.
    Reset,
}

/// The controller with its interface.
#[derive(State, Clone)]
pub struct Bmc {
    request: Vec<u8>,
    response: VecDeque<u8>,
    attention: bool,
    host_busy: bool,
    mask: u8,
    enables: u8,
    /// What the chassis is to do.
    power: Power,
    /// The clock that the event log is stamped with. It survives a reset.
    pub clock: Rtc,
    /// The system event log: entries of 16 bytes. It survives a reset.
    pub log: VecDeque<[u8; 16]>,
    /// Number of the next entry.
    pub next: u16,
    /// The flash. Its contents survive a reset.
    pub flash: Flash,
}

/// Completion codes (section 5.2).
const DONE: u8 = 0;
const INVALID_COMMAND: u8 = 0xc1;
const TOO_SHORT: u8 = 0xc7;
const NOT_PRESENT: u8 = 0xcb;
const NO_DATA: u8 = 0x80;

impl Bmc {
    /// As after power-on, with this clock.
    pub fn cold(clock: Rtc) -> Bmc {
        Bmc {
            request: Vec::new(),
            response: VecDeque::new(),
            attention: false,
            host_busy: false,
            mask: 0,
            enables: 0,
            power: Power::Stay,
            clock,
            log: VecDeque::new(),
            next: 0,
            flash: Flash::cold(),
        }
    }

    /// As after a reset: the clock, the log and what is in the flash survive.
    pub fn after_reset(&self) -> Bmc {
        let Bmc { clock, log, next, flash, .. } = self.clone();
        Bmc { log, next, flash: flash.after_reset(), ..Bmc::cold(clock) }
    }

    /// What the host asked of the chassis, if nobody has taken it.
    pub fn power(&self) -> Power {
        self.power
    }

    /// Takes what the host asked of the chassis.
    pub fn take_power(&mut self) -> Power {
        core::mem::take(&mut self.power)
    }

    /// Its interrupt line.
    pub fn line(&self) -> bool {
        self.mask & (ENABLE | INTERRUPT) == ENABLE | INTERRUPT
    }

    /// Loads register `n` (0 to 2).
    pub fn read(&mut self, n: u8) -> u8 {
        match n {
            0 => {
                let attention = if self.attention { TO_HOST } else { 0 };
                attention | if self.host_busy { HOST_BUSY } else { 0 }
            }
            1 => self.response.pop_front().unwrap_or(0xff),
            _ => self.mask,
        }
    }

    /// Stores register `n` at `now`.
    pub fn write(&mut self, n: u8, value: u8, now: Instant) {
        match n {
            0 => self.control(value, now),
            1 if self.request.len() < BUFFER => self.request.push(value),
            1 => {}
            _ => {
                // The interrupt is cleared by writing its bit.
                let interrupt = self.mask & INTERRUPT & !value;
                self.mask = value & ENABLE | interrupt;
            }
        }
    }

    fn control(&mut self, value: u8, now: Instant) {
        if value & CLEAR_WRITE != 0 {
            self.request.clear();
        }
        if value & TO_HOST != 0 {
            self.attention = false;
        }
        if value & HOST_BUSY != 0 {
            self.host_busy = !self.host_busy;
        }
        if value & TO_BMC != 0 {
            self.receive(now);
        }
    }

    /// Answers the request: length, network function, sequence, command, data.
    fn receive(&mut self, now: Instant) {
        let request = core::mem::take(&mut self.request);
        let [_, function, sequence, command, data @ ..] = &request[..] else { return };
        let mut answer = self.answer(function >> 2, *command, data, now);
        answer.truncate(BUFFER - 4);
        self.response = [answer.len() as u8 + 3, function | 4, *sequence, *command].into();
        self.response.extend(answer);
        self.attention = true;
        if self.mask & ENABLE != 0 {
            self.mask |= INTERRUPT;
        }
    }

    /// Completion code and data that answer a command.
    fn answer(&mut self, function: u8, command: u8, data: &[u8], now: Instant) -> Vec<u8> {
        match (function, command) {
            (0x00, _) => self.chassis(command, data),
            (0x04, 0x30) => vec![DONE],
            (0x04, 0x2d) => vec![NOT_PRESENT],
            (0x06, _) => self.application(command, data),
            (0x0a, _) => self.storage(command, data, now),
            (0x3a, 0x5a) => self.flash.command(data),
            _ => vec![INVALID_COMMAND],
        }
    }

    /// Chassis commands (section 28).
    fn chassis(&mut self, command: u8, data: &[u8]) -> Vec<u8> {
        match (command, data) {
            // Status: power is on.
            (1, _) => vec![DONE, 1, 0, 0],
            (2, [what, ..]) => {
                match what & 15 {
                    0 | 5 => self.power = Power::Off,
                    2 | 3 => self.power = Power::Reset,
                    _ => {}
                }
                vec![DONE]
            }
            (2, []) => vec![TOO_SHORT],
            // Boot options: none is set.
            (9, _) => vec![NO_DATA],
            _ => vec![INVALID_COMMAND],
        }
    }

    /// Commands about the controller itself (sections 20 to 22).
    fn application(&mut self, command: u8, data: &[u8]) -> Vec<u8> {
        match command {
            // Device id: revision 0.1 of IPMI 2.0, with a log, no maker.
            1 => vec![DONE, 0, 1, 0, 1, 2, 4, 0, 0, 0, 0, 0],
            // Self test: no error.
            4 => vec![DONE, 0x55, 0],
            // Power states, watchdog: noted, and nothing follows.
            6 | 0x22 | 0x24 | 0x30 => vec![DONE],
            7 => vec![DONE, 0, 0],
            0x2e => match data {
                [enables, ..] => {
                    self.enables = *enables;
                    vec![DONE]
                }
                [] => vec![TOO_SHORT],
            },
            0x2f => vec![DONE, self.enables],
            0x31 => vec![DONE, 0],
            0x33 | 0x35 => vec![NO_DATA],
            // Interface capabilities: requests at once, bytes each way, seconds, retries.
            0x36 => vec![DONE, 1, BUFFER as u8 - 1, BUFFER as u8 - 1, 10, 1],
            _ => vec![INVALID_COMMAND],
        }
    }

    /// The system event log and its clock (section 31).
    fn storage(&mut self, command: u8, data: &[u8], now: Instant) -> Vec<u8> {
        match (command, data) {
            (0x40, _) => {
                let used = (self.log.len() as u16).to_le_bytes();
                let free = ((LOG - self.log.len()) as u16 * 16).to_le_bytes();
                let mut answer = vec![DONE, 0x51, used[0], used[1], free[0], free[1]];
                answer.extend([0; 8]);
                answer.push(2);
                answer
            }
            (0x42, _) => vec![DONE, 1, 0],
            (0x43, [_, _, low, high, ..]) => self.entry(u16::from_le_bytes([*low, *high])),
            (0x44, entry) => match <[u8; 16]>::try_from(&entry[..entry.len().min(16)]) {
                Ok(entry) => self.add(entry, now),
                Err(_) => vec![TOO_SHORT],
            },
            (0x47, _) => {
                self.log.clear();
                vec![DONE, 1]
            }
            (0x48, _) => {
                let mut answer = vec![DONE];
                answer.extend((self.clock.seconds(now) as u32).to_le_bytes());
                answer
            }
            (0x49, [a, b, c, d, ..]) => {
                self.clock = Rtc::cold(u32::from_le_bytes([*a, *b, *c, *d]) as u64, now);
                vec![DONE]
            }
            (0x43 | 0x49, _) => vec![TOO_SHORT],
            _ => vec![INVALID_COMMAND],
        }
    }

    /// An entry by its number; 0 the first, 0xffff the last.
    fn entry(&self, number: u16) -> Vec<u8> {
        let of = |entry: &[u8; 16]| u16::from_le_bytes([entry[0], entry[1]]);
        let place = match number {
            0 => 0,
            0xffff => self.log.len().wrapping_sub(1),
            _ => self.log.iter().position(|entry| of(entry) == number).unwrap_or(usize::MAX),
        };
        let Some(entry) = self.log.get(place) else { return vec![NOT_PRESENT] };
        let next = self.log.get(place + 1).map_or(0xffff, of).to_le_bytes();
        let mut answer = vec![DONE, next[0], next[1]];
        answer.extend(entry);
        answer
    }

    /// Adds an entry to the log, whose oldest makes room; it gets its number and, if it is an event, the time.
    fn add(&mut self, mut entry: [u8; 16], now: Instant) -> Vec<u8> {
        if self.log.len() == LOG {
            self.log.pop_front();
        }
        self.next = self.next % 0xfffe + 1;
        let number = self.next.to_le_bytes();
        entry[..2].copy_from_slice(&number);
        if entry[2] < 0xe0 {
            entry[3..7].copy_from_slice(&(self.clock.seconds(now) as u32).to_le_bytes());
        }
        self.log.push_back(entry);
        vec![DONE, number[0], number[1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(bmc: &mut Bmc, message: &[u8]) -> Vec<u8> {
        bmc.write(0, CLEAR_WRITE, Instant::default());
        bmc.write(1, message.len() as u8, Instant::default());
        for &byte in message {
            bmc.write(1, byte, Instant::default());
        }
        bmc.write(0, TO_BMC, Instant::default());
        assert_eq!(bmc.read(0) & TO_HOST, TO_HOST);
        bmc.write(0, TO_HOST, Instant::default());
        assert_eq!(bmc.read(0) & TO_HOST, 0);
        let length = bmc.read(1);
        (0..length).map(|_| bmc.read(1)).collect()
    }

    fn bmc() -> Bmc {
        Bmc::cold(Rtc::cold(1000, Instant::default()))
    }

    #[test]
    fn power_and_time() {
        let mut bmc = bmc();
        assert_eq!(ask(&mut bmc, &[0x28, 7, 0x48]), [0x2c, 7, 0x48, 0, 0xe8, 3, 0, 0]);
        assert_eq!(bmc.take_power(), Power::Stay);
        assert_eq!(ask(&mut bmc, &[0, 8, 2, 0]), [4, 8, 2, 0]);
        assert_eq!(bmc.take_power(), Power::Off);
        ask(&mut bmc, &[0, 9, 2, 3]);
        assert_eq!(bmc.take_power(), Power::Reset);
        assert_eq!(ask(&mut bmc, &[0x18, 9, 4])[3..], [DONE, 0x55, 0]);
        assert_eq!(ask(&mut bmc, &[0xe8, 9, 0x5b, 1])[3], INVALID_COMMAND);
    }

    #[test]
    fn the_log_keeps_what_is_added() {
        let mut bmc = bmc();
        let mut entry = vec![0x28, 1, 0x44];
        entry.extend([0, 0, 2, 0, 0, 0, 0, 0x41, 0, 4, 1, 2, 3, 4, 5, 6]);
        assert_eq!(ask(&mut bmc, &entry), [0x2c, 1, 0x44, 0, 1, 0]);
        let read = ask(&mut bmc, &[0x28, 2, 0x43, 0, 0, 0, 0, 0, 0xff]);
        assert_eq!(read[3..13], [0, 0xff, 0xff, 1, 0, 2, 0xe8, 3, 0, 0]);
        assert_eq!(ask(&mut bmc, &[0x28, 2, 0x43])[3], TOO_SHORT);
    }

    #[test]
    fn the_interrupt_follows_its_mask_and_damaged_requests_are_survived() {
        let mut bmc = bmc();
        bmc.write(2, ENABLE | INTERRUPT, Instant::default());
        assert!(!bmc.line());
        ask(&mut bmc, &[0x18, 1, 1]);
        assert!(bmc.line());
        bmc.write(2, ENABLE | INTERRUPT, Instant::default());
        assert!(!bmc.line());
        for n in 0..200u8 {
            bmc.write(1, n, Instant::default());
        }
        bmc.write(0, TO_BMC, Instant::default());
        bmc.write(0, TO_BMC, Instant::default());
        assert_eq!(bmc.read(0) & TO_HOST, TO_HOST);
    }
}
