//! What a member does about fences, silence and a group that leaves Kafka partitions to nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use forebay::fault::Verdict;
use forebay::flow::read::faults;
use forebay::flow::read::mock::{Failure, Request};
use forebay::flow::read::session::SessionEvent;
use forebay::model::offset::TopicPartition;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};

use crate::harness::{Cluster, Member, PATIENCE, failure, fresh, read_to};

#[test]
fn a_fence_of_our_own_doing_is_survived_and_a_second_one_is_not() {
    let cluster = Cluster::mock();
    let topic = cluster.topic("fence", 2);
    cluster.fill(&topic, 0, 0..10);
    let mut member = Member::join(&cluster.settings(&fresh("g"), 0, &[]), &[&topic]);
    let partitions = member.assigned(2);
    let mut source = member.session.open(&partitions[0], 0).unwrap();
    member.session.pause(&partitions[1]).unwrap();
    assert_eq!(read_to(&mut source, 10).len(), 10);
    cluster.embedded().push_failures(Request::OffsetCommit, &[Failure::FencedInstance]).unwrap();
    member.session.commit_hint(&partitions[0], 10);
    match member.next(PATIENCE) {
        Some(SessionEvent::Revoked { partitions: gone, lost: true, .. }) => assert_eq!(gone, partitions),
        other => panic!("{other:?}; {:?}", member.faults),
    }
    assert_eq!(failure(&mut source).event, faults::NOT_ASSIGNED);
    assert_eq!(member.fault(faults::FENCED).verdict, Verdict::Retry);
    assert_eq!(member.assigned(2), partitions);
    let mut source = member.session.open(&partitions[0], 5).unwrap();
    assert_eq!(read_to(&mut source, 10), (5..10).collect::<Vec<_>>());
    // The new client answers questions, and holds back what the operator holds back.
    assert_eq!(member.session.broker().watermarks(&partitions[0]).unwrap(), (0, 10));
    cluster.fill(&topic, 1, 0..5);
    let mut paused = member.session.open(&partitions[1], 0).unwrap();
    member.session.resume(&partitions[1]).unwrap();
    assert_eq!(read_to(&mut paused, 5).len(), 5);

    cluster.embedded().push_failures(Request::OffsetCommit, &[Failure::FencedInstance]).unwrap();
    member.session.commit_hint(&partitions[0], 10);
    let fault = member.fault(faults::DUPLICATE_INSTANCE);
    assert_eq!(fault.verdict, Verdict::Halt, "{fault}");
    assert_eq!(failure(&mut source), fault);
}

#[test]
fn the_late_hint_of_a_lost_kafka_partition_is_not_sent() {
    let cluster = Cluster::mock();
    let topic = cluster.topic("late-hint", 1);
    let mut member = Member::join(&cluster.settings(&fresh("g"), 0, &[]), &[&topic]);
    let partition = member.assigned(1).remove(0);
    cluster.embedded().push_failures(Request::Heartbeat, &[Failure::UnknownMember]).unwrap();
    assert!(matches!(member.next(PATIENCE), Some(SessionEvent::Revoked { lost: true, .. })));
    // What a member is told that commits without an id while it joins again.
    cluster.embedded().push_failures(Request::OffsetCommit, &[Failure::FencedInstance]).unwrap();
    let hinted = Instant::now();
    member.session.commit_hint(&partition, 1);
    member.assigned(1);
    // Hints are sent within a second.
    while hinted.elapsed() < Duration::from_millis(1500) {
        assert!(member.next(Duration::from_millis(100)).is_none());
    }
    assert!(member.faults.iter().all(|fault| fault.event != faults::FENCED), "{:?}", member.faults);
}

#[test]
fn a_client_without_a_connection_for_longer_than_a_session_is_given_up_for_a_new_one() {
    let cluster = Cluster::mock();
    let topic = cluster.topic("silence", 1);
    cluster.fill(&topic, 0, 0..10);
    let mut member = Member::join(&cluster.settings(&fresh("g"), 0, &[]), &[&topic]);
    let partition = member.assigned(1).remove(0);
    let mut source = member.session.open(&partition, 0).unwrap();
    assert_eq!(read_to(&mut source, 10).len(), 10);
    cluster.embedded().set_broker_up(false).unwrap();
    assert_eq!(member.fault(faults::NEW_CLIENT).verdict, Verdict::Retry);
    assert_eq!(failure(&mut source).event, faults::NOT_ASSIGNED);
    cluster.embedded().set_broker_up(true).unwrap();
    let until = Instant::now() + PATIENCE;
    while !member.session.owns(&partition) {
        assert!(Instant::now() < until, "{:?}", member.faults);
        member.next(Duration::from_millis(50));
    }
    let mut source = member.session.open(&partition, 4).unwrap();
    assert_eq!(read_to(&mut source, 10), (4..10).collect::<Vec<_>>());
    assert!(member.session.shutdown(PATIENCE));
}

/// A member that begins to give up what a rebalance takes from it, and never ends: to Kafka it is as good as killed
/// between the two rebalances of a cooperative hand-over.
struct Dying {
    /// How many it was given, and how many are taken away.
    given: Sender<usize>,
    taken: Sender<usize>,
    released: Receiver<()>,
}

impl ClientContext for Dying {}

impl ConsumerContext for Dying {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let nothing = TopicPartitionList::new();
        if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.given.send(list.count()).unwrap();
            return consumer.incremental_assign(&nothing).unwrap();
        }
        // At the end of the test nobody listens.
        let _ended = self.taken.send(list.count());
        let _closed = self.released.recv();
        consumer.incremental_unassign(&nothing).unwrap();
    }
}

#[test]
fn kafka_partitions_that_a_killed_member_gave_up_find_an_owner() {
    let Some(cluster) = Cluster::real("kafka_partitions_that_a_killed_member_gave_up_find_an_owner") else { return };
    let topic = cluster.topic("unowned", 4);
    let group = fresh("g");
    let config: ClientConfig = cluster.settings(&group, 1, &[]).consumer().unwrap();
    let ((given, is_given), (taken, is_taken), (release, released)) = (unbounded(), unbounded(), unbounded());
    let dying: BaseConsumer<Dying> = config.create_with_context(Dying { given, taken, released }).unwrap();
    dying.subscribe(&[&topic]).unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&is_over);
    let dying = std::thread::spawn(move || {
        while !ends.load(Ordering::Acquire) {
            let _nothing_is_fetched = dying.poll(Duration::from_millis(50));
        }
    });
    assert_eq!(is_given.recv_timeout(PATIENCE), Ok(4));
    // Another member joins and shall have half of it; the first one dies before it lets go, and comes back at once.
    let mut other = Member::join(&cluster.settings(&group, 2, &[]), &[&topic]);
    assert_eq!(is_taken.recv_timeout(PATIENCE), Ok(2));
    let mut again = Member::join(&cluster.settings(&group, 1, &[]), &[&topic]);
    assert_eq!(again.assigned(2).len(), 2);
    // The other two belong to nobody, and Kafka calls the group stable.
    let owned = |member: &Member| (0..4).filter(|p| member.session.owns(&TopicPartition::new(&*topic, *p))).count();
    assert_eq!((owned(&other), owned(&again)), (0, 2));
    let until = Instant::now() + PATIENCE;
    while owned(&other) < 2 {
        assert!(Instant::now() < until, "{:?} {:?}", other.faults, again.faults);
        other.next(Duration::from_millis(20));
        again.next(Duration::from_millis(20));
    }
    // The one that owned nothing has joined again; the other one was not disturbed.
    let notice = other.fault(faults::UNOWNED);
    assert!(notice.verdict == Verdict::Retry && notice.message.contains(&group), "{notice}");
    assert_eq!(again.faults, []);
    assert_eq!((owned(&other), owned(&again)), (2, 2));
    is_over.store(true, Ordering::Release);
    drop((release, is_taken));
    dying.join().unwrap();
}
