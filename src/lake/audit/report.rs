//! What an audit found, in the shape that `audit --json` prints.

use std::fmt;

use serde::Serialize;

use crate::model::offset::TopicPartition;

/// The verdict on everything that was audited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether every invariant holds.
    pub ok: bool,
    /// One for each invariant that was checked.
    pub invariants: Vec<Invariant>,
    /// What the ledger says of each table.
    pub tables: Vec<TableSummary>,
}

impl Report {
    /// A report of these invariants.
    pub fn new(invariants: Vec<Invariant>, tables: Vec<TableSummary>) -> Self {
        Self { ok: invariants.iter().all(|invariant| invariant.ok), invariants, tables }
    }
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
}

impl Violation {
    /// Something wrong at a path.
    pub fn at(path: impl fmt::Display, what: impl Into<String>) -> Self {
        Self { what: what.into(), path: Some(path.to_string()), ..Self::default() }
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
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
