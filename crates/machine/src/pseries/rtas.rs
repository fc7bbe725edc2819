//! Run-time abstraction services (LoPAR chapter "Run-Time Abstraction Services").
//!
//! The guest calls a stub of five instructions, which makes the private hcall 0xf000; the service itself runs here.

use super::{Pseries, Request, describe};
use crate::Config;
use crate::chassis::{Activity, CONSOLE};
use crate::observe::Observation;
use crate::tree::{ROOT, Tree};
use alloc::{string::String, vec::Vec};
use timebase_cpu::bits::msr;
use timebase_devices::Xics;
use timebase_devices::rtc::DateTime;
use timebase_devices::xics::NoSuch;
use timebase_memory::{Memory, Writer};

/// Bytes the guest must give RTAS: the stub and room for an error log.
const BYTES: u32 = 0x82c;
/// Where it stands for guests that are entered with a flattened tree.
const DIRECT_BASE: u64 = 0x0fff_0000;

/// What is reserved for it there.
pub(super) const RESERVED: u64 = 0x1_0000;
/// Bytes that stay free below it for the flattened tree.
const ROOM_BELOW: u64 = 0x10_0000;

/// The stub: `mr r4,r3; lis r3,0; ori r3,r3,0xf000; sc 1; blr`.
const STUB: [u32; 5] = [0x7c64_1b78, 0x3c60_0000, 0x6063_f000, 0x4400_0022, 0x4e80_0020];

const SUCCESS: i32 = 0;
const HARDWARE_ERROR: i32 = -1;
const PARAMETER_ERROR: i32 = -3;
const NOT_SUPPORTED: i32 = -3;
const NOT_AUTHORIZED: i32 = -9002;

/// Token of the first service; the others follow.
const FIRST_TOKEN: u32 = 0x2000;

/// A service: what it does with its arguments, and the statuses and values it returns.
type Service = fn(&mut Pseries, usize, &[u32]) -> Vec<i32>;

/// All services; a token is [`FIRST_TOKEN`] plus the position.
const SERVICES: &[(&str, Service)] = &[
    ("display-character", display_character),
    ("get-time-of-day", get_time_of_day),
    ("set-time-of-day", set_time_of_day),
    ("power-off", power_off),
    ("system-reboot", system_reboot),
    ("query-cpu-stopped-state", query_cpu_stopped_state),
    ("start-cpu", start_cpu),
    ("stop-self", stop_self),
    ("ibm,get-system-parameter", get_system_parameter),
    ("ibm,set-system-parameter", set_system_parameter),
    ("ibm,set-xive", set_xive),
    ("ibm,get-xive", get_xive),
    ("ibm,int-off", int_off),
    ("ibm,int-on", int_on),
    ("check-exception", no_event),
    ("event-scan", no_event),
    ("nvram-fetch", nvram_fetch),
    ("nvram-store", nvram_store),
    ("ibm,os-term", os_term),
    ("set-indicator", set_indicator),
    ("get-sensor-state", get_sensor_state),
    ("get-power-level", get_power_level),
    ("set-power-level", set_power_level),
    ("quiesce", quiesce),
];

/// Adds /rtas to the tree.
pub(super) fn describe(tree: &mut Tree, config: &Config) {
    let node = tree.add(ROOT, "rtas");
    for (n, (name, _)) in SERVICES.iter().enumerate() {
        tree.set_cells(node, name, &[FIRST_TOKEN + n as u32]);
    }
    tree.set(
        node,
        "ibm,hypertas-functions",
        &describe::strings(&[
            "hcall-pft",
            "hcall-term",
            "hcall-dabr",
            "hcall-interrupt",
            "hcall-vio",
            "hcall-splpar",
            "hcall-join",
            "hcall-bulk",
            "hcall-set-mode",
            "hcall-sprg0",
            "hcall-copy",
            "hcall-debug",
        ]),
    );
    // What SLOF asks for: the private 0xf001.
    tree.set_str(node, "qemu,hypertas-functions", "hcall-memop1");
    tree.set(node, "ibm,extended-os-term", &[]);
    tree.set_cells(node, "rtas-version", &[1]);
    tree.set_cells(node, "rtas-size", &[BYTES]);
    tree.set_cells(node, "rtas-error-log-max", &[2048]);
    tree.set_cells(node, "rtas-event-scan-rate", &[1]);
    // The most memory that there can be (0: unlimited), the granularity of it, the most CPUs.
    tree.set_cells(node, "ibm,lrdr-capacity", &[0, 0, 0, 0x1000_0000, config.cpus]);
    tree.set_cells(node, "ibm,max-associativity-domains", &[4, 0, 0, 0, 1]);
    tree.set_cells(node, "ibm,associativity-reference-points", &[4, 4, 2]);
}

/// Puts the stub at `base`.
pub(super) fn place(memory: &mut Memory, base: u64) {
    for (n, word) in STUB.iter().enumerate() {
        let _ = memory.store_u32(base + 4 * n as u64, *word, Writer::Other);
    }
}

/// Tells where RTAS is, for whoever reads the tree instead of instantiating it.
pub(super) fn tell_base(tree: &mut Tree, base: u64) {
    if let Some(node) = tree.find("/rtas") {
        tree.set_cells(node, "linux,rtas-base", &[base as u32]);
        tree.set_cells(node, "linux,rtas-entry", &[base as u32]);
    }
}

/// Places RTAS for a guest that is entered with the flattened tree and whose images end at `end`; gives its address.
pub(super) fn install(memory: &mut Memory, tree: &mut Tree, end: u64) -> u64 {
    let usual = DIRECT_BASE.min(memory.bytes() - RESERVED);
    // Room for the flattened tree stays below.
    let base = if end + ROOM_BELOW <= usual { usual } else { end.next_multiple_of(RESERVED) };
    place(memory, base);
    tell_base(tree, base);
    base
}

impl Pseries {
    /// The private hcall of RTAS: r4 holds the address of token, argument and return counts, arguments, returns.
    pub(super) fn run_time_service(&mut self, n: usize) -> u64 {
        let address = self.board.cpu[n].vcpu.regs.gpr[4] & 0xffff_ffff;
        let memory = &self.board.memory;
        let cell = |n: u64| memory.read_u32(address + 4 * n).unwrap_or(0);
        let (token, count, returns) = (cell(0), cell(1).min(16), cell(2).min(16));
        let args: Vec<u32> = (0..count as u64).map(|n| cell(3 + n)).collect();
        let mark = self.observer.mark();
        let service = SERVICES.get(token.wrapping_sub(FIRST_TOKEN) as usize);
        let results = match service {
            Some((name, service)) => {
                *self.rtas.entry((*name).into()).or_default() += 1;
                service(self, n, &args)
            }
            None => {
                *self.rtas.entry(alloc::format!("token {token:#x}")).or_default() += 1;
                alloc::vec![NOT_SUPPORTED]
            }
        };
        if self.observer.is_on() {
            let name = service.map_or_else(|| alloc::format!("token {token:#x}"), |service| service.0.into());
            let results = results.iter().copied().take(returns as usize).collect();
            self.see_before(mark, n, Observation::Rtas { name, arguments: args, results });
        }
        for (k, value) in results.iter().take(returns as usize).enumerate() {
            let at = address + 4 * (3 + count as u64 + k as u64);
            let _ = self.board.memory.store_u32(at, *value as u32, Writer::Other);
        }
        0
    }

    /// Starts a stopped vCPU. False: it is not stopped, or does not exist.
    pub(super) fn start_cpu(&mut self, n: u32, entry: u64, r3: u64, msr: u64) -> bool {
        let Some(first) = self.board.cpu.first() else { return false };
        let (lpcr, partition) = (first.vcpu.spr.lpcr, first.vcpu.partition);
        let Some(slot) = self.board.cpu.get_mut(n as usize) else { return false };
        if slot.activity != Activity::Stopped {
            return false;
        }
        slot.activity = Activity::Running;
        slot.vcpu.spr.lpcr = lpcr;
        slot.vcpu.partition = partition;
        slot.vcpu.regs.nia = entry;
        slot.vcpu.regs.gpr[3] = r3;
        slot.vcpu.set_msr(msr);
        true
    }
}

fn display_character(machine: &mut Pseries, _: usize, args: &[u32]) -> Vec<i32> {
    let byte = args.first().copied().unwrap_or(0) as u8;
    machine.emit(CONSOLE, &[byte]);
    alloc::vec![SUCCESS]
}

fn get_time_of_day(machine: &mut Pseries, _: usize, _: &[u32]) -> Vec<i32> {
    let now = machine.board.clock.at(machine.board.count);
    let t = machine.board.devices.rtc.read(now);
    let fields = [t.year, t.month, t.day, t.hour, t.minute, t.second, t.nanosecond];
    core::iter::once(SUCCESS).chain(fields.into_iter().map(|field| field as i32)).collect()
}

fn set_time_of_day(machine: &mut Pseries, _: usize, args: &[u32]) -> Vec<i32> {
    let &[year, month, day, hour, minute, second, nanosecond] = args else {
        return alloc::vec![PARAMETER_ERROR];
    };
    let now = machine.board.clock.at(machine.board.count);
    let set =
        machine.board.devices.rtc.write(DateTime { year, month, day, hour, minute, second, nanosecond }, now);
    alloc::vec![if set { SUCCESS } else { PARAMETER_ERROR }]
}

fn power_off(machine: &mut Pseries, n: usize, _: &[u32]) -> Vec<i32> {
    machine.board.request = Request::PowerOff;
    machine.rest(n);
    alloc::vec![SUCCESS]
}

fn system_reboot(machine: &mut Pseries, n: usize, _: &[u32]) -> Vec<i32> {
    machine.board.request = Request::Reset;
    machine.rest(n);
    alloc::vec![SUCCESS]
}

fn query_cpu_stopped_state(machine: &mut Pseries, _: usize, args: &[u32]) -> Vec<i32> {
    let slot = args.first().and_then(|&n| machine.board.cpu.get(n as usize));
    match slot {
        // 0: stopped, 2: running.
        Some(slot) => alloc::vec![SUCCESS, if slot.activity == Activity::Stopped { 0 } else { 2 }],
        None => alloc::vec![PARAMETER_ERROR],
    }
}

fn start_cpu(machine: &mut Pseries, _: usize, args: &[u32]) -> Vec<i32> {
    let &[n, entry, r3] = args else { return alloc::vec![PARAMETER_ERROR] };
    if n as usize >= machine.board.cpu.len() {
        return alloc::vec![PARAMETER_ERROR];
    }
    let started = machine.start_cpu(n, entry as u64, r3 as u64, msr::SF | msr::ME);
    alloc::vec![if started { SUCCESS } else { HARDWARE_ERROR }]
}

fn stop_self(machine: &mut Pseries, n: usize, _: &[u32]) -> Vec<i32> {
    machine.board.cpu[n].activity = Activity::Stopped;
    machine.board.schedule.end_slice();
    Vec::new()
}

/// System parameters: 20 SPLPAR characteristics, 48 UUID, 42 diagnostics run mode.
fn get_system_parameter(machine: &mut Pseries, _: usize, args: &[u32]) -> Vec<i32> {
    let &[parameter, buffer, length] = args else { return alloc::vec![PARAMETER_ERROR] };
    let cpus = machine.board.cpu.len();
    let value: Vec<u8> = match parameter {
        20 => {
            let mib = machine.board.memory.bytes() >> 20;
            alloc::format!("MaxEntCap={cpus},DesMem={mib},DesProcs={cpus},MaxPlatProcs={cpus}\0").into_bytes()
        }
        42 => alloc::vec![0],
        48 => alloc::vec![0; 16],
        _ => return alloc::vec![NOT_SUPPORTED],
    };
    if (length as usize) < 2 {
        return alloc::vec![-9999];
    }
    let mut out = (value.len() as u16).to_be_bytes().to_vec();
    out.extend_from_slice(&value);
    out.truncate(length as usize);
    match machine.board.memory.store(buffer as u64, &out, Writer::Other) {
        Ok(()) => alloc::vec![SUCCESS],
        Err(_) => alloc::vec![PARAMETER_ERROR],
    }
}

fn set_system_parameter(_: &mut Pseries, _: usize, args: &[u32]) -> Vec<i32> {
    alloc::vec![match args.first() {
        Some(20 | 42 | 48) => NOT_AUTHORIZED,
        _ => NOT_SUPPORTED,
    }]
}

/// Runs a service of XICS sources; there are none where XIVE was chosen.
fn with_xics<T>(
    machine: &mut Pseries,
    service: impl FnOnce(&mut Xics) -> Result<T, NoSuch>,
    results: impl FnOnce(T) -> Vec<i32>,
) -> Vec<i32> {
    let Some(xics) = machine.board.devices.interrupts.xics() else { return alloc::vec![HARDWARE_ERROR] };
    match service(xics) {
        Ok(value) => core::iter::once(SUCCESS).chain(results(value)).collect(),
        Err(NoSuch) => alloc::vec![PARAMETER_ERROR],
    }
}

fn set_xive(machine: &mut Pseries, _: usize, args: &[u32]) -> Vec<i32> {
    let &[number, server, priority] = args else { return alloc::vec![PARAMETER_ERROR] };
    with_xics(machine, |xics| xics.set_xive(number, server, priority as u8), |()| Vec::new())
}

fn get_xive(machine: &mut Pseries, _: usize, args: &[u32]) -> Vec<i32> {
    let &[number] = args else { return alloc::vec![PARAMETER_ERROR] };
    with_xics(machine, |xics| xics.xive(number), |xive| alloc::vec![xive.server as i32, xive.priority as i32])
}

fn int_off(machine: &mut Pseries, _: usize, args: &[u32]) -> Vec<i32> {
    let &[number] = args else { return alloc::vec![PARAMETER_ERROR] };
    with_xics(machine, |xics| xics.mask(number), |()| Vec::new())
}

fn int_on(machine: &mut Pseries, _: usize, args: &[u32]) -> Vec<i32> {
    let &[number] = args else { return alloc::vec![PARAMETER_ERROR] };
    with_xics(machine, |xics| xics.unmask(number), |()| Vec::new())
}

/// No event is waiting: 1.
fn no_event(_: &mut Pseries, _: usize, _: &[u32]) -> Vec<i32> {
    alloc::vec![1]
}

fn nvram_fetch(machine: &mut Pseries, _: usize, args: &[u32]) -> Vec<i32> {
    let &[offset, buffer, length] = args else { return alloc::vec![PARAMETER_ERROR] };
    let mut bytes = alloc::vec![0; (length as usize).min(1 << 16)];
    let done = machine.board.devices.nvram.fetch(offset as u64, &mut bytes)
        && machine.board.memory.store(buffer as u64, &bytes, Writer::Other).is_ok();
    if done { alloc::vec![SUCCESS, bytes.len() as i32] } else { alloc::vec![PARAMETER_ERROR, 0] }
}

fn nvram_store(machine: &mut Pseries, _: usize, args: &[u32]) -> Vec<i32> {
    let &[offset, buffer, length] = args else { return alloc::vec![PARAMETER_ERROR] };
    let mut bytes = alloc::vec![0; (length as usize).min(1 << 16)];
    let done = machine.board.memory.read(buffer as u64, &mut bytes).is_ok()
        && machine.board.devices.nvram.store(offset as u64, &bytes);
    if done { alloc::vec![SUCCESS, bytes.len() as i32] } else { alloc::vec![PARAMETER_ERROR, 0] }
}

fn os_term(machine: &mut Pseries, _: usize, args: &[u32]) -> Vec<i32> {
    let mut text = Vec::new();
    let address = args.first().copied().unwrap_or(0) as u64;
    for k in 0..256 {
        let mut byte = [0];
        if machine.board.memory.read(address + k, &mut byte).is_err() || byte[0] == 0 {
            break;
        }
        text.push(byte[0]);
    }
    machine.board.request = Request::Panic(String::from_utf8_lossy(&text).into_owned());
    alloc::vec![SUCCESS]
}

/// Indicators: none is present.
fn set_indicator(_: &mut Pseries, _: usize, _: &[u32]) -> Vec<i32> {
    alloc::vec![NOT_SUPPORTED]
}

/// Sensors: none is present.
fn get_sensor_state(_: &mut Pseries, _: usize, _: &[u32]) -> Vec<i32> {
    alloc::vec![NOT_SUPPORTED, 0]
}

fn get_power_level(_: &mut Pseries, _: usize, _: &[u32]) -> Vec<i32> {
    // 100: full power, in every domain.
    alloc::vec![SUCCESS, 100]
}

fn set_power_level(_: &mut Pseries, _: usize, _: &[u32]) -> Vec<i32> {
    alloc::vec![SUCCESS, 100]
}

/// SLOF tells that it ends its use of devices; there is nothing to stop.
fn quiesce(_: &mut Pseries, _: usize, _: &[u32]) -> Vec<i32> {
    alloc::vec![SUCCESS]
}
