//! What the ParquetBufferer tells others: the state of the lane's buffer, and what has been committed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::roll::RollReason;
use crate::fault::Fault;
use crate::lake::footer::Zone;
use crate::model::batch::{Outcome, TableIndex};
use crate::model::offset::{OffsetRange, TopicPartition};
use crate::model::violation::Code;

/// One interval that is in the chain now. Counters are fed from here, so nothing is counted that was not committed.
#[derive(Debug, Clone, PartialEq)]
pub struct IntervalCommitted {
    /// The Kafka partition.
    pub source: TopicPartition,
    /// Consumer positions covered.
    pub range: OffsetRange,
    /// Why it was closed.
    pub reason: RollReason,
    /// Messages by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Quarantined (also partly) messages by table and first violation.
    pub codes: BTreeMap<(Option<TableIndex>, Code), u64>,
    /// Its data files, without the ledger's.
    pub files: Vec<FileCommitted>,
    /// Length of the ledger file.
    pub ledger_bytes: u64,
    /// Attempts it took.
    pub attempts: u32,
    /// Time from the first attempt to the end of the last.
    pub took: Duration,
    /// When.
    pub at: Timestamp,
}

impl IntervalCommitted {
    /// Messages in it.
    pub fn messages(&self) -> u64 {
        self.outcomes.values().sum()
    }
}

/// One data file of a committed interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileCommitted {
    /// Its zone.
    pub zone: Zone,
    /// Its table; none is `_unrouted`.
    pub table: Option<TableIndex>,
    /// Its rows.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
}

/// Who is told what happens in a buffer. Called on the lane's own threads: it must return at once.
pub trait BufferObserver: Send + Sync + 'static {
    /// An interval is in the chain.
    fn committed(&self, interval: &IntervalCommitted);
    /// An attempt to commit failed; the next one comes after `wait`.
    fn commit_failed(&self, source: &TopicPartition, attempt: u32, wait: Duration, fault: &Fault);
    /// The spool has become full, so the lane reads no more; or (`false`) it has room again.
    fn spool_full(&self, source: &TopicPartition, full: bool);
}

/// State of a lane's buffer as status shows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BufferView {
    /// End of what is buffered: the next position.
    pub position: i64,
    /// End of what is committed.
    pub head: i64,
    /// Messages buffered and not committed.
    pub buffered_messages: u64,
    /// Rows buffered and not committed, in all tables.
    pub buffered_rows: u64,
    /// Encoded bytes buffered and not committed.
    pub buffered_bytes: u64,
    /// What is being committed.
    pub committing: Option<OffsetRange>,
    /// Which attempt that is; 0 when nothing is being committed.
    pub attempt: u32,
    /// When the last interval was committed.
    pub last_commit_at: Option<Timestamp>,
    /// What the last failed attempt said, until a commit succeeds.
    pub last_fault: Option<String>,
    /// Whether reading has stopped because the spool is full.
    pub spool_full: bool,
}

/// The shared [`BufferView`] of one lane. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct BufferReport {
    view: Arc<Mutex<BufferView>>,
}

impl BufferReport {
    /// The state now.
    pub fn view(&self) -> BufferView {
        self.lock().clone()
    }

    /// The lane starts at this position.
    pub(super) fn started(&self, head: i64) {
        *self.lock() = BufferView { position: head, head, ..BufferView::default() };
    }

    /// This is in the open interval now, beside what is being committed.
    pub(super) fn buffered(&self, position: i64, messages: u64, rows: u64, bytes: u64) {
        let mut view = self.lock();
        view.position = position;
        (view.buffered_messages, view.buffered_rows, view.buffered_bytes) = (messages, rows, bytes);
    }

    pub(super) fn committing(&self, range: OffsetRange, attempt: u32) {
        let mut view = self.lock();
        (view.committing, view.attempt) = (Some(range), attempt);
    }

    pub(super) fn commit_failed(&self, fault: &Fault) {
        self.lock().last_fault = Some(fault.message.clone());
    }

    pub(super) fn committed(&self, interval: &IntervalCommitted) {
        let mut view = self.lock();
        (view.committing, view.attempt) = (None, 0);
        view.head = interval.range.to();
        view.last_commit_at = Some(interval.at);
        view.last_fault = None;
    }

    pub(super) fn spool_full(&self, full: bool) {
        self.lock().spool_full = full;
    }

    fn lock(&self) -> MutexGuard<'_, BufferView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
