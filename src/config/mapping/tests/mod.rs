//! The mapping language through its public face: a text in, a mapping or problems out.

mod broken;
mod good;
mod paths;
mod problems;
mod rules;

use std::path::Path;

use super::read_text;
use crate::model::mapping::{Column, Lineage, Mapping};

/// Every key of the language.
const ORDERS: &str = include_str!("../../../../config/tables/orders.toml");
const BOOKS: &str = include_str!("../../../../config/tables/books.toml");
const INVOICE: &str = include_str!("../../../../config/tables/ubl_invoice.toml");

/// Three lines that a mapping begins with, the third of them empty.
const HEAD: &str = "version = 1\nformat = \"xml\"\n\n";

/// A column `c` at path `c`.
const COLUMN: &str = "[[column]]\nname = \"c\"\npath = \"c\"\ntype = \"string\"\n";

fn good(text: &str) -> Mapping {
    let file = Path::new("m.toml");
    read_text(text, file, &Lineage::default()).unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"))
}

/// The problems as people see them, without the column.
fn said(text: &str) -> Vec<String> {
    let mut problems = read_text(text, Path::new("m.toml"), &Lineage::default()).err().unwrap_or_default();
    problems.iter_mut().for_each(|problem| problem.column = None);
    problems.iter().map(ToString::to_string).collect()
}

/// A mapping with `message` below `[message]` and nothing but column `c`.
fn with_message(message: &str) -> String {
    format!("{HEAD}[message]\n{message}\n{COLUMN}")
}

/// A mapping of one column, which begins at line 6 with its name; `keys` begin at line 7.
fn with_column(keys: &str) -> String {
    format!("{HEAD}[message]\n[[column]]\nname = \"c\"\n{keys}\n")
}

/// The one column of that mapping.
fn column(keys: &str) -> Column {
    good(&with_column(keys)).columns.remove(0)
}

/// The one problem of that mapping's column.
fn column_says(keys: &str) -> String {
    let said = said(&with_column(keys));
    assert_eq!(said.len(), 1, "{keys}: {said:#?}");
    said[0].strip_prefix("m.toml:").unwrap().to_owned()
}
