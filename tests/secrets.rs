//! Secrets reach the Kafka client and nobody else: every command is run with secrets set, at the most talkative level,
//! and everything that it says or writes is searched.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// In each secret, and nowhere else.
const MARK: &str = "hunter2";
/// How long anything may take that ought to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Secrets in every way that there is: a file, a credential, the text itself, the environment; and of the HDFS client.
fn configuration(dir: &Path, protocol: &str, more: &str) -> String {
    let books = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tables/books.toml");
    let (dir, books) = (dir.display(), books.display());
    format!(
        r#"[kafka]
"bootstrap.servers" = "127.0.0.1:1"
"group.id" = "secrets"
"debug" = "all"
"security.protocol" = "{protocol}"
"sasl.mechanism" = "PLAIN"
"sasl.username" = "forebay"
"sasl.password" = "file:{dir}/secret/password"
"ssl.key.password" = "credential:key"
"sasl.oauthbearer.config" = "{MARK}-inline"
{more}

[lake]
root = "file://{dir}/lake"
[lake.hdfs]
"ssl.client.truststore.password" = "{MARK}-hdfs"

[control]
socket = "{dir}/control.sock"
[logs]
dir = "{dir}/logs"
level = "trace"
[limits]
spool = {{ dir = "{dir}/spool", size = "1GiB" }}
[[table]]
name = "books"
topics = ["library"]
mapping = "{books}"
"#
    )
}

/// `forebay` with these secrets; what it says goes to files below `said`.
fn forebay(dir: &Path, words: &str) -> Child {
    let said = |stream: &str| fs::File::create(dir.join("said").join(format!("{words}.{stream}"))).unwrap();
    Command::new(env!("CARGO_BIN_EXE_forebay"))
        .args(words.split_whitespace())
        .args(["-v", "-v", "--config"])
        .arg(dir.join("forebay.toml"))
        .current_dir(dir)
        .env("CREDENTIALS_DIRECTORY", dir.join("secret"))
        .env("FOREBAY__KAFKA__SSL__KEYSTORE__PASSWORD", format!("{MARK}-environment"))
        .stdin(Stdio::null())
        .stdout(said("out"))
        .stderr(said("err"))
        .spawn()
        .unwrap()
}

/// Searches every file below `dir`, but for those where the secrets are on purpose; counts them.
fn search(dir: &Path, found: &mut Vec<String>) -> usize {
    let mut files = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("secret") {
            files += search(&path, found);
        } else if path.is_file() && !path.ends_with("forebay.toml") {
            files += 1;
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            let lines = text.lines().filter(|line| line.contains(MARK));
            found.extend(lines.map(|line| format!("{}: {line}", path.display())));
        }
    }
    files
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < limit, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const COMMANDS: [&str; 23] = [
    "check",
    "check --json",
    "check --connect",
    "audit",
    "status",
    "status --json",
    "drift books",
    "pause",
    "resume",
    "rewind library:0 --to 0",
    "requeue books",
    "accept-topic library",
    "accept-loss library:0",
    "promote",
    "reload",
    "logs",
    "logs --json",
    "show raw.books",
    "infer --topic library --messages 1",
    "produce --library 1 --topic library",
    "topic create library",
    "topic delete library",
    "completions bash",
];

#[test]
fn no_command_tells_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for folder in ["secret", "said"] {
        fs::create_dir(dir.join(folder)).unwrap();
    }
    fs::write(dir.join("secret/password"), format!("{MARK}-file\n")).unwrap();
    fs::write(dir.join("secret/key"), format!("{MARK}-credential\n")).unwrap();
    let configure = |protocol: &str, more: &str| {
        fs::write(dir.join("forebay.toml"), configuration(dir, protocol, more)).unwrap();
    };
    configure("sasl_plaintext", "");
    let mut daemon = forebay(dir, "run");
    let log = dir.join("logs/forebay.jsonl");
    until("the daemon has tried Kafka", || {
        fs::read_to_string(&log).is_ok_and(|log| log.contains("\"kafka.unavailable\""))
    });
    // All at once: many of them wait for a Kafka that is not there.
    let children: Vec<Child> = COMMANDS.iter().map(|words| forebay(dir, words)).collect();
    for (words, mut child) in COMMANDS.iter().zip(children) {
        let code = child.wait().unwrap().code();
        assert!(code.is_some_and(|code| code != 2), "{words}: {code:?}");
    }
    // What is refused is told, in words of ours and of the client's.
    for (number, wrong) in [
        format!("\"sasl.pasword\" = \"{MARK}\""),
        format!("\"ssl.key.location\" = \"-----BEGIN PRIVATE KEY-----\\n{MARK}\""),
        format!("\"ssl.key.pem\" = \"{MARK}\"\n\"ssl.certificate.pem\" = \"{MARK}\""),
        format!("\"ssl.crl.location\" = [\"{MARK}\"]"),
        format!("\"sasl.password\" = \"{MARK}"),
    ]
    .iter()
    .enumerate()
    {
        configure("sasl_ssl", wrong);
        for (words, code) in [("check", 1), ("reload", 78), ("run", 78)] {
            let words = format!("{words} --color auto{}", " -v".repeat(number));
            let said = forebay(dir, &words).wait().unwrap().code();
            assert!(
                said == Some(code) || (said == Some(1) && words.starts_with("reload")),
                "{words} {wrong}: {said:?}"
            );
        }
    }
    let line = fs::read(format!("/proc/{}/cmdline", daemon.id())).unwrap();
    fs::write(dir.join("said/command line"), line).unwrap();
    kill_process(Pid::from_raw(i32::try_from(daemon.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
    let mut found = Vec::new();
    let files = search(dir, &mut found);
    assert!(found.is_empty(), "{} secrets are told:\n{}", found.len(), found.join("\n"));
    // What was searched is there: two files a command, and both logs, with what the client says of its settings.
    let log = fs::read_to_string(&log).unwrap();
    assert!(files > 2 * COMMANDS.len() && log.contains("kafka.client-log"), "{files} files");
    assert!(fs::read_to_string(dir.join("logs/control.jsonl")).unwrap().contains("reload"));
}
