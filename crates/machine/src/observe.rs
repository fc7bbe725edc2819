//! What happened, for whoever watches a run: interrupts, timers, hypervisor calls, devices, vCPUs.
//!
//! Watching is invisible to the guest and changes no digest: nothing here is state.

use crate::Position;
pub use crate::pseries::status_name;
use alloc::{string::String, vec::Vec};
use timebase_cpu::observe::{Observation as OfCpu, Observed as SeenInRun};
use timebase_cpu::{Clock, Vcpu, Vector};
pub use timebase_devices::{Routed, xive::Operation};
use timebase_state::{Instant, Ticks};

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Observed {
    /// Where. What an instruction did is at the position before that instruction.
    pub at: Position,
    /// When.
    pub now: Instant,
    /// The vCPU that did it or that it happened to; None of what is the whole machine's.
    pub cpu: Option<u32>,
    /// What.
    pub what: Observation,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Observation {
    /// A synchronous interrupt was delivered.
    Exception {
        /// The book's name of it.
        name: &'static str,
        /// Where the interrupted program goes on: (H)SRR0.
        resume: u64,
        /// (H)SRR1.
        cause: u64,
        /// (H)DAR.
        address: u64,
        /// (H)DSISR.
        status: u64,
    },
    /// An asynchronous interrupt was delivered.
    Interrupt {
        /// The book's name of it.
        name: &'static str,
        /// Where the interrupted program goes on: (H)SRR0.
        resume: u64,
        /// (H)SRR1.
        cause: u64,
        /// Of a timer: how late it comes.
        latency: Option<Latency>,
    },
    /// An interrupt handler returned.
    Return {
        /// Effective address of the next instruction.
        to: u64,
        /// MSR from then on.
        msr: u64,
    },
    /// A timer was written.
    TimerWritten {
        /// `DEC`, `HDEC`.
        timer: &'static str,
        /// The value.
        value: u64,
    },
    /// The exception of a timer began to exist.
    TimerExpired {
        /// `DEC`, `HDEC`.
        timer: &'static str,
    },
    /// The line of the interrupt controller to the vCPU changed.
    ExternalLine(bool),
    /// A doorbell message arrived at the vCPU.
    Doorbell {
        /// It is for the hypervisor.
        hypervisor: bool,
    },
    /// A doorbell message was sent.
    DoorbellSent {
        /// RB: type and target, as the ISA lays them out.
        message: u64,
        /// By `msgsnd`.
        hypervisor: bool,
    },
    /// A page of the interrupt controller XIVE was accessed.
    Xive {
        /// What that does.
        operation: Operation,
        /// The value loaded or stored.
        value: u64,
    },
    /// XICS: H_IPI wrote the priority that is requested of a server, 0xff for none (MFRR).
    IpiRequest {
        /// The server.
        server: u32,
        /// The priority.
        mfrr: u8,
    },
    /// XICS: H_XIRR accepted what was presented: XIRR as it was.
    Accepted(u32),
    /// XICS: H_EOI ended an interrupt: XIRR as it was given.
    Ended(u32),
    /// The interrupt controller offers an interrupt to this vCPU: presents it (XICS), or queues it (XIVE).
    Offered {
        /// What.
        routed: Routed,
        /// It is one between processors.
        ipi: bool,
    },
    /// A device was accessed.
    Device {
        /// It was a store.
        store: bool,
        /// Real address.
        address: u64,
        /// Size in bytes.
        bytes: u8,
        /// The value, as a big-endian access means it.
        value: u64,
    },
    /// A hypervisor call was made.
    Hypercall {
        /// PAPR's name, or the number.
        name: String,
        /// r4 and up before it, as many as it has arguments.
        arguments: Vec<u64>,
        /// r3 after it.
        status: i64,
        /// r4 and up after it, as many as it returns values.
        results: Vec<u64>,
    },
    /// A run-time abstraction service was called.
    Rtas {
        /// PAPR's name, or the token.
        name: String,
        /// Arguments.
        arguments: Vec<u32>,
        /// The status and further results.
        results: Vec<i32>,
    },
    /// The vCPU does something else now, as [`crate::Machine::activity`] names it.
    Activity(&'static str),
    /// H_PROD of this vCPU.
    Prod(u32),
    /// No vCPU can run.
    IdleBegins,
    /// One can again, after so many ticks.
    IdleEnds(u64),
    /// The guest asked for a reset.
    ResetRequest,
    /// The guest asked for power-off.
    PowerOff,
    /// The guest reported that it died, with this text.
    Panic(String),
}

/// How late an interrupt comes, since the exception began to exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Latency {
    /// Ticks, rounded down.
    pub ticks: u64,
    /// Instructions of all vCPUs; None if it began before somebody watched.
    pub instructions: Option<u64>,
}

/// When the exception of a timer began to exist.
#[derive(Clone, Copy, Default)]
struct Expiry {
    now: Instant,
    count: Option<u64>,
}

/// What of a vCPU is compared from one look to the next.
#[derive(Clone, Copy, Default)]
struct Shadow {
    activity: &'static str,
    external: bool,
    decrementer: bool,
    hypervisor_decrementer: bool,
    doorbell: bool,
    hypervisor_doorbell: bool,
    /// When the exception of DEC and HDEC began to exist.
    expired: [Expiry; 2],
}

impl Shadow {
    /// `before`: as it was at the look before this one, None if this is the first.
    fn of(
        vcpu: &Vcpu,
        activity: &'static str,
        (at, now): (Position, Instant),
        before: Option<Shadow>,
    ) -> Shadow {
        let known = before.is_some();
        let before = before.unwrap_or_default();
        let decrementer = vcpu.dec_exception(now);
        let hypervisor_decrementer = vcpu.has_hypervisor && vcpu.hdec_latched;
        let since = |is: bool, was: bool, then: Expiry, zero: Instant| match (is && !was, known) {
            (false, _) => then,
            (true, true) => Expiry { now, count: Some(at.count) },
            // It was so when watching began: then only the timer itself knows.
            (true, false) => Expiry { now: (zero + Ticks(1)).min(now), count: None },
        };
        Shadow {
            activity,
            external: vcpu.external,
            decrementer,
            hypervisor_decrementer,
            doorbell: vcpu.doorbell,
            hypervisor_doorbell: vcpu.hypervisor_doorbell,
            expired: [
                since(decrementer, before.decrementer, before.expired[0], vcpu.dec_zero),
                since(
                    hypervisor_decrementer,
                    before.hypervisor_decrementer,
                    before.expired[1],
                    vcpu.hdec_zero,
                ),
            ],
        }
    }
}

/// Somebody who watches a machine.
#[derive(Default)]
pub(crate) struct Observer {
    on: bool,
    seen: Vec<Observed>,
    in_run: Vec<SeenInRun>,
    shadows: Vec<Shadow>,
    idle_since: Option<Instant>,
    /// What the guest asks for has been told.
    request_told: bool,
    /// Where the attempt began whose consequences the machine carries out.
    attempt: Option<Position>,
}

impl Observer {
    /// Begins to watch, or ends it.
    pub fn set(&mut self, on: bool) {
        *self = Observer { on, ..Observer::default() };
    }

    /// The machine is another than before: what it is like now did not happen.
    pub fn start_over(&mut self) {
        self.set(self.on);
    }

    /// Everything seen since the last call.
    pub fn take(&mut self) -> Vec<Observed> {
        core::mem::take(&mut self.seen)
    }

    /// Somebody watches.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Where a run tells what it sees.
    pub fn in_run(&mut self) -> Option<&mut Vec<SeenInRun>> {
        self.on.then_some(&mut self.in_run)
    }

    /// A run of `cpu` that began at `start` is over.
    pub fn ran(
        &mut self,
        cpu: u32,
        start: Position,
        clock: &Clock,
        meaning: impl Fn(u64, u8, bool) -> Option<Operation>,
    ) {
        for SeenInRun { count, what } in core::mem::take(&mut self.in_run) {
            let at = if count == start.count { start } else { Position { count, sequence: 0 } };
            let what = match what {
                OfCpu::Interrupt { vector, resume, cause, address, status } => {
                    Observation::Exception { name: vector.name(), resume, cause, address, status }
                }
                OfCpu::Return { to, msr } => Observation::Return { to, msr },
                OfCpu::Decrementer(value) => Observation::TimerWritten { timer: "DEC", value },
                OfCpu::HypervisorDecrementer(value) => Observation::TimerWritten { timer: "HDEC", value },
                OfCpu::DoorbellSent { message, hypervisor } => {
                    Observation::DoorbellSent { message, hypervisor }
                }
                OfCpu::Device { store, address, bytes, value } => match meaning(address, bytes, store) {
                    Some(operation) => Observation::Xive { operation, value },
                    None => Observation::Device { store, address, bytes, value },
                },
            };
            self.seen.push(Observed { at, now: clock.at(count), cpu: Some(cpu), what });
        }
    }

    /// What is seen from now on was done by the last of `executed` attempts from `start` on; None: by none.
    pub fn set_attempt(&mut self, attempt: Option<(Position, u64)>) {
        self.attempt = attempt.map(|(start, executed)| match executed {
            0 | 1 => start,
            _ => Position { count: start.count + executed - 1, sequence: 0 },
        });
    }

    /// Where the attempt began that did what is seen now; `otherwise` if none did.
    pub fn place(&self, otherwise: Position) -> Position {
        self.attempt.unwrap_or(otherwise)
    }

    /// How much was seen: a place for what comes before its consequences.
    pub fn mark(&self) -> usize {
        self.seen.len()
    }

    /// What was seen from `mark` on are consequences of this.
    pub fn see_before(&mut self, mark: usize, seen: Observed) {
        self.seen.insert(mark.min(self.seen.len()), seen);
    }

    /// The machine was reset: what vCPUs are like now did not happen.
    pub fn reset(&mut self) {
        self.shadows.clear();
        self.idle_since = None;
        self.request_told = false;
    }

    /// No vCPU can run, or one can.
    pub fn idle(&mut self, at: Position, now: Instant, idle: bool) {
        match (idle, self.idle_since) {
            (true, None) => {
                self.idle_since = Some(now);
                self.see(at, now, None, || Observation::IdleBegins);
            }
            (false, Some(since)) => {
                self.idle_since = None;
                self.see(at, now, None, || Observation::IdleEnds(ticks_between(since, now)));
            }
            _ => {}
        }
    }

    /// The guest asks for something, or for nothing; it is told once.
    pub fn request(&mut self, at: Position, now: Instant, request: Option<Observation>) {
        let told = core::mem::replace(&mut self.request_told, request.is_some());
        if let (false, Some(request)) = (told, request) {
            self.see(at, now, None, || request);
        }
    }

    /// Something happened.
    pub fn see(&mut self, at: Position, now: Instant, cpu: Option<u32>, what: impl FnOnce() -> Observation) {
        if self.on {
            self.seen.push(Observed { at, now, cpu, what: what() });
        }
    }

    /// vCPU `cpu` took an asynchronous interrupt.
    pub fn interrupted(&mut self, at: Position, now: Instant, cpu: u32, vector: Vector, vcpu: &Vcpu) {
        let OfCpu::Interrupt { resume, cause, .. } = vcpu.interrupted_by(vector) else { return };
        let name = vector.name();
        let timer = match name {
            "decrementer" => Some(0),
            "hypervisor-decrementer" => Some(1),
            _ => None,
        };
        let shadow = self.shadows.get(cpu as usize);
        let expired = timer.zip(shadow).map(|(timer, shadow)| shadow.expired[timer]);
        let latency = expired.map(|Expiry { now: then, count }| Latency {
            ticks: ticks_between(then, now),
            instructions: count.map(|count| at.count.saturating_sub(count)),
        });
        self.see(at, now, Some(cpu), || Observation::Interrupt { name, resume, cause, latency });
    }

    /// Compares the vCPUs with what they were.
    pub fn look<'a>(
        &mut self,
        at: Position,
        now: Instant,
        vcpus: impl Iterator<Item = (&'a Vcpu, &'static str)>,
    ) {
        if !self.on {
            return;
        }
        let first = self.shadows.is_empty();
        for (n, (vcpu, activity)) in vcpus.enumerate() {
            let before = self.shadows.get(n).copied();
            let shadow = Shadow::of(vcpu, activity, (at, now), before);
            let before = before.unwrap_or_default();
            if first {
                self.shadows.push(shadow);
                continue;
            }
            self.shadows[n] = shadow;
            let mut see = |what| self.seen.push(Observed { at, now, cpu: Some(n as u32), what });
            if shadow.decrementer && !before.decrementer {
                see(Observation::TimerExpired { timer: "DEC" });
            }
            if shadow.hypervisor_decrementer && !before.hypervisor_decrementer {
                see(Observation::TimerExpired { timer: "HDEC" });
            }
            if shadow.external != before.external {
                see(Observation::ExternalLine(shadow.external));
            }
            if shadow.doorbell && !before.doorbell {
                see(Observation::Doorbell { hypervisor: false });
            }
            if shadow.hypervisor_doorbell && !before.hypervisor_doorbell {
                see(Observation::Doorbell { hypervisor: true });
            }
            if shadow.activity != before.activity {
                see(Observation::Activity(activity));
            }
        }
    }
}

/// Whole ticks from `since` to `now`, rounded down.
fn ticks_between(since: Instant, now: Instant) -> u64 {
    Instant(now.0.saturating_sub(since.0)).ticks()
}
