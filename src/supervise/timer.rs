//! The hourly timer: an actor that tells the promoters when a tick of the clock is due.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::{Actor, AsyncContext, Context, Message, Recipient};
use jiff::Timestamp;

use super::view::Shared;
use crate::clock::Clock;
use crate::flow::promote::due::Schedule;

/// A tick is due. Ticks missed while the process was busy or the machine asleep are made up for by one.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Tick {
    /// The tick of the schedule that is due, the first when several were missed.
    pub at: Timestamp,
}

/// Sends [`Tick`]s aligned to the clock.
pub struct HourlyTimer {
    schedule: Schedule,
    clock: Arc<dyn Clock>,
    next: Option<Timestamp>,
    next_due: Shared<Option<Timestamp>>,
    promoters: Recipient<Tick>,
}

/// The wall clock may jump, so the timer looks at it at least this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl HourlyTimer {
    /// A timer for `schedule`; `next_due` is kept up to date for people.
    pub fn new(
        schedule: Schedule,
        clock: Arc<dyn Clock>,
        next_due: Shared<Option<Timestamp>>,
        promoters: Recipient<Tick>,
    ) -> Self {
        let next = schedule.next_after(clock.now());
        next_due.update(|due| *due = next);
        Self { schedule, clock, next, next_due, promoters }
    }

    fn look(&mut self, _: &mut Context<Self>) {
        let now = self.clock.now();
        let Some(at) = self.next.filter(|next| *next <= now) else { return };
        self.promoters.do_send(Tick { at });
        let next = self.schedule.next_after(now);
        self.next = next;
        self.next_due.update(|due| *due = next);
    }
}

impl Actor for HourlyTimer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(LOOK_EVERY, Self::look);
    }
}
