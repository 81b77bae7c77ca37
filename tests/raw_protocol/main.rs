//! The RAW protocol against its model: a crash after every call to storage, every answer lost, every file torn, a
//! zombie and a takeover at every call, requests that are carried out late. One thread, no clock, no chance: what fails
//! once fails always, and the message names the call.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod ablations;
mod ambiguous;
mod audits;
mod behaviour;
mod checker;
mod crashes;
mod deposed;
mod disk;
mod fsck;
mod interleavings;
mod letters;
mod losses;
mod recreated;
mod revise;
#[path = "../common/turns.rs"]
mod turns;
mod undo;
mod world;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use forebay::storage::faulty::{Call, FaultyStorage, Injected, Operation};
use forebay::storage::sim::SimFs;
use forebay::storage::{Kind, Storage};
use jiff::Timestamp;

use world::{END, World};

/// A faulty storage over the world's lake; every state that a call finds is checked.
fn faulty(world: &Arc<World>) -> (Arc<FaultyStorage>, Arc<dyn Storage>) {
    let faulty = Arc::new(FaultyStorage::new(Arc::clone(&world.memory) as Arc<dyn Storage>));
    let storage = Arc::clone(&faulty) as Arc<dyn Storage>;
    (faulty, storage)
}

fn check_each(world: &Arc<World>, found: &Arc<Mutex<Option<String>>>, call: &Call) {
    if call.operation.is_mutation()
        && let Err(violation) = world.check_any_state()
    {
        found.lock().unwrap().get_or_insert(format!("before {call}: {violation}"));
    }
}

/// How many calls and mutations the script makes on such a lake when nothing fails.
fn calls_of_script(lake: Lake) -> (u64, u64) {
    let world = lake.world();
    let (faulty, storage) = faulty(&world);
    world.script(&storage, "clean").unwrap();
    (faulty.calls(), faulty.mutations())
}

/// What the script finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Lake {
    /// Nothing.
    Cold,
    /// The chain of an owner that is gone.
    Warm,
    /// The chain of an owner that is gone, rewound and partly read again: the script takes the rewind back.
    Rewound,
    /// The chain of an owner that is gone: the script revises two intervals of it, and rewinds over nothing of them.
    Revised,
}

impl Lake {
    /// A lake of its own; what it begins with is made once a thread.
    fn world(self) -> Arc<World> {
        thread_local! {
            static PREPARED: RefCell<HashMap<Lake, Arc<World>>> = RefCell::default();
        }
        PREPARED.with_borrow_mut(|lakes| Arc::new(lakes.entry(self).or_insert_with(|| self.on(SimFs::hdfs)).fork()))
    }

    fn on(self, make: fn(Timestamp) -> SimFs) -> Arc<World> {
        let world = World::of(make);
        let world = Arc::new(match self {
            Self::Cold | Self::Warm => world,
            Self::Rewound => world.rewound(),
            Self::Revised => world.revised(),
        });
        if self == Self::Warm {
            let storage = Arc::clone(&world.memory) as Arc<dyn Storage>;
            let mut lane = world.acquire(&storage, "earlier").unwrap();
            world.commit_next(&mut lane, 2, "earlier").unwrap();
        }
        world
    }
}

/// Runs the script with `prepare`d faults, then recovers without any, and checks every state and the end. Of two
/// stories that leave the same state behind the second ends as the first has ended.
fn run(name: &str, lake: Lake, prepare: impl FnOnce(&Arc<World>, &Arc<FaultyStorage>, Check)) {
    let world = lake.world();
    let (faulty, storage) = faulty(&world);
    let found = Arc::new(Mutex::new(None));
    let check: Check = {
        let (world, found) = (Arc::clone(&world), Arc::clone(&found));
        Arc::new(move |call| check_each(&world, &found, call))
    };
    faulty.before_each({
        let check = Arc::clone(&check);
        move |call| check(call)
    });
    prepare(&world, &faulty, check);
    let outcome = world.script(&storage, "first");
    let story = || {
        let calls: Vec<String> = faulty.history().iter().map(ToString::to_string).collect();
        format!("{name}: the first owner ended with {outcome:?} after\n  {}", calls.join("\n  "))
    };
    if let Some(violation) = found.lock().unwrap().take() {
        panic!("{violation}\n{}", story());
    }
    if !world.settled.lock().unwrap().insert(world.state()) {
        return;
    }
    let settled = world.audit().and_then(|()| {
        world.recover("last");
        world.check_at_rest()?;
        world.audit()
    });
    settled.unwrap_or_else(|violation| panic!("{violation}\n{}", story()));
}

type Check = Arc<dyn Fn(&Call) + Send + Sync>;

/// The same check from call `at` on, where a story begins to differ from the script without faults: the states up to
/// there are those that it goes through, and are checked there.
fn from(at: u64, check: Check) -> impl Fn(&Call) + Send + Sync + 'static {
    move |call| {
        if call.number >= at {
            check(call);
        }
    }
}

/// The calls and mutations of the script: the points at which the tests below let something go wrong. A change of them
/// is a change of the protocol.
#[test]
fn the_script_ends_well_without_faults() {
    let lakes = [Lake::Cold, Lake::Warm, Lake::Rewound, Lake::Revised];
    lakes.into_iter().for_each(|lake| run("no fault", lake, |_, _, _| {}));
    assert_eq!(lakes.map(calls_of_script), [(127, 66), (115, 56), (200, 85), (171, 96)]);
}

#[test]
fn a_lost_answer_or_a_torn_file_or_a_refusal_at_any_call_loses_nothing() {
    let injections = [
        Injected::LoseAnswer,
        Injected::Tear,
        Injected::Fail(Kind::Unavailable),
        Injected::Fail(Kind::Unknown),
        Injected::Fail(Kind::NoSpace),
    ];
    let lakes = [Lake::Cold, Lake::Rewound, Lake::Revised];
    for (lake, injected) in lakes.into_iter().flat_map(|lake| injections.map(|i| (lake, i))) {
        for at in 0..calls_of_script(lake).0 {
            run(&format!("{lake:?}, {injected:?} at call {at}"), lake, |_, faulty, check| {
                faulty.before_each(from(at, check));
                faulty.inject_once(injected, move |call| call.number == at);
            });
            // … and again at every later call of the same kind, until the owner gives up.
            run(&format!("{lake:?}, {injected:?} from call {at} on"), lake, |_, faulty, check| {
                faulty.before_each(from(at, check));
                faulty.inject(injected, move |call| call.number >= at && call.operation.is_mutation());
            });
        }
    }
}

#[test]
fn a_takeover_before_any_call_fences_the_first_owner() {
    for lake in [Lake::Cold, Lake::Rewound, Lake::Revised] {
        for at in 0..calls_of_script(lake).0 {
            run(&format!("{lake:?}, takeover before call {at}"), lake, |world, faulty, check| {
                let (world, check) = (Arc::clone(world), from(at, check));
                faulty.before_each(move |call| {
                    check(call);
                    if call.number == at {
                        world.script(&(Arc::clone(&world.memory) as Arc<dyn Storage>), "other").unwrap();
                    }
                });
            });
        }
    }
}

/// An owner that stalled before its stage existed cannot be fenced by renaming it: the second look at the owners is
/// what stops it. Both go on afterwards, and only the later one may.
#[test]
fn of_two_owners_that_acquire_at_once_only_the_higher_epoch_commits() {
    let calls = {
        let world = Lake::Warm.world();
        let (faulty, storage) = faulty(&world);
        world.acquire(&storage, "first").unwrap();
        faulty.calls()
    };
    for at in 0..calls {
        let world = Lake::Warm.world();
        let (stalled, storage) = faulty(&world);
        let second = Arc::new(Mutex::new(None));
        stalled.before_each({
            let (world, second) = (Arc::clone(&world), Arc::clone(&second));
            move |call| {
                if call.number == at {
                    let storage = Arc::clone(&world.memory) as Arc<dyn Storage>;
                    *second.lock().unwrap() = Some(world.acquire(&storage, "second").unwrap());
                }
            }
        });
        let first = world.acquire(&storage, "first");
        let mut second = second.lock().unwrap().take().unwrap();
        let story = format!("the second acquires before call {at} of the first");
        match first {
            Ok(mut first) if first.epoch() > second.epoch() => {
                world.commit_next(&mut first, 2, "first").unwrap();
                assert!(world.commit_next(&mut second, 2, "second").unwrap_err().is_fenced(), "{story}");
            }
            first => {
                world.commit_next(&mut second, 1, "second").unwrap();
                if let Ok(mut first) = first {
                    assert!(world.commit_next(&mut first, 2, "first").unwrap_err().is_fenced(), "{story}");
                }
            }
        }
        world.check_any_state().unwrap_or_else(|violation| panic!("{story}: {violation}"));
        world.recover("last");
        world.check_at_rest().unwrap_or_else(|violation| panic!("{story}: {violation}"));
    }
}

#[test]
fn a_takeover_that_crashes_anywhere_leaves_a_good_lake() {
    for lake in [Lake::Warm, Lake::Rewound, Lake::Revised] {
        let (calls, mutations) = calls_of_script(lake);
        for at in 0..calls {
            let step = if lake == Lake::Warm { 7 } else { 23 };
            for crash in (at % step..mutations).step_by(step as usize) {
                let name = format!("{lake:?}, takeover before call {at} that dies at mutation {crash}");
                run(&name, lake, |world, first, check| {
                    let (world, check) = (Arc::clone(world), from(at, check));
                    first.before_each(move |call| {
                        check(call);
                        if call.number == at {
                            let (other, storage) = faulty(&world);
                            other.crash_after_mutations(crash);
                            drop(world.script(&storage, "other"));
                        }
                    });
                });
            }
        }
    }
}

/// The request is on its way, its answer is given up, and the NameNode carries it out later: before any later call of
/// this owner, or of one that takes over.
#[test]
fn a_request_that_is_carried_out_late_does_no_harm() {
    for lake in [Lake::Cold, Lake::Warm, Lake::Rewound, Lake::Revised] {
        let (calls, mutations) = calls_of_script(lake);
        let is_long = matches!(lake, Lake::Rewound | Lake::Revised);
        let delays = if is_long { &[1, 8, calls][..] } else { &[1, 3, 5, 8, 13, calls] };
        let cases = (0..mutations).flat_map(|late| delays.iter().map(move |delay| (late, *delay)));
        for (late, delay) in cases {
            for with_takeover in [false, true] {
                run(&format!("{lake:?}, mutation {late} done {delay} calls late"), lake, |world, faulty, check| {
                    let held: Arc<Mutex<Option<(u64, Call)>>> = Arc::default();
                    let hold = Arc::clone(&held);
                    faulty.inject_once(Injected::Fail(Kind::Unknown), move |call| {
                        let is_it = call.mutations == late
                            && matches!(call.operation, Operation::Rename | Operation::MakeDirs | Operation::Delete);
                        if is_it {
                            *hold.lock().unwrap() = Some((call.number, call.clone()));
                        }
                        is_it
                    });
                    let world = Arc::clone(world);
                    let is_taken = AtomicBool::new(!with_takeover);
                    faulty.before_each(move |call| {
                        if call.mutations >= late {
                            check(call);
                        }
                        let mut held = held.lock().unwrap();
                        let Some((_, request)) = held.take_if(|(number, _)| call.number >= *number + delay) else {
                            return;
                        };
                        let storage = Arc::clone(&world.memory) as Arc<dyn Storage>;
                        if !is_taken.swap(true, Ordering::SeqCst) {
                            let mut lane = world.acquire(&storage, "other").unwrap();
                            if lane.head() < END {
                                world.commit_next(&mut lane, 1, "other").unwrap();
                            }
                        }
                        carry_out(&*storage, &request);
                    });
                });
            }
        }
    }
}

fn carry_out(storage: &dyn Storage, request: &Call) {
    // Whether it still can be done is storage's business.
    let _ = match (request.operation, &request.to) {
        (Operation::Rename, Some(to)) => storage.rename(&request.path, to),
        (Operation::MakeDirs, _) => storage.make_dirs(&request.path),
        _ => storage.delete(&request.path),
    };
}
