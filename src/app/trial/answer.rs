//! What became of one message, and the same as a line of JSON.

use std::io::{self, Write};
use std::ops::Range;

use arrow::record_batch::RecordBatch;
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::app::cells;
use crate::model::batch::Outcome;
use crate::model::mapping::Mapping;
use crate::model::violation::Violation;

/// A table as it is shown: without the columns that say where in Kafka a message was, for it was nowhere there.
#[derive(Debug)]
pub(super) struct Layout {
    /// Name of a child table; none: the table of the mapping.
    pub(super) child: Option<String>,
    /// The columns of a row.
    pub(super) columns: Vec<ShownColumn>,
    /// Those before them that say which row it is.
    pub(super) places: Vec<ShownColumn>,
}

/// A column of the table in RAW.
#[derive(Debug)]
pub(super) struct ShownColumn {
    pub(super) name: String,
    pub(super) index: usize,
    pub(super) is_number: bool,
}

impl Layout {
    /// The table of a mapping, then its child tables.
    pub(super) fn of(mapping: &Mapping) -> Vec<Self> {
        let lineage = &mapping.lineage;
        let row_index = &*lineage.names[4];
        let layout = |child: Option<&str>, schema: &arrow::datatypes::Schema, places: &[&str]| {
            let column = |(index, field): (usize, &arrow::datatypes::FieldRef)| ShownColumn {
                name: field.name().clone(),
                index,
                is_number: field.data_type().is_numeric(),
            };
            let all = || schema.fields().iter().enumerate();
            let of_kafka = |name: &str| lineage.names.iter().any(|known| **known == *name);
            let is_place = |name: &str| places.contains(&name);
            let is_value = |name: &str| !of_kafka(name) && !is_place(name);
            Self {
                child: child.map(str::to_owned),
                columns: all().filter(|(_, field)| is_value(field.name())).map(column).collect(),
                places: all().filter(|(_, field)| is_place(field.name())).map(column).collect(),
            }
        };
        let mut layouts = vec![layout(None, &mapping.raw_schema(), &[row_index])];
        for (child, depth) in mapping.descendants() {
            let [ordinal, parent_ordinal] = lineage.child_names.each_ref().map(|name| &**name);
            let schema = child.raw_schema(depth > 1, lineage);
            layouts.push(layout(Some(&child.name), &schema, &[row_index, ordinal, parent_ordinal]));
        }
        layouts
    }
}

/// What became of one message.
pub(super) struct Answer<'a> {
    /// The input as it was named.
    pub(super) input: &'a str,
    /// The line of the input that it is; none when it is all of it.
    pub(super) line: Option<u64>,
    pub(super) outcome: Outcome,
    /// The table of the mapping, then its child tables; none where there is no mapping.
    pub(super) tables: Vec<AnswerTable<'a>>,
    pub(super) violations: &'a [Violation],
    /// Its bytes; none when it was too long to be kept.
    pub(super) payload: &'a [u8],
}

/// The rows of one table.
pub(super) struct AnswerTable<'a> {
    pub(super) layout: &'a Layout,
    /// Rows of batches, in their order.
    pub(super) rows: Vec<(&'a RecordBatch, Range<usize>)>,
}

impl<'a> AnswerTable<'a> {
    /// How many rows.
    pub(super) fn len(&self) -> usize {
        self.rows.iter().map(|(_, rows)| rows.len()).sum()
    }

    /// Each row.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'a RecordBatch, usize)> {
        self.rows.iter().flat_map(|(batch, rows)| rows.clone().map(move |row| (*batch, row)))
    }
}

impl Answer<'_> {
    /// The answer as one line of JSON.
    ///
    /// # Errors
    ///
    /// What `out` says.
    pub(super) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }
}

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Answer", 5)?;
        object.serialize_field("input", self.input)?;
        object.serialize_field("outcome", self.outcome.name())?;
        object.serialize_field("rows", &Rows(self.tables.first()))?;
        object.serialize_field("children", &Children(self))?;
        object.serialize_field("violations", self.violations)?;
        object.end()
    }
}

/// The child tables by name; none of a message without rows.
struct Children<'a>(&'a Answer<'a>);

impl Serialize for Children<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_quarantined = self.0.outcome == Outcome::Quarantined;
        let tables = self.0.tables.iter().filter(|_| !is_quarantined);
        serializer.collect_map(tables.filter_map(|table| Some((table.layout.child.as_ref()?, Rows(Some(table))))))
    }
}

/// The rows of a table as a list.
struct Rows<'a>(Option<&'a AnswerTable<'a>>);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.0.into_iter().flat_map(|table| table.each().map(|(batch, row)| (table.layout, batch, row)));
        serializer.collect_seq(rows.map(|(layout, batch, row)| Row { layout, batch, row }))
    }
}

/// A row as an object, its members in the order of the columns. A child row begins with its place.
struct Row<'a> {
    layout: &'a Layout,
    batch: &'a RecordBatch,
    row: usize,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let places = self.layout.places.iter().filter(|_| self.layout.child.is_some());
        let value = |column: &ShownColumn| cells::json(self.batch.column(column.index).as_ref(), self.row);
        serializer.collect_map(places.chain(&self.layout.columns).map(|column| (&column.name, value(column))))
    }
}
