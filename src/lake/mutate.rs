//! Mutations whose answer may be lost: look at the destination, then at the source, then decide.
//!
//! A rename that was sent and not answered is neither done nor failed. These functions end in one of three certain
//! outcomes, or in an error after which everything may be tried again. The looks are [`Storage::confirm`]s: a NameNode
//! shows what it is about to write to its journal, and may fail to write it.

use crate::observe::events;
use crate::storage::{Content, Entry, Kind, LakePath, Storage, StorageError};

/// How often a mutation is sent before its error is handed on. There is no pause in between: whoever calls has a
/// backoff of its own, and a call to storage has a deadline.
const ATTEMPTS: usize = 4;

/// What lies at a path when a rename has ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// A file of this many bytes.
    File(u64),
    /// A directory.
    Dir,
}

impl Expected {
    fn matches(self, entry: &Entry) -> bool {
        match self {
            Self::File(bytes) => !entry.is_dir && entry.bytes == bytes,
            Self::Dir => entry.is_dir,
        }
    }
}

/// How a rename ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Moved {
    /// It is at the destination, whole, by this call or by an earlier one.
    Done,
    /// It is neither at the source nor at the destination: out of one's own stage, this means fenced.
    Gone,
    /// Something else is at the destination, and the source was left alone.
    Taken(Entry),
}

enum Seen {
    There,
    Nowhere,
    Other(Entry),
    StillHere,
}

/// Moves a file or directory without overwriting, making the destination's parent when it is missing.
///
/// # Errors
///
/// What storage answered, when even looking did not tell, or it refused for good.
pub fn rename(
    storage: &dyn Storage,
    from: &LakePath,
    to: &LakePath,
    expected: Expected,
) -> Result<Moved, StorageError> {
    let mut attempt = 1;
    loop {
        let error = match storage.rename(from, to) {
            Ok(()) => return Ok(Moved::Done),
            Err(error) => error,
        };
        if error.kind != Kind::Unavailable {
            if !matches!(error.kind, Kind::Unknown | Kind::NotFound | Kind::AlreadyExists) {
                return Err(error);
            }
            match look_around(storage, from, to, expected)? {
                Seen::There => return Ok(Moved::Done),
                Seen::Nowhere => return Ok(Moved::Gone),
                Seen::Other(entry) => return Ok(Moved::Taken(entry)),
                Seen::StillHere => {}
            }
        }
        if attempt == ATTEMPTS {
            return Err(error);
        }
        attempt += 1;
        if error.kind == Kind::NotFound {
            make_dirs(storage, &to.parent())?;
        }
    }
}

/// Destination, source, and the destination once more when both were empty: a rename that was still under way may
/// have been carried out between the two looks.
fn look_around(
    storage: &dyn Storage,
    from: &LakePath,
    to: &LakePath,
    expected: Expected,
) -> Result<Seen, StorageError> {
    let destination = confirm(storage, to)?;
    let source = confirm(storage, from)?;
    let destination = match (destination, &source) {
        (None, Some(_)) => return Ok(Seen::StillHere),
        (None, None) => confirm(storage, to)?,
        (there, _) => there,
    };
    Ok(match destination {
        None => Seen::Nowhere,
        Some(entry) if source.is_none() && expected.matches(&entry) => Seen::There,
        Some(entry) => Seen::Other(entry),
    })
}

/// [`Storage::stat`] that asks again when storage was not there for a moment.
pub fn look(storage: &dyn Storage, path: &LakePath) -> Result<Option<Entry>, StorageError> {
    again(|| storage.look(path))
}

/// [`Storage::confirm`] that asks again when storage was not there for a moment; none for what is not there.
pub fn confirm(storage: &dyn Storage, path: &LakePath) -> Result<Option<Entry>, StorageError> {
    again(|| match storage.confirm(path) {
        Ok(entry) => Ok(Some(entry)),
        Err(error) if error.kind == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    })
}

/// [`Storage::list`] of a directory that may be missing, asked again when storage was not there for a moment.
pub fn list(storage: &dyn Storage, dir: &LakePath) -> Result<Vec<Entry>, StorageError> {
    again(|| storage.list_or_empty(dir))
}

/// Makes a directory that is nobody's fence (a stage's own directory never comes this way): repeating is harmless.
pub fn make_dirs(storage: &dyn Storage, dir: &LakePath) -> Result<(), StorageError> {
    again(|| storage.make_dirs(dir))
}

/// Removes a file or directory whose name never comes back: repeating is harmless.
pub fn delete(storage: &dyn Storage, path: &LakePath) -> Result<(), StorageError> {
    again(|| storage.delete(path))
}

fn again<T>(mut call: impl FnMut() -> Result<T, StorageError>) -> Result<T, StorageError> {
    let mut attempt = 1;
    loop {
        match call() {
            Err(error) if matches!(error.kind, Kind::Unavailable | Kind::Unknown) && attempt < ATTEMPTS => attempt += 1,
            other => return other,
        }
    }
}

/// Publishes a small file that must appear whole: written in `stage`, closed, renamed to `to` without overwriting.
/// [`Moved::Gone`] means that the stage was fenced.
///
/// # Errors
///
/// What storage answered, when it could not be written or its rename stayed unclear.
pub fn publish(storage: &dyn Storage, stage: &LakePath, bytes: &[u8], to: &LakePath) -> Result<Moved, StorageError> {
    let mut attempt = 1;
    let staged = loop {
        // A name of its own for each attempt: what a lost answer left behind is never taken for a whole file.
        let staged = stage.join(format!("{}.new", uuid::Uuid::new_v4().simple()));
        let error = match storage.create(&staged, Content::Bytes(bytes)) {
            Ok(()) => break staged,
            Err(error) => error,
        };
        if error.kind == Kind::NotFound {
            return Ok(Moved::Gone);
        }
        discard(storage, &staged);
        let may_pass = matches!(error.kind, Kind::Unavailable | Kind::Unknown | Kind::AlreadyExists);
        if !may_pass || attempt == ATTEMPTS {
            return Err(error);
        }
        attempt += 1;
    };
    let moved = rename(storage, &staged, to, Expected::File(bytes.len() as u64))?;
    if matches!(moved, Moved::Taken(_)) {
        discard(storage, &staged);
    }
    Ok(moved)
}

/// Removes what is of no use in one's own stage. It goes away with the stage at the latest, so failing is fine.
pub fn discard(storage: &dyn Storage, path: &LakePath) {
    if let Err(error) = storage.delete(path) {
        events::left_undone("lake.discard-failed", path, &error);
    }
}
