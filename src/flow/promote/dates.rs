//! Which path partition a row belongs to: the date of its date column in the table's zone.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::fault::Fault;
use crate::model::table::{DateBound, OnBadDate, ProcessedSettings};

/// Days since 1970-01-01.
pub type EpochDay = i32;

const EPOCH: Date = Date::constant(1970, 1, 1);
const MICROS_PER_DAY: i64 = 86_400_000_000;
/// 0001-01-01 and 9999-12-31: what every reader can parse.
const READABLE: std::ops::RangeInclusive<EpochDay> = -719_162..=2_932_896;

/// `YYYY-MM-DD`.
pub fn day_text(day: EpochDay) -> Option<String> {
    READABLE.contains(&day).then(|| EPOCH.checked_add(i64::from(day).days()).ok().map(|date| date.to_string()))?
}

/// Tells the day of each row.
pub struct DayOf {
    zone: TimeZone,
    is_utc: bool,
    /// Microseconds `[from, to)` in which the zone's offset is this one.
    span: Option<(i64, i64, i64)>,
    bounds: Option<(DateBound, DateBound)>,
}

impl DayOf {
    /// By the settings of a table.
    ///
    /// # Errors
    ///
    /// An unknown zone.
    pub fn new(settings: &ProcessedSettings) -> Result<Self, Fault> {
        let zone = TimeZone::get(&settings.date_zone)
            .map_err(|error| Fault::halt("promote.zone", format!("date_zone {}: {error}", settings.date_zone)))?;
        // With `quarantine` the bounds were checked when the message was validated.
        let bounds = (settings.on_bad_date == OnBadDate::Bucket).then_some((settings.date_min, settings.date_max));
        Ok(Self { is_utc: zone == TimeZone::UTC, zone, span: None, bounds })
    }

    /// The day of every row; none for a row without a good date.
    ///
    /// # Errors
    ///
    /// A date column that is neither a date nor a timestamp.
    pub fn days(&mut self, dates: &dyn Array, kafka_times: &dyn Array) -> Result<Vec<Option<EpochDay>>, Fault> {
        let mut days: Vec<Option<EpochDay>> = match dates.data_type() {
            DataType::Date32 => dates.as_primitive::<Date32Type>().iter().collect(),
            DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => dates
                .as_primitive::<TimestampMicrosecondType>()
                .iter()
                .map(|at| at.and_then(|at| self.day(at)))
                .collect(),
            _ => {
                return Err(Fault::halt(
                    "promote.schema",
                    "the date column of the table is neither a date nor a timestamp",
                ));
            }
        };
        let times = kafka_times.as_primitive_opt::<TimestampMicrosecondType>();
        let bounds = self.bounds;
        for (row, day) in days.iter_mut().enumerate() {
            let kafka = times.filter(|times| times.is_valid(row)).map(|times| times.value(row));
            let within = |day: &EpochDay| {
                bounds.is_none_or(|(least, greatest)| {
                    bound(least, kafka).is_none_or(|least| least <= *day)
                        && bound(greatest, kafka).is_none_or(|most| *day <= most)
                })
            };
            *day = day.filter(|day| READABLE.contains(day) && within(day));
        }
        Ok(days)
    }

    fn day(&mut self, at: i64) -> Option<EpochDay> {
        if self.is_utc {
            return EpochDay::try_from(at.div_euclid(MICROS_PER_DAY)).ok();
        }
        let offset = match self.span {
            Some((from, to, offset)) if from <= at && at < to => offset,
            _ => self.look_up(at)?,
        };
        EpochDay::try_from(at.checked_add(offset)?.div_euclid(MICROS_PER_DAY)).ok()
    }

    fn look_up(&mut self, at: i64) -> Option<i64> {
        let moment = Timestamp::from_microsecond(at).ok()?;
        let offset = i64::from(self.zone.to_offset(moment).seconds()) * 1_000_000;
        let to = self.zone.following(moment).next().map_or(i64::MAX, |change| change.timestamp().as_microsecond());
        self.span = Some((at, to, offset));
        Some(offset)
    }
}

/// A bound as a day; none where a relative one has no Kafka timestamp to start from.
fn bound(bound: DateBound, kafka: Option<i64>) -> Option<EpochDay> {
    match bound {
        DateBound::Date(date) => EpochDay::try_from(date.duration_since(EPOCH).as_hours().div_euclid(24)).ok(),
        DateBound::Relative(days) => EpochDay::try_from(kafka?.div_euclid(MICROS_PER_DAY)).ok()?.checked_add(days),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, TimestampMicrosecondArray};
    use proptest::prelude::*;

    use super::*;
    use crate::model::table::Retire;

    fn settings(zone: &str, on_bad_date: OnBadDate) -> ProcessedSettings {
        ProcessedSettings {
            record_id: vec!["id".into()],
            version: None,
            date: "added".into(),
            date_zone: zone.into(),
            on_bad_date,
            date_min: DateBound::Date(EPOCH),
            date_max: DateBound::Relative(1),
            retire: Retire::Immediate,
        }
    }

    fn texts(days: &[Option<EpochDay>]) -> Vec<String> {
        days.iter().map(|day| day.and_then(day_text).unwrap_or_default()).collect()
    }

    #[test]
    fn a_timestamp_falls_on_the_date_of_the_zone() {
        let at: Timestamp = "2026-10-15T22:30:00Z".parse().unwrap();
        let dates = TimestampMicrosecondArray::from(vec![Some(at.as_microsecond()), None]).with_timezone("UTC");
        for (zone, want) in [("UTC", "2026-10-15"), ("Europe/Paris", "2026-10-16"), ("America/New_York", "2026-10-15")]
        {
            let mut day_of = DayOf::new(&settings(zone, OnBadDate::Quarantine)).unwrap();
            assert_eq!(texts(&day_of.days(&dates, &dates).unwrap()), [want, ""], "{zone}");
        }
    }

    #[test]
    fn bad_dates_go_to_their_bucket() {
        let kafka = Timestamp::from_second(20_000 * 86_400).unwrap().as_microsecond();
        let kafka =
            TimestampMicrosecondArray::from(vec![Some(kafka), Some(kafka), Some(kafka), None]).with_timezone("UTC");
        let dates = Date32Array::from(vec![Some(-1), Some(20_001), Some(20_002), Some(20_002)]);
        let mut day_of = DayOf::new(&settings("UTC", OnBadDate::Bucket)).unwrap();
        assert_eq!(day_of.days(&dates, &kafka).unwrap(), [None, Some(20_001), None, Some(20_002)]);
        let mut day_of = DayOf::new(&settings("UTC", OnBadDate::Quarantine)).unwrap();
        assert_eq!(day_of.days(&dates, &kafka).unwrap(), [Some(-1), Some(20_001), Some(20_002), Some(20_002)]);
        let far = Date32Array::from(vec![Some(i32::MAX), Some(i32::MIN)]);
        assert_eq!(day_of.days(&far, &kafka).unwrap(), [None, None]);
    }

    proptest! {
        #[test]
        fn days_agree_with_the_calendar(
            seconds in prop::collection::vec(-2_000_000_000i64..4_000_000_000, 1..20),
            zone in prop::sample::select(vec!["UTC", "Europe/Paris", "Pacific/Apia", "Australia/Lord_Howe"]),
        ) {
            let micros = seconds.iter().map(|second| second * 1_000_000);
            let dates = TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC");
            let mut day_of = DayOf::new(&settings(zone, OnBadDate::Quarantine)).unwrap();
            let tz = TimeZone::get(zone).unwrap();
            let want: Vec<_> = seconds
                .iter()
                .map(|second| Timestamp::from_second(*second).unwrap().to_zoned(tz.clone()).date().to_string())
                .collect();
            prop_assert_eq!(texts(&day_of.days(&dates, &dates).unwrap()), want);
        }
    }
}
