//! Typed columns that values are appended to straight from the bytes of a message.

mod buffer;
mod cast;
mod iso;

pub(super) use buffer::ColumnBuffer;
