//! Time zones by their IANA names.

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// A zone, with its rules.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    rules: TimeZone,
    is_utc: bool,
    name: Box<str>,
}

/// Why a local time is no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoInstant {
    /// The clocks skip it.
    Skipped,
    /// The clocks show it twice.
    Twice,
    /// It is beyond the years for which there are rules.
    Far,
}

impl Zone {
    /// The zone of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let rules = TimeZone::get(name).ok().filter(|rules| !rules.is_unknown())?;
        let is_utc = rules == TimeZone::UTC || matches!(rules.iana_name(), Some("UTC" | "Etc/UTC"));
        Some(Self { rules, is_utc, name: name.into() })
    }

    /// Its name, as it was asked for.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How many seconds this zone's clocks are ahead of UTC when they show a local time, in seconds since
    /// 1970-01-01T00:00:00.
    pub(super) fn offset_of_local(&self, local: i64) -> Result<i32, NoInstant> {
        if self.is_utc {
            return Ok(0);
        }
        let shown = Timestamp::from_second(local).map_err(|_| NoInstant::Far)?;
        match self.rules.to_ambiguous_timestamp(Offset::UTC.to_datetime(shown)).offset() {
            AmbiguousOffset::Unambiguous { offset } => Ok(offset.seconds()),
            AmbiguousOffset::Gap { .. } => Err(NoInstant::Skipped),
            AmbiguousOffset::Fold { .. } => Err(NoInstant::Twice),
        }
    }

    /// How many seconds this zone's clocks are ahead of UTC at an instant, in seconds since 1970-01-01T00:00:00Z; none
    /// beyond the years for which there are rules.
    pub(super) fn offset_at(&self, instant: i64) -> Option<i32> {
        if self.is_utc {
            return Some(0);
        }
        Some(self.rules.to_offset(Timestamp::from_second(instant).ok()?).seconds())
    }
}
