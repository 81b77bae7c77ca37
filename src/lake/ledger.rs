//! Ledger files: one row a message, written to the local spool while the interval fills.
//!
//! Columns: `kafka_offset`, `kafka_timestamp`, `outcome`, `table`, `rows`, `code` (first violation). A few bytes a
//! message: offsets and times as deltas, everything else as runs of dictionary indices.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Int32Array, Int64Array, PrimitiveArray, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{ArrowDictionaryKeyType, DataType, Field, Int8Type, Int16Type, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::LakeError;
use super::footer::{FOOTER_KEY, IntervalFooter, Sums};
use crate::model::batch::{LedgerRow, Outcome};
use crate::model::offset::LastMessage;
use crate::model::violation::Code;

/// Rows gathered before they are encoded.
const ROWS_PER_BATCH: usize = 4096;

/// A finished file of the local spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spooled {
    /// Where it lies on the local disk.
    pub path: PathBuf,
    /// Length.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// CRC-32 of the whole file.
    pub checksum: u32,
}

/// A local file that knows its length and checksum.
#[derive(Debug)]
pub struct CheckedFile {
    file: File,
    bytes: u64,
    crc32: crc32fast::Hasher,
}

impl CheckedFile {
    /// Makes (or empties) the file.
    ///
    /// # Errors
    ///
    /// What the local disk answered.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create(path)?, bytes: 0, crc32: crc32fast::Hasher::new() })
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// CRC-32 of the bytes written so far.
    pub fn crc32(&self) -> u32 {
        self.crc32.clone().finalize()
    }
}

impl Write for CheckedFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.crc32.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes one ledger file into the spool.
#[derive(Debug)]
pub struct LedgerWriter {
    path: PathBuf,
    tables: Arc<[Arc<str>]>,
    writer: ArrowWriter<CheckedFile>,
    schema: SchemaRef,
    names: Names,
    pending: Vec<LedgerRow>,
    rows: u64,
    offsets: Option<(i64, i64)>,
    last: Option<LastMessage>,
    sums: Sums,
}

/// Values of the dictionary columns.
#[derive(Debug)]
struct Names {
    outcomes: Arc<StringArray>,
    tables: Arc<StringArray>,
    codes: Arc<StringArray>,
}

impl LedgerWriter {
    /// A writer to `path`; `tables` are the names that [`LedgerRow::table`] counts.
    ///
    /// # Errors
    ///
    /// [`LakeError::Spool`] when the file cannot be made.
    pub fn create(path: impl Into<PathBuf>, tables: Arc<[Arc<str>]>) -> Result<Self, LakeError> {
        let path = path.into();
        let file = CheckedFile::create(&path).map_err(|error| spool(&path, &error))?;
        let schema = schema();
        let options = ArrowWriterOptions::new().with_properties(properties()).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(file, Arc::clone(&schema), options)
            .map_err(|error| spool(&path, &error))?;
        let names = Names {
            outcomes: Arc::new(Outcome::ALL.iter().map(|outcome| Some(outcome.name())).collect()),
            tables: Arc::new(tables.iter().map(|table| Some(&**table)).collect()),
            codes: Arc::new(Code::ALL.iter().map(|(code, _)| Some(code.name())).collect()),
        };
        let pending = Vec::with_capacity(ROWS_PER_BATCH);
        let sums = Sums::default();
        Ok(Self { path, tables, writer, schema, names, pending, rows: 0, offsets: None, last: None, sums })
    }

    /// Adds rows, by ascending offset.
    ///
    /// # Errors
    ///
    /// [`LakeError::Internal`] when an offset does not ascend or a table is unknown, [`LakeError::Spool`] when the
    /// disk refuses.
    pub fn append(&mut self, rows: &[LedgerRow]) -> Result<(), LakeError> {
        for row in rows {
            if self.offsets.is_some_and(|(_, last)| row.offset <= last) {
                return Err(LakeError::Internal(format!("ledger row for offset {} comes out of order", row.offset)));
            }
            if row.table.is_some_and(|table| usize::from(table) >= self.tables.len()) {
                return Err(LakeError::Internal(format!("ledger row for offset {} names no table", row.offset)));
            }
            self.offsets = Some((self.offsets.map_or(row.offset, |(first, _)| first), row.offset));
            self.last = Some(LastMessage { offset: row.offset, timestamp_us: row.timestamp_us });
            self.pending.push(row.clone());
            if self.pending.len() == ROWS_PER_BATCH {
                self.encode()?;
            }
        }
        Ok(())
    }

    /// Where it is being written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Messages so far.
    pub fn rows(&self) -> u64 {
        self.rows + self.pending.len() as u64
    }

    /// Offsets of the first and of the last row.
    pub fn offsets(&self) -> Option<(i64, i64)> {
        self.offsets
    }

    /// Bytes of memory held, about.
    pub fn memory_bytes(&self) -> u64 {
        (self.writer.memory_size() + self.pending.capacity() * size_of::<LedgerRow>()) as u64
    }

    /// Encoded bytes, those of the open row group by estimate.
    pub fn encoded_bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Closes the open row group, so that nothing but names is held in memory.
    ///
    /// # Errors
    ///
    /// [`LakeError::Spool`] when the disk refuses.
    pub fn flush(&mut self) -> Result<(), LakeError> {
        self.encode()?;
        self.pending = Vec::new();
        self.writer.flush().map_err(|error| spool(&self.path, &error))
    }

    /// Closes the file with `footer`, whose sums and last message are those of the rows written and of the files it
    /// names.
    ///
    /// # Errors
    ///
    /// [`LakeError::Spool`] when the disk refuses.
    pub fn finish(mut self, mut footer: IntervalFooter) -> Result<(Spooled, IntervalFooter), LakeError> {
        self.encode()?;
        footer.sums = self.sums;
        footer.sums.add_children(&footer.files);
        footer.last = self.last;
        let json = serde_json::to_string(&footer).map_err(|error| LakeError::Internal(error.to_string()))?;
        self.writer.append_key_value_metadata(KeyValue::new(FOOTER_KEY.to_owned(), json));
        let file = self.writer.into_inner().map_err(|error| spool(&self.path, &error))?;
        let (bytes, checksum) = (file.bytes(), file.crc32());
        Ok((Spooled { path: self.path, bytes, rows: self.rows, checksum }, footer))
    }

    fn encode(&mut self) -> Result<(), LakeError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.count();
        let rows = &self.pending;
        let offsets = Int64Array::from_iter_values(rows.iter().map(|row| row.offset));
        let times: TimestampMicrosecondArray = rows.iter().map(|row| row.timestamp_us).collect();
        let outcomes = PrimitiveArray::<Int8Type>::from_iter_values(rows.iter().map(|row| row.outcome as i8));
        let tables = rows.iter().map(|row| row.table.map(|table| table as i16)).collect();
        let mut last = (None, None);
        let codes = rows.iter().map(|row| {
            if row.code != last.0 {
                let index = Code::ALL.iter().position(|(code, _)| Some(*code) == row.code);
                last = (row.code, index.map(|index| index as i16));
            }
            last.1
        });
        let codes = codes.collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(offsets),
            Arc::new(times.with_timezone("UTC")),
            dictionary(outcomes, &self.names.outcomes)?,
            dictionary::<Int16Type>(tables, &self.names.tables)?,
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.rows.cast_signed()))),
            dictionary::<Int16Type>(codes, &self.names.codes)?,
        ];
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| LakeError::Internal(format!("ledger rows: {error}")))?;
        self.writer.write(&batch).map_err(|error| spool(&self.path, &error))?;
        self.rows += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Adds runs of equal outcome and table to the sums: most batches are one run.
    fn count(&mut self) {
        for run in self.pending.chunk_by(|a, b| (a.outcome, a.table) == (b.outcome, b.table)) {
            let times = run.iter().filter_map(|row| row.timestamp_us);
            let rows = run.iter().map(|row| u64::from(row.rows)).sum();
            let table = run[0].table.map(|table| &*self.tables[usize::from(table)]);
            self.sums.add_run(run.len() as u64, times.clone().min(), times.max(), run[0].outcome, table, rows);
        }
    }
}

fn schema() -> SchemaRef {
    let text = |key| DataType::Dictionary(Box::new(key), Box::new(DataType::Utf8));
    Arc::new(Schema::new(vec![
        Field::new("kafka_offset", DataType::Int64, false),
        Field::new("kafka_timestamp", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("outcome", text(DataType::Int8), false),
        Field::new("table", text(DataType::Int16), true),
        Field::new("rows", DataType::Int32, false),
        Field::new("code", text(DataType::Int16), true),
    ]))
}

fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("forebay {}", env!("CARGO_PKG_VERSION")))
        // Not zstd: each column writer would hold two contexts of its own, half a megabyte and more, in every lane,
        // and there is little left to press out of deltas and runs.
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::None);
    for column in ["kafka_offset", "kafka_timestamp", "rows"] {
        let column = ColumnPath::from(column);
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column.clone(), Encoding::DELTA_BINARY_PACKED)
            .set_column_statistics_enabled(column, EnabledStatistics::Chunk);
    }
    properties.build()
}

fn dictionary<K: ArrowDictionaryKeyType>(
    keys: PrimitiveArray<K>,
    values: &Arc<StringArray>,
) -> Result<ArrayRef, LakeError> {
    DictionaryArray::try_new(keys, Arc::clone(values) as ArrayRef)
        .map(|array| Arc::new(array) as ArrayRef)
        .map_err(|error| LakeError::Internal(format!("ledger rows: {error}")))
}

fn spool(path: &Path, error: &dyn std::fmt::Display) -> LakeError {
    LakeError::Spool(format!("{}: {error}", path.display()))
}

mod read;

pub(super) use read::reissue;
pub use read::{OldRows, Reading, read_rows};

#[cfg(test)]
mod tests;
