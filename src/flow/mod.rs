//! The stages, one folder each in the order of the flow, and what they share: how batches are handed over, headers as a
//! column, and the local spool.

pub mod read;

pub mod parse;

pub mod validate;

pub mod buffer;

pub mod requeue;

pub mod promote;

pub mod letters;

pub mod handover;
pub mod headers;
pub mod spool;
