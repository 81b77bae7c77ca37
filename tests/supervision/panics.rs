//! Stages that panic, and messages that make a parser panic.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebay::app::daemon::Options;
use forebay::model::status::LaneState;
use forebay::supervise::parts::TreeProbe;

use crate::common::{eventually, library};
use crate::world::{Fate, World, drain, end_of, in_state, lane, snapshot};

/// Panics in the steps of `stage` that have these numbers, counted over all lanes and workers.
fn panicking_at(stage: &'static str, steps: Vec<u64>) -> (TreeProbe, Arc<AtomicU64>) {
    let (count, panics) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    let counter = Arc::clone(&panics);
    let probe: TreeProbe = Arc::new(move |role, _| {
        if role == stage && steps.contains(&count.fetch_add(1, Ordering::SeqCst)) {
            counter.fetch_add(1, Ordering::SeqCst);
            panic!("on purpose");
        }
    });
    (probe, panics)
}

fn survives_panics_of(stage: &'static str) {
    let world = World::new(2);
    let mut at = 0;
    let steps: Vec<u64> = (0..6)
        .map(|_| {
            at += 1 + world.below(25) as u64;
            at
        })
        .collect();
    println!("{stage} panics in its steps {steps:?}");
    let (probe, panics) = panicking_at(stage, steps.clone());
    world.send(200);
    let daemon = world.start(&Options { probe: Some(probe), ..Options::default() });
    world.trickle(600);
    eventually("all panics happened", || panics.load(Ordering::SeqCst) == steps.len() as u64);
    world.send(100);
    world.finish(daemon);
}

#[test]
fn nothing_is_lost_or_doubled_when_readers_panic() {
    survives_panics_of("KafkaReader");
}

#[test]
fn nothing_is_lost_or_doubled_when_parsers_panic() {
    survives_panics_of("Parser");
}

#[test]
fn nothing_is_lost_or_doubled_when_validators_panic() {
    survives_panics_of("Validator");
}

#[test]
fn nothing_is_lost_or_doubled_when_bufferers_panic() {
    survives_panics_of("ParquetBufferer");
}

#[test]
fn poisonous_messages_are_quarantined_and_the_others_survive() {
    let world = World::new(1);
    // More than the intensity of the pool accepts: a poisonous message is not the pool's fault.
    let poison = [3, 4, 50, 51, 52, 53, 54, 120];
    let messages = (0..150).map(|offset: i64| {
        let title = format!("title {offset}");
        let payload = library(offset, &title, "2026-10-15T18:42:00Z");
        let fate = Fate::Row { id: offset, title, date: "2026-10-15" };
        (payload, if poison.contains(&offset) { Fate::Quarantined { code: "rule.poison" } } else { fate })
    });
    world.send_these(messages.collect());
    let mut settings = world.settings();
    settings.supervise.intensity = 3;
    let message_probe = Arc::new(move |message: &forebay::model::batch::RawMessage| {
        assert!(!poison.contains(&message.offset), "on purpose");
    });
    let options = Options { message_probe: Some(message_probe), ..Options::default() };
    let daemon = world.sandbox.start(&settings, &options);
    world.finish(daemon);
}

#[test]
fn a_batch_that_no_parser_survives_is_read_again_by_the_next_generation_of_its_lane() {
    let world = World::new(1);
    let mut settings = world.settings();
    settings.run.parsers = 1;
    settings.supervise.intensity = 1;
    // First a message is to blame, then three workers die before they have begun with what they were left.
    let (deaths, is_first) = (Arc::new(AtomicU64::new(0)), AtomicBool::new(true));
    let left = Arc::clone(&deaths);
    let message_probe = Arc::new(move |message: &forebay::model::batch::RawMessage| {
        if message.offset == 37 && is_first.swap(false, Ordering::SeqCst) {
            left.store(3, Ordering::SeqCst);
            panic!("on purpose");
        }
    });
    let left = Arc::clone(&deaths);
    let probe: TreeProbe = Arc::new(move |role, _| {
        let dies =
            role == "Parser" && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        assert!(!dies, "on purpose");
    });
    let options = Options { probe: Some(probe), message_probe: Some(message_probe), ..Options::default() };
    let daemon = world.sandbox.start(&settings, &options);
    world.send_these((0..100).map(|id| crate::world::book(id, "2026-10-15")).collect());
    world.caught_up(&daemon);
    let lane = lane(&daemon, 0).unwrap();
    assert_eq!(lane.generation, 2, "{lane:?}");
    assert!(lane.last_fault.unwrap().fault.message.contains("no message is to blame"));
    world.finish(daemon);
}

/// Panics in every step of `stage` in the lanes of these Kafka partitions, while it is armed.
fn always_panicking(stage: &'static str, partitions: &'static [i32]) -> (TreeProbe, Arc<AtomicBool>) {
    let armed = Arc::new(AtomicBool::new(true));
    let is_armed = Arc::clone(&armed);
    let probe: TreeProbe = Arc::new(move |role, source| {
        let is_meant = role == stage && source.is_some_and(|source| partitions.contains(&source.partition));
        assert!(!(is_meant && is_armed.load(Ordering::SeqCst)), "on purpose");
    });
    (probe, armed)
}

#[test]
fn a_lane_that_always_fails_is_parked_and_tried_again_and_the_others_go_on() {
    let world = World::new(2);
    let mut settings = world.settings();
    settings.supervise.intensity = 2;
    settings.supervise.parked_retry = Duration::from_millis(1500);
    let (probe, armed) = always_panicking("Validator", &[1]);
    let daemon = world.sandbox.start(&settings, &Options { probe: Some(probe), ..Options::default() });
    world.send(200);
    let parked = in_state(&daemon, 1, LaneState::Parked);
    let fault = parked.last_fault.unwrap().fault;
    assert!(fault.message.contains("Validator") && fault.message.contains("on purpose"), "{fault:?}");
    assert_eq!(parked.restarts, 2);
    eventually("the other lane goes on", || lane(&daemon, 0).unwrap().committed == Some(world.end_of(0)));
    armed.store(false, Ordering::SeqCst);
    world.finish(daemon);
}

#[test]
fn the_daemon_ends_when_every_lane_is_parked() {
    let world = World::new(2);
    let mut settings = world.settings();
    settings.supervise.intensity = 1;
    let (probe, _) = always_panicking("ParquetBufferer", &[0, 1]);
    let daemon = world.sandbox.start(&settings, &Options { probe: Some(probe), ..Options::default() });
    let fault = end_of(daemon).unwrap_err();
    assert_eq!((fault.domain, fault.event), (forebay::fault::Domain::Internal, "root.every-lane-parked"));
}

#[test]
fn a_bounded_run_does_not_wait_for_a_parked_lane() {
    let world = World::new(2);
    world.send(50);
    let mut settings = world.settings();
    settings.supervise.intensity = 1;
    let (probe, _) = always_panicking("KafkaReader", &[1]);
    let options = Options { probe: Some(probe), until_caught_up: true, ..Options::default() };
    let fault = end_of(world.sandbox.start(&settings, &options)).unwrap_err();
    assert_eq!(fault.domain, forebay::fault::Domain::Internal, "{fault:?}");
    assert!(fault.message.contains("on purpose"), "{fault:?}");
}

#[test]
fn the_threads_of_ended_generations_are_joined() {
    let world = World::new(1);
    let armed = Arc::new(AtomicBool::new(false));
    let is_armed = Arc::clone(&armed);
    let restarts = Arc::new(Mutex::new(BTreeMap::<&str, u64>::new()));
    let seen = Arc::clone(&restarts);
    let probe: TreeProbe = Arc::new(move |role, source| {
        if source.is_some() && is_armed.swap(false, Ordering::SeqCst) {
            *seen.lock().unwrap().entry(role).or_default() += 1;
            panic!("on purpose");
        }
    });
    let daemon = world.start(&Options { probe: Some(probe), ..Options::default() });
    in_state(&daemon, 0, LaneState::Running);
    let before = threads();
    for generation in 2..30 {
        armed.store(true, Ordering::SeqCst);
        eventually("it is restarted", || {
            lane(&daemon, 0).is_some_and(|lane| lane.generation >= generation && lane.state == LaneState::Running)
        });
    }
    println!("panics: {:?}", restarts.lock().unwrap());
    // Other tests of this process have threads of their own, which come and go: what counts is that 28 restarts of
    // four threads each leave nothing behind.
    eventually("the threads are joined", || threads() < before + 28);
    assert!(snapshot(&daemon).lanes[0].restarts >= 28);
    drain(daemon).unwrap();
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}
