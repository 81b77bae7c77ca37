//! The lake's commit protocols, synchronous over [`crate::storage::Storage`].
//!
//! RAW is a **ledger of intervals with an epoch fence**: for every Kafka partition a chain of small Parquet files, one
//! row a message, whose renames are the commits. In the order in which a lane meets them:
//!
//! 1. [`acquire()`]: take an epoch, fence every lower one, finish published rewinds, remove what was never committed,
//!    read the head of the chain;
//! 2. [`LaneLedger::commit`]: stage, verify, rename the data files, rename the ledger file;
//! 3. [`LaneLedger::rewind`]: truncate the chain under a new epoch;
//! 4. [`LaneLedger::undo`]: take the newest rewind back;
//! 5. [`LaneLedger::revise`]: replace an interval by another version of it;
//! 6. [`audit`]: prove or disprove the promises from storage alone.
//!
//! How far committed quarantine has been sent to a dead-letter topic is kept beside the chain, by its owner
//! ([`LetterBox`]).
//!
//! A topic that is deleted and created again begins a chain of its own once an operator has said so
//! ([`accept_topic`]).
//!
//! Shared by both zones: names ([`names`]), the rule for answers that were lost ([`mutate`]), taking an epoch
//! ([`fence`]), looking at many files at the same time ([`at_once`]).

mod acquire;
pub mod at_once;
pub mod audit;
pub mod chain;
pub mod columns;
mod commit;
mod error;
pub mod fence;
pub mod footer;
pub mod fsck;
mod incarnation;
mod lane;
pub mod ledger;
mod letters;
pub mod log;
pub mod mutate;
pub mod names;
mod object_adapter;
pub mod parquet_reader;
pub mod plan;
mod recover;
mod restore;
pub mod retire;
mod revise;
mod rewind;
mod rfc3339;
pub mod roll;
mod undo;
mod written;

pub use acquire::{StartPosition, acquire};
pub use commit::{Committed, PendingInterval, SpooledData};
pub use error::{CLOCKS_APART, LakeError, TOPIC_RECREATED};
pub use incarnation::{Accepted, accept_topic, lineage, newest_lineage};
pub use lane::LaneLedger;
pub use letters::{LetterBox, LetterRoute};
pub use recover::Leftovers;
pub use rewind::{RewindOrder, RewindPlan, Rewound, plan_rewind};
pub use undo::{UndoOrder, UndoPlan, Undone, plan_undo};
pub use written::{Written, newest_written};
