//! Types of columns.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

use super::column::Column;

/// Type of a column, or of the items of a list.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// UTF-8 text.
    String,
    /// `true`, `false`, `1`, `0`.
    Bool,
    /// Signed whole numbers.
    Int8,
    /// Signed whole numbers.
    Int16,
    /// Signed whole numbers.
    Int32,
    /// Signed whole numbers.
    Int64,
    /// IEEE 754, single precision.
    Float32,
    /// IEEE 754, double precision.
    Float64,
    /// Exact decimal of a precision (1 to 38 digits) and a scale (0 to 38 of them).
    Decimal(u8, i8),
    /// Calendar date.
    Date,
    /// Time of day.
    Time(Precision),
    /// Instant, UTC.
    Timestamp(Precision),
    /// Calendar date and time of day of no certain zone.
    LocalTimestamp(Precision),
    /// Bytes, written as text.
    Binary(BinaryText),
    /// Text that is a JSON document.
    Json,
    /// An element as XML text, well-formed on its own.
    Xml,
    /// Fields of their own.
    Struct(Arc<[Column]>),
}

/// Unit of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Milliseconds.
    Milli,
    /// Microseconds.
    Micro,
    /// Nanoseconds.
    Nano,
}

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryText {
    /// `xs:base64Binary`.
    Base64,
    /// `xs:hexBinary`.
    Hex,
}

impl Precision {
    /// Arrow's unit.
    pub fn unit(self) -> TimeUnit {
        match self {
            Self::Milli => TimeUnit::Millisecond,
            Self::Micro => TimeUnit::Microsecond,
            Self::Nano => TimeUnit::Nanosecond,
        }
    }

    /// Digits of a second.
    pub fn digits(self) -> u32 {
        match self {
            Self::Milli => 3,
            Self::Micro => 6,
            Self::Nano => 9,
        }
    }
}

impl Kind {
    /// The Arrow type of one value.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::String | Self::Json | Self::Xml => DataType::Utf8,
            Self::Bool => DataType::Boolean,
            Self::Int8 => DataType::Int8,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale),
            Self::Date => DataType::Date32,
            Self::Time(Precision::Milli) => DataType::Time32(TimeUnit::Millisecond),
            Self::Time(precision) => DataType::Time64(precision.unit()),
            Self::Timestamp(precision) => DataType::Timestamp(precision.unit(), Some("UTC".into())),
            Self::LocalTimestamp(precision) => DataType::Timestamp(precision.unit(), None),
            Self::Binary(_) => DataType::Binary,
            Self::Struct(fields) => DataType::Struct(fields.iter().map(Column::field).collect::<Vec<Field>>().into()),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Milli => "ms",
            Self::Micro => "us",
            Self::Nano => "ns",
        })
    }
}

/// The type as a mapping writes it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timed = |f: &mut fmt::Formatter<'_>, name: &str, precision: &Precision| match precision {
            Precision::Micro => f.write_str(name),
            other => write!(f, "{name}({other})"),
        };
        match self {
            Self::String => f.write_str("string"),
            Self::Bool => f.write_str("bool"),
            Self::Int8 => f.write_str("int8"),
            Self::Int16 => f.write_str("int16"),
            Self::Int32 => f.write_str("int32"),
            Self::Int64 => f.write_str("int64"),
            Self::Float32 => f.write_str("float32"),
            Self::Float64 => f.write_str("float64"),
            Self::Decimal(precision, scale) => write!(f, "decimal({precision},{scale})"),
            Self::Date => f.write_str("date"),
            Self::Time(precision) => timed(f, "time", precision),
            Self::Timestamp(precision) => timed(f, "timestamp", precision),
            Self::LocalTimestamp(precision) => timed(f, "timestamp_ntz", precision),
            Self::Binary(BinaryText::Base64) => f.write_str("binary"),
            Self::Binary(BinaryText::Hex) => f.write_str("binary(hex)"),
            Self::Json => f.write_str("json"),
            Self::Xml => f.write_str("xml"),
            Self::Struct(_) => f.write_str("struct"),
        }
    }
}
