//! How often what came that no column takes, by path. Paths are remembered from message to message by the names as
//! messages write them, so that counting one costs a look into a table.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::compile::TableId;
use super::found::shortened;
use crate::model::batch::{DRIFT_PATHS, DRIFT_REST, DriftKind};

/// The root element of any message.
pub(super) const ROOT: u32 = 0;

/// What is beyond the places that are remembered.
const REST: u32 = 1;

/// Places remembered at most: elements on the way count too, and each way of writing the prefixes.
const MAX_NODES: usize = 8 * DRIFT_PATHS;

/// Where something is: its parent, what it is, and what stands for the namespace declarations in force.
pub(super) type Key = (u32, DriftKind, u64);

/// The places of a mapping's messages, and what was counted at them since it was last asked for.
#[derive(Debug)]
pub(super) struct Drift {
    nodes: Vec<Node>,
    known: HashTable<(Key, Box<str>, u32)>,
    rows: HashMap<TableId, u32>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Node {
    table: TableId,
    kind: DriftKind,
    path: String,
    count: u64,
    example: String,
}

/// What was counted at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) table: TableId,
    pub(super) kind: DriftKind,
    pub(super) path: String,
    pub(super) count: u64,
    pub(super) example: String,
}

impl Default for Drift {
    fn default() -> Self {
        let node = |path: &str| Node {
            table: 0,
            kind: DriftKind::Element,
            path: path.to_owned(),
            count: 0,
            example: String::new(),
        };
        Self {
            nodes: vec![node("/"), node(DRIFT_REST)],
            known: HashTable::new(),
            rows: HashMap::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl Drift {
    /// The element that is a row of a table.
    pub(super) fn row(&mut self, table: TableId) -> u32 {
        let nodes = &mut self.nodes;
        *self.rows.entry(table).or_insert_with(|| {
            nodes.push(Node { table, kind: DriftKind::Element, path: String::new(), count: 0, example: String::new() });
            u32::try_from(nodes.len() - 1).unwrap_or(REST)
        })
    }

    /// The place of that name, if it is known.
    #[inline]
    pub(super) fn find(&self, key: Key, raw: &str) -> Option<u32> {
        if key.0 == REST {
            return Some(REST);
        }
        let hash = self.hasher.hash_one((key, raw));
        self.known.find(hash, |(known, name, _)| *known == key && **name == *raw).map(|(_, _, node)| *node)
    }

    /// Remembers a place: `name` is what paths write for it.
    pub(super) fn learn(&mut self, key: Key, raw: &str, name: &str) -> u32 {
        if self.nodes.len() >= MAX_NODES {
            return REST;
        }
        let parent = &self.nodes[key.0 as usize];
        let slash = if parent.path.is_empty() || parent.path.ends_with('/') { "" } else { "/" };
        let (table, path) = (parent.table, format!("{}{slash}{name}", parent.path));
        let node = u32::try_from(self.nodes.len()).unwrap_or(REST);
        self.nodes.push(Node { table, kind: key.1, path, count: 0, example: String::new() });
        let hasher = &self.hasher;
        let hash = hasher.hash_one((key, raw));
        self.known.insert_unique(hash, (key, raw.into(), node), |(key, raw, _)| hasher.hash_one((*key, &**raw)));
        node
    }

    /// Counts what has this text at a place.
    #[inline]
    pub(super) fn count(&mut self, node: u32, text: &str) {
        let node = &mut self.nodes[node as usize];
        node.count += 1;
        if node.example.is_empty() && node.count == 1 {
            node.example = shortened(text.trim_ascii());
        }
    }

    /// What was counted since the last time, by table and path; what is beyond the first [`DRIFT_PATHS`] in one.
    pub(super) fn take(&mut self) -> Vec<Counted> {
        if self.nodes.iter().all(|node| node.count == 0) {
            return Vec::new();
        }
        let mut sums: BTreeMap<(TableId, String, DriftKind), (u64, String)> = BTreeMap::new();
        let mut rest = (0, String::new());
        for (at, node) in self.nodes.iter_mut().enumerate().filter(|(_, node)| node.count > 0) {
            let (count, example) = (std::mem::take(&mut node.count), std::mem::take(&mut node.example));
            let key = (node.table, node.path.clone(), node.kind);
            let is_full = sums.len() >= DRIFT_PATHS && !sums.contains_key(&key);
            let sum = if is_full || at == REST as usize { &mut rest } else { sums.entry(key).or_default() };
            sum.0 += count;
            if sum.1.is_empty() {
                sum.1 = example;
            }
        }
        if rest.0 > 0 {
            sums.insert((0, DRIFT_REST.to_owned(), DriftKind::Element), rest);
        }
        let counted = |((table, path, kind), (count, example))| Counted { table, kind, path, count, example };
        sums.into_iter().map(counted).collect()
    }
}
