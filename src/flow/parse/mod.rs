//! From the bytes of messages to typed rows, and to everything that is wrong with a message.
//!
//! ```text
//! mapping ─▶ compile ─▶ Program ─┐ (one for a table, shared)
//!                                ▼
//! RawBatch ─▶ Parser ─▶ Machine ─▶ Walk ─▶ Flatten ─▶ columns ─▶ ParsedBatch
//!             (batch)   (message)  (event)  (element)  (value)
//! ```
//!
//! * [`Parser`] takes a batch apart into messages and puts their rows together.
//! * A *machine* reads one message: what quick-xml does not look at is checked first and on the way (characters, the
//!   document's shape, attributes, references, names, namespaces, limits), each start tag is one step in the table of
//!   paths, values go straight into typed columns. Its rows are taken back when the message turns out to be bad.
//! * Line and path of a violation are worked out afterwards from its byte offset; a good message pays nothing for them.
//!
//! Order of the steps of a value: pieces of text are joined and their line ends made one kind, then white space is
//! trimmed, then the null rules (missing or empty is null, for text too), then the cast. A second occurrence of a value
//! within its row (within its message, for a path from the root) is a violation.

mod attributes;
mod batch;
mod chars;
mod collect;
mod columns;
mod compile;
mod declaration;
mod decode;
mod doctype;
mod drift;
mod elements;
mod fields;
mod flatten;
mod found;
mod instances;
mod lease;
mod locate;
mod machine;
mod names;
mod namespaces;
mod peek;
mod pool;
mod refusals;
mod route;
mod rows;
mod scopes;
mod scratch;
mod text;
mod unmapped;
mod vocabulary;
mod walk;
mod well_formed;

pub use batch::{Care, NO_MESSAGE, Parser, ParserTable, Probe};
pub use lease::{Abandoned, Lease, ParseJob, SHARED_ATTEMPTS};
pub use locate::{Located, Position};
pub use pool::ParserStep;
pub use route::Route;
pub use well_formed::WellFormed;

#[cfg(test)]
pub(in crate::flow) mod tests;
