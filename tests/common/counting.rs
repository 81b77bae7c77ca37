//! An allocator that counts, for each thread on its own: how often memory was taken, and the most that was held at
//! once.

#![expect(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// To be the global allocator of a test or a benchmark.
pub(crate) struct Counting;

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

fn note(difference: i64) {
    // A thread that ends frees memory after its counters are gone.
    let _ = TAKEN.try_with(|taken| taken.set(taken.get() + u64::from(difference > 0)));
    let _ = HELD.try_with(|held| {
        held.set(held.get() + difference);
        PEAK.with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as i64);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(-(layout.size() as i64));
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What a piece of work took from memory on this thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    /// How often memory was taken.
    pub(crate) allocations: u64,
    /// The most that was held at once beyond what was held before.
    pub(crate) peak: i64,
    /// What is still held of it.
    pub(crate) kept: i64,
}

/// Does a piece of work and counts.
pub(crate) fn count(work: impl FnOnce()) -> Cost {
    let taken = TAKEN.get();
    let held = HELD.get();
    PEAK.set(held);
    work();
    Cost { allocations: TAKEN.get() - taken, peak: PEAK.get() - held, kept: HELD.get() - held }
}
