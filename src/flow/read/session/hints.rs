//! The group's offsets, for lag tools alone: gathered, and sent together now and then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::flow::read::context::KafkaConsumer;
use crate::flow::read::faults;
use crate::model::offset::TopicPartition;
use crate::observe::events;

/// They are sent at most this often.
const PERIOD: Duration = Duration::from_secs(1);

pub(super) struct Hints {
    waiting: BTreeMap<TopicPartition, i64>,
    sent: Instant,
}

impl Hints {
    pub(super) fn new() -> Self {
        Self { waiting: BTreeMap::new(), sent: Instant::now() }
    }

    pub(super) fn add(&mut self, partition: TopicPartition, offset: i64) {
        self.waiting.insert(partition, offset);
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    pub(super) fn send_when_due(&mut self, consumer: &KafkaConsumer) {
        if self.sent.elapsed() >= PERIOD {
            self.send(consumer);
        }
    }

    /// Sends those of Kafka partitions that are ours. A lane finishes its commit after its Kafka partition was lost,
    /// and a member that joins again has no id yet: Kafka would answer such a commit with a fence, which ends the
    /// client.
    pub(super) fn send(&mut self, consumer: &KafkaConsumer) {
        self.sent = Instant::now();
        let mut waiting = std::mem::take(&mut self.waiting);
        if let Some(ownership) = consumer.context().ownership() {
            waiting.retain(|partition, _| ownership.owned.contains(partition));
        }
        if waiting.is_empty() || consumer.assignment_lost() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for (partition, offset) in waiting {
            let result = list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(offset));
            if let Err(error) = result {
                events::group_commit_failed(&format_args!("{partition}: {error}"));
            }
        }
        if let Err(error) = consumer.commit(&list, CommitMode::Async) {
            events::group_commit_failed(&faults::from_error(&error));
        }
    }
}
