//! A Kafka inside this process, for the demo and for tests: librdkafka's mock cluster behind the real protocol.
//!
//! # What it is not
//!
//! It keeps 5 MiB or 100,000 batches of a Kafka partition and forgets the oldest, so a "loss" may be the mock's. It
//! has no admin requests (topics are created here), no transactions that abort, no look-up by time, and forgets all
//! when it ends. A member that joins may wait for a few seconds.

use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, unbounded};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::faults;
use crate::fault::Fault;

type Cluster = MockCluster<'static, DefaultProducerContext>;
type Job = Box<dyn FnOnce(&Cluster) + Send>;

/// Requests that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Fetching messages.
    Fetch,
    /// Looking up offsets.
    ListOffsets,
    /// Joining the group.
    JoinGroup,
    /// The group's heartbeat.
    Heartbeat,
    /// Storing group offsets.
    OffsetCommit,
}

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The connection breaks.
    Disconnect,
    /// The position is not on the broker.
    OffsetOutOfRange,
    /// The broker does not lead the Kafka partition.
    NotLeader,
    /// No right to read the topic.
    TopicDenied,
    /// The group does not know the member.
    UnknownMember,
    /// Another process has the member's `group.instance.id`.
    FencedInstance,
}

/// The cluster. It ends when this is dropped.
pub struct EmbeddedKafka {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    bootstrap: String,
}

impl EmbeddedKafka {
    /// One broker with these topics and numbers of Kafka partitions.
    ///
    /// # Errors
    ///
    /// When the cluster does not start or refuses a topic.
    pub fn start(topics: &[(&str, i32)]) -> Result<Self, Fault> {
        let (jobs, inbox) = unbounded::<Job>();
        let (started, bootstrap) = bounded(1);
        // The cluster may not move between threads: it gets one of its own.
        let thread = std::thread::Builder::new()
            .name("embedded-kafka".to_owned())
            .spawn(move || {
                let cluster = match MockCluster::new(1) {
                    Ok(cluster) => cluster,
                    Err(error) => {
                        let _gone = started.send(Err(faults::from_error(&error)));
                        return;
                    }
                };
                let _gone = started.send(Ok(cluster.bootstrap_servers()));
                for job in inbox {
                    job(&cluster);
                }
            })
            .map_err(|error| Fault::internal("kafka.thread", format!("the embedded kafka does not start: {error}")))?;
        let gone = || Fault::internal("kafka.embedded", "the embedded kafka does not start");
        let bootstrap = bootstrap.recv().map_err(|_| gone())??;
        let kafka = Self { jobs: Some(jobs), thread: Some(thread), bootstrap };
        for (topic, partitions) in topics {
            kafka.create_topic(topic, *partitions)?;
        }
        Ok(kafka)
    }

    /// Value for `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap
    }

    /// Creates a topic.
    ///
    /// # Errors
    ///
    /// When it exists or the cluster refuses it.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), Fault> {
        let name = topic.to_owned();
        self.run(move |cluster| cluster.create_topic(&name, partitions, 1))?
            .map_err(|error| faults::from_error(&error).while_doing(format!("creating topic {topic}")))
    }

    /// Takes the broker down or up.
    ///
    /// # Errors
    ///
    /// When the cluster has ended.
    pub fn set_broker_up(&self, up: bool) -> Result<(), Fault> {
        self.run(move |cluster| if up { cluster.broker_up(-1) } else { cluster.broker_down(-1) })?
            .map_err(|error| faults::from_error(&error).while_doing("switching the broker"))
    }

    /// Delays every answer.
    ///
    /// # Errors
    ///
    /// When the cluster has ended.
    pub fn set_round_trip(&self, delay: Duration) -> Result<(), Fault> {
        self.run(move |cluster| cluster.broker_round_trip_time(-1, delay))?
            .map_err(|error| faults::from_error(&error).while_doing("delaying the broker"))
    }

    /// Lets the next requests of a kind fail, one for each failure.
    ///
    /// # Errors
    ///
    /// When the cluster has ended.
    pub fn push_failures(&self, request: Request, failures: &[Failure]) -> Result<(), Fault> {
        let key = match request {
            Request::Fetch => RDKafkaApiKey::Fetch,
            Request::ListOffsets => RDKafkaApiKey::ListOffsets,
            Request::JoinGroup => RDKafkaApiKey::JoinGroup,
            Request::Heartbeat => RDKafkaApiKey::Heartbeat,
            Request::OffsetCommit => RDKafkaApiKey::OffsetCommit,
        };
        let codes: Vec<RDKafkaRespErr> = failures
            .iter()
            .map(|failure| match failure {
                Failure::Disconnect => RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
                Failure::OffsetOutOfRange => RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
                Failure::NotLeader => RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                Failure::TopicDenied => RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                Failure::UnknownMember => RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
                Failure::FencedInstance => RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,
            })
            .collect();
        self.run(move |cluster| cluster.request_errors(key, &codes))
    }

    fn run<T: Send + 'static>(&self, job: impl FnOnce(&Cluster) -> T + Send + 'static) -> Result<T, Fault> {
        let gone = || Fault::internal("kafka.embedded", "the embedded kafka has ended");
        let (reply, answer) = bounded(1);
        let job: Job = Box::new(move |cluster| {
            let _gone = reply.send(job(cluster));
        });
        self.jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())
    }
}

impl Drop for EmbeddedKafka {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

impl std::fmt::Debug for EmbeddedKafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedKafka").field("bootstrap", &self.bootstrap).finish_non_exhaustive()
    }
}
