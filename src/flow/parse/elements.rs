//! Elements taken as they are: as XML text that is well-formed on its own, or as JSON. Only columns that ask for it pay
//! for it, by a second pass over the element.

use std::ops::Range;

use hashbrown::HashMap;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::attributes::{self, Attribute};
use super::compile::ColumnId;
use super::flatten::Flatten;
use super::namespaces::{declarations, display, split, start_tag};
use super::scopes::declared_prefix;
use super::text::{attribute_value, push_normalised, resolve, says_nil};
use crate::lexical::push_string;
use crate::model::mapping::Kind;

impl Flatten<'_> {
    /// Appends an element as its column wants it.
    pub(super) fn write_element(&mut self, column: ColumnId, element: Range<usize>, out: &mut String) {
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
        let (mut memory, mut own) = (Vec::new(), Vec::new());
        declarations(self.message, &self.program.limits, element.start, &mut memory, &mut own);
        out.push_str(&self.message[element.start..name_end]);
        self.scratch.namespaces.write(self.message, &own, out);
        push_normalised(&self.message[name_end..element.end], out);
    }

    /// Appends an element as JSON: its text, or an object where it has attributes or children, of which those of one
    /// name that occur more than once are an array. Names have the mapping's prefixes.
    pub(super) fn write_json(&mut self, element: Range<usize>, out: &mut String) {
        self.follow_namespaces(element.start);
        let tree = Tree::read(self, element);
        tree.write(out);
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
struct Tree {
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    name: String,
    is_nil: bool,
    text: String,
    attributes: Vec<(String, String)>,
    children: Vec<usize>,
}

enum Piece {
    Node(usize),
    Text(&'static str),
    /// A name in an object, with its colon.
    Key(String),
}

/// Reads an element into a tree.
struct TreeReader<'r, 'w> {
    flatten: &'r Flatten<'w>,
    nodes: Vec<Node>,
    open: Vec<usize>,
    /// Declarations of open elements inside: how many are open around each, prefix, namespace.
    declared: Vec<(usize, String, String)>,
    attributes: Vec<Attribute>,
}

impl Tree {
    /// Reads an element that is known to be well-formed.
    fn read(flatten: &Flatten<'_>, element: Range<usize>) -> Self {
        let text = &flatten.message[element];
        let mut reader = Reader::from_str(text);
        let mut tree =
            TreeReader { flatten, nodes: Vec::new(), open: Vec::new(), declared: Vec::new(), attributes: Vec::new() };
        let mut at = 0;
        loop {
            let event = reader.read_event();
            let after = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
            match event {
                Ok(Event::Start(tag)) => tree.open(text, at, tag.name().as_ref(), after - 1),
                Ok(Event::Empty(tag)) => {
                    tree.open(text, at, tag.name().as_ref(), after - 2);
                    tree.close();
                }
                Ok(Event::End(_)) => tree.close(),
                Ok(Event::Text(_)) => tree.text(|out| push_normalised(&text[at..after], out)),
                Ok(Event::CData(_)) => {
                    let inside = at + "<![CDATA[".len()..after - "]]>".len();
                    tree.text(|out| push_normalised(&text[inside], out));
                }
                Ok(Event::GeneralRef(_)) => tree.text(|out| out.extend(resolve(&text[at + 1..after - 1]))),
                Ok(Event::Eof) | Err(_) => return Self { nodes: tree.nodes },
                Ok(_) => {}
            }
            at = after;
        }
    }

    fn write(&self, out: &mut String) {
        let mut pieces = if self.nodes.is_empty() { vec![Piece::Text("null")] } else { vec![Piece::Node(0)] };
        while let Some(piece) = pieces.pop() {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Key(name) => {
                    push_string(&name, out);
                    out.push(':');
                }
                Piece::Node(at) => self.write_node(&self.nodes[at], out, &mut pieces),
            }
        }
    }

    /// Writes what stands before the children, and leaves those and the rest to `pieces`, last first.
    fn write_node(&self, node: &Node, out: &mut String, pieces: &mut Vec<Piece>) {
        if node.is_nil {
            return out.push_str("null");
        }
        if node.attributes.is_empty() && node.children.is_empty() {
            return push_string(&node.text, out);
        }
        out.push('{');
        let mut separator = "";
        for (name, value) in &node.attributes {
            out.push_str(separator);
            push_string(&format!("@{name}"), out);
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
        let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for &child in &node.children {
            let name = self.nodes[child].name.as_str();
            let place = *places.entry(name).or_insert(groups.len());
            if place == groups.len() {
                groups.push((name, Vec::new()));
            }
            groups[place].1.push(child);
        }
        let mut rest = Vec::new();
        for (name, children) in groups {
            rest.push(Piece::Text(separator));
            rest.push(Piece::Key(name.to_owned()));
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

impl TreeReader<'_, '_> {
    fn open(&mut self, text: &str, at: usize, name: &str, end: usize) {
        let name_end = at + 1 + name.len();
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
                self.declared.push((depth, prefix.to_owned(), value(attribute)));
            }
        }
        let mut node = Node { name: self.name(name, false), ..Node::default() };
        for attribute in &attributes {
            let raw = &text[attribute.name.clone()];
            if declared_prefix(text, attribute).is_some() {
                continue;
            }
            let (prefix, local) = split(raw);
            if !prefix.is_empty() && self.uri(prefix).as_deref() == Some(super::compile::XSI) {
                node.is_nil |= local == "nil" && says_nil(&text[attribute.value.clone()]);
                continue;
            }
            node.attributes.push((self.name(raw, true), value(attribute)));
        }
        self.attributes = attributes;
        let number = self.nodes.len();
        if let Some(&parent) = self.open.last() {
            self.nodes[parent].children.push(number);
        }
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

    fn text(&mut self, add: impl FnOnce(&mut String)) {
        if let Some(&open) = self.open.last() {
            add(&mut self.nodes[open].text);
        }
    }

    fn name(&self, raw: &str, is_attribute: bool) -> String {
        let (prefix, local) = split(raw);
        let uri = if is_attribute && prefix.is_empty() { None } else { self.uri(prefix) };
        display(&self.flatten.program.prefixes, uri.as_deref(), local)
    }

    fn uri(&self, prefix: &str) -> Option<String> {
        let inside = self.declared.iter().rev().find(|(_, declared, _)| declared == prefix);
        match inside {
            Some((_, _, uri)) => Some(uri.clone()).filter(|uri| !uri.is_empty()),
            None => self.flatten.scratch.namespaces.uri(self.flatten.message, prefix),
        }
    }
}
