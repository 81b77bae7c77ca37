//! How a lane becomes the owner of its Kafka partition's chain. Each generation of a lane takes its own epoch.

use std::sync::Arc;

use serde::Serialize;

use super::LakeError;
use super::chain::{self, Head, Intent};
use super::fence::{self, Owner, Tenure};
use super::footer;
use super::incarnation;
use super::lane::LaneLedger;
use super::names::{self, Home};
use super::recover::{self, Leftovers};
use super::restore;
use super::revise;
use super::rfc3339;
use crate::clock::Clock;
use crate::fault::Fault;
use crate::model::offset::TopicPartition;
use crate::storage::Storage;

/// Says where a Kafka partition without a chain begins: `earliest`, `latest`, a timestamp, … asked of the broker.
pub trait StartPosition {
    /// The first offset to read.
    ///
    /// # Errors
    ///
    /// What keeps it from being known now.
    fn resolve(&self, source: &TopicPartition) -> Result<i64, Fault>;
}

/// What a floor's file says.
#[derive(Debug, Serialize)]
struct Floor<'a> {
    offset: i64,
    reason: &'a str,
    #[serde(with = "rfc3339")]
    published_at: jiff::Timestamp,
    owner: &'a Owner,
}

/// Takes the chain of a Kafka partition over: epoch, stage, fence, second look ([`fence::take_epoch`]); published
/// rewinds finished; what was never committed removed; the head read. A Kafka partition without chain and floor gets
/// its floor from `start`, published before anything is read.
///
/// # Errors
///
/// [`LakeError::Fenced`] when a higher epoch appears meanwhile, [`LakeError::Foreign`] when the chain is another
/// pipeline's, [`LakeError::Chain`] when it is broken, [`LakeError::Clocks`], or what storage answered.
pub fn acquire(
    storage: &Arc<dyn Storage>,
    clock: &Arc<dyn Clock>,
    owner: &Owner,
    source: &TopicPartition,
    start: &dyn StartPosition,
) -> Result<LaneLedger, LakeError> {
    if let Some(problem) = names::topic_problem(&source.topic) {
        return Err(LakeError::Refused(problem));
    }
    let tenure = take(&**storage, source, owner)?;
    let settled = settle(&**storage, source, owner, &tenure, Some(start))?;
    LaneLedger::new(Arc::clone(storage), Arc::clone(clock), owner.clone(), source.clone(), tenure, settled)
}

/// Steps 1 to 4: the next epoch of a Kafka partition's chain, every lower one fenced.
pub(super) fn take(storage: &dyn Storage, source: &TopicPartition, owner: &Owner) -> Result<Tenure, LakeError> {
    let home = Home::raw(source);
    fence::take_epoch(storage, &home, owner, &|newest| refuse_foreign(&home, newest, owner))
}

/// Refuses a chain that was filled from another topic of the same name, and one of another group or cluster unless the
/// operator said to take it over.
fn refuse_foreign(home: &Home, newest: &Owner, owner: &Owner) -> Result<(), LakeError> {
    if let Some((theirs, ours)) = differ(&newest.topic_id, &owner.topic_id) {
        return Err(incarnation::recreated(home, &theirs, &ours));
    }
    refuse_stranger(home, newest, owner)
}

/// Refuses what another group or cluster keeps, unless the operator said to take it over.
pub(super) fn refuse_stranger(home: &Home, newest: &Owner, owner: &Owner) -> Result<(), LakeError> {
    let foreign = |what, detail| Err(LakeError::Foreign { home: home.path().clone(), what, detail });
    if owner.takes_over {
        return Ok(());
    }
    if newest.group != owner.group {
        let detail = format!("{} keeps it, this is {}; to go on with it say --take-over", newest.group, owner.group);
        return foreign("consumer group", detail);
    }
    match differ(&newest.cluster_id, &owner.cluster_id) {
        Some((theirs, ours)) => {
            foreign("cluster", format!("it was read from {theirs}, this is {ours}; to go on with it say --take-over"))
        }
        None => Ok(()),
    }
}

/// Two values that are known and not the same.
fn differ(a: &Option<String>, b: &Option<String>) -> Option<(String, String)> {
    a.clone().zip(b.clone()).filter(|(a, b)| a != b)
}

/// What an owner knows when it has settled in.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) head: i64,
    pub(super) newest: Option<chain::LedgerFile>,
    /// Footer of the newest ledger file.
    pub(super) footer: Option<footer::IntervalFooter>,
    pub(super) rewound_until: Option<i64>,
    pub(super) leftovers: Leftovers,
}

/// Steps 5 to 7, after an acquire and after a rewind alike. Without `start` there must be a chain or a floor.
pub(super) fn settle(
    storage: &dyn Storage,
    source: &TopicPartition,
    owner: &Owner,
    tenure: &Tenure,
    start: Option<&dyn StartPosition>,
) -> Result<Settled, LakeError> {
    let (intents, leftovers) = put_in_order(storage, source, tenure)?;
    let Head { mut at, newest } = chain::read_head(storage, source, chain::read_floor(storage, source)?)?;
    if at.is_none() {
        let start = start.ok_or_else(|| LakeError::Internal(format!("{source} has neither a chain nor a floor")))?;
        let offset = start.resolve(source).map_err(LakeError::Outside)?;
        publish_floor(storage, tenure, owner, offset)?;
        at = chain::read_floor(storage, source)?;
    }
    let head = at.ok_or_else(|| LakeError::Internal(format!("the floor of {source} is gone")))?;
    let footer = match &newest {
        Some(file) => Some(footer::read_footer(storage, &file.path, file.bytes)?),
        None => None,
    };
    let rewound_until = chain::rewound_until(&intents, Some(head));
    Ok(Settled { head, newest, footer, rewound_until, leftovers })
}

/// Steps 5 and 6: what earlier owners had begun is finished or taken away. Gives the rewinds as they were found.
pub(super) fn put_in_order(
    storage: &dyn Storage,
    source: &TopicPartition,
    tenure: &Tenure,
) -> Result<(Vec<Intent>, Leftovers), LakeError> {
    let intents = recover::finish_rewinds(storage, source, tenure)?;
    let mut leftovers = recover::remove_uncommitted(storage, source, tenure)?;
    leftovers.rewinds = intents.iter().filter(|intent| !intent.is_done).count() as u64;
    // Only now: what comes back lies where uncommitted files of the same offsets may have been until a moment ago.
    restore::finish_undos(storage, source, tenure, &intents)?;
    leftovers.revisions = revise::finish_revisions(storage, source, tenure)?;
    Ok((intents, leftovers))
}

fn publish_floor(storage: &dyn Storage, tenure: &Tenure, owner: &Owner, offset: i64) -> Result<(), LakeError> {
    if offset < 0 {
        return Err(LakeError::Internal(format!("offset {offset} cannot be a starting position")));
    }
    let floor = Floor { offset, reason: "configured start", published_at: tenure.storage_time, owner };
    let json = serde_json::to_vec_pretty(&floor).map_err(|error| LakeError::Internal(error.to_string()))?;
    let to = tenure.home.floors().join(names::floor_name(offset, tenure.epoch));
    // Taken: by ourselves, when an earlier answer was lost. The name says all that counts.
    tenure.publish(storage, &json, &to).map(|_| ())
}
