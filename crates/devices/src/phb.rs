//! A PCI Express host bridge of a POWER9 (PHB4) or POWER10 (PHB5) chip, with nothing behind its root port ("POWER9
//! Processor Registers Specification", PCI chiplets and PBCQ; "PHB4 Functional Specification", MMIO registers and IODA3
//! tables; numbers are those that skiboot programs).
//!
//! It is reached in three ways: over XSCOM, its stack in the nest unit (windows, fence) and in the PCI unit (reset, and
//! the MMIO registers by address and data); by loads and stores, the MMIO registers in one window and the event states
//! of its interrupts in another.
//!
//! The link to the slot is up as soon as the slot is out of reset, as if something were there that answers no
//! configuration cycle: what reads a slot without a link waits a second of the guest's time for it, in a loop. No
//! configuration cycle and no access in the windows to the bus is answered ([`errors`]); so no DMA and no
//! message-signalled interrupt ever comes from here, and what the host bridge has for them it keeps for whoever reads it.
//! Software that triggers one of its interrupts is served.
//!
//! Left out: CAPI.

mod errors;
mod root_port;

use crate::xive_native::bits::{self, Management, PENDING};
use alloc::{collections::BTreeMap, vec::Vec};
use errors::Access;
use root_port::RootPort;
use timebase_memory::Memory;
use timebase_state::{Paged, State};

/// Which host bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// Of POWER9.
    Phb4,
    /// Of POWER10.
    Phb5,
}

/// Which unit's XSCOM registers are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The stack in the nest.
    Nest,
    /// The stack in the PCI unit.
    Pci,
    /// The way to the MMIO registers.
    Indirect,
}

/// Partitionable endpoints, interrupts: what the bridge says it has.
const ENDPOINTS: u64 = 512;
const INTERRUPTS: u64 = 4096;
/// The last interrupts are level-sensitive.
const LEVEL: u64 = 8;

/// Bytes of the window of MMIO registers.
const WINDOW: u64 = 0x2000;
/// The root port's configuration space in it.
const CONFIGURATION: core::ops::Range<u32> = 0x1000..0x1800;

/// XSCOM registers of the nest stack: fault isolation, windows and their enables.
const FAULTS: u32 = 0;
const FIRST_FAULT: u32 = 8;
const FIRST_WINDOW: u32 = 0xe;
const SECOND_WINDOW: u32 = 0x10;
const MMIO_BASE: u32 = 0x12;
const EVENTS_BASE: u32 = 0x13;
const ENABLES: u32 = 0x14;
/// XSCOM registers of the PCI stack: reset.
const RESET: u32 = 0xa;

/// MMIO registers.
const DMA_STATUS: u32 = 0x110;
const ACCESS_STATUS: u32 = 0x120;
const CONFIGURATION_DATA: core::ops::Range<u32> = 0x130..0x138;
const CONFIGURATION_ADDRESS: u32 = 0x140;
const DMA_SYNC: u32 = 0x200;
const TABLE_ADDRESS: u32 = 0x220;
const TABLE_DATA: u32 = 0x228;
const ERROR_SUMMARY: u32 = 0x2c8;
const NOTIFY_INDEX: u32 = 0x308;
const CONTROL: u32 = 0x810;
const RESETS: u32 = 0x1a10;
const TRAINING: u32 = 0x1a40;
const TRACE: u32 = 0x1a80;

/// Tables, by their number in the address register.
const TABLE_LEVEL: u64 = 1;
const TABLE_MESSAGE: u64 = 2;
const TABLES: u64 = 32;
const TABLE_ENTRIES: u64 = 1024;

/// Bit `n` from the left.
const fn bit(n: u32) -> u64 {
    1 << (63 - n)
}

/// What an MMIO register is.
enum Kind {
    /// It keeps what is written; so it reads before.
    Kept(u64),
    /// It reads so; writes have no effect, or their effect is over at once.
    Fixed(u64),
    /// A write clears or sets bits of another register.
    Clears(u32),
    Sets(u32),
    /// A part's errors: a write clears bits by ones.
    Errors,
    /// A write makes the part trap these errors; it reads as 0.
    Injection,
}
use Kind::{Clears, Errors, Fixed, Injection, Kept, Sets};

/// A host bridge.
#[derive(State, Clone)]
pub struct Phb {
    /// XSCOM registers of the nest stack and the PCI stack.
    nest: BTreeMap<u32, u64>,
    pci: BTreeMap<u32, u64>,
    /// Where the next indirect access goes.
    indirect: u64,
    /// MMIO registers that were written.
    registers: BTreeMap<u32, u64>,
    root_port: RootPort,
    /// The tables, each of [`TABLE_ENTRIES`] doublewords.
    tables: Paged,
    /// Numbers of interrupts that are to notify XIVE.
    events: Vec<u32>,
    #[wiring("from the configuration")]
    generation: Generation,
}

impl Phb {
    /// As after power-on.
    pub fn cold(generation: Generation) -> Phb {
        Phb {
            nest: BTreeMap::new(),
            pci: BTreeMap::new(),
            indirect: 0,
            registers: BTreeMap::new(),
            root_port: RootPort::cold(generation),
            tables: Paged::new(TABLES * TABLE_ENTRIES * 8),
            events: Vec::new(),
            generation,
        }
    }

    /// Loads an XSCOM register. None: there is none.
    pub fn scom(&mut self, unit: Unit, number: u32, memory: &mut Memory) -> Option<u64> {
        match (unit, number) {
            // No transaction is under way; nothing to report.
            (Unit::Nest, 0xa..=0xc) | (Unit::Pci, 0xb) => Some(0),
            (Unit::Nest, 0..=0x16) => Some(stored(&self.nest, number)),
            (Unit::Pci, 0..=8 | RESET) => Some(stored(&self.pci, number)),
            (Unit::Indirect, 0) => Some(self.indirect),
            (Unit::Indirect, 1) => {
                let (offset, bytes) = self.indirect_access()?;
                self.read(offset, bytes, memory)
            }
            _ => None,
        }
    }

    /// Stores an XSCOM register. None: there is none.
    pub fn set_scom(&mut self, unit: Unit, number: u32, value: u64, memory: &mut Memory) -> Option<()> {
        match (unit, number) {
            (Unit::Nest, 0..=8) => isolate(&mut self.nest, number, value),
            (Unit::Pci, 0..=8) => isolate(&mut self.pci, number, value),
            (Unit::Nest, 0xa..=0xc) | (Unit::Pci, 0xb) => {}
            (Unit::Nest, 0xd..=0x16) => _ = self.nest.insert(number, value),
            (Unit::Pci, RESET) => {
                self.pci.insert(number, value);
                if self.in_reset() {
                    self.reset();
                }
            }
            (Unit::Indirect, 0) => self.indirect = value,
            (Unit::Indirect, 1) => {
                let (offset, bytes) = self.indirect_access()?;
                self.write(offset, bytes, value, memory);
            }
            _ => return None,
        }
        Some(())
    }

    /// Register and number of bytes that the address for indirect accesses means.
    fn indirect_access(&self) -> Option<(u32, u8)> {
        const VALID: u64 = bit(0);
        const FOUR_BYTES: u64 = bit(1);
        let bytes = if self.indirect & FOUR_BYTES != 0 { 4 } else { 8 };
        (self.indirect & VALID != 0).then_some(((self.indirect & (WINDOW - 1)) as u32, bytes))
    }

    /// The MMIO registers are in reset.
    fn in_reset(&self) -> bool {
        stored(&self.pci, RESET) & bit(0) != 0
    }

    /// What a reset of the MMIO registers leaves: whether the slot is in reset, and no more.
    fn reset(&mut self) {
        let slot = stored(&self.registers, RESETS) & SLOT_RUNS;
        let known = self.registers.contains_key(&RESETS);
        self.registers.clear();
        if known {
            self.registers.insert(RESETS, RESETS_COLD & !SLOT_RUNS | slot);
        }
        self.root_port = RootPort::cold(self.generation);
        self.tables = Paged::new(TABLES * TABLE_ENTRIES * 8);
        self.events.clear();
    }

    /// The offset of an address in a window of the nest stack, if it is enabled.
    fn window(&self, address: u64, base: u32, enable: u64, bytes: u64) -> Option<u64> {
        if stored(&self.nest, ENABLES) & enable == 0 {
            return None;
        }
        let offset = address.wrapping_sub(stored(&self.nest, base) >> 8);
        (offset < bytes).then_some(offset)
    }

    /// The address is in a window to the bus.
    fn is_of_bus(&self, address: u64) -> bool {
        let nest = |number| stored(&self.nest, number);
        [(FIRST_WINDOW, bit(0)), (SECOND_WINDOW, bit(1))].into_iter().any(|(base, enable)| {
            nest(ENABLES) & enable != 0 && (address ^ nest(base) >> 8) & nest(base + 1) >> 8 == 0
        })
    }

    /// log2 of the distance of the pages of event states.
    fn page_shift(&self) -> u32 {
        const WIDE: u64 = bit(11);
        if self.register(CONTROL) & WIDE != 0 { 16 } else { 12 }
    }

    /// What is at this address.
    fn place(&self, address: u64) -> Option<Place> {
        if let Some(offset) = self.window(address, MMIO_BASE, bit(2), WINDOW) {
            return Some(Place::Register(offset as u32));
        }
        let shift = self.page_shift();
        match self.window(address, EVENTS_BASE, bit(3), INTERRUPTS << shift) {
            Some(offset) => Some(Place::Event(offset >> shift, offset & 0xfff)),
            None => self.is_of_bus(address).then_some(Place::Bus),
        }
    }

    /// Loads. None: the address is not the bridge's, or nobody answers there.
    pub fn load(&mut self, address: u64, bytes: u8, memory: &mut Memory) -> Option<u64> {
        match self.place(address)? {
            _ if self.is_fenced() => Some(u64::MAX),
            Place::Register(offset) => self.read(offset, bytes, memory),
            Place::Event(number, offset) => Some(self.manage(number, bits::on_load(offset))),
            Place::Bus => {
                self.access_bus(Access::Memory(address), false, memory);
                None
            }
        }
    }

    /// Stores.
    pub fn store(&mut self, address: u64, bytes: u8, value: u64, memory: &mut Memory) -> Option<()> {
        match self.place(address)? {
            _ if self.is_fenced() => Some(()),
            Place::Register(offset) => self.write(offset, bytes, value, memory),
            Place::Event(number, offset) => {
                self.manage(number, bits::on_store(offset));
                Some(())
            }
            Place::Bus => {
                self.access_bus(Access::Memory(address), true, memory);
                None
            }
        }
    }

    /// MMIO accesses are held back: in reset, or after a fault.
    fn is_fenced(&self) -> bool {
        self.in_reset() || stored(&self.nest, FAULTS) != 0
    }

    /// The value of an MMIO register of 8 bytes that has no effect when it is read.
    fn register(&self, offset: u32) -> u64 {
        match kind(self.generation, offset) {
            Some(Kept(before)) => self.registers.get(&offset).copied().unwrap_or(before),
            Some(Fixed(value)) => value,
            Some(Clears(of) | Sets(of)) => self.register(of),
            Some(Errors) => stored(&self.registers, offset),
            Some(Injection) => 0,
            None => u64::MAX,
        }
    }

    /// Loads an MMIO register, as a big-endian number.
    fn read(&mut self, offset: u32, bytes: u8, memory: &mut Memory) -> Option<u64> {
        if CONFIGURATION.contains(&offset) && bytes <= 4 {
            let link = self.link().then(|| self.speed());
            return Some(self.root_port.read(offset - CONFIGURATION.start, bytes, link));
        }
        if CONFIGURATION_DATA.contains(&offset) {
            self.access_bus(Access::Configuration, false, memory);
            return Some(u64::MAX);
        }
        if bytes != 8 {
            return None;
        }
        match offset {
            TABLE_DATA => {
                let at = self.table_entry();
                Some(self.entry(at))
            }
            TRAINING => Some(self.training()),
            DMA_STATUS | ACCESS_STATUS => Some(self.status()),
            ERROR_SUMMARY => Some(self.summary()),
            _ => kind(self.generation, offset).map(|_| self.register(offset)),
        }
    }

    /// Stores it.
    fn write(&mut self, offset: u32, bytes: u8, value: u64, memory: &mut Memory) -> Option<()> {
        if CONFIGURATION.contains(&offset) && bytes <= 4 {
            self.root_port.write(offset - CONFIGURATION.start, bytes, value);
            return Some(());
        }
        if CONFIGURATION_DATA.contains(&offset) {
            self.access_bus(Access::Configuration, true, memory);
            return Some(());
        }
        if bytes != 8 {
            return None;
        }
        match offset {
            TABLE_DATA => self.set_table_data(value),
            // What is asked for is done.
            DMA_SYNC => {
                const STARTS: u64 = bit(0) | bit(2);
                self.registers.insert(offset, value & !STARTS | (value & STARTS) >> 1);
            }
            _ => match kind(self.generation, offset)? {
                Kept(_) => _ = self.registers.insert(offset, value),
                Fixed(_) => {}
                Clears(of) => _ = self.registers.insert(of, self.register(of) & value),
                Sets(of) => _ = self.registers.insert(of, self.register(of) | value),
                Errors => _ = self.registers.insert(offset, self.register(offset) & !value),
                Injection => self.trap(offset - errors::INJECT, value),
            },
        }
        if offset >= errors::REGISTERS {
            self.bring_error_lines();
        }
        Some(())
    }

    /// The link is up: the slot is not in reset, and nobody disabled it.
    fn link(&self) -> bool {
        const NO_DETECTION: u64 = bit(12);
        self.register(RESETS) & SLOT_RUNS != 0
            && self.register(TRAINING) & NO_DETECTION == 0
            && !self.root_port.holds_link_down()
    }

    /// The generation of PCI Express that the link runs at: what software allows.
    fn speed(&self) -> u64 {
        const SYSTEM: u32 = 0x1a00;
        (self.register(SYSTEM) >> 28 & 15).clamp(1, fastest(self.generation))
    }

    /// State of the link's training.
    fn training(&self) -> u64 {
        const UP: u64 = bit(19) | bit(23);
        const WIDTH: u64 = 16;
        const DETECTS: u64 = 1 << 36;
        const L0: u64 = 4 << 36;
        let traced = if self.register(TRACE) & bit(0) != 0 { u64::MAX } else { 0 };
        self.register(TRAINING) & bit(12)
            | if self.link() { UP | WIDTH << 28 | self.speed() << 24 | traced & L0 } else { traced & DETECTS }
    }

    /// The entry of a table that the address register means.
    fn table_entry(&self) -> u64 {
        let address = self.register(TABLE_ADDRESS);
        (address >> 48 & (TABLES - 1)) * TABLE_ENTRIES + (address & (TABLE_ENTRIES - 1))
    }

    fn entry(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.tables.read(at * 8, &mut bytes);
        u64::from_be_bytes(bytes)
    }

    fn set_entry(&mut self, at: u64, value: u64) {
        self.tables.write(at * 8, &value.to_be_bytes());
    }

    /// Stores into the entry, and goes on to the next one if the address says so.
    fn set_table_data(&mut self, value: u64) {
        const GO_ON: u64 = bit(0);
        let (at, address) = (self.table_entry(), self.register(TABLE_ADDRESS));
        // Of the four interrupts in an entry, those that the address names are written.
        let mask = match at / TABLE_ENTRIES {
            TABLE_MESSAGE => {
                (0..4).filter(|n| address >> (35 - n) & 1 != 0).map(|n| 0xffff << (48 - 16 * n)).sum()
            }
            _ => u64::MAX,
        };
        let old = self.entry(at);
        self.set_entry(at, old & !mask | value & mask);
        self.note_frozen(at);
        if address & GO_ON != 0 {
            let next = (address + 1) & (TABLE_ENTRIES - 1);
            self.registers.insert(TABLE_ADDRESS, address & !(TABLE_ENTRIES - 1) | next);
        }
    }

    /// Where the event state of an interrupt is: entry of a table, and shift of its two bits.
    fn state_place(number: u64) -> (u64, u32) {
        match number.checked_sub(INTERRUPTS - LEVEL) {
            Some(level) => (TABLE_LEVEL * TABLE_ENTRIES + level, 56),
            None => (TABLE_MESSAGE * TABLE_ENTRIES + number / 4, 62 - 16 * (number % 4) as u32),
        }
    }

    /// An access to the event page of an interrupt.
    fn manage(&mut self, number: u64, what: Management) -> u64 {
        let (at, shift) = Self::state_place(number);
        let entry = self.entry(at);
        let old = (entry >> shift & 3) as u8;
        let (new, event) = match what {
            Management::EndOfInterrupt => bits::end_of_interrupt(old),
            Management::Trigger => bits::trigger(old),
            Management::Set(new) => (new, false),
            Management::Get | Management::Nothing => (old, false),
        };
        // A line that is still on is an event again as soon as the last one is over.
        let (new, event) =
            if new == bits::RESET && self.is_on(number) { bits::trigger(new) } else { (new, event) };
        if new != old {
            self.set_entry(at, entry & !(3 << shift) | (new as u64) << shift);
        }
        if event {
            self.events.push((self.register(NOTIFY_INDEX) as u32).wrapping_add(number as u32));
        }
        match what {
            Management::Get | Management::Set(_) => old as u64,
            Management::EndOfInterrupt => (new == PENDING) as u64,
            _ => 0,
        }
    }

    /// Interrupts are to notify XIVE.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Takes the numbers with which interrupts notify XIVE: block in the upper four bits of 32.
    pub fn take_events(&mut self) -> Vec<u32> {
        core::mem::take(&mut self.events)
    }
}

/// What an address means.
enum Place {
    Register(u32),
    /// An interrupt, and the offset in its page.
    Event(u64, u64),
    Bus,
}

fn stored(registers: &BTreeMap<u32, u64>, number: u32) -> u64 {
    registers.get(&number).copied().unwrap_or(0)
}

/// Stores a register of fault isolation: faults, or their mask, to store, to clear by zeros, to set by ones; what to do.
fn isolate(registers: &mut BTreeMap<u32, u64>, number: u32, value: u64) {
    let (of, value) = match number {
        1 | 4 => (number - 1, stored(registers, number - 1) & value),
        2 | 5 => (number - 2, stored(registers, number - 2) | value),
        _ => (number, value),
    };
    registers.insert(of, value);
}

/// Resets: configuration, transaction and buffer layers are in reset; the slot is not.
const RESETS_COLD: u64 = 7 << 61 | SLOT_RUNS;
const SLOT_RUNS: u64 = bit(3);

/// The fastest generation of PCI Express.
fn fastest(generation: Generation) -> u64 {
    match generation {
        Generation::Phb4 => 4,
        Generation::Phb5 => 5,
    }
}

/// The MMIO register of 8 bytes at this offset, if there is one.
fn kind(generation: Generation, offset: u32) -> Option<Kind> {
    if !offset.is_multiple_of(8) {
        return None;
    }
    Some(match offset {
        // Source of level-sensitive interrupts, locks, configuration address, configuration, base addresses of tables,
        // compare values, outbound addresses.
        0x100
        | 0x138
        | CONFIGURATION_ADDRESS
        | 0x148
        | 0x160
        | 0x168
        | 0x188
        | 0x1a0
        | 0x1a8
        | 0x1c0
        | 0x1c8
        | 0x1d0
        | 0x1f0
        | 0x1f8 => Kept(0),
        // Of errors of DMA, of loads and stores, of all parts.
        DMA_STATUS | ACCESS_STATUS | ERROR_SUMMARY => Fixed(0),
        DMA_SYNC | 0x218 | TABLE_ADDRESS => Kept(0),
        // Invalidations are done at once.
        0x208 | 0x210 => Fixed(0),
        // Capabilities: general, of translation, of interrupts, of error handling.
        0x250 => Fixed(0xe4b8 << 48),
        0x258 => Fixed(0x4008_4400_0000_0400),
        0x260 => Fixed(8 << 48 | INTERRUPTS),
        0x268 => Fixed(ENDPOINTS << 52),
        // Injection of errors into accesses.
        0x2b0 | 0x2b8 | 0x2c0 => Kept(0),
        0x300 | NOTIFY_INDEX => Kept(0),
        // Version.
        0x800 => Fixed(match generation {
            Generation::Phb4 => 0xa4 << 32 | 2,
            Generation::Phb5 => 0xa5 << 32 | 2,
        }),
        CONTROL | 0x860..=0x880 => Kept(0),
        // Queue of DMA reads: quiet.
        0x888 | 0x908 => Fixed(0),
        // Faults of the local error macro and their mask, each with two registers that change bits.
        0xc00 | 0xc18 | 0xc30..=0xc40 => Kept(0),
        0xc08 => Clears(0xc00),
        0xc10 => Sets(0xc00),
        0xc20 => Clears(0xc18),
        0xc28 => Sets(0xc18),
        // Errors of parts of the bridge, and what to do with each.
        0xc80..=0xcd8 | 0xd00..=0xdd8 | 0xe00..=0xed8 | 0x1900..=0x1958 | 0x1c00..=0x1c58 => {
            match offset & 0x7f {
                errors::STATUS => Errors,
                errors::INJECT => Injection,
                _ => Kept(0),
            }
        }
        0xf80..=0xfa8 => Kept(0),
        // Packet buffer layer.
        0x1800..=0x1840 => Kept(0),
        // System configuration, resets, presence (the line says no when it is 1).
        0x1a00 => Kept(fastest(generation) << 28),
        RESETS => Kept(RESETS_COLD),
        0x1a20 => Fixed(0),
        TRAINING | 0x1a78 | TRACE => Kept(0),
        // Logs and counters of errors.
        0x1aa0..=0x1ab8 => Fixed(0),
        // Lane equalization, tracing, straps.
        0x1ad0..=0x1b38 => Kept(0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const BASE: u64 = 0x0006_00c3_c000_0000;
    pub(super) const EVENTS: u64 = 0x0006_0210_0000_0000;

    /// A host bridge, and the memory that it reaches.
    pub(super) struct Tested {
        pub phb: Phb,
        pub memory: Memory,
    }

    impl Tested {
        pub fn load(&mut self, address: u64, bytes: u8) -> Option<u64> {
            self.phb.load(address, bytes, &mut self.memory)
        }
        pub fn store(&mut self, address: u64, bytes: u8, value: u64) -> Option<()> {
            self.phb.store(address, bytes, value, &mut self.memory)
        }
        pub fn scom(&mut self, unit: Unit, number: u32) -> Option<u64> {
            self.phb.scom(unit, number, &mut self.memory)
        }
        pub fn set_scom(&mut self, unit: Unit, number: u32, value: u64) -> Option<()> {
            self.phb.set_scom(unit, number, value, &mut self.memory)
        }
    }

    /// One with 1 MiB of memory whose registers and event states are at [`BASE`] and [`EVENTS`].
    pub(super) fn phb() -> Tested {
        let mut phb = Tested { phb: Phb::cold(Generation::Phb4), memory: Memory::new(1 << 20, 1) };
        phb.set_scom(Unit::Nest, MMIO_BASE, BASE << 8).unwrap();
        phb.set_scom(Unit::Nest, EVENTS_BASE, EVENTS << 8).unwrap();
        assert_eq!(phb.load(BASE + 0x800, 8), None);
        phb.set_scom(Unit::Nest, ENABLES, bit(2) | bit(3)).unwrap();
        phb
    }

    #[test]
    fn registers_are_found_in_the_window_and_over_xscom() {
        let mut phb = phb();
        assert_eq!(phb.load(BASE + 0x800, 8), Some(0xa4_0000_0002));
        phb.set_scom(Unit::Indirect, 0, bit(0) | 0x268).unwrap();
        assert_eq!(phb.scom(Unit::Indirect, 1), Some(512 << 52));
        assert_eq!((phb.load(BASE + 0x118, 8), phb.load(BASE + WINDOW, 8)), (None, None));
        assert_eq!((phb.scom(Unit::Nest, 0x17), phb.set_scom(Unit::Pci, 0xc, 0)), (None, None));
        phb.store(BASE + 0xc10, 8, 5).unwrap();
        phb.store(BASE + 0xc08, 8, 4).unwrap();
        assert_eq!(phb.load(BASE + 0xc00, 8), Some(4));
        assert_eq!((phb.load(BASE + 0x130, 4), phb.store(BASE + 0x130, 4, 7)), (Some(u64::MAX), Some(())));
    }

    #[test]
    fn the_fence_and_the_reset_hold_accesses_back_and_the_reset_forgets() {
        let mut phb = phb();
        phb.store(BASE + 0x168, 8, 7).unwrap();
        phb.set_scom(Unit::Nest, 2, 1 << 37).unwrap();
        assert_eq!(phb.load(BASE + 0x168, 8), Some(u64::MAX));
        phb.set_scom(Unit::Nest, 1, 0).unwrap();
        assert_eq!(phb.load(BASE + 0x168, 8), Some(7));
        phb.store(BASE + RESETS as u64, 8, 0).unwrap();
        phb.set_scom(Unit::Pci, RESET, bit(0)).unwrap();
        phb.store(BASE + 0x168, 8, 8).unwrap();
        phb.set_scom(Unit::Pci, RESET, 0).unwrap();
        assert_eq!(phb.load(BASE + 0x168, 8), Some(0));
        assert_eq!(phb.load(BASE + RESETS as u64, 8), Some(7 << 61));
    }

    #[test]
    fn the_link_is_up_unless_it_is_held_down() {
        const UP: u64 = bit(19) | bit(23);
        let mut phb = phb();
        assert_eq!(phb.load(BASE + 0x1a40, 8).unwrap() & UP, UP);
        // The link's status in the root port: active, x16, of generation 4.
        assert_eq!(phb.load(BASE + 0x1058, 4), Some(0x0000_0421));
        phb.store(BASE + 0x1058, 4, 0x1000_0000).unwrap();
        assert_eq!(phb.load(BASE + 0x1a40, 8).unwrap() & UP, 0);
        phb.store(BASE + 0x1058, 4, 0).unwrap();
        phb.store(BASE + RESETS as u64, 8, 0).unwrap();
        assert_eq!(phb.load(BASE + 0x1a40, 8).unwrap() & UP, 0);
    }

    #[test]
    fn tables_are_filled_one_entry_after_the_other() {
        let mut phb = phb();
        phb.store(BASE + 0x220, 8, bit(0) | 9 << 48 | 1023).unwrap();
        phb.store(BASE + 0x228, 8, 5).unwrap();
        phb.store(BASE + 0x228, 8, 6).unwrap();
        assert_eq!(phb.load(BASE + 0x220, 8), Some(bit(0) | 9 << 48 | 1));
        phb.store(BASE + 0x220, 8, 9 << 48).unwrap();
        assert_eq!(phb.load(BASE + 0x228, 8), Some(6));
        // Of four interrupts, the second.
        phb.store(BASE + 0x220, 8, 2 << 48 | 1 << 34).unwrap();
        phb.store(BASE + 0x228, 8, u64::MAX).unwrap();
        assert_eq!(phb.load(BASE + 0x228, 8), Some(0xffff << 32));
    }

    #[test]
    fn interrupts_are_held_back_by_their_event_states() {
        let mut phb = phb();
        phb.store(BASE + 0x308, 8, 0x1000_0000).unwrap();
        phb.store(BASE + 0x810, 8, bit(11)).unwrap();
        for number in [5, INTERRUPTS - 1] {
            let page = EVENTS + (number << 16);
            phb.store(page, 8, 0).unwrap();
            phb.store(page, 8, 0).unwrap();
            assert_eq!(phb.phb.take_events(), [0x1000_0000 + number as u32]);
            assert_eq!(phb.load(page + 0x800, 8), Some(3));
            assert_eq!(phb.load(page, 8), Some(1));
            assert_eq!(phb.phb.take_events(), [0x1000_0000 + number as u32]);
            assert_eq!(phb.load(page + 0xd00, 8), Some(2));
            phb.store(page, 8, 0).unwrap();
            assert_eq!(phb.phb.take_events(), []);
        }
        assert_eq!(phb.phb.entry(TABLE_MESSAGE * TABLE_ENTRIES + 1), 1 << 46);
        assert_eq!(phb.load(EVENTS + (INTERRUPTS << 16), 8), None);
    }
}
