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

use std::fmt;

use jiff::civil::Date;

use crate::model::offset::{Epoch, OffsetRange, TopicPartition};
use crate::storage::LakePath;

/// Longest topic name, in bytes, whose interval files fit the 255 bytes of a file name.
pub const MAX_TOPIC_BYTES: usize = 187;

/// Where messages lie in quarantine that no table takes.
pub const UNROUTED: &str = "_unrouted";

/// `dt` of Processed rows without a good date, as Hive names it.
pub const NULL_DATE: &str = "__HIVE_DEFAULT_PARTITION__";

/// Why a topic's name cannot be used in the lake; `None` when it can.
pub fn topic_problem(topic: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '~');
    if topic.is_empty() || topic == "." || topic == ".." || !topic.chars().all(legal) {
        Some(format!("`{topic}` is not a topic name: letters, digits, `.`, `_` and `-` only"))
    } else if topic.len() > MAX_TOPIC_BYTES {
        Some(format!("topic `{topic}` has {} bytes: file names have room for {MAX_TOPIC_BYTES}", topic.len()))
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

    /// RAW: `superseded/e<epoch:010>`, what the rewind of that epoch took out of the lake, or what its revised intervals
    /// have replaced, at its path below the root.
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

/// A published rewind as its file name tells: `<to:020>+<head:020>+e<epoch:010>`, `.json` the intent, `.done` its end.
/// One that takes an earlier rewind back says so besides: `…+undoes-e<epoch:010>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RewindName {
    /// Epoch that published it; files of lower epochs are what it moves.
    pub epoch: Epoch,
    /// Where the chain is cut.
    pub to: i64,
    /// Head of the chain when it was published. Of one that takes a rewind back: the head that comes back.
    pub head: i64,
    /// Epoch of the rewind that it takes back.
    pub undoes: Option<Epoch>,
}

/// Before the epoch of the rewind that is taken back.
const UNDOES: &str = "undoes-";

impl RewindName {
    fn stem(self) -> String {
        let undoes = self.undoes.map(|epoch| format!("+{UNDOES}{}", epoch_segment(epoch))).unwrap_or_default();
        format!("{:020}+{:020}+{}{undoes}", self.to, self.head, epoch_segment(self.epoch))
    }

    /// Name of the intent.
    pub fn intent(self) -> String {
        format!("{}.json", self.stem())
    }

    /// Name of the file that says it is finished.
    pub fn done(self) -> String {
        format!("{}.done", self.stem())
    }

    /// The rewind of a `rewind/` entry, and whether the entry says that it is finished.
    pub fn parse(segment: &str) -> Option<(Self, bool)> {
        let (stem, is_done) = match segment.strip_suffix(".json") {
            Some(stem) => (stem, false),
            None => (segment.strip_suffix(".done")?, true),
        };
        let mut parts = stem.split('+');
        let (to, head) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let epoch = parse_epoch_segment(parts.next()?)?;
        let undoes = match parts.next() {
            Some(part) => Some(parse_epoch_segment(part.strip_prefix(UNDOES)?)?),
            None => None,
        };
        let name = Self { epoch, to, head, undoes };
        (to >= 0 && head >= 0 && name.stem() == stem).then_some((name, is_done))
    }
}

/// The revisions of one epoch as their file name tells: `<head:020>+e<epoch:010>`, `.json` the intent, `.done` its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RevisionName {
    /// Epoch of the revised intervals.
    pub epoch: Epoch,
    /// Head of the chain when it began: intervals of that epoch that end here or before are revised ones, later ones were
    /// read.
    pub head: i64,
}

impl RevisionName {
    fn stem(self) -> String {
        format!("{:020}+{}", self.head, epoch_segment(self.epoch))
    }

    /// Name of the intent.
    pub fn intent(self) -> String {
        format!("{}.json", self.stem())
    }

    /// Name of the file that says it is finished.
    pub fn done(self) -> String {
        format!("{}.done", self.stem())
    }

    /// The revision of a `revision/` entry, and whether the entry says that it is finished.
    pub fn parse(segment: &str) -> Option<(Self, bool)> {
        let (stem, is_done) = match segment.strip_suffix(".json") {
            Some(stem) => (stem, false),
            None => (segment.strip_suffix(".done")?, true),
        };
        let (head, epoch) = stem.split_once('+')?;
        let name = Self { epoch: parse_epoch_segment(epoch)?, head: head.parse().ok()? };
        (name.head >= 0 && name.stem() == stem).then_some((name, is_done))
    }

    /// Whether an interval of the chain is one that these revisions made.
    pub fn made(self, interval: &IntervalName) -> bool {
        interval.epoch == self.epoch && interval.range.to() <= self.head
    }
}

/// A hint where the head is: which ledger file was the newest, and on which date it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadHint {
    /// Path partition of the file.
    pub date: Date,
    /// Its interval.
    pub range: OffsetRange,
    /// Its epoch.
    pub epoch: Epoch,
}

impl HeadHint {
    /// `<from:020>+<to:020>+e<epoch:010>+dt=YYYY-MM-DD`.
    pub fn name(self) -> String {
        let (from, to) = (self.range.from(), self.range.to());
        format!("{from:020}+{to:020}+{}+{}", epoch_segment(self.epoch), date_segment(self.date))
    }

    /// The hint of a `head/` entry.
    pub fn parse(segment: &str) -> Option<Self> {
        let mut parts = segment.split('+');
        let range = OffsetRange::new(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?)?;
        let epoch = parse_epoch_segment(parts.next()?)?;
        let hint = Self { date: parse_date_segment(parts.next()?)?, range, epoch };
        (hint.name() == segment).then_some(hint)
    }
}

/// How far the dead letters of a lane have been sent to a topic. Of several the highest counts: the newest owner's
/// furthest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LetterMark {
    /// Epoch of the owner that left it.
    pub epoch: Epoch,
    /// Every dead letter below was sent.
    pub to: i64,
    /// Newest rewind that had been published then: what an even newer one takes out is sent again.
    pub rewind: Epoch,
    /// Path partition of the interval that ends there; those that follow lie nowhere earlier.
    pub date: Date,
}

impl LetterMark {
    /// `e<epoch:010>+<to:020>+r<rewind:010>+dt=YYYY-MM-DD`.
    pub fn name(self) -> String {
        let Self { epoch, to, rewind, date } = self;
        format!("{}+{to:020}+r{:010}+{}", epoch_segment(epoch), rewind.0, date_segment(date))
    }

    /// The mark of a `letters/` entry.
    pub fn parse(segment: &str) -> Option<Self> {
        let mut parts = segment.split('+');
        let (epoch, to) = (parse_epoch_segment(parts.next()?)?, parts.next()?.parse().ok()?);
        let rewind = Epoch(parts.next()?.strip_prefix('r')?.parse().ok()?);
        let mark = Self { epoch, to, rewind, date: parse_date_segment(parts.next()?)? };
        (to >= 0 && mark.name() == segment).then_some(mark)
    }
}

#[cfg(test)]
mod tests;
