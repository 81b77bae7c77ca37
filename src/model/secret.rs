//! Which settings nobody may see.

/// Whether the value of a Kafka setting must not reach a log, an error or a screen. Rather one too many: a setting that
/// is hidden can be looked up, a password that was shown must be changed.
pub fn is_secret(name: &str) -> bool {
    ["password", "secret", "key", "pem", "jaas", "token", "oauthbearer.config"].iter().any(|part| name.contains(part))
}
