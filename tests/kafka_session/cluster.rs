//! What the cluster does to a member, and what it says when asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use forebay::fault::Verdict;
use forebay::flow::read::broker::Broker;
use forebay::flow::read::faults;
use forebay::flow::read::fetch::{Fetch, Fetched};
use forebay::flow::read::producer::{Outgoing, Producer};
use forebay::flow::read::session::SessionEvent;
use forebay::flow::read::source::PartitionSource;
use forebay::flow::read::step::{BatchLimits, KafkaReaderStep, RawSink, ReaderSpec, Refusal};
use forebay::flow::read::topics::Topics;
use forebay::model::batch::RawBatch;
use forebay::model::budget::MemoryBudget;
use forebay::model::offset::TopicPartition;
use forebay::model::table::StartingOffsets;
use forebay::produce::library::{BOOKS, Library, REPEATED};
use forebay::produce::run::{Job, LedgerLine, run};
use forebay::stage::exit::Exit;
use forebay::stage::step::Step;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::harness::{Cluster, Member, PATIENCE, failure, fresh, read_to};

on_both! {
    what_was_sent_comes_as_it_was
    a_topic_and_a_kafka_partition_that_appear_are_assigned
    a_topic_that_is_missing_is_named_and_waited_for
    the_cluster_answers_questions
    group_offsets_are_told_and_statistics_come
    generated_messages_are_read_in_a_bounded_run
}

#[test]
fn a_broker_that_goes_and_comes_is_a_notice() {
    let cluster = Cluster::mock();
    let topic = cluster.topic("away", 1);
    cluster.fill(&topic, 0, 0..10);
    let mut member = Member::join(&cluster.settings(&fresh("g"), 0, &[]), &[&topic]);
    let partition = member.assigned(1).remove(0);
    let mut source = member.session.open(&partition, 0).unwrap();
    assert_eq!(read_to(&mut source, 10).len(), 10);
    cluster.embedded().set_broker_up(false).unwrap();
    let notice = member.fault(faults::UNAVAILABLE);
    assert_eq!(notice.verdict, Verdict::Retry, "{notice}");
    cluster.embedded().set_broker_up(true).unwrap();
    cluster.fill(&topic, 0, 10..20);
    // It may have lost its place in the group by then; then it is assigned again, and opened again.
    let until = Instant::now() + PATIENCE;
    let mut position = 10;
    while position < 20 {
        assert!(Instant::now() < until, "stands at {position}");
        match source.poll(Duration::from_millis(50)) {
            Fetched::Message(message) => position = message.offset + 1,
            Fetched::Failed(fault) => {
                assert_eq!(fault.event, faults::NOT_ASSIGNED, "{fault}");
                let again = member_assigned(&mut member);
                source = member.session.open(&again, position).unwrap();
            }
            Fetched::Eof(_) | Fetched::Nothing => {}
        }
    }
    member.no_leak();
    assert!(member.faults.iter().all(|fault| fault.verdict == Verdict::Retry), "{:?}", member.faults);
}

fn member_assigned(member: &mut Member) -> TopicPartition {
    loop {
        if let Some(SessionEvent::Assigned(partitions)) = member.next(PATIENCE) {
            return partitions[0].clone();
        }
    }
}

#[test]
fn a_cluster_that_is_not_there_at_the_start_is_waited_for() {
    let cluster = Cluster::mock();
    let topic = cluster.topic("late", 1);
    cluster.embedded().set_broker_up(false).unwrap();
    let mut member = Member::join(&cluster.settings(&fresh("g"), 0, &[]), &[&topic]);
    assert_eq!(member.fault(faults::UNAVAILABLE).verdict, Verdict::Retry);
    cluster.embedded().set_broker_up(true).unwrap();
    assert_eq!(member.assigned(1).len(), 1);
}

#[test]
fn two_daemons_of_one_name_do_not_go_on_together() {
    let Some(cluster) = Cluster::real("two_daemons_of_one_name_do_not_go_on_together") else { return };
    let topic = cluster.topic("twin", 1);
    let group = fresh("g");
    let mut first = Member::join(&cluster.settings(&group, 0, &[]), &[&topic]);
    let partition = first.assigned(1).remove(0);
    let mut source = first.session.open(&partition, 0).unwrap();
    let mut second = Member::join(&cluster.settings(&group, 0, &[]), &[&topic]);
    second.assigned(1);
    // Being fenced once may be our own doing, so each of the two joins again once; the second time there is no doubt.
    assert_eq!(first.fault(faults::FENCED).verdict, Verdict::Retry);
    assert_eq!(failure(&mut source).event, faults::NOT_ASSIGNED);
    let fault = first.fault(faults::DUPLICATE_INSTANCE);
    assert_eq!(fault.verdict, Verdict::Halt, "{fault}");
    assert_eq!(second.fault(faults::FENCED).verdict, Verdict::Retry);
    // The other one goes on alone.
    let mut source = open_again(&mut second, &partition);
    cluster.fill(&topic, 0, 0..3);
    assert_eq!(read_to(&mut source, 3), [0, 1, 2]);
    assert!(second.faults.iter().all(|fault| fault.verdict == Verdict::Retry), "{:?}", second.faults);
}

/// Opens a Kafka partition whose assignment is taken away and given back meanwhile.
fn open_again(member: &mut Member, partition: &TopicPartition) -> PartitionSource {
    let until = Instant::now() + PATIENCE;
    loop {
        match member.session.open(partition, 0) {
            Ok(source) => return source,
            Err(fault) => assert!(fault.verdict == Verdict::Fenced && Instant::now() < until, "{fault}"),
        }
        member.next(Duration::from_millis(100));
    }
}

#[test]
fn holes_at_the_end_of_a_kafka_partition_move_the_position() {
    let Some(cluster) = Cluster::real("holes_at_the_end_of_a_kafka_partition_move_the_position") else { return };
    let topic = cluster.topic("aborted", 1);
    let settings = cluster.settings(&fresh("g"), 0, &[]);
    let writer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &settings.user["bootstrap.servers"])
        .set("transactional.id", fresh("tx"))
        .create()
        .unwrap();
    writer.init_transactions(PATIENCE).unwrap();
    for (count, commit) in [(3, true), (5, false)] {
        writer.begin_transaction().unwrap();
        for number in 0..count {
            let payload = format!("m{number}");
            writer.send(BaseRecord::<(), str>::to(&topic).payload(&payload)).map_err(|(error, _)| error).unwrap();
        }
        writer.flush(PATIENCE).unwrap();
        if commit { writer.commit_transaction(PATIENCE) } else { writer.abort_transaction(PATIENCE) }.unwrap();
    }
    // Three messages, a marker, five aborted, a marker.
    let mut member = Member::join(&settings, &[&topic]);
    let partition = member.assigned(1).remove(0);
    let broker = member.session.broker();
    let until = Instant::now() + PATIENCE;
    while broker.watermarks(&partition).unwrap() != (0, 10) {
        assert!(Instant::now() < until);
    }
    let mut source = member.session.open(&partition, 0).unwrap();
    assert_eq!(read_to(&mut source, 10), [0, 1, 2]);
    // Opened in the hole: nothing to read, and the end is told all the same.
    let mut source = member.session.open(&partition, 6).unwrap();
    assert_eq!(read_to(&mut source, 10), [0_i64; 0]);
}

fn what_was_sent_comes_as_it_was(cluster: &Cluster) {
    let topic = cluster.topic("shapes", 1);
    let settings = cluster.settings(&fresh("g"), 0, &[]);
    let large = vec![b'x'; if cluster.is_real() { 20 << 20 } else { 2 << 20 }];
    let producer = Producer::connect(&settings, |delivery| assert!(delivery.place.is_ok())).unwrap();
    type Bytes<'a> = Option<&'a [u8]>;
    let shapes: [(Bytes<'_>, Bytes<'_>); 5] = [
        (Some(b"k"), Some(b"v")),
        (Some(b"k"), None),
        (None, Some(b"")),
        (Some(b""), Some(&large)),
        (None, Some(b"last")),
    ];
    for (number, (key, payload)) in shapes.into_iter().enumerate() {
        producer.send(Outgoing { number, topic: &topic, partition: Some(0), key, payload, headers: &[] }).unwrap();
    }
    assert_eq!(producer.flush(PATIENCE).unwrap(), 0);
    let writer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &settings.user["bootstrap.servers"]).create().unwrap();
    let headers = OwnedHeaders::new()
        .insert(Header { key: "type", value: Some("book") })
        .insert(Header::<&str> { key: "none", value: None });
    let record = BaseRecord::<(), str>::to(&topic).payload("with").headers(headers).partition(0);
    writer.send(record).map_err(|(error, _)| error).unwrap();
    writer.flush(PATIENCE).unwrap();

    let mut member = Member::join(&settings, &[&topic]);
    let partition = member.assigned(1).remove(0);
    let mut source = member.session.open(&partition, 0).unwrap();
    let mut got = 0;
    let until = Instant::now() + PATIENCE;
    while got < 6 {
        assert!(Instant::now() < until, "{got} came; {:?}", member.faults);
        match source.poll(Duration::from_millis(50)) {
            Fetched::Message(message) if got < 5 => {
                let (key, payload) = shapes[got];
                assert!(
                    message.key == key && message.payload == payload && message.headers.is_empty(),
                    "message {got}"
                );
                assert!(!cluster.is_real() || message.timestamp_us.is_some_and(|time| time > 1_600_000_000_000_000));
                got += 1;
            }
            Fetched::Message(message) => {
                let headers: [(&[u8], Option<&[u8]>); 2] = [(b"type", Some(b"book")), (b"none", None)];
                // The mock cluster keeps headers too.
                assert_eq!((message.payload, message.headers.as_slice()), (Some(b"with".as_slice()), &headers[..]));
                got += 1;
            }
            Fetched::Failed(fault) => panic!("{fault}"),
            Fetched::Eof(_) | Fetched::Nothing => {}
        }
    }
}

fn a_topic_and_a_kafka_partition_that_appear_are_assigned(cluster: &Cluster) {
    let word = fresh("grow");
    let first = cluster.topic(&word, 1);
    let pattern = format!("^{}.*", word.replace('.', "\\."));
    let mut member = Member::join(&cluster.settings(&fresh("g"), 0, &[]), &[&pattern]);
    assert_eq!(member.assigned(1), [TopicPartition::new(&*first, 0)]);
    let second = cluster.topic(&word, 1);
    assert_eq!(member.assigned(1), [TopicPartition::new(&*second, 0)]);
    if cluster.is_real() {
        Topics::connect(&cluster.settings("none", 0, &[])).unwrap().widen(&second, 2).unwrap();
        assert_eq!(member.assigned(1), [TopicPartition::new(&*second, 1)]);
    }
}

fn a_topic_that_is_missing_is_named_and_waited_for(cluster: &Cluster) {
    let topic = fresh("missing");
    let mut member = Member::join(&cluster.settings(&fresh("g"), 0, &[]), &[&topic]);
    let notice = member.fault("kafka.unknown-topic");
    assert!(notice.verdict == Verdict::Retry && notice.message.contains(&topic), "{notice}");
    cluster.create(&topic, 1);
    assert_eq!(member.assigned(1), [TopicPartition::new(&*topic, 0)]);
}

fn the_cluster_answers_questions(cluster: &Cluster) {
    let topic = cluster.topic("ask", 3);
    cluster.fill(&topic, 1, 0..10);
    let settings = cluster.settings("none", 0, &[]);
    let broker = Broker::connect(&settings).unwrap();
    let partition = TopicPartition::new(&*topic, 1);
    assert_eq!(broker.partitions(&topic).unwrap(), [0, 1, 2]);
    assert_eq!(broker.watermarks(&partition).unwrap(), (0, 10));
    assert!(!broker.cluster_id().unwrap().is_empty());
    let id = broker.topic_id(&topic).unwrap();
    // The embedded Kafka does not tell.
    assert_eq!(id.as_ref().map(String::len), cluster.is_real().then_some(22), "{id:?}");
    assert_eq!(broker.topic_id(&topic).unwrap(), id);
    assert!(id.is_none() || broker.topic_id(&cluster.topic("other", 1)).unwrap() != id);
    assert!(broker.topics().unwrap().contains(&(topic.clone(), vec![0, 1, 2])));
    let missing = broker.partitions(&fresh("missing")).unwrap_err();
    assert_eq!(missing.event, "kafka.unknown-topic", "{missing}");
    assert_eq!(broker.topic_id(&fresh("missing")).unwrap_err().event, "kafka.unknown-topic");

    let start = |start| broker.start_position(&partition, &start);
    assert_eq!(start(StartingOffsets::Earliest).unwrap(), 0);
    assert_eq!(start(StartingOffsets::Latest).unwrap(), 10);
    let at = |offset| StartingOffsets::Offsets(BTreeMap::from([(partition.clone(), offset)]));
    assert_eq!(start(at(7)).unwrap(), 7);
    let outside = start(at(11)).unwrap_err();
    assert_eq!((outside.verdict, outside.event), (Verdict::Halt, faults::START_OUT_OF_RANGE));
    assert_eq!(start(StartingOffsets::Offsets(BTreeMap::new())).unwrap(), 0);
    if cluster.is_real() {
        assert_eq!(start(StartingOffsets::Timestamp(0)).unwrap(), 0);
        assert_eq!(start(StartingOffsets::Timestamp(i64::MAX / 2)).unwrap(), 10, "no message is that young");
        assert_eq!(broker.offset_for_time(&partition, i64::MAX / 2).unwrap(), None);
        let topics = Topics::connect(&settings).unwrap();
        assert!(!topics.create(&topic, 3, 1, &[]).unwrap(), "it is there already");
        assert!(topics.delete(&topic).unwrap());
        assert!(!topics.delete(&fresh("missing")).unwrap());
    }
}

fn group_offsets_are_told_and_statistics_come(cluster: &Cluster) {
    let topic = cluster.topic("hint", 1);
    cluster.fill(&topic, 0, 0..10);
    let settings = cluster.settings(&fresh("g"), 0, &[]);
    let mut member = Member::join(&settings, &[&topic]);
    let partition = member.assigned(1).remove(0);
    let mut source = member.session.open(&partition, 0).unwrap();
    read_to(&mut source, 4);
    member.session.commit_hint(&partition, 3);
    member.session.commit_hint(&partition, 4);
    let until = Instant::now() + PATIENCE;
    let stats = loop {
        match member.events.recv_deadline(until).unwrap() {
            SessionEvent::Stats(stats) if stats.iter().any(|stats| stats.high == Some(10)) => break stats,
            _ => {}
        }
    };
    assert_eq!((stats.len(), &stats[0].source, stats[0].low), (1, &partition, Some(0)));
    // The last hint is sent on the way out at the latest.
    assert!(member.session.shutdown(PATIENCE));
    let asker: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &settings.user["bootstrap.servers"])
        .set("group.id", &settings.user["group.id"])
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition(&topic, 0);
    let committed = asker.committed_offsets(list, PATIENCE).unwrap();
    assert_eq!(committed.elements()[0].offset(), Offset::Offset(4));
}

struct Pipe(Sender<RawBatch>);

impl RawSink for Pipe {
    fn try_send(&mut self, batch: RawBatch, timeout: Duration) -> Result<(), Refusal> {
        self.0.send_timeout(batch, timeout).map_err(|error| match error {
            crossbeam_channel::SendTimeoutError::Timeout(batch) => Refusal::Blocked(batch),
            crossbeam_channel::SendTimeoutError::Disconnected(_) => Refusal::Closed,
        })
    }
}

fn generated_messages_are_read_in_a_bounded_run(cluster: &Cluster) {
    let topic = cluster.topic("library", 2);
    let settings = cluster.settings(&fresh("g"), 0, &[]);
    let dir = tempfile::tempdir().unwrap();
    let ledger = dir.path().join("ledger.jsonl");
    let last_date = jiff::civil::date(2026, 10, 28);
    let library =
        Library { seed: 1, books: BOOKS, broken: 0.1, resent: 0.1, changed: 0.1, repeated: REPEATED, last_date };
    let job = Job {
        settings: settings.clone(),
        topic: topic.clone(),
        create_with: None,
        library,
        first: 0,
        count: 3000,
        rate: None,
        ledger: Some(ledger.clone()),
        hold_back: None,
    };
    let done = run(job, &AtomicBool::new(false), |_| {}).unwrap();
    assert_eq!((done.sent, done.delivered, done.failed), (3000, 3000, 0));
    let lines = std::fs::read_to_string(&ledger).unwrap();
    let expected: BTreeMap<(i32, i64), LedgerLine> = lines
        .lines()
        .map(|line| serde_json::from_str::<LedgerLine>(line).unwrap())
        .map(|line| ((line.partition, line.offset), line))
        .collect();
    assert_eq!(expected.len(), 3000);

    let mut member = Member::join(&settings, &[&topic]);
    let budget = MemoryBudget::new(32 << 20);
    let mut read = 0;
    for partition in member.assigned(2) {
        let (_, end) = member.session.broker().watermarks(&partition).unwrap();
        let source = member.session.open(&partition, 0).unwrap();
        let (sender, batches) = bounded(2);
        let limits = BatchLimits::default();
        let spec = ReaderSpec {
            source: partition.clone(),
            generation: 0,
            position: 0,
            known: None,
            stop_at: Some(end),
            limits,
        };
        let mut reader = KafkaReaderStep::new(spec, source, Pipe(sender), budget.clone(), Arc::default());
        let worker = std::thread::spawn(move || {
            loop {
                if let Err(exit) = reader.step() {
                    return exit;
                }
            }
        });
        let mut position = 0;
        for batch in batches {
            assert_eq!(batch.range.from(), position);
            position = batch.range.to();
            for message in &batch.messages {
                let line = &expected[&(partition.partition, message.offset)];
                let sent = library.message(line.number);
                assert_eq!(message.payload.as_ref().map(|span| batch.slice(span)), sent.payload.as_deref());
                read += 1;
            }
        }
        assert_eq!((position, worker.join().unwrap()), (end, Exit::Drained));
    }
    assert_eq!((read, budget.used()), (3000, 0));
}
