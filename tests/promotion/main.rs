//! Promotion against an oracle that knows only the rules: each id once, latest by the total order, by date; the log and
//! the directory agree; whatever is cut, lost or taken over in between.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod ablations;
mod audits;
mod behaviour;
mod beside;
mod crash;
mod deposed;
mod evolution;
mod fsck;
mod interleavings;
#[path = "../common/owner.rs"]
mod owner;
mod property;
mod revise;
#[path = "../common/turns.rs"]
mod turns;
mod undo;
mod values;
mod world;
