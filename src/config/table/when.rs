//! `when`: which messages of a topic a table takes.

use crate::config::mapping::parse_name;
use crate::config::section::{Item, Section, quoted};
use crate::model::mapping::{Mapping, Name};
use crate::model::table::{HeaderIs, When};

/// Reads `when = { root = "…", header = "NAME=VALUE" }`; the prefix of a root is one of the table's mapping.
pub(super) fn read(section: Section<'_>, mapping: Option<&Mapping>) -> Option<When> {
    let root = section.get("root");
    let header = section.get("header");
    if section.exists() && root.is_none() && header.is_none() {
        let help = "write root = \"…\", or header = \"NAME=VALUE\", or both".to_owned();
        section.problem("", "there is no condition", Some(help));
    }
    section.finish();
    let has_condition = root.is_some() || header.is_some();
    let root = root.map(|item| read_root(&item, mapping?));
    let header = header.map(|item| read_header(&item));
    has_condition.then_some(When {
        root: match root {
            Some(root) => Some(root?),
            None => None,
        },
        header: match header {
            Some(header) => Some(header?),
            None => None,
        },
    })
}

fn read_root(item: &Item<'_>, mapping: &Mapping) -> Option<Name> {
    let name = parse_name(item.text()?.trim(), &mapping.namespaces);
    let name = item.answer(name)?;
    if mapping.root.as_ref().is_some_and(|root| *root != name) {
        let message = format!("{} expects another root element, and would refuse these messages", mapping.name);
        item.problem(message, Some("write the root of its [message]".to_owned()));
        return None;
    }
    Some(name)
}

fn read_header(item: &Item<'_>) -> Option<HeaderIs> {
    let text = item.text()?;
    let parts = text.split_once('=').filter(|(name, _)| !name.trim().is_empty());
    if parts.is_none() {
        let help = "write header = \"NAME=VALUE\", such as \"type=book\"".to_owned();
        item.problem(format!("{} is not a header and its value", quoted(text)), Some(help));
    }
    parts.map(|(name, value)| HeaderIs { name: name.to_owned(), value: value.to_owned() })
}
