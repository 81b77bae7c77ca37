//! The new version of an interval while it is made: its data files, and its ledger as the old one with some rows
//! replaced.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::SchemaRef;
use jiff::Timestamp;

use super::alike::{OldPlaces, with_same_violations};
use super::carry::{Carried, Order, copy, fit, internal, path_of, unite};
use super::interval::{Kept, Requeuer, Revised, Tally};
use super::ledger::Merge;
use super::select::name_of;
use crate::fault::Fault;
use crate::flow::buffer::file::{FileSpec, OpenFile};
use crate::flow::buffer::lake_committer::spooled;
use crate::flow::buffer::pressure::LaneMemory;
use crate::flow::buffer::quarantine::quarantine_rows;
use crate::lake::chain::LedgerFile;
use crate::lake::footer::{DataFile, IntervalFooter, MappingUsed, Zone};
use crate::lake::names::UNROUTED;
use crate::lake::parquet_reader::ParquetFile;
use crate::lake::{PendingInterval, SpooledData};
use crate::model::batch::{DeadLetter, LedgerRow, Outcome, TableIndex, ValidBatch};
use crate::model::offset::OffsetRange;
use crate::model::table::{RowTable, unrouted_payload};

/// New rows that are written at once.
const CHUNK_ROWS: usize = 4096;

/// Why an interval is not revised.
pub(super) enum Stop {
    /// Old and new rows do not fit into one file.
    Clash(String),
    /// It cannot be done now.
    Fault(Fault),
}

impl Stop {
    /// Why the interval is left as it is.
    ///
    /// # Errors
    ///
    /// The fault, when it is one.
    pub(super) fn clash(self) -> Result<Option<String>, Fault> {
        match self {
            Self::Clash(why) => Ok(Some(why)),
            Self::Fault(fault) => Err(fault),
        }
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A data file of the new version that is not just a copy.
struct Part {
    file: OpenFile,
    schema: SchemaRef,
    /// What its old version holds.
    old: Option<Carried>,
    /// Whether rows of today's mapping are in it.
    is_new: bool,
}

/// The new version of one interval.
pub(super) struct Version<'r> {
    requeuer: &'r Requeuer,
    range: OffsetRange,
    footer: IntervalFooter,
    /// Whose quarantine is gone through.
    table: &'r str,
    quarantine: SchemaRef,
    parts: BTreeMap<(Zone, String), Part>,
    ledger: Merge,
    places: OldPlaces,
    memory: LaneMemory,
    /// Offsets of changed messages that had rows before.
    gone: HashSet<i64>,
    is_changed: bool,
    now: Timestamp,
    pub(super) tally: Tally,
}

impl<'r> Version<'r> {
    /// The new version of `old`, whose ledger file says `footer`; `quarantine` are the columns of quarantine files.
    pub(super) fn new(
        requeuer: &'r Requeuer,
        old: &LedgerFile,
        footer: IntervalFooter,
        table: &'r str,
        quarantine: SchemaRef,
    ) -> Result<Self, Fault> {
        let todays = requeuer.catalog.tables().iter().map(|table| Arc::clone(&table.name));
        let mut names: Vec<Arc<str>> = todays.collect();
        let others = footer.sums.tables.keys().filter(|name| *name != UNROUTED);
        let others: Vec<Arc<str>> = others
            .filter(|name| !names.iter().any(|known| **known == ***name))
            .map(|name| name.as_str().into())
            .collect();
        names.extend(others);
        let ledger = Merge::new(requeuer, old, names.into())?;
        Ok(Self {
            requeuer,
            range: old.name.range,
            footer,
            table,
            quarantine,
            parts: BTreeMap::new(),
            ledger,
            places: OldPlaces::default(),
            memory: requeuer.encoders.share(),
            gone: HashSet::new(),
            is_changed: false,
            now: requeuer.clock.now(),
            tally: Tally::default(),
        })
    }

    /// Whether a message has changed.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Takes some rows of quarantine, and what the messages in `of_message` (for each its row) have become.
    pub(super) fn take(&mut self, rows: &RecordBatch, of_message: &[usize], valid: ValidBatch) -> Result<(), Stop> {
        let letters = self.letters(&valid)?;
        let alike = match letters.get(self.table) {
            Some((letters, again)) => with_same_violations(rows, of_message, letters, again)?,
            None => BTreeSet::new(),
        };
        let alike = self.without_new_rows(alike, &valid)?;
        let unchanged = self.renew(&valid.ledger, &alike)?;
        let is_changed = |message: u32| !unchanged.contains(&message);
        let gone: HashSet<usize> =
            (0_u32..).zip(of_message).filter(|(message, _)| is_changed(*message)).map(|(_, row)| *row).collect();
        let stays: BooleanArray = (0..rows.num_rows()).map(|row| Some(!gone.contains(&row))).collect();
        let mut here = vec![filter(rows, &stays)?];
        for (table, (letters, rows)) in letters {
            let changed: BooleanArray = letters.iter().map(|letter| Some(is_changed(letter.message))).collect();
            let changed = filter(&rows, &changed)?;
            if table == self.table {
                here.push(changed);
            } else if changed.num_rows() > 0 {
                self.add(Zone::Quarantine, &table, true, &changed)?;
            }
        }
        let here = Order::of_quarantine().sort(&self.quarantine, &here)?;
        if here.num_rows() > 0 {
            let table = self.table;
            self.add(Zone::Quarantine, table, false, &here)?;
        }
        for part in valid.tables {
            let table = self.name(Some(part.table));
            // Rows are copied on their way, and one message may have very many.
            for (some, messages) in part.message.chunks(CHUNK_ROWS).enumerate() {
                let rows = part.rows.slice(some * CHUNK_ROWS, messages.len());
                let changed: BooleanArray = messages.iter().map(|message| Some(is_changed(*message))).collect();
                let changed = filter(&rows, &changed)?;
                if changed.num_rows() > 0 {
                    *self.tally.rows.entry(table.clone()).or_default() += changed.num_rows() as u64;
                    self.add(Zone::Raw, &table, true, &changed)?;
                }
            }
        }
        self.relieve()?;
        Ok(())
    }

    /// Tells what is held in memory, and closes all open row groups when that is asked for.
    fn relieve(&mut self) -> Result<(), Fault> {
        let held = |parts: &BTreeMap<_, Part>| parts.values().map(|part| part.file.memory_bytes()).sum();
        self.memory.publish(held(&self.parts));
        if self.memory.take_request() {
            self.parts.values_mut().try_for_each(|part| part.file.flush())?;
            self.memory.publish(held(&self.parts));
        }
        Ok(())
    }

    /// Adds new rows, by ascending offset, to a file; with `joins` among the rows of its old version.
    fn add(&mut self, zone: Zone, table: &str, joins: bool, rows: &RecordBatch) -> Result<(), Stop> {
        self.open(zone, table, joins)?;
        let Some(part) = self.parts.get_mut(&(zone, table.to_owned())) else { return Ok(()) };
        let rows = fit(rows, &part.schema)?;
        part.is_new = true;
        let nobody = HashSet::new();
        let gone = if zone == Zone::Raw { &self.gone } else { &nobody };
        match &mut part.old {
            Some(old) => old.merge(rows, gone, |rows| part.file.append(rows))?,
            None => part.file.append(rows)?,
        }
        Ok(())
    }

    fn count(&mut self, outcome: Outcome, is_changed: bool) {
        let tally = &mut self.tally;
        let count = match (is_changed, outcome) {
            (false, _) => &mut tally.unchanged,
            (true, Outcome::Quarantined) => &mut tally.renewed,
            (true, Outcome::Partial) => &mut tally.partial,
            (true, _) => &mut tally.released,
        };
        *count += 1;
    }

    /// The dead letters of a batch by table, with the rows that they are in quarantine.
    fn letters<'v>(
        &self,
        valid: &'v ValidBatch,
    ) -> Result<BTreeMap<String, (Vec<&'v DeadLetter>, RecordBatch)>, Fault> {
        let mut by_table: BTreeMap<Option<TableIndex>, Vec<&DeadLetter>> = BTreeMap::new();
        for letter in &valid.dead_letters {
            by_table.entry(letter.table).or_default().push(letter);
        }
        let mut letters_of = BTreeMap::new();
        let catalog = &self.requeuer.catalog;
        let unrouted = unrouted_payload(catalog.tables());
        for (table, letters) in by_table {
            let settings = table.and_then(|index| catalog.settings(index));
            let kept = settings.map_or(unrouted, |table| table.quarantine.payload);
            let mapping = settings.map(|table| Arc::clone(&table.mapping));
            let rows = quarantine_rows(&valid.raw, &letters, mapping.as_deref(), kept, self.now);
            let rows = rows.map(|rows| fit(&rows?, &self.quarantine)).collect::<Result<Vec<_>, Fault>>()?;
            let rows = concat_batches(&self.quarantine, &rows).map_err(|error| internal(&error))?;
            letters_of.insert(self.name(table), (letters, rows));
        }
        Ok(letters_of)
    }

    /// Puts what messages have become into the ledger, unless they are in quarantine as they were, those among the
    /// `alike`: these it gives back.
    fn renew(&mut self, ledger: &[LedgerRow], alike: &BTreeSet<u32>) -> Result<BTreeSet<u32>, Fault> {
        let mut unchanged = BTreeSet::new();
        for (message, row) in (0_u32..).zip(ledger) {
            let old = self.ledger.find(row.offset)?;
            // No good row is taken away for reasons that were there when it was taken.
            let is_as_it_was = row.outcome == Outcome::Quarantined || row.outcome == old.outcome;
            let is_changed = !(alike.contains(&message) && is_as_it_was);
            self.count(row.outcome, is_changed);
            if is_changed {
                self.is_changed = true;
                if old.rows > 0 {
                    self.gone.insert(row.offset);
                }
                self.ledger.push(row.clone())?;
            } else {
                unchanged.insert(message);
                self.ledger.push(old)?;
            }
        }
        Ok(unchanged)
    }

    /// Of the messages that are in quarantine for the same reasons as before those whose good rows were there before
    /// too.
    fn without_new_rows(&mut self, mut alike: BTreeSet<u32>, valid: &ValidBatch) -> Result<BTreeSet<u32>, Fault> {
        let offset_of = |message: u32| valid.ledger.get(message as usize).map(|row| row.offset);
        for part in &valid.tables {
            let meant: BooleanArray = part.message.iter().map(|message| Some(alike.contains(message))).collect();
            if meant.true_count() == 0 {
                continue;
            }
            let (table, order) = (self.name(Some(part.table)), self.order(part.table));
            let columns = order.columns().filter_map(|name| part.rows.schema_ref().index_of(name).ok());
            let rows = part.rows.project(&columns.collect::<Vec<_>>()).map_err(|error| internal(&error))?;
            let old = self.old(Zone::Raw, &table).cloned();
            let new =
                self.places.lack(&self.requeuer.storage, &table, old.as_ref(), &order, &filter(&rows, &meant)?)?;
            alike.retain(|message| offset_of(*message).is_some_and(|offset| !new.contains(&offset)));
        }
        Ok(alike)
    }

    /// The order of the rows of a table in RAW.
    fn order(&self, table: TableIndex) -> Order {
        let catalog = &self.requeuer.catalog;
        let top = catalog.get(table).and_then(|table| catalog.tables().get(usize::from(table.top)));
        Order::of_rows(&top.map(|top| top.mapping.lineage.clone()).unwrap_or_default())
    }

    fn named(&self, name: &str) -> Option<&'r RowTable> {
        self.requeuer.catalog.all().iter().find(|table| *table.name == *name)
    }

    fn name(&self, table: Option<TableIndex>) -> String {
        name_of(table.and_then(|index| self.requeuer.catalog.get(index)).map(|table| &*table.name)).to_owned()
    }

    fn old(&self, zone: Zone, table: &str) -> Option<&DataFile> {
        self.footer.files.iter().find(|file| file.zone == zone && file.table == table)
    }

    /// Opens the file of a zone and table, unless it is open.
    fn open(&mut self, zone: Zone, table: &str, joins: bool) -> Result<(), Stop> {
        let key = (zone, table.to_owned());
        if self.parts.contains_key(&key) {
            return Ok(());
        }
        let storage = &self.requeuer.storage;
        let old = match self.old(zone, table).filter(|_| joins) {
            Some(file) => {
                Some(ParquetFile::open(Arc::clone(storage), path_of(file)?, file.bytes).map_err(Fault::from)?)
            }
            None => None,
        };
        let known = self.named(table);
        let todays = match zone {
            Zone::Quarantine => Some(Arc::clone(&self.quarantine)),
            Zone::Raw => known.map(|table| Arc::clone(&table.schema)),
        };
        let schema = match (&todays, &old) {
            (Some(todays), Some(old)) => unite(todays, old.schema()),
            (Some(only), None) => unite(only, only),
            (None, Some(old)) => unite(old.schema(), old.schema()),
            (None, None) => Err(format!("there is no table {table}")),
        };
        let schema = schema.map_err(Stop::Clash)?;
        let own = known.and_then(|table| self.requeuer.catalog.tables().get(usize::from(table.top)));
        let settings = own.or_else(|| self.requeuer.catalog.tables().first());
        let raw = settings.map(|table| table.raw.clone()).unwrap_or_default();
        let (compression, row_group_bytes) = (raw.compression, self.requeuer.row_group_bytes);
        let spec = FileSpec { schema: Arc::clone(&schema), compression, row_group_bytes };
        let file = OpenFile::create(&self.requeuer.spool, spec)?;
        let order = match zone {
            Zone::Quarantine => Order::of_quarantine(),
            Zone::Raw => Order::of_rows(&own.map(|table| table.mapping.lineage.clone()).unwrap_or_default()),
        };
        if old.as_ref().is_some_and(|old| old.schema().column_with_name(&order.offset).is_none()) {
            return Err(Stop::Clash(format!("column {} of today's tables is not there", order.offset)));
        }
        let old = old.map(|old| Carried::open(&old, Arc::clone(&schema), order)).transpose()?;
        self.parts.insert(key, Part { file, schema, old, is_new: false });
        Ok(())
    }

    /// Brings over what the old version holds besides, and closes the files.
    pub(super) fn finish(mut self, go_on: &dyn Fn() -> Result<(), Fault>) -> Result<Revised, Stop> {
        let mut files = Vec::new();
        let mut data = Vec::new();
        for file in self.footer.files.clone() {
            go_on()?;
            let is_open = self.parts.contains_key(&(file.zone, file.table.clone()));
            let loses = file.zone == Zone::Raw && !self.gone.is_empty();
            if file.zone == Zone::Quarantine && file.table == self.table {
                continue;
            }
            if !is_open && !loses {
                let (room, spooled) = copy(&*self.requeuer.storage, &file, &self.requeuer.spool)?;
                files.push(Kept::Other(room));
                data.push(SpooledData { zone: file.zone, table: file.table, file: spooled });
                continue;
            }
            self.open(file.zone, &file.table, true)?;
            let nobody = HashSet::new();
            let gone = if loses { &self.gone } else { &nobody };
            if let Some(part) = self.parts.get_mut(&(file.zone, file.table.clone()))
                && let Some(old) = &mut part.old
            {
                old.rest(gone, |rows| {
                    go_on()?;
                    part.file.append(rows)
                })?;
                // Nothing more comes into it.
                part.file.flush()?;
            }
            self.relieve()?;
        }
        let mut mappings = self.footer.mappings.clone();
        for ((zone, table), part) in std::mem::take(&mut self.parts) {
            if part.file.rows() == 0 {
                continue;
            }
            let used = self.mapping(zone, &table, part.is_new);
            if let Some(used) = used.clone().filter(|used| zone == Zone::Raw && !mappings.contains(used)) {
                mappings.push(used);
            }
            let file = part.file.finish(&self.metadata(used.as_ref()))?;
            data.push(SpooledData { zone, table, file: spooled(&file) });
            files.push(Kept::Encoded(file));
        }
        let (writer, room) = self.ledger.finish()?.into_parts();
        files.push(Kept::Other(room));
        let pending = PendingInterval::new(self.range, writer, data, mappings);
        Ok(Revised { pending: Some(pending), tally: self.tally, skipped: None, _files: files })
    }

    /// The mapping that a file names: today's, unless it holds old rows only.
    fn mapping(&self, zone: Zone, table: &str, is_new: bool) -> Option<MappingUsed> {
        if zone == Zone::Raw && !is_new {
            return self.footer.mappings.iter().rev().find(|used| used.table == table).cloned();
        }
        let known = self.named(table)?;
        let mapping = &self.requeuer.catalog.tables().get(usize::from(known.top))?.mapping;
        Some(MappingUsed { table: known.name.to_string(), name: mapping.name.clone(), version: mapping.version })
    }

    fn metadata(&self, used: Option<&MappingUsed>) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("forebay.topic", self.footer.topic.clone()),
            ("forebay.partition", self.footer.partition.to_string()),
            ("forebay.from", self.range.from().to_string()),
            ("forebay.to", self.range.to().to_string()),
        ];
        if let Some(used) = used {
            pairs.push(("forebay.table", used.table.clone()));
            pairs.push(("forebay.mapping", used.name.clone()));
            pairs.push(("forebay.mapping_version", used.version.to_string()));
        }
        pairs
    }
}

fn filter(rows: &RecordBatch, keep: &BooleanArray) -> Result<RecordBatch, Fault> {
    filter_record_batch(rows, keep).map_err(|error| internal(&error))
}
