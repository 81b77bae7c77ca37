//! Owners of one Kafka partition side by side, one call to storage at a time: in every order with at most so many
//! changes from one to the other, and in random ones.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use forebay::fault::{Fault, Verdict};
use forebay::lake::{LakeError, LaneLedger, RewindOrder};
use forebay::storage::Storage;

use super::Lake;
use super::turns::{Actor, Order, every_order, play};
use super::world::{END, State, World};

/// What an actor's storage is, given the lake it works on.
pub(crate) type Wrap<'a> = &'a dyn Fn(Arc<dyn Storage>) -> Arc<dyn Storage>;

/// What an owner does.
pub(crate) type Work = fn(&World, &Arc<dyn Storage>, &str) -> Result<(), LakeError>;

/// Takes the lane over and reads on.
pub(crate) fn reads(world: &World, storage: &Arc<dyn Storage>, by: &str) -> Result<(), LakeError> {
    let mut lane = world.acquire(storage, by)?;
    read_on(world, &mut lane, by)
}

/// Takes the lane over and cuts what the last one has read.
pub(crate) fn rewinds(world: &World, storage: &Arc<dyn Storage>, by: &str) -> Result<(), LakeError> {
    let mut lane = world.acquire(storage, by)?;
    let target = lane.head() - 1;
    lane.rewind(RewindOrder { target, expect: None, broker_low: 0, reason: "test" })?;
    read_on(world, &mut lane, by)
}

/// Takes the lane over, takes a rewind back or revises where the lake is made for it, reads, rewinds and reads.
fn everything(world: &World, storage: &Arc<dyn Storage>, by: &str) -> Result<(), LakeError> {
    world.script(storage, by)
}

fn read_on(world: &World, lane: &mut LaneLedger, by: &str) -> Result<(), LakeError> {
    if lane.head() + 2 <= END { world.commit_next(lane, 2, by) } else { Ok(()) }
}

/// Lets owners work side by side, checks every state of the lake, and, where it is not `settled` how that goes on, the
/// end when another one has read it all. Gives the order of their calls, or the violation and its story.
pub(crate) fn side_by_side(
    lake: Lake,
    works: &[Work],
    wrap: Wrap<'_>,
    settled: &mut HashSet<State>,
    mut next: impl FnMut(usize, &[usize], Option<usize>) -> usize,
) -> Result<Vec<usize>, String> {
    let world = lake.world();
    let storages: Vec<_> = works.iter().map(|_| wrap(Arc::new(world.memory.another()))).collect();
    let answers = Mutex::new(Vec::new());
    let actors = works.iter().enumerate().map(|(number, work)| -> Actor<'_> {
        let (world, answers) = (&world, &answers);
        Box::new(move |storage| {
            let answer = work(world, storage, ["first", "second", "third"][number]);
            answers.lock().unwrap().push((number, answer));
        })
    });
    let (mut seen, mut found) = (0, None);
    let order = play(&storages, actors.collect(), |at, ready, last| {
        let now = world.memory.fingerprint();
        if now != std::mem::replace(&mut seen, now) && found.is_none() {
            found = world.check_any_state().err().map(|violation| format!("before call {at}: {violation}"));
        }
        next(at, ready, last)
    });
    let answers = answers.into_inner().unwrap();
    // Whoever is slower is fenced, or finds that things have gone and would find the fence at the next try.
    let is_fine = |answer: &Result<(), LakeError>| match answer {
        Ok(()) | Err(LakeError::Refused(_)) => true,
        Err(error) => matches!(Fault::from(error.clone()).verdict, Verdict::Fenced | Verdict::Retry),
    };
    let strange = answers.iter().find(|(_, answer)| !is_fine(answer));
    let is_new = settled.insert(world.state());
    let settled = match (found, strange) {
        (Some(violation), _) => Err(violation),
        (None, Some((number, answer))) => Err(format!("owner {number} ended with {answer:?}")),
        (None, None) => world.check_any_state().and_then(|()| {
            if !is_new {
                return Ok(());
            }
            let last = world.recover_on(&wrap(Arc::clone(&world.memory) as Arc<dyn Storage>), "last", END);
            last.map_err(|error| error.to_string())?;
            world.check_at_rest()
        }),
    };
    settled.map(|()| order.clone()).map_err(|violation| format!("{lake:?}, {order:?}, {answers:?}: {violation}"))
}

pub(crate) fn as_it_is(storage: Arc<dyn Storage>) -> Arc<dyn Storage> {
    storage
}

/// All orders with so many changes at most, or the first one that goes wrong.
pub(crate) fn all(lake: Lake, works: &[Work], changes: usize, wrap: Wrap<'_>) -> Result<u64, (Order, String)> {
    let mut settled = HashSet::new();
    every_order(works.len(), changes, |order| {
        let played = side_by_side(lake, works, wrap, &mut settled, |at, ready, last| order.next(at, ready, last));
        played.map_err(|violation| (order.clone(), violation))
    })
}

pub(crate) fn in_order(lake: Lake, works: &[Work], wrap: Wrap<'_>, order: &Order) -> Result<Vec<usize>, String> {
    side_by_side(lake, works, wrap, &mut HashSet::new(), |at, ready, last| order.next(at, ready, last))
}

fn check(lake: Lake, works: &[Work], changes: usize, expected: u64) {
    let orders = all(lake, works, changes, &as_it_is).unwrap_or_else(|(_, violation)| panic!("{violation}"));
    println!("{lake:?}: {} owners, at most {changes} changes: {orders} orders", works.len());
    assert_eq!(orders, expected, "the number of orders has changed: write the new one down if that is meant");
}

#[test]
fn two_owners_that_read() {
    check(Lake::Warm, &[reads, reads], 2, 2_570);
}

#[test]
fn two_owners_that_begin() {
    check(Lake::Cold, &[reads, reads], 1, 76);
}

#[test]
fn an_owner_that_reads_and_one_that_rewinds() {
    check(Lake::Warm, &[reads, rewinds], 1, 142);
}

#[test]
fn three_owners() {
    check(Lake::Warm, &[reads, rewinds, reads], 1, 511);
}

#[test]
fn two_owners_that_take_a_rewind_back() {
    check(Lake::Rewound, &[everything, everything], 1, 400);
}

#[test]
fn two_owners_that_revise() {
    check(Lake::Revised, &[everything, everything], 1, 342);
}

/// `FOREBAY_SEED` plays one story again, `FOREBAY_STORIES` says how many there are.
#[test]
fn random_orders() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let seeds = match number("FOREBAY_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("FOREBAY_STORIES").unwrap_or(60)).map(|_| fastrand::u64(..)).collect(),
    };
    for seed in seeds {
        let mut random = fastrand::Rng::with_seed(seed);
        let lake = [Lake::Cold, Lake::Warm, Lake::Rewound, Lake::Revised][random.usize(..4)];
        let works: Vec<Work> = (0..random.usize(2..4))
            .map(|_| [reads as Work, rewinds, everything, everything][random.usize(..4)])
            .collect();
        // Now and then a long run of one of them: what stalls, stalls for long.
        let mut left = 0;
        let played = side_by_side(lake, &works, &as_it_is, &mut HashSet::new(), |_, ready, last| match last {
            Some(last) if left > 0 && ready.contains(&last) => {
                left -= 1;
                last
            }
            _ => {
                left = [0, 1, 3, 10, 30][random.usize(..5)];
                ready[random.usize(..ready.len())]
            }
        });
        played.unwrap_or_else(|violation| panic!("FOREBAY_SEED={seed}: {violation}"));
    }
}
