//! Typed columns that values are appended to straight from the bytes of a message.

mod buffer;
mod nested;

pub(super) use nested::Buffers;

#[cfg(test)]
mod tests;
