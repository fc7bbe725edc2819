//! A controller with tables as firmware would make them.

use super::*;
use alloc::vec;

const REGISTERS: u64 = 0x0006_0302_0310_0000;
const CONTEXTS: u64 = 0x0006_0302_0318_0000;
const EVENTS: u64 = 0x0006_0100_0000_0000;
const ASSIGNMENTS: u64 = 0x1_0000;
const STATES: u64 = 0x2_0000;
const QUEUES: u64 = 0x3_0000;
const QUEUE_PAGE: u64 = 0x4_0000;

/// Source 5 goes to queue 1, priority 6 of thread 0.
fn ready() -> (XiveNative, Memory) {
    let mut memory = Memory::new(1 << 20, 1);
    let mut xive = XiveNative::cold(Generation::First, 1, vec![0]);
    let m = &mut memory;
    xive.set_scom(0, 0x10, REGISTERS | 3 << 62, (0, m)).unwrap();
    xive.set_scom(0, 0x12, CONTEXTS | 3 << 62, (0, m)).unwrap();
    xive.set_scom(0, 0x19, 0x07ff_ff80_0000_0000, (0, m)).unwrap();
    xive.set_scom(0, 0x18, EVENTS | 1 << 63, (0, m)).unwrap();
    let mut register = |at: u64, value: u64| xive.store(0, REGISTERS + at, 8, value, m).unwrap();
    register(0x440, 1 << 63);
    register(0xf0, 1 << 63 | 1 << 48);
    for n in 0..48u64 {
        register(0xf8, 1 << 62 | n << 32);
    }
    for n in 0..16u64 {
        register(0xf8, 2 << 62 | n << 32);
    }
    for (table, base) in [(0, ASSIGNMENTS), (1, STATES), (2, QUEUES)] {
        register(0x808, table << 48);
        register(0x810, 2 << 62 | base);
    }
    m.store_u64(ASSIGNMENTS + 8 * 5, 1 << 63 | 1 << 32 | 0x55, Writer::Other).unwrap();
    for (n, word) in [0xe000_0000u32, 1 << 22, 0, QUEUE_PAGE as u32, 0, 0, 0x80, 6 << 16].iter().enumerate() {
        m.store_u32(QUEUES + 32 + 4 * n as u64, *word, Writer::Other).unwrap();
    }
    xive.store(0, CONTEXTS + 0x1_0038, 1, 0x80, m).unwrap();
    xive.store(0, CONTEXTS + 0x1_0031, 1, 0xff, m).unwrap();
    (xive, memory)
}

#[test]
fn a_trigger_is_queued_presented_accepted_and_ended() {
    let (mut xive, mut memory) = ready();
    let m = &mut memory;
    let pages = EVENTS + (5 << 17);
    xive.store(0, pages, 8, 0, m).unwrap();
    assert_eq!(xive.lines(0), (true, false));
    assert_eq!(m.read_u32(QUEUE_PAGE), Ok(0x8000_0055));
    assert_eq!(xive.load(0, CONTEXTS + 0x1_0830, 2, m), Some(0x8006));
    assert_eq!(xive.load(0, pages + 0x1_0800, 8, m), Some(2));
    // Another one is held back until the first has ended.
    xive.store(0, pages, 8, 0, m).unwrap();
    assert_eq!(xive.lines(0), (false, false));
    assert_eq!(xive.load(0, pages + 0x1_0000, 8, m), Some(1));
    assert_eq!(m.read_u32(QUEUE_PAGE + 4), Ok(0x8000_0055));
    xive.store(0, CONTEXTS + 0x1_0031, 1, 0xff, m).unwrap();
    assert_eq!(xive.lines(0), (true, false));
}

#[test]
fn a_source_that_is_off_or_masked_stays_silent() {
    let (mut xive, mut memory) = ready();
    let m = &mut memory;
    let pages = EVENTS + (5 << 17);
    assert_eq!(xive.load(0, pages + 0x1_0d00, 8, m), Some(0));
    xive.store(0, pages, 8, 0, m).unwrap();
    assert_eq!(xive.lines(0), (false, false));
    assert_eq!(xive.load(0, pages + 0x1_0c00, 8, m), Some(1));
    m.store_u64(ASSIGNMENTS + 8 * 5, 1 << 63 | 1 << 32 | 1 << 31, Writer::Other).unwrap();
    xive.store(0, pages, 8, 0, m).unwrap();
    assert_eq!(xive.lines(0), (false, false));
}

#[test]
fn a_cache_watch_is_a_window_on_the_queue() {
    let (mut xive, mut memory) = ready();
    let m = &mut memory;
    xive.store(0, REGISTERS + 0x928, 8, 1, m).unwrap();
    assert_eq!(xive.load(0, REGISTERS + 0x930, 8, m), Some(0xe000_0000_0040_0000));
    assert_eq!(xive.load(0, REGISTERS + 0x938, 8, m), Some(QUEUE_PAGE));
    xive.store(0, REGISTERS + 0x938, 8, 0x7_0000, m).unwrap();
    xive.store(0, REGISTERS + 0x930, 8, 0xe000_0000_0000_0000, m).unwrap();
    assert_eq!(m.read_u64(QUEUES + 32), Ok(0xe000_0000_0000_0000));
    assert_eq!(m.read_u64(QUEUES + 40), Ok(0x7_0000));
}

#[test]
fn hostile_tables_and_addresses_are_survived() {
    let (mut xive, mut memory) = ready();
    let m = &mut memory;
    let registers =
        |xive: &mut XiveNative, m: &mut Memory, at, value| xive.store(0, REGISTERS + at, 8, value, m);
    for table in 0..8 {
        registers(&mut xive, m, 0x808, table << 48).unwrap();
        registers(&mut xive, m, 0x810, u64::MAX).unwrap();
    }
    for n in 0..64 {
        let _ = xive.store(0, EVENTS + (n << 33) + 0x1_0000, 8, 0, m);
        let _ = xive.load(0, EVENTS + (n << 33) + 0x1_0c00, 8, m);
    }
    registers(&mut xive, m, 0x928, u64::MAX).unwrap();
    let _ = xive.load(0, REGISTERS + 0x930, 8, m);
    assert_eq!(xive.load(0, 0, 8, m), None);
}

/// The same as [`ready`] on POWER10.
fn ready_10() -> (XiveNative, Memory) {
    let mut memory = Memory::new(1 << 20, 1);
    let mut xive = XiveNative::cold(Generation::Second, 1, vec![0]);
    let m = &mut memory;
    let valid = 3 << 62;
    for (number, value) in [
        (8, REGISTERS | valid),
        (9, CONTEXTS | valid),
        (0xa, EVENTS | valid | 4),
        (0xb, QUEUE_EVENTS | valid | 4),
        (3, 1 << 48),
        (0x300, 1 << 63),
    ] {
        xive.set_scom(0, number, value, (0, m)).unwrap();
    }
    for (table, base) in [(0, STATES), (1, ASSIGNMENTS), (2, QUEUES)] {
        xive.set_scom(0, 0x100, table << 48, (0, m)).unwrap();
        xive.set_scom(0, 0x101, 2 << 62 | base, (0, m)).unwrap();
    }
    m.store_u64(ASSIGNMENTS + 8 * 5, 1 << 63 | 1 << 32 | 0x55, Writer::Other).unwrap();
    let words = [0x8600_0000u32, 1 << 22, 0, QUEUE_PAGE as u32, 0, 0, 0x100, 6 << 16];
    for (n, word) in words.iter().enumerate() {
        m.store_u32(QUEUES + 32 + 4 * n as u64, *word, Writer::Other).unwrap();
    }
    xive.store(0, CONTEXTS + 0x1_0038, 1, 0x80, m).unwrap();
    xive.store(0, CONTEXTS + 0x1_0031, 1, 0xff, m).unwrap();
    (xive, memory)
}

const QUEUE_EVENTS: u64 = 0x0006_0600_0000_0000;

#[test]
fn the_second_generation_queues_and_presents_too() {
    let (mut xive, mut memory) = ready_10();
    let m = &mut memory;
    let pages = EVENTS + (5 << 17);
    xive.store(0, pages, 8, 0, m).unwrap();
    assert_eq!(xive.lines(0), (true, false));
    assert_eq!(m.read_u32(QUEUE_PAGE), Ok(0x8000_0055));
    assert_eq!(xive.load(0, CONTEXTS + 0x1_0830, 2, m), Some(0x8006));
    assert_eq!(xive.load(0, pages + 0x1_0000, 8, m), Some(0));
    assert_eq!(xive.load(0, pages + 0x1_0800, 8, m), Some(0));
    // The queue's own event state, and the cache watch.
    assert_eq!(xive.load(0, QUEUE_EVENTS + (1 << 17) + 0x800, 8, m), Some(0));
    xive.store(0, REGISTERS + 0x1_0500, 8, 1, m).unwrap();
    assert_eq!(xive.load(0, REGISTERS + 0x1_0520, 8, m), Some(0x8600_0000_0040_0001));
}

#[test]
fn hostile_tables_of_the_second_generation_are_survived() {
    let (mut xive, mut memory) = ready_10();
    let m = &mut memory;
    for table in 0..16 {
        for half in [0x100, 0x200] {
            xive.set_scom(0, half, u64::MAX >> 16 | table << 48, (0, m)).unwrap();
            xive.set_scom(0, half + 1, u64::MAX, (0, m)).unwrap();
        }
    }
    for number in 0..0x400 {
        let _ = xive.set_scom(0, number, u64::MAX, (0, m));
        let _ = xive.scom(0, number, m);
    }
    for n in 0..64 {
        let _ = xive.store(0, EVENTS + (n << 20) + 0x1_0000, 8, 0, m);
        let _ = xive.load(0, QUEUE_EVENTS + (n << 20), 8, m);
    }
    assert_eq!(xive.load(0, 0, 8, m), None);
}

/// The second generation with four threads, and what its tests program: tables of a page of 64 KiB each, events through
/// the window of event states, contexts by the pages of other threads' contexts.
struct Bench {
    xive: XiveNative,
    memory: Memory,
}

const TABLES: u64 = 0x10_0000;
const TABLE_OF: fn(u64) -> u64 = |kind| TABLES + 0x1_0000 * kind;
const QUEUE_DATA: u64 = 0x20_0000;
const REPORTS: u64 = 0x30_0000;
const TARGETS: u64 = 0x0006_0400_0000_0000;
const CROWDS: u64 = 0x0006_0302_0800_0000;
const OS_RING: u64 = 0x10;
const POOL_RING: u64 = 0x20;
const PHYSICAL_RING: u64 = 0x30;

impl Bench {
    fn new() -> Bench {
        let pirs = vec![0, 1, 2, 3];
        let mut bench =
            Bench { xive: XiveNative::cold(Generation::Second, 1, pirs), memory: Memory::new(8 << 20, 4) };
        let valid = 3 << 62;
        for (number, value) in [
            (8, REGISTERS_10 | valid),
            (9, CONTEXTS | valid),
            (0xa, EVENTS | valid),
            (0xb, QUEUE_EVENTS | valid),
            (0xc, TARGETS | valid | 1),
            (0xd, CROWDS | valid),
            (0x300, 0xf << 60),
        ] {
            bench.scom(number, value);
        }
        for kind in [0, 1, 2, 3, 4, 5, 7] {
            for half in [0x100, 0x200] {
                bench.scom(half, kind << 48);
                bench.scom(half + 1, 2 << 62 | TABLE_OF(kind) | 4);
            }
        }
        // Two groups of two, of a group of four.
        for (index, next) in [(0x80, 2), (0x82, 2), (0x81, 0)] {
            bench.words(TABLE_OF(4) + 32 * index, &[1 << 31 | next]);
        }
        for thread in 0..4 {
            bench.target(0x80 + thread, 1);
            bench.target(0x100 + thread, 0);
            bench.put(thread, PHYSICAL_RING, 4, 0x00ff_00ff);
            bench.put(thread, PHYSICAL_RING + 4, 4, 0x0003_00ff);
            bench.put(thread, PHYSICAL_RING + 8, 4, 0x8000_0000);
            bench.put(thread, POOL_RING, 4, 0x0000_00ff);
            bench.put(thread, POOL_RING + 8, 4, 1 << 31 | 0x100 + thread);
        }
        bench
    }

    fn scom(&mut self, number: u32, value: u64) {
        self.xive.set_scom(0, number, value, (0, &mut self.memory)).unwrap();
    }

    fn words(&mut self, at: u64, words: &[u32]) {
        for (n, &word) in (0..).zip(words) {
            self.memory.store_u32(at + 4 * n, word, Writer::Other).unwrap();
        }
    }

    fn word(&self, at: u64) -> u32 {
        self.memory.read_u32(at).unwrap()
    }

    /// A target with its first group and lines for reports.
    fn target(&mut self, index: u64, first: u32) {
        let words = [1 << 31 | first, 0, 0, 0, 0, 0, 0, (REPORTS + 0x100 * index) as u32];
        self.words(TABLE_OF(3) + 32 * index, &words);
    }

    /// Source `source` goes to queue `queue`, which notifies a target or a group.
    fn route(&mut self, source: u64, queue: u64, to: u32, priority: u32) {
        self.memory
            .store_u64(TABLE_OF(1) + 8 * source, 1 << 63 | queue << 32 | 0x600d, Writer::Other)
            .unwrap();
        let data = (QUEUE_DATA + 0x1000 * queue) as u32;
        let words = [0x8680_0000, 1 << 22, 0, data, 0, 0, to, priority << 16];
        self.words(TABLE_OF(2) + 32 * queue, &words);
    }

    fn trigger(&mut self, source: u64) {
        self.load(EVENTS + (source << 17) + 0x1_0c00, 1);
        self.store(EVENTS + (source << 17), 4, 0);
    }

    fn load(&mut self, at: u64, bytes: u8) -> u64 {
        self.xive.load(0, at, bytes, &mut self.memory).unwrap() & u64::MAX >> (64 - 8 * bytes as u32)
    }

    fn store(&mut self, at: u64, bytes: u8, value: u64) {
        self.xive.store(0, at, bytes, value, &mut self.memory).unwrap();
    }

    fn get(&mut self, thread: u64, offset: u64, bytes: u8) -> u64 {
        self.load(REGISTERS_10 + (256 + thread << 16) + offset, bytes)
    }

    fn put(&mut self, thread: u64, offset: u64, bytes: u8, value: u64) {
        self.store(REGISTERS_10 + (256 + thread << 16) + offset, bytes, value);
    }
}

const REGISTERS_10: u64 = 0x0006_0302_0000_0000;
/// In word 6 of a queue: its target names a group, and a crowd.
const OF_GROUP: u32 = 1 << 30;
const OF_CROWD: u32 = 1 << 29;

#[test]
fn a_thread_and_its_pool_are_told_apart() {
    let mut bench = Bench::new();
    bench.route(2, 5, 0x81, 5);
    bench.trigger(2);
    assert_eq!(bench.get(1, PHYSICAL_RING, 4), 0x80ff_04ff);
    assert_eq!(bench.get(1, 0x830, 2), 0x8005);
    assert_eq!(bench.word(QUEUE_DATA + 0x5000), 0x8000_600d);
    bench.put(1, PHYSICAL_RING + 1, 1, 0xff);
    bench.route(3, 6, 0x101, 4);
    bench.trigger(3);
    assert_eq!(bench.get(1, PHYSICAL_RING, 4), 0x40ff_00ff);
    assert_eq!(bench.get(1, POOL_RING, 4), 0x0000_08ff);
    assert_eq!(bench.get(1, 0x830, 2), 0x4004);
    assert_eq!(bench.get(1, POOL_RING, 4), 0x0000_00ff);
    // One that is less favoured waits, and a target that has left is told nothing.
    bench.trigger(2);
    assert_eq!(bench.get(1, PHYSICAL_RING, 1), 0);
    bench.put(1, PHYSICAL_RING + 1, 1, 6);
    assert_eq!(bench.get(1, 0x830, 2), 0x8005);
    assert_eq!(bench.get(1, 0x828, 4), 0x8000_0101);
    bench.put(1, PHYSICAL_RING + 1, 1, 0xff);
    bench.trigger(3);
    assert_eq!(bench.get(1, PHYSICAL_RING, 1), 0);
}

#[test]
fn members_of_a_group_take_turns_and_the_least_favoured_is_chosen() {
    let mut bench = Bench::new();
    bench.route(100, 23, OF_GROUP | 0x81, 6);
    for thread in [0, 1, 2, 3, 0] {
        bench.trigger(100);
        assert_eq!(bench.get(thread, PHYSICAL_RING, 2), 0x82ff);
        assert_eq!(bench.get(thread, 0x830, 2), 0x8206);
        bench.put(thread, PHYSICAL_RING + 1, 1, 0xff);
    }
    for (thread, priority) in [(0, 7), (1, 7), (2, 5), (3, 7)] {
        bench.put(thread, PHYSICAL_RING + 1, 1, priority);
    }
    bench.put(3, PHYSICAL_RING + 1, 1, 0xff);
    bench.trigger(100);
    assert_eq!(bench.get(3, PHYSICAL_RING, 2), 0x82ff);
    // Groups of two are groups of their own: threads 2 and 3.
    bench.route(101, 24, OF_GROUP | 0x82, 4);
    bench.trigger(101);
    assert_eq!(bench.get(2, PHYSICAL_RING, 2), 0x8105);
}

#[test]
fn an_event_for_a_busy_group_waits_until_a_member_has_time() {
    let mut bench = Bench::new();
    for thread in 0..4 {
        bench.put(thread, PHYSICAL_RING + 1, 1, 2);
    }
    bench.route(31, 129, OF_GROUP | 0x81, 3);
    bench.trigger(31);
    for thread in 0..4 {
        assert_eq!(bench.get(thread, PHYSICAL_RING, 4), 0x0002_0003);
    }
    assert_eq!(bench.word(TABLE_OF(4) + 32 * 0x81 + 8 + 8), 1);
    bench.put(3, PHYSICAL_RING + 1, 1, 4);
    assert_eq!(bench.get(3, PHYSICAL_RING, 2), 0x8204);
    assert_eq!(bench.word(TABLE_OF(4) + 32 * 0x81 + 8 + 8), 0);
    assert_eq!(bench.get(3, 0x830, 2), 0x8203);
    bench.put(3, PHYSICAL_RING + 1, 1, 0xff);
    assert_eq!(bench.get(3, PHYSICAL_RING, 4), 0x00ff_00ff);
}

#[test]
fn what_a_member_does_not_take_goes_to_another() {
    let mut bench = Bench::new();
    // The group's queue for priority 3 is its first one plus 3.
    bench.words(TABLE_OF(4) + 32 * 0x81 + 4, &[40]);
    bench.route(31, 43, OF_GROUP | 0x81, 3);
    bench.trigger(31);
    assert_eq!(bench.get(0, PHYSICAL_RING, 2), 0x82ff);
    // Its priority rises.
    bench.put(0, PHYSICAL_RING + 1, 1, 1);
    assert_eq!(bench.get(0, PHYSICAL_RING, 2), 0x0001);
    assert_eq!(bench.get(1, PHYSICAL_RING, 2), 0x82ff);
    // Something more favoured comes, for it alone.
    bench.route(2, 5, 0x81, 2);
    bench.trigger(2);
    assert_eq!(bench.get(1, PHYSICAL_RING, 2), 0x80ff);
    assert_eq!(bench.get(2, PHYSICAL_RING, 2), 0x82ff);
    // It leaves.
    assert_eq!(bench.get(2, 0x838, 1), 0x80);
    assert_eq!(bench.get(3, PHYSICAL_RING, 2), 0x82ff);
    // The event was queued once.
    assert_eq!(bench.word(QUEUE_DATA + 43 * 0x1000 + 4), 0);
}

#[test]
fn a_crowd_reaches_over_blocks() {
    let mut bench = Bench::new();
    bench.words(TABLE_OF(5) + 32 * 0x80, &[1 << 31]);
    bench.route(7, 8, OF_GROUP | OF_CROWD | 0x80, 5);
    bench.put(0, POOL_RING + 5, 1, 1);
    bench.put(0, POOL_RING + 8, 4, 0);
    bench.put(0, POOL_RING + 8, 4, 1 << 31 | 1 << 24 | 0x80);
    // Threads 0 and 1 are members by their own numbers, thread 0 also by the pool's of block 1.
    bench.put(0, PHYSICAL_RING + 5, 1, 0);
    bench.put(1, PHYSICAL_RING + 5, 1, 0);
    bench.trigger(7);
    assert_eq!(bench.get(0, PHYSICAL_RING, 2), 0x51ff);
    // A crowd that is not of groups is an error.
    bench.route(7, 8, OF_CROWD | 0x80, 5);
    bench.trigger(7);
    assert_eq!(bench.xive.scom(0, 0x30, &mut bench.memory), Some(1));
    bench.scom(0x31, !1);
    assert_eq!(bench.xive.scom(0, 0x30, &mut bench.memory), Some(0));
}

#[test]
fn backlogs_are_counted_by_loads_and_stores() {
    let mut bench = Bench::new();
    bench.target(0x11, 4);
    bench.words(TABLE_OF(4) + 32 * 0x17, &[1 << 31]);
    bench.words(TABLE_OF(5) + 32 * 0x17, &[1 << 31]);
    bench.route(33, 3, 0x11, 0);
    bench.route(47, 97, OF_GROUP | 0x17, 5);
    bench.trigger(33);
    bench.trigger(47);
    let target = TARGETS + (0x11 << 17);
    let group = TARGETS + (0x17 << 17) + 0x1_0000;
    let crowd = CROWDS + (0x17 << 16);
    for priority in 0..8 {
        assert_eq!(bench.load(target + 0x800 + (priority << 4), 2), (priority == 0) as u64);
        assert_eq!(bench.load(group + 0xc00 + (priority << 4), 2), (priority == 5) as u64);
        assert_eq!(bench.load(crowd + 0xc00 + (priority << 4), 2), 0);
    }
    bench.store(target + 0x20, 1, 7);
    assert_eq!(bench.load(target + 0x20, 2), 1);
    assert_eq!(bench.load(target + 0x420, 2), 1);
    bench.store(target + 0x420, 1, 7);
    assert_eq!(bench.load(target + 0x820, 2), 0);
    for page in [group, crowd] {
        bench.store(page + 0x420, 1, 9);
        assert_eq!(bench.load(page + 0xc20, 2), 0);
        bench.store(page + 0x20, 1, 9);
        assert_eq!(bench.load(page + 0x20, 2), 9);
        assert_eq!(bench.load(page + 0x420, 2), 10);
        assert_eq!(bench.load(page + 0x820, 2), 9);
    }
    assert_eq!(bench.load(TARGETS + (0x18 << 17) + 0x800, 2), 0xffff);
}

#[test]
fn what_is_injected_is_said_to_be_done() {
    let mut bench = Bench::new();
    let done = |bench: &mut Bench, what: u64| {
        let mut byte = [0];
        bench.memory.read(TABLE_OF(7) + what, &mut byte).unwrap();
        bench.memory.store(TABLE_OF(7) + what, &[0], Writer::Other).unwrap();
        byte[0]
    };
    let by_store = [
        (0x000, 0x00),
        (0x080, 0x01),
        (0x100, 0x02),
        (0x180, 0x03),
        (0x200, 0x04),
        (0x280, 0x05),
        (0x300, 0x06),
        (0x800, 0x10),
        (0x880, 0x11),
        (0x900, 0x12),
        (0x980, 0x13),
        (0xa00, 0x14),
        (0xa80, 0x15),
    ];
    for (offset, what) in by_store {
        bench.store(REGISTERS_10 + 0x6_0000 + offset, 8, 0);
        assert_eq!(done(&mut bench, what), 0);
        bench.store(REGISTERS_10 + 0x7_0000 + offset, 8, 0);
        assert_eq!(done(&mut bench, what), 0xff);
    }
    for (number, what) in [(0x182, 0x08), (0x142, 0x09), (0x162, 0x0a), (0x282, 0x18)] {
        bench.scom(number, 0);
        assert_eq!(done(&mut bench, what), 0xff);
    }
    // Another thread is told elsewhere.
    bench.xive.set_scom(0, 0x282, 0, (3, &mut bench.memory)).unwrap();
    assert_eq!(done(&mut bench, 3 * 512 + 0x18), 0xff);
}

#[test]
fn a_context_is_reported_to_the_odd_line_and_leaves() {
    let mut bench = Bench::new();
    bench.put(1, OS_RING, 4, 0x0007_0055);
    bench.put(1, OS_RING + 8, 4, 0x8000_0042);
    let rings: Vec<u64> = (0..0x40).map(|at| bench.get(1, at, 1)).collect();
    bench.put(1, 0xc38, 1, 0);
    let mut line = [0; 64];
    bench.memory.read(REPORTS + 0x8100 + 0x80, &mut line).unwrap();
    for (at, &ring) in rings.iter().enumerate().filter(|(at, _)| !(0xc..0x10).contains(at)) {
        assert_eq!(line[at] as u64, ring, "byte {at:#x}");
    }
    assert_eq!(line[0xc..0x10], [0xff; 4]);
    for ring in [OS_RING, POOL_RING, PHYSICAL_RING] {
        assert_eq!(bench.get(1, ring + 8, 1) & 0x80, 0);
    }
}

#[test]
fn an_acknowledgement_goes_to_the_even_line() {
    let mut bench = Bench::new();
    bench.route(2, 5, 0x81, 5);
    bench.trigger(2);
    bench.put(1, 0xc30, 1, 0);
    assert_eq!(bench.word(REPORTS + 0x8100), 0x8005_ffff);
    assert_eq!(bench.get(1, PHYSICAL_RING, 2), 0x0005);
}

#[test]
fn a_target_takes_its_context_along() {
    let mut bench = Bench::new();
    let at = TABLE_OF(3) + 32 * 0x42;
    // Hardware's own, with LSMFB, LGS and T; works at priority 6, takes part in groups of four.
    bench.words(at, &[0x81e0_0000, 0, 0x0600_ff12]);
    bench.route(9, 10, 0x42, 4);
    bench.trigger(9);
    assert_eq!(bench.word(at + 8), 0x0608_ff12);
    // With the event that waits for it, it comes to thread 2.
    bench.put(2, OS_RING + 8, 4, 0xc000_0042);
    assert_eq!(bench.get(2, OS_RING, 8), 0x8006_08ff_0002_0104);
    assert_eq!(bench.xive.lines(2), (false, true));
    assert_eq!([bench.word(at + 4), bench.word(at + 8)], [0x0004_8002, 0x0000_ff12]);
    assert_eq!(bench.get(2, 0x810, 2), 0x8004);
    bench.trigger(9);
    assert_eq!(bench.get(2, OS_RING, 2), 0x0004);
    // It leaves, with what is pending, and comes to another one.
    assert_eq!(bench.get(2, 0x818, 4), 0xc000_0042);
    assert_eq!([bench.word(at + 4), bench.word(at + 8)], [0x0000_ffff, 0x0408_ff12]);
    assert_eq!(bench.xive.lines(2), (false, false));
    bench.put(3, OS_RING + 8, 8, 0xc000_0042_0000_0000);
    assert_eq!(bench.get(3, OS_RING, 2), 0x0004);
    bench.put(3, OS_RING + 1, 1, 7);
    assert_eq!(bench.get(3, 0x810, 2), 0x8004);
    // Software that does not ask for it keeps the context itself.
    assert_eq!(bench.get(3, 0x810, 4), 0xc000_0042);
    bench.put(3, OS_RING, 8, 0);
    bench.put(3, OS_RING + 8, 4, 0x8000_0042);
    assert_eq!(bench.get(3, OS_RING, 2), 0x0000);
}

#[test]
fn watches_are_given_out_and_show_groups() {
    let mut bench = Bench::new();
    for (assign, first) in [(0x186, 0x1a0u32), (0x286, 0x2a0)] {
        let mut take = || bench.xive.scom(0, assign, &mut bench.memory).unwrap();
        assert_eq!([take(), take(), take(), take()], [1, 2, 3, 0xff]);
        let _ = bench.xive.scom(0, first + 8 * 2, &mut bench.memory);
        assert_eq!(bench.xive.scom(0, assign, &mut bench.memory), Some(2));
    }
    // Group 0x81, by the third watch.
    bench.scom(0x2b0, 2 << 36 | 0x81);
    bench.scom(0x2b5, 0x1234);
    bench.scom(0x2b4, 1 << 63);
    assert_eq!(bench.word(TABLE_OF(4) + 32 * 0x81 + 12), 0x1234);
    bench.words(TABLE_OF(4) + 32 * 0x81 + 16, &[0x55]);
    let m = &mut bench.memory;
    let [data0, data2] = [0x2b4, 0x2b6].map(|number| bench.xive.scom(0, number, m));
    assert_eq!((data0, data2), (Some(1 << 63), Some(0x55 << 32)));
}

#[test]
fn silent_queues_escalate_and_masked_ones_say_nothing() {
    let mut bench = Bench::new();
    bench.route(2, 5, 0x81, 5);
    bench.trigger(2);
    assert_eq!(bench.get(1, 0x830, 2), 0x8005);
    bench.put(1, PHYSICAL_RING + 1, 1, 0xff);
    // Queue 7 is silent and escalates to queue 5, always.
    bench.route(3, 7, 0x82, 4);
    let queue = TABLE_OF(2) + 32 * 7;
    bench.words(queue, &[0x8734_0000]);
    bench.words(queue + 16, &[5, 0x77]);
    bench.trigger(3);
    assert_eq!(bench.get(1, PHYSICAL_RING, 1), 0x80);
    assert_eq!(bench.get(2, PHYSICAL_RING, 1), 0);
    assert_eq!(bench.word(QUEUE_DATA + 0x5004), 0x8000_0077);
    bench.route(4, 8, 0x83, 0xff);
    bench.trigger(4);
    assert_eq!(bench.get(3, PHYSICAL_RING, 1), 0);
}

#[test]
fn software_may_trigger_in_place_of_other_units() {
    let mut bench = Bench::new();
    bench.route(2, 5, 0x81, 5);
    bench.load(EVENTS + (2 << 17) + 0x1_0c00, 1);
    bench.store(REGISTERS_10 + 0x4_0800, 8, 2);
    assert_eq!(bench.load(EVENTS + (2 << 17) + 0x1_0800, 1), 2);
    assert_eq!(bench.get(1, 0x830, 2), 0x8005);
    // The state is seen to by who triggers: it does not hold this one back.
    bench.put(1, PHYSICAL_RING + 1, 1, 0xff);
    bench.store(REGISTERS_10 + 0x4_0800, 8, 1 << 62 | 2);
    assert_eq!(bench.get(1, 0x830, 2), 0x8005);
}

#[test]
fn a_disabled_thread_is_told_nothing() {
    let mut bench = Bench::new();
    bench.route(2, 5, 0x81, 5);
    bench.scom(0x303, 4 << 60);
    bench.trigger(2);
    assert_eq!(bench.get(1, PHYSICAL_RING, 1), 0);
    assert_eq!(bench.load(TARGETS + (0x81 << 17) + 0x850, 2), 1);
}

#[test]
fn groups_of_the_first_generation_are_halves_of_targets() {
    let (mut xive, mut memory) = ready();
    let m = &mut memory;
    xive.store(0, REGISTERS + 0x808, 8, 3 << 48, m).unwrap();
    xive.store(0, REGISTERS + 0x810, 8, 2 << 62 | 0x5_0000 | 4, m).unwrap();
    // Queue 1 notifies the group of two that thread 0 (number 0x80) is in.
    m.store_u32(QUEUES + 32, 0xf000_0000, Writer::Other).unwrap();
    m.store_u32(QUEUES + 60, 1 << 31 | 6 << 16, Writer::Other).unwrap();
    m.store_u32(0x5_0000 + 64 * 0x80 + 32, 1 << 31, Writer::Other).unwrap();
    xive.store(0, EVENTS + (5 << 17), 8, 0, m).unwrap();
    assert_eq!(xive.load(0, CONTEXTS + 0x1_0830, 2, m), Some(0x8106));
    // Now it works at priority 6, and the next one is counted.
    assert_eq!(xive.load(0, EVENTS + (5 << 17) + 0x1_0c00, 8, m), Some(2));
    xive.store(0, EVENTS + (5 << 17), 8, 0, m).unwrap();
    assert_eq!(xive.lines(0), (false, false));
    assert_eq!(m.read_u32(0x5_0000 + 64 * 0x80 + 60), Ok(1 << 24));
}

#[test]
fn what_waits_for_a_target_of_the_first_generation_comes_when_it_does() {
    let (mut xive, mut memory) = ready();
    let m = &mut memory;
    xive.store(0, REGISTERS + 0x808, 8, 3 << 48, m).unwrap();
    xive.store(0, REGISTERS + 0x810, 8, 2 << 62 | 0x5_0000 | 4, m).unwrap();
    m.store_u32(0x5_0000 + 64 * 0x42, 1 << 31, Writer::Other).unwrap();
    m.store_u32(QUEUES + 32, 0xf000_0000, Writer::Other).unwrap();
    m.store_u32(QUEUES + 56, 0x42, Writer::Other).unwrap();
    xive.store(0, EVENTS + (5 << 17), 8, 0, m).unwrap();
    // Bits 16 to 23 of word 4.
    assert_eq!(m.read_u32(0x5_0000 + 64 * 0x42 + 16), Ok(0x0000_0200));
    xive.store(0, CONTEXTS + 0x1_0011, 1, 0xff, m).unwrap();
    xive.store(0, CONTEXTS + 0x1_0018, 4, 1 << 31 | 0x42, m).unwrap();
    assert_eq!(xive.lines(0), (false, true));
    assert_eq!(m.read_u32(0x5_0000 + 64 * 0x42 + 16), Ok(0));
    assert_eq!(xive.load(0, CONTEXTS + 0x1_0810, 2, m), Some(0x8006));
}
