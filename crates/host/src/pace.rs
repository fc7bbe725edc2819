//! How many instructions to run before the outside is looked at again: about as many as take [`WANTED`] of the
//! host's time. Invisible to the guest.

use crate::clock::Moment;
use std::time::Duration;

/// Host time between two looks.
const WANTED: Duration = Duration::from_millis(8);
const LEAST: u64 = 10_000;
const MOST: u64 = 100_000_000;

/// Keeps the pace.
pub struct Pace {
    latest: (Moment, u64),
    quantum: u64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { latest: (Moment::now(), 0), quantum: 1_000_000 }
    }
}

impl Pace {
    /// The machine stands at `count` now, and has run since the latest call of this or [`Pace::skip`].
    pub fn ran_to(&mut self, count: u64) {
        let took = self.latest.0.elapsed();
        let ran = count.saturating_sub(self.latest.1);
        // A run that ended early tells little about the pace.
        if ran >= self.quantum / 2 {
            let fits = u128::from(ran) * WANTED.as_nanos() / took.as_nanos().max(1);
            // Halfway there, so that one slow run does not matter.
            self.quantum = u64::try_from(fits).unwrap_or(MOST).clamp(LEAST, MOST).midpoint(self.quantum);
        } else if took > 2 * WANTED {
            self.quantum = (self.quantum / 2).max(LEAST);
        }
        self.latest = (Moment::now(), count);
    }

    /// Time passed that the machine did not run.
    pub fn skip(&mut self) {
        self.latest.0 = Moment::now();
    }

    /// Instructions until the next look.
    pub fn quantum(&self) -> u64 {
        self.quantum
    }
}
