//! The stages, one folder each, in the order of the flow.

/// RAW to Processed.
pub mod promote;
