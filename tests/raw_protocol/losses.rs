//! Offsets that are lost for good become an interval without rows: a crash before any step of that, and before any step
//! of the recovery.

use std::collections::HashSet;
use std::sync::Arc;

use forebay::lake::chain::read_chain;
use forebay::lake::footer::read_footer;
use forebay::lake::{LakeError, PendingInterval, RewindOrder};
use forebay::model::offset::{OffsetRange, TopicPartition};
use forebay::storage::sim::SimFs;
use forebay::storage::{LakePath, Storage};

use super::crashes::{Moment, moments};
use super::world::{START, World};

/// First offset that is lost.
const LOST: i64 = START + 2;
/// First offset that is not.
const BEHIND: i64 = START + 6;
/// Where the owner stops.
const ENOUGH: i64 = BEHIND + 2;
const REASON: &str = "accepted by an operator: a test";

/// Records the hole and reads on: from wherever the chain ends.
fn go_on(world: &World, storage: &Arc<dyn Storage>, by: &str) -> Result<(), LakeError> {
    let mut lane = world.acquire(storage, by)?;
    if lane.head() < BEHIND {
        let range = OffsetRange::new(lane.head(), BEHIND).unwrap();
        lane.commit(&mut PendingInterval::lost(range, world.ledger_writer(), REASON))?;
        *world.answered.lock().unwrap() = lane.head();
    }
    if lane.head() < ENOUGH {
        world.commit_next(&mut lane, ENOUGH - BEHIND, by)?;
    }
    Ok(())
}

/// The chain is whole, the hole is told once it is in the chain, and nothing of it lies anywhere.
fn check(moment: &Moment) -> Result<(), String> {
    moment.check()?;
    moment.world.audit()?;
    let storage: &dyn Storage = &*moment.world.memory;
    let state = read_chain(storage, &TopicPartition::new("library", 7)).map_err(|error| error.to_string())?;
    for file in &state.chain.live {
        let footer = read_footer(storage, &file.path, file.bytes).map_err(|error| error.to_string())?;
        let told = footer.lost.map(|lost| (lost.from, lost.to, lost.reason));
        let expected = (file.name.range.from() == LOST).then(|| (LOST, BEHIND, REASON.to_owned()));
        if told != expected {
            return Err(format!("{} says {told:?} and not {expected:?}", file.path));
        }
        if expected.is_some() && !(footer.files.is_empty() && footer.sums.messages == 0) {
            return Err(format!("{} names data of messages that are lost", file.path));
        }
    }
    Ok(())
}

fn enumerate(make: fn(jiff::Timestamp) -> SimFs) -> (usize, usize) {
    let world = Arc::new(World::of(make));
    let storage = Arc::clone(&world.memory) as Arc<dyn Storage>;
    let mut lane = world.acquire(&storage, "earlier").unwrap();
    world.commit_next(&mut lane, LOST - START, "earlier").unwrap();
    drop(lane);
    let (mut points, mut pairs) = (0, 0);
    // Of two states that are the same the second ends as the first has ended.
    let (mut seen, mut seen_second) = (HashSet::new(), HashSet::new());
    for first in
        moments(&world, |storage| go_on(&world, storage, "first").unwrap()).into_iter().flat_map(Moment::aftermaths)
    {
        points += 1;
        check(&first).unwrap_or_else(|violation| panic!("{first}: {violation}"));
        if !seen.insert(first.key()) {
            continue;
        }
        let second = Arc::new(first.world.fork());
        let recovery = moments(&second, |storage| go_on(&second, storage, "second").unwrap());
        for crash in recovery.into_iter().flat_map(Moment::aftermaths) {
            pairs += 1;
            if !seen_second.insert(crash.key()) {
                continue;
            }
            let settled = check(&crash).and_then(|()| {
                let memory = Arc::clone(&crash.world.memory) as Arc<dyn Storage>;
                go_on(&crash.world, &memory, "last").map_err(|error| error.to_string())?;
                check(&crash)
            });
            settled.unwrap_or_else(|violation| panic!("{first}, then {crash}: {violation}"));
        }
    }
    (points, pairs)
}

#[test]
fn a_loss_that_is_cut_at_any_step_is_recorded_whole_or_not_at_all() {
    assert_eq!(enumerate(SimFs::hdfs), (30, 633));
    assert_eq!(enumerate(SimFs::local), (138, 5_294));
}

/// What the help of `forebay accept-loss` says to do where a data file is gone.
#[test]
fn a_data_file_that_is_gone_comes_back_by_a_rewind() {
    let world = World::new();
    let storage = Arc::clone(&world.memory) as Arc<dyn Storage>;
    let mut lane = world.acquire(&storage, "first").unwrap();
    world.commit_next(&mut lane, 2, "first").unwrap();
    let gone = world.memory.files("raw").into_keys().next().unwrap();
    world.commit_next(&mut lane, 2, "first").unwrap();
    storage.delete(&LakePath::parse(&gone).unwrap()).unwrap();
    assert!(world.audit().unwrap_err().contains(&gone));
    lane.rewind(RewindOrder { target: START, expect: None, broker_low: 0, reason: "a file is gone" }).unwrap();
    *world.answered.lock().unwrap() = 0;
    drop(lane);
    world.recover("second");
    world.check_at_rest().unwrap();
    world.audit().unwrap();
}
