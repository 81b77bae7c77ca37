//! A mapping under way: what will be written, in its order.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::tree::{NameId, Names};
use crate::lexical::is_unqualified_name;

/// Longest name of a column or table.
const MAX_NAME: usize = 120;
/// Names that Forebay gives to columns of its own, or that paths of files give.
const RESERVED: [&str; 5] = ["row_index", "ordinal", "parent_ordinal", "dt", "hr"];
const XML_URI: &str = "http://www.w3.org/XML/1998/namespace";

/// Where a column's value stands; decides who keeps the plain name when two would have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Origin {
    /// An element in the row.
    #[default]
    Element,
    /// An element outside the row.
    Outside,
    /// An attribute.
    Attribute,
}

/// One column.
#[derive(Debug, Clone, Default)]
pub(super) struct Column {
    /// Local names on the way to it: its name comes from them.
    pub(super) parts: Vec<Arc<str>>,
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) path: String,
    pub(super) kind: String,
    pub(super) comments: Vec<String>,
    /// Further keys with their values as TOML.
    pub(super) keys: Vec<(&'static str, String)>,
    /// Of a struct.
    pub(super) fields: Vec<Self>,
    /// The most bytes that its values of one document take.
    pub(super) bytes: f64,
}

impl Column {
    /// The same with a sentence why it is so.
    pub(super) fn because(mut self, why: &str) -> Self {
        self.comments.push(why.to_owned());
        self
    }

    /// Of an element as it is: the same of all text in it.
    pub(super) fn into_all_text(mut self) -> Self {
        self.kind = self.kind.replace("xml", "string");
        self.path = if self.path == "." { "string()".to_owned() } else { self.path + "/string()" };
        self
    }

    fn has_conflict(&self) -> bool {
        self.comments.iter().any(|line| line.starts_with("conflict"))
    }
}

/// A table: the one of the message, or a child.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    /// Local names on the way from the parent's row: its name comes from them.
    pub(super) parts: Vec<Arc<str>>,
    pub(super) name: String,
    /// Path of the element that is its row.
    pub(super) rows: String,
    pub(super) comments: Vec<String>,
    pub(super) columns: Vec<Column>,
    pub(super) children: Vec<Self>,
}

/// A mapping.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub(super) comments: Vec<String>,
    pub(super) root: Option<String>,
    pub(super) root_comments: Vec<String>,
    /// One path, or several, outermost first.
    pub(super) rows: Vec<String>,
    pub(super) row_comments: Vec<String>,
    /// Columns of what lies around the row that are left out, because rows would share too much.
    pub(super) not_shared: usize,
    /// Optional paths of the schema that no sample has, and which have no column, because there are many.
    pub(super) unseen: u64,
    /// Paths that have no column, because there are too many.
    pub(super) dropped: u64,
    pub(super) has_doctype: bool,
    pub(super) namespaces: BTreeMap<String, String>,
    pub(super) limits: Vec<(&'static str, String)>,
    pub(super) table: Table,
}

impl Draft {
    /// The prefixes that stand in its paths.
    pub(super) fn prefixes(&self) -> HashSet<String> {
        let mut found = HashSet::new();
        for path in self.root.iter().chain(&self.rows) {
            collect_prefixes(path, &mut found);
        }
        self.table.collect_prefixes(&mut found);
        found
    }
}

fn collect_prefixes(path: &str, found: &mut HashSet<String>) {
    let names = path.split(['/', '@']).filter_map(|name| name.split_once(':'));
    for (prefix, _) in names {
        if !found.contains(prefix) {
            found.insert(prefix.to_owned());
        }
    }
}

impl Table {
    fn collect_prefixes(&self, found: &mut HashSet<String>) {
        collect_prefixes(&self.rows, found);
        let mut waiting: Vec<&Column> = self.columns.iter().collect();
        while let Some(column) = waiting.pop() {
            collect_prefixes(&column.path, found);
            waiting.extend(&column.fields);
        }
        self.children.iter().for_each(|child| child.collect_prefixes(found));
    }

    /// Names of the columns here and below that a person has to decide something about; that of a field behind a dot.
    pub(super) fn conflicts(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect_conflicts("", &self.columns, &mut found);
        found.extend(self.children.iter().flat_map(Self::conflicts));
        found
    }

    /// A table has a column at least: where everything in its row is in tables below it, how many rows those have.
    pub(super) fn count_what_it_holds(&mut self) {
        if !self.columns.is_empty() {
            return;
        }
        let counts = self.children.iter().map(|child| Column {
            parts: child.parts.iter().cloned().chain([Arc::from("count")]).collect(),
            path: child.rows.clone(),
            kind: "int64".to_owned(),
            comments: vec!["what is in it is in a table below; this counts the rows there".to_owned()],
            keys: vec![("repeat", "\"count\"".to_owned())],
            ..Column::default()
        });
        self.columns = counts.collect();
    }
}

fn collect_conflicts(above: &str, columns: &[Column], found: &mut Vec<String>) {
    for column in columns {
        let name = format!("{above}{}", column.name);
        collect_conflicts(&format!("{name}."), &column.fields, found);
        if column.has_conflict() {
            found.push(name);
        }
    }
}

/// Prefixes of the mapping, given out as they are needed.
#[derive(Debug)]
pub(super) struct Prefixes<'n> {
    names: &'n Names,
    given: HashMap<Arc<str>, String>,
    /// Each prefix that was given out, and the number that the next one like it gets.
    taken: HashMap<String, usize>,
}

impl<'n> Prefixes<'n> {
    pub(super) fn new(names: &'n Names) -> Self {
        Self { names, given: HashMap::new(), taken: HashMap::new() }
    }

    /// A name as the mapping writes it.
    pub(super) fn write(&mut self, name: NameId) -> String {
        let Some(name) = self.names.get(name) else { return String::new() };
        match &name.namespace {
            None => name.local.to_string(),
            Some(uri) if **uri == *XML_URI => format!("xml:{}", name.local),
            Some(uri) => format!("{}:{}", self.prefix(uri), name.local),
        }
    }

    fn prefix(&mut self, uri: &Arc<str>) -> String {
        if let Some(prefix) = self.given.get(uri) {
            return prefix.clone();
        }
        let usable = |prefix: &str| {
            is_unqualified_name(prefix)
                && prefix.is_ascii()
                && !prefix.to_lowercase().starts_with("xml")
                && prefix.len() <= 32
        };
        let seen = self.names.prefixes.get(uri).map(String::as_str).filter(|prefix| usable(prefix));
        let last = uri.split(['/', ':', '#']).rfind(|part| !part.is_empty()).unwrap_or_default();
        let short: String =
            last.chars().take_while(char::is_ascii_alphabetic).take(12).collect::<String>().to_lowercase();
        let base = seen.map(str::to_owned).or_else(|| Some(short).filter(|prefix| usable(prefix)));
        let base = base.unwrap_or_else(|| "ns".to_owned());
        let mut prefix = base.clone();
        while self.taken.contains_key(&prefix) {
            let next = self.taken.entry(base.clone()).or_insert(2);
            prefix = format!("{base}{next}");
            *next += 1;
        }
        self.taken.insert(prefix.clone(), 2);
        self.given.insert(Arc::clone(uri), prefix.clone());
        prefix
    }

    /// The prefixes that were given out, each with its URI.
    pub(super) fn given(self) -> BTreeMap<String, String> {
        self.given.into_iter().map(|(uri, prefix)| (prefix, uri.to_string())).collect()
    }
}

/// Gives every column of a table its name: the steps of its path joined by `_`. Elements of the row come first, then
/// elements from outside it, which take the root's name before theirs if need be, then attributes, which take `_attr`
/// behind theirs; what is still taken is numbered. Engines compare names without regard to case.
pub(super) fn name_columns(table: &mut Table, root: &str) {
    let mut taken = HashSet::new();
    for origin in [Origin::Element, Origin::Outside, Origin::Attribute] {
        for column in table.columns.iter_mut().filter(|column| column.origin == origin) {
            let plain = join(&column.parts);
            let marked = match origin {
                Origin::Element => None,
                Origin::Outside => Some(shorten(&format!("{}_{plain}", sanitize(root)))),
                Origin::Attribute => Some(shorten(&format!("{plain}_attr"))),
            };
            let numbered = (2..).map(|number| format!("{plain}_{number}"));
            let all = std::iter::once(plain.clone()).chain(marked).chain(numbered);
            let is_free = |name: &String| !is_reserved(name) && !taken.contains(&name.to_ascii_lowercase());
            column.name = all.into_iter().find(is_free).unwrap_or_default();
            taken.insert(column.name.to_ascii_lowercase());
        }
    }
}

/// A name in small letters for a column of an element or attribute of this local name: one that `taken` does not have,
/// and has from then on.
pub fn free_column_name(local: &str, taken: &mut HashSet<String>) -> String {
    let plain = join(&[local.into()]).to_ascii_lowercase();
    let numbered = (2..).map(|number| format!("{plain}_{number}"));
    let all = std::iter::once(plain.clone()).chain(numbered);
    let name = all.into_iter().find(|name| !is_reserved(name) && !taken.contains(name)).unwrap_or_default();
    taken.insert(name.clone());
    name
}

/// A name for a child table that is not taken yet: small letters, digits and `_`.
pub(super) fn table_name(parent: &str, parts: &[Arc<str>], taken: &mut BTreeSet<String>) -> String {
    let own = parts.iter().map(|part| sanitize(part)).collect::<Vec<_>>().join("_");
    let plain = format!("{}_{own}", sanitize(parent)).to_ascii_lowercase();
    let plain = shorten(plain.trim_matches('_'));
    let plain = if plain.starts_with(|c: char| c.is_ascii_lowercase()) { plain } else { format!("t_{plain}") };
    let numbered = (2..).map(|number| format!("{plain}_{number}"));
    let name = std::iter::once(plain.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or_default();
    taken.insert(name.clone());
    name
}

fn is_reserved(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.starts_with("kafka_") || RESERVED.contains(&lower.as_str())
}

fn join(parts: &[Arc<str>]) -> String {
    let joined = parts.iter().map(|part| sanitize(part)).collect::<Vec<_>>().join("_");
    let joined = if joined.to_ascii_lowercase().starts_with("kafka_") { format!("x_{joined}") } else { joined };
    let starts_well = joined.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    shorten(&if starts_well { joined } else { format!("c_{joined}") })
}

fn sanitize(part: &str) -> String {
    part.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// The end of a name that is too long, from the beginning of a step on where there is one.
fn shorten(name: &str) -> String {
    if name.len() <= MAX_NAME {
        return name.to_owned();
    }
    let tail = name.get(name.len() - MAX_NAME..).unwrap_or(name);
    let from_step = tail.split_once('_').map(|(_, rest)| rest).filter(|rest| rest.len() > MAX_NAME / 2);
    let tail = from_step.unwrap_or(tail);
    if tail.starts_with(|c: char| c.is_ascii_digit()) { format!("c_{tail}") } else { tail.to_owned() }
}

/// A text as a TOML string.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // Controls, and what would change the direction or the lines of what a person reads.
            c if c.is_control()
                || matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}' | '\u{FEFF}') =>
            {
                quoted.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A list of texts as TOML.
pub(super) fn quote_list<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    format!("[{}]", texts.into_iter().map(quote).collect::<Vec<_>>().join(", "))
}
