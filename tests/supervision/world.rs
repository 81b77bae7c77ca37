//! What was sent, and what must be in the lake because of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use forebay::app::audit::audit;
use forebay::app::daemon::{Daemon, Options, open_storage};
use forebay::config::Settings;
use forebay::fault::Fault;
use forebay::flow::read::producer::{Outgoing, Producer};
use forebay::flow::read::settings::Settings as ClientSettings;
use forebay::model::status::LaneState;
use forebay::supervise::root::Snapshot;
use forebay::supervise::view::LaneView;

use crate::common::{PATIENCE, Sandbox, eventually, library};
use crate::lake::{self, Book};

/// What must become of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Row { id: i64, title: String, date: &'static str },
    Quarantined { code: &'static str },
    Tombstone,
}

/// A message that Kafka has.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) payload: Option<String>,
    pub(crate) fate: Fate,
}

/// An embedded Kafka, a lake, and the memory of everything that was sent.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) sent: Mutex<BTreeMap<(i32, i64), Sent>>,
    pub(crate) random: Mutex<fastrand::Rng>,
    producer: Producer,
    places: Places,
}

type Places = Arc<Mutex<BTreeMap<usize, (i32, i64)>>>;

const DAYS: [&str; 3] = ["2026-10-15", "2026-10-16", "2026-11-02"];

impl World {
    pub(crate) fn new(partitions: i32) -> Self {
        let seed =
            std::env::var("FOREBAY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
        println!("FOREBAY_SEED={seed}");
        let sandbox = Sandbox::new(partitions);
        let places = Places::default();
        let user = [("bootstrap.servers".to_owned(), sandbox.kafka.bootstrap_servers().to_owned())].into();
        let settings = ClientSettings { user, ..ClientSettings::default() };
        let delivered = Arc::clone(&places);
        let producer = Producer::connect(&settings, move |delivery| {
            let place = delivery.place.unwrap();
            delivered.lock().unwrap().insert(delivery.number, (place.partition, place.offset));
        })
        .unwrap();
        let random = Mutex::new(fastrand::Rng::with_seed(seed));
        Self { sandbox, sent: Mutex::default(), random, producer, places }
    }

    /// A number below `bound`, from the seed.
    pub(crate) fn below(&self, bound: usize) -> usize {
        self.random.lock().unwrap().usize(..bound)
    }

    /// Short rolls, quick restarts; no lane is parked unless a test wants it.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = self.sandbox.settings();
        settings.tables[0].raw.roll_age = Duration::from_millis(200);
        // The embedded Kafka does not know a static member again: it waits until the one before has expired.
        let mut kafka: Vec<_> =
            settings.kafka.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        kafka.push(("session.timeout.ms".to_owned(), "3000".to_owned()));
        kafka.push(("heartbeat.interval.ms".to_owned(), "500".to_owned()));
        settings.kafka = kafka.into_iter().collect();
        settings.supervise.intensity = 1000;
        settings.supervise.backoff = Duration::from_millis(10);
        settings.supervise.backoff_max = Duration::from_millis(200);
        settings.run.parsers = 2;
        settings
    }

    /// Sends `count` messages round robin: ids that come again, changed, on other dates; some broken, some null.
    pub(crate) fn send(&self, count: usize) {
        let messages = (0..count).map(|_| self.message()).collect();
        self.send_these(messages);
    }

    fn message(&self) -> (Option<String>, Fate) {
        let (kind, id) = (self.below(50), i64::try_from(self.below(300)).unwrap());
        match kind {
            0 => (Some("<library><book>".to_owned()), Fate::Quarantined { code: "xml." }),
            1 => (None, Fate::Tombstone),
            _ => titled(id, &format!("title {}", self.below(1_000_000)), DAYS[self.below(DAYS.len())]),
        }
    }

    pub(crate) fn send_these(&self, messages: Vec<(Option<String>, Fate)>) {
        self.places.lock().unwrap().clear();
        for (number, (payload, _)) in messages.iter().enumerate() {
            let partition = Some(i32::try_from(number).unwrap() % self.sandbox.partitions);
            let payload = payload.as_deref().map(str::as_bytes);
            let topic = &self.sandbox.topic;
            self.producer.send(Outgoing { number, topic, partition, key: None, payload, headers: &[] }).unwrap();
        }
        assert_eq!(self.producer.flush(PATIENCE).unwrap(), 0);
        let places = std::mem::take(&mut *self.places.lock().unwrap());
        assert_eq!(places.len(), messages.len());
        let mut sent = self.sent.lock().unwrap();
        for (number, (payload, fate)) in messages.into_iter().enumerate() {
            sent.insert(places[&number], Sent { payload, fate });
        }
    }

    /// Sends a message to another topic, which comes into being by that. It is not remembered.
    pub(crate) fn send_elsewhere(&self, topic: &str, payload: &str) {
        let payload = Some(payload.as_bytes());
        self.producer.send(Outgoing { number: 0, topic, partition: None, key: None, payload, headers: &[] }).unwrap();
        assert_eq!(self.producer.flush(PATIENCE).unwrap(), 0);
    }

    /// Sends `count` messages in small pieces, so that there are many batches.
    pub(crate) fn trickle(&self, count: usize) {
        for _ in 0..count / 10 {
            self.send(10);
            // Only so that the pieces do not all fall into one batch.
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn start(&self, options: &Options) -> Daemon {
        self.sandbox.start(&self.settings(), options)
    }

    /// End of a Kafka partition.
    pub(crate) fn end_of(&self, partition: i32) -> i64 {
        let sent = self.sent.lock().unwrap();
        sent.range((partition, 0)..(partition + 1, 0)).next_back().map_or(0, |((_, offset), _)| offset + 1)
    }

    /// Starts a daemon, and drains it when it has caught up.
    pub(crate) fn drain_when_caught_up(&self) {
        let daemon = self.start(&Options::default());
        self.caught_up(&daemon);
        drain(daemon).unwrap();
    }

    /// Waits until the daemon has committed all that was sent.
    pub(crate) fn caught_up(&self, daemon: &Daemon) {
        eventually("everything is committed", || {
            (0..self.sandbox.partitions).all(|partition| {
                let lane = lane(daemon, partition);
                lane.is_some_and(|lane| lane.committed == Some(self.end_of(partition)))
            })
        });
    }

    /// Everything that was sent is in the lake, once; and nothing else is.
    pub(crate) fn assert_raw(&self) {
        let (root, sent) = (self.sandbox.lake(), self.sent.lock().unwrap().clone());
        let ledger = lake::ledger(&root, &self.sandbox.topic);
        let places: Vec<_> = ledger.iter().map(|entry| (entry.partition, entry.offset)).collect();
        assert_same("rows of the ledger", &places, &sent.keys().copied().collect::<Vec<_>>());
        for entry in &ledger {
            let fate = &sent[&(entry.partition, entry.offset)].fate;
            let fits = match fate {
                Fate::Row { .. } => entry.outcome == "rows",
                Fate::Tombstone => entry.outcome == "tombstone",
                Fate::Quarantined { code } => {
                    entry.outcome == "quarantined" && entry.code.as_ref().is_some_and(|found| found.starts_with(code))
                }
            };
            assert!(fits, "{entry:?} but expected {fate:?}");
        }
        let raw = lake::books(&root, "raw");
        assert!(raw.iter().all(|book| book.timestamp_us.is_some()), "the embedded kafka gives every message a time");
        let timeless: Vec<Book> = raw.into_iter().map(|book| Book { timestamp_us: None, ..book }).collect();
        assert_same("rows of RAW", &timeless, &self.books());
        let quarantined: Vec<_> = sent
            .iter()
            .filter(|(_, sent)| matches!(sent.fate, Fate::Quarantined { .. }))
            .map(|(place, sent)| (place.0, place.1, sent.payload.clone().map(String::into_bytes)))
            .collect();
        assert_same("quarantine, with the original bytes", &lake::quarantine(&root), &quarantined);
    }

    /// The naive oracle: the newest row of each id. The times are RAW's: the embedded Kafka does not tell the producer
    /// which it gave.
    pub(crate) fn assert_processed(&self) {
        let mut newest: BTreeMap<i64, Book> = BTreeMap::new();
        let order = |book: &Book| (book.timestamp_us, book.partition, book.offset, book.row_index);
        for book in lake::books(&self.sandbox.lake(), "raw") {
            let held = newest.entry(book.id).or_insert_with(|| book.clone());
            if order(held) < order(&book) {
                *held = book;
            }
        }
        let mut expected: Vec<Book> = newest.into_values().collect();
        expected.sort();
        assert_same("rows of Processed", &lake::books(&self.sandbox.lake(), "processed"), &expected);
    }

    fn books(&self) -> Vec<Book> {
        let sent = self.sent.lock().unwrap();
        let book = |((partition, offset), sent): (&(i32, i64), &Sent)| match &sent.fate {
            Fate::Row { id, title, date } => Some(Book {
                partition: *partition,
                offset: *offset,
                row_index: 0,
                timestamp_us: None,
                id: *id,
                title: title.clone(),
                date: (*date).to_owned(),
            }),
            _ => None,
        };
        sent.iter().filter_map(book).collect()
    }

    /// Forebay's own audit agrees.
    pub(crate) fn assert_audit(&self) {
        let settings = self.settings();
        let storage = open_storage(&settings).unwrap();
        let report = audit(&storage, &settings.tables, &self.sandbox.dir.path().join("audit"));
        assert!(report.ok, "{:?}", report.invariants);
    }

    /// RAW is right; after a promotion, Processed too; and the daemon drains.
    pub(crate) fn finish(&self, daemon: Daemon) {
        self.caught_up(&daemon);
        daemon.promote().unwrap();
        drain(daemon).unwrap();
        self.assert_raw();
        self.assert_processed();
        self.assert_audit();
    }
}

/// A good message, and what must become of it.
pub(crate) fn titled(id: i64, title: &str, date: &'static str) -> (Option<String>, Fate) {
    let payload = library(id, title, &format!("{date}T18:42:00Z"));
    (payload, Fate::Row { id, title: title.to_owned(), date })
}

/// A good message, and what must become of it.
pub(crate) fn book(id: i64, date: &'static str) -> (Option<String>, Fate) {
    titled(id, &format!("title {id}"), date)
}

/// Both in order; says only where they differ.
fn assert_same<T: Ord + std::fmt::Debug>(what: &str, found: &[T], expected: &[T]) {
    let missing: Vec<_> = expected.iter().filter(|item| found.binary_search(item).is_err()).take(3).collect();
    let extra: Vec<_> = found.iter().filter(|item| expected.binary_search(item).is_err()).take(3).collect();
    assert!(missing.is_empty() && extra.is_empty(), "{what}: missing {missing:#?}, not expected {extra:#?}");
    let repeated = found.windows(2).find(|pair| pair[0] == pair[1]);
    assert!(found == expected, "{what}: {} and not {}; twice: {repeated:#?}", found.len(), expected.len());
}

/// Drains the daemon and waits for its end.
pub(crate) fn drain(daemon: Daemon) -> Result<(), Fault> {
    daemon.drain("test");
    end_of(daemon)
}

/// Waits for the end of a daemon.
pub(crate) fn end_of(daemon: Daemon) -> Result<(), Fault> {
    let until = Instant::now() + PATIENCE;
    while !daemon.has_ended() {
        assert!(Instant::now() < until, "it does not end: {:#?}", daemon.snapshot().map(|snapshot| snapshot.lanes));
        std::thread::sleep(Duration::from_millis(20));
    }
    daemon.wait()
}

pub(crate) fn snapshot(daemon: &Daemon) -> Snapshot {
    daemon.snapshot().unwrap()
}

/// The lane of a Kafka partition, when it is the daemon's.
pub(crate) fn lane(daemon: &Daemon, partition: i32) -> Option<LaneView> {
    snapshot(daemon).lanes.into_iter().find(|lane| lane.partition == partition)
}

/// Waits for the lane of a Kafka partition to come into this state.
pub(crate) fn in_state(daemon: &Daemon, partition: i32, state: LaneState) -> LaneView {
    let mut found = None;
    eventually(&format!("lane {partition} is {state:?}"), || {
        found = lane(daemon, partition);
        found.as_ref().is_some_and(|lane| lane.state == state)
    });
    found.unwrap()
}
