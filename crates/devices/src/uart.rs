//! Serial port 16550A (National Semiconductor PC16550D data sheet, "Registers"), at speed infinite: what is written is
//! sent at once, so the transmitter is always empty.
//!
//! Left out: line errors, break, modem lines that change, loopback, the input time-out interrupt.

use alloc::{collections::VecDeque, vec::Vec};
use timebase_state::State;

/// Input bytes that are kept at most; what comes beyond is lost, as on a line without flow control.
pub const INPUT_MAX: usize = 64 * 1024;

/// Line control: the divisor stands in place of registers 0 and 1.
const DIVISOR_ACCESS: u8 = 0x80;
/// Interrupt enable: received data, transmitter empty.
const ON_INPUT: u8 = 1;
const ON_EMPTY: u8 = 2;
/// Line status: data is ready; transmitter empty (both bits).
const READY: u8 = 1;
const EMPTY: u8 = 0x60;
/// Modem status: clear to send, data set ready, carrier.
const CONNECTED: u8 = 0xb0;

/// A serial port.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
pub struct Uart {
    input: VecDeque<u8>,
    enable: u8,
    fifo: u8,
    line: u8,
    modem: u8,
    scratch: u8,
    divisor: u16,
    /// The transmitter became empty, and nobody has been told.
    emptied: bool,
    #[cache("taken at the end of each run")]
    sent: Vec<u8>,
}

impl Uart {
    /// Power-on state.
    pub fn cold() -> Uart {
        Uart { divisor: 12, ..Uart::default() }
    }

    /// Typed bytes arrive. Returns how many fit.
    pub fn type_in(&mut self, bytes: &[u8]) -> usize {
        let fits = bytes.len().min(INPUT_MAX - self.input.len().min(INPUT_MAX));
        self.input.extend(&bytes[..fits]);
        fits
    }

    /// Bytes were sent that nobody has taken.
    pub fn has_sent(&self) -> bool {
        !self.sent.is_empty()
    }

    /// Takes the bytes that were sent.
    pub fn take_sent(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.sent)
    }

    /// Its interrupt line.
    pub fn line(&self) -> bool {
        self.enable & ON_INPUT != 0 && !self.input.is_empty() || self.enable & ON_EMPTY != 0 && self.emptied
    }

    /// Loads register `n` (0 to 7).
    pub fn read(&mut self, n: u8) -> u8 {
        let divisor = self.line & DIVISOR_ACCESS != 0;
        match n & 7 {
            0 if divisor => self.divisor as u8,
            1 if divisor => (self.divisor >> 8) as u8,
            0 => self.input.pop_front().unwrap_or(0),
            1 => self.enable,
            2 => {
                let fifos = if self.fifo & 1 != 0 { 0xc0 } else { 0 };
                let cause = if self.enable & ON_INPUT != 0 && !self.input.is_empty() {
                    4
                } else if self.enable & ON_EMPTY != 0 && self.emptied {
                    self.emptied = false;
                    2
                } else {
                    1
                };
                fifos | cause
            }
            3 => self.line,
            4 => self.modem,
            5 => EMPTY | if self.input.is_empty() { 0 } else { READY },
            6 => CONNECTED,
            _ => self.scratch,
        }
    }

    /// Stores register `n` (0 to 7).
    pub fn write(&mut self, n: u8, value: u8) {
        let divisor = self.line & DIVISOR_ACCESS != 0;
        match n & 7 {
            0 if divisor => self.divisor = self.divisor & 0xff00 | value as u16,
            1 if divisor => self.divisor = self.divisor & 0xff | (value as u16) << 8,
            0 => {
                self.sent.push(value);
                self.emptied = true;
            }
            1 => {
                // Enabling the interrupt while the transmitter is empty raises it.
                self.emptied |= value & ON_EMPTY != 0 && self.enable & ON_EMPTY == 0;
                self.enable = value & 0xf;
            }
            2 => {
                self.fifo = value & 0xc9;
                if value & 2 != 0 {
                    self.input.clear();
                }
            }
            3 => self.line = value,
            4 => self.modem = value & 0x1f,
            7 => self.scratch = value,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_comes_out_and_the_empty_transmitter_interrupts_until_it_is_told() {
        let mut uart = Uart::cold();
        uart.write(0, b'a');
        assert!(!uart.line());
        uart.write(1, ON_EMPTY);
        assert!(uart.line());
        assert_eq!(uart.read(2), 2);
        assert!(!uart.line());
        uart.write(0, b'b');
        assert!(uart.line());
        assert_eq!(uart.take_sent(), b"ab");
        assert_eq!(uart.take_sent(), b"");
    }

    #[test]
    fn input_interrupts_until_it_is_read() {
        let mut uart = Uart::cold();
        uart.write(1, ON_INPUT);
        assert_eq!((uart.read(2), uart.read(5)), (1, EMPTY));
        assert_eq!(uart.type_in(b"x"), 1);
        assert!(uart.line());
        assert_eq!((uart.read(2), uart.read(5)), (4, EMPTY | READY));
        assert_eq!(uart.read(0), b'x');
        assert!(!uart.line());
    }

    #[test]
    fn the_divisor_hides_data_and_interrupt_enable() {
        let mut uart = Uart::cold();
        uart.write(3, DIVISOR_ACCESS | 3);
        uart.write(0, 1);
        uart.write(1, 2);
        assert_eq!((uart.read(0), uart.read(1)), (1, 2));
        uart.write(3, 3);
        assert_eq!((uart.read(1), uart.take_sent().len()), (0, 0));
    }
}
