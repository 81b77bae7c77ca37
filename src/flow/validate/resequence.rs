//! Order, out of any order.

use std::collections::BTreeMap;

/// What became of an item that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It waits for its turn, or it is its turn.
    Kept,
    /// It was there before, or its turn is over: it was dropped.
    Repeat,
}

/// Takes items with sequence numbers in any order, some of them repeatedly, and releases each once, in order and without
/// a gap.
///
/// Memory: every item ahead of a missing one is held; the lane bounds them by the number of batches it has on the way.
#[derive(Debug)]
pub struct Resequencer<T> {
    next: u64,
    waiting: BTreeMap<u64, T>,
}

impl<T> Resequencer<T> {
    /// Nothing has come yet, and number 0 is the first.
    pub fn new() -> Self {
        Self { next: 0, waiting: BTreeMap::new() }
    }

    /// Takes an item.
    pub fn offer(&mut self, seq: u64, item: T) -> Offered {
        if seq < self.next || self.waiting.contains_key(&seq) {
            return Offered::Repeat;
        }
        self.waiting.insert(seq, item);
        Offered::Kept
    }

    /// The next item in order, if it is there.
    pub fn release(&mut self) -> Option<T> {
        let item = self.waiting.remove(&self.next)?;
        self.next += 1;
        Some(item)
    }

    /// The number that is released next.
    pub fn next_seq(&self) -> u64 {
        self.next
    }

    /// Items that wait for one that is missing.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl<T> Default for Resequencer<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_comes_out_once_and_in_order(
            order in Just((0_u64..50).collect::<Vec<_>>()).prop_shuffle(),
            repeats in proptest::collection::vec((0_usize..50, any::<prop::sample::Index>()), 0..50),
        ) {
            let mut offers = order;
            for (which, place) in repeats {
                offers.insert(place.index(offers.len()), which as u64);
            }
            let (mut resequencer, mut released, mut kept) = (Resequencer::new(), Vec::new(), 0);
            for seq in offers {
                kept += usize::from(resequencer.offer(seq, seq) == Offered::Kept);
                while let Some(item) = resequencer.release() {
                    released.push(item);
                }
                prop_assert_eq!(kept, released.len() + resequencer.waiting());
            }
            prop_assert_eq!(released, (0..50).collect::<Vec<_>>());
            prop_assert_eq!((resequencer.waiting(), resequencer.next_seq()), (0, 50));
        }

        #[test]
        fn nothing_comes_out_behind_a_gap(missing in 0_u64..20) {
            let mut resequencer = Resequencer::new();
            let mut released = 0;
            for seq in (0..20).filter(|&seq| seq != missing) {
                resequencer.offer(seq, ());
                while resequencer.release().is_some() {
                    released += 1;
                }
            }
            prop_assert_eq!((released, resequencer.waiting() as u64), (missing, 19 - missing));
        }
    }
}
