//! What can be wrong with a message: a closed list of codes, and where in the message it was found.

use std::fmt;

/// Name of a kind of violation: `xml.*`, `limit.*`, `dtd.*`, `shape.*`, `type.*`, `rule.*`.
///
/// The list is closed: [`Code::ALL`] is what the documentation shows and what metrics may be labelled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(&'static str);

macro_rules! codes {
    ($($name:ident = $text:literal, $doc:literal;)*) => {
        impl Code {
            $(#[doc = $doc] pub const $name: Self = Self($text);)*

            /// Every code with a sentence on what it means.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $doc),)*];
        }
    };
}

codes! {
    XML_EMPTY = "xml.empty", "the payload has no bytes";
    XML_ENCODING = "xml.encoding", "the bytes are not in the encoding that the message declares";
    XML_SYNTAX = "xml.syntax", "markup that XML does not allow";
    XML_NO_ROOT = "xml.no-root", "there is no root element";
    XML_TEXT_OUTSIDE_ROOT = "xml.text-outside-root", "there is text before or after the root element";
    XML_SECOND_ROOT = "xml.second-root", "a second element follows the root";
    XML_UNCLOSED = "xml.unclosed", "the message ends inside an element or inside markup";
    XML_MISMATCHED_END_TAG = "xml.mismatched-end-tag", "an end tag does not match the open element";
    XML_ATTRIBUTE = "xml.attribute", "an attribute is malformed or stands twice";
    XML_REFERENCE = "xml.reference", "a reference to an unknown entity or to a character that XML does not allow";
    XML_CHARACTER = "xml.character", "a character that XML does not allow";
    XML_DECLARATION = "xml.declaration", "the XML declaration is malformed or misplaced";
    XML_NAMESPACE = "xml.namespace", "a prefix is not bound to a namespace";
    LIMIT_BYTES = "limit.bytes", "the payload is longer than limits.bytes";
    LIMIT_DEPTH = "limit.depth", "elements are nested deeper than limits.depth";
    LIMIT_ROWS = "limit.rows", "the message has more rows than limits.rows";
    LIMIT_ATTRIBUTES = "limit.attributes", "an element has more attributes than limits.attributes";
    DTD_REFUSED = "dtd.refused", "the message has a document type declaration";
    SHAPE_ROOT = "shape.root", "the root element is not the one the mapping expects";
    SHAPE_REPEAT = "shape.repeat", "an element occurs more than once where the mapping allows one";
    SHAPE_UNROUTED = "shape.unrouted", "no table takes this message";
    TYPE_BOOL = "type.bool", "not a boolean";
    TYPE_INT = "type.int", "not a whole number of the column's width";
    TYPE_FLOAT = "type.float", "not a number";
    TYPE_DECIMAL = "type.decimal", "not a decimal of the column's precision and scale";
    TYPE_DATE = "type.date", "not a date";
    TYPE_TIMESTAMP = "type.timestamp", "not a timestamp";
    RULE_REQUIRED = "rule.required", "a required value is missing";
    RULE_DATE = "rule.date", "the date of the row is missing or outside its bounds";
    RULE_POISON = "rule.poison", "the message made the parser fail again and again";
}

impl Code {
    /// The name in files, logs and metrics.
    pub fn name(self) -> &'static str {
        self.0
    }

    /// One sentence on what it means, the same for every message.
    pub fn meaning(self) -> &'static str {
        Self::ALL.iter().find(|(code, _)| *code == self).map_or("", |(_, meaning)| meaning)
    }

    /// The code of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().map(|(code, _)| *code).find(|code| code.0 == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// One thing that is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What kind.
    pub code: Code,
    /// The column it concerns, where it concerns one.
    pub column: Option<String>,
    /// Path of the element, e.g. `/library/book[2]/price`.
    pub path: Option<String>,
    /// Line in the payload, 1-based.
    pub line: Option<u32>,
    /// Byte offset in the payload, 0-based.
    pub byte_offset: Option<u64>,
    /// The value, shortened to at most 64 characters.
    pub value: Option<String>,
    /// One sentence for a person.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_name_and_is_of_a_documented_family() {
        for (code, _) in Code::ALL {
            assert_eq!(Code::from_name(code.name()), Some(*code));
            let family = code.name().split('.').next().unwrap();
            assert!(["xml", "limit", "dtd", "shape", "type", "rule"].contains(&family), "{code}");
        }
    }
}
