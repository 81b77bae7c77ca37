//! The commands that talk to a running daemon over its control socket.

use std::io::IsTerminal;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::drift::patch;
use super::render::Look;
use super::say;
use crate::cli::{self, Global};
use crate::config;
use crate::control::api::{
    AcceptLossRequest, AcceptTopicRequest, AcceptedLoss, AcceptedTopic, Change, Daemon, DriftTable, LaneChoice, Lanes,
    PromoteRequest, Reloaded, RequeueRequest, Requeued, RewindRequest, RewindTarget, Rewound, Selection, Status,
    Tables, Time,
};
use crate::control::client::Client;
use crate::exit::ExitCode;
use crate::fault::Fault;

pub(super) fn status(global: &Global) -> Result<ExitCode, Fault> {
    answer(global, &client(global)?.get::<Status>("/v1/status")?, Look::status)
}

pub(super) fn drift(order: &cli::Drift, global: &Global) -> Result<ExitCode, Fault> {
    let table: DriftTable = client(global)?.get(&format!("/v1/drift/{}", order.table))?;
    answer(global, &table, |_, table| patch(table))
}

pub(super) fn pause(lanes: &cli::Lanes, global: &Global) -> Result<ExitCode, Fault> {
    set_paused("/v1/pause", lanes, global)
}

pub(super) fn resume(lanes: &cli::Lanes, global: &Global) -> Result<ExitCode, Fault> {
    set_paused("/v1/resume", lanes, global)
}

fn set_paused(path: &str, lanes: &cli::Lanes, global: &Global) -> Result<ExitCode, Fault> {
    let choice = |lane: &cli::LaneChoice| LaneChoice { topic: lane.topic.clone(), partition: lane.partition };
    let selection = Selection { lanes: lanes.lanes.iter().map(choice).collect() };
    command::<_, Change<Lanes>>(global, path, &selection, Look::lane_change)
}

pub(super) fn rewind(order: &cli::Rewind, global: &Global) -> Result<ExitCode, Fault> {
    let request = RewindRequest {
        topic: order.lane.0.topic.to_string(),
        partition: order.lane.0.partition,
        to: order.to.map(|to| match to {
            cli::RewindTo::Offset(offset) => RewindTarget::Offset(offset),
            cli::RewindTo::Time(time) => RewindTarget::Timestamp(Time(time)),
        }),
        undo: order.undo,
        expect: order.expect,
        reason: order.reason.clone(),
        dry_run: order.dry_run,
    };
    command::<_, Rewound>(global, "/v1/rewind", &request, Look::rewound)
}

pub(super) fn requeue(order: &cli::Requeue, global: &Global) -> Result<ExitCode, Fault> {
    let request = RequeueRequest {
        table: order.table.clone(),
        code: order.code.map(|code| code.name().to_owned()),
        from: order.from.map(|from| Time(from.at(Timestamp::now()))),
        reason: order.reason.clone(),
        dry_run: order.dry_run,
    };
    command::<_, Requeued>(global, "/v1/requeue", &request, Look::requeued)
}

pub(super) fn accept_topic(order: &cli::AcceptTopic, global: &Global) -> Result<ExitCode, Fault> {
    let request = AcceptTopicRequest { topic: order.topic.clone(), reason: order.reason.clone() };
    command::<_, AcceptedTopic>(global, "/v1/accept-topic", &request, Look::accepted)
}

pub(super) fn accept_loss(order: &cli::AcceptLoss, global: &Global) -> Result<ExitCode, Fault> {
    let request = AcceptLossRequest {
        topic: order.lane.0.topic.to_string(),
        partition: order.lane.0.partition,
        reason: order.reason.clone(),
        dry_run: order.dry_run,
    };
    command::<_, AcceptedLoss>(global, "/v1/accept-loss", &request, Look::loss)
}

pub(super) fn promote(order: &cli::Promote, global: &Global) -> Result<ExitCode, Fault> {
    let request = PromoteRequest { tables: order.tables.clone() };
    command::<_, Change<Tables>>(global, "/v1/promote", &request, Look::promoted)
}

pub(super) fn reload(global: &Global) -> Result<ExitCode, Fault> {
    command::<_, Reloaded>(global, "/v1/reload", &serde_json::json!({}), Look::reloaded)
}

pub(super) fn drain(global: &Global) -> Result<ExitCode, Fault> {
    command::<_, Change<Daemon>>(global, "/v1/drain", &serde_json::json!({}), Look::drained)
}

fn command<B: Serialize, T: Serialize + DeserializeOwned>(
    global: &Global,
    path: &str,
    body: &B,
    picture: impl FnOnce(Look, &T) -> String,
) -> Result<ExitCode, Fault> {
    answer(global, &client(global)?.post::<B, T>(path, body)?, picture)
}

fn answer<T: Serialize>(
    global: &Global,
    document: &T,
    picture: impl FnOnce(Look, &T) -> String,
) -> Result<ExitCode, Fault> {
    let text = if global.json {
        let json = serde_json::to_string(document);
        json.map_err(|error| Fault::internal("answer.json", error.to_string()))? + "\n"
    } else {
        let colours = global.color.on(std::io::stdout().is_terminal());
        picture(Look { colours, now: Timestamp::now() }, document)
    };
    say::result(&text)?;
    Ok(ExitCode::Done)
}

fn client(global: &Global) -> Result<Client, Fault> {
    Ok(Client::new(&socket(global)?)?)
}

/// The socket that was named, or that of the configuration, whatever else may be wrong with that.
fn socket(global: &Global) -> Result<PathBuf, Fault> {
    if let Some(socket) = &global.socket {
        return Ok(socket.clone());
    }
    match config::load_control(&global.config, config::environment()) {
        Ok(control) => Ok(control.socket),
        Err(problems) => {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            Err(Fault::halt("config.unreadable", format!("{first}; correct it, or name the socket with --socket")))
        }
    }
}
