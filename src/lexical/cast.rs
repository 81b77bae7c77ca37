//! The cast of a column: its type with everything that says how its values are written.

use super::binary;
use super::decimal::Decimal;
use super::fit::{Moment, Shape};
use super::json;
use super::marks::Marks;
use super::number::{Whole, boolean, float};
use super::pattern::Pattern;
use super::value::{Refused, Value, Wrong};
use super::zone::Zone;
use crate::model::mapping::{BinaryText, Kind, Precision, ValueRules};
use crate::model::violation::Code;

/// From trimmed text to a value.
#[derive(Debug)]
pub(super) enum Cast {
    /// Kept as it is.
    Text,
    /// A value of fixed width.
    Scalar(Scalar),
    /// A number with other marks, brought to the usual ones first.
    Marked(Marks, Scalar),
    /// Decoded.
    Binary(BinaryText),
    /// Checked, and kept as it is.
    Json,
}

/// From trimmed text to a value that keeps nothing of the text.
#[derive(Debug)]
pub(super) enum Scalar {
    Bool,
    Whole(Whole),
    Float32,
    Float64,
    Decimal(Decimal),
    Moment(Moment),
}

impl Cast {
    /// The cast of a type; `wrong` takes what is wrong with the rules that it needs. None when nothing can be made of
    /// them.
    pub(super) fn compile(kind: &Kind, rules: &ValueRules, wrong: &mut Vec<Wrong>) -> Option<Self> {
        let whole = |name, low, high| Scalar::Whole(Whole { name, low, high });
        let scalar = match *kind {
            Kind::String | Kind::Xml | Kind::Struct(_) => return Some(Self::Text),
            Kind::Binary(form) => return Some(Self::Binary(form)),
            Kind::Json => return Some(Self::Json),
            Kind::Bool => Scalar::Bool,
            Kind::Int8 => whole("int8", i8::MIN.into(), i8::MAX.into()),
            Kind::Int16 => whole("int16", i16::MIN.into(), i16::MAX.into()),
            Kind::Int32 => whole("int32", i32::MIN.into(), i32::MAX.into()),
            Kind::Int64 => whole("int64", i64::MIN, i64::MAX),
            Kind::Float32 => Scalar::Float32,
            Kind::Float64 => Scalar::Float64,
            Kind::Decimal(precision, scale) => match Decimal::new(precision, scale, rules.rounding) {
                Some(decimal) => Scalar::Decimal(decimal),
                None => {
                    let message = format!("there is no decimal({precision},{scale})");
                    wrong.push(Wrong::new("type", message, "take a precision of 1 to 38 and a scale of 0 to 38"));
                    return None;
                }
            },
            // The unit of a date's fraction does not matter.
            Kind::Date => Scalar::Moment(moment(Shape::Date, Precision::Micro, rules, wrong)?),
            Kind::Time(precision) => Scalar::Moment(moment(Shape::Time, precision, rules, wrong)?),
            Kind::Timestamp(precision) => Scalar::Moment(moment(Shape::Instant, precision, rules, wrong)?),
            Kind::LocalTimestamp(precision) => Scalar::Moment(moment(Shape::Local, precision, rules, wrong)?),
        };
        let marks = match scalar {
            Scalar::Whole(_) => Marks::of_whole(rules.group),
            Scalar::Float32 | Scalar::Float64 | Scalar::Decimal(_) => Marks::new(rules.decimal, rules.group),
            Scalar::Bool | Scalar::Moment(_) => None,
        };
        Some(match marks {
            Some(marks) => Self::Marked(marks, scalar),
            None => Self::Scalar(scalar),
        })
    }

    /// The value that the text is.
    #[inline]
    pub(super) fn cast<'t>(
        &self,
        text: &'t str,
        plain: &'t mut String,
        bytes: &'t mut Vec<u8>,
    ) -> Result<Value<'t>, Box<Refused>> {
        match self {
            Self::Scalar(scalar) => scalar.cast(text),
            Self::Text => Ok(Value::Text(text)),
            Self::Marked(marks, scalar) => match marks.plain(text, plain) {
                Some(number) => scalar.cast(number),
                None => Err(scalar.misplaced_groups()),
            },
            Self::Binary(form) => binary::read(*form, text, plain, bytes).map(Value::Bytes),
            Self::Json => json::check(text, bytes).map(|()| Value::Text(text)),
        }
    }
}

impl Scalar {
    #[inline]
    fn cast<'v>(&self, text: &str) -> Result<Value<'v>, Box<Refused>> {
        Ok(match self {
            Self::Whole(whole) => Value::Int(whole.read(text)?),
            Self::Decimal(decimal) => Value::Decimal(decimal.read(text)?),
            Self::Moment(moment) => Value::Int(moment.read(text)?),
            Self::Float64 => Value::Float64(float(text)?),
            Self::Float32 => Value::Float32(float(text)?),
            Self::Bool => Value::Bool(boolean(text)?),
        })
    }

    #[cold]
    fn misplaced_groups(&self) -> Box<Refused> {
        let (code, name) = match self {
            Self::Whole(_) => (Code::TYPE_INT, "a whole number"),
            Self::Decimal(_) => (Code::TYPE_DECIMAL, "a decimal"),
            _ => (Code::TYPE_FLOAT, "a number"),
        };
        Refused::new(code, format!("not {name}, or its digits are not in groups of three"))
    }
}

/// A type of dates or times with its zone and its patterns; none when one of them is wrong.
fn moment(shape: Shape, precision: Precision, rules: &ValueRules, wrong: &mut Vec<Wrong>) -> Option<Moment> {
    let before = wrong.len();
    let zone = rules.zone.as_deref().and_then(|name| {
        let zone = Zone::named(name);
        if zone.is_none() {
            let help = "take a name of the IANA time zone database, such as Europe/Paris or UTC";
            wrong.push(Wrong::new("zone", format!("{name:?} is not a time zone"), help));
        }
        zone
    });
    let mut patterns = Vec::with_capacity(rules.formats.len());
    for format in &rules.formats {
        match Pattern::compile(format, shape, rules.zone.is_some()) {
            Ok(pattern) => patterns.push(pattern),
            Err((message, help)) => wrong.push(Wrong::new("format", format!("{format:?}: {message}"), help)),
        }
    }
    (wrong.len() == before).then(|| Moment::new(shape, precision, rules.rounding, zone, patterns))
}
