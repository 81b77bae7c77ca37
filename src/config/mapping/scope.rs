//! Which row a path belongs to: a value is one of the message, of a row, or of a row that lies inside a row.

use std::collections::BTreeMap;

use super::path::shown_steps;
use crate::config::section::Wrong;
use crate::model::mapping::{Path, Step};

/// Where the paths of a table (or of the fields of a struct) begin, and which elements make rows on their way.
#[derive(Debug, Clone)]
pub(super) struct Scope<'m> {
    /// Prefixes of the file.
    pub(super) namespaces: &'m BTreeMap<String, String>,
    /// `limits.depth`.
    depth: u32,
    /// Elements that rows are made of, outermost first, each by all its steps from the root; none where those steps
    /// could not be read.
    groups: Option<Vec<Vec<Step>>>,
    /// How deep the element lies that a path without a slash begins at, the root being 1.
    base: usize,
}

impl<'m> Scope<'m> {
    /// That of the columns of a message; `rows` as in a mapping.
    pub(super) fn new(namespaces: &'m BTreeMap<String, String>, depth: u32, rows: Option<&[Vec<Step>]>) -> Self {
        let mut scope = Self { namespaces, depth, groups: Some(Vec::new()), base: 1 };
        match rows {
            Some(rows) => rows.iter().for_each(|steps| scope.descend(Some(steps))),
            None => scope.groups = None,
        }
        scope
    }

    /// That of a child table whose rows lie `rows` below those of this one.
    pub(super) fn of_child(&self, rows: Option<&[Step]>) -> Self {
        let mut scope = self.clone();
        scope.descend(rows);
        scope
    }

    fn descend(&mut self, rows: Option<&[Step]>) {
        let (Some(groups), Some(rows)) = (&mut self.groups, rows) else {
            self.groups = None;
            return;
        };
        let outer = groups.last().map_or(&[][..], Vec::as_slice);
        let all = [outer, rows].concat();
        self.base = all.len() + 1;
        groups.push(all);
    }

    /// That of the fields of a struct at `path`.
    pub(super) fn of_fields(&self, path: Option<&Path>) -> Self {
        let base = match path {
            Some(path) => self.depth_of(path),
            None => self.base,
        };
        Self { groups: None, base, ..self.clone() }
    }

    fn depth_of(&self, path: &Path) -> usize {
        if path.from_root { path.steps.len() + 1 } else { self.base + path.steps.len() }
    }

    /// Whether a path (to an element or to an attribute of it) leads deeper than any message may go.
    pub(super) fn too_deep(&self, path: &Path) -> Option<Wrong> {
        let depth = self.depth_of(path);
        (depth > self.depth as usize).then(|| {
            let message = format!("lies {depth} elements deep, and limits.depth is {}", self.depth);
            (message, Some("raise limits.depth, or take a shorter path".to_owned()))
        })
    }

    /// Whether a path leads to one place of the row it belongs to, so that its value occurs once at most.
    ///
    /// # Errors
    ///
    /// A path from the root that leads through elements that may be rows, and does not say so as the rows do.
    pub(super) fn is_single(&self, path: &Path) -> Result<bool, Wrong> {
        if !path.from_root {
            return Ok(path.steps.is_empty());
        }
        let mut inside = 0;
        for group in self.groups.iter().flatten() {
            let Some(way) = path.steps.get(..group.len()) else { break };
            if group == way {
                inside = group.len();
            } else if group.iter().zip(way).any(|(row, step)| excludes(row, step)) {
                break;
            } else {
                let rows = shown_steps(group, self.namespaces);
                let message = format!("leads into elements that may be rows ({rows}) or not");
                let help = format!("begin it with \"/{rows}\", or with steps that no row has");
                return Err((message, Some(help)));
            }
        }
        Ok(path.steps.len() == inside)
    }
}

/// Whether no element is one of both.
fn excludes(row: &Step, step: &Step) -> bool {
    let names = row.name.as_ref().zip(step.name.as_ref()).is_some_and(|(row, step)| row != step);
    let conditions = row.condition.as_ref().zip(step.condition.as_ref());
    names || conditions.is_some_and(|(row, step)| row.attribute == step.attribute && row.value != step.value)
}
