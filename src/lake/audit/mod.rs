//! Proves or disproves the promises from storage alone.
//!
//! Beside a running daemon it does not cry wolf: what looks wrong is looked at again, in an order in which a commit or a
//! rewind that goes on meanwhile explains itself, before it is called a violation.

mod orphans;
mod raw;
mod report;

pub use raw::{Depth, RawAudit, audit_raw};
pub use report::{Invariant, Report, TableSummary, Violation};
