//! Typed columns that values are appended to straight from the bytes of a message.

mod buffer;
mod cast;
mod interim;
mod iso;
mod nested;

pub(super) use interim::{Caster, Memory, Refused, Value};
pub(super) use nested::Buffers;

#[cfg(test)]
mod tests;
