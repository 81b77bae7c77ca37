//! Order, out of any order.

use std::collections::BTreeMap;

use crate::model::batch::Piece;

/// What became of an item that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It waits for its turn, or it is its turn.
    Kept,
    /// It was there before, or its turn is over: it was dropped.
    Repeat,
}

/// Takes items with sequence numbers in any order, some of them in pieces and some repeatedly, and releases each once,
/// in order and without a gap.
///
/// Memory: every item ahead of a missing one is held; the lane bounds them by the number of batches it has on the way.
#[derive(Debug)]
pub struct Resequencer<T> {
    /// Number and piece.
    next: (u64, u32),
    /// Each with whether it is the last piece of its number.
    waiting: BTreeMap<(u64, u32), (T, bool)>,
}

impl<T> Resequencer<T> {
    /// Nothing has come yet, and number 0 is the first.
    pub fn new() -> Self {
        Self { next: (0, 0), waiting: BTreeMap::new() }
    }

    /// Takes an item.
    pub fn offer(&mut self, seq: u64, piece: Piece, item: T) -> Offered {
        let place = (seq, piece.number);
        if place < self.next || self.waiting.contains_key(&place) {
            return Offered::Repeat;
        }
        self.waiting.insert(place, (item, piece.is_last));
        Offered::Kept
    }

    /// The next item in order, if it is there.
    pub fn release(&mut self) -> Option<T> {
        let (item, is_last) = self.waiting.remove(&self.next)?;
        let (seq, piece) = self.next;
        self.next = if is_last { (seq + 1, 0) } else { (seq, piece + 1) };
        Some(item)
    }

    /// The number that is released next, and which piece of it.
    pub fn next(&self) -> (u64, u32) {
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
            // What is told apart by these numbers comes in pieces: of 0 one, of 1 two, of 2 three, of 3 one, and so on.
            let places: Vec<(u64, u32, bool)> =
                (0..).flat_map(|seq: u64| (0..=seq % 3).map(move |piece| (seq, piece as u32, piece == seq % 3))).take(50).collect();
            for number in offers {
                let (seq, piece, is_last) = places[usize::try_from(number).unwrap()];
                let piece = Piece { number: piece, is_last };
                kept += usize::from(resequencer.offer(seq, piece, number) == Offered::Kept);
                while let Some(item) = resequencer.release() {
                    released.push(item);
                }
                prop_assert_eq!(kept, released.len() + resequencer.waiting());
            }
            prop_assert_eq!(released, (0..50).collect::<Vec<_>>());
            prop_assert_eq!(resequencer.waiting(), 0);
        }

        #[test]
        fn nothing_comes_out_behind_a_gap(missing in 0_u64..20) {
            let mut resequencer = Resequencer::new();
            let mut released = 0;
            for seq in (0..20).filter(|&seq| seq != missing) {
                resequencer.offer(seq, Piece::WHOLE, ());
                while resequencer.release().is_some() {
                    released += 1;
                }
            }
            prop_assert_eq!((released, resequencer.waiting() as u64), (missing, 19 - missing));
        }
    }
}
