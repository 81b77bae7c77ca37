//! A lane's buffer with a committer that does what the test says.

use std::fs::File;
use std::sync::Mutex;
use std::time::Duration;

use arrow::array::{
    ArrayRef, AsArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type};
use crossbeam_channel::{Sender, unbounded};
use jiff::Timestamp;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::super::*;
use crate::clock::ManualClock;
use crate::flow::buffer::interval::ClosedInterval;
use crate::flow::buffer::report::IntervalCommitted;
use crate::lake::footer::{IntervalFooter, Sums, Zone};
use crate::model::batch::{DeadLetter, LedgerRow, Outcome, Piece, RawBatch, RawMessage, TableRows};
use crate::model::budget::MemoryBudget;
use crate::model::mapping::{Column, Kind, Mapping, Path, Take};
use crate::model::offset::OffsetRange;
use crate::model::table::{OnOutOfRange, QuarantineSettings, RawSettings, StartingOffsets, Table, TopicChoice};
use crate::model::violation::{Code, Violation};

/// Rows of a good message.
pub(super) const ROWS: u32 = 2;

pub(super) fn source() -> TopicPartition {
    TopicPartition::new("library", 0)
}

pub(super) fn table(raw: RawSettings) -> Table {
    let path = Path { from_root: false, steps: Vec::new(), take: Take::Text };
    let column = Column { required: true, ..Column::new("id", path, Kind::Int64) };
    let mapping = Mapping { version: 7, ..Mapping::new("books.toml", vec![column]) };
    Table {
        name: "books".into(),
        topics: TopicChoice::List(vec!["library".to_owned()]),
        when: None,
        mapping: Arc::new(mapping),
        starting_offsets: StartingOffsets::Earliest,
        on_offset_out_of_range: OnOutOfRange::Fail,
        raw,
        quarantine: QuarantineSettings::default(),
        stop_when: None,
        processed: None,
    }
}

/// What the committer does with one attempt.
pub(super) type Answer = Result<(), Fault>;

/// What a committed interval held.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) range: Option<OffsetRange>,
    /// Offsets of the ledger.
    pub(super) ledger: Vec<i64>,
    /// Offsets of the rows in RAW, with repeats.
    pub(super) raw: Vec<i64>,
    /// Offsets in quarantine.
    pub(super) quarantine: Vec<i64>,
}

struct ScriptedCommitter {
    answers: Receiver<Answer>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Committer for ScriptedCommitter {
    fn commit(&mut self, interval: &mut ClosedInterval) -> Answer {
        // A test that has gone is no answer.
        let answer = self.answers.recv().unwrap_or_else(|_| Err(Fault::fenced("test.over", "the test is over")));
        answer?;
        let (ledger, _file) = interval.ledger.take().unwrap().into_parts();
        let (ledger, _) = ledger.finish(footer(interval)).unwrap();
        let mut seen = Seen { range: Some(interval.range), ledger: offsets(&ledger.path), ..Seen::default() };
        for closed in &interval.files {
            let place = match closed.zone {
                Zone::Raw => &mut seen.raw,
                Zone::Quarantine => &mut seen.quarantine,
            };
            place.extend(offsets(closed.file.path()));
        }
        self.seen.lock().unwrap().push(seen);
        Ok(())
    }
}

pub(super) fn offsets(path: &std::path::Path) -> Vec<i64> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    reader.flat_map(|batch| batch.unwrap()["kafka_offset"].as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn footer(interval: &ClosedInterval) -> IntervalFooter {
    IntervalFooter {
        topic: interval.source.topic.to_string(),
        topic_id: None,
        cluster_id: None,
        partition: interval.source.partition,
        from: interval.range.from(),
        to: interval.range.to(),
        epoch: 1,
        ledger: "ledger".to_owned(),
        staged_at: Timestamp::UNIX_EPOCH,
        sums: Sums::default(),
        mappings: Vec::new(),
        software: String::new(),
        files: Vec::new(),
        lost: None,
        last: None,
    }
}

#[derive(Default)]
pub(super) struct Heard {
    pub(super) committed: Mutex<Vec<IntervalCommitted>>,
    pub(super) failed: Mutex<Vec<(u32, String)>>,
    pub(super) full: Mutex<Vec<bool>>,
}

impl BufferObserver for Heard {
    fn committed(&self, interval: &IntervalCommitted) {
        self.committed.lock().unwrap().push(interval.clone());
    }

    fn commit_failed(&self, _: &TopicPartition, attempt: u32, _: Duration, fault: &Fault) {
        self.failed.lock().unwrap().push((attempt, fault.message.clone()));
    }

    fn spool_full(&self, _: &TopicPartition, full: bool) {
        self.full.lock().unwrap().push(full);
    }
}

pub(super) struct Lane {
    pub(super) step: ParquetBuffererStep,
    pub(super) input: Option<Sender<ValidBatch>>,
    pub(super) answers: Sender<Answer>,
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) heard: Arc<Heard>,
    pub(super) report: BufferReport,
    pub(super) spool: Spool,
    pub(super) encoders: EncoderMemory,
    pub(super) budget: MemoryBudget,
    pub(super) next: i64,
    _dir: tempfile::TempDir,
}

impl Lane {
    pub(super) fn new(raw: RawSettings) -> Self {
        Self::with(raw, 1 << 30, 1 << 30)
    }

    pub(super) fn with(raw: RawSettings, spool_bytes: u64, encoder_bytes: u64) -> Self {
        let (answers, script) = unbounded();
        let seen = Arc::new(Mutex::default());
        let committer = Box::new(ScriptedCommitter { answers: script, seen: Arc::clone(&seen) });
        let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap()));
        Self { answers, seen, ..Self::committing(raw, spool_bytes, encoder_bytes, clock, committer) }
    }

    /// A lane whose intervals really go somewhere.
    pub(super) fn committing(
        raw: RawSettings,
        spool_bytes: u64,
        encoder_bytes: u64,
        clock: Arc<ManualClock>,
        committer: Box<dyn Committer>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), spool_bytes).unwrap();
        let encoders = EncoderMemory::new(encoder_bytes);
        let heard = Arc::new(Heard::default());
        let (input, receiver) = unbounded();
        let report = BufferReport::default();
        let step = ParquetBuffererStep::new(BuffererParts {
            source: source(),
            head: 100,
            input: receiver,
            committer,
            catalog: Catalog::new([table(raw)]).unwrap(),
            spool: spool.clone(),
            memory: encoders.clone(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            backoff: Backoff { first: Duration::from_micros(1), max: Duration::from_micros(10) },
            row_group_bytes: ROW_GROUP_BYTES,
            report: report.clone(),
            observer: Arc::clone(&heard) as Arc<dyn BufferObserver>,
        });
        Self {
            step: step.unwrap(),
            input: Some(input),
            answers: unbounded().0,
            seen: Arc::default(),
            clock,
            heard,
            report,
            spool,
            encoders,
            budget: MemoryBudget::new(1 << 30),
            next: 100,
            _dir: dir,
        }
    }

    /// Sends a batch of these outcomes, one a message, from the next offset on.
    pub(super) fn send(&mut self, outcomes: &[Outcome]) {
        let batch = batch(self.next, outcomes, &self.budget);
        self.next = batch.raw.range.to();
        self.input.as_ref().unwrap().send(batch).unwrap();
    }

    /// Steps until one of the steps says this; fails when that takes too many.
    pub(super) fn step_until(&mut self, wanted: Progress) {
        let found = (0..200).any(|_| self.step.step().unwrap() == wanted);
        assert!(found, "no step was {wanted:?}");
    }

    /// Steps until the condition holds.
    pub(super) fn until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        for _ in 0..200 {
            if done(self) {
                return;
            }
            self.step.step().unwrap();
        }
        panic!("it did not come to pass");
    }

    /// Steps to the end of the stage.
    pub(super) fn exit(&mut self) -> Exit {
        (0..200).find_map(|_| self.step.step().err()).expect("the stage did not end")
    }

    pub(super) fn ranges(&self) -> Vec<(i64, i64)> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|seen| seen.range.unwrap()).map(|range| (range.from(), range.to())).collect()
    }
}

/// A batch of one message an outcome, of two rows each; it ends with a hole of one offset.
pub(super) fn batch(from: i64, outcomes: &[Outcome], budget: &MemoryBudget) -> ValidBatch {
    let bytes = b"<book/>".to_vec();
    let messages = |index: usize| RawMessage {
        offset: from + index as i64,
        timestamp_us: Some(1),
        key: None,
        payload: (outcomes[index] != Outcome::Tombstone).then_some(0..7),
        headers: Vec::new(),
    };
    let raw = RawBatch {
        source: source(),
        generation: 1,
        seq: 0,
        range: OffsetRange::new(from, from + outcomes.len() as i64 + 1).unwrap(),
        messages: (0..outcomes.len()).map(messages).collect(),
        permit: budget.take(bytes.len() as u64),
        piece: Piece::WHOLE,
        slot: None,
        bytes,
    };
    let has_rows = |outcome: Outcome| matches!(outcome, Outcome::Rows | Outcome::Partial);
    let is_bad = |outcome: Outcome| matches!(outcome, Outcome::Quarantined | Outcome::Partial);
    let ledger = outcomes.iter().enumerate().map(|(index, outcome)| LedgerRow {
        offset: from + index as i64,
        timestamp_us: Some(1),
        outcome: *outcome,
        table: (*outcome != Outcome::Tombstone).then_some(0),
        rows: if has_rows(*outcome) { ROWS } else { 0 },
        code: is_bad(*outcome).then_some(Code::XML_SYNTAX),
    });
    let letters = (0..outcomes.len()).filter(|index| is_bad(outcomes[*index])).map(|index| DeadLetter {
        table: Some(0),
        message: index as u32,
        violations: vec![Violation {
            code: Code::XML_SYNTAX,
            column: None,
            path: None,
            line: None,
            byte_offset: None,
            value: None,
            message: "bad".to_owned(),
        }],
    });
    let good: Vec<u32> = (0..outcomes.len() as u32).filter(|index| has_rows(outcomes[*index as usize])).collect();
    let message: Vec<u32> = good.iter().flat_map(|index| [*index; ROWS as usize]).collect();
    let offsets: Int64Array = message.iter().map(|index| from + i64::from(*index)).collect();
    let topic: DictionaryArray<Int32Type> = message.iter().map(|_| "library").collect();
    let count = message.len();
    let times = TimestampMicrosecondArray::from_iter_values(message.iter().map(|_| 1)).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(offsets.clone()),
        Arc::new(topic),
        Arc::new(Int32Array::from(vec![0; count])),
        Arc::new(offsets),
        Arc::new(times),
        Arc::new((0..count as i32).map(|row| row % ROWS as i32).collect::<Int32Array>()),
    ];
    let schema = table(RawSettings::default()).mapping.raw_schema();
    let tables = if count == 0 {
        Vec::new()
    } else {
        vec![TableRows { table: 0, rows: RecordBatch::try_new(schema, columns).unwrap(), message }]
    };
    let permit = raw.permit.beside(0);
    ValidBatch {
        ledger: ledger.collect(),
        dead_letters: letters.collect(),
        tables,
        raw: Arc::new(raw),
        permit,
        room: None,
    }
}
