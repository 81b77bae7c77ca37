//! What lies in the Processed tables.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::{Action, Class, Found};
use crate::fault::Fault;
use crate::lake::LakeError;
use crate::lake::at_once::look_at_all;
use crate::lake::footer::read_metadata;
use crate::lake::log::{LiveFile, TableLog};
use crate::lake::names::{Home, PartName, processed_dir};
use crate::lake::plan::Plan;
use crate::lake::roll::newest_plan;
use crate::storage::{Entry, Kind, LakePath, Storage};

/// What a look at the end of a file holds, about.
const TAIL_BYTES: u64 = 128 << 10;

/// Files by their table, and those of no table.
pub(super) fn split(files: &[Entry]) -> (BTreeMap<String, Vec<&Entry>>, Vec<&Entry>) {
    let (mut tables, mut rest): (BTreeMap<String, Vec<&Entry>>, Vec<&Entry>) = Default::default();
    for entry in files {
        let mut segments = entry.path.as_str().split('/');
        match (segments.next(), segments.next(), segments.next()) {
            (Some("processed"), Some(table), Some(_)) => tables.entry(table.to_owned()).or_default().push(entry),
            _ => rest.push(entry),
        }
    }
    (tables, rest)
}

/// What the files of a table are. They were listed **before** plan and log are read here.
pub(super) fn judge(storage: &Arc<dyn Storage>, table: &str, files: &[&Entry]) -> Result<Vec<Found>, Fault> {
    let plan = newest_plan(&**storage, &Home::processed(table))?;
    let log = TableLog::look(storage, table)?.state()?;
    let live: HashMap<&str, &LiveFile> =
        log.iter().flat_map(|log| &log.live).map(|file| (file.path.as_str(), file)).collect();
    let root = processed_dir(table);
    let below = |entry: &Entry| entry.path.as_str().get(root.as_str().len() + 1..).unwrap_or_default().to_owned();
    let mut judged = look_at_all(
        files,
        |_| TAIL_BYTES,
        |entry| {
            let path = below(entry);
            match live.get(path.as_str()) {
                Some(file) => judge_live(&**storage, entry, file),
                None => Ok(judge_other(entry, &path, plan.as_ref())),
            }
        },
    )
    .into_iter()
    .collect::<Result<Vec<_>, _>>()?;
    let listed: HashSet<String> = files.iter().map(|entry| below(entry)).collect();
    for path in live.keys().filter(|path| !listed.contains(**path)) {
        judged.extend(judge_absent(&**storage, &root.join(path))?);
    }
    Ok(judged)
}

fn judge_live(storage: &dyn Storage, entry: &Entry, file: &LiveFile) -> Result<Found, LakeError> {
    if entry.bytes != file.bytes {
        let what = format!("it has {} bytes, the table log says {}", entry.bytes, file.bytes);
        return Ok(Found::new(entry, Class::Short, Action::Person).because(what));
    }
    let what = match read_metadata(storage, &entry.path, entry.bytes) {
        Ok(_) => return Ok(Found::new(entry, Class::Processed, Action::Keep)),
        Err(LakeError::Corrupt { detail, .. }) => detail,
        // Replaced since it was listed, or since the log was read.
        Err(LakeError::Storage(error)) if error.kind == Kind::NotFound => {
            return Ok(Found::new(entry, Class::UnderWay, Action::Keep));
        }
        Err(error) => return Err(error),
    };
    Ok(Found::new(entry, Class::Unreadable, Action::Person).because(what))
}

pub(super) fn judge_other(entry: &Entry, path: &str, plan: Option<&Plan>) -> Found {
    if path.starts_with("_delta_log/") {
        return Found::new(entry, Class::Log, Action::Keep);
    }
    let is_planned = |plan: &Plan| {
        plan.add.iter().any(|file| file.path == path) || plan.remove.iter().any(|removed| removed == path)
    };
    if plan.is_some_and(is_planned) {
        return Found::new(entry, Class::UnderWay, Action::Keep);
    }
    let is_dated = path.split('/').next().is_some_and(|dir| dir.starts_with("dt=")) && path.split('/').count() == 2;
    match PartName::parse(entry.path.name()).filter(|_| is_dated) {
        Some(part) if plan.is_some_and(|plan| part.seq <= plan.seq) => Found::new(entry, Class::Orphan, Action::Move)
            .because("it is not in the table log, and its promotion has ended without it"),
        Some(_) => Found::new(entry, Class::Orphan, Action::Person).because("no plan of its promotion is there"),
        None => {
            // Without a plan this is no table of Forebay's.
            let action = if plan.is_some() { Action::Move } else { Action::Person };
            Found::new(entry, Class::Foreign, action).because("this is no name of Forebay's")
        }
    }
}

/// A file that the log names and that was not listed: it may be newer than the listing.
fn judge_absent(storage: &dyn Storage, path: &LakePath) -> Result<Option<Found>, LakeError> {
    Ok(match crate::lake::mutate::look(storage, path)? {
        Some(_) => None,
        None => Some(Found {
            path: path.to_string(),
            bytes: 0,
            class: Class::Missing,
            what: Some("it is in the table log and not in its place".into()),
            action: Action::Person,
            moved_to: None,
        }),
    })
}
