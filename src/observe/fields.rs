//! The fields of a log line: made safe to print, and cut.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};

/// Longest text of one field in a log line, in bytes. What comes from outside can be of any length.
const LONGEST: usize = 1024;

/// What an event says, in the order in which it says it.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Its stable name; empty for one that is not ours.
    pub(super) event: String,
    /// What it says to people.
    pub(super) message: String,
    /// Everything else.
    pub(super) rest: Map<String, Value>,
    /// Where an event of the `log` crate comes from.
    pub(super) target: Option<String>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        let text = || match &value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match field.name() {
            "message" => self.message = text(),
            "event" => self.event = text(),
            "log.target" => self.target = Some(text()),
            "log.module_path" | "log.file" | "log.line" => {}
            name => {
                self.rest.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::String(cut(format!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::String(cut(value.to_owned())));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

/// The text, cut to a length that a log can bear.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = text.floor_char_boundary(LONGEST);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The text with control characters escaped: nothing from outside moves a terminal's cursor or begins a line.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = cut("é".repeat(2000));
        assert!(long.len() <= LONGEST + '…'.len_utf8() && long.ends_with("é…"));
        assert_eq!(cut("short".into()), "short");
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(escaped("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(escaped("schöner Text"), "schöner Text");
    }
}
