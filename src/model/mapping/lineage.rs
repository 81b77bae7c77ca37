//! The columns that Forebay adds to those of a mapping.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

/// Names of the columns that Forebay adds to RAW and Processed, in this order, after the mapped ones, unless the table
/// gives them others.
pub const LINEAGE: [&str; 5] = ["kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp", "row_index"];

/// Names of the columns that a child table has besides, in this order: which one it is among its siblings in the row of
/// the topmost table (from 0, all parents counted together, so that message, `row_index` and `ordinal` name one row),
/// and, below another child table, the `ordinal` of its parent.
pub const CHILD_LINEAGE: [&str; 2] = ["ordinal", "parent_ordinal"];

/// Names of the columns that a table has on request, in this order, after the others of Forebay.
pub const ON_REQUEST: [&str; 2] = ["kafka_key", "kafka_headers"];

/// The columns that Forebay adds to a table and to its child tables, by the names they have there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// Those of every table, in the order of [`LINEAGE`].
    pub names: [Arc<str>; 5],
    /// Those of child tables, in the order of [`CHILD_LINEAGE`].
    pub child_names: [Arc<str>; 2],
    /// The key of the message; none: the table does not have it.
    pub key: Option<Arc<str>>,
    /// The headers of the message; none: the table does not have them.
    pub headers: Option<Arc<str>>,
}

impl Default for Lineage {
    fn default() -> Self {
        Self { names: LINEAGE.map(Arc::from), child_names: CHILD_LINEAGE.map(Arc::from), key: None, headers: None }
    }
}

impl Lineage {
    /// The columns of a table as Arrow fields. The topic is dictionary-encoded in memory and plain text in files.
    pub fn fields(&self) -> Vec<Field> {
        let topic = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let [topic_name, partition, offset, time, row_index] = self.names.each_ref().map(|name| name.to_string());
        let mut fields = vec![
            Field::new(topic_name, topic, false),
            Field::new(partition, DataType::Int32, false),
            Field::new(offset, DataType::Int64, false),
            Field::new(time, timestamp, true),
            Field::new(row_index, DataType::Int32, false),
        ];
        fields.extend(self.key.as_ref().map(|name| Field::new(name.to_string(), DataType::Binary, true)));
        fields.extend(self.headers.as_ref().map(|name| Field::new(name.to_string(), headers(), true)));
        fields
    }

    /// The columns of a child table; `is_nested`: its parent is one too. What comes on request is in the topmost table
    /// alone.
    pub fn child_fields(&self, is_nested: bool) -> Vec<Field> {
        let plain = Self { key: None, headers: None, ..self.clone() };
        let ordinals = self.child_names.iter().take(if is_nested { 2 } else { 1 });
        let ordinals = ordinals.map(|name| Field::new(name.to_string(), DataType::Int32, false));
        plain.fields().into_iter().chain(ordinals).collect()
    }

    /// The names of a table's columns.
    pub fn all_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().chain(&self.key).chain(&self.headers).map(|name| &**name)
    }

    /// The names of a child table's columns.
    pub fn all_child_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().chain(&self.child_names).map(|name| &**name)
    }
}

/// Headers of a message: a list of names and values, in the order they came, in RAW as in quarantine.
pub fn headers() -> DataType {
    DataType::List(Arc::new(header_item()))
}

/// One of them, by the name that Parquet gives to the member of a list.
pub fn header_item() -> Field {
    Field::new("element", DataType::Struct(header_fields()), false)
}

/// Its parts.
pub fn header_fields() -> Fields {
    vec![Field::new("name", DataType::Utf8, false), Field::new("value", DataType::Binary, true)].into()
}
