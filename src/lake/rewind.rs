//! Rewind: truncating a chain, so that the lane reads again from an earlier offset.

use std::collections::BTreeMap;

use serde::Serialize;

use super::LakeError;
use super::acquire;
use super::chain::{self, LedgerFile, SourceState};
use super::fence::Owner;
use super::footer;
use super::lane::LaneLedger;
use super::names::RewindName;
use super::rfc3339;
use crate::failpoint;
use crate::model::offset::TopicPartition;
use crate::storage::Storage;

/// What a rewind would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RewindPlan {
    /// Kafka topic.
    pub topic: String,
    /// Partition of the topic.
    pub partition: i32,
    /// The offset that was asked for.
    pub target: i64,
    /// Where the chain is cut and reading begins: the beginning of the interval that holds the target.
    pub to: i64,
    /// Head of the chain before.
    pub head: i64,
    /// Intervals taken out.
    pub intervals: u64,
    /// Messages in them.
    pub messages: u64,
    /// Messages in quarantine among them.
    pub quarantined: u64,
    /// Rows taken out, by table.
    pub rows: BTreeMap<String, u64>,
    /// Data files taken out.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
}

/// A rewind that was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rewound {
    /// What it did.
    pub plan: RewindPlan,
    /// The epoch it was done in.
    pub epoch: u64,
}

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RewindOrder<'a> {
    /// The offset to go back to.
    pub target: i64,
    /// What the operator believes the head to be; a wrong belief refuses.
    pub expect: Option<i64>,
    /// First offset the broker still has.
    pub broker_low: i64,
    /// Why, for those who come after.
    pub reason: &'a str,
}

#[derive(Debug, Serialize)]
struct IntentFile<'a> {
    to: i64,
    head: i64,
    target: i64,
    reason: &'a str,
    #[serde(with = "rfc3339")]
    published_at: jiff::Timestamp,
    owner: &'a Owner,
}

/// What a rewind would do, without doing any of it.
///
/// # Errors
///
/// [`LakeError::Refused`] when it would not be done, [`LakeError::Chain`], or what storage answered.
pub fn plan_rewind(
    storage: &dyn Storage,
    source: &TopicPartition,
    order: RewindOrder<'_>,
) -> Result<RewindPlan, LakeError> {
    let state = chain::read_chain(storage, source)?;
    let (to, head) = cut(source, &state, order).map_err(LakeError::Refused)?;
    let mut plan = RewindPlan {
        topic: source.topic.to_string(),
        partition: source.partition,
        target: order.target,
        to,
        head,
        intervals: 0,
        messages: 0,
        quarantined: 0,
        rows: BTreeMap::new(),
        files: 0,
        bytes: 0,
    };
    for file in state.chain.live.iter().filter(|file| file.name.range.from() >= to) {
        let footer = footer::read_footer(storage, &file.path, file.bytes)?;
        plan.intervals += 1;
        plan.messages += footer.sums.messages;
        for (table, sum) in &footer.sums.tables {
            plan.quarantined += sum.quarantined;
            *plan.rows.entry(table.clone()).or_default() += sum.rows;
        }
        plan.files += footer.files.len() as u64;
        plan.bytes += footer.files.iter().map(|file| file.bytes).sum::<u64>();
    }
    Ok(plan)
}

/// Where the chain is cut, and its head; or why it is not.
fn cut(source: &TopicPartition, state: &SourceState, order: RewindOrder<'_>) -> Result<(i64, i64), String> {
    let (Some(start), Some(head)) = (state.chain.start, state.chain.head()) else {
        return Err(format!("{source} has no chain: there is nothing to rewind"));
    };
    if state.has_open_intent() {
        return Err(format!("a rewind of {source} is not finished: its lane finishes it when it starts"));
    }
    if let Some(expect) = order.expect.filter(|expect| *expect != head) {
        return Err(format!("{source} is at offset {head}, not at {expect}: look again before you rewind"));
    }
    if order.target < start {
        return Err(format!("offset {} of {source} is below the floor {start}", order.target));
    }
    if order.target >= head {
        return Err(format!("offset {} of {source} is not below its head {head}", order.target));
    }
    let begins_before = |file: &&LedgerFile| file.name.range.from() <= order.target;
    let to = state.chain.live.iter().rfind(begins_before).map_or(start, |file| file.name.range.from());
    if to < order.broker_low {
        let mut starts = state.chain.live.iter().map(|file| file.name.range.from());
        let next = match starts.find(|from| *from >= order.broker_low) {
            Some(from) => format!("the earliest possible is {from}"),
            None => "nothing of the chain can be read again".to_owned(),
        };
        let low = order.broker_low;
        return Err(format!("{source} would begin at offset {to}, the broker's first is {low}: {next}"));
    }
    Ok((to, head))
}

impl LaneLedger {
    /// Cuts the chain at the beginning of the interval that holds `order.target`, under a new epoch. An interval whose
    /// commit is in flight is given up. Afterwards [`LaneLedger::head`] is where to read.
    ///
    /// # Errors
    ///
    /// [`LakeError::Refused`]: the chain is as before and the lane goes on where [`LaneLedger::head`] says (its epoch
    /// may be a new one). Any other error: this hold is over; whoever acquires finishes what was published.
    pub fn rewind(&mut self, order: RewindOrder<'_>) -> Result<Rewound, LakeError> {
        if self.is_over {
            return Err(self.tenure.fenced());
        }
        let storage = std::sync::Arc::clone(&self.storage);
        let plan = plan_rewind(&*storage, &self.source, order)?;
        self.is_over = true;
        self.known_dirs.clear();
        self.tenure = acquire::take(&*storage, &self.source, &self.owner)?;
        // Nobody but us can commit any more, so this look at the chain holds until the intent is published. A commit
        // of ours whose answer was lost may have ended meanwhile.
        let cut = cut(&self.source, &chain::read_chain(&*storage, &self.source)?, order);
        let refused = match cut {
            Ok(same) if same == (plan.to, plan.head) => None,
            Ok((_, head)) => Some(format!("{} moved on to offset {head} meanwhile: look again", self.source)),
            Err(refused) => Some(refused),
        };
        if refused.is_none() {
            self.publish_intent(&plan, order)?;
            failpoint::reach("raw.rewind.published");
        }
        let settled = acquire::settle(&*storage, &self.source, &self.owner, &self.tenure, None)?;
        self.settle_in(settled)?;
        match refused {
            Some(refused) => Err(LakeError::Refused(refused)),
            None if self.head == plan.to => Ok(Rewound { plan, epoch: self.tenure.epoch.0 }),
            None => Err(self.astray(format!("{} was rewound to {}, not to {}", self.source, self.head, plan.to))),
        }
    }

    fn publish_intent(&self, plan: &RewindPlan, order: RewindOrder<'_>) -> Result<(), LakeError> {
        let name = RewindName { epoch: self.tenure.epoch, to: plan.to, head: plan.head, undoes: None };
        let intent = IntentFile {
            to: plan.to,
            head: plan.head,
            target: order.target,
            reason: order.reason,
            published_at: self.tenure.storage_time,
            owner: &self.owner,
        };
        self.publish_rewind(name, &intent)
    }

    /// Publishes an intent: from here on whoever owns the chain finishes it.
    pub(super) fn publish_rewind(&self, name: RewindName, intent: &impl Serialize) -> Result<(), LakeError> {
        let json = serde_json::to_vec_pretty(intent).map_err(|error| LakeError::Internal(error.to_string()))?;
        let to = self.tenure.home.rewinds().join(name.intent());
        match self.tenure.publish(&*self.storage, &json, &to)? {
            true => Ok(()),
            false => Err(LakeError::Conflict { path: to, detail: "another intent of this epoch".to_owned() }),
        }
    }
}
