//! For tests: a lake in memory that can be copied at any moment, and that knows what a crash leaves of it.
//!
//! A [`SimFs`] is one process's hold on a disk; [`SimFs::another`] is that of another process on the same disk, and
//! [`SimFs::fork`] is a copy of the disk as it is, which is what the next process finds when all others die right now.
//! So a single run of a protocol, watched step by step ([`SimFs::watch`]), gives every state that a crash can leave.
//!
//! The two flavours differ where the real backends do:
//!
//! | | [`SimFs::hdfs`] | [`SimFs::local`] |
//! |---|---|---|
//! | make_dirs, delete | one step, whatever the depth | one step for each directory, for each entry |
//! | a file while it is written | there, of no length | there, with what was written so far |
//! | its directory is moved away meanwhile | closed, but the writer does not find it | written where it lies now |
//! | its directory is deleted meanwhile | the close fails | nobody notices |
//! | durable | when it is answered, or confirmed (the NameNode's journal) | when the backend has synced it, at the latest when it is looked at |
//! | carried out after its sender has died | every request that was sent | none |
//!
//! Like [`super::faulty`], which goes around it where answers are to be lost, it is part of the library because
//! integration tests of every protocol use it; the daemon never does.

mod disk;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;

use self::disk::{Disk, Id};
use super::faulty::Operation;
use super::{Content, Entry, Kind, LakePath, Storage, StorageError, check_range, open_spooled, say};

/// A step of a mutation that is about to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The call it belongs to.
    pub operation: Operation,
    /// The call's path; for a rename where it comes from.
    pub path: LakePath,
    /// Where a rename goes to.
    pub to: Option<LakePath>,
    /// What the step does.
    pub what: &'static str,
    /// Whether nothing of the call was done yet.
    pub is_first: bool,
}

impl Step {
    /// Does the whole call as if its sender had died and its request had been under way: nobody closes what is created.
    pub fn carry_out(&self, storage: &dyn Storage) {
        // Whether it still can be done is storage's business.
        let _ = match (self.operation, &self.to) {
            (Operation::Rename, Some(to)) => storage.rename(&self.path, to),
            (Operation::MakeDirs, _) => storage.make_dirs(&self.path),
            (Operation::Create, _) => storage.create(&self.path, Content::Bytes(b"")),
            _ => storage.delete(&self.path),
        };
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.what, self.path)?;
        self.to.as_ref().map_or(Ok(()), |to| write!(f, " -> {to}"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flavour {
    Hdfs,
    Local(Care),
}

/// What a local disk's backend syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Care {
    /// Nothing.
    None,
    /// What it changes, before it answers.
    Changes,
    /// That, and before it what it looks at or builds on: as it has to be.
    Grounds,
}

type Watcher = Arc<dyn Fn(&Step) + Send + Sync>;

/// A lake in memory; see the module.
pub struct SimFs {
    flavour: Flavour,
    disk: Arc<Mutex<Disk>>,
    watcher: Mutex<Option<Watcher>>,
}

impl SimFs {
    /// An empty lake that behaves as HDFS does; its clock stands at `now`.
    pub fn hdfs(now: Timestamp) -> Self {
        Self::new(Flavour::Hdfs, Disk::new(now))
    }

    /// An empty lake that behaves as [`super::local`] does; its clock stands at `now`.
    pub fn local(now: Timestamp) -> Self {
        Self::careless(now, Care::Grounds)
    }

    /// Like [`SimFs::local`] with less care: to see that a test of power cuts can fail.
    pub fn careless(now: Timestamp, care: Care) -> Self {
        Self::new(Flavour::Local(care), Disk::new(now))
    }

    fn new(flavour: Flavour, disk: Disk) -> Self {
        Self { flavour, disk: Arc::new(Mutex::new(disk)), watcher: Mutex::default() }
    }

    /// A copy of the lake as it is, with a life of its own. Not watched.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::new(self.flavour, self.disk().clone())
    }

    /// The same lake for another process. Not watched.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { flavour: self.flavour, disk: Arc::clone(&self.disk), watcher: Mutex::default() }
    }

    /// Whether a request may be carried out after its sender has died.
    pub fn is_remote(&self) -> bool {
        self.flavour == Flavour::Hdfs
    }

    /// What is not durable is forgotten. On HDFS that is nothing.
    pub fn power_cut(&self) {
        if let Flavour::Local(_) = self.flavour {
            self.disk().power_cut();
        }
    }

    /// Another NameNode is made the active one while this one stands still, and does not notice. The next change is
    /// made in its memory alone and has no answer; it shows that until it is asked for one more, which its journal
    /// refuses too. Then it ends, and the other one answers, as if neither had been asked for.
    pub fn depose(&self) {
        self.disk().reign = disk::Reign::Deposed;
    }

    /// Calls `watcher` before each step of a mutation of this process, on the caller's thread and without a lock.
    pub fn watch(&self, watcher: impl Fn(&Step) + Send + Sync + 'static) {
        *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(watcher));
    }

    /// Sets the storage's clock.
    pub fn set_time(&self, now: Timestamp) {
        self.disk().now = now;
    }

    /// Every file below `dir` with its content; the empty `dir` is the root.
    pub fn files(&self, dir: &str) -> BTreeMap<String, Bytes> {
        let (mut found, disk) = (BTreeMap::new(), self.disk());
        let dir = LakePath::parse(dir);
        if let Some((dir, id)) = dir.and_then(|dir| disk.find_dir(&dir).map(|id| (dir, id))) {
            disk.files_below(id, &dir, &mut found);
        }
        found
    }

    /// What the file at `path` holds, without a look: that would make durable what it shows.
    pub fn content(&self, path: &str) -> Option<Bytes> {
        let disk = self.disk();
        LakePath::parse(path).and_then(|path| disk.find(&path)).and_then(|id| disk.content(id))
    }

    /// Two lakes with the same fingerprint show the same, and would show the same after a power cut, but for times and
    /// for names that were drawn by lot (UUIDs).
    pub fn fingerprint(&self) -> u64 {
        self.disk().fingerprint()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk for somebody who builds on the entries of `dir`.
    fn settled(&self, dir: &LakePath) -> MutexGuard<'_, Disk> {
        let mut disk = self.disk();
        if self.flavour == Flavour::Local(Care::Grounds)
            && let Some(dir) = disk.find_dir(dir)
        {
            disk.sync_dir(dir);
        }
        disk
    }

    fn call<'a>(&'a self, operation: Operation, path: &'a LakePath, to: Option<&'a LakePath>) -> Mutation<'a> {
        Mutation { fs: self, operation, path, to, is_begun: false }
    }
}

/// A mutation in the middle of its steps.
struct Mutation<'a> {
    fs: &'a SimFs,
    operation: Operation,
    path: &'a LakePath,
    to: Option<&'a LakePath>,
    is_begun: bool,
}

impl Mutation<'_> {
    fn step<T>(&mut self, what: &'static str, work: impl FnOnce(&mut Disk) -> Result<T, Kind>) -> Answer<T> {
        let watcher = self.fs.watcher.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(watcher) = watcher {
            let (path, to, is_first) = (self.path.clone(), self.to.cloned(), !self.is_begun);
            watcher(&Step { operation: self.operation, path, to, what, is_first });
        }
        self.is_begun = true;
        let mut disk = self.fs.disk();
        let done = if self.fs.is_remote() { disk.journaled(work) } else { work(&mut disk) };
        done.map_err(|kind| self.failed(kind, "in memory"))
    }

    fn failed(&self, kind: Kind, message: &str) -> StorageError {
        StorageError::new(kind, self.operation.name(), self.path, message)
    }

    fn sync(&mut self, what: &'static str, sync: impl FnOnce(&mut Disk)) -> Answer<()> {
        if matches!(self.fs.flavour, Flavour::Hdfs | Flavour::Local(Care::None)) {
            return Ok(());
        }
        self.step(what, |disk| {
            sync(disk);
            Ok(())
        })
    }

    /// The directory that `path` lies in, as an open one: it stays the same when it is moved.
    fn open_parent(&self, path: &LakePath) -> Answer<Id> {
        self.fs.disk().find_dir(&path.parent()).ok_or_else(|| self.failed(Kind::NotFound, "no such directory"))
    }

    /// The client creates, writes, closes, and looks whether it is all there.
    fn create_remote(&mut self, bytes: Bytes) -> Answer<()> {
        let path = self.path;
        let id = self.step("create", |disk| disk.add_file(path))?;
        self.step("close", |disk| {
            disk.is_there(id).then(|| disk.write(id, bytes)).ok_or(Kind::NotFound)?;
            (disk.find(path) == Some(id)).then_some(()).ok_or(Kind::NotFound)
        })
    }

    fn create_local(&mut self, bytes: &Bytes) -> Answer<()> {
        let path = self.path;
        let parent = self.open_parent(path)?;
        let id = self.step("create", |disk| disk.add_file(path))?;
        for (what, end) in [("write half of", bytes.len() / 2), ("write", bytes.len())] {
            self.step(what, |disk| {
                disk.write(id, bytes.slice(..end));
                Ok(())
            })?;
        }
        self.sync("sync", |disk| disk.sync_file(id))?;
        self.sync("sync the entry of", |disk| disk.sync_dir(parent))
    }

    fn make_dirs_remote(&mut self) -> Answer<()> {
        let path = self.path;
        self.step("make", |disk| ancestors(path).try_for_each(|dir| make_dir(disk, &dir)))
    }

    fn make_dirs_local(&mut self) -> Answer<()> {
        let all: Vec<LakePath> = ancestors(self.path).collect();
        let missing = all.iter().position(|dir| self.fs.disk().find(dir).is_none()).unwrap_or(all.len());
        // The deepest one that is there may be volatile.
        for (index, dir) in all.iter().enumerate().skip(missing.saturating_sub(1)) {
            if index >= missing {
                self.step("make", |disk| make_dir(disk, dir))?;
            } else if self.fs.disk().find_dir(dir).is_none() {
                return Err(self.failed(Kind::AlreadyExists, "a file is in the way"));
            }
            let parent = self.open_parent(dir)?;
            self.sync("sync the entry of", |disk| disk.sync_dir(parent))?;
        }
        Ok(())
    }

    fn rename_to(&mut self, to: &LakePath) -> Answer<()> {
        let from = self.path;
        // Before the step, as the backend on a local disk does.
        let dirs = match self.fs.flavour {
            Flavour::Hdfs => Vec::new(),
            Flavour::Local(_) => vec![self.open_parent(to)?, self.open_parent(from)?],
        };
        drop(self.fs.settled(&to.parent().parent()));
        self.step("rename", |disk| disk.rename(from, to))?;
        dirs.into_iter().try_for_each(|dir| self.sync("sync after the rename of", |disk| disk.sync_dir(dir)))
    }

    fn delete_local(&mut self, path: &LakePath) -> Answer<()> {
        let children = {
            let disk = self.fs.disk();
            disk.find(path).and_then(|id| disk.children(id))
        };
        for (name, _) in children.into_iter().flatten() {
            self.delete_local(&path.join(name))?;
        }
        self.step("delete", |disk| disk.unlink(path))
    }
}

type Answer<T> = Result<T, StorageError>;

/// A directory with all above it, from the top.
fn ancestors(dir: &LakePath) -> impl Iterator<Item = LakePath> + use<> {
    let mut at = LakePath::root();
    let segments: Vec<String> = dir.as_str().split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect();
    segments.into_iter().map(move |segment| {
        at = at.join(segment);
        at.clone()
    })
}

fn make_dir(disk: &mut Disk, dir: &LakePath) -> Result<(), Kind> {
    match disk.find(dir) {
        None => disk.add_dir(dir).map(drop),
        Some(_) if disk.find_dir(dir).is_some() => Ok(()),
        Some(_) => Err(Kind::AlreadyExists),
    }
}

impl Storage for SimFs {
    fn url(&self) -> &str {
        match self.flavour {
            Flavour::Hdfs => "sim://hdfs",
            Flavour::Local(_) => "sim://local",
        }
    }

    fn list(&self, dir: &LakePath) -> Answer<Vec<Entry>> {
        drop(self.settled(&dir.parent()));
        let disk = self.settled(dir);
        let id = disk.find(dir).ok_or_else(|| StorageError::new(Kind::NotFound, "list", dir, "in memory"))?;
        let children = disk
            .children(id)
            .ok_or_else(|| StorageError::new(Kind::Corrupt, "list", dir, "it is a file, not a directory"))?;
        Ok(children.iter().filter_map(|(name, id)| disk.entry(*id, dir.join(name))).collect())
    }

    fn stat(&self, path: &LakePath) -> Answer<Entry> {
        let disk = self.settled(&path.parent());
        let entry = disk.find(path).and_then(|id| disk.entry(id, path.clone()));
        entry.ok_or_else(|| StorageError::new(Kind::NotFound, "stat", path, "in memory"))
    }

    fn confirm(&self, path: &LakePath) -> Answer<Entry> {
        let shown = self.stat(path);
        if self.disk().ask_journal() {
            return shown;
        }
        Err(StorageError::new(Kind::Unavailable, "confirm", path, "the namenode was not the active one"))
    }

    fn read(&self, path: &LakePath, from: u64, to: u64) -> Answer<Bytes> {
        let disk = self.disk();
        let id = disk.find(path).ok_or_else(|| StorageError::new(Kind::NotFound, "read", path, "in memory"))?;
        let content = disk.content(id);
        check_range(path, from, to, content.as_ref().map(|content| content.len() as u64))?;
        let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
        Ok(content.unwrap_or_default().slice(at(from)..at(to)))
    }

    fn create(&self, path: &LakePath, content: Content<'_>) -> Answer<()> {
        let bytes = match content {
            Content::Bytes(bytes) => Bytes::copy_from_slice(bytes),
            Content::Spooled(spooled) => {
                let mut bytes = Vec::new();
                let read = open_spooled(path, spooled)?.read_to_end(&mut bytes);
                read.map_err(|error| StorageError::new(Kind::Other, "create", path, say(&error)))?;
                bytes.into()
            }
        };
        let mut call = self.call(Operation::Create, path, None);
        if self.is_remote() { call.create_remote(bytes) } else { call.create_local(&bytes) }
    }

    fn make_dirs(&self, dir: &LakePath) -> Answer<()> {
        let mut call = self.call(Operation::MakeDirs, dir, None);
        if self.is_remote() { call.make_dirs_remote() } else { call.make_dirs_local() }
    }

    fn rename(&self, from: &LakePath, to: &LakePath) -> Answer<()> {
        self.call(Operation::Rename, from, Some(to)).rename_to(to)
    }

    fn delete(&self, path: &LakePath) -> Answer<()> {
        let mut call = self.call(Operation::Delete, path, None);
        if *path == LakePath::root() {
            return Err(call.failed(Kind::Other, "the root is never deleted"));
        }
        let deleted = if self.is_remote() {
            call.step("delete", |disk| disk.remove(path))
        } else {
            call.open_parent(path).and_then(|parent| {
                call.delete_local(path)?;
                call.sync("sync after the delete of", |disk| disk.sync_dir(parent))
            })
        };
        match deleted {
            Err(error) if error.kind != Kind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
