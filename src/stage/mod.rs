//! What a stage is: one bounded piece of work after another, hosted by an actor that never blocks on its own data.

pub mod exit;
pub mod heartbeat;
pub mod host;
pub mod step;
