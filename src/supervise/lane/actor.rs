//! The lane's supervisor as an actor: linearises what happens to one lane and decides.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::prelude::{
    Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient, ResponseFuture, SpawnHandle,
};
use tokio::sync::oneshot;

use super::messages::{
    BatchLost, DrainLane, EndGuard, LaneEnd, LaneEnded, OrderLane, PauseLane, Reassigned, ResumeLane, StopLane,
    TopicAccepted,
};
use super::renew::Renewal;
use super::stages::{LaneIdentity, Stages};
use super::start::{Done, LaneOrder, Outcome, Progress, StartJob};
use crate::fault::{Fault, Verdict};
use crate::flow::read::faults::OUT_OF_RANGE;
use crate::lake::{CLOCKS_APART, Leftovers, TOPIC_RECREATED};
use crate::model::offset::TopicPartition;
use crate::model::status::LaneState;
use crate::observe::events::LaneRecovery;
use crate::observe::trouble::{Course, Trouble};
use crate::observe::{events, metrics};
use crate::stage::exit::Exit;
use crate::stage::host::StageExited;
use crate::supervise::letters::{LaneOpened, Letters};
use crate::supervise::parts::Parts;
use crate::supervise::policy::{Decision, RestartPolicy};
use crate::supervise::tables::TableSet;
use crate::supervise::view::{LaneView, Shared};

/// Role of a lane in logs and metrics.
const LANE: &str = "Lane";
/// Role of the parsers, which serve all lanes.
pub(in crate::supervise) const PARSER: &str = "Parser";

/// Supervises one lane.
pub struct LaneSupervisor {
    pub(super) parts: Arc<Parts>,
    pub(super) source: TopicPartition,
    view: Shared<LaneView>,
    policy: RestartPolicy,
    generation: u64,
    /// The tables of this generation.
    pub(super) tables: Arc<TableSet>,
    pub(super) renewal: Renewal,
    pub(super) stages: Option<Stages>,
    /// The next start, while it waits for its backoff.
    next_start: Option<SpawnHandle>,
    /// Set while a start is under way; raised, it tells the start not to go on.
    pub(super) starting: Option<Arc<AtomicBool>>,
    pub(super) is_draining: bool,
    is_paused: bool,
    /// Why the lane halts as soon as what was handed on is committed.
    pub(super) stopping: Option<Fault>,
    stop_at: Option<i64>,
    /// What an operator has ordered for the next start, and who waits for the answer.
    order: Option<(LaneOrder, oneshot::Sender<Result<Done, Fault>>)>,
    /// Whether the broker tells the id of the topic, by which a start sees that it was created again.
    is_topic_known: bool,
    letters: Letters,
    guard: EndGuard,
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
        letters: Letters,
        root: Recipient<LaneEnded>,
    ) -> Self {
        let policy = RestartPolicy::new(parts.limits);
        let guard = EndGuard::new(root, source.clone(), assignment);
        let (generation, tables) = (view.get().generation, parts.tables());
        Self {
            parts,
            source,
            view,
            policy,
            generation,
            tables,
            renewal: Renewal::default(),
            stages: None,
            next_start: None,
            starting: None,
            is_draining: false,
            is_paused,
            stopping: None,
            stop_at: None,
            order: None,
            is_topic_known: false,
            letters,
            guard,
        }
    }

    pub(super) fn set_state(&self, state: LaneState) {
        self.view.update(|view| view.state = state);
    }

    fn note(&self, fault: &Fault, course: Course) -> Trouble {
        let trouble = self.view.get().meets(fault, course, self.parts.clock.now());
        let shown = Some(trouble.clone());
        self.view.update(|lane| (lane.last_fault, lane.restarts) = (shown, self.policy.restarts()));
        trouble
    }

    /// Begins the next generation on a storage thread.
    pub(super) fn start_generation(&mut self, ctx: &mut Context<Self>) {
        self.next_start = None;
        self.tables = self.parts.tables();
        let is_cancelled = Arc::new(AtomicBool::new(false));
        self.starting = Some(Arc::clone(&is_cancelled));
        self.generation += 1;
        let generation = self.generation;
        self.view.update(|view| (view.state, view.generation) = (LaneState::Acquiring, generation));
        let order = self.order.as_ref().map(|(order, _)| order.clone());
        let parts = Arc::clone(&self.parts);
        let (tables, source, stop_at) = (Arc::clone(&self.tables), self.source.clone(), self.stop_at);
        let job = StartJob { parts, tables, source, order, stop_at, is_cancelled };
        let lane = ctx.address();
        let spawned = std::thread::Builder::new().name(format!("start-{}", self.source)).spawn(move || {
            let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.run()));
            let outcome = run.unwrap_or_else(|panic| {
                let message = crate::stage::host::panic_message(panic.as_ref());
                let opened = Err(Fault::internal("lane.start-panicked", message));
                Outcome { opened, progress: Progress::default() }
            });
            lane.do_send(Started { generation, outcome });
        });
        match spawned {
            Ok(thread) => self.parts.reaper.join(thread),
            Err(error) => {
                let fault = Fault::retry("process.no-thread", format!("no thread to start {}: {error}", self.source));
                self.starting = None;
                self.ended(LANE, &Exit::Failed(fault), ctx);
            }
        }
    }

    /// A generation, or the attempt to start one, has ended with the `exit` of `part`: decide what comes next.
    fn ended(&mut self, part: &'static str, exit: &Exit, ctx: &mut Context<Self>) {
        // A position that is gone under a running reader may be that of a topic that was created again. The next start
        // asks for the topic and the watermarks, and says which it is.
        let asked_again = match exit {
            Exit::Failed(fault) if fault.event == OUT_OF_RANGE && part != LANE && self.is_topic_known => {
                Some(Exit::Failed(Fault { verdict: Verdict::Retry, ..fault.clone() }))
            }
            _ => None,
        };
        let exit = asked_again.as_ref().unwrap_or(exit);
        let decision = self.policy.decide(exit, self.parts.clock.instant(), fastrand::f64());
        if decision == Decision::Ignore {
            return;
        }
        self.retire();
        let fault = match exit {
            Exit::Failed(fault) => fault.clone(),
            other => Fault::internal("lane.stage-failed", format!("{part} of {}: {other}", self.source)),
        };
        // Whoever accepts a topic may be served by another daemon of the group, permissions are given back elsewhere,
        // clocks are put right by time servers, and who has fenced us may have been a start that came too late, of an
        // owner that the group has long forgotten. So we look now and then; a start takes no epoch unless the partition
        // is ours.
        let passes = [TOPIC_RECREATED, CLOCKS_APART].contains(&fault.event) || fault.is_about_permission();
        let looks = decision == Decision::AwaitAssignment || passes;
        let look = looks.then_some(self.parts.limits.parked_retry);
        let course = if self.is_draining { Course::End } else { decision.course(look) };
        let trouble = self.note(&fault, course);
        self.renewal.answer();
        match &decision {
            Decision::Halt(_) => events::lane_halted(self.generation, &trouble),
            _ => events::fault(part, self.generation, &trouble),
        }
        if self.is_draining {
            // Nothing more can be committed by this generation, and a drain does not begin another.
            return self.come_to_rest(LaneEnd::Stopped, ctx);
        }
        match decision {
            Decision::RestartAfter(delay) => {
                events::stage_restarted(LANE, Some(&self.source), self.generation + 1, &fault.message, delay);
                self.start_after(delay, LaneState::Waiting, ctx);
            }
            Decision::ParkFor(delay) => {
                events::lane_parked(&self.source, self.generation, self.policy.restarts(), delay);
                self.start_after(delay, LaneState::Parked, ctx);
            }
            Decision::Halt(_) => self.rest(look, LaneState::Halted, ctx),
            Decision::AwaitAssignment => self.rest(look, LaneState::Fenced, ctx),
            Decision::Ignore => {}
        }
    }

    /// Comes to a stand, until it is told to start or looks by itself.
    fn rest(&mut self, look: Option<Duration>, state: LaneState, ctx: &mut Context<Self>) {
        match look {
            Some(wait) => self.start_after(wait, state, ctx),
            None => self.set_state(state),
        }
    }

    fn start_after(&mut self, delay: Duration, state: LaneState, ctx: &mut Context<Self>) {
        self.set_state(state);
        self.cancel_next_start(ctx);
        self.next_start = Some(ctx.run_later(delay, Self::start_generation));
    }

    pub(super) fn cancel_next_start(&mut self, ctx: &mut Context<Self>) {
        if let Some(handle) = self.next_start.take() {
            ctx.cancel_future(handle);
        }
    }

    /// Halts the running stages. What they report from now on is of no interest.
    pub(super) fn retire(&mut self) {
        (self.stopping, self.renewal.is_due) = (None, false);
        if let Some(stages) = self.stages.take() {
            stages.halt(&self.parts.reaper);
        }
    }

    /// Comes to rest, but not before a start that is under way has ended: a start that goes on alone would take the
    /// lane away from whoever owns it next, which may be a lane of this very process.
    fn leave(&mut self, end: LaneEnd, ctx: &mut Context<Self>) {
        match &self.starting {
            Some(is_cancelled) => {
                is_cancelled.store(true, Ordering::Release);
                self.is_draining = true;
            }
            None => self.come_to_rest(end, ctx),
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
        if let Some(stage) = stages.hung(self.parts.hang_after) {
            self.ended(stage, &Exit::Hung, ctx);
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
        self.starting = None;
        let Outcome { opened, progress: Progress { done, letters: routes, place } } = started.outcome;
        if let Some((_, reply)) = self.order.take() {
            let lost = Err(Fault::internal("lane.order-unanswered", "it was not tried; try again"));
            // Whoever asked may have given up waiting.
            let _ = reply.send(done.unwrap_or(lost));
        }
        if self.is_draining {
            // Nothing was read yet.
            return self.come_to_rest(LaneEnd::Drained, ctx);
        }
        if !routes.is_empty() {
            self.letters.opened(LaneOpened { lane: self.source.clone(), routes, view: self.view.clone() });
        }
        if let Some((head, end)) = place {
            self.view.update(|view| {
                view.committed = Some(head);
                view.saw_end(end);
            });
            metrics().set_lag(&self.source, end - head);
        }
        let opened = match opened {
            Ok(opened) => opened,
            Err(fault) => return self.ended(LANE, &Exit::Failed(fault), ctx),
        };
        let (epoch, head) = (opened.ledger.epoch(), opened.ledger.head());
        let left = opened.ledger.leftovers();
        if left != Leftovers::default() {
            let Leftovers { rewinds, revisions, intervals, files } = left;
            let left = LaneRecovery { rewinds, revisions, intervals, files };
            events::lane_recovered(&self.source, self.generation, left);
        }
        self.stop_at = opened.stop_at;
        self.is_topic_known = opened.topic_id.is_some();
        if self.is_out_of_date() {
            // Nothing was read yet.
            return self.start_generation(ctx);
        }
        events::lane_acquired(&self.source, self.generation, epoch, head);
        let state = if self.is_paused { LaneState::Paused } else { LaneState::Running };
        self.view.update(|view| {
            (view.state, view.epoch) = (state, Some(epoch.0));
            view.mappings = mappings(&self.tables, &self.source);
        });
        let reports = ctx.address().recipient();
        let (source, generation) = (&self.source, self.generation);
        let lane = LaneIdentity { source, generation, is_paused: self.is_paused };
        let stages = match Stages::start(&self.parts, &lane, opened, &self.view, &self.letters, &reports) {
            Ok(stages) => stages,
            Err(fault) => return self.ended(LANE, &Exit::Failed(fault), ctx),
        };
        self.stages = Some(stages);
        self.renewal.answer();
    }
}

/// The tables of a lane with the versions of their mappings.
fn mappings(tables: &TableSet, lane: &TopicPartition) -> BTreeMap<String, u32> {
    tables.of_topic(&lane.topic).map(|(_, table)| (table.name.to_string(), table.mapping.version)).collect()
}

impl Handler<StageExited> for LaneSupervisor {
    type Result = ();

    fn handle(&mut self, report: StageExited, ctx: &mut Self::Context) {
        let is_renewed = self.is_renewed_by(&report.exit);
        let Some(stages) = self.stages.as_mut().filter(|_| report.generation == self.generation) else { return };
        let all_ended = stages.exited();
        if all_ended && is_renewed {
            // All that was read with the old tables is committed.
            self.retire();
            return self.start_generation(ctx);
        }
        match (report.exit, self.stopping.take()) {
            (Exit::Stopped(fault), _) => {
                // The reader is halted, the bufferer sees the end of its input and commits.
                stages.stop_reading();
                self.stopping = Some(fault);
                self.set_state(LaneState::Draining);
            }
            (Exit::Drained | Exit::DownstreamClosed, Some(_)) if all_ended && self.is_draining => {
                self.come_to_rest(LaneEnd::Drained, ctx);
            }
            (Exit::Drained | Exit::DownstreamClosed, Some(fault)) if all_ended => {
                self.ended(report.stage, &Exit::Failed(fault), ctx);
            }
            (Exit::Drained | Exit::DownstreamClosed, Some(fault)) => self.stopping = Some(fault),
            (Exit::Drained, None) if all_ended => {
                self.retire();
                self.come_to_rest(LaneEnd::Drained, ctx);
            }
            (Exit::Drained | Exit::DownstreamClosed, None) if all_ended => {
                let fault = Fault::internal("lane.ended", "all stages have ended, and none of them said why");
                self.ended(report.stage, &Exit::Failed(fault), ctx);
            }
            (exit, _) => self.ended(report.stage, &exit, ctx),
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
            None => self.leave(LaneEnd::Drained, ctx),
        }
    }
}

impl Handler<StopLane> for LaneSupervisor {
    type Result = ();

    fn handle(&mut self, _: StopLane, ctx: &mut Self::Context) {
        self.leave(LaneEnd::Stopped, ctx);
    }
}

impl Handler<Reassigned> for LaneSupervisor {
    type Result = ();

    fn handle(&mut self, _: Reassigned, ctx: &mut Self::Context) {
        if self.view.get().state == LaneState::Fenced {
            self.cancel_next_start(ctx);
            self.start_generation(ctx);
        }
    }
}

impl Handler<TopicAccepted> for LaneSupervisor {
    type Result = ();

    fn handle(&mut self, _: TopicAccepted, ctx: &mut Self::Context) {
        let is_waiting =
            |view: &LaneView| view.last_fault.as_ref().is_some_and(|last| last.fault.event == TOPIC_RECREATED);
        if is_waiting(&self.view.get()) && self.stages.is_none() && self.starting.is_none() && !self.is_draining {
            self.cancel_next_start(ctx);
            self.start_generation(ctx);
        }
    }
}

impl Handler<BatchLost> for LaneSupervisor {
    type Result = ();

    fn handle(&mut self, lost: BatchLost, ctx: &mut Self::Context) {
        if self.stages.is_some() && lost.generation == self.generation {
            self.ended(PARSER, &Exit::Failed(lost.fault), ctx);
        }
    }
}

impl Handler<PauseLane> for LaneSupervisor {
    type Result = ();

    fn handle(&mut self, _: PauseLane, _: &mut Self::Context) {
        if !std::mem::replace(&mut self.is_paused, true) {
            events::lane_paused(&self.source, true);
        }
        if let Some(stages) = self.stages.as_ref().filter(|_| self.is_reading()) {
            stages.pause(true);
            self.set_state(LaneState::Paused);
        }
    }
}

impl Handler<ResumeLane> for LaneSupervisor {
    type Result = ();

    fn handle(&mut self, _: ResumeLane, ctx: &mut Self::Context) {
        if std::mem::replace(&mut self.is_paused, false) {
            events::lane_paused(&self.source, false);
        }
        if self.starting.is_some() || self.stages.is_some() && !self.is_reading() || self.is_draining {
            return;
        }
        if let Some(stages) = &self.stages {
            stages.pause(false);
            self.set_state(LaneState::Running);
        } else {
            self.cancel_next_start(ctx);
            self.start_generation(ctx);
        }
    }
}

impl Handler<OrderLane> for LaneSupervisor {
    type Result = ResponseFuture<Result<Done, Fault>>;

    fn handle(&mut self, order: OrderLane, ctx: &mut Self::Context) -> Self::Result {
        if self.order.is_some() || self.starting.is_some() || self.is_draining {
            let busy =
                Fault::retry("lane.busy", format!("{} is starting or ending; try again in a moment", self.source));
            return Box::pin(async move { Err(busy) });
        }
        let (reply, answer) = oneshot::channel();
        self.order = Some((order.0, reply));
        self.cancel_next_start(ctx);
        self.retire();
        self.start_generation(ctx);
        Box::pin(async move {
            answer.await.unwrap_or_else(|_| Err(Fault::internal("lane.gone", "the lane ended before it was done")))
        })
    }
}
