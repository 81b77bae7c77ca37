//! Where a value is.

use std::sync::Arc;

/// Name of an element or attribute by namespace URI.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Namespace URI; none for a name in no namespace.
    pub namespace: Option<Arc<str>>,
    /// Local name.
    pub local: Arc<str>,
}

/// One step down to a child element.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Step {
    /// Its name; none is `*`, any.
    pub name: Option<Name>,
    /// What else must hold of it: `[@k='v']`.
    pub condition: Option<Condition>,
}

/// An attribute that an element must have, and its value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The attribute.
    pub attribute: Name,
    /// Its value, after references are resolved and white space is made blanks.
    pub value: Arc<str>,
}

/// Where a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// Whether the steps begin at the root element (a leading `/`) and not at the row.
    pub from_root: bool,
    /// Elements to go down; empty: the row (or root) element itself.
    pub steps: Vec<Step>,
    /// What of that element.
    pub take: Take,
}

/// What of an element is the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Take {
    /// Its own text, without that of its children: `text()`, and what a path to an element means for scalar types.
    Text,
    /// All text in it, that of its descendants too: `string()`.
    AllText,
    /// An attribute.
    Attribute(Name),
    /// The element itself, with its tags and attributes: for the types `xml` and `struct`, and for `repeat = "json"`.
    Element,
}

impl From<Name> for Step {
    fn from(name: Name) -> Self {
        Self { name: Some(name), condition: None }
    }
}
