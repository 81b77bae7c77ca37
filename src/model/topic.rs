//! Names of topics: as Kafka has them, and as the lake calls one that was created again (`<topic>~<number>`).

/// The topic of Kafka that a topic of the lake is an incarnation of: `topic~2` is `topic` there. (`~` cannot occur in
/// the name of a Kafka topic.)
pub fn in_kafka(topic: &str) -> &str {
    topic.split_once('~').map_or(topic, |(topic, _)| topic)
}

/// Longest name of a topic, in bytes, whose interval files fit the 255 bytes of a file name. (Kafka allows a few more.)
pub const MAX_BYTES: usize = 187;

/// Whether a topic of Kafka may have that name, if it is not too long.
pub fn is_name(topic: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !matches!(topic, "" | "." | "..") && topic.chars().all(plain)
}
