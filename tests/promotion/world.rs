//! A lake in memory with two Kafka partitions, a promoted table, and the oracle.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{
    Array, AsArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use forebay::clock::{Clock, ManualClock};
use forebay::fault::{Fault, Verdict};
use forebay::flow::promote::{Promoter, PromotionReport, audit_processed};
use forebay::lake::audit::Invariant;
use forebay::lake::chain::{LedgerFile, read_chain};
use forebay::lake::footer::{MappingUsed, Zone, read_footer};
use forebay::lake::ledger::{CheckedFile, LedgerWriter, Spooled};
use forebay::lake::log::TableLog;
use forebay::lake::names::processed_dir;
use forebay::lake::{
    LakeError, LaneLedger, PendingInterval, RewindOrder, SpooledData, StartPosition, UndoOrder, acquire,
};
use forebay::model::batch::{LedgerRow, Outcome};
use forebay::model::mapping::{LINEAGE, Mapping};
use forebay::model::offset::{OffsetRange, TopicPartition};
use forebay::model::table::{
    DateBound, OnBadDate, OnOutOfRange, ProcessedSettings, QuarantineSettings, RawSettings, Retire, StartingOffsets,
    Table, TopicChoice,
};
use forebay::storage::faulty::FaultyStorage;
use forebay::storage::sim::SimFs;
use forebay::storage::{LakePath, Storage};
use jiff::Timestamp;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;

use super::owner::owner;
use super::values::{mapping, sample};

pub(crate) const TABLE: &str = "books";
const DAY: i64 = 86_400_000_000;

/// A row as anybody sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) version: Option<i32>,
    pub(crate) added: Option<i64>,
    pub(crate) value: String,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: Option<i64>,
    pub(crate) row_index: i32,
    pub(crate) dt: String,
}

pub(crate) struct World {
    pub(crate) memory: Arc<SimFs>,
    pub(crate) faulty: Arc<FaultyStorage>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(super) clock: Arc<dyn Clock>,
    pub(crate) table: Table,
    pub(super) spool: Arc<(tempfile::TempDir, AtomicU64)>,
    pub(crate) lanes: Vec<TopicPartition>,
    /// Generation in which each committed offset was read, by lane and interval: `(from, to, generation)`.
    pub(super) read: BTreeMap<(usize, i64, u64), (i64, u64)>,
    /// Generation of each lane: what the same bytes become changes with a new mapping.
    pub(super) generation: Vec<u64>,
}

pub(crate) struct Beginning;

impl StartPosition for Beginning {
    fn resolve(&self, _: &TopicPartition) -> Result<i64, Fault> {
        Ok(0)
    }
}

impl World {
    pub(crate) fn new(version: bool) -> Self {
        Self::of(SimFs::hdfs, version)
    }

    /// An empty lake of that make.
    pub(crate) fn of(make: fn(Timestamp) -> SimFs, version: bool) -> Self {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let memory = Arc::new(make(now));
        let faulty = Arc::new(FaultyStorage::new(Arc::clone(&memory) as Arc<dyn Storage>));
        let processed = ProcessedSettings {
            record_id: vec!["id".into()],
            version: version.then(|| "version".into()),
            date: "added".into(),
            date_zone: "UTC".into(),
            on_bad_date: OnBadDate::Bucket,
            date_min: DateBound::Date(jiff::civil::date(1970, 1, 1)),
            date_max: DateBound::Date(jiff::civil::date(9999, 12, 31)),
            retire: Retire::Immediate,
        };
        let table = Table {
            name: TABLE.into(),
            topics: TopicChoice::List(vec!["alpha".into(), "library".into()]),
            when: None,
            mapping: Arc::new(mapping(&[])),
            starting_offsets: StartingOffsets::Earliest,
            on_offset_out_of_range: OnOutOfRange::Fail,
            raw: RawSettings::default(),
            quarantine: QuarantineSettings::default(),
            stop_when: None,
            processed: Some(processed),
        };
        let lanes =
            vec![TopicPartition::new("library", 0), TopicPartition::new("library", 1), TopicPartition::new("alpha", 0)];
        Self {
            storage: Arc::clone(&faulty) as Arc<dyn Storage>,
            memory,
            faulty,
            clock: Arc::new(ManualClock::new(now)),
            table,
            spool: Arc::new((tempfile::tempdir().unwrap(), AtomicU64::new(0))),
            generation: vec![0; lanes.len()],
            lanes,
            read: BTreeMap::new(),
        }
    }

    pub(crate) fn acquire_lane(&self, lane: usize) -> Result<LaneLedger, LakeError> {
        acquire(&self.storage, &self.clock, &owner(), &self.lanes[lane], &Beginning)
    }

    pub(super) fn spool_path(&self) -> std::path::PathBuf {
        self.spool.0.path().join(format!("raw-{}", self.spool.1.fetch_add(1, Ordering::SeqCst)))
    }

    /// What the message at an offset becomes in a generation: no row, one, or two.
    pub(crate) fn rows_of(&self, lane: usize, offset: i64, generation: u64) -> Vec<Row> {
        let mut hasher = DefaultHasher::new();
        (lane, offset, generation).hash(&mut hasher);
        let seed = hasher.finish();
        let count = [1, 1, 1, 2, 0][(seed % 5) as usize];
        let source = &self.lanes[lane];
        let row = |row_index: i32| {
            let seed = seed.rotate_right(7 + 11 * row_index as u32);
            let added = (seed >> 32) % 5;
            let added = (added < 4).then(|| 20_000 * DAY + added as i64 * DAY + (offset * 1000));
            Row {
                id: ((seed >> 8) % 12) as i64,
                version: ((seed >> 16) % 4 < 3).then_some(((seed >> 16) % 4) as i32),
                added,
                value: format!("{source}/{offset}/{generation}/{row_index}"),
                topic: source.topic.to_string(),
                partition: source.partition,
                offset,
                timestamp: (!(seed >> 20).is_multiple_of(5)).then_some(((seed >> 24) % 3) as i64),
                row_index,
                dt: added.map_or("__HIVE_DEFAULT_PARTITION__".into(), day),
            }
        };
        (0..count).map(row).collect()
    }

    /// Commits the next `len` messages of a lane.
    pub(crate) fn commit(&mut self, lane: usize, len: i64) {
        let mut ledger = self.acquire_lane(lane).unwrap();
        let from = ledger.head();
        let generation = self.generation[lane];
        let rows = (from..from + len).flat_map(|offset| self.rows_of(lane, offset, generation)).collect::<Vec<_>>();
        let mut pending = self.interval(from, from + len, &rows);
        let committed = ledger.commit(&mut pending).unwrap();
        self.read.insert((lane, from, committed.name.epoch.0), (from + len, generation));
    }

    pub(crate) fn interval(&self, from: i64, to: i64, rows: &[Row]) -> PendingInterval {
        let mut ledger = LedgerWriter::create(self.spool_path(), [Arc::from(TABLE)].into()).unwrap();
        for offset in from..to {
            let rows = rows.iter().filter(|row| row.offset == offset).count() as u32;
            let outcome = if rows > 0 { Outcome::Rows } else { Outcome::Filtered };
            let row = LedgerRow { offset, timestamp_us: None, outcome, table: Some(0), rows, code: None };
            ledger.append(&[row]).unwrap();
        }
        let data = if rows.is_empty() {
            Vec::new()
        } else {
            vec![SpooledData { zone: Zone::Raw, table: TABLE.into(), file: self.raw_file(rows) }]
        };
        let Mapping { name, version, .. } = &*self.table.mapping;
        let used = MappingUsed { table: TABLE.into(), name: name.clone(), version: *version };
        PendingInterval::new(OffsetRange::new(from, to).unwrap(), ledger, data, vec![used])
    }

    fn raw_file(&self, rows: &[Row]) -> Spooled {
        let schema = self.table.mapping.raw_schema();
        let times = |of: &dyn Fn(&Row) -> Option<i64>| {
            Arc::new(rows.iter().map(of).collect::<TimestampMicrosecondArray>().with_timezone("UTC")) as _
        };
        let names = self.table.mapping.lineage.names.each_ref().map(|name| name.to_string());
        let usual = |name: &str| names.iter().position(|ours| ours == name).map(|place| LINEAGE[place].to_owned());
        let usual = |name: &str| usual(name).unwrap_or_else(|| name.to_owned());
        let columns = schema.fields().iter().map(|field| match usual(field.name()).as_str() {
            "id" => Arc::new(rows.iter().map(|row| Some(row.id)).collect::<Int64Array>()) as _,
            "version" => Arc::new(rows.iter().map(|row| row.version).collect::<Int32Array>()) as _,
            "added" => times(&|row| row.added),
            "value" => Arc::new(rows.iter().map(|row| Some(row.value.as_str())).collect::<StringArray>()) as _,
            "kafka_topic" => {
                Arc::new(rows.iter().map(|row| Some(row.topic.as_str())).collect::<DictionaryArray<Int32Type>>()) as _
            }
            "kafka_partition" => Arc::new(rows.iter().map(|row| Some(row.partition)).collect::<Int32Array>()) as _,
            "kafka_offset" => Arc::new(rows.iter().map(|row| Some(row.offset)).collect::<Int64Array>()) as _,
            "kafka_timestamp" => times(&|row| row.timestamp),
            "row_index" => Arc::new(rows.iter().map(|row| Some(row.row_index)).collect::<Int32Array>()) as _,
            _ => sample(field, rows),
        });
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap();
        let path = self.spool_path();
        let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true);
        let file = CheckedFile::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new_with_options(file, schema, options).unwrap();
        writer.write(&batch).unwrap();
        let file = writer.into_inner().unwrap();
        Spooled { path, bytes: file.bytes(), rows: rows.len() as u64, checksum: file.crc32() }
    }

    /// Rewinds a lane by some offsets; crashes after so many mutations, if any. From then on its messages are read by
    /// a new mapping.
    pub(crate) fn rewind(&mut self, lane: usize, back: i64, crash: Option<u64>) {
        let mut ledger = self.acquire_lane(lane).unwrap();
        if ledger.head() == 0 {
            return;
        }
        let target = (ledger.head() - back).max(0);
        if let Some(mutations) = crash {
            self.faulty.crash_after_mutations(mutations);
        }
        let order = RewindOrder { target, expect: None, broker_low: 0, reason: "test" };
        let answer = ledger.rewind(order);
        self.faulty.heal();
        assert!(crash.is_some() || answer.is_ok(), "{answer:?}");
        self.generation[lane] += 1;
    }

    /// Takes the newest rewind of a lane back, where there is one to take back; crashes after so many mutations, if
    /// any. Whether it was done.
    pub(crate) fn undo(&mut self, lane: usize, crash: Option<u64>) -> bool {
        let mut ledger = self.acquire_lane(lane).unwrap();
        if let Some(mutations) = crash {
            self.faulty.crash_after_mutations(mutations);
        }
        let answer = ledger.undo(UndoOrder { expect: None, reason: "test" });
        self.faulty.heal();
        let is_refused = matches!(answer, Err(LakeError::Refused(_)));
        assert!(crash.is_some() || is_refused || answer.is_ok(), "{answer:?}");
        answer.is_ok()
    }

    /// Revises some intervals of a lane, from the `first` on (counted round): every row of them is another one then, as
    /// if by a new mapping. Crashes after so many mutations, if any. Whether it was done.
    pub(crate) fn revise(&mut self, lane: usize, first: usize, count: usize, crash: Option<u64>) -> bool {
        let storage = Arc::clone(&self.storage);
        self.generation[lane] += 1;
        self.revise_on(&storage, lane, first, count, crash)
    }

    pub(super) fn revise_on(
        &mut self,
        storage: &Arc<dyn Storage>,
        lane: usize,
        first: usize,
        count: usize,
        crash: Option<u64>,
    ) -> bool {
        let mut ledger = acquire(storage, &self.clock, &owner(), &self.lanes[lane], &Beginning).unwrap();
        let live = read_chain(&*self.memory, &self.lanes[lane]).unwrap().chain.live;
        if let Some(mutations) = crash {
            self.faulty.crash_after_mutations(mutations);
        }
        let generation = self.generation[lane];
        let mut answer = Ok(());
        for old in live.iter().cycle().skip(first).take(count.min(live.len())) {
            let (from, to) = (old.name.range.from(), old.name.range.to());
            let rows: Vec<Row> = (from..to).flat_map(|offset| self.rows_of(lane, offset, generation)).collect();
            let mut pending = self.interval(from, to, &rows);
            // Whether or not it gets committed: nothing else can have that epoch.
            self.read.insert((lane, from, ledger.epoch().0), (to, generation));
            answer = ledger.revise(&mut pending, old, "test").map(drop);
            if answer.is_err() {
                break;
            }
        }
        let answer = answer.and_then(|()| ledger.end_revisions());
        if crash.is_some() {
            self.faulty.heal();
        }
        assert!(crash.is_some() || answer.is_ok(), "{answer:?}");
        answer.is_ok()
    }

    /// Finishes open rewinds and revisions, and reads every lane up to `end`.
    pub(crate) fn settle(&mut self, end: i64) {
        for lane in 0..self.lanes.len() {
            let head = self.acquire_lane(lane).unwrap().head();
            if head < end {
                self.commit(lane, end - head);
            }
        }
    }

    pub(crate) fn promoter(&self) -> Result<Promoter, Fault> {
        let spool = self.spool_path();
        Promoter::acquire(Arc::clone(&self.storage), owner(), &self.table, spool, 1 << 20)
    }

    pub(crate) fn promote(&self) -> PromotionReport {
        let mut promoter = self.promoter().unwrap();
        let report = promoter.promote().unwrap();
        assert_eq!(promoter.take_warnings(), []);
        report
    }

    /// Every row of RAW by the chains, in the generation in which it was read.
    pub(crate) fn raw(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (lane, source) in self.lanes.iter().enumerate() {
            for file in read_chain(&*self.memory, source).unwrap().chain.live {
                let from = file.name.range.from();
                let read = self.read.get(&(lane, from, file.name.epoch.0)).copied();
                // What came back when a rewind was taken back has another epoch; its rows say in which generation they
                // were read.
                let Some((to, generation)) = read.or_else(|| self.generation_in(&file)) else { continue };
                assert_eq!(to, file.name.range.to());
                rows.extend((file.name.range.from()..to).flat_map(|offset| self.rows_of(lane, offset, generation)));
            }
        }
        rows
    }

    /// End of an interval and generation of its rows, by the rows; none when it has none.
    fn generation_in(&self, file: &LedgerFile) -> Option<(i64, u64)> {
        let storage: &dyn Storage = &*self.memory;
        let data = read_footer(storage, &file.path, file.bytes).unwrap().files.into_iter().next()?;
        let bytes = storage.read_whole(&LakePath::parse(&data.path).unwrap()).unwrap();
        let batch = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap().next()?.unwrap();
        let value = batch.column_by_name("value").unwrap().as_string::<i32>().value(0).to_owned();
        Some((file.name.range.to(), value.split('/').nth(2).unwrap().parse().unwrap()))
    }

    /// What Processed must be: of each id the greatest row.
    pub(crate) fn oracle(&self) -> Vec<Row> {
        let by_version = self.table.processed.as_ref().unwrap().version.is_some();
        let rank = |row: &Row| {
            let version = if by_version { row.version } else { None };
            (version, row.timestamp, row.topic.clone(), row.partition, row.offset, row.row_index)
        };
        let mut best: BTreeMap<i64, Row> = BTreeMap::new();
        for row in self.raw() {
            match best.get(&row.id) {
                Some(have) if rank(have) >= rank(&row) => {}
                _ => {
                    best.insert(row.id, row);
                }
            }
        }
        best.into_values().collect()
    }

    /// Paths of the table's files by its directory, below the table.
    pub(crate) fn directory(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let root = processed_dir(TABLE);
        let storage: &dyn Storage = &*self.memory;
        for dt in storage.list_or_empty(&root).unwrap() {
            if dt.path.name() != "_delta_log" {
                for file in storage.list(&dt.path).unwrap() {
                    found.insert(file.path.as_str()[root.as_str().len() + 1..].to_owned());
                }
            }
        }
        found
    }

    /// Paths of the table's files by its log, and the number of the last promotion in it.
    pub(crate) fn log(&self) -> (Option<u64>, BTreeSet<String>) {
        let storage = Arc::clone(&self.memory) as Arc<dyn Storage>;
        let log = TableLog::open(&storage, TABLE, processed_dir(TABLE), LakePath::root().join("nowhere")).unwrap();
        match log.state().unwrap() {
            Some(state) => (state.seq, state.live.into_iter().map(|file| file.path).collect()),
            None => (None, BTreeSet::new()),
        }
    }

    /// The rows of some files of the table.
    pub(crate) fn rows_in(&self, files: &BTreeSet<String>) -> Vec<Row> {
        let storage: &dyn Storage = &*self.memory;
        let mut rows = Vec::new();
        for path in files {
            let dt = path.split('/').next().unwrap().strip_prefix("dt=").unwrap().to_owned();
            let bytes = storage.read_whole(&processed_dir(TABLE).join(path)).unwrap();
            for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
                rows.extend(rows_of_batch(&batch.unwrap(), &dt, &self.table.mapping.lineage.names));
            }
        }
        rows.sort();
        rows
    }

    /// Log and directory agree, and every id stands once.
    pub(crate) fn check_table(&self) -> Vec<Row> {
        let directory = self.directory();
        assert_eq!(directory, self.log().1, "a directory reader and a log reader see different files");
        let rows = self.rows_in(&directory);
        let invariants = self.audit();
        assert!(invariants.iter().all(|invariant| invariant.ok), "{invariants:#?}");
        let ids: BTreeSet<i64> = rows.iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), rows.len(), "an id stands twice: {rows:#?}");
        rows
    }

    pub(crate) fn audit(&self) -> Vec<Invariant> {
        let storage = Arc::clone(&self.memory) as Arc<dyn Storage>;
        audit_processed(&storage, &self.table, &self.spool_path(), 1 << 20).unwrap()
    }

    pub(crate) fn check_oracle(&self) {
        assert_eq!(self.check_table(), self.oracle());
        self.check_values();
    }
}

pub(crate) fn retriable(fault: &Fault) -> bool {
    fault.verdict == Verdict::Retry
}

fn day(at: i64) -> String {
    Timestamp::from_microsecond(at).unwrap().to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

fn rows_of_batch(batch: &RecordBatch, dt: &str, lineage: &[Arc<str>; 5]) -> Vec<Row> {
    let long = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
    let int = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int32Type>().clone();
    let time = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<TimestampMicrosecondType>().clone();
    let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
    let (id, version, added, value) = (long("id"), int("version"), time("added"), text("value"));
    let (topic, partition, offset) = (text(&lineage[0]), int(&lineage[1]), long(&lineage[2]));
    let (timestamp, row_index) = (time(&lineage[3]), int(&lineage[4]));
    (0..batch.num_rows())
        .map(|row| Row {
            id: id.value(row),
            version: version.is_valid(row).then(|| version.value(row)),
            added: added.is_valid(row).then(|| added.value(row)),
            value: value.value(row).to_owned(),
            topic: topic.value(row).to_owned(),
            partition: partition.value(row),
            offset: offset.value(row),
            timestamp: timestamp.is_valid(row).then(|| timestamp.value(row)),
            row_index: row_index.value(row),
            dt: dt.to_owned(),
        })
        .collect()
}
