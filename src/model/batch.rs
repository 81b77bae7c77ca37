//! What passes between the stages, in the order of the flow: [`RawBatch`] → [`ParsedBatch`] → [`ValidBatch`].

use std::ops::Range;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use super::budget::MemoryPermit;
use super::offset::{OffsetRange, TopicPartition};
use super::room::RowShare;
use super::slots::LaneSlot;
use super::violation::{Code, Violation};

/// Where a piece of a message lies in [`RawBatch::bytes`].
pub type Span = Range<u32>;

/// One Kafka message of a batch, as spans into the batch's one buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMessage {
    /// Kafka offset.
    pub offset: i64,
    /// Kafka timestamp in microseconds since 1970, UTC; none where the broker gives none.
    pub timestamp_us: Option<i64>,
    /// Message key.
    pub key: Option<Span>,
    /// Message payload; none is a tombstone.
    pub payload: Option<Span>,
    /// Headers as (name, value); a null value is none. Empty for most messages, and then without allocation.
    pub headers: Vec<(Span, Option<Span>)>,
}

/// What a reader took from one Kafka partition in one go.
///
/// All bytes of the batch lie in one buffer. `range` is in consumer positions and may be wider than the offsets of
/// the messages; a batch without messages still moves the position.
#[derive(Debug)]
pub struct RawBatch {
    /// The Kafka partition.
    pub source: TopicPartition,
    /// Incarnation of the lane that read it.
    pub generation: u64,
    /// Place in the order of that incarnation: 0, 1, 2, …
    pub seq: u64,
    /// Which piece it is of what was read in one go.
    pub piece: Piece,
    /// Consumer positions covered.
    pub range: OffsetRange,
    /// Keys, payloads and headers, one after another.
    pub bytes: Vec<u8>,
    /// The messages, by ascending offset.
    pub messages: Vec<RawMessage>,
    /// Share of the memory budget for `bytes`.
    pub permit: MemoryPermit,
    /// Place among the batches of its lane that are under way; taken when the reader hands the batch on.
    pub slot: Option<LaneSlot>,
}

/// A batch whose rows would be too many at once is handed on in pieces, which follow each other in the order of their
/// messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// 0, 1, 2, …
    pub number: u32,
    /// Whether none follows.
    pub is_last: bool,
}

impl Piece {
    /// All of a batch.
    pub const WHOLE: Self = Self { number: 0, is_last: true };
}

impl RawBatch {
    /// The bytes of a span of this batch.
    pub fn slice(&self, span: &Span) -> &[u8] {
        &self.bytes[span.start as usize..span.end as usize]
    }

    /// The first `count` messages and those after them, each as a batch of its own; none when one would have no
    /// message.
    pub fn cut(&self, count: usize) -> Option<(Self, Self)> {
        let (before, after) = self.messages.split_at_checked(count).filter(|(before, _)| !before.is_empty())?;
        let border = after.first()?.offset;
        let Piece { number, is_last } = self.piece;
        let head = (OffsetRange::new(self.range.from(), border)?, Piece { number, is_last: false });
        let tail = (OffsetRange::new(border, self.range.to())?, Piece { number: number.checked_add(1)?, is_last });
        Some((self.part(before, head), self.part(after, tail)))
    }

    fn part(&self, messages: &[RawMessage], (range, piece): (OffsetRange, Piece)) -> Self {
        let mut bytes = Vec::new();
        let mut copy = |span: &Span| {
            // A batch has less than 4 GiB, and so has a part of it.
            let from = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(self.slice(span));
            from..u32::try_from(bytes.len()).unwrap_or(u32::MAX)
        };
        let messages = messages.iter().map(|message| RawMessage {
            key: message.key.as_ref().map(&mut copy),
            payload: message.payload.as_ref().map(&mut copy),
            headers: message.headers.iter().map(|(name, value)| (copy(name), value.as_ref().map(&mut copy))).collect(),
            ..*message
        });
        let messages = messages.collect();
        let permit = self.permit.beside(bytes.len() as u64);
        let (source, slot) = (self.source.clone(), self.slot.clone());
        Self { source, generation: self.generation, seq: self.seq, piece, range, bytes, messages, permit, slot }
    }
}

/// Index of a table (or child table) in the list of tables that a generation of a lane was started with. Those of the
/// configuration keep theirs for as long as the process runs; those of child tables may be others after a reload.
pub type TableIndex = u16;

/// What became of a message. The names in the ledger are those of [`Outcome::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Its rows are in RAW.
    Rows,
    /// Good rows are in RAW, and the message is in quarantine with the violations of its bad ones.
    Partial,
    /// The message is in quarantine with every violation.
    Quarantined,
    /// Left out by a rule.
    Filtered,
    /// Null payload.
    Tombstone,
}

impl Outcome {
    /// Every outcome, in the order of the ledger's dictionary.
    pub const ALL: [Self; 5] = [Self::Rows, Self::Partial, Self::Quarantined, Self::Filtered, Self::Tombstone];

    /// Name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Partial => "partial",
            Self::Quarantined => "quarantined",
            Self::Filtered => "filtered",
            Self::Tombstone => "tombstone",
        }
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// What the parser says of one message.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What becomes of it.
    pub outcome: Outcome,
    /// The table that took it; none when no table does (`_unrouted`) or there is nothing to route.
    pub table: Option<TableIndex>,
    /// Rows it gave to that table, child tables not counted.
    pub rows: u32,
    /// Everything that is wrong with it; empty and without allocation for a good message.
    pub violations: Vec<Violation>,
}

/// Rows for one table; a batch may hold more than one part for the same table. `message[i]` is the index in
/// [`RawBatch::messages`] that row `i` comes from, ascending.
#[derive(Debug)]
pub struct TableRows {
    /// The table.
    pub table: TableIndex,
    /// The rows, in the table's RAW schema.
    pub rows: RecordBatch,
    /// For each row the message it comes from.
    pub message: Vec<u32>,
}

/// A batch after the parser: a verdict for each message, in the same order, and the rows of all of them. Where a parser
/// was given too little room there are verdicts for the first messages only, and rows of those.
///
/// Rows of a message that ends in quarantine are never in `tables`.
#[derive(Debug)]
pub struct ParsedBatch {
    /// What was parsed. Shared, because the lease of the worker keeps it until the batch is handed on.
    pub raw: Arc<RawBatch>,
    /// One for each of `raw.messages`.
    pub verdicts: Vec<Verdict>,
    /// Rows by table, in the order of the messages; a table without rows is left out.
    pub tables: Vec<TableRows>,
    /// What arrived and no column takes, where the mapping wants it counted. A batch that is parsed again counts again.
    pub drift: Vec<DriftCount>,
    /// Share of the memory budget for `tables`.
    pub permit: MemoryPermit,
    /// Share of the room for rows.
    pub room: Option<RowShare>,
}

/// How often something arrived that no column takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriftCount {
    /// The table (or child table) whose row it was in; the table of the mapping for what was in no row.
    pub table: TableIndex,
    /// What it is.
    pub kind: DriftKind,
    /// Its path as a mapping would write it: from the row, or with a leading slash from the root. [`DRIFT_REST`] stands
    /// for all paths beyond [`DRIFT_PATHS`], and for those longer than [`DRIFT_PATH_BYTES`].
    pub path: Arc<str>,
    /// How often.
    pub count: u64,
    /// Values that it had, distinct and shortened; not of every batch.
    pub examples: Vec<String>,
}

/// What it is that no column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DriftKind {
    /// An element without children.
    Element,
    /// An attribute.
    Attribute,
    /// Text of an element that has children, or of which columns take only other things.
    Text,
}

/// Paths of a mapping that are counted apart in one batch.
pub const DRIFT_PATHS: usize = 1000;

/// Bytes of a path that is counted apart: a message may make paths as long as it likes.
pub const DRIFT_PATH_BYTES: usize = 1000;

/// The path under which everything is counted that is not counted apart.
pub const DRIFT_REST: &str = "…";

/// One row of the ledger: what became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// Kafka offset.
    pub offset: i64,
    /// Kafka timestamp in microseconds, UTC.
    pub timestamp_us: Option<i64>,
    /// What became of it.
    pub outcome: Outcome,
    /// The table that took it.
    pub table: Option<TableIndex>,
    /// Its rows in that table.
    pub rows: u32,
    /// Its first violation.
    pub code: Option<Code>,
}

/// A message on its way to quarantine.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// The table that took it; none is `_unrouted`.
    pub table: Option<TableIndex>,
    /// Index in [`RawBatch::messages`].
    pub message: u32,
    /// Everything that is wrong with it.
    pub violations: Vec<Violation>,
}

/// A batch after the validator: in order, complete, good rows and dead letters apart. Ready for files.
#[derive(Debug)]
pub struct ValidBatch {
    /// The batch it came from; dead letters point into it.
    pub raw: Arc<RawBatch>,
    /// One row for each message, by ascending offset.
    pub ledger: Vec<LedgerRow>,
    /// Good rows by table.
    pub tables: Vec<TableRows>,
    /// Messages for quarantine.
    pub dead_letters: Vec<DeadLetter>,
    /// Share of the memory budget for `tables`.
    pub permit: MemoryPermit,
    /// Share of the room for rows.
    pub room: Option<RowShare>,
}
