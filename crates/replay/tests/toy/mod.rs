//! A toy machine for tests of what stands above a machine: a linear congruential "CPU" that talks, sleeps, resets
//! and listens, with the contract of [`timebase_machine::api::Machine`].
//!
//! `append` is its program: `reset=N`, `poweroff=N`, `panic=N` at instruction N, `sleep=N` idle forever from N on
//! until an input comes, `busy` never idles.

use std::collections::VecDeque;
use timebase_machine::api::*;
use timebase_state::{Digest, Instant, LoadError, Paged, Snapshot, State, Ticks};

#[derive(State)]
struct Toy {
    #[undigested("where in history it stands")]
    count: u64,
    #[undigested("where in history it stands")]
    sequence: u32,
    #[undigested("origin of the clock")]
    slept: u128,
    x: u64,
    inbox: VecDeque<u8>,
    timer: Option<Instant>,
    idle: bool,
    off: bool,
    wants_reset: bool,
    panic_pending: bool,
    resets: u32,
    shown: u64,
    ram: Paged,
    #[wiring("what it was built from")]
    config: Config,
    #[wiring("the image is embedded in the recording")]
    kernel: Vec<u8>,
    #[wiring("taken by the owner after each run")]
    pending: Vec<Output>,
    #[wiring("where runs are cut is invisible")]
    quantum: u64,
}

/// Builds a toy from a configuration, as `timebase_machine::build` does for real machines.
pub fn build(config: &Config, images: Images) -> Result<BoxedMachine, ConfigError> {
    if config.memory_bytes > 1 << 34 {
        return Err(ConfigError("--memory: the toy takes at most 16G".into()));
    }
    let mut toy = Toy {
        count: 0,
        sequence: 0,
        slept: 0,
        x: 0,
        inbox: VecDeque::new(),
        timer: None,
        idle: false,
        off: false,
        wants_reset: false,
        panic_pending: false,
        resets: 0,
        shown: 0,
        ram: Paged::new(config.memory_bytes),
        config: config.clone(),
        kernel: images.kernel.map_or_else(Vec::new, |kernel| kernel.copy(0, kernel.len())),
        pending: Vec::new(),
        quantum: u64::MAX,
    };
    toy.cold();
    Ok(Box::new(toy))
}

impl Toy {
    fn cold(&mut self) {
        self.x = self.kernel.iter().fold(self.config.seed, |x, &byte| x.rotate_left(5) ^ u64::from(byte));
        self.inbox.clear();
        (self.timer, self.idle, self.wants_reset) = (None, false, false);
        self.ram = Paged::new(self.config.memory_bytes);
        self.emit(format!("toy up, {} resets\n", self.resets).as_bytes());
    }

    fn word(&self, name: &str) -> Option<u64> {
        let find = |word: &str| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok();
        self.config.append.split_whitespace().find_map(find)
    }

    fn emit(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.shown = self.shown.wrapping_mul(31).wrapping_add(byte.into());
        }
        self.pending.push(Output { port: "console0".into(), bytes: bytes.into() });
    }

    fn events(&mut self) {
        if self.timer.is_some_and(|timer| timer <= self.now()) {
            self.timer = None;
            self.idle = false;
            self.x ^= 0x5555;
        }
        if !self.inbox.is_empty() {
            self.idle = false;
        }
    }

    fn step(&mut self) {
        self.count += 1;
        self.sequence = 0;
        if let Some(byte) = self.inbox.pop_front() {
            self.x ^= u64::from(byte) << 20;
            self.emit(&[byte]);
        }
        self.x = self.x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let r = self.x >> 33;
        if r.is_multiple_of(97) {
            let letter = if r.is_multiple_of(9) { b'\n' } else { b'a' + (r % 26) as u8 };
            self.emit(&[letter]);
        }
        if r.is_multiple_of(777) {
            let at = (r * 8) % self.config.memory_bytes.max(8);
            self.ram.write(at & !7, &self.now().0.to_le_bytes()[8..]);
        }
        if r.is_multiple_of(5003) && !self.config.append.contains("busy") {
            self.idle = true;
            self.timer = Some(self.now() + Ticks(r % 100_000));
        }
        if self.word("sleep") == Some(self.count) {
            (self.idle, self.timer) = (true, None);
        }
        if self.word("reset") == Some(self.count) {
            self.wants_reset = true;
        }
        if self.word("poweroff") == Some(self.count) {
            self.off = true;
        }
        if self.word("panic") == Some(self.count) {
            self.panic_pending = true;
        }
    }
}

impl Machine for Toy {
    fn set_halts(&mut self, halts: timebase_machine::debug::Halts) {
        assert!(halts.is_empty(), "a toy cannot be debugged");
    }
    fn cpus(&self) -> u32 {
        0
    }
    fn current(&self) -> u32 {
        0
    }
    fn vcpu(&self, _: u32) -> &timebase_machine::Vcpu {
        panic!("a toy has no vCPU")
    }
    fn activity(&self, _: u32) -> &'static str {
        panic!("a toy has no vCPU")
    }
    fn memory(&self) -> &timebase_machine::Memory {
        panic!("a toy has no memory")
    }
    fn read_effective(&mut self, _: u32, _: u64, _: &mut [u8]) -> usize {
        0
    }
    fn real_address(&mut self, _: u32, _: u64) -> Option<u64> {
        None
    }
    fn position(&self) -> Position {
        Position { count: self.count, sequence: self.sequence }
    }
    fn now(&self) -> Instant {
        Instant((u128::from(self.count) << 63).wrapping_add(self.slept))
    }
    fn run(&mut self, limit: u64) -> Stop {
        loop {
            self.events();
            if !self.pending.is_empty() {
                return Stop::Output;
            } else if self.wants_reset {
                return Stop::Reset;
            } else if self.off {
                return Stop::PowerOff;
            } else if self.panic_pending {
                return Stop::Panic("the toy broke".into());
            } else if self.config.append.contains("limit-first") && self.count >= limit {
                return Stop::Limit;
            } else if self.idle {
                return Stop::Idle { deadline: self.timer };
            } else if self.count >= limit {
                return Stop::Limit;
            }
            self.step();
        }
    }
    fn input(&mut self, port: &str, payload: &[u8]) -> Result<(), InputError> {
        match port {
            "console0" => self.inbox.extend(payload),
            "nmi" if payload.is_empty() => self.x = self.x.rotate_left(17),
            "nmi" => return Err(InputError::BadPayload("nmi takes no payload".into())),
            _ => return Err(InputError::UnknownPort(port.into())),
        }
        self.sequence += 1;
        Ok(())
    }
    fn input_ports(&self) -> Vec<Port> {
        vec!["console0".into(), "nmi".into()]
    }
    fn end_idle(&mut self) {
        let deadline = self.timer.expect("only with a deadline");
        self.cut_idle(deadline);
    }
    fn cut_idle(&mut self, until: Instant) {
        assert!(self.idle && until >= self.now() && self.timer.is_none_or(|timer| until <= timer));
        self.slept = self.slept.wrapping_add(until.0 - self.now().0);
        self.sequence += 1;
    }
    fn resume(&mut self) {
        self.panic_pending = false;
    }
    fn reset(&mut self) {
        assert!(self.wants_reset);
        self.resets += 1;
        self.cold();
    }
    fn take_output(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.pending)
    }
    fn snapshot(&mut self) -> Snapshot {
        timebase_state::save(self)
    }
    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), LoadError> {
        timebase_state::load(self, snapshot)
    }
    fn schema(&mut self) -> Digest {
        timebase_state::schema(self)
    }
    fn digest(&mut self) -> Digest {
        let now = self.now();
        timebase_state::digest(self, now)
    }
    fn differences(&mut self, _: &Snapshot) -> Vec<timebase_state::Difference> {
        unimplemented!("no test asks")
    }
    fn perturb(&mut self, n: u64) -> Option<String> {
        timebase_state::perturb(self, n)
    }
    fn flush_caches(&mut self) {}
    fn set_quantum(&mut self, instructions: u64) {
        self.quantum = instructions;
    }
    fn statistics(&self) -> Statistics {
        Statistics::default()
    }
    fn engine(&self) -> &'static str {
        "toy"
    }
    fn config(&self) -> &Config {
        &self.config
    }
}
