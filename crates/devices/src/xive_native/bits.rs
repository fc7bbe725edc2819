//! Fields of registers and table entries, as (shift, width) from the right, and the two ES bits.

/// The field of `value` that starts `shift` bits from the right and is `width` wide.
pub(crate) const fn field(value: u64, shift: u32, width: u32) -> u64 {
    value >> shift & ((1 << width) - 1)
}

/// `value` with that field replaced.
pub(crate) const fn with_field(value: u32, shift: u32, width: u32, new: u32) -> u32 {
    let mask = ((1u64 << width) - 1) as u32;
    value & !(mask << shift) | (new & mask) << shift
}

/// States of an event state buffer: P is the left bit, Q the right one.
pub(crate) const RESET: u8 = 0;
pub(crate) const OFF: u8 = 1;
pub(crate) const PENDING: u8 = 2;
pub(crate) const QUEUED: u8 = 3;

/// A trigger: the new state, and whether the event goes on.
pub(crate) const fn trigger(pq: u8) -> (u8, bool) {
    match pq {
        RESET => (PENDING, true),
        OFF => (OFF, false),
        _ => (QUEUED, false),
    }
}

/// An end of interrupt: the new state, and whether an event that was held back goes on.
pub(crate) const fn end_of_interrupt(pq: u8) -> (u8, bool) {
    match pq {
        QUEUED => (PENDING, true),
        OFF => (OFF, false),
        _ => (RESET, false),
    }
}

/// What an access to a management page does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Management {
    EndOfInterrupt,
    Get,
    Set(u8),
    Trigger,
    Nothing,
}

/// What a load from this offset of a management page does.
pub(crate) const fn on_load(offset: u64) -> Management {
    match offset & 0xc00 {
        0 | 0x400 => Management::EndOfInterrupt,
        0x800 => Management::Get,
        _ => Management::Set((offset >> 8 & 3) as u8),
    }
}

/// What a store to this offset of a management page does.
pub(crate) const fn on_store(offset: u64) -> Management {
    match offset & 0xc00 {
        0 => Management::Trigger,
        0x400 => Management::EndOfInterrupt,
        0x800 => Management::Nothing,
        _ => Management::Set((offset >> 8 & 3) as u8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_held_back_once_and_never_when_off() {
        let (pq, first) = trigger(RESET);
        let (pq, second) = trigger(pq);
        let (pq, third) = trigger(pq);
        assert_eq!((pq, first, second, third), (QUEUED, true, false, false));
        let (pq, again) = end_of_interrupt(pq);
        assert_eq!((pq, again), (PENDING, true));
        assert_eq!(end_of_interrupt(pq), (RESET, false));
        assert_eq!((trigger(OFF), end_of_interrupt(OFF)), ((OFF, false), (OFF, false)));
    }
}
