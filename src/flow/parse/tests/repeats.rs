//! What becomes of values that occur more than once, in rows, in structs and in what rows share.

use std::time::Duration;

use super::*;
use crate::model::batch::Outcome;
use crate::model::mapping::{OnBadField, Repeat, Step, ValueRules};

/// A column that may occur more than once.
pub(super) fn repeated(name_of: &str, path: &str, kind: Kind, repeat: Repeat) -> Column {
    Column { repeat, ..column(name_of, path, kind) }
}

/// One column over the elements `v`, in rows `r`.
pub(super) fn one(repeat: Repeat, kind: Kind) -> Mapping {
    mapping(None, "r", vec![repeated("v", "v", kind, repeat)])
}

#[test]
fn each_policy_takes_what_it_says() {
    let none = "<m><r/></m>";
    let single = "<m><r><v>1</v></r></m>";
    let many = "<m><r><v>1</v><w/><v/><v>3</v></r></m>";
    for (repeat, kind, expected) in [
        (Repeat::Only, Kind::Int32, ["-", "1", "shape.repeat"]),
        (Repeat::First, Kind::Int32, ["-", "1", "1"]),
        (Repeat::Last, Kind::Int32, ["-", "1", "3"]),
        (Repeat::List, Kind::Int32, ["-", "[1]", "[1, , 3]"]),
        (Repeat::List, Kind::String, ["-", "[1]", "[1, , 3]"]),
        (Repeat::Join(" + ".into()), Kind::String, ["-", "1", "1 + 3"]),
        (Repeat::Json, Kind::String, ["-", r#"["1"]"#, r#"["1",null,"3"]"#]),
        (Repeat::Count, Kind::Int32, ["0", "1", "3"]),
        (Repeat::Index(1), Kind::Int32, ["-", "1", "1"]),
        (Repeat::Index(2), Kind::Int32, ["-", "-", "-"]),
        (Repeat::Index(3), Kind::Int32, ["-", "-", "3"]),
    ] {
        let mapping = one(repeat.clone(), kind);
        for (message, expected) in [none, single, many].into_iter().zip(expected) {
            let (verdict, rows) = parse_one(&mapping, message);
            if verdict.outcome == Outcome::Rows {
                assert_eq!(rows, [expected], "{repeat:?} of {message}");
            } else {
                assert_eq!(codes(&verdict)[0], expected, "{repeat:?} of {message}");
            }
        }
    }
}

#[test]
fn only_the_value_that_is_kept_is_judged() {
    for (repeat, message, is_good) in [
        (Repeat::First, "<m><r><v>1</v><v>x</v></r></m>", true),
        (Repeat::First, "<m><r><v>x</v><v>1</v></r></m>", false),
        (Repeat::Last, "<m><r><v>x</v><v>1</v></r></m>", true),
        (Repeat::Last, "<m><r><v>1</v><v>x</v></r></m>", false),
        (Repeat::Index(2), "<m><r><v>x</v><v>1</v><v>x</v></r></m>", true),
        (Repeat::Index(2), "<m><r><v>1</v><v>x</v></r></m>", false),
        (Repeat::Count, "<m><r><v>x</v></r></m>", true),
        (Repeat::List, "<m><r><v>1</v><v>x</v></r></m>", false),
    ] {
        let (verdict, _) = parse_one(&one(repeat.clone(), Kind::Int32), message);
        let expected = if is_good { vec![] } else { vec!["type.int"] };
        assert_eq!(codes(&verdict), expected, "{repeat:?} of {message}");
    }
}

#[test]
fn a_bad_occurrence_is_null_where_the_row_is_kept() {
    for (repeat, expected) in
        [(Repeat::List, "[1, , 3]"), (Repeat::Json, "[1,null,3]"), (Repeat::Index(2), "-"), (Repeat::Only, "-")]
    {
        let mut mapping = one(repeat.clone(), Kind::Int8);
        mapping.on_bad_field = OnBadField::Null;
        let (verdict, rows) = parse_one(&mapping, "<m><r><v>1</v><v>1000</v><v>3</v></r></m>");
        assert_eq!((verdict.outcome, rows), (Outcome::Partial, vec![expected.to_owned()]), "{repeat:?}");
    }
}

#[test]
fn a_required_value_is_missed_whatever_the_policy() {
    for repeat in [Repeat::First, Repeat::Last, Repeat::List, Repeat::Join(",".into()), Repeat::Json, Repeat::Index(1)]
    {
        let mut mapping = one(repeat.clone(), Kind::String);
        mapping.columns[0].required = true;
        let (verdict, rows) = parse_one(&mapping, "<m><r><w/></r></m>");
        assert_eq!((codes(&verdict), rows.len()), (vec!["rule.required"], 0), "{repeat:?}");
        let (verdict, rows) = parse_one(&mapping, "<m><r><v>x</v></r></m>");
        assert_eq!((verdict.violations, rows.len()), (vec![], 1), "{repeat:?}");
    }
}

#[test]
fn defaults_stand_for_what_is_missing_and_for_nothing_else() {
    let mut columns = vec![
        column("text", "t", Kind::String),
        column("number", "@n", Kind::Int32),
        repeated("last", "l", Kind::Int32, Repeat::Last),
    ];
    for (column, default) in columns.iter_mut().zip(["none", "7", "8"]) {
        column.rules.default = Some(default.to_owned());
        column.required = true;
    }
    let mapping = mapping(None, "r", columns);
    let (verdict, rows) = parse_one(&mapping, "<m><r/><r n=' '><t/><l>1</l><l/></r><r n='1'><t>x</t><l>2</l></r></m>");
    assert_eq!((verdict.violations, rows), (vec![], ["none|7|8", "none|7|8", "x|1|2"].map(str::to_owned).to_vec()));
    let (verdict, _) = parse_one(&mapping, "<m><r n='x'/></m>");
    assert_eq!(codes(&verdict), ["type.int"]);
}

#[test]
fn json_has_values_of_the_type_each_cast_and_checked() {
    let mut price = repeated("price", "p", Kind::Decimal(10, 2), Repeat::Json);
    (price.rules.decimal, price.rules.max) = (Some(','), Some("10".to_owned()));
    let mut day = repeated("day", "d", Kind::Date, Repeat::Json);
    day.rules.formats = vec!["%d/%m/%Y".to_owned()];
    let mut number = repeated("number", "@n", Kind::Int32, Repeat::Json);
    (number.path.steps, number.rules.default) = (vec![name("i").into()], Some("7".to_owned()));
    let columns = vec![
        price,
        day,
        number,
        repeated("yes", "b", Kind::Bool, Repeat::Json),
        repeated("text", "t", Kind::String, Repeat::Json),
        repeated("json", "j", Kind::Json, Repeat::Json),
    ];
    let mut mapping = mapping(None, "r", columns);
    let message = "<m><r><p>1,5</p><p> 07 </p><d>15/10/2026</d><i n='+3'/><i n=''/><b>1</b><b>false</b><b/><t>1</t>\
                   <j>{\"a\": [1]}</j><j>2</j></r></m>";
    let (verdict, rows) = parse_one(&mapping, message);
    assert_eq!(verdict.violations, []);
    assert_eq!(rows, [r#"[1.50,7.00]|["2026-10-15"]|[3,7]|[true,false,null]|["1"]|[{"a": [1]},2]"#]);
    let (verdict, _) = parse_one(&mapping, "<m><r><p>11</p><p>1,234</p><p>1</p><d>2026-10-15</d><b>yes</b></r></m>");
    assert_eq!(codes(&verdict), ["rule.range", "type.decimal", "type.date", "type.bool"]);
    mapping.on_bad_field = OnBadField::Null;
    let (_, rows) = parse_one(&mapping, "<m><r><p>11</p><p>1,234</p><p>1</p></r></m>");
    assert_eq!(rows, ["[null,null,1.00]|-|-|-|-|-"]);
}

#[test]
fn a_list_of_attributes_and_of_what_rows_share() {
    let columns = vec![
        repeated("codes", "i @code", Kind::String, Repeat::List),
        repeated("notes", "/note", Kind::String, Repeat::List),
        repeated("how_many", "/note", Kind::String, Repeat::Count),
    ];
    let (verdict, rows) = parse_one(
        &mapping(None, "r", columns),
        "<m><note>a</note><r><i code='x'/><i/><i code='y'/></r><note/><r/><note>b&amp;c</note></m>",
    );
    assert_eq!(
        (verdict.violations, rows),
        (vec![], ["[x, y]|[a, , b&c]|3", "-|[a, , b&c]|3"].map(str::to_owned).to_vec())
    );
}

#[test]
fn what_rows_share_leaves_no_trace_in_the_next_message() {
    let columns = vec![
        column("v", "text()", Kind::String),
        repeated("notes", "/note", Kind::String, Repeat::List),
        repeated("last", "/note", Kind::String, Repeat::Last),
    ];
    let mapping = mapping(None, "r", columns);
    let parsed = parse(
        &mapping,
        &[
            "<m><note>a</note><r>1</r></m>",
            "<m><note>b</note><r>2</r><note>",
            "<m><r>3</r></m>",
            "",
            "<m><note>c</note></m>",
        ],
    );
    assert_eq!(shown(&parsed.tables[0].rows), ["1|[a]|a", "3|-|-"]);
}

/// A number and an author, or several, as a struct.
pub(super) fn author(repeat: Repeat) -> Mapping {
    let fields = vec![
        column("name", "name", Kind::String),
        column("born", "@born", Kind::Int32),
        repeated("tags", "tag", Kind::String, Repeat::List),
        column("home", "home", Kind::Struct(vec![column("city", "city", Kind::String)].into())),
    ];
    let mut author = repeated("author", "author", Kind::Struct(fields.into()), repeat);
    author.path.take = Take::Element;
    mapping(None, "r", vec![column("id", "@id", Kind::Int32), author])
}

const AUTHORS: &str = "<m><r id='1'><author born='1'><name>A</name><tag>x</tag><tag>y</tag></author>\
                       <author born='2'><home><city>P</city></home></author></r><r id='2'/>\
                       <r id='3'><author/></r></m>";

#[test]
fn structs_hold_their_fields() {
    let first = "1|{name: A, born: 1, tags: [x, y], home: }";
    let second = "{name: , born: 2, tags: , home: {city: P}}";
    let empty = "{name: , born: , tags: , home: }";
    for (repeat, expected) in [
        (Repeat::First, [first.to_owned(), "2|-".to_owned(), format!("3|{empty}")]),
        (Repeat::Last, [format!("1|{second}"), "2|-".to_owned(), format!("3|{empty}")]),
        (Repeat::Index(2), [format!("1|{second}"), "2|-".to_owned(), "3|-".to_owned()]),
        (Repeat::List, [first.replace("|", "|[") + ", " + second + "]", "2|-".to_owned(), format!("3|[{empty}]")]),
        (Repeat::Count, ["1|2".to_owned(), "2|0".to_owned(), "3|1".to_owned()]),
    ] {
        let (verdict, rows) = parse_one(&author(repeat.clone()), AUTHORS);
        assert_eq!((verdict.violations, rows), (vec![], expected.to_vec()), "{repeat:?}");
    }
    let (verdict, rows) = parse_one(&author(Repeat::Only), AUTHORS);
    assert_eq!((codes(&verdict), rows.len()), (vec!["shape.repeat"], 0));
    assert_eq!(verdict.violations[0].path.as_deref(), Some("/m/r[1]/author[2]"));
}

#[test]
fn a_bad_field_is_told_with_its_struct_and_spoils_the_row_or_is_null() {
    let message = "<m><r id='1'><author born='x'><name>A</name></author></r></m>";
    let mut mapping = author(Repeat::Only);
    let (verdict, rows) = parse_one(&mapping, message);
    assert_eq!((codes(&verdict), rows.len()), (vec!["type.int"], 0));
    assert_eq!(verdict.violations[0].column.as_deref(), Some("author.born"));
    mapping.on_bad_field = OnBadField::Null;
    assert_eq!(parse_one(&mapping, message).1, ["1|{name: A, born: , tags: , home: }"]);
    let twice = "<m><r id='1'><author><name>A</name><name>B</name></author></r></m>";
    let (verdict, rows) = parse_one(&mapping, twice);
    assert_eq!((codes(&verdict), rows), (vec!["shape.repeat"], vec!["1|{name: , born: , tags: , home: }".to_owned()]));
    assert_eq!(verdict.violations[0].message, "author.name (name) occurs more than once in its struct");
}

#[test]
fn of_the_last_struct_only_the_last_is_judged() {
    let mapping = author(Repeat::Last);
    let bad_then_good = "<m><r id='1'><author born='x'/><author born='7'/></r></m>";
    let (verdict, rows) = parse_one(&mapping, bad_then_good);
    assert_eq!((verdict.violations, rows.len()), (vec![], 1));
    let good_then_bad = "<m><r id='y'><author born='7'/><author born='x'/></r></m>";
    let (verdict, _) = parse_one(&mapping, good_then_bad);
    let told: Vec<_> = verdict.violations.iter().map(|found| found.column.as_deref().unwrap()).collect();
    assert_eq!(told, ["id", "author.born"]);
}

#[test]
fn bad_messages_with_structs_and_lists_leave_no_trace() {
    for repeat in [Repeat::Only, Repeat::First, Repeat::Last, Repeat::List, Repeat::Index(1)] {
        let good = "<m><r id='1'><author born='1'><name>A</name><tag>x</tag></author></r></m>";
        let bad = ["<m><r id='1'><author><tag>y</tag><tag>", "<m><r id='x'><author><tag>z</tag></author></r></m>"];
        let parsed = parse(&author(repeat.clone()), &[good, bad[0], good, bad[1], good]);
        let expected = shown(&parse(&author(repeat), &[good]).tables[0].rows);
        assert_eq!(shown(&parsed.tables[0].rows), vec![expected[0].clone(); 3]);
    }
}

#[test]
fn what_is_joined_is_judged_and_stands_for_nothing_as_anywhere() {
    let nil = "<v xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:nil='true'/>";
    let of = |required, default: Option<&str>| {
        let rules = ValueRules {
            allowed: vec!["a".into(), "b".into(), "none".into()],
            default: default.map(str::to_owned),
            ..ValueRules::default()
        };
        let column = Column { rules, required, ..repeated("v", "v", Kind::String, Repeat::Join("+".into())) };
        mapping(None, "r", vec![column])
    };
    for (required, default, values, row, violations) in [
        (false, None, format!("<v>a</v>{nil}<v/><v>b</v>"), "a+b", vec![]),
        (false, Some("none"), format!("<v>a</v>{nil}<v/>"), "a+none+none", vec![]),
        (false, None, "<v>x</v><v>b</v>".into(), "b", vec!["rule.enum"]),
        (false, None, "<v>x</v>".into(), "-", vec!["rule.enum"]),
        (true, None, "<v>x</v>".into(), "", vec!["rule.enum"]),
        (true, None, "<v/>".into(), "", vec!["rule.required"]),
    ] {
        let mapping = of(required, default);
        let mapping = Mapping { on_bad_field: OnBadField::Null, ..mapping };
        let (verdict, rows) = parse_one(&mapping, &format!("<m><r>{values}</r></m>"));
        assert_eq!((codes(&verdict), rows.join("")), (violations, row.to_owned()), "{values}");
    }
}

#[test]
fn the_place_of_a_value_is_that_of_the_one_that_counts() {
    for (repeat, expected) in
        [(Repeat::First, "/m/r/v[1]"), (Repeat::Index(2), "/m/r/v[2]"), (Repeat::Last, "/m/r/v[3]")]
    {
        let table = ParserTable::compile(&one(repeat.clone(), Kind::Int32)).unwrap();
        let message = b"<m><r><v>1</v><v>2</v><v>3</v></r></m>";
        assert_eq!(table.locate(message, 0, &[0]).of(0).unwrap().path.as_deref(), Some(expected), "{repeat:?}");
    }
}

#[test]
fn a_value_is_found_again_among_very_many() {
    for repeat in [Repeat::Last, Repeat::Only] {
        let mut mapping = one(repeat, Kind::Int32);
        mapping.columns[0].path.steps = vec![Step { name: None, condition: None }];
        let table = ParserTable::compile(&mapping).unwrap();
        let values: String = (0..15_000).map(|number| format!("<v{number}>1</v{number}>")).collect();
        let message = format!("<m><r>{values}</r></m>");
        let took = cpu_time(|| {
            let path = table.locate(message.as_bytes(), 0, &[0]).of(0).unwrap().path.clone();
            assert!(path.is_some_and(|path| path.starts_with("/m/r/v")));
        });
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
}
