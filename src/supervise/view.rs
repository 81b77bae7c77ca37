//! What people and programs see of the supervision tree: plain values, copied out, never live state.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::fault::Fault;
use crate::lake::LetterRoute;
use crate::model::offset::TopicPartition;
use crate::model::status::LaneState;
use crate::model::violation::Code;
use crate::observe::metrics;
use crate::observe::trouble::{Course, Subject, Trouble};
use jiff::Timestamp;

/// One lane.
#[derive(Debug, Clone)]
pub struct LaneView {
    /// Topic.
    pub topic: String,
    /// Kafka partition.
    pub partition: i32,
    /// Table that its messages go to.
    pub table: Option<String>,
    /// The tables of its topic, with the versions of their mappings that its generation reads with; empty before the
    /// first.
    pub mappings: BTreeMap<String, u32>,
    /// Where it is in its life.
    pub state: LaneState,
    /// Incarnation.
    pub generation: u64,
    /// Owner number in storage.
    pub epoch: Option<u64>,
    /// Head of its chain: every offset below has its outcome in the ledger.
    pub committed: Option<i64>,
    /// Next offset to read.
    pub position: Option<i64>,
    /// Encoded bytes that are not committed yet.
    pub buffered_bytes: u64,
    /// Rows that are not committed yet.
    pub buffered_rows: u64,
    /// High watermark as last seen.
    pub end: Option<i64>,
    /// `end - committed`.
    pub lag: Option<i64>,
    /// When the last interval was committed.
    pub last_commit: Option<Timestamp>,
    /// Restarts so far.
    pub restarts: u32,
    /// The last fault, even when it has passed.
    pub last_fault: Option<Trouble>,
    /// How far its dead letters have been sent, for each table that has a dead-letter topic.
    pub letters: Vec<LettersView>,
    /// Its stages, in the order of the flow.
    pub stages: Vec<StageView>,
}

/// How far the dead letters of a lane and table have been sent.
#[derive(Debug, Clone)]
pub struct LettersView {
    /// The table; `_unrouted` for messages that none takes.
    pub table: String,
    /// Their topic.
    pub topic: String,
    /// Every letter below was acknowledged; none: not known yet.
    pub position: Option<i64>,
    /// Letters acknowledged since this process was given the lane.
    pub sent: u64,
    /// Why they cannot be sent, until they can.
    pub fault: Option<Trouble>,
}

impl LettersView {
    /// Nothing is known yet.
    pub fn new(table: &str, topic: &str) -> Self {
        Self { table: table.to_owned(), topic: topic.to_owned(), position: None, sent: 0, fault: None }
    }

    /// Whether they go this way.
    pub fn is_of(&self, route: &LetterRoute) -> bool {
        self.table == route.table() && self.topic == route.topic()
    }

    /// Offsets below `committed`, the head of the chain, whose letters are still to be sent.
    pub fn lag(&self, committed: Option<i64>) -> Option<i64> {
        Some((committed? - self.position?).max(0))
    }
}

/// One stage of a lane, or a worker of the parser pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageView {
    /// Role.
    pub stage: String,
    /// Milliseconds since its last sign of life.
    pub silent_ms: u64,
    /// Microseconds it has waited for room in front of it.
    pub waited_us: u64,
}

/// What is known of the promotion of one table.
#[derive(Debug, Clone)]
pub struct PromotionView {
    /// Table.
    pub table: String,
    /// Whether this daemon is its promoter.
    pub is_promoter: bool,
    /// `idle`, `running`, `waiting` (for its next try) or `halted`.
    pub state: String,
    /// Next tick of the timer.
    pub next_due: Option<Timestamp>,
    /// When the last promotion ended.
    pub last_end: Option<Timestamp>,
    /// What it did, in one sentence.
    pub last_report: Option<String>,
    /// Its number; none when nothing was new.
    pub last_seq: Option<u64>,
    /// Rows it wrote.
    pub last_rows: u64,
    /// Files it added.
    pub last_added: u64,
    /// Files it replaced.
    pub last_removed: u64,
    /// Kafka partitions that it left out, and why.
    pub last_left_out: Vec<String>,
    /// Promotions that failed so far.
    pub failures: u32,
    /// The last fault.
    pub last_fault: Option<Trouble>,
}

impl LaneView {
    /// The lane of `source`, not started yet.
    pub fn new(source: &TopicPartition, table: Option<String>) -> Self {
        Self {
            topic: source.topic.to_string(),
            partition: source.partition,
            table,
            mappings: BTreeMap::new(),
            state: LaneState::Acquiring,
            generation: 0,
            epoch: None,
            committed: None,
            position: None,
            buffered_bytes: 0,
            buffered_rows: 0,
            end: None,
            lag: None,
            last_commit: None,
            restarts: 0,
            last_fault: None,
            letters: Vec::new(),
            stages: Vec::new(),
        }
    }

    /// Offsets that are committed and of which dead letters are still to be sent, of whatever table; none while that is
    /// not known of all, or without a dead-letter topic.
    pub fn letter_lag(&self) -> Option<i64> {
        let lags: Option<Vec<i64>> = self.letters.iter().map(|letters| letters.lag(self.committed)).collect();
        lags?.into_iter().max()
    }

    /// Brings the metrics of [`LettersView::lag`] up to date.
    pub(super) fn show_letter_lag(&self, lane: &TopicPartition) {
        for letters in &self.letters {
            if let Some(lag) = letters.lag(self.committed) {
                metrics().set_letter_lag(lane, &letters.table, lag);
            }
        }
    }

    /// What is wrong, until the lane has shown that it has passed: it works, and has committed or has nothing to
    /// commit.
    pub fn trouble(&self) -> Option<&Trouble> {
        let works = matches!(self.state, LaneState::Running | LaneState::Paused);
        self.last_fault.as_ref().filter(|trouble| {
            let has_committed = self.last_commit.is_some_and(|commit| commit > trouble.at);
            !(works && (has_committed || self.position == self.committed))
        })
    }

    /// A fault that is met now, as what has become of the trouble that the lane is in.
    pub fn meets(&self, fault: &Fault, course: Course, now: Timestamp) -> Trouble {
        let lane = TopicPartition::new(self.topic.as_str(), self.partition);
        let fresh = self.last_fault.as_ref().filter(|trouble| trouble.is_fresh(now));
        Trouble::new(Subject::Lane(lane), fault, course, now).after(self.trouble().or(fresh))
    }

    /// The high watermark is now `end`.
    pub fn saw_end(&mut self, end: i64) {
        self.end = Some(end);
        self.lag = self.committed.map(|committed| (end - committed).max(0));
    }
}

impl PromotionView {
    /// A fault that is met now, as what has become of the trouble that the promotion is in.
    pub fn meets(&self, fault: &Fault, course: Course, now: Timestamp) -> Trouble {
        Trouble::new(Subject::Table(self.table.clone()), fault, course, now).after(self.last_fault.as_ref())
    }

    /// The promotion of `table`, not tried yet.
    pub fn idle(table: &str) -> Self {
        Self {
            table: table.to_owned(),
            is_promoter: false,
            state: "idle".to_owned(),
            next_due: None,
            last_end: None,
            last_report: None,
            last_seq: None,
            last_rows: 0,
            last_added: 0,
            last_removed: 0,
            last_left_out: Vec::new(),
            failures: 0,
            last_fault: None,
        }
    }
}

/// What this process has committed for one table since its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows in RAW.
    pub rows: u64,
    /// Files in RAW.
    pub files: u64,
    /// Messages in quarantine, by their first violation.
    pub quarantined: BTreeMap<Code, u64>,
}

/// A value that one part writes and others copy. A writer that panicked does not take the readers with it.
#[derive(Debug)]
pub struct Shared<T> {
    value: Arc<Mutex<T>>,
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value) }
    }
}

impl<T: Clone> Shared<T> {
    /// Starts with `value`.
    pub fn new(value: T) -> Self {
        Self { value: Arc::new(Mutex::new(value)) }
    }

    /// A copy.
    pub fn get(&self) -> T {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes it in place.
    pub fn update(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.value.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn trouble_goes_on_until_the_lane_has_shown_that_it_works() {
        let retry = Course::Retry(Duration::from_secs(1));
        let away = Fault::retry("storage.unavailable", "away");
        let mut lane = LaneView::new(&TopicPartition::new("library", 0), None);
        lane.last_fault = Some(lane.meets(&away, retry, at(100)));
        (lane.position, lane.committed, lane.state) = (Some(5), Some(3), LaneState::Waiting);
        lane.last_fault = Some(lane.meets(&away, retry, at(300)));
        assert_eq!(lane.trouble().map(|trouble| (trouble.since, trouble.times)), Some((at(100), 2)));
        (lane.state, lane.last_commit) = (LaneState::Running, Some(at(301)));
        assert_eq!(lane.trouble(), None, "it has committed");
        let soon = lane.meets(&away, retry, at(310));
        assert_eq!((soon.since, soon.times), (at(100), 3), "a moment of work does not end what fails over and over");
        let later = lane.meets(&away, retry, at(400));
        assert_eq!((later.since, later.times), (at(400), 1));
    }
}
