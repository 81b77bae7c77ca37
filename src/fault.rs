//! What can go wrong, judged once and at its source: who is at fault, and what may be done about it.

use std::fmt;

/// Who has to act before the same thing can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// The configuration, the mapping, credentials or an operator's command.
    User,
    /// Kafka, HDFS, the disk, the network.
    External,
    /// Forebay itself.
    Internal,
}

/// What the supervisor does about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass by itself: try again, with backoff, from what is durable.
    Retry,
    /// Somebody else owns this Kafka partition or table now: stop, and wait to be assigned again.
    Fenced,
    /// Only a person can decide: stop, say why, do not loop.
    Halt,
}

/// One fault: what every error of a folder becomes before it leaves that folder.
///
/// The message is a lowercase fragment that names the thing, the place and the next step; it is shown to
/// people as it is, so it never holds a Rust type name or a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Who is at fault.
    pub domain: Domain,
    /// What may be done.
    pub verdict: Verdict,
    /// Stable name for logs and metrics, e.g. `storage.unavailable`.
    pub event: &'static str,
    /// One sentence for a person.
    pub message: String,
}

impl Fault {
    /// A fault of the outside world that may pass.
    pub fn retry(event: &'static str, message: impl Into<String>) -> Self {
        Self { domain: Domain::External, verdict: Verdict::Retry, event, message: message.into() }
    }

    /// Another owner has taken over.
    pub fn fenced(event: &'static str, message: impl Into<String>) -> Self {
        Self { domain: Domain::External, verdict: Verdict::Fenced, event, message: message.into() }
    }

    /// Only a person can decide.
    pub fn halt(event: &'static str, message: impl Into<String>) -> Self {
        Self { domain: Domain::User, verdict: Verdict::Halt, event, message: message.into() }
    }

    /// A fault of ours: worth a restart, and a bug report.
    pub fn internal(event: &'static str, message: impl Into<String>) -> Self {
        Self { domain: Domain::Internal, verdict: Verdict::Retry, event, message: message.into() }
    }

    /// Whether it is about who one is or what one may do, as the last word of its event tells: what is given and taken
    /// elsewhere, by somebody who need not know of Forebay.
    pub fn is_about_permission(&self) -> bool {
        let what = self.event.rsplit('.').next().unwrap_or(self.event);
        ["denied", "credentials", "authentication", "authorization"].contains(&what)
    }

    /// The same fault, saying what was being done when it happened.
    #[must_use]
    pub fn while_doing(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
