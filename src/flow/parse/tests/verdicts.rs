//! What bad messages are told.

use std::sync::Arc;

use super::*;
use crate::flow::parse::Care;
use crate::model::batch::Outcome;
use crate::model::violation::Violation;

/// Messages that are not well-formed, each with its code.
const BROKEN: &[(&str, &str)] = &[
    ("", "xml.empty"),
    ("\u{feff}", "xml.no-root"),
    (" \n", "xml.no-root"),
    ("<?xml version=\"1.0\"?>", "xml.no-root"),
    ("{\"a\": 1}", "xml.text-outside-root"),
    ("x<library/>", "xml.text-outside-root"),
    ("<library/>x", "xml.text-outside-root"),
    ("<library/>&amp;", "xml.text-outside-root"),
    ("<![CDATA[x]]><library/>", "xml.text-outside-root"),
    ("<library/>\0", "xml.character"),
    ("<library>\u{1}</library>", "xml.character"),
    ("<library><!-- \u{FFFE} --></library>", "xml.character"),
    ("<library/><library/>", "xml.second-root"),
    ("<library/></library>", "xml.mismatched-end-tag"),
    ("<library><book></library>", "xml.mismatched-end-tag"),
    ("<library><book></Book></library>", "xml.mismatched-end-tag"),
    ("<library></library x='1'>", "xml.mismatched-end-tag"),
    ("<library>", "xml.unclosed"),
    ("<library><a/>", "xml.unclosed"),
    ("<library", "xml.unclosed"),
    ("<library a='", "xml.unclosed"),
    ("<library><!-- ", "xml.unclosed"),
    ("<library><![CDATA[ ]]</library>", "xml.unclosed"),
    ("<library><!x></library>", "xml.syntax"),
    ("<library><!-- a -- b --></library>", "xml.comment"),
    ("<library>]]></library>", "xml.cdata-end"),
    ("<>", "xml.name"),
    ("< library/>", "xml.name"),
    ("<1/>", "xml.name"),
    ("<a:b:c/>", "xml.name"),
    ("<library><?xml version='1.0'?></library>", "xml.declaration"),
    (" <?xml version='1.0'?><library/>", "xml.declaration"),
    ("<?xml version='1.0' encoding='UTF-16'?><library/>", "xml.encoding-conflict"),
    ("<library><?XML x?></library>", "xml.processing-instruction"),
    ("<library a='1' a='2'/>", "xml.duplicate-attribute"),
    ("<library a='1'b='2'/>", "xml.attribute"),
    ("<library a/>", "xml.attribute"),
    ("<library a=1/>", "xml.attribute"),
    ("<library a='<'/>", "xml.attribute"),
    ("<library 1='x'/>", "xml.name"),
    ("<library a='&nbsp;'/>", "xml.entity"),
    ("<library a='&amp'/>", "xml.reference"),
    ("<library>&nbsp;</library>", "xml.entity"),
    ("<library>&#0;</library>", "xml.reference"),
    ("<library>a & b</library>", "xml.reference"),
    ("<library>&amp</library>", "xml.reference"),
    ("<x:library/>", "xml.namespace-unbound"),
    ("<library x:a='1'/>", "xml.namespace-unbound"),
    ("<library xmlns:x=''/>", "xml.namespace-undeclared"),
    ("<!DOCTYPE library><library/>", "dtd.refused"),
    ("<!doctype library><library/>", "xml.syntax"),
    ("<!DOCTYPE><library/>", "dtd.refused"),
    ("<!DOCTYPE library [<!ENTITY a 'b'>]><library>&a;</library>", "dtd.refused"),
];

#[test]
fn what_is_not_well_formed_is_refused_with_its_code() {
    for (message, code) in BROKEN {
        let (verdict, rows) = parse_one(&library(), message);
        assert_eq!(
            (verdict.outcome, codes(&verdict), rows.len()),
            (Outcome::Quarantined, vec![*code], 0),
            "{message:?}"
        );
    }
}

#[test]
fn a_break_after_good_rows_takes_them_back() {
    let good = LIBRARY.trim_end().strip_suffix("</library>").unwrap();
    for (tail, code) in
        [("", "xml.unclosed"), ("</lib>", "xml.mismatched-end-tag"), ("</library><x/>", "xml.second-root")]
    {
        let message = format!("{good}{tail}");
        let parsed = parse(&library(), &[LIBRARY, &message, LIBRARY]);
        assert_eq!(codes(&parsed.verdicts[1]), [code]);
        assert_eq!(parsed.tables[0].message, [0, 0, 2, 2]);
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_where_they_are() {
    let raw = batch(&[Some(b"<library>\n<book>\xFF</book></library>"), Some(b"\xFF\xFE<\0a")]);
    let parsed = parser(&library()).parse(&raw, Some(0)).unwrap();
    let violation = &parsed.verdicts[0].violations[0];
    assert_eq!((violation.code.name(), violation.line, violation.byte_offset), ("xml.encoding", Some(2), Some(16)));
    assert_eq!(violation.path.as_deref(), Some("/library/book"));
    assert_eq!(codes(&parsed.verdicts[1]), ["xml.encoding"]);
}

fn shown(violation: &Violation) -> String {
    format!(
        "{} {} {} {} {} {} {}",
        violation.code,
        violation.column.as_deref().unwrap_or("-"),
        violation.path.as_deref().unwrap_or("-"),
        violation.line.unwrap(),
        violation.byte_offset.unwrap(),
        violation.value.as_deref().unwrap_or("-"),
        violation.message,
    )
}

#[test]
fn every_violation_of_a_message_is_told_with_its_place() {
    let message = "<library branch='L1'>\n<book id='1'>\n<record_id>one</record_id><price>1.005</price></book>\n\
                   <book><price>x</price><price>2</price><publication_year>99999999999</publication_year></book>\n\
                   <book><record_id></record_id><added>yesterday</added></book></library>";
    let (verdict, rows) = parse_one(&library(), message);
    assert_eq!((verdict.outcome, rows.len()), (Outcome::Quarantined, 0));
    let told: Vec<String> = verdict.violations.iter().map(shown).collect();
    assert_eq!(
        told,
        [
            "type.int record_id /library/book[1]/record_id 3 47 one the value of record_id is not a whole number",
            "type.decimal price /library/book[1]/price 3 69 1.005 the value of price is not exact in decimal(10,2): it has more than 2 digits after the point",
            "type.decimal price /library/book[2]/price[1] 4 103 x the value of price is not a decimal",
            "shape.repeat price /library/book[2]/price[2] 4 119 2 price (price) occurs more than once in its row",
            "type.int publication_year /library/book[2]/publication_year 4 146 99999999999 the value of publication_year is out of the range of int32: -2147483648 to 2147483647",
            "rule.required record_id /library/book[2] 4 90 - record_id is required, and record_id is missing",
            "rule.required record_id /library/book[3]/record_id 5 190 - record_id is required, and record_id is empty",
            "type.timestamp added /library/book[3]/added 5 220 yesterday the value of added is not a timestamp of the form 2026-10-15T18:42:00Z",
        ]
    );
}

#[test]
fn an_attribute_has_its_own_place() {
    let mapping = mapping(None, "r", vec![column("n", "@n", Kind::Int8), column("v", "/@v", Kind::Date)]);
    let (verdict, _) = parse_one(&mapping, "<m v='x'><r n='1'/><r n='300'/></m>");
    let told: Vec<_> =
        verdict.violations.iter().map(|found| (found.path.as_deref().unwrap(), found.byte_offset.unwrap())).collect();
    assert_eq!(told, [("/m/@v", 6), ("/m/r[2]/@n", 25)]);
}

#[test]
fn a_long_value_is_shortened_and_violations_are_limited() {
    let books = "<book><record_id>".to_owned() + &"é".repeat(100) + "</record_id></book>";
    let (verdict, _) = parse_one(&library(), &format!("<library>{}</library>", books.repeat(150)));
    assert_eq!(verdict.violations.len(), 100);
    let value = verdict.violations[0].value.as_ref().unwrap();
    assert_eq!((value.chars().count(), value.chars().last()), (64, Some('…')));
}

#[test]
fn the_reason_that_ended_the_reading_comes_first() {
    let (verdict, _) = parse_one(&library(), "<library><book><record_id>x</record_id></book></lib>");
    assert_eq!(codes(&verdict), ["xml.mismatched-end-tag", "type.int"]);
    let (verdict, _) = parse_one(&library(), &format!("<library>{}</lib>", "<book/>".repeat(200)));
    assert_eq!((verdict.violations.len(), verdict.violations[0].code.name()), (100, "xml.mismatched-end-tag"));
}

#[test]
fn good_rows_are_kept_when_the_mapping_says_so() {
    let message = "<library><book><record_id>1</record_id></book><book><record_id>x</record_id></book>\
                   <book><record_id>3</record_id></book></library>";
    let mut mapping = library();
    mapping.on_bad_message = OnBadMessage::KeepGoodRows;
    let parsed = parse(&mapping, &[message]);
    let verdict = &parsed.verdicts[0];
    assert_eq!((verdict.outcome, verdict.rows, codes(verdict)), (Outcome::Partial, 2, vec!["type.int"]));
    let index = parsed.tables[0].rows.column_by_name("row_index").unwrap();
    assert_eq!(index.as_ref(), &arrow::array::Int32Array::from(vec![0, 2]));
    let (verdict, rows) = parse_one(&mapping, "<library><book><record_id>x</record_id></book></library>");
    assert_eq!((verdict.outcome, rows.len()), (Outcome::Quarantined, 0));
    let (verdict, rows) = parse_one(&mapping, "<library><book><record_id>1</record_id></book></librar>");
    assert_eq!((verdict.outcome, rows.len()), (Outcome::Quarantined, 0), "only a well-formed message has good rows");
}

#[test]
fn a_bad_field_becomes_null_when_the_mapping_says_so() {
    let mut mapping = library();
    mapping.on_bad_field = OnBadField::Null;
    let message = "<library><book><record_id>1</record_id><price>x</price><added>1</added></book></library>";
    let (verdict, rows) = parse_one(&mapping, message);
    assert_eq!((verdict.outcome, codes(&verdict)), (Outcome::Partial, vec!["type.decimal", "type.timestamp"]));
    assert_eq!(rows, ["1|-|-|-|-|-|-|-|-"]);
    let message = "<library><book><record_id>1</record_id><price>1</price><price>2</price></book></library>";
    let (verdict, rows) = parse_one(&mapping, message);
    assert_eq!((codes(&verdict), rows), (vec!["shape.repeat"], vec!["1|-|-|-|-|-|-|-|-".to_owned()]));
    let (verdict, rows) = parse_one(&mapping, "<library><book><record_id>x</record_id></book></library>");
    assert_eq!((verdict.outcome, rows.len()), (Outcome::Quarantined, 0), "a required column cannot be null");
}

#[test]
fn a_bad_value_of_the_root_spoils_every_row() {
    let mut mapping = mapping(None, "r", vec![column("v", "text()", Kind::Int32), column("day", "/@day", Kind::Date)]);
    mapping.on_bad_message = OnBadMessage::KeepGoodRows;
    let message = "<m day='x'><r>1</r><r>2</r></m>";
    let (verdict, rows) = parse_one(&mapping, message);
    assert_eq!((verdict.outcome, codes(&verdict), rows.len()), (Outcome::Quarantined, vec!["type.date"], 0));
    mapping.on_bad_field = OnBadField::Null;
    let (verdict, rows) = parse_one(&mapping, message);
    assert_eq!((verdict.outcome, rows), (Outcome::Partial, vec!["1|-".to_owned(), "2|-".to_owned()]));
    mapping.columns[1].required = true;
    let (verdict, _) = parse_one(&mapping, "<m><r>1</r></m>");
    assert_eq!((verdict.outcome, codes(&verdict)), (Outcome::Quarantined, vec!["rule.required"]));
}

#[test]
fn limits_hold() {
    let mut mapping = library();
    mapping.limits = Limits { bytes: 200, depth: 3, attributes: 2, rows: 2, ..Limits::default() };
    for (message, code) in [
        (format!("<library>{}</library>", " ".repeat(200)), "limit.bytes"),
        ("<library><a><b><c/></b></a></library>".to_owned(), "limit.depth"),
        ("<library a='' b='' c=''/>".to_owned(), "limit.attributes"),
        (format!("<library>{}</library>", "<book><record_id>1</record_id></book>".repeat(3)), "limit.rows"),
    ] {
        let (verdict, rows) = parse_one(&mapping, &message);
        assert_eq!((codes(&verdict), rows.len()), (vec![code], 0), "{message}");
    }
}

#[test]
fn a_message_cannot_fill_the_memory_by_repeating_what_its_rows_share() {
    let mapping = mapping(None, "r", vec![column("v", "/@v", Kind::String)]);
    let message = format!("<m v='{}'>{}</m>", "x".repeat(100_000), "<r/>".repeat(20_000));
    let (verdict, rows) = parse_one(&mapping, &message);
    assert_eq!((codes(&verdict), rows.len()), (vec!["limit.rows"], 0));
}

#[test]
fn a_poisoned_message_is_quarantined_untouched() {
    let raw = batch(&[Some(LIBRARY.as_bytes()), Some(b"<poison/>"), Some(LIBRARY.as_bytes())]);
    let parser = Parser::new(Arc::from(vec![ParserTable::compile(&library()).unwrap()]));
    let mut parser = parser.with_probe(Box::new(|message| assert_ne!(message.offset, 101, "poison")));
    let care = Care { poisoned: &[1], is_isolated: true, ..Care::default() };
    let parsed = parser.parse_with_care(&raw, Some(0), &care).unwrap();
    assert_eq!(codes(&parsed.verdicts[1]), ["rule.poison"]);
    assert_eq!(parsed.tables[0].message, [0, 0, 2, 2]);
}
