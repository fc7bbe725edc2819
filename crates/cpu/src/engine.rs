//! What a machine asks of whatever executes instructions.

use crate::bits::msr;
use crate::observe::{Observation, Observed};
use crate::{Clock, Register, Vcpu};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use timebase_memory::Memory;
use timebase_state::Instant;

/// Nothing answers at this real address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BusError;

/// Memory-mapped devices, by real address. Values are what a big-endian access of that size means.
pub trait Bus {
    /// A load of 1, 2, 4 or 8 bytes; may have effects.
    fn load(
        &mut self,
        cpu: u32,
        address: u64,
        bytes: u8,
        now: Instant,
        memory: &mut Memory,
    ) -> Result<u64, BusError>;
    /// A store.
    fn store(
        &mut self,
        cpu: u32,
        address: u64,
        bytes: u8,
        value: u64,
        now: Instant,
        memory: &mut Memory,
    ) -> Result<(), BusError>;
    /// Whether the run may go on after the last access, for it left nothing that the machine must see to before the next
    /// instruction: then the bits that HMER of the vCPU gains by it. None: the machine must look.
    fn settled(&mut self) -> Option<u64> {
        None
    }
}

/// No devices at all: what is not memory is a machine check.
pub struct NoDevices;

impl Bus for NoDevices {
    fn load(&mut self, _: u32, _: u64, _: u8, _: Instant, _: &mut Memory) -> Result<u64, BusError> {
        Err(BusError)
    }

    fn store(&mut self, _: u32, _: u64, _: u8, _: u64, _: Instant, _: &mut Memory) -> Result<(), BusError> {
        Err(BusError)
    }
}

/// What surrounds a vCPU while it runs.
pub struct World<'a> {
    /// Physical memory.
    pub memory: &'a mut Memory,
    /// Devices.
    pub bus: &'a mut dyn Bus,
    /// Virtual time.
    pub clock: Clock,
    /// Instruction attempts by all vCPUs before this run.
    pub count: u64,
    /// Breakpoints do not stop the attempt that begins at this count: it was stopped there already.
    pub passed: Option<u64>,
    /// Where somebody who watches finds what happened.
    pub observed: Option<&'a mut Vec<Observed>>,
}

impl World<'_> {
    /// Tells whoever watches what the attempt after `count` others did.
    pub fn observe(&mut self, count: u64, what: impl FnOnce() -> Observation) {
        if let Some(observed) = &mut self.observed {
            observed.push(Observed { count, what: what() });
        }
    }
}

/// Why a run ended before its budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// The budget is used up.
    Budget,
    /// Something changed that the machine must look at: a timer was written, a device was touched, an interrupt is
    /// pending and enabled.
    Look,
    /// `sc 1` on a machine whose hypervisor is the machine itself. NIA is after it.
    Hypercall,
    /// `stop`, `wait` or the like: the vCPU rests until something is pending.
    Rest,
    /// A spin hint: another vCPU may go first.
    Yield,
    /// The vCPU sent a doorbell to the vCPU of this index.
    Doorbell {
        /// PIR or TIR of the target, as the message says.
        message: u64,
        /// `msgsnd` (hypervisor) or `msgsndp`.
        hypervisor: bool,
    },
    /// A machine check with MSR[ME] = 0: the vCPU stops for good.
    Checkstop,
    /// NIA is at a breakpoint. Nothing was executed there.
    Breakpoint,
}

/// Where a debugger wants a run to end. It is no state: the guest cannot tell.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Halts {
    /// Before the instructions at these effective addresses. In real mode the upper 4 bits do not count, as they
    /// do not in the access.
    pub breakpoints: Vec<u64>,
    /// After an instruction that changed this register of this vCPU.
    pub register: Option<(u32, Register)>,
}

impl Halts {
    /// A breakpoint is where `cpu` is.
    pub fn at_breakpoint(&self, cpu: &Vcpu) -> bool {
        const REAL: u64 = (1 << 60) - 1;
        let significant = if cpu.regs.msr & msr::IR != 0 { u64::MAX } else { REAL };
        self.breakpoints.iter().any(|address| (address ^ cpu.regs.nia) & significant == 0)
    }
}

/// How a run went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Instructions attempted, at most the budget.
    pub executed: u64,
    /// Why it ended.
    pub exit: Exit,
}

/// Executes instructions. Everything it remembers is a cache.
pub trait Engine: Send {
    /// Its name for reports.
    fn name(&self) -> &'static str;
    /// Runs `cpu` for at most `budget` (at least 1) instruction attempts. Synchronous interrupts are delivered.
    fn run(&mut self, cpu: &mut Vcpu, world: &mut World, budget: u64) -> Outcome;
    /// Sets where runs end for a debugger, and looks at the watchpoints of `memory` anew.
    fn set_halts(&mut self, halts: Halts, memory: &mut Memory);
    /// Gives back all pointers for writing: memory is about to be hashed or shared.
    fn withdraw_writes(&mut self);
    /// Forgets translations and all pointers into memory, not what it decoded: memory was loaded anew, and tells
    /// what code that changed.
    fn forget_translations(&mut self, memory: &mut Memory);
    /// Forgets everything.
    fn flush(&mut self, memory: &mut Memory);
    /// Synchronous interrupts delivered, by name.
    fn exceptions(&self) -> BTreeMap<String, u64>;
    /// Its own counters.
    fn counters(&self) -> BTreeMap<String, u64>;
}
