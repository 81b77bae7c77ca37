//! The tree of the paths that a mapping speaks of.

use std::sync::Arc;

use hashbrown::HashMap;

use super::plan::{ColumnId, ScopeId};
use crate::flow::parse::names::{NameId, Vocabulary};
use crate::model::mapping::{Column, Condition, Name, Step, Take};

/// A place in the tree.
pub(super) type NodeId = u32;

/// A condition, numbered.
pub(super) type PredicateId = u32;

/// Outside the root element.
pub(super) const OUTSIDE: NodeId = 0;

/// Why a mapping cannot be compiled: a sentence.
pub(super) type TooLarge = String;

/// The tree of paths.
#[derive(Debug)]
pub(super) struct Paths {
    pub(super) vocabulary: Vocabulary,
    pub(super) nodes: Vec<Node>,
    pub(super) predicates: Vec<Predicate>,
    known: HashMap<(NodeId, Way), NodeId>,
}

/// An attribute and the value it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::flow::parse) struct Predicate {
    pub(super) attribute: NameId,
    pub(super) value: Arc<str>,
}

/// How a child is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Way {
    /// Its name; none is any.
    pub(super) name: Option<NameId>,
    pub(super) predicate: Option<PredicateId>,
}

/// A place: where it leads, and what is to be done there.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) children: Vec<(Way, NodeId)>,
    pub(super) begins: Vec<ScopeId>,
    pub(super) text: Vec<ColumnId>,
    pub(super) all_text: Vec<ColumnId>,
    pub(super) elements: Vec<ColumnId>,
    pub(super) attributes: Vec<(NameId, ColumnId)>,
}

impl Paths {
    pub(super) fn new() -> Self {
        Self {
            vocabulary: Vocabulary::default(),
            nodes: vec![Node::default()],
            predicates: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// The number of a name.
    pub(super) fn name(&mut self, name: &Name) -> Result<NameId, TooLarge> {
        self.vocabulary.intern(name).ok_or_else(|| "it has more than 65,534 names".to_owned())
    }

    /// The place one step below `node`.
    pub(super) fn child(
        &mut self,
        node: NodeId,
        name: Option<&Name>,
        condition: Option<&Condition>,
    ) -> Result<NodeId, TooLarge> {
        let name = name.map(|name| self.name(name)).transpose()?;
        let predicate = condition.map(|condition| self.predicate(condition)).transpose()?;
        let way = Way { name, predicate };
        if let Some(&child) = self.known.get(&(node, way)) {
            return Ok(child);
        }
        let child = NodeId::try_from(self.nodes.len()).map_err(|_| "it has too many paths".to_owned())?;
        self.nodes.push(Node::default());
        self.nodes[node as usize].children.push((way, child));
        self.known.insert((node, way), child);
        Ok(child)
    }

    /// The place that `steps` lead to; every place on the way is told to `visit`, the last one too.
    pub(super) fn descend(
        &mut self,
        from: NodeId,
        steps: &[Step],
        mut visit: impl FnMut(NodeId),
    ) -> Result<NodeId, TooLarge> {
        steps.iter().try_fold(from, |node, step| {
            let child = self.child(node, step.name.as_ref(), step.condition.as_ref())?;
            visit(child);
            Ok(child)
        })
    }

    fn predicate(&mut self, condition: &Condition) -> Result<PredicateId, TooLarge> {
        let attribute = self.name(&condition.attribute)?;
        let predicate = Predicate { attribute, value: Arc::clone(&condition.value) };
        let at = self.predicates.iter().position(|known| *known == predicate).unwrap_or_else(|| {
            self.predicates.push(predicate);
            self.predicates.len() - 1
        });
        PredicateId::try_from(at).map_err(|_| "it has too many conditions".to_owned())
    }

    pub(super) fn node(&mut self, node: NodeId) -> &mut Node {
        &mut self.nodes[node as usize]
    }
}

/// The path of a column as a person reads it, without prefixes.
pub(super) fn written(column: &Column) -> String {
    let mut path = if column.path.from_root { String::from("/") } else { String::new() };
    let steps: Vec<String> = column.path.steps.iter().map(written_step).collect();
    path.push_str(&steps.join("/"));
    let take = match &column.path.take {
        Take::Text if steps.is_empty() => "text()".to_owned(),
        Take::Element if steps.is_empty() => ".".to_owned(),
        Take::Text | Take::Element => return path,
        Take::AllText => "string()".to_owned(),
        Take::Attribute(name) => format!("@{}", name.local),
    };
    if !steps.is_empty() {
        path.push('/');
    }
    path + &take
}

fn written_step(step: &Step) -> String {
    let name = step.name.as_ref().map_or("*", |name| &*name.local);
    match &step.condition {
        Some(condition) => format!("{name}[@{}='{}']", condition.attribute.local, condition.value),
        None => name.to_owned(),
    }
}
