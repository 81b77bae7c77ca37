//! From the bytes of a payload to its text: which encoding they are in, and that they are in it.
//!
//! The first bytes tell the family (XML 1.0, appendix F), the XML declaration the encoding within it; what contradicts
//! itself is refused, and so is every byte that the encoding does not have: nothing is replaced or guessed. UTF-8 is
//! read where it lies. Anything else is decoded twice, the first time only to see its length, so that it takes exactly
//! the memory that it needs: at most three times the payload.

use std::borrow::Cow;
use std::ops::Range;

use encoding_rs::{CoderResult, Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::attributes;
use super::chars::is_space;
use super::declaration::{self, USUAL};
use super::found::{Found, shortened};
use crate::model::violation::Code;

/// Encodings that XML means by a name for which the list of the WHATWG has a Windows code page: there the bytes from
/// 0x80 to 0x9F are punctuation, here the control characters of ISO 8859.
const WITH_CONTROLS: &[(&str, &[&str])] = &[
    (
        "ISO-8859-1",
        &[
            "cp819",
            "csisolatin1",
            "ibm819",
            "iso-8859-1",
            "iso-ir-100",
            "iso8859-1",
            "iso88591",
            "iso_8859-1",
            "iso_8859-1:1987",
            "l1",
            "latin1",
        ],
    ),
    (
        "ISO-8859-9",
        &[
            "csisolatin5",
            "iso-8859-9",
            "iso-ir-148",
            "iso8859-9",
            "iso88599",
            "iso_8859-9",
            "iso_8859-9:1989",
            "l5",
            "latin5",
        ],
    ),
    ("ISO-8859-11", &["iso-8859-11", "iso8859-11", "iso885911"]),
];

/// Names of US-ASCII, for which that list has Windows-1252 as well.
const ASCII: &[&str] = &["ansi_x3.4-1968", "ascii", "iso-ir-6", "iso646-us", "us", "us-ascii"];

/// Names of UTF-16 that leave the order of the bytes open.
const ANY_ORDER: &[&str] = &["utf-16", "csunicode", "iso-10646-ucs-2", "ucs-2", "unicode"];

/// Bytes decoded at a time.
const CHUNK: usize = 2048;

/// How bytes become characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    Utf8,
    /// Bytes below 0x80 only.
    Ascii,
    /// As the WHATWG has it.
    Listed(&'static Encoding),
    /// The same, but 0x80 to 0x9F are control characters, and its name.
    WithControls(&'static Encoding, &'static str),
}

/// How a payload is read, and after how many bytes of a byte order mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    charset: Charset,
    /// Bytes of the byte order mark.
    pub(super) mark: usize,
}

const PLAIN: Form = Form { charset: Charset::Utf8, mark: 0 };

/// The text of a payload, which may have `limit` bytes.
///
/// # Errors
///
/// `xml.encoding…` or `limit.bytes`. The place is an offset in what [`readable`] makes of the payload.
pub(super) fn decode(payload: &[u8], limit: u64) -> Result<Cow<'_, str>, Box<Found>> {
    let form = form(payload)?;
    let body = &payload[form.mark..];
    let text = match form.charset {
        Charset::Utf8 | Charset::Ascii => {
            let foreign = |at| Found::fatal(Code::XML_ENCODING, at, format!("the bytes are not {}", form.name()));
            let text = simdutf8::compat::from_utf8(body).map_err(|error| foreign(error.valid_up_to()))?;
            if form.charset == Charset::Ascii
                && let Some(at) = text.bytes().position(|byte| !byte.is_ascii())
            {
                return Err(foreign(at));
            }
            Cow::Borrowed(text)
        }
        Charset::Listed(_) | Charset::WithControls(..) => {
            let (length, is_whole) = measure(form.charset, body);
            if !is_whole {
                let what = format!("bytes that {} does not have", form.name());
                return Err(Found::fatal(Code::XML_ENCODING, length, what));
            }
            if length as u64 > limit {
                let what = format!("the payload decoded to UTF-8 has {length} bytes, and limits.bytes allows {limit}");
                return Err(Found::fatal(Code::LIMIT_BYTES, 0, what));
            }
            Cow::Owned(transcode(form.charset, body, length))
        }
    };
    confirm(form, &text)?;
    Ok(text)
}

/// As much of the text of a payload as can be read: what the places of violations refer to.
pub(super) fn readable(payload: &[u8], limit: u64) -> (Cow<'_, str>, Form) {
    let form = likely_form(payload);
    let body = &payload[form.mark..];
    if matches!(form.charset, Charset::Utf8 | Charset::Ascii) {
        let whole = body.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        return (Cow::Borrowed(whole), form);
    }
    let (length, _) = measure(form.charset, body);
    let length = if length as u64 > limit { 0 } else { length };
    (Cow::Owned(transcode(form.charset, body, length)), form)
}

/// Where offsets of a text lie in the payload that it was read from. They have to ascend.
pub(super) fn origins(payload: &[u8], form: Form, offsets: &[usize]) -> Vec<usize> {
    if matches!(form.charset, Charset::Utf8 | Charset::Ascii) {
        return offsets.iter().map(|offset| offset + form.mark).collect();
    }
    // A decoder cannot go back. So the second one stays behind by a chunk, and takes those byte by byte that hold a
    // place.
    let (mut ahead, mut behind) = (Decoding::new(form.charset), Decoding::new(form.charset));
    let (mut scratch, mut character, mut written, mut read) = (String::new(), String::new(), 0, form.mark);
    let mut found = Vec::with_capacity(offsets.len());
    for chunk in payload[form.mark..].chunks(CHUNK) {
        let Some(&next) = offsets.get(found.len()) else { break };
        let (length, is_good) = ahead.length(chunk, false, &mut scratch);
        if is_good && next > written + length {
            behind.length(chunk, false, &mut scratch);
            written += length;
            read += chunk.len();
            continue;
        }
        for byte in chunk {
            while offsets.get(found.len()).is_some_and(|&offset| offset <= written) {
                found.push(read);
            }
            written += behind.length(std::slice::from_ref(byte), false, &mut character).0;
            read += 1;
        }
        if !is_good {
            break;
        }
    }
    found.resize(offsets.len(), read);
    found
}

impl Form {
    fn name(self) -> &'static str {
        match self.charset {
            Charset::Utf8 => UTF_8.name(),
            Charset::Ascii => "US-ASCII",
            Charset::Listed(encoding) => encoding.name(),
            Charset::WithControls(_, name) => name,
        }
    }
}

/// How a payload is read, or would be if it said something that can be.
pub(super) fn likely_form(payload: &[u8]) -> Form {
    form(payload).unwrap_or(PLAIN)
}

/// What the first bytes and the XML declaration say.
fn form(payload: &[u8]) -> Result<Form, Box<Found>> {
    let unknown = |at, name: &str| {
        let what = format!("the encoding {} is not known", shortened(name));
        Err(Found::fatal(Code::XML_ENCODING_UNKNOWN, at, what))
    };
    let utf16 = |encoding, mark| Ok(Form { charset: Charset::Listed(encoding), mark });
    match payload {
        [0xEF, 0xBB, 0xBF, ..] => return Ok(Form { mark: 3, ..PLAIN }),
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] | [b'<', 0, 0, 0, ..] | [0, 0, 0, b'<', ..] => {
            return unknown(0, "UTF-32");
        }
        [0xFE, 0xFF, ..] => return utf16(UTF_16BE, 2),
        [0xFF, 0xFE, ..] => return utf16(UTF_16LE, 2),
        [0, b'<', ..] => return utf16(UTF_16BE, 0),
        [b'<', 0, ..] => return utf16(UTF_16LE, 0),
        [0x4C, 0x6F, 0xA7, 0x94, ..] => return unknown(0, "EBCDIC"),
        _ => {}
    }
    let Some(name) = declared(payload) else { return Ok(PLAIN) };
    let label = std::str::from_utf8(&payload[name.clone()]).unwrap_or_default();
    match charset(label) {
        None => unknown(name.start, label),
        Some(Charset::Listed(encoding)) if encoding == UTF_16BE || encoding == UTF_16LE => {
            Err(conflict(name.start, &format!("names {label}, but the bytes are not UTF-16")))
        }
        Some(charset) => Ok(Form { charset, mark: 0 }),
    }
}

/// A byte order mark or UTF-16 against the declaration, which could not be read before the bytes were.
fn confirm(form: Form, text: &str) -> Result<(), Box<Found>> {
    let Charset::Listed(encoding) = form.charset else {
        if form.mark > 0
            && let Some(name) = declared(text.as_bytes())
            && charset(&text[name.clone()]) != Some(Charset::Utf8)
        {
            let label = shortened(&text[name.clone()]);
            return Err(conflict(name.start, &format!("names {label}, but the byte order mark is that of UTF-8")));
        }
        return Ok(());
    };
    if encoding != UTF_16BE && encoding != UTF_16LE {
        return Ok(());
    }
    match declared(text.as_bytes()) {
        None if form.mark == 0 => {
            let what = "the bytes are UTF-16, but neither a byte order mark nor an XML declaration says so";
            Err(Found::fatal(Code::XML_ENCODING_CONFLICT, 0, what))
        }
        Some(name) => {
            let label = &text[name.clone()];
            if ANY_ORDER.iter().any(|any| any.eq_ignore_ascii_case(label)) || charset(label) == Some(form.charset) {
                return Ok(());
            }
            Err(conflict(name.start, &format!("names {}, but the bytes are {}", shortened(label), encoding.name())))
        }
        None => Ok(()),
    }
}

fn conflict(at: usize, what: &str) -> Box<Found> {
    Found::fatal(Code::XML_ENCODING_CONFLICT, at, format!("the XML declaration {what}"))
}

/// The place of the encoding's name in the XML declaration, where there is one that is written as XML wants it; what
/// is wrong with another is found when it is read as a part of the message.
fn declared(bytes: &[u8]) -> Option<Range<usize>> {
    let inside = bytes.strip_prefix(b"<?xml")?;
    if inside.starts_with(USUAL.as_bytes()) || !inside.first().is_some_and(|&byte| is_space(byte)) {
        return None;
    }
    let end = memchr::memmem::find(bytes, b"?>")?;
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut parts = Vec::new();
    attributes::scan(text, "<?xml".len()..end, &declaration::LIMITS, &mut parts).ok()?;
    let part = parts.into_iter().find(|part| text[part.name.clone()] == *"encoding")?;
    declaration::is_encoding_name(&text[part.value.clone()]).then_some(part.value)
}

/// The encoding of a name, in letters of any case.
fn charset(label: &str) -> Option<Charset> {
    let label = label.to_ascii_lowercase();
    if ASCII.contains(&&*label) {
        return Some(Charset::Ascii);
    }
    let encoding = Encoding::for_label_no_replacement(label.as_bytes())?;
    if let Some((name, _)) = WITH_CONTROLS.iter().find(|(_, labels)| labels.contains(&&*label)) {
        return Some(Charset::WithControls(encoding, name));
    }
    Some(if encoding == UTF_8 { Charset::Utf8 } else { Charset::Listed(encoding) })
}

/// How many bytes of UTF-8 these are, and whether all of them could be read.
fn measure(charset: Charset, body: &[u8]) -> (usize, bool) {
    let (mut decoding, mut scratch, mut total) = (Decoding::new(charset), String::new(), 0);
    for chunk in body.chunks(CHUNK) {
        let (length, is_good) = decoding.length(chunk, false, &mut scratch);
        total += length;
        if !is_good {
            return (total, false);
        }
    }
    let (length, is_good) = decoding.length(&[], true, &mut scratch);
    (total + length, is_good)
}

/// The first `length` bytes of the text, which [`measure`] has found good.
fn transcode(charset: Charset, body: &[u8], length: usize) -> String {
    let mut text = String::with_capacity(length);
    let (mut decoding, mut scratch) = (Decoding::new(charset), String::new());
    for chunk in body.chunks(CHUNK) {
        let is_good = decoding.feed(chunk, false, &mut scratch);
        if text.len() + scratch.len() > length {
            break;
        }
        text.push_str(&scratch);
        if !is_good {
            break;
        }
    }
    text
}

/// A decoder in the middle of its work.
pub(super) enum Decoding {
    /// The characters of an encoding of single bytes.
    Table(Box<[Option<char>; 256]>),
    Stream(Decoder),
}

impl Decoding {
    fn new(charset: Charset) -> Self {
        match charset {
            Charset::Utf8 | Charset::Ascii => Self::Stream(UTF_8.new_decoder_without_bom_handling()),
            Charset::Listed(encoding) => Self::Stream(encoding.new_decoder_without_bom_handling()),
            Charset::WithControls(encoding, _) => {
                let mut table = Box::new([None; 256]);
                for (byte, character) in (0_u8..=255).zip(table.iter_mut()) {
                    let single = [byte];
                    let text = encoding.decode_without_bom_handling_and_without_replacement(&single);
                    *character = match byte {
                        0x80..=0x9F => Some(char::from(byte)),
                        _ => text.and_then(|text| text.chars().next()),
                    };
                }
                Self::Table(table)
            }
        }
    }

    /// A decoder for the bytes after the byte order mark of such a payload.
    pub(super) fn of(form: Form) -> Self {
        Self::new(form.charset)
    }

    /// Decodes more bytes in place of what `out` holds, only to show them: U+FFFD stands for what the encoding does not
    /// have.
    pub(super) fn show(&mut self, mut bytes: &[u8], is_last: bool, out: &mut String) {
        out.clear();
        match self {
            Self::Table(table) => {
                let known = |&byte| table[usize::from(byte)].unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend(bytes.iter().map(known));
            }
            Self::Stream(decoder) => loop {
                out.reserve(bytes.len() * 3 + 16);
                let (result, read, _) = decoder.decode_to_string(bytes, out, is_last);
                bytes = &bytes[read..];
                if result == CoderResult::InputEmpty {
                    return;
                }
            },
        }
    }

    /// Decodes more bytes, in place of what `out` holds; whether they were good. What is good before a bad one is
    /// decoded. All of `out` is written at each call, so it should not be larger than the bytes need.
    fn feed(&mut self, mut bytes: &[u8], is_last: bool, out: &mut String) -> bool {
        out.clear();
        out.reserve(bytes.len() * 3 + 16);
        match self {
            Self::Table(table) => bytes.iter().all(|&byte| match table[usize::from(byte)] {
                Some(character) => {
                    out.push(character);
                    true
                }
                None => false,
            }),
            Self::Stream(decoder) => loop {
                let (result, read) = decoder.decode_to_string_without_replacement(bytes, out, is_last);
                bytes = &bytes[read..];
                match result {
                    DecoderResult::InputEmpty => return true,
                    DecoderResult::OutputFull => out.reserve(16),
                    DecoderResult::Malformed(..) => return false,
                }
            },
        }
    }

    /// The same for the length of the text alone.
    fn length(&mut self, bytes: &[u8], is_last: bool, scratch: &mut String) -> (usize, bool) {
        let is_good = self.feed(bytes, is_last, scratch);
        (scratch.len(), is_good)
    }
}

#[cfg(test)]
mod tests;
