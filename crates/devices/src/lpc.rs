//! LPC bus of a Power chip: the OPB master, the LPC host controller, and the I/O space with what is on it.
//!
//! Sources: Intel Low Pin Count Interface Specification (cycles, serial interrupts); the register layouts are those
//! that skiboot's and Linux' drivers program. Addresses are of the 32-bit OPB: FW space at 0xf0000000, memory space at
//! 0xe0000000, I/O at 0xd0010000, the host controller at 0xc0012000, the OPB master at 0xc0010000.
//!
//! A cycle that nobody answers reads as all ones and is an error in the status of the host controller.
//!
//! FW space shows what the management controller maps of the flash.
//!
//! Left out: memory space, DMA.

use crate::bmc::Power;
use crate::{Bmc, Uart, bmc};
use timebase_state::{Instant, State};

/// First port of the serial port, and its serial interrupt.
pub const UART_PORT: u32 = 0x3f8;
const UART_IRQ: u32 = 4;

const IO: u32 = 0xd001_0000;
const FIRMWARE: u32 = 0xf000_0000;
const CONTROLLER: u32 = 0xc001_2000;
const MASTER: u32 = 0xc001_0000;

/// The serial interrupts in the status of the host controller: number 0 is the leftmost bit.
const SERIAL: u32 = 0xffff_8000;

/// The bus of one chip.
#[derive(State, Clone)]
pub struct Lpc {
    /// The serial port.
    pub uart: Uart,
    /// The management controller.
    pub bmc: Bmc,
    /// Host controller: firmware segment, read size, serial interrupt control, mask, latched status.
    segment: u32,
    read_size: u32,
    serial_control: u32,
    mask: u32,
    status: u32,
    error_address: u32,
    /// OPB master: routes of the serial interrupts, mask, polarity.
    routes: [u32; 2],
    master_mask: u32,
    polarity: u32,
}

impl Lpc {
    /// Power-on state.
    pub fn cold(bmc: Bmc) -> Lpc {
        Lpc {
            uart: Uart::cold(),
            bmc,
            segment: 0,
            read_size: 0,
            serial_control: 0,
            mask: 0,
            status: 0,
            error_address: 0,
            routes: [0; 2],
            master_mask: 0,
            polarity: 0,
        }
    }

    /// Serial interrupts as devices drive them now.
    fn serial_lines(&self) -> u32 {
        let line = |on, irq: u32| if on { 1 << (31 - irq) } else { 0 };
        line(self.uart.line(), UART_IRQ) | line(self.bmc.line(), bmc::IRQ)
    }

    /// What the host controller's status reads: latched until written, or the levels alone with auto-clear.
    fn current(&self) -> u32 {
        const ENABLE: u32 = 1 << 31;
        let lines = if self.serial_control & ENABLE != 0 { self.serial_lines() } else { 0 };
        self.status | lines
    }

    /// Serial interrupts that are pending and enabled, number 0 in the leftmost bit.
    pub fn pending(&self) -> u32 {
        self.current() & self.mask & SERIAL
    }

    /// The line to which serial interrupt `n` is routed (0 to 3).
    fn route(&self, n: u32) -> u32 {
        // Two bits each, from the left: the last three from bit 8 of the first register on, the others from bit 4 of
        // the second one on.
        if n < 14 { self.routes[1] >> (26 - 2 * n) & 3 } else { self.routes[0] >> (22 - 2 * (n - 14)) & 3 }
    }

    /// The four lines of routed serial interrupts.
    pub fn lines(&self) -> [bool; 4] {
        let mut lines = [false; 4];
        let mut pending = self.pending();
        while pending != 0 {
            let n = pending.leading_zeros();
            lines[self.route(n) as usize] = true;
            pending &= !(1 << (31 - n));
        }
        lines
    }

    /// The line of the host controller itself: an error is pending and enabled.
    pub fn error_line(&self) -> bool {
        self.status & self.mask & !SERIAL != 0
    }

    /// Bytes were sent that nobody has taken, or the chassis is to do something.
    pub fn has_something_to_take(&self) -> bool {
        self.uart.has_sent() || self.bmc.power() != Power::Stay
    }

    /// A cycle was not answered.
    fn no_response(&mut self, address: u32) {
        const SYNC_NO_RESPONSE: u32 = 0x40;
        self.status |= SYNC_NO_RESPONSE;
        self.error_address = address;
    }

    /// A load of 1, 2 or 4 bytes. None: nothing answers.
    pub fn read(&mut self, address: u32, bytes: u8) -> Option<u32> {
        let answer = self.read_answered(address, bytes);
        if answer.is_none() {
            self.no_response(address);
        }
        answer
    }

    fn read_answered(&mut self, address: u32, bytes: u8) -> Option<u32> {
        match (address, bytes) {
            (FIRMWARE.., 1 | 2 | 4) => self.read_firmware(address - FIRMWARE, bytes as usize),
            (IO..0xd002_0000, 1) => self.read_port(address - IO).map(u32::from),
            (CONTROLLER..0xc001_2100, 4) => Some(match address - CONTROLLER {
                0x24 => self.segment,
                0x28 => self.read_size,
                0x30 => self.serial_control,
                0x34 => self.mask,
                0x38 => self.current(),
                0x40 => self.error_address,
                _ => return None,
            }),
            (MASTER..0xc001_0060, 4) => Some(match address - MASTER {
                offset @ (8 | 0xc) => self.routes[offset as usize / 4 - 2],
                0x50 => 0,
                0x54 => self.master_mask,
                0x58 => self.polarity,
                _ => return None,
            }),
            _ => None,
        }
    }

    /// A store of 1, 2 or 4 bytes. None: nothing takes it.
    pub fn write(&mut self, address: u32, bytes: u8, value: u32, now: Instant) -> Option<()> {
        let answer = self.write_answered(address, bytes, value, now);
        if answer.is_none() {
            self.no_response(address);
        }
        answer
    }

    fn write_answered(&mut self, address: u32, bytes: u8, value: u32, now: Instant) -> Option<()> {
        match (address, bytes) {
            (FIRMWARE.., 1 | 2 | 4) => self.write_firmware(address - FIRMWARE, bytes as usize, value),
            (IO..0xd002_0000, 1) => self.write_port(address - IO, value as u8, now),
            (CONTROLLER..0xc001_2100, 4) => {
                match address - CONTROLLER {
                    0x24 => self.segment = value,
                    0x28 => self.read_size = value,
                    0x30 => self.serial_control = value,
                    0x34 => self.mask = value,
                    0x38 => self.status &= !value,
                    0x40 => {}
                    _ => return None,
                }
                Some(())
            }
            (MASTER..0xc001_0060, 4) => {
                match address - MASTER {
                    offset @ (8 | 0xc) => self.routes[offset as usize / 4 - 2] = value,
                    0x50 => {}
                    0x54 => self.master_mask = value,
                    0x58 => self.polarity = value,
                    _ => return None,
                }
                Some(())
            }
            _ => None,
        }
    }

    /// Where an offset of firmware space is in the flash's address space: the segment says the upper four bits.
    fn firmware_address(&self, offset: u32) -> u64 {
        ((self.segment & 15) << 28 | offset) as u64
    }

    fn read_firmware(&mut self, offset: u32, bytes: usize) -> Option<u32> {
        let mut out = [0; 4];
        self.bmc.flash.read(self.firmware_address(offset), &mut out[4 - bytes..])?;
        Some(u32::from_be_bytes(out))
    }

    fn write_firmware(&mut self, offset: u32, bytes: usize, value: u32) -> Option<()> {
        let address = self.firmware_address(offset);
        self.bmc.flash.write(address, &value.to_be_bytes()[4 - bytes..])
    }

    fn read_port(&mut self, port: u32) -> Option<u8> {
        match port {
            UART_PORT..0x400 => Some(self.uart.read((port - UART_PORT) as u8)),
            bmc::PORT..0xe7 => Some(self.bmc.read((port - bmc::PORT) as u8)),
            _ => None,
        }
    }

    fn write_port(&mut self, port: u32, value: u8, now: Instant) -> Option<()> {
        match port {
            UART_PORT..0x400 => self.uart.write((port - UART_PORT) as u8, value),
            bmc::PORT..0xe7 => self.bmc.write((port - bmc::PORT) as u8, value, now),
            // Progress codes of a power-on self test.
            0x80..=0x82 => {}
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rtc;

    fn lpc() -> Lpc {
        Lpc::cold(Bmc::cold(Rtc::cold(0, Instant::default())))
    }

    #[test]
    fn the_serial_port_interrupts_through_mask_and_route() {
        let mut lpc = lpc();
        lpc.write(IO + UART_PORT + 1, 1, 1, Instant::default()).unwrap();
        lpc.uart.type_in(b"x");
        assert_eq!(lpc.pending(), 0);
        lpc.write(CONTROLLER + 0x30, 4, 1 << 31, Instant::default()).unwrap();
        assert_eq!(lpc.read(CONTROLLER + 0x38, 4), Some(0x0800_0000));
        assert_eq!(lpc.pending(), 0);
        lpc.write(CONTROLLER + 0x34, 4, 0x0800_0000, Instant::default()).unwrap();
        lpc.write(MASTER + 0xc, 4, 2 << 18, Instant::default()).unwrap();
        assert_eq!(lpc.lines(), [false, false, true, false]);
        assert_eq!(lpc.read(IO + UART_PORT, 1), Some(b'x' as u32));
        assert_eq!(lpc.lines(), [false; 4]);
    }

    #[test]
    fn nobody_answers_where_nobody_is() {
        let mut lpc = lpc();
        assert_eq!(lpc.read(IO + 0x60, 1), None);
        assert_eq!(lpc.read(CONTROLLER + 0x38, 4), Some(0x40));
        assert_eq!(lpc.read(CONTROLLER + 0x40, 4), Some(IO + 0x60));
        lpc.write(CONTROLLER + 0x38, 4, 0x40, Instant::default()).unwrap();
        assert_eq!(lpc.read(CONTROLLER + 0x38, 4), Some(0));
        assert!(!lpc.error_line());
        assert_eq!(lpc.read(0xf000_0000, 4), None);
        assert_eq!(lpc.write(CONTROLLER + 0x60, 4, 1, Instant::default()), None);
    }
}
