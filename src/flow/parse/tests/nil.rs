//! Elements that are `xsi:nil`: null, and empty.

use super::repeats::{author, one};
use super::*;
use crate::model::batch::Outcome;
use crate::model::mapping::{Child, Repeat};

#[test]
fn nil_is_null_and_must_be_empty() {
    let xsi = "xmlns:i='http://www.w3.org/2001/XMLSchema-instance'";
    let message = |inside: &str| format!("<m {xsi}><r id='1'>{inside}</r></m>");
    let mut mapping = mapping(None, "r", vec![column("v", "v", Kind::String)]);
    assert_eq!(parse_one(&mapping, &message("<v i:nil='true'/>")).1, ["-"]);
    assert_eq!(parse_one(&mapping, &message("<v i:nil=' 1 '><!-- --></v>")).1, ["-"]);
    assert_eq!(parse_one(&mapping, &message("<v i:nil='false'>x</v>")).1, ["x"]);
    assert_eq!(parse_one(&mapping, &message("<v nil='true'>x</v>")).1, ["x"]);
    assert_eq!(codes(&parse_one(&mapping, &message("<v i:nil='true'>x</v>")).0), ["shape.nil"]);
    assert_eq!(codes(&parse_one(&mapping, &message("<v i:nil='true'><w/></v>")).0), ["shape.nil"]);
    mapping.columns[0].rules.default = Some("d".to_owned());
    assert_eq!(parse_one(&mapping, &message("<v i:nil='true'/>")).1, ["d"]);
    mapping.columns[0].rules.default = None;
    mapping.columns[0].repeat = Repeat::List;
    assert_eq!(parse_one(&mapping, &message("<v>a</v><v i:nil='true'/><v>b</v>")).1, ["[a, , b]"]);
    mapping.columns[0].repeat = Repeat::Join(",".into());
    assert_eq!(parse_one(&mapping, &message("<v>a</v><v i:nil='true'/><v>b</v>")).1, ["a,b"]);
    let mut structs = author(Repeat::List);
    assert_eq!(
        parse_one(&structs, &message("<author i:nil='true'/><author born='1'/>")).1,
        ["1|[, {name: , born: 1, tags: , home: }]"]
    );
    structs.columns[1].repeat = Repeat::Only;
    assert_eq!(parse_one(&structs, &message("<author i:nil='true' born='3'/>")).1, ["1|-"]);
    let (verdict, _) = parse_one(&structs, &message("<author i:nil='true'><name>A</name></author>"));
    assert_eq!(codes(&verdict), ["shape.nil"]);
    let mut own = column("own", "v", Kind::Struct(vec![column("text", "text()", Kind::String)].into()));
    own.path.take = Take::Element;
    structs.columns[1] = own;
    let (verdict, _) = parse_one(&structs, &message("<v i:nil='true'>x</v>"));
    let told: Vec<_> = verdict.violations.iter().map(|found| found.column.as_deref().unwrap()).collect();
    assert_eq!(told, ["own"], "a struct that is nil has no fields");
}

#[test]
fn nil_is_what_its_value_means_and_not_how_it_is_written() {
    let xsi = "xmlns:i='http://www.w3.org/2001/XMLSchema-instance'";
    let mut columns = vec![column("v", "v", Kind::String), column("json", "", Kind::Json)];
    columns[1].path.take = Take::Element;
    let mapping = mapping(None, "", columns);
    for (nil, is_nil) in [
        ("true", true),
        ("tru&#101;", true),
        ("&#x31;", true),
        ("\n1&#32;", true),
        ("&#9;true&#13;", true),
        ("fals&#101;", false),
        ("True", false),
        ("\u{a0}true", false),
    ] {
        let (verdict, rows) = parse_one(&mapping, &format!("<m {xsi}><v i:nil='{nil}'></v></m>"));
        let expected = if is_nil { r#"-|{"v":null}"# } else { r#"-|{"v":""}"# };
        assert_eq!((verdict.violations, rows), (vec![], vec![expected.to_owned()]), "{nil}");
        let (verdict, _) = parse_one(&mapping, &format!("<m {xsi}><v i:nil='{nil}'>x</v></m>"));
        assert_eq!(codes(&verdict).contains(&"shape.nil"), is_nil, "{nil}");
    }
}

/// The document element `m` with that in it, where `i:nil` is `xsi:nil`.
fn message(inside: &str) -> String {
    format!("<m xmlns:i='http://www.w3.org/2001/XMLSchema-instance'>{inside}</m>")
}

#[test]
fn only_a_nil_that_is_kept_must_be_empty() {
    let nil = || vec!["shape.nil"];
    let of_both = [
        (Repeat::First, "good nil", vec![]),
        (Repeat::First, "nil good", nil()),
        (Repeat::Last, "nil good", vec![]),
        (Repeat::Last, "good nil", nil()),
        (Repeat::Index(2), "nil good nil", vec![]),
        (Repeat::Index(2), "good nil good", nil()),
        (Repeat::Only, "nil", nil()),
        (Repeat::Only, "good nil", vec!["shape.repeat"]),
        (Repeat::Count, "good nil", vec![]),
        (Repeat::List, "good nil good", nil()),
    ];
    let of_texts = [(Repeat::Join("+".into()), "good nil good", nil()), (Repeat::Json, "good nil good", nil())];
    let check = |mapping: &Mapping, words: &str, good: &str, full: &str, expected: &[&str]| {
        let inside: String = words.split(' ').map(|word| if word == "nil" { full } else { good }).collect();
        let (verdict, rows) = parse_one(mapping, &message(&format!("<r>{inside}</r>")));
        assert_eq!((codes(&verdict), rows.len()), (expected.to_vec(), usize::from(expected.is_empty())), "{inside}");
    };
    for (repeat, words, expected) in of_both.iter().chain(&of_texts) {
        check(&one(repeat.clone(), Kind::String), words, "<v>1</v>", "<v i:nil='1'>x</v>", expected);
    }
    for (repeat, words, expected) in &of_both {
        check(&author(repeat.clone()), words, "<author/>", "<author i:nil='1'><tag>x</tag></author>", expected);
    }
}

#[test]
fn a_row_that_is_nil_must_be_empty() {
    let columns = vec![column("v", "v", Kind::Int32)];
    let child = Child { name: "c".into(), rows: vec![name("c").into()], columns, children: vec![] };
    let mut mapping = Mapping {
        rows: ["g", "r"].map(|step| vec![name(step).into()]).to_vec(),
        children: vec![child],
        on_bad_message: OnBadMessage::KeepGoodRows,
        ..mapping(None, "", vec![column("k", "@k", Kind::Int32)])
    };
    for (inside, expected, rows) in [
        ("<g><r k='1'/><r k='2' i:nil='1'/></g>", vec![], vec!["1", "2"]),
        ("<g><r k='1'/><r k='2' i:nil='1'><!-- --> </r></g>", vec![], vec!["1", "2"]),
        ("<g><r k='1'/><r k='2' i:nil='1'>x</r></g>", vec!["/m/g/r[2]"], vec!["1"]),
        ("<g><r k='1'/><r k='2' i:nil='1'><c/></r></g>", vec!["/m/g/r[2]"], vec!["1"]),
        ("<g i:nil='1'><r k='1'/></g><g><r k='2'/></g>", vec!["/m/g[1]"], vec!["2"]),
        ("<g i:nil='1'/><g><r k='2'/></g>", vec![], vec!["-", "2"]),
        ("<g><r k='1'><c i:nil='1'><v>1</v></c></r></g>", vec!["/m/g/r/c"], vec!["1"]),
    ] {
        for on_bad_field in [OnBadField::Quarantine, OnBadField::Null] {
            mapping.on_bad_field = on_bad_field;
            let (verdict, good) = parse_one(&mapping, &message(inside));
            let told: Vec<_> = verdict.violations.iter().map(|found| found.path.as_deref().unwrap()).collect();
            assert_eq!((told, good), (expected.clone(), rows.iter().map(|row| row.to_string()).collect()), "{inside}");
            let outcome = if expected.is_empty() { Outcome::Rows } else { Outcome::Partial };
            assert_eq!(verdict.outcome, outcome, "{inside}");
            assert!(codes(&verdict).iter().all(|code| *code == "shape.nil"), "{inside}");
        }
    }
    let whole = super::mapping(None, "", vec![column("v", "v", Kind::Int32)]);
    let nil = "<m xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:nil='1'><v>1</v></m>";
    let (verdict, rows) = parse_one(&whole, nil);
    assert_eq!((codes(&verdict), rows.len()), (vec!["shape.nil"], 0), "the message itself is the row");
}
