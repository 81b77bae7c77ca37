//! Mappings from XML Schemas, alone and together with samples.

use std::path::Path;

use forebay::infer::{RowChoice, Samples, Schema};

use super::{assert_takes, infer, oracle};

const ORDER: &str = r###"<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:order" targetNamespace="urn:order" elementFormDefault="qualified">
  <xs:include schemaLocation="types.xsd"/>
  <xs:import namespace="urn:money" schemaLocation="./money.xsd"/>
  <xs:import namespace="urn:far" schemaLocation="https://example.org/far.xsd"/>
  <xs:import namespace="urn:up" schemaLocation="../up.xsd"/>
  <xs:element name="order" type="t:Order"/>
  <xs:element name="note" type="xs:string"/>
  <xs:element name="receipt" type="xs:string"/>
  <xs:element name="contact" abstract="true"/>
  <xs:element name="mail" type="xs:anyURI" substitutionGroup="t:contact"/>
  <xs:element name="phone" type="t:Phone" substitutionGroup="t:contact"/>
  <xs:complexType name="Base">
    <xs:sequence>
      <xs:element name="id" type="t:Id"/>
      <xs:element name="created" type="xs:dateTime"/>
      <xs:element ref="t:note" minOccurs="0"/>
    </xs:sequence>
    <xs:attribute name="version" type="xs:unsignedByte" use="required"/>
  </xs:complexType>
  <xs:complexType name="Order">
    <xs:complexContent>
      <xs:extension base="t:Base">
        <xs:sequence>
          <xs:group ref="t:Where"/>
          <xs:choice>
            <xs:element name="cash" type="xs:boolean"/>
            <xs:element name="card" type="t:Card"/>
          </xs:choice>
          <xs:element ref="t:contact" minOccurs="0"/>
          <xs:element name="tag" type="xs:token" maxOccurs="5"/>
          <xs:element name="line" maxOccurs="unbounded">
            <xs:complexType>
              <xs:sequence>
                <xs:element name="sku"><xs:simpleType><xs:restriction base="xs:string"><xs:length value="4"/></xs:restriction></xs:simpleType></xs:element>
                <xs:element name="qty" type="xs:positiveInteger" nillable="true"/>
                <xs:element name="price" type="t:Amount"/>
                <xs:element name="discount" type="xs:decimal" minOccurs="0"/>
                <xs:element name="picture" type="xs:base64Binary" minOccurs="0"/>
              </xs:sequence>
              <xs:attributeGroup ref="t:Marks"/>
            </xs:complexType>
          </xs:element>
          <xs:element name="part" type="t:Part" minOccurs="0"/>
          <xs:any namespace="##other" minOccurs="0"/>
        </xs:sequence>
        <xs:attribute name="lang" type="xs:language" default="en"/>
      </xs:extension>
    </xs:complexContent>
  </xs:complexType>
  <xs:complexType name="Part">
    <xs:sequence>
      <xs:element name="name" type="xs:string"/>
      <xs:element name="part" type="t:Part" minOccurs="0" maxOccurs="unbounded"/>
    </xs:sequence>
  </xs:complexType>
</xs:schema>"###;

const TYPES: &str = r#"<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">
  <xs:simpleType name="Id"><xs:restriction base="xs:string"><xs:pattern value="[A-Z]{2}\d+"/><xs:maxLength value="10"/></xs:restriction></xs:simpleType>
  <xs:simpleType name="Card"><xs:restriction base="xs:string"><xs:enumeration value="visa"/><xs:enumeration value="master &quot;m&quot;"/></xs:restriction></xs:simpleType>
  <xs:simpleType name="Phone"><xs:restriction base="xs:token"><xs:pattern value="\p{IsBasicLatin}+"/></xs:restriction></xs:simpleType>
  <xs:simpleType name="Small"><xs:restriction base="xs:decimal"><xs:totalDigits value="8"/><xs:fractionDigits value="2"/><xs:minExclusive value="0"/></xs:restriction></xs:simpleType>
  <xs:complexType name="Amount"><xs:simpleContent><xs:extension base="Small"><xs:attribute name="currency" type="Code" use="required"/></xs:extension></xs:simpleContent></xs:complexType>
  <xs:simpleType name="Code"><xs:restriction base="xs:string"><xs:enumeration value="EUR"/><xs:enumeration value="CHF"/></xs:restriction></xs:simpleType>
  <xs:group name="Where"><xs:sequence><xs:element name="city" type="xs:token"/><xs:element name="day" type="xs:date"/><xs:element name="hour" type="xs:time" minOccurs="0"/></xs:sequence></xs:group>
  <xs:attributeGroup name="Marks"><xs:attribute name="no" type="xs:short" use="required"/><xs:attribute name="size"><xs:simpleType><xs:restriction base="xs:int"><xs:minInclusive value="1"/><xs:maxExclusive value="100"/></xs:restriction></xs:simpleType></xs:attribute></xs:attributeGroup>
</xs:schema>"#;

const MONEY: &str = r#"<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:money"><xs:element name="total" type="xs:decimal"/></xs:schema>"#;

const SAMPLE: &str = r#"<order xmlns="urn:order" version="3"><id>AB12</id><created>2026-10-15T10:00:00Z</created><city> Bern
  </city><day>2026-10-15</day><card>visa</card><phone>+41 1</phone><tag>a</tag>
  <line no="1" size="99"><sku>abcd</sku><qty>2</qty><price currency="EUR">12.5</price></line>
  <line no="2"><sku>efgh</sku><qty xsi:nil="true" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/><price currency="CHF">1</price><discount>0.125</discount></line>
  <part><name>x</name><part><name>y</name></part></part></order>"#;

fn schema(files: &[(&str, &str)]) -> Schema {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    Schema::load(&dir.path().join(files[0].0)).unwrap()
}

fn order() -> Schema {
    schema(&[("order.xsd", ORDER), ("types.xsd", TYPES), ("money.xsd", MONEY)])
}

/// A small schema around one declaration within the root's sequence.
pub(crate) fn around(declaration: &str, attributes: &str) -> Schema {
    let text = format!(
        "<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\"><xs:element name=\"r\"><xs:complexType>\
         <xs:sequence>{declaration}</xs:sequence>{attributes}</xs:complexType></xs:element></xs:schema>"
    );
    schema(&[("r.xsd", &text)])
}

/// The keys of a column but its name, and the comments above it.
fn column(mapping: &str, name: &str) -> (String, String) {
    let lines: Vec<&str> = mapping.lines().map(str::trim).collect();
    let at = lines
        .iter()
        .position(|line| *line == format!("name = \"{name}\""))
        .unwrap_or_else(|| panic!("{name}:\n{mapping}"));
    let keys: Vec<&str> = lines[at + 1..].iter().copied().take_while(|line| !line.is_empty()).collect();
    let comments: Vec<&str> = lines[..at - 1].iter().rev().copied().take_while(|line| line.starts_with('#')).collect();
    (keys.join("; "), comments.join("\n"))
}

#[test]
fn a_schema_alone_gives_types_rules_and_tables() {
    let mapping = Samples::new(Some(order())).mapping(&RowChoice::Path(".".to_owned())).unwrap();
    oracle::Mapping::read(&mapping);
    assert!(mapping.contains("root = \"t:order\"") && mapping.contains("t = \"urn:order\""), "{mapping}");
    for (name, keys) in [
        ("version", "path = \"@version\"; type = \"int16\"; min = 0; max = 255; required = true"),
        ("lang", "path = \"@lang\"; type = \"string\"; trim = \"collapse\"; default = \"en\""),
        ("id", "path = \"t:id\"; type = \"string\"; regex = \"[A-Z]{2}\\\\d+\"; max_length = 10; required = true"),
        ("created", "path = \"t:created\"; type = \"timestamp\"; required = true"),
        ("note", "path = \"t:note\"; type = \"string\""),
        ("city", "path = \"t:city\"; type = \"string\"; trim = \"collapse\"; required = true"),
        ("day", "path = \"t:day\"; type = \"date\"; required = true"),
        ("hour", "path = \"t:hour\"; type = \"time\""),
        ("cash", "path = \"t:cash\"; type = \"bool\""),
        ("card", "path = \"t:card\"; type = \"string\"; enum = [\"visa\", \"master \\\"m\\\"\"]"),
        ("mail", "path = \"t:mail\"; type = \"string\"; trim = \"collapse\""),
        ("phone", "path = \"t:phone\"; type = \"string\"; trim = \"collapse\""),
        ("tag", "path = \"t:tag\"; type = \"list<string>\"; trim = \"collapse\"; repeat = \"list\""),
        ("sku", "path = \"t:sku\"; type = \"string\"; min_length = 4; max_length = 4; required = true"),
        ("qty", "path = \"t:qty\"; type = \"decimal(38,0)\"; min = \"1\""),
        ("price", "path = \"t:price\"; type = \"decimal(8,2)\"; required = true"),
        (
            "price_currency",
            "path = \"t:price/@currency\"; type = \"string\"; enum = [\"EUR\", \"CHF\"]; required = true",
        ),
        ("discount", "path = \"t:discount\"; type = \"decimal(38,18)\""),
        ("picture", "path = \"t:picture\"; type = \"binary\""),
        ("no", "path = \"@no\"; type = \"int16\"; required = true"),
        ("size", "path = \"@size\"; type = \"int32\"; min = 1; max = 99"),
        ("part_name", "path = \"t:part/t:name\"; type = \"string\""),
        ("part_part", "path = \"t:part/t:part\"; type = \"list<xml>\"; repeat = \"list\""),
    ] {
        assert_eq!(column(&mapping, name).0, keys, "{name}");
    }
    for (name, said) in [
        ("card", "one of a choice"),
        ("mail", "one of a choice"),
        ("created", "leaves open whether it has a zone"),
        ("phone", "pattern was not taken over"),
        ("price", "the schema wants more than 0"),
        ("part_part", "it holds itself"),
        ("tag", "# repeats: the schema allows 1 to 5"),
        ("discount", "does not bound its digits"),
    ] {
        assert!(column(&mapping, name).1.contains(said), "{name}: {}", column(&mapping, name).1);
    }
    assert!(mapping.contains("[[child]]\nname = \"order_line\"\nrows = \"t:line\""), "{mapping}");
    for said in [
        "\"https://example.org/far.xsd\" was not followed",
        "\"../up.xsd\" was not followed",
        "could be the root: receipt",
    ] {
        assert!(mapping.contains(said), "{said}: {mapping}");
    }
}

#[test]
fn with_samples_the_schema_gives_the_types_and_they_the_comments() {
    let mapping = infer(Some(order()), &[SAMPLE], Some("line"));
    assert_takes(&mapping, &[SAMPLE], true);
    assert!(mapping.contains("root = \"t:order\"\nrows = \"t:line\"\n"), "{mapping}");
    assert_eq!(column(&mapping, "qty").0, "path = \"t:qty\"; type = \"decimal(38,0)\"; min = \"1\"");
    assert!(column(&mapping, "qty").1.contains("xsi:nil 1"), "{mapping}");
    assert_eq!(
        column(&mapping, "id").0,
        "path = \"/t:id\"; type = \"string\"; regex = \"[A-Z]{2}\\\\d+\"; max_length = 10; required = true"
    );
    assert!(column(&mapping, "id").1.contains("values: \"AB12\""), "{mapping}");
    assert!(column(&mapping, "picture").1.contains("not in the samples"), "{mapping}");
}

#[test]
fn a_schema_proposes_the_row_too() {
    let lines = "<xs:element name='day' type='xs:date'/><xs:element name='line' maxOccurs='unbounded'><xs:complexType><xs:sequence>\
                 <xs:element name='a' type='xs:int'/><xs:element name='b' type='xs:int'/></xs:sequence></xs:complexType></xs:element>";
    let mapping = Samples::new(Some(around(lines, ""))).mapping(&RowChoice::Proposed).unwrap();
    assert!(mapping.contains("# proposed: line repeats and holds 66 % of the paths of the schema"), "{mapping}");
    assert!(mapping.contains("rows = \"line\"") && column(&mapping, "a").0.ends_with("required = true"), "{mapping}");
    assert_eq!(column(&mapping, "day").0, "path = \"/day\"; type = \"date\"; required = true");
}

#[test]
fn a_value_that_the_schema_allows_twice_is_allowed_once() {
    let declared = "<xs:element name='c'><xs:simpleType><xs:restriction base='xs:string'>\
        <xs:enumeration value='a'/><xs:enumeration value='b'/><xs:enumeration value='a'/></xs:restriction></xs:simpleType></xs:element>";
    let mapping = infer(Some(around(declared, "")), &["<r><c>b</c></r>"], None);
    assert_takes(&mapping, &["<r><c>b</c></r>"], true);
    assert!(mapping.contains("enum = [\"a\", \"b\"]"), "{mapping}");
}

#[test]
fn a_default_is_judged_as_what_the_column_is() {
    let attribute = "<xs:attribute name='b' type='xs:boolean' default='0'/>";
    let mapping = infer(Some(around("", attribute)), &["<r b='1900-01-10'/>"], None);
    assert_takes(&mapping, &["<r b='1900-01-10'/>"], true);
    assert!(mapping.contains("the schema's default is no value of this column: \"0\""), "{mapping}");
}

#[test]
fn samples_that_break_the_schema_are_taken_and_told() {
    let declared = "<xs:element name='n' type='xs:int' maxOccurs='9'/>\
        <xs:element name='c' maxOccurs='9'><xs:simpleType><xs:restriction base='xs:string'><xs:enumeration value='a'/></xs:restriction></xs:simpleType></xs:element>\
        <xs:element name='m' maxOccurs='9'><xs:simpleType><xs:restriction base='xs:int'><xs:maxInclusive value='9'/></xs:restriction></xs:simpleType></xs:element>\
        <xs:element name='l' maxOccurs='9'><xs:simpleType><xs:restriction base='xs:string'><xs:maxLength value='2'/><xs:pattern value='x*'/></xs:restriction></xs:simpleType></xs:element>\
        <xs:element name='t' type='xs:dateTime'/><xs:element name='u' type='xs:dateTime' maxOccurs='9'/><xs:element name='must' type='xs:int'/><xs:element name='once' type='xs:int'/>";
    let sample = "<r><n>1</n><n>x</n><c>b</c><m>10</m><m>3</m><l>xxx</l><l>y</l><t>2026-10-15T10:00:00</t><u>2026-10-15T10:00:00</u><u>2026-10-15T10:00:00Z</u><once>1</once><once>2</once><more>7</more></r>";
    let mapping = infer(Some(around(declared, "")), &[sample], None);
    assert_takes(&mapping, &[sample], true);
    for (name, keys, said) in [
        (
            "n",
            "path = \"n\"; type = \"list<string>\"; repeat = \"list\"",
            "conflict: the schema says int32, and 1 samples are not, such as \"x\"",
        ),
        (
            "c",
            "path = \"c\"; type = \"list<string>\"; repeat = \"list\"",
            "conflict: 1 samples break the schema's enum = [\"a\"], such as \"b\"",
        ),
        (
            "m",
            "path = \"m\"; type = \"list<int32>\"; repeat = \"list\"",
            "conflict: 1 samples break the schema's max = 9, such as \"10\"",
        ),
        ("l", "path = \"l\"; type = \"list<string>\"; repeat = \"list\"", "break the schema's max_length = 2"),
        ("t", "path = \"t\"; type = \"timestamp_ntz\"; required = true", "leaves open whether it has a zone"),
        ("u", "path = \"u\"; type = \"list<string>\"; repeat = \"list\"", "conflict: the schema says timestamp"),
        ("must", "path = \"must\"; type = \"int32\"", "conflict: the schema requires it, and 1 samples have none"),
        ("once", "path = \"once\"; type = \"list<int32>\"; repeat = \"list\"", "repeats: up to 2 in one r"),
        ("more", "path = \"more\"; type = \"int64\"", "not in the schema"),
    ] {
        let (found, comments) = column(&mapping, name);
        assert_eq!(found, keys, "{name}");
        assert!(comments.contains(said), "{name}: {comments}");
    }
    assert!(mapping.contains("# Conflicts in: "), "{mapping}");
    let stranger = infer(Some(around(declared, "")), &["<other><a>1</a></other>"], None);
    assert!(stranger.contains("conflict: the schema does not declare the root other"), "{stranger}");
}

#[test]
fn a_blank_text_is_null_where_the_schema_takes_white_space_away() {
    let declared = "<xs:element name='a' type='xs:token'/><xs:element name='b' type='xs:duration'/><xs:element name='c' type='xs:string'/>";
    let sample = "<r><a> </a><b>\n</b><c> </c></r>";
    let mapping = infer(Some(around(declared, "")), &[sample], None);
    assert_takes(&mapping, &[sample], true);
    for name in ["a", "b"] {
        let (keys, comments) = column(&mapping, name);
        assert!(!keys.contains("required") && comments.contains("null 100.0 %"), "{keys} {comments}");
        assert!(comments.contains("conflict: the schema requires it, and 1 samples have none"), "{comments}");
    }
    assert!(column(&mapping, "c").0.ends_with("required = true"), "{mapping}");
}

#[test]
fn what_stands_in_a_group_occurs_as_often_as_the_group() {
    let declared = "<xs:choice maxOccurs='unbounded'><xs:element name='a' type='xs:int'/><xs:element name='b' type='xs:int'/></xs:choice>\
        <xs:sequence minOccurs='0'><xs:element name='c' type='xs:int'/></xs:sequence>\
        <xs:sequence><xs:element name='d' type='xs:int'/><xs:element name='e' type='xs:int'/><xs:element name='d' type='xs:int'/></xs:sequence>";
    let mapping = Samples::new(Some(around(declared, ""))).mapping(&RowChoice::Proposed).unwrap();
    for (name, keys) in [
        ("a", "path = \"a\"; type = \"list<int32>\"; repeat = \"list\""),
        ("b", "path = \"b\"; type = \"list<int32>\"; repeat = \"list\""),
        ("c", "path = \"c\"; type = \"int32\""),
        ("d", "path = \"d\"; type = \"list<int32>\"; repeat = \"list\""),
        ("e", "path = \"e\"; type = \"int32\"; required = true"),
    ] {
        assert_eq!(column(&mapping, name).0, keys);
    }
}

#[test]
fn every_built_in_type_has_its_counterpart() {
    for (builtin, kind) in [
        ("string", "string"),
        ("anyURI", "string"),
        ("boolean", "bool"),
        ("byte", "int8"),
        ("short", "int16"),
        ("int", "int32"),
        ("long", "int64"),
        ("unsignedShort", "int32"),
        ("unsignedInt", "int64"),
        ("unsignedLong", "decimal(20,0)"),
        ("integer", "decimal(38,0)"),
        ("negativeInteger", "decimal(38,0)"),
        ("decimal", "decimal(38,18)"),
        ("float", "float32"),
        ("double", "float64"),
        ("date", "date"),
        ("time", "time"),
        ("dateTime", "timestamp"),
        ("dateTimeStamp", "timestamp"),
        ("hexBinary", "binary(hex)"),
        ("base64Binary", "binary"),
        ("gYear", "string"),
        ("duration", "string"),
        ("anySimpleType", "string"),
        ("anyType", "string"),
    ] {
        let declared = format!("<xs:element name='v' type='xs:{builtin}'/>");
        let mapping = Samples::new(Some(around(&declared, ""))).mapping(&RowChoice::Proposed).unwrap();
        let keys = column(&mapping, "v").0;
        assert!(keys.contains(&format!("type = \"{kind}\"")), "{builtin}: {keys}");
    }
    for (facets, kind) in [
        ("<xs:totalDigits value='5'/>", "decimal(10,5)"),
        ("<xs:fractionDigits value='2'/>", "decimal(38,2)"),
        ("<xs:totalDigits value='12'/><xs:fractionDigits value='0'/>", "decimal(12,0)"),
        ("<xs:totalDigits value='50'/>", "decimal(38,18)"),
        ("<xs:totalDigits value='18'/><xs:fractionDigits value='5'/>", "decimal(18,5)"),
        ("<xs:totalDigits value='18'/><xs:fractionDigits value='17'/>", "decimal(35,17)"),
        ("<xs:totalDigits value='60'/><xs:fractionDigits value='40'/>", "decimal(38,18)"),
        ("<xs:totalDigits value='18446744073709551615'/><xs:fractionDigits value='2'/>", "decimal(38,2)"),
    ] {
        let simple = format!(
            "<xs:element name='v'><xs:simpleType><xs:restriction base='xs:decimal'>{facets}</xs:restriction></xs:simpleType></xs:element>"
        );
        let mapping = Samples::new(Some(around(&simple, ""))).mapping(&RowChoice::Proposed).unwrap();
        assert!(column(&mapping, "v").0.contains(&format!("type = \"{kind}\"")), "{facets}: {mapping}");
    }
}

#[test]
fn types_that_extend_another_are_taken_in() {
    let text = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='r'><xs:complexType><xs:sequence>\
        <xs:element name='v' type='Vehicle'/></xs:sequence></xs:complexType></xs:element>\
        <xs:complexType name='Vehicle' abstract='true'><xs:sequence><xs:element name='plate' type='xs:token'/></xs:sequence></xs:complexType>\
        <xs:complexType name='Car'><xs:complexContent><xs:extension base='Vehicle'><xs:sequence><xs:element name='doors' type='xs:byte'/></xs:sequence>\
        <xs:attribute name='fuel' use='required' type='xs:string'/></xs:extension></xs:complexContent></xs:complexType>\
        <xs:complexType name='Van'><xs:complexContent><xs:extension base='Car'><xs:sequence><xs:element name='load' type='xs:int' maxOccurs='9'/></xs:sequence>\
        </xs:extension></xs:complexContent></xs:complexType></xs:schema>";
    let load = || schema(&[("v.xsd", text)]);
    let sample = "<r xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'><v xsi:type='Car' fuel='gas'><plate>A 1</plate><doors>4</doors></v></r>";
    let alone = Samples::new(Some(load())).mapping(&RowChoice::Proposed).unwrap();
    let both = infer(Some(load()), &[sample], None);
    assert_takes(&both, &[sample, "<r><v><plate>B 2</plate></v></r>"], true);
    for mapping in [&alone, &both] {
        for (name, keys, said) in [
            ("v_plate", "path = \"v/plate\"; type = \"string\"; trim = \"collapse\"; required = true", ""),
            ("v_doors", "path = \"v/doors\"; type = \"int8\"", "of the type Car"),
            ("v_fuel", "path = \"v/@fuel\"; type = \"string\"", "of the type Car"),
            ("v_load", "path = \"v/load\"; type = \"list<int32>\"; repeat = \"list\"", "of the type Van"),
            (
                "v_type",
                "path = \"v/@xsi:type\"; type = \"string\"; trim = \"collapse\"",
                "extend the one here: Car, Van",
            ),
        ] {
            let (found, comments) = column(mapping, name);
            assert_eq!(found, keys, "{name}");
            assert!(comments.contains(said), "{name}: {comments}");
        }
    }
}

#[test]
fn schemas_that_lead_in_circles_or_nowhere_end() {
    let circles = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:include schemaLocation='a.xsd'/><xs:include schemaLocation='missing.xsd'/>\
        <xs:element name='r' type='T'/><xs:complexType name='T'><xs:complexContent><xs:extension base='T'><xs:sequence><xs:group ref='G'/><xs:element name='x' type='S'/><xs:element name='u' type='U'/>\
        <xs:element name='y' type='none:T'/><xs:element ref='gone'/></xs:sequence><xs:attributeGroup ref='A'/></xs:extension></xs:complexContent></xs:complexType>\
        <xs:group name='G'><xs:sequence><xs:group ref='G'/><xs:group ref='G'/></xs:sequence></xs:group><xs:attributeGroup name='A'><xs:attributeGroup ref='A'/><xs:attributeGroup ref='A'/><xs:attribute name='k'/></xs:attributeGroup>\
        <xs:simpleType name='S'><xs:restriction base='S'/></xs:simpleType><xs:simpleType name='U'><xs:union memberTypes='U U U'/></xs:simpleType></xs:schema>";
    let mapping = Samples::new(Some(schema(&[("a.xsd", circles)]))).mapping(&RowChoice::Proposed).unwrap();
    assert!(
        mapping.contains("missing.xsd") && column(&mapping, "k").0 == "path = \"@k\"; type = \"string\"",
        "{mapping}"
    );
    // Each level has two elements of the next: a million paths if they were spelled out.
    let levels: String = (0..20)
        .map(|level| format!("<xs:complexType name='L{level}'><xs:sequence><xs:element name='a' type='L{0}'/><xs:element name='b' type='L{0}'/></xs:sequence></xs:complexType>", level + 1))
        .collect();
    let wide = format!(
        "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:element name='r' type='L0'/>{levels}<xs:complexType name='L20'><xs:attribute name='k'/></xs:complexType></xs:schema>"
    );
    let mapping = Samples::new(Some(schema(&[("wide.xsd", &wide)]))).mapping(&RowChoice::Proposed).unwrap();
    let columns = mapping.matches("[[column]]").count();
    assert!(columns < 3000 && mapping.contains("type = \"xml\"") && mapping.contains("cut here"), "{columns}");
    oracle::Mapping::read(&mapping);
}

#[test]
fn what_is_no_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["", "<a/>", "<xs:schema xmlns:xs='urn:x'/>", "<xs:schema"] {
        let file = dir.path().join("bad.xsd");
        std::fs::write(&file, text).unwrap();
        assert!(Schema::load(&file).unwrap_err().message.contains("bad.xsd"), "{text}");
    }
    assert!(Schema::load(Path::new("/nowhere/at/all.xsd")).is_err());
    assert!(Schema::load(dir.path()).is_err());
    let empty = schema(&[("e.xsd", "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'/>")]);
    assert!(
        Samples::new(Some(empty))
            .mapping(&RowChoice::Proposed)
            .unwrap_err()
            .contains("no element that could be a root")
    );
}
