//! A lake in memory that is filled by the daemon's own parser, rules and buffer, and a requeue with another mapping.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use forebay::clock::{Clock, ManualClock};
use forebay::fault::Fault;
use forebay::flow::buffer::commit::Committer;
use forebay::flow::buffer::interval::{Interval, IntervalContext};
use forebay::flow::buffer::lake_committer::LakeCommitter;
use forebay::flow::buffer::pressure::EncoderMemory;
use forebay::flow::buffer::roll::RollReason;
use forebay::flow::parse::{Parser, ParserTable, Route};
use forebay::flow::requeue::{LaneRequeue, Requeuer, Selection, candidates, requeue_lane};
use forebay::flow::spool::Spool;
use forebay::flow::validate::Rules;
use forebay::lake::audit::{Depth, audit_raw};
use forebay::lake::chain::read_chain;
use forebay::lake::footer::{Zone, read_footer};
use forebay::lake::parquet_reader::ParquetFile;
use forebay::lake::{LaneLedger, StartPosition, acquire};
use forebay::model::batch::{Piece, RawBatch, RawMessage, ValidBatch};
use forebay::model::budget::MemoryBudget;
use forebay::model::catalog::Catalog;
use forebay::model::mapping::{Column, Kind, Mapping, Name, Path, Take, Trim};
use forebay::model::offset::{OffsetRange, TopicPartition};
use forebay::model::room::RowRoom;
use forebay::model::table::{OnOutOfRange, QuarantineSettings, RawSettings, StartingOffsets, Table, TopicChoice};
use forebay::storage::faulty::FaultyStorage;
use forebay::storage::sim::SimFs;
use forebay::storage::{LakePath, Storage};
use jiff::Timestamp;

use super::owner::owner;

pub(crate) const TABLE: &str = "books";

pub(crate) struct World {
    pub(crate) memory: Arc<SimFs>,
    pub(crate) faulty: Arc<FaultyStorage>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) source: TopicPartition,
    spool: Spool,
    _dir: tempfile::TempDir,
}

struct Beginning;

impl StartPosition for Beginning {
    fn resolve(&self, _: &TopicPartition) -> Result<i64, Fault> {
        Ok(0)
    }
}

pub(crate) fn name(local: &str) -> Name {
    Name { namespace: None, local: local.into() }
}

pub(crate) fn column(column: &str, kind: Kind, required: bool) -> Column {
    let path = Path { from_root: false, steps: vec![name(column).into()], take: Take::Text };
    let mut column = Column::new(column, path, kind);
    (column.required, column.rules.trim) = (required, Trim::Both);
    column
}

/// Books with an id, a price and a note. Strict: the price is required.
pub(crate) fn mapping(version: u32, columns: Vec<Column>) -> Mapping {
    let rows = vec![vec![name("book").into()]];
    Mapping { version, root: Some(name("library")), rows, ..Mapping::new("books.toml", columns) }
}

pub(crate) fn strict() -> Mapping {
    mapping(1, vec![column("id", Kind::Int64, true), column("price", Kind::Decimal(6, 2), true)])
}

/// The price may be missing, and there is one column more.
pub(crate) fn lenient() -> Mapping {
    let price = column("price", Kind::Decimal(6, 2), false);
    mapping(2, vec![column("id", Kind::Int64, true), price, column("note", Kind::String, false)])
}

pub(crate) fn table(mapping: Mapping) -> Table {
    Table {
        name: TABLE.into(),
        topics: TopicChoice::List(vec!["library".into()]),
        mapping: Arc::new(mapping),
        starting_offsets: StartingOffsets::Earliest,
        on_offset_out_of_range: OnOutOfRange::Fail,
        raw: RawSettings::default(),
        processed: None,
        when: None,
        quarantine: QuarantineSettings::default(),
        stop_when: None,
    }
}

/// A message of one book for each of these bodies.
pub(crate) fn library(books: &[&str]) -> String {
    let books: String = books.iter().map(|book| format!("<book>{book}</book>")).collect();
    format!("<library>{books}</library>")
}

pub(crate) const GOOD: &str = "<id>1</id><price>1.50</price>";
pub(crate) const NO_PRICE: &str = "<id>2</id><note>free</note>";
pub(crate) const NO_ID: &str = "<price>9.99</price>";
pub(crate) const BAD_ID: &str = "<id>x</id><price>9.99</price>";

/// What tables there are: several, or one that takes all with this mapping.
pub(crate) trait Configured {
    fn tables(&self) -> Arc<[Table]>;
}

impl Configured for Mapping {
    fn tables(&self) -> Arc<[Table]> {
        [table(self.clone())].into()
    }
}

impl Configured for [Table; 2] {
    fn tables(&self) -> Arc<[Table]> {
        self.clone().into()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let memory = Arc::new(SimFs::hdfs(now));
        let dir = tempfile::tempdir().unwrap();
        Self {
            faulty: Arc::new(FaultyStorage::new(Arc::clone(&memory) as Arc<dyn Storage>)),
            memory,
            clock: Arc::new(ManualClock::new(now)),
            source: TopicPartition::new("library", 0),
            spool: Spool::open(dir.path(), 1 << 30).unwrap(),
            _dir: dir,
        }
    }

    pub(crate) fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.memory) as Arc<dyn Storage>
    }

    pub(crate) fn acquire(&self, storage: &Arc<dyn Storage>) -> Result<LaneLedger, Fault> {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Ok(acquire(storage, &clock, &owner(), &self.source, &Beginning)?)
    }

    /// The messages as a reader of Kafka hands them over from `from` on; each has its offset as timestamp (in seconds),
    /// a key and a header.
    pub(crate) fn raw(&self, from: i64, payloads: &[Option<String>]) -> RawBatch {
        let mut bytes = Vec::new();
        let mut span = |piece: &[u8]| {
            let start = bytes.len() as u32;
            bytes.extend_from_slice(piece);
            start..bytes.len() as u32
        };
        let messages = (from..).zip(payloads).map(|(offset, payload)| RawMessage {
            offset,
            timestamp_us: Some(offset * 1_000_000),
            key: Some(span(format!("key {offset}").as_bytes())),
            payload: payload.as_ref().map(|payload| span(payload.as_bytes())),
            headers: vec![(span(b"trace"), Some(span(&[0xff, offset as u8]))), (span(b"none"), None)],
        });
        let messages: Vec<RawMessage> = messages.collect();
        let range = OffsetRange::new(from, from + payloads.len() as i64).unwrap();
        let permit = MemoryBudget::new(1).take(0);
        RawBatch {
            source: self.source.clone(),
            generation: 1,
            seq: 0,
            range,
            bytes,
            messages,
            permit,
            piece: Piece::WHOLE,
            slot: None,
        }
    }

    /// Reads messages as configured, and commits them as one interval.
    pub(crate) fn commit(&self, configured: &impl Configured, payloads: &[String]) {
        let payloads: Vec<Option<String>> = payloads.iter().cloned().map(Some).collect();
        let tables = configured.tables();
        let head = self.acquire(&self.storage()).unwrap().head();
        let raw = Arc::new(self.raw(head, &payloads));
        let parsers = parsers(&tables);
        let route = Route::of("library", &tables).unwrap();
        let parsed = Parser::new(Arc::clone(&parsers)).parse(&raw, route).unwrap();
        let valid = Rules::new(&tables, parsers).unwrap().apply(parsed, self.clock.now()).unwrap();
        self.commit_valid(&tables, valid);
    }

    pub(crate) fn commit_valid(&self, tables: &Arc<[Table]>, valid: ValidBatch) {
        let ledger = self.acquire(&self.storage()).unwrap();
        let context = IntervalContext {
            source: self.source.clone(),
            catalog: Catalog::new(Arc::clone(tables)).unwrap(),
            table_names: tables.iter().map(|table| Arc::clone(&table.name)).collect(),
            spool: self.spool.clone(),
            row_group_bytes: 1 << 20,
        };
        let mut interval = Interval::at(context, ledger.head()).unwrap();
        interval.add(valid, Instant::now(), self.clock.now()).unwrap();
        let mut closed = interval.close(RollReason::Command).unwrap();
        LakeCommitter::new(ledger).commit(&mut closed).unwrap();
    }

    pub(crate) fn requeuer(&self, storage: &Arc<dyn Storage>, configured: &impl Configured) -> Requeuer {
        let tables = configured.tables();
        let parser_tables = parsers(&tables);
        Requeuer {
            storage: Arc::clone(storage),
            rules: Arc::new(Rules::new(&tables, Arc::clone(&parser_tables)).unwrap()),
            catalog: Catalog::new(tables).unwrap(),
            parser_tables,
            spool: self.spool.clone(),
            budget: MemoryBudget::new(64 << 20),
            room: RowRoom::new(8 << 20, 1),
            encoders: EncoderMemory::new(64 << 20),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            row_group_bytes: 1 << 20,
            probe: None,
        }
    }

    /// What would happen.
    pub(crate) fn preview(&self, configured: &impl Configured, selection: &Selection) -> LaneRequeue {
        let storage = self.storage();
        let intervals = candidates(&*storage, &selection.table).unwrap().live(&*storage, &self.source).unwrap();
        requeue_lane(&self.requeuer(&storage, configured), &intervals, selection, None, &|| Ok(())).unwrap()
    }

    /// Requeues as the lane does: in an epoch of its own.
    pub(crate) fn requeue_on(
        &self,
        storage: &Arc<dyn Storage>,
        configured: &impl Configured,
        selection: &Selection,
    ) -> Result<LaneRequeue, Fault> {
        let mut lane = self.acquire(storage)?;
        let intervals = candidates(&**storage, &selection.table)?.live(&**storage, &self.source)?;
        let requeuer = self.requeuer(storage, configured);
        requeue_lane(&requeuer, &intervals, selection, Some((&mut lane, "test")), &|| Ok(()))
    }

    pub(crate) fn requeue(&self, configured: &impl Configured, selection: &Selection) -> LaneRequeue {
        let planned = self.preview(configured, selection);
        let done = self.requeue_on(&self.storage(), configured, selection).unwrap();
        assert_eq!(done, planned, "a preview tells what happens");
        self.audit();
        done
    }

    /// Every byte of the lake is what the ledger says.
    pub(crate) fn audit(&self) {
        let audit = audit_raw(&*self.memory, Depth::DataBytes).unwrap();
        let violations: Vec<String> =
            audit.chain.violations.iter().chain(&audit.complete.violations).map(ToString::to_string).collect();
        assert!(violations.is_empty(), "{violations:#?}");
    }

    /// Rows of a zone in the order of the chain, each as its columns' values.
    pub(crate) fn rows(&self, zone: Zone) -> Vec<BTreeMap<String, String>> {
        self.batches(zone).iter().flat_map(rows_of).collect()
    }

    /// The same of one table.
    pub(crate) fn rows_in(&self, zone: Zone, table: &str) -> Vec<BTreeMap<String, String>> {
        self.batches_of(zone, |name| name == table).iter().flat_map(rows_of).collect()
    }

    pub(crate) fn batches(&self, zone: Zone) -> Vec<RecordBatch> {
        self.batches_of(zone, |_| true)
    }

    fn batches_of(&self, zone: Zone, is_meant: impl Fn(&str) -> bool) -> Vec<RecordBatch> {
        let storage = self.storage();
        let mut batches = Vec::new();
        for file in read_chain(&*storage, &self.source).unwrap().chain.live {
            let footer = read_footer(&*storage, &file.path, file.bytes).unwrap();
            for data in footer.files.iter().filter(|data| data.zone == zone && is_meant(&data.table)) {
                let path = LakePath::parse(&data.path).unwrap();
                let data = ParquetFile::open(Arc::clone(&storage), path, data.bytes).unwrap();
                let all: Vec<usize> = (0..data.schema().fields().len()).collect();
                batches.extend(data.read(&all, 1024).unwrap().map(Result::unwrap));
            }
        }
        batches
    }

    /// Offset and row index of every row in RAW.
    pub(crate) fn places(&self) -> Vec<(i64, i32)> {
        let of = |batch: &RecordBatch| {
            let offsets = batch["kafka_offset"].as_primitive::<Int64Type>().values().to_vec();
            let indices = batch["row_index"].as_primitive::<Int32Type>().values().to_vec();
            offsets.into_iter().zip(indices).collect::<Vec<_>>()
        };
        self.batches(Zone::Raw).iter().flat_map(of).collect()
    }

    /// Offset, outcome, rows and first violation of every message, as the ledger tells.
    pub(crate) fn ledger(&self) -> Vec<String> {
        let storage = self.storage();
        let mut lines = Vec::new();
        for file in read_chain(&*storage, &self.source).unwrap().chain.live {
            let file = ParquetFile::open(Arc::clone(&storage), file.path, file.bytes).unwrap();
            for batch in file.read(&[0, 1, 2, 3, 4, 5], 1024).unwrap() {
                for row in rows_of(&batch.unwrap()) {
                    let value = |name: &str| row.get(name).cloned().unwrap_or_default();
                    let line =
                        format!("{} {} {} {}", value("kafka_offset"), value("outcome"), value("rows"), value("code"));
                    lines.push(line.trim_end().to_owned());
                }
            }
        }
        lines
    }
}

fn parsers(tables: &Arc<[Table]>) -> Arc<[ParserTable]> {
    tables.iter().map(|table| ParserTable::compile(&table.mapping).unwrap()).collect()
}

fn rows_of(batch: &RecordBatch) -> Vec<BTreeMap<String, String>> {
    let schema = batch.schema();
    let value = |row: usize, column: usize| {
        let array = batch.column(column);
        let name = schema.field(column).name().clone();
        array.is_valid(row).then(|| (name, array_value_to_string(array, row).unwrap()))
    };
    (0..batch.num_rows())
        .map(|row| (0..batch.num_columns()).filter_map(|column| value(row, column)).collect())
        .collect()
}

pub(crate) fn everything() -> Selection {
    Selection { table: TABLE.into(), code: None, from_us: None }
}
