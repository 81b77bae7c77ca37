//! What arrived and no column takes: the daemon's answer, and the mapping that would take it.

use std::collections::{BTreeMap, HashSet};

use crate::control::api::{DriftColumn, DriftTable, DriftTables};
use crate::infer::{free_column_name, type_of};
use crate::model::batch::{DRIFT_REST, DriftKind, TableIndex};
use crate::model::catalog::Catalog;
use crate::model::drift::{Drift, DriftPath};

/// A column of a table of the configuration, as a mapping begins it.
const COLUMN: &str = "column";

/// What no column takes, by table; tables where everything is taken are left out.
pub fn answer(catalog: &Catalog, drift: &Drift) -> DriftTables {
    let numbered = catalog.all().iter().zip(0..);
    let tables = numbered.filter_map(|(table, index): (_, TableIndex)| {
        let mapping = &catalog.settings(index)?.mapping;
        let depth = mapping.descendants().into_iter().find(|(child, _)| child.name == *table.name);
        let depth = depth.filter(|_| usize::from(index) >= catalog.tables().len()).map_or(0, |(_, depth)| depth);
        let names = table.schema.fields().iter().map(|field| field.name().to_ascii_lowercase()).collect();
        let found = of_table(&table.name, depth, &mapping.namespaces, names, drift.paths(index));
        (found.total > 0).then_some(found)
    });
    DriftTables { tables: tables.collect() }
}

/// What no column of a table takes that is so many child tables deep; `names` are those of its columns, in small
/// letters.
fn of_table(
    table: &str,
    depth: usize,
    known: &BTreeMap<String, String>,
    mut names: HashSet<String>,
    paths: Vec<DriftPath>,
) -> DriftTable {
    let total = paths.iter().map(|path| path.count).sum();
    let mut namespaces = BTreeMap::new();
    let mut column = |found: DriftPath| {
        let DriftPath { path, kind, count, examples } = found;
        let kind = match kind {
            DriftKind::Element => "element",
            DriftKind::Attribute => "attribute",
            DriftKind::Text => "text",
        };
        let path = with_prefixes(&path, known, &mut namespaces);
        let column = (path != DRIFT_REST).then(|| free_column_name(last_name(&path), &mut names));
        let (data_type, notes) = type_of(examples.iter().map(String::as_str));
        DriftColumn { column, data_type, notes, path, kind: kind.to_owned(), count, examples }
    };
    let columns = paths.into_iter().map(&mut column).collect();
    let block = "child.".repeat(depth) + COLUMN;
    DriftTable { table: table.to_owned(), block, namespaces, total, columns }
}

/// The path with a prefix in place of each `{namespace}`, which a mapping does not write: one that is not `known`, and
/// that `new` says from then on.
fn with_prefixes(path: &str, known: &BTreeMap<String, String>, new: &mut BTreeMap<String, String>) -> String {
    let (mut out, mut rest) = (String::with_capacity(path.len()), path);
    while let Some((before, (namespace, after))) =
        rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    {
        let prefix = new.iter().find(|(_, known)| *known == namespace).map(|(prefix, _)| prefix.clone());
        let prefix = prefix.unwrap_or_else(|| {
            let mut all = (1..).map(|number| format!("n{number}"));
            let free = all.find(|prefix| !known.contains_key(prefix) && !new.contains_key(prefix)).unwrap_or_default();
            new.insert(free.clone(), namespace.to_owned());
            free
        });
        out.extend([before, &prefix, ":"]);
        rest = after;
    }
    out + rest
}

/// The local name of the last step that has one.
fn last_name(path: &str) -> &str {
    let step = path.rsplit('/').find(|step| !step.is_empty() && !step.ends_with("()")).unwrap_or("text");
    step.rsplit(':').next().unwrap_or(step).trim_start_matches('@')
}

/// What no column of a table takes, as comments, and the columns to add to its mapping.
pub fn patch(table: &DriftTable) -> String {
    let times = |count: u64| if count == 1 { "once".to_owned() } else { format!("{count} times") };
    let value = |text: &str| toml_edit::Value::from(text).to_string();
    let mut out = format!("# {}: what no column takes came {}\n", table.table, times(table.total));
    out.push_str("# each type is the narrowest that holds a few values of the path (int64 for whole numbers), so that others may not fit\n");
    out.push_str("# (give decimals room); what may come more than once in a row needs `repeat`\n");
    if table.block != COLUMN {
        out.push_str(&format!("# these belong right below the child table {} of the mapping\n", table.table));
    }
    out.push_str("# then raise `version`: forebay reload\n");
    if !table.namespaces.is_empty() {
        out.push_str("\n# to be added to [namespaces]\n");
    }
    for (prefix, namespace) in &table.namespaces {
        out.push_str(&format!("# {prefix} = {}\n", value(namespace)));
    }
    for column in &table.columns {
        let example = column.examples.first().map_or(String::new(), |example| format!(", such as {example:?}"));
        out.push_str(&format!("\n# {} {}{example}\n", column.kind, times(column.count)));
        match &column.column {
            Some(name) => {
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
                let block = &table.block;
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
    use crate::config::mapping::read_text;
    use crate::model::mapping::Lineage;

    fn path(path: &str, kind: DriftKind, examples: &[&str]) -> DriftPath {
        let examples = examples.iter().map(|example| (*example).to_owned()).collect();
        DriftPath { path: path.into(), kind, count: 2, examples }
    }

    #[test]
    fn a_patch_is_a_piece_of_a_mapping_with_free_names() {
        let names = HashSet::from(["lang".to_owned()]);
        let paths = vec![
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
        ];
        let table = of_table("books", 0, &BTreeMap::new(), names, paths);
        let names: Vec<_> = table.columns.iter().map(|column| column.column.as_deref().unwrap_or("-")).collect();
        assert_eq!(names, ["lang_2", "sent_at", "note", "pages", "pages_2", "day", "price", "at", "nothing", "-"]);
        let types: Vec<_> = table.columns.iter().map(|column| column.data_type.as_str()).collect();
        let (time, decimal) = ("timestamp", "decimal(4,2)");
        assert_eq!(types[..9], ["string", time, "string", "int64", "string", "date", decimal, "string", "string"]);
        let text = patch(&table);
        let parsed: toml_edit::DocumentMut = text.parse().unwrap();
        let blocks = parsed["column"].as_array_of_tables().unwrap();
        assert_eq!(blocks.len(), 9, "{text}");
        assert_eq!(blocks.get(1).unwrap()["path"].as_str(), Some("/head/p:Sent-At"));
        assert!(text.starts_with("# books: what no column takes came 20 times\n"), "{text}");
        for said in [
            "# element 2 times, such as \"1.5\"\n# type from 3 values\n[[column]]\nname = \"price\"\n",
            "# type from 2 values\n# conflict: timestamps with and without zone",
            "# element 2 times\n# no value was seen: string until one is\n[[column]]\nname = \"nothing\"\n",
        ] {
            assert!(text.contains(said), "{said} in {text}");
        }
    }

    /// What a patch asks people to do: its columns at their place, its prefixes in `[namespaces]`.
    fn patched(mapping: &str, table: &DriftTable) -> String {
        let patch = patch(table);
        let prefixes = patch.split_once("# to be added to [namespaces]\n").map_or("", |(_, rest)| rest);
        let prefixes = prefixes.lines().map_while(|line| line.strip_prefix("# "));
        let prefixes: String = prefixes.map(|line| format!("{line}\n")).collect();
        mapping.replace("[namespaces]\n", &format!("[namespaces]\n{prefixes}")) + &patch
    }

    #[test]
    fn a_mapping_takes_its_patch() {
        let head = "version = 1\nformat = \"xml\"\n[message]\nroot = \"r\"\nrows = \"a\"\n\
                    [namespaces]\nn1 = \"urn:known\"\n[[column]]\nname = \"id\"\npath = \"@id\"\ntype = \"string\"\n";
        let child =
            "[[child]]\nname = \"bs\"\nrows = \"b\"\n[[child.column]]\nname = \"x\"\npath = \"x\"\ntype = \"string\"\n";
        let below = "[[child.child]]\nname = \"cs\"\nrows = \"c\"\n\
                     [[child.child.column]]\nname = \"y\"\npath = \"y\"\ntype = \"string\"\n";
        for (depth, mapping) in
            [head.to_owned(), format!("{head}{child}"), format!("{head}{child}{below}")].iter().enumerate()
        {
            let paths = [
                "{urn:z/1}w",
                "{urn:z/1}v/{urn:z/2}w",
                "n1:w/@{urn:z/2}k",
                "gr\u{f6}\u{df}e",
                "dt",
                "hr",
                "row_index",
                "kafka_offset",
                "ordinal",
                "_",
                "a-b.c",
                "\u{e9}/text()",
                "n1:n1",
                DRIFT_REST,
            ];
            let paths = paths.map(|found| path(found, DriftKind::Element, &["1"])).to_vec();
            let lineage = Lineage::default();
            let file = std::path::Path::new("t.toml");
            let known = read_text(mapping, file, &lineage).unwrap().namespaces;
            let table = of_table("t", depth, &known, HashSet::from(["id".to_owned()]), paths);
            let patched = patched(mapping, &table);
            let read = read_text(&patched, file, &lineage);
            let read = read.unwrap_or_else(|problems| panic!("{problems:?} in {patched}"));
            let columns = match read.descendants().last() {
                Some((child, _)) => child.columns.len(),
                None => read.columns.len(),
            };
            assert_eq!(columns, 14, "{patched}");
        }
    }
}
