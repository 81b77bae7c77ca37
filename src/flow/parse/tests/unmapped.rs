//! What no column takes.

use std::time::Duration;

use super::*;
use crate::model::batch::{DRIFT_PATH_BYTES, DRIFT_PATHS, DRIFT_REST, DriftKind, Outcome};
use crate::model::mapping::{Child, Repeat, Unmapped};

const MESSAGE: &str = "<m xmlns:x='urn:x' xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:schemaLocation='a b' v='1'>\n\
                       <r id='1' x:k='&lt;'>\n <a i:type='t'>1</a><b lang='en'>two</b><x:c><d>deep</d> <d/></x:c> stray &amp; text\
                       <whole z='1'><any>t</any></whole></r>\n<r id='2'/><head x:at='h'>outside<e/></head></m>";

/// Takes `id`, `a`, and `whole` as it is; passes through `x`.
fn watched(unmapped: Unmapped) -> Mapping {
    let mut whole = column("whole", "whole", Kind::Xml);
    whole.path.take = Take::Element;
    let columns = vec![column("id", "@id", Kind::Int32), column("a", "a", Kind::Int32), whole];
    let mut mapping = mapping(None, "r", columns);
    mapping.namespaces.insert("p".to_owned(), "urn:x".to_owned());
    Mapping { unmapped, ..mapping }
}

fn drift(mapping: &Mapping, payloads: &[&str]) -> Vec<String> {
    let parsed = parse(mapping, payloads);
    let kind = |kind| match kind {
        DriftKind::Element => "element",
        DriftKind::Attribute => "attribute",
        DriftKind::Text => "text",
    };
    let shown = |count: &crate::model::batch::DriftCount| {
        let example = count.examples.first().map_or("", String::as_str);
        format!("{} {} {} {} {example}", count.table, count.path, kind(count.kind), count.count)
    };
    let mut all: Vec<String> = parsed.drift.iter().map(shown).collect();
    all.sort();
    all
}

#[test]
fn it_is_counted_by_path_whatever_the_prefixes() {
    let other = MESSAGE.replace("x:", "y:").replace(":x=", ":y=");
    assert_eq!(
        drift(&watched(Unmapped::Count), &[MESSAGE, &other, "<m><r><q/></r>"]),
        [
            "0 /@v attribute 2 1",
            "0 /head/@p:at attribute 2 h",
            "0 /head/e element 2 ",
            "0 /head/text() text 2 outside",
            "0 @p:k attribute 2 &lt;",
            "0 b element 2 two",
            "0 b/@lang attribute 2 en",
            "0 p:c/d element 4 deep",
            "0 q element 1 ",
            "0 text() text 2 stray & text",
        ]
    );
    assert_eq!(drift(&watched(Unmapped::Ignore), &[MESSAGE]), [""; 0]);
}

#[test]
fn a_prefix_that_means_another_namespace_is_another_path() {
    let other = MESSAGE.replace("urn:x", "urn:other");
    let paths = drift(&watched(Unmapped::Count), &[MESSAGE, &other]);
    assert!(paths.contains(&"0 @{urn:other}k attribute 1 &lt;".to_owned()), "{paths:?}");
    assert!(paths.contains(&"0 @p:k attribute 1 &lt;".to_owned()), "{paths:?}");
}

#[test]
fn paths_of_a_child_table_begin_at_its_rows() {
    let mut mapping = watched(Unmapped::Count);
    let child = Child {
        name: "bs".to_owned(),
        rows: vec![name("b").into()],
        columns: vec![column("text", "text()", Kind::String)],
        children: vec![],
    };
    mapping.children.push(child);
    let paths = drift(&mapping, &["<m><r id='1'><b lang='en'>x<c/></b></r></m>"]);
    assert_eq!(paths, ["1 @lang attribute 1 en", "1 c element 1 "]);
}

#[test]
fn paths_beyond_the_limit_are_counted_together() {
    let elements: String = (0..DRIFT_PATHS * 9).map(|at| format!("<e{at}>x</e{at}>")).collect();
    let paths = drift(&watched(Unmapped::Count), &[&format!("<m><r>{elements}</r></m>")]);
    assert_eq!(paths.len(), DRIFT_PATHS + 1);
    let rest = paths.iter().find(|path| path.contains(DRIFT_REST)).unwrap();
    assert_eq!(rest, &format!("0 {DRIFT_REST} element {} x", DRIFT_PATHS * 8));
}

#[test]
fn long_paths_are_counted_together() {
    let long = "u".repeat(DRIFT_PATH_BYTES - "{}a".len());
    let message = format!("<m><r><l:a xmlns:l='{long}'>x</l:a><l:bb xmlns:l='{long}'><c>y</c></l:bb></r></m>");
    let paths = drift(&watched(Unmapped::Count), &[&message, &message]);
    assert_eq!(paths, [format!("0 {{{long}}}a element 2 x"), format!("0 {DRIFT_REST} element 2 y")]);
    let deep = format!("<m><r>{}<e k='1'>{}</r></m>", "<deep>".repeat(200), "</e>".to_owned() + &"</deep>".repeat(200));
    let counted: Vec<_> = parse(&watched(Unmapped::Count), &[&deep]).drift;
    assert_eq!(counted.iter().map(|found| (&*found.path, found.count)).collect::<Vec<_>>(), [(DRIFT_REST, 2)]);
}

#[test]
fn a_long_name_is_told_in_short() {
    let [long, short] = ["u".repeat(300), "u".repeat(100)];
    let message = format!("<m xmlns:l='{long}' xmlns:s='{short}'><r><l:a/><s:a/></r></m>");
    let told: Vec<_> = parse_one(&watched(Unmapped::Reject), &message).0.violations;
    let names = [format!("{{{}…}}a", "u".repeat(63)), format!("{{{short}}}a")];
    let expected = names.map(|name| format!("the element {name} is taken by no column"));
    assert_eq!(told.iter().map(|found| &*found.message).collect::<Vec<_>>(), expected);
}

#[test]
fn everything_that_is_refused_counts_however_much_is_told() {
    let mapping = Mapping { on_bad_message: OnBadMessage::KeepGoodRows, ..watched(Unmapped::Reject) };
    let message = format!("<m><r id='1'>{}</r><r id='2'><b/></r><r id='3'/></m>", "<b/>".repeat(150));
    let (verdict, rows) = parse_one(&mapping, &message);
    assert_eq!((verdict.violations.len(), rows), (100, vec!["3|-|-".to_owned()]));
}

#[test]
fn counts_go_on_when_names_are_forgotten() {
    let known = "<m><r id='1'><b k='1'>x</b>text</r></m>";
    // In an element that is taken whole: nothing of it is counted.
    let many: String = (0..9000).map(|at| format!("<n{at}/>")).collect();
    let many = format!("<m><r><whole>{many}</whole></r></m>");
    // Numbered anew, names have other numbers than before.
    let other = "<m><r id='1'><c>z</c><b k='1'>x</b>text</r></m>";
    assert_eq!(
        drift(&watched(Unmapped::Count), &[known, &many, other]),
        ["0 b element 2 x", "0 b/@k attribute 2 1", "0 c element 1 z", "0 text() text 2 text"]
    );
}

#[test]
fn names_that_are_not_remembered_are_counted_by_path_all_the_same() {
    let scopes = usize::try_from(super::super::scopes::MAX_SCOPES).unwrap() + 100;
    let inner: String = (0..scopes).map(|at| format!("<x:e xmlns:x='urn:{at}' x:k='v'><x:f>t</x:f></x:e>")).collect();
    let long = "n".repeat(500);
    let message = format!("<m><r><{long} k='1'>y</{long}>{inner}{inner}</r></m>");
    let mut parser = parser(&watched(Unmapped::Count));
    let payloads = [Some(message.as_bytes()); 2];
    for round in 1..3 {
        let parsed = parser.parse(&batch(&payloads), Some(0)).unwrap();
        let count =
            |path: &str| parsed.drift.iter().filter(|found| *found.path == *path).map(|found| found.count).sum::<u64>();
        assert_eq!((count(&long), count(&format!("{long}/@k"))), (2, 2), "round {round}");
        for at in [0, 7, scopes - 1] {
            assert_eq!(count(&format!("{{urn:{at}}}e/{{urn:{at}}}f")), 4, "{at} of round {round}");
            assert_eq!(count(&format!("{{urn:{at}}}e/@{{urn:{at}}}k")), 4, "{at} of round {round}");
        }
        assert_eq!(parsed.drift.iter().map(|found| found.count).sum::<u64>(), 4 + 8 * scopes as u64);
    }
}

#[test]
fn it_is_refused_where_the_mapping_says_so() {
    let mut mapping = watched(Unmapped::Reject);
    let (verdict, _) = parse_one(&mapping, MESSAGE);
    assert_eq!(verdict.outcome, Outcome::Quarantined);
    let told: Vec<_> =
        verdict.violations.iter().map(|found| (found.path.as_deref().unwrap(), &*found.message)).collect();
    assert_eq!(
        told,
        [
            ("/m/@v", "the attribute v is taken by no column"),
            ("/m/r[1]/@x:k", "the attribute x:k is taken by no column"),
            ("/m/r[1]/b", "the element b is taken by no column"),
            ("/m/r[1]/x:c", "the element p:c is taken by no column"),
            ("/m/r[1]", "text is taken by no column"),
            ("/m/head", "the element head is taken by no column"),
        ]
    );
    assert!(codes(&verdict).iter().all(|code| *code == "shape.unmapped"));
    mapping.on_bad_message = OnBadMessage::KeepGoodRows;
    let (verdict, rows) = parse_one(&mapping, "<m><r id='1'><b/></r><r id='2'/></m>");
    assert_eq!((verdict.outcome, rows), (Outcome::Partial, vec!["2|-|-".to_owned()]));
    mapping.on_bad_field = OnBadField::Null;
    let (verdict, rows) = parse_one(&mapping, MESSAGE);
    assert_eq!((verdict.outcome, verdict.violations.len(), rows.len()), (Outcome::Partial, 6, 2));
}

#[test]
fn it_is_collected_into_the_rows_it_belongs_to() {
    let mapping = watched(Unmapped::Collect("rest".to_owned()));
    let parsed = parse(&mapping, &[MESSAGE, "<m><r id='3'><b>", "<m><r id='4'><a>1</a></r></m>"]);
    let rows = &parsed.tables[0].rows;
    assert_eq!(rows.schema(), mapping.raw_schema());
    let rest = rows.column_by_name("rest").unwrap();
    let json = |row: usize| -> serde_json::Value {
        if rest.is_null(row) {
            return serde_json::Value::Null;
        }
        serde_json::from_str(&array_value_to_string(rest, row).unwrap()).unwrap()
    };
    let outside = serde_json::json!({"/@v": "1", "/head/@p:at": "h", "/head/text()": "outside", "/head/e": ""});
    let mut first = outside.clone();
    for (key, value) in [("@p:k", "<"), ("b", "two"), ("b/@lang", "en"), ("text()", " stray & text")] {
        first[key] = value.into();
    }
    first["p:c/d"] = serde_json::json!(["deep", ""]);
    assert_eq!((json(0), json(1), json(2)), (first, outside, serde_json::Value::Null));
}

#[test]
fn what_lies_around_a_row_group_belongs_to_its_rows() {
    let columns =
        vec![column("n", "@n", Kind::Int32), Column { repeat: Repeat::Count, ..column("k", "/g k", Kind::String) }];
    let rows = vec![vec![name("g").into()], vec![name("r").into()]];
    let mut mapping = Mapping { rows, unmapped: Unmapped::Collect("rest".to_owned()), ..mapping(None, "", columns) };
    mapping.on_bad_message = OnBadMessage::KeepGoodRows;
    let message = "<m><g><o>1</o><r n='1' x='a'/><r n='bad' x='b'/><r n='2'/></g><g q='2'><k/></g><g><r n='3' x='c'/></g><t/></m>";
    let (verdict, rows) = parse_one(&mapping, message);
    assert_eq!(codes(&verdict), ["type.int"]);
    assert_eq!(
        rows,
        [
            r#"1|0|{"@x":"a","/g/o":"1","/t":""}"#,
            r#"2|0|{"/g/o":"1","/t":""}"#,
            r#"-|1|{"/t":"","/g/@q":"2"}"#,
            r#"3|0|{"@x":"c","/t":""}"#,
        ]
    );
}

#[test]
fn text_around_many_children_is_looked_at_once() {
    let blanks = " ".repeat(300_000);
    for text in [format!("{blanks}x"), format!("x{blanks}x"), format!("x{blanks}")] {
        let message = format!("<m><r>{text}{}</r></m>", "<b/>".repeat(20_000));
        for (unmapped, rows) in [(Unmapped::Reject, 0), (Unmapped::Collect("rest".to_owned()), 1)] {
            let took = cpu_time(|| assert_eq!(parse_one(&watched(unmapped.clone()), &message).1.len(), rows));
            assert!(took < Duration::from_secs(3), "{unmapped:?}: {took:?}");
        }
    }
}
