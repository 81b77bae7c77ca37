//! A draft as the text of a mapping file.

use std::fmt::Write as _;

use super::draft::{Column, Draft, Table, quote, quote_list};

/// The mapping file.
pub(super) fn write(draft: &Draft) -> String {
    let mut out = String::new();
    comments(&mut out, "", &draft.comments);
    out.push_str("version = 1\nformat = \"xml\"\n\n[message]\n");
    comments(&mut out, "", &draft.root_comments);
    if let Some(root) = &draft.root {
        line(&mut out, "root", &quote(root));
    }
    comments(&mut out, "", &draft.row_comments);
    match draft.rows.as_slice() {
        [] => {}
        [only] => line(&mut out, "rows", &quote(only)),
        many => line(&mut out, "rows", &quote_list(many.iter().map(String::as_str))),
    }
    if draft.has_doctype {
        out.push_str(
            "# samples name an external document type definition: it is passed over, and nothing is fetched\n",
        );
        line(&mut out, "dtd", "\"ignore-external\"");
    }
    out.push_str("unmapped = \"count\"\n");
    if !draft.namespaces.is_empty() {
        out.push_str("\n[namespaces]\n");
        for (prefix, uri) in &draft.namespaces {
            line(&mut out, &key(prefix), &quote(uri));
        }
    }
    if !draft.limits.is_empty() {
        out.push_str("\n[limits]\n");
        for (name, value) in &draft.limits {
            line(&mut out, name, value);
        }
    }
    for found in &draft.table.columns {
        column(&mut out, "", "column", found);
    }
    for child in &draft.table.children {
        table(&mut out, 0, "child", child);
    }
    out
}

fn table(out: &mut String, depth: usize, header: &str, child: &Table) {
    let indent = "  ".repeat(depth);
    out.push('\n');
    comments(out, &indent, &child.comments);
    let _infallible = writeln!(out, "{indent}[[{header}]]");
    let _infallible = writeln!(out, "{indent}name = {}\n{indent}rows = {}", quote(&child.name), quote(&child.rows));
    let inner = "  ".repeat(depth + 1);
    for found in &child.columns {
        column(out, &inner, &format!("{header}.column"), found);
    }
    for below in &child.children {
        table(out, depth + 1, &format!("{header}.child"), below);
    }
}

fn column(out: &mut String, indent: &str, header: &str, column: &Column) {
    out.push('\n');
    comments(out, indent, &column.comments);
    let _infallible = writeln!(out, "{indent}[[{header}]]");
    let plain = [("name", quote(&column.name)), ("path", quote(&column.path)), ("type", quote(&column.kind))];
    for (name, value) in plain.iter().chain(&column.keys) {
        let _infallible = writeln!(out, "{indent}{name} = {value}");
    }
    for field in &column.fields {
        self::column(out, &format!("{indent}  "), &format!("{header}.field"), field);
    }
}

fn comments(out: &mut String, indent: &str, lines: &[String]) {
    for line in lines {
        // Whatever a comment quotes, it stays one line.
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _infallible = writeln!(out, "{indent}# {}", line.trim_end());
    }
}

fn line(out: &mut String, name: &str, value: &str) {
    let _infallible = writeln!(out, "{name} = {value}");
}

/// A key: bare where TOML allows it.
fn key(name: &str) -> String {
    let is_bare = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if is_bare { name.to_owned() } else { quote(name) }
}
