//! Paths: `*`, conditions, and many that mean the same element.

use super::*;
use crate::model::mapping::{Condition, Repeat, Step};

/// Steps as mapping files write them: `a`, `*`, `a[@k='v']`, separated by blanks; a blank in a value as `_`.
fn steps(path: &str) -> Vec<Step> {
    let step = |text: &str| {
        let (element, condition) = match text.strip_suffix("']").and_then(|text| text.split_once("[@")) {
            Some((element, condition)) => {
                let (attribute, value) = condition.split_once("='").unwrap();
                (element, Some(Condition { attribute: name(attribute), value: value.replace('_', " ").into() }))
            }
            None => (text, None),
        };
        Step { name: (element != "*").then(|| name(element)), condition }
    };
    path.split(' ').filter(|step| !step.is_empty()).map(step).collect()
}

fn at(name_of: &str, path: &str, repeat: Repeat) -> Column {
    let (path, take) = match path.rsplit_once(" @").or(path.strip_prefix('@').map(|attribute| ("", attribute))) {
        Some((path, attribute)) if !attribute.contains('\'') => (path, Take::Attribute(name(attribute))),
        _ => (path, Take::Text),
    };
    let from_root = path.starts_with('/');
    let path = Path { from_root, steps: steps(path.trim_start_matches('/')), take };
    Column { repeat, ..Column::new(name_of, path, Kind::String) }
}

#[test]
fn an_element_is_at_every_path_that_means_it() {
    let columns = vec![
        at("plain", "a b", Repeat::Only),
        at("any", "* b", Repeat::List),
        at("all", "* *", Repeat::List),
        at("conditional", "a[@k='v'] b", Repeat::Only),
        at("other", "a[@k='w'] b", Repeat::Only),
        at("deep", "*[@k='v'] *[@x='1']", Repeat::List),
    ];
    let message = "<m><a k='v'><b>1</b><c x='1'>2</c></a><z k='v'><b x='1'>3</b></z><z><c>4</c></z></m>";
    let (verdict, rows) = parse_one(&mapping(None, "", columns), message);
    assert_eq!(verdict.violations, []);
    assert_eq!(rows, ["1|[1, 3]|[1, 2, 3, 4]|1|-|[2, 3]"]);
}

#[test]
fn conditions_choose_rows() {
    let columns = vec![at("name", "name", Repeat::Only), at("id", "@id", Repeat::Only)];
    let mut mapping = mapping(None, "", columns);
    mapping.rows = vec![steps("*[@kind='book']")];
    let message = "<m><x kind='book' id='1'><name>A</name></x><x kind='film' id='2'><name>B</name></x>\
                   <y kind='bo&#111;k' id='3'><name>C</name></y><y id='4'/></m>";
    assert_eq!(parse_one(&mapping, message).1, ["A|1", "C|3"]);
}

#[test]
fn conditions_are_about_names_with_namespaces_and_normalised_values() {
    let column = at("v", "a[@{urn:k}k='x_y']", Repeat::List);
    let message = "<m xmlns:p='urn:k'><a p:k='x\ny'>1</a><a k='x y'>2</a><a p:k='x  y'>3</a><a xmlns:q='urn:k' q:k='x y'>4</a></m>";
    assert_eq!(parse_one(&mapping(None, "", vec![column]), message).1, ["[1, 4]"]);
}

#[test]
fn a_name_in_no_path_may_still_be_meant_by_a_star() {
    let columns = vec![at("b", "* x b", Repeat::Only), at("c", "* y", Repeat::Only)];
    let message = "<m><unknown><x><b>1</b></x><y>2</y><z><b>3</b></z></unknown></m>";
    assert_eq!(parse_one(&mapping(None, "", columns), message).1, ["1|2"]);
}

#[test]
fn too_many_conditions_at_once_are_refused_when_the_mapping_is_loaded() {
    let conditional = |many: usize| {
        let columns = (0..many).map(|at_| at(&format!("c{at_}"), &format!("a[@k='{at_}']"), Repeat::Only)).collect();
        ParserTable::compile(&mapping(None, "", columns))
    };
    assert!(conditional(6).is_ok());
    let fault = conditional(7).unwrap_err().to_string();
    assert!(fault.contains("7 conditions at once"), "{fault}");
}

#[test]
fn paths_that_make_too_many_states_are_refused_when_the_mapping_is_loaded() {
    // After n steps every subset of the last steps is a state of its own.
    let columns = (0..20)
        .map(|length| {
            let tail = ["*"; 20][..length].join(" ");
            at(&format!("c{length}"), &format!("{} a {tail}", ["*"; 20][length..].join(" ")), Repeat::Count)
        })
        .collect();
    let fault = ParserTable::compile(&mapping(None, "", columns)).unwrap_err().to_string();
    assert!(fault.contains("states") || fault.contains("steps"), "{fault}");
}
