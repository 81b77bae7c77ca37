//! What no column takes, on its way into the column that collects it: a JSON object of path → text for each row.

use std::ops::Range;

use hashbrown::HashMap;

use super::compile::{BufferId, MESSAGE, ScopeId};
use super::flatten::Flatten;
use crate::lexical::{Value, push_string};

/// What was found in a message, by the rows it belongs to, counted from the first of the message.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// What lies in a row, by ascending row.
    own: Vec<(usize, Entry)>,
    /// What lies around rows, with the scope it lies in. The end of the rows of a row group that is open is
    /// `usize::MAX`.
    shared: Vec<(ScopeId, Range<usize>, Entry)>,
    /// How many of these there were when the row groups that are open began.
    groups: Vec<usize>,
}

#[derive(Debug)]
struct Entry {
    key: String,
    text: String,
}

impl Entries {
    /// To be called between messages.
    pub(super) fn clear(&mut self) {
        self.own.clear();
        self.shared.clear();
        self.groups.clear();
    }

    /// Something in the row of that number.
    pub(super) fn add(&mut self, row: usize, key: String, text: String) {
        self.own.push((row, Entry { key, text }));
    }

    /// Something around all rows of a scope, which began before the row of that number.
    pub(super) fn add_shared(&mut self, scope: ScopeId, first: usize, key: String, text: String) {
        self.shared.push((scope, first..usize::MAX, Entry { key, text }));
    }

    /// The row of that number was taken back, and it was the last.
    pub(super) fn take_back_row(&mut self, row: usize) {
        while self.own.last().is_some_and(|(of, _)| *of >= row) {
            self.own.pop();
        }
    }

    /// A row group begins.
    pub(super) fn begin_group(&mut self) {
        self.groups.push(self.shared.len());
    }

    /// A row group ends, and so many rows are there.
    pub(super) fn end_group(&mut self, scope: ScopeId, rows: usize) {
        let first = self.groups.pop().unwrap_or_default();
        // What lies in it came after it began, what lies in row groups inside it too.
        for (_, range, _) in self.shared[first..].iter_mut().filter(|(of, ..)| *of == scope) {
            range.end = rows;
        }
    }

    /// A row group ends and is taken back with its rows; so many rows are left.
    pub(super) fn take_back_group(&mut self, rows: usize) {
        self.take_back_row(rows);
        let first = self.groups.pop().unwrap_or_default();
        self.shared.truncate(first);
    }
}

/// Goes through the entries row by row. What rows share is written once for all that share the same. Its keys begin
/// with a slash and those of what lies in a row do not, so the two never meet.
#[derive(Default)]
struct Writer<'e> {
    /// What has not been looked at yet.
    own: &'e [(usize, Entry)],
    shared: &'e [(ScopeId, Range<usize>, Entry)],
    /// What lies around the row, and the row that it ends before.
    around: Vec<(usize, &'e Entry)>,
    /// That, written.
    written: String,
}

impl<'e> Writer<'e> {
    /// The object of the next row.
    fn write(&mut self, row: usize, out: &mut String) {
        let before = self.around.len();
        self.around.retain(|(end, _)| *end > row);
        let mut has_changed = self.around.len() != before;
        while let Some(((_, range, entry), rest)) =
            self.shared.split_first().filter(|((_, range, _), _)| range.start <= row)
        {
            if range.end > row {
                self.around.push((range.end, entry));
                has_changed = true;
            }
            self.shared = rest;
        }
        if has_changed {
            self.written.clear();
            write_members(self.around.iter().map(|(_, entry)| *entry), &mut self.written);
        }
        // Of a row that was taken back there is none.
        let count = self.own.iter().take_while(|(of, _)| *of == row).count();
        let (own, rest) = self.own.split_at(count);
        self.own = rest;
        if own.is_empty() && self.written.is_empty() {
            return;
        }
        out.push('{');
        write_members(own.iter().map(|(_, entry)| entry), out);
        if !own.is_empty() && !self.written.is_empty() {
            out.push(',');
        }
        out.push_str(&self.written);
        out.push('}');
    }
}

/// Writes entries as members of an object; those of one key as an array.
fn write_members<'e>(entries: impl Iterator<Item = &'e Entry>, out: &mut String) {
    let mut keys: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for entry in entries {
        let place = *places.entry(&entry.key).or_insert(keys.len());
        if place == keys.len() {
            keys.push((&entry.key, Vec::new()));
        }
        keys[place].1.push(&entry.text);
    }
    for (number, (key, texts)) in keys.iter().enumerate() {
        if number != 0 {
            out.push(',');
        }
        push_string(key, out);
        out.push(':');
        if let [only] = texts[..] {
            push_string(only, out);
            continue;
        }
        for (number, text) in texts.iter().enumerate() {
            out.push(if number == 0 { '[' } else { ',' });
            push_string(text, out);
        }
        out.push(']');
    }
}

impl Flatten<'_> {
    /// The message ends: every row of it gets what was collected; one with nothing gets a null.
    pub(super) fn fill_collected(&mut self, buffer: BufferId, at: usize) {
        let mut entries = std::mem::take(&mut self.scratch.unmapped.entries);
        entries.shared.sort_by_key(|(_, range, _)| range.start);
        let mut writer = Writer { own: &entries.own, shared: &entries.shared, ..Writer::default() };
        let mut text = std::mem::take(&mut self.scratch.value);
        let mark = self.scratch.marks[self.program.scope(MESSAGE).mark];
        for row in 0..self.rows.len(0) - mark {
            text.clear();
            writer.write(row, &mut text);
            self.grow(text.len(), at);
            let value = if text.is_empty() { Value::Null } else { Value::Text(&text) };
            if self.tally.fatal.is_some() {
                break;
            }
            if self.rows.buffers[buffer].push(value).is_err() {
                self.grow(usize::MAX, at);
            }
        }
        self.scratch.value = text;
        self.scratch.unmapped.entries = entries;
    }
}
