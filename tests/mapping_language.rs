//! The shipped mapping that shows every key, run on the message that it shows: from the file to rows.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use forebay::config::mapping::{read, read_text};
use forebay::flow::parse::{Parser, ParserTable};
use forebay::model::batch::{Outcome, ParsedBatch, Piece, RawBatch, RawMessage};
use forebay::model::budget::MemoryBudget;
use forebay::model::mapping::{Lineage, Mapping};
use forebay::model::offset::{OffsetRange, TopicPartition};

const ORDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/tables/orders.toml");

/// One message through the parser.
fn parse(mapping: &Mapping, document: &str) -> ParsedBatch {
    let bytes = document.as_bytes().to_vec();
    let payload = Some(0..u32::try_from(bytes.len()).unwrap());
    let message = RawMessage { offset: 0, timestamp_us: Some(1), key: None, payload, headers: vec![] };
    let raw = RawBatch {
        source: TopicPartition::new("shop", 0),
        generation: 1,
        seq: 0,
        range: OffsetRange::new(0, 1).unwrap(),
        permit: MemoryBudget::new(1 << 20).take(bytes.len() as u64),
        piece: Piece::WHOLE,
        slot: None,
        bytes,
        messages: vec![message],
    };
    let mut parser = Parser::new(Arc::from(vec![ParserTable::compile(mapping).unwrap()]));
    parser.parse(&Arc::new(raw), Some(0)).unwrap()
}

fn text(array: &ArrayRef) -> Vec<&str> {
    array.as_string::<i32>().iter().map(|value| value.unwrap_or("null")).collect()
}

#[test]
fn the_example_of_the_shipped_mapping_gives_the_rows_that_it_means() {
    let file = std::fs::read_to_string(ORDERS).unwrap();
    let document: String =
        file.lines().skip(2).take_while(|line| line.starts_with('#')).map(|line| format!("{}\n", &line[1..])).collect();
    let mapping = read(Path::new(ORDERS), &Lineage::default()).unwrap();
    let parsed = parse(&mapping, document.trim());
    assert_eq!((parsed.verdicts[0].outcome, parsed.verdicts[0].rows), (Outcome::Rows, 1), "{:?}", parsed.verdicts);
    let column = |table: usize, name: &str| parsed.tables[table].rows.column_by_name(name).unwrap();
    assert_eq!(column(0, "batch").as_primitive::<Int32Type>().value(0), 7);
    assert_eq!(text(column(0, "order_id")), ["A-17"]);
    let placed: jiff::Timestamp = "2026-10-15T16:42:00Z".parse().unwrap();
    assert_eq!(column(0, "placed").as_primitive::<TimestampMicrosecondType>().value(0), placed.as_microsecond());
    assert_eq!(column(0, "total").as_primitive::<Decimal128Type>().value(0), 123_450);
    assert_eq!(text(column(0, "mobile")), ["0170 2"]);
    assert_eq!(text(&column(0, "phones").as_list::<i32>().value(0)), ["030 1", "0170 2"]);
    assert_eq!(text(column(0, "phone_kinds")), ["home; mobile"]);
    assert_eq!(column(0, "lines").as_primitive::<Int64Type>().value(0), 1);
    let ship = column(0, "ship_to").as_struct();
    assert_eq!(text(ship.column(0)), ["Lyon"]);
    let boxes = ship.column(1).as_list::<i32>().value(0);
    assert_eq!(boxes.as_struct().column(0).as_primitive::<Float64Type>().value(0), 1.5);
    assert_eq!(text(column(0, "rest")), [r#"{"o:total/@currency":"EUR"}"#]);
    assert_eq!(text(column(1, "sku")), ["x"]);
    assert_eq!(column(1, "quantity").as_primitive::<Int32Type>().value(0), 2);
    assert_eq!(text(column(2, "serial")), ["01", "02"]);
    let ordinals = |name: &str| column(2, name).as_primitive::<Int32Type>().values().to_vec();
    assert_eq!((ordinals("ordinal"), ordinals("parent_ordinal")), (vec![0, 1], vec![0, 0]));
}

#[test]
fn a_row_group_without_inner_rows_is_a_row() {
    let rows = |rows: &str| {
        let text = format!(
            "version = 1\nformat = \"xml\"\n[message]\nrows = {rows}\n[[column]]\nname = \"order\"\npath = \"/order/@id\"\n\
             type = \"string\"\n[[column]]\nname = \"line\"\npath = \"@id\"\ntype = \"string\"\n"
        );
        let mapping = read_text(&text, Path::new("m.toml"), &Lineage::default()).unwrap();
        let document = "<r><order id='1'><line id='a'/><line id='b'/></order><order id='2'/></r>";
        let parsed = parse(&mapping, document);
        let column = |name: &str| text_of(&parsed, name);
        (column("order"), column("line"))
    };
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let (orders, lines) = rows("[\"order\", \"order/line\"]");
    assert_eq!((orders, lines), (owned(&["1", "1", "2"]), owned(&["a", "b", "null"])));
}

fn text_of(parsed: &ParsedBatch, name: &str) -> Vec<String> {
    text(parsed.tables[0].rows.column_by_name(name).unwrap()).into_iter().map(str::to_owned).collect()
}
