//! Where a violation is, for a person: line, and path with positions. Only bad messages pay for it, by two more walks.

use std::collections::BTreeMap;
use std::ops::Range;

use hashbrown::HashMap;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::decode::{origins, readable};
use super::found::{Found, Place};
use super::scratch::Trace;
use crate::model::mapping::Limits;
use crate::model::violation::Violation;

/// Characters kept of a path.
const MAX_PATH: usize = 1000;

/// A place as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Path of the element or attribute; none outside the root.
    pub path: Option<String>,
    /// Line in the payload, 1-based.
    pub line: u32,
    /// Byte offset in the payload.
    pub byte_offset: u64,
}

/// Where the values of one column are in a message.
#[derive(Debug, Default)]
pub struct Located {
    /// Rows that a value belongs to, and where it is.
    values: Vec<(Range<i32>, Position)>,
    rows: BTreeMap<i32, Position>,
}

impl Located {
    /// The place of the value for the row of that index, or of the row itself where it has no value.
    pub fn of(&self, row_index: i32) -> Option<&Position> {
        let value = self.values.iter().rev().find(|(rows, _)| rows.contains(&row_index));
        value.map(|(_, position)| position).or_else(|| self.rows.get(&row_index))
    }

    pub(super) fn new(payload: &[u8], trace: &Trace, limits: &Limits) -> Self {
        // Where they end is known of all only now.
        let values: Vec<&(Range<i32>, Place)> = trace.values.iter().filter(|(rows, _)| trace.wants(rows)).collect();
        let places: Vec<&Place> = values.iter().map(|(_, place)| place).collect();
        let values = values.iter().map(|(rows, _)| rows.clone()).zip(positions(payload, &places, limits)).collect();
        let places: Vec<&Place> = trace.rows.iter().map(|(_, place)| place).collect();
        let rows = trace.rows.iter().map(|(row, _)| *row).zip(positions(payload, &places, limits)).collect();
        Self { values, rows }
    }
}

/// Turns what was found in a payload into violations.
pub(super) fn violations(payload: &[u8], found: Vec<Found>, limits: &Limits) -> Vec<Violation> {
    let places: Vec<&Place> = found.iter().map(|found| &found.place).collect();
    let positions = positions(payload, &places, limits);
    found.into_iter().zip(positions).map(|(found, position)| told(found, position)).collect()
}

/// The same for one.
pub(super) fn violation(payload: &[u8], found: Found, limits: &Limits) -> Violation {
    let position = positions(payload, &[&found.place], limits).pop();
    told(found, position.unwrap_or(Position { path: None, line: 1, byte_offset: 0 }))
}

fn told(found: Found, position: Position) -> Violation {
    Violation {
        code: found.code,
        column: found.column,
        path: position.path,
        line: Some(position.line),
        byte_offset: Some(position.byte_offset),
        value: found.value,
        message: found.message,
    }
}

/// The positions of places in a payload, in the same order.
pub(super) fn positions(payload: &[u8], places: &[&Place], limits: &Limits) -> Vec<Position> {
    // A payload that is too long is not read, and what is wrong with it is found before that.
    let payload_read = if payload.len() as u64 > limits.bytes { &[] } else { payload };
    let (text, form) = readable(payload_read, limits.bytes);
    let text = &*text;
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&index| places[index].at);
    let offsets: Vec<usize> = order.iter().map(|&index| places[index].at).collect();
    let origins = origins(payload_read, form, &offsets);
    let depth = limits.depth as usize;
    let mut tree = Tree::default();
    let chains = tree.find(text, depth, &offsets);
    tree.number(text, depth);
    let (mut line, mut counted) = (1, 0);
    let mut positions: Vec<Option<Position>> = vec![None; places.len()];
    for ((&index, chain), origin) in order.iter().zip(&chains).zip(origins) {
        let place = places[index];
        let at = place.at.min(text.len());
        line += u32::try_from(memchr::memchr_iter(b'\n', &text.as_bytes()[counted..at]).count()).unwrap_or(u32::MAX);
        counted = at;
        let attribute = place.attribute.clone().and_then(|name| text.get(name));
        let path = tree.path(text, *chain, attribute);
        positions[index] = Some(Position { path, line, byte_offset: origin as u64 });
    }
    positions.into_iter().flatten().collect()
}

/// The elements around the places that are looked for, by the offset of their start tags.
#[derive(Debug, Default)]
struct Tree {
    elements: HashMap<usize, Element>,
    /// For elements with children of interest: each name, and how often it was seen.
    siblings: HashMap<Option<usize>, Vec<(Range<usize>, u32)>>,
}

#[derive(Debug)]
struct Element {
    name: Range<usize>,
    parent: Option<usize>,
    index: u32,
}

enum Step {
    Open { at: usize, name: Range<usize>, is_empty: bool },
    Close,
    Other,
}

/// Goes through a document as far as it is well-formed and not deeper than it may be (one that is took no memory when
/// it was refused, and takes none here); `visit` gets each event and where it ends.
fn walk(text: &str, limit: usize, mut visit: impl FnMut(Step, usize) -> bool) {
    if text.starts_with('\u{FEFF}') {
        // A second byte order mark: quick-xml would leave it out, and its offsets would be of another text.
        return;
    }
    let mut reader = Reader::from_str(text);
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        let event = reader.read_event();
        let after = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let step = match event {
            Ok(Event::Start(tag)) => {
                Step::Open { at, name: at + 1..at + 1 + tag.name().as_ref().len(), is_empty: false }
            }
            Ok(Event::Empty(tag)) => {
                Step::Open { at, name: at + 1..at + 1 + tag.name().as_ref().len(), is_empty: true }
            }
            Ok(Event::End(_)) => Step::Close,
            Ok(Event::Eof) | Err(_) => return,
            Ok(_) => Step::Other,
        };
        match step {
            Step::Open { is_empty: false, .. } => depth += 1,
            Step::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        if !visit(step, after) || depth > limit {
            return;
        }
        at = after;
    }
}

impl Tree {
    /// For each of the ascending offsets the innermost element around it.
    fn find(&mut self, text: &str, limit: usize, offsets: &[usize]) -> Vec<Option<usize>> {
        let mut pending = offsets.iter().copied().peekable();
        let mut stack: Vec<(usize, Range<usize>)> = Vec::new();
        let mut chains = Vec::new();
        walk(text, limit, |step, after| {
            let is_close = matches!(step, Step::Close | Step::Open { is_empty: true, .. });
            if let Step::Open { at, name, .. } = step {
                stack.push((at, name));
            }
            while pending.next_if(|&offset| offset < after).is_some() {
                chains.push(self.keep(&stack));
            }
            if is_close {
                stack.pop();
            }
            pending.peek().is_some()
        });
        for _ in pending {
            chains.push(self.keep(&stack));
        }
        chains
    }

    fn keep(&mut self, stack: &[(usize, Range<usize>)]) -> Option<usize> {
        let mut parent = None;
        for (at, name) in stack {
            self.elements.entry(*at).or_insert_with(|| Element { name: name.clone(), parent, index: 1 });
            parent = Some(*at);
        }
        parent
    }

    /// Numbers the elements among their siblings of the same name.
    fn number(&mut self, text: &str, limit: usize) {
        for element in self.elements.values() {
            let names = self.siblings.entry(element.parent).or_default();
            if !names.iter().any(|(name, _)| text[name.clone()] == text[element.name.clone()]) {
                names.push((element.name.clone(), 0));
            }
        }
        if self.elements.is_empty() {
            return;
        }
        let mut stack: Vec<usize> = Vec::new();
        walk(text, limit, |step, _| {
            match step {
                Step::Open { at, name, is_empty } => {
                    let names = self.siblings.get_mut(&stack.last().copied());
                    let counted = names.and_then(|names| {
                        names.iter_mut().find(|(counted, _)| text[counted.clone()] == text[name.clone()])
                    });
                    if let Some((_, count)) = counted {
                        *count += 1;
                        if let Some(element) = self.elements.get_mut(&at) {
                            element.index = *count;
                        }
                    }
                    if !is_empty {
                        stack.push(at);
                    }
                }
                Step::Close => {
                    stack.pop();
                }
                Step::Other => {}
            }
            true
        });
    }

    fn path(&self, text: &str, innermost: Option<usize>, attribute: Option<&str>) -> Option<String> {
        let mut steps = Vec::new();
        let mut next = innermost;
        while let Some(element) = next.and_then(|at| self.elements.get(&at)) {
            let name = &text[element.name.clone()];
            let siblings = self.siblings.get(&element.parent).into_iter().flatten();
            let is_one_of_many =
                siblings.into_iter().any(|(counted, count)| *count > 1 && text[counted.clone()] == *name);
            // What is longer than a path does not have to be copied to be shortened.
            let end = name.char_indices().nth(MAX_PATH).map_or(name.len(), |(end, _)| end);
            let name = &name[..end];
            steps.push(if is_one_of_many { format!("/{name}[{}]", element.index) } else { format!("/{name}") });
            next = element.parent;
        }
        if steps.is_empty() {
            return None;
        }
        let mut path: String = steps.iter().rev().map(String::as_str).collect();
        if let Some(attribute) = attribute {
            path.push_str("/@");
            path.push_str(attribute);
        }
        let length = path.chars().count();
        if length > MAX_PATH {
            let half = MAX_PATH / 2;
            path = path.chars().take(half).chain(['…']).chain(path.chars().skip(length - half)).collect();
        }
        Some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locate(text: &str, at: usize) -> Position {
        positions(text.as_bytes(), &[&Place::at(at)], &Limits::default()).remove(0)
    }

    #[test]
    fn paths_number_what_occurs_more_than_once() {
        let text = "<library>\n<book/>\n<book><price>x</price></book>\n<author/></library>";
        let at = locate(text, text.find('x').unwrap());
        assert_eq!(at.path.as_deref(), Some("/library/book[2]/price"));
        assert_eq!((at.line, at.byte_offset), (3, 31));
        assert_eq!(locate(text, text.find("<book/>").unwrap()).path.as_deref(), Some("/library/book[1]"));
        assert_eq!(locate(text, text.find("<author").unwrap()).path.as_deref(), Some("/library/author"));
        assert_eq!(locate(text, text.find("</library").unwrap()).path.as_deref(), Some("/library"));
    }

    #[test]
    fn places_come_back_in_the_order_they_were_asked_for() {
        let text = "\u{feff}<a>\n<b k='1'/>\n</a>";
        let attribute = Place { at: 10, attribute: Some(7..8) };
        let found = positions(text.as_bytes(), &[&Place::at(15), &attribute, &Place::at(0)], &Limits::default());
        let shown: Vec<_> = found.iter().map(|at| (at.path.as_deref(), at.line, at.byte_offset)).collect();
        assert_eq!(shown, [(Some("/a"), 3, 18), (Some("/a/b/@k"), 2, 13), (Some("/a"), 1, 3)]);
    }

    #[test]
    fn a_broken_document_is_located_as_far_as_it_goes() {
        let text = "<library>\n<book>\n<a></b></book></library>";
        let at = locate(text, text.find("</b>").unwrap());
        assert_eq!(at.path.as_deref(), Some("/library/book/a"));
        assert_eq!(locate("", 0), Position { path: None, line: 1, byte_offset: 0 });
        assert_eq!(locate("<a>", 3).path.as_deref(), Some("/a"));
        assert_eq!(positions(b"<a>\n\xFF</a>", &[&Place::at(4)], &Limits::default())[0].path.as_deref(), Some("/a"));
    }

    #[test]
    fn a_deep_path_is_shortened() {
        let text = "<abcdefghij>".repeat(300);
        let path = locate(&text, text.len()).path.unwrap();
        assert_eq!(path.chars().count(), MAX_PATH + 1);
    }
}
