//! The stages, one folder each in the order of the flow, and what they share: the dates of rows, how batches are handed
//! over, headers as a column, and the local spool.

pub mod read;

pub mod parse;

pub mod validate;

pub mod buffer;

pub mod requeue;

pub mod promote;

pub mod letters;

pub mod dates;
pub mod handover;
pub mod headers;
pub mod spool;
