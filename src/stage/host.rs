//! Hosts a [`Step`] as an actix actor on an Arbiter (an OS thread) of its own.
//!
//! The actor pumps itself: one step, then a message to itself. `Context::notify` puts that message behind what is in
//! the mailbox, so commands always get in between two steps (`tests/actix_contract.rs` pins this). Data never goes
//! through the mailbox.
//!
//! actix neither restarts an actor that panics nor tells anybody. So a step runs under `catch_unwind`, the outcome is
//! reported to the supervisor, and a guard reports when the actor vanishes in any other way. The value that panicked is
//! never used again: the supervisor holds a factory.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use actix::prelude::{Actor, ActorContext, Addr, Arbiter, AsyncContext, Context, Handler, Message, Recipient};

use super::exit::Exit;
use super::heartbeat::Heartbeat;
use super::step::{Progress, Step};
use crate::failpoint;
use crate::fault::Fault;
use crate::observe::{events, panic_text};

/// Called with the role of a stage before each of its steps, inside the same `catch_unwind`: how tests make a stage
/// panic or hang. None in production.
pub type Probe = Arc<dyn Fn(&'static str) + Send + Sync>;

/// Tells a supervisor which of its stages ended, and how.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct StageExited {
    /// Role of the stage, e.g. `KafkaReader`.
    pub stage: &'static str,
    /// Generation of the lane it served; 0 for the parser pool.
    pub generation: u64,
    /// Number of the worker in a pool; 0 elsewhere.
    pub worker: usize,
    /// How it ended.
    pub exit: Exit,
}

/// A command to a running stage.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Tell<C>(pub C)
where
    C: Send + 'static;

/// Ends a stage at once, without draining it.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Halt;

#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
struct Pump;

/// The actor around a step.
pub struct StageActor<S: Step> {
    step: S,
    heartbeat: Heartbeat,
    probe: Option<Probe>,
    guard: ExitGuard,
}

/// A started stage, as its supervisor holds it.
pub struct StageHandle<S: Step> {
    /// None: it could not be started.
    running: Option<(Addr<StageActor<S>>, Arbiter)>,
    /// Signs of life.
    pub heartbeat: Heartbeat,
}

impl<S: Step> StageHandle<S> {
    /// Gives the stage a command; it is taken before the next step.
    pub fn tell(&self, command: S::Command) {
        if let Some((address, _)) = &self.running {
            address.do_send(Tell(command));
        }
    }

    /// Ends the stage at once, without draining it.
    pub fn halt(&self) {
        if let Some((address, _)) = &self.running {
            address.do_send(Halt);
        }
    }

    /// Whether the stage is gone: it has reported its exit, and what it owned is dropped.
    pub fn has_ended(&self) -> bool {
        self.running.as_ref().is_none_or(|(address, _)| !address.connected())
    }

    /// Waits for the thread of a stage that has ended.
    pub fn join(self) {
        if let Some((_, arbiter)) = self.running {
            arbiter.stop();
            // An Arbiter whose thread panicked outside a step has been reported by the exit guard already.
            let _ = arbiter.join();
        }
    }
}

/// Starts `step` on a thread of its own. Its exit is reported to `supervisor` exactly once, also when there is no
/// thread to be had.
pub fn start<S: Step>(
    stage: &'static str,
    generation: u64,
    worker: usize,
    step: S,
    probe: Option<Probe>,
    supervisor: Recipient<StageExited>,
) -> StageHandle<S> {
    events::stage_started(stage);
    let heartbeat = Heartbeat::new();
    let mut guard = ExitGuard { supervisor: Some(supervisor), stage, generation, worker };
    let arbiter = match Arbiter::try_new() {
        Ok(arbiter) => arbiter,
        Err(error) => {
            guard.report(Exit::Failed(Fault::retry("process.no-thread", format!("no thread for a {stage}: {error}"))));
            return StageHandle { running: None, heartbeat };
        }
    };
    let actor = StageActor { step, heartbeat: heartbeat.clone(), probe, guard };
    let address = StageActor::start_in_arbiter(&arbiter.handle(), move |_| actor);
    StageHandle { running: Some((address, arbiter)), heartbeat }
}

impl<S: Step> Actor for StageActor<S> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Pump);
    }
}

impl<S: Step> Handler<Pump> for StageActor<S> {
    type Result = ();

    fn handle(&mut self, _: Pump, ctx: &mut Self::Context) {
        let before = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            failpoint::reach(self.guard.stage);
            if let Some(probe) = &self.probe {
                probe(self.guard.stage);
            }
            self.step.step()
        }));
        self.heartbeat.beat();
        match outcome {
            Ok(Ok(progress)) => {
                if progress == Progress::Blocked {
                    let waited = before.elapsed();
                    self.heartbeat.waited(waited);
                    events::stage_waited(self.guard.stage, waited);
                }
                ctx.notify(Pump);
            }
            Ok(Err(exit)) => self.end(exit, ctx),
            Err(panic) => self.end(Exit::Panicked(panic_message(panic.as_ref())), ctx),
        }
    }
}

impl<S: Step> Handler<Tell<S::Command>> for StageActor<S> {
    type Result = ();

    fn handle(&mut self, command: Tell<S::Command>, ctx: &mut Self::Context) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.step.command(command.0))) {
            self.end(Exit::Panicked(panic_message(panic.as_ref())), ctx);
        }
    }
}

impl<S: Step> Handler<Halt> for StageActor<S> {
    type Result = ();

    fn handle(&mut self, _: Halt, ctx: &mut Self::Context) {
        self.end(Exit::DownstreamClosed, ctx);
    }
}

impl<S: Step> StageActor<S> {
    fn end(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        self.guard.report(exit);
        ctx.terminate();
    }
}

/// Reports an exit once: the one it is told, or, when it is dropped before, that the stage vanished.
#[derive(Debug)]
struct ExitGuard {
    supervisor: Option<Recipient<StageExited>>,
    stage: &'static str,
    generation: u64,
    worker: usize,
}

impl ExitGuard {
    fn report(&mut self, exit: Exit) {
        if let Some(supervisor) = self.supervisor.take() {
            let (stage, generation, worker) = (self.stage, self.generation, self.worker);
            supervisor.do_send(StageExited { stage, generation, worker, exit });
        }
    }
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        self.report(Exit::Panicked("the actor vanished without a report".to_owned()));
    }
}

/// The text of a panic, for people.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic_text(panic).to_owned()
}
