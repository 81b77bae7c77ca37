//! What the commands say to people and scripts when there is no daemon, no Kafka and no lake: help, usage, exit codes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take that ought to happen.
const PATIENCE: Duration = Duration::from_secs(60);

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `forebay` with the words of `line`, in an environment that says nothing.
fn forebay(line: &str) -> Said {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_forebay"))
        .args(line.split_whitespace())
        .current_dir(dir.path())
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

const COMMANDS: [&str; 22] = [
    "run",
    "demo",
    "check",
    "try",
    "infer",
    "audit",
    "fsck",
    "status",
    "drift",
    "pause",
    "resume",
    "rewind",
    "requeue",
    "promote",
    "reload",
    "drain",
    "logs",
    "show",
    "produce",
    "topic",
    "completions",
    "man",
];

#[test]
fn every_command_explains_itself() {
    let whole = forebay("--help");
    assert_eq!(whole.code, Some(0));
    assert!(whole.out.contains("Exit codes: 0 done") && whole.err.is_empty(), "{}", whole.out);
    for command in COMMANDS {
        assert!(whole.out.lines().any(|line| line.split_whitespace().next() == Some(command)), "{command} is not told");
        let help = forebay(&format!("{command} --help"));
        assert_eq!((help.code, help.err.as_str()), (Some(0), ""), "{command} --help");
        assert!(help.out.contains(&format!("Usage: forebay {command}")), "{}", help.out);
        for option in ["--config", "--json", "--socket", "--quiet"] {
            assert!(help.out.contains(option), "{command} --help does not tell {option}");
        }
        for line in help.out.lines().filter(|line| line.trim_start().starts_with('-')) {
            // An option stands with its text, in the same line or the next.
            assert!(line.trim_start().len() > 2, "{command}: {line}");
        }
    }
    for nested in ["create", "widen", "delete"] {
        assert_eq!(forebay(&format!("topic {nested} --help")).code, Some(0), "topic {nested} --help");
    }
    assert!(forebay("--version").out.starts_with("forebay "));
}

#[test]
fn wrong_usage_is_2_and_says_what_would_be_right() {
    for (line, word) in [
        ("", "Usage"),
        ("prmote", "promote"),
        ("run --until-cought-up", "--until-caught-up"),
        ("try", "--well-formed"),
        ("try --well-formed --mapping m.toml", "--mapping"),
        ("requeue", "TABLE"),
        ("requeue books --code type.itn", "type.int"),
        ("requeue books --from yesterday", "--from"),
        ("rewind library --to 5", "TOPIC:PARTITION"),
        ("rewind library:0", "--to"),
        ("rewind library:0 --to yesterday", "2026-10-01T00:00:00Z"),
        ("rewind library:0 --to -5", "--to"),
        ("show books", "raw"),
        ("logs --level loud", "warn"),
        ("logs --since whenever", "1h"),
        ("produce", "--library"),
        ("produce --library 1 --broken 2", "0 to 1"),
        ("topic create", "<TOPIC>"),
        ("completions klingon", "bash"),
        ("status -v -q", "--quiet"),
        ("demo --messages 0", "--messages"),
    ] {
        let said = forebay(line);
        assert_eq!(said.code, Some(2), "forebay {line}: {}", said.err);
        assert!(said.err.contains(word) && said.out.is_empty(), "forebay {line} does not say {word}: {}", said.err);
    }
}

#[test]
fn a_configuration_that_is_not_there_is_78_and_for_check_a_no() {
    for command in [
        "run",
        "audit",
        "fsck",
        "status",
        "pause",
        "promote",
        "reload",
        "drain",
        "logs",
        "show raw.books",
        "topic delete t",
    ] {
        let said = forebay(&format!("{command} --config nowhere.toml"));
        assert_eq!(said.code, Some(78), "{command}: {}", said.err);
        assert!(said.err.contains("nowhere.toml") && said.out.is_empty(), "{command}: {}{}", said.out, said.err);
        assert!(said.err.lines().all(|line| line.starts_with("forebay: ")), "{command}: {}", said.err);
    }
    let check = forebay("check --config nowhere.toml");
    assert!(check.code == Some(1) && check.out.contains("nowhere.toml"), "{}{}", check.out, check.err);
}

#[test]
fn without_a_daemon_a_command_is_to_be_tried_again() {
    for command in [
        "status",
        "pause",
        "resume library:3",
        "rewind library:0 --to 0",
        "requeue books",
        "promote books",
        "reload",
        "drain",
        "drift books",
    ] {
        let said = forebay(&format!("{command} --socket nobody.sock"));
        assert_eq!(said.code, Some(75), "{command}: {}", said.err);
        assert!(said.err.contains("no daemon listens at nobody.sock"), "{command}: {}", said.err);
    }
}

#[test]
fn a_broken_configuration_still_says_where_the_daemon_listens() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("forebay.toml");
    let nobody = dir.path().join("nobody.sock");
    std::fs::write(&config, format!("[control]\nsocket = {:?}\n[lakes]\n", nobody.to_str().unwrap())).unwrap();
    for command in ["reload", "status"] {
        let said = forebay(&format!("{command} --config {}", config.display()));
        assert_eq!(said.code, Some(75), "{command}: {}", said.err);
        assert!(said.err.contains("nobody.sock"), "{command}: {}", said.err);
    }
}

#[test]
fn the_shipped_configuration_is_good() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/forebay.toml");
    let said = forebay(&format!("check --config {}", config.display()));
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let json = forebay(&format!("check --json --config {}", config.display()));
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(document["problems"], serde_json::json!([]), "{document}");
}

#[test]
fn completions_and_the_manual_name_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = forebay(&format!("completions {shell}"));
        assert_eq!(said.code, Some(0), "{shell}");
        for command in COMMANDS {
            assert!(said.out.contains(command), "the completions for {shell} do not know {command}");
        }
    }
    let manual = forebay("man");
    assert_eq!(manual.code, Some(0));
    assert!(manual.out.starts_with(".ie") || manual.out.starts_with(".TH"), "{}", manual.out);
    for command in COMMANDS {
        assert!(manual.out.contains(command), "the manual does not know {command}");
    }
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let binary = env!("CARGO_BIN_EXE_forebay");
    let script = format!("set -o pipefail; '{binary}' man | head -n 1; '{binary}' completions bash | head -n 1");
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
}

#[test]
fn a_bounded_run_that_finds_no_kafka_ends_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let books = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tables/books.toml");
    std::fs::copy(books, dir.path().join("books.toml")).unwrap();
    let here = dir.path().display();
    let config = format!(
        "[kafka]\n\"bootstrap.servers\" = \"127.0.0.1:1\"\n\"group.id\" = \"g\"\n[lake]\nroot = \"file://{here}/lake\"\n\
         [control]\nsocket = \"{here}/socket\"\n[limits]\nspool = {{ dir = \"{here}/spool\", size = \"1GiB\" }}\n\
         [[table]]\nname = \"books\"\ntopics = [\"library\"]\nmapping = \"books.toml\"\n"
    );
    std::fs::write(dir.path().join("forebay.toml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
    command.args(["run", "--until-caught-up", "--config", "forebay.toml"]).current_dir(dir.path()).env_clear();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    // The control socket is opened last.
    while !dir.path().join("socket").exists() {
        assert!(begun.elapsed() < PATIENCE && child.try_wait().unwrap().is_none(), "it did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let told = Instant::now();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(5), "it ended after {:?}", told.elapsed());
}
