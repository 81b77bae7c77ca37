//! One buffer of values while it is built.
//!
//! Arrow's own builders cannot give back what was appended for a message that turns out to be bad; these can, by
//! truncation. They hand their memory to the Arrow array as it is: finishing copies nothing.

use std::sync::Arc;

use arrow::array::builder::NullBufferBuilder;
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, StringArray, Time32MillisecondArray,
    Time64MicrosecondArray, Time64NanosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{FieldRef, Fields};
use arrow::error::ArrowError;

use super::super::compile::{BufferId, Shape};
use crate::lexical::Value;
use crate::model::mapping::{Kind, Precision};

/// Most bytes of elements (or of text) that a finished buffer leaves room for in advance: a table may have many.
const MAX_RESERVE: usize = 128 << 10;

/// A buffer while it is built: as many values or nulls as were appended.
#[derive(Debug)]
pub(in crate::flow::parse) struct ColumnBuffer {
    pub(super) values: Values,
    validity: NullBufferBuilder,
    /// Of `validity`, which is slower to ask: this is asked for each value.
    len: usize,
}

#[derive(Debug)]
pub(super) enum Values {
    Text {
        offsets: Vec<i32>,
        bytes: Vec<u8>,
        is_binary: bool,
    },
    Bool(BooleanBufferBuilder),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>, Int32Kind),
    Int64(Vec<i64>, Int64Kind),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal(Vec<i128>, u8, i8),
    /// Lists of what another buffer holds.
    List {
        offsets: Vec<i32>,
        field: FieldRef,
        item: BufferId,
    },
    /// Structs of what other buffers hold.
    Struct {
        fields: Fields,
        buffers: Vec<BufferId>,
    },
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Int32Kind {
    Number,
    Date,
    Time,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Int64Kind {
    Number,
    Time(Precision),
    Timestamp(Precision),
    Local(Precision),
}

/// The buffer cannot hold the value: offsets in a column are 31 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::flow::parse) struct Full;

impl ColumnBuffer {
    /// An empty buffer.
    pub(super) fn new(shape: &Shape) -> Self {
        let values = match shape {
            Shape::Leaf(kind) => leaf(kind),
            Shape::List(field, item) => Values::List { offsets: vec![0], field: Arc::clone(field), item: *item },
            Shape::Struct(fields, buffers) => Values::Struct { fields: fields.clone(), buffers: buffers.clone() },
        };
        Self { values, validity: NullBufferBuilder::new(0), len: 0 }
    }

    /// Values and nulls appended so far.
    #[inline]
    pub(in crate::flow::parse) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of values of any length appended so far; for lists the number of items.
    pub(super) fn loose_bytes(&self) -> usize {
        match &self.values {
            Values::Text { bytes, .. } => bytes.len(),
            Values::List { offsets, .. } => offsets.last().map_or(0, |&end| end.unsigned_abs() as usize),
            _ => 0,
        }
    }

    /// Bytes of all that was appended so far, in this buffer alone.
    pub(super) fn bytes(&self) -> usize {
        let (width, text) = match &self.values {
            Values::Text { bytes, .. } => (4, bytes.len()),
            Values::List { .. } | Values::Int32(..) | Values::Float32(_) => (4, 0),
            Values::Bool(_) | Values::Struct { .. } => (0, self.len / 8),
            Values::Int8(_) => (1, 0),
            Values::Int16(_) => (2, 0),
            Values::Int64(..) | Values::Float64(_) => (8, 0),
            Values::Decimal(..) => (16, 0),
        };
        width * self.len + text + self.len / 8
    }

    /// Appends a single value; one that is not of the buffer's type becomes null.
    ///
    /// # Errors
    ///
    /// The buffer is full; nothing is appended then.
    #[inline]
    pub(in crate::flow::parse) fn push(&mut self, value: Value<'_>) -> Result<(), Full> {
        match (&mut self.values, value) {
            (Values::Text { offsets, bytes, is_binary: false }, Value::Text(text)) => {
                append(offsets, bytes, text.as_bytes())?;
            }
            (Values::Text { offsets, bytes, is_binary: true }, Value::Bytes(raw)) => append(offsets, bytes, raw)?,
            (Values::Bool(bits), Value::Bool(value)) => bits.append(value),
            (Values::Int8(vector), Value::Int(value)) => vector.push(i8::try_from(value).map_err(|_| Full)?),
            (Values::Int16(vector), Value::Int(value)) => vector.push(i16::try_from(value).map_err(|_| Full)?),
            (Values::Int32(vector, _), Value::Int(value)) => vector.push(i32::try_from(value).map_err(|_| Full)?),
            (Values::Int64(vector, _), Value::Int(value)) => vector.push(value),
            (Values::Float32(vector), Value::Float32(value)) => vector.push(value),
            (Values::Float64(vector), Value::Float64(value)) => vector.push(value),
            (Values::Decimal(vector, ..), Value::Decimal(value)) => vector.push(value),
            (values, _) => {
                values.push_default();
                self.validity.append_null();
                self.len += 1;
                return Ok(());
            }
        }
        self.append_valid();
        Ok(())
    }

    /// Counts a value that is there.
    #[inline]
    pub(super) fn append_valid(&mut self) {
        self.validity.append_non_null();
        self.len += 1;
    }

    /// Whether the values are null, and no longer how many there are.
    pub(super) fn finish_validity(&mut self) -> Option<NullBuffer> {
        self.len = 0;
        self.validity.finish()
    }

    /// Appends a null, but not to the buffers of a struct's fields.
    pub(super) fn push_null(&mut self) {
        self.values.push_default();
        self.validity.append_null();
        self.len += 1;
    }

    /// Appends the value at `at` of a buffer of the same type `count` times, where it is no list and no struct.
    pub(super) fn repeat_leaf(&mut self, source: &Self, at: usize, count: usize) {
        macro_rules! repeat {
            ($to:ident, $from:ident) => {
                $to.resize($to.len() + count, $from.get(at).copied().unwrap_or_default())
            };
        }
        match (&mut self.values, &source.values) {
            (Values::Text { offsets, bytes, .. }, Values::Text { offsets: ends, bytes: all, .. }) => {
                let end = |at: usize| ends.get(at).map_or(0, |&end| end.unsigned_abs() as usize);
                let text = &all[end(at)..end(at + 1).max(end(at))];
                bytes.reserve(text.len() * count);
                for _ in 0..count {
                    bytes.extend_from_slice(text);
                    offsets.push(end_of(bytes));
                }
            }
            (Values::Bool(to), Values::Bool(from)) => to.append_n(count, at < from.len() && from.get_bit(at)),
            (Values::Int8(to), Values::Int8(from)) => repeat!(to, from),
            (Values::Int16(to), Values::Int16(from)) => repeat!(to, from),
            (Values::Int32(to, _), Values::Int32(from, _)) => repeat!(to, from),
            (Values::Int64(to, _), Values::Int64(from, _)) => repeat!(to, from),
            (Values::Float32(to), Values::Float32(from)) => repeat!(to, from),
            (Values::Float64(to), Values::Float64(from)) => repeat!(to, from),
            (Values::Decimal(to, ..), Values::Decimal(from, ..)) => repeat!(to, from),
            _ => return,
        }
        self.repeat_validity(source, at, count);
    }

    pub(super) fn repeat_validity(&mut self, source: &Self, at: usize, count: usize) {
        if at < source.len() && source.validity.is_valid(at) {
            self.validity.append_n_non_nulls(count);
        } else {
            self.validity.append_n_nulls(count);
        }
        self.len += count;
    }

    /// Forgets everything after the first `len` values, but not in the buffers of items or fields. For a list: how many
    /// items are left.
    #[inline]
    pub(super) fn truncate(&mut self, len: usize) -> usize {
        let mut items = 0;
        match &mut self.values {
            Values::Text { offsets, bytes, .. } => {
                offsets.truncate(len + 1);
                bytes.truncate(offsets.last().map_or(0, |&end| end.unsigned_abs() as usize));
            }
            Values::Bool(bits) => bits.truncate(len),
            Values::Int8(vector) => vector.truncate(len),
            Values::Int16(vector) => vector.truncate(len),
            Values::Int32(vector, _) => vector.truncate(len),
            Values::Int64(vector, _) => vector.truncate(len),
            Values::Float32(vector) => vector.truncate(len),
            Values::Float64(vector) => vector.truncate(len),
            Values::Decimal(vector, ..) => vector.truncate(len),
            Values::List { offsets, .. } => {
                offsets.truncate(len + 1);
                items = offsets.last().map_or(0, |&end| end.unsigned_abs() as usize);
            }
            Values::Struct { .. } => {}
        }
        if len < self.len {
            self.validity.truncate(len);
            self.len = len;
        }
        items
    }

    /// A buffer of single values as an array. It is empty afterwards, with room for about as much again.
    pub(super) fn finish_leaf(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.finish_validity();
        Ok(match &mut self.values {
            Values::Text { offsets, bytes, is_binary } => {
                let ends = OffsetBuffer::new(ScalarBuffer::from(take(offsets)));
                offsets.push(0);
                let text = Buffer::from_vec(take(bytes));
                if *is_binary {
                    Arc::new(BinaryArray::try_new(ends, text, nulls)?)
                } else {
                    Arc::new(StringArray::try_new(ends, text, nulls)?)
                }
            }
            Values::Bool(bits) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
            Values::Int8(vector) => Arc::new(Int8Array::try_new(take(vector).into(), nulls)?),
            Values::Int16(vector) => Arc::new(Int16Array::try_new(take(vector).into(), nulls)?),
            Values::Int32(vector, kind) => {
                let values = take(vector).into();
                match kind {
                    Int32Kind::Number => Arc::new(Int32Array::try_new(values, nulls)?),
                    Int32Kind::Date => Arc::new(Date32Array::try_new(values, nulls)?),
                    Int32Kind::Time => Arc::new(Time32MillisecondArray::try_new(values, nulls)?),
                }
            }
            Values::Int64(vector, kind) => {
                let values = take(vector).into();
                match kind {
                    Int64Kind::Number => Arc::new(Int64Array::try_new(values, nulls)?),
                    Int64Kind::Time(Precision::Nano) => Arc::new(Time64NanosecondArray::try_new(values, nulls)?),
                    Int64Kind::Time(_) => Arc::new(Time64MicrosecondArray::try_new(values, nulls)?),
                    Int64Kind::Timestamp(precision) => timestamps(values, nulls, *precision, Some("UTC"))?,
                    Int64Kind::Local(precision) => timestamps(values, nulls, *precision, None)?,
                }
            }
            Values::Float32(vector) => Arc::new(Float32Array::try_new(take(vector).into(), nulls)?),
            Values::Float64(vector) => Arc::new(Float64Array::try_new(take(vector).into(), nulls)?),
            Values::Decimal(vector, precision, scale) => Arc::new(
                Decimal128Array::try_new(take(vector).into(), nulls)?.with_precision_and_scale(*precision, *scale)?,
            ),
            Values::List { .. } | Values::Struct { .. } => {
                return Err(ArrowError::InvalidArgumentError("a nested buffer has no single values".to_owned()));
            }
        })
    }
}

impl Values {
    fn push_default(&mut self) {
        match self {
            Self::Text { offsets, .. } | Self::List { offsets, .. } => {
                offsets.push(offsets.last().copied().unwrap_or_default());
            }
            Self::Bool(bits) => bits.append(false),
            Self::Int8(vector) => vector.push(0),
            Self::Int16(vector) => vector.push(0),
            Self::Int32(vector, _) => vector.push(0),
            Self::Int64(vector, _) => vector.push(0),
            Self::Float32(vector) => vector.push(0.0),
            Self::Float64(vector) => vector.push(0.0),
            Self::Decimal(vector, ..) => vector.push(0),
            Self::Struct { .. } => {}
        }
    }
}

fn leaf(kind: &Kind) -> Values {
    let text = |is_binary| Values::Text { offsets: vec![0], bytes: Vec::new(), is_binary };
    match *kind {
        Kind::Bool => Values::Bool(BooleanBufferBuilder::new(0)),
        Kind::Int8 => Values::Int8(Vec::new()),
        Kind::Int16 => Values::Int16(Vec::new()),
        Kind::Int32 => Values::Int32(Vec::new(), Int32Kind::Number),
        Kind::Int64 => Values::Int64(Vec::new(), Int64Kind::Number),
        Kind::Float32 => Values::Float32(Vec::new()),
        Kind::Float64 => Values::Float64(Vec::new()),
        Kind::Decimal(precision, scale) => Values::Decimal(Vec::new(), precision, scale),
        Kind::Date => Values::Int32(Vec::new(), Int32Kind::Date),
        Kind::Time(Precision::Milli) => Values::Int32(Vec::new(), Int32Kind::Time),
        Kind::Time(precision) => Values::Int64(Vec::new(), Int64Kind::Time(precision)),
        Kind::Timestamp(precision) => Values::Int64(Vec::new(), Int64Kind::Timestamp(precision)),
        Kind::LocalTimestamp(precision) => Values::Int64(Vec::new(), Int64Kind::Local(precision)),
        Kind::Binary(_) => text(true),
        Kind::String | Kind::Json | Kind::Xml | Kind::Struct(_) => text(false),
    }
}

fn timestamps(
    values: ScalarBuffer<i64>,
    nulls: Option<NullBuffer>,
    precision: Precision,
    zone: Option<&str>,
) -> Result<ArrayRef, ArrowError> {
    Ok(match precision {
        Precision::Milli => Arc::new(TimestampMillisecondArray::try_new(values, nulls)?.with_timezone_opt(zone)),
        Precision::Micro => Arc::new(TimestampMicrosecondArray::try_new(values, nulls)?.with_timezone_opt(zone)),
        Precision::Nano => Arc::new(TimestampNanosecondArray::try_new(values, nulls)?.with_timezone_opt(zone)),
    })
}

#[inline]
fn append(offsets: &mut Vec<i32>, bytes: &mut Vec<u8>, value: &[u8]) -> Result<(), Full> {
    // The parser keeps a part of a table below this by itself; a larger value would overflow the offsets.
    let end = i32::try_from(bytes.len() + value.len()).map_err(|_| Full)?;
    bytes.extend_from_slice(value);
    offsets.push(end);
    Ok(())
}

fn end_of(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).unwrap_or(i32::MAX)
}

pub(super) fn take<T>(vector: &mut Vec<T>) -> Vec<T> {
    let reserve = vector.len().min(MAX_RESERVE / size_of::<T>().max(1));
    std::mem::replace(vector, Vec::with_capacity(reserve))
}
