//! `unmapped = "count"`: what no column takes, counted by path. What is unmapped is the same as everywhere (see
//! `unmapped`); here it costs as little as can be, because it is a setting for every day.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::compile::{NOWHERE, State, StateId};
use super::drift::{Drift, NONE, Part, PlaceId, ROOT};
use super::flatten::Flatten;
use super::names::DECLARATION;
use super::text::{push_normalised, resolve};
use super::walk::Tag;
use crate::model::batch::DriftKind;

/// Bytes of an element that are looked at for an example of its text.
const EXAMPLE_WITHIN: usize = 4096;

/// Bytes of text that are enough for an example.
const EXAMPLE_BYTES: usize = 1024;

/// What is counted, from message to message.
#[derive(Debug, Default)]
pub(super) struct Counting {
    open: Vec<Open>,
    pub(super) drift: Drift,
}

/// An open element.
#[derive(Debug, Clone, Copy)]
struct Open {
    place: PlaceId,
    /// The place of its last child so far.
    child: PlaceId,
    /// It is taken whole, or lies in one that is.
    is_covered: bool,
    /// Its own text is taken.
    is_text_taken: bool,
    /// No path leads to it.
    is_unmapped: bool,
    has_children: bool,
    /// Its own text is not blank.
    has_text: bool,
}

impl Counting {
    /// To be called between messages, with the era of the names as they are written.
    pub(super) fn begin(&mut self, era: u32) {
        self.open.clear();
        self.drift.follow(era);
    }
}

impl Flatten<'_> {
    /// A start tag.
    #[inline]
    pub(super) fn count_open(&mut self, tag: &Tag<'_>, state: StateId, what: &State) {
        let counting = &mut self.scratch.counting;
        let (parent, previous, is_covered) = match counting.open.last_mut() {
            // Of a message with another root nothing is looked at.
            None => (ROOT, NONE, state == NOWHERE),
            Some(outer) => {
                outer.has_children = true;
                (outer.place, outer.child, outer.is_covered)
            }
        };
        let mut open = Open {
            place: parent,
            child: NONE,
            is_covered: is_covered || what.takes_whole,
            is_text_taken: is_covered || what.takes_text,
            is_unmapped: state == NOWHERE,
            has_children: false,
            has_text: false,
        };
        if is_covered {
            return counting.open.push(open);
        }
        open.place = match what.row {
            Some(table) => counting.drift.row(table),
            None if tag.depth == 1 => ROOT,
            None => match counting.drift.find(parent, previous, Part::Child, tag.written) {
                Some(place) => place,
                None => self.learn_element(tag, parent),
            },
        };
        let counting = &mut self.scratch.counting;
        if let Some(outer) = counting.open.last_mut() {
            outer.child = open.place;
        }
        counting.open.push(open);
        if !open.is_covered && !tag.attributes.is_empty() {
            self.count_attributes(tag, what, open.place);
        }
    }

    #[cold]
    fn learn_element(&mut self, tag: &Tag<'_>, parent: PlaceId) -> PlaceId {
        let name = self.element_name(tag.at);
        self.scratch.counting.drift.learn(parent, DriftKind::Element, &name, tag.written)
    }

    fn count_attributes(&mut self, tag: &Tag<'_>, what: &State, element: PlaceId) {
        let mut previous = NONE;
        for attribute in tag.attributes {
            if attribute.written == DECLARATION || self.is_taken(attribute, what) {
                continue;
            }
            let drift = &mut self.scratch.counting.drift;
            let place = match drift.find(element, previous, Part::Attribute, attribute.written) {
                Some(place) => place,
                None => {
                    let raw = &self.message[attribute.name.clone()];
                    let name = format!("@{}", self.attribute_name(raw, tag.depth));
                    self.scratch.counting.drift.learn(element, DriftKind::Attribute, &name, attribute.written)
                }
            };
            let drift = &mut self.scratch.counting.drift;
            if drift.count(place) {
                drift.add_example(place, &self.message[attribute.value.clone()]);
            }
            previous = place;
        }
    }

    /// Character data, as it stands in the message.
    #[inline]
    pub(super) fn count_text(&mut self, text: &str) {
        if let Some(open) = self.scratch.counting.open.last_mut()
            && !open.is_text_taken
            && !open.has_text
        {
            open.has_text = !text.bytes().all(|byte| byte.is_ascii_whitespace());
        }
    }

    /// An end tag; `at` and `after` are where the element begins and ends.
    #[inline]
    pub(super) fn count_close(&mut self, at: usize, after: usize) {
        let counting = &mut self.scratch.counting;
        let Some(open) = counting.open.pop().filter(|open| !open.is_text_taken) else { return };
        let place = if open.is_unmapped && !open.has_children {
            open.place
        } else if open.has_text {
            counting.drift.text_of(open.place)
        } else {
            return;
        };
        if counting.drift.count(place)
            && let Some(text) = own_text(&self.message[at..after])
        {
            counting.drift.add_example(place, &text);
        }
    }
}

/// The own text of an element, or as much of it as is enough for an example; none where that cannot be said at once.
#[cold]
fn own_text(element: &str) -> Option<String> {
    let within = &element[..element.floor_char_boundary(EXAMPLE_WITHIN)];
    let mut reader = Reader::from_str(within);
    let (mut text, mut depth, mut at) = (String::new(), 0_usize, 0);
    loop {
        let event = reader.read_event();
        let after = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let is_own = depth == 1;
        match event {
            Ok(Event::Start(_)) => depth += 1,
            Ok(Event::End(_)) if is_own => return Some(text),
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::Empty(_)) if depth == 0 => return Some(text),
            Ok(Event::Text(_)) if is_own => push_normalised(&within[at..after], &mut text),
            Ok(Event::CData(_)) if is_own => {
                push_normalised(&within[at + "<![CDATA[".len()..after - "]]>".len()], &mut text);
            }
            Ok(Event::GeneralRef(_)) if is_own => text.extend(resolve(&within[at + 1..after - 1])),
            Ok(Event::Eof) | Err(_) => return (text.trim_ascii().len() >= EXAMPLE_BYTES).then_some(text),
            Ok(_) => {}
        }
        at = after;
    }
}
