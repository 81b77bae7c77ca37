//! Which characters XML 1.0 (fifth edition) allows where, and what one look at all bytes of a message tells.

use super::found::Found;
pub(super) use crate::lexical::{is_space, is_unqualified_name, trim};
use crate::model::violation::Code;

/// What is known of a whole message before it is read, so that the hot path need not look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Survey {
    /// There is a carriage return somewhere: line ends have to be normalised.
    pub(super) has_carriage_return: bool,
    /// `]]>` occurs somewhere: text has to be searched for it.
    pub(super) has_cdata_end: bool,
    /// All bytes are ASCII.
    pub(super) is_ascii: bool,
}

/// Looks at every byte of a message once.
///
/// # Errors
///
/// The first character that XML does not allow anywhere.
pub(super) fn survey(text: &str) -> Result<Survey, Box<Found>> {
    let bytes = text.as_bytes();
    let (mut control, mut carriage_return, mut high) = (0_u8, 0_u8, 0_u8);
    // No branch in the loop: the compiler makes vector instructions of it.
    for &byte in bytes {
        let is_white = u8::from(byte == b'\t') | u8::from(byte == b'\n') | u8::from(byte == b'\r');
        control |= u8::from(byte < 0x20) & (is_white ^ 1);
        carriage_return |= u8::from(byte == b'\r');
        high |= byte;
    }
    let is_ascii = high < 0x80;
    // U+FFFE and U+FFFF are the only other ones that UTF-8 can hold.
    let is_suspect = |needle: &str| !is_ascii && memchr::memmem::find(bytes, needle.as_bytes()).is_some();
    if control != 0 || is_suspect("\u{FFFE}") || is_suspect("\u{FFFF}") {
        let illegal = text.char_indices().find(|&(_, character)| !is_char(character));
        if let Some((at, _)) = illegal {
            let what = "the message holds a character that XML does not allow";
            return Err(Found::fatal(Code::XML_CHARACTER, at, what));
        }
    }
    let has_cdata_end = memchr::memchr(b']', bytes).is_some() && memchr::memmem::find(bytes, b"]]>").is_some();
    Ok(Survey { has_carriage_return: carriage_return != 0, has_cdata_end, is_ascii })
}

/// Whether a document may hold this character.
pub(super) fn is_char(character: char) -> bool {
    !matches!(character, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}')
}

/// Whether this is a name with at most one colon inside it, as Namespaces in XML wants element and attribute names.
pub(super) fn is_qualified_name(name: &str) -> bool {
    match name.split_once(':') {
        Some((prefix, local)) => is_unqualified_name(prefix) && is_unqualified_name(local),
        None => is_unqualified_name(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survey_finds_what_needs_a_closer_look() {
        let plain = Survey { has_carriage_return: false, has_cdata_end: false, is_ascii: true };
        assert_eq!(survey("<a>\t\n x</a>"), Ok(plain));
        assert_eq!(survey("<a>\r\n</a>"), Ok(Survey { has_carriage_return: true, ..plain }));
        assert_eq!(survey("<a>é</a>"), Ok(Survey { is_ascii: false, ..plain }));
        assert_eq!(survey("<![CDATA[x]]>"), Ok(Survey { has_cdata_end: true, ..plain }));
    }

    #[test]
    fn a_survey_refuses_characters_that_xml_does_not_allow() {
        for bad in ['\0', '\u{1}', '\u{B}', '\u{1F}', '\u{FFFE}', '\u{FFFF}'] {
            assert_eq!(survey(&format!("<é>{bad}")).unwrap_err().place.at, 4, "{bad:?}");
        }
        assert!(survey("\u{FFFD}\u{7F}\u{85}\u{10FFFF}\u{F000}").is_ok());
    }

    #[test]
    fn names_are_those_of_the_fifth_edition() {
        for good in ["a", "_a-1.b", "é", "a:b", "\u{10000}", "a\u{B7}"] {
            assert!(is_qualified_name(good), "{good}");
        }
        for bad in ["", "1a", "-a", ".a", ":a", "a:", "a:b:c", "a:1", "a b", "a\"", "\u{B7}", "a\u{D7}", "a;"] {
            assert!(!is_qualified_name(bad), "{bad}");
        }
    }
}
