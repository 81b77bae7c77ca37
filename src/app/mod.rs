//! The composition root and the commands: alone knows every part.

pub mod cells;
pub mod daemon;
pub mod demo;
pub mod grid;
mod identity;
pub mod render;
pub mod show;
