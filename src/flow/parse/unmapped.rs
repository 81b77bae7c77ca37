//! What no column takes: refused, or collected into a column (counted by path: see `counting`). A mapping that ignores
//! it pays nothing.
//!
//! Unmapped are elements that no path leads to or through (those without children, and text of those with), attributes
//! that no column takes, and text that is not blank of elements that are only on the way to something. What lies in an
//! element that is taken whole (`string()`, `xml`, elements as JSON) is taken, and so are its attributes. Declarations
//! of namespaces, attributes of the XML Schema instance namespace and attributes that conditions ask for never count.

use std::ops::Range;

use super::attributes::Attribute;
use super::collect::Entries;
use super::compile::{COVERED, MESSAGE, NOWHERE, ScopeId, ScopeKind, State, StateId, TEXT_TAKEN, Watch};
use super::flatten::Flatten;
use super::found::{Found, MAX_VIOLATIONS, Place, shortened};
use super::names::{DECLARATION, OTHER};
use super::scratch::Scratch;
use super::text::{Gathered, push_normalised};
use super::walk::{Checked, Tag};
use crate::model::mapping::OnBadField;
use crate::model::violation::Code;

/// What is remembered of a message for the sake of what no column takes.
#[derive(Debug, Default)]
pub(super) struct Unmapped {
    open: Vec<Seen>,
    /// Own text of the open elements.
    texts: Vec<Gathered>,
    /// Names of the open elements as paths write them; empty: not asked for yet.
    names: Vec<String>,
    pub(super) entries: Entries,
}

/// An open element.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// The innermost row, row group or message that it lies in.
    scope: ScopeId,
    /// How many elements are open around the one that is the row of `scope`'s table, it included; none without one.
    row: usize,
    /// No path leads to it.
    is_unmapped: bool,
    /// It is taken whole, or lies in one that is.
    covers: bool,
    /// Its own text is taken.
    is_text_taken: bool,
    has_children: bool,
    /// There is text before its children that is not blank.
    has_text: bool,
}

impl Unmapped {
    /// To be called between messages.
    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.names.clear();
        self.entries.clear();
    }
}

impl Flatten<'_> {
    /// A start tag.
    pub(super) fn watch_open(&mut self, tag: &Tag<'_>, state: StateId) -> Checked {
        if let Some(fatal) = self.tally.fatal.take() {
            return Err(fatal);
        }
        let program = self.program;
        let what = program.state(state);
        let unmapped = &mut self.scratch.unmapped;
        let outer = unmapped.open.last().copied();
        if let Some(parent) = unmapped.open.last_mut() {
            parent.has_children = true;
            // Once, and not before each of many children.
            if !parent.is_text_taken && !parent.has_text {
                let own = &mut unmapped.texts[tag.depth - 2];
                parent.has_text = !own.text(self.message).trim_ascii().is_empty();
                if !parent.has_text {
                    own.clear();
                }
            }
        }
        if unmapped.texts.len() < tag.depth {
            unmapped.texts.push(Gathered::default());
        }
        unmapped.texts[tag.depth - 1].clear();
        unmapped.names.push(String::new());
        // Of a message with another root nothing is looked at.
        let is_covered = outer.map_or(state == NOWHERE, |outer| outer.covers);
        let mut seen = Seen {
            scope: outer.map_or(MESSAGE, |outer| outer.scope),
            row: outer.map_or(0, |outer| outer.row),
            is_unmapped: state == NOWHERE && !is_covered,
            covers: is_covered || what.marks & COVERED != 0,
            is_text_taken: is_covered || what.marks & TEXT_TAKEN != 0,
            has_children: false,
            has_text: false,
        };
        for &scope in &what.begins {
            if !matches!(program.scope(scope).kind, ScopeKind::Struct(_)) {
                seen.scope = scope;
            }
            if program.scope(scope).kind == ScopeKind::Row {
                seen.row = tag.depth;
            }
        }
        self.scratch.unmapped.open.push(seen);
        if is_covered {
            return Ok(());
        }
        if program.watch == Watch::Reject {
            if outer.is_some_and(|outer| outer.is_unmapped) {
                return Ok(());
            }
            if seen.is_unmapped {
                self.reject(Place::at(tag.at), None, |flatten| {
                    flatten.follow_namespaces(usize::MAX);
                    let (namespaces, prefixes) = (&flatten.scratch.namespaces, &flatten.program.prefixes);
                    let name = namespaces.element_name(flatten.message, prefixes, (tag.depth, tag.at));
                    format!("the element {}", name.in_short())
                });
                return Ok(());
            }
        }
        if !seen.covers {
            for attribute in tag.attributes {
                self.watch_attribute(attribute, what);
                if let Some(fatal) = self.tally.fatal.take() {
                    return Err(fatal);
                }
            }
        }
        Ok(())
    }

    fn watch_attribute(&mut self, attribute: &Attribute, what: &State) {
        let raw = &self.message[attribute.name.clone()];
        if attribute.written == DECLARATION || self.is_taken(attribute, what) {
            return;
        }
        let value = attribute.value.clone();
        match self.program.watch {
            Watch::Off | Watch::Count => {}
            Watch::Reject => {
                let place = Place { at: value.start, attribute: Some(attribute.name.clone()) };
                self.reject(place, Some(&self.message[value]), |_| format!("the attribute {raw}"));
            }
            Watch::Collect(_) => {
                self.follow_namespaces(usize::MAX);
                let namespaces = &self.scratch.namespaces;
                let name = format!("@{}", namespaces.attribute_name(self.message, &self.program.prefixes, raw));
                let mut text = String::new();
                // Its references were found good when the tag was read.
                if super::text::attribute_value(&self.message[value.clone()], Some(&mut text)).is_ok() {
                    self.collect(Some(&name), text, value.start);
                }
            }
        }
    }

    /// Character data, as it stands in the message.
    pub(super) fn watch_text(&mut self, range: Range<usize>, has_carriage_return: bool) {
        let message = self.message;
        if let Some(own) = self.watched_text() {
            if has_carriage_return && message[range.clone()].contains('\r') {
                push_normalised(&message[range], own.join(message));
            } else {
                own.add(message, range);
            }
        }
    }

    /// A character that is written as a reference.
    pub(super) fn watch_character(&mut self, character: char) {
        let message = self.message;
        if let Some(own) = self.watched_text() {
            own.join(message).push(character);
        }
    }

    fn watched_text(&mut self) -> Option<&mut Gathered> {
        let unmapped = &mut self.scratch.unmapped;
        let depth = unmapped.open.len();
        let is_taken = unmapped.open.last().is_none_or(|seen| seen.is_text_taken);
        if is_taken { None } else { unmapped.texts.get_mut(depth - 1) }
    }

    /// An end tag.
    pub(super) fn watch_close(&mut self, at: usize) {
        let depth = self.scratch.unmapped.open.len();
        let Some(seen) = self.scratch.unmapped.open.last().copied() else { return };
        if !seen.is_text_taken {
            let own = std::mem::take(&mut self.scratch.unmapped.texts[depth - 1]);
            self.judge_text(&seen, &own, at);
            self.scratch.unmapped.texts[depth - 1] = own;
        }
        self.scratch.unmapped.open.pop();
        self.scratch.unmapped.names.pop();
    }

    fn judge_text(&mut self, seen: &Seen, own: &Gathered, at: usize) {
        let text = own.text(self.message);
        let is_leaf = seen.is_unmapped && !seen.has_children;
        if !is_leaf && text.trim_ascii().is_empty() {
            return;
        }
        let at = own.start().unwrap_or(at);
        match self.program.watch {
            Watch::Reject if !seen.is_unmapped => self.reject(Place::at(at), Some(text), |_| "text".to_owned()),
            Watch::Collect(_) => self.collect((!is_leaf).then_some("text()"), text.to_owned(), at),
            Watch::Reject | Watch::Off | Watch::Count => {}
        }
    }

    /// Whether a column takes an attribute, or it is one that never counts.
    #[inline]
    pub(super) fn is_taken(&self, attribute: &Attribute, what: &State) -> bool {
        attribute.id != OTHER
            && (what.attributes.iter().any(|(taken, _)| *taken == attribute.id)
                || self.program.spoken_of.contains(&attribute.id))
    }

    fn reject(&mut self, place: Place, value: Option<&str>, what: impl FnOnce(&mut Self) -> String) {
        if self.scratch.found.len() < MAX_VIOLATIONS {
            let message = format!("{} is taken by no column", what(self));
            let value = value.map(shortened);
            self.report(Found { code: Code::SHAPE_UNMAPPED, column: None, place, value, message });
        }
        let scope = self.scratch.unmapped.open.last().map_or(MESSAGE, |seen| seen.scope);
        self.spoil(None, scope, self.program.on_bad_field == OnBadField::Quarantine);
    }

    /// Keeps what is to be collected of the innermost open element: its text, or a part of that name.
    fn collect(&mut self, part: Option<&str>, text: String, at: usize) {
        let Some(seen) = self.scratch.unmapped.open.last().copied() else { return };
        // The root element has no place in a path that begins at it.
        let first = seen.row.max(1);
        let length = self.name_elements(first).saturating_add(part.map_or(0, |part| 1 + part.len()));
        self.grow(length.saturating_add(text.len()), at);
        if self.tally.fatal.is_some() {
            return;
        }
        let mut key = String::with_capacity(length);
        for step in self.scratch.unmapped.names[first..].iter().map(String::as_str).chain(part) {
            key.push_str(if key.is_empty() && seen.row != 0 { "" } else { "/" });
            key.push_str(step);
        }
        let mark = self.scratch.marks[self.program.scope(MESSAGE).mark];
        let rows = self.rows.len(0) - mark;
        let is_group = self.program.scope(seen.scope).kind == ScopeKind::Group;
        match seen.row {
            0 if is_group => {
                let first = self.scratch.marks[self.program.scope(seen.scope).mark] - mark;
                self.scratch.unmapped.entries.add_shared(seen.scope, first, key, text);
            }
            0 => self.scratch.unmapped.entries.add_shared(MESSAGE, 0, key, text),
            _ => self.scratch.unmapped.entries.add(rows, key, text),
        }
    }

    /// Sees to the names of the open elements but for the outermost `first`: each is put together once. How long a path
    /// of them is; of one that is longer than anything may grow not all of them are there.
    fn name_elements(&mut self, first: usize) -> usize {
        self.follow_namespaces(usize::MAX);
        let most = self.tally.may_grow.saturating_sub(self.tally.grown);
        let Scratch { frames, namespaces, unmapped, .. } = &mut *self.scratch;
        let mut length = 0;
        for (number, (frame, known)) in frames.iter().zip(&mut unmapped.names).enumerate().skip(first) {
            if known.is_empty() {
                let name = namespaces.element_name(self.message, &self.program.prefixes, (number + 1, frame.at));
                if length + name.bytes() > most {
                    return usize::MAX;
                }
                *known = name.to_string();
            }
            length += "/".len() + known.len();
        }
        length
    }
}
