//! Reservations of load-and-reserve (Power ISA Book II 1.7.2.1).

use timebase_state::State;

/// Bytes of a reservation granule: one cache block of POWER9 and POWER10.
pub const GRANULE: u64 = 128;

/// What a vCPU holds reserved: a granule by its real address and the size of the access. Never a value: a store
/// of the same value by another clears it all the same.
#[derive(State, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reservation {
    /// 0: none.
    bytes: u8,
    granule: u64,
}

impl Reservation {
    /// No reservation.
    pub const NONE: Reservation = Reservation { bytes: 0, granule: 0 };

    /// A reservation by an access of `bytes` bytes at `address`.
    pub const fn new(address: u64, bytes: u8) -> Reservation {
        Reservation { bytes, granule: address & !(GRANULE - 1) }
    }

    /// Real address of the granule.
    pub fn address(&self) -> Option<u64> {
        (self.bytes != 0).then_some(self.granule)
    }

    /// A store conditional of `bytes` bytes at `address` finds it. POWER9 needs the same granule and the same
    /// length.
    pub fn matches(&self, address: u64, bytes: u8) -> bool {
        self.bytes == bytes && self.granule == address & !(GRANULE - 1)
    }

    /// A store of `bytes` bytes at `address` touches its granule.
    pub fn overlaps(&self, address: u64, bytes: u64) -> bool {
        self.bytes != 0 && address < self.granule + GRANULE && self.granule < address.wrapping_add(bytes)
    }
}
