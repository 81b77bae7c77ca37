//! What becomes of messages that fail, besides quarantine: the dead-letter topic, what of their payloads is kept, and
//! the lane that stops when there are too many.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use super::bad_input::send;
use crate::lake::{Account, Load, audit};
use crate::site::{Disk, PATIENCE, Recipe, Site, until};
use crate::stack::Stack;

/// A message of a dead-letter topic.
pub(crate) struct Letter {
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
    headers: BTreeMap<String, Vec<u8>>,
}

impl Letter {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| std::str::from_utf8(value).unwrap())
    }
}

/// Everything that is in a topic.
pub(crate) fn consume(site: &Site, topic: &str) -> Vec<Letter> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &site.stack.kafka).set("group.id", "nobody").set("enable.partition.eof", "false");
    let consumer: BaseConsumer = config.set("isolation.level", "read_committed").create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let mut list = TopicPartitionList::new();
    let mut left = 0;
    for partition in metadata.topics()[0].partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE).unwrap();
        left += high - low;
        list.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut letters = Vec::new();
    let until = Instant::now() + PATIENCE;
    while (letters.len() as i64) < left {
        assert!(Instant::now() < until, "{} of {left} letters came", letters.len());
        let Some(message) = consumer.poll(Duration::from_millis(200)) else { continue };
        let message = message.unwrap();
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        letters.push(Letter {
            key: String::from_utf8(message.key().unwrap().to_vec()).unwrap(),
            value: message.payload().unwrap().to_vec(),
            headers: headers.map(|one| (one.key.to_owned(), one.value.unwrap_or_default().to_vec())).collect(),
        });
    }
    letters
}

pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{}", &uuid::Uuid::new_v4().simple().to_string()[..12])
}

/// How far each lane and table is.
fn dead_letters(site: &Site) -> Vec<Value> {
    site.lanes().iter().flat_map(|lane| lane["dead_letters"].as_array().cloned().unwrap_or_default()).collect()
}

pub(crate) fn wait_sent(site: &Site) {
    until("all dead letters are sent", || {
        let letters = dead_letters(site);
        !letters.is_empty() && letters.iter().all(|letters| letters["lag"] == 0 && letters["fault"].is_null())
    });
}

fn metric(site: &Site, line: &str) -> Option<f64> {
    let (_, text) = site.http("GET", "/metrics", "").unwrap();
    text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
}

/// The keys and payloads of all messages that have to be in quarantine.
fn expected(account: &Account) -> BTreeMap<String, Vec<u8>> {
    let bad = account.messages.iter().filter(|message| message.line.outcome == "quarantined");
    let letter = |message: &crate::lake::Message| {
        let line = &message.line;
        (format!("{}:{}:{}", line.topic, line.partition, line.offset), message.payload.clone().unwrap())
    };
    bad.map(letter).collect()
}

#[test]
fn every_quarantined_message_reaches_the_dead_letter_topic_whatever_happens() {
    let Some(stack) = Stack::find("dead letters") else { return };
    let dead = unique("dead");
    let tables = format!("[table.quarantine]\ntopic = \"{dead}\"\n");
    let mut site = Site::new(&stack, &Recipe { disk: Disk::Hdfs, tables, ..Recipe::default() });
    let topic = site.topic.clone();
    site.create_topic(&topic, 4);
    assert!(site.run(&["check", "--connect"]).out.contains("quarantine.topic: looking for topic dead-"));
    // A topic that takes no letter, however short.
    site.create_topic(&dead, 1);
    site.ok(&["check", "--connect"]);
    site.ok(&["topic", "delete", &dead]);
    site.ok(&["topic", "create", &dead, "--partitions", "3", "--set", "max.message.bytes=1"]);

    let mut account = Account::produce(&site, &Load { messages: 3000, rate: None, seed: 71 });
    let daemon = site.start();
    site.wait_committed(&account.ends());
    until("status tells that dead letters lag", || {
        dead_letters(&site).iter().any(|letters| letters["lag"].as_i64() > Some(0) && !letters["fault"].is_null())
    });
    assert!(
        metric(&site, &format!("forebay_dead_letter_lag{{topic=\"{topic}\",partition=\"0\",table=\"books\"}}"))
            > Some(0.0)
    );
    let said = site.ok(&["status"]).out;
    assert!(said.contains(&format!("dead letters of books to {dead}: ")), "{said}");
    let faults = site.events("kafka.message-too-large");
    assert!(faults.iter().any(|fault| fault["stage"] == "LetterSender"), "{faults:?}");
    // The data does not wait for them.
    account.add(Account::produce(&site, &Load { messages: 1000, rate: None, seed: 72 }));
    site.wait_committed(&account.ends());
    daemon.kill();
    assert!(consume(&site, &dead).is_empty());

    // The topic is there again, and the daemon is killed as soon as it has sent something.
    site.ok(&["topic", "delete", &dead]);
    site.ok(&["topic", "create", &dead, "--partitions", "3"]);
    let daemon = site.start();
    until("the first letters are sent", || !consume(&site, &dead).is_empty());
    daemon.kill();
    let daemon = site.start();
    account.add(Account::produce(&site, &Load { messages: 1000, rate: None, seed: 73 }));
    site.wait_committed(&account.ends());
    wait_sent(&site);
    let sent: u64 = dead_letters(&site).iter().map(|letters| letters["sent"].as_u64().unwrap()).sum();
    assert_eq!(metric(&site, &format!("forebay_dead_letters_total{{topic=\"{dead}\"}}")), Some(sent as f64));
    daemon.stop();

    let (letters, expected) = (consume(&site, &dead), expected(&account));
    let found: BTreeMap<String, Vec<u8>> =
        letters.iter().map(|letter| (letter.key.clone(), letter.value.clone())).collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert_eq!(found, expected, "with the bytes as they came");
    println!("{} letters for {} messages in quarantine", letters.len(), expected.len());
    for letter in &letters {
        let (topic, rest) = letter.key.split_once(':').unwrap();
        let (partition, offset) = rest.split_once(':').unwrap();
        assert_eq!(letter.header("__connect.errors.topic"), Some(topic));
        assert_eq!(letter.header("__connect.errors.partition"), Some(partition));
        assert_eq!(letter.header("__connect.errors.offset"), Some(offset));
        let violations: Value = serde_json::from_str(letter.header("forebay.violations").unwrap()).unwrap();
        let first = letter.header("__connect.errors.exception.class.name");
        assert_eq!(violations[0]["code"].as_str(), first);
    }

    // What is known to be sent is not sent again.
    let daemon = site.start();
    wait_sent(&site);
    daemon.stop();
    assert_eq!(consume(&site, &dead).len(), letters.len());
    // What is read again is sent again: it may fail for other reasons now.
    let daemon = site.start();
    site.wait_committed(&account.ends());
    site.ok(&["rewind", &format!("{topic}:0"), "--to", "0"]);
    site.wait_committed(&account.ends());
    wait_sent(&site);
    site.ok(&["promote", "books"]);
    daemon.stop();
    let again: BTreeSet<_> = consume(&site, &dead).into_iter().map(|letter| letter.key).collect();
    assert_eq!(again.len(), expected.len());
    assert!(consume(&site, &dead).len() > letters.len());
    audit(&site);
    account.compare(&site);
}

/// What only the payloads of bad messages hold.
const SECRET: &str = "Xyzzyplugh";

/// The files below a folder that hold the secret.
fn leaks(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(leaks(&path));
        } else if fs::read(&path).is_ok_and(|bytes| memchr::memmem::find(&bytes, SECRET.as_bytes()).is_some()) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn nothing_of_a_payload_is_anywhere_when_it_is_not_to_be_kept() {
    let Some(stack) = Stack::find("payloads that are not kept") else { return };
    for (kept, may_leak) in [("keep", true), ("digest", false), ("none", false)] {
        let dead = unique("dead");
        let tables = format!("[table.quarantine]\npayload = \"{kept}\"\ntopic = \"{dead}\"\n");
        // Without compression, so that bytes can be looked for in files.
        let raw = "roll_age = \"500ms\"\ncompression = \"none\"";
        let mut site = Site::new(&stack, &Recipe { tables, raw, ..Recipe::default() });
        let topic = site.topic.clone();
        site.create_topic(&topic, 1);
        site.create_topic(&dead, 1);
        let book = |record: &str, added: &str| {
            format!(
                "<library><book id=\"{SECRET}\"><record_id>{record}</record_id><added>{added}</added></book></library>"
            )
        };
        let messages = [
            book(SECRET, "2026-10-15T18:42:00Z"),
            book("1", SECRET),
            book("2", "1066-10-14T00:00:00Z"),
            format!("<library><{SECRET}><book></{SECRET}></library>"),
            format!("<library><book {SECRET}=\"{SECRET}\" {SECRET}=\"1\"/></library>"),
            format!("<library {SECRET}:a=\"1\"/>"),
            format!("<{SECRET}/>"),
            format!("<?xml version=\"1.0\" encoding=\"{SECRET}\"?><library/>"),
            format!("<library>&{SECRET};</library>"),
            SECRET.to_owned(),
        ];
        let payloads: Vec<Option<&[u8]>> = messages.iter().map(|message| Some(message.as_bytes())).collect();
        let offsets = send(&site, &topic, 0, &payloads);
        let daemon = site.start_with(&["-v"]);
        site.wait_committed(&[offsets.last().unwrap() + 1]);
        wait_sent(&site);
        let shown = site.ok(&["--json", "show", "quarantine.books", "--limit", "100"]).out;
        let (status, tree) = (site.get("/v1/status").unwrap(), site.get("/v1/supervision").unwrap());
        daemon.stop();

        let letters = consume(&site, &dead);
        assert_eq!(letters.iter().map(|letter| &letter.key).collect::<BTreeSet<_>>().len(), messages.len());
        let told: Vec<u8> = letters
            .iter()
            .flat_map(|letter| [&letter.value].into_iter().chain(letter.headers.values()).chain([&letter.value]))
            .flatten()
            .copied()
            .collect();
        let in_letters = memchr::memmem::find(&told, SECRET.as_bytes()).is_some();
        let leaking = leaks(&site.dir);
        let in_answers =
            [shown.as_str(), &status.to_string(), &tree.to_string()].iter().any(|text| text.contains(SECRET));
        assert_eq!(in_letters, may_leak, "{kept}: in letters");
        assert_eq!(in_answers, may_leak, "{kept}: in what is shown: {shown}");
        assert_eq!(leaking.iter().any(|path| path.contains("/lake/quarantine/")), may_leak, "{kept}: {leaking:?}");
        let elsewhere: Vec<_> = leaking.iter().filter(|path| !path.contains("/lake/quarantine/")).collect();
        assert!(elsewhere.is_empty(), "{kept}: {elsewhere:?}");
        let rows: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows.len(), messages.len());
        for row in &rows {
            assert_eq!(row["payload"].is_null(), !may_leak, "{kept}: {row}");
            assert_eq!(row["payload_sha256"].is_null(), kept != "digest", "{kept}: {row}");
            assert!(!row["violations"][0]["code"].is_null(), "why is told all the same: {row}");
        }
        for letter in &letters {
            assert_eq!(letter.header("forebay.payload"), Some(kept));
            assert_eq!(letter.value.is_empty(), !may_leak);
        }
        assert_eq!(site.run(&["audit"]).code, Some(0));
    }
}

#[test]
fn a_lane_stops_when_too_many_messages_fail_and_goes_on_when_it_is_told_to() {
    let Some(stack) = Stack::find("the stop rule") else { return };
    let topics = "topics = [\"LIBRARY\"]\nstop_when = { failed = 0.5, of = 10 }".to_owned();
    let mut site = Site::new(&stack, &Recipe { topics: Some(topics), ..Recipe::default() });
    let topic = site.topic.clone();
    site.create_topic(&topic, 2);
    let good = "<library><book id=\"B1\"><record_id>1</record_id><title>t</title><added>2026-10-15T18:42:00Z</added></book></library>";
    let send_all = |partition: i32, messages: &[&str]| {
        let payloads: Vec<Option<&[u8]>> = messages.iter().map(|message| Some(message.as_bytes())).collect();
        send(&site, &topic, partition, &payloads).last().unwrap() + 1
    };
    let state = |partition: i64| site.lane(partition).map(|lane| lane["state"].as_str().unwrap().to_owned());
    let committed = |partition: i64| site.lane(partition).and_then(|lane| lane["committed"].as_i64());
    let daemon = site.start();
    let end = send_all(0, &[good, good, "<", good, "<", good, "<", good, "<", good, "<", good]);
    site.wait_committed(&[end]);
    assert_eq!(state(0).as_deref(), Some("running"), "half of them is allowed");

    let end = send_all(0, &["<"; 4]);
    until("the lane halts", || state(0).as_deref() == Some("halted"));
    assert_eq!(committed(0), Some(end), "what was read is committed");
    let lane = site.lane(0).unwrap();
    let fault = lane["last_fault"].as_str().unwrap();
    assert!(
        fault.contains("of the last 10 messages of table books failed")
            && fault.contains(&format!("forebay resume {topic}:0")),
        "{fault}"
    );
    let halted = site.events("lane.halted");
    assert_eq!(halted.len(), 1, "{halted:?}");
    assert_eq!(halted[0]["cause"], "lane.too-many-failed");
    assert_eq!(metric(&site, "forebay_faults_total{event=\"lane.too-many-failed\"}"), Some(1.0));
    // Nothing is read while it is halted, and others are not concerned.
    let end = send_all(0, &[good, "<", good]);
    let other = send_all(1, &[good, "<"]);
    until("the other lane goes on", || committed(1) == Some(other));
    assert!(committed(0) < Some(end) && state(0).as_deref() == Some("halted"));

    site.ok(&["resume", &format!("{topic}:0")]);
    until("the lane goes on", || committed(0) == Some(end));
    assert_eq!(state(0).as_deref(), Some("running"));
    // The count has begun anew: five more may fail.
    let end = send_all(0, &["<"; 4]);
    until("four more are committed", || committed(0) == Some(end));
    assert_eq!(state(0).as_deref(), Some("running"));
    send_all(0, &["<"; 20]);
    until("the lane halts again", || state(0).as_deref() == Some("halted"));
    daemon.stop();

    // A restart begins anew too; with --until-caught-up the answer is no.
    let end = send_all(0, &["<"; 30]);
    let mut bounded = site.start_with(&["--until-caught-up"]);
    let code = bounded.wait();
    assert_eq!(code, Some(1), "so many fail that it stops again");
    let ledger = site.ok(&["--json", "show", &format!("ledger.{topic}"), "--limit", "1000"]).out;
    let rows: Vec<Value> = ledger.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.len() as i64 <= end + other);
    let quarantined = rows.iter().filter(|row| row["outcome"] == json!("quarantined")).count();
    let kept = site.ok(&["--json", "show", "quarantine.books", "--limit", "1000", "--columns", "kafka_offset"]).out;
    assert_eq!(kept.lines().count(), quarantined, "what failed is in quarantine");
    assert_eq!(site.run(&["audit"]).code, Some(0));
}
