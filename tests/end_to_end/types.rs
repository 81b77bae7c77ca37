//! A column of every type through RAW into Processed, and a mapping that grows between two runs of the daemon: every
//! value as three other readers see it.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::bad_input::send;
use crate::lake::{audit, python};
use crate::site::{Answer, Recipe, Site};
use crate::stack::{Stack, leave_out};

/// The first version of the mapping.
const BASE: &[(&str, &str, &str)] = &[
    ("id", "@id", "type = \"string\"\nrequired = true"),
    ("added", "added", "type = \"date\"\nrequired = true"),
    ("text", "text", "type = \"string\""),
];

/// What the second version has besides.
const MORE: &[(&str, &str, &str)] = &[
    ("flag", "flag", "type = \"bool\""),
    ("tiny", "tiny", "type = \"int8\""),
    ("small", "small", "type = \"int16\""),
    ("middle", "middle", "type = \"int32\""),
    ("great", "great", "type = \"int64\""),
    ("single", "single", "type = \"float32\""),
    ("twofold", "twofold", "type = \"float64\""),
    ("cents", "cents", "type = \"decimal(9,2)\""),
    ("exact", "exact", "type = \"decimal(38,18)\""),
    ("vast", "vast", "type = \"decimal(38,0)\""),
    ("day", "day", "type = \"date\""),
    ("at_ms", "at_ms", "type = \"timestamp(ms)\""),
    ("at_us", "at_us", "type = \"timestamp\""),
    ("wall_ms", "wall_ms", "type = \"timestamp_ntz(ms)\""),
    ("wall_us", "wall_us", "type = \"timestamp_ntz\""),
    ("bytes", "bytes", "type = \"binary\""),
    ("digest", "digest", "type = \"binary(hex)\""),
    ("document", "document", "type = \"json\""),
    ("element", "element", "type = \"xml\""),
    ("tags", "tag", "type = \"list<string>\""),
    ("times", "time", "type = \"list<timestamp(ms)>\""),
    ("note_count", "note", "type = \"int64\"\nrepeat = \"count\""),
    ("note_text", "note", "type = \"string\"\nrepeat = \"join(; )\""),
];

const STRUCTS: &str = r#"
[[column]]
name = "address"
path = "address"
type = "struct"
  [[column.field]]
  name = "city"
  path = "city"
  type = "string"
  [[column.field]]
  name = "since"
  path = "since"
  type = "date"

[[column]]
name = "parts"
path = "part"
type = "list<struct>"
  [[column.field]]
  name = "code"
  path = "@code"
  type = "string"
  required = true
  [[column.field]]
  name = "seen"
  path = "seen"
  type = "timestamp_ntz(ms)"
  [[column.field]]
  name = "amounts"
  path = "amount"
  type = "list<decimal(38,2)>"
  [[column.field]]
  name = "place"
  path = "place"
  type = "struct"
    [[column.field.field]]
    name = "city"
    path = "city"
    type = "string"
    [[column.field.field]]
    name = "floor"
    path = "floor"
    type = "int8"
"#;

fn mapping(version: u32) -> String {
    let mut text = format!("version = {version}\nformat = \"xml\"\n[message]\nroot = \"record\"\n");
    let more = if version > 1 { MORE } else { &[] };
    for (name, path, rest) in BASE.iter().chain(more) {
        write!(text, "\n[[column]]\nname = \"{name}\"\npath = \"{path}\"\n{rest}\n").unwrap();
    }
    if version > 1 {
        text.push_str(STRUCTS);
    }
    text
}

/// A record with most of its elements, their values anything that their types hold.
fn record(random: &mut fastrand::Rng, id: u32) -> String {
    let date = |random: &mut fastrand::Rng| {
        format!("{}-{:02}-{:02}", random.u32(1970..2026), random.u32(1..13), random.u32(1..29))
    };
    // Late in the evening and early in the morning: another day in most zones.
    let time = |random: &mut fastrand::Rng, fraction: &str| {
        format!("{:02}:{:02}:59.{fraction}", random.choice([0, 1, 12, 22, 23]).unwrap(), random.u32(0..60))
    };
    let millis = |random: &mut fastrand::Rng| {
        let fraction = format!("{:03}", random.u32(0..1000));
        format!("{}T{}", date(random), time(random, &fraction))
    };
    let micros = |random: &mut fastrand::Rng| {
        let fraction = format!("{:06}", random.u32(0..1_000_000));
        format!("{}T{}", date(random), time(random, &fraction))
    };
    let digits = |random: &mut fastrand::Rng, count: usize| -> String {
        std::iter::once(random.digit(10))
            .filter(|first| *first != '0')
            .chain((0..count).map(|_| random.digit(10)))
            .collect()
    };
    let sign = |random: &mut fastrand::Rng| if random.bool() { "-" } else { "" };
    let mut text = format!("<record id=\"r{id}\" xmlns:k=\"urn:k\">");
    let wall = millis(random);
    write!(text, "<added>{}</added><wall_ms>{wall}</wall_ms>", date(random)).unwrap();
    let mut leaf = |random: &mut fastrand::Rng, name: &str, value: String| {
        if random.u32(0..8) > 0 {
            write!(text, "<{name}>{value}</{name}>").unwrap();
        }
    };
    let value = format!("é {} &amp; &lt;", random.u32(..));
    leaf(random, "text", value);
    let value = (*random.choice(&["true", "false", "1", "0"]).unwrap()).to_owned();
    leaf(random, "flag", value);
    let value = random.i8(..).to_string();
    leaf(random, "tiny", value);
    let value = random.i16(..).to_string();
    leaf(random, "small", value);
    let value = random.i32(..).to_string();
    leaf(random, "middle", value);
    let value = random.i64(..).to_string();
    leaf(random, "great", value);
    let value = (random.f32() * 1e9).to_string();
    leaf(random, "single", value);
    let value = (random.f64() * -1e-9).to_string();
    leaf(random, "twofold", value);
    let value = format!("{}{}.{:02}", sign(random), random.u32(0..9_999_999), random.u32(0..100));
    leaf(random, "cents", value);
    let value = format!("{}{}.{}", sign(random), digits(random, 18), digits(random, 17));
    leaf(random, "exact", value);
    let value = format!("{}{}", sign(random), digits(random, 37));
    leaf(random, "vast", value);
    let value = date(random);
    leaf(random, "day", value);
    let value = format!("{}{}", millis(random), random.choice(["Z", "+02:00", "-11:30"]).unwrap());
    leaf(random, "at_ms", value);
    let value = format!("{}{}", micros(random), random.choice(["Z", "+14:00", "-05:00"]).unwrap());
    leaf(random, "at_us", value);
    let value = micros(random);
    leaf(random, "wall_us", value);
    let bytes: Vec<u8> = (0..random.usize(0..40)).map(|_| random.u8(..)).collect();
    if !bytes.is_empty() {
        leaf(random, "bytes", STANDARD.encode(&bytes));
        leaf(random, "digest", bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    }
    let value = json!({"n": random.u32(..), "list": [1, null, "x"]}).to_string();
    leaf(random, "document", value);
    let value = format!("<k:inner a=\"{}\">mixed <b/> content</k:inner>", random.u32(..));
    leaf(random, "element", value);
    for _ in 0..random.u32(0..4) {
        let value = format!("tag {}", random.u32(0..9));
        leaf(random, "tag", value);
        let value = format!("{}Z", millis(random));
        leaf(random, "time", value);
        let value = format!("note {}", random.u32(0..9));
        leaf(random, "note", value);
    }
    if random.bool() {
        write!(text, "<address><city>Lyon</city><since>{}</since></address>", date(random)).unwrap();
    }
    for _ in 0..random.u32(0..4) {
        write!(text, "<part code=\"p{}\">", random.u32(0..99)).unwrap();
        if random.bool() {
            write!(text, "<seen>{}</seen>", millis(random)).unwrap();
        }
        for _ in 0..random.u32(0..3) {
            write!(text, "<amount>{}.5</amount>", digits(random, 34)).unwrap();
        }
        if random.bool() {
            write!(text, "<place><city>Oslo</city><floor>{}</floor></place>", random.i8(..)).unwrap();
        }
        text.push_str("</part>");
    }
    text + "</record>"
}

/// A site with a table of records, besides the books, in a version of its mapping and by the dates of a column.
fn site(stack: &Stack, version: u32, date: &str) -> (Site, String) {
    let topic = format!("records-{}", uuid::Uuid::new_v4().simple());
    let tables = format!(
        "[[table]]\nname = \"records\"\ntopics = [\"{topic}\"]\nmapping = \"records.toml\"\n[table.raw]\nroll_age = \"500ms\"\n\
         [table.processed]\nrecord_id = [\"id\"]\ndate = \"{date}\"\ndate_zone = \"Asia/Tokyo\"\n"
    );
    let mut site = Site::new(stack, &Recipe { tables, ..Recipe::default() });
    map(&site, version);
    let books = site.topic.clone();
    site.create_topic(&books, 1);
    site.create_topic(&topic, 1);
    (site, topic)
}

fn map(site: &Site, version: u32) {
    fs::write(site.dir.join("records.toml"), mapping(version)).unwrap();
}

/// Sends records of ids below 60, which come again and again.
fn send_records(site: &Site, topic: &str, seed: u64, count: usize, into: &mut String) {
    let mut random = fastrand::Rng::with_seed(seed);
    let records: Vec<String> = (0..count)
        .map(|_| random.u32(0..60))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|id| record(&mut random, id))
        .collect();
    let payloads: Vec<_> = records.iter().map(|record| Some(record.as_bytes())).collect();
    for (text, offset) in records.iter().zip(send(site, topic, 0, &payloads)) {
        writeln!(into, "{}", json!({"offset": offset, "text": text})).unwrap();
    }
}

/// Everything through the daemon, and promoted.
fn catch_up(site: &Site) {
    let mut run = site.start_with(&["--until-caught-up"]);
    assert_eq!(run.wait(), Some(0));
    let quarantined = site.run(&["--json", "show", "quarantine.records", "--limit", "1"]);
    assert_eq!(quarantined.out, "", "a record is in quarantine");
    let answer = site.run(&["audit", "--json"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
}

/// Every value by three other readers; what they say.
fn compare(site: &Site, documents: &str, arguments: &[&str]) -> Option<Value> {
    let Some(python) = python() else {
        leave_out("the values of every type: FOREBAY_TEST_PYTHON is not set");
        return None;
    };
    let file = site.dir.join("documents.jsonl");
    fs::write(&file, documents).unwrap();
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/check_types.py")).args(["--table", "records"]);
    command.args(["--root", site.root.trim_start_matches("file://"), "--documents"]).arg(file).args(arguments);
    let answer = Answer::of(command.output().unwrap());
    assert_eq!(answer.code, Some(0), "{}{}", answer.out, answer.err);
    println!("{}", answer.out);
    Some(answer.json())
}

fn log_entries(site: &Site) -> usize {
    let folder = Path::new(site.root.trim_start_matches("file://")).join("processed/records/_delta_log");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".json")).count()
}

#[test]
fn a_column_that_changes_its_type_stops_its_promotion_and_is_named_and_there_is_a_way_out() {
    let Some(stack) = Stack::find("a column that changes its type") else { return };
    let (site, topic) = site(&stack, 2, "added");
    let freely = |mapping: &str| mapping.replace("format = ", "compatibility = \"none\"\nformat = ");
    let tiny = "name = \"tiny\"\npath = \"tiny\"\ntype = \"int8\"";
    let changed = freely(&mapping(3)).replace(tiny, &tiny.replace("int8", "string"));
    assert!(changed.contains(&tiny.replace("int8", "string")));
    let mut documents = String::new();
    send_records(&site, &topic, 21, 60, &mut documents);
    catch_up(&site);

    // The type is another one: what was promoted stays as it is, and reading goes on.
    fs::write(site.dir.join("records.toml"), &changed).unwrap();
    send_records(&site, &topic, 22, 40, &mut documents);
    let mut run = site.start_with(&["--until-caught-up"]);
    assert_ne!(run.wait(), Some(0));
    let said = fs::read_to_string(&run.log).unwrap();
    assert!(said.contains("column tiny of table records is int8 in Processed and string in the mapping"), "{said}");
    assert_eq!(log_entries(&site), 1);
    let shown = site.ok(&["--json", "show", "raw.records", "--limit", "1000", "--columns", "kafka_offset"]).out;
    assert_eq!(shown.lines().count(), 100);

    // The type is what it was: the files in between still have another, until they are read again.
    fs::write(site.dir.join("records.toml"), freely(&mapping(4))).unwrap();
    let daemon = site.start();
    crate::site::until("the daemon is up", || site.get("/v1/status").is_some());
    crate::site::until("the lane runs", || {
        site.run(&["promote", "records"]).err.contains("column tiny is int8 in the table and string in raw/records/")
    });
    site.ok(&["rewind", &format!("{topic}:0"), "--to", "60", "--reason", "tiny is a number again"]);
    crate::site::until("the records are read again", || {
        let shown = site.run(&["--json", "show", "raw.records", "--limit", "1000", "--columns", "kafka_offset"]);
        shown.out.lines().count() == 100
    });
    site.ok(&["promote", "records"]);
    daemon.stop();
    catch_up(&site);
    compare(&site, &documents, &["--date", "added"]);
}

#[test]
fn every_type_reaches_processed_as_it_was_sent() {
    let Some(stack) = Stack::find("every type through the daemon") else { return };
    let (site, topic) = site(&stack, 2, "wall_ms");
    let mut documents = String::new();
    for seed in [1, 2] {
        send_records(&site, &topic, seed, 150, &mut documents);
        catch_up(&site);
        if let Some(answer) = compare(&site, &documents, &["--date", "wall_ms"]) {
            assert_eq!(answer["old_rows"].as_u64().map(|rows| rows < 30), Some(true), "{answer}");
        }
    }
    assert_eq!(log_entries(&site), 2);
    let shown =
        site.ok(&["--json", "show", "processed.records", "--limit", "1", "--columns", "parts,wall_ms,dt"]).json();
    let wall = shown["wall_ms"].as_str().unwrap();
    assert_eq!((&wall[..10], wall.ends_with('Z')), (shown["dt"].as_str().unwrap(), false), "{shown}");
}

#[test]
fn a_mapping_that_grows_is_read_together_with_what_came_before() {
    let Some(stack) = Stack::find("a mapping that grows") else { return };
    let (site, topic) = site(&stack, 1, "added");
    let mut documents = String::new();
    send_records(&site, &topic, 11, 80, &mut documents);
    catch_up(&site);
    compare(&site, &documents, &["--date", "added", "--before", "--grown-at", "1000"]);

    // More by the first version, committed and not promoted.
    send_records(&site, &topic, 12, 40, &mut documents);
    let daemon = site.start();
    crate::site::until("the records are committed", || {
        let shown = site.run(&["--json", "show", &format!("ledger.{topic}"), "--limit", "1000"]);
        shown.out.lines().count() == 120
    });
    daemon.stop();
    assert_eq!(log_entries(&site), 1);

    map(&site, 2);
    let schema = |site: &Site| site.ok(&["show", "processed.records", "--schema"]).out;
    assert!(!schema(&site).contains("parts"), "the mapping alone changes nothing");
    send_records(&site, &topic, 13, 30, &mut documents);
    catch_up(&site);
    if let Some(answer) = compare(&site, &documents, &["--date", "added", "--grown-at", "120"]) {
        assert!(answer["old_rows"].as_u64() > Some(20), "{answer}");
    }
    // The first promotion; that timestamps without a zone are to be known; both versions in one promotion.
    assert_eq!(log_entries(&site), 3);
    assert!(schema(&site).contains("parts"));
    for zone in ["raw", "processed"] {
        let shown =
            site.ok(&["--json", "show", &format!("{zone}.records"), "--limit", "1000", "--columns", "id,flag"]).out;
        let rows: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let is_null = |row: &&Value| row["flag"].is_null();
        assert!(rows.iter().any(|row| is_null(&row)) && !rows.iter().all(|row| is_null(&row)), "{zone}");
    }
    audit(&site);
}
