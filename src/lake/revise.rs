//! Revised intervals: a ledger file of a higher epoch that covers an old interval replaces it, with data files of its
//! own.
//!
//! The lane's owner in epoch k replaces an interval `[from, to)` of a lower epoch. Nobody else can commit meanwhile:
//!
//! 1. once in the epoch the intent is published out of the own stage (`revision/<head>+e<k>`): from now on whoever owns
//!    the chain cleans up;
//! 2. all files of the new version are staged and renamed as for any commit, data files first, the ledger file last,
//!    into the path partitions where the old version lies. **That last rename is the revision**: where two ledger files
//!    begin at one offset the higher epoch counts, and the other one is dead;
//! 3. the old ledger file goes to `superseded/e<k>`, then its data files;
//! 4. when the last interval is revised, the intent is marked done.
//!
//! Where it may be cut, and who may still be at work:
//!
//! * Before (2) has ended the old version counts, and the staged ledger file is the manifest of what has to be removed.
//!   After it the new version counts, and what is left of the old one is found by the intent: dead ledger files of the
//!   chain, and those in `superseded/e<k>`, name it. Revisions that were not begun are not made up for: the chain is
//!   good without them, and whoever asked may ask again.
//! * Whoever follows the ledger (promotion, audit) sees one version at each moment. Whoever lists the folders of RAW
//!   sees both from the first rename of (2) to the last of (3), some seconds, or until the next acquire when the owner
//!   died. The other way round such a reader would miss rows instead, and a crash would leave a chain that names what
//!   is gone.
//! * Both versions of the ledger file lie in one folder, and the name of the old one comes first. So a listing, even
//!   one that is given page by page, shows the old, both, or the new, never neither.
//! * A zombie of epoch k can neither publish nor commit: both are renames out of its stage. What it still moves to
//!   `superseded/e<k>`, and every request of it that is carried out late, are files of lower epochs that a ledger file
//!   in its place has made dead. Such names never come back: when a rewind took both versions out and is taken back,
//!   the newer one returns under a name of its own, and the older one is deleted.
//! * A rewind moves dead files with the rest, those of one offset before the file that replaced them, so an old version
//!   never counts again.
//!
//! To promotion the revisions of an epoch are one thing that is honoured once, like a rewind: while they are not done
//! the Kafka partition is left out; afterwards revised intervals below the cursor are consumed again, and every id with
//! a row from one of them is computed anew.

use std::sync::Arc;

use serde::Serialize;

use super::LakeError;
use super::chain::{self, LedgerFile};
use super::commit::{Committed, PendingInterval};
use super::fence::{self, Owner, Tenure};
use super::footer;
use super::lane::{LaneLedger, Placement};
use super::names::RevisionName;
use super::recover;
use super::rfc3339;
use crate::model::offset::TopicPartition;
use crate::storage::Storage;

#[derive(Debug, Serialize)]
struct IntentFile<'a> {
    head: i64,
    reason: &'a str,
    #[serde(with = "rfc3339")]
    published_at: jiff::Timestamp,
    owner: &'a Owner,
}

impl LaneLedger {
    /// Replaces `old`, an interval of the chain that was committed in an earlier epoch, by `pending` of the same
    /// offsets. `reason` is for those who come after. When this returns `Ok`, the new version counts and nothing of the
    /// old one is left in the zones. Say [`LaneLedger::end_revisions`] after the last one.
    ///
    /// After an error whose verdict is to retry, the same `pending` may be given again in the same epoch, as for a
    /// commit.
    ///
    /// # Errors
    ///
    /// [`LakeError::Fenced`], [`LakeError::Internal`] when `pending` is not of those offsets or does not add up, or
    /// what storage answered. When the new version counts already, this hold is over: whoever acquires cleans up.
    pub fn revise(
        &mut self,
        pending: &mut PendingInterval,
        old: &LedgerFile,
        reason: &str,
    ) -> Result<Committed, LakeError> {
        if self.is_over {
            return Err(self.tenure.fenced());
        }
        self.try_revise(pending, old, reason).map_err(|error| {
            self.is_over |= error.is_fenced();
            fence::name_successor(&*self.storage, &self.tenure.home, error)
        })
    }

    fn try_revise(
        &mut self,
        pending: &mut PendingInterval,
        old: &LedgerFile,
        reason: &str,
    ) -> Result<Committed, LakeError> {
        let name = &old.name;
        let is_ours = name.source == self.source && name.range.to() <= self.head;
        if !is_ours || name.epoch >= self.tenure.epoch || pending.range() != name.range {
            let (range, epoch) = (pending.range(), self.tenure.epoch);
            return Err(LakeError::Internal(format!("{range} of {} in {epoch} does not revise {name}", self.source)));
        }
        let storage = Arc::clone(&self.storage);
        let before = footer::read_footer(&*storage, &old.path, old.bytes)?;
        self.begin_revisions(reason)?;
        let (committed, _) = self.put_in_place(pending, Placement::of_interval(old.date, &before))?;
        let superseded = self.tenure.home.superseded(self.tenure.epoch);
        let moved = recover::supersede(&*storage, &old.path, &superseded, old.bytes)
            .and_then(|()| recover::supersede_files(&*storage, &old.path, &before, &superseded));
        self.is_over |= moved.is_err();
        moved.map(|()| committed)
    }

    /// Publishes the intent, once in an epoch.
    fn begin_revisions(&mut self, reason: &str) -> Result<(), LakeError> {
        if self.revision.is_some() {
            return Ok(());
        }
        let name = RevisionName { epoch: self.tenure.epoch, head: self.head };
        let intent = IntentFile { head: self.head, reason, published_at: self.tenure.storage_time, owner: &self.owner };
        let json = serde_json::to_vec_pretty(&intent).map_err(|error| LakeError::Internal(error.to_string()))?;
        // Taken: by ourselves, when an earlier answer was lost. The name says all that counts.
        self.tenure.publish(&*self.storage, &json, &self.tenure.home.revisions().join(name.intent()))?;
        self.revision = Some(name);
        Ok(())
    }

    /// Says that no more revisions come in this epoch, so that promotion may honour those there are.
    ///
    /// # Errors
    ///
    /// [`LakeError::Fenced`], or what storage answered; whoever acquires says it then.
    pub fn end_revisions(&mut self) -> Result<(), LakeError> {
        if self.is_over {
            return Err(self.tenure.fenced());
        }
        if let Some(name) = self.revision {
            say_done(&*self.storage, &self.tenure, name)?;
            self.revision = None;
        }
        Ok(())
    }
}

/// Finishes the revisions of epochs that are over: what a revised interval has replaced leaves the zones. Says how
/// many there were.
///
/// # Errors
///
/// [`LakeError::Fenced`], [`LakeError::Chain`], or what storage answered.
pub(super) fn finish_revisions(
    storage: &dyn Storage,
    source: &TopicPartition,
    tenure: &Tenure,
) -> Result<u64, LakeError> {
    let mut finished = 0;
    for revision in chain::read_revisions(storage, source)?.into_iter().filter(|revision| !revision.is_done) {
        finished += 1;
        let superseded = tenure.home.superseded(revision.name.epoch);
        for dead in chain::read_chain(storage, source)?.chain.dead {
            if dead.name.epoch < revision.name.epoch {
                recover::supersede(storage, &dead.path, &superseded, dead.bytes)?;
            }
        }
        recover::supersede_data(storage, source, &superseded)?;
        say_done(storage, tenure, revision.name)?;
    }
    Ok(finished)
}

fn say_done(storage: &dyn Storage, tenure: &Tenure, name: RevisionName) -> Result<(), LakeError> {
    tenure.publish(storage, b"done\n", &tenure.home.revisions().join(name.done())).map(drop)
}
