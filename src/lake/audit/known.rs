//! Up to where earlier audits have found chains right, so that a later one need not look there again.
//!
//! What is known of a chain holds only while its ledger files up to there, and every data file of those offsets, are
//! the same by path, length and time of writing: their digest is kept, and each audit lists them all again. No such
//! file is ever written twice under one name, so what this cannot see is bytes that have changed in their place: of a
//! disk that rots, or by somebody who sets the time back. For that the audit can be told to look at everything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::report::{LaneSummary, TableSummary};
use crate::model::offset::TopicPartition;

/// What is known, as an audit leaves it behind for the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Version of the software that looked: another one may look for more.
    software: String,
    lanes: Vec<KnownLane>,
}

/// What is known of one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownLane {
    /// Up to where it is right.
    pub(super) to: i64,
    /// Of the files up to there.
    pub(super) digest: String,
    /// What they say.
    pub(super) summary: LaneSummary,
    /// What they say of each table.
    pub(super) tables: BTreeMap<String, TableSummary>,
}

impl Known {
    /// Nothing.
    pub fn nothing() -> Self {
        Self { software: env!("CARGO_PKG_VERSION").to_owned(), lanes: Vec::new() }
    }

    /// What a file says; nothing, when it is not ours or another version has left it.
    pub fn decode(bytes: &[u8]) -> Self {
        let known: Option<Self> = serde_json::from_slice(bytes).ok();
        known.filter(|known| known.software == env!("CARGO_PKG_VERSION")).unwrap_or_else(Self::nothing)
    }

    /// For a file.
    ///
    /// # Errors
    ///
    /// None that could be expected.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    pub(super) fn of(&self, source: &TopicPartition) -> Option<&KnownLane> {
        let is_it =
            |lane: &&KnownLane| lane.summary.topic == *source.topic && lane.summary.partition == source.partition;
        self.lanes.iter().find(is_it)
    }

    pub(super) fn add(&mut self, lane: KnownLane) {
        self.lanes.push(lane);
    }
}
