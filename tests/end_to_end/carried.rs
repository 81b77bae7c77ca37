//! Keys and headers from Kafka to Parquet, in RAW and Processed as in quarantine.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use forebay::flow::read::producer::{Outgoing, Producer};
use forebay::flow::read::settings::Settings;
use serde_json::{Value, json};

use crate::lake::{audit, python};
use crate::site::{Answer, PATIENCE, Recipe, Site};
use crate::stack::{Stack, leave_out};

const MAPPING: &str = "version = 1\nformat = \"xml\"\n[message]\nrows = \"r\"\n\
                       [[column]]\nname = \"n\"\npath = \"@n\"\ntype = \"int32\"\nrequired = true\n\
                       [[column]]\nname = \"day\"\npath = \"@d\"\ntype = \"date\"\n";

type Headers = &'static [(&'static str, Option<&'static [u8]>)];

/// Key, headers and how many rows; a message of none is bad.
const MESSAGES: [(Option<&[u8]>, Headers, usize); 6] = [
    (Some(b"plain"), &[("trace", Some(b"\xff\x00\x01")), ("none", None), ("trace", Some(b"again"))], 2),
    (None, &[], 1),
    (Some(b""), &[("empty", Some(b""))], 3),
    (Some(b"\x00\xfe"), &[("\u{e9}", Some(b"\xc3\xa9"))], 1),
    (Some(b"bad"), &[("why", Some(b"\xfe")), ("none", None)], 0),
    (None, &[("last", Some(b"1"))], 0),
];

fn base64(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |bytes| STANDARD.encode(bytes).into())
}

/// Sends the messages to partition 0 and gives their offsets.
fn send(site: &Site) -> Vec<i64> {
    let user = [("bootstrap.servers".to_owned(), site.stack.kafka.clone())].into();
    let places = Arc::new(Mutex::new(BTreeMap::new()));
    let told = Arc::clone(&places);
    let producer = Producer::connect(&Settings { user, ..Settings::default() }, move |delivery| {
        told.lock().unwrap().insert(delivery.number, delivery.place.unwrap().offset);
    })
    .unwrap();
    for (number, (key, headers, rows)) in MESSAGES.iter().enumerate() {
        let row = |row| format!("<r n='{}' d='2026-10-15'/>", 10 * number + row);
        let rows = if *rows == 0 { "<r n='x'/>".to_owned() } else { (0..*rows).map(row).collect() };
        let payload = format!("<m>{rows}</m>");
        let (topic, payload) = (&site.topic, Some(payload.as_bytes()));
        producer.send(Outgoing { number, topic, partition: Some(0), key: *key, payload, headers }).unwrap();
    }
    assert_eq!(producer.flush(PATIENCE).unwrap(), 0);
    let places = places.lock().unwrap();
    places.values().copied().collect()
}

/// By zone, then as the rows came.
fn sort(rows: &mut [Value], offset: &str) {
    rows.sort_by_key(|row| (row["zone"].to_string(), row[offset].as_i64(), row["row_index"].as_i64()));
}

#[test]
fn keys_and_headers_reach_every_row_as_they_came() {
    let Some(stack) = Stack::find("keys and headers in RAW") else { return };
    let mut site = Site::new(&stack, &Recipe::default());
    let topic = site.topic.clone();
    site.create_topic(&topic, 1);
    fs::write(site.dir.join("carried.toml"), MAPPING).unwrap();
    let text = fs::read_to_string(site.config()).unwrap();
    let (head, _) = text.split_once("[[table]]").unwrap();
    let table = format!(
        "[[table]]\nname = \"carried\"\ntopics = [\"{topic}\"]\nmapping = \"carried.toml\"\n\
         [table.lineage]\ninclude = [\"kafka_key\", \"kafka_headers\"]\nkafka_key = \"message_key\"\n\
         [table.processed]\nrecord_id = [\"n\"]\ndate = \"day\"\n"
    );
    fs::write(site.config(), format!("{head}{table}")).unwrap();
    site.ok(&["check"]);
    let offsets = send(&site);
    let mut run = site.start_with(&["--until-caught-up"]);
    assert_eq!(run.wait(), Some(0));
    audit(&site);

    let mut expected = Vec::new();
    for ((key, headers, rows), offset) in MESSAGES.iter().zip(&offsets) {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, base64(*value))).collect();
        let places: Vec<Value> = if *rows == 0 { vec![Value::Null] } else { (0..*rows).map(Value::from).collect() };
        for row_index in places {
            let zone = if row_index.is_null() { "quarantine" } else { "raw" };
            expected.push(json!({
                "zone": zone, "partition": 0, "offset": offset, "row_index": row_index, "key": base64(*key),
                "headers": headers,
            }));
        }
    }
    let rows: Vec<Value> = expected.iter().filter(|row| row["zone"] == "raw").cloned().collect();
    let processed = |row: &Value| {
        let mut row = row.clone();
        row["zone"] = "processed".into();
        row
    };
    expected.extend(rows.iter().map(processed));
    for zone in ["raw", "processed"] {
        let shown = site.ok(&["--json", "show", &format!("{zone}.carried"), "--limit", "100"]).out;
        let mut shown: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        sort(&mut shown, "kafka_offset");
        assert_eq!(shown.len(), rows.len(), "{zone}");
        for (shown, row) in shown.iter().zip(&rows) {
            let header = |header: &Value| json!([header["name"], header["value"]]);
            let headers: Vec<_> = shown["kafka_headers"].as_array().unwrap().iter().map(header).collect();
            assert_eq!((&shown["message_key"], json!(headers)), (&row["key"], row["headers"].clone()), "{zone}");
        }
    }

    let Some(python) = python() else {
        return leave_out("keys and headers by PyArrow: FOREBAY_TEST_PYTHON is not set");
    };
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/check_carried.py"));
    command.args(["--root", site.root.trim_start_matches("file://"), "--table", "carried"]);
    let answer = Answer::of(command.args(["--key", "message_key", "--headers", "kafka_headers"]).output().unwrap());
    assert_eq!(answer.code, Some(0), "{}{}", answer.out, answer.err);
    let mut found: Vec<Value> = answer.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    sort(&mut found, "offset");
    sort(&mut expected, "offset");
    assert_eq!(found, expected);
}
