//! When the process ends: what is wrong with the root's own parts, and whether any lane goes on.

use std::time::Duration;

use actix::ActorFutureExt;
use actix::prelude::{AsyncContext, Context, Handler, WrapFuture};

use super::actor::{DrainAll, Mode, RootSupervisor};
use crate::fault::Fault;
use crate::flow::read::faults::{OFFSETS_WENT_BACK, OUT_OF_RANGE};
use crate::lake::{CLOCKS_APART, TOPIC_RECREATED};
use crate::model::status::LaneState;
use crate::observe::events;
use crate::observe::trouble::Course;
use crate::supervise::lane::{DrainLane, REWOUND_RANGE_LOST, StopLane};
use crate::supervise::promotion::{EndPromotions, PromoteNow};
use crate::supervise::view::LaneView;

/// Role of the root in logs and metrics.
const ROOT: &str = "Root";
/// A revoke may hold the consumer's poll thread for five seconds; silence far beyond that means that it hangs.
const SESSION_SILENCE: Duration = Duration::from_secs(30);
/// How long the end of the process waits for dead letters.
const LETTERS_WAIT: Duration = Duration::from_secs(5);
/// How long lanes may take to stop when a drain has taken too long: as long as a start that cannot be interrupted.
const STOP_WAIT: Duration = Duration::from_secs(1);

impl RootSupervisor {
    /// Ends the process. The first reason counts.
    pub(super) fn end(&mut self, result: Result<(), Fault>) {
        if let Some(exit) = self.exit.take() {
            // The receiver is `main`, which waits for nothing else.
            let _ = exit.send(result);
        }
    }

    /// Ends the process with a fault that the root has met itself. One that ends it and was met elsewhere has been told
    /// there.
    pub(super) fn fail(&mut self, fault: Fault) {
        if self.exit.is_some() {
            events::fault(ROOT, 0, &self.meets(&fault, Course::End, None));
            self.end(Err(fault));
        }
    }

    pub(super) fn check(&mut self, ctx: &mut Context<Self>) {
        if let Some(fault) = self.own_fault() {
            return self.fail(fault);
        }
        match self.mode {
            Mode::Running => self.check_running(ctx),
            Mode::Draining if self.has_promoted && self.lanes.values().all(|lane| lane.end.is_some()) => {
                match self.overdue.take() {
                    None => self.end_after_letters(Ok(()), ctx),
                    Some(overdue) => self.end(Err(overdue)),
                }
            }
            Mode::Draining | Mode::Finishing => {}
        }
    }

    /// What has gone wrong with the root's own parts. Without them the process is worth nothing.
    fn own_fault(&mut self) -> Option<Fault> {
        let gone = |name: &str| Some(Fault::internal("root.part-vanished", format!("{name} vanished")));
        if self.pool.as_ref().is_some_and(|pool| !pool.connected()) {
            return gone("the parser pool");
        }
        if self.promotions.as_ref().is_some_and(|promotions| !promotions.connected()) {
            return gone("the supervisor of promotions");
        }
        if self.timer.as_ref().is_some_and(|timer| !timer.connected()) {
            return gone("the timer");
        }
        let (beats, now) = (self.parts.session.beats(), self.parts.clock.instant());
        if self.session_beats.0 != beats {
            self.session_beats = (beats, now);
        }
        if !self.letters.is_well() {
            return gone("the supervisor of dead letters");
        }
        let silence = now.duration_since(self.session_beats.1);
        (silence > self.parts.hang_after.max(SESSION_SILENCE)).then(|| {
            let message = format!("the kafka session has made no progress for {} s", silence.as_secs());
            Fault::internal("root.session-hung", message)
        })
    }

    /// Ends the process when the dead letters of what is committed have been sent, or after a moment: then they are
    /// sent after the next start.
    fn end_after_letters(&mut self, result: Result<(), Fault>, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.is_posting, true) {
            return;
        }
        let (finished, wait) = (self.letters.finish(), LETTERS_WAIT.min(self.settings.drain_deadline));
        let in_time = async move { tokio::time::timeout(wait, finished).await.is_ok() };
        let ended = in_time.into_actor(self).map(move |in_time, root, _| {
            if !in_time {
                events::letters_left(wait);
            }
            root.end(result);
        });
        ctx.spawn(ended);
    }

    fn check_running(&mut self, ctx: &mut Context<Self>) {
        let views: Vec<LaneView> = self.lanes.values().map(|lane| lane.view.get()).collect();
        self.has_worked |= views.iter().any(|view| view.epoch.is_some());
        let mut live = views.iter().filter(|view| view.state != LaneState::Ended);
        let is_alive = live.clone().next().is_some();
        if is_alive && live.clone().all(|view| view.state == LaneState::Parked) {
            let last = views.iter().find_map(|view| view.last_fault.as_ref()).map_or("", |last| &last.fault.message);
            let message = format!("every lane failed too often; last: {last}");
            return self.fail(Fault::internal("root.every-lane-parked", message));
        }
        // What keeps every lane from starting at all is no matter of lanes: whoever has started us shall hear of it.
        // But a topic that was created again, or messages that are lost, wait for a command, and that needs somebody to
        // give it to; and a machine that has just booted may not have heard from its time server yet.
        let is_stuck = |view: &LaneView| view.state == LaneState::Halted && !goes_on(view);
        if is_alive && !self.has_worked && live.all(is_stuck) {
            let fault = first_fault(&views, LaneState::Halted);
            return fault.map_or((), |fault| self.end(Err(fault)));
        }
        self.look_when_settled(&views);
        if self.parts.until_caught_up && self.is_assigned {
            self.check_caught_up(&views, ctx);
        }
    }

    /// A bounded run ends when no lane goes on by itself.
    fn check_caught_up(&mut self, views: &[LaneView], ctx: &mut Context<Self>) {
        let stuck = [LaneState::Halted, LaneState::Parked, LaneState::Fenced];
        if !views.iter().all(|view| view.state == LaneState::Ended || stuck.contains(&view.state)) {
            return;
        }
        match stuck.into_iter().find_map(|state| first_fault(views, state)) {
            Some(fault) => self.end(Err(fault)),
            None => self.finish(ctx),
        }
    }

    /// Everything is read and committed: promote it, then end.
    fn finish(&mut self, ctx: &mut Context<Self>) {
        self.mode = Mode::Finishing;
        let Some(promotions) = self.promotions.clone() else { return self.end_after_letters(Ok(()), ctx) };
        let role = self.promotion_views.iter().filter(|(_, view)| view.get().is_promoter);
        let tables: Vec<_> = role.map(|(_, view)| view.get().table).collect();
        if tables.is_empty() {
            return self.end_after_letters(Ok(()), ctx);
        }
        let promoted = promotions.send(PromoteNow(tables)).into_actor(self).map(|answer, root, ctx| {
            let answer = answer.unwrap_or_else(|error| Err(Fault::internal("promotion.gone", error.to_string())));
            root.end_after_letters(answer.map(drop), ctx);
        });
        ctx.spawn(promoted);
    }
}

impl Handler<DrainAll> for RootSupervisor {
    type Result = ();

    fn handle(&mut self, order: DrainAll, ctx: &mut Self::Context) {
        if self.mode == Mode::Draining {
            return;
        }
        self.mode = Mode::Draining;
        self.stop_looking();
        events::drain_started(order.reason, self.settings.drain_deadline);
        for lane in self.lanes.values().filter(|lane| lane.end.is_none()) {
            lane.address.do_send(DrainLane);
        }
        match &self.promotions {
            Some(promotions) => {
                let ended = promotions.send(EndPromotions).into_actor(self);
                ctx.spawn(ended.map(|_, root, _| root.has_promoted = true));
            }
            None => self.has_promoted = true,
        }
        ctx.run_later(self.settings.drain_deadline, Self::drain_is_overdue);
    }
}

impl RootSupervisor {
    fn drain_is_overdue(&mut self, ctx: &mut Context<Self>) {
        if self.is_posting {
            // Everything is drained, and the wait for dead letters has a bound of its own.
            return;
        }
        let open = self.lanes.iter().filter(|(_, lane)| lane.end.is_none());
        let open: Vec<String> = open.map(|(source, _)| source.to_string()).collect();
        if open.is_empty() {
            // Nothing is lost: whoever promotes next finishes or forgets it.
            events::drain_overdue("a promotion");
            return self.end(Ok(()));
        }
        let open = open.join(", ");
        events::drain_overdue(&open);
        let message = format!("not drained within the deadline, will be read again: {open}");
        self.overdue = Some(Fault::retry("root.drain-deadline", message));
        for lane in self.lanes.values().filter(|lane| lane.end.is_none()) {
            lane.address.do_send(StopLane);
        }
        ctx.run_later(STOP_WAIT, |root, _| {
            let result = root.overdue.take().map_or(Ok(()), Err);
            root.end(result);
        });
    }
}

/// Whether a lane that halts goes on by what a command decides (`accept-topic`, `accept-loss`, `rewind --undo`), or
/// when a clock is put right.
fn goes_on(view: &LaneView) -> bool {
    let decided = [TOPIC_RECREATED, OUT_OF_RANGE, OFFSETS_WENT_BACK, REWOUND_RANGE_LOST, CLOCKS_APART];
    view.last_fault.as_ref().is_some_and(|last| decided.contains(&last.fault.event))
}

/// Why the first lane that is in this state is in it.
fn first_fault(views: &[LaneView], state: LaneState) -> Option<Fault> {
    let view = views.iter().find(|view| view.state == state)?;
    Some(view.last_fault.as_ref()?.fault.clone())
}
