//! The ledger of an open interval, as a file of the spool that [`LedgerWriter`] writes.

use std::sync::Arc;

use crate::fault::Fault;
use crate::flow::spool::{Spool, SpoolFile};
use crate::lake::ledger::LedgerWriter;
use crate::model::batch::LedgerRow;

/// A ledger file that is being filled. Its footer names the data files of the interval, so the commit writes it.
#[derive(Debug)]
pub struct LedgerFile {
    writer: LedgerWriter,
    file: SpoolFile,
}

impl LedgerFile {
    /// A new ledger in `spool`; `tables` are the names of the tables by index.
    ///
    /// # Errors
    ///
    /// A fault of the spool.
    pub fn create(spool: &Spool, tables: Arc<[Arc<str>]>) -> Result<Self, Fault> {
        let (file, _) = spool.create()?;
        let writer = LedgerWriter::create(file.path(), tables)?;
        Ok(Self { writer, file })
    }

    /// Adds rows, by ascending offset.
    ///
    /// # Errors
    ///
    /// An internal fault when they are not, or a fault of the spool.
    pub fn append(&mut self, rows: &[LedgerRow]) -> Result<(), Fault> {
        self.writer.append(rows)?;
        self.file.resize(self.writer.encoded_bytes());
        Ok(())
    }

    /// Encoded bytes, those of the open row group by estimate.
    pub fn encoded_bytes(&self) -> u64 {
        self.writer.encoded_bytes()
    }

    /// Bytes held in memory.
    pub fn memory_bytes(&self) -> u64 {
        self.writer.memory_bytes()
    }

    /// Closes the open row group.
    ///
    /// # Errors
    ///
    /// A fault of the spool.
    pub fn flush(&mut self) -> Result<(), Fault> {
        self.writer.flush()?;
        self.file.resize(self.writer.encoded_bytes());
        Ok(())
    }

    /// The writer, which the commit finishes, and the file, which must be kept for as long as the commit needs it.
    pub fn into_parts(self) -> (LedgerWriter, SpoolFile) {
        (self.writer, self.file)
    }
}
