//! `forebay demo`: the whole pipeline on this machine alone.
//!
//! An embedded Kafka and a lake on local disk, library messages going into the one, and between them the same daemon
//! that `forebay run` starts. It ends when every message is read, committed, promoted and audited.

mod account;
mod folder;
mod live;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::account::{Account, Sent};
use self::folder::Folder;
use self::live::{Live, Picture};
use super::daemon::{Daemon, Options, open_lake_to_look};
use super::{say, serve};
use crate::cli;
use crate::config::Settings;
use crate::exit::ExitCode;
use crate::fault::Fault;
use crate::flow::read::mock::EmbeddedKafka;
use crate::flow::read::settings::Settings as ClientSettings;
use crate::model::level::LogLevel;
use crate::model::offset::TopicPartition;
use crate::model::status::LaneState;
use crate::observe::logs::{self, LogFiles, LogGuard, LogOptions, Terminal};
use crate::observe::{Totals, metrics};
use crate::produce::library::{BOOKS, Library, REPEATED};
use crate::produce::run::{self as produce, Job, Progress};
use crate::supervise::root::Snapshot;

const TOPIC: &str = "library";
const TABLE: &str = "books";
const GROUP: &str = "forebay-demo";
const PARTITIONS: i32 = 4;

/// Messages sent and not yet committed, at most. The embedded Kafka keeps 5 MiB of a Kafka partition and forgets the
/// oldest, read or not, and a lane that is restarted reads again what it had not committed. So many messages of 1.2 kB
/// would fit even if all came to one Kafka partition.
const MOST_OPEN: u64 = 3000;

/// Between two looks at the daemon.
const LOOK: Duration = Duration::from_millis(50);
/// Without a commit for so long while there is something to commit, the demo gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Shares of messages that are not plain new ones.
const BROKEN: f64 = 0.03;
const RESENT: f64 = 0.03;
const CHANGED: f64 = 0.05;

/// Runs the demo and tells what it did on stdout.
///
/// # Errors
///
/// A folder that cannot be used, or what ended the daemon. A promise that does not hold is [`ExitCode::No`].
pub fn run(order: &cli::Demo, global: &cli::Global) -> Result<ExitCode, Fault> {
    let folder = Folder::make(order.dir.as_deref())?;
    let log = start_log(&folder, global)?;
    let stop = serve::watch_signals()?;
    let mut live = Live::new(global.quiet, global.verbose > 0);
    live.say(&format!("an embedded kafka, the daemon, and a lake in {}\n", folder.lake().display()));

    let kafka = EmbeddedKafka::start(&[(TOPIC, PARTITIONS)])?;
    let settings = folder.configure(kafka.bootstrap_servers(), GROUP, TOPIC)?;
    let fed = Feed::start(order, &folder, &kafka).and_then(|feed| feed.through_a_daemon(&settings, &stop, &mut live));
    let sent = fed.map_err(|fault| {
        let message = format!("{} (the log is in {})", fault.message, folder.logs().display());
        Fault { message, ..fault }
    })?;
    drop(kafka);

    let storage = open_lake_to_look(&settings)?;
    let sources: Vec<_> = (0..PARTITIONS).map(|partition| TopicPartition::new(TOPIC, partition)).collect();
    let account = Account::take(&folder, &settings, &storage, &sources, sent)?;
    drop(log);
    // The log of a demo that failed is what a person needs next.
    folder.tidy(order.keep || !account.is_ok());
    tell(&account, global.json)?;
    Ok(if account.is_ok() { ExitCode::Done } else { ExitCode::No })
}

fn tell(account: &Account, as_json: bool) -> Result<(), Fault> {
    let text = if as_json {
        let json = serde_json::to_string_pretty(account);
        json.map_err(|error| Fault::internal("demo.account", format!("the account is no json: {error}")))? + "\n"
    } else {
        format!("\n{account}")
    };
    say::result(&text)
}

fn start_log(folder: &Folder, global: &cli::Global) -> Result<LogGuard, Fault> {
    let files = LogFiles { dir: folder.logs(), level: LogLevel::Debug, file_size: 64 << 20, total_size: 256 << 20 };
    let level = if global.verbose > 1 { LogLevel::Debug } else { LogLevel::Info };
    let terminal = (global.verbose > 0).then(|| Terminal { level, colors: global.color.on(say::is_terminal()) });
    let options = LogOptions { files: Some(files), terminal };
    logs::start(options).map_err(|error| {
        let message = format!("cannot write the log in {}: {error}", folder.logs().display());
        Fault::halt("demo.log", message)
    })
}

/// Messages going into the embedded Kafka, on a thread of their own.
struct Feed {
    begun: Instant,
    wanted: u64,
    sender: JoinHandle<Result<Progress, Fault>>,
    has_failed: Arc<AtomicBool>,
    /// Messages given to the producer.
    sent: Arc<AtomicU64>,
    /// Messages in the ledger, as the sender must know it.
    committed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Feed {
    fn start(order: &cli::Demo, folder: &Folder, kafka: &EmbeddedKafka) -> Result<Self, Fault> {
        let (sent, committed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let (now_sent, now_committed) = (Arc::clone(&sent), Arc::clone(&committed));
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
        let job = Job {
            settings: ClientSettings {
                user: [("bootstrap.servers".to_owned(), kafka.bootstrap_servers().to_owned())].into(),
                ..ClientSettings::default()
            },
            topic: TOPIC.to_owned(),
            create_with: None,
            library: Library {
                seed: 1,
                books: BOOKS,
                broken: BROKEN,
                resent: RESENT,
                changed: CHANGED,
                repeated: REPEATED,
                last_date: today,
            },
            first: 0,
            count: order.messages,
            rate: order.rate.map(|rate| rate as f64),
            ledger: order.keep.then(|| folder.sent()),
            hold_back: Some(Box::new(move |number| {
                now_sent.store(number, Ordering::Relaxed);
                number < now_committed.load(Ordering::Relaxed) + MOST_OPEN
            })),
        };
        let (stopped, all_sent) = (Arc::clone(&stop), Arc::clone(&sent));
        let has_failed = Arc::new(AtomicBool::new(false));
        let failed = Arc::clone(&has_failed);
        let sender = std::thread::Builder::new().name("sender".to_owned());
        let sender = sender.spawn(move || {
            let result = produce::run(job, &stopped, |now| all_sent.store(now.sent, Ordering::Relaxed));
            failed.store(result.is_err(), Ordering::Release);
            result
        });
        let sender = sender.map_err(|error| Fault::retry("process.no-thread", error.to_string()))?;
        Ok(Self { begun: Instant::now(), wanted: order.messages, sender, has_failed, sent, committed, stop })
    }

    /// Runs a daemon until everything is committed and promoted, or `stop` is set; it is drained then.
    fn through_a_daemon(self, settings: &Settings, stop: &AtomicBool, live: &mut Live) -> Result<Sent, Fault> {
        let before = metrics().totals(TOPIC, TABLE);
        let daemon = Daemon::start(settings, &Options::default());
        let committed = daemon.and_then(|daemon| {
            let followed = self.follow(&daemon, stop, live, before);
            let promoted = followed.and_then(|is_done| if is_done { daemon.promote().map(drop) } else { Ok(()) });
            let elapsed = self.begun.elapsed();
            let last = daemon.snapshot().map(|snapshot| self.picture(&snapshot, before));
            self.stop.store(true, Ordering::Release);
            daemon.drain("demo ends");
            let ended = daemon.wait();
            if let Ok(picture) = last {
                live.end(&picture);
            }
            promoted.and(ended).map(|()| elapsed)
        });
        self.stop.store(true, Ordering::Release);
        let progress = self.sender.join().map_err(|_| Fault::internal("demo.sender", "the sender panicked"));
        // A sender that failed is why the daemon was not waited for.
        let progress = progress??;
        let elapsed = committed?;
        let is_stopped = stop.load(Ordering::Acquire);
        Ok(Sent { messages: progress.delivered, bytes: progress.bytes, elapsed, is_stopped })
    }

    /// Looks at the daemon until everything that was sent is committed: true; or until `stop` is set: false.
    fn follow(&self, daemon: &Daemon, stop: &AtomicBool, live: &mut Live, before: Totals) -> Result<bool, Fault> {
        let mut last_commit = (0, Instant::now());
        loop {
            let snapshot = daemon.snapshot()?;
            let picture = self.picture(&snapshot, before);
            self.committed.store(picture.committed, Ordering::Relaxed);
            live.show(&picture);
            if picture.committed == self.wanted {
                return Ok(true);
            }
            if stop.load(Ordering::Acquire) {
                return Ok(false);
            }
            if let Some(fault) = ended_lane(&snapshot) {
                return Err(fault);
            }
            if self.has_failed.load(Ordering::Acquire) {
                return Err(Fault::retry("demo.sender", "the messages could not be sent"));
            }
            if picture.committed > last_commit.0 || picture.lag() == 0 {
                last_commit = (picture.committed, Instant::now());
            } else if last_commit.1.elapsed() > PATIENCE {
                let what = format!("nothing was committed for {} s", PATIENCE.as_secs());
                return Err(Fault::retry("demo.no-progress", what));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn picture(&self, snapshot: &Snapshot, before: Totals) -> Picture {
        let of_lanes = |number: fn(&crate::supervise::view::LaneView) -> u64| snapshot.lanes.iter().map(number).sum();
        // Offsets of the embedded Kafka begin at 0 and have no holes: positions are numbers of messages.
        let committed: u64 = of_lanes(|lane| lane.committed.unwrap_or(0).unsigned_abs());
        let read: u64 = of_lanes(|lane| lane.position.unwrap_or(0).unsigned_abs());
        let now = metrics().totals(TOPIC, TABLE);
        // The sender tells its number now and then; what was read was sent.
        let sent = self.sent.load(Ordering::Relaxed).max(read).max(committed);
        Picture {
            elapsed: self.begun.elapsed(),
            wanted: self.wanted,
            sent,
            read: read.max(committed),
            rows: now.rows - before.rows,
            quarantined: now.quarantined - before.quarantined,
            committed,
            files: now.files - before.files,
            promoted: now.promoted_rows - before.promoted_rows,
            promotions: now.promotions - before.promotions,
        }
    }
}

/// A lane that will not go on by itself.
fn ended_lane(snapshot: &Snapshot) -> Option<Fault> {
    let is_over = |state| matches!(state, LaneState::Halted | LaneState::Parked | LaneState::Fenced);
    let lane = snapshot.lanes.iter().find(|lane| is_over(lane.state))?;
    let why = lane.last_fault.as_ref().map_or("no reason given", |last| &last.fault.message);
    Some(Fault::retry("demo.lane-ended", format!("{}:{} stopped: {why}", lane.topic, lane.partition)))
}
