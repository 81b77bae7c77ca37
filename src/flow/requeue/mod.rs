//! Quarantined messages through today's mapping once more, interval by interval.
//!
//! ```text
//! quarantine file ─▶ messages ─▶ Parser ─▶ Rules ─┬▶ still bad, same reasons ─▶ quarantine as they were
//!                                                 ├▶ still bad, other reasons ─▶ quarantine anew
//!                                                 └▶ rows ─▶ RAW, beside the old rows
//! ledger file ──────────────────────────────────────▶ the same rows, those of changed messages replaced
//! ```
//!
//! The outcome is a new version of the whole interval for [`crate::lake::LaneLedger::revise`]. The messages come from
//! quarantine, not from Kafka, which may have forgotten them: payload, key, headers and timestamp are there as they
//! were.
//!
//! * A message that was good is not touched. Its rows are copied: the file byte for byte when nothing joins it, else
//!   value by value, in the types they have. They are not parsed again, since that would change what was promoted as
//!   good, and their messages may be gone. So columns that only the old rows have stay, and columns that only the new
//!   rows have are null in the old ones. Where a column would need two types the interval is left as it is, and the
//!   answer says so.
//! * A message that was partly good comes again as a whole: its old rows go.
//! * An interval in which no message changes is not touched at all: so the same order a second time does nothing.
//! * A message whose payload was not kept cannot come again; it stays as it is and is told.
//!
//! Memory: one slice of messages of about two megabytes (or one message), its rows, one open row group for each file,
//! one ledger file, and the offsets of changed messages that had rows before. Files are in the spool. Cost: the
//! intervals that have quarantined messages of the table; others are not read.

mod alike;
mod carry;
mod interval;
mod ledger;
mod message;
mod revision;
mod select;
mod version;

pub use interval::{MessageProbe, Requeuer, Revised, Tally};
pub use revision::{LaneRequeue, OrderOf, requeue_lane};
pub use select::{Candidates, Selection, candidates};
