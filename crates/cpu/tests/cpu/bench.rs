//! A bare CPU with memory, run as a machine runs it.

use timebase_cpu::bits::mmcr0;
use timebase_cpu::{Clock, Engine, Interpreter, Model, NoDevices, Register, Vcpu, Vector, World};
use timebase_memory::{Memory, Writer};
use timebase_state::Instant;

/// Nothing answers.
/// Where code begins.
pub const CODE: u64 = 0x1_0000;
/// How fast time goes.
pub const INSTRUCTIONS_PER_TICK: u64 = 2;
/// Sizes of runs that must make no difference.
pub const QUANTA: [u64; 4] = [1, 3, 7, u64::MAX];

pub const NOP: u32 = 0x6000_0000;
pub const SC: u32 = 0x4400_0002;
pub const RFID: u32 = 0x4c00_0024;

/// `b .-4*words`
pub fn branch_back(words: i32) -> u32 {
    0x4800_0000 | (-4 * words) as u32 & 0x03ff_fffc
}

/// `mtspr spr,register`
pub fn mtspr(spr: u32, register: u32) -> u32 {
    31 << 26 | register << 21 | (spr & 31) << 16 | (spr >> 5) << 11 | 467 << 1
}

/// `mfspr register,spr`
pub fn mfspr(spr: u32, register: u32) -> u32 {
    31 << 26 | register << 21 | (spr & 31) << 16 | (spr >> 5) << 11 | 339 << 1
}

/// A CPU run as a machine runs it.
pub struct Bench {
    pub cpu: Vcpu,
    pub memory: Memory,
    pub engine: Interpreter,
    pub clock: Clock,
    pub count: u64,
    pub quantum: u64,
    /// Interrupts taken: vector, and the count at which.
    pub taken: Vec<(Vector, u64)>,
}

impl Bench {
    /// In privileged state without a hypervisor, in real mode.
    pub fn new(words: &[u32]) -> Bench {
        Bench::of(Model::Power9, false, words)
    }

    pub fn of(model: Model, hypervisor: bool, words: &[u32]) -> Bench {
        let mut bench = Bench {
            cpu: Vcpu::cold(0, model, hypervisor, 0, Instant::default()),
            memory: Memory::new(1 << 20, 1),
            engine: Interpreter::new(model),
            clock: Clock::cold(INSTRUCTIONS_PER_TICK as u32, 1, 0, Instant::default()),
            count: 0,
            quantum: u64::MAX,
            taken: Vec::new(),
        };
        bench.load(CODE, words);
        bench.cpu.regs.nia = CODE;
        bench.cpu.spr.mmcr0 = mmcr0::CC56RUN;
        bench
    }

    /// The same memory and engine, with a CPU that was just turned on and other code: a new bench costs more.
    pub fn turn_on(&mut self, hypervisor: bool, words: &[u32]) {
        self.cpu = Vcpu::cold(0, self.cpu.model, hypervisor, 0, self.now());
        self.load(CODE, words);
        self.cpu.regs.nia = CODE;
    }

    pub fn load(&mut self, address: u64, words: &[u32]) {
        for (n, word) in words.iter().enumerate() {
            self.memory.store_u32(address + 4 * n as u64, *word, Writer::Other).expect("RAM");
        }
    }

    pub fn now(&self) -> Instant {
        self.clock.at(self.count)
    }

    pub fn run(&mut self, instructions: u64) {
        let limit = self.count + instructions;
        loop {
            let now = self.now();
            self.cpu.look(now);
            while let Some(vector) = self.cpu.take_interrupt() {
                self.taken.push((vector, self.count));
            }
            if self.count == limit {
                return;
            }
            let counters = self.cpu.begin_counting(now);
            let due = self.clock.count_of(self.cpu.deadline(now)).saturating_sub(self.count);
            let budget = (limit - self.count).min(counters).min(due).min(self.quantum).max(1);
            let mut world = World {
                observed: None,
                memory: &mut self.memory,
                bus: &mut NoDevices,
                clock: self.clock,
                count: self.count,
                passed: None,
            };
            let outcome = self.engine.run(&mut self.cpu, &mut world, budget);
            self.cpu.count_run(outcome.executed);
            self.count += outcome.executed;
        }
    }

    pub fn pmc(&self, n: u16) -> u64 {
        self.cpu.register(Register::Spr(786 + n), self.now()).expect("there is one") as u64
    }
}
