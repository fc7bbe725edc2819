//! XIVE as PAPR guests use it natively ("XIVE exploitation mode"; Linux `Documentation/arch/powerpc/`, QEMU
//! `docs/specs/ppc-spapr-xive.rst` and `ppc-xive.rst`).
//!
//! A source ([`Source`]) coalesces triggers in its PQ bits; what it lets through goes to the event queue
//! ([`Queue`]) that the guest assigned to its server and priority, which lies in guest memory; and the queue makes
//! its priority pending in the server's thread context ([`Thread`]), whose output is the external interrupt line.
//!
//! Each source has two pages of 64 KiB: triggers go to the even one, management to the odd one. So have the queues
//! (notification and escalation). Thread contexts are seen through pages that show the accessing vCPU its own.
//!
//! Left out: escalation (no vCPU is ever off its thread), the user ring (event-based branches by interrupts), the
//! OS reporting line (its calls answer H_FUNCTION, as on the peer), and stores that end an interrupt.

mod calls;
mod meaning;
mod queue;
mod source;
#[cfg(test)]
mod tests;
mod thread;

pub use calls::{QueueConfig, QueueInfo, Refused, SourceConfig, SourceInfo};
pub use meaning::Operation;

use crate::controller::Routed;
use alloc::{collections::BTreeMap, vec, vec::Vec};
use queue::Queue;
use source::Source;
use thread::Thread;
use timebase_memory::Memory;
use timebase_state::State;

/// Real address of the pages of source 0; those of source n are at n * 128 KiB from there.
pub const SOURCES_BASE: u64 = 0x0006_0100_0000_0000;
/// Source numbers are below this.
pub const SOURCES: u32 = 0x2000;
/// Real address of the pages of queue 0.
pub const QUEUES_BASE: u64 = SOURCES_BASE + SOURCES as u64 * PAIR;
/// Real address of the thread context page that the guest's OS uses.
pub const THREAD_OS_PAGE: u64 = 0x0006_0302_031a_0000;
/// Real address of the thread context page for user programs. It shows nothing.
pub const THREAD_USER_PAGE: u64 = THREAD_OS_PAGE + PAGE;
/// Bytes of each of these pages.
pub const PAGE: u64 = 1 << PAGE_SHIFT;
/// log2 of [`PAGE`].
pub const PAGE_SHIFT: u32 = 16;
/// Priorities, 0 the most favoured. The last is the hypervisor's.
pub const PRIORITIES: u8 = 8;
/// The priority that guests may not use.
pub const RESERVED_PRIORITY: u8 = 7;

const PAIR: u64 = 2 * PAGE;

/// A real address that the controller answers at.
enum Place {
    Source { number: u32, management: bool, offset: u64 },
    Queue { index: u32, escalation: bool, offset: u64 },
    Thread { offset: u64 },
    User,
}

/// The controller.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
pub struct Xive {
    sources: BTreeMap<u32, Source>,
    /// By server and priority.
    queues: Vec<Queue>,
    /// By server.
    threads: Vec<Thread>,
    #[cache("for an observer, if there is one")]
    pub(crate) routed: Option<Vec<Routed>>,
}

impl Xive {
    /// Power-on state for `servers` vCPUs, with level and message sources of these numbers, off. Each server has one
    /// more message source, for inter-processor interrupts, whose number is the server's.
    pub fn cold(servers: u32, level: &[u32], message: &[u32]) -> Xive {
        let of = |numbers: Vec<u32>, level| numbers.into_iter().map(move |n| (n, Source::cold(level, n)));
        let messages = (0..servers).chain(message.iter().copied()).collect();
        Xive {
            sources: of(level.to_vec(), true).chain(of(messages, false)).collect(),
            queues: vec![Queue::cold(); servers as usize * PRIORITIES as usize],
            threads: vec![Thread::cold(); servers as usize],
            routed: None,
        }
    }

    /// The external interrupt line of `server`.
    pub fn line(&self, server: u32) -> bool {
        self.threads.get(server as usize).is_some_and(|thread| thread.signals())
    }

    /// Drives the line of a level source; triggers a message source when `value`.
    pub fn set(&mut self, number: u32, value: bool, memory: &mut Memory) {
        let Some(source) = self.sources.get_mut(&number) else { return };
        if source.set(value) {
            self.route(number, memory);
        }
    }

    /// A source let an event through: it goes to the queue that is configured for it.
    fn route(&mut self, number: u32, memory: &mut Memory) {
        let Some(target) = self.sources.get(&number).and_then(|source| source.target()) else { return };
        let Some(queue) = self.queues.get_mut(target.queue as usize) else { return };
        let notifies = queue.push(target.event, memory);
        let (server, priority) = (target.queue / PRIORITIES as u32, (target.queue % PRIORITIES as u32) as u8);
        if let Some(routed) = &mut self.routed {
            routed.push(Routed { source: number, server, priority, event: Some(target.event) });
        }
        if !notifies {
            return;
        }
        if let Some(thread) = self.threads.get_mut(server as usize) {
            thread.make_pending(priority);
        }
    }

    fn place(&self, address: u64) -> Option<Place> {
        let offset = address % PAGE;
        let page = address & !(PAGE - 1);
        let queues_end = QUEUES_BASE + self.queues.len() as u64 * PAIR;
        match page {
            THREAD_OS_PAGE => Some(Place::Thread { offset }),
            THREAD_USER_PAGE => Some(Place::User),
            SOURCES_BASE..QUEUES_BASE => {
                let page = (page - SOURCES_BASE) / PAGE;
                Some(Place::Source { number: (page / 2) as u32, management: page & 1 != 0, offset })
            }
            QUEUES_BASE.. if page < queues_end => {
                let page = (page - QUEUES_BASE) / PAGE;
                Some(Place::Queue { index: (page / 2) as u32, escalation: page & 1 != 0, offset })
            }
            _ => None,
        }
    }

    /// A load of `bytes` bytes by vCPU `cpu`. None: nothing answers here.
    pub fn load(&mut self, cpu: u32, address: u64, bytes: u8, memory: &mut Memory) -> Option<u64> {
        match self.place(address)? {
            Place::Source { number, management: true, offset } => {
                let source = self.sources.get_mut(&number)?;
                let (value, event) = source.load(offset);
                if event {
                    self.route(number, memory);
                }
                Some(value)
            }
            Place::Queue { index, escalation: false, offset } => {
                Some(self.queues.get_mut(index as usize)?.load(offset))
            }
            Place::Thread { offset } => Some(self.threads.get_mut(cpu as usize)?.load(offset, bytes)),
            // A page that is only for triggers reads as ones.
            Place::Source { .. } | Place::Queue { .. } => Some(u64::MAX),
            Place::User => Some(0),
        }
    }

    /// A store of `bytes` bytes by vCPU `cpu`. None: nothing answers here.
    pub fn store(
        &mut self,
        cpu: u32,
        address: u64,
        bytes: u8,
        value: u64,
        memory: &mut Memory,
    ) -> Option<()> {
        match self.place(address)? {
            Place::Source { number, management, offset } => {
                let source = self.sources.get_mut(&number)?;
                let event = if management { source.store(offset) } else { source.trigger() };
                if event {
                    self.route(number, memory);
                }
            }
            Place::Queue { index, escalation: false, offset } => {
                self.queues.get_mut(index as usize)?.load(offset);
            }
            Place::Thread { offset } => self.threads.get_mut(cpu as usize)?.store(offset, bytes, value),
            Place::Queue { .. } | Place::User => {}
        }
        Some(())
    }
}
