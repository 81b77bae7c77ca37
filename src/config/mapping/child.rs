//! `[[child]]`: what occurs many times in a row, as a table of its own.

use std::collections::HashSet;

use super::column;
use super::names::{Names, table_name};
use super::path::parse_steps;
use super::scope::Scope;
use crate::config::section::Section;
use crate::model::mapping::{Child, Lineage, Path, Step, Take};

/// The child tables of a mapping, to any depth.
pub(super) fn read_all(file: &Section<'_>, scope: &Scope<'_>, lineage: &Lineage) -> Vec<Child> {
    Reader { lineage, taken: HashSet::new() }.children(file, scope)
}

struct Reader<'m> {
    lineage: &'m Lineage,
    /// Names of child tables so far.
    taken: HashSet<String>,
}

impl Reader<'_> {
    fn children(&mut self, parent: &Section<'_>, scope: &Scope<'_>) -> Vec<Child> {
        parent.sections("child").into_iter().filter_map(|section| self.child(section, scope)).collect()
    }

    fn child(&mut self, section: Section<'_>, scope: &Scope<'_>) -> Option<Child> {
        let name = section.required("name", "write name = \"…\"").and_then(|item| {
            let name = table_name(&item)?;
            if !self.taken.insert(name.clone()) {
                item.problem(format!("a second child table {name}"), Some("take another name".to_owned()));
            }
            Some(name)
        });
        let rows = section.required("rows", "write rows = \"…\", steps from the row it lies in").and_then(|item| {
            let steps = parse_steps(item.text()?.trim(), None, scope.namespaces);
            let steps = item.answer(steps)?;
            item.answer(judge(&steps, scope))?;
            Some(steps)
        });
        let inner = scope.of_child(rows.as_deref());
        let mut names = Names::of_table(self.lineage.all_child_names());
        let columns = column::read_all(&section, &inner, &mut names);
        let children = self.children(&section, &inner);
        section.finish();
        Some(Child { name: name?, rows: rows?, columns, children })
    }
}

fn judge(steps: &[Step], scope: &Scope<'_>) -> Result<(), (String, Option<String>)> {
    if steps.is_empty() {
        let help = "name an element below it, or put the columns into the table of the row".to_owned();
        return Err(("is the row itself, once for each".to_owned(), Some(help)));
    }
    let path = Path { from_root: false, steps: steps.to_vec(), take: Take::Element };
    scope.too_deep(&path).map_or(Ok(()), Err)
}
