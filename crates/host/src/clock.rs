//! The host's clocks.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A moment of the host's time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Moment(Duration);

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    // Both clocks start at zero and only go forward.
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

impl Moment {
    /// Now.
    pub fn now() -> Moment {
        Moment(read(ClockId::Monotonic))
    }

    /// Time passed since this moment.
    pub fn elapsed(self) -> Duration {
        Moment::now().0.saturating_sub(self.0)
    }
}

/// Processor time that this process has used so far, user and system.
pub fn cpu_time() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// A clock that only goes forward, in nanoseconds.
pub fn nanoseconds() -> u64 {
    read(ClockId::Monotonic).as_nanos() as u64
}

/// True about once a second.
pub struct EverySecond(Moment);

impl Default for EverySecond {
    fn default() -> EverySecond {
        EverySecond(Moment::now())
    }
}

impl EverySecond {
    /// A second has passed since this was last true. A little less than a second, so that with the time that a run
    /// takes in between, it is not more.
    pub fn passed(&mut self) -> bool {
        let passed = self.0.elapsed() >= Duration::from_millis(900);
        if passed {
            self.0 = Moment::now();
        }
        passed
    }
}
