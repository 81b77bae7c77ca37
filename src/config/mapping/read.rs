//! Mapping file → [`Mapping`], with everything that is wrong at once.

use std::collections::BTreeMap;
use std::path::Path as FilePath;

use super::kind;
use super::path::{Wrong, is_ncname, parse, parse_name, parse_steps};
use crate::config::document::Document;
use crate::config::problem::Problem;
use crate::config::section::{Item, Section};
use crate::model::mapping::{
    Column, Compatibility, Dtd, Kind, LINEAGE, Limits, Mapping, Name, OnBadField, OnBadMessage, Path, Step, Take, Trim,
    Unmapped,
};

/// Keys of a column that a later version will know.
const LATER: [&str; 13] = [
    "default",
    "null_values",
    "enum",
    "regex",
    "min",
    "max",
    "min_length",
    "max_length",
    "format",
    "zone",
    "decimal",
    "group",
    "field",
];

/// Names of columns that the path of a file gives: two columns of one name could not be told apart.
const PATH_PARTITIONS: [&str; 2] = ["dt", "hr"];

/// Longest name of a column.
const MAX_NAME: usize = 128;

/// Reads a mapping file.
///
/// # Errors
///
/// Everything that is wrong with it, in the order of its lines.
pub fn read(file: &FilePath) -> Result<Mapping, Vec<Problem>> {
    let document = Document::read(file, []).map_err(|problem| vec![problem])?;
    let name = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mapping = read_root(&document, name);
    let (problems, _) = document.finish();
    match mapping {
        Some(mapping) if problems.is_empty() => Ok(mapping),
        _ => Err(problems),
    }
}

fn read_root(document: &Document, name: String) -> Option<Mapping> {
    let file = document.root();
    let version = file.required("version", "write version = 1").and_then(|item| item.whole(1..=i64::from(u32::MAX)));
    if let Some(format) = file.required("format", "write format = \"xml\"") {
        read_format(&format);
    }
    let namespaces = read_namespaces(&file.section("namespaces"));
    let message = file.section("message");
    let (root, rows) = read_message(message, &namespaces);
    let limits = read_limits(file.section("limits"));
    let (on_bad_message, on_bad_field) = read_on_error(file.section("on_error"));
    let columns = read_columns(&file, &namespaces);
    file.not_yet(&["child"]);
    file.finish();
    check_columns(document, &columns, &rows, &namespaces);
    Some(Mapping {
        name,
        version: u32::try_from(version?).ok()?,
        root,
        compatibility: Compatibility::Backward,
        rows: if rows.is_empty() { Vec::new() } else { vec![rows] },
        dtd: Dtd::Refuse,
        unmapped: Unmapped::Ignore,
        xsd: None,
        on_bad_message,
        on_bad_field,
        limits,
        namespaces,
        columns: columns.into_iter().map(|(column, _)| column).collect(),
        children: Vec::new(),
    })
}

fn read_format(item: &Item<'_>) {
    match item.text() {
        Some("xml") | None => {}
        Some(format @ ("json" | "avro" | "csv")) => {
            item.problem(format!("format {format} is not available in this version"), Some("take xml".into()));
        }
        Some(format) => item.problem(format!("{format:?} is not a format"), Some("take xml".into())),
    }
}

fn read_namespaces(section: &Section<'_>) -> BTreeMap<String, String> {
    let mut namespaces = BTreeMap::new();
    for (prefix, item) in section.flattened() {
        let Some(uri) = item.text() else { continue };
        if !is_ncname(&prefix) || prefix.to_lowercase().starts_with("xml") {
            item.problem("not a prefix", Some("take a short name that does not begin with xml".into()));
        } else if uri.trim().is_empty() {
            item.problem("a prefix needs the URI it stands for", Some("names in no namespace are written bare".into()));
        } else {
            namespaces.insert(prefix, uri.to_owned());
        }
    }
    namespaces
}

fn read_message(section: Section<'_>, namespaces: &BTreeMap<String, String>) -> (Option<Name>, Vec<Step>) {
    let root = section.get("root").and_then(|item| {
        let name = parse_name(item.text()?.trim(), namespaces);
        answer(&item, name)
    });
    let rows = section.get("rows").and_then(|item| {
        let steps = parse_steps(item.text()?.trim(), namespaces);
        answer(&item, steps)
    });
    only(&section, "dtd", "refuse", &["ignore-external"]);
    only(&section, "unmapped", "ignore", &["count", "reject", "collect"]);
    section.not_yet(&["xsd"]);
    section.finish();
    (root, rows.unwrap_or_default())
}

/// A key of which this version knows one value.
fn only(section: &Section<'_>, key: &'static str, known: &str, later: &[&str]) {
    let Some(item) = section.get(key) else { return };
    let Some(text) = item.text() else { return };
    let name = text.split('(').next().unwrap_or_default();
    if later.contains(&name) {
        item.problem(format!("{text:?} is not available in this version"), Some(format!("take {known:?}")));
    } else if text != known {
        item.problem(format!("{text:?} is not a choice"), Some(format!("take {known:?}")));
    }
}

fn read_limits(section: Section<'_>) -> Limits {
    let mut limits = Limits::default();
    if let Some(bytes) = section.get("bytes").and_then(|item| item.size(1..=1 << 30)) {
        limits.bytes = bytes;
    }
    for (key, most, limit) in [
        ("depth", 10_000, &mut limits.depth),
        ("attributes", 1_000_000, &mut limits.attributes),
        ("rows", 100_000_000, &mut limits.rows),
    ] {
        let number = section.get(key).and_then(|item| item.whole(1..=most));
        if let Some(number) = number.and_then(|number| u32::try_from(number).ok()) {
            *limit = number;
        }
    }
    section.finish();
    limits
}

fn read_on_error(section: Section<'_>) -> (OnBadMessage, OnBadField) {
    let messages = [("quarantine", OnBadMessage::Quarantine), ("keep-good-rows", OnBadMessage::KeepGoodRows)];
    let fields = [("quarantine", OnBadField::Quarantine), ("null", OnBadField::Null)];
    let message = section.get("message").and_then(|item| item.choice(&messages));
    let field = section.get("field").and_then(|item| item.choice(&fields));
    section.finish();
    (message.unwrap_or(OnBadMessage::Quarantine), field.unwrap_or(OnBadField::Quarantine))
}

/// The columns, each with the path of its table in the document.
fn read_columns(file: &Section<'_>, namespaces: &BTreeMap<String, String>) -> Vec<(Column, String)> {
    let sections = file.sections("column");
    if sections.is_empty() {
        file.problem("column", "there is no column", Some("write a [[column]] with name, path and type".into()));
    }
    let read = |(index, section)| Some((read_column(section, namespaces)?, format!("column[{index}]")));
    sections.into_iter().enumerate().filter_map(read).collect()
}

fn read_column(section: Section<'_>, namespaces: &BTreeMap<String, String>) -> Option<Column> {
    let name = section.required("name", "write name = \"…\"").and_then(|item| read_column_name(&item));
    let path = section.required("path", "write path = \"…\", steps from the row").and_then(|item| {
        let path = parse(item.text()?, namespaces);
        answer(&item, path)
    });
    let kind = section.required("type", "write type = \"string\", for example").and_then(|item| {
        let kind = kind::parse(item.text()?).map_err(|(message, help)| (message, Some(help)));
        answer(&item, kind)
    });
    let required = section.get("required").and_then(|item| item.flag()).unwrap_or(false);
    let choices = [("none", Trim::None), ("both", Trim::Both), ("collapse", Trim::Collapse)];
    let trim = section.get("trim").and_then(|item| item.choice(&choices));
    only(&section, "repeat", "only", &["first", "last", "list", "join", "json", "count", "index", "child"]);
    only(&section, "rounding", "error", &["half_even", "half_up", "down"]);
    section.not_yet(&LATER);
    section.finish();
    let kind = kind?;
    let trim = trim.unwrap_or(if kind == Kind::String { Trim::None } else { Trim::Both });
    let mut column = Column::new(name?, path?, kind);
    (column.required, column.rules.trim) = (required, trim);
    Some(column)
}

fn read_column_name(item: &Item<'_>) -> Option<String> {
    let name = item.text()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit()) {
        let help = "take letters, digits and _, not beginning with a digit: every engine reads such names";
        item.problem(format!("{name:?} is not the name of a column"), Some(help.into()));
    } else if name.len() > MAX_NAME {
        item.problem("too long for the name of a column", Some(format!("take at most {MAX_NAME} characters")));
    } else if is_reserved(name) {
        item.problem(format!("{name} is a column that forebay adds"), Some("take another name".into()));
    } else {
        return Some(name.to_owned());
    }
    None
}

/// Whether Forebay adds a column of that name. Engines compare names without regard to case.
fn is_reserved(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.starts_with("kafka_") || LINEAGE.contains(&lower.as_str()) || PATH_PARTITIONS.contains(&lower.as_str())
}

fn check_columns(
    document: &Document,
    columns: &[(Column, String)],
    rows: &[Step],
    namespaces: &BTreeMap<String, String>,
) {
    for (index, (column, place)) in columns.iter().enumerate() {
        let same = |(other, _): &&(Column, String)| other.name.eq_ignore_ascii_case(&column.name);
        if columns[..index].iter().any(|earlier| same(&earlier)) {
            let message = format!("a second column {}", column.name);
            let help = "take another name; engines compare names without regard to case";
            document.problem(&format!("{place}.name"), message, Some(help.into()));
        }
        if let Some(from_row) = inside_row(&column.path, rows, namespaces) {
            let help = format!("write it from the row: {from_row:?}");
            document.problem(&format!("{place}.path"), "lies inside the row, of which there may be many", Some(help));
        }
    }
}

/// For a path from the root that leads into the row element: how to write it from there.
fn inside_row(path: &Path, rows: &[Step], namespaces: &BTreeMap<String, String>) -> Option<String> {
    if !path.from_root || rows.is_empty() || !path.steps.starts_with(rows) {
        return None;
    }
    let shown = |name: &Name| {
        let prefix = namespaces.iter().find(|(_, uri)| Some(uri.as_str()) == name.namespace.as_deref());
        prefix.map_or_else(|| name.local.to_string(), |(prefix, _)| format!("{prefix}:{}", name.local))
    };
    let mut parts: Vec<String> =
        path.steps[rows.len()..].iter().map(|step| step.name.as_ref().map_or_else(|| "*".to_owned(), shown)).collect();
    match &path.take {
        Take::Text | Take::Element if parts.is_empty() => parts.push(".".to_owned()),
        Take::Text | Take::Element => {}
        Take::AllText => parts.push("string()".to_owned()),
        Take::Attribute(name) => parts.push(format!("@{}", shown(name))),
    }
    Some(parts.join("/"))
}

/// The value, or `None` after noting what is wrong.
fn answer<T>(item: &Item<'_>, result: Result<T, Wrong>) -> Option<T> {
    result.map_err(|(message, help)| item.problem(message, help)).ok()
}
