//! Guests to travel in.
#![allow(dead_code, reason = "each test uses some of it")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use timebase_machine::api::*;
use timebase_machine::{build, with_compiler};
use timebase_replay::live::{Idle, World};
use timebase_replay::{Attention, Ended, Event, Record, Timeline, Watcher};
use timebase_state::{Digest, Instant, Paged};

const RACE: &[u8] = include_bytes!("../../../../guests/race/race.elf");
const LATCHES: &[u8] = include_bytes!("../../../../guests/latches/latches.bin");
const SKIBOOT: &str = "/usr/share/qemu/skiboot.lid";
const DEBIAN: &str = "/usr/lib/debian-installer/images/12/ppc64el/text/debian-installer/ppc64el/vmlinux";

pub struct Guest {
    pub config: Config,
    pub kernel: Option<Paged>,
    pub firmware: Option<Paged>,
    pub end: u64,
}

/// The embedded guest, from power-on over `end` instructions; it powers off before 13 M.
pub fn race(end: u64) -> Guest {
    let config = Config {
        machine: "pseries".into(),
        cpu: "power9".into(),
        memory_bytes: 64 << 20,
        cpus: 1,
        append: String::new(),
        firmware: Firmware::BuiltIn,
        seed: 1,
        schedule_seed: 2,
        rtc_seconds: 1_767_225_600,
        rate_numerator: 2,
        rate_denominator: 1,
        threads: 1,
        sockets: 1,
    };
    Guest { config, kernel: Some(RACE[..].into()), firmware: None, end }
}

/// The Debian kernel's boot over `end` instructions.
pub fn debian(cpus: u32, end: u64) -> Guest {
    let config =
        Config { cpus, memory_bytes: 1 << 30, append: "console=hvc0 panic=-1".into(), ..race(0).config };
    let kernel = std::fs::read(DEBIAN)
        .unwrap_or_else(|e| panic!("{e}: run `cargo xtask setup`, which installs the Debian guest"));
    Guest { config, kernel: Some(kernel[..].into()), firmware: None, end }
}

/// The Debian kernel's boot by skiboot on a bare-metal machine, over `end` instructions.
pub fn bare_metal(machine: &str, cpus: u32, end: u64) -> Guest {
    let debian = debian(cpus, end);
    let config = Config { machine: machine.into(), firmware: Firmware::Image, ..debian.config };
    let firmware = std::fs::read(SKIBOOT)
        .unwrap_or_else(|e| panic!("{SKIBOOT}: {e}: install the package qemu-system-data"));
    Guest { config, firmware: Some(firmware[..].into()), ..debian }
}

/// Two cores of a bare-metal machine whose firmware does nothing but set and clear latches of exceptions.
pub fn latches(end: u64) -> Guest {
    let config = Config {
        machine: "powernv9".into(),
        firmware: Firmware::Image,
        cpus: 2,
        memory_bytes: 1 << 30,
        ..race(0).config
    };
    Guest { config, kernel: None, firmware: Some(LATCHES[..].into()), end }
}

impl Guest {
    pub fn images(&self) -> Images {
        Images { kernel: self.kernel.clone(), firmware: self.firmware.clone(), ..Images::default() }
    }

    /// A machine with the compiler of this host, if it has one.
    pub fn machine(&self) -> BoxedMachine {
        match timebase_jit::compiler(|| 0) {
            Some(compiler) => with_compiler(&self.config, &self.images(), compiler),
            None => build(&self.config, &self.images()),
        }
        .map_err(|e| e.0)
        .expect("a good configuration")
    }

    /// The straight run: records of its history, and the digests at some positions.
    pub fn straight(&self, places: &[u64]) -> (Vec<Record>, BTreeMap<u64, Digest>) {
        let mut machine = self.machine();
        let mut records = Vec::new();
        let mut digests = BTreeMap::new();
        let mut places: Vec<u64> = places.iter().copied().filter(|&place| place < self.end).collect();
        places.sort();
        for &limit in places.iter().chain([&self.end]) {
            loop {
                match machine.run(limit) {
                    Stop::Limit => break,
                    Stop::Output => drop(machine.take_output()),
                    Stop::Idle { deadline: Some(_) } => machine.end_idle(),
                    Stop::Reset => {
                        records.push(Record { at: machine.position(), event: Event::Reset });
                        machine.reset();
                    }
                    stop => panic!("{stop:?} at {:?}", machine.position()),
                }
            }
            digests.insert(limit, machine.digest());
        }
        records.push(Record { at: machine.position(), event: Event::Progress });
        (records, digests)
    }

    pub fn timeline(&self, records: Vec<Record>) -> Timeline {
        Timeline::new(self.machine(), records).expect("a timeline")
    }
}

pub fn at(count: u64) -> Position {
    Position { count, sequence: 0 }
}

/// Nobody is there.
pub struct Nobody;

impl Watcher for Nobody {
    fn output(&mut self, _: Position, _: &Output) -> Attention {
        Attention::Later
    }
    fn watch(&mut self, _: Position, _: Instant) -> ControlFlow<Ended> {
        ControlFlow::Continue(())
    }
    fn quantum(&self) -> u64 {
        1_000_000
    }
}

impl World for Nobody {
    fn input(&mut self, _: Instant) -> Option<(Port, Vec<u8>)> {
        None
    }
    fn refused(&mut self, _: InputError) {}
    fn idle(&mut self, _: Instant, _: Option<Instant>) -> Idle {
        Idle::Over
    }
    fn second_passed(&mut self) -> bool {
        false
    }
}
