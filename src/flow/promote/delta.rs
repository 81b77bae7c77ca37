//! What is new since the last promotion. Pure: it sees listings and decides.
//!
//! New is a matter of offset intervals alone; a record id says nothing about when it came.

use std::ops::Range;

use crate::fault::Fault;
use crate::lake::chain::{LedgerFile, Revision};
use crate::lake::plan::Cursor;
use crate::model::offset::{OffsetRange, TopicPartition};

/// A published rewind of a Kafka partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewind {
    /// Epoch that published it; a later rewind has a higher one.
    pub epoch: u64,
    /// Where the chain was cut.
    pub to: i64,
    /// Head of the chain when it was published.
    pub head: i64,
    /// Whether it is finished.
    pub is_done: bool,
}

/// Rows of Processed that are out of date, by the offsets they come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stale {
    /// From here on they come from a chain that was, or is being, cut.
    pub rewound: Option<i64>,
    /// They come from an older version of these intervals, by ascending offset.
    pub revised: Vec<OffsetRange>,
}

impl Stale {
    /// Whether no row is.
    pub fn is_empty(&self) -> bool {
        self.rewound.is_none() && self.revised.is_empty()
    }

    /// Whether a row from this offset is.
    pub fn holds(&self, offset: i64) -> bool {
        self.rewound.is_some_and(|from| from <= offset) || self.is_revised(offset)
    }

    /// Whether a row from this offset comes from an older version of its interval.
    pub fn is_revised(&self, offset: i64) -> bool {
        let index = self.revised.partition_point(|range| range.to() <= offset);
        self.revised.get(index).is_some_and(|range| range.contains(offset))
    }
}

/// What one promotion does with one Kafka partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaneDelta {
    /// Nothing of it is consumed this time.
    LeftOut {
        /// Why, for a person; none where there is nothing of it that could be consumed, and perhaps never will be.
        why: Option<String>,
        /// Intervals that no rewind can take away any more, of those that are promoted: the first so many.
        settled: usize,
        /// Rows of Processed that a later promotion recomputes.
        stale: Stale,
    },
    /// It is consumed up to the head of its chain.
    Take {
        /// Intervals of the chain that are promoted already. Those that were revised since are consumed again.
        old: Range<usize>,
        /// Intervals to consume.
        new: Range<usize>,
        /// Rows of Processed that are recomputed.
        stale: Stale,
        /// The cursor afterwards.
        cursor: Cursor,
    },
}

/// What is new in one Kafka partition. `rewinds` must have been listed before `chain`, and `revisions` be those of
/// [`crate::lake::chain::SourceState::revisions`].
///
/// # Errors
///
/// A chain that ends or begins where it cannot: promoted rows would be lost.
pub fn lane_delta(
    source: &TopicPartition,
    cursor: Option<&Cursor>,
    rewinds: &[Rewind],
    revisions: &[Revision],
    chain: &[LedgerFile],
) -> Result<LaneDelta, Fault> {
    let honoured = cursor.and_then(|cursor| cursor.honoured);
    let due = rewinds.iter().filter(|rewind| honoured.is_none_or(|epoch| rewind.epoch > epoch));
    let cut = due.clone().map(|rewind| rewind.to).min();
    let promoted = cursor.map(|cursor| cursor.next);
    let head = chain.last().map(|file| file.name.range.to());
    let below = |offset: i64| chain.partition_point(|file| file.name.range.to() <= offset);
    let settled = promoted.map_or(0, |promoted| below(cut.map_or(promoted, |cut| cut.min(promoted))));
    let revised = revisions.iter().filter(|revision| honoured.is_none_or(|epoch| revision.name.epoch.0 > epoch));
    let is_revised = |file: &&LedgerFile| revised.clone().any(|revision| revision.name.made(&file.name));
    let ranges = chain[..settled].iter().filter(is_revised).map(|file| file.name.range);
    let stale = Stale { rewound: cut, revised: ranges.collect() };
    if let Some(open) = due.clone().find(|rewind| !rewind.is_done) {
        let why = format!("its rewind to {} is not finished", open.to);
        return Ok(LaneDelta::LeftOut { why: Some(why), settled, stale });
    }
    if revised.clone().any(|revision| !revision.is_done) {
        return Ok(LaneDelta::LeftOut { why: Some("intervals of it are being revised".into()), settled, stale });
    }
    let again = due.clone().map(|rewind| rewind.head).max();
    if let Some(again) = again.filter(|again| head.is_none_or(|head| head < *again)) {
        let why = format!("it was rewound and is not read again up to {again} yet");
        return Ok(LaneDelta::LeftOut { why: Some(why), settled, stale });
    }
    let (Some(head), Some(start)) = (head, chain.first().map(|file| file.name.range.from())) else {
        return match promoted.filter(|promoted| *promoted > 0) {
            None => Ok(LaneDelta::LeftOut { why: None, settled: 0, stale }),
            Some(promoted) => {
                Err(broken(source, &format!("nothing is left of it, though it is promoted up to {promoted}")))
            }
        };
    };
    let from = match (promoted, cut) {
        (Some(promoted), Some(cut)) => promoted.min(cut),
        (Some(promoted), None) => promoted,
        (None, _) => start,
    };
    if start > from {
        return Err(broken(source, &format!("it begins at {start}, but only what is below {from} is promoted")));
    }
    if let Some(promoted) = promoted.filter(|promoted| head < *promoted) {
        return Err(broken(
            source,
            &format!("it ends at {head}, but it is promoted up to {promoted} and no rewind says why"),
        ));
    }
    let first = below(from);
    let honoured =
        due.map(|rewind| rewind.epoch).chain(revised.map(|revision| revision.name.epoch.0)).max().or(honoured);
    let cursor = Cursor { topic: source.topic.to_string(), partition: source.partition, next: head, honoured };
    Ok(LaneDelta::Take { old: 0..first, new: first..chain.len(), stale, cursor })
}

fn broken(source: &TopicPartition, what: &str) -> Fault {
    Fault::halt(
        "promote.chain",
        format!("the chain of {source} does not fit what was promoted: {what}; see `forebay audit`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::names::{IntervalName, RevisionName};
    use crate::model::offset::Epoch;
    use crate::storage::LakePath;

    fn source() -> TopicPartition {
        TopicPartition::new("library", 0)
    }

    fn range(from: i64, to: i64) -> OffsetRange {
        OffsetRange::new(from, to).unwrap()
    }

    fn file(from: i64, to: i64, epoch: u64) -> LedgerFile {
        let name = IntervalName { source: source(), range: range(from, to), epoch: Epoch(epoch) };
        let path = LakePath::root().join(name.file_name());
        LedgerFile { name, date: jiff::civil::date(2026, 11, 1), path, bytes: 1, modified: jiff::Timestamp::UNIX_EPOCH }
    }

    fn chain(bounds: &[i64]) -> Vec<LedgerFile> {
        bounds.windows(2).map(|pair| file(pair[0], pair[1], 1)).collect()
    }

    fn rewound(from: i64) -> Stale {
        Stale { rewound: Some(from), ..Stale::default() }
    }

    fn cursor(next: i64, honoured: Option<u64>) -> Cursor {
        Cursor { topic: "library".into(), partition: 0, next, honoured }
    }

    fn rewind(epoch: u64, to: i64, head: i64, is_done: bool) -> Rewind {
        Rewind { epoch, to, head, is_done }
    }

    fn delta(cursor: Option<&Cursor>, rewinds: &[Rewind], bounds: &[i64]) -> LaneDelta {
        lane_delta(&source(), cursor, rewinds, &[], &chain(bounds)).unwrap()
    }

    #[test]
    fn what_lies_behind_the_cursor_is_new() {
        let stale = Stale::default;
        let take = |old, new, next| LaneDelta::Take { old, new, stale: stale(), cursor: cursor(next, None) };
        assert_eq!(delta(None, &[], &[5, 9, 12]), take(0..0, 0..2, 12));
        assert_eq!(delta(Some(&cursor(9, None)), &[], &[5, 9, 12, 20]), take(0..1, 1..3, 20));
        assert_eq!(delta(Some(&cursor(20, None)), &[], &[5, 9, 12, 20]), take(0..3, 3..3, 20));
        // A revision that reaches over the cursor is consumed whole.
        assert_eq!(delta(Some(&cursor(9, None)), &[], &[5, 12, 20]), take(0..0, 0..2, 20));
    }

    #[test]
    fn an_open_rewind_leaves_the_partition_out() {
        let LaneDelta::LeftOut { settled, .. } =
            delta(Some(&cursor(12, None)), &[rewind(4, 9, 20, false)], &[5, 9, 12])
        else {
            panic!("taken")
        };
        assert_eq!(settled, 1);
    }

    #[test]
    fn a_done_rewind_waits_until_the_chain_is_as_long_again() {
        let done = [rewind(4, 9, 20, true)];
        assert!(matches!(delta(Some(&cursor(12, None)), &done, &[5, 9, 15]), LaneDelta::LeftOut { settled: 1, .. }));
        let want = LaneDelta::Take { old: 0..1, new: 1..3, stale: rewound(9), cursor: cursor(21, Some(4)) };
        assert_eq!(delta(Some(&cursor(12, None)), &done, &[5, 9, 15, 21]), want);
        // Honoured once, it is no matter any more.
        let want = LaneDelta::Take { old: 0..3, new: 3..3, stale: Stale::default(), cursor: cursor(21, Some(4)) };
        assert_eq!(delta(Some(&cursor(21, Some(4))), &done, &[5, 9, 15, 21]), want);
    }

    #[test]
    fn two_rewinds_are_honoured_together() {
        let both = [rewind(4, 9, 20, true), rewind(6, 5, 15, true)];
        assert!(matches!(delta(Some(&cursor(20, None)), &both, &[5, 16]), LaneDelta::LeftOut { settled: 0, .. }));
        let want = LaneDelta::Take { old: 0..0, new: 0..1, stale: rewound(5), cursor: cursor(22, Some(6)) };
        assert_eq!(delta(Some(&cursor(20, None)), &both, &[5, 22]), want);
    }

    #[test]
    fn revised_intervals_below_the_cursor_are_consumed_once_more() {
        let revision = |epoch, head, is_done| Revision { name: RevisionName { epoch: Epoch(epoch), head }, is_done };
        // Epoch 6 has revised [9, 12), and then read [20, 25).
        let chain = [file(5, 9, 1), file(9, 12, 6), file(12, 20, 1), file(20, 25, 6)];
        let delta = |next, honoured, revisions: &[Revision]| {
            lane_delta(&source(), Some(&cursor(next, honoured)), &[], revisions, &chain).unwrap()
        };
        let take = |old, new, revised: &[OffsetRange], honoured| {
            let stale = Stale { rewound: None, revised: revised.to_vec() };
            LaneDelta::Take { old, new, stale, cursor: cursor(25, honoured) }
        };
        let done = [revision(6, 20, true)];
        assert_eq!(delta(20, Some(4), &done), take(0..3, 3..4, &[range(9, 12)], Some(6)));
        assert_eq!(delta(25, None, &done), take(0..4, 4..4, &[range(9, 12)], Some(6)));
        assert_eq!(delta(9, None, &done), take(0..1, 1..4, &[], Some(6)), "it is new anyway");
        assert_eq!(delta(25, Some(6), &done), take(0..4, 4..4, &[], Some(6)), "honoured once");
        // While it goes on nothing of the Kafka partition is consumed, and nobody relies on the revised interval.
        let LaneDelta::LeftOut { settled, stale, .. } = delta(20, Some(4), &[revision(6, 20, false)]) else {
            panic!("taken")
        };
        assert_eq!((settled, &stale.revised[..]), (3, &[range(9, 12)][..]));
        let holds: Vec<bool> = [8, 9, 11, 12].map(|offset| stale.holds(offset)).to_vec();
        assert_eq!(holds, [false, true, true, false]);
        // A rewind below it takes it up.
        let rewinds = [rewind(8, 5, 20, true)];
        let both = lane_delta(&source(), Some(&cursor(20, None)), &rewinds, &done, &chain).unwrap();
        assert_eq!(both, LaneDelta::Take { old: 0..0, new: 0..4, stale: rewound(5), cursor: cursor(25, Some(8)) });
    }

    #[test]
    fn a_chain_that_does_not_fit_is_refused() {
        let refused =
            |cursor: &Cursor, bounds: &[i64]| lane_delta(&source(), Some(cursor), &[], &[], &chain(bounds)).is_err();
        assert!(refused(&cursor(12, None), &[5, 9]), "shorter than what is promoted");
        assert!(refused(&cursor(12, None), &[13, 20]), "a gap behind what is promoted");
        assert!(refused(&cursor(12, None), &[]), "nothing left");
    }
}
