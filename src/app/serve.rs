//! `forebay run`: the daemon as a service, from the first line of its log to its exit code.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use futures::executor::block_on;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::daemon::{Daemon, Options};
use super::reload::Reloader;
use super::say;
use super::steering::DaemonSteering;
use crate::cli::{Global, Run};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Settings};
use crate::control::authority::Authority;
use crate::control::routes::{Control, Limits};
use crate::control::socket::{ControlServer, own_uid};
use crate::control::steering::{AuditLog, ControlRecord, Steering};
use crate::exit::ExitCode;
use crate::fault::Fault;
use crate::flow::read::broker::Broker;
use crate::flow::read::faults::UNKNOWN_TOPIC;
use crate::model::level::LogLevel;
use crate::model::table::TopicChoice;
use crate::observe::control::ControlLog;
use crate::observe::logs::{self, LogFiles, LogOptions, Terminal};
use crate::observe::trouble::{Course, Subject, Trouble};
use crate::observe::{events, metrics};
use crate::supervise::root::DrainAll;

/// How often the end of the daemon, the watchdog and the signals are looked after.
const ROUND: Duration = Duration::from_millis(100);
/// How often a drain that goes on is told.
const DRAIN_LINE: Duration = Duration::from_secs(5);
/// How long a topic that was just made may be unknown to some broker.
const TOPIC_SPREADS: Duration = Duration::from_secs(5);

/// Runs the daemon until it is drained, has caught up, or cannot go on.
pub fn run(order: &Run, global: &Global) -> ExitCode {
    let settings = match config::load(&global.config, config::environment()) {
        Ok(settings) => settings,
        Err(problems) => {
            problems.iter().for_each(|problem| say::problem(&problem.to_string()));
            say::problem(&format!("{} problems in the configuration, nothing was started", problems.len()));
            return ExitCode::Configuration;
        }
    };
    let guard = match start_log(&settings, global) {
        Ok(guard) => guard,
        Err(error) => {
            say::problem(&format!("cannot write the log in {}: {error}", settings.logs.dir.display()));
            return ExitCode::Configuration;
        }
    };
    events::started(&global.config.display().to_string(), settings.tables.len());
    let result = serve(order, global, &settings);
    let code = result.as_ref().map_or_else(ExitCode::of, |()| ExitCode::Done);
    events::stopped(code as u8, result.as_ref().err());
    drop(guard);
    if let Err(fault) = result {
        say::problem(&fault.message);
    }
    code
}

/// Tells of a fault that the daemon's tree cannot tell of. What the tree ends with it has told.
fn tell(fault: &Fault, course: Course) {
    events::fault("Daemon", 0, &Trouble::new(Subject::Daemon, fault, course, SystemClock.now()));
}

fn serve(order: &Run, global: &Global, settings: &Settings) -> Result<(), Fault> {
    let running = start(order, global, settings).inspect_err(|fault| tell(fault, Course::End))?;
    let Running { daemon, signals, hangup, reloader, steering, control, search } = running;
    notify(&[NotifyState::Ready]);
    attend(&daemon, &signals, &|| reload_at(&hangup, &daemon, &reloader), &*steering);
    let result = daemon.wait();
    control.stop();
    result?;
    let absent = search.and_then(|found| finding(&found, &signals));
    absent.map_or(Ok(()), |fault| {
        tell(&fault, Course::End);
        Err(fault)
    })
}

/// A daemon that works, and what looks after it.
struct Running {
    daemon: Daemon,
    signals: Arc<AtomicBool>,
    hangup: Arc<AtomicBool>,
    reloader: Reloader,
    steering: Arc<dyn Steering>,
    control: ControlServer,
    search: Option<Receiver<Fault>>,
}

fn start(order: &Run, global: &Global, settings: &Settings) -> Result<Running, Fault> {
    let signals = watch_signals()?;
    let hangup = watch_hangup()?;
    let options = Options { until_caught_up: order.until_caught_up, take_over: order.take_over, ..Options::default() };
    let daemon = Daemon::start(settings, &options)?;
    metrics().watch_memory(daemon.parts().budget.clone());
    let spool = daemon.parts().spool.clone();
    let limit = spool.limit();
    metrics().watch_spool(move || spool.used(), limit);
    let reloader = Reloader::new(&daemon, settings, &global.config);
    let steering: Arc<dyn Steering> = Arc::new(DaemonSteering::new(&daemon, settings, reloader.clone()));
    let search = order.until_caught_up.then(|| search_topics(&daemon, settings)).transpose();
    let started = search.and_then(|search| Ok((start_control(settings, global, Arc::clone(&steering))?, search)));
    match started {
        Ok((control, search)) => Ok(Running { daemon, signals, hangup, reloader, steering, control, search }),
        Err(fault) => {
            daemon.drain("start failed");
            // Whatever else it ends with has been told; this is the cause.
            let _told = daemon.wait();
            Err(fault)
        }
    }
}

/// Looks for the topics that are named in the configuration. A daemon goes on with the others and waits for one that
/// is not there; a bounded run has nobody who would see that it is missing, so it is drained, and the receiver gets
/// why. All that on a thread of its own: a cluster may take its time, and signals are attended to meanwhile.
fn search_topics(daemon: &Daemon, settings: &Settings) -> Result<Receiver<Fault>, Fault> {
    let named = settings.tables.iter().filter_map(|table| match &table.topics {
        TopicChoice::List(topics) => Some(topics.clone()),
        TopicChoice::Pattern(_) => None,
    });
    let named: Vec<String> = named.flatten().collect();
    let (broker, root) = (daemon.parts().broker.clone(), daemon.root().clone());
    let (tell, found) = bounded(1);
    let search = move || {
        if let Some(fault) = absent_topic(&broker, &named) {
            // Who was told to end by a signal does not listen any more.
            let _ = tell.send(fault);
            root.do_send(DrainAll { reason: "topic not found" });
        }
    };
    let thread = std::thread::Builder::new().name("topics".to_owned()).spawn(search);
    thread.map_err(|error| Fault::retry("process.no-thread", error.to_string()))?;
    Ok(found)
}

/// What the search for topics has found, or will; nobody waits for it once there was a signal.
fn finding(found: &Receiver<Fault>, signals: &AtomicBool) -> Option<Fault> {
    loop {
        match found.recv_timeout(ROUND) {
            Ok(fault) => return Some(fault),
            Err(RecvTimeoutError::Timeout) if !signals.load(Ordering::Acquire) => {}
            Err(_) => return None,
        }
    }
}

/// Why a topic cannot be read to its end: there is none.
fn absent_topic(broker: &Broker, topics: &[String]) -> Option<Fault> {
    let until = Instant::now() + TOPIC_SPREADS;
    for topic in topics {
        loop {
            match broker.partitions(topic) {
                Ok(_) => break,
                Err(fault) if fault.event == UNKNOWN_TOPIC && Instant::now() < until => std::thread::sleep(ROUND),
                Err(fault) if fault.event == UNKNOWN_TOPIC => return Some(fault),
                // The cluster does not answer: the daemon waits for it, and says so.
                Err(_) => return None,
            }
        }
    }
    None
}

/// Reloads when SIGHUP came. The log tells what came of it.
fn reload_at(hangup: &AtomicBool, daemon: &Daemon, reloader: &Reloader) {
    if !hangup.swap(false, Ordering::AcqRel) {
        return;
    }
    let reloader = reloader.clone();
    let thread = std::thread::Builder::new().name("sighup".to_owned()).spawn(move || {
        // The outcome is in the log already.
        let _ = block_on(reloader.reload());
    });
    match thread {
        Ok(thread) => daemon.parts().reaper.join(thread),
        Err(error) => {
            let message = format!("no thread to reload: {error}; send the signal again");
            tell(&Fault::retry("process.no-thread", message), Course::GoOn);
        }
    }
}

/// Looks after the watchdog and the signals until the daemon has ended; `look` is called in each round.
fn attend(daemon: &Daemon, signals: &AtomicBool, look: &dyn Fn(), steering: &dyn Steering) {
    let watchdog = sd_notify::watchdog_enabled().map(|timeout| timeout / 2);
    let mut last_sign = Instant::now();
    let mut draining: Option<(Instant, Instant)> = None;
    while !daemon.has_ended() {
        std::thread::sleep(ROUND);
        look();
        if signals.load(Ordering::Acquire) && draining.is_none() {
            notify(&[NotifyState::Stopping]);
            daemon.drain("signal");
            draining = Some((Instant::now(), Instant::now()));
        }
        if let Some((begun, told)) = &mut draining
            && told.elapsed() >= DRAIN_LINE
        {
            *told = Instant::now();
            events::drain_waits(&open_lanes(daemon), begun.elapsed());
        }
        // A daemon that is not well leaves the watchdog alone: systemd restarts it.
        if watchdog.is_some_and(|every| last_sign.elapsed() >= every) && steering.health().is_ok() {
            notify(&[NotifyState::Watchdog]);
            last_sign = Instant::now();
        }
    }
}

fn open_lanes(daemon: &Daemon) -> String {
    let lanes = daemon.snapshot().map(|snapshot| snapshot.lanes).unwrap_or_default();
    let open = lanes.iter().filter(|lane| lane.state != crate::model::status::LaneState::Ended);
    open.map(|lane| format!("{}:{}", lane.topic, lane.partition)).collect::<Vec<_>>().join(", ")
}

/// Without systemd there is nobody to tell, and that is fine.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        events::left_undone("systemd.not-told", &format_args!("{state:?}"), &error);
    }
}

/// The first SIGTERM or SIGINT raises the flag; the second ends the process at once, which is safe: storage is the
/// truth.
pub(super) fn watch_signals() -> Result<Arc<AtomicBool>, Fault> {
    let raised = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&raised);
    let failed = |error: std::io::Error| Fault::internal("process.signals", format!("cannot watch signals: {error}"));
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(failed)?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if flag.swap(true, Ordering::AcqRel) {
                    signal_hook::low_level::exit(128 + signal);
                }
            }
        })
        .map_err(failed)?;
    Ok(raised)
}

/// SIGHUP raises the flag.
fn watch_hangup() -> Result<Arc<AtomicBool>, Fault> {
    let raised = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGHUP, Arc::clone(&raised))
        .map_err(|error| Fault::internal("process.signals", format!("cannot watch signals: {error}")))?;
    Ok(raised)
}

fn start_log(settings: &Settings, global: &Global) -> std::io::Result<logs::LogGuard> {
    let logs = &settings.logs;
    let terminal_level = match (global.quiet, global.verbose) {
        (true, _) => LogLevel::Error,
        (false, 0) => logs.level,
        (false, 1) => LogLevel::Debug,
        (false, _) => LogLevel::Trace,
    };
    logs::start(LogOptions {
        files: Some(LogFiles {
            dir: logs.dir.clone(),
            level: logs.level.max(terminal_level),
            file_size: logs.file_size,
            total_size: logs.total_size,
        }),
        terminal: Some(Terminal { level: terminal_level, colors: global.color.on(say::is_terminal()) }),
    })
}

fn start_control(settings: &Settings, global: &Global, steering: Arc<dyn Steering>) -> Result<ControlServer, Fault> {
    let log = ControlLog::open(&settings.logs.dir).map_err(|error| {
        Fault::halt(
            "control.log-denied",
            format!("cannot write control.jsonl in {}: {error}", settings.logs.dir.display()),
        )
    })?;
    let control = Control {
        steering,
        audit: Arc::new(ControlFile(log)),
        clock: Arc::new(SystemClock),
        authority: Authority {
            own_uid: own_uid(),
            uids: settings.control.allowed_uids.clone(),
            gids: settings.control.allowed_gids.clone(),
        },
        admin_group: settings.control.admin_group.clone(),
        limits: Limits::default(),
    };
    ControlServer::start(global.socket.as_deref().unwrap_or(&settings.control.socket), control)
}

/// `control.jsonl` as the control socket's record.
struct ControlFile(ControlLog);

impl AuditLog for ControlFile {
    fn record(&self, call: &ControlRecord) {
        let record = crate::observe::control::ControlRecord {
            ts: call.ts.0,
            uid: call.peer.as_ref().map_or(u32::MAX, |peer| peer.uid),
            gid: call.peer.as_ref().map_or(u32::MAX, |peer| peer.gid),
            pid: call.peer.as_ref().and_then(|peer| peer.pid),
            command: call.command.trim_start_matches("/v1/").to_owned(),
            arguments: call.request.clone(),
            before: call.before.clone(),
            after: call.after.clone(),
            refused: call.error.clone(),
        };
        events::control_command(&record.command, record.uid, record.pid, record.refused.as_deref());
        if let Err(error) = self.0.record(&record) {
            let message = format!("a command could not be recorded in control.jsonl: {error}");
            tell(&Fault::retry("control.not-recorded", message), Course::GoOn);
        }
    }
}
