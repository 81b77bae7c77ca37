//! What changes inputs, and what keeps those that lead somewhere new.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use fastrand::Rng;

/// Inputs kept at most.
const POOL: usize = 4096;
const LONGEST: usize = 4096;

/// Something that takes any bytes.
pub(crate) trait Target {
    /// Its name, and that of its corpus.
    fn name(&self) -> &'static str;

    /// Pieces that mean something to it.
    fn tokens(&self) -> &'static [&'static str];

    /// Tries one input, and panics when a claim does not hold. What it is told tells whether it is like others.
    fn try_one(&mut self, input: &[u8]) -> String;
}

/// What was done.
pub(crate) struct Done {
    pub(crate) inputs: u64,
    pub(crate) kept: usize,
}

/// Tries the corpus, then changes of it, for a time.
pub(crate) fn fuzz(target: &mut impl Target, corpus: &[Vec<u8>], seed: u64, time: Duration) -> Done {
    let begun = Instant::now();
    let mut random = Rng::with_seed(seed);
    let (mut told, mut pool) = (HashSet::new(), Vec::new());
    let mut inputs = 0;
    for input in corpus {
        told.insert(attempt(target, input));
        pool.push(input.clone());
        inputs += 1;
    }
    while begun.elapsed() < time {
        let input = change(&mut random, &pool, target.tokens());
        inputs += 1;
        if told.insert(attempt(target, &input)) {
            if pool.len() < POOL {
                pool.push(input);
            } else {
                let at = random.usize(corpus.len()..POOL);
                pool[at] = input;
            }
        }
    }
    Done { inputs, kept: pool.len() - corpus.len() }
}

fn attempt(target: &mut impl Target, input: &[u8]) -> String {
    match catch_unwind(AssertUnwindSafe(|| target.try_one(input))) {
        Ok(told) => told,
        Err(panic) => {
            let file = std::env::temp_dir().join(format!("forebay-fuzz-{}-{}", target.name(), std::process::id()));
            std::fs::write(&file, input).unwrap();
            eprintln!("the input that broke {} is in {}", target.name(), file.display());
            std::panic::resume_unwind(panic);
        }
    }
}

fn change(random: &mut Rng, pool: &[Vec<u8>], tokens: &[&str]) -> Vec<u8> {
    let mut bytes = pool[random.usize(..pool.len())].clone();
    for _ in 0..=random.usize(..4) {
        let at = random.usize(..=bytes.len());
        let end = (at + random.usize(..16)).min(bytes.len());
        match random.u8(..9) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] = random.u8(..),
            2 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let copy = bytes[at..end].to_vec();
                let to = random.usize(..=bytes.len());
                bytes.splice(to..to, copy);
            }
            5 => {
                // The end of another one.
                let other = &pool[random.usize(..pool.len())];
                bytes.truncate(at);
                bytes.extend(&other[random.usize(..=other.len())..]);
            }
            6 => {
                let run = std::iter::repeat_n(random.u8(..), random.usize(..64));
                bytes.splice(at..at, run);
            }
            _ => {
                let token = tokens[random.usize(..tokens.len())];
                let end = if random.bool() { at } else { end };
                bytes.splice(at..end, token.bytes());
            }
        }
    }
    bytes.truncate(LONGEST);
    bytes
}
