//! What an error of the Kafka client means: one table from its codes to a [`Fault`].

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::types::RDKafkaConfRes;

use crate::fault::{Domain, Fault, Verdict};
use crate::model::secret::is_secret;

/// Event of a fault that ends the process with exit code 77: credentials or rights are missing.
pub const DENIED: &str = "kafka.denied";
/// Event of a position that the broker does not have (any more).
pub const OUT_OF_RANGE: &str = "kafka.offset-out-of-range";
/// Event of a configured start that the broker does not have.
pub const START_OUT_OF_RANGE: &str = "kafka.start-out-of-range";
/// The cluster has no topic of that name.
pub const UNKNOWN_TOPIC: &str = "kafka.unknown-topic";
/// Event of a message that is larger than its topic, or the client, takes.
pub const TOO_LARGE: &str = "kafka.message-too-large";
/// Event of a second daemon with the same `group.instance.id`.
pub const DUPLICATE_INSTANCE: &str = "kafka.duplicate-instance";
/// Event of a fence that may be our own doing: the member joins again.
pub const FENCED: &str = "kafka.fenced";
/// Event of a client that was given up for a new one, because it had no connection for too long.
pub const NEW_CLIENT: &str = "kafka.new-client";
/// Event of Kafka partitions that the group has given to no member.
pub const UNOWNED: &str = "kafka.partitions-unowned";
/// Event of a cluster that cannot be reached. librdkafka goes on trying by itself.
pub const UNAVAILABLE: &str = "kafka.unavailable";
/// Event of a broker whose certificate is refused, or that refuses ours.
pub const TLS: &str = "kafka.tls";
/// Event of a source that was closed because its Kafka partition was revoked or opened again.
pub const NOT_ASSIGNED: &str = "kafka.not-assigned";
/// Event of a broker that has lost what the lake holds.
pub const OFFSETS_WENT_BACK: &str = "kafka.offsets-went-back";
/// Event of a message that reached the common queue, where no lane reads. The lane starts again from its chain.
pub const LEAKED: &str = "kafka.leaked-message";

/// The fault behind a code of the client, with the client's own words.
pub fn from_code(code: Code, words: &str) -> Fault {
    let (domain, verdict, event, next) = classify(code);
    let words = if words.is_empty() { code.to_string() } else { one_line(words) };
    let message = if next.is_empty() { words } else { format!("{words}; {next}") };
    Fault { domain, verdict, event, message }
}

/// The fault behind a code that the client calls fatal: it will do nothing more.
pub fn from_fatal_code(code: Code, words: &str) -> Fault {
    let mut fault = from_code(code, words);
    fault.verdict = Verdict::Halt;
    if fault.event == "kafka.error" {
        fault.event = "kafka.fatal";
    }
    fault
}

/// The fault behind an error of a call.
pub fn from_error(error: &KafkaError) -> Fault {
    match (error.rdkafka_error_code(), error) {
        (_, KafkaError::ClientConfig(kind, reason, key, value)) => {
            // The value of a password must not reach a log, and a name that nobody knows may be that of one, mistyped.
            let is_known = *kind != RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN;
            let (shown, reason) = if is_known && !is_secret(key) {
                (value.as_str(), one_line(reason))
            } else {
                ("<hidden>", one_line(&reason.replace(value.as_str(), "<hidden>")))
            };
            Fault::halt("kafka.settings", format!("kafka.\"{key}\" = \"{shown}\" is refused: {reason}"))
        }
        (_, KafkaError::ClientCreation(reason)) => {
            Fault::halt("kafka.settings", format!("the kafka client does not start: {}", one_line(reason)))
        }
        (_, KafkaError::MessageConsumptionFatal(code)) => from_fatal_code(*code, ""),
        (_, KafkaError::AdminOp(code)) => from_code(*code, ""),
        (Some(code), _) => from_code(code, ""),
        (None, other) => Fault::retry("kafka.error", one_line(&other.to_string())),
    }
}

/// The fault behind an error that the client tells by itself, with its own words.
pub fn from_words(error: &KafkaError, words: &str) -> Fault {
    error.rdkafka_error_code().map_or_else(|| from_error(error), |code| from_code(code, words))
}

fn one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn classify(code: Code) -> (Domain, Verdict, &'static str, &'static str) {
    use Domain::{External, Internal, User};
    use Verdict::{Halt, Retry};
    match code {
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::DelegationTokenAuthorizationFailed
        | Code::DelegationTokenExpired => (User, Halt, DENIED, "check the credentials in [kafka] and the acls"),
        Code::FencedInstanceId | Code::UnreleasedInstanceId => {
            (User, Halt, DUPLICATE_INSTANCE, "another process has the same group.instance.id; give each its own")
        }
        Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation => {
            (External, Halt, OUT_OF_RANGE, "the position is not on the broker; see on_offset_out_of_range")
        }
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::MessageTimedOut
        | Code::NetworkException
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::BrokerNotAvailable
        | Code::ReplicaNotAvailable
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::WaitingForCoordinator
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::KafkaStorageError => (External, Retry, UNAVAILABLE, ""),
        Code::SSL => (
            External,
            Retry,
            TLS,
            "ssl.ca.location must hold the authority of the broker's certificate, which must be for the host that \
             bootstrap.servers names",
        ),
        // The group's assignment is older than the topic, and a member that comes back under its old name gets it as it
        // was.
        Code::UnknownPartition => (
            User,
            Retry,
            UNKNOWN_TOPIC,
            "if the topic was created again with fewer partitions, stop the daemons of the group for longer than \
             session.timeout.ms, so that Kafka gives out those that there are",
        ),
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownTopicId | Code::InvalidTopic => {
            (User, Retry, UNKNOWN_TOPIC, "create the topic or correct topics")
        }
        Code::BadMessage | Code::InvalidMessage | Code::BadCompression | Code::UnsupportedCompressionType => {
            (External, Retry, "kafka.corrupt-message", "nothing was skipped; check the broker's disk")
        }
        Code::MessageSizeTooLarge => (External, Retry, TOO_LARGE, "raise max.message.bytes of the topic"),
        Code::PollExceeded => (Internal, Retry, "kafka.poll-interval", ""),
        Code::InconsistentGroupProtocol | Code::UnsupportedAssignor | Code::InvalidGroupId => {
            (User, Halt, "kafka.group", "members of one group need one assignment strategy; take another group.id")
        }
        Code::InvalidSessionTimeout => {
            (User, Halt, "kafka.settings", "session.timeout.ms is outside the broker's limits")
        }
        Code::UnsupportedVersion | Code::UnsupportedFeature | Code::NotImplemented => {
            (User, Halt, "kafka.unsupported", "the broker is too old for this")
        }
        _ => (External, Retry, "kafka.error", ""),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::config::ClientConfig;
    use rdkafka::consumer::BaseConsumer;

    use super::*;

    #[test]
    fn credentials_halt_and_a_missing_broker_does_not() {
        let denied = from_code(Code::SaslAuthenticationFailed, "SASL failed\n for user x");
        assert_eq!((denied.verdict, denied.event), (Verdict::Halt, DENIED));
        assert!(denied.message.starts_with("SASL failed for user x; "), "{}", denied.message);
        let away = from_code(Code::AllBrokersDown, "1/1 brokers are down");
        assert_eq!((away.verdict, away.event), (Verdict::Retry, UNAVAILABLE));
        assert_eq!(away.message, "1/1 brokers are down");
    }

    #[test]
    fn a_partition_that_is_gone_is_not_a_topic_that_is_missing() {
        let gone = from_code(Code::UnknownPartition, "asking for the watermarks of books:4");
        assert_eq!((gone.verdict, gone.event), (Verdict::Retry, UNKNOWN_TOPIC));
        assert!(gone.message.contains("with fewer partitions"), "{}", gone.message);
        assert!(from_code(Code::UnknownTopic, "").message.contains("create the topic"));
    }

    #[test]
    fn a_lost_position_halts() {
        for code in [Code::AutoOffsetReset, Code::OffsetOutOfRange, Code::LogTruncation] {
            assert_eq!(from_code(code, "").verdict, Verdict::Halt);
            assert_eq!(from_code(code, "").event, OUT_OF_RANGE);
        }
    }

    #[test]
    fn what_the_client_calls_fatal_halts_whatever_it_is() {
        assert_eq!(from_fatal_code(Code::InvalidRequest, "x").verdict, Verdict::Halt);
        assert_eq!(from_fatal_code(Code::InvalidRequest, "x").event, "kafka.fatal");
        assert_eq!(from_fatal_code(Code::FencedInstanceId, "x").event, DUPLICATE_INSTANCE);
    }

    #[test]
    fn a_wrong_setting_is_named_and_a_secret_is_not_shown() {
        let refused = |key: &str, value: &str| {
            let result: Result<BaseConsumer, _> = ClientConfig::new().set(key, value).create();
            from_error(&result.err().unwrap())
        };
        let fault = refused("session.timeout.ms", "soon");
        assert_eq!((fault.verdict, fault.event), (Verdict::Halt, "kafka.settings"));
        assert!(fault.message.contains("session.timeout.ms") && fault.message.contains("soon"), "{}", fault.message);
        for secret in ["sasl.password", "sasl.oauthbearer.config", "ssl.key.pem"] {
            let (invalid, reason) = (RDKafkaConfRes::RD_KAFKA_CONF_INVALID, "\"hunter2\" will not do");
            let hidden =
                from_error(&KafkaError::ClientConfig(invalid, reason.into(), secret.into(), "hunter2".into())).message;
            assert!(hidden.contains(secret) && !hidden.contains("hunter2"), "{hidden}");
        }
        let mistyped = refused("sasl.pasword", "hunter2").message;
        assert!(mistyped.contains("sasl.pasword") && !mistyped.contains("hunter2"), "{mistyped}");
    }
}
