//! What the README says to those who come from Spark, each claim as a message and what becomes of it.

use serde_json::{Value, json};

use super::Site;

/// A mapping of one column `v`: what stands before it, its path, its type, and the rest of it.
struct Mapping(&'static str, &'static str, &'static str, &'static str);

impl Mapping {
    fn text(&self) -> String {
        let Self(message, path, kind, rest) = self;
        format!(
            "version = 1\nformat = \"xml\"\n{message}\n[[column]]\nname = \"v\"\npath = \"{path}\"\ntype = \"{kind}\"\n{rest}\n"
        )
    }
}

fn plain(kind: &'static str) -> Mapping {
    Mapping("", "v", kind, "")
}

fn with(kind: &'static str, rest: &'static str) -> Mapping {
    Mapping("", "v", kind, rest)
}

fn answer(mapping: &Mapping, message: &[u8]) -> Value {
    let site = Site::new();
    site.file("m.toml", mapping.text());
    let said = site.run("try --quiet --json --mapping m.toml", message);
    assert_eq!(said.err, "", "{}", mapping.text());
    said.answers().remove(0)
}

/// That the message becomes one row, in which `v` is this.
fn gives(mapping: &Mapping, message: impl AsRef<[u8]>, value: &Value) {
    let answer = answer(mapping, message.as_ref());
    assert_eq!((&answer["outcome"], &answer["rows"][0]["v"]), (&json!("rows"), value), "{answer}");
    assert_eq!(answer["rows"].as_array().unwrap().len(), 1, "{answer}");
}

/// That the message goes to quarantine because of this.
fn is_refused(mapping: &Mapping, message: impl AsRef<[u8]>, code: &str) {
    let answer = answer(mapping, message.as_ref());
    assert_eq!(
        (&answer["outcome"], &answer["violations"][0]["code"]),
        (&json!("quarantined"), &json!(code)),
        "{answer}"
    );
}

fn v(text: &str) -> String {
    format!("<r><v>{text}</v></r>")
}

#[test]
fn text_and_nothing() {
    let nil = "<r xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'><v xsi:nil='true'/></r>";
    for kind in ["string", "int32"] {
        gives(&plain(kind), "<r/>", &Value::Null);
        gives(&plain(kind), nil, &Value::Null);
        gives(&plain(kind), "<r><v/></r>", &Value::Null);
        for message in ["<r/>", "<r><v/></r>", "<r><v></v></r>"] {
            is_refused(&with(kind, "required = true"), message, "rule.required");
        }
    }
    gives(&plain("string"), v("  a "), &json!("  a "));
    gives(&plain("string"), v("  "), &json!("  "));
    gives(&with("string", "trim = \"both\""), v("  a "), &json!("a"));
    gives(&with("string", "trim = \"both\""), v("  "), &Value::Null);
    gives(&plain("int32"), v(" 5 "), &json!(5));
    gives(&with("string", "null_values = [\"n/a\"]"), v("n/a"), &Value::Null);
    gives(&plain("string"), v("1 <!-- one --> 2"), &json!("1  2"));
    gives(&plain("string"), v("a<b>x</b>c"), &json!("ac"));
    gives(&Mapping("", "v/string()", "string", ""), v("a<b>x</b>c"), &json!("axc"));
    gives(&plain("xml"), v("a &amp; <b>x</b>"), &json!("<v>a &amp; <b>x</b></v>"));
    gives(&Mapping("", "v/text()", "string", ""), "<r><v k='1'>a</v></r>", &json!("a"));
    gives(&Mapping("", "v/@k", "string", ""), "<r><v k='1'>a</v></r>", &json!("1"));
}

#[test]
fn numbers_and_times() {
    gives(&plain("string"), v("00123"), &json!("00123"));
    let money = "decimal(10,2)";
    is_refused(&plain(money), v("1.234,56"), "type.decimal");
    is_refused(&plain(money), v("1,000.01"), "type.decimal");
    gives(&with(money, "decimal = \",\"\ngroup = \".\""), v("1.234,56"), &json!("1234.56"));
    is_refused(&plain(money), v("1.005"), "type.decimal");
    gives(&with(money, "rounding = \"half_up\""), v("1.005"), &json!("1.01"));
    let long = "123456789012345678.12345678901234567890";
    gives(&plain("decimal(38,20)"), v(long), &json!(long));
    gives(&plain("float64"), v("INF"), &json!("inf"));
    let nanos = "2026-01-01T00:00:00.123456789Z";
    is_refused(&plain("timestamp"), v(nanos), "type.timestamp");
    gives(&plain("timestamp(ns)"), v(nanos), &json!(nanos));
    gives(&plain("timestamp"), v("2026-01-01T24:00:00Z"), &json!("2026-01-02T00:00:00Z"));
    gives(&plain("timestamp"), v("2026-01-01T00:00:00"), &json!("2026-01-01T00:00:00Z"));
    gives(&with("timestamp", "zone = \"Europe/Paris\""), v("2026-01-01T00:00:00"), &json!("2025-12-31T23:00:00Z"));
    let german = "format = \"%d.%m.%Y %H:%M\"\nzone = \"Europe/Berlin\"";
    gives(&with("timestamp", german), v("31.12.2026 10:00"), &json!("2026-12-31T09:00:00Z"));
    is_refused(&with("timestamp", german), v("2026-12-31T10:00:00Z"), "type.timestamp");
    gives(&plain("timestamp_ntz"), v("2026-01-01T10:00:00"), &json!("2026-01-01T10:00:00"));
    is_refused(&plain("timestamp_ntz"), v("2026-01-01T10:00:00Z"), "type.timestamp");
    gives(&plain("date"), v("2026-01-01+02:00"), &json!("2026-01-01"));
    let months = with("date", "format = [\"%Y-%m-%d\", \"%d %B %Y\"]");
    gives(&months, v("31 December 2026"), &json!("2026-12-31"));
    gives(&months, v("2026-12-31"), &json!("2026-12-31"));
    is_refused(&months, v("31 Dezember 2026"), "type.date");
}

#[test]
fn elements_attributes_and_rows() {
    is_refused(&plain("string"), "<r><v>a</v><v>b</v></r>", "shape.repeat");
    gives(&with("string", "repeat = \"last\""), "<r><v>a</v><v>b</v></r>", &json!("b"));
    gives(&plain("list<string>"), "<r><v>a</v><v>b</v></r>", &json!(["a", "b"]));
    gives(&Mapping("", "@id", "string", ""), "<r id='a'><id>b</id></r>", &json!("a"));
    gives(&Mapping("", "id", "string", ""), "<r id='a'><id>b</id></r>", &json!("b"));
    let beside = Mapping("", "@id", "string", "[[column]]\nname = \"element\"\npath = \"_id\"\ntype = \"string\"");
    let found = answer(&beside, b"<r id='a'><_id>b</_id></r>");
    assert_eq!(found["rows"], json!([{"v": "a", "element": "b"}]));
    gives(&Mapping("", ".", "xml", ""), "<r k=\"1\"><v>a</v></r>", &json!("<r k=\"1\"><v>a</v></r>"));
    gives(&plain("string"), "<r><V>b</V><v>a</v></r>", &json!("a"));
    let site = Site::new();
    let upper = Mapping("", "v", "string", "[[column]]\nname = \"V\"\npath = \"V\"\ntype = \"string\"");
    site.file("m.toml", upper.text());
    let said = site.run("try --mapping m.toml", "<r/>");
    assert!(said.code == Some(78) && said.err.contains("without regard to case"), "{}", said.err);
    let rows = "[message]\nrows = \"row\"";
    let hidden = "<r><!-- <row><v>1</v></row> --><row><v>2</v></row><![CDATA[<row><v>3</v></row>]]></r>";
    gives(&Mapping(rows, "v", "int32", ""), hidden, &json!(2));
    is_refused(&Mapping("[message]\nunmapped = \"reject\"", "v", "int32", ""), "<r><v>1</v><w/></r>", "shape.unmapped");
    let collect = Mapping("[message]\nunmapped = \"collect(rest)\"", "v", "int32", "");
    let found = answer(&collect, b"<r><v>1</v><w k='2'>x</w></r>");
    assert_eq!(found["rows"][0]["rest"], "{\"w/@k\":\"2\",\"w\":\"x\"}");
    let bound = "[namespaces]\np = \"urn:a\"";
    let two = "<r xmlns:x='urn:a' xmlns:y='urn:b'><y:v>b</y:v><x:v>a</x:v></r>";
    gives(&Mapping(bound, "p:v", "string", ""), two, &json!("a"));
    gives(&Mapping(bound, "p:v", "string", ""), "<r><v xmlns='urn:a'>a</v></r>", &json!("a"));
    gives(&plain("string"), two, &Value::Null);
    let null = Mapping("[on_error]\nfield = \"null\"", "v", "int32", "");
    let found = answer(&null, v("x").as_bytes());
    assert_eq!((&found["outcome"], &found["rows"][0]["v"]), (&json!("partial"), &Value::Null));
    assert_eq!(found["violations"][0]["value"], "x");
}

#[test]
fn what_is_no_message_is_none() {
    let string = plain("string");
    for (message, code) in [
        (&b"<r><v>a</v></r><r><v>b</v></r>"[..], "xml.second-root"),
        (b"<r><v>a</v></r>tail", "xml.text-outside-root"),
        (b"<r><v>a</v></r>\0", "xml.character"),
        (b"<r><v>a</v></r></r>", "xml.mismatched-end-tag"),
        (b"<r><v>a\xFF</v></r>", "xml.encoding"),
        (b"<r><v>a</v><p:w/></r>", "xml.namespace-unbound"),
        (b"<!DOCTYPE r [<!ENTITY e 'x'>]><r><v>&e;</v></r>", "dtd.refused"),
        (b"<?xml version='1.0' encoding='klingon'?><r><v>a</v></r>", "xml.encoding-unknown"),
    ] {
        is_refused(&string, message, code);
    }
    gives(&string, b"<?xml version='1.0' encoding='ISO-8859-1'?><r><v>\xE9</v></r>", &json!("é"));
    let utf16: Vec<u8> = std::iter::once(0xFEFF).chain(v("é").encode_utf16()).flat_map(u16::to_be_bytes).collect();
    gives(&string, utf16, &json!("é"));
}

#[test]
fn what_is_good_may_be_kept_and_a_schema_may_be_asked() {
    let keep = Mapping("[message]\nrows = \"row\"\n[on_error]\nmessage = \"keep-good-rows\"", "v", "int32", "");
    let found = answer(&keep, b"<r><row><v>1</v></row><row><v>x</v></row></r>");
    assert_eq!((&found["outcome"], &found["rows"]), (&json!("partial"), &json!([{"v": 1}])));
    assert_eq!(found["violations"][0]["code"], "type.int");
    let site = Site::new();
    let schema = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='r'><xs:complexType><xs:sequence>\
                  <xs:element name='v' type='xs:int'/></xs:sequence></xs:complexType></xs:element></xs:schema>";
    site.file("s.xsd", schema);
    site.file("m.toml", Mapping("[message]\nxsd = \"s.xsd\"", "v", "string", "").text());
    let said = site.run("try --json --lines --mapping m.toml", format!("{}\n{}", v("1"), v("x")));
    let codes: Vec<Value> = said.answers().iter().map(|answer| answer["violations"][0]["code"].clone()).collect();
    assert_eq!(codes, [Value::Null, json!("rule.xsd")], "{}", said.out);
}

#[test]
fn infer_guesses_nothing_away() {
    let site = Site::new();
    site.file("m.xml", "<m><r><a>00123</a><b>1.10</b><c>2026-01-01</c><d>123456789012345.6789012345</d></r></m>");
    let said = site.run("infer --row r m.xml", "");
    for (name, kind) in [("a", "string"), ("b", "decimal(3,2)"), ("c", "date"), ("d", "decimal(25,10)")] {
        let column = format!("[[column]]\nname = \"{name}\"\npath = \"{name}\"\ntype = \"{kind}\"\n");
        assert!(said.out.contains(&column), "{column}{}", said.out);
    }
}
