//! One column: its type, its rules, and what the samples and the schema say about it.

use std::sync::Arc;

use super::declared::{Declared, RULES, Rule};
use super::draft::{Column, quote, quote_list};
use super::plan::WIDTH;
use super::rows::repeats;
use super::tree::{NodeId, ROOT, Tree};
use super::values::Decision;
use crate::model::mapping::{Kind, Trim};

/// What a column is seen from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The element that is there once for each value: the row, or what it lies in.
    pub(super) scope: NodeId,
    /// Whether the schema wants every element on the way to it.
    pub(super) is_wanted: bool,
}

/// How the own text of an element is reached, if it is a value: `Some(None)` by the element itself.
pub(super) fn own_text(tree: &Tree, id: NodeId) -> Option<Option<&'static str>> {
    let node = tree.node(id);
    let declares_text = node.declared.as_ref().is_some_and(|declared| declared.rules.is_some());
    let has_elements = node.children.iter().any(|&child| !tree.node(child).is_attribute);
    if has_elements {
        let is_mixed = node.mixed > 0 || node.declared.as_ref().is_some_and(|declared| declared.is_mixed);
        let has_text = is_mixed || node.values.filled() > 0;
        return has_text.then_some(Some(if is_prose(tree, id) { "string()" } else { "text()" }));
    }
    let is_value = node.values.filled() > 0 || declares_text || node.children.is_empty();
    is_value.then_some(None)
}

/// Whether text between its elements is the rule: then all text in it belongs together.
fn is_prose(tree: &Tree, id: NodeId) -> bool {
    let node = tree.node(id);
    node.mixed * 2 > node.with_children || (node.count == 0 && node.declared.as_ref().is_some_and(|d| d.is_mixed))
}

/// A column of an attribute, or of the text of an element that is there at most once.
pub(super) fn text(tree: &Tree, id: NodeId, place: &Place, parts: Vec<Arc<str>>, path: String) -> Column {
    let (mut column, kind) = value(tree, id, place, parts, path);
    let node = tree.node(id);
    let missing = nulls(tree, id, place.scope, is_trimmed(&kind, &column.keys));
    let Some(declared) = &node.declared else { return column };
    if let Some(default) = &declared.default {
        // It stands for a missing attribute of an element that is there, and a mapping would set it without one too.
        if !place.is_wanted {
            column.comments.push(format!("the schema's default, where its element is there: {}", quote(default)));
        } else if declared.is_default_good(&kind, default) {
            column.keys.push(("default", quote(default)));
            return column;
        } else {
            column.comments.push(format!("the schema's default is no value of this column: {}", quote(default)));
        }
    }
    let is_required = place.is_wanted && (declared.min > 0 || id == place.scope) && !declared.is_nillable;
    if is_required && missing == 0 && declared.rules.is_some() && column.path != "string()" {
        column.keys.push(("required", "true".to_owned()));
    } else if is_required && missing > 0 {
        column.comments.push(format!("conflict: the schema requires it, and {missing} samples have none"));
    }
    column
}

/// A column of all texts of an element that may be there many times.
pub(super) fn list(tree: &Tree, id: NodeId, place: &Place, parts: Vec<Arc<str>>, path: String) -> Column {
    let (mut column, kind) = value(tree, id, place, parts, path);
    column.comments.insert(0, many(tree, id, place.scope));
    column.kind = format!("list<{kind}>");
    column.keys.push(("repeat", "\"list\"".to_owned()));
    column
}

/// A column of an element as it is, with its tags.
pub(super) fn whole(tree: &Tree, id: NodeId, place: &Place, parts: Vec<Arc<str>>, path: String) -> Column {
    let mut comments = Vec::new();
    let mut keys = Vec::new();
    let is_many = id != place.scope && repeats(tree, id);
    if is_many {
        comments.push(many(tree, id, place.scope));
        keys.push(("repeat", "\"list\"".to_owned()));
    }
    comments.extend(seen(tree, id, place.scope, &Kind::Xml, true));
    let kind = if is_many { "list<xml>" } else { "xml" };
    let parts = if parts.is_empty() { vec![tree.local(id)] } else { parts };
    // How long one of them is was not counted.
    Column { parts, path, kind: kind.to_owned(), comments, keys, bytes: f64::INFINITY, ..Column::default() }
}

/// A column of the structs that an element becomes each time it is there.
pub(super) fn structs(
    tree: &Tree,
    id: NodeId,
    place: &Place,
    parts: Vec<Arc<str>>,
    path: String,
    fields: Vec<Column>,
) -> Column {
    let comments = vec![many(tree, id, place.scope)];
    let keys = vec![("repeat", "\"list\"".to_owned())];
    let empty = tree.node(id).most_in_document as f64 * WIDTH * (fields.len() + 1) as f64;
    let bytes = empty + fields.iter().map(|field| field.bytes).sum::<f64>();
    Column { parts, path, kind: "list<struct>".to_owned(), comments, keys, fields, bytes, ..Column::default() }
}

/// What is to be said of an element that repeats.
pub(super) fn many(tree: &Tree, id: NodeId, scope: NodeId) -> String {
    let node = tree.node(id);
    let schema = match &node.declared {
        Some(Declared { most: None, min, .. }) => format!("the schema allows {min} and more"),
        Some(Declared { most: Some(most), min, .. }) => format!("the schema allows {min} to {most}"),
        None => String::new(),
    };
    if node.count == 0 {
        return format!("repeats: {schema}");
    }
    let schema = if schema.is_empty() { schema } else { format!("; {schema}") };
    let parent = node.parent.unwrap_or(ROOT);
    let (count, most, around) = (node.count, node.most, tree.node(scope).count);
    let (parent, scope) = (tree.local(parent), tree.local(scope));
    format!("repeats: up to {most} in one {parent}, {count} in {around} {scope}{schema}")
}

/// The column with everything that does not depend on how often it is there, and its type.
fn value(tree: &Tree, id: NodeId, place: &Place, parts: Vec<Arc<str>>, path: String) -> (Column, Kind) {
    let node = tree.node(id);
    let mut notes = Vec::new();
    let mut keys = Vec::new();
    let takes_all = path.ends_with("string()");
    let has_rules = node.declared.as_ref().is_some_and(|declared| declared.rules.is_some());
    let kind = match &node.declared {
        _ if takes_all => Kind::String,
        Some(declared) if has_rules => by_schema(declared, &node.values.decide(), &mut keys, &mut notes),
        _ => {
            let Decision { kind, notes: why } = node.values.decide();
            notes.extend(why);
            kind
        }
    };
    let mut comments = Vec::new();
    if node.mixed > 0 || takes_all {
        comments.push(mixed(node.mixed, node.with_children, takes_all));
    } else if node.with_children > 0 {
        let (with, count) = (node.with_children, node.count);
        comments.push(format!("conflict: {with} of {count} hold elements instead of this text"));
    }
    comments.extend(seen(tree, id, place.scope, &kind, is_trimmed(&kind, &keys)));
    comments.extend(samples(tree, id));
    comments.extend(notes);
    if let Some(declared) = &node.declared {
        comments.extend(declared.notes.iter().cloned());
    } else if tree.schema.is_some() {
        comments.push("not in the schema".to_owned());
    }
    if let Some(list) = node.values.closed_list().filter(|_| kind == Kind::String && !has_rules) {
        comments.push(format!("enum = {}", quote_list(list.iter().map(|value| &**value))));
    }
    let kind_text = kind.to_string();
    let bytes = node.most_in_document.max(1) as f64 * (WIDTH + node.values.most_bytes as f64);
    (Column { parts, path, kind: kind_text, comments, keys, bytes, ..Column::default() }, kind)
}

fn mixed(mixed: u64, with: u64, takes_all: bool) -> String {
    if takes_all {
        format!("mixed content in {mixed} of {with}: all text in it; type = \"xml\" without string() keeps the tags")
    } else {
        format!("mixed content in {mixed} of {with}: its own text alone; string() takes all text in it")
    }
}

/// Whether a column with these keys loses white space, so that a blank text is null.
fn is_trimmed(kind: &Kind, keys: &[(&'static str, String)]) -> bool {
    *kind != Kind::String || keys.iter().any(|(key, _)| *key == "trim")
}

/// Occurrences of the scope without a value here.
fn nulls(tree: &Tree, id: NodeId, scope: NodeId, is_trimmed: bool) -> u64 {
    let (node, around) = (tree.node(id), tree.node(scope).count);
    let with_value = node.values.count.saturating_sub(node.values.nulls(is_trimmed));
    around.saturating_sub(with_value)
}

/// Counts, null share, longest, forms.
fn seen(tree: &Tree, id: NodeId, scope: NodeId, kind: &Kind, is_trimmed: bool) -> Option<String> {
    let node = tree.node(id);
    if tree.node(ROOT).count == 0 {
        return None;
    }
    if node.count == 0 {
        return Some("not in the samples".to_owned());
    }
    let around = tree.node(scope).count;
    let mut said = vec![format!("seen {} times in {around} {}", node.count, tree.local(scope))];
    if node.most <= 1 {
        let missing = nulls(tree, id, scope, is_trimmed);
        if *kind != Kind::Xml {
            said.push(format!("null {}", share(missing, around)));
        }
    } else if node.values.empty > 0 {
        said.push(format!("empty {}", share(node.values.empty, node.values.count)));
    }
    if node.nil > 0 {
        said.push(format!("xsi:nil {}", node.nil));
    }
    if node.values.filled() > 0 {
        said.push(format!("longest {}", node.values.longest));
        said.push(node.values.forms());
    }
    if node.values.spaced() > 0 {
        said.push(format!("white space at the ends of {}", node.values.spaced()));
    }
    Some(said.join("; "))
}

fn share(part: u64, whole: u64) -> String {
    match (part, whole) {
        (0, _) | (_, 0) => "0 %".to_owned(),
        (part, whole) if part.saturating_mul(1000) < whole => "< 0.1 %".to_owned(),
        (part, whole) => {
            let thousandths = u128::from(part) * 1000 / u128::from(whole);
            format!("{}.{} %", thousandths / 10, thousandths % 10)
        }
    }
}

/// The distinct values.
fn samples(tree: &Tree, id: NodeId) -> Option<String> {
    let (examples, has_more) = tree.node(id).values.examples();
    if examples.is_empty() {
        return None;
    }
    let shown: Vec<String> = examples.iter().map(|value| quote(value)).collect();
    let more = if has_more { ", and more" } else { "" };
    Some(format!("values: {}{more}", shown.join(", ")))
}

/// The type and rules that the schema gives, as far as the samples keep to them; where they do not, what the samples
/// are, and the conflict.
fn by_schema(
    declared: &Declared,
    samples: &Decision,
    keys: &mut Vec<(&'static str, String)>,
    notes: &mut Vec<String>,
) -> Kind {
    let Some(rules) = &declared.rules else { return samples.kind.clone() };
    if let Some((count, example)) = declared.broken.get(&Rule::Type) {
        if rules.is_zone_open && matches!(samples.kind, Kind::LocalTimestamp(_)) {
            notes.push("no sample has a zone".to_owned());
            return samples.kind.clone();
        }
        let (said, example) = (&rules.kind, quote(example));
        notes.push(format!("conflict: the schema says {said}, and {count} samples are not, such as {example}"));
        notes.extend(samples.notes.iter().cloned());
        return samples.kind.clone();
    }
    let trim = match (&rules.kind, rules.trim()) {
        (Kind::String, Trim::Collapse) => Some("collapse"),
        (Kind::String, Trim::Both) => Some("both"),
        _ => None,
    };
    keys.extend(trim.map(|trim| ("trim", quote(trim))));
    for (rule, key) in RULES {
        let Some(value) = rules.written(rule) else { continue };
        match declared.broken.get(&rule) {
            None => keys.push((key, value)),
            Some((count, example)) => {
                let example = quote(example);
                notes.push(format!("conflict: {count} samples break the schema's {key} = {value}, such as {example}"));
            }
        }
    }
    rules.kind.clone()
}
