//! What is wrong with something, as an operator needs it.

use serde::{Deserialize, Serialize};

use super::Time;

/// What is wrong, since when, what Forebay does about it, and what can be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Stable name of the fault, as in the log and in `forebay_faults_total`.
    pub event: String,
    /// What is wrong, and where.
    pub message: String,
    /// When the trouble began; its first fault may have been another.
    pub since: Time,
    /// When this fault was met.
    pub at: Time,
    /// Faults since it began.
    pub times: u64,
    /// What Forebay does about it.
    pub does: String,
    /// When it tries or looks again by itself.
    pub again_at: Option<Time>,
    /// What a person can do.
    pub help: String,
}
