//! Data files that no ledger file in the chain named when the chain was read.

use std::collections::HashSet;

use super::{Flaw, Violation};
use crate::lake::LakeError;
use crate::lake::chain;
use crate::lake::footer::{self, IntervalFooter};
use crate::lake::mutate;
use crate::lake::names::{Home, IntervalName};
use crate::lake::recover;
use crate::lake::restore;
use crate::model::offset::TopicPartition;
use crate::storage::{Kind, LakePath, Storage};

/// Which of these files of one Kafka partition, or of none, nothing explains. A commit or a rewind that goes on
/// meanwhile does, and so does one that was cut short: its manifest or intent is there, and the next owner finishes or
/// removes what it names.
///
/// The order of the looks matters. A manifest leaves the stage when its interval joins the chain, so manifests first,
/// then the chain. A rewind moves its files before it is done, so intents first, then the file itself once more. One
/// that takes a rewind back brings files before their ledger file joins the chain, so its intent first, then the chain.
/// A revision moves what it has replaced after its ledger file has joined the chain: the chain first, then its intent.
pub(in crate::lake) fn unexplained(
    storage: &dyn Storage,
    source: Option<&TopicPartition>,
    paths: &[LakePath],
) -> Result<Vec<Violation>, LakeError> {
    let explained = match source {
        Some(source) => explained(storage, source, paths)?,
        None => HashSet::new(),
    };
    let mut violations = Vec::new();
    for path in paths.iter().filter(|path| !explained.contains(path.as_str())) {
        if mutate::look(storage, path)?.is_none() {
            continue;
        }
        let violation = Violation::at(path, "no ledger file names it").as_flaw(Flaw::Unnamed);
        violations.push(match IntervalName::parse(path.name()) {
            Some(name) => violation.of(&name.source, name.range.from()),
            None => violation,
        });
    }
    Ok(violations)
}

fn explained(storage: &dyn Storage, source: &TopicPartition, paths: &[LakePath]) -> Result<HashSet<String>, LakeError> {
    let home = Home::raw(source);
    let mut explained = HashSet::new();
    for dir in [home.stages(), home.fenced()] {
        for stage in mutate::list(storage, &dir)? {
            match recover::read_manifests(storage, &stage.path) {
                Ok(manifests) => manifests.into_iter().for_each(|manifest| add(&mut explained, manifest)),
                Err(error) if error.storage_kind() == Some(Kind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
    }
    let wanted: HashSet<&str> = paths.iter().map(LakePath::name).collect();
    for intent in chain::read_intents(storage, source)?.iter().filter(|intent| !intent.is_done) {
        let Some(rewind) = intent.name.undoes else { continue };
        for ledger in recover::superseded_ledgers(storage, source, &home.superseded(rewind))? {
            if wanted.contains(restore::name_after(&ledger.name, intent.name.epoch).file_name().as_str()) {
                read_into(storage, &ledger.path, ledger.bytes, |footer| {
                    let after = restore::footer_after(&footer, &ledger, intent.name.epoch);
                    after.into_iter().for_each(|footer| add(&mut explained, footer));
                })?;
            }
        }
    }
    let (live, dead) = match chain::read_chain(storage, source) {
        Ok(state) => (state.chain.live, state.chain.dead),
        // What is broken is told by I1; its files still name theirs.
        Err(LakeError::Chain { .. }) => (chain::list_files(storage, source)?, Vec::new()),
        Err(error) => return Err(error),
    };
    for file in live.iter().filter(|file| wanted.contains(file.path.name())) {
        read_into(storage, &file.path, file.bytes, |footer| add(&mut explained, footer))?;
    }
    let revisions = chain::read_revisions(storage, source)?;
    let revising = revisions.iter().filter(|revision| !revision.is_done).map(|revision| revision.name.epoch);
    for epoch in revising.clone() {
        for file in dead.iter().filter(|file| file.name.epoch < epoch && wanted.contains(file.path.name())) {
            read_into(storage, &file.path, file.bytes, |footer| add(&mut explained, footer))?;
        }
    }
    let intents = chain::read_intents(storage, source)?;
    let rewinding = intents.iter().filter(|intent| !intent.is_done).map(|intent| intent.name.epoch);
    for epoch in revising.chain(rewinding) {
        let superseded = home.superseded(epoch);
        for ledger in recover::superseded_ledgers(storage, source, &superseded)? {
            if wanted.contains(ledger.path.name()) {
                read_into(storage, &ledger.path, ledger.bytes, |footer| add(&mut explained, footer))?;
            }
        }
    }
    Ok(explained)
}

fn read_into(
    storage: &dyn Storage,
    path: &LakePath,
    bytes: u64,
    mut take: impl FnMut(IntervalFooter),
) -> Result<(), LakeError> {
    match footer::read_footer(storage, path, bytes) {
        Ok(footer) => take(footer),
        // A damaged one is reported where the chain is read; one that was moved explains nothing.
        Err(LakeError::Corrupt { .. }) => {}
        Err(error) if error.storage_kind() == Some(Kind::NotFound) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

fn add(explained: &mut HashSet<String>, footer: IntervalFooter) {
    explained.extend(footer.files.into_iter().map(|file| file.path));
}
