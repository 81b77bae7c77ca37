//! What has been put into the lake so far, for a live picture.

use super::metrics::{Metrics, Table, TopicOutcome, Zone};
use crate::model::batch::Outcome;

/// Sums since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows committed to RAW.
    pub rows: u64,
    /// Messages in quarantine.
    pub quarantined: u64,
    /// Files put into the zones, the ledger included.
    pub files: u64,
    /// Rows written to Processed.
    pub promoted_rows: u64,
    /// Promotions done.
    pub promotions: u64,
}

impl Metrics {
    /// The sums of one topic and the table that it feeds. Files are those of all tables.
    pub fn totals(&self, topic: &str, table: &str) -> Totals {
        let table = Table { table: table.to_owned() };
        let messages = |outcome: Outcome| {
            let label = TopicOutcome { topic: topic.to_owned(), outcome: outcome.name() };
            self.messages.get_or_create(&label).get()
        };
        let files = |zone| self.files.get_or_create(&Zone { zone }).get();
        Totals {
            rows: self.rows.get_or_create(&table).get(),
            quarantined: messages(Outcome::Quarantined) + messages(Outcome::Partial),
            files: ["raw", "quarantine", "ledger", "processed"].into_iter().map(files).sum(),
            promoted_rows: self.promoted_rows.get_or_create(&table).get(),
            promotions: self.promotions.get_or_create(&table).get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_the_sums_of_the_counters() {
        let metrics = Metrics::new();
        let count = |outcome: Outcome, messages: u64| {
            let label = TopicOutcome { topic: "library".to_owned(), outcome: outcome.name() };
            metrics.messages.get_or_create(&label).inc_by(messages);
        };
        count(Outcome::Rows, 100);
        count(Outcome::Quarantined, 3);
        count(Outcome::Partial, 2);
        metrics.rows.get_or_create(&Table { table: "books".to_owned() }).inc_by(300);
        for zone in ["raw", "ledger", "processed"] {
            metrics.files.get_or_create(&Zone { zone }).inc_by(7);
        }
        let totals = metrics.totals("library", "books");
        assert_eq!((totals.rows, totals.quarantined, totals.files), (300, 5, 21));
        assert_eq!(metrics.totals("other", "books").quarantined, 0);
    }
}
