//! The paths of all documents as one tree, with what was seen at each. Memory grows with the number of distinct paths,
//! which is bounded, and not with the documents.

use std::collections::HashMap;
use std::sync::Arc;

use super::declared::Declared;
use super::values::Values;
use super::xsd::Schema;
use crate::flow::parse::QName;
use crate::model::mapping::Kind;

/// Most paths that are told apart.
const MAX_PATHS: usize = 20_000;
/// Most attributes and elements below one element that are told apart: where there are more, their names are data.
const MAX_CHILDREN: usize = 1000;
/// Most root elements that are told apart.
const MAX_ROOTS: usize = 100;
/// Bytes of values that are kept as examples, of all paths together.
const EXAMPLE_BYTES: usize = 16 << 20;

pub(super) type NodeId = usize;
pub(super) type NameId = usize;

/// A name by namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) namespace: Option<Arc<str>>,
    pub(super) local: Arc<str>,
}

/// Every name, each once.
#[derive(Debug, Default)]
pub(super) struct Names {
    all: Vec<Name>,
    /// Namespace (empty: none) → local name → number.
    ids: HashMap<Arc<str>, HashMap<Arc<str>, NameId>>,
    /// Prefixes that were seen for a namespace, the first of each.
    pub(super) prefixes: HashMap<Arc<str>, String>,
}

impl Names {
    pub(super) fn intern(&mut self, namespace: Option<&str>, local: &str) -> NameId {
        let space = namespace.unwrap_or_default();
        if let Some(id) = self.find(namespace, local) {
            return id;
        }
        let uri = self.ids.get_key_value(space).map_or_else(|| Arc::from(space), |(uri, _)| Arc::clone(uri));
        let local: Arc<str> = Arc::from(local);
        self.all.push(Name { namespace: namespace.map(|_| Arc::clone(&uri)), local: Arc::clone(&local) });
        self.ids.entry(uri).or_default().insert(local, self.all.len() - 1);
        self.all.len() - 1
    }

    pub(super) fn find(&self, namespace: Option<&str>, local: &str) -> Option<NameId> {
        self.ids.get(namespace.unwrap_or_default()).and_then(|locals| locals.get(local)).copied()
    }

    /// The name of that number.
    pub(super) fn get(&self, id: NameId) -> Option<&Name> {
        self.all.get(id)
    }

    /// Whether that is the name of a number.
    pub(super) fn is(&self, id: NameId, name: &QName<'_>) -> bool {
        self.all
            .get(id)
            .is_some_and(|known| *known.local == *name.local && known.namespace.as_deref() == name.namespace)
    }

    /// The number of a name in a document, which also tells a prefix for its namespace.
    pub(super) fn see(&mut self, name: &QName<'_>) -> NameId {
        if let Some(uri) = name.namespace
            && !name.prefix.is_empty()
            && !self.prefixes.contains_key(uri)
        {
            self.prefixes.insert(Arc::from(uri), name.prefix.to_owned());
        }
        self.intern(name.namespace, name.local)
    }
}

/// One path: an element below its parent, or an attribute of it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: NameId,
    pub(super) is_attribute: bool,
    pub(super) parent: Option<NodeId>,
    /// Attributes and elements below it, in the order they were first seen or declared.
    pub(super) children: Vec<NodeId>,
    /// There are more names below it than are told apart.
    pub(super) is_crowded: bool,
    /// How often it occurred.
    pub(super) count: u64,
    /// The most that one parent had.
    pub(super) most: u64,
    /// How many documents had it.
    pub(super) documents: u64,
    /// Bytes of all its occurrences, tags and descendants included.
    pub(super) bytes: u64,
    /// Occurrences with elements below them.
    pub(super) with_children: u64,
    /// Those of them with text besides.
    pub(super) mixed: u64,
    /// Occurrences with `xsi:nil`.
    pub(super) nil: u64,
    /// The most that one document had.
    pub(super) most_in_document: u64,
    /// The most that one document had for each of its bytes.
    pub(super) density: f64,
    /// The most bytes for each byte of a document that there would be if everything around it were repeated with each.
    pub(super) repeated: f64,
    /// Its own texts.
    pub(super) values: Values,
    /// What the schema says of it.
    pub(super) declared: Option<Declared>,
    /// Whether what the schema says of what is below it is in the tree.
    pub(super) is_expanded: bool,
    pub(super) seen: Seen,
}

impl Node {
    /// Whether it is a decimal whose digits only the samples tell.
    pub(super) fn is_decimal_as_seen(&self) -> bool {
        let has_rules = self.declared.as_ref().is_some_and(|declared| declared.rules.is_some());
        !has_rules && self.values.filled() > 0 && matches!(self.values.decide().kind, Kind::Decimal(..))
    }
}

/// What is counted of a path while a document is read.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// In the innermost parent that is open.
    pub(super) in_parent: u64,
    pub(super) in_document: u64,
    pub(super) bytes: u64,
    /// The child that came after this one last time: most often it does so again.
    pub(super) next: NodeId,
    /// The child that came first last time.
    pub(super) first: NodeId,
}

/// The tree.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    index: HashMap<(NodeId, NameId, bool), NodeId>,
    pub(super) names: Names,
    /// Roots: how often each name was one.
    pub(super) roots: Vec<(NameId, u64)>,
    /// Documents with other roots than those.
    pub(super) other_roots: u64,
    /// Prefixes of the first root, the default namespace under an empty one.
    pub(super) first_scope: Vec<(String, String)>,
    /// Elements and attributes of paths that were one too many.
    pub(super) left_out: u64,
    pub(super) schema: Option<Schema>,
    /// The most bytes of namespace declarations in force where an element begins.
    pub(super) most_declared: usize,
    /// Bytes of examples that may still be kept.
    pub(super) examples: usize,
}

/// The node of the root element, whatever its name.
pub(super) const ROOT: NodeId = 0;

impl Tree {
    pub(super) fn new(schema: Option<Schema>) -> Self {
        let mut tree = Self {
            nodes: Vec::new(),
            index: HashMap::new(),
            names: Names::default(),
            roots: Vec::new(),
            other_roots: 0,
            first_scope: Vec::new(),
            left_out: 0,
            schema,
            most_declared: 0,
            examples: EXAMPLE_BYTES,
        };
        tree.push(0, false, None);
        tree
    }

    /// A node; the root for a number that is none.
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[if id < self.nodes.len() { id } else { ROOT }]
    }

    fn push(&mut self, name: NameId, is_attribute: bool, parent: Option<NodeId>) -> NodeId {
        self.nodes.push(Node {
            name,
            is_attribute,
            parent,
            children: Vec::new(),
            is_crowded: false,
            count: 0,
            most: 0,
            documents: 0,
            bytes: 0,
            with_children: 0,
            mixed: 0,
            nil: 0,
            most_in_document: 0,
            density: 0.0,
            repeated: 0.0,
            values: Values::default(),
            declared: None,
            is_expanded: false,
            seen: Seen::default(),
        });
        self.nodes.len() - 1
    }

    /// The child of that name, if there is one.
    pub(super) fn find(&self, parent: NodeId, name: NameId, is_attribute: bool) -> Option<NodeId> {
        self.index.get(&(parent, name, is_attribute)).copied()
    }

    /// The child of that name, a new one if need be; none when there are too many paths.
    pub(super) fn child(&mut self, parent: NodeId, name: NameId, is_attribute: bool) -> Option<NodeId> {
        if let Some(id) = self.find(parent, name, is_attribute) {
            return Some(id);
        }
        if !self.has_room(parent) {
            return None;
        }
        let id = self.push(name, is_attribute, Some(parent));
        self.nodes[parent].children.push(id);
        self.index.insert((parent, name, is_attribute), id);
        Some(id)
    }

    /// The child that a document has, `after` another one of the same parent (or as the first); none when there are too
    /// many paths. The names of paths that are not told apart are not kept either.
    pub(super) fn see(
        &mut self,
        parent: NodeId,
        after: Option<NodeId>,
        name: &QName<'_>,
        is_attribute: bool,
    ) -> Option<NodeId> {
        let expected = match after {
            Some(before) => self.nodes[before].seen.next,
            None => self.nodes[parent].seen.first,
        };
        let node = &self.nodes[expected];
        if node.parent == Some(parent) && node.is_attribute == is_attribute && self.names.is(node.name, name) {
            return Some(expected);
        }
        let known = self.names.find(name.namespace, name.local);
        let found = match known.and_then(|id| self.find(parent, id, is_attribute)) {
            Some(found) => found,
            None if self.has_room(parent) => {
                let id = self.names.see(name);
                self.child(parent, id, is_attribute)?
            }
            None => {
                self.left_out += 1;
                return None;
            }
        };
        match after {
            Some(before) => self.nodes[before].seen.next = found,
            None => self.nodes[parent].seen.first = found,
        }
        Some(found)
    }

    fn has_room(&mut self, parent: NodeId) -> bool {
        let has_room = self.nodes.len() < MAX_PATHS;
        let node = &mut self.nodes[parent];
        node.is_crowded |= node.children.len() >= MAX_CHILDREN;
        has_room && !node.is_crowded
    }

    /// How many paths there still is room for.
    pub(super) fn room(&self) -> usize {
        MAX_PATHS.saturating_sub(self.nodes.len())
    }

    /// Puts what the schema says below a node into the tree.
    pub(super) fn expand(&mut self, id: NodeId) {
        if self.nodes[id].is_expanded {
            return;
        }
        self.nodes[id].is_expanded = true;
        let Some(schema) = self.schema.take() else { return };
        schema.expand(self, id);
        self.schema = Some(schema);
    }

    /// At most how many rows one document had, if rows are made of the last of these elements, of those around it that
    /// repeat, and of what repeats below it.
    pub(super) fn most_rows(&self, chain: &[NodeId]) -> u64 {
        let around = chain.iter().map(|&id| self.node(id).most_in_document);
        let mut rows = around.fold(u64::from(chain.is_empty()), u64::saturating_add);
        let mut pending = self.node(chain.last().copied().unwrap_or(ROOT)).children.clone();
        while let Some(id) = pending.pop() {
            let node = self.node(id);
            if node.most > 1 {
                rows = rows.saturating_add(node.most_in_document);
            }
            pending.extend(&node.children);
        }
        rows
    }

    /// The local name of a node.
    pub(super) fn local(&self, id: NodeId) -> Arc<str> {
        self.names.get(self.node(id).name).map_or_else(|| Arc::from(""), |name| Arc::clone(&name.local))
    }

    /// A document begins with this root element.
    pub(super) fn enter_root(&mut self, name: &QName<'_>, scope: &[(&str, &str)]) {
        let known = self.roots.iter().position(|(id, _)| self.names.is(*id, name));
        match known {
            Some(at) => self.roots[at].1 += 1,
            None if self.roots.len() < MAX_ROOTS => {
                let id = self.names.see(name);
                self.roots.push((id, 1));
            }
            None => self.other_roots += 1,
        }
        let Some(&(id, _)) = self.roots.get(known.unwrap_or(self.roots.len() - 1)) else { return };
        if self.roots.len() == 1 && self.nodes[ROOT].count == 0 {
            self.nodes[ROOT].name = id;
            self.first_scope = scope.iter().map(|(prefix, uri)| ((*prefix).to_owned(), (*uri).to_owned())).collect();
        }
        if let Some(schema) = self.schema.take() {
            schema.declare_root(self, id);
            self.schema = Some(schema);
        }
    }

    /// One more value of a path.
    pub(super) fn value(&mut self, id: NodeId, text: &str) {
        let node = &mut self.nodes[id];
        node.values.add(text, &mut self.examples);
        if let Some(declared) = &mut node.declared {
            declared.check(text);
        }
    }
}
