//! Messages of one open Kafka partition, with a gate that ends an older source before a newer one begins.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crossbeam_channel::Sender;

use super::context::lock;
use super::fetch::{Fetch, Fetched};
use super::native::PartitionFeed;
use super::session::Command;
use crate::fault::Fault;
use crate::model::offset::TopicPartition;

/// Ends a source.
///
/// Two sources of one Kafka partition would share one queue in the client: a hung reader that wakes up could take
/// messages away from the lane that replaced it, and move the position from which the client fetches again after a
/// pause. So no source polls while or after its gate is closed.
#[derive(Debug, Default)]
pub(super) struct Gate {
    closed: OnceLock<Fault>,
    polling: Mutex<()>,
}

impl Gate {
    /// Closes it, with the fault that the source will answer, and waits for a poll that is under way.
    pub(super) fn close(&self, fault: Fault) {
        // The first reason stays.
        let _already_closed = self.closed.set(fault);
        drop(lock(&self.polling));
    }
}

/// Messages of one Kafka partition from an explicit offset on. Dropping it stops the fetching, not the ownership.
pub struct PartitionSource {
    partition: TopicPartition,
    feed: PartitionFeed,
    gate: Arc<Gate>,
    commands: Sender<Command>,
}

impl PartitionSource {
    pub(super) fn new(
        partition: TopicPartition,
        feed: PartitionFeed,
        gate: Arc<Gate>,
        commands: Sender<Command>,
    ) -> Self {
        Self { partition, feed, gate, commands }
    }

    /// The Kafka partition.
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }
}

impl Fetch for PartitionSource {
    fn poll(&mut self, timeout: Duration) -> Fetched<'_> {
        let gate = Arc::clone(&self.gate);
        // Looked at before the lock too: whoever closes must not have to win the lock against a busy reader.
        if let Some(fault) = gate.closed.get() {
            return Fetched::Failed(fault.clone());
        }
        let polling = lock(&gate.polling);
        if let Some(fault) = gate.closed.get() {
            return Fetched::Failed(fault.clone());
        }
        self.feed.wait(timeout);
        drop(polling);
        self.feed.take()
    }
}

impl Drop for PartitionSource {
    fn drop(&mut self) {
        if self.gate.closed.get().is_none() {
            let dropped = Command::Dropped { partition: self.partition.clone(), gate: Arc::clone(&self.gate) };
            // A session that has ended fetches nothing anyway.
            let _ended = self.commands.send(dropped);
        }
    }
}

impl std::fmt::Debug for PartitionSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartitionSource").field("partition", &self.partition).finish_non_exhaustive()
    }
}
