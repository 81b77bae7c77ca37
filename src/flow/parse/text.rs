//! From the text of a message to the text it stands for: references, line ends, the joining of pieces.

use std::ops::Range;

use super::chars::{is_char, is_unqualified_name, trim};
use super::found::Found;
use crate::model::violation::Code;

/// Why a reference is refused, and where it begins in the value it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadReference {
    at: usize,
    code: Code,
    what: &'static str,
}

impl BadReference {
    /// The same as it ends the reading of a message whose byte `start` is the first one of the value.
    pub(super) fn found(self, start: usize) -> Box<Found> {
        Found::fatal(self.code, start + self.at, self.what)
    }
}

/// The character that a reference (what stands between `&` and `;`) means. Only the five names of XML itself and
/// character references exist; nothing is ever looked up.
///
/// # Errors
///
/// The reference means nothing, or a character that XML does not allow.
pub(super) fn resolve(reference: &str) -> Result<char, BadReference> {
    match reference {
        "amp" => return Ok('&'),
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "quot" => return Ok('"'),
        "apos" => return Ok('\''),
        _ => {}
    }
    let bad = |code, what| BadReference { at: 0, code, what };
    let Some(number) = reference.strip_prefix('#') else {
        return Err(if is_unqualified_name(reference) {
            bad(Code::XML_ENTITY, "a reference names an entity that is not one of amp, lt, gt, quot and apos")
        } else {
            bad(Code::XML_REFERENCE, "a reference is malformed; an ampersand itself must be written &amp;")
        });
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let is_number = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    let code = if is_number { u32::from_str_radix(digits, radix).ok() } else { None };
    match code.and_then(char::from_u32).filter(|&character| is_char(character)) {
        Some(character) => Ok(character),
        None if is_number => {
            Err(bad(Code::XML_REFERENCE, "a character reference means a character that XML does not allow"))
        }
        None => Err(bad(Code::XML_REFERENCE, "a character reference is malformed")),
    }
}

/// Checks every reference of an attribute value and, if asked for, writes the value that is meant: references
/// resolved, white space as blanks.
///
/// # Errors
///
/// The first bad reference.
pub(super) fn attribute_value(raw: &str, mut out: Option<&mut String>) -> Result<(), BadReference> {
    let mut rest = raw;
    while let Some(ampersand) = memchr::memchr(b'&', rest.as_bytes()) {
        if let Some(out) = out.as_deref_mut() {
            push_attribute_text(&rest[..ampersand], out);
        }
        let at = raw.len() - rest.len() + ampersand;
        let after = &rest[ampersand + 1..];
        // A reference ends before the next one begins: a search through the rest of the value for each would be
        // quadratic.
        let end = memchr::memchr2(b';', b'&', after.as_bytes()).filter(|&end| after.as_bytes()[end] == b';');
        let end = end.ok_or(BadReference { at, code: Code::XML_REFERENCE, what: NO_SEMICOLON })?;
        let character = resolve(&after[..end]).map_err(|bad| BadReference { at, ..bad })?;
        if let Some(out) = out.as_deref_mut() {
            out.push(character);
        }
        rest = &after[end + 1..];
    }
    if let Some(out) = out {
        push_attribute_text(rest, out);
    }
    Ok(())
}

/// Whether `xsi:nil` with that value, as it is written, says that its element is nil.
pub(super) fn says_nil(raw: &str) -> bool {
    let mut value = String::new();
    attribute_value(raw, Some(&mut value)).is_ok() && matches!(trim(&value), "true" | "1")
}

/// What is said of a reference that does not end.
pub(super) const NO_SEMICOLON: &str = "a reference has no closing semicolon; an ampersand itself must be written &amp;";

fn push_attribute_text(text: &str, out: &mut String) {
    let mut previous = ' ';
    for character in text.chars() {
        match character {
            '\n' if previous == '\r' => {}
            '\t' | '\n' | '\r' => out.push(' '),
            other => out.push(other),
        }
        previous = character;
    }
}

/// Appends text with its line ends as XML wants them: `\r\n` and `\r` become `\n`.
pub(super) fn push_normalised(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\r', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        out.push('\n');
        let after = &rest[at + 1..];
        rest = after.strip_prefix('\n').unwrap_or(after);
    }
    out.push_str(rest);
}

/// Text that is gathered piece by piece. One piece stays where it is in the message; only more than one are joined in
/// a buffer of their own, whose memory is kept for the next time.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    first: Range<usize>,
    joined: String,
    is_joined: bool,
}

impl Gathered {
    /// Begins again.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.first = 0..0;
        self.is_joined = false;
    }

    /// Adds a piece that stands as it is at `range` of the message.
    #[inline]
    pub(super) fn add(&mut self, message: &str, range: Range<usize>) {
        if !self.is_joined && self.first.is_empty() {
            self.first = range;
        } else {
            self.join(message).push_str(&message[range]);
        }
    }

    /// Where a piece that does not stand in the message as it is has to be written.
    pub(super) fn join(&mut self, message: &str) -> &mut String {
        if !self.is_joined {
            self.is_joined = true;
            self.joined.clear();
            self.joined.push_str(&message[self.first.clone()]);
        }
        &mut self.joined
    }

    /// All of it.
    #[inline]
    pub(super) fn text<'a>(&'a self, message: &'a str) -> &'a str {
        if self.is_joined { &self.joined } else { &message[self.first.clone()] }
    }

    /// Offset of its first byte in the message, as far as that is known.
    pub(super) fn start(&self) -> Option<usize> {
        (!self.first.is_empty()).then_some(self.first.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_the_five_names_and_legal_characters() {
        for (reference, character) in [
            ("amp", '&'),
            ("apos", '\''),
            ("#65", 'A'),
            ("#x41", 'A'),
            ("#x0000041", 'A'),
            ("#13", '\r'),
            ("#x10FFFF", '\u{10FFFF}'),
        ] {
            assert_eq!(resolve(reference), Ok(character));
        }
        for bad in [
            "",
            "nbsp",
            "AMP",
            "#",
            "#x",
            "#X41",
            "#0",
            "#1",
            "#xFFFE",
            "#xD800",
            "#x110000",
            "#-1",
            "#+1",
            "#99999999999",
        ] {
            assert!(resolve(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_attribute_value_is_normalised() {
        let mut out = String::new();
        attribute_value("a\tb\r\nc&#10;&lt;&amp;amp;", Some(&mut out)).unwrap();
        assert_eq!(out, "a b c\n<&amp;");
        assert_eq!(attribute_value("ab&x;", None).unwrap_err().at, 2);
        assert_eq!(attribute_value("&amp", None).unwrap_err().at, 0);
        assert_eq!(attribute_value("&lt;&am&p;", None).unwrap_err().at, 4);
    }

    #[test]
    fn line_ends_become_one_kind() {
        let mut out = String::new();
        push_normalised("a\r\nb\rc\n\r\r\n", &mut out);
        assert_eq!(out, "a\nb\nc\n\n\n");
    }

    #[test]
    fn pieces_are_joined_in_order() {
        let message = "abc<x/>def";
        let mut text = Gathered::default();
        text.add(message, 0..3);
        assert_eq!(text.text(message), "abc");
        text.join(message).push('&');
        text.add(message, 7..10);
        assert_eq!(text.text(message), "abc&def");
        text.clear();
        text.join(message).push('<');
        assert_eq!(text.text(message), "<");
    }
}
