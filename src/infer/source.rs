//! Documents as a stream of elements, attributes and texts, their names resolved by namespace. Only this file of the
//! module knows the XML library.
//!
//! What is not well-formed is refused with one sentence that says why; nothing is repaired, and nothing is ever fetched
//! or expanded.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use quick_xml::Reader;
use quick_xml::events::Event;
use regex::Regex;

/// Deepest nesting that is read: what a mapping allows by default.
const MAX_DEPTH: usize = 256;
/// Most attributes of one element.
const MAX_ATTRIBUTES: usize = 4096;
/// Most namespace declarations in force at once.
const MAX_BINDINGS: usize = 1024;

/// The XML declaration; its encoding is the first group or the second.
static DECLARATION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let space = r"[ \t\r\n]";
    let equals = format!("{space}*={space}*");
    let name = "[A-Za-z][A-Za-z0-9._-]*";
    let version = format!(r#"{space}+version{equals}(?:"1\.[0-9]+"|'1\.[0-9]+')"#);
    let encoding = format!(r#"{space}+encoding{equals}(?:"({name})"|'({name})')"#);
    let standalone = format!(r#"{space}+standalone{equals}(?:"(?:yes|no)"|'(?:yes|no)')"#);
    Regex::new(&format!(r"^<\?xml{version}(?:{encoding})?(?:{standalone})?{space}*\?>$")).ok()
});

const XML_URI: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS_URI: &str = "http://www.w3.org/2000/xmlns/";

/// Why a document is left out: a sentence for a person.
pub(super) type Refusal = String;

/// A name as a document writes it, and what it means.
#[derive(Debug, Clone, Copy)]
pub(super) struct QName<'t> {
    /// Namespace URI.
    pub(super) namespace: Option<&'t str>,
    /// Prefix; empty: none.
    pub(super) prefix: &'t str,
    /// Local name.
    pub(super) local: &'t str,
}

/// A start tag.
#[derive(Debug)]
pub(super) struct Tag<'t> {
    /// Its name.
    pub(super) name: QName<'t>,
    /// Its attributes without the namespace declarations, values normalised.
    pub(super) attributes: Vec<(QName<'t>, Cow<'t, str>)>,
    /// Where it begins, in bytes.
    pub(super) at: usize,
    /// The declarations in force.
    pub(super) scope: &'t Scope,
}

/// Namespace declarations in force.
#[derive(Debug, Default)]
pub(super) struct Scope {
    bindings: Vec<(Box<str>, Arc<str>, usize)>,
}

impl Scope {
    /// The URI of a prefix (empty: the default namespace).
    pub(super) fn uri(&self, prefix: &str) -> Option<&str> {
        if prefix == "xml" {
            return Some(XML_URI);
        }
        let bound = self.bindings.iter().rev().find(|(bound, ..)| **bound == *prefix);
        bound.map(|(_, uri, _)| &**uri).filter(|uri| !uri.is_empty())
    }

    /// Every prefix in force with its URI, the innermost declaration of each.
    pub(super) fn all(&self) -> Vec<(&str, &str)> {
        let mut all: Vec<(&str, &str)> = Vec::new();
        for (prefix, uri, _) in self.bindings.iter().rev() {
            if !all.iter().any(|(known, _)| *known == &**prefix) && !uri.is_empty() {
                all.push((prefix, uri));
            }
        }
        all.reverse();
        all
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.bindings.len()
    }

    fn leave(&mut self, depth: usize) {
        while self.bindings.last().is_some_and(|(.., at)| *at >= depth) {
            self.bindings.pop();
        }
    }
}

/// Whoever looks at a document.
pub(super) trait Visitor {
    /// An element begins.
    fn open(&mut self, tag: &Tag<'_>);
    /// A piece of its own text, references resolved, line ends made one kind.
    fn text(&mut self, text: &str);
    /// The innermost element ends, at this byte.
    fn close(&mut self, end: usize);
}

struct Nobody;

impl Visitor for Nobody {
    fn open(&mut self, _: &Tag<'_>) {}
    fn text(&mut self, _: &str) {}
    fn close(&mut self, _: usize) {}
}

/// What a whole document was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Facts {
    /// It names an external document type definition, which was not fetched.
    pub(super) has_doctype: bool,
}

/// Goes through a document, if it is good from the first byte to the last; else the visitor sees nothing of it.
pub(super) fn read(bytes: &[u8], visitor: &mut impl Visitor) -> Result<Facts, Refusal> {
    let text = decode(bytes)?;
    let facts = Walk::new(&text).run(&mut Nobody)?;
    Walk::new(&text).run(visitor)?;
    Ok(facts)
}

/// Bytes to text, by the byte order mark or the declared encoding.
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    let wide = match bytes {
        [0xFE, 0xFF, rest @ ..] => Some((rest, true)),
        [0xFF, 0xFE, rest @ ..] => Some((rest, false)),
        [0, b'<', ..] => Some((bytes, true)),
        [b'<', 0, ..] => Some((bytes, false)),
        _ => None,
    };
    if let Some((rest, is_big)) = wide {
        if !rest.len().is_multiple_of(2) {
            return Err("it is UTF-16 with half a character at its end".to_owned());
        }
        let unit = |pair: &[u8]| match pair {
            [first, second] if is_big => u16::from_be_bytes([*first, *second]),
            [first, second] => u16::from_le_bytes([*first, *second]),
            _ => 0,
        };
        let text: Result<String, _> = char::decode_utf16(rest.chunks(2).map(unit)).collect();
        return text.map(Cow::Owned).map_err(|_| "it is not UTF-16, though it begins like it".to_owned());
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(Cow::Borrowed(text));
    }
    let head = bytes.iter().take(200).take_while(|&&byte| byte != b'>').map(|&byte| char::from(byte));
    let head = head.collect::<String>().to_ascii_lowercase();
    let is_latin = head.starts_with("<?xml") && ["iso-8859-1", "latin1"].iter().any(|name| head.contains(name));
    if is_latin && !bytes.iter().any(|byte| (0x80..0xA0).contains(byte)) {
        return Ok(Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()));
    }
    Err("it is neither UTF-8, UTF-16 nor declared ISO-8859-1".to_owned())
}

struct Walk<'d> {
    document: &'d str,
    scope: Scope,
    depth: usize,
    has_root: bool,
    facts: Facts,
}

impl<'d> Walk<'d> {
    fn new(document: &'d str) -> Self {
        Self { document, scope: Scope::default(), depth: 0, has_root: false, facts: Facts::default() }
    }

    fn run(mut self, visitor: &mut impl Visitor) -> Result<Facts, Refusal> {
        if let Some((at, _)) = self.document.char_indices().find(|&(_, character)| !is_char(character)) {
            return Err(self.at(at, "it holds a character that XML does not allow"));
        }
        let mut reader = Reader::from_str(self.document);
        reader.config_mut().check_comments = true;
        let mut at = 0;
        loop {
            let event = reader.read_event();
            let after = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
            match event {
                Ok(Event::Text(_)) => self.text(at, after, visitor)?,
                Ok(Event::Start(tag)) => self.open(tag.name().into_inner(), at, after - ">".len(), visitor)?,
                Ok(Event::Empty(tag)) => {
                    self.open(tag.name().into_inner(), at, after - "/>".len(), visitor)?;
                    self.close(after, visitor);
                }
                Ok(Event::End(_)) => self.close(after, visitor),
                Ok(Event::GeneralRef(_)) => {
                    self.inside(at)?;
                    let name = self.document.get(at + 1..after.saturating_sub(1)).unwrap_or_default();
                    let character = resolve(name).ok_or_else(|| self.at(at, "it holds a reference to no character"))?;
                    visitor.text(character.encode_utf8(&mut [0; 4]));
                }
                Ok(Event::CData(_)) => {
                    self.inside(at)?;
                    let text = self.document.get(at + "<![CDATA[".len()..after - "]]>".len()).unwrap_or_default();
                    visitor.text(&normalised(text));
                }
                Ok(Event::Comment(_)) => {}
                Ok(Event::PI(instruction)) => {
                    let target = instruction.target();
                    if !is_ncname(target) || target.eq_ignore_ascii_case("xml") {
                        return Err(self.at(at, "a processing instruction has a name that is reserved or malformed"));
                    }
                }
                Ok(Event::Decl(_)) => self.declaration(at, after)?,
                Ok(Event::DocType(_)) => self.doctype(at, after)?,
                Ok(Event::Eof) => break,
                Err(error) => {
                    let at = usize::try_from(reader.error_position()).unwrap_or(at);
                    return Err(self.at(at, &error.to_string().to_lowercase()));
                }
            }
            at = after;
        }
        match (self.depth, self.has_root) {
            (0, true) => Ok(self.facts),
            (0, false) => Err("it has no root element".to_owned()),
            _ => Err("it ends before all its elements are closed".to_owned()),
        }
    }

    fn at(&self, at: usize, what: &str) -> Refusal {
        let head = &self.document.as_bytes()[..at.min(self.document.len())];
        format!("{what} (line {})", 1 + memchr::memchr_iter(b'\n', head).count())
    }

    fn inside(&self, at: usize) -> Result<(), Refusal> {
        if self.depth == 0 { Err(self.at(at, "it has text outside the root element")) } else { Ok(()) }
    }

    fn text(&self, at: usize, after: usize, visitor: &mut impl Visitor) -> Result<(), Refusal> {
        let text = self.document.get(at..after).unwrap_or_default();
        if self.depth > 0 {
            if text.contains("]]>") {
                return Err(self.at(at, "text holds ]]>"));
            }
            visitor.text(&normalised(text));
        } else if !text.chars().all(is_space) {
            return Err(self.at(at, "it has text outside the root element"));
        }
        Ok(())
    }

    fn declaration(&self, at: usize, after: usize) -> Result<(), Refusal> {
        let inside = self.document.get(at..after).unwrap_or_default();
        let found = if at == 0 { DECLARATION.as_ref().and_then(|grammar| grammar.captures(inside)) } else { None };
        let Some(found) = found else {
            return Err(self.at(at, "an XML declaration is malformed, or stands where none may be"));
        };
        let encoding = found.get(1).or_else(|| found.get(2)).map(|name| name.as_str().to_ascii_lowercase());
        match encoding.as_deref() {
            None | Some("utf-8" | "utf-16" | "utf-16le" | "utf-16be" | "iso-8859-1" | "latin1") => Ok(()),
            Some("us-ascii") if self.document.is_ascii() => Ok(()),
            Some(other) => Err(format!("it declares the encoding {other:?}, which is not read here")),
        }
    }

    fn doctype(&mut self, at: usize, after: usize) -> Result<(), Refusal> {
        if self.has_root || self.facts.has_doctype {
            return Err(self.at(at, "a document type declaration stands where none may be"));
        }
        if self.document.get(at..after).is_none_or(|text| text.contains('[')) {
            return Err("it has an internal document type definition, which is never read".to_owned());
        }
        self.facts.has_doctype = true;
        Ok(())
    }

    /// A start tag of that name from `<` at `at` to `end`, where `>` or `/>` stands.
    fn open(&mut self, name: &str, at: usize, end: usize, visitor: &mut impl Visitor) -> Result<(), Refusal> {
        if self.depth == 0 && self.has_root {
            return Err(self.at(at, "a second element follows the root element"));
        }
        self.has_root = true;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.at(at, "elements are nested deeper than 256 levels"));
        }
        let written = self.document.get(at + "<".len() + name.len()..end).unwrap_or_default();
        let raw = attributes(written).ok_or_else(|| self.at(at, "an attribute is not of the form name=\"value\""))?;
        if raw.len() > MAX_ATTRIBUTES {
            return Err(self.at(at, "an element has more than 4096 attributes"));
        }
        let mut kept: Vec<(&str, String)> = Vec::new();
        let mut declared: Vec<&str> = Vec::new();
        for (name, value) in raw {
            let value = attribute_value(value).ok_or_else(|| self.at(at, "an attribute holds a bad reference"))?;
            match declared_prefix(name) {
                Some(prefix) if declared.contains(&prefix) => return Err(self.at(at, "an attribute stands twice")),
                Some(prefix) => {
                    self.declare(prefix, &value).map_err(|what| self.at(at, what))?;
                    declared.push(prefix);
                }
                None => kept.push((name, value)),
            }
        }
        if self.scope.len() > MAX_BINDINGS {
            return Err(self.at(at, "more than 1024 namespace declarations are in force"));
        }
        let mut seen = HashSet::new();
        let mut attributes: Vec<(QName<'_>, Cow<'_, str>)> = Vec::with_capacity(kept.len());
        for (name, value) in &kept {
            let name = self.resolve(name, true).map_err(|what| self.at(at, what))?;
            if !seen.insert((name.namespace, name.local)) {
                return Err(self.at(at, "an attribute stands twice"));
            }
            attributes.push((name, Cow::Borrowed(value.as_str())));
        }
        let name = self.resolve(name, false).map_err(|what| self.at(at, what))?;
        visitor.open(&Tag { name, attributes, at, scope: &self.scope });
        Ok(())
    }

    fn close(&mut self, after: usize, visitor: &mut impl Visitor) {
        visitor.close(after);
        self.scope.leave(self.depth);
        self.depth = self.depth.saturating_sub(1);
    }

    fn declare(&mut self, prefix: &str, uri: &str) -> Result<(), &'static str> {
        let is_reserved = uri == XML_URI || uri == XMLNS_URI;
        match prefix {
            "xml" if uri == XML_URI => return Ok(()),
            "xml" | "xmlns" => return Err("a reserved prefix is declared"),
            _ if is_reserved => return Err("a prefix is bound to a reserved namespace"),
            "" => {}
            _ if uri.is_empty() => return Err("a namespace prefix is undeclared"),
            _ if !is_ncname(prefix) => return Err("a namespace prefix is not a name"),
            _ => {}
        }
        self.scope.bindings.push((prefix.into(), Arc::from(uri), self.depth));
        Ok(())
    }

    fn resolve<'n>(&'n self, name: &'n str, is_attribute: bool) -> Result<QName<'n>, &'static str> {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        if !is_ncname(local) || (name.contains(':') && !is_ncname(prefix)) {
            return Err("a name of an element or attribute is malformed");
        }
        if prefix.is_empty() && is_attribute {
            return Ok(QName { namespace: None, prefix, local });
        }
        match self.scope.uri(prefix) {
            None if !prefix.is_empty() => Err("a namespace prefix is not declared"),
            namespace => Ok(QName { namespace, prefix, local }),
        }
    }
}

/// The prefix that an attribute of this name declares; empty: the default namespace.
fn declared_prefix(name: &str) -> Option<&str> {
    match name.strip_prefix("xmlns")? {
        "" => Some(""),
        // Where a prefix should be there is none, which is refused as a name.
        ":" => Some(":"),
        rest => rest.strip_prefix(':'),
    }
}

/// The attributes of a tag, from behind its name to its end, as they are written; none when they are malformed.
fn attributes(written: &str) -> Option<Vec<(&str, &str)>> {
    let mut found = Vec::new();
    let mut rest = written;
    loop {
        let next = rest.trim_start_matches(is_space);
        if next.is_empty() {
            return Some(found);
        }
        if next.len() == rest.len() {
            return None;
        }
        let (name, value) = next.split_once('=')?;
        let value = value.trim_start_matches(is_space);
        let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let (value, after) = value.get(quote.len_utf8()..)?.split_once(quote)?;
        if value.contains('<') {
            return None;
        }
        found.push((name.trim_end_matches(is_space), value));
        rest = after;
    }
}

fn resolve(reference: &str) -> Option<char> {
    let number = match reference {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        other => other.strip_prefix('#')?,
    };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
    let is_number = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    let code = if is_number { u32::from_str_radix(digits, radix).ok() } else { None };
    code.and_then(char::from_u32).filter(|&character| is_char(character))
}

fn attribute_value(raw: &str) -> Option<String> {
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('&') {
        value.extend(normalised(before).chars().map(|c| if is_space(c) { ' ' } else { c }));
        let (name, tail) = after.split_once(';')?;
        value.push(resolve(name)?);
        rest = tail;
    }
    value.extend(normalised(rest).chars().map(|c| if is_space(c) { ' ' } else { c }));
    Some(value)
}

fn normalised(text: &str) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { Cow::Borrowed(text) }
}

/// White space as XML has it.
pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

fn is_char(character: char) -> bool {
    !matches!(character, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}')
}

/// Whether this is a name without a colon (XML 1.0, fifth edition).
pub(super) fn is_ncname(name: &str) -> bool {
    let starts = |c: char| {
        matches!(c, 'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
            | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
            | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
            | '\u{10000}'..='\u{EFFFF}')
    };
    let goes_on = |c: char| {
        starts(c) || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
    };
    name.starts_with(starts) && name.chars().all(goes_on)
}
