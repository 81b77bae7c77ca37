//! From finished Arrow batches to whole Parquet files in the spool, on one thread: the rows of a million library
//! messages and their ledger.
//!
//! `cargo bench --bench encode [-- ROWS_OF_A_BATCH]`

#![expect(clippy::expect_used, reason = "a benchmark that cannot work has nothing better to do than to stop")]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};
use forebay::flow::buffer::file::{FileSpec, OpenFile};
use forebay::flow::buffer::ledger_file::LedgerFile;
use forebay::flow::buffer::step::ROW_GROUP_BYTES;
use forebay::flow::spool::Spool;
use forebay::model::batch::{LedgerRow, Outcome};
use forebay::model::mapping::Lineage;
use forebay::model::table::Compression;
use forebay::produce::library::{BOOKS, Book, Library, REPEATED};

const ROWS: usize = 3_000_000;
/// Files that are open at once.
const FILES: usize = 24;
/// Rows that are made once and then written again and again: making all of them would measure the machine's memory.
const POOL_ROWS: usize = 300_000;

fn main() {
    let batch_rows = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(3000);
    let pool: Vec<RecordBatch> =
        (0..POOL_ROWS / batch_rows).map(|number| batch(number * batch_rows, batch_rows)).collect();
    let dir = tempfile::tempdir().expect("a directory");
    let spool = Spool::open(dir.path(), u64::MAX).expect("a spool");
    for compression in [Compression::Zstd(1), Compression::Snappy] {
        many_files(&spool, &pool, compression);
    }
    for compression in [Compression::Zstd(1), Compression::Snappy, Compression::None] {
        let spec = FileSpec { schema: schema(), compression, row_group_bytes: ROW_GROUP_BYTES };
        let begun = cpu_seconds();
        let mut file = OpenFile::create(&spool, spec).expect("a file");
        let mut peak = 0;
        for rows in pool.iter().cycle().take(ROWS / batch_rows) {
            file.append(rows.clone()).expect("rows are encoded");
            peak = peak.max(file.memory_bytes());
        }
        let file = file.finish(&[]).expect("the file is closed");
        let seconds = cpu_seconds() - begun;
        let (rows, megabytes, held) = (file.rows(), file.bytes() as f64 / 1e6, peak as f64 / 1e6);
        println!(
            "{rows} rows, {compression:?}: {seconds:.2} CPU seconds, {megabytes:.1} MB, at most {held:.1} MB held"
        );
    }
    let begun = cpu_seconds();
    let mut ledger = LedgerFile::create(&spool, Arc::from(["books".into()])).expect("a ledger");
    let messages = ROWS as i64 / BOOKS as i64;
    for from in (0..messages).step_by(1000) {
        ledger.append(&(from..from + 1000).map(ledger_row).collect::<Vec<_>>()).expect("rows are encoded");
    }
    ledger.flush().expect("the ledger is written");
    let (seconds, megabytes) = (cpu_seconds() - begun, ledger.encoded_bytes() as f64 / 1e6);
    println!("ledger of {messages} messages: {seconds:.2} CPU seconds, {megabytes:.1} MB");
}

/// Many files that fill at the same pace, as those of many lanes do: what the process holds then beyond the pool.
fn many_files(spool: &Spool, pool: &[RecordBatch], compression: Compression) {
    let before = resident_megabytes();
    let spec = FileSpec { schema: schema(), compression, row_group_bytes: ROW_GROUP_BYTES };
    let mut files: Vec<OpenFile> = (0..FILES).map(|_| OpenFile::create(spool, spec.clone()).expect("a file")).collect();
    for rows in pool.iter().cycle().take(40_000 / pool[0].num_rows()) {
        for file in &mut files {
            file.append(rows.clone()).expect("rows are encoded");
        }
    }
    let held: u64 = files.iter().map(OpenFile::memory_bytes).sum();
    let (held, resident) = (held as f64 / 1e6, resident_megabytes() - before);
    println!("{FILES} files of 40000 rows, {compression:?}: {held:.1} MB held, {resident:.1} MB resident");
}

fn resident_megabytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("the process's figures");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its resident memory");
    line.trim().split(' ').next().and_then(|kilobytes| kilobytes.parse::<f64>().ok()).expect("a number") / 1e3
}

/// CPU time of this thread: what else the machine does does not count.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the scheduler's figures");
    text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).expect("a number") / 1e9
}

fn ledger_row(offset: i64) -> LedgerRow {
    let timestamp_us = Some(1_790_000_000_000_000 + offset * 1500);
    LedgerRow { offset, timestamp_us, outcome: Outcome::Rows, table: Some(0), rows: BOOKS as u32, code: None }
}

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mapped = [
        Field::new("record_id", DataType::Int64, false),
        text("branch"),
        text("book_id"),
        text("lang"),
        text("title"),
        text("author_name"),
        text("author_country"),
        text("genre"),
        Field::new("price", DataType::Decimal128(10, 2), true),
        text("currency"),
        Field::new("publication_year", DataType::Int32, true),
        Field::new("added", time, true),
    ];
    Arc::new(Schema::new(mapped.into_iter().chain(Lineage::default().fields()).collect::<Vec<_>>()))
}

/// Rows of the library messages from the one of row `first` on.
fn batch(first: usize, rows: usize) -> RecordBatch {
    let last_date = "2026-10-28".parse().expect("a date");
    let library =
        Library { seed: 1, books: BOOKS, broken: 0.0, resent: 0.0, changed: 0.0, repeated: REPEATED, last_date };
    let messages = first as u64 / BOOKS..(first + rows) as u64 / BOOKS;
    let books: Vec<Book> = messages.flat_map(|number| library.message(number).rows).collect();
    let text = |of: fn(&Book) -> &String| Arc::new(books.iter().map(|book| Some(of(book))).collect::<StringArray>());
    let number = |book: &Book| book.record_id.parse::<i64>().expect("a number");
    let price = |book: &Book| book.price.replace('.', "").parse::<i128>().expect("a price");
    let added = |book: &Book| book.added.parse::<jiff::Timestamp>().expect("a time").as_microsecond();
    let year = |book: &Book| book.publication_year.parse::<i32>().expect("a year");
    let prices: Decimal128Array = books.iter().map(|book| Some(price(book))).collect();
    let offset = |row: usize| ((first + row) as u64 / BOOKS) as i64;
    let times = |of: &dyn Fn(usize) -> i64| {
        Arc::new(TimestampMicrosecondArray::from_iter_values((0..books.len()).map(of)).with_timezone("UTC"))
    };
    let topic: DictionaryArray<Int32Type> = books.iter().map(|_| "library").collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(books.iter().map(number).collect::<Int64Array>()),
        text(|book| &book.branch),
        text(|book| &book.book_id),
        text(|book| &book.lang),
        text(|book| &book.title),
        text(|book| &book.author_name),
        text(|book| &book.author_country),
        text(|book| &book.genre),
        Arc::new(prices.with_precision_and_scale(10, 2).expect("prices fit")),
        text(|book| &book.currency),
        Arc::new(books.iter().map(year).collect::<Int32Array>()),
        times(&|row| added(&books[row])),
        Arc::new(topic),
        Arc::new(Int32Array::from(vec![0; books.len()])),
        Arc::new((0..books.len()).map(offset).collect::<Int64Array>()),
        times(&|row| 1_790_000_000_000_000 + offset(row) * 1500),
        Arc::new((0..books.len() as i32).map(|row| row % BOOKS as i32).collect::<Int32Array>()),
    ];
    RecordBatch::try_new(schema(), columns).expect("a batch")
}
