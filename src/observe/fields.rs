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

/// Whether a character does something to a terminal or a reader other than being seen: controls (those of eight bits
/// and delete too), ends of lines and paragraphs, and what turns the direction of the text around it.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with every character escaped that acts: nothing from outside moves a terminal's cursor or begins a line.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if acts(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

/// A JSON document of one line with every character escaped that acts. JSON itself escapes only those below the blank;
/// all others can stand in strings alone, so that the document stays the same.
pub(super) fn escaped_json(document: String) -> String {
    if !document.chars().any(acts) {
        return document;
    }
    let escape = |c: char| if acts(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    document.chars().map(escape).collect()
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
        assert_eq!(escaped("\u{9b}2J\u{7f}a\u{202e}b\u{2028}"), "\\u{9b}2J\\u{7f}a\\u{202e}b\\u{2028}");
    }

    #[test]
    fn a_document_without_acting_characters_says_the_same() {
        let every: String = (0..0x3000).filter_map(char::from_u32).collect();
        let document = Value::from(every.as_str()).to_string();
        let safe = escaped_json(document.clone());
        assert!(!safe.chars().any(acts) && document.chars().any(acts));
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), every);
    }
}
