//! Promoters of one table and a lane that is rewound, side by side, one call to storage at a time: in every order with
//! one change from one to the other, and in random ones.

use std::any::Any;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use forebay::fault::{Fault, Verdict};
use forebay::storage::sim::SimFs;
use forebay::storage::{Content, LakePath, Storage};

use super::turns::{Actor, Order, every_order, play};
use super::world::World;

/// What an actor does.
pub(crate) type Work = fn(&World, &Arc<dyn Storage>) -> Result<(), Fault>;

/// What an actor's storage is, by its number, given the lake it works on.
pub(crate) type Wrap<'a> = &'a dyn Fn(usize, Arc<dyn Storage>) -> Arc<dyn Storage>;

pub(crate) fn promotes(world: &World, storage: &Arc<dyn Storage>) -> Result<(), Fault> {
    world.promote_beside(storage)
}

pub(crate) fn rewinds(world: &World, storage: &Arc<dyn Storage>) -> Result<(), Fault> {
    Ok(world.rewind_beside(storage, 0, 3)?)
}

pub(crate) fn revises(world: &World, storage: &Arc<dyn Storage>) -> Result<(), Fault> {
    Ok(world.revise_first(storage, 0)?)
}

/// Somebody else who writes into the table's log, but changes no file of it.
pub(crate) fn comments(world: &World, storage: &Arc<dyn Storage>) -> Result<(), Fault> {
    let next = world.memory.files(LOG).len();
    let path = LakePath::parse(&format!("{LOG}/{next:020}.json")).unwrap();
    // Taken meanwhile: then it is not said.
    let _ = storage.create(&path, Content::Bytes(COMMENT));
    Ok(())
}

pub(crate) const LOG: &str = "processed/books/_delta_log";
pub(crate) const COMMENT: &[u8] = b"{\"commitInfo\":{\"operation\":\"somebody else\"}}\n";

/// A lane that is promoted up to 4 and has read on to 6, in intervals of 2.
pub(crate) fn prepared() -> World {
    let mut world = World::of(SimFs::hdfs, true);
    (0..2).for_each(|_| world.commit(0, 2));
    world.promote();
    world.commit(0, 2);
    world
}

pub(crate) fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Lets actors work side by side on a copy of the lake; then, where it is not `settled` how that goes on, finishes and
/// promotes everything and checks the table. Gives the order of their calls, or the violation and its story.
pub(crate) fn side_by_side(
    prepared: &World,
    works: &[Work],
    wrap: Wrap<'_>,
    settled: &mut HashSet<u64>,
    next: impl FnMut(usize, &[usize], Option<usize>) -> usize,
) -> Result<Vec<usize>, String> {
    let mut world = prepared.fork();
    let storages: Vec<_> = (0..works.len()).map(|number| wrap(number, Arc::new(world.memory.another()))).collect();
    let answers = Mutex::new(Vec::new());
    let order = {
        let actors = works.iter().enumerate().map(|(number, work)| -> Actor<'_> {
            let (world, answers) = (&world, &answers);
            Box::new(move |storage| {
                let answer = work(world, storage);
                answers.lock().unwrap().push((number, answer));
            })
        });
        play(&storages, actors.collect(), next)
    };
    let answers = answers.into_inner().unwrap();
    let may_be = |fault: &Fault| matches!(fault.verdict, Verdict::Fenced | Verdict::Retry);
    let strange = answers.iter().find(|(_, answer)| answer.as_ref().is_err_and(|fault| !may_be(fault)));
    let settled = match strange {
        Some((number, answer)) => Err(format!("actor {number} ended with {answer:?}")),
        None if !settled.insert(world.memory.fingerprint()) => Ok(()),
        None => catch_unwind(AssertUnwindSafe(|| {
            world.promote();
            world.check_table();
            world.settle(8);
            world.promote();
            world.check_oracle();
        }))
        .map_err(|panic| words(&*panic)),
    };
    settled.map(|()| order.clone()).map_err(|violation| format!("{order:?}, {answers:?}: {violation}"))
}

/// All orders with so many changes at most.
pub(crate) fn all(works: &[Work], changes: usize, wrap: Wrap<'_>) -> Result<u64, String> {
    let (prepared, mut settled) = (prepared(), HashSet::new());
    every_order(works.len(), changes, |order: &Order| {
        side_by_side(&prepared, works, wrap, &mut settled, |at, ready, last| order.next(at, ready, last))
    })
}

fn check(works: &[Work], expected: u64) {
    let orders = all(works, 1, &|_, storage| storage).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{} actors: {orders} orders", works.len());
    assert_eq!(orders, expected, "the number of orders has changed: write the new one down if that is meant");
}

#[test]
fn two_promoters() {
    check(&[promotes, promotes], 194);
}

#[test]
fn a_promoter_and_a_rewind() {
    check(&[promotes, rewinds], 192);
}

#[test]
fn a_promoter_and_a_revision() {
    check(&[promotes, revises], 140);
}

/// `FOREBAY_SEED` plays one story again, `FOREBAY_STORIES` says how many there are.
#[test]
fn random_orders() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let seeds = match number("FOREBAY_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("FOREBAY_STORIES").unwrap_or(60)).map(|_| fastrand::u64(..)).collect(),
    };
    let (prepared, mut settled) = (prepared(), HashSet::new());
    for seed in seeds {
        let mut random = fastrand::Rng::with_seed(seed);
        let works = [&[promotes as Work, rewinds][..], &[promotes, rewinds, promotes], &[promotes, revises, comments]];
        let works = works[random.usize(..works.len())];
        // Now and then a long run of one of them: what stalls, stalls for long.
        let mut left = 0;
        let played = side_by_side(&prepared, works, &|_, storage| storage, &mut settled, |_, ready, last| match last {
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
