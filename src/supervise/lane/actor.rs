//! The lane's supervisor as an actor: linearises what happens to one lane and decides.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::{
    Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient, ResponseFuture, SpawnHandle,
};
use tokio::sync::oneshot;

use super::stages::{LaneIdentity, Stages};
use super::start::{Outcome, RewindOrder, StartJob};
use crate::fault::Fault;
use crate::lake::Rewound;
use crate::model::batch::TableIndex;
use crate::model::offset::TopicPartition;
use crate::observe::events;
use crate::stage::exit::Exit;
use crate::stage::host::StageExited;
use crate::supervise::parts::Parts;
use crate::supervise::policy::{Decision, RestartPolicy};
use crate::supervise::view::{FaultView, LaneState, LaneView, Shared};

/// Finish what is in the lane, commit it, end.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct DrainLane;

/// End at once; what is not committed will be read again.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StopLane;

/// Stop reading, on an operator's command.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct PauseLane;

/// Read again; also starts a lane that halted or was parked.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct ResumeLane;

/// Truncate the chain and read again from there, as the next generation.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Rewound, Fault>")]
pub struct RewindLane(pub RewindOrder);

/// How a lane came to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaneEnd {
    /// Everything read is committed.
    Drained,
    /// Stopped with work undone, on command.
    Stopped,
    /// Its supervisor vanished: a fault of ours.
    Vanished,
}

/// Tells the root that a lane has come to rest. Sent once for each supervisor.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct LaneEnded {
    /// Which lane.
    pub source: TopicPartition,
    /// Number of the supervisor, so that the root can tell an old one from its successor.
    pub assignment: u64,
    /// How.
    pub end: LaneEnd,
}

impl LaneEnd {
    fn name(&self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::Stopped => "stopped",
            Self::Vanished => "vanished",
        }
    }
}

/// Role of a lane in logs and metrics.
const LANE: &str = "Lane";

/// Supervises one lane.
pub struct LaneSupervisor {
    parts: Arc<Parts>,
    source: TopicPartition,
    table: Option<TableIndex>,
    view: Shared<LaneView>,
    policy: RestartPolicy,
    generation: u64,
    stages: Option<Stages>,
    /// Stages of older generations that have not all reported their exit, with their generation.
    retired: Vec<(u64, Stages)>,
    /// The next start, while it waits for its backoff.
    next_start: Option<SpawnHandle>,
    is_starting: bool,
    is_draining: bool,
    is_paused: bool,
    stop_at: Option<i64>,
    rewind: Option<(RewindOrder, oneshot::Sender<Result<Rewound, Fault>>)>,
    guard: EndGuard,
}

struct EndGuard {
    root: Option<Recipient<LaneEnded>>,
    source: TopicPartition,
    assignment: u64,
}

impl EndGuard {
    fn report(&mut self, end: LaneEnd) {
        if let Some(root) = self.root.take() {
            root.do_send(LaneEnded { source: self.source.clone(), assignment: self.assignment, end });
        }
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.report(LaneEnd::Vanished);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Started {
    generation: u64,
    outcome: Outcome,
}

impl LaneSupervisor {
    /// A supervisor for the lane of `source`; it starts the first generation when it is started.
    pub fn new(
        parts: Arc<Parts>,
        source: TopicPartition,
        view: Shared<LaneView>,
        assignment: u64,
        is_paused: bool,
        root: Recipient<LaneEnded>,
    ) -> Self {
        let table = parts.table_of(&source.topic).map(|(index, _)| index);
        let policy = RestartPolicy::new(parts.limits);
        let guard = EndGuard { root: Some(root), source: source.clone(), assignment };
        let generation = view.get().generation;
        Self {
            parts,
            source,
            table,
            view,
            policy,
            generation,
            stages: None,
            retired: Vec::new(),
            next_start: None,
            is_starting: false,
            is_draining: false,
            is_paused,
            stop_at: None,
            rewind: None,
            guard,
        }
    }

    fn set_state(&self, state: LaneState) {
        self.view.update(|view| view.state = state);
    }

    fn note(&self, fault: &Fault) {
        let view = FaultView::new(fault, self.parts.clock.now());
        self.view.update(|lane| (lane.last_fault, lane.restarts) = (Some(view), self.policy.restarts()));
    }

    /// Begins the next generation on a storage thread.
    fn start_generation(&mut self, ctx: &mut Context<Self>) {
        self.next_start = None;
        self.is_starting = true;
        self.generation += 1;
        let generation = self.generation;
        self.view.update(|view| (view.state, view.generation) = (LaneState::Acquiring, generation));
        let rewind = self.rewind.as_ref().map(|(order, _)| order.clone());
        let parts = Arc::clone(&self.parts);
        let job = StartJob { parts, source: self.source.clone(), rewind, stop_at: self.stop_at };
        let lane = ctx.address();
        let spawned = std::thread::Builder::new().name(format!("start-{}", self.source)).spawn(move || {
            let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.run()));
            let outcome = run.unwrap_or_else(|panic| {
                let message = crate::stage::host::panic_message(panic.as_ref());
                Outcome { opened: Err(Fault::internal("lane.start-panicked", message)), rewound: None }
            });
            lane.do_send(Started { generation, outcome });
        });
        match spawned {
            Ok(thread) => self.parts.reaper.join(move || drop(thread.join())),
            Err(error) => {
                let fault = Fault::retry("process.no-thread", format!("no thread to start {}: {error}", self.source));
                self.is_starting = false;
                self.ended(&Exit::Failed(fault), ctx);
            }
        }
    }

    /// A generation, or the attempt to start one, has ended with `exit`: decide what comes next.
    fn ended(&mut self, exit: &Exit, ctx: &mut Context<Self>) {
        let decision = self.policy.decide(exit, self.parts.clock.instant(), fastrand::f64());
        if decision == Decision::Ignore {
            return;
        }
        self.retire();
        let fault = match exit {
            Exit::Failed(fault) => fault.clone(),
            other => Fault::internal("lane.stage-failed", other.to_string()),
        };
        self.note(&fault);
        match &decision {
            Decision::Halt(fault) => events::lane_halted(&self.source, self.generation, fault),
            _ => events::fault(LANE, Some(&self.source), self.generation, &fault),
        }
        if self.is_draining {
            // Nothing more can be committed by this generation, and a drain does not begin another.
            return self.come_to_rest(LaneEnd::Stopped, ctx);
        }
        match decision {
            Decision::RestartAfter(delay) => {
                events::stage_restarted(LANE, Some(&self.source), self.generation + 1, &fault.message, delay);
                self.start_after(delay, LaneState::BackingOff, ctx);
            }
            Decision::ParkFor(delay) => {
                events::lane_parked(&self.source, self.generation, self.policy.restarts(), delay);
                self.start_after(delay, LaneState::Parked, ctx);
            }
            Decision::Halt(_) => self.set_state(LaneState::Halted),
            Decision::AwaitAssignment => self.set_state(LaneState::Fenced),
            Decision::Ignore => {}
        }
    }

    fn start_after(&mut self, delay: Duration, state: LaneState, ctx: &mut Context<Self>) {
        self.set_state(state);
        self.cancel_next_start(ctx);
        self.next_start = Some(ctx.run_later(delay, Self::start_generation));
    }

    fn cancel_next_start(&mut self, ctx: &mut Context<Self>) {
        if let Some(handle) = self.next_start.take() {
            ctx.cancel_future(handle);
        }
    }

    /// Halts the running stages and keeps their handles until they have reported.
    fn retire(&mut self) {
        if let Some(stages) = self.stages.take() {
            stages.halt();
            self.retired.push((self.generation, stages));
        }
    }

    fn come_to_rest(&mut self, end: LaneEnd, ctx: &mut Context<Self>) {
        self.retire();
        self.cancel_next_start(ctx);
        self.set_state(LaneState::Ended);
        events::lane_released(&self.source, self.generation, end.name());
        self.guard.report(end);
        ctx.stop();
    }

    fn check(&mut self, ctx: &mut Context<Self>) {
        let Some(stages) = &self.stages else { return };
        self.view.update(|view| stages.show(view));
        if stages.hung(self.parts.hang_after).is_some() {
            self.ended(&Exit::Hung, ctx);
        }
    }
}

impl Actor for LaneSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.start_generation(ctx);
        ctx.run_interval(Duration::from_millis(500), Self::check);
    }
}

impl Handler<Started> for LaneSupervisor {
    type Result = ();

    fn handle(&mut self, started: Started, ctx: &mut Self::Context) {
        if started.generation != self.generation {
            return;
        }
        self.is_starting = false;
        if let Some((_, reply)) = self.rewind.take() {
            let lost = Err(Fault::internal("lane.rewind-unanswered", "the rewind was not tried; try again"));
            // Whoever asked may have given up waiting.
            let _ = reply.send(started.outcome.rewound.unwrap_or(lost));
        }
        let opened = match started.outcome.opened {
            Ok(opened) => opened,
            Err(fault) => return self.ended(&Exit::Failed(fault), ctx),
        };
        let (epoch, head, end) = (opened.ledger.epoch(), opened.ledger.head(), opened.end);
        self.stop_at = opened.stop_at;
        events::lane_acquired(&self.source, self.generation, epoch, head);
        let state = if self.is_paused { LaneState::Paused } else { LaneState::Running };
        self.view.update(|view| {
            (view.state, view.epoch, view.committed, view.end) = (state, Some(epoch.0), Some(head), Some(end));
            view.lag = Some((end - head).max(0));
        });
        let reports = ctx.address().recipient();
        let lane = LaneIdentity { source: &self.source, table: self.table, generation: self.generation };
        let stages = match Stages::start(&self.parts, &lane, opened, &self.view, &reports) {
            Ok(stages) => stages,
            Err(fault) => return self.ended(&Exit::Failed(fault), ctx),
        };
        if self.is_paused {
            stages.pause(true);
        }
        if self.is_draining {
            stages.drain();
        }
        self.stages = Some(stages);
    }
}

impl Handler<StageExited> for LaneSupervisor {
    type Result = ();

    fn handle(&mut self, report: StageExited, ctx: &mut Self::Context) {
        if let Some(at) = self.retired.iter().position(|(generation, _)| *generation == report.generation) {
            if self.retired[at].1.exited() {
                let (_, stages) = self.retired.swap_remove(at);
                self.parts.reaper.join(move || stages.join());
            }
            return;
        }
        if report.generation != self.generation {
            return;
        }
        let all_ended = self.stages.as_mut().is_some_and(Stages::exited);
        match report.exit {
            Exit::Drained if all_ended => {
                if let Some(stages) = self.stages.take() {
                    self.parts.reaper.join(move || stages.join());
                }
                self.come_to_rest(LaneEnd::Drained, ctx);
            }
            exit => self.ended(&exit, ctx),
        }
    }
}

impl Handler<DrainLane> for LaneSupervisor {
    type Result = ();

    fn handle(&mut self, _: DrainLane, ctx: &mut Self::Context) {
        self.is_draining = true;
        self.set_state(LaneState::Draining);
        match &self.stages {
            Some(stages) => stages.drain(),
            None if self.is_starting => {}
            None => self.come_to_rest(LaneEnd::Drained, ctx),
        }
    }
}

impl Handler<StopLane> for LaneSupervisor {
    type Result = ();

    fn handle(&mut self, _: StopLane, ctx: &mut Self::Context) {
        self.come_to_rest(LaneEnd::Stopped, ctx);
    }
}

impl Handler<PauseLane> for LaneSupervisor {
    type Result = ();

    fn handle(&mut self, _: PauseLane, _: &mut Self::Context) {
        self.is_paused = true;
        if let Some(stages) = &self.stages {
            stages.pause(true);
            self.set_state(LaneState::Paused);
        }
    }
}

impl Handler<ResumeLane> for LaneSupervisor {
    type Result = ();

    fn handle(&mut self, _: ResumeLane, ctx: &mut Self::Context) {
        self.is_paused = false;
        if let Some(stages) = &self.stages {
            stages.pause(false);
            self.set_state(LaneState::Running);
        } else if !self.is_starting && !self.is_draining {
            self.cancel_next_start(ctx);
            self.start_generation(ctx);
        }
    }
}

impl Handler<RewindLane> for LaneSupervisor {
    type Result = ResponseFuture<Result<Rewound, Fault>>;

    fn handle(&mut self, order: RewindLane, ctx: &mut Self::Context) -> Self::Result {
        if self.rewind.is_some() || self.is_starting || self.is_draining {
            let busy =
                Fault::retry("lane.busy", format!("{} is starting or ending; try again in a moment", self.source));
            return Box::pin(async move { Err(busy) });
        }
        let (reply, answer) = oneshot::channel();
        self.rewind = Some((order.0, reply));
        self.cancel_next_start(ctx);
        self.retire();
        self.start_generation(ctx);
        Box::pin(async move {
            answer.await.unwrap_or_else(|_| Err(Fault::internal("lane.gone", "the lane ended before it was rewound")))
        })
    }
}
