//! Where log lines go: `forebay.jsonl` by a thread of its own, and the terminal.
//!
//! A line waits in a bounded queue for the writer. When the disk cannot keep up, a line of a warning or an error waits
//! for room for up to a second and any other is dropped; dropped lines are counted, and the log says how many.
//! [`LogGuard`] writes what is still queued when it is dropped.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::fields::{Fields, escaped_json};
use super::metrics::metrics;
use super::rotate::{RotatingFile, Sizes};
use super::sampler::Sampler;
use super::terminal::Shown;
use crate::model::level::LogLevel;

/// Lines that may wait for the writer.
const QUEUE: usize = 8192;

/// How long an important line waits for room in the queue.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the guard waits for what is queued to be written.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// So many warnings of a module of a library are written in each [`WINDOW`].
const ENOUGH: u32 = 10;

/// For so long.
const WINDOW: Duration = Duration::from_secs(10);

/// The name that events of libraries have.
const FOREIGN: &str = "log";

/// Where log lines go.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// The files; none: no files.
    pub files: Option<LogFiles>,
    /// The terminal; none: nothing there.
    pub terminal: Option<Terminal>,
}

/// The log files.
#[derive(Debug, Clone)]
pub struct LogFiles {
    /// Their folder, made if need be.
    pub dir: PathBuf,
    /// What is logged.
    pub level: LogLevel,
    /// A file is closed at this size, or at midnight UTC.
    pub file_size: u64,
    /// The oldest closed files go when all together are larger.
    pub total_size: u64,
}

/// The log on stderr.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// What is shown.
    pub level: LogLevel,
    /// Whether to use colours.
    pub colors: bool,
}

/// Keeps the log going; dropping it writes what is queued.
#[derive(Debug)]
#[must_use = "the log ends when this is dropped"]
pub struct LogGuard {
    writer: Option<(Sender<Message>, JoinHandle<()>)>,
}

/// Starts the log of this process, and logs panics from now on.
///
/// # Errors
///
/// When the folder or the file cannot be made, or a log was started before.
pub fn start(options: LogOptions) -> io::Result<LogGuard> {
    let mut writer = None;
    let levels = [options.files.as_ref().map(|files| files.level), options.terminal.map(|terminal| terminal.level)];
    let most = levels.into_iter().flatten().max().unwrap_or(LogLevel::Error);
    let files = match options.files {
        Some(files) => {
            let (lines, handle) = start_writer(&files)?;
            writer = Some((lines.clone(), handle));
            Some(Chosen::new(files.level, Queue { lines }))
        }
        None => None,
    };
    let terminal = options.terminal.map(|terminal| Chosen::new(terminal.level, terminal));
    let subscriber = tracing_subscriber::registry().with(wanted(most)).with(files).with(terminal);
    subscriber.try_init().map_err(io::Error::other)?;
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let message = super::panic_text(panic.payload());
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line())).unwrap_or_default();
        super::events::panicked(thread.name().unwrap_or("unnamed"), message, &place);
    }));
    Ok(LogGuard { writer })
}

/// Our own events of a level; those of libraries one step less talkative.
fn wanted(level: LogLevel) -> Targets {
    let (ours, theirs) = match level {
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
        LogLevel::Warn => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Info => (LevelFilter::INFO, LevelFilter::WARN),
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::INFO),
        LogLevel::Trace => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    // rdkafka closes every consumer once more when it is dropped, and calls it an error that it was closed before.
    let closing = "rdkafka::consumer::base_consumer";
    // They tell every attempt to connect in vain, and every file that was given up, in their own words; the call of
    // ours that fails for it says so too.
    let told_by_us = ["hdfs_native::hdfs::proxy", "hdfs_native::file"].map(|it| (it, theirs.min(LevelFilter::ERROR)));
    let known = [(closing, LevelFilter::OFF), told_by_us[0], told_by_us[1], ("forebay", ours)];
    Targets::new().with_default(theirs).with_targets(known)
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let Some((lines, handle)) = self.writer.take() else { return };
        let (done, finished) = bounded(1);
        // A disk that hangs must not keep the process from ending.
        if lines.send_timeout(Message::Stop(done), LAST_WORDS).is_ok() && finished.recv_timeout(LAST_WORDS).is_ok() {
            handle.join().unwrap_or_default();
        }
    }
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    Stop(Sender<()>),
}

fn start_writer(files: &LogFiles) -> io::Result<(Sender<Message>, JoinHandle<()>)> {
    let sizes = Sizes { file: files.file_size, total: files.total_size };
    let file = RotatingFile::open(&files.dir, sizes, Timestamp::now())?;
    let (sender, receiver) = bounded(QUEUE);
    let handle = std::thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(file, &receiver))?;
    Ok((sender, handle))
}

fn write_lines(mut file: RotatingFile, lines: &Receiver<Message>) {
    let (mut told, mut failing) = (metrics().log_lines_dropped.get(), false);
    while let Ok(message) = lines.recv() {
        let line = match message {
            Message::Line(line) => line,
            Message::Stop(done) => {
                done.send(()).unwrap_or_default();
                return;
            }
        };
        match file.write_line(&line, Timestamp::now()) {
            Ok(()) => failing = false,
            Err(error) => {
                metrics().log_lines_dropped.inc();
                if !failing {
                    // The log itself is what fails: the terminal is the only place left.
                    writeln!(io::stderr(), "forebay: the log cannot be written: {error}").unwrap_or_default();
                }
                failing = true;
                continue;
            }
        }
        let dropped = metrics().log_lines_dropped.get();
        if dropped > told {
            let line = dropped_line(dropped - told);
            if file.write_line(&line, Timestamp::now()).is_ok() {
                told = dropped;
            }
        }
    }
}

fn dropped_line(lines: u64) -> Vec<u8> {
    let mut rest = Map::new();
    rest.insert("lines".to_owned(), lines.into());
    json_line("warn", "log.lines_dropped", "log lines were dropped", rest)
}

fn json_line(level: &str, event: &str, message: &str, rest: Map<String, Value>) -> Vec<u8> {
    let mut line = format!(
        "{{\"ts\":\"{:.6}\",\"level\":\"{level}\",\"event\":{},\"message\":{}",
        Timestamp::now(),
        Value::from(event),
        Value::from(message)
    );
    for (name, value) in rest {
        line.push(',');
        line.push_str(&Value::from(name).to_string());
        line.push(':');
        line.push_str(&value.to_string());
    }
    line.push('}');
    let mut line = escaped_json(line);
    line.push('\n');
    line.into_bytes()
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// Somewhere that lines go to, and which ones.
///
/// It looks at each line itself. A filter of the layer's own (`with_filter`) would keep its verdict on the thread until
/// the next line: whenever a library that logs by the `log` crate has a line that is not wanted, the next one of ours
/// would be lost with it.
struct Chosen<W> {
    wanted: Targets,
    /// Of each module of a library.
    samplers: Mutex<HashMap<String, Sampler>>,
    sink: W,
}

impl<W> Chosen<W> {
    fn new(level: LogLevel, sink: W) -> Self {
        Self { wanted: wanted(level), samplers: Mutex::default(), sink }
    }

    /// Whether a warning of a library is written, and how many were not since the last that was.
    fn admit(&self, module: &str) -> Option<u64> {
        let mut samplers = self.samplers.lock().unwrap_or_else(PoisonError::into_inner);
        let sampler = samplers.entry(module.to_owned()).or_insert_with(|| Sampler::new(ENOUGH, WINDOW));
        sampler.admit(Instant::now())
    }
}

trait Sink: 'static {
    fn write(&self, metadata: &Metadata<'_>, fields: Fields);
}

impl<S: Subscriber, W: Sink> Layer<S> for Chosen<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let target = fields.target.take();
        let target = target.as_deref().unwrap_or(metadata.target());
        if !self.wanted.would_enable(target, metadata.level()) {
            return;
        }
        if fields.event.is_empty() {
            // It comes unasked: a library that tells each attempt in vain would bury what the operator has to read.
            if is_important(metadata) {
                match self.admit(target) {
                    None => return,
                    Some(0) => (),
                    Some(lines) => drop(fields.rest.insert("unsaid".to_owned(), lines.into())),
                }
            }
            // A line of a library gets a name, and says where it is from.
            FOREIGN.clone_into(&mut fields.event);
            fields.rest.insert("target".to_owned(), target.into());
        }
        self.sink.write(metadata, fields);
    }
}

/// Writes events as JSON lines into the queue.
struct Queue {
    lines: Sender<Message>,
}

impl Sink for Queue {
    fn write(&self, metadata: &Metadata<'_>, fields: Fields) {
        let level = level_name(*metadata.level());
        let line = Message::Line(json_line(level, &fields.event, &fields.message, fields.rest));
        let sent = if is_important(metadata) {
            self.lines.send_timeout(line, PATIENCE).is_ok()
        } else {
            self.lines.try_send(line).is_ok()
        };
        if !sent {
            metrics().log_lines_dropped.inc();
        }
    }
}

fn is_important(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::WARN
}

impl Sink for Terminal {
    fn write(&self, metadata: &Metadata<'_>, fields: Fields) {
        let now = format!("{:.3}", Timestamp::now());
        // The time of day; the date is in the file.
        let time = now.get(11..23).unwrap_or(&now);
        let level = level_name(*metadata.level());
        let shown = Shown { time, level, message: &fields.message, fields: &fields.rest };
        // A terminal that is gone is no reason to stop.
        writeln!(io::stderr(), "{}", shown.line(self.colors)).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &std::path::Path) -> LogFiles {
        LogFiles { dir: dir.to_owned(), level: LogLevel::Info, file_size: 1 << 20, total_size: 1 << 24 }
    }

    fn lines(dir: &std::path::Path) -> Vec<Value> {
        let text = std::fs::read_to_string(dir.join("forebay.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn every_queued_line_is_written_before_the_guard_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, handle) = start_writer(&files(dir.path())).unwrap();
        let guard = LogGuard { writer: Some((sender.clone(), handle)) };
        let subscriber = tracing_subscriber::registry().with(Chosen::new(LogLevel::Info, Queue { lines: sender }));
        tracing::subscriber::with_default(subscriber, || {
            for offset in 0..1000 {
                tracing::warn!(event = "test.line", topic = "library", offset, error = "a \"b\"\n", "one line");
            }
            tracing::debug!(event = "test.debug", "not at this level");
        });
        drop(guard);
        let lines = lines(dir.path());
        assert_eq!(lines.len(), 1000);
        let last = &lines[999];
        assert_eq!((last["level"].as_str(), last["event"].as_str()), (Some("warn"), Some("test.line")));
        assert_eq!((last["offset"].as_u64(), last["error"].as_str()), (Some(999), Some("a \"b\"\n")));
        assert!(last["ts"].as_str().unwrap().parse::<Timestamp>().is_ok());
    }

    #[test]
    fn nothing_from_outside_reaches_a_file_or_a_terminal_raw() {
        let evil = format!("\u{1b}[2J\u{9b}31m\r\nts\u{7f}\u{202e}\u{2028}\"}}{}", "x".repeat(1 << 20));
        let dir = tempfile::tempdir().unwrap();
        let (sender, handle) = start_writer(&files(dir.path())).unwrap();
        let guard = LogGuard { writer: Some((sender.clone(), handle)) };
        let subscriber = tracing_subscriber::registry().with(Chosen::new(LogLevel::Info, Queue { lines: sender }));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(event = "test.evil", topic = evil, debug = ?evil, display = %evil, "{evil}");
        });
        drop(guard);
        let raw = std::fs::read_to_string(dir.path().join("forebay.jsonl")).unwrap();
        let plain = |text: &str| text.chars().all(|c| !c.is_control() && !"\u{202e}\u{2028}".contains(c));
        assert!(raw.lines().count() == 1 && raw.lines().all(plain), "{raw}");
        assert!(raw.len() < 8 << 10, "{} bytes", raw.len());
        let line = &lines(dir.path())[0];
        assert!(line["topic"].as_str().unwrap().starts_with("\u{1b}[2J\u{9b}31m\r\nts"));
        let fields = line.as_object().unwrap();
        let shown = Shown { time: "12:00", level: "warn", message: line["message"].as_str().unwrap(), fields };
        assert!(plain(&shown.line(false)), "{}", shown.line(false));
    }

    #[test]
    fn an_event_of_a_library_says_where_it_is_from() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, handle) = start_writer(&files(dir.path())).unwrap();
        let guard = LogGuard { writer: Some((sender.clone(), handle)) };
        let subscriber = tracing_subscriber::registry().with(Chosen::new(LogLevel::Info, Queue { lines: sender }));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "hdfs_native", "too talkative");
            tracing::warn!(target: "hdfs_native::hdfs::proxy", "connection refused");
            tracing::warn!(target: "hdfs_native::file", "FileWriter dropped without being closed");
            tracing::warn!(target: "hdfs_native", "worth a line");
        });
        drop(guard);
        let lines = lines(dir.path());
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0]["event"].as_str(), lines[0]["target"].as_str()), (Some("log"), Some("hdfs_native")));
    }

    #[test]
    fn a_library_that_repeats_itself_does_not_bury_what_we_say() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, handle) = start_writer(&files(dir.path())).unwrap();
        let guard = LogGuard { writer: Some((sender.clone(), handle)) };
        let subscriber = tracing_subscriber::registry().with(Chosen::new(LogLevel::Info, Queue { lines: sender }));
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..500 {
                tracing::warn!(target: "hdfs_native::hdfs::block_writer", "Failed to read ack from DataNode");
                tracing::warn!(event = "test.ours", "ours");
            }
        });
        drop(guard);
        let (ours, theirs): (Vec<_>, Vec<_>) =
            lines(dir.path()).into_iter().partition(|line| line["event"] == "test.ours");
        assert_eq!((ours.len(), theirs.len()), (500, 10));
    }
}
