//! Whether a message is well-formed, and nothing else: the checks that each message passes, without a mapping.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::chars;
use super::decode::decode;
use super::found::Found;
use super::locate;
use super::names::{Names, Vocabulary};
use super::walk::{Checked, Sink, Tag, Walk, WalkMemory};
use crate::model::mapping::{Dtd, Limits};
use crate::model::violation::{Code, Violation};

/// Longest payload whatever the limits say: offsets in a text column are 31 bits.
const MAX_PAYLOAD: u64 = 1 << 30;

/// The judge of well-formedness: XML 1.0 (fifth edition) and Namespaces in XML 1.0, under limits. Keeps nothing of a
/// message but memory, and names it has seen.
///
/// Memory: at most three times the message while it is read, and only where it is not in UTF-8.
#[derive(Debug)]
pub struct WellFormed {
    pub(super) limits: Limits,
    pub(super) dtd: Dtd,
    pub(super) names: Names,
    pub(super) memory: WalkMemory,
}

impl WellFormed {
    /// A judge by these limits (`rows` does not matter) and this policy.
    pub fn new(limits: Limits, dtd: Dtd) -> Self {
        let names = Names::new(Arc::new(Vocabulary::default()));
        Self { limits, dtd, names, memory: WalkMemory::default() }
    }

    /// Reads one message.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in the first place where something is.
    pub fn check(&mut self, payload: &[u8]) -> Result<(), Box<Violation>> {
        self.names.tidy();
        let read = self.read(payload);
        read.map_err(|found| Box::new(locate::violation(payload, *found, &self.limits)))
    }

    fn read(&mut self, payload: &[u8]) -> Checked {
        let text = admit(payload, &self.limits)?;
        let survey = chars::survey(&text)?;
        let rules = (&self.limits, self.dtd);
        Walk::new(&text, survey, rules, &mut self.names, &mut self.memory, &mut Nothing).run()
    }
}

/// The text of a payload, as far as that is known before it is read: there is some, not too much, in a known encoding.
pub(super) fn admit<'p>(payload: &'p [u8], limits: &Limits) -> Result<Cow<'p, str>, Box<Found>> {
    longest(payload.len() as u64, limits)?;
    if payload.is_empty() {
        return Err(Found::fatal(Code::XML_EMPTY, 0, "the payload is empty"));
    }
    decode(payload, limits.bytes.min(MAX_PAYLOAD))
}

/// What is wrong with a payload of so many bytes, where these limits do not allow them: whoever knows the length of a
/// message need not hold its bytes.
pub fn too_long(bytes: u64, limits: &Limits) -> Option<Violation> {
    let found = longest(bytes, limits).err()?;
    Some(locate::violation(&[], *found, limits))
}

fn longest(bytes: u64, limits: &Limits) -> Checked {
    let limit = limits.bytes.min(MAX_PAYLOAD);
    if bytes > limit {
        let what = format!("the payload has {bytes} bytes, and limits.bytes allows {limit}");
        return Err(Found::fatal(Code::LIMIT_BYTES, 0, what));
    }
    Ok(())
}

/// What a message says goes nowhere.
pub(super) struct Nothing;

impl Sink for Nothing {
    #[inline]
    fn open(&mut self, _tag: &Tag<'_>) -> Checked {
        Ok(())
    }

    #[inline]
    fn text(&mut self, _range: Range<usize>) {}

    #[inline]
    fn character(&mut self, _character: char) {}

    #[inline]
    fn close(&mut self, _at: usize, _after: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_is_too_long_is_told_as_the_bytes_would_be() {
        let limits = Limits { bytes: 8, ..Limits::default() };
        for payload in [&b"<a>12345</a>"[..], b"\xEF\xBB\xBF<abcd/>", b"\xFE\xFF\0<\0a\0/\0>", b"\n\n\n\n\n\n\n\n\n"] {
            let judged = WellFormed::new(limits, Dtd::Refuse).check(payload).unwrap_err();
            assert_eq!(too_long(payload.len() as u64, &limits), Some(*judged));
        }
        assert_eq!(too_long(8, &limits), None);
    }
}
