//! A violation as it is found: what is wrong and at which byte. Line and path are worked out afterwards, and only then.

use std::ops::Range;

use crate::model::violation::Code;
pub(super) use crate::model::violation::{MAX_VIOLATIONS, shortened};

/// Something wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// What kind.
    pub(super) code: Code,
    /// The column it concerns.
    pub(super) column: Option<String>,
    /// Where.
    pub(super) place: Place,
    /// The value, shortened.
    pub(super) value: Option<String>,
    /// One sentence.
    pub(super) message: String,
}

/// A place in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Byte offset in the text, a byte order mark not counted.
    pub(super) at: usize,
    /// The name of the attribute, when the place is one.
    pub(super) attribute: Option<Range<usize>>,
}

impl Place {
    /// A place that is not an attribute.
    pub(super) fn at(at: usize) -> Self {
        Self { at, attribute: None }
    }
}

impl Found {
    /// Something wrong with the message as XML, or with its limits.
    pub(super) fn at(code: Code, at: usize, message: impl Into<String>) -> Self {
        Self { code, column: None, place: Place::at(at), value: None, message: message.into() }
    }

    /// The same, boxed: it ends the reading of the message, and errors should be small.
    pub(super) fn fatal(code: Code, at: usize, message: impl Into<String>) -> Box<Self> {
        Box::new(Self::at(code, at, message))
    }
}
