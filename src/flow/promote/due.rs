//! When the next promotion is due. Pure: the timer asks, and tells what time it is.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// Promotions at every multiple of an interval since local midnight.
///
/// Aligned to the clock of a zone: with one hour a tick falls on every full hour of the local clock, with one day on
/// every local midnight. Where the clock is put forward a tick may be missing, where it is put back one may come twice;
/// a promotion more or fewer changes nothing in the result.
#[derive(Debug, Clone)]
pub struct Schedule {
    interval: Duration,
    zone: TimeZone,
}

/// Seconds of a civil day.
const DAY: u64 = 24 * 60 * 60;

impl Schedule {
    /// A schedule; none unless the interval is whole seconds and divides a day, or is whole days.
    pub fn new(interval: Duration, zone: TimeZone) -> Option<Self> {
        let seconds = interval.as_secs();
        let whole = interval.subsec_nanos() == 0 && seconds > 0;
        (whole && (DAY.is_multiple_of(seconds) || seconds.is_multiple_of(DAY))).then_some(Self { interval, zone })
    }

    /// The first tick after `now`; none at the end of time.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let step = i64::try_from(self.interval.as_secs()).ok()?;
        let local = |at: i64, offset: Offset| at + i64::from(offset.seconds());
        let (second, offset) = (now.as_second(), self.zone.to_offset(now));
        let at = second + step - local(second, offset).rem_euclid(step);
        let change = self.zone.following(now).next().map(|change| change.timestamp()).filter(|change| *change > now);
        let Some(change) = change.filter(|change| change.as_second() < at) else {
            return Timestamp::from_second(at).ok();
        };
        // The clock changes before the tick: put forward past it, the tick is now; else count on from the new time.
        let (second, new) = (change.as_second(), self.zone.to_offset(change));
        let (before, after) = (local(second, offset), local(second, new));
        let is_tick = after.rem_euclid(step) == 0 || after.div_euclid(step) > before.div_euclid(step);
        let at = if is_tick { second } else { second + step - after.rem_euclid(step) };
        Timestamp::from_second(at).ok()
    }

    /// Whether a promotion is due: a tick has passed since the last one ended. However many were missed, it is one.
    pub fn is_due(&self, last: Option<Timestamp>, now: Timestamp) -> bool {
        last.is_none_or(|last| self.next_after(last).is_some_and(|tick| tick <= now))
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use jiff::civil::Time;
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn schedule(interval: u64, zone: &str) -> Schedule {
        Schedule::new(Duration::from_secs(interval), TimeZone::get(zone).unwrap()).unwrap()
    }

    #[test]
    fn ticks_are_aligned_to_the_clock() {
        let hourly = schedule(3600, "UTC");
        assert_eq!(hourly.next_after(at("2026-10-15T18:42:00Z")), Some(at("2026-10-15T19:00:00Z")));
        assert_eq!(hourly.next_after(at("2026-10-15T19:00:00Z")), Some(at("2026-10-15T20:00:00Z")));
        assert_eq!(schedule(900, "UTC").next_after(at("2026-10-15T23:50:00Z")), Some(at("2026-10-16T00:00:00Z")));
        assert_eq!(
            schedule(86400, "Europe/Paris").next_after(at("2026-10-15T18:42:00Z")),
            Some(at("2026-10-15T22:00:00Z"))
        );
        // A zone at half an hour: full hours of its own clock.
        assert_eq!(
            schedule(3600, "Asia/Kolkata").next_after(at("2026-10-15T18:42:00Z")),
            Some(at("2026-10-15T19:30:00Z"))
        );
    }

    #[test]
    fn a_change_of_the_clock_loses_no_hour() {
        // Paris: 02:00 to 03:00 does not exist on 2026-03-29, and comes twice on 2026-10-25.
        for day in ["2026-03-28T23:30:00Z", "2026-10-24T23:30:00Z"] {
            let (hourly, mut now) = (schedule(3600, "Europe/Paris"), at(day));
            for hour in 0..6 {
                let next = hourly.next_after(now).unwrap();
                assert_eq!(next, at(day) + (30 + 60 * hour).minutes());
                now = next;
            }
        }
    }

    #[test]
    fn what_was_missed_is_made_up_for_once() {
        let hourly = schedule(3600, "UTC");
        let last = at("2026-10-15T10:05:00Z");
        assert!(!hourly.is_due(Some(last), at("2026-10-15T10:59:59Z")));
        let woken = at("2026-10-15T16:20:00Z");
        assert!(hourly.is_due(Some(last), woken));
        assert!(!hourly.is_due(Some(woken), woken + 5.minutes()));
        assert!(hourly.is_due(None, woken));
    }

    #[test]
    fn odd_intervals_are_refused() {
        for bad in [0, 7, 3601, 86401] {
            assert!(Schedule::new(Duration::from_secs(bad), TimeZone::UTC).is_none(), "{bad}");
        }
        assert!(Schedule::new(Duration::from_millis(1500), TimeZone::UTC).is_none());
    }

    proptest! {
        #[test]
        fn the_next_tick_comes_after_now_and_in_time(
            second in 0i64..4_102_444_800,
            interval in prop::sample::select(vec![60u64, 900, 1800, 3600, 7200, 43200, 86400, 172_800]),
            zone in prop::sample::select(vec!["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
        ) {
            let now = Timestamp::from_second(second).unwrap();
            let next = schedule(interval, zone).next_after(now).unwrap();
            prop_assert!(next > now);
            // Never later than an interval and the greatest change of a clock.
            let waited = next.duration_since(now).as_secs();
            prop_assert!(waited <= i64::try_from(interval).unwrap() + 3600, "{waited}");
            let local = next.to_zoned(TimeZone::get(zone).unwrap());
            let since = local.time().duration_since(Time::midnight()).as_secs();
            prop_assert!(since % i64::try_from(interval.min(86400)).unwrap() == 0 || local.time().second() == 0);
        }
    }
}
