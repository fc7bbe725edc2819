//! The configuration space of a host bridge's root port: a bridge with power management, PCI Express and advanced error
//! reporting (PCI Express Base Specification 4.0, sections 7.5 and 7.8.4). No error ever happens.

use super::{Generation, fastest};
use alloc::collections::BTreeMap;
use timebase_state::State;

/// The words that were written, by their offset.
#[derive(State, Clone)]
pub(super) struct RootPort {
    written: BTreeMap<u32, u32>,
    #[wiring("from the configuration")]
    generation: Generation,
}

/// A word: as it is at first, and the bits that can be written.
fn word(generation: Generation, offset: u32) -> (u32, u32) {
    const IBM: u32 = 0x1014;
    let device = match generation {
        Generation::Phb4 => 0x04c1,
        Generation::Phb5 => 0x0652,
    };
    let speed = fastest(generation) as u32;
    match offset {
        0 => (device << 16 | IBM, 0),
        // Status: it has capabilities. Command.
        4 => (0x10 << 16, 0x0547),
        // Class: bridge to PCI. Header of a bridge; size of a cache line.
        8 => (0x0604 << 16, 0),
        0xc => (1 << 16, 0xff),
        // Bus numbers. Windows of memory.
        0x18 => (0, 0x00ff_ffff),
        0x20 => (0, 0xfff0_fff0),
        0x24 => (0x0001_0001, 0xfff0_fff0),
        0x28 | 0x2c => (0, u32::MAX),
        0x34 => (0x40, 0),
        // Control of the bridge, interrupt pin, interrupt line.
        0x3c => (1 << 8, 0x006f_00ff),
        // Power management, version 3; state.
        0x40 => (3 << 16 | 0x48 << 8 | 1, 0),
        0x44 => (8, 3),
        // PCI Express, version 2: a root port.
        0x48 => (0x42 << 16 | 0x10, 0),
        // Device: payloads of 512 bytes, tags of 8 bits, errors by role.
        0x4c => (0x8022, 0),
        0x50 => (0, 0x7fff),
        // Link: it tells when it is active; 16 lanes.
        0x54 => (1 << 20 | 16 << 4 | speed, 0),
        LINK => (0, 0x0fdf),
        0x64 => (0, 0x1f),
        // Device: forwards alternative routing ids; all timeouts. Link: all speeds.
        0x6c => (0x2f, 0),
        0x70 => (0, 0x7fff),
        0x74 => ((2 << speed) - 2, 0),
        0x78 => (speed, 0xffff),
        // Advanced error reporting, version 2: mask and severity of uncorrectable errors, mask of correctable ones,
        // end-to-end checksums, what the root port tells.
        0x100 => (2 << 16 | 1, 0),
        0x108 => (0, 0x07ff_f030),
        0x10c => (0x0046_2030, 0x07ff_f030),
        0x114 => (0x2000, 0xf1c1),
        0x118 => (0xa0, 0x140),
        0x12c => (0, 7),
        _ => (0, 0),
    }
}

const LINK: u32 = 0x58;

impl RootPort {
    pub fn cold(generation: Generation) -> RootPort {
        RootPort { written: BTreeMap::new(), generation }
    }

    fn word(&self, offset: u32) -> u32 {
        let (first, mask) = word(self.generation, offset);
        self.written.get(&offset).map_or(first, |written| first & !mask | written & mask)
    }

    /// Software disabled the link, or holds the bus behind the port in reset.
    pub fn holds_link_down(&self) -> bool {
        const DISABLE: u32 = 0x10;
        const RESET: u32 = 0x40 << 16;
        self.word(LINK) & DISABLE != 0 || self.word(0x3c) & RESET != 0
    }

    /// Loads up to 4 bytes as a big-endian number; `link`: at which speed it runs, if it does.
    pub fn read(&self, offset: u32, bytes: u8, link: Option<u64>) -> u64 {
        const ACTIVE: u32 = 0x2000;
        let mut word = self.word(offset & !3);
        if let (LINK, Some(speed)) = (offset & !3, link) {
            word |= (ACTIVE | 16 << 4 | speed as u32) << 16;
        }
        let shift = (offset & 3) + bytes as u32;
        (word.swap_bytes() as u64) >> (32u32.saturating_sub(8 * shift))
            & (u64::MAX >> (64 - 8 * bytes as u32))
    }

    /// Stores them.
    pub fn write(&mut self, offset: u32, bytes: u8, value: u64) {
        let at = offset & !3;
        let shift = 32u32.saturating_sub(8 * ((offset & 3) + bytes as u32));
        let mask = (u64::MAX >> (64 - 8 * bytes as u32) << shift) as u32;
        let word = self.word(at).swap_bytes() & !mask | (value << shift) as u32 & mask;
        self.written.insert(at, word.swap_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_lead_to_one_another_and_only_some_bits_are_written() {
        let mut port = RootPort::cold(Generation::Phb4);
        assert_eq!(port.read(0, 4, None), 0x1410_c104);
        assert_eq!(
            (port.read(2, 2, None), port.read(0x34, 1, None), port.read(0x41, 1, None)),
            (0xc104, 0x40, 0x48)
        );
        port.write(4, 2, 0xffff);
        assert_eq!(port.read(4, 4, None), 0x4705_1000);
        port.write(0x19, 1, 1);
        assert_eq!(port.read(0x18, 4, None), 0x0001_0000);
        port.write(0x3e, 1, 0x40);
        assert!(port.holds_link_down());
        assert_eq!(port.read(0x7fc, 4, None), 0);
    }
}
