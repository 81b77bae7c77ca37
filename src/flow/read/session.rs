//! The daemon's membership in its group: one consumer, polled by a thread of its own that never waits for storage.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::broker::Broker;
use super::link::Link;
use super::settings::Settings;
use super::source::{Gate, PartitionSource};
use crate::fault::Fault;
use crate::model::offset::TopicPartition;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use poller::Poller;
use rdkafka::consumer::Consumer;
use recipe::Recipe;
use watch::Watch;

mod coverage;
mod hints;
mod poller;
mod recipe;
mod renewal;
mod watch;

/// How long a command may wait for the poll thread, which a revoke holds for up to five seconds.
const COMMAND_WAIT: Duration = Duration::from_secs(15);

/// What the session tells the supervisor. Nobody may let the channel fill: it is unbounded, and its traffic is tiny.
#[derive(Debug)]
pub enum SessionEvent {
    /// These Kafka partitions are ours now. Acquire each, then [`Session::open`] it. Nothing is fetched before.
    Assigned(Vec<TopicPartition>),
    /// These are to be given up.
    Revoked {
        /// Which, whether they were opened or not.
        partitions: Vec<TopicPartition>,
        /// Somebody else may own them already: do not commit.
        lost: bool,
        /// Send on it, or drop every clone of it, when all that was read is committed. The group waits for it, five
        /// seconds at most, unless `lost`.
        done: Sender<()>,
    },
    /// Something is wrong with the client or the cluster. Retry: a notice, the client goes on by itself. Halt: the
    /// client will do nothing more. At most one of a kind in ten seconds.
    Fault(Fault),
    /// What the client knows about the Kafka partitions that are open, every five seconds.
    Stats(Vec<PartitionStats>),
    /// A broker answers, as of the last statistics.
    Connected,
    /// What no member of the group has owned for a session timeout at least, whenever that changes.
    Unowned(Vec<TopicPartition>),
    /// The poll thread has ended: by [`Session::shutdown`] (none), or by a fault of ours.
    Ended(Option<Fault>),
}

/// What the client knows about one open Kafka partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStats {
    /// Which.
    pub source: TopicPartition,
    /// First offset on the broker.
    pub low: Option<i64>,
    /// High watermark.
    pub high: Option<i64>,
    /// End of what a reader of committed messages sees.
    pub stable: Option<i64>,
    /// Messages between what was handed on and the end, as the client counts them.
    pub lag: Option<i64>,
    /// Messages fetched and not handed on.
    pub queued_messages: u64,
    /// Their bytes.
    pub queued_bytes: u64,
}

/// What the poll thread is told.
#[derive(Debug)]
pub(super) enum Command {
    Open { partition: TopicPartition, offset: i64, reply: Sender<Result<PartitionSource, Fault>> },
    Close { partition: TopicPartition, reply: Sender<Result<(), Fault>> },
    Dropped { partition: TopicPartition, gate: Arc<Gate> },
    SetPaused { partition: TopicPartition, paused: bool, reply: Sender<Result<(), Fault>> },
    CommitHint { partition: TopicPartition, offset: i64 },
    JoinAgain(Fault),
    Stop,
}

/// The membership. Dropping it leaves its threads to end by themselves; [`Session::shutdown`] waits for them.
pub struct Session {
    link: Arc<Link>,
    commands: Sender<Command>,
    beats: Arc<AtomicU64>,
    ended: Receiver<()>,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    poller: JoinHandle<()>,
    watch: JoinHandle<()>,
    /// The watch ends when this is dropped.
    stop_watch: Sender<()>,
}

impl Session {
    /// Joins the group for these topics (a name that begins with `^` is a regular expression) and starts to poll.
    /// Kafka need not be there: the client waits for it and says so by [`SessionEvent::Fault`].
    ///
    /// # Errors
    ///
    /// Halt when the settings are refused.
    pub fn start(settings: &Settings, topics: &[String], events: Sender<SessionEvent>) -> Result<Self, Fault> {
        let recipe = Arc::new(Recipe::new(settings.consumer()?, topics, events));
        let consumer = recipe.make(BTreeSet::new())?;
        let link = Arc::new(Link::new(Arc::clone(&consumer)));
        let (commands, inbox) = unbounded();
        let (running, ended) = bounded(0);
        let beats = Arc::new(AtomicU64::new(0));
        let watch = Watch::new(Arc::clone(&link), Arc::clone(&recipe), commands.clone(), running.clone());
        let inner = (consumer, Arc::clone(&link));
        let poller = Poller::new(inner, recipe, (inbox, commands.clone()), Arc::clone(&beats), running);
        let (stop_watch, stop) = bounded(0);
        let threads = Threads {
            poller: spawn("kafka-session", move || poller.run())?,
            watch: spawn("kafka-watch", move || watch.run(&stop))?,
            stop_watch,
        };
        Ok(Self { link, commands, beats, ended, threads: Mutex::new(Some(threads)) })
    }

    /// Fetches a Kafka partition of ours from `offset` on. A source that was opened before ends with
    /// [`NOT_ASSIGNED`](super::faults::NOT_ASSIGNED); any offset will do, any number of times.
    ///
    /// # Errors
    ///
    /// Fenced when it is not ours (any more). An offset that the broker does not have is told by the source.
    pub fn open(&self, partition: &TopicPartition, offset: i64) -> Result<PartitionSource, Fault> {
        self.ask(|reply| Command::Open { partition: partition.clone(), offset, reply })?
    }

    /// Whether the group has given us this Kafka partition. Does not wait for the poll thread.
    pub fn owns(&self, partition: &TopicPartition) -> bool {
        self.link.consumer().context().ownership().is_some_and(|ownership| ownership.owned.contains(partition))
    }

    /// Stops fetching a Kafka partition and stays its owner. Fine when it is not open.
    ///
    /// # Errors
    ///
    /// What the client says.
    pub fn close(&self, partition: &TopicPartition) -> Result<(), Fault> {
        self.ask(|reply| Command::Close { partition: partition.clone(), reply })?
    }

    /// The operator's pause: what was fetched and not handed on is thrown away and fetched again on resume. It holds
    /// over later opens. (Back-pressure needs none of this: a reader without room just does not poll.)
    ///
    /// # Errors
    ///
    /// What the client says.
    pub fn pause(&self, partition: &TopicPartition) -> Result<(), Fault> {
        self.ask(|reply| Command::SetPaused { partition: partition.clone(), paused: true, reply })?
    }

    /// Ends [`Session::pause`]. Fine when it was not paused.
    ///
    /// # Errors
    ///
    /// What the client says.
    pub fn resume(&self, partition: &TopicPartition) -> Result<(), Fault> {
        self.ask(|reply| Command::SetPaused { partition: partition.clone(), paused: false, reply })?
    }

    /// Tells the group that everything below `offset` is done, for lag tools. Sent now and then, never waited for; a
    /// failure is a line in the log.
    pub fn commit_hint(&self, partition: &TopicPartition, offset: i64) {
        let _ended = self.commands.send(Command::CommitHint { partition: partition.clone(), offset });
    }

    /// Rounds of the poll thread: a heartbeat that stands still for longer than a revoke may take (five seconds) means
    /// that it hangs. (`max.poll.interval.ms` proves nothing here: every reader's poll counts for it.)
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// Questions to the cluster over this session's connections.
    pub fn broker(&self) -> Broker {
        Broker::shared(Arc::clone(&self.link))
    }

    /// Closes every source and the membership. As a static member it does not leave the group: a restart within the
    /// session timeout moves nothing. False when it did not end within `deadline`.
    pub fn shutdown(&self, deadline: Duration) -> bool {
        let _ended_already = self.commands.send(Command::Stop);
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Threads { poller, watch, stop_watch }) = threads else { return false };
        drop(stop_watch);
        let until = Instant::now() + deadline;
        // Nothing is ever sent: the channel is closed when both threads end.
        let _closed = self.ended.recv_deadline(until);
        let join = |thread: JoinHandle<()>| (Instant::now() < until || thread.is_finished()) && thread.join().is_ok();
        let (poller, watch) = (join(poller), join(watch));
        poller && watch
    }

    fn ask<T>(&self, command: impl FnOnce(Sender<T>) -> Command) -> Result<T, Fault> {
        let (reply, answer) = bounded(1);
        let ended = || Fault::internal("kafka.session-ended", "the kafka session has ended");
        self.commands.send(command(reply)).map_err(|_| ended())?;
        answer.recv_timeout(COMMAND_WAIT).map_err(|error| {
            if error.is_timeout() {
                let seconds = COMMAND_WAIT.as_secs();
                Fault::retry("kafka.session-slow", format!("the kafka session did not answer within {seconds} s"))
            } else {
                ended()
            }
        })
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Fault> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| Fault::internal("kafka.thread", format!("the thread {name} does not start: {error}")))
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ended_already = self.commands.send(Command::Stop);
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("beats", &self.beats()).finish_non_exhaustive()
    }
}
