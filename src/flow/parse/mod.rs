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
//!   once, and what quick-xml does not look at is checked on the way (the document's shape, attributes, references,
//!   names, namespaces, document types, limits). Each start tag is one step in the table of paths, values go straight
//!   into typed columns. Its rows are taken back when the message turns out to be bad.
//! * [`WellFormed`] is the same way with nothing at its end: the verdict without a mapping; or with a [`Visitor`]
//!   there, who learns what good messages hold.
//! * Line and path of a violation are worked out afterwards from its byte offset; a good message pays nothing for them.
//!
//! **Paths** become *states*: the set of all places of the mapping's tree of paths that an element may be at, so that
//! `a/b`, `*/b` and `a[@k='v']/b` may all mean it and a start tag is still one look into a table.
//!
//! **Scopes.** Every value belongs to a stretch of the message in which it may occur once, or as often as its `repeat`
//! says: the message, a row group, a row, a row of a child table, a struct. A path from the root belongs to the
//! innermost row group (or child row) on its way. When a scope ends, what is missing becomes null or its default, and
//! what belongs to it is repeated in the rows that came in it. An element of an outer row group without an inner one is
//! a row as well. A bad row is left out with the rows of child tables below it; a bad row of a child table alone, and
//! its parent stays; all of it only where the mapping keeps good rows.
//!
//! **Values.** Pieces of text are joined and their line ends made one kind; then come the steps of [`crate::lexical`].
//! With `join`, `json` and `list` they are about each occurrence. `xsi:nil` is null. An element of a value that is nil
//! and has content is a violation, and so is one of a row or a row group: that is bad then, whatever becomes of bad
//! fields. Type `xml` is the element with every namespace in scope declared on it (prefixes may stand in values too);
//! an element as JSON is its text, or an object of `@attribute`, `#text` and children, with the mapping's prefixes
//! (`{uri}name` where it has none).
//!
//! **Memory.** What a message adds to columns is bounded by its length: its own text goes once into each column that
//! takes it, rows are at most `limits.rows`, and everything else (values that rows share, defaults, fields of structs,
//! namespace declarations of `xml`, escapes and keys of JSON) is at most 200 bytes for each of its bytes, and 1 GiB.
//! All rows under way are bounded by [`crate::model::room`]: what would be too much at once goes on in pieces, and a
//! message whose rows do not fit by themselves is refused.

mod attributes;
mod batch;
mod chars;
mod collect;
mod columns;
mod compile;
mod counting;
mod declaration;
mod decode;
mod doctype;
mod drift;
mod elements;
mod excerpt;
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
mod steady;
mod text;
mod unmapped;
mod visit;
mod vocabulary;
mod walk;
mod well_formed;

pub use batch::{Care, NO_MESSAGE, Parser, ParserTable, Probe, Room};
pub use excerpt::{Excerpt, excerpts};
pub use lease::{Abandoned, Lease, ParseJob, SHARED_ATTEMPTS};
pub use locate::{Located, Position};
pub use pool::ParserStep;
pub use route::Route;
pub use steady::parse_steadily;
pub use visit::{QName, Scope, Visitor};
pub use well_formed::{WellFormed, too_long};

#[cfg(test)]
pub(in crate::flow) mod tests;
