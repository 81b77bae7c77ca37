//! What is in a batch, counted, and the check that its ledger says so. Pure.

use std::collections::BTreeMap;

use crate::fault::Fault;
use crate::model::batch::{Outcome, TableIndex, ValidBatch};
use crate::model::violation::Code;

/// Counts of one batch, or of several added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchSums {
    /// Messages by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Quarantined (also partly) messages by table and first violation.
    pub codes: BTreeMap<(Option<TableIndex>, Code), u64>,
}

impl BatchSums {
    /// Counts a batch and checks it: one ledger row a message, by ascending offset and inside the range; as many rows
    /// in each table as the ledger says; one dead letter for each message that the ledger puts in quarantine.
    ///
    /// # Errors
    ///
    /// An internal fault: a ledger that is wrong must never be written.
    pub fn of(batch: &ValidBatch) -> Result<Self, Fault> {
        let raw = &batch.raw;
        let wrong = |what: &str| {
            Fault::internal("buffer.ledger", format!("the ledger of {} {} is wrong: {what}", raw.source, raw.range))
        };
        if batch.ledger.len() != raw.messages.len() {
            return Err(wrong("it does not have one row a message"));
        }
        let mut sums = Self::default();
        let mut rows: BTreeMap<TableIndex, u64> = BTreeMap::new();
        let mut quarantined = Vec::new();
        let mut last = None;
        for (index, (row, message)) in batch.ledger.iter().zip(&raw.messages).enumerate() {
            if row.offset != message.offset || !raw.range.contains(row.offset) || last >= Some(row.offset) {
                return Err(wrong("its offsets are not those of the messages, ascending and in the range"));
            }
            last = Some(row.offset);
            *sums.outcomes.entry(row.outcome).or_default() += 1;
            if matches!(row.outcome, Outcome::Quarantined | Outcome::Partial) {
                quarantined.push(index);
                if let Some(code) = row.code {
                    *sums.codes.entry((row.table, code)).or_default() += 1;
                }
            }
            match row.table {
                Some(table) => *rows.entry(table).or_default() += u64::from(row.rows),
                None if row.rows > 0 => return Err(wrong("a message without a table has rows")),
                None => {}
            }
        }
        let letters = batch.dead_letters.iter().map(|letter| letter.message as usize);
        if !letters.eq(quarantined) {
            return Err(wrong("its quarantined messages are not the dead letters"));
        }
        for (table, expected) in rows {
            let found = batch.tables.iter().filter(|rows| rows.table == table);
            if found.map(|rows| rows.rows.num_rows() as u64).sum::<u64>() != expected {
                return Err(wrong("a table has more or fewer rows than it says"));
            }
        }
        Ok(sums)
    }

    /// Adds another batch.
    pub fn add(&mut self, other: &Self) {
        for (outcome, count) in &other.outcomes {
            *self.outcomes.entry(*outcome).or_default() += count;
        }
        for (code, count) in &other.codes {
            *self.codes.entry(*code).or_default() += count;
        }
    }

    /// Messages in all.
    pub fn messages(&self) -> u64 {
        self.outcomes.values().sum()
    }
}
