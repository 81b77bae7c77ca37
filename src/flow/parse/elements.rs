//! Elements taken as they are: as XML text that is well-formed on its own, or as JSON. Only columns that ask for it pay
//! for it, by a second pass over the element.

use std::ops::Range;
use std::rc::Rc;

use hashbrown::HashMap;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::attributes::{self, Attribute};
use super::compile::{ColumnId, XSI};
use super::flatten::Flatten;
use super::namespaces::{Shown, declarations, split, start_tag};
use super::scopes::declared_prefix;
use super::text::{attribute_value, push_normalised, resolve, says_nil};
use crate::lexical::push_string;
use crate::model::mapping::Kind;

impl Flatten<'_> {
    /// Appends an element as its column wants it; nothing any more once the message is known to be too much.
    pub(super) fn write_element(&mut self, column: ColumnId, element: Range<usize>, out: &mut String) {
        if self.tally.fatal.is_some() {
            return;
        }
        if self.program.column(column).kind == Kind::Xml {
            self.write_xml(element, out);
        } else {
            self.write_json(element, out);
        }
    }

    /// Appends an element as XML. All namespaces in scope are declared on it, not only those of names: prefixes also
    /// stand in values (`xsi:type="p:t"`). Line ends are of one kind.
    fn write_xml(&mut self, element: Range<usize>, out: &mut String) {
        self.follow_namespaces(element.start);
        let (name_end, _) = start_tag(self.message, element.start);
        let mut own = Vec::new();
        declarations(self.message, &self.program.limits, element.start, &mut own);
        out.push_str(&self.message[element.start..name_end]);
        self.scratch.namespaces.write(self.message, &own, out);
        push_normalised(&self.message[name_end..element.end], out);
    }

    /// Appends an element as JSON: its text, or an object where it has attributes or children, of which those of one
    /// name that occur more than once are an array. Names have the mapping's prefixes. What is more than the message
    /// may add is not written to its end.
    pub(super) fn write_json(&mut self, element: Range<usize>, out: &mut String) {
        if self.tally.fatal.is_some() {
            return;
        }
        self.follow_namespaces(element.start);
        let may_grow = self.tally.may_grow.saturating_sub(self.tally.grown);
        let most = out.len().saturating_add(element.len()).saturating_add(may_grow);
        Tree::read(self, element).write(&self.program.prefixes, most, out);
    }

    /// The namespaces around the element that begins at `at`, which is open or has just ended.
    pub(super) fn follow_namespaces(&mut self, at: usize) {
        let scratch = &mut *self.scratch;
        let around = scratch.frames.iter().map(|frame| frame.at).take_while(|&start| start < at);
        scratch.namespaces.follow(self.message, &self.program.limits, around);
    }
}

/// Whether an element has more in it than comments and processing instructions.
pub(super) fn has_content(element: &str) -> bool {
    let mut reader = Reader::from_str(element);
    let mut is_inside = false;
    loop {
        match reader.read_event() {
            Ok(Event::Start(_) | Event::Empty(_) | Event::GeneralRef(_)) if is_inside => return true,
            Ok(Event::Start(_) | Event::Empty(_)) => is_inside = true,
            Ok(Event::Text(text)) if !text.as_ref().trim_ascii().is_empty() => return true,
            Ok(Event::CData(text)) if !text.as_ref().trim_ascii().is_empty() => return true,
            Ok(Event::Eof) | Err(_) => return false,
            Ok(_) => {}
        }
    }
}

/// An element and what is in it, each before its children.
struct Tree<'m> {
    nodes: Vec<Node<'m>>,
    /// The namespaces of its names, each once.
    spaces: Vec<Rc<str>>,
}

/// The number of its namespace in the tree, and its local part: names are many, and a URI may be long.
type TreeName<'m> = (usize, &'m str);

/// No namespace, and the one that `nil` is in.
const NO_SPACE: usize = 0;
const XSI_SPACE: usize = 1;

#[derive(Default)]
struct Node<'m> {
    name: TreeName<'m>,
    /// It is nil or lies in one that is: nothing in it is written.
    is_nil: bool,
    text: String,
    attributes: Vec<(TreeName<'m>, String)>,
    children: Vec<usize>,
}

enum Piece<'m> {
    Node(usize),
    Text(&'static str),
    /// A name in an object, with its colon.
    Key(TreeName<'m>),
}

/// Reads an element into a tree.
struct TreeReader<'r, 'w> {
    flatten: &'r Flatten<'w>,
    nodes: Vec<Node<'w>>,
    open: Vec<usize>,
    /// Declarations of open elements inside: how many are open around each, prefix, namespace.
    declared: Vec<(usize, &'w str, usize)>,
    /// What prefixes mean that are declared around the element, as far as they were met.
    around: HashMap<&'w str, usize>,
    spaces: Vec<Rc<str>>,
    numbers: HashMap<Rc<str>, usize>,
    attributes: Vec<Attribute>,
}

impl<'m> Tree<'m> {
    /// Reads an element that is known to be well-formed.
    fn read(flatten: &Flatten<'m>, element: Range<usize>) -> Self {
        let message = flatten.message;
        let text = &message[element];
        let mut reader = Reader::from_str(text);
        let mut tree = TreeReader {
            flatten,
            nodes: Vec::new(),
            open: Vec::new(),
            declared: Vec::new(),
            around: HashMap::new(),
            spaces: Vec::new(),
            numbers: HashMap::new(),
            attributes: Vec::new(),
        };
        // In the order of their numbers.
        for uri in ["", XSI] {
            tree.number(uri);
        }
        let mut at = 0;
        loop {
            let event = reader.read_event();
            let after = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
            match event {
                Ok(Event::Start(tag)) => tree.open(text, at, tag.name().as_ref().len(), after - 1),
                Ok(Event::Empty(tag)) => {
                    tree.open(text, at, tag.name().as_ref().len(), after - 2);
                    tree.close();
                }
                Ok(Event::End(_)) => tree.close(),
                Ok(Event::Text(_)) => tree.text(|out| push_normalised(&text[at..after], out)),
                Ok(Event::CData(_)) => {
                    let inside = at + "<![CDATA[".len()..after - "]]>".len();
                    tree.text(|out| push_normalised(&text[inside], out));
                }
                Ok(Event::GeneralRef(_)) => tree.text(|out| out.extend(resolve(&text[at + 1..after - 1]))),
                Ok(Event::Eof) | Err(_) => return Self { nodes: tree.nodes, spaces: tree.spaces },
                Ok(_) => {}
            }
            at = after;
        }
    }

    /// Appends it as JSON, and ends somewhere beyond `most` bytes where it has more.
    fn write(&self, prefixes: &[(String, String)], most: usize, out: &mut String) {
        let shown = |(space, local): TreeName<'m>| {
            let uri = (space != NO_SPACE).then(|| &*self.spaces[space]);
            Shown::new(prefixes, uri, local).to_string()
        };
        let mut pieces = if self.nodes.is_empty() { vec![Piece::Text("null")] } else { vec![Piece::Node(0)] };
        while let Some(piece) = pieces.pop().filter(|_| out.len() <= most) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Key(name) => {
                    push_string(&shown(name), out);
                    out.push(':');
                }
                Piece::Node(at) => self.write_node(&self.nodes[at], (&shown, most), out, &mut pieces),
            }
        }
    }

    /// Writes what stands before the children, and leaves those and the rest to `pieces`, last first.
    fn write_node(
        &self,
        node: &Node<'m>,
        (shown, most): (&impl Fn(TreeName<'m>) -> String, usize),
        out: &mut String,
        pieces: &mut Vec<Piece<'m>>,
    ) {
        if node.is_nil {
            return out.push_str("null");
        }
        if node.attributes.is_empty() && node.children.is_empty() {
            return push_string(&node.text, out);
        }
        out.push('{');
        let mut separator = "";
        for (name, value) in &node.attributes {
            if out.len() > most {
                return;
            }
            out.push_str(separator);
            push_string(&format!("@{}", shown(*name)), out);
            out.push(':');
            push_string(value, out);
            separator = ",";
        }
        let has_text =
            if node.children.is_empty() { !node.text.is_empty() } else { !node.text.trim_ascii().is_empty() };
        if has_text {
            out.push_str(separator);
            out.push_str("\"#text\":");
            push_string(&node.text, out);
            separator = ",";
        }
        let mut groups: Vec<(TreeName<'m>, Vec<usize>)> = Vec::new();
        let mut places: HashMap<TreeName<'m>, usize> = HashMap::new();
        for &child in &node.children {
            let name = self.nodes[child].name;
            let place = *places.entry(name).or_insert(groups.len());
            if place == groups.len() {
                groups.push((name, Vec::new()));
            }
            groups[place].1.push(child);
        }
        let mut rest = Vec::new();
        for (name, children) in groups {
            rest.push(Piece::Text(separator));
            rest.push(Piece::Key(name));
            separator = ",";
            if let [only] = children[..] {
                rest.push(Piece::Node(only));
                continue;
            }
            rest.push(Piece::Text("["));
            for (number, child) in children.into_iter().enumerate() {
                rest.push(Piece::Text(if number == 0 { "" } else { "," }));
                rest.push(Piece::Node(child));
            }
            rest.push(Piece::Text("]"));
        }
        rest.push(Piece::Text("}"));
        pieces.extend(rest.into_iter().rev());
    }
}

impl<'w> TreeReader<'_, 'w> {
    fn open(&mut self, text: &'w str, at: usize, name_len: usize, end: usize) {
        let name_end = at + 1 + name_len;
        let mut attributes = std::mem::take(&mut self.attributes);
        // The tag was found good when the message was read.
        if attributes::scan(text, name_end..end, &self.flatten.program.limits, &mut attributes).is_err() {
            attributes.clear();
        }
        let depth = self.open.len();
        let value = |attribute: &Attribute| {
            let mut value = String::new();
            // So were its references.
            let meant = attribute_value(&text[attribute.value.clone()], Some(&mut value));
            if meant.is_ok() { value } else { String::new() }
        };
        for attribute in &attributes {
            if let Some(prefix) = declared_prefix(text, attribute) {
                let space = self.number(&value(attribute));
                self.declared.push((depth, prefix, space));
            }
        }
        let number = self.nodes.len();
        let mut node = Node::default();
        // A name is looked up only where it is written, and that of the whole is not.
        if let Some(&parent) = self.open.last() {
            node.is_nil = self.nodes[parent].is_nil;
            if !node.is_nil {
                node.name = self.name(&text[at + 1..name_end], false);
            }
            self.nodes[parent].children.push(number);
        }
        node.is_nil |= attributes.iter().any(|attribute| self.is_nil(text, attribute));
        for attribute in attributes.iter().filter(|_| !node.is_nil) {
            if declared_prefix(text, attribute).is_some() {
                continue;
            }
            let name = self.name(&text[attribute.name.clone()], true);
            if name.0 != XSI_SPACE {
                node.attributes.push((name, value(attribute)));
            }
        }
        self.attributes = attributes;
        self.nodes.push(node);
        self.open.push(number);
    }

    fn close(&mut self) {
        self.open.pop();
        let depth = self.open.len();
        while self.declared.last().is_some_and(|(around, ..)| *around >= depth) {
            self.declared.pop();
        }
    }

    /// Whether an attribute says that its element is nil.
    fn is_nil(&self, text: &str, attribute: &Attribute) -> bool {
        let (prefix, local) = split(&text[attribute.name.clone()]);
        if local != "nil" || prefix.is_empty() {
            return false;
        }
        let is_xsi = match self.declared.iter().rev().find(|(_, declared, _)| *declared == prefix) {
            Some((.., space)) => *space == XSI_SPACE,
            None => self.flatten.scratch.namespaces.uri(self.flatten.message, prefix) == Some(XSI),
        };
        is_xsi && says_nil(&text[attribute.value.clone()])
    }

    fn text(&mut self, add: impl FnOnce(&mut String)) {
        if let Some(&open) = self.open.last() {
            add(&mut self.nodes[open].text);
        }
    }

    fn name(&mut self, raw: &'w str, is_attribute: bool) -> TreeName<'w> {
        let (prefix, local) = split(raw);
        (if is_attribute && prefix.is_empty() { NO_SPACE } else { self.space(prefix) }, local)
    }

    /// The number of the namespace that a prefix (empty: none) stands for.
    fn space(&mut self, prefix: &'w str) -> usize {
        if let Some((.., space)) = self.declared.iter().rev().find(|(_, declared, _)| *declared == prefix) {
            return *space;
        }
        if let Some(&space) = self.around.get(prefix) {
            return space;
        }
        let flatten = self.flatten;
        let space = self.number(flatten.scratch.namespaces.uri(flatten.message, prefix).unwrap_or_default());
        self.around.insert(prefix, space);
        space
    }

    fn number(&mut self, uri: &str) -> usize {
        if let Some(&number) = self.numbers.get(uri) {
            return number;
        }
        let (uri, number): (Rc<str>, _) = (uri.into(), self.spaces.len());
        self.spaces.push(Rc::clone(&uri));
        self.numbers.insert(uri, number);
        number
    }
}
