//! What no single key can say: tables against each other, against their mappings, and against the limits.

mod processed;
mod topics;

use std::collections::HashMap;
use std::path::Path;

use serde_json::json;

use super::document::Document;
use super::load::load;
use super::model::{LimitSettings, Settings};
use super::problem::Problem;
use super::units::show_size;
use crate::model::mapping::Child;
use crate::model::table::{Table, UnroutedSettings};

/// Checks the tables; `None` stands for one that could not be read.
pub(super) fn tables(document: &Document, tables: &[Option<Table>], limits: &LimitSettings) {
    let read: Vec<(usize, &Table)> =
        tables.iter().enumerate().filter_map(|(index, table)| Some((index, table.as_ref()?))).collect();
    table_names(document, &read);
    topics::check(document, &read);
    for &(index, table) in &read {
        let path = format!("table[{index}]");
        against_limits(document, &path, table, limits);
        if let Some(settings) = &table.processed {
            processed::check(document, &path, settings, &table.mapping);
        }
    }
}

/// Checks that no dead-letter topic is one that a table reads.
pub(super) fn dead_letter_topics(document: &Document, tables: &[Option<Table>], unrouted: &UnroutedSettings) {
    let of_table = |(index, table): (usize, &Option<Table>)| {
        let topic = table.as_ref()?.quarantine.topic.clone()?;
        Some((format!("table[{index}].quarantine.topic"), topic))
    };
    let of_nobody = unrouted.topic.clone().map(|topic| ("unrouted.topic".to_owned(), topic));
    for (path, topic) in tables.iter().enumerate().filter_map(of_table).chain(of_nobody) {
        if let Some(feeds) = tables.iter().flatten().find(|table| table.topics.takes(&topic)) {
            let message =
                format!("topic {topic} feeds table {}: its dead letters would come back as messages", feeds.name);
            document.problem(&path, message, Some("take a topic that no table reads".to_owned()));
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

/// Checks that no two tables of the lake have one name, child tables among them.
fn table_names(document: &Document, tables: &[(usize, &Table)]) {
    let mut of: HashMap<&str, String> = HashMap::new();
    for (index, table) in tables {
        if of.insert(&table.name, format!("table {}", table.name)).is_some() {
            let message = format!("a second table {}", table.name);
            document.problem(&format!("table[{index}].name"), message, Some("take another name".into()));
        }
    }
    for (index, table) in tables {
        for child in descendants(&table.mapping.children) {
            let owner = format!("a child table of {}", table.name);
            if let Some(other) = of.insert(&child.name, owner) {
                let message = format!("child table {} of {} has the name of {other}", child.name, table.mapping.name);
                let help = "take another name in the mapping: each is a table of the lake".to_owned();
                document.problem(&format!("table[{index}].mapping"), message, Some(help));
            }
        }
    }
}

/// Child tables to any depth.
fn descendants(children: &[Child]) -> Vec<&Child> {
    children.iter().flat_map(|child| std::iter::once(child).chain(descendants(&child.children))).collect()
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
