//! Proves or disproves the promises on Processed from storage alone: I5 (each promoted id once, in its winning version),
//! I6 (every row names where it came from), I7 (the log shows whole promotions), I8 (the directory shows what the log
//! shows).
//!
//! Beside a running promoter it does not cry wolf: what looks wrong counts only if no promotion went on meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasher;
use std::path::Path;
use std::sync::Arc;

use super::delta::Stale;
use super::input::Input;
use super::keys::{Buckets, Key, Lineage};
use super::scan::{KeyReader, Lanes};
use super::sources::{Lane, RawFile, raw_files, read_lanes};
use super::winners::order;
use crate::fault::{Fault, Verdict};
use crate::lake::audit::{Invariant, Violation};
use crate::lake::columns::{ColumnSpec, specs_of};
use crate::lake::log::{LiveFile, LogState, TableLog};
use crate::lake::mutate;
use crate::lake::names::{Home, ledger_root, processed_dir};
use crate::lake::plan::Plan;
use crate::lake::roll::newest_plan;
use crate::model::offset::TopicPartition;
use crate::model::table::Table;
use crate::storage::{LakePath, Storage};

/// More violations than this of one invariant are not listed.
const MOST_VIOLATIONS: usize = 1000;

/// How often everything is looked at again while promotions go on.
const LOOKS: usize = 3;

/// Memory that judging one id takes, about.
const ID_BYTES: u64 = 400;

/// Audits one table. `spool` is a local folder of the audit's own; `budget` is bytes of memory.
///
/// # Errors
///
/// Storage, the spool, or settings that do not fit the table: nothing could be proved either way.
pub fn audit_processed(
    storage: &Arc<dyn Storage>,
    table: &Table,
    spool: &Path,
    budget: u64,
) -> Result<Vec<Invariant>, Fault> {
    let home = Home::processed(&table.name);
    let mut look = 1;
    loop {
        let plan = newest_plan(&**storage, &home)?;
        let audited = Auditor::new(storage, table, plan.as_ref())?.audit(spool, budget);
        let is_clean = audited.as_ref().is_ok_and(|invariants| invariants.iter().all(|invariant| invariant.ok));
        if is_clean
            || look == LOOKS
            || newest_plan(&**storage, &home)?.map(|plan| plan.seq) == plan.map(|plan| plan.seq)
        {
            return audited;
        }
        look += 1;
    }
}

struct Auditor<'a> {
    storage: &'a Arc<dyn Storage>,
    table: &'a Table,
    plan: Option<&'a Plan>,
    root: LakePath,
    log: Option<LogState>,
    found: BTreeMap<&'static str, (u64, Vec<Violation>)>,
}

impl<'a> Auditor<'a> {
    fn new(storage: &'a Arc<dyn Storage>, table: &'a Table, plan: Option<&'a Plan>) -> Result<Self, Fault> {
        let log = TableLog::look(storage, &table.name)?.state()?;
        let found = ["I5", "I6", "I7", "I8"].map(|id| (id, (0, Vec::new()))).into_iter().collect();
        Ok(Self { storage, table, plan, root: processed_dir(&table.name), log, found })
    }

    fn audit(mut self, spool: &Path, budget: u64) -> Result<Vec<Invariant>, Fault> {
        self.check_log();
        self.check_directory()?;
        // Rows are not looked at where files are missing: everything would be wrong with them.
        let is_whole = self.found.get("I7").is_none_or(|(_, violations)| violations.is_empty());
        if let Some(plan) = self.plan.filter(|_| is_whole) {
            self.check_rows(plan, spool, budget)?;
        }
        let found = self.found.into_iter();
        Ok(found.map(|(id, (checked, violations))| Invariant::new(id, checked, violations)).collect())
    }

    fn checked(&mut self, id: &'static str, things: u64) {
        self.found.entry(id).or_default().0 += things;
    }

    fn wrong(&mut self, id: &'static str, violation: Violation) {
        let violations = &mut self.found.entry(id).or_default().1;
        if violations.len() < MOST_VIOLATIONS {
            violations.push(violation);
        }
    }

    fn live(&self) -> &[LiveFile] {
        self.log.as_ref().map_or(&[], |log| &log.live)
    }

    /// The log holds exactly what the newest plan says, or what was there before it.
    fn check_log(&mut self) {
        let (planned, logged) =
            (self.plan.map_or(0, |plan| plan.seq), self.log.as_ref().and_then(|log| log.seq).unwrap_or(0));
        self.checked("I7", self.live().len() as u64);
        let path = self.root.join("_delta_log");
        if logged != planned && logged + 1 != planned {
            let what = format!("the table log is at promotion {logged}, the newest plan is {planned}");
            self.wrong("I7", Violation::at(&path, what));
            return;
        }
        let expected =
            self.plan.map(|plan| if logged == planned { plan.after } else { plan.before }).unwrap_or_default();
        let shown = self.log.as_ref().map(LogState::census).unwrap_or_default();
        if shown != expected {
            let what = format!("the table log shows {} files that are not those of promotion {logged}", shown.files);
            self.wrong("I7", Violation::at(&path, what));
        }
    }

    /// Every file of the log lies in its place; when no promotion is under way, no other file lies there.
    fn check_directory(&mut self) -> Result<(), Fault> {
        let mut lying = BTreeMap::new();
        for dir in mutate::list(&**self.storage, &self.root)? {
            if dir.is_dir && dir.path.name().starts_with("dt=") {
                for file in mutate::list(&**self.storage, &dir.path)? {
                    lying.insert(format!("{}/{}", dir.path.name(), file.path.name()), file.bytes);
                }
            }
        }
        let live = self.live().to_vec();
        for file in &live {
            let path = self.root.join(&file.path);
            match lying.get(&file.path) {
                Some(bytes) if *bytes == file.bytes => {}
                Some(bytes) => {
                    self.wrong(
                        "I7",
                        Violation::at(path, format!("it has {bytes} bytes, the table log says {}", file.bytes)),
                    );
                }
                None => self.wrong("I7", Violation::at(path, "it is in the table log and not in its place")),
            }
        }
        if self.plan.map(|plan| plan.seq) != self.log.as_ref().and_then(|log| log.seq) {
            return Ok(());
        }
        self.checked("I8", lying.len() as u64);
        let known: BTreeSet<&str> = live.iter().map(|file| file.path.as_str()).collect();
        for path in lying.keys().filter(|path| !known.contains(path.as_str())) {
            let path = self.root.join(path);
            self.wrong("I8", Violation::at(path, "it lies in the table and is not in the table log"));
        }
        Ok(())
    }

    /// Holds every row of Processed against every promoted row of RAW.
    fn check_rows(&mut self, plan: &Plan, spool: &Path, budget: u64) -> Result<(), Fault> {
        let Some(settings) = &self.table.processed else { return Ok(()) };
        // The rows are those of the log; a promotion that is not in the log yet has not happened for its readers.
        if self.log.as_ref().and_then(|log| log.seq) != Some(plan.seq) {
            return Ok(());
        }
        let lanes = match read_lanes(&**self.storage, self.table, &plan.cursors()) {
            Ok(lanes) => lanes,
            Err(fault) if fault.verdict == Verdict::Halt => {
                self.wrong("I5", Violation::at(ledger_root(), fault.message));
                return Ok(());
            }
            Err(fault) => return Err(fault),
        };
        // A key that today's mapping has and no promotion has had yet is null in every promoted row.
        let mut columns = plan.columns.clone();
        let is_new = |column: &ColumnSpec| !plan.columns.iter().any(|known| known.name == column.name);
        columns.extend(specs_of(&self.table.mapping.raw_schema())?.into_iter().filter(is_new));
        let mut keys = KeyReader::new(self.table, settings, &columns)?;
        let mut numbers = Lanes::default();
        let mut raw: Vec<(RawFile, u32)> = Vec::new();
        for lane in &lanes {
            for interval in lane.settled() {
                let files = raw_files(&**self.storage, &self.table.name, interval)?;
                raw.extend(files.into_iter().map(|file| (file, numbers.number(&lane.source))));
            }
        }
        std::fs::create_dir_all(spool).map_err(|error| super::keys::spool_fault(spool, &error))?;
        let rows =
            raw.iter().map(|(file, _)| file.rows).sum::<u64>() + self.live().iter().map(|file| file.rows).sum::<u64>();
        let mut buckets = Buckets::new(spool, rows, ID_BYTES, budget / 2);
        let hasher = hashbrown::DefaultHashBuilder::default();
        let mut paths: Vec<LakePath> = Vec::new();
        let first_promoted = raw.len();
        for (file, lane) in &raw {
            let input = Input::open(self.storage, &file.path, file.bytes)?;
            let number = paths.len() as u32;
            paths.push(file.path.clone());
            keys.read(&input, number, Some(*lane), &mut numbers, |key| buckets.push(hasher.hash_one(key.id), key))?;
        }
        for file in self.live().to_vec() {
            let path = self.root.join(&file.path);
            let input = Input::open(self.storage, &path, file.bytes)?;
            let number = paths.len() as u32;
            paths.push(path);
            keys.read(&input, number, None, &mut numbers, |key| buckets.push(hasher.hash_one(key.id), key))?;
        }
        let judge = Judge { ranks: numbers.ranks(), extents: extents(&lanes, &numbers), first_promoted };
        for bucket in 0..buckets.count() {
            self.judge(&judge, bucket, &mut buckets, &numbers, &paths)?;
        }
        Ok(())
    }

    fn judge(
        &mut self,
        judge: &Judge,
        bucket: usize,
        buckets: &mut Buckets,
        numbers: &Lanes,
        paths: &[LakePath],
    ) -> Result<(), Fault> {
        let mut ids: HashMap<Vec<u8>, Rows> = HashMap::new();
        buckets.drain(bucket, |key| ids.entry(key.id.to_vec()).or_default().add(judge, &key))?;
        for rows in ids.into_values() {
            self.checked("I5", 1);
            if let Some((row, what)) = judge.fifth(&rows) {
                let violation = Violation::at(&paths[row.file], what);
                self.wrong("I5", violation.of(numbers.source(row.lineage.lane), row.lineage.offset));
            }
            for row in &rows.promoted {
                self.checked("I6", 1);
                if judge.place(&row.lineage) == Place::Nowhere {
                    let what = "a row names an offset that is not in the promoted part of its chain";
                    let violation = Violation::at(&paths[row.file], what);
                    self.wrong("I6", violation.of(numbers.source(row.lineage.lane), row.lineage.offset));
                }
            }
        }
        Ok(())
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
struct Rows {
    raw: Option<Row>,
    promoted: Vec<Row>,
}

impl Rows {
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
    /// Into what a rewind has taken or is taking away, or into a revised interval: the row is recomputed by the promotion
    /// that honours it.
    Stale,
    /// Before the chain: retention has taken the RAW row.
    Before,
    /// Anywhere else.
    Nowhere,
}

/// Promoted offsets of one Kafka partition: begin of the chain, end of what no rewind concerns, end of what was promoted,
/// and those that were revised since.
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
    fn fifth<'v>(&self, rows: &'v Rows) -> Option<(&'v Row, &'static str)> {
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
