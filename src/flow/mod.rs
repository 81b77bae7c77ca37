//! One folder a stage, in the order of the flow.

pub mod read;
