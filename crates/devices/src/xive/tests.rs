use super::*;
use proptest::prelude::*;
use timebase_memory::Memory;

const VTY: u32 = 0x1101;
const EPOW: u32 = 0x1000;
const MEBIBYTE: u64 = 1 << 20;
use alloc::{vec, vec::Vec};

const EVENT: u64 = 0x4000;

fn management(number: u32) -> u64 {
    SOURCES_BASE + number as u64 * PAIR + PAGE
}

/// A guest that uses the controller as an operating system does, with one queue of 4 KiB per server at priority 6.
struct Guest {
    xive: Xive,
    memory: Memory,
    /// Per server: index of the next word to look at, and the generation that is new there.
    next: Vec<(u64, bool)>,
}

impl Guest {
    fn new(servers: u32) -> Guest {
        let mut guest = Guest {
            xive: Xive::cold(servers, &[VTY], &[EPOW]),
            memory: Memory::new(MEBIBYTE, servers),
            next: vec![(0, true); servers as usize],
        };
        for server in 0..servers as u64 {
            let config = QueueConfig {
                always_notify: true,
                address: server << 16,
                shift: 12,
                ..QueueConfig::default()
            };
            guest.xive.set_queue_config(server, 6, config, &guest.memory).unwrap();
            guest.store(server as u32, THREAD_OS_PAGE + 0x11, 1, 0xff);
        }
        guest
    }

    fn load(&mut self, cpu: u32, address: u64, bytes: u8) -> u64 {
        self.xive.load(cpu, address, bytes, &mut self.memory).unwrap()
    }

    fn store(&mut self, cpu: u32, address: u64, bytes: u8, value: u64) {
        self.xive.store(cpu, address, bytes, value, &mut self.memory).unwrap();
    }

    fn aim(&mut self, number: u32, server: u64) {
        let config = SourceConfig { server, priority: 6, event: Some(EVENT + number as u64), mask: false };
        self.xive.set_source_config(number as u64, config).unwrap();
        self.xive.manage(number as u64, 0xc00, false, &mut self.memory).unwrap();
    }

    /// What is new in the queue of `server`.
    fn events(&mut self, server: u32) -> Vec<u32> {
        let mut events = Vec::new();
        let (index, generation) = &mut self.next[server as usize];
        loop {
            let word = self.memory.read_u32(((server as u64) << 16) + 4 * *index).unwrap();
            if (word >> 31 != 0) != *generation {
                return events;
            }
            events.push(word & 0x7fff_ffff);
            *index = (*index + 1) % 1024;
            *generation ^= *index == 0;
        }
    }

    /// Takes the interrupt of `server` and gives the sources that it came from, still to be ended.
    fn take(&mut self, server: u32) -> Vec<u32> {
        let acknowledged = self.load(server, THREAD_OS_PAGE + 0x810, 2);
        if acknowledged & 0x8000 == 0 {
            return Vec::new();
        }
        assert_eq!(acknowledged, 0x8006);
        self.events(server).into_iter().map(|event| event - EVENT as u32).collect()
    }

    fn end(&mut self, server: u32, number: u32) {
        if number == VTY {
            self.xive.manage(number as u64, 0, false, &mut self.memory).unwrap();
        } else {
            self.load(server, management(number), 8);
        }
    }

    fn accept_all(&mut self, server: u32) {
        self.store(server, THREAD_OS_PAGE + 0x11, 1, 0xff);
    }
}

#[test]
fn a_message_is_queued_presented_and_ended() {
    let mut guest = Guest::new(2);
    guest.aim(1, 1);
    guest.store(0, SOURCES_BASE + PAIR, 8, 0);
    assert!(guest.xive.line(1) && !guest.xive.line(0));
    assert_eq!(guest.take(1), [1]);
    assert!(!guest.xive.line(1));
    guest.store(0, SOURCES_BASE + PAIR, 8, 0);
    assert!(!guest.xive.line(1), "it waits in Q");
    guest.accept_all(1);
    assert_eq!(guest.load(1, management(1) + 0x800, 8), 3);
    assert_eq!(guest.load(1, management(1), 8), 1, "the end sends it again");
    assert_eq!(guest.take(1), [1]);
    guest.accept_all(1);
    assert_eq!(guest.load(1, management(1), 8), 0);
    assert_eq!(guest.load(1, management(1) + 0x800, 8), 0);
}

#[test]
fn a_level_source_sends_until_its_line_falls_and_is_managed_by_call_only() {
    let mut guest = Guest::new(1);
    let info = guest.xive.source_info(VTY as u64).unwrap();
    assert_eq!((info.flags, info.management, info.trigger), (0xc, u64::MAX, u64::MAX));
    guest.xive.set(VTY, true, &mut guest.memory);
    assert!(!guest.xive.line(0), "off");
    guest.aim(VTY, 0);
    assert!(guest.xive.line(0), "its line was up before it was switched on");
    assert_eq!(guest.take(0), [VTY]);
    guest.accept_all(0);
    guest.end(0, VTY);
    assert!(guest.xive.line(0));
    assert_eq!(guest.take(0), [VTY]);
    guest.xive.set(VTY, false, &mut guest.memory);
    guest.accept_all(0);
    guest.end(0, VTY);
    assert!(!guest.xive.line(0));
}

#[test]
fn the_accepted_priority_holds_back_and_lets_go() {
    let mut guest = Guest::new(1);
    guest.aim(EPOW, 0);
    guest.store(0, THREAD_OS_PAGE + 0x11, 1, 6);
    guest.xive.set(EPOW, true, &mut guest.memory);
    assert!(!guest.xive.line(0));
    assert_eq!(guest.load(0, THREAD_OS_PAGE + 0x10, 4), 0x0006_02ff);
    assert_eq!(guest.load(0, THREAD_OS_PAGE + 0x810, 2), 0x0006, "nothing to acknowledge");
    guest.store(0, THREAD_OS_PAGE + 0x11, 1, 7);
    assert!(guest.xive.line(0));
    guest.store(0, THREAD_OS_PAGE + 0x11, 1, 0);
    assert!(!guest.xive.line(0), "a presented interrupt is taken back");
}

#[test]
fn parameters_are_checked_in_papr_order() {
    let mut guest = Guest::new(2);
    let memory = &guest.memory;
    let queue = |address, shift| QueueConfig { address, shift, ..QueueConfig::default() };
    let xive = &mut guest.xive;
    assert_eq!(xive.set_queue_config(2, 0, queue(0, 12), memory), Err(Refused(2)));
    assert_eq!(xive.set_queue_config(0, 7, queue(0, 12), memory), Err(Refused(3)));
    assert_eq!(xive.set_queue_config(0, 0, queue(0x800, 12), memory), Err(Refused(4)));
    assert_eq!(xive.set_queue_config(0, 0, queue(MEBIBYTE, 12), memory), Err(Refused(4)));
    assert_eq!(xive.set_queue_config(0, 0, queue(1 << 50, 12), memory), Err(Refused(4)));
    assert_eq!(xive.set_queue_config(0, 0, queue(0, 13), memory), Err(Refused(5)));
    let config = SourceConfig { server: 0, priority: 0, event: None, mask: false };
    assert_eq!(xive.set_source_config(0x1234, config), Err(Refused(2)));
    assert_eq!(xive.set_source_config(0, SourceConfig { server: 9, ..config }), Err(Refused(3)));
    assert_eq!(xive.set_source_config(0, SourceConfig { priority: 8, ..config }), Err(Refused(4)));
    assert_eq!(xive.sync(u64::MAX), Err(Refused(2)));
    assert_eq!(xive.manage(0, PAGE, false, &mut Memory::new(MEBIBYTE, 1)), Err(Refused(3)));
    xive.set_source_config(0, SourceConfig { server: 1, ..config }).unwrap();
    assert_eq!(
        xive.source_config(0),
        Ok(SourceConfig { server: 1, priority: 0, event: Some(0), mask: false })
    );
}

#[test]
fn reset_equals_cold() {
    let mut guest = Guest::new(2);
    guest.aim(EPOW, 1);
    guest.aim(VTY, 0);
    guest.xive.set(EPOW, true, &mut guest.memory);
    guest.xive.set(VTY, true, &mut guest.memory);
    guest.xive.set(VTY, false, &mut guest.memory);
    guest.xive.reset();
    assert_eq!(guest.xive, Xive::cold(2, &[VTY], &[EPOW]));
}

#[derive(Clone, Debug)]
enum Step {
    /// A message source is triggered: 0 and 1 are inter-processor interrupts, 2 is EPOW.
    Trigger(u32),
    /// The line of the level source goes up.
    Raise,
    /// A server takes what is presented, handles it and ends it.
    Service(u32),
    /// A server takes what is presented and ends it only after another trigger of the same source.
    SlowService(u32),
    /// A source is sent to another server.
    Aim(u32, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3u32).prop_map(Step::Trigger),
        Just(Step::Raise),
        (0..2u32).prop_map(Step::Service),
        (0..2u32).prop_map(Step::SlowService),
        (0..4u32, 0..2u64).prop_map(|(n, server)| Step::Aim(n, server)),
    ]
}

const NUMBERS: [u32; 4] = [0, 1, EPOW, VTY];

/// The guest and, per source, how many events it is owed: at most one that is under way and one that waits for its
/// end.
struct Watched {
    guest: Guest,
    owed: [u8; 4],
}

impl Watched {
    fn trigger(&mut self, n: usize) {
        self.guest.xive.set(NUMBERS[n], true, &mut self.guest.memory);
        self.owed[n] = if NUMBERS[n] == VTY { 1 } else { 2.min(self.owed[n] + 1) };
    }

    fn service(&mut self, server: u32, slow: bool) {
        for number in self.guest.take(server) {
            let n = NUMBERS.iter().position(|&x| x == number).unwrap();
            assert!(self.owed[n] != 0, "an interrupt without a cause from {number:#x}");
            if number == VTY {
                self.guest.xive.set(VTY, false, &mut self.guest.memory);
            } else if slow {
                self.trigger(n);
            }
            self.guest.accept_all(server);
            self.guest.end(server, number);
            self.owed[n] -= 1;
        }
        self.guest.accept_all(server);
    }
}

proptest! {
    #[test]
    fn no_interrupt_is_lost_and_none_comes_without_a_cause(steps in prop::collection::vec(step(), 1..400)) {
        let mut watched = Watched { guest: Guest::new(2), owed: [0; 4] };
        for number in NUMBERS {
            watched.guest.aim(number, 0);
        }
        for step in steps {
            match step {
                Step::Trigger(n) => watched.trigger(n as usize),
                Step::Raise => watched.trigger(3),
                Step::Service(server) => watched.service(server, false),
                Step::SlowService(server) => watched.service(server, true),
                Step::Aim(n, server) => {
                    let number = NUMBERS[n as usize];
                    let event = Some(EVENT + number as u64);
                    let config = SourceConfig { server, priority: 6, event, mask: false };
                    watched.guest.xive.set_source_config(number as u64, config).unwrap();
                }
            }
        }
        for _ in 0..3 {
            watched.service(0, false);
            watched.service(1, false);
        }
        prop_assert_eq!(watched.owed, [0; 4]);
        prop_assert!(!watched.guest.xive.line(0) && !watched.guest.xive.line(1));
    }
}
