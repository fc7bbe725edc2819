//! What the on-chip controllers of POWER9 and POWER10 leave in memory for the host: in each chip's HOMER the table of
//! performance states and the controller's state, in the common area readings of sensors ("OCC/OpenPOWER firmware
//! interfaces", versions 0x90 and 0xa0; offsets are those that skiboot reads). The areas lie outside main memory.
//!
//! HOMER also has the region from which cores are restored when they leave a deep stop state ("POWER9 and POWER10 stop
//! API", memory map of the CPMR region): the host writes into it which registers get what. It is empty at first, and
//! nothing is ever restored from it, for no core loses its state here.
//!
//! The host gives commands in a buffer of the same area and is answered at once in another, with an interrupt: power caps,
//! which way power is shifted, and groups of sensors.
//!
//! This machine has no frequencies and no heat: the states are there for the host to choose among, without effect, a power
//! cap is kept and caps nothing, and the one sensor of each chip always reads the same.
//!
//! Left out: throttling.

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
/// In what changes: how much of the power that has to be saved the processor saves (percent), and power caps in watts,
/// two bytes each: the least that is always kept to, the greatest, the present one, the least that may be set.
const SHIFTING: u64 = DYNAMIC + 8;
const CAPS: u64 = DYNAMIC + 10;
const PRESENT_CAP: u64 = CAPS + 4;
const LEAST_KEPT: u16 = 500;
const LEAST: u16 = 1000;
const GREATEST: u16 = 3000;
/// Buffers of a command and of its answer: flag, number of the request, command, status (of an answer), length of what
/// follows in two bytes.
const COMMAND: u64 = DYNAMIC + 128;
const ANSWER: u64 = COMMAND + 6 + 4090;
const HEAD_BYTES: u64 = 6;
/// Flag of a command: it is complete; of an answer: likewise.
const READY: u8 = 0x80;
const ANSWERED: u8 = 1;
/// Status of an answer.
const DONE: u8 = 0;
const NO_SUCH_COMMAND: u8 = 0x11;
const BAD_LENGTH: u8 = 0x12;
const BAD_DATA: u8 = 0x13;

/// Status of the engine for counters of the chip's units, in HOMER.
const COUNTERS_STATUS: u64 = 0x1b_fc00;
const PAUSED: u64 = 2;

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
        Occ { homer: (0..chips).map(|chip| homer(layout, chip)).collect(), common }
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

    /// Stores them. True: the controller answered a command, and interrupts the host.
    pub fn store(&mut self, chip: Option<u32>, offset: u64, bytes: u8, value: u64) -> Option<bool> {
        let value = value.to_be_bytes();
        let area = self.area(chip)?;
        if !area.write(offset, &value[8usize.checked_sub(bytes.into())?..]) {
            return None;
        }
        let flag = chip.is_some() && (offset..offset + bytes as u64).contains(&COMMAND);
        Some(flag && byte(area, COMMAND) == READY && carry_out(area))
    }
}

/// A byte of an area.
fn byte(area: &Paged, at: u64) -> u8 {
    let mut byte = [0];
    area.read(at, &mut byte);
    byte[0]
}

/// Carries out the command in a HOMER and answers it.
fn carry_out(homer: &mut Paged) -> bool {
    let mut head = [0; HEAD_BYTES as usize];
    homer.read(COMMAND, &mut head);
    let [_, request, command, _, high, low] = head;
    let mut data = [0; 4];
    homer.read(COMMAND + HEAD_BYTES, &mut data);
    let number = u16::from_be_bytes([data[0], data[1]]);
    let length = u16::from_be_bytes([high, low]);
    // Sensors' lowest and highest readings since a group cleared them (they are what they always are); the power cap, 0
    // for none; shifting; which groups of sensors are read.
    let (wanted, good) = match command {
        0xd0 => (4, true),
        0xd1 => (2, number == 0 || (LEAST..=GREATEST).contains(&number)),
        0xd2 => (1, data[0] <= 100),
        0xd3 => (2, true),
        _ => (length, true),
    };
    let status = match command {
        0xd0..=0xd3 if length != wanted => BAD_LENGTH,
        0xd0..=0xd3 if !good => BAD_DATA,
        0xd0..=0xd3 => DONE,
        _ => NO_SUCH_COMMAND,
    };
    let answered = if status == DONE { wanted } else { 0 };
    match command {
        0xd1 if status == DONE => {
            let cap = if number == 0 { GREATEST } else { number };
            homer.write(PRESENT_CAP, &cap.to_be_bytes());
        }
        0xd2 if status == DONE => _ = homer.write(SHIFTING, &data[..1]),
        _ => {}
    }
    let [high, low] = answered.to_be_bytes();
    homer.write(ANSWER + HEAD_BYTES, &data[..answered.min(4) as usize]);
    homer.write(ANSWER, &[ANSWERED, request, command, status, high, low]);
    true
}

/// A HOMER whose controller works: the fastest state is number 0.
fn homer(layout: Layout, chip: u32) -> Paged {
    // One of the controllers is the master, who alone takes a power cap.
    let role = (chip == 0) as u8;
    let slowest = FREQUENCIES.len() as u8 - 1;
    let mut homer = Paged::new(HOMER_BYTES);
    // Valid, version, role; then the numbers of the slowest state, of the nominal one, of three that may be fastest.
    let head = match layout {
        Layout::Power9 => [1, 0x90, role, slowest, 1, 0, 0, 0],
        Layout::Power10 => [1, 0xa0, role, slowest, 1, 0, 0, 0],
    };
    homer.write(TABLE, &head);
    for (number, frequency) in FREQUENCIES.iter().enumerate() {
        let [a, b, c, d] = frequency.to_be_bytes();
        homer.write(STATES + 8 * number as u64, &[number as u8, 1, 0, 0, a, b, c, d]);
    }
    homer.write(DYNAMIC, &[ACTIVE]);
    let caps = [LEAST_KEPT, GREATEST, GREATEST, LEAST];
    homer.write(CAPS, caps.map(u16::to_be_bytes).as_flattened());
    // The engine for counters of the chip's units: it is paused, and has counters of none.
    homer.write(COUNTERS_STATUS, &PAUSED.to_be_bytes());
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
        assert_eq!(occ.load(Some(1), 0xe_2000, 8), Some(0x01a0_0002_0100_0000));
        assert_eq!(occ.load(Some(0), 0xe_2002, 1), Some(1));
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

    #[test]
    fn commands_are_answered_at_once() {
        let mut occ = Occ::cold(Layout::Power9, 1);
        let dynamic = 0xe_2b80;
        let command = |occ: &mut Occ, code: u64, length: u64, data: u64| {
            let at = dynamic + 128;
            assert_eq!(occ.store(Some(0), at + 1, 1, 7), Some(false));
            assert_eq!(occ.store(Some(0), at + 2, 1, code), Some(false));
            assert_eq!(occ.store(Some(0), at + 4, 2, length), Some(false));
            assert_eq!(occ.store(Some(0), at + 6, 4, data), Some(false));
            assert_eq!(occ.store(Some(0), at, 1, 0x80), Some(true));
            let answer = dynamic + 128 + 4096;
            let head = occ.load(Some(0), answer, 4).unwrap();
            assert_eq!(head & 0xffff_ff00, 0x0107_0000 | code << 8);
            (head & 0xff, occ.load(Some(0), answer + 4, 2).unwrap())
        };
        assert_eq!(command(&mut occ, 0xd1, 2, 1500 << 16), (0, 2));
        assert_eq!(occ.load(Some(0), dynamic + 10, 8), Some(500 << 48 | 3000 << 32 | 1500 << 16 | 1000));
        assert_eq!(command(&mut occ, 0xd1, 2, 999 << 16), (0x13, 0));
        assert_eq!(command(&mut occ, 0xd1, 4, 1600 << 16), (0x12, 0));
        assert_eq!(occ.load(Some(0), dynamic + 14, 2), Some(1500));
        assert_eq!(command(&mut occ, 0xd1, 2, 0), (0, 2));
        assert_eq!(occ.load(Some(0), dynamic + 14, 2), Some(3000));
        assert_eq!(command(&mut occ, 0xd2, 1, 60 << 24), (0, 1));
        assert_eq!(occ.load(Some(0), dynamic + 8, 1), Some(60));
        assert_eq!(command(&mut occ, 0xd2, 1, 101 << 24), (0x13, 0));
        assert_eq!(command(&mut occ, 0xd0, 4, 0x1000_0000), (0, 4));
        assert_eq!(command(&mut occ, 0xd3, 2, 0xffff_0000), (0, 2));
        assert_eq!(command(&mut occ, 0xd4, 0, 0), (0x11, 0));
    }
}
