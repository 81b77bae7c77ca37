//! The chain of one Kafka partition in the hands of its owner.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::LakeError;
use super::acquire::Settled;
use super::fence::{Owner, Tenure};
use super::footer::{IntervalFooter, Zone};
use super::names::{self, IntervalName, RevisionName};
use super::recover::Leftovers;
use crate::clock::Clock;
use crate::model::offset::{Epoch, LastMessage, TopicPartition};
use crate::storage::{LakePath, Storage};

/// Storage's clock and this machine's may be this far apart, in seconds; beyond, dates would be wrong.
const CLOCKS_APART_S: i64 = 24 * 3600;

/// One lane's hold on the chain of its Kafka partition, from [`super::acquire()`] until it is dropped or fenced.
///
/// After [`LakeError::Fenced`], and after a rewind that failed half-way, it is over: acquire again.
pub struct LaneLedger {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) owner: Owner,
    pub(super) source: TopicPartition,
    pub(super) tenure: Tenure,
    pub(super) head: i64,
    pub(super) rewound_until: Option<i64>,
    /// The interval whose commit was begun and has not ended: nothing else may be committed in this epoch.
    pub(super) in_flight: Option<IntervalName>,
    /// The revisions of this epoch, when they were begun and are not done.
    pub(super) revision: Option<RevisionName>,
    /// Set when this hold is over.
    pub(super) is_over: bool,
    /// Where the newest interval lies; the next one never lies earlier.
    pub(super) newest: Option<Placement>,
    /// The last message of the newest interval, as its footer tells it.
    pub(super) last: Option<LastMessage>,
    /// Date that the last hint names.
    pub(super) hinted: Option<Date>,
    /// Directories that were there when last used.
    pub(super) known_dirs: HashSet<LakePath>,
    /// What was in disorder when this hold began.
    leftovers: Leftovers,
    /// The storage's time at a moment of the monotonic clock.
    anchor: (Timestamp, Instant),
}

/// The path partitions of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Placement {
    /// `dt`.
    pub date: Date,
    /// `hr`, in RAW.
    pub hour: i8,
}

impl Placement {
    /// The path partitions of a moment, in UTC.
    pub(super) fn of(timestamp: Timestamp) -> Self {
        let utc = timestamp.to_zoned(TimeZone::UTC);
        Self { date: utc.date(), hour: utc.hour() }
    }

    /// Where a committed interval lies. One without a file in RAW lies where it was staged.
    pub(super) fn of_interval(date: Date, footer: &IntervalFooter) -> Self {
        let raw = footer.files.iter().filter(|file| file.zone == Zone::Raw);
        let hours = raw.filter_map(|file| names::parse_hour_segment(LakePath::parse(&file.path)?.parent().name()));
        let staged = Self::of(footer.staged_at);
        let hour = hours.max().unwrap_or(if staged.date == date { staged.hour } else { 0 });
        Self { date, hour }
    }
}

impl std::fmt::Debug for LaneLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("LaneLedger");
        debug.field("source", &self.source).field("epoch", &self.tenure.epoch).field("head", &self.head);
        debug.finish_non_exhaustive()
    }
}

impl LaneLedger {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        owner: Owner,
        source: TopicPartition,
        tenure: Tenure,
        settled: Settled,
    ) -> Result<Self, LakeError> {
        let anchor = (tenure.storage_time, clock.instant());
        let mut lane = Self {
            storage,
            clock,
            owner,
            source,
            tenure,
            head: settled.head,
            rewound_until: None,
            in_flight: None,
            revision: None,
            is_over: false,
            newest: None,
            last: None,
            hinted: None,
            known_dirs: HashSet::new(),
            leftovers: settled.leftovers,
            anchor,
        };
        lane.settle_in(settled)?;
        Ok(lane)
    }

    /// What the owner before has left behind, and was put in order when this hold began.
    pub fn leftovers(&self) -> Leftovers {
        self.leftovers
    }

    /// Begins anew from what a settled owner knows.
    pub(super) fn settle_in(&mut self, settled: Settled) -> Result<(), LakeError> {
        self.head = settled.head;
        self.rewound_until = settled.rewound_until;
        self.in_flight = None;
        self.revision = None;
        self.hinted = None;
        self.last = settled.footer.as_ref().and_then(|footer| footer.last);
        self.newest = match (settled.newest, settled.footer) {
            (Some(file), Some(footer)) => Some(Placement::of_interval(file.date, &footer)),
            _ => None,
        };
        self.set_storage_time(self.tenure.storage_time)?;
        self.is_over = false;
        Ok(())
    }

    /// The last message of the newest interval of the chain when this hold began, where its ledger file tells it.
    pub fn last(&self) -> Option<LastMessage> {
        self.last
    }

    /// The Kafka partition.
    pub fn source(&self) -> &TopicPartition {
        &self.source
    }

    /// The epoch of this hold.
    pub fn epoch(&self) -> Epoch {
        self.tenure.epoch
    }

    /// The way of a table's dead letters to a topic, under this hold.
    pub fn letters(&self, table: &str, topic: &str) -> super::LetterRoute {
        super::LetterRoute::new(&self.storage, &self.source, &self.tenure, table, topic)
    }

    /// The next offset to read: assign here.
    pub fn head(&self) -> i64 {
        self.head
    }

    /// Set while the lane reads again what was read before a rewind: the old head. In there a position that the broker
    /// no longer has must always halt, whatever `on_offset_out_of_range` says.
    pub fn rewound_until(&self) -> Option<i64> {
        self.rewound_until.filter(|until| self.head < *until)
    }

    /// The storage's time, now.
    pub fn storage_now(&self) -> Timestamp {
        let elapsed = self.clock.instant().saturating_duration_since(self.anchor.1);
        self.anchor.0.saturating_add(elapsed).unwrap_or(self.anchor.0)
    }

    /// Takes over what a file's modification time says of the storage's clock.
    ///
    /// # Errors
    ///
    /// [`LakeError::Clocks`] when it is a day or more from this machine's.
    pub(super) fn set_storage_time(&mut self, storage: Timestamp) -> Result<(), LakeError> {
        self.anchor = (storage, self.clock.instant());
        let local = self.clock.now();
        let apart = storage.duration_since(local).abs();
        if apart.as_secs() >= CLOCKS_APART_S {
            return Err(LakeError::Clocks { storage, local, hours: apart.as_secs() / 3600 });
        }
        Ok(())
    }

    /// The error of a hold that finds its chain elsewhere than it has put it: somebody has taken over and gone on, or
    /// the mistake is ours. Either way it is over.
    pub(super) fn astray(&mut self, mistake: String) -> LakeError {
        self.is_over = true;
        if self.tenure.has_successor(&*self.storage) { self.tenure.fenced() } else { LakeError::Internal(mistake) }
    }

    /// Where the next interval lies: now, but never earlier than the one before.
    pub(super) fn next_placement(&self) -> Placement {
        let now = Placement::of(self.storage_now());
        self.newest.map_or(now, |newest| newest.max(now))
    }

    /// Makes a directory unless it is known to be there.
    pub(super) fn ensure_dir(&mut self, dir: LakePath) -> Result<(), LakeError> {
        if !self.known_dirs.contains(&dir) {
            super::mutate::make_dirs(&*self.storage, &dir)?;
            self.known_dirs.insert(dir);
        }
        Ok(())
    }
}
