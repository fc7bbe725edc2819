//! What becomes of idle time: it is skipped, or it takes as long as it should.

use crate::clock::Moment;
use crate::keyboard::Keyboard;
use std::time::Duration;
use timebase_replay::live::Idle;
use timebase_state::{Instant, Ticks};

/// `--idle`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdleMode {
    /// A second of the guest's idle time takes a second.
    Realtime,
    /// Idle time takes no time.
    Skip,
}

/// Longest sleep before signals and the recording are looked after again.
const NAP: Duration = Duration::from_millis(250);
const TICKS_PER_SECOND: u128 = timebase_state::time::TICKS_PER_SECOND as u128;

/// Sleeps while the guest is idle.
pub struct Sleeper {
    mode: IdleMode,
    /// The guest's and the host's time when the present idle time began.
    since: Option<(Instant, Moment)>,
}

impl Sleeper {
    /// A sleeper.
    pub fn new(mode: IdleMode) -> Sleeper {
        Sleeper { mode, since: None }
    }

    /// The guest is idle until `deadline`; keys end it.
    pub fn idle(&mut self, now: Instant, deadline: Option<Instant>, keyboard: &mut Keyboard) -> Idle {
        if deadline.is_none() && !keyboard.is_open() {
            return Idle::Forever;
        }
        if self.mode == IdleMode::Skip && deadline.is_some() {
            return Idle::Over;
        }
        let began = match self.since {
            Some((then, began)) if then == now => began,
            _ => {
                let began = Moment::now();
                self.since = Some((now, began));
                began
            }
        };
        let whole = deadline.map(|deadline| to_host(deadline.0.saturating_sub(now.0)));
        let left = whole.map(|whole| whole.saturating_sub(began.elapsed()));
        if left == Some(Duration::ZERO) {
            return Idle::Over;
        }
        let key = keyboard.wait(left.unwrap_or(NAP).min(NAP));
        let slept = began.elapsed();
        match whole {
            Some(whole) if slept >= whole => Idle::Over,
            _ if key && self.mode == IdleMode::Realtime => Idle::Cut(now + to_ticks(slept)),
            _ => Idle::Wait,
        }
    }
}

/// Host time of a distance of virtual instants, rounded up: a guest's timer is never early.
fn to_host(distance: u128) -> Duration {
    let ticks = (distance >> 64) + u128::from(distance as u64 != 0);
    let nanoseconds = (ticks * 1_000_000_000).div_ceil(TICKS_PER_SECOND);
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

fn to_ticks(time: Duration) -> Ticks {
    Ticks(u64::try_from(time.as_nanos() * TICKS_PER_SECOND / 1_000_000_000).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_512_million_ticks_and_rounds_up() {
        assert_eq!(to_host(512_000_000 << 64), Duration::from_secs(1));
        assert_eq!(to_host(1), Duration::from_nanos(2));
        assert_eq!(to_ticks(Duration::from_secs(2)), Ticks(1_024_000_000));
        assert_eq!(to_host(u128::MAX), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn skipped_idle_time_takes_none_and_real_idle_time_takes_its_time() {
        let mut keyboard = Keyboard::none();
        let now = Instant::from_ticks(1000);
        let year = Some(now + Ticks(512_000_000 * 86_400 * 365));
        assert_eq!(Sleeper::new(IdleMode::Skip).idle(now, year, &mut keyboard), Idle::Over);
        assert_eq!(Sleeper::new(IdleMode::Skip).idle(now, None, &mut keyboard), Idle::Forever);
        assert_eq!(Sleeper::new(IdleMode::Realtime).idle(now, None, &mut keyboard), Idle::Forever);
        let mut sleeper = Sleeper::new(IdleMode::Realtime);
        let (begin, deadline) = (Moment::now(), Some(now + Ticks(512_000 * 400)));
        let mut naps = 0;
        while sleeper.idle(now, deadline, &mut keyboard) == Idle::Wait {
            naps += 1;
        }
        assert!(begin.elapsed() >= Duration::from_millis(400) && naps >= 1);
    }
}
