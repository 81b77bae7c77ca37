//! Topic administration.

use std::time::Duration;

use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::broker::Broker;
use super::faults;
use super::settings::Settings;
use crate::fault::Fault;

const TIMEOUT: Duration = Duration::from_secs(20);

/// Creates, deletes and widens topics. Every call blocks.
pub struct Topics {
    client: AdminClient<DefaultClientContext>,
}

impl Topics {
    /// A client for the cluster of these settings.
    ///
    /// # Errors
    ///
    /// Halt when the settings are refused or the cluster does not let us in, retry when it does not answer.
    pub fn connect(settings: &Settings) -> Result<Self, Fault> {
        // The client of administration says of every connection that fails only that time is up.
        Broker::connect(settings)?.cluster_id()?;
        let client = AdminClient::from_config(&settings.client()?).map_err(|error| faults::from_error(&error))?;
        Ok(Self { client })
    }

    /// Creates a topic with settings of its own; false when it is there already.
    ///
    /// # Errors
    ///
    /// What the cluster says, or that it does not answer.
    pub fn create(
        &self,
        topic: &str,
        partitions: i32,
        replication: i32,
        settings: &[(&str, &str)],
    ) -> Result<bool, Fault> {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(replication));
        let new = settings.iter().fold(new, |new, (key, value)| new.set(key, value));
        let result = block_on(self.client.create_topics([&new], &options()));
        match outcome(result) {
            Ok(()) => Ok(true),
            Err(KafkaError::AdminOp(RDKafkaErrorCode::TopicAlreadyExists)) => Ok(false),
            Err(error) => Err(faults::from_error(&error).while_doing(format!("creating topic {topic}"))),
        }
    }

    /// Deletes a topic; false when there is none.
    ///
    /// # Errors
    ///
    /// What the cluster says, or that it does not answer.
    pub fn delete(&self, topic: &str) -> Result<bool, Fault> {
        let result = block_on(self.client.delete_topics(&[topic], &options()));
        match outcome(result) {
            Ok(()) => Ok(true),
            Err(KafkaError::AdminOp(RDKafkaErrorCode::UnknownTopicOrPartition)) => Ok(false),
            Err(error) => Err(faults::from_error(&error).while_doing(format!("deleting topic {topic}"))),
        }
    }

    /// Gives a topic more Kafka partitions: `partitions` in all.
    ///
    /// # Errors
    ///
    /// What the cluster says, or that it does not answer.
    pub fn widen(&self, topic: &str, partitions: usize) -> Result<(), Fault> {
        let result = block_on(self.client.create_partitions([&NewPartitions::new(topic, partitions)], &options()));
        outcome(result).map_err(|error| faults::from_error(&error).while_doing(format!("widening topic {topic}")))
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

fn outcome(result: Result<Vec<rdkafka::admin::TopicResult>, KafkaError>) -> Result<(), KafkaError> {
    match result?.into_iter().next() {
        Some(Err((_, code))) => Err(KafkaError::AdminOp(code)),
        _ => Ok(()),
    }
}

impl std::fmt::Debug for Topics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topics").finish_non_exhaustive()
    }
}
