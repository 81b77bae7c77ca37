//! Timestamps as RFC 3339 text in JSON: `#[serde(with = "rfc3339")]`.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(timestamp: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(timestamp)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}
