//! One schema document as a tree of elements.

use std::sync::Arc;

use crate::flow::parse::{QName, Scope, Visitor, WellFormed};
use crate::model::mapping::{Dtd, Limits};

/// Largest schema file.
pub(super) const MAX_BYTES: u64 = 32 << 20;

/// The namespace of XML Schema.
pub(super) const XS: &str = "http://www.w3.org/2001/XMLSchema";

/// A name of a component: namespace (empty: none) and local name.
pub(in crate::infer) type Key = (String, String);

/// An element of a schema document; those of other namespaces, and what is annotated, are left out.
#[derive(Debug)]
pub(in crate::infer) struct Element {
    pub(super) local: String,
    attributes: Vec<(String, String)>,
    scope: Arc<[(String, String)]>,
    pub(super) children: Vec<Arc<Self>>,
}

/// What holds for a whole schema document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Context {
    pub(super) target: String,
    /// What a reference without prefix means where no default namespace is declared: a document without a namespace
    /// that is included takes that of whoever includes it, its references too.
    pub(super) unprefixed: String,
    pub(super) elements_qualified: bool,
    pub(super) attributes_qualified: bool,
}

/// An element of a schema document, and the document it stands in.
#[derive(Debug, Clone)]
pub(in crate::infer) struct Piece {
    pub(super) element: Arc<Element>,
    pub(super) context: Arc<Context>,
}

impl Piece {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.element.get(name)
    }

    /// The name that an attribute of this element refers to.
    pub(super) fn key(&self, attribute: &str) -> Option<Key> {
        self.resolve(self.get(attribute)?)
    }

    /// The names that an attribute of this element refers to.
    pub(super) fn keys(&self, attribute: &str) -> Vec<Key> {
        self.get(attribute).unwrap_or_default().split_whitespace().filter_map(|name| self.resolve(name)).collect()
    }

    fn resolve(&self, name: &str) -> Option<Key> {
        let (prefix, local) = name.trim().split_once(':').unwrap_or(("", name.trim()));
        let bound = self.element.scope.iter().find(|(known, _)| known == prefix).map(|(_, uri)| uri.clone());
        match bound {
            Some(uri) => Some((uri, local.to_owned())),
            None if prefix.is_empty() => Some((self.context.unprefixed.clone(), local.to_owned())),
            None if prefix == "xml" => Some(("http://www.w3.org/XML/1998/namespace".to_owned(), local.to_owned())),
            None => None,
        }
    }

    pub(super) fn children(&self) -> impl Iterator<Item = Self> + '_ {
        let with = |element: &Arc<Element>| Self { element: Arc::clone(element), context: Arc::clone(&self.context) };
        self.element.children.iter().map(with)
    }

    pub(super) fn child(&self, local: &str) -> Option<Self> {
        self.children().find(|child| child.element.local == local)
    }

    pub(super) fn is(&self, local: &str) -> bool {
        self.element.local == local
    }

    /// Whether both are the same place of the same document.
    pub(in crate::infer) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.element, &other.element)
    }

    /// How often it may occur; none: any number of times.
    pub(super) fn occurs(&self) -> (u64, Option<u64>) {
        let min = self.get("minOccurs").and_then(|text| text.trim().parse().ok()).unwrap_or(1);
        let most = match self.get("maxOccurs").map(str::trim) {
            Some("unbounded") => None,
            Some(text) => Some(text.parse().unwrap_or(1)),
            None => Some(1),
        };
        (min, most)
    }
}

impl Element {
    /// Prefixes in force, each with its URI.
    pub(super) fn scope(&self) -> &[(String, String)] {
        &self.scope
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a schema document.
pub(super) fn read(bytes: &[u8]) -> Result<Arc<Element>, String> {
    let mut building = Building::default();
    let limits = Limits { bytes: MAX_BYTES, ..Limits::default() };
    let read = WellFormed::new(limits, Dtd::IgnoreExternal).visit(bytes, &mut building);
    read.map_err(|violation| match violation.line {
        Some(line) => format!("{} (line {line})", violation.message),
        None => violation.message,
    })?;
    match building.root {
        Some(root) if root.local == "schema" => Ok(root),
        _ => Err("it is not an XML Schema".to_owned()),
    }
}

#[derive(Debug, Default)]
struct Building {
    open: Vec<Element>,
    /// Elements that are open inside one that is left out, itself included.
    skipped: usize,
    root: Option<Arc<Element>>,
}

impl Visitor for Building {
    fn open(&mut self, name: &QName<'_>, _at: usize, scope: &Scope) {
        let is_left_out = name.namespace != Some(XS) || name.local == "annotation";
        if self.skipped > 0 || is_left_out {
            self.skipped += 1;
            return;
        }
        let all = scope.all();
        let same = self.open.last().map(|parent| &parent.scope).filter(|scope| {
            scope.len() == all.len() && scope.iter().zip(&all).all(|((p, u), (prefix, uri))| p == prefix && u == uri)
        });
        let scope =
            same.map_or_else(|| all.iter().map(|(p, u)| ((*p).to_owned(), (*u).to_owned())).collect(), Arc::clone);
        let local = name.local.to_owned();
        self.open.push(Element { local, attributes: Vec::new(), scope, children: Vec::new() });
    }

    fn attribute(&mut self, name: &QName<'_>, value: &str) {
        if let Some(element) = self.open.last_mut().filter(|_| self.skipped == 0 && name.namespace.is_none()) {
            element.attributes.push((name.local.to_owned(), value.to_owned()));
        }
    }

    fn text(&mut self, _: &str) {}

    fn close(&mut self, _: usize) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        let Some(element) = self.open.pop() else { return };
        let element = Arc::new(element);
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
    }
}
