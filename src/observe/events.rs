//! One function for each thing that can happen: a log line of a stable name, and its counters.
//!
//! Levels: an error is loss, or somebody must act; a warning is unexpected and nothing is lost; the rest is what
//! happens.

mod faults;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

pub use self::faults::*;
use super::metrics::{Code, Command, Stage, Table, Topic, TopicOutcome, Zone, add_time, metrics};
use super::sampler::Sampler;
use crate::model::batch::Outcome;
use crate::model::offset::{Epoch, OffsetRange, TopicPartition};
use crate::model::violation::{Code as ViolationCode, Violation};

/// The process begins.
pub fn started(config: &str, tables: usize) {
    let version = env!("CARGO_PKG_VERSION");
    info!(event = "daemon.started", version, config, tables, pid = std::process::id(), "forebay has started");
}

/// A stop was asked for: what is in flight is being committed.
pub fn drain_started(reason: &str, deadline: Duration) {
    info!(event = "drain.started", reason, deadline_s = deadline.as_secs_f64(), "draining");
}

/// A drain goes on; `left` names what it waits for.
pub fn drain_waits(left: &str, elapsed: Duration) {
    info!(event = "drain.waits", left, elapsed_s = elapsed.as_secs_f64(), "still draining");
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

/// A lane has given its Kafka partition back.
pub fn lane_released(source: &TopicPartition, generation: u64, reason: &str) {
    metrics().released(source);
    let (topic, partition) = (&*source.topic, source.partition);
    info!(event = "lane.released", topic, partition, generation, reason, "lane released");
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

/// A message goes to quarantine. All are counted when their interval is committed; only some are logged: then `first`
/// gives its first violation without anything of the payload.
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

/// The Kafka client has a line for its log. What is a fault it tells as an error too, so this is for whoever looks
/// closer.
pub fn kafka_client_log(is_error: bool, facility: &str, words: &str) {
    if is_error {
        info!(event = "kafka.client-log", facility, "{words}");
    } else {
        debug!(event = "kafka.client-log", facility, "{words}");
    }
}

/// Somebody changed the state of the daemon, or was refused.
pub fn control_command(command: &str, uid: u32, pid: Option<i32>, refused: Option<&str>) {
    metrics().commands.get_or_create(&Command { command: command.to_owned() }).inc();
    match refused {
        None => info!(event = "control.command", command, uid, pid, "command done"),
        Some(error) => warn!(event = "control.refused", command, uid, pid, error, "command refused"),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
