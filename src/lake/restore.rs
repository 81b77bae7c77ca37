//! The second half of taking a rewind back: what it had taken out of the chain comes back, under new names.
//!
//! Why each step is harmless wherever it is cut, and whoever does it, is told in [`super::undo`].

use std::cmp::{Ordering, Reverse};

use super::LakeError;
use super::chain::{self, Intent, LedgerFile};
use super::fence::Tenure;
use super::footer::{self, IntervalFooter};
use super::ledger;
use super::mutate::{self, Expected, Moved};
use super::names::{self, IntervalName, RewindName};
use super::recover;
use crate::model::offset::{Epoch, TopicPartition};
use crate::storage::{LakePath, Storage};

/// Finishes every open intent that takes a rewind back. What was read since the rewind has left the lake, and what was
/// never committed too.
///
/// Memory: one ledger file, twice.
///
/// # Errors
///
/// [`LakeError::Fenced`], [`LakeError::Corrupt`] when what should come back is not there, or what storage answered.
pub(super) fn finish_undos(
    storage: &dyn Storage,
    source: &TopicPartition,
    tenure: &Tenure,
    intents: &[Intent],
) -> Result<(), LakeError> {
    for intent in intents.iter().filter(|intent| !intent.is_done) {
        if let Some(rewind) = intent.name.undoes {
            put_back(storage, source, tenure, intent.name, rewind).map_err(|error| match error {
                // An owner whose time is over sees a lake that has gone on without it.
                LakeError::Corrupt { .. } | LakeError::Chain { .. } if tenure.has_successor(storage) => tenure.fenced(),
                error => error,
            })?;
        }
    }
    Ok(())
}

/// Puts the intervals back by ascending offset, each at the end of the chain, so that after each the chain is whole.
fn put_back(
    storage: &dyn Storage,
    source: &TopicPartition,
    tenure: &Tenure,
    undo: RewindName,
    rewind: Epoch,
) -> Result<(), LakeError> {
    let superseded = tenure.home.superseded(rewind);
    let mut at = chain::read_chain(storage, source)?.chain.head().unwrap_or(undo.to);
    let mut files = recover::superseded_ledgers(storage, source, &superseded)?;
    files.sort_by_key(|file| (file.name.range.from(), Reverse(file.name.epoch)));
    for file in &files {
        match file.name.range.from().cmp(&at) {
            // It is back already, or was dead before the rewind.
            Ordering::Less => {}
            Ordering::Equal => {
                restore(storage, tenure, &superseded, file, undo.epoch)?;
                at = file.name.range.to();
            }
            Ordering::Greater => return Err(footer::corrupt(&superseded, &format!("nothing begins at offset {at}"))),
        }
    }
    mutate::delete(storage, &superseded)?;
    recover::say_done(storage, tenure, undo)
}

/// Brings one interval back: its data files, then a ledger file that names them, out of the own stage. That rename puts
/// the interval into the chain.
fn restore(
    storage: &dyn Storage,
    tenure: &Tenure,
    superseded: &LakePath,
    file: &LedgerFile,
    undo: Epoch,
) -> Result<(), LakeError> {
    let before = footer::read_footer(storage, &file.path, file.bytes)?;
    let foreign = || footer::corrupt(&file.path, "it names what is not its own");
    let after = footer_after(&before, file, undo).ok_or_else(foreign)?;
    for (old, new) in before.files.iter().zip(&after.files) {
        let (held, to) = (superseded.join(&old.path), LakePath::parse(&new.path).ok_or_else(foreign)?);
        match mutate::rename(storage, &held, &to, Expected::File(old.bytes))? {
            Moved::Done => {}
            Moved::Gone => return Err(footer::corrupt(&held, "it should come back and is gone")),
            Moved::Taken(there) => {
                return Err(LakeError::Conflict { path: to, detail: format!("a file of {} bytes", there.bytes) });
            }
        }
    }
    let content = storage.read(&file.path, 0, file.bytes)?;
    let content = ledger::reissue(content, &after).map_err(|detail| footer::corrupt(&file.path, &detail))?;
    let to = after.ledger_path().ok_or_else(foreign)?;
    // Taken: by ourselves or by an owner before us. Only this very interval has that name.
    tenure.publish(storage, &content, &to).map(drop)
}

/// What an interval is called when it has come back: the same offsets in the epoch of the undo.
pub(super) fn name_after(name: &IntervalName, undo: Epoch) -> IntervalName {
    IntervalName { epoch: undo, ..name.clone() }
}

/// What the ledger file of an interval says when it has come back; none when it names files that are not its own.
pub(super) fn footer_after(before: &IntervalFooter, file: &LedgerFile, undo: Epoch) -> Option<IntervalFooter> {
    let name = name_after(&file.name, undo);
    let dir = names::ledger_dir(&name.source).join(names::date_segment(file.date));
    let ledger = dir.join(name.file_name()).as_str().to_owned();
    let mut after = IntervalFooter { epoch: undo.0, ledger, ..before.clone() };
    for data in &mut after.files {
        let path = LakePath::parse(&data.path)?;
        if !["raw", "quarantine"].into_iter().any(|zone| recover::is_own(&path, &file.name, zone)) {
            return None;
        }
        data.path = path.parent().join(name.file_name()).as_str().to_owned();
    }
    Some(after)
}
