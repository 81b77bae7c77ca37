//! From typed values back to text: what a value is as JSON.

use std::fmt::{Arguments, Write as _};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::calendar::{DAY, date};
use super::value::Value;
use crate::model::mapping::{Kind, Precision};

/// Appends a value of that type as JSON: numbers and decimals as numbers with all digits of their scale, dates and
/// times as strings in their ISO form (instants in UTC), bytes as base64, JSON as it is, everything else as a string.
/// `INF`, `-INF` and `NaN`, for which JSON has no numbers, are strings.
pub fn push_json(value: Value<'_>, kind: &Kind, out: &mut String) {
    match (value, kind) {
        (Value::Null, _) => out.push_str("null"),
        (Value::Bool(value), _) => out.push_str(if value { "true" } else { "false" }),
        (Value::Int(days), Kind::Date) => quoted(out, |out| push_date(days, out)),
        (Value::Int(ticks), Kind::Time(precision)) => quoted(out, |out| push_time(ticks, *precision, out)),
        (Value::Int(ticks), Kind::Timestamp(precision)) => quoted(out, |out| {
            push_moment(ticks, *precision, out);
            out.push('Z');
        }),
        (Value::Int(ticks), Kind::LocalTimestamp(precision)) => {
            quoted(out, |out| push_moment(ticks, *precision, out));
        }
        (Value::Int(value), _) => put(out, format_args!("{value}")),
        (Value::Float32(value), _) if value.is_finite() => put(out, format_args!("{value:?}")),
        (Value::Float64(value), _) if value.is_finite() => put(out, format_args!("{value:?}")),
        (Value::Float32(value), _) => not_finite(f64::from(value), out),
        (Value::Float64(value), _) => not_finite(value, out),
        (Value::Decimal(value), Kind::Decimal(_, scale)) => push_decimal(value, *scale, out),
        (Value::Decimal(value), _) => put(out, format_args!("{value}")),
        (Value::Bytes(bytes), _) => quoted(out, |out| STANDARD.encode_string(bytes, out)),
        (Value::Text(text), Kind::Json) => out.push_str(text),
        (Value::Text(text), _) => push_string(text, out),
    }
}

/// Appends a JSON string.
pub fn push_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            plain @ (b'"' | b'\\') => out.extend(['\\', char::from(plain)]),
            control => put(out, format_args!("\\u{control:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

fn put(out: &mut String, text: Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = out.write_fmt(text);
}

fn quoted(out: &mut String, write: impl FnOnce(&mut String)) {
    out.push('"');
    write(out);
    out.push('"');
}

fn not_finite(value: f64, out: &mut String) {
    out.push_str(if value.is_nan() {
        "\"NaN\""
    } else if value > 0.0 {
        "\"INF\""
    } else {
        "\"-INF\""
    });
}

/// The whole number of the last place with its point.
fn push_decimal(value: i128, scale: i8, out: &mut String) {
    let sign = if value < 0 { "-" } else { "" };
    let digits = value.unsigned_abs();
    let places = usize::from(scale.unsigned_abs());
    if places == 0 {
        return put(out, format_args!("{sign}{digits}"));
    }
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    put(out, format_args!("{sign}{whole}.{fraction}"));
}

fn push_date(days: i64, out: &mut String) {
    let (year, month, day) = date(days);
    let sign = if year < 0 { "-" } else { "" };
    put(out, format_args!("{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs()));
}

fn push_time(ticks: i64, precision: Precision, out: &mut String) {
    let each = 10_i64.pow(precision.digits());
    let (second, fraction) = (ticks.div_euclid(each), ticks.rem_euclid(each));
    put(out, format_args!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60));
    if fraction > 0 {
        let digits = format!("{fraction:0>width$}", width = precision.digits() as usize);
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
}

fn push_moment(ticks: i64, precision: Precision, out: &mut String) {
    let day = i64::from(DAY) * 10_i64.pow(precision.digits());
    push_date(ticks.div_euclid(day), out);
    out.push('T');
    push_time(ticks.rem_euclid(day), precision, out);
}
