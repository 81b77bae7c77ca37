//! Parquet files of the lake, read by whole column chunks: one look at the storage for each, however many pages it has.
//!
//! Memory: the encoded chunks of the columns asked for, of one row group at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

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
use crate::lake::footer::read_metadata;
use crate::storage::{LakePath, Storage, StorageError};

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
        let reader = ChunkFile::new(Arc::clone(storage), path.clone(), bytes, &metadata);
        Ok(Self { path: path.clone(), reader, metadata, plain, rows })
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
        let mut first = 0u32;
        for batch in self.reader(columns, dictionary, wanted, batch_rows)? {
            let batch = batch.map_err(|error| self.unreadable(&error))?;
            let rows = batch.num_rows() as u32;
            take(first, batch)?;
            first += rows;
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
        let mut reader = self.reader(&columns, &|_| false, Wanted::All, rows)?;
        reader.next().transpose().map_err(|error| self.unreadable(&error))
    }

    fn reader(
        &self,
        columns: &[&str],
        dictionary: &dyn Fn(&str) -> bool,
        wanted: Wanted<'_>,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchReader, Fault> {
        let read = || -> Result<ParquetRecordBatchReader, ParquetError> {
            let options = ArrowReaderOptions::new().with_schema(with_dictionaries(&self.plain, dictionary));
            let metadata = ArrowReaderMetadata::try_new(Arc::clone(&self.metadata), options)?;
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.reader.clone(), metadata);
            let present: Vec<usize> = self.indices(columns);
            let mask = ProjectionMask::roots(builder.parquet_schema(), present);
            let builder = builder.with_projection(mask).with_batch_size(batch_rows);
            match wanted {
                Wanted::All => builder.build(),
                Wanted::Only(rows) => {
                    let (groups, selection) = self.selection(rows);
                    builder.with_row_groups(groups).with_row_selection(selection).build()
                }
            }
        };
        read().map_err(|error| self.unreadable(&error))
    }

    /// Why it cannot be read: the answer of storage where there was one, since Arrow keeps no more than its text. A file
    /// that a rewind has taken away meanwhile is not a damaged one.
    fn unreadable(&self, error: &(dyn std::error::Error + 'static)) -> Fault {
        let failed = self.reader.inner.failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        failed.map_or_else(|| unreadable(&self.path, error), Fault::from)
    }

    fn indices(&self, columns: &[&str]) -> Vec<usize> {
        let fields = self.plain.fields().iter().enumerate();
        fields.filter(|(_, field)| columns.contains(&field.name().as_str())).map(|(index, _)| index).collect()
    }

    /// The row groups that hold wanted rows, and those rows in them.
    fn selection(&self, wanted: &RowSet) -> (Vec<usize>, RowSelection) {
        let (mut groups, mut ranges, mut total) = (Vec::new(), Vec::new(), 0usize);
        let mut first = 0u32;
        for (index, group) in self.metadata.row_groups().iter().enumerate() {
            let rows = u32::try_from(group.num_rows()).unwrap_or(0);
            let before = ranges.len();
            let mut open: Option<usize> = None;
            for row in 0..rows {
                let at = total + row as usize;
                match (wanted.contains(first + row), open) {
                    (true, None) => open = Some(at),
                    (false, Some(from)) => {
                        ranges.push(from..at);
                        open = None;
                    }
                    _ => {}
                }
            }
            if let Some(from) = open {
                ranges.push(from..total + rows as usize);
            }
            if ranges.len() > before {
                groups.push(index);
                total += rows as usize;
            }
            first += rows;
        }
        (groups, RowSelection::from_consecutive_ranges(ranges.into_iter(), total))
    }
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

/// What a parser says of a file, with the answer of storage kept where that is the cause.
fn unreadable(path: &LakePath, error: &(dyn std::error::Error + 'static)) -> Fault {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(storage) = inner.downcast_ref::<StorageError>() {
            return storage.clone().into();
        }
        cause = inner.source();
    }
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
    /// Every column chunk: first byte, byte after, column.
    chunks: Vec<(u64, u64, usize)>,
    /// The chunk in memory of each column: its first byte and its bytes.
    held: Mutex<HashMap<usize, (u64, Bytes)>>,
    /// What storage answered last instead of bytes.
    failed: Mutex<Option<StorageError>>,
}

impl ChunkFile {
    fn new(storage: Arc<dyn Storage>, path: LakePath, bytes: u64, metadata: &ParquetMetaData) -> Self {
        let mut chunks = Vec::new();
        for group in metadata.row_groups() {
            for (column, chunk) in group.columns().iter().enumerate() {
                let (from, len) = chunk.byte_range();
                chunks.push((from, from.saturating_add(len), column));
            }
        }
        chunks.sort_unstable();
        Self {
            inner: Arc::new(ChunkFileInner {
                storage,
                path,
                bytes,
                chunks,
                held: Mutex::default(),
                failed: Mutex::default(),
            }),
        }
    }

    /// From `start` to the end of the column chunk that it lies in; to `least` bytes outside of any.
    fn from(&self, start: u64, least: u64) -> Result<Bytes, ParquetError> {
        let inner = &*self.inner;
        let next = inner.chunks.partition_point(|(from, ..)| *from <= start);
        let chunk = next.checked_sub(1).map(|index| inner.chunks[index]).filter(|(_, to, _)| start < *to);
        let Some((from, to, column)) = chunk else {
            return inner.read(start, start.saturating_add(least).min(inner.bytes));
        };
        let mut held = inner.held.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let bytes = match held.get(&column) {
            Some((at, bytes)) if *at == from => bytes.clone(),
            _ => {
                // The chunk before goes first: one row group of a column at a time.
                held.remove(&column);
                let bytes = inner.read(from, to)?;
                held.insert(column, (from, bytes.clone()));
                bytes
            }
        };
        Ok(bytes.slice(usize::try_from(start - from).unwrap_or(usize::MAX).min(bytes.len())..))
    }
}

impl ChunkFileInner {
    fn read(&self, from: u64, to: u64) -> Result<Bytes, ParquetError> {
        self.storage.read(&self.path, from, to).map_err(|error| {
            *self.failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(error.clone());
            ParquetError::External(Box::new(error))
        })
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
        Ok(self.from(start, self.inner.bytes.saturating_sub(start))?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start, length as u64)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("{} ends before byte {}", self.inner.path, start + length as u64)));
        }
        Ok(bytes.slice(..length))
    }
}
