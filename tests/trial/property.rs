//! What `try` says of generated documents is what the stages say, value by value.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use forebay::app::cells;
use forebay::config::mapping::read_text;
use forebay::flow::parse::{Parser, ParserTable, WellFormed};
use forebay::flow::validate;
use forebay::model::batch::{ParsedBatch, Piece, RawBatch, RawMessage};
use forebay::model::budget::MemoryBudget;
use forebay::model::mapping::{Dtd, Limits, Lineage, Mapping};
use forebay::model::offset::{OffsetRange, TopicPartition};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::Site;

const MAPPING: &str = "version = 1
format = \"xml\"
[message]
root = \"m\"
rows = \"r\"
unmapped = \"collect(rest)\"
[on_error]
message = \"MESSAGE\"
field = \"FIELD\"
[limits]
rows = 12
[[column]]
name = \"id\"
path = \"@id\"
type = \"int32\"
required = true
[[column]]
name = \"price\"
path = \"price\"
type = \"decimal(6,2)\"
[[column]]
name = \"at\"
path = \"at\"
type = \"timestamp\"
[[column]]
name = \"data\"
path = \"data\"
type = \"binary\"
[[column]]
name = \"words\"
path = \"word\"
type = \"list<string>\"
[[child]]
name = \"lines\"
rows = \"line\"
[[child.column]]
name = \"n\"
path = \"@n\"
type = \"int8\"
[[child.child]]
name = \"notes\"
rows = \"note\"
[[child.child.column]]
name = \"text\"
path = \".\"
type = \"string\"
";

fn mapping(message: &str, field: &str) -> String {
    MAPPING.replace("MESSAGE", message).replace("FIELD", field)
}

fn element() -> impl Strategy<Value = String> {
    let value = prop_oneof!["[0-9]{1,3}", "[0-9]{1,5}\\.[0-9]{1,3}", "[a-z&é漢]{0,4}"];
    let value = value.prop_map(|text| text.replace('&', "&amp;"));
    let leaf = (prop_oneof!["price", "word", "note", "other"], value)
        .prop_map(|(name, value)| format!("<{name}>{value}</{name}>"));
    let at = prop_oneof!["2026-0[1-9]-01T00:00:0[0-9]Z", "yesterday"].prop_map(|at| format!("<at>{at}</at>"));
    let data = prop_oneof!["AAE=", "AAE"].prop_map(|data| format!("<data>{data}</data>"));
    let note = "[a-z ]{0,6}".prop_map(|text| format!("<note>{text}</note>"));
    let line = (prop_oneof![4 => "[0-9]{1,2}", 1 => "[0-9]{3}"], prop::collection::vec(note, 0..3))
        .prop_map(|(n, notes)| format!("<line n='{n}'>{}</line>", notes.concat()));
    prop_oneof![3 => leaf, 1 => at, 1 => data, 3 => line]
}

fn document() -> impl Strategy<Value = Vec<u8>> {
    let id = prop_oneof![6 => "[0-9]{1,4}", 1 => "[a-z]"];
    let row = (prop::option::weighted(0.95, id), prop::collection::vec(element(), 0..5)).prop_map(|(id, inside)| {
        let id = id.map(|id| format!(" id='{id}'")).unwrap_or_default();
        format!("<r{id}>{}</r>", inside.concat())
    });
    let whole = prop::collection::vec(row, 0..14).prop_map(|rows| format!("<m>{}</m>", rows.concat()).into_bytes());
    // Some are broken at a byte, which may be anything but the end of the line.
    (whole, prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>()))).prop_map(|(mut whole, broken)| {
        if let Some((at, byte)) = broken.filter(|(_, byte)| *byte != b'\n') {
            let at = at.index(whole.len());
            whole[at] = byte;
        }
        whole
    })
}

fn raw(documents: &[Vec<u8>]) -> Arc<RawBatch> {
    let mut bytes = Vec::new();
    let mut messages = Vec::new();
    for (offset, document) in (0..).zip(documents) {
        let from = u32::try_from(bytes.len()).unwrap();
        bytes.extend_from_slice(document);
        let payload = Some(from..u32::try_from(bytes.len()).unwrap());
        messages.push(RawMessage { offset, timestamp_us: None, key: None, payload, headers: Vec::new() });
    }
    Arc::new(RawBatch {
        source: TopicPartition::new("t", 0),
        generation: 0,
        seq: 0,
        range: OffsetRange::new(0, i64::try_from(documents.len()).unwrap()).unwrap(),
        permit: MemoryBudget::new(1 << 30).take(0),
        piece: Piece::WHOLE,
        slot: None,
        bytes,
        messages,
    })
}

/// The rows of a message in one table, without what tells of Kafka.
fn rows(parsed: &ParsedBatch, table: u16, message: usize, hidden: &[&str]) -> Value {
    let mut found = Vec::new();
    for part in parsed.tables.iter().filter(|part| part.table == table) {
        for row in (0..part.rows.num_rows()).filter(|row| part.message[*row] as usize == message) {
            let schema = part.rows.schema();
            let shown =
                schema.fields().iter().enumerate().filter(|(_, field)| !hidden.contains(&field.name().as_str()));
            let value = |index: usize| cells::json(part.rows.column(index).as_ref(), row);
            found.push(shown.map(|(index, field)| (field.name().clone(), value(index))).collect::<Map<_, _>>());
        }
    }
    json!(found)
}

/// What the parser says, in the words of `try`.
fn expected(mapping: &Mapping, documents: &[Vec<u8>]) -> Vec<Value> {
    let mut parser = Parser::new(Arc::from(vec![ParserTable::compile(mapping).unwrap()]));
    let parsed = parser.parse(&raw(documents), Some(0)).unwrap();
    validate::check(&parsed, 0, |_| Some(0)).unwrap();
    let of_kafka = ["kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp"];
    let of_row = [&of_kafka[..], &["row_index"]].concat();
    let answer = |(number, verdict): (usize, &forebay::model::batch::Verdict)| {
        let mut children = BTreeMap::new();
        if verdict.outcome.name() != "quarantined" {
            children.insert("lines", rows(&parsed, 1, number, &of_kafka));
            children.insert("notes", rows(&parsed, 2, number, &of_kafka));
        }
        let violations: Vec<Value> = verdict.violations.iter().map(|violation| json!({
            "code": violation.code.name(), "column": violation.column, "path": violation.path, "line": violation.line,
            "byte_offset": violation.byte_offset, "value": violation.value, "message": violation.message,
        })).collect();
        json!({
            "input": "-", "outcome": verdict.outcome.name(), "rows": rows(&parsed, 0, number, &of_row),
            "children": children, "violations": violations,
        })
    };
    parsed.verdicts.iter().enumerate().map(answer).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_answers_are_those_of_the_stages(
        documents in prop::collection::vec(document(), 1..40), keep in any::<bool>(), null in any::<bool>(),
    ) {
        let text = mapping(if keep { "keep-good-rows" } else { "quarantine" }, if null { "null" } else { "quarantine" });
        let mapping = read_text(&text, Path::new("m.toml"), &Lineage::default()).unwrap();
        let site = Site::new();
        site.file("m.toml", &text);
        let lines = documents.join(&b'\n');
        let said = site.run("try --quiet --json --lines --mapping m.toml", &lines);
        let wanted = expected(&mapping, &documents);
        prop_assert_eq!(said.code, Some(i32::from(wanted.iter().any(|answer| answer["outcome"] != "rows"))));
        prop_assert_eq!(said.answers(), wanted);

        let said = site.run("try --quiet --json --lines --well-formed", &lines);
        let mut judge = WellFormed::new(Limits::default(), Dtd::Refuse);
        for (answer, document) in said.answers().iter().zip(&documents) {
            let found = judge.check(document).err();
            let code = found.as_ref().map(|violation| violation.code.name());
            prop_assert_eq!(answer["violations"][0]["code"].as_str(), code);
            let place = found.as_ref().and_then(|violation| violation.byte_offset);
            prop_assert_eq!(answer["violations"][0]["byte_offset"].as_u64(), place);
        }
        prop_assert_eq!(said.answers().len(), documents.len());
    }
}
