//! Messages against an XML schema.

use super::*;
use crate::model::batch::Outcome;
use crate::model::mapping::Repeat;
use crate::model::violation::Code;

const XSD: &str =
    "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='m'><xs:complexType><xs:sequence>
  <xs:element name='id' type='xs:int'/><xs:element name='note' type='xs:string' minOccurs='0'/>
</xs:sequence></xs:complexType></xs:element></xs:schema>";

#[test]
fn a_message_against_its_schema_is_quarantined_with_the_rule_and_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let xsd = dir.path().join("m.xsd");
    std::fs::write(&xsd, XSD).unwrap();
    let columns = vec![column("id", "id", Kind::String)];
    let mapping = Mapping { xsd: Some(xsd), ..mapping(None, "", columns) };
    let table = ParserTable::compile(&mapping).unwrap();
    let good = "<m><id>1</id></m>";
    let bad = "<m>\n<id>one</id></m>";
    let raw = batch(&[Some(good.as_bytes()), Some(bad.as_bytes())]);
    let parsed = Parser::new(Arc::from(vec![table])).parse(&raw, Some(0)).unwrap();
    assert_eq!((parsed.verdicts[0].outcome, parsed.verdicts[1].outcome), (Outcome::Rows, Outcome::Quarantined));
    let found = &parsed.verdicts[1].violations;
    assert_eq!((found.len(), found[0].code, found[0].line), (1, Code::RULE_XSD, Some(2)), "{found:?}");
    assert_eq!((found[0].path.as_deref(), found[0].value.as_deref()), (Some("/m/id"), Some("one")));
    assert_eq!(found[0].message, "the value is not a valid int (cvc-datatype-valid.1)");
}

#[test]
fn what_the_mapping_finds_wrong_is_told_beside_what_the_schema_does() {
    let dir = tempfile::tempdir().unwrap();
    let xsd = dir.path().join("m.xsd");
    std::fs::write(&xsd, XSD).unwrap();
    let mut shared = column("branch", "/@branch", Kind::String);
    shared.required = true;
    let mut last = column("last", "/note", Kind::Struct(vec![column("n", "text()", Kind::Int32)].into()));
    (last.path.take, last.repeat) = (Take::Element, Repeat::Last);
    let mapping = Mapping { xsd: Some(xsd), ..mapping(None, "id", vec![shared, last]) };
    let (verdict, rows) = parse_one(&mapping, "<m><id>one</id><note>x</note></m>");
    assert_eq!((verdict.outcome, rows.len()), (Outcome::Quarantined, 0));
    let mut told = codes(&verdict);
    told.sort_unstable();
    assert_eq!(told, ["rule.required", "rule.xsd", "type.int"]);
}
