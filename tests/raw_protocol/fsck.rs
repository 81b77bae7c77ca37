//! What fsck says of a lake, and what its repair leaves alone.

use std::collections::HashSet;
use std::sync::Arc;

use forebay::lake::audit::Depth;
use forebay::lake::fsck::{Action, Class, Examination, Found, Sight, examine, look_at_newest, repair};
use forebay::lake::{LaneLedger, Leftovers};
use forebay::storage::faulty::{FaultyStorage, Injected};
use forebay::storage::sim::SimFs;
use forebay::storage::{Content, LakePath, Storage};

use super::Lake;
use super::crashes::{Moment, moments};
use super::world::{START, World};

fn path(text: &str) -> LakePath {
    LakePath::parse(text).unwrap()
}

fn lake(world: &World) -> Arc<dyn Storage> {
    Arc::clone(&world.memory) as Arc<dyn Storage>
}

fn look(world: &World) -> Examination {
    examine(&lake(world), Depth::Ledger).unwrap()
}

/// What a daemon sees that begins.
fn sight(storage: &Arc<dyn Storage>) -> Sight {
    look_at_newest(storage, &[], &|| true).unwrap().unwrap()
}

/// A lake of four intervals, and the owner that has committed them.
fn world() -> (World, LaneLedger) {
    let world = World::new();
    let mut lane = world.acquire(&lake(&world), "a").unwrap();
    (0..4).for_each(|_| world.commit_next(&mut lane, 2, "a").unwrap());
    (world, lane)
}

fn put(world: &World, file: &str) {
    world.memory.make_dirs(&path(file).parent()).unwrap();
    world.memory.create(&path(file), Content::Bytes(b"x")).unwrap();
}

/// What something is wrong with: class, action, and the path.
fn told(examined: &Examination) -> Vec<(Class, Action, &str)> {
    examined.findings().map(|found| (found.class, found.action, &*found.path)).collect()
}

/// Every state that a crash can leave is one of ours: nothing in it is foreign or lost, a repair finds nothing to move,
/// and who recovers finds everything.
#[test]
fn a_crash_leaves_nothing_that_has_to_be_repaired() {
    for (make, step) in [(SimFs::hdfs as fn(_) -> _, 1), (SimFs::local, 3)] {
        for from in [Lake::Cold, Lake::Warm, Lake::Rewound, Lake::Revised] {
            let world = from.on(make);
            let script = moments(&world, |storage| world.script(storage, "first").unwrap());
            let mut seen = HashSet::new();
            let crashes = script.into_iter().step_by(step).flat_map(Moment::aftermaths);
            for crash in crashes.filter(|crash| seen.insert(crash.world.state())) {
                let mut examined = look(&crash.world);
                assert!(examined.ok, "{from:?}, {crash}: {:#?}", told(&examined));
                assert_eq!(sight(&lake(&crash.world)).first, None, "{from:?}, {crash}");
                let before = crash.world.memory.fingerprint();
                repair(&*crash.world.memory, &mut examined).unwrap();
                assert_eq!(crash.world.memory.fingerprint(), before, "{from:?}, {crash}");
                crash.world.recover("last");
                let settled = crash.world.check_at_rest().and_then(|()| crash.world.audit());
                settled.unwrap_or_else(|violation| panic!("{from:?}, {crash}: {violation}"));
            }
            println!("{from:?}: {} states", seen.len());
            assert!(seen.len() > 25, "{from:?}: {} states", seen.len());
        }
    }
}

#[test]
fn an_orphan_of_a_fenced_owner_is_moved_and_one_of_a_living_owner_is_not() {
    let (world, lane) = world();
    let name = |epoch: u64| format!("library+00007+{:020}+{:020}+e{epoch:010}.parquet", 11, 13);
    let orphan = format!("raw/books/dt=2026-11-20/hr=23/{}", name(lane.epoch().0));
    put(&world, &orphan);
    assert_eq!(told(&look(&world)), [(Class::Orphan, Action::Wait, &*orphan)]);
    let seen = sight(&lake(&world));
    assert_eq!((seen.of(Class::Orphan), seen.found.len(), seen.first.as_deref()), (1, 1, Some(&*orphan)));
    world.acquire(&lake(&world), "b").unwrap();
    let mut examined = look(&world);
    assert_eq!(told(&examined), [(Class::Orphan, Action::Move, &*orphan)]);
    repair(&*world.memory, &mut examined).unwrap();
    let place = format!("_forebay/lost+found/{orphan}");
    let moved: Vec<&Found> = examined.findings().collect();
    assert_eq!((moved[0].moved_to.as_deref(), examined.ok), (Some(&*place), true));
    assert_eq!(world.memory.content(&place).unwrap().as_ref(), b"x");
    let after = look(&world);
    assert_eq!((after.ok, after.classes[&Class::LostAndFound].files), (true, 1));
    world.audit().unwrap();

    // Another one of the same path keeps the first.
    put(&world, &orphan);
    let mut examined = look(&world);
    repair(&*world.memory, &mut examined).unwrap();
    assert_eq!(world.memory.files("_forebay/lost+found").len(), 2);
}

#[test]
fn what_may_be_the_only_copy_or_is_none_of_ours_to_judge_is_left_to_a_person() {
    let (world, _) = world();
    world.acquire(&lake(&world), "b").unwrap();
    let (foreign, unknown, beside) =
        ("raw/books/dt=2026-11-20/hr=23/part-0.parquet", "_forebay/raw/library/p00007/newer/a", "raw/notes/a.txt");
    [foreign, unknown, beside].into_iter().for_each(|file| put(&world, file));
    let mut examined = look(&world);
    let expected = [(Class::Foreign, Action::Person, unknown), (Class::Foreign, Action::Person, beside)];
    let with_foreign = [&[expected[0], (Class::Foreign, Action::Move, foreign)], &expected[1..]].concat();
    assert_eq!(told(&examined), with_foreign);
    assert_eq!(sight(&lake(&world)).found, [(Class::Foreign, 2)].into(), "nobody looks into _forebay for that");
    repair(&*world.memory, &mut examined).unwrap();
    assert!(!examined.ok, "two are left");
    assert_eq!(told(&look(&world)), expected);

    // A ledger file that is gone: what it named is no orphan that may be moved.
    let ledger = world.memory.files("ledger").into_keys().nth(1).unwrap();
    world.memory.delete(&path(&ledger)).unwrap();
    let mut examined = look(&world);
    let orphans: Vec<_> = examined.findings().filter(|found| found.class == Class::Orphan).collect();
    assert!(!orphans.is_empty() && orphans.iter().all(|found| found.action == Action::Person), "{orphans:#?}");
    repair(&*world.memory, &mut examined).unwrap();
    assert_eq!(world.memory.files("_forebay/lost+found").len(), 1);

    let short = world.memory.files("raw").into_keys().next().unwrap();
    world.memory.delete(&path(&short)).unwrap();
    put(&world, &short);
    assert!(told(&look(&world)).contains(&(Class::Short, Action::Person, &*short)));
}

/// Whatever an owner does before any call of the examination: nothing that counts is moved.
#[test]
fn a_repair_beside_an_owner_takes_nothing_from_it() {
    let calls = {
        let (world, _) = world();
        let faulty = Arc::new(FaultyStorage::new(lake(&world)));
        examine(&(Arc::clone(&faulty) as Arc<dyn Storage>), Depth::Ledger).unwrap();
        faulty.calls()
    };
    for at in 0..calls {
        for what in ["commit", "rewind", "revise", "script"] {
            let world = Arc::new(world().0);
            let watched = Arc::new(FaultyStorage::new(lake(&world)));
            let other = Arc::clone(&world);
            watched.before_each(move |call| {
                if call.number == at {
                    let mut lane = other.acquire(&lake(&other), "b").unwrap();
                    match what {
                        "commit" => other.commit_next(&mut lane, 2, "b").unwrap(),
                        "revise" => other.revise(&mut lane, START, START + 5, "b").unwrap(),
                        _ => drop(lane.rewind(super::behaviour::order(START + 3)).unwrap()),
                    }
                    if what == "script" {
                        other.commit_next(&mut lane, 2, "b").unwrap();
                    }
                }
            });
            let mut examined = examine(&(Arc::clone(&watched) as Arc<dyn Storage>), Depth::Ledger).unwrap();
            assert!(examined.ok, "{what} before call {at}: {:#?}", told(&examined));
            repair(&*watched, &mut examined).unwrap();
            assert!(world.memory.files("_forebay/lost+found").is_empty());
            world.recover("last");
            world.check_at_rest().unwrap_or_else(|violation| panic!("{what} before call {at}: {violation}"));
        }
    }
}

/// Whatever an owner does before any call of the look of another daemon: it does not cry wolf.
#[test]
fn a_daemon_that_begins_beside_an_owner_finds_nothing_of_it() {
    let calls = {
        let (world, _) = world();
        let faulty = Arc::new(FaultyStorage::new(lake(&world)));
        assert!(sight(&(Arc::clone(&faulty) as Arc<dyn Storage>)).files > 0);
        faulty.calls()
    };
    for at in 0..calls {
        for what in ["commit", "rewind", "revise", "half a commit"] {
            let world = Arc::new(world().0);
            let watched = Arc::new(FaultyStorage::new(lake(&world)));
            let other = Arc::clone(&world);
            watched.before_each(move |call| {
                if call.number == at {
                    let own = Arc::new(FaultyStorage::new(lake(&other)));
                    let mut lane = other.acquire(&(Arc::clone(&own) as Arc<dyn Storage>), "b").unwrap();
                    match what {
                        "commit" => other.commit_next(&mut lane, 2, "b").unwrap(),
                        "revise" => other.revise(&mut lane, START, START + 5, "b").unwrap(),
                        "rewind" => drop(lane.rewind(super::behaviour::order(START + 3)).unwrap()),
                        _ => {
                            own.inject(Injected::Crash, |call| {
                                call.to.as_ref().is_some_and(|to| to.as_str().starts_with("ledger"))
                            });
                            other.commit_next(&mut lane, 2, "b").unwrap_err();
                        }
                    }
                }
            });
            let seen = sight(&(Arc::clone(&watched) as Arc<dyn Storage>));
            assert_eq!(seen.first, None, "{what} before call {at}");
        }
    }
}

#[test]
fn a_look_at_the_newest_days_ends_when_it_is_told_to_and_leaves_old_days_alone() {
    let (world, _) = world();
    assert_eq!(look_at_newest(&lake(&world), &[], &|| false).unwrap(), None);
    let calls = |world: &World| {
        let faulty = Arc::new(FaultyStorage::new(lake(world)));
        sight(&(Arc::clone(&faulty) as Arc<dyn Storage>));
        faulty.calls()
    };
    put(&world, "raw/books/dt=2026-10-20/hr=23/part-0.parquet");
    let (before, seen) = (calls(&world), sight(&lake(&world)));
    assert_eq!(seen.found, [(Class::Foreign, 1)].into());
    for day in 1..20 {
        put(&world, &format!("raw/books/dt=2026-10-{day:02}/hr=23/part-0.parquet"));
    }
    assert_eq!((calls(&world), sight(&lake(&world))), (before, seen));
}

#[test]
fn who_acquires_says_what_was_left_behind() {
    let (world, mut lane) = world();
    assert_eq!(lane.leftovers(), Leftovers::default());
    // Dies when the data files of an interval are in place, and the ledger file is not.
    let faulty = Arc::new(FaultyStorage::new(lake(&world)));
    let mut second = world.acquire(&(Arc::clone(&faulty) as Arc<dyn Storage>), "b").unwrap();
    assert_eq!(second.leftovers(), Leftovers::default(), "a stage without anything in it is nothing");
    assert!(world.commit_next(&mut lane, 2, "a").unwrap_err().is_fenced());
    faulty.inject(Injected::Crash, |call| call.to.as_ref().is_some_and(|to| to.as_str().starts_with("ledger")));
    world.commit_next(&mut second, 2, "b").unwrap_err();
    let mut third = world.acquire(&lake(&world), "c").unwrap();
    assert_eq!(third.leftovers(), Leftovers { intervals: 1, files: 2, ..Leftovers::default() });
    world.commit_next(&mut third, 2, "c").unwrap();

    // Dies when a rewind is published, before anything of it is moved.
    let faulty = Arc::new(FaultyStorage::new(lake(&world)));
    let mut fourth = world.acquire(&(Arc::clone(&faulty) as Arc<dyn Storage>), "d").unwrap();
    faulty.inject(Injected::Crash, |call| call.to.as_ref().is_some_and(|to| to.as_str().contains("superseded")));
    fourth.rewind(super::behaviour::order(START + 3)).unwrap_err();
    let fifth = world.acquire(&lake(&world), "e").unwrap();
    assert_eq!(fifth.leftovers(), Leftovers { rewinds: 1, ..Leftovers::default() });
}
