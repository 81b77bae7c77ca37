//! A place where one daemon runs: its configuration, its lake, its logs, its socket; and its commands.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::stack::Stack;

/// How long anything may take that ought to happen, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Where the lake of a site lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    Hdfs,
    Local,
}

/// One daemon's place, with everything gone at its end, unless the test has failed.
pub(crate) struct Site {
    pub(crate) dir: PathBuf,
    pub(crate) stack: Stack,
    pub(crate) topic: String,
    /// URL of the lake.
    pub(crate) root: String,
    on_hdfs: Option<String>,
    temporary: Option<TempDir>,
    topics: Vec<String>,
}

/// What a test changes of the configuration.
pub(crate) struct Recipe {
    pub(crate) disk: Disk,
    pub(crate) group: Option<String>,
    /// Lines of `[kafka]`.
    pub(crate) kafka: &'static str,
    /// Lines before the tables, with their own section headings.
    pub(crate) sections: &'static str,
    /// `limits.memory`.
    pub(crate) memory: &'static str,
    /// Lines of `[table.raw]` of the books.
    pub(crate) raw: &'static str,
    /// In place of `topics = […]` of the books.
    pub(crate) topics: Option<String>,
    /// More tables, with their own headings.
    pub(crate) tables: String,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            disk: Disk::Local,
            group: None,
            kafka: "",
            sections: "",
            memory: "64MiB",
            raw: "roll_age = \"500ms\"",
            topics: None,
            tables: String::new(),
        }
    }
}

impl Site {
    /// A new site on `stack`.
    pub(crate) fn new(stack: &Stack, recipe: &Recipe) -> Self {
        let temporary = tempfile::Builder::new().prefix("forebay-e2e-").tempdir().unwrap();
        let dir = temporary.path().to_owned();
        let unique = uuid::Uuid::new_v4().simple().to_string()[..12].to_owned();
        let topic = format!("library-{unique}");
        let (root, on_hdfs) = match recipe.disk {
            Disk::Local => (format!("file://{}/lake", dir.display()), None),
            Disk::Hdfs => (format!("{}/e2e-{unique}/lake", stack.hdfs), Some(format!("/e2e-{unique}"))),
        };
        let site =
            Self { dir, stack: stack.clone(), topic, root, on_hdfs, temporary: Some(temporary), topics: Vec::new() };
        let group = recipe.group.clone().unwrap_or_else(|| format!("e2e-{unique}"));
        fs::write(site.config(), site.configuration(recipe, &group)).unwrap();
        site
    }

    /// A site beside `self` on the same lake and topic, with a configuration of its own.
    pub(crate) fn beside(&self, recipe: &Recipe) -> Self {
        let mut other = Self::new(&self.stack, recipe);
        let text = fs::read_to_string(other.config()).unwrap();
        let text = text.replace(&other.root, &self.root).replace(&other.topic, &self.topic);
        fs::write(other.config(), text).unwrap();
        (other.root, other.topic) = (self.root.clone(), self.topic.clone());
        other.on_hdfs = None;
        other
    }

    fn configuration(&self, recipe: &Recipe, group: &str) -> String {
        let Recipe { kafka, sections, memory, raw, tables, .. } = recipe;
        let (dir, root, servers) = (self.dir.display(), &self.root, &self.stack.kafka);
        let books = mapping("books.toml");
        let topics = recipe.topics.clone().unwrap_or_else(|| format!("topics = [\"{}\"]", self.topic));
        let topics = topics.replace("LIBRARY", &self.topic);
        format!(
            r#"[kafka]
"bootstrap.servers" = "{servers}"
"group.id" = "{group}"
{kafka}

[lake]
root = "{root}"

[control]
socket = "{dir}/control.sock"

[logs]
dir = "{dir}/logs"

[limits]
memory = "{memory}"
spool = {{ dir = "{dir}/spool", size = "1GiB" }}

{sections}

[[table]]
name = "books"
{topics}
mapping = "{books}"

[table.raw]
{raw}

[table.processed]
record_id = ["record_id"]
date = "added"

{tables}
"#
        )
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("forebay.toml")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// The folder of the lake on HDFS, for WebHDFS; none on local disk.
    pub(crate) fn folder_on_hdfs(&self) -> Option<String> {
        self.root.strip_prefix(&self.stack.hdfs).map(str::to_owned)
    }

    /// A command of `forebay` with this site's configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
        // What an audit remembers of the lake goes with it.
        command.env("XDG_CACHE_HOME", self.dir.join("cache"));
        command.current_dir(&self.dir).stdin(Stdio::null()).arg("--config").arg(self.config()).args(arguments);
        command
    }

    /// Runs a command of `forebay`, whatever comes of it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.command(arguments).output().unwrap())
    }

    /// Runs a command of `forebay` that has to succeed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> Answer {
        let answer = self.run(arguments);
        assert_eq!(answer.code, Some(0), "forebay {arguments:?}: {answer:#?}");
        answer
    }

    /// Runs a command of `forebay` with `--json` that has to succeed.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.ok(&[&["--json"], arguments].concat()).json()
    }

    /// Starts the daemon.
    pub(crate) fn start(&self) -> Daemon {
        self.start_with(&[])
    }

    /// Starts the daemon with more arguments.
    pub(crate) fn start_with(&self, arguments: &[&str]) -> Daemon {
        self.start_as(self.command(&[&["run"], arguments].concat()))
    }

    /// Starts the daemon by this command.
    pub(crate) fn start_as(&self, mut command: Command) -> Daemon {
        let log = self.dir.join("daemon.log");
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Daemon { child, log }
    }

    /// Asks the daemon by its socket, as `curl --unix-socket` does: status and body.
    ///
    /// # Errors
    ///
    /// When nobody listens, or the answer breaks off.
    pub(crate) fn http(&self, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: forebay\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let broken = || std::io::Error::other(format!("no answer: {answer}"));
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
        Ok((status, body.to_owned()))
    }

    /// A document that the daemon gives; none while nobody listens.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        let (status, body) = self.http("GET", path, "").ok()?;
        (status == 200).then(|| serde_json::from_str(&body).expect("the body is JSON"))
    }

    /// A member of each lane of the site's topic, by partition; empty while nobody listens.
    pub(crate) fn lanes(&self) -> Vec<Value> {
        let lanes = self.get("/v1/lanes").and_then(|lanes| lanes["lanes"].as_array().cloned()).unwrap_or_default();
        lanes.into_iter().filter(|lane| lane["topic"] == self.topic.as_str()).collect()
    }

    /// One lane of the site's topic.
    pub(crate) fn lane(&self, partition: i64) -> Option<Value> {
        self.lanes().into_iter().find(|lane| lane["partition"] == partition)
    }

    /// Waits until everything below `ends` (one an offset for each partition) is committed.
    #[track_caller]
    pub(crate) fn wait_committed(&self, ends: &[i64]) {
        until("everything is committed", || {
            let lanes = self.lanes();
            let is_done = |(partition, end): (usize, &i64)| {
                *end == 0
                    || lanes
                        .iter()
                        .any(|lane| lane["partition"] == partition && lane["committed"].as_i64() >= Some(*end))
            };
            ends.iter().enumerate().all(is_done)
        });
    }

    /// Lines of the daemon's log with this event.
    pub(crate) fn events(&self, event: &str) -> Vec<Value> {
        let output = self.ok(&["--json", "logs", "--event", event]);
        output.out.lines().map(|line| serde_json::from_str(line).expect("a line of the log is JSON")).collect()
    }

    /// Creates a topic that goes away with the site.
    pub(crate) fn create_topic(&mut self, topic: &str, partitions: u32) {
        self.ok(&["topic", "create", topic, "--partitions", &partitions.to_string()]);
        self.topics.push(topic.to_owned());
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let kept = self.temporary.take().map(TempDir::keep);
            let log = fs::read_to_string(self.dir.join("daemon.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(60)..].join("\n");
            eprintln!("kept {kept:?} and {}; the daemon's last lines:\n{last}", self.root);
            return;
        }
        // What cannot be removed is in the way of nobody.
        for topic in self.topics.iter().chain([&self.topic]) {
            let _ = self.run(&["topic", "delete", topic]);
        }
        if let Some(folder) = &self.on_hdfs {
            let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
            let url = format!("{}/webhdfs/v1{folder}?op=DELETE&recursive=true&user.name={user}", self.stack.webhdfs);
            let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
            let _ = client.delete(url).send();
        }
    }
}

/// A running `forebay run`; killed at the end when the test has not ended it.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) log: PathBuf,
}

impl Daemon {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// `SIGTERM`.
    pub(crate) fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// `SIGHUP`.
    pub(crate) fn hang_up(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end: the exit code.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> Option<i32> {
        until("the daemon has ended", || self.ended().is_some());
        self.child.wait().unwrap().code()
    }

    /// Ends it by SIGTERM, which has to be well.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        self.terminate();
        assert_eq!(self.wait(), Some(0), "SIGTERM");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already, or ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what is said is UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A mapping that the repository ships.
pub(crate) fn mapping(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tables").join(name).display().to_string()
}

/// Waits until `holds`.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < limit, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
