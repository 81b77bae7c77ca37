//! The way of letters to Kafka.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};

use super::letter::Letter;
use crate::fault::Fault;
use crate::flow::read::producer::{Outgoing, Producer};
use crate::flow::read::settings::Settings;

/// A letter that is not acknowledged in this time is sent again later. Until then the client goes on trying by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of a letter, by the number that it was sent with.
pub type Answer = (usize, Result<(), Fault>);

/// Where letters are handed in.
pub trait Post: Send + 'static {
    /// Hands a letter in; what becomes of it comes out of [`Self::answers`].
    ///
    /// # Errors
    ///
    /// When it is refused at once.
    fn send(&mut self, number: usize, topic: &str, letter: &Letter<'_>) -> Result<(), Fault>;

    /// What has become of letters, waiting for the first no longer than `wait`.
    fn answers(&mut self, wait: Duration) -> Vec<Answer>;
}

/// Opens a [`Post`]: one that has met a fault is never used again.
pub type OpenPost = Arc<dyn Fn() -> Result<Box<dyn Post>, Fault> + Send + Sync>;

/// The cluster of these settings.
pub fn kafka(settings: Settings) -> OpenPost {
    Arc::new(move || {
        let (told, answers) = unbounded();
        let producer = Producer::reliable(&settings, PATIENCE, move |delivery| {
            // Nobody listens any more when the post is closed.
            let _ = told.send((delivery.number, delivery.place.map(drop)));
        })?;
        Ok(Box::new(KafkaPost { producer, answers }))
    })
}

/// A producer and its delivery reports. Not more letters are in it than [`super::delivery`] lets be under way.
struct KafkaPost {
    producer: Producer,
    answers: Receiver<Answer>,
}

impl Post for KafkaPost {
    fn send(&mut self, number: usize, topic: &str, letter: &Letter<'_>) -> Result<(), Fault> {
        let headers: Vec<(&str, Option<&[u8]>)> =
            letter.headers.iter().map(|(name, value)| (&**name, value.as_deref())).collect();
        let (key, payload) = (Some(letter.key.as_bytes()), Some(letter.value));
        self.producer.send(Outgoing { number, topic, partition: None, key, payload, headers: &headers })
    }

    fn answers(&mut self, wait: Duration) -> Vec<Answer> {
        self.producer.serve(wait);
        self.answers.try_iter().collect()
    }
}
