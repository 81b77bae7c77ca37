//! The stop rules of a lane: too many of its last messages failed. Pure: what they say depends on the messages and
//! their order alone, not on time or on how they came in batches.
//!
//! Each table has a rule of its own over the messages that it took, so that one that is rare and broken is not hidden
//! among many good ones of another. What no table took counts against all messages of the lane: there the question is
//! whether the topic is still what the configuration takes it for. Tombstones count nowhere.

use std::collections::{BTreeMap, VecDeque};

use crate::model::batch::{LedgerRow, Outcome, TableIndex};
use crate::model::table::{StopRule, Table, UnroutedSettings};

/// When a lane has to stop. Without a rule it never does.
#[derive(Debug, Clone, Default)]
pub struct StopRules {
    /// Share of the messages that a table took.
    pub tables: BTreeMap<TableIndex, StopRule>,
    /// Share of all messages, of those that no table takes.
    pub unrouted: Option<StopRule>,
}

impl StopRules {
    /// The rules for the lanes of `topic`.
    pub fn of(topic: &str, tables: &[Table], unrouted: &UnroutedSettings) -> Self {
        let fed = (0..).zip(tables).filter(|(_, table)| table.topics.takes(topic));
        let tables = fed.filter_map(|(index, table)| Some((index, table.stop_when?))).collect();
        Self { tables, unrouted: unrouted.stop_when }
    }
}

/// What became of the last messages of a lane since it began, for each of its stop rules.
#[derive(Debug)]
pub(super) struct FailureWindows {
    tables: BTreeMap<TableIndex, FailureWindow>,
    unrouted: Option<FailureWindow>,
}

impl FailureWindows {
    /// No message has come yet.
    pub(super) fn new(rules: &StopRules) -> Self {
        let tables = rules.tables.iter().map(|(table, rule)| (*table, FailureWindow::new(*rule))).collect();
        Self { tables, unrouted: rules.unrouted.map(FailureWindow::new) }
    }

    /// Notes what became of the next message. What is told of the rule that is met with it, if one is; `name` says how
    /// a table is called.
    pub(super) fn note<'n>(
        &mut self,
        row: &LedgerRow,
        name: impl FnOnce(TableIndex) -> Option<&'n str>,
    ) -> Option<String> {
        let has_failed = matches!(row.outcome, Outcome::Quarantined | Outcome::Partial);
        let is_nobodys = row.table.is_none() && row.outcome == Outcome::Quarantined;
        let of_table = row.table.and_then(|table| self.tables.get_mut(&table));
        let of_lane = self.unrouted.as_mut().filter(|_| row.outcome != Outcome::Tombstone);
        // Both are told of it, whichever stops the lane.
        let of_table = of_table.and_then(|window| window.note(has_failed).then_some(window));
        let of_lane = of_lane.and_then(|window| window.note(is_nobodys).then_some(window));
        let met = of_table.or(of_lane)?;
        Some(met.account(row.table.and_then(name)))
    }
}

/// What became of the last messages that a rule looks at.
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

    /// What it has seen, for people: of the messages that `table` took, or of what no table took of all.
    pub fn account(&self, table: Option<&str>) -> String {
        let (failed, of, seen) = (self.failed, self.rule.of, self.last.len());
        let share = f64::from(self.rule.failed_ppm) / 1_000_000.0;
        match table {
            Some(table) => format!(
                "{failed} of the last {seen} messages of table {table} failed, and its stop_when allows {share} of {of}"
            ),
            None => format!(
                "no table took {failed} of the last {seen} messages, and unrouted.stop_when allows {share} of {of}"
            ),
        }
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
        let said = "2 of the last 2 messages of table books failed, and its stop_when allows 0.25 of 4";
        assert_eq!(window.account(Some("books")), said);
        let said = "no table took 2 of the last 2 messages, and unrouted.stop_when allows 0.25 of 4";
        assert_eq!(window.account(None), said);
    }

    fn row(table: Option<TableIndex>, outcome: Outcome) -> LedgerRow {
        LedgerRow { offset: 0, timestamp_us: None, outcome, table, rows: 0, code: None }
    }

    /// Place of the first message at which the lane stops.
    fn stops_at(rules: &StopRules, rows: &[LedgerRow]) -> Option<usize> {
        let mut windows = FailureWindows::new(rules);
        rows.iter().position(|row| windows.note(row, |_| Some("books")).is_some())
    }

    proptest! {
        #[test]
        fn each_table_is_judged_by_the_messages_it_took_alone(
            messages in proptest::collection::vec((0_u16..4, proptest::bool::weighted(0.4)), 0..200),
            rules in proptest::array::uniform3((0_u32..1_000_000, 1_u32..20)),
        ) {
            // Tables 0 and 1; 2 is nobody, 3 a tombstone.
            let rule = |(failed_ppm, of): (u32, u32)| StopRule { failed_ppm, of };
            let tables = BTreeMap::from([(0, rule(rules[0])), (1, rule(rules[1]))]);
            let all = StopRules { tables, unrouted: Some(rule(rules[2])) };
            let message = |(who, has_failed): &(u16, bool)| match (who, has_failed) {
                (0 | 1, true) => row(Some(*who), Outcome::Quarantined),
                (0 | 1, false) => row(Some(*who), Outcome::Rows),
                (2, _) => row(None, Outcome::Quarantined),
                _ => row(None, Outcome::Tombstone),
            };
            let rows: Vec<LedgerRow> = messages.iter().map(message).collect();
            // Each alone, over its own messages.
            let of = |who: u16| {
                let own = |(_, (whose, _)): &(usize, &(u16, bool))| if who == 2 { *whose != 3 } else { *whose == who };
                let own: Vec<(usize, bool)> = messages.iter().enumerate().filter(own)
                    .map(|(place, (whose, has_failed))| (place, if who == 2 { *whose == 2 } else { *has_failed }))
                    .collect();
                let failed: Vec<bool> = own.iter().map(|(_, failed)| *failed).collect();
                first_stop(rule(rules[usize::from(who)]), &failed).map(|at| own[at].0)
            };
            prop_assert_eq!(stops_at(&all, &rows), [of(0), of(1), of(2)].into_iter().flatten().min());
        }
    }

    #[test]
    fn a_table_without_a_rule_stops_nobody() {
        let rules = StopRules { tables: BTreeMap::from([(1, StopRule { failed_ppm: 0, of: 1 })]), unrouted: None };
        let bad = |table| row(table, Outcome::Quarantined);
        assert_eq!(stops_at(&rules, &[bad(Some(0)), bad(None), bad(Some(0)), bad(Some(1))]), Some(3));
    }
}
