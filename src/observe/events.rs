//! One function for each thing that can happen: a log line of a stable name, and its counters.
//!
//! Levels: an error is loss, or somebody must act; a warning is unexpected and nothing is lost; the rest is what happens.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

use super::metrics::{Code, Command, Event, Stage, Table, Topic, TopicOutcome, Zone, add_time, metrics};
use crate::fault::{Domain, Fault, Verdict};
use crate::model::batch::Outcome;
use crate::model::offset::{Epoch, OffsetRange, TopicPartition};
use crate::model::violation::{Code as ViolationCode, Violation};

/// The process begins.
pub fn started(config: &str, tables: usize) {
    let version = env!("CARGO_PKG_VERSION");
    info!(event = "daemon.started", version, config, tables, pid = std::process::id(), "forebay has started");
}

/// The process ends.
pub fn stopped(code: u8) {
    info!(event = "daemon.stopped", code, "forebay has stopped");
}

/// A stop was asked for: what is in flight is being committed.
pub fn drain_started(reason: &str, deadline: Duration) {
    info!(event = "drain.started", reason, deadline_s = deadline.as_secs_f64(), "draining");
}

/// A drain goes on; `left` names what it waits for.
pub fn drain_waits(left: &str, elapsed: Duration) {
    info!(event = "drain.waits", left, elapsed_s = elapsed.as_secs_f64(), "still draining");
}

/// A drain met its deadline; `left` is read again after the next start.
pub fn drain_overdue(left: &str) {
    warn!(event = "drain.overdue", left, "the deadline of the drain has passed; what is left is read again later");
}

/// The group gave Kafka partitions to this daemon, or took them.
pub fn rebalanced(assigned: usize, revoked: usize) {
    info!(event = "kafka.rebalanced", assigned, revoked, "partitions have been given out again");
}

/// A lane owns its Kafka partition and begins at `position`.
pub fn lane_acquired(source: &TopicPartition, generation: u64, epoch: Epoch, position: i64) {
    metrics().committed(source);
    let (topic, partition) = (&*source.topic, source.partition);
    info!(event = "lane.acquired", topic, partition, generation, epoch = epoch.0, offset = position, "lane acquired");
}

/// A lane has found what an owner that died had left behind, and has put it in order.
pub fn lane_recovered(source: &TopicPartition, generation: u64, rewinds: u64, revisions: u64, removed: (u64, u64)) {
    let (topic, partition, (intervals, files)) = (&*source.topic, source.partition, removed);
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

/// A lane has given its Kafka partition back.
pub fn lane_released(source: &TopicPartition, generation: u64, reason: &str) {
    metrics().released(source);
    let (topic, partition) = (&*source.topic, source.partition);
    info!(event = "lane.released", topic, partition, generation, reason, "lane released");
}

/// A lane was restarted too often and rests.
pub fn lane_parked(source: &TopicPartition, generation: u64, restarts: u32, retry_in: Duration) {
    let (topic, partition, retry_in_s) = (&*source.topic, source.partition, retry_in.as_secs_f64());
    error!(
        event = "lane.parked",
        topic, partition, generation, restarts, retry_in_s, "lane parked: it failed too often"
    );
}

/// A lane stopped and waits for a person.
pub fn lane_halted(source: &TopicPartition, generation: u64, why: &Fault) {
    count_fault(why);
    let (topic, partition, cause, error) = (&*source.topic, source.partition, why.event, why.message.as_str());
    error!(event = "lane.halted", topic, partition, generation, cause, error, "lane halted: only a person can decide");
}

/// A lane was paused or goes on, by command.
pub fn lane_paused(source: &TopicPartition, paused: bool) {
    let (topic, partition) = (&*source.topic, source.partition);
    if paused {
        info!(event = "lane.paused", topic, partition, "lane paused");
    } else {
        info!(event = "lane.resumed", topic, partition, "lane resumed");
    }
}

/// A lane goes over to tables that were loaded again: it commits what it has read with the old ones first.
pub fn lane_renewed(source: &TopicPartition) {
    let (topic, partition) = (&*source.topic, source.partition);
    info!(event = "lane.renewed", topic, partition, "lane goes over to the new tables");
}

/// The configuration was loaded again, and what has changed is in use. `changed` names the tables.
pub fn reloaded(config: &str, changed: &str) {
    info!(event = "config.reloaded", config, changed, "the configuration is reloaded");
}

/// The configuration was loaded again and refused; the daemon goes on as before.
pub fn reload_refused(config: &str, problems: usize, error: &str) {
    warn!(event = "config.refused", config, problems, error, "the configuration is not reloaded, nothing has changed");
}

/// An interval that has been committed.
#[derive(Debug, Clone)]
pub struct Committed<'a> {
    /// The Kafka partition.
    pub source: &'a TopicPartition,
    /// The interval.
    pub range: OffsetRange,
    /// The owner.
    pub epoch: Epoch,
    /// The incarnation of the lane.
    pub generation: u64,
    /// Messages by what became of them.
    pub outcomes: &'a [(Outcome, u64)],
    /// Quarantined messages by their first violation.
    pub codes: &'a [(ViolationCode, u64)],
    /// Rows by table.
    pub rows: &'a [(&'a str, u64)],
    /// Files and their bytes by zone: `raw`, `quarantine`, `ledger`.
    pub files: &'a [(&'static str, u64, u64)],
    /// How long the commit took.
    pub elapsed: Duration,
}

/// An interval is in the lake.
pub fn interval_committed(commit: &Committed<'_>) {
    let metrics = metrics();
    let (topic, partition) = (&*commit.source.topic, commit.source.partition);
    for (outcome, messages) in commit.outcomes {
        let label = TopicOutcome { topic: topic.to_owned(), outcome: outcome.name() };
        metrics.messages.get_or_create(&label).inc_by(*messages);
    }
    for (code, messages) in commit.codes {
        metrics.quarantined.get_or_create(&Code { code: code.name() }).inc_by(*messages);
    }
    for (table, rows) in commit.rows {
        metrics.rows.get_or_create(&Table { table: (*table).to_owned() }).inc_by(*rows);
    }
    for (zone, files, bytes) in commit.files {
        metrics.files.get_or_create(&Zone { zone }).inc_by(*files);
        metrics.bytes.get_or_create(&Zone { zone }).inc_by(*bytes);
    }
    metrics.commits.inc();
    add_time(&metrics.commit_seconds, commit.elapsed);
    metrics.committed(commit.source);
    let (from, to) = (commit.range.from(), commit.range.to());
    let messages: u64 = commit.outcomes.iter().map(|(_, messages)| messages).sum();
    let rows: u64 = commit.rows.iter().map(|(_, rows)| rows).sum();
    let bytes: u64 = commit.files.iter().map(|(_, _, bytes)| bytes).sum();
    info!(
        event = "interval.committed",
        topic,
        partition,
        generation = commit.generation,
        epoch = commit.epoch.0,
        from,
        to,
        messages,
        rows,
        bytes,
        elapsed_ms = millis(commit.elapsed),
        "interval committed"
    );
}

/// Messages have been read from Kafka and handed on, with so many bytes of keys, payloads and headers.
pub fn messages_read(topic: &str, messages: u64, bytes: u64) {
    metrics().messages_read(topic).inc_by(messages);
    metrics().bytes_read(topic).inc_by(bytes);
}

/// A message goes to quarantine. All are counted when their interval is committed; only some are logged: then `first` gives
/// its first violation without anything of the payload.
pub fn message_quarantined(
    source: &TopicPartition,
    offset: i64,
    table: Option<&str>,
    first: impl FnOnce() -> Violation,
) {
    static SAMPLER: Mutex<Sampler> = Mutex::new(Sampler::new(20, Duration::from_secs(10)));
    let mut sampler = SAMPLER.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(unsaid) = sampler.admit(Instant::now()) else { return };
    drop(sampler);
    let first = first();
    let (topic, partition, code) = (&*source.topic, source.partition, first.code.name());
    let (column, path, line, error) = (first.column.as_deref(), first.path.as_deref(), first.line, &*first.message);
    warn!(
        event = "message.quarantined",
        topic, partition, offset, table, code, column, path, line, error, unsaid, "message quarantined"
    );
}

/// A stage met a fault. `stage` is one of the fixed names of stages.
pub fn fault(stage: &'static str, source: Option<&TopicPartition>, generation: u64, fault: &Fault) {
    count_fault(fault);
    let (topic, partition) = (source.map(|source| &*source.topic), source.map(|source| source.partition));
    let (event, error) = (fault.event, fault.message.as_str());
    match (fault.verdict, fault.domain) {
        (Verdict::Halt, _) | (_, Domain::Internal) => {
            error!(event, stage, topic, partition, generation, error, "a fault that somebody must look at");
        }
        (Verdict::Fenced, _) => {
            warn!(event, stage, topic, partition, generation, error, "somebody else owns this now");
        }
        (Verdict::Retry, _) => warn!(event, stage, topic, partition, generation, error, "a fault that may pass"),
    }
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

/// A stage begins: what is counted of it can be seen from now on, at zero if need be.
pub fn stage_started(stage: &'static str) {
    add_time(&metrics().stage_wait(stage), Duration::ZERO);
    metrics().restarts.get_or_create(&Stage { stage }).inc_by(0);
}

/// A stage waited for room in the next one.
pub fn stage_waited(stage: &'static str, time: Duration) {
    add_time(&metrics().stage_wait(stage), time);
}

/// A promotion begins.
pub fn promotion_started(table: &str, reason: &str) {
    info!(event = "promotion.started", table, reason, "promotion started");
}

/// A promotion is done.
pub fn promotion_done(table: &str, seq: u64, rows: u64, files: u64, bytes: u64, elapsed: Duration) {
    let metrics = metrics();
    let label = Table { table: table.to_owned() };
    metrics.promotions.get_or_create(&label).inc();
    metrics.promoted_rows.get_or_create(&label).inc_by(rows);
    add_time(&metrics.promotion_seconds.get_or_create(&label), elapsed);
    metrics.files.get_or_create(&Zone { zone: "processed" }).inc_by(files);
    metrics.bytes.get_or_create(&Zone { zone: "processed" }).inc_by(bytes);
    info!(event = "promotion.done", table, seq, rows, files, bytes, elapsed_ms = millis(elapsed), "promotion done");
}

/// There was nothing to promote.
pub fn promotion_empty(table: &str) {
    debug!(event = "promotion.empty", table, "nothing to promote");
}

/// Dead letters of a lane and table were acknowledged; every one below `to` was.
pub fn letters_sent(source: &TopicPartition, table: &str, dead_letter_topic: &str, to: i64, letters: usize) {
    metrics().letters.get_or_create(&Topic { topic: dead_letter_topic.to_owned() }).inc_by(letters as u64);
    if letters > 0 {
        let (topic, partition) = (&*source.topic, source.partition);
        info!(event = "letters.sent", topic, partition, table, to, letters, dead_letter_topic, "dead letters sent");
    }
}

/// The daemon ends before all dead letters are sent; whoever has the lanes next sends the rest.
pub fn letters_left(waited: Duration) {
    warn!(
        event = "letters.left",
        waited_s = waited.as_secs_f64(),
        "dead letters are left: they are sent after the next start"
    );
}

/// A chain was cut back.
pub fn rewound(source: &TopicPartition, from: i64, to: i64, epoch: Epoch, reason: &str) {
    metrics().rewinds.inc();
    let (topic, partition) = (&*source.topic, source.partition);
    warn!(event = "lane.rewound", topic, partition, from, to, epoch = epoch.0, reason, "lane rewound");
}

/// A rewind was taken back.
pub fn rewind_undone(source: &TopicPartition, from: i64, to: i64, epoch: Epoch, reason: &str) {
    metrics().rewinds.inc();
    let (topic, partition) = (&*source.topic, source.partition);
    warn!(event = "lane.rewind-undone", topic, partition, from, to, epoch = epoch.0, reason, "rewind taken back");
}

/// Quarantined messages went through today's mapping again.
pub fn requeued(
    source: &TopicPartition,
    table: &str,
    epoch: Epoch,
    intervals: u64,
    released: u64,
    left: u64,
    reason: &str,
) {
    let (topic, partition) = (&*source.topic, source.partition);
    warn!(
        event = "lane.requeued",
        topic,
        partition,
        table,
        epoch = epoch.0,
        intervals,
        released,
        left,
        reason,
        "quarantined messages requeued"
    );
}

/// A topic that was deleted and created again goes on under another name in the lake.
pub fn topic_accepted(topic: &str, topic_id: &str, lineage: &str) {
    warn!(event = "topic.accepted", topic, topic_id, lineage, "recreated topic accepted");
}

/// Offsets that the broker has no more were skipped, because the configuration says so.
pub fn offsets_lost(source: &TopicPartition, range: OffsetRange) {
    let (topic, partition, from, to) = (&*source.topic, source.partition, range.from(), range.to());
    error!(event = "offsets.lost", topic, partition, from, to, "messages are gone from the broker and were never read");
}

/// Somebody changed the state of the daemon, or was refused.
pub fn control_command(command: &str, uid: u32, pid: Option<i32>, refused: Option<&str>) {
    metrics().commands.get_or_create(&Command { command: command.to_owned() }).inc();
    match refused {
        None => info!(event = "control.command", command, uid, pid, "command done"),
        Some(error) => warn!(event = "control.refused", command, uid, pid, error, "command refused"),
    }
}

/// A thread panicked; where that is a stage's, its supervisor does the rest.
pub fn panicked(thread: &str, message: &str, place: &str) {
    metrics().faults.get_or_create(&Event { event: "panic" }).inc();
    error!(event = "panic", thread, error = message, place, "a panic: please report it");
}

fn count_fault(fault: &Fault) {
    metrics().faults.get_or_create(&Event { event: fault.event }).inc();
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Lets a number of lines pass in each window of time, and counts the others.
#[derive(Debug)]
struct Sampler {
    most: u32,
    window: Duration,
    begun: Option<Instant>,
    passed: u32,
    unsaid: u64,
}

impl Sampler {
    const fn new(most: u32, window: Duration) -> Self {
        Self { most, window, begun: None, passed: 0, unsaid: 0 }
    }

    /// How many were held back since the last that passed; `None`: this one is held back too.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.begun.is_none_or(|begun| now.duration_since(begun) >= self.window) {
            self.begun = Some(now);
            self.passed = 0;
        }
        if self.passed >= self.most {
            self.unsaid += 1;
            return None;
        }
        self.passed += 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_event_is_sampled_and_what_is_unsaid_is_counted() {
        let mut sampler = Sampler::new(2, Duration::from_secs(10));
        let now = Instant::now();
        let answers: Vec<_> = (0..5).map(|_| sampler.admit(now)).collect();
        assert_eq!(answers, [Some(0), Some(0), None, None, None]);
        assert_eq!(sampler.admit(now + Duration::from_secs(10)), Some(3));
    }

    #[test]
    fn a_commit_is_counted_by_outcome_table_and_zone() {
        let source = TopicPartition::new("counted", 1);
        interval_committed(&Committed {
            source: &source,
            range: OffsetRange::new(10, 20).unwrap(),
            epoch: Epoch(3),
            generation: 1,
            outcomes: &[(Outcome::Rows, 8), (Outcome::Quarantined, 2)],
            codes: &[(ViolationCode::XML_EMPTY, 2)],
            rows: &[("counted_table", 24)],
            files: &[("ledger", 1, 100), ("raw", 1, 1000)],
            elapsed: Duration::from_millis(20),
        });
        let text = metrics().text();
        for line in [
            "forebay_messages_total{topic=\"counted\",outcome=\"rows\"} 8",
            "forebay_messages_total{topic=\"counted\",outcome=\"quarantined\"} 2",
            "forebay_rows_total{table=\"counted_table\"} 24",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(text.contains("forebay_commit_age_seconds{topic=\"counted\",partition=\"1\"}"));
        lane_released(&source, 1, "test");
        assert!(!metrics().text().contains("forebay_commit_age_seconds{topic=\"counted\""));
    }
}
