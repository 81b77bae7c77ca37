//! The log files, read back: `forebay logs`.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::rotate::{CURRENT, closed_files};
use super::terminal::Shown;
use crate::model::level::LogLevel;

/// Which lines are wanted. A default query wants all.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// From this time on.
    pub since: Option<Timestamp>,
    /// Of this level, and of those above.
    pub level: Option<LogLevel>,
    /// Of this topic.
    pub topic: Option<String>,
    /// Of this Kafka partition.
    pub partition: Option<i32>,
    /// Of this event, or of a family of them: `storage` for all of `storage.*`.
    pub event: Option<String>,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    text: String,
    fields: Map<String, Value>,
}

impl LogLine {
    /// The line as it stands in the file, without its end.
    pub fn json(&self) -> &str {
        &self.text
    }

    /// The line for people. A line that cannot be read is shown as it is, with what could move a cursor escaped.
    pub fn text(&self, colors: bool) -> String {
        if self.fields.is_empty() {
            return super::fields::escaped(&self.text).into_owned();
        }
        let text = |name: &str| self.fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut rest = self.fields.clone();
        for name in ["ts", "level", "message"] {
            rest.remove(name);
        }
        // To the millisecond: 2026-10-01 12:00:00.123.
        let time = text("ts").get(..23).unwrap_or(text("ts")).replace('T', " ");
        Shown { time: &time, level: text("level"), message: text("message"), fields: &rest }.line(colors)
    }

    fn parse(text: String) -> Self {
        let fields = match serde_json::from_str(&text) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        Self { text, fields }
    }
}

impl LogQuery {
    /// Whether a line is wanted. One that cannot be read is wanted only by a query that wants all.
    pub fn wants(&self, line: &LogLine) -> bool {
        let text = |name: &str| line.fields.get(name).and_then(Value::as_str);
        let time = || text("ts").and_then(|time| time.parse::<Timestamp>().ok());
        let level = || text("level").and_then(|level| level.parse::<LogLevel>().ok());
        let partition = || line.fields.get("partition").and_then(Value::as_i64);
        let is_event = |wanted: &str| {
            let event = text("event").unwrap_or_default();
            event == wanted || event.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'))
        };
        self.since.is_none_or(|since| time().is_some_and(|time| time >= since))
            && self.level.is_none_or(|most| level().is_some_and(|level| level <= most))
            && self.topic.as_deref().is_none_or(|topic| text("topic") == Some(topic))
            && self.partition.is_none_or(|wanted| partition() == Some(i64::from(wanted)))
            && self.event.as_deref().is_none_or(is_event)
    }
}

/// Reads the files of a folder in the order of time, and goes on where it was when more is written: also when a file
/// was closed meanwhile, however many times.
#[derive(Debug)]
pub struct LogReader {
    dir: PathBuf,
    query: LogQuery,
    open: Option<Open>,
    /// Closed files that were read to their end. By name: those are used once, other than inodes.
    done: HashSet<PathBuf>,
}

/// How `forebay logs` prints.
#[derive(Debug, Clone, Copy)]
pub struct LogPrint {
    /// The lines as they stand in the file, for machines.
    pub json: bool,
    /// Whether to use colours.
    pub colors: bool,
    /// Go on with what is written from now on.
    pub follow: bool,
}

/// How often a follower looks for more.
const LOOK: Duration = Duration::from_millis(200);

/// Prints the wanted lines of the log in `dir`; with `follow` it ends only when `out` does.
///
/// # Errors
///
/// What the file system or `out` says; a reader of `out` that has gone is no error.
pub fn print_logs(dir: &Path, query: LogQuery, print: LogPrint, out: &mut dyn Write) -> io::Result<()> {
    if !print.follow && !dir.is_dir() {
        return Err(io::Error::new(ErrorKind::NotFound, format!("there is no log in {}", dir.display())));
    }
    let mut reader = LogReader::new(dir, query);
    let printed = loop {
        let written = print_rest(&mut reader, print, out);
        if written.is_err() || !print.follow {
            break written;
        }
        std::thread::sleep(LOOK);
    };
    match printed {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn print_rest(reader: &mut LogReader, print: LogPrint, out: &mut dyn Write) -> io::Result<()> {
    while let Some(line) = reader.next_line()? {
        if print.json {
            writeln!(out, "{}", line.json())?;
        } else {
            writeln!(out, "{}", line.text(print.colors))?;
        }
    }
    out.flush()
}

/// What a file is, whatever it is called at the moment.
type Identity = (u64, u64);

#[derive(Debug)]
struct Open {
    file: BufReader<File>,
    identity: Identity,
    /// A line whose end has not been written yet.
    partial: Vec<u8>,
}

impl LogReader {
    /// A reader of the log files in `dir`.
    pub fn new(dir: &Path, query: LogQuery) -> Self {
        Self { dir: dir.to_owned(), query, open: None, done: HashSet::new() }
    }

    /// The next wanted line; `None` when everything that is written so far has been read. Ask again later to follow.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn next_line(&mut self) -> io::Result<Option<LogLine>> {
        loop {
            let Some(open) = &mut self.open else {
                if self.open_next()? {
                    continue;
                }
                return Ok(None);
            };
            match open.read_line()? {
                Some(line) => {
                    let line = LogLine::parse(line);
                    if self.query.wants(&line) {
                        return Ok(Some(line));
                    }
                }
                None if self.is_closed()? => {
                    // Lines may have been written between the last look and the closing of the file.
                    let last = self.open.as_mut().map(Open::read_line).transpose()?.flatten();
                    match last.map(LogLine::parse) {
                        Some(line) if self.query.wants(&line) => return Ok(Some(line)),
                        Some(_) => {}
                        None => self.close()?,
                    }
                }
                None => return Ok(None),
            }
        }
    }

    /// Whether the open file is not the one that is written to any more.
    fn is_closed(&self) -> io::Result<bool> {
        let current = identity_at(&self.dir.join(CURRENT))?;
        Ok(self.open.as_ref().is_some_and(|open| Some(open.identity) != current))
    }

    /// Leaves the open file, whatever its name is now.
    fn close(&mut self) -> io::Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        for file in closed_files(&self.dir)? {
            if identity_at(&file.path)? == Some(open.identity) {
                self.done.insert(file.path);
            }
        }
        Ok(())
    }

    /// Opens the oldest file that has not been read; false when there is none.
    fn open_next(&mut self) -> io::Result<bool> {
        loop {
            if let Some(path) = self.next_closed()? {
                if !self.open(&path)? {
                    self.done.insert(path);
                    continue;
                }
                return Ok(true);
            }
            let found = self.open(&self.dir.join(CURRENT))?;
            // It may have become a closed file, and another the current one, since the folder was listed.
            if !found || self.next_closed()?.is_none() {
                return Ok(found);
            }
            self.open = None;
        }
    }

    fn next_closed(&self) -> io::Result<Option<PathBuf>> {
        let closed = match closed_files(&self.dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        Ok(closed.into_iter().map(|file| file.path).find(|path| !self.done.contains(path)))
    }

    /// Opens a file; false when it is gone, or closed since before the time that is wanted.
    fn open(&mut self, path: &Path) -> io::Result<bool> {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        let metadata = file.metadata()?;
        let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        let is_older = self.query.since.zip(modified).is_some_and(|(since, modified)| modified < since);
        if is_older && path.file_name().is_some_and(|name| name != CURRENT) {
            return Ok(false);
        }
        let identity = (metadata.dev(), metadata.ino());
        self.open = Some(Open { file: BufReader::new(file), identity, partial: Vec::new() });
        Ok(true)
    }
}

impl Open {
    /// The next whole line, without its end.
    fn read_line(&mut self) -> io::Result<Option<String>> {
        self.file.read_until(b'\n', &mut self.partial)?;
        if self.partial.last() != Some(&b'\n') {
            return Ok(None);
        }
        self.partial.pop();
        let line = std::mem::take(&mut self.partial);
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }
}

fn identity_at(path: &Path) -> io::Result<Option<Identity>> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some((metadata.dev(), metadata.ino()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rotate::{RotatingFile, Sizes};
    use super::*;

    const NOON: &str = "2026-10-01T12:00:00.000000Z";

    fn line(ts: &str, level: &str, event: &str, partition: i32) -> String {
        format!(
            "{{\"ts\":\"{ts}\",\"level\":\"{level}\",\"event\":\"{event}\",\"message\":\"m\",\"topic\":\"library\",\"partition\":{partition}}}\n"
        )
    }

    fn write(dir: &Path, file_size: u64, lines: &[String]) {
        let sizes = Sizes { file: file_size, total: 1 << 20 };
        let now = Timestamp::now();
        let mut file = RotatingFile::open(dir, sizes, now).unwrap();
        for line in lines {
            file.write_line(line.as_bytes(), now).unwrap();
        }
    }

    fn events(reader: &mut LogReader) -> Vec<String> {
        std::iter::from_fn(|| reader.next_line().unwrap())
            .map(|line| line.fields["event"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn lines_come_in_order_across_files_and_following_sees_each_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut reader = LogReader::new(dir.path(), LogQuery::default());
        assert_eq!(events(&mut reader), Vec::<String>::new());
        let mut expected = Vec::new();
        for round in 0..4 {
            let names: Vec<String> = (0..5).map(|index| format!("e{round}{index}")).collect();
            let lines: Vec<String> = names.iter().map(|name| line(NOON, "info", name, 0)).collect();
            // Two lines a file, so that each round closes several.
            write(dir.path(), 220, &lines);
            assert_eq!(events(&mut reader), names);
            expected.extend(names);
        }
        assert_eq!(events(&mut LogReader::new(dir.path(), LogQuery::default())), expected);
    }

    #[test]
    fn a_line_that_is_not_whole_yet_waits_for_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let whole = line(NOON, "info", "whole", 0);
        let (begin, end) = whole.split_at(20);
        write(dir.path(), 1 << 20, &[begin.to_owned()]);
        let mut reader = LogReader::new(dir.path(), LogQuery::default());
        assert_eq!(events(&mut reader), Vec::<String>::new());
        write(dir.path(), 1 << 20, &[end.to_owned()]);
        assert_eq!(events(&mut reader), ["whole"]);
    }

    #[test]
    fn a_query_chooses_by_time_level_lane_and_event() {
        let lines = [
            line("2026-10-01T11:00:00Z", "error", "storage.denied", 0),
            line(NOON, "info", "lane.acquired", 0),
            line(NOON, "warn", "storage.unavailable", 1),
            line(NOON, "error", "storagelike", 1),
        ];
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 1 << 20, &lines);
        let all = |query: LogQuery| events(&mut LogReader::new(dir.path(), query));
        let since = Some(NOON.parse().unwrap());
        assert_eq!(all(LogQuery { since, ..LogQuery::default() }).len(), 3);
        assert_eq!(
            all(LogQuery { level: Some(LogLevel::Warn), ..LogQuery::default() }),
            ["storage.denied", "storage.unavailable", "storagelike"]
        );
        assert_eq!(all(LogQuery { partition: Some(1), topic: Some("library".into()), ..LogQuery::default() }).len(), 2);
        assert_eq!(all(LogQuery { topic: Some("other".into()), ..LogQuery::default() }).len(), 0);
        assert_eq!(
            all(LogQuery { event: Some("storage".into()), ..LogQuery::default() }),
            ["storage.denied", "storage.unavailable"]
        );
    }

    #[test]
    fn printing_gives_whole_lines_to_machines_and_readable_ones_to_people() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 1 << 20, &[line(NOON, "info", "a", 0), line(NOON, "info", "b", 0)]);
        let print = |json| {
            let mut out = Vec::new();
            let print = LogPrint { json, colors: false, follow: false };
            print_logs(dir.path(), LogQuery::default(), print, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(print(true), std::fs::read_to_string(dir.path().join(CURRENT)).unwrap());
        assert_eq!(print(false).lines().count(), 2);
        let print = LogPrint { json: false, colors: false, follow: false };
        let error = print_logs(&dir.path().join("none"), LogQuery::default(), print, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with("there is no log in "));
    }

    #[test]
    fn a_line_for_people_and_one_that_cannot_be_read() {
        let good = LogLine::parse(line(NOON, "warn", "lane.parked", 3).trim_end().to_owned());
        assert_eq!(good.text(false), "2026-10-01 12:00:00.000 WARN  m event=lane.parked partition=3 topic=library");
        assert!(good.json().starts_with("{\"ts\":"));
        assert_eq!(LogLine::parse("\u{1b}[2Jnot json".into()).text(false), "\\u{1b}[2Jnot json");
    }
}
