//! Room for rows that are parsed and not encoded yet.
//!
//! A message may become far more bytes of rows than it has itself: `<a/>` is four, and a row of two hundred columns
//! more than a thousand. So what is parsed is bounded apart from what is read:
//!
//! * a worker takes up no new batch while all rows together hold more than [`RowRoom::has_room`] allows;
//! * it hands on a batch in pieces, each of at most [`RowRoom::piece`] bytes of rows;
//! * a single message beyond that takes a [`Turn`], of which there is one, and may have [`RowRoom::message`] bytes. One
//!   that needs more goes to quarantine as `limit.rows`.
//!
//! Whoever waits waits for rows that others have handed on, and those are encoded whatever he does: a turn is only for
//! the oldest batch of a lane, which no other batch of it waits for behind. So nobody waits for himself.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The least that a piece may hold, and the most.
const PIECE_BYTES: (u64, u64) = (1 << 20, 16 << 20);

/// The room of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RowRoom {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: u64,
    piece: u64,
    message: u64,
    held: Mutex<Held>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    bytes: u64,
    is_turn_taken: bool,
}

impl RowRoom {
    /// The room of a process with `memory` bytes for all its buffers, and so many parsers.
    pub fn new(memory: u64, parsers: usize) -> Self {
        let (least, most) = PIECE_BYTES;
        let each = memory / 8 / u64::try_from(parsers).unwrap_or(u64::MAX).max(1);
        Self::of(memory / 8, each.clamp(least, most), memory / 4 * 3)
    }

    fn of(limit: u64, piece: u64, message: u64) -> Self {
        let (held, freed) = (Mutex::default(), Condvar::new());
        Self { shared: Arc::new(Shared { limit, piece, message, held, freed }) }
    }

    /// Bytes of rows that a batch may hold, unless they are all of one message.
    pub fn piece(&self) -> usize {
        usize::try_from(self.shared.piece).unwrap_or(usize::MAX)
    }

    /// Bytes of rows that one message may have.
    pub fn message(&self) -> usize {
        usize::try_from(self.shared.message).unwrap_or(usize::MAX)
    }

    /// Whether a worker may take up a batch.
    pub fn has_room(&self) -> bool {
        self.held().bytes < self.shared.limit
    }

    /// Bytes that are held now.
    pub fn used(&self) -> u64 {
        self.held().bytes
    }

    /// Waits until something is given back, no longer than `timeout`.
    pub fn wait(&self, timeout: Duration) {
        // Whoever waits looks again, whatever it was that woke him.
        drop(self.shared.freed.wait_timeout(self.held(), timeout));
    }

    /// The turn, if nobody has it.
    pub fn try_turn(&self) -> Option<Turn> {
        let mut held = self.held();
        let is_taken = std::mem::replace(&mut held.is_turn_taken, true);
        (!is_taken).then(|| Turn { room: self.clone() })
    }

    /// A share for rows that are there already, with the turn that they were made in.
    pub fn hold(&self, bytes: u64, turn: Option<Turn>) -> RowShare {
        self.held().bytes += bytes;
        RowShare { room: self.clone(), bytes, _turn: turn }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.shared.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to have more rows than fit a piece; dropping it gives it to the next.
#[derive(Debug)]
pub struct Turn {
    room: RowRoom,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.room.held().is_turn_taken = false;
        self.room.shared.freed.notify_all();
    }
}

/// A share of a [`RowRoom`]; dropping it gives the bytes back.
#[derive(Debug)]
pub struct RowShare {
    room: RowRoom,
    bytes: u64,
    /// Given back with the bytes.
    _turn: Option<Turn>,
}

impl Drop for RowShare {
    fn drop(&mut self) {
        self.room.held().bytes -= self.bytes;
        self.room.shared.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_give_back_their_bytes_and_the_turn_they_were_made_in() {
        let room = RowRoom::new(256 << 20, 2);
        assert_eq!((room.piece(), room.message()), (16 << 20, 192 << 20));
        let turn = room.try_turn().unwrap();
        assert!(room.try_turn().is_none());
        let rows = room.hold(40 << 20, Some(turn));
        assert!(!room.has_room() && room.try_turn().is_none());
        drop(rows);
        assert!(room.has_room() && room.used() == 0);
        drop(room.try_turn().unwrap());
        assert!(room.try_turn().is_some());
    }

    #[test]
    fn who_waits_is_woken() {
        let room = RowRoom::new(1 << 20, 1);
        let share = room.hold(1 << 30, None);
        let waiting = std::thread::spawn(move || {
            while !room.has_room() {
                room.wait(Duration::from_secs(60));
            }
        });
        drop(share);
        waiting.join().unwrap();
    }

    #[test]
    fn many_parsers_share_and_each_has_enough_for_a_batch() {
        assert_eq!(RowRoom::new(256 << 20, 1000).piece(), 1 << 20);
    }
}
