//! The local spool: files of this process that wait for the lake, under one limit on their bytes.
//!
//! Nothing in it survives the process: storage is the truth, and what was not committed is read again from Kafka. So
//! every process works in a directory of its own (`run-<uuid>`, locked while it lives), and a process that starts
//! removes those that nobody locks any more.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use crate::fault::Fault;
use crate::observe::events;

/// Name of the lock file in the spool and in every directory of a process.
const LOCK: &str = "lock";
/// What the directory of a process begins with.
const RUN: &str = "run-";

/// The spool of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    limit: u64,
    used: AtomicU64,
    next: AtomicU64,
    /// Held open for its lock.
    _lock: File,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // As in `clear`, which nobody need call.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Spool {
    /// Opens the spool in `dir`, which is made if need be, removes what dead processes left there, and makes a
    /// directory for this process. All files together may hold `limit` bytes.
    ///
    /// # Errors
    ///
    /// A fault that names the directory when it cannot be made, locked or listed.
    pub fn open(dir: &Path, limit: u64) -> Result<Self, Fault> {
        let shared = open_shared(dir, limit).map_err(|error| io_fault(&error, "open the spool", dir))?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A new empty file.
    ///
    /// # Errors
    ///
    /// A fault that names the file when it cannot be made.
    pub fn create(&self) -> Result<(SpoolFile, File), Fault> {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let path = self.shared.dir.join(format!("{number:08}"));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|error| io_fault(&error, "create a spool file", &path))?;
        Ok((SpoolFile { spool: self.clone(), path, bytes: 0 }, file))
    }

    /// A directory for files that their user accounts for. It goes away with the process.
    pub fn private_dir(&self, name: &str) -> PathBuf {
        self.shared.dir.join(name)
    }

    /// Removes the directory of this process with all that is left in it: for the end, when whoever wrote there has
    /// ended.
    pub fn clear(&self) {
        // What cannot be removed here is removed by the next process: it is no longer locked.
        let _ = fs::remove_dir_all(&self.shared.dir);
    }

    /// Bytes in all files of this process.
    pub fn used(&self) -> u64 {
        self.shared.used.load(Ordering::Acquire)
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.shared.limit
    }

    /// Whether there is no room: nothing may be added until the commit has taken something away.
    pub fn is_full(&self) -> bool {
        self.used() >= self.shared.limit
    }
}

fn open_shared(dir: &Path, limit: u64) -> io::Result<Shared> {
    fs::create_dir_all(dir)?;
    // Held until this process has locked its own directory: nobody takes a directory that is just being made for a
    // leftover.
    let gate = lock_file(&dir.join(LOCK))?;
    flock(&gate, FlockOperation::LockExclusive)?;
    remove_leftovers(dir)?;
    let own = dir.join(format!("{RUN}{}", Uuid::new_v4()));
    // Messages lie in it: nobody else needs to look.
    DirBuilder::new().mode(0o700).create(&own)?;
    let lock = lock_file(&own.join(LOCK))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    Ok(Shared { dir: own, limit, used: AtomicU64::new(0), next: AtomicU64::new(0), _lock: lock })
}

fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path)
}

fn remove_leftovers(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(RUN) || !entry.file_type()?.is_dir() {
            continue;
        }
        let lock = lock_file(&entry.path().join(LOCK))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            fs::remove_dir_all(entry.path())?;
            events::spool_recovered(&entry.path().display());
        }
    }
    Ok(())
}

/// One file of the spool. Dropping it removes the file and gives its bytes back.
#[derive(Debug)]
pub struct SpoolFile {
    spool: Spool,
    path: PathBuf,
    bytes: u64,
}

impl SpoolFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes accounted for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Accounts for `bytes` in all, above the limit if need be: whoever fills the file asks [`Spool::is_full`]
    /// before it takes more.
    pub fn resize(&mut self, bytes: u64) {
        let used = &self.spool.shared.used;
        if bytes >= self.bytes {
            used.fetch_add(bytes - self.bytes, Ordering::AcqRel);
        } else {
            used.fetch_sub(self.bytes - bytes, Ordering::AcqRel);
        }
        self.bytes = bytes;
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        self.spool.shared.used.fetch_sub(self.bytes, Ordering::AcqRel);
        // A file that stays behind goes with the directory at the end of the process.
        let _ = fs::remove_file(&self.path);
    }
}

/// What an error of the spool's file system means.
pub fn io_fault(error: &io::Error, doing: &str, path: &Path) -> Fault {
    let message = format!("cannot {doing} at {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Fault::halt("spool.denied", format!("{message}; set limits.spool.dir to a directory that can be written"))
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Fault::retry("spool.no-space", format!("{message}; make room or lower limits.spool.size"))
        }
        _ => Fault::retry("spool.failed", message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_files_go_when_their_owner_goes() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), 100).unwrap();
        let (mut file, _) = spool.create().unwrap();
        file.resize(60);
        let (mut other, _) = spool.create().unwrap();
        other.resize(40);
        assert!(spool.is_full());
        other.resize(10);
        assert!(!spool.is_full());
        let path = file.path().to_owned();
        assert!(path.exists());
        drop(file);
        assert!(!path.exists());
        assert_eq!(spool.used(), 10);
    }

    #[test]
    fn what_a_dead_process_left_is_removed_and_what_a_living_one_holds_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let living = Spool::open(dir.path(), 100).unwrap();
        let (held, _) = living.create().unwrap();
        let dead = dir.path().join("run-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("00000001"), b"half a file").unwrap();
        let second = Spool::open(dir.path(), 100).unwrap();
        assert!(!dead.exists());
        assert!(held.path().exists());
        let own = second.shared.dir.clone();
        drop(second);
        assert!(!own.exists());
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, b"").unwrap();
        let fault = Spool::open(&file.join("spool"), 1).unwrap_err();
        assert!(fault.message.contains("file/spool"), "{fault}");
    }
}
