//! Names of columns and of child tables: their form, and that no two are the same.

use std::collections::HashMap;

use crate::config::section::{Item, quoted};

/// Names of columns that the path of a file gives: two columns of one name could not be told apart.
const PATH_PARTITIONS: [&str; 2] = ["dt", "hr"];

/// Longest name of a column.
const MAX_COLUMN: usize = 128;

/// Longest name of a table.
const MAX_TABLE: usize = 128;

/// The names of one table's columns (or one struct's fields), in small letters: engines compare without regard to case.
#[derive(Debug, Default)]
pub(in crate::config) struct Names {
    taken: HashMap<String, Owner>,
}

#[derive(Debug, Clone, Copy)]
enum Owner {
    Forebay,
    Path,
    File { what: &'static str },
}

impl Names {
    /// Those that a table has before any is mapped.
    pub(in crate::config) fn of_table<'n>(lineage: impl Iterator<Item = &'n str>) -> Self {
        let ours = lineage.map(|name| (name.to_ascii_lowercase(), Owner::Forebay));
        let path = PATH_PARTITIONS.map(|name| (name.to_owned(), Owner::Path));
        Self { taken: ours.chain(path).collect() }
    }

    /// Takes a name for a column that does `what`, or notes why it cannot be taken.
    pub(in crate::config) fn take(&mut self, item: &Item<'_>, name: &str, what: &'static str) -> Option<String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit()) {
            let help = "take letters, digits and _, not beginning with a digit: every engine reads such names";
            item.problem(format!("{} is not the name of a column", quoted(name)), Some(help.into()));
            return None;
        }
        if name.len() > MAX_COLUMN {
            item.problem("too long for the name of a column", Some(format!("take at most {MAX_COLUMN} characters")));
            return None;
        }
        let lower = name.to_ascii_lowercase();
        let (message, help) = match self.taken.get(&lower) {
            None => {
                self.taken.insert(lower, Owner::File { what });
                return Some(name.to_owned());
            }
            Some(Owner::Forebay) => {
                let help = "take another name, or give that of forebay another in [table.lineage] of the configuration";
                (format!("{name} is a column that forebay adds"), help)
            }
            Some(Owner::Path) => {
                (format!("{name} is a column that the folders of the table give"), "take another name")
            }
            Some(Owner::File { what: "" }) => {
                (format!("a second column {name}"), "take another name; engines compare names without regard to case")
            }
            Some(Owner::File { what }) => (format!("{name} is the column that {what}"), "take another name"),
        };
        item.problem(message, Some(help.to_owned()));
        None
    }
}

/// The name of a table, or `None` after noting what is wrong with it.
pub(in crate::config) fn table_name(item: &Item<'_>) -> Option<String> {
    let name = item.text()?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let help = if name.is_empty() || !name.chars().all(plain) {
        "take small letters, digits and _".to_owned()
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        "begin with a letter: engines skip what begins with _".to_owned()
    } else if name.len() > MAX_TABLE {
        format!("take at most {MAX_TABLE} characters")
    } else {
        return Some(name.to_owned());
    };
    item.problem(format!("{} is not the name of a table", quoted(name)), Some(help));
    None
}
