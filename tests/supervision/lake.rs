//! A reader of the lake that knows nothing of the code that wrote it: folders, file names and Parquet.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Every Parquet file below `dir`, in order of its path.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(dir) else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn batches(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

fn column(batch: &RecordBatch, name: &str, as_type: &DataType) -> ArrayRef {
    let column = batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
    cast(column, as_type).unwrap()
}

fn integers(batch: &RecordBatch, name: &str) -> Vec<i64> {
    column(batch, name, &DataType::Int64).as_primitive::<Int64Type>().values().to_vec()
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let column = column(batch, name, &DataType::Utf8);
    column.as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect()
}

fn times(batch: &RecordBatch, name: &str) -> Vec<Option<i64>> {
    let column = column(batch, name, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    column.as_primitive::<TimestampMicrosecondType>().iter().collect()
}

/// What the ledger says of one message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) outcome: String,
    pub(crate) code: Option<String>,
}

/// Every row of the ledger of `topic`, in order. The intervals of the file names must follow each other.
pub(crate) fn ledger(root: &Path, topic: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut ends = std::collections::BTreeMap::new();
    for path in files(&root.join("ledger").join(topic)) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let parts: Vec<&str> = name.split('+').collect();
        let (partition, from, to): (i32, i64, i64) =
            (parts[1].parse().unwrap(), parts[2].parse().unwrap(), parts[3].parse().unwrap());
        let end = ends.insert(partition, to).unwrap_or(from);
        assert_eq!(end, from, "a gap or an overlap before {}", path.display());
        for batch in batches(&path) {
            let offsets = integers(&batch, "kafka_offset");
            for ((offset, outcome), code) in
                offsets.into_iter().zip(texts(&batch, "outcome")).zip(texts(&batch, "code"))
            {
                entries.push(Entry { partition, offset, outcome: outcome.unwrap(), code });
            }
        }
    }
    entries.sort();
    entries
}

/// A row of `books`, in RAW or Processed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Book {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) row_index: i64,
    pub(crate) timestamp_us: Option<i64>,
    pub(crate) id: i64,
    pub(crate) title: String,
    /// The date of the folder in Processed, of the column in RAW.
    pub(crate) date: String,
}

/// Every row of every file of a zone of `books`, in order.
pub(crate) fn books(root: &Path, zone: &str) -> Vec<Book> {
    let mut books = Vec::new();
    for path in files(&root.join(zone).join("books")) {
        let folder = path.parent().unwrap().file_name().unwrap().to_str().unwrap().strip_prefix("dt=");
        for batch in batches(&path) {
            let (partitions, offsets) = (integers(&batch, "kafka_partition"), integers(&batch, "kafka_offset"));
            let (rows, ids, titles) =
                (integers(&batch, "row_index"), integers(&batch, "record_id"), texts(&batch, "title"));
            let (stamps, added) = (times(&batch, "kafka_timestamp"), times(&batch, "added"));
            for row in 0..batch.num_rows() {
                let day = jiff::Timestamp::from_microsecond(added[row].unwrap()).unwrap().to_string()[..10].to_owned();
                books.push(Book {
                    partition: i32::try_from(partitions[row]).unwrap(),
                    offset: offsets[row],
                    row_index: rows[row],
                    timestamp_us: stamps[row],
                    id: ids[row],
                    title: titles[row].clone().unwrap(),
                    date: folder.filter(|_| zone == "processed").map_or(day, str::to_owned),
                });
            }
        }
    }
    books.sort();
    books
}

/// Kafka partition, offset and payload of everything in quarantine, in order.
pub(crate) fn quarantine(root: &Path) -> Vec<(i32, i64, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    for path in files(&root.join("quarantine")) {
        for batch in batches(&path) {
            let payloads = column(&batch, "payload", &DataType::Binary);
            let payloads = payloads.as_binary::<i32>();
            let (partitions, offsets) = (integers(&batch, "kafka_partition"), integers(&batch, "kafka_offset"));
            for row in 0..batch.num_rows() {
                let payload = (!payloads.is_null(row)).then(|| payloads.value(row).to_vec());
                found.push((i32::try_from(partitions[row]).unwrap(), offsets[row], payload));
            }
        }
    }
    found.sort();
    found
}
