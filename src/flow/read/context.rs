//! What the Kafka client calls back: rebalances, statistics, errors, log lines. Runs on the session's poll thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use super::faults;
use super::session::{PartitionStats, SessionEvent};
use super::source::Gate;
use crate::fault::{Fault, Verdict};
use crate::model::offset::TopicPartition;
use crate::observe::events;

/// How long a revoke that is no loss waits for the lanes to commit what they hold.
pub(super) const REVOKE_WAIT: Duration = Duration::from_secs(5);

/// The consumer type of this folder.
pub(super) type KafkaConsumer = BaseConsumer<Context>;

/// What is ours at this moment.
#[derive(Debug, Default)]
pub(super) struct Ownership {
    /// Given to us by the group.
    pub(super) owned: BTreeSet<TopicPartition>,
    /// Being fetched, each with the gate of its newest source.
    pub(super) open: BTreeMap<TopicPartition, Arc<Gate>>,
    /// Held back by the operator.
    pub(super) paused: BTreeSet<TopicPartition>,
}

/// The callbacks of a member of the group, or of a client that only asks.
pub(super) struct Context {
    member: Option<Member>,
    /// What a client that only asks has heard of its connections. The answers to its questions do not tell: to a
    /// certificate or a password that is refused they say that time is up.
    heard: Mutex<Option<Fault>>,
}

struct Member {
    events: Sender<SessionEvent>,
    ownership: Mutex<Ownership>,
    closing: AtomicBool,
    /// The client's words for the error that its next poll returns.
    words: Mutex<String>,
    /// Since when no statistics have told of a connection.
    silent_since: Mutex<Option<Instant>>,
}

impl Context {
    /// For the daemon's consumer. `paused`: what the operator holds back already.
    pub(super) fn member(events: Sender<SessionEvent>, paused: BTreeSet<TopicPartition>) -> Self {
        let member = Member {
            events,
            ownership: Mutex::new(Ownership { paused, ..Ownership::default() }),
            closing: AtomicBool::new(false),
            words: Mutex::default(),
            silent_since: Mutex::default(),
        };
        Self { member: Some(member), heard: Mutex::default() }
    }

    /// For a client that only asks.
    pub(super) fn asking() -> Self {
        Self { member: None, heard: Mutex::default() }
    }

    /// What a client that only asks has heard since [`Context::forget`]: the first, or what says more than it.
    pub(super) fn heard(&self) -> Option<Fault> {
        lock(&self.heard).clone()
    }

    /// A new question begins.
    pub(super) fn forget(&self) {
        *lock(&self.heard) = None;
    }

    fn hear(&self, fault: Fault) {
        // That all brokers are down is a consequence, and so is a connection that ends.
        let weight = |fault: &Fault| (fault.verdict == Verdict::Halt, fault.event == faults::TLS);
        let mut heard = lock(&self.heard);
        if heard.as_ref().is_none_or(|known| weight(&fault) > weight(known)) {
            *heard = Some(fault);
        }
    }

    /// What is ours; none for a client that only asks.
    pub(super) fn ownership(&self) -> Option<MutexGuard<'_, Ownership>> {
        self.member.as_ref().map(|member| lock(&member.ownership))
    }

    /// From now on a rebalance is acknowledged without telling anybody.
    pub(super) fn start_closing(&self) {
        if let Some(member) = &self.member {
            member.closing.store(true, Ordering::Release);
        }
    }

    fn is_closing(&self) -> bool {
        self.member.as_ref().is_some_and(|member| member.closing.load(Ordering::Acquire))
    }

    /// Since when the client has had no connection, as far as its statistics tell.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        self.member.as_ref().and_then(|member| *lock(&member.silent_since))
    }

    /// Tells the supervisor, unless the client is being closed. It may have gone: then there is nobody to tell.
    pub(super) fn tell(&self, event: SessionEvent) {
        if let Some(member) = self.member.as_ref().filter(|_| !self.is_closing()) {
            let _gone = member.events.send(event);
        }
    }

    /// The client's words for the error that the last poll returned.
    pub(super) fn take_words(&self) -> String {
        self.member.as_ref().map(|member| std::mem::take(&mut *lock(&member.words))).unwrap_or_default()
    }

    fn assigned(&self, consumer: &KafkaConsumer, partitions: Vec<TopicPartition>) {
        // Nothing is fetched before `open` names the offset: the list of the answer is empty.
        if let Err(error) = consumer.incremental_assign(&TopicPartitionList::new()) {
            self.tell(SessionEvent::Fault(faults::from_error(&error).while_doing("accepting kafka partitions")));
        }
        if self.is_closing() {
            return;
        }
        if let Some(mut ownership) = self.ownership() {
            ownership.owned.extend(partitions.iter().cloned());
        }
        if !partitions.is_empty() {
            self.tell(SessionEvent::Assigned(partitions));
        }
    }

    fn revoked(&self, consumer: &KafkaConsumer, partitions: &[TopicPartition]) {
        let lost = consumer.assignment_lost();
        if lost {
            self.close_gates(partitions);
        }
        if !partitions.is_empty() && !self.is_closing() {
            let (done, wait) = bounded(1);
            self.tell(SessionEvent::Revoked { partitions: partitions.to_vec(), lost, done });
            if !lost {
                // A message, the end of all senders and the deadline mean the same: go on.
                let _whichever = wait.recv_timeout(REVOKE_WAIT);
            }
        }
        self.close_gates(partitions);
        if let Some(mut ownership) = self.ownership() {
            ownership.owned.retain(|partition| !partitions.contains(partition));
        }
        if let Err(fault) = stop_fetching(consumer, partitions) {
            self.tell(SessionEvent::Fault(fault));
            // The rebalance must be answered all the same, or the group waits for this member.
            if let Err(error) = consumer.incremental_unassign(&TopicPartitionList::new()) {
                self.tell(SessionEvent::Fault(faults::from_error(&error).while_doing("giving up kafka partitions")));
            }
        }
    }

    fn close_gates(&self, partitions: &[TopicPartition]) {
        let Some(mut ownership) = self.ownership() else { return };
        for partition in partitions {
            if let Some(gate) = ownership.open.remove(partition) {
                gate.close(Fault::fenced(faults::NOT_ASSIGNED, format!("{partition} was given to another member")));
            }
        }
    }
}

/// Takes those of `partitions` that are fetched out of what is fetched, in one call (which also answers a revoke).
pub(super) fn stop_fetching(consumer: &KafkaConsumer, partitions: &[TopicPartition]) -> Result<(), Fault> {
    // The client's own list, not ours: an entry it does not know would make it refuse the whole call.
    let fetched = consumer.assignment().map_err(|error| faults::from_error(&error))?;
    let mut list = TopicPartitionList::new();
    for element in fetched.elements() {
        if partitions.iter().any(|p| p.partition == element.partition() && *p.topic == *element.topic()) {
            list.add_partition(element.topic(), element.partition());
        }
    }
    consumer
        .incremental_unassign(&list)
        .map_err(|error| faults::from_error(&error).while_doing("stopping to fetch kafka partitions"))
}

/// A list of one Kafka partition.
pub(super) fn list_of(partition: &TopicPartition, offset: Offset) -> Result<TopicPartitionList, Fault> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&partition.topic, partition.partition, offset)
        .map_err(|error| faults::from_error(&error).while_doing(format!("naming {partition}")))?;
    Ok(list)
}

fn partitions_of(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(|element| TopicPartition::new(element.topic(), element.partition())).collect()
}

/// A lock whose content stays usable after a panic elsewhere.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &KafkaConsumer, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = partitions_of(list);
        match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assigned(consumer, partitions),
            _ => self.revoked(consumer, &partitions),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        // Storage is the truth; the group's offsets are for lag tools alone.
        if let Err(error) = result {
            events::group_commit_failed(&faults::from_error(&error));
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, words: &str) {
        // The client tells faults as errors too, see `error`: its log is for whoever looks closer.
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                events::kafka_client_log(true, facility, words);
                // Why a connection ended is told in the log alone.
                if self.member.is_none() && facility == "FAIL" {
                    let words = words.split_once("]: ").map_or(words, |(_thread, words)| words);
                    self.hear(Fault::retry(faults::UNAVAILABLE, words));
                }
            }
            _ => events::kafka_client_log(false, facility, words),
        }
    }

    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.values().flat_map(|topic| {
            let name: Arc<str> = Arc::from(topic.topic.as_str());
            let known = topic.partitions.values().filter(|partition| partition.partition >= 0 && partition.desired);
            known.map(move |partition| {
                let offset = |raw: i64| (raw >= 0).then_some(raw);
                PartitionStats {
                    source: TopicPartition { topic: Arc::clone(&name), partition: partition.partition },
                    low: offset(partition.lo_offset),
                    high: offset(partition.hi_offset),
                    stable: offset(partition.ls_offset),
                    lag: offset(partition.consumer_lag),
                    queued_messages: partition.fetchq_cnt.unsigned_abs(),
                    queued_bytes: partition.fetchq_size,
                }
            })
        });
        self.tell(SessionEvent::Stats(partitions.collect()));
        let is_connected = statistics.brokers.values().any(|broker| broker.state == "UP");
        if is_connected {
            self.tell(SessionEvent::Connected);
        }
        if let Some(member) = &self.member {
            let mut silent_since = lock(&member.silent_since);
            *silent_since = if is_connected { None } else { silent_since.or_else(|| Some(Instant::now())) };
        }
    }

    fn error(&self, error: KafkaError, words: &str) {
        match &self.member {
            Some(member) => words.clone_into(&mut lock(&member.words)),
            None => self.hear(faults::from_words(&error, words)),
        }
    }
}
