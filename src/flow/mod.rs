//! The way of the data, one folder a stage in the order of the flow.

pub mod parse;
pub mod validate;
