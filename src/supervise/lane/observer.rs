//! What happens beside the data when an interval is committed: the view, the metrics, the hint for lag tools.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::fault::Fault;
use crate::flow::buffer::report::{BufferObserver, IntervalCommitted};
use crate::lake::footer::Zone;
use crate::lake::names::UNROUTED;
use crate::model::offset::{Epoch, TopicPartition};
use crate::observe::trouble::{Course, Trouble};
use crate::observe::{events, metrics};
use crate::supervise::letters::Letters;
use crate::supervise::parts::Parts;
use crate::supervise::tables::TableSet;
use crate::supervise::view::{LaneView, Shared};

/// Told by the lane's bufferer, on its threads.
pub(super) struct LaneObserver {
    parts: Arc<Parts>,
    tables: Arc<TableSet>,
    view: Shared<LaneView>,
    epoch: Epoch,
    generation: u64,
    letters: Letters,
}

/// The name of a zone as metrics spell it.
fn zone_name(zone: Zone) -> &'static str {
    match zone {
        Zone::Raw => "raw",
        Zone::Quarantine => "quarantine",
    }
}

/// Role of the commit in logs and metrics.
const COMMIT: &str = "Commit";

impl LaneObserver {
    pub(super) fn new(
        (parts, tables): (&Arc<Parts>, Arc<TableSet>),
        view: Shared<LaneView>,
        epoch: Epoch,
        generation: u64,
        letters: Letters,
    ) -> Self {
        Self { parts: Arc::clone(parts), tables, view, epoch, generation, letters }
    }
}

impl LaneObserver {
    /// A commit that was under way when its generation ended is told late: a rewind may have gone behind it, and the
    /// fault that ended the lane says more than its own.
    fn is_current(&self, view: &LaneView) -> bool {
        view.generation == self.generation && view.state.is_at_work()
    }
}

impl LaneObserver {
    fn tell(&self, fault: &Fault, course: Course) {
        let trouble: Trouble = self.view.get().meets(fault, course, self.parts.clock.now());
        events::fault(COMMIT, self.generation, &trouble);
        self.view.update(|view| {
            if self.is_current(view) {
                view.last_fault = Some(trouble);
            }
        });
    }
}

impl BufferObserver for LaneObserver {
    fn committed(&self, interval: &IntervalCommitted) {
        let table_name = |index: Option<u16>| {
            index.and_then(|index| self.tables.catalog.get(index)).map_or(UNROUTED, |table| &table.name)
        };
        let mut codes = BTreeMap::new();
        for ((table, code), messages) in &interval.codes {
            if let Some(tally) = self.tables.tally(*table) {
                tally.update(|tally| *tally.quarantined.entry(*code).or_insert(0) += messages);
            }
            *codes.entry(*code).or_insert(0) += messages;
        }
        let mut rows = BTreeMap::new();
        let mut files = BTreeMap::from([("ledger", (1, interval.ledger_bytes))]);
        for file in &interval.files {
            let zone = zone_name(file.zone);
            let sums = files.entry(zone).or_insert((0, 0));
            *sums = (sums.0 + 1, sums.1 + file.bytes);
            if zone == "raw" {
                *rows.entry(table_name(file.table)).or_insert(0) += file.rows;
                if let Some(tally) = self.tables.tally(file.table) {
                    tally.update(|tally| (tally.rows, tally.files) = (tally.rows + file.rows, tally.files + 1));
                }
            }
        }
        events::interval_committed(&events::Committed {
            source: &interval.source,
            range: interval.range,
            epoch: self.epoch,
            generation: self.generation,
            outcomes: &interval.outcomes.iter().map(|(outcome, messages)| (*outcome, *messages)).collect::<Vec<_>>(),
            codes: &codes.into_iter().collect::<Vec<_>>(),
            rows: &rows.into_iter().collect::<Vec<_>>(),
            files: &files.into_iter().map(|(zone, (files, bytes))| (zone, files, bytes)).collect::<Vec<_>>(),
            elapsed: interval.took,
        });
        let to = interval.range.to();
        let in_kafka = interval.source.in_kafka();
        self.parts.session.commit_hint(&in_kafka, to);
        self.view.update(|view| {
            if self.is_current(view) {
                (view.committed, view.last_commit) = (Some(to), Some(interval.at));
                view.lag = view.end.map(|end| (end - to).max(0));
                metrics().set_lag(&in_kafka, view.lag.unwrap_or(0));
                view.show_letter_lag(&in_kafka);
            }
        });
        self.letters.committed(&in_kafka);
    }

    fn commit_failed(&self, source: &TopicPartition, _: u32, wait: Duration, fault: &Fault) {
        self.tell(fault, Course::Retry(wait));
        events::stage_restarted(COMMIT, Some(source), self.generation, &fault.message, wait);
    }

    fn spool_full(&self, _: &TopicPartition, is_full: bool) {
        if is_full {
            let message = "the spool is full: reading stops until a commit makes room (limits.spool.size)";
            self.tell(&Fault::retry("spool.full", message), Course::Wait);
        }
    }
}
