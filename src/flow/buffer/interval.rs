//! The open interval of a lane: what each batch adds to it, and the closed interval that goes to the commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::file::{FileSpec, OpenFile, SpooledFile};
use super::ledger_file::LedgerFile;
use super::quarantine::{quarantine_rows, quarantine_schema};
use super::report::{FileCommitted, IntervalCommitted};
use super::roll::{OpenInterval, RollReason, should_roll, strictest};
use super::sums::BatchSums;
use crate::fault::Fault;
use crate::flow::spool::Spool;
use crate::lake::footer::Zone;
use crate::model::batch::{DeadLetter, TableIndex, ValidBatch};
use crate::model::catalog::Catalog;
use crate::model::offset::{OffsetRange, TopicPartition};
use crate::model::table::{RawSettings, RowTable, Table, unrouted_payload};

/// What every interval of a lane is made with.
#[derive(Debug, Clone)]
pub struct IntervalContext {
    /// The Kafka partition.
    pub source: TopicPartition,
    /// Every table, child tables too.
    pub catalog: Catalog,
    /// The names that ledger rows have for them.
    pub table_names: Arc<[Arc<str>]>,
    /// Where files are encoded.
    pub spool: Spool,
    /// Encoded bytes at which a row group is closed.
    pub row_group_bytes: usize,
}

impl IntervalContext {
    /// A table, and the settings for its files.
    fn table(&self, index: TableIndex) -> Result<(&RowTable, &Table), Fault> {
        self.catalog.get(index).zip(self.catalog.settings(index)).ok_or_else(|| {
            Fault::internal(
                "buffer.table",
                format!("a batch of {} names table {index}, which is not there", self.source),
            )
        })
    }

    /// Settings for what belongs to no table: the strictest of all.
    fn fallback(&self) -> RawSettings {
        strictest(self.catalog.tables().iter().map(|table| &table.raw)).unwrap_or_default()
    }
}

/// The interval that is being filled. It begins where the one before it ended.
#[derive(Debug)]
pub struct Interval {
    context: IntervalContext,
    range: OffsetRange,
    /// When the first and the last batch came in that moved the position.
    times: Option<(Instant, Instant)>,
    files: BTreeMap<(Zone, Option<TableIndex>), OpenFile>,
    ledger: Option<LedgerFile>,
    sums: BatchSums,
}

impl Interval {
    /// An empty interval at `position`; none for a position that cannot be.
    pub fn at(context: IntervalContext, position: i64) -> Option<Self> {
        let range = OffsetRange::new(position, position)?;
        Some(Self { context, range, times: None, files: BTreeMap::new(), ledger: None, sums: BatchSums::default() })
    }

    /// Consumer positions covered so far.
    pub fn range(&self) -> OffsetRange {
        self.range
    }

    /// Adds a batch, which must begin where the interval ends, and encodes it.
    ///
    /// # Errors
    ///
    /// An internal fault when the batch leaves a gap, overlaps, or its ledger does not account for every message and
    /// row; a fault of the spool. The interval is worth nothing after either.
    pub fn add(&mut self, batch: ValidBatch, now: Instant, wall: Timestamp) -> Result<(), Fault> {
        let range = batch.raw.range;
        if batch.raw.source != self.context.source {
            return Err(Fault::internal(
                "buffer.source",
                format!("a batch of {} came to the buffer of {}", batch.raw.source, self.context.source),
            ));
        }
        let whole = self.range.followed_by(range).ok_or_else(|| {
            let what = format!("a batch of {} covers {range} where {} was due", self.context.source, self.range.to());
            Fault::internal("buffer.gap", what)
        })?;
        if range.is_empty() && batch.raw.messages.is_empty() {
            return Ok(());
        }
        self.sums.add(&BatchSums::of(&batch)?);
        if !batch.ledger.is_empty() {
            self.ledger()?.append(&batch.ledger)?;
        }
        self.quarantine(&batch, wall)?;
        for rows in batch.tables {
            let (table, settings) = self.context.table(rows.table)?;
            let (schema, compression) = (Arc::clone(&table.schema), settings.raw.compression);
            let row_group_bytes = self.context.row_group_bytes;
            let spec = FileSpec { schema, compression, row_group_bytes };
            self.file(Zone::Raw, Some(rows.table), spec)?.append(rows.rows)?;
        }
        self.range = whole;
        let first = self.times.map_or(now, |(first, _)| first);
        self.times = Some((first, now));
        Ok(())
    }

    fn quarantine(&mut self, batch: &ValidBatch, wall: Timestamp) -> Result<(), Fault> {
        let mut by_table: BTreeMap<Option<TableIndex>, Vec<&DeadLetter>> = BTreeMap::new();
        for letter in &batch.dead_letters {
            by_table.entry(letter.table).or_default().push(letter);
        }
        for (table, letters) in by_table {
            let known = table.map(|index| self.context.table(index)).transpose()?;
            let compression = known.map_or_else(|| self.context.fallback(), |(_, table)| table.raw.clone()).compression;
            let mapping = known.map(|(_, table)| Arc::clone(&table.mapping));
            let unrouted = || unrouted_payload(self.context.catalog.tables());
            let kept = known.map_or_else(unrouted, |(_, table)| table.quarantine.payload);
            let row_group_bytes = self.context.row_group_bytes;
            let spec = FileSpec { schema: quarantine_schema(), compression, row_group_bytes };
            let file = self.file(Zone::Quarantine, table, spec)?;
            for rows in quarantine_rows(&batch.raw, &letters, mapping.as_deref(), kept, wall) {
                file.append(rows?)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, zone: Zone, table: Option<TableIndex>, spec: FileSpec) -> Result<&mut OpenFile, Fault> {
        use std::collections::btree_map::Entry;
        match self.files.entry((zone, table)) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(OpenFile::create(&self.context.spool, spec)?)),
        }
    }

    fn ledger(&mut self) -> Result<&mut LedgerFile, Fault> {
        match &mut self.ledger {
            Some(ledger) => Ok(ledger),
            none => Ok(none.insert(LedgerFile::create(&self.context.spool, Arc::clone(&self.context.table_names))?)),
        }
    }

    /// Bytes held in memory.
    pub fn memory_bytes(&self) -> u64 {
        let files: u64 = self.files.values().map(OpenFile::memory_bytes).sum();
        files + self.ledger.as_ref().map_or(0, LedgerFile::memory_bytes)
    }

    /// Encoded bytes, open row groups by estimate.
    pub fn encoded_bytes(&self) -> u64 {
        let files: u64 = self.files.values().map(OpenFile::encoded_bytes).sum();
        files + self.ledger.as_ref().map_or(0, LedgerFile::encoded_bytes)
    }

    /// Messages in it.
    pub fn messages(&self) -> u64 {
        self.sums.messages()
    }

    /// Rows in its data files.
    pub fn rows(&self) -> u64 {
        self.files.values().map(OpenFile::rows).sum()
    }

    /// Closes all open row groups, so that nearly nothing is held in memory.
    ///
    /// # Errors
    ///
    /// A fault of the spool.
    pub fn flush(&mut self) -> Result<(), Fault> {
        self.files.values_mut().try_for_each(OpenFile::flush)?;
        self.ledger.as_mut().map_or(Ok(()), LedgerFile::flush)
    }

    /// Whether it must be closed now; never while it is empty.
    ///
    /// Each file is held against its table's settings, all with the age of the interval: a table cannot be older than
    /// the interval it is in. What has no table (tombstones, `_unrouted`) follows the tables beside it.
    pub fn due(&self, now: Instant) -> Option<RollReason> {
        let (first_message, last_message) = self.times?;
        let open = |encoded_bytes, rows| OpenInterval { encoded_bytes, rows, first_message, last_message };
        let table = |index: &TableIndex| self.context.catalog.settings(*index).map(|table| &table.raw);
        let beside = strictest(self.files.keys().filter_map(|(_, index)| index.as_ref()).filter_map(table));
        let beside = beside.unwrap_or_else(|| self.context.fallback());
        let files = self.files.iter().filter_map(|((_, index), file)| {
            let settings = index.as_ref().and_then(table).unwrap_or(&beside);
            should_roll(&open(file.projected_bytes(), file.rows()), settings, now)
        });
        let ledger = self.ledger.as_ref().map_or(0, LedgerFile::encoded_bytes);
        files.chain(should_roll(&open(ledger, self.messages()), &beside, now)).min()
    }

    /// Whether it covers no position.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Closes its files and gives the interval for the commit; what is added next begins at its end.
    ///
    /// # Errors
    ///
    /// A fault of the spool. The interval is worth nothing after it.
    pub fn close(&mut self, reason: RollReason) -> Result<ClosedInterval, Fault> {
        let range = self.range;
        let mut files = Vec::with_capacity(self.files.len());
        for ((zone, table), file) in std::mem::take(&mut self.files) {
            let footer = footer(&self.context, range, table);
            files.push(ClosedFile { zone, table, file: file.finish(&footer)? });
        }
        let ledger = match self.ledger.take() {
            Some(ledger) => ledger,
            None => LedgerFile::create(&self.context.spool, Arc::clone(&self.context.table_names))?,
        };
        let next = OffsetRange::new(range.to(), range.to());
        self.range = next.ok_or_else(|| {
            Fault::internal("buffer.range", format!("{} cannot go on after {range}", self.context.source))
        })?;
        self.times = None;
        let sums = std::mem::take(&mut self.sums);
        let (source, catalog) = (self.context.source.clone(), self.context.catalog.clone());
        let ledger_bytes = ledger.encoded_bytes();
        Ok(ClosedInterval { source, catalog, range, reason, files, ledger: Some(ledger), ledger_bytes, sums })
    }
}

/// Key-value metadata of a data file.
fn footer(context: &IntervalContext, range: OffsetRange, table: Option<TableIndex>) -> Vec<(&'static str, String)> {
    let mut footer = vec![
        ("forebay.topic", context.source.topic.to_string()),
        ("forebay.partition", context.source.partition.to_string()),
        ("forebay.from", range.from().to_string()),
        ("forebay.to", range.to().to_string()),
    ];
    if let Some((table, settings)) = table.and_then(|index| context.table(index).ok()) {
        footer.push(("forebay.table", table.name.to_string()));
        footer.push(("forebay.mapping", settings.mapping.name.clone()));
        footer.push(("forebay.mapping_version", settings.mapping.version.to_string()));
    }
    footer
}

/// One file of a closed interval.
#[derive(Debug)]
pub struct ClosedFile {
    /// Its zone.
    pub zone: Zone,
    /// Its table; none is `_unrouted`.
    pub table: Option<TableIndex>,
    /// The file.
    pub file: SpooledFile,
}

/// A closed interval: whole files in the spool. Dropping it removes them.
#[derive(Debug)]
pub struct ClosedInterval {
    /// The Kafka partition.
    pub source: TopicPartition,
    /// Consumer positions covered.
    pub range: OffsetRange,
    /// Why it was closed.
    pub reason: RollReason,
    /// Its data files.
    pub files: Vec<ClosedFile>,
    /// Every table, child tables too.
    pub catalog: Catalog,
    /// Its ledger until the commit takes it to write its footer.
    pub ledger: Option<LedgerFile>,
    /// Length of the ledger: what is encoded so far, and the whole file once it is committed.
    pub ledger_bytes: u64,
    /// What is in it.
    pub sums: BatchSums,
}

impl ClosedInterval {
    /// The account of its commit.
    pub fn committed(&self, attempts: u32, took: Duration, at: Timestamp) -> IntervalCommitted {
        let file = |closed: &ClosedFile| FileCommitted {
            zone: closed.zone,
            table: closed.table,
            rows: closed.file.rows(),
            bytes: closed.file.bytes(),
        };
        IntervalCommitted {
            source: self.source.clone(),
            range: self.range,
            reason: self.reason,
            outcomes: self.sums.outcomes.clone(),
            codes: self.sums.codes.clone(),
            files: self.files.iter().map(file).collect(),
            ledger_bytes: self.ledger_bytes,
            attempts,
            took,
            at,
        }
    }
}
