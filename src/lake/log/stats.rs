//! What a file holds, in the form in which the log wants it: one row of counts and bounds.

use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Int8Array, Int16Array, Int32Array, Int64Array, StructArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Fields};
use jiff::civil::Date;

use crate::fault::Fault;
use crate::lake::columns::ColumnSpec;
use crate::lake::plan::PlannedFile;

/// Days since 1970-01-01.
pub(crate) fn epoch_day(date: Date) -> i32 {
    const EPOCH: Date = Date::constant(1970, 1, 1);
    date.duration_since(EPOCH).as_hours().div_euclid(24) as i32
}

/// `{numRecords, nullCount, minValues, maxValues, tightBounds}` of one file.
pub(super) fn record(file: &PlannedFile, columns: &[ColumnSpec]) -> Result<StructArray, Fault> {
    let (mut nulls, mut least, mut greatest, mut is_tight) = (Vec::new(), Vec::new(), Vec::new(), true);
    for stats in &file.stats {
        let Some(column) = columns.iter().find(|column| column.name == stats.column) else { continue };
        let kind = column.data_type()?;
        nulls.push((&stats.column, Arc::new(Int64Array::from(vec![count(stats.nulls)])) as ArrayRef));
        let bounds = stats.bounds.and_then(|bounds| told(&kind, bounds));
        is_tight &= bounds == stats.bounds;
        let bound = |of: fn((i64, i64)) -> i64| one(&kind, bounds.map(of));
        if let (Some(low), Some(high)) = (bound(|(low, _)| low), bound(|(_, high)| high)) {
            least.push((&stats.column, low));
            greatest.push((&stats.column, high));
        }
    }
    let name =
        [String::from("numRecords"), "nullCount".into(), "minValues".into(), "maxValues".into(), "tightBounds".into()];
    let [records, null_count, min_values, max_values, tight] = &name;
    let mut parts: Vec<(&String, ArrayRef)> = vec![(records, Arc::new(Int64Array::from(vec![count(file.rows)])))];
    for (name, group) in [(null_count, nulls), (min_values, least), (max_values, greatest)] {
        if !group.is_empty() {
            parts.push((name, Arc::new(row(group)?)));
        }
    }
    parts.push((tight, Arc::new(BooleanArray::from(vec![is_tight]))));
    row(parts)
}

fn row(parts: Vec<(&String, ArrayRef)>) -> Result<StructArray, Fault> {
    let fields: Fields = parts.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    StructArray::try_new(fields, parts.into_iter().map(|(_, array)| array).collect(), None)
        .map_err(|error| Fault::internal("promote.log", format!("statistics of a file: {error}")))
}

/// Days of the years 1 to 9999. The log writes dates as text, and beyond these years readers do not agree on one.
const TELLABLE_DAYS: RangeInclusive<i64> = -719_162..=2_932_896;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The bounds that the log can tell: its times are cut to milliseconds, so they are rounded outwards before, or a
/// reader that skips files by them would miss the last rows of a file. None where one of them has no text.
fn told(kind: &DataType, (low, high): (i64, i64)) -> Option<(i64, i64)> {
    let tellable = |low: i64, high: i64| TELLABLE_DAYS.contains(&low) && TELLABLE_DAYS.contains(&high);
    match kind {
        DataType::Date32 => tellable(low, high).then_some((low, high)),
        DataType::Timestamp(..) => {
            let up = high.checked_add(999).unwrap_or(high).div_euclid(1000) * 1000;
            let down = low.div_euclid(1000).checked_mul(1000).unwrap_or(low);
            tellable(down.div_euclid(MICROS_PER_DAY), up.div_euclid(MICROS_PER_DAY)).then_some((down, up))
        }
        _ => Some((low, high)),
    }
}

fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// An array of one value, for the types whose bounds are whole numbers.
fn one(kind: &DataType, value: Option<i64>) -> Option<ArrayRef> {
    Some(match kind {
        DataType::Int8 => Arc::new(Int8Array::from(vec![value.and_then(|value| i8::try_from(value).ok())])),
        DataType::Int16 => Arc::new(Int16Array::from(vec![value.and_then(|value| i16::try_from(value).ok())])),
        DataType::Int32 => Arc::new(Int32Array::from(vec![value.and_then(|value| i32::try_from(value).ok())])),
        DataType::Int64 => Arc::new(Int64Array::from(vec![value])),
        DataType::Date32 => Arc::new(Date32Array::from(vec![value.and_then(|value| i32::try_from(value).ok())])),
        DataType::Timestamp(_, zone) => {
            Arc::new(TimestampMicrosecondArray::from(vec![value]).with_timezone_opt(zone.clone()))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_outwards_to_what_the_log_can_tell() {
        let time = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()));
        assert_eq!(told(&time, (1_001, 1_001)), Some((1_000, 2_000)));
        assert_eq!(told(&time, (-1_001, -1)), Some((-2_000, 0)));
        assert_eq!(told(&time, (3_000, 4_000)), Some((3_000, 4_000)));
        assert_eq!(told(&DataType::Int64, (1_001, 1_001)), Some((1_001, 1_001)));
    }

    #[test]
    fn dates_and_times_that_have_no_text_are_no_bounds() {
        let time = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()));
        let day = |date: &str| i64::from(epoch_day(date.parse().unwrap()));
        let (first, last) = (day("0001-01-01"), day("9999-12-31"));
        assert_eq!(told(&DataType::Date32, (first, last)), Some((first, last)));
        assert_eq!(told(&DataType::Date32, (first - 1, last)), None);
        assert_eq!(told(&DataType::Date32, (first, last + 1)), None);
        let (first, end) = (first * MICROS_PER_DAY, (last + 1) * MICROS_PER_DAY);
        assert_eq!(told(&time, (first, end - 1_000)), Some((first, end - 1_000)));
        assert_eq!(told(&time, (first - 1, 0)), None);
        assert_eq!(told(&time, (0, end - 1)), None);
        assert_eq!(told(&time, (i64::MIN, i64::MAX)), None);
    }

    #[test]
    fn days_count_from_1970_both_ways() {
        for (date, day) in [("1970-01-01", 0), ("1969-12-31", -1), ("2026-10-15", 20741), ("0001-01-01", -719162)] {
            assert_eq!(epoch_day(date.parse().unwrap()), day, "{date}");
        }
    }
}
