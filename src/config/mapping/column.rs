//! `[[column]]` and `[[column.field]]`.

use std::sync::Arc;

use super::kind;
use super::names::Names;
use super::path;
use super::repeat;
use super::rules;
use super::scope::Scope;
use crate::config::section::{Item, Section};
use crate::model::mapping::{Column, Kind, Path, Repeat, Take};

/// Structs inside structs: what BigQuery takes, the least of the engines.
const MAX_NESTING: usize = 15;

/// The columns of a table.
pub(super) fn read_all(table: &Section<'_>, scope: &Scope<'_>, names: &mut Names) -> Vec<Column> {
    let sections = table.sections("column");
    if sections.is_empty() {
        table.problem("column", "there is no column", Some("write a [[column]] with name, path and type".into()));
    }
    sections.into_iter().filter_map(|section| read(section, scope, names, 0)).collect()
}

/// One column; `nesting` counts the structs around it.
fn read(section: Section<'_>, scope: &Scope<'_>, names: &mut Names, nesting: usize) -> Option<Column> {
    let name = section.required("name", "write name = \"…\"").and_then(|item| names.take(&item, item.text()?, ""));
    let path_item = section.required("path", "write path = \"…\", steps from the row");
    let written = path_item.as_ref().and_then(|item| {
        let path = path::parse(item.text()?, scope.namespaces);
        item.answer(path)
    });
    let type_item = section.required("type", "write type = \"string\", for example");
    let kind = type_item.as_ref().and_then(|item| {
        let kind = kind::parse(item.text()?);
        item.answer(kind)
    });
    let required = section.get("required").and_then(|item| item.flag()).unwrap_or(false);
    let repeat_item = section.get("repeat");
    let repeat = match &repeat_item {
        Some(item) => item.text().map(repeat::parse).and_then(|repeat| item.answer(repeat)),
        None if kind.as_ref().is_some_and(|kind| kind.is_list) => Some(Repeat::List),
        None => Some(Repeat::Only),
    };
    let fields = read_fields(&section, kind.as_ref().map(|kind| &kind.kind), written.as_ref(), scope, nesting);
    let rules = rules::read(&section);
    if required && rules.has_default() {
        let help = "keep one: a default stands for what is missing, so nothing ever is".to_owned();
        section.problem("default", "the column is required besides", Some(help));
    }
    if let (Some(item), Some(written)) = (&path_item, &written) {
        judge_path(item, &written.path, repeat.as_ref(), repeat_item.as_ref(), scope, nesting);
    }
    if let (Some(kind), Some(repeat)) = (&kind, &repeat) {
        judge_repeat(&section, kind, repeat, repeat_item.as_ref(), type_item.as_ref());
        let is_whole = written.as_ref().is_some_and(|written| !written.has_function);
        rules.judge(&section, &kind.kind, repeat, is_whole);
    }
    section.finish();
    let (path::Written { path, has_function }, kind, repeat) = (written?, kind?.kind, repeat?);
    let path = Path { take: take(path_item.as_ref()?, path.take, has_function, &kind, &repeat)?, ..path };
    let kind = if let Kind::Struct(_) = kind { Kind::Struct(Arc::from(fields)) } else { kind };
    let rules = rules.into_rules(&kind);
    Some(Column { name: name?, path, kind, required, repeat, rules })
}

/// The fields of a struct, and what is wrong where the type is none or has none.
fn read_fields(
    section: &Section<'_>,
    kind: Option<&Kind>,
    path: Option<&path::Written>,
    scope: &Scope<'_>,
    nesting: usize,
) -> Vec<Column> {
    let sections = section.sections("field");
    match (kind, sections.is_empty()) {
        (Some(Kind::Struct(_)), true) => {
            let help = "write a [[….field]] with name, path and type for each".to_owned();
            section.problem("type", "a struct without fields", Some(help));
        }
        (Some(Kind::Struct(_)) | None, _) | (_, true) => {}
        (Some(kind), false) => {
            let help = "write type = \"struct\" (or \"list<struct>\"), or take the fields away".to_owned();
            section.problem("field", format!("a column of type {kind} has no fields"), Some(help));
        }
    }
    if nesting == MAX_NESTING && !sections.is_empty() {
        let message = format!("more than {MAX_NESTING} structs inside each other, and engines refuse that");
        section.problem("field", message, Some("take the inner ones as type json or xml".to_owned()));
        return Vec::new();
    }
    let inner = scope.of_fields(path.map(|written| &written.path));
    let mut names = Names::default();
    sections.into_iter().filter_map(|section| read(section, &inner, &mut names, nesting + 1)).collect()
}

/// What of an element is taken, or `None` after noting that the type needs more than the path gives.
fn take(item: &Item<'_>, written: Take, has_function: bool, kind: &Kind, repeat: &Repeat) -> Option<Take> {
    let needs_element = matches!(kind, Kind::Xml | Kind::Struct(_)) && *repeat != Repeat::Count;
    if needs_element && has_function {
        let what = if matches!(written, Take::Attribute(_)) { "an attribute" } else { "a text" };
        let help = "end the path with the element".to_owned();
        item.problem(format!("leads to {what}, and type {kind} needs an element"), Some(help));
        return None;
    }
    let is_whole = needs_element || (*repeat == Repeat::Json && *kind == Kind::String && !has_function);
    Some(if is_whole { Take::Element } else { written })
}

fn judge_path(
    item: &Item<'_>,
    path: &Path,
    repeat: Option<&Repeat>,
    repeat_item: Option<&Item<'_>>,
    scope: &Scope<'_>,
    nesting: usize,
) {
    if nesting > 0 && path.from_root {
        let help = "write it from the element of the struct, or make it a column".to_owned();
        item.problem("a field begins at the element of its struct", Some(help));
        return;
    }
    if let Some((message, help)) = scope.too_deep(path) {
        item.problem(message, help);
    }
    let Some(is_single) = item.answer(scope.is_single(path)) else { return };
    if let (true, Some(Repeat::Index(number)), Some(repeat)) = (is_single, repeat, repeat_item)
        && *number > 1
    {
        let message = format!("index({number}) is never there: the path leads to one place in each row");
        repeat.problem(message, Some("remove it".to_owned()));
    }
}

fn judge_repeat(
    section: &Section<'_>,
    written: &kind::Written,
    repeat: &Repeat,
    repeat_item: Option<&Item<'_>>,
    type_item: Option<&Item<'_>>,
) {
    let kind = &written.kind;
    let told = |message: String, help: String| match repeat_item {
        Some(item) => item.problem(message, Some(help)),
        None => section.problem("type", message, Some(help)),
    };
    match repeat {
        Repeat::List => {}
        _ if written.is_list => {
            told(
                format!("type list<{kind}> takes all of them, and this does not"),
                format!("take \"list\", or type = \"{kind}\""),
            );
        }
        Repeat::Join(_) if *kind != Kind::String => {
            told(
                format!("only text is joined, and the type is {kind}"),
                "take type = \"string\", or repeat = \"list\"".into(),
            );
        }
        Repeat::Json if matches!(kind, Kind::Struct(_) | Kind::Xml) => {
            told(
                format!("the values of a JSON array are made of elements as they are, and not of type {kind}"),
                "take type = \"string\", or repeat = \"list\"".into(),
            );
        }
        Repeat::Count if *kind != Kind::Int64 => {
            if let Some(item) = type_item {
                item.problem(
                    format!("repeat = \"count\" gives int64, and not {kind}"),
                    Some("take type = \"int64\"".into()),
                );
            }
        }
        _ => {}
    }
}
