//! Log lines for people: one line, aligned, in colour where that is wanted.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::fields::escaped;

const DIM: &str = "\u{1b}[2m";
const RESET: &str = "\u{1b}[0m";

/// What a line for people shows.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    pub(super) time: &'a str,
    pub(super) level: &'a str,
    pub(super) message: &'a str,
    pub(super) fields: &'a Map<String, Value>,
}

impl Shown<'_> {
    /// The line, without its end.
    pub(super) fn line(&self, colors: bool) -> String {
        let (dim, reset) = if colors { (DIM, RESET) } else { ("", "") };
        let color = if colors { color_of(self.level) } else { "" };
        let level = self.level.to_uppercase();
        let mut line = format!("{dim}{}{reset} {color}{level:<5}{reset} {}", self.time, escaped(self.message));
        for (name, value) in self.fields {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let text = escaped(&text);
            let quote = if text.is_empty() || text.contains(' ') { "\"" } else { "" };
            // Writing to a `String` cannot fail.
            write!(line, " {dim}{}={reset}{quote}{text}{quote}", escaped(name)).unwrap_or_default();
        }
        line
    }
}

fn color_of(level: &str) -> &'static str {
    match level {
        "error" => "\u{1b}[31m",
        "warn" => "\u{1b}[33m",
        "info" => "\u{1b}[32m",
        _ => "\u{1b}[36m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_aligned_and_safe() {
        let fields = serde_json::json!({"topic": "library", "error": "no \u{1b}room", "partition": 3, "code": null});
        let shown =
            Shown { time: "12:00:00.000", level: "warn", message: "waiting", fields: fields.as_object().unwrap() };
        assert_eq!(shown.line(false), "12:00:00.000 WARN  waiting error=\"no \\u{1b}room\" partition=3 topic=library");
        assert!(shown.line(true).contains("\u{1b}[33mWARN"));
    }
}
