//! A table as the daemon runs it: which topics feed it, how its files roll, how it is promoted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use regex::Regex;

use super::batch::TableIndex;
use super::mapping::{Mapping, Name};
use super::offset::TopicPartition;

/// One `[[table]]` of the configuration, checked and complete.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Name in the lake.
    pub name: Arc<str>,
    /// Which topics feed it.
    pub topics: TopicChoice,
    /// Which of their messages; none: all that no table before it takes.
    pub when: Option<When>,
    /// How its messages become rows.
    pub mapping: Arc<Mapping>,
    /// Where a Kafka partition without a chain begins.
    pub starting_offsets: StartingOffsets,
    /// What happens when the position is no longer on the broker.
    pub on_offset_out_of_range: OnOutOfRange,
    /// How its RAW files roll.
    pub raw: RawSettings,
    /// What is kept of its bad messages, and who is told of them.
    pub quarantine: QuarantineSettings,
    /// When a lane that feeds it halts because too many of the messages that it took fail; none: never.
    pub stop_when: Option<StopRule>,
    /// How it is promoted; none: RAW only.
    pub processed: Option<ProcessedSettings>,
}

/// A table that has rows: one of the configuration, or a child table of one.
#[derive(Debug, Clone)]
pub struct RowTable {
    /// Name in the lake.
    pub name: Arc<str>,
    /// The table of the configuration that it is or belongs to, which has the settings for its files.
    pub top: TableIndex,
    /// Schema of its rows in RAW.
    pub schema: SchemaRef,
    /// Name of its column `row_index`.
    pub row_index: Arc<str>,
}

/// Every table that has rows, by [`TableIndex`]: those of the configuration, then their child tables, those of the
/// first in the order of [`Mapping::descendants`], then those of the second, and so on. None when there are more than
/// can be numbered.
pub fn row_tables(tables: &[Table]) -> Option<Vec<RowTable>> {
    let mut all = Vec::new();
    let row_index = |table: &Table| Arc::clone(&table.mapping.lineage.names[4]);
    for (top, table) in (0..).zip(tables) {
        let (name, schema) = (Arc::clone(&table.name), table.mapping.raw_schema());
        all.push(RowTable { name, top, schema, row_index: row_index(table) });
    }
    for (top, table) in (0..).zip(tables) {
        all.extend(table.mapping.descendants().into_iter().map(|(child, depth)| RowTable {
            name: Arc::from(child.name.as_str()),
            top,
            schema: child.raw_schema(depth > 1, &table.mapping.lineage),
            row_index: row_index(table),
        }));
    }
    (all.len() <= usize::from(TableIndex::MAX)).then_some(all)
}

/// What is kept of a table's bad messages, and who is told of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuarantineSettings {
    /// What of the payload goes to quarantine.
    pub payload: PayloadKept,
    /// Dead-letter topic that committed quarantine is sent to; none: it stays in the lake.
    pub topic: Option<String>,
}

/// What of the payload of a bad message goes to quarantine; from the least strict to the strictest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PayloadKept {
    /// Its bytes.
    #[default]
    Keep,
    /// Its SHA-256, and nothing that tells a piece of it.
    Digest,
    /// Nothing.
    None,
}

/// What is kept of the payload of messages that no table takes: no more than the strictest of the tables keeps.
pub fn unrouted_payload(tables: &[Table]) -> PayloadKept {
    tables.iter().map(|table| table.quarantine.payload).max().unwrap_or_default()
}

/// What happens about messages that no table takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnroutedSettings {
    /// Dead-letter topic that they are sent to once they are committed; none: they stay in the lake.
    pub topic: Option<String>,
    /// When a lane halts because no table takes too many of its messages; none: never.
    pub stop_when: Option<StopRule>,
}

/// A lane halts as soon as more than a share of the last messages failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopRule {
    /// The share, in millionths.
    pub failed_ppm: u32,
    /// How many messages the share is of.
    pub of: u32,
}

/// Which topics feed a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicChoice {
    /// These.
    List(Vec<String>),
    /// All that this regular expression matches (it begins with `^`, as librdkafka wants it; `check` has compiled it).
    Pattern(String),
}

impl TopicChoice {
    /// Whether this table takes messages of `topic`. Asked once for a lane, not once for a message.
    pub fn takes(&self, topic: &str) -> bool {
        match self {
            Self::List(topics) => topics.iter().any(|listed| listed == topic),
            Self::Pattern(pattern) => Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(topic)),
        }
    }
}

/// Which messages of a topic a table takes, where several tables share the topic: the first in the order of the file
/// whose conditions all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    /// The root element.
    pub root: Option<Name>,
    /// A header.
    pub header: Option<HeaderIs>,
}

/// A header that a message must have; of several of that name one is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderIs {
    /// Its name.
    pub name: String,
    /// Its value, in UTF-8.
    pub value: String,
}

/// Where a Kafka partition without a chain begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartingOffsets {
    /// At the first message that the broker still has.
    Earliest,
    /// At the end.
    Latest,
    /// At these offsets; other Kafka partitions at the first message.
    Offsets(BTreeMap<TopicPartition, i64>),
    /// At the first message of that time (microseconds, UTC) or later.
    Timestamp(i64),
}

/// What happens when the position is no longer on the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOutOfRange {
    /// The lane halts and says so.
    Fail,
    /// It goes on at the first message, and the loss is recorded.
    Earliest,
    /// It goes on at the end, and the loss is recorded.
    Latest,
}

/// Compression of Parquet pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// None.
    None,
    /// Snappy.
    Snappy,
    /// LZ4 (raw).
    Lz4,
    /// Zstandard of a level, 1 to 22.
    Zstd(i32),
}

/// How RAW files roll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawSettings {
    /// At this many encoded bytes.
    pub roll_bytes: u64,
    /// At this many rows.
    pub roll_rows: u64,
    /// At this age of the first message in the file.
    pub roll_age: Duration,
    /// After this long without a message.
    pub roll_idle: Option<Duration>,
    /// Page compression.
    pub compression: Compression,
}

impl Default for RawSettings {
    fn default() -> Self {
        Self {
            roll_bytes: 128 << 20,
            roll_rows: 5_000_000,
            roll_age: Duration::from_secs(300),
            roll_idle: None,
            compression: Compression::Zstd(1),
        }
    }
}

/// How a table is promoted.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessedSettings {
    /// Columns that identify a record.
    pub record_id: Vec<String>,
    /// Column that says which version is newer.
    pub version: Option<String>,
    /// Column that gives `dt`.
    pub date: String,
    /// Zone (IANA name) in which a timestamp becomes a date.
    pub date_zone: String,
    /// What happens to a row without a good date.
    pub on_bad_date: OnBadDate,
    /// Earliest good date.
    pub date_min: DateBound,
    /// Latest good date.
    pub date_max: DateBound,
    /// What happens to replaced files.
    pub retire: Retire,
}

/// What happens to a row without a good date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBadDate {
    /// Violation `rule.date`.
    Quarantine,
    /// Path partition `__HIVE_DEFAULT_PARTITION__`.
    Bucket,
}

/// A bound on dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateBound {
    /// A calendar date.
    Date(jiff::civil::Date),
    /// Days after (or before) the Kafka timestamp of the message; its receipt where there is none.
    Relative(i32),
}

/// What happens to replaced files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retire {
    /// Moved to trash at once, so that directory readers converge.
    Immediate,
    /// Left for readers of old snapshots for this long.
    Vacuum(Duration),
}
