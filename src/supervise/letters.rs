//! Supervises the sender of dead letters: tells it of lanes, watches it, starts it again. The lanes never wait for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::{Actor, Addr, AsyncContext, Context, Handler, Message, ResponseFuture};
use tokio::sync::oneshot;

use super::parts::Parts;
use super::policy::{Decision, RestartPolicy};
use super::view::{LaneView, LettersView, Shared};
use crate::clock::Clock;
use crate::fault::Fault;
use crate::flow::letters::post::OpenPost;
use crate::flow::letters::sender::{Account, LetterObserver, LetterSenderStep, Order, SenderParts};
use crate::lake::LetterRoute;
use crate::model::offset::TopicPartition;
use crate::model::status::Node;
use crate::observe::trouble::{Course, Subject, Trouble};
use crate::observe::{events, metrics};
use crate::stage::exit::Exit;
use crate::stage::host::{self, Probe, StageExited, StageHandle};

/// Role of the sender in logs and metrics.
const SENDER: &str = "LetterSender";
/// A look at the lake may take a while, and nobody waits for the sender: it hangs only after this.
const HUNG_AFTER: Duration = Duration::from_secs(300);

/// A lane was taken, and dead letters of it go these ways.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct LaneOpened {
    /// The lane, as Kafka calls it.
    pub lane: TopicPartition,
    /// The ways: one for each of its tables that has a dead-letter topic, and for messages that none takes.
    pub routes: Vec<LetterRoute>,
    /// Where people look.
    pub view: Shared<LaneView>,
}

/// A lane has committed.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
struct LaneCommitted(TopicPartition);

/// A lane was given up.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
struct LaneLetGo(TopicPartition);

/// Send what is committed, then end; answers when that is done.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
struct FinishLetters;

/// End at once: what was not sent is sent by whoever has the lanes next.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
struct StopLetters;

/// The supervisor of dead letters as other parts see it; nobody, when no table has a dead-letter topic. Cheap to clone.
#[derive(Clone, Default)]
pub struct Letters(Option<Addr<LetterSupervisor>>);

impl Letters {
    /// Starts the supervisor, when a table has a dead-letter topic. To be called on the root's arbiter.
    pub(super) fn start(parts: &Arc<Parts>, node: Shared<Node>) -> Self {
        Self(parts.has_dead_letter_topic().then(|| LetterSupervisor::new(Arc::clone(parts), node).start()))
    }

    /// Whether it is still there, if it ever was.
    pub(super) fn is_well(&self) -> bool {
        self.0.as_ref().is_none_or(Addr::connected)
    }

    pub(super) fn opened(&self, opened: LaneOpened) {
        self.tell(opened);
    }

    pub(super) fn committed(&self, lane: &TopicPartition) {
        self.tell(LaneCommitted(lane.clone()));
    }

    pub(super) fn let_go(&self, lane: &TopicPartition) {
        self.tell(LaneLetGo(lane.clone()));
    }

    pub(super) fn stop(&self) {
        self.tell(StopLetters);
    }

    /// Ends when everything that is committed was sent.
    pub(super) fn finish(&self) -> impl Future<Output = ()> + use<> {
        let finished = self.0.as_ref().map(|letters| letters.send(FinishLetters));
        async move {
            if let Some(finished) = finished {
                // A supervisor that is gone has nothing to send.
                let _ = finished.await;
            }
        }
    }

    fn tell<M>(&self, message: M)
    where
        M: Message<Result = ()> + Send + 'static,
        LetterSupervisor: Handler<M>,
    {
        if let Some(letters) = &self.0 {
            letters.do_send(message);
        }
    }
}

/// Lanes whose letters are sent, by their names in Kafka.
type Views = Shared<BTreeMap<TopicPartition, Shared<LaneView>>>;

/// Supervises the sender.
pub struct LetterSupervisor {
    parts: Arc<Parts>,
    node: Shared<Node>,
    lanes: BTreeMap<TopicPartition, Vec<LetterRoute>>,
    views: Views,
    stage: Option<StageHandle<LetterSenderStep>>,
    policy: RestartPolicy,
    generation: u64,
    finished: Option<oneshot::Sender<()>>,
    is_stopped: bool,
}

impl LetterSupervisor {
    fn new(parts: Arc<Parts>, node: Shared<Node>) -> Self {
        let policy = RestartPolicy::new(parts.limits);
        let (lanes, views) = (BTreeMap::new(), Shared::new(BTreeMap::new()));
        Self { parts, node, lanes, views, stage: None, policy, generation: 0, finished: None, is_stopped: false }
    }

    fn start_sender(&mut self, ctx: &mut Context<Self>) {
        if self.stage.is_some() || self.is_stopped {
            return;
        }
        self.generation += 1;
        let clock = Arc::clone(&self.parts.clock);
        let observer = Arc::new(Observer { views: self.views.clone(), clock: Arc::clone(&clock) });
        let post: OpenPost = Arc::clone(&self.parts.post);
        let step =
            LetterSenderStep::new(SenderParts { group: self.parts.owner.group.as_str().into(), post, clock, observer });
        let probe = self.parts.probe.clone();
        let probe = probe.map(|probe| Arc::new(move |stage: &'static str| probe(stage, None)) as Probe);
        let stage = host::start(SENDER, self.generation, 0, step, probe, ctx.address().recipient());
        for (lane, routes) in &self.lanes {
            routes.iter().for_each(|route| stage.tell(Order::Open(lane.clone(), route.clone())));
        }
        if self.finished.is_some() {
            stage.tell(Order::Finish);
        }
        self.stage = Some(stage);
        let generation = self.generation;
        self.node.update(|node| {
            node.generation = generation;
            "running".clone_into(&mut node.state);
        });
    }

    fn tell(&self, order: Order) {
        if let Some(stage) = &self.stage {
            stage.tell(order);
        }
    }

    fn retire(&mut self) {
        if let Some(stage) = self.stage.take() {
            stage.halt();
            self.parts.reaper.join(stage);
        }
    }

    fn ended(&mut self, exit: &Exit, ctx: &mut Context<Self>) {
        self.retire();
        if *exit == Exit::Drained {
            self.is_stopped = true;
            if let Some(finished) = self.finished.take() {
                // Whoever asked may have given up waiting.
                let _ = finished.send(());
            }
            return;
        }
        let fault = match exit {
            Exit::Failed(fault) => fault.clone(),
            other => Fault::internal("letters.sender-failed", format!("the sender of dead letters {other}")),
        };
        let decision = self.policy.decide(exit, self.parts.clock.instant(), fastrand::f64());
        let (state, wait) = match decision {
            Decision::RestartAfter(wait) => ("waiting", wait),
            _ => ("parked", self.parts.limits.parked_retry),
        };
        let trouble = Trouble::new(Subject::Daemon, &fault, Course::Retry(wait), self.parts.clock.now());
        events::fault(SENDER, self.generation, &trouble);
        events::stage_restarted(SENDER, None, self.generation + 1, &fault.message, wait);
        let restarts = u64::from(self.policy.restarts());
        self.node.update(|node| {
            state.clone_into(&mut node.state);
            (node.restarts, node.last_fault) = (restarts, Some(fault.message));
        });
        ctx.run_later(wait, Self::start_sender);
    }

    fn check(&mut self, ctx: &mut Context<Self>) {
        let silence = self.stage.as_ref().map(|stage| stage.heartbeat.silence()).unwrap_or_default();
        if silence > HUNG_AFTER.max(self.parts.hang_after) {
            self.ended(&Exit::Hung, ctx);
        }
    }
}

impl Actor for LetterSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.start_sender(ctx);
        ctx.run_interval(Duration::from_millis(500), Self::check);
    }
}

impl Handler<StageExited> for LetterSupervisor {
    type Result = ();

    fn handle(&mut self, report: StageExited, ctx: &mut Self::Context) {
        if report.generation == self.generation && self.stage.is_some() {
            self.ended(&report.exit, ctx);
        }
    }
}

impl Handler<LaneOpened> for LetterSupervisor {
    type Result = ();

    fn handle(&mut self, opened: LaneOpened, _: &mut Self::Context) {
        let LaneOpened { lane, routes, view } = opened;
        view.update(|view| {
            let before = std::mem::take(&mut view.letters);
            let letters_of = |route: &LetterRoute| {
                // Where they are now is looked up: a rewind may have come between.
                let sent = before.iter().find(|letters| letters.is_of(route)).map_or(0, |letters| letters.sent);
                LettersView { sent, ..LettersView::new(route.table(), route.topic()) }
            };
            view.letters = routes.iter().map(letters_of).collect();
        });
        self.views.update(|views| drop(views.insert(lane.clone(), view)));
        for route in &routes {
            self.tell(Order::Open(lane.clone(), route.clone()));
        }
        self.lanes.insert(lane, routes);
    }
}

impl Handler<LaneCommitted> for LetterSupervisor {
    type Result = ();

    fn handle(&mut self, committed: LaneCommitted, _: &mut Self::Context) {
        self.tell(Order::Committed(committed.0));
    }
}

impl Handler<LaneLetGo> for LetterSupervisor {
    type Result = ();

    fn handle(&mut self, let_go: LaneLetGo, _: &mut Self::Context) {
        let routes = self.lanes.remove(&let_go.0);
        self.views.update(|views| drop(views.remove(&let_go.0)));
        routes.iter().flatten().for_each(|route| metrics().forget_letters(&let_go.0, route.table()));
        self.tell(Order::LetGo(let_go.0));
    }
}

impl Handler<FinishLetters> for LetterSupervisor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: FinishLetters, _: &mut Self::Context) -> Self::Result {
        let (finished, answer) = oneshot::channel();
        if !self.is_stopped {
            self.finished = Some(finished);
            self.tell(Order::Finish);
        }
        Box::pin(async move {
            // Dropped: there is no sender any more, and nothing to wait for.
            let _ = answer.await;
        })
    }
}

impl Handler<StopLetters> for LetterSupervisor {
    type Result = ();

    fn handle(&mut self, _: StopLetters, _: &mut Self::Context) {
        self.is_stopped = true;
        self.retire();
    }
}

/// What happens to letters, for people: on the sender's thread.
struct Observer {
    views: Views,
    clock: Arc<dyn Clock>,
}

impl Observer {
    fn update(&self, lane: &TopicPartition, route: &LetterRoute, change: impl FnOnce(&mut LettersView)) {
        let Some(view) = self.views.get().remove(lane) else { return };
        view.update(|view| {
            if let Some(letters) = view.letters.iter_mut().find(|letters| letters.is_of(route)) {
                change(letters);
            }
            view.show_letter_lag(lane);
        });
    }
}

impl LetterObserver for Observer {
    fn progressed(&self, lane: &TopicPartition, route: &LetterRoute, account: Account) {
        events::letters_sent(lane, route.table(), route.topic(), account.position, account.sent);
        self.update(lane, route, |letters| {
            letters.position = Some(account.position);
            letters.sent += account.sent as u64;
            letters.fault = None;
        });
    }

    fn failed(&self, lane: &TopicPartition, route: &LetterRoute, fault: &Fault, wait: Duration) {
        let met = Trouble::new(Subject::Lane(lane.clone()), fault, Course::Retry(wait), self.clock.now());
        let mut trouble = met.clone();
        self.update(lane, route, |letters| {
            trouble = met.after(letters.fault.as_ref());
            letters.fault = Some(trouble.clone());
        });
        events::fault(SENDER, 0, &trouble);
    }
}
