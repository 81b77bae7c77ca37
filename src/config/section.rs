//! Reading a document by asking for what is known: what was not asked for is unknown.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::time::Duration;

use ::config::{Map, Value, ValueKind};

use super::document::{Document, is_from_environment, join};
use super::problem::did_you_mean;
use super::units::{parse_duration, parse_size, show_duration, show_size};

/// A table of the document. [`Section::finish`] reports every key that nobody asked for.
#[derive(Debug)]
pub(super) struct Section<'a> {
    document: &'a Document,
    path: String,
    map: Option<&'a Map<String, Value>>,
    asked: RefCell<Vec<&'static str>>,
}

/// One value of the document. Each reader answers `None` after noting what is wrong.
#[derive(Debug, Clone)]
pub(super) struct Item<'a> {
    document: &'a Document,
    path: String,
    value: &'a Value,
}

/// What is wrong with a text, and what would be right where that is known.
pub(super) type Wrong = (String, Option<String>);

impl<'a> Section<'a> {
    pub(super) fn of(document: &'a Document, path: String, value: Option<&'a Value>) -> Self {
        let map = match value.map(|value| &value.kind) {
            Some(ValueKind::Table(map)) => Some(map),
            Some(kind) => {
                document.problem(&path, format!("expected a table, found {}", show(kind)), None);
                None
            }
            None => None,
        };
        Self { document, path, map, asked: RefCell::default() }
    }

    /// Whether the document has this table.
    pub(super) fn exists(&self) -> bool {
        self.map.is_some()
    }

    /// The document it is a part of.
    pub(super) fn document(&self) -> &'a Document {
        self.document
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&self, key: &'static str) -> Option<Item<'a>> {
        self.asked.borrow_mut().push(key);
        let value = self.map?.get(key)?;
        Some(Item { document: self.document, path: join(&self.path, key), value })
    }

    /// The value of a key that has to be there.
    pub(super) fn required(&self, key: &'static str, help: &str) -> Option<Item<'a>> {
        let item = self.get(key);
        if item.is_none() {
            self.document.problem(&join(&self.path, key), "missing", Some(help.to_owned()));
        }
        item
    }

    /// A table inside this one; empty when it is not there.
    pub(super) fn section(&self, key: &'static str) -> Section<'a> {
        let item = self.get(key);
        Section::of(self.document, join(&self.path, key), item.map(|item| item.value))
    }

    /// The tables of a list (`[[key]]`).
    pub(super) fn sections(&self, key: &'static str) -> Vec<Section<'a>> {
        let Some(item) = self.get(key) else { return Vec::new() };
        let ValueKind::Array(list) = &item.value.kind else {
            item.problem(
                format!("expected a list of tables, found {}", show(&item.value.kind)),
                Some(format!("write [[{key}]]")),
            );
            return Vec::new();
        };
        let element = |(index, value)| Section::of(self.document, format!("{}[{index}]", item.path), Some(value));
        list.iter().enumerate().map(element).collect()
    }

    /// Every value with its name; names of tables inside tables are joined by dots. For names that are not ours.
    ///
    /// A value from the environment wins over one from the file.
    pub(super) fn flattened(&self) -> Vec<(String, Item<'a>)> {
        let mut values: Vec<(String, Item<'a>)> = Vec::new();
        if let Some(map) = self.map {
            flatten(self.document, map, &self.path, "", &mut values);
        }
        // Within one name the environment's value is the last.
        values.sort_by_key(|(name, item)| (name.clone(), is_from_environment(item.value)));
        let mut unique: Vec<(String, Item<'a>)> = Vec::with_capacity(values.len());
        for (name, item) in values {
            match unique.last_mut() {
                Some(last) if last.0 == name && is_from_environment(item.value) => last.1 = item,
                Some(last) if last.0 == name => item.problem("given twice", Some("keep one of the two".to_owned())),
                _ => unique.push((name, item)),
            }
        }
        unique
    }

    /// Notes a problem of a key of this section, or of the section with an empty key.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>, help: Option<String>) {
        let path = if key.is_empty() { self.path.clone() } else { join(&self.path, key) };
        self.document.problem(&path, message, help);
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self) {
        let asked = self.asked.into_inner();
        for name in self.map.into_iter().flat_map(Map::keys) {
            if !asked.contains(&name.as_str()) {
                let help = did_you_mean(name, asked.iter().copied()).unwrap_or_else(|| known_keys(&asked));
                self.document.problem(&join(&self.path, name), "unknown key", Some(help));
            }
        }
    }
}

impl<'a> Item<'a> {
    /// Notes a problem of this value.
    pub(super) fn problem(&self, message: impl Into<String>, help: Option<String>) {
        self.document.problem(&self.path, message, help);
    }

    /// What a text of this value was read to, or `None` after noting what is wrong with it.
    pub(super) fn answer<T>(&self, result: Result<T, Wrong>) -> Option<T> {
        result.map_err(|(message, help)| self.problem(message, help)).ok()
    }

    /// The document it is a part of.
    pub(super) fn document(&self) -> &'a Document {
        self.document
    }

    /// A problem that tells what was found.
    fn expected(&self, what: &str) {
        self.problem(format!("expected {what}, found {}", show(&self.value.kind)), None);
    }

    /// A text.
    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.value.kind {
            ValueKind::String(text) => Some(text),
            _ => {
                self.expected("a text in quotes");
                None
            }
        }
    }

    /// A text, if it is one.
    pub(super) fn as_text(&self) -> Option<&'a str> {
        if let ValueKind::String(text) = &self.value.kind { Some(text) } else { None }
    }

    /// A text, a number or `true`/`false`, as text; a number with the digits that the file has.
    pub(super) fn scalar(&self) -> Option<String> {
        match &self.value.kind {
            ValueKind::String(text) => Some(text.clone()),
            ValueKind::I64(number) => Some(number.to_string()),
            ValueKind::Float(number) => {
                Some(self.document.written(&self.path).map_or_else(|| number.to_string(), str::to_owned))
            }
            ValueKind::Boolean(flag) => Some(flag.to_string()),
            _ => {
                self.problem("expected a text, a number or true/false", None);
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn whole(&self, bounds: RangeInclusive<i64>) -> Option<i64> {
        let number = match &self.value.kind {
            ValueKind::I64(number) => Some(*number),
            ValueKind::String(text) if is_from_environment(self.value) => text.trim().replace('_', "").parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if bounds.contains(&number) => return Some(number),
            Some(number) => {
                let (least, most) = bounds.into_inner();
                let bound = if number < least { format!("at least {least}") } else { format!("at most {most}") };
                self.problem(format!("{number} is out of bounds"), Some(format!("take {bound}")));
            }
            None => self.expected("a whole number"),
        }
        None
    }

    /// A number, whole or not.
    pub(super) fn number(&self) -> Option<f64> {
        match &self.value.kind {
            ValueKind::Float(number) => return Some(*number),
            #[expect(clippy::cast_precision_loss, reason = "a whole number here is a small one")]
            ValueKind::I64(number) => return Some(*number as f64),
            ValueKind::String(text) if is_from_environment(self.value) => {
                if let Ok(number) = text.trim().parse() {
                    return Some(number);
                }
            }
            _ => {}
        }
        self.expected("a number");
        None
    }

    /// `true` or `false`.
    pub(super) fn flag(&self) -> Option<bool> {
        match &self.value.kind {
            ValueKind::Boolean(flag) => Some(*flag),
            ValueKind::String(text) if is_from_environment(self.value) && text == "true" => Some(true),
            ValueKind::String(text) if is_from_environment(self.value) && text == "false" => Some(false),
            _ => {
                self.expected("true or false");
                None
            }
        }
    }

    /// A duration within bounds.
    pub(super) fn duration(&self, bounds: RangeInclusive<Duration>) -> Option<Duration> {
        let Some(duration) = self.as_text().and_then(parse_duration) else {
            self.expected("a duration such as \"30s\", \"5m\" or \"500ms\"");
            return None;
        };
        if bounds.contains(&duration) {
            return Some(duration);
        }
        let (least, most) = bounds.into_inner();
        let bound = if duration < least {
            format!("take at least {}", show_duration(least))
        } else {
            format!("take at most {}", show_duration(most))
        };
        self.problem(format!("{} is out of bounds", show_duration(duration)), Some(bound));
        None
    }

    /// A size in bytes within bounds.
    pub(super) fn size(&self, bounds: RangeInclusive<u64>) -> Option<u64> {
        let Some(size) = self.as_text().and_then(parse_size) else {
            self.expected("a size such as \"128MiB\" or \"64kB\"");
            return None;
        };
        if bounds.contains(&size) {
            return Some(size);
        }
        let (least, most) = bounds.into_inner();
        let bound = if size < least {
            format!("take at least {}", show_size(least))
        } else {
            format!("take at most {}", show_size(most))
        };
        self.problem(format!("{} is out of bounds", show_size(size)), Some(bound));
        None
    }

    /// A whole number of bytes, or a size.
    pub(super) fn bytes(&self, bounds: RangeInclusive<u64>) -> Option<u64> {
        let Ok(number) = (match &self.value.kind {
            ValueKind::I64(number) => u64::try_from(*number),
            _ => return self.size(bounds),
        }) else {
            self.expected("a number of bytes, or a size such as \"64kB\"");
            return None;
        };
        if !bounds.contains(&number) {
            let (least, most) = bounds.into_inner();
            let bound = if number < least { format!("at least {least}") } else { format!("at most {most}") };
            self.problem(format!("{number} is out of bounds"), Some(format!("take {bound}")));
            return None;
        }
        Some(number)
    }

    /// One of the named choices.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            let help =
                did_you_mean(text, names.iter().copied()).unwrap_or_else(|| format!("take {}", names.join(" or ")));
            self.problem(format!("{} is not a choice", quoted(text)), Some(help));
        }
        found
    }

    /// The elements of a list.
    pub(super) fn list(&self) -> Option<Vec<Item<'a>>> {
        let ValueKind::Array(list) = &self.value.kind else {
            self.expected("a list in brackets");
            return None;
        };
        let element = |(index, value)| Item { document: self.document, path: format!("{}[{index}]", self.path), value };
        Some(list.iter().enumerate().map(element).collect())
    }

    /// A list of whole numbers within bounds; from the environment with commas between them.
    pub(super) fn wholes(&self, bounds: RangeInclusive<i64>) -> Option<Vec<i64>> {
        if let (true, Some(text)) = (is_from_environment(self.value), self.as_text()) {
            let number = |part: &str| part.trim().parse().ok().filter(|number| bounds.contains(number));
            let numbers: Option<Vec<i64>> = text.split(',').map(number).collect();
            if numbers.is_none() {
                self.expected("whole numbers with commas between them");
            }
            return numbers;
        }
        self.list()?.iter().map(|item| item.whole(bounds.clone())).collect()
    }

    /// The names and values of a table, if it is one.
    pub(super) fn entries(&self) -> Option<Vec<(&'a str, Item<'a>)>> {
        let ValueKind::Table(map) = &self.value.kind else { return None };
        let entry = |(name, value): (&'a String, &'a Value)| {
            (name.as_str(), Item { document: self.document, path: join(&self.path, name), value })
        };
        let mut entries: Vec<_> = map.iter().map(entry).collect();
        entries.sort_by_key(|(name, _)| *name);
        Some(entries)
    }
}

fn flatten<'a>(
    document: &'a Document,
    map: &'a Map<String, Value>,
    path: &str,
    prefix: &str,
    values: &mut Vec<(String, Item<'a>)>,
) {
    for (name, value) in map {
        let (path, name) = (join(path, name), join(prefix, name));
        match &value.kind {
            ValueKind::Table(inner) => flatten(document, inner, &path, &name, values),
            _ => values.push((name, Item { document, path, value })),
        }
    }
}

/// A text for a message: in quotes, short, and on one line.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A value for a message: short, and on one line.
fn show(kind: &ValueKind) -> String {
    match kind {
        ValueKind::String(text) => quoted(text),
        ValueKind::I64(number) => number.to_string(),
        ValueKind::Float(number) => number.to_string(),
        ValueKind::Boolean(flag) => flag.to_string(),
        ValueKind::Table(_) => "a table".to_owned(),
        ValueKind::Array(_) => "a list".to_owned(),
        _ => "nothing".to_owned(),
    }
}

fn known_keys(asked: &[&'static str]) -> String {
    let mut known: Vec<&str> = asked.to_vec();
    known.sort_unstable();
    known.dedup();
    if known.is_empty() { "nothing is known here".to_owned() } else { format!("known here: {}", known.join(", ")) }
}
