//! `powernv9` and `powernv10`: bare-metal machines with POWER9 or POWER10 chips. The firmware is skiboot; the guest owns
//! hypervisor state.
//!
//! All threads enter the firmware at once with the flattened tree in r3, as the chips' self-boot engine leaves them.

mod chip;
mod control;
mod describe;
mod imc;
mod pci;
mod scom;
mod topology;

use crate::chassis::{self, Activity, CONSOLE, Chassis, Request};
use crate::schedule::Schedule;
use crate::{Config, ConfigError, Images, InstructionCount, image};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use chip::Devices;
use control::{Order, Seen};
use timebase_cpu::{Clock, Exit, Model, Vcpu};
use timebase_devices::bmc::Power;
use timebase_devices::{Bmc, Rtc, occ};
use timebase_isa::decode::Decoder;
use timebase_memory::Memory;
use timebase_state::{Instant, Paged, State};
use topology::Topology;

/// Where threads begin.
const ENTRY: u64 = 0x10;
/// Where the tree, the kernel and the initial RAM disk are.
const TREE: u64 = 0x100_0000;
const KERNEL: u64 = 0x2000_0000;
const INITRD: u64 = 0x2800_0000;

/// Where skiboot moves itself: nothing that it is to find may lie there.
const SKIBOOT: u64 = 0x3000_0000;
/// The least memory that it works with.
const LEAST_MEMORY: u64 = 1 << 30;

/// A vCPU and what the machine knows of it.
#[derive(State)]
pub(crate) struct Slot {
    vcpu: Vcpu,
    activity: Activity,
    /// Stopped by direct control, in whatever it does.
    held: bool,
}

impl chassis::Slot for Slot {
    fn vcpu(&self) -> &Vcpu {
        &self.vcpu
    }
    fn vcpu_mut(&mut self) -> &mut Vcpu {
        &mut self.vcpu
    }
    fn activity(&self) -> Activity {
        if self.held { Activity::Stopped } else { self.activity }
    }
    fn activity_mut(&mut self) -> &mut Activity {
        &mut self.activity
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
    request: Request,
    /// Running hash of all output.
    output: [u8; 32],
    #[undigested("a position")]
    count: InstructionCount,
    #[undigested("a position")]
    sequence: u32,
    #[wiring("from the configuration")]
    topology: Topology,
    #[wiring("from the configuration")]
    model: Model,
}

/// The machine.
pub(crate) type Powernv = Chassis<Board>;

/// The topology of a configuration that has been checked.
fn topology(config: &Config) -> Topology {
    let (chips, threads) = (config.sockets.max(1), config.threads.max(1));
    Topology { chips, cores: config.cpus / (chips * threads), threads }
}

/// Where the areas of the on-chip controllers begin: they are the end of the first chip's memory.
fn occ_areas(config: &Config) -> u64 {
    topology(config).memory(config.memory_bytes)[1] - occ::BYTES
}

/// Whether this may be what threads find at address 0: it is no file of another kind, and has an instruction where they
/// enter.
fn may_be_firmware(firmware: &Paged, model: Model) -> bool {
    let head = firmware.copy(0, ENTRY + 4);
    let Some((_, &word)) = head.split_last_chunk::<4>().filter(|_| firmware.len() >= ENTRY + 4) else {
        return false;
    };
    let is_text = head.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let decoder = Decoder::new(model.level());
    let ops = decoder.decode(u32::from_be_bytes(word).into());
    !head.starts_with(b"\x7fELF") && !is_text && decoder.entries()[ops.op as usize].name != "illegal"
}

/// Refuses what the firmware would start as if it were code. It knows ELF; anything else is code from its first byte.
fn may_be_kernel(kernel: &Paged) -> Result<(), String> {
    let head = kernel.copy(0, 4);
    if head.starts_with(b"\x7fELF") {
        return image::parse(kernel, 0).map(|_| ());
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        return Err("it is compressed by gzip, which the firmware does not undo; give a vmlinux".into());
    }
    Ok(())
}

/// What is to lie in front of something else is not larger than the room for it.
fn check_size(what: &str, content: &Paged, room: u64) -> Result<(), ConfigError> {
    if content.len() > room {
        return Err(ConfigError(format!("{what}: it is larger than {} MiB", room >> 20)));
    }
    Ok(())
}

impl Board {
    fn power_on(config: &Config, model: Model, bmc: Bmc, count: InstructionCount, now: Instant) -> Board {
        let topology = topology(config);
        let cpu = (0..config.cpus)
            .map(|n| {
                let mut vcpu = Vcpu::cold(n, model, true, config.seed, now);
                vcpu.spr.pir = topology.pir(n) as u64;
                vcpu.spr.tir = topology.place(n).2 as u64;
                Slot { vcpu, activity: Activity::Running, held: false }
            })
            .collect();
        Board {
            memory: Memory::new(config.memory_bytes, config.cpus),
            cpu,
            clock: Clock::cold(config.rate_numerator, config.rate_denominator, count, now),
            schedule: Schedule::cold(config.schedule_seed),
            devices: Devices::cold(model, topology, bmc, occ_areas(config), now),
            request: Request::None,
            output: [0; 32],
            count,
            sequence: 0,
            topology,
            model,
        }
    }
}

impl chassis::Board for Board {
    type Slot = Slot;
    type Devices = Devices;
    /// Where the initial RAM disk begins, and the first address after it.
    type Loaded = Option<(u64, u64)>;
    chassis::parts!();

    fn check(config: &Config) -> Result<(), ConfigError> {
        let bad = |text: String| Err(ConfigError(text));
        let Config { cpus, threads, sockets, .. } = *config;
        if !matches!(threads, 1 | 2 | 4) {
            return bad(format!("{threads} threads to a core: use 1, 2 or 4"));
        }
        if !matches!(sockets, 1 | 2) {
            return bad(format!("{sockets} sockets: this machine has 1 or 2"));
        }
        let of_a_core_each = threads * sockets;
        let most = topology::CORES_MAX * of_a_core_each;
        if cpus == 0 || !cpus.is_multiple_of(of_a_core_each) || cpus > most {
            return bad(format!(
                "{cpus} CPUs on {sockets} sockets with {threads} threads to a core: give a multiple of \
                 {of_a_core_each} up to {most}"
            ));
        }
        let mib = 1 << 20;
        let memory = config.memory_bytes;
        if memory < LEAST_MEMORY || !memory.is_multiple_of(256 * mib) || memory > 1 << 40 {
            return bad(format!(
                "memory of {} MiB: give a multiple of 256 MiB between 1 GiB and 1 TiB",
                memory / mib
            ));
        }
        if sockets == 2 && memory < 2 * LEAST_MEMORY {
            return bad(format!("memory of {} MiB: two sockets need 2 GiB", memory / mib));
        }
        if config.rate_numerator == 0 || config.rate_denominator == 0 {
            return bad("the instruction rate must not be 0".into());
        }
        Ok(())
    }

    fn cold(config: &Config, model: Model) -> Result<Board, ConfigError> {
        let clock = Rtc::cold(config.rtc_seconds, Instant::default());
        let mut bmc = Bmc::cold(clock);
        bmc.flash.add(b"IMA_CATALOG\0\0\0\0\0", &imc::partition(model));
        Ok(Board::power_on(config, model, bmc, 0, Instant::default()))
    }

    fn after_reset(
        &self,
        config: &Config,
        model: Model,
        count: InstructionCount,
        now: Instant,
    ) -> Result<Board, ConfigError> {
        let bmc = self.devices.lpc.bmc.after_reset();
        let mut board = Board { output: self.output, ..Board::power_on(config, model, bmc, count, now) };
        // The report is of the whole run.
        board.devices.unanswered.clone_from(&self.devices.unanswered);
        Ok(board)
    }

    fn load(&mut self, _: &Config, images: &Images) -> Result<Option<(u64, u64)>, ConfigError> {
        let firmware = images.firmware.as_ref();
        let firmware = firmware.ok_or_else(|| ConfigError("no firmware: give --firmware FILE".into()))?;
        if !may_be_firmware(firmware, self.model) {
            return Err(ConfigError(
                "firmware: it is no boot image that begins at address 0; give skiboot's skiboot.lid".into(),
            ));
        }
        check_size("firmware", firmware, TREE)?;
        image::place(&mut self.memory, "firmware", 0, firmware, 0..firmware.len())?;
        if let Some(kernel) = &images.kernel {
            may_be_kernel(kernel).map_err(|why| ConfigError(format!("kernel: {why}")))?;
            let next = if images.initrd.is_some() { INITRD } else { SKIBOOT };
            check_size("kernel", kernel, next - KERNEL)?;
            image::place(&mut self.memory, "kernel", KERNEL, kernel, 0..kernel.len())?;
        }
        let initrd = images.initrd.as_ref().map(|initrd| (INITRD, INITRD + initrd.len()));
        if let Some(content) = &images.initrd {
            check_size("initrd", content, SKIBOOT - INITRD)?;
            image::place(&mut self.memory, "initrd", INITRD, content, 0..content.len())?;
        }
        Ok(initrd)
    }

    fn start(&mut self, config: &Config, initrd: &Option<(u64, u64)>) -> Result<(), ConfigError> {
        let occ = occ_areas(config);
        let layout = match self.model {
            Model::Power9 => occ::Layout::Power9,
            Model::Power10 => occ::Layout::Power10,
        };
        for (address, area) in occ::areas(layout, occ, self.topology.chips) {
            image::place(&mut self.memory, "what on-chip controllers share", address, &area, 0..area.len())?;
        }
        let tree = describe::tree(config, self.model, self.topology, occ, *initrd).flatten(&[]);
        image::place(&mut self.memory, "device tree", TREE, &tree[..].into(), 0..tree.len() as u64)?;
        for slot in &mut self.cpu {
            slot.vcpu.regs.nia = ENTRY;
            slot.vcpu.regs.gpr[3] = TREE;
        }
        Ok(())
    }

    fn settle(&mut self, now: Instant) {
        if let Some((cpu, bits)) = self.devices.hmer.take()
            && let Some(slot) = self.cpu.get_mut(cpu as usize)
        {
            slot.vcpu.spr.hmer |= bits;
        }
        self.share_core_registers();
        let cpu = &self.cpu;
        self.devices.imc.settle(now, &mut self.memory, |n| cpu[n].vcpu.spr.ldbar);
        self.devices.settle(now, &mut self.memory);
        match self.devices.lpc.bmc.take_power() {
            Power::Stay => {}
            Power::Off => self.request = Request::PowerOff,
            Power::Reset => self.request = Request::Reset,
        }
        self.carry_out_orders();
        for (n, slot) in self.cpu.iter_mut().enumerate() {
            (slot.vcpu.virtualization, slot.vcpu.external) = self.devices.xive.lines(n as u32);
            slot.vcpu.look(now);
            if !slot.held && slot.activity == Activity::Idle && slot.vcpu.wakes() {
                slot.activity = Activity::Running;
                slot.vcpu.leave_stop();
            }
            let resting = slot.activity == Activity::Idle;
            self.devices.controls.seen[n] = Seen { held: slot.held, resting };
        }
    }

    fn device_deadline(&self) -> Option<Instant> {
        let busy = self.cpu.iter().any(|slot| chassis::Slot::activity(slot) == Activity::Running);
        self.devices.deadline(busy, &self.memory)
    }

    fn take_emitted(&mut self) -> Option<(&'static str, Vec<u8>)> {
        let sent = self.devices.take_sent();
        (!sent.is_empty()).then_some((CONSOLE, sent))
    }

    fn carry_out(machine: &mut Powernv, n: usize, exit: Exit) {
        let board = &mut machine.board;
        match exit {
            Exit::Rest => {
                board.cpu[n].activity = Activity::Idle;
                board.schedule.end_slice();
            }
            Exit::Doorbell { message, hypervisor } => board.doorbell(n, message, hypervisor),
            _ => {}
        }
    }

    fn type_in(&mut self, bytes: &[u8]) {
        self.devices.lpc.uart.type_in(bytes);
    }

    fn system_reset(&mut self) {
        for slot in &mut self.cpu {
            slot.vcpu.system_reset = true;
        }
    }

    fn count_own(&self, counts: &mut alloc::collections::BTreeMap<String, u64>) {
        for (what, &count) in &self.devices.unanswered {
            counts.insert(format!("unanswered {what}"), count);
        }
    }
}

impl Board {
    /// HID0 is one register for all threads of a core: what the vCPU that is on wrote is there for the others.
    fn share_core_registers(&mut self) {
        let (threads, current) = (self.topology.threads as usize, self.schedule.current as usize);
        let hid0 = self.cpu[current].vcpu.spr.hid0;
        for slot in self.cpu.chunks_mut(threads).nth(current / threads).into_iter().flatten() {
            slot.vcpu.spr.hid0 = hid0;
        }
    }

    /// Does what was ordered by direct controls.
    fn carry_out_orders(&mut self) {
        for (cpu, order) in self.devices.controls.take_orders() {
            let Some(slot) = self.cpu.get_mut(cpu as usize) else { continue };
            slot.held = order == Order::Stop;
            slot.vcpu.system_reset |= order == Order::Reset;
        }
    }

    /// vCPU `n` sent a directed doorbell: by `msgsnd` to a PIR, by `msgsndp` to a thread of its own core.
    fn doorbell(&mut self, n: usize, message: u64, hypervisor: bool) {
        let target = if hypervisor {
            self.topology.cpu((message & 0xf_ffff) as u32)
        } else {
            let thread = (message & 0x7f) as u32;
            let first = n as u32 - self.topology.place(n as u32).2;
            (thread < self.topology.threads).then_some(first + thread)
        };
        let Some(slot) = target.and_then(|target| self.cpu.get_mut(target as usize)) else { return };
        if hypervisor {
            slot.vcpu.hypervisor_doorbell = true;
        } else {
            slot.vcpu.doorbell = true;
        }
    }
}
