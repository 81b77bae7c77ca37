//! Promotion against an oracle that knows only the rules: each id once, latest by the total order, by date; the log and
//! the directory agree; whatever is cut, lost or taken over in between.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod behaviour;
mod crash;
mod evolution;
#[path = "../raw_protocol/memory.rs"]
#[expect(dead_code, reason = "shared with the RAW protocol's tests")]
mod memory;
#[path = "../common/owner.rs"]
mod owner;
mod property;
mod revise;
mod undo;
mod values;
mod world;
