//! What arrived and no column takes, added up over the batches of all lanes since the daemon was started.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::batch::{DRIFT_PATHS, DRIFT_REST, DriftCount, DriftKind};

/// The sums of all tables, each for the newest version of its mapping: what an older one did not take may be taken now.
/// Shared by all lanes; cheap to clone.
///
/// Memory: [`DRIFT_PATHS`] paths a table, whatever arrives. Further ones are counted together.
#[derive(Debug, Clone, Default)]
pub struct Drift {
    sums: Arc<Mutex<BTreeMap<Arc<str>, Sums>>>,
}

/// What is known of one table.
#[derive(Debug, Default)]
struct Sums {
    /// Version of the mapping.
    version: u32,
    paths: BTreeMap<(String, DriftKind), (u64, String)>,
}

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
    /// Adds something that a batch had which was read with this version of the mapping of `table`. What is read again
    /// after a restart is counted again; what an older version left is not counted.
    pub fn add(&self, table: &Arc<str>, version: u32, found: &DriftCount) {
        let mut all = self.lock();
        let sums = all.entry(Arc::clone(table)).or_default();
        if sums.version > version {
            return;
        }
        if sums.version < version {
            *sums = Sums { version, ..Sums::default() };
        }
        let mut key = (found.path.clone(), found.kind);
        if sums.paths.len() >= DRIFT_PATHS && !sums.paths.contains_key(&key) {
            key = (DRIFT_REST.to_owned(), DriftKind::Element);
        }
        let sum = sums.paths.entry(key).or_default();
        sum.0 = sum.0.saturating_add(found.count);
        if sum.1.is_empty() {
            sum.1.clone_from(&found.example);
        }
    }

    /// How often something arrived that this version of the mapping of a table takes into no column.
    pub fn total(&self, table: &str, version: u32) -> u64 {
        let all = self.lock();
        let sums = all.get(table).filter(|sums| sums.version == version);
        sums.map_or(0, |sums| sums.paths.values().map(|(count, _)| count).sum())
    }

    /// The paths of a table, the most frequent first.
    pub fn paths(&self, table: &str, version: u32) -> Vec<DriftPath> {
        let all = self.lock();
        let paths = all.get(table).filter(|sums| sums.version == version).into_iter().flat_map(|sums| &sums.paths);
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

    /// Sums are good whoever panicked beside them.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Sums>> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, count: u64, example: &str) -> DriftCount {
        DriftCount { table: 0, kind: DriftKind::Element, path: path.to_owned(), count, example: example.to_owned() }
    }

    #[test]
    fn counts_of_batches_are_added_up_by_table_and_path() {
        let (drift, books, notes) = (Drift::default(), Arc::from("books"), Arc::from("notes"));
        for found in [found("a", 2, ""), found("b", 3, "x"), found("a", 2, "first"), found("a", 1, "second")] {
            drift.add(&books, 1, &found);
        }
        drift.add(&notes, 1, &found("a", 1, "y"));
        let shown: Vec<_> =
            drift.paths("books", 1).into_iter().map(|path| (path.path, path.count, path.example)).collect();
        assert_eq!(shown, [("a".to_owned(), 5, "first".to_owned()), ("b".to_owned(), 3, "x".to_owned())]);
        assert_eq!((drift.total("books", 1), drift.total("notes", 1), drift.total("other", 1)), (8, 1, 0));
    }

    #[test]
    fn a_new_version_of_a_mapping_counts_from_zero_and_an_old_one_no_more() {
        let (drift, books) = (Drift::default(), Arc::from("books"));
        drift.add(&books, 1, &found("a", 2, ""));
        assert_eq!((drift.total("books", 1), drift.total("books", 2)), (2, 0));
        drift.add(&books, 2, &found("b", 3, ""));
        drift.add(&books, 1, &found("a", 5, ""));
        assert_eq!((drift.total("books", 1), drift.total("books", 2)), (0, 3));
        assert_eq!(drift.paths("books", 2).len(), 1);
    }

    #[test]
    fn paths_are_bounded_and_nothing_is_left_out_of_the_count() {
        let (drift, books) = (Drift::default(), Arc::from("books"));
        for number in 0..DRIFT_PATHS + 50 {
            drift.add(&books, 1, &found(&format!("p{number}"), 2, ""));
        }
        drift.add(&books, 1, &found("p0", 5, ""));
        let paths = drift.paths("books", 1);
        assert_eq!((paths.len(), drift.total("books", 1)), (DRIFT_PATHS + 1, 2 * (DRIFT_PATHS as u64 + 50) + 5));
        assert_eq!((paths[0].path.as_str(), paths[0].count), (DRIFT_REST, 100));
        assert_eq!((paths[1].path.as_str(), paths[1].count), ("p0", 7));
    }
}
