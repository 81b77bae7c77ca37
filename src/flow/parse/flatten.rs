//! From the elements and texts of a message to the values of columns: the step from state to state, and the gathering
//! of text.

use std::ops::Range;

use super::attributes::Attribute;
use super::chars::Survey;
use super::compile::{ColumnId, DOCUMENT, NOWHERE, Program, StateId};
use super::fields::Tally;
use super::found::{Found, Place};
use super::machine::{Capture, Scratch};
use super::rows::Rows;
use super::text::{attribute_value, push_normalised};
use super::walk::{Checked, Sink, Tag};
use crate::model::violation::Code;

/// The rows of one message while it is read.
pub(super) struct Flatten<'w> {
    pub(super) program: &'w Program,
    pub(super) message: &'w str,
    survey: Survey,
    pub(super) scratch: &'w mut Scratch,
    pub(super) rows: &'w mut Rows,
    pub(super) tally: Tally,
    /// State inside the innermost open element.
    state: StateId,
}

impl<'w> Flatten<'w> {
    /// At the beginning of `message`.
    pub(super) fn new(
        program: &'w Program,
        message: &'w str,
        survey: Survey,
        scratch: &'w mut Scratch,
        rows: &'w mut Rows,
    ) -> Self {
        scratch.states.clear();
        scratch.open = 0;
        let tally = Tally::new(rows.len());
        Self { program, message, survey, scratch, rows, tally, state: DOCUMENT }
    }

    #[inline]
    fn each_capture(&mut self, mut add: impl FnMut(&str, &mut Capture)) {
        let depth = self.scratch.states.len();
        for capture in &mut self.scratch.captures[..self.scratch.open] {
            if capture.takes_all || capture.depth == depth {
                add(self.message, capture);
            }
        }
    }

    fn wrong_root(&mut self, at: usize) {
        let expected = self.program.root.as_ref().map(|root| match &root.namespace {
            Some(namespace) => format!("{} of {namespace}", root.local),
            None => root.local.to_string(),
        });
        let what = format!("the root element is not the one expected, {}", expected.unwrap_or_default());
        self.report(Found::at(Code::SHAPE_ROOT, at, what));
        self.tally.is_spoiled = true;
    }

    fn capture(&mut self, depth: usize, takes_all: bool) {
        let scratch = &mut *self.scratch;
        if scratch.open == scratch.captures.len() {
            scratch.captures.push(Capture::default());
        }
        let capture = &mut scratch.captures[scratch.open];
        capture.depth = depth;
        capture.takes_all = takes_all;
        capture.gathered.clear();
        scratch.open += 1;
    }

    fn take_attributes(&mut self, state: StateId, attributes: &[Attribute]) {
        let program = self.program;
        for &(wanted, column) in &program.state(state).attributes {
            let Some(attribute) = attributes.iter().find(|attribute| attribute.id == wanted) else { continue };
            let raw = &self.message[attribute.value.clone()];
            let place = Place { at: attribute.value.start, attribute: Some(attribute.name.clone()) };
            if !raw.bytes().any(|byte| matches!(byte, b'&' | b'\t' | b'\n' | b'\r')) {
                self.put(column, raw, &place);
                continue;
            }
            let mut value = std::mem::take(&mut self.scratch.value);
            value.clear();
            // Its references were found good when the tag was read.
            if attribute_value(raw, Some(&mut value)).is_ok() {
                self.put(column, &value, &place);
            }
            self.scratch.value = value;
        }
    }

    #[inline]
    fn finish_capture(&mut self, columns: &[ColumnId], depth: usize, at: usize) {
        self.scratch.open -= 1;
        let open = self.scratch.open;
        debug_assert_eq!(self.scratch.captures[open].depth, depth);
        let gathered = std::mem::take(&mut self.scratch.captures[open].gathered);
        let place = Place::at(gathered.start().unwrap_or(at));
        for &column in columns {
            self.put(column, gathered.text(self.message), &place);
        }
        self.scratch.captures[open].gathered = gathered;
    }
}

impl Sink for Flatten<'_> {
    #[inline]
    fn open(&mut self, tag: &Tag<'_>) -> Checked {
        let program = self.program;
        let state = program.step(self.state, tag.name);
        if tag.depth == 1 && state == NOWHERE {
            self.wrong_root(tag.at);
        }
        self.scratch.states.push(self.state);
        self.state = state;
        let what = program.state(state);
        if what.is_row {
            self.begin_row(tag.at)?;
        }
        if !what.text.is_empty() {
            self.capture(tag.depth, false);
        }
        if !what.all_text.is_empty() {
            self.capture(tag.depth, true);
        }
        if !tag.attributes.is_empty() && !what.attributes.is_empty() {
            self.take_attributes(state, tag.attributes);
        }
        Ok(())
    }

    #[inline]
    fn text(&mut self, range: Range<usize>) {
        if self.scratch.open == 0 {
            return;
        }
        if self.survey.has_carriage_return && self.message[range.clone()].contains('\r') {
            let text = &self.message[range];
            self.each_capture(|message, capture| push_normalised(text, capture.gathered.join(message)));
        } else {
            self.each_capture(|message, capture| capture.gathered.add(message, range.clone()));
        }
    }

    fn character(&mut self, character: char) {
        self.each_capture(|message, capture| capture.gathered.join(message).push(character));
    }

    #[inline]
    fn close(&mut self, at: usize, _after: usize) {
        let depth = self.scratch.states.len();
        let program = self.program;
        let what = program.state(self.state);
        // Captures close in the opposite order of their opening.
        if !what.all_text.is_empty() {
            self.finish_capture(&what.all_text, depth, at);
        }
        if !what.text.is_empty() {
            self.finish_capture(&what.text, depth, at);
        }
        if what.is_row {
            self.end_row(at);
        }
        self.state = self.scratch.states.pop().unwrap_or(DOCUMENT);
    }
}
