//! Kafka or HDFS away, at the start and later: the daemon waits, says so, goes on by itself and loses nothing.
//!
//! All on one stack of the test's own, one outage after the other.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lake::{Account, Load, Production, audit};
use crate::site::{Daemon, Disk, Recipe, Site, until};
use crate::stack::{OwnStack, Stack};

/// Longer than this between two polls, and Kafka would take the member for dead.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(6);

#[test]
fn outages_of_kafka_and_hdfs_are_waited_out_and_nothing_is_lost() {
    if Stack::find("outages of Kafka and HDFS").is_none() {
        return;
    }
    let stack = OwnStack::up();
    let mut site = Site::new(
        &stack.at,
        &Recipe {
            disk: Disk::Hdfs,
            kafka: "\"max.poll.interval.ms\" = 6000\n\"session.timeout.ms\" = 6000\n\"reconnect.backoff.max.ms\" = 1000",
            // Small intervals: while one cannot be committed, the next is soon full, and the reader has to wait.
            raw: "roll_age = \"500ms\"\nroll_rows = 300",
            sections: "[supervise]\nbackoff_max = \"1s\"\nparked_retry = \"2s\"\nintensity = 1000\n[run]\ndrain = \"40s\"",
            ..Recipe::default()
        },
    );
    let topic = site.topic.clone();
    site.create_topic(&topic, 4);
    let mut account = Account::produce(&site, &Load { messages: 600, rate: None, seed: 51 });

    let mut daemon = kafka_away_at_the_start(&stack, &site);
    site.wait_committed(&account.ends());
    told("Kafka came after the daemon");

    kafka_away_later(&stack, &site, &mut account);
    told("Kafka went and came back");

    storage_stopped(&stack, &site, &mut account);
    told("HDFS stood still for longer than max.poll.interval.ms");

    hdfs_away_later(&stack, &site, &mut account);
    told("HDFS went and came back");

    second_sigterm_ends_at_once(&stack, &site, &mut account, &mut daemon);
    told("a drain without HDFS was cut off");

    let daemon = hdfs_away_at_the_start(&stack, &site);
    site.wait_committed(&account.ends());
    told("HDFS came after the daemon");
    site.ok(&["promote"]);
    daemon.stop();
    audit(&site);
    account.compare(&site);
}

fn told(what: &str) {
    println!("{} {what}", jiff::Timestamp::now());
}

fn kafka_away_at_the_start(stack: &OwnStack, site: &Site) -> Daemon {
    stack.order(&["kill", "kafka"]);
    let daemon = site.start();
    until("status says that Kafka is away", || {
        site.get("/v1/status").is_some_and(|status| status["state"] == "starting" && status["kafka_fault"].is_string())
    });
    let people = site.ok(&["status"]).out;
    assert!(people.contains("starting") && people.contains("\nkafka: "), "{people}");
    assert!(!site.events("kafka").is_empty(), "the log tells that Kafka is away");
    stack.order(&["start", "kafka"]);
    daemon
}

fn kafka_away_later(stack: &OwnStack, site: &Site, account: &mut Account) {
    until("Kafka is well", || site.get("/v1/status").is_some_and(|status| status["kafka_fault"].is_null()));
    stack.order(&["kill", "kafka"]);
    until("status says that Kafka is away", || {
        site.get("/v1/status").is_some_and(|status| status["kafka_fault"].is_string())
    });
    stack.order(&["start", "kafka"]);
    account.add(Account::produce(site, &Load { messages: 600, rate: None, seed: 52 }));
    site.wait_committed(&account.ends());
    until("Kafka is well again", || site.get("/v1/status").is_some_and(|status| status["kafka_fault"].is_null()));
}

/// Back-pressure up to the reader: the daemon stays a member of its group, and goes on when HDFS does.
fn storage_stopped(stack: &OwnStack, site: &Site, account: &mut Account) {
    let rebalances = site.events("kafka.rebalanced").len();
    let production = Production::start(site, &Load { messages: 4000, rate: Some(400), seed: 53 });
    let sum = |member: &str| site.lanes().iter().filter_map(|lane| lane[member].as_i64()).sum::<i64>();
    let before = sum("committed");
    until("the new messages are being committed", || sum("committed") > before);
    stack.order(&["stop", "namenode"]);
    // Every reader has come to stand still, and stays so for longer than Kafka waits for a poll.
    let (mut position, mut since) = (sum("position"), Instant::now());
    until("the readers wait", || {
        let now = sum("position");
        if now != position {
            (position, since) = (now, Instant::now());
        }
        since.elapsed() > MAX_POLL_INTERVAL * 3 / 2
    });
    let account_so_far: i64 = account.ends().iter().sum();
    assert!(position < account_so_far + 4000, "back-pressure has reached the readers: {position}");
    stack.order(&["cont", "namenode"]);
    account.add(production.finish());
    site.wait_committed(&account.ends());
    let restarts = site.events("stage.restarted");
    println!("restarts while HDFS stood still: {}", restarts.len());
    assert_eq!(site.events("kafka.rebalanced").len(), rebalances, "the group was never left");
}

fn hdfs_away_later(stack: &OwnStack, site: &Site, account: &mut Account) {
    stack.order(&["kill", "namenode"]);
    account.add(Account::produce(site, &Load { messages: 600, rate: None, seed: 54 }));
    until("status says that HDFS is away", || {
        site.lanes().iter().any(|lane| lane["last_fault"].as_str().is_some_and(|fault| fault.contains("hdfs")))
    });
    assert!(!site.events("storage").is_empty(), "the log tells that HDFS is away");
    stack.order(&["start", "namenode"]);
    site.wait_committed(&account.ends());
    until("nobody speaks of HDFS any more", || site.lanes().iter().all(|lane| lane["last_fault"].is_null()));
}

fn second_sigterm_ends_at_once(stack: &OwnStack, site: &Site, account: &mut Account, daemon: &mut Daemon) {
    stack.order(&["stop", "namenode"]);
    account.add(Account::produce(site, &Load { messages: 400, rate: None, seed: 55 }));
    let ends: i64 = account.ends().iter().sum();
    let read = |lanes: Vec<Value>| lanes.iter().filter_map(|lane| lane["position"].as_i64()).sum::<i64>();
    until("the new messages are read", || read(site.lanes()) == ends);
    daemon.terminate();
    until("the daemon drains", || !site.events("drain.started").is_empty());
    assert!(daemon.ended().is_none(), "it cannot commit, and so it is not done");
    daemon.terminate();
    let begun = Instant::now();
    assert_eq!(daemon.wait(), Some(128 + 15), "a second SIGTERM");
    assert!(begun.elapsed() < Duration::from_secs(2), "at once: {:?}", begun.elapsed());
    stack.order(&["cont", "namenode"]);
}

fn hdfs_away_at_the_start(stack: &OwnStack, site: &Site) -> Daemon {
    stack.order(&["kill", "namenode"]);
    fs::remove_file(site.dir.join("daemon.log")).unwrap();
    let daemon = site.start();
    until("status says that HDFS is away", || {
        let lanes = site.lanes();
        lanes.len() == 4
            && lanes.iter().all(|lane| lane["last_fault"].as_str().is_some_and(|fault| fault.contains("hdfs")))
    });
    stack.order(&["start", "namenode"]);
    daemon
}
