//! The commands that look at the configuration, the lake and the log, whether a daemon runs or not.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use jiff::Timestamp;

use super::daemon::{self, Options};
use super::{say, show};
use crate::cli::{Check, Global, Logs, Show};
use crate::config::check::{self, Report};
use crate::config::{self, Problem, Settings};
use crate::exit::ExitCode;
use crate::fault::Fault;
use crate::flow::read::broker::Broker;
use crate::observe::read::{LogPrint, print_logs};
use crate::storage::Storage;
use crate::supervise::fit;

/// `forebay check`: every problem at once.
pub(super) fn check(order: &Check, global: &Global) -> ExitCode {
    let report = check::report(&global.config, config::environment(), |settings| {
        let mut problems = client_problems(settings);
        if order.connect && problems.is_empty() {
            problems.extend(connect(settings));
        }
        problems
    });
    let text = if global.json { report.json().to_string() } else { say::tame(&report.text()) };
    if let Err(fault) = say::result(&format!("{text}\n")) {
        say::problem(&fault.message);
    }
    if Report::is_good(&report) { ExitCode::Done } else { ExitCode::No }
}

/// What the Kafka client says of its settings.
pub(super) fn client_problems(settings: &Settings) -> Vec<Problem> {
    let taken = Broker::check(&daemon::client_settings(settings, &Options::default()));
    taken.err().into_iter().map(|fault| settings.problem("kafka", fault.message, None)).collect()
}

/// Tries Kafka and the lake.
fn connect(settings: &Settings) -> Vec<Problem> {
    let kafka = Broker::connect(&daemon::client_settings(settings, &Options::default()))
        .and_then(|broker| broker.cluster_id().map(|_| broker))
        .map_err(|fault| settings.problem("kafka.bootstrap.servers", fault.message, None));
    let lake = daemon::probe_lake(settings).map_err(|fault| settings.problem("lake.root", fault.message, None));
    let clashes = if lake.is_ok() { clashes(settings) } else { Vec::new() };
    let missing = kafka.as_ref().map(|broker| missing_topics(settings, broker)).unwrap_or_default();
    kafka.err().into_iter().chain(missing).chain(lake.err()).chain(clashes).collect()
}

/// Mappings that do not fit what their tables have in the lake; nothing where there is no lake yet.
fn clashes(settings: &Settings) -> Vec<Problem> {
    let Ok(storage) = daemon::open_lake_to_look(settings) else { return Vec::new() };
    let mut problems = Vec::new();
    for (index, table) in settings.tables.iter().enumerate() {
        let key = format!("table[{index}].mapping");
        match fit::clashes(&*storage, table) {
            Ok(found) => problems.extend(found.into_iter().map(|clash| settings.problem(&key, clash, None))),
            Err(fault) => problems.push(settings.problem("lake.root", fault.message, None)),
        }
    }
    problems
}

/// Dead-letter topics that cannot be found.
fn missing_topics(settings: &Settings, broker: &Broker) -> Vec<Problem> {
    let topics = settings.tables.iter().enumerate();
    let topics = topics.filter_map(|(index, table)| {
        Some((format!("table[{index}].quarantine.topic"), table.quarantine.topic.as_deref()?))
    });
    let of_nobody = settings.unrouted.topic.as_deref().map(|topic| ("unrouted.topic".to_owned(), topic));
    let problem = |(key, topic): (String, &str)| {
        let fault = broker.partitions(topic).err()?;
        Some(settings.problem(&key, fault.message, None))
    };
    topics.chain(of_nobody).filter_map(problem).collect()
}

/// `forebay show`.
pub(super) fn show(order: &Show, global: &Global) -> Result<ExitCode, Fault> {
    let storage: Arc<dyn Storage> = daemon::open_lake_to_look(&load(global)?)?;
    let mut text = Vec::new();
    show::show(&storage, order, global.json, &mut text)?;
    say::result(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::Done)
}

/// `forebay logs`.
pub(super) fn logs(order: &Logs, global: &Global) -> Result<ExitCode, Fault> {
    let settings = load(global)?;
    let print =
        LogPrint { json: global.json, colors: global.color.on(io::stdout().is_terminal()), follow: order.follow };
    let query = order.query(Timestamp::now());
    let printed = print_logs(&settings.logs.dir, query, print, &mut io::stdout().lock());
    printed.map_err(|error| Fault::halt("logs.failed", format!("the log cannot be shown: {error}")))?;
    Ok(ExitCode::Done)
}

/// The configuration, or its problems as one fault.
pub(super) fn load(global: &Global) -> Result<Settings, Fault> {
    config::load(&global.config, config::environment()).map_err(|problems| as_fault(&problems))
}

/// Problems of the configuration as one fault.
pub(super) fn as_fault(problems: &[Problem]) -> Fault {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Fault::halt("config.problems", lines.join("\nforebay: "))
}
