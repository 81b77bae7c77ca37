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
//! * A *machine* reads one message: it is decoded to UTF-8 if it is something else, its characters are looked at all at
//!   once, and what quick-xml does not look at is checked on the way (the document's shape, attributes, references, names,
//!   namespaces, document types, limits). Each start tag is one step in the table of paths, values go straight into typed
//!   columns. Its rows are taken back when the message turns out to be bad.
//! * [`WellFormed`] is the same way with nothing at its end: the verdict without a mapping.
//! * Line and path of a violation are worked out afterwards from its byte offset; a good message pays nothing for them.
//!
//! Order of the steps of a value: pieces of text are joined and their line ends made one kind, then white space is
//! trimmed, then the null rules (missing or empty is null, for text too), then the cast. A second occurrence of a value
//! within its row (within its message, for a path from the root) is a violation.

mod attributes;
mod batch;
mod chars;
mod columns;
mod compile;
mod declaration;
mod decode;
mod doctype;
mod fields;
mod flatten;
mod found;
mod lease;
mod locate;
mod machine;
mod names;
mod pool;
mod refusals;
mod rows;
mod scopes;
mod text;
mod vocabulary;
mod walk;
mod well_formed;

pub use batch::{Care, NO_MESSAGE, Parser, ParserTable, Probe};
pub use lease::{Abandoned, Lease, ParseJob, SHARED_ATTEMPTS};
pub use locate::{Located, Position};
pub use pool::ParserStep;
pub use well_formed::WellFormed;

#[cfg(test)]
pub(in crate::flow) mod tests;
