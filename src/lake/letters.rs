//! How far the dead letters of a lane have been sent to a dead-letter topic.
//!
//! A letter is sent only when its interval is in the chain, and the position moves only when the topic has acknowledged
//! it; so after a crash what was committed and not acknowledged is sent, some of it once more. The position is a
//! [`LetterMark`]: a name in `letters/`, put there by a rename out of the stage of the lane's owner, which the fence
//! stops. Nobody but that owner moves it, and within an epoch it only grows.
//!
//! * **Rewind.** A mark names the newest rewind that it knows. Where a newer one was published, the position goes back
//!   to where that cut the chain: what is read again is sent again when it is committed, as it is then. An undo is one
//!   more rewind to the same place.
//! * **Revision** (an interval of a higher epoch in place of an old one) may leave messages in quarantine for other
//!   reasons than before, or in that of another table. An owner revises before it opens its letters; so what revised
//!   intervals of an epoch above the mark's hold is sent again, as it is then, and only then there is a mark of the new
//!   epoch.
//! * A topic that a table did not have before begins where the chain begins: it gets all that is in quarantine.

use std::sync::Arc;

use jiff::civil::Date;

use super::LakeError;
use super::chain::{self, LedgerFile};
use super::fence::Tenure;
use super::footer::{self, DataFile, Zone};
use super::mutate;
use super::names::LetterMark;
use crate::model::offset::{Epoch, TopicPartition};
use crate::observe::events;
use crate::storage::{LakePath, Storage};

/// Marks that are kept for people to look at.
const MARKS_KEPT: usize = 2;

/// Whose dead letters go where, and the hold on the lane under which their position is kept.
#[derive(Clone)]
pub struct LetterRoute {
    storage: Arc<dyn Storage>,
    source: TopicPartition,
    tenure: Tenure,
    table: Arc<str>,
    topic: Arc<str>,
}

impl LetterRoute {
    pub(super) fn new(
        storage: &Arc<dyn Storage>,
        source: &TopicPartition,
        tenure: &Tenure,
        table: &str,
        topic: &str,
    ) -> Self {
        let (storage, source, tenure) = (Arc::clone(storage), source.clone(), tenure.clone());
        Self { storage, source, tenure, table: table.into(), topic: topic.into() }
    }

    /// The lake.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// The Kafka partition, as the lake calls it.
    pub fn source(&self) -> &TopicPartition {
        &self.source
    }

    /// The table whose messages they are.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The dead-letter topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    fn dir(&self) -> LakePath {
        self.tenure.home.letters(&self.table, &self.topic)
    }
}

impl std::fmt::Debug for LetterRoute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("LetterRoute");
        debug.field("source", &self.source).field("epoch", &self.tenure.epoch).field("topic", &self.topic);
        debug.finish_non_exhaustive()
    }
}

/// The position of one route, in the hands of the lane's owner.
#[derive(Debug)]
pub struct LetterBox {
    route: LetterRoute,
    position: i64,
    /// Path partition before which nothing lies that is still to be sent.
    since: Option<Date>,
    rewind: Epoch,
    /// Position and rewind of the last mark.
    marked: Option<(i64, Epoch)>,
    /// Intervals below the position that have been revised since, and are still to be sent again.
    again: Vec<LedgerFile>,
    /// Whether a mark of this epoch has to say that they were.
    owes_mark: bool,
}

impl LetterBox {
    /// Finds the position. To be called after the lane was acquired: then no rewind is open.
    ///
    /// # Errors
    ///
    /// [`LakeError::Fenced`] when somebody has taken the lane over, or what storage answered.
    pub fn open(route: LetterRoute) -> Result<Self, LakeError> {
        let storage = &*route.storage;
        let intents = chain::read_intents(storage, &route.source)?;
        let entries = mutate::list(storage, &route.dir())?;
        let mark = entries.iter().filter_map(|entry| LetterMark::parse(entry.path.name())).max();
        let is_newer = |epoch: Epoch| epoch > route.tenure.epoch;
        if mark.is_some_and(|mark| is_newer(mark.epoch)) || intents.iter().any(|intent| is_newer(intent.name.epoch)) {
            return Err(route.tenure.fenced());
        }
        let floor = chain::read_floor(storage, &route.source)?.unwrap_or(0);
        let known = mark.map_or(Epoch(0), |mark| mark.rewind);
        let sent = mark.map_or(floor, |mark| mark.to);
        let cuts = intents.iter().map(|intent| intent.name).filter(|rewind| rewind.epoch > known);
        let cut = cuts.clone().map(|rewind| rewind.to).min().filter(|to| *to < sent);
        let rewind = cuts.map(|rewind| rewind.epoch).max().unwrap_or(known);
        let since = mark.filter(|_| cut.is_none()).map(|mark| mark.date);
        let position = cut.unwrap_or(sent).max(floor);
        let again = match mark {
            Some(mark) => revised_since(storage, &route.source, mark.epoch, position)?,
            None => Vec::new(),
        };
        let (marked, owes_mark) = (mark.map(|mark| (mark.to, mark.rewind)), !again.is_empty());
        Ok(Self { route, position, since, rewind, marked, again, owes_mark })
    }

    /// The route.
    pub fn route(&self) -> &LetterRoute {
        &self.route
    }

    /// Every dead letter below was acknowledged.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// The committed intervals whose dead letters are still to be sent: first those that have been revised since they
    /// were, then those at the position and above, each by ascending offset.
    ///
    /// # Errors
    ///
    /// [`LakeError::Chain`] when they are no chain, or what storage answered.
    pub fn unsent(&self) -> Result<Vec<LedgerFile>, LakeError> {
        let mut unsent = self.again.clone();
        unsent.extend(chain::read_from(&*self.route.storage, &self.route.source, self.since, self.position)?);
        Ok(unsent)
    }

    /// The quarantine files of the route's table in a committed interval.
    ///
    /// # Errors
    ///
    /// [`LakeError::Corrupt`], or what storage answered.
    pub fn files_of(&self, interval: &LedgerFile) -> Result<Vec<(LakePath, DataFile)>, LakeError> {
        let footer = footer::read_footer(&*self.route.storage, &interval.path, interval.bytes)?;
        let is_ours = |file: &DataFile| file.zone == Zone::Quarantine && file.table == *self.route.table;
        let path = |file: DataFile| {
            let path = LakePath::parse(&file.path);
            Ok((path.ok_or_else(|| footer::corrupt(&interval.path, "it names no path"))?, file))
        };
        footer.files.into_iter().filter(is_ours).map(path).collect()
    }

    /// Every dead letter of this interval, the first of [`Self::unsent`], was acknowledged.
    pub fn passed(&mut self, interval: &LedgerFile) {
        // Dates never go back along a chain, and nothing that is still to be sent lies before what has been sent.
        self.since = self.since.max(Some(interval.date));
        match self.again.iter().position(|again| again.name == interval.name) {
            Some(at) => drop(self.again.remove(at)),
            None => self.position = self.position.max(interval.name.range.to()),
        }
    }

    /// Whether everything that was revised has been sent again, and no mark says so yet.
    pub fn owes_mark(&self) -> bool {
        self.owes_mark && self.again.is_empty()
    }

    /// Makes the position known to whoever owns the lane next, as soon as everything that was revised has been sent
    /// again.
    ///
    /// # Errors
    ///
    /// [`LakeError::Fenced`] when somebody has taken the lane over, or what storage answered.
    pub fn mark(&mut self) -> Result<(), LakeError> {
        let known = Some((self.position, self.rewind));
        let is_new = self.marked != known || self.owes_mark;
        let Some(date) = self.since.filter(|_| is_new && self.again.is_empty()) else { return Ok(()) };
        let route = &self.route;
        let mark = LetterMark { epoch: route.tenure.epoch, to: self.position, rewind: self.rewind, date };
        // Taken: by ourselves, when an earlier answer was lost. The name says all that counts.
        route.tenure.publish(&*route.storage, b"", &route.dir().join(mark.name()))?;
        (self.marked, self.owes_mark) = (known, false);
        self.forget_old();
        Ok(())
    }

    /// Removes marks that a higher one has made worthless. Failing is fine.
    fn forget_old(&self) {
        let storage = &*self.route.storage;
        let removed = mutate::list(storage, &self.route.dir()).and_then(|entries| {
            let mut marks: Vec<_> =
                entries.iter().filter_map(|entry| Some((LetterMark::parse(entry.path.name())?, &entry.path))).collect();
            marks.sort_unstable_by_key(|(mark, _)| *mark);
            let old = marks.len().saturating_sub(MARKS_KEPT);
            marks[..old].iter().try_for_each(|(_, path)| mutate::delete(storage, path))
        });
        if let Err(error) = removed {
            events::left_undone("lake.mark-not-removed", &self.route.source, &error);
        }
    }
}

/// The intervals of the chain below `position` that have been revised in an epoch above `epoch`.
fn revised_since(
    storage: &dyn Storage,
    source: &TopicPartition,
    epoch: Epoch,
    position: i64,
) -> Result<Vec<LedgerFile>, LakeError> {
    let mut revisions = chain::read_revisions(storage, source)?;
    revisions.retain(|revision| revision.name.epoch > epoch);
    if revisions.is_empty() {
        return Ok(Vec::new());
    }
    let is_revised = |file: &LedgerFile| {
        let (name, to) = (&file.name, file.name.range.to());
        to <= position && revisions.iter().any(|revision| revision.name.epoch == name.epoch && to <= revision.name.head)
    };
    let mut live = chain::read_chain(storage, source)?.chain.live;
    live.retain(is_revised);
    Ok(live)
}
