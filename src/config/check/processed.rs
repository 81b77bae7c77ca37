//! `[table.processed]` against the columns of the mapping.

use std::collections::HashMap;

use crate::config::document::Document;
use crate::config::problem::did_you_mean;
use crate::model::mapping::{Column, Kind, Mapping, Precision, Repeat};
use crate::model::table::ProcessedSettings;

/// Checks the columns that promotion goes by, and that the table log can hold every type.
pub(super) fn check(document: &Document, path: &str, settings: &ProcessedSettings, mapping: &Mapping) {
    let columns = &mapping.columns;
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
    if settings.record_id.is_empty() {
        let help = "name the columns that identify a record".to_owned();
        document.problem(&format!("{path}.processed.record_id"), "there is no column", Some(help));
    }
    for (index, name) in settings.record_id.iter().enumerate() {
        let key = format!("record_id[{index}]");
        let Some(column) = find(&key, name) else { continue };
        let key = format!("{path}.processed.{key}");
        if settings.record_id[..index].contains(name) {
            document.problem(&key, format!("column {name} stands twice"), Some("name it once".into()));
        }
        if !column.required {
            let help = "write required = true in the mapping: a record without its id cannot be told from another";
            document.problem(&key, format!("column {name} may be missing"), Some(help.into()));
        }
        if let Some(what) = not_exact(column) {
            let help = "take an exact type for an id: string, a whole number, decimal, date or timestamp".to_owned();
            document.problem(&key, format!("column {name} is {what}"), Some(help));
        }
    }
    if let Some(column) = settings.version.as_deref().and_then(|name| find("version", name)) {
        let what = if column.kind == Kind::Bool { Some("a bool") } else { not_exact(column) };
        if let Some(what) = what {
            let message = format!("column {} is {what}, and has no order to tell versions by", column.name);
            let help = "take a whole number, decimal, date, timestamp or string".to_owned();
            document.problem(&format!("{path}.processed.version"), message, Some(help));
        }
    }
    if let Some(column) = find("date", &settings.date)
        && (is_gathered(column) || !matches!(column.kind, Kind::Date | Kind::Timestamp(_) | Kind::LocalTimestamp(_)))
    {
        let message = format!("column {} is neither a date nor a timestamp", column.name);
        document.problem(&format!("{path}.processed.date"), message, Some("take a column that is".into()));
    }
    for column in columns {
        if let Some((kind, instead)) = not_in_log(column) {
            let message =
                format!("column {} of {} has type {kind}, which the table log cannot hold", column.name, mapping.name);
            let help = format!("take {instead}, or leave [table.processed] out");
            document.problem(&format!("{path}.mapping"), message, Some(help));
        }
    }
}

/// Whether the column holds more than one value, or a text of several.
fn is_gathered(column: &Column) -> bool {
    matches!(column.repeat, Repeat::List | Repeat::Join(_) | Repeat::Json | Repeat::Count)
}

/// What keeps a column from telling one record (or one version) from another.
fn not_exact(column: &Column) -> Option<&'static str> {
    match (&column.repeat, &column.kind) {
        (Repeat::List, _) => Some("a list"),
        (Repeat::Json, _) | (_, Kind::Json) => Some("json"),
        (_, Kind::Xml) => Some("xml"),
        (_, Kind::Struct(_)) => Some("a struct"),
        (_, Kind::Float32 | Kind::Float64) => Some("a float"),
        (_, Kind::Binary(_)) => Some("binary"),
        _ => None,
    }
}

/// The type of a column (or of a field in it) that the table log has no name for, and what to take instead.
fn not_in_log(column: &Column) -> Option<(String, &'static str)> {
    if matches!(column.repeat, Repeat::Join(_) | Repeat::Json | Repeat::Count) {
        return None;
    }
    match &column.kind {
        Kind::Struct(fields) => fields.iter().find_map(not_in_log),
        kind @ Kind::Time(_) => Some((kind.to_string(), "string")),
        kind @ Kind::Timestamp(Precision::Nano) => Some((kind.to_string(), "timestamp")),
        kind @ Kind::LocalTimestamp(Precision::Nano) => Some((kind.to_string(), "timestamp_ntz")),
        _ => None,
    }
}
