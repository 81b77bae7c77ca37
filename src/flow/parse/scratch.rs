//! What a machine keeps of a message while it reads it, and what it finds out about it.

use std::ops::Range;

use super::compile::{ColumnId, Marks, Program, ScopeId, StateId};
use super::drift::{Drift, Next, PlaceId};
use super::found::{Found, Place};
use super::namespaces::Namespaces;
use super::rows::Rows;
use super::text::Gathered;
use super::unmapped::Unmapped;
use crate::lexical::Memory;

/// The base of a scope in which nothing counts: a struct that occurred once too often, or is nil.
pub(super) const INACTIVE: usize = usize::MAX;

/// Memory that is used again for each message.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The open elements.
    pub(super) frames: Vec<Frame>,
    /// Own text of elements being gathered; the first `own_open` are in use.
    pub(super) own: Vec<Capture>,
    pub(super) own_open: usize,
    /// All text of elements being gathered; the first `all_open` are in use.
    pub(super) all: Vec<Capture>,
    pub(super) all_open: usize,
    /// Every scope as it is now.
    pub(super) instances: Vec<Instance>,
    /// Lengths of tables when scopes began.
    pub(super) marks: Vec<usize>,
    /// For each child table the ordinal of its next row.
    pub(super) ordinals: Vec<i32>,
    /// What is kept of columns until their scope ends.
    pub(super) pending: Vec<Pending>,
    pub(super) namespaces: Namespaces,
    pub(super) unmapped: Unmapped,
    /// What no column takes, where it is counted; kept from message to message.
    pub(super) drift: Drift,
    pub(super) value: String,
    pub(super) memory: Memory,
    /// Violations of fields and rows.
    pub(super) found: Vec<Found>,
    /// When a column is looked for: where its values were.
    pub(super) trace: Option<Trace>,
}

/// An open element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// The state around it.
    pub(super) outer: StateId,
    /// Where its start tag begins.
    pub(super) at: usize,
    /// Whether it is `xsi:nil`.
    pub(super) is_nil: bool,
    /// Where what no column takes is counted: what of it is taken, and what came in it.
    pub(super) marks: Marks,
    pub(super) place: PlaceId,
    pub(super) next: Next,
}

/// Text of one element being gathered.
#[derive(Debug, Default)]
pub(super) struct Capture {
    /// How many elements are open around its own text.
    pub(super) depth: usize,
    pub(super) gathered: Gathered,
}

/// A scope as it is now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Instance {
    /// How long its buffers were when it began; [`INACTIVE`] when nothing in it counts.
    pub(super) base: usize,
    /// How many of its plain columns have a value.
    pub(super) filled: usize,
    /// Of a struct: it counts and is `xsi:nil`, so it has no fields.
    pub(super) is_nil: bool,
    /// Something in it is so bad that its row cannot be kept. Never without the violation that says so.
    pub(super) is_spoiled: bool,
    /// Rows of the topmost table before it.
    pub(super) first_row: u32,
    /// Of a row of a child table.
    pub(super) ordinal: i32,
}

/// What is kept of the occurrences of a column until its scope ends.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// How many there were.
    pub(super) count: u32,
    /// What is kept of them.
    pub(super) kept: Kept,
    pub(super) text: String,
    pub(super) place: Option<Place>,
    /// Of a struct of which only the last occurrence counts: what is wrong with the one that is kept, and whether its
    /// row cannot be kept for that.
    pub(super) found: Vec<Found>,
    pub(super) is_spoiled: bool,
}

/// What is kept of occurrences.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// Nothing, or nothing but null.
    #[default]
    Nothing,
    /// An element that is `xsi:nil`, and whether it has content all the same.
    Nil { is_full: bool },
    /// Nothing: every value was refused.
    Refused,
    /// [`Pending::text`], to be cast.
    Text,
    /// [`Pending::text`], as it is to be.
    Written,
}

impl Pending {
    /// Begins again.
    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.kept = Kept::Nothing;
        self.text.clear();
        self.place = None;
        self.acquit();
    }

    /// What was wrong does not count.
    pub(super) fn acquit(&mut self) {
        self.found.clear();
        self.is_spoiled = false;
    }
}

/// Where rows and the values of one column were found, by the place of the row among the row elements of the message.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) column: ColumnId,
    /// Rows that are asked for, ascending.
    pub(super) wanted: Vec<i32>,
    /// Rows that a value belongs to, and where it is.
    pub(super) values: Vec<(Range<i32>, Place)>,
    pub(super) rows: Vec<(i32, Place)>,
}

impl Trace {
    /// A row group ends that the column belongs to, and so many rows were seen: the values in it are the last ones.
    pub(super) fn end_group(&mut self, rows: i32) {
        let open = self.values.iter().rev().take_while(|(range, _)| range.end == i32::MAX).count();
        let first = self.values.len() - open;
        let Some((range, _)) = self.values.get(first) else { return };
        if !self.wants(&(range.start..rows)) {
            return self.values.truncate(first);
        }
        self.values[first..].iter_mut().for_each(|(range, _)| range.end = rows);
    }

    /// Whether one of these rows is asked for.
    pub(super) fn wants(&self, rows: &Range<i32>) -> bool {
        let from = self.wanted.partition_point(|row| *row < rows.start);
        self.wanted.get(from).is_some_and(|row| *row < rows.end)
    }
}

impl Scratch {
    /// Makes room for a program.
    pub(super) fn new(program: &Program) -> Self {
        Self {
            instances: vec![Instance::default(); program.scopes.len()],
            marks: vec![0; program.marks],
            ordinals: vec![0; program.tables.len()],
            pending: (0..program.pending).map(|_| Pending::default()).collect(),
            ..Self::default()
        }
    }

    /// Remembers how many rows there are before a scope.
    #[inline]
    pub(super) fn mark(&mut self, program: &Program, scope: ScopeId, rows: &Rows) {
        let plan = program.scope(scope);
        for (at, table) in plan.tables.clone().enumerate() {
            self.marks[plan.mark + at] = rows.len(table);
        }
    }
}
