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
        let upcoming = self.schedule.next_after(now);
        match self.next {
            Some(at) if at <= now => self.promoters.do_send(Tick { at }),
            // A clock that was set back: what was next is far away now.
            Some(at) if upcoming.is_some_and(|upcoming| upcoming < at) => {}
            _ => return,
        }
        self.next = upcoming;
        self.next_due.update(|due| *due = upcoming);
    }
}

impl Actor for HourlyTimer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(LOOK_EVERY, Self::look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::flow::promote::due::Schedule;
    use actix::prelude::{Handler, System};
    use jiff::tz::TimeZone;
    use std::sync::Mutex;

    struct Heard(Arc<Mutex<Vec<Timestamp>>>);

    impl Actor for Heard {
        type Context = Context<Self>;
    }

    impl Handler<Tick> for Heard {
        type Result = ();

        fn handle(&mut self, tick: Tick, _: &mut Self::Context) {
            self.0.lock().unwrap().push(tick.at);
        }
    }

    #[derive(Message)]
    #[rtype(result = "Option<Timestamp>")]
    struct Look;

    /// What the interval does, when the test says so.
    impl Handler<Look> for HourlyTimer {
        type Result = Option<Timestamp>;

        fn handle(&mut self, _: Look, ctx: &mut Self::Context) -> Self::Result {
            self.look(ctx);
            self.next_due.get()
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The ticks heard, and what was due next, after each of the looks that follow these movements of the clock.
    fn looks(start: &str, movements: &[fn(&ManualClock)]) -> Vec<(Vec<Timestamp>, Option<Timestamp>)> {
        let clock = Arc::new(ManualClock::new(at(start)));
        System::new().block_on(async {
            let heard = Arc::new(Mutex::new(Vec::new()));
            let promoters = Heard(Arc::clone(&heard)).start();
            let schedule = Schedule::new(Duration::from_secs(3600), TimeZone::UTC).unwrap();
            let shared: Arc<dyn Clock> = clock.clone();
            let timer = HourlyTimer::new(schedule, shared, Shared::new(None), promoters.recipient()).start();
            let mut seen = Vec::new();
            for movement in movements {
                movement(&clock);
                let due = timer.send(Look).await.unwrap();
                tokio::task::yield_now().await;
                seen.push((std::mem::take(&mut *heard.lock().unwrap()), due));
            }
            seen
        })
    }

    #[test]
    fn a_tick_comes_at_the_hour_and_missed_ones_are_made_up_for_once() {
        let seen = looks(
            "2026-10-15T18:59:58Z",
            &[
                |clock| clock.advance(Duration::from_secs(1)),
                |clock| clock.advance(Duration::from_secs(1)),
                |_| {},
                |clock| clock.advance(Duration::from_secs(5 * 3600 + 60)),
                |_| {},
            ],
        );
        let (seven, eight) = (at("2026-10-15T19:00:00Z"), at("2026-10-15T20:00:00Z"));
        let later = at("2026-10-16T01:00:00Z");
        assert_eq!(
            seen,
            [
                (vec![], Some(seven)),
                (vec![seven], Some(eight)),
                (vec![], Some(eight)),
                (vec![eight], Some(later)),
                (vec![], Some(later)),
            ]
        );
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence_the_timer() {
        let seen = looks(
            "2031-01-01T00:30:00Z",
            &[
                |clock| clock.set(at("2026-10-15T18:30:00Z")),
                |clock| {
                    clock.advance(Duration::from_secs(1800));
                },
            ],
        );
        let seven = at("2026-10-15T19:00:00Z");
        assert_eq!(seen, [(vec![], Some(seven)), (vec![seven], Some(at("2026-10-15T20:00:00Z")))]);
    }
}
