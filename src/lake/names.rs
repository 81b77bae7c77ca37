//! Every path and file name of the lake, built and read in one place.
//!
//! ```text
//! ledger/<topic>/p=<partition>/dt=YYYY-MM-DD/<interval>.parquet
//! raw/<table>/dt=YYYY-MM-DD/hr=HH/<interval>.parquet          quarantine/<table>/dt=YYYY-MM-DD/<interval>.parquet
//! processed/<table>/dt=YYYY-MM-DD/part-<seq>-e<epoch>-b<bucket>-<n>.parquet
//! _forebay/raw/<topic>/p<partition>/{owner,stage,fenced,floor,rewind,revision,superseded,head,letters}
//! _forebay/raw/<topic>/topic/{owner,stage,fenced,accepted}
//! _forebay/processed/<table>/{owner,stage,fenced,plan,trash}
//! ```
//!
//! A name is read back only if building it again gives the same text, so two names never mean the same thing.
//! Numbers are padded so that the order of names is the order of numbers.

mod published;

use std::fmt;

use jiff::civil::Date;

use crate::model::offset::{Epoch, OffsetRange, TopicPartition};
use crate::model::topic;
use crate::storage::LakePath;

pub use published::{HeadHint, LetterMark, RevisionName, RewindName};

/// Where messages lie in quarantine that no table takes.
pub const UNROUTED: &str = "_unrouted";

/// `dt` of Processed rows without a good date, as Hive names it.
pub const NULL_DATE: &str = "__HIVE_DEFAULT_PARTITION__";

/// Why a topic's name cannot be used in the lake; `None` when it can.
pub fn topic_problem(topic: &str) -> Option<String> {
    // Of an incarnation both the topic and its number are made of what names are made of.
    if !topic.split('~').all(topic::is_name) {
        Some(format!("`{topic}` is not a topic name: letters, digits, `.`, `_` and `-` only"))
    } else if topic.len() > topic::MAX_BYTES {
        Some(format!("topic `{topic}` has {} bytes: file names have room for {}", topic.len(), topic::MAX_BYTES))
    } else {
        None
    }
}

/// Name of every file of one interval of one Kafka partition, in whichever folder:
/// `<topic>+<partition:05>+<from:020>+<to:020>+e<epoch:010>.parquet`. (`+` cannot occur in a topic name.)
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IntervalName {
    /// The Kafka partition.
    pub source: TopicPartition,
    /// Consumer positions covered.
    pub range: OffsetRange,
    /// Epoch of the owner that committed it.
    pub epoch: Epoch,
}

impl IntervalName {
    /// The file name.
    pub fn file_name(&self) -> String {
        let TopicPartition { topic, partition } = &self.source;
        let (from, to) = (self.range.from(), self.range.to());
        format!("{topic}+{partition:05}+{from:020}+{to:020}+e{:010}.parquet", self.epoch.0)
    }

    /// The interval that a file name stands for.
    pub fn parse(file_name: &str) -> Option<Self> {
        let mut parts = file_name.strip_suffix(".parquet")?.split('+');
        let (topic, partition) = (parts.next()?, parts.next()?.parse().ok()?);
        let range = OffsetRange::new(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?)?;
        let epoch = Epoch(parts.next()?.strip_prefix('e')?.parse().ok()?);
        let name = Self { source: TopicPartition::new(topic, partition), range, epoch };
        (!topic.is_empty() && partition >= 0 && name.file_name() == file_name).then_some(name)
    }
}

impl fmt::Display for IntervalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.source, self.range, self.epoch)
    }
}

/// `dt=YYYY-MM-DD`.
pub fn date_segment(date: Date) -> String {
    format!("dt={date}")
}

/// The date of a `dt=YYYY-MM-DD` segment.
pub fn parse_date_segment(segment: &str) -> Option<Date> {
    let date: Date = segment.strip_prefix("dt=")?.parse().ok()?;
    (date_segment(date) == segment).then_some(date)
}

/// `hr=HH`.
pub fn hour_segment(hour: i8) -> String {
    format!("hr={hour:02}")
}

/// The hour of an `hr=HH` segment.
pub fn parse_hour_segment(segment: &str) -> Option<i8> {
    let hour: i8 = segment.strip_prefix("hr=")?.parse().ok()?;
    ((0..24).contains(&hour) && hour_segment(hour) == segment).then_some(hour)
}

/// Root of the ledger zone.
pub fn ledger_root() -> LakePath {
    LakePath::root().join("ledger")
}

/// `ledger/<topic>/p=<partition>`: the chain of one Kafka partition.
pub fn ledger_dir(source: &TopicPartition) -> LakePath {
    ledger_root().join(&source.topic).join(format!("p={:05}", source.partition))
}

/// The Kafka partition of a `p=<partition>` segment.
pub fn parse_ledger_partition(segment: &str) -> Option<i32> {
    let partition = segment.strip_prefix("p=")?.parse().ok()?;
    (partition >= 0 && format!("p={partition:05}") == segment).then_some(partition)
}

/// Root of the RAW zone.
pub fn raw_root() -> LakePath {
    LakePath::root().join("raw")
}

/// `raw/<table>/dt=…/hr=…`.
pub fn raw_dir(table: &str, date: Date, hour: i8) -> LakePath {
    raw_root().join(table).join(date_segment(date)).join(hour_segment(hour))
}

/// Root of the quarantine.
pub fn quarantine_root() -> LakePath {
    LakePath::root().join("quarantine")
}

/// `quarantine/<table>/dt=…`; `table` may be [`UNROUTED`].
pub fn quarantine_dir(table: &str, date: Date) -> LakePath {
    quarantine_root().join(table).join(date_segment(date))
}

/// `processed/<table>`: root of a table that readers know.
pub fn processed_dir(table: &str) -> LakePath {
    LakePath::root().join("processed").join(table)
}

/// Name of a Processed file: `part-<seq:020>-e<epoch:010>-b<bucket:04>-<n:04>.parquet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartName {
    /// The transaction that wrote it.
    pub seq: u64,
    /// Epoch of the promoter that planned it.
    pub epoch: Epoch,
    /// Hash bucket of its record ids.
    pub bucket: u32,
    /// Its number in that transaction, date and bucket.
    pub number: u32,
}

impl PartName {
    /// The file name.
    pub fn file_name(self) -> String {
        let Self { seq, epoch, bucket, number } = self;
        format!("part-{seq:020}-e{:010}-b{bucket:04}-{number:04}.parquet", epoch.0)
    }

    /// The part that a file name stands for.
    pub fn parse(file_name: &str) -> Option<Self> {
        let mut parts = file_name.strip_prefix("part-")?.strip_suffix(".parquet")?.split('-');
        let seq = parts.next()?.parse().ok()?;
        let epoch = Epoch(parts.next()?.strip_prefix('e')?.parse().ok()?);
        let bucket = parts.next()?.strip_prefix('b')?.parse().ok()?;
        let name = Self { seq, epoch, bucket, number: parts.next()?.parse().ok()? };
        (name.file_name() == file_name).then_some(name)
    }
}

/// Control folder of one Kafka partition or of one Processed table, and what lies in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Home(LakePath);

impl Home {
    /// `_forebay/raw/<topic>/p<partition>`.
    pub fn raw(source: &TopicPartition) -> Self {
        Self(Self::raw_root().join(&source.topic).join(format!("p{:05}", source.partition)))
    }

    /// `_forebay/processed/<table>`.
    pub fn processed(table: &str) -> Self {
        Self(LakePath::root().join("_forebay").join("processed").join(table))
    }

    /// `_forebay/raw/<topic>/topic`: what was decided about the topic as a whole.
    pub fn topic(topic: &str) -> Self {
        Self(Self::raw_root().join(topic).join("topic"))
    }

    /// Of a topic: its later incarnations, as an operator has accepted them.
    pub fn accepted(&self) -> LakePath {
        self.0.join("accepted")
    }

    /// `_forebay/raw`: a folder for each topic.
    pub fn raw_root() -> LakePath {
        LakePath::root().join("_forebay").join("raw")
    }

    /// The Kafka partition of a `p<partition>` segment.
    pub fn parse_partition(segment: &str) -> Option<i32> {
        let partition = segment.strip_prefix('p')?.parse().ok()?;
        (partition >= 0 && format!("p{partition:05}") == segment).then_some(partition)
    }

    /// The folder itself.
    pub fn path(&self) -> &LakePath {
        &self.0
    }

    /// One file for each epoch that was ever taken.
    pub fn owners(&self) -> LakePath {
        self.0.join("owner")
    }

    /// `owner/<epoch:010>.json`.
    pub fn owner(&self, epoch: Epoch) -> LakePath {
        self.owners().join(format!("{:010}.json", epoch.0))
    }

    /// A folder for each epoch that is alive, or was when its owner died.
    pub fn stages(&self) -> LakePath {
        self.0.join("stage")
    }

    /// `stage/e<epoch:010>`.
    pub fn stage(&self, epoch: Epoch) -> LakePath {
        self.stages().join(epoch_segment(epoch))
    }

    /// Stages that a later owner renamed away.
    pub fn fenced(&self) -> LakePath {
        self.0.join("fenced")
    }

    /// `fenced/e<epoch:010>-<uuid>`.
    pub fn fenced_stage(&self, epoch: Epoch, id: uuid::Uuid) -> LakePath {
        self.fenced().join(format!("{}-{}", epoch_segment(epoch), id.simple()))
    }

    /// RAW: where the chain begins.
    pub fn floors(&self) -> LakePath {
        self.0.join("floor")
    }

    /// RAW: intents of rewinds, and which of them are done.
    pub fn rewinds(&self) -> LakePath {
        self.0.join("rewind")
    }

    /// RAW: which epochs have revised intervals, and which of them are done with it.
    pub fn revisions(&self) -> LakePath {
        self.0.join("revision")
    }

    /// RAW: `superseded/e<epoch:010>`, what the rewind of that epoch took out of the lake, or what its revised
    /// intervals have replaced, at its path below the root.
    pub fn superseded(&self, epoch: Epoch) -> LakePath {
        self.0.join("superseded").join(epoch_segment(epoch))
    }

    /// RAW: hints where the head of the chain is.
    pub fn heads(&self) -> LakePath {
        self.0.join("head")
    }

    /// RAW: `letters/<table>/<topic>`, how far the dead letters of a table have been sent to a topic.
    pub fn letters(&self, table: &str, topic: &str) -> LakePath {
        self.0.join("letters").join(table).join(topic)
    }

    /// Processed: one plan for each transaction.
    pub fn plans(&self) -> LakePath {
        self.0.join("plan")
    }

    /// Processed: `plan/<seq:020>.json`.
    pub fn plan(&self, seq: u64) -> LakePath {
        self.plans().join(format!("{seq:020}.json"))
    }

    /// Processed: replaced files.
    pub fn trash(&self) -> LakePath {
        self.0.join("trash")
    }
}

/// The epoch of an `owner/` entry.
pub fn parse_owner(segment: &str) -> Option<Epoch> {
    let epoch = Epoch(segment.strip_suffix(".json")?.parse().ok()?);
    (format!("{:010}.json", epoch.0) == segment).then_some(epoch)
}

/// The transaction of a `plan/` entry.
pub fn parse_plan(segment: &str) -> Option<u64> {
    let seq = segment.strip_suffix(".json")?.parse().ok()?;
    (format!("{seq:020}.json") == segment).then_some(seq)
}

/// `e<epoch:010>`.
pub fn epoch_segment(epoch: Epoch) -> String {
    format!("e{:010}", epoch.0)
}

/// The epoch of a `stage/` or `superseded/` entry.
pub fn parse_epoch_segment(segment: &str) -> Option<Epoch> {
    let epoch = Epoch(segment.strip_prefix('e')?.parse().ok()?);
    (epoch_segment(epoch) == segment).then_some(epoch)
}

/// The epoch of a `fenced/` entry.
pub fn parse_fenced(segment: &str) -> Option<Epoch> {
    let (epoch, id) = segment.split_once('-')?;
    uuid::Uuid::parse_str(id).ok().and_then(|_| parse_epoch_segment(epoch))
}

/// Name of a floor: `<offset:020>+e<epoch:010>.json`.
pub fn floor_name(offset: i64, epoch: Epoch) -> String {
    format!("{offset:020}+{}.json", epoch_segment(epoch))
}

/// The offset of a `floor/` entry.
pub fn parse_floor(segment: &str) -> Option<i64> {
    let (offset, epoch) = segment.strip_suffix(".json")?.split_once('+')?;
    let (offset, epoch) = (offset.parse().ok()?, parse_epoch_segment(epoch)?);
    (offset >= 0 && floor_name(offset, epoch) == segment).then_some(offset)
}

/// `<topic>~<number>`: a topic that was deleted and created again, as the lake calls it. The first is just `<topic>`.
pub fn incarnation(topic: &str, number: u64) -> String {
    if number == 1 { topic.to_owned() } else { format!("{topic}~{number}") }
}

/// A topic id as it can stand in a file name: Kafka's tools write `-` and `_` in Base64 where its clients write `+` and
/// `/`. None for an id that Kafka does not make.
pub fn plain_topic_id(topic_id: &str) -> Option<String> {
    let plain = topic_id.replace('+', "-").replace('/', "_");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '=');
    (!plain.is_empty() && plain.len() <= 64 && plain.chars().all(is_plain)).then_some(plain)
}

/// Name of an accepted incarnation: `<number:010>+<topic id>.json`; the id as [`plain_topic_id`] gives it.
pub fn accepted_name(number: u64, plain_id: &str) -> String {
    format!("{number:010}+{plain_id}.json")
}

/// Number and topic id of an `accepted/` entry.
pub fn parse_accepted(segment: &str) -> Option<(u64, &str)> {
    let (number, id) = segment.strip_suffix(".json")?.split_once('+')?;
    let number = number.parse().ok()?;
    let is_same = accepted_name(number, id) == segment && plain_topic_id(id).as_deref() == Some(id);
    is_same.then_some((number, id))
}

#[cfg(test)]
mod tests;
