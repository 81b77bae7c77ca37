//! The outside world is away for a while: the daemon waits, says so, goes on by itself, and loses nothing.

use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use forebay::app::daemon::{Daemon, Options, open_storage};
use forebay::exit::ExitCode;
use forebay::model::status::LaneState;
use forebay::storage::Kind;
use forebay::storage::faulty::{Call, FaultyStorage, Injected, Operation};

use crate::common::eventually;
use crate::world::{Fate, World, drain, end_of, in_state, lane, snapshot};

fn on_faulty(world: &World) -> (Arc<FaultyStorage>, Options) {
    let faulty = Arc::new(FaultyStorage::new(open_storage(&world.settings()).unwrap()));
    let options = Options { storage: Some(Arc::clone(&faulty) as _), ..Options::default() };
    (faulty, options)
}

fn says(daemon: &Daemon, event: &str) {
    eventually(&format!("the status says {event}"), || {
        (0..2).all(|partition| {
            lane(daemon, partition).is_some_and(|lane| lane.last_fault.is_some_and(|last| last.fault.event == event))
        })
    });
}

fn survives(injected: Injected, when: fn(&Call) -> bool, event: &str) {
    let world = World::new(2);
    let (faulty, options) = on_faulty(&world);
    let mut settings = world.settings();
    settings.supervise.parked_retry = Duration::from_secs(1);
    let daemon = world.sandbox.start(&settings, &options);
    world.send(100);
    world.caught_up(&daemon);
    faulty.inject(injected, when);
    world.trickle(200);
    says(&daemon, event);
    assert!(!daemon.has_ended());
    faulty.heal();
    world.send(100);
    world.finish(daemon);
}

#[test]
fn storage_that_is_away_is_waited_for() {
    survives(Injected::Fail(Kind::Unavailable), |_| true, "storage.unavailable");
}

#[test]
fn a_full_disk_is_waited_for() {
    survives(Injected::Fail(Kind::NoSpace), |call| call.operation.is_mutation(), "storage.no-space");
}

#[test]
fn permissions_that_are_taken_away_are_waited_for() {
    survives(Injected::Fail(Kind::Denied), |call| call.operation.is_mutation(), "storage.denied");
}

#[test]
fn storage_that_is_away_at_the_start_is_waited_for() {
    let world = World::new(2);
    let (faulty, options) = on_faulty(&world);
    faulty.inject(Injected::Fail(Kind::Unavailable), |_| true);
    world.send(100);
    let daemon = world.start(&options);
    says(&daemon, "storage.unavailable");
    in_state(&daemon, 0, LaneState::Waiting);
    faulty.heal();
    world.finish(daemon);
}

#[test]
fn what_keeps_every_lane_from_starting_ends_the_daemon() {
    let world = World::new(2);
    let (faulty, options) = on_faulty(&world);
    faulty.inject(Injected::Fail(Kind::Denied), |_| true);
    let fault = end_of(world.start(&options)).unwrap_err();
    assert_eq!((fault.event, ExitCode::of(&fault)), ("storage.denied", ExitCode::NotPermitted));
}

#[test]
fn answers_that_are_lost_now_and_then_lose_nothing_else() {
    let world = World::new(2);
    let (faulty, options) = on_faulty(&world);
    let random = Mutex::new(fastrand::Rng::with_seed(world.below(usize::MAX) as u64));
    let daemon = world.start(&options);
    faulty.inject(Injected::LoseAnswer, move |_| random.lock().unwrap().u8(..) < 12);
    world.trickle(600);
    faulty.heal();
    world.finish(daemon);
}

#[test]
fn a_broker_that_is_away_is_waited_for() {
    let world = World::new(2);
    let daemon = world.start(&Options::default());
    world.send(100);
    world.caught_up(&daemon);
    world.sandbox.kafka.set_broker_up(false).unwrap();
    eventually("the status says so", || snapshot(&daemon).tree.last_fault.is_some());
    world.sandbox.kafka.set_broker_up(true).unwrap();
    world.send(100);
    world.finish(daemon);
}

#[test]
fn a_lane_whose_position_is_lost_halts_and_the_others_go_on() {
    let world = World::new(2);
    world.send(20);
    world.drain_when_caught_up();
    lose_the_position(&world);
    let daemon = world.start(&Options::default());
    let halted = in_state(&daemon, 0, LaneState::Halted);
    let fault = halted.last_fault.unwrap().fault;
    assert_eq!(fault.event, "kafka.offset-out-of-range", "{fault:?}");
    assert!(fault.message.contains("library:0") && fault.message.contains("on_offset_out_of_range"), "{fault:?}");
    eventually("the other lane goes on", || lane(&daemon, 1).unwrap().committed == Some(world.end_of(1)));
    assert_eq!(lane(&daemon, 0).unwrap().generation, halted.generation, "a halted lane does not loop");
    drain(daemon).unwrap();

    let mut settings = world.settings();
    settings.tables[0].on_offset_out_of_range = forebay::model::table::OnOutOfRange::Earliest;
    let daemon = world.sandbox.start(&settings, &Options::default());
    world.caught_up(&daemon);
    drain(daemon).unwrap();
    // The chain has no gap: what was lost is an interval of its own.
    world.assert_audit();
}

/// Sends more to Kafka partition 0 of two than the embedded Kafka keeps of one.
pub(crate) fn lose_the_position(world: &World) {
    let noise: String = (0..150_000).map(|_| char::from(b'a' + u8::try_from(world.below(26)).unwrap())).collect();
    for number in 0..50 {
        let (payload, fate) = crate::world::titled(number, &format!("{number}{noise}"), "2026-10-15");
        world.send_these(vec![(payload, fate), (None, Fate::Tombstone)]);
    }
}

#[test]
fn a_promotion_that_fails_is_tried_again_once_however_often_it_was_asked_for() {
    let world = World::new(1);
    let (faulty, options) = on_faulty(&world);
    let mut settings = world.settings();
    let backoff = Duration::from_secs(1);
    (settings.supervise.backoff, settings.supervise.backoff_max) = (backoff, backoff);
    let daemon = world.sandbox.start(&settings, &options);
    world.send(50);
    world.caught_up(&daemon);
    // Each on a thread of its own, which may ask more than once which epochs there were.
    let tries: Arc<Mutex<Vec<(ThreadId, Instant)>>> = Arc::default();
    let seen = Arc::clone(&tries);
    let begins =
        |call: &Call| call.operation == Operation::List && call.path.as_str().ends_with("processed/books/owner");
    faulty.before_each(move |call| {
        let (mut seen, thread) = (seen.lock().unwrap(), std::thread::current().id());
        if begins(call) && seen.last().is_none_or(|(last, _)| *last != thread) {
            seen.push((thread, Instant::now()));
        }
    });
    faulty.inject(Injected::Fail(Kind::Unavailable), begins);
    for _ in 0..20 {
        daemon.promote().unwrap_err();
    }
    let asked = tries.lock().unwrap().len();
    eventually("it is tried again by itself", || tries.lock().unwrap().len() >= asked + 3);
    let unasked = tries.lock().unwrap().split_off(asked);
    // Half of the delay may be left to chance.
    let least = unasked.windows(2).map(|pair| pair[1].1 - pair[0].1).min().unwrap();
    assert!(least > backoff.mul_f64(0.45), "{least:?} between two tries");
    faulty.heal();
    world.finish(daemon);
}
