//! Virtual time as a function of the instruction count.

use timebase_state::{Instant, State};

/// Where virtual time stood at some count, and how fast it goes.
///
/// Re-based exactly where the rate changes, so that the instant of an instruction never depends on when somebody
/// looked.
#[derive(State, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    #[undigested("a position")]
    base: Instant,
    #[undigested("a position")]
    base_count: u64,
    /// Ticks per instruction, 64.64 fixed point.
    rate: u128,
}

impl Clock {
    /// Starts at instant `now` and count `count`, with `ticks` ticks per `instructions` instructions.
    pub fn cold(instructions: u32, ticks: u32, count: u64, now: Instant) -> Clock {
        let mut clock = Clock { base: now, base_count: count, rate: 0 };
        clock.share(count, instructions, ticks, 1);
        clock
    }

    /// The instant at which `count` instructions have been attempted.
    #[inline]
    pub fn at(&self, count: u64) -> Instant {
        Instant(self.base.0.wrapping_add(self.rate.wrapping_mul((count - self.base_count) as u128)))
    }

    /// From `count` on, `runnable` vCPUs share the time: an instruction of one of them takes 1/`runnable` of what it
    /// would take alone. Nothing is re-based where the rate stays.
    pub fn share(&mut self, count: u64, instructions: u32, ticks: u32, runnable: u32) {
        let rate = ((ticks as u128) << 64) / (instructions.max(1) as u128 * runnable.max(1) as u128);
        if rate != self.rate {
            self.base = self.at(count);
            self.base_count = count;
            self.rate = rate;
        }
    }

    /// Idle: time becomes `instant` without an instruction.
    pub fn advance(&mut self, count: u64, instant: Instant) {
        self.base = instant.max(self.at(count));
        self.base_count = count;
    }

    /// The first count whose instant is not before `deadline`.
    pub fn count_of(&self, deadline: Instant) -> u64 {
        let span = deadline.0.saturating_sub(self.base.0);
        let instructions = span.div_ceil(self.rate.max(1)).min(u64::MAX as u128 / 2);
        self.base_count + instructions as u64
    }
}
