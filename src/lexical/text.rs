//! White space of XML, and no other.

use crate::model::mapping::Trim;

/// Whether it is white space in XML.
#[inline]
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The text without white space at its ends.
#[inline]
pub fn trim(text: &str) -> &str {
    match text.as_bytes() {
        // Most values have none.
        [first, .., last] if !is_space(*first) && !is_space(*last) => text,
        _ => text.trim_matches([' ', '\t', '\n', '\r']),
    }
}

/// The text after trimming; `buffer` is only written to when inner white space changes.
#[inline]
pub(super) fn trimmed<'t>(text: &'t str, how: Trim, buffer: &'t mut String) -> &'t str {
    match how {
        Trim::None => text,
        Trim::Both => trim(text),
        Trim::Collapse => collapse(trim(text), buffer),
    }
}

fn collapse<'t>(text: &'t str, buffer: &'t mut String) -> &'t str {
    let bytes = text.as_bytes();
    let changes = |at: usize| matches!(bytes[at], b'\t' | b'\n' | b'\r') || bytes[at..].starts_with(b"  ");
    if !(0..bytes.len()).any(changes) {
        return text;
    }
    buffer.clear();
    for word in text.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty()) {
        if !buffer.is_empty() {
            buffer.push(' ');
        }
        buffer.push_str(word);
    }
    buffer
}

/// Texts for a message: `a, b or c`, at most five of them.
pub(super) fn listed<T: AsRef<str>>(texts: &[T]) -> String {
    const SHOWN: usize = 5;
    let mut list = String::new();
    for (index, text) in texts.iter().take(SHOWN).enumerate() {
        let is_last = index + 1 == texts.len();
        list.push_str(if index == 0 {
            ""
        } else if is_last {
            " or "
        } else {
            ", "
        });
        list.extend(text.as_ref().chars().take(40));
    }
    if texts.len() > SHOWN {
        list.push_str(&format!(" or one of {} more", texts.len() - SHOWN));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_that_of_xml() {
        let mut buffer = String::new();
        for (text, both, collapsed) in [
            ("", "", ""),
            (" \t\r\n", "", ""),
            ("a", "a", "a"),
            (" a ", "a", "a"),
            ("a b", "a b", "a b"),
            ("  a  b\n\tc ", "a  b\n\tc", "a b c"),
            ("a\tb", "a\tb", "a b"),
            ("\u{a0}a\u{a0}\u{2003}b\u{85}", "\u{a0}a\u{a0}\u{2003}b\u{85}", "\u{a0}a\u{a0}\u{2003}b\u{85}"),
        ] {
            assert_eq!(trimmed(text, Trim::None, &mut buffer), text);
            assert_eq!(trimmed(text, Trim::Both, &mut buffer), both);
            assert_eq!(trimmed(text, Trim::Collapse, &mut buffer), collapsed);
        }
    }

    #[test]
    fn a_list_is_short() {
        assert_eq!(listed(&["EUR"]), "EUR");
        assert_eq!(listed(&["EUR", "USD", "CHF"]), "EUR, USD or CHF");
        assert_eq!(listed(&["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e or one of 2 more");
    }
}
