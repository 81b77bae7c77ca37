//! The root element of a message, from its first bytes.

use std::ops::Range;
use std::sync::Arc;

use super::chars::{self, Survey};
use super::decode::readable;
use super::found::Found;
use super::locate;
use super::names::{NameId, Names, Vocabulary};
use super::walk::{Checked, Sink, Tag, Walk, WalkMemory};
use super::well_formed::admit;
use crate::model::mapping::{Dtd, Limits};
use crate::model::violation::{Code, Violation};

/// Bytes that are looked at first: nearly every start tag of a root element ends within them.
const FIRST: usize = 1024;

/// Longest payload that is looked at.
const LONGEST: u64 = 1 << 30;

/// Looks for root elements. Keeps nothing of a message but memory, and names it has seen.
#[derive(Debug)]
pub(super) struct Peek {
    names: Names,
    memory: WalkMemory,
    limits: Limits,
}

impl Peek {
    /// Names are told as those of `roots`.
    pub(super) fn new(roots: Arc<Vocabulary>) -> Self {
        // Whether a message is too large, or may have a DTD, is for the table to say that takes it.
        let (attributes, bindings, name) = (u32::MAX, u32::MAX, u32::MAX);
        let limits = Limits { bytes: LONGEST, attributes, bindings, name, text: LONGEST, ..Limits::default() };
        Self { names: Names::new(roots), memory: WalkMemory::default(), limits }
    }

    /// The name of the root element. What follows its start tag is not looked at.
    ///
    /// # Errors
    ///
    /// Why there is none, or none that can be reached.
    pub(super) fn root(&mut self, payload: &[u8]) -> Result<NameId, Box<Found>> {
        if let Some(Ok(name)) = payload.get(..FIRST).map(|first| self.look(first)) {
            return Ok(name);
        }
        self.look(payload).map_err(|found| admit(payload, &self.limits).err().unwrap_or(found))
    }

    /// What is wrong with a message, for people.
    pub(super) fn violation(&self, payload: &[u8], found: Found) -> Violation {
        locate::violation(payload, found, &self.limits)
    }

    fn look(&mut self, bytes: &[u8]) -> Result<NameId, Box<Found>> {
        // The text before the first byte that cannot be in a message: there may be a root element in front of it.
        let (text, _) = readable(bytes, self.limits.bytes);
        let (text, survey, cut) = match chars::survey(&text) {
            Ok(survey) => (&*text, survey, None),
            Err(found) => {
                let text = &text[..found.place.at];
                let survey = Survey { has_carriage_return: true, has_cdata_end: true, is_ascii: text.is_ascii() };
                (text, survey, Some(found))
            }
        };
        let mut root = Root::default();
        self.names.tidy();
        let rules = (&self.limits, Dtd::IgnoreExternal);
        let read = Walk::new(text, survey, rules, &mut self.names, &mut self.memory, &mut root).run();
        match (root.name, cut, read) {
            (Some(name), _, _) => Ok(name),
            (None, Some(found), _) | (None, None, Err(found)) => Err(found),
            (None, None, Ok(())) => Err(Found::fatal(Code::XML_NO_ROOT, 0, "the message has no root element")),
        }
    }
}

/// Ends the reading at the first start tag.
#[derive(Default)]
struct Root {
    name: Option<NameId>,
}

impl Sink for Root {
    fn open(&mut self, tag: &Tag<'_>) -> Checked {
        self.name = Some(tag.name);
        // Nobody sees it: the name is the answer.
        Err(Found::fatal(Code::SHAPE_ROOT, tag.at, String::new()))
    }

    fn text(&mut self, _: Range<usize>) {}

    fn character(&mut self, _: char) {}

    fn close(&mut self, _: usize, _: usize) {}
}
