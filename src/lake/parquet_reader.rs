//! Rows of any Parquet file of the lake, for looking at: read as they are asked for, no more of the file than that.
//!
//! Memory: the pages under way and one block of `BLOCK_BYTES` for each open column.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};

use super::LakeError;
use super::footer::{corrupt, read_metadata};
use crate::storage::{Kind, LakePath, Storage, StorageError};

/// Bytes of one look at the storage while a stream is read.
const BLOCK_BYTES: u64 = 256 << 10;

/// A Parquet file of the lake whose footer has been read.
#[derive(Debug)]
pub struct ParquetFile {
    file: StoredFile,
    metadata: ArrowReaderMetadata,
}

impl ParquetFile {
    /// Reads the footer of a file of known length.
    ///
    /// # Errors
    ///
    /// [`LakeError::Corrupt`] when it is not whole Parquet, or what storage answered.
    pub fn open(storage: Arc<dyn Storage>, path: LakePath, bytes: u64) -> Result<Self, LakeError> {
        let metadata = Arc::new(read_metadata(&*storage, &path, bytes)?);
        let metadata = ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::new());
        let metadata = metadata.map_err(|error| corrupt(&path, &error.to_string()))?;
        Ok(Self { file: StoredFile { storage, path, bytes, failed: Arc::default() }, metadata })
    }

    /// Its columns.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// Its rows.
    pub fn rows(&self) -> u64 {
        self.metadata.metadata().file_metadata().num_rows().unsigned_abs()
    }

    /// Bytes of a row once it is decoded, where the rows are longest: the mean of that row group.
    pub fn decoded_row_bytes(&self) -> u64 {
        let groups = self.metadata.metadata().row_groups().iter();
        let mean = |group: &RowGroupMetaData| decoded_bytes(group.columns()) / group.num_rows().unsigned_abs().max(1);
        groups.map(mean).max().unwrap_or(0)
    }

    /// Its rows in batches of `batch_rows`, with these columns (by their place in the schema) in the file's order.
    ///
    /// # Errors
    ///
    /// [`LakeError::Corrupt`] when they cannot be read, or what storage answered; each batch may say so too.
    pub fn read(
        &self,
        columns: &[usize],
        batch_rows: usize,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, LakeError>> + use<>, LakeError> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), self.metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
        let reader: Result<ParquetRecordBatchReader, _> =
            builder.with_projection(mask).with_batch_size(batch_rows).build();
        let file = self.file.clone();
        let reader = reader.map_err(|error| file.explain(&error))?;
        Ok(reader.map(move |batch| batch.map_err(|error| file.explain(&error))))
    }
}

/// About the bytes of column chunks once they are decoded: what a dictionary holds once is there for every row of it
/// then.
pub fn decoded_bytes<'m>(chunks: impl IntoIterator<Item = &'m ColumnChunkMetaData>) -> u64 {
    let of_chunk = |chunk: &ColumnChunkMetaData| {
        chunk.uncompressed_size().max(chunk.unencoded_byte_array_data_bytes().unwrap_or(0)).unsigned_abs()
    };
    chunks.into_iter().map(of_chunk).sum()
}

/// A file in storage as the Parquet reader wants it.
#[derive(Clone)]
struct StoredFile {
    storage: Arc<dyn Storage>,
    path: LakePath,
    bytes: u64,
    /// What storage answered last that was no content: the Parquet reader hands on no more than its text.
    failed: Arc<Mutex<Option<StorageError>>>,
}

impl std::fmt::Debug for StoredFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredFile").field("path", &self.path).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl StoredFile {
    fn bytes_at(&self, from: u64, to: u64) -> Result<Bytes, StorageError> {
        let read = self.storage.read(&self.path, from, to);
        if let Err(error) = &read {
            *self.failed() = Some(error.clone());
        }
        read
    }

    /// Why its rows cannot be read: storage did not answer, or they are damaged.
    fn explain(&self, error: &dyn std::fmt::Display) -> LakeError {
        match self.failed().take() {
            Some(error) if error.kind != Kind::Corrupt => error.into(),
            _ => corrupt(&self.path, &error.to_string()),
        }
    }

    fn failed(&self) -> MutexGuard<'_, Option<StorageError>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Length for StoredFile {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for StoredFile {
    type T = Stream;

    fn get_read(&self, start: u64) -> Result<Stream, ParquetError> {
        Ok(Stream { file: self.clone(), at: start, block: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let read = self.bytes_at(start, start + length as u64);
        read.map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// A file from some place on, block by block.
struct Stream {
    file: StoredFile,
    at: u64,
    block: Bytes,
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.block.is_empty() && self.at < self.file.bytes {
            let to = (self.at + BLOCK_BYTES).min(self.file.bytes);
            self.block = self.file.bytes_at(self.at, to).map_err(io::Error::other)?;
            self.at = to;
        }
        let taken = into.len().min(self.block.len());
        into[..taken].copy_from_slice(&self.block.split_to(taken));
        Ok(taken)
    }
}
