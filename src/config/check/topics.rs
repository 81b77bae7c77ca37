//! Tables that share a topic: the first in the order of the file that takes a message gets it.

use regex::Regex;

use crate::config::document::Document;
use crate::model::table::{Table, TopicChoice, When};

/// Checks every two tables that share a topic.
pub(super) fn check(document: &Document, tables: &[(usize, &Table)]) {
    for (position, (index, table)) in tables.iter().enumerate() {
        for (_, earlier) in &tables[..position] {
            if let Some(topic) = shared(&earlier.topics, &table.topics) {
                judge(document, &format!("table[{index}]"), &topic, earlier, table);
            }
        }
    }
}

fn judge(document: &Document, path: &str, topic: &str, earlier: &Table, table: &Table) {
    let topics = if matches!(table.topics, TopicChoice::List(_)) { "topics" } else { "topic_pattern" };
    match (&earlier.when, &table.when) {
        (None, ours) => {
            let message = format!("topic {topic} feeds table {} already", earlier.name);
            let help = match ours {
                None => format!("give table {} a when = {{ root = \"…\" }}, or take another topic", earlier.name),
                Some(_) => format!(
                    "put table {} last, or give it a when: the first that takes a message gets it",
                    earlier.name
                ),
            };
            document.problem(&format!("{path}.{topics}"), message, Some(help));
        }
        (Some(theirs), Some(ours)) if implies(ours, theirs) => {
            let message = format!("table {} takes all of these messages of topic {topic} already", earlier.name);
            let help = "put the narrower condition first, or change it: the first that takes a message gets it";
            document.problem(&format!("{path}.when"), message, Some(help.to_owned()));
        }
        _ => {}
    }
    let begin = |key: &str| {
        let message = format!("table {} shares topic {topic} and says otherwise", earlier.name);
        let help = format!("write the same {key} for both: a topic is read once");
        document.problem(&format!("{path}.{key}"), message, Some(help));
    };
    if earlier.starting_offsets != table.starting_offsets {
        begin("starting_offsets");
    }
    if earlier.on_offset_out_of_range != table.on_offset_out_of_range {
        begin("on_offset_out_of_range");
    }
}

/// A topic that feeds both.
fn shared(theirs: &TopicChoice, ours: &TopicChoice) -> Option<String> {
    match (theirs, ours) {
        (TopicChoice::List(theirs), TopicChoice::List(ours)) => {
            ours.iter().find(|topic| theirs.contains(topic)).cloned()
        }
        (TopicChoice::Pattern(theirs), TopicChoice::List(ours)) => first_match(theirs, ours),
        (TopicChoice::List(theirs), TopicChoice::Pattern(ours)) => first_match(ours, theirs),
        (TopicChoice::Pattern(theirs), TopicChoice::Pattern(ours)) => (theirs == ours).then(|| ours.clone()),
    }
}

fn first_match(pattern: &str, topics: &[String]) -> Option<String> {
    let pattern = Regex::new(pattern).ok()?;
    topics.iter().find(|topic| pattern.is_match(topic)).cloned()
}

/// Whether every message that fulfils `ours` fulfils `theirs`.
fn implies(ours: &When, theirs: &When) -> bool {
    (theirs.root.is_none() || theirs.root == ours.root) && (theirs.header.is_none() || theirs.header == ours.header)
}
