//! `forebay try` as it is typed: what it shows to people and to programs, how it ends, and that it says what the stages
//! of the daemon say.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod command;
mod messages;
mod people;
mod property;
mod spark;
mod streams;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The mapping that most tests use.
pub(crate) const BOOKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/tables/books.toml");

/// A folder with files, and `forebay` in it.
pub(crate) struct Site {
    dir: tempfile::TempDir,
}

pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file, and says where.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// `forebay` with the words of `line`, in an environment that says nothing.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
        command.args(line.split_whitespace()).current_dir(self.dir.path()).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, line: &str, stdin: impl AsRef<[u8]>) -> Said {
        let mut child = self.command(line).spawn().unwrap();
        // It may end without having read everything.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_ref());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Said {
    /// The answers of `--json`.
    pub(crate) fn answers(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
