//! Offsets of a Kafka partition, and the only arithmetic on them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::topic;

/// One Kafka partition. ("Partition" alone could also be a path partition of the lake: we never say it alone.)
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Topic name as the broker spells it.
    pub topic: Arc<str>,
    /// Partition number, 0-based.
    pub partition: i32,
}

impl TopicPartition {
    /// The Kafka partition `topic[partition]`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }

    /// The Kafka partition that the broker knows: an incarnation `topic~2` of a topic is `topic` there.
    #[must_use]
    pub fn in_kafka(&self) -> Self {
        let topic = topic::in_kafka(&self.topic);
        if topic.len() == self.topic.len() { self.clone() } else { Self::new(topic, self.partition) }
    }

    /// Which incarnation of the topic in Kafka it is of: 1, or the number after `~`.
    pub fn incarnation(&self) -> u64 {
        self.topic.split_once('~').and_then(|(_, number)| number.parse().ok()).unwrap_or(1)
    }
}

/// The last message below a position, as it was when it was read. A broker that has lost it, and has taken new messages
/// since, shows another one in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastMessage {
    /// Its offset.
    pub offset: i64,
    /// Its Kafka timestamp in microseconds since 1970, UTC; none where the broker gave none.
    pub timestamp_us: Option<i64>,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.topic, self.partition)
    }
}

/// A half-open interval `[from, to)` of consumer positions.
///
/// Positions, not messages: holes left by compaction, transaction markers and aborted transactions lie inside an
/// interval, so `len` is an upper bound of the messages in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OffsetRange {
    from: i64,
    to: i64,
}

impl OffsetRange {
    /// `[from, to)`, or `None` unless `0 <= from <= to`.
    pub fn new(from: i64, to: i64) -> Option<Self> {
        (0 <= from && from <= to).then_some(Self { from, to })
    }

    /// First position inside.
    pub fn from(self) -> i64 {
        self.from
    }

    /// First position after.
    pub fn to(self) -> i64 {
        self.to
    }

    /// Number of positions.
    pub fn len(self) -> u64 {
        (self.to - self.from).unsigned_abs()
    }

    /// Whether no position lies inside.
    pub fn is_empty(self) -> bool {
        self.from == self.to
    }

    /// Whether `offset` lies inside.
    pub fn contains(self, offset: i64) -> bool {
        self.from <= offset && offset < self.to
    }

    /// Whether every position of `other` lies inside.
    pub fn covers(self, other: Self) -> bool {
        self.from <= other.from && other.to <= self.to
    }

    /// The two as one, or `None` unless `next` begins exactly where this one ends.
    pub fn followed_by(self, next: Self) -> Option<Self> {
        (self.to == next.from).then_some(Self { from: self.from, to: next.to })
    }
}

impl fmt::Display for OffsetRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.from, self.to)
    }
}

/// Owner number of a Kafka partition's chain, or of a table, in storage. Higher is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}
