//! The commit of a lane on a thread of its own: one interval in flight while the next one fills.
//!
//! A commit that fails for an outside reason is tried again with backoff for as long as the lane lives: the files are
//! in the spool, and the lane reads on until its bounds. Everything else ends the lane.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

use super::interval::ClosedInterval;
use super::report::{BufferObserver, BufferReport, IntervalCommitted};
use crate::clock::Clock;
use crate::fault::{Domain, Fault, Verdict};
use crate::model::offset::TopicPartition;

/// Makes one closed interval part of the lake.
pub trait Committer: Send + 'static {
    /// Commits `interval`, whose files stay as they are. When this returns `Ok`, the interval is in the chain.
    ///
    /// It is called again with the same interval after a fault of the outside world with the verdict *retry*, so it
    /// must go on from whatever the call before has left behind.
    ///
    /// # Errors
    ///
    /// Why the interval is not (known to be) in the chain.
    fn commit(&mut self, interval: &mut ClosedInterval) -> Result<(), Fault>;
}

/// How long to wait before the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Before the second attempt.
    pub first: Duration,
    /// At most.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), max: Duration::from_secs(15) }
    }
}

impl Backoff {
    /// Wait after the given number of failed attempts: doubling, and between half and the whole of it by `jitter`
    /// (0 to 1), so that many lanes do not come back at once.
    pub fn wait(self, failed: u32, jitter: f64) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.max).mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

/// What the commit thread shares with the step.
pub struct CommitContext {
    /// The Kafka partition, for names and messages.
    pub source: TopicPartition,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Waits between attempts.
    pub backoff: Backoff,
    /// What status shows.
    pub report: BufferReport,
    /// Who is told of commits and failed attempts.
    pub observer: Arc<dyn BufferObserver>,
}

impl std::fmt::Debug for CommitContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommitContext").field("source", &self.source).finish_non_exhaustive()
    }
}

/// The commit thread as the step sees it. Dropping it ends the thread at its next wait or after the call that it is
/// in; the epoch fence keeps that call harmless.
#[derive(Debug)]
pub struct CommitThread {
    source: TopicPartition,
    jobs: Sender<ClosedInterval>,
    done: Receiver<Result<IntervalCommitted, Fault>>,
    /// Dropped with this value, which wakes a thread that waits for its next attempt.
    _alive: Sender<()>,
    in_flight: bool,
}

impl CommitThread {
    /// Starts the thread of a lane.
    ///
    /// # Errors
    ///
    /// A fault when the system gives no thread.
    pub fn start(committer: Box<dyn Committer>, context: CommitContext) -> Result<Self, Fault> {
        // Room for the one interval in flight and its answer: neither side ever waits for room.
        let (jobs, inbox) = bounded(1);
        let (answers, done) = bounded(1);
        let (alive, cancelled) = bounded(0);
        let source = context.source.clone();
        let worker = Worker { committer, context, inbox, answers, cancelled };
        let started = thread::Builder::new().name(format!("commit-{source}")).spawn(move || worker.run());
        match started {
            // Not joined: its end shows as a disconnect of `done`, and it owns nothing that others wait for.
            Ok(_detached) => Ok(Self { source, jobs, done, _alive: alive, in_flight: false }),
            Err(error) => {
                Err(Fault::retry("buffer.no-thread", format!("cannot start the commit of {source}: {error}")))
            }
        }
    }

    /// Whether an interval is being committed.
    pub fn in_flight(&self) -> bool {
        self.in_flight
    }

    /// Hands over an interval. Only when none is in flight.
    ///
    /// # Errors
    ///
    /// An internal fault when one is in flight, or the thread has gone.
    pub fn submit(&mut self, interval: ClosedInterval) -> Result<(), Fault> {
        if self.in_flight || self.jobs.try_send(interval).is_err() {
            return Err(self.lost());
        }
        self.in_flight = true;
        Ok(())
    }

    /// The answer, if it has come.
    ///
    /// # Errors
    ///
    /// The fault that ended the commit for good.
    pub fn poll(&mut self) -> Result<Option<IntervalCommitted>, Fault> {
        match self.done.try_recv() {
            Ok(answer) => {
                self.in_flight = false;
                answer.map(Some)
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(self.lost()),
        }
    }

    /// Becomes ready when an answer has come.
    pub fn answers(&self) -> &Receiver<Result<IntervalCommitted, Fault>> {
        &self.done
    }

    fn lost(&self) -> Fault {
        Fault::internal("buffer.commit-lost", format!("the commit thread of {} has ended or is busy", self.source))
    }
}

struct Worker {
    committer: Box<dyn Committer>,
    context: CommitContext,
    inbox: Receiver<ClosedInterval>,
    answers: Sender<Result<IntervalCommitted, Fault>>,
    cancelled: Receiver<()>,
}

impl Worker {
    fn run(mut self) {
        while let Ok(interval) = self.inbox.recv() {
            let answer = catch_unwind(AssertUnwindSafe(|| self.commit(interval)));
            let panicked = answer.is_err();
            let answer = answer.unwrap_or_else(|_| {
                let source = &self.context.source;
                Some(Err(Fault::internal("buffer.commit-panicked", format!("the commit of {source} panicked"))))
            });
            let Some(answer) = answer else { return };
            // After a panic the committer may be half changed: the lane starts again from what is durable.
            if self.answers.send(answer).is_err() || panicked {
                return;
            }
        }
    }

    /// Tries until it is done, must not be tried again, or nobody waits any more (`None`).
    fn commit(&mut self, mut interval: ClosedInterval) -> Option<Result<IntervalCommitted, Fault>> {
        let CommitContext { source, clock, backoff, report, observer } = &self.context;
        let started = clock.instant();
        for attempt in 1_u32.. {
            report.committing(interval.range, attempt);
            let fault = match self.committer.commit(&mut interval) {
                Ok(()) => {
                    let took = clock.instant().saturating_duration_since(started);
                    let committed = interval.committed(attempt, took, clock.now());
                    report.committed(&committed);
                    observer.committed(&committed);
                    return Some(Ok(committed));
                }
                Err(fault) => fault.while_doing(format_args!("commit {} {}", source, interval.range)),
            };
            report.commit_failed(&fault);
            if fault.verdict != Verdict::Retry || fault.domain == Domain::Internal {
                return Some(Err(fault));
            }
            let wait = backoff.wait(attempt, fastrand::f64());
            observer.commit_failed(source, attempt, wait, &fault);
            if self.cancelled.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                return None;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waits_grow_up_to_the_limit_and_never_vanish(failed in 1..200_u32, jitter in 0.0..1.0_f64) {
            let backoff = Backoff::default();
            let wait = backoff.wait(failed, jitter);
            prop_assert!(wait >= backoff.first / 2 && wait <= backoff.max);
            prop_assert!(backoff.wait(failed + 1, jitter) >= wait);
        }
    }

    #[test]
    fn the_wait_doubles() {
        let backoff = Backoff::default();
        let whole: Vec<_> = (1..=9).map(|failed| backoff.wait(failed, 1.0).as_millis()).collect();
        assert_eq!(whole, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 15000]);
        assert_eq!(backoff.wait(1, 0.0).as_millis(), 50);
    }
}
