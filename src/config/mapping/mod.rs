//! The mapping file: one message type and the columns of its table.
//!
//! [`read()`] is the whole; `kind` is the little language of types, `path` that of paths and names.

mod kind;
mod path;
mod read;

pub use read::read;
