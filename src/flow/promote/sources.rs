//! What lies in the lake for one table: its Kafka partitions, what is new in each, and the files with the rows.

use std::collections::{BTreeMap, BTreeSet};

use super::delta::{LaneDelta, Rewind, Stale, lane_delta};
use crate::fault::Fault;
use crate::lake::chain::{LedgerFile, read_chain, read_intents};
use crate::lake::footer::{Zone, read_footer};
use crate::lake::mutate;
use crate::lake::names::{ledger_root, parse_ledger_partition};
use crate::lake::plan::Cursor;
use crate::model::offset::TopicPartition;
use crate::model::table::{Table, TopicChoice};
use crate::model::topic;
use crate::storage::{LakePath, Storage};

/// One Kafka partition of a table, as one promotion sees it.
#[derive(Debug, Clone)]
pub struct Lane {
    /// Which.
    pub source: TopicPartition,
    /// Its chain.
    pub chain: Vec<LedgerFile>,
    /// Everything below is promoted.
    pub promoted: i64,
    /// What is done with it.
    pub delta: LaneDelta,
}

/// A RAW file of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFile {
    /// Where.
    pub path: LakePath,
    /// Length in bytes.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Highest version of the mapping that its rows were read with; 0 where the ledger does not say.
    pub mapping_version: u32,
}

impl Lane {
    /// Intervals that are promoted as they are, and that no rewind can take away any more.
    pub fn settled(&self) -> impl Iterator<Item = &LedgerFile> {
        self.below().iter().filter(|file| !self.is_revised(file))
    }

    /// Intervals that were promoted before and are not consumed now. Of one that was revised and waits for a later
    /// promotion it is the version that RAW has: its ids are recomputed then.
    pub fn old(&self) -> impl Iterator<Item = &LedgerFile> {
        let is_taken = matches!(self.delta, LaneDelta::Take { .. });
        self.below().iter().filter(move |file| !(is_taken && self.is_revised(file)))
    }

    /// Intervals to consume, by offset: those that were revised below the cursor, and new ones.
    pub fn fresh(&self) -> impl Iterator<Item = &LedgerFile> {
        let (below, new) = match &self.delta {
            LaneDelta::LeftOut { .. } => (&[][..], &[][..]),
            LaneDelta::Take { new, .. } => (self.below(), &self.chain[new.clone()]),
        };
        below.iter().filter(|file| self.is_revised(file)).chain(new)
    }

    /// Rows of Processed that are out of date because the chain was cut or an interval of it revised.
    pub fn stale(&self) -> &Stale {
        match &self.delta {
            LaneDelta::LeftOut { stale, .. } | LaneDelta::Take { stale, .. } => stale,
        }
    }

    /// Intervals below the cursor that no rewind concerns.
    pub fn below(&self) -> &[LedgerFile] {
        match &self.delta {
            LaneDelta::LeftOut { settled, .. } => &self.chain[..*settled],
            LaneDelta::Take { old, .. } => &self.chain[old.clone()],
        }
    }

    fn is_revised(&self, file: &LedgerFile) -> bool {
        self.stale().is_revised(file.name.range.from())
    }
}

/// Every Kafka partition of the table that has a chain or was promoted.
///
/// # Errors
///
/// Storage, a broken chain, or one that does not fit what was promoted.
pub fn read_lanes(
    storage: &dyn Storage,
    table: &Table,
    cursors: &BTreeMap<TopicPartition, Cursor>,
) -> Result<Vec<Lane>, Fault> {
    let mut lanes = Vec::new();
    for source in sources(storage, &table.topics, cursors)? {
        lanes.push(read_lane(storage, source, cursors)?);
    }
    Ok(lanes)
}

/// How often a Kafka partition is looked at again while rewinds of it go on.
const LOOKS: usize = 3;

fn read_lane(
    storage: &dyn Storage,
    source: TopicPartition,
    cursors: &BTreeMap<TopicPartition, Cursor>,
) -> Result<Lane, Fault> {
    let mut look = 1;
    loop {
        // Rewinds are listed before the chain: the promise of `read_chain`.
        let state = read_chain(storage, &source)?;
        let rewinds: Vec<Rewind> = state
            .intents
            .iter()
            .map(|intent| Rewind {
                epoch: intent.name.epoch.0,
                to: intent.name.to,
                head: intent.name.head,
                is_done: intent.is_done,
            })
            .collect();
        match lane_delta(&source, cursors.get(&source), &rewinds, &state.revisions, &state.chain.live) {
            Ok(delta) => {
                let promoted = cursors.get(&source).map_or(0, |cursor| cursor.next);
                return Ok(Lane { source, chain: state.chain.live, promoted, delta });
            }
            // A rewind that was published meanwhile explains why the chain does not fit.
            Err(_) if look < LOOKS && read_intents(storage, &source)? != state.intents => look += 1,
            Err(fault) => return Err(fault),
        }
    }
}

fn sources(
    storage: &dyn Storage,
    choice: &TopicChoice,
    cursors: &BTreeMap<TopicPartition, Cursor>,
) -> Result<BTreeSet<TopicPartition>, Fault> {
    let mut sources: BTreeSet<TopicPartition> = cursors.keys().cloned().collect();
    for topic in mutate::list(storage, &ledger_root())? {
        if !topic.is_dir || !choice.takes(topic::in_kafka(topic.path.name())) {
            continue;
        }
        for partition in mutate::list(storage, &topic.path)? {
            if let Some(number) = parse_ledger_partition(partition.path.name()).filter(|_| partition.is_dir) {
                sources.insert(TopicPartition::new(topic.path.name(), number));
            }
        }
    }
    Ok(sources)
}

/// The RAW files of a table in one interval.
///
/// # Errors
///
/// Storage, or a ledger file that is damaged.
pub fn raw_files(storage: &dyn Storage, table: &str, interval: &LedgerFile) -> Result<Vec<RawFile>, Fault> {
    let footer = read_footer(storage, &interval.path, interval.bytes)?;
    let used = footer.mappings.iter().filter(|mapping| mapping.table == table);
    let mapping_version = used.map(|mapping| mapping.version).max().unwrap_or(0);
    let files = footer.files.into_iter().filter(|file| file.zone == Zone::Raw && file.table == table && file.rows > 0);
    files
        .map(|file| {
            let path = LakePath::parse(&file.path).ok_or_else(|| {
                Fault::halt(
                    "promote.ledger",
                    format!("{} names a file {}; see `forebay audit`", interval.path, file.path),
                )
            })?;
            Ok(RawFile { path, bytes: file.bytes, rows: file.rows, mapping_version })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_feed_a_table_in_the_lake_as_they_do_in_kafka() {
        for pattern in ["^library\\..*", "^library\\."] {
            let choice = TopicChoice::Pattern(pattern.into());
            let feeds = |topic| choice.takes(topic::in_kafka(topic));
            assert!(
                feeds("library.a") && feeds("library.a~2") && !feeds("my.library.a") && !feeds("library"),
                "{pattern}"
            );
        }
        let list = TopicChoice::List(vec!["library".into()]);
        let feeds = |topic| list.takes(topic::in_kafka(topic));
        assert!(feeds("library") && feeds("library~2") && !feeds("library2"));
    }
}
