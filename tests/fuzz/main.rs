//! Fuzzing on the stable toolchain: inputs are changed at random, those that are told something new are kept and
//! changed further, and whatever they are, each target's claims have to hold.
//!
//! As a test it runs a moment for each target; `scripts/fuzz` runs it for long. An input that breaks a claim is written
//! to a file, which belongs into `tests/fuzz/corpus/<target>/` once it is understood: all files there are tried at each
//! run.

#![expect(clippy::unwrap_used, reason = "tests")]

mod engine;
mod targets;

use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::{Target, fuzz};
use targets::{Bytes, MappingFile, Rows};

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn run(mut target: impl Target) {
    let only = std::env::var("FOREBAY_FUZZ_TARGET").ok();
    if only.is_some_and(|only| only != target.name()) {
        return;
    }
    let seconds = std::env::var("FOREBAY_FUZZ_SECONDS").map_or(1, |seconds| seconds.parse().unwrap());
    let seed = std::env::var("FOREBAY_FUZZ_SEED").map_or(0, |seed| seed.parse().unwrap());
    let corpus = corpus(target.name());
    let done = fuzz(&mut target, &corpus, seed, Duration::from_secs(seconds));
    println!("{}: {} inputs, {} told something new", target.name(), done.inputs, done.kept);
}

#[test]
fn bytes_have_a_clean_verdict() {
    run(Bytes::default());
}

#[test]
fn mappings_are_read_or_told_what_is_wrong() {
    run(MappingFile::new());
}

#[test]
fn messages_become_rows_or_are_told_what_is_wrong() {
    run(Rows::new());
}
