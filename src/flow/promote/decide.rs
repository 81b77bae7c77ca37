//! From listings to a decision: which rows of which files are written, and which rows of Processed go.
//!
//! Keys first: only record id, order and lineage are read here, of what is new, of the whole of Processed, and of older
//! RAW files where a rewind or a revision asks for them. Keys of Processed whose id is not concerned are dropped as
//! they are read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use std::hash::BuildHasher;

use super::delta::{LaneDelta, Stale};
use super::input::Input;
use super::keys::{Buckets, Key, Sieve};
use super::scan::{KeyReader, Lanes};
use super::sources::{Lane, RawFile, raw_files};
use super::winners::{Decision, Picker, Role, RowSet};
use crate::fault::Fault;
use crate::lake::chain::LedgerFile;
use crate::lake::log::LiveFile;
use crate::lake::names::processed_dir;
use crate::storage::{LakePath, Storage};

/// Memory that deciding one id takes, at most, without its version.
const ID_BYTES: u64 = 256;

/// A file with rows of the table.
pub struct SourceFile {
    /// Where.
    pub path: LakePath,
    /// Length in bytes.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// What it is.
    pub kind: SourceKind,
    /// RAW: rows to write. Processed: rows that go.
    pub chosen: RowSet,
}

/// Which zone a file belongs to, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// RAW, consumed by this promotion.
    New,
    /// RAW, promoted before.
    Old,
    /// Processed, with its path below the table and its path partition.
    Promoted {
        /// Path below the table.
        path: String,
        /// Value of the path partition.
        dt: Option<String>,
    },
}

/// Everything that was decided.
pub struct Survey {
    /// The files.
    pub files: Vec<SourceFile>,
    /// Rows read of new intervals.
    pub rows_read: u64,
    /// Rows to write.
    pub winners: u64,
    /// Ids that Processed did not have.
    pub ids_new: u64,
    /// Ids whose row is replaced.
    pub ids_changed: u64,
    /// Ids that RAW does not have any more after a rewind or a revision.
    pub ids_removed: u64,
}

/// What the decision needs.
pub struct Surveyor<'a> {
    /// The lake.
    pub storage: &'a Arc<dyn Storage>,
    /// Table name.
    pub table: &'a str,
    /// Version of its mapping here.
    pub mapping_version: u32,
    /// Reads the keys.
    pub keys: KeyReader,
    /// Folder for keys that do not fit into memory.
    pub spool: &'a Path,
    /// Bytes of memory.
    pub budget: u64,
}

struct State {
    files: Vec<SourceFile>,
    lanes: Lanes,
    hasher: hashbrown::DefaultHashBuilder,
    stale: BTreeMap<u32, Stale>,
}

impl State {
    fn role(&self, key: &Key<'_>) -> Role {
        match self.files[key.place.file as usize].kind {
            SourceKind::New => Role::New,
            SourceKind::Old => Role::Old,
            SourceKind::Promoted { .. } => Role::Promoted { is_stale: self.is_stale(key) },
        }
    }

    fn is_stale(&self, key: &Key<'_>) -> bool {
        self.stale.get(&key.lineage.lane).is_some_and(|stale| stale.holds(key.lineage.offset))
    }
}

impl Surveyor<'_> {
    /// Decides for all ids that are concerned.
    ///
    /// # Errors
    ///
    /// Storage, the spool, or files that do not fit the table.
    pub fn survey(mut self, lanes: &[Lane], live: &[LiveFile]) -> Result<Survey, Fault> {
        let (hasher, known) = (hashbrown::DefaultHashBuilder::default(), Lanes::default());
        let mut state = State { files: Vec::new(), lanes: known, hasher, stale: BTreeMap::new() };
        for lane in lanes {
            if let LaneDelta::Take { stale, .. } = &lane.delta
                && !stale.is_empty()
            {
                state.stale.insert(state.lanes.number(&lane.source), stale.clone());
            }
        }
        let mut fresh = Vec::new();
        for lane in lanes {
            self.add_raw(&mut state, lane, lane.fresh(), &SourceKind::New, &mut fresh)?;
        }
        let rows_read = fresh.iter().map(|(index, _)| state.files[*index as usize].rows).sum();
        let promoted_rows: u64 = live.iter().map(|file| file.rows).sum();
        let concerned = if state.stale.is_empty() { rows_read * 2 } else { rows_read * 2 + promoted_rows };
        let mut buckets = Buckets::new(self.spool, concerned, ID_BYTES, self.budget / 2);
        let mut sieve = Sieve::new(if live.is_empty() { 0 } else { rows_read });
        for (index, lane) in fresh {
            self.read(&mut state, index, Some(lane), |state, key| {
                let hash = state.hasher.hash_one(key.id);
                sieve.add(hash);
                buckets.push(hash, key)
            })?;
        }
        let affected = self.read_promoted(&mut state, live, &sieve, promoted_rows, &mut buckets)?;
        if let Some(affected) = affected {
            self.read_settled(&mut state, lanes, &affected, &mut buckets)?;
        }
        decide(state, &mut buckets, rows_read)
    }

    /// Adds the files of RAW intervals, without reading them.
    fn add_raw<'l>(
        &self,
        state: &mut State,
        lane: &Lane,
        intervals: impl Iterator<Item = &'l LedgerFile>,
        kind: &SourceKind,
        added: &mut Vec<(u32, u32)>,
    ) -> Result<(), Fault> {
        for interval in intervals {
            for file in raw_files(&**self.storage, self.table, interval)? {
                if file.mapping_version > self.mapping_version {
                    return Err(self.newer_mapping(&file));
                }
                let number = state.lanes.number(&lane.source);
                added.push((state.files.len() as u32, number));
                let (kind, chosen) = (kind.clone(), RowSet::default());
                state.files.push(SourceFile { path: file.path, bytes: file.bytes, rows: file.rows, kind, chosen });
            }
        }
        Ok(())
    }

    /// Columns that only the newer version has would be lost for good. The lane that wrote the file was reloaded before
    /// us.
    fn newer_mapping(&self, file: &RawFile) -> Fault {
        let (theirs, ours, table) = (file.mapping_version, self.mapping_version, self.table);
        let message = format!(
            "{} was read with version {theirs} of the mapping of {table}, and this daemon promotes with version {ours}: \
             say `forebay reload` here too",
            file.path
        );
        Fault::retry("promote.newer-mapping", message)
    }

    /// Reads the keys of one file.
    fn read(
        &mut self,
        state: &mut State,
        index: u32,
        lane: Option<u32>,
        mut take: impl FnMut(&State, &Key<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let file = &state.files[index as usize];
        let input = Input::open(self.storage, &file.path, file.bytes)?;
        if input.rows() != file.rows {
            return Err(Fault::halt(
                "promote.rows",
                format!("{} has {} rows, {} were recorded; see `forebay audit`", file.path, input.rows(), file.rows),
            ));
        }
        let mut lanes = std::mem::take(&mut state.lanes);
        let answer = self.keys.read(&input, index, lane, &mut lanes, |key| take(state, key));
        state.lanes = lanes;
        answer
    }

    /// Reads the keys of Processed: of ids that came again, and of rows from rewound or revised offsets. Gives the ids
    /// of the latter back.
    fn read_promoted(
        &mut self,
        state: &mut State,
        live: &[LiveFile],
        sieve: &Sieve,
        promoted_rows: u64,
        buckets: &mut Buckets,
    ) -> Result<Option<Sieve>, Fault> {
        let mut affected = Sieve::new(if state.stale.is_empty() { 0 } else { promoted_rows });
        let mut is_any = false;
        let root = processed_dir(self.table);
        for file in live {
            let index = state.files.len() as u32;
            state.files.push(SourceFile {
                path: root.join(&file.path),
                bytes: file.bytes,
                rows: file.rows,
                kind: SourceKind::Promoted { path: file.path.clone(), dt: file.dt.clone() },
                chosen: RowSet::default(),
            });
            self.read(state, index, None, |state, key| {
                let hash = state.hasher.hash_one(key.id);
                let is_stale = state.is_stale(key);
                if is_stale {
                    affected.add(hash);
                    is_any = true;
                }
                if is_stale || sieve.may_hold(hash) { buckets.push(hash, key) } else { Ok(()) }
            })?;
        }
        Ok(is_any.then_some(affected))
    }

    /// Reads the keys of RAW files that were promoted before, of ids whose row is recomputed.
    fn read_settled(
        &mut self,
        state: &mut State,
        lanes: &[Lane],
        affected: &Sieve,
        buckets: &mut Buckets,
    ) -> Result<(), Fault> {
        let mut settled = Vec::new();
        for lane in lanes {
            self.add_raw(state, lane, lane.old(), &SourceKind::Old, &mut settled)?;
        }
        for (index, lane) in settled {
            self.read(state, index, Some(lane), |state, key| {
                let hash = state.hasher.hash_one(key.id);
                if affected.may_hold(hash) { buckets.push(hash, key) } else { Ok(()) }
            })?;
        }
        Ok(())
    }
}

fn decide(mut state: State, buckets: &mut Buckets, rows_read: u64) -> Result<Survey, Fault> {
    let ranks = state.lanes.ranks();
    let mut survey = Survey { files: Vec::new(), rows_read, winners: 0, ids_new: 0, ids_changed: 0, ids_removed: 0 };
    for index in 0..buckets.count() {
        let mut picker = Picker::new(&ranks, &state.hasher);
        buckets.drain(index, |key| picker.offer(state.role(&key), &key))?;
        let Decision { winners, losers, ids_new, ids_changed, ids_removed } = picker.decide();
        survey.winners += winners.len() as u64;
        survey.ids_new += ids_new;
        survey.ids_changed += ids_changed;
        survey.ids_removed += ids_removed;
        for place in winners.into_iter().chain(losers) {
            state.files[place.file as usize].chosen.insert(place.row);
        }
    }
    survey.files = state.files;
    Ok(survey)
}
