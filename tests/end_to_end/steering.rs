//! The control socket of the living daemon, by the commands and by plain HTTP.

use std::fs;

use serde_json::{Value, json};

use crate::lake::{Account, Load};
use crate::site::{Recipe, Site, until};
use crate::stack::Stack;

#[test]
fn a_living_daemon_is_looked_at_paused_resumed_and_drained() {
    let Some(stack) = Stack::find("steering a living daemon") else { return };
    let mut site = Site::new(&stack, &Recipe::default());
    let topic = site.topic.clone();
    site.create_topic(&topic, 4);
    let mut account = Account::produce(&site, &Load { messages: 800, rate: None, seed: 21 });
    let mut daemon = site.start();
    site.wait_committed(&account.ends());

    status(&site, daemon.pid());
    supervision(&site);
    pause_and_resume(&site, &mut account);
    site.ok(&["promote", "books"]);
    let refused = site.run(&["promote", "boks"]);
    assert!(refused.code == Some(1) && refused.err.contains("boks"), "{refused:?}");
    metrics(&site, &account);
    control_log(&site);

    let drained = site.ok(&["drain"]);
    assert!(drained.out.contains("draining"), "{drained:?}");
    assert_eq!(daemon.wait(), Some(0), "drain");
    let gone = site.run(&["status"]);
    assert_eq!(gone.code, Some(75), "{gone:?}");
    assert!(gone.err.contains("no daemon listens") && gone.err.contains("control.sock"), "{gone:?}");
    account.compare(&site);
}

fn status(site: &Site, pid: u32) {
    let text = site.ok(&["status"]).out;
    for word in ["running", &format!("pid {pid}"), &site.root, &format!("{}:3", site.topic), "books", "quarantined"] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    let document = site.json(&["status"]);
    assert_eq!((&document["state"], &document["pid"]), (&json!("running"), &json!(pid)), "{document}");
    assert_eq!(document["lanes"].as_array().map(Vec::len), Some(4), "{document}");
    let lane = &document["lanes"][0];
    assert_eq!((&lane["state"], &lane["last_fault"]), (&json!("running"), &Value::Null), "{document}");
    assert_eq!(lane["position"], lane["committed"], "{document}");
    assert!(lane["epoch"].as_u64() > Some(0) && lane["last_commit_at"].is_string(), "{document}");
    until("the lag is told to be nothing", || site.lanes().iter().all(|lane| lane["lag"] == 0));
    let tables = document["tables"].as_array().unwrap();
    assert!(tables[0]["name"] == "books" && tables[0]["rows"].as_u64() > Some(1000), "{document}");
    assert!(tables[0]["quarantined"]["type.decimal"].as_u64() > Some(0), "{document}");
}

fn supervision(site: &Site) {
    let tree = site.get("/v1/supervision").unwrap();
    assert_eq!((&tree["kind"], &tree["state"]), (&json!("root"), &json!("running")), "{tree}");
    let children = tree["children"].as_array().unwrap();
    let kinds = |kind: &str| children.iter().filter(|child| child["kind"] == kind).collect::<Vec<_>>();
    assert_eq!((kinds("pool").len(), kinds("timer").len(), kinds("promoter").len()), (1, 1, 1), "{tree}");
    let lanes = kinds("lane");
    assert_eq!(lanes.len(), 4, "{tree}");
    for lane in lanes {
        assert!(lane["state"] == "running" && lane["generation"].as_u64() > Some(0), "{lane}");
        let stages: Vec<_> = lane["children"].as_array().unwrap().iter().map(|stage| &stage["name"]).collect();
        assert_eq!(stages, ["KafkaReader", "Validator", "ParquetBufferer"], "{lane}");
    }
    assert!(kinds("pool")[0]["children"].as_array().is_some_and(|workers| !workers.is_empty()), "{tree}");
}

fn pause_and_resume(site: &Site, account: &mut Account) {
    let paused = format!("{}:1", site.topic);
    let change = site.json(&["pause", &paused]);
    let states = |lanes: &Value| {
        let lanes = lanes["lanes"].as_array().unwrap().iter();
        lanes.map(|lane| (lane["partition"].clone(), lane["state"].clone())).collect::<Vec<_>>()
    };
    let before_and_after = (states(&change["before"]), states(&change["after"]));
    assert_eq!(before_and_after, (vec![(1.into(), "running".into())], vec![(1.into(), "paused".into())]));
    let stands_at = site.lane(1).unwrap()["position"].as_i64().unwrap();
    assert_eq!(stands_at, account.ends()[1]);

    account.add(Account::produce(site, &Load { messages: 800, rate: None, seed: 22 }));
    let mut others = account.ends();
    assert!(others[1] > stands_at, "the load has something for every partition");
    others[1] = 0;
    site.wait_committed(&others);
    assert_eq!(site.lane(1).unwrap()["position"], stands_at, "a paused partition stands still");
    assert!(site.ok(&["status"]).out.contains("paused"));

    let (status, body) = site.http("POST", "/v1/resume", &json!({ "lanes": [paused] }).to_string()).unwrap();
    assert_eq!(status, 200, "{body}");
    site.wait_committed(&account.ends());
    assert_eq!(site.lane(1).unwrap()["state"], "running");
}

fn metrics(site: &Site, account: &Account) {
    let (status, text) = site.http("GET", "/metrics", "").unwrap();
    assert_eq!(status, 200);
    let topic = &site.topic;
    let value = |line: &str| -> f64 {
        let found = text.lines().find_map(|found| found.strip_prefix(line));
        let found = found.unwrap_or_else(|| panic!("no {line} in\n{text}"));
        found.trim().parse().unwrap()
    };
    let rows: usize = account.messages.iter().map(|message| message.line.rows.len()).sum();
    assert_eq!(value(&format!("forebay_messages_read_total{{topic=\"{topic}\"}}")), account.messages.len() as f64);
    assert_eq!(value("forebay_rows_total{table=\"books\"}"), rows as f64);
    let quarantined = format!("forebay_messages_total{{topic=\"{topic}\",outcome=\"quarantined\"}}");
    assert_eq!(value(&quarantined), account.count("quarantined") as f64);
    let codes = text.lines().filter_map(|line| line.strip_prefix("forebay_quarantined_total{code=\""));
    let by_code: f64 = codes.map(|line| line.split(' ').nth(1).unwrap().parse::<f64>().unwrap()).sum();
    assert_eq!(by_code, account.count("quarantined") as f64);
    for partition in 0..4 {
        assert!(value(&format!("kafka_consumer_lag{{topic=\"{topic}\",partition=\"{partition}\"}}")) >= 0.0);
        let age = value(&format!("forebay_commit_age_seconds{{topic=\"{topic}\",partition=\"{partition}\"}}"));
        assert!((0.0..600.0).contains(&age), "{age}");
    }
    for zone in ["raw", "ledger", "quarantine", "processed"] {
        assert!(value(&format!("forebay_files_total{{zone=\"{zone}\"}}")) > 0.0, "{zone}");
        assert!(value(&format!("forebay_bytes_total{{zone=\"{zone}\"}}")) > 0.0, "{zone}");
    }
    for name in ["forebay_stage_wait_seconds", "forebay_restarts", "forebay_commit_seconds"] {
        assert!(text.contains(&format!("# TYPE {name} counter")), "no {name} in\n{text}");
    }
    assert_eq!(value("forebay_control_commands_total{command=\"pause\"}"), 1.0);
    assert!(value("forebay_memory_peak_bytes ") <= value("forebay_memory_limit_bytes "));
    let (status, _) = site.http("GET", "/healthz", "").unwrap();
    assert_eq!(status, 200);
}

/// Every call that changes something is on record, with who made it.
fn control_log(site: &Site) {
    let text = fs::read_to_string(site.dir.join("logs/control.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let commands: Vec<_> = lines.iter().map(|line| line["command"].as_str().unwrap()).collect();
    assert_eq!(commands, ["pause", "resume", "promote", "promote"], "{text}");
    for line in &lines {
        assert_eq!(line["uid"], rustix::process::getuid().as_raw(), "{line}");
        assert!(line["pid"].as_u64() > Some(0) && line["ts"].is_string(), "{line}");
    }
    assert_eq!(lines[1]["pid"], std::process::id(), "resume was ours");
    assert!(lines[2]["refused"].is_null() && lines[3]["refused"].is_string(), "{text}");
    assert_eq!(lines[0]["before"]["lanes"][0]["state"], "running", "{text}");
    let done = site.ok(&["logs", "--event", "control.command"]).out;
    assert_eq!(done.lines().count(), 3, "{done}");
    assert!(done.contains("pause") && done.contains("resume") && done.contains("promote"), "{done}");
    assert_eq!(site.events("control.refused").len(), 1);
    assert_eq!(site.events("lane.paused").len(), 1);
}
