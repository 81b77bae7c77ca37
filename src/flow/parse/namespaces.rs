//! The namespace declarations around an element: only what takes elements as they are, or tells the paths of unmapped
//! ones, asks for them, and each start tag is looked at once for it.

use std::fmt;

use hashbrown::HashSet;

use super::attributes::{self, Attribute};
use super::found::shortened;
use super::scopes::{XML_URI, declared_prefix};
use super::text::attribute_value;
use crate::model::mapping::Limits;

/// Declarations by open element, outermost first.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    levels: Vec<Level>,
    /// How many of them are about elements that were open when they were last asked for.
    valid: usize,
    /// The declarations in force, innermost first, of each prefix only the one that counts; as long as `is_listed`.
    in_force: Vec<Attribute>,
    is_listed: bool,
    attributes: Vec<Attribute>,
}

#[derive(Debug, Default)]
struct Level {
    /// Where its start tag begins.
    at: usize,
    declared: Vec<Declared>,
}

#[derive(Debug)]
struct Declared {
    attribute: Attribute,
    /// Empty where a default namespace is taken back.
    uri: Box<str>,
}

impl Namespaces {
    /// To be called between messages.
    pub(super) fn clear(&mut self) {
        self.levels.iter_mut().for_each(|level| level.declared.clear());
        self.valid = 0;
        self.is_listed = false;
    }

    /// Takes notice of the elements that are open now, by the places of their start tags, outermost first.
    pub(super) fn follow(&mut self, message: &str, limits: &Limits, starts: impl Iterator<Item = usize>) {
        let mut depth = 0;
        for at in starts {
            if depth >= self.valid || self.levels[depth].at != at {
                self.cut(depth);
                if depth == self.levels.len() {
                    self.levels.push(Level::default());
                }
                let level = &mut self.levels[depth];
                level.at = at;
                declarations(message, limits, at, &mut self.attributes);
                level.declared.clear();
                level.declared.extend(self.attributes.drain(..).map(|attribute| Declared::new(message, attribute)));
                self.is_listed &= level.declared.is_empty();
                self.valid = depth + 1;
            }
            depth += 1;
        }
        self.cut(depth);
    }

    /// What was open inside the outermost `depth` elements is so no more.
    fn cut(&mut self, depth: usize) {
        self.is_listed &= self.levels[depth..self.valid].iter().all(|level| level.declared.is_empty());
        self.valid = depth;
    }

    /// Many elements stand in one place: what is in force there is worked out once.
    fn list(&mut self, message: &str) {
        if self.is_listed {
            return;
        }
        let mut names = HashSet::new();
        let all = self.levels[..self.valid].iter().rev().flat_map(|level| &level.declared);
        let in_force = all.filter(|declared| names.insert(&message[declared.attribute.name.clone()]));
        self.in_force.clear();
        self.in_force.extend(in_force.map(|declared| declared.attribute.clone()));
        self.is_listed = true;
    }

    /// Appends the declarations that an element which itself declares `own` needs to mean the same outside its message.
    pub(super) fn write(&mut self, message: &str, own: &[Attribute], out: &mut String) {
        self.list(message);
        for declared in &self.in_force {
            let name = &message[declared.name.clone()];
            let is_own = own.iter().any(|own| message[own.name.clone()] == *name);
            // A default namespace that was taken back is none outside either.
            if !is_own && !declared.value.is_empty() {
                out.push(' ');
                // The quote stands beside the value on either side.
                out.push_str(name);
                out.push('=');
                out.push_str(&message[declared.value.start - 1..declared.value.end + 1]);
            }
        }
    }

    /// The namespace that a prefix (empty: none) stands for.
    pub(super) fn uri(&self, message: &str, prefix: &str) -> Option<&str> {
        self.uri_within(message, self.valid, prefix)
    }

    /// The same for the outermost `depth` elements alone.
    fn uri_within(&self, message: &str, depth: usize, prefix: &str) -> Option<&str> {
        if prefix == "xml" {
            return Some(XML_URI);
        }
        let levels = self.levels[..depth.min(self.valid)].iter().rev();
        let found = levels
            .flat_map(|level| &level.declared)
            .find(|declared| declared_prefix(message, &declared.attribute) == Some(prefix))?;
        Some(&*found.uri).filter(|uri| !uri.is_empty())
    }

    /// The name of the element that begins at `at`, the innermost of the outermost `depth`.
    pub(super) fn element_name<'n>(
        &'n self,
        message: &'n str,
        prefixes: &'n [(String, String)],
        (depth, at): (usize, usize),
    ) -> Shown<'n> {
        let (prefix, local) = split(written_name(message, at));
        Shown::new(prefixes, self.uri_within(message, depth, prefix), local)
    }

    /// The name of an attribute of the innermost element.
    pub(super) fn attribute_name<'n>(
        &'n self,
        message: &'n str,
        prefixes: &'n [(String, String)],
        raw: &'n str,
    ) -> Shown<'n> {
        match split(raw) {
            ("", local) => Shown::local(local),
            (prefix, local) => Shown::new(prefixes, self.uri(message, prefix), local),
        }
    }
}

impl Declared {
    fn new(message: &str, attribute: Attribute) -> Self {
        let mut uri = String::new();
        // Its references were found good when the tag was read.
        if attribute_value(&message[attribute.value.clone()], Some(&mut uri)).is_err() {
            uri.clear();
        }
        Self { attribute, uri: uri.into() }
    }
}

/// The declarations of the start tag at `at`.
pub(super) fn declarations(message: &str, limits: &Limits, at: usize, out: &mut Vec<Attribute>) {
    let (name_end, end) = start_tag(message, at);
    // The tag was found good when it was read.
    if attributes::scan(message, name_end..end, limits, out).is_err() {
        out.clear();
    }
    out.retain(|attribute| declared_prefix(message, attribute).is_some());
}

/// The name in the start tag at `at`.
pub(super) fn written_name(message: &str, at: usize) -> &str {
    let rest = &message[at + "<".len()..];
    let end = rest.bytes().position(|byte| matches!(byte, b'>' | b'/' | b' ' | b'\t' | b'\n' | b'\r'));
    &rest[..end.unwrap_or(rest.len())]
}

/// Of the start tag at `at`: where its name ends, and where its `>` or `/>` stands.
pub(super) fn start_tag(message: &str, at: usize) -> (usize, usize) {
    let bytes = message.as_bytes();
    let name_end = at + "<".len() + written_name(message, at).len();
    let mut quote = None;
    for (place, &byte) in bytes.iter().enumerate().skip(name_end) {
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if matches!(byte, b'"' | b'\'') => quote = Some(byte),
            None if byte == b'>' => {
                let is_empty = bytes[place - 1] == b'/';
                return (name_end, if is_empty { place - 1 } else { place });
            }
            None => {}
        }
    }
    (name_end, bytes.len())
}

/// Prefix (empty: none) and local part of a name.
pub(super) fn split(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or(("", name))
}

/// A name as people read it: with the mapping's own prefix, or the URI in braces where it has none. It is put together
/// only where it is written: a URI may be as long as a message, and stand in any number of names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'n> {
    open: &'static str,
    space: &'n str,
    close: &'static str,
    local: &'n str,
}

/// Bytes of a name that is told in a sentence as it is.
const SHORT_NAME: usize = 256;

impl<'n> Shown<'n> {
    pub(super) fn new(prefixes: &'n [(String, String)], uri: Option<&'n str>, local: &'n str) -> Self {
        let Some(uri) = uri else { return Self::local(local) };
        if uri == XML_URI {
            return Self { open: "", space: "xml", close: ":", local };
        }
        match prefixes.iter().find(|(_, known)| known == uri) {
            Some((prefix, _)) => Self { open: "", space: prefix, close: ":", local },
            None => Self { open: "{", space: uri, close: "}", local },
        }
    }

    /// A name in no namespace.
    pub(super) fn local(local: &'n str) -> Self {
        Self { open: "", space: "", close: "", local }
    }

    /// How long it is.
    pub(super) fn bytes(&self) -> usize {
        self.open.len() + self.space.len() + self.close.len() + self.local.len()
    }

    /// As it stands in a sentence.
    pub(super) fn in_short(&self) -> String {
        if self.bytes() <= SHORT_NAME {
            return self.to_string();
        }
        let (space, local) = (shortened(self.space), shortened(self.local));
        Shown { space: &space, local: &local, ..*self }.to_string()
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        [self.open, self.space, self.close, self.local].into_iter().try_for_each(|piece| out.write_str(piece))
    }
}
