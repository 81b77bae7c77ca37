//! What is said again and again: some lines of it are written, the others are counted.

use std::time::{Duration, Instant};

/// Lets a number of lines pass in each window of time, and counts the others.
#[derive(Debug)]
pub(super) struct Sampler {
    most: u32,
    window: Duration,
    begun: Option<Instant>,
    passed: u32,
    unsaid: u64,
}

impl Sampler {
    pub(super) const fn new(most: u32, window: Duration) -> Self {
        Self { most, window, begun: None, passed: 0, unsaid: 0 }
    }

    /// How many were held back since the last that passed; `None`: this one is held back too.
    pub(super) fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.begun.is_none_or(|begun| now.duration_since(begun) >= self.window) {
            self.begun = Some(now);
            self.passed = 0;
        }
        if self.passed >= self.most {
            self.unsaid += 1;
            return None;
        }
        self.passed += 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_event_is_sampled_and_what_is_unsaid_is_counted() {
        let mut sampler = Sampler::new(2, Duration::from_secs(10));
        let now = Instant::now();
        let answers: Vec<_> = (0..5).map(|_| sampler.admit(now)).collect();
        assert_eq!(answers, [Some(0), Some(0), None, None, None]);
        assert_eq!(sampler.admit(now + Duration::from_secs(10)), Some(3));
    }
}
