//! Finished files of the spool go into the stage, many at a time.

use std::sync::Arc;

use super::keys::spool_fault;
use super::parts::SpooledPart;
use crate::fault::Fault;
use crate::lake::fence::Tenure;
use crate::lake::mutate;
use crate::lake::plan::PlannedFile;
use crate::model::offset::Epoch;
use crate::storage::{Content, Kind, LakePath, Storage, StorageError};

/// Bytes that wait in the spool before they are staged.
const WAITING_BYTES: u64 = 512 << 20;

/// How often a file is written anew, each time under another name.
const ATTEMPTS: u32 = 3;

/// Puts files into the stage of one promoter.
pub struct Stager<'a> {
    tenure: &'a Tenure,
    waiting: Vec<SpooledPart>,
    staged: Vec<PlannedFile>,
}

impl<'a> Stager<'a> {
    /// For the promoter with this tenure.
    pub fn new(tenure: &'a Tenure) -> Self {
        Self { tenure, waiting: Vec::new(), staged: Vec::new() }
    }

    /// The promoter's epoch.
    pub fn epoch(&self) -> Epoch {
        self.tenure.epoch
    }

    /// Takes finished files; stages what waits when it is much, or the last.
    ///
    /// # Errors
    ///
    /// Storage, the spool, or another promoter that has taken over.
    pub fn add(&mut self, storage: &Arc<dyn Storage>, parts: Vec<SpooledPart>, is_last: bool) -> Result<(), Fault> {
        self.waiting.extend(parts);
        let bytes: u64 = self.waiting.iter().map(|part| part.planned.bytes).sum();
        if is_last || bytes >= WAITING_BYTES { self.flush(storage) } else { Ok(()) }
    }

    /// The files in the stage.
    pub fn into_staged(self) -> Vec<PlannedFile> {
        self.staged
    }

    fn flush(&mut self, storage: &Arc<dyn Storage>) -> Result<(), Fault> {
        let mut left = std::mem::take(&mut self.waiting);
        for attempt in 1..=ATTEMPTS {
            if left.is_empty() {
                break;
            }
            let files: Vec<(LakePath, Content<'_>)> = left
                .iter()
                .map(|part| (self.tenure.stage.join(&part.planned.staged), Content::Spooled(&part.local)))
                .collect();
            let answers = storage.write_all(&files);
            drop(files);
            let mut failed = Vec::new();
            for (mut part, answer) in left.into_iter().zip(answers) {
                match answer {
                    Ok(()) => self.keep(storage, part)?,
                    Err(error) if attempt < ATTEMPTS && may_pass(&error) => {
                        // Under another name: whatever the failed try left or may yet leave is not this file.
                        part.planned.staged = format!("{}.{attempt}", part.planned.staged);
                        failed.push(part);
                    }
                    Err(error) if error.kind == Kind::NotFound => return Err(self.tenure.fenced().into()),
                    Err(error) => return Err(error.into()),
                }
            }
            left = failed;
        }
        Ok(())
    }

    /// Checks the length of a staged file and lets go of the local one.
    fn keep(&mut self, storage: &Arc<dyn Storage>, part: SpooledPart) -> Result<(), Fault> {
        let path = self.tenure.stage.join(&part.planned.staged);
        let Some(entry) = mutate::look(&**storage, &path)? else { return Err(self.tenure.fenced().into()) };
        if entry.bytes != part.planned.bytes {
            return Err(Fault::retry(
                "promote.stage",
                format!("{path} has {} bytes after writing {}; it is written again", entry.bytes, part.planned.bytes),
            ));
        }
        std::fs::remove_file(&part.local).map_err(|error| spool_fault(&part.local, &error))?;
        self.staged.push(part.planned);
        Ok(())
    }
}

fn may_pass(error: &StorageError) -> bool {
    matches!(error.kind, Kind::Unavailable | Kind::Unknown | Kind::Other)
}
