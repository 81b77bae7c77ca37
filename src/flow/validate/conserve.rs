//! Every message has exactly one verdict, and every row its message. A breach is a fault of Forebay, never of a
//! message.

use crate::fault::Fault;
use crate::model::batch::{Outcome, ParsedBatch, TableIndex};

/// Checks a batch that has to begin at consumer position `from`; `top` says which table of the configuration a table is
/// or belongs to.
///
/// # Errors
///
/// An internal fault that names the first breach.
pub fn check(parsed: &ParsedBatch, from: i64, top: impl Fn(TableIndex) -> Option<TableIndex>) -> Result<(), Fault> {
    let raw = &*parsed.raw;
    let breach = |what: String| {
        Fault::internal("validate.conservation", format!("batch {} of {}: {what}", raw.range, raw.source))
    };
    if raw.range.from() != from {
        return Err(breach(format!("it does not begin at {from}, where the one before ends")));
    }
    let offsets = || raw.messages.iter().map(|message| message.offset);
    if let Some(offset) = offsets().find(|&offset| !raw.range.contains(offset)) {
        return Err(breach(format!("offset {offset} lies outside")));
    }
    if offsets().zip(offsets().skip(1)).any(|(first, second)| first >= second) {
        return Err(breach("its offsets do not ascend".to_owned()));
    }
    if parsed.verdicts.len() != raw.messages.len() {
        return Err(breach(format!("{} messages have {} verdicts", raw.messages.len(), parsed.verdicts.len())));
    }
    let mut rows = vec![0_u32; parsed.verdicts.len()];
    for part in &parsed.tables {
        if part.rows.num_rows() != part.message.len() {
            return Err(breach(format!("table {} has rows without a message", part.table)));
        }
        let top = top(part.table);
        for &message in &part.message {
            let verdict = parsed.verdicts.get(message as usize);
            match verdict.filter(|verdict| verdict.table.is_some() && verdict.table == top) {
                Some(_) if top == Some(part.table) => rows[message as usize] += 1,
                // A row of a child table belongs to one of the table.
                Some(verdict) if verdict.rows > 0 => {}
                Some(_) => {
                    return Err(breach(format!("table {} has a row of a message that has none", part.table)));
                }
                None => return Err(breach(format!("table {} has a row of a message that is not its own", part.table))),
            }
        }
    }
    for (message, (verdict, &rows)) in raw.messages.iter().zip(parsed.verdicts.iter().zip(&rows)) {
        let is_told = verdict.rows == rows
            && match verdict.outcome {
                Outcome::Rows => verdict.violations.is_empty() && verdict.table.is_some(),
                Outcome::Partial => rows > 0 && !verdict.violations.is_empty() && verdict.table.is_some(),
                Outcome::Quarantined => rows == 0 && !verdict.violations.is_empty(),
                Outcome::Filtered => rows == 0,
                Outcome::Tombstone => rows == 0 && message.payload.is_none(),
            };
        if !is_told {
            let said = format!("{} with {} rows", verdict.outcome.name(), verdict.rows);
            return Err(breach(format!("offset {} is {said}, and the tables hold {rows} of it", message.offset)));
        }
    }
    Ok(())
}
