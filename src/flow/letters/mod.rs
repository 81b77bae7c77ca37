//! Dead letters: what is in quarantine, sent to a topic besides.
//!
//! ```text
//! committed interval ─▶ its quarantine files ─▶ Letter ─▶ topic ─▶ acknowledged ─▶ mark in the lake
//! ```
//!
//! They are derived from files that are committed, never from what is still under way, and their position is kept by
//! the owner of the lane ([`crate::lake::LetterBox`]). So the way of the data knows nothing of them: a topic that is
//! away makes them wait, and nothing else. Each is sent at least once; its key `topic:partition:offset` tells repeats.
//!
//! Memory: one batch of [`delivery::BATCH_ROWS`] rows, and what the client has not sent, [`delivery::WINDOW_BYTES`] and
//! one letter at most.

pub mod delivery;
pub mod letter;
pub mod post;
pub mod sender;

#[cfg(test)]
mod tests;
