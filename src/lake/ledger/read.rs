//! Ledger files read back: what their rows add up to, the rows themselves, and the same file with another footer.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::metadata::KeyValue;

use super::{ROWS_PER_BATCH, properties};
use crate::lake::footer::{FOOTER_KEY, IntervalFooter, Sums};
use crate::model::batch::{LedgerRow, Outcome, TableIndex};
use crate::model::offset::LastMessage;
use crate::model::violation::Code;

/// What the rows of a ledger file add up to, read again from the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Sums, those of child tables left out.
    pub sums: Sums,
    /// Offset of the first and of the last row.
    pub offsets: Option<(i64, i64)>,
    /// The last row.
    pub last: Option<LastMessage>,
    /// First offset that does not ascend: a message with two rows.
    pub repeated: Option<i64>,
}

/// Reads every row of a ledger file.
///
/// # Errors
///
/// What is wrong with the file, for a person.
pub fn read_rows(file: Bytes) -> Result<Reading, String> {
    let mut reading = Reading::default();
    for batch in reader(file)? {
        let batch = batch.map_err(|error| error.to_string())?;
        let columns = Columns::of(&batch)?;
        for row in 0..batch.num_rows() {
            let offset = columns.offsets.value(row);
            match &mut reading.offsets {
                None => reading.offsets = Some((offset, offset)),
                Some((_, last)) if offset > *last => *last = offset,
                Some(_) => reading.repeated = reading.repeated.or(Some(offset)),
            }
            reading.last = Some(LastMessage { offset, timestamp_us: columns.time(row) });
            let rows = u64::from(columns.rows.value(row).unsigned_abs());
            reading.sums.add(columns.time(row), columns.outcome(row)?, columns.table(row), rows);
        }
    }
    Ok(reading)
}

/// The rows of a ledger file, one after another, to be written once more.
pub struct OldRows {
    reader: ParquetRecordBatchReader,
    tables: Arc<[Arc<str>]>,
    batch: std::vec::IntoIter<LedgerRow>,
}

impl OldRows {
    /// The rows in `file`, which holds all of it; `tables` are the names that [`LedgerRow::table`] is to count.
    ///
    /// # Errors
    ///
    /// What is wrong with the file.
    pub fn new(file: Bytes, tables: Arc<[Arc<str>]>) -> Result<Self, String> {
        Ok(Self { reader: reader(file)?, tables, batch: Vec::new().into_iter() })
    }

    /// The next row, by ascending offset; none after the last.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, or a table or a violation that this version does not know.
    pub fn next_row(&mut self) -> Result<Option<LedgerRow>, String> {
        loop {
            if let Some(row) = self.batch.next() {
                return Ok(Some(row));
            }
            let Some(batch) = self.reader.next() else { return Ok(None) };
            self.batch = self.decode(&batch.map_err(|error| error.to_string())?)?.into_iter();
        }
    }

    fn decode(&self, batch: &RecordBatch) -> Result<Vec<LedgerRow>, String> {
        let columns = Columns::of(batch)?;
        let index = |name: &str| {
            let known = self.tables.iter().position(|table| **table == *name);
            known
                .and_then(|index| TableIndex::try_from(index).ok())
                .ok_or_else(|| format!("its table `{name}` is in no footer"))
        };
        let code =
            |name: &str| Code::from_name(name).ok_or_else(|| format!("it has a violation `{name}`; update forebay"));
        let row = |row: usize| {
            Ok(LedgerRow {
                offset: columns.offsets.value(row),
                timestamp_us: columns.time(row),
                outcome: columns.outcome(row)?,
                table: columns.table(row).map(index).transpose()?,
                rows: columns.rows.value(row).unsigned_abs(),
                code: columns.codes.is_valid(row).then(|| code(columns.codes.value(row))).transpose()?,
            })
        };
        (0..batch.num_rows()).map(row).collect()
    }
}

fn reader(file: Bytes) -> Result<ParquetRecordBatchReader, String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
    builder.with_batch_size(ROWS_PER_BATCH).build().map_err(|error| error.to_string())
}

/// The columns of some rows.
struct Columns<'a> {
    offsets: &'a Int64Array,
    times: &'a TimestampMicrosecondArray,
    outcomes: &'a StringArray,
    tables: &'a StringArray,
    rows: &'a Int32Array,
    codes: &'a StringArray,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, String> {
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| format!("it has no column `{name}`"));
        let wrong = |name: &str| format!("its column `{name}` has another type");
        let text = |name: &str| column(name)?.as_string_opt::<i32>().ok_or_else(|| wrong(name));
        let offsets = column("kafka_offset")?.as_primitive_opt::<Int64Type>();
        let times = column("kafka_timestamp")?.as_primitive_opt::<TimestampMicrosecondType>();
        let rows = column("rows")?.as_primitive_opt::<Int32Type>();
        Ok(Self {
            offsets: offsets.ok_or_else(|| wrong("kafka_offset"))?,
            times: times.ok_or_else(|| wrong("kafka_timestamp"))?,
            outcomes: text("outcome")?,
            tables: text("table")?,
            rows: rows.ok_or_else(|| wrong("rows"))?,
            codes: text("code")?,
        })
    }

    fn time(&self, row: usize) -> Option<i64> {
        self.times.is_valid(row).then(|| self.times.value(row))
    }

    fn table(&self, row: usize) -> Option<&'a str> {
        self.tables.is_valid(row).then(|| self.tables.value(row))
    }

    fn outcome(&self, row: usize) -> Result<Outcome, String> {
        let name = self.outcomes.value(row);
        Outcome::from_name(name).ok_or_else(|| format!("offset {} has no known outcome", self.offsets.value(row)))
    }
}

/// The ledger file `content` once more with another footer: the same rows, in row groups of the same size.
///
/// # Errors
///
/// What is wrong with the file.
pub(in crate::lake) fn reissue(content: Bytes, footer: &IntervalFooter) -> Result<Vec<u8>, String> {
    let say = |error: parquet::errors::ParquetError| error.to_string();
    let builder = ParquetRecordBatchReaderBuilder::try_new(content).map_err(say)?;
    let options = ArrowWriterOptions::new().with_properties(properties()).with_skip_arrow_metadata(true);
    let mut writer =
        ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(builder.schema()), options).map_err(say)?;
    for batch in builder.with_batch_size(ROWS_PER_BATCH).build().map_err(say)? {
        writer.write(&batch.map_err(|error| error.to_string())?).map_err(say)?;
    }
    let json = serde_json::to_string(footer).map_err(|error| error.to_string())?;
    writer.append_key_value_metadata(KeyValue::new(FOOTER_KEY.to_owned(), json));
    writer.into_inner().map_err(say)
}
