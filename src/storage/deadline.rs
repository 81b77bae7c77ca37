//! A deadline on every call of a storage that has none of its own.
//!
//! Nothing ends a system call on a disk that hangs (a network mount whose server is away, a dying device). So each call
//! runs on a thread of its own, and whoever asked waits for it no longer than its deadline. What is given up stays
//! behind as a zombie of our own: it may yet be done, as on HDFS, and the protocols take it for that.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::{Content, Entry, Kind, LakePath, Storage, StorageError};

/// How many calls may hang before no more are begun: each holds a thread until the disk comes back.
const MOST_HANGING: usize = 64;

/// How long a call may take. A write on HDFS that has run out of time may take up to fifteen seconds more to clean up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// A look: list, stat, and read without its bytes.
    pub look: Duration,
    /// A mutation: make_dirs, rename, delete.
    pub mutation: Duration,
    /// A write without its bytes: create, and all of a write_all.
    pub write: Duration,
    /// The slowest transfer of bytes that is waited for.
    pub bytes_per_second: u64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(15),
            mutation: Duration::from_secs(30),
            write: Duration::from_secs(30),
            bytes_per_second: 1024 * 1024,
        }
    }
}

impl Deadlines {
    /// Never more than a day, so that a senseless number of bytes is not waited for without end.
    pub(super) fn with_bytes(&self, base: Duration, bytes: u64) -> Duration {
        base + Duration::from_secs((bytes / self.bytes_per_second.max(1)).min(86_400))
    }
}

/// A storage whose calls all end in time; see the module.
pub struct Punctual {
    inner: Arc<dyn Storage>,
    deadlines: Deadlines,
    /// Calls that were given up and have not ended yet.
    hanging: Arc<AtomicUsize>,
}

impl Punctual {
    /// Passes every call on to `inner`.
    pub fn new(inner: Arc<dyn Storage>, deadlines: Deadlines) -> Self {
        Self { inner, deadlines, hanging: Arc::default() }
    }

    /// A call that is given up is answered with `lost`.
    fn call<T: Send + 'static>(
        &self,
        (operation, path): (&'static str, &LakePath),
        (allowed, lost): (Duration, Kind),
        call: impl FnOnce(&dyn Storage) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let not_begun = |message: String| StorageError::new(Kind::Unavailable, operation, path, message);
        let hanging = self.hanging.load(Ordering::Relaxed);
        if hanging >= MOST_HANGING {
            return Err(not_begun(format!("{hanging} calls before it still hang: is the disk alive?")));
        }
        // Without room in it, so that who sends knows whether anybody has taken the answer.
        let (sender, receiver) = sync_channel(0);
        let (inner, ended) = (Arc::clone(&self.inner), Arc::clone(&self.hanging));
        let thread = thread::Builder::new().name("storage".to_owned()).spawn(move || {
            if sender.send(call(&*inner)).is_err() {
                ended.fetch_sub(1, Ordering::Relaxed);
            }
        });
        thread.map_err(|error| not_begun(format!("no thread for it: {error}")))?;
        match receiver.recv_timeout(allowed) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                self.hanging.fetch_add(1, Ordering::Relaxed);
                let message = format!("no answer within {:.1} s: is the disk alive?", allowed.as_secs_f64());
                Err(StorageError::new(lost, operation, path, message))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let message = "the call panicked: its message is on standard error";
                Err(StorageError::new(lost, operation, path, message))
            }
        }
    }
}

/// What a file shall hold, for a thread that may outlive its caller.
enum OwnContent {
    Bytes(Vec<u8>),
    Spooled(PathBuf),
}

impl OwnContent {
    fn of(content: Content<'_>) -> Self {
        match content {
            Content::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            Content::Spooled(path) => Self::Spooled(path.to_path_buf()),
        }
    }

    fn borrow(&self) -> Content<'_> {
        match self {
            Self::Bytes(bytes) => Content::Bytes(bytes),
            Self::Spooled(path) => Content::Spooled(path),
        }
    }

    /// 0 for a spool file that is not there, which the call will say.
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Spooled(path) => path.metadata().map_or(0, |metadata| metadata.len()),
        }
    }
}

impl Storage for Punctual {
    fn url(&self) -> &str {
        self.inner.url()
    }

    fn list(&self, dir: &LakePath) -> Result<Vec<Entry>, StorageError> {
        let asked = dir.clone();
        self.call(("list", dir), (self.deadlines.look, Kind::Unavailable), move |inner| inner.list(&asked))
    }

    fn stat(&self, path: &LakePath) -> Result<Entry, StorageError> {
        let asked = path.clone();
        self.call(("stat", path), (self.deadlines.look, Kind::Unavailable), move |inner| inner.stat(&asked))
    }

    fn read(&self, path: &LakePath, from: u64, to: u64) -> Result<Bytes, StorageError> {
        let (asked, bytes) = (path.clone(), to.saturating_sub(from));
        let allowed = self.deadlines.with_bytes(self.deadlines.look, bytes);
        self.call(("read", path), (allowed, Kind::Unavailable), move |inner| inner.read(&asked, from, to))
    }

    fn create(&self, path: &LakePath, content: Content<'_>) -> Result<(), StorageError> {
        let (asked, content) = (path.clone(), OwnContent::of(content));
        let allowed = self.deadlines.with_bytes(self.deadlines.write, content.length());
        self.call(("create", path), (allowed, Kind::Unknown), move |inner| inner.create(&asked, content.borrow()))
    }

    fn make_dirs(&self, dir: &LakePath) -> Result<(), StorageError> {
        let asked = dir.clone();
        self.call(("make_dirs", dir), (self.deadlines.mutation, Kind::Unknown), move |inner| inner.make_dirs(&asked))
    }

    fn rename(&self, from: &LakePath, to: &LakePath) -> Result<(), StorageError> {
        let (source, target) = (from.clone(), to.clone());
        self.call(("rename", from), (self.deadlines.mutation, Kind::Unknown), move |inner| {
            inner.rename(&source, &target)
        })
    }

    fn delete(&self, path: &LakePath) -> Result<(), StorageError> {
        let asked = path.clone();
        self.call(("delete", path), (self.deadlines.mutation, Kind::Unknown), move |inner| inner.delete(&asked))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;
    use crate::storage::faulty::FaultyStorage;
    use crate::storage::local::LocalStorage;

    /// A disk that hangs until it is let go, and how many calls have got to it.
    struct Disk {
        storage: Punctual,
        gate: Arc<(Mutex<bool>, Condvar)>,
        _dir: tempfile::TempDir,
    }

    fn disk(deadline: Duration) -> Disk {
        let dir = tempfile::tempdir().unwrap();
        let local: Arc<dyn Storage> = Arc::new(LocalStorage::open(dir.path()).unwrap());
        let faulty = FaultyStorage::new(local);
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let waits = Arc::clone(&gate);
        faulty.before_each(move |_| {
            let (open, opened) = &*waits;
            drop(opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
        });
        let (look, mutation, write) = (deadline, deadline, deadline);
        let deadlines = Deadlines { look, mutation, write, bytes_per_second: u64::MAX };
        Disk { storage: Punctual::new(Arc::new(faulty), deadlines), gate, _dir: dir }
    }

    impl Disk {
        fn let_go(&self) {
            *self.gate.0.lock().unwrap() = true;
            self.gate.1.notify_all();
        }
    }

    #[test]
    fn a_call_that_hangs_is_given_up_and_may_yet_be_done() {
        let disk = disk(Duration::from_millis(20));
        let (root, path) = (LakePath::root(), LakePath::root().join("a"));
        let looked = disk.storage.list(&root).unwrap_err();
        assert_eq!(looked.kind, Kind::Unavailable);
        assert_eq!(looked.message, "no answer within 0.0 s: is the disk alive?");
        assert_eq!(disk.storage.create(&path, Content::Bytes(b"x")).unwrap_err().kind, Kind::Unknown);
        assert_eq!(disk.storage.hanging.load(Ordering::Relaxed), 2);
        disk.let_go();
        while disk.storage.hanging.load(Ordering::Relaxed) > 0 {
            thread::yield_now();
        }
        let patient = Punctual::new(Arc::clone(&disk.storage.inner), Deadlines::default());
        assert_eq!(patient.stat(&path).unwrap().bytes, 1);
    }

    #[test]
    fn a_dead_disk_does_not_take_every_thread() {
        let disk = disk(Duration::from_millis(1));
        let path = LakePath::root().join("a");
        for _ in 0..MOST_HANGING {
            assert_eq!(disk.storage.delete(&path).unwrap_err().kind, Kind::Unknown);
        }
        let refused = disk.storage.delete(&path).unwrap_err();
        assert_eq!(refused.kind, Kind::Unavailable, "it was not begun: {refused}");
        assert!(refused.message.contains("64 calls before it still hang"), "{refused}");
        disk.let_go();
    }
}
