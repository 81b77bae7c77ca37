//! The tables, and what a reload makes of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Lane, Time, Trouble};

/// One table. Counts are of this process since its start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableView {
    /// Its name; `_unrouted` for messages that no table takes.
    pub name: String,
    /// The mapping that its messages are read with; none for messages that no table takes.
    #[serde(default)]
    pub mapping: Option<MappingView>,
    /// Rows committed to RAW.
    pub rows: u64,
    /// Files committed to RAW.
    pub files: u64,
    /// Messages committed to quarantine, by first violation.
    pub quarantined: BTreeMap<String, u64>,
    /// How often something was read that no column takes, where the mapping has it counted.
    #[serde(default)]
    pub unmapped: u64,
    /// The last promotion that this process has made.
    pub last_promotion: Option<Promotion>,
}

/// One promotion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promotion {
    /// When it ended.
    pub at: Time,
    /// Sequence number of its plan; none when there was nothing to do.
    pub sequence: Option<u64>,
    /// Rows it wrote.
    pub rows: u64,
    /// Files it added.
    pub files_added: u64,
    /// Files it replaced.
    pub files_removed: u64,
    /// Kafka partitions that it left out, and why.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// Why it failed.
    pub fault: Option<String>,
    /// The same with all that is known of it.
    #[serde(default)]
    pub trouble: Option<Trouble>,
}

/// The mapping of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingView {
    /// Its file.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Kafka partitions (`topic:partition`) that do not read with this version, each with the one that it still reads
    /// with: it commits what it has read first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub behind: BTreeMap<String, u32>,
}

/// `GET /v1/tables`, and what `promote` changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tables {
    /// The tables.
    pub tables: Vec<TableView>,
}

/// What a reload has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The tables before.
    pub before: Tables,
    /// The tables now.
    pub after: Tables,
    /// Tables whose mapping or settings are others now.
    pub changed: Vec<String>,
    /// The lanes that went over, as they are now.
    pub lanes: Vec<Lane>,
}
