//! The commands.

pub mod cells;
pub mod grid;
pub mod show;
