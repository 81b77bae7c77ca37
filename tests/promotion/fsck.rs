//! What fsck says of the tables, whatever was cut.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use forebay::lake::audit::Depth;
use forebay::lake::fsck::{Action, Class, Examination, Sight, examine, look_at_newest, repair};
use forebay::lake::names::processed_dir;
use forebay::lake::roll::is_unfinished;
use forebay::storage::{Content, Storage};

use super::crash::moments_of;
use super::interleavings::{Work, prepared, promotes, revises, rewinds};
use super::turns::{Actor, every_order, play};
use super::world::World;

fn look(world: &World) -> Examination {
    examine(&(Arc::clone(&world.memory) as Arc<dyn Storage>), Depth::DataFooters).unwrap()
}

/// What a daemon sees that begins and promotes the table.
fn sight(storage: &Arc<dyn Storage>) -> Sight {
    look_at_newest(storage, &["books".to_owned()], &|| true).unwrap().unwrap()
}

fn sight_of(world: &World) -> Sight {
    sight(&(Arc::clone(&world.memory) as Arc<dyn Storage>))
}

fn told(examined: &Examination) -> Vec<(Class, Action, &str)> {
    examined.findings().map(|found| (found.class, found.action, &*found.path)).collect()
}

#[test]
fn a_promotion_that_is_cut_anywhere_leaves_nothing_that_has_to_be_repaired() {
    let world = prepared();
    let mut seen = HashSet::new();
    for lake in moments_of(&world.fork(), |world| drop(world.promoter().unwrap().promote().unwrap())) {
        if !seen.insert(lake.fingerprint()) {
            continue;
        }
        let cut = world.on(lake);
        let mut examined = look(&cut);
        assert!(examined.ok, "{:#?}", told(&examined));
        assert_eq!(sight_of(&cut).first, None);
        repair(&*cut.memory, &mut examined).unwrap();
        cut.promoter().unwrap().promote().unwrap();
        cut.check_oracle();
    }
    assert!(seen.len() > 15, "{} states", seen.len());
}

#[test]
fn a_promotion_that_is_cut_anywhere_is_put_in_order_and_told_once() {
    let world = prepared();
    let (mut seen, mut finished, mut retired) = (HashSet::new(), 0, 0);
    for lake in moments_of(&world.fork(), |world| drop(world.promoter().unwrap().promote().unwrap())) {
        if !seen.insert(lake.fingerprint()) {
            continue;
        }
        let cut = world.on(lake);
        let is_half_done = is_unfinished(&(Arc::clone(&cut.memory) as Arc<dyn Storage>), "books").unwrap();
        let left = cut.promoter().unwrap().take_recovery().map(|(_, left)| left).unwrap_or_default();
        assert_eq!(left.plan.is_some(), is_half_done, "{left:?}");
        assert!(left.plan.is_none() || left.retired == 0, "what its own plan replaces is no leftover: {left:?}");
        (finished, retired) = (finished + u64::from(left.plan.is_some()), retired + left.retired);
        assert_eq!(cut.promoter().unwrap().take_recovery(), None, "an orderly handover is no recovery");
    }
    assert!(finished > 5 && retired > 0, "{finished} finished, {retired} retired");
}

#[test]
fn a_file_that_no_promotion_wants_is_moved_and_a_damaged_one_is_not() {
    let world = prepared();
    let root = processed_dir("books");
    let first = world.directory().into_iter().next().unwrap();
    let dir = root.join(first.split('/').next().unwrap());
    let dead = dir.join("part-00000000000000000001-e0000000001-b0007-0000.parquet");
    let later = dir.join("part-00000000000000000009-e0000000001-b0000-0000.parquet");
    let foreign = dir.join("part-00000-x.snappy.parquet");
    for file in [&dead, &later, &foreign] {
        world.memory.create(file, Content::Bytes(b"x")).unwrap();
    }
    let mut examined = look(&world);
    let mut expected = vec![
        (Class::Orphan, Action::Move, dead.as_str()),
        (Class::Orphan, Action::Person, later.as_str()),
        (Class::Foreign, Action::Move, foreign.as_str()),
    ];
    expected.sort_by_key(|(_, _, path)| *path);
    assert_eq!(told(&examined), expected);
    assert_eq!(sight_of(&world).found, [(Class::Orphan, 2), (Class::Foreign, 1)].into());
    repair(&*world.memory, &mut examined).unwrap();
    assert_eq!(world.memory.files("_forebay/lost+found").len(), 2);
    world.memory.delete(&later).unwrap();
    assert!(look(&world).ok);

    let damaged = root.join(&first);
    let bytes = (&*world.memory as &dyn Storage).read_whole(&damaged).unwrap().len();
    world.memory.delete(&damaged).unwrap();
    world.memory.create(&damaged, Content::Bytes(&vec![0; bytes])).unwrap();
    assert_eq!(told(&look(&world)), [(Class::Unreadable, Action::Person, damaged.as_str())]);
    world.memory.delete(&damaged).unwrap();
    assert_eq!(told(&look(&world)), [(Class::Missing, Action::Person, damaged.as_str())]);
    let seen = sight_of(&world);
    assert_eq!((seen.found, seen.first.as_deref()), ([(Class::Missing, 1)].into(), Some(damaged.as_str())));
}

#[test]
fn a_daemon_that_begins_beside_one_that_promotes_and_rewinds_does_not_cry_wolf() {
    let world = prepared();
    for (name, work) in [("promotes", promotes as Work), ("rewinds", rewinds), ("revises", revises)] {
        let tried = every_order(2, 1, |order| {
            let world = world.fork();
            let storages: Vec<Arc<dyn Storage>> =
                (0..2).map(|_| Arc::new(world.memory.another()) as Arc<dyn Storage>).collect();
            let seen = Mutex::new(None);
            let actors: Vec<Actor<'_>> = vec![
                Box::new(|storage| work(&world, storage).unwrap()),
                Box::new(|storage| *seen.lock().unwrap() = Some(sight(storage))),
            ];
            let played = play(&storages, actors, |at, ready, last| order.next(at, ready, last));
            let seen = seen.into_inner().unwrap().unwrap();
            if seen.found.is_empty() { Ok(played) } else { Err(format!("{name}, {order:?}: {seen:?}")) }
        });
        println!("{name}: {} orders", tried.unwrap_or_else(|violation| panic!("{violation}")));
    }
}
