//! Holds the shape of `src/`: who may import whom, where a library may be named, how long a file and how wide a comment
//! may be.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a folder (or file) directly below `src/` may import of ours. The arrows point one way, with the flow of
/// control.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("main", &["app", "cli", "exit"]),
    (
        "app",
        &[
            "control",
            "supervise",
            "flow",
            "stage",
            "lake",
            "storage",
            "config",
            "cli",
            "exit",
            "infer",
            "produce",
            "observe",
            "model",
            "failpoint",
            "fault",
            "clock",
        ],
    ),
    ("control", &["supervise", "flow", "lake", "observe", "model", "fault", "clock"]),
    ("supervise", &["flow", "stage", "lake", "storage", "observe", "model", "fault", "clock"]),
    ("flow", &["lexical", "schema", "stage", "lake", "storage", "observe", "model", "fault", "clock"]),
    ("produce", &["flow", "model", "fault", "clock"]),
    ("infer", &["flow", "lexical", "model", "fault"]),
    ("stage", &["observe", "model", "failpoint", "fault", "clock"]),
    ("lake", &["storage", "observe", "model", "failpoint", "fault", "clock"]),
    ("storage", &["observe", "fault", "clock"]),
    ("config", &["lexical", "schema", "model", "fault"]),
    ("observe", &["model", "fault"]),
    ("cli", &["config", "observe", "model"]),
    ("exit", &["fault"]),
    ("lexical", &["model"]),
    ("schema", &[]),
    ("model", &[]),
    ("fault", &[]),
    ("clock", &[]),
    ("failpoint", &[]),
    ("lib", &[]),
];

/// Where a library may be named: path prefixes below `src/`.
const CONFINED: &[(&str, &[&str])] = &[
    ("rdkafka", &["flow/read/"]),
    ("rdkafka_sys", &["flow/read/"]),
    ("quick_xml", &["flow/parse/"]),
    ("uppsala", &["schema"]),
    ("parquet", &["flow/buffer/", "flow/promote/", "lake/"]),
    ("hdfs_native", &["storage/hdfs"]),
    ("roxmltree", &["storage/hdfs/namenodes.rs"]),
    ("fail", &["failpoint.rs"]),
    ("delta_kernel", &["lake/log"]),
    ("delta_kernel_default_engine", &["lake/log"]),
    ("object_store", &["lake/"]),
    // Whoever has something to tell calls a function of `observe::events`, which counts it too.
    ("tracing", &["observe/"]),
    ("actix", &["stage/host.rs", "supervise/", "control/", "app/"]),
    ("actix_web", &["control/"]),
    ("clap", &["cli", "main.rs", "app/"]),
];

const LONGEST_FILE: usize = 500;

/// Of a line of a comment, in characters: code is kept there by rustfmt. Tables and pictures are as wide as they must
/// be.
const WIDEST_COMMENT: usize = 120;

/// Every breach in one source file. `path` is relative to `src/`, with slashes.
fn breaches(path: &str, text: &str) -> Vec<String> {
    let part = path.split(['/', '.']).next().unwrap();
    let mut found = Vec::new();
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == part) else {
        return vec![format!("{path}: {part} has no place in the layers")];
    };
    for (number, line) in code_lines(text) {
        let ours = if part == "main" { names_after(line, "forebay::") } else { names_after(line, "crate::") };
        for name in ours {
            if name != part && !allowed.contains(&name.as_str()) && name.starts_with(|c: char| c.is_ascii_lowercase()) {
                found.push(format!("{path}:{number}: {part} may not import {name}"));
            }
        }
        for (library, places) in CONFINED {
            let is_named = names_before(line, "::").contains(*library) && !line.contains(&format!("\"{library}::"));
            if is_named && !places.iter().any(|place| path.starts_with(place)) {
                found.push(format!("{path}:{number}: {library} is confined to {places:?}"));
            }
        }
    }
    for (number, line) in text.lines().enumerate() {
        let comment = line.trim_start();
        let is_prose = comment.starts_with("//") && !comment.contains(" | ") && !comment.contains("──");
        if is_prose && line.chars().count() > WIDEST_COMMENT {
            found.push(format!("{path}:{}: a comment is wider than {WIDEST_COMMENT} characters", number + 1));
        }
    }
    let lines = text.lines().count();
    if lines > LONGEST_FILE {
        found.push(format!("{path}: {lines} lines, more than {LONGEST_FILE}: which second job does it do?"));
    }
    found
}

/// Lines that are not comments, with their numbers.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Identifiers that stand right after `prefix`; all of a `{a, b}` group.
fn names_after(line: &str, prefix: &str) -> Vec<String> {
    let identifier = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = Vec::new();
    for (at, _) in line.match_indices(prefix) {
        let rest = &line[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(group.split([',', '}']).map(|name| identifier(name.trim()))),
            None => names.push(identifier(rest)),
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Identifiers that stand at the start of a path, right before `separator`.
fn names_before(line: &str, separator: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in line.match_indices(separator) {
        let name: String = line[..at].chars().rev().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let start = at - name.len();
        if !line[..start].ends_with("::") {
            names.insert(name.chars().rev().collect());
        }
    }
    names
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn src_keeps_its_layers() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 10, "the sources were not found");
    let mut found = Vec::new();
    for file in files {
        let path = file.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
        found.extend(breaches(&path, &std::fs::read_to_string(&file).unwrap()));
    }
    assert!(found.is_empty(), "{} breaches:\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_wrong_import_is_found() {
    assert_eq!(breaches("lake/commit.rs", "use crate::flow::buffer::Spool;\n").len(), 1);
    assert_eq!(breaches("model/batch.rs", "fn f() { crate::fault::Fault::retry(\"a\", \"b\"); }\n").len(), 1);
    assert_eq!(breaches("flow/parse/step.rs", "use actix::prelude::*;\n").len(), 1);
    assert_eq!(breaches("stage/step.rs", "use crate::{fault::Fault, lake::names};\n").len(), 1);
    assert_eq!(breaches("lake/commit.rs", "let batch = rdkafka::message::Message::new();\n").len(), 1);
    assert!(
        breaches("lake/commit.rs", "// use crate::flow::buffer::Spool;\nuse crate::storage::Storage;\n").is_empty()
    );
    assert_eq!(breaches("lake/commit.rs", &"\n".repeat(501)).len(), 1);
    assert_eq!(breaches("lake/commit.rs", &format!("// {}", "wide ".repeat(24))).len(), 1);
    assert_eq!(breaches("extra/mod.rs", "").len(), 1);
}
