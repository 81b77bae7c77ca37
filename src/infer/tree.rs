//! The paths of all documents as one tree, with what was seen at each. Memory grows with the number of distinct paths,
//! which is bounded, and not with the documents.

use std::collections::HashMap;
use std::sync::Arc;

use super::declared::Declared;
use super::lexical::fits;
use super::source::{QName, Tag, Visitor, is_space};
use super::values::Values;
use super::xsd::Schema;

/// Most paths that are told apart.
const MAX_PATHS: usize = 20_000;

/// XML Schema's namespace for instances.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

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

    fn see(&mut self, name: &QName<'_>) -> NameId {
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
    /// How often it occurred.
    pub(super) count: u64,
    /// How many parents had it.
    pub(super) parents: u64,
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
    /// Its own texts.
    pub(super) values: Values,
    /// What the schema says of it.
    pub(super) declared: Option<Declared>,
    /// Whether what the schema says of what is below it is in the tree.
    pub(super) is_expanded: bool,
    current: u64,
    in_document: u64,
    most_in_document: u64,
}

/// The tree.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    index: HashMap<(NodeId, NameId, bool), NodeId>,
    pub(super) names: Names,
    /// Roots: how often each name was one, and the declarations of the first.
    pub(super) roots: Vec<(NameId, u64)>,
    /// Prefixes of the first root, the default namespace under an empty one.
    pub(super) first_scope: Vec<(String, String)>,
    /// Paths that were one too many.
    pub(super) left_out: u64,
    pub(super) schema: Option<Schema>,
    /// Most namespace declarations in force at once.
    pub(super) most_bindings: usize,
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
            first_scope: Vec::new(),
            left_out: 0,
            schema,
            most_bindings: 0,
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
            count: 0,
            parents: 0,
            most: 0,
            documents: 0,
            bytes: 0,
            with_children: 0,
            mixed: 0,
            nil: 0,
            values: Values::default(),
            declared: None,
            is_expanded: false,
            current: 0,
            in_document: 0,
            most_in_document: 0,
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
        if self.nodes.len() >= MAX_PATHS {
            self.left_out += 1;
            return None;
        }
        let id = self.push(name, is_attribute, Some(parent));
        self.nodes[parent].children.push(id);
        self.index.insert((parent, name, is_attribute), id);
        Some(id)
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

    /// At most how many rows one document had, if rows are made of this element and of what repeats below it.
    pub(super) fn most_rows(&self, id: NodeId) -> u64 {
        let mut rows = self.node(id).most_in_document;
        let mut pending = self.node(id).children.clone();
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

    fn enter_root(&mut self, tag: &Tag<'_>) {
        let name = self.names.see(&tag.name);
        match self.roots.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => self.roots.push((name, 1)),
        }
        if self.roots.len() == 1 && self.nodes[ROOT].count == 0 {
            self.nodes[ROOT].name = name;
            let scope = tag.scope.all();
            self.first_scope = scope.iter().map(|(prefix, uri)| ((*prefix).to_owned(), (*uri).to_owned())).collect();
        }
        if let Some(schema) = self.schema.take() {
            schema.declare_root(self, name);
            self.schema = Some(schema);
        }
    }

    fn value(&mut self, id: NodeId, text: &str) {
        let node = &mut self.nodes[id];
        node.values.add(text);
        if let Some(declared) = &mut node.declared {
            declared.check(text, fits);
        }
    }
}

/// An open element.
#[derive(Debug, Default)]
struct Frame {
    node: Option<NodeId>,
    at: usize,
    has_children: bool,
    text: String,
    /// Children that this occurrence has.
    touched: Vec<NodeId>,
}

/// Adds one document to a tree.
pub(super) struct Adding<'t> {
    tree: &'t mut Tree,
    frames: Vec<Frame>,
    /// Paths that this document has.
    met: Vec<NodeId>,
}

impl<'t> Adding<'t> {
    pub(super) fn new(tree: &'t mut Tree) -> Self {
        Self { tree, frames: Vec::new(), met: Vec::new() }
    }

    fn touch(&mut self, id: NodeId) {
        let node = &mut self.tree.nodes[id];
        node.count += 1;
        node.current += 1;
        node.in_document += 1;
        if node.in_document == 1 {
            node.documents += 1;
            self.met.push(id);
        }
        if node.current == 1
            && let Some(frame) = self.frames.last_mut()
        {
            frame.touched.push(id);
        }
    }
}

impl Visitor for Adding<'_> {
    fn open(&mut self, tag: &Tag<'_>) {
        let node = match self.frames.last_mut() {
            None => {
                self.tree.enter_root(tag);
                Some(ROOT)
            }
            Some(parent) => {
                parent.has_children = true;
                parent.node.and_then(|parent| {
                    let name = self.tree.names.see(&tag.name);
                    self.tree.child(parent, name, false)
                })
            }
        };
        if let Some(id) = node {
            if self.frames.is_empty() {
                self.tree.nodes[ROOT].count += 1;
            } else {
                self.touch(id);
            }
            self.tree.expand(id);
        }
        self.frames.push(Frame { node, at: tag.at, ..Frame::default() });
        self.tree.most_bindings = self.tree.most_bindings.max(tag.scope.len());
        let Some(id) = node else { return };
        for (name, value) in &tag.attributes {
            if name.namespace == Some(XSI) && name.local != "type" {
                let is_nil = name.local == "nil" && matches!(value.trim_matches(is_space), "true" | "1");
                self.tree.nodes[id].nil += u64::from(is_nil);
                continue;
            }
            let name = self.tree.names.see(name);
            if let Some(attribute) = self.tree.child(id, name, true) {
                self.touch(attribute);
                self.tree.value(attribute, value);
            }
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(frame) = self.frames.last_mut().filter(|frame| frame.node.is_some()) {
            frame.text.push_str(text);
        }
    }

    fn close(&mut self, end: usize) {
        let Some(frame) = self.frames.pop() else { return };
        for child in frame.touched {
            let node = &mut self.tree.nodes[child];
            node.parents += 1;
            node.most = node.most.max(node.current);
            node.current = 0;
        }
        if self.frames.is_empty() {
            for id in self.met.drain(..) {
                let node = &mut self.tree.nodes[id];
                node.most_in_document = node.most_in_document.max(node.in_document);
                node.in_document = 0;
            }
        }
        let Some(id) = frame.node else { return };
        let node = &mut self.tree.nodes[id];
        node.bytes += end.saturating_sub(frame.at) as u64;
        let is_blank = frame.text.chars().all(is_space);
        if frame.has_children {
            node.with_children += 1;
            node.mixed += u64::from(!is_blank);
        }
        if !frame.has_children || !is_blank {
            self.tree.value(id, &frame.text);
        }
    }
}
