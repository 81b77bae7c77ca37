//! A NameNode that was frozen, deposed, and thawed: it makes a change in its memory, shows it, and its journal refuses
//! it. Before each step of an owner's work, on each lake.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use forebay::storage::faulty::{Injected, Operation};
use forebay::storage::{Kind, LakePath, Storage};

use super::interleavings::{Wrap, as_it_is};
use super::{Lake, faulty};

/// The owner's work with the NameNode deposed before step `at`, and so many looks after it that find nobody; whether
/// there is such a step, or what is wrong at the end.
pub(crate) fn deposed_before(lake: Lake, at: u64, blind: u64, wrap: Wrap<'_>) -> Result<bool, String> {
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
    let outcome = world.script(&wrap(storage), "first");
    let is_reached = steps.load(Ordering::SeqCst) > at;
    // Whatever it still believes, its journal does not.
    while world.memory.confirm(&LakePath::root()).is_err_and(|error| error.kind == Kind::Unavailable) {}
    let settled = world.check_any_state().and_then(|()| world.check_answered()).and_then(|()| {
        world.recover("last");
        world.check_at_rest()?;
        world.audit()
    });
    let told = |violation| format!("{lake:?}, deposed before step {at}, {blind} blind, {outcome:?}: {violation}");
    settled.map(|()| is_reached).map_err(told)
}

#[test]
fn a_namenode_that_shows_what_its_journal_has_not_loses_nothing() {
    for lake in [Lake::Cold, Lake::Warm, Lake::Rewound, Lake::Revised] {
        // As many as one mutation is looked for: then the owner tries again, while it still shows that.
        for blind in [0, 4] {
            let steps = (0..).take_while(|at| deposed_before(lake, *at, blind, &as_it_is).unwrap()).count();
            println!("{lake:?}: {steps} steps");
            assert!(steps > 60, "{steps}");
        }
    }
}
