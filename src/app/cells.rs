//! Values of a table as JSON, and as text for people.
//!
//! Decimals are strings, timestamps RFC 3339, those without a zone ISO 8601, dates ISO, binary base64: what JSON could
//! hold only with a loss is text.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

/// The value at `row` as JSON.
pub fn json(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int8 => column.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => column.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float32 => float32(column.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => float64(column.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(row).into(),
        DataType::Binary => STANDARD.encode(column.as_binary::<i32>().value(row)).into(),
        DataType::LargeBinary => STANDARD.encode(column.as_binary::<i64>().value(row)).into(),
        DataType::Decimal128(..) => column.as_primitive::<Decimal128Type>().value_as_string(row).into(),
        DataType::Date32 => date(column.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(unit, zone) => timestamp(column, row, *unit, zone.is_some()),
        DataType::Dictionary(..) => {
            let dictionary = column.as_any_dictionary();
            json(dictionary.values().as_ref(), dictionary.normalized_keys()[row])
        }
        DataType::List(_) => {
            let members = column.as_list::<i32>().value(row);
            (0..members.len()).map(|member| json(members.as_ref(), member)).collect()
        }
        DataType::Struct(fields) => {
            let members = column.as_struct();
            let member = |(index, name): (usize, &String)| (name.clone(), json(members.column(index).as_ref(), row));
            Value::Object(fields.iter().map(|field| field.name()).enumerate().map(member).collect::<Map<_, _>>())
        }
        _ => other(column, row),
    }
}

/// The value at `row` as text: what `--where` compares with, and what a table shows. Null is the empty text.
pub fn text(column: &dyn Array, row: usize) -> String {
    match json(column, row) {
        Value::Null => String::new(),
        Value::String(text) => text,
        value => value.to_string(),
    }
}

/// The value at `row` as text for a table: as [`text`], but bytes that are text are shown as such.
pub fn cell(column: &dyn Array, row: usize) -> String {
    if let Some(bytes) = column.as_binary_opt::<i32>()
        && bytes.is_valid(row)
        && let Ok(readable) = std::str::from_utf8(bytes.value(row))
    {
        return readable.to_owned();
    }
    text(column, row)
}

/// A type for people, in the words of a mapping.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => "string".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Binary | DataType::LargeBinary => "binary".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp".to_owned(),
        DataType::Timestamp(_, None) => "timestamp_ntz".to_owned(),
        DataType::Dictionary(_, values) => type_name(values),
        DataType::List(member) => format!("list<{}>", type_name(member.data_type())),
        DataType::Struct(fields) => {
            let members: Vec<_> =
                fields.iter().map(|field| format!("{} {}", field.name(), type_name(field.data_type()))).collect();
            format!("struct<{}>", members.join(", "))
        }
        other => other.to_string().to_lowercase(),
    }
}

fn float32(value: f32) -> Value {
    // Through its shortest text, or 0.1 would become 0.10000000149011612.
    float64(value.to_string().parse().unwrap_or(f64::from(value)))
}

fn float64(value: f64) -> Value {
    // JSON has no infinity and no "not a number".
    serde_json::Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)
}

fn date(days: i32) -> Value {
    let span = jiff::Span::new().try_days(days);
    let date = span.and_then(|span| Date::constant(1970, 1, 1).checked_add(span));
    date.map_or_else(|_| format!("{days} days since 1970").into(), |date| date.to_string().into())
}

/// An instant, or without a zone what a calendar and a clock show.
fn timestamp(column: &dyn Array, row: usize, unit: TimeUnit, is_instant: bool) -> Value {
    let (value, instant) = match unit {
        TimeUnit::Second => {
            let value = column.as_primitive::<TimestampSecondType>().value(row);
            (value, Timestamp::from_second(value))
        }
        TimeUnit::Millisecond => {
            let value = column.as_primitive::<TimestampMillisecondType>().value(row);
            (value, Timestamp::from_millisecond(value))
        }
        TimeUnit::Microsecond => {
            let value = column.as_primitive::<TimestampMicrosecondType>().value(row);
            (value, Timestamp::from_microsecond(value))
        }
        TimeUnit::Nanosecond => {
            let value = column.as_primitive::<TimestampNanosecondType>().value(row);
            (value, Timestamp::from_nanosecond(i128::from(value)))
        }
    };
    match instant {
        Ok(instant) if is_instant => instant.to_string().into(),
        Ok(instant) => TimeZone::UTC.to_datetime(instant).to_string().into(),
        Err(_) => format!("{value} since 1970").into(),
    }
}

fn other(column: &dyn Array, row: usize) -> Value {
    let options = FormatOptions::default();
    ArrayFormatter::try_new(column, &options).map_or(Value::Null, |format| format.value(row).to_string().into())
}

#[cfg(test)]
mod tests;
