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
    xive.set_scom(0, 0x10, REGISTERS | 3 << 62, m).unwrap();
    xive.set_scom(0, 0x12, CONTEXTS | 3 << 62, m).unwrap();
    xive.set_scom(0, 0x19, 0x07ff_ff80_0000_0000, m).unwrap();
    xive.set_scom(0, 0x18, EVENTS | 1 << 63, m).unwrap();
    let mut register = |at: u64, value: u64| xive.store(0, REGISTERS + at, 8, value, m).unwrap();
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
    ] {
        xive.set_scom(0, number, value, m).unwrap();
    }
    for (table, base) in [(0, STATES), (1, ASSIGNMENTS), (2, QUEUES)] {
        xive.set_scom(0, 0x100, table << 48, m).unwrap();
        xive.set_scom(0, 0x101, 2 << 62 | base, m).unwrap();
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
            xive.set_scom(0, half, u64::MAX >> 16 | table << 48, m).unwrap();
            xive.set_scom(0, half + 1, u64::MAX, m).unwrap();
        }
    }
    for number in 0..0x400 {
        let _ = xive.set_scom(0, number, u64::MAX, m);
        let _ = xive.scom(0, number, m);
    }
    for n in 0..64 {
        let _ = xive.store(0, EVENTS + (n << 20) + 0x1_0000, 8, 0, m);
        let _ = xive.load(0, QUEUE_EVENTS + (n << 20), 8, m);
    }
    assert_eq!(xive.load(0, 0, 8, m), None);
}
