//! XML Schema documents as far as a mapping can say what they say.
//!
//! [`Schema::load`] reads a schema file and what it includes and imports from its own folder, never from the network.
//! A *piece* is an element of a schema document with what its names mean there. Pieces are looked at only where a path
//! leads to them, because a schema spelled out can have millions of paths.

mod complex;
mod document;
mod load;
mod pattern;
mod simple;

pub(super) use document::Piece;
pub use load::Schema;
