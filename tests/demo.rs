//! `forebay demo` as a person runs it: the program, its output, its exit code, and the commands it names.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use forebay::produce::run::LedgerLine;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn demo(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
    command.arg("demo").arg("--dir").arg(dir).args(arguments);
    command
}

fn account(output: &[u8]) -> Value {
    serde_json::from_slice(output).unwrap()
}

fn counts(value: &Value) -> BTreeMap<String, u64> {
    let counts = value.as_object().unwrap().iter();
    counts.map(|(name, count)| (name.clone(), count.as_u64().unwrap())).collect()
}

fn shell(command: &str) -> Output {
    // What an audit remembers of a lake that is soon gone.
    let cache = tempfile::tempdir().unwrap();
    let output = Command::new("sh").arg("-c").arg(command).env("XDG_CACHE_HOME", cache.path()).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn the_account_tells_what_became_of_every_message_and_its_commands_work() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a demo");
    let output = demo(&dir, &["--messages", "1500", "--keep", "--json"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let account = account(&output.stdout);
    assert_eq!((account["ok"].as_bool(), account["stopped"].as_bool()), (Some(true), Some(false)));
    assert_eq!((account["sent"].as_u64(), account["messages"].as_u64()), (Some(1500), Some(1500)));

    let sent = std::fs::read_to_string(dir.join("sent.jsonl")).unwrap();
    let sent: Vec<LedgerLine> = sent.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for line in &sent {
        *outcomes.entry(line.outcome.clone()).or_default() += 1;
    }
    assert_eq!(counts(&account["outcomes"]), outcomes);
    assert!(["rows", "quarantined", "tombstone"].iter().all(|outcome| outcomes.contains_key(*outcome)));
    assert_eq!(counts(&account["quarantined"]).values().sum::<u64>(), outcomes["quarantined"]);
    let expected: BTreeSet<&str> = sent.iter().flat_map(|line| &line.codes).map(String::as_str).collect();
    assert!(counts(&account["quarantined"]).keys().all(|code| expected.contains(code.as_str())));
    let rows: Vec<&str> = sent.iter().flat_map(|line| &line.rows).map(|row| row.record_id.as_str()).collect();
    assert_eq!(account["rows"].as_u64(), Some(rows.len() as u64));
    let ids: BTreeSet<&str> = rows.into_iter().collect();
    assert_eq!(counts(&account["processed"]).values().sum::<u64>(), ids.len() as u64);

    let commands: Vec<&str> = account["commands"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    let [files, processed, quarantine] = commands[..] else { panic!("{commands:?}") };
    assert!(String::from_utf8_lossy(&shell(files).stdout).contains("/processed/books/dt="));
    assert_eq!(String::from_utf8_lossy(&shell(processed).stdout).lines().count(), 6, "a heading and five rows");
    let quarantined = shell(quarantine).stdout;
    for line in quarantined.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Value = serde_json::from_slice(line).unwrap();
        assert!(expected.contains(line["violations"][0]["code"].as_str().unwrap()), "{line}");
    }
    assert!(dir.join("logs/forebay.jsonl").is_file(), "--keep keeps the log");

    let again = demo(&dir, &["--messages", "10"]).output().unwrap();
    assert_eq!(again.status.code(), Some(78), "a lake that is there is left alone");
    assert!(String::from_utf8_lossy(&again.stderr).contains("holds a lake already"));
}

#[test]
fn a_demo_that_is_stopped_commits_what_it_has_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = demo(dir.path(), &["--messages", "1000000", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let is_reading = |line: &str| line.contains(" read ") && !line.contains(" read 0,");
    let seen = lines.any(|line| is_reading(&line.unwrap()));
    assert!(seen, "the demo ended before it read anything");
    // Somebody must go on reading, or the child would be stopped by a closed pipe instead of by the signal.
    let rest = std::thread::spawn(move || lines.for_each(drop));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let mut output = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    rest.join().unwrap();
    let account = account(&output);
    assert_eq!((account["ok"].as_bool(), account["stopped"].as_bool()), (Some(true), Some(true)));
    assert!(account["messages"].as_u64().unwrap() > 0, "{account}");
    assert!(!dir.path().join("logs").exists(), "without --keep the log goes");
}
