pub mod delta;
pub mod due;
pub mod keys;
