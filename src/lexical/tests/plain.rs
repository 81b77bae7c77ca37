//! What each type takes and refuses when there are no rules.

use super::{caster, refused, shown, table};
use crate::lexical::{Caster, Memory, Value};
use crate::model::mapping::{BinaryText, Kind};

#[test]
fn a_caster_is_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Caster>();
}

#[test]
fn a_string_is_what_it_is() {
    let string = caster(&Kind::String, |_| {});
    table(&string, &[("a", "Text(\"a\")"), (" a\n", "Text(\" a\\n\")"), (" ", "Text(\" \")"), ("", "Null")]);
}

#[test]
fn a_bool_is_one_of_four_words() {
    let bool = caster(&Kind::Bool, |_| {});
    table(&bool, &[("true", "Bool(true)"), ("1", "Bool(true)"), ("false", "Bool(false)"), ("0", "Bool(false)")]);
    refused(
        &bool,
        "type.bool: neither true, false, 1 nor 0",
        &["TRUE", "True", "yes", "t", "01", "-1", " true", "\u{661}"],
    );
}

#[test]
fn whole_numbers_are_exact_to_the_ends_of_their_range() {
    table(
        &caster(&Kind::Int64, |_| {}),
        &[
            ("-9223372036854775808", "Int(-9223372036854775808)"),
            ("9223372036854775807", "Int(9223372036854775807)"),
            ("+00000000000000000000000000042", "Int(42)"),
            ("-0", "Int(0)"),
            ("9223372036854775808", "type.int: out of the range of int64: -9223372036854775808 to 9223372036854775807"),
        ],
    );
    let range = |kind, low: i64, high: i64| {
        let caster = caster(&kind, |_| {});
        for (value, is_in) in [(low, true), (high, true), (low - 1, false), (high + 1, false)] {
            let expected = if is_in { format!("Int({value})") } else { "type.int: out of the range".to_owned() };
            assert!(shown(&caster, &value.to_string()).starts_with(&expected), "{kind:?} {value}");
        }
    };
    range(Kind::Int8, -128, 127);
    range(Kind::Int16, -32_768, 32_767);
    range(Kind::Int32, -2_147_483_648, 2_147_483_647);
    assert_eq!(shown(&caster(&Kind::Int8, |_| {}), "200"), "type.int: out of the range of int8: -128 to 127");
    refused(
        &caster(&Kind::Int64, |_| {}),
        "type.int: not a whole number",
        &[
            "-",
            "+",
            "1.0",
            "1.",
            "1e3",
            " 1",
            "0x10",
            "99999999999999999999x",
            "1_000",
            "--1",
            "+-1",
            "1,000",
            "NaN",
            "\u{661}\u{662}",
            "1\u{0}",
        ],
    );
}

#[test]
fn floats_take_the_forms_of_xml_schema_only() {
    let double = caster(&Kind::Float64, |_| {});
    table(
        &double,
        &[
            ("-1.5e3", "Float64(-1500.0)"),
            ("1E+2", "Float64(100.0)"),
            (".5", "Float64(0.5)"),
            ("5.", "Float64(5.0)"),
            ("+007", "Float64(7.0)"),
            ("-0", "Float64(-0.0)"),
            ("INF", "Float64(inf)"),
            ("+INF", "Float64(inf)"),
            ("-INF", "Float64(-inf)"),
            ("NaN", "Float64(NaN)"),
            ("1.7976931348623157e308", "Float64(1.7976931348623157e308)"),
            ("5e-324", "Float64(5e-324)"),
            ("1e-999", "Float64(0.0)"),
            ("1e999", "type.float: out of the range of float64"),
        ],
    );
    let single = caster(&Kind::Float32, |_| {});
    table(
        &single,
        &[
            ("0.1", "Float32(0.1)"),
            // Read as a double and then made single it would be 1.00000012: rounded twice.
            ("1.000000178813934326171874", "Float32(1.0000001)"),
            ("3.4028235e38", "Float32(3.4028235e38)"),
            ("1e39", "type.float: out of the range of float32"),
            ("-INF", "Float32(-inf)"),
        ],
    );
    refused(
        &double,
        "type.float: not a number",
        &["inf", "Inf", "-NaN", "+NaN", "infinity", "nan", "1,5", "e5", "1e", ".", "0x1p3", "1.2.3", "--1", " 1", "1f"],
    );
}

#[test]
fn decimals_are_exact_or_refused() {
    let money = caster(&Kind::Decimal(10, 2), |_| {});
    table(
        &money,
        &[
            ("17.95", "Decimal(1795)"),
            ("-.5", "Decimal(-50)"),
            ("7.", "Decimal(700)"),
            ("+1.500", "Decimal(150)"),
            ("-0.00", "Decimal(0)"),
            ("00000000000000000000000000000000000000000000001.10", "Decimal(110)"),
            ("99999999.99", "Decimal(9999999999)"),
            ("1.005", "type.decimal: not exact in decimal(10,2): it has more than 2 digits after the point"),
            ("100000000", "type.decimal: too long for decimal(10,2): it has more than 8 digits before the point"),
        ],
    );
    refused(
        &money,
        "type.decimal: not a decimal",
        &["", ".", "-", "+.", "1,5", "1.234,56", "1.2.3", "1e2", "NaN", "INF", "1 ", "1.00x", "0x1", "--1"]
            .map(|text| if text.is_empty() { "-" } else { text }),
    );
    let nines = "9".repeat(38);
    table(
        &caster(&Kind::Decimal(38, 0), |_| {}),
        &[
            (&nines, &format!("Decimal({nines})")),
            (&format!("-{nines}.0"), &format!("Decimal(-{nines})")),
            (
                &format!("1{}", "0".repeat(38)),
                "type.decimal: too long for decimal(38,0): it has more than 38 digits before the point",
            ),
            (&"9".repeat(60), "type.decimal: too long for decimal(38,0): it has more than 38 digits before the point"),
            ("0.5", "type.decimal: not exact in decimal(38,0): it has digits beyond its last place"),
        ],
    );
    table(
        &caster(&Kind::Decimal(38, 38), |_| {}),
        &[
            (&format!(".{nines}"), &format!("Decimal({nines})")),
            ("0", "Decimal(0)"),
            ("1", "type.decimal: too long for decimal(38,38)"),
        ],
    );
    table(
        &caster(&Kind::Decimal(3, 0), |_| {}),
        &[
            ("999.00", "Decimal(999)"),
            ("0", "Decimal(0)"),
            ("12.5", "type.decimal: not exact in decimal(3,0): it has digits beyond its last place"),
            ("1000", "type.decimal: too long for decimal(3,0): it has more than 3 digits before the point"),
        ],
    );
    table(
        &caster(&Kind::Decimal(2, 5), |_| {}),
        &[("0.00012", "Decimal(12)"), ("0.001", "type.decimal: too long for decimal(2,5)")],
    );
}

#[test]
fn base64_has_its_padding_and_may_have_white_space() {
    let binary = caster(&Kind::Binary(BinaryText::Base64), |_| {});
    table(
        &binary,
        &[
            ("aGVsbG8=", "Bytes([104, 101, 108, 108, 111])"),
            ("aGVs\n  bG8 =", "Bytes([104, 101, 108, 108, 111])"),
            ("+/+/", "Bytes([251, 255, 191])"),
            (" ", "Bytes([])"),
            ("aGVsbG8", "type.binary: not base64: it ends too early, or its padding (=) is missing or wrong"),
            ("aGVsbG8==", "type.binary: not base64: it ends too early, or its padding (=) is missing or wrong"),
            ("aGVsb", "type.binary: not base64: it ends too early, or its padding (=) is missing or wrong"),
            ("-_-_", "type.binary: not base64: it has a character that base64 does not know"),
            ("aGVs\u{a0}bG8=", "type.binary: not base64: it has a character that base64 does not know"),
            ("aGVsbG9=", "type.binary: not base64: its last character has bits that belong to no byte"),
        ],
    );
}

#[test]
fn hex_comes_in_pairs() {
    let binary = caster(&Kind::Binary(BinaryText::Hex), |_| {});
    table(
        &binary,
        &[
            ("00fFA0", "Bytes([0, 255, 160])"),
            ("abc", "type.binary: not hexadecimal: its number of digits is odd"),
            ("0x10", "type.binary: not hexadecimal: it has a character that is none of 0-9, a-f, A-F"),
            ("00 ff0", "type.binary: not hexadecimal: it has a character that is none of 0-9, a-f, A-F"),
        ],
    );
}

#[test]
fn json_is_one_document_kept_as_written() {
    let json = caster(&Kind::Json, |_| {});
    for good in ["{\"a\": [1, 2.5e3, null]}", "1", "\"x\\u00e9\"", "[]", " true ", "{\"a\":1,\"a\":2}", "1e999"] {
        assert_eq!(json.cast(good, &mut Memory::default()), Ok(Value::Text(good)));
    }
    assert!(json.cast(&"[".repeat(100_000), &mut Memory::default()).is_err());
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert_eq!(json.cast(&deep, &mut Memory::default()), Ok(Value::Text(&deep)));
    refused(
        &json,
        "type.json: not a JSON document: line 1, column",
        &["{", "{a:1}", "[1,]", "01", "+1", "NaN", "'a'", "1 2", "\"\t\"", "\"\\x\"", "tru", "{\"a\" 1}", ".5", "1."],
    );
    assert_eq!(shown(&json, "{\n\"a\": x}"), "type.json: not a JSON document: line 2, column 6");
}

#[test]
fn elements_are_given_back_as_they_are() {
    for kind in [Kind::Xml, Kind::Struct(std::sync::Arc::from([]))] {
        table(&caster(&kind, |_| {}), &[("<a> x</a>", "Text(\"<a> x</a>\")")]);
    }
}
