//! How many batches of one lane may be under way at once, so that a slow lane cannot fill the shared parser pool.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Places for the batches of one lane. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LaneSlots {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    free: Mutex<usize>,
    freed: Condvar,
}

impl LaneSlots {
    /// `count` free places.
    pub fn new(count: usize) -> Self {
        Self { shared: Arc::new(Shared { free: Mutex::new(count), freed: Condvar::new() }) }
    }

    /// Takes a place, waiting for one at most `timeout`.
    pub fn take(&self, timeout: Duration) -> Option<LaneSlot> {
        let free = self.shared.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let waited = self.shared.freed.wait_timeout_while(free, timeout, |free| *free == 0);
        let (mut free, _) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
        if *free == 0 {
            return None;
        }
        *free -= 1;
        Some(LaneSlot { shared: Arc::clone(&self.shared) })
    }
}

/// A place held by one batch, from the reader until its rows are in files; dropping it frees the place.
#[derive(Debug)]
pub struct LaneSlot {
    shared: Arc<Shared>,
}

impl Drop for LaneSlot {
    fn drop(&mut self) {
        *self.shared.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) += 1;
        self.shared.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_slot_wakes_who_waits() {
        let slots = LaneSlots::new(1);
        let held = slots.take(Duration::ZERO).unwrap();
        assert!(slots.take(Duration::ZERO).is_none());
        let waiting = std::thread::spawn(move || slots.take(Duration::from_secs(60)).is_some());
        drop(held);
        assert!(waiting.join().unwrap());
    }
}
