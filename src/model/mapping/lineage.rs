//! The columns that Forebay adds to those of a mapping.

use arrow::datatypes::{DataType, Field, TimeUnit};

/// Names of the columns that Forebay adds to RAW and Processed, in this order, after the mapped ones.
pub const LINEAGE: [&str; 5] = ["kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp", "row_index"];

/// Names of the columns that a child table has besides, in this order: which one it is among its siblings in the row of
/// the topmost table (from 0, all parents counted together, so that message, `row_index` and `ordinal` name one row),
/// and, below another child table, the `ordinal` of its parent.
pub const CHILD_LINEAGE: [&str; 2] = ["ordinal", "parent_ordinal"];

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

/// The lineage columns of a child table; `is_nested`: its parent is one too.
pub fn child_lineage_fields(is_nested: bool) -> Vec<Field> {
    let ordinals = CHILD_LINEAGE.iter().take(if is_nested { 2 } else { 1 });
    let ordinals = ordinals.map(|name| Field::new(*name, DataType::Int32, false));
    lineage_fields().into_iter().chain(ordinals).collect()
}
