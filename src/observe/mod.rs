//! What can be seen from outside: log lines, metrics, and one function for each thing that can happen.
//!
//! | file | what |
//! |---|---|
//! | [`events`] | one function per event: a log line of a stable name, and a counter |
//! | [`trouble`] | what a person is told of a fault: since when, what is done about it, what they can do |
//! | [`mod@metrics`] | every metric by its name |
//! | [`logs`] | where log lines go: `forebay.jsonl`, the terminal, a panic |
//! | [`control`] | `control.jsonl`: who commanded what |
//! | [`mod@read`] | the log files, read back for people |
//!
//! There is one set of metrics and one log in a process, so nothing here is handed around.

pub mod control;
pub mod events;
mod fields;
pub mod logs;
pub mod metrics;
mod panics;
pub mod read;
mod rotate;
mod sampler;
mod terminal;
mod totals;
pub mod trouble;

pub use fields::escaped;
pub use metrics::metrics;
pub use panics::panic_text;
pub use totals::Totals;
