//! Names of topics: as Kafka has them, and as the lake calls one that was created again (`<topic>~<number>`).

/// The topic of Kafka that a topic of the lake is an incarnation of: `topic~2` is `topic` there. (`~` cannot occur in
/// the name of a Kafka topic.)
pub fn in_kafka(topic: &str) -> &str {
    topic.split_once('~').map_or(topic, |(topic, _)| topic)
}
