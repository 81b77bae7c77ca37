//! The way through one message, event by event: its shape as a document, and the step from state to state.
//!
//! quick-xml goes on after errors of well-formedness and lets much pass that XML does not allow; here the first error
//! ends the reading, and what quick-xml does not look at is checked.

use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::attributes;
use super::chars::{Survey, is_space};
use super::compile::{DOCUMENT, NOWHERE, Program, StateId};
use super::declaration;
use super::fields::Tally;
use super::found::{Found, Place};
use super::machine::{Capture, Scratch};
use super::names::{NO_SCOPE, NameId, Names, Resolved, ScopeId, declared_prefix};
use super::refusals::{bad_name, broken, check_target, dtd, text_outside};
use super::rows::Rows;
use super::text::{attribute_value, push_normalised, resolve};
use crate::model::violation::Code;

/// An open element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    state: StateId,
    scope: ScopeId,
    /// Where its start tag begins.
    at: usize,
}

/// The reading of one message.
pub(super) struct Walk<'w> {
    pub(super) program: &'w Program,
    pub(super) message: &'w str,
    survey: Survey,
    names: &'w mut Names,
    pub(super) scratch: &'w mut Scratch,
    pub(super) rows: &'w mut Rows,
    pub(super) tally: Tally,
    /// State and scope inside the innermost open element.
    state: StateId,
    scope: ScopeId,
    has_root: bool,
}

type Checked = Result<(), Box<Found>>;

impl<'w> Walk<'w> {
    /// At the beginning of `message`.
    pub(super) fn new(
        program: &'w Program,
        message: &'w str,
        survey: Survey,
        names: &'w mut Names,
        scratch: &'w mut Scratch,
        rows: &'w mut Rows,
    ) -> Self {
        scratch.frames.clear();
        scratch.open = 0;
        let tally = Tally::new(rows.len());
        Self {
            program,
            message,
            survey,
            names,
            scratch,
            rows,
            tally,
            state: DOCUMENT,
            scope: NO_SCOPE,
            has_root: false,
        }
    }

    /// Goes through the whole message.
    ///
    /// # Errors
    ///
    /// The first breach of well-formedness or of a limit.
    pub(super) fn run(&mut self) -> Checked {
        let mut reader = Reader::from_str(self.message);
        reader.config_mut().check_comments = true;
        let mut at = 0;
        loop {
            let event = reader.read_event();
            // A message is at most a gigabyte.
            let after = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
            match event {
                Ok(Event::Text(_)) => self.text(at..after)?,
                Ok(Event::Start(tag)) => self.open(at, tag.name().as_ref().len(), after - 1, false)?,
                Ok(Event::End(_)) => self.close(),
                Ok(Event::Empty(tag)) => self.open(at, tag.name().as_ref().len(), after - 2, true)?,
                Ok(Event::GeneralRef(_)) => self.reference(at, &self.message[at + 1..after - 1])?,
                Ok(Event::CData(_)) => self.cdata(at, at + "<![CDATA[".len()..after - "]]>".len())?,
                Ok(Event::Comment(_)) => {}
                Ok(Event::PI(instruction)) => check_target(instruction.target(), at)?,
                Ok(Event::Decl(_)) => self.declaration(at, after)?,
                Ok(Event::DocType(_)) => return Err(dtd(at)),
                Ok(Event::Eof) => return self.end(),
                Err(error) => {
                    let error_at = usize::try_from(reader.error_position()).unwrap_or(at);
                    return Err(broken(&error, error_at.max(at)));
                }
            }
            at = after;
        }
    }

    fn end(&self) -> Checked {
        match self.scratch.frames.last() {
            Some(_) => {
                let what = "the message ends before all its elements are closed";
                Err(Found::fatal(Code::XML_UNCLOSED, self.message.len(), what))
            }
            None if !self.has_root => Err(Found::fatal(Code::XML_NO_ROOT, 0, "the message has no root element")),
            None => Ok(()),
        }
    }

    fn declaration(&mut self, at: usize, after: usize) -> Checked {
        if at != 0 {
            return Err(Found::fatal(Code::XML_DECLARATION, at, "an XML declaration stands where none may be"));
        }
        let inside = at + "<?xml".len()..after - "?>".len();
        declaration::check(self.message, inside.start, inside.end, self.survey.is_ascii, &mut self.scratch.attributes)
    }

    #[inline]
    fn text(&mut self, range: Range<usize>) -> Checked {
        if self.scratch.frames.is_empty() {
            return self.outside_root(range);
        }
        if self.survey.has_cdata_end
            && let Some(at) = memchr::memmem::find(self.message[range.clone()].as_bytes(), b"]]>")
        {
            return Err(Found::fatal(
                Code::XML_SYNTAX,
                range.start + at,
                "text holds ]]>, which must be written ]]&gt;",
            ));
        }
        self.gather(&range);
        Ok(())
    }

    fn outside_root(&self, range: Range<usize>) -> Checked {
        match self.message[range.clone()].bytes().position(|byte| !is_space(byte)) {
            None => Ok(()),
            Some(at) => Err(text_outside(range.start + at)),
        }
    }

    fn cdata(&mut self, at: usize, range: Range<usize>) -> Checked {
        if self.scratch.frames.is_empty() {
            return Err(text_outside(at));
        }
        self.gather(&range);
        Ok(())
    }

    fn reference(&mut self, at: usize, name: &str) -> Checked {
        if self.scratch.frames.is_empty() {
            return Err(text_outside(at));
        }
        let character = resolve(name).map_err(|what| Found::fatal(Code::XML_REFERENCE, at, what))?;
        self.each_capture(|message, capture| capture.gathered.join(message).push(character));
        Ok(())
    }

    #[inline]
    fn gather(&mut self, range: &Range<usize>) {
        if self.scratch.open == 0 {
            return;
        }
        if self.survey.has_carriage_return && self.message[range.clone()].contains('\r') {
            let text = &self.message[range.clone()];
            self.each_capture(|message, capture| push_normalised(text, capture.gathered.join(message)));
        } else {
            self.each_capture(|message, capture| capture.gathered.add(message, range.clone()));
        }
    }

    #[inline]
    fn each_capture(&mut self, mut add: impl FnMut(&str, &mut Capture)) {
        let depth = self.scratch.frames.len();
        for capture in &mut self.scratch.captures[..self.scratch.open] {
            if capture.takes_all || capture.depth == depth {
                add(self.message, capture);
            }
        }
    }

    /// A start tag, or an empty-element tag, from `<` at `at` to `end`, where `>` or `/>` stands.
    #[inline]
    fn open(&mut self, at: usize, name_len: usize, end: usize, is_empty: bool) -> Checked {
        let name_end = at + 1 + name_len;
        let name = &self.message[at + 1..name_end];
        let outer = self.scope;
        let has_attributes = name_end != end;
        if has_attributes {
            if name.is_empty() {
                return Err(bad_name(Resolved::Malformed, at, "element"));
            }
            self.scan_attributes(name_end..end)?;
        }
        let id = match self.names.element(self.scope, name) {
            Resolved::Name(id) => id,
            bad => return Err(bad_name(bad, at, "element")),
        };
        let state = self.enter(at, id)?;
        self.scratch.frames.push(Frame { state: self.state, scope: outer, at });
        let depth = self.scratch.frames.len();
        if depth > self.program.limits.depth as usize {
            let what = format!("elements are nested deeper than {} levels (limits.depth)", self.program.limits.depth);
            return Err(Found::fatal(Code::LIMIT_DEPTH, at, what));
        }
        self.state = state;
        let program = self.program;
        let what = program.state(state);
        if what.is_row {
            self.begin_row(at)?;
        }
        if !what.text.is_empty() {
            self.capture(depth, false);
        }
        if !what.all_text.is_empty() {
            self.capture(depth, true);
        }
        if has_attributes {
            self.take_attributes(state)?;
        }
        if is_empty {
            self.close();
        }
        Ok(())
    }

    /// The state inside a child of that name, with the checks on the root.
    #[inline]
    fn enter(&mut self, at: usize, name: NameId) -> Result<StateId, Box<Found>> {
        if !self.scratch.frames.is_empty() {
            return Ok(self.program.step(self.state, name));
        }
        if self.has_root {
            return Err(Found::fatal(Code::XML_SECOND_ROOT, at, "a second element follows the root element"));
        }
        self.has_root = true;
        let state = self.program.step(DOCUMENT, name);
        if state == NOWHERE {
            let expected = self.program.root.as_ref().map(|root| match &root.namespace {
                Some(namespace) => format!("{} of {namespace}", root.local),
                None => root.local.to_string(),
            });
            let what = format!("the root element is not the one expected, {}", expected.unwrap_or_default());
            self.report(Found::at(Code::SHAPE_ROOT, at, what));
            self.tally.is_spoiled = true;
        }
        Ok(state)
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

    fn scan_attributes(&mut self, range: Range<usize>) -> Checked {
        let scratch = &mut *self.scratch;
        attributes::scan(self.message, range.clone(), &mut scratch.attributes)
            .map_err(|defect| Found::fatal(Code::XML_ATTRIBUTE, defect.at, defect.what))?;
        let limit = self.program.limits.attributes;
        if scratch.attributes.len() > limit as usize {
            let what = format!("an element has more than {limit} attributes (limits.attributes)");
            return Err(Found::fatal(Code::LIMIT_ATTRIBUTES, range.start, what));
        }
        if scratch.attributes.iter().any(|attribute| declared_prefix(&self.message[attribute.name.clone()]).is_some()) {
            self.scope = self
                .names
                .declare(self.scope, self.message, &scratch.attributes)
                .map_err(|defect| Found::fatal(Code::XML_NAMESPACE, defect.at, defect.what))?;
        }
        Ok(())
    }

    fn take_attributes(&mut self, state: StateId) -> Checked {
        let program = self.program;
        let wanted = &program.state(state).attributes;
        let attributes = std::mem::take(&mut self.scratch.attributes);
        for attribute in &attributes {
            let name = &self.message[attribute.name.clone()];
            let raw = &self.message[attribute.value.clone()];
            let bad_value =
                |(at, what): (usize, &str)| Found::fatal(Code::XML_REFERENCE, attribute.value.start + at, what);
            if declared_prefix(name).is_some() {
                continue;
            }
            let id = match self.names.attribute(self.scope, name) {
                Resolved::Name(id) => id,
                bad => return Err(bad_name(bad, attribute.name.start, "attribute")),
            };
            if !wanted.iter().any(|&(wanted, _)| wanted == id) {
                attribute_value(raw, None).map_err(bad_value)?;
                continue;
            }
            let place = Place { at: attribute.value.start, attribute: Some(attribute.name.clone()) };
            let is_plain = !raw.bytes().any(|byte| matches!(byte, b'&' | b'\t' | b'\n' | b'\r'));
            let mut value = std::mem::take(&mut self.scratch.value);
            let text = if is_plain {
                raw
            } else {
                value.clear();
                attribute_value(raw, Some(&mut value)).map_err(bad_value)?;
                &value
            };
            for &(_, column) in wanted.iter().filter(|(wanted, _)| *wanted == id) {
                self.put(column, text, &place);
            }
            self.scratch.value = value;
        }
        self.scratch.attributes = attributes;
        Ok(())
    }

    /// An end tag. quick-xml has seen to it that it is that of the innermost open element.
    #[inline]
    fn close(&mut self) {
        let depth = self.scratch.frames.len();
        let Some(frame) = self.scratch.frames.pop() else { return };
        let program = self.program;
        let what = program.state(self.state);
        // Captures close in the opposite order of their opening.
        if !what.all_text.is_empty() {
            self.finish_capture(&what.all_text, depth, frame.at);
        }
        if !what.text.is_empty() {
            self.finish_capture(&what.text, depth, frame.at);
        }
        if what.is_row {
            self.end_row(frame.at);
        }
        self.state = frame.state;
        if self.scope != frame.scope {
            self.names.leave(self.scope);
            self.scope = frame.scope;
        }
    }

    #[inline]
    fn finish_capture(&mut self, columns: &[u16], depth: usize, at: usize) {
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
