//! What all chains together show.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::interval::Looked;
use super::known::KnownLane;
use super::orphans;
use super::present::Present;
use super::raw::{Lane, RawAudit};
use super::{Invariant, Known, LaneSummary, TableSummary, Unread, Violation};
use crate::lake::LakeError;
use crate::lake::footer::IntervalFooter;
use crate::lake::mutate;
use crate::lake::names::IntervalName;
use crate::model::batch::Outcome;
use crate::model::offset::TopicPartition;
use crate::storage::{LakePath, Storage};

/// What was found so far.
pub(super) struct Verdict<'a> {
    storage: &'a dyn Storage,
    present: &'a Present,
    /// Against I1.
    pub(super) chain: Vec<Violation>,
    complete: Vec<Violation>,
    named: HashSet<LakePath>,
    tables: BTreeMap<String, TableSummary>,
    partitions: Vec<LaneSummary>,
    unread: Vec<Unread>,
    under_way: Vec<LakePath>,
    /// Kafka partitions of which something could not be looked at.
    blind: HashSet<TopicPartition>,
    /// Up to where each chain is right.
    right: HashMap<TopicPartition, KnownLane>,
}

/// What the intervals of a chain say, from its beginning on.
#[derive(Clone)]
struct Sum {
    lane: LaneSummary,
    tables: BTreeMap<String, TableSummary>,
}

impl<'a> Verdict<'a> {
    pub(super) fn new(storage: &'a dyn Storage, present: &'a Present) -> Self {
        Self {
            storage,
            present,
            chain: Vec::new(),
            complete: Vec::new(),
            named: HashSet::new(),
            tables: BTreeMap::new(),
            partitions: Vec::new(),
            unread: Vec::new(),
            under_way: Vec::new(),
            blind: HashSet::new(),
            right: HashMap::new(),
        }
    }

    /// Something of a Kafka partition could not be looked at.
    pub(super) fn cannot_read(&mut self, source: &TopicPartition, what: String, error: LakeError) {
        self.unread.push(Unread::new(what, error.into()));
        self.blind.insert(source.clone());
    }

    /// Adds what the intervals of a chain have shown; `looked` begins with them.
    pub(super) fn add(&mut self, lane: &Lane<'_>, looked: &mut impl Iterator<Item = Result<Looked, LakeError>>) {
        let mut sum = match lane.known {
            Some(known) => {
                self.named.extend(self.present.below(lane.source, known.to).cloned());
                Sum { lane: known.summary.clone(), tables: known.tables.clone() }
            }
            None => Sum { lane: LaneSummary::of(lane.source), tables: BTreeMap::new() },
        };
        let mut right = lane.known.map(|known| (known.to, sum.clone()));
        let mut is_right = !lane.is_broken;
        let (mut unread, mut why) = (0, None);
        for (file, looked) in lane.todo().zip(looked) {
            let range = file.name.range;
            sum.lane.from = sum.lane.from.or(Some(range.from()));
            sum.lane.to = Some(range.to());
            sum.lane.intervals += 1;
            match looked {
                Ok(Looked { footer, mut found, is_listed }) => {
                    if let Some(footer) = &footer {
                        let twice = self.name(footer);
                        if !twice.is_empty()
                            && mutate::look(self.storage, &file.path).is_ok_and(|there| there.is_some())
                        {
                            found.extend(twice);
                        }
                        sum.add(footer);
                    }
                    is_right &= footer.is_some() && found.is_empty() && is_listed;
                    self.complete.extend(found.into_iter().map(|wrong| wrong.of(lane.source, range.from())));
                }
                Err(error) => {
                    is_right = false;
                    unread += 1;
                    why = why.or(Some(error));
                }
            }
            if is_right {
                right = Some((range.to(), sum.clone()));
            }
        }
        if let Some(error) = why {
            self.cannot_read(
                lane.source,
                format!("{}, {unread} of {} intervals", lane.source, lane.files.len()),
                error,
            );
        }
        if let Some((to, sum)) = right.filter(|_| !lane.is_broken) {
            let digest = self.present.digest(lane.source, &lane.files, to);
            let known = KnownLane { to, digest, summary: sum.lane, tables: sum.tables };
            self.right.insert(lane.source.clone(), known);
        }
        for (table, summary) in &sum.tables {
            self.tables.entry(table.clone()).or_default().add(summary);
        }
        self.partitions.push(sum.lane);
    }

    /// Notes which data files an interval names, and says which of them another one has named.
    fn name(&mut self, footer: &IntervalFooter) -> Vec<Violation> {
        let paths = footer.files.iter().filter_map(|file| LakePath::parse(&file.path));
        let twice = paths.filter_map(|path| self.named.replace(path));
        twice.map(|path| Violation::at(path, "two ledger files name it")).collect()
    }

    /// Adds the data files that no ledger file names and nothing explains. Of what could not be looked at nothing is
    /// said.
    pub(super) fn add_unnamed(&mut self) {
        let mut by_source: BTreeMap<Option<TopicPartition>, Vec<LakePath>> = BTreeMap::new();
        for path in self.present.paths().filter(|path| !self.named.contains(*path)) {
            let name = IntervalName::parse(path.name());
            if let Some(name) = &name {
                // Nothing explains it any more when the next audit comes.
                self.right.retain(|source, known| *source != name.source || known.to < name.range.to());
            }
            by_source.entry(name.map(|name| name.source)).or_default().push(path.clone());
        }
        for (source, mut paths) in by_source {
            if source.as_ref().is_some_and(|source| self.blind.contains(source)) {
                continue;
            }
            paths.sort();
            match orphans::unexplained(self.storage, source.as_ref(), &paths) {
                Ok(violations) => {
                    let is_told =
                        |path: &LakePath| violations.iter().any(|wrong| wrong.path.as_deref() == Some(path.as_str()));
                    self.under_way.extend(paths.iter().filter(|path| !is_told(path)).cloned());
                    self.complete.extend(violations);
                }
                Err(error) => {
                    let what = source.map_or_else(|| "raw and quarantine".to_owned(), |source| source.to_string());
                    self.unread.push(Unread::new(what, error.into()));
                }
            }
        }
    }

    pub(super) fn finish(self) -> RawAudit {
        let sum = |count: fn(&LaneSummary) -> u64| self.partitions.iter().map(count).sum();
        let (intervals, messages) = (sum(|lane| lane.intervals), sum(|lane| lane.messages));
        let mut known = Known::nothing();
        self.right.into_values().for_each(|lane| known.add(lane));
        RawAudit {
            chain: Invariant::new("I1", intervals, self.chain),
            complete: Invariant::new("I2", messages, self.complete),
            tables: self.tables.into_iter().map(|(table, sum)| TableSummary { table, ..sum }).collect(),
            partitions: self.partitions,
            unread: self.unread,
            under_way: self.under_way,
            known,
        }
    }
}

impl Sum {
    fn add(&mut self, footer: &IntervalFooter) {
        let sums = &footer.sums;
        self.lane.messages += sums.messages;
        self.lane.tombstones += sums.outcomes.get(Outcome::Tombstone.name()).copied().unwrap_or(0);
        for (table, sum) in &sums.tables {
            let summary = self.tables.entry(table.clone()).or_default();
            summary.messages += sum.messages;
            summary.rows += sum.rows;
            summary.quarantined += sum.quarantined;
            self.lane.rows += sum.rows;
            self.lane.quarantined += sum.quarantined;
        }
        for file in &footer.files {
            let summary = self.tables.entry(file.table.clone()).or_default();
            summary.files += 1;
            summary.bytes += file.bytes;
        }
    }
}
