//! The rule for answers that were lost, case by case.

use std::sync::Arc;

use forebay::lake::mutate::{Expected, Moved, publish, rename};
use forebay::storage::faulty::{FaultyStorage, Injected, Operation};
use forebay::storage::{Content, Kind, LakePath, Storage};

use forebay::storage::sim::SimFs;

fn path(text: &str) -> LakePath {
    LakePath::parse(text).unwrap()
}

/// `stage/a` of three bytes, and an empty `to`.
fn lake() -> (Arc<SimFs>, FaultyStorage) {
    let memory = Arc::new(SimFs::hdfs("2026-11-21T00:00:00Z".parse().unwrap()));
    memory.make_dirs(&path("stage")).unwrap();
    memory.make_dirs(&path("to")).unwrap();
    memory.create(&path("stage/a"), Content::Bytes(b"abc")).unwrap();
    let faulty = FaultyStorage::new(Arc::clone(&memory) as Arc<dyn Storage>);
    (memory, faulty)
}

fn rename_a(storage: &dyn Storage) -> Result<Moved, Kind> {
    rename(storage, &path("stage/a"), &path("to/a"), Expected::File(3)).map_err(|error| error.kind)
}

#[test]
fn done_and_not_answered_is_done() {
    let (memory, faulty) = lake();
    faulty.inject_once(Injected::LoseAnswer, |call| call.operation == Operation::Rename);
    assert_eq!(rename_a(&faulty), Ok(Moved::Done));
    assert_eq!(memory.files("to").len(), 1);
    assert_eq!(faulty.count(Operation::Rename), 1, "looking is enough");
}

#[test]
fn not_done_and_not_answered_is_sent_again() {
    let (_, faulty) = lake();
    faulty.inject_once(Injected::Fail(Kind::Unknown), |call| call.operation == Operation::Rename);
    assert_eq!(rename_a(&faulty), Ok(Moved::Done));
    assert_eq!(faulty.count(Operation::Rename), 2);
}

#[test]
fn carried_out_between_the_two_looks_is_done() {
    let (memory, faulty) = lake();
    faulty.inject_once(Injected::Fail(Kind::Unknown), |call| call.operation == Operation::Rename);
    faulty.before_each(move |call| {
        if call.operation == Operation::Stat && call.path == path("stage/a") {
            memory.rename(&path("stage/a"), &path("to/a")).unwrap();
        }
    });
    assert_eq!(rename_a(&faulty), Ok(Moved::Done));
}

#[test]
fn a_source_that_is_gone_without_a_destination_is_gone() {
    let (memory, faulty) = lake();
    memory.rename(&path("stage"), &path("fenced")).unwrap();
    assert_eq!(rename_a(&faulty), Ok(Moved::Gone));
    let published = publish(&faulty, &path("stage"), b"x", &path("to/x")).unwrap();
    assert_eq!(published, Moved::Gone);
    assert!(memory.files("to").is_empty());
}

#[test]
fn a_missing_parent_of_the_destination_is_made() {
    let (memory, _) = lake();
    let moved = rename(&*memory, &path("stage/a"), &path("to/b/c/a"), Expected::File(3)).unwrap();
    assert_eq!(moved, Moved::Done);
}

#[test]
fn something_else_at_the_destination_is_left_alone() {
    let (memory, faulty) = lake();
    memory.create(&path("to/a"), Content::Bytes(b"abc")).unwrap();
    assert!(matches!(rename_a(&faulty), Ok(Moved::Taken(_))), "the source is still there, so it is not ours");
    memory.delete(&path("stage/a")).unwrap();
    assert_eq!(rename_a(&faulty), Ok(Moved::Done), "ours, from before");
    memory.delete(&path("to/a")).unwrap();
    memory.create(&path("to/a"), Content::Bytes(b"longer")).unwrap();
    assert!(matches!(rename_a(&faulty), Ok(Moved::Taken(_))), "another length");
}

#[test]
fn what_stays_unclear_stays_an_error() {
    let (_, faulty) = lake();
    faulty.inject(Injected::Fail(Kind::Unknown), |call| call.operation == Operation::Rename);
    assert_eq!(rename_a(&faulty), Err(Kind::Unknown));
    faulty.heal();
    faulty.inject(Injected::Fail(Kind::Unavailable), |call| call.operation == Operation::Stat);
    faulty.inject_once(Injected::LoseAnswer, |call| call.operation == Operation::Rename);
    assert_eq!(rename_a(&faulty), Err(Kind::Unavailable));
    faulty.heal();
    assert_eq!(rename_a(&faulty), Ok(Moved::Done), "tried again later");
}

#[test]
fn a_torn_file_is_never_published() {
    let (memory, faulty) = lake();
    faulty.inject_once(Injected::Tear, |call| call.operation == Operation::Create);
    assert_eq!(publish(&faulty, &path("stage"), b"whole", &path("to/x")), Ok(Moved::Done));
    assert_eq!(&memory.files("to")["to/x"][..], b"whole");
    assert_eq!(memory.files("stage").len(), 1, "what was torn is gone");
    assert!(matches!(publish(&faulty, &path("stage"), b"other", &path("to/x")), Ok(Moved::Taken(_))));
    assert_eq!(&memory.files("to")["to/x"][..], b"whole");
}
