//! What every owner finishes before it goes on: published rewinds, and the removal of what was never committed.
//!
//! All of it touches files of lower epochs only, which the chain, a manifest or a published intent has made dead. So it
//! does no harm whenever it happens, even when a zombie does it long after its time.

use super::LakeError;
use super::chain::{self, Intent, LedgerFile};
use super::fence::Tenure;
use super::footer::{self, IntervalFooter};
use super::mutate::{self, Expected, Moved};
use super::names::{self, IntervalName, RewindName};
use crate::failpoint;
use crate::model::offset::{Epoch, TopicPartition};
use crate::storage::{LakePath, Storage};

/// Ending of a staged ledger file. Left behind in a fenced stage it is the manifest of what was not committed.
pub(super) const MANIFEST_SUFFIX: &str = ".ledger";

/// What an owner that died has left behind, and the next one has put in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Rewinds, and their undoing, that were published and not finished.
    pub rewinds: u64,
    /// Revisions that were not finished.
    pub revisions: u64,
    /// Intervals that were staged and never committed; their messages are read again.
    pub intervals: u64,
    /// Data files of those.
    pub files: u64,
}

/// Finishes every published rewind that is not done, oldest first, and gives all that were ever published. Of one that
/// takes an earlier rewind back this is the first half: what was read since leaves the lake.
///
/// # Errors
///
/// [`LakeError::Fenced`], or what storage answered.
pub(super) fn finish_rewinds(
    storage: &dyn Storage,
    source: &TopicPartition,
    tenure: &Tenure,
) -> Result<Vec<Intent>, LakeError> {
    let intents = chain::read_intents(storage, source)?;
    for intent in intents.iter().filter(|intent| !intent.is_done) {
        cut(storage, source, tenure, intent.name)?;
        if intent.name.undoes.is_none() {
            say_done(storage, tenure, intent.name)?;
        }
    }
    Ok(intents)
}

/// Says that a published rewind is finished.
pub(super) fn say_done(storage: &dyn Storage, tenure: &Tenure, rewind: RewindName) -> Result<(), LakeError> {
    tenure.publish(storage, b"done\n", &tenure.home.rewinds().join(rewind.done())).map(drop)
}

/// Moves what a published rewind takes out of the chain: ledger files newest first, so that after each move the rest is
/// still a chain; then their data files.
fn cut(storage: &dyn Storage, source: &TopicPartition, tenure: &Tenure, rewind: RewindName) -> Result<(), LakeError> {
    let superseded = tenure.home.superseded(rewind.epoch);
    let mut files = chain::list_files(storage, source)?;
    files.retain(|file| file.name.range.from() >= rewind.to && file.name.epoch < rewind.epoch);
    for file in newest_first(files) {
        failpoint::reach("raw.rewind.cutting");
        supersede(storage, &file.path, &superseded, file.bytes)?;
    }
    failpoint::reach("raw.rewind.cut");
    supersede_data(storage, source, &superseded)
}

/// Moves the data files of every ledger file that lies below `superseded` after it.
pub(super) fn supersede_data(
    storage: &dyn Storage,
    source: &TopicPartition,
    superseded: &LakePath,
) -> Result<(), LakeError> {
    for ledger in superseded_ledgers(storage, source, superseded)? {
        let footer = footer::read_footer(storage, &ledger.path, ledger.bytes)?;
        supersede_files(storage, &ledger.path, &footer, superseded)?;
    }
    Ok(())
}

/// Moves the data files that the ledger file at `ledger` names.
pub(super) fn supersede_files(
    storage: &dyn Storage,
    ledger: &LakePath,
    footer: &IntervalFooter,
    superseded: &LakePath,
) -> Result<(), LakeError> {
    for file in &footer.files {
        let from = LakePath::parse(&file.path).ok_or_else(|| footer::corrupt(ledger, "it names no path"))?;
        supersede(storage, &from, superseded, file.bytes)?;
    }
    Ok(())
}

/// By descending offset, and at one offset by ascending epoch: a dead file goes before the one that replaced it.
fn newest_first(mut files: Vec<LedgerFile>) -> Vec<LedgerFile> {
    files.sort_by_key(|file| (std::cmp::Reverse(file.name.range.from()), file.name.epoch));
    files
}

/// Moves a file to the same path below `superseded`. A file that is nowhere was moved by another owner or removed by
/// retention: dead either way.
pub(super) fn supersede(
    storage: &dyn Storage,
    path: &LakePath,
    superseded: &LakePath,
    bytes: u64,
) -> Result<(), LakeError> {
    let to = superseded.join(path.as_str());
    match mutate::rename(storage, path, &to, Expected::File(bytes))? {
        Moved::Done | Moved::Gone => Ok(()),
        Moved::Taken(there) => {
            Err(LakeError::Conflict { path: to, detail: format!("a file of {} bytes", there.bytes) })
        }
    }
}

/// Ledger files that lie below `superseded`.
pub(super) fn superseded_ledgers(
    storage: &dyn Storage,
    source: &TopicPartition,
    superseded: &LakePath,
) -> Result<Vec<LedgerFile>, LakeError> {
    let mut ledgers = Vec::new();
    for dir in mutate::list(storage, &superseded.join(names::ledger_dir(source).as_str()))? {
        let Some(date) = names::parse_date_segment(dir.path.name()) else { continue };
        ledgers.extend(mutate::list(storage, &dir.path)?.into_iter().filter_map(|file| {
            let name = IntervalName::parse(file.path.name()).filter(|name| name.source == *source)?;
            Some(LedgerFile { name, date, path: file.path, bytes: file.bytes, modified: file.modified })
        }));
    }
    Ok(ledgers)
}

/// Removes exactly the data files that ledger files in fenced stages of lower epochs name and nobody committed, then
/// those stages. Says how many there were.
///
/// # Errors
///
/// [`LakeError::Corrupt`] when a manifest names what is not its own, or what storage answered.
pub(super) fn remove_uncommitted(
    storage: &dyn Storage,
    source: &TopicPartition,
    tenure: &Tenure,
) -> Result<Leftovers, LakeError> {
    let mut left = Leftovers::default();
    for stage in mutate::list(storage, &tenure.home.fenced())? {
        let epoch = names::parse_fenced(stage.path.name());
        let Some(epoch) = epoch.filter(|epoch| *epoch < tenure.epoch) else { continue };
        for manifest in read_manifests(storage, &stage.path)? {
            if remove_named(storage, source, epoch, &manifest, &stage.path)? {
                left.intervals += 1;
                left.files += manifest.files.len() as u64;
            }
        }
        mutate::delete(storage, &stage.path)?;
    }
    Ok(left)
}

/// The whole ledger files of a stage. One that is not whole was being written when its owner died, and then nothing of
/// its interval had been renamed yet: data files are renamed only when every staged file has been verified.
pub(super) fn read_manifests(storage: &dyn Storage, stage: &LakePath) -> Result<Vec<IntervalFooter>, LakeError> {
    let mut manifests = Vec::new();
    for file in mutate::list(storage, stage)? {
        if !file.path.name().ends_with(MANIFEST_SUFFIX) {
            continue;
        }
        match footer::read_footer(storage, &file.path, file.bytes) {
            Ok(manifest) => manifests.push(manifest),
            Err(LakeError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(manifests)
}

/// Removes the data files of a manifest. `false`: its interval was committed.
fn remove_named(
    storage: &dyn Storage,
    source: &TopicPartition,
    epoch: Epoch,
    manifest: &IntervalFooter,
    stage: &LakePath,
) -> Result<bool, LakeError> {
    let foreign = || footer::corrupt(stage, "a staged ledger file names what is not its own");
    let name = manifest.name().filter(|name| name.source == *source && name.epoch == epoch).ok_or_else(foreign)?;
    let ledger = manifest.ledger_path().filter(|path| is_own(path, &name, "ledger")).ok_or_else(foreign)?;
    // A second copy of a ledger file that did get committed (the answer to writing the first one was lost): what it
    // names is the chain's.
    if mutate::look(storage, &ledger)?.is_some() {
        return Ok(false);
    }
    for file in &manifest.files {
        let path = LakePath::parse(&file.path).ok_or_else(foreign)?;
        if !is_own(&path, &name, "raw") && !is_own(&path, &name, "quarantine") {
            return Err(foreign());
        }
        mutate::delete(storage, &path)?;
    }
    Ok(true)
}

/// Whether `path` is a file of that interval in that zone.
pub(super) fn is_own(path: &LakePath, name: &IntervalName, zone: &str) -> bool {
    path.name() == name.file_name() && path.as_str().split('/').next() == Some(zone)
}
