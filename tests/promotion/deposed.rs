//! A NameNode that was frozen, deposed, and thawed: it makes a change in its memory, shows it, and its journal refuses
//! it. Before each step of a promotion.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use forebay::fault::Fault;
use forebay::flow::promote::PromotionReport;
use forebay::storage::faulty::{Call, Injected, Operation};
use forebay::storage::sim::SimFs;
use forebay::storage::{Kind, LakePath, Storage};

use super::crash::{check_log, check_settled, world};
use super::world::{Row, World, retriable};

/// As the supervisor does: again with the same promoter, as long as the fault says so.
fn promote(world: &World) -> Result<PromotionReport, Fault> {
    let mut promoter = world.promoter()?;
    let mut tries = 1;
    loop {
        match promoter.promote() {
            Err(fault) if retriable(&fault) && tries < 4 => tries += 1,
            other => return other,
        }
    }
}

/// A promotion with the NameNode deposed before step `at`, and so many looks after it that find nobody; whether there
/// is such a step.
fn deposed_before(prepared: &World, (before, after): (&[Row], &[Row]), at: u64, blind: u64) -> bool {
    let world = prepared.fork();
    let steps = Arc::new(AtomicU64::new(0));
    let (counted, cluster) = (Arc::clone(&steps), world.memory.another());
    world.memory.watch(move |_| {
        if counted.fetch_add(1, Ordering::SeqCst) == at {
            cluster.depose();
        }
    });
    let (counted, looks) = (Arc::clone(&steps), AtomicU64::new(0));
    world.faulty.inject(Injected::Fail(Kind::Unavailable), move |call| {
        let is_after = call.operation == Operation::Stat && counted.load(Ordering::SeqCst) > at;
        is_after && looks.fetch_add(1, Ordering::SeqCst) < blind
    });
    end(&world, (before, after), &format!("deposed before step {at}, {blind} blind"));
    steps.load(Ordering::SeqCst) > at
}

/// Promotes, and again when the NameNode has been found out.
fn end(world: &World, (before, after): (&[Row], &[Row]), story: &str) {
    let answer = promote(world);
    println!("{story}: {}", answer.map_or_else(|fault| fault.to_string(), |_| "promoted".to_owned()));
    world.faulty.heal();
    // Whatever it still believes, its journal does not.
    while world.memory.confirm(&LakePath::root()).is_err_and(|error| error.kind == Kind::Unavailable) {}
    check_log(world, before, after);
    promote(world).unwrap();
    check_settled(world);
}

/// A promotion whose rename number `late` has no answer, and is carried out so many calls later, when the NameNode is
/// not the active one any more; whether there is such a rename.
fn deposed_with_one_in_its_queue(prepared: &World, seen: (&[Row], &[Row]), late: u64, calls: u64) -> bool {
    let world = prepared.fork();
    let held: Arc<Mutex<Option<Call>>> = Arc::default();
    let (hold, renames) = (Arc::clone(&held), AtomicU64::new(0));
    world.faulty.inject_once(Injected::Fail(Kind::Unknown), move |call| {
        let is_it = call.operation == Operation::Rename && renames.fetch_add(1, Ordering::SeqCst) == late;
        if is_it {
            *hold.lock().unwrap() = Some(call.clone());
        }
        is_it
    });
    let (request, cluster) = (Arc::clone(&held), world.memory.another());
    let is_reached = Arc::new(AtomicBool::new(false));
    let reached = Arc::clone(&is_reached);
    world.faulty.before_each(move |call| {
        if let Some(Call { path, to: Some(to), .. }) =
            request.lock().unwrap().take_if(|it| call.number >= it.number + calls)
        {
            reached.store(true, Ordering::SeqCst);
            cluster.depose();
            // Whether it still can be done is the NameNode's business.
            let _ = cluster.rename(&path, &to);
        }
    });
    end(&world, seen, &format!("rename {late} carried out {calls} calls late by a deposed namenode"));
    is_reached.load(Ordering::SeqCst)
}

#[test]
fn a_rename_in_the_queue_of_a_deposed_namenode_does_no_harm() {
    let prepared = world(SimFs::hdfs);
    let (before, after) = (prepared.rows_in(&prepared.log().1), prepared.oracle());
    for calls in [1, 2, 3, 4, 6, 9] {
        let renames = (0..).take_while(|at| deposed_with_one_in_its_queue(&prepared, (&before, &after), *at, calls));
        let renames = renames.count();
        assert!(renames >= 14, "{renames}");
    }
}

#[test]
fn a_namenode_that_shows_what_its_journal_has_not_does_no_harm() {
    let prepared = world(SimFs::hdfs);
    let (before, after) = (prepared.rows_in(&prepared.log().1), prepared.oracle());
    // As many as one mutation is looked for: then the promoter begins again, while it still shows that.
    for blind in [0, 4] {
        let steps = (0..).take_while(|at| deposed_before(&prepared, (&before, &after), *at, blind)).count();
        assert!(steps >= 39, "{steps}");
    }
}
