//! One folder a stage, in the order of the flow.

pub mod read;
//! The stages, one folder each in the order of the flow, and what they share: the local spool.
pub mod buffer;
pub mod spool;
