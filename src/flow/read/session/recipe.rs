//! How a client of this member is made: the same way every time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::Consumer;

use super::SessionEvent;
use crate::fault::Fault;
use crate::flow::read::context::{Context, KafkaConsumer};
use crate::flow::read::faults;
use crate::model::offset::TopicPartition;

/// Kafka's own default.
const SESSION_TIMEOUT: Duration = Duration::from_secs(45);

pub(super) struct Recipe {
    config: ClientConfig,
    topics: Vec<String>,
    events: Sender<SessionEvent>,
}

impl Recipe {
    pub(super) fn new(config: ClientConfig, topics: &[String], events: Sender<SessionEvent>) -> Self {
        Self { config, topics: topics.to_vec(), events }
    }

    /// A client that has begun to join. `paused`: what the operator holds back.
    pub(super) fn make(&self, paused: BTreeSet<TopicPartition>) -> Result<Arc<KafkaConsumer>, Fault> {
        let context = Context::member(self.events.clone(), paused);
        let consumer = KafkaConsumer::from_config_and_context(&self.config, context)
            .map_err(|error| faults::from_error(&error))?;
        self.subscribe(&consumer)?;
        Ok(Arc::new(consumer))
    }

    pub(super) fn subscribe(&self, consumer: &KafkaConsumer) -> Result<(), Fault> {
        let names: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        let doing = || format!("subscribing to {}", self.topics.join(", "));
        consumer.subscribe(&names).map_err(|error| faults::from_error(&error).while_doing(doing()))
    }

    /// How long Kafka waits for a sign of life of a member.
    pub(super) fn session_timeout(&self) -> Duration {
        let timeout = self.config.get("session.timeout.ms").and_then(|timeout| timeout.parse().ok());
        timeout.map_or(SESSION_TIMEOUT, Duration::from_millis)
    }

    pub(super) fn group(&self) -> &str {
        self.config.get("group.id").unwrap_or_default()
    }

    pub(super) fn tell(&self, event: SessionEvent) {
        // The supervisor may have gone: then there is nobody to tell.
        let _gone = self.events.send(event);
    }
}
