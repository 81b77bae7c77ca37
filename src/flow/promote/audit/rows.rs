//! I5 and I6: every row of Processed held against every promoted row of RAW.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::Findings;
use crate::fault::{Fault, Verdict};
use crate::flow::promote::delta::Stale;
use crate::flow::promote::input::Input;
use crate::flow::promote::keys::{Buckets, Key, Lineage, spool_fault};
use crate::flow::promote::scan::{KeyReader, Lanes};
use crate::flow::promote::sources::{Lane, RawFile, raw_files};
use crate::flow::promote::winners::order;
use crate::lake::at_once::look_at_all;
use crate::lake::audit::Violation;
use crate::lake::chain::LedgerFile;
use crate::lake::columns::{ColumnSpec, specs_of};
use crate::lake::log::LiveFile;
use crate::lake::names::processed_dir;
use crate::lake::plan::Plan;
use crate::model::offset::TopicPartition;
use crate::model::table::{ProcessedSettings, Table};
use crate::storage::{LakePath, Storage};

/// Memory that judging one id takes, about.
const ID_BYTES: u64 = 400;

/// What a look at the footer of a ledger file holds, about.
const FOOTER_BYTES: u64 = 128 << 10;

/// What is compared.
pub(super) struct Rows<'a> {
    pub(super) storage: &'a Arc<dyn Storage>,
    pub(super) table: &'a Table,
    pub(super) settings: &'a ProcessedSettings,
    pub(super) plan: &'a Plan,
    pub(super) live: &'a [LiveFile],
    pub(super) lanes: &'a [Lane],
    pub(super) spool: &'a Path,
    pub(super) budget: u64,
}

impl Rows<'_> {
    /// Compares them. Where a file cannot be read that should be there nothing is compared: every row that it holds
    /// would be told besides.
    pub(super) fn check(&self, findings: &mut Findings) -> Result<(), Fault> {
        // A key that today's mapping has and no promotion has had yet is null in every promoted row.
        let mut columns = self.plan.columns.clone();
        let is_new = |column: &ColumnSpec| !self.plan.columns.iter().any(|known| known.name == column.name);
        columns.extend(specs_of(&self.table.mapping.raw_schema())?.into_iter().filter(is_new));
        let mut numbers = Lanes::default();
        let Some(raw) = self.raw_files(&mut numbers, findings)? else { return Ok(()) };
        std::fs::create_dir_all(self.spool).map_err(|error| spool_fault(self.spool, &error))?;
        let rows =
            raw.iter().map(|(file, _)| file.rows).sum::<u64>() + self.live.iter().map(|file| file.rows).sum::<u64>();
        let mut buckets = Buckets::new(self.spool, rows, ID_BYTES, self.budget / 2);
        let mut paths: Vec<LakePath> = raw.iter().map(|(file, _)| file.path.clone()).collect();
        let first_promoted = raw.len();
        // One for both zones: an id must be in the same bucket, wherever it stands.
        let hasher = hashbrown::DefaultHashBuilder::default();
        if !self.read_raw(&raw, &columns, &hasher, &mut buckets, findings)? {
            return Ok(());
        }
        let mut keys = KeyReader::new(self.table, self.settings, &columns)?;
        for file in self.live {
            let path = processed_dir(&self.table.name).join(&file.path);
            let number = paths.len() as u32;
            let read = Input::open(self.storage, &path, file.bytes).and_then(|input| {
                keys.read(&input, number, None, &mut numbers, |key| buckets.push(hasher.hash_one(key.id), key))
            });
            if !readable(read, &path, findings)? {
                return Ok(());
            }
            paths.push(path);
        }
        let judge = Judge { ranks: numbers.ranks(), extents: extents(self.lanes, &numbers), first_promoted };
        for bucket in 0..buckets.count() {
            judge.judge(bucket, &mut buckets, &numbers, &paths, findings)?;
        }
        Ok(())
    }

    /// The promoted files of RAW, each with the number of its Kafka partition; none when a ledger file cannot be read.
    fn raw_files(&self, numbers: &mut Lanes, findings: &mut Findings) -> Result<Option<Vec<(RawFile, u32)>>, Fault> {
        let mut intervals: Vec<(&LedgerFile, u32)> = Vec::new();
        for lane in self.lanes {
            intervals.extend(lane.settled().map(|file| (file, numbers.number(&lane.source))));
        }
        let named = look_at_all(
            &intervals,
            |_| FOOTER_BYTES,
            |(interval, _)| raw_files(&**self.storage, &self.table.name, interval),
        );
        let (mut raw, mut is_whole) = (Vec::new(), true);
        for ((interval, number), files) in intervals.into_iter().zip(named) {
            match files {
                Ok(files) => raw.extend(files.into_iter().map(|file| (file, number))),
                Err(fault) => is_whole &= readable(Err(fault), &interval.path, findings)?,
            }
        }
        Ok(is_whole.then_some(raw))
    }

    /// Reads the keys of RAW, many files at the same time. `false`: not all of them could be read.
    fn read_raw(
        &self,
        raw: &[(RawFile, u32)],
        columns: &[ColumnSpec],
        hasher: &(impl BuildHasher + Sync),
        buckets: &mut Buckets,
        findings: &mut Findings,
    ) -> Result<bool, Fault> {
        let numbered: Vec<(u32, &RawFile, u32)> =
            (0..).zip(raw).map(|(number, (file, lane))| (number, file, *lane)).collect();
        let buckets = Mutex::new(buckets);
        let read = |(number, file, lane): &(u32, &RawFile, u32)| {
            let mut keys = KeyReader::new(self.table, self.settings, columns)?;
            let input = Input::open(self.storage, &file.path, file.bytes)?;
            // The file is of one Kafka partition, so that none is looked up here.
            keys.read(&input, *number, Some(*lane), &mut Lanes::default(), |key| {
                let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
                buckets.push(hasher.hash_one(key.id), key)
            })
        };
        let mut is_whole = true;
        for ((_, file, _), read) in numbered.iter().zip(look_at_all(&numbered, |(_, file, _)| file.bytes, read)) {
            is_whole &= readable(read, &file.path, findings)?;
        }
        Ok(is_whole)
    }
}

/// Whether a file could be read. One that is damaged, or not there, speaks against I5: nothing can be proved without
/// it.
fn readable(read: Result<(), Fault>, path: &LakePath, findings: &mut Findings) -> Result<bool, Fault> {
    match read {
        Ok(()) => Ok(true),
        Err(fault)
            if fault.event == "storage.not-found"
                || (fault.verdict == Verdict::Halt && !fault.is_about_permission()) =>
        {
            let what = "it cannot be read, so the rows of the table are not compared";
            findings.wrong("I5", Violation::at(path, format!("{what}: {}", fault.message)));
            Ok(false)
        }
        Err(fault) => Err(fault),
    }
}

/// A row with an id, as far as the audit must know it.
struct Row {
    file: usize,
    lineage: Lineage,
    version: Box<[u8]>,
}

/// All rows of one id.
#[derive(Default)]
struct OfId {
    raw: Option<Row>,
    promoted: Vec<Row>,
}

impl OfId {
    fn add(&mut self, judge: &Judge, key: &Key<'_>) {
        let row = Row { file: key.place.file as usize, lineage: key.lineage, version: key.version.into() };
        if row.file >= judge.first_promoted {
            self.promoted.push(row);
        } else if self.raw.as_ref().is_none_or(|best| judge.is_greater(&row, best)) {
            self.raw = Some(row);
        }
    }
}

/// Where the lineage of a Processed row points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Into the part of the chain that RAW holds.
    Settled,
    /// Into what a rewind has taken or is taking away, or into a revised interval: the row is recomputed by the
    /// promotion that honours it.
    Stale,
    /// Before the chain: retention has taken the RAW row.
    Before,
    /// Anywhere else.
    Nowhere,
}

/// Promoted offsets of one Kafka partition: begin of the chain, end of what no rewind concerns, end of what was
/// promoted, and those that were revised since.
struct Extent {
    start: i64,
    settled: i64,
    promoted: i64,
    stale: Stale,
}

struct Judge {
    ranks: Vec<u32>,
    extents: HashMap<u32, Extent>,
    first_promoted: usize,
}

impl Judge {
    fn judge(
        &self,
        bucket: usize,
        buckets: &mut Buckets,
        numbers: &Lanes,
        paths: &[LakePath],
        findings: &mut Findings,
    ) -> Result<(), Fault> {
        let mut ids: HashMap<Vec<u8>, OfId> = HashMap::new();
        buckets.drain(bucket, |key| ids.entry(key.id.to_vec()).or_default().add(self, &key))?;
        for rows in ids.into_values() {
            findings.checked("I5", 1);
            if let Some((row, what)) = self.fifth(&rows) {
                let violation = Violation::at(&paths[row.file], what);
                findings.wrong("I5", violation.of(numbers.source(row.lineage.lane), row.lineage.offset));
            }
            for row in &rows.promoted {
                findings.checked("I6", 1);
                if self.place(&row.lineage) == Place::Nowhere {
                    let what = "a row names an offset that is not in the promoted part of its chain";
                    let violation = Violation::at(&paths[row.file], what);
                    findings.wrong("I6", violation.of(numbers.source(row.lineage.lane), row.lineage.offset));
                }
            }
        }
        Ok(())
    }

    fn is_greater(&self, a: &Row, b: &Row) -> bool {
        order(&self.ranks, (&a.version, &a.lineage), (&b.version, &b.lineage)).is_gt()
    }

    fn place(&self, lineage: &Lineage) -> Place {
        match self.extents.get(&lineage.lane) {
            Some(extent) if lineage.offset < 0 || lineage.offset >= extent.promoted => Place::Nowhere,
            Some(extent) if lineage.offset < extent.start => Place::Before,
            Some(extent) if lineage.offset < extent.settled && !extent.stale.is_revised(lineage.offset) => {
                Place::Settled
            }
            Some(_) => Place::Stale,
            None => Place::Nowhere,
        }
    }

    /// What speaks against I5, and the row that shows it.
    fn fifth<'v>(&self, rows: &'v OfId) -> Option<(&'v Row, &'static str)> {
        let Some(promoted) = rows.promoted.first() else {
            return rows.raw.as_ref().map(|raw| (raw, "a promoted row has a record id that Processed has not"));
        };
        if let Some(second) = rows.promoted.get(1) {
            return Some((second, "a record id stands in Processed more than once"));
        }
        let raw = rows.raw.as_ref();
        if let Some(raw) = raw.filter(|raw| self.is_greater(raw, promoted)) {
            return Some((raw, "Processed has an older version of a record id than this promoted row"));
        }
        let same = |raw: &Row| {
            let of = |row: &Row| (row.lineage.lane, row.lineage.offset, row.lineage.row_index);
            of(raw) == of(promoted)
        };
        let must_be_there = self.place(&promoted.lineage) == Place::Settled;
        (must_be_there && !raw.is_some_and(same)).then_some((promoted, "a row of Processed is not in RAW"))
    }
}

fn extents(lanes: &[Lane], numbers: &Lanes) -> HashMap<u32, Extent> {
    let mut extents = HashMap::new();
    let by_source: BTreeMap<&TopicPartition, &Lane> = lanes.iter().map(|lane| (&lane.source, lane)).collect();
    for number in 0..numbers.count() {
        let Some(lane) = by_source.get(numbers.source(number)) else { continue };
        let start = lane.chain.first().map_or(0, |file| file.name.range.from());
        let settled = lane.below().last().map_or(start, |file| file.name.range.to());
        let stale = lane.stale().clone();
        let promoted = if stale.rewound.is_some() { lane.promoted } else { settled };
        extents.insert(number, Extent { start, settled, promoted, stale });
    }
    extents
}
