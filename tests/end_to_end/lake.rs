//! What was produced, and whether the lake holds it: the account of `forebay produce --ledger` against the independent
//! reader.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use forebay::produce::library::{BOOKS, Library, REPEATED};
use forebay::produce::run::LedgerLine;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use crate::site::{Answer, Site};
use crate::stack::leave_out;

/// Library messages on a site's topic.
pub(crate) struct Load {
    pub(crate) messages: u64,
    pub(crate) rate: Option<u64>,
    pub(crate) seed: u64,
}

/// A `forebay produce` at work.
pub(crate) struct Production {
    child: Child,
    ledger: PathBuf,
    library: Library,
}

const SHARES: [(&str, f64); 3] = [("--broken", 0.06), ("--resent", 0.05), ("--changed", 0.05)];

impl Production {
    /// Starts to send broken, resent and changed messages among good ones to four partitions.
    pub(crate) fn start(site: &Site, load: &Load) -> Self {
        let ledger = site.dir.join(format!("produced-{}.jsonl", load.seed));
        let mut arguments = vec!["produce".to_owned(), "--library".to_owned(), load.messages.to_string()];
        arguments.extend(SHARES.iter().flat_map(|(name, share)| [(*name).to_owned(), share.to_string()]));
        arguments.extend(load.rate.iter().flat_map(|rate| ["--rate".to_owned(), rate.to_string()]));
        let rest = ["--seed", &load.seed.to_string(), "--topic", &site.topic, "--quiet", "--ledger"];
        arguments.extend(rest.map(str::to_owned));
        arguments.push(ledger.display().to_string());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let [(_, broken), (_, resent), (_, changed)] = SHARES;
        let last_date = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().saturating_sub(1.day());
        let library = Library { seed: load.seed, books: BOOKS, broken, resent, changed, repeated: REPEATED, last_date };
        let child = site.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, ledger, library }
    }

    /// Waits for its end: what is in Kafka now.
    pub(crate) fn finish(self) -> Account {
        let answer = Answer::of(self.child.wait_with_output().unwrap());
        assert_eq!(answer.code, Some(0), "{answer:?}");
        let text = fs::read_to_string(&self.ledger).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let message = |line: LedgerLine| {
            let made = self.library.message(line.number);
            assert_eq!(made.rows, line.rows, "message {} can be made again", line.number);
            Message { payload: made.payload, line }
        };
        Account { messages: lines.map(message).collect() }
    }
}

/// A message in Kafka.
pub(crate) struct Message {
    pub(crate) line: LedgerLine,
    pub(crate) payload: Option<Vec<u8>>,
}

/// Everything that was sent.
pub(crate) struct Account {
    pub(crate) messages: Vec<Message>,
}

impl Account {
    /// Sends messages and waits until all are in Kafka.
    pub(crate) fn produce(site: &Site, load: &Load) -> Self {
        Production::start(site, load).finish()
    }

    /// Takes what another run has sent.
    pub(crate) fn add(&mut self, other: Self) {
        self.messages.extend(other.messages);
    }

    /// End of each partition, by its number.
    pub(crate) fn ends(&self) -> Vec<i64> {
        let mut ends = vec![0; 4];
        for Message { line, .. } in &self.messages {
            let end: &mut i64 = &mut ends[usize::try_from(line.partition).unwrap()];
            *end = (*end).max(line.offset + 1);
        }
        ends
    }

    /// Messages of one outcome.
    pub(crate) fn count(&self, outcome: &str) -> usize {
        self.messages.iter().filter(|message| message.line.outcome == outcome).count()
    }

    /// Compares every row of every zone with what was sent, by a reader that shares nothing with the daemon.
    #[track_caller]
    pub(crate) fn compare(&self, site: &Site) {
        let Some(python) = python() else {
            leave_out("the independent reader: scripts/test makes its packages ready and sets FOREBAY_TEST_PYTHON");
            return;
        };
        let expected = site.dir.join("expected.jsonl");
        fs::write(&expected, self.expected()).unwrap();
        let mut command = Command::new(python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/check_lake.py"));
        command.arg("--expected").arg(&expected).args(["--table", "books", "--root"]);
        match site.folder_on_hdfs() {
            Some(folder) => command.arg(folder).args(["--webhdfs", &site.stack.webhdfs]),
            None => command.arg(site.root.trim_start_matches("file://")),
        };
        let answer = Answer::of(command.output().unwrap());
        assert_eq!(answer.code, Some(0), "the independent reader: {}\n{}", answer.out, answer.err);
        let document = answer.json();
        assert_eq!(document["checked"]["messages"], self.messages.len());
        println!("independent reader: {}", document["checked"]);
        self.compare_codes(site);
    }

    /// The first violation of each quarantined message is one that its flaw may give.
    fn compare_codes(&self, site: &Site) {
        let target = format!("ledger.{}", site.topic);
        let arguments = ["--json", "show", &target, "--limit", "10000000", "--where", "outcome=quarantined"];
        let shown = site.ok(&arguments).out;
        let partition = |row: &Value| row.get("kafka_partition").and_then(Value::as_i64);
        let mut codes: BTreeMap<i64, Vec<(Option<i64>, String)>> = BTreeMap::new();
        for row in shown.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
            let offset = row["kafka_offset"].as_i64().unwrap();
            codes.entry(offset).or_default().push((partition(&row), row["code"].as_str().unwrap().to_owned()));
        }
        let found: usize = codes.values().map(Vec::len).sum();
        assert_eq!(found, self.count("quarantined"), "quarantined by the ledger");
        for Message { line, .. } in self.messages.iter().filter(|message| message.line.outcome == "quarantined") {
            let here = codes.get(&line.offset).map(Vec::as_slice).unwrap_or_default();
            let is_said = |(partition, code): &(Option<i64>, String)| {
                partition.is_none_or(|partition| partition == i64::from(line.partition)) && line.codes.contains(code)
            };
            assert!(here.iter().any(is_said), "{line:?} is in quarantine as {here:?}");
        }
    }

    fn expected(&self) -> String {
        let line = |Message { line, payload }: &Message| {
            let mut expected = json!({
                "topic": line.topic,
                "partition": line.partition,
                "offset": line.offset,
                "timestamp_ms": line.timestamp_ms,
                "outcome": line.outcome,
                "rows": line.rows,
            });
            if let (Some(payload), "quarantined") = (payload, line.outcome.as_str()) {
                expected["payload_base64"] = STANDARD.encode(payload).into();
            }
            format!("{expected}\n")
        };
        self.messages.iter().map(line).collect()
    }
}

/// The Python with the packages of the independent reader.
pub(crate) fn python() -> Option<PathBuf> {
    if let Some(python) = std::env::var_os("FOREBAY_TEST_PYTHON").filter(|python| !python.is_empty()) {
        return Some(python.into());
    }
    let home = std::env::var_os("HOME").map(PathBuf::from)?;
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    let folders = fs::read_dir(cache.join("forebay")).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let is_ready = |folder: &PathBuf| is_oracle(folder) && folder.join("complete").exists();
    folders.filter(is_ready).map(|folder| folder.join("bin/python")).next()
}

fn is_oracle(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("oracle-"))
}

/// The audit has nothing to say against the lake.
#[track_caller]
pub(crate) fn audit(site: &Site) {
    let answer = site.run(&["audit", "--json"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let document = answer.json();
    assert_eq!(document["ok"], true, "{document}");
    let ids: Vec<_> =
        document["invariants"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(["I1", "I2", "I5", "I6"].iter().all(|id| ids.contains(id)), "{document}");
    let checked = |one: &Value| one["checked"].as_u64() > Some(0);
    assert!(document["invariants"].as_array().unwrap().iter().all(checked), "nothing checked: {document}");
}
