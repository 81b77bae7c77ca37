//! Taking a rewind back: what it promises, and what a zombie of the rewind itself can do to it. (Crashes, lost answers,
//! takeovers and late requests during the undo are the harness's: [`super::Lake::Rewound`].)

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use forebay::lake::{LakeError, LaneLedger, UndoOrder, chain, plan_undo};
use forebay::storage::faulty::{Call, Injected, Operation};
use forebay::storage::{Kind, LakePath, Storage};

use super::behaviour::order;
use super::world::{END, START, UNDO, World};
use super::{Lake, calls_of_script, carry_out, run};

pub(crate) fn storage(world: &World) -> Arc<dyn Storage> {
    Arc::clone(&world.memory) as Arc<dyn Storage>
}

/// What RAW and quarantine hold, by offsets instead of by file name: a name may get a new epoch, nothing else changes.
pub(crate) fn held(world: &World) -> BTreeMap<String, Vec<u8>> {
    let files = world.memory.files("raw").into_iter().chain(world.memory.files("quarantine"));
    files.map(|(path, content)| (path.rsplit_once("+e").unwrap().0.to_owned(), content.to_vec())).collect()
}

fn refused(error: &LakeError, reason: &str) {
    assert!(matches!(error, LakeError::Refused(_)) && error.to_string().contains(reason), "{error}");
}

/// A lane that has committed three intervals of three messages.
pub(crate) fn nine(world: &World) -> LaneLedger {
    let mut lane = world.acquire(&storage(world), "a").unwrap();
    (0..3).for_each(|_| world.commit_next(&mut lane, 3, "a").unwrap());
    lane
}

#[test]
fn the_chain_is_what_it_was_and_goes_on_at_the_old_head() {
    let world = World::new();
    let mut lane = nine(&world);
    let before = held(&world);
    lane.rewind(order(START + 4)).unwrap();
    world.commit_next(&mut lane, 4, "again").unwrap();
    assert_ne!(held(&world), before);

    let (files, plan) = (world.memory.files(""), plan_undo(&*storage(&world), &world.source, UNDO).unwrap());
    assert_eq!(world.memory.files(""), files, "a plan changes nothing");
    assert_eq!((plan.rewind, plan.from, plan.to, plan.head), (2, START + 3, START + 9, START + 7));
    assert_eq!((plan.intervals, plan.messages, plan.quarantined, plan.rows["books"]), (2, 6, 2, 4));
    assert_eq!((plan.superseded_intervals, plan.superseded_messages), (1, 4));

    let undone = lane.undo(UndoOrder { expect: Some(START + 7), ..UNDO }).unwrap();
    assert_eq!((undone.plan, undone.epoch), (plan, 3));
    assert_eq!((lane.head(), lane.rewound_until()), (START + 9, None));
    assert_eq!(held(&world), before);
    assert!(world.memory.files(&world.home("superseded/e0000000002")).is_empty(), "all of it has come back");
    assert_eq!(world.memory.files(&world.home("superseded/e0000000003")).len(), 3, "what was read since");
    world.audit().unwrap();

    world.commit_next(&mut lane, 1, "a").unwrap();
    assert_eq!(world.acquire(&storage(&world), "b").unwrap().head(), START + 10);
    world.recover("c");
    world.check_at_rest().unwrap();
    world.audit().unwrap();
}

#[test]
fn a_rewind_after_which_nothing_was_read_can_be_taken_back() {
    let world = World::new();
    let mut lane = nine(&world);
    let before = held(&world);
    lane.rewind(order(START)).unwrap();
    assert!(held(&world).is_empty());
    lane.undo(UNDO).unwrap();
    assert_eq!((held(&world), lane.head()), (before, START + 9));
}

#[test]
fn rewinds_are_taken_back_one_by_one_the_newest_first() {
    let world = World::new();
    let mut lane = nine(&world);
    let first = held(&world);
    lane.rewind(order(START + 6)).unwrap();
    world.commit_next(&mut lane, 2, "b").unwrap();
    let second = held(&world);
    lane.rewind(order(START + 3)).unwrap();
    world.commit_next(&mut lane, 1, "c").unwrap();
    lane.undo(UNDO).unwrap();
    assert_eq!((held(&world), lane.head(), lane.rewound_until()), (second, START + 8, Some(START + 9)));
    lane.undo(UNDO).unwrap();
    assert_eq!((held(&world), lane.head(), lane.rewound_until()), (first.clone(), START + 9, None));
    refused(&lane.undo(UNDO).unwrap_err(), "library:7 has no rewind left: there is nothing to take back");
    // What has come back can be rewound, and come back once more.
    lane.rewind(order(START + 1)).unwrap();
    lane.undo(UNDO).unwrap();
    assert_eq!((held(&world), lane.head()), (first, START + 9));
    let state = chain::read_chain(&*storage(&world), &world.source).unwrap();
    assert!(!state.has_open_intent() && state.intents.len() == 6, "{state:?}");
    world.recover("d");
    world.check_at_rest().unwrap();
}

#[test]
fn what_cannot_be_taken_back_is_refused_and_changes_nothing() {
    let world = World::new();
    let mut lane = nine(&world);
    refused(&lane.undo(UNDO).unwrap_err(), "was never rewound");
    lane.rewind(order(START + 6)).unwrap();
    refused(&lane.undo(UndoOrder { expect: Some(START + 9), ..UNDO }).unwrap_err(), "is at offset 9, not at 12");
    let epoch = lane.epoch();
    for (folder, reason) in [("ledger", "no longer holds every ledger file"), ("quarantine", "is not there as it was")]
    {
        let lost = world.home(&format!("superseded/e0000000002/{folder}"));
        let (lost, aside) = (LakePath::parse(&lost).unwrap(), LakePath::parse("aside").unwrap());
        world.memory.rename(&lost, &aside).unwrap();
        refused(&lane.undo(UNDO).unwrap_err(), reason);
        world.memory.rename(&aside, &lost).unwrap();
    }
    assert_eq!((lane.head(), lane.epoch()), (START + 6, epoch), "a refusal takes no epoch");
    // As long again is not past it.
    world.commit_next(&mut lane, 3, "b").unwrap();
    plan_undo(&*storage(&world), &world.source, UNDO).unwrap();
    world.commit_next(&mut lane, 1, "b").unwrap();
    refused(&lane.undo(UNDO).unwrap_err(), "up to offset 13, past 12 where it was");
    world.audit().unwrap();
}

#[test]
fn an_unfinished_rewind_is_finished_before_it_is_taken_back() {
    let world = World::new();
    let mut lane = nine(&world);
    lane.rewind(order(START)).unwrap();
    let done = world.memory.files(&world.home("rewind")).into_keys().find(|path| path.ends_with(".done")).unwrap();
    world.memory.delete(&LakePath::parse(&done).unwrap()).unwrap();
    refused(&plan_undo(&*storage(&world), &world.source, UNDO).unwrap_err(), "is not finished");
    let mut lane = world.acquire(&storage(&world), "b").unwrap();
    lane.undo(UNDO).unwrap();
    assert_eq!(lane.head(), START + 9);
}

/// Takes the lane over, takes back what was rewound, and goes on.
fn take_back(world: &World) {
    let mut lane = world.acquire(&storage(world), "other").unwrap();
    match lane.undo(UNDO) {
        Ok(_) | Err(LakeError::Refused(_)) => {}
        Err(error) => panic!("{error}"),
    }
    if lane.head() < END {
        world.commit_next(&mut lane, 1, "other").unwrap();
    }
}

/// The first owner stalls anywhere in its rewind, another one finishes that and takes it back, and the first goes on.
#[test]
fn a_zombie_of_the_rewind_takes_nothing_out_again() {
    for lake in [Lake::Cold, Lake::Rewound, Lake::Revised] {
        for at in 0..calls_of_script(lake).0 {
            run(&format!("{lake:?}, taken back before call {at}"), lake, |world, faulty, check| {
                let world = Arc::clone(world);
                faulty.before_each(move |call| {
                    check(call);
                    if call.number == at {
                        take_back(&world);
                    }
                });
            });
        }
    }
}

/// A rename of the rewind is given up by its caller and carried out when the rewind has been taken back.
#[test]
fn a_late_request_of_the_rewind_takes_nothing_out_again() {
    let (calls, mutations) = calls_of_script(Lake::Cold);
    for (late, delay) in (0..mutations).flat_map(|late| [2, 4, 9, 20, calls].map(|delay| (late, delay))) {
        run(&format!("mutation {late} done {delay} calls late"), Lake::Cold, |world, faulty, check| {
            let held: Arc<Mutex<Option<(u64, Call)>>> = Arc::default();
            let hold = Arc::clone(&held);
            faulty.inject_once(Injected::Fail(Kind::Unknown), move |call| {
                let is_it = call.mutations == late && call.operation == Operation::Rename;
                if is_it {
                    *hold.lock().unwrap() = Some((call.number, call.clone()));
                }
                is_it
            });
            let (world, is_done) = (Arc::clone(world), AtomicBool::new(false));
            faulty.before_each(move |call| {
                check(call);
                let request = held.lock().unwrap().take_if(|(number, _)| call.number >= *number + delay);
                if let Some((_, request)) = request.filter(|_| !is_done.swap(true, Ordering::SeqCst)) {
                    take_back(&world);
                    carry_out(&*world.memory, &request);
                }
            });
        });
    }
}
