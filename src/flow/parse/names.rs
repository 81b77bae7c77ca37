//! Names of a message, resolved to the names of the mapping by namespace URI, each distinct one only once.
//!
//! A message type has a few hundred names and one or two sets of namespace declarations. Both are remembered from
//! message to message, so that a tag costs one look into a table, whatever prefixes the message uses.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::attributes::{Attribute, Defect};
use super::chars::{is_qualified_name, is_unqualified_name};
use super::text::attribute_value;
use crate::model::mapping::Name;

/// A name of the mapping as a small number.
pub(super) type NameId = u16;

/// Any name that the mapping does not speak of.
pub(super) const OTHER: NameId = 0;

/// A set of namespace declarations in force.
pub(super) type ScopeId = u32;

/// Where no element has declared a namespace.
pub(super) const NO_SCOPE: ScopeId = 0;

pub(super) const XML_URI: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS_URI: &str = "http://www.w3.org/2000/xmlns/";

/// Names remembered at most; a message with more of them is read without remembering the rest.
const MAX_NAMES: usize = 8192;
/// Sets of declarations remembered from message to message at most. Further ones live as long as their element, and
/// names in them are not remembered.
const MAX_SCOPES: ScopeId = 1024;

/// The names that a mapping speaks of.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    ids: HashMap<Box<str>, NameId>,
}

impl Vocabulary {
    /// The number of a name, a new one if need be; none when there are too many.
    pub(super) fn intern(&mut self, name: &Name) -> Option<NameId> {
        let next = NameId::try_from(self.ids.len() + 1).ok()?;
        Some(*self.ids.entry(key(name.namespace.as_deref(), &name.local).into()).or_insert(next))
    }

    /// How many numbers there are, that of [`OTHER`] included.
    pub(super) fn len(&self) -> usize {
        self.ids.len() + 1
    }

    fn find(&self, namespace: Option<&str>, local: &str) -> NameId {
        self.ids.get(key(namespace, local).as_str()).copied().unwrap_or(OTHER)
    }
}

/// NUL cannot occur in a document, so it separates the two parts.
fn key(namespace: Option<&str>, local: &str) -> String {
    format!("{}\0{local}", namespace.unwrap_or_default())
}

/// What a name as written in a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resolved {
    /// A well-formed name.
    Name(NameId),
    /// Not a name.
    Malformed,
    /// A name whose prefix is not bound.
    Unbound,
}

#[derive(Debug)]
struct Known {
    scope: ScopeId,
    is_attribute: bool,
    raw: Box<str>,
    resolved: Resolved,
}

#[derive(Debug)]
struct Scope {
    parent: ScopeId,
    /// Prefix (empty: the default namespace) and URI, by prefix.
    bindings: Box<[(Box<str>, Box<str>)]>,
}

/// Everything remembered of names.
#[derive(Debug)]
pub(super) struct Names {
    vocabulary: Arc<Vocabulary>,
    hasher: DefaultHashBuilder,
    known: HashTable<Known>,
    scopes: Vec<Scope>,
    scope_of: HashMap<Box<[u8]>, ScopeId>,
    key: Vec<u8>,
}

impl Names {
    /// Nothing remembered yet.
    pub(super) fn new(vocabulary: Arc<Vocabulary>) -> Self {
        Self {
            vocabulary,
            hasher: DefaultHashBuilder::default(),
            known: HashTable::new(),
            scopes: vec![Scope { parent: NO_SCOPE, bindings: Box::default() }],
            scope_of: HashMap::new(),
            key: Vec::new(),
        }
    }

    /// To be called between messages: forgets everything when a message has left too much of it.
    pub(super) fn tidy(&mut self) {
        // A message that ended early leaves scopes of elements that were never closed.
        self.scopes.truncate(MAX_SCOPES as usize);
        if self.scopes.len() == MAX_SCOPES as usize || self.known.len() >= MAX_NAMES {
            self.known.clear();
            self.scopes.truncate(1);
            self.scope_of.clear();
        }
    }

    /// The name of an element.
    #[inline]
    pub(super) fn element(&mut self, scope: ScopeId, raw: &str) -> Resolved {
        self.resolve(scope, false, raw)
    }

    /// The name of an attribute.
    #[inline]
    pub(super) fn attribute(&mut self, scope: ScopeId, raw: &str) -> Resolved {
        // Without a prefix an attribute is in no namespace, whatever is declared.
        let scope = if memchr::memchr(b':', raw.as_bytes()).is_some() { scope } else { NO_SCOPE };
        self.resolve(scope, true, raw)
    }

    /// An element with declarations ends.
    pub(super) fn leave(&mut self, scope: ScopeId) {
        if scope >= MAX_SCOPES {
            self.scopes.truncate(scope as usize);
        }
    }

    #[inline]
    fn resolve(&mut self, scope: ScopeId, is_attribute: bool, raw: &str) -> Resolved {
        if scope >= MAX_SCOPES {
            return self.look_up(scope, is_attribute, raw);
        }
        let hash = hash(&self.hasher, scope, is_attribute, raw);
        let known = self
            .known
            .find(hash, |known| known.scope == scope && known.is_attribute == is_attribute && *known.raw == *raw);
        match known {
            Some(known) => known.resolved,
            None => self.learn(hash, scope, is_attribute, raw),
        }
    }

    #[cold]
    fn learn(&mut self, hash: u64, scope: ScopeId, is_attribute: bool, raw: &str) -> Resolved {
        let resolved = self.look_up(scope, is_attribute, raw);
        if self.known.len() < MAX_NAMES {
            let hasher = &self.hasher;
            let known = Known { scope, is_attribute, raw: raw.into(), resolved };
            self.known
                .insert_unique(hash, known, |known| self::hash(hasher, known.scope, known.is_attribute, &known.raw));
        }
        resolved
    }

    fn look_up(&self, scope: ScopeId, is_attribute: bool, raw: &str) -> Resolved {
        if !is_qualified_name(raw) {
            return Resolved::Malformed;
        }
        let (prefix, local) = raw.split_once(':').unwrap_or(("", raw));
        let namespace = match prefix {
            "" if is_attribute => None,
            "" => self.uri(scope, "").filter(|uri| !uri.is_empty()),
            "xml" => Some(XML_URI),
            prefix => match self.uri(scope, prefix) {
                Some(uri) => Some(uri),
                None => return Resolved::Unbound,
            },
        };
        Resolved::Name(self.vocabulary.find(namespace, local))
    }

    fn uri(&self, mut scope: ScopeId, prefix: &str) -> Option<&str> {
        loop {
            let here = self.scopes.get(scope as usize)?;
            if let Ok(at) = here.bindings.binary_search_by(|(bound, _)| (**bound).cmp(prefix)) {
                return Some(&here.bindings[at].1);
            }
            if scope == NO_SCOPE {
                return None;
            }
            scope = here.parent;
        }
    }

    /// The scope inside an element with these attributes.
    ///
    /// # Errors
    ///
    /// A declaration that Namespaces in XML does not allow.
    pub(super) fn declare(
        &mut self,
        parent: ScopeId,
        message: &str,
        attributes: &[Attribute],
    ) -> Result<ScopeId, Defect> {
        self.key.clear();
        self.key.extend_from_slice(&parent.to_le_bytes());
        for attribute in attributes {
            if declared_prefix(&message[attribute.name.clone()]).is_some() {
                self.key.extend_from_slice(message[attribute.name.clone()].as_bytes());
                self.key.push(0);
                self.key.extend_from_slice(message[attribute.value.clone()].as_bytes());
                self.key.push(0);
            }
        }
        if let Some(&scope) = self.scope_of.get(self.key.as_slice()) {
            return Ok(scope);
        }
        let mut bindings = Vec::new();
        for attribute in attributes {
            if let Some(prefix) = declared_prefix(&message[attribute.name.clone()]) {
                let mut uri = String::new();
                attribute_value(&message[attribute.value.clone()], Some(&mut uri))
                    .map_err(|(at, what)| Defect { at: attribute.value.start + at, what })?;
                check(prefix, &uri).map_err(|what| Defect { at: attribute.name.start, what })?;
                bindings.push((Box::from(prefix), uri.into_boxed_str()));
            }
        }
        bindings.sort_unstable();
        let scope = ScopeId::try_from(self.scopes.len())
            .map_err(|_| Defect { at: 0, what: "there are too many namespace declarations" })?;
        self.scopes.push(Scope { parent, bindings: bindings.into() });
        if scope < MAX_SCOPES {
            self.scope_of.insert(self.key.as_slice().into(), scope);
        }
        Ok(scope)
    }
}

fn hash(hasher: &DefaultHashBuilder, scope: ScopeId, is_attribute: bool, raw: &str) -> u64 {
    hasher.hash_one((u64::from(scope) << 1 | u64::from(is_attribute), raw.as_bytes()))
}

/// The prefix that an attribute of this name declares (empty: the default namespace; a colon: none, where one should be),
/// or `None` when it is an ordinary attribute.
#[inline]
pub(super) fn declared_prefix(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("xmlns")?;
    match rest {
        "" | ":" => Some(rest),
        rest => rest.strip_prefix(':'),
    }
}

fn check(prefix: &str, uri: &str) -> Result<(), &'static str> {
    match prefix {
        "" if uri == XML_URI || uri == XMLNS_URI => Err("a reserved namespace is made the default namespace"),
        "" => Ok(()),
        ":" => Err("a namespace declaration names no prefix"),
        "xmlns" => Err("the prefix xmlns is declared, which is reserved"),
        "xml" if uri != XML_URI => Err("the prefix xml is bound to another namespace than its own"),
        "xml" => Ok(()),
        _ if uri.is_empty() => Err("a namespace prefix is undeclared, which namespaces 1.0 do not allow"),
        _ if uri == XML_URI || uri == XMLNS_URI => Err("a prefix is bound to a reserved namespace"),
        _ if is_unqualified_name(prefix) => Ok(()),
        _ => Err("a namespace prefix is not a name"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::attributes::scan;
    use super::*;

    fn names(vocabulary: &[(Option<&str>, &str)]) -> Names {
        let mut all = Vocabulary::default();
        for (namespace, local) in vocabulary {
            all.intern(&Name { namespace: namespace.map(Arc::from), local: Arc::from(*local) }).unwrap();
        }
        Names::new(Arc::new(all))
    }

    fn declare(names: &mut Names, parent: ScopeId, tag: &str) -> Result<ScopeId, Defect> {
        let mut attributes = Vec::new();
        scan(tag, 0..tag.len(), &mut attributes).unwrap();
        names.declare(parent, tag, &attributes)
    }

    #[test]
    fn prefixes_are_matched_by_uri() {
        let mut names = names(&[(None, "a"), (Some("urn:1"), "a"), (Some("urn:1"), "x")]);
        assert_eq!(names.element(NO_SCOPE, "a"), Resolved::Name(1));
        assert_eq!(names.element(NO_SCOPE, "p:a"), Resolved::Unbound);
        let outer = declare(&mut names, NO_SCOPE, " xmlns:p=\"urn:1\" k=\"v\"").unwrap();
        assert_eq!(names.element(outer, "p:a"), Resolved::Name(2));
        assert_eq!(names.element(outer, "a"), Resolved::Name(1));
        assert_eq!(names.element(outer, "p:zzz"), Resolved::Name(OTHER));
        let inner = declare(&mut names, outer, " xmlns=\"urn:1\" xmlns:p=\"urn:2\"").unwrap();
        assert_eq!(names.element(inner, "a"), Resolved::Name(2));
        assert_eq!(names.element(inner, "p:a"), Resolved::Name(OTHER));
        let undone = declare(&mut names, inner, " xmlns=\"\"").unwrap();
        assert_eq!(names.element(undone, "a"), Resolved::Name(1));
        assert_eq!(names.attribute(inner, "x"), Resolved::Name(OTHER), "no default namespace for attributes");
        assert_eq!(names.attribute(outer, "p:x"), Resolved::Name(3));
        assert_eq!(names.attribute(outer, "q:x"), Resolved::Unbound);
        assert_eq!(names.attribute(NO_SCOPE, "xml:lang"), Resolved::Name(OTHER));
    }

    #[test]
    fn the_same_declarations_are_the_same_scope() {
        let mut names = names(&[]);
        let first = declare(&mut names, NO_SCOPE, " xmlns:p=\"urn:1\"").unwrap();
        assert_eq!(declare(&mut names, NO_SCOPE, " xmlns:p=\"urn:1\""), Ok(first));
        assert_ne!(declare(&mut names, NO_SCOPE, " xmlns:p=\"urn:2\""), Ok(first));
        assert_ne!(declare(&mut names, first, " xmlns:p=\"urn:1\""), Ok(first));
    }

    #[test]
    fn declarations_that_namespaces_do_not_allow_are_refused() {
        let mut names = names(&[]);
        for bad in [
            " xmlns:p=\"\"",
            " xmlns:xmlns=\"urn:1\"",
            " xmlns:xml=\"urn:1\"",
            " xmlns:p=\"http://www.w3.org/XML/1998/namespace\"",
            " xmlns=\"http://www.w3.org/2000/xmlns/\"",
            " xmlns:1=\"urn:1\"",
            " xmlns:=\"urn:1\"",
        ] {
            assert!(declare(&mut names, NO_SCOPE, bad).is_err(), "{bad}");
        }
        assert!(declare(&mut names, NO_SCOPE, " xmlns:xml=\"http://www.w3.org/XML/1998/namespace\"").is_ok());
    }

    #[test]
    fn scopes_beyond_the_remembered_ones_live_as_long_as_their_element() {
        let mut names = names(&[(Some("urn:1"), "a"), (Some("urn:2"), "a")]);
        for number in 1..MAX_SCOPES {
            declare(&mut names, NO_SCOPE, &format!(" xmlns:p=\"urn:x{number}\"")).unwrap();
        }
        for (uri, id) in [("urn:1", 1), ("urn:2", 2), ("urn:1", 1)] {
            let scope = declare(&mut names, NO_SCOPE, &format!(" xmlns:q=\"{uri}\"")).unwrap();
            assert_eq!(scope, MAX_SCOPES);
            assert_eq!(names.element(scope, "q:a"), Resolved::Name(id));
            names.leave(scope);
        }
        names.tidy();
        assert_eq!(declare(&mut names, NO_SCOPE, " xmlns:q=\"urn:1\""), Ok(1));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut names = names(&[(None, "a")]);
        for number in 0..MAX_NAMES * 2 {
            names.element(NO_SCOPE, &format!("n{number}"));
        }
        assert_eq!(names.known.len(), MAX_NAMES);
        assert_eq!(names.element(NO_SCOPE, "a"), Resolved::Name(1));
        names.tidy();
        assert_eq!(names.known.len(), 0);
        assert_eq!(names.element(NO_SCOPE, "a"), Resolved::Name(1));
    }
}
