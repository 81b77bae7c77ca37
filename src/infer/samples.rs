//! Documents in, a mapping out.

use super::adding::{Adding, Memory};
use super::bounds::Bounds;
use super::draft::Draft;
use super::rows;
use super::tree::{Node, ROOT, Tree};
use super::xsd::Schema;
use super::{plan, write};
use crate::flow::parse::WellFormed;
use crate::model::mapping::Dtd;
use crate::model::violation::Violation;

/// Documents that were left out are named up to this many.
const NAMED: usize = 20;
/// Names of columns in one line of the head.
const CONFLICTS_A_LINE: usize = 5;

/// Which element is to be the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChoice {
    /// The one repeated child that holds most of the content.
    Proposed,
    /// The element at this path; `.` is the root.
    Path(String),
}

/// What was seen so far. Its size depends on the number of distinct paths alone.
#[derive(Debug)]
pub struct Samples {
    tree: Tree,
    memory: Memory,
    bounds: Bounds,
    /// Judges by these bounds.
    judge: WellFormed,
    taken: u64,
    left_out: u64,
    refused: Vec<(String, String)>,
}

impl Samples {
    /// Nothing seen yet; with a schema, its types hold and the samples give the comments.
    pub fn new(schema: Option<Schema>) -> Self {
        let bounds = Bounds::default();
        Self {
            tree: Tree::new(schema),
            memory: Memory::default(),
            bounds,
            judge: bounds.judge(),
            taken: 0,
            left_out: 0,
            refused: Vec::new(),
        }
    }

    /// One more document, by the name that people know it by. Says why it was left out, if it was.
    ///
    /// # Errors
    ///
    /// The daemon would refuse it whatever the mapping: it is not well-formed, or larger or deeper than a mapping can
    /// allow. The rest goes on without it.
    pub fn add(&mut self, name: &str, document: &[u8]) -> Result<(), String> {
        match self.read(document) {
            Ok(()) => {
                self.taken += 1;
                Ok(())
            }
            Err(violation) => {
                let line = violation.line.map_or_else(String::new, |line| format!(", line {line}"));
                let why = format!("{} ({}{line})", violation.message, violation.code.name());
                self.left_out += 1;
                if self.refused.len() < NAMED {
                    self.refused.push((name.to_owned(), why.clone()));
                }
                Err(why)
            }
        }
    }

    /// Reads a document; where a bound is all that is in its way, by wider ones, which hold from then on.
    fn read(&mut self, document: &[u8]) -> Result<(), Box<Violation>> {
        let mut adding = Adding::new(&mut self.tree, &mut self.memory);
        let Err(mut violation) = self.judge.visit(document, &mut adding) else { return Ok(()) };
        let mut bounds = self.bounds;
        while let Some(wider) = bounds.wider(violation.code) {
            bounds = wider;
            let mut judge = bounds.judge();
            match judge.visit(document, &mut adding) {
                Ok(()) => {
                    (self.bounds, self.judge) = (bounds, judge);
                    return Ok(());
                }
                Err(next) => violation = next,
            }
        }
        Err(violation)
    }

    /// Documents that were taken, and those that were left out.
    pub fn counts(&self) -> (u64, u64) {
        (self.taken, self.left_out)
    }

    /// The mapping file.
    ///
    /// # Errors
    ///
    /// There is neither a document nor a schema to infer from, or no element at the path that was asked for.
    pub fn mapping(mut self, row: &RowChoice) -> Result<String, String> {
        let other_roots = self.prepare()?;
        let row = match row {
            RowChoice::Proposed => rows::propose(&self.tree),
            RowChoice::Path(path) => rows::find(&self.tree, path)?,
        };
        let mut draft = plan::plan(&self.tree, &row);
        draft.root_comments = self.root_comments();
        draft.row_comments = row.why.iter().cloned().collect();
        if draft.not_shared > 0 {
            let what = "values around the row have no column: in each row they would be more than Forebay allows";
            draft.row_comments.push(format!("conflict: {} {what}; --row . has them once", draft.not_shared));
        }
        let without = row.chain.last().map_or(0, |&row| self.taken.saturating_sub(self.tree.node(row).documents));
        if without > 0 {
            draft
                .row_comments
                .push(format!("{without} of {} documents have no such element: they give no row", self.taken));
        }
        draft.has_doctype = self.bounds.dtd == Dtd::IgnoreExternal;
        draft.limits = self.bounds.written(self.tree.most_rows(&row.chain));
        if draft.table.columns.is_empty() {
            return Err("there is nothing to make a column of; name another element with --row".to_owned());
        }
        draft.comments = self.header(&draft, &other_roots);
        Ok(write::write(&draft))
    }

    /// Takes in what the schema says of paths that no sample had; answers the other roots that it knows.
    fn prepare(&mut self) -> Result<Vec<String>, String> {
        let Some(schema) = self.tree.schema.take() else {
            return if self.taken > 0 { Ok(Vec::new()) } else { Err("no document could be taken".to_owned()) };
        };
        let mut others = Vec::new();
        if self.taken == 0 {
            let roots = schema.roots();
            let Some((namespace, local)) = roots.first() else {
                return Err(format!("{}: the schema declares no element that could be a root", schema.file));
            };
            let name = self.tree.names.intern(Some(namespace.as_str()).filter(|uri| !uri.is_empty()), local);
            self.tree.nodes[ROOT].name = name;
            self.tree.first_scope = schema.prefixes.clone();
            self.tree.first_scope.retain(|(prefix, _)| !prefix.is_empty());
            self.tree.first_scope.push((String::new(), namespace.clone()));
            schema.declare_root(&mut self.tree, name);
            others = roots.iter().skip(1).map(|(_, local)| local.clone()).collect();
        }
        for (prefix, uri) in schema.prefixes.iter().filter(|(prefix, _)| !prefix.is_empty()) {
            self.tree.names.prefixes.entry(uri.as_str().into()).or_insert_with(|| prefix.clone());
        }
        schema.complete(&mut self.tree);
        self.tree.schema = Some(schema);
        Ok(others)
    }

    fn header(&self, draft: &Draft, other_roots: &[String]) -> Vec<String> {
        let mut said = vec![format!("Inferred by forebay {} {}.", env!("CARGO_PKG_VERSION"), self.from())];
        said.push(
            "Read it before use: it knows only what it has seen. Lines with \"conflict\" need a decision.".to_owned(),
        );
        if self.left_out > 0 {
            said.push(format!("Left out, because they cannot be read: {}", self.left_out));
            said.extend(self.refused.iter().map(|(name, why)| format!("  {name}: {why}")));
            let unnamed = self.left_out.saturating_sub(self.refused.len() as u64);
            if unnamed > 0 {
                said.push(format!("  and {unnamed} more"));
            }
        }
        if self.tree.left_out > 0 {
            said.push("There were more distinct paths than are told apart; the rest is left to `unmapped`.".to_owned());
        }
        if !other_roots.is_empty() {
            said.push(format!("Other elements of the schema that could be the root: {}", other_roots.join(", ")));
        }
        if let Some(schema) = &self.tree.schema {
            said.extend(schema.notes.iter().cloned());
        }
        if draft.dropped > 0 {
            let what = "paths have no column, because a mapping of so many would be of no use";
            said.push(format!("{} {what}: they are left to `unmapped`; --row takes a part.", draft.dropped));
        }
        if draft.unseen > 0 {
            let what =
                "optional attributes and elements of the schema are in no sample and have no column, nor has what";
            said.push(format!("{} {what} is below them: they are left to `unmapped`.", draft.unseen));
        }
        if self.tree.nodes.iter().any(Node::is_decimal_as_seen) {
            said.push(
                "Decimals have the digits that were seen: give them the room that other messages need.".to_owned(),
            );
        }
        let conflicts = draft.table.conflicts();
        for (number, names) in conflicts.chunks(CONFLICTS_A_LINE).enumerate() {
            let begin = if number == 0 { "Conflicts in: " } else { "  " };
            let end = if (number + 1) * CONFLICTS_A_LINE < conflicts.len() { "," } else { "" };
            said.push(format!("{begin}{}{end}", names.join(", ")));
        }
        said
    }

    fn from(&self) -> String {
        let documents = format!("from {} document{}", self.taken, if self.taken == 1 { "" } else { "s" });
        match &self.tree.schema {
            Some(schema) if self.taken == 0 => format!("from the schema {}", schema.file),
            Some(schema) => format!("{documents} and the schema {}", schema.file),
            None => documents,
        }
    }

    fn root_comments(&self) -> Vec<String> {
        let mut said = Vec::new();
        if self.tree.roots.len() > 1 {
            said.push(
                "conflict: the samples have several roots; any is taken here, a table for each keeps them apart:"
                    .to_owned(),
            );
            for (name, count) in self.tree.roots.iter().take(NAMED) {
                let Some(name) = self.tree.names.get(*name) else { continue };
                let namespace = name.namespace.as_ref().map_or_else(String::new, |uri| format!("{{{uri}}}"));
                said.push(format!("  {namespace}{} in {count}", name.local));
            }
            let named = self.tree.roots.iter().take(NAMED).map(|(_, count)| count).sum::<u64>();
            if self.taken > named {
                said.push(format!("  others in {}", self.taken - named));
            }
        }
        if let Some(schema) = &self.tree.schema {
            for (id, _) in &self.tree.roots {
                let Some(name) = self.tree.names.get(*id) else { continue };
                if !schema.is_element(name.namespace.as_deref(), &name.local) {
                    said.push(format!("conflict: the schema does not declare the root {}", name.local));
                }
            }
        }
        said
    }
}
