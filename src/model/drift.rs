//! What arrived and no column takes, added up over the batches of all lanes since the daemon was started.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::batch::{DRIFT_PATHS, DRIFT_REST, DriftCount, DriftKind, TableIndex};

/// The sums of all tables. Shared by all lanes; cheap to clone.
///
/// It outlives lanes: what a lane has told stays when it is started again.
///
/// Memory: [`DRIFT_PATHS`] paths a table, whatever arrives, each of at most
/// [`DRIFT_PATH_BYTES`](super::batch::DRIFT_PATH_BYTES) and with [`DRIFT_EXAMPLES`] values. Further ones are counted
/// together.
#[derive(Debug, Clone, Default)]
pub struct Drift {
    sums: Arc<Mutex<BTreeMap<TableIndex, Arc<Mutex<Paths>>>>>,
}

type Paths = BTreeMap<(Arc<str>, DriftKind), (u64, Vec<String>)>;

/// Distinct values kept of one path.
pub const DRIFT_EXAMPLES: usize = 16;

/// One path that no column takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriftPath {
    /// Its path as a mapping would write it, or [`DRIFT_REST`].
    pub path: Arc<str>,
    /// What it is.
    pub kind: DriftKind,
    /// How often it arrived.
    pub count: u64,
    /// Distinct values that it had, shortened, none empty; they stand for values of any time, not for the first ones.
    pub examples: Vec<String>,
}

impl Drift {
    /// Adds what one batch had. What is read again after a restart is counted again.
    pub fn add(&self, counts: &[DriftCount]) {
        if counts.is_empty() {
            return;
        }
        let mut sums = lock(&self.sums);
        for found in counts {
            let mut paths = lock(sums.entry(found.table).or_default());
            let mut key = (Arc::clone(&found.path), found.kind);
            if paths.len() >= DRIFT_PATHS && !paths.contains_key(&key) {
                key = (Arc::from(DRIFT_REST), DriftKind::Element);
            }
            let (count, examples) = paths.entry(key).or_default();
            *count = count.saturating_add(found.count);
            for example in &found.examples {
                if examples.len() < DRIFT_EXAMPLES && !examples.contains(example) {
                    examples.push(example.clone());
                }
            }
        }
    }

    /// How often something arrived that no column of a table takes.
    pub fn total(&self, table: TableIndex) -> u64 {
        lock(&self.sums).get(&table).map_or(0, |paths| lock(paths).values().map(|(count, _)| count).sum())
    }

    /// The paths of a table, the most frequent first.
    pub fn paths(&self, table: TableIndex) -> Vec<DriftPath> {
        let Some(sums) = lock(&self.sums).get(&table).map(Arc::clone) else { return Vec::new() };
        let mut all = Vec::new();
        for ((path, kind), (count, examples)) in lock(&sums).iter() {
            let (path, examples) = (Arc::clone(path), examples.clone());
            all.push(DriftPath { path, kind: *kind, count: *count, examples });
        }
        all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.path.cmp(&b.path)));
        all
    }

    /// Sums of their own that go on with those of some tables: each is given by its index here and by the one it has
    /// there, and whoever adds to either adds to both. The other tables begin at nothing.
    #[must_use]
    pub fn carried(&self, tables: impl IntoIterator<Item = (TableIndex, TableIndex)>) -> Self {
        let mut here = lock(&self.sums);
        let shared = tables.into_iter().map(|(from, to)| (to, Arc::clone(here.entry(from).or_default())));
        Self { sums: Arc::new(Mutex::new(shared.collect())) }
    }
}

/// Sums are good whoever panicked beside them.
fn lock<T>(sums: &Mutex<T>) -> MutexGuard<'_, T> {
    sums.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(table: TableIndex, path: &str, count: u64, examples: &[&str]) -> DriftCount {
        let examples = examples.iter().map(|example| (*example).to_owned()).collect();
        DriftCount { table, kind: DriftKind::Element, path: path.into(), count, examples }
    }

    #[test]
    fn counts_of_batches_are_added_up_by_table_and_path() {
        let drift = Drift::default();
        drift.add(&[found(0, "a", 2, &[]), found(0, "b", 3, &["x"]), found(7, "a", 1, &["y"])]);
        drift.add(&[found(0, "a", 2, &["first", "second"]), found(0, "a", 1, &["second", "third"])]);
        let shown: Vec<_> = drift.paths(0).into_iter().map(|path| (path.path, path.count, path.examples)).collect();
        let [a, b] = &shown[..] else { panic!("{shown:?}") };
        assert_eq!((&*a.0, a.1, a.2.join(" ")), ("a", 5, "first second third".to_owned()));
        assert_eq!((&*b.0, b.1, b.2.join(" ")), ("b", 3, "x".to_owned()));
        assert_eq!((drift.total(0), drift.total(7), drift.total(1), drift.paths(1).len()), (8, 1, 0, 0));
    }

    #[test]
    fn examples_are_bounded() {
        let drift = Drift::default();
        for number in 0..2 * DRIFT_EXAMPLES {
            drift.add(&[found(0, "a", 1, &[&number.to_string()])]);
        }
        assert_eq!(drift.paths(0)[0].examples.len(), DRIFT_EXAMPLES);
    }

    #[test]
    fn sums_are_carried_to_where_their_table_is_now() {
        let drift = Drift::default();
        drift.add(&[found(1, "a", 2, &[]), found(2, "b", 3, &[])]);
        let next = drift.carried([(1, 5), (4, 6)]);
        drift.add(&[found(1, "a", 10, &[]), found(2, "b", 10, &[]), found(4, "c", 10, &[])]);
        next.add(&[found(5, "a", 100, &[]), found(2, "b", 100, &[])]);
        assert_eq!([5, 6, 2, 1].map(|table| next.total(table)), [112, 10, 100, 0]);
        assert_eq!([1, 2, 4].map(|table| drift.total(table)), [112, 13, 10]);
    }

    #[test]
    fn paths_are_bounded_and_nothing_is_left_out_of_the_count() {
        let drift = Drift::default();
        for number in 0..DRIFT_PATHS + 50 {
            drift.add(&[found(0, &format!("p{number}"), 2, &[])]);
        }
        drift.add(&[found(0, "p0", 5, &[])]);
        let paths = drift.paths(0);
        assert_eq!((paths.len(), drift.total(0)), (DRIFT_PATHS + 1, 2 * (DRIFT_PATHS as u64 + 50) + 5));
        assert_eq!((&*paths[0].path, paths[0].count), (DRIFT_REST, 100));
        assert_eq!((&*paths[1].path, paths[1].count), ("p0", 7));
    }
}
