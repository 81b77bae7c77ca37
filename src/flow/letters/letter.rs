//! A row of quarantine as a message: Kafka Connect's headers for programs that know them, and ours with all of it.

use std::borrow::Cow;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::array::{PrimitiveArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Int32Type, Int64Type, TimestampMicrosecondType};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::fault::{Domain, Fault};
use crate::model::mapping::LINEAGE;
use crate::model::offset::TopicPartition;
use crate::model::violation::shortened;

/// Name and value of a header; the value may be null.
pub type Header<'a> = (Cow<'a, str>, Option<Cow<'a, [u8]>>);

/// A message for a dead-letter topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter<'a> {
    /// `topic:partition:offset`, the topic as the lake calls it: the same for every repeat, and for no other message.
    pub key: String,
    /// The payload; empty when it is not in quarantine, or left out here. Never null: that would be a deletion.
    pub value: &'a [u8],
    /// First those of the message, then Kafka Connect's, then ours.
    pub headers: Vec<Header<'a>>,
}

impl Letter<'_> {
    /// About as many bytes as it takes.
    pub fn bytes(&self) -> usize {
        let header = |(name, value): &Header<'_>| name.len() + value.as_ref().map_or(0, |value| value.len());
        self.key.len() + self.value.len() + self.headers.iter().map(header).sum::<usize>()
    }
}

/// How much of a message its letter carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All that is in quarantine.
    Whole,
    /// Without the payload, which is too large for the topic.
    NoPayload,
    /// Without anything else that may be long either: no headers and no key of the message, and of its violations the
    /// first, shortened.
    Bare,
}

/// Header of a bare letter, and what it says is left out.
const LEFT_OUT: (&str, &str) = ("forebay.left_out", "headers,key,violations");

/// What the letters of a file have in common.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The consumer group, which Kafka Connect would call the connector.
    pub group: &'a str,
    /// The table.
    pub table: &'a str,
}

/// Some rows of a quarantine file.
pub struct Rows<'a> {
    topic: StringArray,
    partition: &'a Int32Array,
    offset: &'a Int64Array,
    timestamp: &'a PrimitiveArray<TimestampMicrosecondType>,
    key: &'a BinaryArray,
    headers: &'a ListArray,
    payload: &'a BinaryArray,
    /// Files that were written before there was one have none.
    sha256: Option<&'a StringArray>,
    violations: &'a ListArray,
    mapping: &'a StringArray,
    mapping_version: &'a Int32Array,
    quarantined_at: &'a PrimitiveArray<TimestampMicrosecondType>,
}

impl<'a> Rows<'a> {
    /// The rows of a batch that was read from quarantine.
    ///
    /// # Errors
    ///
    /// When a column is missing or of another type.
    pub fn of(batch: &'a RecordBatch) -> Result<Self, Fault> {
        let topic = cast(column(batch, LINEAGE[0])?, &DataType::Utf8).map_err(|_| strange(LINEAGE[0]))?;
        Ok(Self {
            topic: topic.as_string_opt().ok_or_else(|| strange(LINEAGE[0]))?.clone(),
            partition: primitive::<Int32Type>(batch, LINEAGE[1])?,
            offset: primitive::<Int64Type>(batch, LINEAGE[2])?,
            timestamp: primitive(batch, LINEAGE[3])?,
            key: binary(batch, "kafka_key")?,
            headers: list(batch, "kafka_headers")?,
            payload: binary(batch, "payload")?,
            sha256: batch.column_by_name("payload_sha256").and_then(|column| column.as_string_opt()),
            violations: list(batch, "violations")?,
            mapping: text(column(batch, "mapping")?, "mapping")?,
            mapping_version: primitive::<Int32Type>(batch, "mapping_version")?,
            quarantined_at: primitive(batch, "quarantined_at")?,
        })
    }

    /// The letter of a row.
    ///
    /// # Errors
    ///
    /// When a column inside the row is not as it should be.
    pub fn letter(&'a self, row: usize, sender: Sender<'_>, extent: Extent) -> Result<Letter<'a>, Fault> {
        let source = TopicPartition::new(self.topic.value(row), self.partition.value(row));
        let (in_kafka, offset) = (source.in_kafka(), self.offset.value(row));
        let is_bare = extent == Extent::Bare;
        let mut violations = Violations::of(&self.violations.value(row))?;
        let mut headers = Headers(Vec::new());
        if is_bare {
            violations.cut();
        } else {
            self.original_headers(row, &mut headers)?;
        }
        headers.text("__connect.errors.topic", &*in_kafka.topic);
        headers.text("__connect.errors.partition", in_kafka.partition.to_string());
        headers.text("__connect.errors.offset", offset.to_string());
        headers.text("__connect.errors.connector.name", sender.group);
        headers.text("__connect.errors.task.id", in_kafka.partition.to_string());
        headers.text("__connect.errors.stage", "VALUE_CONVERTER");
        let mapping = self.mapping.is_valid(row).then(|| self.mapping.value(row));
        headers.text("__connect.errors.class.name", mapping.unwrap_or("forebay"));
        headers.text("__connect.errors.exception.class.name", violations.first("code"));
        headers.text("__connect.errors.exception.message", violations.first("message"));
        headers.text("__connect.errors.exception.stacktrace", violations.lines());
        headers.text("forebay.table", sender.table);
        headers.text("forebay.violations", violations.0.to_string());
        if let Some(mapping) = mapping {
            headers.text("forebay.mapping", mapping);
            headers.text("forebay.mapping_version", self.mapping_version.value(row).to_string());
        }
        headers.text("forebay.quarantined_at", time(self.quarantined_at.value(row)));
        if self.timestamp.is_valid(row) {
            headers.text("forebay.kafka_timestamp", time(self.timestamp.value(row)));
        }
        if is_bare {
            headers.text(LEFT_OUT.0, LEFT_OUT.1);
        } else if self.key.is_valid(row) {
            headers.0.push(("forebay.kafka_key".into(), Some(self.key.value(row).into())));
        }
        let payload = self.payload.is_valid(row).then(|| self.payload.value(row));
        let digest = self.sha256.filter(|digests| digests.is_valid(row)).map(|digests| digests.value(row));
        if let Some(digest) = digest {
            headers.text("forebay.payload_sha256", digest);
        }
        headers.text(
            "forebay.payload",
            match (payload, digest) {
                (Some(_), _) if extent != Extent::Whole => "too-large",
                (Some(_), _) => "keep",
                (None, Some(_)) => "digest",
                (None, None) => "none",
            },
        );
        let value = payload.filter(|_| extent == Extent::Whole).unwrap_or_default();
        Ok(Letter { key: format!("{source}:{offset}"), value, headers: headers.0 })
    }

    fn original_headers(&self, row: usize, headers: &mut Headers<'a>) -> Result<(), Fault> {
        let wrong = || strange("kafka_headers");
        let all = self.headers.value(row);
        let all = all.as_struct_opt().ok_or_else(wrong)?;
        let names = all.column_by_name("name").and_then(|names| names.as_string_opt::<i32>()).ok_or_else(wrong)?;
        let values = all.column_by_name("value").and_then(|values| values.as_binary_opt::<i32>()).ok_or_else(wrong)?;
        for (name, value) in names.iter().zip(values) {
            let value = value.map(|value| value.to_vec().into());
            headers.0.push((name.unwrap_or_default().to_owned().into(), value));
        }
        Ok(())
    }
}

struct Headers<'a>(Vec<Header<'a>>);

impl Headers<'_> {
    fn text(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push((name.into(), Some(value.into().into_bytes().into())));
    }
}

/// The violations of one message, as an array of objects.
struct Violations(Value);

impl Violations {
    fn of(list: &ArrayRef) -> Result<Self, Fault> {
        let wrong = || strange("violations");
        let all: &StructArray = list.as_struct_opt().ok_or_else(wrong)?;
        let find = |name: &str| all.column_by_name(name).ok_or_else(wrong);
        let texts = |name: &'static str| text(find(name)?, name);
        let (codes, columns, paths) = (texts("code")?, texts("column")?, texts("path")?);
        let (values, messages) = (texts("value")?, texts("message")?);
        let lines = find("line")?.as_primitive_opt::<Int32Type>().ok_or_else(wrong)?;
        let bytes = find("byte_offset")?.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
        let told = |texts: &StringArray, at: usize| texts.is_valid(at).then(|| texts.value(at).to_owned());
        let violation = |at: usize| {
            json!({
                "code": told(codes, at),
                "column": told(columns, at),
                "path": told(paths, at),
                "line": lines.is_valid(at).then(|| lines.value(at)),
                "byte_offset": bytes.is_valid(at).then(|| bytes.value(at)),
                "value": told(values, at),
                "message": told(messages, at),
            })
        };
        Ok(Self((0..all.len()).map(violation).collect()))
    }

    /// Leaves the first, shortened.
    fn cut(&mut self) {
        let Some(all) = self.0.as_array_mut() else { return };
        all.truncate(1);
        for text in all.iter_mut().filter_map(Value::as_object_mut).flat_map(|violation| violation.values_mut()) {
            if let Value::String(long) = text {
                *long = shortened(long);
            }
        }
    }

    fn first(&self, member: &str) -> &str {
        self.0[0][member].as_str().unwrap_or_default()
    }

    /// One a line: code, place, sentence.
    fn lines(&self) -> String {
        let line = |violation: &Value| {
            let text = |member: &str| violation[member].as_str().unwrap_or_default().to_owned();
            let line = violation["line"].as_i64().map_or_else(String::new, |line| format!(" line {line}"));
            format!("{} at {}{line}: {}", text("code"), text("path"), text("message"))
        };
        self.0.as_array().into_iter().flatten().map(line).collect::<Vec<_>>().join("\n")
    }
}

fn time(microseconds: i64) -> String {
    Timestamp::from_microsecond(microseconds).map_or_else(|_| microseconds.to_string(), |time| time.to_string())
}

fn strange(column: &str) -> Fault {
    let message = format!("a quarantine file has no column {column} as forebay writes it; restore it from a backup");
    Fault { domain: Domain::External, ..Fault::halt("letters.strange-file", message) }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, Fault> {
    batch.column_by_name(name).ok_or_else(|| strange(name))
}

fn text<'a>(column: &'a ArrayRef, name: &str) -> Result<&'a StringArray, Fault> {
    column.as_string_opt().ok_or_else(|| strange(name))
}

fn binary<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a BinaryArray, Fault> {
    column(batch, name)?.as_binary_opt().ok_or_else(|| strange(name))
}

fn list<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ListArray, Fault> {
    column(batch, name)?.as_list_opt().ok_or_else(|| strange(name))
}

fn primitive<'a, T: ArrowPrimitiveType>(batch: &'a RecordBatch, name: &str) -> Result<&'a PrimitiveArray<T>, Fault> {
    column(batch, name)?.as_primitive_opt().ok_or_else(|| strange(name))
}
