//! What only a local disk can do wrong: another file system below the root, no room, no permission, forgetting.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use forebay::storage::local::LocalStorage;
use forebay::storage::{self, Content, Kind, LakePath, Storage};

fn path(name: &str) -> LakePath {
    LakePath::root().join(name)
}

#[test]
fn opening_leaves_nothing_behind_and_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("not/there yet");
    for _ in 0..2 {
        let storage = LocalStorage::open(&root).unwrap();
        assert!(storage.list(&LakePath::root()).unwrap().is_empty());
        assert_eq!(storage.url(), format!("file://{}/not/there%20yet", dir.path().display()));
    }
}

#[test]
fn a_relative_root_or_a_file_is_refused() {
    assert_eq!(LocalStorage::open(Path::new("lake")).unwrap_err().kind, Kind::Other);
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(LocalStorage::open(file.path()).unwrap_err().kind, Kind::AlreadyExists);
}

#[test]
fn a_zone_on_another_file_system_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/proc", dir.path().join("quarantine")).unwrap();
    let error = LocalStorage::open(dir.path()).unwrap_err();
    assert!(error.kind == Kind::Other && error.message.contains("`quarantine` lies on another file system"), "{error}");
}

#[test]
fn who_only_looks_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("lake");
    let url = format!("file://{}", root.display());
    assert_eq!(storage::open_to_look(&url, BTreeMap::new()).err().unwrap().kind, Kind::NotFound);
    assert!(!root.exists());
    LocalStorage::open(&root).unwrap().create(&path("file"), Content::Bytes(b"x")).unwrap();
    let storage = storage::open_to_look(&url, BTreeMap::new()).unwrap();
    assert_eq!(storage.list(&LakePath::root()).unwrap().len(), 1);
    assert_eq!(LocalStorage::open_to_look(&root.join("file")).unwrap_err().kind, Kind::Corrupt);
}

/// Who starts a process, or has a disk that is full: a process that is just being started holds every file that is open
/// anywhere, and so the room of one that was deleted.
static STARTS: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    STARTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file system of one MiB, unmounted at the end.
struct SmallDisk {
    at: PathBuf,
    /// Keeps the folder of the mount.
    _dir: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let alone = alone();
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("disk");
        std::fs::create_dir(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&at).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self { at, _dir: dir, _alone: alone });
        }
        println!("LEFT OUT: a disk that is full or read-only; mounting one takes root");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let Some(disk) = SmallDisk::mount() else { return };
    let storage = LocalStorage::open(&disk.at).unwrap();
    let big = vec![7; 2 * 1024 * 1024];
    let spooled = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(spooled.path(), &big).unwrap();
    for content in [Content::Bytes(&big), Content::Spooled(spooled.path())] {
        assert_eq!(storage.create(&path("big"), content).unwrap_err().kind, Kind::NoSpace);
        assert!(storage.list(&LakePath::root()).unwrap().is_empty());
    }
    storage.create(&path("small"), Content::Bytes(&big[..1000])).unwrap();
}

#[test]
fn a_read_only_disk_is_told() {
    let Some(disk) = SmallDisk::mount() else { return };
    let storage = LocalStorage::open(&disk.at).unwrap();
    storage.create(&path("file"), Content::Bytes(b"x")).unwrap();
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.at).status().unwrap();
    assert!(remounted.success());
    assert_eq!(storage.create(&path("other"), Content::Bytes(b"x")).unwrap_err().kind, Kind::Denied);
    assert_eq!(storage.rename(&path("file"), &path("other")).unwrap_err().kind, Kind::Denied);
    assert_eq!(storage.make_dirs(&path("dir")).unwrap_err().kind, Kind::Denied);
    assert_eq!(storage.delete(&path("file")).unwrap_err().kind, Kind::Denied);
    assert_eq!(&storage.read(&path("file"), 0, 1).unwrap()[..], b"x");
    assert_eq!(LocalStorage::open(&disk.at).unwrap_err().kind, Kind::Denied);
    assert_eq!(LocalStorage::open_to_look(&disk.at).unwrap().stat(&path("file")).unwrap().bytes, 1);
}

/// What the calls of the next test are between, so that they are told apart: a file that is not there is removed.
fn mark(root: &Path, what: &str) {
    assert!(std::fs::remove_file(root.join(format!("MARK {what}"))).is_err());
}

/// Each call once, and what it has to ask of the kernel, in this order. `SimFs` does the same: what the enumerations of
/// crashes and power cuts say of it holds of this backend as long as this test does.
type Story = [(&'static str, fn(&LocalStorage), &'static [&'static str])];
const STORY: &Story = &[
    (
        "make_dirs",
        |disk| disk.make_dirs(&path("a").join("b")).unwrap(),
        &["look a/b", "look a", "look .", "sync ..", "mkdir a", "sync .", "mkdir a/b", "sync a"],
    ),
    ("make_dirs again", |disk| disk.make_dirs(&path("a").join("b")).unwrap(), &["look a/b", "sync a"]),
    (
        "create",
        |disk| disk.create(&path("a").join("b").join("f"), Content::Bytes(b"x")).unwrap(),
        &["create a/b/f", "sync a/b/f", "sync a/b"],
    ),
    ("list", |disk| drop(disk.list(&path("a")).unwrap()), &["look a", "look a/b", "look a", "sync .", "sync a"]),
    ("list the root", |disk| drop(disk.list(&LakePath::root()).unwrap()), &["look .", "look a", "look .", "sync ."]),
    ("list what is not there", |disk| drop(disk.list(&path("a").join("c")).unwrap_err()), &["sync a"]),
    ("stat", |disk| drop(disk.stat(&path("a").join("b")).unwrap()), &["look a/b", "sync a"]),
    ("stat what is not there", |disk| drop(disk.stat(&path("a").join("c")).unwrap_err()), &["look a/c", "sync a"]),
    (
        "rename",
        |disk| disk.rename(&path("a").join("b").join("f"), &path("a").join("g")).unwrap(),
        &["sync .", "rename a/b/f a/g", "sync a", "sync a/b"],
    ),
    ("delete", |disk| disk.delete(&path("a").join("g")).unwrap(), &["look a/g", "unlink a/g", "sync a"]),
];

/// What one line of strace says of a lake at `root`.
fn asked(line: &str, root: &str) -> Option<String> {
    let below = |path: &str| match path.strip_prefix(root) {
        Some("") => ".".to_owned(),
        Some(below) => below.trim_start_matches('/').to_owned(),
        None => "..".to_owned(),
    };
    let (call, rest) = line.split_once('(')?;
    let opened = |rest: &str| Some(below(rest.split_once('<')?.1.split_once('>')?.0));
    let quoted: Vec<String> = rest.split('"').skip(1).step_by(2).map(below).collect();
    match call.rsplit(' ').next()? {
        "fsync" => Some(format!("sync {}", opened(rest)?)),
        "getdents64" => Some(format!("look {}", opened(rest)?)),
        "statx" | "newfstatat" if !rest.contains("\"\"") => Some(format!("look {}", quoted.first()?)),
        "mkdir" => Some(format!("mkdir {}", quoted.first()?)),
        "openat" if rest.contains("O_CREAT|O_EXCL") => Some(format!("create {}", quoted.first()?)),
        "renameat2" if rest.contains("RENAME_NOREPLACE") => {
            Some(format!("rename {} {}", quoted.first()?, quoted.get(1)?))
        }
        "unlink" => Some(format!("unlink {}", quoted.first()?)),
        _ => None,
    }
}

#[test]
fn what_is_answered_or_built_on_was_synced() {
    const ROOT: &str = "FOREBAY_SYNC_STORY";
    if let Some(root) = std::env::var_os(ROOT) {
        let disk = LocalStorage::open(Path::new(&root)).unwrap();
        for (what, call, _) in STORY {
            mark(Path::new(&root), what);
            call(&disk);
        }
        return;
    }
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let (root, log) = (dir.path().canonicalize().unwrap().join("lake"), dir.path().join("log"));
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-y", "-e", "trace=fsync,mkdir,openat,renameat2,unlink,getdents64,statx,newfstatat", "-o"])
        .arg(&log);
    strace.arg(std::env::current_exe().unwrap()).args(["--exact", "what_is_answered_or_built_on_was_synced"]);
    if !strace.env(ROOT, &root).output().is_ok_and(|watched| watched.status.success()) {
        println!("LEFT OUT: what a local disk is asked to sync; watching it takes strace, and to be allowed to trace");
        return;
    }
    let log = std::fs::read_to_string(log).unwrap();
    let asked: Vec<String> = log.lines().filter_map(|line| asked(line, root.to_str().unwrap())).collect();
    let mut told = asked.split(|line| line.starts_with("unlink MARK ")).skip(1);
    for (what, _, expected) in STORY {
        assert_eq!(told.next().unwrap(), *expected, "{what}");
    }
}
