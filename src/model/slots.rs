//! How many batches of one lane may be under way at once, so that a slow lane cannot fill the shared parser pool; and
//! which of them is the oldest.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Places for the batches of one lane. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LaneSlots {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    count: usize,
    held: Mutex<Held>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    /// Numbers of the places that are held, in the order they were taken.
    numbers: BTreeSet<u64>,
    next: u64,
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LaneSlots {
    /// `count` free places.
    pub fn new(count: usize) -> Self {
        Self { shared: Arc::new(Shared { count, held: Mutex::default(), freed: Condvar::new() }) }
    }

    /// Takes a place, waiting for one at most `timeout`. Batches take theirs in the order they were read in.
    pub fn take(&self, timeout: Duration) -> Option<LaneSlot> {
        let shared = &self.shared;
        let is_full = |held: &mut Held| held.numbers.len() >= shared.count;
        let waited = shared.freed.wait_timeout_while(shared.held(), timeout, is_full);
        let (mut held, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if held.numbers.len() >= shared.count {
            return None;
        }
        let number = held.next;
        held.next += 1;
        held.numbers.insert(number);
        Some(LaneSlot { place: Arc::new(Place { shared: Arc::clone(shared), number }) })
    }
}

/// A place held by one batch, and by all pieces of it, from the reader until their rows are in files; dropping the last
/// frees the place. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LaneSlot {
    place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    shared: Arc<Shared>,
    number: u64,
}

impl LaneSlot {
    /// Whether every batch of the lane that was read before is in files.
    pub fn is_oldest(&self) -> bool {
        self.place.shared.held().numbers.first() == Some(&self.place.number)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.held().numbers.remove(&self.number);
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

    #[test]
    fn the_oldest_is_the_one_that_was_taken_first_of_those_that_are_left() {
        let slots = LaneSlots::new(3);
        let [first, second, third] = [(); 3].map(|()| slots.take(Duration::ZERO).unwrap());
        let piece = first.clone();
        assert!(first.is_oldest() && !second.is_oldest());
        drop(first);
        assert!(piece.is_oldest() && !second.is_oldest(), "a piece is left");
        drop(third);
        drop(piece);
        assert!(second.is_oldest());
        let fourth = slots.take(Duration::ZERO).unwrap();
        assert!(second.is_oldest() && !fourth.is_oldest());
    }
}
