//! One message at a time: from bytes to appended rows, or to everything that is wrong with it.

use std::sync::Arc;

use super::chars;
use super::compile::{ColumnId, Program, StateId};
use super::fields::Tally;
use super::flatten::Flatten;
use super::found::{Found, MAX_VIOLATIONS, Place};
use super::names::Names;
use super::rows::Rows;
use super::text::Gathered;
use super::walk::{Walk, WalkMemory};
use super::well_formed::admit;
use crate::model::batch::Outcome;
use crate::model::mapping::OnBadMessage;
use crate::model::violation::Code;

/// Text that the rows of a message may share beyond its own length, for each byte of it: a value of the message is
/// repeated in each row, and a message made for it could fill the memory of the daemon.
const MAX_EXPANSION: usize = 128;
const FREE_EXPANSION: usize = 1 << 16;
const LONGEST_EXPANSION: usize = 1 << 30;

/// What became of one message.
#[derive(Debug)]
pub(super) struct Flattened {
    /// Rows, partial or quarantined.
    pub(super) outcome: Outcome,
    /// Rows appended.
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

/// Memory that is used again for each message.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The states around the open elements.
    pub(super) states: Vec<StateId>,
    /// Text being gathered; the first `open` are in use.
    pub(super) captures: Vec<Capture>,
    pub(super) open: usize,
    pub(super) value: String,
    pub(super) collapsed: String,
    /// Violations of fields and rows.
    pub(super) found: Vec<Found>,
    /// When a column is looked for: where its values were.
    pub(super) trace: Option<Trace>,
}

/// Text of one element being gathered.
#[derive(Debug, Default)]
pub(super) struct Capture {
    /// How many elements are open around its own text.
    pub(super) depth: usize,
    /// Whether text of descendants belongs to it.
    pub(super) takes_all: bool,
    pub(super) gathered: Gathered,
}

/// Where rows and the values of one column were found, by the place of the row among the row elements of the message.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) column: ColumnId,
    pub(super) values: Vec<(i32, Place)>,
    pub(super) rows: Vec<(i32, Place)>,
}

impl Machine {
    /// A machine for a program.
    pub(super) fn new(program: Arc<Program>) -> Self {
        let names = Names::new(Arc::clone(&program.vocabulary));
        Self { program, names, walk: WalkMemory::default(), scratch: Scratch::default() }
    }

    /// Reads one message and appends its rows. A message that ends in quarantine leaves no row.
    pub(super) fn flatten(&mut self, payload: &[u8], rows: &mut Rows) -> Flattened {
        let before = rows.len();
        self.names.tidy();
        rows.forget_shared();
        let read = self.read(payload, rows);
        let mut found = std::mem::take(&mut self.scratch.found);
        let tally = match read {
            Ok(tally) => tally,
            Err(fatal) => {
                found.truncate(MAX_VIOLATIONS - 1);
                found.insert(0, *fatal);
                rows.truncate(before);
                return Flattened { outcome: Outcome::Quarantined, rows: 0, found };
            }
        };
        let is_quarantined = tally.is_spoiled
            || (tally.bad_rows > 0 && self.program.on_bad_message == OnBadMessage::Quarantine)
            || (!found.is_empty() && rows.len() == before);
        if is_quarantined {
            rows.truncate(before);
        }
        let outcome = match (is_quarantined, found.is_empty()) {
            (true, _) => Outcome::Quarantined,
            (false, true) => Outcome::Rows,
            (false, false) => Outcome::Partial,
        };
        // At most limits.rows, which is a u32.
        let added = u32::try_from(rows.len() - before).unwrap_or(u32::MAX);
        Flattened { outcome, rows: added, found }
    }

    /// Looks for the values of a column in a message.
    pub(super) fn trace(&mut self, payload: &[u8], column: ColumnId) -> Trace {
        let mut rows = Rows::new(&self.program);
        self.scratch.trace = Some(Trace { column, values: Vec::new(), rows: Vec::new() });
        self.flatten(payload, &mut rows);
        self.scratch.trace.take().unwrap_or(Trace { column, values: Vec::new(), rows: Vec::new() })
    }

    fn read(&mut self, payload: &[u8], rows: &mut Rows) -> Result<Tally, Box<Found>> {
        let program = Arc::clone(&self.program);
        let text = admit(payload, &program.limits)?;
        let survey = chars::survey(&text)?;
        let mut flatten = Flatten::new(&program, &text, survey, &mut self.scratch, rows);
        let rules = (&program.limits, program.dtd);
        Walk::new(&text, survey, rules, &mut self.names, &mut self.walk, &mut flatten).run()?;
        let tally = flatten.end_message();
        let added = rows.len() - tally.rows_before;
        let shared: usize = rows.shared.iter().map(super::columns::ColumnBuffer::text_bytes).sum();
        let allowed = (FREE_EXPANSION + MAX_EXPANSION * payload.len()).min(LONGEST_EXPANSION);
        if shared.saturating_mul(added) > allowed {
            let what =
                "the values that all rows share would be repeated too often; take them once or split the message";
            return Err(Found::fatal(Code::LIMIT_ROWS, 0, what));
        }
        if !tally.is_spoiled {
            for (slot, &column) in program.message_columns.iter().enumerate() {
                rows.columns[usize::from(column)].push_repeated(&rows.shared[slot], added);
            }
        }
        Ok(tally)
    }
}
