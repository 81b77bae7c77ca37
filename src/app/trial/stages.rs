//! The daemon's own stages on a batch of messages: parser and rules, or well-formedness alone.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use jiff::Timestamp;

use super::answer::{Answer, AnswerTable, Layout};
use super::input::{Batch, Payload, Taken};
use crate::config::LimitSettings;
use crate::fault::Fault;
use crate::flow::parse::{Parser, ParserTable, Room, Route, WellFormed, parse_steadily, too_long};
use crate::flow::validate::{self, Rules};
use crate::model::batch::{Outcome, Piece, RawBatch, RawMessage, TableIndex, TableRows};
use crate::model::budget::MemoryBudget;
use crate::model::drift::{Drift, DriftPath};
use crate::model::mapping::{Dtd, Limits, Mapping};
use crate::model::offset::{OffsetRange, TopicPartition};
use crate::model::room::RowRoom;
use crate::model::table::{OnOutOfRange, QuarantineSettings, RawSettings, StartingOffsets, Table, TopicChoice};
use crate::model::violation::Violation;

/// Whoever judges messages.
pub(super) struct Judge {
    limits: Limits,
    by: By,
}

enum By {
    Form(Box<WellFormed>),
    Mapping(Box<Stages>),
}

/// The parser and the rules of the one table that a mapping stands for.
struct Stages {
    tables: Arc<[ParserTable]>,
    parser: Parser,
    rules: Rules,
    /// The table and its child tables, by [`TableIndex`].
    layouts: Vec<Layout>,
    /// What came and no column takes.
    drift: Drift,
    /// The messages have offsets as if they came from Kafka: the one of the next.
    position: i64,
    /// What a daemon has that is told nothing else.
    room: Room,
}

impl Judge {
    /// One that asks whether messages are well-formed, by the limits and the policy of a mapping that names none.
    pub(super) fn of_form() -> Self {
        let limits = Limits::default();
        Self { limits, by: By::Form(Box::new(WellFormed::new(limits, Dtd::Refuse))) }
    }

    /// One that makes rows.
    ///
    /// # Errors
    ///
    /// A mapping that is too large for a program.
    pub(super) fn by_mapping(mapping: Mapping) -> Result<Self, Fault> {
        let limits = mapping.limits;
        Ok(Self { limits, by: By::Mapping(Box::new(Stages::new(mapping)?)) })
    }

    /// Bytes that a message may have.
    pub(super) fn longest(&self) -> u64 {
        self.limits.bytes
    }

    /// What came and no column takes, where the mapping counts that, with the name of the child table whose row it was
    /// in: by table, the most frequent first.
    pub(super) fn untaken(&self) -> Vec<(Option<&str>, DriftPath)> {
        let By::Mapping(stages) = &self.by else { return Vec::new() };
        let tables = (0..).zip(&stages.layouts);
        let paths = |(table, layout)| stages.drift.paths(table).into_iter().map(move |path| (name_of(layout), path));
        tables.flat_map(paths).collect()
    }

    /// Judges a batch, as far as there is room for its rows; the rest of it is given back.
    ///
    /// # Errors
    ///
    /// A fault of the stages themselves. Nothing that a message may hold leads to one.
    pub(super) fn judge(&mut self, batch: Batch) -> Result<(Judged<'_>, Option<Batch>), Fault> {
        let Batch { bytes, messages: mut taken } = batch;
        let limits = self.limits;
        match &mut self.by {
            By::Form(judge) => {
                let mut verdicts = Vec::with_capacity(taken.len());
                for payload in taken.iter().filter_map(Taken::held) {
                    let violation = judge.check(&bytes[payload.start as usize..payload.end as usize]).err();
                    let outcome = if violation.is_some() { Outcome::Quarantined } else { Outcome::Rows };
                    verdicts.push((outcome, violation.into_iter().map(|violation| *violation).collect()));
                }
                Ok((Judged::new(bytes, taken, verdicts, Vec::new(), &[], &limits), None))
            }
            By::Mapping(stages) => {
                let payloads: Vec<Range<u32>> = taken.iter().filter_map(Taken::held).cloned().collect();
                let (bytes, verdicts, tables) = stages.judge(bytes, &payloads)?;
                let mut held = (0..taken.len()).filter(|&number| taken[number].held().is_some());
                let rest = held.nth(verdicts.len()).map(|first| taken.split_off(first));
                let rest = rest.map(|messages| Batch { bytes: bytes.clone(), messages });
                Ok((Judged::new(bytes, taken, verdicts, tables, &stages.layouts, &limits), rest))
            }
        }
    }
}

fn name_of(layout: &Layout) -> Option<&str> {
    layout.child.as_deref()
}

impl Taken {
    fn held(&self) -> Option<&Range<u32>> {
        match &self.payload {
            Payload::Held(span) => Some(span),
            Payload::TooLong(_) => None,
        }
    }
}

type Verdicts = Vec<(Outcome, Vec<Violation>)>;

impl Stages {
    fn new(mapping: Mapping) -> Result<Self, Fault> {
        let tables: Arc<[ParserTable]> = Arc::from(vec![ParserTable::compile(&mapping)?]);
        let layouts = Layout::of(&mapping);
        let rules = Rules::new(&[table(mapping)], Arc::clone(&tables))?;
        let (parser, drift) = (Parser::new(Arc::clone(&tables)), Drift::default());
        let room = RowRoom::new(LimitSettings::default().memory, 1);
        let room = Room { batch: room.piece(), first: Some(room.message()) };
        Ok(Self { parser, tables, rules, layouts, drift, position: 0, room })
    }

    /// The verdicts for the first messages, as far as there is room for their rows: for one at least.
    fn judge(&mut self, bytes: Vec<u8>, payloads: &[Range<u32>]) -> Result<(Vec<u8>, Verdicts, Vec<TableRows>), Fault> {
        let (from, source) = (self.position, TopicPartition::new("try", 0));
        let message = |(offset, payload): (i64, &Range<u32>)| RawMessage {
            offset,
            timestamp_us: None,
            key: None,
            payload: Some(payload.clone()),
            headers: Vec::new(),
        };
        let messages: Vec<RawMessage> = (from..).zip(payloads).map(message).collect();
        let count = messages.len();
        let range = OffsetRange::new(from, messages.last().map_or(from, |last| last.offset + 1))
            .ok_or_else(|| Fault::internal("try.offsets", "more messages than there are offsets"))?;
        // What bounds the memory of a trial is the size of its batches.
        let permit = MemoryBudget::new(u64::MAX).take(bytes.len() as u64);
        let raw =
            RawBatch { source, generation: 0, seq: 0, range, bytes, messages, permit, piece: Piece::WHOLE, slot: None };
        let raw = Arc::new(raw);
        let tables = Arc::clone(&self.tables);
        let fresh = || Parser::new(Arc::clone(&tables));
        let mut parsed = parse_steadily(&mut self.parser, fresh, &raw, &Route::from(Some(0)), Some(self.room))?;
        if parsed.verdicts.len() < count {
            let (head, _) = raw.cut(parsed.verdicts.len()).ok_or_else(|| of_batch("cannot be cut"))?;
            parsed.raw = Arc::new(head);
        }
        self.position = parsed.raw.range.to();
        validate::check(&parsed, from, |table| self.rules.top(table))?;
        self.drift.add(&parsed.drift);
        let valid = self.rules.apply(parsed, Timestamp::now())?;
        let mut verdicts: Verdicts = valid.ledger.iter().map(|row| (row.outcome, Vec::new())).collect();
        for letter in valid.dead_letters {
            if let Some((_, violations)) = verdicts.get_mut(letter.message as usize) {
                *violations = letter.violations;
            }
        }
        drop(valid.raw);
        let raw = Arc::into_inner(raw).ok_or_else(|| of_batch("is kept by stages that are done with it"))?;
        Ok((raw.bytes, verdicts, valid.tables))
    }
}

fn of_batch(what: &str) -> Fault {
    Fault::internal("try.batch", format!("a batch {what}"))
}

/// The table of a configuration that says nothing beside the mapping.
fn table(mapping: Mapping) -> Table {
    Table {
        name: Arc::from(mapping.name.as_str()),
        topics: TopicChoice::List(Vec::new()),
        when: None,
        mapping: Arc::new(mapping),
        starting_offsets: StartingOffsets::Earliest,
        on_offset_out_of_range: OnOutOfRange::Fail,
        raw: RawSettings::default(),
        quarantine: QuarantineSettings::default(),
        stop_when: None,
        processed: None,
    }
}

/// A batch and what became of it.
pub(super) struct Judged<'j> {
    bytes: Vec<u8>,
    taken: Vec<Taken>,
    /// One for each of `taken`.
    verdicts: Verdicts,
    /// For each part of a table the message that its rows come from, as indices into `taken`.
    parts: Vec<Part>,
    layouts: &'j [Layout],
}

struct Part {
    table: TableIndex,
    rows: RecordBatch,
    message: Vec<usize>,
}

impl<'j> Judged<'j> {
    /// `verdicts` are those of the messages that are held; the others are too long by these limits.
    fn new(
        bytes: Vec<u8>,
        taken: Vec<Taken>,
        verdicts: Verdicts,
        tables: Vec<TableRows>,
        layouts: &'j [Layout],
        limits: &Limits,
    ) -> Self {
        let held: Vec<usize> = (0..taken.len()).filter(|&index| taken[index].held().is_some()).collect();
        let part = |TableRows { table, rows, message }: TableRows| {
            let message = message.iter().filter_map(|&message| held.get(message as usize).copied()).collect();
            Part { table, rows, message }
        };
        let parts = tables.into_iter().map(part).collect();
        let mut verdicts = verdicts.into_iter();
        let verdict = |taken: &Taken| match &taken.payload {
            Payload::Held(_) => verdicts.next().unwrap_or((Outcome::Quarantined, Vec::new())),
            Payload::TooLong(bytes) => (Outcome::Quarantined, too_long(*bytes, limits).into_iter().collect()),
        };
        let verdicts = taken.iter().map(verdict).collect();
        Self { bytes, taken, verdicts, parts, layouts }
    }

    /// Gives the answer to each message to `show`, in their order.
    ///
    /// # Errors
    ///
    /// What `show` says first.
    pub(super) fn each<E>(
        &self,
        inputs: &[PathBuf],
        mut show: impl FnMut(&Answer<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut done = vec![0; self.parts.len()];
        for (number, (taken, (outcome, violations))) in self.taken.iter().zip(&self.verdicts).enumerate() {
            let table = |layout| AnswerTable { layout, rows: Vec::new() };
            let mut tables: Vec<AnswerTable<'_>> = self.layouts.iter().map(table).collect();
            for (part, done) in self.parts.iter().zip(&mut done) {
                let of_message = part.message[*done..].iter().take_while(|&&message| message == number).count();
                let rows = *done..*done + of_message;
                *done = rows.end;
                if let Some(table) = tables.get_mut(usize::from(part.table)).filter(|_| of_message > 0) {
                    table.rows.push((&part.rows, rows));
                }
            }
            let payload = taken.held().map(|span| &self.bytes[span.start as usize..span.end as usize]);
            let input = inputs.get(taken.input).map(|input| input.to_string_lossy()).unwrap_or_default();
            let (line, payload) = (taken.line, payload.unwrap_or_default());
            show(&Answer { input: &input, line, outcome: *outcome, tables, violations, payload })?;
        }
        Ok(())
    }
}
