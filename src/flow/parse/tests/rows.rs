//! What good messages become.

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};

use super::*;
use crate::model::batch::Outcome;
use crate::model::mapping::LINEAGE;

#[test]
fn a_library_becomes_a_row_for_each_book() {
    let (verdict, rows) = parse_one(&library(), LIBRARY);
    assert_eq!((verdict.outcome, verdict.rows, verdict.table), (Outcome::Rows, 2, Some(0)), "{verdict:?}");
    assert_eq!(
        rows,
        [
            "42|L7|B000000042|river stone & winter glass|Silent Harbour|17.95|EUR|1987|2026-10-15T18:42:00Z",
            "43|L7|B000000043|Stein|-|1.00|EUR|-|2026-10-15T22:00:00.500Z",
        ]
    );
}

#[test]
fn rows_carry_their_lineage() {
    let parsed = parse(&library(), &[LIBRARY, "<library/>", LIBRARY]);
    let part = &parsed.tables[0];
    assert_eq!(part.message, [0, 0, 2, 2]);
    let column = |name: &str| part.rows.column_by_name(name).unwrap();
    let topic = column(LINEAGE[0]).as_dictionary::<Int32Type>();
    assert_eq!((topic.values().as_string::<i32>().value(0), topic.values().len()), ("library", 1));
    assert_eq!(column(LINEAGE[1]).as_primitive::<Int32Type>().values(), &[3, 3, 3, 3]);
    assert_eq!(column(LINEAGE[2]).as_primitive::<Int64Type>().values(), &[100, 100, 102, 102]);
    let times = column(LINEAGE[3]).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(times.values(), &[1_700_000_000_000_000; 4]);
    assert_eq!(column(LINEAGE[4]).as_primitive::<Int32Type>().values(), &[0, 1, 0, 1]);
    assert_eq!(part.rows.schema(), library().raw_schema());
    assert_eq!(parsed.verdicts[1].outcome, Outcome::Rows);
    assert!(parsed.permit.bytes() > 0);
}

#[test]
fn a_value_of_the_root_may_come_after_the_rows() {
    let mapping = mapping(
        None,
        "r",
        vec![
            column("v", "text()", Kind::Int32),
            column("head", "/head", Kind::String),
            column("tail", "/t tail", Kind::Int32),
        ],
    );
    let (verdict, rows) = parse_one(&mapping, "<m><head>h</head><r>1</r><r>2</r><t><tail>9</tail></t></m>");
    assert_eq!(verdict.violations, []);
    assert_eq!(rows, ["1|h|9", "2|h|9"]);
    let (_, rows) = parse_one(&mapping, "<m><r>1</r></m>");
    assert_eq!(rows, ["1|-|-"]);
}

#[test]
fn without_a_row_path_the_root_is_the_row() {
    let mapping = mapping(Some("m"), "", vec![column("a", "@a", Kind::Bool), column("b", "b", Kind::Float64)]);
    assert_eq!(parse_one(&mapping, "<m a='1'><b>1.5</b></m>").1, ["true|1.5"]);
    assert_eq!(parse_one(&mapping, "<m/>").1, ["-|-"]);
}

#[test]
fn text_is_joined_from_its_pieces() {
    let mapping = mapping(
        None,
        "",
        vec![
            column("own", "a", Kind::String),
            column("all", "a string()", Kind::String),
            column("b", "a b", Kind::String),
        ],
    );
    let (_, rows) =
        parse_one(&mapping, "<m><a>1<!-- x -->2<b>in&lt;<c>deep</c></b>3<?pi?><![CDATA[<4>&amp;]]>&#65;&amp;</a></m>");
    assert_eq!(rows, ["123<4>&amp;A&|12in<deep3<4>&amp;A&|in<"]);
    let (_, rows) = parse_one(&mapping, "<m><a>x\r\ny\rz&#13;</a></m>");
    assert_eq!(rows, ["x\ny\nz\r|x\ny\nz\r|-"]);
}

#[test]
fn white_space_is_trimmed_as_the_column_says_and_empty_is_null() {
    let mut columns = vec![
        column("none", "a", Kind::String),
        column("both", "b", Kind::String),
        column("collapse", "c", Kind::String),
        column("number", "d", Kind::Int8),
    ];
    columns[1].rules.trim = Trim::Both;
    columns[2].rules.trim = Trim::Collapse;
    let mapping = mapping(None, "", columns);
    let (_, rows) = parse_one(&mapping, "<m><a> x </a><b>\n x  y\t</b><c> x \n y </c><d> 7 </d></m>");
    assert_eq!(rows, [" x |x  y|x y|7"]);
    let (verdict, rows) = parse_one(&mapping, "<m><a></a><b> </b><c>\n</c><d/></m>");
    assert_eq!((verdict.violations, rows), (vec![], vec!["-|-|-|-".to_owned()]));
}

#[test]
fn attributes_are_normalised() {
    let mapping = mapping(None, "", vec![column("a", "@a", Kind::String)]);
    assert_eq!(parse_one(&mapping, "<m a='x\n&lt;&#10;y'/>").1, ["x <\ny"]);
}

#[test]
fn prefixes_of_the_message_do_not_matter() {
    let mapping = mapping(
        Some("{urn:o}order"),
        "{urn:l}line",
        vec![
            column("id", "{urn:c}id", Kind::Int32),
            column("k", "@{urn:c}k", Kind::String),
            column("p", "@k", Kind::String),
        ],
    );
    for message in [
        r#"<order xmlns="urn:o" xmlns:l="urn:l" xmlns:c="urn:c"><l:line c:k="a" k="b"><c:id>7</c:id></l:line></order>"#,
        r#"<o:order xmlns:o="urn:o"><line xmlns="urn:l" xmlns:z="urn:c" z:k="a" k="b"><id xmlns="urn:c">7</id></line></o:order>"#,
        r#"<a:order xmlns:a="urn:o" xmlns:b="urn:l"><b:line k="b" c:k="a" xmlns:c="urn:c"><c:id>7</c:id><a:id>8</a:id></b:line></a:order>"#,
    ] {
        let (verdict, rows) = parse_one(&mapping, message);
        assert_eq!((verdict.violations, rows), (vec![], vec!["7|a|b".to_owned()]), "{message}");
    }
    let (verdict, _) = parse_one(&mapping, "<order><line/></order>");
    assert_eq!(codes(&verdict), ["shape.root"]);
}

#[test]
fn a_column_may_be_read_twice_in_two_types() {
    let mapping = mapping(None, "", vec![column("a", "v", Kind::String), column("b", "v", Kind::Int16)]);
    assert_eq!(parse_one(&mapping, "<m><v>007</v></m>").1, ["007|7"]);
}

#[test]
fn a_byte_order_mark_and_an_epilog_are_fine() {
    let message = format!("\u{feff}{LIBRARY}<!-- bye --><?pi x?>\n\n");
    assert_eq!(parse_one(&library(), &message).0.outcome, Outcome::Rows);
}

#[test]
fn tombstones_and_unrouted_messages_have_a_verdict() {
    let raw = batch(&[None, Some(b"<library/>")]);
    let mut parser = parser(&library());
    let outcomes = |parsed: &ParsedBatch| parsed.verdicts.iter().map(|verdict| verdict.outcome).collect::<Vec<_>>();
    let routed = parser.parse(&raw, Some(0)).unwrap();
    assert_eq!(outcomes(&routed), [Outcome::Tombstone, Outcome::Rows]);
    let unrouted = parser.parse(&raw, None).unwrap();
    assert_eq!(outcomes(&unrouted), [Outcome::Tombstone, Outcome::Quarantined]);
    assert_eq!((codes(&unrouted.verdicts[1]), unrouted.verdicts[1].table), (vec!["shape.unrouted"], None));
    assert!(parser.parse(&raw, Some(7)).is_err());
}
