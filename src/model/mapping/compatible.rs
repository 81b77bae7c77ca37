//! Whether the files of an old and a new version of a mapping can be read together.

use arrow::datatypes::{DataType, Schema, TimeUnit};
use std::collections::HashMap;

use super::{Child, Column, Mapping};

/// What keeps tables of `new` from holding the files that were written by `old`: a sentence for each column (and child
/// table), with what to do. Empty: old and new files can be read together, with new columns null in old rows.
///
/// `compatibility` of the mappings is not looked at: it is for the caller to say whether an answer is a refusal.
pub fn incompatibilities(old: &Mapping, new: &Mapping) -> Vec<String> {
    let mut found = Vec::new();
    let old_table = Table { name: None, schema: &old.raw_schema(), columns: &old.columns };
    let new_table = Table { name: None, schema: &new.raw_schema(), columns: &new.columns };
    compare(&old_table, &new_table, &mut found);
    compare_children((old, &old.children), (new, &new.children), false, &mut found);
    found
}

/// What keeps rows of `new` (of its table `child`, where one is named) from standing beside files of this schema, as
/// [`incompatibilities`] says it. None when there is no such child table.
pub fn clashes_with_files(files: &Schema, new: &Mapping, child: Option<&str>) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let (schema, columns) = match child {
        None => (new.raw_schema(), &new.columns),
        Some(name) => {
            let (child, depth) = new.descendants().into_iter().find(|(child, _)| child.name == name)?;
            (child.raw_schema(depth > 1, &new.lineage), &child.columns)
        }
    };
    let old_table = Table { name: child, schema: files, columns: &[] };
    compare(&old_table, &Table { name: child, schema: &schema, columns }, &mut found);
    Some(found)
}

/// One table of a mapping, or files of one.
struct Table<'m> {
    /// Its name, for a child table.
    name: Option<&'m str>,
    schema: &'m Schema,
    columns: &'m [Column],
}

impl Table<'_> {
    /// The column's type as a mapping writes it.
    fn type_of(&self, name: &str, data_type: &DataType) -> String {
        let mapped = self.columns.iter().find(|column| column.name == name);
        mapped.map_or_else(|| plain_name(data_type), Column::type_name)
    }
}

fn compare(old: &Table<'_>, new: &Table<'_>, found: &mut Vec<String>) {
    let of = new.name.map_or_else(String::new, |name| format!(" of child table {name}"));
    let by_name: HashMap<String, _> =
        new.schema.fields().iter().map(|field| (field.name().to_ascii_lowercase(), field)).collect();
    let known: HashMap<String, _> =
        old.schema.fields().iter().map(|field| (field.name().to_ascii_lowercase(), field)).collect();
    for before in old.schema.fields() {
        let name = before.name();
        let Some(after) = by_name.get(&name.to_ascii_lowercase()) else {
            let is_mapped = old.columns.is_empty() || old.columns.iter().any(|column| column.name == *name);
            let help = if is_mapped { "keep it, with a path that nothing has if need be" } else { "keep its name" };
            found.push(format!("column {name}{of} would go; {help}"));
            continue;
        };
        if after.name() != name {
            found.push(format!("column {name}{of} would be called {}; keep its name as it was written", after.name()));
        }
        let (was, is) = (before.data_type(), after.data_type());
        if !same(was, is) {
            let (was, is) = (old.type_of(name, was), new.type_of(after.name(), is));
            found.push(if was == is {
                format!("column {name}{of} would get other fields; keep them, and put what is new into a column beside")
            } else {
                format!("column {name}{of} would change from {was} to {is}; keep the type, and add a column beside it")
            });
        } else if before.is_nullable() && !after.is_nullable() {
            found
                .push(format!("column {name}{of} would become required, and old rows may lack it; leave required out"));
        }
    }
    for after in new.schema.fields() {
        let is_new = !known.contains_key(&after.name().to_ascii_lowercase());
        if is_new && !after.is_nullable() {
            let name = after.name();
            found.push(format!("column {name}{of} is new and required, and old rows lack it; leave required out"));
        }
    }
}

fn compare_children(
    (old, old_children): (&Mapping, &[Child]),
    (new, new_children): (&Mapping, &[Child]),
    is_nested: bool,
    found: &mut Vec<String>,
) {
    for before in old_children {
        let Some(after) = new_children.iter().find(|child| child.name == before.name) else {
            found.push(format!("child table {} would go from its place; keep it, and what it lies in", before.name));
            continue;
        };
        let schemas = (before.raw_schema(is_nested, &old.lineage), after.raw_schema(is_nested, &new.lineage));
        let old_table = Table { name: Some(&before.name), schema: &schemas.0, columns: &before.columns };
        let new_table = Table { name: Some(&after.name), schema: &schemas.1, columns: &after.columns };
        compare(&old_table, &new_table, found);
        compare_children((old, &before.children), (new, &after.children), true, found);
    }
}

/// Whether values of both types are the same in files. Fields of a struct may become optional, and nothing else.
fn same(was: &DataType, is: &DataType) -> bool {
    match (was, is) {
        // In memory only: files hold the values.
        (DataType::Dictionary(_, was), is) => same(was, is),
        (was, DataType::Dictionary(_, is)) => same(was, is),
        (DataType::List(was), DataType::List(is)) => same(was.data_type(), is.data_type()),
        (DataType::Struct(was), DataType::Struct(is)) => {
            was.len() == is.len()
                && was.iter().zip(is).all(|(was, is)| {
                    was.name() == is.name()
                        && same(was.data_type(), is.data_type())
                        && (is.is_nullable() || !was.is_nullable())
                })
        }
        _ => was == is,
    }
}

/// The type of a column that no mapping speaks of, as one would write it.
fn plain_name(data_type: &DataType) -> String {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second | TimeUnit::Millisecond => "(ms)",
        TimeUnit::Microsecond => "",
        TimeUnit::Nanosecond => "(ns)",
    };
    match data_type {
        DataType::Utf8 => "string".to_owned(),
        DataType::Dictionary(_, values) => plain_name(values),
        DataType::Boolean => "bool".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Date32 => "date".to_owned(),
        DataType::Time32(of) | DataType::Time64(of) => format!("time{}", unit(of)),
        DataType::Timestamp(of, Some(_)) => format!("timestamp{}", unit(of)),
        DataType::Timestamp(of, None) => format!("timestamp_ntz{}", unit(of)),
        DataType::List(items) => format!("list<{}>", plain_name(items.data_type())),
        DataType::Struct(_) => "struct".to_owned(),
        // int8 … int64, float32, float64, binary
        other => other.to_string().to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests;
