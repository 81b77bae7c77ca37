//! Names of a message, resolved to the names of the mapping by namespace URI, each distinct one only once.
//!
//! A message type has a few hundred names. They are remembered from message to message, so that a tag costs one look
//! into a table, whatever prefixes the message uses.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::attributes::Attribute;
use super::chars::is_qualified_name;
use super::found::Found;
use super::scopes::{MAX_SCOPES, NO_SCOPE, NO_URI, ScopeId, Scopes, UriId, XML};
use super::vocabulary::NO_SPACE;
pub(super) use super::vocabulary::{NameId, OTHER, Vocabulary};
use crate::model::mapping::Limits;

/// Names remembered at most; a message with more of them is read without remembering the rest.
const MAX_NAMES: usize = 8192;
/// Longer names are not remembered.
const LONGEST_NAME: usize = 128;

/// The number of a name as it is written (its scope counts too), as long as [`Names::era`] is the same.
pub(super) type WrittenId = u32;

/// Of a name that is not remembered.
pub(super) const FORGOTTEN: WrittenId = u32::MAX;

/// Of an attribute that is a declaration of a namespace.
pub(super) const DECLARATION: WrittenId = u32::MAX - 1;

/// What a name as written in a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resolved {
    /// A well-formed name.
    Name(NameId),
    /// Not a name.
    Malformed,
    /// A name whose prefix is not bound.
    Unbound,
    /// A name with the prefix that is reserved for declarations.
    Reserved,
}

#[derive(Debug)]
struct Known {
    scope: ScopeId,
    is_attribute: bool,
    raw: Box<str>,
    resolved: Resolved,
    /// The name that came after this one last time: most often it does so again.
    next: u32,
}

impl Known {
    #[inline]
    fn is(&self, scope: ScopeId, is_attribute: bool, raw: &str) -> bool {
        self.scope == scope && self.is_attribute == is_attribute && *self.raw == *raw
    }
}

/// Everything remembered of names.
#[derive(Debug)]
pub(super) struct Names {
    vocabulary: Arc<Vocabulary>,
    hasher: DefaultHashBuilder,
    known: Vec<Known>,
    index: HashTable<u32>,
    /// The name before.
    last: u32,
    scopes: Scopes,
    /// How often everything was forgotten.
    era: u32,
}

impl Names {
    /// Nothing remembered yet.
    pub(super) fn new(vocabulary: Arc<Vocabulary>) -> Self {
        Self {
            scopes: Scopes::new(Arc::clone(&vocabulary)),
            vocabulary,
            hasher: DefaultHashBuilder::default(),
            known: Vec::new(),
            index: HashTable::new(),
            last: 0,
            era: 0,
        }
    }

    /// Numbers of names as they are written hold as long as this is the same.
    pub(super) fn era(&self) -> u32 {
        self.era
    }

    /// To be called between messages: forgets everything when a message has left too much of it.
    pub(super) fn tidy(&mut self) {
        self.scopes.abandon();
        if self.scopes.is_full() || self.known.len() >= MAX_NAMES {
            self.known.clear();
            self.index.clear();
            self.last = 0;
            self.era = self.era.wrapping_add(1);
            self.scopes.forget();
        }
    }

    /// The name of an element.
    #[inline]
    pub(super) fn element(&mut self, scope: ScopeId, raw: &str) -> (Resolved, WrittenId) {
        self.resolve(scope, false, raw)
    }

    /// The name of an attribute without a prefix, which is in no namespace, whatever is declared.
    #[inline]
    pub(super) fn plain_attribute(&mut self, raw: &str) -> (Resolved, WrittenId) {
        self.resolve(NO_SCOPE, true, raw)
    }

    /// The name of an attribute with a prefix.
    #[inline]
    pub(super) fn prefixed_attribute(&mut self, scope: ScopeId, raw: &str) -> (Resolved, WrittenId) {
        self.resolve(scope, true, raw)
    }

    /// The namespace and the local part of a well-formed name with a prefix that is bound.
    pub(super) fn expanded<'m>(&self, scope: ScopeId, raw: &'m str) -> (UriId, &'m str) {
        let (prefix, local) = raw.split_once(':').unwrap_or(("", raw));
        let uri = if prefix == "xml" { Some(XML) } else { self.scopes.uri(scope, prefix) };
        (uri.unwrap_or(NO_URI), local)
    }

    /// The scope inside an element with these attributes.
    ///
    /// # Errors
    ///
    /// See [`Scopes::declare`].
    pub(super) fn declare(
        &mut self,
        parent: ScopeId,
        message: &str,
        attributes: &[Attribute],
        limits: &Limits,
    ) -> Result<ScopeId, Box<Found>> {
        self.scopes.declare(parent, message, attributes, limits)
    }

    /// An element with declarations ends.
    pub(super) fn leave(&mut self, scope: ScopeId) {
        self.scopes.leave(scope);
    }

    #[inline]
    fn resolve(&mut self, scope: ScopeId, is_attribute: bool, raw: &str) -> (Resolved, WrittenId) {
        if scope >= MAX_SCOPES {
            return (self.look_up(scope, is_attribute, raw), FORGOTTEN);
        }
        let expected = self.known.get(self.last as usize).map_or(0, |last| last.next);
        if let Some(known) = self.known.get(expected as usize)
            && known.is(scope, is_attribute, raw)
        {
            self.last = expected;
            return (known.resolved, expected);
        }
        self.search(scope, is_attribute, raw)
    }

    fn search(&mut self, scope: ScopeId, is_attribute: bool, raw: &str) -> (Resolved, WrittenId) {
        let hash = hash(&self.hasher, scope, is_attribute, raw);
        let found = self.index.find(hash, |&id| self.known[id as usize].is(scope, is_attribute, raw));
        let id = match found {
            Some(&id) => id,
            None => match self.learn(hash, scope, is_attribute, raw) {
                Ok(id) => id,
                Err(not_kept) => return (not_kept, FORGOTTEN),
            },
        };
        if let Some(last) = self.known.get_mut(self.last as usize) {
            last.next = id;
        }
        self.last = id;
        (self.known[id as usize].resolved, id)
    }

    /// The number of a name that is new, or what it is where it is not remembered.
    #[cold]
    fn learn(&mut self, hash: u64, scope: ScopeId, is_attribute: bool, raw: &str) -> Result<u32, Resolved> {
        let resolved = self.look_up(scope, is_attribute, raw);
        if self.known.len() >= MAX_NAMES || raw.len() > LONGEST_NAME {
            return Err(resolved);
        }
        let id = self.known.len() as u32;
        self.known.push(Known { scope, is_attribute, raw: raw.into(), resolved, next: 0 });
        let (hasher, known) = (&self.hasher, &self.known);
        self.index.insert_unique(hash, id, |&id| {
            let known = &known[id as usize];
            self::hash(hasher, known.scope, known.is_attribute, &known.raw)
        });
        Ok(id)
    }

    fn look_up(&self, scope: ScopeId, is_attribute: bool, raw: &str) -> Resolved {
        if !is_qualified_name(raw) {
            return Resolved::Malformed;
        }
        let (prefix, local) = raw.split_once(':').unwrap_or(("", raw));
        let space = match prefix {
            "" if is_attribute => Some(NO_SPACE),
            "" => self.scopes.space(self.scopes.uri(scope, "").unwrap_or(NO_URI)),
            "xml" => self.scopes.space(XML),
            "xmlns" => return Resolved::Reserved,
            prefix => match self.scopes.uri(scope, prefix) {
                Some(uri) => self.scopes.space(uri),
                None => return Resolved::Unbound,
            },
        };
        Resolved::Name(self.vocabulary.find(space, local))
    }
}

fn hash(hasher: &DefaultHashBuilder, scope: ScopeId, is_attribute: bool, raw: &str) -> u64 {
    hasher.hash_one((u64::from(scope) << 1 | u64::from(is_attribute), raw.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::attributes::scan;
    use super::*;
    use crate::model::mapping::Name;

    fn names(vocabulary: &[(Option<&str>, &str)]) -> Names {
        let mut all = Vocabulary::default();
        for (namespace, local) in vocabulary {
            all.intern(&Name { namespace: namespace.map(Arc::from), local: Arc::from(*local) }).unwrap();
        }
        Names::new(Arc::new(all))
    }

    fn declare(names: &mut Names, parent: ScopeId, tag: &str) -> ScopeId {
        let mut attributes = Vec::new();
        scan(tag, 0..tag.len(), &Limits::default(), &mut attributes).unwrap();
        names.declare(parent, tag, &attributes, &Limits::default()).unwrap()
    }

    #[test]
    fn prefixes_are_matched_by_uri() {
        let mut names = names(&[(None, "a"), (Some("urn:1"), "a"), (Some("urn:1"), "x")]);
        assert_eq!(names.element(NO_SCOPE, "a").0, Resolved::Name(1));
        assert_eq!(names.element(NO_SCOPE, "p:a").0, Resolved::Unbound);
        assert_eq!(names.element(NO_SCOPE, "xmlns:a").0, Resolved::Reserved);
        let outer = declare(&mut names, NO_SCOPE, " xmlns:p=\"urn:1\" k=\"v\"");
        assert_eq!(names.element(outer, "p:a").0, Resolved::Name(2));
        assert_eq!(names.element(outer, "a").0, Resolved::Name(1));
        assert_eq!(names.element(outer, "p:zzz").0, Resolved::Name(OTHER));
        let inner = declare(&mut names, outer, " xmlns=\"urn:1\" xmlns:p=\"urn:2\"");
        assert_eq!(names.element(inner, "a").0, Resolved::Name(2));
        assert_eq!(names.element(inner, "p:a").0, Resolved::Name(OTHER));
        let undone = declare(&mut names, inner, " xmlns=\"\"");
        assert_eq!(names.element(undone, "a").0, Resolved::Name(1));
        assert_eq!(names.plain_attribute("x").0, Resolved::Name(OTHER), "no default namespace for attributes");
        assert_eq!(names.prefixed_attribute(outer, "p:x").0, Resolved::Name(3));
        assert_eq!(names.prefixed_attribute(outer, "q:x").0, Resolved::Unbound);
        assert_eq!(names.prefixed_attribute(NO_SCOPE, "xml:lang").0, Resolved::Name(OTHER));
        assert_eq!(names.expanded(outer, "p:x").1, "x");
    }

    #[test]
    fn scopes_that_are_not_remembered_resolve_all_the_same() {
        let mut names = names(&[(Some("urn:1"), "a"), (Some("urn:2"), "a")]);
        for number in 1..MAX_SCOPES {
            declare(&mut names, NO_SCOPE, &format!(" xmlns:p=\"urn:x{number}\""));
        }
        for (uri, id) in [("urn:1", 1), ("urn:2", 2), ("urn:1", 1)] {
            let scope = declare(&mut names, NO_SCOPE, &format!(" xmlns:q=\"{uri}\""));
            assert_eq!(names.element(scope, "q:a").0, Resolved::Name(id));
            names.leave(scope);
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut names = names(&[(None, "a")]);
        names.element(NO_SCOPE, &"n".repeat(LONGEST_NAME + 1));
        assert_eq!(names.known.len(), 0);
        for number in 0..MAX_NAMES * 2 {
            names.element(NO_SCOPE, &format!("n{number}"));
        }
        assert_eq!(names.known.len(), MAX_NAMES);
        assert_eq!(names.element(NO_SCOPE, "a").0, Resolved::Name(1));
        names.tidy();
        assert_eq!(names.known.len(), 0);
        assert_eq!(names.element(NO_SCOPE, "a").0, Resolved::Name(1));
    }
}
