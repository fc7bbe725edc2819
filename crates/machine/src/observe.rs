//! What happened, for whoever watches a run: interrupts, timers, hypervisor calls, devices, vCPUs.
//!
//! Watching is invisible to the guest and changes no digest: nothing here is state.

use crate::Position;
use alloc::{string::String, vec::Vec};
use timebase_cpu::observe::{Observation as OfCpu, Observed as SeenInRun};
use timebase_cpu::{Clock, Vcpu};
use timebase_state::Instant;

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Observed {
    /// Where. What an instruction did is at the position before that instruction.
    pub at: Position,
    /// When.
    pub now: Instant,
    /// To which vCPU.
    pub cpu: u32,
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
        /// For a timer: ticks since it expired.
        latency: Option<u64>,
    },
    /// An interrupt handler returned.
    Return {
        /// Effective address of the next instruction.
        to: u64,
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
        /// r4 to r12 before it.
        arguments: [u64; 9],
        /// r3 after it.
        status: i64,
        /// r4 to r12 after it.
        results: [u64; 9],
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
    expired: [Instant; 2],
}

impl Shadow {
    fn of(vcpu: &Vcpu, activity: &'static str, now: Instant, before: Shadow) -> Shadow {
        let decrementer = vcpu.dec_exception(now);
        let hypervisor_decrementer = vcpu.has_hypervisor && vcpu.hdec_latched;
        let since = |is: bool, was: bool, then: Instant| if is && !was { now } else { then };
        Shadow {
            activity,
            external: vcpu.external,
            decrementer,
            hypervisor_decrementer,
            doorbell: vcpu.doorbell,
            hypervisor_doorbell: vcpu.hypervisor_doorbell,
            expired: [
                since(decrementer, before.decrementer, before.expired[0]),
                since(hypervisor_decrementer, before.hypervisor_decrementer, before.expired[1]),
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
    pub fn ran(&mut self, cpu: u32, start: Position, clock: &Clock) {
        for SeenInRun { count, what } in core::mem::take(&mut self.in_run) {
            let at = if count == start.count { start } else { Position { count, sequence: 0 } };
            let what = match what {
                OfCpu::Interrupt { vector, resume, cause, address, status } => {
                    Observation::Exception { name: vector.name(), resume, cause, address, status }
                }
                OfCpu::Return(to) => Observation::Return { to },
                OfCpu::Decrementer(value) => Observation::TimerWritten { timer: "DEC", value },
                OfCpu::HypervisorDecrementer(value) => Observation::TimerWritten { timer: "HDEC", value },
                OfCpu::Device { store, address, bytes, value } => {
                    Observation::Device { store, address, bytes, value }
                }
            };
            self.seen.push(Observed { at, now: clock.at(count), cpu, what });
        }
    }

    /// Something happened.
    pub fn see(&mut self, at: Position, now: Instant, cpu: u32, what: impl FnOnce() -> Observation) {
        if self.on {
            self.seen.push(Observed { at, now, cpu, what: what() });
        }
    }

    /// vCPU `cpu` took an asynchronous interrupt.
    pub fn interrupted(&mut self, at: Position, now: Instant, cpu: u32, name: &'static str, resume: u64) {
        let timer = match name {
            "decrementer" => Some(0),
            "hypervisor-decrementer" => Some(1),
            _ => None,
        };
        let shadow = self.shadows.get(cpu as usize);
        let expired = timer.zip(shadow).map(|(timer, shadow)| shadow.expired[timer]);
        let latency = expired.map(|then| now.ticks().wrapping_sub(then.ticks()));
        self.see(at, now, cpu, || Observation::Interrupt { name, resume, latency });
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
            let before = self.shadows.get(n).copied().unwrap_or_default();
            let shadow = Shadow::of(vcpu, activity, now, before);
            if first {
                self.shadows.push(shadow);
                continue;
            }
            self.shadows[n] = shadow;
            let mut see = |what| self.seen.push(Observed { at, now, cpu: n as u32, what });
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
