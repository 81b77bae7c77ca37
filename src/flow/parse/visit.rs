//! Whole documents for whoever wants to know what is in them without a mapping: read by the walk that each message of
//! the daemon goes through, so that what is seen here is by construction what the daemon accepts.

use std::ops::Range;

use super::attributes::Attribute;
use super::chars;
use super::locate;
use super::namespaces::{split, written_name};
use super::scopes::{XML_URI, declared_prefix};
use super::text::{attribute_value, push_normalised};
use super::walk::{Checked, Sink, Tag, Walk};
use super::well_formed::{Nothing, WellFormed, admit};
use crate::model::violation::Violation;

/// Whoever looks at a document. For each element [`Visitor::open`], then [`Visitor::attribute`] for each of its
/// attributes, then what is in it, then [`Visitor::close`].
pub trait Visitor {
    /// An element begins. `at` is the place of its `<` in the document as UTF-8.
    fn open(&mut self, name: &QName<'_>, at: usize, scope: &Scope);
    /// An attribute of the element that was opened last, its value normalised; declarations of namespaces are none.
    fn attribute(&mut self, name: &QName<'_>, value: &str);
    /// A piece of the own text of the innermost open element, references resolved, line ends made one kind.
    fn text(&mut self, text: &str);
    /// The innermost open element ends before the byte `after`.
    fn close(&mut self, after: usize);
}

/// A name as a document writes it, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QName<'t> {
    /// Namespace URI.
    pub namespace: Option<&'t str>,
    /// Prefix; empty: none.
    pub prefix: &'t str,
    /// Local name.
    pub local: &'t str,
}

/// Declarations of namespaces in force.
#[derive(Debug, Default)]
pub struct Scope {
    bindings: Vec<Binding>,
    bytes: usize,
}

#[derive(Debug)]
struct Binding {
    prefix: Box<str>,
    /// Empty where a default namespace is taken back.
    uri: Box<str>,
    /// How many elements are open, the one that declares it included.
    depth: usize,
}

impl Scope {
    /// Every prefix in force (empty: the default namespace) with its URI, in the order of the declarations that count.
    pub fn all(&self) -> Vec<(&str, &str)> {
        let mut all: Vec<(&str, &str)> = Vec::new();
        for binding in self.bindings.iter().rev() {
            if !all.iter().any(|(known, _)| *known == &*binding.prefix) {
                all.push((&binding.prefix, &binding.uri));
            }
        }
        all.retain(|(_, uri)| !uri.is_empty());
        all.reverse();
        all
    }

    /// Bytes that the declarations take where they are written.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn enter(&mut self, prefix: &str, uri: &str, depth: usize) {
        let binding = Binding { prefix: prefix.into(), uri: uri.into(), depth };
        self.bytes += binding.bytes();
        self.bindings.push(binding);
    }

    fn uri(&self, prefix: &str) -> Option<&str> {
        if prefix == "xml" {
            return Some(XML_URI);
        }
        let binding = self.bindings.iter().rev().find(|binding| *binding.prefix == *prefix)?;
        Some(&*binding.uri).filter(|uri| !uri.is_empty())
    }

    /// The meaning of a name of the walk, which has seen that its prefix is bound.
    fn resolve<'n>(&'n self, name: &'n str, is_attribute: bool) -> QName<'n> {
        let (prefix, local) = split(name);
        let namespace = if is_attribute && prefix.is_empty() { None } else { self.uri(prefix) };
        QName { namespace, prefix, local }
    }

    fn leave(&mut self, depth: usize) {
        while let Some(binding) = self.bindings.pop_if(|binding| binding.depth >= depth) {
            self.bytes -= binding.bytes();
        }
    }
}

impl Binding {
    fn bytes(&self) -> usize {
        " xmlns:=\"\"".len() + self.prefix.len() + self.uri.len()
    }
}

impl WellFormed {
    /// Shows a message to a visitor, if it is good from the first byte to the last; else the visitor sees nothing of
    /// it.
    ///
    /// Memory: as for [`WellFormed::check`], and the namespace declarations in force.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in the first place where something is.
    pub fn visit(&mut self, payload: &[u8], visitor: &mut impl Visitor) -> Result<(), Box<Violation>> {
        self.names.tidy();
        let read = self.read_twice(payload, visitor);
        read.map_err(|found| Box::new(locate::violation(payload, *found, &self.limits)))
    }

    fn read_twice(&mut self, payload: &[u8], visitor: &mut impl Visitor) -> Checked {
        let text = admit(payload, &self.limits)?;
        let survey = chars::survey(&text)?;
        let rules = (&self.limits, self.dtd);
        Walk::new(&text, survey, rules, &mut self.names, &mut self.memory, &mut Nothing).run()?;
        let mut showing = Showing {
            message: &text,
            has_carriage_return: survey.has_carriage_return,
            scope: Scope::default(),
            depth: 0,
            scratch: String::new(),
            visitor,
        };
        Walk::new(&text, survey, rules, &mut self.names, &mut self.memory, &mut showing).run()
    }
}

/// What the walk says, in the words of a visitor.
struct Showing<'v, V> {
    message: &'v str,
    has_carriage_return: bool,
    scope: Scope,
    /// Open elements.
    depth: usize,
    scratch: String,
    visitor: &'v mut V,
}

impl<V: Visitor> Showing<'_, V> {
    /// Puts the normalised value of an attribute into the scratch. The walk has seen that its references are good.
    fn normalise(&mut self, attribute: &Attribute) -> Checked {
        self.scratch.clear();
        let raw = &self.message[attribute.value.clone()];
        attribute_value(raw, Some(&mut self.scratch)).map_err(|bad| bad.found(attribute.value.start))
    }
}

impl<V: Visitor> Sink for Showing<'_, V> {
    fn open(&mut self, tag: &Tag<'_>) -> Checked {
        let message = self.message;
        self.depth = tag.depth;
        for attribute in tag.attributes {
            if let Some(prefix) = declared_prefix(message, attribute) {
                self.normalise(attribute)?;
                self.scope.enter(prefix, &self.scratch, tag.depth);
            }
        }
        let name = written_name(message, tag.at);
        self.visitor.open(&self.scope.resolve(name, false), tag.at, &self.scope);
        for attribute in tag.attributes {
            if declared_prefix(message, attribute).is_none() {
                self.normalise(attribute)?;
                let name = self.scope.resolve(&message[attribute.name.clone()], true);
                self.visitor.attribute(&name, &self.scratch);
            }
        }
        Ok(())
    }

    fn text(&mut self, range: Range<usize>) {
        let text = &self.message[range];
        if self.has_carriage_return {
            self.scratch.clear();
            push_normalised(text, &mut self.scratch);
            self.visitor.text(&self.scratch);
        } else {
            self.visitor.text(text);
        }
    }

    fn character(&mut self, character: char) {
        self.visitor.text(character.encode_utf8(&mut [0; 4]));
    }

    fn close(&mut self, _at: usize, after: usize) {
        self.visitor.close(after);
        self.scope.leave(self.depth);
        self.depth -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mapping::{Dtd, Limits};

    #[derive(Default)]
    struct Told(String);

    impl Visitor for Told {
        fn open(&mut self, name: &QName<'_>, at: usize, scope: &Scope) {
            let bound: String = scope.all().iter().map(|(prefix, uri)| format!(" {prefix}={uri}")).collect();
            self.0 += &format!("<{{{}}}{}@{at}{bound}>", name.namespace.unwrap_or_default(), name.local);
        }

        fn attribute(&mut self, name: &QName<'_>, value: &str) {
            self.0 += &format!("[{{{}}}{}={value}]", name.namespace.unwrap_or_default(), name.local);
        }

        fn text(&mut self, text: &str) {
            self.0 += text;
        }

        fn close(&mut self, after: usize) {
            self.0 += &format!("</{after}>");
        }
    }

    fn told(document: &[u8]) -> Result<String, &'static str> {
        let mut told = Told::default();
        let seen = WellFormed::new(Limits::default(), Dtd::Refuse).visit(document, &mut told);
        assert!(seen.is_ok() || told.0.is_empty(), "a bad document is not shown: {}", told.0);
        seen.map(|()| told.0).map_err(|violation| violation.code.name())
    }

    #[test]
    fn a_document_is_shown_with_what_its_names_and_values_mean() {
        let shown = told(
            b"<p:a xmlns:p='u' xmlns='d' k='1' p:k='&lt;&#10;\t2'>x&amp;<b/>y\r\nz\r<![CDATA[<]]><c xmlns=''>t</c></p:a>",
        );
        let expected = "<{u}a@0 p=u =d>[{}k=1][{u}k=<\n 2]x&<{d}b@57 p=u =d></61>y\nz\n<<{}c@79 p=u>t</96></102>";
        assert_eq!(shown.as_deref(), Ok(expected));
        assert_eq!(
            told(b"<a xml:lang='de'/>").as_deref(),
            Ok("<{}a@0>[{http://www.w3.org/XML/1998/namespace}lang=de]</18>")
        );
    }

    #[test]
    fn what_is_bad_at_its_end_is_not_shown_at_all() {
        assert_eq!(told(b"<a><b>1</b></a><c/>"), Err("xml.second-root"));
        assert_eq!(told(b"<a><p:b>1</p:b></a>"), Err("xml.namespace-unbound"));
        assert_eq!(told(b""), Err("xml.empty"));
    }
}
