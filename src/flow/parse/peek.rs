//! The root element of a message, from its first bytes.

use std::ops::Range;
use std::sync::Arc;

use super::chars::{self, Survey};
use super::found::Found;
use super::machine::without_bom;
use super::names::{NameId, Names, Vocabulary};
use super::walk::{Checked, Sink, Tag, Walk, WalkMemory};
use crate::model::mapping::Limits;
use crate::model::violation::Code;

/// Bytes that are looked at first: nearly every start tag of a root element ends within them.
const FIRST: usize = 1024;

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
        // Whether a message is too large is for the table to say that takes it.
        let limits = Limits { attributes: u32::MAX, bindings: u32::MAX, name: u32::MAX, ..Limits::default() };
        Self { names: Names::new(roots), memory: WalkMemory::default(), limits }
    }

    /// The name of the root element. What follows its start tag is not looked at.
    ///
    /// # Errors
    ///
    /// Why there is none, or none that can be reached.
    pub(super) fn root(&mut self, payload: &[u8]) -> Result<NameId, Box<Found>> {
        if payload.is_empty() {
            return Err(Found::fatal(Code::XML_EMPTY, 0, "the payload is empty"));
        }
        match payload.get(..FIRST).map(|first| self.look(first)) {
            Some(Ok(name)) => Ok(name),
            Some(Err(_)) | None => self.look(payload),
        }
    }

    fn look(&mut self, bytes: &[u8]) -> Result<NameId, Box<Found>> {
        let bytes = without_bom(bytes);
        let (text, cut) = readable(bytes);
        // Only text behind the root's start tag depends on what a survey finds.
        let survey = Survey { has_carriage_return: true, has_cdata_end: true, is_ascii: text.is_ascii() };
        let mut root = Root::default();
        self.names.tidy();
        let read = Walk::new(text, survey, &self.limits, &mut self.names, &mut self.memory, &mut root).run();
        match (root.name, cut, read) {
            (Some(name), _, _) => Ok(name),
            (None, Some(found), _) | (None, None, Err(found)) => Err(found),
            (None, None, Ok(())) => Err(Found::fatal(Code::XML_NO_ROOT, 0, "the message has no root element")),
        }
    }
}

/// The text before the first byte that no message may hold, and what is wrong with that.
fn readable(bytes: &[u8]) -> (&str, Option<Box<Found>>) {
    let (text, cut) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let what = "the payload is not UTF-8; only UTF-8 is read";
            let found = Found::fatal(Code::XML_ENCODING, error.valid_up_to(), what);
            (std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(), Some(found))
        }
    };
    match chars::survey(text) {
        Ok(_) => (text, cut),
        Err(at) => {
            let what = "the message holds a character that XML does not allow";
            let found = Found::fatal(Code::XML_CHARACTER, at, what);
            (&text[..at], cut.or(Some(found)))
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
