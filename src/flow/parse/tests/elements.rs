//! Elements as they are: XML and JSON.

use std::time::Duration;

use super::*;
use crate::model::mapping::{Repeat, Step};

fn element(name_of: &str, path: &str, kind: Kind, repeat: Repeat) -> Column {
    let mut column = Column { repeat, ..column(name_of, path, kind) };
    column.path.take = Take::Element;
    column
}

#[test]
fn xml_is_well_formed_on_its_own_and_means_the_same() {
    let mapping = mapping(
        None,
        "p r",
        vec![element("x", "v", Kind::Xml, Repeat::Only), element("r", "", Kind::Xml, Repeat::Only)],
    );
    let message = "<m xmlns='urn:m' xmlns:a='urn:a' a:k='&lt;'><p xmlns='' xmlns:b=\"urn:'b'\">\r\n\
                   <r xmlns:a='urn:x'><v a:k = '1>'>\r\n<b:w/>&amp;<![CDATA[<]]></v ></r></p></m>";
    let (verdict, rows) = parse_one(&mapping, message);
    assert_eq!(verdict.violations, []);
    assert_eq!(
        rows,
        ["<v xmlns:a='urn:x' xmlns:b=\"urn:'b'\" a:k = '1>'>\n<b:w/>&amp;<![CDATA[<]]></v >|\
         <r xmlns:b=\"urn:'b'\" xmlns:a='urn:x'><v a:k = '1>'>\n<b:w/>&amp;<![CDATA[<]]></v ></r>"]
    );
    let any = super::mapping(None, "", vec![column("all", "string()", Kind::String)]);
    for xml in rows[0].split('|') {
        assert_eq!(parse_one(&any, xml).1, ["\n&<"], "{xml}");
    }
}

#[test]
fn lists_of_xml_and_the_last_one() {
    let columns = vec![element("all", "v", Kind::Xml, Repeat::List), element("last", "v", Kind::Xml, Repeat::Last)];
    let (verdict, rows) = parse_one(&mapping(None, "r", columns), "<m xmlns:p='u'><r><v/><v p:a='1'>x</v></r><r/></m>");
    assert_eq!(verdict.violations, []);
    assert_eq!(rows, ["[<v xmlns:p='u'/>, <v xmlns:p='u' p:a='1'>x</v>]|<v xmlns:p='u' p:a='1'>x</v>", "-|-"]);
}

#[test]
fn namespaces_are_those_in_force_where_the_element_stands() {
    let mapping = mapping(None, "", vec![element("all", "a v", Kind::Xml, Repeat::List)]);
    let message =
        "<m xmlns:p='u'><a><v/><v/></a><a xmlns:p='w'><v/></a><a><v/></a><a xmlns:q='x'><v xmlns:p='y'/><v/></a></m>";
    let (verdict, rows) = parse_one(&mapping, message);
    assert_eq!(verdict.violations, []);
    let expected = "[<v xmlns:p='u'/>, <v xmlns:p='u'/>, <v xmlns:p='w'/>, <v xmlns:p='u'/>, \
                    <v xmlns:q='x' xmlns:p='y'/>, <v xmlns:q='x' xmlns:p='u'/>]";
    assert_eq!(rows, [expected]);
}

#[test]
fn names_in_json_are_the_same_whatever_their_prefixes() {
    let mapping = mapping(None, "", vec![element("j", "v", Kind::Json, Repeat::Json)]);
    let message = "<m xmlns:p='u'><v><p:b/><q:b xmlns:q='u'/><b xmlns='u' xml:lang='en' p:k='1'/><b xmlns=''/></v></m>";
    let (verdict, rows) = parse_one(&mapping, message);
    assert_eq!(verdict.violations, []);
    assert_eq!(rows, [r#"[{"{u}b":["","",{"@xml:lang":"en","@{u}k":"1"}],"b":""}]"#]);
}

#[test]
fn json_has_text_attributes_and_children() {
    let mut mapping = mapping(None, "", vec![element("j", "v", Kind::Json, Repeat::Json)]);
    mapping.namespaces.insert("m".to_owned(), "urn:a".to_owned());
    let message = "<r xmlns:a='urn:a' xmlns:i='http://www.w3.org/2001/XMLSchema-instance'><v>a &lt;&#34;\r\n<!-- x -->\\</v><v/>\
                   <v k='1' a:k='2&#10;'>t</v><v i:nil='true'/><v>\n <a:b>1</a:b><c/> <a:b x='y'/><z:b xmlns:z='urn:z'>3</z:b></v></r>";
    let (verdict, rows) = parse_one(&mapping, message);
    assert_eq!(verdict.violations, []);
    let json: serde_json::Value = serde_json::from_str(&rows[0]).unwrap();
    let expected = serde_json::json!([
        "a <\"\n\\",
        "",
        {"@k": "1", "@m:k": "2\n", "#text": "t"},
        null,
        {"m:b": ["1", {"@x": "y"}], "c": "", "{urn:z}b": "3"},
    ]);
    assert_eq!(json, expected);
    mapping.columns[0].repeat = Repeat::Last;
    let (_, rows) = parse_one(&mapping, message);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&rows[0]).unwrap(), expected[4]);
}

#[test]
fn namespaces_repeated_for_each_element_are_bounded() {
    let mapping = mapping(None, "", vec![element("x", "v", Kind::Xml, Repeat::List)]);
    let message = format!("<m xmlns:p='{}'>{}</m>", "u".repeat(50_000), "<v/>".repeat(50_000));
    let (verdict, rows) = parse_one(&mapping, &message);
    assert_eq!((codes(&verdict), rows.len()), (vec!["limit.rows"], 0));
}

#[test]
fn a_long_namespace_costs_nothing_where_it_is_not_written() {
    let mut column = element("j", "v", Kind::Json, Repeat::Json);
    column.path.steps = vec![Step { name: None, condition: None }];
    let mapping = mapping(None, "", vec![column]);
    for element in ["<p:v/>", "<v xsi:nil='1' p:k=''/>"] {
        let uri = "u".repeat(500_000);
        let message = format!(
            "<m xmlns:p='{uri}' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'>{}</m>",
            element.repeat(10_000)
        );
        let took = cpu_time(|| {
            let (verdict, rows) = parse_one(&mapping, &message);
            assert_eq!((verdict.violations, rows.len()), (vec![], 1));
        });
        assert!(took < Duration::from_secs(3), "{element}: {took:?}");
    }
}
