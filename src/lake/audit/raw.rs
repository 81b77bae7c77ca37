//! I1 and I2: the chains have no hole and no overlap; what they say is in the files they name, once, and nothing else.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU32;

use super::interval::Looker;
use super::known::KnownLane;
use super::present::Present;
use super::verdict::Verdict;
use super::{Invariant, Known, LaneSummary, TableSummary, Unread, Violation};
use crate::lake::LakeError;
use crate::lake::at_once::look_at_all;
use crate::lake::chain::{self, LedgerFile};
use crate::lake::mutate;
use crate::lake::names::{self, Home};
use crate::model::offset::TopicPartition;
use crate::storage::{LakePath, Storage};

/// How far the audit reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Every ledger row; of data files their place and length.
    Ledger,
    /// The footer of every data file besides, for its number of rows.
    DataFooters,
    /// Every byte of every data file besides, for its checksum.
    DataBytes,
}

/// What the audit of RAW and quarantine found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAudit {
    /// I1; checked are intervals.
    pub chain: Invariant,
    /// I2; checked are messages.
    pub complete: Invariant,
    /// What the ledger says of each table.
    pub tables: Vec<TableSummary>,
    /// What the ledger says of each Kafka partition.
    pub partitions: Vec<LaneSummary>,
    /// What could not be looked at.
    pub unread: Vec<Unread>,
    /// Data files that no ledger file names and that something explains: what is under way, or was cut short and is
    /// finished or removed by the next owner.
    pub under_way: Vec<LakePath>,
    /// What the next audit need not look at again.
    pub known: Known,
}

/// Audits every chain of the lake.
///
/// # Errors
///
/// As [`audit_raw_since`].
pub fn audit_raw(storage: &dyn Storage, depth: Depth) -> Result<RawAudit, LakeError> {
    audit_raw_since(storage, depth, &Known::nothing())
}

/// Audits every chain of the lake from where it is `known` to be right. Data files are listed **before** the chains:
/// what is committed meanwhile is then missing from the list of files, and looked up, instead of missing from the
/// chains.
///
/// # Errors
///
/// What storage answered when asked what there is. What is wrong with the lake is in the result, and so is what could
/// not be looked at of it.
pub fn audit_raw_since(storage: &dyn Storage, depth: Depth, known: &Known) -> Result<RawAudit, LakeError> {
    let present = Present::list(storage)?;
    let sources: Vec<TopicPartition> = list_sources(storage)?.into_iter().collect();
    let chains = look_at_all(&sources, |_| 0, |source| read_chain(storage, source));
    let mut verdict = Verdict::new(storage, &present);
    let mut lanes = Vec::new();
    for (source, chain) in sources.iter().zip(chains) {
        match chain {
            Ok((files, broken)) => {
                let known = known.of(source).filter(|known| known.digest == present.digest(source, &files, known.to));
                lanes.push(Lane { source, files, known, is_broken: broken.is_some() });
                verdict.chain.extend(broken);
            }
            Err(error) => verdict.cannot_read(source, source.to_string(), error),
        }
    }
    let looker = Looker { storage, depth, present: &present, unread: AtomicU32::new(0) };
    let todo: Vec<&LedgerFile> = lanes.iter().flat_map(Lane::todo).collect();
    // A data file is looked at by its end, or in pieces of a few MiB.
    let looked = look_at_all(&todo, |file| file.bytes + (4 << 20), |file| looker.look(file));
    let mut looked = looked.into_iter();
    for lane in &lanes {
        verdict.add(lane, &mut looked);
    }
    verdict.add_unnamed();
    Ok(verdict.finish())
}

/// One chain, as far as it is to be looked at.
pub(super) struct Lane<'a> {
    pub(super) source: &'a TopicPartition,
    pub(super) files: Vec<LedgerFile>,
    /// What need not be looked at again.
    pub(super) known: Option<&'a KnownLane>,
    /// Whether the files are no chain.
    pub(super) is_broken: bool,
}

impl Lane<'_> {
    /// The intervals to look at, in their order.
    pub(super) fn todo(&self) -> impl Iterator<Item = &LedgerFile> {
        let from = self.known.map(|known| known.to);
        self.files.iter().filter(move |file| from.is_none_or(|from| file.name.range.to() > from))
    }
}

/// The files of a chain, or all there are when they are none, and what speaks against I1.
fn read_chain(
    storage: &dyn Storage,
    source: &TopicPartition,
) -> Result<(Vec<LedgerFile>, Option<Violation>), LakeError> {
    match chain::read_chain(storage, source) {
        Ok(state) => {
            let first = state.chain.live.first().filter(|_| state.floor.is_none());
            let broken = first.map(|first| {
                let what = "the floor of this chain is gone, so nothing tells where it should begin";
                Violation::at(&first.path, what).of(source, first.name.range.from())
            });
            Ok((state.chain.live, broken))
        }
        Err(LakeError::Chain { fault, .. }) => {
            let files = chain::list_files(storage, source)?;
            let path = files.iter().find(|file| file.name == *fault.file()).map(|file| file.path.to_string());
            let violation = Violation { what: fault.to_string(), path, ..Violation::default() };
            Ok((files, Some(violation.of(source, fault.offset()))))
        }
        Err(error) => Err(error),
    }
}

/// Every Kafka partition that has a chain or was ever owned.
fn list_sources(storage: &dyn Storage) -> Result<BTreeSet<TopicPartition>, LakeError> {
    let mut sources = BTreeSet::new();
    let mut add = |root: &LakePath, parse: fn(&str) -> Option<i32>| -> Result<(), LakeError> {
        for topic in mutate::list(storage, root)? {
            let partitions = mutate::list(storage, &topic.path)?;
            let partitions = partitions.iter().filter_map(|entry| parse(entry.path.name()));
            sources.extend(partitions.map(|partition| TopicPartition::new(topic.path.name(), partition)));
        }
        Ok(())
    };
    add(&names::ledger_root(), names::parse_ledger_partition)?;
    add(&Home::raw_root(), Home::parse_partition)?;
    Ok(sources)
}
