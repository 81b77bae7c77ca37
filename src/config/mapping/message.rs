//! `[message]`: the root, the rows, and what happens to a message as a whole.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::names::Names;
use super::path::{parse_name, parse_steps, shown_steps};
use crate::config::problem::did_you_mean;
use crate::config::section::{Item, Section, quoted};
use crate::model::mapping::{Dtd, Name, Step, Unmapped};
use crate::schema::Schema;

/// `[message]`, read.
pub(super) struct Message {
    pub(super) root: Option<Name>,
    /// As in a mapping; none when they could not be read.
    pub(super) rows: Option<Vec<Vec<Step>>>,
    pub(super) dtd: Dtd,
    pub(super) unmapped: Unmapped,
    pub(super) xsd: Option<PathBuf>,
}

pub(super) fn read(
    section: Section<'_>,
    namespaces: &BTreeMap<String, String>,
    depth: u32,
    names: &mut Names,
) -> Message {
    let root = section.get("root").and_then(|item| {
        let name = parse_name(item.text()?.trim(), namespaces);
        item.answer(name)
    });
    let rows = match section.get("rows") {
        Some(item) => read_rows(&item, root.as_ref(), namespaces, depth),
        None => Some(Vec::new()),
    };
    let choices = [("refuse", Dtd::Refuse), ("ignore-external", Dtd::IgnoreExternal)];
    let dtd = section.get("dtd").and_then(|item| item.choice(&choices));
    let unmapped = section.get("unmapped").and_then(|item| read_unmapped(&item, names));
    let xsd = section.get("xsd").and_then(|item| read_xsd(&item));
    section.finish();
    Message { root, rows, dtd: dtd.unwrap_or(Dtd::Refuse), unmapped: unmapped.unwrap_or(Unmapped::Ignore), xsd }
}

/// One path, or several, each of them inside the one before.
fn read_rows(
    item: &Item<'_>,
    root: Option<&Name>,
    namespaces: &BTreeMap<String, String>,
    depth: u32,
) -> Option<Vec<Vec<Step>>> {
    if item.as_text().is_some() {
        let steps = read_group(item, root, namespaces, depth)?;
        return Some(if steps.is_empty() { Vec::new() } else { vec![steps] });
    }
    let items = item.list()?;
    if items.is_empty() {
        item.problem("there is no path", Some("write the path of the row element, or leave the key out".to_owned()));
        return None;
    }
    let mut groups = Vec::new();
    let mut outer: Option<Vec<Step>> = None;
    for item in &items {
        let steps = read_group(item, root, namespaces, depth)?;
        let Some(before) = &outer else {
            groups.push(steps.clone());
            outer = Some(steps);
            continue;
        };
        let path = shown_steps(&steps, namespaces);
        if steps == *before {
            item.problem(format!("{path} stands twice"), Some("name it once".to_owned()));
            return None;
        }
        if !steps.starts_with(before) {
            let (message, help) = side_by_side(before, &steps, namespaces);
            item.problem(message, Some(help));
            return None;
        }
        groups.push(steps[before.len()..].to_vec());
        outer = Some(steps);
    }
    Some(groups)
}

/// Two groups of rows would multiply: each row of the one with each of the other.
fn side_by_side(outer: &[Step], steps: &[Step], namespaces: &BTreeMap<String, String>) -> (String, String) {
    let (outer, path) = (shown_steps(outer, namespaces), shown_steps(steps, namespaces));
    let message = format!("{path} does not lie inside {outer}, and rows of both would multiply each other");
    let help = format!(
        "write \"{outer}/…\" if it does lie there (each path begins below the root), \
         or take one as rows and the other as a [[child]]"
    );
    (message, help)
}

fn read_group(
    item: &Item<'_>,
    root: Option<&Name>,
    namespaces: &BTreeMap<String, String>,
    depth: u32,
) -> Option<Vec<Step>> {
    let text = item.text()?.trim();
    let steps = parse_steps(text, root, namespaces);
    let steps = item.answer(steps)?;
    if steps.len() + 1 > depth as usize {
        let message = format!("lies {} elements deep, and limits.depth is {depth}", steps.len() + 1);
        item.problem(message, Some("raise limits.depth".to_owned()));
        return None;
    }
    Some(steps)
}

fn read_unmapped(item: &Item<'_>, names: &mut Names) -> Option<Unmapped> {
    let text = item.text()?.trim();
    if let Some(column) = text.strip_prefix("collect(").and_then(|rest| rest.strip_suffix(')')) {
        let column = names.take(item, column.trim(), "collects what is unmapped")?;
        return Some(Unmapped::Collect(column));
    }
    match text {
        "ignore" => return Some(Unmapped::Ignore),
        "count" => return Some(Unmapped::Count),
        "reject" => return Some(Unmapped::Reject),
        _ => {}
    }
    let help = if text.starts_with("collect") {
        "write collect(COLUMN), such as collect(rest)".to_owned()
    } else {
        did_you_mean(text, ["ignore", "count", "reject"])
            .unwrap_or_else(|| "take ignore, count, reject or collect(COLUMN)".to_owned())
    };
    item.problem(format!("{} is not a choice", quoted(text)), Some(help));
    None
}

fn read_xsd(item: &Item<'_>) -> Option<PathBuf> {
    let text = item.text()?;
    let path = item.document().folder().join(text);
    if text.trim().is_empty() {
        item.problem("is empty", Some("write the path of the schema, from the folder of this file".to_owned()));
    } else if !path.is_file() {
        let help = format!("it is looked for at {}, relative to this file", path.display());
        item.problem("there is no such file", Some(help));
    } else if let Err(what) = Schema::load(&path) {
        item.problem(what, None);
    } else {
        return Some(path);
    }
    None
}
