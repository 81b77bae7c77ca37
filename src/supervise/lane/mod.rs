//! The supervisor of one lane: everything that serves one Kafka partition, as a unit.
//!
//! A fault in any of its stages restarts the lane as the next generation, from the durable head of its chain; memory
//! holds nothing that matters. Messages of an older generation are ignored.

mod actor;
mod messages;
mod observer;
mod same_topic;
mod stages;
mod start;

pub use actor::LaneSupervisor;
pub(super) use actor::PARSER;
pub use messages::{
    BatchLost, DrainLane, LaneEnd, LaneEnded, PauseLane, Reassigned, ResumeLane, RewindLane, StopLane, TopicAccepted,
};
pub use start::{Direction, MovePlan, Moved, RewindOrder, RewindTarget, preview_rewind};
