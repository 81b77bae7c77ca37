//! The log of a process, from its start to its last line. One test: a process has one log.

use forebay::fault::Fault;
use forebay::model::level::LogLevel;
use forebay::model::offset::TopicPartition;
use forebay::observe::logs::{LogFiles, LogOptions, start};
use forebay::observe::read::{LogPrint, LogQuery, print_logs};
use forebay::observe::trouble::{Course, Subject, Trouble};
use forebay::observe::{events, metrics};
use std::time::Duration;

#[test]
fn faults_and_panics_are_in_the_file_when_the_guard_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let files =
        LogFiles { dir: dir.path().join("logs"), level: LogLevel::Info, file_size: 1 << 20, total_size: 1 << 24 };
    let guard = start(LogOptions { files: Some(files.clone()), terminal: None }).unwrap();
    assert!(start(LogOptions { files: None, terminal: None }).is_err(), "a second log was started");

    let source = TopicPartition::new("library", 2);
    let away = Fault::retry("storage.unavailable", "no answer from the namenode");
    let since = "2026-10-01T00:00:00Z".parse().unwrap();
    let trouble = Trouble::new(Subject::Lane(source), &away, Course::Retry(Duration::from_millis(1500)), since);
    events::fault("commit", 7, &trouble.after(None));
    let panicked = std::thread::Builder::new().name("parse-1".into()).spawn(|| panic!("on purpose {}", 1)).unwrap();
    assert!(panicked.join().is_err());
    tracing::warn!(target: "some_library", "a line of a library");
    drop(guard);

    let query = |event: &str| LogQuery { event: Some(event.into()), ..LogQuery::default() };
    let lines = |query: LogQuery| -> Vec<serde_json::Value> {
        let mut out = Vec::new();
        print_logs(&files.dir, query, LogPrint { json: true, colors: false, follow: false }, &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let fault = &lines(query("storage"))[0];
    assert_eq!((fault["level"].as_str(), fault["stage"].as_str()), (Some("warn"), Some("commit")));
    assert_eq!((fault["topic"].as_str(), fault["partition"].as_i64()), (Some("library"), Some(2)));
    assert_eq!((fault["generation"].as_i64(), fault["error"].as_str()), (Some(7), Some("no answer from the namenode")));
    assert_eq!((fault["since"].as_str(), fault["times"].as_u64()), (Some("2026-10-01T00:00:00Z"), Some(1)));
    assert_eq!((fault["does"].as_str(), fault["again_in_s"].as_f64()), (Some("tries again"), Some(1.5)));
    assert!(fault["help"].as_str().unwrap().starts_with("nothing if it passes"));
    let panic = &lines(query("panic"))[0];
    assert_eq!((panic["thread"].as_str(), panic["error"].as_str()), (Some("parse-1"), Some("on purpose 1")));
    assert!(panic["place"].as_str().unwrap().starts_with("tests/logs.rs:"));
    let foreign = &lines(query("log"))[0];
    assert_eq!(foreign["target"].as_str(), Some("some_library"));

    let text = metrics().text();
    for line in ["forebay_faults_total{event=\"storage.unavailable\"} 1", "forebay_faults_total{event=\"panic\"} 1"] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}
