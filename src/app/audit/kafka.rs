//! Where each chain ends, beside what Kafka has of its partition.
//!
//! Kafka is asked **after** the chains were read: the end of a Kafka partition only grows, so that a chain beside a
//! running daemon does not seem to end behind it. What looks wrong is looked at again, both sides in the order in which
//! a commit or a rewind meanwhile explains itself.
//!
//! Kafka is not the lake: that it is away, or has no such topic any more, is told and proves nothing either way.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::app::daemon::{Options, client_settings};
use crate::config::Settings;
use crate::fault::{Fault, Verdict};
use crate::flow::read::broker::Broker;
use crate::flow::read::faults::UNKNOWN_TOPIC;
use crate::lake::audit::{Invariant, LaneSummary, NotCompared, Report, Violation};
use crate::lake::fence::owner_of;
use crate::lake::names::Home;
use crate::lake::{chain, newest_lineage};
use crate::model::offset::TopicPartition;
use crate::storage::Storage;

/// How long the cluster may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// A cluster that has answered.
pub(super) struct Cluster {
    broker: Broker,
    id: String,
}

/// Reaches the cluster of the configuration, or says why not.
pub(super) fn connect(settings: &Settings) -> Result<Cluster, Fault> {
    let broker = Broker::connect(&client_settings(settings, &Options::default()))?;
    let id = broker.cluster_id_within(PATIENCE)?;
    Ok(Cluster { broker, id })
}

/// Adds to a report of the lake what Kafka says: I3 and I9 of every chain that is compared, and what is not.
pub(super) fn compare(storage: &dyn Storage, cluster: Result<Cluster, Fault>, mut report: Report) -> Report {
    let mut not_compared = BTreeMap::new();
    match cluster.map(|cluster| Sides { storage, cluster, ids: BTreeMap::new() }) {
        Ok(mut sides) => {
            let found = look_at_all(&mut sides, &mut report.partitions, &mut not_compared);
            report.invariants.extend(found);
            report.invariants.sort_by_key(|invariant| invariant.id);
        }
        Err(fault) => drop(not_compared.insert("kafka".to_owned(), fault.message)),
    }
    report.not_compared = not_compared.into_iter().map(|(what, why)| NotCompared { what, why }).collect();
    report.judged()
}

/// What a chain shows beside its Kafka partition.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    /// It ends where Kafka can go on.
    Fits,
    /// It holds what Kafka does not have above what Kafka has.
    Beyond(Violation),
    /// Kafka has deleted what comes next.
    Lost(Violation),
}

fn look_at_all(
    sides: &mut Sides<'_>,
    lanes: &mut [LaneSummary],
    not_compared: &mut BTreeMap<String, String>,
) -> Vec<Invariant> {
    let (mut beyond, mut lost, mut compared) = (Vec::new(), Vec::new(), 0);
    for lane in lanes {
        let finding = match sides.look(lane) {
            Ok(Some(finding)) => finding,
            Ok(None) => continue,
            // Kafka is away, and each further question would be waited for.
            Err(fault) if fault.verdict == Verdict::Retry && fault.event != UNKNOWN_TOPIC => {
                not_compared.insert("kafka".to_owned(), fault.message);
                break;
            }
            Err(fault) => {
                not_compared.insert(lane.topic.clone(), fault.message);
                continue;
            }
        };
        compared += 1;
        match finding {
            Finding::Fits => {}
            Finding::Beyond(violation) => beyond.push(violation),
            Finding::Lost(violation) => lost.push(violation),
        }
    }
    if compared == 0 {
        Vec::new()
    } else {
        vec![Invariant::new("I3", compared, beyond), Invariant::new("I9", compared, lost)]
    }
}

/// The lake and the cluster.
struct Sides<'a> {
    storage: &'a dyn Storage,
    cluster: Cluster,
    /// Ids of topics, as far as they were asked for.
    ids: BTreeMap<String, Option<String>>,
}

impl Sides<'_> {
    /// Compares one chain, and notes what Kafka has; none when it is that of a topic which is no more.
    fn look(&mut self, lane: &mut LaneSummary) -> Result<Option<Finding>, Fault> {
        let source = TopicPartition::new(lane.topic.as_str(), lane.partition);
        let in_kafka = source.in_kafka();
        // Earlier incarnations are not in Kafka any more.
        if newest_lineage(self.storage, &in_kafka)? != source {
            return Ok(None);
        }
        let head = lane.to.map_or_else(|| self.head(&source), |to| Ok(Some(to)))?;
        let Some(head) = head else { return Ok(None) };
        let owner = owner_of(self.storage, &Home::raw(&source))?;
        let theirs = owner.as_ref().and_then(|owner| owner.cluster_id.as_ref());
        if let Some(theirs) = theirs.filter(|theirs| **theirs != self.cluster.id) {
            let why = format!("it was read from cluster {theirs}, and this is {}", self.cluster.id);
            return Err(Fault::halt("audit.other-cluster", why));
        }
        let known = owner.and_then(|owner| owner.topic_id);
        if let (Some(known), Some(now)) = (known, self.topic_id(&in_kafka.topic)?)
            && known != now
        {
            let what = format!(
                "the topic in kafka is another one (its id was {known} and is {now}): it was deleted and created again; \
                 `forebay accept-topic {}` goes on with it",
                in_kafka.topic
            );
            return Ok(Some(Finding::Beyond(Violation { what, ..Violation::default() }.of(&source, head))));
        }
        let (marks, finding) =
            judge(&source, head, &mut || self.cluster.broker.watermarks(&in_kafka), &mut || self.head(&source))?;
        (lane.low, lane.high) = (Some(marks.0), Some(marks.1));
        Ok(Some(finding))
    }

    fn head(&self, source: &TopicPartition) -> Result<Option<i64>, Fault> {
        Ok(chain::read_chain(self.storage, source)?.chain.head())
    }

    fn topic_id(&mut self, topic: &str) -> Result<Option<String>, Fault> {
        if let Some(id) = self.ids.get(topic) {
            return Ok(id.clone());
        }
        let id = self.cluster.broker.topic_id(topic)?;
        self.ids.insert(topic.to_owned(), id.clone());
        Ok(id)
    }
}

/// What Kafka has, and what that says of a chain that ended at `head` when it was read.
fn judge(
    source: &TopicPartition,
    head: i64,
    watermarks: &mut dyn FnMut() -> Result<(i64, i64), Fault>,
    head_now: &mut dyn FnMut() -> Result<Option<i64>, Fault>,
) -> Result<((i64, i64), Finding), Fault> {
    let marks = watermarks()?;
    let (low, end) = marks;
    if (low..=end).contains(&head) {
        return Ok((marks, Finding::Fits));
    }
    let violation = |head: i64, what: String| Violation { what, ..Violation::default() }.of(source, head);
    // The lane may have gone on meanwhile, or was rewound: first the chain, then the end once more.
    let Some(head) = head_now()? else { return Ok((marks, Finding::Fits)) };
    if head < low {
        let lane = source.in_kafka();
        let what = format!(
            "kafka has nothing below offset {low}: what comes before is lost and was never read; `forebay accept-loss {lane}` \
             records that"
        );
        return Ok((marks, Finding::Lost(violation(head, what))));
    }
    let end = watermarks()?.1;
    if head > end {
        let what = format!("the chain ends here and the kafka partition at {end}: kafka has lost what the lake holds");
        return Ok((marks, Finding::Beyond(violation(head, what))));
    }
    Ok((marks, Finding::Fits))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The finding for a chain that is read at `heads`, one after the other, and a Kafka partition that says `marks`.
    fn ask(heads: &[i64], marks: &[(i64, i64)]) -> &'static str {
        let (mut heads, mut marks) = (heads.iter().copied(), marks.iter().copied());
        let head = heads.next().unwrap();
        let source = TopicPartition::new("library~2", 0);
        let found = judge(&source, head, &mut || Ok(marks.next().unwrap()), &mut || Ok(heads.next()));
        match found.unwrap().1 {
            Finding::Fits => "fits",
            Finding::Beyond(violation) => {
                assert!(violation.what.contains("kafka has lost"), "{violation}");
                "beyond"
            }
            Finding::Lost(violation) => {
                assert!(violation.what.contains("`forebay accept-loss library:0`"), "{violation}");
                "lost"
            }
        }
    }

    #[test]
    fn a_chain_that_ends_where_kafka_can_go_on_is_right_at_the_first_look() {
        for head in [10, 15, 20] {
            assert_eq!(ask(&[head], &[(10, 20)]), "fits", "{head}");
        }
    }

    #[test]
    fn a_chain_that_kafka_cannot_go_on_with_is_told() {
        assert_eq!(ask(&[9, 9], &[(10, 20)]), "lost");
        assert_eq!(ask(&[21, 21], &[(10, 20), (10, 20)]), "beyond");
    }

    #[test]
    fn what_happens_meanwhile_is_no_finding() {
        assert_eq!(ask(&[9, 14], &[(10, 20), (10, 20)]), "fits", "it has read on before what it had read was deleted");
        assert_eq!(ask(&[21, 18], &[(10, 20), (10, 20)]), "fits", "it was rewound");
        assert_eq!(ask(&[21, 25], &[(10, 20), (10, 25)]), "fits", "the broker that answered first was behind");
        assert_eq!(ask(&[9], &[(10, 20)]), "fits", "the chain is gone: that is told elsewhere");
        assert_eq!(ask(&[9, 25], &[(10, 20), (10, 25)]), "fits", "it has read on beyond the end of the first look");
    }
}
