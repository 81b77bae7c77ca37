//! The way through one message, event by event: its shape as a document, and every rule of well-formedness.
//!
//! quick-xml goes on after errors of well-formedness and lets much pass that XML does not allow; here the first error
//! ends the reading, and what quick-xml does not look at is checked. What the message says is handed to a [`Sink`].

use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::attributes::{self, Attribute};
use super::chars::{Survey, is_space};
use super::declaration;
use super::found::Found;
use super::names::{NO_SCOPE, NameId, Names, OTHER, Resolved, ScopeId, declared_prefix};
use super::refusals::{bad_name, broken, check_target, dtd, text_outside};
use super::text::{attribute_value, resolve};
use crate::model::mapping::Limits;
use crate::model::violation::Code;

/// Nothing, or what ends the reading of a message.
pub(super) type Checked = Result<(), Box<Found>>;

/// Takes what a message says, as far as it is well-formed.
pub(super) trait Sink {
    /// A start tag; that of an empty element is followed by [`Sink::close`] at once.
    ///
    /// # Errors
    ///
    /// A limit that is the sink's.
    fn open(&mut self, tag: &Tag<'_>) -> Checked;

    /// Character data inside the root element, as it stands at `range` of the message: line ends are not made one kind.
    fn text(&mut self, range: Range<usize>);

    /// A character inside the root element that is written as a reference.
    fn character(&mut self, character: char);

    /// The innermost open element ends, and its start tag began `at`; `after` is the byte after its end.
    fn close(&mut self, at: usize, after: usize);
}

/// A start tag.
#[derive(Debug)]
pub(super) struct Tag<'t> {
    /// Where its `<` stands.
    pub(super) at: usize,
    /// Its name.
    pub(super) name: NameId,
    /// How many elements are open, it included.
    pub(super) depth: usize,
    /// Its attributes, declarations of namespaces among them.
    pub(super) attributes: &'t [Attribute],
}

/// Memory that is used again for each message.
#[derive(Debug, Default)]
pub(super) struct WalkMemory {
    frames: Vec<Frame>,
    attributes: Vec<Attribute>,
}

/// An open element.
#[derive(Debug, Clone, Copy)]
struct Frame {
    scope: ScopeId,
    /// Where its start tag begins.
    at: usize,
}

/// The reading of one message.
pub(super) struct Walk<'w, S> {
    message: &'w str,
    survey: Survey,
    limits: &'w Limits,
    names: &'w mut Names,
    memory: &'w mut WalkMemory,
    sink: &'w mut S,
    /// Scope inside the innermost open element.
    scope: ScopeId,
    has_root: bool,
}

impl<'w, S: Sink> Walk<'w, S> {
    /// At the beginning of `message`.
    pub(super) fn new(
        message: &'w str,
        survey: Survey,
        limits: &'w Limits,
        names: &'w mut Names,
        memory: &'w mut WalkMemory,
        sink: &'w mut S,
    ) -> Self {
        memory.frames.clear();
        Self { message, survey, limits, names, memory, sink, scope: NO_SCOPE, has_root: false }
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
                Ok(Event::End(_)) => self.close(after),
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
        match self.memory.frames.last() {
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
        declaration::check(self.message, inside.start, inside.end, self.survey.is_ascii, &mut self.memory.attributes)
    }

    #[inline]
    fn text(&mut self, range: Range<usize>) -> Checked {
        if self.memory.frames.is_empty() {
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
        self.sink.text(range);
        Ok(())
    }

    fn outside_root(&self, range: Range<usize>) -> Checked {
        match self.message[range.clone()].bytes().position(|byte| !is_space(byte)) {
            None => Ok(()),
            Some(at) => Err(text_outside(range.start + at)),
        }
    }

    fn cdata(&mut self, at: usize, range: Range<usize>) -> Checked {
        if self.memory.frames.is_empty() {
            return Err(text_outside(at));
        }
        self.sink.text(range);
        Ok(())
    }

    fn reference(&mut self, at: usize, name: &str) -> Checked {
        if self.memory.frames.is_empty() {
            return Err(text_outside(at));
        }
        let character = resolve(name).map_err(|what| Found::fatal(Code::XML_REFERENCE, at, what))?;
        self.sink.character(character);
        Ok(())
    }

    /// A start tag, or an empty-element tag, from `<` at `at` to `end`, where `>` or `/>` stands.
    #[inline]
    fn open(&mut self, at: usize, name_len: usize, end: usize, is_empty: bool) -> Checked {
        let name_end = at + 1 + name_len;
        let name = &self.message[at + 1..name_end];
        let outer = self.scope;
        self.memory.attributes.clear();
        if name_end != end {
            if name.is_empty() {
                return Err(bad_name(Resolved::Malformed, at, "element"));
            }
            self.scan_attributes(name_end..end)?;
        }
        let name = match self.names.element(self.scope, name) {
            Resolved::Name(id) => id,
            bad => return Err(bad_name(bad, at, "element")),
        };
        if self.memory.frames.is_empty() {
            if self.has_root {
                return Err(Found::fatal(Code::XML_SECOND_ROOT, at, "a second element follows the root element"));
            }
            self.has_root = true;
        }
        self.memory.frames.push(Frame { scope: outer, at });
        let depth = self.memory.frames.len();
        if depth > self.limits.depth as usize {
            let what = format!("elements are nested deeper than {} levels (limits.depth)", self.limits.depth);
            return Err(Found::fatal(Code::LIMIT_DEPTH, at, what));
        }
        self.sink.open(&Tag { at, name, depth, attributes: &self.memory.attributes })?;
        if is_empty {
            self.close(end + "/>".len());
        }
        Ok(())
    }

    fn scan_attributes(&mut self, range: Range<usize>) -> Checked {
        let attributes = &mut self.memory.attributes;
        attributes::scan(self.message, range.clone(), attributes)
            .map_err(|defect| Found::fatal(Code::XML_ATTRIBUTE, defect.at, defect.what))?;
        let limit = self.limits.attributes;
        if attributes.len() > limit as usize {
            let what = format!("an element has more than {limit} attributes (limits.attributes)");
            return Err(Found::fatal(Code::LIMIT_ATTRIBUTES, range.start, what));
        }
        if attributes.iter().any(|attribute| declared_prefix(&self.message[attribute.name.clone()]).is_some()) {
            self.scope = self
                .names
                .declare(self.scope, self.message, attributes)
                .map_err(|defect| Found::fatal(Code::XML_NAMESPACE, defect.at, defect.what))?;
        }
        for attribute in attributes {
            let name = &self.message[attribute.name.clone()];
            if declared_prefix(name).is_some() {
                attribute.id = OTHER;
                continue;
            }
            attribute.id = match self.names.attribute(self.scope, name) {
                Resolved::Name(id) => id,
                bad => return Err(bad_name(bad, attribute.name.start, "attribute")),
            };
            let raw = &self.message[attribute.value.clone()];
            attribute_value(raw, None)
                .map_err(|(at, what)| Found::fatal(Code::XML_REFERENCE, attribute.value.start + at, what))?;
        }
        Ok(())
    }

    /// An end tag. quick-xml has seen to it that it is that of the innermost open element.
    #[inline]
    fn close(&mut self, after: usize) {
        let Some(frame) = self.memory.frames.pop() else { return };
        self.sink.close(frame.at, after);
        if self.scope != frame.scope {
            self.names.leave(self.scope);
            self.scope = frame.scope;
        }
    }
}
