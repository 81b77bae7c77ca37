//! What the rows of a message cost that is made to be told in many bytes: long names of namespaces above all, each of
//! which is written once and could be told again and again.

use std::sync::Arc;

use forebay::flow::parse::{Parser, ParserTable};
use forebay::model::batch::{ParsedBatch, Piece, RawBatch, RawMessage};
use forebay::model::budget::MemoryBudget;
use forebay::model::mapping::{Column, Kind, Mapping, Name, Path, Repeat, Take, Unmapped};
use forebay::model::offset::{OffsetRange, TopicPartition};

use crate::counting::{Cost, count};

/// What rows may add for each byte of their message.
const EXPANSION: usize = 200;

fn name(local: &str) -> Name {
    Name { namespace: None, local: local.into() }
}

fn column(step: &str, take: Take, kind: Kind, repeat: Repeat) -> Column {
    let path = Path { from_root: false, steps: vec![name(step).into()], take };
    Column { repeat, ..Column::new("v", path, kind) }
}

fn element(kind: Kind, repeat: Repeat) -> Mapping {
    Mapping::new("test.toml", vec![column("v", Take::Element, kind, repeat)])
}

fn by_row(mapping: Mapping) -> Mapping {
    Mapping { rows: vec![vec![name("row").into()]], ..mapping }
}

fn watched(unmapped: Unmapped) -> Mapping {
    let column = column("id", Take::Text, Kind::String, Repeat::Only);
    Mapping { unmapped, ..Mapping::new("test.toml", vec![column]) }
}

fn collected() -> Mapping {
    by_row(watched(Unmapped::Collect("rest".to_owned())))
}

fn parse(parser: &mut Parser, message: &str) -> ParsedBatch {
    let raw = RawBatch {
        source: TopicPartition::new("t", 0),
        generation: 1,
        seq: 0,
        range: OffsetRange::new(0, 1).unwrap(),
        permit: MemoryBudget::new(1 << 30).take(0),
        piece: Piece::WHOLE,
        slot: None,
        bytes: message.as_bytes().to_vec(),
        messages: vec![RawMessage {
            offset: 0,
            timestamp_us: None,
            key: None,
            payload: Some(0..message.len() as u32),
            headers: vec![],
        }],
    };
    parser.parse(&Arc::new(raw), Some(0)).unwrap()
}

fn parser(mapping: &Mapping) -> Parser {
    Parser::new(Arc::from(vec![ParserTable::compile(mapping).unwrap()]))
}

/// The first violation (empty: none) of a message, and what its parser took and keeps.
fn cost(mapping: &Mapping, message: &str) -> (&'static str, Cost) {
    let mut parser = parser(mapping);
    let mut code = "";
    let cost = count(|| {
        let parsed = parse(&mut parser, message);
        code = parsed.verdicts[0].violations.first().map_or("", |violation| violation.code.name());
    });
    (code, cost)
}

/// A message whose root declares the prefix p with a long URI.
fn within_long(inside: &str) -> String {
    format!("<r xmlns:p='{}'>{inside}</r>", "u".repeat(100_000))
}

fn many(count: usize, unit: impl Fn(usize) -> String) -> String {
    (0..count).map(unit).collect()
}

#[test]
fn a_long_uri_is_not_told_again_and_again() {
    let attributes = many(4000, |number| format!(" p:a{number}=''"));
    let elements = many(7900, |number| format!("<p:x{number}/>"));
    let same = "<p:x/>".repeat(20_000);
    let rows = "<row><v/></row>".repeat(5000);
    for (shape, mapping, message, expected) in [
        ("the same name in JSON", element(Kind::Json, Repeat::Json), format!("<v>{same}</v>"), ""),
        ("names in JSON", element(Kind::Json, Repeat::Json), format!("<v>{elements}</v>"), "limit.rows"),
        ("attributes in JSON", element(Kind::Json, Repeat::Json), format!("<v{attributes}/>"), "limit.rows"),
        ("the last element as JSON", element(Kind::Json, Repeat::Last), format!("<v>{elements}</v>"), "limit.rows"),
        ("the last element of each row", by_row(element(Kind::Xml, Repeat::Last)), rows, "limit.rows"),
        ("the last element", element(Kind::Xml, Repeat::Last), "<v/>".repeat(25_000), "limit.rows"),
        ("names that are counted", watched(Unmapped::Count), elements.clone(), ""),
        ("attributes that are counted", watched(Unmapped::Count), format!("<v{attributes}/>"), ""),
        ("names that are collected", collected(), format!("<row>{elements}</row>"), "limit.rows"),
        ("attributes that are collected", collected(), format!("<row><v{attributes}/></row>"), "limit.rows"),
        (
            "depth that is collected",
            collected(),
            format!("<row>{}{}</row>", "<p:x>".repeat(60), "</p:x>".repeat(60)),
            "",
        ),
        ("names that are refused", watched(Unmapped::Reject), same, "shape.unmapped"),
    ] {
        let message = within_long(&message);
        let (code, cost) = cost(&mapping, &message);
        assert_eq!(code, expected, "{shape}");
        // A buffer that grows is there twice, and the new one has room to spare.
        assert!(cost.peak as usize <= 3 * EXPANSION * message.len(), "{shape}: {cost:?} for {}", message.len());
        let is_written = !expected.is_empty() || shape.contains("JSON") || shape.contains("collected");
        assert!(is_written || cost.peak <= 16 << 20, "{shape}: {cost:?}");
    }
}

#[test]
fn counting_keeps_no_long_paths() {
    let mut parser = parser(&watched(Unmapped::Count));
    let cost = count(|| {
        for round in 0..3 {
            drop(parse(&mut parser, &within_long(&many(2000, |number| format!("<p:x{round}-{number}/>")))));
        }
    });
    assert!(cost.kept <= 1 << 20, "{cost:?}");
}

#[test]
fn what_is_refused_is_told_in_short() {
    let message = within_long(&"<p:x/>".repeat(20_000));
    let mut parser = parser(&watched(Unmapped::Reject));
    let mut told = 0;
    let cost = count(|| {
        let parsed = parse(&mut parser, &message);
        told = parsed.verdicts[0].violations.iter().map(|violation| violation.message.len()).max().unwrap_or(0);
    });
    assert!(told > 0 && told <= 500, "{told}");
    assert!(cost.allocations <= 10_000, "only those that are told cost anything: {cost:?}");
}

#[test]
fn a_path_that_is_collected_costs_no_more_for_what_is_around_it() {
    let deep = |depth: usize| {
        format!("<r><row>{}{}{}</row></r>", "<a>".repeat(depth), "<b/>".repeat(2000), "</a>".repeat(depth))
    };
    let [shallow, deep] = [1, 250].map(|depth| cost(&collected(), &deep(depth)).1.allocations);
    assert!(deep <= shallow + 2000, "{deep} and {shallow}");
}
