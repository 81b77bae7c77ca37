//! The stop rule of a lane: too many of its last messages failed. Pure: what it says depends on the messages and their
//! order alone, not on time or on how they came in batches.

use std::collections::VecDeque;

use crate::model::table::StopRule;

/// What became of the last messages of a lane since it began.
///
/// Memory: a byte for each message of the rule's window.
#[derive(Debug, Clone)]
pub struct FailureWindow {
    rule: StopRule,
    /// Whether each failed, the oldest first; at most as many as the rule looks back on.
    last: VecDeque<bool>,
    failed: u32,
}

impl FailureWindow {
    /// No message has come yet.
    pub fn new(rule: StopRule) -> Self {
        Self { rule, last: VecDeque::new(), failed: 0 }
    }

    /// Notes what became of the next message. Whether more of the last messages failed now than the rule allows; while
    /// fewer have come than the rule looks back on, those to come are taken for good ones.
    pub fn note(&mut self, has_failed: bool) -> bool {
        if self.last.len() >= self.rule.of as usize {
            self.failed -= u32::from(self.last.pop_front() == Some(true));
        }
        self.last.push_back(has_failed);
        self.failed += u32::from(has_failed);
        u64::from(self.failed) * 1_000_000 > u64::from(self.rule.failed_ppm) * u64::from(self.rule.of)
    }

    /// What it has seen, for people.
    pub fn account(&self) -> String {
        let (failed, of, seen) = (self.failed, self.rule.of, self.last.len());
        let share = f64::from(self.rule.failed_ppm) / 1_000_000.0;
        format!("{failed} of the last {seen} messages failed, and stop_when allows {share} of {of}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn first_stop(rule: StopRule, failed: &[bool]) -> Option<usize> {
        let mut window = FailureWindow::new(rule);
        failed.iter().position(|failed| window.note(*failed))
    }

    proptest! {
        #[test]
        fn it_stops_at_the_first_message_where_too_many_of_the_last_failed(
            failed in proptest::collection::vec(proptest::bool::weighted(0.4), 0..300),
            failed_ppm in 0_u32..1_000_000,
            of in 1_u32..60,
        ) {
            let counted = |end: usize| failed[(end + 1).saturating_sub(of as usize)..=end].iter().filter(|f| **f).count();
            let too_many = |end: &usize| counted(*end) as u64 * 1_000_000 > u64::from(failed_ppm) * u64::from(of);
            let expected = (0..failed.len()).find(too_many);
            prop_assert_eq!(first_stop(StopRule { failed_ppm, of }, &failed), expected);
        }
    }

    #[test]
    fn the_share_itself_is_allowed() {
        let rule = StopRule { failed_ppm: 500_000, of: 4 };
        assert_eq!(first_stop(rule, &[true, true, false, false, true, true, false, false]), None);
        assert_eq!(first_stop(rule, &[true, true, true]), Some(2));
        assert_eq!(first_stop(rule, &[true, false, true, false, true, true]), Some(5));
        assert_eq!(first_stop(StopRule { failed_ppm: 0, of: 10 }, &[false, false, true]), Some(2));
    }

    #[test]
    fn it_tells_what_it_has_seen() {
        let mut window = FailureWindow::new(StopRule { failed_ppm: 250_000, of: 4 });
        assert!(!window.note(true));
        assert!(window.note(true));
        assert_eq!(window.account(), "2 of the last 2 messages failed, and stop_when allows 0.25 of 4");
    }
}
