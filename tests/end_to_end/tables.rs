//! Several tables on one topic, one with child tables: every row where it belongs, once, through kills and a rewind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Arc, Mutex};

use forebay::flow::read::producer::{Outgoing, Producer};
use forebay::flow::read::settings::Settings;
use serde_json::{Value, json};

use crate::lake::audit;
use crate::letters::{consume, unique, wait_sent};
use crate::site::{PATIENCE, Recipe, Site, until};
use crate::stack::Stack;

const SHELVES: &str = r#"
version = 3
format = "xml"

[message]
root = "s:shelf"
rows = "s:book"
unmapped = "count"

[namespaces]
s = "urn:shelf"

[on_error]
message = "keep-good-rows"

[[column]]
name = "record_id"
path = "@id"
type = "int64"
required = true

[[column]]
name = "added"
path = "@added"
type = "date"

[[child]]
name = "shelf_authors"
rows = "s:author"

  [[child.column]]
  name = "author"
  path = "@name"
  type = "string"

  [[child.child]]
  name = "shelf_works"
  rows = "s:work"

    [[child.child.column]]
    name = "work"
    path = "text()"
    type = "string"
"#;

const STRAYS: &str = r#"
version = 1
format = "xml"

[message]
root = "s:stray"

[namespaces]
s = "urn:shelf"

[[column]]
name = "what"
path = "text()"
type = "string"
"#;

const NOTES: &str =
    "version = 1\nformat = \"xml\"\n[[column]]\nname = \"note\"\npath = \"/text()\"\ntype = \"string\"\n";

/// A row as the lake has it, without the columns that every table has.
type Row = BTreeMap<String, Value>;

/// What a message has to become.
#[derive(Default)]
struct Expected {
    /// Rows by table; offset and partition follow when it was sent.
    rows: Vec<(&'static str, Row)>,
    /// Outcome, table and first violation of the ledger.
    ledger: (&'static str, Option<&'static str>, Option<&'static str>),
}

struct Made {
    payload: Option<String>,
    headers: Vec<(&'static str, Option<&'static [u8]>)>,
    expected: Expected,
}

fn row(pairs: &Value) -> Row {
    pairs.as_object().unwrap().clone().into_iter().collect()
}

/// A shelf of books with authors with works; some books have no id, some a date long ago.
fn shelf(random: &mut fastrand::Rng, number: usize) -> Made {
    let mut books = String::new();
    let (mut rows, mut bad, mut first_bad) = (Vec::new(), 0, None);
    let mut good = 0;
    for index in 0..random.usize(0..4) {
        let flaw = random.usize(0..8);
        let (id, added) = (number * 10 + index, if flaw == 1 { "1900-01-01" } else { "2026-10-15" });
        let id_text = if flaw == 0 { String::new() } else { format!(" id='{id}'") };
        books.push_str(&format!("<s:book{id_text} added='{added}' lang='en'>"));
        let (mut authors, mut works) = (0, 0);
        let mut of_book = vec![("shelves", row(&json!({"record_id": id, "added": added, "row_index": index})))];
        for author in 0..random.usize(0..4) {
            let name = format!("a{number}.{index}.{author} é");
            books.push_str(&format!("<s:author name='{name}' born='1950'>"));
            of_book.push(("shelf_authors", row(&json!({"author": name, "row_index": index, "ordinal": authors}))));
            for work in 0..random.usize(0..3) {
                let title = format!("w{number}.{index}.{author}.{work}");
                books.push_str(&format!("<s:work>{title}</s:work>"));
                let place = json!({"work": title, "row_index": index, "ordinal": works, "parent_ordinal": authors});
                of_book.push(("shelf_works", row(&place)));
                works += 1;
            }
            books.push_str("</s:author>");
            authors += 1;
        }
        books.push_str("</s:book>");
        if flaw < 2 {
            bad += 1;
            // The parser's violations come before those of the rules on finished rows.
            let code = if flaw == 0 { "rule.required" } else { "rule.date" };
            first_bad = if first_bad == Some("rule.required") {
                first_bad
            } else {
                first_bad.filter(|_| flaw == 1).or(Some(code))
            };
        } else {
            good += 1;
            rows.extend(of_book);
        }
    }
    let outcome = if bad == 0 {
        "rows"
    } else if good > 0 {
        "partial"
    } else {
        "quarantined"
    };
    let payload = format!("<s:shelf xmlns:s='urn:shelf'>{books}</s:shelf>");
    let expected = Expected { rows, ledger: (outcome, Some("shelves"), first_bad) };
    Made { payload: Some(payload), headers: vec![("kind", Some(b"shelf"))], expected }
}

fn make(random: &mut fastrand::Rng, number: usize) -> Made {
    let nothing = |payload: Option<&str>, ledger| Made {
        payload: payload.map(str::to_owned),
        headers: Vec::new(),
        expected: Expected { rows: Vec::new(), ledger },
    };
    match random.usize(0..10) {
        0 => nothing(None, ("tombstone", None, None)),
        1 => nothing(Some("<stray xmlns='urn:shelf'/>"), ("quarantined", None, Some("shape.unrouted"))),
        2 => nothing(Some(""), ("quarantined", None, Some("xml.empty"))),
        3 | 4 => {
            let rows = vec![("notes", row(&json!({"note": format!("n{number}"), "row_index": 0})))];
            Made {
                payload: Some(format!("<shelf>n{number}</shelf>")),
                headers: vec![("kind", None), ("kind", Some(b"note"))],
                expected: Expected { rows, ledger: ("rows", Some("notes"), None) },
            }
        }
        _ => shelf(random, number),
    }
}

/// Messages in Kafka, by partition and offset.
#[derive(Default)]
struct Sent {
    expected: BTreeMap<(i32, i64), Expected>,
}

impl Sent {
    fn send(&mut self, site: &Site, messages: Vec<Made>) {
        let user = [("bootstrap.servers".to_owned(), site.stack.kafka.clone())].into();
        let settings = Settings { user, ..Settings::default() };
        let places = Arc::new(Mutex::new(vec![None; messages.len()]));
        let told = Arc::clone(&places);
        let producer = Producer::connect(&settings, move |delivery| {
            told.lock().unwrap()[delivery.number] = Some(delivery.place.unwrap());
        });
        let producer = producer.unwrap();
        for (number, message) in messages.iter().enumerate() {
            let partition = Some((number % 2) as i32);
            let payload = message.payload.as_deref().map(str::as_bytes);
            let headers = &message.headers;
            producer.send(Outgoing { number, topic: &site.topic, partition, key: None, payload, headers }).unwrap();
        }
        assert_eq!(producer.flush(PATIENCE).unwrap(), 0);
        let places = places.lock().unwrap().clone();
        for (message, place) in messages.into_iter().zip(places) {
            let place = place.unwrap();
            self.expected.insert((place.partition, place.offset), message.expected);
        }
    }

    fn ends(&self) -> Vec<i64> {
        let end =
            |wanted| self.expected.keys().filter(|(partition, _)| *partition == wanted).map(|(_, at)| at + 1).max();
        [0, 1].map(|partition| end(partition).unwrap_or(0)).to_vec()
    }

    /// Every row of every table, and every line of the ledger.
    #[track_caller]
    fn compare(&self, site: &Site) {
        let mut expected: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
        let mut ledger = Vec::new();
        for ((partition, offset), message) in &self.expected {
            for (table, row) in &message.rows {
                let mut row = row.clone();
                row.insert("kafka_topic".to_owned(), json!(site.topic));
                row.insert("kafka_partition".to_owned(), json!(partition));
                row.insert("kafka_offset".to_owned(), json!(offset));
                expected.entry(table).or_default().push(row);
            }
            let (outcome, table, code) = message.ledger;
            let rows = message.rows.iter().filter(|(of, _)| Some(*of) == table).count();
            ledger.push(row(&json!({
                "kafka_offset": offset, "outcome": outcome, "table": table, "rows": rows, "code": code,
            })));
        }
        assert_eq!(expected.len(), 4, "every table has rows");
        for (table, mut expected) in expected {
            let mut found = shown(site, &format!("raw.{table}"), &["dt", "hr", "kafka_timestamp"]);
            sort(&mut expected);
            sort(&mut found);
            assert_eq!(found.len(), expected.len(), "rows of {table}");
            assert_eq!(found, expected, "{table}");
        }
        let mut found = shown(site, &format!("ledger.{}", site.topic), &["dt", "p", "kafka_timestamp"]);
        sort(&mut ledger);
        sort(&mut found);
        assert_eq!(found, ledger);
    }
}

impl Sent {
    /// The keys of a dead-letter topic, all of whose letters are of one table.
    fn letters(&self, site: &Site, dead: &str, table: &str) -> BTreeSet<String> {
        let letters = consume(site, dead);
        assert!(letters.iter().all(|letter| letter.header("forebay.table") == Some(table)), "{table}");
        letters.into_iter().map(|letter| letter.key).collect()
    }

    /// The keys of all messages that are in quarantine of a table, wholly or in part.
    fn failed(&self, topic: &str, table: &str) -> BTreeSet<String> {
        let failed = self.expected.iter().filter(|(_, message)| {
            let (outcome, of, _) = message.ledger;
            matches!(outcome, "quarantined" | "partial") && of.unwrap_or("_unrouted") == table
        });
        failed.map(|((partition, offset), _)| format!("{topic}:{partition}:{offset}")).collect()
    }
}

fn sort(rows: &mut [Row]) {
    rows.sort_by_cached_key(|row| serde_json::to_string(row).unwrap());
}

fn shown(site: &Site, target: &str, without: &[&str]) -> Vec<Row> {
    let text = site.ok(&["--json", "show", target, "--limit", "10000000"]).out;
    let lines = text.lines().map(|line| serde_json::from_str::<Row>(line).unwrap());
    lines
        .map(|mut row| {
            row.retain(|name, _| !without.contains(&name.as_str()));
            row
        })
        .collect()
}

/// What no column takes is told with the columns that would.
fn drift(site: &Site) {
    for (table, path, data_type, block) in
        [("shelves", "@lang", "string", "[[column]]"), ("shelf_authors", "@born", "int64", "[[child.column]]")]
    {
        let told = site.json(&["drift", table]);
        let columns = told["columns"].as_array().unwrap();
        assert_eq!((columns.len(), &columns[0]["path"], &columns[0]["type"]), (1, &json!(path), &json!(data_type)));
        assert!(told["total"].as_u64() > Some(0), "{told}");
        assert!(site.ok(&["drift", table]).out.contains(block));
    }
    let metrics = site.http("GET", "/metrics", "").unwrap().1;
    assert!(metrics.contains("forebay_unmapped_total{table=\"shelves\"}"), "{metrics}");
    assert!(site.ok(&["status"]).out.contains("shelf_authors unmapped: "));
    assert_eq!(site.run(&["drift", "nothing"]).code, Some(1));
}

#[test]
fn messages_of_one_topic_reach_their_tables_and_child_tables_once() {
    let Some(stack) = Stack::find("several tables on one topic") else { return };
    let seed = fastrand::u64(..1 << 40);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut site = Site::new(&stack, &Recipe::default());
    let topic = site.topic.clone();
    site.create_topic(&topic, 2);
    fs::write(site.dir.join("shelves.toml"), SHELVES).unwrap();
    fs::write(site.dir.join("notes.toml"), NOTES).unwrap();
    let text = fs::read_to_string(site.config()).unwrap();
    let (head, _) = text.split_once("[[table]]").unwrap();
    let dead = ["shelves", "notes", "_unrouted"].map(|table| (table, unique("dead")));
    dead.iter().for_each(|(_, dead)| site.create_topic(dead, 2));
    let [shelves_dead, notes_dead, nobodys_dead] = [&dead[0].1, &dead[1].1, &dead[2].1];
    let tables = format!(
        "[unrouted]\ntopic = \"{nobodys_dead}\"\n\
         [[table]]\nname = \"shelves\"\ntopics = [\"{topic}\"]\nmapping = \"shelves.toml\"\nwhen = {{ root = \"s:shelf\" }}\n\
         [table.raw]\nroll_age = \"300ms\"\n[table.processed]\nrecord_id = [\"record_id\"]\ndate = \"added\"\n\
         [table.quarantine]\ntopic = \"{shelves_dead}\"\n\n\
         [[table]]\nname = \"notes\"\ntopics = [\"{topic}\"]\nmapping = \"notes.toml\"\nwhen = {{ header = \"kind=note\" }}\n\
         [table.raw]\nroll_age = \"300ms\"\n[table.quarantine]\ntopic = \"{notes_dead}\"\n"
    );
    fs::write(site.config(), format!("{head}{tables}")).unwrap();
    site.ok(&["check"]);

    let mut sent = Sent::default();
    let mut number = 0;
    for round in 0..4 {
        let some: Vec<Made> = (0..400)
            .map(|_| {
                number += 1;
                make(&mut random, number)
            })
            .collect();
        sent.send(&site, some);
        let daemon = site.start();
        until("a commit", || site.lanes().iter().any(|lane| !lane["last_commit_at"].is_null()));
        if round == 3 {
            site.wait_committed(&sent.ends());
            let tables = site.get("/v1/tables").unwrap()["tables"].clone();
            let names: Vec<_> = tables.as_array().unwrap().iter().map(|table| table["name"].clone()).collect();
            assert_eq!(names, ["shelves", "notes", "shelf_authors", "shelf_works", "_unrouted"], "{tables}");
            drift(&site);
        }
        daemon.kill();
    }
    let daemon = site.start();
    site.wait_committed(&sent.ends());
    sent.compare(&site);
    let unrouted = shown(&site, "quarantine._unrouted", &[]).len();
    let nobodys = |message: &&Expected| message.ledger.0 == "quarantined" && message.ledger.1.is_none();
    assert_eq!(unrouted, sent.expected.values().filter(nobodys).count());
    wait_sent(&site);
    for (table, dead) in &dead {
        assert_eq!(sent.letters(&site, dead, table), sent.failed(&topic, table), "dead letters of {table}");
    }

    let (end, lane) = (sent.ends()[0], format!("{topic}:0"));
    let mut unmapped = 0;
    for _ in 0..2 {
        site.json(&["rewind", &lane, "--to", &(end / 2).to_string(), "--expect", &end.to_string()]);
        site.wait_committed(&sent.ends());
        sent.compare(&site);
        let so_far = site.json(&["drift", "shelves"])["total"].as_u64().unwrap();
        assert!(so_far > unmapped, "a lane that is started again does not begin to count anew");
        unmapped = so_far;
    }
    site.ok(&["promote", "shelves"]);
    audit(&site);
    let rows =
        |table: &str| sent.expected.values().flat_map(|message| &message.rows).filter(|row| row.0 == table).count();
    assert_eq!(shown(&site, "processed.shelves", &[]).len(), rows("shelves"), "each record was sent once");
    let audited = site.json(&["audit"])["tables"].clone();
    for table in ["shelves", "notes", "shelf_authors", "shelf_works"] {
        let of_table = audited.as_array().unwrap().iter().find(|audited| audited["table"] == table);
        assert_eq!(of_table.unwrap()["rows"], rows(table), "{audited}");
    }
    wait_sent(&site);
    daemon.stop();

    // A table comes that takes some of what nobody took, and finds it bad: it is in quarantine of that table now, and a
    // letter of that table.
    let strays_dead = unique("dead");
    site.create_topic(&strays_dead, 1);
    fs::write(site.dir.join("strays.toml"), STRAYS.replace("type =", "required = true\ntype =")).unwrap();
    let strays = format!(
        "[[table]]\nname = \"strays\"\ntopics = [\"{topic}\"]\nmapping = \"strays.toml\"\nwhen = {{ root = \"s:stray\" }}\n\
         [table.quarantine]\ntopic = \"{strays_dead}\"\n"
    );
    let text = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), format!("{text}\n{strays}")).unwrap();
    let is_stray = |message: &Expected| message.ledger.2 == Some("shape.unrouted");
    let strays: BTreeSet<String> = sent
        .expected
        .iter()
        .filter(|(_, message)| is_stray(message))
        .map(|((partition, offset), _)| format!("{topic}:{partition}:{offset}"))
        .collect();
    assert!(!strays.is_empty());
    let running = |site: &Site| site.lanes().iter().filter(|lane| lane["state"] == "running").count() == 2;
    let sum = |done: &Value, what: &str| -> usize {
        let lanes = done["lanes"].as_array().unwrap();
        lanes.iter().map(|lane| usize::try_from(lane[what].as_u64().unwrap()).unwrap()).sum()
    };
    let daemon = site.start();
    until("both lanes run", || running(&site));
    let done = site.json(&["requeue", "_unrouted"]);
    assert_eq!((sum(&done, "released"), sum(&done, "renewed")), (0, strays.len()), "{done}");
    assert_eq!(shown(&site, "quarantine._unrouted", &[]).len(), unrouted - strays.len());
    assert_eq!(shown(&site, "quarantine.strays", &[]).len(), strays.len());
    wait_sent(&site);
    assert_eq!(sent.letters(&site, &strays_dead, "strays"), strays);
    daemon.stop();

    // It is put right.
    fs::write(site.dir.join("strays.toml"), STRAYS.replace("version = 1", "version = 2")).unwrap();
    let daemon = site.start();
    until("both lanes run", || running(&site));
    let done = site.json(&["requeue", "strays"]);
    assert_eq!(sum(&done, "released"), strays.len(), "{done}");
    assert_eq!(shown(&site, "raw.strays", &[]).len(), strays.len());
    assert_eq!(site.run(&["show", "quarantine.strays"]).code, Some(1), "nothing is left there");
    assert_eq!(site.run(&["audit"]).code, Some(0));
    daemon.stop();
}
