//! The supervision tree with the real stages, on the embedded Kafka and a lake on local disk: what fails is restarted,
//! and no message is lost or doubled. The lake is read back independently of the code that wrote it.
//!
//! Random points of failure come from a seed, which is printed; `FOREBAY_SEED` repeats one.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "shared with other tests")]
mod common;

mod clocks;
mod commands;
mod descriptors;
mod groups;
mod hangs;
mod lake;
mod letters;
mod losses;
mod outages;
mod panics;
mod pieces;
mod reload;
mod several;
mod world;
