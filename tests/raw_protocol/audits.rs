//! What the audit finds, and what it does not call a violation.

use std::sync::Arc;

use forebay::lake::audit::{Depth, Known, RawAudit, Report, audit_raw, audit_raw_since};
use forebay::storage::faulty::{FaultyStorage, Operation};
use forebay::storage::{Content, LakePath, Storage};

use super::world::{START, World};

fn path(text: &str) -> LakePath {
    LakePath::parse(text).unwrap()
}

/// A lake of four intervals of two messages each.
fn world() -> World {
    let world = World::new();
    let storage = Arc::clone(&world.memory) as Arc<dyn Storage>;
    let mut lane = world.acquire(&storage, "a").unwrap();
    for _ in 0..4 {
        world.commit_next(&mut lane, 2, "a").unwrap();
    }
    world
}

fn audit(world: &World) -> RawAudit {
    audit_raw(&*world.memory, Depth::Ledger).unwrap()
}

fn nth(world: &World, zone: &str, n: usize) -> String {
    world.memory.files(zone).into_keys().nth(n).unwrap()
}

fn replace(world: &World, file: &str, content: &[u8]) {
    world.memory.delete(&path(file)).unwrap();
    world.memory.create(&path(file), Content::Bytes(content)).unwrap();
}

/// Everything the audit says, as one line each.
fn found(world: &World) -> Vec<String> {
    let audit = audit(world);
    let violations = audit.chain.violations.iter().map(|v| format!("I1 {v}"));
    violations.chain(audit.complete.violations.iter().map(|v| format!("I2 {v}"))).collect()
}

#[test]
fn a_good_lake_is_good_and_is_counted() {
    let world = world();
    let audit = audit(&world);
    assert!(audit.chain.ok && audit.complete.ok, "{:?}", found(&world));
    assert_eq!((audit.chain.checked, audit.complete.checked), (4, 8));
    let books = &audit.tables[0];
    assert_eq!((books.table.as_str(), books.messages, books.rows, books.quarantined), ("books", 8, 5, 3));
    let json = serde_json::to_value(Report::new(vec![audit.chain, audit.complete], audit.tables)).unwrap();
    assert_eq!(json["ok"], true);
    assert_eq!(json["invariants"][0]["id"], "I1");
}

#[test]
fn a_missing_ledger_file_is_a_hole() {
    let world = world();
    let middle = nth(&world, "ledger", 1);
    world.memory.delete(&path(&middle)).unwrap();
    let found = found(&world);
    assert!(found[0].contains("I1 library:7 offset 5: no file begins at offset 5"), "{found:?}");
    assert!(found.iter().any(|v| v.contains("no ledger file names it")), "{found:?}");
}

#[test]
fn a_data_file_that_is_missing_or_shorter_or_named_by_nobody_is_found() {
    let world = world();
    world.memory.delete(&path(&nth(&world, "raw", 2))).unwrap();
    let shorter = nth(&world, "raw", 0);
    replace(&world, &shorter, b"a");
    let stray = "raw/books/dt=2026-11-20/hr=23/part-0.parquet";
    world.memory.create(&path(stray), Content::Bytes(b"x")).unwrap();
    let found = found(&world);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("it has 1 bytes where the ledger says"), "{found:?}");
    assert!(found[1].contains("the ledger names it and it is not there"), "{found:?}");
    assert!(found[2].contains(stray), "{found:?}");
}

#[test]
fn a_damaged_ledger_file_and_a_swapped_one_are_found() {
    let world = world();
    let (first, last) = (nth(&world, "ledger", 0), nth(&world, "ledger", 3));
    let files = world.memory.files("ledger");
    let mut damaged = files[&first].to_vec();
    let middle = damaged.len() / 8;
    damaged[middle..middle + 40].fill(0xff);
    replace(&world, &first, &damaged);
    replace(&world, &last, &files[&nth(&world, "ledger", 2)]);
    let found = found(&world);
    assert!(found.iter().any(|v| v.contains("the footer is that of another ledger file")), "{found:?}");
    assert!(found.iter().any(|v| v.contains(&first)), "{found:?}");
}

#[test]
fn data_that_is_no_parquet_is_found_when_footers_are_read() {
    let world = world();
    let audit = audit_raw(&*world.memory, Depth::DataFooters).unwrap();
    assert!(!audit.complete.ok, "the files of these tests are text");
}

#[test]
fn a_chain_without_its_floor_is_told() {
    let world = world();
    world.memory.delete(&path(&world.home("floor"))).unwrap();
    assert!(found(&world)[0].contains("the floor of this chain is gone"));
}

#[test]
fn what_a_dead_owner_left_in_the_middle_is_explained_until_nothing_explains_it() {
    let world = world();
    let faulty = Arc::new(FaultyStorage::new(Arc::clone(&world.memory) as Arc<dyn Storage>));
    let storage = Arc::clone(&faulty) as Arc<dyn Storage>;
    let mut lane = world.acquire(&storage, "b").unwrap();
    // Dies after the data files are in place and before the ledger file is.
    faulty.inject(forebay::storage::faulty::Injected::Crash, |call| {
        call.operation == Operation::Rename && call.to.as_ref().is_some_and(|to| to.as_str().starts_with("ledger"))
    });
    world.commit_next(&mut lane, 2, "b").unwrap_err();
    assert_eq!(world.memory.files("raw").len(), 5);
    assert!(found(&world).is_empty(), "{:?}", found(&world));
    world.memory.delete(&path(&world.home("stage"))).unwrap();
    let found = found(&world);
    assert!(found.len() == 2 && found[0].contains("offset 11: no ledger file names it"), "{found:?}");
}

/// A commit, a takeover, a rewind or a revision before each call of the audit: it never calls a violation what is only
/// under way.
#[test]
fn beside_a_running_daemon_it_does_not_cry_wolf() {
    let calls = {
        let world = world();
        let faulty = FaultyStorage::new(Arc::clone(&world.memory) as Arc<dyn Storage>);
        audit_raw(&faulty, Depth::Ledger).unwrap();
        faulty.calls()
    };
    for at in 0..calls {
        for what in ["commit", "rewind", "revise", "script"] {
            let world = Arc::new(world());
            let audited = FaultyStorage::new(Arc::clone(&world.memory) as Arc<dyn Storage>);
            let other = Arc::clone(&world);
            audited.before_each(move |call| {
                let storage = Arc::clone(&other.memory) as Arc<dyn Storage>;
                if call.number == at {
                    let mut lane = other.acquire(&storage, "b").unwrap();
                    match what {
                        "commit" => other.commit_next(&mut lane, 2, "b").unwrap(),
                        "revise" => other.revise(&mut lane, START, START + 5, "b").unwrap(),
                        _ => {
                            let order = super::behaviour::order(START + 3);
                            lane.rewind(order).unwrap();
                            if what == "script" {
                                other.commit_next(&mut lane, 2, "b").unwrap();
                            }
                        }
                    }
                }
            });
            let audit = audit_raw(&audited, Depth::Ledger).unwrap();
            let story: Vec<String> = audited.history().iter().map(ToString::to_string).collect();
            let story = story.join("\n");
            assert!(audit.chain.ok, "{what} before call {at}: {:?}\n{story}", audit.chain.violations);
            assert!(audit.complete.ok, "{what} before call {at}: {:?}\n{story}", audit.complete.violations);
        }
    }
}

/// An audit from where an earlier one has found the chains right, and the files that it reads.
fn audit_since(world: &World, known: &Known) -> (RawAudit, Vec<String>) {
    let watched = FaultyStorage::new(Arc::clone(&world.memory) as Arc<dyn Storage>);
    let audit = audit_raw_since(&watched, Depth::Ledger, known).unwrap();
    let read = watched.history().into_iter().filter(|call| call.operation == Operation::Read);
    let mut read: Vec<String> = read.map(|call| call.path.to_string()).collect();
    read.sort();
    (audit, read)
}

#[test]
fn what_was_found_right_is_not_read_again_until_anything_of_it_has_changed() {
    let world = world();
    let (first, read) = audit_since(&world, &Known::nothing());
    assert_eq!(read, world.memory.files("ledger").into_keys().collect::<Vec<_>>());
    let known = Known::decode(&first.known.encode().unwrap());
    let (second, read) = audit_since(&world, &known);
    assert_eq!((second, read), (first, Vec::new()), "it says the same and reads nothing");

    // What is new is read, and nothing else.
    let storage = Arc::clone(&world.memory) as Arc<dyn Storage>;
    let mut lane = world.acquire(&storage, "b").unwrap();
    world.commit_next(&mut lane, 2, "b").unwrap();
    let (third, read) = audit_since(&world, &known);
    assert_eq!((third.chain.checked, third.complete.checked), (5, 10));
    assert_eq!(read, [nth(&world, "ledger", 4)]);

    // Whatever happens to what is known, it is found as if nothing were known.
    let spoil: [fn(&World); 5] = [
        |world| world.memory.delete(&path(&nth(world, "raw", 1))).unwrap(),
        |world| world.memory.delete(&path(&nth(world, "ledger", 1))).unwrap(),
        |world| replace(world, &nth(world, "quarantine", 0), b"x"),
        |world| replace(world, &nth(world, "ledger", 0), b"x"),
        |world| {
            let name = nth(world, "raw", 0).rsplit('/').next().unwrap().to_owned();
            let other = path("raw/other/dt=2026-11-20/hr=23");
            world.memory.make_dirs(&other).unwrap();
            world.memory.create(&other.join(name), Content::Bytes(b"x")).unwrap();
        },
    ];
    for (number, spoil) in spoil.into_iter().enumerate() {
        let world = world.fork();
        spoil(&world);
        let (with, _) = audit_since(&world, &third.known);
        let without = audit(&world);
        assert!(!without.chain.ok || !without.complete.ok, "{number}");
        assert_eq!((with.chain, with.complete), (without.chain, without.complete), "{number}");
    }
}

#[test]
fn what_a_dead_owner_left_is_not_taken_for_right() {
    let world = world();
    let faulty = Arc::new(FaultyStorage::new(Arc::clone(&world.memory) as Arc<dyn Storage>));
    let storage = Arc::clone(&faulty) as Arc<dyn Storage>;
    let mut lane = world.acquire(&storage, "b").unwrap();
    faulty.inject(forebay::storage::faulty::Injected::Crash, |call| {
        call.operation == Operation::Rename && call.to.as_ref().is_some_and(|to| to.as_str().starts_with("ledger"))
    });
    world.commit_next(&mut lane, 2, "b").unwrap_err();
    let (first, _) = audit_since(&world, &Known::nothing());
    assert!(first.complete.ok && first.under_way.len() == 2, "{:?}", first.under_way);
    world.memory.delete(&path(&world.home("stage"))).unwrap();
    assert_eq!(audit_since(&world, &first.known).0.complete.violations.len(), 2);
}
