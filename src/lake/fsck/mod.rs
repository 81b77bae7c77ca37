//! Every file below the root, by what it is; and what nobody needs out of the way.
//!
//! It builds on the audit: which files the chains name, which of them are damaged, and which data files nothing
//! explains. The rest is told by place and name. As with the audit, what looks wrong beside a running daemon is looked
//! at again.
//!
//! **What is moved** ([`repair`]): only what no owner can want any more, whoever runs; and it is never deleted, but
//! moved to `_forebay/lost+found`, under the same path. Fences tell that, not ages:
//!
//! * a data file that no ledger file names and nothing explains, of an epoch below the newest owner's: its stage is
//!   fenced, so it can never be committed. One of the newest epoch may belong to an owner that lives;
//! * a Processed file of a promotion that is not the newest, or is not in the newest plan, and that is not in the table
//!   log: only the newest plan is ever carried out;
//! * a file in the folder of a table or topic of Forebay's whose name is none of its own: Forebay makes and reads none
//!   such, and readers of folders take it for data.
//!
//! Nothing of a chain that is broken is moved (what looks like an orphan may be what its missing ledger file named),
//! nor anything of `_forebay` (a newer version may know more names), nor anything beside the zones.

mod control;
mod data;
mod newest;
mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use self::control::Owners;
pub use self::newest::{Sight, look_at_newest};
use super::LakeError;
use super::audit::{Depth, Unread, audit_raw, files_below};
use super::mutate::{self, Expected, Moved};
use crate::fault::Fault;
use crate::storage::{Entry, LakePath, Storage};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A ledger file, or a data file that one names.
    Chain,
    /// A file of a Processed table that its log names.
    Processed,
    /// Of a table log.
    Log,
    /// What owners publish: epochs, floors, rewinds, plans, …
    Control,
    /// In the stage of the newest epoch, whose owner may be alive.
    LiveStage,
    /// In a stage of an earlier epoch: the next owner removes it.
    DeadStage,
    /// Being committed, rewound or promoted, or left so by an owner that died: the next owner finishes or removes it.
    UnderWay,
    /// Taken out by a rewind or a revision, or replaced by a promotion, and kept for a while.
    Superseded,
    /// Moved away by an earlier repair.
    LostAndFound,
    /// A file of ours that nothing names and nothing explains.
    Orphan,
    /// Not a name of ours.
    Foreign,
    /// It has another length than what names it says.
    Short,
    /// It does not hold what it should.
    Unreadable,
    /// It is named and not there.
    Missing,
}

impl Class {
    /// Whether something should be done about it.
    pub fn is_finding(self) -> bool {
        matches!(self, Self::Orphan | Self::Foreign | Self::Short | Self::Unreadable | Self::Missing)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chain => "chain",
            Self::Processed => "processed",
            Self::Log => "log",
            Self::Control => "control",
            Self::LiveStage => "live-stage",
            Self::DeadStage => "dead-stage",
            Self::UnderWay => "under-way",
            Self::Superseded => "superseded",
            Self::LostAndFound => "lost-and-found",
            Self::Orphan => "orphan",
            Self::Foreign => "foreign",
            Self::Short => "short",
            Self::Unreadable => "unreadable",
            Self::Missing => "missing",
        })
    }
}

/// What is to be done about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing.
    Keep,
    /// A repair moves it to lost+found.
    Move,
    /// Its owner may be alive: look again when another one has taken over.
    Wait,
    /// Only a person can decide.
    Person,
}

/// A file with its class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Where, below the root.
    pub path: String,
    /// Length; 0 of one that is not there.
    pub bytes: u64,
    /// What it is.
    pub class: Class,
    /// What is wrong with it, one sentence.
    pub what: Option<String>,
    /// What is to be done.
    pub action: Action,
    /// Where a repair has moved it.
    pub moved_to: Option<String>,
}

impl Found {
    fn new(entry: &Entry, class: Class, action: Action) -> Self {
        let (path, bytes) = (entry.path.to_string(), entry.bytes);
        Self { path, bytes, class, what: None, action, moved_to: None }
    }

    fn because(self, what: impl Into<String>) -> Self {
        Self { what: Some(what.into()), ..self }
    }
}

/// How many files there are of a class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What lies in a lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// Whether nothing is to be done, and everything could be looked at.
    pub ok: bool,
    /// By class.
    pub classes: BTreeMap<Class, Count>,
    /// Every file, by path; of a report for people those that something is wrong with.
    pub files: Vec<Found>,
    /// What could not be looked at.
    pub unread: Vec<Unread>,
}

impl Examination {
    fn of(files: BTreeMap<String, Found>, unread: Vec<Unread>) -> Self {
        let mut classes: BTreeMap<Class, Count> = BTreeMap::new();
        for found in files.values() {
            let count = classes.entry(found.class).or_default();
            count.files += 1;
            count.bytes += found.bytes;
        }
        let ok = unread.is_empty() && !files.values().any(|found| found.class.is_finding());
        Self { ok, classes, files: files.into_values().collect(), unread }
    }

    /// The files that something is wrong with.
    pub fn findings(&self) -> impl Iterator<Item = &Found> {
        self.files.iter().filter(|found| found.class.is_finding())
    }
}

/// Tells what every file below the root is; `depth` is how far the files of the chains are read.
///
/// # Errors
///
/// What storage answered when asked what there is.
pub fn examine(storage: &Arc<dyn Storage>, depth: Depth) -> Result<Examination, Fault> {
    // Files first: what is made meanwhile is not among them, and what explains them is read afterwards.
    let files = files_below(&**storage, vec![LakePath::root()])?;
    let audit = audit_raw(&**storage, depth)?;
    let owners = Owners::list(&files);
    let mut unread = audit.unread.clone();
    let mut found = BTreeMap::new();
    let (tables, rest) = table::split(&files);
    let data = data::Data::new(&audit, &owners);
    for entry in rest {
        let judged = match entry.path.as_str().split('/').next() {
            Some("ledger" | "raw" | "quarantine") => data.judge(entry),
            _ => control::judge(entry, &owners),
        };
        found.insert(judged.path.clone(), judged);
    }
    for missing in data.missing() {
        found.insert(missing.path.clone(), missing);
    }
    for (name, entries) in tables {
        match table::judge(storage, &name, &entries) {
            Ok(judged) => found.extend(judged.into_iter().map(|judged| (judged.path.clone(), judged))),
            Err(fault) => unread.push(Unread::new(format!("table {name}"), fault)),
        }
    }
    look_again(&**storage, &mut found)?;
    Ok(Examination::of(found, unread))
}

/// A file that has gone meanwhile, or is another one now, is none that something is wrong with.
fn look_again(storage: &dyn Storage, found: &mut BTreeMap<String, Found>) -> Result<(), LakeError> {
    let mut gone = Vec::new();
    for judged in found.values().filter(|judged| matches!(judged.class, Class::Orphan | Class::Foreign)) {
        let path = LakePath::parse(&judged.path);
        let there = path.map_or(Ok(None), |path| mutate::look(storage, &path))?;
        if there.is_none_or(|entry| entry.bytes != judged.bytes) {
            gone.push(judged.path.clone());
        }
    }
    gone.iter().for_each(|path| drop(found.remove(path)));
    Ok(())
}

/// Moves what is to be moved to `_forebay/lost+found`, and notes where it is then. Nothing is deleted or overwritten.
///
/// # Errors
///
/// What storage answered; what was moved before has been.
pub fn repair(storage: &dyn Storage, examined: &mut Examination) -> Result<(), LakeError> {
    for found in examined.files.iter_mut().filter(|found| found.action == Action::Move) {
        let Some(path) = LakePath::parse(&found.path) else { continue };
        let place = control::lost_and_found();
        let mut to = place.join(&found.path);
        let mut moved = mutate::rename(storage, &path, &to, Expected::File(found.bytes))?;
        if matches!(moved, Moved::Taken(_)) {
            // A file of that path was found before.
            to = place.join(uuid::Uuid::new_v4().simple().to_string()).join(&found.path);
            moved = mutate::rename(storage, &path, &to, Expected::File(found.bytes))?;
        }
        if moved == Moved::Done {
            found.moved_to = Some(to.to_string());
        }
    }
    let is_left = |found: &Found| found.class.is_finding() && found.moved_to.is_none();
    examined.ok = examined.unread.is_empty() && !examined.files.iter().any(is_left);
    Ok(())
}
