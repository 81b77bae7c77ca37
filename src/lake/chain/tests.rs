use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::model::offset::{Epoch, OffsetRange};

fn file(from: i64, to: i64, epoch: u64) -> LedgerFile {
    let range = OffsetRange::new(from, to).unwrap();
    let name = IntervalName { source: TopicPartition::new("t", 0), range, epoch: Epoch(epoch) };
    let path = LakePath::root().join(name.file_name());
    LedgerFile { name, date: date(2026, 11, 1), path, bytes: 1, modified: jiff::Timestamp::UNIX_EPOCH }
}

/// The rule word for word: take at each position the file with the highest epoch; whatever is left must be covered by a
/// taken one of a higher epoch, or lie below the floor.
fn naive(files: &[LedgerFile], floor: i64) -> Option<Vec<LedgerFile>> {
    let mut taken: Vec<LedgerFile> = Vec::new();
    let mut at = floor;
    while let Some(next) = files.iter().filter(|file| file.name.range.from() == at).max_by_key(|file| file.name.epoch) {
        at = next.name.range.to();
        taken.push(next.clone());
        if next.name.range.is_empty() {
            return None;
        }
    }
    let mut left = files.to_vec();
    for one in &taken {
        left.remove(left.iter().position(|file| file == one)?);
    }
    let is_settled = |file: &LedgerFile| {
        let by = |one: &LedgerFile| one.name.range.covers(file.name.range) && one.name.epoch > file.name.epoch;
        !file.name.range.is_empty() && (file.name.range.to() <= floor || taken.iter().any(by))
    };
    left.iter().all(is_settled).then_some(taken)
}

fn files() -> impl Strategy<Value = Vec<LedgerFile>> {
    prop::collection::vec((0..6i64, 0..4i64, 1..4u64), 0..7)
        .prop_map(|files| files.into_iter().map(|(from, len, epoch)| file(from, from + len, epoch)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn walking_is_the_rule(files in files(), floor in 0..3i64) {
        let walked = walk(files.clone(), Some(floor));
        prop_assert_eq!(walked.as_ref().ok().map(|chain| chain.live.clone()), naive(&files, floor));
        if let Ok(chain) = walked {
            prop_assert_eq!(chain.live.len() + chain.dead.len() + chain.retired.len(), files.len());
        }
    }
}

/// A chain of intervals of one offset each, and revisions of some runs of them by rising epochs.
fn revised() -> impl Strategy<Value = (i64, Vec<(i64, i64, bool)>)> {
    (1..8i64).prop_flat_map(|len| {
        let revision = (0..len, 1..=len, any::<bool>())
            .prop_map(move |(from, run, is_cleaned)| (from, (from + run).min(len), is_cleaned));
        (Just(len), prop::collection::vec(revision, 0..6))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    /// Each revision covers whole intervals of the chain as it is then; what it replaces is cleaned up at once, or lies
    /// beside it. At each moment the newest version of each offset counts, once.
    #[test]
    fn the_newest_version_of_each_offset_counts((len, revisions) in revised()) {
        let mut files: Vec<LedgerFile> = (0..len).map(|from| file(from, from + 1, 1)).collect();
        let mut live = files.clone();
        for (epoch, (from, to, is_cleaned)) in (2..).zip(revisions) {
            // Whole intervals only: a revision that would cut one is none.
            let cuts = |at: i64| live.iter().any(|one| one.name.range.from() < at && at < one.name.range.to());
            if cuts(from) || cuts(to) {
                continue;
            }
            let new = file(from, to, epoch);
            live.retain(|one| !new.name.range.covers(one.name.range));
            live.push(new.clone());
            live.sort_by_key(|one| one.name.range.from());
            files.push(new.clone());
            prop_assert_eq!(&walk(files.clone(), Some(0)).unwrap().live, &live);
            if is_cleaned {
                files.retain(|one| *one == new || !new.name.range.covers(one.name.range));
            }
            let chain = walk(files.clone(), Some(0)).unwrap();
            prop_assert_eq!((&chain.live, chain.live.len() + chain.dead.len()), (&live, files.len()));
            prop_assert!(chain.dead.iter().all(|dead| chain.live.iter().any(|one| one.name.range.covers(dead.name.range))));
        }
    }
}

#[test]
fn a_chain_without_files_ends_at_its_floor() {
    assert_eq!(walk(Vec::new(), None).unwrap().head(), None);
    assert_eq!(walk(Vec::new(), Some(7)).unwrap().head(), Some(7));
    assert_eq!(walk(vec![file(3, 5, 1)], None).unwrap().head(), Some(5));
}

#[test]
fn a_revision_replaces_whole_intervals_of_lower_epochs_only() {
    let chain = walk(vec![file(0, 2, 1), file(2, 4, 1), file(0, 4, 3), file(4, 5, 2)], Some(0)).unwrap();
    assert_eq!(chain.live, [file(0, 4, 3), file(4, 5, 2)]);
    assert_eq!(chain.dead, [file(0, 2, 1), file(2, 4, 1)]);
    let fault = walk(vec![file(0, 4, 3), file(2, 6, 1)], Some(0)).unwrap_err();
    assert_eq!(fault, ChainFault::Overlap { taken: file(0, 4, 3).name, other: file(2, 6, 1).name });
    assert!(walk(vec![file(0, 4, 1), file(2, 4, 3)], Some(0)).is_err());
}

#[test]
fn a_fault_names_the_offset() {
    let fault = walk(vec![file(0, 2, 1), file(3, 4, 1)], Some(0)).unwrap_err();
    assert_eq!(fault.to_string(), "no file begins at offset 2, the next one is [3, 4)e1");
    let fault = walk(vec![file(0, 4, 1)], Some(2)).unwrap_err();
    assert_eq!((fault.offset(), fault.to_string().as_str()), (2, "[0, 4)e1 begins below the floor 2"));
}
