//! Values into columns: what happens to each occurrence, what is kept until a scope ends, required values.

use std::ops::Range;

use super::compile::{ColumnId, ColumnPlan, ScopeId, ScopeKind};
use super::flatten::Flatten;
use super::found::{Found, MAX_VIOLATIONS, Place, shortened};
use super::scratch::{INACTIVE, Kept};
use crate::lexical::{Refused, Value, push_json};
use crate::model::mapping::{OnBadField, Repeat};
use crate::model::violation::Code;

/// An occurrence of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given<'t> {
    /// Text, or the value of an attribute.
    Text(&'t str),
    /// An element that is `xsi:nil`, and whether it has content all the same.
    Nil { is_full: bool },
    /// An element: where `<` of its start tag stands, and the byte after its end.
    Element(usize, usize),
}

impl<'t> Given<'t> {
    fn text(self) -> Option<&'t str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// What is wrong with a value, and where. It is put into words only where somebody will read them.
struct Bad<'p, F: FnOnce() -> String> {
    code: Code,
    place: &'p Place,
    value: Option<&'p str>,
    what: F,
}

impl Flatten<'_> {
    /// A value for a column.
    #[inline]
    pub(super) fn put(&mut self, column: ColumnId, given: Given<'_>, place: &Place) {
        let plan = self.program.column(column);
        if self.scratch.trace.is_some() && self.may_count(plan) {
            self.note(column, place);
        }
        let base = self.base(plan);
        if plan.pending.is_some() || self.rows.buffers[plan.buffer].len() != base {
            return self.put_again(column, given, place);
        }
        self.scratch.instances[usize::from(plan.scope)].filled += 1;
        self.cast(column, given, place);
    }

    /// Whether the value of the row may be this occurrence, or is put together of it.
    fn may_count(&self, plan: &ColumnPlan) -> bool {
        match (&plan.repeat, plan.pending) {
            (Repeat::First, _) => self.rows.buffers[plan.buffer].len() == self.base(plan),
            (Repeat::Index(number), Some(slot)) => self.scratch.pending[usize::from(slot)].count + 1 == *number,
            _ => true,
        }
    }

    /// How long the buffer of a column is while it has not occurred in its scope.
    #[inline]
    pub(super) fn base(&self, plan: &ColumnPlan) -> usize {
        if plan.is_shared { 0 } else { self.scratch.instances[usize::from(plan.scope)].base }
    }

    /// A value for a column that may have occurred before.
    fn put_again(&mut self, column: ColumnId, given: Given<'_>, place: &Place) {
        let plan = self.program.column(column);
        if self.scratch.instances[usize::from(plan.scope)].base == INACTIVE {
            return;
        }
        let Some(slot) = plan.pending else { return self.occurs_again(column, given.text(), place) };
        let pending = &mut self.scratch.pending[usize::from(slot)];
        pending.count = pending.count.saturating_add(1);
        match &plan.repeat {
            Repeat::List => self.cast(column, given, place),
            Repeat::Index(number) if pending.count == *number => self.cast(column, given, place),
            Repeat::Last => {
                let mut kept = std::mem::take(&mut pending.text);
                kept.clear();
                let how = match given {
                    Given::Text(text) => {
                        kept.push_str(text);
                        Kept::Text
                    }
                    Given::Element(start, end) => {
                        self.write_element(column, start..end, &mut kept);
                        self.grow(kept.len().saturating_sub(end - start), place.at);
                        Kept::Written
                    }
                    Given::Nil { is_full } => Kept::Nil { is_full },
                };
                let pending = &mut self.scratch.pending[usize::from(slot)];
                (pending.text, pending.kept, pending.place) = (kept, how, Some(place.clone()));
            }
            Repeat::Join(separator) => self.join(column, slot, separator, given, place),
            Repeat::Json => self.append_json(column, slot, given, place),
            Repeat::Only | Repeat::First | Repeat::Count | Repeat::Index(_) => {}
        }
    }

    /// Appends what an occurrence stands for.
    #[inline]
    fn cast(&mut self, column: ColumnId, given: Given<'_>, place: &Place) {
        let plan = self.program.column(column);
        let (value, length) = match given {
            Given::Text(text) => match plan.caster.cast(text, &mut self.scratch.memory) {
                Ok(value) => (value, text.len()),
                Err(refused) => return self.refused(column, text, &refused, place),
            },
            Given::Nil { is_full } => {
                self.judge_nil(column, is_full, place);
                (plan.caster.missing(), 0)
            }
            Given::Element(start, end) => return self.put_element(column, start..end, place),
        };
        let added = match value {
            Value::Null => return self.null(column, place),
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        let is_full = self.rows.buffers[plan.item].push(value).is_err();
        if added > length {
            self.grow(added - length, place.at);
        }
        if is_full {
            self.too_long(column, place);
        }
    }

    fn put_element(&mut self, column: ColumnId, range: Range<usize>, place: &Place) {
        let mut text = std::mem::take(&mut self.scratch.value);
        text.clear();
        let length = range.len();
        self.write_element(column, range, &mut text);
        self.grow(text.len().saturating_sub(length), place.at);
        let plan = self.program.column(column);
        let is_full = self.rows.buffers[plan.item].push(Value::Text(&text)).is_err();
        self.scratch.value = text;
        if is_full {
            self.too_long(column, place);
        }
    }

    /// Adds an occurrence to the text that is joined.
    fn join(&mut self, column: ColumnId, slot: u16, separator: &str, given: Given<'_>, place: &Place) {
        let plan = self.program.column(column);
        if let Given::Nil { is_full } = given {
            self.judge_nil(column, is_full, place);
        }
        let pending = &mut self.scratch.pending[usize::from(slot)];
        let (value, length) = match given {
            Given::Text(text) => match plan.caster.cast(text, &mut self.scratch.memory) {
                Ok(value) => (value, text.len()),
                Err(refused) => {
                    if pending.kept == Kept::Nothing {
                        pending.kept = Kept::Refused;
                    }
                    return self.refused(column, text, &refused, place);
                }
            },
            Given::Nil { .. } => (plan.caster.missing(), 0),
            Given::Element(..) => return,
        };
        // Only text is joined: anything else is null.
        let Value::Text(text) = value else { return };
        let before = pending.text.len();
        if pending.kept == Kept::Written {
            pending.text.push_str(separator);
        }
        pending.kept = Kept::Written;
        pending.text.push_str(text);
        let added = pending.text.len() - before;
        self.grow(added.saturating_sub(length), place.at);
    }

    /// Adds an occurrence to the JSON array.
    fn append_json(&mut self, column: ColumnId, slot: u16, given: Given<'_>, place: &Place) {
        let plan = self.program.column(column);
        let mut json = std::mem::take(&mut self.scratch.pending[usize::from(slot)].text);
        let before = json.len();
        json.push(if json.is_empty() { '[' } else { ',' });
        let length = match given {
            Given::Text(text) => {
                match plan.caster.cast(text, &mut self.scratch.memory) {
                    Ok(value) => push_json(value, &plan.kind, &mut json),
                    Err(refused) => {
                        json.push_str("null");
                        self.refused(column, text, &refused, place);
                    }
                }
                text.len()
            }
            Given::Nil { is_full } => {
                self.judge_nil(column, is_full, place);
                push_json(plan.caster.missing(), &plan.kind, &mut json);
                0
            }
            Given::Element(start, end) => {
                self.write_json(start..end, &mut json);
                end - start
            }
        };
        self.grow((json.len() - before).saturating_sub(length), place.at);
        let pending = &mut self.scratch.pending[usize::from(slot)];
        pending.text = json;
        pending.kept = Kept::Written;
    }

    /// The scope of a column ends that has its value only now.
    pub(super) fn finish_deferred(&mut self, column: ColumnId, at: usize) {
        let plan = self.program.column(column);
        let Some(slot) = plan.pending.map(usize::from) else { return };
        let count = self.scratch.pending[slot].count;
        let place = self.scratch.pending[slot].place.take().unwrap_or(Place::at(at));
        match &plan.repeat {
            Repeat::Count => {
                if self.rows.buffers[plan.buffer].push(Value::Int(i64::from(count))).is_err() {
                    self.too_long(column, &place);
                }
            }
            Repeat::Index(number) if count < *number => self.missing(column, at),
            Repeat::Index(_) => {}
            _ if count == 0 => self.missing(column, at),
            Repeat::List => {
                if self.rows.buffers.push_list(plan.buffer).is_err() {
                    self.too_long(column, &place);
                }
            }
            Repeat::Last if self.rows.buffers[plan.buffer].len() != self.base(plan) => {
                // A struct: it is there already.
            }
            _ => self.finish_kept(column, slot, &place),
        }
        // No other occurrence comes: what is wrong counts.
        let pending = &mut self.scratch.pending[slot];
        let (found, is_spoiled) = (std::mem::take(&mut pending.found), pending.is_spoiled);
        let kept = self.found_in(plan.held);
        let room = MAX_VIOLATIONS.saturating_sub(kept.len());
        kept.extend(found.into_iter().take(room));
        self.spoil(plan.held, plan.judge, is_spoiled);
    }

    fn finish_kept(&mut self, column: ColumnId, slot: usize, place: &Place) {
        let plan = self.program.column(column);
        let pending = &mut self.scratch.pending[slot];
        let kept = pending.kept;
        let mut text = std::mem::take(&mut pending.text);
        match (kept, &plan.repeat) {
            (Kept::Text, _) => self.cast(column, Given::Text(&text), place),
            (Kept::Written, _) => {
                if plan.repeat == Repeat::Json {
                    text.push(']');
                }
                if self.rows.buffers[plan.buffer].push(Value::Text(&text)).is_err() {
                    self.too_long(column, place);
                }
            }
            // Why is told already.
            (Kept::Refused, _) => self.set_null(column),
            (Kept::Nil { is_full }, _) => self.cast(column, Given::Nil { is_full }, place),
            (Kept::Nothing, _) => self.null(column, place),
        }
        self.scratch.pending[slot].text = text;
    }

    /// A value occurs once more than it may, or than counts.
    #[cold]
    pub(super) fn occurs_again(&mut self, column: ColumnId, value: Option<&str>, place: &Place) {
        let plan = self.program.column(column);
        if plan.repeat == Repeat::First {
            return;
        }
        let scope = match self.program.scope(plan.scope).kind {
            ScopeKind::Message => "message",
            ScopeKind::Group => "row group",
            ScopeKind::Row | ScopeKind::Child(_) => "row",
            ScopeKind::Struct(_) => "struct",
        };
        let what = || format!("{} ({}) occurs more than once in its {scope}", plan.name, plan.path);
        self.bad_field(column, Bad { code: Code::SHAPE_REPEAT, place, value, what });
    }

    /// A value that is there and null.
    #[cold]
    pub(super) fn null(&mut self, column: ColumnId, place: &Place) {
        let plan = self.program.column(column);
        if plan.required && plan.repeat != Repeat::List {
            let what = || format!("{} is required, and {} is empty", plan.name, plan.path);
            return self.bad_field(column, Bad { code: Code::RULE_REQUIRED, place, value: None, what });
        }
        self.set_null(column);
    }

    /// A value that is not there.
    pub(super) fn missing(&mut self, column: ColumnId, at: usize) {
        let plan = self.program.column(column);
        let is_single = !matches!(plan.repeat, Repeat::List | Repeat::Join(_) | Repeat::Json);
        let value = if is_single { plan.caster.missing() } else { Value::Null };
        if !matches!(value, Value::Null) {
            let added = if let Value::Text(text) = value { text.len() } else { 0 };
            if self.rows.buffers[plan.buffer].push(value).is_err() {
                self.too_long(column, &Place::at(at));
            }
            return self.grow(added, at);
        }
        if plan.required {
            let what = || format!("{} is required, and {} is missing", plan.name, plan.path);
            let place = &Place::at(at);
            return self.bad_field(column, Bad { code: Code::RULE_REQUIRED, place, value: None, what });
        }
        self.rows.buffers.push_null(plan.buffer);
    }

    #[cold]
    fn refused(&mut self, column: ColumnId, text: &str, refused: &Refused, place: &Place) {
        let plan = self.program.column(column);
        let what = || format!("the value of {} is {}", plan.name, refused.what);
        let bad = Bad { code: refused.code, place, value: Some(text), what };
        if matches!(plan.repeat, Repeat::Join(_) | Repeat::Json) {
            // What is put together goes on without it.
            return self.judge(column, bad);
        }
        self.bad_field(column, bad);
    }

    #[cold]
    fn too_long(&mut self, column: ColumnId, place: &Place) {
        let plan = self.program.column(column);
        let what = || format!("the value of {} is too long for a column", plan.name);
        self.bad_field(column, Bad { code: Code::LIMIT_BYTES, place, value: None, what });
    }

    /// An element that counts is nil: there may be nothing in it.
    #[cold]
    pub(super) fn judge_nil(&mut self, column: ColumnId, is_full: bool, place: &Place) {
        let plan = self.program.column(column);
        if is_full {
            let what = || format!("{} ({}) is xsi:nil and has content", plan.name, plan.path);
            self.judge(column, Bad { code: Code::SHAPE_NIL, place, value: None, what });
        }
    }

    /// A bad value becomes null, where its row is kept.
    fn bad_field(&mut self, column: ColumnId, bad: Bad<'_, impl FnOnce() -> String>) {
        self.judge(column, bad);
        self.set_null(column);
    }

    /// A message may have a hundred thousand violations: those beyond the limit are not even put into words.
    fn judge(&mut self, column: ColumnId, bad: Bad<'_, impl FnOnce() -> String>) {
        let plan = self.program.column(column);
        let holder = plan.holder();
        if self.found_in(holder).len() < MAX_VIOLATIONS {
            let found = Found {
                code: bad.code,
                column: Some(plan.name.clone()),
                place: bad.place.clone(),
                value: bad.value.map(|value| shortened(super::chars::trim(value))),
                message: (bad.what)(),
            };
            self.found_in(holder).push(found);
        }
        // A required column cannot hold a null, so there it always spoils the row.
        let is_spoiled = self.program.on_bad_field == OnBadField::Quarantine || plan.required;
        self.spoil(holder, plan.judge, is_spoiled);
    }

    /// Where violations are kept: with the struct that may turn out not to count, when they are in one.
    fn found_in(&mut self, holder: Option<u16>) -> &mut Vec<Found> {
        match holder {
            Some(slot) => &mut self.scratch.pending[usize::from(slot)].found,
            None => &mut self.scratch.found,
        }
    }

    /// Keeps whether a scope is spoiled, in the same place.
    pub(super) fn spoil(&mut self, holder: Option<u16>, judge: ScopeId, is_spoiled: bool) {
        match holder {
            Some(slot) => self.scratch.pending[usize::from(slot)].is_spoiled |= is_spoiled,
            None => self.scratch.instances[usize::from(judge)].is_spoiled |= is_spoiled,
        }
    }

    /// The value of a column is null, or of a list its next item.
    fn set_null(&mut self, column: ColumnId) {
        let plan = self.program.column(column);
        match plan.repeat {
            Repeat::List => self.rows.buffers.push_null(plan.item),
            _ => {
                let base = self.base(plan);
                self.rows.buffers.truncate(plan.buffer, base);
                self.rows.buffers.push_null(plan.buffer);
            }
        }
    }

    /// Tells the trace, when this is the column that is looked for.
    pub(super) fn note(&mut self, column: ColumnId, place: &Place) {
        let plan = self.program.column(column);
        let row_index = self.row_index();
        let judge = &self.program.scope(plan.judge).kind;
        let first = i32::try_from(self.scratch.instances[usize::from(plan.judge)].first_row).unwrap_or(i32::MAX);
        if let Some(trace) = self.scratch.trace.as_mut().filter(|trace| trace.column == column) {
            let rows = match judge {
                ScopeKind::Message => 0..i32::MAX,
                ScopeKind::Group => first..i32::MAX,
                _ => row_index..row_index.saturating_add(1),
            };
            // Of all that may be the value of the same rows the last one is.
            trace.values.pop_if(|(of, _)| *of == rows);
            if trace.wants(&rows) {
                trace.values.push((rows, place.clone()));
            }
        }
    }

    /// Keeps a violation, up to the limit.
    pub(super) fn report(&mut self, found: Found) {
        if self.scratch.found.len() < MAX_VIOLATIONS {
            self.scratch.found.push(found);
        }
    }
}
