//! What a worker has in its hands, kept where a supervisor finds it after the worker has died.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crossbeam_channel::Sender;

use super::batch::{Care, NO_MESSAGE, ParserTable, Room};
use super::route::Route;
use crate::fault::Fault;
use crate::model::batch::{ParsedBatch, RawBatch};
use crate::model::slots::LaneSlot;

/// After this many failed attempts a batch is parsed message by message, and what fails then is blamed on a message.
pub const SHARED_ATTEMPTS: u32 = 3;

/// A batch on its way to a worker, and the way back. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ParseJob {
    /// What is to be parsed.
    pub raw: Arc<RawBatch>,
    /// The tables that its messages go to.
    pub route: Route,
    /// The tables of the lane's generation: a later one may have other mappings.
    pub tables: Arc<[ParserTable]>,
    /// How often a worker has died of it.
    pub attempt: u32,
    /// Indices of messages that are not to be touched again.
    pub poisoned: Vec<u32>,
    /// Where the result goes. The lane sees to it that there is room.
    pub out: Sender<ParsedBatch>,
}

impl ParseJob {
    /// A batch that no worker has seen yet.
    pub fn new(
        raw: Arc<RawBatch>,
        route: impl Into<Route>,
        tables: Arc<[ParserTable]>,
        out: Sender<ParsedBatch>,
    ) -> Self {
        Self { raw, route: route.into(), tables, attempt: 0, poisoned: Vec::new(), out }
    }

    /// The batch of its first messages, of which there are `count`, and the job for those after them; none when one
    /// would have no message.
    pub(super) fn cut(&self, count: usize) -> Option<(Arc<RawBatch>, Self)> {
        let (head, tail) = self.raw.cut(count)?;
        let first = u32::try_from(count).ok()?;
        let poisoned = self.poisoned.iter().filter_map(|message| message.checked_sub(first)).collect();
        Some((Arc::new(head), Self { raw: Arc::new(tail), poisoned, ..self.clone() }))
    }

    /// Whether every batch of its lane that was read before is in files.
    pub(super) fn is_oldest(&self) -> bool {
        self.raw.slot.as_ref().is_none_or(LaneSlot::is_oldest)
    }
}

/// The place of one worker's batch: the worker puts it there before it begins and takes it away when the result is
/// handed on. Shared with the supervisor.
#[derive(Debug, Clone, Default)]
pub struct Lease {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    job: Mutex<Option<ParseJob>>,
    message: AtomicU32,
}

impl Default for Shared {
    fn default() -> Self {
        Self { job: Mutex::new(None), message: AtomicU32::new(NO_MESSAGE) }
    }
}

impl Lease {
    /// A lease on nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over what a dead worker left, if it left anything. To be called after its thread has ended; a result that
    /// was handed on just before it died will come a second time, which the resequencer drops.
    pub fn take_abandoned(&self) -> Option<Abandoned> {
        let job = self.lock().take()?;
        let message = self.shared.message.swap(NO_MESSAGE, Ordering::AcqRel);
        Some(Abandoned { job, message: (message != NO_MESSAGE).then_some(message) })
    }

    /// Whether a batch is held.
    pub fn is_held(&self) -> bool {
        self.lock().is_some()
    }

    pub(super) fn hold(&self, job: ParseJob) {
        self.shared.message.store(NO_MESSAGE, Ordering::Release);
        *self.lock() = Some(job);
    }

    pub(super) fn release(&self) {
        *self.lock() = None;
    }

    /// The care that a job needs, with this lease told of its progress.
    pub(super) fn care<'a>(&'a self, job: &'a ParseJob, room: Room) -> Care<'a> {
        Care {
            poisoned: &job.poisoned,
            is_isolated: job.attempt >= SHARED_ATTEMPTS,
            progress: Some(&self.shared.message),
            room: Some(room),
        }
    }

    /// A worker never panics while it holds the lock, and if it did, the job would be there or not: both are fine.
    fn lock(&self) -> MutexGuard<'_, Option<ParseJob>> {
        self.shared.job.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What a dead worker left.
#[derive(Debug)]
pub struct Abandoned {
    /// Its batch.
    pub job: ParseJob,
    /// Index of the message it was at; none when it was at none.
    pub message: Option<u32>,
}

impl Abandoned {
    /// The job for the next worker: once more as it is, then message by message, then without the message that is to
    /// blame.
    ///
    /// # Errors
    ///
    /// No message is to blame for what happens again and again, or the one that is to blame is left out already: the
    /// lane cannot go on with this batch.
    pub fn into_retry(self) -> Result<ParseJob, Fault> {
        let mut job = self.job;
        if job.attempt >= SHARED_ATTEMPTS {
            match self.message.filter(|message| !job.poisoned.contains(message)) {
                Some(message) => job.poisoned.push(message),
                None => {
                    let source = &job.raw.source;
                    let range = job.raw.range;
                    return Err(Fault::internal(
                        "parser.batch",
                        format!("the parser fails at the batch {range} of {source}, and no message is to blame"),
                    ));
                }
            }
        }
        job.attempt += 1;
        Ok(job)
    }
}
