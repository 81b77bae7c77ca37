//! `[[table]]`: where its messages come from, how its files roll, how it is promoted.

mod lineage;
mod when;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use regex::Regex;

use super::mapping::{self, table_name};
use super::quarantine;
use super::section::{Item, Section};
use super::units::parse_duration;
use crate::model::mapping::{Lineage, Mapping};
use crate::model::offset::TopicPartition;
use crate::model::table::{
    Compression, DateBound, OnBadDate, OnOutOfRange, ProcessedSettings, RawSettings, Retire, StartingOffsets, Table,
    TopicChoice,
};
use crate::model::topic;

/// A year: longer than anything that makes sense, shorter than anything that overflows.
const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// Reads one table; `None` when a part that it cannot be without is missing or wrong.
pub(super) fn read(section: Section<'_>) -> Option<Table> {
    let name = section.required("name", "write name = \"…\"").and_then(|item| table_name(&item));
    let topics = read_topics(&section);
    let lineage = lineage::read(section.section("lineage"));
    let mapping =
        section.required("mapping", "write mapping = \"tables/….toml\"").and_then(|item| read_mapping(&item, &lineage));
    let when = section.get("when").map(|_| when::read(section.section("when"), mapping.as_deref()));
    let starting_offsets = section.get("starting_offsets").map(|item| read_starting_offsets(&item, topics.as_ref()));
    let on_offset_out_of_range = section.get("on_offset_out_of_range").and_then(|item| {
        item.choice(&[
            ("fail", OnOutOfRange::Fail),
            ("earliest", OnOutOfRange::Earliest),
            ("latest", OnOutOfRange::Latest),
        ])
    });
    let raw = read_raw(section.section("raw"));
    let quarantine = quarantine::read(section.section("quarantine"));
    let stop_when = quarantine::read_stop_when(section.section("stop_when"));
    let processed = section.section("processed");
    let has_processed = processed.exists();
    let processed = if has_processed { read_processed(processed) } else { None };
    section.finish();
    if has_processed && processed.is_none() {
        return None;
    }
    Some(Table {
        name: name?.into(),
        topics: topics?,
        when: match when {
            Some(when) => Some(when?),
            None => None,
        },
        mapping: mapping?,
        starting_offsets: starting_offsets.unwrap_or(Some(StartingOffsets::Earliest))?,
        on_offset_out_of_range: on_offset_out_of_range.unwrap_or(OnOutOfRange::Fail),
        raw,
        quarantine,
        stop_when,
        processed,
    })
}

fn read_topics(section: &Section<'_>) -> Option<TopicChoice> {
    match (section.get("topics"), section.get("topic_pattern")) {
        (Some(list), None) => read_topic_list(&list),
        (None, Some(pattern)) => read_topic_pattern(&pattern),
        (Some(_), Some(pattern)) => {
            pattern.problem("there are topics besides", Some("keep one of topics and topic_pattern".into()));
            None
        }
        (None, None) => {
            section.problem("topics", "missing", Some("write topics = [\"…\"] or topic_pattern = \"^…\"".into()));
            None
        }
    }
}

/// Notes what is wrong with the name of a topic; whether it is one.
pub(super) fn is_topic(item: &Item<'_>, topic: &str) -> bool {
    if !topic::is_name(topic) {
        let help = "kafka takes letters, digits, dots, _ and -".to_owned();
        item.problem(format!("{topic:?} is not the name of a topic"), Some(help));
    } else if topic.len() > topic::MAX_BYTES {
        let message = format!("a name of {} characters would not fit the names of files", topic.len());
        item.problem(message, Some(format!("take a topic of at most {}", topic::MAX_BYTES)));
    } else {
        return true;
    }
    false
}

fn read_topic_list(item: &Item<'_>) -> Option<TopicChoice> {
    let mut topics = Vec::new();
    let elements = item.list()?;
    if elements.is_empty() {
        item.problem("there is no topic", Some("name at least one".into()));
        return None;
    }
    for element in &elements {
        let topic = element.text()?;
        if !is_topic(element, topic) {
            continue;
        }
        if topics.iter().any(|earlier| earlier == topic) {
            element.problem(format!("topic {topic} stands twice"), Some("name it once".into()));
        } else {
            topics.push(topic.to_owned());
        }
    }
    Some(TopicChoice::List(topics))
}

fn read_topic_pattern(item: &Item<'_>) -> Option<TopicChoice> {
    let pattern = item.text()?;
    if !pattern.starts_with('^') {
        item.problem("a pattern begins with ^", Some(format!("write {:?}", format!("^{pattern}"))));
        return None;
    }
    if let Err(error) = Regex::new(pattern) {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or("it cannot be read").trim_start_matches("error: ").to_owned();
        item.problem(format!("not a regular expression: {reason}"), None);
        return None;
    }
    Some(TopicChoice::Pattern(pattern.to_owned()))
}

fn read_mapping(item: &Item<'_>, lineage: &Lineage) -> Option<Arc<Mapping>> {
    let path = item.document().folder().join(item.text()?);
    if !path.is_file() {
        let help = format!("it is looked for at {}, relative to this file", path.display());
        item.problem("there is no such file", Some(help));
        return None;
    }
    mapping::read(&path, lineage).map(Arc::new).map_err(|problems| item.document().adopt(problems)).ok()
}

fn read_starting_offsets(item: &Item<'_>, topics: Option<&TopicChoice>) -> Option<StartingOffsets> {
    if let Some(entries) = item.entries() {
        let mut offsets = BTreeMap::new();
        for (name, offset) in entries {
            if let Some((source, offset)) = read_starting_offset(name, &offset, topics) {
                offsets.insert(source, offset);
            }
        }
        return Some(StartingOffsets::Offsets(offsets));
    }
    match item.as_text() {
        Some("earliest") => Some(StartingOffsets::Earliest),
        Some("latest") => Some(StartingOffsets::Latest),
        Some(text) if text.parse::<Timestamp>().is_ok() => {
            text.parse::<Timestamp>().ok().map(|time| StartingOffsets::Timestamp(time.as_microsecond()))
        }
        _ => {
            let help = "take \"earliest\", \"latest\", a time such as \"2026-10-01T00:00:00Z\", or { topic-0 = 1234 }";
            item.problem("not a start", Some(help.into()));
            None
        }
    }
}

fn read_starting_offset(name: &str, offset: &Item<'_>, topics: Option<&TopicChoice>) -> Option<(TopicPartition, i64)> {
    let value = offset.whole(0..=i64::MAX)?;
    let parts = name.rsplit_once('-').and_then(|(topic, partition)| Some((topic, partition.parse::<i32>().ok()?)));
    let Some((topic, partition)) = parts.filter(|(topic, partition)| !topic.is_empty() && *partition >= 0) else {
        offset.problem(format!("{name:?} is not a topic and a partition"), Some("write topic-0 = 1234".into()));
        return None;
    };
    if let Some(TopicChoice::List(topics)) = topics
        && !topics.iter().any(|known| known == topic)
    {
        offset.problem(
            format!("topic {topic} is not one of this table"),
            Some(format!("take one of {}", topics.join(", "))),
        );
        return None;
    }
    Some((TopicPartition::new(topic, partition), value))
}

fn read_raw(section: Section<'_>) -> RawSettings {
    let default = RawSettings::default();
    let age = Duration::from_millis(100)..=Duration::from_secs(86_400);
    let raw = RawSettings {
        roll_bytes: section
            .get("roll_bytes")
            .and_then(|item| item.size(64 << 10..=16 << 30))
            .unwrap_or(default.roll_bytes),
        roll_rows: section
            .get("roll_rows")
            .and_then(|item| item.whole(1..=1_000_000_000)?.try_into().ok())
            .unwrap_or(default.roll_rows),
        roll_age: section.get("roll_age").and_then(|item| item.duration(age.clone())).unwrap_or(default.roll_age),
        roll_idle: section.get("roll_idle").and_then(|item| item.duration(age)),
        compression: section.get("compression").and_then(|item| read_compression(&item)).unwrap_or(default.compression),
    };
    if raw.roll_idle.is_some_and(|idle| idle > raw.roll_age) {
        let help = "make it shorter than roll_age, or leave it out".to_owned();
        section.problem("roll_idle", "longer than roll_age, which always comes first", Some(help));
    }
    section.finish();
    raw
}

fn read_compression(item: &Item<'_>) -> Option<Compression> {
    let text = item.text()?;
    let level =
        text.strip_prefix("zstd(").and_then(|rest| rest.strip_suffix(')')).map(|level| level.trim().parse::<i32>());
    match (text, level) {
        ("snappy", _) => Some(Compression::Snappy),
        ("lz4", _) => Some(Compression::Lz4),
        ("none", _) => Some(Compression::None),
        (_, Some(Ok(level @ 1..=22))) => Some(Compression::Zstd(level)),
        (_, Some(_)) => {
            item.problem(format!("{text:?} has no such level"), Some("take zstd(1) to zstd(22)".into()));
            None
        }
        _ => {
            let help = "take zstd(1) to zstd(22), snappy, lz4 or none".to_owned();
            item.problem(format!("{text:?} is not a compression"), Some(help));
            None
        }
    }
}

fn read_processed(section: Section<'_>) -> Option<ProcessedSettings> {
    let record_id = section
        .required("record_id", "name the columns that identify a record, such as record_id = [\"id\"]")
        .and_then(|item| {
            item.list()?.iter().map(|name| name.text().map(str::to_owned)).collect::<Option<Vec<String>>>()
        });
    let version = section.get("version").and_then(|item| item.text().map(str::to_owned));
    let date = section
        .required("date", "name the column that gives dt=YYYY-MM-DD")
        .and_then(|item| item.text().map(str::to_owned));
    let date_zone = section.get("date_zone").and_then(|item| read_zone(&item));
    let on_bad_date = section
        .get("on_bad_date")
        .and_then(|item| item.choice(&[("quarantine", OnBadDate::Quarantine), ("bucket", OnBadDate::Bucket)]));
    let date_min = section.get("date_min").and_then(|item| read_date_bound(&item));
    let date_max = section.get("date_max").and_then(|item| read_date_bound(&item));
    let date_min = date_min.unwrap_or(DateBound::Date(Date::constant(1970, 1, 1)));
    let date_max = date_max.unwrap_or(DateBound::Relative(1));
    let empty = match (date_min, date_max) {
        (DateBound::Date(min), DateBound::Date(max)) => min > max,
        (DateBound::Relative(min), DateBound::Relative(max)) => min > max,
        _ => false,
    };
    if empty {
        section.problem("date_max", "before date_min: no date is good", Some("make it later".into()));
    }
    let retire = section.get("retire").and_then(|item| read_retire(&item)).unwrap_or(Retire::Immediate);
    section.finish();
    Some(ProcessedSettings {
        record_id: record_id?,
        version,
        date: date?,
        date_zone: date_zone.unwrap_or_else(|| "UTC".to_owned()),
        on_bad_date: on_bad_date.unwrap_or(OnBadDate::Quarantine),
        date_min,
        date_max,
        retire,
    })
}

/// The name of a time zone that this machine knows.
pub(super) fn read_zone(item: &Item<'_>) -> Option<String> {
    let name = item.text()?;
    if jiff::tz::TimeZone::get(name).is_ok() {
        return Some(name.to_owned());
    }
    let known: Vec<String> = jiff::tz::db().available().map(|zone| zone.as_str().to_owned()).collect();
    let help = super::problem::did_you_mean(name, known.iter().map(String::as_str));
    let help = help.unwrap_or_else(|| "take an IANA name such as UTC or Europe/Paris".to_owned());
    item.problem(format!("{name:?} is not a time zone that this machine knows"), Some(help));
    None
}

fn read_date_bound(item: &Item<'_>) -> Option<DateBound> {
    let text = item.text()?;
    let days = |rest: &str| rest.strip_suffix('d')?.parse::<u16>().ok().map(i32::from);
    let bound = match text.chars().next() {
        Some('+') => days(&text[1..]).map(DateBound::Relative),
        Some('-') => days(&text[1..]).map(|days| DateBound::Relative(-days)),
        _ => text.parse::<Date>().ok().filter(|_| text.len() == 10).map(DateBound::Date),
    };
    if bound.is_none() {
        let help = "write a date such as \"1970-01-01\", or days from the kafka timestamp such as \"+1d\"".to_owned();
        item.problem(format!("{text:?} is not a bound on dates"), Some(help));
    }
    bound
}

fn read_retire(item: &Item<'_>) -> Option<Retire> {
    let text = item.text()?;
    if text == "immediate" {
        return Some(Retire::Immediate);
    }
    let age = text.strip_prefix("vacuum(").and_then(|rest| parse_duration(rest.strip_suffix(')')?));
    let help = Some("take \"immediate\"".to_owned());
    match age {
        Some(age) if age <= YEAR => item.problem(format!("{text:?} is not available in this version"), help),
        _ => item.problem(format!("{text:?} is not a way to retire files"), help),
    }
    None
}
