//! What lies in the ledger, in RAW and in quarantine.

use std::collections::{BTreeMap, HashSet};

use super::control::Owners;
use super::{Action, Class, Found};
use crate::lake::audit::{Flaw, RawAudit, Violation};
use crate::lake::names::{self, Home, IntervalName};
use crate::model::offset::TopicPartition;
use crate::storage::{Entry, LakePath};

/// What the audit says of these zones.
pub(super) struct Data<'a> {
    owners: &'a Owners,
    /// By path.
    wrong: BTreeMap<&'a str, &'a Violation>,
    under_way: HashSet<&'a LakePath>,
    /// Kafka partitions whose chain is broken, or damaged.
    broken: HashSet<TopicPartition>,
    /// Tables and topics that the ledger knows.
    known: HashSet<&'a str>,
}

impl<'a> Data<'a> {
    pub(super) fn new(audit: &'a RawAudit, owners: &'a Owners) -> Self {
        let wrong = || audit.chain.violations.iter().chain(&audit.complete.violations);
        let source = |wrong: &Violation| Some(TopicPartition::new(wrong.topic.as_deref()?, wrong.partition?));
        Self {
            owners,
            wrong: wrong().filter_map(|wrong| Some((wrong.path.as_deref()?, wrong))).collect(),
            under_way: audit.under_way.iter().collect(),
            known: {
                let topics = audit.partitions.iter().map(|lane| &*lane.topic);
                audit.tables.iter().map(|table| &*table.table).chain(topics).collect()
            },
            broken: wrong().filter(|wrong| wrong.flaw != Flaw::Unnamed).filter_map(source).collect(),
        }
    }

    /// What is named and not there.
    pub(super) fn missing(&self) -> impl Iterator<Item = Found> {
        let missing = self.wrong.values().filter(|wrong| wrong.flaw == Flaw::Missing);
        missing.map(|wrong| Found {
            path: wrong.path.clone().unwrap_or_default(),
            bytes: 0,
            class: Class::Missing,
            what: Some(wrong.what.clone()),
            action: Action::Person,
            moved_to: None,
        })
    }

    pub(super) fn judge(&self, entry: &Entry) -> Found {
        let Some(name) = name_in_place(&entry.path) else {
            // A folder that is not Forebay's as a whole may be somebody's who knows nothing of it.
            let is_known = entry.path.as_str().split('/').nth(1).is_some_and(|folder| self.known.contains(folder));
            let action = if is_known { Action::Move } else { Action::Person };
            return Found::new(entry, Class::Foreign, action).because("this is no name of Forebay's");
        };
        let Some(wrong) = self.wrong.get(entry.path.as_str()) else {
            let is_under_way = self.under_way.contains(&entry.path);
            return Found::new(entry, if is_under_way { Class::UnderWay } else { Class::Chain }, Action::Keep);
        };
        let class = match wrong.flaw {
            Flaw::Unnamed => return self.judge_orphan(entry, &name),
            Flaw::Short => Class::Short,
            Flaw::Missing => Class::Missing,
            Flaw::Content => Class::Unreadable,
        };
        Found::new(entry, class, Action::Person).because(wrong.what.as_str())
    }

    fn judge_orphan(&self, entry: &Entry, name: &IntervalName) -> Found {
        let newest = self.owners.newest(Home::raw(&name.source).path());
        let (action, what) = if self.broken.contains(&name.source) {
            (Action::Person, "no ledger file names it, and its chain is broken: a missing one may have")
        } else if newest.is_some_and(|newest| name.epoch >= newest) {
            (Action::Wait, "no ledger file names it; its owner may be alive")
        } else {
            (Action::Move, "no ledger file names it, and its owner is fenced")
        };
        Found::new(entry, Class::Orphan, action).because(what)
    }
}

/// The interval that a file belongs to, when it lies where one of that name may lie.
pub(super) fn name_in_place(path: &LakePath) -> Option<IntervalName> {
    let name = IntervalName::parse(path.name())?;
    let segments: Vec<&str> = path.as_str().split('/').collect();
    let date = |segment: &str| names::parse_date_segment(segment).is_some();
    let is_in_place = match segments.as_slice() {
        ["ledger", topic, partition, dt, _] => {
            *topic == &*name.source.topic
                && names::parse_ledger_partition(partition) == Some(name.source.partition)
                && date(dt)
        }
        ["raw", _, dt, hr, _] => date(dt) && names::parse_hour_segment(hr).is_some(),
        ["quarantine", _, dt, _] => date(dt),
        _ => false,
    };
    is_in_place.then_some(name)
}
