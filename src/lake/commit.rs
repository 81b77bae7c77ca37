//! How an interval is committed: stage everything, verify, rename the data files, rename the ledger file.
//!
//! The rename of the ledger file is the commit. Before it nothing has happened: the data files lie where nobody counts
//! them, and the staged ledger file names them so that the next owner can remove them. After it everything has.

use std::path::PathBuf;

use jiff::Timestamp;

use super::LakeError;
use super::fence;
use super::footer::{DataFile, IntervalFooter, Lost, MappingUsed, Sums, Zone};
use super::lane::{LaneLedger, Placement};
use super::ledger::{LedgerWriter, Spooled};
use super::mutate::{self, Expected, Moved};
use super::names::{self, HeadHint, IntervalName};
use super::recover::MANIFEST_SUFFIX;
use crate::failpoint;
use crate::model::offset::OffsetRange;
use crate::observe::events;
use crate::storage::{Content, Kind, LakePath, StorageError};

/// How often the files of an interval are staged before the error is handed on.
const STAGINGS: usize = 3;

/// Hints that are kept: older ones help after a rewind.
const HINTS_KEPT: usize = 3;

/// A finished data file of the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpooledData {
    /// Where it goes.
    pub zone: Zone,
    /// The table, or [`names::UNROUTED`].
    pub table: String,
    /// The file.
    pub file: Spooled,
}

/// An interval that is ready to be committed. It remembers how far its commit came, so that after a fault that may pass
/// the same interval goes on under the same names.
#[derive(Debug)]
pub struct PendingInterval {
    range: OffsetRange,
    data: Vec<SpooledData>,
    mappings: Vec<MappingUsed>,
    lost: Option<Lost>,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    Filled(Box<LedgerWriter>),
    Placed(Box<Placed>),
    /// The ledger file could not be finished, or the interval is committed.
    Over,
}

/// An interval whose names are decided: from here on only the identical files may be committed in this epoch.
#[derive(Debug)]
struct Placed {
    name: IntervalName,
    placement: Placement,
    footer: IntervalFooter,
    ledger_path: LakePath,
    /// Data files first, the ledger file last: the order of the renames.
    files: Vec<StagedFile>,
}

#[derive(Debug)]
struct StagedFile {
    spool: PathBuf,
    bytes: u64,
    to: LakePath,
    /// Beginning and ending of its name in the stage.
    stem: String,
    ending: &'static str,
    attempt: u32,
    /// Where it lies in the stage, once it was verified.
    staged: Option<LakePath>,
    is_placed: bool,
}

/// An interval that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its interval and epoch.
    pub name: IntervalName,
    /// Its ledger file.
    pub ledger: LakePath,
    /// What the ledger file says of it.
    pub footer: IntervalFooter,
    /// Bytes of all its files.
    pub bytes: u64,
}

impl PendingInterval {
    /// An interval with its rows in `ledger` and its finished data files, at most one for each zone and table.
    pub fn new(range: OffsetRange, ledger: LedgerWriter, data: Vec<SpooledData>, mappings: Vec<MappingUsed>) -> Self {
        Self { range, data, mappings, lost: None, progress: Progress::Filled(Box::new(ledger)) }
    }

    /// Offsets that are gone for good; `ledger` stays without rows. The chain goes on after them, and the footer says
    /// why.
    pub fn lost(range: OffsetRange, ledger: LedgerWriter, reason: impl Into<String>) -> Self {
        let lost = Lost { from: range.from(), to: range.to(), reason: reason.into() };
        let progress = Progress::Filled(Box::new(ledger));
        Self { range, data: Vec::new(), mappings: Vec::new(), lost: Some(lost), progress }
    }

    /// The offsets it covers.
    pub fn range(&self) -> OffsetRange {
        self.range
    }

    /// Removes its files from the spool: it will not be committed.
    pub fn discard(self) {
        let ledger = match &self.progress {
            Progress::Filled(writer) => Some(writer.path().to_path_buf()),
            Progress::Placed(placed) => placed.files.last().map(|file| file.spool.clone()),
            Progress::Over => None,
        };
        remove_spooled(self.data.into_iter().map(|data| data.file.path).chain(ledger));
    }
}

impl LaneLedger {
    /// Commits the next interval.
    ///
    /// After an error whose verdict is to retry, the same `pending` may be given again in the same epoch; it goes on
    /// where it stopped. Anything else takes a new epoch.
    ///
    /// # Errors
    ///
    /// [`LakeError::Fenced`] when somebody has taken over, [`LakeError::Internal`] when the interval does not begin at
    /// the head, does not add up, or another one is in flight, [`LakeError::Clocks`], or what storage answered.
    pub fn commit(&mut self, pending: &mut PendingInterval) -> Result<Committed, LakeError> {
        if self.is_over {
            return Err(self.tenure.fenced());
        }
        self.try_commit(pending).map_err(|error| {
            self.is_over |= error.is_fenced();
            fence::name_successor(&*self.storage, &self.tenure.home, error)
        })
    }

    fn try_commit(&mut self, pending: &mut PendingInterval) -> Result<Committed, LakeError> {
        let range = pending.range;
        if range.from() != self.head || range.is_empty() {
            return Err(LakeError::Internal(format!(
                "{range} of {} does not follow offset {}",
                self.source, self.head
            )));
        }
        let (committed, placement) = self.put_in_place(pending, self.next_placement())?;
        self.head = range.to();
        if self.newest.is_some_and(|newest| newest.date != placement.date) {
            self.known_dirs.clear();
        }
        self.newest = Some(placement);
        self.leave_hint(placement, range);
        Ok(committed)
    }

    /// Stages, verifies and renames the files of an interval: when this ends well, it is in the chain. Where it lies is
    /// `placement`, unless that was decided at an earlier try.
    pub(super) fn put_in_place(
        &mut self,
        pending: &mut PendingInterval,
        placement: Placement,
    ) -> Result<(Committed, Placement), LakeError> {
        let name = IntervalName { source: self.source.clone(), range: pending.range, epoch: self.tenure.epoch };
        if self.in_flight.as_ref().is_some_and(|in_flight| *in_flight != name) {
            return Err(LakeError::Internal(format!("{name}: the commit of another interval has not ended")));
        }
        let placed = self.place(pending, &name, placement)?;
        if placed.name != name {
            return Err(LakeError::Internal(format!("{name} was begun in another epoch")));
        }
        self.in_flight = Some(name);
        let staged_at = self.stage(placed)?;
        self.set_storage_time(staged_at)?;
        failpoint::reach("raw.commit.staged");
        self.publish(placed)?;
        failpoint::reach("raw.commit.placed");
        let Progress::Placed(placed) = std::mem::replace(&mut pending.progress, Progress::Over) else {
            return Err(LakeError::Internal("a committed interval has no files".into()));
        };
        self.in_flight = None;
        let bytes = placed.files.iter().map(|file| file.bytes).sum();
        remove_spooled(placed.files.into_iter().map(|file| file.spool));
        let committed = Committed { name: placed.name, ledger: placed.ledger_path, footer: placed.footer, bytes };
        Ok((committed, placed.placement))
    }

    /// Decides, once, where the interval lies and what its ledger file says.
    fn place<'p>(
        &self,
        pending: &'p mut PendingInterval,
        name: &IntervalName,
        placement: Placement,
    ) -> Result<&'p mut Placed, LakeError> {
        if matches!(pending.progress, Progress::Filled(_)) {
            let Progress::Filled(ledger) = std::mem::replace(&mut pending.progress, Progress::Over) else {
                return Err(LakeError::Internal("an interval is filled and is not".into()));
            };
            let placed = self.finish(pending, name.clone(), placement, *ledger)?;
            pending.progress = Progress::Placed(Box::new(placed));
        }
        match &mut pending.progress {
            Progress::Placed(placed) => Ok(placed),
            _ => Err(LakeError::Internal(format!("{name} cannot be committed twice"))),
        }
    }

    fn finish(
        &self,
        pending: &PendingInterval,
        name: IntervalName,
        placement: Placement,
        ledger: LedgerWriter,
    ) -> Result<Placed, LakeError> {
        if ledger.offsets().is_some_and(|(first, last)| !name.range.contains(first) || !name.range.contains(last)) {
            return Err(LakeError::Internal(format!("{name} has rows of other offsets")));
        }
        let file_name = name.file_name();
        let mut files = Vec::with_capacity(pending.data.len() + 1);
        let mut listed: Vec<DataFile> = Vec::with_capacity(pending.data.len());
        for (number, data) in pending.data.iter().enumerate() {
            let dir = match data.zone {
                Zone::Raw => names::raw_dir(&data.table, placement.date, placement.hour),
                Zone::Quarantine => names::quarantine_dir(&data.table, placement.date),
            };
            let to = dir.join(&file_name);
            if listed.iter().any(|file| file.path == to.as_str()) {
                return Err(LakeError::Internal(format!("{name} has two files for `{}`", data.table)));
            }
            listed.push(DataFile {
                zone: data.zone,
                table: data.table.clone(),
                path: to.as_str().to_owned(),
                bytes: data.file.bytes,
                rows: data.file.rows,
                crc32: data.file.checksum,
            });
            files.push(StagedFile::new(&data.file, to, format!("{}-{number:04}", name.range.from()), ".parquet"));
        }
        let date = names::date_segment(placement.date);
        let ledger_path = names::ledger_dir(&self.source).join(date).join(&file_name);
        let footer = self.footer(pending, &name, &ledger_path, listed);
        let (spooled, footer) = ledger.finish(footer)?;
        if let Some(disagreement) = footer.disagreement() {
            return Err(LakeError::Internal(format!("{name} does not add up: {disagreement}")));
        }
        files.push(StagedFile::new(&spooled, ledger_path.clone(), name.range.from().to_string(), MANIFEST_SUFFIX));
        Ok(Placed { name, placement, footer, ledger_path, files })
    }

    fn footer(
        &self,
        pending: &PendingInterval,
        name: &IntervalName,
        ledger: &LakePath,
        files: Vec<DataFile>,
    ) -> IntervalFooter {
        IntervalFooter {
            topic: name.source.topic.to_string(),
            topic_id: self.owner.topic_id.clone(),
            cluster_id: self.owner.cluster_id.clone(),
            partition: name.source.partition,
            from: name.range.from(),
            to: name.range.to(),
            epoch: name.epoch.0,
            ledger: ledger.as_str().to_owned(),
            staged_at: self.storage_now(),
            sums: Sums::default(),
            mappings: pending.mappings.clone(),
            software: self.owner.software.clone(),
            files,
            lost: pending.lost.clone(),
            last: None,
        }
    }

    /// Writes what is not staged yet, all files at once, and verifies their lengths with one look at the stage. A retry
    /// takes a new name: what a lost answer left under the old one is never adopted. Gives the storage's time.
    fn stage(&self, placed: &mut Placed) -> Result<Timestamp, LakeError> {
        let mut staged_at = self.storage_now();
        let mut failed = None;
        for _ in 0..STAGINGS {
            let todo: Vec<usize> =
                (0..placed.files.len()).filter(|index| placed.files[*index].staged.is_none()).collect();
            if todo.is_empty() {
                return Ok(staged_at);
            }
            let paths: Vec<LakePath> =
                todo.iter().map(|i| placed.files[*i].next_stage_path(&self.tenure.stage)).collect();
            let contents: Vec<(LakePath, Content<'_>)> = todo
                .iter()
                .zip(&paths)
                .map(|(index, path)| (path.clone(), Content::Spooled(&placed.files[*index].spool)))
                .collect();
            let answers = self.storage.write_all(&contents);
            let listing = match self.storage.list(&self.tenure.stage) {
                Err(error) if error.kind == Kind::NotFound => return Err(self.tenure.fenced()),
                other => other?,
            };
            for ((index, path), answer) in todo.into_iter().zip(paths).zip(answers) {
                let file = &mut placed.files[index];
                let entry = listing.iter().find(|entry| entry.path == path);
                match (answer, entry) {
                    (Ok(()), Some(entry)) if entry.bytes == file.bytes => {
                        staged_at = entry.modified;
                        file.staged = Some(path);
                        continue;
                    }
                    (Ok(()), entry) => failed = Some(short(&path, file.bytes, entry.map(|entry| entry.bytes))),
                    (Err(error), _) => failed = Some(error),
                }
                mutate::discard(&*self.storage, &path);
            }
            let may_pass =
                |kind| matches!(kind, Kind::Unknown | Kind::Unavailable | Kind::AlreadyExists | Kind::Corrupt);
            if failed.as_ref().is_some_and(|error| !may_pass(error.kind)) {
                break;
            }
        }
        match failed {
            Some(error) if placed.files.iter().any(|file| file.staged.is_none()) => Err(error.into()),
            _ => Ok(staged_at),
        }
    }

    /// Renames the files into place, the ledger file last.
    fn publish(&mut self, placed: &mut Placed) -> Result<(), LakeError> {
        for file in placed.files.iter_mut().filter(|file| !file.is_placed) {
            let Some(staged) = &file.staged else {
                return Err(LakeError::Internal(format!("{} was not staged", file.to)));
            };
            self.ensure_dir(file.to.parent())?;
            failpoint::reach("raw.commit.placing");
            match mutate::rename(&*self.storage, staged, &file.to, Expected::File(file.bytes))? {
                Moved::Done => file.is_placed = true,
                Moved::Gone => return Err(self.tenure.fenced()),
                Moved::Taken(there) => {
                    let detail = format!("a file of {} bytes where {} belong", there.bytes, file.bytes);
                    return Err(LakeError::Conflict { path: file.to.clone(), detail });
                }
            }
        }
        Ok(())
    }

    /// Says where the head is, for whoever acquires next: once for each hold and each date, since a hint is as good as
    /// another of the same date. Failing is fine.
    fn leave_hint(&mut self, placement: Placement, range: OffsetRange) {
        if self.hinted == Some(placement.date) {
            return;
        }
        let hint = HeadHint { date: placement.date, range, epoch: self.tenure.epoch };
        let heads = self.tenure.home.heads();
        let left = self.tenure.publish(&*self.storage, b"", &heads.join(hint.name())).and_then(|_| {
            let mut hints: Vec<_> = mutate::list(&*self.storage, &heads)?;
            hints.sort_by_key(|entry| HeadHint::parse(entry.path.name()).map(|hint| (hint.range.to(), hint.epoch)));
            let stale = hints.len().saturating_sub(HINTS_KEPT);
            hints[..stale].iter().try_for_each(|entry| mutate::delete(&*self.storage, &entry.path))?;
            Ok(())
        });
        match left {
            Ok(()) => self.hinted = Some(placement.date),
            Err(error) => events::left_undone("lake.hint-failed", &self.source, &error),
        }
    }
}

impl StagedFile {
    fn new(file: &Spooled, to: LakePath, stem: String, ending: &'static str) -> Self {
        let (spool, bytes) = (file.path.clone(), file.bytes);
        Self { spool, bytes, to, stem, ending, attempt: 0, staged: None, is_placed: false }
    }

    /// A path in the stage that was not used before.
    fn next_stage_path(&mut self, stage: &LakePath) -> LakePath {
        self.attempt += 1;
        stage.join(format!("{}-a{}{}", self.stem, self.attempt, self.ending))
    }
}

fn short(path: &LakePath, expected: u64, found: Option<u64>) -> StorageError {
    let message = match found {
        Some(found) => format!("{found} of {expected} bytes arrived"),
        None => "it was written and is not there".to_owned(),
    };
    StorageError::new(Kind::Unknown, "create", path, message)
}

fn remove_spooled(files: impl Iterator<Item = PathBuf>) {
    for file in files {
        if let Err(error) = std::fs::remove_file(&file) {
            events::left_undone("lake.spool-not-removed", &file.display(), &error);
        }
    }
}
