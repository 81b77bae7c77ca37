//! Parquet files of the lake, read by whole column chunks, those near each other with one look at the storage: a look at
//! HDFS costs a connection.
//!
//! Memory: the encoded chunks of the columns asked for, of one row group at a time, and the small gaps between them.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::{Buf, Bytes, buf::Reader};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::winners::RowSet;
use crate::fault::Fault;
use crate::lake::columns::{ColumnSpec, fits, type_name};
use crate::lake::footer::read_metadata;
use crate::storage::{LakePath, Storage, StorageError};

/// Column chunks that lie no further apart are read at once.
const GAP_BYTES: u64 = 1 << 20;

/// A Parquet file whose footer has been read.
pub struct Input {
    path: LakePath,
    reader: ChunkFile,
    metadata: Arc<ParquetMetaData>,
    plain: SchemaRef,
    rows: u64,
}

/// Which rows of a file are wanted.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// All.
    All,
    /// Those in the set.
    Only(&'a RowSet),
}

impl Input {
    /// Reads the footer of a file.
    ///
    /// # Errors
    ///
    /// Storage, or a file that is no whole Parquet file.
    pub fn open(storage: &Arc<dyn Storage>, path: &LakePath, bytes: u64) -> Result<Self, Fault> {
        let metadata = Arc::new(read_metadata(&**storage, path, bytes)?);
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let read = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options);
        let plain = Arc::clone(read.map_err(|error| unreadable(path, &error))?.schema());
        let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
        let reader = ChunkFile::new(Arc::clone(storage), path.clone(), bytes);
        Ok(Self { path: path.clone(), reader, metadata, plain, rows })
    }

    /// Where it lies.
    pub fn path(&self) -> &LakePath {
        &self.path
    }

    /// Asks whether what the file has of these columns can be read as they are in the table. A column that it lacks is
    /// null in its rows.
    ///
    /// # Errors
    ///
    /// The column that it has otherwise.
    pub fn check(&self, columns: &[ColumnSpec]) -> Result<(), Fault> {
        for column in columns {
            let named = |field: &&Arc<Field>| field.name().eq_ignore_ascii_case(&column.name);
            let Some(field) = self.plain.fields().iter().find(named) else { continue };
            let (name, path) = (&column.name, &self.path);
            let what = if field.name() != name {
                format!("column {name} of the table is called {} in {path}", field.name())
            } else if !fits(field.data_type(), &column.data_type()?) {
                format!("column {name} is {} in the table and {} in {path}", column.kind, type_name(field.data_type()))
            } else {
                continue;
            };
            let help =
                "give it another name in the mapping, or read those offsets again with today's (`forebay rewind`)";
            return Err(Fault::halt("promote.schema", format!("{what}; {help}")));
        }
        Ok(())
    }

    /// Rows in the file.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Reads the wanted rows of some columns, those in `dictionary` as dictionaries, and gives them to `take` batch by
    /// batch, with the number of the first row where no row is left out. Columns that the file has not are left out.
    ///
    /// # Errors
    ///
    /// Storage, a damaged file, or what `take` answers.
    pub fn read(
        &self,
        columns: &[&str],
        dictionary: &dyn Fn(&str) -> bool,
        wanted: Wanted<'_>,
        batch_rows: usize,
        mut take: impl FnMut(u32, RecordBatch) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let metadata = self.arrow_metadata(dictionary)?;
        let mut first = 0u32;
        for group in 0..self.metadata.num_row_groups() {
            let before = first;
            first += self.group_rows(group);
            let selection = match wanted {
                Wanted::All => None,
                Wanted::Only(rows) => match selection(rows, before..first) {
                    Some(selection) => Some(selection),
                    None => continue,
                },
            };
            let mut at = before;
            for batch in self.reader(&metadata, group, columns, selection, batch_rows)? {
                let batch = batch.map_err(|error| unreadable(&self.path, &error))?;
                let rows = batch.num_rows() as u32;
                take(at, batch)?;
                at += rows;
            }
        }
        Ok(())
    }

    /// The first rows, at most so many, as they are in the file; none of an empty file.
    ///
    /// # Errors
    ///
    /// Storage, or a damaged file.
    pub fn sample(&self, rows: usize) -> Result<Option<RecordBatch>, Fault> {
        let columns: Vec<&str> = self.plain.fields().iter().map(|field| field.name().as_str()).collect();
        if self.rows == 0 {
            return Ok(None);
        }
        let metadata = self.arrow_metadata(&|_| false)?;
        let mut reader = self.reader(&metadata, 0, &columns, None, rows)?;
        reader.next().transpose().map_err(|error| unreadable(&self.path, &error))
    }

    fn arrow_metadata(&self, dictionary: &dyn Fn(&str) -> bool) -> Result<ArrowReaderMetadata, Fault> {
        let options = ArrowReaderOptions::new().with_schema(with_dictionaries(&self.plain, dictionary));
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(&self.metadata), options);
        metadata.map_err(|error| unreadable(&self.path, &error))
    }

    /// One row group: a batch across two of them would have to make one dictionary out of two, value by value.
    fn reader(
        &self,
        metadata: &ArrowReaderMetadata,
        group: usize,
        columns: &[&str],
        selection: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchReader, Fault> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.reader.clone(), metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), self.indices(columns));
        let chunks = self.metadata.row_group(group).columns().iter().enumerate();
        let chunks = chunks.filter(|(leaf, _)| mask.leaf_included(*leaf)).map(|(_, chunk)| {
            let (from, length) = chunk.byte_range();
            from..from.saturating_add(length)
        });
        self.reader.fetch(chunks.collect())?;
        let builder = builder.with_projection(mask).with_batch_size(batch_rows).with_row_groups(vec![group]);
        let builder = match selection {
            Some(selection) => builder.with_row_selection(selection),
            None => builder,
        };
        builder.build().map_err(|error| unreadable(&self.path, &error))
    }

    fn indices(&self, columns: &[&str]) -> Vec<usize> {
        let fields = self.plain.fields().iter().enumerate();
        fields.filter(|(_, field)| columns.contains(&field.name().as_str())).map(|(index, _)| index).collect()
    }

    fn group_rows(&self, group: usize) -> u32 {
        u32::try_from(self.metadata.row_group(group).num_rows()).unwrap_or(0)
    }
}

/// The wanted ones among the rows of a row group; none when there are none.
fn selection(wanted: &RowSet, rows: Range<u32>) -> Option<RowSelection> {
    let mut ranges = Vec::new();
    let mut open: Option<usize> = None;
    let count = rows.len();
    for (at, row) in rows.enumerate() {
        match (wanted.contains(row), open) {
            (true, None) => open = Some(at),
            (false, Some(from)) => {
                ranges.push(from..at);
                open = None;
            }
            _ => {}
        }
    }
    if let Some(from) = open {
        ranges.push(from..count);
    }
    (!ranges.is_empty()).then(|| RowSelection::from_consecutive_ranges(ranges.into_iter(), count))
}

fn with_dictionaries(schema: &Schema, dictionary: &dyn Fn(&str) -> bool) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        if *field.data_type() == DataType::Utf8 && dictionary(field.name()) {
            Field::new(field.name(), dictionary_type(), field.is_nullable())
        } else {
            field.as_ref().clone()
        }
    });
    Schema::new(fields.collect::<Vec<_>>()).into()
}

/// Text that repeats, in memory.
pub fn dictionary_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// What the parser says of a file.
fn unreadable(path: &LakePath, error: &dyn std::error::Error) -> Fault {
    Fault::halt("promote.unreadable", format!("{path} cannot be read: {error}; see `forebay audit`"))
}

/// A file as the Parquet reader wants it.
#[derive(Clone)]
struct ChunkFile {
    inner: Arc<ChunkFileInner>,
}

struct ChunkFileInner {
    storage: Arc<dyn Storage>,
    path: LakePath,
    bytes: u64,
    /// What was fetched last: where each piece begins, and its bytes.
    held: Mutex<Vec<(u64, Bytes)>>,
}

impl ChunkFile {
    fn new(storage: Arc<dyn Storage>, path: LakePath, bytes: u64) -> Self {
        Self { inner: Arc::new(ChunkFileInner { storage, path, bytes, held: Mutex::default() }) }
    }

    /// Reads these column chunks into memory, those near each other at once, in place of what was there.
    /// The parser finds them there: it would make one text of what storage answers.
    fn fetch(&self, mut chunks: Vec<Range<u64>>) -> Result<(), StorageError> {
        let inner = &*self.inner;
        inner.held().clear();
        chunks.sort_unstable_by_key(|chunk| chunk.start);
        let mut pieces: Vec<Range<u64>> = Vec::new();
        for chunk in chunks {
            match pieces.last_mut() {
                Some(piece) if chunk.start <= piece.end.saturating_add(GAP_BYTES) => {
                    piece.end = piece.end.max(chunk.end);
                }
                _ => pieces.push(chunk),
            }
        }
        for piece in pieces {
            let bytes = inner.storage.read(&inner.path, piece.start, piece.end)?;
            inner.held().push((piece.start, bytes));
        }
        Ok(())
    }

    /// From `start` to the end of the piece in memory that it lies in.
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let held = self.inner.held().iter().find_map(|(from, bytes)| {
            let at = usize::try_from(start.checked_sub(*from)?).ok()?;
            (at < bytes.len()).then(|| bytes.slice(at..))
        });
        held.ok_or_else(|| ParquetError::General(format!("byte {start} is in none of the column chunks")))
    }
}

impl ChunkFileInner {
    fn held(&self) -> MutexGuard<'_, Vec<(u64, Bytes)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Length for ChunkFile {
    fn len(&self) -> u64 {
        self.inner.bytes
    }
}

impl ChunkReader for ChunkFile {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("{} ends before byte {}", self.inner.path, start + length as u64)));
        }
        Ok(bytes.slice(..length))
    }
}
