//! The root as an actor: which lanes exist, and when the process ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use actix::prelude::{Actor, Addr, AsyncContext, Context, Handler, Message, ResponseFuture};
use crossbeam_channel::{Receiver, Sender};
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::pauses::Pauses;
use crate::fault::{Fault, Verdict};
use crate::flow::parse::ParseJob;
use crate::flow::promote::due::Schedule;
use crate::flow::read::faults;
use crate::flow::read::session::SessionEvent;
use crate::model::offset::TopicPartition;
use crate::model::status::Node;
use crate::model::table::TopicChoice;
use crate::observe::trouble::{Course, Subject, Trouble};
use crate::observe::{events, metrics};
use crate::supervise::lane::{BatchLost, DrainLane, LaneEnd, LaneEnded, LaneSupervisor, Reassigned, StopLane};
use crate::supervise::letters::Letters;
use crate::supervise::parts::Parts;
use crate::supervise::pool::{ParserPool, PoolFailed, StopPool};
use crate::supervise::promotion::{PromotionSettings, PromotionSupervisor, SetRole};
use crate::supervise::timer::HourlyTimer;
use crate::supervise::view::{LaneView, PromotionView, Shared};

/// Something the consumer saw.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FromSession(pub SessionEvent);

/// Finish what is in flight, commit it, end the process. The second order changes nothing.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct DrainAll {
    /// Who or what wants it, in a word or two; for the log.
    pub reason: &'static str,
}

/// The process ends: stop every part that still runs, at once.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct TakeDown;

/// How the root runs.
pub struct RootSettings {
    /// Workers of the parser pool.
    pub parsers: usize,
    /// The pool's queue.
    pub jobs: Receiver<ParseJob>,
    /// How long a drain may take.
    pub drain_deadline: Duration,
    /// When promotions are due.
    pub schedule: Schedule,
    /// What promotions need.
    pub promotion: PromotionSettings,
}

/// Role of the consumer in logs and metrics.
const SESSION: &str = "KafkaSession";

/// The top of the tree.
pub struct RootSupervisor {
    pub(super) parts: Arc<Parts>,
    pub(super) settings: RootSettings,
    pub(super) lanes: BTreeMap<TopicPartition, LaneEntry>,
    pub(super) mode: Mode,
    assignments: u64,
    pub(super) is_assigned: bool,
    /// Whether any lane has ever been taken.
    pub(super) has_worked: bool,
    /// Last generation of each Kafka partition that was ever ours: a later one is never taken for an earlier one.
    generations: BTreeMap<TopicPartition, u64>,
    revokes: Vec<(BTreeSet<TopicPartition>, Sender<()>)>,
    pub(super) pool: Option<Addr<ParserPool>>,
    pub(super) timer: Option<Addr<HourlyTimer>>,
    /// Rounds of the consumer's poll thread, and when they were last seen to change.
    pub(super) session_beats: (u64, Instant),
    /// Why the process ends although lanes have work, once a drain has taken too long.
    pub(super) overdue: Option<Fault>,
    pub(super) pauses: Pauses,
    pub(super) promotions: Option<Addr<PromotionSupervisor>>,
    pub(super) letters: Letters,
    pub(super) letters_node: Shared<Node>,
    /// Whether the end only waits for dead letters.
    pub(super) is_posting: bool,
    /// No promotion runs, and none begins any more.
    pub(super) has_promoted: bool,
    pub(super) promotion_views: Vec<(usize, Shared<PromotionView>)>,
    pub(super) pool_view: Shared<Node>,
    pub(super) next_due: Shared<Option<Timestamp>>,
    pub(super) session_fault: Option<Trouble>,
    /// Raised, it ends the look at the lake; none before that has begun.
    pub(super) look: Option<Arc<AtomicBool>>,
    /// That there are Kafka partitions which no daemon of the group owns.
    unowned: Option<Trouble>,
    pub(super) exit: Option<oneshot::Sender<Result<(), Fault>>>,
}

pub(super) struct LaneEntry {
    pub(super) address: Addr<LaneSupervisor>,
    pub(super) view: Shared<LaneView>,
    assignment: u64,
    pub(super) end: Option<LaneEnd>,
    /// Given up by the group while it was ours; its lane is coming to rest.
    is_revoked: bool,
    /// Assigned to us again before the lane had come to rest: another follows it.
    is_wanted_again: bool,
}

/// What the daemon as a whole is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Running,
    /// Every lane is caught up; the last promotion runs.
    Finishing,
    Draining,
}

impl RootSupervisor {
    /// A root that tells `exit` how the process shall end.
    pub fn new(parts: Arc<Parts>, settings: RootSettings, exit: oneshot::Sender<Result<(), Fault>>) -> Self {
        let tables = parts.tables();
        let promoted = tables.tables().iter().enumerate().filter(|(_, table)| table.processed.is_some());
        let promotion_views =
            promoted.map(|(index, table)| (index, Shared::new(PromotionView::idle(&table.name)))).collect();
        let now = parts.clock.instant();
        let pool_view = Shared::new(Node::new("parsers", "pool", "running"));
        Self {
            parts,
            settings,
            lanes: BTreeMap::new(),
            mode: Mode::Running,
            assignments: 0,
            is_assigned: false,
            has_worked: false,
            generations: BTreeMap::new(),
            revokes: Vec::new(),
            pool: None,
            timer: None,
            session_beats: (0, now),
            overdue: None,
            pauses: Pauses::default(),
            promotions: None,
            letters: Letters::default(),
            letters_node: Shared::new(Node::new("LetterSender", "stage", "waiting")),
            is_posting: false,
            has_promoted: false,
            promotion_views,
            pool_view,
            next_due: Shared::new(None),
            session_fault: None,
            look: None,
            unowned: None,
            exit: Some(exit),
        }
    }

    fn start_lane(&mut self, source: &TopicPartition, ctx: &Context<Self>) {
        self.assignments += 1;
        let assignment = self.assignments;
        let table = self.parts.tables().names_of(&source.topic);
        let before = self.lanes.get(source).map(|lane| lane.view.get().generation);
        let generation = before.or_else(|| self.generations.get(source).copied()).unwrap_or(0);
        let view = Shared::new(LaneView { generation, ..LaneView::new(source, table) });
        let is_paused = self.pauses.holds(source);
        let lane = LaneSupervisor::new(
            Arc::clone(&self.parts),
            source.clone(),
            view.clone(),
            assignment,
            is_paused,
            self.letters.clone(),
            ctx.address().recipient(),
        );
        let address = lane.start();
        let entry = LaneEntry { address, view, assignment, end: None, is_revoked: false, is_wanted_again: false };
        self.lanes.insert(source.clone(), entry);
    }

    fn assigned(&mut self, sources: &[TopicPartition], ctx: &Context<Self>) {
        self.is_assigned = true;
        events::rebalanced(sources.len(), 0);
        if self.mode != Mode::Running {
            return;
        }
        for source in sources {
            // The group has gone on without an answer to its revoke.
            self.revokes.iter_mut().for_each(|(revoked, _)| {
                revoked.remove(source);
            });
            match self.lanes.get_mut(source).filter(|lane| lane.end.is_none()) {
                None => self.start_lane(source, ctx),
                // The group did not wait for it. What it has not committed is read again by the lane that follows.
                Some(lane) if lane.is_revoked => {
                    lane.is_wanted_again = true;
                    lane.address.do_send(StopLane);
                }
                Some(lane) => lane.address.do_send(Reassigned),
            }
        }
        self.finish_revokes();
        self.set_role();
    }

    fn revoked(&mut self, sources: Vec<TopicPartition>, lost: bool, done: Sender<()>) {
        events::rebalanced(0, sources.len());
        let owned: BTreeSet<_> = sources.into_iter().filter(|source| self.lanes.contains_key(source)).collect();
        for source in &owned {
            if let Some(lane) = self.lanes.get_mut(source).filter(|lane| lane.end.is_none()) {
                (lane.is_revoked, lane.is_wanted_again) = (true, false);
                if lost { lane.address.do_send(StopLane) } else { lane.address.do_send(DrainLane) }
            }
        }
        self.revokes.push((owned, done));
        self.finish_revokes();
        self.set_role();
    }

    /// Answers revokes whose lanes have all come to rest, and forgets those lanes.
    fn finish_revokes(&mut self) {
        let (lanes, generations, letters) = (&mut self.lanes, &mut self.generations, &self.letters);
        self.revokes.retain(|(sources, done)| {
            if sources.iter().any(|source| lanes.get(source).is_some_and(|lane| lane.end.is_none())) {
                return true;
            }
            for source in sources {
                if let Some(lane) = lanes.remove(source) {
                    generations.insert(source.clone(), lane.view.get().generation);
                    letters.let_go(source);
                }
            }
            // The consumer waits for a bounded time only; it may be gone.
            let _ = done.send(());
            false
        });
    }

    /// What is wrong with Kafka, as far as the daemon goes on all the same.
    pub(super) fn kafka_fault(&self) -> Option<Trouble> {
        self.session_fault.clone().or_else(|| self.unowned.clone())
    }

    /// A fault of what serves all lanes, as what has become of the trouble `before`.
    pub(super) fn meets(&self, fault: &Fault, course: Course, before: Option<&Trouble>) -> Trouble {
        Trouble::new(Subject::Daemon, fault, course, self.parts.clock.now()).after(before)
    }

    fn unowned_view(&self, sources: &[TopicPartition]) -> Option<Trouble> {
        let names: Vec<String> = sources.iter().map(ToString::to_string).collect();
        let message = format!("no daemon of the group owns {}; one of them joins the group again", names.join(", "));
        let fault = Fault::retry(faults::UNOWNED, message);
        (!sources.is_empty()).then(|| self.meets(&fault, Course::Wait, self.unowned.as_ref()))
    }

    /// Which tables are promoted here: those whose first topic's Kafka partition 0 is ours.
    fn set_role(&self) {
        let revoked = |source: &TopicPartition| self.revokes.iter().any(|(sources, _)| sources.contains(source));
        let first = |choice: &TopicChoice| match choice {
            TopicChoice::List(topics) => topics.iter().min().cloned(),
            TopicChoice::Pattern(_) => {
                let topics = self.lanes.keys().filter(|source| choice.takes(&source.topic));
                topics.map(|source| source.topic.to_string()).min()
            }
        };
        let tables = self.parts.tables();
        let is_ours = |table: &usize| {
            let first = first(&tables.tables()[*table].topics).map(|topic| TopicPartition::new(topic, 0));
            first.is_some_and(|first| self.lanes.contains_key(&first) && !revoked(&first))
        };
        let role = self.promotion_views.iter().map(|(table, _)| *table).filter(is_ours).collect();
        if let Some(promotions) = &self.promotions {
            promotions.do_send(SetRole(role));
        }
    }
}

impl Actor for RootSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let pool = ParserPool::new(
            Arc::clone(&self.parts),
            self.settings.jobs.clone(),
            self.settings.parsers,
            self.pool_view.clone(),
            ctx.address().recipient(),
            ctx.address().recipient(),
        );
        self.pool = Some(pool.start());
        let promotions =
            PromotionSupervisor::new(Arc::clone(&self.parts), self.settings.promotion.clone(), &self.promotion_views)
                .start();
        let timer = HourlyTimer::new(
            self.settings.schedule.clone(),
            Arc::clone(&self.parts.clock),
            self.next_due.clone(),
            promotions.clone().recipient(),
        );
        self.timer = Some(timer.start());
        self.letters = Letters::start(&self.parts, self.letters_node.clone());
        self.promotions = Some(promotions);
        ctx.run_interval(Duration::from_millis(100), Self::check);
    }
}

impl Drop for RootSupervisor {
    fn drop(&mut self) {
        self.fail(Fault::internal("root.vanished", "the root supervisor ended without a report"));
    }
}

impl Handler<FromSession> for RootSupervisor {
    type Result = ();

    fn handle(&mut self, event: FromSession, ctx: &mut Self::Context) {
        match event.0 {
            SessionEvent::Assigned(sources) => self.assigned(&sources, ctx),
            SessionEvent::Revoked { partitions, lost, done } => self.revoked(partitions, lost, done),
            SessionEvent::Stats(stats) => {
                for stats in stats {
                    if let (Some(lane), Some(end)) = (self.lanes.get(&stats.source), stats.high) {
                        lane.view.update(|view| view.saw_end(end));
                        metrics().set_lag(&stats.source, lane.view.get().lag.unwrap_or(0));
                    }
                }
            }
            SessionEvent::Connected => self.session_fault = None,
            SessionEvent::Unowned(sources) => self.unowned = self.unowned_view(&sources),
            SessionEvent::Fault(fault) => {
                let ends = fault.verdict == Verdict::Halt;
                let course = if ends { Course::End } else { Course::Wait };
                let trouble = self.meets(&fault, course, self.session_fault.as_ref());
                events::fault(SESSION, 0, &trouble);
                self.session_fault = Some(trouble);
                if ends {
                    self.end(Err(fault));
                }
            }
            SessionEvent::Ended(Some(fault)) => self.fail(fault),
            SessionEvent::Ended(None) => {}
        }
    }
}

impl Handler<LaneEnded> for RootSupervisor {
    type Result = ();

    fn handle(&mut self, ended: LaneEnded, ctx: &mut Self::Context) {
        let Some(lane) = self.lanes.get_mut(&ended.source).filter(|lane| lane.assignment == ended.assignment) else {
            return;
        };
        if ended.end == LaneEnd::Vanished {
            let message = format!("the supervisor of {} vanished", ended.source);
            return self.fail(Fault::internal("lane.vanished", message));
        }
        lane.end = Some(ended.end);
        let is_wanted_again = lane.is_wanted_again && self.mode == Mode::Running;
        self.finish_revokes();
        if is_wanted_again {
            self.start_lane(&ended.source, ctx);
            self.set_role();
        }
    }
}

impl Handler<BatchLost> for RootSupervisor {
    type Result = ();

    fn handle(&mut self, lost: BatchLost, _: &mut Self::Context) {
        if let Some(lane) = self.lanes.get(&lost.source.in_kafka()) {
            lane.address.do_send(lost);
        }
    }
}

impl Handler<PoolFailed> for RootSupervisor {
    type Result = ();

    fn handle(&mut self, failed: PoolFailed, _: &mut Self::Context) {
        self.fail(failed.0);
    }
}

impl Handler<TakeDown> for RootSupervisor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: TakeDown, _: &mut Self::Context) -> Self::Result {
        self.mode = Mode::Draining;
        self.stop_looking();
        self.lanes.values().filter(|lane| lane.end.is_none()).for_each(|lane| lane.address.do_send(StopLane));
        self.letters.stop();
        let pool = self.pool.take().map(|pool| pool.send(StopPool));
        Box::pin(async move {
            if let Some(stopped) = pool {
                // A pool that has vanished needs no stopping.
                let _ = stopped.await;
            }
        })
    }
}
