//! One open Parquet file of a zone and table in the local spool.
//!
//! Memory: the rows that are still too few to be worth a call of the encoder (at most `GATHER_ROWS` rows or
//! `GATHER_BYTES`), the open row group in encoded form, and 64 kB of output. [`OpenFile::flush`] empties all but the
//! last. Everything else is in the file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use arrow::array::{Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;

use super::encoding::writer_properties;
use crate::fault::Fault;
use crate::flow::spool::{Spool, SpoolFile, io_fault};
use crate::model::table::Compression;

/// Small batches are gathered up to this many rows: every call of the encoder costs the same for each column.
const GATHER_ROWS: usize = 4096;
/// …or up to this many bytes.
const GATHER_BYTES: usize = 1 << 20;
/// What the compressor of one column holds beside its data while a row group is open, measured with Zstandard.
const COMPRESSOR_BYTES: usize = 128 << 10;
/// Bytes gathered before a write to the file.
const OUTPUT_BYTES: usize = 64 << 10;

/// What a file is to be.
#[derive(Debug, Clone)]
pub struct FileSpec {
    /// Its columns. Dictionary columns are plain ones for readers.
    pub schema: SchemaRef,
    /// Page compression.
    pub compression: Compression,
    /// Encoded bytes at which a row group is closed.
    pub row_group_bytes: usize,
}

/// A whole file in the spool. Dropping it removes the file.
#[derive(Debug)]
pub struct SpooledFile {
    file: SpoolFile,
    rows: u64,
    checksum: u32,
}

impl SpooledFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    /// Its rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// CRC-32 (IEEE) of its bytes.
    pub fn checksum(&self) -> u32 {
        self.checksum
    }
}

/// A file that is being filled.
#[derive(Debug)]
pub struct OpenFile {
    spec: FileSpec,
    spool_file: SpoolFile,
    state: State,
    gathered: Vec<RecordBatch>,
    gathered_rows: usize,
    gathered_bytes: usize,
    rows: u64,
    /// Most encoded bytes that one call of the encoder has added.
    largest_step: u64,
}

#[derive(Debug)]
enum State {
    /// Encodings are chosen from the first rows, so there is no writer before them.
    Fresh(File),
    Writing(Box<ArrowWriter<ChecksumWriter>>),
    /// A write failed: the file is worth nothing.
    Broken,
}

impl OpenFile {
    /// A new file in `spool`.
    ///
    /// # Errors
    ///
    /// A fault of the spool.
    pub fn create(spool: &Spool, spec: FileSpec) -> Result<Self, Fault> {
        let (spool_file, file) = spool.create()?;
        Ok(Self {
            spec,
            spool_file,
            state: State::Fresh(file),
            gathered: Vec::new(),
            gathered_rows: 0,
            gathered_bytes: 0,
            rows: 0,
            largest_step: 0,
        })
    }

    /// Adds rows. Small batches wait for each other.
    ///
    /// # Errors
    ///
    /// A fault of the spool, or an internal one when the rows are not of the file's schema. The file is worth
    /// nothing after either.
    pub fn append(&mut self, rows: RecordBatch) -> Result<(), Fault> {
        self.rows += rows.num_rows() as u64;
        self.gathered_rows += rows.num_rows();
        self.gathered_bytes += sliced_bytes(&rows);
        self.gathered.push(rows);
        if self.gathered_rows >= GATHER_ROWS || self.gathered_bytes >= GATHER_BYTES {
            let before = self.encoded_bytes();
            self.encode()?;
            self.largest_step = self.largest_step.max(self.encoded_bytes().saturating_sub(before));
        }
        self.account();
        Ok(())
    }

    /// Rows added so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Encoded bytes, those of the open row group by estimate.
    pub fn encoded_bytes(&self) -> u64 {
        match &self.state {
            State::Writing(writer) => (writer.bytes_written() + writer.in_progress_size()) as u64,
            State::Fresh(_) | State::Broken => 0,
        }
    }

    /// Encoded bytes that the file may have after the next call of the encoder: what keeps it under a limit.
    pub fn projected_bytes(&self) -> u64 {
        self.encoded_bytes() + self.largest_step
    }

    /// Bytes held in memory.
    pub fn memory_bytes(&self) -> u64 {
        let writer = match &self.state {
            State::Writing(writer) if writer.in_progress_rows() > 0 => writer.memory_size() + self.compressor_bytes(),
            State::Writing(_) | State::Fresh(_) | State::Broken => 0,
        };
        (writer + self.gathered_bytes) as u64
    }

    fn compressor_bytes(&self) -> usize {
        let columns = self.spec.schema.fields().len();
        if matches!(self.spec.compression, Compression::Zstd(_)) { columns * COMPRESSOR_BYTES } else { 0 }
    }

    /// Closes the open row group, so that nothing is held in memory.
    ///
    /// # Errors
    ///
    /// As [`OpenFile::append`].
    pub fn flush(&mut self) -> Result<(), Fault> {
        self.encode()?;
        if let State::Writing(writer) = &mut self.state
            && let Err(error) = writer.flush()
        {
            return Err(self.broken(&error));
        }
        self.account();
        Ok(())
    }

    /// Writes the footer with these key-value pairs and closes the file.
    ///
    /// # Errors
    ///
    /// As [`OpenFile::append`].
    pub fn finish(mut self, footer: &[(&str, String)]) -> Result<SpooledFile, Fault> {
        self.encode()?;
        self.open_writer(&RecordBatch::new_empty(self.spec.schema.clone()))?;
        let State::Writing(mut writer) = std::mem::replace(&mut self.state, State::Broken) else {
            return Err(Fault::internal("buffer.broken-file", "a spool file was closed after a failed write"));
        };
        for (key, value) in footer {
            writer.append_key_value_metadata(KeyValue::new((*key).to_owned(), value.clone()));
        }
        let closed = writer.finish().map(drop).and_then(|()| Ok(writer.inner_mut().close()?));
        let (bytes, checksum) = closed.map_err(|error| self.broken(&error))?;
        self.spool_file.resize(bytes);
        Ok(SpooledFile { file: self.spool_file, rows: self.rows, checksum })
    }

    /// Encodes what has been gathered.
    fn encode(&mut self) -> Result<(), Fault> {
        self.gathered_rows = 0;
        self.gathered_bytes = 0;
        let mut gathered = std::mem::take(&mut self.gathered);
        let rows = match gathered.len() {
            0 => return Ok(()),
            1 => gathered.remove(0),
            _ => concat_batches(&self.spec.schema, &gathered).map_err(|error| self.broken(&error.into()))?,
        };
        drop(gathered);
        self.open_writer(&rows)?;
        let State::Writing(writer) = &mut self.state else {
            return Err(Fault::internal("buffer.broken-file", "a spool file was written to after a failed write"));
        };
        writer.write(&rows).map_err(|error| self.broken(&error))
    }

    fn open_writer(&mut self, sample: &RecordBatch) -> Result<(), Fault> {
        let file = match std::mem::replace(&mut self.state, State::Broken) {
            State::Fresh(file) => file,
            other => {
                self.state = other;
                return Ok(());
            }
        };
        let properties = writer_properties(sample, self.spec.compression, self.spec.row_group_bytes);
        // Without the Arrow schema in the footer a reader takes the Parquet types: plain text, not our dictionary.
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(ChecksumWriter::new(file), self.spec.schema.clone(), options);
        self.state = State::Writing(Box::new(writer.map_err(|error| self.broken(&error))?));
        Ok(())
    }

    fn account(&mut self) {
        self.spool_file.resize(self.encoded_bytes());
    }

    fn broken(&mut self, error: &ParquetError) -> Fault {
        self.state = State::Broken;
        if let ParquetError::External(source) = error
            && let Some(error) = source.downcast_ref::<io::Error>()
        {
            return io_fault(error, "write a spool file", self.spool_file.path());
        }
        Fault::internal(
            "buffer.encode",
            format!("cannot encode a file in {}: {error}", self.spool_file.path().display()),
        )
    }
}

/// Bytes of the values that the rows show, also when they are a slice of larger arrays.
fn sliced_bytes(rows: &RecordBatch) -> usize {
    rows.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or_default()).sum()
}

/// Counts and sums the bytes on their way to the file.
#[derive(Debug)]
struct ChecksumWriter {
    file: BufWriter<File>,
    hasher: crc32fast::Hasher,
    written: u64,
}

impl ChecksumWriter {
    fn new(file: File) -> Self {
        Self { file: BufWriter::with_capacity(OUTPUT_BYTES, file), hasher: crc32fast::Hasher::new(), written: 0 }
    }

    /// Hands everything to the operating system; length and checksum of the file.
    fn close(&mut self) -> io::Result<(u64, u32)> {
        self.file.flush()?;
        Ok((self.written, self.hasher.clone().finalize()))
    }
}

impl Write for ChecksumWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.file.write(bytes)?;
        self.hasher.update(&bytes[..taken]);
        self.written += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests;
