//! Rows of quarantine as the messages they were.

use std::ops::Range;

use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, ListArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use super::select::{column, unfit};
use crate::fault::Fault;
use crate::lake::parquet_reader::ParquetFile;
use crate::model::batch::{Piece, RawBatch, RawMessage, Span};
use crate::model::budget::MemoryBudget;
use crate::model::mapping::LINEAGE;
use crate::model::offset::{OffsetRange, TopicPartition};

/// Bytes of the rows that are read at once, about.
const SLICE_BYTES: u64 = 2 << 20;
/// Most rows that are read at once.
const SLICE_ROWS: u64 = 1024;

/// How many rows of a quarantine file are read at once: small messages many, great ones one by one.
pub(super) fn slice_rows(file: &ParquetFile) -> usize {
    usize::try_from((SLICE_BYTES / file.decoded_row_bytes().max(1)).clamp(1, SLICE_ROWS)).unwrap_or(1)
}

/// Messages of a quarantine file.
pub(super) struct Messages {
    /// As a reader of Kafka would hand them over.
    pub(super) raw: RawBatch,
    /// For each message its row.
    pub(super) rows: Vec<usize>,
    /// Offsets of messages that are meant and whose payload was not kept.
    pub(super) redacted: Vec<i64>,
}

/// The messages in the rows that `wanted` says; none when there are none with a payload.
pub(super) fn messages(
    source: &TopicPartition,
    rows: &RecordBatch,
    wanted: &BooleanArray,
    budget: &MemoryBudget,
) -> Result<Messages, Fault> {
    let offsets = column(rows, LINEAGE[2])?.as_primitive_opt::<Int64Type>().ok_or_else(|| unfit(LINEAGE[2]))?;
    let times = column(rows, LINEAGE[3])?.as_primitive_opt::<TimestampMicrosecondType>();
    let times = times.ok_or_else(|| unfit(LINEAGE[3]))?;
    let binary = |name: &str| column(rows, name)?.as_binary_opt::<i32>().ok_or_else(|| unfit(name));
    let (keys, payloads) = (binary("kafka_key")?, binary("payload")?);
    let headers = column(rows, "kafka_headers")?.as_list_opt::<i32>().ok_or_else(|| unfit("kafka_headers"))?;
    let mut bytes = Buffer::default();
    let (mut messages, mut found, mut redacted) = (Vec::new(), Vec::new(), Vec::new());
    for row in (0..rows.num_rows()).filter(|row| wanted.value(*row)) {
        let offset = offsets.value(row);
        let Some(payload) = bytes.add_value(payloads, row)? else {
            redacted.push(offset);
            continue;
        };
        messages.push(RawMessage {
            offset,
            timestamp_us: times.is_valid(row).then(|| times.value(row)),
            key: bytes.add_value(keys, row)?,
            payload: Some(payload),
            headers: bytes.add_headers(headers, row)?,
        });
        found.push(row);
    }
    let (from, to) =
        (messages.first().map_or(0, |first| first.offset), messages.last().map_or(0, |last| last.offset + 1));
    let range = OffsetRange::new(from, to).ok_or_else(|| {
        Fault::halt("requeue.order", format!("a quarantine file of {source} is out of order; see `forebay audit`"))
    })?;
    let permit = budget.take(bytes.0.len() as u64);
    let source = source.clone();
    let raw = RawBatch {
        source,
        generation: 0,
        seq: 0,
        range,
        bytes: bytes.0,
        messages,
        permit,
        piece: Piece::WHOLE,
        slot: None,
    };
    Ok(Messages { raw, rows: found, redacted })
}

/// The bytes of a batch.
#[derive(Default)]
struct Buffer(Vec<u8>);

impl Buffer {
    fn add(&mut self, piece: &[u8]) -> Result<Span, Fault> {
        let place = |at: usize| {
            u32::try_from(at)
                .map_err(|_| Fault::halt("requeue.too-large", "quarantined messages of more than 4 GiB at once"))
        };
        let from = place(self.0.len())?;
        self.0.extend_from_slice(piece);
        Ok(Range { start: from, end: place(self.0.len())? })
    }

    fn add_value(&mut self, values: &BinaryArray, row: usize) -> Result<Option<Span>, Fault> {
        values.is_valid(row).then(|| self.add(values.value(row))).transpose()
    }

    fn add_headers(&mut self, headers: &ListArray, row: usize) -> Result<Vec<(Span, Option<Span>)>, Fault> {
        let of_row = headers.value(row);
        let part = |name: &str| of_row.as_struct_opt().and_then(|members| members.column_by_name(name));
        let names =
            part("name").and_then(|names| names.as_string_opt::<i32>()).ok_or_else(|| unfit("kafka_headers"))?;
        let values =
            part("value").and_then(|values| values.as_binary_opt::<i32>()).ok_or_else(|| unfit("kafka_headers"))?;
        (0..names.len())
            .map(|header| Ok((self.add(names.value(header).as_bytes())?, self.add_value(values, header)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::ArrayRef;

    use super::*;
    use crate::flow::buffer::file::{FileSpec, OpenFile};
    use crate::flow::spool::Spool;
    use crate::model::table::Compression;
    use crate::storage::local::LocalStorage;
    use crate::storage::{Content, LakePath, Storage};

    #[test]
    fn one_payload_that_came_many_times_is_read_as_so_many() {
        let dir = tempfile::tempdir().unwrap();
        let (root, spool) = (dir.path().join("lake"), dir.path().join("spool"));
        std::fs::create_dir(&root).unwrap();
        let spool = Spool::open(&spool, 1 << 30).unwrap();
        let storage: Arc<dyn Storage> = Arc::new(LocalStorage::open(&root).unwrap());
        let payloads: ArrayRef = Arc::new(BinaryArray::from_iter_values(vec![[b'x'; 10_000]; 300]));
        let few: ArrayRef = Arc::new(BinaryArray::from_iter_values(vec![*b"<x/>"; 300]));
        let rows = |column: &ArrayRef| RecordBatch::try_from_iter([("payload", Arc::clone(column))]).unwrap();
        let spec =
            FileSpec { schema: rows(&few).schema(), compression: Compression::Zstd(1), row_group_bytes: 1 << 20 };
        let mut file = OpenFile::create(&spool, spec).unwrap();
        // In the file it stands once, beside a row group of small ones.
        file.append(rows(&payloads)).unwrap();
        file.flush().unwrap();
        (0..10).for_each(|_| file.append(rows(&few)).unwrap());
        let file = file.finish(&[]).unwrap();
        assert!(file.bytes() < 50_000);
        let path = LakePath::root().join("a.parquet");
        storage.create(&path, Content::Bytes(&std::fs::read(file.path()).unwrap())).unwrap();
        let file = ParquetFile::open(storage, path, file.bytes()).unwrap();
        assert!((1..=209).contains(&slice_rows(&file)), "{}", slice_rows(&file));
    }
}
