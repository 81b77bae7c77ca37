//! The lake on a local disk.
//!
//! The same protocol as on HDFS, so the same four things have to hold here: nothing is overwritten (`O_EXCL`,
//! `RENAME_NOREPLACE`), one rename is one step, what was answered with `Ok` survives a power cut, and so does what it
//! is built on. The third takes an fsync of the file and of every directory whose entries changed; a failed fsync is
//! never repeated, since the kernel may have dropped the dirty pages and would answer the second one with success. The
//! fourth takes an fsync after each look, before it is answered, and of the way to the directory that a rename goes
//! into: a process that was killed between a rename or a mkdir and its fsync has left something that everybody sees and
//! a power cut takes back, and whoever comes next builds on it. Who only looks ([`LocalStorage::open_to_look`]) builds
//! on nothing and syncs nothing.
//!
//! A disk that hangs hangs its caller here: [`super::Punctual`] gives its calls a deadline.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use rustix::fs::{CWD, RenameFlags};
use url::Url;

use super::{Content, Entry, Kind, LakePath, Storage, StorageError, check_range, open_spooled, say};

/// Zones that renames go between; they have to be on the root's file system.
const ZONES: [&str; 5] = ["ledger", "raw", "quarantine", "processed", "_forebay"];

/// A lake below one directory of one local file system.
#[derive(Debug)]
pub struct LocalStorage {
    root: PathBuf,
    url: String,
    /// Whether somebody may build on what is seen.
    is_to_change: bool,
}

impl LocalStorage {
    /// Opens the lake below `root`, which is made when it is not there.
    ///
    /// # Errors
    ///
    /// When `root` is not absolute or not a directory, when a zone below it lies on another file system (no rename
    /// goes from one to the other), and when the file system has no rename that refuses to overwrite.
    pub fn open(root: &Path) -> Result<Self, StorageError> {
        let storage = Self { is_to_change: true, ..Self::at(root)? };
        make_dirs_durably(root).map_err(|error| classify("open", &storage.url, &error))?;
        storage.check_one_file_system()?;
        storage.check_no_replace()?;
        Ok(storage)
    }

    /// Opens a lake that is there, for somebody who only looks: nothing is made or tried, and reading is enough.
    ///
    /// # Errors
    ///
    /// When `root` is not absolute, is not there, or is not a directory.
    pub fn open_to_look(root: &Path) -> Result<Self, StorageError> {
        let storage = Self::at(root)?;
        let metadata = fs::metadata(root).map_err(|error| classify("open", &storage.url, &error))?;
        if metadata.is_dir() {
            return Ok(storage);
        }
        Err(StorageError::new(Kind::Corrupt, "open", &storage.url, "it is a file, not a directory"))
    }

    /// Whether [`LocalStorage::open`] could use `root`, or make it, as far as can be told without making or trying
    /// anything.
    ///
    /// # Errors
    ///
    /// As [`LocalStorage::open_to_look`], and when `root` is not there and the directory above it takes no new one.
    pub fn probe(root: &Path) -> Result<(), StorageError> {
        let error = match Self::open_to_look(root) {
            Err(error) if error.kind == Kind::NotFound => error,
            other => return other.map(drop),
        };
        let above = root.ancestors().skip(1).find(|folder| folder.is_dir());
        let takes_more = above.is_some_and(|folder| rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok());
        if takes_more { Ok(()) } else { Err(error) }
    }

    fn at(root: &Path) -> Result<Self, StorageError> {
        let failed = || StorageError::new(Kind::Other, "open", &root.display(), "the root must be an absolute path");
        let url = Url::from_file_path(root).map_err(|()| failed())?;
        Ok(Self { root: root.to_path_buf(), url: url.to_string(), is_to_change: false })
    }

    fn check_one_file_system(&self) -> Result<(), StorageError> {
        let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev());
        let root = device(&self.root).map_err(|error| classify("open", &self.url, &error))?;
        for zone in ZONES {
            match device(&self.root.join(zone)) {
                Ok(other) if other != root => {
                    let message = format!("`{zone}` lies on another file system than the root: keep all of it on one");
                    return Err(StorageError::new(Kind::Other, "open", &self.url, message));
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(classify("open", &format!("{}/{zone}", self.url), &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Tries on two files of our own whether a rename refuses to overwrite.
    fn check_no_replace(&self) -> Result<(), StorageError> {
        let probe = self.root.join(format!("_forebay-probe-{}", uuid::Uuid::new_v4()));
        let tried = fs::create_dir(&probe).and_then(|()| {
            let (source, target) = (probe.join("source"), probe.join("target"));
            File::create_new(&source)?;
            File::create_new(&target)?;
            let refused = rename_no_replace(&source, &target);
            rename_no_replace(&source, &probe.join("free")).map(|()| refused)
        });
        let removed = fs::remove_dir_all(&probe);
        match tried {
            Ok(Err(error)) if error.kind() == io::ErrorKind::AlreadyExists => {
                removed.map_err(|error| classify("open", &self.url, &error))
            }
            Ok(_) => Err(self.no_replace_missing("a rename went over an existing file")),
            Err(error) if is_unsupported(&error) => Err(self.no_replace_missing(&error.to_string())),
            Err(error) => Err(classify("open", &self.url, &error)),
        }
    }

    fn no_replace_missing(&self, why: &str) -> StorageError {
        let message = format!("this file system cannot rename without overwriting ({why}): use ext4, xfs or btrfs");
        StorageError::new(Kind::Other, "open", &self.url, message)
    }

    /// Makes the entries of a directory durable before somebody builds on them. One that is not there has none.
    ///
    /// After a look and not before it: what somebody does in between would be seen and not be durable.
    fn settle(&self, dir: Option<&Path>) -> io::Result<()> {
        let Some(dir) = dir.filter(|dir| self.is_to_change && dir.starts_with(&self.root)) else { return Ok(()) };
        match File::open(dir) {
            Err(error) if kind_of(&error) == Kind::NotFound => Ok(()),
            opened => opened?.sync_all(),
        }
    }

    /// The absolute path of `path`; never anything relative to a directory handle, which would pass a fence.
    fn absolute(&self, path: &LakePath) -> PathBuf {
        if path.as_str().is_empty() { self.root.clone() } else { self.root.join(path.as_str()) }
    }
}

impl Storage for LocalStorage {
    fn url(&self) -> &str {
        &self.url
    }

    /// Names that are not UTF-8 cannot be ours and are left out, and so is what vanishes while we look.
    fn list(&self, dir: &LakePath) -> Result<Vec<Entry>, StorageError> {
        let failed = |error: &io::Error| match error.kind() {
            io::ErrorKind::NotADirectory if self.absolute(dir).is_file() => {
                StorageError::new(Kind::Corrupt, "list", dir, "it is a file, not a directory")
            }
            _ => classify("list", dir, error),
        };
        let look = |absolute: &Path| {
            let mut entries = Vec::new();
            for child in fs::read_dir(absolute).map_err(|error| failed(&error))? {
                let child = child.map_err(|error| failed(&error))?;
                let Some(path) = child.file_name().to_str().map(|name| dir.join(name)) else { continue };
                match fs::metadata(child.path()) {
                    Ok(metadata) => entries.push(entry("list", path, &metadata)?),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(classify("list", &path, &error)),
                }
            }
            Ok(entries)
        };
        let absolute = self.absolute(dir);
        let entries = look(&absolute);
        self.settle(absolute.parent()).and_then(|()| self.settle(Some(&absolute))).map_err(|error| failed(&error))?;
        entries
    }

    fn stat(&self, path: &LakePath) -> Result<Entry, StorageError> {
        let absolute = self.absolute(path);
        let seen = fs::metadata(&absolute);
        let metadata = self.settle(absolute.parent()).and(seen).map_err(|error| classify("stat", path, &error))?;
        entry("stat", path.clone(), &metadata)
    }

    fn read(&self, path: &LakePath, from: u64, to: u64) -> Result<Bytes, StorageError> {
        let failed = |error: io::Error| classify("read", path, &error);
        let file = File::open(self.absolute(path)).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        check_range(path, from, to, (!metadata.is_dir()).then_some(metadata.len()))?;
        let length = usize::try_from(to - from)
            .map_err(|_| StorageError::new(Kind::Other, "read", path, "the range does not fit into memory"))?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, from).map_err(failed)?;
        Ok(bytes.into())
    }

    fn create(&self, path: &LakePath, content: Content<'_>) -> Result<(), StorageError> {
        let absolute = self.absolute(path);
        let parent = open_parent(&absolute).map_err(|error| classify("create", path, &error))?;
        let mut source = match content {
            Content::Bytes(bytes) => Source::Bytes(bytes),
            Content::Spooled(spooled) => Source::File(open_spooled(path, spooled)?),
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&absolute)
            .map_err(|error| classify("create", path, &error))?;
        let written = source.write_to(&mut file).and_then(|()| file.sync_all()).and_then(|()| parent.sync_all());
        written.map_err(|error| {
            // What could not be made durable is taken away again; the file's own error says more than that one's.
            match fs::remove_file(&absolute) {
                Ok(()) => classify("create", path, &error),
                Err(left) => {
                    let message = format!("{}; and what was written is still there: {left}", say(&error));
                    StorageError::new(kind_of(&error), "create", path, message)
                }
            }
        })
    }

    fn make_dirs(&self, dir: &LakePath) -> Result<(), StorageError> {
        make_dirs_durably(&self.absolute(dir)).map_err(|error| classify("make_dirs", dir, &error))
    }

    fn rename(&self, from: &LakePath, to: &LakePath) -> Result<(), StorageError> {
        let failed = |error: &io::Error| {
            let mut error = classify("rename", from, error);
            error.message = format!("to {to}: {}", error.message);
            error
        };
        let (source, target) = (self.absolute(from), self.absolute(to));
        // Opened before the step, since a fence may move the source's directory right after it; used for nothing but
        // the fsync: the rename itself goes by absolute paths.
        let target_dir = open_parent(&target).map_err(|error| failed(&error))?;
        self.settle(target.parent().and_then(Path::parent)).map_err(|error| failed(&error))?;
        let source_dir = open_parent(&source).map_err(|error| failed(&error))?;
        rename_no_replace(&source, &target).map_err(|error| failed(&error))?;
        let synced = target_dir.sync_all().and_then(|()| source_dir.sync_all());
        synced.map_err(|error| {
            let mut error = failed(&error);
            error.kind = Kind::Unknown;
            error
        })
    }

    fn delete(&self, path: &LakePath) -> Result<(), StorageError> {
        if *path == LakePath::root() {
            return Err(StorageError::new(Kind::Other, "delete", &self.url, "the root is never deleted"));
        }
        let absolute = self.absolute(path);
        let removed = open_parent(&absolute).and_then(|parent| {
            let is_dir = fs::symlink_metadata(&absolute)?.is_dir();
            if is_dir {
                fs::remove_dir_all(&absolute)?;
            } else {
                fs::remove_file(&absolute)?;
            }
            parent.sync_all()
        });
        match removed {
            Err(error) if kind_of(&error) != Kind::NotFound => Err(classify("delete", path, &error)),
            _ => Ok(()),
        }
    }
}

enum Source<'a> {
    Bytes(&'a [u8]),
    File(File),
}

impl Source<'_> {
    fn write_to(&mut self, file: &mut File) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => file.write_all(bytes),
            Self::File(source) => {
                let length = source.metadata()?.len();
                let copied = io::copy(source, file)?;
                if copied == length {
                    return Ok(());
                }
                Err(io::Error::other(format!("the spool file changed while it was copied: {copied} of {length} bytes")))
            }
        }
    }
}

/// Makes what is missing from the top down, each directory durable before the next is made. So only the deepest one
/// that is there already can still be volatile (its maker died in between, or is at it now), and that one is made
/// durable as well.
fn make_dirs_durably(dir: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut there = dir;
    loop {
        match fs::metadata(there) {
            Ok(metadata) if metadata.is_dir() => break,
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file is in the way")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(there),
            Err(error) => return Err(error),
        }
        there = there.parent().unwrap_or(Path::new("/"));
    }
    sync_parent(there)?;
    for dir in missing.into_iter().rev() {
        match fs::create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
            made => made?,
        }
        sync_parent(dir)?;
    }
    Ok(())
}

/// The directory that holds `path`, for an fsync.
fn open_parent(path: &Path) -> io::Result<File> {
    File::open(path.parent().unwrap_or(path))
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match open_parent(path) {
        // A directory above the root that we may pass but not read: it is not ours to make durable.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        opened => opened?.sync_all(),
    }
}

fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

fn is_unsupported(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let unsupported = [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP];
    error.raw_os_error().is_some_and(|code| unsupported.iter().any(|errno| errno.raw_os_error() == code))
}

fn entry(operation: &'static str, path: LakePath, metadata: &fs::Metadata) -> Result<Entry, StorageError> {
    let modified = metadata.modified().and_then(|time| Timestamp::try_from(time).map_err(io::Error::other));
    let modified = modified.map_err(|error| classify(operation, &path, &error))?;
    let is_dir = metadata.is_dir();
    Ok(Entry { path, bytes: if is_dir { 0 } else { metadata.len() }, modified, is_dir })
}

fn kind_of(error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Kind::NotFound,
        io::ErrorKind::AlreadyExists => Kind::AlreadyExists,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::NoSpace,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Kind::Denied,
        io::ErrorKind::UnexpectedEof | io::ErrorKind::IsADirectory => Kind::Corrupt,
        _ if error.raw_os_error().is_some_and(is_out_of_descriptors) => Kind::Unavailable,
        _ => Kind::Other,
    }
}

fn is_out_of_descriptors(code: i32) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM].iter().any(|errno| errno.raw_os_error() == code)
}

fn classify(operation: &'static str, path: &(impl fmt::Display + ?Sized), error: &io::Error) -> StorageError {
    StorageError::new(kind_of(error), operation, path, say(error))
}
