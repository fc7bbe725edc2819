//! Errors of a host bridge: what its parts trap and what that leads to; endpoints that are frozen because an access to
//! them failed; errors that software injects ("PHB4 Functional Specification", error registers; "I/O Design Architecture
//! v3", PEST and PEEV; numbers, bits and what they enable are those that skiboot programs).
//!
//! An access to the bus that nobody answers is an unsupported request: it reads as all ones and freezes its endpoint, in
//! the tables of the bridge and, with its cause, in memory. That is how firmware finds that a slot is empty.
//!
//! Left out: the local error macro's summary and logs of errors; what the root port's own registers would say.

use super::{
    CONFIGURATION_ADDRESS, CONTROL, ENDPOINTS, FAULTS, FIRST_FAULT, INTERRUPTS, LEVEL, Phb, TABLE_ENTRIES,
    TABLE_LEVEL, bit, stored,
};
use crate::xive_native::bits::{Management, field};
use timebase_memory::{Memory, Writer};

/// Where the first registers of errors are.
pub(super) const REGISTERS: u32 = 0xc80;
/// Where the registers of the parts begin: the bridge as a whole, what goes out, what comes in (arbitration, merging,
/// translation of DMA).
const PARTS: [u32; 5] = [REGISTERS, OUTBOUND, INBOUND, 0xe00, 0xe80];
const OUTBOUND: u32 = 0xd00;
const INBOUND: u32 = 0xd80;
/// Likewise of the link's: packet buffers and registers.
const LINK_PARTS: [u32; 2] = [0x1900, 0x1c00];

/// Registers of a part: errors, the first ones, those to inject, which of them interrupt, freeze an endpoint, fence the
/// bridge off; which are not trapped, nor as the first ones.
pub(super) const STATUS: u32 = 0;
const FIRST: u32 = 8;
pub(super) const INJECT: u32 = 0x10;
const INTERRUPT: u32 = 0x20;
const FREEZE: u32 = 0x28;
const FENCE: u32 = 0x30;
const MASK: u32 = 0x50;
const FIRST_MASK: u32 = 0x58;
/// Of a part of the link: which errors are for information only, which are about an endpoint, which are fatal.
const INFORMATION: u32 = 0x20;
const ENDPOINT: u32 = 0x28;
const FATAL: u32 = 0x30;

/// The interrupts of errors, among the level-sensitive ones: for information, and the others.
const INFORMATION_LINE: u64 = 6;
const ERROR_LINE: u64 = 7;
/// The line of a level-sensitive interrupt, in its table entry.
const LINE: u64 = bit(14);

/// An unsupported request was the answer to a load or a configuration cycle that reads, to one that writes.
const UNANSWERED_READ: u64 = bit(1);
const UNANSWERED_WRITE: u64 = bit(17);

/// Tables by endpoint: loads and stores are frozen, DMA is; endpoints of which either is, a bit for each; endpoints of
/// segments of windows, windows.
const TABLE_LOADS: u64 = 7;
const TABLE_DMA: u64 = 8;
const TABLE_WINDOWS: u64 = 16;
const WINDOWS: u64 = 16;
const TABLE_SEGMENTS: u64 = 17;
const TABLE_FROZEN: u64 = 20;
const FROZEN: u64 = bit(0);

/// Where the table of causes is in memory, and errors to inject into accesses: what kind, at which address, which of its
/// bits count.
const CAUSES: u32 = 0x1a8;
const INJECTION: u32 = 0x2b0;
const INJECTION_ADDRESS: u32 = 0x2b8;
const INJECTION_MASK: u32 = 0x2c0;

/// An access to the bus.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// A configuration cycle to what the address register names.
    Configuration,
    /// A load or a store to this address in a window.
    Memory(u64),
}

impl Phb {
    /// A part of the bridge traps errors.
    pub(super) fn trap(&mut self, part: u32, errors: u64) {
        let trapped = errors & !self.register(part + MASK);
        let first = errors & !self.register(part + FIRST_MASK);
        if self.register(part + FIRST) == 0 && first != 0 {
            self.registers.insert(part + FIRST, first);
        }
        let status = self.register(part + STATUS);
        self.registers.insert(part + STATUS, status | trapped);
        if PARTS.contains(&part) && self.register(part + FENCE) & trapped != 0 {
            self.fence();
        }
        self.bring_error_lines();
    }

    /// Holds all accesses back until software clears the fault.
    fn fence(&mut self) {
        const FENCED: u64 = bit(16);
        let faults = stored(&self.nest, FAULTS);
        if faults == 0 {
            self.nest.insert(FIRST_FAULT, FENCED);
        }
        self.nest.insert(FAULTS, faults | FENCED);
    }

    /// What of a part's errors its register `enable` enables.
    fn enabled(&self, part: u32, enable: u32) -> bool {
        self.register(part + STATUS) & self.register(part + enable) != 0
    }

    /// Brings the lines of the two interrupts of errors to their event states.
    pub(super) fn bring_error_lines(&mut self) {
        let information = LINK_PARTS.iter().any(|&part| self.enabled(part, INFORMATION));
        let of_link = |&part: &u32| self.enabled(part, ENDPOINT) || self.enabled(part, FATAL);
        let error = PARTS.iter().any(|&part| self.enabled(part, INTERRUPT)) || LINK_PARTS.iter().any(of_link);
        for (line, on) in [(INFORMATION_LINE, information), (ERROR_LINE, error)] {
            let at = TABLE_LEVEL * TABLE_ENTRIES + line;
            let entry = self.entry(at);
            if (entry & LINE != 0) != on {
                self.set_entry(at, entry ^ LINE);
                if on {
                    self.manage(INTERRUPTS - LEVEL + line, Management::Trigger);
                }
            }
        }
    }

    /// A level-sensitive interrupt whose line is on.
    pub(super) fn is_on(&self, number: u64) -> bool {
        let line = number.checked_sub(INTERRUPTS - LEVEL);
        line.is_some_and(|line| self.entry(TABLE_LEVEL * TABLE_ENTRIES + line) & LINE != 0)
    }

    /// Which parts trapped errors, a bit for each.
    pub(super) fn summary(&self) -> u64 {
        let parts = PARTS.iter().chain(&LINK_PARTS);
        (0..).zip(parts).filter(|&(_, part)| self.register(part + STATUS) != 0).map(|(n, _)| bit(n)).sum()
    }

    /// Whether there is an error, a first one, a frozen endpoint.
    pub(super) fn status(&self) -> u64 {
        const ERROR: u64 = bit(27) | bit(28);
        const FREEZE: u64 = bit(29);
        let frozen = (0..ENDPOINTS / 64).any(|n| self.entry(TABLE_FROZEN * TABLE_ENTRIES + n) != 0);
        let error = self.summary() != 0;
        [(error, ERROR), (frozen, FREEZE)].iter().filter(|&&(is, _)| is).map(|&(_, bits)| bits).sum()
    }

    /// Brings the bit of an endpoint to what its two table entries say, of which entry `at` of all tables was written.
    pub(super) fn note_frozen(&mut self, at: u64) {
        let (table, endpoint) = (at / TABLE_ENTRIES, at % TABLE_ENTRIES);
        if !matches!(table, TABLE_LOADS | TABLE_DMA) || endpoint >= ENDPOINTS {
            return;
        }
        let frozen =
            [TABLE_LOADS, TABLE_DMA].map(|table| self.entry(table * TABLE_ENTRIES + endpoint) & FROZEN);
        let (at, bit) = (TABLE_FROZEN * TABLE_ENTRIES + endpoint / 64, bit((endpoint % 64) as u32));
        let others = self.entry(at) & !bit;
        self.set_entry(at, if frozen == [0, 0] { others } else { others | bit });
    }

    /// Loads and stores of an endpoint are frozen.
    fn is_frozen(&self, endpoint: u64) -> bool {
        self.entry(TABLE_LOADS * TABLE_ENTRIES + endpoint) & FROZEN != 0
    }

    /// Freezes an endpoint, and tells memory the cause.
    fn freeze(&mut self, endpoint: u64, cause: u64, address: u64, memory: &mut Memory) {
        const BASE: u64 = 0x00ff_ffff_ffff_f000;
        for table in [TABLE_LOADS, TABLE_DMA] {
            let at = table * TABLE_ENTRIES + endpoint;
            self.set_entry(at, self.entry(at) | FROZEN);
            self.note_frozen(at);
        }
        let causes = self.register(CAUSES);
        if causes & bit(0) != 0 {
            let at = (causes & BASE) + 16 * endpoint;
            // A table that is no memory is an error of the host's, which nothing here tells it.
            for (at, value) in [(at, cause), (at + 8, address)] {
                let _ = memory.store_u64(at, value, Writer::Other);
            }
        }
    }

    /// Software injects an error into this access.
    fn injects(&self, access: Access, write: bool) -> bool {
        const CONFIGURATION: u64 = bit(3);
        const READ: u64 = bit(4);
        const WRITE: u64 = bit(5);
        let control = self.register(INJECTION);
        let (configuration, address) = match access {
            Access::Configuration => (CONFIGURATION, self.register(CONFIGURATION_ADDRESS)),
            Access::Memory(address) => (0, address),
        };
        let differs = (address ^ self.register(INJECTION_ADDRESS)) & self.register(INJECTION_MASK);
        control & if write { WRITE } else { READ } != 0
            && control & CONFIGURATION == configuration
            && differs == 0
    }

    /// The endpoint of an address in a window, by the tables of windows and segments.
    fn endpoint(&self, address: u64) -> Option<u64> {
        const ADDRESS: u64 = 0x00ff_ffff_ffff_f000;
        let window = |n| [0, 1].map(|word| self.entry(TABLE_WINDOWS * TABLE_ENTRIES + 2 * n + word));
        let enabled = |words: &[u64; 2]| words.iter().all(|word| word & bit(0) != 0);
        let [base, mask] = (0..WINDOWS)
            .map(window)
            .filter(enabled)
            .find(|[base, mask]| (address ^ base) & mask & ADDRESS == 0)?;
        let size = (!mask & ADDRESS | 0xfff) + 1;
        let segment = |segments: u64| (address & (size - 1)) / (size / segments).max(1);
        let endpoint = match field(base, 60, 2) {
            0 => field(mask, 0, 9) + segment([ENDPOINTS, 128, 64, 8][field(base, 58, 2) as usize]),
            1 => {
                let entry = self.entry(TABLE_SEGMENTS * TABLE_ENTRIES + segment(ENDPOINTS));
                field(entry, 48 - 16 * field(base, 58, 2) as u32, 16)
            }
            _ => field(mask, 0, 9),
        };
        (endpoint < ENDPOINTS).then_some(endpoint)
    }

    /// An access to the bus, where nobody answers. What it reads is all ones.
    pub(super) fn access_bus(&mut self, access: Access, write: bool, memory: &mut Memory) {
        const ENABLED: u64 = bit(0);
        const LOADS_FREEZE_NOT: u64 = bit(14);
        const CYCLES_ARE_HELD: u64 = bit(15);
        // Of a cause: cycle that reads, that writes; kind of transaction; unsupported request.
        const CYCLE_READS: u64 = bit(3);
        const CYCLE_WRITES: u64 = bit(4);
        const LOAD: u64 = 4 << 56;
        const STORE: u64 = 5 << 56;
        const OTHER: u64 = 7 << 56;
        const UNSUPPORTED: u64 = bit(9);
        let (control, named) = (self.register(CONTROL), self.register(CONFIGURATION_ADDRESS));
        let (endpoint, address, kind) = match access {
            Access::Configuration if named & ENABLED == 0 => return,
            Access::Configuration => {
                let cycle = if write { CYCLE_WRITES } else { CYCLE_READS };
                // The routing id of what was asked.
                (Some(field(named, 16, 9)), 0, cycle | OTHER | field(named, 44, 16) << 16)
            }
            Access::Memory(address) => (self.endpoint(address), address, if write { STORE } else { LOAD }),
        };
        let configuration = access == Access::Configuration;
        let frozen = endpoint.is_some_and(|endpoint| self.is_frozen(endpoint));
        if frozen && (!configuration || control & CYCLES_ARE_HELD != 0) {
            return;
        }
        let injected = self.injects(access, write);
        // Stores are not answered by whom they reach, so nobody misses an answer.
        let error = match (access, write) {
            (Access::Memory(_), true) => None,
            (_, true) => Some((OUTBOUND, UNANSWERED_WRITE)),
            (_, false) => Some((INBOUND, UNANSWERED_READ)),
        };
        if let Some((part, error)) = error {
            self.trap(part, error);
        }
        let freezes = error.is_some_and(|(part, error)| self.register(part + FREEZE) & error != 0)
            && (configuration || control & LOADS_FREEZE_NOT == 0);
        if let (Some(endpoint), true, false) = (endpoint, freezes || injected, frozen) {
            self.freeze(endpoint, kind | UNSUPPORTED, address, memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{BASE, EVENTS, Tested, phb};
    use super::super::{
        CONFIGURATION_DATA, ENABLES, FIRST_WINDOW, NOTIFY_INDEX, TABLE_ADDRESS, TABLE_DATA, Unit,
    };
    use super::*;
    use alloc::vec;

    /// What firmware enables: which errors of what comes in freeze, and interrupt; where memory has causes.
    fn configured() -> Tested {
        let mut phb = phb();
        for (offset, value) in [
            (INBOUND + FREEZE, 3 << 62),
            (INBOUND + INTERRUPT, 3 << 62),
            (OUTBOUND + FENCE, 1 << 63),
            (CAUSES, bit(0) | 0x4000),
            (NOTIFY_INDEX, 0x1000_0000),
        ] {
            phb.store(BASE + offset as u64, 8, value).unwrap();
        }
        phb
    }

    fn table(phb: &mut Tested, table: u64, entry: u64) -> u64 {
        phb.store(BASE + TABLE_ADDRESS as u64, 8, table << 48 | entry).unwrap();
        phb.load(BASE + TABLE_DATA as u64, 8).unwrap()
    }

    fn set_table(phb: &mut Tested, table: u64, entry: u64, value: u64) {
        phb.store(BASE + TABLE_ADDRESS as u64, 8, table << 48 | entry).unwrap();
        phb.store(BASE + TABLE_DATA as u64, 8, value).unwrap();
    }

    /// A configuration cycle to device 2 of bus 1, endpoint 5.
    fn cycle(phb: &mut Tested, write: bool) {
        let (address, data) = (BASE + CONFIGURATION_ADDRESS as u64, BASE + CONFIGURATION_DATA.start as u64);
        phb.store(address, 8, bit(0) | 0x0110 << 44 | 5 << 16).unwrap();
        if write {
            phb.store(data, 4, 7).unwrap();
        } else {
            assert_eq!(phb.load(data, 4), Some(u64::MAX));
        }
    }

    #[test]
    fn a_cycle_that_nobody_answers_freezes_its_endpoint_and_interrupts() {
        let mut phb = configured();
        cycle(&mut phb, false);
        assert_eq!([7, 8].map(|of| table(&mut phb, of, 5)), [bit(0); 2]);
        assert_eq!([table(&mut phb, 7, 4), table(&mut phb, 20, 0)], [0, bit(5)]);
        // A cycle that reads, another kind of transaction, unsupported request, routing id.
        assert_eq!(phb.memory.read_u64(0x4050), Ok(0x1740_0000_0110_0000));
        assert_eq!(phb.load(BASE + (INBOUND + STATUS) as u64, 8), Some(bit(1)));
        assert_eq!(phb.load(BASE + (INBOUND + FIRST) as u64, 8), Some(bit(1)));
        assert_eq!((phb.load(BASE + 0x2c8, 8), phb.load(BASE + 0x120, 8)), (Some(bit(2)), Some(7 << 34)));
        assert_eq!(phb.phb.take_events(), [0x1000_0fff]);
        // The same again is no further event, but the end of interrupt is while the line is on.
        cycle(&mut phb, false);
        assert_eq!(phb.phb.take_events(), []);
        let page = EVENTS + (0xfff << 12);
        phb.load(page, 8).unwrap();
        assert_eq!(phb.phb.take_events(), [0x1000_0fff]);
        phb.store(BASE + (INBOUND + STATUS) as u64, 8, bit(1)).unwrap();
        phb.load(page, 8).unwrap();
        assert_eq!((phb.phb.take_events(), phb.load(page + 0x800, 8)), (vec![], Some(0)));
        // Firmware thaws: the summary of endpoints follows the tables.
        set_table(&mut phb, 7, 5, 0);
        assert_eq!(table(&mut phb, 20, 0), bit(5));
        set_table(&mut phb, 8, 5, 0);
        assert_eq!((table(&mut phb, 20, 0), phb.load(BASE + 0x120, 8)), (0, Some(0)));
    }

    #[test]
    fn a_cycle_that_writes_is_only_told_of_unless_an_error_is_injected() {
        let mut phb = configured();
        cycle(&mut phb, true);
        assert_eq!(phb.load(BASE + OUTBOUND as u64, 8), Some(bit(17)));
        assert_eq!(table(&mut phb, 7, 5), 0);
        // Into writes of all devices of bus 2, then of bus 1.
        for (bus, frozen) in [(2, 0), (1, bit(0))] {
            phb.store(BASE + INJECTION_ADDRESS as u64, 8, bus << 52).unwrap();
            phb.store(BASE + INJECTION_MASK as u64, 8, 0xff << 52).unwrap();
            phb.store(BASE + INJECTION as u64, 8, bit(3) | bit(5)).unwrap();
            cycle(&mut phb, true);
            assert_eq!(table(&mut phb, 7, 5), frozen);
        }
    }

    #[test]
    fn an_injected_error_that_is_fatal_fences_the_bridge() {
        let mut phb = configured();
        phb.store(BASE + (OUTBOUND + INJECT) as u64, 8, bit(5)).unwrap();
        assert_eq!(phb.load(BASE + OUTBOUND as u64, 8), Some(bit(5)));
        phb.store(BASE + (OUTBOUND + INJECT) as u64, 8, bit(0)).unwrap();
        assert_eq!(phb.load(BASE + OUTBOUND as u64, 8), Some(u64::MAX));
        assert_eq!([0, 8].map(|number| phb.scom(Unit::Nest, number)), [Some(bit(16)); 2]);
        // The way by XSCOM is open.
        phb.set_scom(Unit::Indirect, 0, bit(0) | OUTBOUND as u64).unwrap();
        assert_eq!(phb.scom(Unit::Indirect, 1), Some(bit(0) | bit(5)));
        phb.set_scom(Unit::Indirect, 0, bit(0) | (OUTBOUND + FIRST) as u64).unwrap();
        assert_eq!(phb.scom(Unit::Indirect, 1), Some(bit(5)));
        phb.set_scom(Unit::Nest, 1, 0).unwrap();
        assert_eq!(phb.load(BASE + OUTBOUND as u64, 8), Some(bit(0) | bit(5)));
    }

    #[test]
    fn errors_of_the_link_are_information_or_not() {
        let mut phb = configured();
        phb.store(BASE + 0x1c20, 8, bit(3)).unwrap();
        phb.store(BASE + 0x1c30, 8, bit(4)).unwrap();
        phb.store(BASE + 0x1c10, 8, bit(3)).unwrap();
        assert_eq!(phb.phb.take_events(), [0x1000_0ffe]);
        phb.store(BASE + 0x1c10, 8, bit(4)).unwrap();
        assert_eq!(phb.phb.take_events(), [0x1000_0fff]);
        assert_eq!(phb.load(BASE + 0x1c00, 8), Some(bit(3) | bit(4)));
    }

    #[test]
    fn a_load_in_a_window_freezes_the_endpoint_of_its_segment() {
        const WINDOW: u64 = 0x0006_0000_0000_0000;
        const SIZE: u64 = 512 << 20;
        // Segments: as many as endpoints, from number 3 on; by the table of segments; a window of one endpoint.
        for (mode, mask, offset, endpoint) in
            [(0, 3, 5 << 20 | 0x123, 8), (1 << 60 | 2 << 58, 0, 5 << 20, 77), (2 << 60, 9, SIZE - 4, 9)]
        {
            let mut phb = configured();
            set_table(&mut phb, TABLE_SEGMENTS, 5, 77 << 16);
            for (number, value) in [
                (FIRST_WINDOW, WINDOW << 8),
                (FIRST_WINDOW + 1, 0x00ff_ffff_e000_0000 << 8),
                (ENABLES, 7 << 61),
            ] {
                phb.set_scom(Unit::Nest, number, value).unwrap();
            }
            set_table(&mut phb, TABLE_WINDOWS, 6, bit(0) | mode | WINDOW);
            set_table(&mut phb, TABLE_WINDOWS, 7, bit(0) | 0x00ff_ffff_e000_0000 | mask);
            assert_eq!(phb.store(WINDOW + offset, 4, 1), None);
            assert_eq!(table(&mut phb, 7, endpoint), 0);
            assert_eq!((phb.load(WINDOW + offset, 4), phb.load(WINDOW + SIZE, 4)), (None, None));
            assert_eq!(table(&mut phb, 7, endpoint), bit(0), "endpoint {endpoint}");
            // A load, unsupported request; the address.
            assert_eq!(phb.memory.read_u64(0x4000 + 16 * endpoint), Ok(0x0440_0000_0000_0000));
            assert_eq!(phb.memory.read_u64(0x4008 + 16 * endpoint), Ok(WINDOW + offset));
        }
    }
}
