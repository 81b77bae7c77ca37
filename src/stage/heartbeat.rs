//! Signs of life of a stage: how a supervisor tells a stage that works from one that hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Written by a stage at every step, read by its supervisor. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    born: Instant,
    last_beat_ms: AtomicU64,
    is_protected: AtomicBool,
    waited_us: AtomicU64,
}

impl Heartbeat {
    /// A heartbeat whose last beat is now.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                born: Instant::now(),
                last_beat_ms: AtomicU64::new(0),
                is_protected: AtomicBool::new(false),
                waited_us: AtomicU64::new(0),
            }),
        }
    }

    /// The stage is alive.
    pub fn beat(&self) {
        let age_ms = u64::try_from(self.shared.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.shared.last_beat_ms.store(age_ms, Ordering::Relaxed);
    }

    /// Enters a protected zone: a call that is trusted to come back late. It ends when the guard is dropped.
    #[must_use]
    pub fn protect(&self) -> Protected<'_> {
        self.shared.is_protected.store(true, Ordering::Relaxed);
        Protected(self)
    }

    /// Adds to the time that the stage has waited for room in front of it.
    pub fn waited(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.shared.waited_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Microseconds that the stage has waited for room: the figure that shows which stage is the narrow one.
    pub fn waited_us(&self) -> u64 {
        self.shared.waited_us.load(Ordering::Relaxed)
    }

    /// How long the stage has been silent; zero inside a protected zone.
    pub fn silence(&self) -> Duration {
        if self.shared.is_protected.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let last = Duration::from_millis(self.shared.last_beat_ms.load(Ordering::Relaxed));
        self.shared.born.elapsed().saturating_sub(last)
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self::new()
    }
}

/// Guard of a protected zone.
#[derive(Debug)]
pub struct Protected<'a>(&'a Heartbeat);

impl Drop for Protected<'_> {
    fn drop(&mut self) {
        self.0.beat();
        self.0.shared.is_protected.store(false, Ordering::Relaxed);
    }
}
