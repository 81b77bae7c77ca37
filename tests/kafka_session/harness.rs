//! A cluster to test against, and a daemon in small: it opens what it is assigned at the positions that a shared
//! "storage" remembers, reads, and commits on revoke.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use forebay::fault::Fault;
use forebay::flow::read::fetch::{Fetch, Fetched};
use forebay::flow::read::mock::EmbeddedKafka;
use forebay::flow::read::producer::{Outgoing, Producer};
use forebay::flow::read::session::{Session, SessionEvent};
use forebay::flow::read::settings::Settings;
use forebay::flow::read::source::PartitionSource;
use forebay::flow::read::topics::Topics;
use forebay::model::offset::TopicPartition;

/// Long enough for a slow machine; a test that is right never waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Where a test runs.
pub(crate) enum Cluster {
    Mock(EmbeddedKafka),
    Real(String),
}

static NAMES: AtomicU64 = AtomicU64::new(0);

/// A name that no other test, and no test run before, has used.
pub(crate) fn fresh(word: &str) -> String {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!("{word}-{}-{}-{nanos}", std::process::id(), NAMES.fetch_add(1, Ordering::Relaxed))
}

impl Cluster {
    pub(crate) fn mock() -> Self {
        Self::Mock(EmbeddedKafka::start(&[]).unwrap())
    }

    /// The real one, or none with a line that says what is left out; an error on a build server.
    pub(crate) fn real(left_out: &str) -> Option<Self> {
        let bootstrap = std::env::var("FOREBAY_STACK_KAFKA").ok().filter(|servers| !servers.is_empty());
        if bootstrap.is_none() {
            eprintln!("LEFT OUT: {left_out} on a real Kafka; start one with scripts/stack and set FOREBAY_STACK_KAFKA");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must run {left_out} on a real Kafka");
        }
        bootstrap.map(Self::Real)
    }

    pub(crate) fn is_real(&self) -> bool {
        matches!(self, Self::Real(_))
    }

    pub(crate) fn embedded(&self) -> &EmbeddedKafka {
        match self {
            Self::Mock(kafka) => kafka,
            Self::Real(_) => panic!("only for the embedded kafka"),
        }
    }

    pub(crate) fn settings(&self, group: &str, member: u32, more: &[(&str, &str)]) -> Settings {
        let bootstrap = match self {
            Self::Mock(kafka) => kafka.bootstrap_servers(),
            Self::Real(servers) => servers,
        };
        let mut user: BTreeMap<String, String> = [
            ("bootstrap.servers", bootstrap),
            ("group.id", group),
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "200"),
            ("topic.metadata.refresh.interval.ms", "1000"),
            ("statistics.interval.ms", "500"),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
        user.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        Settings { user, fetch_bytes: 16 << 20, partitions: 4, instance: member }
    }

    pub(crate) fn topic(&self, name: &str, partitions: i32) -> String {
        let name = fresh(name);
        self.create(&name, partitions);
        name
    }

    pub(crate) fn create(&self, name: &str, partitions: i32) {
        match self {
            Self::Mock(kafka) => kafka.create_topic(name, partitions).unwrap(),
            Self::Real(_) => {
                let topics = Topics::connect(&self.settings("none", 0, &[])).unwrap();
                let large = [("max.message.bytes", "40000000")];
                assert!(topics.create(name, partitions, 1, &large).unwrap());
            }
        }
    }

    /// Sends messages `from..to` to one Kafka partition; payload = `m<number>`.
    pub(crate) fn fill(&self, topic: &str, partition: i32, numbers: std::ops::Range<usize>) {
        let producer = Producer::connect(&self.settings("none", 0, &[]), |delivery| {
            delivery.place.unwrap();
        })
        .unwrap();
        for number in numbers {
            let payload = format!("m{number}");
            let message = Outgoing {
                number,
                topic,
                partition: Some(partition),
                key: None,
                payload: Some(payload.as_bytes()),
                headers: &[],
            };
            producer.send(message).unwrap();
        }
        assert_eq!(producer.flush(PATIENCE).unwrap(), 0);
    }
}

/// A member of the group.
pub(crate) struct Member {
    pub(crate) session: Session,
    pub(crate) events: Receiver<SessionEvent>,
    pub(crate) faults: Vec<Fault>,
}

impl Member {
    pub(crate) fn join(settings: &Settings, topics: &[&str]) -> Self {
        let (sender, events) = unbounded();
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let session = Session::start(settings, &topics, sender).unwrap();
        Self { session, events, faults: Vec::new() }
    }

    /// The next event that is neither statistics nor a fault.
    pub(crate) fn next(&mut self, wait: Duration) -> Option<SessionEvent> {
        let until = Instant::now() + wait;
        loop {
            match self.events.recv_deadline(until).ok()? {
                SessionEvent::Stats(_) | SessionEvent::Connected => {}
                SessionEvent::Fault(fault) => self.faults.push(fault),
                event => return Some(event),
            }
        }
    }

    /// Waits until `count` Kafka partitions are assigned.
    pub(crate) fn assigned(&mut self, count: usize) -> Vec<TopicPartition> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.next(PATIENCE) {
                Some(SessionEvent::Assigned(partitions)) => all.extend(partitions),
                other => panic!("expected an assignment, got {other:?}; faults {:?}", self.faults),
            }
        }
        all.sort();
        all
    }

    /// Waits for a fault of that event.
    pub(crate) fn fault(&mut self, event: &str) -> Fault {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(fault) = self.faults.iter().find(|fault| fault.event == event) {
                return fault.clone();
            }
            match self.events.recv_deadline(until) {
                Ok(SessionEvent::Fault(fault)) => self.faults.push(fault),
                Ok(_) => {}
                Err(_) => panic!("no fault {event}, only {:?}", self.faults),
            }
        }
    }

    pub(crate) fn no_leak(&self) {
        assert!(self.faults.iter().all(|fault| fault.event != "kafka.leaked-message"), "{:?}", self.faults);
    }
}

/// Reads until the position is `to`: the offsets, checked to be what was sent there.
pub(crate) fn read_to(source: &mut PartitionSource, to: i64) -> Vec<i64> {
    let (mut offsets, mut position) = (Vec::new(), 0);
    let until = Instant::now() + PATIENCE;
    while position < to {
        assert!(Instant::now() < until, "{} stands at {position}, not at {to}", source.partition());
        match source.poll(Duration::from_millis(50)) {
            Fetched::Message(message) => {
                assert_eq!(message.payload, Some(format!("m{}", message.offset).as_bytes()));
                position = message.offset + 1;
                offsets.push(message.offset);
            }
            Fetched::Eof(end) => position = position.max(end),
            Fetched::Nothing => {}
            Fetched::Failed(fault) => panic!("{}: {fault}", source.partition()),
        }
    }
    offsets
}

/// Polls until the source fails.
pub(crate) fn failure(source: &mut PartitionSource) -> Fault {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Fetched::Failed(fault) = source.poll(Duration::from_millis(50)) {
            return fault;
        }
    }
    panic!("{} did not fail", source.partition());
}

/// What is durable: the position of each Kafka partition, and every offset that was committed with it, in order.
pub(crate) type Storage = Arc<Mutex<BTreeMap<TopicPartition, Vec<i64>>>>;

/// A small daemon on a thread: it reads what is assigned from where `storage` ends, and commits now and then.
pub(crate) fn daemon(mut member: Member, storage: Storage, stop: Arc<AtomicU64>) -> std::thread::JoinHandle<Member> {
    std::thread::spawn(move || {
        let mut lanes: BTreeMap<TopicPartition, (PartitionSource, Vec<i64>)> = BTreeMap::new();
        let commit = |partition: &TopicPartition, read: &mut Vec<i64>| {
            storage.lock().unwrap().entry(partition.clone()).or_default().append(read);
        };
        while stop.load(Ordering::Acquire) == 0 {
            match member.next(Duration::from_millis(1)) {
                Some(SessionEvent::Assigned(partitions)) => {
                    for partition in partitions {
                        let position = storage
                            .lock()
                            .unwrap()
                            .get(&partition)
                            .and_then(|read| read.last().copied())
                            .map_or(0, |o| o + 1);
                        let source = member.session.open(&partition, position).unwrap();
                        lanes.insert(partition, (source, Vec::new()));
                    }
                }
                Some(SessionEvent::Revoked { partitions, lost, done }) => {
                    for partition in partitions {
                        if let Some((_, mut read)) = lanes.remove(&partition)
                            && !lost
                        {
                            commit(&partition, &mut read);
                        }
                    }
                    drop(done);
                }
                _ => {}
            }
            for (partition, (source, read)) in &mut lanes {
                for _ in 0..50 {
                    match source.poll(Duration::from_millis(1)) {
                        Fetched::Message(message) => read.push(message.offset),
                        _ => break,
                    }
                }
                if read.len() > 100 {
                    commit(partition, read);
                }
            }
        }
        for (partition, (_, mut read)) in lanes {
            commit(&partition, &mut read);
        }
        member
    })
}
