//! Time as a thing that is passed in: every timer and every timestamp asks a [`Clock`], so that tests own time.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Where the wall clock and the monotonic clock come from.
pub trait Clock: Send + Sync + 'static {
    /// Wall-clock time, UTC. May jump.
    fn now(&self) -> Timestamp;
    /// Monotonic time, for ages and deadlines.
    fn instant(&self) -> Instant;
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that only moves when it is told to.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<(Timestamp, Instant)>,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { state: Mutex::new((now, Instant::now())) }
    }

    /// Sets the wall clock, forward or back, as an operator or a time server does. The monotonic clock stays.
    pub fn set(&self, now: Timestamp) {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).0 = now;
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        state.0 += by;
        state.1 += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).0
    }

    fn instant(&self) -> Instant {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).1
    }
}
