//! The XML declaration.

use super::attributes::{self, Attribute};
use super::found::Found;
use super::walk::Checked;
use crate::model::mapping::Limits;
use crate::model::violation::Code;

/// How almost every message begins, after `<?xml`.
pub(super) const USUAL: &str = " version=\"1.0\" encoding=\"UTF-8\"?>";

/// What its parts are measured by: nothing but its grammar.
pub(super) const LIMITS: Limits = Limits {
    bytes: u64::MAX,
    depth: u32::MAX,
    attributes: 16,
    bindings: u32::MAX,
    name: u32::MAX,
    text: u64::MAX,
    children: u32::MAX,
    rows: u32::MAX,
};

/// Checks the grammar of the declaration whose inside (after `<?xml`, before `?>`) is `message[start..end]`. Whether
/// the encoding that it names is that of the bytes was seen when they were decoded.
///
/// # Errors
///
/// It breaks the grammar.
pub(super) fn check(message: &str, start: usize, end: usize, scratch: &mut Vec<Attribute>) -> Checked {
    let refuse = |at: usize, what: &str| Err(Found::fatal(Code::XML_DECLARATION, at, what));
    if message[start..].starts_with(USUAL) {
        return Ok(());
    }
    if let Err(defect) = attributes::scan(message, start..end, &LIMITS, scratch) {
        return refuse(defect.place.at, "the XML declaration is malformed");
    }
    let mut parts = scratch.iter().peekable();
    let named = |attribute: &Attribute, name: &str| message[attribute.name.clone()] == *name;
    let Some(version) = parts.next_if(|part| named(part, "version")) else {
        return refuse(start, "the XML declaration does not begin with a version");
    };
    let number = message[version.value.clone()].strip_prefix("1.");
    if !number.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())) {
        return refuse(version.value.start, "the XML declaration has a version that is not 1.x");
    }
    if let Some(encoding) = parts.next_if(|part| named(part, "encoding"))
        && !is_encoding_name(&message[encoding.value.clone()])
    {
        return refuse(encoding.value.start, "the XML declaration has an encoding that is not a name");
    }
    if let Some(standalone) = parts.next_if(|part| named(part, "standalone"))
        && !matches!(&message[standalone.value.clone()], "yes" | "no")
    {
        return refuse(standalone.value.start, "the XML declaration has a standalone that is neither yes nor no");
    }
    match parts.next() {
        Some(part) => refuse(part.name.start, "the XML declaration has a part that is unknown or out of order"),
        None => Ok(()),
    }
}

/// Whether this is `EncName` of XML's grammar.
pub(super) fn is_encoding_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(inside: &str) -> Option<&'static str> {
        check(inside, 0, inside.len(), &mut Vec::new()).err().map(|found| found.code.name())
    }

    #[test]
    fn a_declaration_is_read_by_its_grammar() {
        for good in [
            " version=\"1.0\" encoding=\"UTF-8\"",
            " version='1.0'",
            " version=\"1.1\" encoding='utf-8' standalone='yes' ",
            " version=\"1.0\"\n\tstandalone = \"no\"",
            " version=\"1.0\" encoding=\"US-ASCII\"",
        ] {
            assert_eq!(code(good), None, "{good}");
        }
        for bad in [
            "",
            " encoding=\"UTF-8\"",
            " version=\"2.0\"",
            " version=\"1.\"",
            " version=\"1.0\"encoding=\"UTF-8\"",
            " encoding=\"UTF-8\" version=\"1.0\"",
            " version=\"1.0\" standalone=\"yes\" encoding=\"UTF-8\"",
            " version=\"1.0\" standalone=\"maybe\"",
            " version=\"1.0\" encoding=\"-x\"",
            " version=\"1.0\" encoding=\"\"",
            " version=\"1.0\" version=\"1.0\"",
            " version=1.0",
        ] {
            assert_eq!(code(bad), Some("xml.declaration"), "{bad}");
        }
    }
}
