//! Values into columns: trimming, null rules, casts, repeats, required values; and where rows begin and end.

use super::chars::trim;
use super::compile::ColumnId;
use super::flatten::Flatten;
use super::found::{Found, MAX_VIOLATIONS, Place, shortened};
use super::text::collapse;
use crate::model::mapping::{Kind, OnBadField, Trim};
use crate::model::violation::Code;

/// How a message does.
#[derive(Debug)]
pub(super) struct Tally {
    /// Rows in the table before it.
    pub(super) rows_before: usize,
    /// Row elements seen.
    seen: u32,
    /// Row elements that did not become rows.
    pub(super) bad_rows: u32,
    /// No row of the message can be good.
    pub(super) is_spoiled: bool,
    /// The row that is open: whether it is bad, and how many of its columns have a value.
    is_row_spoiled: bool,
    filled: usize,
}

impl Tally {
    pub(super) fn new(rows_before: usize) -> Self {
        Self { rows_before, seen: 0, bad_rows: 0, is_spoiled: false, is_row_spoiled: false, filled: 0 }
    }

    /// Place of the open row among the row elements of the message.
    fn row_index(&self) -> i32 {
        i32::try_from(self.seen).map_or(i32::MAX, |seen| seen - 1)
    }
}

impl Flatten<'_> {
    /// A row element begins.
    pub(super) fn begin_row(&mut self, at: usize) -> Result<(), Box<Found>> {
        let limit = self.program.limits.rows;
        if self.tally.seen >= limit {
            let what = format!("the message has more than {limit} rows (limits.rows)");
            return Err(Found::fatal(Code::LIMIT_ROWS, at, what));
        }
        self.tally.seen += 1;
        self.tally.is_row_spoiled = false;
        self.tally.filled = 0;
        if let Some(trace) = &mut self.scratch.trace {
            trace.rows.push((self.tally.row_index(), Place::at(at)));
        }
        Ok(())
    }

    /// A row element ends: what has no value becomes null, and a bad row is taken back.
    pub(super) fn end_row(&mut self, at: usize) {
        let program = self.program;
        let row = self.rows.len();
        if self.tally.filled < program.row_columns.len() {
            for &column in &program.row_columns {
                if self.rows.columns[usize::from(column)].len() == row {
                    self.missing(column, at);
                }
            }
        }
        if self.tally.is_row_spoiled {
            self.tally.bad_rows += 1;
            for &column in &program.row_columns {
                self.rows.columns[usize::from(column)].truncate(row);
            }
        } else {
            self.rows.commit_row(self.tally.row_index());
        }
    }

    /// The message ends, and is well-formed.
    pub(super) fn end_message(mut self) -> Tally {
        let program = self.program;
        for (slot, &column) in program.message_columns.iter().enumerate() {
            if self.rows.shared[slot].len() == 0 && !self.tally.is_spoiled {
                self.missing(column, self.root_at());
            }
        }
        self.tally
    }

    fn root_at(&self) -> usize {
        self.message.find(|character: char| !character.is_ascii_whitespace()).unwrap_or(0)
    }

    /// A value for a column.
    #[inline]
    pub(super) fn put(&mut self, column: ColumnId, text: &str, place: &Place) {
        let plan = &self.program.columns[usize::from(column)];
        if let Some(trace) = self.scratch.trace.as_mut().filter(|trace| trace.column == column) {
            trace.values.push((self.tally.row_index(), place.clone()));
        }
        let (buffer, base) = self.rows.buffer(column, plan.message_slot);
        if buffer.len() != base {
            return self.repeated(column, text, place);
        }
        if plan.message_slot.is_none() {
            self.tally.filled += 1;
        }
        let value = match plan.trim {
            Trim::None => text,
            Trim::Both => trim(text),
            Trim::Collapse => collapse(text, &mut self.scratch.collapsed).unwrap_or(text),
        };
        if value.is_empty() {
            return self.empty(column, place);
        }
        if let Err(reason) = buffer.push(value) {
            let (code, kind) = describe(&plan.kind);
            let what = match reason {
                "out of the range" => format!("{reason} of {kind}"),
                "too long for" | "more digits after the point than" | "more digits before the point than" => {
                    format!("{reason} {kind}")
                }
                other => other.to_owned(),
            };
            let found = Found {
                code,
                column: Some(plan.name.clone()),
                place: place.clone(),
                value: Some(shortened(value)),
                message: format!("the value of {} is {what}", plan.name),
            };
            self.bad_field(column, found);
        }
    }

    #[cold]
    fn repeated(&mut self, column: ColumnId, text: &str, place: &Place) {
        let plan = &self.program.columns[usize::from(column)];
        let scope = if plan.message_slot.is_some() { "message" } else { "row" };
        let found = Found {
            code: Code::SHAPE_REPEAT,
            column: Some(plan.name.clone()),
            place: place.clone(),
            value: Some(shortened(text)),
            message: format!("{} ({}) occurs more than once in its {scope}", plan.name, plan.path),
        };
        self.bad_field(column, found);
    }

    /// A value that is there and empty is null.
    fn empty(&mut self, column: ColumnId, place: &Place) {
        let plan = &self.program.columns[usize::from(column)];
        if plan.required {
            let found = Found {
                code: Code::RULE_REQUIRED,
                column: Some(plan.name.clone()),
                place: place.clone(),
                value: None,
                message: format!("{} is required, and {} is empty", plan.name, plan.path),
            };
            return self.bad_field(column, found);
        }
        self.set_null(column);
    }

    /// A value that is not there is null.
    fn missing(&mut self, column: ColumnId, at: usize) {
        let plan = &self.program.columns[usize::from(column)];
        if plan.required {
            let found = Found {
                code: Code::RULE_REQUIRED,
                column: Some(plan.name.clone()),
                place: Place::at(at),
                value: None,
                message: format!("{} is required, and {} is missing", plan.name, plan.path),
            };
            return self.bad_field(column, found);
        }
        self.set_null(column);
    }

    fn bad_field(&mut self, column: ColumnId, found: Found) {
        self.report(found);
        let plan = &self.program.columns[usize::from(column)];
        // A required column cannot hold a null, so there it always spoils the row.
        if self.program.on_bad_field == OnBadField::Quarantine || plan.required {
            if plan.message_slot.is_some() { self.tally.is_spoiled = true } else { self.tally.is_row_spoiled = true }
        }
        self.set_null(column);
    }

    fn set_null(&mut self, column: ColumnId) {
        let (buffer, base) = self.rows.buffer(column, self.program.columns[usize::from(column)].message_slot);
        buffer.truncate(base);
        buffer.push_null();
    }

    /// Keeps a violation, up to the limit.
    pub(super) fn report(&mut self, found: Found) {
        if self.scratch.found.len() < MAX_VIOLATIONS {
            self.scratch.found.push(found);
        }
    }
}

fn describe(kind: &Kind) -> (Code, String) {
    match *kind {
        Kind::Bool => (Code::TYPE_BOOL, "bool".to_owned()),
        Kind::Int8 => (Code::TYPE_INT, "int8".to_owned()),
        Kind::Int16 => (Code::TYPE_INT, "int16".to_owned()),
        Kind::Int32 => (Code::TYPE_INT, "int32".to_owned()),
        Kind::Int64 => (Code::TYPE_INT, "int64".to_owned()),
        Kind::Float32 => (Code::TYPE_FLOAT, "float32".to_owned()),
        Kind::Float64 => (Code::TYPE_FLOAT, "float64".to_owned()),
        Kind::Decimal(precision, scale) => (Code::TYPE_DECIMAL, format!("decimal({precision},{scale})")),
        Kind::Date => (Code::TYPE_DATE, "date".to_owned()),
        Kind::Timestamp(_) => (Code::TYPE_TIMESTAMP, "timestamp".to_owned()),
        _ => (Code::LIMIT_BYTES, "string".to_owned()),
    }
}
