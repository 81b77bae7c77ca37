//! From the elements and texts of a message to the values of columns: the step from state to state, and the gathering
//! of text.

use std::ops::Range;

use super::attributes::Attribute;
use super::chars::Survey;
use super::compile::{DOCUMENT, MESSAGE, NOWHERE, Program, State, StateId, Watch};
use super::drift::{Next, ROOT};
use super::elements::has_content;
use super::fields::Given;
use super::found::{Found, MAX_VIOLATIONS, Place, shortened};
use super::rows::Rows;
use super::scratch::{Capture, Frame, Scratch};
use super::text::{attribute_value, push_normalised, says_nil};
use super::walk::{Checked, Sink, Tag};
use crate::model::violation::Code;
use crate::schema::Schema;

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

/// How a message does.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Rows of the topmost table seen.
    pub(super) rows: u32,
    /// Rows seen, those of child tables too.
    pub(super) seen: u32,
    /// Row elements that did not become rows.
    pub(super) bad_rows: u32,
    /// No row of the message can be good.
    pub(super) is_spoiled: bool,
    /// Bytes that columns hold beyond those of the message: values that rows share, for example.
    pub(super) grown: usize,
    /// What they may be.
    pub(super) may_grow: usize,
    /// What they were when the room for rows was looked at.
    pub(super) looked_at: usize,
    /// What ends the reading of the message, found where nothing can be returned.
    pub(super) fatal: Option<Box<Found>>,
}

impl<'w> Flatten<'w> {
    /// At the beginning of `message`.
    pub(super) fn new(
        program: &'w Program,
        message: &'w str,
        survey: Survey,
        may_grow: usize,
        scratch: &'w mut Scratch,
        rows: &'w mut Rows,
    ) -> Self {
        scratch.frames.clear();
        scratch.own_open = 0;
        scratch.all_open = 0;
        scratch.namespaces.clear();
        scratch.unmapped.clear();
        let tally = Tally { may_grow, ..Tally::default() };
        let mut flatten = Self { program, message, survey, scratch, rows, tally, state: DOCUMENT };
        flatten.begin_instance(MESSAGE, 0);
        flatten
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

    /// Holds the whole message, which is well-formed, to a schema.
    ///
    /// # Errors
    ///
    /// A message that is nested too deep to be held to one.
    pub(super) fn hold_to(&mut self, schema: &Schema) -> Checked {
        let breaches = schema.breaches(self.message, MAX_VIOLATIONS);
        for breach in
            breaches.map_err(|what| Found::fatal(Code::LIMIT_DEPTH, 0, format!("not held to the schema: {what}")))?
        {
            let value = breach.value.as_deref().map(shortened);
            let message = format!("{} ({})", breach.what, breach.rule);
            let place = Place::at(breach.at.unwrap_or(0));
            self.report(Found { value, place, ..Found::at(Code::RULE_XSD, 0, message) });
            // What columns say of it at its end is told as well.
            self.spoil(None, MESSAGE, true);
        }
        Ok(())
    }

    /// An element in which something is to be done.
    #[inline]
    fn enter(&mut self, what: &State, tag: &Tag<'_>) -> Checked {
        if self.tally.fatal.is_some() {
            return self.tally.fatal.take().map_or(Ok(()), Err);
        }
        let is_nil = !tag.attributes.is_empty() && self.is_nil(tag.attributes);
        if is_nil && let Some(frame) = self.scratch.frames.last_mut() {
            frame.is_nil = true;
        }
        for &scope in &what.begins {
            self.begin(scope, tag.at, is_nil)?;
        }
        if !what.text.is_empty() {
            capture(&mut self.scratch.own, &mut self.scratch.own_open, tag.depth);
        }
        if !what.all_text.is_empty() {
            capture(&mut self.scratch.all, &mut self.scratch.all_open, tag.depth);
        }
        if !tag.attributes.is_empty() && !what.attributes.is_empty() {
            self.take_attributes(what, tag.attributes);
        }
        Ok(())
    }

    fn is_nil(&self, attributes: &[Attribute]) -> bool {
        let nil = attributes.iter().find(|attribute| attribute.id == self.program.nil);
        nil.is_some_and(|nil| says_nil(&self.message[nil.value.clone()]))
    }

    fn take_attributes(&mut self, what: &State, attributes: &[Attribute]) {
        for &(wanted, column) in &what.attributes {
            let Some(attribute) = attributes.iter().find(|attribute| attribute.id == wanted) else { continue };
            let raw = &self.message[attribute.value.clone()];
            let place = Place { at: attribute.value.start, attribute: Some(attribute.name.clone()) };
            if !raw.bytes().any(|byte| matches!(byte, b'&' | b'\t' | b'\n' | b'\r')) {
                self.put(column, Given::Text(raw), &place);
                continue;
            }
            let mut value = std::mem::take(&mut self.scratch.value);
            value.clear();
            // Its references were found good when the tag was read.
            if attribute_value(raw, Some(&mut value)).is_ok() {
                self.put(column, Given::Text(&value), &place);
            }
            self.scratch.value = value;
        }
    }

    /// The element ends in which something was done.
    #[inline]
    fn leave(&mut self, what: &State, at: usize, after: usize) {
        if self.scratch.frames.last().is_some_and(|frame| frame.is_nil) {
            self.leave_nil(what, at, after);
        } else {
            for &column in &what.elements {
                self.put(column, Given::Element(at, after), &Place::at(at));
            }
            if !what.all_text.is_empty() {
                self.scratch.all_open -= 1;
                let open = self.scratch.all_open;
                let gathered = std::mem::take(&mut self.scratch.all[open].gathered);
                let place = Place::at(gathered.start().unwrap_or(at));
                for &column in &what.all_text {
                    self.put(column, Given::Text(gathered.text(self.message)), &place);
                }
                self.scratch.all[open].gathered = gathered;
            }
            if !what.text.is_empty() {
                self.scratch.own_open -= 1;
                let open = self.scratch.own_open;
                let gathered = std::mem::take(&mut self.scratch.own[open].gathered);
                let place = Place::at(gathered.start().unwrap_or(at));
                for &column in &what.text {
                    self.put(column, Given::Text(gathered.text(self.message)), &place);
                }
                self.scratch.own[open].gathered = gathered;
            }
        }
        for &scope in what.begins.iter().rev() {
            self.end(scope, at);
        }
    }

    /// An element that is nil ends: what would have been its value is null, and there may be nothing in it.
    #[cold]
    fn leave_nil(&mut self, what: &State, at: usize, after: usize) {
        self.scratch.all_open -= usize::from(!what.all_text.is_empty());
        self.scratch.own_open -= usize::from(!what.text.is_empty());
        let is_full = has_content(&self.message[at..after]);
        for &column in what.elements.iter().chain(&what.all_text).chain(&what.text) {
            self.put(column, Given::Nil { is_full }, &Place::at(at));
        }
        if is_full {
            self.judge_nil_scopes(what, at);
        }
    }
}

fn capture(captures: &mut Vec<Capture>, open: &mut usize, depth: usize) {
    if *open == captures.len() {
        captures.push(Capture::default());
    }
    let capture = &mut captures[*open];
    capture.depth = depth;
    capture.gathered.clear();
    *open += 1;
}

impl Sink for Flatten<'_> {
    #[inline]
    fn open(&mut self, tag: &Tag<'_>) -> Checked {
        let program = self.program;
        let state = program.moves.step(self.state, tag.name, tag.attributes, self.message);
        if tag.depth == 1 && state == NOWHERE {
            self.wrong_root(tag.at);
        }
        let what = program.state(state);
        let (outer, marks) = (self.state, what.marks);
        self.scratch.frames.push(Frame { outer, at: tag.at, is_nil: false, marks, place: ROOT, next: Next::default() });
        self.state = state;
        if !what.is_quiet {
            self.enter(what, tag)?;
        }
        match program.watch {
            Watch::Off => Ok(()),
            Watch::Count => {
                self.count_open(tag, what);
                Ok(())
            }
            Watch::Reject | Watch::Collect(_) => self.watch_open(tag, state),
        }
    }

    #[inline]
    fn text(&mut self, range: Range<usize>) {
        match self.program.watch {
            Watch::Off => {}
            Watch::Count => self.count_text(&self.message.as_bytes()[range.clone()]),
            Watch::Reject | Watch::Collect(_) => self.watch_text(range.clone(), self.survey.has_carriage_return),
        }
        let depth = self.scratch.frames.len();
        let message = self.message;
        let own = self.scratch.own[..self.scratch.own_open].last_mut().filter(|capture| capture.depth == depth);
        if own.is_none() && self.scratch.all_open == 0 {
            return;
        }
        let has_carriage_return = self.survey.has_carriage_return && message[range.clone()].contains('\r');
        let take = |capture: &mut Capture| {
            if has_carriage_return {
                push_normalised(&message[range.clone()], capture.gathered.join(message));
            } else {
                capture.gathered.add(message, range.clone());
            }
        };
        // Two steps and no chain of both: this is run for nearly every value.
        if let Some(own) = own {
            take(own);
        }
        self.scratch.all[..self.scratch.all_open].iter_mut().for_each(take);
    }

    fn character(&mut self, character: char) {
        match self.program.watch {
            Watch::Off => {}
            Watch::Count => self.count_text(character.encode_utf8(&mut [0; 4]).as_bytes()),
            Watch::Reject | Watch::Collect(_) => self.watch_character(character),
        }
        let depth = self.scratch.frames.len();
        let message = self.message;
        let own = self.scratch.own[..self.scratch.own_open].last_mut().filter(|capture| capture.depth == depth);
        let captures = own.into_iter().chain(&mut self.scratch.all[..self.scratch.all_open]);
        captures.for_each(|capture| capture.gathered.join(message).push(character));
    }

    #[inline]
    fn close(&mut self, at: usize, after: usize) {
        let program = self.program;
        let what = program.state(self.state);
        match program.watch {
            Watch::Off => {}
            Watch::Count => self.count_close(at, after),
            Watch::Reject | Watch::Collect(_) => self.watch_close(at),
        }
        if !what.is_quiet {
            self.leave(what, at, after);
        }
        self.state = self.scratch.frames.pop().map_or(DOCUMENT, |frame| frame.outer);
    }
}
