//! The stages, one folder each in the order of the flow, and what they share: the local spool.

pub mod read;

pub mod buffer;

pub mod spool;
//! The way of the data, one folder a stage in the order of the flow.
pub mod parse;
pub mod validate;
//! The stages, one folder each, in the order of the flow.
pub mod promote;
