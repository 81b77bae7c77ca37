//! What goes wrong: one log line and one counter for each.

use std::fmt::Display;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::millis;
use crate::fault::{Domain, Fault, Verdict};
use crate::model::offset::{Epoch, OffsetRange, TopicPartition};
use crate::observe::metrics::{Event, Stage, Thing, metrics};
use crate::observe::trouble::{Course, Subject, Trouble};

/// A stage met a fault. `stage` is one of the fixed names of stages.
pub fn fault(stage: &'static str, generation: u64, trouble: &Trouble) {
    let Told { topic, partition, table, since, times, does, again_in_s, help } = &Told::of(trouble);
    let (event, error) = (trouble.fault.event, trouble.fault.message.as_str());
    count(event);
    // The level of a line is fixed where it stands.
    macro_rules! line {
        ($level:ident, $text:literal) => {
            $level!(
                event, stage, topic, partition, table, generation, error, since, times, does, again_in_s, help, $text
            )
        };
    }
    match (trouble.fault.verdict, trouble.fault.domain) {
        (Verdict::Halt, _) | (_, Domain::Internal) => line!(error, "a fault that somebody must look at"),
        (Verdict::Fenced, _) => line!(warn, "somebody else owns this now"),
        (Verdict::Retry, _) => line!(warn, "a fault that may pass"),
    }
}

/// A lane stopped, and waits for a person or looks again by itself: `does` says which.
pub fn lane_halted(generation: u64, why: &Trouble) {
    let Told { topic, partition, since, times, does, again_in_s, help, .. } = &Told::of(why);
    let (cause, error) = (why.fault.event, why.fault.message.as_str());
    count(cause);
    error!(
        event = "lane.halted",
        topic, partition, generation, cause, error, since, times, does, again_in_s, help, "lane halted"
    );
}

/// What a trouble is told by.
struct Told<'a> {
    topic: Option<&'a str>,
    partition: Option<i32>,
    table: Option<&'a str>,
    since: String,
    times: u64,
    does: &'static str,
    again_in_s: Option<f64>,
    help: String,
}

impl<'a> Told<'a> {
    fn of(trouble: &'a Trouble) -> Self {
        let (topic, partition, table) = match &trouble.subject {
            Subject::Lane(lane) => (Some(&*lane.topic), Some(lane.partition), None),
            Subject::Table(table) => (None, None, Some(table.as_str())),
            Subject::Daemon => (None, None, None),
        };
        Self {
            topic,
            partition,
            table,
            since: trouble.since.to_string(),
            times: trouble.times,
            does: trouble.course.says(),
            again_in_s: trouble.course.again_in().map(|wait| wait.as_secs_f64()),
            help: trouble.help(),
        }
    }
}

/// The process ends; `why` is the fault that ends it, told before by whoever met it.
pub fn stopped(code: u8, why: Option<&Fault>) {
    match why {
        None => info!(event = "daemon.stopped", code, "forebay has stopped"),
        Some(why) => {
            let (cause, error) = (why.event, why.message.as_str());
            error!(event = "daemon.stopped", code, cause, error, "forebay has stopped, because of a fault");
        }
    }
}

/// A drain met its deadline; `left` is read again after the next start.
pub fn drain_overdue(left: &str) {
    count("drain.overdue");
    warn!(event = "drain.overdue", left, "the deadline of the drain has passed; what is left is read again later");
}

/// A lane was restarted too often and rests. The fault that it last met has been told.
pub fn lane_parked(source: &TopicPartition, generation: u64, restarts: u32, retry_in: Duration) {
    count("lane.parked");
    let (topic, partition, retry_in_s) = (&*source.topic, source.partition, retry_in.as_secs_f64());
    error!(
        event = "lane.parked",
        topic, partition, generation, restarts, retry_in_s, "lane parked: it failed too often"
    );
}

/// A stage, or a whole lane, begins again.
pub fn stage_restarted(
    stage: &'static str,
    source: Option<&TopicPartition>,
    generation: u64,
    why: &str,
    wait: Duration,
) {
    metrics().restarts.get_or_create(&Stage { stage }).inc();
    let (topic, partition) = (source.map(|source| &*source.topic), source.map(|source| source.partition));
    let wait_ms = millis(wait);
    warn!(event = "stage.restarted", stage, topic, partition, generation, error = why, wait_ms, "restarted");
}

/// What an owner that died had left behind of a lane, and the next one has put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneRecovery {
    /// Rewinds finished.
    pub rewinds: u64,
    /// Revisions finished.
    pub revisions: u64,
    /// Intervals that were never committed, removed.
    pub intervals: u64,
    /// Their data files.
    pub files: u64,
}

/// A lane has found what an owner that died had left behind, and has put it in order.
pub fn lane_recovered(source: &TopicPartition, generation: u64, left: LaneRecovery) {
    let LaneRecovery { rewinds, revisions, intervals, files } = left;
    count_recovered(&[("rewinds", rewinds), ("revisions", revisions), ("intervals", intervals), ("files", files)]);
    let (topic, partition) = (&*source.topic, source.partition);
    info!(
        event = "lane.recovered",
        topic,
        partition,
        generation,
        rewinds,
        revisions,
        intervals,
        files,
        "put in order what an earlier owner had left: rewinds and revisions finished, intervals never committed removed"
    );
}

/// What a promoter that died had left behind of a table, and the next one has put in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableRecovery {
    /// The published plan that was not in the table log, carried out to its end.
    pub plan: Option<u64>,
    /// Files that a logged plan had replaced and that were still in their place, taken away.
    pub retired: u64,
    /// Files of stages of earlier epochs that no plan wanted, removed.
    pub staged: u64,
}

/// A promoter has found what an earlier one had left behind, and has put it in order.
pub fn promotion_recovered(table: &str, epoch: Epoch, left: TableRecovery) {
    let TableRecovery { plan, retired, staged } = left;
    count_recovered(&[("plans", u64::from(plan.is_some())), ("retired", retired), ("staged", staged)]);
    info!(
        event = "promotion.recovered",
        table,
        epoch = epoch.0,
        plan,
        retired,
        staged,
        "put in order what an earlier promoter had left: its plan carried out, replaced files taken away, its stage removed"
    );
}

/// What a look at the lake has found.
#[derive(Debug, Clone, Copy)]
pub struct Examined<'a> {
    /// Files looked at.
    pub files: u64,
    /// Files of ours that nothing names and nothing explains.
    pub orphans: u64,
    /// Files that are none of ours, where only ours belong.
    pub foreign: u64,
    /// Files that are named and not there.
    pub missing: u64,
    /// The first of them.
    pub first: Option<&'a str>,
    /// How long it took.
    pub elapsed: Duration,
}

/// The daemon has looked at the newest of its lake.
pub fn lake_examined(seen: &Examined<'_>) {
    let Examined { files, orphans, foreign, missing, first, elapsed } = *seen;
    for (what, found) in [("orphans", orphans), ("foreign", foreign), ("missing", missing)] {
        metrics().found.get_or_create(&Thing { what }).inc_by(found);
    }
    let elapsed_ms = millis(elapsed);
    if orphans + foreign + missing == 0 {
        info!(event = "lake.examined", files, elapsed_ms, "the newest files of the lake are all accounted for");
    } else {
        warn!(
            event = "lake.examined",
            files,
            orphans,
            foreign,
            missing,
            first,
            elapsed_ms,
            does = Course::GoOn.says(),
            help = "`forebay fsck` names them all; with --repair it moves aside what nobody needs",
            "files of the lake are not accounted for"
        );
    }
}

/// The spool of a process that has died was removed: what it held is read again.
pub fn spool_recovered(path: &dyn Display) {
    count_recovered(&[("spools", 1)]);
    info!(event = "spool.leftover-removed", path = %path, "removed the spool of a dead process");
}

/// Offsets that the broker has no more were skipped, because the configuration says so.
pub fn offsets_lost(source: &TopicPartition, range: OffsetRange) {
    count("offsets.lost");
    let (topic, partition, from, to) = (&*source.topic, source.partition, range.from(), range.to());
    error!(event = "offsets.lost", topic, partition, from, to, "messages are gone from the broker and were never read");
}

/// The daemon ends before all dead letters are sent; whoever has the lanes next sends the rest.
pub fn letters_left(waited: Duration) {
    count("letters.left");
    warn!(
        event = "letters.left",
        waited_s = waited.as_secs_f64(),
        "dead letters are left: they are sent after the next start"
    );
}

/// The configuration was loaded again and refused; the daemon goes on as before.
pub fn reload_refused(config: &str, problems: usize, error: &str) {
    count("config.refused");
    warn!(event = "config.refused", config, problems, error, "the configuration is not reloaded, nothing has changed");
}

/// Kafka did not take the offsets that are left there for lag tools. Nothing depends on them.
pub fn group_commit_failed(error: &dyn Display) {
    count("kafka.group-commit-failed");
    warn!(event = "kafka.group-commit-failed", error = %error, "the lag shown by other tools is old");
}

/// The client that sends to Kafka met a fault, and goes on trying by itself.
pub fn producer_fault(fault: &Fault) {
    count(fault.event);
    warn!(event = fault.event, stage = "Producer", error = %fault, does = Course::Wait.says(), "the producer goes on trying");
}

/// The control server did not end well; the process ends all the same.
pub fn control_not_ended() {
    count("control.failed");
    warn!(event = "control.failed", "the control server did not end well");
}

/// Something beside the work could not be done, and nothing depends on it: counted, and told to whoever looks closer.
pub fn left_undone(event: &'static str, of: &dyn Display, error: &dyn Display) {
    count(event);
    debug!(event, of = %of, error = %error, "left undone, nothing depends on it");
}

/// A thread panicked; where that is a stage's, its supervisor tells what becomes of it.
pub fn panicked(thread: &str, message: &str, place: &str) {
    count("panic");
    error!(event = "panic", thread, error = message, place, "a panic: please report it");
}

fn count(event: &'static str) {
    metrics().faults.get_or_create(&Event { event }).inc();
}

fn count_recovered(things: &[(&'static str, u64)]) {
    for (what, found) in things {
        metrics().recovered.get_or_create(&Thing { what }).inc_by(*found);
    }
}
