//! Every metric by its name. Counters are atomics: a hot path takes its handle once and adds to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::model::budget::MemoryBudget;
use crate::model::offset::TopicPartition;

/// Media type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A counter of seconds.
pub type Seconds = Counter<f64, AtomicU64>;

macro_rules! labels {
    ($(#[$doc:meta] $name:ident { $($field:ident: $type:ty),* })*) => {
        $(
            #[$doc]
            #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
            pub(super) struct $name { $(pub(super) $field: $type),* }
        )*
    };
}

labels! {
    /// One Kafka partition.
    Lane { topic: String, partition: i32 }
    /// One Kafka partition, and a table of its messages.
    LaneTable { topic: String, partition: i32, table: String }
    /// A topic.
    Topic { topic: String }
    /// A topic, and what became of its messages.
    TopicOutcome { topic: String, outcome: &'static str }
    /// A table.
    Table { table: String }
    /// A zone of the lake.
    Zone { zone: &'static str }
    /// A code of violations.
    Code { code: &'static str }
    /// A stage.
    Stage { stage: &'static str }
    /// A stable name of an event.
    Event { event: &'static str }
    /// A kind of thing that is put in order.
    Thing { what: &'static str }
    /// A command of the control socket.
    Command { command: String }
}

type Read = Box<dyn Fn() -> u64 + Send + Sync>;

/// Every metric of the process.
pub struct Metrics {
    registry: Registry,
    pub(super) lag: Family<Lane, Gauge>,
    pub(super) commit_age: Family<Lane, Gauge<f64, AtomicU64>>,
    pub(super) messages: Family<TopicOutcome, Counter>,
    pub(super) messages_read: Family<Topic, Counter>,
    pub(super) bytes_read: Family<Topic, Counter>,
    pub(super) rows: Family<Table, Counter>,
    pub(super) bytes: Family<Zone, Counter>,
    pub(super) files: Family<Zone, Counter>,
    pub(super) quarantined: Family<Code, Counter>,
    pub(super) unmapped: Family<Table, Counter>,
    pub(super) commits: Counter,
    pub(super) commit_seconds: Seconds,
    pub(super) stage_wait: Family<Stage, Seconds>,
    pub(super) restarts: Family<Stage, Counter>,
    pub(super) faults: Family<Event, Counter>,
    pub(super) recovered: Family<Thing, Counter>,
    pub(super) found: Family<Thing, Counter>,
    pub(super) promotions: Family<Table, Counter>,
    pub(super) promoted_rows: Family<Table, Counter>,
    pub(super) promotion_seconds: Family<Table, Seconds>,
    pub(super) letters: Family<Topic, Counter>,
    pub(super) letter_lag: Family<LaneTable, Gauge>,
    pub(super) rewinds: Counter,
    pub(super) commands: Family<Command, Counter>,
    pub(super) log_lines_dropped: Counter,
    memory: [Gauge; 3],
    spool: [Gauge; 2],
    resident: [Gauge; 2],
    sources: Mutex<Sources>,
}

/// What is asked when somebody looks, and not counted all the time.
#[derive(Default)]
struct Sources {
    memory: Option<MemoryBudget>,
    spool: Option<(Read, u64)>,
    commits: BTreeMap<TopicPartition, Instant>,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// The metrics of this process.
pub fn metrics() -> &'static Metrics {
    &METRICS
}

impl Metrics {
    /// Metrics that stand at zero.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let r = &mut registry;
        let metrics = Self {
            lag: family(r, "kafka_consumer_lag", "Messages behind the end of the Kafka partition"),
            commit_age: family(r, "forebay_commit_age_seconds", "Time since the last commit of the Kafka partition"),
            messages: family(r, "forebay_messages", "Messages committed, by what became of them"),
            messages_read: family(r, "forebay_messages_read", "Messages read from Kafka, those read again included"),
            bytes_read: family(r, "forebay_read_bytes", "Payload bytes read from Kafka, those read again included"),
            rows: family(r, "forebay_rows", "Rows committed to RAW"),
            bytes: family(r, "forebay_bytes", "Bytes of the files put into a zone"),
            files: family(r, "forebay_files", "Files put into a zone"),
            quarantined: family(r, "forebay_quarantined", "Messages in quarantine, by their first violation"),
            unmapped: family(r, "forebay_unmapped", "Elements, attributes and texts read that no column takes"),
            commits: one(r, "forebay_commits", "Intervals committed"),
            commit_seconds: one(r, "forebay_commit_seconds", "Time spent on commits"),
            stage_wait: family(r, "forebay_stage_wait_seconds", "Time a stage waited for room in the next"),
            restarts: family(r, "forebay_restarts", "Restarts of a stage"),
            faults: family(r, "forebay_faults", "Faults, by the name of their event"),
            recovered: family(r, "forebay_recovered", "What earlier owners had left, put in order by the next"),
            found: family(r, "forebay_found", "Files that are not accounted for, found by the look after a start"),
            promotions: family(r, "forebay_promotions", "Promotions of a table"),
            promoted_rows: family(r, "forebay_promoted_rows", "Rows written to Processed"),
            promotion_seconds: family(r, "forebay_promotion_seconds", "Time spent on promotions"),
            letters: family(r, "forebay_dead_letters", "Messages sent to a dead-letter topic and acknowledged"),
            letter_lag: family(
                r,
                "forebay_dead_letter_lag",
                "Committed offsets whose dead letters are still to be sent",
            ),
            rewinds: one(r, "forebay_rewinds", "Rewinds done"),
            commands: family(r, "forebay_control_commands", "Commands that changed state"),
            log_lines_dropped: one(r, "forebay_log_lines_dropped", "Log lines that could not be written"),
            memory: [
                one(r, "forebay_memory_used_bytes", "Bytes held by all buffers"),
                one(r, "forebay_memory_peak_bytes", "Most bytes ever held by all buffers"),
                one(r, "forebay_memory_limit_bytes", "Bytes that all buffers may hold"),
            ],
            spool: [
                one(r, "forebay_spool_used_bytes", "Bytes in the local spool"),
                one(r, "forebay_spool_limit_bytes", "Bytes that the local spool may hold"),
            ],
            resident: [
                one(r, "process_resident_memory_bytes", "Resident memory of the process"),
                one(r, "process_resident_memory_peak_bytes", "Most resident memory of the process ever"),
            ],
            sources: Mutex::default(),
            registry: Registry::default(),
        };
        registry.register("forebay_build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        Self { registry, ..metrics }
    }

    /// All metrics as OpenMetrics text, which Prometheus reads.
    pub fn text(&self) -> String {
        self.ask();
        let mut text = String::new();
        // Writing to a `String` cannot fail; a metric that could not be encoded would be left out.
        encode(&mut text, &self.registry).unwrap_or_default();
        text
    }

    /// Shows this budget from now on.
    pub fn watch_memory(&self, budget: MemoryBudget) {
        self.sources().memory = Some(budget);
    }

    /// Shows this spool from now on: bytes in it when asked, and the limit.
    pub fn watch_spool(&self, used: impl Fn() -> u64 + Send + Sync + 'static, limit: u64) {
        self.sources().spool = Some((Box::new(used), limit));
    }

    /// Something was read that no column of a table takes.
    pub fn add_unmapped(&self, table: &str, count: u64) {
        self.unmapped.get_or_create(&Table { table: table.to_owned() }).inc_by(count);
    }

    /// Messages between what is committed and the end of a Kafka partition.
    pub fn set_lag(&self, source: &TopicPartition, messages: i64) {
        self.lag.get_or_create(&Lane::of(source)).set(messages.max(0));
    }

    /// Committed offsets of a Kafka partition whose dead letters of a table are still to be sent.
    pub fn set_letter_lag(&self, source: &TopicPartition, table: &str, offsets: i64) {
        self.letter_lag.get_or_create(&LaneTable::of(source, table)).set(offsets);
    }

    /// Forgets a Kafka partition whose dead letters of a table somebody else sends now.
    pub fn forget_letters(&self, source: &TopicPartition, table: &str) {
        self.letter_lag.remove(&LaneTable::of(source, table));
    }

    /// Counter of messages read from a topic.
    pub fn messages_read(&self, topic: &str) -> Counter {
        self.messages_read.get_or_create_owned(&Topic { topic: topic.to_owned() })
    }

    /// Counter of payload bytes read from a topic.
    pub fn bytes_read(&self, topic: &str) -> Counter {
        self.bytes_read.get_or_create_owned(&Topic { topic: topic.to_owned() })
    }

    /// Counter of the time that a stage waits for room.
    pub fn stage_wait(&self, stage: &'static str) -> Seconds {
        self.stage_wait.get_or_create_owned(&Stage { stage })
    }

    /// Notes that a Kafka partition has been committed now, or acquired: its commit age begins again.
    pub(super) fn committed(&self, source: &TopicPartition) {
        self.sources().commits.insert(source.clone(), Instant::now());
    }

    /// Forgets a Kafka partition that somebody else reads now.
    pub(super) fn released(&self, source: &TopicPartition) {
        self.sources().commits.remove(source);
        self.commit_age.remove(&Lane::of(source));
        self.lag.remove(&Lane::of(source));
    }

    /// Puts what is only asked for when somebody looks into its gauges.
    fn ask(&self) {
        let sources = self.sources();
        for (source, at) in &sources.commits {
            self.commit_age.get_or_create(&Lane::of(source)).set(at.elapsed().as_secs_f64());
        }
        if let Some(memory) = &sources.memory {
            set_all(&self.memory, [memory.used(), memory.peak(), memory.limit()]);
        }
        if let Some((used, limit)) = &sources.spool {
            set_all(&self.spool, [used(), *limit]);
        }
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        set_all(&self.resident, ["VmRSS:", "VmHWM:"].map(|name| bytes_in_status(&status, name)));
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Lane {
    fn of(source: &TopicPartition) -> Self {
        Self { topic: source.topic.to_string(), partition: source.partition }
    }
}

impl LaneTable {
    fn of(source: &TopicPartition, table: &str) -> Self {
        Self { topic: source.topic.to_string(), partition: source.partition, table: table.to_owned() }
    }
}

/// Adds a duration to a counter of seconds.
pub fn add_time(counter: &Seconds, time: Duration) {
    counter.inc_by(time.as_secs_f64());
}

fn one<M: prometheus_client::registry::Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    register(registry, name, help, metric.clone());
    metric
}

fn family<S, M>(registry: &mut Registry, name: &str, help: &str) -> Family<S, M>
where
    S: Clone + std::hash::Hash + Eq,
    M: Default,
    Family<S, M>: prometheus_client::registry::Metric,
{
    let family = Family::default();
    register(registry, name, help, family.clone());
    family
}

/// Registers a metric; one whose name ends in a unit says so, as the format wants it.
fn register(registry: &mut Registry, name: &str, help: &str, metric: impl prometheus_client::registry::Metric) {
    if let Some(name) = name.strip_suffix("_seconds") {
        registry.register_with_unit(name, help, Unit::Seconds, metric);
    } else if let Some(name) = name.strip_suffix("_bytes") {
        registry.register_with_unit(name, help, Unit::Bytes, metric);
    } else {
        registry.register(name, help, metric);
    }
}

fn set_all<const N: usize>(gauges: &[Gauge; N], values: [u64; N]) {
    for (gauge, value) in gauges.iter().zip(values) {
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    }
}

/// A line of `/proc/self/status`, which counts in kB.
fn bytes_in_status(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_metric_under_its_documented_name() {
        let metrics = Metrics::new();
        let source = TopicPartition::new("library", 3);
        metrics.set_lag(&source, 42);
        metrics.committed(&source);
        metrics.messages_read("library").inc_by(7);
        add_time(&metrics.stage_wait("parse"), Duration::from_millis(1500));
        metrics.watch_memory(MemoryBudget::new(1000));
        metrics.watch_spool(|| 5, 10);
        let text = metrics.text();
        for line in [
            "kafka_consumer_lag{topic=\"library\",partition=\"3\"} 42",
            "forebay_messages_read_total{topic=\"library\"} 7",
            "forebay_stage_wait_seconds_total{stage=\"parse\"} 1.5",
            "forebay_memory_limit_bytes 1000",
            "forebay_spool_used_bytes 5",
            "forebay_commits_total 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.contains("forebay_commit_age_seconds{topic=\"library\",partition=\"3\"} "));
        assert!(text.contains("forebay_build_info{version="));
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_released_partition_is_not_shown_any_more() {
        let metrics = Metrics::new();
        let source = TopicPartition::new("library", 3);
        metrics.set_lag(&source, 42);
        metrics.committed(&source);
        assert!(metrics.text().contains("library"));
        metrics.released(&source);
        assert!(!metrics.text().contains("library"));
    }

    #[test]
    fn resident_memory_is_read_from_the_kernel() {
        assert_eq!(bytes_in_status("VmHWM:\t  2048 kB\nVmRSS:\t   100 kB\n", "VmRSS:"), 102_400);
        assert_eq!(bytes_in_status("", "VmRSS:"), 0);
    }
}
