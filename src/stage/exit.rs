//! How a stage ends.

use std::fmt;

use crate::fault::Fault;

/// Why a stage ended. Only a cause is logged as one: [`Exit::DownstreamClosed`] is always a consequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// Its input ended and everything in it was handed on.
    Drained,
    /// The stage after it has gone.
    DownstreamClosed,
    /// By a rule of its own, and not because anything broke: what it has handed on is to be finished, and then its
    /// supervisor stops with this fault.
    Stopped(Fault),
    /// It met a fault.
    Failed(Fault),
    /// It panicked, with this message.
    Panicked(String),
    /// It made no progress outside a protected zone and was abandoned.
    Hung,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drained => f.write_str("drained"),
            Self::DownstreamClosed => f.write_str("the stage after it has gone"),
            Self::Failed(fault) | Self::Stopped(fault) => write!(f, "{fault}"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Hung => f.write_str("made no progress and was abandoned"),
        }
    }
}

impl From<Fault> for Exit {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}
