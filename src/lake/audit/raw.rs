//! I1 and I2: the chains have no hole and no overlap; what they say is in the files they name, once, and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::orphans;
use super::{Invariant, TableSummary, Violation};
use crate::lake::LakeError;
use crate::lake::chain::{self, LedgerFile};
use crate::lake::footer::{self, DataFile, IntervalFooter};
use crate::lake::ledger;
use crate::lake::mutate;
use crate::lake::names::{self, Home};
use crate::model::offset::TopicPartition;
use crate::storage::{Kind, LakePath, Storage};

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
}

/// Audits every chain of the lake. Data files are listed **before** the chains: what is committed meanwhile is then
/// missing from the list of files, and looked up, instead of missing from the chains.
///
/// # Errors
///
/// What storage answered. What is wrong with the lake is in the result.
pub fn audit_raw(storage: &dyn Storage, depth: Depth) -> Result<RawAudit, LakeError> {
    let mut present = HashMap::new();
    for zone in [names::raw_root(), names::quarantine_root()] {
        list_below(storage, &zone, &mut present)?;
    }
    let mut auditor = Auditor::new(storage, depth, present);
    for source in list_sources(storage)? {
        auditor.audit_source(&source)?;
    }
    let Auditor { present, named, intervals, messages, chain, mut complete, tables, .. } = auditor;
    let unnamed = present.into_keys().filter(|path| !named.contains(path));
    complete.extend(orphans::unexplained(storage, unnamed.collect())?);
    let tables = tables.into_iter().map(|(table, summary)| TableSummary { table, ..summary }).collect();
    Ok(RawAudit {
        chain: Invariant::new("I1", intervals, chain),
        complete: Invariant::new("I2", messages, complete),
        tables,
    })
}

/// Every file below a directory, with its length.
fn list_below(storage: &dyn Storage, dir: &LakePath, files: &mut HashMap<LakePath, u64>) -> Result<(), LakeError> {
    for entry in mutate::list(storage, dir)? {
        if entry.is_dir {
            list_below(storage, &entry.path, files)?;
        } else {
            files.insert(entry.path, entry.bytes);
        }
    }
    Ok(())
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

struct Auditor<'a> {
    storage: &'a dyn Storage,
    depth: Depth,
    present: HashMap<LakePath, u64>,
    named: HashSet<LakePath>,
    intervals: u64,
    messages: u64,
    chain: Vec<Violation>,
    complete: Vec<Violation>,
    tables: BTreeMap<String, TableSummary>,
}

impl<'a> Auditor<'a> {
    fn new(storage: &'a dyn Storage, depth: Depth, present: HashMap<LakePath, u64>) -> Self {
        Self {
            storage,
            depth,
            present,
            named: HashSet::new(),
            intervals: 0,
            messages: 0,
            chain: Vec::new(),
            complete: Vec::new(),
            tables: BTreeMap::new(),
        }
    }

    fn audit_source(&mut self, source: &TopicPartition) -> Result<(), LakeError> {
        let files = match chain::read_chain(self.storage, source) {
            Ok(state) => {
                if let Some(first) = state.chain.live.first().filter(|_| state.floor.is_none()) {
                    let what = "the floor of this chain is gone, so nothing tells where it should begin";
                    self.chain.push(Violation::at(&first.path, what).of(source, first.name.range.from()));
                }
                state.chain.live
            }
            Err(LakeError::Chain { fault, .. }) => {
                let files = chain::list_files(self.storage, source)?;
                let path = files.iter().find(|file| file.name == *fault.file()).map(|file| file.path.to_string());
                let violation = Violation { what: fault.to_string(), path, ..Violation::default() };
                self.chain.push(violation.of(source, fault.offset()));
                files
            }
            Err(error) => return Err(error),
        };
        self.intervals += files.len() as u64;
        for file in &files {
            self.audit_interval(source, file)?;
        }
        Ok(())
    }

    /// Checks one ledger file and what it names. A ledger file that has left its place meanwhile was taken out of the
    /// chain by a rewind: then nothing that was found counts.
    fn audit_interval(&mut self, source: &TopicPartition, file: &LedgerFile) -> Result<(), LakeError> {
        let found = match self.check_ledger(file) {
            Ok((footer, mut found)) => {
                for data in &footer.files {
                    found.extend(self.check_data(data)?);
                }
                self.count(&footer);
                found
            }
            Err(LakeError::Corrupt { detail, .. }) => vec![Violation::at(&file.path, detail)],
            Err(LakeError::Storage(error)) if error.kind == Kind::NotFound => {
                vec![Violation::at(&file.path, "the ledger file was listed and cannot be read")]
            }
            Err(error) => return Err(error),
        };
        if !found.is_empty() && mutate::look(self.storage, &file.path)?.is_some() {
            self.complete.extend(found.into_iter().map(|violation| violation.of(source, file.name.range.from())));
        }
        Ok(())
    }

    fn check_ledger(&self, file: &LedgerFile) -> Result<(IntervalFooter, Vec<Violation>), LakeError> {
        let footer = footer::read_footer(self.storage, &file.path, file.bytes)?;
        let content = self.storage.read(&file.path, 0, file.bytes)?;
        let mut wrong = Vec::new();
        if footer.name().as_ref() != Some(&file.name) || footer.ledger != file.path.as_str() {
            wrong.push("the footer is that of another ledger file".to_owned());
        }
        match ledger::read_rows(content) {
            Ok(reading) => {
                let range = file.name.range;
                if let Some(offset) = reading.repeated {
                    wrong.push(format!("offset {offset} has two rows, or is out of order"));
                }
                if reading.offsets.is_some_and(|(first, last)| !range.contains(first) || !range.contains(last)) {
                    wrong.push(format!("there are rows outside {range}"));
                }
                let mut sums = reading.sums;
                sums.add_children(&footer.files);
                if sums != footer.sums {
                    wrong.push("the sums in the footer are not those of the rows".to_owned());
                }
            }
            Err(detail) => wrong.push(format!("the rows cannot be read: {detail}")),
        }
        wrong.extend(footer.disagreement());
        let wrong = wrong.into_iter().map(|what| Violation::at(&file.path, what)).collect();
        Ok((footer, wrong))
    }

    /// Checks a data file that a ledger file names. One that was not listed is looked up: it may be newer than the list.
    fn check_data(&mut self, file: &DataFile) -> Result<Option<Violation>, LakeError> {
        let wrong = |what: String| Ok(Some(Violation::at(&file.path, what)));
        let Some(path) = LakePath::parse(&file.path) else { return wrong("this is no path".into()) };
        if !self.named.insert(path.clone()) {
            return wrong("two ledger files name it".into());
        }
        let listed = self.present.get(&path).copied().filter(|bytes| *bytes == file.bytes);
        let bytes = match listed {
            Some(bytes) => Some(bytes),
            None => mutate::look(self.storage, &path)?.map(|entry| entry.bytes),
        };
        match bytes {
            None => return wrong("the ledger names it and it is not there".into()),
            Some(bytes) if bytes != file.bytes => {
                return wrong(format!("it has {bytes} bytes where the ledger says {}", file.bytes));
            }
            Some(_) => {}
        }
        if self.depth == Depth::Ledger {
            return Ok(None);
        }
        let rows = match footer::read_metadata(self.storage, &path, file.bytes) {
            Ok(metadata) => metadata.file_metadata().num_rows().unsigned_abs(),
            Err(LakeError::Corrupt { detail, .. }) => return wrong(detail),
            Err(error) => return Err(error),
        };
        if rows != file.rows {
            return wrong(format!("it has {rows} rows where the ledger says {}", file.rows));
        }
        if self.depth == Depth::DataBytes && self.crc32(&path, file.bytes)? != file.crc32 {
            return wrong("its bytes are not those that were committed".into());
        }
        Ok(None)
    }

    fn crc32(&self, path: &LakePath, bytes: u64) -> Result<u32, LakeError> {
        const PIECE: u64 = 8 << 20;
        let mut hasher = crc32fast::Hasher::new();
        let mut at = 0;
        while at < bytes {
            let to = (at + PIECE).min(bytes);
            hasher.update(&self.storage.read(path, at, to)?);
            at = to;
        }
        Ok(hasher.finalize())
    }

    fn count(&mut self, footer: &IntervalFooter) {
        self.messages += footer.sums.messages;
        for (table, sum) in &footer.sums.tables {
            let summary = self.tables.entry(table.clone()).or_default();
            summary.messages += sum.messages;
            summary.rows += sum.rows;
            summary.quarantined += sum.quarantined;
        }
        for file in &footer.files {
            let summary = self.tables.entry(file.table.clone()).or_default();
            summary.files += 1;
            summary.bytes += file.bytes;
        }
    }
}
