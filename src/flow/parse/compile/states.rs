//! From places to states: a state is the set of all places that an element may be at, because `a/b`, `*/b` and
//! `a[@k='v']/b` can all be meant by one element. Which sets there can be is worked out when the mapping is loaded.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;

use super::paths::{Node, NodeId, OUTSIDE, Predicate, PredicateId, TooLarge};
use super::plan::{COVERED, State, TEXT_TAKEN, UNMAPPED};
use crate::flow::parse::attributes::Attribute;
use crate::flow::parse::names::NameId;
use crate::flow::parse::text::attribute_value;

/// A set of places.
pub(in crate::flow::parse) type StateId = u16;

/// Inside an element that no path leads to.
pub(in crate::flow::parse) const NOWHERE: StateId = 0;

/// Outside the root element.
pub(in crate::flow::parse) const DOCUMENT: StateId = 1;

/// Entries of the table from here on are branches.
const BRANCH: u16 = 1 << 15;

/// Conditions that one element may have to be asked for; each doubles the states it may be in.
const MAX_CONDITIONS: usize = 6;

/// Entries of the table at most, of two bytes each.
const MAX_ENTRIES: usize = 1 << 22;

/// The steps from state to state.
#[derive(Debug)]
pub(in crate::flow::parse) struct Moves {
    /// `steps[state * names + name]` is the state inside a child of that name, or a branch.
    steps: Vec<u16>,
    names: usize,
    branches: Vec<Branch>,
}

/// Where the state inside a child hangs on its attributes.
#[derive(Debug)]
struct Branch {
    predicates: Vec<Predicate>,
    /// By the set of predicates that hold, as bits.
    states: Vec<StateId>,
}

impl Moves {
    /// One step: the state inside a child of that name with these attributes.
    #[inline]
    pub(in crate::flow::parse) fn step(
        &self,
        state: StateId,
        name: NameId,
        attributes: &[Attribute],
        message: &str,
    ) -> StateId {
        let next = self.steps[usize::from(state) * self.names + usize::from(name)];
        if next < BRANCH { next } else { self.choose(next - BRANCH, attributes, message) }
    }

    #[cold]
    fn choose(&self, branch: u16, attributes: &[Attribute], message: &str) -> StateId {
        let branch = &self.branches[usize::from(branch)];
        let holds = |predicate: &Predicate| {
            let attribute = attributes.iter().find(|attribute| attribute.id == predicate.attribute);
            attribute.is_some_and(|attribute| is_value(&message[attribute.value.clone()], &predicate.value))
        };
        let bits = branch.predicates.iter().enumerate().fold(
            0,
            |bits, (at, predicate)| {
                if holds(predicate) { bits | 1 << at } else { bits }
            },
        );
        branch.states[bits]
    }
}

fn is_value(raw: &str, value: &str) -> bool {
    if !raw.bytes().any(|byte| matches!(byte, b'&' | b'\t' | b'\n' | b'\r')) {
        return raw == value;
    }
    let mut meant = String::new();
    attribute_value(raw, Some(&mut meant)).is_ok() && meant == value
}

/// Works out the states of a tree of places, and the steps between them, for `names` names.
pub(super) fn determine(
    nodes: &[Node],
    predicates: &[Predicate],
    names: usize,
) -> Result<(Moves, Vec<State>), TooLarge> {
    let mut sets = Sets { ids: HashMap::new(), sets: Vec::new() };
    sets.id(BTreeSet::new())?;
    sets.id(BTreeSet::from([OUTSIDE]))?;
    let mut moves = Moves { steps: Vec::new(), names, branches: Vec::new() };
    let mut next = 0;
    while let Some(set) = sets.sets.get(next).map(Arc::clone) {
        if (next + 1) * names > MAX_ENTRIES {
            return Err(format!("its paths make more than {MAX_ENTRIES} steps; use fewer names, `*` or conditions"));
        }
        let ways = || set.iter().flat_map(|&node| &nodes[node as usize].children);
        let any = moves.target(&mut sets, predicates, ways().filter(|(way, _)| way.name.is_none()))?;
        moves.steps.resize((next + 1) * names, any);
        let named: BTreeSet<NameId> = ways().filter_map(|(way, _)| way.name).collect();
        for name in named {
            let fits = ways().filter(|(way, _)| way.name.is_none_or(|wanted| wanted == name));
            moves.steps[next * names + usize::from(name)] = moves.target(&mut sets, predicates, fits)?;
        }
        next += 1;
    }
    let states = sets.sets.iter().map(|set| state(nodes, set)).collect();
    Ok((moves, states))
}

impl Moves {
    fn target<'a>(
        &mut self,
        sets: &mut Sets,
        predicates: &[Predicate],
        ways: impl Iterator<Item = &'a (super::paths::Way, NodeId)>,
    ) -> Result<u16, TooLarge> {
        let (mut always, mut sometimes) = (BTreeSet::new(), Vec::new());
        for &(way, node) in ways {
            match way.predicate {
                None => drop(always.insert(node)),
                Some(predicate) => sometimes.push((predicate, node)),
            }
        }
        let asked: Vec<PredicateId> =
            sometimes.iter().map(|(predicate, _)| *predicate).collect::<BTreeSet<_>>().into_iter().collect();
        if asked.is_empty() {
            return sets.id(always);
        }
        if asked.len() > MAX_CONDITIONS {
            return Err(format!(
                "an element would be asked for {} conditions at once, and {MAX_CONDITIONS} is the most",
                asked.len()
            ));
        }
        let mut states = Vec::with_capacity(1 << asked.len());
        for bits in 0..1_usize << asked.len() {
            let holds = |predicate: PredicateId| {
                asked.iter().position(|&asked| asked == predicate).is_some_and(|at| bits >> at & 1 == 1)
            };
            let mut set = always.clone();
            set.extend(sometimes.iter().filter(|(predicate, _)| holds(*predicate)).map(|(_, node)| *node));
            states.push(sets.id(set)?);
        }
        let predicates = asked.iter().map(|&predicate| predicates[predicate as usize].clone()).collect();
        let branch = u16::try_from(self.branches.len()).ok().and_then(|at| BRANCH.checked_add(at));
        self.branches.push(Branch { predicates, states });
        branch.ok_or_else(|| "it has more than 32,768 steps with conditions".to_owned())
    }
}

struct Sets {
    ids: HashMap<Arc<[NodeId]>, StateId>,
    sets: Vec<Arc<[NodeId]>>,
}

impl Sets {
    fn id(&mut self, set: BTreeSet<NodeId>) -> Result<StateId, TooLarge> {
        let set: Arc<[NodeId]> = set.into_iter().collect();
        if let Some(&id) = self.ids.get(&set) {
            return Ok(id);
        }
        let id = u16::try_from(self.sets.len()).ok().filter(|&id| id < BRANCH);
        let id = id.ok_or_else(|| format!("its paths make more than {BRANCH} states; use fewer `*` and conditions"))?;
        self.sets.push(Arc::clone(&set));
        self.ids.insert(set, id);
        Ok(id)
    }
}

/// Everything that is to be done at any of the places.
fn state(nodes: &[Node], set: &[NodeId]) -> State {
    let mut state = State::default();
    for &node in set {
        let node = &nodes[node as usize];
        state.begins.extend(&node.begins);
        state.text.extend(&node.text);
        state.all_text.extend(&node.all_text);
        state.elements.extend(&node.elements);
        state.attributes.extend(&node.attributes);
    }
    // Scopes are numbered from the outside to the inside.
    state.begins.sort_unstable();
    state.is_quiet = state.begins.is_empty()
        && state.text.is_empty()
        && state.all_text.is_empty()
        && state.elements.is_empty()
        && state.attributes.is_empty();
    state.marks = if !state.all_text.is_empty() || !state.elements.is_empty() {
        COVERED | TEXT_TAKEN
    } else if !state.text.is_empty() {
        TEXT_TAKEN
    } else if set.is_empty() {
        UNMAPPED
    } else {
        0
    };
    state
}
