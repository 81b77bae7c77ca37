//! The mapping file: one message type and the columns of its table.
//!
//! ```text
//! file ─▶ message (root, rows, unmapped …) ─▶ scope (which row a path belongs to)
//!      └▶ child ─▶ column ─▶ kind, repeat, path, rules ─▶ Mapping, or everything that is wrong, with lines
//! ```
//!
//! [`read()`] is the whole; `kind`, `repeat` and `path` are the little languages inside its texts.

mod child;
mod column;
mod file;
mod kind;
mod message;
mod names;
mod path;
mod repeat;
mod rules;
mod scope;
#[cfg(test)]
mod tests;

pub use file::{read, read_text};
pub(super) use names::{Names, table_name};
pub(super) use path::parse_name;
