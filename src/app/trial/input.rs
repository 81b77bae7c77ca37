//! Messages from files, stdin or lines, as the daemon's reader would hand them over.

use std::io::{self, BufRead, BufReader, Read};

use crate::model::batch::Span;

/// Bytes read at once.
const BUFFER: usize = 1 << 20;
/// A batch is full at this many bytes …
const BATCH_BYTES: usize = 1 << 20;
/// … or messages.
const BATCH_MESSAGES: usize = 1024;

/// What a message of an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// All of it.
    Whole,
    /// Each line of it, without its line feed.
    Each,
}

/// Messages that are judged together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Their bytes, one after another.
    pub(super) bytes: Vec<u8>,
    /// The messages, in the order they came.
    pub(super) messages: Vec<Taken>,
}

/// A message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    /// Which of the inputs it is from.
    pub(super) input: usize,
    /// Which line of it; none when it is all of the input.
    pub(super) line: Option<u64>,
    /// Its bytes.
    pub(super) payload: Payload,
}

/// The bytes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payload {
    /// Here in the batch.
    Held(Span),
    /// So many, more than a message may have; they are not kept.
    TooLong(u64),
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH_BYTES || self.messages.len() >= BATCH_MESSAGES
    }
}

/// The messages of one input.
pub(super) struct Messages<'r> {
    reader: BufReader<Box<dyn Read + 'r>>,
    lines: Lines,
    input: usize,
    most: u64,
    number: u64,
}

impl<'r> Messages<'r> {
    /// The messages of the input of that number; those of more than `most` bytes are only counted.
    pub(super) fn new(source: Box<dyn Read + 'r>, lines: Lines, input: usize, most: u64) -> Self {
        Self { reader: BufReader::with_capacity(BUFFER, source), lines, input, most, number: 0 }
    }

    /// Whether the next message may have to be waited for: it is not here yet.
    pub(super) fn may_wait(&self) -> bool {
        self.lines == Lines::Each && memchr::memchr(b'\n', self.reader.buffer()).is_none()
    }

    /// Adds the next message to a batch; whether there was one.
    ///
    /// # Errors
    ///
    /// The input cannot be read. What was read of the message is no message, and is not added.
    pub(super) fn add_to(&mut self, batch: &mut Batch) -> io::Result<bool> {
        let from = batch.bytes.len();
        let line = match (self.lines, self.number) {
            (Lines::Whole, 0) => None,
            (Lines::Whole, _) => return Ok(false),
            (Lines::Each, before) => Some(before + 1),
        };
        let read = self.read(&mut batch.bytes, from);
        if !matches!(read, Ok(Some(bytes)) if bytes <= self.most) {
            batch.bytes.truncate(from);
            // A message that was as long as it may be, or longer, leaves no room behind.
            batch.bytes.shrink_to(BATCH_BYTES);
        }
        let Some(bytes) = read? else { return Ok(false) };
        self.number += 1;
        let span = u32::try_from(from).ok().zip(u32::try_from(batch.bytes.len()).ok());
        let payload = match span {
            Some((from, to)) if bytes <= self.most => Payload::Held(from..to),
            _ => Payload::TooLong(bytes),
        };
        batch.messages.push(Taken { input: self.input, line, payload });
        Ok(true)
    }

    /// Reads a message behind what `into` holds, as far as it may be long; how long it is, or none when there is none.
    fn read(&mut self, into: &mut Vec<u8>, from: usize) -> io::Result<Option<u64>> {
        let mut bytes = 0_u64;
        loop {
            let here = match self.reader.fill_buf() {
                Ok(here) => here,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if here.is_empty() {
                return Ok((bytes > 0 || self.lines == Lines::Whole).then_some(bytes));
            }
            let end = if self.lines == Lines::Each { memchr::memchr(b'\n', here) } else { None };
            let piece = &here[..end.unwrap_or(here.len())];
            bytes += piece.len() as u64;
            if bytes <= self.most {
                into.extend_from_slice(piece);
            } else {
                into.truncate(from);
            }
            let used = end.map_or(here.len(), |end| end + 1);
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line and bytes of a message, or how many there are.
    type Found = (Option<u64>, Result<Vec<u8>, u64>);

    fn messages(text: &[u8], lines: Lines, most: u64) -> Vec<Found> {
        let mut batch = Batch::default();
        let mut messages = Messages::new(Box::new(text), lines, 0, most);
        while messages.add_to(&mut batch).unwrap() {}
        let taken = batch.messages.iter().map(|taken| match &taken.payload {
            Payload::Held(span) => (taken.line, Ok(batch.bytes[span.start as usize..span.end as usize].to_vec())),
            Payload::TooLong(bytes) => (taken.line, Err(*bytes)),
        });
        taken.collect()
    }

    fn held(line: u64, text: &str) -> Found {
        (Some(line), Ok(text.as_bytes().to_vec()))
    }

    #[test]
    fn each_line_is_a_message_and_none_is_lost() {
        assert_eq!(
            messages(b"<a/>\n\n<b/>\r\n<c", Lines::Each, 9),
            [held(1, "<a/>"), held(2, ""), held(3, "<b/>\r"), held(4, "<c"),]
        );
        assert_eq!(messages(b"", Lines::Each, 9), []);
        assert_eq!(messages(b"<a/>\n", Lines::Whole, 9), [(None, Ok(b"<a/>\n".to_vec()))]);
        assert_eq!(messages(b"", Lines::Whole, 9), [(None, Ok(Vec::new()))]);
    }

    #[test]
    fn what_is_too_long_is_counted_and_not_kept() {
        let text = format!("<a/>\n{}\n<b/>", "x".repeat(3 * BUFFER));
        assert_eq!(
            messages(text.as_bytes(), Lines::Each, 4),
            [held(1, "<a/>"), (Some(2), Err(3 * BUFFER as u64)), held(3, "<b/>")]
        );
        assert_eq!(messages(text.as_bytes(), Lines::Whole, 4), [(None, Err(text.len() as u64))]);
    }

    #[test]
    fn half_a_message_is_none() {
        struct Breaking<'t>(&'t [u8]);
        impl Read for Breaking<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                if self.0.is_empty() { Err(io::Error::other("gone")) } else { self.0.read(into) }
            }
        }
        let mut batch = Batch::default();
        let mut messages = Messages::new(Box::new(Breaking(b"<a/>\n<b")), Lines::Each, 0, 9);
        assert!(messages.add_to(&mut batch).unwrap());
        assert!(messages.add_to(&mut batch).is_err());
        assert_eq!((batch.messages.len(), batch.bytes.as_slice()), (1, &b"<a/>"[..]));
    }
}
