//! A serial memory with what identifies a module: a 24C128 of 16 KiB, two bytes of address, write-protected (its data
//! sheet, "Device operation"). In it is a board area by IPMI's "Platform management FRU information storage definition",
//! version 1.0.

use alloc::{format, vec::Vec};
use timebase_state::State;

/// Its address on the bus.
const ADDRESS: u8 = 0x50;
/// Its size in bytes.
const BYTES: u16 = 1 << 14;

/// The memory; by default there is none.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
pub struct Eeprom {
    /// Where the next byte is read.
    at: u16,
    /// Bytes of the address that were written since the start condition; None: it is not addressed, or is read.
    written: Option<u8>,
    #[wiring("from the configuration, and write-protected")]
    content: Vec<u8>,
}

impl Eeprom {
    /// As after power-on, in a module of the machine with this name, of this number.
    pub fn cold(machine: &str, number: u32) -> Eeprom {
        Eeprom { at: 0, written: None, content: board(machine, number) }
    }

    /// A start condition, the address, and whether it is to be read: does the memory acknowledge?
    pub fn start(&mut self, address: u8, reads: bool) -> bool {
        let is_meant = address == ADDRESS && !self.content.is_empty();
        self.written = (is_meant && !reads).then_some(0);
        is_meant
    }

    /// A stop condition.
    pub fn stop(&mut self) {
        self.written = None;
    }

    /// The next byte; what is not programmed is all ones.
    pub fn read(&mut self) -> u8 {
        let byte = self.content.get(self.at as usize).copied().unwrap_or(0xff);
        self.at = (self.at + 1) % BYTES;
        byte
    }

    /// A byte is written to it: of the address, or one that has no effect.
    pub fn write(&mut self, byte: u8) {
        let [high, low] = self.at.to_be_bytes();
        let at = match self.written {
            Some(0) => [byte, low],
            Some(1) => [high, byte],
            _ => return,
        };
        self.at = u16::from_be_bytes(at) % BYTES;
        self.written = self.written.map(|written| written + 1);
    }
}

/// Makes the sum of the bytes 0, the last one among them.
fn seal(bytes: &mut Vec<u8>) {
    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes.push(sum.wrapping_neg());
}

/// The common header, and the board area behind it.
fn board(machine: &str, number: u32) -> Vec<u8> {
    /// A text of 8-bit characters; the end of the fields.
    const TEXT: u8 = 0xc0;
    const END: u8 = 0xc1;
    const UNIT: usize = 8;
    let mut header = Vec::from([1, 0, 0, 1, 0, 0, 0]);
    seal(&mut header);
    // Version, length, English, no date.
    let mut area = Vec::from([1, 0, 0, 0, 0, 0]);
    for text in ["Timebase", machine, &format!("{number:08}"), "", ""] {
        area.push(TEXT | text.len() as u8);
        area.extend(text.bytes());
    }
    area.push(END);
    area.resize((area.len() + 1).next_multiple_of(UNIT) - 1, 0);
    area[1] = ((area.len() + 1) / UNIT) as u8;
    seal(&mut area);
    [header, area].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_which_module_it_is_in() {
        let board = board("powernv10", 3);
        let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        assert_eq!((sum(&board[..8]), sum(&board[8..])), (0, 0));
        assert_eq!((board.len() - 8, &board[14..23]), (board[9] as usize * 8, &b"\xc8Timebase"[..]));
    }

    #[test]
    fn reading_goes_on_where_it_was_and_writing_changes_nothing() {
        let mut eeprom = Eeprom::cold("powernv9", 0);
        assert!(!eeprom.start(0x51, false));
        assert!(eeprom.start(0x50, false));
        for byte in [0xff, 0xff, 7, 7] {
            eeprom.write(byte);
        }
        eeprom.stop();
        assert!(eeprom.start(0x50, true));
        assert_eq!([eeprom.read(), eeprom.read(), eeprom.read()], [0xff, 1, 0]);
        eeprom.write(9);
        assert_eq!(eeprom.read(), 0);
    }
}
