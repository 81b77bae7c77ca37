//! Which element is the row.

use super::plan::{MAX_GROWTH, WIDTH};
use super::tree::{NodeId, ROOT, Tree};
use crate::lexical::is_unqualified_name;

/// The row, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Elements from the one below the root to the row; empty: the root is the row.
    pub(super) chain: Vec<NodeId>,
    /// A sentence for the mapping.
    pub(super) why: Option<String>,
}

/// Whether one parent may have more than one.
pub(super) fn repeats(tree: &Tree, id: NodeId) -> bool {
    let node = tree.node(id);
    node.most > 1 || node.declared.as_ref().is_some_and(super::declared::Declared::repeats)
}

/// Whether it has elements or attributes below it, so that one column cannot hold it.
fn is_complex(tree: &Tree, id: NodeId) -> bool {
    !tree.node(id).children.is_empty()
}

/// The most bytes that values around rows of this element add for each byte of a document, because each row has them.
pub(super) fn growth(tree: &Tree, row: Option<NodeId>) -> f64 {
    let Some(node) = row.map(|row| tree.node(row)) else { return 0.0 };
    let around = leaves(tree, ROOT).saturating_sub(leaves(tree, row.unwrap_or(ROOT)));
    // A value of a few digits takes the width of its type, which is some times as much as it is written with.
    3.0 * node.repeated + WIDTH * around as f64 * node.density
}

/// The one repeated child that holds most of the content, or the root.
pub(super) fn propose(tree: &Tree) -> Row {
    let mut best: Option<(u64, NodeId)> = None;
    let mut pending = vec![ROOT];
    let weigh = |id: NodeId| if tree.node(ROOT).count > 0 { tree.node(id).bytes } else { leaves(tree, id) };
    while let Some(id) = pending.pop() {
        for &child in tree.node(id).children.iter().filter(|&&child| !tree.node(child).is_attribute) {
            if !repeats(tree, child) {
                pending.push(child);
            } else if is_complex(tree, child)
                && growth(tree, Some(child)) <= MAX_GROWTH
                && best.is_none_or(|(most, _)| weigh(child) > most)
            {
                best = Some((weigh(child), child));
            }
        }
    }
    let whole = weigh(ROOT).max(1);
    match best {
        Some((weight, id)) if weight.saturating_mul(2) > whole => {
            let share = weight.saturating_mul(100) / whole;
            let name = tree.local(id);
            let what = if tree.node(ROOT).count > 0 { "content of the samples" } else { "paths of the schema" };
            let why = format!(
                "proposed: {name} repeats and holds {share} % of the {what}; --row PATH takes another element, --row . the root"
            );
            Row { chain: chain(tree, id), why: Some(why) }
        }
        _ => {
            let why =
                "no repeated element holds most of the content: the root is the row; --row PATH takes another element";
            Row { chain: Vec::new(), why: Some(why.to_owned()) }
        }
    }
}

/// Paths below a node that end there.
fn leaves(tree: &Tree, id: NodeId) -> u64 {
    let mut count = 0;
    let mut pending = vec![id];
    while let Some(id) = pending.pop() {
        let node = tree.node(id);
        count += u64::from(node.children.is_empty());
        pending.extend(&node.children);
    }
    count
}

fn chain(tree: &Tree, id: NodeId) -> Vec<NodeId> {
    let mut chain = vec![id];
    let mut next = tree.node(id).parent;
    while let Some(above) = next.filter(|above| *above != ROOT) {
        chain.push(above);
        next = tree.node(above).parent;
    }
    chain.reverse();
    chain
}

/// The row that a person names: steps with the prefixes of the first root, or `{uri}name`; `.` is the root.
///
/// # Errors
///
/// The text is no path, or no sample (and no schema) has such an element.
pub(super) fn find(tree: &Tree, path: &str) -> Result<Row, String> {
    let path = path.trim();
    if path == "." {
        return Ok(Row { chain: Vec::new(), why: None });
    }
    let mut at = ROOT;
    let mut chain = Vec::new();
    for step in steps(path.strip_prefix('/').unwrap_or(path)) {
        let next = candidates(tree, step)?.into_iter().find_map(|(namespace, local)| {
            let name = tree.names.find(namespace.as_deref(), &local)?;
            tree.find(at, name, false)
        });
        let Some(next) = next else {
            let known: Vec<String> = repeated(tree).iter().map(|id| local_path(tree, *id)).collect();
            let help = match known.as_slice() {
                [] => "nothing repeats in them".to_owned(),
                some => format!("what repeats: {}", some.join(", ")),
            };
            let below = local_path(tree, at);
            return Err(format!("--row {path}: there is no element {step} below {below}; {help}"));
        };
        chain.push(next);
        at = next;
    }
    Ok(Row { chain, why: None })
}

/// The steps of a path; a slash within braces is part of a URI.
fn steps(path: &str) -> Vec<&str> {
    let (mut found, mut start, mut is_inside) = (Vec::new(), 0, false);
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'{' => is_inside = true,
            b'}' => is_inside = false,
            b'/' if !is_inside => {
                found.push(&path[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&path[start..]);
    found
}

/// What a step may mean: a name without prefix is in the default namespace, if there is one, or in none.
fn candidates(tree: &Tree, step: &str) -> Result<Vec<(Option<String>, String)>, String> {
    let no_path = || format!("--row: {step:?} is not a step: write name, prefix:name or {{uri}}name");
    if let Some((uri, local)) = step.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        let uri = Some(uri.to_owned()).filter(|uri| !uri.is_empty());
        return if is_unqualified_name(local) { Ok(vec![(uri, local.to_owned())]) } else { Err(no_path()) };
    }
    let bound = |prefix: &str| tree.first_scope.iter().find(|(known, _)| known == prefix).map(|(_, uri)| uri.clone());
    match step.split_once(':') {
        Some((prefix, local)) if is_unqualified_name(prefix) && is_unqualified_name(local) => match bound(prefix) {
            Some(uri) => Ok(vec![(Some(uri), local.to_owned())]),
            None => Err(format!("--row: the prefix {prefix} is not declared at the first root; write {{uri}}{local}")),
        },
        None if is_unqualified_name(step) => {
            let mut all: Vec<_> = bound("").into_iter().map(|uri| (Some(uri), step.to_owned())).collect();
            all.push((None, step.to_owned()));
            Ok(all)
        }
        _ => Err(no_path()),
    }
}

/// Up to ten elements that repeat.
fn repeated(tree: &Tree) -> Vec<NodeId> {
    let all = (1..tree.nodes.len()).filter(|&id| !tree.node(id).is_attribute && repeats(tree, id));
    all.take(10).collect()
}

fn local_path(tree: &Tree, id: NodeId) -> String {
    if id == ROOT {
        return "the root".to_owned();
    }
    chain(tree, id).iter().map(|id| tree.local(*id).to_string()).collect::<Vec<_>>().join("/")
}
