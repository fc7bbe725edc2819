//! What all machines share: the loop that runs vCPUs in turn up to the next event, time and idle, inputs and outputs,
//! snapshots and digests. A machine is a [`Chassis`] around its [`Board`].

use crate::debug::{self, Change, Debugger, Halts};
use crate::observe::{Observation, Observed, Observer, Operation, Routed};
use crate::schedule::Schedule;
use crate::{
    Config, ConfigError, ImageSource, Images, InputError, InstructionCount, Machine, Output, Port, Position,
    Statistics, Stop,
};
use alloc::{boxed::Box, collections::BTreeMap, string::String, vec, vec::Vec};
use timebase_cpu::{Bus, Clock, Engine, Exit, Model, Vcpu, World};
use timebase_memory::Memory;
use timebase_state::{Difference, Digest, Instant, LoadError, Paged, Snapshot, State};

/// The port of the console.
pub(crate) const CONSOLE: &str = "console0";
/// The port of the operator's system reset request.
const NMI: &str = "nmi";

/// What the guest asked of the machine as a whole.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Request {
    #[default]
    None,
    Reset,
    PowerOff,
    Panic(String),
}

/// What a vCPU is doing.
#[derive(State, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Stopped: somebody else starts it.
    #[default]
    Stopped,
    /// It runs when its turn comes.
    Running,
    /// It gave way (`stop`, H_CEDE): until something is pending.
    Idle,
    /// It joined the others (H_JOIN): until it is prodded.
    Joined,
    /// It checkstopped.
    Dead,
}

impl Activity {
    /// In a word.
    fn name(self) -> &'static str {
        match self {
            Activity::Running => "running",
            Activity::Stopped => "stopped",
            Activity::Idle => "idle",
            Activity::Joined => "joined",
            Activity::Dead => "dead",
        }
    }
}

/// A vCPU and what its machine knows of it.
pub(crate) trait Slot: State + Send {
    /// The vCPU.
    fn vcpu(&self) -> &Vcpu;
    /// The vCPU.
    fn vcpu_mut(&mut self) -> &mut Vcpu;
    /// What it does.
    fn activity(&self) -> Activity;
    /// What it does.
    fn activity_mut(&mut self) -> &mut Activity;
    /// It runs when its turn comes.
    fn able(&self) -> bool {
        self.activity() == Activity::Running
    }
    /// The exception of its timers can end what it does, or rests on.
    fn has_deadline(&self) -> bool {
        matches!(self.activity(), Activity::Running | Activity::Idle)
    }
}

/// The parts of a board that all machines have, to look at.
pub(crate) struct View<'a, S> {
    pub memory: &'a Memory,
    pub cpu: &'a [S],
    pub clock: &'a Clock,
    pub schedule: &'a Schedule,
    pub request: &'a Request,
    pub count: InstructionCount,
    pub sequence: u32,
}

/// The parts of a board that all machines have, to change.
pub(crate) struct Parts<'a, S, D> {
    pub memory: &'a mut Memory,
    pub cpu: &'a mut [S],
    pub clock: &'a mut Clock,
    pub schedule: &'a mut Schedule,
    pub devices: &'a mut D,
    pub request: &'a mut Request,
    pub output: &'a mut [u8; 32],
    pub count: &'a mut InstructionCount,
    pub sequence: &'a mut u32,
}

/// Writes [`Board::view`] and [`Board::parts`] of a struct whose fields have the names of the parts.
macro_rules! parts {
    () => {
        fn view(&self) -> $crate::chassis::View<'_, Self::Slot> {
            $crate::chassis::View {
                memory: &self.memory,
                cpu: &self.cpu,
                clock: &self.clock,
                schedule: &self.schedule,
                request: &self.request,
                count: self.count,
                sequence: self.sequence,
            }
        }
        fn parts(&mut self) -> $crate::chassis::Parts<'_, Self::Slot, Self::Devices> {
            $crate::chassis::Parts {
                memory: &mut self.memory,
                cpu: &mut self.cpu,
                clock: &mut self.clock,
                schedule: &mut self.schedule,
                devices: &mut self.devices,
                request: &mut self.request,
                output: &mut self.output,
                count: &mut self.count,
                sequence: &mut self.sequence,
            }
        }
    };
}
pub(crate) use parts;

/// All state of a machine, and what it does with the world that only it knows.
pub(crate) trait Board: State + Send + Sized {
    type Slot: Slot;
    type Devices: Bus;
    /// What is known of the images once they are in memory.
    type Loaded: Send;

    /// Refuses configurations that make no machine.
    fn check(config: &Config) -> Result<(), ConfigError>;
    /// As after power-on, without the images.
    fn cold(config: &Config, model: Model) -> Result<Self, ConfigError>;
    /// As after a reset at `count` and `now`: cold but for what survives a reset.
    fn after_reset(
        &self,
        config: &Config,
        model: Model,
        count: InstructionCount,
        now: Instant,
    ) -> Result<Self, ConfigError>;
    /// Puts the images into memory.
    fn load(&mut self, config: &Config, images: &Images) -> Result<Self::Loaded, ConfigError>;
    /// Sets vCPUs on their way, with the images in memory.
    fn start(&mut self, config: &Config, loaded: &Self::Loaded) -> Result<(), ConfigError>;
    fn view(&self) -> View<'_, Self::Slot>;
    fn parts(&mut self) -> Parts<'_, Self::Slot, Self::Devices>;
    /// Brings the lines of devices to the vCPUs, looks at what is due, and wakes who rests.
    fn settle(&mut self, now: Instant);
    /// When a device does something by itself.
    fn device_deadline(&self) -> Option<Instant> {
        None
    }
    /// Takes what devices emitted: port and bytes.
    fn take_emitted(&mut self) -> Option<(&'static str, Vec<u8>)> {
        None
    }
    /// vCPU `n` ended its run with something that this machine answers.
    fn carry_out(machine: &mut Chassis<Self>, n: usize, exit: Exit);
    /// Bytes are typed at the console; those beyond its buffer are lost, as on a line without flow control.
    fn type_in(&mut self, bytes: &[u8]);
    /// The operator asks for a system reset of all vCPUs.
    fn system_reset(&mut self);
    /// Begins or ends to watch the interrupt controller.
    fn observe(&mut self, _on: bool) {}
    /// What the interrupt controller offered since the last call, and whether that is between processors.
    fn take_offers(&mut self) -> Vec<(Routed, bool)> {
        Vec::new()
    }
    /// What an access to a page of the interrupt controller does.
    fn meaning(&self, _address: u64, _bytes: u8, _store: bool) -> Option<Operation> {
        None
    }
    /// Counts for the report that only this machine has.
    fn count_own(&self, _counts: &mut BTreeMap<String, u64>) {}
}

/// What main memory holds after each reset: the images and nothing else.
enum Original {
    /// Kept; it shares what the guest does not write.
    Kept(Paged),
    /// Made anew: a kernel that moves itself, as Linux does, writes over all of it.
    Released(ImageSource),
}

/// A machine around its board.
pub(crate) struct Chassis<B: Board> {
    pub board: B,
    pub config: Config,
    loaded: B::Loaded,
    original: Original,
    pub model: Model,
    pub engine: Box<dyn Engine>,
    quantum: u64,
    debugger: Debugger,
    pub observer: Observer,
    emitted: Vec<Output>,
    interrupts: BTreeMap<&'static str, u64>,
    pub hcalls: BTreeMap<String, u64>,
    pub rtas: BTreeMap<String, u64>,
}

impl<B: Board> Chassis<B> {
    /// The machine at power-on.
    pub fn cold(
        config: &Config,
        images: &Images,
        model: Model,
        engine: Box<dyn Engine>,
    ) -> Result<Chassis<B>, ConfigError> {
        B::check(config)?;
        let mut board = B::cold(config, model)?;
        let loaded = board.load(config, images)?;
        let [original, _] = board.view().memory.storage();
        board.start(config, &loaded)?;
        Ok(Chassis {
            board,
            config: config.clone(),
            loaded,
            original: Original::Kept(original),
            model,
            engine,
            quantum: u64::MAX,
            debugger: Debugger::default(),
            observer: Observer::default(),
            emitted: Vec::new(),
            interrupts: BTreeMap::new(),
            hcalls: BTreeMap::new(),
            rtas: BTreeMap::new(),
        })
    }

    /// Looks at what is due, lets those that rest wake, and brings the lines of devices to the vCPUs.
    fn settle(&mut self) {
        let now = self.now();
        self.board.settle(now);
        let Parts { cpu, clock, count, .. } = self.board.parts();
        let runnable = cpu.iter().filter(|slot| slot.able()).count() as u32;
        clock.share(*count, self.config.rate_numerator, self.config.rate_denominator, runnable);
        self.look();
    }

    /// The next instant at which something happens by itself.
    fn deadline(&self) -> Option<Instant> {
        let now = self.now();
        let waiting = self.board.view().cpu.iter().filter(|slot| slot.has_deadline());
        let timers = waiting.map(|slot| slot.vcpu().deadline(now)).min();
        [timers, self.board.device_deadline()].into_iter().flatten().min()
    }

    /// The vCPU that is on takes its interrupts.
    fn take_interrupts(&mut self) {
        let n = self.current() as usize;
        while let Some(vector) = self.board.parts().cpu[n].vcpu_mut().take_interrupt() {
            *self.interrupts.entry(vector.name()).or_default() += 1;
            if self.observer.is_on() {
                let (at, now) = (self.position(), self.now());
                let vcpu = self.board.view().cpu[n].vcpu();
                self.observer.interrupted(at, now, n as u32, vector, vcpu);
            }
        }
    }

    /// vCPU `n` is told of the run latches of its core, which stay as they are while it runs.
    fn share_run_latches(&mut self, n: usize) {
        let threads = self.config.threads as usize;
        let Parts { cpu, .. } = self.board.parts();
        let core = cpu.chunks(threads).nth(n / threads).into_iter().flatten();
        let latches = core.fold(0, |latches, slot| latches << 1 | slot.vcpu().spr.ctrl as u8 & 1);
        cpu[n].vcpu_mut().run_latches = latches << (8 - threads);
    }

    /// Runs the vCPU that is on, up to `limit`.
    fn run_slice(&mut self, limit: InstructionCount) {
        let n = self.current() as usize;
        let before = self.position();
        let now = self.now();
        self.share_run_latches(n);
        let counters = self.board.parts().cpu[n].vcpu_mut().begin_counting(now);
        let due = self.deadline();
        let Parts { memory, cpu, clock, schedule, devices, count, .. } = self.board.parts();
        let due = due.map_or(u64::MAX, |deadline| clock.count_of(deadline));
        // A guest that idles for centuries makes time wrap around: then the next event may seem to be past.
        let left = limit.min(due).saturating_sub(*count);
        // A debugger that asks for the beginnings of slices sees each.
        let room = if self.debugger.halts.slices {
            schedule.left
        } else {
            schedule.room(cpu.len() as u32, |n| cpu[n as usize].able())
        };
        let budget = left.min(room).min(self.quantum).min(counters).max(1);
        let mut world = World {
            memory,
            bus: devices,
            clock: *clock,
            count: *count,
            passed: self.debugger.passed,
            observed: self.observer.in_run(),
        };
        let outcome = self.engine.run(cpu[n].vcpu_mut(), &mut world, budget);
        cpu[n].vcpu_mut().count_run(outcome.executed);
        self.debugger.ran(n as u32, before, outcome.executed);
        let board = &self.board;
        let meaning = |address, bytes, store| board.meaning(address, bytes, store);
        self.observer.ran(n as u32, before, board.view().clock, meaning);
        let Parts { schedule, count, sequence, .. } = self.board.parts();
        *count += outcome.executed;
        if outcome.executed != 0 {
            *sequence = 0;
        }
        schedule.pass(outcome.executed);
        self.observer.set_attempt(Some((before, outcome.executed)));
        self.carry_out(n, outcome.exit);
        while let Some((port, bytes)) = self.board.take_emitted() {
            self.emit(port, &bytes);
        }
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
                let (at, nia) = (self.position(), self.vcpu(n as u32).regs.nia);
                self.debugger.at_breakpoint(at, n as u32, nia);
            }
            Exit::Yield => self.board.parts().schedule.end_slice(),
            Exit::Checkstop => {
                let Parts { cpu, request, .. } = self.board.parts();
                *cpu[n].activity_mut() = Activity::Dead;
                *request = Request::Panic(alloc::format!("vCPU {n} checkstopped"));
            }
            Exit::Hypercall | Exit::Rest | Exit::Doorbell { .. } => B::carry_out(self, n, exit),
        }
    }

    /// As after power-on but for what survives a reset. The images made a machine before, so it is their source that has
    /// changed if this fails.
    fn start_anew(&mut self) -> Result<(), ConfigError> {
        let now = Instant::from_ticks(self.now().ticks() + 1);
        let Position { count, sequence } = self.position();
        self.board = self.board.after_reset(&self.config, self.model, count, now)?;
        *self.board.parts().sequence = sequence + 1;
        match &mut self.original {
            Original::Kept(main) => self.board.parts().memory.put(main),
            Original::Released(source) => self.loaded = self.board.load(&self.config, &source())?,
        }
        self.board.start(&self.config, &self.loaded)
    }

    /// No vCPU runs any more, and the owner is told why.
    fn die(&mut self, why: String) {
        let Parts { cpu, request, .. } = self.board.parts();
        cpu.iter_mut().for_each(|slot| *slot.activity_mut() = Activity::Dead);
        *request = Request::Panic(why);
    }

    /// Emits bytes on a port.
    pub fn emit(&mut self, port: &str, bytes: &[u8]) {
        let output = self.board.parts().output;
        *output = timebase_state::chain(output, &[port.as_bytes(), bytes]);
        self.emitted.push(Output { port: port.into(), bytes: bytes.into() });
    }

    /// The machine is another than before.
    fn restart_debugger(&mut self) {
        let at = self.position();
        let cpus = self.board.view().cpu;
        self.debugger.start_over(|n| Some(cpus.get(n as usize)?.vcpu()), at);
    }

    /// Translation changed for all.
    pub fn forget_translations(&mut self) {
        let Parts { memory, cpu, .. } = self.board.parts();
        self.engine.flush(memory);
        for slot in cpu {
            slot.vcpu_mut().context_changed();
        }
    }

    /// Bulk storage is about to be hashed or shared.
    pub fn seal(&mut self) {
        self.engine.withdraw_writes();
    }
}

/// What happens in a machine, told to whoever watches ([`crate::observe`]). Nothing here changes the machine.
impl<B: Board> Chassis<B> {
    /// Looks at what has changed between two instructions.
    fn look(&mut self) {
        if !self.observer.is_on() {
            return;
        }
        self.see_offers();
        self.board.observe(true);
        let (at, now) = (self.position(), self.now());
        let vcpus = self.board.view().cpu.iter().map(|slot| (slot.vcpu(), slot.activity().name()));
        self.observer.look(at, now, vcpus);
    }

    /// Something happened; `cpu` did it, or it happened to it.
    pub fn see(&mut self, cpu: Option<usize>, what: impl FnOnce() -> Observation) {
        if self.observer.is_on() {
            let at = self.observer.place(self.position());
            let now = self.board.view().clock.at(at.count);
            self.observer.see(at, now, cpu.map(|n| n as u32), what);
        }
    }

    /// Something that `cpu` did, before its consequences, which were seen from `mark` on.
    pub fn see_before(&mut self, mark: usize, cpu: usize, what: Observation) {
        let at = self.observer.place(self.position());
        let now = self.board.view().clock.at(at.count);
        self.observer.see_before(mark, Observed { at, now, cpu: Some(cpu as u32), what });
    }

    /// What the interrupt controller offered.
    fn see_offers(&mut self) {
        for (routed, ipi) in self.board.take_offers() {
            self.see(Some(routed.server as usize), || Observation::Offered { routed, ipi });
        }
    }

    /// What the guest asks of the machine as a whole.
    fn see_request(&mut self) {
        if !self.observer.is_on() {
            return;
        }
        let request = match self.board.view().request {
            Request::None => None,
            Request::Reset => Some(Observation::ResetRequest),
            Request::PowerOff => Some(Observation::PowerOff),
            Request::Panic(text) => Some(Observation::Panic(text.clone())),
        };
        let (at, now) = (self.position(), self.now());
        self.observer.request(at, now, request);
    }

    /// Whether any vCPU can run.
    fn see_idle(&mut self, idle: bool) {
        if self.observer.is_on() {
            let (at, now) = (self.position(), self.now());
            self.observer.idle(at, now, idle);
        }
    }
}

impl<B: Board> Machine for Chassis<B> {
    fn position(&self) -> Position {
        let view = self.board.view();
        Position { count: view.count, sequence: view.sequence }
    }

    fn now(&self) -> Instant {
        let view = self.board.view();
        view.clock.at(view.count)
    }

    fn run(&mut self, limit: InstructionCount) -> Stop {
        loop {
            if !self.emitted.is_empty() {
                return Stop::Output;
            }
            self.see_request();
            match self.board.view().request {
                Request::None => {}
                Request::Reset => return Stop::Reset,
                Request::PowerOff => return Stop::PowerOff,
                Request::Panic(text) => return Stop::Panic(text.clone()),
            }
            self.settle();
            // A device may have asked for it; not an instruction runs after that.
            if *self.board.view().request != Request::None {
                continue;
            }
            let at = self.position();
            let Parts { memory, cpu, schedule, .. } = self.board.parts();
            let able = |n: u32| cpu[n as usize].able();
            match schedule.choose(cpu.len() as u32, able) {
                None if at.count >= limit => return Stop::Limit,
                None => {
                    self.see_idle(true);
                    return Stop::Idle { deadline: self.deadline() };
                }
                Some(true) => {
                    memory.begin_slice(schedule.current);
                    self.debugger.slice(at, schedule.current);
                }
                Some(false) => {}
            }
            self.see_idle(false);
            self.take_interrupts();
            let Parts { memory, cpu, .. } = self.board.parts();
            let hits = self.debugger.look(memory, |n| Some(cpu.get(n as usize)?.vcpu()));
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
        if port == debug::PORT {
            let change = Change::decode(payload)
                .ok_or_else(|| InputError::BadPayload("no change of a register or of memory".into()))?;
            let now = self.now();
            let Parts { cpu, memory, .. } = self.board.parts();
            change.apply(memory, |n| Some(cpu.get_mut(n as usize)?.vcpu_mut()), now)?;
        } else {
            match port {
                CONSOLE => self.board.type_in(payload),
                NMI => self.board.system_reset(),
                _ => return Err(InputError::UnknownPort(port.into())),
            }
        }
        *self.board.parts().sequence += 1;
        Ok(())
    }

    fn input_ports(&self) -> Vec<Port> {
        [CONSOLE, NMI, debug::PORT].map(Port::from).into()
    }

    fn end_idle(&mut self) {
        if let Some(deadline) = self.deadline() {
            self.cut_idle(deadline);
        }
    }

    fn cut_idle(&mut self, until: Instant) {
        let Parts { clock, count, sequence, .. } = self.board.parts();
        clock.advance(*count, until);
        *sequence += 1;
    }

    fn resume(&mut self) {
        *self.board.parts().request = Request::None;
    }

    fn reset(&mut self) {
        if let Err(ConfigError(why)) = self.start_anew() {
            self.die(alloc::format!("the machine cannot start anew: {why}"));
        }
        self.observer.reset();
        self.flush_caches();
    }

    fn release_images(&mut self, source: ImageSource) {
        self.original = Original::Released(source);
    }

    fn take_output(&mut self) -> Vec<Output> {
        core::mem::take(&mut self.emitted)
    }

    fn snapshot(&mut self) -> Snapshot {
        self.seal();
        timebase_state::save(&mut self.board)
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), LoadError> {
        let before = self.board.view().memory.storage();
        timebase_state::load(&mut self.board, snapshot)?;
        self.emitted.clear();
        let Parts { memory, cpu, schedule, .. } = self.board.parts();
        self.engine.forget_translations(memory);
        memory.replaced(&before);
        for slot in cpu {
            slot.vcpu_mut().context_changed();
        }
        memory.begin_slice(schedule.current);
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
        let Ok(mut board) = B::cold(&self.config, self.model) else { return Vec::new() };
        if let Err(error) = timebase_state::load(&mut board, other) {
            return vec![Difference { path: error.path, left: String::new(), right: error.what.into() }];
        }
        let (now, then) = (self.now(), board.view().clock.at(board.view().count));
        timebase_state::diff(&mut self.board, &mut board, now, then)
    }

    fn schema(&mut self) -> Digest {
        let cold = B::cold(&self.config, self.model);
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
        let Parts { memory, cpu, .. } = self.board.parts();
        memory.set_watchpoints(halts.watchpoints.clone());
        self.debugger.halts = halts;
        self.engine.set_halts(self.debugger.for_engine(), memory);
        for slot in cpu {
            slot.vcpu_mut().context_changed();
        }
        self.restart_debugger();
    }

    fn cpus(&self) -> u32 {
        self.config.cpus
    }

    fn current(&self) -> u32 {
        self.board.view().schedule.current
    }

    fn vcpu(&self, cpu: u32) -> &Vcpu {
        self.board.view().cpu[cpu as usize].vcpu()
    }

    fn activity(&self, cpu: u32) -> &'static str {
        self.board.view().cpu[cpu as usize].activity().name()
    }

    fn memory(&self) -> &Memory {
        self.board.view().memory
    }

    fn read_effective(&mut self, cpu: u32, address: u64, out: &mut [u8]) -> usize {
        let Parts { cpu: cpus, memory, .. } = self.board.parts();
        debug::read(cpus[cpu as usize].vcpu_mut(), memory, address, out)
    }

    fn real_address(&mut self, cpu: u32, address: u64) -> Option<u64> {
        let Parts { cpu: cpus, memory, .. } = self.board.parts();
        cpus[cpu as usize].vcpu_mut().real_address(memory, address)
    }

    fn observe(&mut self, on: bool) {
        self.observer.set(on);
        self.board.observe(on);
    }

    fn take_observed(&mut self) -> Vec<Observed> {
        self.observer.take()
    }

    fn statistics(&self) -> Statistics {
        let mut engine = self.engine.counters();
        self.board.count_own(&mut engine);
        engine.insert("memory_pages".into(), self.board.view().memory.pages());
        Statistics {
            exceptions: self.engine.exceptions(),
            interrupts: self.interrupts.iter().map(|(&name, &count)| (name.into(), count)).collect(),
            hcalls: self.hcalls.clone(),
            rtas: self.rtas.clone(),
            engine,
        }
    }

    fn engine(&self) -> &'static str {
        self.engine.name()
    }

    fn config(&self) -> &Config {
        &self.config
    }
}
