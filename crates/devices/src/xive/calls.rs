//! What the H_INT hypervisor calls do (parameters in PAPR's order, without the flags that are reserved).

use super::source::Target;
use super::{PAGE, Thread};
use super::{
    PAGE_SHIFT, PAIR, PRIORITIES, QUEUES_BASE, Queue, RESERVED_PRIORITY, SOURCES_BASE, Source, Xive,
};
use timebase_memory::Memory;

/// Which parameter is wrong: 1 answers H_PARAMETER, the others H_P2 and so on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused(pub u8);

/// What H_INT_GET_SOURCE_INFO tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceInfo {
    /// Bit 60: only H_INT_ESB manages it; bit 61: it is a level source.
    pub flags: u64,
    /// Real address of the management page; all ones if it is not for the guest.
    pub management: u64,
    /// Real address of the trigger page; all ones if it is not for the guest.
    pub trigger: u64,
    /// log2 of the bytes of each.
    pub shift: u64,
}

/// What H_INT_SET_SOURCE_CONFIG sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceConfig {
    /// Target server.
    pub server: u64,
    /// Its priority; 0xff masks.
    pub priority: u64,
    /// The event number that goes into the queue, if it is to change.
    pub event: Option<u64>,
    /// Events are dropped.
    pub mask: bool,
}

/// What H_INT_GET_QUEUE_INFO tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueInfo {
    /// Real address of the notification page.
    pub page: u64,
    /// log2 of the bytes of the queue, 0 if there is none.
    pub shift: u64,
}

/// A queue as H_INT_SET_QUEUE_CONFIG and H_INT_GET_QUEUE_CONFIG know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueConfig {
    /// Each event notifies.
    pub always_notify: bool,
    /// Real address.
    pub address: u64,
    /// log2 of its bytes: one of [`QueueConfig::SHIFTS`]; 0 for no queue.
    pub shift: u64,
    /// The generation bit that is written next.
    pub generation: bool,
    /// Index of the word that is written next.
    pub offset: u64,
}

impl QueueConfig {
    /// Sizes that a queue may have.
    pub const SHIFTS: [u64; 4] = [12, 16, 21, 24];
}

const ONLY_BY_CALL: u64 = 1 << 3;
const LEVEL: u64 = 1 << 2;

impl Xive {
    fn source(&mut self, number: u64) -> Result<&mut Source, Refused> {
        u32::try_from(number).ok().and_then(|n| self.sources.get_mut(&n)).ok_or(Refused(2))
    }

    /// The index of a server's queue. `at` is where the server stands among the parameters, then the priority.
    fn queue_index(&self, server: u64, priority: u64, at: u8) -> Result<u32, Refused> {
        if priority >= RESERVED_PRIORITY as u64 {
            return Err(Refused(at + 1));
        }
        if server >= self.threads.len() as u64 {
            return Err(Refused(at));
        }
        Ok(server as u32 * PRIORITIES as u32 + priority as u32)
    }

    /// H_INT_GET_SOURCE_INFO.
    pub fn source_info(&mut self, number: u64) -> Result<SourceInfo, Refused> {
        let level = self.source(number)?.is_level();
        let pages = SOURCES_BASE + number * PAIR;
        Ok(if level {
            let flags = ONLY_BY_CALL | LEVEL;
            SourceInfo { flags, management: u64::MAX, trigger: u64::MAX, shift: PAGE_SHIFT as u64 }
        } else {
            SourceInfo { flags: 0, management: pages + PAGE, trigger: pages, shift: PAGE_SHIFT as u64 }
        })
    }

    /// H_INT_SET_SOURCE_CONFIG.
    pub fn set_source_config(&mut self, number: u64, config: SourceConfig) -> Result<(), Refused> {
        let old = self.source(number)?.assignment();
        let event = config.event.map_or(old.event, |event| event as u32);
        let (queue, mask) = if config.priority == 0xff {
            (old.queue, true)
        } else {
            (self.queue_index(config.server, config.priority, 3)?, config.mask)
        };
        self.source(number)?.assign(Target { queue, event }, mask);
        Ok(())
    }

    /// H_INT_GET_SOURCE_CONFIG.
    pub fn source_config(&mut self, number: u64) -> Result<SourceConfig, Refused> {
        let source = self.source(number)?;
        let (target, mask) = (source.assignment(), source.target().is_none());
        let priority = if mask { 0xff } else { (target.queue % PRIORITIES as u32) as u64 };
        let server = (target.queue / PRIORITIES as u32) as u64;
        Ok(SourceConfig { server, priority, event: Some(target.event as u64), mask })
    }

    /// H_INT_GET_QUEUE_INFO.
    pub fn queue_info(&self, server: u64, priority: u64) -> Result<QueueInfo, Refused> {
        let index = self.queue_index(server, priority, 2)?;
        let shift = self.queues[index as usize].shift as u64;
        Ok(QueueInfo { page: QUEUES_BASE + index as u64 * PAIR, shift })
    }

    /// H_INT_SET_QUEUE_CONFIG. Generation and offset begin anew.
    pub fn set_queue_config(
        &mut self,
        server: u64,
        priority: u64,
        config: QueueConfig,
        memory: &Memory,
    ) -> Result<(), Refused> {
        let index = self.queue_index(server, priority, 2)?;
        let QueueConfig { address, shift, .. } = config;
        let queue = &mut self.queues[index as usize];
        if shift == 0 {
            *queue = Queue::cold();
            return Ok(());
        }
        if !QueueConfig::SHIFTS.contains(&shift) {
            return Err(Refused(5));
        }
        let bytes = 1 << shift;
        let inside = address.checked_add(bytes).is_some_and(|end| end <= memory.bytes());
        if address % bytes != 0 || !inside {
            return Err(Refused(4));
        }
        *queue = Queue::new(address, shift as u8, config.always_notify);
        Ok(())
    }

    /// H_INT_GET_QUEUE_CONFIG.
    pub fn queue_config(&self, server: u64, priority: u64) -> Result<QueueConfig, Refused> {
        let index = self.queue_index(server, priority, 2)?;
        let queue = &self.queues[index as usize];
        Ok(QueueConfig {
            always_notify: queue.always_notify,
            address: queue.address,
            shift: queue.shift as u64,
            generation: queue.generation,
            offset: queue.offset as u64,
        })
    }

    /// H_INT_ESB: a load from the management page at `offset`, or a store to it (which gives all ones).
    pub fn manage(
        &mut self,
        number: u64,
        offset: u64,
        store: bool,
        memory: &mut Memory,
    ) -> Result<u64, Refused> {
        let source = self.source(number)?;
        if offset >= PAGE {
            return Err(Refused(3));
        }
        let (value, event) = if store { (u64::MAX, source.store(offset)) } else { source.load(offset) };
        if event {
            self.route(number as u32, memory);
        }
        Ok(value)
    }

    /// H_INT_SYNC: events are in their queue as soon as they are sent.
    pub fn sync(&mut self, number: u64) -> Result<(), Refused> {
        self.source(number).map(|_| ())
    }

    /// H_INT_RESET: everything as at power-on, but for the lines of devices.
    pub fn reset(&mut self) {
        self.sources.iter_mut().for_each(|(&number, source)| source.reset(number));
        self.queues.fill(Queue::cold());
        self.threads.fill(Thread::cold());
    }
}
