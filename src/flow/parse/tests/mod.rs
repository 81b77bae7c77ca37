//! The parser through its public face: batches in, rows and verdicts out.

mod carried;
mod drift_model;
mod elements;
mod groups;
mod neighbours;
mod nil;
mod paths;
mod pool;
mod properties;
mod repeats;
mod routes;
mod rows;
#[cfg(feature = "xsd")]
mod schema;
mod shapes;
mod strict;
mod taken_back;
mod taken_whole;
mod ubl;
mod unmapped;
mod verdicts;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, RecordBatch};
use arrow::util::display::array_value_to_string;

use super::{Parser, ParserTable};
use crate::model::batch::{ParsedBatch, Piece, RawBatch, RawMessage, Verdict};
use crate::model::budget::MemoryBudget;
use crate::model::mapping::{
    Column, Kind, Limits, Mapping, Name, OnBadField, OnBadMessage, Path, Precision, Take, Trim,
};
use crate::model::offset::{OffsetRange, TopicPartition};

pub(in crate::flow) const LIBRARY: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<library branch="L7">
  <book id="B000000042" lang="en">
    <record_id>42</record_id>
    <title>river stone &amp; winter glass</title>
    <author><name>Silent Harbour</name><country>India</country></author>
    <genre>forest</genre>
    <price currency="EUR">17.95</price>
    <publication_year>1987</publication_year>
    <added>2026-10-15T18:42:00Z</added>
  </book>
  <book id="B000000043" lang="de">
    <record_id>43</record_id>
    <title>Stein</title>
    <price currency="EUR">1</price>
    <added>2026-10-16T00:00:00.5+02:00</added>
  </book>
</library>
"#;

/// A name, with the URI before it in braces where it has one.
pub(in crate::flow) fn name(text: &str) -> Name {
    match text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((uri, local)) => Name { namespace: Some(uri.into()), local: local.into() },
        None => Name { namespace: None, local: text.into() },
    }
}

/// A column by a path as in mapping files; steps are separated by blanks.
pub(in crate::flow) fn column(name_of: &str, path: &str, kind: Kind) -> Column {
    let from_root = path.starts_with('/');
    let mut steps = Vec::new();
    let mut take = Take::Text;
    for step in path.trim_start_matches('/').split(' ').filter(|step| !step.is_empty()) {
        match step {
            "text()" => take = Take::Text,
            "string()" => take = Take::AllText,
            step => match step.strip_prefix('@') {
                Some(attribute) => take = Take::Attribute(name(attribute)),
                None => steps.push(name(step).into()),
            },
        }
    }
    Column::new(name_of, Path { from_root, steps, take }, kind)
}

pub(in crate::flow) fn mapping(root: Option<&str>, rows: &str, columns: Vec<Column>) -> Mapping {
    let steps: Vec<_> = rows.split(' ').filter(|step| !step.is_empty()).map(|step| name(step).into()).collect();
    let rows = if steps.is_empty() { Vec::new() } else { vec![steps] };
    Mapping { root: root.map(name), rows, ..Mapping::new("test.toml", columns) }
}

pub(in crate::flow) fn library() -> Mapping {
    let mut columns = vec![
        column("record_id", "record_id", Kind::Int64),
        column("branch", "/@branch", Kind::String),
        column("id", "@id", Kind::String),
        column("title", "title", Kind::String),
        column("author_name", "author name", Kind::String),
        column("price", "price", Kind::Decimal(10, 2)),
        column("currency", "price @currency", Kind::String),
        column("publication_year", "publication_year", Kind::Int32),
        column("added", "added", Kind::Timestamp(Precision::Micro)),
    ];
    columns[0].required = true;
    mapping(Some("library"), "book", columns)
}

pub(in crate::flow) fn batch(payloads: &[Option<&[u8]>]) -> Arc<RawBatch> {
    let mut bytes = Vec::new();
    let mut messages = Vec::new();
    for (offset, payload) in (100_i64..).zip(payloads) {
        let payload = payload.map(|payload| {
            let start = bytes.len() as u32;
            bytes.extend_from_slice(payload);
            start..bytes.len() as u32
        });
        messages.push(RawMessage {
            offset,
            timestamp_us: Some(1_700_000_000_000_000),
            key: None,
            payload,
            headers: vec![],
        });
    }
    Arc::new(RawBatch {
        source: TopicPartition::new("library", 3),
        generation: 1,
        seq: 0,
        range: OffsetRange::new(100, 100 + payloads.len() as i64).unwrap(),
        permit: MemoryBudget::new(1 << 20).take(bytes.len() as u64),
        piece: Piece::WHOLE,
        slot: None,
        bytes,
        messages,
    })
}

fn parser(mapping: &Mapping) -> Parser {
    Parser::new(Arc::from(vec![ParserTable::compile(mapping).unwrap()]))
}

fn parse(mapping: &Mapping, payloads: &[&str]) -> ParsedBatch {
    let payloads: Vec<Option<&[u8]>> = payloads.iter().map(|payload| Some(payload.as_bytes())).collect();
    parser(mapping).parse(&batch(&payloads), Some(0)).unwrap()
}

/// The verdict on one message and its rows: `|`-separated values, nulls as `-`, lineage left out.
fn parse_one(mapping: &Mapping, payload: &str) -> (Verdict, Vec<String>) {
    let mut parsed = parse(mapping, &[payload]);
    let rows = parsed.tables.first().map(|part| shown(&part.rows)).unwrap_or_default();
    (parsed.verdicts.remove(0), rows)
}

fn shown(rows: &RecordBatch) -> Vec<String> {
    let mapped = rows.num_columns() - 5;
    let cell = |column: usize, row: usize| {
        let column = rows.column(column);
        if column.is_null(row) { "-".to_owned() } else { array_value_to_string(column, row).unwrap() }
    };
    (0..rows.num_rows()).map(|row| (0..mapped).map(|at| cell(at, row)).collect::<Vec<_>>().join("|")).collect()
}

pub(in crate::flow) fn codes_of(violations: &[crate::model::violation::Violation]) -> Vec<&'static str> {
    violations.iter().map(|violation| violation.code.name()).collect()
}

fn codes(verdict: &Verdict) -> Vec<&'static str> {
    codes_of(&verdict.violations)
}

/// The time of the processor that some work takes: what else the machine does makes no difference to it.
fn cpu_time(work: impl FnOnce()) -> Duration {
    let now = || {
        let ran = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(ran.split(' ').next().unwrap().parse().unwrap())
    };
    let begun = now();
    work();
    now() - begun
}
