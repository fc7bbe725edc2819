//! What a machine is to the crates above it: a pure, steppable object.
//!
//! A machine knows no clock, no file and no thread. Whoever owns it runs it up to an instruction count, hands it
//! inputs at positions, and takes away what it emitted. Everything nondeterministic is in the caller's hands, so
//! writing down the calls of [`Machine::input`] and [`Machine::cut_idle`] *is* a recording.

use crate::debug::{Halts, Hit};
use crate::observe::Observed;
use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};
use timebase_cpu::Vcpu;
use timebase_memory::Memory;
use timebase_state::{Instant, Paged, Snapshot, Ticks};

/// Instruction attempts by all vCPUs since power-on.
pub type InstructionCount = u64;

/// A place in history: between two instructions, and between what happened there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Position {
    /// Instruction attempts by all vCPUs since power-on.
    pub count: InstructionCount,
    /// Orders inputs and idle advances since that instruction; starts again at 0 with the next one.
    pub sequence: u32,
}

/// Why [`Machine::run`] returned. None of these is visible to the guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The count limit was reached.
    Limit,
    /// Something was emitted; take it with [`Machine::take_output`].
    Output,
    /// No vCPU can run. Time must advance: to `deadline` by [`Machine::end_idle`] (None: no event will ever
    /// come by itself), or to an earlier instant by [`Machine::cut_idle`] because an input arrived.
    Idle {
        /// When the next event is due.
        deadline: Option<Instant>,
    },
    /// The guest asked for a reset (RTAS `system-reboot`, BMC). [`Machine::reset`] carries it out.
    Reset,
    /// The guest asked for power-off.
    PowerOff,
    /// The guest reported that it died (RTAS `ibm,os-term`, checkstop), or it cannot start anew, with this text.
    Panic(String),
    /// What a debugger waited for, in order; see [`Machine::set_halts`].
    Hit(Vec<Hit>),
}

/// A named source of input or sink of output: `console0`, `nmi`. The path of the device that owns it.
pub type Port = String;

/// One thing the machine emitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// Where it came out.
    pub port: Port,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// An input that the machine does not take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InputError {
    /// This machine has no such port.
    UnknownPort(Port),
    /// The port exists and does not understand this payload.
    BadPayload(String),
}

/// Counts of things that happened, for reports; not state, starts at zero with each process.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Synchronous interrupts taken, by the ISA's names.
    pub exceptions: BTreeMap<String, u64>,
    /// Asynchronous interrupts taken, by the ISA's names.
    pub interrupts: BTreeMap<String, u64>,
    /// Hypervisor calls by PAPR name, unknown ones by number.
    pub hcalls: BTreeMap<String, u64>,
    /// RTAS calls by PAPR name.
    pub rtas: BTreeMap<String, u64>,
    /// The engine's own counters.
    pub engine: BTreeMap<String, u64>,
}

/// Everything that determines a machine at power-on, images apart. It is stored in the recording.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// `pseries`, `powernv9`, `powernv10`.
    pub machine: String,
    /// `power9`, `power10`.
    pub cpu: String,
    /// Guest memory in bytes.
    pub memory_bytes: u64,
    /// vCPUs in all.
    pub cpus: u32,
    /// The kernel command line.
    pub append: String,
    /// How the guest is entered.
    pub firmware: Firmware,
    /// Seed of all randomness the guest can ask for.
    pub seed: u64,
    /// Seed of the vCPU interleaving.
    pub schedule_seed: u64,
    /// Real-time clock at power-on, in seconds since 1970-01-01 00:00 UTC.
    pub rtc_seconds: u64,
    /// Instructions per timebase tick and running vCPU, as a rational: numerator.
    pub rate_numerator: u32,
    /// Denominator of the same.
    pub rate_denominator: u32,
    /// Threads of each core: 1, 2 or 4.
    pub threads: u32,
    /// Chips.
    pub sockets: u32,
}

/// How the guest is entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Firmware {
    /// The built-in open firmware: client interface in r5.
    #[default]
    BuiltIn,
    /// None: the kernel is entered with the flattened tree in r3.
    None,
    /// A boot ROM from [`Images::firmware`].
    Image,
}

/// File contents that the machine starts with, in pages, which main memory shares with them where it can. They are
/// embedded in the recording by content.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Images {
    /// ELF kernel or bare-metal image.
    pub kernel: Option<Paged>,
    /// Initial RAM disk.
    pub initrd: Option<Paged>,
    /// Boot ROM, with [`Firmware::Image`].
    pub firmware: Option<Paged>,
}

/// Gives once more the images that a machine was built from.
pub type ImageSource = alloc::boxed::Box<dyn FnMut() -> Images + Send>;

/// A configuration that no machine can be built from: one line that says what is wrong and what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError(pub String);

/// A machine.
pub trait Machine: Send {
    /// Where it stands.
    fn position(&self) -> Position;
    /// Virtual time now.
    fn now(&self) -> Instant;
    /// Virtual time passed since power-on, in whole ticks.
    fn ticks(&self) -> Ticks {
        Ticks(self.now().ticks())
    }
    /// Runs until the count is `limit`, or something happens that the owner must see. Events due exactly at
    /// `limit` have happened when it returns [`Stop::Limit`], and the vCPU that is next has taken its interrupts.
    fn run(&mut self, limit: InstructionCount) -> Stop;
    /// Hands in an input here; the sequence moves on by one. On an error nothing has changed.
    fn input(&mut self, port: &str, payload: &[u8]) -> Result<(), InputError>;
    /// Ports that [`Machine::input`] knows.
    fn input_ports(&self) -> Vec<Port>;
    /// After [`Stop::Idle`] with a deadline: time advances to it; the sequence moves on by one.
    fn end_idle(&mut self);
    /// After [`Stop::Idle`]: time advances to `until`, not past the deadline; the sequence moves on by one.
    fn cut_idle(&mut self, until: Instant);
    /// After [`Stop::Panic`]: the guest goes on after its report.
    fn resume(&mut self);
    /// After [`Stop::Reset`]: everything but the named survivors returns to its cold state. Position goes on. If the images
    /// do not make a machine any more (see [`Machine::release_images`]), it is dead, and the next run says why.
    fn reset(&mut self);
    /// Main memory as images made it need not be kept from now on: a reset puts what `source` gives there, which must be
    /// the images that this was built from.
    fn release_images(&mut self, _source: ImageSource) {}
    /// Everything emitted since the last call, in order.
    fn take_output(&mut self) -> Vec<Output>;
    /// The whole state, cheaply: small state as bytes, bulk storage as shared trees.
    fn snapshot(&mut self) -> Snapshot;
    /// Restores what [`Machine::snapshot`] of a machine of the same configuration gave.
    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), timebase_state::LoadError>;
    /// Digest of everything guest-visible, relative to now, and of all output since power-on.
    fn digest(&mut self) -> timebase_state::Digest;
    /// The whole state as (path, value) leaves in walking order, for diffs.
    fn differences(&mut self, other: &Snapshot) -> Vec<timebase_state::Difference>;
    /// Digest of the names and kinds of all leaves: snapshots are exchanged only between equal ones.
    fn schema(&mut self) -> timebase_state::Digest;
    /// Changes the `n`th leaf of the digested state a little and returns its path; None if there are not so many.
    /// For tests that prove the digest sees everything.
    fn perturb(&mut self, n: u64) -> Option<String>;
    /// Drops every cache; no digest may change (tests call it at random).
    fn flush_caches(&mut self);
    /// Runs are cut into pieces of at most this many instructions; invisible to the guest (tests vary it).
    fn set_quantum(&mut self, instructions: u64);
    /// Sets where a debugger wants runs to stop. A breakpoint stops a run at a position once: the next one goes on.
    fn set_halts(&mut self, halts: Halts);
    /// vCPUs.
    fn cpus(&self) -> u32;
    /// The vCPU that is on: it makes the next attempt, unless all are idle or it gives way first.
    fn current(&self) -> u32;
    /// A vCPU, to look at.
    ///
    /// # Panics
    /// If there is no such vCPU.
    fn vcpu(&self, cpu: u32) -> &Vcpu;
    /// What `cpu` does, in a word: `running`, `idle`, `stopped`, ...
    fn activity(&self, cpu: u32) -> &'static str;
    /// Memory, to look at by real address.
    fn memory(&self) -> &Memory;
    /// Reads memory by effective address as `cpu` sees it now, without any effect on the guest, whether or not it
    /// is permitted to. Returns how many bytes could be read. Device registers cannot be read.
    fn read_effective(&mut self, cpu: u32, address: u64, out: &mut [u8]) -> usize;
    /// The real address of an effective address of `cpu`, None if it is not mapped. Has no effect.
    fn real_address(&mut self, cpu: u32, address: u64) -> Option<u64>;
    /// Begins to watch what happens, or ends it; invisible to the guest.
    fn observe(&mut self, _on: bool) {}
    /// What happened since the last call, in order, if somebody watches. A restore forgets it.
    fn take_observed(&mut self) -> Vec<Observed> {
        Vec::new()
    }
    /// What happened in this process.
    fn statistics(&self) -> Statistics;
    /// Name of the engine that runs it.
    fn engine(&self) -> &'static str;
    /// The configuration it was built from.
    fn config(&self) -> &Config;
}

/// A machine behind a pointer.
pub type BoxedMachine = Box<dyn Machine>;
