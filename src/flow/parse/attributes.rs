//! The attributes of a start tag: where they are, and whether they are written as XML wants them.
//!
//! quick-xml's own iterator allocates for every tag that has attributes and lets some broken ones pass.

use std::ops::Range;

use hashbrown::HashSet;

use super::chars::is_space;
use super::names::{NameId, OTHER};

/// One attribute, as byte ranges of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    /// Its qualified name.
    pub(super) name: Range<usize>,
    /// What stands between the quotes.
    pub(super) value: Range<usize>,
    /// Its name as the mapping numbers it, once that is looked up.
    pub(super) id: NameId,
}

/// What is wrong with a tag, and at which byte of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Defect {
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// More attributes than this are compared by a set and not pair by pair.
const FEW: usize = 12;

/// Reads the attributes in `message[range]`, which is what follows the element name up to `>` or `/>`, into `found`.
///
/// # Errors
///
/// The first defect.
pub(super) fn scan(message: &str, range: Range<usize>, found: &mut Vec<Attribute>) -> Result<(), Defect> {
    found.clear();
    let bytes = message.as_bytes();
    let end = range.end;
    let mut at = range.start;
    loop {
        let gap = at;
        at = skip_space(bytes, at, end);
        if at == end {
            break;
        }
        if at == gap {
            return Err(Defect { at, what: "there is no white space before an attribute" });
        }
        let start = at;
        while at < end && !matches!(bytes[at], b'=' | b'"' | b'\'' | b'<' | b' ' | b'\t' | b'\n' | b'\r') {
            at += 1;
        }
        let name = start..at;
        at = skip_space(bytes, at, end);
        if at == end || bytes[at] != b'=' || name.is_empty() {
            return Err(Defect { at: start, what: "an attribute is not of the form name=\"value\"" });
        }
        at = skip_space(bytes, at + 1, end);
        let quote = match bytes.get(at) {
            Some(&quote @ (b'"' | b'\'')) if at < end => quote,
            _ => return Err(Defect { at: start, what: "an attribute value is not in quotes" }),
        };
        let start = at + 1;
        let Some(length) = bytes[start..end].iter().position(|&byte| byte == quote || byte == b'<') else {
            return Err(Defect { at: start, what: "an attribute value has no closing quote" });
        };
        at = start + length;
        if bytes[at] == b'<' {
            return Err(Defect { at, what: "an attribute value holds <, which must be written &lt;" });
        }
        found.push(Attribute { name, value: start..at, id: OTHER });
        at += 1;
    }
    match repeated(message, found) {
        Some(at) => Err(Defect { at, what: "an attribute stands twice" }),
        None => Ok(()),
    }
}

#[inline]
fn skip_space(bytes: &[u8], mut at: usize, end: usize) -> usize {
    while at < end && is_space(bytes[at]) {
        at += 1;
    }
    at
}

fn repeated(message: &str, found: &[Attribute]) -> Option<usize> {
    if found.len() <= FEW {
        for (index, second) in found.iter().enumerate().skip(1) {
            if found[..index].iter().any(|first| message[first.name.clone()] == message[second.name.clone()]) {
                return Some(second.name.start);
            }
        }
        return None;
    }
    let mut seen = HashSet::with_capacity(found.len());
    found.iter().find(|attribute| !seen.insert(&message[attribute.name.clone()])).map(|twice| twice.name.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan_all(text: &str) -> Result<Vec<(&str, &str)>, Defect> {
        let mut found = Vec::new();
        scan(text, 0..text.len(), &mut found)?;
        Ok(found.iter().map(|attribute| (&text[attribute.name.clone()], &text[attribute.value.clone()])).collect())
    }

    #[test]
    fn attributes_are_found_as_written() {
        assert_eq!(scan_all(""), Ok(vec![]));
        assert_eq!(scan_all("  \n"), Ok(vec![]));
        assert_eq!(scan_all(" a=\"1\"\tb = 'x\"y' "), Ok(vec![("a", "1"), ("b", "x\"y")]));
        assert_eq!(scan_all(" x:a=\"\""), Ok(vec![("x:a", "")]));
    }

    #[test]
    fn broken_attributes_are_refused_where_they_break() {
        for (text, at) in [
            ("a=\"1\"", 0),
            (" a=\"1\"b=\"2\"", 6),
            (" a", 1),
            (" a b=\"1\"", 1),
            (" a=1", 1),
            (" =\"1\"", 1),
            (" a=\"1", 4),
            (" a=\"<\"", 4),
            (" a=\"1\" a=\"2\"", 7),
            (" /", 1),
        ] {
            assert_eq!(scan_all(text).unwrap_err().at, at, "{text}");
        }
    }

    #[test]
    fn a_repeated_attribute_is_found_among_many() {
        let many: String = (0..100).map(|index| format!(" a{index}=\"\"")).collect();
        assert_eq!(scan_all(&many).unwrap().len(), 100);
        assert_eq!(scan_all(&format!("{many} a7=\"\"")).unwrap_err().at, many.len() + 1);
    }
}
