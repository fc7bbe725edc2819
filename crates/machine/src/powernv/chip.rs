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
use timebase_devices::{Bmc, I2c, Lpc, Occ, Phb, Psi, Sbe, XiveNative, i2c, phb, psi, sbe};
use timebase_memory::Memory;
use timebase_state::{Instant, State};

/// Where chip 0 has its XSCOM window, 16 GiB.
pub(super) const XSCOM: u64 = 0x0006_03fc_0000_0000;
const XSCOM_BYTES: u64 = 0x4_0000_0000;
/// Where chip 0 has its LPC bus, 4 GiB.
pub(super) const LPC: u64 = 0x0006_0300_0000_0000;
const LPC_BYTES: u64 = 0x1_0000_0000;

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
    /// The last access left nothing to do for [`Devices::settle`], nor for the machine.
    #[cache("asked after each access")]
    settled: bool,
    #[wiring("from the configuration")]
    topology: Topology,
    #[wiring("from the configuration")]
    model: Model,
    #[cache("counts for the report")]
    pub unanswered: BTreeMap<String, u64>,
}

impl Devices {
    /// As after power-on; the areas of the on-chip controllers begin at `occ`.
    pub fn cold(model: Model, topology: Topology, bmc: Bmc, occ: u64, now: Instant) -> Devices {
        let generation = match model {
            Model::Power9 => Generation::First,
            Model::Power10 => Generation::Second,
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
            occ: Occ::cold(occ, topology.chips, now),
            imc: Imc::cold(topology),
            scoms: Scoms::cold(occ),
            hmer: None,
            settled: false,
            topology,
            model,
            unanswered: BTreeMap::new(),
        }
    }

    /// Brings the lines of devices to the interrupt controller.
    pub fn settle(&mut self, now: Instant, memory: &mut Memory) {
        for chip in self.occ.look(now, memory) {
            self.scoms.interrupt_by_occ(chip);
        }
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
        for (n, on) in self.lpc_lines() {
            self.psi[0].set_line(n, on);
        }
        let events = self.psi.iter_mut().map(Psi::take_events);
        for number in events.chain(self.phb.iter_mut().map(Phb::take_events)).flatten() {
            self.xive.route(number >> 28, number & 0x0fff_ffff, memory);
        }
    }

    /// The lines of the LPC bus, by number of the source in the PSI host bridge.
    fn lpc_lines(&self) -> [(u32, bool); 5] {
        let [a, b, c, d] = self.lpc.lines();
        let serial = psi::LPC_SERIAL;
        let error = (psi::LPC_CONTROLLER, self.lpc.error_line());
        [(serial, a), (serial + 1, b), (serial + 2, c), (serial + 3, d), error]
    }

    /// After an access to the LPC bus: its lines are as they were brought to the interrupt controller, and nothing waits
    /// to be taken.
    fn lpc_is_settled(&self) -> bool {
        let brought = self.lpc_lines().iter().all(|&(n, on)| self.psi[0].line(n) == on);
        brought && !self.lpc.has_something_to_take()
    }

    /// When a device does something by itself. `busy`: some vCPU runs.
    pub fn deadline(&self, busy: bool, memory: &Memory) -> Option<Instant> {
        let own = self.sbe.iter().filter_map(Sbe::deadline).chain(self.imc.deadline());
        own.chain(self.occ.deadline(busy, memory)).min()
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

    /// Counts what nobody answered; of what a guest that looks everywhere finds, only the first is told one by one.
    fn unanswered(&mut self, what: String) {
        const TOLD: usize = 256;
        let told = self.unanswered.len() < TOLD || self.unanswered.contains_key(&what);
        *self.unanswered.entry(if told { what } else { "other".into() }).or_default() += 1;
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
            // Polled by firmware that waits for the timer.
            _ if register.wrapping_sub(SBE) < sbe::NUMBERS => {
                self.settled = true;
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
                    return phb.scom(unit, number, memory);
                }
                self.settled = true;
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
                    return phb.set_scom(unit, number, value, memory);
                }
                let controls = self.controls.write(self.model, chip, register, value);
                controls
                    .or_else(|| self.imc.write(self.model, chip, register, value, now))
                    .or_else(|| self.scoms.write(self.model, chip, register, value))
            }
        }
    }

    /// An access to the PCI host bridge that answers it.
    fn phb_access<T>(&mut self, mut access: impl FnMut(&mut Phb) -> Option<T>) -> Option<T> {
        let (phb, answer) = self.phb.iter_mut().find_map(|phb| access(phb).map(|answer| (phb, answer)))?;
        self.settled = !phb.has_events();
        Some(answer)
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
        self.settled = false;
        if let Some((chip, offset)) = self.window(address, XSCOM, XSCOM_BYTES)
            && bytes == 8
        {
            return Ok(self.xscom_read(cpu, chip, (offset >> 3) as u32, memory));
        }
        let answer = match self.window(address, LPC, LPC_BYTES) {
            Some((0, offset)) if bytes <= 4 => {
                let value = self.lpc.read(offset as u32, bytes);
                self.settled = self.lpc_is_settled();
                value.map(u64::from)
            }
            Some(_) => None,
            None => self
                .xive
                .load(cpu, address, bytes, memory)
                .or_else(|| self.psi.iter_mut().find_map(|psi| psi.load(address)))
                .or_else(|| self.phb_access(|phb| phb.load(address, bytes, memory)))
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
        self.settled = false;
        if let Some((chip, offset)) = self.window(address, XSCOM, XSCOM_BYTES)
            && bytes == 8
        {
            self.xscom_write(cpu, (chip, (offset >> 3) as u32), value, now, memory);
            return Ok(());
        }
        let answer = match self.window(address, LPC, LPC_BYTES) {
            Some((0, offset)) if bytes <= 4 => {
                let answer = self.lpc.write(offset as u32, bytes, value as u32, now);
                self.settled = self.lpc_is_settled();
                answer
            }
            Some(_) => None,
            None => self
                .xive
                .store(cpu, address, bytes, value, memory)
                .or_else(|| self.psi.iter_mut().find_map(|psi| psi.store(address, value)))
                .or_else(|| self.phb_access(|phb| phb.store(address, bytes, value, memory))),
        };
        if answer.is_none() {
            self.unanswered(format!("store {address:#x}"));
        }
        Ok(())
    }

    fn settled(&mut self) -> Option<u64> {
        self.settled.then(|| self.hmer.take().map_or(0, |(_, bits)| bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use timebase_devices::Rtc;
    use timebase_state::{digest, random};

    /// The first PCI host bridge of each model: XSCOM number of its stack in the nest.
    fn stack(model: Model) -> u64 {
        match model {
            Model::Power9 => 0x401_0c40,
            Model::Power10 => 0x301_1840,
        }
    }

    #[test]
    fn where_an_access_left_all_settled_there_is_nothing_to_settle() {
        const PHB: u64 = 0x6_00c3_c000_0000;
        let now = Instant::default();
        for model in [Model::Power9, Model::Power10] {
            let topology = Topology { chips: 1, cores: 1, threads: 1 };
            let mut devices = Devices::cold(model, topology, Bmc::cold(Rtc::cold(0, now)), 0, now);
            let memory = &mut Memory::new(1 << 20, 1);
            let scom = |number: u64| XSCOM + 8 * number;
            // The bridge's registers and event states are there; serial interrupts come through.
            for (number, value) in [(0x12, PHB << 8), (0x13, (PHB + 0x100_0000) << 8), (0x14, 3 << 60)] {
                devices.store(0, scom(stack(model) + number), 8, value, now, memory).unwrap();
            }
            let [control, mask] = [LPC + 0xc001_2030, LPC + 0xc001_2034];
            devices.store(0, control, 4, 1 << 31, now, memory).unwrap();
            let places: Vec<(u64, u8)> = (0..8)
                .map(|n| (LPC + 0xd001_03f8 + n, 1))
                .chain((0..3).map(|n| (LPC + 0xd001_00e4 + n, 1)))
                .chain([(mask, 4), (mask + 4, 4), (LPC + 0xc001_000c, 4), (LPC + 0xd001_0060, 1)])
                .chain([0x220, 0x228].map(|offset| (PHB + offset, 8)))
                .chain((0..4).map(|n| (PHB + 0x100_0000 + (n << 12), 8)))
                .chain([0xd_0063, 0xd_0060, 0x6_c080, 0x6_c082, 0xf_000f].map(|number| (scom(number), 8)))
                .collect();
            let (mut seed, mut settled) = (1, 0);
            for _ in 0..3_000 {
                devices.settle(now, memory);
                devices.hmer = None;
                devices.take_sent();
                devices.lpc.bmc.take_power();
                let (which, what) = (random::draw(&mut seed), random::draw(&mut seed));
                let (address, bytes) = places[which as usize % places.len()];
                if which >> 60 == 0 {
                    devices.lpc.uart.type_in(b"x");
                    devices.settle(now, memory);
                }
                let value = what & random::draw(&mut seed) & ones(bytes);
                if which >> 32 & 1 == 0 {
                    devices.store(0, address, bytes, value, now, memory).unwrap();
                } else {
                    devices.load(0, address, bytes, now, memory).unwrap();
                }
                if devices.settled().is_none() {
                    continue;
                }
                settled += 1;
                let before = digest(&mut devices, now);
                devices.settle(now, memory);
                assert!(digest(&mut devices, now) == before, "{model:?}: {address:#x}");
                assert!(!devices.lpc.has_something_to_take() && devices.hmer.is_none());
            }
            assert!((1_000..2_700).contains(&settled), "{settled}");
        }
    }

    #[test]
    fn what_a_guest_that_looks_everywhere_finds_takes_no_more_room() {
        let (now, memory) = (Instant::default(), &mut Memory::new(1 << 20, 1));
        let topology = Topology { chips: 1, cores: 1, threads: 1 };
        let mut devices = Devices::cold(Model::Power9, topology, Bmc::cold(Rtc::cold(0, now)), 0, now);
        for n in 0..1_000 {
            assert_eq!(devices.load(0, 0x6_0123_4567_8000 + 8 * (n % 500), 8, now, memory), Ok(u64::MAX));
        }
        assert_eq!(devices.unanswered.len(), 257);
        assert_eq!(devices.unanswered["load 0x6012345678000"], 2);
        assert_eq!(devices.unanswered["other"], 2 * (500 - 256));
    }
}
