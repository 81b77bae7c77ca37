//! What a lane is told, and what it tells the root.

use actix::prelude::{Message, Recipient};

use super::start::{Done, LaneOrder};
use crate::fault::Fault;
use crate::model::offset::TopicPartition;

/// Finish what is in the lane, commit it, end.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct DrainLane;

/// End at once; what is not committed will be read again.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StopLane;

/// Stop reading, on an operator's command.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct PauseLane;

/// Read again; also starts a lane that halted or was parked.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct ResumeLane;

/// The Kafka partition was assigned to us once more. A lane that was fenced may be ours again.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Reassigned;

/// The topic was created again and an operator has accepted it: a lane that waits for that starts.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct TopicAccepted;

/// The tables were loaded again. A lane whose tables have changed commits what it has read with the old ones and goes
/// on with the new ones, as the next generation; one that had stopped begins again. Answers whether the lane is one of
/// them, when it reads with the new ones or cannot.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "bool")]
pub struct RenewLane;

/// A batch of the lane is lost in the parser pool: its generation cannot go on.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct BatchLost {
    /// Whose batch.
    pub source: TopicPartition,
    /// Of which incarnation.
    pub generation: u64,
    /// Why.
    pub fault: Fault,
}

/// Change what is committed, as the next generation.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Done, Fault>")]
pub struct OrderLane(pub LaneOrder);

/// How a lane came to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaneEnd {
    /// Everything read is committed.
    Drained,
    /// Stopped with work undone, on command.
    Stopped,
    /// Its supervisor vanished: a fault of ours.
    Vanished,
}

/// Tells the root that a lane has come to rest. Sent once for each supervisor.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct LaneEnded {
    /// Which lane.
    pub source: TopicPartition,
    /// Number of the supervisor, so that the root can tell an old one from its successor.
    pub assignment: u64,
    /// How.
    pub end: LaneEnd,
}

impl LaneEnd {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::Stopped => "stopped",
            Self::Vanished => "vanished",
        }
    }
}

/// Reports the end of a lane once: the one it is told, or, when it is dropped before, that the supervisor vanished.
pub(super) struct EndGuard {
    root: Option<Recipient<LaneEnded>>,
    source: TopicPartition,
    assignment: u64,
}

impl EndGuard {
    pub(super) fn new(root: Recipient<LaneEnded>, source: TopicPartition, assignment: u64) -> Self {
        Self { root: Some(root), source, assignment }
    }

    pub(super) fn report(&mut self, end: LaneEnd) {
        if let Some(root) = self.root.take() {
            root.do_send(LaneEnded { source: self.source.clone(), assignment: self.assignment, end });
        }
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.report(LaneEnd::Vanished);
    }
}
