//! A topic that was deleted and created again: same name, other messages, offsets from the beginning.
//!
//! Kafka gives it another topic id, by which it is told from the old one; its lanes are refused until an operator has
//! accepted it. From then on the lake calls it `<topic>~2` (`~3`, …) wherever it says where something comes from:
//! chain, file names, `kafka_topic`, footers, cursors of promotions. So (`kafka_topic`, `kafka_partition`,
//! `kafka_offset`) stays unique, joins by it stay right, and among versions of one id the later incarnation comes after
//! the earlier. `~` cannot occur in the name of a Kafka topic; what talks to Kafka leaves it out
//! ([`TopicPartition::in_kafka`]).
//!
//! The decision is a file, `_forebay/raw/<topic>/topic/accepted/<number>+<topic id>.json`, never changed and never
//! removed: every daemon reads it before it acquires a lane. It is published in an epoch of the topic's own folder, by
//! a rename out of a stage that was listed under the fence, so one number is given once, and one id one number: whoever
//! comes between is fenced, and whoever comes later finds it there.

use serde::Serialize;

use super::LakeError;
use super::acquire;
use super::error::RECREATED;
use super::fence::{self, Owner};
use super::mutate;
use super::names::{self, Home};
use super::rfc3339;
use crate::model::offset::TopicPartition;
use crate::model::topic;
use crate::storage::Storage;

/// A topic that was accepted as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// The topic in Kafka.
    pub topic: String,
    /// Its id.
    pub topic_id: String,
    /// What the lake calls it.
    pub lineage: String,
    /// Whether that was decided before.
    pub was_accepted: bool,
}

#[derive(Debug, Serialize)]
struct DecisionFile<'a> {
    topic: &'a str,
    topic_id: &'a str,
    lineage: &'a str,
    reason: &'a str,
    #[serde(with = "rfc3339")]
    published_at: jiff::Timestamp,
    owner: &'a Owner,
}

/// What the lake calls a Kafka partition: the broker says which id its topic has, none where it does not tell.
///
/// # Errors
///
/// [`LakeError::Foreign`] when the topic has an id that nobody has accepted and the lake holds messages of another one,
/// or what storage answered.
pub fn lineage(
    storage: &dyn Storage,
    source: &TopicPartition,
    topic_id: Option<&str>,
) -> Result<TopicPartition, LakeError> {
    let accepted = read_accepted(storage, &source.topic)?;
    let Some(topic_id) = topic_id else {
        let newest = accepted.last().map_or(1, |(number, _)| *number);
        return Ok(TopicPartition::new(names::incarnation(&source.topic, newest), source.partition));
    };
    if let Some(number) = number_of(&accepted, topic_id) {
        return Ok(TopicPartition::new(names::incarnation(&source.topic, number), source.partition));
    }
    // A Kafka partition that the old topic did not have has no owner to be told by: its siblings have.
    if mutate::list(storage, &Home::raw(source).owners())?.is_empty()
        && let Some((home, theirs)) = known_id(storage, &source.topic)?.filter(|(_, theirs)| theirs != topic_id)
    {
        return Err(recreated(&home, &theirs, topic_id));
    }
    Ok(source.clone())
}

/// What the lake calls the newest incarnation of a Kafka partition.
///
/// # Errors
///
/// What storage answered.
pub fn newest_lineage(storage: &dyn Storage, source: &TopicPartition) -> Result<TopicPartition, LakeError> {
    lineage(storage, source, None)
}

/// Records that a topic which was deleted and created again is read as an incarnation of its own from now on, and puts
/// in order what is left of the one before. Said once more, it is as it was.
///
/// # Errors
///
/// [`LakeError::Refused`] when the broker tells no id, or the lake knows no other one; [`LakeError::Foreign`] when the
/// lake holds the topic of another group or cluster; [`LakeError::Fenced`] when somebody else decides at this moment;
/// [`LakeError::Chain`] when a chain of the incarnation before is broken; or what storage answered.
pub fn accept_topic(storage: &dyn Storage, owner: &Owner, topic: &str, reason: &str) -> Result<Accepted, LakeError> {
    let Some(topic_id) = owner.topic_id.as_deref() else {
        let message = format!("kafka does not tell the id of {topic}: it cannot be told from the topic before");
        return Err(LakeError::Refused(message));
    };
    let answer = |number, was_accepted| Accepted {
        topic: topic.to_owned(),
        topic_id: topic_id.to_owned(),
        lineage: names::incarnation(topic, number),
        was_accepted,
    };
    let plain_id = names::plain_topic_id(topic_id);
    let plain_id = plain_id.ok_or_else(|| LakeError::Refused(format!("{topic_id} is no id of a kafka topic")))?;
    let accepted = read_accepted(storage, topic)?;
    if let Some(number) = number_of(&accepted, topic_id) {
        return Ok(answer(number, true));
    }
    let newest = names::incarnation(topic, accepted.last().map_or(1, |(number, _)| *number));
    let known = match known_id(storage, &newest)? {
        Some((_, id)) => Some(id),
        // The incarnation before was accepted, and gone again before anything of it was read.
        None => accepted.last().map(|(_, id)| id.clone()),
    };
    if known.is_none_or(|known| known == topic_id || known == plain_id) {
        let message = format!("{topic} is the topic that the lake knows (id {topic_id}): there is nothing to accept");
        return Err(LakeError::Refused(message));
    }
    let sibling = partitions(storage, &newest)?.into_iter().next();
    if let Some(home) = sibling.map(|sibling| Home::raw(&sibling))
        && let Some(newest) = fence::owner_of(storage, &home)?
    {
        acquire::refuse_stranger(&home, &newest, owner)?;
    }
    let home = Home::topic(topic);
    let tenure = fence::take_epoch(storage, &home, owner, &|newest| acquire::refuse_stranger(&home, newest, owner))?;
    // Whoever decided before us has done so, or never will.
    let accepted = read_accepted(storage, topic)?;
    if let Some(number) = number_of(&accepted, topic_id) {
        return Ok(answer(number, true));
    }
    let before = accepted.last().map_or(1, |(number, _)| *number);
    let number = before + 1;
    let lineage = names::incarnation(topic, number);
    if let Some(problem) = names::topic_problem(&lineage) {
        return Err(LakeError::Refused(format!("{problem}; create the topic under a shorter name")));
    }
    conclude(storage, owner, &names::incarnation(topic, before))?;
    let published_at = tenure.storage_time;
    let file = DecisionFile { topic, topic_id, lineage: &lineage, reason, published_at, owner };
    let json = serde_json::to_vec_pretty(&file).map_err(|error| LakeError::Internal(error.to_string()))?;
    tenure.publish(storage, &json, &home.accepted().join(names::accepted_name(number, &plain_id)))?;
    Ok(answer(number, false))
}

/// Takes every lane of an incarnation over for the last time: what its owners left half done nobody else would put in
/// order, since nobody will own them again.
fn conclude(storage: &dyn Storage, owner: &Owner, incarnation: &str) -> Result<(), LakeError> {
    for source in partitions(storage, incarnation)? {
        let newest = fence::owner_of(storage, &Home::raw(&source))?;
        let last = Owner { topic_id: newest.and_then(|newest| newest.topic_id), ..owner.clone() };
        let tenure = acquire::take(storage, &source, &last)?;
        acquire::put_in_order(storage, &source, &tenure)?;
    }
    Ok(())
}

/// The refusal of a lane whose topic is another one than the lake knows.
pub(super) fn recreated(home: &Home, theirs: &str, ours: &str) -> LakeError {
    let topic = home.path().as_str().split('/').nth(2).map_or("", topic::in_kafka);
    let detail = format!(
        "the topic was deleted and created again (its id was {theirs} and is {ours}), so its offsets begin anew; to read \
         it as a topic of its own say `forebay accept-topic {topic}`"
    );
    LakeError::Foreign { home: home.path().clone(), what: RECREATED, detail }
}

/// Later incarnations of a topic and their ids, by number.
fn read_accepted(storage: &dyn Storage, topic: &str) -> Result<Vec<(u64, String)>, LakeError> {
    let entries = mutate::list(storage, &Home::topic(topic).accepted())?;
    let parsed = entries.iter().filter_map(|entry| names::parse_accepted(entry.path.name()));
    let mut accepted: Vec<_> = parsed.map(|(number, id)| (number, id.to_owned())).collect();
    accepted.sort_unstable();
    Ok(accepted)
}

/// The number that an id was accepted under.
fn number_of(accepted: &[(u64, String)], topic_id: &str) -> Option<u64> {
    let plain = names::plain_topic_id(topic_id)?;
    accepted.iter().find(|(_, id)| *id == plain).map(|(number, _)| *number)
}

/// Kafka partitions of a topic that were ever owned.
fn partitions(storage: &dyn Storage, topic: &str) -> Result<Vec<TopicPartition>, LakeError> {
    let entries = mutate::list(storage, &Home::raw_root().join(topic))?;
    let numbers = entries.iter().filter_map(|entry| Home::parse_partition(entry.path.name()));
    let mut partitions: Vec<_> = numbers.map(|number| TopicPartition::new(topic, number)).collect();
    partitions.sort_unstable();
    Ok(partitions)
}

/// The id of the topic whose messages an incarnation holds, as the first owner says that knew it.
fn known_id(storage: &dyn Storage, topic: &str) -> Result<Option<(Home, String)>, LakeError> {
    for partition in partitions(storage, topic)? {
        let home = Home::raw(&partition);
        if let Some(id) = fence::owner_of(storage, &home)?.and_then(|owner| owner.topic_id) {
            return Ok(Some((home, id)));
        }
    }
    Ok(None)
}
