//! How a lane goes over to tables that were loaded again.
//!
//! It ends its intake, commits what it has read with the old tables, and begins its next generation, which takes the
//! tables as they are then, at the head of its chain. Whatever happens between leaves a generation that begins there:
//! an interval is of one set of tables, whole.

use actix::prelude::{Context, Handler, ResponseFuture};
use tokio::sync::oneshot;

use super::actor::LaneSupervisor;
use super::messages::RenewLane;
use crate::model::status::LaneState;
use crate::observe::events;
use crate::stage::exit::Exit;

/// What is under way, and who waits for it.
#[derive(Default)]
pub(super) struct Renewal {
    /// The generation that runs ends so that one with the new tables can begin.
    pub(super) is_due: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Renewal {
    /// The lane reads with the new tables, or it cannot: the status says which.
    pub(super) fn answer(&mut self) {
        for waiting in self.waiting.drain(..) {
            // Whoever asked may have given up waiting.
            let _ = waiting.send(());
        }
    }
}

impl LaneSupervisor {
    /// Whether the tables of this generation are no longer those that its messages are to be read with.
    pub(super) fn is_out_of_date(&self) -> bool {
        !self.tables.serves_alike(&self.parts.tables(), &self.source.topic)
    }

    /// Whether the stages run, and nothing has ended their intake.
    pub(super) fn is_reading(&self) -> bool {
        self.stages.is_some() && !self.is_draining && self.stopping.is_none() && !self.renewal.is_due
    }

    /// Whether the last stage to end, which ended like this, makes room for the new tables.
    pub(super) fn is_renewed_by(&self, exit: &Exit) -> bool {
        self.renewal.is_due && !self.is_draining && matches!(exit, Exit::Drained | Exit::DownstreamClosed)
    }
}

impl Handler<RenewLane> for LaneSupervisor {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, _: RenewLane, ctx: &mut Context<Self>) -> Self::Result {
        if self.is_draining || !self.is_out_of_date() {
            return Box::pin(async { false });
        }
        events::lane_renewed(&self.source);
        match &self.stages {
            Some(stages) => {
                stages.drain();
                self.renewal.is_due = true;
                self.set_state(LaneState::Draining);
            }
            // It was halted, parked or waiting because of something that may be put right now.
            None if self.starting.is_none() => {
                self.cancel_next_start(ctx);
                self.start_generation(ctx);
            }
            // A start that is under way sees by itself that it comes too late.
            None => {}
        }
        let (renewed, done) = oneshot::channel();
        self.renewal.waiting.push(renewed);
        Box::pin(async move {
            // A lane that has ended reads with nothing.
            let _ = done.await;
            true
        })
    }
}
