//! The root supervisor: linearises what comes from outside (Kafka's assignments, signals, operators) and is the only
//! truth about the daemon's state.

mod actor;
mod commands;
mod ending;
mod pauses;
mod tree;

pub use actor::{DrainAll, FromSession, RootSettings, RootSupervisor, TakeDown};
pub use commands::{
    AcceptTopic, GetSnapshot, LossRequest, RenewLanes, ReplaceTables, RequeueRequest, RewindRequest, Selection,
    SetPaused, Snapshot,
};
