//! Complex types: which elements and attributes stand below an element, and how often.

use super::document::{Key, Piece, XS};
use super::load::Schema;
use super::simple::Simple;
use crate::infer::declared::Declared;
use crate::infer::tree::{NameId, NodeId, ROOT, Tree};

/// Longest chain of types and groups that is followed.
const MAX_CHAIN: usize = 64;
/// Types that extend one type, it included, of which what they add is taken in.
const MAX_EXTENSIONS: usize = 50;
/// XML Schema's namespace for instances.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// Most paths that a schema alone brings in, beside those that were seen.
const MAX_DECLARED: usize = 2000;

/// An element as part of what stands below another one.
#[derive(Debug, Clone)]
struct Particle {
    key: Key,
    piece: Piece,
    min: u64,
    most: Option<u64>,
    is_choice: bool,
    /// The type that has it, where that is one which only `xsi:type` names.
    of: Option<String>,
}

/// What stands below an element.
#[derive(Debug, Clone, Default)]
struct Content {
    particles: Vec<Particle>,
    attributes: Vec<(Key, Declared)>,
    has_any: bool,
}

impl Schema {
    /// Says what the schema has of the root element.
    pub(in crate::infer) fn declare_root(&self, tree: &mut Tree, name: NameId) {
        if tree.nodes[ROOT].declared.is_some() {
            return;
        }
        self.refuel();
        let Some(name) = tree.names.get(name) else { return };
        let key = (name.namespace.as_deref().unwrap_or_default().to_owned(), name.local.to_string());
        if let Some(piece) = self.elements.get(&key) {
            tree.nodes[ROOT].declared = Some(self.element(piece, 1, Some(1), false));
        }
    }

    /// Puts the elements and attributes below a node into the tree.
    pub(in crate::infer) fn expand(&self, tree: &mut Tree, id: NodeId) {
        let complex = tree.nodes[id].declared.as_ref().and_then(|declared| declared.complex.clone());
        let Some(complex) = complex else { return };
        self.refuel();
        let mut content = self.content(&complex, 0);
        let extensions = self.extend(&complex, &mut content);
        if !extensions.is_empty() {
            let name = tree.names.intern(Some(XSI), "type");
            tree.names.prefixes.entry(XSI.into()).or_insert_with(|| "xsi".to_owned());
            if let Some(child) = tree.child(id, name, true) {
                let (rules, mut notes) = Simple::builtin("QName").rules();
                notes.push(format!("the schema has types that extend the one here: {}", extensions.join(", ")));
                let mut declared = Declared { most: Some(1), ..Declared::default() };
                declared.set_rules(rules, notes);
                tree.nodes[child].declared.get_or_insert(declared);
            }
        }
        for ((namespace, local), declared) in content.attributes {
            let namespace = Some(namespace.as_str()).filter(|uri| !uri.is_empty());
            let name = tree.names.intern(namespace, &local);
            if let Some(child) = tree.child(id, name, true) {
                tree.nodes[child].declared.get_or_insert(declared);
            }
        }
        for particle in content.particles {
            let namespace = Some(particle.key.0.as_str()).filter(|uri| !uri.is_empty());
            let name = tree.names.intern(namespace, &particle.key.1);
            if let Some(child) = tree.child(id, name, false) {
                let mut declared = self.element(&particle.piece, particle.min, particle.most, particle.is_choice);
                declared.notes.extend(particle.of.as_deref().map(of_type));
                tree.nodes[child].declared.get_or_insert(declared);
            }
        }
        if content.has_any
            && let Some(declared) = &mut tree.nodes[id].declared
        {
            declared.notes.push("the schema allows any element here: what no column takes is unmapped".to_owned());
        }
    }

    /// Adds what the types that extend a complex type have besides, all of it optional; answers the names of the types.
    fn extend(&self, complex: &Piece, content: &mut Content) -> Vec<String> {
        let Some(name) = complex.get("name") else { return Vec::new() };
        let mut keys = vec![(complex.context.target.clone(), name.trim().to_owned())];
        let mut next = 0;
        while let Some(key) = keys.get(next) {
            let more = self.extensions.get(key).into_iter().flatten();
            let more: Vec<Key> = more.filter(|key| !keys.contains(*key)).cloned().collect();
            keys.extend(more);
            keys.truncate(MAX_EXTENSIONS);
            next += 1;
        }
        let mut names = Vec::new();
        for key in keys.into_iter().skip(1) {
            let Some(piece) = self.types.get(&key) else { continue };
            let own = self.content(piece, 0);
            for mut particle in own.particles {
                if !content.particles.iter().any(|known| known.key == particle.key) {
                    (particle.min, particle.of) = (0, Some(key.1.clone()));
                    content.particles.push(particle);
                }
            }
            for (attribute, mut declared) in own.attributes {
                if !content.attributes.iter().any(|(known, _)| *known == attribute) {
                    (declared.min, declared.default) = (0, None);
                    declared.notes.push(of_type(&key.1));
                    content.attributes.push((attribute, declared));
                }
            }
            names.push(key.1);
        }
        names
    }

    /// Puts what no sample had into the tree: breadth first, no type inside itself, and so many paths at most.
    /// Answers the nodes that were left as they are.
    pub(in crate::infer) fn complete(&self, tree: &mut Tree) {
        let mut queue = std::collections::VecDeque::from([ROOT]);
        let mut added = 0;
        while let Some(id) = queue.pop_front() {
            let is_open = !tree.nodes[id].is_expanded && !is_recursive(tree, id);
            if is_open && added < MAX_DECLARED && tree.room() > MAX_DECLARED {
                let before = tree.nodes.len();
                tree.nodes[id].is_expanded = true;
                self.expand(tree, id);
                added += tree.nodes.len() - before;
            }
            queue.extend(tree.nodes[id].children.iter().copied().filter(|&child| !tree.nodes[child].is_attribute));
        }
    }

    /// What is said of an element.
    fn element(&self, piece: &Piece, min: u64, most: Option<u64>, is_choice: bool) -> Declared {
        let real = piece.key("ref").and_then(|key| self.elements.get(&key)).unwrap_or(piece);
        let is_nillable = real.get("nillable") == Some("true");
        let mut declared = Declared { min, most, is_nillable, ..Declared::default() };
        if is_choice {
            declared.notes.push("one of a choice".to_owned());
        }
        if let Some(default) = real.get("default") {
            declared.notes.push(format!("the schema's default for an empty one is {default:?}"));
        }
        if let Some(fixed) = real.get("fixed") {
            declared.notes.push(format!("the schema allows only {fixed:?}"));
        }
        let inline = real.child("complexType");
        let named = real.key("type");
        let complex = inline
            .or_else(|| named.as_ref().and_then(|key| self.types.get(key)).filter(|t| t.is("complexType")).cloned());
        let simple = match (&complex, &named, real.child("simpleType")) {
            (Some(complex), ..) => {
                declared.is_mixed = self.is_mixed(complex, 0);
                complex.child("simpleContent").is_some().then(|| self.simple_content(complex, 0))
            }
            (None, _, Some(inline)) => Some(self.simple(&inline, 0)),
            (None, Some((namespace, local)), None) if namespace == XS && local == "anyType" => None,
            (None, Some(key), None) => Some(self.simple_named(key, 0)),
            (None, None, None) => None,
        };
        declared.complex = complex;
        if let Some((rules, notes)) = simple.map(Simple::rules) {
            declared.set_rules(rules, notes);
        }
        declared
    }

    /// The text of a complex type with simple content.
    pub(super) fn simple_content(&self, complex: &Piece, depth: usize) -> Simple {
        let content = complex.child("simpleContent");
        let derived = content.and_then(|content| content.child("extension").or_else(|| content.child("restriction")));
        let Some(derived) = derived.filter(|_| depth < MAX_CHAIN && self.step()) else {
            return Simple::builtin("string");
        };
        let mut base = match (derived.key("base"), derived.child("simpleType")) {
            (_, Some(inline)) => self.simple(&inline, depth + 1),
            (Some(key), None) => self.simple_named(&key, depth + 1),
            (None, None) => Simple::builtin("string"),
        };
        if derived.is("restriction") {
            base.restrict(&derived);
        }
        base
    }

    fn is_mixed(&self, complex: &Piece, depth: usize) -> bool {
        let content = complex.child("complexContent");
        let derived = content.as_ref().and_then(|content| content.child("extension"));
        let base = derived.and_then(|derived| derived.key("base")).and_then(|key| self.types.get(&key));
        complex.get("mixed") == Some("true")
            || content.is_some_and(|content| content.get("mixed") == Some("true"))
            || (depth < MAX_CHAIN && base.is_some_and(|base| self.is_mixed(base, depth + 1)))
    }

    fn content(&self, complex: &Piece, depth: usize) -> Content {
        let mut content = Content::default();
        if depth > MAX_CHAIN || !self.step() {
            return content;
        }
        let derived = complex
            .child("complexContent")
            .or_else(|| complex.child("simpleContent"))
            .and_then(|content| content.child("extension").or_else(|| content.child("restriction")));
        let own = derived.as_ref().unwrap_or(complex);
        if let Some(base) =
            derived.as_ref().and_then(|derived| derived.key("base")).and_then(|key| self.types.get(&key))
        {
            content = self.content(base, depth + 1);
            if own.is("restriction") {
                // A restriction writes down again what it keeps, but only of the elements.
                content.particles.clear();
            }
        }
        for child in own.children() {
            match child.element.local.as_str() {
                "sequence" | "all" | "choice" | "group" => {
                    let particles = self.particles(&child, &mut content.has_any, depth);
                    content.particles = merge(content.particles, particles, false);
                }
                _ => {}
            }
        }
        self.attributes(own, &mut content.attributes, depth);
        content
    }

    fn attributes(&self, owner: &Piece, found: &mut Vec<(Key, Declared)>, depth: usize) {
        for child in owner.children() {
            match child.element.local.as_str() {
                "attribute" => {
                    let Some((key, declared)) = self.attribute(&child) else { continue };
                    found.retain(|(known, _)| *known != key);
                    if child.get("use") != Some("prohibited") {
                        found.push((key, declared));
                    }
                }
                "attributeGroup" if depth < MAX_CHAIN && self.step() => {
                    if let Some(group) = child.key("ref").and_then(|key| self.attribute_groups.get(&key)) {
                        self.attributes(group, found, depth + 1);
                    }
                }
                _ => {}
            }
        }
    }

    fn attribute(&self, piece: &Piece) -> Option<(Key, Declared)> {
        let reference = piece.key("ref");
        let real = match &reference {
            Some(key) => self.attributes.get(key),
            None => Some(piece),
        };
        let key = match (reference, piece.get("name")) {
            (Some(key), _) => key,
            (None, Some(name)) => {
                let is_qualified = match piece.get("form") {
                    Some(form) => form == "qualified",
                    None => piece.context.attributes_qualified,
                };
                (if is_qualified { piece.context.target.clone() } else { String::new() }, name.trim().to_owned())
            }
            (None, None) => return None,
        };
        let simple = real.map(|real| match (real.key("type"), real.child("simpleType")) {
            (Some(key), _) => self.simple_named(&key, 0),
            (None, Some(inline)) => self.simple(&inline, 0),
            (None, None) => Simple::builtin("string"),
        });
        let is_required = piece.get("use") == Some("required");
        let said = |name: &str| piece.get(name).or_else(|| real.and_then(|real| real.get(name))).map(str::to_owned);
        let min = u64::from(is_required);
        let mut declared = Declared { min, most: Some(1), default: said("default"), ..Declared::default() };
        if let Some(fixed) = said("fixed") {
            declared.notes.push(format!("the schema allows only {fixed:?}"));
        }
        let (rules, notes) = simple.unwrap_or_else(|| Simple::builtin("string")).rules();
        declared.set_rules(rules, notes);
        Some((key, declared))
    }

    /// The elements of a model group, each once.
    fn particles(&self, piece: &Piece, has_any: &mut bool, depth: usize) -> Vec<Particle> {
        if depth > MAX_CHAIN || !self.step() {
            return Vec::new();
        }
        let (min, most) = piece.occurs();
        if most == Some(0) {
            return Vec::new();
        }
        let group = if piece.is("group") {
            let group = piece.key("ref").and_then(|key| self.groups.get(&key));
            group.and_then(|group| {
                group.children().find(|child| ["sequence", "all", "choice"].iter().any(|l| child.is(l)))
            })
        } else {
            Some(piece.clone())
        };
        let Some(group) = group else { return Vec::new() };
        let is_choice = group.is("choice");
        let mut found = Vec::new();
        for child in group.children() {
            let next = match child.element.local.as_str() {
                "element" => self.element_particles(&child),
                "sequence" | "all" | "choice" | "group" => self.particles(&child, has_any, depth + 1),
                "any" => {
                    *has_any = true;
                    continue;
                }
                _ => continue,
            };
            found = merge(found, next, is_choice);
        }
        for particle in &mut found {
            particle.min = if is_choice { 0 } else { particle.min.saturating_mul(min) };
            particle.most = most.zip(particle.most).map(|(outer, inner)| outer.saturating_mul(inner));
            particle.is_choice |= is_choice && group.element.children.len() > 1;
        }
        found
    }

    /// An element, and what may stand in its place.
    fn element_particles(&self, piece: &Piece) -> Vec<Particle> {
        let (min, most) = piece.occurs();
        if most == Some(0) {
            return Vec::new();
        }
        let Some(reference) = piece.key("ref") else {
            let Some(name) = piece.get("name") else { return Vec::new() };
            let is_qualified = match piece.get("form") {
                Some(form) => form == "qualified",
                None => piece.context.elements_qualified,
            };
            let namespace = if is_qualified { piece.context.target.clone() } else { String::new() };
            let key = (namespace, name.trim().to_owned());
            return vec![Particle { key, piece: piece.clone(), min, most, is_choice: false, of: None }];
        };
        let mut all = vec![reference];
        let mut next = 0;
        while let Some(head) = all.get(next).cloned() {
            for member in self.members.get(&head).into_iter().flatten() {
                if !all.contains(member) && all.len() < 1000 {
                    all.push(member.clone());
                }
            }
            next += 1;
        }
        let is_choice = all.len() > 1;
        let real = all.into_iter().filter_map(|key| Some((self.elements.get(&key)?.clone(), key)));
        let real = real.filter(|(piece, _)| piece.get("abstract") != Some("true"));
        real.map(|(piece, key)| Particle {
            key,
            piece,
            min: if is_choice { 0 } else { min },
            most,
            is_choice,
            of: None,
        })
        .collect()
    }
}

fn of_type(name: &str) -> String {
    format!("of the type {name}, where xsi:type says so")
}

/// Two lists of elements as one; an element of both may occur as often as both together, or as either in a choice.
fn merge(mut left: Vec<Particle>, right: Vec<Particle>, is_choice: bool) -> Vec<Particle> {
    for particle in right {
        match left.iter_mut().find(|known| known.key == particle.key) {
            Some(known) if is_choice => {
                known.min = known.min.min(particle.min);
                known.most = known.most.zip(particle.most).map(|(left, right)| left.max(right));
            }
            Some(known) => {
                known.min = known.min.saturating_add(particle.min);
                known.most = known.most.zip(particle.most).map(|(left, right)| left.saturating_add(right));
            }
            None => left.push(particle),
        }
    }
    left
}

/// Whether the type of a node is that of an element around it.
fn is_recursive(tree: &Tree, id: NodeId) -> bool {
    let complex = |id: NodeId| tree.nodes[id].declared.as_ref().and_then(|declared| declared.complex.as_ref());
    let Some(own) = complex(id) else { return false };
    let mut next = tree.nodes[id].parent;
    while let Some(above) = next {
        if complex(above).is_some_and(|other| other.is_same(own)) {
            return true;
        }
        next = tree.nodes[above].parent;
    }
    false
}
