//! How a generation begins, on a storage thread: take the lane in storage, carry out what was ordered, find its place,
//! open it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use super::loss::{LOSS_REFUSED, LossOrder, accept_loss};
use super::requeue::apply_requeue;
use super::stages::Opened;
use crate::fault::{Fault, Verdict};
use crate::flow::read::faults::{OFFSETS_WENT_BACK, OUT_OF_RANGE};
use crate::flow::requeue::{LaneRequeue, Selection};
use crate::lake::fence::Owner;
use crate::lake::ledger::LedgerWriter;
use crate::lake::{
    self, LaneLedger, LetterRoute, PendingInterval, RewindPlan, Rewound, StartPosition, UndoPlan, Undone,
};
use crate::model::offset::{Epoch, OffsetRange, TopicPartition};
use crate::model::table::{OnOutOfRange, StartingOffsets};
use crate::observe::events;
use crate::supervise::parts::Parts;
use crate::supervise::tables::TableSet;

/// Event of messages that Kafka has deleted while they were to be read again after a rewind.
pub(in crate::supervise) const REWOUND_RANGE_LOST: &str = "kafka.rewound-range-lost";

/// Where a rewind goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewindTarget {
    /// To this offset, rounded down to the start of its interval.
    Offset(i64),
    /// To the first message of this time or later.
    Time(Timestamp),
}

/// Which way a rewind goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Truncate the chain, to read again from there.
    Back(RewindTarget),
    /// Take the newest rewind back: the chain is what it was before, and the lane goes on at its old head.
    Undo,
}

/// An operator's order to truncate the chain of a lane and read it again, or to take the newest such order back.
#[derive(Debug, Clone)]
pub struct RewindOrder {
    /// Which way, and where to.
    pub to: Direction,
    /// Refuse unless the lane's committed position is this.
    pub expect: Option<i64>,
    /// Why; kept in storage.
    pub reason: String,
}

/// An operator's order to take quarantined messages of a lane through today's mapping again.
#[derive(Debug, Clone)]
pub struct RequeueOrder {
    /// Which messages.
    pub selection: Selection,
    /// Why; kept in storage.
    pub reason: String,
}

/// What changes what a lane has committed. It is done by the next generation, before it reads.
#[derive(Debug, Clone)]
pub enum LaneOrder {
    /// Truncate the chain, or take that back.
    Rewind(RewindOrder),
    /// Revise intervals.
    Requeue(RequeueOrder),
    /// Go on behind messages that Kafka has no more.
    AcceptLoss(LossOrder),
}

/// What came of an order.
#[derive(Debug, Clone)]
pub enum Done {
    /// Of a rewind.
    Moved(Moved),
    /// Of a requeue.
    Requeued(LaneRequeue),
    /// Offsets that are recorded as lost.
    Lost(OffsetRange),
}

impl Done {
    /// What came of a rewind.
    ///
    /// # Errors
    ///
    /// It was none.
    pub fn moved(self) -> Result<Moved, Fault> {
        match self {
            Self::Moved(moved) => Ok(moved),
            other => Err(other.misplaced()),
        }
    }

    /// What came of a requeue.
    ///
    /// # Errors
    ///
    /// It was none.
    pub fn requeued(self) -> Result<LaneRequeue, Fault> {
        match self {
            Self::Requeued(requeued) => Ok(requeued),
            other => Err(other.misplaced()),
        }
    }

    /// The offsets that are recorded as lost.
    ///
    /// # Errors
    ///
    /// It was another order.
    pub fn lost(self) -> Result<OffsetRange, Fault> {
        match self {
            Self::Lost(range) => Ok(range),
            other => Err(other.misplaced()),
        }
    }

    fn misplaced(&self) -> Fault {
        let what = match self {
            Self::Moved(_) => "rewind",
            Self::Requeued(_) => "requeue",
            Self::Lost(_) => "accept-loss",
        };
        Fault::internal("lane.other-answer", format!("the answer is that of another order ({what})"))
    }
}

/// What a start came to.
pub(super) struct Outcome {
    pub(super) opened: Result<Opened, Fault>,
    pub(super) progress: Progress,
}

/// How far a start has come, whether or not the lane can go on.
#[derive(Default)]
pub(super) struct Progress {
    /// The answer to an order, where there was one. A refused rewind does not keep the lane from starting.
    pub(super) done: Option<Result<Done, Fault>>,
    /// The ways of its dead letters, once the lane was taken and its order carried out: what is committed is sent.
    pub(super) letters: Vec<LetterRoute>,
    /// The head of its chain and the broker's end, from then on too.
    pub(super) place: Option<(i64, i64)>,
}

/// What a rewind did.
#[derive(Debug, Clone)]
pub enum Moved {
    /// The chain was truncated.
    Back(Rewound),
    /// The newest rewind was taken back.
    Undone(Undone),
}

/// What a rewind would do.
#[derive(Debug, Clone)]
pub enum MovePlan {
    /// The chain would be truncated.
    Back(RewindPlan),
    /// The newest rewind would be taken back.
    Undo(UndoPlan),
}

impl Moved {
    /// What was planned, and done.
    pub fn into_plan(self) -> MovePlan {
        match self {
            Self::Back(rewound) => MovePlan::Back(rewound.plan),
            Self::Undone(undone) => MovePlan::Undo(undone.plan),
        }
    }
}

fn apply_rewind(
    parts: &Parts,
    source: &TopicPartition,
    order: &RewindOrder,
    broker_low: i64,
    ledger: &mut LaneLedger,
) -> Result<Moved, Fault> {
    let (head, expect, reason) = (ledger.head(), order.expect, &order.reason);
    match order.to {
        Direction::Back(to) => {
            let target = to.resolve(parts, source)?;
            let rewound = ledger.rewind(lake::RewindOrder { target, expect, broker_low, reason })?;
            events::rewound(source, head, rewound.plan.to, Epoch(rewound.epoch), reason);
            Ok(Moved::Back(rewound))
        }
        Direction::Undo => {
            let undone = ledger.undo(lake::UndoOrder { expect, reason })?;
            events::rewind_undone(source, head, undone.plan.to, Epoch(undone.epoch), reason);
            Ok(Moved::Undone(undone))
        }
    }
}

/// What a rewind would do, without doing any of it.
///
/// # Errors
///
/// What would refuse the rewind.
pub fn preview_rewind(parts: &Parts, source: &TopicPartition, order: &RewindOrder) -> Result<MovePlan, Fault> {
    let (expect, reason) = (order.expect, &*order.reason);
    let chain = lake::lineage(&*parts.storage, source, parts.broker.topic_id(&source.topic)?.as_deref())?;
    Ok(match order.to {
        Direction::Back(to) => {
            let (broker_low, _) = parts.broker.watermarks(source)?;
            let target = to.resolve(parts, source)?;
            let order = lake::RewindOrder { target, expect, broker_low, reason };
            MovePlan::Back(lake::plan_rewind(&*parts.storage, &chain, order)?)
        }
        Direction::Undo => {
            MovePlan::Undo(lake::plan_undo(&*parts.storage, &chain, lake::UndoOrder { expect, reason })?)
        }
    })
}

impl RewindTarget {
    fn resolve(self, parts: &Parts, source: &TopicPartition) -> Result<i64, Fault> {
        match self {
            Self::Offset(offset) => Ok(offset),
            Self::Time(time) => parts.broker.offset_for_time(source, time.as_microsecond())?.ok_or_else(|| {
                Fault::halt("lane.rewind-refused", format!("{source} has no message of {time} or later"))
            }),
        }
    }
}

/// The head of the chain, when the broker still has it; else what the table's policy says.
fn in_range(
    (parts, tables): (&Parts, &TableSet),
    source: &TopicPartition,
    marks: (i64, i64),
    ledger: &mut LaneLedger,
) -> Result<i64, Fault> {
    let head = ledger.head();
    if head > marks.1 {
        return Err(Fault::halt(
            OFFSETS_WENT_BACK,
            format!(
                "{source}: the chain ends at offset {head} but the broker's end is {end}: the broker has lost what the \
                 lake holds; nothing was read or written; `forebay rewind {source} --to {end}` takes it out of the lake \
                 too and goes on with what the broker still has",
                end = marks.1
            ),
        ));
    }
    if head >= marks.0 {
        return Ok(head);
    }
    if let Some(until) = ledger.rewound_until() {
        return Err(Fault::halt(
            REWOUND_RANGE_LOST,
            format!(
                "{source}: offsets {head} to {} are no longer on the broker, and they are being read again after a \
                 rewind (old end: {until}); `forebay rewind {source} --undo` brings them back (where it cannot: \
                 `forebay accept-loss {source}`)",
                marks.0
            ),
        ));
    }
    let table = tables.of_topic(&source.topic).next();
    let policy = table.map_or(OnOutOfRange::Fail, |(_, table)| table.on_offset_out_of_range);
    let to = match policy {
        OnOutOfRange::Earliest => marks.0,
        OnOutOfRange::Latest => marks.1,
        OnOutOfRange::Fail => {
            return Err(Fault::halt(
                OUT_OF_RANGE,
                format!(
                    "{source}: offsets {head} to {} are no longer on the broker (retention passed us); \
                     `forebay accept-loss {source}` records them as lost and goes on, as on_offset_out_of_range = \
                     \"earliest\" does by itself",
                    marks.0
                ),
            ));
        }
    };
    let why = format!("offsets {head} to {to} were no longer on the broker (first: {})", marks.0);
    record_loss(parts, source, head, to, &why, ledger)?;
    Ok(to)
}

/// Closes the hole by an interval without rows, whose footer says what was lost and why.
pub(super) fn record_loss(
    parts: &Parts,
    source: &TopicPartition,
    from: i64,
    to: i64,
    why: &str,
    ledger: &mut LaneLedger,
) -> Result<(), Fault> {
    let bad_range = || Fault::internal("lane.bad-range", format!("{source}: no interval from {from} to {to}"));
    let range = OffsetRange::new(from, to).ok_or_else(bad_range)?;
    let (file, _) = parts.spool.create()?;
    let writer = LedgerWriter::create(file.path(), Arc::from([])).map_err(Fault::from)?;
    ledger.commit(&mut PendingInterval::lost(range, writer, why))?;
    events::offsets_lost(source, range);
    Ok(())
}

/// The configured start of a Kafka partition that has no chain. A topic that was created again is read from its first
/// message: the configured offsets are those of the topic before, and `latest` would leave out what came in the
/// meantime.
struct ConfiguredStart<'a> {
    parts: &'a Parts,
    tables: &'a TableSet,
}

impl StartPosition for ConfiguredStart<'_> {
    fn resolve(&self, source: &TopicPartition) -> Result<i64, Fault> {
        let in_kafka = source.in_kafka();
        let configured = self.tables.of_topic(&in_kafka.topic).next().map(|(_, table)| &table.starting_offsets);
        let start = configured.filter(|_| source.incarnation() == 1).unwrap_or(&StartingOffsets::Earliest);
        self.parts.broker.start_position(&in_kafka, start)
    }
}

/// What a start needs, to be sent to its thread.
pub(super) struct StartJob {
    pub(super) parts: Arc<Parts>,
    /// The tables of the generation.
    pub(super) tables: Arc<TableSet>,
    pub(super) source: TopicPartition,
    pub(super) order: Option<LaneOrder>,
    pub(super) stop_at: Option<i64>,
    /// Raised when the lane is given up meanwhile.
    pub(super) is_cancelled: Arc<AtomicBool>,
}

impl StartJob {
    /// Takes the lane, in the next epoch, and opens its Kafka partition at the head of its chain.
    pub(super) fn run(&self) -> Outcome {
        let mut progress = Progress::default();
        let opened = self.open(&mut progress);
        if let (Err(fault), Some(_), None) = (&opened, &self.order, &progress.done) {
            progress.done = Some(Err(fault.clone()));
        }
        Outcome { opened, progress }
    }

    fn open(&self, progress: &mut Progress) -> Result<Opened, Fault> {
        let (parts, tables, source) = (&*self.parts, &*self.tables, &self.source);
        self.still_ours()?;
        let marks = parts.broker.watermarks(source)?;
        let owner = Owner {
            cluster_id: Some(parts.broker.cluster_id()?),
            topic_id: parts.broker.topic_id(&source.topic)?,
            taken_at: parts.clock.now(),
            ..parts.owner.clone()
        };
        let chain = lake::lineage(&*parts.storage, source, owner.topic_id.as_deref())?;
        tables.refuse_clashes(&*parts.storage, &source.topic)?;
        // The broker may have kept us waiting, and an epoch that is taken in error fences the rightful owner.
        self.still_ours()?;
        let start = ConfiguredStart { parts, tables };
        let mut ledger = lake::acquire(&parts.storage, &parts.clock, &owner, &chain, &start)?;
        match &self.order {
            Some(LaneOrder::Rewind(order)) => {
                progress.done = Some(apply_rewind(parts, source, order, marks.0, &mut ledger).map(Done::Moved));
            }
            Some(LaneOrder::Requeue(order)) => {
                let requeued = apply_requeue((parts, tables), order, &mut ledger, &|| self.still_ours());
                progress.done = Some(requeued.clone().map(Done::Requeued));
                // What it has left is cleaned up by the next start, which has no order: none of it halts the lane.
                requeued.map_err(|fault| match fault.verdict {
                    Verdict::Halt => Fault { verdict: Verdict::Retry, ..fault },
                    Verdict::Retry | Verdict::Fenced => fault,
                })?;
            }
            Some(LaneOrder::AcceptLoss(order)) => {
                let lost = accept_loss(parts, source, order, marks, &mut ledger);
                progress.done = Some(lost.clone().map(Done::Lost));
                // A refusal leaves the chain as it is; a commit that was cut short takes a new epoch.
                if let Err(fault) = lost.map(drop)
                    && fault.event != LOSS_REFUSED
                {
                    return Err(fault);
                }
            }
            None => {}
        }
        let topics = parts.dead_letter_topics(tables, &source.topic);
        progress.letters = topics.iter().map(|(table, topic)| ledger.letters(table, topic)).collect();
        let head = in_range((parts, tables), source, marks, &mut ledger);
        progress.place = Some((ledger.head(), marks.1));
        let head = head?;
        // While a partition is being revoked the consumer answers nobody, and the revoke waits for this lane.
        self.still_ours()?;
        // One message early: the reader sees whether Kafka still has there what the lake has.
        let known = ledger.last().filter(|known| marks.0 <= known.offset && known.offset < head);
        let fetch = parts.session.open(source, known.map_or(head, |known| known.offset))?;
        let stop_at = parts.until_caught_up.then(|| self.stop_at.unwrap_or(marks.1));
        let tables = Arc::clone(&self.tables);
        Ok(Opened { ledger, fetch, known, stop_at, topic_id: owner.topic_id, tables })
    }

    fn still_ours(&self) -> Result<(), Fault> {
        let source = &self.source;
        if self.is_cancelled.load(Ordering::Acquire) {
            return Err(Fault::fenced("lane.given-up", format!("{source} is given up while it starts")));
        }
        if !self.parts.session.owns(source) {
            return Err(Fault::fenced("lane.not-assigned", format!("{source} is not assigned to this daemon now")));
        }
        Ok(())
    }
}
