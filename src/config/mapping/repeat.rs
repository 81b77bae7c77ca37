//! What happens to a value that occurs more than once, as a mapping writes it: `first`, `join(; )`, `index(2)`.

use std::sync::Arc;

use crate::config::problem::similar;
use crate::config::section::{Wrong, quoted};
use crate::model::mapping::Repeat;

const PLAIN: [(&str, Repeat); 6] = [
    ("only", Repeat::Only),
    ("first", Repeat::First),
    ("last", Repeat::Last),
    ("list", Repeat::List),
    ("json", Repeat::Json),
    ("count", Repeat::Count),
];

/// The policy of that text, or what is wrong with it and what would be right.
pub(super) fn parse(text: &str) -> Result<Repeat, Wrong> {
    let trimmed = text.trim();
    if let Some((_, repeat)) = PLAIN.iter().find(|(name, _)| *name == trimmed) {
        return Ok(repeat.clone());
    }
    let (name, inner) = match trimmed.split_once('(') {
        Some((name, rest)) => (name.trim(), rest.strip_suffix(')')),
        None => (trimmed, None),
    };
    let wrong = |help: &str| Err((format!("{} is not a choice", quoted(text)), Some(help.to_owned())));
    match (name, inner) {
        ("join", Some(separator)) => Ok(Repeat::Join(Arc::from(unquoted(separator)))),
        ("join", None) => wrong("write join(SEPARATOR), such as join(; )"),
        ("index", inner) => match inner.map(str::trim).and_then(|number| number.parse::<u32>().ok()) {
            Some(0) => Err(("index(0) is never there".to_owned(), Some("the first is index(1)".to_owned()))),
            Some(number) => Ok(Repeat::Index(number)),
            None => wrong("write index(N), the first being index(1)"),
        },
        ("child", _) => wrong("write a [[child]] with name, rows and columns of its own"),
        ("rows" | "row" | "explode", _) => wrong("write the path of the element as rows of [message]"),
        (name, _) => match similar(name, PLAIN.iter().map(|(name, _)| *name).chain(["join", "index"])) {
            Some(meant) => wrong(&format!("did you mean {meant}?")),
            None => wrong("take only, first, last, list, join(SEPARATOR), json, count or index(N)"),
        },
    }
}

/// Without the quotes that stand around a text, if they do: blanks at its ends are easier to see so.
fn unquoted(text: &str) -> &str {
    let inside = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('\'').or_else(|| inside('"')).unwrap_or(text)
}
