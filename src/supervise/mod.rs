//! The supervision tree: actors that start, watch, restart and stop the parts.

pub mod policy;
