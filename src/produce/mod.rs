//! The load generator: library messages, good and broken, and a ledger of what each must become.
//!
//! [`library`] makes messages and says what is expected of them; it is pure, so a message is the same whenever and
//! wherever it is made. [`run`] sends them. Only `app` uses this module.

pub mod broken;
pub mod library;
pub mod run;
pub mod words;
