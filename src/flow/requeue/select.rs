//! Which intervals and which messages are meant.

use std::collections::{BTreeMap, HashSet};

use arrow::array::{Array, AsArray, BooleanArray, ListArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;

use crate::fault::Fault;
use crate::lake::chain::{LedgerFile, read_chain};
use crate::lake::mutate;
use crate::lake::names::{IntervalName, UNROUTED, quarantine_root};
use crate::model::mapping::LINEAGE;
use crate::model::offset::TopicPartition;
use crate::model::violation::Code;
use crate::storage::Storage;

/// What an operator wants to see again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Messages in the quarantine of this table, or of [`UNROUTED`].
    pub table: String,
    /// Only messages with such a violation.
    pub code: Option<Code>,
    /// Only messages of this Kafka timestamp or later, in microseconds; those without one are not meant then.
    pub from_us: Option<i64>,
}

impl Selection {
    /// Whether messages of an interval with this latest timestamp can be meant.
    pub(super) fn may_take(&self, latest_us: Option<i64>) -> bool {
        self.from_us.is_none_or(|from| latest_us.is_some_and(|latest| from <= latest))
    }

    /// For each row of quarantine whether it is meant.
    pub(super) fn mask(&self, rows: &RecordBatch) -> Result<BooleanArray, Fault> {
        let times = column(rows, LINEAGE[3])?.as_primitive_opt::<TimestampMicrosecondType>();
        let times = times.ok_or_else(|| unfit(LINEAGE[3]))?;
        let violations = column(rows, "violations")?.as_list_opt::<i32>().ok_or_else(|| unfit("violations"))?;
        let is_meant = |row: usize| {
            let in_time = self.from_us.is_none_or(|from| times.is_valid(row) && times.value(row) >= from);
            Ok(in_time && self.code.map_or(Ok(true), |code| has_code(violations, row, code))?)
        };
        (0..rows.num_rows()).map(|row| is_meant(row).map(Some)).collect()
    }
}

fn has_code(violations: &ListArray, row: usize, wanted: Code) -> Result<bool, Fault> {
    let of_row = violations.value(row);
    let codes = of_row.as_struct_opt().and_then(|members| members.column_by_name("code"));
    let codes = codes.and_then(|codes| codes.as_string_opt::<i32>()).ok_or_else(|| unfit("violations"))?;
    Ok(codes.iter().flatten().any(|code| code == wanted.name()))
}

/// A column that every quarantine file has.
pub(super) fn column<'r>(rows: &'r RecordBatch, name: &str) -> Result<&'r dyn Array, Fault> {
    rows.column_by_name(name).map(AsRef::as_ref).ok_or_else(|| unfit(name))
}

/// The fault of a file that is not as quarantine files are.
pub(super) fn unfit(name: &str) -> Fault {
    Fault::halt("requeue.columns", format!("a quarantine file has no column {name} as it should; see `forebay audit`"))
}

/// Intervals that have a file in the quarantine of a table, by Kafka partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidates {
    names: BTreeMap<TopicPartition, HashSet<IntervalName>>,
}

impl Candidates {
    /// The Kafka partitions.
    pub fn sources(&self) -> impl Iterator<Item = &TopicPartition> {
        self.names.keys()
    }

    /// Those intervals of a Kafka partition that are in its chain, by offset.
    ///
    /// # Errors
    ///
    /// Storage, or a broken chain.
    pub fn live(&self, storage: &dyn Storage, source: &TopicPartition) -> Result<Vec<LedgerFile>, Fault> {
        let Some(names) = self.names.get(source) else { return Ok(Vec::new()) };
        let live = read_chain(storage, source)?.chain.live;
        Ok(live.into_iter().filter(|file| names.contains(&file.name)).collect())
    }
}

/// Lists the quarantine of a table. What lies there tells which intervals are concerned, so that no other is looked at.
///
/// # Errors
///
/// Storage.
pub fn candidates(storage: &dyn Storage, table: &str) -> Result<Candidates, Fault> {
    let mut found = Candidates::default();
    for dt in mutate::list(storage, &quarantine_root().join(table))? {
        for file in mutate::list(storage, &dt.path)? {
            if let Some(name) = IntervalName::parse(file.path.name()) {
                found.names.entry(name.source.clone()).or_default().insert(name);
            }
        }
    }
    Ok(found)
}

/// The name in the lake of a table, or of none.
pub(super) fn name_of(table: Option<&str>) -> &str {
    table.unwrap_or(UNROUTED)
}
