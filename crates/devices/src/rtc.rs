//! Real-time clock: a fixed start plus virtual time. It survives a reset.

use timebase_state::time::TICKS_PER_SECOND;
use timebase_state::{Instant, State};

/// A date and time of day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// Year, as 2026.
    pub year: u32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 59.
    pub second: u32,
    /// 0 to 999,999,999.
    pub nanosecond: u32,
}

/// The clock.
#[derive(State, Clone, Debug, PartialEq, Eq)]
pub struct Rtc {
    /// Ticks since 1970 at virtual time 0; what the guest set moves it.
    epoch_ticks: u64,
    /// When `epoch_ticks` held.
    since: Instant,
}

impl Rtc {
    /// Shows `seconds` since 1970-01-01 00:00 UTC at `now`.
    pub fn cold(seconds: u64, now: Instant) -> Rtc {
        Rtc { epoch_ticks: seconds.wrapping_mul(TICKS_PER_SECOND), since: now }
    }

    fn ticks(&self, now: Instant) -> u64 {
        self.epoch_ticks.wrapping_add(now.ticks().wrapping_sub(self.since.ticks()))
    }

    /// Whole seconds since 1970 at `now`.
    pub fn seconds(&self, now: Instant) -> u64 {
        self.ticks(now) / TICKS_PER_SECOND
    }

    /// The time at `now`.
    pub fn read(&self, now: Instant) -> DateTime {
        let ticks = self.ticks(now);
        let (seconds, rest) = (ticks / TICKS_PER_SECOND, ticks % TICKS_PER_SECOND);
        let (days, second) = (seconds / 86400, (seconds % 86400) as u32);
        let (year, month, day) = civil(days as i64);
        DateTime {
            year,
            month,
            day,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
            nanosecond: (rest as u128 * 1_000_000_000 / TICKS_PER_SECOND as u128) as u32,
        }
    }

    /// Sets the time. False if the date is none.
    pub fn write(&mut self, t: DateTime, now: Instant) -> bool {
        let valid = (1970..=9999).contains(&t.year)
            && (1..=12).contains(&t.month)
            && (1..=31).contains(&t.day)
            && t.hour < 24
            && t.minute < 60
            && t.second < 60;
        if valid {
            let seconds = days(t.year, t.month, t.day) as u64 * 86400
                + (t.hour * 3600 + t.minute * 60 + t.second) as u64;
            *self = Rtc::cold(seconds, now);
        }
        valid
    }
}

/// Days since 1970-01-01 of a Gregorian date: years are counted from March, in eras of 400.
fn days(year: u32, month: u32, day: u32) -> i64 {
    let year = year as i64 - (month <= 2) as i64;
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month as i64 + 9) % 12) + 2) / 5 + day as i64 - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days`].
fn civil(days: i64) -> (u32, u32, u32) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    ((year + era * 400 + (month <= 2) as i64) as u32, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (seconds, expected) in
            [(0, (1970, 1, 1, 0)), (951_782_400, (2000, 2, 29, 0)), (1_767_225_599, (2025, 12, 31, 23))]
        {
            let t = Rtc::cold(seconds, Instant::default()).read(Instant::default());
            assert_eq!((t.year, t.month, t.day, t.hour), expected);
        }
    }

    #[test]
    fn what_is_set_is_read_and_goes_on() {
        let mut rtc = Rtc::cold(0, Instant::default());
        let set = DateTime { year: 2026, month: 11, day: 23, hour: 8, minute: 36, second: 14, nanosecond: 0 };
        assert!(rtc.write(set, Instant::from_ticks(77)));
        let later = rtc.read(Instant::from_ticks(77 + TICKS_PER_SECOND * 50 + TICKS_PER_SECOND / 2));
        assert_eq!(later, DateTime { minute: 37, second: 4, nanosecond: 500_000_000, ..set });
        assert!(!rtc.write(DateTime { month: 13, ..set }, Instant::default()));
    }
}
