//! Declarations of namespaces in force: which URI a prefix stands for inside an element.
//!
//! A message type has one or two sets of declarations. They are remembered from message to message, so that a set
//! costs one look into a table and names can be remembered with it. What a message has beyond that (many sets, large
//! ones, long URIs) is kept while its element is open, at a cost of the declarations themselves, however many are in
//! scope.

use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use std::hash::BuildHasher;

use super::attributes::Attribute;
use super::chars::is_unqualified_name;
use super::found::Found;
use super::refusals;
use super::text::attribute_value;
use super::vocabulary::{NO_SPACE, SpaceId, Vocabulary};
use crate::model::mapping::Limits;
use crate::model::violation::Code;

/// A set of namespace declarations in force.
pub(super) type ScopeId = u32;

/// Where no element has declared a namespace.
pub(super) const NO_SCOPE: ScopeId = 0;

/// Sets of declarations remembered at most; higher numbers are those of elements that are open.
pub(super) const MAX_SCOPES: ScopeId = 256;
/// Larger sets are not remembered: bytes of the declarations as written, and prefixes in scope.
const LONGEST_KEY: usize = 4096;
const MOST_BINDINGS: usize = 256;
/// Memory kept from message to message.
const KEPT_BYTES: usize = 1 << 16;

/// A URI of a message as a number.
pub(super) type UriId = u32;

/// No URI: what `xmlns=""` declares.
pub(super) const NO_URI: UriId = 0;
/// The namespace of the prefix `xml`.
pub(super) const XML: UriId = 1;

pub(super) const XML_URI: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS_URI: &str = "http://www.w3.org/2000/xmlns/";

/// Declarations in force, all of those around included, by prefix (empty: the default namespace).
#[derive(Debug, Default)]
struct Scope {
    bindings: Box<[(Box<str>, UriId)]>,
    declarations: u32,
}

/// The declarations of an open element that are not remembered.
#[derive(Debug)]
struct Opened {
    /// The innermost remembered scope around.
    base: ScopeId,
    declarations: u32,
    /// What has to be undone when it ends.
    replaced: usize,
    uris: usize,
}

/// All scopes.
#[derive(Debug)]
pub(super) struct Scopes {
    vocabulary: Arc<Vocabulary>,
    uris: Uris,
    remembered: Vec<Scope>,
    by_key: HashMap<Box<[u8]>, ScopeId>,
    key: Vec<u8>,
    opened: Vec<Opened>,
    /// What the elements in `opened` bind.
    bound: HashMap<Box<str>, UriId>,
    replaced: Vec<(Box<str>, Option<UriId>)>,
}

impl Scopes {
    /// Nothing declared yet.
    pub(super) fn new(vocabulary: Arc<Vocabulary>) -> Self {
        let mut scopes = Self {
            vocabulary,
            uris: Uris::default(),
            remembered: Vec::new(),
            by_key: HashMap::new(),
            key: Vec::new(),
            opened: Vec::new(),
            bound: HashMap::new(),
            replaced: Vec::new(),
        };
        scopes.forget();
        scopes
    }

    /// Whether so much is remembered that nothing more will be.
    pub(super) fn is_full(&self) -> bool {
        self.remembered.len() >= MAX_SCOPES as usize
    }

    /// Forgets everything.
    pub(super) fn forget(&mut self) {
        self.abandon();
        self.uris = Uris::default();
        for uri in ["", XML_URI, XMLNS_URI] {
            self.uris.intern(uri, &self.vocabulary);
        }
        self.remembered.clear();
        self.remembered.push(Scope::default());
        self.by_key.clear();
    }

    /// Forgets the elements that are open: their message was not read to its end.
    pub(super) fn abandon(&mut self) {
        if let Some(outermost) = self.opened.first() {
            self.uris.truncate(outermost.uris);
            self.opened.clear();
            self.bound.clear();
            self.replaced.clear();
        }
        self.uris.text.shrink_to(KEPT_BYTES);
        self.key.shrink_to(KEPT_BYTES);
        self.bound.shrink_to(MOST_BINDINGS);
        self.replaced.shrink_to(MOST_BINDINGS);
    }

    /// The URI of a prefix.
    pub(super) fn uri(&self, scope: ScopeId, prefix: &str) -> Option<UriId> {
        let scope = match self.opened.last() {
            Some(innermost) if scope >= MAX_SCOPES => match self.bound.get(prefix) {
                Some(&uri) => return Some(uri),
                None => innermost.base,
            },
            _ => scope,
        };
        let bindings = &self.remembered.get(scope as usize)?.bindings;
        let at = bindings.binary_search_by(|(bound, _)| (**bound).cmp(prefix)).ok()?;
        Some(bindings[at].1)
    }

    /// The number in the vocabulary of a URI.
    pub(super) fn space(&self, uri: UriId) -> Option<SpaceId> {
        self.uris.entries.get(uri as usize).map_or(Some(NO_SPACE), |entry| entry.space)
    }

    /// The scope inside an element with these attributes, in a scope.
    ///
    /// # Errors
    ///
    /// A declaration that Namespaces in XML does not allow, or one too many.
    pub(super) fn declare(
        &mut self,
        parent: ScopeId,
        message: &str,
        attributes: &[Attribute],
        limits: &Limits,
    ) -> Result<ScopeId, Box<Found>> {
        let own = || attributes.iter().filter_map(|attribute| Some((declared_prefix(message, attribute)?, attribute)));
        let is_small = self.write_key(parent, message, own().map(|(_, attribute)| attribute));
        if is_small && let Some(&scope) = self.by_key.get(self.key.as_slice()) {
            return Ok(scope);
        }
        let around = self.declarations(parent);
        let room = limits.bindings.saturating_sub(around);
        if let Some((_, one_too_many)) = own().nth(room as usize) {
            return Err(refusals::too_many_bindings(one_too_many.name.start, limits));
        }
        let uris = self.uris.entries.len();
        // Nobody would leave the element of a declaration that is refused.
        let bindings = self.bind(message, own()).inspect_err(|_| self.uris.truncate(uris))?;
        let declarations = around.saturating_add(u32::try_from(bindings.len()).unwrap_or(u32::MAX));
        if is_small && !self.is_full() {
            let outer = &self.remembered[parent as usize].bindings;
            if outer.len() + bindings.len() <= MOST_BINDINGS {
                return Ok(self.remember(parent, &bindings, declarations));
            }
        }
        let base = if parent < MAX_SCOPES { parent } else { self.opened.last().map_or(NO_SCOPE, |outer| outer.base) };
        self.opened.push(Opened { base, declarations, replaced: self.replaced.len(), uris });
        for (prefix, uri) in bindings {
            let before = self.bound.insert(prefix.into(), uri);
            self.replaced.push((prefix.into(), before));
        }
        // One for each open element, of which there are at most limits.depth.
        Ok(MAX_SCOPES.saturating_add(u32::try_from(self.opened.len()).unwrap_or(u32::MAX)))
    }

    /// Prefixes of declarations and what they are bound to.
    fn bind<'m, 'a>(
        &mut self,
        message: &'m str,
        own: impl Iterator<Item = (&'m str, &'a Attribute)>,
    ) -> Result<Vec<(&'m str, UriId)>, Box<Found>> {
        let mut bindings = Vec::new();
        let mut value = String::new();
        for (prefix, attribute) in own {
            value.clear();
            attribute_value(&message[attribute.value.clone()], Some(&mut value))
                .map_err(|bad| bad.found(attribute.value.start))?;
            check(prefix, &value, attribute)?;
            bindings.push((prefix, self.uris.intern(&value, &self.vocabulary)));
        }
        Ok(bindings)
    }

    /// An element with declarations ends.
    pub(super) fn leave(&mut self, scope: ScopeId) {
        if scope < MAX_SCOPES {
            return;
        }
        let Some(ended) = self.opened.pop() else { return };
        for (prefix, before) in self.replaced.drain(ended.replaced..).rev() {
            match before {
                Some(uri) => self.bound.insert(prefix, uri),
                None => self.bound.remove(&prefix),
            };
        }
        self.uris.truncate(ended.uris);
    }

    /// Writes what tells these declarations from others; whether it is small enough to be remembered.
    fn write_key<'a>(
        &mut self,
        parent: ScopeId,
        message: &str,
        attributes: impl Iterator<Item = &'a Attribute>,
    ) -> bool {
        self.key.clear();
        self.key.extend_from_slice(&parent.to_le_bytes());
        for attribute in attributes {
            if self.key.len() + attribute.name.len() + attribute.value.len() > LONGEST_KEY {
                return false;
            }
            // NUL cannot occur in a document.
            self.key.extend_from_slice(message[attribute.name.clone()].as_bytes());
            self.key.push(0);
            self.key.extend_from_slice(message[attribute.value.clone()].as_bytes());
            self.key.push(0);
        }
        parent < MAX_SCOPES
    }

    fn remember(&mut self, parent: ScopeId, own: &[(&str, UriId)], declarations: u32) -> ScopeId {
        let mut bindings: Vec<(Box<str>, UriId)> = self.remembered[parent as usize].bindings.to_vec();
        for &(prefix, uri) in own {
            match bindings.binary_search_by(|(bound, _)| (**bound).cmp(prefix)) {
                Ok(at) => bindings[at].1 = uri,
                Err(at) => bindings.insert(at, (prefix.into(), uri)),
            }
        }
        let scope = self.remembered.len() as ScopeId;
        self.remembered.push(Scope { bindings: bindings.into(), declarations });
        self.by_key.insert(self.key.as_slice().into(), scope);
        scope
    }

    fn declarations(&self, scope: ScopeId) -> u32 {
        if scope < MAX_SCOPES {
            return self.remembered.get(scope as usize).map_or(0, |scope| scope.declarations);
        }
        self.opened.last().map_or(0, |innermost| innermost.declarations)
    }
}

/// URIs, each once.
#[derive(Debug, Default)]
struct Uris {
    text: String,
    entries: Vec<Uri>,
    index: HashTable<UriId>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Uri {
    start: usize,
    end: usize,
    space: Option<SpaceId>,
}

impl Uris {
    fn text(&self, uri: UriId) -> &str {
        self.entries.get(uri as usize).map_or("", |entry| &self.text[entry.start..entry.end])
    }

    fn intern(&mut self, uri: &str, vocabulary: &Vocabulary) -> UriId {
        let hash = self.hasher.hash_one(uri);
        if let Some(&known) = self.index.find(hash, |&known| self.text(known) == uri) {
            return known;
        }
        let start = self.text.len();
        self.text.push_str(uri);
        // A message is at most a gigabyte.
        let id = UriId::try_from(self.entries.len()).unwrap_or(UriId::MAX);
        self.entries.push(Uri { start, end: self.text.len(), space: vocabulary.space(uri) });
        let (text, entries, hasher) = (&self.text, &self.entries, &self.hasher);
        let hash_of = |id: &UriId| {
            let entry = &entries[*id as usize];
            hasher.hash_one(&text[entry.start..entry.end])
        };
        self.index.insert_unique(hash, id, hash_of);
        id
    }

    fn truncate(&mut self, len: usize) {
        while self.entries.len() > len {
            let id = (self.entries.len() - 1) as UriId;
            let hash = self.hasher.hash_one(self.text(id));
            if let Ok(entry) = self.index.find_entry(hash, |&known| known == id) {
                entry.remove();
            }
            if let Some(last) = self.entries.pop() {
                self.text.truncate(last.start);
            }
        }
    }
}

/// The prefix that an attribute declares (empty: the default namespace; a colon: none, where one should be), or `None`
/// when it is an ordinary attribute.
#[inline]
pub(super) fn declared_prefix<'m>(message: &'m str, attribute: &Attribute) -> Option<&'m str> {
    let rest = message[attribute.name.clone()].strip_prefix("xmlns")?;
    match rest {
        "" | ":" => Some(rest),
        rest => rest.strip_prefix(':'),
    }
}

fn check(prefix: &str, uri: &str, attribute: &Attribute) -> Result<(), Box<Found>> {
    let is_reserved = uri == XML_URI || uri == XMLNS_URI;
    let (code, what) = match prefix {
        "" if is_reserved => (Code::XML_RESERVED, "a reserved namespace is made the default namespace"),
        "" => return Ok(()),
        "xmlns" => (Code::XML_RESERVED, "the prefix xmlns is declared, which is reserved"),
        "xml" if uri != XML_URI => (Code::XML_RESERVED, "the prefix xml is bound to another namespace than its own"),
        "xml" => return Ok(()),
        prefix if !is_unqualified_name(prefix) => (Code::XML_NAME, "a namespace prefix is not a name"),
        _ if uri.is_empty() => {
            (Code::XML_UNDECLARED, "a namespace prefix is undeclared, which namespaces 1.0 do not allow")
        }
        _ if is_reserved => (Code::XML_RESERVED, "a prefix is bound to a reserved namespace"),
        _ => return Ok(()),
    };
    Err(Found::fatal(code, attribute.name.start, what))
}

#[cfg(test)]
mod tests {
    use super::super::attributes::scan;
    use super::*;

    fn scopes() -> Scopes {
        Scopes::new(Arc::new(Vocabulary::default()))
    }

    fn declare(scopes: &mut Scopes, parent: ScopeId, tag: &str) -> Result<ScopeId, &'static str> {
        let mut attributes = Vec::new();
        scan(tag, 0..tag.len(), &Limits::default(), &mut attributes).unwrap();
        scopes.declare(parent, tag, &attributes, &Limits::default()).map_err(|found| found.code.name())
    }

    fn uri<'s>(scopes: &'s Scopes, scope: ScopeId, prefix: &str) -> Option<&'s str> {
        scopes.uri(scope, prefix).map(|uri| scopes.uris.text(uri))
    }

    #[test]
    fn the_same_declarations_are_the_same_scope() {
        let mut scopes = scopes();
        let first = declare(&mut scopes, NO_SCOPE, " xmlns:p=\"urn:1\"").unwrap();
        assert_eq!(declare(&mut scopes, NO_SCOPE, " xmlns:p=\"urn:1\""), Ok(first));
        assert_ne!(declare(&mut scopes, NO_SCOPE, " xmlns:p=\"urn:2\""), Ok(first));
        let inner = declare(&mut scopes, first, " xmlns:q=\"urn:1\" xmlns=\"urn:3\"").unwrap();
        assert_ne!(inner, first);
        assert_eq!(uri(&scopes, inner, "p"), Some("urn:1"));
        assert_eq!((uri(&scopes, inner, ""), uri(&scopes, first, "")), (Some("urn:3"), None));
    }

    #[test]
    fn declarations_that_namespaces_do_not_allow_are_refused() {
        for (bad, code) in [
            (" xmlns:p=\"\"", "xml.namespace-undeclared"),
            (" xmlns:xmlns=\"urn:1\"", "xml.namespace-reserved"),
            (" xmlns:xml=\"urn:1\"", "xml.namespace-reserved"),
            (" xmlns:p=\"http://www.w3.org/XML/1998/namespace\"", "xml.namespace-reserved"),
            (" xmlns=\"http://www.w3.org/2000/xmlns/\"", "xml.namespace-reserved"),
            (" xmlns:1=\"urn:1\"", "xml.name"),
            (" xmlns:=\"urn:1\"", "xml.name"),
            (" xmlns:p=\"&x;\"", "xml.entity"),
        ] {
            assert_eq!(declare(&mut scopes(), NO_SCOPE, bad), Err(code), "{bad}");
        }
        assert!(declare(&mut scopes(), NO_SCOPE, " xmlns:xml=\"http://www.w3.org/XML/1998/namespace\"").is_ok());
    }

    #[test]
    fn scopes_that_are_not_remembered_live_as_long_as_their_element() {
        let mut scopes = scopes();
        let outer = declare(&mut scopes, NO_SCOPE, " xmlns:o=\"urn:o\"").unwrap();
        for number in 2..MAX_SCOPES {
            declare(&mut scopes, NO_SCOPE, &format!(" xmlns:p=\"urn:x{number}\"")).unwrap();
        }
        let kept = scopes.uris.entries.len();
        for round in ["urn:1", "urn:2", "urn:1"] {
            let scope = declare(&mut scopes, outer, &format!(" xmlns:q=\"{round}\"")).unwrap();
            assert!(scope >= MAX_SCOPES);
            let inner = declare(&mut scopes, scope, " xmlns:q=\"urn:inner\" xmlns:r=\"r\"").unwrap();
            assert_eq!(uri(&scopes, inner, "q"), Some("urn:inner"));
            assert_eq!((uri(&scopes, inner, "r"), uri(&scopes, inner, "o")), (Some("r"), Some("urn:o")));
            scopes.leave(inner);
            assert_eq!((uri(&scopes, scope, "q"), uri(&scopes, scope, "r")), (Some(round), None));
            scopes.leave(scope);
            assert_eq!(scopes.uris.entries.len(), kept);
        }
        declare(&mut scopes, outer, " xmlns:q=\"urn:left\"").unwrap();
        scopes.abandon();
        assert_eq!((scopes.opened.len(), scopes.bound.len(), scopes.uris.entries.len()), (0, 0, kept));
        assert!(scopes.is_full());
        scopes.forget();
        assert_eq!(declare(&mut scopes, NO_SCOPE, " xmlns:q=\"urn:1\""), Ok(1));
    }

    #[test]
    fn nothing_is_left_of_declarations_that_are_refused() {
        let mut scopes = scopes();
        let kept = (scopes.uris.entries.len(), scopes.uris.text.len());
        for refused in [" xmlns:q=\"\"", " xmlns:q=\"&x;\""] {
            let long = format!(" xmlns:p=\"{}\"{refused}", "u".repeat(LONGEST_KEY));
            assert!(declare(&mut scopes, NO_SCOPE, &long).is_err());
            assert_eq!((scopes.uris.entries.len(), scopes.uris.text.len()), kept, "{refused}");
        }
        let good = declare(&mut scopes, NO_SCOPE, " xmlns:p=\"urn:1\"").unwrap();
        assert_eq!(uri(&scopes, good, "p"), Some("urn:1"));
    }

    #[test]
    fn large_declarations_are_not_remembered() {
        let mut scopes = scopes();
        let long = format!(" xmlns:p=\"{}\"", "u".repeat(LONGEST_KEY));
        let scope = declare(&mut scopes, NO_SCOPE, &long).unwrap();
        assert!(scope >= MAX_SCOPES && scopes.by_key.is_empty());
        let inside = declare(&mut scopes, scope, " xmlns:q=\"urn:1\"").unwrap();
        assert!(inside > scope && scopes.by_key.is_empty(), "what is inside cannot outlive it");
    }

    #[test]
    fn declarations_in_scope_are_limited() {
        let mut scopes = scopes();
        let limits = Limits { bindings: 3, ..Limits::default() };
        let mut attributes = Vec::new();
        let two = " xmlns:a=\"u\" k=\"\" xmlns:b=\"u\"";
        scan(two, 0..two.len(), &limits, &mut attributes).unwrap();
        let outer = scopes.declare(NO_SCOPE, two, &attributes, &limits).unwrap();
        let found = scopes.declare(outer, two, &attributes, &limits).unwrap_err();
        assert_eq!((found.code.name(), found.place.at), ("limit.bindings", 18));
    }
}
