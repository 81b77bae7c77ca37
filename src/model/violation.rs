//! What can be wrong with a message: a closed list of codes, and where in the message it was found.

use std::fmt;

use serde::{Serialize, Serializer};

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
    XML_ENCODING = "xml.encoding", "bytes that the encoding of the message does not have";
    XML_ENCODING_UNKNOWN = "xml.encoding-unknown", "an encoding that is not known";
    XML_ENCODING_CONFLICT = "xml.encoding-conflict", "the XML declaration contradicts the bytes about the encoding";
    XML_DECLARATION = "xml.declaration", "the XML declaration is malformed or misplaced";
    XML_NO_ROOT = "xml.no-root", "there is no root element";
    XML_TEXT_OUTSIDE_ROOT = "xml.text-outside-root", "there is text before or after the root element";
    XML_SECOND_ROOT = "xml.second-root", "a second element follows the root";
    XML_UNCLOSED = "xml.unclosed", "the message ends inside an element or inside markup";
    XML_MISMATCHED_END_TAG = "xml.mismatched-end-tag", "an end tag does not match the open element";
    XML_SYNTAX = "xml.syntax", "markup that XML does not know";
    XML_NAME = "xml.name", "the name of an element, an attribute, a prefix or an instruction is not a name";
    XML_ATTRIBUTE = "xml.attribute", "an attribute is malformed";
    XML_DUPLICATE_ATTRIBUTE = "xml.duplicate-attribute", "an attribute stands twice, as written or by its namespace";
    XML_CHARACTER = "xml.character", "a character that XML does not allow";
    XML_REFERENCE = "xml.reference", "a malformed reference, or one to a character that XML does not allow";
    XML_ENTITY = "xml.entity", "a reference to an entity that is not one of the five that XML knows by itself";
    XML_CDATA_END = "xml.cdata-end", "text holds ]]>";
    XML_COMMENT = "xml.comment", "a comment holds -- or ends in --->";
    XML_INSTRUCTION = "xml.processing-instruction", "a processing instruction has a reserved name";
    XML_UNBOUND = "xml.namespace-unbound", "a prefix is not bound to a namespace";
    XML_UNDECLARED = "xml.namespace-undeclared", "a prefix is undeclared, which namespaces 1.0 do not allow";
    XML_RESERVED = "xml.namespace-reserved", "a reserved prefix or namespace is used for something else";
    DTD_REFUSED = "dtd.refused", "the message has a document type declaration";
    DTD_INTERNAL_SUBSET = "dtd.internal-subset", "the document type declaration has an internal subset";
    DTD_SYNTAX = "dtd.syntax", "the document type declaration is malformed, misplaced or a second one";
    LIMIT_BYTES = "limit.bytes", "the payload is longer than limits.bytes, as it came or decoded to UTF-8";
    LIMIT_DEPTH = "limit.depth", "elements are nested deeper than limits.depth, or than 128 where the mapping has an xsd";
    LIMIT_ATTRIBUTES = "limit.attributes", "an element has more attributes than limits.attributes";
    LIMIT_BINDINGS = "limit.bindings", "more namespace declarations are in scope than limits.bindings";
    LIMIT_NAME = "limit.name", "a name is longer than limits.name";
    LIMIT_TEXT = "limit.text", "a text, attribute, comment or instruction is longer than limits.text";
    LIMIT_CHILDREN = "limit.children", "an element has more children than limits.children";
    LIMIT_ROWS = "limit.rows", "the message has more rows than limits.rows, what its rows share makes too many bytes, or \
                                limits.memory has no room for them";
    SHAPE_ROOT = "shape.root", "the root element is not the one the mapping expects";
    SHAPE_REPEAT = "shape.repeat", "an element occurs more than once where the mapping allows one";
    SHAPE_NIL = "shape.nil", "an element of a value, a row or a row group is xsi:nil and has content";
    SHAPE_UNMAPPED = "shape.unmapped", "an element, an attribute or text that no column takes";
    SHAPE_UNROUTED = "shape.unrouted", "no table takes this message";
    TYPE_BOOL = "type.bool", "not a boolean";
    TYPE_INT = "type.int", "not a whole number of the column's width";
    TYPE_FLOAT = "type.float", "not a number";
    TYPE_DECIMAL = "type.decimal", "not a decimal of the column's precision and scale";
    TYPE_DATE = "type.date", "not a date";
    TYPE_TIMESTAMP = "type.timestamp", "not a timestamp";
    TYPE_TIME = "type.time", "not a time of day";
    TYPE_BINARY = "type.binary", "not base64, or not hexadecimal";
    TYPE_JSON = "type.json", "not a JSON document";
    RULE_ENUM = "rule.enum", "none of the values that enum allows";
    RULE_REGEX = "rule.regex", "not of the form that regex asks for";
    RULE_LENGTH = "rule.length", "shorter than min_length or longer than max_length";
    RULE_RANGE = "rule.range", "below min or above max";
    RULE_XSD = "rule.xsd", "the message is not as its schema wants it";
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

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

/// One thing that is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    /// The value, [`shortened`].
    pub value: Option<String>,
    /// One sentence for a person.
    pub message: String,
}

/// Violations kept of one message.
pub const MAX_VIOLATIONS: usize = 100;

/// Characters kept of a value.
const MAX_VALUE: usize = 64;

/// At most 64 characters of a value, the last one `…` where more were there.
pub fn shortened(value: &str) -> String {
    match value.char_indices().nth(MAX_VALUE) {
        None => value.to_owned(),
        Some(_) => value.chars().take(MAX_VALUE - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_told_to_be_one() {
        assert_eq!(shortened(&"é".repeat(64)), "é".repeat(64));
        assert_eq!(shortened(&"é".repeat(65)), format!("{}…", "é".repeat(63)));
    }

    #[test]
    fn every_code_is_found_by_its_name_and_is_of_a_documented_family() {
        for (code, _) in Code::ALL {
            assert_eq!(Code::from_name(code.name()), Some(*code));
            let family = code.name().split('.').next().unwrap();
            assert!(["xml", "limit", "dtd", "shape", "type", "rule"].contains(&family), "{code}");
        }
    }
}
