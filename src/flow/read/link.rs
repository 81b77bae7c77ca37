//! The client of the moment. A client can come to an end that it never leaves by itself; then a new one takes its
//! place, and whoever asks gets the newest.

use std::sync::{Arc, PoisonError, RwLock};

use super::context::KafkaConsumer;

/// Where the newest client is found. Nobody keeps a client for longer than one question, but for the sources, which are
/// closed when theirs goes.
pub(super) struct Link(RwLock<Arc<KafkaConsumer>>);

impl Link {
    pub(super) fn new(consumer: Arc<KafkaConsumer>) -> Self {
        Self(RwLock::new(consumer))
    }

    pub(super) fn consumer(&self) -> Arc<KafkaConsumer> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn replace(&self, consumer: Arc<KafkaConsumer>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = consumer;
    }
}
