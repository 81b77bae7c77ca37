//! What stands for one thing on the command line: a Kafka partition, a time, a place in the lake.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::parse_duration;
use crate::model::offset::TopicPartition;
use crate::model::violation::Code;

/// One Kafka partition: `TOPIC:PARTITION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane(pub TopicPartition);

impl FromStr for Lane {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.rsplit_once(':').and_then(|(topic, partition)| Some((topic, partition.parse::<i32>().ok()?)));
        match parts {
            Some((topic, partition)) if !topic.is_empty() && partition >= 0 => {
                Ok(Self(TopicPartition::new(topic, partition)))
            }
            _ => Err("write TOPIC:PARTITION, such as library:0".to_owned()),
        }
    }
}

/// A topic, or one Kafka partition of it: `TOPIC[:PARTITION]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneChoice {
    /// The topic.
    pub topic: String,
    /// One of its partitions; none: all of them.
    pub partition: Option<i32>,
}

impl FromStr for LaneChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err("write TOPIC or TOPIC:PARTITION".to_owned());
        }
        if !text.contains(':') {
            return Ok(Self { topic: text.to_owned(), partition: None });
        }
        let Lane(source) = text.parse()?;
        Ok(Self { topic: source.topic.to_string(), partition: Some(source.partition) })
    }
}

/// Where a rewind goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewindTo {
    /// To this offset.
    Offset(i64),
    /// To the first message of this time or later.
    Time(Timestamp),
}

impl FromStr for RewindTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(offset) = text.parse::<i64>() {
            return if offset >= 0 { Ok(Self::Offset(offset)) } else { Err("an offset is not negative".to_owned()) };
        }
        let time = text.parse().map_err(|_| "write an offset, or a time such as 2026-10-01T00:00:00Z".to_owned())?;
        Ok(Self::Time(time))
    }
}

/// The violation of that name.
pub(super) fn parse_code(text: &str) -> Result<Code, String> {
    Code::from_name(text).ok_or_else(|| {
        let all: Vec<&str> = Code::ALL.iter().map(|(code, _)| code.name()).collect();
        format!("no violation is called that; there are {}", all.join(", "))
    })
}

/// A time, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// This long ago.
    Age(Duration),
    /// Then.
    Time(Timestamp),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = || text.parse().map(Self::Time).ok();
        let since = parse_duration(text).map(Self::Age).or_else(time);
        since.ok_or_else(|| "write an age such as 1h, or a time such as 2026-10-01T00:00:00Z".to_owned())
    }
}

impl Since {
    /// The time that is meant.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Age(age) => now.checked_sub(age).unwrap_or(Timestamp::MIN),
            Self::Time(time) => time,
        }
    }
}

/// A zone of the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// `raw`
    Raw,
    /// `processed`
    Processed,
    /// `quarantine`
    Quarantine,
    /// `ledger`
    Ledger,
}

/// `ZONE.NAME`: a table in a zone, or the ledger of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The zone.
    pub zone: Zone,
    /// The table, or the topic.
    pub name: String,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let zone = |name| match name {
            "raw" => Some(Zone::Raw),
            "processed" => Some(Zone::Processed),
            "quarantine" => Some(Zone::Quarantine),
            "ledger" => Some(Zone::Ledger),
            _ => None,
        };
        let parts = text.split_once('.').and_then(|(name, rest)| Some((zone(name)?, rest)));
        match parts {
            Some((zone, name)) if !name.is_empty() => Ok(Self { zone, name: name.to_owned() }),
            _ => Err("write raw.TABLE, processed.TABLE, quarantine.TABLE or ledger.TOPIC".to_owned()),
        }
    }
}

/// `NAME=VALUE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equals {
    /// Before the sign.
    pub name: String,
    /// After it.
    pub value: String,
}

impl FromStr for Equals {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self { name: name.to_owned(), value: value.to_owned() }),
            _ => Err("write NAME=VALUE".to_owned()),
        }
    }
}

/// A share of 0 to 1.
pub(super) fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "write a share of 0 to 1, such as 0.02".to_owned())
}
