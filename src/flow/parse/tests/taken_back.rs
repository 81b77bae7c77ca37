//! What is taken back takes nothing else along, and leaves nothing behind.

use super::*;
use crate::model::batch::Outcome;
use crate::model::mapping::{Repeat, Step};

/// Of the elements `a` the last one is taken, as a struct of `n`.
fn last_of(path: &str) -> Column {
    let mut last = column("last", path, Kind::Struct(vec![column("n", "n", Kind::Int32)].into()));
    (last.path.take, last.repeat) = (Take::Element, Repeat::Last);
    last
}

#[test]
fn a_struct_that_does_not_count_takes_no_violation_of_others_along() {
    let first = Column { repeat: Repeat::First, ..column("zip", "a zip", Kind::Int32) };
    let zip = mapping(None, "", vec![last_of("a"), first]);
    let (verdict, rows) = parse_one(&zip, "<m><a><zip>x</zip></a><a><n>1</n></a></m>");
    assert_eq!((codes(&verdict), rows.len()), (vec!["type.int"], 0));

    let mut only = column("only", "b", Kind::Struct(vec![column("n", "n", Kind::Int32)].into()));
    only.path.take = Take::Element;
    let any = Column {
        path: Path { steps: vec![Step { name: None, condition: None }], ..last_of("a").path },
        ..last_of("a")
    };
    let (verdict, rows) = parse_one(&mapping(None, "", vec![only, any]), "<m><b><n>x</n></b><c/></m>");
    assert_eq!((codes(&verdict), rows.len()), (vec!["type.int"], 0));

    let mut number = column("n", "n", Kind::Int32);
    number.required = true;
    let mut around = mapping(None, "a b", vec![number, last_of("/a")]);
    let message = "<m><a><b><n>x</n></b></a><a><b><n>2</n></b><b/></a><a><n>3</n></a></m>";
    let (verdict, rows) = parse_one(&around, message);
    assert_eq!((codes(&verdict), rows.len()), (vec!["type.int", "rule.required"], 0));
    around.on_bad_message = OnBadMessage::KeepGoodRows;
    let (verdict, rows) = parse_one(&around, message);
    assert_eq!((verdict.outcome, rows), (Outcome::Partial, vec!["2|{n: 3}".to_owned()]));
}

#[test]
fn of_the_last_struct_in_the_last_struct_only_the_last_is_judged() {
    let mut inner = last_of("b");
    inner.required = true;
    let mut outer = column("outer", "a", Kind::Struct(vec![inner].into()));
    (outer.path.take, outer.repeat, outer.required) = (Take::Element, Repeat::Last, true);
    let mapping = mapping(None, "", vec![outer]);
    let xsi = "xmlns:i='http://www.w3.org/2001/XMLSchema-instance'";
    for (message, expected) in [
        ("<a/><a><b><n>x</n></b></a><a><b><n>x</n></b><b><n>1</n></b></a>", vec![]),
        ("<a><b/></a><a><b/><b><n>x</n></b></a>", vec!["type.int"]),
        ("<a><b/></a><a/>", vec!["rule.required"]),
        ("", vec!["rule.required"]),
        ("<a i:nil='1'>x</a><a><b i:nil='1'>x</b><b/></a>", vec![]),
        ("<a><b/></a><a i:nil='1'>x</a>", vec!["rule.required", "shape.nil"]),
        ("<a><b/></a><a><b/><b i:nil='1'>x</b></a>", vec!["rule.required", "shape.nil"]),
    ] {
        let (verdict, rows) = parse_one(&mapping, &format!("<m {xsi}>{message}</m>"));
        assert_eq!((codes(&verdict), rows.len()), (expected.clone(), usize::from(expected.is_empty())), "{message}");
    }
}
