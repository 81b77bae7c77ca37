//! All intervals of one Kafka partition, one after another.

use super::interval::{Requeuer, Tally};
use super::select::Selection;
use crate::fault::Fault;
use crate::lake::LaneLedger;
use crate::lake::chain::LedgerFile;

/// What a requeue did to one Kafka partition, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaneRequeue {
    /// Intervals that were revised.
    pub intervals: u64,
    /// What became of the messages.
    pub tally: Tally,
    /// Intervals that were left as they are, though messages of them are meant, and why.
    pub skipped: Vec<String>,
}

impl LaneRequeue {
    fn add(&mut self, other: Tally, skipped: Option<String>) {
        let tally = &mut self.tally;
        tally.messages += other.messages;
        tally.released += other.released;
        tally.partial += other.partial;
        tally.renewed += other.renewed;
        tally.unchanged += other.unchanged;
        tally.redacted.extend(other.redacted);
        for (table, rows) in other.rows {
            *tally.rows.entry(table).or_default() += rows;
        }
        self.skipped.extend(skipped);
    }
}

/// Whose chain is revised, and why; without one it is only said what would happen.
pub type OrderOf<'a> = Option<(&'a mut LaneLedger, &'a str)>;

/// Takes the messages that are meant in `intervals` through today's mapping, and revises each interval in which one
/// changes. What was revised stays revised when a later one fails; the same order may be given again.
///
/// # Errors
///
/// Storage, the spool, files that are damaged, or what `go_on` says. The hold on the chain has to be given up then:
/// whoever acquires it next cleans up.
pub fn requeue_lane(
    requeuer: &Requeuer,
    intervals: &[LedgerFile],
    selection: &Selection,
    mut lane: OrderOf<'_>,
    go_on: &dyn Fn() -> Result<(), Fault>,
) -> Result<LaneRequeue, Fault> {
    let mut sums = LaneRequeue::default();
    for old in intervals {
        go_on()?;
        let mut revised = requeuer.rebuild(old, selection, go_on)?;
        if let Some(pending) = &mut revised.pending {
            if let Some((lane, reason)) = &mut lane {
                lane.revise(pending, old, reason)?;
            }
            sums.intervals += 1;
        }
        sums.add(revised.tally, revised.skipped);
    }
    if let Some((lane, _)) = lane {
        lane.end_revisions()?;
    }
    Ok(sums)
}
