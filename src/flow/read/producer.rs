//! A producer for dead letters, for the load generator and for tests: idempotent, acknowledged by all replicas.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders, Timestamp};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};

use super::context::lock;
use super::faults;
use super::settings::Settings;
use crate::fault::Fault;
use crate::observe::events;

/// How long a full send queue is waited for before it is looked at again.
const ROOM_WAIT: Duration = Duration::from_millis(20);

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The number it was sent with.
    pub number: usize,
    /// Its place, or why it has none that we know of.
    pub place: Result<Place, Fault>,
}

/// Where a message lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Kafka partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Kafka timestamp in milliseconds; none where the broker gives none.
    pub timestamp_ms: Option<i64>,
}

/// One message to send.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Comes back in [`Delivery::number`].
    pub number: usize,
    /// Topic.
    pub topic: &'a str,
    /// Kafka partition; none: by the hash of the key.
    pub partition: Option<i32>,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Payload; none is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Headers by name; a null value is none.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

type Report = Box<dyn FnMut(Delivery) + Send>;

struct Deliveries {
    report: Mutex<Report>,
    failed: AtomicU64,
}

impl ClientContext for Deliveries {
    fn log(&self, _level: rdkafka::config::RDKafkaLogLevel, facility: &str, words: &str) {
        events::kafka_client_log(false, facility, words);
    }

    fn error(&self, error: KafkaError, words: &str) {
        events::producer_fault(&faults::from_words(&error, words));
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let place = match result {
            Ok(message) => Ok(Place {
                partition: message.partition(),
                offset: message.offset(),
                timestamp_ms: match message.timestamp() {
                    Timestamp::NotAvailable => None,
                    Timestamp::CreateTime(milliseconds) | Timestamp::LogAppendTime(milliseconds) => Some(milliseconds),
                },
            }),
            Err((error, _)) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                Err(faults::from_error(error))
            }
        };
        lock(&self.report)(Delivery { number, place });
    }
}

/// Sends messages and reports each delivery, in whatever order the brokers answer.
pub struct Producer {
    client: BaseProducer<Deliveries>,
}

/// What no setting of the user changes for messages that must not be lost.
const RELIABLE: [(&str, &str); 3] =
    [("enable.idempotence", "true"), ("acks", "all"), ("max.in.flight.requests.per.connection", "5")];

impl Producer {
    /// A producer for messages that must not be lost: idempotent and acknowledged by all replicas whatever the settings
    /// say. A message that is not acknowledged within `patience` has failed.
    ///
    /// # Errors
    ///
    /// Halt when the settings are refused.
    pub fn reliable(
        settings: &Settings,
        patience: Duration,
        report: impl FnMut(Delivery) + Send + 'static,
    ) -> Result<Self, Fault> {
        let mut settings = settings.clone();
        settings.user.extend(RELIABLE.map(|(key, value)| (key.to_owned(), value.to_owned())));
        for key in ["request.required.acks", "max.in.flight", "delivery.timeout.ms", "transactional.id"] {
            settings.user.remove(key);
        }
        settings.user.insert("message.timeout.ms".to_owned(), patience.as_millis().to_string());
        Self::connect(&settings, report)
    }

    /// A producer for the cluster of these settings. `report` is called on the thread that sends or flushes.
    ///
    /// # Errors
    ///
    /// Halt when the settings are refused.
    pub fn connect(settings: &Settings, report: impl FnMut(Delivery) + Send + 'static) -> Result<Self, Fault> {
        let mut config = settings.client()?;
        let consumers_only = ["isolation.level", "session.timeout.ms", "max.poll.interval.ms", "auto.offset.reset"];
        for key in consumers_only {
            config.remove(key);
        }
        let defaults = [
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("linger.ms", "5"),
            ("batch.size", "1000000"),
            ("compression.type", "none"),
            ("queue.buffering.max.messages", "200000"),
            ("queue.buffering.max.kbytes", "262144"),
            ("message.max.bytes", "100000000"),
            ("partitioner", "murmur2_random"),
        ];
        for (key, value) in defaults {
            if !settings.user.contains_key(key) {
                config.set(key, value);
            }
        }
        let context = Deliveries { report: Mutex::new(Box::new(report)), failed: AtomicU64::new(0) };
        let client = BaseProducer::from_config_and_context(&config, context).map_err(|e| faults::from_error(&e))?;
        Ok(Self { client })
    }

    /// Queues a message, waiting for room, and serves delivery reports.
    ///
    /// # Errors
    ///
    /// When the client refuses it, e.g. an unknown Kafka partition or a payload above `message.max.bytes`.
    pub fn send(&self, message: Outgoing<'_>) -> Result<(), Fault> {
        let mut record = BaseRecord::with_opaque_to(message.topic, message.number);
        record.partition = message.partition;
        record.key = message.key;
        record.payload = message.payload;
        record.headers = (!message.headers.is_empty()).then(|| owned(message.headers));
        loop {
            match self.client.send(record) {
                Ok(()) => {
                    self.client.poll(Duration::ZERO);
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.client.poll(ROOM_WAIT);
                    record = back;
                }
                Err((error, _)) => {
                    return Err(faults::from_error(&error).while_doing(format!("sending to {}", message.topic)));
                }
            }
        }
    }

    /// Waits until every message is delivered or has failed. Gives the number that failed.
    ///
    /// # Errors
    ///
    /// When messages are still waiting after `timeout`.
    pub fn flush(&self, timeout: Duration) -> Result<u64, Fault> {
        self.client.flush(timeout).map_err(|error| faults::from_error(&error).while_doing("flushing the producer"))?;
        Ok(self.client.context().failed.load(Ordering::Relaxed))
    }

    /// Messages that are not delivered yet.
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.client.in_flight_count()).unwrap_or(0)
    }

    /// Serves delivery reports for up to `wait`.
    pub fn serve(&self, wait: Duration) {
        self.client.poll(wait);
    }
}

fn owned(headers: &[(&str, Option<&[u8]>)]) -> OwnedHeaders {
    let empty = OwnedHeaders::new_with_capacity(headers.len());
    headers.iter().fold(empty, |all, (key, value)| all.insert(Header { key, value: *value }))
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}
