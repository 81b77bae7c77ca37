//! Libraries that say the same again and again: what a module says first is written, the rest is counted.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many lines of a module are written within a [`WINDOW`].
const ENOUGH: u32 = 10;

/// For so long.
const WINDOW: Duration = Duration::from_secs(10);

/// What each module has said of late.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    modules: Mutex<HashMap<String, Window>>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    written: u32,
    left_out: u64,
}

impl Repeats {
    /// Whether a line of a module is to be written, and how many were left out before it.
    pub(super) fn admit(&self, module: &str, now: Instant) -> Option<u64> {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if !modules.contains_key(module) {
            modules.insert(module.to_owned(), Window { since: now, written: 0, left_out: 0 });
        }
        let window = modules.get_mut(module)?;
        if now.duration_since(window.since) >= WINDOW {
            (window.since, window.written) = (now, 0);
        }
        if window.written == ENOUGH {
            window.left_out += 1;
            return None;
        }
        window.written += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_told_by_the_next_line() {
        let (repeats, begin) = (Repeats::default(), Instant::now());
        for _ in 0..ENOUGH {
            assert_eq!(repeats.admit("hdfs_native", begin), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(repeats.admit("hdfs_native", begin + WINDOW / 2), None);
        }
        assert_eq!(repeats.admit("rdkafka", begin + WINDOW / 2), Some(0), "another module has words of its own");
        assert_eq!(repeats.admit("hdfs_native", begin + WINDOW), Some(7));
        assert_eq!(repeats.admit("hdfs_native", begin + WINDOW), Some(0));
    }
}
