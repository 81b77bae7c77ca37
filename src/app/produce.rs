//! `forebay produce` and `forebay topic`: load and topics for trying things out.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::daemon::{self, Options};
use super::{look, say};
use crate::cli::{Global, Produce, Topic};
use crate::exit::ExitCode;
use crate::fault::Fault;
use crate::flow::read::settings::Settings as ClientSettings;
use crate::flow::read::topics::Topics;
use crate::produce::library::Library;
use crate::produce::run::{Job, Progress, run};

/// How often progress is told.
const TELL: Duration = Duration::from_secs(2);

fn client(global: &Global) -> Result<ClientSettings, Fault> {
    Ok(daemon::client_settings(&look::load(global)?, &Options::default()))
}

pub(super) fn produce(order: &Produce, global: &Global) -> Result<ExitCode, Fault> {
    let job = Job {
        settings: client(global)?,
        topic: order.topic.clone(),
        create_with: Some(order.partitions),
        library: Library {
            seed: order.seed,
            books: order.books,
            broken: order.broken,
            resent: order.resent,
            changed: order.changed,
            repeated: order.repeated,
            // Yesterday, whatever the zone: a date that every `date_max` lets pass.
            last_date: Timestamp::now().to_zoned(TimeZone::UTC).date().saturating_sub(1.day()),
        },
        first: order.first,
        count: order.library,
        rate: order.rate.map(|rate| rate as f64),
        ledger: order.ledger.clone(),
        hold_back: None,
    };
    let mut told = Instant::now();
    let done = run(job, &AtomicBool::new(false), |progress| {
        if !global.quiet && told.elapsed() >= TELL {
            told = Instant::now();
            say::problem(&line(&progress));
        }
    })?;
    let text = if global.json {
        let Progress { sent, delivered, failed, bytes, elapsed } = done;
        let seconds = elapsed.as_secs_f64();
        let document = serde_json::json!({ "topic": order.topic, "sent": sent, "delivered": delivered, "failed": failed, "bytes": bytes, "seconds": seconds });
        document.to_string()
    } else {
        format!("{} to {}", line(&done), order.topic)
    };
    say::result(&(text + "\n"))?;
    Ok(ExitCode::Done)
}

fn line(progress: &Progress) -> String {
    let megabytes = progress.bytes as f64 / 1e6;
    format!(
        "{} sent, {} delivered, {megabytes:.1} MB, {:.0} messages/s",
        progress.sent,
        progress.delivered,
        progress.rate()
    )
}

pub(super) fn topic(order: &Topic, global: &Global) -> Result<ExitCode, Fault> {
    let topics = Topics::connect(&client(global)?)?;
    let said = match order {
        Topic::Create { topic, partitions, replication, settings } => {
            let settings: Vec<(&str, &str)> =
                settings.iter().map(|setting| (setting.name.as_str(), setting.value.as_str())).collect();
            let is_new = topics.create(topic, *partitions, *replication, &settings)?;
            format!("{topic} {}", if is_new { "created" } else { "is there already" })
        }
        Topic::Widen { topic, partitions } => {
            topics.widen(topic, *partitions as usize)?;
            format!("{topic} has {partitions} partitions")
        }
        Topic::Delete { topic } => {
            format!("{topic} {}", if topics.delete(topic)? { "deleted" } else { "is not there" })
        }
    };
    say::result(&(said + "\n"))?;
    Ok(ExitCode::Done)
}
