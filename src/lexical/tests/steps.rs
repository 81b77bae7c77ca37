//! The steps in their order, and the rules.

use super::{caster, refused, shown, table};
use crate::lexical::{Memory, Value};
use crate::model::mapping::{BinaryText, Kind, Precision, Trim};

#[test]
fn white_space_goes_before_anything_is_asked() {
    let collapse = caster(&Kind::String, |rules| {
        (rules.trim, rules.null_values, rules.max_length) = (Trim::Collapse, vec!["n a".into()], Some(3));
    });
    table(&collapse, &[(" a \n b ", "Text(\"a b\")"), ("\tn\r\na ", "Null"), (" \n ", "Null")]);
    let both = caster(&Kind::String, |rules| (rules.trim, rules.regex) = (Trim::Both, Some("a  b".into())));
    table(&both, &[("\n a  b\t", "Text(\"a  b\")")]);
    let none = caster(&Kind::Int32, |rules| rules.trim = Trim::None);
    table(&none, &[(" 1", "type.int: not a whole number"), (" ", "type.int: not a whole number")]);
    table(&caster(&Kind::Int32, |rules| rules.trim = Trim::Both), &[(" 1\n", "Int(1)"), (" ", "Null")]);
}

#[test]
fn null_is_what_is_empty_or_listed() {
    let int = caster(&Kind::Int32, |rules| {
        (rules.trim, rules.null_values) = (Trim::Both, vec!["NULL".into(), "-1".into(), "n/a".into(), String::new()]);
    });
    table(&int, &[("", "Null"), (" NULL ", "Null"), ("-1", "Null"), ("n/a", "Null"), ("1", "Int(1)")]);
    refused(&int, "type.int", &["null", "N/A"]);
    // The text is compared, not the value.
    table(&int, &[("-01", "Int(-1)")]);
    assert_eq!(int.missing(), Value::Null);
}

#[test]
fn a_default_stands_for_null_and_never_for_a_failed_cast() {
    let int = caster(&Kind::Int32, |rules| {
        (rules.default, rules.null_values) = (Some("7".into()), vec!["n/a".into()]);
    });
    assert_eq!(int.missing(), Value::Int(7));
    table(&int, &[("", "Int(7)"), ("n/a", "Int(7)"), ("x", "type.int: not a whole number"), ("8", "Int(8)")]);
    for (kind, text, expected) in [
        (Kind::String, "", Value::Text("")),
        (Kind::String, " none ", Value::Text(" none ")),
        (Kind::Bool, "false", Value::Bool(false)),
        (Kind::Float32, "NaN", Value::Float32(f32::NAN)),
        (Kind::Float64, "1e3", Value::Float64(1000.0)),
        (Kind::Decimal(5, 2), "1.5", Value::Decimal(150)),
        (Kind::Date, "1970-01-02", Value::Int(1)),
        (Kind::Binary(BinaryText::Hex), "00ff", Value::Bytes(&[0, 255])),
        (Kind::Binary(BinaryText::Hex), "", Value::Bytes(&[])),
        (Kind::Json, "{}", Value::Text("{}")),
    ] {
        let caster = caster(&kind, |rules| (rules.default, rules.trim) = (Some(text.to_owned()), Trim::Both));
        assert_eq!(format!("{:?}", caster.missing()), format!("{expected:?}"), "{kind:?}");
        assert_eq!(shown(&caster, " "), format!("{expected:?}"), "{kind:?}");
    }
}

#[test]
fn enum_is_compared_in_the_type() {
    let text = caster(&Kind::String, |rules| rules.allowed = vec!["EUR".into(), "USD".into()]);
    table(
        &text,
        &[
            ("EUR", "Text(\"EUR\")"),
            ("USD", "Text(\"USD\")"),
            ("eur", "rule.enum: none of those that are allowed: EUR or USD"),
            ("EUR ", "rule.enum: none of those that are allowed: EUR or USD"),
        ],
    );
    let decimal = caster(&Kind::Decimal(5, 2), |rules| {
        (rules.allowed, rules.decimal) = (vec!["7,0".into(), "19".into(), "-1".into()], Some(','));
    });
    table(
        &decimal,
        &[
            ("7,00", "Decimal(700)"),
            ("+19", "Decimal(1900)"),
            ("-1,0", "Decimal(-100)"),
            ("7,01", "rule.enum: none of those that are allowed: 7,0, 19 or -1"),
            ("x", "type.decimal: not a decimal"),
        ],
    );
    let float = caster(&Kind::Float64, |rules| rules.allowed = vec!["0".into(), "NaN".into(), "INF".into()]);
    table(&float, &[("-0.0", "Float64(-0.0)"), ("NaN", "Float64(NaN)"), ("INF", "Float64(inf)")]);
    refused(&float, "rule.enum", &["-INF", "1"]);
    let bytes = caster(&Kind::Binary(BinaryText::Hex), |rules| rules.allowed = vec!["ff".into()]);
    table(&bytes, &[("FF", "Bytes([255])"), ("fe", "rule.enum: none of those that are allowed: ff")]);
    let bool = caster(&Kind::Bool, |rules| rules.allowed = vec!["true".into()]);
    table(&bool, &[("1", "Bool(true)"), ("0", "rule.enum: none of those that are allowed: true")]);
    let instant = caster(&Kind::Timestamp(Precision::Micro), |rules| {
        rules.allowed = vec!["1970-01-01T01:00:00+01:00".into()];
    });
    table(&instant, &[("1970-01-01T00:00:00Z", "Int(0)")]);
}

#[test]
fn a_regex_is_about_the_whole_text() {
    let code = caster(&Kind::String, |rules| rules.regex = Some("[A-Z]{2}|x".into()));
    table(&code, &[("AB", "Text(\"AB\")"), ("x", "Text(\"x\")")]);
    refused(&code, "rule.regex: not of the form [A-Z]{2}|x", &["ABC", "xAB", "ab", "AB\n", "A"]);
    // It is about the text of a number too, which says more than its value.
    let number = caster(&Kind::Decimal(9, 2), |rules| rules.regex = Some(r"\d+\.\d{2}".into()));
    table(&number, &[("1.50", "Decimal(150)"), ("1.5", r"rule.regex: not of the form \d+\.\d{2}")]);
    for (regex, good, bad) in [
        ("(?i)abc", "aBc", "abcd"),
        ("(?x) a b # a comment", "ab", "a b"),
        ("^a$", "a", "aa"),
        (".", "\u{1f600}", "ab"),
        (r"\p{Lu}\w*", "\u{c9}t\u{e9}", "\u{e9}t\u{e9}"),
    ] {
        let caster = caster(&Kind::String, |rules| rules.regex = Some(regex.into()));
        assert!(caster.cast(good, &mut Memory::default()).is_ok(), "{regex}");
        refused(&caster, "rule.regex", &[bad]);
    }
    // Time that a back-tracking engine would not come back from.
    let slow = caster(&Kind::String, |rules| rules.regex = Some("(a*)*b".into()));
    refused(&slow, "rule.regex", &[&"a".repeat(100_000)]);
}

#[test]
fn lengths_are_characters_and_bytes() {
    let text = caster(&Kind::String, |rules| (rules.min_length, rules.max_length) = (Some(2), Some(4)));
    table(
        &text,
        &[
            ("ab", "Text(\"ab\")"),
            ("\u{e9}\u{e9}\u{e9}\u{e9}", "Text(\"\u{e9}\u{e9}\u{e9}\u{e9}\")"),
            ("\u{1f600}\u{1f600}\u{1f600}\u{1f600}", "Text(\"\u{1f600}\u{1f600}\u{1f600}\u{1f600}\")"),
            ("\u{1f600}", "rule.length: 1 character long, shorter than 2 (min_length)"),
            ("abcde", "rule.length: 5 characters long, longer than 4 (max_length)"),
            ("", "Null"),
        ],
    );
    let bytes = caster(&Kind::Binary(BinaryText::Hex), |rules| rules.min_length = Some(2));
    table(&bytes, &[("0102", "Bytes([1, 2])"), ("01", "rule.length: 1 byte long, shorter than 2 (min_length)")]);
    let json = caster(&Kind::Json, |rules| rules.max_length = Some(4));
    table(
        &json,
        &[("[10]", "Text(\"[10]\")"), ("[100]", "rule.length: 5 characters long, longer than 4 (max_length)")],
    );
}

#[test]
fn bounds_are_compared_in_the_type() {
    let year = caster(&Kind::Int16, |rules| (rules.min, rules.max) = (Some("1450".into()), Some("2100".into())));
    table(
        &year,
        &[
            ("1450", "Int(1450)"),
            ("02100", "Int(2100)"),
            ("1449", "rule.range: below 1450 (min)"),
            ("2101", "rule.range: above 2100 (max)"),
            ("99999", "type.int: out of the range of int16: -32768 to 32767"),
        ],
    );
    let price = caster(&Kind::Decimal(9, 2), |rules| rules.min = Some("0.01".into()));
    table(
        &price,
        &[("0.01", "Decimal(1)"), ("1e9", "type.decimal: not a decimal"), ("-5", "rule.range: below 0.01 (min)")],
    );
    let float = caster(&Kind::Float64, |rules| (rules.min, rules.max) = (Some("-0".into()), Some("INF".into())));
    table(
        &float,
        &[
            ("0", "Float64(0.0)"),
            ("-0", "Float64(-0.0)"),
            ("INF", "Float64(inf)"),
            ("-INF", "rule.range: below -0 (min)"),
            ("NaN", "rule.range: NaN, which is in no range"),
        ],
    );
    let single = caster(&Kind::Float32, |rules| (rules.min, rules.max) = (Some("0".into()), Some("0.1".into())));
    table(
        &single,
        &[
            ("0.1", "Float32(0.1)"),
            ("-0", "Float32(-0.0)"),
            ("0.2", "rule.range: above 0.1 (max)"),
            ("NaN", "rule.range: NaN, which is in no range"),
        ],
    );
    let date = caster(&Kind::Date, |rules| {
        (rules.formats, rules.min, rules.max) =
            (vec!["%d/%m/%Y".into()], Some("01/01/2000".into()), Some("31/12/2026".into()));
    });
    table(
        &date,
        &[("31/12/1999", "rule.range: below 01/01/2000 (min)"), ("01/01/2027", "rule.range: above 31/12/2026 (max)")],
    );
    let instant = caster(&Kind::Timestamp(Precision::Nano), |rules| rules.min = Some("2026-01-01T00:00:00Z".into()));
    table(&instant, &[("2026-01-01T00:59:59+01:00", "rule.range: below 2026-01-01T00:00:00Z (min)")]);
    refused(
        &caster(&Kind::Time(Precision::Milli), |rules| rules.max = Some("12:00:00".into())),
        "rule.range",
        &["12:00:00.001"],
    );
}

#[test]
fn the_first_rule_that_does_not_hold_is_the_one_that_is_told() {
    let all = caster(&Kind::String, |rules| {
        (rules.allowed, rules.regex, rules.max_length) =
            (vec!["aaaa".into(), "b".into(), "aa".into()], Some("a+".into()), Some(3));
    });
    refused(&all, "rule.enum", &["c"]);
    refused(&all, "rule.regex", &["b"]);
    refused(&all, "rule.length", &["aaaa"]);
    table(&all, &[("aa", "Text(\"aa\")")]);
}
