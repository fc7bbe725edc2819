//! `pseries`: a logical partition as PAPR describes it (LoPAR), with its hypervisor built in.
//!
//! The machine is the hypervisor: `sc 1` comes here ([`hcall`]), and no guest code runs in hypervisor state.

mod cas;
mod describe;
mod hcall;
mod open_firmware;
mod rtas;

pub use hcall::status_name;

use crate::chassis::{self, Activity, Chassis, Request};
use crate::image::{self, Program, Segment};
use crate::observe::{Operation, Routed};
use crate::schedule::Schedule;
use crate::tree::Tree;
use crate::{Config, ConfigError, Firmware, Images, InstructionCount};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use open_firmware::OpenFirmware;
use timebase_cpu::bits::{lpcr, msr};
use timebase_cpu::{Bus, BusError, Clock, Exit, Model, Partition, Vcpu};
use timebase_devices::{Controller, Nvram, Rtc, Vty, Xics, Xive, xics};
use timebase_memory::{Memory, PAGE};
use timebase_state::{Instant, State};

/// Interrupt of environmental and power warnings.
const IRQ_EPOW: u32 = 0x1000;
/// Interrupt of hot-plug events.
const IRQ_HOTPLUG: u32 = 0x1001;
/// Interrupt of the console.
const IRQ_VTY: u32 = 0x1100;
/// Interrupt of the NVRAM node, never raised.
const IRQ_NVRAM: u32 = 0x1101;

/// Level-sensitive sources.
const LEVEL_SOURCES: [u32; 2] = [IRQ_NVRAM, IRQ_VTY];
/// Message sources, beside one for inter-processor interrupts per vCPU.
const MESSAGE_SOURCES: [u32; 2] = [IRQ_EPOW, IRQ_HOTPLUG];

/// Real address of the hash page table: beyond the 60 bits that translation and real mode can name. Calls that take
/// addresses of 64 bits cut them down to those with [`GUEST_ADDRESS`].
const HPT_BASE: u64 = 1 << 60;
/// The bits of an address that a guest can name.
const GUEST_ADDRESS: u64 = HPT_BASE - 1;

/// Where SLOF expects a kernel that can be anywhere.
const ROM_KERNEL_BASE: u64 = 0x40_0000;
/// Bytes of memory that the images must leave free behind them.
const ROOM: u64 = 2 << 20;
/// Firmware in the guest works below this address.
const FIRMWARE_TOP: u64 = 1 << 31;

/// What the images put into memory.
pub(crate) struct Loaded {
    kernel: Option<Program>,
    /// The first address of the initial RAM disk, and the first one after it; 0 if there is none.
    initrd: (u64, u64),
    /// The first address after both.
    end: u64,
}

/// A vCPU and what the hypervisor knows of it.
#[derive(State)]
pub(crate) struct Slot {
    vcpu: Vcpu,
    activity: Activity,
    /// H_PROD came while it was not ceded.
    prodded: bool,
    /// Registered virtual processor area, SLB shadow and dispatch trace log: address and length, 0 for none.
    vpa: u64,
    slb_shadow: (u64, u64),
    dispatch_log: (u64, u64),
}

/// Devices behind real addresses and hcalls.
#[derive(State)]
pub(crate) struct Devices {
    interrupts: Controller,
    vty: Vty,
    nvram: Nvram,
    rtc: Rtc,
}

impl Devices {
    /// Negotiation chose XIVE, or not. Lines of devices are brought to the new controller before a vCPU runs.
    fn choose_interrupts(&mut self, xive: bool, cpus: u32) {
        self.interrupts = if xive {
            Controller::Xive(Xive::cold(cpus, &LEVEL_SOURCES, &MESSAGE_SOURCES))
        } else {
            Controller::Xics(Xics::cold(cpus, &LEVEL_SOURCES, &MESSAGE_SOURCES))
        };
    }
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
        self.interrupts.xive().and_then(|xive| xive.load(cpu, address, bytes, memory)).ok_or(BusError)
    }
    fn store(
        &mut self,
        cpu: u32,
        address: u64,
        bytes: u8,
        value: u64,
        _: Instant,
        memory: &mut Memory,
    ) -> Result<(), BusError> {
        self.interrupts.xive().and_then(|xive| xive.store(cpu, address, bytes, value, memory)).ok_or(BusError)
    }
}

/// All state of the machine.
#[derive(State)]
pub(crate) struct Board {
    memory: Memory,
    cpu: Box<[Slot]>,
    clock: Clock,
    schedule: Schedule,
    devices: Devices,
    tree: Tree,
    firmware: OpenFirmware,
    request: Request,
    /// State of H_RANDOM.
    random: u64,
    /// Running hash of all output.
    output: [u8; 32],
    #[undigested("a position")]
    count: InstructionCount,
    #[undigested("a position")]
    sequence: u32,
}

/// The machine.
pub(crate) type Pseries = Chassis<Board>;

impl Pseries {
    /// vCPU `n` gives way until something is pending.
    fn rest(&mut self, n: usize) {
        self.board.cpu[n].activity = Activity::Idle;
        self.board.schedule.end_slice();
    }
}

impl chassis::Slot for Slot {
    fn vcpu(&self) -> &Vcpu {
        &self.vcpu
    }
    fn vcpu_mut(&mut self) -> &mut Vcpu {
        &mut self.vcpu
    }
    fn activity(&self) -> Activity {
        self.activity
    }
    fn activity_mut(&mut self) -> &mut Activity {
        &mut self.activity
    }
}

impl chassis::Board for Board {
    type Slot = Slot;
    type Devices = Devices;
    type Loaded = Loaded;
    chassis::parts!();

    fn check(config: &Config) -> Result<(), ConfigError> {
        check(config)
    }

    fn cold(config: &Config, model: Model) -> Result<Board, ConfigError> {
        Board::power_on(config, model, &Survivors::cold(config), 0, Instant::default())
    }

    fn after_reset(
        &self,
        config: &Config,
        model: Model,
        count: InstructionCount,
        now: Instant,
    ) -> Result<Board, ConfigError> {
        let kept = Survivors {
            nvram: self.devices.nvram.clone(),
            rtc: self.devices.rtc.clone(),
            random: config.seed,
            output: self.output,
        };
        Board::power_on(config, model, &kept, count, now)
    }

    fn load(&mut self, config: &Config, images: &Images) -> Result<Loaded, ConfigError> {
        self.load_images(config, images)
    }

    fn start(&mut self, config: &Config, loaded: &Loaded) -> Result<(), ConfigError> {
        self.begin(config, loaded)
    }

    fn settle(&mut self, now: Instant) {
        self.devices.interrupts.set(IRQ_VTY, self.devices.vty.line(), &mut self.memory);
        for (n, slot) in self.cpu.iter_mut().enumerate() {
            slot.vcpu.external = self.devices.interrupts.line(n as u32);
            slot.vcpu.look(now);
            let woken = match slot.activity {
                Activity::Idle => slot.vcpu.wakes() || slot.prodded,
                Activity::Joined => slot.prodded || slot.vcpu.system_reset,
                _ => false,
            };
            if woken {
                slot.activity = Activity::Running;
                slot.prodded = false;
            }
        }
    }

    fn carry_out(machine: &mut Pseries, n: usize, exit: Exit) {
        match exit {
            Exit::Hypercall => machine.hypercall(n),
            Exit::Rest => machine.rest(n),
            // On this machine threads are cores: a directed doorbell reaches its sender only.
            Exit::Doorbell { message, .. } if message & 0x7f == 0 => {
                machine.board.cpu[n].vcpu.doorbell = true;
            }
            _ => {}
        }
    }

    fn type_in(&mut self, bytes: &[u8]) {
        self.devices.vty.type_in(bytes);
    }

    fn system_reset(&mut self) {
        for slot in self.cpu.iter_mut().filter(|slot| slot.activity != Activity::Stopped) {
            slot.vcpu.system_reset = true;
        }
    }

    fn observe(&mut self, on: bool) {
        self.devices.interrupts.observe(on);
    }

    fn take_offers(&mut self) -> Vec<(Routed, bool)> {
        let offers = self.devices.interrupts.take_routed();
        let xive = self.devices.interrupts.xive().is_some();
        // With XIVE each vCPU has a source of its own number.
        let cpus = self.cpu.len() as u32;
        let ipi = |source| if xive { source < cpus } else { source == xics::IPI };
        offers.into_iter().map(|routed| (routed, ipi(routed.source))).collect()
    }

    fn meaning(&self, address: u64, bytes: u8, store: bool) -> Option<Operation> {
        self.devices.interrupts.as_xive()?.meaning(address, bytes, store)
    }
}

/// What a reset keeps.
struct Survivors {
    nvram: Nvram,
    rtc: Rtc,
    random: u64,
    output: [u8; 32],
}

impl Survivors {
    fn cold(config: &Config) -> Survivors {
        Survivors {
            nvram: Nvram::cold(),
            rtc: Rtc::cold(config.rtc_seconds, Instant::default()),
            random: config.seed,
            output: [0; 32],
        }
    }
}

/// Refuses configurations that make no machine.
fn check(config: &Config) -> Result<(), ConfigError> {
    let bad = |text: String| Err(ConfigError(text));
    if !(1..=256).contains(&config.cpus) {
        return bad(format!("{} CPUs: this machine has 1 to 256", config.cpus));
    }
    if (config.threads, config.sockets) != (1, 1) {
        return bad("threads and sockets: a vCPU of this machine is a core of one chip".into());
    }
    let mib = 1 << 20;
    if config.memory_bytes < 64 * mib
        || !config.memory_bytes.is_multiple_of(16 * mib)
        || config.memory_bytes > 1 << 40
    {
        return bad(format!(
            "memory of {} MiB: give a multiple of 16 MiB between 64 MiB and 1 TiB",
            config.memory_bytes / mib
        ));
    }
    if config.rate_numerator == 0 || config.rate_denominator == 0 {
        return bad("the instruction rate must not be 0".into());
    }
    Ok(())
}

impl Board {
    /// Everything as after power-on at `now`, but for the survivors.
    fn power_on(
        config: &Config,
        model: Model,
        kept: &Survivors,
        count: InstructionCount,
        now: Instant,
    ) -> Result<Board, ConfigError> {
        let mut memory = Memory::new(config.memory_bytes, config.cpus);
        let hpt_shift = hpt_shift(config.memory_bytes);
        memory.attach(HPT_BASE, 1 << hpt_shift);
        let cpu = (0..config.cpus)
            .map(|n| {
                let mut vcpu = Vcpu::cold(n, model, false, kept.random, now);
                vcpu.spr.lpcr = lpcr::LPES | lpcr::LD | lpcr::ONL;
                vcpu.partition = Partition { hpt: HPT_BASE, hpt_shift, ..Partition::cold() };
                Slot {
                    vcpu,
                    activity: Activity::Stopped,
                    prodded: false,
                    vpa: 0,
                    slb_shadow: (0, 0),
                    dispatch_log: (0, 0),
                }
            })
            .collect();
        Ok(Board {
            memory,
            cpu,
            clock: Clock::cold(config.rate_numerator, config.rate_denominator, count, now),
            schedule: Schedule::cold(config.schedule_seed),
            devices: Devices {
                interrupts: Controller::Xics(Xics::cold(config.cpus, &LEVEL_SOURCES, &MESSAGE_SOURCES)),
                vty: Vty::cold(),
                nvram: kept.nvram.clone(),
                rtc: kept.rtc.clone(),
            },
            tree: Tree::new(),
            firmware: OpenFirmware::cold(),
            request: Request::None,
            random: kept.random,
            output: kept.output,
            count,
            sequence: 0,
        })
    }

    fn load_images(&mut self, config: &Config, images: &Images) -> Result<Loaded, ConfigError> {
        // A Linux that is loaded at 0 need not move there. A boot ROM has its own code there.
        let base = if let Firmware::Image = config.firmware { ROM_KERNEL_BASE } else { 0 };
        let kernel = self.load_kernel(images, base)?;
        let end = kernel.as_ref().map_or(base, |kernel| kernel.end);
        let initrd = self.load_initrd(images, end)?;
        let end = end.max(initrd.1);
        // Firmware, its tables and the flattened tree need some room beside the images.
        image::check_room(&self.memory, "kernel and initrd", end.saturating_add(ROOM))?;
        if let Firmware::Image = config.firmware {
            let rom = images.firmware.as_ref().ok_or_else(|| ConfigError("no firmware image".into()))?;
            image::place(&mut self.memory, "firmware", 0, rom, 0..rom.len())?;
        }
        Ok(Loaded { kernel, initrd, end })
    }

    /// Sets vCPU 0 on its way.
    fn begin(&mut self, config: &Config, loaded: &Loaded) -> Result<(), ConfigError> {
        let &Loaded { ref kernel, initrd, end } = loaded;
        let kernel = kernel.as_ref();
        self.tree = describe::tree(config, (initrd.0, initrd.1 - initrd.0));
        let no_kernel = || ConfigError("no kernel: give --kernel FILE (or --firmware FILE)".into());
        match config.firmware {
            Firmware::BuiltIn => {
                let kernel = kernel.ok_or_else(no_kernel)?;
                let taken = [(kernel.start, kernel.end), initrd];
                let below = kernel.start >= open_firmware::RESERVED;
                let base = if below { 0 } else { end.next_multiple_of(open_firmware::RESERVED) };
                self.firmware.install(&mut self.memory, &mut self.tree, base, &taken);
                self.enter_kernel(kernel, [initrd.0, initrd.1 - initrd.0, base + open_firmware::ENTRY]);
                self.cpu[0].vcpu.regs.gpr[1] = base + open_firmware::STACK;
            }
            Firmware::None => {
                let kernel = kernel.ok_or_else(no_kernel)?;
                self.settle_without_negotiation(config);
                let rtas = rtas::install(&mut self.memory, &mut self.tree, end);
                let below = if rtas < end { self.memory.bytes() } else { rtas };
                let tree = self.place_tree(below, &[(rtas, rtas::RESERVED)])?;
                self.enter_kernel(kernel, [tree, 0, 0]);
            }
            Firmware::Image => {
                if let Some(kernel) = kernel {
                    describe::boot_kernel(&mut self.tree, kernel);
                }
                let tree = self.place_tree(self.memory.bytes().min(FIRMWARE_TOP), &[])?;
                self.enter(0x100, [tree, 0, 0], msr::SF);
            }
        }
        Ok(())
    }

    /// Loads the kernel, if there is one: at `base` if it can be anywhere.
    fn load_kernel(&mut self, images: &Images, base: u64) -> Result<Option<Program>, ConfigError> {
        let Some(content) = &images.kernel else { return Ok(None) };
        let kernel = image::parse(content, base).map_err(|why| ConfigError(format!("kernel: {why}")))?;
        for Segment { address, part, memory_bytes } in kernel.segments {
            image::check_room(&self.memory, "kernel", address.saturating_add(memory_bytes))?;
            image::place(&mut self.memory, "kernel", address, content, part)?;
        }
        Ok(Some(kernel.program))
    }

    /// Loads the initial RAM disk behind what ends at `end`: where it begins and ends, 0 if there is none.
    fn load_initrd(&mut self, images: &Images, end: u64) -> Result<(u64, u64), ConfigError> {
        let Some(content) = &images.initrd else { return Ok((0, 0)) };
        let base = end.saturating_add(0x2_0000).next_multiple_of(0x1_0000);
        image::place(&mut self.memory, "initrd", base, content, 0..content.len())?;
        Ok((base, base + content.len()))
    }

    /// Puts the flattened tree below `top`.
    fn place_tree(&mut self, top: u64, reserved: &[(u64, u64)]) -> Result<u64, ConfigError> {
        let flat = self.tree.flatten(reserved);
        let address = (top - flat.len() as u64 - PAGE) & !0xffff;
        image::place(&mut self.memory, "device tree", address, &flat[..].into(), 0..flat.len() as u64)?;
        Ok(address)
    }

    /// vCPU 0 begins in the kernel, in the mode that it was made for.
    fn enter_kernel(&mut self, kernel: &Program, registers: [u64; 3]) {
        let width = if kernel.bits64 { msr::SF } else { 0 };
        let order = if kernel.little_endian { msr::LE } else { 0 };
        self.enter(kernel.entry, registers, width | order);
    }

    /// vCPU 0 begins at `entry` with r3 to r5 and these bits of MSR.
    fn enter(&mut self, entry: u64, [r3, r4, r5]: [u64; 3], mode: u64) {
        let slot = &mut self.cpu[0];
        slot.activity = Activity::Running;
        let regs = &mut slot.vcpu.regs;
        regs.nia = entry;
        (regs.gpr[3], regs.gpr[4], regs.gpr[5]) = (r3, r4, r5);
        slot.vcpu.set_msr(mode | msr::ME);
    }
}

/// log2 of the bytes of the hash page table: 1/128 of memory, rounded up, at least 256 KiB (PAPR's minimum).
fn hpt_shift(memory_bytes: u64) -> u8 {
    (memory_bytes.next_power_of_two().trailing_zeros() as u8).saturating_sub(7).max(18)
}
