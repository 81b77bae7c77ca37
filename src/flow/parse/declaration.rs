//! The XML declaration.

use super::attributes::{self, Attribute};
use super::found::Found;
use crate::model::violation::Code;

/// How almost every message begins.
const USUAL: &str = " version=\"1.0\" encoding=\"UTF-8\"";

/// Checks the declaration whose inside (after `<?xml`, before `?>`) is `message[start..end]`.
///
/// # Errors
///
/// It breaks the grammar, or names an encoding that the bytes are not in.
pub(super) fn check(
    message: &str,
    start: usize,
    end: usize,
    is_ascii: bool,
    scratch: &mut Vec<Attribute>,
) -> Result<(), Box<Found>> {
    let refuse = |at: usize, what: &str| Found::fatal(Code::XML_DECLARATION, at, what);
    if message[start..end] == *USUAL {
        return Ok(());
    }
    attributes::scan(message, start..end, scratch)
        .map_err(|defect| refuse(defect.at, "the XML declaration is malformed"))?;
    let mut parts = scratch.iter().peekable();
    let named = |attribute: &Attribute, name: &str| message[attribute.name.clone()] == *name;
    let Some(version) = parts.next_if(|part| named(part, "version")) else {
        return Err(refuse(start, "the XML declaration does not begin with a version"));
    };
    let number = message[version.value.clone()].strip_prefix("1.");
    if !number.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())) {
        return Err(refuse(version.value.start, "the XML declaration has a version that is not 1.x"));
    }
    if let Some(encoding) = parts.next_if(|part| named(part, "encoding")) {
        let name = &message[encoding.value.clone()];
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if !is_name {
            return Err(refuse(encoding.value.start, "the XML declaration has an encoding that is not a name"));
        }
        let is_utf8 = name.eq_ignore_ascii_case("utf-8");
        let is_us_ascii = is_ascii && name.eq_ignore_ascii_case("us-ascii");
        if !is_utf8 && !is_us_ascii {
            let what = format!("the XML declaration names the encoding {name}, but only UTF-8 is read");
            return Err(Found::fatal(Code::XML_ENCODING, encoding.value.start, what));
        }
    }
    if let Some(standalone) = parts.next_if(|part| named(part, "standalone"))
        && !matches!(&message[standalone.value.clone()], "yes" | "no")
    {
        return Err(refuse(standalone.value.start, "the XML declaration has a standalone that is neither yes nor no"));
    }
    match parts.next() {
        Some(part) => Err(refuse(part.name.start, "the XML declaration has a part that is unknown or out of order")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(inside: &str) -> Option<&'static str> {
        check(inside, 0, inside.len(), true, &mut Vec::new()).err().map(|found| found.code.name())
    }

    #[test]
    fn a_declaration_is_read_by_its_grammar() {
        for good in [
            USUAL,
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
            " version=\"1.0\" version=\"1.0\"",
            " version=1.0",
        ] {
            assert_eq!(code(bad), Some("xml.declaration"), "{bad}");
        }
        for other in ["UTF-16", "ISO-8859-1", "windows-1252"] {
            assert_eq!(code(&format!(" version=\"1.0\" encoding=\"{other}\"")), Some("xml.encoding"), "{other}");
        }
    }
}
