//! One memory budget for everything that is read and not yet encoded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that all lanes together may hold. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: u64,
    used: AtomicU64,
    peak: AtomicU64,
}

impl MemoryBudget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self { shared: Arc::new(Shared { limit, used: AtomicU64::new(0), peak: AtomicU64::new(0) }) }
    }

    /// A permit for `bytes`, or `None` when they do not fit now.
    ///
    /// A single request above the whole limit is granted when nothing else is held: one oversized message must be
    /// refused by its own limit, not stall its lane for ever.
    pub fn try_take(&self, bytes: u64) -> Option<MemoryPermit> {
        let granted = self.shared.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            (used == 0 || used.saturating_add(bytes) <= self.shared.limit).then(|| used.saturating_add(bytes))
        });
        let before = granted.ok()?;
        self.shared.peak.fetch_max(before.saturating_add(bytes), Ordering::Relaxed);
        Some(MemoryPermit { shared: Arc::clone(&self.shared), bytes })
    }

    /// A permit for bytes that are held already, whether they fit or not.
    pub fn take(&self, bytes: u64) -> MemoryPermit {
        let before = self.shared.used.fetch_add(bytes, Ordering::AcqRel);
        self.shared.peak.fetch_max(before.saturating_add(bytes), Ordering::Relaxed);
        MemoryPermit { shared: Arc::clone(&self.shared), bytes }
    }

    /// Bytes held now.
    pub fn used(&self) -> u64 {
        self.shared.used.load(Ordering::Acquire)
    }

    /// Most bytes ever held.
    pub fn peak(&self) -> u64 {
        self.shared.peak.load(Ordering::Relaxed)
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.shared.limit
    }
}

/// A share of a [`MemoryBudget`]; dropping it gives the bytes back.
#[derive(Debug)]
pub struct MemoryPermit {
    shared: Arc<Shared>,
    bytes: u64,
}

impl MemoryPermit {
    /// Bytes held by this permit.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Another permit of the same budget, for bytes that are held already, whether they fit or not.
    #[must_use]
    pub fn beside(&self, bytes: u64) -> Self {
        MemoryBudget { shared: Arc::clone(&self.shared) }.take(bytes)
    }

    /// Changes the size of this permit, above the limit if need be.
    pub fn resize(&mut self, bytes: u64) {
        if bytes >= self.bytes {
            let more = bytes - self.bytes;
            let before = self.shared.used.fetch_add(more, Ordering::AcqRel);
            self.shared.peak.fetch_max(before.saturating_add(more), Ordering::Relaxed);
        } else {
            self.shared.used.fetch_sub(self.bytes - bytes, Ordering::AcqRel);
        }
        self.bytes = bytes;
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        self.shared.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_gives_its_bytes_back() {
        let budget = MemoryBudget::new(100);
        let first = budget.try_take(60).unwrap();
        assert!(budget.try_take(50).is_none());
        drop(first);
        assert_eq!(budget.used(), 0);
        assert!(budget.try_take(50).is_some());
    }

    #[test]
    fn an_oversized_request_passes_alone() {
        let budget = MemoryBudget::new(100);
        let big = budget.try_take(500).unwrap();
        assert!(budget.try_take(1).is_none());
        drop(big);
        assert!(budget.try_take(1).is_some());
    }

    #[test]
    fn a_permit_can_grow_and_shrink() {
        let budget = MemoryBudget::new(100);
        let mut permit = budget.take(10);
        permit.resize(70);
        assert_eq!(budget.used(), 70);
        permit.resize(5);
        assert_eq!(budget.used(), 5);
        assert_eq!(budget.peak(), 70);
    }

    #[test]
    fn a_permit_beside_another_counts_in_the_same_budget() {
        let budget = MemoryBudget::new(100);
        let first = budget.take(60);
        let beside = first.beside(60);
        assert_eq!(budget.used(), 120);
        drop(first);
        assert_eq!((budget.used(), beside.bytes()), (60, 60));
    }
}
