//! Quarantined messages through a corrected mapping again, by the daemon that owns them.

use std::fs;

use serde_json::{Value, json};

use crate::bad_input::send;
use crate::lake::audit;
use crate::site::{Disk, Recipe, Site, mapping, until};
use crate::stack::Stack;

/// A book with a record id; its price is only there when it is known.
fn message(id: u32, price: Option<&str>) -> String {
    let price = price.map(|price| format!("<price>{price}</price>")).unwrap_or_default();
    format!(
        "<library branch=\"L1\"><book id=\"B{id}\"><record_id>{id}</record_id><title>t{id}</title>{price}\
         <added>2026-10-15T18:42:00Z</added></book></library>"
    )
}

fn shown(site: &Site, target: &str, columns: &str) -> Vec<Value> {
    let text = site.ok(&["--json", "show", target, "--limit", "1000", "--columns", columns]).out;
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A member of each row of a zone, ascending.
fn sorted(site: &Site, target: &str, column: &str) -> Vec<i64> {
    let mut values: Vec<i64> = shown(site, target, column).iter().map(|row| row[column].as_i64().unwrap()).collect();
    values.sort_unstable();
    values
}

/// The site's books with a mapping of their own, in which the price is required, or not.
fn map(site: &Site, is_price_required: bool) {
    let books = fs::read_to_string(mapping("books.toml")).unwrap();
    let price = books.find("name = \"price\"").unwrap();
    let end = price + books[price..].find("\n\n").unwrap_or(books.len() - price);
    let column: String = books[price..end]
        .lines()
        .filter(|line| !line.starts_with("required"))
        .map(|line| format!("{line}\n"))
        .collect();
    let column = format!("{column}required = {is_price_required}");
    fs::write(site.dir.join("books.toml"), format!("{}{column}{}", &books[..price], &books[end..])).unwrap();
    let config = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), config.replace(&mapping("books.toml"), "books.toml")).unwrap();
}

fn requeue(disk: Disk, what: &str) {
    let Some(stack) = Stack::find(what) else { return };
    let mut site = Site::new(&stack, &Recipe { disk, ..Recipe::default() });
    let topic = site.topic.clone();
    site.create_topic(&topic, 2);
    map(&site, true);

    // Partition 0: the price of 2, 4 and 6 is missing, 7 is no XML. Partition 1: all good, but one that came again
    // later.
    let prices = [Some("1.50"), None, Some("3.50"), None, Some("5.50"), None];
    let mut first: Vec<String> = (1..=6).zip(prices).map(|(id, price)| message(id, price)).collect();
    first.push("<library>".to_owned());
    let second = [message(11, Some("1.00")), message(12, Some("2.00"))];
    let send_all = |partition: i32, messages: &[String]| {
        let payloads: Vec<Option<&[u8]>> = messages.iter().map(|message| Some(message.as_bytes())).collect();
        send(&site, &topic, partition, &payloads);
    };
    send_all(0, &first);
    send_all(1, &second);
    let daemon = site.start();
    site.wait_committed(&[7, 2]);
    site.ok(&["promote"]);
    assert_eq!(sorted(&site, "quarantine.books", "kafka_offset"), [1, 3, 5, 6]);
    assert_eq!(sorted(&site, "processed.books", "record_id"), [1, 3, 5, 11, 12]);
    // Today's mapping is still the strict one: nothing changes, and nobody is disturbed.
    let epochs = |site: &Site| -> Vec<Value> { site.lanes().into_iter().map(|lane| lane["epoch"].clone()).collect() };
    let before = epochs(&site);
    let nothing = site.json(&["requeue", "books"]);
    assert_eq!(
        (&nothing["lanes"][0]["messages"], &nothing["lanes"][0]["unchanged"]),
        (&json!(4), &json!(4)),
        "{nothing}"
    );
    assert_eq!(epochs(&site), before);
    daemon.stop();

    map(&site, false);
    let daemon = site.start();
    until("both lanes run", || site.lanes().iter().filter(|lane| lane["state"] == "running").count() == 2);
    let planned = site.json(&["requeue", "books", "--dry-run", "--code", "rule.required"]);
    assert_eq!((&planned["dry_run"], &planned["lanes"][0]["released"]), (&json!(true), &json!(3)), "{planned}");
    assert_eq!(sorted(&site, "quarantine.books", "kafka_offset"), [1, 3, 5, 6], "a dry run changes nothing");

    let text = site.ok(&["requeue", "books", "--reason", "the price may be missing"]).out;
    assert!(text.contains(&format!("{topic}:0: 3 of 4 messages left quarantine (3 rows in books)")), "{text}");
    assert!(text.contains("1 stay as they were"), "{text}");
    assert_eq!(sorted(&site, "quarantine.books", "kafka_offset"), [6], "what is still bad stays");
    assert_eq!(sorted(&site, "raw.books", "record_id"), [1, 2, 3, 4, 5, 6, 11, 12]);
    let ledger = shown(&site, &format!("ledger.{topic}"), "kafka_offset,outcome,rows");
    let good = ledger.iter().filter(|row| row["outcome"] == "rows" && row["rows"] == 1).count();
    assert_eq!((ledger.len(), good), (9, 8), "{ledger:?}");
    audit(&site);

    site.ok(&["promote"]);
    assert_eq!(sorted(&site, "processed.books", "record_id"), [1, 2, 3, 4, 5, 6, 11, 12]);
    audit(&site);
    // Run twice: nothing more, and no lane is stopped for it.
    let (raw, epochs_after) = (shown(&site, "raw.books", "kafka_offset,kafka_partition"), epochs(&site));
    let again = site.json(&["requeue", "books"]);
    assert_eq!((&again["lanes"][0]["intervals"], &again["lanes"][0]["unchanged"]), (&json!(0), &json!(1)), "{again}");
    assert_eq!(shown(&site, "raw.books", "kafka_offset,kafka_partition"), raw);
    assert_eq!(epochs(&site), epochs_after);
    let promoted = site.ok(&["promote"]).out;
    assert!(promoted.contains("nothing to promote"), "{promoted}");

    // It goes on reading.
    send_all(0, &[message(8, None)]);
    site.wait_committed(&[8, 2]);
    site.ok(&["promote"]);
    assert_eq!(sorted(&site, "processed.books", "record_id"), [1, 2, 3, 4, 5, 6, 8, 11, 12]);
    audit(&site);

    for (arguments, code, said) in [
        (&["requeue", "boks"][..], 1, "there is no table boks"),
        (&["requeue", "books", "--code", "type.itn"], 2, "type.int"),
        (&["requeue", "_unrouted"], 0, ""),
    ] {
        let answer = site.run(arguments);
        assert!(answer.code == Some(code) && answer.err.contains(said), "{arguments:?}: {answer:?}");
    }
    assert_eq!(site.events("lane.requeued").len(), 1);
    let record = fs::read_to_string(site.dir.join("logs/control.jsonl")).unwrap();
    let records: Vec<Value> = record.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let done = records.iter().find(|line| line["arguments"]["reason"] == "the price may be missing").unwrap();
    assert_eq!((&done["command"], &done["arguments"]["table"]), (&json!("requeue"), &json!("books")), "{done}");
    assert_eq!(done["before"]["lanes"].as_array().map(Vec::len), Some(2), "{done}");
    daemon.stop();
    audit(&site);
}

#[test]
fn quarantined_messages_come_again_when_the_mapping_is_corrected() {
    requeue(Disk::Local, "requeue on local disk");
}

#[test]
fn quarantined_messages_come_again_on_hdfs() {
    requeue(Disk::Hdfs, "requeue on HDFS");
}

#[test]
fn a_daemon_that_does_not_own_the_partition_names_the_owner() {
    let Some(stack) = Stack::find("requeue by another daemon") else { return };
    let mut site = Site::new(&stack, &Recipe::default());
    let topic = site.topic.clone();
    site.create_topic(&topic, 1);
    send(&site, &topic, 0, &[Some(b"<library>"), Some(b"")]);
    let daemon = site.start();
    site.wait_committed(&[2]);
    daemon.stop();

    // The same lake and table, and no topic of it.
    let other = site.beside(&Recipe { topics: Some("topics = [\"nobody-sends-here\"]".into()), ..Recipe::default() });
    other.ok(&["topic", "create", "nobody-sends-here", "--partitions", "1"]);
    let idle = other.start();
    until("the other daemon runs", || {
        other.get("/v1/lanes").is_some_and(|lanes| lanes["lanes"].as_array().is_some_and(|lanes| lanes.len() == 1))
    });
    let (status, body) = other.http("POST", "/v1/requeue", r#"{"table":"books"}"#).unwrap();
    assert_eq!(status, 409, "{body}");
    assert!(body.contains(&format!("{topic}:0 is not assigned to this daemon; its last owner is")), "{body}");
    let refused = other.run(&["requeue", "books"]);
    assert!(refused.code == Some(1) && refused.err.contains("not assigned to this daemon"), "{refused:?}");
    idle.stop();
}
