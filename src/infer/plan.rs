//! From the tree of paths to the columns and child tables of a mapping.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::column::{self, Place};
use super::draft::{Column, Draft, Origin, Prefixes, Table, name_columns, table_name};
use super::rows::{Row, is_complex, repeats};
use super::tree::{NodeId, ROOT, Tree};

/// How often an element may stand inside one of its own name before it is taken as it is.
const MAX_NESTED: usize = 2;

/// Elements of one kind that columns are counted by: the rows, or what they lie in.
#[derive(Debug, Clone, Copy)]
struct Scope {
    node: NodeId,
    /// What its columns are where repeated elements with children cannot be tables of their own.
    is_outside: bool,
}

/// Where in a scope.
#[derive(Debug, Clone, Default)]
struct Here {
    /// Steps from the scope's element, as the mapping writes them.
    steps: Vec<String>,
    parts: Vec<Arc<str>>,
    /// Whether the schema wants every element on the way.
    is_wanted: bool,
}

struct Plan<'t> {
    tree: &'t Tree,
    prefixes: Prefixes<'t>,
    tables: BTreeSet<String>,
    /// Elements of the row's way: they have no columns in those around them.
    chain: &'t [NodeId],
}

/// The columns and tables of a draft; its comments and limits are left to the caller.
pub(super) fn plan(tree: &Tree, row: &Row) -> Draft {
    let mut plan = Plan { tree, prefixes: Prefixes::new(&tree.names), tables: BTreeSet::new(), chain: &row.chain };
    let mut draft = Draft::default();
    if tree.roots.len() <= 1 {
        draft.root = Some(plan.prefixes.write(tree.node(ROOT).name));
    }
    draft.rows = plan.row_paths();
    let inner = row.chain.last().copied().unwrap_or(ROOT);
    let mut table = Table::default();
    plan.outside(&mut table);
    let here = Here { is_wanted: true, ..Here::default() };
    plan.below(&mut table, Scope { node: inner, is_outside: false }, inner, &here);
    table.count_what_it_holds();
    name_columns(&mut table, &tree.local(ROOT));
    plan.name_tables(&mut table, &tree.local(inner));
    draft.table = table;
    draft.namespaces = plan.prefixes.given();
    draft
}

impl Plan<'_> {
    /// The paths of the row elements: a step that repeats on the way to the row ends one.
    fn row_paths(&mut self) -> Vec<String> {
        let mut paths = Vec::new();
        let mut steps = Vec::new();
        for (index, &id) in self.chain.iter().enumerate() {
            steps.push(self.prefixes.write(self.tree.node(id).name));
            if index + 1 == self.chain.len() || repeats(self.tree, id) {
                paths.push(std::mem::take(&mut steps).join("/"));
            }
        }
        paths
    }

    /// Columns of what lies around the row, by paths from the root.
    fn outside(&mut self, table: &mut Table) {
        let chain = self.chain;
        let mut here = Here { is_wanted: true, ..Here::default() };
        let mut scope = ROOT;
        let around = std::iter::once(ROOT).chain(chain.iter().copied()).take(chain.len());
        for id in around {
            if id != ROOT {
                here.steps.push(self.prefixes.write(self.tree.node(id).name));
                here.parts.push(self.tree.local(id));
                if repeats(self.tree, id) {
                    scope = id;
                }
            }
            let mut found = Table::default();
            self.below(&mut found, Scope { node: scope, is_outside: true }, id, &here);
            for mut column in found.columns {
                column.path = format!("/{}", column.path.strip_prefix("./").unwrap_or(&column.path));
                if column.path == "/." {
                    column.path = "/".to_owned();
                }
                if column.origin == Origin::Element {
                    column.origin = Origin::Outside;
                }
                table.columns.push(column);
            }
        }
    }

    /// Columns of an element that is there once in its scope: its text, its attributes, what is below it.
    fn below(&mut self, table: &mut Table, scope: Scope, id: NodeId, here: &Here) {
        let node = self.tree.node(id);
        if let Some(take) = column::own_text(self.tree, id) {
            let place = self.place(scope, here);
            let path = joined(&here.steps, take);
            let parts = if here.parts.is_empty() { vec![self.tree.local(id)] } else { here.parts.clone() };
            table.columns.push(column::text(self.tree, id, &place, parts, path));
        }
        for &child in &node.children {
            if self.tree.node(child).is_attribute {
                let place = self.place(scope, here);
                let name = self.prefixes.write(self.tree.node(child).name);
                let path = joined(&here.steps, Some(&format!("@{name}")));
                let parts = here.parts.iter().cloned().chain([self.tree.local(child)]).collect();
                let mut column = column::text(self.tree, child, &place, parts, path);
                column.origin = Origin::Attribute;
                table.columns.push(column);
            } else if !self.chain.contains(&child) {
                self.element(table, scope, child, here);
            }
        }
    }

    fn element(&mut self, table: &mut Table, scope: Scope, id: NodeId, above: &Here) {
        let (tree, node) = (self.tree, self.tree.node(id));
        let mut here = above.clone();
        here.steps.push(self.prefixes.write(node.name));
        here.parts.push(tree.local(id));
        let place = self.place(scope, above);
        let is_many = repeats(tree, id);
        if self.is_cut(id) {
            table.columns.push(column::whole(tree, id, &place, here.parts, joined(&here.steps, None), is_many, CUT));
        } else if !is_many {
            here.is_wanted &= node.declared.as_ref().is_some_and(|declared| declared.min > 0 && !declared.is_nillable);
            self.below(table, scope, id, &here);
        } else if !is_complex(tree, id) {
            table.columns.push(column::list(tree, id, &place, here.parts, joined(&here.steps, None)));
        } else if scope.is_outside {
            table.columns.push(column::whole(tree, id, &place, here.parts, joined(&here.steps, None), true, OUTSIDE));
        } else {
            table.children.push(self.child(id, here, scope.node));
        }
    }

    fn child(&mut self, id: NodeId, here: Here, parent: NodeId) -> Table {
        let mut child = Table {
            parts: here.parts,
            rows: here.steps.join("/"),
            comments: vec![column::many(self.tree, id, parent)],
            ..Table::default()
        };
        let inside = Here { is_wanted: true, ..Here::default() };
        self.below(&mut child, Scope { node: id, is_outside: false }, id, &inside);
        child.count_what_it_holds();
        name_columns(&mut child, &self.tree.local(ROOT));
        child
    }

    fn name_tables(&mut self, table: &mut Table, parent: &str) {
        for child in &mut table.children {
            child.name = table_name(parent, &child.parts, &mut self.tables);
            let name = child.name.clone();
            self.name_tables(child, &name);
        }
    }

    fn place(&self, scope: Scope, here: &Here) -> Place {
        Place { scope: scope.node, is_wanted: here.is_wanted }
    }

    /// Whether an element is taken as it is, because it lies in itself again and again, or because the schema's types
    /// do.
    fn is_cut(&self, id: NodeId) -> bool {
        let node = self.tree.node(id);
        let is_folded = node.declared.as_ref().is_some_and(|declared| declared.complex.is_some())
            && !node.is_expanded
            && node.children.is_empty();
        if is_folded || node.children.is_empty() {
            return is_folded;
        }
        let mut nested = 0;
        let mut next = node.parent;
        while let Some(above) = next {
            let other = self.tree.node(above);
            nested += usize::from(other.name == node.name && above != ROOT && !self.chain.contains(&above));
            next = other.parent;
        }
        nested >= MAX_NESTED
    }
}

const CUT: &str = "it holds itself, or more paths than are told apart: cut here, and kept as it is";
const OUTSIDE: &str =
    "it repeats outside the row, where it can be no table of its own: kept as it is; or take it as the row";

fn joined(steps: &[String], take: Option<&str>) -> String {
    let all: Vec<&str> = steps.iter().map(String::as_str).chain(take).collect();
    if all.is_empty() { ".".to_owned() } else { all.join("/") }
}

/// How many columns a table and its children have.
pub(super) fn columns(table: &Table) -> Vec<&Column> {
    table.columns.iter().chain(table.children.iter().flat_map(columns)).collect()
}
