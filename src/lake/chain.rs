//! The chain of one Kafka partition: which ledger files count, and where it ends.

use std::cmp::Reverse;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;

use super::LakeError;
use super::mutate;
use super::names::{self, HeadHint, Home, IntervalName, RevisionName, RewindName};
use crate::model::offset::TopicPartition;
use crate::storage::{LakePath, Storage};

/// How often a chain is listed again when it looks broken: commits and rewinds go on while it is listed.
const LISTINGS: usize = 3;

/// How many hints are tried before the whole chain is listed.
const HINTS_TRIED: usize = 3;

/// A ledger file as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerFile {
    /// Its interval and epoch.
    pub name: IntervalName,
    /// The path partition it lies in.
    pub date: Date,
    /// Where.
    pub path: LakePath,
    /// Length.
    pub bytes: u64,
    /// When it was written, by the storage's clock.
    pub modified: Timestamp,
}

/// The ledger files of one Kafka partition, sorted out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    /// Where it begins: the highest floor, else the lowest file; none when there is neither.
    pub start: Option<i64>,
    /// The files that count, each beginning where the one before ends.
    pub live: Vec<LedgerFile>,
    /// Files that a live one of a higher epoch covers.
    pub dead: Vec<LedgerFile>,
    /// Files below the floor, on their way out.
    pub retired: Vec<LedgerFile>,
}

impl Chain {
    /// The next offset to read: the end of the last live file, else the start. None: nothing was ever decided.
    pub fn head(&self) -> Option<i64> {
        self.live.last().map(|file| file.name.range.to()).or(self.start)
    }

    /// The last live file.
    pub fn newest(&self) -> Option<&LedgerFile> {
        self.live.last()
    }
}

/// Why a set of ledger files is no chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainFault {
    /// No file begins where the one before ends.
    Gap {
        /// The offset where a file should begin.
        at: i64,
        /// The next file there is.
        next: IntervalName,
    },
    /// Two files claim the same offsets and neither replaces the other.
    Overlap {
        /// The file that counts.
        taken: IntervalName,
        /// The other.
        other: IntervalName,
    },
    /// A file begins below the floor and ends above it.
    Straddles {
        /// The floor.
        floor: i64,
        /// The file.
        file: IntervalName,
    },
    /// A file covers nothing.
    Empty {
        /// The file.
        file: IntervalName,
    },
}

impl ChainFault {
    /// The offset where the chain breaks.
    pub fn offset(&self) -> i64 {
        match self {
            Self::Gap { at, .. } => *at,
            Self::Overlap { other, .. } => other.range.from(),
            Self::Straddles { floor, .. } => *floor,
            Self::Empty { file } => file.range.from(),
        }
    }

    /// A file it concerns.
    pub fn file(&self) -> &IntervalName {
        match self {
            Self::Gap { next, .. } => next,
            Self::Overlap { other, .. } => other,
            Self::Straddles { file, .. } | Self::Empty { file } => file,
        }
    }
}

impl fmt::Display for ChainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interval = |name: &IntervalName| format!("{}{}", name.range, name.epoch);
        match self {
            Self::Gap { at, next } => write!(f, "no file begins at offset {at}, the next one is {}", interval(next)),
            Self::Overlap { taken, other } => write!(f, "{} and {} overlap", interval(taken), interval(other)),
            Self::Straddles { floor, file } => write!(f, "{} begins below the floor {floor}", interval(file)),
            Self::Empty { file } => write!(f, "{} covers no offset", interval(file)),
        }
    }
}

/// Sorts ledger files of one Kafka partition out: at each position the file that begins there with the highest epoch
/// counts; a file that a counting one of a higher epoch covers is dead; anything else is a fault.
///
/// # Errors
///
/// The first fault by offset.
pub fn walk(mut files: Vec<LedgerFile>, floor: Option<i64>) -> Result<Chain, ChainFault> {
    files.sort_by_key(|file| (file.name.range.from(), Reverse(file.name.epoch), file.name.range.to()));
    let start = floor.or_else(|| files.first().map(|file| file.name.range.from()));
    let mut chain = Chain { start, ..Chain::default() };
    for file in files {
        let (from, to) = (file.name.range.from(), file.name.range.to());
        let at = chain.head().unwrap_or(from);
        if from == to {
            return Err(ChainFault::Empty { file: file.name });
        }
        if let Some(taken) = chain.live.last().filter(|_| from < at) {
            if to > at || file.name.epoch >= taken.name.epoch {
                return Err(ChainFault::Overlap { taken: taken.name.clone(), other: file.name });
            }
            chain.dead.push(file);
        } else if from > at {
            return Err(ChainFault::Gap { at, next: file.name });
        } else if from == at {
            chain.live.push(file);
        } else if to <= at {
            chain.retired.push(file);
        } else {
            return Err(ChainFault::Straddles { floor: at, file: file.name });
        }
    }
    Ok(chain)
}

/// A published rewind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    /// What it is about.
    pub name: RewindName,
    /// Whether everything it moves has been moved.
    pub is_done: bool,
}

/// The revisions of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// What it is about.
    pub name: RevisionName,
    /// Whether no more comes of it, and everything it has replaced has been moved away.
    pub is_done: bool,
}

/// What storage says of one Kafka partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceState {
    /// Published rewinds, oldest first. They were listed **before** the chain.
    pub intents: Vec<Intent>,
    /// The revisions of every revised interval in the chain, oldest first. One that is done here was done **before**
    /// the chain was listed.
    pub revisions: Vec<Revision>,
    /// The highest floor.
    pub floor: Option<i64>,
    /// The chain.
    pub chain: Chain,
}

impl SourceState {
    /// Whether a rewind was published and is not finished.
    pub fn has_open_intent(&self) -> bool {
        self.intents.iter().any(|intent| !intent.is_done)
    }

    /// The highest old head of all rewinds, while the chain is not as long again: up to there the lane reads again
    /// what was read before.
    pub fn rewound_until(&self) -> Option<i64> {
        rewound_until(&self.intents, self.chain.head())
    }
}

pub(super) fn rewound_until(intents: &[Intent], head: Option<i64>) -> Option<i64> {
    intents.iter().map(|intent| intent.name.head).max().filter(|until| head.is_none_or(|head| head < *until))
}

/// Reads the whole state of one Kafka partition: intents first, then the chain, then the floor. Revisions before and
/// after the chain: afterwards for those of every revised interval in it, before for whether they were done.
///
/// Safe beside a running daemon: path partitions are listed newest first, so that what is committed meanwhile is
/// either seen whole or not at all, and a chain that looks broken is listed again before it is called broken.
///
/// # Errors
///
/// [`LakeError::Chain`] when it stays broken, or what storage answered.
pub fn read_chain(storage: &dyn Storage, source: &TopicPartition) -> Result<SourceState, LakeError> {
    let mut listing = 1;
    loop {
        let intents = read_intents(storage, source)?;
        let before = read_revisions(storage, source)?;
        let files = list_files(storage, source)?;
        let mut revisions = read_revisions(storage, source)?;
        revisions.iter_mut().for_each(|revision| revision.is_done &= before.contains(revision));
        let floor = read_floor(storage, source)?;
        match walk(files, floor) {
            Ok(chain) => return Ok(SourceState { intents, revisions, floor, chain }),
            Err(_) if listing < LISTINGS => listing += 1,
            Err(fault) => {
                return Err(LakeError::Chain { source_partition: source.clone(), fault: Box::new(fault) });
            }
        }
    }
}

/// The rewinds that were published for a Kafka partition, oldest first.
///
/// # Errors
///
/// What storage answered.
pub fn read_intents(storage: &dyn Storage, source: &TopicPartition) -> Result<Vec<Intent>, LakeError> {
    let entries = mutate::list(storage, &Home::raw(source).rewinds())?;
    let names = entries.iter().filter_map(|entry| RewindName::parse(entry.path.name()));
    let (done, open): (Vec<_>, Vec<_>) = names.partition(|(_, is_done)| *is_done);
    let mut intents: Vec<Intent> =
        open.iter().map(|(name, _)| Intent { name: *name, is_done: done.contains(&(*name, true)) }).collect();
    intents.sort_by_key(|intent| intent.name);
    Ok(intents)
}

/// The revisions of a Kafka partition's chain, oldest first.
///
/// # Errors
///
/// What storage answered.
pub fn read_revisions(storage: &dyn Storage, source: &TopicPartition) -> Result<Vec<Revision>, LakeError> {
    let entries = mutate::list(storage, &Home::raw(source).revisions())?;
    let names = entries.iter().filter_map(|entry| RevisionName::parse(entry.path.name()));
    let (done, open): (Vec<_>, Vec<_>) = names.partition(|(_, is_done)| *is_done);
    let mut revisions: Vec<Revision> =
        open.iter().map(|(name, _)| Revision { name: *name, is_done: done.contains(&(*name, true)) }).collect();
    revisions.sort_by_key(|revision| revision.name);
    Ok(revisions)
}

/// The highest floor of a Kafka partition.
///
/// # Errors
///
/// What storage answered.
pub fn read_floor(storage: &dyn Storage, source: &TopicPartition) -> Result<Option<i64>, LakeError> {
    let entries = mutate::list(storage, &Home::raw(source).floors())?;
    Ok(entries.iter().filter_map(|entry| names::parse_floor(entry.path.name())).max())
}

/// The live ledger files of a Kafka partition that end after `position`, by ascending offset; `since` is a path
/// partition before which none of them lies. For its owner, when no rewind is open.
///
/// # Errors
///
/// [`LakeError::Chain`] when they are no chain, or do not begin where `position` is; or what storage answered.
pub(super) fn read_from(
    storage: &dyn Storage,
    source: &TopicPartition,
    since: Option<Date>,
    position: i64,
) -> Result<Vec<LedgerFile>, LakeError> {
    let mut listing = 1;
    loop {
        let mut files = Vec::new();
        for date in list_dates(storage, source)?.into_iter().filter(|date| since.is_none_or(|since| *date >= since)) {
            files.extend(list_date(storage, source, date)?);
        }
        let start = position.max(read_floor(storage, source)?.unwrap_or(0));
        files.retain(|file| file.name.range.to() > start);
        // One that replaces several may begin before the position, and then begins the rest of the chain.
        let found = walk(files, None).and_then(|chain| match chain.live.first() {
            Some(first) if first.name.range.from() > start => {
                Err(ChainFault::Gap { at: start, next: first.name.clone() })
            }
            _ => Ok(chain.live),
        });
        match found {
            Ok(live) => return Ok(live),
            Err(_) if listing < LISTINGS => listing += 1,
            Err(fault) => {
                return Err(LakeError::Chain { source_partition: source.clone(), fault: Box::new(fault) });
            }
        }
    }
}

/// Every ledger file of a Kafka partition; the newest path partition is listed first.
pub(super) fn list_files(storage: &dyn Storage, source: &TopicPartition) -> Result<Vec<LedgerFile>, LakeError> {
    let mut files = Vec::new();
    for date in list_dates(storage, source)? {
        files.extend(list_date(storage, source, date)?);
    }
    Ok(files)
}

/// The path partitions of a chain, newest first.
fn list_dates(storage: &dyn Storage, source: &TopicPartition) -> Result<Vec<Date>, LakeError> {
    let entries = mutate::list(storage, &names::ledger_dir(source))?;
    let mut dates: Vec<Date> =
        entries.iter().filter_map(|entry| names::parse_date_segment(entry.path.name())).collect();
    dates.sort_unstable_by_key(|date| Reverse(*date));
    Ok(dates)
}

fn list_date(storage: &dyn Storage, source: &TopicPartition, date: Date) -> Result<Vec<LedgerFile>, LakeError> {
    let dir = names::ledger_dir(source).join(names::date_segment(date));
    let entries = mutate::list(storage, &dir)?;
    let files = entries.into_iter().filter(|entry| !entry.is_dir).filter_map(|entry| {
        let name = IntervalName::parse(entry.path.name()).filter(|name| name.source == *source)?;
        Some(LedgerFile { name, date, path: entry.path, bytes: entry.bytes, modified: entry.modified })
    });
    Ok(files.collect())
}

/// The end of a chain, read by its owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// The next offset to read; none: there is neither a chain nor a floor.
    pub at: Option<i64>,
    /// The last ledger file.
    pub newest: Option<LedgerFile>,
}

/// Reads where a chain ends. Only for its owner, when nobody else can commit and no rewind is open.
///
/// A hint names a ledger file and its date. If that file is there, every later one is in a path partition that is not
/// older, so only those are listed and walked. A hint whose file is not there, or from where the walk does not succeed,
/// counts for nothing, and in the end the whole chain is read.
///
/// # Errors
///
/// [`LakeError::Chain`] when it is broken, or what storage answered.
pub fn read_head(storage: &dyn Storage, source: &TopicPartition, floor: Option<i64>) -> Result<Head, LakeError> {
    let dates = list_dates(storage, source)?;
    if dates.is_empty() {
        return Ok(Head { at: floor, newest: None });
    }
    let entries = mutate::list(storage, &Home::raw(source).heads())?;
    let mut hints: Vec<HeadHint> = entries.iter().filter_map(|entry| HeadHint::parse(entry.path.name())).collect();
    hints.sort_unstable_by_key(|hint| Reverse((hint.range.to(), hint.epoch)));
    let mut listed: Vec<(Date, Vec<LedgerFile>)> = Vec::new();
    for hint in hints.iter().take(HINTS_TRIED).filter(|hint| floor.is_none_or(|floor| floor <= hint.range.from())) {
        for date in dates.iter().filter(|date| **date >= hint.date) {
            if !listed.iter().any(|(known, _)| known == date) {
                listed.push((*date, list_date(storage, source, *date)?));
            }
        }
        let name = IntervalName { source: source.clone(), range: hint.range, epoch: hint.epoch };
        let files = listed.iter().filter(|(date, _)| *date >= hint.date).flat_map(|(_, files)| files);
        if !files.clone().any(|file| file.name == name && file.date == hint.date) {
            continue;
        }
        let suffix = files.filter(|file| file.name.range.from() >= hint.range.from()).cloned().collect();
        if let Ok(chain) = walk(suffix, Some(hint.range.from())) {
            return Ok(Head { at: chain.head(), newest: chain.live.last().cloned() });
        }
    }
    let state = read_chain(storage, source)?;
    Ok(Head { at: state.chain.head(), newest: state.chain.live.last().cloned() })
}

#[cfg(test)]
mod tests;
