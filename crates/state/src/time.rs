//! Virtual time, counted in timebase ticks of 512 MHz; nothing here knows nanoseconds or a host clock.

use core::ops::{Add, Sub};

/// Ticks of the 512 MHz timebase in one second (PAPR "timebase-frequency").
pub const TICKS_PER_SECOND: u64 = 512_000_000;

/// A span of virtual time in whole timebase ticks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Ticks(pub u64);

impl Ticks {
    /// The shortest span not less than `nanoseconds`: a deadline converts up, a timer is never early.
    pub const fn from_nanoseconds_ceil(nanoseconds: u64) -> Ticks {
        Ticks(((nanoseconds as u128 * TICKS_PER_SECOND as u128).div_ceil(1_000_000_000)) as u64)
    }
}

/// An instant of virtual time since power-on: timebase ticks in 64.64 fixed point.
///
/// It is state, but what a digest sees is its distance from now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Instant(pub u128);

impl Instant {
    /// The instant at which `ticks` whole ticks have passed.
    pub const fn from_ticks(ticks: u64) -> Instant {
        Instant((ticks as u128) << 64)
    }
    /// The instant `span` after (or, negated, before) this one; time wraps like the registers that count it.
    const fn moved(self, span: Ticks, back: bool) -> Instant {
        let distance = Instant::from_ticks(span.0).0;
        Instant(if back { self.0.wrapping_sub(distance) } else { self.0.wrapping_add(distance) })
    }
    /// Whole ticks passed, rounded down.
    pub const fn ticks(self) -> u64 {
        (self.0 >> 64) as u64
    }
}

impl Add<Ticks> for Instant {
    type Output = Instant;
    fn add(self, span: Ticks) -> Instant {
        self.moved(span, false)
    }
}

impl Sub<Ticks> for Instant {
    type Output = Instant;
    fn sub(self, span: Ticks) -> Instant {
        self.moved(span, true)
    }
}
