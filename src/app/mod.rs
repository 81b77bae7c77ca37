//! The composition root and the commands: alone knows every part.

pub mod daemon;
mod identity;
