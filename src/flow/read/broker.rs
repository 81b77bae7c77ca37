//! Questions to the cluster. Every call blocks, so none belongs on a poll thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;
use rdkafka::topic_partition_list::Offset;

use super::context::{Context, KafkaConsumer, list_of};
use super::link::Link;
use super::settings::Settings;
use super::{faults, native};
use crate::fault::{Fault, Verdict};
use crate::model::offset::TopicPartition;
use crate::model::table::StartingOffsets;

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Callbacks of the client that are served after a question; one poll serves one.
const EVENTS: usize = 64;
/// How long a look for the cluster's id takes before what the client has heard is looked at.
const ROUND: Duration = Duration::from_millis(200);

/// Answers about the cluster. Cheap to clone; may be used from any number of threads.
#[derive(Clone)]
pub struct Broker {
    link: Arc<Link>,
    /// Whether the callbacks of the client are ours to serve.
    own: bool,
}

impl Broker {
    /// A client of its own that is in no group. It connects at the first question.
    ///
    /// # Errors
    ///
    /// Halt when the settings are refused.
    pub fn connect(settings: &Settings) -> Result<Self, Fault> {
        let consumer = KafkaConsumer::from_config_and_context(&settings.client()?, Context::asking())
            .map_err(|error| faults::from_error(&error))?;
        Ok(Self { link: Arc::new(Link::new(Arc::new(consumer))), own: true })
    }

    /// Whether the client takes these settings: names and values that it knows, files that it can read. It connects to
    /// nobody.
    ///
    /// # Errors
    ///
    /// Halt when it does not.
    pub fn check(settings: &Settings) -> Result<(), Fault> {
        let mut config = settings.consumer()?;
        // A client connects as soon as it knows where to, and a member of a group looks for its coordinator.
        for key in ["bootstrap.servers", "metadata.broker.list", "group.id", "group.instance.id"] {
            config.remove(key);
        }
        let client = KafkaConsumer::from_config_and_context(&config, Context::asking());
        client.map(drop).map_err(|error| faults::from_error(&error))
    }

    pub(super) fn shared(link: Arc<Link>) -> Self {
        Self { link, own: false }
    }

    /// First offset and end of what may be read. Under a transaction that is open the end is before it.
    ///
    /// # Errors
    ///
    /// What the cluster says, or that it does not answer.
    pub fn watermarks(&self, partition: &TopicPartition) -> Result<(i64, i64), Fault> {
        self.ask(
            || format!("asking for the watermarks of {partition}"),
            |consumer| consumer.fetch_watermarks(&partition.topic, partition.partition, TIMEOUT),
        )
    }

    /// The cluster's id.
    ///
    /// # Errors
    ///
    /// Retry when the cluster does not answer, halt when it does not let us in.
    pub fn cluster_id(&self) -> Result<String, Fault> {
        self.cluster_id_within(TIMEOUT)
    }

    /// The cluster's id, for somebody who waits no longer than that.
    ///
    /// # Errors
    ///
    /// As [`Broker::cluster_id`].
    pub fn cluster_id_within(&self, patience: Duration) -> Result<String, Fault> {
        let until = Instant::now() + patience;
        let consumer = self.link.consumer();
        consumer.context().forget();
        loop {
            if let Some(id) = consumer.client().fetch_cluster_id(ROUND) {
                self.serve(&consumer);
                return Ok(id);
            }
            let heard = self.heard(&consumer);
            // Who is not let in, or does not trust the cluster, waits in vain.
            let is_in_vain = |fault: &Fault| fault.verdict == Verdict::Halt || fault.event == faults::TLS;
            if heard.as_ref().is_some_and(is_in_vain) || Instant::now() >= until {
                let silent =
                    || Fault::retry(faults::UNAVAILABLE, "the kafka cluster did not tell its id; is it reachable");
                return Err(heard.map_or_else(silent, |fault| fault.while_doing("asking kafka for the cluster's id")));
            }
        }
    }

    /// The topic's id, which a topic that is deleted and created again does not keep. None where the broker has none
    /// (before Kafka 2.8) or does not tell.
    ///
    /// # Errors
    ///
    /// What the cluster says, or that it does not answer.
    pub fn topic_id(&self, topic: &str) -> Result<Option<String>, Fault> {
        let answer = self.ask(
            || format!("asking for the id of {topic}"),
            |consumer| {
                let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
                metadata.topics().iter().find(|found| found.name() == topic).map_or(Ok(Vec::new()), numbers)?;
                // The embedded Kafka names a controller that it does not have: asking it would only take time.
                let controller = native::controller(consumer, TIMEOUT);
                if controller >= 0 && metadata.brokers().iter().all(|broker| broker.id() != controller) {
                    return Ok(None);
                }
                native::topic_id(consumer, topic, TIMEOUT)
            },
        );
        match answer {
            Err(fault) if fault.event == "kafka.unsupported" => Ok(None),
            other => other,
        }
    }

    /// First offset whose message is of that time (microseconds, UTC) or later; none when there is no such message.
    ///
    /// # Errors
    ///
    /// What the cluster says, or that it does not answer.
    pub fn offset_for_time(&self, partition: &TopicPartition, timestamp_us: i64) -> Result<Option<i64>, Fault> {
        // Kafka counts milliseconds: the first one that is not before.
        let milliseconds = timestamp_us.div_euclid(1000) + i64::from(timestamp_us.rem_euclid(1000) > 0);
        let list = list_of(partition, Offset::Offset(milliseconds.max(0)))?;
        let answer = self.ask(
            || format!("asking for an offset by time in {partition}"),
            |consumer| {
                let answer = consumer.offsets_for_times(list, TIMEOUT)?;
                let element = answer.find_partition(&partition.topic, partition.partition);
                let element = element.ok_or(KafkaError::NoMessageReceived)?;
                element.error()?;
                Ok(element.offset())
            },
        )?;
        Ok(match answer {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
    }

    /// The numbers of a topic's Kafka partitions.
    ///
    /// # Errors
    ///
    /// `kafka.unknown-topic` when there is none of that name.
    pub fn partitions(&self, topic: &str) -> Result<Vec<i32>, Fault> {
        self.ask(
            || format!("looking for topic {topic}"),
            |consumer| {
                let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
                let found = metadata.topics().iter().find(|found| found.name() == topic);
                numbers(found.ok_or(KafkaError::MetadataFetch(rdkafka::types::RDKafkaErrorCode::UnknownTopic))?)
            },
        )
    }

    /// Every topic with the numbers of its Kafka partitions.
    ///
    /// # Errors
    ///
    /// What the cluster says, or that it does not answer.
    pub fn topics(&self) -> Result<Vec<(String, Vec<i32>)>, Fault> {
        self.ask(
            || "listing topics".to_owned(),
            |consumer| {
                let metadata = consumer.fetch_metadata(None, TIMEOUT)?;
                let topics = metadata.topics().iter();
                Ok(topics.filter_map(|topic| Some((topic.name().to_owned(), numbers(topic).ok()?))).collect())
            },
        )
    }

    /// Where a Kafka partition without a chain begins.
    ///
    /// # Errors
    ///
    /// Halt when a configured offset is not on the broker; else what the cluster says.
    pub fn start_position(&self, partition: &TopicPartition, start: &StartingOffsets) -> Result<i64, Fault> {
        let (low, high) = self.watermarks(partition)?;
        match start {
            StartingOffsets::Earliest => Ok(low),
            StartingOffsets::Latest => Ok(high),
            StartingOffsets::Timestamp(timestamp) => {
                Ok(self.offset_for_time(partition, *timestamp)?.map_or(high, |offset| offset.clamp(low, high.max(low))))
            }
            StartingOffsets::Offsets(offsets) => match offsets.get(partition) {
                None => Ok(low),
                Some(offset) if (low..=high).contains(offset) => Ok(*offset),
                Some(offset) => Err(Fault::halt(
                    faults::START_OUT_OF_RANGE,
                    format!("starting_offsets says {offset} for {partition}, and the broker has [{low}, {high})"),
                )),
            },
        }
    }

    fn ask<T>(
        &self,
        doing: impl FnOnce() -> String,
        question: impl FnOnce(&KafkaConsumer) -> Result<T, KafkaError>,
    ) -> Result<T, Fault> {
        let consumer = self.link.consumer();
        consumer.context().forget();
        let answer = question(&consumer);
        let heard = self.heard(&consumer);
        answer.map_err(|error| {
            let fault = faults::from_error(&error);
            let cause = heard.filter(|_| fault.event == faults::UNAVAILABLE);
            cause.unwrap_or(fault).while_doing(doing())
        })
    }

    /// What the client has heard of its connections since the question began; nothing where a session hears it.
    fn heard(&self, consumer: &KafkaConsumer) -> Option<Fault> {
        self.serve(consumer);
        consumer.context().heard()
    }

    /// Lets the client say what it has to say (log lines): nobody else polls a client of our own.
    fn serve(&self, consumer: &KafkaConsumer) {
        if self.own {
            for _ in 0..EVENTS {
                // Errors come as answers of the calls themselves.
                let _nothing_to_read = consumer.poll(Duration::ZERO);
            }
        }
    }
}

fn numbers(topic: &MetadataTopic) -> Result<Vec<i32>, KafkaError> {
    if let Some(code) = topic.error() {
        return Err(KafkaError::MetadataFetch(code.into()));
    }
    let mut numbers: Vec<i32> = topic.partitions().iter().map(|partition| partition.id()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("own", &self.own).finish_non_exhaustive()
    }
}
