//! A lake with quarantine, a topic that does as it is told, and a sender between them.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Clock, ManualClock};
use crate::fault::Fault;
use crate::flow::buffer::file::{FileSpec, OpenFile};
use crate::flow::buffer::quarantine::{quarantine_rows, quarantine_schema};
use crate::flow::letters::letter::Letter;
use crate::flow::letters::post::{Answer, Post};
use crate::flow::letters::sender::{Account, LetterObserver, LetterSenderStep, Order, SenderParts};
use crate::flow::read::faults::TOO_LARGE;
use crate::flow::spool::Spool;
use crate::lake::fence::Owner;
use crate::lake::footer::Zone;
use crate::lake::ledger::{LedgerWriter, Spooled};
use crate::lake::{LaneLedger, LetterRoute, PendingInterval, SpooledData, StartPosition, acquire};
use crate::model::batch::{DeadLetter, LedgerRow, Outcome, Piece, RawBatch, RawMessage};
use crate::model::budget::MemoryBudget;
use crate::model::offset::{OffsetRange, TopicPartition};
use crate::model::table::{Compression, PayloadKept};
use crate::model::violation::{Code, Violation};
use crate::stage::exit::Exit;
use crate::stage::step::{Progress, Step};
use crate::storage::Storage;
use crate::storage::faulty::FaultyStorage;
use crate::storage::local::LocalStorage;

pub(super) fn violation() -> Violation {
    Violation {
        code: Code::TYPE_INT,
        column: Some("id".to_owned()),
        path: Some("/m/r/id".to_owned()),
        line: Some(3),
        byte_offset: Some(57),
        value: Some("one".to_owned()),
        message: "not a number".to_owned(),
    }
}

/// Messages from `from` on, each with a key and a header.
pub(super) fn raw_batch(from: i64, payloads: &[&[u8]]) -> RawBatch {
    keyed_batch(from, b"key", payloads)
}

/// The same with this key.
pub(super) fn keyed_batch(from: i64, key: &[u8], payloads: &[&[u8]]) -> RawBatch {
    let mut bytes = Vec::new();
    let mut span = |piece: &[u8]| {
        let start = bytes.len() as u32;
        bytes.extend_from_slice(piece);
        start..bytes.len() as u32
    };
    let message = |(offset, payload): (i64, &&[u8])| RawMessage {
        offset,
        timestamp_us: Some(1_700_000_000_000_000),
        key: Some(span(key)),
        payload: Some(span(payload)),
        headers: vec![(span(b"type"), Some(span(b"book")))],
    };
    let messages: Vec<RawMessage> = (from..).zip(payloads).map(message).collect();
    RawBatch {
        source: TopicPartition::new("library", 3),
        generation: 1,
        seq: 0,
        range: OffsetRange::new(from, from + messages.len() as i64).unwrap(),
        bytes,
        messages,
        permit: MemoryBudget::new(1).take(0),
        piece: Piece::WHOLE,
        slot: None,
    }
}

struct FromZero;

impl StartPosition for FromZero {
    fn resolve(&self, _: &TopicPartition) -> Result<i64, Fault> {
        Ok(0)
    }
}

fn owner() -> Owner {
    Owner {
        host: "node-1".to_owned(),
        pid: 1,
        boot_id: "boot".to_owned(),
        group: "forebay".to_owned(),
        cluster_id: None,
        topic_id: None,
        instance: "test".to_owned(),
        software: "forebay test".to_owned(),
        taken_at: Timestamp::now(),
        takes_over: false,
    }
}

/// A lane whose every message is in quarantine.
pub(super) struct Lake {
    pub(super) faulty: Arc<FaultyStorage>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) ledger: LaneLedger,
    spool: Spool,
    _dir: tempfile::TempDir,
}

impl Lake {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (root, spool) = (dir.path().join("lake"), dir.path().join("spool"));
        std::fs::create_dir(&root).unwrap();
        let spool = Spool::open(&spool, 1 << 30).unwrap();
        let faulty = Arc::new(FaultyStorage::new(Arc::new(LocalStorage::open(&root).unwrap())));
        let clock = Arc::new(ManualClock::new(Timestamp::now()));
        let ledger = take(&faulty, &clock);
        Self { faulty, clock, ledger, spool, _dir: dir }
    }

    pub(super) fn lane(&self) -> TopicPartition {
        self.ledger.source().in_kafka()
    }

    pub(super) fn take_over(&mut self) {
        self.ledger = take(&self.faulty, &self.clock);
    }

    pub(super) fn commit(&mut self, messages: usize) {
        self.commit_these(&vec![&b"<broken"[..]; messages]);
    }

    /// Commits an interval with these messages.
    pub(super) fn commit_these(&mut self, payloads: &[&[u8]]) {
        self.commit_batch(&raw_batch(self.ledger.head(), payloads));
    }

    /// Commits an interval with a message that has this key.
    pub(super) fn commit_keyed(&mut self, key: &[u8]) {
        self.commit_batch(&keyed_batch(self.ledger.head(), key, &[b"<broken"]));
    }

    fn commit_batch(&mut self, raw: &RawBatch) {
        let letter = |message| DeadLetter { table: Some(0), message, violations: vec![violation()] };
        let letters: Vec<DeadLetter> = (0..raw.messages.len() as u32).map(letter).collect();
        let letters: Vec<&DeadLetter> = letters.iter().collect();
        let spec =
            FileSpec { schema: quarantine_schema(), compression: Compression::Zstd(1), row_group_bytes: 1 << 20 };
        let mut file = OpenFile::create(&self.spool, spec).unwrap();
        for rows in quarantine_rows(raw, &letters, None, PayloadKept::Keep, Timestamp::now()) {
            file.append(rows.unwrap()).unwrap();
        }
        let file = file.finish(&[]).unwrap();
        let (ledger_file, _) = self.spool.create().unwrap();
        let mut ledger = LedgerWriter::create(ledger_file.path(), [Arc::from("books")].into()).unwrap();
        let row = |message: &RawMessage| LedgerRow {
            offset: message.offset,
            timestamp_us: message.timestamp_us,
            outcome: Outcome::Quarantined,
            table: Some(0),
            rows: 0,
            code: Some(Code::TYPE_INT),
        };
        ledger.append(&raw.messages.iter().map(row).collect::<Vec<_>>()).unwrap();
        let path = file.path().to_owned();
        let spooled = Spooled { path, bytes: file.bytes(), rows: file.rows(), checksum: file.checksum() };
        let data = SpooledData { zone: Zone::Quarantine, table: "books".to_owned(), file: spooled };
        let mut pending = PendingInterval::new(raw.range, ledger, vec![data], Vec::new());
        self.ledger.commit(&mut pending).unwrap();
    }
}

fn take(faulty: &Arc<FaultyStorage>, clock: &Arc<ManualClock>) -> LaneLedger {
    let (storage, clock) = (Arc::clone(faulty) as Arc<dyn Storage>, Arc::clone(clock) as Arc<dyn Clock>);
    acquire(&storage, &clock, &owner(), &TopicPartition::new("library", 3), &FromZero).unwrap()
}

/// A letter that a topic has.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    /// Header `forebay.payload`.
    pub(super) payload: String,
}

#[derive(Default)]
struct Topic {
    sent: Vec<Sent>,
    is_away: bool,
    holds_answers: bool,
    most: Option<usize>,
}

/// A topic that does as it is told. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Telegraph(Arc<Mutex<Topic>>);

impl Telegraph {
    fn topic(&self) -> MutexGuard<'_, Topic> {
        self.0.lock().unwrap()
    }

    pub(super) fn sent(&self) -> Vec<Sent> {
        self.topic().sent.clone()
    }

    pub(super) fn len(&self) -> usize {
        self.topic().sent.len()
    }

    pub(super) fn be_away(&self, is_away: bool) {
        self.topic().is_away = is_away;
    }

    pub(super) fn hold_answers(&self, holds: bool) {
        self.topic().holds_answers = holds;
    }

    pub(super) fn take_at_most(&self, bytes: usize) {
        self.topic().most = Some(bytes);
    }
}

/// A client of the topic. It sends when it is asked for answers, all that was handed in at once: a letter that is too
/// large takes those beside it along, as a batch of records does.
struct Client {
    telegraph: Telegraph,
    waiting: Vec<(usize, usize, Sent)>,
}

impl Post for Client {
    fn send(&mut self, number: usize, topic: &str, letter: &Letter<'_>) -> Result<(), Fault> {
        assert_eq!(topic, "dead");
        let payload = letter.headers.iter().find(|(name, _)| name == "forebay.payload").unwrap().1.as_deref().unwrap();
        let payload = String::from_utf8(payload.to_vec()).unwrap();
        let sent = Sent { key: letter.key.clone(), value: letter.value.to_vec(), payload };
        if self.telegraph.topic().holds_answers {
            self.telegraph.topic().sent.push(sent);
        } else {
            self.waiting.push((number, letter.bytes(), sent));
        }
        Ok(())
    }

    fn answers(&mut self, _: Duration) -> Vec<Answer> {
        let mut topic = self.telegraph.topic();
        let is_too_large = self.waiting.iter().any(|(_, bytes, _)| topic.most.is_some_and(|most| *bytes > most));
        let answer = |(number, _, sent): (usize, usize, Sent)| {
            if topic.is_away {
                return (number, Err(Fault::retry("kafka.unavailable", "the topic is away")));
            }
            if is_too_large {
                return (number, Err(Fault::retry(TOO_LARGE, "too large")));
            }
            topic.sent.push(sent);
            (number, Ok(()))
        };
        self.waiting.drain(..).map(answer).collect()
    }
}

/// Remembers what it is told.
#[derive(Default)]
pub(super) struct Observer {
    position: Mutex<Option<i64>>,
    sent: Mutex<usize>,
    faults: Mutex<Vec<(Fault, Duration)>>,
}

impl Observer {
    pub(super) fn position(&self) -> Option<i64> {
        *self.position.lock().unwrap()
    }

    /// Letters of which it was told that they were sent.
    pub(super) fn sent(&self) -> usize {
        *self.sent.lock().unwrap()
    }

    pub(super) fn faults(&self) -> Vec<(Fault, Duration)> {
        self.faults.lock().unwrap().clone()
    }
}

impl LetterObserver for Observer {
    fn progressed(&self, _: &TopicPartition, _: &LetterRoute, account: Account) {
        *self.position.lock().unwrap() = Some(account.position);
        *self.sent.lock().unwrap() += account.sent;
    }

    fn failed(&self, _: &TopicPartition, _: &LetterRoute, fault: &Fault, wait: Duration) {
        self.faults.lock().unwrap().push((fault.clone(), wait));
    }
}

/// A sender at work.
pub(super) struct Sending {
    step: LetterSenderStep,
    pub(super) observer: Arc<Observer>,
}

impl Sending {
    /// One that has just been told of the lake's lane.
    pub(super) fn new(lake: &Lake, telegraph: &Telegraph) -> Self {
        let (telegraph, observer) = (telegraph.clone(), Arc::new(Observer::default()));
        let parts = SenderParts {
            group: "forebay".into(),
            post: Arc::new(move || Ok(Box::new(Client { telegraph: telegraph.clone(), waiting: Vec::new() }))),
            clock: Arc::clone(&lake.clock) as Arc<dyn Clock>,
            observer: Arc::clone(&observer) as Arc<dyn LetterObserver>,
        };
        let mut step = LetterSenderStep::new(parts);
        step.command(Order::Open(lake.lane(), lake.ledger.letters("books", "dead")));
        Self { step, observer }
    }

    pub(super) fn tell(&mut self, order: Order) {
        self.step.command(order);
    }

    pub(super) fn step(&mut self) -> Result<Progress, Exit> {
        self.step.step()
    }

    pub(super) fn until_idle(&mut self) {
        while self.step().unwrap() != Progress::Idle {}
    }

    pub(super) fn until_end(&mut self) -> Exit {
        loop {
            if let Err(exit) = self.step() {
                return exit;
            }
        }
    }
}
