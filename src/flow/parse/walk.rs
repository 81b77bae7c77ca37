//! The way through one message, event by event: its shape as a document, and every rule of well-formedness.
//!
//! quick-xml goes on after errors of well-formedness and lets much pass that XML does not allow; here the first error
//! ends the reading, and what quick-xml does not look at is checked. What the message says is handed to a [`Sink`].

use std::ops::Range;

use hashbrown::HashSet;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::attributes::{self, Attribute};
use super::chars::{Survey, is_space};
use super::found::Found;
use super::names::{DECLARATION, NameId, Names, OTHER, Resolved, WrittenId};
use super::refusals::{self, bad_name, broken, check_target, text_outside};
use super::scopes::{NO_SCOPE, ScopeId, declared_prefix};
use super::text::{attribute_value, resolve};
use super::{declaration, doctype};
use crate::model::mapping::{Dtd, Limits};
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
    /// Its name as it is written.
    pub(super) written: WrittenId,
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
    /// Scope around it.
    scope: ScopeId,
    children: u32,
    /// Where its start tag begins.
    at: usize,
}

/// Prefixed attributes of an element that are compared pair by pair.
const FEW: usize = 12;

/// The reading of one message.
pub(super) struct Walk<'w, S> {
    message: &'w str,
    survey: Survey,
    limits: &'w Limits,
    dtd: Dtd,
    names: &'w mut Names,
    memory: &'w mut WalkMemory,
    sink: &'w mut S,
    /// Scope inside the innermost open element.
    scope: ScopeId,
    has_root: bool,
    has_doctype: bool,
    /// Bytes of text since the last tag.
    text: u64,
}

impl<'w, S: Sink> Walk<'w, S> {
    /// At the beginning of `message`.
    pub(super) fn new(
        message: &'w str,
        survey: Survey,
        (limits, dtd): (&'w Limits, Dtd),
        names: &'w mut Names,
        memory: &'w mut WalkMemory,
        sink: &'w mut S,
    ) -> Self {
        memory.frames.clear();
        Self {
            message,
            survey,
            limits,
            dtd,
            names,
            memory,
            sink,
            scope: NO_SCOPE,
            has_root: false,
            has_doctype: false,
            text: 0,
        }
    }

    /// Goes through the whole message.
    ///
    /// # Errors
    ///
    /// The first breach of well-formedness or of a limit.
    pub(super) fn run(&mut self) -> Checked {
        if self.message.starts_with('\u{FEFF}') {
            // A second byte order mark is a character; quick-xml would take it for the first.
            return Err(text_outside(0));
        }
        let mut reader = Reader::from_str(self.message);
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
                Ok(Event::GeneralRef(_)) => self.reference(at, after)?,
                Ok(Event::CData(_)) => self.cdata(at, after)?,
                Ok(Event::Comment(_)) => self.comment(at, after)?,
                Ok(Event::PI(instruction)) => self.instruction(instruction.target(), at, after)?,
                Ok(Event::Decl(_)) => self.declaration(at, after)?,
                Ok(Event::DocType(_)) => self.doctype(at)?,
                Ok(Event::Eof) => return self.end(),
                Err(_) if self.message[at..].starts_with("<!DOCTYPE") => {
                    self.doctype(at)?;
                    return Err(refusals::unclosed(at, "the message ends inside its document type declaration"));
                }
                Err(error) => {
                    self.open_unclosed(at)?;
                    return Err(broken(&error, self.message, at));
                }
            }
            at = after;
        }
    }

    fn end(&self) -> Checked {
        match self.memory.frames.last() {
            Some(_) => {
                let what = "the message ends before all its elements are closed";
                Err(refusals::unclosed(self.message.len(), what))
            }
            None if !self.has_root => Err(Found::fatal(Code::XML_NO_ROOT, 0, "the message has no root element")),
            None => Ok(()),
        }
    }

    fn declaration(&mut self, at: usize, after: usize) -> Checked {
        if at != 0 {
            return Err(Found::fatal(Code::XML_DECLARATION, at, "an XML declaration stands where none may be"));
        }
        declaration::check(self.message, "<?xml".len(), after - "?>".len(), &mut self.memory.attributes)
    }

    fn doctype(&mut self, at: usize) -> Checked {
        if !self.message[at..].starts_with("<!DOCTYPE") {
            return Err(Found::fatal(Code::XML_SYNTAX, at, "a document type declaration is not written <!DOCTYPE"));
        }
        if self.dtd == Dtd::Refuse {
            return Err(refusals::dtd(at));
        }
        if self.has_root || self.has_doctype {
            let what = "a document type declaration stands after the root element began, or after another";
            return Err(Found::fatal(Code::DTD_SYNTAX, at, what));
        }
        self.has_doctype = true;
        doctype::check(self.message, at)
    }

    fn comment(&self, at: usize, after: usize) -> Checked {
        let start = at + "<!--".len();
        // The last hyphen of the end is left out, so that `--->` is found as well.
        let inside = &self.message.as_bytes()[start..after - "->".len()];
        if let Some(hyphens) = memchr::memmem::find(inside, b"--") {
            let what = "a comment holds --, or ends in --->";
            return Err(Found::fatal(Code::XML_COMMENT, start + hyphens, what));
        }
        self.is_short(at, after, "a comment")
    }

    fn instruction(&self, target: &str, at: usize, after: usize) -> Checked {
        check_target(target, at, self.limits)?;
        self.is_short(at, after, "a processing instruction")
    }

    fn is_short(&self, at: usize, after: usize, kind: &str) -> Checked {
        let limits = self.limits;
        if (after - at) as u64 > limits.text { Err(refusals::long_text(at, kind, limits)) } else { Ok(()) }
    }

    #[inline]
    fn text(&mut self, range: Range<usize>) -> Checked {
        if self.memory.frames.is_empty() {
            return self.outside_root(range);
        }
        if self.survey.has_cdata_end
            && let Some(at) = memchr::memmem::find(self.message[range.clone()].as_bytes(), b"]]>")
        {
            let what = "text holds ]]>, which must be written ]]&gt;";
            return Err(Found::fatal(Code::XML_CDATA_END, range.start + at, what));
        }
        self.count_text(range.start, range.len())?;
        self.sink.text(range);
        Ok(())
    }

    /// Text, CDATA and references between two tags are one text, whatever comments stand in it.
    #[inline]
    fn count_text(&mut self, at: usize, len: usize) -> Checked {
        self.text += len as u64;
        if self.text > self.limits.text {
            return Err(refusals::long_text(at, "a text", self.limits));
        }
        Ok(())
    }

    fn outside_root(&self, range: Range<usize>) -> Checked {
        match self.message[range.clone()].bytes().position(|byte| !is_space(byte)) {
            None => Ok(()),
            Some(at) => Err(text_outside(range.start + at)),
        }
    }

    fn cdata(&mut self, at: usize, after: usize) -> Checked {
        if self.memory.frames.is_empty() {
            return Err(text_outside(at));
        }
        let inside = at + "<![CDATA[".len()..after - "]]>".len();
        self.count_text(at, inside.len())?;
        self.sink.text(inside);
        Ok(())
    }

    fn reference(&mut self, at: usize, after: usize) -> Checked {
        if self.memory.frames.is_empty() {
            return Err(text_outside(at));
        }
        let character = resolve(&self.message[at + 1..after - 1]).map_err(|bad| bad.found(at))?;
        self.count_text(at, after - at)?;
        self.sink.character(character);
        Ok(())
    }

    /// A start tag, or an empty-element tag, from `<` at `at` to `end`, where `>` or `/>` stands.
    #[inline]
    fn open(&mut self, at: usize, name_len: usize, end: usize, is_empty: bool) -> Checked {
        let limits = self.limits;
        let name_end = at + 1 + name_len;
        let name = &self.message[at + 1..name_end];
        if name_len > limits.name as usize {
            return Err(refusals::long_name(at + 1, limits));
        }
        let outer = self.scope;
        self.memory.attributes.clear();
        if name_end != end {
            if name.is_empty() {
                return Err(bad_name(Resolved::Malformed, at, "element"));
            }
            self.scan_attributes(name_end..end)?;
        }
        let (name, written) = match self.names.element(self.scope, name) {
            (Resolved::Name(id), written) => (id, written),
            (bad, _) => return Err(bad_name(bad, at, "element")),
        };
        match self.memory.frames.last_mut() {
            Some(parent) => {
                parent.children += 1;
                if parent.children > limits.children {
                    return Err(refusals::too_many_children(at, limits));
                }
            }
            None if self.has_root => {
                return Err(Found::fatal(Code::XML_SECOND_ROOT, at, "a second element follows the root element"));
            }
            None => self.has_root = true,
        }
        self.memory.frames.push(Frame { scope: outer, children: 0, at });
        self.text = 0;
        let depth = self.memory.frames.len();
        if depth > limits.depth as usize {
            return Err(refusals::too_deep(at, limits));
        }
        self.sink.open(&Tag { at, name, written, depth, attributes: &self.memory.attributes })?;
        if is_empty {
            self.close(end + "/>".len());
        }
        Ok(())
    }

    /// A start tag that quick-xml sees no end of: most often a quote is missing in it, so that it is looked at as far
    /// as it makes sense.
    #[cold]
    fn open_unclosed(&mut self, at: usize) -> Checked {
        let tag = &self.message[at..];
        if !tag.starts_with('<') || tag[1..].starts_with(['!', '?', '/']) {
            return Ok(());
        }
        let name_len = tag.bytes().skip(1).take_while(|&byte| !is_space(byte)).count();
        attributes::scan(self.message, at + 1 + name_len..self.message.len(), self.limits, &mut self.memory.attributes)
    }

    fn scan_attributes(&mut self, range: Range<usize>) -> Checked {
        let limits = self.limits;
        let attributes = &mut self.memory.attributes;
        attributes::scan(self.message, range, limits, attributes)?;
        if attributes.iter().any(|attribute| declared_prefix(self.message, attribute).is_some()) {
            self.scope = self.names.declare(self.scope, self.message, attributes, limits)?;
        }
        let mut prefixed = 0;
        for attribute in attributes.iter_mut() {
            if declared_prefix(self.message, attribute).is_some() {
                (attribute.id, attribute.written) = (OTHER, DECLARATION);
                continue;
            }
            let name = &self.message[attribute.name.clone()];
            let resolved = if name.as_bytes().contains(&b':') {
                prefixed += 1;
                self.names.prefixed_attribute(self.scope, name)
            } else {
                self.names.plain_attribute(name)
            };
            (attribute.id, attribute.written) = match resolved {
                (Resolved::Name(id), written) => (id, written),
                (bad, _) => return Err(bad_name(bad, attribute.name.start, "attribute")),
            };
            if attribute.has_reference {
                let raw = &self.message[attribute.value.clone()];
                attribute_value(raw, None).map_err(|bad| bad.found(attribute.value.start))?;
            }
        }
        if prefixed > 1 { self.are_distinct(prefixed) } else { Ok(()) }
    }

    /// Attributes may not be the same once their prefixes are resolved.
    #[cold]
    fn are_distinct(&self, prefixed: usize) -> Checked {
        let attributes = self.memory.attributes.iter().filter(|attribute| {
            declared_prefix(self.message, attribute).is_none()
                && self.message.as_bytes()[attribute.name.clone()].contains(&b':')
        });
        let expanded = |attribute: &Attribute| self.names.expanded(self.scope, &self.message[attribute.name.clone()]);
        let (mut few, mut many) = ([None; FEW], HashSet::new());
        for (index, attribute) in attributes.enumerate() {
            let name = expanded(attribute);
            let is_new = if prefixed <= FEW {
                let is_new = !few[..index].contains(&Some(name));
                few[index] = Some(name);
                is_new
            } else {
                many.insert(name)
            };
            if !is_new {
                let what = "an attribute stands twice: two prefixes mean the same namespace";
                return Err(Found::fatal(Code::XML_DUPLICATE_ATTRIBUTE, attribute.name.start, what));
            }
        }
        Ok(())
    }

    /// An end tag. quick-xml has seen to it that it is that of the innermost open element.
    #[inline]
    fn close(&mut self, after: usize) {
        let Some(frame) = self.memory.frames.pop() else { return };
        self.text = 0;
        self.sink.close(frame.at, after);
        if self.scope != frame.scope {
            self.names.leave(self.scope);
            self.scope = frame.scope;
        }
    }
}
