//! The ParquetBufferer as a step: batches in, committed intervals out.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Select, TryRecvError};

use super::commit::{Backoff, CommitContext, CommitThread, Committer};
use super::interval::{Interval, IntervalContext};
use super::pressure::{EncoderMemory, LaneMemory};
use super::report::{BufferObserver, BufferReport};
use super::roll::RollReason;
use crate::clock::Clock;
use crate::fault::Fault;
use crate::flow::spool::Spool;
use crate::model::batch::ValidBatch;
use crate::model::catalog::Catalog;
use crate::model::offset::TopicPartition;
use crate::stage::exit::Exit;
use crate::stage::step::{Progress, Step, WAIT};

/// Encoded bytes at which a row group is closed, unless memory asks earlier.
pub const ROW_GROUP_BYTES: usize = 32 << 20;

/// What the control plane may tell a ParquetBufferer. To drain it, end its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BufferCommand {
    /// Commit what is buffered now.
    Roll,
}

/// What a ParquetBufferer is made of.
pub struct BuffererParts {
    /// The Kafka partition.
    pub source: TopicPartition,
    /// Where the first batch begins: the head of the chain.
    pub head: i64,
    /// Batches in order, without gaps.
    pub input: Receiver<ValidBatch>,
    /// Makes closed intervals part of the lake.
    pub committer: Box<dyn Committer>,
    /// Every table the lane was started with, child tables too.
    pub catalog: Catalog,
    /// The local spool.
    pub spool: Spool,
    /// The memory budget of all encoders.
    pub memory: EncoderMemory,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Waits between the attempts of a commit.
    pub backoff: Backoff,
    /// Encoded bytes at which a row group is closed: [`ROW_GROUP_BYTES`] unless a test wants another.
    pub row_group_bytes: usize,
    /// What status shows.
    pub report: BufferReport,
    /// Who is told of what happens.
    pub observer: Arc<dyn BufferObserver>,
}

/// Fills the files of one interval while the one before it is committed.
pub struct ParquetBuffererStep {
    input: Receiver<ValidBatch>,
    source: TopicPartition,
    /// A batch that came when the spool was full.
    held: Option<ValidBatch>,
    interval: Interval,
    commit: CommitThread,
    spool: Spool,
    memory: LaneMemory,
    clock: Arc<dyn Clock>,
    report: BufferReport,
    observer: Arc<dyn BufferObserver>,
    /// A roll that was asked for and has not happened.
    asked: Option<RollReason>,
    is_spool_full: bool,
}

impl std::fmt::Debug for ParquetBuffererStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetBuffererStep").field("source", &self.source).finish_non_exhaustive()
    }
}

impl ParquetBuffererStep {
    /// A bufferer that expects its first batch at `parts.head`, with a commit thread of its own.
    ///
    /// # Errors
    ///
    /// A fault when the head cannot be a position or the system gives no thread.
    pub fn new(parts: BuffererParts) -> Result<Self, Fault> {
        let BuffererParts { source, head, input, committer, catalog, spool, memory, clock, .. } = parts;
        let BuffererParts { backoff, row_group_bytes, report, observer, .. } = parts;
        report.started(head);
        let table_names = catalog.ledger_names();
        let context =
            IntervalContext { source: source.clone(), catalog, table_names, spool: spool.clone(), row_group_bytes };
        let interval = Interval::at(context, head)
            .ok_or_else(|| Fault::internal("buffer.range", format!("{source} cannot start at position {head}")))?;
        let context = CommitContext {
            source: source.clone(),
            clock: Arc::clone(&clock),
            backoff,
            report: report.clone(),
            observer: Arc::clone(&observer),
        };
        let commit = CommitThread::start(committer, context)?;
        let memory = memory.share();
        Ok(Self {
            input,
            source,
            held: None,
            interval,
            commit,
            spool,
            memory,
            clock,
            report,
            observer,
            asked: None,
            is_spool_full: false,
        })
    }

    /// Why the interval must be closed now; size and a full spool come before what is only due in time.
    fn due(&self) -> Option<RollReason> {
        if self.interval.is_empty() {
            return None;
        }
        let timely = self.interval.due(self.clock.instant());
        let spool = self.spool.is_full().then_some(RollReason::SpoolFull);
        timely.filter(|reason| reason.is_bound()).or(spool).or(self.asked).or(timely)
    }

    /// Closes the interval and hands it to the commit thread, which must be free.
    fn roll(&mut self, reason: RollReason) -> Result<(), Fault> {
        let closed = self.interval.close(reason)?;
        self.memory.publish(0);
        self.asked = None;
        self.publish();
        self.report.committing(closed.range, 1);
        self.commit.submit(closed)
    }

    fn take(&mut self, batch: ValidBatch) -> Result<(), Fault> {
        self.interval.add(batch, self.clock.instant(), self.clock.now())?;
        self.memory.publish(self.interval.memory_bytes());
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        let interval = &self.interval;
        let (position, messages) = (interval.range().to(), interval.messages());
        self.report.buffered(position, messages, interval.rows(), interval.encoded_bytes());
    }

    /// Says so once when the spool becomes full, and once when there is room again.
    fn watch_spool(&mut self) -> bool {
        let full = self.spool.is_full();
        if full != self.is_spool_full {
            self.is_spool_full = full;
            self.report.spool_full(full);
            self.observer.spool_full(&self.source, full);
        }
        full
    }

    /// Waits for the commit in flight, or for time to pass.
    fn wait_for_room(&mut self) -> Result<Progress, Fault> {
        let mut select = Select::new();
        if self.commit.in_flight() {
            select.recv(self.commit.answers());
        }
        let answered = select.ready_timeout(WAIT).is_ok();
        drop(select);
        if answered && self.commit.poll()?.is_some() { Ok(Progress::Worked) } else { Ok(Progress::Blocked) }
    }

    /// Waits for a batch or for the commit in flight. A batch is received even when the spool is full, but only one,
    /// and it is held back: so the end of the input is always seen.
    fn wait_for_work(&mut self) -> Result<Progress, Exit> {
        let mut select = Select::new();
        let input = select.recv(&self.input);
        if self.commit.in_flight() {
            select.recv(self.commit.answers());
        }
        let ready = select.ready_timeout(WAIT);
        drop(select);
        match ready {
            Ok(ready) if ready == input => match self.input.try_recv() {
                Ok(batch) if self.spool.is_full() => {
                    self.held = Some(batch);
                    Ok(Progress::Blocked)
                }
                Ok(batch) => {
                    self.take(batch)?;
                    Ok(Progress::Worked)
                }
                Err(TryRecvError::Empty) => Ok(Progress::Idle),
                Err(TryRecvError::Disconnected) => self.drain(),
            },
            // The next step takes the answer.
            Ok(_) => Ok(Progress::Worked),
            Err(_) => Ok(Progress::Idle),
        }
    }

    /// The input has ended: everything in it goes to the lake, and then the stage ends.
    fn drain(&mut self) -> Result<Progress, Exit> {
        if self.commit.in_flight() {
            return Ok(self.wait_for_room()?);
        }
        if self.interval.is_empty() {
            return Err(Exit::Drained);
        }
        self.roll(RollReason::Drain)?;
        Ok(Progress::Worked)
    }
}

impl Step for ParquetBuffererStep {
    type Command = BufferCommand;

    fn step(&mut self) -> Result<Progress, Exit> {
        if self.memory.take_request() {
            self.interval.flush()?;
            self.memory.publish(self.interval.memory_bytes());
            return Ok(Progress::Worked);
        }
        if self.commit.in_flight() {
            self.commit.poll()?;
        }
        let full = self.watch_spool();
        if let Some(reason) = self.due() {
            if !self.commit.in_flight() {
                self.roll(reason)?;
                return Ok(Progress::Worked);
            }
            if reason.is_bound() {
                return Ok(self.wait_for_room()?);
            }
        }
        match self.held.take() {
            Some(batch) if full => {
                self.held = Some(batch);
                Ok(self.wait_for_room()?)
            }
            Some(batch) => {
                self.take(batch)?;
                Ok(Progress::Worked)
            }
            None => self.wait_for_work(),
        }
    }

    fn command(&mut self, command: BufferCommand) {
        match command {
            BufferCommand::Roll if self.interval.is_empty() => {}
            BufferCommand::Roll => self.asked = Some(RollReason::Command),
        }
    }
}

#[cfg(test)]
mod tests;
