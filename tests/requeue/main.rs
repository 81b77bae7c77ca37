//! Quarantined messages through today's mapping again: what becomes of the messages, of their neighbours, and of the
//! lake when it is cut anywhere.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod behaviour;
mod crash;
#[path = "../common/owner.rs"]
mod owner;
mod several;
mod world;
