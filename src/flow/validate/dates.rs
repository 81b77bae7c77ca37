//! The date rule: every row that is to be promoted needs a date within bounds.

use arrow::array::{Array, ArrayRef};
use jiff::Timestamp;

use crate::fault::Fault;
use crate::flow::dates::{DayOf, GoodDays, day_text, has_days};
use crate::model::table::{ProcessedSettings, Table};

/// The rule of one table.
#[derive(Debug)]
pub(super) struct DateRule {
    /// Place of the date column in the RAW schema.
    pub(super) column: usize,
    /// Its name.
    pub(super) name: String,
    days: DayOf,
    good: GoodDays,
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
        if !has_days(schema.field(column).data_type()) {
            return Err(refuse(format!("date names {name}, which is neither a date nor a timestamp")));
        }
        let in_table = |fault: Fault| fault.while_doing(format_args!("table {}", table.name));
        let days = DayOf::new(settings).map_err(in_table)?;
        Ok(Self { column, name, days, good: GoodDays::new(settings).map_err(in_table)? })
    }

    /// The rows whose date is bad, each with what is wrong with it as a sentence. `sent_us` tells the Kafka timestamp
    /// of a row's message; `now` stands for one that is not known, or beyond the calendar.
    ///
    /// # Errors
    ///
    /// A fault of ours.
    pub(super) fn judge(
        &self,
        column: &ArrayRef,
        sent_us: impl Fn(usize) -> Option<i64>,
        now: Timestamp,
    ) -> Result<Vec<(usize, String)>, Fault> {
        let (mut days, mut good) = (self.days.clone(), self.good.clone());
        let mut bad = Vec::new();
        for (row, day) in days.days(column)?.into_iter().enumerate() {
            let (first, last) = good.of(sent_us(row), Some(now.as_microsecond()));
            let text = |day| day_text(day).unwrap_or_default();
            let what = match day {
                Some(day) if day < first => format!("before {}", text(first)),
                Some(day) if day > last => format!("after {}", text(last)),
                Some(_) => continue,
                None if column.is_null(row) => "missing".to_owned(),
                None => "beyond the calendar".to_owned(),
            };
            bad.push((row, format!("the date of the row ({}) is {what}", self.name)));
        }
        Ok(bad)
    }
}
