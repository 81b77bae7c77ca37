//! What the control socket needs from the daemon behind it.

use async_trait::async_trait;
use serde::Serialize;

use super::api::{
    AcceptLossRequest, AcceptTopicRequest, AcceptedLoss, AcceptedTopic, Change, Daemon, DriftTables, Lanes, Node,
    PromoteRequest, Reloaded, RequeueRequest, Requeued, RewindRequest, Rewound, Selection, Status, Tables, Time,
};
use super::authority::Peer;
use super::problem::Problem;

/// The daemon as its operators see it. The supervisors implement it; nothing in it may block a thread.
#[async_trait]
pub trait Steering: Send + Sync + 'static {
    /// One picture of everything.
    async fn status(&self) -> Result<Status, Problem>;
    /// The lanes.
    async fn lanes(&self) -> Result<Lanes, Problem>;
    /// The tables.
    async fn tables(&self) -> Result<Tables, Problem>;
    /// What arrived and no column takes.
    async fn drift(&self) -> Result<DriftTables, Problem>;
    /// The tree of actors.
    async fn supervision(&self) -> Result<Node, Problem>;
    /// Stops reading; what was read is committed.
    async fn pause(&self, selection: Selection) -> Result<Change<Lanes>, Problem>;
    /// Goes on reading.
    async fn resume(&self, selection: Selection) -> Result<Change<Lanes>, Problem>;
    /// Moves a lane to an earlier offset.
    async fn rewind(&self, request: RewindRequest) -> Result<Rewound, Problem>;
    /// Takes quarantined messages through today's mapping again; answers when it is done.
    async fn requeue(&self, request: RequeueRequest) -> Result<Requeued, Problem>;
    /// Goes on with a topic that was deleted and created again.
    async fn accept_topic(&self, request: AcceptTopicRequest) -> Result<AcceptedTopic, Problem>;
    /// Records messages that Kafka has deleted before they were read as lost, and goes on behind them.
    async fn accept_loss(&self, request: AcceptLossRequest) -> Result<AcceptedLoss, Problem>;
    /// Promotes now; answers when it is done.
    async fn promote(&self, request: PromoteRequest) -> Result<Change<Tables>, Problem>;
    /// Reads configuration and mappings again, and goes on with them or, where anything is wrong, as before; answers
    /// when every lane that is concerned has gone over.
    async fn reload(&self) -> Result<Reloaded, Problem>;
    /// Begins to drain; answers at once.
    async fn drain(&self) -> Result<Change<Daemon>, Problem>;
    /// All metrics as OpenMetrics text.
    fn metrics(&self) -> String;
    /// Whether the process is well: if not, why, and then it should be restarted.
    fn health(&self) -> Result<(), String>;
    /// Whether it does its work: if not, why not yet or not now.
    fn readiness(&self) -> Result<(), String>;
}

/// One state-changing call, for the record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ControlRecord {
    /// When it was answered.
    pub ts: Time,
    /// Who called; none when the system did not say.
    pub peer: Option<Peer>,
    /// The path, e.g. `/v1/pause`.
    pub command: String,
    /// The body as it was understood.
    pub request: serde_json::Value,
    /// HTTP status of the answer.
    pub status: u16,
    /// State before; null when it was refused or failed.
    pub before: serde_json::Value,
    /// State after; null when it was refused or failed.
    pub after: serde_json::Value,
    /// Why it was refused or failed.
    pub error: Option<String>,
}

/// Keeps the record of state-changing calls (`logs/control.jsonl`).
pub trait AuditLog: Send + Sync + 'static {
    /// Keeps one call. It must not fail the call: what cannot be written is told in the log.
    fn record(&self, call: &ControlRecord);
}
