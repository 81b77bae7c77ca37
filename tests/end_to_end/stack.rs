//! The Kafka and the HDFS that the tests run on.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Where a stack listens.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    pub(crate) kafka: String,
    pub(crate) hdfs: String,
    pub(crate) webhdfs: String,
}

impl Stack {
    /// The stack of the environment; none: what is left out is told.
    pub(crate) fn find(left_out: &str) -> Option<Self> {
        let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let stack = || {
            Some(Self {
                kafka: read("FOREBAY_STACK_KAFKA")?,
                hdfs: read("FOREBAY_STACK_HDFS")?,
                webhdfs: read("FOREBAY_STACK_WEBHDFS")?,
            })
        };
        let found = stack();
        if found.is_none() {
            leave_out(&format!("{left_out}: start a stack with scripts/stack up, then eval \"$(scripts/stack env)\""));
        }
        found
    }
}

/// Says what is left out; under `CI=true` nothing may be.
pub(crate) fn leave_out(what: &str) {
    eprintln!("LEFT OUT: {what}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI=true: nothing may be left out, and this was: {what}");
}

/// A stack of a test's own, which may be broken; gone with the value.
pub(crate) struct OwnStack {
    dir: TempDir,
    env: String,
    pub(crate) at: Stack,
}

impl OwnStack {
    /// Starts one on free ports.
    pub(crate) fn up() -> Self {
        Self::up_with(&[])
    }

    /// Starts one on free ports, with more arguments.
    pub(crate) fn up_with(arguments: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("forebay-stack-").tempdir().unwrap();
        script(dir.path(), &[&["up", "--quick", "--ports", "auto", "--datanodes", "1"], arguments].concat());
        let env = script(dir.path(), &["env"]);
        let at = Stack {
            kafka: value(&env, "FOREBAY_STACK_KAFKA"),
            hdfs: value(&env, "FOREBAY_STACK_HDFS"),
            webhdfs: value(&env, "FOREBAY_STACK_WEBHDFS"),
        };
        Self { dir, env, at }
    }

    /// What the stack tells under this name.
    pub(crate) fn value(&self, name: &str) -> String {
        value(&self.env, name)
    }

    /// Where everything of it lies.
    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// `kill`, `start`, `stop` or `cont`, and the names of processes.
    pub(crate) fn order(&self, arguments: &[&str]) {
        script(self.dir.path(), arguments);
    }
}

impl Drop for OwnStack {
    fn drop(&mut self) {
        // A stack that does not go down says so itself.
        let _ = command(self.dir.path(), &["down", "--purge"]).status();
    }
}

fn value(env: &str, name: &str) -> String {
    let prefix = format!("export {name}=");
    env.lines().find_map(|line| line.strip_prefix(&prefix)).expect("the stack says where it is").to_owned()
}

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/stack"));
    command.arg("--dir").arg(dir).args(arguments);
    command
}

fn script(dir: &Path, arguments: &[&str]) -> String {
    let output = command(dir, arguments).output().unwrap();
    assert!(output.status.success(), "stack {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
