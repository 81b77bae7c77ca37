//! No interval is committed unless the topic is still the one that the lane was opened on.
//!
//! When a topic is deleted and created again within a moment, the Kafka client goes on in the new one at the position
//! it had in the old one. Either that position is not there, and the reader ends; or it is, and messages of the new
//! topic would join the chain of the old. Ids of topics never come back: if the id is still the same after an interval
//! was read, every message in it is of that topic.

use crate::fault::{Domain, Fault, Verdict};
use crate::flow::buffer::commit::Committer;
use crate::flow::buffer::interval::ClosedInterval;
use crate::flow::buffer::lake_committer::LakeCommitter;
use crate::flow::read::broker::Broker;
use crate::flow::read::faults::UNKNOWN_TOPIC;
use crate::lake::TOPIC_RECREATED;

/// Asks for the topic's id before each commit.
pub(super) struct SameTopic {
    inner: LakeCommitter,
    broker: Broker,
    topic: String,
    topic_id: String,
}

impl SameTopic {
    /// Commits by `inner` as long as `topic` has this id.
    pub(super) fn new(inner: LakeCommitter, broker: Broker, topic: &str, topic_id: String) -> Self {
        Self { inner, broker, topic: topic.to_owned(), topic_id }
    }
}

impl Committer for SameTopic {
    fn commit(&mut self, interval: &mut ClosedInterval) -> Result<(), Fault> {
        verdict(&self.topic, &self.topic_id, self.broker.topic_id(&self.topic))?;
        self.inner.commit(interval)
    }
}

/// Whether what was read before the broker answered this is of the topic with `topic_id`.
fn verdict(topic: &str, topic_id: &str, answer: Result<Option<String>, Fault>) -> Result<(), Fault> {
    match answer {
        Ok(Some(now)) if now != topic_id => Err(Fault {
            domain: Domain::User,
            verdict: Verdict::Halt,
            event: TOPIC_RECREATED,
            message: format!(
                "{topic} was deleted and created again while it was read (its id was {topic_id} and is {now}); what was \
                 not committed is dropped; to read the new topic say `forebay accept-topic {topic}`"
            ),
        }),
        // It is gone, and nobody else has what was read of it.
        Err(fault) if fault.event == UNKNOWN_TOPIC => Ok(()),
        Err(fault) => Err(fault),
        Ok(Some(_)) => Ok(()),
        // It did tell when the lane began.
        Ok(None) => Err(Fault::retry("kafka.no-topic-id", format!("kafka does not tell the id of {topic} now"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_of_the_topic_is_committed() {
        let ask = |answer| verdict("library", "a", answer);
        assert!(ask(Ok(Some("a".into()))).is_ok());
        assert_eq!(ask(Ok(None)).unwrap_err().verdict, Verdict::Retry);
        assert!(ask(Err(Fault::halt(UNKNOWN_TOPIC, "gone"))).is_ok(), "nothing of another topic can be in it");
        let other = ask(Ok(Some("b".into()))).unwrap_err();
        assert!((other.verdict, other.event) == (Verdict::Halt, TOPIC_RECREATED), "{other:?}");
        assert!(other.message.contains("`forebay accept-topic library`"), "{other:?}");
        assert_eq!(ask(Err(Fault::retry("kafka.unavailable", "away"))).unwrap_err().verdict, Verdict::Retry);
    }
}
