//! The KafkaReader: takes messages of one Kafka partition, copies them into batches, hands the batches on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::faults;
use super::fetch::{Fetch, Fetched, MessageView};
use crate::fault::Fault;
use crate::model::batch::{Piece, RawBatch, RawMessage, Span};
use crate::model::budget::{MemoryBudget, MemoryPermit};
use crate::model::offset::{LastMessage, OffsetRange, TopicPartition};
use crate::observe::events;
use crate::stage::exit::Exit;
use crate::stage::step::{Progress, Step, WAIT};

#[cfg(test)]
mod tests;

/// Payload bytes by which a batch that fills asks the budget for more.
const GROWTH: u64 = 64 << 10;

/// When a batch is closed, and what it counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// At this many bytes; one message may go beyond.
    pub bytes: usize,
    /// At this many messages.
    pub messages: usize,
    /// At this age of its first message.
    pub linger: Duration,
    /// Bytes of the memory budget for one byte read: the batch itself and what the parser makes of it.
    pub weight: u64,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { bytes: 1 << 20, messages: 2000, linger: Duration::from_millis(50), weight: 2 }
    }
}

/// Where a reader hands its batches on.
pub trait RawSink: Send + Unpin + 'static {
    /// Hands on a batch, waiting up to `timeout` for room.
    ///
    /// # Errors
    ///
    /// The batch back when there was no room.
    #[expect(clippy::result_large_err, reason = "the batch moves back to its owner, nothing is copied")]
    fn try_send(&mut self, batch: RawBatch, timeout: Duration) -> Result<(), Refusal>;
}

/// Why a batch was not taken.
#[derive(Debug)]
pub enum Refusal {
    /// No room now; the batch back.
    Blocked(RawBatch),
    /// Nobody will take anything any more.
    Closed,
}

/// What the control plane may tell a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Takes nothing more until [`Command::Resume`]; hands on what it has.
    Pause,
    /// Goes on.
    Resume,
    /// Takes nothing more, hands on what it has, and ends.
    Drain,
}

/// What a reader has done, for status and metrics. Shared; read at any time.
#[derive(Debug, Default)]
pub struct ReadCounters {
    /// Messages handed on.
    pub messages: AtomicU64,
    /// Bytes of keys, payloads and headers handed on.
    pub bytes: AtomicU64,
    /// Batches handed on.
    pub batches: AtomicU64,
    /// Microseconds spent waiting for room or memory.
    pub waited_us: AtomicU64,
    /// Messages below the position, sent again by the client and dropped.
    pub stale: AtomicU64,
    /// Consumer position: everything below it was handed on.
    pub position: AtomicI64,
}

/// Whom a reader works for.
#[derive(Debug, Clone)]
pub struct ReaderSpec {
    /// The Kafka partition.
    pub source: TopicPartition,
    /// Incarnation of the lane.
    pub generation: u64,
    /// Consumer position at which the source was opened.
    pub position: i64,
    /// A message below the position at which the source was opened: another one in its place ends the reader.
    pub known: Option<LastMessage>,
    /// End with [`Exit::Drained`] when every position below this one is handed on.
    pub stop_at: Option<i64>,
    /// When a batch is closed.
    pub limits: BatchLimits,
}

/// The reader of one Kafka partition.
///
/// # Memory
///
/// It holds at most one batch that fills and one that nobody took. Both are within the budget, but for the first
/// message of a batch, which is taken as it comes (a message may be larger than the budget). Without room it does not
/// poll: the client then stops fetching by itself, and the membership is not at stake, since another thread polls for
/// it.
pub struct KafkaReaderStep<F, S> {
    spec: ReaderSpec,
    fetch: F,
    sink: S,
    budget: MemoryBudget,
    counters: Arc<ReadCounters>,
    /// Next offset that was not taken yet.
    position: i64,
    seq: u64,
    filling: Filling,
    /// Closed, and not taken by the sink yet.
    ready: Option<RawBatch>,
    paused: bool,
    draining: bool,
}

/// The batch that fills.
struct Filling {
    from: i64,
    bytes: Vec<u8>,
    messages: Vec<RawMessage>,
    permit: Option<MemoryPermit>,
    since: Option<Instant>,
    /// Bytes of the batch before: room that is reserved for this one.
    typical: usize,
}

enum Room {
    Yes,
    BatchIsFull,
    No,
}

impl<F: Fetch, S: RawSink> KafkaReaderStep<F, S> {
    /// A reader that takes from `fetch` and hands on to `sink`.
    pub fn new(spec: ReaderSpec, fetch: F, sink: S, budget: MemoryBudget, counters: Arc<ReadCounters>) -> Self {
        counters.position.store(spec.position, Ordering::Relaxed);
        let position = spec.position;
        let draining = spec.stop_at.is_some_and(|stop| position >= stop);
        let filling =
            Filling { from: position, bytes: Vec::new(), messages: Vec::new(), permit: None, since: None, typical: 0 };
        Self { spec, fetch, sink, budget, counters, position, seq: 0, filling, ready: None, paused: false, draining }
    }

    /// Next offset that was not taken yet.
    pub fn position(&self) -> i64 {
        self.position
    }

    fn hand_on(&mut self) -> Result<Progress, Exit> {
        let Some(batch) = self.ready.take() else { return Ok(Progress::Idle) };
        let (messages, bytes, to) = (batch.messages.len() as u64, batch.bytes.len() as u64, batch.range.to());
        let begun = Instant::now();
        match self.sink.try_send(batch, WAIT) {
            Ok(()) => {
                self.waited(begun);
                self.counters.messages.fetch_add(messages, Ordering::Relaxed);
                self.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
                self.counters.batches.fetch_add(1, Ordering::Relaxed);
                self.counters.position.store(to, Ordering::Relaxed);
                events::messages_read(&self.spec.source.topic, messages, bytes);
                Ok(Progress::Worked)
            }
            Err(Refusal::Blocked(batch)) => {
                self.waited(begun);
                self.ready = Some(batch);
                Ok(Progress::Blocked)
            }
            Err(Refusal::Closed) => Err(Exit::DownstreamClosed),
        }
    }

    fn waited(&self, since: Instant) {
        let microseconds = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.counters.waited_us.fetch_add(microseconds, Ordering::Relaxed);
    }

    /// Takes messages until the batch is full, lingered long enough, or the step has lasted long enough.
    fn fill(&mut self) -> Result<Progress, Exit> {
        let until = Instant::now() + WAIT;
        loop {
            match self.room() {
                Room::Yes => {}
                Room::BatchIsFull => return self.close_batch(),
                Room::No => {
                    // Nothing tells when memory is given back; a step may wait as long as for input.
                    let begun = Instant::now();
                    std::thread::sleep(until.saturating_duration_since(begun));
                    self.waited(begun);
                    return Ok(Progress::Blocked);
                }
            }
            let now = Instant::now();
            let close_at = self.filling.since.map(|since| since + self.spec.limits.linger);
            if close_at.is_some_and(|close_at| now >= close_at) {
                return self.close_batch();
            }
            if now >= until {
                return Ok(if self.filling.since.is_some() { Progress::Worked } else { Progress::Idle });
            }
            let wait = close_at.unwrap_or(until).min(until).saturating_duration_since(now);
            match self.fetch.poll(wait) {
                Fetched::Message(message) => {
                    if message.offset < self.position {
                        if !self.spec.is_known(&message)? {
                            self.counters.stale.fetch_add(1, Ordering::Relaxed);
                        }
                        continue;
                    }
                    if let Some(stop) = self.spec.stop_at.filter(|stop| message.offset >= *stop) {
                        // Nothing lies between the position and it; it is for a later run.
                        self.position = stop;
                    } else {
                        self.position = message.offset + 1;
                        self.filling.append(&message, &self.budget, self.spec.limits.weight)?;
                    }
                }
                Fetched::Eof(end) => {
                    let end = self.spec.stop_at.map_or(end, |stop| end.min(stop));
                    self.position = self.position.max(end);
                }
                Fetched::Nothing => {}
                Fetched::Failed(fault) => return Err(Exit::Failed(fault)),
            }
            if self.position > self.filling.from {
                self.filling.since.get_or_insert_with(Instant::now);
            }
            if self.spec.stop_at.is_some_and(|stop| self.position >= stop) {
                self.draining = true;
                return self.close_batch();
            }
        }
    }

    fn room(&mut self) -> Room {
        let limits = self.spec.limits;
        let filling = &mut self.filling;
        let growth = GROWTH.saturating_mul(limits.weight);
        let Some(permit) = &mut filling.permit else {
            // A look only: a reader that waits for its first message holds nothing.
            return if self.budget.try_take(growth).is_some() { Room::Yes } else { Room::No };
        };
        if filling.bytes.len() >= limits.bytes || filling.messages.len() >= limits.messages {
            return Room::BatchIsFull;
        }
        if (filling.bytes.len() as u64).saturating_mul(limits.weight) >= permit.bytes() {
            match self.budget.try_take(growth) {
                Some(more) => {
                    let bytes = permit.bytes().saturating_add(more.bytes());
                    drop(more);
                    permit.resize(bytes);
                }
                // Handing on what there is lets others go on.
                None => return Room::BatchIsFull,
            }
        }
        Room::Yes
    }

    /// Makes the batch ready and tries to hand it on.
    fn close_batch(&mut self) -> Result<Progress, Exit> {
        let from = self.filling.from;
        if self.position == from {
            return Ok(Progress::Idle);
        }
        let range = OffsetRange::new(from, self.position).ok_or_else(|| {
            Fault::internal("kafka.bad-offset", format!("{}: positions {from} to {}", self.spec.source, self.position))
        })?;
        let bytes = std::mem::take(&mut self.filling.bytes);
        let messages = std::mem::take(&mut self.filling.messages);
        let needed = (bytes.len() as u64).saturating_mul(self.spec.limits.weight);
        let mut permit = self.filling.permit.take().unwrap_or_else(|| self.budget.take(0));
        permit.resize(needed);
        self.filling.from = self.position;
        self.filling.since = None;
        self.filling.typical = bytes.len();
        self.ready = Some(RawBatch {
            source: self.spec.source.clone(),
            generation: self.spec.generation,
            seq: self.seq,
            range,
            bytes,
            messages,
            permit,
            piece: Piece::WHOLE,
            slot: None,
        });
        self.seq += 1;
        self.hand_on()
    }
}

impl ReaderSpec {
    /// Whether a message below the position is the known one.
    ///
    /// # Errors
    ///
    /// It is another one in the place of that.
    fn is_known(&self, message: &MessageView<'_>) -> Result<bool, Fault> {
        let Some(known) = self.known.filter(|known| known.offset == message.offset) else { return Ok(false) };
        if known.timestamp_us == message.timestamp_us {
            return Ok(true);
        }
        let (lane, offset) = (self.source.in_kafka(), known.offset);
        let message = format!(
            "{lane}: the broker has another message at offset {offset} than the one that was read there: it has lost what \
             the lake holds, and has taken new messages since; nothing was read or written; `forebay rewind {lane} --to \
             {offset}` takes out of the lake what is lost and goes on with what the broker has (if it says so again, for \
             the offset it names then)"
        );
        Err(Fault::halt(faults::OFFSETS_WENT_BACK, message))
    }
}

impl Filling {
    fn append(&mut self, message: &MessageView<'_>, budget: &MemoryBudget, weight: u64) -> Result<(), Fault> {
        let needed = ((self.bytes.len() + message.len()) as u64).saturating_mul(weight);
        match &mut self.permit {
            Some(permit) if permit.bytes() < needed => permit.resize(needed),
            Some(_) => {}
            None => {
                self.permit = Some(budget.take(needed));
                self.bytes.reserve(self.typical.max(message.len()));
            }
        }
        let key = self.copy(message.key)?;
        let payload = self.copy(message.payload)?;
        let mut headers = Vec::new();
        for (name, value) in &message.headers {
            let name = self.copy(Some(name))?.unwrap_or_default();
            headers.push((name, self.copy(*value)?));
        }
        self.messages.push(RawMessage {
            offset: message.offset,
            timestamp_us: message.timestamp_us,
            key,
            payload,
            headers,
        });
        Ok(())
    }

    fn copy(&mut self, bytes: Option<&[u8]>) -> Result<Option<Span>, Fault> {
        let Some(bytes) = bytes else { return Ok(None) };
        let end = u32::try_from(self.bytes.len() + bytes.len());
        let end =
            end.map_err(|_| Fault::halt("kafka.message-too-large", "a message of more than 4 GiB cannot be read"))?;
        let start = u32::try_from(self.bytes.len()).unwrap_or(end);
        self.bytes.extend_from_slice(bytes);
        Ok(Some(start..end))
    }
}

impl<F: Fetch, S: RawSink> Step for KafkaReaderStep<F, S> {
    type Command = Command;

    fn step(&mut self) -> Result<Progress, Exit> {
        if self.ready.is_some() {
            return self.hand_on();
        }
        if self.draining || self.paused {
            let progress = self.close_batch()?;
            if progress != Progress::Idle {
                return Ok(progress);
            }
            if self.draining {
                return Err(Exit::Drained);
            }
            std::thread::sleep(WAIT);
            return Ok(Progress::Idle);
        }
        self.fill()
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Pause => self.paused = true,
            Command::Resume => self.paused = false,
            Command::Drain => self.draining = true,
        }
    }
}

impl<F, S> std::fmt::Debug for KafkaReaderStep<F, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaReaderStep")
            .field("spec", &self.spec)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
