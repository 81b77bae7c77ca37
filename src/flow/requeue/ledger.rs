//! The ledger of a new version: the old one, with what has become of some messages in place of what they were.

use std::sync::Arc;

use super::interval::Requeuer;
use crate::fault::Fault;
use crate::flow::buffer::ledger_file::LedgerFile as LedgerOut;
use crate::lake::chain::LedgerFile;
use crate::lake::ledger::OldRows;
use crate::model::batch::LedgerRow;

/// Ledger rows gathered before they are written.
const LEDGER_ROWS: usize = 4096;

/// The old ledger, row by row, with some rows replaced.
pub(super) struct Merge {
    path: String,
    old: OldRows,
    out: LedgerOut,
    gathered: Vec<LedgerRow>,
}

impl Merge {
    pub(super) fn new(requeuer: &Requeuer, old: &LedgerFile, names: Arc<[Arc<str>]>) -> Result<Self, Fault> {
        let content = requeuer.storage.read(&old.path, 0, old.bytes)?;
        let path = old.path.to_string();
        let rows = OldRows::new(content, Arc::clone(&names)).map_err(|detail| damaged(&path, &detail))?;
        let out = LedgerOut::create(&requeuer.spool, names)?;
        Ok(Self { path, old: rows, out, gathered: Vec::with_capacity(LEDGER_ROWS) })
    }

    /// Takes out the row of an offset: what is to stand there is pushed next. By ascending offset.
    pub(super) fn find(&mut self, offset: i64) -> Result<LedgerRow, Fault> {
        loop {
            match self.next()? {
                Some(old) if old.offset < offset => self.push(old)?,
                Some(old) if old.offset == offset => return Ok(old),
                _ => {
                    let missing = format!("offset {offset} is in quarantine, and it has no row");
                    return Err(damaged(&self.path, &missing));
                }
            }
        }
    }

    fn next(&mut self) -> Result<Option<LedgerRow>, Fault> {
        self.old.next_row().map_err(|detail| damaged(&self.path, &detail))
    }

    pub(super) fn push(&mut self, row: LedgerRow) -> Result<(), Fault> {
        self.gathered.push(row);
        if self.gathered.len() == LEDGER_ROWS {
            self.out.append(&self.gathered)?;
            self.gathered.clear();
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<LedgerOut, Fault> {
        while let Some(row) = self.next()? {
            self.push(row)?;
        }
        self.out.append(&self.gathered)?;
        Ok(self.out)
    }
}

fn damaged(path: &str, detail: &str) -> Fault {
    Fault::halt("requeue.ledger", format!("{path} is damaged: {detail}; see `forebay audit`"))
}
