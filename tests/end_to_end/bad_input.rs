//! Messages, configurations and neighbours that are not as they should be.

use std::fs;
use std::sync::{Arc, Mutex};

use forebay::flow::read::producer::{Outgoing, Producer};
use forebay::flow::read::settings::Settings;
use serde_json::{Value, json};

use crate::lake::{Account, Load, audit};
use crate::site::{PATIENCE, Recipe, Site, mapping};
use crate::stack::Stack;

/// Sends payloads to one Kafka partition; answers the offsets.
pub(crate) fn send(site: &Site, topic: &str, partition: i32, payloads: &[Option<&[u8]>]) -> Vec<i64> {
    let user = [("bootstrap.servers", site.stack.kafka.as_str()), ("message.max.bytes", "40000000")];
    let user = user.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let settings = Settings { user, ..Settings::default() };
    let offsets = Arc::new(Mutex::new(vec![-1; payloads.len()]));
    let told = Arc::clone(&offsets);
    let producer = Producer::connect(&settings, move |delivery| {
        told.lock().unwrap()[delivery.number] = delivery.place.unwrap().offset;
    });
    let producer = producer.unwrap();
    for (number, payload) in payloads.iter().enumerate() {
        producer
            .send(Outgoing { number, topic, partition: Some(partition), key: None, payload: *payload, headers: &[] })
            .unwrap();
    }
    assert_eq!(producer.flush(PATIENCE).unwrap(), 0);
    let offsets = offsets.lock().unwrap().clone();
    assert!(offsets.iter().all(|offset| *offset >= 0), "{offsets:?}");
    offsets
}

fn library(book: &str) -> String {
    format!("<library branch=\"L1\"><book id=\"B1\">{book}</book></library>")
}

#[test]
fn messages_that_cannot_be_rows_are_quarantined_with_their_reasons_and_their_bytes() {
    let Some(stack) = Stack::find("bad messages") else { return };
    let site = Site::new(&stack, &Recipe::default());
    let topic = site.topic.clone();
    site.ok(&["topic", "create", &topic, "--partitions", "1", "--set", "max.message.bytes=31457280"]);
    let good = "<record_id>1</record_id><title>t</title><added>2026-10-15T18:42:00Z</added>";
    let huge = format!("<library branch=\"L1\"><!-- {} --></library>", "x".repeat(20 << 20));
    let wrong = library(&good.replace('1', "one").replace("2026", "20x6"));
    let deep = format!("<library>{}{}</library>", "<a>".repeat(300), "</a>".repeat(300));
    let messages: [(&str, &[u8], &[&str]); 9] = [
        ("20 MB", huge.as_bytes(), &["limit.bytes"]),
        ("empty", b"", &["xml.empty"]),
        ("not XML", b"{\"a\": 1}", &["xml.text-outside-root", "xml.no-root"]),
        ("binary", b"\x00\xff\x01PAR1", &["xml.encoding", "xml.character"]),
        ("wrong types", wrong.as_bytes(), &["type.int"]),
        ("missing", b"<library><book id=\"B\"><title>t</title></book></library>", &["rule.required"]),
        ("a DTD", b"<!DOCTYPE library [<!ENTITY a \"b\">]><library/>", &["dtd.refused"]),
        ("another root", b"<shop/>", &["shape.root"]),
        ("too deep", deep.as_bytes(), &["limit.depth"]),
    ];
    let mut payloads: Vec<Option<&[u8]>> = messages.iter().map(|(_, payload, _)| Some(*payload)).collect();
    let first = library(good);
    payloads.extend([Some(first.as_bytes()), None]);
    let offsets = send(&site, &topic, 0, &payloads);
    let mut daemon = site.start();
    site.wait_committed(&[offsets.last().unwrap() + 1]);

    let shown = |columns: &str| -> Vec<Value> {
        let text = site.ok(&["--json", "show", "quarantine.books", "--columns", columns]).out;
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let rows = shown("kafka_offset,violations,mapping");
    assert_eq!(rows.len(), messages.len(), "{rows:#?}");
    for ((row, offset), (name, _, codes)) in rows.iter().zip(&offsets).zip(&messages) {
        assert_eq!(row["kafka_offset"], *offset, "{name}");
        let violations = row["violations"].as_array().unwrap();
        let found: Vec<_> = violations.iter().map(|violation| violation["code"].as_str().unwrap()).collect();
        assert!(codes.contains(&found[0]), "{name}: {found:?}, not {codes:?}");
        if *name == "wrong types" {
            assert_eq!(found, ["type.int", "type.timestamp"], "every violation is told");
            assert_eq!((&violations[0]["column"], &violations[0]["value"]), (&json!("record_id"), &json!("one")));
        }
    }
    let bytes = shown("payload");
    for (row, (name, payload, _)) in bytes.iter().zip(&messages) {
        use base64::Engine;
        let kept = base64::engine::general_purpose::STANDARD.decode(row["payload"].as_str().unwrap()).unwrap();
        assert!(kept == *payload, "{name}: {} bytes kept of {}", kept.len(), payload.len());
    }
    let lane = site.lane(0).unwrap();
    assert_eq!((&lane["state"], &lane["generation"]), (&json!("running"), &json!(1)), "no restart: {lane}");
    let ledger = site.ok(&["--json", "show", &format!("ledger.{topic}"), "--where", "outcome=tombstone"]).out;
    assert_eq!(ledger.lines().count(), 1, "{ledger}");
    daemon.terminate();
    assert_eq!(daemon.wait(), Some(0));
    assert_eq!(site.run(&["audit"]).code, Some(0));
}

#[test]
fn a_wrong_configuration_is_told_whole_and_nothing_is_started() {
    let Some(stack) = Stack::find("wrong configurations") else { return };
    let site = Site::new(&stack, &Recipe::default());
    let good = fs::read_to_string(site.config()).unwrap();
    assert_eq!(site.run(&["check"]).code, Some(0));
    assert_eq!(site.run(&["check", "--connect"]).code, Some(0));

    let bad = good
        .replace("[control]\nsocket", "[control]\nsokcet")
        .replace("memory = \"64MiB\"", "memory = \"64 elephants\"")
        .replace("date = \"added\"", "date = \"title\"")
        .replace("roll_age = \"500ms\"", "roll_age = \"soon\"")
        .replace("\"group.id\"", "\"enable.auto.commit\" = true\n\"group.id\"");
    fs::write(site.config(), bad).unwrap();
    let mut daemon = site.start();
    assert_eq!(daemon.wait(), Some(78));
    let said = fs::read_to_string(&daemon.log).unwrap();
    let check = site.run(&["check"]);
    assert_eq!(check.code, Some(1), "{check:?}");
    for problem in ["sokcet", "elephants", "title", "soon", "enable.auto.commit"] {
        assert!(said.contains(problem), "run does not tell {problem}:\n{said}");
        assert!(check.out.contains(problem), "check does not tell {problem}:\n{}", check.out);
    }
    let document = site.run(&["--json", "check"]).json();
    assert!(document["problems"].as_array().is_some_and(|problems| problems.len() >= 5), "{document}");
    assert_eq!(site.run(&["status"]).code, Some(78));
    assert!(!site.dir.join("lake").exists(), "nothing was started");
}

#[test]
fn a_mapping_column_that_clashes_is_a_configuration_error() {
    let Some(stack) = Stack::find("a clash of columns") else { return };
    let site = Site::new(&stack, &Recipe::default());
    let books = fs::read_to_string(mapping("books.toml")).unwrap();
    let clash =
        books.replace("name = \"genre\"", "name = \"kafka_offset\"").replace("name = \"lang\"", "name = \"title\"");
    fs::write(site.dir.join("clash.toml"), clash).unwrap();
    let config = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), config.replace(&mapping("books.toml"), "clash.toml")).unwrap();
    let mut daemon = site.start();
    assert_eq!(daemon.wait(), Some(78));
    let said = fs::read_to_string(&daemon.log).unwrap();
    assert!(said.contains("kafka_offset") && said.contains("title") && said.contains("clash.toml"), "{said}");
    assert_eq!(site.run(&["check"]).code, Some(1));
}

#[test]
fn a_second_daemon_outside_the_group_is_refused_and_the_first_goes_on() {
    let Some(stack) = Stack::find("a second daemon on one lake") else { return };
    let mut site = Site::new(&stack, &Recipe::default());
    let topic = site.topic.clone();
    site.create_topic(&topic, 4);
    let mut account = Account::produce(&site, &Load { messages: 400, rate: None, seed: 31 });
    let first = site.start();
    site.wait_committed(&account.ends());

    let other = site.beside(&Recipe::default());
    let mut second = other.start();
    assert_eq!(second.wait(), Some(78), "not one of its lanes can ever go on, and only a person can change that");
    let said = fs::read_to_string(&second.log).unwrap();
    assert!(said.contains("another consumer group") && said.contains("--take-over"), "{said}");
    assert_eq!(other.events("lane.halted").len(), 4, "{said}");
    account.add(Account::produce(&site, &Load { messages: 400, rate: None, seed: 32 }));
    site.wait_committed(&account.ends());
    for lane in site.lanes() {
        assert_eq!((&lane["state"], &lane["generation"]), (&json!("running"), &json!(1)), "undisturbed: {lane}");
    }
    site.ok(&["promote"]);
    first.stop();

    account.add(Account::produce(&site, &Load { messages: 400, rate: None, seed: 33 }));
    let mut heir = other.start_with(&["--take-over", "--until-caught-up"]);
    assert_eq!(heir.wait(), Some(0), "an operator may say that the lake is the other group's now");
    audit(&site);
    account.compare(&site);
}
