//! When a failed child is started again, how long later, and when it is given up. Pure.
//!
//! After OTP's intensity and period (`system/doc/design_principles/sup_princ.md`): more than `intensity` failures
//! within `period` park the child; a parked child is tried again every `parked_retry`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::fault::{Fault, Verdict};
use crate::observe::trouble::Course;
use crate::stage::exit::Exit;

/// The limits of a restart policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartLimits {
    /// Failures within `period` that are accepted.
    pub intensity: usize,
    /// Over what time failures are counted.
    pub period: Duration,
    /// Delay before the first restart; doubled with each further failure within `period`.
    pub backoff_min: Duration,
    /// Longest delay before a restart.
    pub backoff_max: Duration,
    /// How often a parked child is tried again.
    pub parked_retry: Duration,
}

impl Default for RestartLimits {
    fn default() -> Self {
        Self {
            intensity: 5,
            period: Duration::from_secs(30),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
            parked_retry: Duration::from_secs(120),
        }
    }
}

/// What a supervisor does about the exit of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Start it again after this delay.
    RestartAfter(Duration),
    /// Its intensity is exceeded: show it as failed and try again after this delay.
    ParkFor(Duration),
    /// Stop it and say why; only a person can start it again.
    Halt(Fault),
    /// Another owner has it: wait to be assigned again.
    AwaitAssignment,
    /// Not a cause: the exit of the stage that failed says more.
    Ignore,
}

impl Decision {
    /// What a person is told of it; `look` is when a child that is stopped, or another owner's, is looked at by itself.
    pub fn course(&self, look: Option<Duration>) -> Course {
        match self {
            Self::RestartAfter(wait) => Course::Retry(*wait),
            Self::ParkFor(wait) => Course::Park(*wait),
            Self::Halt(_) => Course::Halt(look),
            Self::AwaitAssignment => Course::Yield(look),
            Self::Ignore => Course::GoOn,
        }
    }
}

/// Counts the failures of one child and decides.
#[derive(Debug)]
pub struct RestartPolicy {
    limits: RestartLimits,
    failures: VecDeque<Instant>,
    streak: u32,
    last_failure: Option<Instant>,
    restarts: u32,
}

impl RestartPolicy {
    /// A policy without failures so far.
    pub fn new(limits: RestartLimits) -> Self {
        Self { limits, failures: VecDeque::new(), streak: 0, last_failure: None, restarts: 0 }
    }

    /// Restarts decided so far, for people.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// What to do about `exit` at `now`. `jitter` in `[0, 1)` spreads restarts that have one cause.
    ///
    /// A fault of the outside world that may pass does not use up the intensity: HDFS may be away for a night, and
    /// the lane just waits. Panics and faults of our own do.
    pub fn decide(&mut self, exit: &Exit, now: Instant, jitter: f64) -> Decision {
        match exit {
            Exit::Drained | Exit::DownstreamClosed => Decision::Ignore,
            Exit::Stopped(fault) => Decision::Halt(fault.clone()),
            Exit::Failed(fault) if fault.verdict == Verdict::Halt => Decision::Halt(fault.clone()),
            Exit::Failed(fault) if fault.verdict == Verdict::Fenced => Decision::AwaitAssignment,
            Exit::Failed(fault) => self.failed(now, jitter, fault.domain == crate::fault::Domain::Internal),
            Exit::Panicked(_) | Exit::Hung => self.failed(now, jitter, true),
        }
    }

    fn failed(&mut self, now: Instant, jitter: f64, uses_intensity: bool) -> Decision {
        let is_recent = |then: &Instant| now.duration_since(*then) <= self.limits.period;
        self.streak = if self.last_failure.as_ref().is_some_and(is_recent) { self.streak.saturating_add(1) } else { 0 };
        self.last_failure = Some(now);
        if uses_intensity {
            self.failures.retain(is_recent);
            self.failures.push_back(now);
            if self.failures.len() > self.limits.intensity {
                self.failures.clear();
                return Decision::ParkFor(self.limits.parked_retry);
            }
        }
        self.restarts += 1;
        let delay = self.limits.backoff_min.saturating_mul(1 << self.streak.min(16)).min(self.limits.backoff_max);
        Decision::RestartAfter(delay.mul_f64(0.5 + jitter / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panicked() -> Exit {
        Exit::Panicked("on purpose".to_owned())
    }

    #[test]
    fn failures_beyond_the_intensity_park_the_child() {
        let mut policy = RestartPolicy::new(RestartLimits::default());
        let start = Instant::now();
        for second in 0..5 {
            let decision = policy.decide(&panicked(), start + Duration::from_secs(second), 0.0);
            assert!(matches!(decision, Decision::RestartAfter(_)), "{second}: {decision:?}");
        }
        let sixth = policy.decide(&panicked(), start + Duration::from_secs(5), 0.0);
        assert_eq!(sixth, Decision::ParkFor(Duration::from_secs(120)));
    }

    #[test]
    fn failures_spread_over_time_never_park() {
        let mut policy = RestartPolicy::new(RestartLimits::default());
        let start = Instant::now();
        for minute in 0..100 {
            let decision = policy.decide(&panicked(), start + Duration::from_secs(60 * minute), 0.0);
            assert_eq!(decision, Decision::RestartAfter(Duration::from_millis(50)));
        }
    }

    #[test]
    fn the_outside_world_being_away_backs_off_but_never_parks() {
        let mut policy = RestartPolicy::new(RestartLimits::default());
        let away = Exit::Failed(Fault::retry("storage.unavailable", "namenode is away"));
        let start = Instant::now();
        let mut last = Duration::ZERO;
        for n in 0..50 {
            match policy.decide(&away, start + Duration::from_millis(n), 0.99) {
                Decision::RestartAfter(delay) => last = delay,
                other => panic!("{other:?}"),
            }
        }
        assert!(last > Duration::from_secs(9) && last <= Duration::from_secs(10), "{last:?}");
    }

    #[test]
    fn halt_and_fenced_never_loop() {
        let mut policy = RestartPolicy::new(RestartLimits::default());
        let now = Instant::now();
        let denied = Fault::halt("storage.denied", "permission denied");
        assert_eq!(policy.decide(&Exit::Failed(denied.clone()), now, 0.0), Decision::Halt(denied));
        let fenced = Exit::Failed(Fault::fenced("lake.fenced", "another owner"));
        assert_eq!(policy.decide(&fenced, now, 0.0), Decision::AwaitAssignment);
        assert_eq!(policy.decide(&Exit::DownstreamClosed, now, 0.0), Decision::Ignore);
        assert_eq!(policy.restarts(), 0);
    }
}
