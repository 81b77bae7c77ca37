//! What arrived and no column takes, added up over the batches of all lanes since the daemon was started.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::batch::{DRIFT_PATHS, DRIFT_REST, DriftCount, DriftKind, TableIndex};

/// The sums of all tables. Shared by all lanes; cheap to clone.
///
/// Memory: [`DRIFT_PATHS`] paths a table, whatever arrives. Further ones are counted together.
#[derive(Debug, Clone, Default)]
pub struct Drift {
    sums: Arc<Mutex<BTreeMap<TableIndex, Arc<Mutex<Paths>>>>>,
}

type Paths = BTreeMap<(String, DriftKind), (u64, String)>;

/// One path that no column takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriftPath {
    /// Its path as a mapping would write it, or [`DRIFT_REST`].
    pub path: String,
    /// What it is.
    pub kind: DriftKind,
    /// How often it arrived.
    pub count: u64,
    /// A value that it had, shortened; may be empty.
    pub example: String,
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
            let mut key = (found.path.clone(), found.kind);
            if paths.len() >= DRIFT_PATHS && !paths.contains_key(&key) {
                key = (DRIFT_REST.to_owned(), DriftKind::Element);
            }
            let sum = paths.entry(key).or_default();
            sum.0 = sum.0.saturating_add(found.count);
            if sum.1.is_empty() {
                sum.1.clone_from(&found.example);
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
        let sums = lock(&sums);
        let paths = sums.iter();
        let path = |((path, kind), (count, example)): (&(String, DriftKind), &(u64, String))| DriftPath {
            path: path.clone(),
            kind: *kind,
            count: *count,
            example: example.clone(),
        };
        let mut all: Vec<_> = paths.map(path).collect();
        all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.path.cmp(&b.path)));
        all
    }

    /// Sums of their own that go on with those of some tables: each is given by its index here and by the one it has there,
    /// and whoever adds to either adds to both. The other tables begin at nothing.
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

    fn found(table: TableIndex, path: &str, count: u64, example: &str) -> DriftCount {
        DriftCount { table, kind: DriftKind::Element, path: path.to_owned(), count, example: example.to_owned() }
    }

    #[test]
    fn counts_of_batches_are_added_up_by_table_and_path() {
        let drift = Drift::default();
        drift.add(&[found(0, "a", 2, ""), found(0, "b", 3, "x"), found(7, "a", 1, "y")]);
        drift.add(&[found(0, "a", 2, "first"), found(0, "a", 1, "second")]);
        let shown: Vec<_> = drift.paths(0).into_iter().map(|path| (path.path, path.count, path.example)).collect();
        assert_eq!(shown, [("a".to_owned(), 5, "first".to_owned()), ("b".to_owned(), 3, "x".to_owned())]);
        assert_eq!((drift.total(0), drift.total(7), drift.total(1), drift.paths(1).len()), (8, 1, 0, 0));
    }

    #[test]
    fn sums_are_carried_to_where_their_table_is_now() {
        let drift = Drift::default();
        drift.add(&[found(1, "a", 2, ""), found(2, "b", 3, "")]);
        let next = drift.carried([(1, 5), (4, 6)]);
        drift.add(&[found(1, "a", 10, ""), found(2, "b", 10, ""), found(4, "c", 10, "")]);
        next.add(&[found(5, "a", 100, ""), found(2, "b", 100, "")]);
        assert_eq!([5, 6, 2, 1].map(|table| next.total(table)), [112, 10, 100, 0]);
        assert_eq!([1, 2, 4].map(|table| drift.total(table)), [112, 13, 10]);
    }

    #[test]
    fn paths_are_bounded_and_nothing_is_left_out_of_the_count() {
        let drift = Drift::default();
        for number in 0..DRIFT_PATHS + 50 {
            drift.add(&[found(0, &format!("p{number}"), 2, "")]);
        }
        drift.add(&[found(0, "p0", 5, "")]);
        let paths = drift.paths(0);
        assert_eq!((paths.len(), drift.total(0)), (DRIFT_PATHS + 1, 2 * (DRIFT_PATHS as u64 + 50) + 5));
        assert_eq!((paths[0].path.as_str(), paths[0].count), (DRIFT_REST, 100));
        assert_eq!((paths[1].path.as_str(), paths[1].count), ("p0", 7));
    }
}
