//! A clock is wrong by days, this machine's or the storage's: nothing is committed under a wrong date, and when
//! somebody puts the clock right, a time server as a rule, the lanes go on by themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use forebay::app::daemon::{Daemon, Options, open_storage};
use forebay::model::status::LaneState;
use forebay::storage::{Content, Entry, LakePath, Storage, StorageError};
use jiff::SignedDuration;

use crate::world::{World, in_state};

/// A storage whose clock goes wrong by so many hours.
struct Skewed {
    storage: Arc<dyn Storage>,
    hours: AtomicI64,
}

impl Skewed {
    fn shown(&self, entry: Entry) -> Entry {
        let modified = entry.modified + SignedDuration::from_hours(self.hours.load(Ordering::SeqCst));
        Entry { modified, ..entry }
    }
}

impl Storage for Skewed {
    fn url(&self) -> &str {
        self.storage.url()
    }

    fn list(&self, dir: &LakePath) -> Result<Vec<Entry>, StorageError> {
        Ok(self.storage.list(dir)?.into_iter().map(|entry| self.shown(entry)).collect())
    }

    fn stat(&self, path: &LakePath) -> Result<Entry, StorageError> {
        Ok(self.shown(self.storage.stat(path)?))
    }

    fn read(&self, path: &LakePath, from: u64, to: u64) -> Result<Bytes, StorageError> {
        self.storage.read(path, from, to)
    }

    fn create(&self, path: &LakePath, content: Content<'_>) -> Result<(), StorageError> {
        self.storage.create(path, content)
    }

    fn make_dirs(&self, dir: &LakePath) -> Result<(), StorageError> {
        self.storage.make_dirs(dir)
    }

    fn rename(&self, from: &LakePath, to: &LakePath) -> Result<(), StorageError> {
        self.storage.rename(from, to)
    }

    fn delete(&self, path: &LakePath) -> Result<(), StorageError> {
        self.storage.delete(path)
    }
}

fn on_skewed(world: &World, hours: i64) -> (Arc<Skewed>, Daemon) {
    let skewed = Arc::new(Skewed { storage: open_storage(&world.settings()).unwrap(), hours: AtomicI64::new(hours) });
    let options = Options { storage: Some(Arc::clone(&skewed) as _), ..Options::default() };
    let mut settings = world.settings();
    settings.supervise.parked_retry = Duration::from_secs(1);
    let daemon = world.sandbox.start(&settings, &options);
    (skewed, daemon)
}

fn halts(daemon: &Daemon) {
    for partition in 0..2 {
        let fault = in_state(daemon, partition, LaneState::Halted).last_fault.unwrap();
        assert_eq!(fault.fault.event, "lake.clocks-apart");
        assert!(fault.fault.message.contains("hours apart"), "{}", fault.fault.message);
    }
}

#[test]
fn a_clock_that_is_set_wrong_and_right_again_is_waited_for() {
    let world = World::new(2);
    let (skewed, daemon) = on_skewed(&world, 0);
    world.send(100);
    world.caught_up(&daemon);
    skewed.hours.store(48, Ordering::SeqCst);
    world.trickle(100);
    halts(&daemon);
    skewed.hours.store(0, Ordering::SeqCst);
    world.send(100);
    world.finish(daemon);
}

#[test]
fn a_clock_that_is_wrong_at_the_start_does_not_end_the_daemon() {
    let world = World::new(2);
    world.send(100);
    let (skewed, daemon) = on_skewed(&world, -48);
    halts(&daemon);
    assert!(!daemon.has_ended());
    skewed.hours.store(0, Ordering::SeqCst);
    world.finish(daemon);
}
