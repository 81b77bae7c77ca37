//! Names and paths as a mapping writes them: `cac:Party/cbc:Name`, `/@branch`, `price/@currency`, `string()`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::problem::did_you_mean;
use crate::model::mapping::{Name, Path, Step, Take};

/// What is wrong with a name or path, and what would be right where that is known.
pub(super) type Wrong = (String, Option<String>);

/// The prefix that every XML document knows.
const XML: (&str, &str) = ("xml", "http://www.w3.org/XML/1998/namespace");

/// Deepest path: no message is deeper than the limit on depth lets it be.
const MAX_STEPS: usize = 256;

/// A name, its prefix resolved by `namespaces`. A name without a prefix is in no namespace.
pub(super) fn parse_name(text: &str, namespaces: &BTreeMap<String, String>) -> Result<Name, Wrong> {
    let (prefix, local) = match text.split_once(':') {
        Some((prefix, local)) => (Some(prefix), local),
        None => (None, text),
    };
    if local.is_empty() || !is_ncname(local) || prefix.is_some_and(|prefix| !is_ncname(prefix)) {
        return Err((format!("{text:?} is not the name of an element or attribute"), None));
    }
    let namespace = prefix.map(|prefix| uri_of(prefix, namespaces)).transpose()?;
    Ok(Name { namespace, local: Arc::from(local) })
}

/// Steps down elements: `a/b`; `.` is no step.
pub(super) fn parse_steps(text: &str, namespaces: &BTreeMap<String, String>) -> Result<Vec<Step>, Wrong> {
    if text == "." {
        return Ok(Vec::new());
    }
    if text.starts_with('/') {
        let help = format!("write {:?}: it begins below the root anyway", text.trim_start_matches('/'));
        return Err(("begins with a slash".to_owned(), Some(help)));
    }
    text.split('/').map(|step| parse_step(step, namespaces).map(Step::from)).collect()
}

/// A path to a value.
pub(super) fn parse(text: &str, namespaces: &BTreeMap<String, String>) -> Result<Path, Wrong> {
    let text = text.trim();
    if text.is_empty() {
        return Err(("is empty".to_owned(), Some("write . for the text of the row itself".to_owned())));
    }
    if text.contains("//") {
        return Err(("has an empty step".to_owned(), Some("write each element between the slashes".to_owned())));
    }
    let (from_root, rest) = match text.strip_prefix('/') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if rest.is_empty() || rest == "." {
        return Ok(Path { from_root, steps: Vec::new(), take: Take::Text });
    }
    let rest = rest.strip_prefix("./").unwrap_or(rest);
    let mut steps: Vec<&str> = rest.split('/').collect();
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
    if steps.len() > MAX_STEPS {
        return Err((format!("has more than {MAX_STEPS} steps"), None));
    }
    let steps = steps.into_iter().map(|step| parse_step(step, namespaces).map(Step::from)).collect::<Result<_, _>>()?;
    Ok(Path { from_root, steps, take: take.unwrap_or(Take::Text) })
}

fn parse_step(step: &str, namespaces: &BTreeMap<String, String>) -> Result<Name, Wrong> {
    match step {
        "" => Err(("has an empty step".to_owned(), Some("write each element between the slashes".to_owned()))),
        ".." => Err(("goes up with ..".to_owned(), Some("begin with / to reach what is outside the row".to_owned()))),
        "." => Err(("has a step .".to_owned(), Some("leave it out".to_owned()))),
        "*" => Err(("a step * is not available in this version".to_owned(), Some("name the element".to_owned()))),
        "text()" | "string()" => Err((format!("{step} is not the last step"), None)),
        _ if step.starts_with('@') => Err((format!("the attribute {step} is not the last step"), None)),
        _ if step.contains('[') => Err((
            "a condition in brackets is not available in this version".to_owned(),
            Some("name the element alone".to_owned()),
        )),
        _ => parse_name(step, namespaces),
    }
}

fn parse_attribute(name: &str, namespaces: &BTreeMap<String, String>) -> Result<Name, Wrong> {
    if name == "*" {
        return Err(("@* is not available in this version".to_owned(), Some("name the attribute".to_owned())));
    }
    if name == "xmlns" || name.starts_with("xmlns:") {
        return Err((format!("@{name} declares a namespace and is not a value"), None));
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

/// Whether a text is a name without a colon (XML 1.0, fifth edition).
pub(super) fn is_ncname(text: &str) -> bool {
    let start = |c: char| {
        matches!(c, 'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
            | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
            | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
            | '\u{10000}'..='\u{EFFFF}')
    };
    let inside = |c: char| {
        start(c) || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
    };
    text.starts_with(start) && text.chars().all(inside)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn namespaces() -> BTreeMap<String, String> {
        BTreeMap::from([("cbc".to_owned(), "urn:basic".to_owned())])
    }

    fn plain(local: &str) -> Name {
        Name { namespace: None, local: Arc::from(local) }
    }

    fn parsed(text: &str) -> (bool, Vec<String>, Take) {
        let path = parse(text, &namespaces()).unwrap();
        (
            path.from_root,
            path.steps.iter().map(|step| step.name.as_ref().unwrap().local.to_string()).collect(),
            path.take,
        )
    }

    #[test]
    fn paths_from_the_row_and_from_the_root() {
        assert_eq!(parsed("a/b/@c"), (false, vec!["a".into(), "b".into()], Take::Attribute(plain("c"))));
        assert_eq!(parsed("/@branch"), (true, vec![], Take::Attribute(plain("branch"))));
        assert_eq!(parsed("/header/id"), (true, vec!["header".into(), "id".into()], Take::Text));
        assert_eq!(parsed("@id"), (false, vec![], Take::Attribute(plain("id"))));
        assert_eq!(parsed("."), (false, vec![], Take::Text));
        assert_eq!(parsed("/"), (true, vec![], Take::Text));
        assert_eq!(parsed("./a"), (false, vec!["a".into()], Take::Text));
        assert_eq!(parsed("a/text()"), (false, vec!["a".into()], Take::Text));
        assert_eq!(parsed("string()"), (false, vec![], Take::AllText));
    }

    #[test]
    fn a_prefix_stands_for_its_uri() {
        let path = parse("cbc:ID/@xml:lang", &namespaces()).unwrap();
        assert_eq!(path.steps[0].name.as_ref().unwrap().namespace.as_deref(), Some("urn:basic"));
        let Take::Attribute(name) = path.take else { panic!("not an attribute") };
        assert_eq!(name.namespace.as_deref(), Some("http://www.w3.org/XML/1998/namespace"));
        let (message, help) = parse("cbd:ID", &namespaces()).unwrap_err();
        assert_eq!(
            (message.as_str(), help.as_deref()),
            ("prefix cbd is not in [namespaces]", Some("did you mean cbc?"))
        );
    }

    #[test]
    fn what_is_not_a_path() {
        for bad in
            ["", "a//b", "a/", "../a", "@a/b", "text()/a", "a[@k='v']", "*", "a/@*", "1a", "a b", "@xmlns", "a:b:c"]
        {
            assert!(parse(bad, &namespaces()).is_err(), "{bad}");
        }
        assert!(parse_steps("/book", &namespaces()).is_err());
        assert_eq!(parse_steps(".", &namespaces()), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_path_reader_fail_otherwise_than_with_an_answer(text in "[ab:/@.*\\[\\]()é\u{0}-z]{0,40}") {
            if let Ok(path) = parse(&text, &namespaces()) {
                prop_assert!(path.steps.iter().all(|step| step.name.as_ref().is_none_or(|name| is_ncname(&name.local))));
            }
        }
    }
}
