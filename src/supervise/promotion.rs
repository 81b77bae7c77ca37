//! Supervises promotions: one at a time, each on a thread of its own, tried again when its fault may pass.

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::{Actor, AsyncContext, Context, Handler, Message, ResponseFuture, SpawnHandle};
use tokio::sync::oneshot;

use super::parts::Parts;
use super::policy::{Decision, RestartPolicy};
use super::tables::TableSet;
use super::timer::Tick;
use super::view::{PromotionView, Shared};
use crate::fault::Fault;
use crate::flow::promote::due::Schedule;
use crate::flow::promote::{Promoter, PromotionReport};
use crate::lake::fence::Owner;
use crate::lake::names::Home;
use crate::lake::roll::{is_unfinished, last_promotion};
use crate::observe::events;
use crate::observe::trouble::{Course, Subject, Trouble};
use crate::stage::exit::Exit;
use crate::stage::host::panic_message;

/// Which tables this daemon promotes: those whose first topic's Kafka partition 0 is assigned to it.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct SetRole(pub BTreeSet<usize>);

/// Promote these tables now; empty: every table that this daemon promotes.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<(String, PromotionReport)>, Fault>")]
pub struct PromoteNow(pub Vec<String>);

/// Begin no promotion any more; answers when the one that runs has ended.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct EndPromotions;

/// What a promotion needs besides the parts.
#[derive(Debug, Clone)]
pub struct PromotionSettings {
    /// When promotions are due.
    pub schedule: Schedule,
    /// Bytes it may hold in memory.
    pub memory: u64,
}

/// Role of a promotion in logs and metrics.
const PROMOTER: &str = "Promoter";

/// Supervises the promotions of all tables.
pub struct PromotionSupervisor {
    parts: Arc<Parts>,
    settings: PromotionSettings,
    tables: Vec<TableState>,
    queue: VecDeque<usize>,
    is_running: bool,
    /// Who is told when none runs any more: none begins from then on.
    ending: Option<oneshot::Sender<()>>,
    is_ending: bool,
}

type Reply = oneshot::Sender<Result<PromotionReport, Fault>>;

struct TableState {
    table: usize,
    view: Shared<PromotionView>,
    /// Kept between promotions while this daemon has the role and the table is what it was.
    promoter: Option<Kept>,
    policy: RestartPolicy,
    /// The next try after one that failed. There is never more than one, however many ticks and commands fail
    /// meanwhile.
    retry: Option<SpawnHandle>,
    /// Who asked for the next promotion.
    waiting: Vec<Reply>,
    /// Who is told of the one that runs. Whoever asks while it runs asks for the next: this one may have looked at the
    /// lake before what they want to see was there.
    answered: Vec<Reply>,
}

/// A promoter, and the tables that it was made with.
struct Kept {
    promoter: Promoter,
    tables: Arc<TableSet>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Ended {
    slot: usize,
    promoter: Option<Kept>,
    result: Result<PromotionReport, Fault>,
}

/// The table in this slot has missed a tick, or was left in the middle of a promotion.
#[derive(Message)]
#[rtype(result = "()")]
struct Missed(usize);

impl PromotionSupervisor {
    /// A supervisor for every table that has a Processed zone; `views` is in their order.
    pub fn new(parts: Arc<Parts>, settings: PromotionSettings, views: &[(usize, Shared<PromotionView>)]) -> Self {
        let state = |(table, view): &(usize, Shared<PromotionView>)| TableState {
            table: *table,
            view: view.clone(),
            promoter: None,
            policy: RestartPolicy::new(parts.limits),
            retry: None,
            waiting: Vec::new(),
            answered: Vec::new(),
        };
        let tables = views.iter().map(state).collect();
        Self { parts, settings, tables, queue: VecDeque::new(), is_running: false, ending: None, is_ending: false }
    }

    fn name(&self, slot: usize) -> String {
        self.tables[slot].view.get().table
    }

    /// Whether no table at all is promoted here.
    fn has_no_role(&self) -> bool {
        self.tables.iter().all(|state| !state.view.get().is_promoter)
    }

    fn enqueue(&mut self, slot: usize, ctx: &mut Context<Self>) {
        if !self.queue.contains(&slot) {
            self.queue.push_back(slot);
        }
        self.run_next(ctx);
    }

    /// Ticks that passed since the last promotion, while nobody was there to hear them, are made up for by one; and
    /// what an earlier promoter has left half done is finished now, not at the next tick: till then a reader of the
    /// folders sees it.
    fn make_up_for_missed_ticks(&self, slot: usize, ctx: &mut Context<Self>) {
        if self.parts.until_caught_up {
            // It promotes when it has caught up.
            return;
        }
        let (parts, schedule, supervisor) = (Arc::clone(&self.parts), self.settings.schedule.clone(), ctx.address());
        let name = self.name(slot);
        let looked = std::thread::Builder::new().name("promotion-due".to_owned()).spawn(move || {
            let last = last_promotion(&*parts.storage, &Home::processed(&name));
            // A table that was never promoted waits for its first tick. Where the lake does not tell, a promotion meets
            // that too, tells it and tries again; one more than needed changes nothing.
            let is_due = last.map(|last| last.is_some() && schedule.is_due(last, parts.clock.now())).unwrap_or(true);
            if is_due || is_unfinished(&parts.storage, &name).unwrap_or(true) {
                supervisor.do_send(Missed(slot));
            }
        });
        match looked {
            Ok(thread) => self.parts.reaper.join(thread),
            // Nor does who has no thread to look with.
            Err(_) => ctx.notify(Missed(slot)),
        }
    }

    /// When the timer comes round.
    fn till_next_tick(&self) -> Option<Duration> {
        let now = self.parts.clock.now();
        let next = self.settings.schedule.next_after(now)?;
        Some(next.duration_since(now).unsigned_abs())
    }

    fn run_next(&mut self, ctx: &mut Context<Self>) {
        if self.is_running {
            return;
        }
        if self.is_ending {
            return self.tell_the_end();
        }
        let Some(slot) = self.queue.pop_front() else { return };
        self.is_running = true;
        let state = &mut self.tables[slot];
        state.answered = std::mem::take(&mut state.waiting);
        state.view.update(|view| "running".clone_into(&mut view.state));
        let reason = if state.answered.is_empty() { "timer" } else { "asked for" };
        events::promotion_started(&state.view.get().table, reason);
        let (parts, settings) = (Arc::clone(&self.parts), self.settings.clone());
        let (table, tables, supervisor) = (state.table, self.parts.tables(), ctx.address());
        let mut promoter = state.promoter.take().filter(|kept| kept.tables.is_same(&tables, table));
        let spawned = std::thread::Builder::new().name("promotion".to_owned()).spawn(move || {
            let run = catch_unwind(AssertUnwindSafe(|| promote(&parts, &settings, (&tables, table), &mut promoter)));
            let result =
                run.unwrap_or_else(|panic| Err(Fault::internal("promotion.panicked", panic_message(panic.as_ref()))));
            // After a fault the next try takes a new epoch and recovers from storage; nothing in memory is trusted.
            let promoter = result.is_ok().then_some(promoter).flatten();
            supervisor.do_send(Ended { slot, promoter, result });
        });
        match spawned {
            Ok(thread) => self.parts.reaper.join(thread),
            Err(error) => {
                let result = Err(Fault::retry("process.no-thread", format!("no thread for a promotion: {error}")));
                ctx.notify(Ended { slot, promoter: None, result });
            }
        }
    }
}

impl PromotionSupervisor {
    fn tell_the_end(&mut self) {
        let ending = || Fault::retry("promotion.ending", "the daemon is ending: promote when it runs again");
        for reply in self.tables.iter_mut().flat_map(|state| state.waiting.drain(..)) {
            // Whoever asked may have given up waiting.
            let _ = reply.send(Err(ending()));
        }
        if let Some(ended) = self.ending.take() {
            let _ = ended.send(());
        }
    }
}

/// One log line and the counters of a promotion.
fn tell(table: &str, report: &PromotionReport) {
    match report.seq {
        Some(seq) => {
            let (rows, files) = (report.winners, report.files_added);
            events::promotion_done(table, seq, rows, files, report.bytes_added, report.duration);
        }
        None => events::promotion_empty(table),
    }
}

fn promote(
    parts: &Parts,
    settings: &PromotionSettings,
    (tables, table): (&Arc<TableSet>, usize),
    kept: &mut Option<Kept>,
) -> Result<PromotionReport, Fault> {
    let kept = match kept {
        Some(kept) => kept,
        None => {
            let owner = Owner { taken_at: parts.clock.now(), ..parts.owner.clone() };
            let table = &tables.tables()[table];
            let storage = Arc::clone(&parts.storage);
            let spool = parts.spool.private_dir(&format!("promote-{}", table.name));
            let promoter = Promoter::acquire(storage, owner, table, spool, settings.memory)?;
            kept.insert(Kept { promoter, tables: Arc::clone(tables) })
        }
    };
    let promoted = kept.promoter.promote();
    tell_what_was_met(&mut kept.promoter, &tables.tables()[table].name, parts);
    promoted
}

/// What a promoter has put in order, and what went wrong without harm, whatever came of its promotion.
fn tell_what_was_met(promoter: &mut Promoter, table: &str, parts: &Parts) {
    if let Some((epoch, left)) = promoter.take_recovery() {
        events::promotion_recovered(table, epoch, left);
    }
    for warning in promoter.take_warnings() {
        let subject = Subject::Table(table.to_owned());
        events::fault(PROMOTER, 0, &Trouble::new(subject, &warning, Course::GoOn, parts.clock.now()));
    }
}

impl Actor for PromotionSupervisor {
    type Context = Context<Self>;
}

impl Handler<Tick> for PromotionSupervisor {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        for slot in 0..self.tables.len() {
            if self.tables[slot].view.get().is_promoter {
                self.enqueue(slot, ctx);
            }
        }
    }
}

impl Handler<SetRole> for PromotionSupervisor {
    type Result = ();

    fn handle(&mut self, role: SetRole, ctx: &mut Self::Context) {
        for slot in 0..self.tables.len() {
            let state = &mut self.tables[slot];
            let is_promoter = role.0.contains(&state.table);
            let was_promoter = state.view.get().is_promoter;
            state.view.update(|view| view.is_promoter = is_promoter);
            if !is_promoter {
                state.promoter = None;
                self.queue.retain(|queued| *queued != slot);
                self.refuse_who_waits(slot);
            } else if !was_promoter {
                self.make_up_for_missed_ticks(slot, ctx);
            }
        }
    }
}

impl PromotionSupervisor {
    /// A promotion that runs goes on, and is fenced if it must be; what only waits for its turn is another daemon's
    /// now.
    fn refuse_who_waits(&mut self, slot: usize) {
        let name = self.name(slot);
        for reply in self.tables[slot].waiting.drain(..) {
            // Whoever asked may have given up waiting.
            let _ = reply.send(Err(not_the_promoter(&name)));
        }
    }
}

fn not_the_promoter(name: &str) -> Fault {
    let message = format!("this daemon does not promote {name}: partition 0 of its topic is assigned elsewhere");
    Fault::fenced("promotion.not-the-promoter", message)
}

impl Handler<Missed> for PromotionSupervisor {
    type Result = ();

    fn handle(&mut self, missed: Missed, ctx: &mut Self::Context) {
        if self.tables[missed.0].view.get().is_promoter {
            self.enqueue(missed.0, ctx);
        }
    }
}

impl Handler<Ended> for PromotionSupervisor {
    type Result = ();

    fn handle(&mut self, ended: Ended, ctx: &mut Self::Context) {
        let slot = ended.slot;
        self.is_running = false;
        let name = self.name(slot);
        let (now, next_tick) = (self.parts.clock.now(), self.till_next_tick());
        let state = &mut self.tables[slot];
        if let Some(retry) = state.retry.take() {
            ctx.cancel_future(retry);
        }
        for reply in state.answered.drain(..) {
            // Whoever asked may have given up waiting.
            let _ = reply.send(ended.result.clone());
        }
        match ended.result {
            Ok(report) => {
                tell(&name, &report);
                if state.view.get().is_promoter {
                    state.promoter = ended.promoter;
                }
                state.view.update(|view| {
                    "idle".clone_into(&mut view.state);
                    (view.last_end, view.last_report) = (Some(now), Some(report.to_string()));
                    (view.last_seq, view.last_rows) = (report.seq, report.winners);
                    (view.last_added, view.last_removed) = (report.files_added, report.files_removed);
                    let left_out = report.left_out.iter().map(|(source, why)| format!("{source}: {why}"));
                    view.last_left_out = left_out.collect();
                    view.last_fault = None;
                });
            }
            Err(fault) => {
                let decision =
                    state.policy.decide(&Exit::Failed(fault.clone()), self.parts.clock.instant(), fastrand::f64());
                let trouble = state.view.get().meets(&fault, decision.course(next_tick), now);
                events::fault(PROMOTER, 0, &trouble);
                let (label, delay) = match decision {
                    Decision::RestartAfter(delay) | Decision::ParkFor(delay) => ("waiting", Some(delay)),
                    Decision::Halt(_) => ("halted", None),
                    Decision::AwaitAssignment | Decision::Ignore => ("fenced", None),
                };
                state.view.update(|view| {
                    label.clone_into(&mut view.state);
                    view.failures += 1;
                    view.last_fault = Some(trouble);
                });
                if let Some(delay) = delay {
                    state.retry = Some(ctx.run_later(delay, move |supervisor, ctx| {
                        supervisor.tables[slot].retry = None;
                        if supervisor.tables[slot].view.get().is_promoter {
                            supervisor.enqueue(slot, ctx);
                        }
                    }));
                }
            }
        }
        self.run_next(ctx);
    }
}

impl Handler<EndPromotions> for PromotionSupervisor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: EndPromotions, ctx: &mut Self::Context) -> Self::Result {
        let (ended, end) = oneshot::channel();
        (self.ending, self.is_ending) = (Some(ended), true);
        self.run_next(ctx);
        Box::pin(async move {
            // A supervisor that has vanished runs nothing.
            let _ = end.await;
        })
    }
}

impl Handler<PromoteNow> for PromotionSupervisor {
    type Result = ResponseFuture<Result<Vec<(String, PromotionReport)>, Fault>>;

    fn handle(&mut self, order: PromoteNow, ctx: &mut Self::Context) -> Self::Result {
        let names = order.0;
        let known = |name: &String| (0..self.tables.len()).any(|slot| self.name(slot) == *name);
        if let Some(unknown) = names.iter().find(|name| !known(name)) {
            let fault = Fault::halt("promotion.unknown-table", format!("no table {unknown} with a processed zone"));
            return Box::pin(async move { Err(fault) });
        }
        let mut asked = Vec::new();
        for slot in 0..self.tables.len() {
            let name = self.name(slot);
            let is_promoter = self.tables[slot].view.get().is_promoter;
            if names.contains(&name) || names.is_empty() && (is_promoter || self.has_no_role()) {
                if !is_promoter {
                    let fault = not_the_promoter(&name);
                    return Box::pin(async move { Err(fault) });
                }
                asked.push((slot, name));
            }
        }
        // Only now: an order that is refused does nothing.
        let mut answers = Vec::new();
        for (slot, name) in asked {
            let (reply, answer) = oneshot::channel();
            self.tables[slot].waiting.push(reply);
            answers.push((name, answer));
            self.enqueue(slot, ctx);
        }
        Box::pin(async move {
            let mut reports = Vec::new();
            for (name, answer) in answers {
                let gone = |_| Err(Fault::internal("promotion.unanswered", "the promotion ended without an answer"));
                reports.push((name, answer.await.unwrap_or_else(gone)?));
            }
            Ok(reports)
        })
    }
}
