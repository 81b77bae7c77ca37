//! A NameNode that was frozen, deposed, and thawed: it makes a change in its memory, shows it, and its journal refuses it.
//! Before each step of an owner's work, on each lake.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use forebay::storage::faulty::{Injected, Operation};
use forebay::storage::{Kind, LakePath, Storage};

use super::{Lake, faulty};

/// The owner's work with the NameNode deposed before step `at`, and so many looks after it that find nobody; whether there is
/// such a step.
fn deposed_before(lake: Lake, at: u64, blind: u64) -> bool {
    let world = lake.world();
    let steps = Arc::new(AtomicU64::new(0));
    let (counted, cluster) = (Arc::clone(&steps), world.memory.another());
    world.memory.watch(move |_| {
        if counted.fetch_add(1, Ordering::SeqCst) == at {
            cluster.depose();
        }
    });
    let (faulty, storage) = faulty(&world);
    let (counted, looks) = (Arc::clone(&steps), AtomicU64::new(0));
    faulty.inject(Injected::Fail(Kind::Unavailable), move |call| {
        let is_after = call.operation == Operation::Stat && counted.load(Ordering::SeqCst) > at;
        is_after && looks.fetch_add(1, Ordering::SeqCst) < blind
    });
    let outcome = world.script(&storage, "first");
    let is_reached = steps.load(Ordering::SeqCst) > at;
    // Whatever it still believes, its journal does not.
    while world.memory.confirm(&LakePath::root()).is_err_and(|error| error.kind == Kind::Unavailable) {}
    let settled = world.check_any_state().and_then(|()| world.check_answered()).and_then(|()| {
        world.recover("last");
        world.check_at_rest()?;
        world.audit()
    });
    settled.unwrap_or_else(|violation| {
        panic!("{lake:?}, deposed before step {at}, {blind} blind, {outcome:?}: {violation}")
    });
    is_reached
}

#[test]
fn a_namenode_that_shows_what_its_journal_has_not_loses_nothing() {
    for lake in [Lake::Cold, Lake::Warm, Lake::Rewound, Lake::Revised] {
        // As many as one mutation is looked for: then the owner tries again, while it still shows that.
        for blind in [0, 4] {
            let steps = (0..).take_while(|at| deposed_before(lake, *at, blind)).count();
            println!("{lake:?}: {steps} steps");
            assert!(steps > 60, "{steps}");
        }
    }
}
