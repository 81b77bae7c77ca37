//! What only a local disk can do wrong: another file system below the root, no room, no permission.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// A file system of one MiB, unmounted at the end.
struct SmallDisk(PathBuf, #[expect(dead_code, reason = "keeps the folder of the mount")] tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("disk");
        std::fs::create_dir(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&at).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(at, dir));
        }
        println!("LEFT OUT: a disk that is full or read-only; mounting one takes root");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let Some(disk) = SmallDisk::mount() else { return };
    let storage = LocalStorage::open(&disk.0).unwrap();
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
    let storage = LocalStorage::open(&disk.0).unwrap();
    storage.create(&path("file"), Content::Bytes(b"x")).unwrap();
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.0).status().unwrap();
    assert!(remounted.success());
    assert_eq!(storage.create(&path("other"), Content::Bytes(b"x")).unwrap_err().kind, Kind::Denied);
    assert_eq!(storage.rename(&path("file"), &path("other")).unwrap_err().kind, Kind::Denied);
    assert_eq!(storage.make_dirs(&path("dir")).unwrap_err().kind, Kind::Denied);
    assert_eq!(storage.delete(&path("file")).unwrap_err().kind, Kind::Denied);
    assert_eq!(&storage.read(&path("file"), 0, 1).unwrap()[..], b"x");
    assert_eq!(LocalStorage::open(&disk.0).unwrap_err().kind, Kind::Denied);
    assert_eq!(LocalStorage::open_to_look(&disk.0).unwrap().stat(&path("file")).unwrap().bytes, 1);
}
