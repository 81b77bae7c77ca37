//! Decisions that only an operator can take.

use serde::{Deserialize, Serialize};

use super::{Lane, Lanes};

/// Body of `accept-topic`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptTopicRequest {
    /// Kafka topic.
    pub topic: String,
    /// Why, for the record.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What `accept-topic` decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AcceptedTopic {
    /// Kafka topic.
    pub topic: String,
    /// Its id in Kafka.
    pub topic_id: String,
    /// What the lake calls it from now on, in `kafka_topic` too.
    pub lineage: String,
    /// Whether that was decided before.
    pub was_accepted: bool,
    /// The lanes before.
    pub before: Lanes,
    /// The lanes after; those that waited for it are starting.
    pub after: Lanes,
}

/// Body of `accept-loss`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptLossRequest {
    /// Kafka topic.
    pub topic: String,
    /// Partition of the topic.
    pub partition: i32,
    /// Why, for the record.
    #[serde(default)]
    pub reason: Option<String>,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
}

/// What `accept-loss` recorded, or would record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AcceptedLoss {
    /// The lane before.
    pub before: Lane,
    /// The lane after; as before in a dry run.
    pub after: Lane,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// First offset that is lost.
    pub from: i64,
    /// First offset after, where reading goes on.
    pub to: i64,
}
