//! What a ledger file says of its interval in its footer: enough to audit everything that lies in the lake.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};
use serde::{Deserialize, Serialize};

use super::LakeError;
use super::mutate;
use super::names::{IntervalName, UNROUTED};
use super::rfc3339;
use crate::model::batch::Outcome;
use crate::model::offset::{Epoch, LastMessage, OffsetRange, TopicPartition};
use crate::storage::{Kind, LakePath, Storage};

/// Key of the footer in the Parquet file's metadata.
pub const FOOTER_KEY: &str = "forebay.interval";

/// How much of a file's end is read first. Footers are smaller, so one look at the storage is the rule.
const TAIL_BYTES: u64 = 64 << 10;

/// Where a data file lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Zone {
    /// Rows of a table.
    Raw,
    /// Messages kept aside with their reasons.
    Quarantine,
}

/// One data file of an interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Where it lies.
    pub zone: Zone,
    /// The table (a child table is a table), or `_unrouted`.
    pub table: String,
    /// Path below the root.
    pub path: String,
    /// Length.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// CRC-32 of the whole file.
    pub crc32: u32,
}

/// Sums over the messages that one table took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSum {
    /// Messages; 0 for a child table.
    pub messages: u64,
    /// Rows in RAW.
    pub rows: u64,
    /// Messages in quarantine.
    pub quarantined: u64,
}

/// Sums over the rows of a ledger file, made while it is written and again when it is audited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Messages in the interval.
    pub messages: u64,
    /// Messages by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Sums by table; `_unrouted` for messages in quarantine that no table took.
    pub tables: BTreeMap<String, TableSum>,
    /// Earliest Kafka timestamp, microseconds.
    pub min_timestamp_us: Option<i64>,
    /// Latest Kafka timestamp, microseconds.
    pub max_timestamp_us: Option<i64>,
}

impl Sums {
    /// Counts one message.
    pub fn add(&mut self, timestamp_us: Option<i64>, outcome: Outcome, table: Option<&str>, rows: u64) {
        self.add_run(1, timestamp_us, timestamp_us, outcome, table, rows);
    }

    /// Counts `messages` of one outcome and one table at once.
    pub fn add_run(
        &mut self,
        messages: u64,
        min_us: Option<i64>,
        max_us: Option<i64>,
        outcome: Outcome,
        table: Option<&str>,
        rows: u64,
    ) {
        self.messages += messages;
        add(&mut self.outcomes, outcome.name(), |count| *count += messages);
        self.min_timestamp_us = earliest(self.min_timestamp_us, min_us);
        self.max_timestamp_us = self.max_timestamp_us.max(max_us);
        let in_quarantine = matches!(outcome, Outcome::Quarantined | Outcome::Partial);
        if let Some(table) = table.or_else(|| in_quarantine.then_some(UNROUTED)) {
            add(&mut self.tables, table, |sum| {
                sum.messages += messages;
                sum.rows += rows;
                sum.quarantined += if in_quarantine { messages } else { 0 };
            });
        }
    }

    /// Rows of child tables are in no ledger row: they are counted from their files.
    pub fn add_children(&mut self, files: &[DataFile]) {
        for file in files.iter().filter(|file| file.zone == Zone::Raw) {
            if self.tables.get(&file.table).is_none_or(|sum| sum.messages == 0) {
                add(&mut self.tables, &file.table, |sum| sum.rows += file.rows);
            }
        }
    }
}

fn earliest(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Changes the value of a key, which is copied only when it is new.
fn add<T: Default>(map: &mut BTreeMap<String, T>, key: &str, change: impl FnOnce(&mut T)) {
    match map.get_mut(key) {
        Some(value) => change(value),
        None => change(map.entry(key.to_owned()).or_default()),
    }
}

/// A mapping that made rows of this interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingUsed {
    /// The table.
    pub table: String,
    /// Name of the mapping.
    pub name: String,
    /// Its version.
    pub version: u32,
}

/// Offsets that are gone for good, and who accepted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// First position that is lost.
    pub from: i64,
    /// First position after.
    pub to: i64,
    /// Why, in the operator's or the policy's words.
    pub reason: String,
}

/// The footer of a ledger file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntervalFooter {
    /// Kafka topic.
    pub topic: String,
    /// Kafka's id of the topic, where known.
    pub topic_id: Option<String>,
    /// Kafka cluster, where known.
    pub cluster_id: Option<String>,
    /// Partition of the topic.
    pub partition: i32,
    /// First consumer position covered.
    pub from: i64,
    /// First consumer position after.
    pub to: i64,
    /// Epoch of the owner.
    pub epoch: u64,
    /// Where this ledger file belongs, below the root: while it is not there, the interval is not committed.
    pub ledger: String,
    /// When it was staged, by the storage's clock.
    #[serde(with = "rfc3339")]
    pub staged_at: Timestamp,
    /// Sums over its rows.
    #[serde(flatten)]
    pub sums: Sums,
    /// Mappings in use.
    pub mappings: Vec<MappingUsed>,
    /// Version of Forebay.
    pub software: String,
    /// Every data file of the interval.
    pub files: Vec<DataFile>,
    /// Set when the interval stands for messages that are gone.
    pub lost: Option<Lost>,
    /// Its last message; none when there is none, or the file is older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastMessage>,
}

impl IntervalFooter {
    /// The name of all files of the interval; `None` for a footer that makes no sense.
    pub fn name(&self) -> Option<IntervalName> {
        let range = OffsetRange::new(self.from, self.to)?;
        let source = TopicPartition::new(self.topic.as_str(), self.partition);
        Some(IntervalName { source, range, epoch: Epoch(self.epoch) })
    }

    /// Where the ledger file belongs.
    pub fn ledger_path(&self) -> Option<LakePath> {
        LakePath::parse(&self.ledger)
    }

    /// Why the sums over the ledger's rows and the data files do not tell the same story; none when they do.
    pub fn disagreement(&self) -> Option<String> {
        let rows_of = |zone, table: &str| -> u64 {
            let files = self.files.iter().filter(|file| file.zone == zone && file.table == table);
            files.map(|file| file.rows).sum()
        };
        for (table, sum) in &self.sums.tables {
            for (zone, in_ledger) in [(Zone::Raw, sum.rows), (Zone::Quarantine, sum.quarantined)] {
                let in_files = rows_of(zone, table);
                if in_files != in_ledger {
                    let zone = if zone == Zone::Raw { "raw" } else { "quarantine" };
                    return Some(format!("{in_ledger} rows for {zone} of `{table}`, its files hold {in_files}"));
                }
            }
        }
        let stray = self.files.iter().find(|file| !self.sums.tables.contains_key(&file.table))?;
        Some(format!("no row for `{}`, its file holds {}", stray.table, stray.rows)).filter(|_| stray.rows > 0)
    }

    /// The footer in the metadata of a Parquet file; `None` when the file has none or it cannot be read.
    pub fn in_metadata(metadata: &ParquetMetaData) -> Option<Self> {
        let pairs = metadata.file_metadata().key_value_metadata()?;
        let value = pairs.iter().find(|pair| pair.key == FOOTER_KEY)?.value.as_deref()?;
        serde_json::from_str(value).ok()
    }
}

/// Reads the footer of a ledger file of known length, from the file's end alone.
///
/// # Errors
///
/// [`LakeError::Corrupt`] when the file is not a whole ledger file, or what storage answered.
pub fn read_footer(storage: &dyn Storage, path: &LakePath, bytes: u64) -> Result<IntervalFooter, LakeError> {
    let metadata = read_metadata(storage, path, bytes)?;
    IntervalFooter::in_metadata(&metadata).ok_or_else(|| corrupt(path, "it has no interval footer"))
}

/// The footer of a ledger file that was read whole.
///
/// # Errors
///
/// [`LakeError::Corrupt`] when it is no whole ledger file.
pub(super) fn footer_of(path: &LakePath, content: &Bytes) -> Result<IntervalFooter, LakeError> {
    let length = footer_length(path, content)?;
    let at = (content.len() as u64).checked_sub(length).ok_or_else(|| corrupt(path, LONGER))?;
    let metadata = decode(path, &content.slice(at as usize..content.len() - 8))?;
    IntervalFooter::in_metadata(&metadata).ok_or_else(|| corrupt(path, "it has no interval footer"))
}

/// Reads the Parquet metadata of a file of known length: one range read, two when the footer is long.
///
/// # Errors
///
/// [`LakeError::Corrupt`] when the file is not whole Parquet, or what storage answered.
pub fn read_metadata(storage: &dyn Storage, path: &LakePath, bytes: u64) -> Result<ParquetMetaData, LakeError> {
    let tail = read_range(storage, path, bytes.saturating_sub(TAIL_BYTES), bytes)?;
    let length = footer_length(path, &tail)?;
    let footer = if length <= tail.len() as u64 {
        tail.slice(tail.len() - length as usize..tail.len() - 8)
    } else if length <= bytes {
        read_range(storage, path, bytes - length, bytes - 8)?
    } else {
        return Err(corrupt(path, LONGER));
    };
    decode(path, &footer)
}

const LONGER: &str = "its footer is longer than the file";

/// Bytes of the footer, with the eight that end the file, by the end of the file.
fn footer_length(path: &LakePath, tail: &[u8]) -> Result<u64, LakeError> {
    let Some((_, last)) = tail.split_last_chunk::<8>() else {
        return Err(corrupt(path, "it is shorter than any Parquet file"));
    };
    let tail = FooterTail::try_new(last).map_err(|_| corrupt(path, "it does not end like a Parquet file"))?;
    Ok(tail.metadata_length() as u64 + 8)
}

fn decode(path: &LakePath, footer: &[u8]) -> Result<ParquetMetaData, LakeError> {
    ParquetMetaDataReader::decode_metadata(footer).map_err(|_| corrupt(path, "its footer cannot be read"))
}

/// Reads a piece of a file; one that storage says is no whole file is damaged.
pub(super) fn read_range(storage: &dyn Storage, path: &LakePath, from: u64, to: u64) -> Result<Bytes, LakeError> {
    match storage.read(path, from, to) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind == Kind::Corrupt => Err(corrupt(path, &error.message)),
        Err(error) => Err(error.into()),
    }
}

/// [`read_footer`] of a file whose length is not known yet; `None` when there is no file.
///
/// # Errors
///
/// As [`read_footer`].
pub fn look_footer(storage: &dyn Storage, path: &LakePath) -> Result<Option<IntervalFooter>, LakeError> {
    match mutate::look(storage, path)? {
        Some(entry) => read_footer(storage, path, entry.bytes).map(Some),
        None => Ok(None),
    }
}

pub(super) fn corrupt(path: &LakePath, detail: &str) -> LakeError {
    LakeError::Corrupt { path: path.clone(), detail: detail.to_owned() }
}
