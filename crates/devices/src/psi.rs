//! The PSI host bridge of POWER9 and POWER10 without a service processor behind it: a collection of level-sensitive
//! interrupt sources of the chip, with an event state each, that notify XIVE.
//!
//! Register offsets and the order of the sources are those that skiboot programs. Left out: the link to a service
//! processor (it is never active), error sources.

use crate::xive_native::bits::{self, Management, OFF, PENDING, RESET};
use alloc::{collections::BTreeMap, vec::Vec};
use timebase_state::State;

/// Number of the source of the on-chip controller.
pub const ON_CHIP_CONTROLLER: u32 = 1;
/// Number of the source of the LPC host controller.
pub const LPC_CONTROLLER: u32 = 3;
/// Number of the source of the first of four routes of LPC serial interrupts.
pub const LPC_SERIAL: u32 = 7;
/// Number of the source of the I2C masters.
pub const I2C: u32 = 11;
/// Number of the source of the self-boot engine's interrupt.
pub const SELF_BOOT_ENGINE: u32 = 13;
/// Sources.
const SOURCES: usize = 16;

const CONTROL: u32 = 0x20;
const INTERRUPT_CONTROL: u32 = 0x58;
const EVENTS_BASE: u32 = 0x60;
const NOTIFY: u32 = 0x68;
const FIRST_NUMBER: u32 = 0x70;

/// The bridge of one chip.
#[derive(State, Clone, Debug, PartialEq, Eq)]
pub struct Psi {
    kept: BTreeMap<u32, u64>,
    pq: [u8; SOURCES],
    asserted: [bool; SOURCES],
    /// Sources that are to notify XIVE, by bit.
    events: u32,
}

impl Psi {
    /// As after power-on: all sources are off.
    pub fn cold() -> Psi {
        Psi { kept: BTreeMap::new(), pq: [OFF; SOURCES], asserted: [false; SOURCES], events: 0 }
    }

    fn kept(&self, register: u32) -> u64 {
        self.kept.get(&register).copied().unwrap_or(0)
    }

    /// Base of the register page, if there is one.
    pub fn registers(&self) -> Option<u64> {
        let base = self.kept(0);
        (base & 1 != 0).then_some(base & !0xf_ffff)
    }

    /// The offset of a real address in the event pages.
    fn event_offset(&self, address: u64) -> Option<(usize, u64)> {
        const WIDE: u64 = 1 << 62;
        let base = self.kept(EVENTS_BASE);
        let shift = if base & WIDE != 0 { 16 } else { 12 };
        let offset = address.wrapping_sub(base & 0x00ff_ffff_ffff_0000);
        (base & 1 != 0 && offset >> shift < SOURCES as u64)
            .then_some(((offset >> shift) as usize, offset & 0xfff))
    }

    /// Register number relative to the bridge's first, over XSCOM.
    pub fn scom(&self, number: u32) -> Option<u64> {
        match number {
            0xa..0x20 => Some(self.kept(scom_register(number))),
            _ => None,
        }
    }

    /// Stores it.
    pub fn set_scom(&mut self, number: u32, value: u64) -> Option<()> {
        let value = match number {
            0x12 => self.kept(CONTROL) | value,
            0x13 => self.kept(CONTROL) & !value,
            _ => value,
        };
        match number {
            0xa..0x20 => self.write(scom_register(number), value),
            _ => return None,
        }
        Some(())
    }

    /// Loads a register or from an event page. None: the address is not the bridge's.
    pub fn load(&mut self, address: u64) -> Option<u64> {
        if let Some((source, offset)) = self.event_offset(address) {
            return Some(self.manage(source, bits::on_load(offset)));
        }
        let offset = address.wrapping_sub(self.registers()?);
        (offset < 0x10_0000).then(|| self.kept(offset as u32))
    }

    /// Stores.
    pub fn store(&mut self, address: u64, value: u64) -> Option<()> {
        if let Some((source, offset)) = self.event_offset(address) {
            // What triggers a level-sensitive source is its line alone.
            let what = match bits::on_store(offset) {
                Management::Trigger => Management::Nothing,
                what => what,
            };
            self.manage(source, what);
            return Some(());
        }
        let offset = address.wrapping_sub(self.registers()?);
        (offset < 0x10_0000).then(|| self.write(offset as u32, value))
    }

    fn write(&mut self, register: u32, value: u64) {
        const RESET_SOURCES: u64 = 1 << 62;
        if register == INTERRUPT_CONTROL && value & RESET_SOURCES != 0 {
            self.pq = [OFF; SOURCES];
        }
        // A guest names registers: only those that exist are kept.
        if register < 0x100 && register.is_multiple_of(8) {
            self.kept.insert(register, value);
        }
    }

    fn manage(&mut self, source: usize, what: Management) -> u64 {
        let old = self.pq[source];
        self.pq[source] = match what {
            Management::EndOfInterrupt => bits::end_of_interrupt(old).0,
            Management::Set(new) => new,
            _ => old,
        };
        self.assert(source);
        match what {
            Management::Get | Management::Set(_) => old as u64,
            // A level-sensitive source asks for nothing to be triggered again: it does it by itself.
            _ => 0,
        }
    }

    /// A line that is asserted triggers its source.
    fn assert(&mut self, source: usize) {
        if self.asserted[source] && self.pq[source] == RESET {
            self.pq[source] = PENDING;
            self.events |= 1 << source;
        }
    }

    /// The line of a source is asserted or not.
    pub fn set_line(&mut self, source: u32, on: bool) {
        let source = source as usize % SOURCES;
        self.asserted[source] = on;
        self.assert(source);
    }

    /// The line of a source, as it was last set.
    pub fn line(&self, source: u32) -> bool {
        self.asserted[source as usize % SOURCES]
    }

    /// Takes the numbers with which sources notify XIVE: block in the upper four bits of 32.
    pub fn take_events(&mut self) -> Vec<u32> {
        const NOTIFY_VALID: u64 = 1;
        let events = core::mem::take(&mut self.events);
        if events == 0 || self.kept(NOTIFY) & NOTIFY_VALID == 0 {
            return Vec::new();
        }
        let first = (self.kept(FIRST_NUMBER) >> 32) as u32;
        (0..SOURCES as u32).filter(|n| events >> n & 1 != 0).map(|n| first.wrapping_add(n)).collect()
    }
}

/// The register of an XSCOM number.
fn scom_register(number: u32) -> u32 {
    match number {
        0x12 | 0x13 => CONTROL,
        _ => (number - 0xa) * 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0x0006_0302_0300_0000;
    const EVENTS: u64 = 0x0006_0302_031c_0000;

    #[test]
    fn a_line_notifies_once_until_it_is_ended_and_again_if_it_stays() {
        let mut psi = Psi::cold();
        psi.set_scom(0xa, BASE | 1).unwrap();
        psi.store(BASE + 0x60, EVENTS | 1).unwrap();
        psi.store(BASE + 0x68, 1).unwrap();
        psi.store(BASE + 0x70, 0x1000_0010 << 32).unwrap();
        psi.set_line(LPC_SERIAL, true);
        assert_eq!(psi.take_events(), []);
        assert_eq!(psi.load(EVENTS + (7 << 12) + 0xc00), Some(1));
        assert_eq!(psi.take_events(), [0x1000_0017]);
        psi.set_line(LPC_SERIAL, true);
        assert_eq!(psi.take_events(), []);
        psi.load(EVENTS + (7 << 12));
        assert_eq!(psi.take_events(), [0x1000_0017]);
        psi.set_line(LPC_SERIAL, false);
        psi.load(EVENTS + (7 << 12));
        assert_eq!(psi.take_events(), []);
        assert_eq!(psi.load(EVENTS + (7 << 12) + 0x800), Some(0));
        assert_eq!(psi.load(EVENTS + (16 << 12)), None);
    }
}
