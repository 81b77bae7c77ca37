//! What is counted as unmapped, against a model that looks at whole trees and whole paths: no states, no memory.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::batch::DriftKind;
use crate::model::mapping::{Child, Condition, Repeat, Step, Unmapped};

/// No namespace, and two.
const SPACES: [Option<&str>; 3] = [None, Some("urn:x"), Some("urn:y")];
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Pieces of text as they are written and as they are meant.
const TEXTS: [(&str, &str); 9] = [
    ("t", "t"),
    (" ", " "),
    ("\n", "\n"),
    ("&amp;", "&"),
    ("&#32;", " "),
    ("<![CDATA[x]]>", "x"),
    ("<![CDATA[ ]]>", " "),
    ("<!-- c -->", ""),
    ("two words", "two words"),
];

#[derive(Debug, Clone)]
struct Element {
    name: Name,
    /// How its namespace is written: with one of two prefixes, or as the default.
    form: usize,
    attributes: Vec<(Name, &'static str)>,
    inside: Vec<Inside>,
}

#[derive(Debug, Clone)]
enum Inside {
    Element(Element),
    Text(usize),
}

fn names() -> impl Strategy<Value = Name> {
    let space = prop_oneof![4 => Just(0_usize), 1 => Just(1), 1 => Just(2)];
    (space, prop_oneof![Just("a"), Just("b"), Just("c")])
        .prop_map(|(space, local)| Name { namespace: SPACES[space].map(Arc::from), local: local.into() })
}

fn attributes() -> impl Strategy<Value = Vec<(Name, &'static str)>> {
    let name = prop_oneof![
        4 => proptest::sample::select(vec!["k", "l", "m"]).prop_map(name),
        1 => names(),
        1 => Just(Name { namespace: Some(XSI.into()), local: "type".into() }),
    ];
    let one = (name, prop_oneof![Just("1"), Just("2"), Just("a &lt; b")]);
    proptest::collection::vec(one, 0..4).prop_map(|all| {
        let named: BTreeMap<Name, &'static str> = all.into_iter().collect();
        named.into_iter().collect()
    })
}

fn elements() -> impl Strategy<Value = Element> {
    let leaf = (names(), 0..3_usize, attributes(), proptest::collection::vec(0..TEXTS.len(), 0..3)).prop_map(
        |(name, form, attributes, texts)| {
            let inside = texts.into_iter().map(Inside::Text).collect();
            Element { name, form, attributes, inside }
        },
    );
    leaf.prop_recursive(5, 60, 6, |inner| {
        let inside = prop_oneof![3 => inner.prop_map(Inside::Element), 1 => (0..TEXTS.len()).prop_map(Inside::Text)];
        (names(), 0..3_usize, attributes(), proptest::collection::vec(inside, 0..6))
            .prop_map(|(name, form, attributes, inside)| Element { name, form, attributes, inside })
    })
}

/// Appends an element; `scope` are the prefixes in force, the empty one among them.
fn write(element: &Element, scope: &BTreeMap<String, String>, out: &mut String) {
    let mut scope = scope.clone();
    let mut declared = String::new();
    let mut declare = |prefix: &str, uri: &str| {
        if scope.get(prefix).map_or("", String::as_str) != uri {
            scope.insert(prefix.to_owned(), uri.to_owned());
            let colon = if prefix.is_empty() { "" } else { ":" };
            declared.push_str(&format!(" xmlns{colon}{prefix}='{uri}'"));
        }
    };
    let prefix = match (&element.name.namespace, element.form) {
        (None, _) | (_, 0) => "",
        (_, 1) => "p",
        _ => "q",
    };
    declare(prefix, element.name.namespace.as_deref().unwrap_or(""));
    let qualified = |prefix: &str, local: &str| {
        if prefix.is_empty() { local.to_owned() } else { format!("{prefix}:{local}") }
    };
    let mut attributes = String::new();
    for (name, value) in &element.attributes {
        let prefix = match name.namespace.as_deref() {
            None => "",
            Some("urn:x") => "x",
            Some("urn:y") => "y",
            Some(_) => "i",
        };
        if let Some(uri) = &name.namespace {
            declare(prefix, uri);
        }
        attributes.push_str(&format!(" {}='{value}'", qualified(prefix, &name.local)));
    }
    let tag = qualified(prefix, &element.name.local);
    out.push_str(&format!("<{tag}{declared}{attributes}"));
    if element.inside.is_empty() && element.form == 0 {
        return out.push_str("/>");
    }
    out.push('>');
    for inside in &element.inside {
        match inside {
            Inside::Element(element) => write(element, &scope, out),
            Inside::Text(text) => out.push_str(TEXTS[*text].0),
        }
    }
    out.push_str(&format!("</{tag}>"));
}

fn steps(lengths: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Step>> {
    let condition = Condition { attribute: name("k"), value: "1".into() };
    let step = (proptest::option::weighted(0.8, names()), proptest::option::weighted(0.2, Just(condition)))
        .prop_map(|(name, condition)| Step { name, condition });
    proptest::collection::vec(step, lengths)
}

fn columns() -> impl Strategy<Value = Vec<Column>> {
    let take = prop_oneof![
        5 => Just(Take::Text),
        1 => Just(Take::AllText),
        1 => Just(Take::Element),
        3 => proptest::sample::select(vec!["k", "l", "{urn:x}a"]).prop_map(|of| Take::Attribute(name(of))),
    ];
    let column = (steps(0..4), any::<bool>(), take).prop_map(|(steps, from_root, take)| {
        let path = Path { from_root, steps, take };
        Column { repeat: Repeat::Count, ..Column::new("c", path, Kind::String) }
    });
    proptest::collection::vec(column, 0..5)
}

fn mappings() -> impl Strategy<Value = Mapping> {
    let child = (steps(1..3), columns()).prop_map(|(rows, columns)| Child {
        name: "child".to_owned(),
        rows,
        columns,
        children: Vec::new(),
    });
    let root = proptest::option::weighted(0.3, names());
    let rows = proptest::collection::vec(steps(1..3), 0..3);
    (root, rows, columns(), proptest::option::of(child), any::<bool>()).prop_map(
        |(root, rows, columns, child, named)| {
            let namespaces = BTreeMap::from([("mine".to_owned(), "urn:x".to_owned())]);
            Mapping {
                root,
                rows,
                children: child.into_iter().collect(),
                namespaces: if named { namespaces } else { BTreeMap::new() },
                unmapped: Unmapped::Count,
                ..Mapping::new("test.toml", columns)
            }
        },
    )
}

/// What a path leads to.
enum Goal<'m> {
    Take(&'m Take),
    /// Rows of the table of that number.
    Row(u16),
}

/// All paths of a mapping, from the root element on.
fn paths(mapping: &Mapping) -> Vec<(Vec<Step>, Goal<'_>)> {
    let root = vec![Step { name: mapping.root.clone(), condition: None }];
    let row: Vec<Step> = [root.clone(), mapping.rows.concat()].concat();
    let mut all = vec![(row.clone(), Goal::Row(0))];
    let add = |columns: &'_ [Column], from: &[Step]| -> Vec<(Vec<Step>, usize)> {
        let start = |column: &Column| if column.path.from_root { root.clone() } else { from.to_vec() };
        columns
            .iter()
            .enumerate()
            .map(|(at, column)| ([start(column), column.path.steps.clone()].concat(), at))
            .collect()
    };
    for (steps, at) in add(&mapping.columns, &row) {
        all.push((steps, Goal::Take(&mapping.columns[at].path.take)));
    }
    for child in &mapping.children {
        let inner = [row.clone(), child.rows.clone()].concat();
        for (steps, at) in add(&child.columns, &inner) {
            all.push((steps, Goal::Take(&child.columns[at].path.take)));
        }
        all.push((inner, Goal::Row(1)));
    }
    all
}

type Counts = BTreeMap<(u16, String, DriftKind), (u64, Vec<String>)>;

struct Model<'m> {
    mapping: &'m Mapping,
    paths: Vec<(Vec<Step>, Goal<'m>)>,
    counts: Counts,
}

impl<'m> Model<'m> {
    fn fits(step: &Step, element: &Element) -> bool {
        let has = |condition: &Condition| {
            element.attributes.iter().any(|(name, value)| *name == condition.attribute && **value == *condition.value)
        };
        step.name.as_ref().is_none_or(|name| *name == element.name) && step.condition.as_ref().is_none_or(has)
    }

    /// The paths that begin with this chain of elements.
    fn reached(&self, chain: &[&Element]) -> Vec<&(Vec<Step>, Goal<'m>)> {
        let begins = |(steps, _): &&(Vec<Step>, Goal<'m>)| {
            steps.len() >= chain.len() && steps.iter().zip(chain).all(|(step, element)| Self::fits(step, element))
        };
        self.paths.iter().filter(begins).collect()
    }

    fn count(&mut self, table: u16, path: String, kind: DriftKind, value: &str) {
        let count = self.counts.entry((table, path, kind)).or_default();
        count.0 += 1;
        count.1.push(value.trim_ascii().to_owned());
    }

    /// `row`: table, and how many elements are around its row, it included.
    fn visit<'e>(
        &mut self,
        chain: &mut Vec<&'e Element>,
        element: &'e Element,
        row: Option<(u16, usize)>,
        whole: bool,
    ) {
        chain.push(element);
        let reached = self.reached(chain);
        let is_unmapped = reached.is_empty();
        let ends: Vec<&Goal<'_>> =
            reached.iter().filter(|(steps, _)| steps.len() == chain.len()).map(|(_, goal)| goal).collect();
        let takes = |wanted: &Take| ends.iter().any(|goal| matches!(goal, Goal::Take(take) if *take == wanted));
        let is_whole = whole || takes(&Take::AllText) || takes(&Take::Element);
        let has_text = is_whole || takes(&Take::Text);
        let own_row = ends.iter().find_map(|goal| if let Goal::Row(table) = goal { Some(*table) } else { None });
        let row = own_row.map(|table| (table, chain.len())).or(row);
        let taken: Vec<Name> = ends
            .iter()
            .filter_map(|goal| if let Goal::Take(Take::Attribute(name)) = goal { Some(name.clone()) } else { None })
            .collect();
        if !is_whole {
            for (name, value) in &element.attributes {
                let is_asked_for = self
                    .paths
                    .iter()
                    .flat_map(|(steps, _)| steps)
                    .any(|step| step.condition.as_ref().is_some_and(|condition| condition.attribute == *name));
                if !taken.contains(name) && !is_asked_for && name.namespace.as_deref() != Some(XSI) {
                    let path = self.path(chain, row, &format!("@{}", self.shown(name)));
                    self.count(row.map_or(0, |row| row.0), path, DriftKind::Attribute, value);
                }
            }
        }
        let mut text = String::new();
        let mut has_children = false;
        for inside in &element.inside {
            match inside {
                Inside::Element(element) => {
                    has_children = true;
                    self.visit(chain, element, row, is_whole);
                }
                Inside::Text(piece) => text.push_str(TEXTS[*piece].1),
            }
        }
        let table = row.map_or(0, |row| row.0);
        if !has_text && is_unmapped && !has_children {
            let path = self.path(chain, row, "");
            self.count(table, path, DriftKind::Element, &text);
        } else if !has_text && !text.trim_ascii().is_empty() {
            let path = self.path(chain, row, "text()");
            self.count(table, path, DriftKind::Text, &text);
        }
        chain.pop();
    }

    fn shown(&self, name: &Name) -> String {
        let Some(uri) = &name.namespace else { return name.local.to_string() };
        match self.mapping.namespaces.iter().find(|(_, known)| **known == **uri) {
            Some((prefix, _)) => format!("{prefix}:{}", name.local),
            None => format!("{{{uri}}}{}", name.local),
        }
    }

    fn path(&self, chain: &[&Element], row: Option<(u16, usize)>, part: &str) -> String {
        let mut steps: Vec<String> = chain.iter().map(|element| self.shown(&element.name)).collect();
        steps.push(part.to_owned());
        let from = row.map_or(1, |(_, depth)| depth);
        let steps: Vec<String> = steps.drain(from..).filter(|step| !step.is_empty()).collect();
        format!("{}{}", if row.is_none() { "/" } else { "" }, steps.join("/"))
    }
}

fn model(mapping: &Mapping, documents: &[Element]) -> Counts {
    let mut model = Model { mapping, paths: paths(mapping), counts: Counts::new() };
    for document in documents {
        let is_expected = mapping.root.as_ref().is_none_or(|root| *root == document.name);
        model.visit(&mut Vec::new(), document, None, !is_expected);
    }
    model.counts
}

proptest! {
    #[test]
    fn counts_are_those_of_the_model(
        mapping in mappings(),
        batches in proptest::collection::vec(proptest::collection::vec(elements(), 1..5), 1..4),
    ) {
        let mut parser = parser(&mapping);
        for documents in &batches {
            let written: Vec<String> = documents.iter().map(|document| {
                let mut out = String::new();
                write(document, &BTreeMap::new(), &mut out);
                out
            }).collect();
            let payloads: Vec<Option<&[u8]>> = written.iter().map(|text| Some(text.as_bytes())).collect();
            let parsed = parser.parse(&batch(&payloads), Some(0)).unwrap();
            let is_good = |verdict: &Verdict| verdict.violations.iter().all(|found| found.code.name() == "shape.root");
            prop_assert!(parsed.verdicts.iter().all(is_good), "{:?}", parsed.verdicts);
            let mut expected = model(&mapping, documents);
            for found in &parsed.drift {
                let key = (found.table, found.path.to_string(), found.kind);
                let (count, values) = expected.remove(&key).unwrap_or_default();
                prop_assert_eq!(found.count, count, "{:?} in {:?}", key, &written);
                let is_one = |example: &String| !example.is_empty() && values.contains(example);
                prop_assert!(found.examples.iter().all(is_one), "{:?} of {:?} in {:?}", found, values, &written);
            }
            prop_assert!(expected.is_empty(), "{:?} in {:?}", expected, &written);
        }
    }
}
