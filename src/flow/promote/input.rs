//! Parquet files of the lake, read by whole column chunks, those near each other with one look at the storage: a look
//! at HDFS costs a connection.
//!
//! Memory: the encoded chunks of the columns asked for, of one row group at a time, the small gaps between them, and
//! the rows of one [`Slice`].

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
use crate::lake::parquet_reader::decoded_bytes;
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

/// How much is decoded at once: at most so many rows, and about so many bytes of them, but a row at least.
#[derive(Debug, Clone, Copy)]
pub struct Slice {
    /// Rows.
    pub rows: usize,
    /// Bytes, by what the file says of itself.
    pub bytes: u64,
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
        slice: Slice,
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
            for batch in self.reader(&metadata, group, columns, selection, slice)? {
                let batch = batch.map_err(|error| unreadable(&self.path, &error))?;
                let rows = batch.num_rows() as u32;
                take(at, batch)?;
                at += rows;
            }
        }
        Ok(())
    }

    /// The first rows, a slice of them, as they are in the file; none of an empty file.
    ///
    /// # Errors
    ///
    /// Storage, or a damaged file.
    pub fn sample(&self, slice: Slice) -> Result<Option<RecordBatch>, Fault> {
        let columns: Vec<&str> = self.plain.fields().iter().map(|field| field.name().as_str()).collect();
        if self.rows == 0 {
            return Ok(None);
        }
        let metadata = self.arrow_metadata(&|_| false)?;
        let mut reader = self.reader(&metadata, 0, &columns, None, slice)?;
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
        slice: Slice,
    ) -> Result<ParquetRecordBatchReader, Fault> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.reader.clone(), metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), self.indices(columns));
        let chunks = self.metadata.row_group(group).columns().iter().enumerate();
        let chunks: Vec<_> = chunks.filter(|(leaf, _)| mask.leaf_included(*leaf)).map(|(_, chunk)| chunk).collect();
        let each = decoded_bytes(chunks.iter().copied()) / u64::from(self.group_rows(group)).max(1);
        let rows = usize::try_from(slice.bytes / each.max(1)).unwrap_or(usize::MAX).clamp(1, slice.rows.max(1));
        let ranges = chunks.iter().map(|chunk| {
            let (from, length) = chunk.byte_range();
            from..from.saturating_add(length)
        });
        self.reader.fetch(ranges.collect())?;
        let builder = builder.with_projection(mask).with_batch_size(rows).with_row_groups(vec![group]);
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

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::storage::Content;
    use crate::storage::local::LocalStorage;

    #[test]
    fn of_long_rows_few_are_decoded_at_once() {
        // One long text for all rows: in the file it stands once.
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(10_000); 300]));
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..300));
        let rows = RecordBatch::try_from_iter([("id", ids), ("text", texts)]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
        writer.write(&rows).unwrap();
        let bytes = writer.into_inner().unwrap();
        assert!(bytes.len() < 50_000);
        let dir = tempfile::tempdir().unwrap();
        let storage: Arc<dyn Storage> = Arc::new(LocalStorage::open(dir.path()).unwrap());
        let path = LakePath::root().join("a.parquet");
        storage.create(&path, Content::Bytes(&bytes)).unwrap();
        let input = Input::open(&storage, &path, bytes.len() as u64).unwrap();
        let read = |columns: &[&str], bytes: u64| {
            let mut batches = Vec::new();
            let slice = Slice { rows: 128, bytes };
            let take = |first, batch: RecordBatch| {
                batches.push((first, batch.num_rows()));
                Ok(())
            };
            input.read(columns, &|_| false, Wanted::All, slice, take).unwrap();
            batches
        };
        assert_eq!(read(&["id"], 1 << 20), [(0, 128), (128, 128), (256, 44)]);
        let sizes: Vec<usize> = read(&["id", "text"], 1 << 20).into_iter().map(|(_, rows)| rows).collect();
        assert_eq!((sizes.iter().sum::<usize>(), sizes.iter().max()), (300, Some(&104)));
        assert_eq!(read(&["text"], 1).len(), 300);
        assert_eq!(input.sample(Slice { rows: 4096, bytes: 100_000 }).unwrap().unwrap().num_rows(), 9);
    }
}
