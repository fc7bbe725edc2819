//! `pseries`: a logical partition as PAPR describes it (LoPAR), with its hypervisor built in.
//!
//! The machine is the hypervisor: `sc 1` comes here ([`hcall`]), and no guest code runs in hypervisor state.

mod cas;
mod describe;
mod hcall;
mod open_firmware;
mod rtas;
mod watched;

use crate::debug::{self, Change, Debugger, Halts};
use crate::image::{self, Image, KERNEL_BASE};
use crate::observe::{Observed, Observer};
use crate::schedule::Schedule;
use crate::tree::Tree;
use crate::{
    Config, ConfigError, Firmware, Images, InputError, InstructionCount, Machine, Output, Port, Position,
    Statistics, Stop,
};
use alloc::{boxed::Box, collections::BTreeMap, format, string::String, vec, vec::Vec};
use open_firmware::OpenFirmware;
use timebase_cpu::bits::{lpcr, msr};
use timebase_cpu::{Bus, BusError, Clock, Engine, Exit, Model, Partition, Vcpu, World};
use timebase_devices::{Controller, Nvram, Rtc, Vty, Xics, Xive};
use timebase_memory::{Memory, PAGE, Writer};
use timebase_state::{Difference, Digest, Instant, LoadError, Snapshot, State};

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

/// Bytes of memory that the images must leave free behind them.
const ROOM: u64 = 2 << 20;
/// Firmware in the guest works below this address.
const FIRMWARE_TOP: u64 = 1 << 31;

/// The port of the console.
const CONSOLE: &str = "console0";
/// The port of the operator's system reset request.
const NMI: &str = "nmi";

/// What a vCPU is doing.
#[derive(State, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Activity {
    /// Stopped, as RTAS `stop-self` leaves it and secondary vCPUs begin.
    #[default]
    Stopped,
    /// It runs when its turn comes.
    Running,
    /// It ceded: until something is pending or it is prodded.
    Ceded,
    /// It joined the others: until it is prodded.
    Joined,
    /// It checkstopped.
    Dead,
}

impl Activity {
    fn name(self) -> &'static str {
        match self {
            Activity::Running => "running",
            Activity::Stopped => "stopped",
            Activity::Ceded => "idle",
            Activity::Joined => "joined",
            Activity::Dead => "dead",
        }
    }
}

/// A vCPU and what the hypervisor knows of it.
#[derive(State)]
struct Slot {
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
struct Devices {
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

/// What the guest asked of the machine as a whole.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
enum Request {
    #[default]
    None,
    Reset,
    PowerOff,
    Panic(String),
}

/// All state of the machine.
#[derive(State)]
struct Board {
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
pub struct Pseries {
    board: Board,
    config: Config,
    images: Images,
    model: Model,
    engine: Box<dyn Engine>,
    quantum: u64,
    debugger: Debugger,
    observer: Observer,
    emitted: Vec<Output>,
    interrupts: BTreeMap<&'static str, u64>,
    hcalls: BTreeMap<String, u64>,
    rtas: BTreeMap<String, u64>,
}

impl Pseries {
    /// The machine at power-on.
    pub fn cold(
        config: &Config,
        images: Images,
        model: Model,
        engine: Box<dyn Engine>,
    ) -> Result<Pseries, ConfigError> {
        check(config)?;
        let board = Board::cold(config, model, &Survivors::cold(config), 0, Instant::default())?;
        let mut machine = Pseries {
            board,
            config: config.clone(),
            images,
            model,
            engine,
            quantum: u64::MAX,
            debugger: Debugger::default(),
            observer: Observer::default(),
            emitted: Vec::new(),
            interrupts: BTreeMap::new(),
            hcalls: BTreeMap::new(),
            rtas: BTreeMap::new(),
        };
        machine.load_images()?;
        Ok(machine)
    }

    /// Loads the images and enters the guest as the firmware of the configuration does.
    fn load_images(&mut self) -> Result<(), ConfigError> {
        let images = core::mem::take(&mut self.images);
        let result = self.board.load(&self.config, &images);
        self.images = images;
        result
    }

    /// Looks at what is due, lets ceded vCPUs wake, and brings the lines of devices to the vCPUs.
    fn settle(&mut self) {
        let board = &mut self.board;
        let now = board.clock.at(board.count);
        board.devices.interrupts.set(IRQ_VTY, board.devices.vty.line(), &mut board.memory);
        let mut runnable = 0;
        for (n, slot) in board.cpu.iter_mut().enumerate() {
            slot.vcpu.external = board.devices.interrupts.line(n as u32);
            slot.vcpu.look(now);
            let woken = match slot.activity {
                Activity::Ceded => slot.vcpu.wakes() || slot.prodded,
                Activity::Joined => slot.prodded || slot.vcpu.system_reset,
                _ => false,
            };
            if woken {
                slot.activity = Activity::Running;
                slot.prodded = false;
            }
            runnable += (slot.activity == Activity::Running) as u32;
        }
        let rate = (self.config.rate_numerator, self.config.rate_denominator);
        board.clock.share(board.count, rate.0, rate.1, runnable);
        self.look();
    }

    /// The next instant at which something happens by itself.
    fn deadline(&self) -> Option<Instant> {
        let now = self.now();
        let waits = |slot: &&Slot| matches!(slot.activity, Activity::Running | Activity::Ceded);
        self.board.cpu.iter().filter(waits).map(|slot| slot.vcpu.dec_deadline(now)).min()
    }

    /// The vCPU that is on takes its interrupts.
    fn take_interrupts(&mut self) {
        let n = self.board.schedule.current as usize;
        while let Some(vector) = self.board.cpu[n].vcpu.take_interrupt() {
            *self.interrupts.entry(vector.name()).or_default() += 1;
            if self.observer.is_on() {
                let (at, now) = (self.position(), self.now());
                self.observer.interrupted(at, now, n as u32, vector, &self.board.cpu[n].vcpu);
            }
        }
    }

    /// Runs the vCPU that is on, up to `limit`.
    fn run_slice(&mut self, limit: InstructionCount) {
        let n = self.board.schedule.current as usize;
        let before = self.position();
        let due = self.deadline();
        let board = &mut self.board;
        let due = due.map_or(u64::MAX, |deadline| board.clock.count_of(deadline));
        // A guest that idles for centuries makes time wrap around: then the next event may seem to be past.
        let left = limit.min(due).saturating_sub(board.count);
        let budget = left.min(board.schedule.left).min(self.quantum).max(1);
        let mut world = World {
            memory: &mut board.memory,
            bus: &mut board.devices,
            clock: board.clock,
            count: board.count,
            passed: self.debugger.passed,
            observed: self.observer.in_run(),
        };
        let outcome = self.engine.run(&mut board.cpu[n].vcpu, &mut world, budget);
        self.debugger.ran(n as u32, before, outcome.executed);
        let xive = board.devices.interrupts.xive();
        let meaning = |address, bytes, store| xive.as_ref()?.meaning(address, bytes, store);
        self.observer.ran(n as u32, before, &board.clock, meaning);
        board.count += outcome.executed;
        if outcome.executed != 0 {
            board.sequence = 0;
        }
        board.schedule.left -= outcome.executed.min(board.schedule.left);
        self.observer.set_attempt(Some((before, outcome.executed)));
        self.carry_out(n, outcome.exit);
        if self.observer.is_on() {
            self.see_offers();
        }
        self.observer.set_attempt(None);
    }

    /// Does what vCPU `n` asks of the machine.
    fn carry_out(&mut self, n: usize, exit: Exit) {
        match exit {
            Exit::Budget | Exit::Look => {}
            Exit::Breakpoint => {
                let (at, nia) = (self.position(), self.board.cpu[n].vcpu.regs.nia);
                self.debugger.at_breakpoint(at, n as u32, nia);
            }
            Exit::Hypercall => self.hypercall(n),
            Exit::Rest => self.rest(n),
            Exit::Yield => self.board.schedule.end_slice(),
            Exit::Doorbell { message, .. } => {
                // On this machine threads are cores: a directed doorbell reaches its sender only.
                if message & 0x7f == 0 {
                    self.board.cpu[n].vcpu.doorbell = true;
                }
            }
            Exit::Checkstop => {
                self.board.cpu[n].activity = Activity::Dead;
                self.board.request = Request::Panic(format!("vCPU {n} checkstopped"));
            }
        }
    }

    /// vCPU `n` gives way until something is pending.
    fn rest(&mut self, n: usize) {
        self.board.cpu[n].activity = Activity::Ceded;
        self.board.schedule.end_slice();
    }

    /// Emits bytes on a port.
    fn emit(&mut self, port: &str, bytes: &[u8]) {
        self.board.output = timebase_state::chain(&self.board.output, &[port.as_bytes(), bytes]);
        self.emitted.push(Output { port: port.into(), bytes: bytes.into() });
    }

    /// The machine is another than before.
    fn restart_debugger(&mut self) {
        let (cpus, at) = (&self.board.cpu, self.position());
        self.debugger.start_over(|n| Some(&cpus.get(n as usize)?.vcpu), at);
    }

    /// The partition's translation changed.
    fn forget_translations(&mut self) {
        self.engine.flush(&mut self.board.memory);
        for slot in &mut self.board.cpu {
            slot.vcpu.context_changed();
        }
    }

    /// Bulk storage is about to be hashed or shared.
    fn seal(&mut self) {
        self.engine.withdraw_writes();
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
    fn cold(
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

    /// Puts an image's bytes into memory.
    fn place(
        &mut self,
        what: &str,
        address: u64,
        bytes: &[u8],
        memory_bytes: u64,
    ) -> Result<(), ConfigError> {
        let room = self.memory.bytes();
        let fits = address.checked_add(memory_bytes).is_some_and(|end| end <= room);
        if !fits || self.memory.store(address, bytes, Writer::Other).is_err() {
            return Err(ConfigError(format!(
                "{what}: it needs memory up to {:#x}, there is {room:#x}: use a larger --memory",
                address.saturating_add(memory_bytes)
            )));
        }
        Ok(())
    }

    /// Loads the images and sets vCPU 0 on its way.
    fn load(&mut self, config: &Config, images: &Images) -> Result<(), ConfigError> {
        let kernel = self.load_kernel(images)?;
        let end = kernel.as_ref().map_or(KERNEL_BASE, Image::end);
        let initrd = self.load_initrd(images, end)?;
        let end = end.max(initrd.1);
        // Firmware, its tables and the flattened tree need some room beside the images.
        self.place("kernel and initrd", end, &[], ROOM)?;
        self.tree = describe::tree(config, (initrd.0, initrd.1 - initrd.0));
        let no_kernel = || ConfigError("no kernel: give --kernel FILE (or --firmware FILE)".into());
        match config.firmware {
            Firmware::BuiltIn => {
                let kernel = kernel.ok_or_else(no_kernel)?;
                if kernel.start() < open_firmware::RESERVED {
                    return Err(ConfigError(format!(
                        "kernel: it begins at {:#x}, where the firmware is (up to {:#x}): use --firmware none",
                        kernel.start(),
                        open_firmware::RESERVED
                    )));
                }
                let taken = [(kernel.start(), kernel.end()), initrd];
                self.firmware.install(&mut self.memory, &mut self.tree, &taken);
                self.enter_kernel(&kernel, [initrd.0, initrd.1 - initrd.0, open_firmware::ENTRY]);
                self.cpu[0].vcpu.regs.gpr[1] = open_firmware::STACK;
            }
            Firmware::None => {
                let kernel = kernel.ok_or_else(no_kernel)?;
                self.settle_without_negotiation(config);
                let rtas = rtas::install(&mut self.memory, &mut self.tree, end);
                let below = if rtas < end { self.memory.bytes() } else { rtas };
                let tree = self.place_tree(below, &[(rtas, rtas::RESERVED)])?;
                self.enter_kernel(&kernel, [tree, 0, 0]);
            }
            Firmware::Image => {
                let rom = images.firmware.as_ref().ok_or_else(|| ConfigError("no firmware image".into()))?;
                self.place("firmware", 0, rom, rom.len() as u64)?;
                if let Some(kernel) = &kernel {
                    describe::boot_kernel(&mut self.tree, kernel);
                }
                let tree = self.place_tree(self.memory.bytes().min(FIRMWARE_TOP), &[])?;
                self.enter(0x100, [tree, 0, 0], msr::SF);
            }
        }
        Ok(())
    }

    /// Loads the kernel, if there is one.
    fn load_kernel<'a>(&mut self, images: &'a Images) -> Result<Option<Image<'a>>, ConfigError> {
        let Some(bytes) = &images.kernel else { return Ok(None) };
        let kernel = image::parse(bytes).map_err(|why| ConfigError(format!("kernel: {why}")))?;
        for segment in &kernel.segments {
            self.place("kernel", segment.address, segment.bytes, segment.memory_bytes)?;
        }
        Ok(Some(kernel))
    }

    /// Loads the initial RAM disk behind what ends at `end`: where it begins and ends, 0 if there is none.
    fn load_initrd(&mut self, images: &Images, end: u64) -> Result<(u64, u64), ConfigError> {
        let Some(bytes) = &images.initrd else { return Ok((0, 0)) };
        let base = end.saturating_add(0x2_0000).next_multiple_of(0x1_0000);
        self.place("initrd", base, bytes, bytes.len() as u64)?;
        Ok((base, base + bytes.len() as u64))
    }

    /// Puts the flattened tree below `top`.
    fn place_tree(&mut self, top: u64, reserved: &[(u64, u64)]) -> Result<u64, ConfigError> {
        let flat = self.tree.flatten(reserved);
        let address = (top - flat.len() as u64 - PAGE) & !0xffff;
        self.place("device tree", address, &flat, flat.len() as u64)?;
        Ok(address)
    }

    /// vCPU 0 begins in the kernel, in the mode that it was made for.
    fn enter_kernel(&mut self, kernel: &Image, registers: [u64; 3]) {
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

impl Machine for Pseries {
    fn position(&self) -> Position {
        Position { count: self.board.count, sequence: self.board.sequence }
    }

    fn now(&self) -> Instant {
        self.board.clock.at(self.board.count)
    }

    fn run(&mut self, limit: InstructionCount) -> Stop {
        loop {
            if !self.emitted.is_empty() {
                return Stop::Output;
            }
            self.see_request();
            match &self.board.request {
                Request::None => {}
                Request::Reset => return Stop::Reset,
                Request::PowerOff => return Stop::PowerOff,
                Request::Panic(text) => return Stop::Panic(text.clone()),
            }
            self.settle();
            let at = self.position();
            let board = &mut self.board;
            let able = |n: u32| board.cpu[n as usize].activity == Activity::Running;
            match board.schedule.choose(board.cpu.len() as u32, able) {
                None if at.count >= limit => return Stop::Limit,
                None => {
                    self.see_idle(true);
                    return Stop::Idle { deadline: self.deadline() };
                }
                Some(true) => {
                    board.memory.begin_slice(board.schedule.current);
                    self.debugger.slice(at, board.schedule.current);
                }
                Some(false) => {}
            }
            self.see_idle(false);
            self.take_interrupts();
            let cpus = &self.board.cpu;
            let hits = self.debugger.look(&mut self.board.memory, |n| Some(&cpus.get(n as usize)?.vcpu));
            if !hits.is_empty() {
                return Stop::Hit(hits);
            }
            if at.count >= limit {
                return Stop::Limit;
            }
            self.run_slice(limit);
        }
    }

    fn input(&mut self, port: &str, payload: &[u8]) -> Result<(), InputError> {
        match port {
            CONSOLE => {
                // Bytes beyond the buffer are lost, as on a line without flow control.
                self.board.devices.vty.type_in(payload);
            }
            NMI => {
                for slot in self.board.cpu.iter_mut().filter(|slot| slot.activity != Activity::Stopped) {
                    slot.vcpu.system_reset = true;
                }
            }
            debug::PORT => {
                let change = Change::decode(payload)
                    .ok_or_else(|| InputError::BadPayload("no change of a register or of memory".into()))?;
                let now = self.now();
                let Board { cpu, memory, .. } = &mut self.board;
                change.apply(memory, |n| Some(&mut cpu.get_mut(n as usize)?.vcpu), now)?;
            }
            _ => return Err(InputError::UnknownPort(port.into())),
        }
        self.board.sequence += 1;
        Ok(())
    }

    fn input_ports(&self) -> Vec<Port> {
        vec![CONSOLE.into(), NMI.into(), debug::PORT.into()]
    }

    fn end_idle(&mut self) {
        if let Some(deadline) = self.deadline() {
            self.cut_idle(deadline);
        }
    }

    fn cut_idle(&mut self, until: Instant) {
        self.board.clock.advance(self.board.count, until);
        self.board.sequence += 1;
    }

    fn resume(&mut self) {
        self.board.request = Request::None;
    }

    fn reset(&mut self) {
        let now = Instant::from_ticks(self.now().ticks() + 1);
        let kept = Survivors {
            nvram: self.board.devices.nvram.clone(),
            rtc: self.board.devices.rtc.clone(),
            random: self.config.seed,
            output: self.board.output,
        };
        // The configuration and the images made a machine before, so they do again.
        let count = self.board.count;
        let Ok(board) = Board::cold(&self.config, self.model, &kept, count, now) else { return };
        self.board = Board { sequence: self.board.sequence + 1, ..board };
        let _ = self.load_images();
        self.observer.reset();
        self.flush_caches();
    }

    fn take_output(&mut self) -> Vec<Output> {
        core::mem::take(&mut self.emitted)
    }

    fn snapshot(&mut self) -> Snapshot {
        self.seal();
        timebase_state::save(&mut self.board)
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), LoadError> {
        let before = self.board.memory.storage();
        timebase_state::load(&mut self.board, snapshot)?;
        self.emitted.clear();
        self.engine.forget_translations(&mut self.board.memory);
        self.board.memory.replaced(&before);
        for slot in &mut self.board.cpu {
            slot.vcpu.context_changed();
        }
        let current = self.board.schedule.current;
        self.board.memory.begin_slice(current);
        self.restart_debugger();
        self.observer.start_over();
        Ok(())
    }

    fn digest(&mut self) -> Digest {
        self.seal();
        let now = self.now();
        timebase_state::digest(&mut self.board, now)
    }

    fn differences(&mut self, other: &Snapshot) -> Vec<Difference> {
        self.seal();
        let Ok(mut board) =
            Board::cold(&self.config, self.model, &Survivors::cold(&self.config), 0, Instant::default())
        else {
            return Vec::new();
        };
        if let Err(error) = timebase_state::load(&mut board, other) {
            return vec![Difference { path: error.path, left: String::new(), right: error.what.into() }];
        }
        let (now, then) = (self.now(), board.clock.at(board.count));
        timebase_state::diff(&mut self.board, &mut board, now, then)
    }

    fn schema(&mut self) -> Digest {
        let cold =
            Board::cold(&self.config, self.model, &Survivors::cold(&self.config), 0, Instant::default());
        cold.map(|mut board| timebase_state::schema(&mut board)).unwrap_or_default()
    }

    fn perturb(&mut self, n: u64) -> Option<String> {
        self.seal();
        let path = timebase_state::perturb(&mut self.board, n);
        self.flush_caches();
        path
    }

    fn flush_caches(&mut self) {
        self.forget_translations();
    }

    fn set_quantum(&mut self, instructions: u64) {
        self.quantum = instructions.max(1);
    }

    fn set_halts(&mut self, halts: Halts) {
        self.board.memory.set_watchpoints(halts.watchpoints.clone());
        self.debugger.halts = halts;
        self.engine.set_halts(self.debugger.for_engine(), &mut self.board.memory);
        for slot in &mut self.board.cpu {
            slot.vcpu.context_changed();
        }
        self.restart_debugger();
    }

    fn cpus(&self) -> u32 {
        self.config.cpus
    }

    fn current(&self) -> u32 {
        self.board.schedule.current
    }

    fn vcpu(&self, cpu: u32) -> &Vcpu {
        &self.board.cpu[cpu as usize].vcpu
    }

    fn activity(&self, cpu: u32) -> &'static str {
        self.board.cpu[cpu as usize].activity.name()
    }

    fn memory(&self) -> &Memory {
        &self.board.memory
    }

    fn read_effective(&mut self, cpu: u32, address: u64, out: &mut [u8]) -> usize {
        let Board { cpu: cpus, memory, .. } = &mut self.board;
        debug::read(&mut cpus[cpu as usize].vcpu, memory, address, out)
    }

    fn real_address(&mut self, cpu: u32, address: u64) -> Option<u64> {
        let Board { cpu: cpus, memory, .. } = &mut self.board;
        cpus[cpu as usize].vcpu.real_address(memory, address)
    }

    fn observe(&mut self, on: bool) {
        self.observer.set(on);
        self.board.devices.interrupts.observe(on);
    }

    fn take_observed(&mut self) -> Vec<Observed> {
        self.observer.take()
    }

    fn statistics(&self) -> Statistics {
        Statistics {
            exceptions: self.engine.exceptions(),
            interrupts: self.interrupts.iter().map(|(&name, &count)| (name.into(), count)).collect(),
            hcalls: self.hcalls.clone(),
            rtas: self.rtas.clone(),
            engine: self.engine.counters(),
        }
    }

    fn engine(&self) -> &'static str {
        self.engine.name()
    }

    fn config(&self) -> &Config {
        &self.config
    }
}
