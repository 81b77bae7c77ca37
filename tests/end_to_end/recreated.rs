//! A topic that is deleted and created again: refused until an operator accepts it, then read as one of its own.

use serde_json::{Value, json};

use crate::bad_input::send;
use crate::lake::audit;
use crate::site::{Recipe, Site, until};
use crate::stack::Stack;

/// Messages with one book each; a later one of an id is newer.
fn send_books(site: &Site, partition: i32, ids: std::ops::Range<i64>, title: &str) {
    let book = |id: i64| {
        format!(
            "<library branch=\"L1\"><book id=\"B{id}\" lang=\"en\"><record_id>{id}</record_id><title>{title} {id}</title>\
             <added>2026-10-15T18:42:00Z</added></book></library>"
        )
    };
    let books: Vec<String> = ids.map(book).collect();
    let payloads: Vec<Option<&[u8]>> = books.iter().map(|book| Some(book.as_bytes())).collect();
    send(site, &site.topic, partition, &payloads);
}

/// Deletes the topic and makes it again.
fn recreate(site: &Site, partitions: u32) {
    site.ok(&["topic", "delete", &site.topic]);
    until("the topic can be created again", || {
        site.run(&["topic", "create", &site.topic, "--partitions", &partitions.to_string()]).code == Some(0)
    });
}

fn rows(site: &Site, target: &str, columns: &str) -> Vec<Value> {
    let shown = site.ok(&["--json", "show", target, "--limit", "100000", "--columns", columns]).out;
    shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// (topic, partition, offset) of every row, sorted.
fn places(site: &Site, target: &str) -> Vec<(String, i64, i64)> {
    let rows = rows(site, target, "kafka_topic,kafka_partition,kafka_offset");
    let text = |row: &Value| row["kafka_topic"].as_str().unwrap().to_owned();
    let number = |row: &Value, name: &str| row[name].as_i64().unwrap();
    let mut places: Vec<_> =
        rows.iter().map(|row| (text(row), number(row, "kafka_partition"), number(row, "kafka_offset"))).collect();
    places.sort_unstable();
    places
}

/// All partitions are refused, by a sentence that names what to do.
fn wait_refused(site: &Site, partitions: usize) {
    until("the recreated topic is refused", || {
        let lanes = site.lanes();
        let is_refused = |lane: &Value| {
            let fault = lane["last_fault"].as_str().unwrap_or_default();
            lane["state"] == "halted" && fault.contains(&format!("`forebay accept-topic {}`", site.topic))
        };
        lanes.len() == partitions && lanes.iter().all(is_refused)
    });
}

#[test]
fn a_recreated_topic_is_refused_then_accepted_and_nothing_of_either_is_lost_or_doubled() {
    let Some(stack) = Stack::find("a recreated topic") else { return };
    let recipe = Recipe { kafka: "\"topic.metadata.refresh.interval.ms\" = 500", ..Recipe::default() };
    let mut site = Site::new(&stack, &recipe);
    let topic = site.topic.clone();
    site.create_topic(&topic, 2);
    send_books(&site, 0, 0..40, "first");
    send_books(&site, 1, 40..80, "first");
    let daemon = site.start();
    site.wait_committed(&[40, 40]);
    site.ok(&["promote"]);
    let early = site.run(&["accept-topic", &topic]);
    assert!(early.code == Some(1) && early.err.contains("nothing to accept"), "{early:?}");
    daemon.stop();

    // While no daemon runs; the new topic is longer than the old one was, and gets a partition that the old one had
    // not.
    recreate(&site, 2);
    send_books(&site, 0, 20..70, "second");
    send_books(&site, 1, 100..160, "second");
    let daemon = site.start();
    wait_refused(&site, 2);
    site.ok(&["topic", "widen", &topic, "--partitions", "3"]);
    send_books(&site, 2, 160..170, "second");
    wait_refused(&site, 3);
    assert_eq!(places(&site, "raw.books").len(), 80, "nothing of it was read");
    let audited = site.run(&["audit", "--json"]);
    let document = audited.json();
    let found = document["invariants"].as_array().unwrap().iter().find(|one| one["id"] == "I3").unwrap();
    assert_eq!((audited.code, found["violations"].as_array().unwrap().len()), (Some(1), 2), "{document}");
    let what = found["violations"][0]["what"].as_str().unwrap();
    assert!(what.contains("deleted and created again") && what.contains("`forebay accept-topic"), "{document}");

    let accepted = site.json(&["accept-topic", &topic, "--reason", "moved"]);
    let second = format!("{topic}~2");
    assert_eq!((&accepted["lineage"], &accepted["was_accepted"]), (&json!(second), &json!(false)), "{accepted}");
    site.wait_committed(&[50, 60, 10]);
    assert!(site.lanes().iter().all(|lane| lane["topic"] == topic), "a lane is called what kafka calls it");
    let again = site.ok(&["accept-topic", &topic]).out;
    assert!(again.contains("was accepted before") && again.contains(&second), "{again}");
    site.ok(&["promote"]);

    let place = |topic: &str, partition: i64, offsets: i64| {
        let topic = topic.to_owned();
        (0..offsets).map(move |offset| (topic.clone(), partition, offset))
    };
    let old = place(&topic, 0, 40).chain(place(&topic, 1, 40));
    let new = place(&second, 0, 50).chain(place(&second, 1, 60)).chain(place(&second, 2, 10));
    assert_eq!(places(&site, "raw.books"), old.chain(new).collect::<Vec<_>>());
    let mut ids: Vec<(i64, String)> = rows(&site, "processed.books", "record_id,kafka_topic,title")
        .iter()
        .map(|row| {
            let (topic, title) = (row["kafka_topic"].as_str().unwrap(), row["title"].as_str().unwrap());
            assert_eq!(title.starts_with("second"), topic == second, "{row}");
            (row["record_id"].as_i64().unwrap(), topic.to_owned())
        })
        .collect();
    ids.sort_unstable();
    let expected = (0..170).filter(|id| !(80..100).contains(id));
    let of = |id: i64| if id < 20 || (70..80).contains(&id) { topic.clone() } else { second.clone() };
    assert_eq!(ids, expected.map(|id| (id, of(id))).collect::<Vec<_>>());
    audit(&site);
    assert_eq!(rows(&site, &format!("ledger.{topic}"), "kafka_offset").len(), 80);
    assert_eq!(rows(&site, &format!("ledger.{second}"), "kafka_offset").len(), 120);

    // A rewind, and taking it back, are about the chain that is read.
    let lane = format!("{topic}:1");
    let rewound = site.json(&["rewind", &lane, "--to", "0", "--dry-run"]);
    assert_eq!((&rewound["to"], &rewound["messages"]), (&json!(0), &json!(60)), "{rewound}");
    site.ok(&["pause", &lane]);
    site.ok(&["rewind", &lane, "--to", "0", "--expect", "60"]);
    let planned = site.ok(&["rewind", &lane, "--undo", "--dry-run"]).out;
    assert!(planned.contains("would go on at offset 60"), "{planned}");
    assert_eq!(site.lane(1).unwrap()["committed"], 0);
    let undone = site.json(&["rewind", &lane, "--undo", "--expect", "0", "--reason", "by mistake"]);
    assert_eq!((&undone["to"], &undone["undone"]["messages"]), (&json!(60), &json!(60)), "{undone}");
    let refused = site.run(&["rewind", &lane, "--undo"]);
    assert!(refused.code == Some(1) && refused.err.contains("no rewind left"), "{refused:?}");
    site.ok(&["resume", &lane]);
    send_books(&site, 1, 200..205, "second");
    site.wait_committed(&[50, 65, 10]);
    site.ok(&["promote"]);
    audit(&site);

    let control = std::fs::read_to_string(site.dir.join("logs/control.jsonl")).unwrap();
    let lines: Vec<Value> = control.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |command: &str| lines.iter().filter(|line| line["command"] == command).collect::<Vec<_>>();
    let (accepts, rewinds) = (of("accept-topic"), of("rewind"));
    assert!(accepts[0]["refused"].is_string() && accepts[1]["arguments"]["reason"] == "moved", "{control}");
    assert_eq!(rewinds.iter().filter(|line| line["arguments"]["undo"] == true).count(), 3, "{control}");
    daemon.stop();
}

/// The daemon reads while it happens, and the new topic is soon longer than the old one was.
#[test]
fn a_topic_that_is_recreated_under_a_running_daemon_is_not_taken_for_the_old_one() {
    let Some(stack) = Stack::find("a topic recreated under a running daemon") else { return };
    for refresh in ["\"topic.metadata.refresh.interval.ms\" = 500", ""] {
        let mut site = Site::new(&stack, &Recipe { kafka: refresh, ..Recipe::default() });
        let topic = site.topic.clone();
        site.create_topic(&topic, 1);
        send_books(&site, 0, 0..10, "first");
        let daemon = site.start();
        site.wait_committed(&[10]);
        recreate(&site, 1);
        send_books(&site, 0, 100..200, "second");
        wait_refused(&site, 1);
        assert_eq!(places(&site, "raw.books").len(), 10, "nothing of the new topic is under the name of the old one");
        site.ok(&["accept-topic", &topic]);
        site.wait_committed(&[100]);
        // Shorter than the old one, then longer.
        for (incarnation, ids) in [(3, 300..310), (4, 400..460)] {
            let end = ids.end - ids.start;
            recreate(&site, 1);
            send_books(&site, 0, ids, "later");
            wait_refused(&site, 1);
            site.ok(&["accept-topic", &topic]);
            // Until the lane has begun anew it says how far the topic before was committed.
            until("the new topic is committed", || site.lane(0).is_some_and(|lane| lane["committed"] == end));
            let places = places(&site, "raw.books");
            let of_it = places.iter().filter(|place| place.0 == format!("{topic}~{incarnation}")).count();
            assert_eq!(i64::try_from(of_it).unwrap(), end);
        }
        site.ok(&["promote"]);
        assert_eq!(places(&site, "raw.books").len(), 180);
        assert_eq!(rows(&site, "processed.books", "record_id").len(), 180);
        audit(&site);
        daemon.stop();
    }
}
