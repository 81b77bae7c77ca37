//! Dead letters as rows of the quarantine zone: the message as it came, with every violation.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BinaryBuilder, Int32Builder, Int64Builder, ListArray, RecordBatch, StringBuilder,
    StringDictionaryBuilder, StructArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::fault::Fault;
use crate::flow::headers::HeaderColumn;
use crate::model::batch::{DeadLetter, RawBatch, RawMessage};
use crate::model::mapping::{LINEAGE, Mapping, headers};
use crate::model::table::PayloadKept;

/// Payload bytes that are copied into one batch of rows; a single larger message is a batch of its own.
const SLICE_BYTES: usize = 1 << 20;

/// The columns of a quarantine file, the same for every table and whatever is kept of payloads.
pub fn quarantine_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let topic = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        Arc::new(Schema::new(vec![
            Field::new(LINEAGE[0], topic, false),
            Field::new(LINEAGE[1], DataType::Int32, false),
            Field::new(LINEAGE[2], DataType::Int64, false),
            Field::new(LINEAGE[3], timestamp(), true),
            Field::new("kafka_key", DataType::Binary, true),
            Field::new("kafka_headers", headers(), false),
            Field::new("payload", DataType::Binary, true),
            Field::new("payload_sha256", DataType::Utf8, true),
            Field::new("violations", DataType::List(Arc::new(violation_item())), false),
            Field::new("mapping", DataType::Utf8, true),
            Field::new("mapping_version", DataType::Int32, true),
            Field::new("quarantined_at", timestamp(), false),
        ]))
    });
    Arc::clone(&SCHEMA)
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn violation_item() -> Field {
    // The name that Parquet gives to the member of a list.
    Field::new("element", DataType::Struct(violation_fields()), false)
}

fn violation_fields() -> Fields {
    vec![
        Field::new("code", DataType::Utf8, false),
        Field::new("column", DataType::Utf8, true),
        Field::new("path", DataType::Utf8, true),
        Field::new("line", DataType::Int32, true),
        Field::new("byte_offset", DataType::Int64, true),
        Field::new("value", DataType::Utf8, true),
        Field::new("message", DataType::Utf8, false),
    ]
    .into()
}

/// The rows of some dead letters of one batch and one table, in slices of about 1 MiB of payload, so that copying
/// them never doubles a batch in memory.
///
/// `mapping` is the one they were read with; none where no table takes them. Of the payload `kept` goes in; key and
/// headers always do.
///
/// # Errors
///
/// An internal fault when a dead letter points outside its batch.
pub fn quarantine_rows<'a>(
    raw: &'a RawBatch,
    letters: &'a [&'a DeadLetter],
    mapping: Option<&'a Mapping>,
    kept: PayloadKept,
    now: Timestamp,
) -> impl Iterator<Item = Result<RecordBatch, Fault>> + 'a {
    let mut rest = letters;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let mut take = 0;
        while take < rest.len() && (take == 0 || bytes < SLICE_BYTES) {
            bytes += raw.messages.get(rest[take].message as usize).map_or(0, payload_length);
            take += 1;
        }
        let (slice, after) = rest.split_at(take);
        rest = after;
        (!slice.is_empty()).then(|| build(raw, slice, mapping, kept, now))
    })
}

/// As engines write it: 64 hexadecimal digits, in small letters.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn payload_length(message: &RawMessage) -> usize {
    message.payload.as_ref().map_or(0, ExactSizeIterator::len)
}

fn build(
    raw: &RawBatch,
    letters: &[&DeadLetter],
    mapping: Option<&Mapping>,
    kept: PayloadKept,
    now: Timestamp,
) -> Result<RecordBatch, Fault> {
    let mut rows = Rows::new(mapping, now);
    for letter in letters {
        let message = raw.messages.get(letter.message as usize).ok_or_else(|| {
            Fault::internal(
                "buffer.dead-letter",
                format!("a dead letter of {} {} is not in its batch", raw.source, raw.range),
            )
        })?;
        rows.append(raw, message, letter, kept);
    }
    let batch = rows.finish().and_then(|columns| RecordBatch::try_new(quarantine_schema(), columns));
    batch.map_err(|error| Fault::internal("buffer.quarantine", format!("cannot build quarantine rows: {error}")))
}

/// One builder a column, in the order of [`quarantine_schema`].
struct Rows<'m> {
    of: Option<&'m Mapping>,
    now: Timestamp,
    topic: StringDictionaryBuilder<Int32Type>,
    partition: Int32Builder,
    offset: Int64Builder,
    timestamp: TimestampMicrosecondBuilder,
    key: BinaryBuilder,
    headers: HeaderColumn,
    payload: BinaryBuilder,
    payload_sha256: StringBuilder,
    violations: Violations,
    mapping: StringBuilder,
    mapping_version: Int32Builder,
    quarantined_at: TimestampMicrosecondBuilder,
}

impl<'m> Rows<'m> {
    fn new(of: Option<&'m Mapping>, now: Timestamp) -> Self {
        Self {
            of,
            now,
            topic: StringDictionaryBuilder::new(),
            partition: Int32Builder::new(),
            offset: Int64Builder::new(),
            timestamp: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            key: BinaryBuilder::new(),
            headers: HeaderColumn::default(),
            payload: BinaryBuilder::new(),
            payload_sha256: StringBuilder::new(),
            violations: Violations::default(),
            mapping: StringBuilder::new(),
            mapping_version: Int32Builder::new(),
            quarantined_at: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
        }
    }

    fn append(&mut self, raw: &RawBatch, message: &RawMessage, letter: &DeadLetter, kept: PayloadKept) {
        self.topic.append_value(&raw.source.topic);
        self.partition.append_value(raw.source.partition);
        self.offset.append_value(message.offset);
        self.timestamp.append_option(message.timestamp_us);
        self.key.append_option(message.key.as_ref().map(|span| raw.slice(span)));
        self.headers.append(raw, message);
        let payload = message.payload.as_ref().map(|span| raw.slice(span));
        self.payload.append_option(payload.filter(|_| kept == PayloadKept::Keep));
        self.payload_sha256.append_option(payload.filter(|_| kept == PayloadKept::Digest).map(sha256));
        self.violations.append(letter);
        self.mapping.append_option(self.of.map(|mapping| &mapping.name));
        self.mapping_version.append_option(self.of.map(|mapping| mapping.version.cast_signed()));
        self.quarantined_at.append_value(self.now.as_microsecond());
    }

    fn finish(mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        Ok(vec![
            Arc::new(self.topic.finish()),
            Arc::new(self.partition.finish()),
            Arc::new(self.offset.finish()),
            Arc::new(self.timestamp.finish()),
            Arc::new(self.key.finish()),
            self.headers.finish()?,
            Arc::new(self.payload.finish()),
            Arc::new(self.payload_sha256.finish()),
            self.violations.finish()?,
            Arc::new(self.mapping.finish()),
            Arc::new(self.mapping_version.finish()),
            Arc::new(self.quarantined_at.finish()),
        ])
    }
}

/// The violations of each message.
#[derive(Default)]
struct Violations {
    lengths: Vec<usize>,
    code: StringBuilder,
    column: StringBuilder,
    path: StringBuilder,
    line: Int32Builder,
    byte_offset: Int64Builder,
    value: StringBuilder,
    message: StringBuilder,
}

impl Violations {
    fn append(&mut self, letter: &DeadLetter) {
        self.lengths.push(letter.violations.len());
        for violation in &letter.violations {
            self.code.append_value(violation.code.name());
            self.column.append_option(violation.column.as_deref());
            self.path.append_option(violation.path.as_deref());
            self.line.append_option(violation.line.and_then(|line| i32::try_from(line).ok()));
            self.byte_offset.append_option(violation.byte_offset.and_then(|at| i64::try_from(at).ok()));
            self.value.append_option(violation.value.as_deref());
            self.message.append_value(&violation.message);
        }
    }

    fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.code.finish()),
            Arc::new(self.column.finish()),
            Arc::new(self.path.finish()),
            Arc::new(self.line.finish()),
            Arc::new(self.byte_offset.finish()),
            Arc::new(self.value.finish()),
            Arc::new(self.message.finish()),
        ];
        let members = StructArray::try_new(violation_fields(), columns, None)?;
        let offsets = OffsetBuffer::from_lengths(self.lengths);
        Ok(Arc::new(ListArray::try_new(Arc::new(violation_item()), offsets, Arc::new(members), None)?))
    }
}

#[cfg(test)]
mod tests;
