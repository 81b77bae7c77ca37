//! How columns are encoded, chosen from what a first batch of rows shows.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::input::{Slice, dictionary_type};
use super::scan::internal;
use crate::fault::Fault;

/// How the rows of a table lie in memory and in files.
pub struct Encodings {
    /// Columns of the files, text that repeats as dictionaries.
    pub schema: SchemaRef,
    /// Properties of the files.
    pub properties: WriterProperties,
    repeating: HashSet<String>,
}

/// The rows that are looked at.
pub const SAMPLE: Slice = Slice { rows: 4096, bytes: 8 << 20 };

impl Encodings {
    /// For a table with this plain schema, of which `sample` shows some rows (or none, where there are none).
    ///
    /// A dictionary only for columns whose values repeat; differences for whole numbers and times that do not: it
    /// takes a quarter off the time and the size of what a dictionary for everything would take.
    ///
    /// # Errors
    ///
    /// A fault of ours.
    pub fn choose(table: &SchemaRef, sample: Option<&RecordBatch>) -> Result<Self, Fault> {
        let mut repeating = HashSet::new();
        let mut properties = WriterProperties::builder()
            .set_created_by(format!("forebay {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_statistics_enabled(EnabledStatistics::Chunk);
        // Lists and structs are left to the writer, which gives a dictionary up where it does not pay.
        for field in table.fields().iter().filter(|field| !field.data_type().is_nested()) {
            let column = sample.and_then(|sample| sample.column_by_name(field.name()));
            if column.map_or(Ok(true), repeats)? {
                repeating.insert(field.name().clone());
                continue;
            }
            let path = ColumnPath::from(field.name().as_str());
            properties = properties.set_column_dictionary_enabled(path.clone(), false);
            if is_whole(field.data_type()) {
                properties = properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
            }
        }
        let fields = table.fields().iter().map(|field| match field.data_type() {
            DataType::Utf8 if repeating.contains(field.name()) => {
                Arc::new(Field::new(field.name(), dictionary_type(), field.is_nullable()))
            }
            _ => Arc::clone(field),
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok(Self { schema, properties: properties.build(), repeating })
    }

    /// Whether a column's values repeat.
    pub fn is_repeating(&self, column: &str) -> bool {
        self.repeating.contains(column)
    }
}

/// Whether a value comes four times on average among the sample.
fn repeats(column: &Arc<dyn Array>) -> Result<bool, Fault> {
    let converter = RowConverter::new(vec![SortField::new(column.data_type().clone())]).map_err(internal)?;
    let rows = converter.convert_columns(&[Arc::clone(column)]).map_err(internal)?;
    let distinct: HashSet<&[u8]> = rows.iter().map(|row| row.data()).collect();
    Ok(distinct.len() * 4 <= rows.num_rows().max(64))
}

fn is_whole(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Date32
            | DataType::Timestamp(..)
    ) || matches!(kind, DataType::Decimal128(precision, _) if *precision <= 18)
}
