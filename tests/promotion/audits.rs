//! What the audit of both zones says of a lake that is damaged, and of one that it cannot look at.

use std::sync::{Arc, Mutex};

use forebay::app::audit::{audit, verdict};
use forebay::exit::ExitCode;
use forebay::flow::promote::audit_processed;
use forebay::lake::audit::Report;
use forebay::lake::names::Home;
use forebay::storage::faulty::{FaultyStorage, Injected, Operation};
use forebay::storage::{Content, Kind, LakePath, Storage};

use super::interleavings::{Work, prepared, promotes, revises, rewinds};
use super::turns::{Actor, every_order, play};
use super::world::World;

/// A lake with one promotion.
fn promoted() -> World {
    let mut world = World::new(true);
    for lane in 0..3 {
        world.commit(lane, 4);
    }
    world.promote();
    world
}

fn report(world: &World, storage: &Arc<dyn Storage>) -> Report {
    audit(storage, std::slice::from_ref(&world.table), &world.spool_path())
}

fn faulty(world: &World) -> (Arc<dyn Storage>, Arc<FaultyStorage>) {
    let faulty = Arc::new(FaultyStorage::new(Arc::clone(&world.memory) as Arc<dyn Storage>));
    (Arc::clone(&faulty) as Arc<dyn Storage>, faulty)
}

/// The broken promises, each with the files it names.
fn broken(report: &Report) -> Vec<(&'static str, Vec<String>)> {
    let broken = report.invariants.iter().filter(|invariant| !invariant.ok);
    broken.map(|found| (found.id, found.violations.iter().filter_map(|wrong| wrong.path.clone()).collect())).collect()
}

#[test]
fn a_raw_file_that_is_gone_is_a_broken_promise_and_no_outage() {
    let world = promoted();
    let gone = world.memory.files("raw").into_keys().next().unwrap();
    world.memory.delete(&LakePath::parse(&gone).unwrap()).unwrap();
    let storage = Arc::clone(&world.memory) as Arc<dyn Storage>;
    let found = broken(&report(&world, &storage));
    assert_eq!(found, [("I2", vec![gone.clone()]), ("I5", vec![gone])]);
}

#[test]
fn what_cannot_be_looked_at_hides_nothing_that_was_found_elsewhere() {
    let world = promoted();
    let stray = LakePath::parse("raw/books/dt=2026-11-20/hr=12/stray.parquet").unwrap();
    world.memory.create(&stray, Content::Bytes(b"x")).unwrap();
    let (storage, faulty) = faulty(&world);
    // One Kafka partition does not answer.
    faulty.inject(Injected::Fail(Kind::Unavailable), |call| {
        call.operation == Operation::Read && call.path.as_str().starts_with("ledger/alpha/p=00000")
    });
    let told = report(&world, &storage);
    assert_eq!(broken(&told), [("I2", vec![stray.to_string()])], "{told:#?}");
    assert_eq!(
        told.unread.iter().map(|unread| &*unread.what).collect::<Vec<_>>(),
        ["alpha:0, 1 of 1 intervals", "table books"]
    );
    assert_eq!((told.ok, verdict(&told)), (false, ExitCode::No), "what was found is wrong whatever the rest is");
    assert_eq!(told.partitions.iter().map(|lane| lane.messages).sum::<u64>(), 8, "those of the others");
}

#[test]
fn an_id_is_found_in_both_zones_when_there_are_many_buckets() {
    let mut world = World::new(true);
    (0..3).for_each(|lane| world.commit(lane, 40));
    world.promote();
    let storage = Arc::clone(&world.memory) as Arc<dyn Storage>;
    let found = audit_processed(&storage, &world.table, &world.spool_path(), 4096).unwrap();
    assert!(found.iter().all(|invariant| invariant.ok), "{found:#?}");
}

#[test]
fn an_outage_is_no_verdict() {
    let world = promoted();
    let (storage, faulty) = faulty(&world);
    faulty.inject(Injected::Fail(Kind::Unavailable), |_| true);
    let told = report(&world, &storage);
    assert_eq!((broken(&told), told.ok, verdict(&told)), (Vec::new(), false, ExitCode::Temporary));
}

#[test]
fn a_damaged_plan_of_a_table_is_told_beside_what_its_ledger_says() {
    let world = promoted();
    let plan = Home::processed("books").plan(1);
    world.memory.delete(&plan).unwrap();
    world.memory.create(&plan, Content::Bytes(b"{")).unwrap();
    let told = report(&world, &(Arc::clone(&world.memory) as Arc<dyn Storage>));
    assert_eq!(broken(&told), [("I5", vec!["processed/books".to_owned()])], "{told:#?}");
    assert_eq!(verdict(&told), ExitCode::No);
}

/// A promotion, a rewind or a revision before each call of the audit: it never calls a violation what is only under
/// way.
#[test]
fn beside_a_daemon_that_promotes_and_rewinds_it_does_not_cry_wolf() {
    let world = prepared();
    for (name, work) in [("promotes", promotes as Work), ("rewinds", rewinds), ("revises", revises)] {
        // In the middle of it, at each call of both.
        let tried = every_order(2, 1, |order| {
            let world = world.fork();
            let storages: Vec<Arc<dyn Storage>> =
                (0..2).map(|_| Arc::new(world.memory.another()) as Arc<dyn Storage>).collect();
            let told = Mutex::new(None);
            let actors: Vec<Actor<'_>> = vec![
                Box::new(|storage| work(&world, storage).unwrap()),
                Box::new(|storage| *told.lock().unwrap() = Some(report(&world, storage))),
            ];
            let played = play(&storages, actors, |at, ready, last| order.next(at, ready, last));
            let told = told.into_inner().unwrap().unwrap();
            if told.ok { Ok(played) } else { Err(format!("{name}, {order:?}: {told:#?}")) }
        });
        println!("{name}: {} orders", tried.unwrap_or_else(|violation| panic!("{violation}")));
    }
}
