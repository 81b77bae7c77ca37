//! Kafka deletes what was never read, and the ledger says so in the end.

use futures::executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::bad_input::send;
use crate::lake::audit;
use crate::site::{Recipe, Site, until};
use crate::stack::{OwnStack, Stack};

/// One message for each id, with one book.
fn send_books(site: &Site, ids: std::ops::Range<i64>) {
    let book = |id: i64| {
        format!(
            "<library branch=\"L1\"><book id=\"B{id}\" lang=\"en\"><record_id>{id}</record_id><title>book {id}</title>\
             <added>2026-10-15T18:42:00Z</added></book></library>"
        )
    };
    let books: Vec<String> = ids.map(book).collect();
    let payloads: Vec<Option<&[u8]>> = books.iter().map(|book| Some(book.as_bytes())).collect();
    send(site, &site.topic, 0, &payloads);
}

/// The broker dies, and comes back with half of what it had: it had written no more to disk.
fn lose_half(stack: &OwnStack, topic: &str) {
    stack.order(&["kill", "kafka"]);
    let log = stack.folder().join(format!("kafka/data/{topic}-0/00000000000000000000.log"));
    let log = std::fs::File::options().write(true).open(log).unwrap();
    log.set_len(log.metadata().unwrap().len() / 2).unwrap();
    stack.order(&["start", "kafka"]);
}

fn delete_below(site: &Site, offset: i64) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &site.stack.kafka).create().unwrap();
    let mut places = TopicPartitionList::new();
    places.add_partition_offset(&site.topic, 0, Offset::Offset(offset)).unwrap();
    block_on(admin.delete_records(&places, &AdminOptions::new())).unwrap();
}

fn ids(site: &Site) -> Vec<i64> {
    let shown = site.ok(&["--json", "show", "processed.books", "--limit", "1000", "--columns", "record_id"]).out;
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["record_id"].as_i64().unwrap();
    let mut ids: Vec<i64> = shown.lines().map(id).collect();
    ids.sort_unstable();
    ids
}

fn invariant<'a>(document: &'a Value, id: &str) -> &'a Value {
    document["invariants"].as_array().unwrap().iter().find(|one| one["id"] == id).unwrap()
}

#[test]
fn messages_that_kafka_has_deleted_are_waited_for_until_an_operator_accepts_the_loss() {
    let Some(stack) = Stack::find("records that are deleted before they are read") else { return };
    let mut site = Site::new(&stack, &Recipe::default());
    let topic = site.topic.clone();
    let lane = format!("{topic}:0");
    site.create_topic(&topic, 1);
    send_books(&site, 0..30);
    let daemon = site.start();
    site.wait_committed(&[30]);
    let early = site.run(&["accept-loss", &lane]);
    assert!(early.code == Some(1) && early.err.contains("nothing is lost"), "{early:?}");
    let other = site.run(&["accept-loss", &format!("{topic}:7")]);
    assert!(other.code == Some(1) && other.err.contains("not assigned to this daemon"), "{other:?}");
    daemon.stop();

    send_books(&site, 30..60);
    delete_below(&site, 45);
    let daemon = site.start();
    until("the lane halts and says what to do", || {
        site.lane(0).is_some_and(|found| {
            let fault = found["last_fault"].as_str().unwrap_or_default();
            found["state"] == "halted" && fault.contains(&format!("`forebay accept-loss {lane}`"))
        })
    });
    let looked = site.ok(&["accept-loss", &lane, "--dry-run"]).out;
    assert!(looked.contains("offsets 30 to 45") && looked.contains("would be recorded as lost"), "{looked}");
    assert_eq!(site.lane(0).unwrap()["state"], "halted");
    let audited = site.run(&["audit", "--json"]);
    assert_eq!(audited.code, Some(1), "{audited:?}");
    let document = audited.json();
    let progress = invariant(&document, "I9");
    assert_eq!((&progress["ok"], &progress["checked"]), (&json!(false), &json!(1)), "{document}");
    let found = &progress["violations"][0];
    assert_eq!((&found["topic"], &found["offset"]), (&json!(topic), &json!(30)), "{document}");
    assert!(found["what"].as_str().unwrap().contains(&format!("`forebay accept-loss {lane}`")), "{document}");
    let others = document["invariants"].as_array().unwrap().iter().filter(|one| one["id"] != "I9");
    assert!(others.into_iter().all(|one| one["ok"] == true), "{document}");
    let accepted = site.json(&["accept-loss", &lane, "--reason", "retention was short"]);
    assert_eq!((&accepted["from"], &accepted["to"], &accepted["dry_run"]), (&json!(30), &json!(45), &json!(false)));
    site.wait_committed(&[60]);
    site.ok(&["promote"]);
    assert_eq!(ids(&site), (0..30).chain(45..60).collect::<Vec<_>>());
    audit(&site);
    let document = site.json(&["audit"]);
    let lane_of = &document["partitions"][0];
    assert_eq!((&lane_of["to"], &lane_of["low"], &lane_of["high"]), (&json!(60), &json!(45), &json!(60)), "{document}");
    assert_eq!((&invariant(&document, "I3")["checked"], &document["not_compared"]), (&json!(1), &json!([])));
    let control = std::fs::read_to_string(site.dir.join("logs/control.jsonl")).unwrap();
    let orders: Vec<Value> = control.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let accepts: Vec<&Value> = orders.iter().filter(|order| order["command"] == "accept-loss").collect();
    assert!(accepts.iter().take(2).all(|order| order["refused"].is_string()), "{control}");
    assert_eq!(accepts.last().unwrap()["arguments"]["reason"], "retention was short", "{control}");
    daemon.stop();
}

#[test]
fn what_the_broker_has_lost_stays_in_the_lake_until_an_operator_rewinds() {
    if Stack::find("a broker that loses the end of its log").is_none() {
        return;
    }
    let stack = OwnStack::up();
    let mut site =
        Site::new(&stack.at, &Recipe { sections: "[supervise]\nparked_retry = \"1s\"", ..Recipe::default() });
    let topic = site.topic.clone();
    site.create_topic(&topic, 1);
    for id in 0..30 {
        send_books(&site, id..id + 1);
    }
    let daemon = site.start();
    site.wait_committed(&[30]);
    site.ok(&["promote"]);

    lose_half(&stack, &topic);
    let halted = |site: &Site, words: &str| {
        site.lane(0).is_some_and(|lane| {
            let fault = lane["last_fault"].as_str().unwrap_or_default();
            let command = format!("`forebay rewind {topic}:0 --to ");
            lane["state"] == "halted" && fault.contains(words) && fault.contains(&command)
        })
    };
    until("the lane halts and says what to do", || halted(&site, "the chain ends at offset 30"));
    daemon.stop();
    // A daemon that has never worked stays as well: somebody has to give the command to it.
    let daemon = site.start();
    until("the lane halts again", || halted(&site, "the chain ends at offset 30"));
    let audited = site.run(&["--json", "audit"]);
    assert_eq!((audited.code, &invariant(&audited.json(), "I3")["ok"]), (Some(1), &json!(false)), "{audited:?}");
    let end = audited.json().pointer("/partitions/0/high").and_then(Value::as_i64).unwrap();
    assert!(0 < end && end < 30, "{end}");
    assert_eq!(ids(&site), (0..30).collect::<Vec<_>>());

    site.ok(&["rewind", &format!("{topic}:0"), "--to", &end.to_string(), "--reason", "the broker lost data"]);
    site.wait_committed(&[end]);
    let left_out = || site.ok(&["promote"]).out;
    assert!(left_out().contains("is not read again up to 30 yet"), "{}", left_out());
    assert_eq!(ids(&site), (0..30).collect::<Vec<_>>(), "until as much is read again");
    assert!(site.ok(&["status"]).out.contains("is not read again up to 30 yet"));
    send_books(&site, 100..130);
    site.wait_committed(&[end + 30]);
    site.ok(&["promote"]);
    assert_eq!(ids(&site), (0..end).chain(100..130).collect::<Vec<_>>());
    audit(&site);
    daemon.stop();

    // And with new messages where the lake has others: no offset tells.
    let head = end + 30;
    lose_half(&stack, &topic);
    for id in 200..260 {
        send_books(&site, id..id + 1);
    }
    let daemon = site.start();
    let words = format!("the broker has another message at offset {}", head - 1);
    until("the lane halts and says what to do", || halted(&site, &words));
    assert_eq!(site.lane(0).unwrap()["committed"], head, "nothing was taken");
    let audited = site.run(&["--json", "audit"]).json();
    let high = audited.pointer("/partitions/0/high").and_then(Value::as_i64).unwrap();
    site.ok(&["rewind", &format!("{topic}:0"), "--to", "0"]);
    site.wait_committed(&[high]);
    site.ok(&["promote"]);
    let kept = high - 60 - end;
    assert_eq!(ids(&site), (0..end).chain(100..100 + kept).chain(200..260).collect::<Vec<_>>());
    audit(&site);
    daemon.stop();
}

#[test]
fn an_audit_without_kafka_says_what_it_has_not_compared_and_nothing_against_the_lake() {
    let Some(stack) = Stack::find("an audit without kafka") else { return };
    let mut site = Site::new(&stack, &Recipe::default());
    let topic = site.topic.clone();
    site.create_topic(&topic, 2);
    send_books(&site, 0..10);
    let daemon = site.start();
    site.wait_committed(&[10, 0]);
    daemon.stop();
    let config = std::fs::read_to_string(site.config()).unwrap();

    std::fs::write(site.config(), config.replace(&stack.kafka, "127.0.0.1:1")).unwrap();
    let away = site.json(&["audit"]);
    assert_eq!((&away["ok"], &away["not_compared"][0]["what"]), (&json!(true), &json!("kafka")), "{away}");
    assert!(away["invariants"].as_array().unwrap().iter().all(|one| one["id"] != "I9"), "{away}");
    let told = site.ok(&["audit"]).out;
    assert!(told.contains("not compared with kafka: kafka: ") && told.contains("every promise holds"), "{told}");

    std::fs::write(site.config(), config).unwrap();
    assert_eq!(invariant(&site.json(&["audit"]), "I9")["checked"], 2);
    site.ok(&["topic", "delete", &topic]);
    let gone = site.json(&["audit"]);
    assert_eq!((&gone["ok"], &gone["not_compared"][0]["what"]), (&json!(true), &json!(topic)), "{gone}");
}
