//! The poll thread: serves the client's callbacks, then what the session was told.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::Offset;

use super::hints::Hints;
use super::recipe::Recipe;
use super::renewal::Renewal;
use super::{Command, SessionEvent};
use crate::fault::{Fault, Verdict};
use crate::flow::read::context::{KafkaConsumer, list_of, stop_fetching};
use crate::flow::read::faults;
use crate::flow::read::link::Link;
use crate::flow::read::native::PartitionFeed;
use crate::flow::read::source::{Gate, PartitionSource};
use crate::model::offset::TopicPartition;

mod renew;

/// How long a command may lie before it is seen.
const ROUND: Duration = Duration::from_millis(20);
/// Callbacks served in one round, so that commands get their turn.
const EVENTS_A_ROUND: usize = 1000;
/// At most one notice of a kind in this time: a broker that is away is told of at every attempt to connect.
const NOTICE_PERIOD: Duration = Duration::from_secs(10);
/// How long the group may take to let us go.
const CLOSE_WAIT: Duration = Duration::from_secs(10);

pub(super) struct Poller {
    consumer: Arc<KafkaConsumer>,
    link: Arc<Link>,
    recipe: Arc<Recipe>,
    renewal: Renewal,
    /// Clients that were given up, each being closed.
    retired: Vec<JoinHandle<()>>,
    inbox: Receiver<Command>,
    /// For the sources, which tell when they are dropped.
    commands: Sender<Command>,
    beats: Arc<AtomicU64>,
    /// Closed when the thread ends.
    _running: Sender<()>,
    noticed: HashMap<&'static str, Instant>,
    hints: Hints,
}

impl Poller {
    pub(super) fn new(
        (consumer, link): (Arc<KafkaConsumer>, Arc<Link>),
        recipe: Arc<Recipe>,
        (inbox, commands): (Receiver<Command>, Sender<Command>),
        beats: Arc<AtomicU64>,
        running: Sender<()>,
    ) -> Self {
        let renewal = Renewal::new(recipe.session_timeout());
        Self {
            consumer,
            link,
            recipe,
            renewal,
            retired: Vec::new(),
            inbox,
            commands,
            beats,
            _running: running,
            noticed: HashMap::new(),
            hints: Hints::new(),
        }
    }

    pub(super) fn run(mut self) {
        let unexpected =
            Fault::internal("kafka.session-ended", "the kafka thread ended unexpectedly; restart the daemon");
        let mut guard = EndGuard { recipe: Arc::clone(&self.recipe), why: Some(unexpected) };
        guard.why = self.serve().err();
    }

    /// Serves until it is told to stop.
    fn serve(&mut self) -> Result<(), Fault> {
        loop {
            self.beats.fetch_add(1, Ordering::Relaxed);
            self.serve_client(ROUND)?;
            while let Ok(command) = self.inbox.try_recv() {
                if matches!(command, Command::Stop) {
                    self.hints.send(&self.consumer);
                    self.close();
                    return Ok(());
                }
                self.obey(command);
            }
            self.hints.send_when_due(&self.consumer);
            self.renew_when_silent()?;
        }
    }

    /// Waits for the first callback and serves all that are there. A rebalance must be seen before the next command:
    /// an assign or unassign call of ours would be taken for its answer.
    fn serve_client(&mut self, wait: Duration) -> Result<(), Fault> {
        let until = Instant::now() + wait;
        for _ in 0..EVENTS_A_ROUND {
            let consumer = Arc::clone(&self.consumer);
            match consumer.poll(until.saturating_duration_since(Instant::now())) {
                None if Instant::now() >= until => return Ok(()),
                None => {}
                Some(Ok(message)) => self.leaked(message.topic(), message.partition(), message.offset()),
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => self.meet_fatal(code)?,
                Some(Err(error)) => self.tell_error(&error),
            }
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Open { partition, offset, reply } => {
                // Whoever asked may have stopped waiting: the source is then dropped, and says so.
                let _gone = reply.send(self.open(&partition, offset));
            }
            Command::Close { partition, reply } => {
                let fault = Fault::fenced(faults::NOT_ASSIGNED, format!("{partition} was closed"));
                let _gone = reply.send(self.close_one(&partition, fault));
            }
            Command::Dropped { partition, gate } => self.dropped(&partition, &gate),
            Command::SetPaused { partition, paused, reply } => {
                let _gone = reply.send(self.set_paused(&partition, paused));
            }
            Command::CommitHint { partition, offset } => self.hints.add(partition, offset),
            Command::JoinAgain(why) => self.join_again(why),
            Command::Stop => {}
        }
    }

    fn open(&mut self, partition: &TopicPartition, offset: i64) -> Result<PartitionSource, Fault> {
        let context = Arc::clone(self.consumer.context());
        let (owned, paused) = context.ownership().map_or((false, false), |ownership| {
            (ownership.owned.contains(partition), ownership.paused.contains(partition))
        });
        if !owned {
            return Err(Fault::fenced(faults::NOT_ASSIGNED, format!("{partition} is not assigned to this member")));
        }
        if offset < 0 {
            return Err(Fault::internal("kafka.bad-offset", format!("{partition} cannot be opened at {offset}")));
        }
        self.close_one(partition, Fault::fenced(faults::NOT_ASSIGNED, format!("{partition} was opened again")))?;
        // Split first, so that not one message can go to the common queue. The unassign above may still be under way
        // in the client: it starts the new assignment only when the old fetcher has stopped.
        let feed = PartitionFeed::split(&self.consumer, partition)?;
        let list = list_of(partition, Offset::Offset(offset))?;
        let opening = || format!("opening {partition} at {offset}");
        self.consumer.incremental_assign(&list).map_err(|error| faults::from_error(&error).while_doing(opening()))?;
        let gate = Arc::new(Gate::default());
        if let Some(mut ownership) = context.ownership() {
            ownership.open.insert(partition.clone(), Arc::clone(&gate));
        }
        if paused {
            self.consumer.pause(&list).map_err(|error| faults::from_error(&error).while_doing(opening()))?;
        }
        Ok(PartitionSource::new(partition.clone(), feed, gate, self.commands.clone()))
    }

    fn close_one(&mut self, partition: &TopicPartition, fault: Fault) -> Result<(), Fault> {
        let gate = self.consumer.context().ownership().and_then(|mut ownership| ownership.open.remove(partition));
        let Some(gate) = gate else { return Ok(()) };
        // The gate first: a poll during the unassign could move the position that the client resumes from.
        gate.close(fault);
        stop_fetching(&self.consumer, std::slice::from_ref(partition))?;
        // What was fetched is outdated now; one look makes the client throw it away.
        PartitionFeed::split(&self.consumer, partition)?.wait(Duration::ZERO);
        Ok(())
    }

    fn dropped(&mut self, partition: &TopicPartition, gate: &Arc<Gate>) {
        let newest = self
            .consumer
            .context()
            .ownership()
            .is_some_and(|ownership| ownership.open.get(partition).is_some_and(|open| Arc::ptr_eq(open, gate)));
        if newest {
            let fault = Fault::fenced(faults::NOT_ASSIGNED, format!("{partition} was closed"));
            if let Err(fault) = self.close_one(partition, fault) {
                self.tell(fault);
            }
        }
    }

    fn set_paused(&mut self, partition: &TopicPartition, paused: bool) -> Result<(), Fault> {
        let Some((changed, open)) = self.consumer.context().ownership().map(|mut ownership| {
            let changed =
                if paused { ownership.paused.insert(partition.clone()) } else { ownership.paused.remove(partition) };
            (changed, ownership.open.contains_key(partition))
        }) else {
            return Ok(());
        };
        // Resuming what is not paused would make the client fetch again from where it was opened.
        if !changed || !open {
            return Ok(());
        }
        let list = list_of(partition, Offset::Invalid)?;
        let result = if paused { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
        result.map_err(|error| faults::from_error(&error).while_doing(format!("pausing or resuming {partition}")))
    }

    /// A message that no lane will see. Its lane must start again from its chain, or the message is lost.
    fn leaked(&mut self, topic: &str, partition: i32, offset: i64) {
        let partition = TopicPartition::new(topic, partition);
        let fault = Fault::internal(
            faults::LEAKED,
            format!("{partition} offset {offset} reached the common queue; the lane starts again from its chain"),
        );
        if let Err(other) = self.close_one(&partition, fault.clone()) {
            self.tell(other);
        }
        self.recipe.tell(SessionEvent::Fault(fault));
    }

    fn tell_error(&mut self, error: &KafkaError) {
        let words = self.consumer.context().take_words();
        let fault = match error {
            // An end of a Kafka partition in the common queue moves nothing: its reader will be told of it again.
            KafkaError::PartitionEOF(_) => return,
            other => faults::from_words(other, &words),
        };
        self.tell(fault);
    }

    fn tell(&mut self, fault: Fault) {
        let now = Instant::now();
        let last = self.noticed.get(fault.event);
        if fault.verdict == Verdict::Retry && last.is_some_and(|last| now.duration_since(*last) < NOTICE_PERIOD) {
            return;
        }
        self.noticed.insert(fault.event, now);
        self.recipe.tell(SessionEvent::Fault(fault));
    }

    fn close_gates(&self, fault: impl Fn(&TopicPartition) -> Fault) {
        let open = self.consumer.context().ownership().map(|mut ownership| std::mem::take(&mut ownership.open));
        for (partition, gate) in open.unwrap_or_default() {
            gate.close(fault(&partition));
        }
    }

    fn close(&mut self) {
        self.consumer.context().start_closing();
        self.close_gates(|partition| {
            Fault::fenced(faults::NOT_ASSIGNED, format!("{partition} was closed: the daemon stops"))
        });
        if let Err(fault) = leave(&self.consumer) {
            self.tell(fault);
        }
    }
}

/// Ends the membership of a client, in [`CLOSE_WAIT`] if it can.
pub(super) fn leave(consumer: &KafkaConsumer) -> Result<(), Fault> {
    consumer.close_queue().map_err(|error| faults::from_error(&error).while_doing("leaving kafka"))?;
    let until = Instant::now() + CLOSE_WAIT;
    while !consumer.closed() && Instant::now() < until {
        // The revoke is answered in here; anything else no longer matters.
        let _ignored = consumer.poll(ROUND);
    }
    Ok(())
}

/// Tells the supervisor that the thread has ended, even when it panicked.
struct EndGuard {
    recipe: Arc<Recipe>,
    why: Option<Fault>,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.recipe.tell(SessionEvent::Ended(self.why.take()));
    }
}
