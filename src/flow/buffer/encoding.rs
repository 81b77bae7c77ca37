//! How each column of a file is encoded, decided from what the first rows show. Pure.
//!
//! Measured (three million rows): a dictionary that grows until it overflows costs more than the rest of the column,
//! so high-cardinality text goes without one; whole numbers that are not few go as differences, which is both the
//! fastest and the smallest for offsets and ids; statistics are kept a chunk, not a page.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use hashbrown::HashSet;
use parquet::basic::{Compression as Codec, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::model::table::Compression;

/// Rows of the first batch that are looked at.
const SAMPLE_ROWS: usize = 8192;
/// Text counts as having few values when at most this share (in percent) of the second half of the sample is new.
const FEW_TEXTS_PERCENT: usize = 50;
/// Numbers count as having few values below this share (in percent): differences are nearly as small and cheaper.
const FEW_NUMBERS_PERCENT: usize = 1;
/// Fewer sampled values say nothing.
const MIN_SAMPLE: usize = 64;

/// How one column is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Dictionary, until it overflows.
    Dictionary,
    /// As it is.
    Plain,
    /// Differences, bit-packed: whole numbers.
    Delta,
}

/// Writer properties for a file whose first rows are `sample`: all columns compressed alike, each encoded as
/// [`plan_column`] says, `created_by` this version of Forebay.
pub fn writer_properties(sample: &RecordBatch, compression: Compression, row_group_bytes: usize) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("forebay version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(codec(compression))
        .set_max_row_group_bytes(Some(row_group_bytes.max(1)))
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for (field, column) in sample.schema().fields().iter().zip(sample.columns()) {
        builder = apply(builder, ColumnPath::from(field.name().as_str()), plan_column(column.as_ref()));
    }
    builder.build()
}

fn apply(builder: WriterPropertiesBuilder, column: ColumnPath, plan: Plan) -> WriterPropertiesBuilder {
    match plan {
        Plan::Dictionary => builder,
        Plan::Plain => {
            builder.set_column_dictionary_enabled(column.clone(), false).set_column_encoding(column, Encoding::PLAIN)
        }
        Plan::Delta => builder
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED),
    }
}

/// The codec of a compression setting.
fn codec(compression: Compression) -> Codec {
    match compression {
        Compression::None => Codec::UNCOMPRESSED,
        Compression::Snappy => Codec::SNAPPY,
        Compression::Lz4 => Codec::LZ4_RAW,
        Compression::Zstd(level) => Codec::ZSTD(ZstdLevel::try_new(level).unwrap_or_default()),
    }
}

/// How a column is encoded whose first values are `sample`.
pub fn plan_column(sample: &dyn Array) -> Plan {
    match sample.data_type() {
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Date32
        | DataType::Timestamp(..) => {
            if has_few(sample, FEW_NUMBERS_PERCENT).unwrap_or(false) {
                Plan::Dictionary
            } else {
                Plan::Delta
            }
        }
        // Up to 18 digits a decimal is a whole number in the file.
        DataType::Decimal128(..=18, _) => {
            if has_few(sample, FEW_NUMBERS_PERCENT).unwrap_or(false) {
                Plan::Dictionary
            } else {
                Plan::Delta
            }
        }
        DataType::Utf8 | DataType::Binary | DataType::Decimal128(..) | DataType::Float32 | DataType::Float64 => {
            if has_few(sample, FEW_TEXTS_PERCENT).unwrap_or(true) {
                Plan::Dictionary
            } else {
                Plan::Plain
            }
        }
        _ => Plan::Dictionary,
    }
}

/// Whether the second half of the sample brings at most `percent` values that the first half did not have; none when
/// there are too few values to say, or values of a type that is not looked at.
///
/// The share of new values says more than the number of values: 2,500 authors are all new in the first hundred rows
/// and still a good dictionary.
fn has_few(sample: &dyn Array, percent: usize) -> Option<bool> {
    let sample = sample.slice(0, sample.len().min(SAMPLE_ROWS));
    let present: Vec<usize> = (0..sample.len()).filter(|row| sample.is_valid(*row)).collect();
    if present.len() < MIN_SAMPLE {
        return None;
    }
    let (first, second) = present.split_at(present.len() / 2);
    let new = match sample.data_type() {
        DataType::Utf8 => {
            let values = sample.as_string::<i32>();
            new_in_second(first, second, |row| values.value(row).as_bytes())
        }
        DataType::Binary => {
            let values = sample.as_binary::<i32>();
            new_in_second(first, second, |row| values.value(row))
        }
        other => {
            let width = other.primitive_width()?;
            let data = sample.to_data();
            let start = data.offset();
            let values = data.buffers().first()?.as_slice();
            new_in_second(first, second, |row| &values[(start + row) * width..(start + row + 1) * width])
        }
    };
    Some(new * 100 <= second.len() * percent)
}

fn new_in_second<'a>(first: &[usize], second: &[usize], value: impl Fn(usize) -> &'a [u8]) -> usize {
    let mut seen: HashSet<&[u8]> = first.iter().map(|row| value(*row)).collect();
    second.iter().filter(|row| seen.insert(value(**row))).count()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray,
        TimestampMicrosecondArray,
    };

    use super::*;

    const ROWS: usize = 4000;

    fn plan(column: impl Array + 'static) -> Plan {
        plan_column(&(Arc::new(column) as ArrayRef))
    }

    fn texts(distinct: usize) -> StringArray {
        (0..ROWS).map(|row| Some(format!("value {}", row * 7919 % distinct))).collect()
    }

    #[test]
    fn text_has_a_dictionary_unless_nearly_every_value_is_new() {
        assert_eq!(plan(texts(3)), Plan::Dictionary);
        assert_eq!(plan(texts(1500)), Plan::Dictionary);
        assert_eq!(plan(texts(ROWS)), Plan::Plain);
        assert_eq!(plan(StringArray::from(vec!["a few rows"; 3])), Plan::Dictionary);
        assert_eq!(plan(StringArray::new_null(ROWS)), Plan::Dictionary);
    }

    #[test]
    fn whole_numbers_go_as_differences_unless_they_are_few() {
        assert_eq!(plan((0..ROWS as i64).collect::<Int64Array>()), Plan::Delta);
        let times = TimestampMicrosecondArray::from_iter_values(0..ROWS as i64);
        assert_eq!(plan(times.with_timezone("UTC")), Plan::Delta);
        assert_eq!(plan(Int32Array::from(vec![3; ROWS])), Plan::Dictionary);
        assert_eq!(plan(Int32Array::from(vec![3; 5])), Plan::Delta);
        let prices = (0..ROWS as i128).collect::<Decimal128Array>();
        assert_eq!(plan(prices.clone().with_precision_and_scale(9, 2).unwrap()), Plan::Delta);
        assert_eq!(plan(prices.with_precision_and_scale(30, 2).unwrap()), Plan::Plain);
    }

    #[test]
    fn a_slice_is_judged_by_its_own_values() {
        let mixed: Int32Array = (0..2 * ROWS as i32).map(|row| if row < ROWS as i32 { row } else { 7 }).collect();
        assert_eq!(plan(mixed.slice(ROWS, ROWS)), Plan::Dictionary);
        assert_eq!(plan(mixed.slice(0, ROWS)), Plan::Delta);
    }

    #[test]
    fn other_types_are_left_to_the_writer() {
        assert_eq!(plan(BooleanArray::from(vec![true; ROWS])), Plan::Dictionary);
        assert_eq!(plan((0..ROWS).map(|row| Some(row as f64)).collect::<Float64Array>()), Plan::Plain);
    }
}
