//! A plan: everything one promotion changes, written down as a whole before anything is changed.
//!
//! Before the plan is published the promotion never happened; after it, it must finish, whoever finishes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::columns::{ColumnSpec, DATE_PARTITION};
use super::names::{NULL_DATE, PartName};
use crate::fault::Fault;
use crate::model::offset::TopicPartition;
use crate::storage::LakePath;

/// Format number of plan files.
const FORMAT: u32 = 1;

/// One promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Of this file.
    pub format: u32,
    /// Table name.
    pub table: String,
    /// Number of this promotion, from 1 without a gap.
    pub seq: u64,
    /// Epoch of the promoter that published it; part of the names of its files.
    pub epoch: u64,
    /// How far every Kafka partition is promoted, after this plan. Partitions without a chain are not in it.
    pub cursors: Vec<Cursor>,
    /// What this plan consumed, in chain order by Kafka partition.
    pub intervals: Vec<Consumed>,
    /// All columns of the table after this plan.
    pub columns: Vec<ColumnSpec>,
    /// Files to add.
    pub add: Vec<PlannedFile>,
    /// Files to remove, as paths below the table.
    pub remove: Vec<String>,
    /// The table's files before this plan.
    pub before: Census,
    /// The table's files after this plan.
    pub after: Census,
}

/// How far one Kafka partition is promoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Topic.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// Everything below is promoted.
    pub next: i64,
    /// Epoch of the newest rewind or revision that is honoured; none: none yet.
    pub honoured: Option<u64>,
}

/// One interval that a plan consumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consumed {
    /// Topic.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// First position.
    pub from: i64,
    /// First position after.
    pub to: i64,
    /// Epoch of the ledger file.
    pub epoch: u64,
}

/// A file that a plan adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFile {
    /// Path below the table: `dt=…/part-….parquet`.
    pub path: String,
    /// Name in the stage of the plan's epoch.
    pub staged: String,
    /// Length.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// CRC-32 (IEEE) of the whole file.
    pub crc32: u32,
    /// Value of the path partition; none for rows without a good date.
    pub dt: Option<String>,
    /// What the columns hold, for readers of the log that skip files.
    pub stats: Vec<ColumnStats>,
}

/// What one column of one file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnStats {
    /// Column name.
    pub column: String,
    /// Number of nulls.
    pub nulls: u64,
    /// Least and greatest value as whole numbers (days, microseconds); none when all are null.
    pub bounds: Option<(i64, i64)>,
}

/// A set of files, as far as one must know it to see whether somebody else changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Census {
    /// How many.
    pub files: u64,
    /// CRC-32 (IEEE) of their paths, sorted, each followed by a line feed.
    pub crc32: u32,
}

impl Census {
    /// Of these paths, each once, in any order.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut sorted: Vec<&str> = paths.into_iter().collect();
        sorted.sort_unstable();
        let mut crc = crc32fast::Hasher::new();
        for path in &sorted {
            crc.update(path.as_bytes());
            crc.update(b"\n");
        }
        Self { files: sorted.len() as u64, crc32: crc.finalize() }
    }
}

impl Plan {
    /// An empty plan that follows `previous`.
    pub fn after(previous: Option<&Self>, table: &str, epoch: u64) -> Self {
        Self {
            format: FORMAT,
            table: table.to_owned(),
            seq: previous.map_or(0, |plan| plan.seq) + 1,
            epoch,
            cursors: previous.map_or_else(Vec::new, |plan| plan.cursors.clone()),
            intervals: Vec::new(),
            columns: previous.map_or_else(Vec::new, |plan| plan.columns.clone()),
            add: Vec::new(),
            remove: Vec::new(),
            before: previous.map_or_else(Census::default, |plan| plan.after),
            after: previous.map_or_else(Census::default, |plan| plan.after),
        }
    }

    /// How far every Kafka partition is promoted.
    pub fn cursors(&self) -> BTreeMap<TopicPartition, Cursor> {
        let key = |cursor: &Cursor| TopicPartition::new(cursor.topic.as_str(), cursor.partition);
        self.cursors.iter().map(|cursor| (key(cursor), cursor.clone())).collect()
    }

    /// The plan as its file holds it.
    ///
    /// # Errors
    ///
    /// A fault of ours.
    pub fn encode(&self) -> Result<Vec<u8>, Fault> {
        serde_json::to_vec_pretty(self)
            .map_err(|error| Fault::internal("promote.plan", format!("plan {} of {}: {error}", self.seq, self.table)))
    }

    /// The plan in a file.
    ///
    /// # Errors
    ///
    /// A file that is no plan, or one of a newer version: only a person can decide.
    pub fn decode(bytes: &[u8], path: &LakePath) -> Result<Self, Fault> {
        let unreadable = |why: String| {
            Fault::halt(
                "promote.plan",
                format!("{path} is not a plan that this version can read ({why}); update forebay"),
            )
        };
        let plan: Self = serde_json::from_slice(bytes).map_err(|error| unreadable(error.to_string()))?;
        if plan.format != FORMAT {
            return Err(unreadable(format!("format {}", plan.format)));
        }
        let ours = |path: &str| LakePath::parse(path).is_some_and(|path| !path.as_str().is_empty());
        match plan.add.iter().map(|file| &file.path).chain(&plan.remove).find(|path| !ours(path)) {
            Some(bad) => Err(unreadable(format!("path {bad}"))),
            None => Ok(plan),
        }
    }
}

/// Path of a data file below its table.
pub fn part_path(dt: Option<&str>, name: PartName) -> String {
    format!("{DATE_PARTITION}={}/{}", dt.unwrap_or(NULL_DATE), name.file_name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::offset::Epoch;

    #[test]
    fn a_plan_comes_back_from_its_file() {
        let mut plan = Plan::after(None, "books", 3);
        plan.cursors.push(Cursor { topic: "library".into(), partition: 1, next: 42, honoured: Some(2) });
        plan.add.push(PlannedFile {
            path: part_path(Some("2026-10-15"), PartName { seq: 1, epoch: Epoch(3), bucket: 0, number: 0 }),
            staged: "a.parquet".into(),
            bytes: 10,
            rows: 2,
            crc32: 7,
            dt: Some("2026-10-15".into()),
            stats: vec![ColumnStats { column: "id".into(), nulls: 0, bounds: Some((1, 2)) }],
        });
        plan.after = Census::of(plan.add.iter().map(|file| file.path.as_str()));
        let path = LakePath::root().join("plan");
        assert_eq!(Plan::decode(&plan.encode().unwrap(), &path).unwrap(), plan);
        let next = Plan::after(Some(&plan), "books", 4);
        assert_eq!((next.seq, next.before, next.cursors), (2, plan.after, plan.cursors.clone()));
    }

    #[test]
    fn a_plan_that_points_out_of_its_table_is_refused() {
        let mut plan = Plan::after(None, "books", 3);
        plan.remove.push("../raw/x".into());
        assert!(Plan::decode(&plan.encode().unwrap(), &LakePath::root().join("plan")).is_err());
    }

    #[test]
    fn a_census_does_not_depend_on_order() {
        assert_eq!(Census::of(["b", "a"]), Census::of(["a", "b"]));
        assert_ne!(Census::of(["a"]), Census::of(["a", "b"]));
        assert_ne!(Census::of(["ab", "c"]), Census::of(["a", "bc"]));
    }
}
