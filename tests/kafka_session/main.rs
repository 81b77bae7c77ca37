//! The session against a Kafka: the embedded one, and the real one where `FOREBAY_STACK_KAFKA` names it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

/// Runs a scenario on the embedded Kafka and on the real one.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod embedded {
            $(#[test] fn $name() { super::$name(&crate::harness::Cluster::mock()); })*
        }
        mod real {
            $(#[test] fn $name() {
                if let Some(cluster) = crate::harness::Cluster::real(stringify!($name)) { super::$name(&cluster); }
            })*
        }
    };
}

mod cluster;
mod harness;
mod lost;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use forebay::fault::Verdict;
use forebay::flow::read::faults;
use forebay::flow::read::fetch::{Fetch, Fetched};
use forebay::flow::read::mock::{Failure, Request};
use forebay::flow::read::session::SessionEvent;
use forebay::model::offset::TopicPartition;

use harness::{Cluster, Member, PATIENCE, Storage, daemon, failure, fresh, read_to};

on_both! {
    nothing_is_fetched_before_open_and_every_open_begins_where_it_says
    members_exchange_kafka_partitions_without_loss_or_repeat
    a_revoke_waits_for_what_is_in_flight
    a_position_that_the_broker_does_not_have_is_told
    a_reader_without_room_keeps_its_membership
}

fn nothing_is_fetched_before_open_and_every_open_begins_where_it_says(cluster: &Cluster) {
    let topic = cluster.topic("open", 2);
    cluster.fill(&topic, 0, 0..100);
    cluster.fill(&topic, 1, 0..100);
    let mut member = Member::join(&cluster.settings(&fresh("g"), 0, &[]), &[&topic]);
    let partitions = member.assigned(2);
    assert_eq!(partitions, [TopicPartition::new(&*topic, 0), TopicPartition::new(&*topic, 1)]);
    assert!(member.next(Duration::from_millis(500)).is_none());

    let first = &partitions[0];
    let mut source = member.session.open(first, 10).unwrap();
    assert_eq!(read_to(&mut source, 100), (10..100).collect::<Vec<_>>());
    // Again at any offset, earlier or later, read to the end or not, dropped or not.
    for (round, from) in [0, 95, 100, 50, 3].into_iter().enumerate() {
        let mut next = member.session.open(first, from).unwrap();
        assert_eq!(failure(&mut source).event, faults::NOT_ASSIGNED, "the older source has ended");
        if round % 2 == 0 {
            assert_eq!(read_to(&mut next, 100), (from..100).collect::<Vec<_>>(), "opened at {from}");
        } else {
            assert!(!matches!(next.poll(Duration::from_secs(5)), Fetched::Failed(_)));
        }
        source = next;
    }
    drop(source);
    let mut again = member.session.open(first, 90).unwrap();
    assert_eq!(read_to(&mut again, 100), (90..100).collect::<Vec<_>>(), "after a drop");
    member.session.close(first).unwrap();
    assert_eq!(failure(&mut again).event, faults::NOT_ASSIGNED);
    cluster.fill(&topic, 0, 100..110);
    let mut last = member.session.open(first, 99).unwrap();
    assert_eq!(read_to(&mut last, 110), (99..110).collect::<Vec<_>>(), "after a close");

    // The operator's pause loses nothing, holds over an open, and resuming twice is fine.
    member.session.pause(first).unwrap();
    cluster.fill(&topic, 0, 110..120);
    assert!(matches!(last.poll(Duration::from_millis(500)), Fetched::Nothing | Fetched::Eof(_)));
    let mut paused = member.session.open(first, 105).unwrap();
    assert!(matches!(paused.poll(Duration::from_millis(500)), Fetched::Nothing));
    member.session.resume(first).unwrap();
    member.session.resume(first).unwrap();
    assert_eq!(read_to(&mut paused, 120), (105..120).collect::<Vec<_>>(), "after a pause");

    let stranger = TopicPartition::new(&*topic, 7);
    assert_eq!(member.session.open(&stranger, 0).unwrap_err().verdict, Verdict::Fenced);
    member.next(Duration::ZERO);
    member.no_leak();
    // The second one was never opened: leaving works all the same.
    assert!(member.session.shutdown(PATIENCE));
    assert_eq!(failure(&mut paused).event, faults::NOT_ASSIGNED);
}

fn members_exchange_kafka_partitions_without_loss_or_repeat(cluster: &Cluster) {
    const COUNT: usize = 2000;
    let topic = cluster.topic("exchange", 4);
    let group = fresh("g");
    let storage: Storage = Arc::new(Mutex::new(BTreeMap::new()));
    let stop = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
    let held = |count: usize| {
        let until = Instant::now() + PATIENCE;
        while storage.lock().unwrap().values().map(Vec::len).sum::<usize>() < count {
            assert!(Instant::now() < until, "{count} messages did not come");
            std::thread::yield_now();
        }
    };
    let fill =
        |numbers: std::ops::Range<usize>| (0..4).for_each(|partition| cluster.fill(&topic, partition, numbers.clone()));

    fill(0..COUNT);
    let first = Member::join(&cluster.settings(&group, 1, &[]), &[&topic]);
    let first = daemon(first, Arc::clone(&storage), Arc::clone(&stop[0]));
    held(4 * (COUNT - 101));
    // The second one takes two of the four over.
    let mut second = Member::join(&cluster.settings(&group, 2, &[]), &[&topic]);
    let taken = second.assigned(1);
    assert!(taken.len() < 4, "{taken:?}");
    for partition in &taken {
        let read = storage.lock().unwrap()[partition].clone();
        assert_eq!(read, (0..COUNT as i64).collect::<Vec<_>>(), "the first one committed {partition} before it let go");
    }
    fill(COUNT..2 * COUNT);
    for partition in &taken {
        let mut source = second.session.open(partition, COUNT as i64).unwrap();
        let read = read_to(&mut source, 2 * COUNT as i64);
        storage.lock().unwrap().get_mut(partition).unwrap().extend(read);
    }
    // It goes without a word, as a static member does; the first one gets them back when its session has expired.
    second.next(Duration::ZERO);
    second.no_leak();
    assert!(second.session.shutdown(PATIENCE));
    fill(2 * COUNT..3 * COUNT);
    held(4 * (3 * COUNT - 101));
    stop[0].store(1, Ordering::Release);
    let first = first.join().unwrap();
    first.no_leak();
    for (partition, read) in storage.lock().unwrap().iter() {
        // Read in order from the first on: nothing is missing below the last, and nothing is there twice.
        assert_eq!(*read, (0..read.len() as i64).collect::<Vec<_>>(), "{partition}");
    }
    assert!(first.session.shutdown(PATIENCE));
}

fn a_revoke_waits_for_what_is_in_flight(cluster: &Cluster) {
    let topic = cluster.topic("wait", 2);
    let group = fresh("g");
    let mut first = Member::join(&cluster.settings(&group, 1, &[]), &[&topic]);
    let opened = first.assigned(2).remove(0);
    let mut source = first.session.open(&opened, 0).unwrap();
    let mut second = Member::join(&cluster.settings(&group, 2, &[]), &[&topic]);
    let (partitions, done) = match first.next(PATIENCE) {
        Some(SessionEvent::Revoked { partitions, lost: false, done }) => (partitions, done),
        other => panic!("{other:?}"),
    };
    // Whichever of the two goes, the opened one or the other: nobody has it before this one lets go.
    assert!(second.next(Duration::from_secs(1)).is_none());
    drop(done);
    assert_eq!(second.assigned(1), partitions);
    if partitions.contains(&opened) {
        assert_eq!(failure(&mut source).event, faults::NOT_ASSIGNED);
    }
    assert_eq!(first.session.open(&partitions[0], 0).unwrap_err().verdict, Verdict::Fenced);
}

#[test]
fn a_lost_assignment_is_told_as_lost_and_comes_back() {
    let cluster = Cluster::mock();
    let topic = cluster.topic("lost", 1);
    cluster.fill(&topic, 0, 0..10);
    let mut member = Member::join(&cluster.settings(&fresh("g"), 0, &[]), &[&topic]);
    let partition = member.assigned(1).remove(0);
    let mut source = member.session.open(&partition, 0).unwrap();
    assert_eq!(read_to(&mut source, 10).len(), 10);
    cluster.embedded().push_failures(Request::Heartbeat, &[Failure::UnknownMember]).unwrap();
    match member.next(PATIENCE) {
        Some(SessionEvent::Revoked { partitions, lost: true, .. }) => {
            assert_eq!(partitions, std::slice::from_ref(&partition));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(failure(&mut source).event, faults::NOT_ASSIGNED);
    assert_eq!(member.assigned(1), std::slice::from_ref(&partition));
    let mut source = member.session.open(&partition, 5).unwrap();
    assert_eq!(read_to(&mut source, 10), (5..10).collect::<Vec<_>>());
    member.no_leak();
}

fn a_position_that_the_broker_does_not_have_is_told(cluster: &Cluster) {
    let topic = cluster.topic("range", 1);
    cluster.fill(&topic, 0, 0..10);
    let mut member = Member::join(&cluster.settings(&fresh("g"), 0, &[]), &[&topic]);
    let partition = member.assigned(1).remove(0);
    let mut source = member.session.open(&partition, 5000).unwrap();
    let fault = failure(&mut source);
    assert_eq!((fault.verdict, fault.event), (Verdict::Halt, faults::OUT_OF_RANGE), "{fault}");
    assert!(fault.message.contains(&topic), "{fault}");
    // A decision later it goes on.
    let mut source = member.session.open(&partition, 8).unwrap();
    assert_eq!(read_to(&mut source, 10), [8, 9]);
    assert!(member.session.shutdown(PATIENCE));
}

fn a_reader_without_room_keeps_its_membership(cluster: &Cluster) {
    let topic = cluster.topic("room", 1);
    cluster.fill(&topic, 0, 0..500);
    let settings = cluster.settings(&fresh("g"), 0, &[("max.poll.interval.ms", "6000")]);
    let mut member = Member::join(&settings, &[&topic]);
    let partition = member.assigned(1).remove(0);
    let mut source = member.session.open(&partition, 0).unwrap();
    assert_eq!(read_to(&mut source, 100).len(), 100);
    // Longer than the poll interval nobody reads; the session's own thread polls on.
    assert!(member.next(Duration::from_millis(8500)).is_none(), "{:?}", member.faults);
    assert!(member.faults.is_empty(), "{:?}", member.faults);
    assert_eq!(read_to(&mut source, 500), (100..500).collect::<Vec<_>>());
    assert!(member.session.beats() > 50);
    assert!(member.session.shutdown(PATIENCE));
}
