//! What lies in RAW and quarantine, as a listing shows it.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::lake::LakeError;
use crate::lake::at_once::look_at_all;
use crate::lake::chain::LedgerFile;
use crate::lake::mutate;
use crate::lake::names::{self, IntervalName};
use crate::model::offset::TopicPartition;
use crate::storage::{Entry, LakePath, Storage};

/// Every file below these folders, many folders at the same time. One that is not there is empty.
pub(in crate::lake) fn files_below(storage: &dyn Storage, mut dirs: Vec<LakePath>) -> Result<Vec<Entry>, LakeError> {
    let mut files = Vec::new();
    while !dirs.is_empty() {
        let listed = look_at_all(&dirs, |_| 0, |dir| mutate::list(storage, dir));
        let entries = listed.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten();
        let (below, found): (Vec<Entry>, Vec<Entry>) = entries.partition(|entry| entry.is_dir);
        dirs = below.into_iter().map(|dir| dir.path).collect();
        files.extend(found);
    }
    Ok(files)
}

/// Every file of both zones.
#[derive(Debug, Default)]
pub(super) struct Present {
    /// Length, and when it was written.
    files: HashMap<LakePath, (u64, Timestamp)>,
    /// Those of each Kafka partition, by their names.
    by_source: HashMap<TopicPartition, Vec<(IntervalName, LakePath)>>,
}

impl Present {
    /// Lists both zones, many folders at the same time.
    pub(super) fn list(storage: &dyn Storage) -> Result<Self, LakeError> {
        let mut present = Self::default();
        for entry in files_below(storage, vec![names::raw_root(), names::quarantine_root()])? {
            if let Some(name) = IntervalName::parse(entry.path.name()) {
                present.by_source.entry(name.source.clone()).or_default().push((name, entry.path.clone()));
            }
            present.files.insert(entry.path, (entry.bytes, entry.modified));
        }
        Ok(present)
    }

    /// Length of a file; none when it was not listed.
    pub(super) fn bytes(&self, path: &LakePath) -> Option<u64> {
        self.files.get(path).map(|(bytes, _)| *bytes)
    }

    /// Every file.
    pub(super) fn paths(&self) -> impl Iterator<Item = &LakePath> {
        self.files.keys()
    }

    /// The data files of a Kafka partition whose names say that they end at `to` or before.
    pub(super) fn below(&self, source: &TopicPartition, to: i64) -> impl Iterator<Item = &LakePath> {
        let of_source = self.by_source.get(source).into_iter().flatten();
        of_source.filter(move |(name, _)| name.range.to() <= to).map(|(_, path)| path)
    }

    /// What tells the files of a chain that end at `to` or before, and those data files, from all others: paths,
    /// lengths and when they were written.
    pub(super) fn digest(&self, source: &TopicPartition, ledger: &[LedgerFile], to: i64) -> String {
        let ledger = ledger.iter().filter(|file| file.name.range.to() <= to);
        let mut marks: BTreeMap<&str, (u64, Timestamp)> =
            ledger.map(|file| (file.path.as_str(), (file.bytes, file.modified))).collect();
        for path in self.below(source, to) {
            marks.extend(self.files.get(path).map(|mark| (path.as_str(), *mark)));
        }
        let mut digest = Sha256::new();
        for (path, (bytes, modified)) in marks {
            digest.update(format!("{path}\n{bytes} {}\n", modified.as_nanosecond()));
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
