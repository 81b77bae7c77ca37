//! `control.jsonl`: who commanded what. One line a call, written through to the disk; never rotated away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::fields::escaped_json;

/// Name of the file in the folder of the logs.
pub const FILE: &str = "control.jsonl";

/// A call that changed state, or tried to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ControlRecord {
    /// When.
    #[serde(serialize_with = "as_text")]
    pub ts: Timestamp,
    /// User of the caller.
    pub uid: u32,
    /// Group of the caller.
    pub gid: u32,
    /// Process of the caller, where the kernel tells.
    pub pid: Option<i32>,
    /// What was commanded: `pause`, `rewind`, …
    pub command: String,
    /// What with.
    pub arguments: Value,
    /// The state before; null when it was refused or failed.
    pub before: Value,
    /// The state after; null when it was refused or failed.
    pub after: Value,
    /// Why it was refused or failed; none: it was done.
    pub refused: Option<String>,
}

fn as_text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.6}"))
}

/// The open file.
#[derive(Debug)]
pub struct ControlLog {
    file: Mutex<File>,
}

impl ControlLog {
    /// Opens the file in `dir`, which is made if need be.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let file = OpenOptions::new().create(true).append(true).open(dir.join(FILE))?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// Appends one line; on the disk when this returns.
    ///
    /// # Errors
    ///
    /// What the file system says. The call has been answered by then: that it is not on record is for the log.
    pub fn record(&self, record: &ControlRecord) -> io::Result<()> {
        let mut line = escaped_json(serde_json::to_string(record)?);
        line.push('\n');
        let mut file = self.file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        file.write_all(line.as_bytes())?;
        file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_call_is_a_line_that_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let record = ControlRecord {
            ts: "2026-10-01T00:00:00Z".parse().unwrap(),
            uid: 1000,
            gid: 100,
            pid: Some(42),
            command: "rewind".into(),
            arguments: json!({"lane": "library:0", "to": 5, "reason": "\u{9b}2J\u{202e}"}),
            before: json!({"position": 10}),
            after: json!({"position": 5}),
            refused: None,
        };
        for _ in 0..2 {
            ControlLog::open(dir.path()).unwrap().record(&record).unwrap();
        }
        let text = fs::read_to_string(dir.path().join(FILE)).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert!(text.contains("\\u009b2J\\u202e") && lines[0]["arguments"]["reason"] == "\u{9b}2J\u{202e}", "{text}");
        assert_eq!(lines[0], lines[1]);
        assert_eq!((&lines[0]["ts"], &lines[0]["pid"]), (&json!("2026-10-01T00:00:00.000000Z"), &json!(42)));
        assert_eq!((&lines[0]["before"]["position"], &lines[0]["refused"]), (&json!(10), &Value::Null));
    }
}
