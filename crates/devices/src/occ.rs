//! What the on-chip controllers of POWER9 and POWER10 leave in memory for the host: in each chip's HOMER the table of
//! performance states and the controller's state, in the common area readings of sensors ("OCC/OpenPOWER firmware
//! interfaces", versions 0x90 and 0xa0; offsets are those that skiboot reads). The areas lie outside main memory.
//!
//! HOMER also has the region from which cores are restored when they leave a deep stop state ("POWER9 and POWER10 stop
//! API", memory map of the CPMR region): the host writes into it which registers get what. It is empty at first, and
//! nothing is ever restored from it, for no core loses its state here.
//!
//! This machine has no frequencies and no heat: the states are there for the host to choose among, without effect, and
//! the one sensor of each chip always reads the same.
//!
//! Left out: commands to the controller, power caps, throttling.

use alloc::{boxed::Box, vec::Vec};
use timebase_state::{Paged, State};

/// Size of a chip's HOMER in bytes.
pub const HOMER_BYTES: u64 = 4 << 20;
/// Size of the area that the controllers of all chips share, in bytes.
pub const COMMON_BYTES: u64 = 8 << 20;

/// Table of performance states, in HOMER; the states in it; what changes, behind it.
const TABLE: u64 = 0xe_2000;
const STATES: u64 = TABLE + 24;
const DYNAMIC: u64 = TABLE + 0xb80;
/// Frequencies of the performance states in kHz, the fastest first.
const FREQUENCIES: [u32; 3] = [1_000_000, 900_000, 800_000];
/// State of a controller that works.
const ACTIVE: u8 = 3;

/// The region for restoring cores, in HOMER: a header, code, then an area for each core that a chip can have.
const RESTORE: u64 = 0x20_0000;
const RESTORE_CORES: u64 = RESTORE + 0x2400;
const RESTORE_CORE_BYTES: u64 = 0x1000;
/// In a core's area, where the registers of its four threads are listed, and those that the threads share.
const RESTORE_LISTS: [u64; 5] = [0, 0x200, 0x400, 0x600, 0xc00];
/// What ends a list: `blr`, for a list consists of instructions.
const END_OF_LIST: [u8; 4] = 0x4e80_0020u32.to_be_bytes();

/// Sensors, in the common area: blocks of the chips; in each, names and two buffers of readings.
const SENSORS: u64 = 0x58_0000;
const SENSORS_BYTES: u64 = 0x2_5800;
const NAMES: u32 = 0x400;
const BUFFERS: [u32; 2] = [0xdc00, 0x1_8c00];
const NAME_BYTES: u8 = 48;

/// Which layout of the table the firmware of a chip knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// 0x90, of POWER9.
    Power9,
    /// 0xa0, of POWER10.
    Power10,
}

/// The areas of all chips.
#[derive(State, Clone)]
pub struct Occ {
    homer: Box<[Paged]>,
    common: Paged,
}

impl Occ {
    /// As the controllers leave them when they have started.
    pub fn cold(layout: Layout, chips: u32) -> Occ {
        let mut common = Paged::new(COMMON_BYTES);
        for chip in 0..chips as u64 {
            sensors(&mut common, SENSORS + chip * SENSORS_BYTES);
        }
        Occ { homer: (0..chips).map(|_| homer(layout)).collect(), common }
    }

    /// The area of a chip's HOMER, or what all share.
    fn area(&mut self, chip: Option<u32>) -> Option<&mut Paged> {
        match chip {
            Some(chip) => self.homer.get_mut(chip as usize),
            None => Some(&mut self.common),
        }
    }

    /// Loads up to 8 bytes, big-endian, from a chip's HOMER or from what all share. None: they are not all inside.
    pub fn load(&mut self, chip: Option<u32>, offset: u64, bytes: u8) -> Option<u64> {
        let mut out = [0; 8];
        let read = self.area(chip)?.read(offset, &mut out[8usize.checked_sub(bytes.into())?..]);
        read.then(|| u64::from_be_bytes(out))
    }

    /// Stores them.
    pub fn store(&mut self, chip: Option<u32>, offset: u64, bytes: u8, value: u64) -> Option<()> {
        let value = value.to_be_bytes();
        self.area(chip)?.write(offset, &value[8usize.checked_sub(bytes.into())?..]).then_some(())
    }
}

/// A HOMER whose controller works: the fastest state is number 0.
fn homer(layout: Layout) -> Paged {
    const MASTER: u8 = 1;
    let slowest = FREQUENCIES.len() as u8 - 1;
    let mut homer = Paged::new(HOMER_BYTES);
    // Valid, version, role; then the numbers of the slowest state, of the nominal one, of three that may be fastest.
    let head = match layout {
        Layout::Power9 => [1, 0x90, MASTER, slowest, 1, 0, 0, 0],
        Layout::Power10 => [1, 0xa0, MASTER, slowest, 1, 0, 0, 0],
    };
    homer.write(TABLE, &head);
    for (number, frequency) in FREQUENCIES.iter().enumerate() {
        let [a, b, c, d] = frequency.to_be_bytes();
        homer.write(STATES + 8 * number as u64, &[number as u8, 1, 0, 0, a, b, c, d]);
    }
    homer.write(DYNAMIC, &[ACTIVE]);
    restore_nothing(&mut homer, layout);
    homer
}

/// The region for restoring cores, with empty lists: its name, version of the lists (1: as below), of the interface, and
/// that cores are not fused in pairs.
fn restore_nothing(homer: &mut Paged, layout: Layout) {
    const NOT_FUSED: u8 = 0xaa;
    let cores = match layout {
        Layout::Power9 => 24,
        Layout::Power10 => 32,
    };
    homer.write(RESTORE + 8, b"CPMR_1.0");
    homer.write(RESTORE + 0x1c, &[1, 1, 0, NOT_FUSED]);
    for core in (0..cores).map(|core| RESTORE_CORES + core * RESTORE_CORE_BYTES) {
        for list in RESTORE_LISTS {
            homer.write(core + list, &END_OF_LIST);
        }
    }
}

/// A block of sensors with one in it: the temperature of the nest, 40 degrees Celsius.
fn sensors(common: &mut Paged, base: u64) {
    const READING: u32 = 8;
    let mut header = Vec::from([1, 1, 0, 1, 1, 0, 0, 0]);
    header.extend(NAMES.to_be_bytes());
    header.extend([1, NAME_BYTES, 0, 0]);
    header.extend(BUFFERS.iter().flat_map(|buffer| buffer.to_be_bytes()));
    common.write(base, &header);
    // Name, unit; id, hertz, scale (1, without a power of ten); temperature of a processor; a full reading.
    let mut name = Vec::from(*b"TEMPNEST\0\0\0\0\0\0\0\0C\0\0\0");
    name.extend([0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 8, 0, 2, 1]);
    name.extend(READING.to_be_bytes());
    common.write(base + NAMES as u64, &name);
    for buffer in BUFFERS {
        let buffer = base + buffer as u64;
        common.write(buffer, &[1]);
        // Id, time of reading; now, lowest, highest, and so on for those who reset them.
        let mut reading = Vec::from([0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        reading.extend([0, 40].repeat(9));
        common.write(buffer + READING as u64, &reading);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_where_firmware_looks() {
        let mut occ = Occ::cold(Layout::Power10, 2);
        assert_eq!(occ.load(Some(1), 0xe_2000, 8), Some(0x01a0_0102_0100_0000));
        assert_eq!(occ.load(Some(0), 0xe_2000 + 24 + 8, 8), Some(0x0101_0000_000d_bba0));
        assert_eq!(occ.load(Some(0), 0xe_2b80, 1), Some(3));
        assert_eq!(occ.load(None, 0x5a_5800, 4), Some(0x0101_0001));
        assert_eq!(occ.load(None, 0x58_0000 + 0x400, 8), Some(u64::from_be_bytes(*b"TEMPNEST")));
        assert_eq!(occ.load(None, 0x58_0000 + 0xdc00 + 8 + 10, 2), Some(40));
    }

    #[test]
    fn every_core_that_a_chip_can_have_has_empty_lists_of_registers_to_restore() {
        for (layout, cores) in [(Layout::Power9, 24), (Layout::Power10, 32)] {
            let mut occ = Occ::cold(layout, 1);
            assert_eq!(occ.load(Some(0), 0x20_0008, 4), Some(u64::from(u32::from_be_bytes(*b"CPMR"))));
            assert_eq!(occ.load(Some(0), 0x20_001f, 1), Some(0xaa));
            let mut end = |core: u64, list| occ.load(Some(0), 0x20_2400 + core * 0x1000 + list, 4);
            for core in 0..cores {
                for list in [0, 0x200, 0x400, 0x600, 0xc00] {
                    assert_eq!(end(core, list), Some(0x4e80_0020));
                }
            }
            assert_eq!(end(cores, 0), Some(0));
        }
    }

    #[test]
    fn what_is_stored_is_there_and_nothing_is_outside() {
        let mut occ = Occ::cold(Layout::Power9, 1);
        occ.store(Some(0), 16, 4, 0x1234_5678).unwrap();
        assert_eq!((occ.load(Some(0), 18, 2), occ.load(Some(0), 12, 8)), (Some(0x5678), Some(0x1234_5678)));
        assert_eq!((occ.load(Some(1), 0, 1), occ.load(None, COMMON_BYTES - 3, 4)), (None, None));
        assert_eq!((occ.store(Some(0), u64::MAX, 8, 0), occ.load(None, 0, 9)), (None, None));
    }
}
