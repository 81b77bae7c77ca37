//! The same protocol on a real disk.

use std::sync::Arc;

use forebay::lake::audit::{Depth, audit_raw};
use forebay::lake::chain::read_floor;
use forebay::storage::Storage;
use forebay::storage::faulty::FaultyStorage;
use forebay::storage::local::LocalStorage;

use super::world::{END, World};

/// A world whose clock is the machine's, since the disk's is.
fn open(dir: &std::path::Path) -> (World, Arc<dyn Storage>) {
    let storage = LocalStorage::open(&dir.join("lake")).unwrap();
    (World::at(jiff::Timestamp::now()), Arc::new(storage))
}

fn assert_audited(storage: &dyn Storage, story: &str) -> u64 {
    let audit = audit_raw(storage, Depth::Ledger).unwrap();
    assert!(audit.chain.ok, "{story}: {:?}", audit.chain.violations);
    assert!(audit.complete.ok, "{story}: {:?}", audit.complete.violations);
    audit.complete.checked
}

#[test]
fn an_owner_that_dies_anywhere_is_followed_by_one_that_goes_on() {
    for crash in (0..60).step_by(4) {
        let dir = tempfile::tempdir().unwrap();
        let (world, storage) = open(dir.path());
        let faulty = Arc::new(FaultyStorage::new(Arc::clone(&storage)));
        faulty.crash_after_mutations(crash);
        drop(world.script(&(Arc::clone(&faulty) as Arc<dyn Storage>), "first"));
        let story = format!("dead at mutation {crash}");
        assert_audited(&*storage, &story);
        let mut lane = world.acquire(&storage, "second").unwrap();
        let start = read_floor(&*storage, &world.source).unwrap().unwrap();
        while lane.head() < END {
            let len = (END - lane.head()).min(4);
            world.commit_next_on(&mut lane, len, "second").unwrap();
        }
        assert_eq!(assert_audited(&*storage, &story), (END - start).unsigned_abs(), "{story}");
    }
}
