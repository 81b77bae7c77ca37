//! One column while it is built.
//!
//! Arrow's own builders cannot give back what was appended for a message that turns out to be bad; these can, by
//! [`ColumnBuffer::truncate`]. They hand their memory to the Arrow array as it is: finishing copies nothing.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;

use super::cast::{self, Reason};
use super::iso;
use crate::model::mapping::Kind;

/// Most elements (or text bytes) that a finished column leaves room for in advance.
const MAX_RESERVE: usize = 1 << 20;

/// A column while it is built: as many values or nulls as were appended.
#[derive(Debug)]
pub(crate) struct ColumnBuffer {
    values: Values,
    validity: arrow::array::builder::NullBufferBuilder,
}

#[derive(Debug)]
enum Values {
    Text { offsets: Vec<i32>, bytes: Vec<u8> },
    Bool(BooleanBufferBuilder),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal(Vec<i128>, u8, i8),
    Date(Vec<i32>),
    Timestamp(Vec<i64>),
}

/// Does the same with the vector of every fixed-width type.
macro_rules! with_vector {
    ($values:expr, $vector:ident => $work:expr, Text($offsets:ident, $bytes:ident) => $text:expr, Bool($bits:ident) => $bool:expr) => {
        match $values {
            Values::Text { offsets: $offsets, bytes: $bytes } => $text,
            Values::Bool($bits) => $bool,
            Values::Int8($vector) => $work,
            Values::Int16($vector) => $work,
            Values::Int32($vector) | Values::Date($vector) => $work,
            Values::Int64($vector) | Values::Timestamp($vector) => $work,
            Values::Float32($vector) => $work,
            Values::Float64($vector) => $work,
            Values::Decimal($vector, ..) => $work,
        }
    };
}

impl ColumnBuffer {
    /// An empty column.
    pub(crate) fn new(kind: &Kind) -> Self {
        let values = match *kind {
            Kind::Bool => Values::Bool(BooleanBufferBuilder::new(0)),
            Kind::Int8 => Values::Int8(Vec::new()),
            Kind::Int16 => Values::Int16(Vec::new()),
            Kind::Int32 => Values::Int32(Vec::new()),
            Kind::Int64 => Values::Int64(Vec::new()),
            Kind::Float32 => Values::Float32(Vec::new()),
            Kind::Float64 => Values::Float64(Vec::new()),
            Kind::Decimal(precision, scale) => Values::Decimal(Vec::new(), precision, scale),
            Kind::Date => Values::Date(Vec::new()),
            Kind::Timestamp(_) => Values::Timestamp(Vec::new()),
            _ => Values::Text { offsets: vec![0], bytes: Vec::new() },
        };
        Self { values, validity: arrow::array::builder::NullBufferBuilder::new(0) }
    }

    /// Values and nulls appended so far.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.validity.len()
    }

    /// Bytes of text appended so far; none for columns of fixed width.
    pub(crate) fn text_bytes(&self) -> usize {
        match &self.values {
            Values::Text { bytes, .. } => bytes.len(),
            _ => 0,
        }
    }

    /// Appends the value that the text stands for.
    ///
    /// # Errors
    ///
    /// Why the text is no value of the column's type; nothing is appended then.
    #[inline]
    pub(in crate::flow::parse) fn push(&mut self, text: &str) -> Result<(), Reason> {
        let raw = text.as_bytes();
        match &mut self.values {
            Values::Text { offsets, bytes } => {
                // The parser keeps a part of a table below this by itself; a larger text would overflow the offsets.
                let end = i32::try_from(bytes.len() + raw.len()).map_err(|_| "too long for a column")?;
                bytes.extend_from_slice(raw);
                offsets.push(end);
            }
            Values::Bool(bits) => bits.append(cast::boolean(raw)?),
            Values::Int8(vector) => vector.push(cast::integer(raw)?),
            Values::Int16(vector) => vector.push(cast::integer(raw)?),
            Values::Int32(vector) => vector.push(cast::integer(raw)?),
            Values::Int64(vector) => vector.push(cast::integer(raw)?),
            Values::Float32(vector) => vector.push(cast::float(text)?),
            Values::Float64(vector) => vector.push(cast::float(text)?),
            Values::Decimal(vector, precision, scale) => vector.push(cast::decimal(raw, *precision, *scale)?),
            Values::Date(vector) => vector.push(iso::date(raw)?),
            Values::Timestamp(vector) => vector.push(iso::timestamp(raw)?),
        }
        self.validity.append_non_null();
        Ok(())
    }

    /// Appends a null.
    pub(crate) fn push_null(&mut self) {
        with_vector!(&mut self.values, vector => vector.push(Default::default()),
            Text(offsets, bytes) => offsets.push(end_of(bytes)),
            Bool(bits) => bits.append(false));
        self.validity.append_null();
    }

    /// Appends the first value of a column of the same type `count` times; does nothing for a column of another type.
    pub(crate) fn push_repeated(&mut self, source: &Self, count: usize) {
        macro_rules! repeat {
            ($to:ident, $from:ident) => {
                $to.resize($to.len() + count, $from.first().copied().unwrap_or_default())
            };
        }
        match (&mut self.values, &source.values) {
            (Values::Text { offsets, bytes }, Values::Text { offsets: ends, bytes: text }) => {
                let text = &text[..ends.get(1).map_or(0, |&end| end.unsigned_abs() as usize)];
                bytes.reserve(text.len() * count);
                for _ in 0..count {
                    bytes.extend_from_slice(text);
                    offsets.push(end_of(bytes));
                }
            }
            (Values::Bool(to), Values::Bool(from)) => to.append_n(count, !from.is_empty() && from.get_bit(0)),
            (Values::Int8(to), Values::Int8(from)) => repeat!(to, from),
            (Values::Int16(to), Values::Int16(from)) => repeat!(to, from),
            (Values::Int32(to), Values::Int32(from)) | (Values::Date(to), Values::Date(from)) => repeat!(to, from),
            (Values::Int64(to), Values::Int64(from)) | (Values::Timestamp(to), Values::Timestamp(from)) => {
                repeat!(to, from);
            }
            (Values::Float32(to), Values::Float32(from)) => repeat!(to, from),
            (Values::Float64(to), Values::Float64(from)) => repeat!(to, from),
            (Values::Decimal(to, ..), Values::Decimal(from, ..)) => repeat!(to, from),
            _ => return,
        }
        if !source.validity.is_empty() && source.validity.is_valid(0) {
            self.validity.append_n_non_nulls(count);
        } else {
            self.validity.append_n_nulls(count);
        }
    }

    /// Forgets everything after the first `len` values.
    #[inline]
    pub(crate) fn truncate(&mut self, len: usize) {
        if len >= self.len() {
            return;
        }
        with_vector!(&mut self.values, vector => vector.truncate(len),
            Text(offsets, bytes) => {
                offsets.truncate(len + 1);
                bytes.truncate(offsets.last().map_or(0, |&end| end.unsigned_abs() as usize));
            },
            Bool(bits) => bits.truncate(len));
        self.validity.truncate(len);
    }

    /// The column as an array. The buffer is empty afterwards, with room for about as much again.
    ///
    /// # Errors
    ///
    /// Arrow's, when the parts do not make an array; that would be a fault of this module.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.validity.finish();
        Ok(match &mut self.values {
            Values::Text { offsets, bytes } => {
                let ends = ScalarBuffer::from(take(offsets));
                offsets.push(0);
                let text = Buffer::from_vec(take(bytes));
                Arc::new(StringArray::try_new(OffsetBuffer::new(ends), text, nulls)?)
            }
            Values::Bool(bits) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
            Values::Int8(vector) => Arc::new(Int8Array::try_new(take(vector).into(), nulls)?),
            Values::Int16(vector) => Arc::new(Int16Array::try_new(take(vector).into(), nulls)?),
            Values::Int32(vector) => Arc::new(Int32Array::try_new(take(vector).into(), nulls)?),
            Values::Int64(vector) => Arc::new(Int64Array::try_new(take(vector).into(), nulls)?),
            Values::Float32(vector) => Arc::new(Float32Array::try_new(take(vector).into(), nulls)?),
            Values::Float64(vector) => Arc::new(Float64Array::try_new(take(vector).into(), nulls)?),
            Values::Decimal(vector, precision, scale) => Arc::new(
                Decimal128Array::try_new(take(vector).into(), nulls)?.with_precision_and_scale(*precision, *scale)?,
            ),
            Values::Date(vector) => Arc::new(Date32Array::try_new(take(vector).into(), nulls)?),
            Values::Timestamp(vector) => {
                Arc::new(TimestampMicrosecondArray::try_new(take(vector).into(), nulls)?.with_timezone("UTC"))
            }
        })
    }
}

fn end_of(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).unwrap_or(i32::MAX)
}

fn take<T>(vector: &mut Vec<T>) -> Vec<T> {
    let reserve = vector.len().min(MAX_RESERVE);
    std::mem::replace(vector, Vec::with_capacity(reserve))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Decimal128Type, Int32Type};
    use proptest::prelude::*;

    use super::*;
    use crate::model::mapping::Precision;

    #[test]
    fn a_value_that_does_not_fit_leaves_no_trace() {
        for (kind, good, bad) in [
            (Kind::Bool, "true", "yes"),
            (Kind::Int8, "1", "1000"),
            (Kind::Float64, "1", "x"),
            (Kind::Decimal(4, 2), "1.25", "1.255"),
            (Kind::Date, "2026-10-15", "2026-10-32"),
            (Kind::Timestamp(Precision::Micro), "2026-10-15T00:00:00", "2026-10-15"),
        ] {
            let mut column = ColumnBuffer::new(&kind);
            assert!(column.push(bad).is_err());
            assert_eq!(column.len(), 0);
            column.push(good).unwrap();
            column.push_null();
            assert_eq!(column.len(), 2);
            let array = column.finish().unwrap();
            assert_eq!((array.len(), array.null_count(), array.data_type()), (2, 1, &kind.data_type()));
            assert_eq!(column.len(), 0);
        }
    }

    #[test]
    fn a_value_is_repeated_with_its_validity() {
        let mut parent = ColumnBuffer::new(&Kind::String);
        parent.push("L7").unwrap();
        let mut column = ColumnBuffer::new(&Kind::String);
        column.push("first").unwrap();
        column.push_repeated(&parent, 3);
        parent.truncate(0);
        parent.push_null();
        column.push_repeated(&parent, 2);
        let array = column.finish().unwrap();
        let values: Vec<_> = array.as_string::<i32>().iter().collect();
        assert_eq!(values, [Some("first"), Some("L7"), Some("L7"), Some("L7"), None, None]);
    }

    proptest! {
        #[test]
        fn what_was_truncated_is_gone_and_the_rest_is_exact(
            ops in proptest::collection::vec(
                prop_oneof![any::<Option<i32>>().prop_map(Ok), (0_usize..40).prop_map(Err)], 0..60)
        ) {
            let mut text = ColumnBuffer::new(&Kind::String);
            let mut number = ColumnBuffer::new(&Kind::Int32);
            let mut decimal = ColumnBuffer::new(&Kind::Decimal(12, 2));
            let mut expected: Vec<Option<i32>> = Vec::new();
            for op in ops {
                match op {
                    Ok(Some(value)) => {
                        text.push(&value.to_string()).unwrap();
                        number.push(&value.to_string()).unwrap();
                        decimal.push(&value.to_string()).unwrap();
                        expected.push(Some(value));
                    }
                    Ok(None) => {
                        text.push_null();
                        number.push_null();
                        decimal.push_null();
                        expected.push(None);
                    }
                    Err(len) => {
                        text.truncate(len);
                        number.truncate(len);
                        decimal.truncate(len);
                        expected.truncate(len);
                    }
                }
            }
            let text = text.finish().unwrap();
            let texts: Vec<Option<i32>> =
                text.as_string::<i32>().iter().map(|value| value.map(|value| value.parse().unwrap())).collect();
            prop_assert_eq!(&texts, &expected);
            let number = number.finish().unwrap();
            prop_assert_eq!(&number.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), &expected);
            let decimal = decimal.finish().unwrap();
            let hundreds: Vec<_> = expected.iter().map(|value| value.map(|value| i128::from(value) * 100)).collect();
            prop_assert_eq!(decimal.as_primitive::<Decimal128Type>().iter().collect::<Vec<_>>(), hundreds);
        }
    }
}
