//! What an audit found, in the shape that `audit --json` prints.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::model::offset::TopicPartition;

/// The verdict on everything that was audited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether every invariant holds, and everything was looked at.
    pub ok: bool,
    /// One for each invariant that was checked.
    pub invariants: Vec<Invariant>,
    /// What the ledger says of each table.
    pub tables: Vec<TableSummary>,
    /// What the ledger says of each Kafka partition.
    pub partitions: Vec<LaneSummary>,
    /// What could not be looked at, so that nothing is proved of it.
    pub unread: Vec<Unread>,
    /// What was not compared with Kafka, which is no part of the lake: it speaks neither for it nor against it.
    pub not_compared: Vec<NotCompared>,
}

impl Report {
    /// A report of these invariants.
    pub fn new(invariants: Vec<Invariant>, tables: Vec<TableSummary>) -> Self {
        Self { invariants, tables, ..Self::default() }.judged()
    }

    /// The same with its verdict.
    #[must_use]
    pub fn judged(self) -> Self {
        Self { ok: self.unread.is_empty() && self.invariants.iter().all(|invariant| invariant.ok), ..self }
    }
}

/// Something that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// The Kafka partition, the table, …
    pub what: String,
    /// Why not.
    pub why: String,
    /// What came of it.
    #[serde(skip)]
    pub fault: Fault,
}

impl Unread {
    /// Because of this fault.
    pub fn new(what: impl Into<String>, fault: Fault) -> Self {
        Self { what: what.into(), why: fault.message.clone(), fault }
    }
}

/// Something that Kafka was not asked about, or did not answer for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotCompared {
    /// `kafka`, or a topic.
    pub what: String,
    /// Why not.
    pub why: String,
}

/// One named promise and what speaks against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invariant {
    /// `I1`, `I2`, …
    pub id: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// How many things were checked: intervals, messages, rows.
    pub checked: u64,
    /// Everything that speaks against it.
    pub violations: Vec<Violation>,
}

impl Invariant {
    /// The verdict on `checked` things.
    pub fn new(id: &'static str, checked: u64, violations: Vec<Violation>) -> Self {
        Self { id, ok: violations.is_empty(), checked, violations }
    }
}

/// What kind of thing is not as promised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flaw {
    /// The file does not say, or hold, what it should.
    #[default]
    Content,
    /// The file is named and not there.
    Missing,
    /// The file has another length than it should.
    Short,
    /// Nothing names the file.
    Unnamed,
}

/// One thing that is not as promised.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What is wrong, one sentence.
    pub what: String,
    /// The file, below the root.
    pub path: Option<String>,
    /// Kafka topic.
    pub topic: Option<String>,
    /// Partition of the topic.
    pub partition: Option<i32>,
    /// Kafka offset.
    pub offset: Option<i64>,
    /// Its kind.
    #[serde(skip)]
    pub flaw: Flaw,
}

impl Violation {
    /// Something wrong at a path.
    pub fn at(path: impl fmt::Display, what: impl Into<String>) -> Self {
        Self { what: what.into(), path: Some(path.to_string()), ..Self::default() }
    }

    /// The same, of another kind.
    #[must_use]
    pub fn as_flaw(self, flaw: Flaw) -> Self {
        Self { flaw, ..self }
    }

    /// The same, of a Kafka partition and an offset.
    #[must_use]
    pub fn of(mut self, source: &TopicPartition, offset: i64) -> Self {
        self.topic = Some(source.topic.to_string());
        self.partition = Some(source.partition);
        self.offset = Some(offset);
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(topic), Some(partition)) = (&self.topic, self.partition) {
            write!(f, "{topic}:{partition}")?;
            self.offset.map_or(Ok(()), |offset| write!(f, " offset {offset}"))?;
            f.write_str(": ")?;
        }
        f.write_str(&self.what)?;
        self.path.as_ref().map_or(Ok(()), |path| write!(f, " ({path})"))
    }
}

/// What the ledger says of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSummary {
    /// The table, or `_unrouted`.
    pub table: String,
    /// Messages it took.
    pub messages: u64,
    /// Rows in RAW.
    pub rows: u64,
    /// Messages in quarantine.
    pub quarantined: u64,
    /// Data files.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
}

impl TableSummary {
    pub(super) fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.rows += other.rows;
        self.quarantined += other.quarantined;
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// What the ledger says of one Kafka partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneSummary {
    /// Topic, as the lake calls it.
    pub topic: String,
    /// Partition of the topic.
    pub partition: i32,
    /// Where its chain begins; none without one.
    pub from: Option<i64>,
    /// Where it ends.
    pub to: Option<i64>,
    /// Ledger files.
    pub intervals: u64,
    /// Messages.
    pub messages: u64,
    /// Rows in RAW.
    pub rows: u64,
    /// Messages in quarantine.
    pub quarantined: u64,
    /// Messages without a payload.
    pub tombstones: u64,
    /// First offset that Kafka has; none when it was not compared.
    pub low: Option<i64>,
    /// End of the Kafka partition; none when it was not compared.
    pub high: Option<i64>,
}

impl LaneSummary {
    pub(super) fn of(source: &TopicPartition) -> Self {
        Self { topic: source.topic.to_string(), partition: source.partition, ..Self::default() }
    }
}
