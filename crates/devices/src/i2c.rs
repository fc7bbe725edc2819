//! An I2C master of a Power chip, and the memory at its port 0 (POWER9 and POWER10 register specifications, "PIB
//! I2C master"; UM10204, "I2C-bus specification", for what happens on the wire). Numbers of registers are relative to
//! the engine's first.
//!
//! A command says what goes over the bus of the port that the mode register names: a start condition, an address, a
//! number of bytes each way through the FIFO, a stop condition. Bytes pass within the instruction that lets them: a bus
//! takes no time here. Nobody else drives the lines, so they are high when the engine looks at them.
//!
//! Left out: lines by hand (diagnostic mode: its registers take what is written, without effect), 10-bit addresses,
//! parity of the local bus, loss of arbitration.

mod eeprom;

use alloc::collections::VecDeque;
pub use eeprom::Eeprom;
use timebase_state::State;

/// Numbers that an engine has.
pub const NUMBERS: u32 = 0x1000;
/// Bytes that the FIFO holds.
const FIFO: usize = 8;
/// Version of the engine, as its extended status tells it.
const VERSION: u64 = 23;
/// The highest number of a port, as the status tells it.
const PORTS: u64 = 15;

/// Bit `n` from the left.
const fn bit(n: u32) -> u64 {
    1 << (63 - n)
}

/// Command.
const WITH_START: u64 = bit(0);
const WITH_ADDRESS: u64 = bit(1);
const WITH_STOP: u64 = bit(3);
const READ: u64 = bit(15);

/// Status: errors, and the command is done.
const INVALID_COMMAND: u64 = bit(0);
const OVERRUN: u64 = bit(2);
const ACCESS: u64 = bit(3);
const NOT_ACKNOWLEDGED: u64 = bit(5);
const DATA_REQUEST: u64 = bit(6);
const COMPLETE: u64 = bit(7);
const STOP_ERROR: u64 = bit(8);
const ERRORS: u64 = INVALID_COMMAND | bit(1) | OVERRUN | ACCESS | bit(4) | NOT_ACKNOWLEDGED | STOP_ERROR;
/// Status: an interrupt waits; the lines are high; a transfer holds the bus.
const INTERRUPT: u64 = bit(16);
const LINES_HIGH: u64 = bit(20) | bit(21);
const BUSY: u64 = bit(22) | bit(23);

/// Conditions that interrupt: those of the status, 16 bits to the right; the bus is busy, or is not; the lines are high.
const CONDITIONS: u64 = 0xffff << 32;
const BUS_BUSY: u64 = bit(25);
const BUS_FREE: u64 = bit(26);
const ARE_HIGH: u64 = bit(28) | bit(30);

/// An engine.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
pub struct I2c {
    command: u64,
    mode: u64,
    watermark: u64,
    mask: u64,
    /// Errors and completion.
    status: u64,
    fifo: VecDeque<u8>,
    /// Bytes that have still to pass between the host and the FIFO, between the FIFO and the bus.
    residual: [u16; 2],
    /// A transfer holds the bus: whoever was addressed has not seen a stop condition.
    open: bool,
    /// What is at port 0.
    eeprom: Eeprom,
}

impl I2c {
    /// As after power-on, with this memory at port 0.
    pub fn cold(eeprom: Eeprom) -> I2c {
        I2c { status: COMPLETE, eeprom, ..I2c::default() }
    }

    /// Its interrupt line.
    pub fn line(&self) -> bool {
        self.mask != 0 && self.conditions() & self.mask != 0
    }

    /// Loads a register. None: there is none.
    pub fn read(&mut self, number: u32) -> Option<u64> {
        Some(match number {
            4 => self.take(),
            5 => self.command,
            6 => self.mode,
            7 => self.watermark,
            8 => self.mask,
            9 => self.conditions(),
            0xa => self.conditions() & self.mask,
            0xb => self.status(),
            0xc => self.extended_status(),
            0xd => (self.residual[0] as u64) << 48 | (self.residual[1] as u64) << 32,
            // Which ports are busy.
            0xe if self.open => bit(self.port()),
            0xe => 0,
            _ => return None,
        })
    }

    /// Stores a register. None: there is none.
    pub fn write(&mut self, number: u32, value: u64) -> Option<()> {
        match number {
            4 => self.give((value >> 56) as u8),
            5 => self.begin(value),
            6 => self.mode = value,
            7 => self.watermark = value,
            8 => self.mask = value & CONDITIONS,
            9 => self.mask |= value & CONDITIONS,
            0xa => self.mask &= value,
            // Reset of the engine; of the errors alone.
            0xb => self.reset(),
            0xc => self.status = self.status & !ERRORS | COMPLETE,
            // The lines by hand.
            0xd | 0xf | 0x10 | 0x11 => {}
            _ => return None,
        }
        Some(())
    }

    fn reset(&mut self) {
        self.stop();
        self.fifo.clear();
        self.residual = [0; 2];
        self.command = 0;
        self.status = COMPLETE;
    }

    /// The port that the mode names, 0 to 63.
    fn port(&self) -> u32 {
        (self.mode >> 42 & 63) as u32
    }

    /// A command is under way.
    fn active(&self) -> bool {
        self.status & COMPLETE == 0
    }

    fn reads(&self) -> bool {
        self.command & READ != 0
    }

    fn status(&self) -> u64 {
        let busy = if self.open { BUSY } else { 0 };
        let interrupt = if self.line() { INTERRUPT } else { 0 };
        self.events() | PORTS << 48 | LINES_HIGH | busy | interrupt | (self.fifo.len() as u64) << 32
    }

    /// Errors, completion, and whether the host is to give or take bytes.
    fn events(&self) -> u64 {
        let (high, low) = ((self.watermark >> 44 & 15) as usize, (self.watermark >> 36 & 15) as usize);
        let [_, back] = self.residual;
        let wanted = match self.reads() {
            true => !self.fifo.is_empty() && (self.fifo.len() >= high || back == 0),
            false => self.fifo.len() <= low,
        };
        self.status | if self.active() && wanted { DATA_REQUEST } else { 0 }
    }

    fn conditions(&self) -> u64 {
        self.events() >> 16 | ARE_HIGH | if self.open { BUS_BUSY } else { BUS_FREE }
    }

    fn extended_status(&self) -> u64 {
        // Both lines: as they come in, as the slaves and the master drive them.
        const LINES: u64 = 0x3f << 42;
        let busy = if self.open { bit(24) | bit(25) } else { 0 };
        (FIFO as u64) << 56 | LINES | busy | VERSION << 32
    }

    /// The host begins a command.
    fn begin(&mut self, command: u64) {
        const ADDRESSED: u64 = WITH_START | WITH_ADDRESS;
        let length = (command >> 32) as u16;
        // Bytes pass only to or from somebody who was addressed.
        let addressed = command & ADDRESSED == ADDRESSED;
        if self.active() || self.status & ERRORS != 0 || length != 0 && !addressed && !self.open {
            self.status |= INVALID_COMMAND | COMPLETE;
            return;
        }
        self.command = command;
        self.status = 0;
        self.residual = [length; 2];
        self.fifo.clear();
        if addressed {
            self.open = true;
            let address = (command >> 49 & 0x7f) as u8;
            let reads = self.reads();
            if self.port() != 0 || !self.eeprom.start(address, reads) {
                return self.fail(NOT_ACKNOWLEDGED);
            }
        }
        self.go_on();
    }

    /// Lets bytes pass over the bus as far as the FIFO allows.
    fn go_on(&mut self) {
        let [front, back] = &mut self.residual;
        if self.command & READ != 0 {
            while *back != 0 && self.fifo.len() < FIFO {
                self.fifo.push_back(self.eeprom.read());
                *back -= 1;
            }
        } else {
            while let Some(byte) = self.fifo.pop_front() {
                self.eeprom.write(byte);
                *back = back.saturating_sub(1);
            }
        }
        if *front == 0 {
            self.complete();
        }
    }

    /// The command is done.
    fn complete(&mut self) {
        self.status |= COMPLETE;
        if self.command & WITH_STOP != 0 {
            self.stop();
        }
    }

    /// The command ends with an error, and a stop condition.
    fn fail(&mut self, error: u64) {
        self.status |= error | COMPLETE;
        self.stop();
    }

    fn stop(&mut self) {
        self.open = false;
        self.eeprom.stop();
    }

    /// The host takes a byte out of the FIFO.
    fn take(&mut self) -> u64 {
        if !self.active() || !self.reads() {
            self.status |= ACCESS;
            return 0;
        }
        let byte = self.fifo.pop_front().unwrap_or_default();
        self.residual[0] = self.residual[0].saturating_sub(1);
        self.go_on();
        (byte as u64) << 56
    }

    /// The host puts a byte into the FIFO.
    fn give(&mut self, byte: u8) {
        if !self.active() || self.reads() {
            self.status |= OVERRUN;
            return;
        }
        self.fifo.push_back(byte);
        self.residual[0] = self.residual[0].saturating_sub(1);
        self.go_on();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command to the memory: number of bytes, more bits.
    fn command(bytes: u64, more: u64) -> u64 {
        WITH_START | WITH_ADDRESS | 0x50 << 49 | bytes << 32 | more
    }

    fn engine() -> I2c {
        let mut engine = I2c::cold(Eeprom::cold("powernv9", 0));
        engine.write(7, 4 << 44 | 4 << 36).unwrap();
        engine.write(9, 0xff << 40).unwrap();
        engine
    }

    #[test]
    fn bytes_are_read_from_where_the_address_was_written() {
        let mut engine = engine();
        assert_eq!(engine.read(0xb), Some(COMPLETE | PORTS << 48 | LINES_HIGH | INTERRUPT));
        engine.write(5, command(2, 0)).unwrap();
        assert_eq!(engine.read(0xb).unwrap() & (DATA_REQUEST | COMPLETE | BUSY), DATA_REQUEST | BUSY);
        assert!(engine.line());
        for byte in [0, 1] {
            engine.write(4, byte << 56).unwrap();
        }
        assert_eq!(engine.read(0xb).unwrap() & (DATA_REQUEST | COMPLETE | BUSY), COMPLETE | BUSY);
        engine.write(5, command(11, READ | WITH_STOP)).unwrap();
        assert_eq!(engine.read(0xb).unwrap() >> 32 & 0xff, 8);
        assert_eq!(engine.read(0xd), Some(11 << 48 | 3 << 32));
        let bytes: [u8; 11] = core::array::from_fn(|_| (engine.read(4).unwrap() >> 56) as u8);
        assert_eq!(bytes[..7], [0, 0, 1, 0, 0, 0, 0xfe]);
        assert_eq!(engine.read(0xb).unwrap() & (DATA_REQUEST | COMPLETE | BUSY | ERRORS), COMPLETE);
        engine.write(0xa, 0).unwrap();
        assert!(!engine.line());
    }

    #[test]
    fn nobody_answers_elsewhere_and_errors_last_until_they_are_reset() {
        let mut engine = engine();
        engine.write(6, 1 << 42).unwrap();
        engine.write(5, command(1, READ | WITH_STOP)).unwrap();
        assert_eq!(engine.read(0xb).unwrap() & (ERRORS | COMPLETE | BUSY), NOT_ACKNOWLEDGED | COMPLETE);
        engine.write(5, command(1, READ | WITH_STOP)).unwrap();
        assert_eq!(engine.read(0xb).unwrap() & ERRORS, NOT_ACKNOWLEDGED | INVALID_COMMAND);
        engine.write(0xb, 0).unwrap();
        assert_eq!(engine.read(0xb).unwrap() & (ERRORS | COMPLETE), COMPLETE);
        engine.write(5, WITH_STOP).unwrap();
        assert_eq!(engine.read(0xb).unwrap() & (ERRORS | COMPLETE), COMPLETE);
        engine.write(6, 0).unwrap();
        engine.write(5, WITH_START | WITH_ADDRESS | 0x51 << 49).unwrap();
        assert_eq!(engine.read(0xb).unwrap() & ERRORS, NOT_ACKNOWLEDGED);
        assert_eq!((engine.read(0), engine.write(0x12, 0)), (None, None));
    }

    #[test]
    fn hostile_orders_are_errors_and_no_more() {
        let mut engine = engine();
        engine.read(4);
        engine.write(4, 0).unwrap();
        engine.write(5, 9 << 32).unwrap();
        assert_eq!(engine.read(0xb).unwrap() & ERRORS, ACCESS | OVERRUN | INVALID_COMMAND);
        let mut bare = I2c::cold(Eeprom::default());
        bare.write(5, u64::MAX).unwrap();
        bare.write(0xc, 0).unwrap();
        for number in 4..0x12 {
            bare.write(number, u64::MAX);
            engine.write(number, u64::MAX);
            for number in 4..0xf {
                bare.read(number);
                engine.read(number);
            }
        }
        bare.write(0xb, 0).unwrap();
        assert_eq!(bare.read(0xb).unwrap() & (ERRORS | COMPLETE), COMPLETE);
    }
}
