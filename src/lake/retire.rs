//! Taking away what a finished promotion has replaced. All of it is dead by the log or by a higher epoch, so doing it
//! late, twice or from an owner whose time is over harms nobody.

use super::mutate::{self, Expected, Moved};
use super::names::{Home, parse_fenced};
use super::plan::Plan;
use crate::fault::Fault;
use crate::model::offset::Epoch;
use crate::storage::{LakePath, Storage};

/// Moves the files that a logged plan removed into the trash, so that directory readers see what log readers see. Says
/// how many it was that were still in their place.
///
/// # Errors
///
/// Storage.
pub fn retire(storage: &dyn Storage, home: &Home, root: &LakePath, plan: &Plan) -> Result<u64, Fault> {
    let mut moved = 0;
    if plan.remove.is_empty() {
        return Ok(moved);
    }
    let trash = home.trash().join(trash_segment(plan.seq));
    for path in &plan.remove {
        let from = root.join(path);
        let Some(entry) = mutate::look(storage, &from)? else { continue };
        match mutate::rename(storage, &from, &trash.join(path), Expected::File(entry.bytes))? {
            Moved::Done => moved += 1,
            Moved::Gone => {}
            Moved::Taken(there) => {
                return Err(Fault::halt(
                    "promote.retire",
                    format!("{} is in the trash already as {}; look at both", from, there.path),
                ));
            }
        }
    }
    Ok(moved)
}

/// Deletes the trash of plans before `seq`. What the newest plan replaced stays for readers in the middle of a file.
///
/// # Errors
///
/// Storage.
pub fn empty_trash(storage: &dyn Storage, home: &Home, seq: u64) -> Result<(), Fault> {
    for entry in mutate::list(storage, &home.trash())? {
        if entry.path.name() < trash_segment(seq).as_str() {
            mutate::delete(storage, &entry.path)?;
        }
    }
    Ok(())
}

/// Deletes the fenced stages of epochs below `epoch`. Only after the newest plan is finished: they may hold its files.
/// Says how many files were in them.
///
/// # Errors
///
/// Storage.
pub fn clean_fenced(storage: &dyn Storage, home: &Home, epoch: Epoch) -> Result<u64, Fault> {
    let mut left = 0;
    for entry in mutate::list(storage, &home.fenced())? {
        if parse_fenced(entry.path.name()).is_some_and(|lower| lower < epoch) {
            left += count_files(storage, &entry.path)?;
            mutate::delete(storage, &entry.path)?;
        }
    }
    Ok(left)
}

fn count_files(storage: &dyn Storage, dir: &LakePath) -> Result<u64, Fault> {
    let mut files = 0;
    for entry in mutate::list(storage, dir)? {
        files += if entry.is_dir { count_files(storage, &entry.path)? } else { 1 };
    }
    Ok(files)
}

fn trash_segment(seq: u64) -> String {
    format!("{seq:020}")
}
