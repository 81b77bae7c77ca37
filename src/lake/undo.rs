//! Taking the newest rewind back: the chain is what it was before, and the lane goes on at the old head.
//!
//! Rewind R of epoch r has cut the chain at X when its head was H, and what it took out lies in `superseded/e<r>`. Its
//! undo U takes an epoch u, publishes an intent (X, H, r) out of its own stage, and then, as does whoever acquires
//! later:
//!
//! 1. ledger files with `from >= X` and an epoch below u go to `superseded/e<u>`, newest first, then their data files;
//! 2. what fenced stages name and nobody committed is removed;
//! 3. by ascending offset each interval of `superseded/e<r>` comes back **under a name of epoch u**: its data files are
//!    renamed, then a ledger file with the same rows and the new names is written in the own stage and renamed;
//! 4. `superseded/e<r>` is deleted, and the intent is marked done.
//!
//! Where it may be cut, and who may still be at work:
//!
//! * After every single step the chain is whole: (1) shortens it from its end, (3) lengthens it at its end. Nobody
//!   commits before the intent is done, since every owner finishes open intents first. So a later owner finds the place
//!   again by looking: what is in the chain is back, and the interval that begins at its head is the next.
//! * No offset lies in RAW twice: (3) begins when whoever does it has seen the end of (1) and (2) itself. A data file
//!   that is back before its ledger file is explained by the intent, not by a manifest, so nobody removes it.
//! * A zombie of R, or a request of it that storage carries out late, moves files of an epoch below r **by their old
//!   names** to `superseded/e<r>`. It did no harm as long as those names were dead; had they come back, it would take
//!   the chain apart. So they never come back: names of epoch u are none that R, or any list it ever made, knows.
//! * A zombie of (1) moves names that never come back either (an undo cannot be undone; were its lane rewound and that
//!   undone again, they would come back by other names). A zombie of (3) finds the sources of its renames gone once the
//!   intent is done, for nothing is ever moved to `superseded/e<r>` again, and its ledger files are stopped by the
//!   fence.
//! * Of (4) the deletion comes first: a folder that is gone means that everything is back. Until then nothing in it was
//!   the only copy of anything but what (3) still moves.
//!
//! Promotion needs nothing of its own. To it U is one more rewind to X, honoured when it is done: until then the Kafka
//! partition is left out, afterwards every id with a row from X on is computed anew. That is right whether R had been
//! honoured or not. The old head is at least as far as anything that was ever promoted, so no row is lost meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::LakeError;
use super::acquire;
use super::chain::{self, Intent, LedgerFile, SourceState};
use super::fence::Owner;
use super::footer;
use super::lane::LaneLedger;
use super::mutate;
use super::names::{Home, RewindName};
use super::recover;
use super::rfc3339;
use crate::model::offset::TopicPartition;
use crate::storage::{LakePath, Storage};

/// What taking a rewind back would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UndoPlan {
    /// Kafka topic.
    pub topic: String,
    /// Partition of the topic.
    pub partition: i32,
    /// Epoch of the rewind that is taken back.
    pub rewind: u64,
    /// Where that rewind cut the chain.
    pub from: i64,
    /// Head of the chain before that rewind: there the lane goes on.
    pub to: i64,
    /// Head of the chain now.
    pub head: i64,
    /// Intervals that come back.
    pub intervals: u64,
    /// Messages in them.
    pub messages: u64,
    /// Messages in quarantine among them.
    pub quarantined: u64,
    /// Rows that come back, by table.
    pub rows: BTreeMap<String, u64>,
    /// Intervals read since the rewind, which are taken out.
    pub superseded_intervals: u64,
    /// Messages in them.
    pub superseded_messages: u64,
}

/// A rewind that was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undone {
    /// What it did.
    pub plan: UndoPlan,
    /// The epoch it was done in.
    pub epoch: u64,
}

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UndoOrder<'a> {
    /// What the operator believes the head to be; a wrong belief refuses.
    pub expect: Option<i64>,
    /// Why, for those who come after.
    pub reason: &'a str,
}

#[derive(Debug, Serialize)]
struct IntentFile<'a> {
    to: i64,
    head: i64,
    undoes: u64,
    reason: &'a str,
    #[serde(with = "rfc3339")]
    published_at: jiff::Timestamp,
    owner: &'a Owner,
}

/// What taking the newest rewind back would do, without doing any of it.
///
/// # Errors
///
/// [`LakeError::Refused`] when it would not be done, [`LakeError::Chain`], or what storage answered.
pub fn plan_undo(storage: &dyn Storage, source: &TopicPartition, order: UndoOrder<'_>) -> Result<UndoPlan, LakeError> {
    let state = chain::read_chain(storage, source)?;
    let (rewind, head) = undoable(source, &state, order.expect).map_err(LakeError::Refused)?;
    let mut plan = UndoPlan {
        topic: source.topic.to_string(),
        partition: source.partition,
        rewind: rewind.epoch.0,
        from: rewind.to,
        to: rewind.head,
        head,
        intervals: 0,
        messages: 0,
        quarantined: 0,
        rows: BTreeMap::new(),
        superseded_intervals: 0,
        superseded_messages: 0,
    };
    for file in state.chain.live.iter().filter(|file| file.name.range.from() >= rewind.to) {
        plan.superseded_intervals += 1;
        plan.superseded_messages += footer::read_footer(storage, &file.path, file.bytes)?.sums.messages;
    }
    let superseded = Home::raw(source).superseded(rewind.epoch);
    for file in held(storage, source, rewind, &superseded)? {
        let footer = footer::read_footer(storage, &file.path, file.bytes)?;
        for data in &footer.files {
            let path = LakePath::parse(&data.path).map(|path| superseded.join(path.as_str()));
            let path = path.ok_or_else(|| footer::corrupt(&file.path, "it names no path"))?;
            if mutate::look(storage, &path)?.is_none_or(|entry| entry.bytes != data.bytes) {
                return Err(LakeError::Refused(gone(source, rewind, &format!("{path} is not there as it was"))));
            }
        }
        plan.intervals += 1;
        plan.messages += footer.sums.messages;
        for (table, sum) in &footer.sums.tables {
            plan.quarantined += sum.quarantined;
            *plan.rows.entry(table.clone()).or_default() += sum.rows;
        }
    }
    Ok(plan)
}

/// The rewind that can be taken back, and the head of the chain; or why there is none.
fn undoable(source: &TopicPartition, state: &SourceState, expect: Option<i64>) -> Result<(RewindName, i64), String> {
    let (Some(start), Some(head)) = (state.chain.start, state.chain.head()) else {
        return Err(format!("{source} has no chain: there is nothing to take back"));
    };
    if state.has_open_intent() {
        return Err(format!("a rewind of {source} is not finished: its lane finishes it when it starts"));
    }
    if let Some(expect) = expect.filter(|expect| *expect != head) {
        return Err(format!("{source} is at offset {head}, not at {expect}: look again before you take a rewind back"));
    }
    let Some(rewind) = newest_standing(&state.intents) else {
        let why = if state.intents.is_empty() { "was never rewound" } else { "has no rewind left" };
        return Err(format!("{source} {why}: there is nothing to take back"));
    };
    if head > rewind.head {
        return Err(format!(
            "{source} has been read again up to offset {head}, past {} where it was when it was rewound: that rewind \
             can no longer be taken back",
            rewind.head
        ));
    }
    if start > rewind.to {
        return Err(gone(source, rewind, &format!("the chain begins at offset {start} now")));
    }
    Ok((rewind, head))
}

/// The newest rewind that was not taken back.
fn newest_standing(intents: &[Intent]) -> Option<RewindName> {
    let is_undone = |rewind: &RewindName| intents.iter().any(|intent| intent.name.undoes == Some(rewind.epoch));
    let rewinds = intents.iter().map(|intent| intent.name).filter(|name| name.undoes.is_none());
    rewinds.filter(|rewind| !is_undone(rewind)).max_by_key(|rewind| rewind.epoch)
}

/// The intervals that come back, when they are all there.
fn held(
    storage: &dyn Storage,
    source: &TopicPartition,
    rewind: RewindName,
    superseded: &LakePath,
) -> Result<Vec<LedgerFile>, LakeError> {
    let files = recover::superseded_ledgers(storage, source, superseded)?;
    match chain::walk(files, Some(rewind.to)) {
        Ok(chain) if chain.head() == Some(rewind.head) => Ok(chain.live),
        _ => {
            let what = format!("{superseded} no longer holds every ledger file");
            Err(LakeError::Refused(gone(source, rewind, &what)))
        }
    }
}

fn gone(source: &TopicPartition, rewind: RewindName, what: &str) -> String {
    let RewindName { to, head, .. } = rewind;
    format!("offsets {to} to {head} of {source} cannot come back: {what}; they are read again from kafka instead")
}

impl LaneLedger {
    /// Takes the newest rewind back, under a new epoch. An interval whose commit is in flight is given up. Afterwards
    /// [`LaneLedger::head`] is where to read.
    ///
    /// # Errors
    ///
    /// [`LakeError::Refused`]: the chain is as before and the lane goes on where [`LaneLedger::head`] says (its epoch
    /// may be a new one). Any other error: this hold is over; whoever acquires finishes what was published.
    pub fn undo(&mut self, order: UndoOrder<'_>) -> Result<Undone, LakeError> {
        if self.is_over {
            return Err(self.tenure.fenced());
        }
        let storage = Arc::clone(&self.storage);
        let plan = plan_undo(&*storage, &self.source, order)?;
        self.is_over = true;
        self.known_dirs.clear();
        self.tenure = acquire::take(&*storage, &self.source, &self.owner)?;
        // As for a rewind: nobody but us can commit any more, and a commit of ours may have ended meanwhile.
        let refused = match undoable(&self.source, &chain::read_chain(&*storage, &self.source)?, order.expect) {
            Ok((rewind, head)) if (rewind.epoch.0, head) == (plan.rewind, plan.head) => {
                let name = RewindName { epoch: self.tenure.epoch, undoes: Some(rewind.epoch), ..rewind };
                let published_at = self.tenure.storage_time;
                let (to, head, undoes, reason) = (rewind.to, rewind.head, plan.rewind, order.reason);
                self.publish_rewind(name, &IntentFile { to, head, undoes, reason, published_at, owner: &self.owner })?;
                None
            }
            Ok((_, head)) => Some(format!("{} moved on to offset {head} meanwhile: look again", self.source)),
            Err(refused) => Some(refused),
        };
        let settled = acquire::settle(&*storage, &self.source, &self.owner, &self.tenure, None)?;
        self.settle_in(settled)?;
        match refused {
            Some(refused) => Err(LakeError::Refused(refused)),
            None if self.head == plan.to => Ok(Undone { plan, epoch: self.tenure.epoch.0 }),
            None => Err(self.astray(format!("{} came back to {}, not to {}", self.source, self.head, plan.to))),
        }
    }
}
