//! Names and paths as a mapping writes them: `cac:Party/cbc:Name`, `/@branch`, `note[@lang='en']/text()`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::problem::did_you_mean;
use crate::config::section::{Wrong, quoted};
use crate::lexical::is_unqualified_name;
use crate::model::mapping::{Condition, Name, Path, Step, Take};

/// The prefix that every XML document knows.
const XML: (&str, &str) = ("xml", "http://www.w3.org/XML/1998/namespace");

/// A path, and whether its last step says what of the element is taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) path: Path,
    pub(super) has_function: bool,
}

/// A name, its prefix resolved by `namespaces`. A name without a prefix is in no namespace.
pub(in crate::config) fn parse_name(text: &str, namespaces: &BTreeMap<String, String>) -> Result<Name, Wrong> {
    let (prefix, local) = match text.split_once(':') {
        Some((prefix, local)) => (Some(prefix), local),
        None => (None, text),
    };
    if !is_unqualified_name(local) || prefix.is_some_and(|prefix| !is_unqualified_name(prefix)) {
        let help = (local == "*").then(|| "write * for an element of any name".to_owned());
        return Err((format!("{} is not the name of an element or attribute", quoted(text)), help));
    }
    let namespace = prefix.map(|prefix| uri_of(prefix, namespaces)).transpose()?;
    Ok(Name { namespace, local: Arc::from(local) })
}

/// Steps down elements: `a/b`; `.` is no step. `root` is the root element, which a path never begins with.
pub(super) fn parse_steps(
    text: &str,
    root: Option<&Name>,
    namespaces: &BTreeMap<String, String>,
) -> Result<Vec<Step>, Wrong> {
    if text == "." {
        return Ok(Vec::new());
    }
    if let Some(rest) = text.strip_prefix('/') {
        let rest = rest.trim_start_matches('/');
        let below = rest
            .split_once('/')
            .filter(|(first, _)| root.is_some() && parse_name(first, namespaces).ok().as_ref() == root);
        let help = match below {
            Some((_, below)) => format!("write {below:?}: paths begin below the root element"),
            None => format!("write {rest:?}: it begins below the root element anyway"),
        };
        return Err(("begins with a slash".to_owned(), Some(help)));
    }
    let steps: Vec<&str> = segments(text)?;
    if let Some(last) = steps.last().filter(|last| last.starts_with('@') || matches!(**last, "text()" | "string()")) {
        return Err((format!("{} is not an element", quoted(last)), Some("end with the element".to_owned())));
    }
    steps.into_iter().map(|step| parse_step(step, namespaces)).collect()
}

/// A path to a value. Takes the text of an element where nothing else is said.
pub(super) fn parse(text: &str, namespaces: &BTreeMap<String, String>) -> Result<Written, Wrong> {
    let text = text.trim();
    if text.is_empty() {
        return Err(("is empty".to_owned(), Some("write . for the text of the row itself".to_owned())));
    }
    let (from_root, rest) = match text.strip_prefix('/') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if rest.is_empty() || rest == "." {
        return Ok(Written { path: Path { from_root, steps: Vec::new(), take: Take::Text }, has_function: false });
    }
    let rest = rest.strip_prefix("./").unwrap_or(rest);
    let mut steps = segments(rest)?;
    let take = match steps.last() {
        Some(&"text()") => Some(Take::Text),
        Some(&"string()") => Some(Take::AllText),
        Some(last) => match last.strip_prefix('@') {
            Some(attribute) => Some(Take::Attribute(parse_attribute(attribute, namespaces)?)),
            None => None,
        },
        None => None,
    };
    if take.is_some() {
        steps.pop();
    }
    let steps = steps.into_iter().map(|step| parse_step(step, namespaces)).collect::<Result<_, _>>()?;
    let has_function = take.is_some();
    Ok(Written { path: Path { from_root, steps, take: take.unwrap_or(Take::Text) }, has_function })
}

/// The parts between slashes; a slash in the quotes of a condition is none.
fn segments(text: &str) -> Result<Vec<&str>, Wrong> {
    let mut parts = Vec::new();
    let (mut start, mut in_brackets, mut quote) = (0, false, None);
    for (at, c) in text.char_indices() {
        match (c, quote) {
            (_, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('\'' | '"', None) if in_brackets => quote = Some(c),
            ('[', None) => in_brackets = true,
            (']', None) => in_brackets = false,
            ('/', None) if !in_brackets => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if in_brackets {
        let what = if quote.is_some() { "a quote" } else { "a bracket" };
        return Err((format!("{what} is not closed"), Some("write step[@name='value']".to_owned())));
    }
    parts.push(&text[start..]);
    if parts.contains(&"") {
        return Err(("has an empty step".to_owned(), Some("write each element between the slashes".to_owned())));
    }
    Ok(parts)
}

fn parse_step(step: &str, namespaces: &BTreeMap<String, String>) -> Result<Step, Wrong> {
    match step {
        ".." => return Err(("goes up with ..".to_owned(), Some("begin with / to reach what is outside".to_owned()))),
        "." => return Err(("has a step .".to_owned(), Some("leave it out".to_owned()))),
        "text()" | "string()" => {
            return Err((format!("goes on after {step}"), Some("make it the last step".to_owned())));
        }
        _ if step.starts_with('@') => {
            let help = "nothing lies below an attribute: make it the last step".to_owned();
            return Err((format!("goes on after the attribute {}", quoted(step)), Some(help)));
        }
        _ => {}
    }
    let (name, conditions) = step.split_at(step.find('[').unwrap_or(step.len()));
    let name = if name == "*" { None } else { Some(parse_name(name, namespaces)?) };
    Ok(Step { name, condition: parse_conditions(conditions, namespaces)? })
}

/// `[@k='v']`, or nothing.
fn parse_conditions(text: &str, namespaces: &BTreeMap<String, String>) -> Result<Option<Condition>, Wrong> {
    let mut found: Option<Condition> = None;
    let mut rest = text;
    while !rest.is_empty() {
        let (condition, after) = parse_condition(rest, namespaces)?;
        rest = after;
        if let Some(earlier) = &found {
            let is_same = earlier.attribute == condition.attribute;
            let (message, help) = match (is_same, earlier.value == condition.value) {
                (true, true) => ("has one condition twice", "keep one"),
                (true, false) => ("has two conditions that never hold at once", "keep the one that is meant"),
                (false, _) => ("has two conditions at one step", "keep one: a step has one condition at most"),
            };
            return Err((message.to_owned(), Some(help.to_owned())));
        }
        found = Some(condition);
    }
    Ok(found)
}

/// The first condition of a text that begins with a bracket, and what follows it.
fn parse_condition<'t>(text: &'t str, namespaces: &BTreeMap<String, String>) -> Result<(Condition, &'t str), Wrong> {
    let right = || Some("write step[@name='value']".to_owned());
    let wrong = || (format!("{} is not a condition", quoted(text)), right());
    let inner = text.strip_prefix('[').ok_or_else(wrong)?.trim_start();
    if inner.starts_with(|c: char| c.is_ascii_digit()) || inner.starts_with("position") || inner.starts_with("last") {
        let help = "write repeat = \"index(N)\", first or last instead".to_owned();
        return Err((format!("{} counts, and a condition compares an attribute", quoted(text)), Some(help)));
    }
    let inner = inner.strip_prefix('@').ok_or_else(wrong)?;
    let (name, value) = inner.split_once('=').ok_or_else(wrong)?;
    let attribute = parse_attribute(name.trim(), namespaces)?;
    let value = value.trim_start();
    let quote = value
        .chars()
        .next()
        .filter(|c| matches!(c, '\'' | '"'))
        .ok_or_else(|| (format!("the value in {} is not in quotes", quoted(text)), right()))?;
    let (value, after) = value[1..].split_once(quote).ok_or_else(wrong)?;
    let after = after.trim_start().strip_prefix(']').ok_or_else(wrong)?;
    Ok((Condition { attribute, value: Arc::from(value) }, after))
}

fn parse_attribute(name: &str, namespaces: &BTreeMap<String, String>) -> Result<Name, Wrong> {
    if name == "*" {
        let help = "name the attribute; unmapped = \"collect(COLUMN)\" takes those that no column takes".to_owned();
        return Err(("@* names no attribute".to_owned(), Some(help)));
    }
    if name == "xmlns" || name.starts_with("xmlns:") {
        return Err((format!("@{name} declares a namespace and is not a value"), Some("take it away".to_owned())));
    }
    parse_name(name, namespaces)
}

fn uri_of(prefix: &str, namespaces: &BTreeMap<String, String>) -> Result<Arc<str>, Wrong> {
    if prefix == XML.0 {
        return Ok(Arc::from(XML.1));
    }
    namespaces.get(prefix).map(|uri| Arc::from(uri.as_str())).ok_or_else(|| {
        let help = did_you_mean(prefix, namespaces.keys().map(String::as_str));
        let help = help.unwrap_or_else(|| format!("add {prefix} = \"…\" to [namespaces]"));
        (format!("prefix {prefix} is not in [namespaces]"), Some(help))
    })
}

/// Steps as a mapping writes them; `.` for none.
pub(super) fn shown_steps(steps: &[Step], namespaces: &BTreeMap<String, String>) -> String {
    let name = |name: &Name| {
        let prefix = namespaces.iter().find(|(_, uri)| Some(uri.as_str()) == name.namespace.as_deref());
        prefix.map_or_else(|| name.local.to_string(), |(prefix, _)| format!("{prefix}:{}", name.local))
    };
    let step = |step: &Step| {
        let condition = step.condition.as_ref();
        let condition = condition.map(|is| format!("[@{}='{}']", name(&is.attribute), is.value)).unwrap_or_default();
        step.name.as_ref().map_or_else(|| "*".to_owned(), name) + &condition
    };
    if steps.is_empty() { ".".to_owned() } else { steps.iter().map(step).collect::<Vec<_>>().join("/") }
}
