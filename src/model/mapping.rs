//! A mapping: how one message type becomes rows. Plain data, as read from the mapping file and already checked;
//! the parser compiles it into its state machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// One message type and the columns of its table.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// Name for people and for quarantine rows: the file's name.
    pub name: String,
    /// Version from the file.
    pub version: u32,
    /// Expected root element.
    pub root: Option<Name>,
    /// Steps from the root element to the row element; empty: the root is the row.
    pub rows: Vec<Name>,
    /// What happens to a message with a bad row.
    pub on_bad_message: OnBadMessage,
    /// What happens to a row with a bad field.
    pub on_bad_field: OnBadField,
    /// Bounds on a message.
    pub limits: Limits,
    /// Prefixes of the mapping file, each with the URI it stands for.
    pub namespaces: BTreeMap<String, String>,
    /// The columns, in the order of the table.
    pub columns: Vec<Column>,
}

/// Name of an element or attribute by namespace URI.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Namespace URI; none for a name in no namespace.
    pub namespace: Option<Arc<str>>,
    /// Local name.
    pub local: Arc<str>,
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Name in the table.
    pub name: String,
    /// Where its value is.
    pub path: Path,
    /// Its type.
    pub kind: Kind,
    /// Whether a message without it is a violation.
    pub required: bool,
    /// White space at the ends of the value.
    pub trim: Trim,
}

/// Where a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// Whether the steps begin at the root element (a leading `/`) and not at the row.
    pub from_root: bool,
    /// Elements to go down; empty: the row (or root) element itself.
    pub steps: Vec<Name>,
    /// What of that element.
    pub take: Take,
}

/// What of an element is the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Take {
    /// Its own text, without that of its children.
    Text,
    /// All text in it, that of its descendants too: `string()`.
    AllText,
    /// An attribute.
    Attribute(Name),
}

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    String,
    /// `true`, `false`, `1`, `0`.
    Bool,
    /// Signed whole numbers.
    Int8,
    /// Signed whole numbers.
    Int16,
    /// Signed whole numbers.
    Int32,
    /// Signed whole numbers.
    Int64,
    /// IEEE 754, single precision.
    Float32,
    /// IEEE 754, double precision.
    Float64,
    /// Exact decimal of a precision (1 to 38 digits) and a scale.
    Decimal(u8, i8),
    /// Calendar date.
    Date,
    /// Instant in microseconds, UTC.
    Timestamp,
}

impl Kind {
    /// The Arrow type of the column.
    pub fn data_type(self) -> DataType {
        match self {
            Self::String => DataType::Utf8,
            Self::Bool => DataType::Boolean,
            Self::Int8 => DataType::Int8,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal(precision, scale) => DataType::Decimal128(precision, scale),
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}

/// White space at the ends of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trim {
    /// Kept.
    None,
    /// Removed at both ends.
    Both,
    /// Removed at both ends, and inner runs become one blank.
    Collapse,
}

/// Bounds on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Payload bytes.
    pub bytes: u64,
    /// Nesting of elements; the root is 1.
    pub depth: u32,
    /// Attributes of one element.
    pub attributes: u32,
    /// Rows of one message.
    pub rows: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 10 << 20, depth: 256, attributes: 4096, rows: 100_000 }
    }
}

/// What happens to a message with a bad row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBadMessage {
    /// The whole message goes to quarantine.
    Quarantine,
    /// Good rows are kept; the message is in quarantine besides (`partial`).
    KeepGoodRows,
}

/// What happens to a row with a bad field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBadField {
    /// The field spoils its row.
    Quarantine,
    /// The field becomes null, the row is kept, the violation reported.
    Null,
}

/// Names of the columns that Forebay adds to RAW and Processed, in this order, after the mapped ones.
pub const LINEAGE: [&str; 5] = ["kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp", "row_index"];

impl Mapping {
    /// Schema of the table in RAW: the mapped columns, then the lineage.
    pub fn raw_schema(&self) -> SchemaRef {
        let mapped =
            self.columns.iter().map(|column| Field::new(&column.name, column.kind.data_type(), !column.required));
        Arc::new(Schema::new(mapped.chain(lineage_fields()).collect::<Vec<_>>()))
    }
}

/// The lineage columns as Arrow fields. The topic is dictionary-encoded in memory and plain text in files.
pub fn lineage_fields() -> [Field; 5] {
    let topic = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    [
        Field::new(LINEAGE[0], topic, false),
        Field::new(LINEAGE[1], DataType::Int32, false),
        Field::new(LINEAGE[2], DataType::Int64, false),
        Field::new(LINEAGE[3], timestamp, true),
        Field::new(LINEAGE[4], DataType::Int32, false),
    ]
}
