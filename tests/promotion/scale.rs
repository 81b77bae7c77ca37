//! What a promotion costs. Not run by itself: `cargo test --release --test promotion scale -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, Decimal128Array, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, SchemaRef};
use forebay::clock::{Clock, SystemClock};
use forebay::flow::promote::{Promoter, audit_processed};
use forebay::lake::footer::Zone;
use forebay::lake::ledger::{CheckedFile, LedgerWriter, Spooled};
use forebay::lake::{PendingInterval, SpooledData, acquire};
use forebay::model::batch::{LedgerRow, Outcome};
use forebay::model::mapping::Kind;
use forebay::model::offset::{OffsetRange, TopicPartition};
use forebay::model::table::Table;
use forebay::storage::Storage;
use forebay::storage::local::LocalStorage;
use jiff::Timestamp;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::world::{Beginning, World, column, owner};

const DAY: i64 = 86_400_000_000;
const WORDS: [&str; 16] = [
    "river", "stone", "winter", "glass", "silent", "harbour", "forest", "amber", "night", "garden", "copper", "cloud",
    "letter", "house", "bridge", "song",
];

struct Bench {
    storage: Arc<dyn Storage>,
    dir: tempfile::TempDir,
    table: Table,
    rng: fastrand::Rng,
    next_id: i64,
    files: u32,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("lake");
        std::fs::create_dir(&root).unwrap();
        let mut table = World::new(true).table;
        let mut mapping = (*table.mapping).clone();
        mapping.columns = [
            ("id", Kind::Int64),
            ("branch", Kind::String),
            ("number", Kind::String),
            ("lang", Kind::String),
            ("title", Kind::String),
            ("author", Kind::String),
            ("country", Kind::String),
            ("genre", Kind::String),
            ("price", Kind::Decimal(10, 2)),
            ("year", Kind::Int32),
            ("added", Kind::Timestamp),
        ]
        .map(|(name, kind)| column(name, kind, name == "id"))
        .into();
        table.mapping = Arc::new(mapping);
        if let Some(processed) = &mut table.processed {
            processed.version = None;
        }
        let storage = Arc::new(LocalStorage::open(&root).unwrap()) as Arc<dyn Storage>;
        Self { storage, dir, table, rng: fastrand::Rng::with_seed(7), next_id: 0, files: 0 }
    }

    /// Commits `rows` rows to a Kafka partition, three a message, of which `again` in a hundred have an id that came before.
    fn commit(&mut self, partition: i32, rows: i64, again: i64) {
        let clock = Arc::new(SystemClock) as Arc<dyn Clock>;
        let source = TopicPartition::new("library", partition);
        let mut lane = acquire(&self.storage, &clock, &owner(), &source, &Beginning).unwrap();
        let (from, to) = (lane.head(), lane.head() + rows / 3);
        self.files += 1;
        let path = self.dir.path().join(format!("ledger-{}", self.files));
        let mut ledger = LedgerWriter::create(path, [Arc::clone(&self.table.name)].into()).unwrap();
        for offset in from..to {
            let row = LedgerRow {
                offset,
                timestamp_us: Some(offset),
                outcome: Outcome::Rows,
                table: Some(0),
                rows: 3,
                code: None,
            };
            ledger.append(&[row]).unwrap();
        }
        let file = self.raw_file(&source, from, to, again);
        let data = vec![SpooledData { zone: Zone::Raw, table: self.table.name.to_string(), file }];
        let mut pending = PendingInterval::new(OffsetRange::new(from, to).unwrap(), ledger, data, Vec::new());
        lane.commit(&mut pending).unwrap();
    }

    fn raw_file(&mut self, source: &TopicPartition, from: i64, to: i64, again: i64) -> Spooled {
        let schema = self.table.mapping.raw_schema();
        let path = self.dir.path().join(format!("raw-{}", self.files));
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true).with_properties(properties);
        let file = CheckedFile::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new_with_options(file, Arc::clone(&schema), options).unwrap();
        let mut at = from;
        while at < to {
            let next = (at + 3000).min(to);
            writer.write(&self.batch(&schema, source, at, next, again)).unwrap();
            at = next;
        }
        let file = writer.into_inner().unwrap();
        Spooled { path, bytes: file.bytes(), rows: ((to - from) * 3) as u64, checksum: file.crc32() }
    }

    fn batch(&mut self, schema: &SchemaRef, source: &TopicPartition, from: i64, to: i64, again: i64) -> RecordBatch {
        let rows = ((to - from) * 3) as usize;
        let ids: Vec<i64> = (0..rows)
            .map(|_| {
                if self.next_id > 0 && self.rng.i64(0..100) < again {
                    return self.rng.i64(0..self.next_id);
                }
                self.next_id += 1;
                self.next_id - 1
            })
            .collect();
        let rng = &mut self.rng;
        let mut text = |words: usize, of: usize| -> ArrayRef {
            let value = |_| (0..words).map(|_| WORDS[rng.usize(0..of)]).collect::<Vec<_>>().join(" ");
            Arc::new(StringArray::from((0..rows).map(value).collect::<Vec<_>>()))
        };
        let (branch, lang, title, author) = (text(1, 12), text(1, 4), text(4, 16), text(2, 16));
        let (country, genre) = (text(1, 10), text(1, 16));
        let base = Timestamp::from_second(1_790_000_000).unwrap().as_microsecond();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(ids.clone())),
            branch,
            Arc::new(StringArray::from(ids.iter().map(|id| format!("B{id:09}")).collect::<Vec<_>>())),
            lang,
            title,
            author,
            country,
            genre,
            Arc::new(
                Decimal128Array::from_iter_values((0..rows).map(|_| i128::from(self.rng.i32(100..9999))))
                    .with_precision_and_scale(10, 2)
                    .unwrap(),
            ),
            Arc::new(Int32Array::from_iter_values((0..rows).map(|_| self.rng.i32(1900..2026)))),
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(
                    (0..rows).map(|_| base + self.rng.i64(0..28) * DAY + self.rng.i64(0..40_000) * 1_000_000),
                )
                .with_timezone("UTC"),
            ),
            Arc::new((0..rows).map(|_| Some(&*source.topic)).collect::<DictionaryArray<Int32Type>>()),
            Arc::new(Int32Array::from_value(source.partition, rows)),
            Arc::new(Int64Array::from_iter_values((0..rows as i64).map(|row| from + row / 3))),
            Arc::new(
                TimestampMicrosecondArray::from_iter_values((0..rows as i64).map(|row| base + from + row / 3))
                    .with_timezone("UTC"),
            ),
            Arc::new(Int32Array::from_iter_values((0..rows as i32).map(|row| row % 3))),
        ];
        RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
    }

    fn promote(&self, what: &str) {
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let (cpu, started) = (cpu_seconds(), Instant::now());
        let spool = self.dir.path().join("promote");
        let mut promoter = Promoter::acquire(Arc::clone(&self.storage), owner(), &self.table, spool, 64 << 20).unwrap();
        let report = promoter.promote().unwrap();
        println!(
            "{what}: {:.2} CPU-s, {:.2} s, {} MB at most; {} rows read, {} winners, {} ids new, {} changed, {} files added, {} removed",
            cpu_seconds() - cpu,
            started.elapsed().as_secs_f64(),
            peak_mb(),
            report.rows_read,
            report.winners,
            report.ids_new,
            report.ids_changed,
            report.files_added,
            report.files_removed,
        );
    }
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
#[ignore = "takes minutes without --release; prints what a promotion costs"]
fn three_million_rows() {
    let mut bench = Bench::new();
    for round in 0..6 {
        for partition in 0..4 {
            bench.commit(partition, 125_000 / 3 * 3, if round == 0 { 0 } else { 4 });
        }
    }
    bench.promote("all");
    bench.commit(0, 30_000, 0);
    bench.promote("1 % new ids");
    bench.commit(0, 30_000, 3);
    bench.promote("1 %, of which 3 % changed ids");
    let (cpu, started) = (cpu_seconds(), Instant::now());
    let invariants = audit_processed(&bench.storage, &bench.table, &bench.dir.path().join("audit"), 64 << 20).unwrap();
    println!("audit: {:.2} CPU-s, {:.2} s", cpu_seconds() - cpu, started.elapsed().as_secs_f64());
    assert!(invariants.iter().all(|invariant| invariant.ok), "{invariants:#?}");
}
