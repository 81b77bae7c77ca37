//! The types of the mapping language and the forms of their texts: XML Schema's lexical forms, nothing more lenient.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;

use super::source::is_space;

/// A type of the mapping language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    String,
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Decimal(u8, u8),
    Date,
    Time,
    Timestamp(Unit),
    LocalTimestamp(Unit),
    Base64,
    Hex,
    Xml,
}

impl Type {
    /// Whether its values are whole numbers of at most 64 bits.
    pub(super) fn is_whole(self) -> bool {
        matches!(self, Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64)
    }
}

/// Unit of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Micro,
    Nano,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::String => "string",
            Self::Bool => "bool",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Decimal(precision, scale) => return write!(f, "decimal({precision},{scale})"),
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp(Unit::Micro) => "timestamp",
            Self::Timestamp(Unit::Nano) => "timestamp(ns)",
            Self::LocalTimestamp(Unit::Micro) => "timestamp_ntz",
            Self::LocalTimestamp(Unit::Nano) => "timestamp_ntz(ns)",
            Self::Base64 => "binary(base64)",
            Self::Hex => "binary(hex)",
            Self::Xml => "xml",
        };
        f.write_str(name)
    }
}

/// Patterns that texts may follow which are not ISO 8601. Only ever told in a comment: which of two is meant nobody
/// can see from the values.
pub(super) const PATTERNS: [(&str, &str); 6] = [
    ("%d.%m.%Y", "date"),
    ("%d/%m/%Y", "date"),
    ("%m/%d/%Y", "date"),
    ("%Y/%m/%d", "date"),
    ("%Y-%m-%d %H:%M:%S", "timestamp_ntz"),
    ("%d-%m-%Y", "date"),
];

/// A number as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number<'t> {
    has_plus: bool,
    has_minus: bool,
    /// Digits before the point.
    pub(super) whole: &'t str,
    /// Digits after it, if there is one.
    pub(super) fraction: Option<&'t str>,
    pub(super) has_exponent: bool,
}

impl<'t> Number<'t> {
    pub(super) fn of(text: &'t str) -> Option<Self> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (has_plus, has_minus) = (text.starts_with('+'), text.starts_with('-'));
        let unsigned = if has_plus || has_minus { text.get(1..)? } else { text };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        if let Some(exponent) = exponent {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if exponent.is_empty() || !digits(exponent) {
                return None;
            }
        }
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let is_number =
            digits(whole) && fraction.is_none_or(digits) && !(whole.is_empty() && fraction.is_none_or(str::is_empty));
        is_number.then_some(Self { has_plus, has_minus, whole, fraction, has_exponent: exponent.is_some() })
    }

    /// Whether a number type would not keep how it is written: `007`, `+49`, `-0`, `5.`.
    pub(super) fn is_coded(&self) -> bool {
        let is_padded = self.whole.len() > 1 && self.whole.starts_with('0');
        let is_minus_zero = self.has_minus && self.whole == "0" && self.fraction.is_none();
        self.has_plus || is_padded || is_minus_zero || self.fraction == Some("")
    }

    pub(super) fn significant(&self) -> usize {
        let all = self.whole.bytes().chain(self.fraction.unwrap_or_default().bytes());
        all.skip_while(|&digit| digit == b'0').count()
    }
}

/// A date, a time of day, or both, as ISO 8601 and XML Schema write them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) year: Option<i16>,
    pub(super) has_clock: bool,
    pub(super) has_zone: bool,
    /// Digits of the fraction of a second, zeros at its end left out.
    pub(super) second_digits: usize,
}

impl Moment {
    pub(super) fn of(text: &str) -> Option<Self> {
        if let Some((clock, rest)) = text.split_at_checked(8)
            && clock.as_bytes().get(2) == Some(&b':')
        {
            let (second_digits, zone) = fraction(rest)?;
            let has_zone = is_zone(zone)?;
            is_clock(clock, second_digits)?;
            return Some(Self { year: None, has_clock: true, has_zone, second_digits });
        }
        let (date, rest) = text.split_at_checked(10)?;
        let year = year_of(date)?;
        let Some(rest) = rest.strip_prefix('T') else {
            return Some(Self { year: Some(year), has_clock: false, has_zone: is_zone(rest)?, second_digits: 0 });
        };
        let (clock, rest) = rest.split_at_checked(8)?;
        let (second_digits, zone) = fraction(rest)?;
        is_clock(clock, second_digits)?;
        Some(Self { year: Some(year), has_clock: true, has_zone: is_zone(zone)?, second_digits })
    }
}

/// The year of `YYYY-MM-DD`, if that is a day of the calendar.
fn year_of(date: &str) -> Option<i16> {
    let bytes = date.as_bytes();
    let dashes = bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-') && bytes.len() == 10;
    let year = if dashes { number(date.get(..4)?)? } else { return None };
    let (month, day) = (number(date.get(5..7)?)?, number(date.get(8..)?)?);
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    Date::new(year, month, day).ok().filter(|_| year > 0).map(|date| date.year())
}

fn number(digits: &str) -> Option<i16> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn is_clock(clock: &str, second_digits: usize) -> Option<()> {
    let bytes = clock.as_bytes();
    let colons = bytes.get(2) == Some(&b':') && bytes.get(5) == Some(&b':');
    let (hour, minute, second) = (number(clock.get(..2)?)?, number(clock.get(3..5)?)?, number(clock.get(6..8)?)?);
    let is_end_of_day = hour == 24 && minute == 0 && second == 0 && second_digits == 0;
    (colons && (hour < 24 || is_end_of_day) && minute < 60 && second < 60).then_some(())
}

/// Digits of a fraction without zeros at its end, and what follows it.
fn fraction(rest: &str) -> Option<(usize, &str)> {
    let Some(rest) = rest.strip_prefix('.') else { return Some((0, rest)) };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, zone) = rest.split_at_checked(end)?;
    (!digits.is_empty()).then(|| (digits.trim_end_matches('0').len(), zone))
}

/// Whether there is a zone; `None` when it is something else.
fn is_zone(zone: &str) -> Option<bool> {
    match zone {
        "" => return Some(false),
        "Z" => return Some(true),
        _ => {}
    }
    let offset = zone.strip_prefix(['+', '-'])?;
    let (hours, minutes) = offset.split_once(':')?;
    let is_two = hours.len() == 2 && minutes.len() == 2;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (is_two && minutes < 60 && hours * 60 + minutes <= 14 * 60).then_some(true)
}

/// Which of [`PATTERNS`] a text fits, as bits.
pub(super) fn patterns(text: &str) -> u8 {
    let two =
        |text: &str, most: i16| text.len() == 2 && number(text).is_some_and(|number| (1..=most).contains(&number));
    let year = |text: &str| text.len() == 4 && number(text).is_some_and(|number| number > 0);
    let parts = |separator: char| {
        let parts: Vec<&str> = text.split(separator).collect();
        <[&str; 3]>::try_from(parts).ok()
    };
    let day_first = |separator| parts(separator).is_some_and(|[d, m, y]| two(d, 31) && two(m, 12) && year(y));
    let month_first = parts('/').is_some_and(|[m, d, y]| two(m, 12) && two(d, 31) && year(y));
    let year_first = parts('/').is_some_and(|[y, m, d]| year(y) && two(m, 12) && two(d, 31));
    let blank = text.len() == 19
        && text.split_once(' ').is_some_and(|(date, clock)| year_of(date).is_some() && is_clock(clock, 0).is_some());
    let fits = [day_first('.'), day_first('/'), month_first, year_first, blank, day_first('-')];
    fits.iter().enumerate().map(|(bit, fits)| u8::from(*fits) << bit).sum()
}

/// Whether a text, trimmed, is a value of a type by its lexical forms; empty is null and fits.
pub(super) fn fits(kind: Type, text: &str) -> bool {
    let trimmed = text.trim_matches(is_space);
    if trimmed.is_empty() {
        return true;
    }
    let number = || Number::of(trimmed);
    let is_whole = number().is_some_and(|number| number.fraction.is_none() && !number.has_exponent);
    let whole =
        |low: i64, high: i64| is_whole && trimmed.parse::<i64>().is_ok_and(|value| (low..=high).contains(&value));
    let moment = || Moment::of(trimmed);
    let is_special = matches!(trimmed, "INF" | "-INF" | "+INF" | "NaN");
    match kind {
        Type::String | Type::Xml => true,
        Type::Bool => matches!(trimmed, "true" | "false" | "1" | "0"),
        Type::Int8 => whole(i64::from(i8::MIN), i64::from(i8::MAX)),
        Type::Int16 => whole(i64::from(i16::MIN), i64::from(i16::MAX)),
        Type::Int32 => whole(i64::from(i32::MIN), i64::from(i32::MAX)),
        Type::Int64 => whole(i64::MIN, i64::MAX),
        Type::Float32 => is_special || number().is_some() && trimmed.parse::<f32>().is_ok_and(f32::is_finite),
        Type::Float64 => is_special || number().is_some() && trimmed.parse::<f64>().is_ok_and(f64::is_finite),
        Type::Decimal(precision, scale) => number().is_some_and(|number| {
            let whole = number.whole.trim_start_matches('0').len();
            let fraction = number.fraction.unwrap_or_default().trim_end_matches('0').len();
            !number.has_exponent
                && fraction <= usize::from(scale)
                && whole <= usize::from(precision.saturating_sub(scale))
        }),
        Type::Date => moment().is_some_and(|moment| moment.year.is_some() && !moment.has_clock),
        Type::Time => moment().is_some_and(|m| m.year.is_none() && !m.has_zone && m.second_digits <= 6),
        Type::Timestamp(unit) | Type::LocalTimestamp(unit) => moment().is_some_and(|moment| {
            let is_fine = match unit {
                Unit::Micro => moment.second_digits <= 6,
                Unit::Nano => moment.second_digits <= 9 && moment.year.is_some_and(|year| (1678..2262).contains(&year)),
            };
            let has_right_zone = moment.has_zone == matches!(kind, Type::Timestamp(_));
            moment.year.is_some() && moment.has_clock && has_right_zone && is_fine
        }),
        Type::Base64 => {
            let bytes: Vec<u8> = trimmed.bytes().filter(|byte| !is_space(char::from(*byte))).collect();
            STANDARD.decode(bytes).is_ok()
        }
        Type::Hex => trimmed.len().is_multiple_of(2) && trimmed.bytes().all(|byte| byte.is_ascii_hexdigit()),
    }
}
