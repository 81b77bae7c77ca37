//! The composition root: builds the parts, starts the tree, waits for its end, takes it down in reverse.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix::Addr;
use actix::prelude::{Actor, System};
use crossbeam_channel::{Receiver, bounded, unbounded};
use futures::executor::block_on;
use jiff::tz::TimeZone;
use tokio::sync::oneshot;

use super::identity;
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::fault::Fault;
use crate::flow::buffer::pressure::EncoderMemory;
use crate::flow::handover::POOL_JOBS;
use crate::flow::letters::post;
use crate::flow::promote::due::Schedule;
use crate::flow::read::session::{Session, SessionEvent};
use crate::flow::read::settings::Settings as ClientSettings;
use crate::flow::spool::Spool;
use crate::model::budget::MemoryBudget;
use crate::model::room::RowRoom;
use crate::model::table::TopicChoice;
use crate::storage::{self, Storage};
use crate::supervise::parts::{MessageProbe, Parts, TreeProbe};
use crate::supervise::policy::RestartLimits;
use crate::supervise::promotion::{PromoteNow, PromotionSettings};
use crate::supervise::reaper::Reaper;
use crate::supervise::root::{DrainAll, FromSession, GetSnapshot, RootSettings, RootSupervisor, Snapshot, TakeDown};
use crate::supervise::tables::TableSet;
use crate::supervise::view::Shared;

/// How long the parts may take to end once the tree has come to rest.
const TAKE_DOWN: Duration = Duration::from_secs(5);

/// How this daemon differs from a plain `forebay run`.
#[derive(Clone, Default)]
pub struct Options {
    /// Read to the ends seen at the start, commit, promote, end.
    pub until_caught_up: bool,
    /// Go on with chains that another consumer group or cluster has filled so far.
    pub take_over: bool,
    /// Makes stages fail in tests.
    pub probe: Option<TreeProbe>,
    /// Makes messages poisonous in tests.
    pub message_probe: Option<MessageProbe>,
    /// A lake that fails on demand, in tests; else the one of the configuration.
    pub storage: Option<Arc<dyn Storage>>,
    /// Number of this daemon on its host, for its static membership.
    pub instance: u32,
}

/// A running daemon.
pub struct Daemon {
    root: Addr<RootSupervisor>,
    parts: Arc<Parts>,
    thread: JoinHandle<Result<(), Fault>>,
}

impl Daemon {
    /// Builds the parts and starts the tree on a thread of its own. Neither Kafka nor the lake need be there: the
    /// daemon waits for them.
    ///
    /// # Errors
    ///
    /// What only a person can put right, and a spool that cannot be used.
    pub fn start(settings: &Settings, options: &Options) -> Result<Self, Fault> {
        let storage = match &options.storage {
            Some(storage) => Arc::clone(storage),
            None => open_storage(settings)?,
        };
        let reaper = Reaper::start().map_err(|error| Fault::retry("process.no-thread", error.to_string()))?;
        let (jobs_in, jobs_out) = bounded(POOL_JOBS);
        let (events_in, events_out) = unbounded();
        let client = client_settings(settings, options);
        // Tables may share a topic, and the client wants each once.
        let topics: BTreeSet<String> = settings.tables.iter().flat_map(|table| subscription(&table.topics)).collect();
        let topics = Vec::from_iter(topics);
        let spool_dir = settings.limits.spool.dir.join("lanes");
        let spool = Spool::open(&spool_dir, settings.limits.spool.size)?;
        let tables = TableSet::first(&settings.tables)?;
        let schedule = schedule(settings)?;
        let session = Session::start(&client, &topics, events_in)?;
        let parts = Arc::new(Parts {
            storage,
            broker: session.broker(),
            session,
            tables: Shared::new(Arc::new(tables)),
            unrouted: settings.unrouted.clone(),
            owner: identity::owner(settings.kafka.group(), options.take_over),
            budget: MemoryBudget::new(share(settings)),
            room: RowRoom::new(settings.limits.memory, settings.run.parsers),
            encoders: EncoderMemory::new(share(settings)),
            spool,
            jobs: jobs_in,
            limits: limits(settings),
            hang_after: settings.supervise.hung_after,
            clock: Arc::new(SystemClock),
            post: post::kafka(client),
            reaper: reaper.handle(),
            probe: options.probe.clone(),
            message_probe: options.message_probe.clone(),
            until_caught_up: options.until_caught_up,
        });
        let root_settings = RootSettings {
            parsers: settings.run.parsers,
            jobs: jobs_out,
            drain_deadline: settings.run.drain,
            promotion: PromotionSettings { schedule: schedule.clone(), memory: share(settings) },
            schedule,
        };
        let (started, root) = bounded(1);
        let tree_parts = Arc::clone(&parts);
        let thread = std::thread::Builder::new()
            .name("root".to_owned())
            .spawn(move || run_tree(&tree_parts, root_settings, events_out, reaper, &started));
        let thread = thread.map_err(|error| Fault::retry("process.no-thread", error.to_string()))?;
        let root = root.recv().map_err(|_| Fault::internal("root.not-started", "the root supervisor did not start"))?;
        Ok(Self { root, parts, thread })
    }

    /// The parts, for who looks from outside.
    pub fn parts(&self) -> &Arc<Parts> {
        &self.parts
    }

    /// The root, for the control socket.
    pub fn root(&self) -> &Addr<RootSupervisor> {
        &self.root
    }

    /// The daemon as a whole, copied out.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn snapshot(&self) -> Result<Snapshot, Fault> {
        block_on(self.root.send(GetSnapshot)).map_err(|_| Fault::retry("root.gone", "the daemon has ended"))
    }

    /// Promotes every table now, and waits for it.
    ///
    /// # Errors
    ///
    /// What the promotion met.
    pub fn promote(&self) -> <PromoteNow as actix::Message>::Result {
        let gone = |_| Err(Fault::retry("root.gone", "the daemon has ended"));
        block_on(self.root.send(PromoteNow(Vec::new()))).unwrap_or_else(gone)
    }

    /// Commits what is in flight and ends; [`Daemon::wait`] tells when it has. `reason` is for the log.
    pub fn drain(&self, reason: &'static str) {
        self.root.do_send(DrainAll { reason });
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end.
    ///
    /// # Errors
    ///
    /// Why it ended, unless it was drained or had caught up.
    pub fn wait(self) -> Result<(), Fault> {
        let gone = |_| Err(Fault::internal("root.panicked", "the thread of the root supervisor panicked"));
        self.thread.join().unwrap_or_else(gone)
    }
}

/// The thread of the root: runs the tree until it says how the process shall end, then takes the parts down.
fn run_tree(
    parts: &Arc<Parts>,
    settings: RootSettings,
    events: Receiver<SessionEvent>,
    reaper: Reaper,
    started: &crossbeam_channel::Sender<Addr<RootSupervisor>>,
) -> Result<(), Fault> {
    let system = System::new();
    let result = system.block_on(async {
        let (exit, end) = oneshot::channel();
        let root = RootSupervisor::new(Arc::clone(parts), settings, exit).start();
        let forward_to = root.clone();
        let forwarder =
            std::thread::Builder::new().name("session-events".to_owned()).spawn(move || forward(&events, &forward_to));
        match forwarder {
            Ok(thread) => parts.reaper.join(thread),
            Err(error) => return Err(Fault::retry("process.no-thread", error.to_string())),
        }
        // `start` waits for the address; it has not gone away.
        let _ = started.send(root.clone());
        let result =
            end.await.unwrap_or_else(|_| Err(Fault::internal("root.vanished", "the root supervisor vanished")));
        // A root that has vanished, or that does not answer, is left to the end of the process.
        let _ = tokio::time::timeout(TAKE_DOWN, root.send(TakeDown)).await;
        result
    });
    parts.session.shutdown(TAKE_DOWN);
    drop(system);
    reaper.finish(TAKE_DOWN);
    // The parts may be held for longer: by the control socket, which still answers, or by a thread that hangs.
    parts.spool.clear();
    result
}

/// Hands on what the consumer saw, until it has ended.
fn forward(events: &Receiver<SessionEvent>, root: &Addr<RootSupervisor>) {
    for event in events {
        let has_ended = matches!(event, SessionEvent::Ended(_));
        root.do_send(FromSession(event));
        if has_ended {
            return;
        }
    }
}

/// The lake of the configuration.
///
/// # Errors
///
/// A URL that names no lake, a directory that cannot be one.
pub fn open_storage(settings: &Settings) -> Result<Arc<dyn Storage>, Fault> {
    Ok(storage::open(&settings.lake.root, hdfs_options(settings))?)
}

/// The lake of the configuration, for somebody who only looks: nothing is made or tried.
///
/// # Errors
///
/// A URL that names no lake, a directory that is not there.
pub fn open_lake_to_look(settings: &Settings) -> Result<Arc<dyn Storage>, Fault> {
    Ok(storage::open_to_look(&settings.lake.root, hdfs_options(settings))?)
}

/// Whether the lake of the configuration can be used, or made where it is not there yet; nothing is made or tried.
///
/// # Errors
///
/// A URL that names no lake, a directory that cannot be one, an HDFS that does not answer.
pub fn probe_lake(settings: &Settings) -> Result<(), Fault> {
    Ok(storage::probe(&settings.lake.root, hdfs_options(settings))?)
}

/// What the HDFS client is started with.
fn hdfs_options(settings: &Settings) -> BTreeMap<String, String> {
    let mut options = settings.lake.hdfs.clone();
    if let Some(dir) = &settings.lake.hadoop_conf_dir {
        options.insert("hadoop.conf.dir".to_owned(), dir.display().to_string());
    }
    options
}

/// What the Kafka client is started with.
pub fn client_settings(settings: &Settings, options: &Options) -> ClientSettings {
    let user = settings.kafka.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    ClientSettings { user, fetch_bytes: share(settings), partitions: 0, instance: options.instance }
}

/// `limits.memory` in four equal parts: fetch queues, batches under way, open row groups, a promotion.
fn share(settings: &Settings) -> u64 {
    settings.limits.memory / 4
}

fn subscription(choice: &TopicChoice) -> Vec<String> {
    match choice {
        TopicChoice::List(topics) => topics.clone(),
        TopicChoice::Pattern(pattern) => vec![pattern.clone()],
    }
}

fn schedule(settings: &Settings) -> Result<Schedule, Fault> {
    let zone = TimeZone::get(&settings.promote.zone).map_err(|error| Fault::halt("config.zone", error.to_string()))?;
    Schedule::new(settings.promote.interval, zone)
        .ok_or_else(|| Fault::halt("config.interval", "promote.interval must divide a day, or be whole days"))
}

fn limits(settings: &Settings) -> RestartLimits {
    let supervise = &settings.supervise;
    RestartLimits {
        intensity: supervise.intensity as usize,
        period: supervise.period,
        backoff_min: supervise.backoff,
        backoff_max: supervise.backoff_max,
        parked_retry: supervise.parked_retry,
    }
}
