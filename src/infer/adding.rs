//! One document into the tree of paths.

use super::lexical::is_space;
use super::tree::{NodeId, ROOT, Tree};
use crate::flow::parse::{QName, Scope, Visitor};

/// XML Schema's namespace for instances.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// Bytes of a text whose memory is kept for the next one.
const KEPT_BYTES: usize = 1 << 16;

/// An open element.
#[derive(Debug, Default)]
struct Frame {
    /// None for one of a path that is not told apart.
    node: Option<NodeId>,
    at: usize,
    has_children: bool,
    text: String,
    /// The child that came last.
    last: Option<NodeId>,
    /// Children that this occurrence has.
    touched: Vec<NodeId>,
}

/// What is used again from document to document.
#[derive(Debug, Default)]
pub(super) struct Memory {
    frames: Vec<Frame>,
    /// Paths that a document has.
    met: Vec<NodeId>,
}

/// Adds one document to a tree.
pub(super) struct Adding<'t> {
    tree: &'t mut Tree,
    memory: &'t mut Memory,
    /// Open elements.
    depth: usize,
}

impl<'t> Adding<'t> {
    pub(super) fn new(tree: &'t mut Tree, memory: &'t mut Memory) -> Self {
        memory.met.clear();
        Self { tree, memory, depth: 0 }
    }

    /// Counts a child of the innermost open element.
    fn touch(&mut self, id: NodeId) {
        let node = &mut self.tree.nodes[id];
        node.count += 1;
        node.seen.in_parent += 1;
        node.seen.in_document += 1;
        if node.seen.in_document == 1 {
            node.documents += 1;
            self.memory.met.push(id);
        }
        let frame = &mut self.memory.frames[self.depth - 1];
        frame.last = Some(id);
        if node.seen.in_parent == 1 {
            frame.touched.push(id);
        }
    }

    /// The document ends, and has so many bytes.
    fn end(&mut self, bytes: u64) {
        let whole = bytes.max(1) as f64;
        for id in self.memory.met.drain(..) {
            let node = &mut self.tree.nodes[id];
            let count = std::mem::take(&mut node.seen.in_document);
            let own = std::mem::take(&mut node.seen.bytes);
            node.most_in_document = node.most_in_document.max(count);
            node.density = node.density.max(count as f64 / whole);
            node.repeated = node.repeated.max(bytes.saturating_sub(own) as f64 * count as f64 / whole);
        }
    }
}

impl Visitor for Adding<'_> {
    fn open(&mut self, name: &QName<'_>, at: usize, scope: &Scope) {
        let node = if self.depth == 0 {
            self.tree.enter_root(name, &scope.all());
            self.tree.nodes[ROOT].count += 1;
            Some(ROOT)
        } else {
            let parent = &mut self.memory.frames[self.depth - 1];
            parent.has_children = true;
            let (parent, last) = (parent.node, parent.last);
            let node = parent.and_then(|parent| self.tree.see(parent, last, name, false));
            if let Some(id) = node {
                self.touch(id);
            }
            node
        };
        if let Some(id) = node {
            self.tree.expand(id);
        }
        self.tree.most_declared = self.tree.most_declared.max(scope.bytes());
        if self.memory.frames.len() == self.depth {
            self.memory.frames.push(Frame::default());
        }
        let frame = &mut self.memory.frames[self.depth];
        (frame.node, frame.at, frame.has_children, frame.last) = (node, at, false, None);
        frame.text.clear();
        frame.text.shrink_to(KEPT_BYTES);
        self.depth += 1;
    }

    fn attribute(&mut self, name: &QName<'_>, value: &str) {
        let frame = &self.memory.frames[self.depth - 1];
        let Some(id) = frame.node else { return };
        if name.namespace == Some(XSI) && name.local != "type" {
            let is_nil = name.local == "nil" && matches!(value.trim_matches(is_space), "true" | "1");
            self.tree.nodes[id].nil += u64::from(is_nil);
            return;
        }
        if let Some(attribute) = self.tree.see(id, frame.last, name, true) {
            self.touch(attribute);
            self.tree.value(attribute, value);
        }
    }

    fn text(&mut self, text: &str) {
        let frame = &mut self.memory.frames[self.depth - 1];
        if frame.node.is_some() {
            frame.text.push_str(text);
        }
    }

    fn close(&mut self, after: usize) {
        self.depth -= 1;
        let frame = &mut self.memory.frames[self.depth];
        for child in frame.touched.drain(..) {
            let node = &mut self.tree.nodes[child];
            node.most = node.most.max(node.seen.in_parent);
            node.seen.in_parent = 0;
        }
        if let Some(id) = frame.node {
            let bytes = after.saturating_sub(frame.at) as u64;
            let node = &mut self.tree.nodes[id];
            node.bytes += bytes;
            node.seen.bytes += bytes;
            let is_blank = frame.text.chars().all(is_space);
            if frame.has_children {
                node.with_children += 1;
                node.mixed += u64::from(!is_blank);
            }
            if !frame.has_children || !is_blank {
                self.tree.value(id, &frame.text);
            }
        }
        if self.depth == 0 {
            self.end(after as u64);
        }
    }
}
