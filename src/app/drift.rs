//! What arrived and no column takes: the daemon's answer, and the mapping that would take it.

use std::collections::HashSet;

use crate::control::api::{DriftColumn, DriftTable, DriftTables};
use crate::infer::type_of;
use crate::model::batch::{DRIFT_REST, DriftKind, TableIndex};
use crate::model::catalog::Catalog;
use crate::model::drift::{Drift, DriftPath};

/// What no column takes, by table; tables where everything is taken are left out.
pub fn answer(catalog: &Catalog, drift: &Drift) -> DriftTables {
    let numbered = catalog.all().iter().zip(0..);
    let tables = numbered.filter_map(|(table, index): (_, TableIndex)| {
        let paths = drift.paths(index);
        let mut taken: HashSet<String> =
            table.schema.fields().iter().map(|field| field.name().to_ascii_lowercase()).collect();
        let total = paths.iter().map(|path| path.count).sum();
        let columns = paths.into_iter().map(|path| column(path, &mut taken)).collect();
        let is_child = usize::from(index) >= catalog.tables().len();
        (total > 0).then(|| DriftTable { table: table.name.to_string(), is_child, total, columns })
    });
    DriftTables { tables: tables.collect() }
}

fn column(found: DriftPath, taken: &mut HashSet<String>) -> DriftColumn {
    let DriftPath { path, kind, count, examples } = found;
    let kind = match kind {
        DriftKind::Element => "element",
        DriftKind::Attribute => "attribute",
        DriftKind::Text => "text",
    };
    let column = (&*path != DRIFT_REST).then(|| free_name(&path, taken));
    let (data_type, notes) = type_of(examples.iter().map(String::as_str));
    DriftColumn { column, data_type, notes, path: path.to_string(), kind: kind.to_owned(), count, examples }
}

/// A column name made of the last step that has a name; one that no other column has.
fn free_name(path: &str, taken: &mut HashSet<String>) -> String {
    let step = path.rsplit('/').find(|step| !step.is_empty() && !step.ends_with("()")).unwrap_or("text");
    let local = step.rsplit([':', '}']).next().unwrap_or(step).trim_start_matches('@');
    let plain = |letter: char| if letter.is_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
    let name: String = local.chars().map(plain).collect();
    let mut free = name.clone();
    let mut number = 2;
    while !taken.insert(free.to_ascii_lowercase()) {
        free = format!("{name}_{number}");
        number += 1;
    }
    free
}

/// What no column of a table takes, as comments, and the columns to add to its mapping.
pub fn patch(table: &DriftTable) -> String {
    let times = |count: u64| if count == 1 { "once".to_owned() } else { format!("{count} times") };
    let mut out = format!("# {}: what no column takes came {}\n", table.table, times(table.total));
    out.push_str("# each type is the narrowest that holds a few values of the path, so that others may not fit (give decimals and\n");
    out.push_str("# numbers room); what may come more than once in a row needs `repeat`\n");
    let block = if table.is_child { "child.column" } else { "column" };
    for column in &table.columns {
        let example = column.examples.first().map_or(String::new(), |example| format!(", such as {example:?}"));
        out.push_str(&format!("\n# {} {}{example}\n", column.kind, times(column.count)));
        match &column.column {
            Some(name) => {
                let value = |text: &str| toml_edit::Value::from(text).to_string();
                let (name, path, data_type) = (value(name), value(&column.path), value(&column.data_type));
                let judged = match column.examples.len() {
                    0 => String::new(),
                    1 => "type from 1 value".to_owned(),
                    values => format!("type from {values} values"),
                };
                let judged = Some(judged).filter(|judged| !judged.is_empty());
                for note in judged.iter().chain(&column.notes) {
                    out.push_str(&format!("# {note}\n"));
                }
                out.push_str(&format!("[[{block}]]\nname = {name}\npath = {path}\ntype = {data_type}\n"));
            }
            None => out.push_str("# (other paths, counted together)\n"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str, kind: DriftKind, examples: &[&str]) -> DriftPath {
        let examples = examples.iter().map(|example| (*example).to_owned()).collect();
        DriftPath { path: path.into(), kind, count: 2, examples }
    }

    #[test]
    fn a_patch_is_a_piece_of_a_mapping_with_free_names() {
        let mut taken = HashSet::from(["lang".to_owned()]);
        let columns = [
            path("title/@lang", DriftKind::Attribute, &["en"]),
            path("/head/p:Sent-At", DriftKind::Element, &["2026-10-15T18:42:00Z"]),
            path("note/text()", DriftKind::Text, &["a \"b\"\u{7}"]),
            path("pages", DriftKind::Element, &["120", "7"]),
            path("x/pages", DriftKind::Element, &["12", "012"]),
            path("day", DriftKind::Element, &["2026-10-15"]),
            path("price", DriftKind::Element, &["1.5", "10", "3.25"]),
            path("at", DriftKind::Element, &["2026-10-15T18:42:00Z", "2026-10-15T18:42:00"]),
            path("nothing", DriftKind::Element, &[]),
            path(DRIFT_REST, DriftKind::Element, &[]),
        ]
        .map(|path| column(path, &mut taken));
        let names: Vec<_> = columns.iter().map(|column| column.column.as_deref().unwrap_or("-")).collect();
        assert_eq!(names, ["lang_2", "sent_at", "note", "pages", "pages_2", "day", "price", "at", "nothing", "-"]);
        let types: Vec<_> = columns.iter().map(|column| column.data_type.as_str()).collect();
        let (time, decimal) = ("timestamp", "decimal(4,2)");
        assert_eq!(types[..9], ["string", time, "string", "int64", "string", "date", decimal, "string", "string"]);
        let table = DriftTable { table: "books".to_owned(), is_child: false, total: 14, columns: columns.into() };
        let text = patch(&table);
        let parsed: toml_edit::DocumentMut = text.parse().unwrap();
        let blocks = parsed["column"].as_array_of_tables().unwrap();
        assert_eq!(blocks.len(), 9, "{text}");
        assert_eq!(blocks.get(1).unwrap()["path"].as_str(), Some("/head/p:Sent-At"));
        assert!(text.starts_with("# books: what no column takes came 14 times\n"), "{text}");
        for said in [
            "# element 2 times, such as \"1.5\"\n# type from 3 values\n[[column]]\nname = \"price\"\n",
            "# type from 2 values\n# conflict: timestamps with and without zone",
            "# element 2 times\n# no value was seen: string until one is\n[[column]]\nname = \"nothing\"\n",
        ] {
            assert!(text.contains(said), "{said} in {text}");
        }
        assert!(patch(&DriftTable { is_child: true, ..table }).contains("[[child.column]]\n"));
    }
}
