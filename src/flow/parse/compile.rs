//! From a mapping to a program: every path of the mapping is a state, a start tag is one step from state to state.

use std::sync::Arc;

use hashbrown::HashMap;

use super::names::{NameId, OTHER, Vocabulary};
use crate::fault::Fault;
use crate::model::mapping::{Column, Dtd, Kind, Limits, Mapping, Name, OnBadField, OnBadMessage, Step, Take, Trim};

/// A place in the tree of paths that the mapping speaks of.
pub(super) type StateId = u16;

/// Inside an element that no path leads to.
pub(super) const NOWHERE: StateId = 0;

/// Outside the root element.
pub(super) const DOCUMENT: StateId = 1;

/// Index of a column of the mapping.
pub(super) type ColumnId = u16;

/// A mapping as the machine runs it. Built once, shared by all workers.
#[derive(Debug)]
pub(super) struct Program {
    /// The names that lead anywhere.
    pub(super) vocabulary: Arc<Vocabulary>,
    /// `steps[state * names + name]` is the state inside a child of that name.
    steps: Vec<StateId>,
    names: usize,
    states: Vec<State>,
    /// The columns of the mapping.
    pub(super) columns: Vec<ColumnPlan>,
    /// Columns whose value belongs to the whole message.
    pub(super) message_columns: Vec<ColumnId>,
    /// Columns whose value belongs to a row.
    pub(super) row_columns: Vec<ColumnId>,
    /// The root element as the mapping names it, when it expects a certain one.
    pub(super) root: Option<Name>,
    /// Bounds on a message.
    pub(super) limits: Limits,
    /// What happens to a message with a document type declaration.
    pub(super) dtd: Dtd,
    /// What a bad row does to its message.
    pub(super) on_bad_message: OnBadMessage,
    /// What a bad field does to its row.
    pub(super) on_bad_field: OnBadField,
}

/// What is to be done in an element.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The element is a row.
    pub(super) is_row: bool,
    /// Columns that take its own text.
    pub(super) text: Vec<ColumnId>,
    /// Columns that take all text in it.
    pub(super) all_text: Vec<ColumnId>,
    /// Columns that take an attribute.
    pub(super) attributes: Vec<(NameId, ColumnId)>,
}

/// A column as the machine runs it.
#[derive(Debug)]
pub(super) struct ColumnPlan {
    /// Name in the table.
    pub(super) name: String,
    /// Its path as the mapping writes it, without prefixes.
    pub(super) path: String,
    /// Its type.
    pub(super) kind: Kind,
    /// Whether null is a violation.
    pub(super) required: bool,
    /// What happens to white space.
    pub(super) trim: Trim,
    /// Place among the columns of the message, for a value that all its rows share; none for a value of a row.
    pub(super) message_slot: Option<usize>,
}

impl Program {
    /// Compiles a mapping.
    ///
    /// # Errors
    ///
    /// A mapping with more paths or names than a program can number.
    pub(super) fn compile(mapping: &Mapping) -> Result<Self, Fault> {
        let mut builder = Builder::default();
        let root = builder.child(DOCUMENT, mapping.root.as_ref())?;
        let row = mapping.rows.iter().try_fold(root, |state, steps| builder.descend(state, steps))?;
        builder.states[usize::from(row)].is_row = true;
        let mut columns = Vec::with_capacity(mapping.columns.len());
        let (mut message_columns, mut row_columns) = (Vec::new(), Vec::new());
        for (index, column) in mapping.columns.iter().enumerate() {
            let id = ColumnId::try_from(index).map_err(|_| too_large(mapping))?;
            let base = if column.path.from_root { root } else { row };
            let state = builder.descend(base, &column.path.steps)?;
            match &column.path.take {
                Take::Text | Take::Element => builder.states[usize::from(state)].text.push(id),
                Take::AllText => builder.states[usize::from(state)].all_text.push(id),
                Take::Attribute(name) => {
                    let name = builder.vocabulary.intern(name).ok_or_else(|| too_large(mapping))?;
                    builder.states[usize::from(state)].attributes.push((name, id));
                }
            }
            let message_slot = column.path.from_root.then_some(message_columns.len());
            if column.path.from_root {
                message_columns.push(id);
            } else {
                row_columns.push(id);
            }
            columns.push(ColumnPlan {
                name: column.name.clone(),
                path: written(column),
                kind: column.kind.clone(),
                required: column.required,
                trim: column.rules.trim,
                message_slot,
            });
        }
        let names = builder.vocabulary.len();
        Ok(Self {
            steps: builder.table(names),
            names,
            vocabulary: Arc::new(builder.vocabulary),
            states: builder.states,
            columns,
            message_columns,
            row_columns,
            root: mapping.root.clone(),
            limits: mapping.limits,
            dtd: mapping.dtd,
            on_bad_message: mapping.on_bad_message,
            on_bad_field: mapping.on_bad_field,
        })
    }

    /// One step: the state inside a child of that name.
    #[inline]
    pub(super) fn step(&self, state: StateId, name: NameId) -> StateId {
        self.steps[usize::from(state) * self.names + usize::from(name)]
    }

    /// What is to be done in that state.
    #[inline]
    pub(super) fn state(&self, state: StateId) -> &State {
        &self.states[usize::from(state)]
    }
}

#[derive(Debug)]
struct Builder {
    vocabulary: Vocabulary,
    states: Vec<State>,
    /// The child of a state by name; without a name: of any name.
    children: HashMap<(StateId, Option<NameId>), StateId>,
}

impl Default for Builder {
    fn default() -> Self {
        let states = vec![State::default(), State::default()];
        Self { vocabulary: Vocabulary::default(), states, children: HashMap::new() }
    }
}

impl Builder {
    fn child(&mut self, state: StateId, name: Option<&Name>) -> Result<StateId, Fault> {
        let full = || Fault::halt("mapping.too-large", "the mapping has more paths than a program can number");
        let name = match name {
            Some(name) => Some(self.vocabulary.intern(name).ok_or_else(full)?),
            None => None,
        };
        if let Some(&child) = self.children.get(&(state, name)) {
            return Ok(child);
        }
        let child = StateId::try_from(self.states.len()).map_err(|_| full())?;
        self.states.push(State::default());
        self.children.insert((state, name), child);
        Ok(child)
    }

    fn descend(&mut self, from: StateId, steps: &[Step]) -> Result<StateId, Fault> {
        steps.iter().try_fold(from, |state, step| self.child(state, step.name.as_ref()))
    }

    fn table(&self, names: usize) -> Vec<StateId> {
        let mut table = vec![NOWHERE; self.states.len() * names];
        for (&(state, name), &child) in &self.children {
            let first = usize::from(state) * names;
            match name {
                Some(name) => table[first + usize::from(name)] = child,
                None => table[first + usize::from(OTHER)..first + names].fill(child),
            }
        }
        table
    }
}

fn too_large(mapping: &Mapping) -> Fault {
    Fault::halt("mapping.too-large", format!("mapping {}: more than 65,535 columns or names", mapping.name))
}

fn written(column: &Column) -> String {
    let mut path = if column.path.from_root { String::from("/") } else { String::new() };
    let steps: Vec<&str> =
        column.path.steps.iter().map(|step| step.name.as_ref().map_or("*", |name| &*name.local)).collect();
    path.push_str(&steps.join("/"));
    let take = match &column.path.take {
        Take::Text | Take::Element if steps.is_empty() => "text()".to_owned(),
        Take::Text | Take::Element => return path,
        Take::AllText => "string()".to_owned(),
        Take::Attribute(name) => format!("@{}", name.local),
    };
    if !steps.is_empty() {
        path.push('/');
    }
    path + &take
}
