//! What goes in and what comes out.

use std::borrow::Cow;

use crate::model::violation::Code;

/// A value as it is in its column.
///
/// The tag is as wide as a word, so that every payload begins at a word. Otherwise the compiler moves a value in pieces
/// that overlap, and each load waits until the store before it has left the core: 6 % of Kafka → RAW.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(u64)]
pub enum Value<'t> {
    /// None.
    Null,
    /// `string`, `json`, `xml`.
    Text(&'t str),
    /// `bool`.
    Bool(bool),
    /// `int8` … `int64`, always in the range of the type. A `date` as days since 1970-01-01 (in the range of `i32`), a
    /// `time` as ticks of its precision since midnight, a timestamp as ticks since 1970-01-01T00:00:00.
    Int(i64),
    /// `float32`.
    Float32(f32),
    /// `float64`.
    Float64(f64),
    /// `decimal(p,s)` as the whole number of its last place.
    Decimal(i128),
    /// `binary`.
    Bytes(&'t [u8]),
}

/// Why a text is no value of its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What kind of violation.
    pub code: Code,
    /// A fragment that follows "the value of price is ".
    pub what: Cow<'static, str>,
}

impl Refused {
    /// A violation with a fragment that follows "the value of price is ". Boxed on its way up, so that the answer for a
    /// good value fits in registers.
    #[cold]
    pub(super) fn new(code: Code, what: impl Into<Cow<'static, str>>) -> Box<Self> {
        Box::new(Self { code, what: what.into() })
    }
}

/// Something wrong with the rules of a column, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Key of the mapping file: `default`, `regex`, …
    pub key: &'static str,
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl Wrong {
    pub(super) fn new(key: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { key, message: message.into(), help: Some(help.into()) }
    }
}

/// Buffers that are used again from value to value; they grow to the longest value that needed them. One for a thread.
#[derive(Debug, Default)]
pub struct Memory {
    /// Text with collapsed white space.
    pub(super) collapsed: String,
    /// A number with the marks of XML Schema; base64 without white space.
    pub(super) plain: String,
    /// Decoded bytes; what is open in a JSON document.
    pub(super) bytes: Vec<u8>,
}
