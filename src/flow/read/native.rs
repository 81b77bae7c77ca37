//! The three things that the safe wrapper of librdkafka does not give: the offset at the end of a Kafka partition, the
//! id of a topic, and the id of a member of the group. All `unsafe` of the crate is here.
#![expect(unsafe_code, reason = "librdkafka is a C library, and its wrapper drops the offset of an end-of-partition")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as c;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;

use super::context::KafkaConsumer;
use super::faults;
use super::fetch::{Fetched, MessageView};
use crate::fault::Fault;
use crate::model::offset::TopicPartition;

/// The queue of one Kafka partition, split off the consumer's common queue.
pub(super) struct PartitionFeed {
    /// The message or error that [`PartitionFeed::wait`] got; views of it borrow from here.
    current: Option<Event>,
    queue: Queue,
    partition: TopicPartition,
}

impl PartitionFeed {
    /// Splits the queue off. Before the Kafka partition is assigned, or messages go to the common queue.
    pub(super) fn split(consumer: &Arc<KafkaConsumer>, partition: &TopicPartition) -> Result<Self, Fault> {
        let unknown =
            || Fault::retry("kafka.unknown-topic", format!("{partition} is unknown to the client; check the topic"));
        let topic = CString::new(&*partition.topic).map_err(|_| unknown())?;
        let client = consumer.client().native_ptr();
        // SAFETY: `client` lives as long as `consumer`, which the queue keeps; `topic` lives through the call.
        let raw = unsafe { c::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition.partition) };
        let queue = Queue { raw: NonNull::new(raw).ok_or_else(unknown)?, _consumer: Arc::clone(consumer) };
        // SAFETY: `queue.raw` was just returned to us; a null destination means "forward to nobody".
        unsafe { c::rd_kafka_queue_forward(queue.raw.as_ptr(), ptr::null_mut()) };
        Ok(Self { current: None, queue, partition: partition.clone() })
    }

    /// Waits for the next event, forgetting the one before.
    pub(super) fn wait(&mut self, timeout: Duration) {
        self.current = None;
        let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive; the event returned is ours to destroy, which `Event` does.
        let raw = unsafe { c::rd_kafka_queue_poll(self.queue.raw.as_ptr(), milliseconds) };
        self.current = NonNull::new(raw).map(Event);
    }

    /// What [`PartitionFeed::wait`] got.
    pub(super) fn take(&mut self) -> Fetched<'_> {
        let Some(event) = &self.current else { return Fetched::Nothing };
        // SAFETY: the event is alive for as long as `self.current` is not replaced, which needs `&mut self`.
        let kind = unsafe { c::rd_kafka_event_type(event.0.as_ptr()) };
        match kind {
            c::RD_KAFKA_EVENT_FETCH => event.message().map_or(Fetched::Nothing, Fetched::Message),
            c::RD_KAFKA_EVENT_ERROR => event.error(&self.partition),
            _ => Fetched::Nothing,
        }
    }
}

struct Queue {
    raw: NonNull<c::rd_kafka_queue_t>,
    _consumer: Arc<KafkaConsumer>,
}

// SAFETY: librdkafka's queues are thread-safe, and the consumer that owns them is kept alive by the `Arc`.
unsafe impl Send for Queue {}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: our reference to the queue, given back once, while the consumer still lives.
        unsafe { c::rd_kafka_queue_destroy(self.raw.as_ptr()) };
    }
}

struct Event(NonNull<c::rd_kafka_event_t>);

// SAFETY: an event is owned by whoever polled it and tied to no thread.
unsafe impl Send for Event {}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event is ours and destroyed once.
        unsafe { c::rd_kafka_event_destroy(self.0.as_ptr()) };
    }
}

impl Event {
    fn message(&self) -> Option<MessageView<'_>> {
        // SAFETY: a fetch event yields its one message, which lives as long as the event; null when there is none.
        let message = unsafe { c::rd_kafka_event_message_next(self.0.as_ptr()).as_ref() }?;
        let mut kind = c::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: `message` is alive and `kind` is a place to write to.
        let milliseconds = unsafe { c::rd_kafka_message_timestamp(message, &mut kind) };
        let known = kind != c::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && milliseconds >= 0;
        // SAFETY: key and payload are null, or point to that many bytes which live as long as the event.
        let (key, payload) = unsafe { (bytes(message.key, message.key_len), bytes(message.payload, message.len)) };
        Some(MessageView {
            offset: message.offset,
            timestamp_us: known.then(|| milliseconds.saturating_mul(1000)),
            key,
            payload,
            headers: self.headers(message),
        })
    }

    fn headers(&self, message: &c::rd_kafka_message_t) -> Vec<(&[u8], Option<&[u8]>)> {
        let mut headers = ptr::null_mut();
        // SAFETY: `message` is alive; the headers stay owned by it.
        let code = unsafe { c::rd_kafka_message_headers(message, &mut headers) };
        let mut all = Vec::new();
        if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || headers.is_null() {
            return all;
        }
        loop {
            let (mut name, mut value, mut size) = (ptr::null::<c_char>(), ptr::null::<c_void>(), 0_usize);
            // SAFETY: `headers` is alive; an index past the end is answered by an error.
            let code = unsafe { c::rd_kafka_header_get_all(headers, all.len(), &mut name, &mut value, &mut size) };
            if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
                return all;
            }
            // SAFETY: the name is a C string, the value null or `size` bytes; both live as long as the event.
            all.push(unsafe { (CStr::from_ptr(name).to_bytes(), bytes(value, size)) });
        }
    }

    fn error(&self, partition: &TopicPartition) -> Fetched<'_> {
        let raw = self.0.as_ptr();
        // SAFETY: the event is alive; the text lives as long as it and may be null.
        let (code, words) = unsafe { (c::rd_kafka_event_error(raw), c::rd_kafka_event_error_string(raw)) };
        // SAFETY: see above.
        let words = if words.is_null() {
            String::new()
        } else {
            unsafe { CStr::from_ptr(words) }.to_string_lossy().into_owned()
        };
        let offset = self.offset();
        match (code, offset) {
            (RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR, _) => Fetched::Nothing,
            (RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF, Some(offset)) => Fetched::Eof(offset),
            // An end without its offset says nothing; the next one will come.
            (RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF, None) => Fetched::Nothing,
            (code, _) => {
                Fetched::Failed(faults::from_code(code.into(), &words).while_doing(format!("reading {partition}")))
            }
        }
    }

    fn offset(&self) -> Option<i64> {
        // SAFETY: the event is alive; the answer is null or a copy that is ours to destroy.
        let element = NonNull::new(unsafe { c::rd_kafka_event_topic_partition(self.0.as_ptr()) })?;
        // SAFETY: just checked, and destroyed once after its last use.
        let offset = unsafe {
            let offset = element.as_ref().offset;
            c::rd_kafka_topic_partition_destroy(element.as_ptr());
            offset
        };
        (offset >= 0).then_some(offset)
    }
}

/// # Safety
///
/// `start` is null, or points to `length` bytes that live for `'a`.
unsafe fn bytes<'a>(start: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) })
}

/// The id by which the group knows this member; none while it joins.
pub(super) fn member_id(consumer: &KafkaConsumer) -> Option<String> {
    let client = consumer.client().native_ptr();
    // SAFETY: the client lives as long as `consumer`; the text is ours, ends with a zero, and is given back once, after
    // it was copied.
    let id = unsafe {
        let raw = NonNull::new(c::rd_kafka_memberid(client))?;
        let id = CStr::from_ptr(raw.as_ptr()).to_string_lossy().into_owned();
        c::rd_kafka_mem_free(client, raw.as_ptr().cast());
        id
    };
    Some(id).filter(|id| !id.is_empty())
}

/// The broker that answers administrative requests, as the cluster names it. Blocks up to `timeout`.
pub(super) fn controller(consumer: &KafkaConsumer, timeout: Duration) -> i32 {
    let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client lives as long as `consumer`.
    unsafe { c::rd_kafka_controllerid(consumer.client().native_ptr(), milliseconds) }
}

/// The id of a topic; none when the broker gives none (before Kafka 2.8). Blocks up to `timeout`.
pub(super) fn topic_id(consumer: &KafkaConsumer, topic: &str, timeout: Duration) -> Result<Option<String>, KafkaError> {
    let name = CString::new(topic)?;
    let client = consumer.client().native_ptr();
    let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let mut names = [name.as_ptr()];
    let failed = || KafkaError::AdminOp(RDKafkaErrorCode::Fail);
    // SAFETY: `client` lives as long as `consumer`; `names` holds one C string that lives through the call. Each
    // object is checked for null where the library may give null, and is destroyed exactly once, on every way out:
    // the request copies what it needs, so they may go as soon as it is sent. The event lives until `event` drops,
    // and everything read from it is copied before. The library answers the queue within the request's timeout, and
    // an answer that comes after the queue was destroyed is discarded by it.
    unsafe {
        let options = c::rd_kafka_AdminOptions_new(client, c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        let queue = c::rd_kafka_queue_new(client);
        let topics = c::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        c::rd_kafka_AdminOptions_set_request_timeout(options, milliseconds, ptr::null_mut(), 0);
        c::rd_kafka_DescribeTopics(client, topics, options, queue);
        let answer = c::rd_kafka_queue_poll(queue, milliseconds.saturating_add(1000));
        c::rd_kafka_TopicCollection_destroy(topics);
        c::rd_kafka_AdminOptions_destroy(options);
        c::rd_kafka_queue_destroy(queue);
        let event = Event(NonNull::new(answer).ok_or(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut))?);
        let code = c::rd_kafka_event_error(event.0.as_ptr());
        if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(KafkaError::AdminOp(code.into()));
        }
        let result = c::rd_kafka_event_DescribeTopics_result(event.0.as_ptr());
        let mut count = 0;
        let list = if result.is_null() {
            return Err(failed());
        } else {
            c::rd_kafka_DescribeTopics_result_topics(result, &mut count)
        };
        if list.is_null() || count == 0 {
            return Err(failed());
        }
        let description = *list;
        let error = c::rd_kafka_TopicDescription_error(description);
        let code =
            if error.is_null() { RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR } else { c::rd_kafka_error_code(error) };
        if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(KafkaError::AdminOp(code.into()));
        }
        let id = c::rd_kafka_TopicDescription_topic_id(description);
        let text = if id.is_null() { ptr::null() } else { c::rd_kafka_Uuid_base64str(id) };
        let text = if text.is_null() { None } else { Some(CStr::from_ptr(text).to_string_lossy().into_owned()) };
        // All zeros is the protocol's way to say that there is none.
        Ok(text.filter(|id| !id.is_empty() && id.chars().any(|digit| digit != 'A')))
    }
}
