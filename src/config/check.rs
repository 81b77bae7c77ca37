//! What no single key can say: tables against each other, against their mappings, and against the limits.

use std::collections::HashMap;
use std::path::Path;

use regex::Regex;
use serde_json::json;

use super::document::Document;
use super::load::load;
use super::model::{LimitSettings, Settings};
use super::problem::{Problem, did_you_mean};
use super::units::show_size;
use crate::model::mapping::{Column, Kind};
use crate::model::table::{ProcessedSettings, Table, TopicChoice};

/// Checks the tables; `None` stands for one that could not be read.
pub(super) fn tables(document: &Document, tables: &[Option<Table>], limits: &LimitSettings) {
    let read: Vec<(usize, &Table)> =
        tables.iter().enumerate().filter_map(|(index, table)| Some((index, table.as_ref()?))).collect();
    for (position, (index, table)) in read.iter().enumerate() {
        let path = format!("table[{index}]");
        for (_, earlier) in &read[..position] {
            if earlier.name == table.name {
                document.problem(
                    &format!("{path}.name"),
                    format!("a second table {}", table.name),
                    Some("take another name".into()),
                );
            }
            both_take(document, &path, earlier, table);
        }
        against_limits(document, &path, table, limits);
        if let Some(topic) = &table.quarantine.topic
            && let Some((_, feeds)) = read.iter().find(|(_, other)| other.topics.takes(topic))
        {
            let message =
                format!("topic {topic} feeds table {}: its dead letters would come back as messages", feeds.name);
            let help = "take a topic that no table reads".to_owned();
            document.problem(&format!("{path}.quarantine.topic"), message, Some(help));
        }
        if let Some(processed) = &table.processed {
            against_mapping(document, &path, processed, &table.mapping.columns);
        }
    }
}

/// Checks that no folder of ours lies inside a lake on local disk, where every file is one of the lake.
pub(super) fn folders(document: &Document, root: &str, folders: &[(&str, &Path)]) {
    let Some(lake) = root.strip_prefix("file://") else { return };
    for (key, folder) in folders {
        if folder.starts_with(lake) {
            let message = format!("{} lies inside the lake", folder.display());
            document.problem(key, message, Some("take a folder outside".to_owned()));
        }
    }
}

fn both_take(document: &Document, path: &str, earlier: &Table, table: &Table) {
    let shared = match (&earlier.topics, &table.topics) {
        (TopicChoice::List(theirs), TopicChoice::List(ours)) => {
            ours.iter().find(|topic| theirs.contains(topic)).cloned()
        }
        (TopicChoice::Pattern(theirs), TopicChoice::List(ours)) => first_match(theirs, ours),
        (TopicChoice::List(theirs), TopicChoice::Pattern(ours)) => first_match(ours, theirs),
        (TopicChoice::Pattern(theirs), TopicChoice::Pattern(ours)) => (theirs == ours).then(|| ours.clone()),
    };
    if let Some(topic) = shared {
        let key = if matches!(table.topics, TopicChoice::List(_)) { "topics" } else { "topic_pattern" };
        let message = format!("topic {topic} feeds table {} already", earlier.name);
        let help = "one topic feeds one table in this version".to_owned();
        document.problem(&format!("{path}.{key}"), message, Some(help));
    }
}

fn first_match(pattern: &str, topics: &[String]) -> Option<String> {
    let pattern = Regex::new(pattern).ok()?;
    topics.iter().find(|topic| pattern.is_match(topic)).cloned()
}

fn against_limits(document: &Document, path: &str, table: &Table, limits: &LimitSettings) {
    if table.raw.roll_bytes > limits.spool.size {
        let message = format!(
            "{} would never fit limits.spool of {}",
            show_size(table.raw.roll_bytes),
            show_size(limits.spool.size)
        );
        document.problem(
            &format!("{path}.raw.roll_bytes"),
            message,
            Some("make it smaller, or the spool larger".into()),
        );
    }
    if table.mapping.limits.bytes > limits.memory {
        let message = format!(
            "messages of {} (limits.bytes of {}) do not fit limits.memory of {}",
            show_size(table.mapping.limits.bytes),
            table.mapping.name,
            show_size(limits.memory)
        );
        document.problem(&format!("{path}.mapping"), message, Some("make one smaller, or the other larger".into()));
    }
}

fn against_mapping(document: &Document, path: &str, processed: &ProcessedSettings, columns: &[Column]) {
    let by_name: HashMap<&str, &Column> = columns.iter().map(|column| (column.name.as_str(), column)).collect();
    let find = |key: &str, name: &str| {
        let found = by_name.get(name).copied();
        if found.is_none() {
            let help = did_you_mean(name, by_name.keys().copied());
            let help = help.unwrap_or_else(|| "name a column of the mapping".to_owned());
            document.problem(&format!("{path}.processed.{key}"), format!("there is no column {name}"), Some(help));
        }
        found
    };
    if processed.record_id.is_empty() {
        let help = "name the columns that identify a record".to_owned();
        document.problem(&format!("{path}.processed.record_id"), "there is no column", Some(help));
    }
    for (index, name) in processed.record_id.iter().enumerate() {
        let key = format!("record_id[{index}]");
        let Some(column) = find(&key, name) else { continue };
        let key = format!("{path}.processed.{key}");
        if processed.record_id[..index].contains(name) {
            document.problem(&key, format!("column {name} stands twice"), Some("name it once".into()));
        }
        if !column.required {
            let help = "write required = true in the mapping: a record without its id cannot be told from another";
            document.problem(&key, format!("column {name} may be missing"), Some(help.into()));
        }
        if is_float(column.kind) {
            document.problem(&key, format!("column {name} is a float"), Some("take an exact type for an id".into()));
        }
    }
    if let Some(column) = processed.version.as_deref().and_then(|name| find("version", name))
        && (is_float(column.kind) || column.kind == Kind::Bool)
    {
        let message = format!("column {} has no order to tell versions by", column.name);
        let help = "take a whole number, decimal, date, timestamp or string".to_owned();
        document.problem(&format!("{path}.processed.version"), message, Some(help));
    }
    if let Some(column) = find("date", &processed.date)
        && !matches!(column.kind, Kind::Date | Kind::Timestamp)
    {
        let message = format!("column {} is neither a date nor a timestamp", column.name);
        document.problem(&format!("{path}.processed.date"), message, Some("take a column that is".into()));
    }
}

fn is_float(kind: Kind) -> bool {
    matches!(kind, Kind::Float32 | Kind::Float64)
}

/// What `forebay check` says.
#[derive(Debug)]
pub struct Report {
    /// The configuration that was checked.
    pub path: String,
    /// The settings, when nothing is wrong with them.
    pub settings: Option<Settings>,
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
}

/// Checks the configuration at `path` and every mapping it names.
///
/// `more` judges settings that are right by themselves, such as by asking the Kafka client for what it knows; it makes
/// its problems with [`Settings::problem`].
pub fn report(
    path: &Path,
    env: impl Iterator<Item = (String, String)>,
    more: impl FnOnce(&Settings) -> Vec<Problem>,
) -> Report {
    let shown = path.display().to_string();
    match load(path, env) {
        Ok(settings) => Report { path: shown, problems: more(&settings), settings: Some(settings) },
        Err(problems) => Report { path: shown, problems, settings: None },
    }
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// The report for people, without an end of line.
    pub fn text(&self) -> String {
        if self.is_good() {
            let tables = self.settings.as_ref().map_or(&[][..], |settings| &settings.tables);
            let names: Vec<&str> = tables.iter().map(|table| &*table.name).collect();
            return format!("{}: good, {} ({})", self.path, count(names.len(), "table"), names.join(", "));
        }
        let mut lines: Vec<String> = self.problems.iter().map(Problem::to_string).collect();
        lines.push(format!("{}: {}", self.path, count(self.problems.len(), "problem")));
        lines.join("\n")
    }

    /// The report for machines.
    pub fn json(&self) -> serde_json::Value {
        json!({ "ok": self.is_good(), "config": self.path, "problems": self.problems })
    }
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
