//! The daemon behind the control socket: what operators ask, put to the root supervisor.

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use async_trait::async_trait;
use jiff::Timestamp;

use super::daemon::Daemon;
use super::drift;
use super::reload::{Refused, Reloaded, Reloader};
use super::requeue;
use crate::config::Settings;
use crate::control::api::{
    self, AcceptLossRequest, AcceptTopicRequest, AcceptedLoss, AcceptedTopic, Change, DaemonState, DeadLetters,
    DriftTables, Lane, LaneState, Lanes, MappingView, Node, PromoteRequest, Promotion, RequeueRequest, Requeued,
    RewindRequest, Rewound, Selection, Status, TableView, Tables, Time,
};
use crate::control::problem::Problem;
use crate::control::steering::Steering;
use crate::fault::Fault;
use crate::lake::fence::{Owner, owner_of};
use crate::lake::names::{Home, UNROUTED};
use crate::lake::{Accepted, accept_topic, newest_lineage};
use crate::model::mapping::Mapping;
use crate::model::offset::TopicPartition;
use crate::model::table::Table;
use crate::observe::trouble::Trouble;
use crate::observe::{events, metrics};
use crate::supervise::lane::{Direction, LossOrder, MovePlan, RewindOrder, RewindTarget, preview_loss, preview_rewind};
use crate::supervise::parts::Parts;
use crate::supervise::promotion::PromoteNow;
use crate::supervise::root::{self, DrainAll, GetSnapshot, RootSupervisor, SetPaused, Snapshot};
use crate::supervise::view::{self, LaneView, PromotionView};

/// A poll thread of the consumer that makes no round for this long hangs.
const SESSION_SILENCE: Duration = Duration::from_secs(20);

/// The running daemon, for the control socket.
pub struct DaemonSteering {
    root: Addr<RootSupervisor>,
    parts: Arc<Parts>,
    started_at: Timestamp,
    /// The same by a clock that nobody sets.
    started: std::time::Instant,
    group: String,
    lake: String,
    reloader: Reloader,
    pulse: std::sync::Mutex<(u64, std::time::Instant)>,
}

impl DaemonSteering {
    /// Steers `daemon`, which runs with `settings`, and reloads them with `reloader`.
    pub fn new(daemon: &Daemon, settings: &Settings, reloader: Reloader) -> Self {
        let parts = Arc::clone(daemon.parts());
        Self {
            root: daemon.root().clone(),
            started_at: parts.clock.now(),
            started: parts.clock.instant(),
            pulse: std::sync::Mutex::new((parts.session.beats(), parts.clock.instant())),
            parts,
            group: settings.kafka.group().to_owned(),
            lake: settings.lake.root.clone(),
            reloader,
        }
    }

    async fn snapshot(&self) -> Result<Snapshot, Problem> {
        self.root.send(GetSnapshot).await.map_err(|_| gone())
    }

    fn tables_of(&self, snapshot: &Snapshot) -> Tables {
        let tables = self.parts.tables();
        let names = tables.catalog.all().iter().map(|table| table.name.to_string());
        let view = |(index, (name, tally)): (u16, (String, &view::Shared<view::Tally>))| {
            let tally = tally.get();
            let settings = tables.catalog.settings(index);
            TableView {
                rows: tally.rows,
                files: tally.files,
                quarantined: tally
                    .quarantined
                    .into_iter()
                    .map(|(code, count)| (code.name().to_owned(), count))
                    .collect(),
                unmapped: tables.drift.total(index),
                mapping: settings.map(|table| mapping(table, &snapshot.lanes)),
                last_promotion: snapshot.promotions.iter().find(|view| view.table == name).and_then(promotion),
                name,
            }
        };
        let all = (0..).zip(names.chain([UNROUTED.to_owned()]).zip(&tables.tallies)).map(view);
        Tables { tables: all.filter(|table| table.name != UNROUTED || !table.quarantined.is_empty()).collect() }
    }

    async fn set_paused(&self, selection: Selection, is_paused: bool) -> Result<Change<Lanes>, Problem> {
        let before = self.snapshot().await?;
        let mut concerned = Vec::new();
        for selection in chosen(&selection) {
            concerned.extend(self.root.send(SetPaused { selection, is_paused }).await.map_err(|_| gone())?);
        }
        let of_them = |snapshot: &Snapshot| {
            let mut lanes = lanes_of(snapshot);
            lanes.lanes.retain(|lane| {
                concerned.iter().any(|source| *source.topic == lane.topic && source.partition == lane.partition)
            });
            lanes
        };
        Ok(Change { before: of_them(&before), after: of_them(&self.snapshot().await?) })
    }

    async fn lane(&self, source: &TopicPartition) -> Result<Lane, Problem> {
        let lanes = lanes_of(&self.snapshot().await?).lanes;
        let found = lanes.into_iter().find(|lane| lane.topic == *source.topic && lane.partition == source.partition);
        found.ok_or_else(|| Problem::not_owner(format!("{source} is not assigned to this daemon")))
    }

    /// A lane that a command is for; when it is not ours the refusal says whose.
    async fn own_lane(&self, source: &TopicPartition) -> Result<Lane, Problem> {
        match self.lane(source).await {
            Err(problem) if problem.status == 409 => Err(self.owner_elsewhere(source).await),
            found => found,
        }
    }

    /// Who owns a lane that is not ours, as its newest owner file says.
    async fn owner_elsewhere(&self, source: &TopicPartition) -> Problem {
        let (parts, asked) = (Arc::clone(&self.parts), source.clone());
        let owner = actix_rt::task::spawn_blocking(move || {
            owner_of(&*parts.storage, &Home::raw(&newest_lineage(&*parts.storage, &asked)?))
        })
        .await;
        match owner {
            Ok(Ok(Some(owner))) => {
                let who = format!("{} (pid {}, group {})", owner.host, owner.pid, owner.group);
                Problem::not_owner(format!("{source} is not assigned to this daemon; its last owner is {who}"))
            }
            _ => Problem::not_owner(format!("{source} is not assigned to this daemon")),
        }
    }
}

#[async_trait]
impl Steering for DaemonSteering {
    async fn status(&self) -> Result<Status, Problem> {
        let snapshot = self.snapshot().await?;
        let uptime = self.parts.clock.instant().duration_since(self.started);
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: state_of(&snapshot),
            started_at: Time(self.started_at),
            uptime_seconds: uptime.as_secs(),
            host: self.parts.owner.host.clone(),
            pid: std::process::id(),
            group: self.group.clone(),
            lake: self.lake.clone(),
            kafka_fault: snapshot.session_fault.as_ref().map(message),
            kafka_trouble: snapshot.session_fault.as_ref().map(trouble),
            lanes: lanes_of(&snapshot).lanes,
            tables: self.tables_of(&snapshot).tables,
        })
    }

    async fn lanes(&self) -> Result<Lanes, Problem> {
        Ok(lanes_of(&self.snapshot().await?))
    }

    async fn tables(&self) -> Result<Tables, Problem> {
        Ok(self.tables_of(&self.snapshot().await?))
    }

    async fn drift(&self) -> Result<DriftTables, Problem> {
        let tables = self.parts.tables();
        Ok(drift::answer(&tables.catalog, &tables.drift))
    }

    async fn supervision(&self) -> Result<Node, Problem> {
        Ok(self.snapshot().await?.tree)
    }

    async fn pause(&self, selection: Selection) -> Result<Change<Lanes>, Problem> {
        self.set_paused(selection, true).await
    }

    async fn resume(&self, selection: Selection) -> Result<Change<Lanes>, Problem> {
        self.set_paused(selection, false).await
    }

    async fn rewind(&self, request: RewindRequest) -> Result<Rewound, Problem> {
        let source = TopicPartition::new(request.topic, request.partition);
        let to = direction(request.to, request.undo)?;
        let before = self.own_lane(&source).await?;
        let order = RewindOrder { to, expect: request.expect, reason: request.reason.unwrap_or_default() };
        // A rewind that will be refused is refused before the lane is stopped for it.
        let (parts, asked, previewed) = (Arc::clone(&self.parts), source.clone(), order.clone());
        let preview = actix_rt::task::spawn_blocking(move || preview_rewind(&parts, &asked, &previewed)).await;
        let preview = preview.map_err(|error| Problem::internal(error.to_string()))??;
        let plan = if request.dry_run {
            preview
        } else {
            let answer =
                self.root.send(root::RewindRequest { source: source.clone(), order }).await.map_err(|_| gone())?;
            answer?.into_plan()
        };
        let (to, intervals, messages, undone) = match plan {
            MovePlan::Back(plan) => (plan.to, plan.intervals, plan.messages, None),
            MovePlan::Undo(plan) => {
                let undone = api::Undone { from: plan.from, intervals: plan.intervals, messages: plan.messages };
                (plan.to, plan.superseded_intervals, plan.superseded_messages, Some(undone))
            }
        };
        let after = self.lane(&source).await?;
        Ok(Rewound { before, after, dry_run: request.dry_run, to, intervals, messages, undone })
    }

    async fn requeue(&self, request: RequeueRequest) -> Result<Requeued, Problem> {
        let before = lanes_of(&self.snapshot().await?);
        let (lanes, elsewhere) = requeue::requeue(&self.root, &self.parts, &request, &before).await?;
        let after = lanes_of(&self.snapshot().await?);
        let RequeueRequest { table, dry_run, .. } = request;
        Ok(Requeued { before, after, dry_run, table, lanes, elsewhere })
    }

    async fn accept_topic(&self, request: AcceptTopicRequest) -> Result<AcceptedTopic, Problem> {
        let AcceptTopicRequest { topic, reason } = request;
        if self.parts.tables().of_topic(&topic).next().is_none() {
            return Err(Problem::not_found(format!("no table takes messages of {topic}")));
        }
        let before = lanes_of(&self.snapshot().await?);
        let (parts, asked) = (Arc::clone(&self.parts), topic.clone());
        let accepted = actix_rt::task::spawn_blocking(move || -> Result<Accepted, Fault> {
            let owner = Owner {
                cluster_id: Some(parts.broker.cluster_id()?),
                topic_id: parts.broker.topic_id(&asked)?,
                taken_at: parts.clock.now(),
                ..parts.owner.clone()
            };
            Ok(accept_topic(&*parts.storage, &owner, &asked, &reason.unwrap_or_default())?)
        });
        let accepted = accepted.await.map_err(|error| Problem::internal(error.to_string()))?;
        let Accepted { topic, topic_id, lineage, was_accepted } = accepted?;
        events::topic_accepted(&topic, &topic_id, &lineage);
        self.root.send(root::AcceptTopic(topic.clone())).await.map_err(|_| gone())?;
        let after = lanes_of(&self.snapshot().await?);
        Ok(AcceptedTopic { topic, topic_id, lineage, was_accepted, before, after })
    }

    async fn accept_loss(&self, request: AcceptLossRequest) -> Result<AcceptedLoss, Problem> {
        let AcceptLossRequest { topic, partition, reason, dry_run } = request;
        let source = TopicPartition::new(topic, partition);
        let before = self.own_lane(&source).await?;
        // A lane that has lost nothing is not stopped for it.
        let (parts, asked) = (Arc::clone(&self.parts), source.clone());
        let preview = actix_rt::task::spawn_blocking(move || preview_loss(&parts, &asked)).await;
        let preview = preview.map_err(|error| Problem::internal(error.to_string()))??;
        let lost = if dry_run {
            preview
        } else {
            let order = LossOrder { reason: reason.unwrap_or_default() };
            self.root.send(root::LossRequest { source: source.clone(), order }).await.map_err(|_| gone())??
        };
        let after = self.lane(&source).await?;
        Ok(AcceptedLoss { before, after, dry_run, from: lost.from(), to: lost.to() })
    }

    async fn promote(&self, request: PromoteRequest) -> Result<Change<Tables>, Problem> {
        let before = self.tables().await?;
        let answer = self.root.send(PromoteNow(request.tables)).await.map_err(|_| gone())?;
        answer?;
        Ok(Change { before, after: self.tables().await? })
    }

    async fn reload(&self) -> Result<api::Reloaded, Problem> {
        let before = self.tables().await?;
        let Reloaded { changed, lanes } = self.reloader.reload().await.map_err(|refused| match refused {
            Refused::Problems(problems) => Problem::configuration(problems.iter().map(ToString::to_string).collect()),
            Refused::Fault(fault) => fault.into(),
        })?;
        let snapshot = self.snapshot().await?;
        let is_meant =
            |lane: &Lane| lanes.iter().any(|source| *source.topic == lane.topic && source.partition == lane.partition);
        let lanes = lanes_of(&snapshot).lanes.into_iter().filter(is_meant).collect();
        Ok(api::Reloaded { before, after: self.tables_of(&snapshot), changed, lanes })
    }

    async fn drain(&self) -> Result<Change<api::Daemon>, Problem> {
        let before = api::Daemon { state: state_of(&self.snapshot().await?) };
        self.root.send(DrainAll { reason: "control socket" }).await.map_err(|_| gone())?;
        Ok(Change { before, after: api::Daemon { state: DaemonState::Draining } })
    }

    fn metrics(&self) -> String {
        metrics().text()
    }

    fn health(&self) -> Result<(), String> {
        if !self.root.connected() {
            return Err("the root supervisor has ended".to_owned());
        }
        let (beats, now) = (self.parts.session.beats(), self.parts.clock.instant());
        let mut pulse = self.pulse.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if pulse.0 != beats {
            *pulse = (beats, now);
        }
        let silence = now.duration_since(pulse.1);
        if silence > SESSION_SILENCE {
            return Err(format!("the kafka session has made no round for {} s", silence.as_secs()));
        }
        Ok(())
    }

    fn readiness(&self) -> Result<(), String> {
        self.health()
    }
}

/// The mapping of a table, and which of the lanes that feed it read with an earlier version of it.
fn mapping(table: &Table, lanes: &[LaneView]) -> MappingView {
    let Mapping { name, version, .. } = &*table.mapping;
    let behind = lanes.iter().filter_map(|lane| {
        let reads_with = lane.mappings.get(&*table.name).filter(|reads_with| *reads_with != version)?;
        Some((format!("{}:{}", lane.topic, lane.partition), *reads_with))
    });
    MappingView { name: name.clone(), version: *version, behind: behind.collect() }
}

pub(super) fn gone() -> Problem {
    Problem::unavailable("the daemon is ending")
}

fn direction(to: Option<api::RewindTarget>, undo: bool) -> Result<Direction, Problem> {
    match (to, undo) {
        (Some(api::RewindTarget::Offset(offset)), false) => Ok(Direction::Back(RewindTarget::Offset(offset))),
        (Some(api::RewindTarget::Timestamp(time)), false) => Ok(Direction::Back(RewindTarget::Time(time.0))),
        (None, true) => Ok(Direction::Undo),
        _ => Err(Problem::bad_request("say either where to (`to`) or `undo`")),
    }
}

fn chosen(selection: &Selection) -> Vec<root::Selection> {
    if selection.lanes.is_empty() {
        return vec![root::Selection::All];
    }
    let choice = |choice: &api::LaneChoice| match choice.partition {
        Some(partition) => root::Selection::One(TopicPartition::new(choice.topic.as_str(), partition)),
        None => root::Selection::Topic(choice.topic.clone()),
    };
    selection.lanes.iter().map(choice).collect()
}

fn state_of(snapshot: &Snapshot) -> DaemonState {
    match snapshot.state.as_str() {
        "draining" => DaemonState::Draining,
        _ if snapshot.lanes.is_empty() => DaemonState::Starting,
        _ => DaemonState::Running,
    }
}

fn lanes_of(snapshot: &Snapshot) -> Lanes {
    Lanes { lanes: snapshot.lanes.iter().cloned().filter_map(lane).collect() }
}

fn lane(view: LaneView) -> Option<Lane> {
    if view.state == LaneState::Ended {
        return None;
    }
    let (last_fault, in_trouble) = (view.trouble().map(message), view.trouble().map(trouble));
    let dead_letters = view.letters.iter().map(|letters| DeadLetters {
        table: letters.table.clone(),
        topic: letters.topic.clone(),
        position: letters.position,
        lag: letters.lag(view.committed).map(i64::unsigned_abs),
        sent: letters.sent,
        fault: letters.fault.as_ref().map(message),
        trouble: letters.fault.as_ref().map(trouble),
    });
    let dead_letters = dead_letters.collect();
    Some(Lane {
        topic: view.topic,
        partition: view.partition,
        state: view.state,
        generation: view.generation,
        epoch: view.epoch,
        position: view.position,
        committed: view.committed,
        high_watermark: view.end,
        lag: view.lag.map(|lag| lag.max(0).unsigned_abs()),
        buffered_bytes: view.buffered_bytes,
        buffered_rows: view.buffered_rows,
        last_commit_at: view.last_commit.map(Time),
        last_fault,
        trouble: in_trouble,
        dead_letters,
    })
}

fn message(trouble: &Trouble) -> String {
    trouble.fault.message.clone()
}

fn trouble(trouble: &Trouble) -> api::Trouble {
    api::Trouble {
        event: trouble.fault.event.to_owned(),
        message: message(trouble),
        since: Time(trouble.since),
        at: Time(trouble.at),
        times: trouble.times,
        does: trouble.course.says().to_owned(),
        again_at: trouble.again_at().map(Time),
        help: trouble.help(),
    }
}

fn promotion(view: &PromotionView) -> Option<Promotion> {
    Some(Promotion {
        at: Time(view.last_end.or_else(|| view.last_fault.as_ref().map(|last| last.at))?),
        sequence: view.last_seq,
        rows: view.last_rows,
        files_added: view.last_added,
        files_removed: view.last_removed,
        left_out: view.last_left_out.clone(),
        fault: view.last_fault.as_ref().map(message),
        trouble: view.last_fault.as_ref().map(trouble),
    })
}
