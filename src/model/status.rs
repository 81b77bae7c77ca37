//! What the daemon says of itself, in the words that its supervisors keep and its control socket sends.

use serde::{Deserialize, Serialize};

/// Where a lane is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LaneState {
    /// It takes the Kafka partition over in storage: an epoch, and the head of its chain.
    Acquiring,
    /// It failed and begins again in a moment.
    Waiting,
    /// It reads and commits.
    Running,
    /// An operator has stopped it reading.
    Paused,
    /// It commits what it has and ends.
    Draining,
    /// It met something that only a person can decide.
    Halted,
    /// It failed too often; it is tried again in some minutes.
    Parked,
    /// Somebody else owns the Kafka partition.
    Fenced,
    /// Everything committed, nothing more to do here.
    Ended,
}

impl LaneState {
    /// The word in JSON and for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acquiring => "acquiring",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Draining => "draining",
            Self::Halted => "halted",
            Self::Parked => "parked",
            Self::Fenced => "fenced",
            Self::Ended => "ended",
        }
    }

    /// Whether the lane has stages.
    pub fn is_at_work(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Draining)
    }
}

/// One node of the supervision tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name, unique among its siblings, e.g. `library:0` or `Parser 1`.
    pub name: String,
    /// What it is: `root`, `lane`, `stage`, …
    pub kind: String,
    /// What it is doing.
    pub state: String,
    /// Incarnation.
    pub generation: u64,
    /// Restarts since the process started.
    pub restarts: u64,
    /// What went wrong last, in one sentence.
    pub last_fault: Option<String>,
    /// Those it supervises.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Node>,
}

impl Node {
    /// A node without children or faults.
    pub fn new(name: &str, kind: &str, state: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            state: state.to_owned(),
            generation: 1,
            restarts: 0,
            last_fault: None,
            children: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_called_the_same_in_json_and_for_people() {
        use LaneState::{Acquiring, Draining, Ended, Fenced, Halted, Parked, Paused, Running, Waiting};
        for state in [Acquiring, Waiting, Running, Paused, Draining, Halted, Parked, Fenced, Ended] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }
}
