//! The supervisor of one lane: everything that serves one Kafka partition, as a unit.
//!
//! A fault in any of its stages restarts the lane as the next generation, from the durable head of its chain; memory
//! holds nothing that matters. Messages of an older generation are ignored.

mod actor;
mod loss;
mod messages;
mod observer;
mod renew;
mod requeue;
mod same_topic;
mod stages;
mod start;

pub use actor::LaneSupervisor;
pub(super) use actor::PARSER;
pub use loss::{LossOrder, preview_loss};
pub use messages::{
    BatchLost, DrainLane, LaneEnd, LaneEnded, OrderLane, PauseLane, Reassigned, RenewLane, ResumeLane, StopLane,
    TopicAccepted,
};
pub use requeue::{Elsewhere, RequeuePreview, preview_requeue};
pub(super) use start::REWOUND_RANGE_LOST;
pub use start::{Direction, Done, LaneOrder, MovePlan, Moved, RequeueOrder, RewindOrder, RewindTarget, preview_rewind};
