//! Takes out of a violation whatever could be a piece of the payload, for tables that do not keep it.
//!
//! What stays: the code with its fixed meaning, the column, line and byte offset, and of the path those names that
//! stand in the mapping too; any other name becomes `*`, and prefixes go, since who sends a message chooses both.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::mapping::{Column, Kind, Mapping, Step, Take};
use crate::model::violation::Violation;

/// What may be told of a message of one table.
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    /// Local names of elements and attributes that the mapping names.
    known: BTreeSet<Arc<str>>,
}

impl Redaction {
    /// The names of a mapping may be told.
    pub fn new(mapping: &Mapping) -> Self {
        let mut known: BTreeSet<Arc<str>> = mapping.root.iter().map(|root| Arc::clone(&root.local)).collect();
        mapping.rows.iter().for_each(|steps| know_steps(steps, &mut known));
        know_columns(&mapping.columns, &mut known);
        for (child, _) in mapping.descendants() {
            know_steps(&child.rows, &mut known);
            know_columns(&child.columns, &mut known);
        }
        Self { known }
    }

    /// Leaves nothing of the payload in `violation`.
    pub fn apply(&self, violation: &mut Violation) {
        violation.value = None;
        violation.code.meaning().clone_into(&mut violation.message);
        violation.path = violation.path.take().map(|path| self.path(&path));
    }

    fn path(&self, path: &str) -> String {
        path.split('/').map(|step| self.step(step)).collect::<Vec<_>>().join("/")
    }

    /// A step such as `book[2]`, `p:book` or `@id`.
    fn step(&self, step: &str) -> String {
        let (mark, rest) = step.strip_prefix('@').map_or(("", step), |rest| ("@", rest));
        let (name, index) = match rest.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
            Some((name, index)) if index.parse::<u32>().is_ok() => (name, format!("[{index}]")),
            _ => (rest, String::new()),
        };
        let local = name.rsplit_once(':').map_or(name, |(_, local)| local);
        if local.is_empty() && rest.is_empty() {
            return mark.to_owned();
        }
        let told = if self.known.contains(local) { local } else { "*" };
        format!("{mark}{told}{index}")
    }
}

fn know_steps(steps: &[Step], known: &mut BTreeSet<Arc<str>>) {
    for step in steps {
        let names = step.name.iter().chain(step.condition.iter().map(|condition| &condition.attribute));
        known.extend(names.map(|name| Arc::clone(&name.local)));
    }
}

fn know_columns(columns: &[Column], known: &mut BTreeSet<Arc<str>>) {
    for column in columns {
        know_steps(&column.path.steps, known);
        if let Take::Attribute(name) = &column.path.take {
            known.insert(Arc::clone(&name.local));
        }
        if let Kind::Struct(fields) = &column.kind {
            know_columns(fields, known);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flow::parse::tests::{column, mapping};
    use crate::model::mapping::Kind;
    use crate::model::violation::Code;

    fn violation(path: &str, value: &str) -> Violation {
        Violation {
            code: Code::TYPE_INT,
            column: Some("id".to_owned()),
            path: Some(path.to_owned()),
            line: Some(3),
            byte_offset: Some(57),
            value: Some(value.to_owned()),
            message: format!("{value} is not a number"),
        }
    }

    fn redacted(path: &str) -> String {
        let mut found = violation(path, "secret");
        Redaction::new(&mapping(Some("m"), "r", vec![column("id", "deep @key", Kind::Int64)])).apply(&mut found);
        assert_eq!((found.value, found.message.as_str()), (None, "not a whole number of the column's width"));
        assert_eq!((found.column.as_deref(), found.line, found.byte_offset), (Some("id"), Some(3), Some(57)));
        found.path.unwrap()
    }

    #[test]
    fn names_of_the_mapping_are_told_and_no_others() {
        assert_eq!(redacted("/m/r[2]/deep/@key"), "/m/r[2]/deep/@key");
        assert_eq!(redacted("/m/x:r[2]/secret/@secret"), "/m/r[2]/*/@*");
        assert_eq!(redacted("/secret[7]"), "/*[7]");
        assert_eq!(redacted("/secret[secret]"), "/*");
        assert_eq!(redacted("/m:secret"), "/*");
    }

    proptest! {
        #[test]
        fn nothing_of_a_payload_is_left(path in "(/[a-zA-Z@:0-9é\\[\\]]{0,9}){0,4}", value in ".{1,20}") {
            let mut found = violation(&path, &value);
            Redaction::default().apply(&mut found);
            let kept = found.path.unwrap();
            prop_assert!(kept.chars().all(|c| "/@*[]".contains(c) || c.is_ascii_digit()), "{kept}");
            prop_assert_eq!((found.value, found.message.as_str()), (None, Code::TYPE_INT.meaning()));
        }
    }
}
