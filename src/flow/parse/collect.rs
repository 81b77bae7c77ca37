//! What no column takes, on its way into the column that collects it: a JSON object of path → text for each row.

use std::ops::Range;

use hashbrown::HashMap;

use super::compile::{BufferId, MESSAGE, ScopeId};
use super::elements::push_json_string;
use super::flatten::Flatten;
use crate::lexical::Value;

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

    /// The object of a row; `own` is what of its own entries has not been written yet.
    fn write<'e>(&'e self, row: usize, own: &mut &'e [(usize, Entry)], out: &mut String) {
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
        self.shared.iter().filter(|(_, range, _)| range.contains(&row)).for_each(|(_, _, entry)| add(entry));
        for (number, (key, texts)) in keys.iter().enumerate() {
            out.push(if number == 0 { '{' } else { ',' });
            push_json_string(key, out);
            out.push(':');
            if let [only] = texts[..] {
                push_json_string(only, out);
                continue;
            }
            for (number, text) in texts.iter().enumerate() {
                out.push(if number == 0 { '[' } else { ',' });
                push_json_string(text, out);
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
        let entries = std::mem::take(&mut self.scratch.unmapped.entries);
        let mut own = &entries.own[..];
        let mut text = std::mem::take(&mut self.scratch.value);
        let mark = self.scratch.marks[self.program.scope(MESSAGE).mark];
        for row in 0..self.rows.len(0) - mark {
            text.clear();
            entries.write(row, &mut own, &mut text);
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
