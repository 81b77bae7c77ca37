//! The attributes of a start tag: where they are, and whether they are written as XML wants them.
//!
//! quick-xml's own iterator allocates for every tag that has attributes and lets some broken ones pass.

use std::ops::Range;

use hashbrown::HashSet;

use super::chars::is_space;
use super::found::Found;
use super::names::{FORGOTTEN, NameId, OTHER, WrittenId};
use super::refusals;
use super::walk::Checked;
use crate::model::mapping::Limits;
use crate::model::violation::Code;

/// One attribute, as byte ranges of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    /// Its qualified name.
    pub(super) name: Range<usize>,
    /// What stands between the quotes.
    pub(super) value: Range<usize>,
    /// Its name as the mapping numbers it, once that is looked up.
    pub(super) id: NameId,
    /// Its name as it is written, once that is looked up.
    pub(super) written: WrittenId,
    /// Whether there is a reference in the value.
    pub(super) has_reference: bool,
}

/// More attributes than this are compared by a set and not pair by pair.
const FEW: usize = 12;

/// What ends an attribute's name.
const ENDS_NAME: u8 = 1;
/// What a value cannot be passed over at: quotes, `&` and `<`.
const STOPS_VALUE: u8 = 2;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    classes[b'=' as usize] = ENDS_NAME;
    classes[b' ' as usize] = ENDS_NAME;
    classes[b'\t' as usize] = ENDS_NAME;
    classes[b'\n' as usize] = ENDS_NAME;
    classes[b'\r' as usize] = ENDS_NAME;
    classes[b'"' as usize] = ENDS_NAME | STOPS_VALUE;
    classes[b'\'' as usize] = ENDS_NAME | STOPS_VALUE;
    classes[b'<' as usize] = ENDS_NAME | STOPS_VALUE;
    classes[b'&' as usize] = STOPS_VALUE;
    classes
};

/// Reads the attributes in `message[range]`, which is what follows the element name up to `>` or `/>`, into `found`.
///
/// # Errors
///
/// The first defect.
pub(super) fn scan(message: &str, range: Range<usize>, limits: &Limits, found: &mut Vec<Attribute>) -> Checked {
    found.clear();
    let bytes = &message.as_bytes()[..range.end];
    let mut at = range.start;
    loop {
        let gap = at;
        at = skip_space(bytes, at);
        if at == bytes.len() {
            break;
        }
        if at == gap {
            return defect(message, at, at, "there is no white space before an attribute");
        }
        if found.len() == limits.attributes as usize {
            return Err(refusals::too_many_attributes(range.start, limits));
        }
        let start = at;
        at = skip_until(bytes, at, ENDS_NAME);
        let name = start..at;
        at = skip_space(bytes, at);
        if bytes.get(at) != Some(&b'=') || name.is_empty() {
            return defect(message, at, start, "an attribute is not of the form name=\"value\"");
        }
        if name.len() > limits.name as usize {
            return Err(refusals::long_name(start, limits));
        }
        at = skip_space(bytes, at + 1);
        let quote = match bytes.get(at) {
            Some(&quote @ (b'"' | b'\'')) => quote,
            _ => return defect(message, at, start, "an attribute value is not in quotes"),
        };
        let start = at + 1;
        let mut has_reference = false;
        at = skip_until(bytes, start, STOPS_VALUE);
        loop {
            match bytes.get(at) {
                Some(&stop) if stop == quote => break,
                Some(b'<') => return defect(message, at, at, "an attribute value holds <, which must be written &lt;"),
                Some(&stop) => has_reference |= stop == b'&',
                None => return Err(refusals::unclosed(start, "an attribute value has no closing quote")),
            }
            at = skip_until(bytes, at + 1, STOPS_VALUE);
        }
        if (at - start) as u64 > limits.text {
            return Err(refusals::long_text(start, "an attribute value", limits));
        }
        found.push(Attribute { name, value: start..at, id: OTHER, written: FORGOTTEN, has_reference });
        at += 1;
    }
    match repeated(message, found) {
        Some(at) => Err(Found::fatal(Code::XML_DUPLICATE_ATTRIBUTE, at, "an attribute stands twice")),
        None => Ok(()),
    }
}

/// What is wrong with an attribute at `at`, seen at `seen`: where that is the end of the message, the tag is cut off.
#[cold]
fn defect(message: &str, seen: usize, at: usize, what: &str) -> Checked {
    if seen == message.len() {
        return Err(refusals::unclosed(at, "the message ends inside a tag"));
    }
    Err(Found::fatal(Code::XML_ATTRIBUTE, at, what))
}

#[inline]
fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|&byte| is_space(byte)) {
        at += 1;
    }
    at
}

#[inline]
fn skip_until(bytes: &[u8], mut at: usize, class: u8) -> usize {
    while bytes.get(at).is_some_and(|&byte| CLASSES[usize::from(byte)] & class == 0) {
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

    fn scan_all(text: &str) -> Result<Vec<(&str, &str)>, Box<Found>> {
        let mut found = Vec::new();
        let tag = format!("{text}>");
        scan(&tag, 0..text.len(), &Limits::default(), &mut found)?;
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
            assert_eq!(scan_all(text).unwrap_err().place.at, at, "{text}");
        }
    }

    #[test]
    fn a_repeated_attribute_is_found_among_many() {
        let many: String = (0..100).map(|index| format!(" a{index}=\"\"")).collect();
        assert_eq!(scan_all(&many).unwrap().len(), 100);
        assert_eq!(scan_all(&format!("{many} a7=\"\"")).unwrap_err().place.at, many.len() + 1);
    }
}
