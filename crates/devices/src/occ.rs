//! The on-chip controllers of POWER9 and POWER10, and what they leave in main memory for the host: in each chip's HOMER the
//! table of performance states and the controller's state, in the common area readings of sensors ("OCC/OpenPOWER firmware
//! interfaces", versions 0x90 and 0xa0; offsets are those that skiboot reads). The areas are main memory like any other:
//! the host reads and writes them as it likes, and the controllers look at them every four milliseconds.
//!
//! HOMER also has the region from which cores are restored when they leave a deep stop state ("POWER9 and POWER10 stop
//! API", memory map of the CPMR region): the host writes into it which registers get what. It is empty at first, and
//! nothing is ever restored from it, for no core loses its state here.
//!
//! The host gives commands in a buffer of the same area and is answered in another, with an interrupt: power caps, which
//! way power is shifted, and groups of sensors.
//!
//! An engine of each chip counts for the chip's units ("In-Memory Collection Counters", control block in skiboot's
//! include/imc.h): the host makes it run and pause, and while it runs it brings its counters to HOMER. One unit counts,
//! the power bus, and one thing: its cycles, by 256. So a count is a function of time alone.
//!
//! This machine has no frequencies and no heat: the states are there for the host to choose among, without effect, a power
//! cap is kept and caps nothing, and the one sensor of each chip always reads the same.
//!
//! Left out: throttling; other speeds and modes of the engine.

use alloc::{boxed::Box, vec, vec::Vec};
use timebase_memory::{Memory, Writer};
use timebase_state::time::TICKS_PER_SECOND;
use timebase_state::{Instant, Paged, State, Ticks};

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

/// Where counters of the chip's units are in HOMER.
pub const COUNTERS: u64 = 0x18_0000;
/// How many bytes they take.
pub const COUNTERS_BYTES: u64 = 0x4_0000;
/// Where among them the cycles of the power bus are.
pub const BUS_CYCLES: u64 = 0x118;
/// The last of it is the control block of the engine: its status, a command, how fast it collects, which units there are.
const CONTROL: u64 = COUNTERS + 0x3_fc00;
const CONTROL_COMMAND: u64 = CONTROL + 8;
const RUNNING: u64 = 1;
const PAUSED: u64 = 2;
/// Commands.
const RESUME: u64 = 1;
const PAUSE: u64 = 2;
const RESTART: u64 = 3;
/// Every 4 ms.
const SPEED: u64 = 3;
/// The power bus.
const UNITS: u64 = 1 << 63;
/// What is counted: cycles of 2 GHz by 256, of the time base in fractions.
const CYCLES: (u64, u64) = (125, 8192);

/// How often the controllers look at memory: every four milliseconds.
const PERIOD: Ticks = Ticks(TICKS_PER_SECOND / 250);

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

/// The engine that counts for the units of a chip.
#[derive(State, Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Engine {
    /// Ticks that were counted in earlier runs.
    counted: u64,
    /// Since when it runs.
    since: Option<Instant>,
}

/// The controllers of all chips.
#[derive(State, Clone)]
pub struct Occ {
    /// When they next look at memory.
    next: Instant,
    /// Of each chip.
    engines: Box<[Engine]>,
    #[wiring("from the configuration")]
    base: u64,
}

/// Bytes of all areas, which lie one behind the other: HOMERs of up to eight chips, then the common area.
pub const BYTES: u64 = 8 * HOMER_BYTES + COMMON_BYTES;

/// Where the HOMER of a chip is, if the areas begin at `base`.
pub fn homer_address(base: u64, chip: u32) -> u64 {
    base + chip as u64 * HOMER_BYTES
}

/// Where the common area is.
pub fn common_address(base: u64) -> u64 {
    base + BYTES - COMMON_BYTES
}

/// What the controllers have put into the areas when they have started, by address.
pub fn areas(layout: Layout, base: u64, chips: u32) -> Vec<(u64, Paged)> {
    let mut common = Paged::new(COMMON_BYTES);
    for chip in 0..chips as u64 {
        sensors(&mut common, SENSORS + chip * SENSORS_BYTES);
    }
    let homers = (0..chips).map(|chip| (homer_address(base, chip), homer(layout, chip)));
    homers.chain([(common_address(base), common)]).collect()
}

impl Occ {
    /// As they are when they have started; the areas begin at `base`.
    pub fn cold(base: u64, chips: u32, now: Instant) -> Occ {
        Occ { next: now + PERIOD, engines: vec![Engine::default(); chips as usize].into(), base }
    }

    /// When they next look at memory. While nobody is `busy` it stays as it is, so that they need not look unless a
    /// command waits.
    pub fn deadline(&self, busy: bool, memory: &Memory) -> Option<Instant> {
        let waits = |chip| is_command(memory, homer_address(self.base, chip));
        (busy || (0..self.engines.len() as u32).any(waits)).then_some(self.next)
    }

    /// Looks at memory, if it is time to. Gives the chips whose controllers answered a command, and interrupt the host.
    pub fn look(&mut self, now: Instant, memory: &mut Memory) -> Vec<u32> {
        if now < self.next {
            return Vec::new();
        }
        self.next = now + PERIOD;
        let base = self.base;
        for (chip, engine) in (0..).zip(&mut self.engines) {
            engine.look(now, memory, homer_address(base, chip));
        }
        let chips = 0..self.engines.len() as u32;
        chips.filter(|&chip| carry_out(memory, homer_address(base, chip))).collect()
    }
}

impl Engine {
    /// Does what the host wants, and brings the counters to the HOMER at `homer` while it runs.
    fn look(&mut self, now: Instant, memory: &mut Memory, homer: u64) {
        let gone = |since: Instant| Instant(now.0.wrapping_sub(since.0)).ticks();
        let total = |engine: &Engine| engine.counted + engine.since.map_or(0, gone);
        let ran = self.since.is_some();
        let command = memory.read_u64(homer + CONTROL_COMMAND).unwrap_or(0);
        let mut tell = |at, value| _ = memory.store_u64(homer + at, value, Writer::Other);
        *self = match command {
            RESUME if !ran => Engine { since: Some(now), ..*self },
            PAUSE => Engine { counted: total(self), since: None },
            RESTART => Engine { counted: 0, since: Some(now) },
            _ => *self,
        };
        let runs = self.since.is_some();
        if command != 0 {
            tell(CONTROL_COMMAND, 0);
            tell(CONTROL, if runs { RUNNING } else { PAUSED });
        }
        if ran || runs {
            let (cycles, ticks) = CYCLES;
            tell(COUNTERS + BUS_CYCLES, (total(self) as u128 * cycles as u128 / ticks as u128) as u64);
        }
    }
}

/// A command is complete in the HOMER at `homer`.
fn is_command(memory: &Memory, homer: u64) -> bool {
    let mut flag = [0];
    memory.read(homer + COMMAND, &mut flag).is_ok() && flag == [READY]
}

/// Carries out the command in the HOMER at `homer`, if there is one, and answers it.
fn carry_out(memory: &mut Memory, homer: u64) -> bool {
    let mut head = [0; HEAD_BYTES as usize];
    let mut data = [0; 4];
    let read =
        memory.read(homer + COMMAND, &mut head).and(memory.read(homer + COMMAND + HEAD_BYTES, &mut data));
    let [flag, request, command, _, high, low] = head;
    if read.is_err() || flag != READY {
        return false;
    }
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
    let mut write = |at: u64, bytes: &[u8]| _ = memory.store(homer + at, bytes, Writer::Other);
    match command {
        0xd1 if status == DONE => {
            let cap = if number == 0 { GREATEST } else { number };
            write(PRESENT_CAP, &cap.to_be_bytes());
        }
        0xd2 if status == DONE => write(SHIFTING, &data[..1]),
        _ => {}
    }
    let [high, low] = answered.to_be_bytes();
    write(ANSWER + HEAD_BYTES, &data[..answered.min(4) as usize]);
    write(ANSWER, &[ANSWERED, request, command, status, high, low]);
    // It is taken.
    write(COMMAND, &[0]);
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
    // The engine for counters of the chip's units: its status; no command; how fast, of which.
    homer.write(CONTROL, [PAUSED, 0, SPEED, UNITS].map(u64::to_be_bytes).as_flattened());
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

    const BASE: u64 = 0x100_0000;

    fn started(layout: Layout, chips: u32) -> (Occ, Memory) {
        let mut memory = Memory::new(BASE + BYTES, 1);
        for (address, area) in areas(layout, BASE, chips) {
            memory.place(address, &area, 0, area.len()).unwrap();
        }
        (Occ::cold(BASE, chips, at(0)), memory)
    }

    fn at(ticks: u64) -> Instant {
        Instant::from_ticks(ticks)
    }

    fn bytes<const N: usize>(memory: &Memory, address: u64) -> [u8; N] {
        let mut bytes = [0; N];
        memory.read(address, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn tables_are_where_firmware_looks() {
        let (_, memory) = started(Layout::Power10, 2);
        let (first, second, common) = (BASE, BASE + 0x40_0000, BASE + 0x200_0000);
        assert_eq!(memory.read_u64(second + 0xe_2000), Ok(0x01a0_0002_0100_0000));
        assert_eq!(bytes(&memory, first + 0xe_2002), [1]);
        assert_eq!(memory.read_u64(first + 0xe_2000 + 24 + 8), Ok(0x0101_0000_000d_bba0));
        assert_eq!(bytes(&memory, first + 0xe_2b80), [3]);
        assert_eq!(memory.read_u32(common + 0x5a_5800), Ok(0x0101_0001));
        assert_eq!(bytes(&memory, common + 0x58_0000 + 0x400), *b"TEMPNEST");
        assert_eq!(bytes(&memory, common + 0x58_0000 + 0xdc00 + 8 + 10), [0, 40]);
        assert_eq!((homer_address(BASE, 1), common_address(BASE)), (second, common));
    }

    #[test]
    fn every_core_that_a_chip_can_have_has_empty_lists_of_registers_to_restore() {
        for (layout, cores) in [(Layout::Power9, 24), (Layout::Power10, 32)] {
            let (_, memory) = started(layout, 1);
            assert_eq!(bytes(&memory, BASE + 0x20_0008), *b"CPMR");
            assert_eq!(bytes(&memory, BASE + 0x20_001f), [0xaa]);
            let end = |core: u64, list| memory.read_u32(BASE + 0x20_2400 + core * 0x1000 + list);
            for core in 0..cores {
                for list in [0, 0x200, 0x400, 0x600, 0xc00] {
                    assert_eq!(end(core, list), Ok(0x4e80_0020));
                }
            }
            assert_eq!(end(cores, 0), Ok(0));
        }
    }

    #[test]
    fn commands_are_answered_when_the_controllers_look() {
        let (mut occ, mut memory) = started(Layout::Power9, 2);
        let homer = BASE + HOMER_BYTES;
        let dynamic = homer + 0xe_2b80;
        let period = PERIOD.0;
        let mut now = period;
        let mut command = |memory: &mut Memory, code: u8, length: u8, data: u32| {
            let command = dynamic + 128;
            let flag = |memory: &mut Memory, flag| memory.store(command, &[flag], Writer::Cpu(0)).unwrap();
            memory.store(command + 1, &[7, code, 0, 0, length], Writer::Cpu(0)).unwrap();
            memory.store_u32(command + 6, data, Writer::Cpu(0)).unwrap();
            // While it is not complete nobody has to look; while somebody works they do all the same.
            assert_eq!((occ.deadline(false, memory), occ.deadline(true, memory)), (None, Some(at(now))));
            flag(memory, 0x80);
            assert_eq!(occ.deadline(false, memory), Some(at(now)));
            assert_eq!(occ.look(at(now - 1), memory), []);
            assert_eq!(occ.look(at(now), memory), [1]);
            assert_eq!(occ.look(at(now), memory), []);
            now += period;
            assert_eq!(occ.deadline(false, memory), None);
            let answer = dynamic + 128 + 4096;
            let head = memory.read_u32(answer).unwrap();
            assert_eq!(head & 0xffff_ff00, 0x0107_0000 | (code as u32) << 8);
            (head & 0xff, bytes(memory, answer + 4))
        };
        let memory = &mut memory;
        let cap = |memory: &Memory| bytes(memory, dynamic + 14);
        assert_eq!(command(memory, 0xd1, 2, 1500 << 16), (0, [0, 2]));
        assert_eq!(memory.read_u64(dynamic + 10), Ok(500 << 48 | 3000 << 32 | 1500 << 16 | 1000));
        assert_eq!(command(memory, 0xd1, 2, 999 << 16), (0x13, [0, 0]));
        assert_eq!(command(memory, 0xd1, 4, 1600 << 16), (0x12, [0, 0]));
        assert_eq!(cap(memory), 1500u16.to_be_bytes());
        assert_eq!(command(memory, 0xd1, 2, 0), (0, [0, 2]));
        assert_eq!(cap(memory), 3000u16.to_be_bytes());
        assert_eq!(command(memory, 0xd2, 1, 60 << 24), (0, [0, 1]));
        assert_eq!(bytes(memory, dynamic + 8), [60]);
        assert_eq!(command(memory, 0xd2, 1, 101 << 24), (0x13, [0, 0]));
        assert_eq!(command(memory, 0xd0, 4, 0x1000_0000), (0, [0, 4]));
        assert_eq!(command(memory, 0xd3, 2, 0xffff_0000), (0, [0, 2]));
        assert_eq!(command(memory, 0xd4, 0, 0), (0x11, [0, 0]));
    }

    #[test]
    fn the_engine_for_units_counts_while_it_runs() {
        let (mut occ, mut memory) = started(Layout::Power9, 1);
        let memory = &mut memory;
        let control = BASE + 0x1b_fc00;
        let period = PERIOD.0;
        let mut look = |memory: &mut Memory, command, periods| {
            memory.store_u64(control + 8, command, Writer::Cpu(0)).unwrap();
            occ.look(at(periods * period), memory);
            (memory.read_u64(control).unwrap(), memory.read_u64(BASE + 0x18_0118).unwrap())
        };
        // A second is 2 GHz by 256.
        let second = 2_000_000_000 / 256;
        assert_eq!(look(memory, 0, 1), (2, 0));
        assert_eq!(look(memory, 1, 2), (1, 0));
        assert_eq!(look(memory, 1, 252), (1, second));
        assert_eq!(memory.read_u64(control + 8), Ok(0));
        assert_eq!(look(memory, 2, 502), (2, 2 * second));
        assert_eq!(look(memory, 2, 752), (2, 2 * second));
        assert_eq!(look(memory, 1, 1002), (1, 2 * second));
        assert_eq!(look(memory, 0, 1252), (1, 3 * second));
        assert_eq!(look(memory, 3, 1502), (1, 0));
        assert_eq!(look(memory, 0, 1752), (1, second));
        assert_eq!(memory.read_u64(control + 24), Ok(1 << 63));
    }
}
