//! Dates of rows: on which day a value of the date column falls, and which days are good. The rule of the validator and
//! the path partition of the promoter are both made of this, so that they agree.
//!
//! A `date` is its day. A `timestamp`, of whatever unit, is an instant: it falls on a day of the table's zone. A
//! `timestamp_ntz` is what a clock on the wall showed: its day is the one it names, in any zone.

use arrow::array::{Array, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::fault::Fault;
use crate::model::table::{DateBound, ProcessedSettings};

/// Days since 1970-01-01.
pub type EpochDay = i32;

const EPOCH: Date = Date::constant(1970, 1, 1);

const SECONDS_PER_DAY: i64 = 86_400;

/// 0001-01-01 and 9999-12-31: what every reader can parse. No day beyond is a good one.
const READABLE: std::ops::RangeInclusive<EpochDay> = -719_162..=2_932_896;

/// `YYYY-MM-DD`; none for a day that not every reader can parse.
pub fn day_text(day: EpochDay) -> Option<String> {
    READABLE.contains(&day).then(|| EPOCH.checked_add(i64::from(day).days()).ok().map(|date| date.to_string()))?
}

/// Whether a column of this type can say the date of a row.
pub fn has_days(kind: &DataType) -> bool {
    matches!(kind, DataType::Date32 | DataType::Timestamp(..))
}

/// Tells on which day each row falls.
#[derive(Debug, Clone)]
pub struct DayOf {
    zone: TimeZone,
    is_utc: bool,
    /// Seconds `[from, to)` in which the zone's offset is this one.
    span: Option<(i64, i64, i64)>,
}

impl DayOf {
    /// By the settings of a table.
    ///
    /// # Errors
    ///
    /// An unknown zone.
    pub fn new(settings: &ProcessedSettings) -> Result<Self, Fault> {
        let zone = TimeZone::get(&settings.date_zone).map_err(|_| {
            let message = format!("date_zone {} is no time zone that this machine knows", settings.date_zone);
            Fault::halt("config.date", message)
        })?;
        Ok(Self { is_utc: zone == TimeZone::UTC, zone, span: None })
    }

    /// The day of every row; none where the date is missing, or so far off that it has no day.
    ///
    /// # Errors
    ///
    /// A column that is neither a date nor a timestamp.
    pub fn days(&mut self, dates: &dyn Array) -> Result<Vec<Option<EpochDay>>, Fault> {
        match dates.data_type() {
            DataType::Date32 => Ok(dates.as_primitive::<Date32Type>().iter().collect()),
            DataType::Timestamp(unit, zone) => Ok(match unit {
                TimeUnit::Second => self.of(dates.as_primitive::<TimestampSecondType>(), 1, zone.is_some()),
                TimeUnit::Millisecond => {
                    self.of(dates.as_primitive::<TimestampMillisecondType>(), 1_000, zone.is_some())
                }
                TimeUnit::Microsecond => {
                    self.of(dates.as_primitive::<TimestampMicrosecondType>(), 1_000_000, zone.is_some())
                }
                TimeUnit::Nanosecond => {
                    self.of(dates.as_primitive::<TimestampNanosecondType>(), 1_000_000_000, zone.is_some())
                }
            }),
            _ => Err(Fault::halt("config.date", "the date column of the table is neither a date nor a timestamp")),
        }
    }

    fn of<T: ArrowPrimitiveType<Native = i64>>(
        &mut self,
        times: &PrimitiveArray<T>,
        per_second: i64,
        is_instant: bool,
    ) -> Vec<Option<EpochDay>> {
        let mut day = |time: i64| {
            let second = time.div_euclid(per_second);
            if is_instant { self.instant(second) } else { whole_day(second) }
        };
        times.iter().map(|time| time.and_then(&mut day)).collect()
    }

    /// The day of an instant, in seconds.
    fn instant(&mut self, second: i64) -> Option<EpochDay> {
        if self.is_utc {
            return whole_day(second);
        }
        let offset = match self.span {
            Some((from, to, offset)) if from <= second && second < to => offset,
            _ => self.look_up(second)?,
        };
        whole_day(second.checked_add(offset)?)
    }

    fn look_up(&mut self, second: i64) -> Option<i64> {
        let moment = Timestamp::from_second(second).ok()?;
        let offset = i64::from(self.zone.to_offset(moment).seconds());
        let to = self.zone.following(moment).next().map_or(i64::MAX, |change| change.timestamp().as_second());
        self.span = Some((second, to, offset));
        Some(offset)
    }
}

fn whole_day(second: i64) -> Option<EpochDay> {
    EpochDay::try_from(second.div_euclid(SECONDS_PER_DAY)).ok()
}

/// Which days are good for a row, by the Kafka timestamp of its message.
#[derive(Debug, Clone)]
pub struct GoodDays {
    min: DateBound,
    max: DateBound,
    today: DayOf,
    /// The last answer: rows of one message come after each other.
    last: Option<(Option<i64>, (EpochDay, EpochDay))>,
}

impl GoodDays {
    /// By the settings of a table.
    ///
    /// # Errors
    ///
    /// An unknown zone.
    pub fn new(settings: &ProcessedSettings) -> Result<Self, Fault> {
        let today = DayOf::new(settings)?;
        Ok(Self { min: settings.date_min, max: settings.date_max, today, last: None })
    }

    /// The first and the last good day for a message that was sent at that time (microseconds); `now` stands for a time
    /// that is not known, or beyond the calendar. A bound that counts from there is none where neither is known.
    pub fn of(&mut self, sent_us: Option<i64>, now_us: Option<i64>) -> (EpochDay, EpochDay) {
        if let Some((known, days)) = self.last
            && known == sent_us
        {
            return days;
        }
        let today = self.day_of(sent_us).or_else(|| self.day_of(now_us));
        let day = |bound: DateBound| match bound {
            DateBound::Date(date) => Some(day_number(date)),
            DateBound::Relative(days) => today.map(|today| today.saturating_add(days)),
        };
        let (first, last) = (day(self.min), day(self.max));
        let first = first.map_or(*READABLE.start(), |first| first.max(*READABLE.start()));
        let last = last.map_or(*READABLE.end(), |last| last.min(*READABLE.end()));
        self.last = Some((sent_us, (first, last)));
        (first, last)
    }

    /// The day of an instant, in the table's zone; none beyond the calendar.
    fn day_of(&mut self, at_us: Option<i64>) -> Option<EpochDay> {
        let second = at_us?.div_euclid(1_000_000);
        Timestamp::from_second(second).ok().and_then(|_| self.today.instant(second))
    }
}

/// A calendar date, counted in days; all of them fit.
fn day_number(date: Date) -> EpochDay {
    let days = date.duration_since(EPOCH).as_hours().div_euclid(24);
    EpochDay::try_from(days).unwrap_or(if days < 0 { EpochDay::MIN } else { EpochDay::MAX })
}

#[cfg(test)]
mod tests;
