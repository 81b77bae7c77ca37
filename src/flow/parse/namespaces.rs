//! The namespace declarations around an element: only what takes elements as they are, or tells the paths of unmapped
//! ones, asks for them, and each start tag is looked at once for it.

use super::attributes::{self, Attribute};
use super::scopes::{XML_URI, declared_prefix};
use super::text::attribute_value;
use crate::model::mapping::Limits;

/// Declarations by open element, outermost first.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    levels: Vec<Level>,
    /// How many of them are about elements that were open when they were last asked for.
    valid: usize,
    attributes: Vec<Attribute>,
}

#[derive(Debug, Default)]
struct Level {
    /// Where its start tag begins.
    at: usize,
    declared: Vec<Attribute>,
}

impl Namespaces {
    /// To be called between messages.
    pub(super) fn clear(&mut self) {
        self.valid = 0;
    }

    /// Takes notice of the elements that are open now, by the places of their start tags, outermost first.
    pub(super) fn follow(&mut self, message: &str, limits: &Limits, starts: impl Iterator<Item = usize>) {
        let mut depth = 0;
        for at in starts {
            if depth >= self.valid || self.levels[depth].at != at {
                if depth == self.levels.len() {
                    self.levels.push(Level::default());
                }
                let level = &mut self.levels[depth];
                level.at = at;
                declarations(message, limits, at, &mut self.attributes, &mut level.declared);
                self.valid = depth + 1;
            }
            depth += 1;
        }
        self.valid = depth;
    }

    /// The declarations in force, innermost first, of each prefix only the one that counts.
    fn in_force<'a>(&'a self, message: &'a str) -> impl Iterator<Item = &'a Attribute> {
        let levels = &self.levels[..self.valid];
        let all = move || levels.iter().rev().flat_map(|level| &level.declared);
        all().enumerate().filter_map(move |(at, declared)| {
            let name = &message[declared.name.clone()];
            let is_hidden = all().take(at).any(|inner| message[inner.name.clone()] == *name);
            (!is_hidden).then_some(declared)
        })
    }

    /// Appends the declarations that an element which itself declares `own` needs to mean the same outside its message.
    pub(super) fn write(&self, message: &str, own: &[Attribute], out: &mut String) {
        for declared in self.in_force(message) {
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
    pub(super) fn uri(&self, message: &str, prefix: &str) -> Option<String> {
        self.uri_within(message, self.valid, prefix)
    }

    /// The same for the outermost `depth` elements alone.
    pub(super) fn uri_within(&self, message: &str, depth: usize, prefix: &str) -> Option<String> {
        if prefix == "xml" {
            return Some(XML_URI.to_owned());
        }
        let levels = self.levels[..depth.min(self.valid)].iter().rev();
        let found = levels
            .flat_map(|level| &level.declared)
            .find(|declared| declared_prefix(message, declared) == Some(prefix))?;
        let mut uri = String::new();
        attribute_value(&message[found.value.clone()], Some(&mut uri)).ok()?;
        Some(uri).filter(|uri| !uri.is_empty())
    }
}

/// The declarations of the start tag at `at`.
pub(super) fn declarations(
    message: &str,
    limits: &Limits,
    at: usize,
    memory: &mut Vec<Attribute>,
    out: &mut Vec<Attribute>,
) {
    out.clear();
    let (name_end, end) = start_tag(message, at);
    // The tag was found good when it was read.
    if attributes::scan(message, name_end..end, limits, memory).is_ok() {
        let is_declaration = |attribute: &&Attribute| declared_prefix(message, attribute).is_some();
        out.extend(memory.iter().filter(is_declaration).cloned());
    }
}

/// Of the start tag at `at`: where its name ends, and where its `>` or `/>` stands.
pub(super) fn start_tag(message: &str, at: usize) -> (usize, usize) {
    let bytes = message.as_bytes();
    let is_end_of_name = |byte: &u8| matches!(byte, b'>' | b'/' | b' ' | b'\t' | b'\n' | b'\r');
    let name_end = bytes[at..].iter().position(is_end_of_name).map_or(bytes.len(), |length| at + length);
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

/// A name as people read it: with the mapping's own prefix, or the URI in braces where it has none.
pub(super) fn display(prefixes: &[(String, String)], uri: Option<&str>, local: &str) -> String {
    let Some(uri) = uri else { return local.to_owned() };
    if uri == XML_URI {
        return format!("xml:{local}");
    }
    match prefixes.iter().find(|(_, known)| known == uri) {
        Some((prefix, _)) => format!("{prefix}:{local}"),
        None => format!("{{{uri}}}{local}"),
    }
}
