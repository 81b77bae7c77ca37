//! Ways in which a message can be broken on purpose, each with the verdict that it must get.

use fastrand::Rng;

use super::library::Message;
use crate::model::batch::Outcome;
use crate::model::violation::Code;

/// One way to break a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It ends in the middle.
    Truncated,
    /// An end tag is misspelt.
    MismatchedTag,
    /// A price is no number.
    WrongType,
    /// A required element is missing.
    MissingRequired,
    /// A second root element follows.
    TwoRoots,
    /// A byte that is no UTF-8.
    BadUtf8,
    /// A payload without bytes.
    Empty,
    /// No XML at all.
    NotXml,
    /// No payload.
    Tombstone,
}

impl Flaw {
    /// Every way, equally likely.
    pub const ALL: [Self; 9] = [
        Self::Truncated,
        Self::MismatchedTag,
        Self::WrongType,
        Self::MissingRequired,
        Self::TwoRoots,
        Self::BadUtf8,
        Self::Empty,
        Self::NotXml,
        Self::Tombstone,
    ];

    /// Codes of which the first violation must have one.
    pub fn codes(self) -> &'static [&'static str] {
        match self {
            Self::Truncated => &["xml.unclosed"],
            Self::MismatchedTag => &["xml.mismatched-end-tag"],
            Self::WrongType => &["type.decimal"],
            Self::MissingRequired => &["rule.required"],
            Self::TwoRoots => &["xml.second-root"],
            Self::BadUtf8 => &["xml.encoding"],
            Self::Empty => &["xml.empty"],
            // Text where the root should be: which of the two is said first is a matter of taste.
            Self::NotXml => &["xml.text-outside-root", "xml.no-root"],
            Self::Tombstone => &[],
        }
    }
}

/// Breaks a good message.
pub fn spoil(flaw: Flaw, message: Message, rng: &mut Rng) -> Message {
    let xml = message.payload.unwrap_or_default();
    // One of the books is hit.
    let book = rng.usize(..message.rows.len().max(1));
    let payload = match flaw {
        Flaw::Truncated => {
            let end = nth(&xml, b"</genre>", book) + b"</genre>".len();
            Some(xml[..end].to_vec())
        }
        Flaw::MismatchedTag => Some(replace_nth(&xml, b"</title>", b"</titel>", book)),
        Flaw::WrongType => {
            let start = nth(&xml, b"<price ", book);
            let from = start + xml[start..].iter().position(|byte| *byte == b'>').unwrap_or_default() + 1;
            let to = from + xml[from..].iter().position(|byte| *byte == b'<').unwrap_or_default();
            Some([&xml[..from], b"abc", &xml[to..]].concat())
        }
        Flaw::MissingRequired => {
            let from = nth(&xml, b"<record_id>", book);
            let to = nth(&xml, b"</record_id>", book) + b"</record_id>".len();
            Some([&xml[..from], &xml[to..]].concat())
        }
        Flaw::TwoRoots => Some([&xml, b"<library/>".as_slice()].concat()),
        Flaw::BadUtf8 => {
            let mut spoilt = xml.clone();
            let at = nth(&xml, b"<title>", book) + b"<title>".len();
            if let Some(byte) = spoilt.get_mut(at) {
                *byte = 0xFF;
            }
            Some(spoilt)
        }
        Flaw::Empty => Some(Vec::new()),
        Flaw::NotXml => Some(format!("{{\"branch\":\"{}\",\"books\":[]}}", message.key).into_bytes()),
        Flaw::Tombstone => None,
    };
    let outcome = if payload.is_some() { Outcome::Quarantined } else { Outcome::Tombstone };
    Message { key: message.key, payload, outcome, codes: flaw.codes(), rows: Vec::new() }
}

/// Whether every code that the generator expects is one that there is.
pub fn codes_exist() -> bool {
    Flaw::ALL.iter().flat_map(|flaw| flaw.codes()).all(|code| Code::from_name(code).is_some())
}

fn nth(haystack: &[u8], needle: &[u8], index: usize) -> usize {
    memchr::memmem::find_iter(haystack, needle).nth(index).unwrap_or_default()
}

fn replace_nth(haystack: &[u8], needle: &[u8], by: &[u8], index: usize) -> Vec<u8> {
    let at = nth(haystack, needle, index);
    [&haystack[..at], by, &haystack[at + needle.len()..]].concat()
}
