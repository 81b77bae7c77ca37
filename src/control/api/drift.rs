//! What arrived and no column takes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `GET /v1/drift`: what arrived since the daemon was started and no column takes, by table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DriftTables {
    /// The tables that anything is known of.
    pub tables: Vec<DriftTable>,
}

/// `GET /v1/drift/TABLE`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DriftTable {
    /// Its name.
    pub table: String,
    /// What a column of it is in the mapping file: `column`, `child.column`, `child.child.column`, …
    pub block: String,
    /// Prefixes in the paths that the mapping does not have yet, with their namespaces.
    pub namespaces: BTreeMap<String, String>,
    /// How often something arrived that no column takes.
    pub total: u64,
    /// The paths, the most frequent first, each with a column that would take it.
    pub columns: Vec<DriftColumn>,
}

/// A path that no column takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftColumn {
    /// The path as a mapping writes it; `…` for all that are counted together.
    pub path: String,
    /// `element`, `attribute` or `text`.
    pub kind: String,
    /// How often it arrived.
    pub count: u64,
    /// Distinct values that it had, shortened; a few of all.
    pub examples: Vec<String>,
    /// A name for a column that takes it; none where many paths are counted together.
    pub column: Option<String>,
    /// The narrowest type that holds the examples.
    #[serde(rename = "type")]
    pub data_type: String,
    /// What has to be said about the type.
    pub notes: Vec<String>,
}
