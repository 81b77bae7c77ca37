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
    let limit = limits.bytes.min(MAX_PAYLOAD);
    if payload.len() as u64 > limit {
        let what = format!("the payload has {} bytes, and limits.bytes allows {limit}", payload.len());
        return Err(Found::fatal(Code::LIMIT_BYTES, 0, what));
    }
    if payload.is_empty() {
        return Err(Found::fatal(Code::XML_EMPTY, 0, "the payload is empty"));
    }
    decode(payload, limit)
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
