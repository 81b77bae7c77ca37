//! Batches in order again, rules over rows, and the proof that no message is lost on the way.
//!
//! Parsers work side by side, so batches arrive in any order, and once more after a worker has died. The validator of a
//! lane brings them back into the order they were read in, checks that every message has exactly one verdict and every
//! row its message, applies the rules that need the table (identity, date), and sorts good rows from dead letters.

mod conserve;
mod dates;
mod redact;
mod resequence;
mod rules;
mod step;
mod stop;

pub use conserve::check;
pub use redact::Redaction;
pub use resequence::{Offered, Resequencer};
pub use rules::Rules;
pub use step::{TOO_MANY_FAILED, Validator, ValidatorStep};
pub use stop::{FailureWindow, StopRules};

#[cfg(test)]
mod tests;
