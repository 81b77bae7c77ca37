//! `unmapped = "count"`: what no column takes, counted by path. What is unmapped is the same as everywhere (see
//! `unmapped`); here it costs as little as can be, because it is a setting for every day.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::compile::{COVERED, Marks, State, TEXT_TAKEN, UNMAPPED};
use super::drift::{Next, Part, PlaceId, ROOT};
use super::flatten::Flatten;
use super::names::DECLARATION;
use super::scratch::{Frame, Scratch};
use super::text::{push_normalised, resolve};
use super::walk::Tag;
use crate::model::batch::DriftKind;

/// Bytes of an element that are looked at for an example of its text.
const EXAMPLE_WITHIN: usize = 4096;

/// Bytes of text that are enough for an example.
const EXAMPLE_BYTES: usize = 1024;

/// There is an element in it.
const HAS_CHILDREN: Marks = 8;
/// Its own text is not blank.
const HAS_TEXT: Marks = 16;

impl Flatten<'_> {
    /// A start tag, whose element is the innermost open one now.
    #[inline]
    pub(super) fn count_open(&mut self, tag: &Tag<'_>, what: &State) {
        let Scratch { frames, drift, .. } = &mut *self.scratch;
        let [.., outer, own] = &mut frames[..] else { return self.count_root(tag, what) };
        if outer.marks & COVERED != 0 {
            own.marks = COVERED | TEXT_TAKEN;
            return;
        }
        outer.marks |= HAS_CHILDREN;
        let found = match what.row {
            None => drift.find(outer.place, &mut outer.next, Part::Child, tag.written),
            Some(table) => Some(drift.row(table, &mut outer.next)),
        };
        let place = match found {
            Some(place) => place,
            None => self.learn_element(tag),
        };
        self.count_inside(tag, what, place);
    }

    /// The start tag of the root element.
    #[cold]
    fn count_root(&mut self, tag: &Tag<'_>, what: &State) {
        if what.marks & UNMAPPED != 0 {
            // Of a message with another root nothing is looked at.
            self.scratch.frames.iter_mut().for_each(|own| own.marks = COVERED | TEXT_TAKEN);
            return;
        }
        let place = what.row.map_or(ROOT, |table| self.scratch.drift.row(table, &mut Next::default()));
        self.count_inside(tag, what, place);
    }

    #[inline]
    fn count_inside(&mut self, tag: &Tag<'_>, what: &State, place: PlaceId) {
        let Scratch { frames, drift, .. } = &mut *self.scratch;
        if let Some(own) = frames.last_mut() {
            (own.place, own.next) = (place, drift.first(place, Part::Child));
        }
        if !tag.attributes.is_empty() && what.marks & COVERED == 0 {
            self.count_attributes(tag, what, place);
        }
    }

    #[cold]
    fn learn_element(&mut self, tag: &Tag<'_>) -> PlaceId {
        self.follow_namespaces(usize::MAX);
        let Scratch { frames, drift, namespaces, .. } = &mut *self.scratch;
        let [.., outer, _] = &mut frames[..] else { return ROOT };
        let name = namespaces.element_name(self.message, &self.program.prefixes, (tag.depth, tag.at));
        drift.learn(outer.place, &mut outer.next, DriftKind::Element, name, tag.written)
    }

    fn count_attributes(&mut self, tag: &Tag<'_>, what: &State, element: PlaceId) {
        let mut next = self.scratch.drift.first(element, Part::Attribute);
        for attribute in tag.attributes {
            if attribute.written == DECLARATION || self.is_taken(attribute, what) {
                continue;
            }
            let place = match self.scratch.drift.find(element, &mut next, Part::Attribute, attribute.written) {
                Some(place) => place,
                None => {
                    self.follow_namespaces(usize::MAX);
                    let Scratch { drift, namespaces, .. } = &mut *self.scratch;
                    let raw = &self.message[attribute.name.clone()];
                    let name = namespaces.attribute_name(self.message, &self.program.prefixes, raw);
                    drift.learn(element, &mut next, DriftKind::Attribute, name, attribute.written)
                }
            };
            if self.scratch.drift.count(place) {
                self.scratch.drift.add_example(place, &self.message[attribute.value.clone()]);
            }
        }
    }

    /// Character data, as it stands in the message.
    #[inline]
    pub(super) fn count_text(&mut self, text: &[u8]) {
        if let Some(own) = self.scratch.frames.last_mut()
            && own.marks & (TEXT_TAKEN | HAS_TEXT) == 0
            && !is_blank(text)
        {
            own.marks |= HAS_TEXT;
        }
    }

    /// An end tag; `at` and `after` are where the element begins and ends.
    #[inline]
    pub(super) fn count_close(&mut self, at: usize, after: usize) {
        let Scratch { frames, drift, .. } = &mut *self.scratch;
        let Some(&Frame { place, marks, .. }) = frames.last() else { return };
        let place = if marks & (UNMAPPED | HAS_CHILDREN) == UNMAPPED {
            place
        } else if marks & (HAS_TEXT | TEXT_TAKEN) == HAS_TEXT {
            drift.text_of(place)
        } else {
            return;
        };
        if drift.count(place)
            && let Some(text) = own_text(&self.message[at..after])
        {
            drift.add_example(place, &text);
        }
    }
}

/// Whether a text that XML allows is white space alone.
#[inline]
fn is_blank(text: &[u8]) -> bool {
    /// Brings a byte beyond a blank to its highest bit. A carry comes only from a byte that has that bit already.
    const BEYOND: u64 = 0x5f5f_5f5f_5f5f_5f5f;
    const HIGHEST: u64 = 0x8080_8080_8080_8080;
    let is_blank = |eight: &[u8; 8]| {
        let bytes = u64::from_le_bytes(*eight);
        (bytes | bytes.wrapping_add(BEYOND)) & HIGHEST == 0
    };
    match text.last_chunk() {
        Some(last) => text.as_chunks().0.iter().all(is_blank) && is_blank(last),
        None => text.iter().all(|&byte| byte <= b' '),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_told_from_text() {
        for len in 0..40 {
            let blank: Vec<u8> = b" \n\t\r".iter().copied().cycle().take(len).collect();
            assert!(is_blank(&blank));
            for at in 0..len {
                for byte in [b'!', b'x', 0x7f, 0x80, 0xa1, 0xff] {
                    let mut text = blank.clone();
                    text[at] = byte;
                    assert!(!is_blank(&text), "{byte} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn an_example_is_the_own_text_or_enough_of_it() {
        for (element, text) in
            [("<a/>", Some("")), ("<a k='>'> x<!-- c --><b>y</b>&amp;<![CDATA[<]]>\r\n</a>", Some(" x&<\n"))]
        {
            assert_eq!(own_text(element).as_deref(), text);
        }
        let filler = "<b>é</b>".repeat(EXAMPLE_WITHIN);
        assert_eq!(own_text(&format!("<a>x{filler}</a>")), None);
        assert!(own_text(&format!("<a>{}</a>", "é".repeat(EXAMPLE_WITHIN))).is_some());
    }
}
