//! XSCOM registers of units that need no model of their own: they keep what is written, or say one thing for ever
//! (POWER9 and POWER10 register specifications; numbers as skiboot has them).

use super::pci;
use alloc::collections::BTreeMap;
use timebase_cpu::Model;
use timebase_devices::occ;
use timebase_state::State;

/// Registers that keep what is written to them, by chip and number.
#[derive(State)]
pub(crate) struct Scoms {
    stored: BTreeMap<(u32, u32), u64>,
    /// Where the areas of the on-chip controllers begin.
    #[wiring("from the configuration")]
    occ: u64,
}

/// What a register is.
enum Kind {
    /// It keeps what is written; so it reads before.
    Kept(u64),
    /// It reads so; writes have no effect.
    Fixed(u64),
}
use Kind::{Fixed, Kept};

/// The unit of the windows of the bus arbiter, in bytes.
const BAR_UNIT: u64 = 1 << 20;

/// Status of the time of day: the chip is the active master; steps are valid on both paths of a master, of a slave.
const MASTER: u64 = 1 << (63 - 23);
const MASTER_PATHS: u64 = 1 << (63 - 6) | 1 << (63 - 7);
const SLAVE_PATHS: u64 = 1 << (63 - 8) | 1 << (63 - 10);

/// Interrupts of the on-chip controller, one of which the host itself asks for: bit 0 is the line, the others say why.
const OCC_INTERRUPTS: u32 = 0x6_c080;
/// Flags that the host and the on-chip controller leave each other, who uses which I2C master among them.
fn occ_flags(model: Model) -> u32 {
    match model {
        Model::Power9 => 0x6_c08a,
        Model::Power10 => 0x6_c0ac,
    }
}

/// What a store does to a register of the on-chip controller, which has one number to store and behind it numbers to
/// clear and to set bits: the register, and its value then.
fn occ_store(model: Model, register: u32, value: u64, old: impl Fn(u32) -> u64) -> Option<(u32, u64)> {
    [OCC_INTERRUPTS, occ_flags(model)].into_iter().find_map(|base| match register.wrapping_sub(base) {
        0 => Some((base, value)),
        1 => Some((base, old(base) & !value)),
        2 => Some((base, old(base) | value)),
        _ => None,
    })
}

/// The register of a chip, if it exists; the areas of the on-chip controllers begin at `occ`.
fn kind(occ: u64, model: Model, chip: u32, register: u32) -> Option<Kind> {
    // The bus arbiter of the power management engines: its windows to HOMER (0) and to what the on-chip controllers share
    // (2), and their sizes.
    let pba = match model {
        Model::Power9 => 0x501_2b00,
        Model::Power10 => 0x101_0cda,
    };
    match register.wrapping_sub(pba) {
        0 => return Some(Fixed(occ::homer_address(occ, chip))),
        2 => return Some(Fixed(occ::common_address(occ))),
        4 => return Some(Fixed(occ::HOMER_BYTES - BAR_UNIT)),
        6 => return Some(Fixed(occ::COMMON_BYTES - BAR_UNIT)),
        1 | 3 | 5 | 7 => return Some(Kept(0)),
        _ => {}
    }
    if register == OCC_INTERRUPTS || register == occ_flags(model) {
        return Some(Kept(0));
    }
    match pci::controller_register(model, register) {
        Some(true) => return Some(Kept(0)),
        // All lanes are of the first stack.
        Some(false) => return Some(Fixed(0)),
        None => {}
    }
    match register {
        // Export control, and where this part comes from.
        0x1_8002 => return Some(Fixed(0)),
        // Fault isolation of the power bus and of memory: no fault. Malfunction alert: none.
        0x9_0022 => return Some(Kept(0)),
        // Time of day (chiptod): the state machine runs; which paths give steps, and the master; no errors, and requests
        // to other chips are done at once. All time bases of a machine run from one time.
        0x4_0008 => return Some(Fixed(if chip == 0 { MASTER | MASTER_PATHS } else { SLAVE_PATHS })),
        0x4_0024 => return Some(Fixed(1 << 59)),
        0x4_0030 => return Some(Fixed(0)),
        0x4_0000..=0x4_0031 => return Some(Kept(0)),
        // GPIO and the clock generator's device id: nothing of that.
        0xf_0033 => return Some(Fixed(0)),
        _ => {}
    }
    match model {
        Model::Power9 => core_9(register),
        Model::Power10 => core_10(register),
    }
}

/// Registers of POWER9's cores (chiplets 0x20 to 0x37) and quads (0x10 to 0x15).
fn core_9(register: u32) -> Option<Kind> {
    let (chiplet, offset) = (register >> 24, register & 0xff_ffff);
    match (chiplet, offset) {
        // Special wake-up, of which nothing ever sleeps: done.
        (0x20..=0x37, 0x0f_0114) | (0x10..=0x15, 0x0f_0114) => Some(Fixed(1 << 62)),
        (0x20..=0x37, 0x0f_010a..=0x0f_010d) | (0x10..=0x15, 0x0f_010a..=0x0f_010d) => Some(Kept(0)),
        // Where the quad's cores find the thread contexts and random numbers.
        (0x10..=0x15, 0x01_1010 | 0x01_1011 | 0x01_1410 | 0x01_1411) => Some(Kept(0)),
        // Fault isolation: no fault.
        (0x20..=0x37, 0x01_0a40..=0x01_0a48) => Some(Kept(0)),
        _ => None,
    }
}

/// Registers of POWER10's cores, which four share a quad (chiplets 0x20 to 0x27).
fn core_10(register: u32) -> Option<Kind> {
    let (chiplet, offset) = (register >> 24, register & 0xff_ffff);
    if !(0x20..=0x27).contains(&chiplet) {
        return None;
    }
    match offset & 0xff_0fff {
        0x02_0445 => Some(Kept(0)),
        // Special wake-up by the hypervisor, firmware, others; and its status: done.
        0x0e_082c => Some(Fixed(1 << 62)),
        0x0e_0814..=0x0e_083f => Some(Kept(0)),
        // NCU: where thread contexts and random numbers are.
        0x01_0650 | 0x01_0651 => Some(Kept(0)),
        _ => None,
    }
}

impl Scoms {
    /// As after power-on.
    pub fn cold(occ: u64) -> Scoms {
        Scoms { stored: BTreeMap::new(), occ }
    }

    /// The interrupt line of a chip's on-chip controller.
    pub fn occ_line(&self, chip: u32) -> bool {
        self.stored.get(&(chip, OCC_INTERRUPTS)).is_some_and(|bits| bits >> 63 != 0)
    }

    /// A chip's on-chip controller interrupts the host: something changed in the memory that they share.
    pub fn interrupt_by_occ(&mut self, chip: u32) {
        const LINE: u64 = 1 << 63;
        const SHARED_MEMORY: u64 = 1 << (63 - 3);
        *self.stored.entry((chip, OCC_INTERRUPTS)).or_default() |= LINE | SHARED_MEMORY;
    }

    /// Loads a register of a chip. None: there is none.
    pub fn read(&self, model: Model, chip: u32, register: u32) -> Option<u64> {
        match kind(self.occ, model, chip, register)? {
            Fixed(value) => Some(value),
            Kept(before) => Some(self.stored.get(&(chip, register)).copied().unwrap_or(before)),
        }
    }

    /// Stores it.
    pub fn write(&mut self, model: Model, chip: u32, register: u32, value: u64) -> Option<()> {
        let old = |base| self.stored.get(&(chip, base)).copied().unwrap_or(0);
        let (register, value) = occ_store(model, register, value, old).unwrap_or((register, value));
        if let Kept(_) = kind(self.occ, model, chip, register)? {
            self.stored.insert((chip, register), value);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_keep_what_they_should_and_others_do_not_exist() {
        let mut scoms = Scoms::cold(0x3d80_0000);
        scoms.write(Model::Power9, 0, 0x1001_1010, 7).unwrap();
        assert_eq!(scoms.read(Model::Power9, 0, 0x1001_1010), Some(7));
        assert_eq!(scoms.read(Model::Power9, 1, 0x1001_1010), Some(0));
        scoms.write(Model::Power9, 0, 0x200f_0114, 0).unwrap();
        assert_eq!(scoms.read(Model::Power9, 0, 0x200f_0114), Some(1 << 62));
        scoms.write(Model::Power10, 0, 0x6_c0ae, 6).unwrap();
        scoms.write(Model::Power10, 0, 0x6_c0ad, 2).unwrap();
        assert_eq!(scoms.read(Model::Power10, 0, 0x6_c0ac), Some(4));
        scoms.write(Model::Power10, 1, 0x6_c082, 1 << 63 | 1 << 48).unwrap();
        assert_eq!((scoms.occ_line(0), scoms.occ_line(1)), (false, true));
        scoms.write(Model::Power10, 1, 0x6_c081, u64::MAX).unwrap();
        assert_eq!((scoms.occ_line(1), scoms.read(Model::Power10, 1, 0x6_c080)), (false, Some(0)));
        // Windows of the on-chip controllers: a HOMER of 4 MiB to a chip, then what all share.
        let windows = [(Model::Power9, 0x501_2b00), (Model::Power10, 0x101_0cda_u32)];
        for (model, first) in windows {
            let read = |chip, n: u32| scoms.read(model, chip, first + n);
            assert_eq!(
                (read(0, 0), read(1, 0), read(1, 4)),
                (Some(0x3d80_0000), Some(0x3dc0_0000), Some(0x30_0000))
            );
            assert_eq!(
                (read(0, 2), read(1, 2), read(1, 6)),
                (Some(0x3f80_0000), Some(0x3f80_0000), Some(0x70_0000))
            );
        }
        assert_eq!(scoms.read(Model::Power9, 0, 0xdead), None);
        assert_eq!(scoms.write(Model::Power9, 0, 0xdead, 0), None);
    }
}
