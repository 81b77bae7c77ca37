//! What goes over the control socket as JSON: the types that server and command line share.

mod accept;
mod drift;
mod tables;
mod trouble;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use crate::model::status::{LaneState, Node};
pub use accept::{AcceptLossRequest, AcceptTopicRequest, AcceptedLoss, AcceptedTopic};
pub use drift::{DriftColumn, DriftTable, DriftTables};
pub use tables::{MappingView, Promotion, Reloaded, TableView, Tables};
pub use trouble::Trouble;

/// An instant, as RFC 3339 text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| de::Error::custom(format_args!("`{text}` is not an RFC 3339 timestamp")))
    }
}

/// `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// What the daemon is doing.
    pub state: DaemonState,
    /// When it started.
    pub started_at: Time,
    /// Seconds since then.
    pub uptime_seconds: u64,
    /// Where it runs.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// Consumer group.
    pub group: String,
    /// Root of the lake.
    pub lake: String,
    /// What is wrong with Kafka, until it answers again.
    #[serde(default)]
    pub kafka_fault: Option<String>,
    /// The same with all that is known of it.
    #[serde(default)]
    pub kafka_trouble: Option<Trouble>,
    /// The Kafka partitions that it owns.
    pub lanes: Vec<Lane>,
    /// The tables.
    pub tables: Vec<TableView>,
}

/// What the daemon is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DaemonState {
    /// It is not a member of its group yet.
    Starting,
    /// It works.
    Running,
    /// It commits what is in flight and ends.
    Draining,
}

/// One Kafka partition in the daemon's hands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Kafka topic.
    pub topic: String,
    /// Partition of the topic.
    pub partition: i32,
    /// What the lane is doing.
    pub state: LaneState,
    /// Incarnation in this process.
    pub generation: u64,
    /// Epoch in storage, once it has one.
    pub epoch: Option<u64>,
    /// Next offset to read.
    pub position: Option<i64>,
    /// Next offset to commit: the head of the chain.
    pub committed: Option<i64>,
    /// End of the Kafka partition as last seen.
    pub high_watermark: Option<i64>,
    /// Messages not committed yet.
    pub lag: Option<u64>,
    /// Encoded bytes not committed yet.
    pub buffered_bytes: u64,
    /// Rows not committed yet.
    pub buffered_rows: u64,
    /// When the last interval was committed.
    pub last_commit_at: Option<Time>,
    /// What went wrong last, until it goes right again.
    pub last_fault: Option<String>,
    /// The same with all that is known of it.
    #[serde(default)]
    pub trouble: Option<Trouble>,
    /// How far its dead letters have been sent, for each of its tables that has a dead-letter topic; absent when none
    /// has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead_letters: Vec<DeadLetters>,
}

/// How far the dead letters of a lane and table have been sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetters {
    /// The table; `_unrouted` for messages that none takes.
    pub table: String,
    /// Their topic.
    pub topic: String,
    /// Every dead letter below this offset was acknowledged; none while that is not known.
    pub position: Option<i64>,
    /// Committed offsets whose dead letters are still to be sent.
    pub lag: Option<u64>,
    /// Letters acknowledged since this process was given the lane.
    pub sent: u64,
    /// Why they cannot be sent, until they can.
    pub fault: Option<String>,
    /// The same with all that is known of it.
    #[serde(default)]
    pub trouble: Option<Trouble>,
}

impl Lane {
    /// `topic:partition`.
    pub fn name(&self) -> String {
        format!("{}:{}", self.topic, self.partition)
    }
}

/// State before and after a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change<T> {
    /// Before.
    pub before: T,
    /// After.
    pub after: T,
}

/// `GET /v1/lanes`, and what `pause` and `resume` change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lanes {
    /// The lanes.
    pub lanes: Vec<Lane>,
}

/// What `drain` changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Daemon {
    /// What the daemon is doing.
    pub state: DaemonState,
}

/// Body of `pause` and `resume`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Topics and Kafka partitions; none means all.
    #[serde(default)]
    pub lanes: Vec<LaneChoice>,
}

impl Selection {
    /// Whether a Kafka partition is selected.
    pub fn takes(&self, topic: &str, partition: i32) -> bool {
        let of = |choice: &LaneChoice| choice.topic == topic && choice.partition.is_none_or(|only| only == partition);
        self.lanes.is_empty() || self.lanes.iter().any(of)
    }
}

/// `TOPIC` or `TOPIC:PARTITION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneChoice {
    /// The topic.
    pub topic: String,
    /// One of its partitions; none means all.
    pub partition: Option<i32>,
}

impl fmt::Display for LaneChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.partition {
            Some(partition) => write!(f, "{}:{partition}", self.topic),
            None => f.write_str(&self.topic),
        }
    }
}

impl FromStr for LaneChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (topic, partition) = match text.split_once(':') {
            None => (text, None),
            Some((topic, partition)) => (topic, Some(partition)),
        };
        let partition = partition.map(str::parse::<i32>).transpose().ok();
        match partition {
            Some(partition) if !topic.is_empty() && partition.is_none_or(|number| number >= 0) => {
                Ok(Self { topic: topic.to_owned(), partition })
            }
            _ => Err(format!("`{text}` is not TOPIC or TOPIC:PARTITION")),
        }
    }
}

impl Serialize for LaneChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LaneChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Body of `promote`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromoteRequest {
    /// Tables; none means all that have a Processed zone.
    #[serde(default)]
    pub tables: Vec<String>,
}

/// Body of `rewind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewindRequest {
    /// Kafka topic.
    pub topic: String,
    /// Partition of the topic.
    pub partition: i32,
    /// Where to; absent when a rewind is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<RewindTarget>,
    /// Take the newest rewind back.
    #[serde(default)]
    pub undo: bool,
    /// Refuse unless the head of the chain is here.
    #[serde(default)]
    pub expect: Option<i64>,
    /// Why, for the record.
    #[serde(default)]
    pub reason: Option<String>,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
}

/// Where a rewind goes. `{"offset": 17}` or `{"timestamp": "2026-10-01T00:00:00Z"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RewindTarget {
    /// To this offset, rounded down to where an interval begins.
    Offset(i64),
    /// To the first message of this time or later, rounded down likewise.
    Timestamp(Time),
}

impl FromStr for RewindTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(offset) = text.parse::<i64>() {
            return if offset >= 0 { Ok(Self::Offset(offset)) } else { Err(format!("offset {offset} is below 0")) };
        }
        let time = text.parse().map(|time| Self::Timestamp(Time(time)));
        time.map_err(|_| format!("`{text}` is neither an offset nor an RFC 3339 timestamp, e.g. 2026-10-01T00:00:00Z"))
    }
}

/// What a rewind did, or would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rewound {
    /// The lane before.
    pub before: Lane,
    /// The lane after; as before in a dry run.
    pub after: Lane,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// The offset that the lane reads from: the target rounded down, or the old head when a rewind is taken back.
    pub to: i64,
    /// Intervals taken out of the chain.
    pub intervals: u64,
    /// Messages in them: they are read again, or were read again meanwhile when a rewind is taken back.
    pub messages: u64,
    /// What comes back when a rewind is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<Undone>,
}

/// What comes back when a rewind is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    /// Where the rewind had cut the chain.
    pub from: i64,
    /// Intervals that come back.
    pub intervals: u64,
    /// Messages in them.
    pub messages: u64,
}

/// Body of `requeue`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequeueRequest {
    /// Whose quarantine: a table, or `_unrouted`.
    pub table: String,
    /// Only messages with such a violation.
    #[serde(default)]
    pub code: Option<String>,
    /// Only messages with this Kafka timestamp or a later one.
    #[serde(default)]
    pub from: Option<Time>,
    /// Why, for the record.
    #[serde(default)]
    pub reason: Option<String>,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a requeue did, or would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Requeued {
    /// The lanes before.
    pub before: Lanes,
    /// The lanes after; as before in a dry run.
    pub after: Lanes,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Whose quarantine.
    pub table: String,
    /// Kafka partitions of this daemon that have messages in that quarantine.
    pub lanes: Vec<RequeuedLane>,
    /// Kafka partitions that have some too and are not assigned to this daemon: nothing was done there.
    pub elsewhere: Vec<RequeueElsewhere>,
}

/// What a requeue did to one Kafka partition, or would do. Every message that is meant is counted once in `released`,
/// `partial`, `renewed`, `unchanged` or `redacted`, unless its interval is in `skipped`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequeuedLane {
    /// Kafka topic.
    pub topic: String,
    /// Partition of the topic.
    pub partition: i32,
    /// Messages that were meant.
    pub messages: u64,
    /// Messages that have left quarantine.
    pub released: u64,
    /// Messages that are still in quarantine, with the good ones of their rows in RAW.
    pub partial: u64,
    /// Messages that stay in quarantine for other reasons than before.
    pub renewed: u64,
    /// Messages that stay in quarantine as they were.
    pub unchanged: u64,
    /// Offsets of messages that stay because their payload was not kept.
    pub redacted: Vec<i64>,
    /// New rows in RAW by table.
    pub rows: BTreeMap<String, u64>,
    /// Intervals that were revised.
    pub intervals: u64,
    /// Intervals that were left as they are, and why.
    pub skipped: Vec<String>,
}

/// A Kafka partition with messages in quarantine that is not assigned to this daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequeueElsewhere {
    /// Kafka topic, as the lake calls it.
    pub topic: String,
    /// Partition of the topic.
    pub partition: i32,
    /// Messages in quarantine of that table, of whatever violation and time.
    pub messages: u64,
    /// Whether nobody owns it any more: the topic was created again since.
    pub closed: bool,
    /// Who owned it last.
    pub owner: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_chosen_by_topic_or_partition() {
        let all = Selection::default();
        let some: Selection = serde_json::from_str(r#"{"lanes":["a","b:3"]}"#).unwrap();
        assert!(all.takes("x", 9));
        assert!(some.takes("a", 0) && some.takes("a", 7) && some.takes("b", 3));
        assert!(!some.takes("b", 2) && !some.takes("c", 0));
        assert_eq!(serde_json::to_string(&some).unwrap(), r#"{"lanes":["a","b:3"]}"#);
        for bad in ["", ":1", "a:", "a:b", "a:-1", "a:1:2"] {
            assert!(bad.parse::<LaneChoice>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_rewind_target_is_an_offset_or_a_time() {
        assert_eq!("17".parse(), Ok(RewindTarget::Offset(17)));
        let time = Time("2026-10-01T00:00:00Z".parse().unwrap());
        assert_eq!("2026-10-01T00:00:00Z".parse(), Ok(RewindTarget::Timestamp(time)));
        assert!("-1".parse::<RewindTarget>().is_err());
        assert!("yesterday".parse::<RewindTarget>().is_err());
        let body = r#"{"topic":"a","partition":0,"to":{"timestamp":"2026-10-01T00:00:00Z"}}"#;
        let request: RewindRequest = serde_json::from_str(body).unwrap();
        assert_eq!((request.to, request.undo, request.dry_run), (Some(RewindTarget::Timestamp(time)), false, false));
        let request: RewindRequest = serde_json::from_str(r#"{"topic":"a","partition":0,"undo":true}"#).unwrap();
        assert_eq!((request.to, request.undo), (None, true));
        let unknown = r#"{"topic":"a","partition":0,"to":{"offset":1},"exepct":5}"#;
        assert!(serde_json::from_str::<RewindRequest>(unknown).unwrap_err().to_string().contains("exepct"));
    }
}
