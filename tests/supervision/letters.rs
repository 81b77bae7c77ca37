//! Dead letters: their sender may panic, hang or have no topic; the data never waits, and no letter is lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use forebay::app::daemon::{Daemon, Options};
use forebay::config::Settings;
use forebay::fault::Domain;
use forebay::model::status::LaneState;
use forebay::model::table::StopRule;
use forebay::supervise::parts::TreeProbe;
use forebay::supervise::root::{Selection, SetPaused};
use futures::executor::block_on;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::common::{PATIENCE, eventually};
use crate::outages::lose_the_position;
use crate::world::{Fate, World, book, drain, end_of, in_state, lane, snapshot};

const DEAD: &str = "dead";

fn settings(world: &World) -> Settings {
    let mut settings = world.settings();
    settings.tables[0].quarantine.topic = Some(DEAD.to_owned());
    settings
}

/// The keys of what is in a dead-letter topic.
pub(crate) fn keys(world: &World, dead: &str) -> Vec<String> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", world.sandbox.kafka.bootstrap_servers()).set("group.id", "nobody");
    let consumer: BaseConsumer = config.create().unwrap();
    let metadata = consumer.fetch_metadata(Some(dead), PATIENCE).unwrap();
    let (mut list, mut left) = (TopicPartitionList::new(), 0);
    for partition in metadata.topics()[0].partitions() {
        let (low, high) = consumer.fetch_watermarks(dead, partition.id(), PATIENCE).unwrap();
        left += high - low;
        list.add_partition_offset(dead, partition.id(), Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let until = Instant::now() + PATIENCE;
    let mut keys = Vec::new();
    while (keys.len() as i64) < left {
        assert!(Instant::now() < until, "{} of {left} letters", keys.len());
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            keys.push(String::from_utf8(message.unwrap().key().unwrap().to_vec()).unwrap());
        }
    }
    keys
}

/// The keys that have to be in it.
fn expected(world: &World) -> BTreeSet<String> {
    let sent = world.sent.lock().unwrap();
    let bad = sent.iter().filter(|(_, sent)| matches!(sent.fate, Fate::Quarantined { .. }));
    bad.map(|((partition, offset), _)| format!("library:{partition}:{offset}")).collect()
}

pub(crate) fn all_sent(daemon: &Daemon) -> bool {
    snapshot(daemon).lanes.iter().all(|lane| lane.letter_lag() == Some(0))
}

#[test]
fn a_sender_that_panics_loses_no_letter_and_disturbs_no_lane() {
    let world = World::new(2);
    let (steps, panics) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    let (at, counted) = (3 + world.below(9) as u64, Arc::clone(&panics));
    let probe: TreeProbe = Arc::new(move |role, _| {
        let is_meant = role == "LetterSender" && steps.fetch_add(1, Ordering::SeqCst) % at == at - 1;
        if is_meant && counted.fetch_add(1, Ordering::SeqCst) < 12 {
            panic!("on purpose");
        }
    });
    let daemon = world.sandbox.start(&settings(&world), &Options { probe: Some(probe), ..Options::default() });
    world.trickle(600);
    eventually("all panics happened", || panics.load(Ordering::SeqCst) >= 12);
    world.send(100);
    world.caught_up(&daemon);
    eventually("all letters are sent", || all_sent(&daemon));
    assert!(snapshot(&daemon).lanes.iter().all(|lane| lane.generation == 1), "no lane was restarted");
    let tree = snapshot(&daemon).tree;
    let node = tree.children.iter().find(|node| node.name == "LetterSender").unwrap();
    assert!(node.restarts >= 12 && node.last_fault.as_ref().unwrap().contains("on purpose"), "{node:?}");
    let keys = keys(&world, DEAD);
    println!("{} letters for {} messages", keys.len(), expected(&world).len());
    assert_eq!(keys.into_iter().collect::<BTreeSet<_>>(), expected(&world));
    world.finish(daemon);
}

#[test]
fn a_drain_does_not_wait_long_for_letters_and_the_next_daemon_sends_them() {
    let world = World::new(1);
    let holds = Arc::new(AtomicBool::new(true));
    let held = Arc::clone(&holds);
    let probe: TreeProbe = Arc::new(move |role, _| {
        while role == "LetterSender" && held.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let daemon = world.sandbox.start(&settings(&world), &Options { probe: Some(probe), ..Options::default() });
    world.send_these(vec![(Some("<library><book>".to_owned()), Fate::Quarantined { code: "xml." }); 20]);
    world.caught_up(&daemon);
    assert_eq!(lane(&daemon, 0).unwrap().letter_lag(), None, "nobody has looked");
    let begun = Instant::now();
    drain(daemon).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    holds.store(false, Ordering::SeqCst);
    world.assert_raw();

    let daemon = world.sandbox.start(&settings(&world), &Options { until_caught_up: true, ..Options::default() });
    end_of(daemon).unwrap();
    assert_eq!(keys(&world, DEAD).into_iter().collect::<BTreeSet<_>>(), expected(&world), "before it ended");
}

#[test]
fn a_lane_that_stops_by_its_rule_commits_first_and_its_letters_go_on() {
    let world = World::new(2);
    let mut settings = settings(&world);
    settings.tables[0].stop_when = Some(StopRule { failed_ppm: 500_000, of: 20 });
    let daemon = world.sandbox.start(&settings, &Options::default());
    let bad = || (Some("<library><book>".to_owned()), Fate::Quarantined { code: "xml." });
    // Round robin: all bad ones go to the Kafka partition 0.
    world.send_these((0..60).map(|id| if id % 2 == 0 { bad() } else { book(id, "2026-10-15") }).collect());
    let halted = in_state(&daemon, 0, LaneState::Halted);
    let fault = halted.last_fault.unwrap().fault;
    assert_eq!((fault.event, fault.domain), ("lane.too-many-failed", Domain::External));
    let committed = halted.committed.unwrap();
    assert!(committed >= 11 && halted.generation == 1, "{committed}");
    eventually("the other lane goes on", || lane(&daemon, 1).unwrap().committed == Some(30));
    eventually("its letters are sent", || lane(&daemon, 0).unwrap().letter_lag() == Some(0));
    assert_eq!(keys(&world, DEAD).len() as i64, committed);
    // Each time it goes on it stops again, until all are committed.
    eventually("it is resumed until all is read", || {
        let view = lane(&daemon, 0).unwrap();
        if view.state == LaneState::Halted && view.committed < Some(30) {
            let selection = Selection::All;
            block_on(daemon.root().send(SetPaused { selection, is_paused: false })).unwrap();
        }
        view.committed == Some(30)
    });
    world.send_these(vec![book(1, "2026-10-15"), book(2, "2026-10-15")]);
    block_on(daemon.root().send(SetPaused { selection: Selection::All, is_paused: false })).unwrap();
    eventually("all letters are sent", || all_sent(&daemon));
    assert_eq!(keys(&world, DEAD).into_iter().collect::<BTreeSet<_>>(), expected(&world));
    world.finish(daemon);
}

#[test]
fn a_lane_that_cannot_go_on_sends_the_letters_of_what_it_has_committed() {
    let world = World::new(2);
    // By a daemon that knows no dead-letter topic yet.
    let daemon = world.start(&Options::default());
    world.send_these(vec![(Some("<library><book>".to_owned()), Fate::Quarantined { code: "xml." }); 20]);
    world.caught_up(&daemon);
    drain(daemon).unwrap();
    lose_the_position(&world);
    let daemon = world.sandbox.start(&settings(&world), &Options::default());
    let halted = in_state(&daemon, 0, LaneState::Halted);
    assert_eq!(halted.last_fault.unwrap().fault.event, "kafka.offset-out-of-range");
    let is_of_lane = |key: &String| key.starts_with("library:0:");
    eventually("its letters are sent", || keys(&world, DEAD).into_iter().filter(is_of_lane).count() == 10);
    drain(daemon).unwrap();
}
