//! A mapping from examples: what documents hold and what a schema says, as a mapping file with comments.
//!
//! ```text
//! documents ─▶ the daemon's own walk ─▶ tree (one node a path: counts, forms, examples) ─┐
//! schema ────▶ xsd ───────────────────▶ what it says of a path ──────────────────────────┴▶ rows ─▶ plan ─▶ write ─▶ TOML
//! ```
//!
//! The promise: a mapping takes every document it was inferred from. So every choice is the narrowest type that holds
//! all values as they are written, and string where no other does; what a person has to decide is a comment that
//! begins with `conflict`. A document that is not well-formed is named and left out.
//!
//! # Where this differs from Spark's inference, and why
//!
//! | text | Spark | here | why |
//! |---|---|---|---|
//! | `00123`, `+49…` | long | string | the zero and the plus would be lost |
//! | `44.95` | double | `decimal(4,2)` | money is never binary |
//! | `TRUE` | boolean | string | XML Schema knows `true`, `false`, `1` and `0` |
//! | `2026-10-15 18:42:00` | timestamp | string, the format in a comment | not ISO 8601; a person adds `format` |
//! | with and without zone in one place | timestamp | string, a conflict | which zone the others mean is not in the data |
//! | dates and timestamps in one place | timestamp | string, a conflict | a date is no instant |
//! | a long and a date in one place | string | string, a conflict | the same, but said |
//! | repeated element | array | a list if it is a text, of structs if it has attributes, a table of its own if it has elements | |
//! | attribute `id` and element `id` | one column, null | `id` and `id_attr` | |
//!
//! Memory grows with the number of distinct paths (20,000 at most), not with the number or size of the documents, of
//! which one at a time is held.

mod adding;
mod bounds;
mod column;
mod declared;
mod draft;
mod lexical;
mod plan;
mod rows;
mod samples;
mod tree;
mod values;
mod write;
mod xsd;

pub use draft::free_column_name;
pub use samples::{RowChoice, Samples};
pub use values::type_of;
pub use xsd::Schema;

#[cfg(test)]
mod tests;
