//! Where scopes begin and end: rows, row groups, rows of child tables, structs, and the message itself.

use super::compile::{ColumnId, MESSAGE, ScopeId, ScopeKind, State, TableId, Watch};
use super::flatten::{Flatten, Tally};
use super::found::{Found, Place};
use super::rows::Lineage;
use super::scratch::{INACTIVE, Instance};
use super::walk::Checked;
use crate::model::mapping::Repeat;
use crate::model::violation::Code;

/// The room for rows is looked at whenever so many rows were seen …
const ROWS_BETWEEN_LOOKS: u32 = 256;
/// … and whenever columns were given so many bytes that the message does not have.
const BYTES_BETWEEN_LOOKS: usize = 1 << 20;

impl Flatten<'_> {
    /// The element of a scope begins.
    pub(super) fn begin(&mut self, scope: ScopeId, at: usize, is_nil: bool) -> Checked {
        match self.program.scope(scope).kind {
            ScopeKind::Struct(column) => self.begin_struct(scope, column, at, is_nil),
            ScopeKind::Message => {}
            ScopeKind::Group => {
                self.begin_instance(scope, 0);
                self.scratch.unmapped.entries.begin_group();
            }
            ScopeKind::Row => {
                self.count_row(at)?;
                self.begin_row(scope, at);
            }
            ScopeKind::Child(table) => {
                self.count_row(at)?;
                self.begin_instance(scope, self.rows.len(table));
                let ordinal = &mut self.scratch.ordinals[usize::from(table)];
                self.scratch.instances[usize::from(scope)].ordinal = *ordinal;
                *ordinal = ordinal.saturating_add(1);
            }
        }
        Ok(())
    }

    /// The element of a scope ends.
    pub(super) fn end(&mut self, scope: ScopeId, at: usize) {
        match self.program.scope(scope).kind {
            ScopeKind::Struct(column) => self.end_struct(scope, column, at),
            ScopeKind::Message => {}
            ScopeKind::Group => self.end_group(scope, at),
            ScopeKind::Row => self.end_row(scope, 0, at),
            ScopeKind::Child(table) => self.end_row(scope, table, at),
        }
    }

    fn count_row(&mut self, at: usize) -> Checked {
        let limit = self.program.limits.rows;
        if self.tally.seen >= limit {
            let what = format!("the message has more than {limit} rows (limits.rows)");
            return Err(Found::fatal(Code::LIMIT_ROWS, at, what));
        }
        self.tally.seen += 1;
        if self.tally.seen.is_multiple_of(ROWS_BETWEEN_LOOKS) { self.hold_to_room(0, at) } else { Ok(()) }
    }

    /// Ends the reading of a message whose rows would take more room than there is, with so many bytes more.
    fn hold_to_room(&mut self, more: usize, at: usize) -> Checked {
        if self.rows.bytes().saturating_add(more) <= self.rows.room {
            return Ok(());
        }
        self.rows.is_over = true;
        let room = self.rows.room;
        let what = format!("the rows of the message take more than {room} bytes, three quarters of limits.memory");
        Err(Found::fatal(Code::LIMIT_ROWS, at, what))
    }

    fn begin_row(&mut self, scope: ScopeId, at: usize) {
        self.tally.rows += 1;
        self.begin_instance(scope, self.rows.len(0));
        self.scratch.ordinals.fill(0);
        let row_index = self.row_index();
        if let Some(trace) = self.scratch.trace.as_mut().filter(|trace| trace.wants(&(row_index..row_index + 1))) {
            trace.rows.push((row_index, Place::at(at)));
        }
    }

    /// Place of the open row among the row elements of the message.
    pub(super) fn row_index(&self) -> i32 {
        i32::try_from(self.tally.rows).map_or(i32::MAX, |rows| rows - 1)
    }

    /// A scope begins whose buffers have that length.
    pub(super) fn begin_instance(&mut self, scope: ScopeId, base: usize) {
        let plan = self.program.scope(scope);
        let first_row = self.tally.rows;
        self.scratch.instances[usize::from(scope)] = Instance { base, first_row, ..Instance::default() };
        self.scratch.mark(self.program, scope, self.rows);
        for &column in &plan.deferred {
            if let Some(slot) = self.program.column(column).pending {
                self.scratch.pending[usize::from(slot)].clear();
            }
        }
        for share in &plan.shares {
            self.rows.buffers.truncate(share.from, 0);
        }
    }

    fn end_row(&mut self, scope: ScopeId, table: TableId, at: usize) {
        self.finish_columns(scope, at);
        if self.scratch.instances[usize::from(scope)].is_spoiled {
            return self.take_back(scope);
        }
        let parent = self.program.tables[usize::from(table)].parent;
        let ordinal = |table: TableId| {
            let row = self.program.tables[usize::from(table)].row;
            self.scratch.instances[usize::from(row)].ordinal
        };
        let lineage = Lineage {
            row_index: self.row_index(),
            ordinal: (table != 0).then(|| ordinal(table)),
            parent_ordinal: parent.map(ordinal),
        };
        self.rows.commit(table, lineage);
        self.share(scope, at);
        if self.scratch.trace.is_some() {
            // Only where values are is looked for.
            let base = self.scratch.instances[usize::from(scope)].base;
            self.rows.truncate(table, base);
        }
    }

    /// An element around rows ends; one that had none is a row itself.
    fn end_group(&mut self, scope: ScopeId, at: usize) {
        self.finish_columns(scope, at);
        let instance = self.scratch.instances[usize::from(scope)];
        if instance.first_row == self.tally.rows
            && let Some(inner) = self.program.scope(scope).inner
        {
            match self.begin(inner, at, false) {
                Ok(()) => self.end(inner, at),
                Err(fatal) => self.stop(fatal),
            }
        }
        let rows = i32::try_from(self.tally.rows).unwrap_or(i32::MAX);
        let program = self.program;
        if let Some(trace) = self.scratch.trace.as_mut().filter(|trace| program.column(trace.column).judge == scope) {
            trace.end_group(rows);
        }
        if instance.is_spoiled {
            return self.take_back(scope);
        }
        let mark = self.scratch.marks[self.program.scope(MESSAGE).mark];
        self.scratch.unmapped.entries.end_group(scope, self.rows.len(0) - mark);
        self.share(scope, at);
    }

    /// What came in a scope is too bad to be kept.
    fn take_back(&mut self, scope: ScopeId) {
        self.tally.bad_rows += 1;
        self.rows.take_back(self.program, scope, &self.scratch.marks);
        let rows = self.rows.len(0) - self.scratch.marks[self.program.scope(MESSAGE).mark];
        let entries = &mut self.scratch.unmapped.entries;
        match self.program.scope(scope).kind {
            ScopeKind::Row => entries.take_back_row(rows),
            ScopeKind::Group => entries.take_back_group(rows),
            // What lies in a row of a child table is collected into the row that this belongs to, which stays.
            ScopeKind::Child(_) | ScopeKind::Struct(_) | ScopeKind::Message => {}
        }
    }

    /// Gives the values that rows share to all that came in this scope.
    fn share(&mut self, scope: ScopeId, at: usize) {
        let plan = self.program.scope(scope);
        for share in &plan.shares {
            let mark = plan.mark + usize::from(share.table - plan.tables.start);
            let count = self.rows.len(share.table) - self.scratch.marks[mark];
            let bytes = self.rows.buffers.size(share.from, 0).saturating_mul(count.saturating_sub(1));
            self.grow(bytes, at);
            if self.tally.fatal.is_none() && self.rows.buffers.repeat(share.from, 0, share.to, count).is_err() {
                self.grow(usize::MAX, at);
            }
        }
    }

    /// Columns get bytes that the message does not have.
    pub(super) fn grow(&mut self, bytes: usize, at: usize) {
        self.tally.grown = self.tally.grown.saturating_add(bytes);
        if self.tally.grown > self.tally.may_grow {
            let what = "the values that rows share, defaults and structs of the message, and its key and headers in each \
                        row, make too many bytes; take them once or split the message";
            self.stop(Found::fatal(Code::LIMIT_ROWS, at, what));
        }
        if self.tally.grown - self.tally.looked_at >= BYTES_BETWEEN_LOOKS {
            self.tally.looked_at = self.tally.grown;
            if let Err(fatal) = self.hold_to_room(bytes, at) {
                self.stop(fatal);
            }
        }
    }

    fn stop(&mut self, fatal: Box<Found>) {
        self.tally.fatal.get_or_insert(fatal);
    }

    fn begin_struct(&mut self, scope: ScopeId, column: ColumnId, at: usize, is_nil: bool) {
        let plan = self.program.column(column);
        self.scratch.instances[usize::from(scope)] = Instance { base: INACTIVE, ..Instance::default() };
        if self.scratch.instances[usize::from(plan.scope)].base == INACTIVE {
            return;
        }
        let place = Place::at(at);
        self.note(column, &place);
        let base = self.base(plan);
        let Some(slot) = plan.pending else {
            if self.rows.buffers[plan.buffer].len() != base {
                return self.occurs_again(column, None, &place);
            }
            self.scratch.instances[usize::from(plan.scope)].filled += 1;
            return self.open_struct(scope, column, at, is_nil);
        };
        let pending = &mut self.scratch.pending[usize::from(slot)];
        pending.count += 1;
        match plan.repeat {
            Repeat::List => self.open_struct(scope, column, at, is_nil),
            Repeat::Index(number) if pending.count == number => self.open_struct(scope, column, at, is_nil),
            Repeat::Last => {
                pending.acquit();
                self.rows.buffers.truncate(plan.buffer, base);
                self.open_struct(scope, column, at, is_nil);
            }
            _ => {}
        }
    }

    fn open_struct(&mut self, scope: ScopeId, column: ColumnId, at: usize, is_nil: bool) {
        let plan = self.program.column(column);
        if is_nil {
            self.scratch.instances[usize::from(scope)].is_nil = true;
            return self.null(column, &Place::at(at));
        }
        self.begin_instance(scope, self.rows.buffers[plan.item].len());
        self.grow(self.program.scope(scope).width, at);
    }

    fn end_struct(&mut self, scope: ScopeId, column: ColumnId, at: usize) {
        if self.scratch.instances[usize::from(scope)].base == INACTIVE {
            return;
        }
        self.finish_columns(scope, at);
        self.rows.buffers.push_struct(self.program.column(column).item);
    }

    /// The element of scopes is nil and has content. Of a struct that does not count nothing is judged. A row is no
    /// field that could be null instead: it is bad.
    pub(super) fn judge_nil_scopes(&mut self, what: &State, at: usize) {
        for &scope in &what.begins {
            let message = match self.program.scope(scope).kind {
                ScopeKind::Struct(column) if self.scratch.instances[usize::from(scope)].is_nil => {
                    self.judge_nil(column, true, &Place::at(at));
                    continue;
                }
                ScopeKind::Struct(_) | ScopeKind::Message => continue,
                ScopeKind::Group => "a row group is xsi:nil and has content",
                ScopeKind::Row | ScopeKind::Child(_) => "a row is xsi:nil and has content",
            };
            self.report(Found::at(Code::SHAPE_NIL, at, message));
            self.spoil(None, scope, true);
        }
    }

    /// What has no value in a scope that ends becomes null.
    fn finish_columns(&mut self, scope: ScopeId, at: usize) {
        let plan = self.program.scope(scope);
        for &column in &plan.deferred {
            self.finish_deferred(column, at);
        }
        if self.scratch.instances[usize::from(scope)].filled < plan.plain.len() {
            for &column in &plan.plain {
                let plan = self.program.column(column);
                if self.rows.buffers[plan.buffer].len() == self.base(plan) {
                    self.missing(column, at);
                }
            }
        }
    }

    /// The message ends, and is well-formed. Of each row of the topmost table `carried` bytes are copies of what the
    /// message came with.
    ///
    /// # Errors
    ///
    /// A limit that it goes beyond.
    pub(super) fn end_message(mut self, carried: usize) -> Result<Tally, Box<Found>> {
        let at = self.message.find(|character: char| !character.is_ascii_whitespace()).unwrap_or(0);
        if !self.tally.is_spoiled {
            self.finish_columns(MESSAGE, at);
            self.tally.is_spoiled = self.scratch.instances[usize::from(MESSAGE)].is_spoiled;
        }
        if !self.tally.is_spoiled {
            self.share(MESSAGE, at);
            if let Watch::Collect(buffer) = self.program.watch {
                self.fill_collected(buffer, at);
            }
            let rows = self.rows.len(0) - self.scratch.marks[self.program.scope(MESSAGE).mark];
            if rows > 1 {
                self.grow(carried.saturating_mul(rows), at);
            }
        }
        match self.tally.fatal.take() {
            Some(fatal) => Err(fatal),
            None => Ok(self.tally),
        }
    }
}
