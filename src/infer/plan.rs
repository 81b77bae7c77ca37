//! From the tree of paths to the columns and child tables of a mapping.
//!
//! What is there once becomes columns. What repeats becomes a list where it is a text, a list of structs where it is a
//! text with attributes (or where no table can be: outside the row, and in a struct), and a child table where it has
//! elements of its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::column::{self, Place};
use super::draft::{Column, Draft, Origin, Prefixes, Table, name_columns, table_name};
use super::rows::{Row, repeats};
use super::tree::{NodeId, ROOT, Tree};

/// How often an element may stand inside one of its own name before it is taken as it is.
const MAX_NESTED: usize = 2;
/// Most columns of a mapping, fields and columns of child tables included: more are of no use to anybody.
const MAX_COLUMNS: usize = 5000;
/// Most columns and steps of their paths: what a mapping may hold, with some room for people.
const MAX_SIZE: usize = 50_000;
/// Paths of a schema that no sample has and that have a column all the same, if there are no more.
const FEW_UNSEEN: usize = 200;
/// Most child tables, each of which is a file in every commit, and how deep they may lie.
const MAX_TABLES: usize = 100;
const MAX_TABLE_DEPTH: usize = 10;
/// Structs inside each other that a mapping may have.
const MAX_STRUCTS: usize = 15;
/// Bytes that shared values, structs and namespace declarations may add for each byte of a document: half of what the
/// daemon allows.
pub(super) const MAX_GROWTH: f64 = 64.0;
/// Bytes that a column has at most where nothing is in it.
pub(super) const WIDTH: f64 = 17.0;

/// Elements of one kind that columns are counted by: the rows, or what they lie in.
#[derive(Debug, Clone, Copy)]
struct Scope {
    node: NodeId,
    kind: Within,
}

/// What columns are columns of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// A row, below so many others: what repeats in it may be a table of its own.
    Row(usize),
    /// What lies around the rows.
    Outside,
    /// So many structs inside each other.
    Struct(usize),
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
    tables: usize,
    /// Elements of the row's way: they have no columns in those around them.
    chain: &'t [NodeId],
    /// Columns so far, and their size in the mapping.
    columns: usize,
    size: usize,
    /// Bytes that the columns so far may add for each byte of a document.
    growth: f64,
    /// Paths that have no column.
    dropped: u64,
    /// Optional paths of the schema have no column where no sample has them.
    is_seen_only: bool,
    /// Those.
    unseen: u64,
}

/// The columns and tables of a draft; its comments and limits are left to the caller.
pub(super) fn plan(tree: &Tree, row: &Row) -> Draft {
    let mut plan = Plan {
        tree,
        prefixes: Prefixes::new(&tree.names),
        tables: 0,
        chain: &row.chain,
        columns: 0,
        size: 0,
        growth: 0.0,
        dropped: 0,
        is_seen_only: is_mostly_unseen(tree),
        unseen: 0,
    };
    let mut draft = Draft::default();
    if tree.roots.len() <= 1 {
        draft.root = Some(plan.prefixes.write(tree.node(ROOT).name));
    }
    draft.rows = plan.row_paths();
    let inner = row.chain.last().copied().unwrap_or(ROOT);
    let mut table = Table::default();
    plan.outside(&mut table);
    draft.not_shared = plan.share(&mut table, inner);
    let here = Here { is_wanted: true, ..Here::default() };
    plan.below(&mut table, Scope { node: inner, kind: Within::Row(0) }, inner, &here);
    table.count_what_it_holds();
    name_columns(&mut table, &tree.local(ROOT));
    name_tables(&mut table, &tree.local(inner), &mut BTreeSet::new());
    draft.table = table;
    draft.dropped = plan.dropped;
    draft.unseen = plan.unseen;
    draft.namespaces = plan.prefixes.given();
    // Columns that were left out may have asked for some more.
    let used = draft.prefixes();
    draft.namespaces.retain(|prefix, _| used.contains(prefix));
    draft
}

impl Plan<'_> {
    /// The paths of the row elements, each from the root: an element that repeats on the way to the row is one of them.
    fn row_paths(&mut self) -> Vec<String> {
        let mut paths = Vec::new();
        let mut steps = Vec::new();
        for (index, &id) in self.chain.iter().enumerate() {
            steps.push(self.prefixes.write(self.tree.node(id).name));
            if index + 1 == self.chain.len() || repeats(self.tree, id) {
                paths.push(steps.join("/"));
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
            self.below(&mut found, Scope { node: scope, kind: Within::Outside }, id, &here);
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

    /// Takes those columns of what lies around the rows away which, repeated in each row, would be more than the daemon
    /// allows; answers how many.
    fn share(&mut self, table: &mut Table, row: NodeId) -> usize {
        let growth = super::rows::growth(self.tree, Some(row).filter(|row| *row != ROOT));
        if growth <= MAX_GROWTH {
            self.growth += growth;
            return 0;
        }
        let before = table.columns.len();
        let density = self.tree.node(row).density;
        table.columns.retain(|column| {
            let growth = self.growth + column.bytes * density;
            let is_kept = growth <= MAX_GROWTH;
            if is_kept {
                self.growth = growth;
            }
            is_kept
        });
        before - table.columns.len()
    }

    /// Columns of an element that is there once in its scope: its text, its attributes, what is below it.
    fn below(&mut self, table: &mut Table, scope: Scope, id: NodeId, here: &Here) {
        let node = self.tree.node(id);
        if node.is_crowded {
            let is_single = matches!(scope.kind, Within::Row(_));
            let column =
                column::whole(self.tree, id, &place(scope, here), here.parts.clone(), joined(&here.steps, None));
            return self.push_whole(table, id, column.because(CROWDED), is_single);
        }
        if let Some(take) = column::own_text(self.tree, id) {
            let path = joined(&here.steps, take);
            let parts = match (here.parts.is_empty(), scope.kind) {
                (true, Within::Struct(_)) => vec![Arc::from("value")],
                (true, _) => vec![self.tree.local(id)],
                (false, _) => here.parts.clone(),
            };
            let column = column::text(self.tree, id, &place(scope, here), parts, path);
            self.push(table, column, here);
        }
        for &child in &node.children {
            if self.is_left_unseen(child) {
                self.unseen += 1;
            } else if self.tree.node(child).is_attribute {
                let name = self.prefixes.write(self.tree.node(child).name);
                let path = joined(&here.steps, Some(&format!("@{name}")));
                let parts = here.parts.iter().cloned().chain([self.tree.local(child)]).collect();
                let mut column = column::text(self.tree, child, &place(scope, here), parts, path);
                column.origin = Origin::Attribute;
                self.push(table, column, here);
            } else if !self.chain.contains(&child) {
                self.element(table, scope, child, here);
            }
        }
    }

    fn element(&mut self, table: &mut Table, scope: Scope, id: NodeId, above: &Here) {
        if !self.has_room(above) {
            // Whatever is below it would not fit either.
            self.dropped += 1;
            return;
        }
        let (tree, node) = (self.tree, self.tree.node(id));
        let mut here = above.clone();
        here.steps.push(self.prefixes.write(node.name));
        here.parts.push(tree.local(id));
        let (place, path) = (place(scope, above), joined(&here.steps, None));
        let is_many = repeats(tree, id);
        let why = if node.is_crowded { Some(CROWDED) } else { self.is_cut(id).then_some(CUT) };
        if let Some(why) = why {
            let column = column::whole(tree, id, &place, here.parts, path);
            self.push_whole(table, id, column.because(why), true);
        } else if !is_many {
            here.is_wanted &= node.declared.as_ref().is_some_and(|declared| declared.min > 0 && !declared.is_nillable);
            self.below(table, scope, id, &here);
        } else if !self.holds(id, |_| true) {
            let column = column::list(tree, id, &place, here.parts.clone(), path);
            self.push(table, column, &here);
        } else {
            let why = match scope.kind {
                _ if !self.holds(id, |child| !tree.node(child).is_attribute) => TOGETHER,
                Within::Outside => OUTSIDE,
                Within::Struct(_) => INSIDE,
                Within::Row(depth) if depth >= MAX_TABLE_DEPTH || self.tables >= MAX_TABLES => MANY,
                Within::Row(depth) => {
                    let child = self.child(id, here, scope.node, depth + 1);
                    if !child.columns.is_empty() {
                        table.children.push(child);
                    }
                    return;
                }
            };
            self.structs(table, scope, id, &place, here, why);
        }
    }

    /// A column of the structs that an element becomes each time it is there; where they would take too much, of the
    /// elements as they are.
    fn structs(&mut self, table: &mut Table, scope: Scope, id: NodeId, place: &Place, here: Here, why: &str) {
        let depth = if let Within::Struct(depth) = scope.kind { depth + 1 } else { 1 };
        let mut inside = Table::default();
        if depth <= MAX_STRUCTS {
            let within = Scope { node: id, kind: Within::Struct(depth) };
            self.below(&mut inside, within, id, &Here { is_wanted: true, ..Here::default() });
            name_columns(&mut inside, &self.tree.local(ROOT));
        }
        let growth = self.growth + self.tree.node(id).density * WIDTH * inside.columns.len() as f64;
        let path = joined(&here.steps, None);
        if inside.columns.is_empty() || growth > MAX_GROWTH {
            let column = column::whole(self.tree, id, place, here.parts, path);
            return self.push_whole(table, id, column.because(LARGE), true);
        }
        self.growth = growth;
        let column = column::structs(self.tree, id, place, here.parts.clone(), path, inside.columns);
        self.push(table, column.because(why), &here);
    }

    fn child(&mut self, id: NodeId, here: Here, parent: NodeId, depth: usize) -> Table {
        self.tables += 1;
        self.size += here.steps.len();
        let mut child = Table {
            parts: here.parts,
            rows: here.steps.join("/"),
            comments: vec![column::many(self.tree, id, parent)],
            ..Table::default()
        };
        let inside = Here { is_wanted: true, ..Here::default() };
        self.below(&mut child, Scope { node: id, kind: Within::Row(depth) }, id, &inside);
        child.count_what_it_holds();
        name_columns(&mut child, &self.tree.local(ROOT));
        child
    }

    /// Adds a column that is reached by the steps to `here`, if there is room for it.
    fn push(&mut self, table: &mut Table, column: Column, here: &Here) {
        if self.has_room(here) {
            self.columns += 1;
            self.size += here.steps.len() + 2;
            table.columns.push(column);
        } else {
            self.dropped += 1;
        }
    }

    /// Adds a column of elements as they are, each with the namespaces that it needs; of all text in them where those
    /// take too much.
    fn push_whole(&mut self, table: &mut Table, id: NodeId, column: Column, is_allowed: bool) {
        if !is_allowed {
            self.dropped += 1;
            return;
        }
        let growth = self.growth + self.tree.node(id).density * self.tree.most_declared as f64;
        let here = Here { steps: column.path.split('/').map(str::to_owned).collect(), ..Here::default() };
        if growth <= MAX_GROWTH {
            self.growth = growth;
            self.push(table, column, &here);
        } else {
            self.push(table, column.into_all_text().because(HEAVY), &here);
        }
    }

    /// Whether anything of a kind is below an element that has a column.
    fn holds(&self, id: NodeId, is_wanted: impl Fn(NodeId) -> bool) -> bool {
        self.tree.node(id).children.iter().any(|&child| is_wanted(child) && !self.is_left_unseen(child))
    }

    fn is_left_unseen(&self, id: NodeId) -> bool {
        let node = self.tree.node(id);
        self.is_seen_only && node.count == 0 && node.declared.as_ref().is_none_or(|declared| declared.min == 0)
    }

    fn has_room(&self, here: &Here) -> bool {
        self.columns < MAX_COLUMNS && self.size + here.steps.len() < MAX_SIZE
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
const CROWDED: &str = "more names below it than are told apart: they look like data, and it is kept as it is";
const HEAVY: &str = "the namespaces that each would need take too much: all text in it, without the tags";
const LARGE: &str = "too much for structs: kept as it is";
const OUTSIDE: &str = "it repeats outside the row, where it can be no table of its own; or take it as the row";
const INSIDE: &str = "a struct holds no tables: structs inside it";
const MANY: &str = "more child tables, or deeper ones, than are of use: structs instead";
const TOGETHER: &str = "each with its attributes; or make it a table of its own: a [[child]]";

/// Whether a schema has so much beside what is in the samples that a person would not find that again.
fn is_mostly_unseen(tree: &Tree) -> bool {
    let ends = tree.nodes.iter().filter(|node| node.children.is_empty());
    let (seen, unseen): (Vec<_>, Vec<_>) = ends.partition(|node| node.count > 0);
    !seen.is_empty() && unseen.len() > FEW_UNSEEN.max(2 * seen.len())
}

fn name_tables(table: &mut Table, parent: &str, taken: &mut BTreeSet<String>) {
    for child in &mut table.children {
        child.name = table_name(parent, &child.parts, taken);
        let name = child.name.clone();
        name_tables(child, &name, taken);
    }
}

fn place(scope: Scope, here: &Here) -> Place {
    Place { scope: scope.node, is_wanted: here.is_wanted }
}

fn joined(steps: &[String], take: Option<&str>) -> String {
    let all: Vec<&str> = steps.iter().map(String::as_str).chain(take).collect();
    if all.is_empty() { ".".to_owned() } else { all.join("/") }
}
