//! The devices of the chips, by real address: XSCOM, the LPC bus, the interrupt controller (POWER9 Processor User's
//! Manual, "Address map"; the windows are where skiboot's map of real addresses has them).
//!
//! What nobody answers reads as all ones; over XSCOM it is an error in HMER. Both are counted for the report.

use super::control::Controls;
use super::imc::Imc;
use super::pci;
use super::scom::Scoms;
use super::topology::Topology;
use alloc::{boxed::Box, collections::BTreeMap, format, string::String, vec::Vec};
use timebase_cpu::{Bus, BusError, Model};
use timebase_devices::xive_native::Generation;
use timebase_devices::{Bmc, I2c, Lpc, Occ, Phb, Psi, Sbe, XiveNative, i2c, occ, phb, psi, sbe};
use timebase_memory::Memory;
use timebase_state::{Instant, State};

/// Where chip 0 has its XSCOM window, 16 GiB.
pub(super) const XSCOM: u64 = 0x0006_03fc_0000_0000;
const XSCOM_BYTES: u64 = 0x4_0000_0000;
/// Where chip 0 has its LPC bus, 4 GiB.
pub(super) const LPC: u64 = 0x0006_0300_0000_0000;
const LPC_BYTES: u64 = 0x1_0000_0000;

/// Where the HOMERs of the chips are, one behind the other, and what their on-chip controllers share.
pub(super) fn homer(model: Model) -> u64 {
    match model {
        Model::Power9 => 0x203f_fd80_0000,
        Model::Power10 => 0x300f_fd80_0000,
    }
}
pub(super) fn occ_common(model: Model) -> u64 {
    homer(model) + 0x200_0000
}

/// The window of `chip` that chip 0 has at `base`.
pub(super) fn chip_base(model: Model, base: u64, chip: u32) -> u64 {
    base + ((chip as u64) << chip_shift(model))
}

/// log2 of the distance of chips.
fn chip_shift(model: Model) -> u32 {
    match model {
        Model::Power9 => 42,
        Model::Power10 => 44,
    }
}

/// HMER: an XSCOM access is done; it failed; why (bits 21 to 23): there is no such register.
const HMER_DONE: u64 = 1 << (63 - 9);
const HMER_FAIL: u64 = 1 << (63 - 8);
const HMER_NO_ADDRESS: u64 = 4 << (63 - 23);

/// All devices.
#[derive(State)]
pub(crate) struct Devices {
    pub lpc: Lpc,
    pub xive: XiveNative,
    /// Of each chip.
    pub psi: Box<[Psi]>,
    /// Of each chip.
    pub sbe: Box<[Sbe]>,
    /// Of each chip, [`I2C_ENGINES`].
    pub i2c: Box<[I2c]>,
    /// Of each chip, those of [`pci::bridges`].
    pub phb: Box<[Phb]>,
    pub controls: Controls,
    pub occ: Occ,
    pub imc: Imc,
    pub scoms: Scoms,
    /// What HMER of the vCPU that made the last access gains; the machine brings it there before the next instruction.
    pub hmer: Option<(u32, u64)>,
    #[wiring("from the configuration")]
    topology: Topology,
    #[wiring("from the configuration")]
    model: Model,
    #[cache("counts for the report")]
    pub unanswered: BTreeMap<String, u64>,
}

impl Devices {
    /// As after power-on.
    pub fn cold(model: Model, topology: Topology, bmc: Bmc) -> Devices {
        let (generation, layout) = match model {
            Model::Power9 => (Generation::First, occ::Layout::Power9),
            Model::Power10 => (Generation::Second, occ::Layout::Power10),
        };
        Devices {
            lpc: Lpc::cold(bmc),
            xive: XiveNative::cold(
                generation,
                topology.chips,
                (0..topology.cpus()).map(|n| topology.pir(n)).collect(),
            ),
            psi: (0..topology.chips).map(|_| Psi::cold()).collect(),
            sbe: (0..topology.chips).map(|_| Sbe::default()).collect(),
            i2c: (0..topology.chips * I2C_ENGINES).map(|n| i2c_engine(model, n)).collect(),
            phb: (0..topology.chips)
                .flat_map(|_| pci::bridges(model))
                .map(|_| Phb::cold(pci::generation(model)))
                .collect(),
            controls: Controls::cold(topology),
            occ: Occ::cold(layout, topology.chips),
            imc: Imc::cold(topology),
            scoms: Scoms::default(),
            hmer: None,
            topology,
            model,
            unanswered: BTreeMap::new(),
        }
    }

    /// Brings the lines of devices to the interrupt controller.
    pub fn settle(&mut self, now: Instant, memory: &mut Memory) {
        self.imc.settle(now, memory);
        for (sbe, psi) in self.sbe.iter_mut().zip(&mut self.psi) {
            sbe.look(now);
            psi.set_line(psi::SELF_BOOT_ENGINE, sbe.line());
        }
        for (chip, psi) in (0..).zip(&mut self.psi) {
            psi.set_line(psi::ON_CHIP_CONTROLLER, self.scoms.occ_line(chip));
        }
        for (engines, psi) in self.i2c.chunks(I2C_ENGINES as usize).zip(&mut self.psi) {
            psi.set_line(psi::I2C, engines.iter().any(I2c::line));
        }
        for (n, on) in (psi::LPC_SERIAL..).zip(self.lpc.lines()) {
            self.psi[0].set_line(n, on);
        }
        self.psi[0].set_line(psi::LPC_CONTROLLER, self.lpc.error_line());
        let events = self.psi.iter_mut().map(Psi::take_events);
        for number in events.chain(self.phb.iter_mut().map(Phb::take_events)).flatten() {
            self.xive.route(number >> 28, number & 0x0fff_ffff, memory);
        }
    }

    /// When a device does something by itself.
    pub fn deadline(&self) -> Option<Instant> {
        self.sbe.iter().filter_map(Sbe::deadline).chain(self.imc.deadline()).min()
    }

    /// Takes what was sent to the console.
    pub fn take_sent(&mut self) -> Vec<u8> {
        self.lpc.uart.take_sent()
    }

    /// Chip and offset, if the address is in the window that chip 0 has at `base`.
    fn window(&self, address: u64, base: u64, bytes: u64) -> Option<(u32, u64)> {
        let offset = address.wrapping_sub(base);
        let shift = chip_shift(self.model);
        let (chip, offset) = ((offset >> shift) as u32, offset & ((1 << shift) - 1));
        (chip < self.topology.chips && offset < bytes).then_some((chip, offset))
    }

    /// Chip and offset in its HOMER, or only the offset in what the on-chip controllers share.
    fn occ_window(&self, address: u64) -> Option<(Option<u32>, u64)> {
        let offset = address.wrapping_sub(occ_common(self.model));
        if offset < occ::COMMON_BYTES {
            return Some((None, offset));
        }
        let offset = address.wrapping_sub(homer(self.model));
        let chip = offset / occ::HOMER_BYTES;
        (chip < self.topology.chips as u64).then_some((Some(chip as u32), offset % occ::HOMER_BYTES))
    }

    fn unanswered(&mut self, what: String) {
        *self.unanswered.entry(what).or_default() += 1;
    }

    /// Tells vCPU `cpu` how its XSCOM access went.
    fn done<T>(&mut self, cpu: u32, answer: Option<T>) -> Option<T> {
        let failed = if answer.is_none() { HMER_FAIL | HMER_NO_ADDRESS } else { 0 };
        self.hmer = Some((cpu, HMER_DONE | failed));
        answer
    }

    fn xscom_read(&mut self, cpu: u32, chip: u32, register: u32, memory: &mut Memory) -> u64 {
        let value = self.scom(chip, register, memory);
        if value.is_none() {
            self.unanswered(format!("xscom load {register:#x}"));
        }
        self.done(cpu, value).unwrap_or(u64::MAX)
    }

    fn xscom_write(&mut self, cpu: u32, at: (u32, u32), value: u64, now: Instant, memory: &mut Memory) {
        let register = at.1;
        let answer = self.set_scom(at, value, now, (cpu, memory));
        if answer.is_none() {
            self.unanswered(format!("xscom store {register:#x}"));
        }
        self.done(cpu, answer);
    }

    /// Loads an XSCOM register of a chip.
    fn scom(&mut self, chip: u32, register: u32, memory: &mut Memory) -> Option<u64> {
        let first = self.first();
        Some(match register {
            // CFAM chip id: POWER9 "Nimbus" DD2.0, POWER10 DD2.0.
            0xf_000f => match self.model {
                Model::Power9 => 0x220d_1049_0000_8000,
                Model::Power10 => 0x220d_a049_8000_0000,
            },
            // Status of the XSCOM engine itself.
            0x9_0012 | 0x9_0013 | 0x9_0018 => 0,
            _ if register.wrapping_sub(SBE) < sbe::NUMBERS => {
                return self.sbe[chip as usize].read(register - SBE);
            }
            _ if register.wrapping_sub(I2C) < I2C_NUMBERS => {
                let (engine, number) = i2c_register(chip, register);
                return self.i2c[engine].read(number);
            }
            _ if register.wrapping_sub(first.xive) < XIVE_NUMBERS => {
                return self.xive.scom(chip, register - first.xive, memory);
            }
            _ if register.wrapping_sub(first.psi) < PSI_NUMBERS => {
                return self.psi[chip as usize].scom(register - first.psi);
            }
            _ => {
                if let Some((phb, unit, number)) = self.phb_register(chip, register) {
                    return phb.scom(unit, number);
                }
                let controls = self.controls.read(self.model, chip, register);
                return controls
                    .or_else(|| self.imc.read(self.model, chip, register))
                    .or_else(|| self.scoms.read(self.model, chip, register));
            }
        })
    }

    /// Stores an XSCOM register of a chip.
    fn set_scom(
        &mut self,
        (chip, register): (u32, u32),
        value: u64,
        now: Instant,
        (cpu, memory): (u32, &mut Memory),
    ) -> Option<()> {
        let first = self.first();
        match register {
            0x9_0012 | 0x9_0013 | 0x9_0018 => Some(()),
            _ if register.wrapping_sub(SBE) < sbe::NUMBERS => {
                self.sbe[chip as usize].write(register - SBE, value, now)
            }
            _ if register.wrapping_sub(I2C) < I2C_NUMBERS => {
                let (engine, number) = i2c_register(chip, register);
                self.i2c[engine].write(number, value)
            }
            _ if register.wrapping_sub(first.xive) < XIVE_NUMBERS => {
                self.xive.set_scom(chip, register - first.xive, value, (cpu, memory))
            }
            _ if register.wrapping_sub(first.psi) < PSI_NUMBERS => {
                self.psi[chip as usize].set_scom(register - first.psi, value)
            }
            _ => {
                if let Some((phb, unit, number)) = self.phb_register(chip, register) {
                    return phb.set_scom(unit, number, value);
                }
                let controls = self.controls.write(self.model, chip, register, value);
                controls
                    .or_else(|| self.imc.write(self.model, chip, register, value, now))
                    .or_else(|| self.scoms.write(self.model, chip, register, value))
            }
        }
    }

    /// The PCI host bridge that an XSCOM register of a chip belongs to, and which unit's register of it that is.
    fn phb_register(&mut self, chip: u32, register: u32) -> Option<(&mut Phb, phb::Unit, u32)> {
        let (n, unit, number) = pci::stack_register(self.model, register)?;
        let phb = self.phb.get_mut(chip as usize * pci::bridges(self.model).len() + n)?;
        Some((phb, unit, number))
    }

    fn first(&self) -> First {
        match self.model {
            Model::Power9 => First { psi: 0x501_2900, xive: 0x501_3000 },
            Model::Power10 => First { psi: 0x301_1d00, xive: 0x201_0800 },
        }
    }
}

/// XSCOM numbers of units, and how many they have.
struct First {
    psi: u32,
    xive: u32,
}
/// The mailbox of the self-boot engine is at the same place in all chips.
const SBE: u32 = 0xd_0050;
/// The I2C masters, one behind the other.
pub(super) const I2C: u32 = 0xa_0000;
/// I2C masters of a chip that the host has, numbered from 0.
pub(super) const I2C_ENGINES: u32 = 4;
const I2C_NUMBERS: u32 = I2C_ENGINES * i2c::NUMBERS;
/// The master at whose port 0 is the memory that identifies the module. Number 0 is the self-boot engine's.
pub(super) const I2C_OF_MODULE: u32 = 1;
const PSI_NUMBERS: u32 = 0x100;
const XIVE_NUMBERS: u32 = 0x400;

/// The I2C master and its register that are meant by an XSCOM register of a chip.
fn i2c_register(chip: u32, register: u32) -> (usize, u32) {
    let offset = register - I2C;
    ((chip * I2C_ENGINES + offset / i2c::NUMBERS) as usize, offset % i2c::NUMBERS)
}

/// I2C master `n` of all chips.
fn i2c_engine(model: Model, n: u32) -> I2c {
    let (chip, engine) = (n / I2C_ENGINES, n % I2C_ENGINES);
    let machine = match model {
        Model::Power9 => "powernv9",
        Model::Power10 => "powernv10",
    };
    I2c::cold(if engine == I2C_OF_MODULE { i2c::Eeprom::cold(machine, chip) } else { i2c::Eeprom::default() })
}

/// All ones of this many bytes.
fn ones(bytes: u8) -> u64 {
    u64::MAX >> (64 - 8 * bytes as u32)
}

impl Bus for Devices {
    fn load(
        &mut self,
        cpu: u32,
        address: u64,
        bytes: u8,
        _: Instant,
        memory: &mut Memory,
    ) -> Result<u64, BusError> {
        if let Some((chip, offset)) = self.window(address, XSCOM, XSCOM_BYTES)
            && bytes == 8
        {
            return Ok(self.xscom_read(cpu, chip, (offset >> 3) as u32, memory));
        }
        if let Some((chip, offset)) = self.occ_window(address) {
            return self.occ.load(chip, offset, bytes).ok_or(BusError);
        }
        let answer = match self.window(address, LPC, LPC_BYTES) {
            Some((0, offset)) if bytes <= 4 => self.lpc.read(offset as u32, bytes).map(u64::from),
            Some(_) => None,
            None => self
                .xive
                .load(cpu, address, bytes, memory)
                .or_else(|| self.psi.iter_mut().find_map(|psi| psi.load(address)))
                .or_else(|| self.phb.iter_mut().find_map(|phb| phb.load(address, bytes)))
                .map(|value| value & ones(bytes)),
        };
        Ok(answer.unwrap_or_else(|| {
            self.unanswered(format!("load {address:#x}"));
            ones(bytes)
        }))
    }

    fn store(
        &mut self,
        cpu: u32,
        address: u64,
        bytes: u8,
        value: u64,
        now: Instant,
        memory: &mut Memory,
    ) -> Result<(), BusError> {
        if let Some((chip, offset)) = self.window(address, XSCOM, XSCOM_BYTES)
            && bytes == 8
        {
            self.xscom_write(cpu, (chip, (offset >> 3) as u32), value, now, memory);
            return Ok(());
        }
        if let Some((chip, offset)) = self.occ_window(address) {
            let answered = self.occ.store(chip, offset, bytes, value).ok_or(BusError)?;
            if let (Some(chip), true) = (chip, answered) {
                self.scoms.interrupt_by_occ(chip);
            }
            return Ok(());
        }
        let answer = match self.window(address, LPC, LPC_BYTES) {
            Some((0, offset)) if bytes <= 4 => self.lpc.write(offset as u32, bytes, value as u32, now),
            Some(_) => None,
            None => self
                .xive
                .store(cpu, address, bytes, value, memory)
                .or_else(|| self.psi.iter_mut().find_map(|psi| psi.store(address, value)))
                .or_else(|| self.phb.iter_mut().find_map(|phb| phb.store(address, bytes, value))),
        };
        if answer.is_none() {
            self.unanswered(format!("store {address:#x}"));
        }
        Ok(())
    }
}
