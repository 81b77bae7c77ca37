//! `[table.lineage]`: the names of the columns that Forebay adds, and those that come on request.

use std::sync::Arc;

use crate::config::mapping::Names;
use crate::config::section::{Item, Section};
use crate::model::mapping::{CHILD_LINEAGE, LINEAGE, Lineage, ON_REQUEST};

/// Reads `[table.lineage]`: `include = ["kafka_key"]`, and a name for each column that is to have another.
pub(super) fn read(section: Section<'_>) -> Lineage {
    let included = section.get("include").and_then(|item| read_include(&item)).unwrap_or_default();
    let known = || LINEAGE.into_iter().chain(CHILD_LINEAGE).chain(ON_REQUEST);
    let given: Vec<(&str, Item<'_>)> = known().filter_map(|key| Some((key, section.get(key)?))).collect();
    let is_on = |key: &str| !ON_REQUEST.contains(&key) || included.contains(&key);
    let is_given = |key: &str| given.iter().any(|(name, _)| *name == key);
    // Those that keep their names stand before those that are given one.
    let mut names = Names::of_table(known().filter(|key| is_on(key) && !is_given(key)));
    let mut renamed: Vec<(&str, String)> = Vec::new();
    for (key, item) in &given {
        if !is_on(key) {
            item.problem("the table does not have it", Some(format!("write include = [\"{key}\"] besides")));
        } else if let Some(name) = item.text().and_then(|name| names.take(item, name, "")) {
            renamed.push((*key, name));
        }
    }
    section.finish();
    let name = |key: &str| {
        let other = renamed.iter().find(|(renamed, _)| *renamed == key);
        Arc::from(other.map_or(key, |(_, name)| name.as_str()))
    };
    let on_request = |key: &str| is_on(key).then(|| name(key));
    Lineage {
        names: LINEAGE.map(name),
        child_names: CHILD_LINEAGE.map(name),
        key: on_request(ON_REQUEST[0]),
        headers: on_request(ON_REQUEST[1]),
    }
}

fn read_include(item: &Item<'_>) -> Option<Vec<&'static str>> {
    let choices = ON_REQUEST.map(|name| (name, name));
    let mut included = Vec::new();
    for item in item.list()? {
        let name = item.choice(&choices)?;
        if included.contains(&name) {
            item.problem(format!("{name} stands twice"), Some("name it once".to_owned()));
        }
        included.push(name);
    }
    Some(included)
}
