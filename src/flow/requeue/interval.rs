//! One interval: its quarantined messages through the parser and the rules again, and a new version of it where that
//! changes anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::carry::{fit, path_of, unite};
use super::message::{messages, slice_rows};
use super::select::Selection;
use super::version::{Stop, Version};
use crate::clock::Clock;
use crate::fault::Fault;
use crate::flow::buffer::file::SpooledFile;
use crate::flow::buffer::pressure::EncoderMemory;
use crate::flow::buffer::quarantine::quarantine_schema;
use crate::flow::buffer::sums::BatchSums;
use crate::flow::parse::{Parser, ParserTable, Room, Route, parse_steadily};
use crate::flow::spool::{Spool, SpoolFile};
use crate::flow::validate::{self, Rules};
use crate::lake::PendingInterval;
use crate::lake::chain::LedgerFile;
use crate::lake::footer::{Zone, read_footer};
use crate::lake::parquet_reader::ParquetFile;
use crate::model::batch::{RawBatch, RawMessage, ValidBatch};
use crate::model::budget::MemoryBudget;
use crate::model::catalog::Catalog;
use crate::model::offset::TopicPartition;
use crate::model::room::{RowRoom, Turn};
use crate::stage::step::WAIT;
use crate::storage::Storage;

/// A look at each message before it is parsed.
pub type MessageProbe = Arc<dyn Fn(&RawMessage) + Send + Sync>;

/// What a requeue works with: the daemon's own stages, on a thread that may wait.
pub struct Requeuer {
    /// The lake.
    pub storage: Arc<dyn Storage>,
    /// Every table of the daemon.
    pub catalog: Catalog,
    /// Their mappings, compiled.
    pub parser_tables: Arc<[ParserTable]>,
    /// Their rules.
    pub rules: Arc<Rules>,
    /// Where files are encoded.
    pub spool: Spool,
    /// The memory budget of what is read and not yet encoded.
    pub budget: MemoryBudget,
    /// Room for rows that are parsed and not yet encoded.
    pub room: RowRoom,
    /// The memory budget of all encoders.
    pub encoders: EncoderMemory,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Encoded bytes at which a row group is closed.
    pub row_group_bytes: usize,
    /// Called before each message is parsed; tests make one poisonous with it. None in production.
    pub probe: Option<MessageProbe>,
}

/// What became of the messages that were meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages that were meant.
    pub messages: u64,
    /// Messages that are no longer in quarantine.
    pub released: u64,
    /// Messages that are still in quarantine, and whose good rows, other than before, are in RAW.
    pub partial: u64,
    /// Messages that stay in quarantine, for other reasons than before.
    pub renewed: u64,
    /// Messages that stay in quarantine as they are.
    pub unchanged: u64,
    /// Offsets of messages that stay because their payload was not kept.
    pub redacted: Vec<i64>,
    /// New rows in RAW, by table.
    pub rows: BTreeMap<String, u64>,
}

/// What an interval comes to.
#[derive(Debug)]
pub struct Revised {
    /// Its new version; none when nothing changes.
    pub pending: Option<PendingInterval>,
    /// What becomes of its messages.
    pub tally: Tally,
    /// Why it is left as it is, though messages of it are meant.
    pub skipped: Option<String>,
    /// The files of the new version, for as long as they are needed.
    pub(super) _files: Vec<Kept>,
}

/// A file of the spool that is still needed.
#[derive(Debug)]
#[expect(dead_code, reason = "held until it is dropped, which removes the file")]
pub(super) enum Kept {
    Encoded(SpooledFile),
    Other(SpoolFile),
}

impl Revised {
    fn untouched(tally: Tally, skipped: Option<String>) -> Self {
        Self { pending: None, tally, skipped, _files: Vec::new() }
    }
}

impl Requeuer {
    /// The interval of `old` with the messages that are meant as today's mapping sees them. Nothing in the lake is
    /// changed. `go_on` is asked now and then, and may end it.
    ///
    /// # Errors
    ///
    /// Storage, the spool, files that are damaged, or what `go_on` says.
    pub fn rebuild(
        &self,
        old: &LedgerFile,
        selection: &Selection,
        go_on: &dyn Fn() -> Result<(), Fault>,
    ) -> Result<Revised, Fault> {
        if self.spool.is_full() {
            return Err(Fault::retry("spool.full", "the spool is full: try again when a commit has made room"));
        }
        let footer = read_footer(&*self.storage, &old.path, old.bytes)?;
        let is_it = |zone: Zone, table: &str| zone == Zone::Quarantine && table == selection.table;
        let held = footer.files.iter().find(|file| is_it(file.zone, &file.table) && file.rows > 0).cloned();
        let Some(held) = held.filter(|_| selection.may_take(footer.sums.max_timestamp_us)) else {
            return Ok(Revised::untouched(Tally::default(), None));
        };
        let file = ParquetFile::open(Arc::clone(&self.storage), path_of(&held)?, held.bytes)?;
        let schema = unite(&quarantine_schema(), file.schema());
        let schema = schema.map_err(|why| Fault::halt("requeue.columns", format!("{}: {why}", held.path)))?;
        let columns: Vec<usize> = (0..file.schema().fields().len()).collect();
        let mut parser = self.parser();
        let mut version = Version::new(self, old, footer, &selection.table, Arc::clone(&schema))?;
        let route = Route::of(&old.name.source.in_kafka().topic, self.catalog.tables())?;
        let mut again =
            Again { requeuer: self, source: &old.name.source, selection, route, parser: &mut parser, go_on };
        let mut clash = None;
        let mut meant = 0;
        for rows in file.read(&columns, slice_rows(&file))? {
            let rows = fit(&rows?, &schema)?;
            meant += selection.mask(&rows)?.true_count() as u64;
            // After a clash they are only counted.
            if clash.is_none() {
                clash = again.take(&mut version, &rows).map_or_else(Stop::clash, |()| Ok(None))?;
            }
        }
        version.tally.messages = meant;
        if clash.is_none() && !version.is_changed() {
            return Ok(Revised::untouched(version.tally, None));
        }
        let revised = clash.map_or_else(|| version.finish(go_on), |why| Err(Stop::Clash(why)));
        revised.or_else(|stop| {
            let why = stop.clash()?.map(|why| format!("{}: {why}", old.name));
            Ok(Revised::untouched(Tally { messages: meant, ..Tally::default() }, why))
        })
    }

    fn parser(&self) -> Parser {
        let parser = Parser::new(Arc::clone(&self.parser_tables));
        match self.probe.clone() {
            Some(probe) => parser.with_probe(Box::new(move |message| probe(message))),
            None => parser,
        }
    }

    /// Messages through the parser and the rules; none when there is no room for their rows.
    fn read(
        &self,
        parser: &mut Parser,
        raw: &Arc<RawBatch>,
        route: &Route,
        turn: Option<Turn>,
    ) -> Result<Option<ValidBatch>, Fault> {
        let room = Room { batch: self.room.piece(), first: turn.as_ref().map(|_| self.room.message()) };
        let mut parsed = parse_steadily(parser, || self.parser(), raw, route, Some(room))?;
        if parsed.verdicts.len() < raw.messages.len() {
            return Ok(None);
        }
        parsed.room = Some(self.room.hold(parsed.permit.bytes(), turn));
        validate::check(&parsed, raw.range.from(), |table| self.rules.top(table))?;
        let valid = self.rules.apply(parsed, self.clock.now())?;
        BatchSums::of(&valid)?;
        Ok(Some(valid))
    }
}

/// The way of the rows of one quarantine file into the new version of their interval.
struct Again<'a> {
    requeuer: &'a Requeuer,
    source: &'a TopicPartition,
    selection: &'a Selection,
    route: Route,
    parser: &'a mut Parser,
    go_on: &'a dyn Fn() -> Result<(), Fault>,
}

impl Again<'_> {
    /// Takes some rows, all at once if there is room for what becomes of them, or else the halves of them.
    fn take(&mut self, version: &mut Version<'_>, rows: &RecordBatch) -> Result<(), Stop> {
        (self.go_on)()?;
        let requeuer = self.requeuer;
        let wanted = self.selection.mask(rows)?;
        let found = messages(self.source, rows, &wanted, &requeuer.budget)?;
        let raw = Arc::new(found.raw);
        let mut valid = requeuer.read(self.parser, &raw, &self.route, None)?;
        if valid.is_none() && raw.messages.len() > 1 {
            let half = rows.num_rows() / 2;
            drop(raw);
            self.take(version, &rows.slice(0, half))?;
            return self.take(version, &rows.slice(half, rows.num_rows() - half));
        }
        while valid.is_none() {
            (self.go_on)()?;
            match requeuer.room.try_turn() {
                Some(turn) => valid = requeuer.read(self.parser, &raw, &self.route, Some(turn))?,
                None => requeuer.room.wait(WAIT),
            }
        }
        version.tally.redacted.extend(&found.redacted);
        valid.map_or(Ok(()), |valid| version.take(rows, &found.rows, valid))
    }
}
