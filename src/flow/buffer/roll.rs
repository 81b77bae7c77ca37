//! When an open interval is closed and committed. Pure.

use std::time::{Duration, Instant};

use crate::model::table::RawSettings;

/// What an open file, or the open interval as a whole, has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenInterval {
    /// Encoded bytes, the open row group by estimate.
    pub encoded_bytes: u64,
    /// Rows.
    pub rows: u64,
    /// When the first message of the interval came in.
    pub first_message: Instant,
    /// When the last message of the interval came in.
    pub last_message: Instant,
}

/// Why an interval is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RollReason {
    /// A file reached `roll_bytes`.
    Bytes,
    /// A file reached `roll_rows`.
    Rows,
    /// The first message reached `roll_age`.
    Age,
    /// No message came for `roll_idle`.
    Idle,
    /// The spool is full: what is in it must go to the lake first.
    SpoolFull,
    /// The control plane asked for it.
    Command,
    /// The input has ended.
    Drain,
}

impl RollReason {
    /// Name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Rows => "rows",
            Self::Age => "age",
            Self::Idle => "idle",
            Self::SpoolFull => "spool-full",
            Self::Command => "command",
            Self::Drain => "drain",
        }
    }

    /// Whether filling must stop until the interval is handed to the commit. An interval that is only old may go on
    /// filling while the one before it is still being committed.
    pub fn is_bound(self) -> bool {
        matches!(self, Self::Bytes | Self::Rows | Self::SpoolFull | Self::Drain)
    }
}

/// Whether the interval must be closed now. Size comes before time, so that a bound is never hidden by a timer.
///
/// It depends on `now` alone and not on input, so it works on a topic that has fallen silent: the step asks at every
/// pump, also without a batch.
pub fn should_roll(open: &OpenInterval, settings: &RawSettings, now: Instant) -> Option<RollReason> {
    if open.encoded_bytes >= settings.roll_bytes {
        Some(RollReason::Bytes)
    } else if open.rows >= settings.roll_rows {
        Some(RollReason::Rows)
    } else if now.saturating_duration_since(open.first_message) >= settings.roll_age {
        Some(RollReason::Age)
    } else if settings.roll_idle.is_some_and(|idle| now.saturating_duration_since(open.last_message) >= idle) {
        Some(RollReason::Idle)
    } else {
        None
    }
}

/// The strictest limits of several tables: an interval is committed as one, so its ledger follows the table that asks
/// first. `None` without a table.
pub fn strictest<'a>(tables: impl IntoIterator<Item = &'a RawSettings>) -> Option<RawSettings> {
    tables.into_iter().cloned().reduce(|a, b| RawSettings {
        roll_bytes: a.roll_bytes.min(b.roll_bytes),
        roll_rows: a.roll_rows.min(b.roll_rows),
        roll_age: a.roll_age.min(b.roll_age),
        roll_idle: earlier(a.roll_idle, b.roll_idle),
        compression: a.compression,
    })
}

fn earlier(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings() -> impl Strategy<Value = RawSettings> {
        (1..1000_u64, 1..1000_u64, 1..1000_u64, proptest::option::of(1..1000_u64)).prop_map(
            |(roll_bytes, roll_rows, age, idle)| RawSettings {
                roll_bytes,
                roll_rows,
                roll_age: Duration::from_secs(age),
                roll_idle: idle.map(Duration::from_secs),
                ..RawSettings::default()
            },
        )
    }

    proptest! {
        #[test]
        fn it_rolls_exactly_when_one_limit_is_reached(
            settings in settings(), encoded_bytes in 0..2000_u64, rows in 0..2000_u64, age in 0..2000_u64, quiet in 0..2000_u64,
        ) {
            let first_message = Instant::now();
            let quiet = quiet.min(age);
            let now = first_message + Duration::from_secs(age);
            let last_message = now - Duration::from_secs(quiet);
            let open = OpenInterval { encoded_bytes, rows, first_message, last_message };
            let idle = settings.roll_idle.is_some_and(|idle| idle.as_secs() <= quiet);
            let limits = [
                (encoded_bytes >= settings.roll_bytes, RollReason::Bytes),
                (rows >= settings.roll_rows, RollReason::Rows),
                (age >= settings.roll_age.as_secs(), RollReason::Age),
                (idle, RollReason::Idle),
            ];
            let expected = limits.into_iter().find(|(reached, _)| *reached).map(|(_, reason)| reason);
            prop_assert_eq!(should_roll(&open, &settings, now), expected);
        }

        #[test]
        fn once_due_it_stays_due(settings in settings(), age in 0..2000_u64, later in 0..2000_u64) {
            let start = Instant::now();
            let open = OpenInterval { encoded_bytes: 0, rows: 0, first_message: start, last_message: start };
            let at = |seconds| should_roll(&open, &settings, start + Duration::from_secs(seconds));
            prop_assert!(at(age).is_none() || at(age + later).is_some());
        }

        #[test]
        fn the_strictest_settings_roll_whenever_one_of_them_does(
            a in settings(), b in settings(), encoded_bytes in 0..2000_u64, rows in 0..2000_u64, age in 0..2000_u64,
        ) {
            let first_message = Instant::now();
            let now = first_message + Duration::from_secs(age);
            let open = OpenInterval { encoded_bytes, rows, first_message, last_message: first_message };
            let both = strictest([&a, &b]).unwrap();
            let either = should_roll(&open, &a, now).is_some() || should_roll(&open, &b, now).is_some();
            prop_assert_eq!(should_roll(&open, &both, now).is_some(), either);
        }
    }

    #[test]
    fn a_clock_before_the_first_message_is_no_age() {
        let now = Instant::now();
        let later = now + Duration::from_secs(5);
        let open = OpenInterval { encoded_bytes: 0, rows: 1, first_message: later, last_message: later };
        assert_eq!(should_roll(&open, &RawSettings::default(), now), None);
    }
}
