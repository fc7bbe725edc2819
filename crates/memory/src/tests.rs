use super::*;

#[test]
fn a_store_reads_back_and_outside_is_refused() {
    let mut memory = Memory::new(2 * PAGE, 1);
    memory.store(PAGE - 3, &[1, 2, 3, 4, 5, 6], Writer::Other).unwrap();
    let mut out = [0; 8];
    memory.read(PAGE - 4, &mut out).unwrap();
    assert_eq!(out, [0, 1, 2, 3, 4, 5, 6, 0]);
    assert_eq!(memory.store(2 * PAGE - 1, &[9, 9], Writer::Other), Err(NotMemory));
    memory.read(2 * PAGE - 1, &mut out[..1]).unwrap();
    assert_eq!(out[0], 0, "a refused store changes nothing");
    assert_eq!(memory.read(u64::MAX, &mut out), Err(NotMemory));
}

#[test]
fn s11_a_store_of_the_same_value_by_another_clears_the_reservation() {
    let mut memory = Memory::new(PAGE, 2);
    memory.set_reservation(0, Reservation::new(0x108, 8));
    memory.store_u64(0x100, 0, Writer::Cpu(0)).unwrap();
    assert!(memory.reservation(0).matches(0x108, 8), "one's own store keeps it");
    memory.store(0x17f, &[0], Writer::Cpu(1)).unwrap();
    assert_eq!(memory.reservation(0), Reservation::NONE);
    memory.set_reservation(0, Reservation::new(0x108, 8));
    memory.store(0x180, &[0], Writer::Other).unwrap();
    assert!(memory.reservation(0).matches(0x108, 8), "another granule");
    memory.store(0xfe, &[0, 0, 0], Writer::Other).unwrap();
    assert_eq!(memory.reservation(0), Reservation::NONE, "a store that reaches into it");
}

#[test]
fn changes_of_watched_lines_are_told() {
    let mut memory = Memory::new(4 * PAGE, 1);
    memory.store_u64(PAGE + 0x50, 9, Writer::Other).unwrap();
    assert!(memory.page_for_write(PAGE).is_some());
    memory.take_dropped();
    memory.watch_table(PAGE + 0x40);
    assert_eq!(memory.take_dropped(), [Drop::Writes(PAGE)]);
    assert!(memory.page_for_write(PAGE).is_none(), "a watched page is not given out");
    memory.store_u64(PAGE + 0x48, 0, Writer::Other).unwrap();
    assert_eq!(memory.take_dropped(), [], "the same value changes nothing");
    memory.store_u64(PAGE + 0x48, 1, Writer::Walker).unwrap();
    assert_eq!(memory.take_dropped(), [], "the walker's own store");
    memory.store_u64(PAGE + 0x48, 2, Writer::Other).unwrap();
    assert_eq!(memory.take_dropped(), [Drop::Table(PAGE + 0x48)]);
    memory.store_u64(PAGE + 0x80, 2, Writer::Other).unwrap();
    assert_eq!(memory.take_dropped(), [], "another line");
    memory.watch_code(PAGE, 1 << 2);
    memory.store(PAGE + 0xbf, &[1, 1], Writer::Other).unwrap();
    assert_eq!(memory.take_dropped(), [Drop::Code(PAGE + 0x80)]);
}

#[test]
fn a_line_of_tables_that_becomes_zero_is_watched_no_more() {
    let mut memory = Memory::new(4 * PAGE, 1);
    memory.store_u64(PAGE + 0x40, 7, Writer::Other).unwrap();
    memory.store_u64(PAGE + 0x78, 7, Writer::Other).unwrap();
    memory.watch_table(PAGE + 0x40);
    memory.watch_table(PAGE + 0x88);
    memory.watch_code(PAGE, 1);
    memory.take_dropped();
    memory.store_u64(PAGE + 0x40, 0, Writer::Other).unwrap();
    assert_eq!(memory.take_dropped(), [Drop::Table(PAGE + 0x40)]);
    memory.store(PAGE + 0x7f, &[0, 0], Writer::Other).unwrap();
    assert_eq!(
        memory.take_dropped(),
        [Drop::Table(PAGE + 0x78), Drop::Cleared(PAGE + 0x40), Drop::Cleared(PAGE + 0x80)]
    );
    memory.store_u64(PAGE + 0x40, 1, Writer::Other).unwrap();
    assert_eq!((memory.take_dropped(), memory.page_for_write(PAGE)), (vec![], None), "there is code");
    memory.unwatch_code(PAGE);
    assert_eq!(memory.take_dropped(), [Drop::Unwatched(PAGE)]);
    memory.unwatch_code(PAGE);
    assert!(memory.take_dropped().is_empty() && memory.page_for_write(PAGE).is_some());
}

#[test]
fn zeros_make_no_bytes() {
    let mut memory = Memory::new(4 * PAGE, 2);
    assert!(memory.is_clear(PAGE) && !memory.is_clear(4 * PAGE));
    memory.set_reservation(0, Reservation::new(PAGE + 8, 8));
    memory.zero(0, 4 * PAGE, Writer::Other).unwrap();
    assert_eq!((memory.pages(), memory.reservation(0)), (0, Reservation::NONE), "but it is a store");
    memory.set_reservation(1, Reservation::new(PAGE + 8, 4));
    memory.begin_slice(0);
    assert!(!memory.is_clear(PAGE), "reserved by another vCPU");
    memory.begin_slice(1);
    memory.watch_table(2 * PAGE);
    assert!(memory.is_clear(PAGE) && !memory.is_clear(2 * PAGE), "watched");
    memory.take_dropped();
    memory.store(PAGE, &[0, 1], Writer::Other).unwrap();
    assert_eq!((memory.take_dropped(), memory.pages()), (vec![Drop::Moved(PAGE)], 1));
    memory.store(PAGE, &[0, 0], Writer::Other).unwrap();
    assert!(!memory.is_clear(PAGE) && memory.read_u64(PAGE) == Ok(0));
}

#[test]
fn the_page_that_got_bytes_last_loses_them_if_they_are_zeros() {
    let mut memory = Memory::new(4 * PAGE, 1);
    let store = |memory: &mut Memory, address: u64, value: u8| {
        let pointer = memory.page_for_write(address).expect("nobody watches");
        // SAFETY: it points to a page that nobody else refers to.
        unsafe { *pointer.add(PAGE as usize - 1) = value };
        memory.take_dropped()
    };
    assert_eq!(store(&mut memory, 0, 0), [Drop::Moved(0)]);
    assert_eq!(store(&mut memory, 0, 0), [], "it has bytes");
    assert_eq!(store(&mut memory, PAGE, 7), [Drop::Moved(0), Drop::Moved(PAGE)]);
    assert!(memory.is_clear(0) && memory.pages() == 1);
    assert_eq!(store(&mut memory, 0, 0), [Drop::Moved(0)]);
    assert_eq!(store(&mut memory, 2 * PAGE, 0), [Drop::Moved(2 * PAGE)]);
    memory.watch_code(2 * PAGE, 1);
    assert_eq!(memory.take_dropped(), [Drop::Writes(2 * PAGE)]);
    assert_eq!(store(&mut memory, 3 * PAGE, 0), [Drop::Moved(3 * PAGE)], "what is watched stays");
    assert_eq!(memory.pages(), 4, "and what was asked for again");
}

#[test]
fn another_vcpus_reserved_page_is_not_given_out() {
    let mut memory = Memory::new(4 * PAGE, 2);
    memory.set_reservation(1, Reservation::new(PAGE + 8, 4));
    memory.begin_slice(0);
    assert!(memory.page_for_write(PAGE).is_none());
    memory.begin_slice(1);
    assert!(memory.page_for_write(PAGE).is_some());
}

#[test]
fn a_file_is_placed_wherever_its_pages_lie() {
    let bytes: Vec<u8> = (0..20_000u32).map(|n| (n % 251) as u8).collect();
    let file = Paged::from(&bytes[..]);
    for (address, offset, length) in [
        (0x3000, 0, 20_000),
        (0x3123, 0x123, 9_000),
        (0x3123, 0x1123, 100),
        (0x3123, 7, 9_000),
        (0x3fff, 0xfff, 1),
    ] {
        let mut memory = Memory::new(16 * PAGE, 1);
        memory.place(address, &file, offset, length).unwrap();
        let mut all = vec![0; 16 * PAGE as usize];
        memory.read(0, &mut all).unwrap();
        let mut expected = vec![0; 16 * PAGE as usize];
        let (to, from) = (address as usize, offset as usize);
        expected[to..to + length as usize].copy_from_slice(&bytes[from..from + length as usize]);
        assert!(all == expected, "{offset:#x} at {address:#x}");
        memory.store(address, &[0xee], Writer::Other).unwrap();
        assert_eq!(file.copy(offset, 1), bytes[from..from + 1], "the file is not written");
        assert_eq!(memory.place(16 * PAGE - 1, &file, 0, 2), Err(NotMemory));
    }
}
