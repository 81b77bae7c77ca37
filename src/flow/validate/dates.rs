//! The date rule: every row that is to be promoted needs a date within bounds.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::fault::Fault;
use crate::model::table::{DateBound, ProcessedSettings, Table};

/// The rule of one table.
#[derive(Debug)]
pub(super) struct DateRule {
    /// Place of the date column in the RAW schema.
    pub(super) column: usize,
    /// Its name.
    pub(super) name: String,
    unit: Unit,
    zone: TimeZone,
    min: DateBound,
    max: DateBound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Day,
    Microsecond,
}

/// Good dates of messages whose Kafka timestamps lie on one day: `lowest <= value < end` in the column's unit.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    /// Kafka timestamps they hold for.
    valid_from: i64,
    valid_to: i64,
    lowest: i64,
    end: i64,
    first: Date,
    last: Date,
}

impl DateRule {
    /// The rule that a table's settings ask for.
    ///
    /// # Errors
    ///
    /// The table has no such column, or it is neither a date nor a timestamp, or there is no such zone.
    pub(super) fn new(table: &Table, settings: &ProcessedSettings) -> Result<Self, Fault> {
        let refuse = |what: String| Fault::halt("config.date", format!("table {}: {what}", table.name));
        let schema = table.mapping.raw_schema();
        let name = settings.date.clone();
        let column = schema.index_of(&name).map_err(|_| refuse(format!("date names {name}, which is no column")))?;
        let unit = match schema.field(column).data_type() {
            DataType::Date32 => Unit::Day,
            DataType::Timestamp(TimeUnit::Microsecond, _) => Unit::Microsecond,
            _ => return Err(refuse(format!("date names {name}, which is neither a date nor a timestamp"))),
        };
        let zone = TimeZone::get(&settings.date_zone)
            .map_err(|_| refuse(format!("date_zone {} is no known time zone", settings.date_zone)))?;
        Ok(Self { column, name, unit, zone, min: settings.date_min, max: settings.date_max })
    }

    /// What is wrong with the date of a row, as a sentence; `None` when it is good. `known` keeps the bounds from one
    /// message to the next.
    pub(super) fn judge(
        &self,
        column: &ArrayRef,
        row: usize,
        timestamp_us: Option<i64>,
        now: Timestamp,
        known: &mut Option<Bounds>,
    ) -> Option<String> {
        if column.is_null(row) {
            return Some(format!("the date of the row ({}) is missing", self.name));
        }
        let value = match self.unit {
            Unit::Day => i64::from(column.as_primitive::<Date32Type>().value(row)),
            Unit::Microsecond => column.as_primitive::<TimestampMicrosecondType>().value(row),
        };
        let received = timestamp_us.unwrap_or_else(|| now.as_microsecond());
        let bounds = match known {
            Some(bounds) if bounds.valid_from <= received && received < bounds.valid_to => bounds,
            _ => known.insert(self.bounds(received, now)),
        };
        if value < bounds.lowest {
            return Some(format!("the date of the row ({}) is before {}", self.name, bounds.first));
        }
        (value >= bounds.end).then(|| format!("the date of the row ({}) is after {}", self.name, bounds.last))
    }

    fn bounds(&self, received_us: i64, now: Timestamp) -> Bounds {
        // A Kafka timestamp beyond the calendar is no timestamp.
        let received = Timestamp::from_microsecond(received_us);
        let today = self.zone.to_datetime(received.as_ref().copied().unwrap_or(now)).date();
        let bound = |bound: DateBound| match bound {
            DateBound::Date(date) => date,
            DateBound::Relative(days) => moved(today, days),
        };
        let (first, last) = (bound(self.min), bound(self.max));
        let (lowest, end) = match self.unit {
            Unit::Day => (day_number(first), day_number(last).saturating_add(1)),
            Unit::Microsecond => (self.start_of(first), last.tomorrow().map_or(i64::MAX, |day| self.start_of(day))),
        };
        let (valid_from, valid_to) = match received {
            Ok(_) => (self.start_of(today), today.tomorrow().map_or(i64::MAX, |day| self.start_of(day))),
            Err(_) => (received_us, received_us.saturating_add(1)),
        };
        Bounds { valid_from, valid_to, lowest, end, first, last }
    }

    /// First microsecond of a day in the zone.
    fn start_of(&self, day: Date) -> i64 {
        let start = day.to_zoned(self.zone.clone()).map(|zoned| zoned.timestamp().as_microsecond());
        start.unwrap_or(if day.year() > 0 { i64::MAX } else { i64::MIN })
    }
}

fn moved(day: Date, days: i32) -> Date {
    let end = if days > 0 { Date::MAX } else { Date::MIN };
    Span::new().try_days(days).ok().and_then(|span| day.checked_add(span).ok()).unwrap_or(end)
}

/// Days since 1970-01-01.
fn day_number(day: Date) -> i64 {
    let since = day.since((jiff::Unit::Day, jiff::civil::date(1970, 1, 1)));
    since.map_or(if day.year() > 0 { i64::MAX } else { i64::MIN }, |span| i64::from(span.get_days()))
}
