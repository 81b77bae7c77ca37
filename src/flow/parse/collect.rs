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
    /// What lies around rows, with the scope it lies in.
    shared: Vec<(ScopeId, Range<usize>, Entry)>,
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
    }

    /// Something in the row of that number.
    pub(super) fn add(&mut self, row: usize, key: String, text: String) {
        self.own.push((row, Entry { key, text }));
    }

    /// Something around all rows of a scope, which began before the row of that number.
    pub(super) fn add_shared(&mut self, scope: ScopeId, first: usize, key: String, text: String) {
        self.shared.push((scope, first..usize::MAX, Entry { key, text }));
    }

    /// Rows were taken back, and so many are left.
    pub(super) fn truncate(&mut self, rows: usize) {
        while self.own.last().is_some_and(|(row, _)| *row >= rows) {
            self.own.pop();
        }
    }

    /// A row group ends, and so many rows are there.
    pub(super) fn end_group(&mut self, scope: ScopeId, rows: usize) {
        let open = self.shared.iter_mut().filter(|(of, range, _)| *of == scope && range.end == usize::MAX);
        open.for_each(|(_, range, _)| range.end = rows);
    }

    /// The object of a row; `own` and `shared` are what of the entries has not been looked at yet, and `around` what of
    /// those that are shared lies around the row before.
    fn write<'e>(
        row: usize,
        own: &mut &'e [(usize, Entry)],
        shared: &mut &'e [(ScopeId, Range<usize>, Entry)],
        around: &mut Vec<(usize, &'e Entry)>,
        out: &mut String,
    ) {
        around.retain(|(end, _)| *end > row);
        while let Some(((_, range, entry), rest)) = shared.split_first().filter(|((_, range, _), _)| range.start <= row)
        {
            if range.end > row {
                around.push((range.end, entry));
            }
            *shared = rest;
        }
        let mut keys: Vec<(&str, Vec<&str>)> = Vec::new();
        let mut places: HashMap<&'e str, usize> = HashMap::new();
        let mut add = |entry: &'e Entry| {
            let place = *places.entry(&entry.key).or_insert(keys.len());
            if place == keys.len() {
                keys.push((&entry.key, Vec::new()));
            }
            keys[place].1.push(&entry.text);
        };
        while let Some((first, rest)) = own.split_first().filter(|((of, _), _)| *of <= row) {
            if first.0 == row {
                add(&first.1);
            }
            *own = rest;
        }
        around.iter().for_each(|(_, entry)| add(entry));
        for (number, (key, texts)) in keys.iter().enumerate() {
            out.push(if number == 0 { '{' } else { ',' });
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
        if !keys.is_empty() {
            out.push('}');
        }
    }
}

impl Flatten<'_> {
    /// The message ends: every row of it gets what was collected; one with nothing gets a null.
    pub(super) fn fill_collected(&mut self, buffer: BufferId, at: usize) {
        let mut entries = std::mem::take(&mut self.scratch.unmapped.entries);
        entries.shared.sort_by_key(|(_, range, _)| range.start);
        let (mut own, mut shared, mut around) = (&entries.own[..], &entries.shared[..], Vec::new());
        let mut text = std::mem::take(&mut self.scratch.value);
        let mark = self.scratch.marks[self.program.scope(MESSAGE).mark];
        for row in 0..self.rows.len(0) - mark {
            text.clear();
            Entries::write(row, &mut own, &mut shared, &mut around, &mut text);
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
