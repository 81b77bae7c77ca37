//! Where the lake lies: local disk or HDFS behind one synchronous trait.
//!
//! # Contract
//!
//! * Every path is a [`LakePath`], relative to the root and absolute below it. No handle to a directory is ever kept.
//! * Every call returns within the backend's deadline: a call that hangs becomes [`Kind::Unknown`] (a mutation) or
//!   [`Kind::Unavailable`] (a look).
//! * [`Storage::create`] and [`Storage::write_all`] give whole, closed, durable files, or an error; what they leave
//!   behind after an error lies at the named path only. They never overwrite and never make a parent directory.
//! * [`Storage::rename`] is one step, never overwrites, never makes a parent directory, and is durable when it
//!   returns `Ok`.
//! * What [`Storage::list`] and [`Storage::stat`] show to a process that may change the lake (and that something is not
//!   there) is no older than any mutation that was answered before, and protocols build on it, whoever has done it. On
//!   a local disk it is durable. A NameNode shows what it is about to write to its journal; should it fail to, it takes
//!   no mutation any more. So who ends by what it sees, with no mutation after it, asks [`Storage::confirm`].
//! * After [`Kind::Unknown`] the mutation was done, or was not, or may yet be: look before deciding.

mod deadline;
pub mod faulty;
pub mod hdfs;
pub mod local;
mod open;
pub(crate) mod runtime;
pub mod sim;

pub use deadline::{Deadlines, Punctual};
pub use open::{open, open_to_look, probe};

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::fault::{Domain, Fault, Verdict};

/// A path below the lake's root: non-empty segments joined by `/`, no `.` or `..`, no leading or trailing slash.
/// The empty path is the root itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LakePath(Arc<str>);

impl LakePath {
    /// The root.
    pub fn root() -> Self {
        Self(Arc::from(""))
    }

    /// Checks `path`; `None` when it is not of the form above.
    pub fn parse(path: &str) -> Option<Self> {
        let good = |segment: &str| !segment.is_empty() && segment != "." && segment != "..";
        (path.is_empty() || path.split('/').all(good)).then(|| Self(Arc::from(path)))
    }

    /// The path `segment` below this one.
    ///
    /// # Panics
    ///
    /// In debug builds when `segment` is not a path of its own: names come from our own code or from names that
    /// `check` has let pass.
    #[must_use]
    pub fn join(&self, segment: impl AsRef<str>) -> Self {
        let segment = segment.as_ref();
        debug_assert!(!segment.is_empty() && Self::parse(segment).is_some(), "bad path segment {segment:?}");
        if self.0.is_empty() { Self(Arc::from(segment)) } else { Self(Arc::from(format!("{}/{segment}", self.0))) }
    }

    /// The directory it lies in; the root's is the root.
    #[must_use]
    pub fn parent(&self) -> Self {
        Self(Arc::from(self.0.rsplit_once('/').map_or("", |(parent, _)| parent)))
    }

    /// Last segment; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The path as text, without a leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LakePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A file or directory as a look at storage shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub path: LakePath,
    /// Length in bytes; 0 for a directory.
    pub bytes: u64,
    /// Modification time by the storage's own clock.
    pub modified: Timestamp,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// What a file shall hold.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// What this file of the local spool holds.
    Spooled(&'a Path),
}

/// The lake. All calls block; see the module's contract.
pub trait Storage: Send + Sync + 'static {
    /// The root as a URL for people, e.g. `hdfs://namenode:8020/lake`.
    fn url(&self) -> &str;

    /// Direct children of a directory, in no order; [`Kind::NotFound`] when it is not there.
    fn list(&self, dir: &LakePath) -> Result<Vec<Entry>, StorageError>;

    /// One file or directory; [`Kind::NotFound`] when it is not there.
    fn stat(&self, path: &LakePath) -> Result<Entry, StorageError>;

    /// Like [`Storage::stat`], for whoever decides by it what has become of a mutation without an answer: what it
    /// shows, or that nothing is there ([`Kind::NotFound`]), was durable when it answered. For who may change the lake.
    fn confirm(&self, path: &LakePath) -> Result<Entry, StorageError> {
        self.stat(path)
    }

    /// Bytes `[from, to)` of a file; an error when the file is shorter.
    fn read(&self, path: &LakePath, from: u64, to: u64) -> Result<Bytes, StorageError>;

    /// Creates one file; [`Kind::AlreadyExists`] when something is there, [`Kind::NotFound`] without its parent.
    fn create(&self, path: &LakePath, content: Content<'_>) -> Result<(), StorageError>;

    /// Creates several files at once, closing them in parallel where closing is slow. One result for each.
    fn write_all(&self, files: &[(LakePath, Content<'_>)]) -> Vec<Result<(), StorageError>> {
        files.iter().map(|(path, content)| self.create(path, *content)).collect()
    }

    /// Makes a directory and its parents; fine when it is there.
    fn make_dirs(&self, dir: &LakePath) -> Result<(), StorageError>;

    /// Moves a file or directory; [`Kind::AlreadyExists`] when something is at `to`, [`Kind::NotFound`] without
    /// `from` or without the parent of `to`.
    fn rename(&self, from: &LakePath, to: &LakePath) -> Result<(), StorageError>;

    /// Removes a file, or a directory with all in it. Fine when it is not there.
    fn delete(&self, path: &LakePath) -> Result<(), StorageError>;
}

impl dyn Storage + '_ {
    /// The whole of a small file.
    pub fn read_whole(&self, path: &LakePath) -> Result<Bytes, StorageError> {
        let entry = self.stat(path)?;
        self.read(path, 0, entry.bytes)
    }

    /// Like [`Storage::list`], but a directory that is not there is empty.
    pub fn list_or_empty(&self, dir: &LakePath) -> Result<Vec<Entry>, StorageError> {
        match self.list(dir) {
            Err(error) if error.kind == Kind::NotFound => Ok(Vec::new()),
            other => other,
        }
    }

    /// Like [`Storage::stat`], but none for what is not there.
    pub fn look(&self, path: &LakePath) -> Result<Option<Entry>, StorageError> {
        match self.stat(path) {
            Ok(entry) => Ok(Some(entry)),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What kind of answer storage gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The path, its parent or the source of a rename is not there.
    NotFound,
    /// Something is there already.
    AlreadyExists,
    /// Nothing was done, and it may work later: no connection, safe mode, standby, deadline of a look.
    Unavailable,
    /// A mutation was sent and its answer did not come: look.
    Unknown,
    /// No room: disk full, quota. Nothing whole was written; it may work later.
    NoSpace,
    /// Credentials or permissions.
    Denied,
    /// The file is not what it should be: too short, a directory, unreadable.
    Corrupt,
    /// Anything else.
    Other,
}

/// An answer of storage that is not the one asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} {path}: {message}")]
pub struct StorageError {
    /// What kind.
    pub kind: Kind,
    /// What was asked, a verb: `list`, `rename`, …
    pub operation: &'static str,
    /// The path it was asked for, as a URL or below the root.
    pub path: String,
    /// What the backend said, one line.
    pub message: String,
}

impl StorageError {
    /// An answer of `kind` to `operation` on `path`; of a message of many lines (Java stack traces) the first is kept.
    pub fn new(
        kind: Kind,
        operation: &'static str,
        path: &(impl fmt::Display + ?Sized),
        message: impl AsRef<str>,
    ) -> Self {
        let line = message.as_ref().lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason given");
        Self { kind, operation, path: path.to_string(), message: line.to_owned() }
    }
}

/// Whether `[from, to)` lies within a file of `length` bytes; none for a directory.
fn check_range(path: &LakePath, from: u64, to: u64, length: Option<u64>) -> Result<(), StorageError> {
    let Some(length) = length else {
        return Err(StorageError::new(Kind::Corrupt, "read", path, "it is a directory, not a file"));
    };
    if from > to {
        return Err(StorageError::new(Kind::Other, "read", path, format!("the range {from}..{to} runs backwards")));
    }
    if to > length {
        let message = format!("the file has {length} bytes, too short for the range {from}..{to}");
        return Err(StorageError::new(Kind::Corrupt, "read", path, message));
    }
    Ok(())
}

/// Opens what `path` shall hold. A spool file that is not there must not look like a missing parent in the lake.
fn open_spooled(path: &LakePath, spooled: &Path) -> Result<File, StorageError> {
    File::open(spooled).map_err(|error| {
        let message = format!("cannot read the spool file {}: {}", spooled.display(), say(&error));
        StorageError::new(Kind::Other, "create", path, message)
    })
}

/// The system's words for people: lowercase, without Rust's `(os error n)`.
fn say(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        let (domain, verdict, event) = match error.kind {
            Kind::NotFound => (Domain::External, Verdict::Retry, "storage.not-found"),
            Kind::AlreadyExists => (Domain::External, Verdict::Retry, "storage.already-exists"),
            Kind::Unavailable => (Domain::External, Verdict::Retry, "storage.unavailable"),
            Kind::Unknown => (Domain::External, Verdict::Retry, "storage.unknown-outcome"),
            Kind::NoSpace => (Domain::External, Verdict::Retry, "storage.no-space"),
            Kind::Denied => (Domain::User, Verdict::Halt, "storage.denied"),
            Kind::Corrupt => (Domain::External, Verdict::Halt, "storage.corrupt"),
            Kind::Other => (Domain::External, Verdict::Retry, "storage.failed"),
        };
        Self { domain, verdict, event, message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_no_empty_or_dotted_segment() {
        for bad in ["/a", "a/", "a//b", ".", "a/../b", "a/."] {
            assert_eq!(LakePath::parse(bad), None, "{bad}");
        }
        let path = LakePath::root().join("a").join("b+c");
        assert_eq!((path.as_str(), path.name(), path.parent().as_str()), ("a/b+c", "b+c", "a"));
        assert_eq!(LakePath::root().join("a").parent(), LakePath::root());
    }
}
