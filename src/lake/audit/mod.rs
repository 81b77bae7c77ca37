//! Proves or disproves the promises from storage alone.
//!
//! Beside a running daemon it does not cry wolf: what looks wrong is looked at again, in an order in which a commit or
//! a rewind that goes on meanwhile explains itself, before it is called a violation.
//!
//! What storage does not answer for hides nothing that was found elsewhere: it is told besides ([`Unread`]).

mod interval;
mod known;
mod orphans;
mod present;
mod raw;
mod report;
mod verdict;

pub use known::Known;
pub(super) use orphans::unexplained;
pub(super) use present::files_below;
pub use raw::{Depth, RawAudit, audit_raw, audit_raw_since};
pub use report::{Flaw, Invariant, LaneSummary, NotCompared, Report, TableSummary, Unread, Violation};
