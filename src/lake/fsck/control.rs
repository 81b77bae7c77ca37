//! What lies below `_forebay`, and what lies beside the zones, by place and name alone.

use std::collections::HashMap;

use super::{Action, Class, Found};
use crate::lake::names::{
    HeadHint, Home, LetterMark, RevisionName, RewindName, parse_accepted, parse_epoch_segment, parse_fenced,
    parse_floor, parse_owner, parse_plan,
};
use crate::model::offset::Epoch;
use crate::storage::{Entry, LakePath};

/// Where a repair moves things.
pub(super) fn lost_and_found() -> LakePath {
    LakePath::root().join("_forebay").join("lost+found")
}

/// The newest epoch of every control folder.
pub(super) struct Owners(HashMap<LakePath, Epoch>);

impl Owners {
    pub(super) fn list(files: &[Entry]) -> Self {
        let mut newest: HashMap<LakePath, Epoch> = HashMap::new();
        for entry in files.iter().filter(|entry| entry.path.parent().name() == "owner") {
            if let Some(epoch) = parse_owner(entry.path.name()) {
                let known = newest.entry(entry.path.parent().parent()).or_insert(epoch);
                *known = epoch.max(*known);
            }
        }
        Self(newest)
    }

    /// The newest epoch that was taken in a control folder; none when none ever was.
    pub(super) fn newest(&self, home: &LakePath) -> Option<Epoch> {
        self.0.get(home).copied()
    }
}

/// What a file is that lies in no zone.
pub(super) fn judge(entry: &Entry, owners: &Owners) -> Found {
    match class_of(&entry.path, owners) {
        Some(class) => Found::new(entry, class, Action::Keep),
        None => Found::new(entry, Class::Foreign, Action::Person).because("this is no name of Forebay's"),
    }
}

fn class_of(path: &LakePath, owners: &Owners) -> Option<Class> {
    let segments: Vec<&str> = path.as_str().split('/').collect();
    let (home, kind, rest) = match segments.as_slice() {
        // A daemon that begins tries what the file system can do.
        [probe, ..] if probe.starts_with("_forebay-probe-") => return Some(Class::Control),
        ["_forebay", "lost+found", ..] => return Some(Class::LostAndFound),
        ["_forebay", "raw", topic, partition, kind, rest @ ..] => {
            let is_ours = *partition == "topic" || Home::parse_partition(partition).is_some();
            let home = Home::raw_root().join(topic).join(partition);
            (is_ours.then_some(home)?, *kind, rest)
        }
        ["_forebay", "processed", table, kind, rest @ ..] => (Home::processed(table).path().clone(), *kind, rest),
        _ => return None,
    };
    let is_processed = segments[1] == "processed";
    let control = |is_ours: bool| is_ours.then_some(Class::Control);
    match (kind, rest) {
        ("owner", [name]) => control(parse_owner(name).is_some()),
        ("stage", [epoch, ..]) => {
            let (epoch, newest) = (parse_epoch_segment(epoch)?, owners.newest(&home));
            Some(if newest.is_some_and(|newest| epoch < newest) { Class::DeadStage } else { Class::LiveStage })
        }
        ("fenced", [epoch, ..]) => parse_fenced(epoch).map(|_| Class::DeadStage),
        ("plan", [name]) if is_processed => control(parse_plan(name).is_some()),
        ("trash", [_, ..]) if is_processed => Some(Class::Superseded),
        ("accepted", [name]) if !is_processed => control(parse_accepted(name).is_some()),
        ("superseded", [epoch, ..]) if !is_processed => parse_epoch_segment(epoch).map(|_| Class::Superseded),
        ("floor", [name]) if !is_processed => control(parse_floor(name).is_some()),
        ("rewind", [name]) if !is_processed => control(RewindName::parse(name).is_some()),
        ("revision", [name]) if !is_processed => control(RevisionName::parse(name).is_some()),
        ("head", [name]) if !is_processed => control(HeadHint::parse(name).is_some()),
        ("letters", [_, _, name]) if !is_processed => control(LetterMark::parse(name).is_some()),
        _ => None,
    }
}
