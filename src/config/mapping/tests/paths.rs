//! The language of paths.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::path::{parse, parse_steps, shown_steps};
use crate::lexical::is_unqualified_name;
use crate::model::mapping::{Name, Path, Take};

fn namespaces() -> BTreeMap<String, String> {
    BTreeMap::from([("cbc".to_owned(), "urn:basic".to_owned())])
}

fn plain(local: &str) -> Name {
    Name { namespace: None, local: Arc::from(local) }
}

fn path(text: &str) -> Path {
    parse(text, &namespaces()).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}")).path
}

fn parsed(text: &str) -> (bool, String, Take) {
    let path = path(text);
    (path.from_root, shown_steps(&path.steps, &namespaces()), path.take)
}

fn wrong(text: &str) -> String {
    let (message, help) = parse(text, &namespaces()).unwrap_err();
    format!("{message}; {}", help.unwrap_or_default())
}

#[test]
fn paths_from_the_row_and_from_the_root() {
    assert_eq!(parsed("a/b/@c"), (false, "a/b".into(), Take::Attribute(plain("c"))));
    assert_eq!(parsed("/@branch"), (true, ".".into(), Take::Attribute(plain("branch"))));
    assert_eq!(parsed("/header/id"), (true, "header/id".into(), Take::Text));
    assert_eq!(parsed("@id"), (false, ".".into(), Take::Attribute(plain("id"))));
    assert_eq!(parsed("."), (false, ".".into(), Take::Text));
    assert_eq!(parsed("/"), (true, ".".into(), Take::Text));
    assert_eq!(parsed("./a"), (false, "a".into(), Take::Text));
    assert_eq!(parsed(" a/text() "), (false, "a".into(), Take::Text));
    assert_eq!(parsed("string()"), (false, ".".into(), Take::AllText));
    assert_eq!(parsed("*/cbc:ID"), (false, "*/cbc:ID".into(), Take::Text));
}

#[test]
fn conditions() {
    assert_eq!(parsed("a[@k='v']/b").1, "a[@k='v']/b");
    assert_eq!(parsed("*[ @cbc:k = \"v\" ]/@x").1, "*[@cbc:k='v']");
    let value = |text: &str| path(text).steps[0].condition.clone().unwrap().value.to_string();
    assert_eq!(value("a[@k='x/y]\"']/b"), "x/y]\"");
    assert_eq!(value("a[@k=\"it's\"]"), "it's");
    assert_eq!(value("a[@k='']"), "");
    assert_eq!(value("a[@k='é=€']"), "é=€");
}

#[test]
fn a_prefix_stands_for_its_uri() {
    let path = path("cbc:ID/@xml:lang");
    assert_eq!(path.steps[0].name.as_ref().unwrap().namespace.as_deref(), Some("urn:basic"));
    let Take::Attribute(name) = path.take else { panic!("not an attribute") };
    assert_eq!(name.namespace.as_deref(), Some("http://www.w3.org/XML/1998/namespace"));
    assert_eq!(wrong("cbd:ID"), "prefix cbd is not in [namespaces]; did you mean cbc?");
    assert_eq!(wrong("x:ID"), "prefix x is not in [namespaces]; add x = \"…\" to [namespaces]");
}

#[test]
fn what_is_wrong_is_said_with_what_would_be_right() {
    for (text, what) in [
        ("", "is empty; write . for the text of the row itself"),
        ("a//b", "has an empty step; write each element between the slashes"),
        ("a/", "has an empty step; write each element between the slashes"),
        ("//a", "has an empty step; write each element between the slashes"),
        ("../a", "goes up with ..; begin with / to reach what is outside"),
        ("a/./b", "has a step .; leave it out"),
        ("@a/b", "goes on after the attribute \"@a\"; nothing lies below an attribute: make it the last step"),
        ("text()/a", "goes on after text(); make it the last step"),
        (
            "a/@*",
            "@* names no attribute; name the attribute; unmapped = \"collect(COLUMN)\" takes those that no column takes",
        ),
        ("@xmlns:a", "@xmlns:a declares a namespace and is not a value; take it away"),
        ("cbc:*", "\"cbc:*\" is not the name of an element or attribute; write * for an element of any name"),
        (
            "a[2]",
            "\"[2]\" counts, and a condition compares an attribute; write repeat = \"index(N)\", first or last instead",
        ),
        (
            "a[last()]",
            "\"[last()]\" counts, and a condition compares an attribute; write repeat = \"index(N)\", first or last instead",
        ),
        ("a[b='c']", "\"[b='c']\" is not a condition; write step[@name='value']"),
        ("a[@b=c]", "the value in \"[@b=c]\" is not in quotes; write step[@name='value']"),
        ("a[@b]", "\"[@b]\" is not a condition; write step[@name='value']"),
        ("a[@b='c", "a quote is not closed; write step[@name='value']"),
        ("a[@b='c'/d", "a bracket is not closed; write step[@name='value']"),
        ("a[@b='c']x", "\"x\" is not a condition; write step[@name='value']"),
        ("a[@b='c'][@b='d']", "has two conditions that never hold at once; keep the one that is meant"),
        ("a[@b='c'][@b='c']", "has one condition twice; keep one"),
        ("a[@b='c'][@d='c']", "has two conditions at one step; keep one: a step has one condition at most"),
        ("1a", "\"1a\" is not the name of an element or attribute; "),
        ("a b", "\"a b\" is not the name of an element or attribute; "),
        ("a:b:c", "\"a:b:c\" is not the name of an element or attribute; "),
    ] {
        assert_eq!(wrong(text), what, "{text}");
    }
}

#[test]
fn rows_are_elements_below_the_root() {
    let root = plain("library");
    let steps = |text: &str| parse_steps(text, Some(&root), &namespaces());
    assert_eq!(steps("."), Ok(vec![]));
    let help = |text: &str| steps(text).unwrap_err().1.unwrap();
    assert_eq!(help("/library/book"), "write \"book\": paths begin below the root element");
    assert_eq!(help("/book"), "write \"book\": it begins below the root element anyway");
    assert_eq!(help("//book"), "write \"book\": it begins below the root element anyway");
    assert_eq!(help("book/@id"), "end with the element");
    assert_eq!(help("book/text()"), "end with the element");
    assert!(steps("").is_err());
}

proptest! {
    #[test]
    fn no_text_makes_the_path_reader_fail_otherwise_than_with_an_answer(text in "[ab:/@.*='\"\\[\\]()é\u{0}-z]{0,40}") {
        match parse(&text, &namespaces()) {
            Ok(written) => {
                let names = written.path.steps.iter().filter_map(|step| step.name.as_ref());
                prop_assert!(names.into_iter().all(|name| is_unqualified_name(&name.local)));
            }
            Err((message, _)) => prop_assert!(!message.is_empty()),
        }
    }

    #[test]
    fn a_path_reads_back_as_it_is_shown(steps in prop::collection::vec("(\\*|(cbc:)?[a-z][a-z0-9.-]{0,5})(\\[@(cbc:)?[a-z]='[a-z/\\]\"]{0,4}'\\])?", 1..6)) {
        let text = steps.join("/");
        let read = parse_steps(&text, None, &namespaces()).unwrap();
        prop_assert_eq!(shown_steps(&read, &namespaces()), text);
    }
}
