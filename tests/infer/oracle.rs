//! The mapping language, read plainly: a tree of the document, and each column looked up in it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use quick_xml::NsReader;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use regex::Regex;
use serde_json::Value;

const XML_URI: &str = "http://www.w3.org/XML/1998/namespace";
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

type Name = (String, String);

#[derive(Debug, Default)]
pub(crate) struct Element {
    name: Name,
    attributes: Vec<(Name, String, Cell<bool>)>,
    /// Own text, piece by piece, and children in between.
    content: Vec<Content>,
    is_taken: Cell<bool>,
}

#[derive(Debug)]
enum Content {
    Text(String),
    Child(Element),
}

/// The text of a document, its encoding undone.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).to_vec())
        .unwrap_or_else(|error| error.into_bytes().iter().map(|&byte| char::from(byte)).collect())
}

impl Element {
    pub(crate) fn read(text: &str) -> Self {
        let mut reader = NsReader::from_str(text);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().unwrap() {
                Event::Start(tag) => open.push(Self::of(&reader, &tag)),
                Event::Empty(tag) => {
                    let element = Self::of(&reader, &tag);
                    open.last_mut().unwrap().content.push(Content::Child(element));
                }
                Event::End(_) => {
                    let element = open.pop().unwrap();
                    open.last_mut().unwrap().content.push(Content::Child(element));
                }
                Event::Text(piece) => open.last_mut().unwrap().push(&piece.xml10_content()),
                Event::CData(piece) => open.last_mut().unwrap().push(&piece.xml10_content()),
                Event::GeneralRef(name) => {
                    let escaped = format!("&{};", &*name);
                    open.last_mut().unwrap().push(&quick_xml::escape::unescape(&escaped).unwrap());
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let document = open.pop().unwrap();
        let root = document.content.into_iter().find_map(|content| match content {
            Content::Child(root) => Some(root),
            Content::Text(_) => None,
        });
        root.unwrap()
    }

    fn of(reader: &NsReader<&[u8]>, tag: &quick_xml::events::BytesStart<'_>) -> Self {
        let uri = |found: ResolveResult<'_>| match found {
            ResolveResult::Bound(uri) => uri.as_ref().to_owned(),
            _ => String::new(),
        };
        let (found, local) = reader.resolver().resolve_element(tag.name());
        let mut element = Self { name: (uri(found), local.as_ref().to_owned()), ..Self::default() };
        for attribute in tag.attributes() {
            let attribute = attribute.unwrap();
            let raw: &str = attribute.key.as_ref();
            if raw == "xmlns" || raw.starts_with("xmlns:") {
                continue;
            }
            let (found, local) = reader.resolver().resolve_attribute(attribute.key);
            let name = (uri(found), local.as_ref().to_owned());
            let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).unwrap().into_owned();
            let is_of_schemas = name.0 == XSI && name.1 != "type";
            element.attributes.push((name, value, Cell::new(is_of_schemas)));
        }
        element
    }

    fn push(&mut self, text: &str) {
        self.content.push(Content::Text(text.to_owned()));
    }

    fn children(&self) -> impl Iterator<Item = &Self> {
        self.content.iter().filter_map(|content| match content {
            Content::Child(child) => Some(child),
            Content::Text(_) => None,
        })
    }

    fn own_text(&self) -> String {
        let texts = self.content.iter().map(|content| match content {
            Content::Text(text) => text.as_str(),
            Content::Child(_) => "",
        });
        texts.collect()
    }

    fn all_text(&self) -> String {
        let texts = self.content.iter().map(|content| match content {
            Content::Text(text) => text.clone(),
            Content::Child(child) => child.all_text(),
        });
        texts.collect()
    }

    fn take_text(&self, with_descendants: bool) {
        self.is_taken.set(true);
        if with_descendants {
            self.children().for_each(|child| child.take_text(true));
        }
    }

    fn take_all(&self) {
        self.is_taken.set(true);
        self.attributes.iter().for_each(|(_, _, taken)| taken.set(true));
        self.children().for_each(Self::take_all);
    }

    fn left(&self, path: &str, found: &mut Vec<String>) {
        let path = format!("{path}/{}", self.name.1);
        if !self.is_taken.get() && !self.own_text().trim().is_empty() {
            found.push(path.clone());
        }
        found.extend(
            self.attributes.iter().filter(|(.., taken)| !taken.get()).map(|((_, name), ..)| format!("{path}/@{name}")),
        );
        self.children().for_each(|child| child.left(&path, found));
    }
}

/// What became of a document.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) violations: Vec<String>,
    /// Texts and attributes that no column has taken.
    pub(crate) left: Vec<String>,
    pub(crate) rows: usize,
    pub(crate) child_rows: BTreeMap<String, usize>,
}

#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) document: Value,
    namespaces: BTreeMap<String, String>,
}

impl Mapping {
    pub(crate) fn read(text: &str) -> Self {
        let document: Value = toml_edit::de::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let namespaces = document.get("namespaces").map_or_else(BTreeMap::new, |all| {
            all.as_object()
                .unwrap()
                .iter()
                .map(|(prefix, uri)| (prefix.clone(), uri.as_str().unwrap().to_owned()))
                .collect()
        });
        for key in document.as_object().unwrap().keys() {
            assert!(
                ["version", "format", "message", "namespaces", "limits", "column", "child"].contains(&key.as_str()),
                "{key}"
            );
        }
        for prefix in namespaces.keys() {
            assert!(text.contains(&format!("{prefix}:")), "{prefix} is of no use\n{text}");
        }
        let mut tables = BTreeSet::new();
        check_table(&document, &mut tables);
        Self { document, namespaces }
    }

    fn name(&self, text: &str) -> Name {
        match text.split_once(':') {
            Some(("xml", local)) => (XML_URI.to_owned(), local.to_owned()),
            Some((prefix, local)) => (self.namespaces[prefix].clone(), local.to_owned()),
            None => (String::new(), text.to_owned()),
        }
    }

    fn steps(&self, path: &str) -> Vec<Name> {
        if path == "." { Vec::new() } else { path.split('/').map(|step| self.name(step)).collect() }
    }

    pub(crate) fn apply(&self, root: &Element) -> Verdict {
        let mut verdict = Verdict::default();
        let message = &self.document["message"];
        if let Some(expected) = message.get("root").and_then(Value::as_str)
            && self.name(expected) != root.name
        {
            verdict.violations.push(format!("root {:?} is not {expected}", root.name));
        }
        let paths: Vec<Vec<Name>> = match message.get("rows") {
            None => Vec::new(),
            Some(Value::String(path)) => vec![self.steps(path)],
            Some(many) => many.as_array().unwrap().iter().map(|path| self.steps(path.as_str().unwrap())).collect(),
        };
        // Each path is written from the root and taken from the one before.
        let mut groups: Vec<Vec<Name>> = Vec::new();
        for path in &paths {
            let before = groups.iter().map(Vec::len).sum::<usize>();
            assert_eq!(path[..before], groups.concat()[..]);
            groups.push(path[before..].to_vec());
        }
        let mut chains: Vec<Vec<&Element>> = vec![vec![root]];
        let mut complete = Vec::new();
        for (index, group) in groups.iter().enumerate() {
            let mut next = Vec::new();
            for chain in chains {
                let mut longer = vec![chain.clone()];
                for step in group {
                    longer = longer
                        .into_iter()
                        .flat_map(|chain| {
                            let last = *chain.last().unwrap();
                            let children: Vec<&Element> = last.children().filter(|child| child.name == *step).collect();
                            children
                                .into_iter()
                                .map(move |child| [chain.clone(), vec![child]].concat())
                                .collect::<Vec<_>>()
                        })
                        .collect();
                }
                if longer.is_empty() && index > 0 {
                    complete.push(chain);
                }
                next.extend(longer);
            }
            chains = next;
        }
        complete.extend(chains);
        verdict.rows = complete.len();
        for chain in &complete {
            // Outer elements without the next one are rows with nulls where the inner columns are.
            let is_whole = chain.len() == 1 + groups.iter().map(Vec::len).sum::<usize>();
            self.row(&self.document, chain, is_whole, &mut verdict);
        }
        root.left("", &mut verdict.left);
        verdict
    }

    fn row(&self, table: &Value, chain: &[&Element], is_whole: bool, verdict: &mut Verdict) {
        for column in table["column"].as_array().unwrap() {
            let path = column["path"].as_str().unwrap();
            if !is_whole && !path.starts_with('/') {
                continue;
            }
            self.column(column, path, chain, verdict);
        }
        for child in table.get("child").and_then(Value::as_array).into_iter().flatten().filter(|_| is_whole) {
            let mut found = vec![*chain.last().unwrap()];
            for step in self.steps(child["rows"].as_str().unwrap()) {
                found = found
                    .into_iter()
                    .flat_map(|e| e.children().filter(|c| c.name == step).collect::<Vec<_>>())
                    .collect();
            }
            *verdict.child_rows.entry(child["name"].as_str().unwrap().to_owned()).or_default() += found.len();
            for element in found {
                self.row(child, &[element], true, verdict);
            }
        }
    }

    fn column(&self, column: &Value, path: &str, chain: &[&Element], verdict: &mut Verdict) {
        let (mut found, rest) = match path.strip_prefix('/') {
            Some(rest) => (vec![chain[0]], if rest.is_empty() { "." } else { rest }),
            None => (vec![*chain.last().unwrap()], path),
        };
        let (steps, take) = match rest.rsplit_once('/').unwrap_or((".", rest)) {
            (steps, take) if take.starts_with('@') || take.ends_with("()") => (steps, take),
            _ => (rest, ""),
        };
        let is_from_root = path.starts_with('/');
        for (level, step) in self.steps(steps).iter().enumerate() {
            let on_the_way = chain.get(level + 1).filter(|inner| {
                is_from_root && inner.name == *step && std::ptr::eq(found[0], chain[level]) && found.len() == 1
            });
            found = match on_the_way {
                Some(inner) => vec![*inner],
                None => {
                    found.iter().flat_map(|e| e.children().filter(|c| c.name == *step).collect::<Vec<_>>()).collect()
                }
            };
            if found.is_empty() {
                break;
            }
        }
        let kind = column["type"].as_str().unwrap();
        let repeat = column.get("repeat").and_then(Value::as_str);
        let values: Vec<String> = match take {
            _ if repeat == Some("count") => return,
            _ if kind == "list<struct>" => {
                assert_eq!(repeat, Some("list"));
                for element in found {
                    for field in column["field"].as_array().unwrap() {
                        self.column(field, field["path"].as_str().unwrap(), &[element], verdict);
                    }
                }
                return;
            }
            _ if kind.contains("xml") => {
                found.iter().for_each(|element| element.take_all());
                found.iter().map(|_| "<x/>".to_owned()).collect()
            }
            "" | "text()" => {
                found.iter().for_each(|element| element.take_text(false));
                found.iter().map(|element| element.own_text()).collect()
            }
            "string()" => {
                found.iter().for_each(|element| element.take_text(true));
                found.iter().map(|element| element.all_text()).collect()
            }
            attribute => {
                let name = self.name(attribute.strip_prefix('@').unwrap());
                let all = found.iter().flat_map(|element| element.attributes.iter());
                let all: Vec<_> = all.filter(|(known, ..)| *known == name).collect();
                all.iter().for_each(|(.., taken)| taken.set(true));
                all.iter().map(|(_, value, _)| value.clone()).collect()
            }
        };
        let name = column["name"].as_str().unwrap();
        let mut complain = |what: String| verdict.violations.push(format!("{name} ({path}): {what}"));
        match repeat {
            None if values.len() > 1 => complain(format!("{} values", values.len())),
            None | Some("list") => {}
            Some(other) => panic!("repeat = {other:?}"),
        }
        let values: Vec<String> =
            values.iter().map(|value| trim(column, kind, value)).filter(|value| !value.is_empty()).collect();
        let is_required = column.get("required").is_some_and(|value| value == true);
        if is_required && values.is_empty() {
            complain("required".to_owned());
        }
        for value in values {
            if let Err(rule) = judge(column, kind, &value) {
                complain(format!("{rule}: {value:?}"));
            }
        }
    }
}

fn trim(column: &Value, kind: &str, value: &str) -> String {
    let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    let is_text = matches!(kind, "string" | "list<string>");
    match column.get("trim").and_then(Value::as_str).unwrap_or(if is_text { "none" } else { "both" }) {
        "none" => value.to_owned(),
        "both" => value.trim_matches(space).to_owned(),
        "collapse" => value.split(space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "),
        other => panic!("trim = {other:?}"),
    }
}

/// Whether a whole text matches; each pattern is compiled once.
fn matches(pattern: &str, text: &str) -> bool {
    thread_local! {
        static KNOWN: RefCell<HashMap<String, Regex>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        let regex = known.entry(pattern.to_owned()).or_insert_with(|| Regex::new(&format!("^(?:{pattern})$")).unwrap());
        regex.is_match(text)
    })
}

/// Whether a value is of the type and keeps to the rules of its column.
fn judge(column: &Value, kind: &str, value: &str) -> Result<(), String> {
    let item = kind.strip_prefix("list<").and_then(|kind| kind.strip_suffix('>')).unwrap_or(kind);
    let is = |pattern: &str| matches(pattern, value);
    let whole =
        |bits: u32| value.parse::<i128>().is_ok_and(|n| n >= -(1_i128 << (bits - 1)) && n < 1_i128 << (bits - 1));
    const DAY: &str = r"\d{4}-\d\d-\d\d";
    const CLOCK: &str = r"\d\d:\d\d:\d\d";
    const ZONE: &str = r"(?:Z|[+-]\d\d:\d\d)";
    let fraction = |digits: u8| format!(r"(?:\.\d{{1,{digits}}}0*)?");
    let is_day = || value.get(..10).is_some_and(|day| day.parse::<jiff::civil::Date>().is_ok());
    let is_good = match item {
        "string" | "xml" => true,
        "bool" => is("true|false|1|0"),
        "int8" => whole(8),
        "int16" => whole(16),
        "int32" => whole(32),
        "int64" => whole(64),
        "float32" | "float64" => is("-?INF|NaN") || value.parse::<f64>().is_ok_and(f64::is_finite),
        "date" => is(&format!("{DAY}{ZONE}?")) && is_day(),
        "time" => is(&format!("{CLOCK}{}", fraction(6))),
        "timestamp" => is(&format!("{DAY}T{CLOCK}{}{ZONE}", fraction(6))) && is_day(),
        "timestamp(ns)" => is(&format!("{DAY}T{CLOCK}{}{ZONE}", fraction(9))) && is_day(),
        "timestamp_ntz" => is(&format!("{DAY}T{CLOCK}{}", fraction(6))) && is_day(),
        "timestamp_ntz(ns)" => is(&format!("{DAY}T{CLOCK}{}", fraction(9))) && is_day(),
        "binary(hex)" => is("(?:[0-9A-Fa-f]{2})*"),
        "binary" => is(r"[A-Za-z0-9+/=\s]*"),
        decimal => {
            let (precision, scale) = decimal
                .strip_prefix("decimal(")
                .and_then(|rest| rest.strip_suffix(')'))
                .and_then(|rest| rest.split_once(','))
                .unwrap();
            let (precision, scale): (usize, usize) = (precision.parse().unwrap(), scale.parse().unwrap());
            assert!((1..=38).contains(&precision) && scale <= precision, "{decimal}");
            let digits = value.trim_start_matches(['+', '-']);
            let (before, after) = digits.split_once('.').unwrap_or((digits, ""));
            is(r"[+-]?(\d+\.?\d*|\.\d+)")
                && before.trim_start_matches('0').len() <= precision - scale
                && after.trim_end_matches('0').len() <= scale
        }
    };
    if !is_good {
        return Err(format!("not a {item}"));
    }
    let texts = |key: &str| {
        column
            .get(key)
            .map(|list| list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect::<Vec<_>>())
    };
    let bound = |key: &str| {
        column
            .get(key)
            .map(|bound| bound.as_str().map_or_else(|| bound.to_string(), str::to_owned).parse::<f64>().unwrap())
    };
    let length = |key: &str| column.get(key).map(|length| usize::try_from(length.as_u64().unwrap()).unwrap());
    // Of bytes where the value is bytes.
    let count = match item {
        "binary(hex)" => value.len() / 2,
        "binary" => value.chars().filter(|c| !c.is_whitespace() && *c != '=').count() * 3 / 4,
        _ => value.chars().count(),
    };
    let rules = [
        ("enum", texts("enum").is_none_or(|allowed| allowed.contains(&value))),
        ("regex", column.get("regex").is_none_or(|regex| is(regex.as_str().unwrap()))),
        ("min", bound("min").is_none_or(|bound| value.parse::<f64>().unwrap() >= bound)),
        ("max", bound("max").is_none_or(|bound| value.parse::<f64>().unwrap() <= bound)),
        ("min_length", length("min_length").is_none_or(|least| count >= least)),
        ("max_length", length("max_length").is_none_or(|most| count <= most)),
    ];
    rules.iter().find(|(_, is_kept)| !is_kept).map_or(Ok(()), |(rule, _)| Err((*rule).to_owned()))
}

/// Names and keys of columns, or of the fields of a struct.
fn check_columns(columns: &Value) {
    const KEYS: [&str; 14] = [
        "field",
        "name",
        "path",
        "type",
        "required",
        "trim",
        "repeat",
        "enum",
        "regex",
        "min",
        "max",
        "min_length",
        "max_length",
        "default",
    ];
    let mut names = BTreeSet::new();
    for column in columns.as_array().unwrap() {
        let name = column["name"].as_str().unwrap();
        assert!(matches("[A-Za-z_][A-Za-z0-9_]{0,127}", name), "{name:?}");
        assert!(names.insert(name.to_ascii_lowercase()), "{name:?} stands twice");
        assert!(column.as_object().unwrap().keys().all(|key| KEYS.contains(&key.as_str())), "{column}");
        if let Some(fields) = column.get("field") {
            check_columns(fields);
        }
    }
}

/// Names and keys of a table and of those below it.
fn check_table(table: &Value, tables: &mut BTreeSet<String>) {
    check_columns(&table["column"]);
    for child in table.get("child").and_then(Value::as_array).into_iter().flatten() {
        let name = child["name"].as_str().unwrap();
        assert!(matches("[a-z][a-z0-9_]{0,127}", name), "{name:?}");
        assert!(tables.insert(name.to_owned()), "{name:?} stands twice");
        check_table(child, tables);
    }
}
