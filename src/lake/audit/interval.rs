//! One interval: its ledger file, and the data files that it names.

use std::sync::atomic::{AtomicU32, Ordering};

use super::present::Present;
use super::{Depth, Flaw, Violation};
use crate::lake::LakeError;
use crate::lake::chain::LedgerFile;
use crate::lake::footer::{self, DataFile, IntervalFooter};
use crate::lake::ledger;
use crate::lake::mutate;
use crate::storage::{Kind, LakePath, Storage, StorageError};

/// After so many files that could not be read, one after another, storage is taken to be away.
const MOST_UNREAD: u32 = 32;

/// What an interval shows.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// What the ledger file says; none when it is damaged or has left its place.
    pub(super) footer: Option<IntervalFooter>,
    /// What is wrong.
    pub(super) found: Vec<Violation>,
    /// Whether every data file lay in its place when the zones were listed.
    pub(super) is_listed: bool,
}

/// Looks at intervals, many at the same time.
pub(super) struct Looker<'a> {
    pub(super) storage: &'a dyn Storage,
    pub(super) depth: Depth,
    pub(super) present: &'a Present,
    /// Files in a row that could not be read.
    pub(super) unread: AtomicU32,
}

impl Looker<'_> {
    /// Checks one ledger file and what it names. A ledger file that has left its place meanwhile was taken out of the
    /// chain by a rewind: then nothing that was found counts.
    ///
    /// When storage does not answer for one file the others are looked at all the same, unless it seems to be away.
    pub(super) fn look(&self, file: &LedgerFile) -> Result<Looked, LakeError> {
        if self.unread.load(Ordering::Relaxed) >= MOST_UNREAD {
            return Err(StorageError::new(Kind::Unavailable, "read", &file.path, "it was not tried any more").into());
        }
        let looked = self.look_twice(file);
        match &looked {
            Ok(_) => self.unread.store(0, Ordering::Relaxed),
            Err(_) => drop(self.unread.fetch_add(1, Ordering::Relaxed)),
        }
        looked
    }

    fn look_twice(&self, file: &LedgerFile) -> Result<Looked, LakeError> {
        let mut looked = match self.check(file) {
            Ok(looked) => looked,
            Err(LakeError::Corrupt { detail, .. }) => {
                Looked { found: vec![Violation::at(&file.path, detail)], ..Looked::default() }
            }
            Err(LakeError::Storage(error)) if error.kind == Kind::NotFound => {
                let what = "the ledger file was listed and cannot be read";
                Looked { found: vec![Violation::at(&file.path, what)], ..Looked::default() }
            }
            Err(error) => return Err(error),
        };
        if !looked.found.is_empty() && mutate::look(self.storage, &file.path)?.is_none() {
            looked.found.clear();
        }
        Ok(looked)
    }

    fn check(&self, file: &LedgerFile) -> Result<Looked, LakeError> {
        let (footer, mut found) = self.check_ledger(file)?;
        let mut is_listed = true;
        for data in &footer.files {
            let path = LakePath::parse(&data.path);
            is_listed &= path.as_ref().is_some_and(|path| self.present.bytes(path).is_some());
            match path {
                Some(path) => found.extend(
                    self.check_data(&path, data)?.map(|(flaw, what)| Violation::at(&data.path, what).as_flaw(flaw)),
                ),
                None => found.push(Violation::at(&data.path, "this is no path")),
            }
        }
        Ok(Looked { footer: Some(footer), found, is_listed })
    }

    fn check_ledger(&self, file: &LedgerFile) -> Result<(IntervalFooter, Vec<Violation>), LakeError> {
        let content = footer::read_range(self.storage, &file.path, 0, file.bytes)?;
        let footer = footer::footer_of(&file.path, &content)?;
        let mut wrong = Vec::new();
        if footer.name().as_ref() != Some(&file.name) || footer.ledger != file.path.as_str() {
            wrong.push("the footer is that of another ledger file".to_owned());
        }
        match ledger::read_rows(content) {
            Ok(reading) => {
                let range = file.name.range;
                if let Some(offset) = reading.repeated {
                    wrong.push(format!("offset {offset} has two rows, or is out of order"));
                }
                if reading.offsets.is_some_and(|(first, last)| !range.contains(first) || !range.contains(last)) {
                    wrong.push(format!("there are rows outside {range}"));
                }
                if footer.last.is_some() && footer.last != reading.last {
                    wrong.push("the last message in the footer is not that of the rows".to_owned());
                }
                let mut sums = reading.sums;
                sums.add_children(&footer.files);
                if sums != footer.sums {
                    wrong.push("the sums in the footer are not those of the rows".to_owned());
                }
            }
            Err(detail) => wrong.push(format!("the rows cannot be read: {detail}")),
        }
        wrong.extend(footer.disagreement());
        let wrong = wrong.into_iter().map(|what| Violation::at(&file.path, what)).collect();
        Ok((footer, wrong))
    }

    /// What is wrong with a data file that a ledger file names. One that was not listed is looked up: it may be newer
    /// than the list.
    fn check_data(&self, path: &LakePath, file: &DataFile) -> Result<Option<(Flaw, String)>, LakeError> {
        const GONE: &str = "the ledger names it and it is not there";
        let bytes = match self.present.bytes(path).filter(|bytes| *bytes == file.bytes) {
            Some(bytes) => Some(bytes),
            None => mutate::look(self.storage, path)?.map(|entry| entry.bytes),
        };
        match bytes {
            None => return Ok(Some((Flaw::Missing, GONE.into()))),
            Some(bytes) if bytes != file.bytes => {
                let what = format!("it has {bytes} bytes where the ledger says {}", file.bytes);
                return Ok(Some((Flaw::Short, what)));
            }
            Some(_) => {}
        }
        match self.check_content(path, file) {
            Err(LakeError::Corrupt { detail, .. }) => Ok(Some((Flaw::Content, detail))),
            // Moved since it was listed.
            Err(LakeError::Storage(error)) if error.kind == Kind::NotFound => Ok(Some((Flaw::Missing, GONE.into()))),
            checked => Ok(checked?.map(|what| (Flaw::Content, what))),
        }
    }

    fn check_content(&self, path: &LakePath, file: &DataFile) -> Result<Option<String>, LakeError> {
        if self.depth == Depth::Ledger {
            return Ok(None);
        }
        let rows = footer::read_metadata(self.storage, path, file.bytes)?.file_metadata().num_rows().unsigned_abs();
        if rows != file.rows {
            return Ok(Some(format!("it has {rows} rows where the ledger says {}", file.rows)));
        }
        if self.depth == Depth::DataBytes && self.crc32(path, file.bytes)? != file.crc32 {
            return Ok(Some("its bytes are not those that were committed".into()));
        }
        Ok(None)
    }

    fn crc32(&self, path: &LakePath, bytes: u64) -> Result<u32, LakeError> {
        const PIECE: u64 = 4 << 20;
        let mut hasher = crc32fast::Hasher::new();
        let mut at = 0;
        while at < bytes {
            let to = (at + PIECE).min(bytes);
            hasher.update(&footer::read_range(self.storage, path, at, to)?);
            at = to;
        }
        Ok(hasher.finalize())
    }
}
