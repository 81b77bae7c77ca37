//! Looking at many files of the lake at the same time: on HDFS a look is mostly waiting.
//!
//! Memory: each look says how much it may hold, and all that go on together hold less than 64 MiB; one that may hold
//! more is done alone.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};

/// Looks that go on at the same time.
const THREADS: usize = 16;

/// Bytes that they may hold together.
const HELD: u64 = 64 << 20;

/// Looks at all things; the answers are in their order. `holds` is how many bytes a look may hold.
pub fn look_at_all<T: Sync, R: Send>(
    things: &[T],
    holds: impl Fn(&T) -> u64 + Sync,
    look: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let (next, room) = (AtomicUsize::new(0), Room::default());
    let work = || {
        let mut answers = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(thing) = things.get(at) else { return answers };
            let _held = room.take(holds(thing));
            answers.push((at, look(thing)));
        }
    };
    let mut answers = thread::scope(|scope| {
        // A thread that cannot be had is done without: this one works too.
        let more = 1..THREADS.min(things.len());
        let helpers: Vec<_> =
            more.map_while(|_| Builder::new().name("look".into()).spawn_scoped(scope, work).ok()).collect();
        let mut answers = work();
        for helper in helpers {
            answers.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        answers
    });
    answers.sort_unstable_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Bytes that are held.
#[derive(Default)]
struct Room {
    held: Mutex<u64>,
    freed: Condvar,
}

impl Room {
    fn held(&self) -> MutexGuard<'_, u64> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room for so many bytes, or for all of it.
    fn take(&self, bytes: u64) -> Held<'_> {
        let bytes = bytes.min(HELD);
        let held = self.freed.wait_while(self.held(), |held| *held + bytes > HELD);
        *held.unwrap_or_else(PoisonError::into_inner) += bytes;
        Held { room: self, bytes }
    }
}

struct Held<'a> {
    room: &'a Room,
    bytes: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.room.held() -= self.bytes;
        self.room.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn answers_come_in_order_and_no_more_is_held_than_there_is_room_for() {
        let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let things: Vec<u64> = (0..200).map(|n| if n % 7 == 0 { 2 * HELD } else { n << 17 }).collect();
        let answers = look_at_all(
            &things,
            |bytes| *bytes,
            |bytes| {
                let now = held.fetch_add((*bytes).min(HELD), Ordering::SeqCst) + (*bytes).min(HELD);
                most.fetch_max(now, Ordering::SeqCst);
                thread::yield_now();
                held.fetch_sub((*bytes).min(HELD), Ordering::SeqCst);
                *bytes
            },
        );
        assert_eq!(answers, things);
        assert!(most.into_inner() <= HELD);
        assert!(look_at_all(&[], |()| 0, |()| ()).is_empty());
    }
}
