//! One memory budget for the open row groups of all lanes.
//!
//! A Parquet row group is held in memory until it is whole. With one file a lane and table, hundreds can be open at
//! once, so each lane publishes what it holds; when the sum is above the limit, the biggest lane is asked to close its
//! row groups early. It does so at its next step, on its own thread: nobody touches another lane's writers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The budget. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EncoderMemory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: u64,
    lanes: Mutex<Vec<Weak<Lane>>>,
}

#[derive(Debug, Default)]
struct Lane {
    held: AtomicU64,
    asked: AtomicBool,
}

impl EncoderMemory {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self { shared: Arc::new(Shared { limit, lanes: Mutex::default() }) }
    }

    /// A share for one more lane; it leaves the sum when it is dropped.
    pub fn share(&self) -> LaneMemory {
        let lane = Arc::new(Lane::default());
        let mut lanes = self.lanes();
        lanes.retain(|known| known.strong_count() > 0);
        lanes.push(Arc::downgrade(&lane));
        drop(lanes);
        LaneMemory { memory: self.clone(), lane }
    }

    /// Bytes held by all lanes now.
    pub fn used(&self) -> u64 {
        self.lanes().iter().filter_map(Weak::upgrade).map(|lane| lane.held.load(Ordering::Acquire)).sum()
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.shared.limit
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Weak<Lane>>> {
        self.shared.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the biggest lanes, one after another, until what the others hold is within the limit. Lanes that are
    /// asked already count as flushed, so a lane that is slow to answer does not make every other one flush too.
    fn relieve(&self) {
        let mut lanes: Vec<_> = self.lanes().iter().filter_map(Weak::upgrade).collect();
        lanes.retain(|lane| !lane.asked.load(Ordering::Acquire));
        let mut held: u64 = lanes.iter().map(|lane| lane.held.load(Ordering::Acquire)).sum();
        while held > self.shared.limit {
            let Some(index) = (0..lanes.len()).max_by_key(|index| lanes[*index].held.load(Ordering::Acquire)) else {
                return;
            };
            let biggest = lanes.swap_remove(index);
            biggest.asked.store(true, Ordering::Release);
            held = held.saturating_sub(biggest.held.load(Ordering::Acquire));
        }
    }
}

/// What one lane holds of an [`EncoderMemory`].
#[derive(Debug)]
pub struct LaneMemory {
    memory: EncoderMemory,
    lane: Arc<Lane>,
}

impl LaneMemory {
    /// Publishes what this lane holds now; above the limit the biggest lane is asked to flush, maybe this one.
    pub fn publish(&self, bytes: u64) {
        let before = self.lane.held.swap(bytes, Ordering::AcqRel);
        if bytes == 0 {
            self.lane.asked.store(false, Ordering::Release);
        } else if bytes > before {
            self.memory.relieve();
        }
    }

    /// Bytes published last.
    pub fn held(&self) -> u64 {
        self.lane.held.load(Ordering::Acquire)
    }

    /// Whether this lane has been asked to flush its row groups; asking is answered by this call.
    pub fn take_request(&self) -> bool {
        self.lane.asked.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_biggest_lane_is_asked_and_only_once() {
        let memory = EncoderMemory::new(100);
        let (small, big) = (memory.share(), memory.share());
        big.publish(70);
        small.publish(20);
        assert!(!big.take_request() && !small.take_request());
        small.publish(40);
        assert_eq!((small.take_request(), big.take_request()), (false, true));
        big.publish(0);
        assert!(!big.take_request());
        assert_eq!(memory.used(), 40);
    }

    #[test]
    fn a_lane_that_does_not_answer_is_not_held_against_the_others() {
        let memory = EncoderMemory::new(100);
        let (stuck, other) = (memory.share(), memory.share());
        stuck.publish(500);
        other.publish(90);
        assert!(!other.take_request());
        other.publish(101);
        assert!(other.take_request());
    }

    #[test]
    fn a_lane_that_ends_leaves_the_sum() {
        let memory = EncoderMemory::new(100);
        let gone = memory.share();
        gone.publish(90);
        drop(gone);
        let lane = memory.share();
        lane.publish(50);
        assert_eq!((memory.used(), lane.take_request()), (50, false));
    }

    proptest! {
        #[test]
        fn lanes_that_answer_at_once_keep_the_sum_within_the_limit(
            writes in proptest::collection::vec((0..5_usize, 0..40_u64), 1..200),
        ) {
            let memory = EncoderMemory::new(100);
            let lanes: Vec<_> = (0..5).map(|_| memory.share()).collect();
            for (lane, more) in writes {
                lanes[lane].publish(lanes[lane].held() + more);
                for lane in &lanes {
                    if lane.take_request() {
                        lane.publish(0);
                    }
                }
                prop_assert!(memory.used() <= 100);
            }
        }
    }
}
