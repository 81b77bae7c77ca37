//! Settings of the Kafka client: ours below what the user passes through.

use std::collections::BTreeMap;
use std::fs::File;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use crate::fault::Fault;

/// librdkafka holds a batch of any size that the broker gives; this is only where it would take the connection for
/// broken. A message above it would stall its lane, so it is far above what a broker lets in.
const RECEIVE_MAX_BYTES: u64 = 512 << 20;
/// Most bytes of one Kafka partition in one answer; a first batch that is larger comes whole all the same.
const FETCH_PARTITION_MAX: u64 = 4 << 20;
const KIB: u64 = 1 << 10;
/// Files that the client reads at its start. Of one that it cannot read it tells what OpenSSL says, which names no
/// file.
const FILES: [&str; 5] =
    ["ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.keystore.location", "ssl.crl.location"];

/// What the settings depend on.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// librdkafka's own names and values from `[kafka]`, secrets already resolved. They win over ours, but not over
    /// those that the commit protocol needs ([`REQUIRED`]).
    pub user: BTreeMap<String, String>,
    /// Bytes that all fetch queues together may hold.
    pub fetch_bytes: u64,
    /// Kafka partitions that are expected on this daemon; 0 is taken for 32.
    pub partitions: u64,
    /// Number of this daemon on its host, for `group.instance.id`.
    pub instance: u32,
}

/// Settings that the user cannot change: exactly once depends on them.
pub const REQUIRED: [(&str, &str); 5] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("enable.partition.eof", "true"),
    ("partition.assignment.strategy", "cooperative-sticky"),
];

impl Settings {
    /// Configuration of the daemon's consumer.
    ///
    /// # Errors
    ///
    /// Halt when a setting of [`REQUIRED`] is set to something else, or `bootstrap.servers` or `group.id` is missing.
    pub fn consumer(&self) -> Result<ClientConfig, Fault> {
        for (key, value) in REQUIRED {
            if self.user.get(key).is_some_and(|given| given != value) {
                return Err(Fault::halt(
                    "kafka.settings",
                    format!("kafka.\"{key}\" must stay \"{value}\": no message may be lost or doubled; remove it"),
                ));
            }
        }
        if !self.user.contains_key("group.id") {
            return Err(Fault::halt("kafka.settings", "kafka.\"group.id\" is missing"));
        }
        let share = self.partition_bytes();
        let defaults = [
            ("client.id", "forebay".to_owned()),
            ("group.instance.id", format!("{}-{}", host_name(), self.instance)),
            ("isolation.level", "read_committed".to_owned()),
            ("check.crcs", "true".to_owned()),
            ("session.timeout.ms", "45000".to_owned()),
            ("max.poll.interval.ms", "300000".to_owned()),
            ("fetch.min.bytes", "65536".to_owned()),
            ("fetch.wait.max.ms", "100".to_owned()),
            ("fetch.queue.backoff.ms", "10".to_owned()),
            ("fetch.error.backoff.ms", "200".to_owned()),
            ("fetch.message.max.bytes", (share / 2).clamp(64 * KIB, FETCH_PARTITION_MAX).to_string()),
            ("fetch.max.bytes", (self.fetch_bytes / 2).clamp(FETCH_PARTITION_MAX, 50 << 20).to_string()),
            ("receive.message.max.bytes", RECEIVE_MAX_BYTES.to_string()),
            ("queued.min.messages", "20000".to_owned()),
            ("queued.max.messages.kbytes", (share / KIB).to_string()),
            ("statistics.interval.ms", "5000".to_owned()),
            ("topic.metadata.refresh.interval.ms", "30000".to_owned()),
            ("allow.auto.create.topics", "false".to_owned()),
        ];
        let mut config = self.base()?;
        for (key, value) in defaults {
            if !self.user.contains_key(key) {
                config.set(key, value);
            }
        }
        for (key, value) in REQUIRED {
            config.set(key, value);
        }
        Ok(config)
    }

    /// Configuration of a client that only asks: no group, nothing fetched.
    ///
    /// # Errors
    ///
    /// Halt when `bootstrap.servers` is missing.
    pub fn client(&self) -> Result<ClientConfig, Fault> {
        let mut config = self.base()?;
        let members_only = ["group.id", "group.instance.id", "group.protocol", "statistics.interval.ms"];
        for key in members_only {
            config.remove(key);
        }
        if !self.user.contains_key("isolation.level") {
            config.set("isolation.level", "read_committed");
        }
        Ok(config)
    }

    /// Bytes that the queue of one Kafka partition may hold, before one more fetch.
    pub fn partition_bytes(&self) -> u64 {
        let partitions = if self.partitions == 0 { 32 } else { self.partitions };
        (self.fetch_bytes / partitions).clamp(64 * KIB, 64 << 20)
    }

    fn base(&self) -> Result<ClientConfig, Fault> {
        let servers = ["bootstrap.servers", "metadata.broker.list"];
        if !servers.iter().any(|key| self.user.contains_key(*key)) {
            return Err(Fault::halt("kafka.settings", "kafka.\"bootstrap.servers\" is missing"));
        }
        let mut config = ClientConfig::new();
        for (key, value) in &self.user {
            // `probe`: the client looks where systems have their authorities.
            if FILES.contains(&key.as_str())
                && value != "probe"
                && let Err(error) = File::open(value)
            {
                // What a key file holds, in the place of its name, must not reach a log.
                let shown = if value.contains("-----BEGIN") { "this is no path, and" } else { value.as_str() };
                return Err(Fault::halt("kafka.settings", format!("kafka.\"{key}\": {shown} cannot be read: {error}")));
            }
            config.set(key, value);
        }
        // A connection that the broker closes because nothing was asked is no event.
        if !self.user.contains_key("log.connection.close") {
            config.set("log.connection.close", "false");
        }
        config.set_log_level(RDKafkaLogLevel::Info);
        Ok(config)
    }
}

/// The machine's name, which static membership is tied to.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || ".-_".contains(*c)).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let user = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Settings { user, fetch_bytes: 64 << 20, partitions: 4, instance: 0 }
    }

    const GOOD: [(&str, &str); 2] = [("bootstrap.servers", "127.0.0.1:1"), ("group.id", "g")];

    #[test]
    fn the_user_wins_over_defaults_but_not_over_what_exactly_once_needs() {
        let mut with = GOOD.to_vec();
        with.push(("session.timeout.ms", "6000"));
        let config = settings(&with).consumer().unwrap();
        assert_eq!(config.get("session.timeout.ms"), Some("6000"));
        assert_eq!(config.get("fetch.queue.backoff.ms"), Some("10"));
        assert_eq!(config.get("auto.offset.reset"), Some("error"));
        for (key, _) in REQUIRED {
            let mut wrong = GOOD.to_vec();
            wrong.push((key, "latest"));
            assert!(settings(&wrong).consumer().unwrap_err().message.contains(key));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(settings(&[("group.id", "g")]).consumer().unwrap_err().message.contains("bootstrap.servers"));
        assert!(settings(&GOOD[..1]).consumer().unwrap_err().message.contains("group.id"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        for key in FILES {
            let mut with = GOOD.to_vec();
            with.push((key, "/nowhere/x.pem"));
            let message = settings(&with).consumer().unwrap_err().message;
            assert!(message.contains(key) && message.contains("/nowhere/x.pem cannot be read"), "{message}");
        }
        let key = [GOOD[0], GOOD[1], ("ssl.key.location", "-----BEGIN PRIVATE KEY-----\nhunter2")];
        assert!(!settings(&key).consumer().unwrap_err().message.contains("hunter2"));
        let probed = [GOOD[0], GOOD[1], ("ssl.ca.location", "probe")];
        assert_eq!(settings(&probed).consumer().unwrap().get("ssl.ca.location"), Some("probe"));
    }

    #[test]
    fn fetch_queues_share_the_budget() {
        let config = settings(&GOOD).consumer().unwrap();
        assert_eq!(config.get("queued.max.messages.kbytes"), Some("16384"));
        let many = Settings { partitions: 1000, ..settings(&GOOD) };
        assert_eq!(many.consumer().unwrap().get("queued.max.messages.kbytes"), Some("65"));
    }

    #[test]
    fn the_asking_client_is_no_member() {
        let config = settings(&GOOD).client().unwrap();
        assert_eq!(config.get("group.id"), None);
        assert_eq!(config.get("isolation.level"), Some("read_committed"));
    }
}
