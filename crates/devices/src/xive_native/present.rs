//! How events find a thread (XIVE specification, "Interrupt Presentation"): queues, groups of targets, backlogs, and
//! escalation.
//!
//! An event for a group goes to the member that works at the least favoured priority; members that are equal take turns.

use super::queue::{Escalation, Generation, Notified, Queue};
use super::tables::Kind;
use super::targets::{Backlog, Level};
use super::thread::{CPPR, IPB, LGS, LSMFB, NONE, NSR, NSR_LEVEL, OS, PHYSICAL, PIPR, POOL, USER};
use super::thread::{pending_bit, signal};
use super::{XiveNative, field, registers, registers_10};
use alloc::vec::Vec;
use timebase_memory::Memory;

/// How many queues an event may go through, by escalation and because others take precedence.
const QUEUES: u32 = 16;
/// How often a ring is looked at anew because its groups turned out to have less than it was told.
const LOOKS: u32 = 4;

/// An event for a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Event {
    pub block: u32,
    pub index: u32,
    pub data: u32,
    /// It was in the queue before: a member of a group had it, and did not take it.
    pub again: bool,
}

/// Events that others have to take.
pub(super) type Returned = Vec<Event>;

impl XiveNative {
    /// An event arrives at a queue: it is queued, presented, and escalated if that does not help.
    pub(super) fn notify(&mut self, event: Event, memory: &mut Memory) {
        let mut returned = Returned::new();
        self.take(event, &mut returned, memory);
        self.hand_on(returned, memory);
    }

    /// Gives events that a thread had to others.
    pub(super) fn hand_on(&mut self, mut returned: Returned, memory: &mut Memory) {
        for _ in 0..QUEUES {
            let Some(event) = returned.pop() else { return };
            self.take(event, &mut returned, memory);
        }
    }

    fn take(&mut self, first: Event, returned: &mut Returned, memory: &mut Memory) {
        let mut event = first;
        for _ in 0..QUEUES {
            let Event { block, index, data, again } = event;
            let at = self.entry(Kind::Descriptor, block, index, memory);
            let queue = at.and_then(|at| Queue::read(self.generation, at, memory));
            let Some(mut queue) = queue.filter(Queue::is_valid) else { return self.note_error(block) };
            if !again {
                queue.enqueue(data, memory);
            }
            let goes_on =
                queue.is_silent() || queue.notifies() && !self.present(queue.notified(), returned, memory);
            let escalation = if goes_on { queue.escalate() } else { None };
            queue.write(memory);
            event = match escalation {
                None => return,
                Some(Escalation::Queue(event)) => event,
                // The event goes through the state and the assignment of that source.
                Some(Escalation::Source { block, index }) => {
                    match self.trigger_source(block, index, memory) {
                        Some(event) => event,
                        None => return,
                    }
                }
            }
        }
    }

    /// Presents an event. False: it has to escalate.
    fn present(&mut self, to: Notified, returned: &mut Returned, memory: &mut Memory) -> bool {
        if let Some(level) = to.level {
            return self.present_to_group(to, level, returned, memory);
        }
        let found = (0..self.threads.len()).find_map(|n| Some((n, self.matching(n, to, None)?)));
        if let Some((thread, ring)) = found {
            match ring {
                USER => self.threads[thread].tell_user(),
                _ => self.deliver(thread, ring, to.priority, returned, memory),
            }
            return true;
        }
        if to.server.is_none()
            && to.backlog
            && let Some(at) = self.target(to.block, to.index, memory)
        {
            self.target_backlog(at, Backlog::Add(1), to.priority, memory);
        }
        false
    }

    fn present_to_group(
        &mut self,
        to: Notified,
        level: Level,
        returned: &mut Returned,
        memory: &mut Memory,
    ) -> bool {
        let threads = self.threads.len();
        let order = (0..threads).map(|n| (self.turn as usize + n) % threads);
        let members: Vec<_> = order.filter_map(|n| Some((n, self.matching(n, to, Some(level))?))).collect();
        // Rather one that has no event of a group that it would have to give back.
        let suits = |&(n, ring): &(usize, usize)| {
            let (context, signal) = (&self.threads[n], signal(ring));
            (!context.tells_of_group(signal), context.byte(signal + CPPR))
        };
        let free = members.iter().filter(|&&(n, ring)| self.threads[n].is_free_for(ring, to.priority));
        // Of equals the last one counts: so the first one in turn is looked at last.
        if let Some(&(thread, ring)) = free.rev().max_by_key(|member| suits(member)) {
            self.turn = (thread as u32 + 1) % threads as u32;
            self.give_back(thread, signal(ring), returned, memory);
            self.threads[thread].tell(ring, to.priority, level.0);
            return true;
        }
        if !to.backlog {
            return false;
        }
        if let Some(at) = self.group(level, to.block, to.index, memory)
            && Self::group_backlog(at, Backlog::Add(1), to.priority, memory) == 0
        {
            for &(thread, ring) in &members {
                let context = &mut self.threads[thread];
                context.set_byte(ring + LSMFB, context.byte(ring + LSMFB).min(to.priority));
            }
        }
        !members.is_empty() && !to.precluded
    }

    /// The ring of a thread that an event is for. `level`: of the group that it is for.
    fn matching(&self, thread: usize, to: Notified, level: Option<Level>) -> Option<usize> {
        if !self.is_enabled(thread) {
            return None;
        }
        let context = &self.threads[thread];
        let (block_bits, index_bits) = level.map_or((0, 0), |level| (level.block_bits(), level.index_bits()));
        let is = |ring: usize| {
            let (block, index) = self.ring_target(thread, ring);
            // A ring takes part in groups if it says so; in the first generation all do.
            let member = self.generation == Generation::First || context.byte(ring + LGS) != 0;
            context.is_valid(ring)
                && (level.is_none() || member)
                && block >> block_bits == to.block >> block_bits
                && index >> index_bits == to.index >> index_bits
        };
        match to.server {
            Some(server) => {
                let mask = if self.generation == Generation::First { 0x7fff_ffff } else { 0x0fff_ffff };
                let user = context.is_valid(USER) && context.word2(USER) & mask == server;
                (user && is(OS)).then_some(USER)
            }
            None => [PHYSICAL, POOL, OS].into_iter().find(|&ring| is(ring)),
        }
    }

    /// Block and index of a ring's target: the physical ring's is the thread's own.
    pub(super) fn ring_target(&self, thread: usize, ring: usize) -> (u32, u32) {
        let (shift, word2) = (self.index_bits(), self.threads[thread].word2(ring));
        if ring != PHYSICAL {
            return (word2 >> shift & 0xf, word2 & ((1 << shift) - 1));
        }
        let pir = self.pirs[thread];
        let bits = match self.generation {
            Generation::First => 7,
            Generation::Second => {
                7 + field(self.configuration(thread, registers_10::CONFIGURATION), 48, 2) as u32
            }
        };
        (pir >> 8, 1 << bits | pir & 0xff & ((1 << bits) - 1))
    }

    /// Bits of a target's index.
    fn index_bits(&self) -> u32 {
        if self.generation == Generation::First { 19 } else { 24 }
    }

    /// Whether software let a thread take part.
    fn is_enabled(&self, thread: usize) -> bool {
        let groups = match self.generation {
            Generation::First => registers::ENABLED,
            Generation::Second => registers_10::ENABLED,
        };
        let pir = self.pirs[thread];
        let enabled = self.configuration(thread, groups[(pir >> 6 & 1) as usize]);
        enabled << (pir & 0x3f) >> 63 != 0
    }

    /// An event of a ring's target alone is pending.
    pub(super) fn deliver(
        &mut self,
        thread: usize,
        ring: usize,
        priority: u8,
        returned: &mut Returned,
        memory: &mut Memory,
    ) {
        let signal = signal(ring);
        let context = &mut self.threads[thread];
        context.set_byte(ring + IPB, context.byte(ring + IPB) | pending_bit(priority));
        if context.tells_of_group(signal) && priority < context.byte(signal + PIPR) {
            self.give_back(thread, signal, returned, memory);
        }
        self.look(thread, signal, memory);
    }

    /// A thread does not take the event of a group that it was told of: the group's queue, one to a priority, notifies
    /// again.
    pub(super) fn give_back(
        &mut self,
        thread: usize,
        signal: usize,
        returned: &mut Returned,
        memory: &mut Memory,
    ) {
        let context = &self.threads[thread];
        if !context.tells_of_group(signal) {
            return;
        }
        let level = Level(context.byte(signal + NSR) & NSR_LEVEL);
        let priority = context.byte(signal + PIPR) as u32;
        let (block, index) = self.ring_target(thread, context.told(signal));
        self.threads[thread].set_byte(signal + NSR, 0);
        let (block, index) = level.group_of(block, index);
        let queues = self.group(level, block, index, memory).and_then(|at| memory.read_u32(at + 4).ok());
        let Some(queues) = queues else { return };
        // How many priorities a target has is a property of the group, or of all.
        let configuration = self.configuration(thread, registers_10::CONFIGURATION);
        let of_group = configuration & 1 << (63 - 32) != 0;
        let size = if of_group { queues >> 30 } else { field(configuration, 52, 2) as u32 };
        let index = (queues & 0xff_ffff) + priority % (1 << size);
        returned.push(Event { block: queues >> 24 & 0xf, index, data: 0, again: true });
    }

    /// Looks at what is pending for the OS ring, or for the physical one and the pool's, and notifies. An event of a group
    /// that is notified already stays.
    pub(super) fn look(&mut self, thread: usize, signal: usize, memory: &mut Memory) {
        if self.threads[thread].tells_of_group(signal) {
            return;
        }
        for _ in 0..LOOKS {
            let context = &self.threads[thread];
            let (priority, ring) = context.pending(signal);
            let (grouped, member) = context.grouped(signal);
            if self.generation == Generation::First || grouped >= priority.min(context.byte(signal + CPPR)) {
                return self.threads[thread].tell(ring, priority, 0);
            }
            // A group may have something that is more favoured. What LSMFB says was true once.
            let (block, index) = self.ring_target(thread, member);
            let found = self.scan_groups(block, index, memory);
            self.threads[thread].set_byte(member + LSMFB, found.map_or(NONE, |(priority, _)| priority));
            if let Some((priority, level)) = found
                && priority == grouped
            {
                let (block, index) = level.group_of(block, index);
                if let Some(at) = self.group(level, block, index, memory) {
                    Self::group_backlog(at, Backlog::Remove(1), priority, memory);
                }
                return self.threads[thread].tell(member, priority, level.0);
            }
        }
    }
}
