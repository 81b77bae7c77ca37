//! Where a reader takes messages from, as a trait, so that the reader can be tested without Kafka.

use std::time::Duration;

use crate::fault::Fault;

/// One message, borrowed from whoever fetched it. Valid until the next poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageView<'a> {
    /// Kafka offset.
    pub offset: i64,
    /// Kafka timestamp in microseconds since 1970, UTC; none where the broker gives none.
    pub timestamp_us: Option<i64>,
    /// Message key; an empty key is not the same as none.
    pub key: Option<&'a [u8]>,
    /// Message payload; none is a tombstone, empty is not.
    pub payload: Option<&'a [u8]>,
    /// Headers as (name, value). Without headers there is no allocation.
    pub headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

impl MessageView<'_> {
    /// Bytes of key, payload and headers.
    pub fn len(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len)).sum();
        self.key.map_or(0, <[u8]>::len) + self.payload.map_or(0, <[u8]>::len) + headers
    }

    /// Whether it carries no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What one poll gave.
#[derive(Debug)]
pub enum Fetched<'a> {
    /// A message.
    Message(MessageView<'a>),
    /// The end of the Kafka partition was reached: the next message will have at least this offset. Positions below
    /// it that gave no message are holes (compaction, aborted transactions, transaction markers).
    Eof(i64),
    /// Nothing came within the timeout.
    Nothing,
    /// Nothing more will come from here.
    Failed(Fault),
}

/// Messages of one Kafka partition in ascending order of offsets.
pub trait Fetch: Send + Unpin + 'static {
    /// Waits up to `timeout` for the next message.
    ///
    /// After [`Fetched::Failed`] the caller must stop: a message may have been left out.
    fn poll(&mut self, timeout: Duration) -> Fetched<'_>;
}
