//! Names of what the owner of a Kafka partition publishes: rewinds, revisions, hints and marks.

use jiff::civil::Date;

use super::{IntervalName, date_segment, epoch_segment, parse_date_segment, parse_epoch_segment};
use crate::model::offset::{Epoch, OffsetRange};

/// A published rewind as its file name tells: `<to:020>+<head:020>+e<epoch:010>`, `.json` the intent, `.done` its end.
/// One that takes an earlier rewind back says so besides: `…+undoes-e<epoch:010>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RewindName {
    /// Epoch that published it; files of lower epochs are what it moves.
    pub epoch: Epoch,
    /// Where the chain is cut.
    pub to: i64,
    /// Head of the chain when it was published. Of one that takes a rewind back: the head that comes back.
    pub head: i64,
    /// Epoch of the rewind that it takes back.
    pub undoes: Option<Epoch>,
}

/// Before the epoch of the rewind that is taken back.
const UNDOES: &str = "undoes-";

impl RewindName {
    pub(super) fn stem(self) -> String {
        let undoes = self.undoes.map(|epoch| format!("+{UNDOES}{}", epoch_segment(epoch))).unwrap_or_default();
        format!("{:020}+{:020}+{}{undoes}", self.to, self.head, epoch_segment(self.epoch))
    }

    /// Name of the intent.
    pub fn intent(self) -> String {
        format!("{}.json", self.stem())
    }

    /// Name of the file that says it is finished.
    pub fn done(self) -> String {
        format!("{}.done", self.stem())
    }

    /// The rewind of a `rewind/` entry, and whether the entry says that it is finished.
    pub fn parse(segment: &str) -> Option<(Self, bool)> {
        let (stem, is_done) = match segment.strip_suffix(".json") {
            Some(stem) => (stem, false),
            None => (segment.strip_suffix(".done")?, true),
        };
        let mut parts = stem.split('+');
        let (to, head) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let epoch = parse_epoch_segment(parts.next()?)?;
        let undoes = match parts.next() {
            Some(part) => Some(parse_epoch_segment(part.strip_prefix(UNDOES)?)?),
            None => None,
        };
        let name = Self { epoch, to, head, undoes };
        (to >= 0 && head >= 0 && name.stem() == stem).then_some((name, is_done))
    }
}

/// The revisions of one epoch as their file name tells: `<head:020>+e<epoch:010>`, `.json` the intent, `.done` its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RevisionName {
    /// Epoch of the revised intervals.
    pub epoch: Epoch,
    /// Head of the chain when it began: intervals of that epoch that end here or before are revised ones, later ones
    /// were read.
    pub head: i64,
}

impl RevisionName {
    fn stem(self) -> String {
        format!("{:020}+{}", self.head, epoch_segment(self.epoch))
    }

    /// Name of the intent.
    pub fn intent(self) -> String {
        format!("{}.json", self.stem())
    }

    /// Name of the file that says it is finished.
    pub fn done(self) -> String {
        format!("{}.done", self.stem())
    }

    /// The revision of a `revision/` entry, and whether the entry says that it is finished.
    pub fn parse(segment: &str) -> Option<(Self, bool)> {
        let (stem, is_done) = match segment.strip_suffix(".json") {
            Some(stem) => (stem, false),
            None => (segment.strip_suffix(".done")?, true),
        };
        let (head, epoch) = stem.split_once('+')?;
        let name = Self { epoch: parse_epoch_segment(epoch)?, head: head.parse().ok()? };
        (name.head >= 0 && name.stem() == stem).then_some((name, is_done))
    }

    /// Whether an interval of the chain is one that these revisions made.
    pub fn made(self, interval: &IntervalName) -> bool {
        interval.epoch == self.epoch && interval.range.to() <= self.head
    }
}

/// A hint where the head is: which ledger file was the newest, and on which date it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadHint {
    /// Path partition of the file.
    pub date: Date,
    /// Its interval.
    pub range: OffsetRange,
    /// Its epoch.
    pub epoch: Epoch,
}

impl HeadHint {
    /// `<from:020>+<to:020>+e<epoch:010>+dt=YYYY-MM-DD`.
    pub fn name(self) -> String {
        let (from, to) = (self.range.from(), self.range.to());
        format!("{from:020}+{to:020}+{}+{}", epoch_segment(self.epoch), date_segment(self.date))
    }

    /// The hint of a `head/` entry.
    pub fn parse(segment: &str) -> Option<Self> {
        let mut parts = segment.split('+');
        let range = OffsetRange::new(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?)?;
        let epoch = parse_epoch_segment(parts.next()?)?;
        let hint = Self { date: parse_date_segment(parts.next()?)?, range, epoch };
        (hint.name() == segment).then_some(hint)
    }
}

/// How far the dead letters of a lane have been sent to a topic. Of several the highest counts: the newest owner's
/// furthest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LetterMark {
    /// Epoch of the owner that left it.
    pub epoch: Epoch,
    /// Every dead letter below was sent.
    pub to: i64,
    /// Newest rewind that had been published then: what an even newer one takes out is sent again.
    pub rewind: Epoch,
    /// Path partition of the interval that ends there; those that follow lie nowhere earlier.
    pub date: Date,
}

impl LetterMark {
    /// `e<epoch:010>+<to:020>+r<rewind:010>+dt=YYYY-MM-DD`.
    pub fn name(self) -> String {
        let Self { epoch, to, rewind, date } = self;
        format!("{}+{to:020}+r{:010}+{}", epoch_segment(epoch), rewind.0, date_segment(date))
    }

    /// The mark of a `letters/` entry.
    pub fn parse(segment: &str) -> Option<Self> {
        let mut parts = segment.split('+');
        let (epoch, to) = (parse_epoch_segment(parts.next()?)?, parts.next()?.parse().ok()?);
        let rewind = Epoch(parts.next()?.strip_prefix('r')?.parse().ok()?);
        let mark = Self { epoch, to, rewind, date: parse_date_segment(parts.next()?)? };
        (to >= 0 && mark.name() == segment).then_some(mark)
    }
}
