//! Revised intervals: what replacing one promises, and how it gets on with rewinds and their undoing. (Crashes, lost
//! answers, takeovers, zombies and late requests during a revision are the harness's: [`super::Lake::Revised`].)

use forebay::lake::chain::read_chain;
use forebay::lake::{LakeError, chain};
use forebay::model::offset::Epoch;
use forebay::storage::LakePath;

use super::behaviour::order;
use super::undo::{held, nine, storage};
use super::world::{START, UNDO, World};

fn epochs(world: &World) -> Vec<(i64, u64)> {
    let live = read_chain(&*storage(world), &world.source).unwrap().chain.live;
    live.iter().map(|file| (file.name.range.from(), file.name.epoch.0)).collect()
}

/// Who wrote each file of RAW, by its first offset.
fn writers(world: &World) -> Vec<String> {
    let text = |content: &[u8]| String::from_utf8(content.to_vec()).unwrap().split(':').next().unwrap().to_owned();
    world.memory.files("raw").values().map(|content| text(content)).collect()
}

#[test]
fn the_new_version_counts_and_the_old_one_is_moved_away() {
    let world = World::new();
    drop(nine(&world));
    let mut lane = world.acquire(&storage(&world), "b").unwrap();
    world.revise(&mut lane, START + 3, START + 6, "b").unwrap();
    assert_eq!(epochs(&world), [(START, 1), (START + 3, 2), (START + 6, 1)]);
    assert_eq!((writers(&world), lane.head()), (["a", "b", "a"].map(str::to_owned).to_vec(), START + 9));
    let moved = world.memory.files(&world.home("superseded/e0000000002"));
    let zone = |zone: &str| moved.keys().filter(|path| path.contains(&format!("/e0000000002/{zone}/"))).count();
    assert_eq!((zone("ledger"), zone("raw"), zone("quarantine")), (1, 1, 1), "{:?}", moved.keys());
    world.audit().unwrap();
    world.commit_next(&mut lane, 1, "b").unwrap();
    world.recover("c");
    world.check_at_rest().unwrap();

    // Where the old version lay, whatever day it is: a reader of `dt` finds what it found there.
    let dates = |dir: &str| -> Vec<String> {
        let files = world
            .memory
            .files(dir)
            .into_keys()
            .filter(|path| path.contains(&format!("+{:020}+{:020}+", START + 3, START + 6)));
        files.map(|path| path.rsplit_once('/').unwrap().0.to_owned()).collect()
    };
    assert_eq!(dates("raw"), ["raw/books/dt=2026-11-20/hr=23"]);
    assert_eq!(dates("ledger"), ["ledger/library/p=00007/dt=2026-11-20"]);
}

#[test]
fn the_revisions_of_an_epoch_are_told_apart_from_what_it_read() {
    let world = World::new();
    drop(nine(&world));
    let mut lane = world.acquire(&storage(&world), "b").unwrap();
    world.revise(&mut lane, START, START + 9, "b").unwrap();
    world.commit_next(&mut lane, 2, "b").unwrap();
    let state = read_chain(&*storage(&world), &world.source).unwrap();
    let [revision] = state.revisions[..] else { panic!("{:?}", state.revisions) };
    assert!(revision.is_done && revision.name.epoch == Epoch(2) && revision.name.head == START + 9);
    let made: Vec<bool> = state.chain.live.iter().map(|file| revision.name.made(&file.name)).collect();
    assert_eq!(made, [true, true, true, false]);
    // Once more, in another epoch.
    let mut lane = world.acquire(&storage(&world), "c").unwrap();
    world.revise(&mut lane, START, START + 1, "c").unwrap();
    assert_eq!(epochs(&world)[..2], [(START, 3), (START + 3, 2)]);
    world.audit().unwrap();
}

#[test]
fn an_interval_of_the_same_epoch_or_of_other_offsets_is_refused() {
    let world = World::new();
    let mut lane = nine(&world);
    let live = read_chain(&*storage(&world), &world.source).unwrap().chain.live;
    let mut pending = world.interval(START, START + 3, "a");
    let error = lane.revise(&mut pending, &live[0], "test").unwrap_err();
    assert!(matches!(error, LakeError::Internal(_)), "{error}");
    let mut lane = world.acquire(&storage(&world), "b").unwrap();
    assert!(lane.revise(&mut pending, &live[1], "test").is_err());
    assert!(world.memory.files(&world.home("revision")).is_empty(), "nothing was begun");
    lane.revise(&mut pending, &live[0], "test").unwrap();
    lane.end_revisions().unwrap();
    world.audit().unwrap();
}

#[test]
fn a_rewind_over_revised_intervals_is_taken_back_to_their_new_version() {
    for back in [START, START + 3, START + 6] {
        for read_again in [0, 2] {
            let world = World::new();
            drop(nine(&world));
            let mut lane = world.acquire(&storage(&world), "b").unwrap();
            world.revise(&mut lane, START + 3, START + 9, "b").unwrap();
            let before = held(&world);
            lane.rewind(order(back)).unwrap();
            if read_again > 0 {
                world.commit_next(&mut lane, read_again, "again").unwrap();
            }
            lane.undo(UNDO).unwrap();
            assert_eq!((held(&world), lane.head()), (before, START + 9), "from {back}");
            world.audit().unwrap();
            // What has come back can be revised again.
            let mut lane = world.acquire(&storage(&world), "c").unwrap();
            world.revise(&mut lane, START, START + 9, "c").unwrap();
            world.recover("d");
            world.check_at_rest().unwrap();
        }
    }
}

/// The owner dies with both versions in place; the next one rewinds at once.
#[test]
fn a_rewind_finishes_what_a_revision_has_left() {
    use forebay::storage::faulty::{Injected, Operation};
    for back in [START, START + 5, START + 8] {
        let world = std::sync::Arc::new(World::new());
        drop(nine(&world));
        let (faulty, dying) = super::faulty(&world);
        let mut lane = world.acquire(&dying, "b").unwrap();
        faulty.inject(Injected::Crash, |call| {
            let to = call.to.as_ref().map(LakePath::as_str).unwrap_or_default();
            call.operation == Operation::Rename && to.contains("superseded") && to.contains("/ledger/")
        });
        world.revise(&mut lane, START + 3, START + 6, "b").unwrap_err();
        let state = read_chain(&*storage(&world), &world.source).unwrap();
        assert_eq!((state.chain.live.len(), state.chain.dead.len()), (3, 1), "both versions lie side by side");
        assert!(state.revisions.iter().all(|revision| !revision.is_done));
        world.audit().unwrap();
        world.check_any_state().unwrap();

        let mut lane = world.acquire(&storage(&world), "c").unwrap();
        lane.rewind(order(back)).unwrap();
        assert!(chain::read_revisions(&*storage(&world), &world.source).unwrap().iter().all(|one| one.is_done));
        lane.undo(UNDO).unwrap();
        assert_eq!((lane.head(), writers(&world)[1].as_str()), (START + 9, "b"));
        world.audit().unwrap();
        world.recover("d");
        world.check_at_rest().unwrap();
    }
}
