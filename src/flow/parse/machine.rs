//! One message at a time: from bytes to appended rows, or to everything that is wrong with it.

use std::sync::Arc;

use super::chars;
use super::compile::{ColumnId, MESSAGE, Program};
use super::drift::Counted;
use super::flatten::{Flatten, Tally};
use super::found::{Found, MAX_VIOLATIONS};
use super::names::Names;
use super::rows::Rows;
use super::scratch::{Scratch, Trace};
use super::walk::{Walk, WalkMemory};
use super::well_formed::admit;
use crate::model::batch::Outcome;
use crate::model::mapping::OnBadMessage;

/// Bytes that a message may add to columns beyond its own text, for each byte of it: a value of the message is repeated
/// in each of its rows and so are its key and headers, which count as its own text once, a default stands where nothing
/// does, a struct has fields that its element does not have; and a message made for it could fill the memory of the
/// daemon.
pub(super) const MAX_EXPANSION: usize = 200;
/// Bytes that any message may add.
pub(super) const FREE_EXPANSION: usize = 1 << 16;
const LONGEST_EXPANSION: usize = 1 << 30;

/// What became of one message.
#[derive(Debug)]
pub(super) struct Flattened {
    /// Rows, partial or quarantined.
    pub(super) outcome: Outcome,
    /// Rows appended, those of child tables not counted.
    pub(super) rows: u32,
    /// Everything that is wrong, in the order it was found, what ended the reading first.
    pub(super) found: Vec<Found>,
}

/// The state machine of one table. Keeps nothing of a message but memory, and names it has seen.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) program: Arc<Program>,
    names: Names,
    walk: WalkMemory,
    scratch: Scratch,
}

impl Machine {
    /// A machine for a program.
    pub(super) fn new(program: Arc<Program>) -> Self {
        let names = Names::new(Arc::clone(&program.vocabulary));
        let scratch = Scratch::new(&program);
        Self { program, names, walk: WalkMemory::default(), scratch }
    }

    /// Reads one message and appends its rows, of which those of the topmost table will get `carried` bytes besides,
    /// each. A message that ends in quarantine leaves no row.
    pub(super) fn flatten(&mut self, payload: &[u8], carried: usize, rows: &mut Rows) -> Flattened {
        let before = rows.len(0);
        self.names.tidy();
        self.scratch.drift.follow(self.names.era());
        self.scratch.mark(&self.program, MESSAGE, rows);
        let read = self.read(payload, carried, rows);
        let mut found = std::mem::take(&mut self.scratch.found);
        let tally = match read {
            Ok(tally) => tally,
            Err(fatal) => {
                found.truncate(MAX_VIOLATIONS - 1);
                found.insert(0, *fatal);
                rows.take_back(&self.program, MESSAGE, &self.scratch.marks);
                return Flattened { outcome: Outcome::Quarantined, rows: 0, found };
            }
        };
        let is_quarantined = tally.is_spoiled
            || (tally.bad_rows > 0 && self.program.on_bad_message == OnBadMessage::Quarantine)
            || (!found.is_empty() && rows.len(0) == before);
        if is_quarantined {
            rows.take_back(&self.program, MESSAGE, &self.scratch.marks);
        }
        let outcome = match (is_quarantined, found.is_empty()) {
            (true, _) => Outcome::Quarantined,
            (false, true) => Outcome::Rows,
            (false, false) => Outcome::Partial,
        };
        // At most limits.rows, which is a u32.
        let added = u32::try_from(rows.len(0) - before).unwrap_or(u32::MAX);
        Flattened { outcome, rows: added, found }
    }

    /// What came that no column takes since this was last asked.
    pub(super) fn take_drift(&mut self) -> Vec<Counted> {
        self.scratch.drift.take()
    }

    /// Looks for the values of a column in a message, for some of its rows.
    pub(super) fn trace(&mut self, payload: &[u8], column: ColumnId, wanted: &[i32]) -> Trace {
        let trace = || Trace { column, wanted: wanted.to_vec(), values: Vec::new(), rows: Vec::new() };
        let mut rows = Rows::new(&self.program);
        self.scratch.trace = Some(trace());
        self.flatten(payload, 0, &mut rows);
        self.scratch.trace.take().unwrap_or_else(trace)
    }

    fn read(&mut self, payload: &[u8], carried: usize, rows: &mut Rows) -> Result<Tally, Box<Found>> {
        let program = Arc::clone(&self.program);
        let text = admit(payload, &program.limits)?;
        let survey = chars::survey(&text)?;
        let own = text.len().saturating_add(carried);
        let may_grow = own.saturating_mul(MAX_EXPANSION).saturating_add(FREE_EXPANSION).min(LONGEST_EXPANSION);
        let mut flatten = Flatten::new(&program, &text, survey, may_grow, &mut self.scratch, rows);
        let rules = (&program.limits, program.dtd);
        Walk::new(&text, survey, rules, &mut self.names, &mut self.walk, &mut flatten).run()?;
        if let Some(schema) = &program.schema {
            flatten.hold_to(schema)?;
        }
        flatten.end_message(carried)
    }
}
