//! The words the parts speak to each other in. Imports nothing of ours.

pub mod batch;
pub mod budget;
pub mod catalog;
pub mod drift;
pub mod level;
pub mod mapping;
pub mod offset;
pub mod room;
pub mod secret;
pub mod slots;
pub mod status;
pub mod table;
pub mod topic;
pub mod violation;
