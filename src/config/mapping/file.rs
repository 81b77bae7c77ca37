//! Mapping file → [`Mapping`], with everything that is wrong at once.

use std::collections::BTreeMap;
use std::path::Path as FilePath;

use super::child;
use super::column;
use super::message;
use super::names::Names;
use super::scope::Scope;
use crate::config::document::Document;
use crate::config::problem::Problem;
use crate::config::section::{Item, Section, quoted};
use crate::lexical::is_unqualified_name;
use crate::model::mapping::{Child, Column, Compatibility, Kind, Limits, Lineage, Mapping, OnBadField, OnBadMessage};

/// Steps and columns that a mapping may have in all, which its program numbers with 16 bits.
const MAX_SIZE: usize = 60_000;

/// Longest payload: places in a text column are 31 bits.
const MAX_BYTES: u64 = 1 << 30;

/// Reads a mapping file for a table that has these columns of Forebay.
///
/// # Errors
///
/// Everything that is wrong with it, in the order of its lines.
pub fn read(file: &FilePath, lineage: &Lineage) -> Result<Mapping, Vec<Problem>> {
    judge(Document::read(file, []), file, lineage)
}

/// The same for a text, as if it were what `file` holds.
///
/// # Errors
///
/// As [`read()`].
pub fn read_text(text: &str, file: &FilePath, lineage: &Lineage) -> Result<Mapping, Vec<Problem>> {
    judge(Document::parse(file, text, []), file, lineage)
}

fn judge(document: Result<Document, Problem>, file: &FilePath, lineage: &Lineage) -> Result<Mapping, Vec<Problem>> {
    let document = document.map_err(|problem| vec![problem])?;
    let name = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mapping = read_root(&document, name, lineage);
    let (problems, _) = document.finish();
    match mapping {
        Some(mapping) if problems.is_empty() => Ok(mapping),
        _ => Err(problems),
    }
}

fn read_root(document: &Document, name: String, lineage: &Lineage) -> Option<Mapping> {
    let file = document.root();
    let version = file.required("version", "write version = 1").and_then(|item| item.whole(1..=i64::from(u32::MAX)));
    if let Some(format) = file.required("format", "write format = \"xml\"") {
        read_format(&format);
    }
    let compatibility = file
        .get("compatibility")
        .and_then(|item| item.choice(&[("backward", Compatibility::Backward), ("none", Compatibility::None)]));
    let namespaces = read_namespaces(&file.section("namespaces"));
    let limits = read_limits(file.section("limits"));
    let (on_bad_message, on_bad_field) = read_on_error(file.section("on_error"));
    let mut names = Names::of_table(lineage.all_names());
    let message = message::read(file.section("message"), &namespaces, limits.depth, &mut names);
    let scope = Scope::new(&namespaces, limits.depth, message.rows.as_deref());
    let columns = column::read_all(&file, &scope, &mut names);
    let children = child::read_all(&file, &scope, lineage);
    file.finish();
    let size = size_of(&columns, &children);
    if size > MAX_SIZE {
        let message = format!("columns and the steps of their paths are {size}, and a mapping holds {MAX_SIZE}");
        document.problem("column", message, Some("take fewer columns".to_owned()));
    }
    Some(Mapping {
        name,
        version: u32::try_from(version?).ok()?,
        compatibility: compatibility.unwrap_or(Compatibility::Backward),
        root: message.root,
        rows: message.rows?,
        dtd: message.dtd,
        unmapped: message.unmapped,
        xsd: message.xsd,
        on_bad_message,
        on_bad_field,
        limits,
        namespaces,
        columns,
        children,
        lineage: lineage.clone(),
    })
}

fn read_format(item: &Item<'_>) {
    match item.text() {
        Some("xml") | None => {}
        Some(format @ ("json" | "avro" | "csv")) => {
            item.problem(format!("format {format} is not available in this version"), Some("take xml".into()));
        }
        Some(format) => item.problem(format!("{} is not a format", quoted(format)), Some("take xml".into())),
    }
}

fn read_namespaces(section: &Section<'_>) -> BTreeMap<String, String> {
    let mut namespaces = BTreeMap::new();
    for (prefix, item) in section.flattened() {
        let Some(uri) = item.text() else { continue };
        if !is_unqualified_name(&prefix) || prefix.to_lowercase().starts_with("xml") {
            item.problem("not a prefix", Some("take a short name that does not begin with xml".into()));
        } else if uri.is_empty() {
            item.problem("a prefix needs the URI it stands for", Some("names in no namespace are written bare".into()));
        } else {
            namespaces.insert(prefix, uri.to_owned());
        }
    }
    namespaces
}

fn read_limits(section: Section<'_>) -> Limits {
    let mut limits = Limits::default();
    if let Some(bytes) = section.get("bytes").and_then(|item| item.bytes(1..=MAX_BYTES)) {
        limits.bytes = bytes;
    }
    if let Some(text) = section.get("text").and_then(|item| item.bytes(1..=MAX_BYTES)) {
        limits.text = text;
    }
    let name = section.get("name").and_then(|item| item.bytes(1..=u64::from(u16::MAX)));
    if let Some(name) = name.and_then(|name| u32::try_from(name).ok()) {
        limits.name = name;
    }
    for (key, most, limit) in [
        ("depth", 10_000, &mut limits.depth),
        ("attributes", 1_000_000, &mut limits.attributes),
        ("bindings", 100_000, &mut limits.bindings),
        ("children", 1 << 30, &mut limits.children),
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

/// Steps and columns in all.
fn size_of(columns: &[Column], children: &[Child]) -> usize {
    let column = |column: &Column| {
        let fields = if let Kind::Struct(fields) = &column.kind { size_of(fields, &[]) } else { 0 };
        fields + column.path.steps.len() + 2
    };
    let child = |child: &Child| child.rows.len() + size_of(&child.columns, &child.children);
    columns.iter().map(column).sum::<usize>() + children.iter().map(child).sum::<usize>()
}
