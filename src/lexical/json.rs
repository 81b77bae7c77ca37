//! Whether a text is one JSON document (RFC 8259): a check that builds nothing and goes as deep as the text does.

use super::text::is_space;
use super::value::Refused;
use crate::model::violation::Code;

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    /// A value, or the end of an array that has just begun.
    ValueOrEnd,
    Key,
    /// A key, or the end of an object that has just begun.
    KeyOrEnd,
    /// A comma, or the end of what is open.
    CommaOrEnd,
}

/// Looks at the whole text. `open` holds what is open on the way: an opening bracket or brace each.
pub(super) fn check(text: &str, open: &mut Vec<u8>) -> Result<(), Box<Refused>> {
    open.clear();
    let bytes = text.as_bytes();
    document(bytes, open).map_err(|at| {
        let line = 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + text.get(..at).map_or(0, |before| before.chars().rev().take_while(|c| *c != '\n').count());
        Refused::new(Code::TYPE_JSON, format!("not a JSON document: line {line}, column {column}"))
    })
}

/// The place that is wrong, as an error.
fn document(text: &[u8], open: &mut Vec<u8>) -> Result<(), usize> {
    let (mut at, mut next) = (0, Next::Value);
    loop {
        at += text[at..].iter().take_while(|byte| is_space(**byte)).count();
        let Some(&byte) = text.get(at) else { break };
        match (next, byte) {
            (Next::Value | Next::ValueOrEnd, b'{') => {
                open.push(b'{');
                (at, next) = (at + 1, Next::KeyOrEnd);
                continue;
            }
            (Next::Value | Next::ValueOrEnd, b'[') => {
                open.push(b'[');
                (at, next) = (at + 1, Next::ValueOrEnd);
                continue;
            }
            (Next::ValueOrEnd, b']') | (Next::KeyOrEnd, b'}') => {
                open.pop();
                at += 1;
            }
            (Next::Value | Next::ValueOrEnd, _) => at = scalar(text, at)?,
            (Next::Key | Next::KeyOrEnd, b'"') => {
                at = string(text, at)?;
                at += text[at..].iter().take_while(|byte| is_space(**byte)).count();
                if text.get(at) != Some(&b':') {
                    return Err(at);
                }
                (at, next) = (at + 1, Next::Value);
                continue;
            }
            (Next::CommaOrEnd, b',') if open.last() == Some(&b'{') => {
                (at, next) = (at + 1, Next::Key);
                continue;
            }
            (Next::CommaOrEnd, b',') if open.last() == Some(&b'[') => {
                (at, next) = (at + 1, Next::Value);
                continue;
            }
            (Next::CommaOrEnd, b'}') if open.last() == Some(&b'{') => {
                open.pop();
                at += 1;
            }
            (Next::CommaOrEnd, b']') if open.last() == Some(&b'[') => {
                open.pop();
                at += 1;
            }
            _ => return Err(at),
        }
        // A value has ended.
        next = Next::CommaOrEnd;
    }
    if open.is_empty() && next == Next::CommaOrEnd { Ok(()) } else { Err(at) }
}

/// The end of a string, number or word that begins at `at`.
fn scalar(text: &[u8], at: usize) -> Result<usize, usize> {
    let word = |word: &[u8]| if text[at..].starts_with(word) { Ok(at + word.len()) } else { Err(at) };
    match text[at] {
        b'"' => string(text, at),
        b't' => word(b"true"),
        b'f' => word(b"false"),
        b'n' => word(b"null"),
        b'-' | b'0'..=b'9' => number(text, at),
        _ => Err(at),
    }
}

fn string(text: &[u8], start: usize) -> Result<usize, usize> {
    let mut at = start + 1;
    loop {
        match text.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => {
                at += match text.get(at + 1) {
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                    Some(b'u')
                        if text.get(at + 2..at + 6).is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit)) =>
                    {
                        6
                    }
                    _ => return Err(at),
                }
            }
            Some(0x20..) => at += 1,
            _ => return Err(at),
        }
    }
}

fn number(text: &[u8], start: usize) -> Result<usize, usize> {
    let digits =
        |at: usize| match text.get(at..).map_or(0, |rest| rest.iter().take_while(|b| b.is_ascii_digit()).count()) {
            0 => Err(at),
            count => Ok(at + count),
        };
    let mut at = start + usize::from(text[start] == b'-');
    at = if text.get(at) == Some(&b'0') { at + 1 } else { digits(at)? };
    if text.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at = digits(at + 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-'))))?;
    }
    Ok(at)
}
