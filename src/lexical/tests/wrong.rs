//! What is wrong with the rules of a column, all at once.

use super::wrong;
use crate::model::mapping::{BinaryText, Kind, Precision, Rounding, Trim, ValueRules};

const HELP_TEXT: &str = "write it as the values of the column are written";

fn kinds() -> Vec<Kind> {
    let micro = Precision::Micro;
    vec![
        Kind::String,
        Kind::Bool,
        Kind::Int32,
        Kind::Float64,
        Kind::Decimal(9, 2),
        Kind::Date,
        Kind::Time(micro),
        Kind::Timestamp(micro),
        Kind::LocalTimestamp(micro),
        Kind::Binary(BinaryText::Hex),
        Kind::Json,
        Kind::Xml,
        Kind::Struct(std::sync::Arc::from([])),
    ]
}

/// A value of each kind, and a pattern.
fn example(kind: &Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Bool => ("true", "%F"),
        Kind::Date => ("2026-10-15", "%F"),
        Kind::Time(_) => ("18:42:00", "%T"),
        Kind::Timestamp(_) | Kind::LocalTimestamp(_) => ("2026-10-15T18:42:00", "%FT%T"),
        _ => ("12", "%F"),
    }
}

#[test]
fn a_rule_that_means_nothing_for_a_type_is_found() {
    // Which of the kinds above take a rule, in their order.
    for (key, takes) in [
        ("null_values", "yyyyyyyyyyynn"),
        ("default", "yyyyyyyyyyynn"),
        ("format", "nnnnnyyyynnnn"),
        ("zone", "nnnnnynyynnnn"),
        ("decimal", "nnnyynnnnnnnn"),
        ("group", "nnyyynnnnnnnn"),
        ("rounding", "nnnnynyyynnnn"),
        ("enum", "yyyyyyyyyynnn"),
        ("regex", "yyyyyyyyyyynn"),
        ("min", "nnyyyyyyynnnn"),
        ("max", "nnyyyyyyynnnn"),
        ("min_length", "ynnnnnnnnyynn"),
        ("max_length", "ynnnnnnnnyynn"),
    ] {
        for (kind, takes) in kinds().iter().zip(takes.chars()) {
            let (value, pattern) = example(kind);
            let set = |rules: &mut ValueRules| match key {
                "null_values" => rules.null_values = vec!["n/a".into()],
                "default" => rules.default = Some(value.into()),
                "format" => rules.formats = vec![pattern.into()],
                "zone" => rules.zone = Some("UTC".into()),
                "decimal" => rules.decimal = Some(','),
                "group" => rules.group = Some('\''),
                "rounding" => rules.rounding = Rounding::Down,
                "enum" => rules.allowed = vec![value.into()],
                "regex" => rules.regex = Some(".*".into()),
                "min" => rules.min = Some(value.into()),
                "max" => rules.max = Some(value.into()),
                "min_length" => rules.min_length = Some(1),
                _ => rules.max_length = Some(100),
            };
            let found = wrong(kind, set);
            if takes == 'y' {
                assert!(found.is_empty(), "{key} of {kind:?}: {found:?}");
            } else {
                assert_eq!(found.len(), 1, "{key} of {kind:?}: {found:?}");
                assert!(found[0].starts_with(&format!("{key}: {key} means nothing for ")), "{kind:?}: {found:?}");
            }
        }
    }
}

#[test]
fn what_would_be_right_is_said() {
    let micro = Precision::Micro;
    for (kind, key, help) in [
        (Kind::String, "min", "min means nothing for a string; take min_length, max_length, enum or regex"),
        (Kind::Int32, "max_length", "max_length means nothing for a whole number; take min and max, or regex"),
        (
            Kind::Int32,
            "decimal",
            "decimal means nothing for a whole number; take type = \"decimal(18,0)\" and rounding",
        ),
        (
            Kind::Int32,
            "rounding",
            "rounding means nothing for a whole number; take type = \"decimal(18,0)\" and rounding",
        ),
        (
            Kind::Float64,
            "rounding",
            "rounding means nothing for a float; remove it: the nearest number is always taken",
        ),
        (Kind::Json, "enum", "enum means nothing for json; take type = \"string\", or regex"),
        (Kind::String, "format", "format means nothing for a string; take it for a date or a timestamp"),
        (Kind::Time(micro), "zone", "zone means nothing for a time; take it for a date or a timestamp"),
        (Kind::Date, "group", "group means nothing for a date; take it for a number"),
        (Kind::Date, "rounding", "rounding means nothing for a date; take it for a decimal, a time or a timestamp"),
        (Kind::Bool, "max_length", "max_length means nothing for a bool; remove it"),
        (Kind::Xml, "max_length", "max_length means nothing for xml; remove it: the element is taken as it is"),
        (Kind::Struct(std::sync::Arc::from([])), "default", "default means nothing for a struct; set it on the fields"),
    ] {
        let found = wrong(&kind, |rules| match key {
            "min" => rules.min = Some("1".into()),
            "max_length" => rules.max_length = Some(1),
            "decimal" => rules.decimal = Some(','),
            "rounding" => rules.rounding = Rounding::Down,
            "enum" => rules.allowed = vec!["1".into()],
            "format" => rules.formats = vec!["%F".into()],
            "zone" => rules.zone = Some("UTC".into()),
            "group" => rules.group = Some('\''),
            _ => rules.default = Some("1".into()),
        });
        assert_eq!(found, [format!("{key}: {help}")]);
    }
}

#[test]
fn texts_that_are_no_values_are_found() {
    let bad = |key: &str, text: &str| {
        wrong(&Kind::Int8, |rules| match key {
            "default" => rules.default = Some(text.into()),
            "enum" => rules.allowed = vec!["1".into(), text.into()],
            "min" => rules.min = Some(text.into()),
            _ => rules.max = Some(text.into()),
        })
    };
    for key in ["default", "enum", "min", "max"] {
        assert_eq!(bad(key, "x"), [format!("{key}: \"x\" is not a whole number; {HELP_TEXT}")]);
        assert_eq!(bad(key, "200"), [format!("{key}: \"200\" is out of the range of int8: -128 to 127; {HELP_TEXT}")]);
    }
    assert_eq!(
        wrong(&Kind::Date, |rules| (rules.formats, rules.min) = (vec!["%d/%m/%Y".into()], Some("2026-01-01".into()))),
        [format!("min: \"2026-01-01\" is not a date of the form %d/%m/%Y; {HELP_TEXT}")]
    );
}

#[test]
fn a_default_keeps_its_own_rules() {
    for (found, what) in [
        (
            wrong(&Kind::Int32, |rules| (rules.default, rules.min) = (Some("0".into()), Some("1".into()))),
            "below 1 (min)",
        ),
        (
            wrong(&Kind::String, |rules| (rules.default, rules.allowed) = (Some("0".into()), vec!["a".into()])),
            "none of those that are allowed: a",
        ),
        (
            wrong(&Kind::String, |rules| (rules.default, rules.regex) = (Some("0".into()), Some("a+".into()))),
            "not of the form a+",
        ),
        (
            wrong(&Kind::String, |rules| (rules.default, rules.max_length) = (Some("0".into()), Some(0))),
            "1 character long, longer than 0 (max_length)",
        ),
    ] {
        assert_eq!(found, [format!("default: \"0\" is {what}; {HELP_TEXT}")]);
    }
}

#[test]
fn bounds_in_the_wrong_order_are_found() {
    assert_eq!(
        wrong(&Kind::Decimal(9, 2), |rules| (rules.min, rules.max) = (Some("10".into()), Some("9.99".into()))),
        ["min: above max, 9.99: no value is in such a range; take a min that is not above max"]
    );
    assert_eq!(
        wrong(&Kind::String, |rules| (rules.min_length, rules.max_length) = (Some(3), Some(2))),
        ["min_length: more than max_length, 2: no value is of such a length; take a min_length of at most max_length"]
    );
    assert_eq!(
        wrong(&Kind::Float64, |rules| rules.max = Some("NaN".into())),
        ["max: NaN is no bound; take a number, INF or -INF"]
    );
    assert!(
        wrong(&Kind::Decimal(9, 2), |rules| (rules.min, rules.max) = (Some("1".into()), Some("1.00".into())))
            .is_empty()
    );
}

#[test]
fn marks_that_cannot_work_are_found() {
    let decimal = Kind::Decimal(9, 2);
    for mark in ['1', 'e', '-', ' ', '\n', '\u{a0}', '\u{661}'] {
        assert_eq!(
            wrong(&decimal, |rules| rules.decimal = Some(mark)),
            [format!("decimal: {mark:?} cannot stand between whole and fraction; take \".\" or \",\"")]
        );
    }
    for mark in ['1', 'e', '+', '\n', '\u{2003}'] {
        assert_eq!(
            wrong(&Kind::Int32, |rules| rules.group = Some(mark)),
            [format!("group: {mark:?} cannot stand between digits; take \",\", \".\", \"'\" or \" \"")]
        );
    }
    let both = "is the decimal mark too; set decimal to another character, such as decimal = \",\"";
    assert_eq!(wrong(&decimal, |rules| rules.group = Some('.')), [format!("group: '.' {both}")]);
    assert_eq!(
        wrong(&decimal, |rules| (rules.group, rules.decimal) = (Some(','), Some(','))),
        [format!("group: ',' {both}")]
    );
    assert!(wrong(&Kind::Int32, |rules| rules.group = Some('.')).is_empty());
}

#[test]
fn texts_that_no_value_can_equal_are_found() {
    let trims = "has white space that trim removes, so no value equals it; write it without, or set trim = \"none\"";
    assert_eq!(
        wrong(&Kind::String, |rules| {
            (rules.trim, rules.null_values, rules.allowed) =
                (Trim::Both, vec![" x".into()], vec!["a ".into(), "b".into()]);
        }),
        [format!("null_values: \" x\" {trims}"), format!("enum: \"a \" {trims}")]
    );
    assert_eq!(
        wrong(&Kind::String, |rules| (rules.trim, rules.allowed) = (Trim::Collapse, vec!["a  b".into()])),
        [format!("enum: \"a  b\" {trims}")]
    );
    assert_eq!(
        wrong(&Kind::String, |rules| (rules.null_values, rules.allowed) = (vec!["x".into()], vec!["x".into()])),
        ["enum: \"x\" is one of null_values, so no value equals it; remove it from enum or from null_values"]
    );
}

#[test]
fn a_regex_that_cannot_work_is_found() {
    let regex = |text: &str| wrong(&Kind::String, |rules| rules.regex = Some(text.into()));
    let help = "look-around and back-references are not available: matching takes linear time";
    assert_eq!(regex("(a"), [format!("regex: not a regular expression: unclosed group; {help}")]);
    assert_eq!(regex("a)|(b"), [format!("regex: not a regular expression: unopened group; {help}")]);
    assert_eq!(regex(r"(a)\1"), [format!("regex: not a regular expression: backreferences are not supported; {help}")]);
    assert_eq!(
        regex("(?=a)"),
        [format!(
            "regex: not a regular expression: look-around, including look-ahead and look-behind, is not supported; {help}"
        )]
    );
    let large =
        "regex: too large a regular expression; take smaller repetitions, or max_length for a bound on the length";
    assert_eq!(regex(r"\w{1000}{1000}"), [large]);
    assert!(regex(&"(".repeat(100_000))[0].starts_with("regex: not a regular expression: "));
    let deep = format!("{}a{}", "(".repeat(1000), ")".repeat(1000));
    assert!(regex(&deep)[0].starts_with("regex: not a regular expression: "));
}

#[test]
fn zones_and_types_that_do_not_exist_are_found() {
    for name in ["Europe/Pariss", "", "CEST+x", "../etc/passwd", "Etc/Unknown"] {
        assert_eq!(
            wrong(&Kind::Timestamp(Precision::Micro), |rules| rules.zone = Some(name.into())),
            [format!(
                "zone: {name:?} is not a time zone; take a name of the IANA time zone database, such as Europe/Paris or UTC"
            )]
        );
    }
    for (precision, scale) in [(0, 0), (39, 2), (255, 0), (5, 39), (5, -1)] {
        assert_eq!(
            wrong(&Kind::Decimal(precision, scale), |_| {}),
            [format!(
                "type: there is no decimal({precision},{scale}); take a precision of 1 to 38 and a scale of 0 to 38"
            )]
        );
    }
}

#[test]
fn everything_is_found_at_once() {
    let found = wrong(&Kind::Timestamp(Precision::Micro), |rules| {
        rules.formats = vec!["%T".into(), "%F %Z".into()];
        rules.zone = Some("Mars".into());
        rules.decimal = Some(',');
        rules.max_length = Some(3);
        rules.regex = Some("(".into());
    });
    let keys: Vec<&str> = found.iter().map(|wrong| wrong.split(':').next().unwrap()).collect();
    assert_eq!(keys, ["decimal", "max_length", "zone", "format", "format", "regex"]);
}
